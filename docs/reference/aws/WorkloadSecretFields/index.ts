import * as ptd from "@posit-dev/pulumi-ptd";

const persistent = new ptd.Stack("persistent", {
    directory: "programs/persistent",
    stack: "organization/ptd-aws-workload-persistent/acme01-staging",
    backendUrl: "s3://ptd-acme01-staging?region=us-east-2",
    secretsProvider: "awskms://alias/posit-team-dedicated?region=us-east-2",
});

const workloadSecret = new ptd.aws.WorkloadSecretFields("workload-secret", {
    target: "acme01-staging",
    region: "us-east-2",
    outputs: persistent.outputs,
});

export const secretArn = workloadSecret.secretArn;
