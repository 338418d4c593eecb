"""AKS against the Azure double: the conformance cases of clusters and pools, by the provider's protocol."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable

import grpc
import pytest
from support.aks import (
    CLUSTER, CLUSTER_ID, CLUSTER_INPUTS, GROUP, NAME, POOL, POOL_INPUTS, SUBNET, Failed, Thing, configuration, environment,
)
from support.azure import LOCATION, TENANT, AzureDouble
from support.protocol import background, refused
from support.provider import ProviderProcess
from support.values import Unknown

pytestmark = pytest.mark.timeout(180)
PATH = f"managedClusters/{NAME}"
POOL_ID = f"{CLUSTER_ID}/agentPools/user"


@pytest.fixture
def start(azure: AzureDouble, launch: Callable) -> Callable[[], ProviderProcess]:
    """`start()`: one more provider on the double."""
    return lambda: launch(env=environment(azure)).ready(configuration(azure))


@pytest.fixture
def provider(azure: AzureDouble, start: Callable) -> ProviderProcess:
    azure.make_group(GROUP)
    return start()


@pytest.fixture
def cluster(provider: ProviderProcess) -> Thing:
    return Thing(provider, CLUSTER).create(CLUSTER_INPUTS)


@pytest.fixture
def pool(provider: ProviderProcess, cluster: Thing) -> Thing:
    return Thing(provider, POOL).create(POOL_INPUTS)


def puts(azure: AzureDouble, path: str = PATH + r"\?") -> list[dict]:
    return azure.requests("PUT", path)


def warnings(callbacks) -> str:
    return " ".join(callbacks.engine.messages("warning"))


# Polling.


def test_01_outputs_are_those_of_the_end(azure: AzureDouble, provider: ProviderProcess) -> None:
    azure.settings(polls=3)
    made = Thing(provider, CLUSTER).create(CLUSTER_INPUTS).outputs
    first = puts(azure)[0]
    assert first["status"] == 201 and "identityProfile" not in first["answer"]["properties"]
    assert len(azure.requests("GET", "/operations/")) == 4
    assert made["oidcIssuerUrl"].endswith("/") and made["kubeletIdentity"]["objectId"] and made["principalId"]
    assert made["nodeResourceGroup"] == f"MC_{GROUP}_{NAME}_{LOCATION}"
    assert made["fqdn"] and ".privatelink." in made["privateFqdn"] and made["armId"] == CLUSTER_ID
    assert len(puts(azure)) == 1


def test_02_a_failed_creation_is_kept_and_repaired(azure: AzureDouble, provider: ProviderProcess) -> None:
    inner = json.dumps({"error": {"code": "QuotaExceeded", "message": "no cores are left"}})
    azure.operation("PUT managedClusters", outcome="Failed", times=1,
                    error={"code": "CreateVMSSAgentPoolFailed", "message": inner})  # fmt: skip
    thing = Thing(provider, CLUSTER)
    with pytest.raises(Failed) as failed:
        thing.create(CLUSTER_INPUTS)
    assert failed.value.kept and thing.id == CLUSTER_ID
    assert "CreateVMSSAgentPoolFailed" in str(failed.value) and "no cores are left" in str(failed.value)
    thing.update(CLUSTER_INPUTS)
    assert azure.get(CLUSTER_ID)["properties"]["provisioningState"] == "Succeeded"
    assert [entry["status"] for entry in puts(azure)] == [201, 200] and thing.outputs["oidcIssuerUrl"]


def test_03_a_failure_that_the_cluster_denies(azure: AzureDouble, provider: ProviderProcess, callbacks) -> None:
    azure.operation("PUT managedClusters", outcome="Failed", state="Succeeded", times=1,
                    error={"code": "ControlPlaneAddOnsNotReady", "message": "slow"})  # fmt: skip
    assert Thing(provider, CLUSTER).create(CLUSTER_INPUTS).id == CLUSTER_ID
    assert "ControlPlaneAddOnsNotReady" in warnings(callbacks)


def test_04_an_aborted_operation_is_a_failure(azure: AzureDouble, provider: ProviderProcess) -> None:
    azure.operation("PUT managedClusters", outcome="Canceled", times=1)
    thing = Thing(provider, CLUSTER)
    with pytest.raises(Failed) as failed:
        thing.create(CLUSTER_INPUTS)
    assert failed.value.kept and thing.id == CLUSTER_ID


def test_killed_while_a_cluster_is_made_the_next_run_follows_it(azure: AzureDouble, provider: ProviderProcess, start) -> None:
    azure.operation("PUT managedClusters", duration=1200, polls=0, times=1)
    running = background(provider.create, Thing(provider, CLUSTER).urn, Thing(provider, CLUSTER).checked(CLUSTER_INPUTS))
    azure.wait("GET", "/operations/", 2)
    provider.kill()
    with pytest.raises(grpc.RpcError):
        running.result(20)
    thing, mark = Thing(start(), CLUSTER), azure.mark()
    following = background(thing.create, CLUSTER_INPUTS)
    azure.wait("GET", PATH + r"\?", 2, since=mark)
    assert not following.done()
    azure.advance(1200)
    assert following.result(60).outputs["oidcIssuerUrl"]
    assert len(puts(azure)) == 1, "the operation was followed, not begun anew"
    assert thing.changes(CLUSTER_INPUTS) == []


# Conflicts.


def test_19_a_pool_waits_for_the_operation_in_its_way(azure: AzureDouble, provider: ProviderProcess, cluster: Thing) -> None:
    azure.upgrade(CLUSTER_ID, "1.30.4", busy=300)
    making = background(Thing(provider, POOL).create, POOL_INPUTS)
    azure.wait("PUT", "agentPools/user", answered=True)
    azure.wait("GET", PATH + r"\?", 2, since=azure.mark())
    assert not making.done()
    azure.advance(300)
    assert making.result(60).id == POOL_ID
    entries = puts(azure, "agentPools/user")
    assert "an in progress update managed cluster operation" in entries[0]["answer"]["message"]
    answers = [entry["status"] for entry in entries]
    assert answers[0] == 409 and answers[-1] == 201


def test_20_a_final_refusal_is_not_repeated(azure: AzureDouble, provider: ProviderProcess) -> None:
    text = "Operation could not be completed as it results in exceeding approved Total Regional Cores quota."
    azure.fault("PUT", PATH, status=409, body={"code": "OperationNotAllowed", "message": text, "details": None, "subcode": ""})
    with pytest.raises(Failed) as failed:
        Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    assert "quota" in str(failed.value) and not failed.value.kept and len(puts(azure)) == 1


def test_27_pools_at_the_same_time(azure: AzureDouble, provider: ProviderProcess, cluster: Thing) -> None:
    making = [background(Thing(provider, POOL).create, POOL_INPUTS | {"name": f"p{number}"}) for number in range(4)]
    assert [len(one.result(120).id) > 0 for one in making] == [True] * 4
    names = {pool["name"] for pool in azure.get(CLUSTER_ID)["properties"]["agentPoolProfiles"]}
    assert names == {"agentpool", "p0", "p1", "p2", "p3"}


# Reading.


def test_32_what_the_service_fills_in_is_no_drift(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    azure.mutate(CLUSTER_ID, {
        "location": "East US 2",
        "properties": {
            "addonProfiles": {"azureKeyvaultSecretsProvider": None, "AzureKeyVaultSecretsProvider": {
                "enabled": True, "config": {"enableSecretRotation": "true", "rotationPollInterval": "2m"}},
                "azureDefender": {"enabled": True, "config": None}},
            "networkProfile": {"loadBalancerSku": "Standard", "networkPolicy": "Calico"},
            "azureMonitorProfile": {"metrics": {"enabled": True}},
        },
    })  # fmt: skip
    azure.mutate(POOL_ID, {"properties": {"availabilityZones": ["3", "2"], "nodeTaints": [], "count": 3}})
    assert cluster.refresh().changes(CLUSTER_INPUTS) == []
    assert pool.refresh().changes(POOL_INPUTS) == []
    assert cluster.inputs.get("systemPool") == CLUSTER_INPUTS["systemPool"]


def test_33_a_cluster_at_work_is_read_and_waited_for(azure: AzureDouble, cluster: Thing) -> None:
    azure.upgrade(CLUSTER_ID, "1.30.4", busy=300)
    assert cluster.refresh().id == CLUSTER_ID
    mark = azure.mark()
    updating = background(cluster.update, CLUSTER_INPUTS | {"tier": "Premium"})
    azure.wait("GET", PATH + r"\?", 3, since=mark)
    assert not updating.done() and len(puts(azure)) == 1
    azure.advance(300)
    updating.result(60)
    assert azure.get(CLUSTER_ID)["sku"]["tier"] == "Premium"


def test_36_what_exists_is_adopted(azure: AzureDouble, provider: ProviderProcess, cluster: Thing, callbacks) -> None:
    other, mark = Thing(provider, CLUSTER), azure.mark()
    assert other.preview(CLUSTER_INPUTS)["armId"] == CLUSTER_ID
    other.create(CLUSTER_INPUTS | {"tier": "Free"})
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == [("PUT", CLUSTER_ID)]
    assert "adopts existing" in " ".join(callbacks.engine.messages("info"))
    with pytest.raises(Failed) as failed:
        Thing(provider, CLUSTER).create(CLUSTER_INPUTS | {"adopt": False})
    assert "exists already" in str(failed.value) and not failed.value.kept


# What is AKS's own.


def test_49_the_autoscaler_owns_the_size(azure: AzureDouble, provider: ProviderProcess, cluster: Thing, pool: Thing) -> None:
    azure.mutate(POOL_ID, {"properties": {"count": 4}})
    assert pool.refresh().changes(POOL_INPUTS) == []
    pool.update(POOL_INPUTS | {"maxCount": 6})
    sent = puts(azure, "agentPools/user")[-1]["body"]["properties"]
    assert (sent["count"], sent["minCount"], sent["maxCount"]) == (4, 1, 6)
    for least, most, count in ((1, 3, 3), (5, 6, 5)):
        pool.update(POOL_INPUTS | {"minCount": least, "maxCount": most})
        assert puts(azure, "agentPools/user")[-1]["body"]["properties"]["count"] == count, "within the limits"
    fixed = {"name": "fixed", "autoScaling": False, "count": 2, "minCount": None, "maxCount": None}
    Thing(provider, POOL).create(POOL_INPUTS | fixed)
    sent = puts(azure, "agentPools/fixed")[-1]["body"]["properties"]
    assert sent["count"] == 2 and "minCount" not in sent and "maxCount" not in sent
    pool.update(POOL_INPUTS | {"autoScaling": False, "count": 3})
    sent = puts(azure, "agentPools/user")[-1]["body"]["properties"]
    assert sent["count"] == 3 and "minCount" not in sent


@pytest.mark.parametrize(("least", "count"), [(None, 1), (3, 3)])
def test_a_fixed_size_that_is_not_said_is_no_drift(azure: AzureDouble, provider: ProviderProcess, cluster: Thing, least, count) -> None:
    fixed = POOL_INPUTS | {"autoScaling": False, "count": None, "minCount": least, "maxCount": None}
    pool = Thing(provider, POOL).create(fixed)
    assert azure.get(POOL_ID)["properties"]["count"] == count
    assert pool.refresh().changes(fixed) == []
    azure.mutate(POOL_ID, {"properties": {"count": 2}})
    assert pool.refresh().changes(fixed) == ["count"]


def test_50_a_flat_refusal_is_told_in_full_and_prevented(azure: AzureDouble, provider: ProviderProcess) -> None:
    found = Thing(provider, CLUSTER).failures(CLUSTER_INPUTS | {"outboundType": "managedNATGateway"})
    assert "managedNATGateway cannot be combined" in found["outboundType"]
    flat = {"code": "InvalidParameter", "message": "not supported here", "details": None, "target": "properties.vnetSubnetID",
            "subcode": "ManagedNATGatewayWithCustomVNetNotAllowed"}  # fmt: skip
    azure.fault("PUT", PATH, status=400, body=flat)
    with pytest.raises(Failed) as failed:
        Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    for part in ("not supported here", "ManagedNATGatewayWithCustomVNetNotAllowed", "properties.vnetSubnetID"):
        assert part in str(failed.value)


@pytest.mark.parametrize(
    "change",
    [{"maxPods": 30}, {"vmSize": "Standard_D2s_v6"}, {"osDiskSizeGb": 512}, {"availabilityZones": ["1"]}, {"subnetId": SUBNET + "2"}],
    ids=lambda change: next(iter(change)),
)
def test_51_what_cannot_change_replaces_the_pool(pool: Thing, change: dict) -> None:
    found = pool.diff(POOL_INPUTS | change)
    assert list(found.replaces) == list(change) and found.deleteBeforeReplace


def test_52_an_update_sends_back_what_others_manage(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    azure.mutate(CLUSTER_ID, {"properties": {
        "azureMonitorProfile": {"metrics": {"enabled": True}}, "autoScalerProfile": {"expander": "least-waste"},
        "addonProfiles": {"omsagent": {"enabled": True, "config": {"workspace": "w"}}},
    }})  # fmt: skip
    before = azure.get(CLUSTER_ID)["properties"]
    cluster.update(CLUSTER_INPUTS | {"imageCleanerIntervalHours": 48})
    sent = puts(azure)[-1]["body"]["properties"]
    assert sent["securityProfile"]["imageCleaner"]["intervalHours"] == 48
    assert sorted(p["name"] for p in sent["agentPoolProfiles"]) == ["agentpool", "user"]
    after = azure.get(CLUSTER_ID)["properties"]
    for key in ("azureMonitorProfile", "autoScalerProfile", "agentPoolProfiles", "networkProfile"):
        assert after[key] == before[key], key
    assert after["addonProfiles"]["omsagent"]["config"] == {"workspace": "w"}
    assert puts(azure)[-1]["headers"]["if-match"]


def test_53_the_control_plane_goes_first(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    newer = {"kubernetesVersion": "1.31.2"}
    mark = azure.mark()
    with pytest.raises(Failed) as failed:
        pool.update(POOL_INPUTS | newer)
    assert "upgrade the cluster first" in str(failed.value) and azure.writes(mark) == []
    cluster.update(CLUSTER_INPUTS | newer)
    pool.update(POOL_INPUTS | newer)
    order = [path for method, path in azure.writes(mark) if method == "PUT"]
    assert order == [CLUSTER_ID, f"{CLUSTER_ID}/agentPools/agentpool", POOL_ID]
    versions = {p["name"]: p["currentOrchestratorVersion"] for p in azure.get(CLUSTER_ID)["properties"]["agentPoolProfiles"]}
    assert versions == {"agentpool": "1.31.2", "user": "1.31.2"}


@pytest.mark.parametrize(("version", "told"), [("1.32.0", "1.31 is next"), ("1.29.1", "go back")])
def test_53_no_version_is_skipped(azure: AzureDouble, cluster: Thing, version: str, told: str) -> None:
    mark = azure.mark()
    for preview in (True, False):
        with pytest.raises(Failed) as failed:
            cluster.update(CLUSTER_INPUTS | {"kubernetesVersion": version}, preview=preview)
        assert told in str(failed.value)
    assert azure.writes(mark) == []


def test_54_a_newer_patch_is_no_difference(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    azure.upgrade(CLUSTER_ID, "1.30.7")
    assert cluster.refresh().changes(CLUSTER_INPUTS) == [] and pool.refresh().changes(POOL_INPUTS) == []
    mark = azure.mark()
    cluster.update(CLUSTER_INPUTS | {"imageCleaner": False})
    pool.update(POOL_INPUTS | {"maxCount": 5})
    assert puts(azure)[-1]["body"]["properties"]["kubernetesVersion"] == "1.30.7"
    assert puts(azure, "agentPools/user")[-1]["body"]["properties"]["orchestratorVersion"] == "1.30.7"
    assert [path for method, path in azure.writes(mark) if method == "PUT"] == [CLUSTER_ID, POOL_ID]


def test_53_a_patch_is_reached_where_a_minor_version_was_asked_for(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    alias = {"properties": {"orchestratorVersion": "1.30", "currentOrchestratorVersion": "1.30.4"}}
    azure.mutate(POOL_ID, alias)
    azure.mutate(f"{CLUSTER_ID}/agentPools/agentpool", alias)
    pool.update(POOL_INPUTS | {"kubernetesVersion": "1.30"})
    mark, newer = azure.mark(), {"kubernetesVersion": "1.30.8"}
    cluster.update(CLUSTER_INPUTS | newer)
    pool.update(POOL_INPUTS | newer)
    written = [path for method, path in azure.writes(mark) if method == "PUT"]
    assert written == [CLUSTER_ID, f"{CLUSTER_ID}/agentPools/agentpool", POOL_ID]
    versions = {p["name"]: p["currentOrchestratorVersion"] for p in azure.get(CLUSTER_ID)["properties"]["agentPoolProfiles"]}
    assert versions == {"agentpool": "1.30.8", "user": "1.30.8"}
    assert pool.refresh().changes(POOL_INPUTS | newer) == []
    azure.mutate(POOL_ID, alias)
    assert pool.refresh().changes(POOL_INPUTS | newer) == ["kubernetesVersion"]


@pytest.mark.parametrize("channel", ["rapid", "stable"])
def test_54_a_newer_minor_version_of_the_channel(azure: AzureDouble, provider: ProviderProcess, channel: str) -> None:
    wanted = CLUSTER_INPUTS | {"upgradeChannel": channel}
    cluster, pool = Thing(provider, CLUSTER).create(wanted), Thing(provider, POOL).create(POOL_INPUTS)
    azure.upgrade(CLUSTER_ID, "1.31.2")
    assert cluster.refresh().changes(wanted) == [] and pool.refresh().changes(POOL_INPUTS) == []
    mark = azure.mark()
    cluster.again(provider).update(wanted | {"tier": "Premium"}, preview=True)
    pool.again(provider).update(POOL_INPUTS | {"maxCount": 5}, preview=True)
    cluster.update(wanted | {"tier": "Premium"})
    pool.update(POOL_INPUTS | {"maxCount": 5})
    assert [path for method, path in azure.writes(mark) if method == "PUT"] == [CLUSTER_ID, POOL_ID]
    assert puts(azure)[-1]["body"]["properties"]["kubernetesVersion"] == "1.31.2"
    assert puts(azure, "agentPools/user")[-1]["body"]["properties"]["orchestratorVersion"] == "1.31.2"
    assert Thing(provider, POOL).create(POOL_INPUTS | {"maxCount": 5}).id == POOL_ID, "and is adopted so"
    # With any other channel somebody else has upgraded it, and the program does not know.
    azure.mutate(CLUSTER_ID, {"properties": {"autoUpgradeProfile": {"upgradeChannel": "patch"}}})
    for thing, change in ((cluster, CLUSTER_INPUTS | {"tier": "Premium"}), (pool, POOL_INPUTS | {"maxCount": 6})):
        for preview in (True, False):
            with pytest.raises(Failed) as failed:
                thing.update(change, preview=preview)
            assert "cannot go back" in str(failed.value), preview


def test_55_the_kubeconfig_is_a_secret(azure: AzureDouble, cluster: Thing, provider: ProviderProcess) -> None:
    config = cluster.outputs["kubeconfig"].value
    assert "kubelogin" in config and TENANT in config and "privatelink" in config
    assert not azure.requests("POST", "listClusterAdminCredential") and cluster.outputs.get("adminKubeconfig") is None
    cluster.update(CLUSTER_INPUTS | {"disableLocalAccounts": False})
    assert "clusterAdmin" in cluster.outputs["adminKubeconfig"].value
    assert base64.b64encode(config.encode()).decode() not in provider.stderr and config not in provider.stderr


def test_55_a_refresh_lives_without_a_kubeconfig(azure: AzureDouble, cluster: Thing) -> None:
    wanted = CLUSTER_INPUTS | {"disableLocalAccounts": False}
    before = dict(cluster.update(wanted).outputs)
    azure.fault("POST", "listClusterUserCredential", status=400, body={"code": "BadRequest", "message": "the cluster is in failed state"})
    assert cluster.refresh().outputs == before
    assert "the cluster is in failed state" in " ".join(cluster.problems)
    text = "Getting static credential is not allowed because this cluster is set to disable local accounts."
    azure.fault("POST", "listClusterAdminCredential", status=400, body={"code": "BadRequest", "message": text})
    assert cluster.refresh().outputs == before
    assert "disableLocalAccounts" in " ".join(cluster.problems) and "Entra" in " ".join(cluster.problems)
    denied = {"error": {"code": "AuthorizationFailed", "message": "no listClusterUserCredential/action"}}
    azure.fault("POST", "listClusterUserCredential", status=403, body=denied)
    assert cluster.refresh().outputs == before
    azure.mutate(CLUSTER_ID, {"properties": {"disableLocalAccounts": True}})
    assert cluster.refresh().outputs.get("adminKubeconfig") is None, "one that opens nothing any more is not kept"


def test_56_pools_go_with_their_cluster(azure: AzureDouble, provider: ProviderProcess, cluster: Thing) -> None:
    pools = [Thing(provider, POOL).create(POOL_INPUTS | {"name": f"p{number}"}) for number in range(3)]
    with refused() as error:
        cluster.delete()
    assert "consent" in error.value.details()
    cluster.update(CLUSTER_INPUTS | {"allowDelete": True})
    mark = azure.mark()
    cluster.delete()
    assert azure.writes(mark) == [("DELETE", CLUSTER_ID)]
    assert [pool.refresh().id for pool in pools] == [""] * 3
    cluster.delete()
    assert azure.writes(mark) == [("DELETE", CLUSTER_ID)], "what is gone needs no second call"


def test_57_tags_alone_touch_no_pool(azure: AzureDouble, provider: ProviderProcess, cluster: Thing) -> None:
    found = Thing(provider, CLUSTER).failures(CLUSTER_INPUTS | {"tags": {"posit.team/environment": "x"}})
    assert len(found) == 1 and "must not hold" in next(iter(found.values()))
    mark = azure.mark()
    cluster.update(CLUSTER_INPUTS | {"tags": {"Owner": "ptd", "a": "b"}})
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == [("PATCH", CLUSTER_ID)]
    assert azure.get(CLUSTER_ID)["tags"] == {"Owner": "ptd", "a": "b"}
    # Nor does the next run; but they go along when there is something else to do.
    wanted = CLUSTER_INPUTS | {"tags": {"Owner": "ptd", "a": "b"}}
    assert cluster.refresh().changes(wanted) == []
    mark = azure.mark()
    cluster.update(wanted)
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == []
    cluster.update(wanted | {"systemPool": CLUSTER_INPUTS["systemPool"] | {"maxCount": 7}})
    (sent,) = puts(azure, PATH + "/agentPools/agentpool")
    assert sent["body"]["properties"]["tags"] == {"Owner": "ptd", "a": "b"}


def test_58_a_stopped_cluster_is_started_first(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    azure.mutate(CLUSTER_ID, {"properties": {"powerState": {"code": "Stopped"}}})
    mark = azure.mark()
    for thing, change in ((cluster, CLUSTER_INPUTS | {"tier": "Free"}), (pool, POOL_INPUTS | {"maxCount": 9})):
        with pytest.raises(Failed) as failed:
            thing.update(change)
        assert "stopped" in str(failed.value) and "az aks start" in str(failed.value)
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == []


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", ""])
def test_59_an_answer_that_is_no_json(azure: AzureDouble, provider: ProviderProcess, body: str) -> None:
    azure.fault("PUT", PATH, status=400, body=body, headers={"Content-Type": "text/html", "x-ms-request-id": "the-request"})
    with pytest.raises(Failed) as failed:
        Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    assert "400" in str(failed.value) and "the-request" in str(failed.value) and body[:5] in str(failed.value)


def test_60_unknown_fields_and_odd_numbers_are_read(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    azure.mutate(CLUSTER_ID, {
        "properties": {
            "newThing": {"a": [1.5]}, "windowsProfile": None,
            "securityProfile": {"imageCleaner": {"intervalHours": 168.0}}, "autoUpgradeProfile": {"upgradeChannel": "lunar"},
        }
    })  # fmt: skip
    azure.mutate(POOL_ID, {"properties": {"maxPods": 110.0, "minCount": 1.0, "upgradeSettings": None}})
    assert cluster.refresh().changes(CLUSTER_INPUTS) == ["upgradeChannel"]
    assert cluster.inputs["upgradeChannel"] == "lunar"
    assert pool.refresh().changes(POOL_INPUTS) == []


# And the rest of a life.


def test_a_second_run_writes_nothing(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    mark = azure.mark()
    assert cluster.changes(CLUSTER_INPUTS) == [] and pool.changes(POOL_INPUTS) == []
    cluster.refresh(), pool.refresh()
    assert cluster.changes(CLUSTER_INPUTS) == [] and pool.changes(POOL_INPUTS) == []
    cluster.update(CLUSTER_INPUTS), pool.update(POOL_INPUTS)
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == []


def test_an_import_of_what_the_reference_made(azure: AzureDouble, provider: ProviderProcess, cluster: Thing, pool: Thing) -> None:
    found = Thing(provider, CLUSTER).imported(CLUSTER_ID.replace("resourceGroups", "resourcegroups"))
    assert {k: v for k, v in found.inputs.items() if v not in (None, False)} == CLUSTER_INPUTS | {"adopt": True}
    assert found.changes(CLUSTER_INPUTS) == []
    found = Thing(provider, POOL).imported(POOL_ID)
    assert found.changes(POOL_INPUTS) == []


def test_drift_is_seen_and_repaired(azure: AzureDouble, cluster: Thing) -> None:
    azure.mutate(CLUSTER_ID, {"properties": {"disableLocalAccounts": False}, "sku": {"tier": "Free"}})
    assert cluster.refresh().changes(CLUSTER_INPUTS) == ["disableLocalAccounts", "tier"]
    cluster.update(CLUSTER_INPUTS)
    live = azure.get(CLUSTER_ID)
    assert live["properties"]["disableLocalAccounts"] is True and live["sku"]["tier"] == "Standard"


def test_forced_upgrades_go_on_and_off(azure: AzureDouble, cluster: Thing) -> None:
    cluster.update(CLUSTER_INPUTS | {"forceUpgrade": True})
    settings = azure.get(CLUSTER_ID)["properties"]["upgradeSettings"]["overrideSettings"]
    assert settings == {"forceUpgrade": True, "until": "2035-01-01T00:00:00Z"}
    azure.mutate(CLUSTER_ID, {"properties": {"upgradeSettings": {"overrideSettings": {"until": "2035-01-01T00:00:00+00:00"}}}})
    assert cluster.refresh().changes(CLUSTER_INPUTS | {"forceUpgrade": True}) == []
    azure.mutate(CLUSTER_ID, {"properties": {"upgradeSettings": {"overrideSettings": {"until": "2034-12-31T22:00:00.0000000-02:00"}}}})
    assert cluster.refresh().changes(CLUSTER_INPUTS | {"forceUpgrade": True}) == []
    cluster.update(CLUSTER_INPUTS)
    assert azure.get(CLUSTER_ID)["properties"]["upgradeSettings"]["overrideSettings"]["forceUpgrade"] is False
    assert cluster.refresh().changes(CLUSTER_INPUTS) == []


def test_24_what_changed_in_between_is_read_anew(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    error = {"error": {"code": "PreconditionFailed", "message": "the etag is another"}}
    system = CLUSTER_INPUTS["systemPool"] | {"maxCount": 8}
    for thing, path, change in (
        (cluster, PATH, CLUSTER_INPUTS | {"tier": "Premium"}),
        (cluster, PATH + "/agentPools/agentpool", CLUSTER_INPUTS | {"tier": "Premium", "systemPool": system}),
        (pool, PATH + "/agentPools/user", POOL_INPUTS | {"maxCount": 8}),
    ):
        azure.fault("PUT", path + r"\?", status=412, body=error)
        mark = azure.mark()
        thing.update(change)
        sent = azure.requests("PUT", path + r"\?", since=mark)
        assert [entry["status"] for entry in sent] == [412, 200] and all(entry["headers"]["if-match"] for entry in sent)
        assert thing.changes(change) == []
    assert azure.get(CLUSTER_ID)["sku"]["tier"] == "Premium"
    # Nor is that tried for ever.
    azure.fault("PUT", PATH, status=412, body=error, times=None)
    mark = azure.mark()
    for thing, change in ((cluster, CLUSTER_INPUTS | {"tier": "Free"}), (pool, POOL_INPUTS | {"maxCount": 3})):
        with pytest.raises(Failed) as failed:
            thing.update(change)
        assert "the etag is another" in str(failed.value)
    assert len(azure.requests("PUT", PATH, since=mark)) <= 12


def test_a_system_pool_in_trouble_is_told_and_repaired(azure: AzureDouble, cluster: Thing) -> None:
    path = f"{CLUSTER_ID}/agentPools/agentpool"
    azure.mutate(path, {"properties": {"provisioningState": "Failed"}})
    assert "the system pool" in " ".join(cluster.refresh().problems)
    cluster.update(CLUSTER_INPUTS)
    assert azure.get(path)["properties"]["provisioningState"] == "Succeeded"
    assert cluster.refresh().problems == ()


def test_the_private_zone_changes_to_none_only(azure: AzureDouble, provider: ProviderProcess, cluster: Thing) -> None:
    zone = f"{CLUSTER_ID.split('/providers/')[0]}/providers/Microsoft.Network/privateDnsZones/privatelink.{LOCATION}.azmk8s.io"
    assert list(cluster.diff(CLUSTER_INPUTS | {"privateDnsZone": zone}).replaces) == ["privateDnsZone"]
    public = {"privateCluster": False, "privateDnsZone": zone}
    assert list(cluster.diff(CLUSTER_INPUTS | public).replaces) == ["privateCluster"], "a public cluster has none"
    without = CLUSTER_INPUTS | {"privateDnsZone": "none"}
    assert list(cluster.diff(without).replaces) == []
    cluster.update(without)
    assert azure.get(CLUSTER_ID)["properties"]["apiServerAccessProfile"]["privateDNSZone"] == "none"
    assert list(cluster.diff(CLUSTER_INPUTS).replaces) == ["privateDnsZone"]
    with pytest.raises(Failed) as failed:
        Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    assert "cannot be changed in privateDnsZone" in str(failed.value) and not failed.value.kept


def test_the_case_of_a_taint_counts(azure: AzureDouble, cluster: Thing, pool: Thing) -> None:
    pool.update(POOL_INPUTS | {"nodeTaints": ["team=a:NoSchedule"]})
    mark, wanted = azure.mark(), POOL_INPUTS | {"nodeTaints": ["team=A:NoSchedule"]}
    pool.update(wanted)
    assert azure.writes(mark) == [("PUT", POOL_ID)]
    assert azure.get(POOL_ID)["properties"]["nodeTaints"] == ["team=A:NoSchedule"]
    assert pool.refresh().changes(wanted) == []
    azure.mutate(POOL_ID, {"properties": {"nodeTaints": ["Team=A:NoSchedule"]}})
    assert [change.split("[")[0] for change in pool.refresh().changes(wanted)] == ["nodeTaints"]


def test_the_system_pool_says_what_it_cannot_change(azure: AzureDouble, cluster: Thing) -> None:
    system = CLUSTER_INPUTS["systemPool"]
    mark = azure.mark()
    for preview in (True, False):
        with pytest.raises(Failed) as failed:
            cluster.update(CLUSTER_INPUTS | {"systemPool": system | {"vmSize": "Standard_D2s_v6"}}, preview=preview)
        assert "vmSize" in str(failed.value) and "AgentPool" in str(failed.value)
    assert azure.writes(mark) == []
    cluster.update(CLUSTER_INPUTS | {"systemPool": system | {"maxCount": 7}})
    assert [path for method, path in azure.writes(mark) if method == "PUT"] == [f"{CLUSTER_ID}/agentPools/agentpool"]


def test_no_kubeconfig_without_the_right_to_it(azure: AzureDouble, provider: ProviderProcess, callbacks) -> None:
    denied = {"error": {"code": "AuthorizationFailed", "message": "no listClusterUserCredential/action"}}
    azure.fault("POST", "listClusterUserCredential", status=403, body=denied, times=None)
    thing = Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    assert thing.outputs.get("kubeconfig") is None and "that output stays empty" in warnings(callbacks)


def test_forty_pools_on_four_clusters(azure: AzureDouble, provider: ProviderProcess) -> None:
    azure.settings(retry_after_ms=5)
    lock, made = threading.Lock(), []

    def one(number: int) -> None:
        name = f"{NAME}{number}"
        cluster = Thing(provider, CLUSTER).create(CLUSTER_INPUTS | {"name": name})
        pools = [
            background(Thing(provider, POOL).create, POOL_INPUTS | {"clusterId": cluster.id, "name": f"p{each}"}, within=170)
            for each in range(10)
        ]
        with lock:
            made.extend(pool.result(170).id for pool in pools)

    for running in [background(one, number) for number in range(4)]:
        running.result(170)
    assert len(set(made)) == 40
    answers = [entry["status"] for entry in puts(azure, "agentPools/p")]
    assert answers.count(201) == 40, "each pool was made once"
    # Those who wait stand in line: of refused writes Azure counts each one as well.
    assert answers.count(409) <= 40, answers


def test_an_address_in_a_range_that_is_not_known_yet(provider: ProviderProcess) -> None:
    for more in ({"dnsServiceIp": "172.16.0.10"}, {}):
        assert Thing(provider, CLUSTER).failures(CLUSTER_INPUTS | {"serviceCidr": Unknown()} | more) == {}


def test_words_get_the_spelling_of_the_service(azure: AzureDouble, provider: ProviderProcess) -> None:
    said = CLUSTER_INPUTS | {"tier": "standard", "upgradeChannel": "PATCH", "networkPolicy": "Calico", "outboundType": "LoadBalancer"}
    cluster = Thing(provider, CLUSTER).create(said)
    sent = puts(azure)[-1]["body"]
    network = sent["properties"]["networkProfile"]
    assert (sent["sku"]["tier"], network["networkPolicy"], network["outboundType"]) == ("Standard", "calico", "loadBalancer")
    assert sent["properties"]["autoUpgradeProfile"]["upgradeChannel"] == "patch"
    assert cluster.changes(said) == [] and cluster.refresh().changes(said) == []
    # A state from before, with the words as the program spelt them.
    spelt = {"osDiskType": "managed", "osSku": "ubuntu", "scaleDownMode": "DELETE"}
    pool = Thing(provider, POOL).create(POOL_INPUTS | spelt)
    assert [pool.inputs[name] for name in spelt] == ["Managed", "Ubuntu", "Delete"]
    pool.inputs |= spelt
    pool.outputs |= spelt
    assert pool.changes(POOL_INPUTS | spelt) == []


@pytest.mark.parametrize(("kind", "bad"), [
    (CLUSTER, {"secretRotationInterval": "soon"}), (CLUSTER, {"podCidr": "10.0"}), (CLUSTER, {"serviceCidr": "10.0.0.0/33"}),
    (CLUSTER, {"dnsServiceIp": "11.0.0.1"}), (CLUSTER, {"forceUpgradeUntil": "tomorrow"}), (CLUSTER, {"privateDnsZone": "zone"}),
    (CLUSTER, {"systemPool": CLUSTER_INPUTS["systemPool"] | {"subnetId": "x"}}),
    (CLUSTER, {"systemPool": CLUSTER_INPUTS["systemPool"] | {"availabilityZones": ["9"]}}),
    (POOL, {"subnetId": "x"}), (POOL, {"osDiskType": "Fast"}), (POOL, {"osSku": "Windows2022"}), (POOL, {"scaleDownMode": "Stop"}), (POOL, {"availabilityZones": ["9"]}), (POOL, {"nodeLabels": {"a b": "y"}}),
    (CLUSTER, {"dnsServiceIp": None, "serviceCidr": "10.1.0.0/16"}), (CLUSTER, {"dnsServiceIp": "dns", "serviceCidr": Unknown()}),
    (POOL, {"nodeLabels": {"team": "blue team"}}),
    (CLUSTER, {"systemPool": CLUSTER_INPUTS["systemPool"] | {"nodeLabels": {"team": "-"}}}),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")  # fmt: skip
def test_what_cannot_be_is_refused_by_its_property(azure: AzureDouble, provider: ProviderProcess, kind: str, bad: dict) -> None:
    found = Thing(provider, kind).failures((CLUSTER_INPUTS if kind == CLUSTER else POOL_INPUTS) | bad)
    assert len(found) == 1 and next(iter(found)).startswith(next(iter(bad))), found
    assert azure.requests() == []
