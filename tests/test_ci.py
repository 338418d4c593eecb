"""What must not get past CI: each of these breaks a copy of the checkout and expects the very command of CI to fail.

Pages and links have tests of their own in test_docs.py, examples in test_docs_examples.py and where they are run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cli

CHECKED = ("Makefile", "schema.json", "CHANGELOG.md", ".secrets.baseline", "tools/schema_compat.py", "sdk")


@pytest.fixture
def tree(tmp_path) -> Path:
    """What is checked is copied; what checks it is that of the checkout."""
    for name in CHECKED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (cli.ROOT / name).is_dir() else shutil.copy
        copy(cli.ROOT / name, tmp_path / name)
    for name in (".tools", ".venv", "target"):
        (tmp_path / name).symlink_to(cli.ROOT / name)
    return tmp_path


@pytest.fixture
def make(tree) -> Callable[..., tuple[int, str]]:
    def run(target: str) -> tuple[int, str]:
        # Plugin, tools and environment are there.
        command = ["make", "-o", "build", "-o", "tools", "-o", "venv", f"PYTHON={sys.executable}", target]
        done = subprocess.run(command, cwd=tree, env=cli.base_env(), text=True, capture_output=True, check=False, timeout=120)
        return done.returncode, done.stdout + done.stderr

    return run


def test_what_is_stale_fails(make, tree):
    code, text = make("check-generated")
    assert code == 0, text
    (module,) = tree.glob("sdk/python/pulumi_ptd/aws/secret.py")
    module.write_text(module.read_text().replace("Secret", "Secrets", 1))
    (tree / "sdk/go/ptd/aws/secret.go").unlink()
    code, text = make("check-generated")
    assert code != 0 and "aws/secret.py" in text and "aws/secret.go" in text and "make sdk" in text, text
    schema = tree / "schema.json"
    schema.write_text(schema.read_text().replace("Posit Team Dedicated", "Something else", 1))
    code, text = make("check-generated")
    assert code != 0 and "schema.json is stale" in text, text


def test_what_breaks_programs_of_the_last_release_fails(make, tree):
    schema = json.loads((tree / "schema.json").read_text())
    released = schema | {"version": "0.0.1", "functions": schema["functions"] | {"ptd:index:former": {"description": "Was there."}}}
    (tree / "sdk/released-schema.json").write_text(json.dumps(released))
    code, text = make("check-generated")
    assert code != 0 and "CHANGELOG.md has to name former under '### Breaking'" in text, text


def test_a_secret_in_a_committed_file_fails(make, tree):
    for command in (["git", "init", "--quiet"], ["git", "add", "CHANGELOG.md"]):
        subprocess.run(command, cwd=tree, check=True)
    code, text = make("secrets")
    assert code == 0, text
    # Put together here, so that this file has none.
    (tree / "settings.py").write_text(f'key = "{"AKIA" + "Q3EGRIY" + "7MNJKWXTP"}"\n')
    (tree / "id").write_text("-----BEGIN RSA " + "PRIVATE KEY-----\n")
    subprocess.run(["git", "add", "settings.py", "id"], cwd=tree, check=True)
    code, text = make("secrets")
    assert code != 0 and "settings.py:1" in text and "id:1" in text, text
