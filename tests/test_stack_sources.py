"""Where inner programs come from, and running one again."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.inner import INNER, PASSPHRASE, PASSWORD, STACK
from support.protocol import until

TOKEN = "t0k3n-of-a-repository-0123"


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


def git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    return subprocess.run(["git", *identity, "-C", str(folder), *args], check=True, capture_output=True, text=True).stdout.strip()


def committed(pipeline, greeting: str) -> None:
    """Commits the project `web` of that greeting."""
    pipeline.project("web", changed(greeting))
    git(pipeline.outer.folder, "add", "web")
    git(pipeline.outer.folder, "commit", "--quiet", "-m", greeting)


def test_a_repository_by_branch_and_by_commit(pipeline):
    outer = pipeline.outer
    git(outer.folder, "init", "--quiet", "--initial-branch", "main")
    commits = []
    for version in ("v1", "v2"):
        committed(pipeline, version)
        commits.append(git(outer.folder, "rev-parse", "HEAD"))
    inputs = pipeline.stack("web", directory=None, git={"url": f"file://{outer.folder}", "ref": "main", "path": "web"})
    pipeline.write(greeting="${web.outputs.greeting}").init().up()
    assert outer.outputs() == {"greeting": "v2"} and not outer.up().changes
    inputs["git"]["ref"] = commits[0]
    pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "v1"}
    inputs["git"]["ref"] = "nothing"
    failed = pipeline.write().preview(fails=True)
    assert "git" in failed.text and "nothing" in failed.text


def test_a_name_in_a_repository_is_not_a_longer_one_that_ends_like_it(pipeline):
    outer = pipeline.outer
    git(outer.folder, "init", "--quiet", "--initial-branch", "main")
    commits = {}
    for name in ("main", "v1", "both", "release/main", "x/v1"):
        committed(pipeline, name)
        commits[name] = git(outer.folder, "rev-parse", "HEAD")
    for branch, of in (("release/main", "release/main"), ("both", "both")):
        git(outer.folder, "branch", branch, commits[of])
    for tag, of in (("v1", "v1"), ("x/v1", "x/v1"), ("both", "main")):
        git(outer.folder, "tag", "-a", "-m", tag, tag, commits[of])
    git(outer.folder, "reset", "--quiet", "--hard", commits["main"])
    inputs = pipeline.stack("web", directory=None, git={"url": f"file://{outer.folder}", "ref": "main", "path": "web"})
    found = {}
    pipeline.write().init()
    for ref in ("main", "v1", "x/v1", "release/main", "both", "refs/tags/both", "HEAD"):
        inputs["git"]["ref"] = ref
        pipeline.write().up()
        found[ref] = outer.resource("web")["inputs"]["sourceDigests"]["commit"]
    assert found == commits | {"refs/tags/both": commits["main"], "HEAD": commits["main"]}


@pytest.fixture
def other_git(pipeline, tmp_path):
    """Puts a shell script before `git`, for all that the outer run starts. Gives the directory in which it works."""
    real = shutil.which("git")
    folder = tmp_path / "other-git"
    folder.mkdir()

    def place(text: str) -> Path:
        file = folder / "git"
        file.write_text(f'#!/bin/sh\nhere={folder}\n{text}\nexec {real} "$@"\n')
        file.chmod(0o755)
        pipeline.outer.env["PATH"] = f"{folder}{os.pathsep}{pipeline.outer.env['PATH']}"
        return folder

    return place


#: Of the provider's calls alone: the CLI looks at repositories too.
RECORDS = '[ "$GIT_TERMINAL_PROMPT" != 0 ] || { printf "%s\\n" "$@" >> $here/arguments; env >> $here/environment; }'


def test_git_gets_what_inner_runs_get(pipeline, other_git):
    outer = pipeline.outer
    git(outer.folder, "init", "--quiet", "--initial-branch", "main")
    committed(pipeline, "v1")
    records = other_git(RECORDS)
    outer.env["PULUMI_CONFIG"] = '{"app:password": "s3cr3t-of-the-outer-run"}'
    variables = {"PULUMI_CONFIG_PASSPHRASE": {"fn::secret": PASSPHRASE}, "GIT_SSH_COMMAND": "ssh -i key"}
    pipeline.stack("web", directory=None, git={"url": f"file://{outer.folder}", "ref": "main", "path": "web"}, environment=variables)
    pipeline.write().init().up()
    told = (records / "environment").read_text().splitlines()
    calls = told.count("GIT_TERMINAL_PROMPT=0")
    assert calls >= 4 and told.count("GIT_SSH_COMMAND=ssh -i key") == calls
    assert [line for line in told if line.startswith("PULUMI") or "s3cr3t" in line or PASSPHRASE in line] == []
    assert "ls-remote" in (records / "arguments").read_text()


class Guarded(http.server.SimpleHTTPRequestHandler):
    """Files, for who has the token."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] == "Basic " + base64.b64encode(f"git:{TOKEN}".encode()).decode():
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="files"')
            self.end_headers()

    def log_message(self, *_) -> None:
        pass


@contextlib.contextmanager
def guarded(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Guarded, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_token_of_a_repository_is_in_no_arguments(pipeline, other_git, tmp_path):
    outer = pipeline.outer
    git(outer.folder, "init", "--quiet", "--initial-branch", "main")
    committed(pipeline, "v1")
    bare = tmp_path / "served/web.git"
    git(outer.folder, "clone", "--quiet", "--bare", str(outer.folder), str(bare))
    git(bare, "update-server-info")
    records = other_git(RECORDS)
    with guarded(bare.parent) as address:
        inputs = pipeline.stack("web", directory=None, git={"url": f"http://git:{TOKEN}@{address}/web.git", "ref": "main", "path": "web"})
        failed = pipeline.write(greeting="${web.outputs.greeting}").init().preview(fails=True)
        assert "git.url" in failed.text and "GIT_TOKEN" in failed.text and "credential.helper" in failed.text
        assert TOKEN not in failed.text and not (records / "arguments").exists()
        inputs["git"]["url"] = f"http://{address}/web.git"
        failed = pipeline.write(greeting="${web.outputs.greeting}").preview(fails=True)
        assert "could not read Username" in failed.text
        # As the error says.
        inputs["environment"] |= {
            "GIT_TOKEN": {"fn::secret": TOKEN},
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": '!f() { echo username=git; echo "password=$GIT_TOKEN"; }; f',
        }
        done = pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "v1"}
    assert TOKEN not in done.text + str(outer.export()) + (records / "arguments").read_text()


@pytest.mark.parametrize(("command", "end"), [("ls-remote", "kill"), ("fetch", "kill"), ("fetch", "interrupt")])
def test_git_ends_with_what_it_works_for(pipeline, other_git, command, end):
    outer = pipeline.outer
    git(outer.folder, "init", "--quiet", "--initial-branch", "main")
    committed(pipeline, "v1")
    records = other_git(f'[ "$1" = {command} ] && {{ sleep 200 & echo $! > $here/child; echo $$ > $here/pid; wait; exit 1; }}')
    pipeline.stack("web", directory=None, git={"url": f"file://{outer.folder}", "ref": "main", "path": "web"})
    pipeline.write().init()
    process = outer.start("up", "--yes", "--skip-preview")
    until((records / "pid").exists, within=180)
    if end == "kill":
        assert outer.kill_plugins() >= 1
    else:
        os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=180)
    assert process.returncode != 0

    def lives(name: str) -> bool:
        stat = Path(f"/proc/{(records / name).read_text().strip()}/stat")
        with contextlib.suppress(OSError):
            return stat.read_text().rsplit(")")[-1].split()[0] != "Z"
        return False

    until(lambda: not lives("pid") and not lives("child"), within=90)


def test_a_program_inline(pipeline):
    program = {"config": {"greeting": {"type": "string"}}, "outputs": {"greeting": "$${greeting}", "fixed": 3}}
    pipeline.stack("web", directory=None, program=program, config={"greeting": "hi"})
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    assert outer.outputs() == {"greeting": "hi"} and not outer.up().changes


def test_a_program_inline_holds_no_secret(pipeline):
    program = {"variables": {"list": ["a", {"fn::secret": PASSWORD}]}, "outputs": {"fixed": 3}}
    inputs = pipeline.stack("web", directory=None, program=program)
    failed = pipeline.write().init().preview(fails=True)
    assert "program.variables.list[1]" in failed.text and "secret in config" in failed.text and PASSWORD not in failed.text
    inputs["program"] = {"config": {"password": {"type": "string", "secret": True}}, "outputs": {"password": "$${password}"}}
    inputs["config"] = {"password": {"fn::secret": PASSWORD}}
    outer = pipeline.write(password="${web.outputs.password}")
    outer.up()
    assert outer.outputs() == {"password": PASSWORD} and PASSWORD not in str(outer.export())


@pytest.fixture
def installing(pipeline, tmp_path):
    """Puts a CLI in place whose `install` runs a shell script in the project's directory. Gives its PATH, and how often it did."""
    real = shutil.which("pulumi", path=pipeline.outer.env["PATH"])
    folder = tmp_path / "installing"
    folder.mkdir()

    def place(script: str) -> str:
        file = folder / "pulumi"
        file.write_text(f'#!/bin/sh\nset -e\nif [ "$1" = install ]; then\necho >> {folder}/calls\n{script}\nexit\nfi\nexec {real} "$@"\n')
        file.chmod(0o755)
        return f"{folder}{os.pathsep}{pipeline.outer.env['PATH']}"

    return place, lambda: len((folder / "calls").read_text().splitlines())


def test_what_an_installation_leaves_runs_nothing(pipeline, installing):
    """A virtual environment of another name, packages' metadata, SDKs, and a lock file."""
    place, installed = installing
    path = place(f"""
python3 -m venv --without-pip own-environment
echo {sysconfig.get_path("purelib")} > "$(echo own-environment/lib/python*/site-packages)/more.pth"
mkdir -p sdks/random web.egg-info
echo made > sdks/random/__init__.py
echo made > web.egg-info/PKG-INFO
cksum requirements.txt > uv.lock
""")
    inputs = pipeline.inner("web", 'import pulumi\npulumi.export("greeting", "hello")\n', installDependencies=True)
    inputs["environment"] |= {"PATH": path}
    runtime = {"name": "python", "options": {"virtualenv": "./own-environment"}}
    pipeline.outer.file("web/Pulumi.yaml", json.dumps({"name": "web", "runtime": runtime, "packages": {"random": "random@4.16.0"}}))
    pipeline.outer.file("web/requirements.txt", "pulumi\n")
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    assert outer.outputs() == {"greeting": "hello"} and installed() == 1
    assert not outer.preview().changes and not outer.up().changes
    assert installed() == 1 and len(pipeline.updates("web")) == 1
    pipeline.outer.file("web/requirements.txt", "pulumi>=3\n")
    assert outer.up().steps == {f"{STACK}::web": ["update"]}
    assert installed() == 2 and len(pipeline.updates("web")) == 2
    assert not outer.up().changes and installed() == 2
    assert sorted(outer.resource("web")["inputs"]["sourceDigests"]) == ["Pulumi.yaml", "__main__.py", "requirements.txt"]
    # Where it is gone, it is made again, when the stack runs.
    shutil.rmtree(pipeline.outer.folder / "web/own-environment")
    inputs["triggers"] = {"again": 1}
    pipeline.write().up()
    assert installed() == 3


def test_a_lock_file_that_was_there_before_counts(pipeline, installing):
    place, installed = installing
    inputs = pipeline.inner("web", installDependencies=True)
    inputs["environment"] |= {"PATH": place("")}
    pipeline.outer.file("web/package-lock.json", "1")
    outer = pipeline.write().init()
    outer.up()
    assert not outer.up().changes and installed() == 1
    pipeline.outer.file("web/package-lock.json", "2")
    assert outer.up().steps == {f"{STACK}::web": ["update"]} and installed() == 2


def test_a_class_of_a_python_module(pipeline):
    text = """
import pulumi

class Web:
    @classmethod
    def autoload(cls):
        pulumi.export("greeting", pulumi.get_stack())
"""
    pipeline.outer.file("lib/platform_steps/web.py", text)
    pipeline.outer.file("lib/platform_steps/__init__.py", "")
    source = {"module": "platform_steps.web", "class": "Web", "root": "lib"}
    inputs = pipeline.stack("web", directory=None, python=source)
    outer = pipeline.write(greeting="${web.outputs.greeting}").init()
    outer.up()
    assert outer.outputs() == {"greeting": "dev"} and not outer.up().changes
    assert "platform_steps/web.py" in outer.resource("web")["inputs"]["sourceDigests"]
    # A search path of its own is asked after the root.
    text = text.replace("pulumi.get_stack()", "beside.NAME").replace("import", "import beside,", 1)
    pipeline.outer.file("lib/platform_steps/web.py", text)
    pipeline.outer.file("more/beside.py", "NAME = 'beside'\n")
    pipeline.outer.file("more/platform_steps/__init__.py", "")
    inputs["environment"]["PYTHONPATH"] = str(pipeline.outer.folder / "more")
    pipeline.write(greeting="${web.outputs.greeting}").up()
    assert outer.outputs() == {"greeting": "beside"}


DYNAMIC = """
import pulumi
from pulumi import dynamic


class Provider(dynamic.ResourceProvider):
    def create(self, props):
        return dynamic.CreateResult("one", props)

    def delete(self, id, props):
        from steps import helper

        open(props["file"], "a").write(helper.TEXT)


class Thing(dynamic.Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {"file": FILE})
"""


@pytest.mark.parametrize("source", ["python", "archive", "git"])
def test_resources_whose_provider_is_in_the_program_are_destroyed(pipeline, installing, source):
    """Code of the program deletes its dynamic resources, with a module that is beside it or that an installation brings."""
    place, installed = installing
    folder, deleted = pipeline.outer.folder, pipeline.outer.folder / "deleted"
    text, helper = DYNAMIC.replace("FILE", repr(str(deleted))), "TEXT = 'x'\n"
    pipeline.project("web", f"{text}\n\nThing('thing')\n")
    if source == "python":
        pipeline.outer.file("lib/steps/web.py", f"{text}\n\nclass Web:\n    @classmethod\n    def autoload(cls):\n        Thing('thing')\n")
        pipeline.outer.file("lib/steps/helper.py", helper)
        given = {"python": {"module": "steps.web", "class": "Web", "root": "lib"}}
    elif source == "archive":
        with tarfile.open(folder / "web.tgz", "w:gz") as archive:
            archive.add(folder / "web", "web")
        given = {"archive": "web.tgz", "installDependencies": True}
    else:
        pipeline.outer.file("web/steps/helper.py", helper)
        git(folder / "web", "init", "--quiet", "--initial-branch", "main")
        git(folder / "web", "add", ".")
        git(folder / "web", "commit", "--quiet", "-m", "web")
        given = {"git": {"url": f"file://{folder}/web", "ref": "main"}}
    inputs = pipeline.stack("web", directory=None, onDelete="destroyAndRemove", **given)
    inputs["environment"] |= {"PATH": place(f"mkdir steps\nprintf %s {helper.strip()!r} > steps/helper.py")}
    outer = pipeline.write().init()
    outer.up()
    assert not any("cannot be told" in text for text in outer.refresh().messages("warning"))
    outer.destroy()
    assert deleted.read_text() == "x" and not list((pipeline.backend / ".pulumi/stacks").rglob("dev.json"))
    if source == "archive":
        assert installed() == 2


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


@pytest.mark.parametrize("moved", ["backendUrl", "stack"])
def test_running_again_what_has_moved(pipeline, moved):
    inputs = pipeline.inner("web", replaceOnIdentityChange=True, onDelete="retain")
    again = {"type": "ptd:index:StackUpdate", "properties": {"spec": "${web.spec}"}, "options": {"dependsOn": ["${web}"]}}
    pipeline.resources["again"] = again
    outer = pipeline.write(fixed="${again.plainOutputs.fixed}").init()
    outer.up()
    backend = pipeline.backend.parent / "elsewhere"
    backend.mkdir()
    inputs[moved] = {"backendUrl": f"file://{backend}", "stack": "organization/web/other"}[moved]
    preview = pipeline.write(fixed="${again.plainOutputs.fixed}").preview()
    assert all("replace" in preview.steps[name] for name in (f"{STACK}::web", "ptd:index:StackUpdate::again"))
    outer.up()
    place = Path(inputs["backendUrl"].removeprefix("file://")) / ".pulumi/history" / inputs["stack"].removeprefix("organization/")
    assert len(list(place.glob("*.history.json"))) == 2
    assert outer.resource("again")["id"] == f"{inputs['backendUrl']}#{inputs['stack']}" and not outer.up().changes


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


def test_a_preview_installs_only_in_directories_of_its_own(pipeline, installing):
    """In the user's it waits for the update, rather than to fail for want of what that installs."""
    place, installed = installing
    path = place("mkdir -p .venv && echo hello > .venv/installed")
    program = 'import pathlib, pulumi\npulumi.export("greeting", pathlib.Path(__file__).with_name(".venv").joinpath("installed").read_text())\n'
    inputs = pipeline.inner("web", program, installDependencies=True)
    inputs["environment"] = inputs["environment"] | {"PATH": path}
    outer = pipeline.write().init()
    for count in (1, 2):
        outer.file("web/requirements.txt", f"# {count}\n")
        shutil.rmtree(outer.folder / "web/.venv", ignore_errors=True)
        assert "not previewed: its dependencies" in outer.up(skip_preview=False).text
        assert installed() == count == len(pipeline.updates("web"))

    git(outer.folder, "init", "--quiet", "--initial-branch", "main")
    (outer.folder / "web/.gitignore").write_text(".venv\n")
    git(outer.folder, "add", "web")
    git(outer.folder, "commit", "--quiet", "--message", "python")
    source = {"url": f"file://{outer.folder}", "ref": "main", "path": "web"}
    pipeline.stack("web", **(inputs | {"directory": None, "git": source}))
    assert "not previewed" not in pipeline.write().preview().text
    assert installed() == 3
