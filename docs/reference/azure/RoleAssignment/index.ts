import * as ptd from "@posit-dev/pulumi-ptd";

const group = new ptd.azure.ResourceGroup("group", {
    name: "rsg-ptd-acme01-staging",
    location: "eastus2",
});

const vault = new ptd.azure.KeyVault("vault", {
    name: "kv-ptd-acme01-staging",
    resourceGroupName: group.name,
    location: "eastus2",
});

const admins = new ptd.azure.RoleAssignment("admins", {
    scope: vault.armId,
    roleDefinitionId: "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    principalId: "44444444-4444-4444-4444-444444444444",
    principalType: "Group",
});

export const armId = admins.armId;
