"""templates/provider as a stranger uses it: instantiated, built against this checkout's crates, and run by its own tests.

`PATH` has no cargo-generate; replacing its two placeholders is all it would do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import cli

TEMPLATE = cli.ROOT / "templates/provider"
VALUES = {"{{package}}": "salute", "{{description}}": "Manages greetings of all kinds."}
CRATES = {"pulumi-proto": "proto", "pulumi-provider": "provider/framework"}
TARGET = cli.ROOT / "target"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "salute"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("cargo-generate.toml"))
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text()
            for placeholder, value in VALUES.items():
                text = text.replace(placeholder, value)
            assert "{{" not in text, f"{path.name} has a placeholder that cargo-generate.toml does not declare"
            path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def run(project):
    """`run(command...)` in the new project, which takes the crates from this checkout and not from crates.io."""
    # The versions that are fetched and compiled already.
    shutil.copy(cli.ROOT / "Cargo.lock", project)
    cargo = project / ".cargo"
    cargo.mkdir()
    patches = "".join(f'{crate} = {{ path = "{cli.ROOT / folder}" }}\n' for crate, folder in CRATES.items())
    profile = '[profile.dev]\ndebug = "line-tables-only"\n[profile.dev.package."*"]\ndebug = false\n'
    (cargo / "config.toml").write_text(f"[net]\noffline = true\n[patch.crates-io]\n{patches}{profile}")

    def run(*command: str, env: dict[str, str] | None = None) -> str:
        variables = os.environ | {"CARGO_TARGET_DIR": str(TARGET)} | (env or {})
        done = subprocess.run(command, cwd=project, env=variables, text=True, capture_output=True, check=False, timeout=580)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


def test_it_works_as_its_readme_says(project, run, cli_env):
    run("make", "schema")
    schema = json.loads((project / "schema.json").read_text())
    assert (schema["name"], schema["description"]) == ("salute", VALUES["{{description}}"])
    assert list(schema["resources"]) == ["salute:index:Greeting"]
    run("cargo", "fmt", "--check")
    text = run("make", "test", env={key: cli_env[key] for key in ("PATH", "PULUMI_HOME", "PULUMI_SKIP_UPDATE_CHECK", "NO_PROXY", "no_proxy")})
    assert "test result: ok. 2 passed" in text and "the example works" in text

    # What `make sdk` has the CLI do; its generators are those of this checkout's own tool.
    generated = subprocess.run(
        [cli.ROOT / ".tools/bin/gensdk", "-schema", project / "schema.json", "-out", project / "sdk"], text=True, capture_output=True, check=False
    )
    assert generated.returncode == 0, generated.stderr
    assert "class Greeting" in (project / "sdk/python/pulumi_salute/greeting.py").read_text()
