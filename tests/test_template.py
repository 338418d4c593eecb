"""templates/provider as a stranger uses it: by the commands of its README, against this checkout's crates, and run by its own tests.

`PATH` has no cargo-generate; what is written for those without it is followed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import cli

TEMPLATES = cli.ROOT / "templates"
TARGET = cli.ROOT / "target"


def commands(readme: Path, having: str) -> str:
    """Those of the block with that text."""
    (block,) = [block for block in re.findall(r"^```console\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL) if having in block]
    return "\n".join(line.removeprefix("$ ") for line in block.splitlines()).replace("../pulumi-ptd", str(cli.ROOT))


def sh(script: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    variables = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "CARGO_NET_OFFLINE": "true"} | (env or {})
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=cwd, env=variables, text=True, capture_output=True, check=False, timeout=580)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("template")
    (place / "pulumi-ptd").mkdir()
    (place / "pulumi-ptd/templates").symlink_to(TEMPLATES)
    declared = re.findall(r"^\[placeholders\.(\w+)\]$", (TEMPLATES / "provider/cargo-generate.toml").read_text(), re.MULTILINE)
    assert declared == ["package", "description"]
    sh(commands(TEMPLATES / "README.md", "cp -r"), place)
    folder = place / "my-provider"
    left = [path.name for path in folder.rglob("*") if path.is_file() and "{{" in path.read_text()]
    assert left == [], "placeholders that cargo-generate.toml does not declare"
    # The versions and the profile that are fetched and compiled already.
    shutil.copy(cli.ROOT / "Cargo.lock", folder)
    (folder / ".cargo").mkdir()
    profile = '[profile.dev]\ndebug = "line-tables-only"\n[profile.dev.package."*"]\ndebug = false\n'
    (folder / ".cargo/config.toml").write_text(profile)
    sh(commands(TEMPLATES / "README.md", "cargo add"), folder)
    return folder


def test_it_works_as_its_readme_says(project, cli_env, tmp_path):
    version = "0.1.0"
    sh("make schema", project)
    schema = json.loads((project / "schema.json").read_text())
    assert (schema["name"], schema["version"], schema["description"]) == ("salute", version, "Manages greetings of all kinds.")
    assert list(schema["resources"]) == ["salute:index:Greeting"]
    sh("cargo fmt --check", project)
    text = sh("make test", project, {key: cli_env[key] for key in ("PATH", "PULUMI_HOME", "PULUMI_SKIP_UPDATE_CHECK", "NO_PROXY", "no_proxy")})
    assert "test result: ok. 2 passed" in text and "the example works" in text
    checked = sh("pulumi schema check schema.json", project, cli_env)
    assert checked == ""

    # What `make sdk` has the CLI do; its generators are those of this checkout's own tool.
    sh(f"{cli.ROOT}/.tools/bin/gensdk -schema schema.json -out sdk python nodejs go", project)
    sdk = project / "sdk"
    assert f'version = "{version}"' in (sdk / "python/pyproject.toml").read_text()
    assert json.loads((sdk / "nodejs/package.json").read_text())["version"] == version
    assert '"github.com/example/pulumi-salute/sdk/go/salute/internal"' in (sdk / "go/salute/greeting.go").read_text()

    # The program of the README.
    (program,) = re.findall(r"^```python\n(.*?)^```$", (project / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    packages = tmp_path / "packages"
    quiet = "--quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index"
    sh(f"{sys.executable} -m pip install {quiet} --target {packages} ./sdk/python", project)
    greetings = tmp_path / "greetings"
    greetings.mkdir()
    workspace = cli.Workspace(tmp_path / "app", cli_env | {"GREETINGS": str(greetings), "PYTHONPATH": str(packages)}).python(program)
    workspace.up()
    (greeting,) = greetings.iterdir()
    assert workspace.outputs() == {"path": str(greeting)} and greeting.read_text() == "Hello, world!"
    workspace.destroy()
    assert list(greetings.iterdir()) == []
