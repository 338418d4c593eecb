import * as ptd from "@posit-dev/pulumi-ptd";

const backendUrl = "s3://ptd-acme01-staging?region=us-east-2";
const secretsProvider = "awskms://alias/posit-team-dedicated?region=us-east-2";

const persistent = new ptd.Stack("persistent", {
    directory: "programs/persistent",
    stack: "organization/ptd-aws-workload-persistent/acme01-staging",
    backendUrl,
    secretsProvider,
});

const eks = new ptd.Stack("eks", {
    directory: "programs/eks",
    stack: "organization/ptd-aws-workload-eks/acme01-staging",
    backendUrl,
    secretsProvider,
}, { dependsOn: [persistent] });

const reprise = new ptd.PersistentReprise("reprise", {
    target: "acme01-staging",
    region: "us-east-2",
    spec: persistent.spec.apply((spec) => spec ?? ""),
    triggers: { issuers: eks.plainOutputs.apply((outputs) => outputs?.["oidc_issuers"]) },
    controlRoom: { name: "main01-staging", accountId: "222233334444" },
});

export const database = reprise.plainOutputs.apply((outputs) => outputs["db"]);
