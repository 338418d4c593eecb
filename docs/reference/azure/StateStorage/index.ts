import * as ptd from "@posit-dev/pulumi-ptd";

const group = new ptd.azure.ResourceGroup("group", {
    name: "rsg-ptd-acme01-staging",
    location: "eastus2",
});

const state = new ptd.azure.StateStorage("state", {
    accountName: "stptdacme01staging",
    containerName: "blob-ptd-acme01-staging",
    resourceGroupName: group.name,
    location: "eastus2",
});

export const backendUrl = state.backendUrl;
