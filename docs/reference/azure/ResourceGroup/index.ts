import * as ptd from "@posit-dev/pulumi-ptd";

const group = new ptd.azure.ResourceGroup("group", {
    name: "rsg-ptd-acme01-staging",
    location: "eastus2",
});

export const armId = group.armId;
