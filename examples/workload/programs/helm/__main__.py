"""Monitoring, ingress and DNS in the workload's clusters: each chart's values, and what they render to."""

import json
import sys

import pulumi

sys.path.append("..")
from common import aws, kube  # noqa: E402

config = pulumi.Config()
target = config.require("target")
certificates = config.require_object("cert_arns")
workload = aws.secret_fields(f"{target}.posit.team")

CHARTS = {
    # chart: namespace, version, replicas
    "aws-load-balancer-controller": ("kube-system", "1.6.0", 2),
    "external-dns": ("kube-system", "1.14.4", 1),
    "loki": ("loki", "5.42.0", 2),
    "mimir": ("mimir", "5.2.1", 2),
    "alloy": ("alloy", "0.12.6", 1),
    "traefik": ("traefik", "24.0.0", 3),
}
# Those that call AWS, as roles of the persistent step.
ROLES = {"aws-load-balancer-controller", "external-dns", "loki", "mimir"}
versions = {name: version for name, (_, version, _) in CHARTS.items()} | (config.get_object("components") or {})

for cluster in kube.clusters("ptd.pulumi_resources.aws_workload_helm"):
    values = {
        "alloy": {"cluster": f"default_{target}-{cluster.release}-control-plane"},
        "external-dns": {"txtOwnerId": f"default_{target}-{cluster.release}-control-plane"},
        "loki": {"bucket": f"ptd-{target}-loki"},
        "mimir": {"bucket": f"ptd-{target}-mimir"},
        "traefik": {"certificates": certificates},
    }
    made = {
        name: cluster.apply("Namespace", name)
        for name in sorted({namespace for namespace, _, _ in CHARTS.values()} - {"kube-system"})
    }
    for chart, (namespace, _, replicas) in CHARTS.items():
        role = f"arn:aws:iam::{config.require('account_id')}:role/{chart}.{target}.posit.team"
        annotations = {"eks.amazonaws.com/role-arn": role} if chart in ROLES else {}
        first = [made[namespace]] if namespace in made else []
        settings = cluster.apply(
            "ConfigMap", f"{chart}-values", namespace=namespace, depends_on=first,
            body={"data": {"version": versions[chart], "values.json": json.dumps(values.get(chart, {}), sort_keys=True)}},
        )  # fmt: skip
        account = cluster.apply(
            "ServiceAccount", f"{chart}.posit.team", namespace=namespace, depends_on=first,
            annotations=annotations,
        )  # fmt: skip
        cluster.apply(
            "Deployment", chart,
            kube.deployment(chart, f"charts.example.com/{chart}:{versions[chart]}", replicas, f"{chart}.posit.team"),
            version="apps/v1", namespace=namespace, depends_on=[settings, account],
        )  # fmt: skip
    # What alloy sends its metrics to the control room with.
    cluster.secret(
        "mimir-auth", "alloy",
        {"username": target, "password": aws.required(workload, "mimir-password", f"{target}.posit.team")},
        depends_on=[made["alloy"]],
    )  # fmt: skip
    cluster.apply(
        "Service", "traefik", namespace="traefik", depends_on=[made["traefik"]],
        annotations={"service.beta.kubernetes.io/aws-load-balancer-ssl-cert": ",".join(certificates)},
        body={"spec": {
            "type": "ClusterIP", "selector": {"app.kubernetes.io/name": "traefik"},
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 8443}],
        }},
    )  # fmt: skip

pulumi.export("charts", versions)
