"""Inner stacks as resources, through the real CLI on both levels."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from support import cli

STACK = "ptd:index:Stack"
PASSWORD = "s3cr3t-inner-value-0123456789"
INNER = {
    "config": {"greeting": {"type": "string", "default": "hello"}, "password": {"type": "string", "default": "none"}},
    "variables": {"hidden": {"fn::secret": "${password}"}},
    "outputs": {"greeting": "${greeting}", "password": "${hidden}", "fixed": 3},
}


class Pipeline:
    """An outer project with inner ones beside it, and their backend."""

    def __init__(self, workspace: cli.Workspace, root: Path) -> None:
        self.outer, self.backend = workspace, root / "inner-backend"
        self.backend.mkdir()
        self.url = f"file://{self.backend}"
        self.resources: dict[str, dict] = {}

    def inner(self, name: str, program: dict | None = None, options: dict | None = None, **inputs) -> dict:
        """Writes the project `name` and declares the stack that runs it."""
        text = yaml.safe_dump({"name": name, "runtime": "yaml", **(INNER if program is None else program)}, sort_keys=False)
        self.outer.file(f"{name}/Pulumi.yaml", text)
        properties = {
            "directory": name,
            "stack": f"organization/{name}/dev",
            "backendUrl": self.url,
            "environment": {"PULUMI_CONFIG_PASSPHRASE": {"fn::secret": "inner passphrase"}},
            **inputs,
        }
        self.resources[name] = {"type": STACK, "properties": properties, **({"options": options} if options else {})}
        return properties

    def write(self, **outputs) -> cli.Workspace:
        return self.outer.yaml({"resources": self.resources, "outputs": outputs})

    def by_hand(self, name: str, *args: str) -> str:
        """What somebody finds who opens the inner stack without the provider."""
        env = self.outer.env | {"PULUMI_BACKEND_URL": self.url, "PULUMI_CONFIG_PASSPHRASE": "inner passphrase"}
        command = ["pulumi", "-C", str(self.outer.folder / name), "stack", *args, "--stack", f"organization/{name}/dev"]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    def updates(self, name: str) -> list[dict]:
        return json.loads(self.by_hand(name, "history", "--output", "json"))

    def files(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.backend.rglob("*") if path.is_file())


@pytest.fixture
def pipeline(workspace: cli.Workspace, tmp_path: Path) -> Pipeline:
    workspace.env["PULUMI_CONFIG_PASSPHRASE"] = workspace.env.get("PULUMI_CONFIG_PASSPHRASE", "outer passphrase")
    return Pipeline(workspace, tmp_path)


def test_a_stack_from_preview_to_destroy(pipeline):
    secret = {"fn::secret": PASSWORD}
    shown = {name: f"${{web.outputs.{name}}}" for name in ("greeting", "password", "fixed")}
    inputs = pipeline.inner("web", config={"greeting": "hi", "password": secret}, onDelete="destroyAndRemove")
    outer = pipeline.write(**shown).init()
    outer.preview()
    assert list(pipeline.backend.iterdir()) == []

    first = outer.up()
    assert first.summary["create"] == 2
    assert outer.outputs() == {"greeting": "hi", "password": PASSWORD, "fixed": 3}
    stored = outer.resource("web")
    assert stored["id"] == f"{pipeline.url}#organization/web/dev"
    # Only what is secret is encrypted.
    assert stored["outputs"]["outputs"]["greeting"] == "hi" and "ciphertext" in stored["outputs"]["outputs"]["password"]
    assert json.loads(pipeline.by_hand("web", "output", "--json", "--show-secrets"))["password"] == PASSWORD
    assert sorted(p.name for p in (outer.folder / "web").iterdir()) == ["Pulumi.yaml"]

    again = outer.up()
    assert not again.changes and len(pipeline.updates("web")) == 1

    def encrypted() -> dict:
        settings = outer.resource("web", show_secrets=True)["outputs"]["settings"]["plaintext"]
        return json.loads(json.loads(settings))["config"]["web:password"]

    before = encrypted()
    inputs["config"]["greeting"] = "bye"
    outer = pipeline.write(**shown)
    planned = outer.preview()
    assert planned.diff("web") == {"config.greeting": "update"}
    changed = outer.up()
    assert changed.changes == {"update": 1}
    assert outer.outputs() == {"greeting": "bye", "password": PASSWORD, "fixed": 3}
    # The secret was not encrypted again: that would be another text of the same value.
    assert encrypted() == before and "secure" in before

    outer.refresh()
    assert not outer.up().changes
    outer.destroy()
    assert not (pipeline.backend / ".pulumi/stacks/web/dev.json").exists()
    for place in (pipeline.files(), first.text, str(first.events), changed.text, str(changed.events)):
        assert PASSWORD not in place


def test_a_changed_file_runs_its_stack_and_what_consumes_a_changed_output(pipeline):
    pipeline.inner("one")
    pipeline.inner("two", config={"greeting": "${one.outputs.greeting}"})
    pipeline.inner("three", config={"greeting": "${one.outputs.fixed}"})
    outer = pipeline.write().init()
    outer.up()
    pipeline.inner("one", INNER | {"outputs": {**INNER["outputs"], "greeting": "${greeting} there"}})
    planned = outer.preview()
    assert planned.diff("one") == {'sourceDigests["Pulumi.yaml"]': "update"}
    done = outer.up()
    assert sorted(done.steps) == [f"{STACK}::one", f"{STACK}::two"]
    assert [len(pipeline.updates(name)) for name in ("one", "two", "three")] == [2, 2, 1]
    assert json.loads(pipeline.by_hand("two", "output", "--json"))["greeting"] == "hello there"


def test_a_failing_stack_stops_what_depends_on_it_and_resumes(pipeline):
    pipeline.inner("one", {"outputs": {"a": "${missing.thing}"}})
    pipeline.inner("two", options={"dependsOn": ["${one}"]})
    pipeline.inner("other")
    outer = pipeline.write().init()
    failed = outer.up("--continue-on-error", fails=True)
    text = failed.text
    assert "organization/one/dev" in text and "missing" in text and "PULUMI_BACKEND_URL" in text
    assert pipeline.updates("other")[0]["result"] == "succeeded"
    assert not (pipeline.backend / ".pulumi/stacks/two").exists()
    pipeline.inner("one")
    done = pipeline.write().up()
    assert done.summary.get("update") == 1 and done.summary.get("create") == 1
    assert pipeline.updates("one")[0]["result"] == "succeeded"


def test_deleting_asks(pipeline, boto):
    program = {"resources": {"kept": {"type": "ptd:aws:Secret", "properties": {"name": "acme.posit.team", "allowDelete": True}}}}
    inputs = pipeline.inner("vault", program)
    outer = pipeline.write().init()
    outer.up()
    described = boto("secretsmanager").describe_secret(SecretId="acme.posit.team")
    assert "DeletedDate" not in described
    refused = outer.destroy(fails=True)
    assert "vault" in refused.text and "onDelete" in refused.text and "kept" in refused.text
    assert "DeletedDate" not in boto("secretsmanager").describe_secret(SecretId="acme.posit.team")
    inputs["onDelete"] = "destroy"
    outer = pipeline.write()
    assert outer.up().changes == {"update": 1}
    # Consent alone runs nothing.
    assert len(pipeline.updates("vault")) == 1
    outer.destroy()
    assert "DeletedDate" in boto("secretsmanager").describe_secret(SecretId="acme.posit.team")
    assert json.loads(pipeline.by_hand("vault", "export"))["deployment"].get("resources", []) == []


def test_an_existing_stack_is_taken_over_as_it_is(pipeline):
    pipeline.inner("old", onDelete="retain")
    env = pipeline.outer.env | {"PULUMI_BACKEND_URL": pipeline.url, "PULUMI_CONFIG_PASSPHRASE": "inner passphrase"}
    folder = str(pipeline.outer.folder / "old")
    for args in (["stack", "init", "organization/old/dev", "--no-select"], ["up", "--yes", "--skip-preview", "--stack", "organization/old/dev"]):
        subprocess.run(["pulumi", "-C", folder, *args, "--non-interactive"], env=env, check=True, capture_output=True)
    (pipeline.outer.folder / "old/Pulumi.dev.yaml").unlink()
    done = pipeline.write(greeting="${old.outputs.greeting}").init().up()
    assert "takes over the existing stack" in done.text
    assert pipeline.outer.outputs() == {"greeting": "hello"}
    pipeline.outer.destroy()
    assert [update["resourceChanges"] for update in pipeline.updates("old")] == [{"same": 1}, {"create": 1}]


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"directory": "nowhere"}, "directory"),
        ({"stack": "dev"}, "stack"),
        ({"backendUrl": "somewhere"}, "backendUrl"),
        ({"targets": ["urn:a"], "excludes": ["urn:b"]}, "excludes"),
        ({"parallel": 0}, "parallel"),
    ],
)
def test_bad_inputs_fail_their_check(pipeline, inputs, path):
    pipeline.inner("web", **inputs)
    failed = pipeline.write().init().preview(fails=True)
    assert path in failed.text and "web" in failed.text
    assert list(pipeline.backend.iterdir()) == []


def test_the_inner_run_gets_nothing_of_the_outer_engine(pipeline, tmp_path):
    """A language host that writes down its environment."""
    seen = tmp_path / "environment"
    host = tmp_path / "bin/pulumi-language-spy"
    host.parent.mkdir()
    host.write_text(f"#!/bin/sh\nenv > {seen}\nexit 1\n")
    host.chmod(0o755)
    outer = pipeline.outer
    outer.env["PATH"] = f"{host.parent}{os.pathsep}{outer.env['PATH']}"
    pipeline.inner("spied", {"runtime": "spy"})
    pipeline.write().init()
    outer.secret_config(token="s3cr3t-of-the-outer-program")
    outer.up(fails=True)
    text = seen.read_text()
    names = {line.split("=")[0] for line in text.splitlines() if "=" in line}
    assert "s3cr3t-of-the-outer" not in text and outer.env["PULUMI_CONFIG_PASSPHRASE"] not in text
    assert not names & {"PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS", "PULUMI_STACK", "PULUMI_MONITOR", "PULUMI_ENGINE"}


def test_in_python_outputs_that_stay_are_known_in_previews(pipeline):
    """Of a map with unknown parts, other SDKs than Python's take all for unknown."""
    for name in ("one", "two", "three"):
        pipeline.inner(name)
    outer = pipeline.outer.python(
        f"""
import pulumi
import pulumi_ptd as ptd

def stack(name, **config):
    return ptd.Stack(name, directory=name, stack=f"organization/{{name}}/dev", backend_url="{pipeline.url}", config=config,
                     environment={{"PULUMI_CONFIG_PASSPHRASE": pulumi.Output.secret("inner passphrase")}})

one = stack("one")
two = stack("two", greeting=one.outputs["greeting"])
three = stack("three", greeting=one.outputs["fixed"])
pulumi.export("greeting", two.outputs["greeting"])
"""
    ).init()
    outer.up()
    assert outer.outputs() == {"greeting": "hello"}
    pipeline.inner("one", INNER | {"outputs": {**INNER["outputs"], "greeting": "${greeting} there"}})
    assert sorted(outer.preview().steps) == [f"{STACK}::one", f"{STACK}::two"]
    assert sorted(outer.up().steps) == [f"{STACK}::one", f"{STACK}::two"]
    assert outer.outputs() == {"greeting": "hello there"}
