"""The programs of examples/workload in a copy of their own, on real servers, and what they leave behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import cli
from .moto import REGION, Moto
from .services import Kubernetes, Postgres

EXAMPLE = cli.ROOT / "examples/workload"
TARGET, ROOM = "acme01-staging", "main01-staging"
#: Each step after the bootstrap with those that must have ended before it.
EDGES = {
    "persistent": (),
    "postgres_config": ("persistent",),
    "eks": ("persistent",),
    "clusters": ("postgres_config", "eks"),
    "helm": ("clusters",),
    "sites": ("helm",),
}


@dataclass
class Update:
    """One update of an inner stack, from the history that its own CLI recorded."""

    kind: str
    result: str
    start: int
    end: int
    changes: dict[str, int]


class Example:
    """A copy of the example. `open("one-program")` gives the project, ready to be run."""

    def __init__(self, folder: Path, env: dict[str, str], moto: Moto, postgres: Postgres, kubernetes: Kubernetes) -> None:
        self.folder, self.moto, self.postgres, self.kubernetes = folder, moto, postgres, kubernetes
        self.temp = folder.parent / "temp"
        self.temp.mkdir()
        self.env = env | {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": moto.url, "TMPDIR": str(self.temp), **moto.account()}
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "Pulumi.*.yaml"))

    def open(self, project: str, *init: str, **env: str) -> cli.Workspace:
        workspace = cli.Workspace(self.folder / project, self.env | env, project).init(*init)
        settings = {"databaseServer": self.postgres.url, "kubeconfig": self.kubernetes.kubeconfig.read_text()}
        return workspace.secret_config(**settings)

    def objects(self, target: str = TARGET) -> dict[str, str]:
        """All that lies in the target's state bucket: key to a digest of what is in it."""
        pages = self.moto.client("s3").get_paginator("list_objects_v2").paginate(Bucket=f"ptd-{target}")
        return {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", [])}

    def texts(self, target: str = TARGET, prefix: str = ".pulumi/", suffix: str = "", versions: bool = False) -> dict[str, str]:
        """What lies in the state bucket, or with `versions` what is or ever was there: key, `#`, version to content."""
        s3, bucket = self.moto.client("s3"), f"ptd-{target}"

        def get(one: dict) -> tuple[str, str]:
            where = {"Bucket": bucket, "Key": one["Key"], "VersionId": one["VersionId"]}
            return f"{one['Key']}#{one['VersionId']}", s3.get_object(**where)["Body"].read().decode(errors="replace")

        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        wanted = [one for page in pages for one in page.get("Versions", []) if versions or one["IsLatest"]]
        with ThreadPoolExecutor(8) as pool:
            return dict(pool.map(get, (one for one in wanted if one["Key"].endswith(suffix))))

    def updates(self, target: str = TARGET) -> dict[str, list[Update]]:
        """What inner updates there were, by step, the oldest first; of removed stacks too, since the bucket keeps versions."""
        found: dict[str, dict[str, Update]] = {}
        for version, text in self.texts(target, ".pulumi/history/ptd-aws-", ".history.json", versions=True).items():
            key, record = version.partition("#")[0], json.loads(text)
            project = key.split("/")[2].removeprefix("ptd-aws-workload-").removeprefix("ptd-aws-control-room-")
            found.setdefault(project.replace("-", "_"), {})[key] = Update(
                record["kind"], record["result"], record["startTime"], record["endTime"], record.get("resourceChanges") or {}
            )
        return {step: [by_key[key] for key in sorted(by_key)] for step, by_key in found.items()}

    def secret(self, name: str) -> dict[str, str]:
        """A secret's fields; by the label, without which the emulator does not always give the current version."""
        answer = self.moto.client("secretsmanager").get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        return json.loads(answer["SecretString"])

    def written(self, *workspaces: cli.Workspace) -> dict[str, str]:
        """All text that runs left on disk: projects with event logs, outer state, and temporary files."""
        files = [file for workspace in workspaces for file in workspace.files()]
        files += [file for file in self.temp.rglob("*") if file.is_file()]
        return {str(file): file.read_text(errors="replace") for file in files}


def ordered(updates: dict[str, Update], edges: dict[str, tuple[str, ...]] = EDGES, reverse: bool = False) -> None:
    """Asserts that the recorded times keep the edges. They have whole seconds."""
    for step, before in edges.items():
        for other in before:
            first, then = (step, other) if reverse else (other, step)
            assert updates[first].end <= updates[then].start, f"{then} began before {first} ended: {updates}"


def overlapping(one: Update, other: Update) -> bool:
    return one.start < other.end and other.start < one.end


@pytest.fixture
def example(cli_env: dict[str, str], moto: Moto, postgres: Postgres, kubernetes: Kubernetes, tmp_path: Path) -> Example:
    return Example(tmp_path / "workload", cli_env, moto, postgres, kubernetes)


def leaks(secrets: dict[str, str], places: dict[str, str]) -> list[str]:
    """Which of the secrets stands in plain form where."""
    return [f"{name} in {place}" for name, value in secrets.items() for place, text in places.items() if value in text]


def no_servers_of(example: Example, get: Callable[[str], dict | None]) -> None:
    """Asserts that nothing of any program is left in AWS, PostgreSQL and Kubernetes, but what waits for its deletion."""
    client = example.moto.client
    assert client("s3").list_buckets()["Buckets"] == []
    assert client("rds").describe_db_instances()["DBInstances"] == []
    assert client("eks").list_clusters()["clusters"] == []
    assert client("fsx").describe_file_systems()["FileSystems"] == []
    assert [vpc["VpcId"] for vpc in client("ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]] == []
    assert client("route53").list_hosted_zones()["HostedZones"] == []
    assert client("acm").list_certificates()["CertificateSummaryList"] == []
    assert client("iam").list_roles()["Roles"] == []
    assert client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert client("secretsmanager").list_secrets()["SecretList"] == []
    for key in client("kms").list_keys()["Keys"]:
        assert client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
    with example.postgres.connect() as live:
        assert live.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall() == [("postgres",)]
        assert live.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'").fetchall() == [("postgres",)]
    spaces = {item["metadata"]["name"] for item in get("/api/v1/namespaces")["items"]}
    assert spaces <= {"default", "kube-system", "kube-public", "kube-node-lease"}
    assert get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sites.core.posit.team") is None
    # Of temporary files only those stay that the provider's processes lock, without a program or its settings.
    kinds = ("slot-", "next", "owner-", "made-", "turn-", "attendance", "report.")
    left = [path.name for path in example.temp.rglob("*") if path.is_file()]
    assert [name for name in left if name != "cli" and not name.startswith(kinds)] == []
