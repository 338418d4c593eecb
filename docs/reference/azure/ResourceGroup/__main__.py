import pulumi
import pulumi_ptd as ptd

group = ptd.azure.ResourceGroup(
    "group",
    name="rsg-ptd-acme01-staging",
    location="eastus2",
)

pulumi.export("armId", group.arm_id)
