"""Locks, dead processes and interruptions: nothing is lost, and the next update converges."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from support.inner import INNER, STACK
from support.protocol import until

PASSES = """
import pathlib, pulumi, time
here = pathlib.Path(__file__).parent
(here.parent / "begun").touch()
while not (here.parent / "go").exists():
    time.sleep(0.05)
pulumi.export("greeting", "hello")
"""


def lock(pipeline, name: str, host: str, pid: int) -> Path:
    """A lock as the CLI writes it."""
    path = pipeline.backend / f".pulumi/locks/organization/{name}/dev/{pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "username": "somebody", "hostname": host, "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}))
    return path


def dead() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def changed(greeting: str) -> dict:
    return INNER | {"outputs": {"greeting": greeting}}


def test_a_stale_lock_is_told_and_removed_when_allowed(pipeline):
    inputs = pipeline.inner("web")
    outer = pipeline.write().init()
    outer.up()
    held = lock(pipeline, "web", socket.gethostname(), dead())
    pipeline.project("web", changed("new"))
    failed = outer.up(fails=True)
    assert "somebody" in failed.text and "stale" in failed.text and "cancelStaleLock" in failed.text
    assert held.exists()
    inputs["cancelStaleLock"] = True
    done = pipeline.write(greeting="${web.outputs.greeting}").up()
    assert "removes the stale lock of somebody" in done.text
    assert outer.outputs() == {"greeting": "new"} and pipeline.locks() == []


def test_two_runs_that_find_the_same_stale_lock_never_remove_each_others(pipeline, other_cli, new_workspace, tmp_path):
    """The second one is slow: by the time it cancels, the first one has a lock of its own, or waits for its turn."""
    pipeline.project("web", PASSES.replace('"begun").touch()', '"begun").open("a").write("once ")'))
    pipeline.outer.file("go", "")
    quick = pipeline.stack("web", cancelStaleLock=True)
    first = pipeline.write(greeting="${web.outputs.greeting}").init()
    first.up()
    (first.folder / "go").unlink()
    (first.folder / "begun").unlink()
    lock(pipeline, "web", socket.gethostname(), dead())
    quick["triggers"] = {"again": 1}
    pipeline.write(greeting="${web.outputs.greeting}")

    ups, cancels, go_on = tmp_path / "ups", tmp_path / "cancels", tmp_path / "go-on"
    path = other_cli(f"""
[ "$1" = up ] && echo >>{ups}
if [ "$1" = cancel ] && [ "$SLOW" ]; then
  touch {cancels}
  for i in $(seq 1200); do [ -e {go_on} ] || sleep 0.1; done
fi
""")
    quick["environment"] |= {"PATH": path}
    pipeline.write(greeting="${web.outputs.greeting}")
    second = new_workspace("second")
    properties = quick | {"directory": str(first.folder / "web"), "environment": quick["environment"] | {"SLOW": "yes"}}
    second.yaml({"resources": {"web": {"type": STACK, "properties": properties}}}).init()
    late = second.start("up", "--yes", "--skip-preview")
    runs, ends, begun = [late], [], first.folder / "begun"
    try:
        until(lambda: cancels.exists() or late.poll() is not None, within=180)
        had = len(ups.read_text())
        running = first.start("up", "--yes", "--skip-preview")
        runs.append(running)
        # It looks, looks again on its turn, and cancels before the third try: a fourth one tells that it waits.
        until(lambda: begun.exists() or running.poll() is not None or len(ups.read_text()) >= had + 4, within=180)
        go_on.touch()
        # One of them begins, and the other one ends; were both to begin, none would.
        until(lambda: begun.exists() and (any(run.poll() is not None for run in runs) or begun.read_text() != "once "), within=180)
        assert begun.read_text() == "once " and len(pipeline.locks()) == 1
    finally:
        go_on.touch()
        (first.folder / "go").touch()
        for run in runs:
            # What went wrong before is what is to be told.
            with contextlib.suppress(subprocess.TimeoutExpired):
                ends.append(run.communicate(timeout=180))
    assert 0 in [run.returncode for run in runs], ends
    assert pipeline.locks() == []
    first.up()


def test_freeing_a_stack_is_not_repeated_without_another_look(pipeline, other_cli, tmp_path):
    """A removal of locks that worked although it seemed to fail, and somebody who has locked the stack since."""
    given = pipeline.inner("web", cancelStaleLock=True, retry={"attempts": 3, "delaySeconds": 0.5})
    outer = pipeline.write().init()
    outer.up()
    stale = lock(pipeline, "web", socket.gethostname(), dead())
    pipeline.project("web", changed("new"))
    held = lock(pipeline, "web", "elsewhere", os.getpid())
    aside = held.rename(tmp_path / "aside")
    lost = f"rm {stale}; mv {aside} {held}; echo 'error: could not list bucket: no answer' >&2; exit 1"
    given["environment"] |= {"PATH": other_cli(f'[ "$1" = cancel ] && [ -e {aside} ] && {{ {lost}; }}')}
    failed = pipeline.write().up(fails=True)
    assert "no answer; runs it again" in failed.text and "somebody@elsewhere" in failed.text
    assert held.exists() and not stale.exists()


@pytest.mark.parametrize("holder", ["here", "elsewhere"])
def test_a_lock_that_may_be_held_is_never_removed(pipeline, holder):
    inputs = pipeline.inner("web", cancelStaleLock=True)
    outer = pipeline.write().init()
    outer.up()
    host, pid = (socket.gethostname(), os.getpid()) if holder == "here" else ("elsewhere", dead())
    held = lock(pipeline, "web", host, pid)
    pipeline.project("web", changed("new"))
    failed = outer.up(fails=True)
    assert f"somebody@{host}" in failed.text and "lockTimeout" in failed.text and held.exists()
    inputs["lockTimeout"] = 300
    pipeline.write(greeting="${web.outputs.greeting}")
    process = outer.start("up", "--yes", "--skip-preview")
    # It waits, and goes on once the lock is gone.
    time.sleep(3)
    assert process.poll() is None and held.exists()
    held.unlink()
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, out + err
    assert outer.outputs() == {"greeting": "new"}


@pytest.mark.parametrize("victim", ["provider", "inner", "outer"])
def test_after_a_kill_nothing_is_left_and_the_next_update_converges(pipeline, victim):
    pipeline.inner("web", PASSES, cancelStaleLock=True)
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    process = outer.start("up", "--yes", "--skip-preview")
    until((outer.folder / "begun").exists, within=180)
    pipeline.kill(victim, process)
    (outer.folder / "go").touch()
    if victim == "outer":
        outer.cancel_lock()
    outer.up()
    assert outer.outputs() == {"greeting": "hello"}
    assert pipeline.locks() == []
    assert not outer.up().changes


def test_an_interrupt_reaches_the_inner_update(pipeline):
    pipeline.inner("web", PASSES)
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    process = outer.start("up", "--yes", "--skip-preview")
    until((outer.folder / "begun").exists, within=180)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert process.returncode != 0
    until(lambda: not pipeline.processes(), within=90)
    assert pipeline.locks() == [], out + err
    (outer.folder / "go").touch()
    outer.up()
    assert outer.outputs() == {"greeting": "hello"}


def test_a_custom_timeout_ends_the_inner_update_gracefully(pipeline):
    pipeline.inner("web", PASSES, options={"customTimeouts": {"create": "25s"}})
    outer = pipeline.write().init()
    failed = outer.up(fails=True)
    assert "stack organization/web/dev: its time, 25 s, is up" in failed.text and "customTimeouts" in failed.text
    assert pipeline.locks() == []
    until(lambda: not pipeline.processes(), within=90)


@pytest.mark.parametrize("processes", [1, 2])
def test_no_more_at_once_than_allowed(pipeline, processes):
    """Each program writes down when it runs. Each provider of a program has a process of its own."""
    program = """
import pathlib, time
times = pathlib.Path(__file__).parent.parent / "times"
with times.open("a") as file:
    file.write(f"{time.time()} 1\\n")
time.sleep(1)
with times.open("a") as file:
    file.write(f"{time.time()} -1\\n")
"""
    for number in range(4):
        pipeline.inner(f"web-{number}", program, {"provider": "${other}"} if number % processes else None)
    pipeline.resources["other"] = {"type": "pulumi:providers:ptd"}
    outer = pipeline.write().init()
    outer.env["PTD_MAX_PARALLEL_STACKS"] = "2"
    outer.up()
    running = most = 0
    for line in sorted((outer.folder / "times").read_text().splitlines()):
        running += int(line.split()[1])
        most = max(most, running)
    assert most <= 2


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"environment": {"PULUMI_CONFIG_PASSPHRASE": "wrong"}}, "passphrase"),
        ({"environment": {"PULUMI_CONFIG_PASSPHRASE": "inner passphrase", "PATH": "/nowhere"}}, "install the Pulumi CLI"),
    ],
)
def test_what_is_missing_is_told_and_the_next_update_converges(pipeline, inputs, text):
    given = pipeline.inner("web", config={"password": {"fn::secret": "s3cr3t-0123"}})
    outer = pipeline.write().init()
    outer.up()
    pipeline.project("web", changed("new"))
    good = dict(given)
    given.update(inputs)
    failed = pipeline.write().up(fails=True)
    assert text in failed.text and "web" in failed.text
    given.clear()
    given.update(good)
    pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "new"}


def test_a_backend_that_is_not_there(pipeline):
    pipeline.inner("web", backendUrl=f"file://{pipeline.backend}/nowhere")
    outer = pipeline.write().init()
    failed = outer.up(fails=True)
    command = f"PULUMI_BACKEND_URL='file://{pipeline.backend}/nowhere' pulumi -C 'web' stack init --stack organization/web/dev"
    assert "nowhere" in failed.text and command in failed.text
    (pipeline.backend / "nowhere").mkdir()
    assert outer.up().summary["create"] >= 1


def test_a_stack_that_was_removed_by_hand_is_made_anew(pipeline):
    inputs = pipeline.inner("web", config={"password": {"fn::secret": "s3cr3t-0123"}})
    outer = pipeline.write().init()
    outer.up()
    pipeline.by_hand("web", "rm", "--yes", "--force")
    inputs["triggers"] = {"again": 1}
    assert "is made anew" in pipeline.write().up(skip_preview=False).text
    assert outer.resource("web")["type"] == STACK and len(pipeline.updates("web")) == 1


@pytest.mark.parametrize("victim", ["provider", "inner", "outer"])
def test_a_kill_at_any_step_loses_nothing(pipeline, victim):
    """Every step of a pipeline is killed once, and the next run goes on from there."""
    names = ["one", "two", "three", "four"]
    for at, name in enumerate(names):
        program = PASSES.replace('"begun"', f'"{name}.begun"').replace('"go"', f'"{name}.go"').replace('"hello"', repr(name))
        pipeline.inner(name, program, options={"dependsOn": [f"${{{names[at - 1]}}}"]} if at else None, cancelStaleLock=True)
    outer = pipeline.write(last="${four.outputs.greeting}").init()
    for name in names:
        process = outer.start("up", "--yes", "--skip-preview")
        until((outer.folder / f"{name}.begun").exists, within=180)
        pipeline.kill(victim, process)
        (outer.folder / f"{name}.go").touch()
        if victim == "outer":
            outer.cancel_lock()
    outer.up()
    assert outer.outputs() == {"last": "four"} and pipeline.locks() == []
    # What was done before a kill was not done again after it.
    done = [[update["result"] for update in pipeline.updates(name)].count("succeeded") for name in names]
    assert done == [1, 1, 1, 1]
    assert not outer.up().changes


@pytest.mark.parametrize(
    ("script", "texts"),
    [
        ('[ "$1" = version ] && echo v3.100.0 && exit', ["3.100.0", "install the Pulumi CLI"]),
        # The kernel refuses to let any file of the inner run grow: to a program, that is a full disk.
        ('[ "$1" = up ] && ulimit -f 0', ["file too large"]),
    ],
    ids=["old", "full"],
)
def test_a_cli_that_cannot_work_is_told_and_the_next_update_converges(pipeline, other_cli, script, texts):
    given = pipeline.inner("web")
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    pipeline.project("web", changed("new"))
    environment = given["environment"]
    given["environment"] = environment | {"PATH": other_cli(script)}
    failed = pipeline.write().up(fails=True)
    for text in ["web", *texts]:
        assert text in failed.text, failed.text
    given["environment"] = environment
    pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "new"} and pipeline.locks() == []


@pytest.mark.parametrize("source", ["directory", "program"])
def test_a_disk_that_is_full_for_the_provider_is_told_and_the_next_update_converges(pipeline, tmp_path, source):
    outer = pipeline.outer
    path = outer.env["PATH"]
    plugin = tmp_path / "full" / "pulumi-resource-ptd"
    plugin.parent.mkdir()
    plugin.write_text(f"#!/bin/sh\ntrap '' XFSZ; ulimit -f 0\nexec {shutil.which('pulumi-resource-ptd', path=path)} \"$@\"\n")
    plugin.chmod(0o755)
    if source == "directory":
        pipeline.inner("web")
    else:
        pipeline.stack("web", directory=None, program={"outputs": {"greeting": "hello"}})
    pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.env["PATH"] = f"{plugin.parent}{os.pathsep}{path}"
    failed = outer.up(fails=True)
    assert "error: stack organization/web/dev: " in failed.text.replace("the program of ", "") and "File too large" in failed.text
    outer.env["PATH"] = path
    outer.up()
    assert outer.outputs() == {"greeting": "hello"} and pipeline.locks() == []


@pytest.mark.parametrize(("command", "end"), [("install", "kill"), ("install", "interrupt"), ("stack * init", "kill")])
def test_no_command_outlives_the_provider(pipeline, other_cli, command, end):
    """Nor what it has started; and an installation ends when the run is interrupted."""
    given = pipeline.inner("web", installDependencies=True)
    begun = pipeline.outer.folder / "begun"
    path = other_cli(f'case "$*" in {command.replace(" ", "?")}?*) sleep 200 & touch {begun}; wait; exit 1;; esac')
    given["environment"] = given["environment"] | {"PATH": path}
    outer = pipeline.write().init()
    process = outer.start("up", "--yes", "--skip-preview")
    until(begun.exists, within=180)
    if end == "kill":
        assert outer.kill_plugins() >= 1
    else:
        os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert process.returncode != 0, out + err
    until(lambda: not pipeline.processes(), within=90)


def test_a_language_that_is_not_there_and_a_project_that_is_gone(pipeline):
    pipeline.inner("web")
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    project = outer.folder / "web/Pulumi.yaml"
    project.write_text("name: web\nruntime: cobol\n")
    assert "pulumi-language-cobol" in outer.up(fails=True).text
    project.unlink()
    failed = outer.up(fails=True)
    assert "directory" in failed.text and "web" in failed.text
    pipeline.project("web", changed("new"))
    outer.up()
    assert outer.outputs() == {"greeting": "new"}


def test_an_output_of_another_type_reaches_who_takes_it(pipeline):
    pipeline.inner("one", {"outputs": {"value": "text"}})
    pipeline.inner("two", {"config": {"value": {"type": "object"}}, "outputs": {"seen": "${value}"}},
                   config={"value": {"given": "${one.outputs.value}"}})
    outer = pipeline.write(seen="${two.outputs.seen}").init()
    outer.up()
    assert outer.outputs() == {"seen": {"given": "text"}}
    pipeline.project("one", {"outputs": {"value": {"a": [1, True]}}})
    outer.up()
    assert outer.outputs() == {"seen": {"given": {"a": [1, True]}}}


def test_no_process_of_a_run_has_a_secret_in_its_arguments(pipeline, tmp_path):
    """Nor has any file that it leaves."""
    secret = "s3cr3t-in-no-command-line-0123"
    program = PASSES + 'pulumi.export("password", pulumi.Config().require_secret("password"))\n'
    pipeline.inner("web", program, config={"password": {"fn::secret": secret}})
    pipeline.inner("next", config={"password": "${web.outputs.password}"})
    outer = pipeline.write().init()
    outer.env["TMPDIR"] = str(tmp_path / "tmp")
    (tmp_path / "tmp").mkdir()
    process = outer.start("up", "--yes", "--skip-preview", "--event-log", str(tmp_path / "events.json"), output=tmp_path / "output")
    seen: set[bytes] = set()
    while process.poll() is None:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                seen.add(entry.read_bytes())
        if (outer.folder / "begun").exists():
            (outer.folder / "go").touch()
    told = (tmp_path / "output").read_text()
    assert process.returncode == 0, told
    assert any({b"config", b"set", b"--secret"} <= set(line.split(b"\0")) for line in seen), "the call that takes the secret was seen"
    assert not any(secret.encode() in line for line in seen)
    given = outer.folder / "Pulumi.yaml"
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path != given and secret.encode() in path.read_bytes()]
    assert left == [] and secret not in told
