"""Resource groups, subscriptions and the registration of providers."""

from __future__ import annotations

from . import vaults
from .arm import Arm, operation_url, page, registration
from .wire import Answer, Refused, Request, merge, same_place
from .world import World, group_path

NS = "Microsoft.Resources"
MODELS = "azure.mgmt.resource.resources.models"
GROUP = "/subscriptions/{sub}/resourcegroups/{name}"


def add(arm: Arm) -> None:
    arm.route("GET", "/subscriptions/{sub}", _subscription, NS)
    arm.route("GET", GROUP, _get, NS)
    arm.route("HEAD", GROUP, lambda w, r: Answer(204 if _read(w, r) else 404), NS)
    arm.route("PUT", GROUP, _put, NS, body=(MODELS, "ResourceGroup"))
    arm.route("PATCH", GROUP, _patch, NS, body=(MODELS, "ResourceGroupPatchable"))
    arm.route("DELETE", GROUP, _delete, NS, query=("forceDeletionTypes",))
    arm.route("GET", "/subscriptions/{sub}/resourcegroups", _list, NS, query=("$filter", "$top"))
    arm.route("GET", GROUP + "/resources", _resources, NS, query=("$filter", "$expand", "$top"))
    arm.route("GET", "/subscriptions/{sub}/providers/{namespace}", _provider, NS, query=("$expand",))
    arm.route("POST", "/subscriptions/{sub}/providers/{namespace}/register", _register, NS,
              body=(MODELS, "ProviderRegistrationRequest"))  # fmt: skip


def _subscription(world: World, request: Request) -> Answer:
    sub = request.names["sub"]
    tenant = {key.lower(): value for key, value in world.settings.subscriptions.items()}.get(sub.lower())
    return Answer(200, {
        "id": f"/subscriptions/{sub}", "subscriptionId": sub, "displayName": "double", "state": "Enabled",
        "tenantId": tenant or request.names.get("tenant", "11111111-1111-1111-1111-111111111111"),
    })  # fmt: skip


def _path(request: Request) -> str:
    return group_path({"sub": request.names["sub"], "group": request.names["name"]})


def _read(world: World, request: Request):
    return world.read(_path(request))


def _missing(request: Request) -> Refused:
    return Refused(404, "ResourceGroupNotFound", f"Resource group '{request.names['name']}' could not be found.",
                   **{"x-ms-failure-cause": "gateway"})  # fmt: skip


def _get(world: World, request: Request) -> Answer:
    if (found := _read(world, request)) is None:
        raise _missing(request)
    return Answer(200, found.doc)


def _put(world: World, request: Request) -> Answer:
    path, body = _path(request), request.body
    found = world.find(path)
    if found is None:
        doc = {
            "id": path, "name": request.names["name"], "type": "Microsoft.Resources/resourceGroups",
            "location": body["location"].lower().replace(" ", ""), "properties": {"provisioningState": "Succeeded"},
        } | ({"tags": body["tags"]} if body.get("tags") else {})  # fmt: skip
        return Answer(201, world.add(path, doc).doc)
    _not_deleting(found, request)
    if not same_place(found.doc["location"], body["location"]):
        raise Refused(409, "InvalidResourceGroupLocation",
                      f"Invalid resource group location '{body['location']}'. The Resource group already exists in location "
                      f"'{found.doc['location']}'.")  # fmt: skip
    found.doc.pop("tags", None)
    if body.get("tags"):
        found.doc["tags"] = body["tags"]
    return Answer(200, found.doc)


def _not_deleting(found, request: Request) -> None:
    if found.doc["properties"]["provisioningState"] == "Deleting":
        raise Refused(409, "ResourceGroupBeingDeleted",
                      f"The resource group '{request.names['name']}' is in deprovisioning state and cannot perform this "
                      "operation.")  # fmt: skip


def _patch(world: World, request: Request) -> Answer:
    found = world.find(_path(request))
    if found is None:
        raise _missing(request)
    _not_deleting(found, request)
    # Tags are replaced as a whole, here too.
    found.doc = merge(found.doc, {k: v for k, v in request.body.items() if k == "managedBy"})
    if "tags" in request.body:
        found.doc["tags"] = request.body["tags"] or {}
    return Answer(200, found.doc)


def _delete(world: World, request: Request) -> Answer:
    path = _path(request)
    found = world.find(path)
    if found is None:
        raise _missing(request)
    found.doc["properties"]["provisioningState"] = "Deleting"

    def finish(outcome: str, state: str) -> None:
        if outcome != "Succeeded":
            found.doc["properties"]["provisioningState"] = "Succeeded"
            return
        for vault in world.below(path, vaults.TYPE):
            vaults.soft_delete(world, vault)
        world.remove(path)

    operation = world.operations.start("DELETE resourceGroups", path, finish)
    url = operation_url(world, operation, request.names, NS, found.doc["location"], "operationresults")
    return Answer(202, None, {"Location": url, **world.operations.hint()})


def _list(world: World, request: Request) -> Answer:
    prefix = f"/subscriptions/{request.names['sub']}/resourcegroups"
    return page(world, request, [r.doc for r in world.below(prefix, "Microsoft.Resources/resourceGroups")])


def _resources(world: World, request: Request) -> Answer:
    """Resources of their own only: keys, containers and assignments of roles are none."""
    if _read(world, request) is None:
        raise _missing(request)
    found = [r.doc for r in world.below(_path(request)) if r.doc.get("type", "").count("/") == 1]
    found = [doc for doc in found if not doc["type"].startswith("Microsoft.Authorization/")]
    return page(world, request, [{key: doc[key] for key in ("id", "name", "type", "location") if key in doc} for doc in found])


def _provider(world: World, request: Request) -> Answer:
    sub, namespace = request.names["sub"], request.names["namespace"]
    state = registration(world, sub, namespace, poll=True)
    return Answer(200, _provider_doc(sub, namespace, state))


def _register(world: World, request: Request) -> Answer:
    sub, namespace = request.names["sub"], request.names["namespace"]
    if not world.settings.register_allowed:
        raise Refused(403, "AuthorizationFailed",
                      f"The client does not have authorization to perform action '{namespace}/register/action' over scope "
                      f"'/subscriptions/{sub}' or the scope is invalid.")  # fmt: skip
    if registration(world, sub, namespace) != "Registered":
        world.registrations[sub.lower(), namespace.lower()] = ["Registering", world.settings.register_polls]
    return Answer(200, _provider_doc(sub, namespace, registration(world, sub, namespace)))


def _provider_doc(sub: str, namespace: str, state: str) -> dict:
    return {"id": f"/subscriptions/{sub}/providers/{namespace}", "namespace": namespace, "registrationState": state,
            "registrationPolicy": "RegistrationRequired", "resourceTypes": []}  # fmt: skip
