"""The schema: complete, readable, and accepted by Pulumi's own tools."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
from support import cli

GENSDK = cli.ROOT / ".tools/bin/gensdk"


@pytest.fixture(scope="module")
def schema(plugin_bin) -> dict:
    """What the plugin itself prints."""
    return json.loads(subprocess.check_output([plugin_bin, "schema"], text=True))


@pytest.fixture
def pulumi(cli_env):
    def run(*args: object) -> subprocess.CompletedProcess:
        return subprocess.run(["pulumi", *map(str, args)], env=cli_env, text=True, capture_output=True, timeout=120, check=False)

    return run


def described(schema: dict) -> Iterator[tuple[str, dict]]:
    """Everything that a user may look up, with its name."""

    def properties(owner: str, holder: dict, key: str = "properties") -> Iterator[tuple[str, dict]]:
        for name, value in (holder.get(key) or {}).items():
            yield f"{owner}.{name}", value

    yield "package", schema
    yield from properties("config", schema["config"], "variables")
    for token, holder in {"provider": schema["provider"], **schema["resources"]}.items():
        yield token, holder
        yield from properties(token, holder)
        yield from properties(f"{token} input", holder, "inputProperties")
        if state := holder.get("stateInputs"):
            yield from properties(f"{token} state", state)
    for token, holder in schema["types"].items():
        yield token, holder
        yield from properties(token, holder)
        for value in holder.get("enum", []):
            yield f"{token}={value['value']}", value
    for token, holder in schema["functions"].items():
        yield token, holder
        yield from properties(f"{token} input", holder.get("inputs") or {})
        yield from properties(f"{token} output", holder.get("outputs") or {})


def test_everything_of_the_plan_is_there(schema):
    aws = ("AdminPolicy", "Bootstrap", "EncryptionKey", "MimirAuthEntry", "Secret", "SecretFields", "StateBucket", "WorkloadSecretFields")
    azure = ("AgentPool", "Aks", "AksCluster", "Bootstrap", "EncryptionKey", "KeyVault", "ResourceGroup", "RoleAssignment",
             "StateStorage", "VaultSecret")
    index = ("ControlRoom", "PersistentReprise", "Stack", "StackUpdate", "Workload")
    resources = schema["resources"]
    named = {"aws": aws, "azure": azure, "index": index}
    assert set(resources) == {f"ptd:{module}:{name}" for module, names in named.items() for name in names}
    components = {"Aks", "Bootstrap", "ControlRoom", "MimirAuthEntry", "PersistentReprise", "Workload", "WorkloadSecretFields"}
    assert {token.split(":")[-1] for token, resource in resources.items() if resource.get("isComponent")} == components
    functions = ("getTarget", "listSteps", "planCapacity", "planTakeover", "stackCommand")
    assert set(schema["functions"]) == {f"ptd:index:{name}" for name in functions}
    assert (schema["name"], schema["license"]) == ("ptd", "Apache-2.0")


def test_everything_is_described(schema):
    missing = [name for name, item in described(schema) if not item.get("description", "").strip()]
    assert missing == []


def test_descriptions_are_for_readers_of_any_language(schema):
    """No links that only rustdoc resolves, no Rust paths or types, no text left unfinished."""
    odd = re.compile(r"\[`[^`]*`\](?!\()|\[[A-Za-z_:]+\](?![(:])|\w::[A-Za-z_]|\b(Option|Vec|BTreeMap|HashMap|Arc)<|\bTODO\b|\bFIXME\b")
    found = [(name, match.group()) for name, item in described(schema) if (match := odd.search(item.get("description", "")))]
    assert found == []


def test_secrets_are_marked(schema):
    resources = schema["resources"]
    for token, name in (("ptd:aws:SecretFields", "fields"),):
        for kind in ("inputProperties", "properties"):
            assert resources[token][kind][name].get("secret") is True, (token, kind, name)


def test_every_required_property_exists(schema):
    for token, holder in {**schema["resources"], **schema["types"]}.items():
        for need, have in (("required", "properties"), ("requiredInputs", "inputProperties")):
            assert set(holder.get(need, [])) <= set(holder.get(have, {})), (token, need)


def test_the_schema_is_the_same_every_time(schema, plugin_bin, provider):
    assert subprocess.check_output([plugin_bin, "schema"]) == subprocess.check_output([plugin_bin, "schema"])
    assert provider.schema() == schema


def test_schema_check_is_silent(schema, pulumi, tmp_path):
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    checked = pulumi("schema", "check", file)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_get_schema_of_the_binary(schema, pulumi, plugin_bin):
    shown = pulumi("package", "get-schema", plugin_bin)
    assert shown.returncode == 0, shown.stderr
    got = json.loads(shown.stdout)
    assert set(got["resources"]) == set(schema["resources"]) and set(got["types"]) == set(schema["types"])
    assert got["functions"] == schema["functions"]


@pytest.mark.parametrize("language, file", [("nodejs", "package.json"), ("go", "ptd/init.go"), ("python", "pyproject.toml")])
def test_an_sdk_in_every_language(schema, tmp_path, language, file):
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    command = [GENSDK, "-schema", tmp_path / "schema.json", "-out", tmp_path / "sdk", language]
    made = subprocess.run(command, text=True, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    written = [path.relative_to(tmp_path / "sdk" / language).as_posix() for path in (tmp_path / "sdk" / language).rglob("*") if path.is_file()]
    assert any(path.endswith(file.rsplit("/", 1)[-1]) for path in written), written
    assert any("bootstrap" in path.lower() for path in written) and any("gettarget" in path.lower().replace("_", "") for path in written)
