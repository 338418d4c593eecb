import pulumi
import pulumi_ptd as ptd

group = ptd.azure.ResourceGroup(
    "group",
    name="rsg-ptd-acme01-staging",
    location="eastus2",
)

clusters = ptd.azure.Aks(
    "clusters",
    target="acme01-staging",
    location="eastus2",
    subnet_id="/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rsg-ptd-acme01-staging/providers/Microsoft.Network/virtualNetworks/vnet/subnets/private",
    clusters={
        "main": {
            "kubernetes_version": "1.31",
            "system_node_pool_instance_type": "Standard_D4s_v6",
            "user_node_pools": [
                {"name": "user", "vm_size": "Standard_D8s_v6", "min_count": 1, "max_count": 4, "enable_auto_scaling": True},
            ],
        },
    },
    opts=pulumi.ResourceOptions(depends_on=[group]),
)

pulumi.export("clusters", clusters.clusters)
