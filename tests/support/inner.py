"""Outer programs with inner stacks, and what is found of them in the inner backend."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import yaml

from . import cli
from .protocol import until

STACK = "ptd:index:Stack"
PASSWORD = "s3cr3t-inner-value-0123456789"
INNER = {
    "config": {"greeting": {"type": "string", "default": "hello"}, "password": {"type": "string", "default": "none"}},
    "variables": {"hidden": {"fn::secret": "${password}"}},
    "outputs": {"greeting": "${greeting}", "password": "${hidden}", "fixed": 3},
}


PASSPHRASE = "inner passphrase"


class Backend:
    """An outer project, and the backend of the inner stacks that it runs."""

    def __init__(self, workspace: cli.Workspace, root: Path) -> None:
        self.outer, self.backend = workspace, root / "inner-backend"
        self.backend.mkdir(exist_ok=True)
        self.url = f"file://{self.backend}"

    @property
    def env(self) -> dict[str, str]:
        """With it, `pulumi` opens inner stacks."""
        return self.outer.env | {"PULUMI_BACKEND_URL": self.url, "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}

    def look(self, command: list[str]) -> str:
        """What a command of somebody who opens an inner stack without the provider writes."""
        return subprocess.run(command, env=self.env, check=True, capture_output=True, text=True, cwd=self.outer.folder).stdout


    def locks(self) -> list[Path]:
        return list((self.backend / ".pulumi/locks").rglob("*.json"))

    def processes(self) -> list[int]:
        """Those that work on the backend, supervisors among them."""
        mark = f"PULUMI_BACKEND_URL={self.url}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0") and (entry / "stat").read_text().rsplit(")")[-1].split()[0] != "Z":
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def kill_updates(self) -> None:
        """Kills the inner CLIs."""
        for pid in self.processes():
            # It may have ended by itself meanwhile.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if command[0].endswith(b"pulumi") and b"up" in command:
                    os.kill(pid, signal.SIGKILL)

    def quiet(self) -> None:
        """Waits until no command writes to a state, inner or outer. For use before a CLI is killed."""
        cli.quiet(self.backend)
        self.outer.quiet()

    def kill(self, victim: str, process: subprocess.Popen, at_once: bool = False) -> None:
        """Kills one kind of those at work for the outer run, and waits until none of them is left."""
        if not at_once:
            # With a provider and its supervisors, the inner CLIs end as well.
            self.quiet()
        if victim == "provider":
            # Its supervisors are killed as well: they are processes of the same program.
            assert self.outer.kill_plugins() >= 2
        elif victim == "outer":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            self.kill_updates()
        process.communicate(timeout=120)
        assert process.returncode != 0
        # They have a minute to end by themselves.
        until(lambda: not self.processes(), within=120)


class Pipeline(Backend):
    """An outer project with inner ones beside it, and their backend."""

    def __init__(self, workspace: cli.Workspace, root: Path) -> None:
        super().__init__(workspace, root)
        self.resources: dict[str, dict] = {}

    def inner(self, name: str, program: dict | None = None, options: dict | None = None, **inputs) -> dict:
        """Writes the project `name` and declares the stack that runs it."""
        self.project(name, program)
        return self.stack(name, options, **inputs)

    def project(self, name: str, program: dict | str | None = None) -> None:
        """Writes the project: a YAML program as a mapping, or a Python one as text."""
        runtime = "python" if isinstance(program, str) else "yaml"
        rest = {} if isinstance(program, str) else INNER if program is None else program
        self.outer.file(f"{name}/Pulumi.yaml", yaml.safe_dump({"name": name, "runtime": runtime, **rest}, sort_keys=False))
        if isinstance(program, str):
            self.outer.file(f"{name}/__main__.py", program)

    def stack(self, name: str, options: dict | None = None, resource: str = "", **inputs) -> dict:
        """Declares the stack of the project `name`, by a resource of that name unless told otherwise. `None` leaves an input out."""
        properties = {
            "directory": name,
            "stack": f"organization/{name}/dev",
            "backendUrl": self.url,
            "environment": {"PULUMI_CONFIG_PASSPHRASE": {"fn::secret": PASSPHRASE}},
            **inputs,
        }
        properties = {key: value for key, value in properties.items() if value is not None}
        self.resources[resource or name] = {"type": STACK, "properties": properties, **({"options": options} if options else {})}
        return properties

    def write(self, **outputs) -> cli.Workspace:
        return self.outer.yaml({"resources": self.resources, "outputs": outputs})

    def command(self, name: str, *args: str) -> list[str]:
        folder = ["pulumi", "-C", str(self.outer.folder / name)]
        return [*folder, *args, "--stack", f"organization/{name}/dev", "--non-interactive"]

    def by_hand(self, name: str, *args: str) -> str:
        """What somebody finds who opens the inner stack without the provider."""
        return self.look(self.command(name, "stack", *args))

    def up_by_hand(self, name: str, *args: str) -> None:
        """Makes the inner stack without the provider."""
        init = [*self.command(name, "stack", "init", "--no-select")]
        for command in (init, self.command(name, "up", "--yes", "--skip-preview", *args)):
            subprocess.run(command, env=self.env, check=True, capture_output=True)
        (self.outer.folder / name / "Pulumi.dev.yaml").unlink(missing_ok=True)

    def updates(self, name: str) -> list[dict]:
        return json.loads(self.by_hand(name, "history", "--json"))

    def files(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.backend.rglob("*") if path.is_file())
