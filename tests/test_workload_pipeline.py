"""examples/workload: whole pipelines in one program, from nothing to nothing, on real servers."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import psycopg
import pytest
from support import cli
from support.moto import REGION
from support.workload import EDGES, ROOM, TARGET, Example, leaks, no_servers_of, ordered, overlapping

STACK = "ptd:index:Stack"
STEPS = list(EDGES)


def stacks(result: cli.Result) -> list[str]:
    """The inner stacks that a run worked on."""
    return sorted(name.removeprefix(f"{STACK}::") for name in result.steps if name.startswith(f"{STACK}::"))


def events(result: cli.Result, op: str) -> list[tuple[str, str]]:
    """When each inner stack's operation began and ended, in the order of the outer engine's events."""
    found = []
    for event in result.events:
        for kind, what in (("resourcePreEvent", "begins"), ("resOutputsEvent", "ends")):
            if kind in event and event[kind]["metadata"]["op"] == op and event[kind]["metadata"]["type"] == STACK:
                found.append((what, cli.short(event[kind]["metadata"]["urn"]).split("::")[1]))
    return found


def generated(example: Example, workspace: cli.Workspace) -> dict[str, str]:
    """Every secret that the run was given or made."""
    master = example.secret(f"rds-{TARGET}-main")["password"]
    return {
        "Grafana's password": workspace.outputs()["grafanaPassword"],
        "the master password": master,
        "Mimir's password": example.secret(f"{TARGET}.posit.team")["mimir-password"],
        "the database server's password": urlsplit(example.postgres.url).password,
        "the cluster's token": example.kubernetes.facts["token"],
    }


def look_around(example: Example, workspace: cli.Workspace, kube_get) -> None:
    """What independent clients find when all steps have run."""
    shown = workspace.outputs()
    assert shown["siteUrls"] == {"main": "https://acme.example.com", "research": "https://research.acme.example.com"}
    assert shown["clusterNames"] == {"20250115": f"{TARGET}-20250115"}

    client = example.moto.client
    (vpc,) = [vpc for vpc in client("ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]
    assert {"Key": "Name", "Value": TARGET} in vpc["Tags"]
    assert [db["DBInstanceIdentifier"] for db in client("rds").describe_db_instances()["DBInstances"]] == [f"{TARGET}-main"]
    assert client("eks").list_clusters()["clusters"] == [f"{TARGET}-20250115"]
    # The reprise let the cluster's service accounts in.
    issuer = client("eks").describe_cluster(name=f"{TARGET}-20250115")["cluster"]["identity"]["oidc"]["issuer"]
    trust = client("iam").get_role(RoleName=f"mimir.{TARGET}.posit.team")["Role"]["AssumeRolePolicyDocument"]
    assert issuer.removeprefix("https://") in str(trust)
    fields = example.secret(f"{TARGET}.posit.team")
    assert fields["chronicle-bucket"] == f"ptd-{TARGET}-chronicle" and all(fields.values())

    connection = example.postgres.url.rpartition("/")[0].rpartition("@")[2]
    role = f"grafana_{TARGET.replace('-', '_')}"
    with psycopg.connect(f"postgresql://{connection}/{role}", user=role, password=shown["grafanaPassword"]) as live:
        assert live.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'").fetchone() == (1,)

    stored = kube_get("/api/v1/namespaces/posit-team-system/secrets/grafana-database")["data"]
    assert base64.b64decode(stored["password"]).decode() == shown["grafanaPassword"]
    stored = kube_get("/api/v1/namespaces/alloy/secrets/mimir-auth")["data"]
    assert base64.b64decode(stored["password"]).decode() == fields["mimir-password"]
    site = kube_get("/apis/core.posit.team/v1beta1/namespaces/posit-team/sites/research")["spec"]
    assert site["domain"] == "research.acme.example.com" and site["mainDatabaseId"] == f"{TARGET}-main"


def nothing_runs_again(example: Example, workspace: cli.Workspace, target: str = TARGET) -> None:
    before = example.objects(target)
    again = workspace.up()
    assert not again.changes, again
    # Not even a lock was taken.
    assert example.objects(target) == before


def nothing_is_found_changed(example: Example, workspace: cli.Workspace, target: str = TARGET) -> None:
    """By a preview, and by a refresh, which looks at what all the stacks made."""
    before = example.objects(target)
    planned = workspace.preview()
    assert not planned.changes, planned
    looked = workspace.refresh()
    found = {one["urn"].split("::")[-1]: one["outputs"]["drift"] for one in workspace.resources() if one["type"] == STACK}
    assert found and found == dict.fromkeys(found, {}), looked
    assert example.objects(target) == before
    nothing_runs_again(example, workspace, target)


def up_in_order(example: Example) -> None:
    """Order and parallelism, as the inner stacks' own histories have them."""
    updates = example.updates()
    assert {step: [(one.kind, one.result) for one in of] for step, of in updates.items()} == {
        step: [("update", "succeeded")] * (2 if step == "persistent" else 1) for step in STEPS
    }
    assert updates["persistent"][1].start >= updates["sites"][0].end and updates["persistent"][1].changes["update"] > 0, updates
    first = {step: of[0] for step, of in updates.items()}
    ordered(first)
    assert overlapping(first["postgres_config"], first["eks"]), first


def test_one_program_from_nothing_to_nothing(example, kube_get):
    workspace = example.open("one-program")
    planned = workspace.preview()
    assert stacks(planned) == sorted(STEPS)
    assert example.moto.client("s3").list_buckets()["Buckets"] == []

    first = workspace.up()
    look_around(example, workspace, kube_get)
    up_in_order(example)
    secrets = generated(example, workspace)
    places = {"what was shown": first.text, **example.written(workspace), **example.texts(versions=True)}
    assert leaks(secrets, places) == []
    nothing_runs_again(example, workspace)
    nothing_is_found_changed(example, workspace)

    # Another password: its step runs, and the one that is given it; helm and sites are given nothing else than before.
    program = workspace.folder.parent / "programs/postgres_config/__main__.py"
    text = program.read_text()
    assert "password=password(name)" in text
    program.write_text(text.replace("password=password(name)", "password=password(name, length=44)"))
    changed = workspace.up()
    assert stacks(changed) == ["clusters", "postgres_config"]
    assert changed.diff("postgres_config") == {'sourceDigests["__main__.py"]': "update"}
    assert {step: len(of) for step, of in example.updates().items()} == {
        "persistent": 2, "postgres_config": 2, "eks": 1, "clusters": 2, "helm": 1, "sites": 1,
    }  # fmt: skip
    assert len(workspace.outputs()["grafanaPassword"]) == 44
    look_around(example, workspace, kube_get)
    secrets |= {"Grafana's new password": workspace.outputs()["grafanaPassword"]}
    places = {"what was shown": changed.text, **example.written(workspace), **example.texts()}
    assert leaks(secrets, places) == []

    gone = workspace.destroy()
    seen = events(gone, "delete")
    for step, before in EDGES.items():
        for other in before:
            assert seen.index(("ends", step)) < seen.index(("begins", other)), seen
    assert leaks(secrets, {"what was shown": gone.text, **example.written(workspace)}) == []
    assert workspace.resources() == []
    no_servers_of(example, kube_get)


def test_the_same_as_a_yaml_program(example, kube_get):
    workspace = example.open("one-program-yaml")
    first = workspace.up()
    look_around(example, workspace, kube_get)
    up_in_order(example)
    secrets = generated(example, workspace)
    assert leaks(secrets, {"what was shown": first.text, **example.written(workspace), **example.texts()}) == []
    nothing_runs_again(example, workspace)
    workspace.destroy()
    assert workspace.resources() == []
    no_servers_of(example, kube_get)


def test_two_programs_of_which_the_first_makes_the_second_ones_backend(example, kube_get):
    boot = cli.Workspace(example.folder / "two-programs/bootstrap", example.env, "bootstrap").init()
    boot.up()
    made = boot.outputs()
    url, key = made["backendUrl"], made["secretsProviderUrl"]
    assert url == f"s3://ptd-{TARGET}?region={REGION}"
    pipeline = example.open("two-programs/pipeline", "--secrets-provider", key, PULUMI_BACKEND_URL=url)
    first = pipeline.up()
    look_around(example, pipeline, kube_get)
    up_in_order(example)
    # Its own state is one more in the bucket, and encrypted with the key.
    assert f".pulumi/stacks/ptd-workload-pipeline/{cli.STACK}.json" in example.objects()
    assert pipeline.export()["secrets_providers"]["type"] == "cloud"
    secrets = generated(example, pipeline)
    assert leaks(secrets, {"what was shown": first.text, **example.texts()}) == []
    before = {step: len(of) for step, of in example.updates().items()}
    assert not pipeline.up().changes
    assert {step: len(of) for step, of in example.updates().items()} == before
    # The bucket is not given up while it holds the state of anything.
    refused = boot.destroy(fails=True)
    assert "ptd-workload-pipeline" in refused.text, refused
    boot.up()

    pipeline.destroy()
    last = {step: of[-1] for step, of in example.updates().items()}
    assert {step: one.kind for step, one in last.items()} == dict.fromkeys(STEPS, "destroy")
    ordered(last, reverse=True)
    assert overlapping(last["postgres_config"], last["eks"]), last
    pipeline.run("stack", "rm", "--yes", cli.STACK)
    boot.destroy()
    no_servers_of(example, kube_get)


def test_the_control_room_in_one_program(example, kube_get):
    workspace = example.open("control-room-program").secret_config(opsgenieApiKey="key-of-the-alerting-service")
    first = workspace.up()
    shown = workspace.outputs()
    client = example.moto.client
    assert client("eks").list_clusters()["clusters"] == [ROOM]
    assert client("ds", "us-east-1").describe_directories()["DirectoryDescriptions"][0]["DirectoryId"] == shown["directoryId"]
    stored = kube_get("/api/v1/namespaces/control-room-grafana/secrets/grafana-database")["data"]
    assert base64.b64decode(stored["password"]).decode() == shown["grafanaPassword"]
    stored = kube_get("/api/v1/namespaces/control-room-grafana/secrets/opsgenie")["data"]
    assert base64.b64decode(stored["api-key"]).decode() == "key-of-the-alerting-service"
    updates = {step: of[0] for step, of in example.updates(ROOM).items()}
    edges = {"workspaces": (), "persistent": (), "postgres_config": ("persistent",), "cluster": ("postgres_config",)}
    assert sorted(updates) == sorted(edges)
    ordered(updates, edges)
    assert overlapping(updates["workspaces"], updates["persistent"]), updates
    secrets = {
        "Grafana's password": shown["grafanaPassword"],
        "the master password": example.secret(f"rds-{ROOM}-main")["password"],
        "the key": "key-of-the-alerting-service",
    }
    assert leaks(secrets, {"what was shown": first.text, **example.written(workspace), **example.texts(ROOM)}) == []
    before = example.objects(ROOM)
    assert not workspace.up().changes and example.objects(ROOM) == before
    workspace.destroy()
    assert workspace.resources() == []
    no_servers_of(example, kube_get)


def test_the_control_room_by_its_component_in_yaml(example, kube_get):
    """With a bootstrap of its own, and what only people have filled in between."""
    consent = {"allowDelete": True}
    bucket = {"forceDestroy": True, "tlsOnly": False}
    bootstrap = {"target": ROOM, "kind": "controlRoom", "stateBucket": bucket, "encryptionKey": consent, "secrets": consent}
    key = {"secret": f"{ROOM}.ctrl.posit.team", "fields": {"opsgenie-api-key": "${opsgenieApiKey}"}}
    room = {
        "target": ROOM, "targetsDir": "../infra", "programs": "../control-room", "watch": ["../programs/common"],
        "onDelete": "destroyAndRemove", "backendUrl": "${bootstrap.backendUrl}", "secretsProvider": "${bootstrap.secretsProviderUrl}",
        "steps": {
            "persistent": {"config": {"database_server": "${databaseServer}"}},
            "cluster": {"config": {"kubeconfig": "${kubeconfig}"}},
        },
    }  # fmt: skip
    (folder := example.folder / "control-room-yaml").mkdir()
    cli.Workspace(folder, example.env, "control-room-yaml").yaml({
        "config": {name: {"type": "string", "secret": True} for name in ("databaseServer", "kubeconfig", "opsgenieApiKey")},
        "resources": {
            "bootstrap": {"type": "ptd:aws:Bootstrap", "properties": bootstrap},
            "alerts": {"type": "ptd:aws:SecretFields", "properties": key, "options": {"dependsOn": ["${bootstrap}"]}},
            "room": {"type": "ptd:index:ControlRoom", "properties": room, "options": {"dependsOn": ["${bootstrap}", "${alerts}"]}},
        },
        "outputs": {"steps": "${room.stepNames}", "cluster": '${room.steps["cluster"]["cluster_name"]}'},
    })  # fmt: skip
    workspace = example.open("control-room-yaml").secret_config(opsgenieApiKey="key-of-the-alerting-service")
    first = workspace.up()
    assert workspace.outputs() == {"steps": ["workspaces", "persistent", "postgres_config", "cluster"], "cluster": ROOM}
    stored = kube_get("/api/v1/namespaces/control-room-grafana/secrets/opsgenie")["data"]
    assert base64.b64decode(stored["api-key"]).decode() == "key-of-the-alerting-service"
    secrets = {"the master password": example.secret(f"rds-{ROOM}-main")["password"], "the key": "key-of-the-alerting-service"}
    assert leaks(secrets, {"what was shown": first.text, **example.written(workspace), **example.texts(ROOM)}) == []
    nothing_is_found_changed(example, workspace, ROOM)
    workspace.destroy()
    assert workspace.resources() == []
    no_servers_of(example, kube_get)


def test_the_component_makes_the_same(example, kube_get):
    workspace = example.open("component")
    first = workspace.up()
    look_around(example, workspace, kube_get)
    up_in_order(example)
    assert workspace.outputs()["stepNames"] == ["bootstrap", *STEPS, "persistent_reprise"]
    assert any("persistent_reprise  succeeded" in text for text in first.messages("info"))
    assert leaks(generated(example, workspace), {"what was shown": first.text, **example.written(workspace)}) == []
    nothing_runs_again(example, workspace)

    # What the programs share concerns each of them, and what does not change anything stops there.
    common = next((workspace.folder.parent / "programs/common").glob("*.py"))
    common.write_text(common.read_text() + "\n# Changed.\n")
    before = example.updates()
    workspace.up()
    after = example.updates()
    assert {step: len(after[step]) - len(before[step]) for step in STEPS} == {step: 2 if step == "persistent" else 1 for step in STEPS}
    workspace.destroy()
    assert workspace.resources() == []
    no_servers_of(example, kube_get)


@pytest.mark.parametrize("project", ["one-program", "one-program-yaml"])
def test_without_consent_nothing_is_destroyed(example, project):
    """What `allowDelete` and `onDelete` say is the default of an example only."""
    workspace = example.open(project).config(allowDelete="false", **({"onDelete": "refuse"} if "yaml" in project else {}))
    planned = workspace.preview()
    steps = [event["metadata"] for event in planned.of("resourcePreEvent") if event["metadata"]["type"] == STACK]
    inputs = [step["new"]["inputs"] for step in steps]
    assert len(inputs) == len(STEPS) and all(one["onDelete"] == "refuse" for one in inputs)
