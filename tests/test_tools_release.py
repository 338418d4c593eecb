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
import json, pathlib, sys, tomllib
print("make", *sys.argv[1:])
version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
schema = pathlib.Path("schema.json")
if sys.argv[1] == "sdk":
    schema.write_text(json.dumps(json.loads(schema.read_text()) | {"version": version}, indent=2) + "\\n")
"""
#: Whatever this checkout's is: the tests hold after a release as well.
OLD = tomllib.loads((cli.ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
MAJOR, MINOR, PATCH = (int(part) for part in OLD.split("-")[0].split("."))
NEW = f"{MAJOR}.{MINOR + 1}.0"
FIX = f"{MAJOR}.{MINOR}.{PATCH + 1}"
CHANGELOG = f"# Changelog\n\n## Unreleased\n\n- Something new.\n\n## {OLD} (2026-01-01)\n\n- The last.\n"


@pytest.fixture
def clone(tmp_path) -> Path:
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-tags", "--depth=1", f"file://{cli.ROOT}", folder], check=True)
    # What is not committed yet is tested as well.
    for name in ("tools/release.py", "tools/schema_compat.py", "templates/provider/Cargo.toml", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((cli.ROOT / name).read_text())
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / "sdk/released-schema.json").unlink(missing_ok=True)
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
    code, text = release(NEW)
    assert code == 0, text
    for line in (
        f'+version = "{NEW}"', f'+pulumi-provider = {{ path = "provider/framework", version = "{NEW}" }}', f"+## {NEW} (2026-11-21)",
        f"git tag -a v{NEW}", f"git tag -a sdk/go/v{NEW}", "cp schema.json sdk/released-schema.json", "cargo publish --locked -p pulumi-proto",
        f"git checkout v{NEW} && make dist PLATFORMS=darwin-arm64", "tools/dist.py --checksums",
        f"dotnet nuget push dist/sdks/PositDev.Ptd.{NEW}.nupkg",
        f"gh release create v{NEW} --verify-tag dist/pulumi-resource-ptd-v{NEW}-*", f"pulumi package add ptd@{NEW} --server",
    ):  # fmt: skip
        assert line in text, line
    assert "make sdk" not in [line for line in text.splitlines() if not line.startswith("$")]
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "status", "--porcelain"), git(clone, "tag")) == (head, "", "")


def test_a_release(release, clone):
    code, text = release(NEW, "--execute")
    assert code == 0, text
    cargo = tomllib.loads((clone / "Cargo.toml").read_text())["workspace"]
    assert cargo["package"]["version"] == NEW
    assert {cargo["dependencies"][name]["version"] for name in ("pulumi-proto", "pulumi-provider", "pulumi-automation")} == {NEW}
    packages = tomllib.loads((clone / "Cargo.lock").read_text())["package"]
    before = tomllib.loads((cli.ROOT / "Cargo.lock").read_text())["package"]
    assert {package["version"] for package in packages if "source" not in package} == {NEW}
    assert [p for p in packages if "source" in p] == [p for p in before if "source" in p]
    assert (clone / "CHANGELOG.md").read_text() == CHANGELOG.replace("## Unreleased", f"## {NEW} (2026-11-21)")
    assert json.loads((clone / "sdk/released-schema.json").read_text())["version"] == NEW
    assert f'pulumi-provider = "{NEW}"' in (clone / "templates/provider/Cargo.toml").read_text()
    # The commands that install it name it, and nothing else in the README changed.
    now = (clone / "README.md").read_text()
    assert f"pulumi package add ptd@{NEW} --server" in now and "no release yet" not in now
    unchanged = {line for line in (cli.ROOT / "README.md").read_text().splitlines() if OLD not in line and "no release" not in line}
    assert unchanged <= set(now.splitlines())
    assert git(clone, "status", "--porcelain") == "" and git(clone, "log", "-1", "--format=%s") == f"Release {NEW}"
    assert git(clone, "tag").split() == [f"sdk/go/v{NEW}", f"v{NEW}"]
    assert git(clone, "rev-parse", f"v{NEW}^{{commit}}") == git(clone, "rev-parse", "HEAD")
    made = [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("make ")]
    assert made == ["sdk", "check-generated", "package", "msrv", "dist", "dist-check"]
    # Once is enough; and there is nothing new.
    code, text = release(NEW, "--execute")
    assert code == 1 and f"v{NEW} exists" in text or "nothing to release" in text
    code, text = release(f"{MAJOR}.{MINOR + 2}.0")
    assert code == 1 and "nothing to release" in text


def test_a_release_may_break_what_its_number_allows(release, clone):
    """Nothing in a patch; and the first release has nothing to break."""
    schema = json.loads((clone / "schema.json").read_text())
    added = schema | {"functions": {**schema["functions"], "ptd:index:former": {"description": "Was there."}}}
    (clone / "sdk/released-schema.json").write_text(json.dumps(added))
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "a function is gone")
    code, text = release(FIX)
    assert code == 1 and f"{FIX} may break nothing of {schema['version']}, and ptd:index:former: the function is gone" in text, text
    # It is the changelog's turn then, which `make check-generated` asks.
    code, text = release(NEW if MAJOR == 0 else f"{MAJOR + 1}.0.0")
    assert code == 0, text


def test_a_pre_release_is_published_as_one(release):
    code, text = release(f"{NEW}-rc.2")
    assert code == 0, text
    for line in (
        f"gh release create v{NEW}-rc.2 --verify-tag --prerelease dist/", f"twine upload dist/sdks/pulumi_ptd-{NEW}rc2-*.whl",
        f"npm publish --access public --tag next dist/sdks/posit-dev-pulumi-ptd-{NEW}-rc.2.tgz",
    ):  # fmt: skip
        assert line in text, text


@pytest.mark.parametrize("version, words", [
    ("0.0.9", f"older than {OLD}"),
    (f"{OLD.split('-')[0]}-alpha.0", f"older than {OLD}"),
    ("1.0", "not a semantic version"),
    ("1.0.0+build", "not a semantic version"),
    ("1.0.0-rc.01", "not a semantic version"),
    ("1.0.0-nightly", "not a semantic version"),
])  # fmt: skip
def test_versions_that_are_refused(release, version, words):
    code, text = release(version)
    assert code == 1 and words in text, text


def test_a_tree_with_changes_or_an_empty_changelog_is_refused(release, clone):
    (clone / "README.md").write_text("changed")
    code, text = release(NEW, "--execute")
    assert code == 1 and "uncommitted" in text
    git(clone, "checkout", "README.md")
    (clone / "CHANGELOG.md").write_text(CHANGELOG.replace("- Something new.\n", ""))
    git(clone, "commit", "--quiet", "-am", "nothing new")
    code, text = release(NEW, "--execute")
    assert code == 1 and "say what changed" in text
    assert git(clone, "tag") == "" and git(clone, "status", "--porcelain") == ""
