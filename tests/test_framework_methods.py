"""Methods of a component, called by a real program through the real engine."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from support import cli

PROGRAM = """
import pulumi

class Group(pulumi.ComponentResource):
    def __init__(self, name, props, opts=None):
        super().__init__("lab:index:Group", name, {**props, "places": None}, opts, remote=True)

config = pulumi.Config()
group = Group("g", {"count": 2, "size": 1})
words = config.require("words")
if config.get_bool("unknown"):
    first = words
    words = group.places.apply(lambda places: f"{first} {len(places)}")
said = pulumi.runtime.call("lab:index:Group/greet", {"__self__": group, "words": words}, group)
pulumi.export("text", said["text"])
pulumi.export("whisper", said["whisper"])
"""


@pytest.fixture
def ws(cli_env: dict[str, str], tmp_path: Path) -> cli.Workspace:
    binary = cli.ROOT / "target/debug/examples/conformance"
    if not binary.exists():
        pytest.fail(f"{binary} is missing: run `make test-provider`")
    path = tmp_path / "bin"
    path.mkdir()
    (path / "pulumi-resource-lab").symlink_to(binary)
    env = cli_env | {"PATH": f"{path}{os.pathsep}{cli_env['PATH']}"}
    return cli.Workspace(tmp_path / "app", env, "methods-app").python(PROGRAM).init()


def test_a_method_sees_its_resource_and_keeps_its_secrets(ws):
    ws.config(**{"words": "hello", "lab:door": "front"}).secret_config(**{"lab:token": "t"})
    ws.preview()
    done = ws.up()
    outputs = ws.outputs()
    assert outputs["text"].startswith("hello to ") and " and " in outputs["text"], outputs
    assert outputs["whisper"] == "hello softly"
    stored = ws.export()["resources"][0]["outputs"]
    assert "ciphertext" in stored["whisper"]
    assert "softly" not in str(done.events)
    assert not ws.up().changes


def test_a_method_waits_for_unknown_arguments(ws):
    ws.config(**{"words": "hello", "unknown": True, "lab:door": "front"}).secret_config(**{"lab:token": "t"})
    ws.preview()
    ws.up()
    assert ws.outputs()["text"].startswith("hello 2 to ")


@pytest.mark.parametrize(("words", "said"), [("", "words"), ("fail", "will not greet. use other words")])
def test_what_a_method_refuses(ws, words, said):
    ws.config(**{"words": words, "lab:door": "front"}).secret_config(**{"lab:token": "t"})
    assert said in ws.up(fails=True).text


def test_a_method_stands_in_the_schema():
    binary = cli.ROOT / "target/debug/examples/conformance"
    schema = json.loads(subprocess.run([binary, "schema"], check=True, capture_output=True).stdout)
    assert schema["resources"]["lab:index:Group"]["methods"] == {"greet": "lab:index:Group/greet"}
    function = schema["functions"]["lab:index:Group/greet"]
    assert function["inputs"]["required"] == ["__self__", "words"]
    assert function["inputs"]["properties"]["__self__"] == {"$ref": "#/resources/lab:index:Group"}
    assert function["outputs"]["properties"]["whisper"]["secret"] is True
