import * as ptd from "@posit-dev/pulumi-ptd";

const plan = ptd.planTakeoverOutput({ target: "acme01-staging", targetsDir: "infra" });

export const commands = plan.commands;
export const secretsProvider = plan.secretsProvider;
