"""A whole workload in one program: the bootstrap, and every step after it as an inner stack."""

import pulumi
import pulumi_ptd as ptd
import steps

config = pulumi.Config()
consent = config.require_bool("allowDelete")

# What the workload is called, where it lives, which clusters and sites it has stands in its ptd.yaml.
target = ptd.get_target(target=config.get("target") or "acme01-staging", targets_dir="../infra")

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

# The bucket and the key that hold the inner stacks' states are outputs: no inner stack is opened before they exist.
made = steps.declare(target, boot.backend_url, boot.secrets_provider_url, consent, after=[boot])

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
pulumi.export("databaseAddress", steps.plain(made["persistent"], "db_address"))
pulumi.export("grafanaPassword", made["postgres_config"].outputs["db_grafana_pw"])
pulumi.export("clusterNames", steps.plain(made["eks"], "cluster_names"))
pulumi.export("siteUrls", steps.plain(made["sites"], "site_urls"))
