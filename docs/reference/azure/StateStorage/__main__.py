import pulumi
import pulumi_ptd as ptd

group = ptd.azure.ResourceGroup(
    "group",
    name="rsg-ptd-acme01-staging",
    location="eastus2",
)

state = ptd.azure.StateStorage(
    "state",
    account_name="stptdacme01staging",
    container_name="blob-ptd-acme01-staging",
    resource_group_name=group.name,
    location="eastus2",
)

pulumi.export("backendUrl", state.backend_url)
