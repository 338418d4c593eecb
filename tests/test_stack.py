"""Inner stacks as resources, through the real CLI on both levels."""

from __future__ import annotations

import json
import os

import pytest
from support.inner import INNER, PASSWORD, STACK

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
    pipeline.up_by_hand("old")
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
