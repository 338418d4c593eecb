"""What a stack runs with: the settings that its project keeps, files beside it, and backends of all kinds."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from support.inner import INNER


def by_hand(pipeline, *args: str) -> None:
    stack = ["--stack", "organization/web/dev", "--non-interactive"]
    subprocess.run(["pulumi", "-C", str(pipeline.outer.folder / "web"), *args, *stack], env=pipeline.env, check=True, capture_output=True)


def revealed(pipeline, name: str) -> str:
    return pipeline.by_hand("web", "output", name, "--show-secrets").strip()


def test_the_projects_own_settings_are_used_as_they_are_now(pipeline):
    """A secret that was changed or removed in the file, and a value that the inputs covered for a while."""
    inputs = pipeline.inner("web")
    by_hand(pipeline, "stack", "init", "--no-select")
    by_hand(pipeline, "config", "set", "--secret", "password", "first-password")
    by_hand(pipeline, "config", "set", "greeting", "from the file")
    outer = pipeline.write().init()
    outer.up()
    assert (revealed(pipeline, "password"), revealed(pipeline, "greeting")) == ("first-password", "from the file")
    by_hand(pipeline, "config", "set", "--secret", "password", "second-password")
    inputs["config"] = {"greeting": "from the inputs"}
    pipeline.write().up()
    assert (revealed(pipeline, "password"), revealed(pipeline, "greeting")) == ("second-password", "from the inputs")
    by_hand(pipeline, "config", "rm", "password")
    del inputs["config"]
    pipeline.write().up()
    assert (revealed(pipeline, "password"), revealed(pipeline, "greeting")) == ("none", "from the file")


def test_settings_that_the_project_keeps_elsewhere_are_used(pipeline):
    pipeline.inner("web")
    project = pipeline.outer.folder / "web/Pulumi.yaml"
    project.write_text(json.dumps(yaml.safe_load(project.read_text()) | {"stackConfigDir": "../stacks"}))
    by_hand(pipeline, "stack", "init", "--no-select")
    by_hand(pipeline, "config", "set", "greeting", "from elsewhere")
    outer = pipeline.write().init()
    outer.up()
    assert revealed(pipeline, "greeting") == "from elsewhere"
    by_hand(pipeline, "config", "set", "greeting", "changed")
    assert "../stacks/Pulumi.dev.yaml" in outer.preview("--diff").text
    outer.up()
    assert revealed(pipeline, "greeting") == "changed"
    assert not outer.up().changes


def test_secrets_that_a_project_keeps_can_be_read_by_a_stack_that_is_made_anew(pipeline):
    inputs = pipeline.inner("web")
    by_hand(pipeline, "stack", "init", "--no-select")
    by_hand(pipeline, "config", "set", "--secret", "password", "kept-password")
    remove = ("stack", "rm", "--yes", "--force", "--preserve-config")
    by_hand(pipeline, *remove)
    outer = pipeline.write().init()
    assert "previewed without the secrets" in outer.up(skip_preview=False).text
    assert revealed(pipeline, "password") == "kept-password"
    by_hand(pipeline, *remove)
    inputs["triggers"] = {"again": 1}
    assert "is made anew" in pipeline.write().up().text
    assert revealed(pipeline, "password") == "kept-password"


@pytest.mark.parametrize("by", ["option", "taint"])
def test_replacing_the_resource_leaves_the_stack_to_the_new_one(pipeline, by):
    pipeline.inner("web", onDelete="destroyAndRemove")
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    urn = outer.resource("web")["urn"]
    if by == "option":
        done = outer.up("--replace", urn)
    else:
        outer.run("state", "taint", urn, "--yes")
        done = outer.up()
    assert "has taken it over" in done.text
    assert [update["kind"] for update in pipeline.updates("web")] == ["update", "update"]
    assert outer.outputs() == {"greeting": "hello"} and not outer.up().changes
    # Without a new one it ends as it is told.
    outer.destroy()
    assert not list(pipeline.backend.glob(".pulumi/stacks/**/dev.json"))


def test_a_watched_file_does_not_hide_one_of_the_program(pipeline):
    pipeline.inner("web", watch=["requirements.txt"])
    outer = pipeline.outer
    outer.file("web/requirements.txt", "own")
    outer.file("requirements.txt", "watched")
    pipeline.write().init().up()
    for count, path in enumerate(("web/requirements.txt", "requirements.txt"), start=2):
        outer.file(path, "changed")
        outer.up()
        assert len(pipeline.updates("web")) == count
    assert not outer.up().changes


def test_a_backend_with_a_blank_in_its_name_is_found_by_a_preview(pipeline):
    place = pipeline.backend / "my state"
    place.mkdir()
    pipeline.url = f"file://{pipeline.backend}/my%20state"
    pipeline.inner("web")
    outer = pipeline.write(fixed="${web.outputs.fixed}").init()
    outer.up()
    pipeline.project("web", INNER | {"outputs": {"greeting": "new", "fixed": 3}})
    shown = outer.preview()
    assert "is gone" not in shown.text and "made anew" not in shown.text and "to update" in shown.text
    assert (place / ".pulumi").is_dir()


def test_a_file_backend_is_named_from_the_root(pipeline):
    pipeline.inner("web", backendUrl="file://./state")
    failed = pipeline.write().init().preview(fails=True)
    assert "backendUrl" in failed.text and "from the root" in failed.text


def test_a_stack_of_a_service_is_previewed_before_it_is_there(pipeline):
    pipeline.inner("web", backendUrl="https://api.pulumi.com", stack="acme/web/dev")
    shown = pipeline.write().init().preview()
    assert "cannot be previewed" not in shown.text and "1 to create" in shown.text, shown.text


def test_a_look_knows_the_configuration(pipeline):
    pipeline.inner("web", {"config": {"size": {"type": "integer"}}, "outputs": {"size": "${size}"}}, config={"size": 3})
    outer = pipeline.write(size="${web.outputs.size}").init()
    outer.up()
    assert "cannot be told" not in outer.refresh().text
    assert outer.outputs() == {"size": 3}


def test_a_stack_of_many_megabytes_is_read_whole(pipeline):
    pipeline.inner("web", 'import pulumi\npulumi.export("big", pulumi.Output.secret("0123456789" * 1_000_000))\n')
    outer = pipeline.write().init()
    outer.up()
    outer.refresh()
    assert len(outer.resource("web")["outputs"]["outputs"]["big"]["ciphertext"]) > 10_000_000
