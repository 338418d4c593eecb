import pulumi
import pulumi_ptd as ptd

group = ptd.azure.ResourceGroup(
    "group",
    name="rsg-ptd-acme01-staging",
    location="eastus2",
)

vault = ptd.azure.KeyVault(
    "vault",
    name="kv-ptd-acme01-staging",
    resource_group_name=group.name,
    location="eastus2",
)

password = ptd.azure.VaultSecret(
    "password",
    name="main-dev-db-password",
    vault_name=vault.name,
    resource_group_name=group.name,
    generate=ptd.azure.VaultSecretGenerator.PASSWORD,
)

pulumi.export("secretUri", password.secret_uri)
