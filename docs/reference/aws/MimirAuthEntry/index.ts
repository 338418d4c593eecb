import * as ptd from "@posit-dev/pulumi-ptd";

const persistent = new ptd.Stack("persistent", {
    directory: "programs/persistent",
    stack: "organization/ptd-aws-workload-persistent/acme01-staging",
    backendUrl: "s3://ptd-acme01-staging?region=us-east-2",
    secretsProvider: "awskms://alias/posit-team-dedicated?region=us-east-2",
});

const room = new ptd.Provider("room", {
    region: "us-east-2",
    allowedAccountIds: ["222233334444"],
    assumeRole: { roleArn: "arn:aws:iam::222233334444:role/admin.posit.team" },
});

const mimirAuth = new ptd.aws.MimirAuthEntry("mimir-auth", {
    target: "acme01-staging",
    controlRoom: "main01-staging",
    accountId: "222233334444",
    outputs: persistent.outputs.apply((outputs) => ({ mimir_password: outputs?.["mimir_password"] })),
}, { provider: room });

export const secretArn = mimirAuth.secretArn;
