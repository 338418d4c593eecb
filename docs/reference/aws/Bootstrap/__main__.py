import pulumi
import pulumi_ptd as ptd

target = ptd.get_target(target="acme01-staging", targets_dir="infra")

boot = ptd.aws.Bootstrap(
    "boot",
    target=target.name,
    account_id=target.account_id,
    region=target.region,
    sites=target.site_names,
    create_admin_policy=True,
)

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
pulumi.export("hardening", boot.hardening)
