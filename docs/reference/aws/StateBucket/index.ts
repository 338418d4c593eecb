import * as ptd from "@posit-dev/pulumi-ptd";

const state = new ptd.aws.StateBucket("state", {
    bucket: "ptd-acme01-staging",
    region: "us-east-2",
    noncurrentVersionExpirationDays: 90,
    tags: { "cost-center": "analytics" },
});

export const backendUrl = state.backendUrl;
export const hardening = state.hardening;
