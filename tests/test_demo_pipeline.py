"""The demo of a whole pipeline, from nothing to nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support import cli


def demo(folder: Path, *args: str) -> str:
    env = cli.base_env() | {"WORKLOAD_ENV": str(folder), "PATH": f"{cli.ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(cli.ROOT / "tools/demo_pipeline.sh"), *args]
    done = subprocess.run(command, env=env, cwd=cli.ROOT, capture_output=True, text=True, timeout=400)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return text


def test_the_demo_makes_a_pipeline_and_takes_all_down_again(tmp_path):
    """With the control room, which is the smallest."""
    folder = tmp_path / "demo"
    try:
        text = demo(folder, "up", "control-room-program")
        assert "s3://ptd-main01-staging" in text and "make demo-pipeline-down" in text
    finally:
        text = demo(folder, "down")
    assert "did not succeed" not in text and "error:" not in text, text
    assert "deleted" in text and not folder.exists()
