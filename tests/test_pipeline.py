"""The standard pipelines as components, through the real CLI on both levels, and the functions that show them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from support import cli, inner, vault

TARGET, ROOM = "acme01-staging", "main01-staging"
SECRET = "s3cr3t-pipeline-value-0123456789"
PERSISTENT = {
    "db_address": "db.example.com", "db_port": 5432, "db_secret_arn": "arn:db", "private_subnet_ids": ["subnet-1"],
    "hosted_zone_name_servers": {"main": {"zone_id": "Z1"}}, "cert_arns": ["arn:cert"], "chronicle_bucket": "chronicle",
    "fs_dns_name": "fs.example.com", "fs_root_volume_id": "fsvol-1", "db": "acme-main", "db_url": "postgres://db", "subnet_ids": ["s-1"],
    "packagemanager_bucket": "packages", "mimir_password": {"fn::secret": SECRET},
}  # fmt: skip
OUTPUTS = {
    "workspaces": {},
    "persistent": PERSISTENT,
    "postgres_config": {
        "grafana_db_name": "grafana", "db_grafana_pw": {"fn::secret": SECRET}, "grant_id": "1",
        "db_grafana_connection": {"fn::secret": {"host": "db", "password": SECRET}},
    },
    "eks": {"kubeconfigs": {"fn::secret": {"20250115": "kubeconfig"}}},
    "clusters": {"namespaces": ["posit-team"]},
    "helm": {},
    "sites": {},
    "cluster": {},
}  # fmt: skip
WORKLOAD = ["persistent", "postgres_config", "eks", "clusters", "helm", "sites"]
CONTROL_ROOM = ["workspaces", "persistent", "postgres_config", "cluster"]
SPEC = {
    "account_id": "123456789012", "region": "us-east-2", "ignore_tags": ["owner"], "extra_postgres_dbs": ["my-db"],
    "clusters": {"20250115": {"spec": {"cluster_version": "1.34"}}},
    "sites": {"main": {"spec": {"domain": "acme.example.com"}}},
}  # fmt: skip


def project(step: str, kind: str = "workload") -> str:
    return f"ptd-aws-{kind}-{step.replace('_', '-')}"


class Pipeline(inner.Backend):
    """An outer project with a target's files, a project for each step, and a backend for them."""

    def __init__(self, workspace: cli.Workspace, root: Path, name: str = TARGET) -> None:
        super().__init__(workspace, root)
        self.name, self.room = name, name == ROOM
        self.kind = "control-room" if self.room else "workload"
        self.log = root / "times"
        self.extra: dict = {}
        parent = "__ctrl__" if self.room else "__work__"
        self.target = f"infra/{parent}/{name}"
        spec = {key: value for key, value in SPEC.items() if key in ("account_id", "region", "ignore_tags") or not self.room}
        document = {"apiVersion": "posit.team/v1", "kind": "AWSControlRoomConfig" if self.room else "AWSWorkloadConfig", "spec": spec}
        workspace.file(f"{self.target}/ptd.yaml", yaml.safe_dump(document))
        for step in CONTROL_ROOM if self.room else WORKLOAD:
            self.program(step)
        self.properties = {
            "target": name, "programs": "programs", "backendUrl": self.url, "secretsProvider": vault.PROVIDER,
            "environment": {"PULUMI_CONFIG_PASSPHRASE": {"fn::secret": inner.PASSPHRASE}}, "bootstrap": {"manage": False},
            "onDelete": "destroyAndRemove",
        } | ({} if self.room else {"workloadSecret": False})  # fmt: skip

    def program(self, step: str, folder: str | None = None, **outputs) -> None:
        """A program that exports its outputs and no resources."""
        outputs = OUTPUTS.get(step, {}) | outputs
        text = yaml.safe_dump({"name": project(step, self.kind), "runtime": "yaml", "outputs": outputs or {"none": True}})
        self.outer.file(f"{folder or f'programs/{step}'}/Pulumi.yaml", text)

    def timed(self, step: str, folder: str | None = None, meets: str = "") -> None:
        """A program that writes down when it ran; it ends once `meets` has begun."""
        folder = folder or f"programs/{step}"
        self.outer.file(f"{folder}/Pulumi.yaml", f"name: {project(step, self.kind)}\nruntime: python\n")
        values = {name: value for name, value in OUTPUTS.get(step, {}).items() if not isinstance(value, dict) or "fn::secret" not in value}
        hidden = {name: value["fn::secret"] for name, value in OUTPUTS.get(step, {}).items() if name not in values}
        self.outer.file(f"{folder}/__main__.py", f"""
import json, os, pathlib, time
import pulumi

log = pathlib.Path({str(self.log)!r})
if not pulumi.runtime.is_dry_run():
    log.mkdir(exist_ok=True)
    began = time.monotonic()
    (log / "{step}.begun").touch()
    deadline = began + 180
    while {meets!r} and not (log / "{meets}.begun").exists():
        assert time.monotonic() < deadline, "{meets} did not begin while {step} ran"
        time.sleep(0.05)
    (log / "{step}.json").write_text(json.dumps([began, time.monotonic(), dict(pulumi.runtime.config.CONFIG.get()), os.getcwd()]))
for name, value in {values!r}.items():
    pulumi.export(name, value)
for name, value in {hidden!r}.items():
    pulumi.export(name, pulumi.Output.secret(value))
""")

    def manifest(self, *steps: dict, **more) -> None:
        text = yaml.safe_dump({"version": 1, "customSteps": list(steps)} | more)
        self.outer.file(f"{self.target}/customizations/manifest.yaml", text)

    def write(self, outputs: dict | None = None, **properties) -> cli.Workspace:
        kind = "ControlRoom" if self.room else "Workload"
        component = {"type": f"ptd:index:{kind}", "properties": self.properties | properties}
        given = {"steps": "${acme.steps}", "names": "${acme.stepNames}"} if outputs is None else outputs
        return self.outer.yaml({"resources": {"acme": component, **self.extra}, "outputs": given})

    def times(self, step: str) -> tuple[float, float]:
        began, ended, *_ = json.loads((self.log / f"{step}.json").read_text())
        return began, ended

    def seen(self, step: str) -> dict:
        """The settings that the program was given, in plain text, without the project's namespace."""
        config = json.loads((self.log / f"{step}.json").read_text())[2]
        return {key.removeprefix(f"{project(step, self.kind)}:"): value for key, value in config.items()}

    def before(self, *steps: str) -> None:
        for one, next_ in zip(steps, steps[1:], strict=False):
            assert self.times(one)[1] <= self.times(next_)[0], f"{one} before {next_}"

    def by_hand(self, step: str, *args: str, kind: str | None = None) -> str:
        full = f"organization/{project(step, kind or self.kind)}/{self.name}"
        return self.look(["pulumi", "stack", *args, "--stack", full, "--non-interactive"])

    def history(self, step: str) -> list[dict]:
        return json.loads(self.by_hand(step, "history", "--json"))

    def updates(self, step: str) -> int:
        return len(self.history(step))

    def stacks(self) -> list[str]:
        """The projects that have a stack in the backend."""
        return sorted(path.parent.name for path in (self.backend / ".pulumi/stacks").glob("*/*.json"))


@pytest.fixture
def pipeline(workspace: cli.Workspace, tmp_path: Path) -> Pipeline:
    return Pipeline(workspace, tmp_path)


@pytest.fixture
def room(workspace: cli.Workspace, tmp_path: Path) -> Pipeline:
    return Pipeline(workspace, tmp_path, ROOM)


# The component.


def test_a_workload_from_nothing_to_nothing(pipeline):
    for step in WORKLOAD:
        pipeline.timed(step, meets={"postgres_config": "eks", "eks": "postgres_config"}.get(step, ""))
    # pulumi-yaml makes {} of a secret inside a map that it exports as a whole; named by itself it is right.
    shown = {"names": "${acme.stepNames}", "address": "${acme.steps.persistent.db_address}",
             "password": "${acme.steps.persistent.mimir_password}", "kubeconfigs": "${acme.steps.eks.kubeconfigs}"}  # fmt: skip
    outer = pipeline.write(shown, steps={"kubernetes": {"config": {"kubeconfig": {"fn::secret": SECRET}}}})
    outer.init().preview()
    assert pipeline.stacks() == [] and not pipeline.log.exists(), "a preview writes nothing"
    first = outer.up()
    assert first.changes == {"create": 8}
    # The two in the middle met, or they would have failed.
    pipeline.before("persistent", "postgres_config", "clusters", "helm", "sites")
    pipeline.before("persistent", "eks", "clusters")

    outputs = outer.outputs()
    assert outputs["names"] == WORKLOAD
    assert outputs["password"] == SECRET and outputs["kubeconfigs"] == {"20250115": "kubeconfig"}
    hidden = outer.outputs(show_secrets=False)
    assert SECRET not in json.dumps(hidden) and SECRET not in json.dumps(outer.export()), "secrets stay secret"
    assert hidden["address"] == "db.example.com", "and only they"
    for text in (first.text, json.dumps(first.events)):
        assert SECRET not in text

    persistent, eks, clusters = pipeline.seen("persistent"), pipeline.seen("eks"), pipeline.seen("clusters")
    assert persistent["target"] == TARGET and persistent["aws:region"] == "us-east-2"
    assert json.loads(persistent["aws:ignoreTags"]) == {"keys": ["owner"]}
    assert json.loads(persistent["sites"]) == {"main": {"domain": "acme.example.com"}}
    assert json.loads(pipeline.seen("postgres_config")["extra_databases"]) == ["my_db"]
    assert json.loads(eks["clusters"])["20250115"]["cluster_version"] == "1.34"
    assert json.loads(eks["private_subnet_ids"]) == ["subnet-1"] and eks["kubeconfig"] == SECRET
    assert (clusters["db_address"], clusters["db_port"], clusters["db_grafana_pw"]) == ("db.example.com", "5432", SECRET)
    assert json.loads(clusters["kubeconfigs"]) == {"20250115": "kubeconfig"}
    assert pipeline.seen("helm")["account_id"] == "123456789012"
    assert str(outer.folder) not in json.dumps(outer.export()), "no absolute path in the state"

    again = outer.up()
    assert not again.changes and all(pipeline.updates(step) == 1 for step in WORKLOAD)

    removed = outer.destroy()
    ended = [cli.short(event["metadata"]["urn"]) for event in removed.of("resOutputsEvent")]
    order = [name.split("acme-")[1] for name in ended if name.startswith("ptd:index:Stack::")]
    assert order[:3] == ["sites", "helm", "clusters"] and order[-1] == "persistent" and len(order) == 6
    assert pipeline.stacks() == []


def test_a_change_runs_its_step_and_what_takes_a_changed_output(pipeline):
    outer = pipeline.write().init()
    outer.up()
    pipeline.program("persistent", db_port=5433)
    # Of bootstrap's place nothing is known here; of the steps everything.
    done = outer.up()
    ran = {name.split("acme-")[1] for name in done.steps if "acme-" in name}
    assert ran == {"persistent", "postgres_config", "clusters"}
    assert {step: pipeline.updates(step) for step in WORKLOAD} == {
        "persistent": 2, "postgres_config": 2, "eks": 1, "clusters": 2, "helm": 1, "sites": 1
    }  # fmt: skip


def workload_secret(boto) -> dict:
    found = boto("secretsmanager").get_secret_value(SecretId=f"{TARGET}.posit.team", VersionStage="AWSCURRENT")
    return json.loads(found["SecretString"])


def test_bootstrap_is_the_first_step_and_fills_the_secret(pipeline, boto):
    consent = {"stateBucket": {"forceDestroy": True}, "encryptionKey": {"allowDelete": True}, "secrets": {"allowDelete": True}}
    outer = pipeline.write(bootstrap=consent, workloadSecret=True).init()
    outer.preview()
    assert boto("s3").list_buckets()["Buckets"] == [] and pipeline.stacks() == []
    done = outer.up()
    boto("s3").head_bucket(Bucket=f"ptd-{TARGET}")
    fields = workload_secret(boto)
    assert (fields["chronicle-bucket"], fields["main-database-id"], fields["mimir-password"]) == ("chronicle", "acme-main", SECRET)
    names = {cli.short(resource["urn"]) for resource in outer.resources()}
    assert {"ptd:aws:Bootstrap::acme-bootstrap", "ptd:aws:StateBucket::acme-bootstrap-state-bucket"} <= names
    assert SECRET not in done.text
    assert outer.outputs()["steps"]["bootstrap"]["backendUrl"] == f"s3://ptd-{TARGET}?region=us-east-2"
    assert outer.outputs()["names"] == ["bootstrap", *WORKLOAD]
    assert not outer.up().changes

    # What a program reads by itself runs it again as well.
    pipeline.program("persistent", fs_dns_name="other.example.com")
    outer.up()
    assert workload_secret(boto)["fs-dns-name"] == "other.example.com"
    assert [pipeline.updates(step) for step in ("eks", "clusters", "helm", "sites")] == [1, 2, 2, 2]
    outer.destroy()
    assert outer.resources() == [] and pipeline.stacks() == []


def test_the_control_room_in_its_own_account_gets_the_password(pipeline, boto):
    spec = SPEC | {"control_room_cluster_name": ROOM, "control_room_region": "us-west-2"}
    file = f"{pipeline.target}/ptd.yaml"
    document = {"apiVersion": "posit.team/v1", "kind": "AWSWorkloadConfig", "spec": spec}
    pipeline.outer.file(file, yaml.safe_dump(document))
    outer = pipeline.write(onlySteps=["persistent"]).init()
    assert "control_room_account_id" in outer.preview(fails=True).text
    spec["control_room_account_id"] = "210987654321"
    pipeline.outer.file(file, yaml.safe_dump(document))
    there = boto("secretsmanager", region="us-west-2", account="210987654321")
    secret = f"{ROOM}.mimir-auth.posit.team"
    there.create_secret(Name=secret, SecretString=json.dumps({"other01-production": "theirs"}))
    done = outer.up()
    found = json.loads(there.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"])
    assert found == {"other01-production": "theirs", TARGET: SECRET}
    assert SECRET not in done.text and not outer.up().changes


def test_a_missing_output_is_named_and_the_next_run_goes_on(pipeline):
    pipeline.program("postgres_config", grafana_db_name=None)
    outer = pipeline.write().init()
    failed = outer.up(fails=True)
    for part in ("clusters", "grafana_db_name", "step 'postgres_config'", f"organization/{project('postgres_config')}/{TARGET}", "consumes"):
        assert part in failed.text, part
    assert "helm, sites" in failed.text
    assert project("clusters") not in pipeline.stacks() and project("postgres_config") in pipeline.stacks()
    pipeline.program("postgres_config")
    outer.up()
    assert len(pipeline.stacks()) == 6


def test_a_failing_step_stops_those_that_wait_for_it_alone(pipeline):
    good = (pipeline.outer.folder / "programs/eks/Pulumi.yaml").read_text()
    pipeline.outer.file("programs/eks/Pulumi.yaml", f"name: {project('eks')}\nruntime: yaml\noutputs:\n  a: ${{nothing.there}}\n")
    outer = pipeline.write(steps={"eks": {}}).init()
    failed = outer.up("--continue-on-error", fails=True)
    assert f"organization/{project('eks')}/{TARGET}" in failed.text
    assert pipeline.updates("postgres_config") == 1 and project("clusters") not in pipeline.stacks()
    (table,) = [text for text in failed.messages("info") if "result" in text and "changes" in text]
    rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    assert rows["persistent"].split()[1] == "succeeded" and rows["eks"].split()[1] == "failed"
    assert rows["eks"].endswith("…") and rows["clusters"].endswith("not run") and rows["sites"].endswith("not run")
    pipeline.outer.file("programs/eks/Pulumi.yaml", good)
    done = outer.up()
    assert pipeline.updates("sites") == 1 and pipeline.updates("postgres_config") == 1
    assert any("postgres_config  unchanged" in text for text in done.messages("info"))
    assert not any("unchanged" in text for text in outer.up().messages("info"))


def test_custom_steps_run_where_the_manifest_puts_them(pipeline):
    custom = f"{pipeline.target}/customizations"
    pipeline.manifest(
        {"name": "audit_logs", "path": "audit", "insertAfter": "persistent", "description": "Ships logs"},
        {"name": "then", "path": "then", "insertAfter": "audit_logs"},
        {"name": "gate", "path": "deep/gate", "insertBefore": "aks"},
        {"name": "off", "path": "off", "enabled": False},
    )
    for step, path in (("audit_logs", "audit"), ("then", "then"), ("gate", "deep/gate"), ("off", "off")):
        pipeline.timed(step, f"{custom}/{path}")
    for step in WORKLOAD:
        pipeline.timed(step)
    outer = pipeline.write(steps={"then": {"consumes": {"address": "persistent.db_address"}}}).init()
    outer.up()
    names = ["persistent", "audit_logs", "then", "postgres_config", "gate", "eks", "clusters", "helm", "sites", "off"]
    assert outer.outputs()["names"] == names
    pipeline.before("persistent", "audit_logs", "then", "gate", "eks", "clusters")
    pipeline.before("then", "postgres_config", "clusters")
    audit, gate = pipeline.seen("audit_logs"), pipeline.seen("gate")
    assert audit == {"aws:region": "us-east-2", "ptd:workloadName": TARGET, "ptd:ptdYamlPath": "../../ptd.yaml"}
    assert (outer.folder / custom / "deep/gate" / gate["ptd:ptdYamlPath"]).resolve() == (outer.folder / pipeline.target / "ptd.yaml").resolve()
    assert pipeline.seen("then")["address"] == "db.example.com"
    assert project("off") not in pipeline.stacks()
    # Nothing is written into the folders of the steps.
    assert sorted(p.name for p in (outer.folder / custom / "audit").iterdir()) == ["Pulumi.yaml", "__main__.py"]


def test_a_control_room(room, boto):
    for step in CONTROL_ROOM:
        room.timed(step)
    consent = {"manage": True, "stateBucket": {"forceDestroy": True}, "encryptionKey": {"allowDelete": True}, "secrets": {"allowDelete": True}}
    outer = room.write(bootstrap=consent).init()
    outer.up()
    assert outer.outputs()["names"] == ["bootstrap", *CONTROL_ROOM]
    room.before("persistent", "postgres_config", "cluster")
    assert json.loads(room.seen("cluster")["db_grafana_connection"])["password"] == SECRET
    assert room.seen("workspaces")["workspaces_enabled"] == "true"
    names = {secret["Name"] for secret in boto("secretsmanager").list_secrets()["SecretList"]}
    assert names == {f"{ROOM}.mimir-auth.posit.team", f"{ROOM}.ctrl.posit.team"}
    assert not outer.up().changes


def test_a_python_program_gives_what_only_it_knows(pipeline):
    outer = pipeline.outer.python(
        f"""
import pulumi
import pulumi_ptd as ptd

secret = pulumi.Output.secret({SECRET!r})
acme = ptd.Workload(
    "acme", target="{TARGET}", programs="programs", backend_url="{pipeline.url}", secrets_provider="passphrase",
    environment={{"PULUMI_CONFIG_PASSPHRASE": pulumi.Output.secret("inner passphrase")}}, workload_secret=False,
    bootstrap=ptd.PipelineBootstrapArgs(manage=False), on_delete="destroyAndRemove",
    steps={{"eks": ptd.StepOverridesArgs(config={{"kubeconfig": secret}}), "persistent": ptd.StepOverridesArgs(config={{"database_server": secret}})}},
)
pulumi.export("address", acme.steps["persistent"]["db_address"])
pulumi.export("names", acme.step_names)
"""
    ).init()
    for step in ("persistent", "eks"):
        pipeline.timed(step)
    outer.preview()
    done = outer.up()
    assert outer.outputs() == {"address": "db.example.com", "names": WORKLOAD}
    assert pipeline.seen("eks")["kubeconfig"] == SECRET == pipeline.seen("persistent")["database_server"]
    assert SECRET not in done.text and SECRET not in json.dumps(outer.export())
    assert not outer.up().changes
    outer.destroy()
    assert pipeline.stacks() == []


def test_skipped_steps_keep_their_state_and_give_their_outputs(pipeline):
    outer = pipeline.write(onlySteps=["persistent", "kubernetes"]).init()
    outer.up()
    assert pipeline.stacks() == sorted([project("persistent"), project("eks")])
    failed = pipeline.write(startAtStep="clusters").up(fails=True)
    for part in ("step 'clusters'", "postgres_config", "does not run this time"):
        assert part in failed.text, part
    assert project("clusters") not in pipeline.stacks()
    # What changed meanwhile in a step that does not run waits, and is told.
    pipeline.program("persistent", db_port=5433)
    done = pipeline.write(startAtStep="postgres_config").up()
    assert "skipped, although its program has changed" in done.text
    assert [pipeline.updates(step) for step in WORKLOAD] == [1, 1, 1, 1, 1, 1]
    assert outer.outputs()["steps"]["persistent"]["db_port"] == 5432 and outer.outputs()["names"] == WORKLOAD
    pipeline.write().up()
    assert [pipeline.updates(step) for step in WORKLOAD] == [2, 2, 1, 2, 1, 1]


def test_steps_without_targeted_resources_do_not_run(pipeline):
    outer = pipeline.write().init()
    outer.up()
    for step in WORKLOAD:
        pipeline.program(step, changed=True)
    stack = f"urn:pulumi:{TARGET}::{project('eks')}::pulumi:pulumi:Stack::{project('eks')}-{TARGET}"
    pipeline.write(targetResources=[stack]).up()
    assert [pipeline.updates(step) for step in WORKLOAD] == [1, 1, 2, 1, 1, 1]


def test_the_reprise_runs_persistent_again_at_the_end(pipeline):
    outer = pipeline.write(persistentReprise=True).init()
    outer.up()
    assert outer.outputs()["names"] == [*WORKLOAD, "persistent_reprise"]
    assert pipeline.updates("persistent") == 2
    assert not outer.up().changes
    outer.destroy()
    assert pipeline.stacks() == []


def test_the_secret_has_what_the_reprise_finds(pipeline, boto):
    consent = {"stateBucket": {"forceDestroy": True}, "encryptionKey": {"allowDelete": True}, "secrets": {"allowDelete": True}}
    outer = pipeline.write(bootstrap=consent, workloadSecret=True, persistentReprise=True).init()
    pipeline.timed("sites")
    pipeline.timed("persistent")
    program = outer.folder / "programs/persistent/__main__.py"
    late = f"""
if pathlib.Path({str(pipeline.log)!r}, "sites.json").exists():
    pulumi.export("fs_dns_name", "late.example.com")
"""
    program.write_text(program.read_text() + late)
    outer.up()
    assert workload_secret(boto)["fs-dns-name"] == "late.example.com"
    assert workload_secret(boto)["mimir-password"] == SECRET
    assert not outer.up().changes
    outer.destroy()
    assert outer.resources() == [] and pipeline.stacks() == []


# What is refused before anything happens.


@pytest.mark.parametrize(
    ("properties", "path", "text"),
    [
        ({"target": "acme01-stagin"}, "target", "did you mean `acme01-staging`?"),
        ({"programs": "nowhere"}, "programs", "there is no directory nowhere/eks"),
        ({"onlySteps": ["persistant"]}, "onlySteps[0]", "did you mean 'persistent'?"),
        ({"startAtStep": "kubernets"}, "startAtStep", "did you mean 'kubernetes'?"),
        ({"onlySteps": ["helm"], "startAtStep": "sites"}, "startAtStep", "not among onlySteps: helm"),
        ({"steps": {"ekss": {}}}, "steps.ekss", "there is no step 'ekss'"),
        ({"steps": {"eks": {}, "kubernetes": {}}}, "steps.kubernetes", "'eks' is the same step"),
        ({"steps": {"eks": {"consumes": {"a": "helm.b"}}}}, "steps.eks.consumes.a", "runs before 'helm'"),
        ({"steps": {"eks": {"directory": "elsewhere"}}}, "steps.eks.directory", "there is no directory elsewhere"),
        ({"targetResources": ["urn:a"], "excludeResources": ["urn:b"]}, "excludeResources", "targetResources"),
        ({"onDelete": "remove"}, "onDelete", "retain"),
    ],
)
def test_bad_inputs_fail_their_check(pipeline, properties, path, text):
    failed = pipeline.write(**properties).init().preview(fails=True)
    assert path in failed.text and text in failed.text, failed
    assert pipeline.stacks() == []


def test_projects_are_checked_one_by_one(pipeline):
    folder = pipeline.outer.folder / "programs"
    (folder / "helm/Pulumi.yaml").unlink()
    (folder / "sites/Pulumi.yaml").write_text("name: other\nruntime: yaml\n")
    failed = pipeline.write().init().preview(fails=True)
    assert "programs/helm has no Pulumi.yaml" in failed.text
    assert "called 'other'" in failed.text and project("sites") in failed.text


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([{"name": "eks", "path": "ok"}], "belongs to the standard step `eks`"),
        ([{"name": "persistent_reprise", "path": "ok"}], "belongs to the standard step `persistent_reprise`"),
        ([{"name": "x", "path": "ok", "insertAfter": "hlem"}], "did you mean `helm`?"),
        ([{"name": "x", "path": "ok", "insertAfter": "y"}, {"name": "y", "path": "ok", "insertBefore": "x"}], "x -> y -> x"),
        ([{"name": "x", "path": "../.."}], "leaves the folder"),
        ([{"name": "x", "path": "gone"}], "does not exist"),
        ([{"name": "x", "path": "..", "enabled": False}], "leaves the folder"),
        ([{"name": "x", "path": "ok", "insert_after": "helm"}], "it is spelt `insertAfter`"),
        ([{"name": "x", "path": "go"}], "go has no Pulumi.yaml"),
        ([{"name": "x", "path": "ok"}], f"called '{project('ok')}'"),
    ],
)
def test_bad_manifests_fail_their_check(pipeline, steps, text):
    pipeline.program("ok", f"{pipeline.target}/customizations/ok")
    for file in ("main.go", "go.mod"):
        pipeline.outer.file(f"{pipeline.target}/customizations/go/{file}", "")
    pipeline.manifest(*steps)
    failed = pipeline.write().init().preview(fails=True)
    assert text in failed.text, failed
    assert pipeline.stacks() == []


def test_a_manifest_of_another_version_is_refused(pipeline):
    pipeline.manifest(version=2)
    assert "unsupported manifest version 2, expected 1" in pipeline.write().init().preview(fails=True).text


def test_targets_of_another_kind_are_refused(pipeline, room):
    assert "is a control room" in pipeline.write(target=ROOM).init().preview(fails=True).text
    other = pipeline.write(bootstrap={"azure": {"allowDelete": True}}).preview(fails=True).text
    assert "bootstrap.azure" in other and "another cloud" in other
    assert "is a workload" in room.write(target=TARGET).preview(fails=True).text


# The functions.


def asked(workspace: cli.Workspace, function: str, **arguments) -> dict:
    call = {"fn::invoke": {"function": f"ptd:index:{function}", "arguments": arguments}}
    workspace.yaml({"variables": {"it": call}, "outputs": {"it": "${it}"}}).init().up()
    return workspace.outputs()["it"]


def test_list_steps(pipeline, proxy):
    pipeline.manifest({"name": "audit", "path": "audit", "insertAfter": "eks", "description": "Ships logs", "proxyRequired": True})
    pipeline.program("audit", f"{pipeline.target}/customizations/audit")
    found = asked(pipeline.outer, "listSteps", target=TARGET, onlySteps=["kubernetes", "persistent"])
    assert proxy.calls == []
    assert found["names"] == ["bootstrap", "persistent", "postgres_config", "eks", "audit", "clusters", "helm", "sites"]
    assert found["selected"] == ["persistent", "eks"] and found["proxyRequired"] is True
    steps = {step["name"]: step for step in found["steps"]}
    assert steps["eks"]["selector"] == "kubernetes" and steps["eks"]["dependsOn"] == ["persistent"]
    assert steps["audit"]["custom"] and steps["audit"]["dependsOn"] == ["eks"]
    assert steps["clusters"]["dependsOn"] == ["postgres_config", "audit"]
    assert steps["clusters"]["consumes"]["db_grafana_pw"] == "postgres_config.db_grafana_pw"
    assert [name for name, step in steps.items() if step["proxyRequired"]] == ["postgres_config", "eks", "audit", "clusters", "helm", "sites"]
    assert steps["postgres_config"]["stack"] == f"organization/{project('postgres_config')}/{TARGET}"
    assert "stack" not in steps["bootstrap"] and "Safe" in steps["bootstrap"]["rerun"]
    assert "  5. audit [CUSTOM] [PROXY] (not selected) after eks\n      Ships logs\n" in found["text"]
    assert found["text"].endswith("Total: 8 steps (7 standard, 1 custom)")


def test_list_steps_of_other_targets(room):
    room.outer.file("infra/__work__/globex-staging/ptd.yaml", yaml.safe_dump({"kind": "AzureWorkloadConfig", "spec": {}}))
    assert asked(room.outer, "listSteps", target=ROOM)["names"] == CONTROL_ROOM
    azure = asked(room.outer, "listSteps", target="globex-staging", startAtStep="kubernetes")
    assert azure["selected"] == ["aks", "clusters", "helm", "sites"]
    assert azure["steps"][3]["project"] == "ptd-azure-workload-aks" and not azure["steps"][3]["proxyRequired"]


def test_plan_takeover(pipeline):
    found = asked(pipeline.outer, "planTakeover", target=TARGET, name="acme")
    backend = f"s3://ptd-{TARGET}?region=us-east-2"
    assert [stack["step"] for stack in found["stacks"]] == WORKLOAD and found["withoutStack"] == ["bootstrap"]
    eks = found["stacks"][2]
    assert eks["importId"] == f"{backend}#organization/{project('eks')}/{TARGET}"
    assert found["commands"][2] == f"pulumi import ptd:index:Stack acme-eks '{eks['importId']}'" == eks["command"]
    assert found["secretsProvider"] == "awskms://alias/posit-team-dedicated?region=us-east-2"


def test_the_commands_to_open_a_stack_by_hand_work(pipeline, new_workspace):
    pipeline.write().init().up()
    other = new_workspace("other")
    (other.folder / "infra").symlink_to(pipeline.outer.folder / "infra")
    (other.folder / "programs").symlink_to(pipeline.outer.folder / "programs")
    found = asked(other, "stackCommand", target=TARGET, step="aks", programs="programs", backendUrl=pipeline.url)
    full = f"organization/{project('eks')}/{TARGET}"
    assert (found["stack"], found["directory"]) == (full, str(other.folder / "programs/eks"))
    assert found["environment"] == {
        "PULUMI_BACKEND_URL": pipeline.url, "PULUMI_STACK": full, "PULUMI_STACK_NAME": full, "PTD_ROOT": str(other.folder / "infra"),
        "PTD_WORKON": f"{TARGET}:eks", "PULUMI_K8S_DELETE_UNREACHABLE": "false", "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
        "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY": "true",
    }  # fmt: skip
    bare = asked(other, "stackCommand", target=TARGET, step="kubernetes", backendUrl=pipeline.url)
    env = {key: value for key, value in pipeline.outer.env.items() if not key.startswith("PULUMI_BACKEND")}
    env |= {"PULUMI_CONFIG_PASSPHRASE": "inner passphrase"}
    for answer, names in ((found, ("show", "export", "history", "preview")), (bare, ("show", "export", "history"))):
        for name in names:
            done = subprocess.run(
                ["sh", "-c", answer["commands"][name]], env=env | answer["environment"], cwd="/", capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        shown = subprocess.run(["sh", "-c", answer["shell"]], env=env, cwd="/", capture_output=True, text=True)
        assert shown.returncode == 0 and "kubeconfigs" in shown.stdout, shown.stderr
    refused = other.yaml(
        {"outputs": {"it": {"fn::invoke": {"function": "ptd:index:stackCommand", "arguments": {"target": TARGET, "step": "helmm"}}}}}
    ).preview(fails=True)
    assert "did you mean 'helm'?" in refused.text
