"""What every site needs in a cluster: namespaces, the Team Operator with its type of object, storage, roles."""

import sys

import pulumi

sys.path.append("..")
from common import aws, kube  # noqa: E402

config = pulumi.Config()
target = config.require("target")
workload = aws.secret_fields(f"{target}.posit.team")

SITE_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

for cluster in kube.clusters("ptd.pulumi_resources.aws_workload_clusters"):
    namespaces = {
        name: cluster.apply("Namespace", name) for name in ("posit-team", "posit-team-system", "external-secrets")
    }
    sites = cluster.apply(
        "CustomResourceDefinition",
        "sites.core.posit.team",
        {
            "spec": {
                "group": "core.posit.team",
                "names": {"kind": "Site", "listKind": "SiteList", "plural": "sites", "singular": "site"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1beta1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SITE_SCHEMA}}},
                    }
                ],
            }
        },
        version="apiextensions.k8s.io/v1",
    )
    system = namespaces["posit-team-system"]
    account = cluster.apply("ServiceAccount", "team-operator", namespace="posit-team-system", depends_on=[system])
    rules = [
        {"apiGroups": ["core.posit.team"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["", "apps", "networking.k8s.io"], "resources": ["*"], "verbs": ["*"]},
    ]
    role = cluster.apply("ClusterRole", "team-operator", {"rules": rules}, version="rbac.authorization.k8s.io/v1")
    cluster.apply(
        "ClusterRoleBinding",
        "team-operator",
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "team-operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "team-operator", "namespace": "posit-team-system"}],
        },
        version="rbac.authorization.k8s.io/v1",
        depends_on=[role, account],
    )
    cluster.apply(
        "Deployment", "team-operator",
        kube.deployment("team-operator", "ghcr.io/posit-dev/team-operator:latest", account="team-operator"),
        version="apps/v1", namespace="posit-team-system", depends_on=[account, sites],
    )  # fmt: skip
    cluster.apply(
        "ConfigMap", "workload", namespace="posit-team", depends_on=[namespaces["posit-team"]],
        body={"data": {
            "chronicle-bucket": aws.required(workload, "chronicle-bucket", f"{target}.posit.team"),
            "packagemanager-bucket": aws.required(workload, "packagemanager-bucket", f"{target}.posit.team"),
        }},
    )  # fmt: skip
    # Grafana's database, for the dashboards that the helm step installs.
    cluster.secret(
        "grafana-database", "posit-team-system",
        {
            "host": f"{config.require('db_address')}:{config.require_int('db_port')}",
            "database": config.require("grafana_db_name"),
            "password": config.require_secret("db_grafana_pw"),
        },
        depends_on=[system],
    )  # fmt: skip
    pulumi.export(f"operator_{cluster.release}", account.uid)

pulumi.export("namespaces", ["posit-team", "posit-team-system", "external-secrets"])
