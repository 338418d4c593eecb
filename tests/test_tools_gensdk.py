"""The SDK generator: deterministic, and it removes what it wrote before, and nothing else."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENSDK = ROOT / ".tools/bin/gensdk"


def schema(*names: str) -> dict:
    resource = {
        "description": "A thing.",
        "properties": {"size": {"type": "integer", "description": "How large."}},
        "inputProperties": {"size": {"type": "integer", "description": "How large."}},
    }
    return {
        "name": "demo",
        "version": "1.2.3",
        "resources": {f"demo:aws:{name}": resource for name in names},
        "language": {"python": {"pyproject": {"enabled": True}, "respectSchemaVersion": True}},
    }


@pytest.fixture
def generate(tmp_path):
    if not GENSDK.exists():
        pytest.fail(f"{GENSDK} is missing: run `make tools`")

    def run(spec: dict, *args: str) -> subprocess.CompletedProcess:
        file = tmp_path / "schema.json"
        file.write_text(json.dumps(spec))
        command = [GENSDK, "-schema", file, "-out", tmp_path / "sdk", *args]
        return subprocess.run(command, text=True, capture_output=True, check=False)

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_generation_is_deterministic_and_owns_its_files_only(generate, tmp_path):
    python = tmp_path / "sdk/python"
    assert generate(schema("One", "Two")).returncode == 0
    first = content(python)
    assert {"pyproject.toml", "pulumi_demo/aws/one.py", "pulumi_demo/aws/two.py"} <= set(first)
    assert generate(schema("One", "Two")).returncode == 0
    assert content(python) == first

    (python / "NOTES.md").write_text("by hand")
    assert generate(schema("One")).returncode == 0
    assert not (python / "pulumi_demo/aws/two.py").exists()
    assert (python / "NOTES.md").read_text() == "by hand"


def test_check_names_what_is_stale(generate, tmp_path):
    assert generate(schema("One")).returncode == 0
    assert generate(schema("One"), "-check").returncode == 0
    stale = generate(schema("One", "Two"), "-check")
    assert stale.returncode == 1 and "pulumi_demo/aws/two.py" in stale.stderr and "make sdk" in stale.stderr
    assert not (tmp_path / "sdk/python/pulumi_demo/aws/two.py").exists()


def test_a_bad_schema_or_language_is_refused(generate, tmp_path):
    broken = schema("One")
    broken["resources"]["demo:aws:One"]["properties"]["size"] = {"$ref": "#/types/demo:aws:None"}
    refused = generate(broken)
    assert refused.returncode == 1 and "demo:aws:None" in refused.stderr
    assert "go, java, nodejs, python" in generate(schema("One"), "cobol").stderr
    assert not (tmp_path / "sdk").exists()


def test_other_languages_generate_too(generate, tmp_path):
    assert generate(schema("One"), "nodejs").returncode == 0
    assert (tmp_path / "sdk/nodejs/package.json").exists()
    shutil.rmtree(tmp_path / "sdk")
