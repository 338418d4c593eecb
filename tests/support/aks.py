"""Clusters and pools through the provider's protocol, the way an engine keeps them: inputs, outputs, id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import grpc

from . import values
from .azure import CLIENT_ID, CLIENT_SECRET, LOCATION, SUBSCRIPTION, TENANT, AzureDouble
from .protocol import DIFF_NONE, urn
from .provider import ProviderProcess, details

CLUSTER, POOL, AKS = "ptd:azure:AksCluster", "ptd:azure:AgentPool", "ptd:azure:Aks"
GROUP = "rsg-ptd-acme01-staging"
NAME = "acme01-staging-main"
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
CLUSTER_ID = f"{GROUP_ID}/providers/Microsoft.ContainerService/managedClusters/{NAME}"
SUBNET = f"{GROUP_ID}/providers/Microsoft.Network/virtualNetworks/vnet/subnets/private"
CLUSTER_INPUTS = {
    "name": NAME, "resourceGroupName": GROUP, "location": LOCATION, "kubernetesVersion": "1.30.4",
    "systemPool": {"vmSize": "Standard_D4s_v6", "subnetId": SUBNET}, "tags": {"Owner": "ptd"},
}  # fmt: skip
POOL_INPUTS = {
    "clusterId": CLUSTER_ID, "name": "user", "vmSize": "Standard_D8s_v6", "minCount": 1, "maxCount": 4,
    "kubernetesVersion": "1.30.4", "subnetId": SUBNET, "tags": {"Owner": "ptd"},
}  # fmt: skip


def environment(azure: AzureDouble) -> dict[str, str]:
    """What makes a provider trust the double."""
    return {"SSL_CERT_FILE": str(azure.ca), "REQUESTS_CA_BUNDLE": str(azure.ca)}


def configuration(azure: AzureDouble) -> dict[str, Any]:
    return {
        "azure": {
            "subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "clientId": CLIENT_ID,
            "clientSecret": values.Secret(CLIENT_SECRET), "location": LOCATION,
            "endpoints": {"resourceManager": azure.url, "authority": azure.url},
        }
    }  # fmt: skip


class Failed(AssertionError):
    """A create or update that failed; `kept` tells whether the engine was given a partial state."""

    def __init__(self, error: grpc.RpcError, kept: bool) -> None:
        super().__init__(error.details())
        self.error, self.kept = error, kept


@dataclass
class Thing:
    """One resource, and what the engine would have in its state."""

    provider: ProviderProcess
    kind: str
    inputs: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)
    id: str = ""
    problems: tuple[str, ...] = ()

    @property
    def urn(self) -> str:
        return urn(self.kind)

    def checked(self, program: dict) -> dict:
        reply = self.provider.check(self.urn, program, self.inputs or None)
        assert not reply.failures, [(failure.property, failure.reason) for failure in reply.failures]
        return values.decode(reply.inputs)

    def failures(self, program: dict) -> dict[str, str]:
        return {f.property: f.reason for f in self.provider.check(self.urn, program, self.inputs or None).failures}

    def _keep(self, error: grpc.RpcError) -> bool:
        for detail in details(error):
            if detail.DESCRIPTOR.name == "ErrorResourceInitFailed":
                self.id, self.outputs = detail.id, values.decode(detail.properties)
                self.problems = tuple(detail.reasons)
                if detail.HasField("inputs"):
                    self.inputs = values.decode(detail.inputs)
                return True
        return False

    def create(self, program: dict, **fields) -> Thing:
        inputs = self.checked(program)
        try:
            reply = self.provider.create(self.urn, inputs, **fields)
        except grpc.RpcError as error:
            self.inputs = inputs
            raise Failed(error, self._keep(error)) from error
        self.inputs, self.id, self.outputs = inputs, reply.id, values.decode(reply.properties)
        return self

    def preview(self, program: dict) -> dict:
        return values.decode(self.provider.create(self.urn, self.checked(program), preview=True).properties)

    def diff(self, program: dict):
        return self.provider.diff(self.urn, self.id, self.outputs, self.inputs, self.checked(program))

    def changes(self, program: dict) -> list[str]:
        """The properties that differ, none if nothing does."""
        found = self.diff(program)
        return [] if found.changes == DIFF_NONE else sorted(found.detailedDiff or found.diffs)

    def update(self, program: dict, **fields) -> Thing:
        inputs = self.checked(program)
        try:
            reply = self.provider.update(self.urn, self.id, self.outputs, self.inputs, inputs, **fields)
        except grpc.RpcError as error:
            raise Failed(error, self._keep(error)) from error
        self.inputs, self.outputs, self.problems = inputs, values.decode(reply.properties), ()
        return self

    def refresh(self) -> Thing:
        try:
            reply = self.provider.read(self.urn, self.id, self.outputs, self.inputs)
        except grpc.RpcError as error:
            if not self._keep(error):
                raise
            return self
        self.id = reply.id
        if self.id:
            self.inputs, self.outputs = values.decode(reply.inputs), values.decode(reply.properties)
        return self

    def imported(self, id: str) -> Thing:
        reply = self.provider.read(self.urn, id)
        self.id, self.inputs, self.outputs = reply.id, values.decode(reply.inputs), values.decode(reply.properties)
        return self

    def delete(self) -> None:
        self.provider.delete(self.urn, self.id, self.outputs, self.inputs)

    def again(self, provider: ProviderProcess) -> Thing:
        """The same, as a later run has it."""
        return Thing(provider, self.kind, self.inputs, self.outputs, self.id)


def variables(azure: AzureDouble) -> dict[str, str]:
    """The same configuration as environment variables, for the CLI."""
    return environment(azure) | {
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION, "ARM_TENANT_ID": TENANT, "ARM_CLIENT_ID": CLIENT_ID,
        "ARM_CLIENT_SECRET": CLIENT_SECRET, "ARM_LOCATION": LOCATION, "ARM_ENDPOINT": azure.url,
        "AZURE_AUTHORITY_HOST": azure.url,
    }  # fmt: skip
