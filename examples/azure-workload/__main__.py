"""Bootstraps the Azure workload that infra/__work__/acme01-staging/ptd.yaml describes."""

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

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
pulumi.export("secretIds", boot.secret_ids)
