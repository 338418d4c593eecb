"""The conformance cases of Resource Manager, for every kind of resource in which they can occur."""

from __future__ import annotations

import time

import grpc
import pytest
from support import values
from support.azure import SUBSCRIPTION, AzureDouble
from support.azure_cloud import ACCOUNT, ADMINISTRATOR, ADMINS, ALL, CLUSTER, GROUP, VAULT, Azure
from support.protocol import background
from support.provider import details

LONG = {
    "KeyVault": ("PUT vaults", "/vaults/kv-test[?]"),
    "StateStorage": ("PUT storageAccounts", "/asyncoperations/"),
    "AksCluster": ("PUT managedClusters", "/operations/"),
    "AgentPool": ("PUT agentPools", "/operations/"),
}
AT_ONCE = {"retry-after-ms": "20"}


def error(code: str, **more) -> dict:
    return {"error": {"code": code, "message": f"the text of {code}", **more}}


def test_case_06_to_08_the_fourth_way_of_telling(cloud: Azure, azure: AzureDouble) -> None:
    azure.settings(operation_header="Operation-Location", polls=2)
    azure.make_group("rg")
    made = {kind: cloud.create(kind) for kind in ("AksCluster", "AgentPool")}
    assert made["AksCluster"][1]["oidcIssuerUrl"]
    assert len(azure.requests("GET", "/operations/")) == 6
    for kind in ("AgentPool", "AksCluster"):
        cloud.delete(kind, *made[kind], **({"allowDelete": True} if kind == "AksCluster" else {}))
    assert CLUSTER.lower() not in azure.resources()
    assert len(azure.requests("GET", "/operations/")) == 12 and azure.requests("GET", "/operationresults/") == []


@pytest.mark.parametrize("kind", LONG)
def test_case_12_what_azure_took_on_is_kept(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    path = ALL[kind][0].split("/blobServices")[0] + "[?]"
    foreign = {"Azure-AsyncOperation": "https://management.azure.com.example.org/op"}
    azure.fault("PUT", path, when="after", status=201, headers=foreign, body={"properties": {"provisioningState": "Creating"}})
    told, kept = lost(cloud, kind)
    assert "example.org" in told
    goes_on(cloud, azure, kind, kept, path)


@pytest.mark.parametrize("kind", [*LONG, "RoleAssignment"])
def test_case_22_what_may_be_there_is_kept(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    path = ALL[kind][0].split("/blobServices")[0] + "[?]" if kind in LONG else "/roleAssignments/"
    azure.fault("PUT", path, drop=True, when="after")
    azure.fault("GET", path, skip=1 if kind in LONG else 0, times=None, status=503, headers=AT_ONCE)
    _, kept = lost(cloud, kind)
    azure.calm()
    if kind in LONG:
        goes_on(cloud, azure, kind, kept, path)
    else:
        cloud.delete(kind, kept.id, values.decode(kept.properties))
        assert kept.id.lower() not in azure.resources()


def lost(cloud: Azure, kind: str) -> tuple[str, object]:
    """The text of a failed creation, and what the state has of it."""
    with pytest.raises(grpc.RpcError) as failed:
        cloud.create(kind)
    (kept,) = [found for found in details(failed.value) if found.DESCRIPTOR.name == "ErrorResourceInitFailed"]
    return failed.value.details(), kept


def goes_on(cloud: Azure, azure: AzureDouble, kind: str, kept, path: str) -> None:
    """The next run waits for what is pending, and makes nothing a second time."""
    partial = values.decode(kept.properties)
    assert partial["pendingOperation"]["style"] == "resource"
    mark = azure.mark()
    outputs = cloud.update(kind, kept.id, partial)
    assert outputs.get("pendingOperation") is None
    assert azure.requests("PUT", path, since=mark) == []


@pytest.mark.parametrize("kind", LONG)
def test_case_13_and_25_looks_that_fail_end_nothing(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    rule, look = LONG[kind]
    azure.operation(rule, duration=600, polls=0, times=1)
    mark = azure.mark()
    for trouble in ({"status": 503, "headers": AT_ONCE}, {"status": 429, "headers": AT_ONCE}, {"drop": True, "headers": AT_ONCE}):
        # The first look of all may be the one before the write.
        azure.fault("GET", look, skip=1 if kind == "KeyVault" else 0, **trouble)
    making = background(cloud.create, kind)
    azure.wait("PUT", ALL[kind][0].split("/blobServices")[0] + "[?]", since=mark, answered=True)
    azure.wait("GET", look, 4, since=mark, answered=True)
    azure.expire_tokens()
    azure.advance(600)
    making.result(60)
    assert len(azure.requests("PUT", ALL[kind][0].split("/blobServices")[0] + "[?]", since=mark)) == 1
    answers = [entry["status"] for entry in azure.requests("GET", look, since=mark)]
    assert {0, 401, 429, 503} <= set(answers), answers


@pytest.mark.parametrize("kind", ["ResourceGroup", "KeyVault", "StateStorage"])
def test_case_24_a_precondition_of_the_service_is_tried_again(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    made = cloud.create(kind)
    azure.fault("PATCH|PUT", ".*", status=412, body=error("PreconditionFailed"))
    cloud.update(kind, *made, tags={"x": "y"})
    assert azure.get(ALL[kind][0].split("/blobServices")[0])["tags"] == {"x": "y"}
    azure.fault("PATCH|PUT", ".*", status=412, body=error("PreconditionFailed"), times=None)
    mark = azure.mark()
    with pytest.raises(grpc.RpcError, match="the text of PreconditionFailed"):
        cloud.update(kind, *made, tags={"x": "z"})
    assert 1 < len(azure.writes(mark)) < 6


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind != "VaultSecret"])
def test_case_26_a_missing_right_is_told_at_once(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    mark = azure.mark()
    azure.fault("PUT", ".*", status=403, body=error("AuthorizationFailed"), times=None)
    told = cloud.refused(kind)
    assert "the text of AuthorizationFailed" in told and len(azure.writes(mark)) == 1


@pytest.mark.parametrize("kind", ALL)
def test_case_28_29_30_and_35_only_what_is_missing_is_gone(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    made = cloud.create(kind)
    for code in ("ResourceNotFound", "ResourceGroupNotFound", "ParentResourceNotFound"):
        azure.fault("GET", "/resourceGroups/", times=None, status=404, body=error(code))
        assert cloud.read(kind, *made).id == "", code
        azure.calm()
    troubles = (
        (404, error("SubscriptionNotFound")), (401, error("InvalidAuthenticationTokenTenant")), (403, error("AuthorizationFailed")),
        (500, error("InternalServerError")), (502, "<html>"), (200, ""),
    )  # fmt: skip
    for status, body in troubles:
        azure.fault("GET", "/resourceGroups/", times=None, status=status, body=body, headers=AT_ONCE)
        with pytest.raises(grpc.RpcError):
            cloud.read(kind, *made)
        azure.calm()
    assert cloud.read(kind, *made).id == made[0]


@pytest.mark.parametrize("kind", ALL)
def test_case_31_readers_may_lag_behind(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    azure.settings(stale_reads=2)
    mark = azure.mark()
    id, _ = cloud.create(kind)
    written = [write for write in azure.writes(mark) if write[0] == "PUT"]
    # The data plane's first write asks where tokens come from.
    assert len(set(written)) == len(written) - (1 if kind == "VaultSecret" else 0)
    assert id and written


def test_case_34_an_assignment_on_a_later_page(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    azure.settings(page_size=1, empty_first_page=True)
    roles = [("7f951dda-4ed3-4680-a7ca-43fe172d538d", 5), (ADMINISTRATOR, 6)]
    for role, number in roles:
        name = f"{number}5555555-5555-5555-5555-555555555555"
        azure.put(f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{name}", type="Microsoft.Authorization/roleAssignments",
                  properties={"scope": GROUP, "principalId": ADMINS, "principalType": "Group", "roleDefinitionId":
                              f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"})  # fmt: skip
    id, _ = cloud.create("RoleAssignment")
    assert id.endswith("/65555555-5555-5555-5555-555555555555") and azure.writes() == []


@pytest.mark.parametrize("kind", ["ResourceGroup", "KeyVault", "StateStorage", "AksCluster"])
def test_case_37_what_is_elsewhere_is_told_with_what_to_do(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    cloud.prepare(kind)
    code = "InvalidResourceGroupLocation" if kind == "ResourceGroup" else "InvalidResourceLocation"
    azure.fault("PUT", ".*", status=409, times=None, body=error(code))
    mark = azure.mark()
    told = cloud.refused(kind)
    assert f"the text of {code}" in told and "It exists in another region: use that region, or another name" in told
    assert len(azure.writes(mark)) == 1


@pytest.mark.parametrize("wait", ["rights", "principal", "group"])
def test_case_17_every_wait_ends_with_a_cancel(cloud: Azure, azure: AzureDouble, wait: str) -> None:
    azure.make_group("rg")
    if wait == "rights":
        cloud.create("KeyVault")
        cloud.create("RoleAssignment")
        azure.settings(rbac=True, rbac_delay=3600.0)
        waiting, look = background(cloud.create, "VaultSecret"), ("GET", "/secrets/s", 3)
    elif wait == "principal":
        azure.settings(unknown_principals={ADMINS: 1000})
        waiting, look = background(cloud.create, "RoleAssignment"), ("PUT", "/roleAssignments/", 2)
    else:
        made = cloud.create("ResourceGroup")
        azure.operation("DELETE resourceGroups", duration=10_000, polls=0)
        waiting, look = background(cloud.delete, "ResourceGroup", *made, allowDelete=True), ("GET", "/operationresults/", 2)
    azure.wait(*look, answered=True)
    began = time.monotonic()
    cloud.provider.cancel()
    failed = waiting.exception(60)
    assert time.monotonic() - began < 20
    assert isinstance(failed, grpc.RpcError) and "cancel" in failed.details().lower(), failed


def test_case_38_a_deleted_vault_of_another_group(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    azure.make_group("other")
    made = cloud.create("KeyVault", resourceGroupName="other")
    cloud.delete("KeyVault", *made, resourceGroupName="other", allowDelete=True)
    told = cloud.refused("KeyVault")
    assert "resourceGroups/other" in told and "20" in told, told
    assert VAULT.lower() not in azure.resources()


def test_case_41_a_firewall_is_not_waited_for(cloud: Azure, azure: AzureDouble) -> None:
    cloud.vault()
    inner = {"code": "ForbiddenByFirewall"}
    azure.fault("GET|PUT", "/secrets/", times=None, status=403, body=error("Forbidden", innererror=inner))
    mark = azure.mark()
    assert "ForbiddenByFirewall" in cloud.refused("VaultSecret")
    assert len(azure.requests(path="/secrets/", since=mark)) <= 2


def test_case_43_an_assignment_that_nobody_can_find(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    azure.fault("PUT", "/roleAssignments/", times=None, status=409, body=error("RoleAssignmentExists"))
    assert "the text of RoleAssignmentExists" in cloud.refused("RoleAssignment")
    assert len(azure.requests("PUT")) < 4


def test_case_44_an_inherited_role_counts_and_stays(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    above = f"/subscriptions/{SUBSCRIPTION}"
    path = f"{above}/providers/Microsoft.Authorization/roleAssignments/55555555-5555-5555-5555-555555555555"
    azure.put(path, type="Microsoft.Authorization/roleAssignments", properties={
        "scope": above, "principalId": ADMINS.upper(), "principalType": "Group",
        "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{ADMINISTRATOR.upper()}"})  # fmt: skip
    id, outputs = cloud.create("RoleAssignment")
    assert id == path and outputs["made"] is False and outputs["inherited"] is True
    cloud.delete("RoleAssignment", id, outputs)
    assert azure.writes() == []


@pytest.mark.parametrize(("path", "code"), [
    ("/storageAccounts/[^/]*[?]", "StorageAccountOperationInProgress"), ("/containers/", "ContainerBeingDeleted"),
])  # fmt: skip
def test_case_46_and_47_what_storage_is_busy_with(cloud: Azure, azure: AzureDouble, path: str, code: str) -> None:
    azure.make_group("rg")
    azure.fault("PUT", path, times=2, status=409, body=error(code), headers=AT_ONCE)
    cloud.create("StateStorage")
    assert [entry["status"] for entry in azure.requests("PUT", path)][:2] == [409, 409]
    assert ACCOUNT.lower() in azure.resources()
