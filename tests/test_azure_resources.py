"""The resources of `ptd:azure`, one by one, over the plugin protocol: conformance cases, faults, kills and imports."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from support import values
from support.azure import SUBSCRIPTION, TENANT, AzureDouble
from support.azure_cloud import ACCOUNT, ADMINISTRATOR, ADMINS, CONTAINER, GROUP, RESOURCES, VAULT, Azure
from support.azurite import Azurite
from support.protocol import urn
from support.provider import details
from support.values import Secret


@pytest.mark.parametrize("kind", RESOURCES)
def test_create_is_previewed_imported_and_read_without_a_difference(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    if kind != "ResourceGroup":
        azure.make_group("rg")
    if kind in ("EncryptionKey", "VaultSecret"):
        cloud.create("KeyVault")
    mark = azure.mark()
    _, planned = cloud.create(kind, preview=True)
    assert azure.writes(mark) == []
    id, outputs = cloud.create(kind)
    known = {name: value for name, value in planned.items() if not isinstance(value, values.Unknown)}
    assert known.items() <= outputs.items()
    assert RESOURCES[kind][0] in (id, "")
    # Making it again finds it.
    mark = azure.mark()
    assert cloud.create(kind)[0] == id
    assert azure.writes(mark) == []
    # A refresh and an import give the same inputs.
    args = cloud.args(kind)
    token = urn(f"ptd:azure:{kind}")
    for found in (cloud.provider.read(token, id, outputs, args), cloud.provider.read(token, id)):
        inputs = values.decode(found.inputs)
        change = cloud.provider.diff(token, id, values.decode(found.properties), inputs, args)
        assert list(change.diffs) == [], (inputs, args)


@pytest.mark.parametrize("kind", ["ResourceGroup", "KeyVault", "StateStorage", "VaultSecret", "EncryptionKey", "RoleAssignment"])
def test_kill_at_the_write(cloud: Azure, azure: AzureDouble, kind: str) -> None:
    if kind != "ResourceGroup":
        azure.make_group("rg")
    if kind in ("EncryptionKey", "VaultSecret"):
        cloud.create("KeyVault")
    mark = azure.mark()
    args = cloud.args(kind)
    # The first write to a vault's secrets asks where tokens come from, without a body.
    unsigned = 1 if kind == "VaultSecret" else 0
    azure.fault("PUT", ".*", hang=True, when="after", skip=unsigned)
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(cloud.provider.create, urn(f"ptd:azure:{kind}"), args)
        azure.wait("PUT", ".*", since=mark, count=1 + unsigned)
        cloud.provider.kill()
        assert lost.exception() is not None
    azure.release()
    first = azure.writes(mark)
    cloud.provider = cloud.start()
    cloud.create(kind)
    again = [write for write in azure.writes(mark)[len(first):] if write in first]
    assert again == []
    if kind == "VaultSecret":
        assert [len(versions) for versions in azure.objects(VAULT)["secrets"].values()] == [1]


def test_case_05_a_vault_is_not_ready_at_the_first_answer(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    azure.operation("PUT vaults", polls=3)
    _, outputs = cloud.create("KeyVault")
    assert outputs["vaultUri"].endswith("/vaults/kv-test/")
    assert len(azure.requests("GET", "/vaults/kv-test[?]")) >= 4


@pytest.mark.parametrize(("kind", "rule", "look"), [
    ("KeyVault", "PUT vaults", "/vaults/kv-test[?]"), ("StateStorage", "PUT storageAccounts", "/asyncoperations/|/operations/"),
])  # fmt: skip
def test_case_17_a_cancelled_operation_is_kept_and_followed_by_the_next_run(
    cloud: Azure, azure: AzureDouble, kind: str, rule: str, look: str
) -> None:
    azure.make_group("rg")
    azure.operation(rule, duration=10_000, polls=0)
    args, token = cloud.args(kind), urn(f"ptd:azure:{kind}")
    mark = azure.mark()
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(cloud.provider.create, token, args)
        azure.wait("PUT", "rg/providers/", since=mark, answered=True)
        azure.wait("GET", look, since=mark, count=2)
        began = time.monotonic()
        cloud.provider.cancel()
        error = lost.exception()
        assert time.monotonic() - began < 20
    assert isinstance(error, grpc.RpcError) and "may still be running" in error.details()
    (kept,) = details(error)
    partial = values.decode(kept.properties)
    assert partial["pendingOperation"]["method"] == "PUT"
    azure.advance(20_000)
    cloud.provider = cloud.start()
    mark = azure.mark()
    updated = cloud.provider.update(token, kept.id, partial, values.decode(kept.inputs), args)
    outputs = values.decode(updated.properties)
    assert outputs.get("pendingOperation") is None
    assert [path for method, path in azure.writes(mark) if path.endswith(("/kv-test", "/sttest"))] == []


@pytest.mark.parametrize(("kind", "rule", "look"), [
    ("KeyVault", "PUT vaults", "/vaults/kv-test[?]"), ("StateStorage", "PUT storageAccounts", "/asyncoperations/|/operations/"),
])  # fmt: skip
def test_what_is_still_being_made_is_deleted_after_that(cloud: Azure, azure: AzureDouble, kind: str, rule: str, look: str) -> None:
    azure.make_group("rg")
    azure.operation(rule, duration=10_000, polls=0)
    args, token, mark = cloud.args(kind, allowDelete=True), urn(f"ptd:azure:{kind}"), azure.mark()
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(cloud.provider.create, token, args)
        azure.wait("GET", look, since=mark, count=2)
        cloud.provider.cancel()
        (kept,) = details(lost.exception())
        cloud.provider, partial = cloud.start(), values.decode(kept.properties)
        assert partial["pendingOperation"]["method"] == "PUT"
        mark = azure.mark()
        going = pool.submit(cloud.provider.delete, token, kept.id, partial, args)
        azure.wait("GET", look, since=mark, count=2)
        assert not going.done() and azure.writes(mark) == []
        azure.advance(20_000)
        going.result(60)
    assert [method for method, _ in azure.writes(mark)] == ["DELETE"]


def test_case_23_the_service_is_registered_with_the_subscription(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    refusal = {"error": {"code": "MissingSubscriptionRegistration", "message": "not registered"}}
    azure.fault("PUT", "/vaults/", status=409, body=refusal)
    cloud.create("KeyVault")
    assert len(azure.requests("POST", "/providers/Microsoft.KeyVault/register")) == 1


def test_case_29_a_subscription_of_another_tenant_is_left_alone(cloud: Azure, azure: AzureDouble) -> None:
    other = "99999999-9999-9999-9999-999999999999"
    text = cloud.refused("ResourceGroup", tenantId=other)
    assert TENANT in text and other in text
    assert azure.writes() == []


def test_case_36_and_37_adoption_has_to_be_wanted_and_possible(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    assert "adopt is false" in cloud.refused("ResourceGroup", adopt=False)
    assert "exists in eastus2" in cloud.refused("ResourceGroup", location="westeurope")
    assert azure.writes() == []


def test_case_38_a_deleted_vault_comes_back(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    id, outputs = cloud.create("KeyVault")
    with pytest.raises(grpc.RpcError, match="allowDelete"):
        cloud.delete("KeyVault", id, outputs)
    cloud.delete("KeyVault", id, outputs, allowDelete=True)
    assert "softDeleted to recover" in cloud.refused("KeyVault", softDeleted="report")
    cloud.create("KeyVault", tags={"x": "y"})
    assert azure.get(VAULT)["tags"] == {"x": "y"}


def test_a_deleted_secret_or_key_is_reported_where_that_is_wanted(cloud: Azure, azure: AzureDouble) -> None:
    cloud.vault()
    for kind in ("VaultSecret", "EncryptionKey"):
        id, outputs = cloud.create(kind)
        cloud.delete(kind, id, outputs, allowDelete=True)
        told = cloud.refused(kind, softDeleted="report")
        assert "set softDeleted to recover, or purge it" in told, told
    assert azure.objects(VAULT) == {"secrets": {}, "keys": {}}


def test_a_vault_is_purged_where_that_is_wanted(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    id, outputs = cloud.create("KeyVault")
    # Deleted vaults show among the deleted ones only after a while.
    azure.fault("POST", "/deletedVaults/kv-test/purge", times=2, status=404, body={
        "error": {"code": "DeletedVaultNotFound", "message": "The specified deleted vault does not exist."}})
    mark = azure.mark()
    cloud.delete("KeyVault", id, outputs, allowDelete=True, purge=True)
    assert [entry["status"] for entry in azure.requests("POST", "/purge", since=mark)] == [404, 404, 202]
    cloud.delete("KeyVault", id, outputs, allowDelete=True, purge=True)
    # The name is free, as far as this provider knows: that it is taken is waited for.
    azure.fault("PUT", "/vaults/kv-test[?]", times=2, status=409, body={"error": {"code": "VaultAlreadyExists", "message": "in use"}})
    cloud.create("KeyVault", softDeleted="report")
    azure.mutate(VAULT, {"properties": {"enablePurgeProtection": True}})
    with pytest.raises(grpc.RpcError, match="set purge to false"):
        cloud.delete("KeyVault", id, outputs, allowDelete=True, purge=True)


def test_a_vault_moves_under_another_name_or_purged(cloud: Azure) -> None:
    token, old = urn("ptd:azure:KeyVault"), cloud.args("KeyVault")

    def problems(old: dict, **change: object) -> dict[str, str]:
        return {f.property: f.reason for f in cloud.provider.check(token, old | change, old).failures}

    told = problems(old, location="westeurope", purge=True)
    assert list(told) == ["location"] and "set purge" in told["location"] and "another name" in told["location"]
    assert problems(old, location="westeurope", name="kv-other") == {}
    assert problems(old | {"purge": True}, location="westeurope") == {}
    assert problems(old, location=old["location"].upper()) == {}


def test_the_name_of_an_account_that_was_deleted_here_is_waited_for(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    id, outputs = cloud.create("StateStorage")
    taken = {"error": {"code": "StorageAccountAlreadyTaken", "message": "The storage account named sttest is already taken."}}
    cloud.delete("StateStorage", id, outputs, allowDelete=True, forceDestroy=True)
    azure.fault("PUT", "/storageAccounts/sttest[?]", times=2, status=409, body=taken)
    mark = azure.mark()
    assert cloud.create("StateStorage")[0] == id
    assert [entry["status"] for entry in azure.requests("PUT", "/storageAccounts/sttest[?]", since=mark)] == [409, 409, 202]


def test_case_39_and_46_names_of_others(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    azure.settings(taken=["kv-test", "sttest"])
    assert "names are global" in cloud.refused("KeyVault")
    assert "Account names are global" in cloud.refused("StateStorage")


def test_case_40_and_45_deleted_secrets_and_keys_come_back_with_their_values(cloud: Azure, azure: AzureDouble) -> None:
    cloud.vault()
    for kind in ("VaultSecret", "EncryptionKey"):
        id, outputs = cloud.create(kind)
        before = azure.objects(VAULT)
        cloud.delete(kind, id, outputs, allowDelete=True)
        cloud.create(kind)
        assert azure.objects(VAULT) == before
    assert azure.objects(VAULT)["keys"] == {"posit-team-dedicated": 1}


def test_a_value_whose_answer_is_lost_is_not_written_twice(cloud: Azure, azure: AzureDouble) -> None:
    cloud.vault()
    azure.fault("PUT", "/secrets/s", drop=True, when="after", skip=1)
    cloud.create("VaultSecret")
    azure.fault("PUT", "/secrets/other", status=503)
    cloud.create("VaultSecret", name="other")
    assert [len(versions) for versions in azure.objects(VAULT)["secrets"].values()] == [1, 1]


def test_case_22_a_lost_answer_is_no_second_write(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    for kind, path in (("KeyVault", "/vaults/"), ("StateStorage", "/storageAccounts/[^/]*[?]")):
        azure.fault("PUT", path, drop=True, when="after")
        cloud.create(kind)
        assert len(azure.requests("PUT", path)) == 1


def test_case_41_a_new_role_is_waited_for_and_a_missing_one_is_not(cloud: Azure, azure: AzureDouble) -> None:
    cloud.vault()
    azure.settings(rbac=True, rbac_delay=3600.0)
    assert "ForbiddenByRbac" in cloud.refused("VaultSecret")
    cloud.create("RoleAssignment")
    azure.settings(rbac_delay=1.0)
    cloud.create("VaultSecret")


def test_case_42_and_43_principals_and_assignments_that_are_there_after_all(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    azure.settings(unknown_principals={ADMINS: 2})
    id, _ = cloud.create("RoleAssignment")
    assert len(azure.requests("PUT", "/roleAssignments/")) == 3
    # A list that lags behind: the service says that it exists.
    azure.fault("GET", "/roleAssignments[?]", status=200, body={"value": []})
    assert cloud.create("RoleAssignment")[0] == id


def test_an_assignment_of_another_stack_stays(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    first, second = cloud.create("RoleAssignment"), cloud.create("RoleAssignment")
    assert first[0] == second[0] and (first[1]["made"], second[1]["made"]) == (True, False)
    assert "adopt is false" in cloud.refused("RoleAssignment", adopt=False)
    mark = azure.mark()
    cloud.delete("RoleAssignment", *second)
    assert azure.writes(mark) == []
    cloud.delete("RoleAssignment", *first)
    assert azure.writes(mark) == [("DELETE", first[0])]


def test_an_inherited_assignment_that_no_longer_counts_is_replaced(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    token = urn("ptd:azure:RoleAssignment")
    above = f"/subscriptions/{SUBSCRIPTION}"
    azure.put(f"{above}/providers/Microsoft.Authorization/roleAssignments/55555555-5555-5555-5555-555555555555",
              type="Microsoft.Authorization/roleAssignments", properties={
        "scope": above, "principalId": ADMINS, "principalType": "Group",
        "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{ADMINISTRATOR}"})
    id, outputs = cloud.create("RoleAssignment")
    assert outputs["inherited"] is True
    old, new = cloud.args("RoleAssignment"), cloud.args("RoleAssignment", acceptInherited=False)
    change = cloud.provider.diff(token, id, outputs, old, new)
    assert list(change.replaces) == ["acceptInherited"]
    own, outputs = cloud.create("RoleAssignment", acceptInherited=False)
    assert own.startswith(GROUP) and outputs["made"] is True
    # One at the scope itself has nothing to gain.
    assert list(cloud.provider.diff(token, own, outputs, old, new).replaces) == []


def test_an_assignment_of_somebody_else_stays(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/55555555-5555-5555-5555-555555555555"
    azure.put(path, type="Microsoft.Authorization/roleAssignments", properties={
        "scope": GROUP, "principalId": ADMINS, "principalType": "Group",
        "roleDefinitionId": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{ADMINISTRATOR}"})
    id, outputs = cloud.create("RoleAssignment")
    assert (id, outputs["made"]) == (path, False)
    cloud.delete("RoleAssignment", id, outputs)
    assert azure.writes() == []


def test_case_48_policies_are_named(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    azure.fault("PUT", "/storageAccounts/", status=403, headers={"x-ms-correlation-request-id": "c-7"}, body={"error": {
        "code": "RequestDisallowedByPolicy", "message": "denied", "additionalInfo": [
            {"type": "PolicyViolation", "info": {"policyDefinitionDisplayName": "Baseline", "policyAssignmentName": "all"}}]}})
    text = cloud.refused("StateStorage")
    assert "Baseline (assignment all)" in text and "c-7" in text


def test_a_token_that_expires_is_renewed(cloud: Azure, azure: AzureDouble) -> None:
    cloud.create("ResourceGroup")
    azure.advance(1)
    azure.expire_tokens()
    cloud.create("KeyVault")


def test_a_token_that_a_vault_refuses_is_renewed(cloud: Azure, azure: AzureDouble) -> None:
    def expire() -> None:
        azure.advance(1)
        azure.expire_tokens()

    cloud.vault()
    secret, key = cloud.create("VaultSecret"), cloud.create("EncryptionKey")
    expire()
    assert cloud.read("VaultSecret", *secret).id == secret[0]
    expire()
    cloud.create("VaultSecret", name="other")
    expire()
    cloud.delete("EncryptionKey", *key, allowDelete=True)
    assert azure.objects(VAULT)["keys"] == {} and len(azure.objects(VAULT)["secrets"]["other"]) == 1
    # A second refusal is believed.
    azure.fault("GET", "/secrets/s", times=None, status=401, body={"error": {"code": "Unauthorized", "message": "not you"}})
    mark = azure.mark()
    with pytest.raises(grpc.RpcError, match="not you"):
        cloud.read("VaultSecret", *secret)
    assert len(azure.requests("GET", "/secrets/s", since=mark)) == 2


def test_a_generated_value_that_an_error_quotes_is_not_told(cloud: Azure, azure: AzureDouble) -> None:
    cloud.vault()
    azure.fault("PUT", "/secrets/", skip=1, times=None, echo=True)
    mark = azure.mark()
    told = cloud.refused("VaultSecret")
    sent = [entry["body"]["value"] for entry in azure.requests("PUT", "/secrets/", since=mark) if entry["body"]]
    assert sent and "BadParameter" in told and not any(value in told for value in sent), told


def test_a_kubeconfig_that_an_error_quotes_is_not_told(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    text = "users:\n- name: u\n  user:\n    client-key-data: a2V5LW9mLXRoZS1kb3VibGU=\n    token: token-of-the-double\n"
    value = base64.b64encode(text.encode()).decode()
    azure.fault("POST", "/listClusterUserCredential", times=None, status=200, body={"kubeconfigs": [{"name": "u", "value": value}]})
    quoted = f"no: {value} and token-of-the-double and a2V5LW9mLXRoZS1kb3VibGU="
    azure.fault("POST", "/listClusterAdminCredential", times=None, status=400, body={"error": {"code": "BadRequest", "message": quoted}})
    told = cloud.refused("AksCluster", disableLocalAccounts=False)
    assert "no: [secret] and [secret] and [secret]" in told, told


def test_an_account_that_is_not_empty_or_unseen_stays(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    id, outputs = cloud.create("StateStorage")
    azure.put(f"{ACCOUNT}/blobServices/default/containers/other", properties={},
              type="Microsoft.Storage/storageAccounts/blobServices/containers")  # fmt: skip
    with pytest.raises(grpc.RpcError, match="other containers: other"):
        cloud.delete("StateStorage", id, outputs, allowDelete=True, forceDestroy=True)
    azure.remove(f"{ACCOUNT}/blobServices/default/containers/other")
    cloud.delete("StateStorage", id, outputs, allowDelete=True, forceDestroy=True)
    assert ACCOUNT.lower() not in azure.resources()


@pytest.fixture
def storage(azure: AzureDouble) -> Iterator[Azurite]:
    """What holds the blobs of the account: Azurite, a storage service of its own."""
    with Azurite(azure, "sttest") as storage:
        azure.settings(blob_endpoint=storage.url)
        azure.make_group("rg")
        yield storage


def test_a_container_that_holds_blobs_stays(cloud: Azure, azure: AzureDouble, storage: Azurite) -> None:
    id, outputs = cloud.create("StateStorage")
    assert outputs["blobEndpoint"] == storage.url
    storage.put("state?restype=container")
    storage.blob("state/.pulumi/meta.yaml")
    with pytest.raises(grpc.RpcError, match="holds blobs"):
        cloud.delete("StateStorage", id, outputs, allowDelete=True)
    assert ACCOUNT.lower() in azure.resources()
    cloud.delete("StateStorage", id, outputs, allowDelete=True, forceDestroy=True)
    assert ACCOUNT.lower() not in azure.resources()


def test_a_container_that_no_list_shows_is_looked_into(cloud: Azure, azure: AzureDouble, storage: Azurite) -> None:
    id, outputs = cloud.create("StateStorage")
    storage.put("state?restype=container")
    storage.blob("state/.pulumi/meta.yaml")
    azure.fault("GET", "/containers[?]", status=200, body={"value": []})
    with pytest.raises(grpc.RpcError, match="holds blobs"):
        cloud.delete("StateStorage", id, outputs, allowDelete=True)
    azure.fault("GET", "/containers[?]", status=200, body="<html>a proxy</html>")
    with pytest.raises(grpc.RpcError, match="the answer is no list"):
        cloud.delete("StateStorage", id, outputs, allowDelete=True)
    assert ACCOUNT.lower() in azure.resources()


def test_a_container_that_is_missing_is_told_and_made_again(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    id, outputs = cloud.create("StateStorage")
    azure.remove(CONTAINER)
    with pytest.raises(grpc.RpcError) as failed:
        cloud.read("StateStorage", id, outputs)
    (kept,) = details(failed.value)
    assert kept.id == id and "is missing; the next update makes it" in " ".join(kept.reasons)
    mark, args = azure.mark(), values.decode(kept.inputs)
    cloud.provider.update(urn("ptd:azure:StateStorage"), id, values.decode(kept.properties), args, args)
    assert [path.lower() for _, path in azure.writes(mark)] == [CONTAINER.lower()]
    assert cloud.read("StateStorage", id, outputs).id == id
    # An import has nothing to keep.
    azure.remove(CONTAINER)
    assert cloud.provider.read(urn("ptd:azure:StateStorage"), id).id == ""


def test_an_account_without_its_container_goes(cloud: Azure, azure: AzureDouble) -> None:
    azure.make_group("rg")
    id, outputs = cloud.create("StateStorage")
    azure.remove(CONTAINER)
    cloud.delete("StateStorage", id, outputs, allowDelete=True)
    assert ACCOUNT.lower() not in azure.resources()


def test_an_empty_container_goes_and_one_that_cannot_be_looked_into_stays(
    cloud: Azure, azure: AzureDouble, storage: Azurite
) -> None:
    id, outputs = cloud.create("StateStorage")
    # Of a container that is not there, nothing is known.
    with pytest.raises(grpc.RpcError, match="cannot be found out"):
        cloud.delete("StateStorage", id, outputs, allowDelete=True)
    storage.put("state?restype=container")
    cloud.delete("StateStorage", id, outputs, allowDelete=True)
    assert ACCOUNT.lower() not in azure.resources()


def test_a_group_with_contents_stays(cloud: Azure, azure: AzureDouble) -> None:
    id, outputs = cloud.create("ResourceGroup")
    cloud.create("KeyVault")
    with pytest.raises(grpc.RpcError, match="kv-test"):
        cloud.delete("ResourceGroup", id, outputs, allowDelete=True)
    cloud.delete("ResourceGroup", id, outputs, allowDelete=True, deleteContents=True)
    assert GROUP.lower() not in azure.resources()


@pytest.mark.parametrize("answer", ["", "<html>a proxy</html>", {}, {"value": None}])
def test_what_is_no_list_shows_no_empty_group(cloud: Azure, azure: AzureDouble, answer: object) -> None:
    id, outputs = cloud.create("ResourceGroup")
    cloud.create("KeyVault")
    azure.fault("GET", "/resources[?]", status=200, body=answer)
    with pytest.raises(grpc.RpcError, match="the answer is no list"):
        cloud.delete("ResourceGroup", id, outputs, allowDelete=True)
    azure.settings(empty_first_page=True)
    azure.fault("GET", "/resources[?].*skiptoken", status=404, body={"error": {"code": "NotFound", "message": "no such page"}})
    with pytest.raises(grpc.RpcError, match="no such page"):
        cloud.delete("ResourceGroup", id, outputs, allowDelete=True)
    assert GROUP.lower() in azure.resources()


def test_wrong_credentials_are_told_with_what_was_tried(cloud: Azure, azure: AzureDouble) -> None:
    cloud.provider = cloud.start(clientSecret=Secret("wrong-secret-value"))
    azure.fault("POST", "/oauth2/", times=None, status=401, body={
        "error": "invalid_client", "error_description": "AADSTS7000215: wrong-secret-value is invalid", "error_codes": [7000215]})
    text = cloud.refused("ResourceGroup")
    assert "a client secret (azure.clientSecret) was tried" in text
    assert "wrong-secret-value" not in text
