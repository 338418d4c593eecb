"""Clusters, pools and vaults that exist already: adopted and imported as they are, or refused and left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.aks import (
    CLUSTER, CLUSTER_ID, CLUSTER_INPUTS, GROUP, NAME, POOL, POOL_INPUTS, SUBNET, Failed, Thing, configuration, environment,
)  # fmt: skip
from support.azure import LOCATION, TENANT, AzureDouble
from support.protocol import refused
from support.provider import ProviderProcess

pytestmark = pytest.mark.timeout(180)
VAULT = {"name": "kv-acme", "resourceGroupName": GROUP, "location": LOCATION}
POOL_ID = f"{CLUSTER_ID}/agentPools/user"
SYSTEM_MODEL = {
    "mode": "System", "type": "VirtualMachineScaleSets", "count": 2, "minCount": 2, "maxCount": 5, "enableAutoScaling": True,
    "availabilityZones": ["2", "3"], "vmSize": "Standard_D4s_v6", "orchestratorVersion": "1.30.4", "osDiskSizeGB": 128,
    "osDiskType": "Managed", "kubeletDiskType": "OS", "osType": "Linux", "osSKU": "Ubuntu", "maxPods": 110,
    "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"], "scaleDownMode": "Delete", "enableFIPS": False, "enableNodePublicIP": False,
    "securityProfile": {"enableSecureBoot": False, "enableVTPM": False}, "upgradeSettings": {"maxSurge": "10%"},
    "vnetSubnetID": SUBNET, "tags": {"Owner": "ptd"},
}  # fmt: skip
POOL_MODEL = {
    "mode": "User", "type": "VirtualMachineScaleSets", "count": 1, "minCount": 1, "maxCount": 4, "enableAutoScaling": True,
    "availabilityZones": ["2", "3"], "vmSize": "Standard_D8s_v6", "orchestratorVersion": "1.30.4", "osDiskSizeGB": 256,
    "osDiskType": "Managed", "kubeletDiskType": "OS", "osType": "Linux", "osSKU": "Ubuntu", "maxPods": 110, "scaleDownMode": "Delete",
    "enableFIPS": False, "enableNodePublicIP": False, "upgradeSettings": {"maxSurge": "10%"}, "vnetSubnetID": SUBNET,
    "securityProfile": {"enableSecureBoot": False, "enableVTPM": False, "sshAccess": "LocalUser"}, "tags": {"Owner": "ptd"},
}  # fmt: skip
CLUSTER_MODEL = {
    "location": LOCATION, "tags": {"Owner": "ptd"}, "identity": {"type": "SystemAssigned"},
    "sku": {"name": "Base", "tier": "Standard"},
    "properties": {
        "kubernetesVersion": "1.30.4", "dnsPrefix": f"{NAME}-dns", "enableRBAC": True, "supportPlan": "KubernetesOfficial",
        "disableLocalAccounts": True, "servicePrincipalProfile": {"clientId": "msi"},
        "aadProfile": {"managed": True, "enableAzureRBAC": True, "tenantID": TENANT},
        "addonProfiles": {
            "azureKeyvaultSecretsProvider": {
                "enabled": True, "config": {"enableSecretRotation": "true", "rotationPollInterval": "2m"},
            },
            "azurepolicy": {"enabled": False},
        },
        "apiServerAccessProfile": {"enablePrivateCluster": True, "enablePrivateClusterPublicFQDN": True, "privateDNSZone": "system"},
        "autoUpgradeProfile": {"upgradeChannel": "patch", "nodeOSUpgradeChannel": "NodeImage"},
        "networkProfile": {
            "networkPlugin": "azure", "networkPluginMode": "overlay", "networkPolicy": "calico", "networkDataplane": "azure",
            "loadBalancerSku": "standard", "ipFamilies": ["IPv4"], "outboundType": "loadBalancer", "podCidr": "10.244.0.0/16",
            "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10",
        },
        "oidcIssuerProfile": {"enabled": True},
        "securityProfile": {"imageCleaner": {"enabled": True, "intervalHours": 168}, "workloadIdentity": {"enabled": True}},
        "storageProfile": {
            "diskCSIDriver": {"enabled": True}, "fileCSIDriver": {"enabled": True}, "snapshotController": {"enabled": True},
        },
        "agentPoolProfiles": [{"name": "agentpool"} | SYSTEM_MODEL],
    },
}  # fmt: skip


@pytest.fixture
def provider(azure: AzureDouble, launch: Callable) -> ProviderProcess:
    azure.make_group(GROUP)
    return launch(env=environment(azure)).ready(configuration(azure))


def test_what_is_refused_is_no_part_of_the_state(azure: AzureDouble, provider: ProviderProcess) -> None:
    Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    Thing(provider, POOL).create(POOL_INPUTS)
    cases = [
        (CLUSTER, CLUSTER_INPUTS | {"location": "westeurope"}, "exists in eastus2"),
        (CLUSTER, CLUSTER_INPUTS | {"podCidr": "10.100.0.0/16"}, "cannot be changed in podCidr"),
        (CLUSTER, CLUSTER_INPUTS | {"systemPool": CLUSTER_INPUTS["systemPool"] | {"maxPods": 30}}, "cannot be changed in maxPods"),
        (POOL, POOL_INPUTS | {"vmSize": "Standard_D2s_v6"}, "cannot be changed in vmSize"),
    ]
    mark = azure.mark()
    for state in ("Succeeded", "Creating"):
        for kind, inputs, told in cases:
            path = CLUSTER_ID if kind == CLUSTER else POOL_ID
            azure.mutate(path, {"properties": {"provisioningState": state}})
            with pytest.raises(Failed) as failed:
                Thing(provider, kind).create(inputs)
            assert told in str(failed.value) and not failed.value.kept, (state, told)
            azure.mutate(path, {"properties": {"provisioningState": "Succeeded"}})
    assert azure.writes(mark) == []


@pytest.mark.parametrize(("path", "patch", "told"), [
    (CLUSTER_ID, {"networkProfile": {"networkPlugin": "kubenet", "networkPluginMode": None}}, "networkPlugin, networkPluginMode"),
    (CLUSTER_ID, {"networkProfile": {"loadBalancerSku": "basic"}}, "loadBalancerSku"),
    (CLUSTER_ID, {"networkProfile": {"ipFamilies": ["IPv4", "IPv6"]}}, "ipFamilies"),
    (CLUSTER_ID, {"enableRBAC": False}, "enableRBAC"),
    (CLUSTER_ID, {"aadProfile": {"tenantID": "99999999-9999-9999-9999-999999999999"}}, "tenantID"),
    (f"{CLUSTER_ID}/agentPools/agentpool", {"enableFIPS": True}, "enableFIPS"),
    (POOL_ID, {"enableFIPS": True}, "enableFIPS"),
    (POOL_ID, {"securityProfile": {"sshAccess": "Disabled"}}, "sshAccess"),
    (POOL_ID, {"osType": "Windows", "kubeletDiskType": "Temporary"}, "osType, kubeletDiskType"),
], ids=lambda value: value.rsplit("/", 1)[-1] if isinstance(value, str) else "")  # fmt: skip
def test_what_no_input_changes_is_not_adopted(azure: AzureDouble, provider: ProviderProcess, path: str, patch: dict, told: str) -> None:
    Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    Thing(provider, POOL).create(POOL_INPUTS)
    kind, inputs = (POOL, POOL_INPUTS) if path == POOL_ID else (CLUSTER, CLUSTER_INPUTS)
    azure.mutate(path, {"properties": patch})
    mark = azure.mark()
    with refused() as error:
        Thing(provider, kind).preview(inputs)
    assert f"differs in {told}, which" in error.value.details()
    with pytest.raises(Failed) as failed:
        Thing(provider, kind).create(inputs)
    assert f"differs in {told}, which" in str(failed.value) and not failed.value.kept
    assert Thing(provider, kind).imported(path if kind == POOL else CLUSTER_ID).id
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == []


def test_a_vault_elsewhere_is_no_part_of_the_state(azure: AzureDouble, provider: ProviderProcess) -> None:
    made, other = (Thing(provider, "ptd:azure:KeyVault") for _ in range(2))
    made.create(VAULT)
    mark = azure.mark()
    with pytest.raises(Failed) as failed:
        other.create(VAULT | {"location": "westeurope"})
    assert "exists in eastus2" in str(failed.value) and not failed.value.kept
    assert azure.writes(mark) == []


def test_a_creation_says_what_the_reference_says(azure: AzureDouble, provider: ProviderProcess) -> None:
    Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    Thing(provider, POOL).create(POOL_INPUTS)
    sent = {entry["path"]: entry["body"] for entry in azure.requests("PUT", "managedClusters")}
    assert sent == {CLUSTER_ID: CLUSTER_MODEL, POOL_ID: {"properties": POOL_MODEL}}


def test_an_import_of_a_cluster_that_the_reference_made(azure: AzureDouble, provider: ProviderProcess) -> None:
    filled = {
        "provisioningState": "Succeeded", "powerState": {"code": "Running"}, "currentKubernetesVersion": "1.30.7",
        "kubernetesVersion": "1.30.7", "fqdn": "acme.hcp.eastus2.azmk8s.io", "nodeResourceGroup": f"MC_{GROUP}_{NAME}_{LOCATION}",
        "privateFQDN": "acme.privatelink.eastus2.azmk8s.io", "maxAgentPools": 100, "bootstrapProfile": {"artifactSource": "Direct"},
        "identityProfile": {"kubeletidentity": {"resourceId": "r", "clientId": "c", "objectId": "o"}},
        "aadProfile": CLUSTER_MODEL["properties"]["aadProfile"] | {"adminGroupObjectIDs": None, "adminUsers": None},
        "oidcIssuerProfile": {"enabled": True, "issuerURL": "https://oidc/"},
    }  # fmt: skip
    properties = {k: v for k, v in CLUSTER_MODEL["properties"].items() if k != "agentPoolProfiles"} | filled
    identity = {"type": "SystemAssigned", "principalId": "p", "tenantId": TENANT}
    azure.put(CLUSTER_ID, **CLUSTER_MODEL | {
        "type": "Microsoft.ContainerService/ManagedClusters", "identity": identity, "eTag": "one", "properties": properties,
    })  # fmt: skip
    nodes = {
        "provisioningState": "Succeeded", "powerState": {"code": "Running"}, "currentOrchestratorVersion": "1.30.7", "eTag": "two",
        "orchestratorVersion": "1.30.7", "nodeImageVersion": "AKSUbuntu-2204gen2containerd-202509.01.0", "count": 3,
    }  # fmt: skip
    for name, model in (("agentpool", SYSTEM_MODEL), ("user", POOL_MODEL)):
        azure.put(f"{CLUSTER_ID}/agentPools/{name}", type="Microsoft.ContainerService/managedClusters/agentPools", properties=model | nodes)
    newer = {"kubernetesVersion": "1.30.7"}
    cluster, pool = Thing(provider, CLUSTER).imported(CLUSTER_ID), Thing(provider, POOL).imported(POOL_ID)
    said = {k: v for k, v in cluster.inputs.items() if v not in (None, False)}
    assert said == CLUSTER_INPUTS | newer | {"adopt": True}
    said = {k: v for k, v in pool.inputs.items() if v not in (None, False)}
    assert said == POOL_INPUTS | newer | {"adopt": True}
    mark = azure.mark()
    cluster.update(CLUSTER_INPUTS), pool.update(POOL_INPUTS)
    Thing(provider, CLUSTER).create(CLUSTER_INPUTS), Thing(provider, POOL).create(POOL_INPUTS)
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == []
