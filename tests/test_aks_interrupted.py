"""Clusters and pools whose run ends before they do: killed at a write, or cancelled in the middle of a wait."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc
import pytest
from support.aks import (
    AKS, CLUSTER, CLUSTER_ID, CLUSTER_INPUTS, GROUP, NAME, POOL, POOL_INPUTS, SUBNET, Thing, configuration, environment, variables,
)  # fmt: skip
from support.azure import LOCATION, SUBSCRIPTION, AzureDouble
from support.protocol import background
from support.provider import ProviderProcess, details
from support.values import decode

pytestmark = pytest.mark.timeout(180)
PATH = rf"managedClusters/{NAME}\?"
SYSTEM_PATH = rf"managedClusters/{NAME}/agentPools/agentpool\?"
POOL_PATH = rf"managedClusters/{NAME}/agentPools/user\?"
POOL_ID = f"{CLUSTER_ID}/agentPools/user"
NEWER = {"kubernetesVersion": "1.31.2"}


@dataclass
class Write:
    """One write of a resource's life, and the operation of the engine that makes it."""

    kind: str
    #: `create`, `update` or `delete`.
    verb: str
    method: str
    path: str
    #: What the double calls the long-running operation.
    operation: str
    change: dict

    @property
    def wanted(self) -> dict:
        return (CLUSTER_INPUTS if self.kind == CLUSTER else POOL_INPUTS) | self.change


SYSTEM = CLUSTER_INPUTS["systemPool"]
WRITES = {
    "cluster made": Write(CLUSTER, "create", "PUT", PATH, "PUT managedClusters", {}),
    "cluster changed": Write(CLUSTER, "update", "PUT", PATH, "PUT managedClusters", {"tier": "Premium"}),
    "cluster upgraded": Write(CLUSTER, "update", "PUT", PATH, "PUT managedClusters", NEWER),
    "cluster tagged": Write(CLUSTER, "update", "PATCH", PATH, "PATCH managedClusters", {"tags": {"a": "b"}}),
    "system pool changed": Write(CLUSTER, "update", "PUT", SYSTEM_PATH, "PUT agentPools", {"systemPool": SYSTEM | {"maxCount": 7}}),
    "system pool upgraded": Write(CLUSTER, "update", "PUT", SYSTEM_PATH, "PUT agentPools", NEWER),
    "cluster deleted": Write(CLUSTER, "delete", "DELETE", PATH, "DELETE managedClusters", {"allowDelete": True}),
    "pool made": Write(POOL, "create", "PUT", POOL_PATH, "PUT agentPools", {}),
    "pool changed": Write(POOL, "update", "PUT", POOL_PATH, "PUT agentPools", {"maxCount": 9}),
    "pool upgraded": Write(POOL, "update", "PUT", POOL_PATH, "PUT agentPools", NEWER),
    "pool deleted": Write(POOL, "delete", "DELETE", POOL_PATH, "DELETE agentPools", {}),
}


@pytest.fixture
def start(azure: AzureDouble, launch: Callable) -> Callable[[], ProviderProcess]:
    return lambda: launch(env=environment(azure)).ready(configuration(azure))


@pytest.fixture
def provider(azure: AzureDouble, start: Callable) -> ProviderProcess:
    azure.make_group(GROUP)
    return start()


def prepared(write: Write, provider: ProviderProcess) -> Thing:
    """The resource as it is before the write."""
    thing = Thing(provider, write.kind)
    if write.verb == "create" and write.kind == CLUSTER:
        return thing
    cluster = Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    if write.kind == CLUSTER:
        return cluster.update(write.wanted) if write.verb == "delete" else cluster
    if write.verb != "create":
        thing.create(POOL_INPUTS)
    if write.change == NEWER:
        cluster.update(CLUSTER_INPUTS | NEWER)
    return thing


def begun(write: Write, thing: Thing):
    """The engine's call, with what it would have in its state: a call that is lost changes nothing of that."""
    if write.verb == "delete":
        return background(thing.again(thing.provider).delete)
    return background(getattr(thing.again(thing.provider), write.verb), write.wanted)


def finished(write: Write, thing: Thing) -> None:
    if write.verb == "delete":
        thing.delete()
    else:
        getattr(thing, write.verb)(write.wanted)


def converged(write: Write, thing: Thing, azure: AzureDouble) -> None:
    """It is what was asked for, and Azure was asked once."""
    made = azure.requests(write.method, write.path)
    if write.verb != "create" and write.method == "PUT" and write.path != SYSTEM_PATH:
        made = made[1:]
    assert [entry["status"] for entry in made if entry["status"] not in (0, 409)] == [
        {"create": 201, "update": 200, "delete": 202}[write.verb]
    ], made
    if write.verb == "delete":
        assert thing.id.lower() not in azure.resources()
        return
    assert azure.get(thing.id)["properties"]["provisioningState"] == "Succeeded"
    assert thing.changes(write.wanted) == [] and thing.refresh().changes(write.wanted) == []
    names = [profile["name"] for profile in azure.get(CLUSTER_ID)["properties"]["agentPoolProfiles"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", WRITES)
def test_killed_at_a_write(azure: AzureDouble, provider: ProviderProcess, start: Callable, name: str, moment: str) -> None:
    write = WRITES[name]
    thing = prepared(write, provider)
    # `before`: the request has arrived, and has its effect when nobody waits for it any more. `after`: only the answer is missing.
    mark, at_work = azure.mark(), moment == "before"
    azure.fault(write.method, write.path, hang=True, when=moment)
    azure.operation(write.operation, duration=1200 if at_work else 0, polls=0, times=1)
    lost = begun(write, thing)
    azure.wait(write.method, write.path, since=mark)
    provider.kill()
    assert lost.exception(60) is not None
    azure.release()
    azure.wait(write.method, write.path, since=mark, answered=True)
    thing, mark = thing.again(start()), azure.mark()
    if not at_work:
        finished(write, thing)
    else:
        # The next run finds the operation at work, and follows it to its end.
        again = background(finished, write, thing)
        azure.wait("GET", "managedClusters", 2, since=mark)
        assert not again.done()
        azure.advance(1200)
        again.result(120)
    converged(write, thing, azure)


@pytest.mark.parametrize("name", WRITES)
def test_cancelled_while_an_operation_runs(azure: AzureDouble, provider: ProviderProcess, start: Callable, name: str) -> None:
    write = WRITES[name]
    thing = prepared(write, provider)
    mark = azure.mark()
    azure.operation(write.operation, duration=1200, polls=0, times=1)
    running = begun(write, thing)
    azure.wait(write.method, write.path, since=mark, answered=True)
    azure.wait("GET", "/operations/", since=azure.mark())
    began = time.monotonic()
    provider.cancel()
    error = running.exception(60)
    assert time.monotonic() - began < 20
    # What failed of its own accord comes wrapped, with what the engine keeps of it.
    error = getattr(error, "error", error)
    assert isinstance(error, grpc.RpcError) and "may still be running in Azure" in error.details(), error
    thing = thing.again(start())
    if write.verb != "delete":
        (kept,) = [one for one in details(error) if one.DESCRIPTOR.name == "ErrorResourceInitFailed"]
        thing.id, thing.outputs = kept.id, decode(kept.properties)
        thing.inputs = decode(kept.inputs) if kept.HasField("inputs") else thing.inputs or thing.checked(write.wanted)
        pending = thing.outputs["pendingOperation"]
        assert pending["method"] == write.method and "/operations/" in pending["url"]
    mark = azure.mark()
    # A resource that the engine has a part of is updated, whatever became of it.
    again = background(thing.delete if write.verb == "delete" else lambda: thing.update(write.wanted))
    azure.wait("GET", "/operations/" if write.verb != "delete" else "managedClusters", 2, since=mark)
    assert not again.done()
    azure.advance(1200)
    again.result(120)
    assert "pendingOperation" not in thing.outputs or write.verb == "delete"
    converged(write, thing, azure)


def test_cancelled_while_another_operation_is_in_the_way(azure: AzureDouble, provider: ProviderProcess) -> None:
    cluster = Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    azure.upgrade(CLUSTER_ID, "1.30.4", busy=3000)
    mark = azure.mark()
    running = [background(Thing(provider, POOL).create, POOL_INPUTS), background(cluster.update, CLUSTER_INPUTS | {"tier": "Free"})]
    azure.wait("PUT", POOL_PATH, since=mark, answered=True)
    azure.wait("GET", PATH, 4, since=mark)
    began = time.monotonic()
    provider.cancel()
    assert all(one.exception(60) is not None for one in running)
    assert time.monotonic() - began < 20
    assert [w for w in azure.writes(mark) if w[0] != "PUT" or w[1] != POOL_ID] == []
    assert POOL_ID.lower() not in azure.resources()


def test_what_is_known_outlives_a_cancelled_wait(azure: AzureDouble, provider: ProviderProcess) -> None:
    cluster, pool = Thing(provider, CLUSTER).create(CLUSTER_INPUTS), Thing(provider, POOL).create(POOL_INPUTS)
    azure.upgrade(CLUSTER_ID, "1.30.7", busy=3000)
    azure.mutate(POOL_ID, {"properties": {"provisioningState": "Updating"}})
    cases = ((cluster, CLUSTER_INPUTS | {"tier": "Free"}, PATH), (pool, POOL_INPUTS | {"maxCount": 9}, POOL_PATH))
    before, mark = [dict(thing.outputs) for thing, _, _ in cases], azure.mark()
    running = [background(thing.update, change) for thing, change, _ in cases]
    for _, _, path in cases:
        azure.wait("GET", path, 3, since=mark)
    provider.cancel()
    for one, (thing, change, _), old in zip(running, cases, before, strict=True):
        assert one.exception(60).kept
        told = {key for key in old if key not in change and "ersion" not in key}
        assert {key: thing.outputs.get(key) for key in told} == {key: old[key] for key in told}
        assert thing.outputs["currentKubernetesVersion"] == "1.30.7"
    assert "kubelogin" in cluster.outputs["kubeconfig"].value


def test_cancelled_while_a_write_has_no_answer(azure: AzureDouble, provider: ProviderProcess, start: Callable) -> None:
    azure.fault("PUT", PATH, hang=True, when="after")
    running = background(Thing(provider, CLUSTER).create, CLUSTER_INPUTS)
    azure.wait("PUT", PATH)
    began = time.monotonic()
    provider.cancel()
    assert running.exception(60) is not None
    assert time.monotonic() - began < 20
    azure.release()
    Thing(start(), CLUSTER).create(CLUSTER_INPUTS)
    assert len(azure.requests("PUT", PATH)) == 1


def test_one_that_is_not_to_be_adopted_is_no_part_of_the_state(azure: AzureDouble, provider: ProviderProcess) -> None:
    cluster = Thing(provider, CLUSTER).create(CLUSTER_INPUTS)
    Thing(provider, POOL).create(POOL_INPUTS)
    azure.upgrade(CLUSTER_ID, "1.30.4", busy=3000)
    azure.mutate(POOL_ID, {"properties": {"provisioningState": "Updating"}})
    for kind, inputs in ((CLUSTER, CLUSTER_INPUTS), (POOL, POOL_INPUTS)):
        other = Thing(provider, kind)
        failed = background(other.create, inputs | {"adopt": False}).exception(60)
        assert "exists already" in str(failed) and not failed.kept
    assert cluster.id == CLUSTER_ID


def component(new_workspace: Callable, azure: AzureDouble):
    azure.make_group(GROUP)
    pool = {"name": "user", "vmSize": "Standard_D8s_v6", "minCount": 1, "maxCount": 4, "enableAutoScaling": True}
    release = {"kubernetesVersion": "1.30.4", "systemNodePoolInstanceType": "Standard_D4s_v6", "userNodePools": [pool]}
    inputs = {
        "target": "acme01-staging", "clusters": {"main": release}, "location": LOCATION, "subscriptionId": SUBSCRIPTION,
        "vnetName": "vnet", "subnetName": "private", "assignRoles": True,
    }  # fmt: skip
    return new_workspace("aks", **variables(azure)).yaml({"resources": {"aks": {"type": AKS, "properties": inputs}}})


def test_killed_at_each_kind_of_write_by_the_real_cli(azure: AzureDouble, new_workspace: Callable) -> None:
    ws = component(new_workspace, azure).init()
    # The pool and the three roles of the cluster's identities come at once.
    for writes in ({PATH: 1}, {POOL_PATH: 1, "/roleAssignments/": 3}):
        mark = azure.mark()
        for path in writes:
            azure.fault("PUT", path, hang=True, when="after", times=None)
        run = ws.start("up", "--yes", "--skip-preview")
        for path, count in writes.items():
            azure.wait("PUT", path, count, since=mark)
        # The CLI first, and at rest: at the end of a plugin it writes its state, and what it is killed in the middle of it leaves empty.
        ws.quiet()
        run.kill()
        ws.kill_plugins()
        run.wait()
        azure.release()
        ws.cancel_lock()
    ws.up()
    made = [entry["path"].lower() for entry in azure.requests("PUT")]
    assert len(made) == len(set(made)) == 5, made
    mark = azure.mark()
    assert ws.up("--refresh").changes == {}
    assert [w for w in azure.writes(mark) if "Credential" not in w[1]] == []


def test_interrupted_at_the_keyboard(azure: AzureDouble, new_workspace: Callable) -> None:
    ws = component(new_workspace, azure).init()
    azure.operation("PUT managedClusters", duration=1200, polls=0, times=1)
    run = ws.start("up", "--yes", "--skip-preview")
    azure.wait("GET", "/operations/", 2)
    # The demand is five seconds; the rest is for slow machines. The operation takes twenty minutes.
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    told, _ = run.communicate(timeout=60)
    assert run.returncode != 0 and time.monotonic() - began < 20 and "may still be running in Azure" in told
    assert "/operations/" in ws.resource("aks-main")["outputs"]["pendingOperation"]["url"]
    azure.advance(1200)
    # What the cluster did not tell yet is unknown to the preview, which gives it to the roles, rather than nothing.
    assert "principalId" not in ws.resource("aks-main")["outputs"]
    ws.up(skip_preview=False)
    assert len(azure.requests("PUT", PATH)) == len(azure.requests("PUT", POOL_PATH)) == 1
    assert "pendingOperation" not in ws.resource("aks-main")["outputs"]
