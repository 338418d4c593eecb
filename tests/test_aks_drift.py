"""Whatever is managed about a cluster and its pools, a change by somebody else is seen by its property, and taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.aks import CLUSTER, CLUSTER_ID, CLUSTER_INPUTS, GROUP, POOL, POOL_INPUTS, Thing, configuration, environment
from support.azure import AzureDouble

pytestmark = pytest.mark.timeout(180)


def below(path: str, value: object) -> dict:
    """A merge patch for one property."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


SECRETS = "properties.addonProfiles.azureKeyvaultSecretsProvider"
FORCED = {"forceUpgrade": True, "until": "2035-01-01T00:00:00Z"}
OF_CLUSTER = [
    ("tier", "sku.tier", "Premium"),
    ("supportPlan", "properties.supportPlan", "AKSLongTermSupport"),
    ("disableLocalAccounts", "properties.disableLocalAccounts", False),
    ("azureRbac", "properties.aadProfile.enableAzureRBAC", False),
    ("secretsProvider", f"{SECRETS}.enabled", False),
    ("secretRotation", f"{SECRETS}.config.enableSecretRotation", "false"),
    ("secretRotationInterval", f"{SECRETS}.config.rotationPollInterval", "5m"),
    ("azurePolicy", "properties.addonProfiles.azurepolicy.enabled", True),
    ("privateClusterPublicFqdn", "properties.apiServerAccessProfile.enablePrivateClusterPublicFQDN", False),
    ("upgradeChannel", "properties.autoUpgradeProfile.upgradeChannel", "stable"),
    ("nodeOsUpgradeChannel", "properties.autoUpgradeProfile.nodeOSUpgradeChannel", "None"),
    ("imageCleaner", "properties.securityProfile.imageCleaner.enabled", False),
    ("imageCleanerIntervalHours", "properties.securityProfile.imageCleaner.intervalHours", 24),
    ("workloadIdentity", "properties.securityProfile.workloadIdentity.enabled", False),
    ("diskCsiDriver", "properties.storageProfile.diskCSIDriver.enabled", False),
    ("fileCsiDriver", "properties.storageProfile.fileCSIDriver.enabled", False),
    ("snapshotController", "properties.storageProfile.snapshotController.enabled", False),
    ("outboundType", "properties.networkProfile.outboundType", "userDefinedRouting"),
    ("forceUpgrade", "properties.upgradeSettings.overrideSettings", FORCED),
    ("tags", "tags.Owner", "somebody"),
]
OF_SYSTEM_POOL = [
    ("minCount", "properties.minCount", 3),
    ("maxCount", "properties.maxCount", 9),
    ("nodeTaints", "properties.nodeTaints", []),
    ("nodeLabels", "properties.nodeLabels", {"a": "b"}),
    ("maxSurge", "properties.upgradeSettings.maxSurge", "33%"),
]
OF_POOL = OF_SYSTEM_POOL[:2] + OF_SYSTEM_POOL[3:] + [
    ("autoScaling", "properties", {"enableAutoScaling": False, "minCount": None, "maxCount": None}),
    ("nodeTaints", "properties.nodeTaints", ["a=b:NoSchedule"]),
    ("secureBoot", "properties.securityProfile.enableSecureBoot", True),
    ("vtpm", "properties.securityProfile.enableVTPM", True),
    ("mode", "properties.mode", "System"),
    ("osSku", "properties.osSKU", "AzureLinux"),
    ("scaleDownMode", "properties.scaleDownMode", "Deallocate"),
    ("kubernetesVersion", "properties", {"orchestratorVersion": "1.29.1", "currentOrchestratorVersion": "1.29.1"}),
    ("tags", "properties.tags.Owner", "somebody"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "path", "changes"),
    [(CLUSTER, "", OF_CLUSTER), (CLUSTER, "/agentPools/agentpool", OF_SYSTEM_POOL), (POOL, "/agentPools/user", OF_POOL)],
    ids=["cluster", "system pool", "pool"],
)
def test_drift_of_every_property(azure: AzureDouble, launch: Callable, kind: str, path: str, changes: list) -> None:
    provider = launch(env=environment(azure)).ready(configuration(azure))
    azure.make_group(GROUP)
    thing, inputs = Thing(provider, CLUSTER).create(CLUSTER_INPUTS), CLUSTER_INPUTS
    if kind == POOL:
        thing, inputs = Thing(provider, POOL).create(POOL_INPUTS), POOL_INPUTS
    for name, where, value in changes:
        azure.mutate(CLUSTER_ID + path, below(where, value))
        found = thing.refresh().changes(inputs)
        expected = f"systemPool.{name}" if path.endswith("agentpool") else name
        assert any(change.split("[")[0].startswith(expected) for change in found), (name, found)
        thing.update(inputs)
        assert thing.refresh().changes(inputs) == [], name
