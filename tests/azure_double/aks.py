"""Managed Kubernetes clusters."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

from . import aks_fill, aks_rules, aks_versions
from .arm import Arm, operation_url, page
from .operations import Operation
from .wire import Answer, Flat, Refused, Request, same_place
from .world import SYSTEM_DATA, Resource, World, group_path, new_guid, not_found

NS = "Microsoft.ContainerService"
#: As the service spells it in answers, which is not as anybody sends it.
TYPE = "Microsoft.ContainerService/ManagedClusters"
POOL_TYPE = "Microsoft.ContainerService/managedClusters/agentPools"
MODELS = "azure.mgmt.containerservice.models"
CLUSTER = "/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{cluster}"
REGION = "/subscriptions/{sub}/providers/Microsoft.ContainerService/locations/{place}"


def add(arm: Arm) -> None:
    arm.route("GET", CLUSTER, _get, NS)
    arm.route("PUT", CLUSTER, _put, NS, body=(MODELS, "ManagedCluster"))
    arm.route("PATCH", CLUSTER, _patch, NS, body=(MODELS, "TagsObject"))
    arm.route("DELETE", CLUSTER, _delete, NS)
    arm.route("GET", CLUSTER.removesuffix("/{cluster}"), _list, NS)
    arm.route("POST", CLUSTER + "/listClusterUserCredential", _user, NS, query=("server-fqdn", "format"))
    arm.route("POST", CLUSTER + "/listClusterAdminCredential", _admin, NS, query=("server-fqdn",))
    arm.route("POST", CLUSTER + "/abort", _abort, NS)
    arm.route("POST", CLUSTER + "/start", lambda w, r: _power(w, r, "Running"), NS)
    arm.route("POST", CLUSTER + "/stop", lambda w, r: _power(w, r, "Stopped"), NS)
    arm.route("GET", CLUSTER + "/upgradeProfiles/default", _upgrades, NS)
    arm.route("GET", REGION + "/kubernetesVersions", lambda w, r: Answer(200, aks_versions.listed()), NS)


def path_of(request: Request) -> str:
    """Ids come back in another case than they were sent in."""
    return (
        f"/subscriptions/{request.names['sub']}/resourcegroups/{request.names['group']}/providers/"
        f"Microsoft.ContainerService/managedClusters/{request.names['cluster']}"
    )


def pools_of(world: World, path: str) -> list[Resource]:
    return [r for key, r in sorted(world.resources.items()) if key.startswith(path.lower() + "/agentpools/")]


def shown(world: World, resource: Resource) -> dict:
    """The answer about a resource: of a cluster with the pools it has, which are kept on their own."""
    doc = copy.deepcopy(resource.doc)
    if doc.get("type") == TYPE:
        doc["properties"]["agentPoolProfiles"] = [
            {"name": pool.doc["name"]} | copy.deepcopy(pool.doc["properties"])
            # Not in the order of creation, nor in any other to rely on.
            for pool in reversed(pools_of(world, doc["id"]))
        ]
    return doc


def cluster_of(world: World, request: Request, read: bool = False) -> Resource:
    found = world.read(path_of(request)) if read else world.find(path_of(request))
    if found is None:
        raise not_found("Microsoft.ContainerService/managedClusters", request.names["cluster"], request.names["group"])
    return found


def busy(operation: Operation) -> Flat:
    """The refusal of a second operation; the service words it differently for one on the cluster itself."""
    name = operation.path.rsplit("/", 1)[1]
    if "/agentpools/" in operation.path.lower():
        reason = f": another operation ({name} - Updating) is in progress, please wait for it to finish"
    else:
        reason = (" because there's an in progress update managed cluster operation on the managed cluster started at "
                  "2026-01-01T00:00:00Z. Please wait for it to finish")  # fmt: skip
    return Flat(409, "OperationNotAllowed", f"Operation is not allowed{reason} before starting a new operation. "
                "See https://aka.ms/aks-pending-operation for more details")  # fmt: skip


def check_etag(request: Request, held: str | None) -> None:
    match, none = request.headers.get("if-match"), request.headers.get("if-none-match")
    if (match and match.strip('"') not in ("*", held)) or (match and held is None) or (none == "*" and held is not None):
        raise Refused(412, "PreconditionFailed", f"The condition of the request was not met: the etag is {held}.")


def started(world: World, request: Request, operation: Operation, place: str, location: bool = False) -> dict[str, str]:
    """The headers of an answer that has begun an operation."""
    headers = {world.settings.operation_header: operation_url(world, operation, request.names, NS, place, "operations")}
    if location:
        headers["Location"] = operation_url(world, operation, request.names, NS, place, "operationresults")
    return headers | world.operations.hint()


def _get(world: World, request: Request) -> Answer:
    return Answer(200, shown(world, cluster_of(world, request, read=True)))


def _list(world: World, request: Request) -> Answer:
    return page(world, request, [shown(world, r) for r in world.below(group_path(request.names), TYPE)])


def _put(world: World, request: Request) -> Answer:
    path, body = path_of(request), request.body
    found = world.find(path)
    check_etag(request, found.doc["eTag"] if found else None)
    if body.get("properties") is None:
        raise Flat(400, "InvalidParameter", "Required parameter properties is missing (null).", target="properties")
    aks_rules.tags(body.get("tags"))
    if found is None:
        return _create(world, request, path, body)
    if running := world.operations.running(path):
        raise busy(running)
    if not same_place(found.doc["location"], body["location"]):
        raise Refused(409, "InvalidResourceLocation",
                      f"The resource '{found.doc['name']}' already exists in location '{found.doc['location']}' in resource group "
                      f"'{request.names['group']}'. A resource with the same name cannot be created in location "
                      f"'{body['location']}'. Please select a new resource name.")  # fmt: skip
    _running(found)
    pools = pools_of(world, path)
    aks_rules.update_cluster(found.doc["properties"], body, {p.doc["name"]: p.doc["properties"] for p in pools})
    return _update(world, request, found, body, pools)


def _running(cluster: Resource) -> None:
    if cluster.doc["properties"]["powerState"]["code"] == "Stopped":
        raise Flat(400, "OperationNotAllowed", f"managed cluster {cluster.doc['name']} is in stopped state, only the start "
                                               "operation is allowed.")  # fmt: skip


def _create(world: World, request: Request, path: str, body: dict) -> Answer:
    aks_rules.new_cluster(request.names["group"], request.names["cluster"], body)
    place = body["location"].lower().replace(" ", "")
    doc = {
        "id": path, "name": request.names["cluster"], "type": TYPE, "location": place, "tags": body.get("tags") or {},
        "identity": {"type": (body.get("identity") or {}).get("type", "None")}, "kind": "Base", "eTag": new_guid(),
        "sku": {"name": "Base", "tier": "Free"} | (body.get("sku") or {}),
        "systemData": SYSTEM_DATA | {"createdAt": world.clock.text()},
        "properties": aks_fill.cluster(path, place, body["properties"], None),
    }  # fmt: skip
    made = world.add(path, doc)
    for profile in body["properties"]["agentPoolProfiles"]:
        sent = {k: v for k, v in profile.items() if k != "name"}
        aks_rules.pool(profile["name"], sent, None, doc["properties"]["currentKubernetesVersion"], False)
        add_pool(world, path, profile["name"], aks_fill.pool(sent, None, doc["properties"]["kubernetesVersion"]))
    return Answer(201, *_begin(world, request, made, "PUT", "Creating"))


def add_pool(world: World, cluster: str, name: str, properties: dict) -> Resource:
    doc = {"id": f"{cluster}/agentPools/{name}", "name": name, "type": POOL_TYPE, "properties": properties}
    made = world.add(doc["id"], doc)
    properties["eTag"] = new_guid()
    return made


def _update(world: World, request: Request, found: Resource, body: dict, pools: list[Resource]) -> Answer:
    before = found.doc["properties"]
    properties = aks_fill.cluster(found.doc["id"], found.doc["location"], body["properties"], before)
    upgraded = properties["kubernetesVersion"] != before["kubernetesVersion"]
    found.doc |= {"properties": properties, "eTag": new_guid(), "tags": body.get("tags") or {}}
    for whole in ("sku", "identity"):
        if body.get(whole):
            found.doc[whole] = found.doc[whole] | {k: v for k, v in body[whole].items() if v is not None}
    listed = {p["name"]: p for p in body["properties"].get("agentPoolProfiles") or []}
    for pool in pools:
        sent = listed.get(pool.doc["name"])
        if sent is None:
            continue
        held = pool.doc["properties"]
        now = aks_fill.pool({k: v for k, v in sent.items() if k != "name"}, held, properties["kubernetesVersion"])
        if {k: v for k, v in now.items() if v is not None} != {k: v for k, v in held.items() if k in now and v is not None}:
            pool.doc["properties"] = held | now | {"eTag": new_guid(), "provisioningState": "Scaling"}
    return Answer(200, *_begin(world, request, found, "PUT", "Upgrading" if upgraded else "Updating"))


def _begin(world: World, request: Request, cluster: Resource, verb: str, state: str) -> tuple[dict, dict[str, str]]:
    """Starts the operation; the answer's body and headers."""
    created = state == "Creating"
    cluster.doc["properties"]["provisioningState"] = state
    pools = pools_of(world, cluster.doc["id"])
    for pool in pools if created else []:
        pool.doc["properties"]["provisioningState"] = state

    def finish(outcome: str, left: str) -> None:
        cluster.doc["properties"]["provisioningState"] = left
        for pool in pools_of(world, cluster.doc["id"]):
            if created or pool.doc["properties"]["provisioningState"] == "Scaling":
                pool.doc["properties"]["provisioningState"] = left
        if left == "Succeeded":
            aks_fill.complete(cluster.doc)

    answer = shown(world, cluster)
    operation = world.operations.start(f"{verb} managedClusters", cluster.doc["id"], finish)
    return answer, started(world, request, operation, cluster.doc["location"])


def _patch(world: World, request: Request) -> Answer:
    found = cluster_of(world, request)
    check_etag(request, found.doc["eTag"])
    if running := world.operations.running(path_of(request)):
        raise busy(running)
    aks_rules.tags(request.body.get("tags"))
    found.doc |= {"tags": request.body.get("tags") or {}, "eTag": new_guid()}
    return Answer(200, *_begin(world, request, found, "PATCH", "Updating"))


def _delete(world: World, request: Request) -> Answer:
    path = path_of(request)
    found = world.find(path)
    if found is None:
        return Answer(204)
    check_etag(request, found.doc["eTag"])
    if running := world.operations.running(path):
        raise busy(running)
    found.doc["properties"]["provisioningState"] = "Deleting"

    def finish(outcome: str, state: str) -> None:
        if outcome == "Succeeded":
            world.remove(path)
        else:
            found.doc["properties"]["provisioningState"] = state

    operation = world.operations.start("DELETE managedClusters", path, finish)
    return Answer(202, None, started(world, request, operation, found.doc["location"], location=True))


def _action(world: World, request: Request, found: Resource, verb: str, finish: Callable[[str, str], None]) -> Answer:
    operation = world.operations.start(f"POST {verb}", found.doc["id"], finish)
    return Answer(202, None, started(world, request, operation, found.doc["location"], location=True))


def _abort(world: World, request: Request) -> Answer:
    found = cluster_of(world, request)
    running = world.operations.running(path_of(request))
    if running is None:
        raise Flat(400, "OperationNotAllowed", "There is no operation in progress that could be aborted.")
    world.operations.end(running, "Canceled", "Canceled")
    return _action(world, request, found, "abort", lambda outcome, state: None)


def _power(world: World, request: Request, code: str) -> Answer:
    found = cluster_of(world, request)
    if running := world.operations.running(path_of(request)):
        raise busy(running)
    found.doc["properties"]["provisioningState"] = "Starting" if code == "Running" else "Stopping"

    def finish(outcome: str, state: str) -> None:
        found.doc["properties"] |= {"provisioningState": state, "powerState": {"code": code}}

    return _action(world, request, found, "power", finish)


def _user(world: World, request: Request) -> Answer:
    found = cluster_of(world, request)
    properties = found.doc["properties"]
    name = found.doc["name"]
    host = properties["fqdn"]
    if request.query.get("server-fqdn") != "public":
        host = properties.get("privateFQDN", host)
    tenant = (properties.get("aadProfile") or {}).get("tenantID")
    arguments = [
        "get-token", "--environment", "AzurePublicCloud", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630", "--client-id",
        "80faf920-1908-4b52-b5ef-a8e7bedfc67a", "--tenant-id", tenant or "-", "--login", "devicecode",
    ]  # fmt: skip
    lines = "\n".join(f"      - {argument}" for argument in arguments)
    user = f"clusterUser_{request.names['group']}_{name}"
    return Answer(200, {"kubeconfigs": [{"name": "clusterUser", "value": _kubeconfig(name, host, user, lines)}]})


def _kubeconfig(name: str, host: str, user: str, lines: str) -> str:
    authority = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nZG91Ymxl\n-----END CERTIFICATE-----\n").decode()
    text = f"""apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: https://{host}:443
  name: {name}
contexts:
- context:
    cluster: {name}
    user: {user}
  name: {name}
current-context: {name}
kind: Config
preferences: {{}}
users:
- name: {user}
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
{lines}
      command: kubelogin
      env: null
      provideClusterInfo: false
"""
    return base64.b64encode(text.encode()).decode()


def _admin(world: World, request: Request) -> Answer:
    found = cluster_of(world, request)
    if found.doc["properties"].get("disableLocalAccounts"):
        raise Flat(400, "BadRequest", "Getting static credential is not allowed because this cluster is set to disable local "
                                      "accounts.")  # fmt: skip
    name, host = found.doc["name"], found.doc["properties"]["fqdn"]
    user = f"clusterAdmin_{request.names['group']}_{name}"
    value = _kubeconfig(name, host, user, "      - get-token")
    return Answer(200, {"kubeconfigs": [{"name": "clusterAdmin", "value": value}]})


def _upgrades(world: World, request: Request) -> Answer:
    found = cluster_of(world, request)
    version = found.doc["properties"]["currentKubernetesVersion"]
    return Answer(200, {
        "id": f"{found.doc['id']}/upgradeProfiles/default", "name": "default", "type": f"{TYPE}/upgradeProfiles",
        "properties": {
            "controlPlaneProfile": {
                "kubernetesVersion": version, "osType": "Linux",
                "upgrades": [{"kubernetesVersion": later} for later in aks_versions.upgrades(version)],
            },
            "agentPoolProfiles": [{"kubernetesVersion": version, "osType": "Linux", "upgrades": None}],
        },
    })  # fmt: skip


def auto_upgrade(world: World, path: str, version: str, busy_for: float) -> dict[str, Any]:
    """What the automatic channels do at night: nobody asked for it, and it takes its time."""
    found = world.resources[path.lower()]
    found.doc["eTag"] = new_guid()
    found.doc["properties"] |= {"kubernetesVersion": version, "currentKubernetesVersion": version}
    for pool in pools_of(world, path):
        pool.doc["properties"] |= {
            "orchestratorVersion": version, "currentOrchestratorVersion": version, "eTag": new_guid(),
            "nodeImageVersion": "AKSUbuntu-2204gen2containerd-202511.07.0",
        }  # fmt: skip
    if busy_for:
        found.doc["properties"]["provisioningState"] = "Upgrading"

        def finish(outcome: str, state: str) -> None:
            found.doc["properties"]["provisioningState"] = state

        operation = world.operations.start("auto managedClusters", path, finish)
        operation.ends = world.clock.now() + busy_for
    return shown(world, found)
