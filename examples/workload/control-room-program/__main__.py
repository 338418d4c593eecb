"""A whole control room in one program: the bootstrap, and every step after it as an inner stack."""

from typing import Any

import pulumi
import pulumi_ptd as ptd

config = pulumi.Config()
consent = config.require_bool("allowDelete")

target = ptd.get_target(target=config.get("target") or "main01-staging", targets_dir="../infra")

boot = ptd.aws.Bootstrap(
    "bootstrap",
    target=target.name,
    kind=ptd.aws.BootstrapKind.CONTROL_ROOM,
    account_id=target.account_id,
    region=target.region,
    state_bucket=ptd.aws.BootstrapBucketArgs(force_destroy=consent, tls_only=config.require_bool("tlsOnly")),
    encryption_key=ptd.aws.BootstrapKeyArgs(allow_delete=consent),
    secrets=ptd.aws.BootstrapSecretsArgs(allow_delete=consent),
)


def step(name: str, settings: dict[str, Any], after: list[pulumi.Resource], triggers: dict[str, Any] | None = None) -> ptd.Stack:
    return ptd.Stack(
        name,
        directory=f"../control-room/{name}",
        watch=["../programs/common"],
        stack=f"organization/ptd-aws-control-room-{name.replace('_', '-')}/{target.name}",
        backend_url=boot.backend_url,
        secrets_provider=boot.secrets_provider_url,
        config={"aws:region": target.region, "target": target.name, **settings},
        triggers=triggers,
        on_delete=ptd.OnDelete.DESTROY_AND_REMOVE if consent else ptd.OnDelete.REFUSE,
        opts=pulumi.ResourceOptions(depends_on=after),
    )


def plain(stack: ptd.Stack, name: str) -> pulumi.Output[Any]:
    """An output that is no secret. In Pulumi's SDKs a map with one secret value in it is a secret as a whole."""
    return stack.plain_outputs[name]


# Nothing needs the desktops, so that they are made beside all others.
workspaces = step("workspaces", {"workspaces_enabled": target.aws_control_room.workspaces_enabled}, after=[boot])
persistent = step(
    "persistent",
    {"db_engine_version": target.aws_control_room.db_engine_version, "database_server": config.require_secret("databaseServer")},
    after=[boot],
)
postgres_config = step(
    "postgres_config",
    {name: plain(persistent, name) for name in ("db_address", "db_port", "db_secret_arn")},
    after=[persistent],
    triggers={"db_secret_version": plain(persistent, "db_secret_version")},
)
# The bootstrap made the secret, with a salt of its own; the key of the alerting service comes from outside.
alerts = ptd.aws.SecretFields(
    "control-secret",
    secret=target.names.control_room_secret,
    region=target.region,
    fields={"opsgenie-api-key": config.require_secret("opsgenieApiKey")},
    opts=pulumi.ResourceOptions(depends_on=[boot]),
)
cluster = step(
    "cluster",
    {
        "subnet_ids": plain(persistent, "subnet_ids"),
        "db_grafana_connection": postgres_config.outputs["db_grafana_connection"],
        "kubeconfig": config.require_secret("kubeconfig"),
        "cluster_version": target.aws_control_room.eks_k8s_version,
    },
    after=[postgres_config, alerts],
    # The workloads' passwords are written by their own pipelines: name a workload that joined, and the step runs again.
    triggers={"control_secret": alerts.fields, "workloads": config.get_object("workloads") or []},
)

pulumi.export("backendUrl", boot.backend_url)
pulumi.export("secretsProviderUrl", boot.secrets_provider_url)
pulumi.export("databaseAddress", plain(persistent, "db_address"))
pulumi.export("grafanaPassword", postgres_config.outputs["db_grafana_pw"])
pulumi.export("clusterName", plain(cluster, "cluster_name"))
pulumi.export("workloads", plain(cluster, "workloads"))
pulumi.export("directoryId", plain(workspaces, "directory_id"))
