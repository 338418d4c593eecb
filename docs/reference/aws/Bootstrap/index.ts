import * as ptd from "@posit-dev/pulumi-ptd";

const target = ptd.getTargetOutput({ target: "acme01-staging", targetsDir: "infra" });

const boot = new ptd.aws.Bootstrap("boot", {
    target: target.name,
    accountId: target.apply((it) => it.accountId!),
    region: target.region,
    sites: target.siteNames,
    createAdminPolicy: true,
});

export const backendUrl = boot.backendUrl;
export const secretsProviderUrl = boot.secretsProviderUrl;
export const hardening = boot.hardening;
