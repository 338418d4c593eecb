"""What every area is given: the plugin, folders, and how often to measure."""

from __future__ import annotations

import os
import resource
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from support import cli

MB = 1_000_000
#: One round trip to the services, in seconds.
ROUND_TRIP = 0.05


@dataclass(frozen=True)
class Setting:
    plugin: Path
    folder: Path
    #: A peer's plugin, compared in place of the recorded figures.
    peer: Path | None
    #: Whether the services are reached over TLS.
    tls: bool
    #: Starts of a process.
    starts: int
    #: Runs of each `pulumi up`; the fastest counts, as everything else on the machine only makes it slower.
    rounds: int
    #: Numbers of sites.
    sizes: tuple[int, ...]
    #: Creates that are under way at the same time.
    creates: int

    @property
    def env(self) -> dict[str, str]:
        """The environment of a plugin that is started without the CLI."""
        return cli.base_env() | {"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1,localhost"}

    def workspace(self, name: str, program: dict, env: dict[str, str] | None = None) -> cli.Workspace:
        """A new stack with a YAML program, and its first command behind it."""
        base = cli.cli_env(self.folder / "home", self.folder / "backend", sys.executable)
        # The plugin of this run, whatever else is in its folder.
        base["PATH"] = os.pathsep.join([str(self.plugin.parent), base["PATH"]])
        return cli.Workspace(self.folder / name, base | (env or {}), name).yaml(program).init()


@dataclass(frozen=True, order=True)
class Run:
    """What one command took."""

    seconds: float
    #: Processor time of the CLI, its language host and the plugin: what a busy machine changes little.
    processor: float


def up(workspace: cli.Workspace, *args: str) -> Run:
    """One `pulumi up`, all of it."""
    before = _processor()
    seconds = workspace.run("up", "--yes", "--skip-preview", *args).seconds
    return Run(seconds, _processor() - before)


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def summary(runs: list[Run]) -> str:
    """The remark beside the best run."""
    median = statistics.median(run.seconds for run in runs)
    return f"best of {len(runs)}, median {median:.2f} s; processor {min(run.processor for run in runs):.2f} s"
