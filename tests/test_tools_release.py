"""The release script, in a clone of this checkout: what it tells, what it does, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cli

#: What `make` would generate, without building anything.
MAKE = """#!/usr/bin/env python3
import pathlib, sys, tomllib
print("make", *sys.argv[1:])
version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
schema = pathlib.Path("schema.json")
if sys.argv[1] == "sdk":
    schema.write_text(schema.read_text().replace('"version": "0.1.0"', f'"version": "{version}"', 1))
"""
CHANGELOG = "# Changelog\n\n## Unreleased\n\n- Something new.\n\n## 0.1.0 (2026-01-01)\n\n- The first.\n"


@pytest.fixture
def clone(tmp_path) -> Path:
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{cli.ROOT}", folder], check=True)
    # What is not committed yet is tested as well.
    for name in ("tools/release.py", "templates/provider/Cargo.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((cli.ROOT / name).read_text())
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    git(folder, "config", "user.name", "test")
    git(folder, "config", "user.email", "test@example.com")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "prepared")
    return folder


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, text=True, capture_output=True, check=True).stdout.strip()


@pytest.fixture
def release(clone, tmp_path) -> Callable[..., tuple[int, str]]:
    make = tmp_path / "make"
    make.write_text(MAKE)
    make.chmod(0o755)

    def run(*args: str) -> tuple[int, str]:
        command = [sys.executable, clone / "tools/release.py", *args, "--date", "2026-11-21"]
        done = subprocess.run(command, cwd=clone, env=os.environ | {"MAKE": str(make)}, text=True, capture_output=True, check=False, timeout=120)
        return done.returncode, done.stdout + done.stderr

    return run


def test_it_only_tells_unless_it_is_told_to_do_it(release, clone):
    head = git(clone, "rev-parse", "HEAD")
    code, text = release("0.2.0")
    assert code == 0, text
    for line in (
        '+version = "0.2.0"', '+pulumi-provider = { path = "provider/framework", version = "0.2.0" }', "+## 0.2.0 (2026-11-21)",
        "git tag -a v0.2.0", "git tag -a sdk/go/v0.2.0", "cp schema.json sdk/released-schema.json", "cargo publish --locked -p pulumi-proto",
        "gh release create v0.2.0",
    ):  # fmt: skip
        assert line in text, line
    assert "make sdk" not in [line for line in text.splitlines() if not line.startswith("$")]
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "status", "--porcelain"), git(clone, "tag")) == (head, "", "")


def test_a_release(release, clone):
    code, text = release("0.2.0", "--execute")
    assert code == 0, text
    cargo = tomllib.loads((clone / "Cargo.toml").read_text())["workspace"]
    assert cargo["package"]["version"] == "0.2.0"
    assert {cargo["dependencies"][name]["version"] for name in ("pulumi-proto", "pulumi-provider", "pulumi-automation")} == {"0.2.0"}
    packages = tomllib.loads((clone / "Cargo.lock").read_text())["package"]
    before = tomllib.loads((cli.ROOT / "Cargo.lock").read_text())["package"]
    assert {package["version"] for package in packages if "source" not in package} == {"0.2.0"}
    assert [p for p in packages if "source" in p] == [p for p in before if "source" in p]
    assert (clone / "CHANGELOG.md").read_text() == CHANGELOG.replace("## Unreleased", "## 0.2.0 (2026-11-21)")
    assert json.loads((clone / "sdk/released-schema.json").read_text())["version"] == "0.2.0"
    assert 'pulumi-provider = "0.2.0"' in (clone / "templates/provider/Cargo.toml").read_text()
    assert git(clone, "status", "--porcelain") == "" and git(clone, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert git(clone, "tag").split() == ["sdk/go/v0.2.0", "v0.2.0"]
    assert git(clone, "rev-parse", "v0.2.0^{commit}") == git(clone, "rev-parse", "HEAD")
    made = [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("make ")]
    assert made == ["sdk", "check-generated", "dist"]
    # Once is enough; and there is nothing new.
    code, text = release("0.2.0", "--execute")
    assert code == 1 and "v0.2.0 exists" in text or "nothing to release" in text
    code, text = release("0.3.0")
    assert code == 1 and "nothing to release" in text


@pytest.mark.parametrize("version, words", [
    ("0.0.9", "older than 0.1.0"),
    ("0.1.0-rc.1", "older than 0.1.0"),
    ("1.0", "not a semantic version"),
    ("1.0.0+build", "not a semantic version"),
])  # fmt: skip
def test_versions_that_are_refused(release, version, words):
    code, text = release(version)
    assert code == 1 and words in text, text


def test_a_tree_with_changes_or_an_empty_changelog_is_refused(release, clone):
    (clone / "README.md").write_text("changed")
    code, text = release("0.2.0", "--execute")
    assert code == 1 and "uncommitted" in text
    git(clone, "checkout", "README.md")
    (clone / "CHANGELOG.md").write_text(CHANGELOG.replace("- Something new.\n", ""))
    git(clone, "commit", "--quiet", "-am", "nothing new")
    code, text = release("0.2.0", "--execute")
    assert code == 1 and "say what changed" in text
    assert git(clone, "tag") == "" and git(clone, "status", "--porcelain") == ""
