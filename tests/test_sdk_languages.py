"""The SDKs for Node.js, Go and Java: built as their users build them, each used by a program (tests/programs) that the
real CLI runs against the running plugin.

The language hosts that would start these programs are not served by any package registry; through the automation API
the program is its own host, and everything else is as always.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cli

PROGRAMS = cli.ROOT / "tests/programs"
VERSION = json.loads((cli.ROOT / "schema.json").read_text())["version"]
BACKEND = "s3://ptd-acme01-staging"


def tool(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run([*map(str, command)], cwd=cwd, env=os.environ | (env or {}), text=True, capture_output=True, check=False, timeout=900)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done


@pytest.fixture
def env(cli_env, aws_env, plugin_bin, tmp_path) -> dict[str, str]:
    """The plugin is installed as `pulumi plugin install` does it: what the SDK says of its name and version has to find it."""
    home = tmp_path / "home"
    installed = home / f"plugins/resource-ptd-v{VERSION}"
    installed.mkdir(parents=True)
    (installed / "pulumi-resource-ptd").symlink_to(plugin_bin)
    return cli.without_plugin(cli_env, home) | aws_env | {"PTD_TARGETS_CONFIG_DIR": str(cli.ROOT / "examples/aws-bootstrap/infra")}


@pytest.fixture
def bootstrapped(boto) -> Callable[[str], None]:
    """Whether the program did what it says: its output and the cloud agree."""

    def check(output: str) -> None:
        assert BACKEND in output, output
        assert [bucket["Name"] for bucket in boto("s3").list_buckets()["Buckets"]] == ["ptd-acme01-staging"]
        assert boto("secretsmanager").list_secrets()["SecretList"]

    return check


def test_nodejs(env, bootstrapped, tmp_path):
    program = tmp_path / "program"
    shutil.copytree(PROGRAMS / "nodejs", program)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
    tool("npm", "ci", *quiet, cwd=program)
    tool(sys.executable, cli.ROOT / "tools/pack_sdks.py", tmp_path, "nodejs", "--node-modules", program / "node_modules", cwd=tmp_path)
    (packed,) = tmp_path.glob("*.tgz")
    assert packed.name == f"posit-dev-pulumi-ptd-{VERSION}.tgz"
    tool("npm", "install", *quiet, packed, cwd=program)
    installed = json.loads((program / "node_modules/@posit-dev/pulumi-ptd/package.json").read_text())
    assert installed["pulumi"] == {
        "resource": True, "name": "ptd", "version": VERSION, "server": "github://api.github.com/posit-dev/pulumi-ptd",
    }  # fmt: skip
    compiler = program / "node_modules/typescript/bin/tsc"
    tool("node", compiler, cwd=program)
    bootstrapped(tool("node", "index.js", cwd=program, env=env).stdout)

    # Not `any` everywhere: the compiler knows the properties.
    text = (program / "index.ts").read_text()
    (program / "index.ts").write_text(text.replace("target: target.name", "target: 7").replace("boot.backendUrl", "boot.backendUri"))
    wrong = subprocess.run(["node", compiler, "--noEmit"], cwd=program, text=True, capture_output=True, check=False, timeout=300)
    assert wrong.returncode and "Type 'number' is not assignable" in wrong.stdout and "Did you mean 'backendUrl'?" in wrong.stdout


def test_go(env, bootstrapped, tmp_path):
    module = "github.com/posit-dev/pulumi-ptd/sdk/go"
    # The module's own files are in order: its path, and all it needs.
    listed = json.loads(tool("go", "list", "-m", "-json", cwd=cli.ROOT / "sdk/go").stdout)
    assert listed["Path"] == module
    shutil.copytree(PROGRAMS / "go", tmp_path, dirs_exist_ok=True)
    # The dependencies in the versions the CLI was built with, so that what was compiled for it serves here as well.
    for name in ("go.mod", "go.sum"):
        shutil.copy(cli.ROOT / "tools" / name, tmp_path)
    version = f"v{VERSION}"
    tool("go", "mod", "edit", "-module", "program", f"-require={module}@{version}", f"-replace={module}={cli.ROOT / 'sdk/go'}", cwd=tmp_path)
    tool("go", "build", "-mod=mod", "-trimpath", "-o", "program", ".", cwd=tmp_path, env={"CGO_ENABLED": "0"})
    bootstrapped(tool(tmp_path / "program", cwd=tmp_path, env=env).stdout)


def maven_repository(folder: Path, packages: Path) -> Path:
    """What Maven has fetched already, and the packed SDK, which it finds as it would in a registry."""
    fetched = Path.home() / ".m2/repository"
    place = folder / "dev/posit/ptd" / VERSION
    place.mkdir(parents=True)
    for known in [*fetched.glob("*"), *fetched.glob("dev/*")]:
        link = folder / known.relative_to(fetched)
        if not link.exists():
            link.symlink_to(known)
    for kind in ("jar", "pom"):
        shutil.copy(packages / f"ptd-{VERSION}.{kind}", place)
    return folder


def test_java(env, bootstrapped, tmp_path):
    packages = tmp_path / "packages"
    tool(sys.executable, cli.ROOT / "tools/pack_sdks.py", packages, "java", cwd=tmp_path)
    assert sorted(file.name for file in packages.iterdir()) == [f"ptd-{VERSION}.jar", f"ptd-{VERSION}.pom"]
    with zipfile.ZipFile(packages / f"ptd-{VERSION}.jar") as jar:
        assert jar.read("dev/posit/ptd/version.txt").decode() == VERSION
        assert json.loads(jar.read("dev/posit/ptd/plugin.json"))["server"] == "github://api.github.com/posit-dev/pulumi-ptd"
        assert jar.read("META-INF/LICENSE") == (cli.ROOT / "LICENSE").read_bytes()
    program = tmp_path / "program"
    shutil.copytree(PROGRAMS / "java", program)
    repository = maven_repository(tmp_path / "repository", packages)
    # Compiles the program, and runs it.
    command = ("mvn", "--quiet", "--batch-mode", f"-Dmaven.repo.local={repository}", f"-Dptd.version={VERSION}", "compile")
    bootstrapped(tool(*command, cwd=program, env=env).stdout)


def test_every_sdk_has_the_one_version():
    """Cargo.toml says it; what is generated follows."""
    workspace = next(line.split('"')[1] for line in (cli.ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version = "))
    assert workspace == VERSION
    sdk = cli.ROOT / "sdk"
    assert json.loads((sdk / "nodejs/package.json").read_text())["version"] == VERSION
    assert json.loads((sdk / "go/ptd/pulumi-plugin.json").read_text())["version"] == VERSION
    assert f'version = "{VERSION}"' in (sdk / "python/pyproject.toml").read_text()
    assert f"<version>{VERSION}</version>" in (sdk / "java/pom.xml").read_text()
    # And the commands that install it.
    assert set(re.findall(r"\bptd[@ ]v?(\d\S+)", (cli.ROOT / "README.md").read_text())) == {VERSION}
