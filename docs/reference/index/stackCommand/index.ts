import * as ptd from "@posit-dev/pulumi-ptd";

const eks = ptd.stackCommandOutput({
    target: "acme01-staging",
    targetsDir: "infra",
    step: "eks",
    programs: "programs",
});

export const shell = eks.shell;
export const cancel = eks.commands.apply((commands) => commands["cancel"]);
