"""Bootstraps the AWS workload that infra/__work__/acme01-staging/ptd.yaml describes."""

import pulumi
import pulumi_ptd as ptd

config = pulumi.Config()

# What the target is called, where it lives and which sites it serves stands in its ptd.yaml.
target = ptd.get_target(target=config.get("target") or "acme01-staging", targets_dir="infra")

boot = ptd.aws.Bootstrap(
    "boot",
    target=target.name,
    account_id=target.account_id,
    region=target.region,
    sites=[site.name for site in target.sites],
    create_admin_policy=target.create_admin_policy_as_resource,
    # Nothing that holds data is deleted unless the program said so in an earlier update.
    state_bucket=ptd.aws.BootstrapBucketArgs(force_destroy=config.get_bool("allowDelete") or False),
    encryption_key=ptd.aws.BootstrapKeyArgs(allow_delete=config.get_bool("allowDelete") or False),
    secrets=ptd.aws.BootstrapSecretsArgs(allow_delete=config.get_bool("allowDelete") or False),
)

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
pulumi.export("secretArns", boot.secret_arns)
pulumi.export("hardening", boot.hardening)
pulumi.export("siteUrls", {site.name: f"https://{site.domain}" for site in target.sites})
