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

admins = ptd.azure.RoleAssignment(
    "admins",
    scope=vault.arm_id,
    role_definition_id="00482a5a-887f-4fb3-b363-3b7fe8e74483",
    principal_id="44444444-4444-4444-4444-444444444444",
    principal_type=ptd.azure.PrincipalType.GROUP,
)

pulumi.export("armId", admins.arm_id)
