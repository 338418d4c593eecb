import * as ptd from "@posit-dev/pulumi-ptd";

const site = new ptd.aws.Secret("site", {
    name: "acme01-staging-main.posit.team",
    region: "us-east-2",
    description: "Secrets of site main",
    fields: [
        { name: "pkg-secret-key", generate: "rskey" },
        { name: "dev-admin-token", generate: "randomString", length: 40 },
        { name: "smtp-user" },
    ],
    values: { "smtp-user": "nobody" },
});

export const arn = site.arn;
