"""How often the CLI is called for an inner stack: each call costs a third of a second, for every stack of a pipeline."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

import pytest
from support.inner import INNER, PASSWORD

COMMANDS = {"stack", "config", "up", "preview", "refresh", "init", "set", "output", "history", "export", "version"}
NO_SECRETS = {"outputs": {"fixed": 3}}


@pytest.fixture
def calls(pipeline, tmp_path):
    """What the CLI was called for since the last look, without the outer calls."""
    log, real = tmp_path / "calls", shutil.which("pulumi", path=pipeline.outer.env["PATH"])
    shim = tmp_path / "shim/pulumi"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nprintf "%s %s\\n" "$PULUMI_BACKEND_URL" "$*" >>{shlex.quote(str(log))}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    pipeline.outer.env["PATH"] = f"{shim.parent}{os.pathsep}{pipeline.outer.env['PATH']}"

    def since() -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        made = [words[1:] for words in map(str.split, lines) if words[0] == pipeline.url]
        return [" ".join(word for word in words if word in COMMANDS) for words in made]

    return since


def test_nothing_is_asked_of_the_cli_that_is_known_already(pipeline, calls):
    inputs = pipeline.inner("web", NO_SECRETS, config={"greeting": "hi"})
    outer = pipeline.write().init()
    outer.preview()
    assert calls() == []
    outer.up()
    assert calls() == ["stack init", "up"]
    first = outer.resource("web")["outputs"]["lastUpdateTime"]
    outer.up()
    assert calls() == []
    inputs["config"]["greeting"] = "bye"
    pipeline.write().up()
    assert calls() == ["up"]
    second = outer.resource("web")["outputs"]["lastUpdateTime"]
    assert second > first

    # The backend notes another time than we do, which is no news.
    outer.refresh("--expect-no-changes")
    assert outer.resource("web")["outputs"]["lastUpdateTime"] == second
    subprocess.run(pipeline.command("web", "up", "--yes", "--skip-preview"), env=pipeline.env, check=True, capture_output=True)
    outer.refresh()
    assert outer.resource("web")["outputs"]["lastUpdateTime"] > second


def test_a_secret_costs_a_call_when_it_is_set_and_one_when_it_is_put_out(pipeline, calls):
    inputs = pipeline.inner("web", INNER, config={"greeting": "hi", "password": {"fn::secret": PASSWORD}})
    outer = pipeline.write().init()
    outer.up()
    assert calls() == ["stack init", "config set", "up", "stack output"]
    inputs["config"]["greeting"] = "bye"
    pipeline.write().up()
    assert calls() == ["up", "stack output"]
