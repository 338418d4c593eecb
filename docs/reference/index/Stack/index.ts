import * as ptd from "@posit-dev/pulumi-ptd";

const backendUrl = "s3://ptd-acme01-staging?region=us-east-2";
const secretsProvider = "awskms://alias/posit-team-dedicated?region=us-east-2";

const network = new ptd.Stack("network", {
    directory: "network",
    stack: "organization/network/acme01-staging",
    backendUrl,
    secretsProvider,
    config: { cidr: "10.0.0.0/16" },
});

const database = new ptd.Stack("database", {
    directory: "database",
    stack: "organization/database/acme01-staging",
    backendUrl,
    secretsProvider,
    config: { subnets: network.plainOutputs.apply((outputs) => outputs?.["privateSubnets"]) },
    onDelete: "destroy",
});

export const address = database.plainOutputs.apply((outputs) => outputs?.["address"]);
