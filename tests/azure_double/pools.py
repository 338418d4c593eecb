"""Agent pools of clusters."""

from __future__ import annotations

from . import aks, aks_fill, aks_rules, aks_versions
from .arm import Arm, page
from .operations import Operation
from .wire import Answer, Flat, Refused, Request
from .world import Resource, World, new_guid

POOL = aks.CLUSTER + "/agentPools/{pool}"


def add(arm: Arm) -> None:
    arm.route("GET", POOL, _get, aks.NS)
    arm.route("PUT", POOL, _put, aks.NS, body=(aks.MODELS, "AgentPool"))
    arm.route("DELETE", POOL, _delete, aks.NS, query=("ignore-pod-disruption-budget",))
    arm.route("GET", aks.CLUSTER + "/agentPools", _list, aks.NS)
    arm.route("POST", POOL + "/abort", _abort, aks.NS)
    arm.route("POST", POOL + "/upgradeNodeImageVersion", _image, aks.NS)
    arm.route("GET", POOL + "/upgradeProfiles/default", _upgrades, aks.NS)


def _path(request: Request) -> str:
    return f"{aks.path_of(request)}/agentPools/{request.names['pool']}"


def _parent(world: World, request: Request) -> Resource:
    found = world.find(aks.path_of(request))
    if found is None:
        raise Refused(404, "ParentResourceNotFound",
                      "Failed to perform 'write' on resource(s) of type 'managedClusters/agentPools', because the parent resource "
                      f"'{aks.path_of(request)}' could not be found.")  # fmt: skip
    return found


def _pool(world: World, request: Request, read: bool = False) -> Resource:
    _parent(world, request)
    found = world.read(_path(request)) if read else world.find(_path(request))
    if found is None:
        raise Flat(404, "NotFound", f"Could not find the agentpool: {request.names['pool']}.")
    return found


def _get(world: World, request: Request) -> Answer:
    return Answer(200, _pool(world, request, read=True).doc)


def _list(world: World, request: Request) -> Answer:
    return page(world, request, [pool.doc for pool in aks.pools_of(world, _parent(world, request).doc["id"])])


def _blocking(world: World, request: Request) -> Operation | None:
    """One operation on a cluster at a time; on different pools they may overlap, if a test says so."""
    cluster, mine = aks.path_of(request).lower(), _path(request).lower()
    if not world.settings.pools_overlap:
        return world.operations.running(cluster)
    return world.operations.running(mine) or next(
        (o for o in world.operations.known.values() if o.status == "InProgress" and o.path == cluster), None
    )


def _put(world: World, request: Request) -> Answer:
    cluster, path, name = _parent(world, request), _path(request), request.names["pool"]
    found = world.find(path)
    aks.check_etag(request, found.doc["properties"]["eTag"] if found else None)
    if running := _blocking(world, request):
        raise aks.busy(running)
    if cluster.doc["properties"]["powerState"]["code"] == "Stopped":
        raise Flat(400, "OperationNotAllowed", f"managed cluster {cluster.doc['name']} is in stopped state, only the start "
                                               "operation is allowed.")  # fmt: skip
    sent, held = request.body.get("properties") or {}, found.doc["properties"] if found else None
    version = cluster.doc["properties"]["currentKubernetesVersion"]
    aks_rules.pool(name, sent, held, version, world.settings.strict_autoscaling)
    if sent.get("mode") == "User" and held and held["mode"] == "System":
        _system_left(world, cluster, found)
    made = aks_fill.pool(sent, held, cluster.doc["properties"]["kubernetesVersion"])
    aks_rules.outbound(cluster.doc["properties"], [made])
    if found:
        state = "Upgrading" if made["orchestratorVersion"] != held["orchestratorVersion"] else "Updating"
        state = "Scaling" if made["count"] != held["count"] else state
        found.doc["properties"] = made | {"eTag": new_guid()}
    else:
        state = "Creating"
        found = aks.add_pool(world, cluster.doc["id"], name, made)
    status = 201 if state == "Creating" else 200
    return Answer(status, *_begin(world, request, cluster, found, state))


def _begin(world: World, request: Request, cluster: Resource, pool: Resource, state: str) -> tuple[dict, dict[str, str]]:
    pool.doc["properties"]["provisioningState"] = state
    restore = _occupy(cluster)

    def finish(outcome: str, left: str) -> None:
        restore()
        properties = pool.doc["properties"]
        properties["provisioningState"] = left
        if left == "Succeeded":
            asked, runs = properties["orchestratorVersion"], properties["currentOrchestratorVersion"]
            properties["currentOrchestratorVersion"] = aks_versions.reached(asked, runs)

    body = aks.shown(world, pool)
    operation = world.operations.start("PUT agentPools", pool.doc["id"], finish)
    return body, aks.started(world, request, operation, cluster.doc["location"])


def _occupy(cluster: Resource):
    """A cluster is updating while one of its pools is."""
    before = cluster.doc["properties"]["provisioningState"]
    cluster.doc["properties"]["provisioningState"] = "Updating"

    def restore() -> None:
        if cluster.doc["properties"]["provisioningState"] == "Updating":
            cluster.doc["properties"]["provisioningState"] = before if before != "Updating" else "Succeeded"

    return restore


def _system_left(world: World, cluster: Resource, pool: Resource) -> None:
    others = [p for p in aks.pools_of(world, cluster.doc["id"]) if p is not pool and p.doc["properties"]["mode"] == "System"]
    if not others:
        raise Flat(400, "OperationNotAllowed", "There has to be at least one system agent pool.")


def _delete(world: World, request: Request) -> Answer:
    if world.find(aks.path_of(request)) is None or (found := world.find(_path(request))) is None:
        return Answer(204)
    cluster = _parent(world, request)
    if running := _blocking(world, request):
        raise aks.busy(running)
    if found.doc["properties"]["mode"] == "System":
        _system_left(world, cluster, found)
    found.doc["properties"]["provisioningState"] = "Deleting"
    restore = _occupy(cluster)

    def finish(outcome: str, state: str) -> None:
        restore()
        if outcome == "Succeeded":
            world.remove(_path(request))
        else:
            found.doc["properties"]["provisioningState"] = state

    operation = world.operations.start("DELETE agentPools", _path(request), finish)
    return Answer(202, None, aks.started(world, request, operation, cluster.doc["location"], location=True))


def _abort(world: World, request: Request) -> Answer:
    _pool(world, request)
    running = world.operations.running(_path(request))
    if running is None:
        raise Flat(400, "OperationNotAllowed", "There is no operation in progress that could be aborted.")
    world.operations.end(running, "Canceled", "Canceled")
    return Answer(204)


def _image(world: World, request: Request) -> Answer:
    cluster, found = _parent(world, request), _pool(world, request)
    if running := _blocking(world, request):
        raise aks.busy(running)
    body, headers = _begin(world, request, cluster, found, "UpgradingNodeImageVersion")
    found.doc["properties"]["nodeImageVersion"] = "AKSUbuntu-2204gen2containerd-202511.07.0"
    return Answer(202, body, headers)


def _upgrades(world: World, request: Request) -> Answer:
    found = _pool(world, request)
    version = found.doc["properties"]["currentOrchestratorVersion"]
    return Answer(200, {
        "id": f"{found.doc['id']}/upgradeProfiles/default", "name": "default",
        "type": f"{aks.POOL_TYPE}/upgradeProfiles",
        "properties": {
            "kubernetesVersion": version, "osType": "Linux", "latestNodeImageVersion": found.doc["properties"]["nodeImageVersion"],
            "upgrades": [{"kubernetesVersion": later} for later in aks_versions.upgrades(version)],
        },
    })  # fmt: skip
