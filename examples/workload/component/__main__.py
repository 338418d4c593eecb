"""A whole workload by the component that writes the edges: all that `../one-program` declares by hand."""

import pulumi
import pulumi_ptd as ptd

config = pulumi.Config()
consent = config.require_bool("allowDelete")

workload = ptd.Workload(
    "workload",
    target=config.get("target") or "acme01-staging",
    targets_dir="../infra",
    programs="../programs",
    # What the programs share concerns each of them.
    watch=["../programs/common"],
    persistent_reprise=True,
    # The control room is another program's, and perhaps not there.
    mimir_auth=config.get_bool("mimirAuth") or False,
    bootstrap=ptd.PipelineBootstrapArgs(
        state_bucket=ptd.aws.BootstrapBucketArgs(force_destroy=consent, tls_only=config.require_bool("tlsOnly")),
        encryption_key=ptd.aws.BootstrapKeyArgs(allow_delete=consent),
        secrets=ptd.aws.BootstrapSecretsArgs(allow_delete=consent),
    ),
    on_delete=ptd.OnDelete.DESTROY_AND_REMOVE if consent else ptd.OnDelete.REFUSE,
    steps={
        "persistent": ptd.StepOverridesArgs(config={"database_server": config.require_secret("databaseServer")}),
        "eks": ptd.StepOverridesArgs(config={"kubeconfig": config.require_secret("kubeconfig")}),
    },
)


def shown(step: str, name: str) -> pulumi.Output:
    """An output that is no secret: the map of all of them is one, since some are."""
    return pulumi.Output.unsecret(workload.steps[step][name])


pulumi.export("backendUrl", workload.backend_url)
pulumi.export("secretsProviderUrl", workload.secrets_provider_url)
pulumi.export("stepNames", workload.step_names)
pulumi.export("databaseAddress", shown("persistent", "db_address"))
pulumi.export("grafanaPassword", workload.steps["postgres_config"]["db_grafana_pw"])
pulumi.export("clusterNames", shown("eks", "cluster_names"))
pulumi.export("siteUrls", shown("sites", "site_urls"))
