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

const key = new ptd.azure.EncryptionKey("key", {
    name: "posit-team-dedicated",
    vaultName: vault.name,
    resourceGroupName: group.name,
});

export const secretsProviderUrl = key.secretsProviderUrl;
