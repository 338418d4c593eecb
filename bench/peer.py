"""Terragrunt with OpenTofu on a graph of units that wait: the strongest peer. tools/peer.sh builds both."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from support import cli

_BINARIES = [cli.ROOT / ".tools/bin/terragrunt", cli.ROOT / ".tools/bin/tofu"]
_UNIT = """resource "terraform_data" "wait" {{
  provisioner "local-exec" {{
    command = "sleep {seconds}"
  }}
}}
"""


class Terragrunt:
    """A unit for each step, in a folder of its own, with its state beside it."""

    def __init__(self, folder: Path, graph: dict[str, list[str]], seconds: float) -> None:
        self.folder = folder
        for step, after in graph.items():
            unit = folder / step
            unit.mkdir(parents=True)
            (unit / "main.tf").write_text(_UNIT.format(seconds=seconds))
            paths = ", ".join(f'"../{one}"' for one in after)
            (unit / "terragrunt.hcl").write_text(f"dependencies {{\n  paths = [{paths}]\n}}\n")

    @staticmethod
    def built() -> bool:
        """Whether tools/peer.sh has built both; otherwise what was recorded stands in."""
        return all(binary.exists() for binary in _BINARIES)

    def apply(self) -> float:
        """`run --all apply`, in seconds."""
        terragrunt, tofu = _BINARIES
        env = cli.base_env() | {"TG_TF_PATH": str(tofu), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
        env["PATH"] = os.pathsep.join([str(tofu.parent), env["PATH"]])
        began = time.perf_counter()
        done = subprocess.run(
            [str(terragrunt), "run", "--all", "--non-interactive", "--", "apply", "-auto-approve"],
            cwd=self.folder, env=env, capture_output=True, text=True,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"terragrunt failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return seconds
