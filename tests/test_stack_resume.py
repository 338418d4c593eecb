"""What is due is never forgotten, what is gone is noticed, and what a run needs is all that it needs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import time

import pytest
from support.inner import PASSPHRASE
from support.protocol import until

#: Fails until there is a file of that name beside the project.
READS = {"variables": {"read": {"fn::readFile": "../wanted.txt"}}, "outputs": {"greeting": "${read}"}}

#: A resource whose creation does not end before there is a file of that name, whatever it is told.
HANGS = """
import os, pathlib, time
from pulumi import dynamic

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

class Slow(dynamic.ResourceProvider):
    def create(self, props):
        pathlib.Path(HERE, "begun").touch()
        while not os.path.exists(os.path.join(HERE, "go")):
            time.sleep(0.05)
        return dynamic.CreateResult("slow")

class Thing(dynamic.Resource):
    def __init__(self, name):
        super().__init__(Slow(), name, {})

Thing("thing")
"""


def files(pipeline) -> list[str]:
    return sorted(str(path.relative_to(pipeline.backend)) for path in pipeline.backend.rglob("*"))


@pytest.mark.parametrize("kind", ["Stack", "StackUpdate"])
def test_a_refresh_does_not_make_forget_that_a_run_failed(pipeline, kind):
    inputs = pipeline.inner("web", READS if kind == "Stack" else None)
    name = "web"
    if kind == "StackUpdate":
        name = "again"
        pipeline.resources[name] = {"type": "ptd:index:StackUpdate", "properties": {"spec": "${web.spec}", "triggers": {"n": 1}}}
        pipeline.resources["web"]["properties"] = inputs
        # The owner's run succeeds, and the second one fails.
        pipeline.project("web", READS)
        (pipeline.outer.folder / "wanted.txt").write_text("first")
        pipeline.write().init().up()
        (pipeline.outer.folder / "wanted.txt").unlink()
        pipeline.resources[name]["properties"]["triggers"]["n"] = 2
    outer = pipeline.write(greeting=f"${{{name}.outputs.greeting}}").init()
    outer.up(fails=True)
    (outer.folder / "wanted.txt").write_text("hello")
    outer.refresh()
    assert outer.up().changes == {"update": 1}
    assert outer.outputs() == {"greeting": "hello"}
    assert not outer.up().changes


def test_a_preview_shows_a_stack_that_is_not_there_and_leaves_its_backend_alone(pipeline):
    inputs = pipeline.inner("skipped", skip=True)
    pipeline.inner("removed")
    outer = pipeline.write().init()
    outer.up()
    pipeline.by_hand("removed", "rm", "--yes", "--force")
    shutil.rmtree(pipeline.backend)
    pipeline.backend.mkdir()
    inputs["skip"] = False
    pipeline.resources["removed"]["properties"]["triggers"] = {"again": 1}
    planned = pipeline.write().preview()
    assert planned.changes == {"update": 2}
    assert "removed" in planned.text and "will be made anew" in planned.text
    assert files(pipeline) == []
    assert outer.up(skip_preview=False).changes == {"update": 2}
    assert [len(pipeline.updates(name)) for name in ("skipped", "removed")] == [1, 1]


@pytest.mark.parametrize("source", ["directory", "archive", "program", "git"])
def test_a_stack_is_looked_at_and_destroyed_without_its_program(pipeline, source):
    outer, folder = pipeline.outer, pipeline.outer.folder
    pipeline.project("web")
    given: dict = {"directory": None}
    if source == "directory":
        given = {"directory": "web"}
    elif source == "archive":
        with tarfile.open(folder / "web.tar.gz", "w:gz") as archive:
            archive.add(folder / "web", "web")
        given["archive"] = "web.tar.gz"
    elif source == "program":
        given["program"] = {"outputs": {"fixed": 3}}
    else:
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        for command in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "web"]):
            subprocess.run(["git", *command], cwd=folder / "web", check=True)
        given["git"] = {"url": f"file://{folder}/web", "ref": "main"}
    pipeline.stack("web", onDelete="destroyAndRemove", **given)
    pipeline.write().init().up()
    shutil.rmtree(folder / "web")
    (folder / "web.tar.gz").unlink(missing_ok=True)
    found = outer.refresh()
    assert not found.changes, found.diff("web")
    outer.destroy()
    assert not list((pipeline.backend / ".pulumi/stacks").rglob("dev.json"))


def test_an_update_that_does_not_end_is_killed_and_its_lock_freed(pipeline):
    pipeline.inner("web", HANGS)
    outer = pipeline.write()
    outer.env |= {"PTD_STACK_GRACE_SECONDS": "3", "PTD_RUN_REPORT": "run.json"}
    process = outer.init().start("up", "--yes", "--skip-preview")
    until((outer.folder / "begun").exists, within=180)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert process.returncode != 0
    assert "its lock is freed" in out + err, out + err
    assert pipeline.locks() == []
    until(lambda: not pipeline.processes(), within=90)
    [run] = json.loads((outer.folder / "run.json").read_text())["runs"]
    assert run["result"] == "cancelled" and run["reason"]
    (outer.folder / "go").touch()
    done = outer.up()
    assert not outer.up().changes
    # What was being created may exist, as only its owner can tell.
    assert "urn:pulumi:dev::web::pulumi-python:dynamic:Resource::thing" in done.text


def test_of_secret_variables_only_the_names_count(pipeline):
    inputs = pipeline.inner("web")
    variables = inputs["environment"]
    variables |= {"TOKEN": {"fn::secret": "one"}, "PLAIN": "one", "AWS_PROFILE": "one"}
    outer = pipeline.write().init()
    outer.up()
    variables |= {"TOKEN": {"fn::secret": "two"}, "AWS_PROFILE": "two"}
    assert not pipeline.write().up().changes
    assert len(pipeline.updates("web")) == 1
    for number, change in enumerate([{"PLAIN": "two"}, {"OTHER": {"fn::secret": "one"}}], 2):
        variables |= change
        assert pipeline.write().up().changes == {"update": 1}
        assert len(pipeline.updates("web")) == number


def test_the_command_that_is_told_does_the_same_by_hand(pipeline):
    pipeline.inner("web", READS)
    outer = pipeline.write().init()
    failed = outer.up(fails=True)
    # Tables are as wide as what is in them, so that it stands in one line.
    command = re.search(r"PULUMI_BACKEND_URL='[^']*' pulumi -C .* up --stack \S+", failed.text)
    assert command, failed.text
    by_hand = f"{command[0]} --yes --skip-preview --non-interactive"
    (outer.folder / "wanted.txt").write_text("by hand")
    subprocess.run(["bash", "-c", by_hand], cwd=outer.folder, env=pipeline.env, check=True, capture_output=True)
    assert json.loads(pipeline.by_hand("web", "output", "--json")) == {"greeting": "by hand"}


@pytest.mark.parametrize("source", ["program", "python"])
def test_what_is_told_of_a_program_that_is_made_does_the_same_by_hand(pipeline, tmp_path, source):
    outer, place = pipeline.outer, tmp_path / "by hand"
    place.mkdir()
    wanted, cause = outer.folder / "wanted.txt", ""
    if source == "program":
        program = {"config": {"wanted": {"type": "string"}}, "outputs": {"greeting": "${wanted}"}}
        cause = "--config 'wanted=by hand'"
        (place / "Pulumi.yaml").write_text(json.dumps({"name": "web", "runtime": "yaml"} | program))
        given = {"program": json.loads(json.dumps(program).replace("$", "$$"))}
    else:
        reads = f"import pulumi\nclass Web:\n    def autoload():\n        pulumi.export('greeting', open({str(wanted)!r}).read())\n"
        outer.file("it's lib/steps.py", reads)
        (place / "Pulumi.yaml").write_text(json.dumps({"name": "web", "runtime": "python"}))
        (place / "__main__.py").write_text("from steps import Web; Web.autoload()")
        given = {"python": {"module": "steps", "class": "Web", "root": "it's lib"}}
    pipeline.stack("web", directory=None, **given)
    failed = pipeline.write().init().up(fails=True).text
    made, file = {"program": ("the input program", "yaml"), "python": ("(from steps import Web; Web.autoload())", "python")}[source]
    assert made in failed and f"(name: web, runtime: {file})" in failed
    assert "variables of the input environment: PULUMI_CONFIG_PASSPHRASE" in failed and PASSPHRASE not in failed
    command = re.search(r"(PYTHONPATH='.*' )?PULUMI_BACKEND_URL='[^']*' pulumi up --stack [\w/]+", failed)
    assert command, failed
    wanted.write_text("by hand")
    by_hand = f"{command[0]} {cause} --yes --skip-preview --non-interactive"
    subprocess.run(["bash", "-c", by_hand], cwd=place, env=pipeline.env, check=True, capture_output=True)
    look = ["pulumi", "stack", "output", "--json", "--stack", "organization/web/dev", "--non-interactive"]
    assert json.loads(pipeline.look(look)) == {"greeting": "by hand"}


def test_what_fails_early_and_what_was_done_before_are_reported(pipeline):
    pipeline.inner("early", environment={"PULUMI_CONFIG_PASSPHRASE_FILE": "/nowhere"}, config={"password": {"fn::secret": "x"}})
    pipeline.inner("partly", HANGS.replace("while not", "raise Exception('no') #"))
    outer = pipeline.write()
    outer.env["PTD_RUN_REPORT"] = "run.json"
    outer.init().up("--continue-on-error", fails=True)
    runs = {run["name"]: run for run in json.loads((outer.folder / "run.json").read_text())["runs"]}
    assert runs["early"]["result"] == "failed" and "secrets of stack" in runs["early"]["reason"]
    assert runs["partly"]["result"] == "failed" and runs["partly"]["changes"]["create"] >= 1


def test_who_waits_for_a_lock_is_in_nobodys_way(pipeline):
    pipeline.inner("locked", lockTimeout=300)
    outer = pipeline.write().init()
    outer.up()
    held = pipeline.backend / ".pulumi/locks/organization/locked/dev/1.json"
    held.parent.mkdir(parents=True, exist_ok=True)
    held.write_text(json.dumps({"pid": 1, "username": "somebody", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}))
    pipeline.resources["locked"]["properties"]["triggers"] = {"again": 1}
    pipeline.inner("free", options={})
    outer.env["PTD_MAX_PARALLEL_STACKS"] = "1"
    process = pipeline.write().start("up", "--yes", "--skip-preview")
    until((pipeline.backend / ".pulumi/stacks/free/dev.json").exists, within=180)
    assert process.poll() is None and held.exists()
    time.sleep(1)
    held.unlink()
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, out + err


@pytest.fixture
def flags(pipeline, tmp_path):
    """The arguments of the inner runs since the last look."""
    log, real = tmp_path / "calls", shutil.which("pulumi", path=pipeline.outer.env["PATH"])
    shim = tmp_path / "shim/pulumi"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\n[ "$PULUMI_BACKEND_URL" = {shlex.quote(pipeline.url)} ] && printf "%s\\n" "$@" >{log}-$1\nexec {real} "$@"\n')
    shim.chmod(0o755)
    pipeline.outer.env["PATH"] = f"{shim.parent}{os.pathsep}{pipeline.outer.env['PATH']}"
    return lambda verb: (tmp_path / f"calls-{verb}").read_text().splitlines()


def test_each_choice_of_a_run_reaches_the_cli(pipeline, flags):
    urn = "urn:pulumi:dev::web::wait:index:Wait::r0"
    inputs = pipeline.inner("web", excludes=[urn], replace=[urn], parallel=3, message="because", refresh=True)
    outer = pipeline.write().init()
    # There is no such resource, which is for the CLI to say.
    outer.up(fails=True)
    told = flags("up")
    for flag, value in {"--exclude": urn, "--replace": urn, "--parallel": "3", "--message": "because"}.items():
        assert told[told.index(flag) + 1] == value, told
    assert "--refresh" in told and "--target" not in told
    inputs |= {"targets": [urn], "refresh": False}
    del inputs["excludes"]
    pipeline.write().preview(fails=None)
    told = flags("preview")
    assert told[told.index("--target") + 1] == urn and "--refresh" not in told and "--exclude" not in told


def test_only_what_may_be_gone_the_next_time_is_tried_again(pipeline, tmp_path):
    pipeline.inner("web", retry={"attempts": 5, "delaySeconds": 1})
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    # A program that fails is run once, whatever its error says.
    pipeline.project("web", "open(__import__('os').path.dirname(__file__) + '/../runs', 'a').write('x')\nraise Exception('SlowDown')\n")
    outer.up(fails=True)
    assert (outer.folder / "runs").read_text() == "x"
    shutil.rmtree(outer.folder / "web")
    pipeline.project("web", {"outputs": {"greeting": "again"}})
    aside = pipeline.backend.with_name("aside")
    pipeline.backend.rename(aside)
    told = tmp_path / "output"
    process = outer.start("up", "--yes", "--skip-preview", output=told)
    until(lambda: "runs it again" in told.read_text() or process.poll() is not None, within=180)
    aside.rename(pipeline.backend)
    assert process.wait(180) == 0, told.read_text()
    assert outer.outputs() == {"greeting": "again"}


def test_pending_creations_of_an_inner_stack_are_told_by_urn(pipeline):
    inputs = pipeline.inner("web")
    outer = pipeline.write().init()
    outer.up()
    file = pipeline.backend / ".pulumi/stacks/web/dev.json"
    state = json.loads(file.read_text())
    urn = "urn:pulumi:dev::web::wait:index:Wait::lost"
    lost = {"urn": urn, "custom": True, "type": "wait:index:Wait"}
    state["checkpoint"]["latest"]["pending_operations"] = [{"resource": lost, "type": "creating"}]
    file.write_text(json.dumps(state))
    inputs["triggers"] = {"again": 1}
    done = pipeline.write().up()
    assert urn in done.text
