"""The control room's cluster, and in it the monitoring that all workloads report to."""

import json
import sys

import bcrypt
import pulumi

sys.path.append("../../programs")
from common import aws, kube  # noqa: E402

MANAGED_BY = "ptd.pulumi_resources.aws_control_room_cluster"

config = pulumi.Config()
target = config.require("target")
connection = config.require_secret_object("db_grafana_connection")
room = aws.secret_fields(f"{target}.ctrl.posit.team")
# One password for each workload, written by the workload's own pipeline.
passwords = aws.secret_fields(f"{target}.mimir-auth.posit.team")


def role(purpose: str, service: str) -> aws.Role:
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}}
    trust = json.dumps({"Statement": [statement], "Version": "2012-10-17"}, sort_keys=True)
    return aws.Role(purpose, name=f"{target}-{purpose}.posit.team", trust=trust, policy="")


def htpasswd(known: dict[str, str]) -> str:
    """The file that lets workloads in. The salt stays the same, and so does the file."""
    salt = known.pop("salt")
    return "".join(f"{name}:{bcrypt.hashpw(known[name].encode(), salt.encode()).decode()}\n" for name in sorted(known))


control_plane = aws.Cluster(
    target, name=target, version=config.get("cluster_version") or "1.34", role_arn=role("eks", "eks").arn,
    subnet_ids=config.require_object("subnet_ids"), managed_by=MANAGED_BY,
)  # fmt: skip
# Known only once the cluster is there.
kubeconfig = pulumi.Output.all(config.require_secret("kubeconfig"), control_plane.id).apply(lambda all: all[0])
cluster = kube.Cluster(target, kubeconfig, MANAGED_BY)

# The examples' clusters share one API server, hence the prefix.
space = cluster.apply("Namespace", "control-room-grafana")
metrics = cluster.apply("Namespace", "control-room-mimir")
salt = aws.required(room, "mimir-password-salt", f"{target}.ctrl.posit.team")
users = pulumi.Output.all(**passwords, salt=salt).apply(htpasswd)
cluster.secret("mimir-auth", "control-room-mimir", {".htpasswd": users}, depends_on=[metrics])
database = cluster.secret(
    "grafana-database", "control-room-grafana", depends_on=[space],
    fields={
        "host": connection.apply(lambda known: f"{known['host']}:{int(known['port'])}"),
        "user": connection.apply(lambda known: known["user"]),
        "password": connection.apply(lambda known: known["password"]),
        "database": connection.apply(lambda known: known["database"]),
    },
)  # fmt: skip
alerts = cluster.secret(
    "opsgenie", "control-room-grafana", depends_on=[space],
    fields={"api-key": aws.required(room, "opsgenie-api-key", f"{target}.ctrl.posit.team")},
)  # fmt: skip
for name, namespace, first in (("grafana", "control-room-grafana", [database, alerts]), ("mimir", "control-room-mimir", [metrics])):
    cluster.apply(
        "Deployment", name, kube.deployment(name, f"charts.example.com/{name}:latest", 2),
        version="apps/v1", namespace=namespace, depends_on=first,
    )  # fmt: skip

pulumi.export("cluster_name", control_plane.name)
pulumi.export("cluster_endpoint", control_plane.endpoint)
pulumi.export("workloads", sorted(passwords))
