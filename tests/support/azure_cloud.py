"""One resource of `ptd:azure` at a time, over the plugin protocol: what a program would do to it."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from . import values
from .azure import CLIENT_ID, CLIENT_SECRET, LOCATION, SUBSCRIPTION, TENANT, AzureDouble
from .protocol import urn
from .provider import ProviderProcess
from .values import Secret

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-test"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/sttest"
CONTAINER = f"{ACCOUNT}/blobServices/default/containers/state"
ADMINS = "44444444-4444-4444-4444-444444444444"
ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"

IN_GROUP = {"resourceGroupName": "rg", "location": LOCATION}
RESOURCES = {
    "ResourceGroup": (GROUP, {"name": "rg", "location": LOCATION, "tags": {"a": "b"}}),
    "KeyVault": (VAULT, {"name": "kv-test", **IN_GROUP}),
    "EncryptionKey": (f"{VAULT}/keys/posit-team-dedicated", {"vaultName": "kv-test", "resourceGroupName": "rg"}),
    "StateStorage": (CONTAINER, {"accountName": "sttest", "containerName": "state", **IN_GROUP}),
    "VaultSecret": (f"{VAULT}/secrets/s", {"name": "s", "vaultName": "kv-test", "resourceGroupName": "rg", "generate": "password"}),
    "RoleAssignment": ("", {"scope": GROUP, "roleDefinitionId": ADMINISTRATOR, "principalId": ADMINS, "principalType": "Group"}),
}  # fmt: skip

CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/c"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet/subnets/private"
ALL = RESOURCES | {
    "AksCluster": (CLUSTER, {"name": "c", **IN_GROUP, "kubernetesVersion": "1.30.4",
                             "systemPool": {"vmSize": "Standard_D4s_v6", "subnetId": SUBNET}}),
    "AgentPool": (f"{CLUSTER}/agentPools/user", {"clusterId": CLUSTER, "name": "user", "vmSize": "Standard_D8s_v6", "subnetId": SUBNET,
                                                 "minCount": 1, "maxCount": 4}),
}  # fmt: skip


def config(azure: AzureDouble, **more) -> dict:
    return {"maxRetries": 3, "azure": {
        "subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "clientId": CLIENT_ID, "clientSecret": Secret(CLIENT_SECRET),
        "endpoints": {"resourceManager": azure.url, "authority": azure.url},
    } | more}  # fmt: skip


class Azure:
    """A provider on the double, with what a program would do to one resource."""

    def __init__(self, start: Callable[[], ProviderProcess], double: AzureDouble) -> None:
        self.start, self.double = start, double
        self.provider = start()

    def args(self, kind: str, **more) -> dict:
        wanted = {**ALL[kind][1], **more}
        checked = self.provider.check(urn(f"ptd:azure:{kind}"), wanted)
        assert not checked.failures, checked.failures
        return values.decode(checked.inputs)

    def create(self, kind: str, preview: bool = False, **more):
        made = self.provider.create(urn(f"ptd:azure:{kind}"), self.args(kind, **more), preview=preview)
        return made.id, values.decode(made.properties)

    def refused(self, kind: str, **more) -> str:
        with pytest.raises(grpc.RpcError) as error:
            self.create(kind, **more)
        return error.value.details()

    def delete(self, kind: str, id: str, outputs: dict, **more) -> None:
        self.provider.delete(urn(f"ptd:azure:{kind}"), id, outputs, self.args(kind, **more))

    def vault(self) -> None:
        self.double.make_group("rg")
        self.create("KeyVault")

    def prepare(self, kind: str) -> None:
        """What has to be there before it."""
        if kind != "ResourceGroup":
            self.double.make_group("rg")
        if kind in ("EncryptionKey", "VaultSecret"):
            self.create("KeyVault")
        if kind == "AgentPool":
            self.create("AksCluster")

    def read(self, kind: str, id: str, outputs: dict):
        return self.provider.read(urn(f"ptd:azure:{kind}"), id, outputs, self.args(kind))

    def update(self, kind: str, id: str, outputs: dict, **more) -> dict:
        reply = self.provider.update(urn(f"ptd:azure:{kind}"), id, outputs, self.args(kind), self.args(kind, **more))
        return values.decode(reply.properties)
