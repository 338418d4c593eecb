"""The scripts of the demos, run as `make` runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from . import cli


def script(name: str, variable: str, folder: Path, *args: str, timeout: int = 300) -> str:
    """Runs `tools/<name>` in the folder that `variable` names, and gives what it said."""
    env = cli.base_env() | {variable: str(folder), "PATH": f"{cli.ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(cli.ROOT / "tools" / name), *args]
    done = subprocess.run(command, env=env, cwd=cli.ROOT, capture_output=True, text=True, timeout=timeout)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return text


def ended(text: str, folder: Path) -> None:
    """Nothing is left of a demo that was taken down."""
    assert "did not succeed" not in text and "error:" not in text, text
    assert "deleted" in text and not folder.exists()
