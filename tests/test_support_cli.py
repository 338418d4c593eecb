"""The CLI, the language hosts and the workspace helper, without a single resource of ours."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import cli
from support.cli import CommandFailed
from support.protocol import until

YAML = {"variables": {"x": "y"}, "outputs": {"value": "${x}", "hidden": {"fn::secret": "plain-secret"}}}


def test_a_yaml_program_runs(workspace, proxy):
    workspace.yaml(YAML)
    assert workspace.preview().changes == {"create": 1}
    assert workspace.up().changes == {"create": 1}
    again = workspace.up()
    assert again.changes == {} and again.steps == {}
    assert workspace.outputs() == {"value": "y", "hidden": "plain-secret"}
    assert workspace.outputs(show_secrets=False)["hidden"] == "[secret]"
    assert workspace.refresh().changes == {}
    assert workspace.resources() == []
    assert not any(b"plain-secret" in path.read_bytes() for path in workspace.files() if path.name != "Pulumi.yaml")
    workspace.destroy()
    assert proxy.calls == []


def test_a_python_program_runs_unmodified(workspace):
    workspace.python(
        "import pulumi, helper\n"
        "config = pulumi.Config()\n"
        "pulumi.export('greeting', config.require('greeting') + helper.END)\n"
        "pulumi.export('secret', config.require_secret('key'))\n"
        "pulumi.log.warn('beware')\n"
        "pulumi.ComponentResource('a:b:C', 'c')\n"
    )
    workspace.file("helper.py", "END = '!'\n")
    workspace.config(greeting="hello").secret_config(key="k1")
    result = workspace.up(skip_preview=False)
    assert result.steps == {"a:b:C::c": ["create"]}
    [warning] = result.messages("warning")
    assert warning.endswith(": beware")
    assert workspace.outputs() == {"greeting": "hello!", "secret": "k1"}
    # Preview and update are two runs in one process: the second must not see the first one's modules.
    workspace.file("helper.py", "END = '?'\n")
    workspace.up()
    assert workspace.outputs()["greeting"] == "hello?"


def test_a_failing_program_shows_everything(workspace):
    workspace.python("raise ValueError('no good')\n")
    with pytest.raises(CommandFailed) as excinfo:
        workspace.up()
    assert "no good" in str(excinfo.value) and "--- stderr" in str(excinfo.value)
    assert any("no good" in text for text in workspace.up(fails=True).messages("error"))


def test_dynamic_resources_step_through_their_life(workspace):
    workspace.python(
        "import pulumi\n"
        "from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult\n"
        "class P(ResourceProvider):\n"
        "    def create(self, props): return CreateResult('id-1', props)\n"
        "    def diff(self, id, olds, news): return DiffResult(changes=olds['v'] != news['v'])\n"
        "    def update(self, id, olds, news): return UpdateResult(news)\n"
        "class R(Resource):\n"
        "    def __init__(self, name, v): super().__init__(P(), name, {'v': v})\n"
        "R('r', pulumi.Config().require('v'))\n"
    )
    workspace.config(v="1")
    assert list(workspace.up().steps.values()) == [["create"]]
    assert workspace.up().steps == {}
    workspace.config(v="2")
    assert list(workspace.preview().steps.values()) == [["update"]]
    assert list(workspace.up().steps.values()) == [["update"]]
    assert workspace.resource("::r")["outputs"]["v"] == "2"
    assert list(workspace.destroy().steps.values()) == [["delete"]]


def test_an_interrupted_program_ends_in_time(workspace, tmp_path):
    workspace.python("import time, pulumi\npulumi.log.info('sleeping')\ntime.sleep(300)\n")
    workspace.init()
    told = tmp_path / "output"
    process = workspace.start("up", "--yes", "--skip-preview", output=told)
    until(lambda: "sleeping" in told.read_text() or process.poll() is not None, within=180)
    assert workspace.plugins("pulumi") == [process.pid]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) != 0, told.read_text()
    # The program would sleep for minutes.
    assert time.monotonic() - began < 40


def test_a_backend_is_quiet_once_its_states_are_whole_and_rest(tmp_path):
    state = tmp_path / ".pulumi/stacks/app/dev.json"
    state.parent.mkdir(parents=True)
    state.touch()
    with pytest.raises(AssertionError):
        cli.quiet(tmp_path, still=0.1, within=0.5)
    state.write_text("{}")
    with pytest.raises(AssertionError):
        cli.quiet(tmp_path, lambda: False, still=0.1, within=0.5)
    ends = threading.Event()

    def write() -> None:
        while not ends.wait(0.02):
            with (tmp_path / ".pulumi/log").open("a") as log:
                log.write("x")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(write)
        try:
            with pytest.raises(AssertionError):
                cli.quiet(tmp_path, still=0.5, within=2)
        finally:
            ends.set()
    cli.quiet(tmp_path, still=0.1)
