import pulumi
import pulumi_ptd as ptd

boot = ptd.azure.Bootstrap(
    "boot",
    target="acme01-staging",
    location="eastus2",
    sites=["main"],
    admin_group_id="44444444-4444-4444-4444-444444444444",
)

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
