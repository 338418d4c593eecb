"""Where inner programs come from, and running one again."""

from __future__ import annotations

import subprocess
import tarfile

from support.inner import INNER, PASSWORD, STACK


def changed(greeting: str) -> dict:
    return INNER | {"outputs": {"greeting": greeting}}


def test_an_archive_and_back_to_the_earlier_one(pipeline):
    outer = pipeline.outer
    for version in ("v1", "v2"):
        pipeline.project("web", changed(version))
        with tarfile.open(outer.folder / f"{version}.tar.gz", "w:gz") as archive:
            archive.add(outer.folder / "web", "web")
    inputs = pipeline.stack("web", directory=None, archive="v1.tar.gz")
    seen = []
    for version in ("v1", "v2", "v1"):
        inputs["archive"] = f"{version}.tar.gz"
        pipeline.write(greeting="${web.outputs.greeting}").init().up()
        assert not outer.up().changes
        seen.append(outer.outputs()["greeting"])
    assert seen == ["v1", "v2", "v1"]


def test_a_repository_by_branch_and_by_commit(pipeline):
    outer = pipeline.outer

    def git(*args: str) -> str:
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        return subprocess.run(["git", *identity, "-C", str(outer.folder), *args], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet", "--initial-branch", "main")
    commits = []
    for version in ("v1", "v2"):
        pipeline.project("web", changed(version))
        git("add", "web")
        git("commit", "--quiet", "-m", version)
        commits.append(git("rev-parse", "HEAD"))
    inputs = pipeline.stack("web", directory=None, git={"url": f"file://{outer.folder}", "ref": "main", "path": "web"})
    pipeline.write(greeting="${web.outputs.greeting}").init().up()
    assert outer.outputs() == {"greeting": "v2"} and not outer.up().changes
    inputs["git"]["ref"] = commits[0]
    pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "v1"}
    inputs["git"]["ref"] = "nothing"
    failed = pipeline.write().preview(fails=True)
    assert "git" in failed.text and "nothing" in failed.text


def test_a_program_inline(pipeline):
    program = {"config": {"greeting": {"type": "string"}}, "outputs": {"greeting": "$${greeting}", "fixed": 3}}
    pipeline.stack("web", directory=None, program=program, config={"greeting": "hi"})
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    assert outer.outputs() == {"greeting": "hi"} and not outer.up().changes


def test_a_class_of_a_python_module(pipeline):
    pipeline.outer.file(
        "lib/platform_steps/web.py",
        """
import pulumi

class Web:
    @classmethod
    def autoload(cls):
        pulumi.export("greeting", pulumi.get_stack())
""",
    )
    pipeline.outer.file("lib/platform_steps/__init__.py", "")
    source = {"module": "platform_steps.web", "class": "Web", "root": "lib"}
    pipeline.stack("web", directory=None, python=source)
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    assert outer.outputs() == {"greeting": "dev"} and not outer.up().changes
    assert "platform_steps/web.py" in outer.resource("web")["inputs"]["sourceDigests"]


def test_paths_of_this_machine_stay_out_of_the_state(pipeline):
    pipeline.inner("web", directory=str(pipeline.outer.folder / "web"), watch=[str(pipeline.outer.folder / "shared")])
    pipeline.outer.file("shared/a.txt", "x")
    outer = pipeline.write().init()
    outer.up()
    inputs = outer.resource("web")["inputs"]
    assert inputs["directory"] == "web" and inputs["watch"] == ["shared"] and "shared/a.txt" in inputs["sourceDigests"]


def test_running_a_stack_again(pipeline):
    pipeline.inner("web", config={"password": {"fn::secret": PASSWORD}}, onDelete="destroyAndRemove")
    again = {"spec": "${web.spec}", "triggers": {"step": "1"}}
    pipeline.resources["again"] = {"type": "ptd:index:StackUpdate", "properties": again, "options": {"dependsOn": ["${web}"]}}
    outer = pipeline.write(password="${again.outputs.password}", fixed="${again.plainOutputs.fixed}").init()
    first = outer.up()
    assert outer.outputs() == {"password": PASSWORD, "fixed": 3}
    assert len(pipeline.updates("web")) == 2
    assert not outer.up().changes
    again["triggers"]["step"] = "2"
    assert pipeline.write().up().steps == {"ptd:index:StackUpdate::again": ["update"]}
    assert len(pipeline.updates("web")) == 3
    # What the owner runs, it runs too.
    pipeline.project("web", changed("new"))
    assert sorted(pipeline.write().up().steps) == [f"{STACK}::web", "ptd:index:StackUpdate::again"]
    assert len(pipeline.updates("web")) == 5
    assert PASSWORD not in first.text + str(first.events) + str(outer.export())
    outer.destroy()
    assert not (pipeline.backend / ".pulumi/stacks/web/dev.json").exists()


def test_last_known_values_serve_a_preview_alone(pipeline):
    pipeline.inner("one")
    pipeline.inner("two", config={"greeting": "${one.outputs.greeting}"}, previewInputs="lastKnown")
    outer = pipeline.write().init()
    outer.up()
    pipeline.project("one", changed("${greeting} there"))
    shown = outer.preview()
    assert "previewed with the last known value of config" in shown.text
    outer.up()
    assert "hello there" in pipeline.by_hand("two", "output", "--json")
