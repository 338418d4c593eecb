"""The steps of a workload after its bootstrap, with the edges between them written by hand.

An output of one step that is a setting of another is an edge by itself; `after` names those that no value carries. The
engine needs no more to order the steps, to run side by side what is free to, and to destroy in reverse.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_ptd as ptd


def plain(stack: ptd.Stack | ptd.StackUpdate, name: str) -> pulumi.Output[Any]:
    """An output that is no secret."""
    return stack.plain_outputs[name]


def declare(
    target: ptd.AwaitableGetTargetResult,
    backend_url: pulumi.Input[str],
    secrets_provider: pulumi.Input[str],
    consent: bool,
    after: list[pulumi.Resource] | None = None,
    root: str = "..",
) -> dict[str, ptd.Stack | ptd.StackUpdate]:
    """Declares all steps, by name. With `consent`, destroying the program destroys what they made; `programs` lies in `root`."""
    settings = pulumi.Config()

    def step(
        name: str, config: dict[str, Any], after: list[pulumi.Resource], triggers: dict[str, Any] | None = None
    ) -> ptd.Stack:
        return ptd.Stack(
            name,
            directory=f"{root}/programs/{name}",
            # What the programs share concerns each of them.
            watch=[f"{root}/programs/common"],
            stack=f"organization/ptd-aws-workload-{name.replace('_', '-')}/{target.name}",
            backend_url=backend_url,
            secrets_provider=secrets_provider,
            config={"aws:region": target.region, "target": target.name, **config},
            triggers=triggers,
            on_delete=ptd.OnDelete.DESTROY_AND_REMOVE if consent else ptd.OnDelete.REFUSE,
            opts=pulumi.ResourceOptions(depends_on=after),
        )

    domains = {site.name: {"domain": site.domain} for site in target.sites}
    persistent = step(
        "persistent",
        {
            "sites": domains,
            "db_engine_version": target.aws.db_engine_version,
            "database_server": settings.require_secret("databaseServer"),
        },
        after=after or [],
    )

    # What the steps in the clusters read from the workload's secret. In the reference this happens too late for a first
    # run; here it is a resource between its source and its readers.
    fields = ptd.aws.SecretFields(
        "workload-secret",
        secret=target.names.workload_secret,
        region=target.region,
        fields={
            "chronicle-bucket": plain(persistent, "chronicle_bucket"),
            "fs-dns-name": plain(persistent, "fs_dns_name"),
            "fs-root-volume-id": plain(persistent, "fs_root_volume_id"),
            "main-database-id": plain(persistent, "db"),
            "main-database-url": plain(persistent, "db_url"),
            "packagemanager-bucket": plain(persistent, "packagemanager_bucket"),
            "mimir-password": persistent.outputs["mimir_password"],
        },
        opts=pulumi.ResourceOptions(depends_on=after or []),
    )
    # A program that reads a secret by itself is not run again by a new value, unless that value is a trigger.
    workload_secret = {"workload_secret": fields.fields}

    postgres_config = step(
        "postgres_config",
        {
            "db_address": plain(persistent, "db_address"),
            "db_port": plain(persistent, "db_port"),
            "db_secret_arn": plain(persistent, "db_secret_arn"),
            "extra_databases": target.aws.extra_postgres_dbs,
        },
        after=[persistent],
        triggers={"db_secret_version": plain(persistent, "db_secret_version")},
    )
    # Needs nothing of the databases, and so runs beside them.
    eks = step(
        "eks",
        {
            "clusters": {
                cluster.release: {
                    "cluster_version": cluster.aws.cluster_version,
                    "mp_instance_type": cluster.aws.mp_instance_type,
                    "mp_min_size": cluster.aws.mp_min_size,
                    "mp_max_size": cluster.aws.mp_max_size,
                }
                for cluster in target.clusters
            },
            "private_subnet_ids": plain(persistent, "private_subnet_ids"),
            "hosted_zone_name_servers": plain(persistent, "hosted_zone_name_servers"),
            "kubeconfig": settings.require_secret("kubeconfig"),
        },
        after=[persistent],
    )
    clusters = step(
        "clusters",
        {
            "kubeconfigs": eks.outputs["kubeconfigs"],
            "db_address": plain(persistent, "db_address"),
            "db_port": plain(persistent, "db_port"),
            "grafana_db_name": plain(postgres_config, "grafana_db_name"),
            "db_grafana_pw": postgres_config.outputs["db_grafana_pw"],
        },
        after=[eks, postgres_config, fields],
        triggers=workload_secret,
    )
    helm = step(
        "helm",
        {
            "kubeconfigs": eks.outputs["kubeconfigs"],
            "cert_arns": plain(persistent, "cert_arns"),
            "account_id": target.account_id,
        },
        after=[clusters],
        triggers=workload_secret,
    )
    sites = step(
        "sites",
        {
            "kubeconfigs": eks.outputs["kubeconfigs"],
            "sites": domains,
            "account_id": target.account_id,
            "db_secret_arn": plain(persistent, "db_secret_arn"),
        },
        after=[helm],
        triggers=workload_secret,
    )
    # Only `persistent` makes roles for service accounts, and only `eks` knows whom they must trust: it runs once more, and again
    # whenever a cluster is new. On destroy it does nothing, so that the network is still the last to go.
    reprise = ptd.StackUpdate(
        "persistent_reprise",
        spec=persistent.spec,
        triggers={"oidc_issuers": plain(eks, "oidc_issuers")},
        opts=pulumi.ResourceOptions(depends_on=[sites]),
    )
    return {
        "persistent": persistent,
        "postgres_config": postgres_config,
        "eks": eks,
        "clusters": clusters,
        "helm": helm,
        "sites": sites,
        "persistent_reprise": reprise,
    }
