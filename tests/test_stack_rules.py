"""Which stack is whose: identity, ownership, import, observing and skipping."""

from __future__ import annotations

import json

import pytest
from support.inner import INNER, PASSWORD, STACK
from support.vault import PROVIDER


@pytest.mark.parametrize("options", [None, {"provider": "${other}"}], ids=["one process", "two processes"])
def test_two_resources_for_one_stack_are_refused_before_anything_runs(pipeline, options):
    pipeline.resources["other"] = {"type": "pulumi:providers:ptd"}
    pipeline.inner("web")
    pipeline.stack("web", options, "again", backendUrl=f"{pipeline.url}/")
    failed = pipeline.write().init().up("--skip-preview", fails=True)
    assert "is the inner stack of" in failed.text and "organization/web/dev" in failed.text
    del pipeline.resources["again"]
    pipeline.write().up()
    assert pipeline.updates("web")[0]["result"] == "succeeded"


def test_a_stack_that_would_run_itself_is_refused(pipeline):
    outer = pipeline.outer
    own = f"organization/{outer.name}/dev"
    pipeline.inner("web", stack=own, backendUrl=outer.env["PULUMI_BACKEND_URL"])
    failed = pipeline.write().init().preview(fails=True)
    assert "is the stack that declares this resource" in failed.text


def test_another_identity_is_refused_unless_asked_for(pipeline):
    inputs = pipeline.inner("web", onDelete="destroyAndRemove")
    outer = pipeline.write().init()
    outer.up()
    inputs["stack"] = "organization/web/other"
    refused = pipeline.write().preview(fails=True)
    assert "stack export" in refused.text and "replaceOnIdentityChange" in refused.text
    inputs["replaceOnIdentityChange"] = True
    assert "replace" in pipeline.write().preview().steps[f"{STACK}::web"]
    outer.up()
    stacks = pipeline.backend / ".pulumi/stacks/web"
    assert sorted(path.name for path in stacks.glob("*.json")) == ["other.json"]
    # Another way to write the same place is no other place.
    inputs["backendUrl"] = f"file://{pipeline.backend}/."
    inputs["replaceOnIdentityChange"] = False
    before = len(list((pipeline.backend / ".pulumi/history/web/other").glob("*.history.json")))
    changed = pipeline.write().up()
    assert changed.changes == {"update": 1}
    assert len(list((pipeline.backend / ".pulumi/history/web/other").glob("*.history.json"))) == before


def test_a_renamed_resource_keeps_its_stack(pipeline):
    """Without an alias, the engine creates the new one and then deletes the old one."""
    pipeline.inner("web", onDelete="destroyAndRemove")
    outer = pipeline.write().init()
    outer.up()
    pipeline.resources["site"] = pipeline.resources.pop("web")
    renamed = pipeline.write().up()
    assert "has taken it over" in renamed.text
    assert (pipeline.backend / ".pulumi/stacks/web/dev.json").exists()
    assert not outer.up().changes


def test_import_runs_nothing_and_changes_nothing(pipeline):
    secret = {"fn::secret": PASSWORD}
    pipeline.inner("old", config={"greeting": "hi", "password": secret}, onDelete="retain")
    pipeline.write().init().up()
    pipeline.outer.destroy()
    stored = (pipeline.backend / ".pulumi/stacks/old/dev.json").read_text()
    assert len(pipeline.updates("old")) == 1
    identity = f"{pipeline.url}#organization/old/dev"
    pipeline.resources["old"]["options"] = {"import": identity}
    outer = pipeline.write(greeting="${old.outputs.greeting}", password="${old.outputs.password}")
    done = outer.up()
    assert done.summary.get("import") == 1
    # With another passphrase than the outer stack's, secrets wait for a look with the program's inputs.
    assert "left out until the next refresh: password" in done.text
    assert outer.outputs()["greeting"] == "hi"
    assert outer.up().changes == {}
    outer.refresh()
    assert outer.up().changes == {}
    assert outer.outputs() == {"greeting": "hi", "password": PASSWORD}
    assert outer.resource("old")["id"] == identity
    assert (pipeline.backend / ".pulumi/stacks/old/dev.json").read_text() == stored
    del pipeline.resources["old"]["options"]
    assert not pipeline.write().up().changes
    assert len(pipeline.updates("old")) == 1


def test_import_from_the_command_line(pipeline):
    pipeline.project("old")
    pipeline.up_by_hand("old")
    outer = pipeline.write().init()
    outer.import_(STACK, "old", f"{pipeline.url}#organization/old/dev")
    stored = outer.resource("old")
    assert stored["outputs"]["outputs"]["greeting"] == "hello" and stored["inputs"]["observe"] is True
    # Giving it a program runs nothing; the next change does.
    pipeline.stack("old")
    assert not pipeline.write().up().changes
    assert len(pipeline.updates("old")) == 1
    pipeline.project("old", INNER | {"outputs": {"greeting": "new"}})
    pipeline.write(greeting="${old.outputs.greeting}").up()
    assert len(pipeline.updates("old")) == 2 and outer.outputs() == {"greeting": "new"}


def test_observing_runs_nothing(pipeline):
    pipeline.project("old")
    pipeline.stack("old", directory=None, observe=True)
    outer = pipeline.write(greeting="${old.outputs.greeting}").init()
    failed = outer.up(fails=True)
    assert "to observe" in failed.text
    pipeline.up_by_hand("old")
    outer.up()
    assert outer.outputs() == {"greeting": "hello"}
    outer.destroy()
    assert len(pipeline.updates("old")) == 1


def test_a_skipped_stack_stays_and_gives_its_outputs(pipeline):
    inputs = pipeline.inner("one")
    pipeline.inner("two", config={"greeting": "${one.outputs.greeting}"})
    outer = pipeline.write(greeting="${two.outputs.greeting}").init()
    outer.up()
    pipeline.project("one", INNER | {"outputs": {**INNER["outputs"], "greeting": "${greeting} there"}})
    inputs["skip"] = True
    pipeline.project("two", INNER | {"outputs": {"greeting": "${greeting}!"}})
    skipped = pipeline.write(greeting="${two.outputs.greeting}").up()
    assert "Pulumi.yaml" in skipped.text and "skipped, although its program has changed" in skipped.text
    assert [len(pipeline.updates(name)) for name in ("one", "two")] == [1, 2]
    assert outer.outputs() == {"greeting": "hello!"}
    inputs["skip"] = False
    planned = pipeline.write(greeting="${two.outputs.greeting}").preview()
    assert planned.diff("one") == {'sourceDigests["Pulumi.yaml"]': "update"}
    outer.up()
    assert outer.outputs() == {"greeting": "hello there!"}


def test_a_stack_that_was_always_skipped_runs_when_it_is_not(pipeline):
    inputs = pipeline.inner("one", skip=True)
    outer = pipeline.write().init()
    outer.up()
    assert not (pipeline.backend / ".pulumi/stacks/one").exists()
    assert not outer.up().changes
    inputs["skip"] = False
    assert pipeline.write().up(skip_preview=False).changes == {"update": 1}
    assert len(pipeline.updates("one")) == 1
    assert not outer.up().changes


def test_a_name_from_its_parts(pipeline):
    parts = {"cloud": "aws", "kind": "workload", "step": "postgres_config", "target": "dev"}
    pipeline.inner("ptd-aws-workload-postgres-config", stack=None, naming=parts)
    outer = pipeline.write().init()
    outer.up()
    assert outer.resource("ptd-aws-workload-postgres-config")["id"].endswith("#organization/ptd-aws-workload-postgres-config/dev")
    assert not outer.up().changes


@pytest.mark.parametrize(
    ("inputs", "path", "reason"),
    [
        ({"directory": None}, "directory", "is required"),
        ({"archive": "web.tgz"}, "archive", "cannot be given together with directory"),
        ({"observe": True}, "directory", "cannot be given together with observe"),
        ({"stack": "organization/other/dev"}, "stack", "is of project other"),
        ({"stack": None}, "stack", "is required"),
        ({"directory": None, "archive": "web.rar"}, "archive", "no .tar"),
        ({"directory": None, "git": {"url": "--upload-pack=touch x", "ref": "main"}}, "git", "must be a repository"),
        ({"directory": None, "python": {"module": "a; import os", "class": "B", "root": "."}}, "python", "no Python name"),
        ({"policyPacks": ["nowhere"]}, "policyPacks", "no directory nowhere"),
        ({"retry": {"attempts": 1}}, "retry", "attempts"),
    ],
)
def test_bad_inputs_fail_their_check(pipeline, inputs, path, reason):
    pipeline.inner("web", **inputs)
    failed = pipeline.write().init().preview(fails=True)
    assert path in failed.text and reason in failed.text and "web" in failed.text
    assert list(pipeline.backend.iterdir()) == []


HIDDEN = {"fn::secret": PASSWORD}


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"message": HIDDEN}, "message"),
        ({"backendUrl": {"fn::secret": f"file:///{PASSWORD}"}}, "backendUrl"),
        ({"stack": {"fn::secret": f"organization/web/{PASSWORD}"}}, "stack"),
        ({"stack": None, "naming": {"cloud": "aws", "kind": "workload", "step": "eks", "target": HIDDEN}}, "naming.target"),
        ({"secretsProvider": HIDDEN}, "secretsProvider"),
        ({"targets": ["urn:a", HIDDEN]}, "targets[1]"),
        ({"excludes": {"fn::secret": [PASSWORD]}}, "excludes"),
        ({"replace": [HIDDEN]}, "replace[0]"),
        ({"directory": None, "git": {"url": {"fn::secret": f"/nowhere/{PASSWORD}"}, "ref": "main"}}, "git.url"),
        ({"directory": None, "git": {"url": HIDDEN, "ref": "main"}, "skip": True}, "git.url"),
    ],
)
def test_a_secret_is_refused_where_it_would_be_shown(pipeline, inputs, path):
    pipeline.inner("web", **inputs)
    failed = pipeline.write().init().preview(fails=True)
    assert path in failed.text and "must not be a secret" in failed.text and PASSWORD not in failed.text
    assert list(pipeline.backend.iterdir()) == []


def test_a_secret_message_of_another_run_is_refused(pipeline):
    pipeline.inner("web")
    again = {"spec": "${web.spec}", "message": HIDDEN}
    pipeline.resources["again"] = {"type": "ptd:index:StackUpdate", "properties": again}
    failed = pipeline.write().init().preview(fails=True)
    assert "message" in failed.text and "must not be a secret" in failed.text and PASSWORD not in failed.text


@pytest.mark.parametrize(("user", "query"), [(f"ptd:{PASSWORD}", ""), ("ptd", f"?password={PASSWORD}")])
def test_a_backend_with_a_password_in_its_url_is_refused(pipeline, user, query):
    pipeline.inner("web", backendUrl=f"postgres://{user}@db.example.com/state{query}")
    failed = pipeline.write().init().preview(fails=True)
    assert "backendUrl must not hold a password" in failed.text and "PGPASSWORD" in failed.text and PASSWORD not in failed.text


def test_a_look_tells_what_has_drifted_and_writes_nothing(pipeline, boto):
    program = {"resources": {"kept": {"type": "ptd:aws:Secret", "properties": {"name": "acme.posit.team", "allowDelete": True, "description": "a"}}}}
    inputs = pipeline.inner("vault", program, onDelete="destroy")
    outer = pipeline.write().init()
    outer.up()
    stored = (pipeline.backend / ".pulumi/stacks/vault/dev.json").read_bytes()
    before = outer.resource("vault")["outputs"]
    assert before["drift"] == {} and before["resourceCount"] == 1
    boto("secretsmanager").update_secret(SecretId="acme.posit.team", Description="b")
    outer.refresh()
    after = outer.resource("vault")["outputs"]
    # As many as an update counts: no default providers.
    assert after["drift"] == {"update": 1} and after["resourceCount"] == 1
    assert (pipeline.backend / ".pulumi/stacks/vault/dev.json").read_bytes() == stored
    assert len(pipeline.updates("vault")) == 1
    assert json.loads(pipeline.by_hand("vault", "export"))["version"] == 3

    # Whoever wants it is healed by the update after the look; the wish alone runs nothing.
    boto("secretsmanager").update_secret(SecretId="acme.posit.team", Description="a")
    outer.refresh()
    inputs["refresh"] = True
    pipeline.write().up()
    assert outer.resource("vault")["outputs"]["drift"] == {} and len(pipeline.updates("vault")) == 1
    boto("secretsmanager").update_secret(SecretId="acme.posit.team", Description="b")
    healed = outer.up("--refresh")
    assert healed.changes == {"update": 1}, healed.changes
    assert boto("secretsmanager").describe_secret(SecretId="acme.posit.team")["Description"] == "a"
    assert outer.resource("vault")["outputs"]["drift"] == {} and len(pipeline.updates("vault")) == 2
    assert not outer.up("--refresh").changes
    outer.destroy()


def test_what_deleting_does_is_recorded_even_of_a_stack_that_is_skipped(pipeline):
    inputs = pipeline.inner("web")
    outer = pipeline.write().init()
    outer.up()
    inputs |= {"skip": True, "config": {"greeting": "bye"}, "onDelete": "destroyAndRemove"}
    pipeline.write().up()
    stored = outer.resource("web")["inputs"]
    assert stored["onDelete"] == "destroyAndRemove" and "config" not in stored and len(pipeline.updates("web")) == 1
    assert not outer.up().changes
    outer.destroy()
    assert list((pipeline.backend / ".pulumi/stacks").rglob("dev.json")) == []


def test_another_secrets_provider_is_followed_once_the_stack_has_it(pipeline):
    inputs = pipeline.inner("web", config={"password": {"fn::secret": PASSWORD}})
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    before = pipeline.files()
    inputs |= {"secretsProvider": PROVIDER, "triggers": {"again": 1}}
    for refused in (pipeline.write().preview(fails=True), outer.up(fails=True)):
        assert "encrypts its secrets with passphrase" in refused.text and "change-secrets-provider" in refused.text
    assert pipeline.files() == before
    # By hand, in a project that has the settings of the run.
    settings = json.loads(outer.resource("web", show_secrets=True)["outputs"]["settings"]["plaintext"])
    (outer.folder / "web/Pulumi.dev.yaml").write_text(settings)
    pipeline.look([*pipeline.command("web", "stack", "change-secrets-provider", PROVIDER)])
    (outer.folder / "web/Pulumi.dev.yaml").unlink()
    pipeline.write().up()
    assert json.loads(pipeline.by_hand("web", "output", "--json", "--show-secrets"))["password"] == PASSWORD
    assert not outer.up().changes
