import * as ptd from "@posit-dev/pulumi-ptd";

const key = new ptd.aws.EncryptionKey("key", {
    alias: "alias/posit-team-dedicated",
    region: "us-east-2",
    description: "Secrets of Pulumi stacks",
    target: "acme01-staging",
});

export const secretsProviderUrl = key.secretsProviderUrl;
export const keyArn = key.arn;
