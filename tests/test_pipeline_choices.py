"""What a target's files and a program's settings choose in a standard pipeline."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support import inner
from test_pipeline import CONTROL_ROOM, PERSISTENT, ROOM, SPEC, TARGET, WORKLOAD, Pipeline, asked, project

#: What `persistent` need not have.
BESIDE = ("db_port",)
SITES = {"mine": {"domain": "mine.example.com"}}


@pytest.fixture
def pipeline(workspace, tmp_path) -> Pipeline:
    return Pipeline(workspace, tmp_path)


@pytest.fixture
def room(workspace, tmp_path) -> Pipeline:
    return Pipeline(workspace, tmp_path, ROOM)


def ptd_yaml(pipeline: Pipeline, kind: str = "AWSWorkloadConfig", **spec) -> None:
    document = {"apiVersion": "posit.team/v1", "kind": kind, "spec": spec}
    pipeline.outer.file(f"{pipeline.target}/ptd.yaml", yaml.safe_dump(document))


def export(pipeline: Pipeline, step: str, **outputs) -> None:
    """A program that exports these outputs and no others."""
    text = yaml.safe_dump({"name": project(step), "runtime": "yaml", "outputs": outputs or {"none": True}})
    pipeline.outer.file(f"programs/{step}/Pulumi.yaml", text)


def test_steps_take_what_there_is_and_what_is_said_wins(pipeline):
    export(pipeline, "persistent", **{name: value for name, value in PERSISTENT.items() if name not in BESIDE})
    export(pipeline, "eks")
    for step in ("clusters", "sites"):
        pipeline.timed(step)
    custom = f"{pipeline.target}/customizations"
    audit = {"name": "audit", "path": "audit", "insertAfter": "persistent"}
    pipeline.manifest(audit)
    pipeline.outer.file(f"{custom}/audit/Pulumi.yaml", f"name: {project('audit')}\nruntime: python\n")
    pipeline.outer.file(f"{custom}/audit/__main__.py", """
import pulumi

path = pulumi.Config("ptd").require("ptdYamlPath")
pulumi.export("domains", open(path).read().count("domain:"))
""")
    steps = {
        "sites": {"config": {f"{project('sites')}:sites": SITES}},
        "audit": {"consumes": {f"{project('audit')}:address": "persistent.db_address"}, "config": {"address": "other"}},
    }
    outer = pipeline.write({"domains": "${acme.steps.audit.domains}"}, steps=steps, startAtStep="").init()
    outer.up()
    assert len(pipeline.stacks()) == len(WORKLOAD) + 1
    taken = pipeline.seen("clusters")
    assert taken["db_address"] == "db.example.com" and "kubeconfigs" not in taken and "db_port" not in taken
    assert json.loads(pipeline.seen("sites")["sites"]) == SITES
    assert outer.outputs()["domains"] == 1

    # A custom step reads its target's file by itself.
    ptd_yaml(pipeline, **SPEC | {"sites": SPEC["sites"] | {"two": {"spec": {"domain": "two.example.com"}}}})
    outer.up()
    assert outer.outputs()["domains"] == 2 and pipeline.updates("audit") == 2

    # One that is turned off keeps its stack, and needs no program any more.
    pipeline.manifest(audit | {"enabled": False})
    shutil.rmtree(outer.folder / custom / "audit")
    # What its resource records is that the stack stays.
    assert outer.up().steps == {"ptd:index:Stack::acme-audit": ["update"]} and pipeline.updates("audit") == 2
    assert not outer.up().changes
    assert outer.outputs()["domains"] == 2 and project("audit") in pipeline.stacks()
    outer.destroy()
    assert list(pipeline.stacks()) == [project("audit")]


def test_a_setting_that_is_given_twice_is_refused(pipeline):
    twice = {"a": 1, f"{project('eks')}:a": 2}
    failed = pipeline.write(onlySteps=["persistent", "eks"], steps={"eks": {"config": twice}}).init().up(fails=True)
    assert f"is given as '{project('eks')}:a' as well" in failed.text


def test_a_step_before_bootstrap_needs_a_place_for_its_state(pipeline):
    early = {"name": "early", "path": "early", "insertBefore": "bootstrap"}
    pipeline.program("early", f"{pipeline.target}/customizations/early")
    pipeline.manifest(early)
    given = {"bootstrap": {}, "onlySteps": ["early"]}
    pipeline.write({}, **given).init().preview()
    del pipeline.properties["backendUrl"]
    failed = pipeline.write({}, **given).preview(fails=True)
    assert "step 'early' runs before 'bootstrap'" in failed.text and "give backendUrl" in failed.text
    pipeline.write({}, **given, steps={"early": {"stackInputs": {"backendUrl": pipeline.url}}}).preview()


def test_a_control_room_without_workspaces(room):
    ptd_yaml(room, "AWSControlRoomConfig", account_id="123456789012", region="us-east-2", workspaces_enabled=False)
    shutil.rmtree(room.outer.folder / "programs/workspaces")
    found = asked(room.outer, "listSteps", target=ROOM)
    assert found["names"] == CONTROL_ROOM and found["selected"] == CONTROL_ROOM[1:]
    # It keeps what it has, as any step that does not run.
    outer = room.write({})
    outer.preview()
    outer.up()
    assert room.stacks() == sorted(project(step, "control-room") for step in CONTROL_ROOM[1:])
    assert not outer.up().changes
    outer.destroy()
    # Where it has no bootstrap, its name is taken all the same.
    room.program("bootstrap", f"{room.target}/customizations/x")
    room.manifest({"name": "bootstrap", "path": "x"})
    assert "belongs to the standard step `bootstrap`" in outer.preview(fails=True).text


def test_the_commands_for_a_shell_concern_the_inner_stack(pipeline, tmp_path):
    """Wherever they are entered, the directory of the outer program and its backend included."""
    pipeline.outer.env["PULUMI_BACKEND_URL"] = pipeline.url
    answer = asked(pipeline.outer, "stackCommand", target=TARGET, step="eks", backendUrl=pipeline.url)
    pipeline.write({}, onlySteps=["persistent", "eks"]).up()
    env = pipeline.outer.env | {"PULUMI_CONFIG_PASSPHRASE": inner.PASSPHRASE}
    asks = f"{answer['shell']} >/dev/null && pulumi state repair --yes && pulumi stack --show-urns && pulumi stack export"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for place in (pipeline.outer.folder, elsewhere):
        done = subprocess.run(["sh", "-c", asks], env=env, cwd=Path(place), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"{TARGET}::{project('eks')}::" in done.stdout and "acme-eks" not in done.stdout, done.stdout


def test_one_step_and_then_all_but_bootstrap_are_destroyed(pipeline, boto):
    outer = pipeline.write({}, bootstrap={}).init()
    outer.up()
    outer.destroy("--target", "**::acme-sites")
    assert sorted(set(WORKLOAD)) != pipeline.stacks() and project("sites") not in pipeline.stacks() and project("helm") in pipeline.stacks()
    assert "not deleted without consent" in outer.destroy(fails=True).text
    outer.up()
    outer.destroy("--exclude", "**::acme-bootstrap*")
    assert pipeline.stacks() == []
    boto("s3").head_bucket(Bucket=f"ptd-{TARGET}")
    assert not any("Stack::acme" in resource["urn"] for resource in outer.resources())
