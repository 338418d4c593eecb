"""What users get instead of a checkout: the archive of the plugin, its checksums and bill of materials, the Python package.

The archive holds the development build, packed by the script that packs the release; `make dist-check` is about the
release build itself.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support import cli

VERSION = json.loads((cli.ROOT / "schema.json").read_text())["version"]
STEM = f"pulumi-resource-ptd-v{VERSION}"
EXAMPLE = cli.ROOT / "examples/aws-bootstrap"


def run(*command: str | Path, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([*map(str, command)], text=True, capture_output=True, check=False, timeout=300, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done


def pack(binary: Path, out: Path) -> None:
    run(sys.executable, cli.ROOT / "tools/dist.py", "--binary", binary, "--out", out, "--level", "1")


@pytest.fixture(scope="module")
def binary(plugin_bin, tmp_path_factory) -> Path:
    """Without what debuggers read, which is half of it."""
    copy = tmp_path_factory.mktemp("binary") / "plugin"
    shutil.copy(plugin_bin, copy)
    run("strip", "--strip-debug", copy)
    return copy


@pytest.fixture(scope="module")
def dist(binary, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    pack(binary, out)
    return out


@pytest.fixture(scope="module")
def archive(dist) -> Path:
    (found,) = dist.glob("*.tar.gz")
    assert found.name.startswith(f"{STEM}-linux-")
    return found


class Files(http.server.ThreadingHTTPServer):
    """Serves a folder, and keeps what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server(dist) -> Iterator[Files]:
    with Files(dist) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join(10)


@pytest.fixture
def machine(cli_env, tmp_path) -> dict[str, str]:
    return cli.without_plugin(cli_env, tmp_path / "home")


def installed(machine: dict[str, str]) -> list[str]:
    return sorted(folder.name for folder in (Path(machine["PULUMI_HOME"]) / "plugins").glob("*") if folder.is_dir())


def test_the_archive_holds_what_the_engine_expects(archive, dist, binary, tmp_path):
    with tarfile.open(archive) as tar:
        entries = {entry.name: entry for entry in tar.getmembers()}
        content = tar.extractfile("pulumi-resource-ptd").read()
    assert list(entries) == ["LICENSE", "README.md", "pulumi-resource-ptd"]
    assert entries["pulumi-resource-ptd"].mode == 0o755 and content == binary.read_bytes()
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries.values()} == {(0, 0, "", "")}
    # As `sha256sum --check` reads it, with everything in it.
    run("sha256sum", "--check", f"{STEM}-checksums.txt", cwd=dist)
    named = {line.split()[1] for line in (dist / f"{STEM}-checksums.txt").read_text().splitlines()}
    assert named == {path.name for path in dist.iterdir()} - {f"{STEM}-checksums.txt"}
    # The same inputs, the same bytes.
    pack(binary, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {path.name: path.read_bytes() for path in dist.iterdir()}


def test_checksums_of_several_machines_are_joined_when_no_platform_is_missing(tmp_path):
    command = [sys.executable, cli.ROOT / "tools/dist.py", "--checksums", "--out", tmp_path]
    for platform in ("linux-amd64", "linux-arm64", "darwin-amd64"):
        (tmp_path / f"{STEM}-{platform}.tar.gz").write_text(platform)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no archive" in done.stderr and done.stderr.rstrip().endswith("for darwin-arm64")
    (tmp_path / f"{STEM}-darwin-arm64.tar.gz").write_text("the last")
    subprocess.run(command, check=True)
    listed = (tmp_path / f"{STEM}-checksums.txt").read_text()
    assert len(listed.splitlines()) == 4 and "darwin-arm64.tar.gz" in listed


def test_the_bill_of_materials(archive, dist, binary):
    document = json.loads((dist / archive.name.replace(".tar.gz", ".spdx.json")).read_text())
    assert document["spdxVersion"] == "SPDX-2.3"
    packages = {package["name"]: package for package in document["packages"]}
    assert packages["ptd"]["versionInfo"] == VERSION
    assert packages["ptd"]["checksums"][0]["checksumValue"] == hashlib.sha256(binary.read_bytes()).hexdigest()
    # What is compiled in, and not what only builds or tests it.
    assert {"tokio", "tonic", "rustls", "aws-sdk-s3", "pulumi-provider"} <= set(packages)
    assert not {"serde_derive", "cc", "tonic-build"} & set(packages)
    for name, package in packages.items():
        assert package["licenseDeclared"] != "NOASSERTION", name
        if package["downloadLocation"] != "NOASSERTION":
            assert package["checksums"][0]["algorithm"] == "SHA256" and package["externalRefs"][0]["referenceLocator"].startswith("pkg:cargo/")
    described = [r for r in document["relationships"] if r["relationshipType"] == "DESCRIBES"]
    assert [r["relatedSpdxElement"] for r in described] == [packages["ptd"]["SPDXID"]]


def test_a_program_that_only_names_the_package(machine, archive, server, tmp_path):
    """Installed from a file, or from a server, by hand or by the engine when a program first needs it."""
    run("pulumi", "plugin", "install", "resource", "ptd", f"v{VERSION}", "--file", archive, env=machine)
    assert installed(machine) == [f"resource-ptd-v{VERSION}"] and server.asked == []
    program = {
        "variables": {"target": {"fn::invoke": {"function": "ptd:getTarget", "arguments": {
            "target": "acme01-staging", "targetsDir": str(EXAMPLE / "infra")}}}},
        "outputs": {"name": "${target.name}"},
    }  # fmt: skip
    workspace = cli.Workspace(tmp_path / "app", machine).yaml(program)
    workspace.up()
    assert workspace.outputs() == {"name": "acme01-staging"}

    workspace.env["PULUMI_HOME"] = str(tmp_path / "home2")
    run("pulumi", "plugin", "install", "resource", "ptd", f"v{VERSION}", "--server", server.url, env=workspace.env)
    assert installed(workspace.env) == [f"resource-ptd-v{VERSION}"] and server.asked == [f"/{archive.name}"]

    # `package add` writes where the plugin comes from into the project; that is all another machine needs.
    run("pulumi", "package", "add", f"ptd@{VERSION}", "--server", server.url, env=workspace.env, cwd=workspace.folder)
    added = yaml.safe_load((workspace.folder / "Pulumi.yaml").read_text())["packages"]
    assert added == {"ptd": {"source": "ptd", "version": VERSION, "pluginDownloadURL": server.url}}
    del workspace.env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"]
    home = workspace.env["PULUMI_HOME"] = str(tmp_path / "home3")
    # The stack that is selected is kept in the home as well.
    workspace.run("stack", "select", cli.STACK)
    server.asked.clear()
    workspace.up()
    assert installed(workspace.env) == [f"resource-ptd-v{VERSION}"] and server.asked == [f"/{archive.name}"], home


def test_the_schema_by_name_and_by_binary(machine, archive, server, plugin_bin):
    by_name = json.loads(run("pulumi", "package", "get-schema", f"ptd@{VERSION}", "--server", server.url, env=machine).stdout)
    assert server.asked == [f"/{archive.name}"]
    by_binary = json.loads(run("pulumi", "package", "get-schema", plugin_bin, env=machine).stdout)
    # The engine writes down where it got it.
    assert by_name.pop("pluginDownloadURL") == server.url
    url = by_binary.pop("pluginDownloadURL")
    assert by_name == by_binary
    schema = json.loads((cli.ROOT / "schema.json").read_text())
    # All that a registry shows of a package.
    assert url == schema["pluginDownloadURL"] and url.startswith("github://")
    keys = ("name", "displayName", "publisher", "description", "keywords", "homepage", "repository", "license", "attribution", "logoUrl", "version")
    assert {key: by_name.get(key) for key in keys} == {key: schema.get(key) for key in keys}
    assert all(schema[key] for key in keys)
    assert any(word.startswith("category/") for word in schema["keywords"])
    logo = schema["logoUrl"].removeprefix("https://raw.githubusercontent.com/posit-dev/pulumi-ptd/main/")
    assert (cli.ROOT / logo).read_text().startswith("<svg")
    names = {language: settings.get("packageName") or settings.get("rootNamespace") or settings.get("basePackage") or settings.get("modulePath")
             for language, settings in schema["language"].items()}  # fmt: skip
    # What users wrote into their projects: never to change.
    assert names == {"python": "pulumi_ptd", "nodejs": "@posit-dev/pulumi-ptd", "go": "github.com/posit-dev/pulumi-ptd/sdk/go",
                     "csharp": "PositDev", "java": "dev.posit"}  # fmt: skip


def test_a_binary_is_added_as_a_package(machine, plugin_bin, tmp_path):
    """What somebody does who was given nothing but the binary."""
    project = tmp_path / "app"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: app\nruntime: yaml\n")
    run("pulumi", "package", "add", plugin_bin, env=machine, cwd=project)
    assert yaml.safe_load((project / "Pulumi.yaml").read_text())["packages"] == {"ptd": f"ptd@{VERSION}"}
    assert yaml.safe_load((project / f"sdks/ptd/ptd-{VERSION}.yaml").read_text())["downloadUrl"].startswith("github://")


def test_archive_python_package_and_cli_are_enough(machine, archive, aws_env, boto, server, tmp_path):
    """A clean directory with these three runs an example to the end."""
    clean = tmp_path / "clean"
    clean.mkdir()
    shutil.copy(archive, clean)
    run(sys.executable, cli.ROOT / "tools/pack_sdks.py", clean, "python")
    (wheel,) = clean.glob("pulumi_ptd-*.whl")
    run(sys.executable, "-m", "venv", clean / "venv")
    python = clean / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", cli.ROOT / "tests/constraints.txt", wheel)
    env = machine | aws_env | {"PTD_TEST_PYTHON": str(python)}
    run("pulumi", "plugin", "install", "resource", "ptd", f"v{VERSION}", "--file", clean / archive.name, env=env)
    workspace = cli.Workspace(clean / "app", env).copy(EXAMPLE)
    workspace.up()
    assert workspace.outputs()["backendUrl"] == "s3://ptd-acme01-staging?region=us-east-2"
    assert [bucket["Name"] for bucket in boto("s3").list_buckets()["Buckets"]] == ["ptd-acme01-staging"]
    # On a machine without the plugin, naming the package in the program is enough: the SDK says which version, and from where.
    # A server of our own stands in for the public one.
    del workspace.env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"]
    workspace.env |= {"PULUMI_HOME": str(tmp_path / "home2"), "PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES": f"posit-dev/pulumi-ptd$={server.url}"}
    workspace.run("stack", "select", cli.STACK)
    assert workspace.up().changes == {}
    assert installed(workspace.env) == [f"resource-ptd-v{VERSION}"] and server.asked == [f"/{archive.name}"]
    workspace.config(allowDelete="true")
    workspace.up()
    workspace.destroy()
    assert workspace.resources() == []
    assert boto("s3").list_buckets()["Buckets"] == []
