import * as ptd from "@posit-dev/pulumi-ptd";

const group = new ptd.azure.ResourceGroup("group", {
    name: "rsg-ptd-acme01-staging",
    location: "eastus2",
});

const cluster = new ptd.azure.AksCluster("cluster", {
    name: "acme01-staging-main",
    resourceGroupName: group.name,
    location: "eastus2",
    kubernetesVersion: "1.31",
    systemPool: { vmSize: "Standard_D4s_v6" },
});

export const oidcIssuerUrl = cluster.oidcIssuerUrl;
