"""`ptd:azure:Bootstrap` through the real CLI, against the double of Azure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.azure import CLIENT_SECRET, SUBSCRIPTION, TENANT, AzureDouble
from support.cli import Workspace

ROOT = Path(__file__).parent.parent
TARGET = "acme01-staging"
ADMINS = "44444444-4444-4444-4444-444444444444"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rsg-ptd-{TARGET}"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-ptd-{TARGET}"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stptdacme01staging"
CONTAINER = f"{ACCOUNT}/blobServices/default/containers/blob-ptd-{TARGET}"
ROLES = {"00482a5a-887f-4fb3-b363-3b7fe8e74483", "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"}
FIELDS = {
    "dev-db-password": r"[a-zA-Z0-9]{30}",
    "keycloak-db-user": r"main_lab_keycloak",
    "keycloak-db-password": r"[a-zA-Z0-9]{30}",
    "pkg-db-password": r"[a-zA-Z0-9]{30}",
    "pkg-secret-key": r"[0-9a-f]{1024}",
    "pub-db-password": r"[a-zA-Z0-9]{30}",
    "pub-secret-key": r"[0-9a-f]{1024}",
}


def program(**properties) -> dict:
    properties = {"target": TARGET, "sites": ["main-lab"], "adminGroupId": ADMINS,
                  "tags": {"posit.team/owner": "us"}} | properties
    return {
        "resources": {"boot": {"type": "ptd:azure:Bootstrap", "properties": properties}},
        "outputs": {name: f"${{boot.{name}}}" for name in ("backendUrl", "secretsProviderUrl", "secretIds", "vaultName")},
    }


@pytest.fixture
def make(cli_env: dict[str, str], azure: AzureDouble, tmp_path) -> Callable[..., Workspace]:
    def workspace(name: str = "app") -> Workspace:
        return Workspace(tmp_path / "projects" / name, cli_env | azure.env, name)

    return workspace


def secrets(azure: AzureDouble) -> dict[str, list]:
    """Values of the vault's secrets, by name: one for each version."""
    return azure.objects(VAULT)["secrets"]


def test_a_new_target_a_second_run_and_drift(make: Callable[..., Workspace], azure: AzureDouble) -> None:
    ws = make().yaml(program())
    preview = ws.preview()
    assert azure.writes() == []
    assert "azblob://blob-ptd-acme01-staging?storage_account=stptdacme01staging" in preview.text

    ws.up()
    assert azure.get(GROUP)["tags"] == {"posit.team:owner": "us"}
    vault = azure.get(VAULT)["properties"]
    assert (vault["sku"]["name"], vault["enabledForDeployment"], vault["enableRbacAuthorization"]) == ("standard", True, True)
    assert vault["tenantId"] == TENANT
    account = azure.get(ACCOUNT)
    assert (account["kind"], account["sku"]["name"]) == ("StorageV2", "Standard_LRS")
    assert (account["properties"]["accessTier"], account["properties"]["minimumTlsVersion"]) == ("Cool", "TLS1_2")
    assert account["properties"]["allowBlobPublicAccess"] is False
    azure.get(CONTAINER)
    assigned = [r["properties"] for r in azure.resources().values() if r["type"] == "Microsoft.Authorization/roleAssignments"]
    assert {r["roleDefinitionId"].rsplit("/")[-1] for r in assigned} == ROLES
    assert {(r["principalId"], r["principalType"]) for r in assigned} == {(ADMINS, "Group")}
    outputs = ws.outputs()
    assert outputs["secretsProviderUrl"] == f"azurekeyvault://kv-ptd-{TARGET}.vault.azure.net/keys/posit-team-dedicated"
    assert set(outputs["secretIds"]) == {f"main-lab-{field}" for field in FIELDS}
    values = secrets(azure)
    for field, pattern in FIELDS.items():
        (value,) = values[f"main-lab-{field}"]
        assert re.fullmatch(pattern, value), field

    # Nothing secret in plain anywhere.
    written = "".join(path.read_text(errors="replace") for path in ws.files()) + str(ws.export())
    for (value,) in values.values():
        assert value not in written
    assert CLIENT_SECRET not in written

    mark = azure.mark()
    assert ws.up("--refresh").changes == {}
    assert azure.writes(mark) == []

    azure.mutate(VAULT, {"properties": {"enabledForDeployment": False}})
    azure.mutate(ACCOUNT, {"properties": {"accessTier": "Hot"}})
    azure.mutate(GROUP, {"tags": {"posit.team:owner": "them"}})
    mark = azure.mark()
    ws.up("--refresh")
    assert sorted(method for method, _ in azure.writes(mark)) == ["PATCH", "PATCH", "PATCH"]
    assert azure.get(VAULT)["properties"]["enabledForDeployment"] is True
    assert azure.get(ACCOUNT)["properties"]["accessTier"] == "Cool"
    assert azure.get(GROUP)["tags"] == {"posit.team:owner": "us"}
    assert secrets(azure) == values


def test_what_exists_is_adopted_without_a_write(make: Callable[..., Workspace], azure: AzureDouble) -> None:
    make("first").yaml(program()).up()
    values = secrets(azure)
    mark = azure.mark()
    second = make("second").yaml(program())
    result = second.up()
    assert azure.writes(mark) == []
    assert "adopts existing key vault" in result.text
    assert secrets(azure) == values
    # Without consent nothing is deleted.
    refused = second.destroy(fails=True)
    assert "allowDelete" in refused.text
    assert azure.writes(mark) == []


def test_roles_stay_where_nothing_may_be_deleted(make: Callable[..., Workspace], azure: AzureDouble) -> None:
    ws = make().yaml(program())
    ws.up()
    mark = azure.mark()
    assert "allowDelete" in ws.destroy(fails=True).text
    assert azure.writes(mark) == []


def test_what_was_deleted_comes_back_with_roles_that_take_their_time(make: Callable[..., Workspace], azure: AzureDouble) -> None:
    azure.settings(rbac=True, rbac_delay=2.0)
    ws = make().yaml(program(allowDelete=True, forceDestroy=True))
    ws.up()
    before = azure.objects(VAULT)
    ws.destroy()
    assert [path for path in azure.resources() if "/resourcegroups/" in path] == []
    ws.up()
    assert azure.objects(VAULT) == before
    assert ws.up().changes == {}


def test_a_killed_run_goes_on(make: Callable[..., Workspace], azure: AzureDouble) -> None:
    ws = make().yaml(program())
    azure.fault("PUT", "/vaults/", hang=True, when="after")
    azure.fault("PUT", "/storageAccounts/[^/]*[?]", hang=True, when="after")
    run = ws.init().start("up", "--yes", "--skip-preview")
    azure.wait("PUT", "/vaults/")
    azure.wait("PUT", "/storageAccounts/")
    # The CLI first, and at rest: at the end of a plugin it writes its state, and what it is killed in the middle of it leaves empty.
    ws.quiet()
    run.kill()
    ws.kill_plugins()
    run.wait()
    azure.release()
    ws.cancel_lock()
    ws.up()
    for path in ("/vaults/[^/]*[?]", "/storageAccounts/[^/]*[?]"):
        assert len(azure.requests("PUT", path)) == 1
    assert {name: len(versions) for name, versions in secrets(azure).items()} == {f"main-lab-{field}": 1 for field in FIELDS}


def test_bad_names_are_told_before_anything_is_asked(make: Callable[..., Workspace], azure: AzureDouble) -> None:
    ws = make().yaml(program(target="abcdefghijklmnop-staging", sites=["a_b"], adminGroupId="them"))
    text = ws.preview(fails=True).text
    assert "kv-ptd-abcdefghijklmnop-" in text and "must not end in a hyphen" in text
    assert "sites[0]" in text and "adminGroupId" in text
    assert azure.requests() == []


def test_the_example_comes_and_goes(make: Callable[..., Workspace], azure: AzureDouble) -> None:
    ws = make("azure-workload").copy(ROOT / "examples/azure-workload")
    ws.up()
    assert set(ws.outputs()["secretIds"]) == {f"main-{field}" for field in FIELDS}
    kubeconfig = ws.outputs()["kubeconfigs"]["20250115"]
    assert "apiVersion" in kubeconfig and kubeconfig not in str(ws.export())
    cluster = azure.get(f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/{TARGET}-20250115")
    assert {pool["name"] for pool in cluster["properties"]["agentPoolProfiles"]} == {"agentpool", "user"}
    mark = azure.mark()
    # The same target in YAML finds everything.
    other = make("azure-workload-yaml").copy(ROOT / "examples/azure-workload-yaml")
    other.preview()
    assert azure.writes(mark) == []
    ws.config(allowDelete=True)
    assert ws.up("--refresh").changes.get("update", 0) > 0
    ws.destroy()
    left = [path for path in azure.resources() if "/resourcegroups/" in path]
    assert left == []
