"""The check for changes of the schema that break programs of the last release."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from support import cli

TOOL = cli.ROOT / "tools/schema_compat.py"
TEXT = {"type": "string"}
SECRET = {"type": "string", "secret": True}
SCHEMA = {
    "name": "demo",
    "version": "1.0.0",
    "language": {"python": {"packageName": "pulumi_demo", "readme": "Reads."}},
    "config": {"variables": {"region": TEXT}},
    "provider": {"inputProperties": {"region": TEXT}},
    "types": {
        "demo:index:In": {"type": "object", "properties": {"a": TEXT}},
        "demo:index:Out": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
        "demo:index:Color": {"type": "string", "enum": [{"value": "red", "name": "Red"}, {"value": "blue"}]},
    },
    "resources": {
        "demo:index:Thing": {
            "inputProperties": {"size": {"type": "integer"}, "name": TEXT, "in": {"$ref": "#/types/demo:index:In"}, "password": SECRET},
            "requiredInputs": ["name"],
            "properties": {"size": {"type": "integer"}, "out": {"$ref": "#/types/demo:index:Out"}, "token": SECRET},
            "stateInputs": {"properties": {"name": TEXT}},
            "required": ["out"],
            "methods": {"spin": "demo:index:Thing/spin"},
        },
        "demo:aws:Twin": {"inputProperties": {"a": TEXT}},
        "demo:azure:Twin": {"inputProperties": {"a": TEXT}},
    },
    "functions": {
        "demo:index:find": {"inputs": {"properties": {"name": TEXT}}, "outputs": {"properties": {"id": TEXT}, "required": ["id"]}},
        "demo:index:count": {"returnType": {"type": "integer"}},
    },
}


@pytest.fixture
def compare(tmp_path) -> Callable[..., tuple[int, str]]:
    def run(change: Callable[[dict], object], changelog: str = "# Changelog\n\n## 2.0.0 (unreleased)\n\n- New.\n") -> tuple[int, str]:
        # No two of its parts are one.
        new = json.loads(json.dumps(SCHEMA))
        change(new)
        for name, content in (("old.json", json.dumps(SCHEMA)), ("new.json", json.dumps(new)), ("CHANGELOG.md", changelog)):
            (tmp_path / name).write_text(content)
        command = [sys.executable, TOOL, "--released", tmp_path / "old.json", "--schema", tmp_path / "new.json", "--changelog", tmp_path / "CHANGELOG.md"]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def thing(schema: dict) -> dict:
    return schema["resources"]["demo:index:Thing"]


BREAKING = {
    "Thing: the resource is gone": lambda s: s["resources"].pop("demo:index:Thing"),
    "find: the function is gone": lambda s: s["functions"].pop("demo:index:find"),
    "In: the type is gone": lambda s: s["types"].pop("demo:index:In"),
    "Thing: input size is gone": lambda s: thing(s)["inputProperties"].pop("size"),
    "Thing: output size is gone": lambda s: thing(s)["properties"].pop("size"),
    "Thing: input size was optional and is required": lambda s: thing(s)["requiredInputs"].append("size"),
    "Thing: input more was not there and is required": lambda s: (
        thing(s)["inputProperties"].update(more=TEXT), thing(s)["requiredInputs"].append("more")),
    "Thing: output out was always there and is optional": lambda s: thing(s)["required"].remove("out"),
    'Thing: input size was {"type": "integer"} and is {"type": "string"}': lambda s: thing(s)["inputProperties"].update(size=TEXT),
    "Thing: input size had the default null and has 3": lambda s: thing(s)["inputProperties"]["size"].update(default=3),
    "Thing: input size did not force a replacement and does": lambda s: thing(s)["inputProperties"]["size"].update(willReplaceOnChanges=True),
    "Thing: was a component, or became one": lambda s: thing(s).update(isComponent=True),
    "Thing: method spin is gone": lambda s: thing(s)["methods"].clear(),
    "find: output id was always there and is optional": lambda s: s["functions"]["demo:index:find"]["outputs"]["required"].clear(),
    "In: input a was optional and is required": lambda s: s["types"]["demo:index:In"].update(required=["a"]),
    "Out: output a was always there and is optional": lambda s: s["types"]["demo:index:Out"]["required"].clear(),
    "Color: value red is gone": lambda s: s["types"]["demo:index:Color"]["enum"].pop(0),
    "Color: value red was called Red and is called Scarlet": lambda s: s["types"]["demo:index:Color"]["enum"][0].update(name="Scarlet"),
    "Color: was an enum, or became one": lambda s: s["types"].update({"demo:index:Color": TEXT}),
    "Thing: input password was secret and is not": lambda s: thing(s)["inputProperties"].update(password=TEXT),
    "Thing: output token was secret and is not": lambda s: thing(s)["properties"]["token"].update(secret=False),
    'Thing: input name was {"type": "string"} and is {"type": "string", "plain": true}': lambda s: thing(s)["inputProperties"]["name"].update(plain=True),
    "Thing: state name to look it up by is gone": lambda s: thing(s).pop("stateInputs"),
    "find: input name is gone": lambda s: s["functions"]["demo:index:find"].pop("inputs"),
    'count: returnType was {"type": "integer"} and is {"type": "string"}': lambda s: s["functions"]["demo:index:count"].update(returnType=TEXT),
    "demo:azure:Twin: input a is gone": lambda s: s["resources"]["demo:azure:Twin"].update(inputProperties={}),
    "package: packageName of python was pulumi_demo and is pulumi_other": lambda s: s["language"]["python"].update(packageName="pulumi_other"),
    "provider: input region is gone": lambda s: s["provider"]["inputProperties"].clear(),
    "config: input region is gone": lambda s: s["config"]["variables"].clear(),
    "package: was called demo and is called other": lambda s: s.update(name="other"),
}  # fmt: skip


@pytest.mark.parametrize("expected", BREAKING)
def test_what_breaks_is_listed_and_fails(compare, expected):
    code, text = compare(BREAKING[expected])
    assert code == 1 and expected in text and "### Breaking" in text, text


HARMLESS = {
    "new resource": lambda s: s["resources"].update({"demo:index:New": {}}),
    "new optional input": lambda s: thing(s)["inputProperties"].update(more=TEXT),
    "new output": lambda s: (thing(s)["properties"].update(more=TEXT), thing(s)["required"].append("more")),
    "input became optional": lambda s: thing(s)["requiredInputs"].clear(),
    "output is now always there": lambda s: thing(s)["required"].append("size"),
    "input became a secret": lambda s: thing(s)["inputProperties"]["name"].update(secret=True),
    "other readme": lambda s: s["language"]["python"].update(readme="Reads well."),
    "other words": lambda s: thing(s)["inputProperties"]["size"].update(description="How large."),
    "new value of an enum": lambda s: s["types"]["demo:index:Color"]["enum"].append({"value": "green"}),
    "written type asks for less": lambda s: s["types"]["demo:index:In"].update(required=[]),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nobody_passes(compare, name):
    code, text = compare(HARMLESS[name])
    assert code == 0 and "compatible with 1.0.0" in text, text


def test_the_changelog_has_to_say_so_in_its_current_section(compare):
    gone = BREAKING["Thing: input size is gone"]
    told = "## 2.0.0 (unreleased)\n\n### Breaking\n\n- `Thing` has no `size` any more: leave it out.\n\n## 1.0.0\n"
    code, text = compare(gone, told)
    assert code == 0 and "input size is gone" in text, text
    # Neither an older section nor another resource, property or heading will do; nor two entries that have a half each.
    assert compare(gone, "## 2.0.0\n\n- New.\n\n## 1.0.0\n\n### Breaking\n\n- `Thing` has no `size`.\n")[0] == 1
    assert compare(gone, told.replace("Thing", "Things"))[0] == 1
    assert compare(gone, told.replace("size", "name"))[0] == 1
    assert compare(gone, told.replace("`size`", "`name`\n- `Other` has no `size`"))[0] == 1
    assert compare(gone, told.replace("### Breaking", "### Changed"))[0] == 1
    # What the release that it is compared with broke says nothing about what breaks after it.
    code, text = compare(gone, told.replace("2.0.0 (unreleased)", "1.0.0 (2026-01-01)"))
    assert code == 1 and "has to name Thing with size under" in text, text


def test_the_changelog_says_which_of_two_with_one_name(compare):
    gone = BREAKING["demo:azure:Twin: input a is gone"]
    told = "## Unreleased\n\n### Breaking\n\n- `demo:aws:Twin` has no `a`.\n"
    code, text = compare(gone, told)
    assert code == 1 and "has to name azure:Twin with a under" in text, text
    assert compare(gone, told.replace("demo:aws:Twin", "azure.Twin"))[0] == 0


def test_before_the_first_release_nothing_can_break(tmp_path):
    done = subprocess.run([sys.executable, TOOL, "--released", tmp_path / "none.json"], text=True, capture_output=True, check=False)
    assert done.returncode == 0 and "nothing was released yet" in done.stdout


def test_the_schema_of_this_checkout_is_compatible_with_itself():
    done = subprocess.run([sys.executable, TOOL, "--released", cli.ROOT / "schema.json"], text=True, capture_output=True, check=False)
    assert done.returncode == 0 and "compatible" in done.stdout, done.stderr
