"""The Python SDK as a user gets it: installed by pip, imported, and checked by mypy --strict."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import cli

SDK = cli.ROOT / "sdk/python"
EXAMPLE = cli.ROOT / "examples/aws-bootstrap"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """What pip makes of sdk/python, from a copy, so that building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("sdk")
    shutil.copytree(SDK, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps",
        "--no-build-isolation", "--target", folder / "installed", folder / "source",
    ]
    made = subprocess.run(command, text=True, capture_output=True, check=False, timeout=300)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "installed"


@pytest.fixture
def python(installed, tmp_path):
    """`python(source)`: its output, with the installed SDK ahead of any other."""

    def run(source: str, fails: bool = False) -> str:
        env = cli.base_env() | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", source], env=env, cwd=tmp_path, text=True, capture_output=True, check=False, timeout=120)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def mypy(installed, tmp_path):
    """`mypy(file)`: exit code and text of `mypy --strict`."""

    def run(file: Path) -> tuple[int, str]:
        env = os.environ | {"MYPYPATH": "", "PYTHONPATH": str(installed)}
        # Not the editable SDK of the environment, if there is one: both are the same package.
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)]
        done = subprocess.run(command, env=env, cwd=tmp_path, text=True, capture_output=True, check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_import_gives_everything(python, installed):
    found = json.loads(python(
        "import json, pulumi_ptd as ptd\n"
        # Subpackages load when they are first used.
        "ptd.aws.Bootstrap\n"
        "print(json.dumps([ptd.__file__, sorted(n for n in dir(ptd.aws) if n[0].isupper()), sorted(n for n in dir(ptd) if 'arget' in n)]))"
    ))
    file, classes, functions = found
    assert file.startswith(str(installed)), "not the SDK under test"
    for name in ("AdminPolicy", "Bootstrap", "EncryptionKey", "Secret", "SecretFields", "StateBucket"):
        assert name in classes, classes
        assert name == "Bootstrap" or f"{name}Args" in classes
    assert {"BootstrapBucketArgs", "BootstrapKeyArgs", "BootstrapSecretsArgs"} <= set(classes)
    assert {"get_target", "get_target_output", "TargetKind"} <= set(functions)


def test_what_is_installed(installed):
    package = installed / "pulumi_ptd"
    assert (package / "py.typed").exists()
    plugin = json.loads((package / "pulumi-plugin.json").read_text())
    version = next(line.split('"')[1] for line in (SDK / "pyproject.toml").read_text().splitlines() if line.strip().startswith("version"))
    # The engine looks for this plugin, in this version.
    assert plugin["resource"] is True and plugin["name"] == "ptd" and plugin["version"] == version
    metadata = next(installed.glob("pulumi_ptd-*.dist-info/METADATA")).read_text()
    assert "Requires-Dist: pulumi<4.0.0,>=3." in metadata and "License" in metadata
    # What the generator's source folder holds, no file more or less.
    sources = {path.relative_to(SDK) for path in (SDK / "pulumi_ptd").rglob("*") if path.suffix in {".py", ".pyi"}}
    assert sources == {path.relative_to(installed) for path in package.rglob("*") if path.suffix in {".py", ".pyi"}}


def test_docstrings_and_types_reach_the_editor(python):
    text = python(
        "import inspect, typing, pulumi, pulumi_ptd as ptd\n"
        "for cls in (ptd.aws.Bootstrap, ptd.aws.StateBucket, ptd.aws.Secret, ptd.aws.SecretFields, ptd.aws.EncryptionKey, ptd.aws.AdminPolicy):\n"
        "    overloads = typing.get_overloads(cls.__init__)\n"
        "    assert len(overloads) == 2 and all(len(overload.__doc__) > 80 for overload in overloads), cls\n"
        "    assert all(':param' in overload.__doc__ for overload in overloads), cls\n"
        "    for name, member in vars(cls).items():\n"
        "        if isinstance(member, property):\n"
        "            assert member.fget.__doc__, (cls, name)\n"
        "            assert 'return' in member.fget.__annotations__, (cls, name)\n"
        "assert len(ptd.get_target.__doc__) > 80\n"
        "assert list(inspect.signature(ptd.get_target).parameters)[:2] == ['target', 'targets_dir']\n"
        "assert issubclass(ptd.aws.Bootstrap, pulumi.ComponentResource)\n"
        "assert ptd.TargetKind.AWS_WORKLOAD_CONFIG.value == 'AWSWorkloadConfig'\n"
    )
    assert text == ""


def test_the_generated_code_is_python_the_lowest_version_reads():
    """pyproject.toml promises 3.9."""
    for file in SDK.rglob("*.py"):
        ast.parse(file.read_text(), str(file), feature_version=(3, 9))


def test_a_missing_argument_is_an_error_before_anything_runs(python):
    text = python("import pulumi_ptd as ptd\nptd.aws.BootstrapArgs()", fails=True)
    assert "TypeError" in text and "missing" in text


def test_the_example_passes_mypy_strict(mypy):
    code, text = mypy(EXAMPLE / "__main__.py")
    assert code == 0 and "Success" in text, text


def test_mypy_sees_the_types(mypy, tmp_path):
    """Not `Any` everywhere: wrong types and names are found, and answers have theirs."""
    file = tmp_path / "wrong.py"
    file.write_text(
        "import pulumi_ptd as ptd\n"
        "target = ptd.get_target(target=1)\n"
        "reveal_type(target.sites[0].names.secret)\n"
        "reveal_type(target.names.proxy_port)\n"
        "ptd.aws.Bootstrap('a', target='t', account_id='1', sites=7)\n"
        "boot = ptd.aws.Bootstrap('b', target='t', account_id='1')\n"
        "reveal_type(boot.backend_url)\n"
        "boot.no_such_output\n"
    )
    code, text = mypy(file)
    assert code == 1
    for line, expected in (
        (2, "[arg-type]"),
        (3, 'Revealed type is "str"'),
        (4, 'Revealed type is "int"'),
        (5, "error"),
        (7, "Output[str"),
        (8, "no_such_output"),
    ):
        assert any(f"wrong.py:{line}:" in found and expected in found for found in text.replace("builtins.", "").splitlines()), (line, text)
