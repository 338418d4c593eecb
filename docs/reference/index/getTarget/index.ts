import * as ptd from "@posit-dev/pulumi-ptd";

const target = ptd.getTargetOutput({ target: "acme01-staging", targetsDir: "infra" });

export const account = target.accountId;
export const sites = target.siteNames;
export const stateBucket = target.names.stateBucket;
