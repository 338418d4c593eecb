"""Programs run by the real Pulumi CLI, on a file backend of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from . import vault
from .protocol import until

ROOT = Path(__file__).resolve().parents[2]
STACK = "dev"
_LOCAL = "127.0.0.1,localhost,::1"


def plugin_binary() -> Path:
    """The provider under test; PTD_PLUGIN names another one (a release build, say)."""
    return Path(os.environ.get("PTD_PLUGIN") or ROOT / "target/debug/pulumi-resource-ptd")


def base_env() -> dict[str, str]:
    """The environment without anything that would reach a real account, backend or proxy."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AWS_", "PULUMI_")) and not key.lower().endswith("_proxy")
    }


def cli_env(home: Path, backend: Path, python: str) -> dict[str, str]:
    """Variables under which `pulumi` finds the plugin and both language hosts on PATH."""
    backend.mkdir(parents=True, exist_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    path = [plugin_binary().parent, ROOT / ".tools/bin", ROOT / "tests/tools"]
    env = base_env()
    env |= {
        "PATH": os.pathsep.join([*map(str, path), env["PATH"]]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PTD_TEST_PYTHON": python,
        "NO_PROXY": _LOCAL,
        "no_proxy": _LOCAL,
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Most processes end before there is anything to collect.
        "GOGC": "400",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # Adds the --event-log flag.
        "PULUMI_DEBUG_COMMANDS": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-aws-credentials"),
    }
    return env


def without_plugin(env: dict[str, str], home: Path) -> dict[str, str]:
    """The environment of somebody who has the Pulumi CLI with a home of its own, and never built the plugin."""
    path = os.pathsep.join(entry for entry in env["PATH"].split(os.pathsep) if entry != str(plugin_binary().parent))
    assert not shutil.which("pulumi-resource-ptd", path=path)
    return env | {"PATH": path, "PULUMI_HOME": str(home)}


class CommandFailed(AssertionError):
    """A command ended otherwise than expected; the text shows all it printed."""


@dataclass
class Result:
    """What one CLI command did."""

    command: list[str]
    code: int
    stdout: str
    stderr: str
    seconds: float
    events: list[dict] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        return (
            f"$ {' '.join(self.command)}\nexit code {self.code} after {self.seconds:.1f} s\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}\n--- diagnostics\n" + "\n".join(self.messages())
        )

    @property
    def text(self) -> str:
        """All the user sees."""
        return self.stdout + self.stderr

    def json(self):
        return json.loads(self.stdout)

    def of(self, kind: str) -> list[dict]:
        """The payloads of one kind of engine event, such as "resourcePreEvent"."""
        return [event[kind] for event in self.events if kind in event]

    @property
    def summary(self) -> dict[str, int]:
        """The last summary's resource counts by operation, e.g. {"create": 3, "same": 1}."""
        found = self.of("summaryEvent")
        return dict(found[-1]["resourceChanges"] or {}) if found else {}

    @property
    def changes(self) -> dict[str, int]:
        """`summary` without what stays: empty when nothing changes."""
        return {op: number for op, number in self.summary.items() if op not in ("same", "read")}

    @property
    def steps(self) -> dict[str, list[str]]:
        """By resource ("ptd:aws:Secret::name"), the operations in order, without "same", stack and providers.

        After an `up` with preview, those of the update alone.
        """
        found: dict[str, list[str]] = {}
        for event in self.of("resourcePreEvent"):
            step = event["metadata"]
            if step["op"] not in ("same", "refresh") and not step["type"].startswith("pulumi:"):
                found.setdefault(short(step["urn"]), []).append(step["op"])
        for event in self.of("resOutputsEvent"):
            step = event["metadata"]
            # A refresh step tells in its outputs event what it turned out to be.
            if step["op"] == "refresh" and (step.get("detailedDiff") or step.get("diffs")):
                found.setdefault(short(step["urn"]), []).append("refresh")
        return found

    def metadata(self, name: str) -> dict:
        """The last step event of the resource whose URN ends in `name` or `type::name`."""
        kinds = ("resOutputsEvent", "resOpFailedEvent", "resourcePreEvent")
        for kind in kinds:
            for event in reversed(self.of(kind)):
                step = event["metadata"]
                if step["op"] != "same" and short(step["urn"]).endswith(name):
                    return step
        raise AssertionError(f"no step for {name}\n{self}")

    def diff(self, name: str) -> dict[str, str]:
        """Its detailed diff: property path -> "add", "update", "delete-replace", ...

        Taken from the planned step, since the outputs event of some operations carries none.
        """
        best: dict[str, str] = {}
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            for event in self.of(kind):
                step = event["metadata"]
                if short(step["urn"]).endswith(name) and step.get("detailedDiff"):
                    best = {path: entry["diffKind"] for path, entry in step["detailedDiff"].items()}
        return best

    def diagnostics(self, severity: str | None = None) -> list[dict]:
        """All but debug, or those of one severity. The CLI's remarks on plugins found on PATH are left out."""
        return [
            event
            for event in self.of("diagnosticEvent")
            if not event.get("ephemeral")
            and (severity == event["severity"] or severity is None and event["severity"] != "debug")
            and not plain(event["message"]).startswith("using pulumi-")
        ]

    def messages(self, severity: str | None = None) -> list[str]:
        """The diagnostics as "severity resource: text"."""
        return [
            f"{event['severity']} {short(event.get('urn', ''))}: {plain(event['message']).strip()}"
            for event in self.diagnostics(severity)
        ]


def short(urn: str) -> str:
    """The type (last of the parent chain) and name of a URN."""
    if not urn.startswith("urn:pulumi:"):
        return urn
    _, _, kinds, name = urn.split("::", 3)
    return f"{kinds.split('$')[-1]}::{name}"


def plain(text: str) -> str:
    return re.sub(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m", "", text)


def quiet(backend: Path, ready: Callable[[], object] = lambda: True, still: float = 1, within: float = 120) -> None:
    """Waits until the states in a backend are whole and nothing in it has changed for a while.

    A CLI that is killed in the middle of writing its state leaves an empty file.
    """

    def seen() -> dict[Path, tuple[int, int]]:
        found = {}
        for path in (backend / ".pulumi").rglob("*"):
            # What is gone by now is a change.
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                found[path] = (about.st_mtime_ns, about.st_size)
        return found

    before, since = seen(), time.monotonic()

    def rests() -> bool:
        nonlocal before, since
        time.sleep(0.05)
        now = seen()
        whole = ready() and all(size for path, (_, size) in now.items() if path.suffix == ".json")
        if now != before or not whole:
            before, since = now, time.monotonic()
        return time.monotonic() - since >= still

    until(rests, within)


class Workspace:
    """One project and stack in a folder of its own.

    `env` holds further variables for every command; change it between commands at will.
    """

    def __init__(self, folder: Path, env: dict[str, str], name: str = "app") -> None:
        self.folder, self.env, self.name = folder, dict(env), name
        self._initialised = False
        self._logs = 0
        folder.mkdir(parents=True, exist_ok=True)

    # The program.

    def yaml(self, program: dict | str) -> Workspace:
        """Writes a YAML program; a dict (or text) of resources, variables, outputs, config."""
        if isinstance(program, str):
            program = yaml.safe_load(program)
        # By way of JSON, since Pulumi refuses the aliases that a shared value would become.
        program = json.loads(json.dumps({"name": self.name, "runtime": "yaml", **program}))
        text = yaml.safe_dump(program, sort_keys=False)
        (self.folder / "Pulumi.yaml").write_text(text)
        return self

    def python(self, source: str) -> Workspace:
        """Writes a Python program."""
        (self.folder / "Pulumi.yaml").write_text(f"name: {self.name}\nruntime: python\n")
        (self.folder / "__main__.py").write_text(source)
        return self

    def copy(self, example: Path) -> Workspace:
        """Copies a project, say an example, with its files."""
        ignore = shutil.ignore_patterns("__pycache__", ".venv", "Pulumi.*.yaml", "*.egg-info")
        shutil.copytree(example, self.folder, dirs_exist_ok=True, ignore=ignore)
        self.name = yaml.safe_load((self.folder / "Pulumi.yaml").read_text())["name"]
        return self

    def file(self, path: str, text: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    # Commands.

    def start(self, *args: str, env: dict[str, str] | None = None, output: Path | None = None) -> subprocess.Popen:
        """Starts `pulumi ARGS` in a process group of its own, to be watched, signalled or killed.

        With `output`, it writes to that file and not to pipes, which somebody would have to read.
        """
        with contextlib.ExitStack() as files:
            file = files.enter_context(output.open("w")) if output else None
            return subprocess.Popen(
                ["pulumi", *args, "--non-interactive", "--color", "never"],
                cwd=self.folder,
                env=self.env | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=file or subprocess.PIPE,
                stderr=file or subprocess.PIPE,
                text=True,
                process_group=0,
            )

    def run(self, *args: str, fails: bool | None = False, timeout: float = 300, env: dict[str, str] | None = None,
            event_log: bool = False) -> Result:
        """Runs `pulumi ARGS`. `fails` is whether it must fail; None accepts both."""
        log = None
        if event_log:
            self._logs += 1
            log = self.folder / f".events-{self._logs}.json"
            args = (*args, "--event-log", str(log))
        began = time.monotonic()
        process = self.start(*args, env=env)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            stderr += f"\n(killed after {timeout} s)"
        result = Result(["pulumi", *args], process.returncode, stdout, stderr, time.monotonic() - began)
        if log and log.exists():
            result.events = [json.loads(line) for line in log.read_text().splitlines() if line]
        if fails is not None and fails != (result.code != 0):
            raise CommandFailed(f"expected {'failure' if fails else 'success'}\n{result}")
        return result

    def init(self, *args: str) -> Workspace:
        """Creates the stack, once; with the quick secrets provider, unless another one is asked for."""
        if not self._initialised:
            quick = ("--secrets-provider", vault.PROVIDER) if "VAULT_ADDR" in self.env and "--secrets-provider" not in args else ()
            self.run("stack", "init", STACK, *quick, *args)
            self._initialised = True
        return self

    def config(self, **values: str | bool) -> Workspace:
        """Sets configuration; `ptd__region` means `ptd:region`. Secrets: `secret_config`."""
        self.init()
        pairs = [f"{key.replace('__', ':')}={value}" for key, value in values.items()]
        self.run("config", "set-all", *[part for pair in pairs for part in ("--plaintext", pair)])
        return self

    def secret_config(self, **values: str) -> Workspace:
        self.init()
        pairs = [f"{key.replace('__', ':')}={value}" for key, value in values.items()]
        self.run("config", "set-all", *[part for pair in pairs for part in ("--secret", pair)])
        return self

    def _operate(self, *args: str, **options) -> Result:
        self.init()
        return self.run(*args, event_log=True, **options)

    def up(self, *args: str, skip_preview: bool = True, **options) -> Result:
        args = ("--skip-preview", *args) if skip_preview else args
        return self._operate("up", "--yes", *args, **options)

    def preview(self, *args: str, **options) -> Result:
        return self._operate("preview", *args, **options)

    def refresh(self, *args: str, **options) -> Result:
        return self._operate("refresh", "--yes", "--skip-preview", *args, **options)

    def destroy(self, *args: str, **options) -> Result:
        return self._operate("destroy", "--yes", "--skip-preview", *args, **options)

    def import_(self, token: str, name: str, id: str, *args: str, **options) -> Result:
        """`pulumi import`, without code generation; the resource is not protected."""
        return self._operate(
            "import", token, name, id, "--yes", "--skip-preview", "--generate-code=false", "--protect=false", *args, **options
        )

    def cancel_lock(self) -> Result:
        """Removes the lock a killed CLI left behind."""
        return self.run("cancel", "--yes", fails=None)

    def plugins(self, name: str = "pulumi-resource-ptd") -> list[int]:
        """The ids of the provider's processes that commands of this test's projects started."""
        mark = f"PULUMI_BACKEND_URL={self.env['PULUMI_BACKEND_URL']}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                executable = (entry / "exe").readlink().name.removesuffix(" (deleted)")
                if executable == name and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def kill_plugins(self) -> int:
        """`kill -9` to all of them; how many there were. For hooks: `proxy.after_write(3, lambda call: ws.kill_plugins())`."""
        found = self.plugins()
        for pid in found:
            # It may have ended by itself meanwhile.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def quiet(self) -> None:
        """Waits until there is a state and no command writes to it. For use before a CLI is killed."""
        backend = Path(self.env["PULUMI_BACKEND_URL"].removeprefix("file://"))
        quiet(backend, lambda: any((backend / ".pulumi/stacks").rglob(f"{STACK}.json")))

    # State.

    def outputs(self, show_secrets: bool = True) -> dict:
        args = ("--show-secrets",) if show_secrets else ()
        return self.run("stack", "output", "--json", *args).json()

    def export(self, show_secrets: bool = False) -> dict:
        args = ("--show-secrets",) if show_secrets else ()
        return self.run("stack", "export", *args).json()["deployment"]

    def import_state(self, deployment: dict) -> None:
        file = self.file(".state.json", json.dumps({"version": 3, "deployment": deployment}))
        self.run("stack", "import", "--file", str(file))

    def resources(self, kind: str | None = None) -> list[dict]:
        """The resources in state, without stack and providers; `kind` filters by type."""
        return [
            resource
            for resource in self.export().get("resources", [])
            if not resource["type"].startswith("pulumi:") and kind in (None, resource["type"])
        ]

    def resource(self, name: str, show_secrets: bool = False) -> dict:
        """The one resource whose URN ends in `name` or `type::name`."""
        found = [r for r in self.export(show_secrets).get("resources", []) if short(r["urn"]).endswith(name)]
        assert len(found) == 1, f"{len(found)} resources end in {name}"
        return found[0]

    def files(self) -> list[Path]:
        """Every file written so far, with event logs and state: where secrets must not be found in plain form."""
        backend = Path(self.env["PULUMI_BACKEND_URL"].removeprefix("file://"))
        return [path for root in (self.folder, backend) for path in sorted(root.rglob("*")) if path.is_file()]
