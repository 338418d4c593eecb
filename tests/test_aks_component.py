"""`ptd:azure:Aks`: the clusters of a target, as its `ptd.yaml` describes them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import grpc
import pytest
from support import azure_roles, cli
from support.aks import AKS, CLUSTER_ID, GROUP, NAME, SUBNET, configuration, environment, variables
from support.azure import LOCATION, SUBSCRIPTION, AzureDouble
from support.protocol import refused
from support.provider import ProviderProcess
from support.values import Output, Unknown

sys.path.insert(0, str(cli.ROOT / "docs/_site"))
from reference import Reference  # noqa: E402

POOLS = [
    {"name": "cpu", "vmSize": "Standard_D8s_v6", "minCount": 1, "maxCount": 4, "enableAutoScaling": True, "initialCount": 2},
    {"name": "gpu", "vmSize": "Standard_NC4as_T4_v3", "minCount": 1, "maxCount": 2, "nodeTaints": ["gpu=true:NoSchedule"],
     "nodeLabels": {"gpu": "t4"}, "rootDiskSize": 512, "maxPods": 30, "availabilityZones": ["1"]},
]  # fmt: skip
RELEASE = {"kubernetesVersion": "1.30.4", "systemNodePoolInstanceType": "Standard_D4s_v6", "userNodePools": POOLS}
INPUTS = {
    "target": "acme01-staging", "clusters": {"main": RELEASE}, "location": LOCATION, "subscriptionId": SUBSCRIPTION,
    "vnetName": "vnet", "subnetName": "private", "tags": {"posit.team/environment": "staging"},
}  # fmt: skip


@pytest.fixture
def provider(azure: AzureDouble, launch: Callable) -> ProviderProcess:
    azure.make_group(GROUP)
    return launch(env=environment(azure)).ready(configuration(azure))


def test_what_a_target_gives(provider: ProviderProcess, callbacks, azure: AzureDouble) -> None:
    monitor = callbacks.monitor
    monitor.dry_run = True
    provider.construct(callbacks, AKS, "aks", INPUTS | {"protect": True})
    assert monitor.names()[:2] == ["aks", "aks-main"] and sorted(monitor.names()[2:]) == ["aks-main-cpu", "aks-main-gpu"]
    cluster, cpu, gpu = (monitor.inputs(f"aks-main{part}") for part in ("", "-cpu", "-gpu"))
    assert (cluster["name"], cluster["resourceGroupName"], cluster["outboundType"]) == (NAME, GROUP, "loadBalancer")
    assert cluster["systemPool"] == {"vmSize": "Standard_D4s_v6", "subnetId": SUBNET}
    assert cluster["tags"] == {"Owner": "ptd", "posit.team:environment": "staging"}
    assert (cpu["minCount"], cpu["maxCount"], cpu["count"], cpu["autoScaling"]) == (1, 4, 2, True)
    assert "minCount" not in gpu and gpu["count"] == 1 and gpu["autoScaling"] is False, "limits are not sent where nothing scales"
    assert (gpu["osDiskSizeGb"], gpu["maxPods"], gpu["availabilityZones"]) == (512, 30, ["1"])
    for request in (monitor.request("aks-main-cpu"), monitor.request("aks-main-gpu")):
        assert request.parent == request.deletedWith == monitor.request("aks-main-cpu").parent
        assert request.parent.endswith("::aks-main") and request.protect
    assert azure.writes() == []


def test_a_subnet_that_is_not_known_yet(provider: ProviderProcess, callbacks) -> None:
    callbacks.monitor.dry_run = True
    inputs = INPUTS | {"vnetName": Output(known=False, dependencies=("urn:persistent",))}
    provider.construct(callbacks, AKS, "aks", inputs)
    assert callbacks.monitor.inputs("aks-main")["systemPool"]["subnetId"] == Unknown()


@pytest.mark.parametrize(
    ("change", "path", "told"),
    [
        ({"userNodePools": []}, "userNodePools", "at least one"),
        ({"userNodePools": [POOLS[0] | {"name": "Upper"}]}, "userNodePools[0].name", "lower-case"),
        ({"userNodePools": [POOLS[0] | {"name": "abcdefghijklm"}]}, "userNodePools[0].name", "13 characters"),
        ({"userNodePools": [POOLS[0] | {"name": "agentpool"}]}, "userNodePools[0].name", "system pool"),
        ({"userNodePools": [POOLS[0] | {"vmSize": ""}]}, "userNodePools[0].vmSize", "empty"),
        ({"userNodePools": [POOLS[0] | {"minCount": -1}]}, "userNodePools[0].minCount", "-1"),
        ({"userNodePools": [POOLS[0] | {"maxCount": 1001}]}, "userNodePools[0].maxCount", "1001"),
        ({"userNodePools": [POOLS[0] | {"minCount": 9}]}, "userNodePools[0].maxCount", "9 and 4"),
        ({"userNodePools": [POOLS[0] | {"initialCount": 5}]}, "userNodePools[0].initialCount", "1 and 4, got 5"),
        ({"userNodePools": [POOLS[0] | {"availabilityZones": ["eastus2-1"]}]}, "userNodePools[0].availabilityZones", "1, 2 or 3"),
        ({"userNodePools": [POOLS[0] | {"nodeLabels": {"team": "a b"}}]}, "userNodePools[0].nodeLabels", "its value"),
        ({"userNodePools": [POOLS[0], POOLS[0]]}, "userNodePools[1].name", "twice"),
        ({"outboundType": "ManagedNatGateway"}, "outboundType", "cannot work"),
        ({"outboundType": "loadBalancer"}, "outboundType", "must be LoadBalancer"),
        ({"kubernetesVersion": "latest"}, "kubernetesVersion", "must be a Kubernetes version"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_target_that_cannot_work(provider: ProviderProcess, callbacks, change: dict, path: str, told: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
        provider.construct(callbacks, AKS, "aks", INPUTS | {"clusters": {"main": RELEASE | change}})
    text = error.value.details() + str(error.value.trailing_metadata())
    assert path.rsplit(".", 1)[-1] in text and told in text
    assert [name for name in callbacks.monitor.names() if name != "aks"] == []


def test_keys_of_tags_are_the_same_in_any_case(provider: ProviderProcess, callbacks) -> None:
    callbacks.monitor.dry_run = True
    provider.construct(callbacks, AKS, "aks", INPUTS | {"tags": {"owner": "us", "posit.team/x": "1"}})
    assert callbacks.monitor.inputs("aks-main")["tags"] == {"owner": "us", "posit.team:x": "1"}
    for kind, inputs in ((AKS, INPUTS), ("ptd:azure:Bootstrap", {"target": "acme01-staging", "location": LOCATION, "sites": []})):
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
            provider.construct(callbacks, kind, "other", inputs | {"tags": {"posit.team/x": "1", "Posit.team:x": "2"}})
        assert "the same to Azure as" in error.value.details() + str(error.value.trailing_metadata()), kind


def test_a_name_that_grows_too_long(provider: ProviderProcess, callbacks) -> None:
    with refused() as error:
        provider.construct(callbacks, AKS, "aks", INPUTS | {"target": "a" * 50})
    assert "DNS prefix" in error.value.details() + str(error.value.trailing_metadata())


def test_a_failed_pool_leaves_the_rest_in_the_state(azure: AzureDouble, new_workspace: Callable) -> None:
    azure.make_group(GROUP)
    failure = {"code": "CreateVMSSAgentPoolFailed", "message": "no cores are left"}
    azure.operation("PUT agentPools", outcome="Failed", times=1, error=failure)
    ws = new_workspace("aks", **variables(azure)).yaml({"resources": {"aks": {"type": AKS, "properties": INPUTS}}})
    assert "CreateVMSSAgentPoolFailed" in ws.up(fails=True).text
    kept = [ws.resource(name) for name in ("aks-main", "aks-main-cpu", "aks-main-gpu")]
    assert [one["id"] for one in kept] == [CLUSTER_ID, f"{CLUSTER_ID}/agentPools/cpu", f"{CLUSTER_ID}/agentPools/gpu"]
    assert [bool(one.get("initErrors")) for one in kept].count(True) == 1
    ws.up()
    done = {path: [entry["status"] for entry in azure.requests("PUT", path) if entry["status"] != 409]
            for path in (rf"{NAME}\?", "agentPools/cpu", "agentPools/gpu")}  # fmt: skip
    assert done.pop(rf"{NAME}\?") == [201] and sorted(done.values()) == [[201], [201, 200]], "what failed is repaired, not made again"
    states = [pool["provisioningState"] for pool in azure.get(CLUSTER_ID)["properties"]["agentPoolProfiles"]]
    assert states == ["Succeeded"] * 3 and ws.up("--refresh").changes == {}


def test_a_life_by_the_real_cli(azure: AzureDouble, new_workspace: Callable) -> None:
    azure.make_group(GROUP)
    resource = {"type": AKS, "properties": INPUTS | {"allowDelete": True, "assignRoles": True}}
    program = {"resources": {"aks": resource}, "outputs": {"id": "${aks.clusters[\"main\"].id}", "config": "${aks.kubeconfigs[\"main\"]}"}}
    ws = new_workspace("aks", **variables(azure)).yaml(program)
    preview = ws.preview()
    assert sum(1 for steps in preview.steps.values() if "create" in steps) >= 4 and azure.writes() == []
    ws.up()
    found = ws.outputs()
    assert found["id"] == CLUSTER_ID and "kubelogin" in found["config"]
    assert "kubelogin" not in str(ws.export())
    roles = [doc["properties"] for doc in azure.resources().values() if doc["type"].endswith("/roleAssignments")]
    assert sorted(role["roleDefinitionId"].rsplit("/", 1)[1][:8] for role in roles) == ["4d97b98b", "7f951dda", "acdd72a7"]
    # What Azure does to a cluster at night is no difference.
    azure.upgrade(CLUSTER_ID, "1.30.7")
    azure.mutate(f"{CLUSTER_ID}/agentPools/cpu", {"properties": {"count": 4}})
    mark = azure.mark()
    assert not set(ws.up("--refresh").changes) & {"create", "update", "delete", "replace"}
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == []
    mark = azure.mark()
    ws.destroy()
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] .count(("DELETE", CLUSTER_ID)) == 1
    assert not [w for w in azure.writes(mark) if "/agentPools/" in w[1]], "pools go with their cluster"
    assert not [key for key in azure.resources() if "managedclusters" in key]
    reference = Reference(cli.ROOT / "docs")
    granted = set(reference.role(reference.schema.entries[AKS])["Actions"])
    assert azure_roles.needs(azure.requests()) <= granted, "the page's role is not enough"

