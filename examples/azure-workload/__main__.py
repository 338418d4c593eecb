"""Bootstraps the Azure workload that infra/__work__/acme01-staging/ptd.yaml describes, and makes its clusters."""

import pulumi
import pulumi_ptd as ptd

config = pulumi.Config()

# What the target is called, where it lives and which sites it serves stands in its ptd.yaml.
target = ptd.get_target(target=config.get("target") or "acme01-staging", targets_dir="infra")

boot = ptd.azure.Bootstrap(
    "boot",
    target=target.name,
    subscription_id=target.azure.subscription_id,
    tenant_id=target.azure.tenant_id,
    location=target.region,
    admin_group_id=target.azure.admin_group_id,
    sites=target.site_names,
    external_secrets=target.external_secrets_enabled,
    tags=target.azure.resource_tags,
    # Nothing that holds data is deleted unless the program said so in an earlier update.
    allow_delete=config.get_bool("allowDelete") or False,
    force_destroy=config.get_bool("allowDelete") or False,
)

# The network is made by a step of its own, `persistent`; here its names come from the configuration.
aks = ptd.azure.Aks(
    "aks",
    target=target.name,
    subscription_id=target.azure.subscription_id,
    tenant_id=target.azure.tenant_id,
    location=target.region,
    resource_group_name=boot.resource_group_name,
    vnet_name=config.get("vnetName") or target.names.vnet,
    subnet_name=config.get("subnetName") or "private",
    clusters={
        cluster.release: ptd.azure.AksTargetClusterArgs(
            kubernetes_version=cluster.azure.kubernetes_version,
            system_node_pool_instance_type=cluster.azure.system_node_pool_instance_type,
            system_node_pool_root_disk_size=cluster.azure.system_node_pool_root_disk_size,
            user_node_pools=[
                ptd.azure.AksTargetPoolArgs(
                    name=pool.name,
                    vm_size=pool.vm_size,
                    min_count=pool.min_count,
                    max_count=pool.max_count,
                    enable_auto_scaling=pool.enable_auto_scaling,
                )
                for pool in cluster.azure.user_node_pools
            ],
        )
        for cluster in target.clusters
    },
    allow_delete=config.get_bool("allowDelete") or False,
)

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
pulumi.export("secretIds", boot.secret_ids)
pulumi.export("kubeconfigs", aks.kubeconfigs)
