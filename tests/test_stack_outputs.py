"""Outputs of inner stacks that stand for something the outer program does not have: resources, and files beside the inner program."""

from __future__ import annotations

import json
import subprocess

from support.inner import PASSPHRASE

PROVIDER = {"type": "pulumi:providers:ptd"}
RESOURCES = {
    "resources": {"thing": PROVIDER},
    "variables": {"hidden": {"fn::secret": {"is": "${thing}"}}},
    "outputs": {"thing": "${thing}", "nested": {"a": ["${thing}", "x"]}, "hidden": "${hidden}"},
}
FILES = {
    "variables": {"hidden": {"fn::secret": {"fn::stringAsset": "s3cr3t text"}}},
    "outputs": {"file": {"fn::fileAsset": "./some.txt"}, "text": {"fn::stringAsset": "hello"}, "hidden": "${hidden}"},
}
PYTHON = """
import pulumi, pulumi_ptd as ptd

def told(name, value):
    path = getattr(value, "path", None)
    text = open(path).read() if path else getattr(value, "text", value)
    pulumi.log.info(f"{{name}} is {{text}}")
    return text

web = ptd.Stack("web", environment={{"PULUMI_CONFIG_PASSPHRASE": pulumi.Output.secret({passphrase!r})}}, **{inputs!r})
for name in {names!r}:
    pulumi.export(name, web.outputs[name].apply(lambda value, name=name: told(name, value)))
"""


def python(pipeline, *names: str, **inputs) -> None:
    """The outer program as one in Python."""
    given = {"directory": "web", "stack": "organization/web/dev", "backend_url": pipeline.url} | inputs
    pipeline.outer.python(PYTHON.format(passphrase=PASSPHRASE, inputs=given, names=names))


def test_a_resource_is_its_id_to_whoever_does_not_have_it(pipeline):
    pipeline.inner("web", RESOURCES)
    pipeline.inner("next", config={"greeting": "of ${web.outputs.thing}"})
    outputs = {"nested": "${web.outputs.nested}", "hidden": "${web.outputs.hidden}", "greeting": "${next.outputs.greeting}"}
    outer = pipeline.write(**outputs).init()
    outer.up()
    [thing] = [r for r in json.loads(pipeline.by_hand("web", "export"))["deployment"]["resources"] if r["urn"].endswith("::thing")]
    expected = {"nested": {"a": [thing["id"], "x"]}, "hidden": {"is": thing["id"]}, "greeting": f"of {thing['id']}"}
    assert outer.outputs() == expected and outer.outputs(show_secrets=False)["hidden"] == "[secret]"
    assert not outer.refresh().changes and not outer.up(skip_preview=False).changes

    # One that is still to be made has no id in a preview; what stays is known.
    more = RESOURCES | {"resources": {"thing": PROVIDER, "new": dict(PROVIDER)}, "outputs": RESOURCES["outputs"] | {"new": "${new}"}}
    pipeline.project("web", more)
    python(pipeline, "thing", "nested", "new")
    shown = outer.preview().text
    assert f"thing is {thing['id']}" in shown and "new is" not in shown
    outer.up()
    found = outer.outputs()
    assert (found["thing"], found["nested"]["a"][0]) == (thing["id"], thing["id"]) and found["new"] not in ("", thing["id"])


def test_a_file_is_found_where_the_inner_program_has_it(pipeline):
    pipeline.project("web", FILES)
    pipeline.outer.file("web/some.txt", "inner")
    pipeline.outer.file("some.txt", "outer")
    python(pipeline, "file", "text", "hidden")
    outer = pipeline.outer.init()
    outer.up()
    assert outer.outputs() == {"file": "inner", "text": "hello", "hidden": "s3cr3t text"}
    assert outer.outputs(show_secrets=False)["hidden"] == "[secret]"
    assert not outer.refresh().changes and not outer.up(skip_preview=False).changes


def test_of_a_file_that_is_thrown_away_the_hash_is_left(pipeline):
    pipeline.project("web", FILES)
    web = pipeline.outer.file("web/some.txt", "inner").parent
    commit = ["-c", "user.name=me", "-c", "user.email=me@example.com", "commit", "-q", "-m", "web"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], commit):
        subprocess.run(["git", *command], cwd=web, check=True)
    python(pipeline, "file", "text", directory=None, git={"url": f"file://{web}", "ref": "main"})
    outer = pipeline.outer.init()
    outer.up()
    found = outer.outputs()
    assert found["text"] == "hello" and len(found["file"]) == 64
    assert not outer.refresh().changes and not outer.up(skip_preview=False).changes
