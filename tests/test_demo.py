"""The demo, from nothing to nothing."""

import os
import re
import subprocess
from pathlib import Path

from support import cli


def demo(folder: Path, *args: str) -> str:
    env = cli.base_env() | {"DEMO": str(folder), "PATH": f"{cli.ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(cli.ROOT / "tools/demo.sh"), *args]
    done = subprocess.run(command, env=env, cwd=cli.ROOT, capture_output=True, text=True, timeout=300)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return text


def test_the_demo_bootstraps_and_takes_all_down_again(tmp_path):
    folder = tmp_path / "demo"
    try:
        text = demo(folder, "up", "examples/aws-bootstrap")
        # As the README shows it.
        (shown,) = re.findall(r"^\$ pulumi up\n(.*?)^```$", (cli.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
        facts = re.compile(r"boot-[\w-]+|\+ \d+ created|\S+ *: \"[^\"]+\"|ptd:\w+:\w+")
        assert set(facts.findall(shown)) <= set(facts.findall(re.sub(r"\x1b\[[0-9;]*m", "", text)))
        assert "s3://ptd-acme01-staging" in text and "boot-state-bucket" in text and "make demo-down" in text
    finally:
        text = demo(folder, "down")
    assert "did not succeed" not in text and "error:" not in text, text
    assert "deleted" in text and not folder.exists()
