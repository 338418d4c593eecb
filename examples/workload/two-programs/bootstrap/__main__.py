"""The first of two programs: the bucket and the key that the second one keeps its own state with."""

import pulumi
import pulumi_ptd as ptd

config = pulumi.Config()
consent = config.require_bool("allowDelete")

target = ptd.get_target(target=config.get("target") or "acme01-staging", targets_dir="../../infra")

boot = ptd.aws.Bootstrap(
    "bootstrap",
    target=target.name,
    account_id=target.account_id,
    region=target.region,
    sites=target.site_names,
    state_bucket=ptd.aws.BootstrapBucketArgs(force_destroy=consent, tls_only=config.require_bool("tlsOnly")),
    encryption_key=ptd.aws.BootstrapKeyArgs(allow_delete=consent),
    secrets=ptd.aws.BootstrapSecretsArgs(allow_delete=consent),
)

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
