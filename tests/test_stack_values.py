"""What a stack is given and gives: secrets that are put back, outputs that name a secret, what previews know of secret ones."""

from __future__ import annotations

import json
import subprocess

from support.inner import INNER
from support.vault import PROVIDER

SECRET_ECHO = {
    "config": {"password": {"type": "string"}, "count": {"type": "string", "default": "0"}},
    "variables": {"hidden": {"fn::secret": "${password}"}},
    "outputs": {"password": "${hidden}", "count": "${count}"},
}


def test_a_secret_that_is_put_back_after_a_failed_update_is_the_old_one_again(pipeline):
    inputs = pipeline.inner("web", SECRET_ECHO, config={"password": {"fn::secret": "the-first"}})
    outer = pipeline.write(password="${web.outputs.password}").init()
    outer.up()
    broken = SECRET_ECHO | {"variables": SECRET_ECHO["variables"] | {"file": {"fn::readFile": "nowhere"}}}
    pipeline.project("web", broken)
    inputs["config"]["password"] = {"fn::secret": "the-second"}
    pipeline.write().up(fails=True)
    pipeline.project("web", SECRET_ECHO)
    inputs["config"]["password"] = {"fn::secret": "the-first"}
    pipeline.write(password="${web.outputs.password}").up()
    assert outer.outputs() == {"password": "the-first"}
    assert json.loads(pipeline.by_hand("web", "output", "--json", "--show-secrets"))["password"] == "the-first"


def test_an_output_that_happens_to_name_a_secret_is_whole(pipeline):
    program = {
        "config": {"user": {"type": "string"}, "size": {"type": "string", "default": "small"}},
        "outputs": {"plain": "the admin of it", "parts": {"name": ["admin"], "size": "${size}"}},
    }
    inputs = pipeline.inner("web", program, config={"user": {"fn::secret": "admin"}})
    outer = pipeline.write(plain="${web.outputs.plain}", parts="${web.plainOutputs.parts}").init()
    outer.up()
    assert outer.outputs() == {"plain": "the admin of it", "parts": {"name": ["admin"], "size": "small"}}
    assert not outer.refresh().changes and not outer.up().changes
    # A preview does not take it for another one, nor an update for the same one.
    inputs["config"]["size"] = "large"
    pipeline.write(plain="${web.outputs.plain}", parts="${web.plainOutputs.parts}").up(skip_preview=False)
    assert outer.outputs()["parts"] == {"name": ["admin"], "size": "large"}


def test_a_preview_does_not_promise_a_secret_that_changes(pipeline):
    inputs = pipeline.inner("one", config={"password": {"fn::secret": "the-first"}})
    pipeline.inner("two", config={"password": "${one.outputs.password}"})
    outer = pipeline.write().init()
    outer.up()
    inputs["config"]["password"] = {"fn::secret": "the-second"}
    shown = pipeline.write().preview()
    assert {name.rpartition("::")[2] for name in shown.steps} == {"one", "two"}
    outer.up()
    # The files alone have changed, and with them nothing that there is.
    pipeline.project("one", INNER | {"description": "said in other words"})
    shown = outer.preview()
    assert {name.rpartition("::")[2] for name in shown.steps} == {"one"}


def test_a_stack_of_nothing_but_looks_at_others_can_be_removed(pipeline):
    pipeline.inner("web")
    look = {"type": "ptd:index:Stack", "get": {"id": f"{pipeline.url}#organization/web/dev"}}
    outer = pipeline.write().init()
    outer.up()
    pipeline.inner("reader", {"resources": {"look": look}, "outputs": {"said": "hello"}}, onDelete="destroyAndRemove")
    pipeline.write().up()
    del pipeline.resources["reader"]
    pipeline.write().up()
    assert not list(pipeline.backend.glob(".pulumi/stacks/reader/*.json"))


def test_a_secret_of_the_inputs_goes_over_the_projects_own_after_an_import(pipeline):
    pipeline.project("web", SECRET_ECHO)
    pipeline.outer.folder.mkdir(parents=True, exist_ok=True)
    secret = ["config", "set", "--secret", "password", "of-the-file"]
    for args in (["stack", "init", "--no-select"], secret, ["up", "--yes", "--skip-preview"]):
        subprocess.run(pipeline.command("web", *args), env=pipeline.env, check=True, capture_output=True)
    inputs = pipeline.stack("web", config={"password": {"fn::secret": "of-the-inputs"}})
    pipeline.resources["web"]["options"] = {"import": f"{pipeline.url}#organization/web/dev"}
    pipeline.write().init().up()
    # The first update after an import takes the program, and runs nothing.
    assert "a change of triggers applies them" in pipeline.write().up().text
    inputs["config"]["count"] = "1"
    done = pipeline.write().up()
    found = json.loads(pipeline.by_hand("web", "output", "--json", "--show-secrets"))
    assert found == {"password": "of-the-inputs", "count": 1}, done.text


def test_what_is_empty_is_as_good_as_not_given(pipeline):
    """A refresh leaves it out."""
    pipeline.inner("web", targets=[], excludes=[], inheritEnvironment=[], triggers={}, config={})
    outer = pipeline.write().init()
    outer.up()
    outer.refresh()
    assert not outer.up("--expect-no-changes").changes
    assert not outer.preview().steps


def test_a_stack_that_was_removed_after_a_failure_is_made_anew(pipeline):
    """Its secret has to be encrypted before the update finds that there is no stack."""
    broken = SECRET_ECHO | {"variables": SECRET_ECHO["variables"] | {"file": {"fn::readFile": "nowhere"}}}
    pipeline.inner("web", broken, config={"password": {"fn::secret": "the-password"}})
    outer = pipeline.write(password="${web.outputs.password}").init()
    outer.up(fails=True)
    pipeline.by_hand("web", "rm", "--yes", "--force", "--preserve-config")
    pipeline.project("web", SECRET_ECHO)
    assert "is made anew" in pipeline.write(password="${web.outputs.password}").up(skip_preview=False).text
    assert outer.outputs() == {"password": "the-password"}


def test_after_its_key_was_changed_by_hand_a_stacks_secrets_are_encrypted_anew(pipeline):
    inputs = pipeline.inner("web", SECRET_ECHO, config={"password": {"fn::secret": "the-password"}})
    outer = pipeline.write(password="${web.outputs.password}").init()
    outer.up()
    pipeline.by_hand("web", "rm", "--yes", "--force", "--preserve-config")
    pipeline.up_by_hand("web", "--config", "password=by-hand")
    outer.refresh()
    inputs["config"]["count"] = "1"
    pipeline.write(password="${web.outputs.password}").up()
    assert outer.outputs() == {"password": "the-password"}


def test_a_stack_that_is_taken_over_keeps_how_it_encrypts(pipeline):
    pipeline.project("web", SECRET_ECHO)
    pipeline.outer.folder.mkdir(parents=True, exist_ok=True)
    pipeline.up_by_hand("web", "--config", "password=by-hand")
    inputs = pipeline.stack("web", config={"password": {"fn::secret": "the-password"}}, secretsProvider=PROVIDER)
    outer = pipeline.write(password="${web.outputs.password}").init()
    for count in (0, 1, 2):
        inputs["config"]["count"] = str(count)
        pipeline.write(password="${web.outputs.password}").up()
        assert outer.outputs() == {"password": "the-password"}
        state = json.loads(pipeline.by_hand("web", "export"))
        assert state["deployment"]["secrets_providers"]["type"] == "passphrase"


def test_an_output_that_a_program_forgot_to_mark_is_secret_all_the_same(pipeline):
    program = """
import pulumi

user = pulumi.Config().require("user")
password = pulumi.Config().require("password")
pulumi.export("url", f"postgres://{user}:{password}@db")
pulumi.export("user", f"the {user}")
"""
    config = {"user": {"fn::secret": "main"}, "password": {"fn::secret": "not-marked-in-the-program"}}
    inputs = pipeline.inner("web", program, config=config)
    outputs = {"url": "${web.outputs.url}", "user": "${web.plainOutputs.user}"}
    outer = pipeline.write(**outputs).init()
    outer.up()
    found = {"url": "postgres://main:not-marked-in-the-program@db", "user": "the main"}  # pragma: allowlist secret
    assert outer.outputs() == found
    assert "not-marked-in-the-program" not in json.dumps(outer.export())
    assert not outer.refresh().changes and not outer.up().changes
    inputs["triggers"] = {"again": 1}
    assert "not-marked-in-the-program" not in pipeline.write(**outputs).up(skip_preview=False).text
    assert outer.outputs() == found

