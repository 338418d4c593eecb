import pulumi
import pulumi_ptd as ptd

group = ptd.azure.ResourceGroup(
    "group",
    name="rsg-ptd-acme01-staging",
    location="eastus2",
)

cluster = ptd.azure.AksCluster(
    "cluster",
    name="acme01-staging-main",
    resource_group_name=group.name,
    location="eastus2",
    kubernetes_version="1.31",
    system_pool={"vm_size": "Standard_D4s_v6"},
)

pool = ptd.azure.AgentPool(
    "pool",
    cluster_id=cluster.arm_id,
    name="user",
    vm_size="Standard_D8s_v6",
    min_count=1,
    max_count=4,
)

pulumi.export("armId", pool.arm_id)
