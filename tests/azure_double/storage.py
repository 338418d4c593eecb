"""Storage accounts and blob containers, in Resource Manager only: blobs themselves are Azurite's."""

from __future__ import annotations

import re

from .arm import Arm, operation_url, page
from .wire import Answer, Refused, Request, merge, same_place
from .world import Resource, World, group_path, new_guid, not_found

NS = "Microsoft.Storage"
TYPE = "Microsoft.Storage/storageAccounts"
MODELS = "azure.mgmt.storage.models"
ACCOUNT = "/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{name}"
SERVICE = ACCOUNT.replace("{name}", "{account}") + "/blobServices/default"
CONTAINER = SERVICE + "/containers/{name}"


def add(arm: Arm) -> None:
    arm.route("GET", ACCOUNT, _get, NS, query=("$expand",))
    arm.route("PUT", ACCOUNT, _put, NS, body=(MODELS, "StorageAccountCreateParameters"))
    arm.route("PATCH", ACCOUNT, _patch, NS, body=(MODELS, "StorageAccountUpdateParameters"))
    arm.route("DELETE", ACCOUNT, _delete, NS)
    arm.route("POST", ACCOUNT + "/listKeys", _list_keys, NS, query=("$expand",))
    arm.route("GET", ACCOUNT.removesuffix("/{name}"), _list, NS)
    arm.route("POST", "/subscriptions/{sub}/providers/Microsoft.Storage/checkNameAvailability", _check_name, NS,
              body=(MODELS, "StorageAccountCheckNameAvailabilityParameters"))  # fmt: skip
    arm.route("GET", SERVICE, _get_service, NS)
    arm.route("PUT", SERVICE, _put_service, NS, body=(MODELS, "BlobServiceProperties"))
    arm.route("GET", CONTAINER, _get_container, NS)
    arm.route("PUT", CONTAINER, _put_container, NS, body=(MODELS, "BlobContainer"))
    arm.route("PATCH", CONTAINER, _patch_container, NS, body=(MODELS, "BlobContainer"))
    arm.route("DELETE", CONTAINER, _delete_container, NS)
    arm.route("GET", SERVICE + "/containers", _list_containers, NS, query=("$maxpagesize", "$filter", "$include"))


def _path(request: Request) -> str:
    return f"{group_path(request.names)}/providers/{TYPE}/{request.names['name']}"


def _found(world: World, request: Request, read: bool = False) -> Resource:
    found = world.read(_path(request)) if read else world.find(_path(request))
    if found is None:
        raise not_found(TYPE, request.names["name"], request.names["group"])
    return found


def _get(world: World, request: Request) -> Answer:
    return Answer(200, _found(world, request, read=True).doc)


def _owner(world: World, name: str) -> Resource | None:
    return next((r for r in world.resources.values()
                 if r.doc.get("type") == TYPE and r.doc["name"] == name), None)  # fmt: skip


def _put(world: World, request: Request) -> Answer:
    name, body = request.names["name"], request.body
    if not re.fullmatch(r"[a-z0-9]{3,24}", name):
        raise Refused(400, "AccountNameInvalid",
                      f"{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in "
                      "length and use numbers and lower-case letters only.")  # fmt: skip
    path, found = _path(request), world.find(_path(request))
    if found:
        _idle(world, path)
        if not same_place(found.doc["location"], body["location"]):
            raise Refused(409, "InvalidResourceLocation",
                          f"The resource '{name}' already exists in location '{found.doc['location']}'.")  # fmt: skip
        if body.get("properties", {}).get("isHnsEnabled", False) != found.doc["properties"].get("isHnsEnabled", False):
            raise Refused(400, "AccountPropertyCannotBeUpdated", "The property 'isHnsEnabled' cannot be updated.")
        _apply(found.doc, body)
        return Answer(200, found.doc)
    other = _owner(world, name)
    if other and other.doc["id"].split("/")[2].lower() == request.names["sub"].lower():
        raise Refused(409, "StorageAccountAlreadyExists", f"The storage account named {name} already exists under the subscription.")
    if other or name in world.settings.taken:
        raise Refused(409, "StorageAccountAlreadyTaken", f"The storage account named {name} is already taken.")
    made = world.add(path, _new(world, path, request))
    _apply(made.doc, body)

    def finish(outcome: str, state: str) -> None:
        made.doc["properties"]["provisioningState"] = state

    operation = world.operations.start("PUT storageAccounts", path, finish, result=lambda: made.doc)
    url = operation_url(world, operation, request.names, NS, made.doc["location"], "asyncoperations")
    # Nothing in it, and not even JSON.
    return Answer(202, b"", {"Location": url, "Content-Type": "text/plain; charset=utf-8", **world.operations.hint()})


def _idle(world: World, path: str) -> None:
    if world.operations.running(path):
        raise Refused(409, "StorageAccountOperationInProgress",
                      "An operation is currently performing on this storage account that requires exclusive access.")  # fmt: skip


def _new(world: World, path: str, request: Request) -> dict:
    name, place = request.names["name"], request.body["location"].lower().replace(" ", "")
    now = world.clock.text()
    services = {kind: f"https://{name}.{kind}.core.windows.net/" for kind in ("dfs", "file", "queue", "table")}
    services["web"] = f"https://{name}.z20.web.core.windows.net/"
    services["blob"] = world.settings.blob_endpoint.format(name=name)
    return {
        "id": path, "name": name, "type": TYPE, "location": place, "tags": {}, "kind": request.body["kind"],
        "sku": {"name": request.body["sku"]["name"], "tier": "Standard"},
        "properties": {
            "provisioningState": "Creating", "creationTime": now, "keyCreationTime": {"key1": now, "key2": now},
            "primaryEndpoints": services, "primaryLocation": place, "statusOfPrimary": "available",
            "privateEndpointConnections": [], "allowCrossTenantReplication": False, "allowBlobPublicAccess": False,
            "minimumTlsVersion": "TLS1_0", "supportsHttpsTrafficOnly": True, "accessTier": "Hot",
            "networkAcls": {"ipv6Rules": [], "bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [],
                            "defaultAction": "Allow"},
            "encryption": {
                "keySource": "Microsoft.Storage",
                "services": {kind: {"keyType": "Account", "enabled": True, "lastEnabledTime": now} for kind in ("file", "blob")},
            },
        },
    }  # fmt: skip


_OUTPUT = {"provisioningState", "primaryEndpoints", "creationTime", "keyCreationTime", "primaryLocation", "statusOfPrimary"}


def _apply(doc: dict, body: dict) -> None:
    wanted = {k: v for k, v in (body.get("properties") or {}).items() if k not in _OUTPUT and v is not None}
    doc["properties"] = merge(doc["properties"], wanted)
    if "tags" in body:
        doc["tags"] = body["tags"] or {}
    if body.get("sku"):
        doc["sku"] = {"name": body["sku"]["name"], "tier": body["sku"]["name"].split("_")[0]}
    if body.get("kind"):
        doc["kind"] = body["kind"]


def _patch(world: World, request: Request) -> Answer:
    found = _found(world, request)
    _idle(world, _path(request))
    _apply(found.doc, request.body)
    return Answer(200, found.doc)


def _delete(world: World, request: Request) -> Answer:
    if world.find(_path(request)) is None:
        return Answer(204)
    _idle(world, _path(request))
    world.remove(_path(request))
    return Answer(200)


def _list_keys(world: World, request: Request) -> Answer:
    found = _found(world, request)
    created = found.doc["properties"]["creationTime"]
    return Answer(200, {"keys": [{"keyName": name, "value": world.settings.storage_key, "permissions": "FULL",
                                  "creationTime": created} for name in ("key1", "key2")]})  # fmt: skip


def _list(world: World, request: Request) -> Answer:
    return page(world, request, [r.doc for r in world.below(group_path(request.names), TYPE)])


def _check_name(world: World, request: Request) -> Answer:
    name = request.body["name"]
    if not re.fullmatch(r"[a-z0-9]{3,24}", name):
        return Answer(200, {"nameAvailable": False, "reason": "AccountNameInvalid", "message": "The name is invalid."})
    if _owner(world, name) or name in world.settings.taken:
        return Answer(200, {"nameAvailable": False, "reason": "AlreadyExists", "message": "The name is in use."})
    return Answer(200, {"nameAvailable": True})


def _account(world: World, request: Request) -> Resource:
    found = world.find(f"{group_path(request.names)}/providers/{TYPE}/{request.names['account']}")
    if found is None:
        raise Refused(404, "ResourceNotFound" if request.method != "PUT" else "ParentResourceNotFound",
                      f"The Resource '{TYPE}/{request.names['account']}' was not found.")  # fmt: skip
    return found


def _get_service(world: World, request: Request) -> Answer:
    account = _account(world, request)
    return Answer(200, {
        "id": account.doc["id"] + "/blobServices/default", "name": "default", "type": TYPE + "/blobServices",
        "sku": account.doc["sku"],
        "properties": {"cors": {"corsRules": []}, "deleteRetentionPolicy": {"enabled": False},
                       **account.inside.get("blobs", {})},
    })  # fmt: skip


def _put_service(world: World, request: Request) -> Answer:
    account = _account(world, request)
    account.inside["blobs"] = {k: v for k, v in (request.body.get("properties") or {}).items() if v is not None}
    return _get_service(world, request)


def _container_path(world: World, request: Request) -> str:
    return f"{_account(world, request).doc['id']}/blobServices/default/containers/{request.names['name']}"


def _container(world: World, request: Request, read: bool = False) -> Resource:
    path = _container_path(world, request)
    found = world.read(path) if read else world.find(path)
    if found is None:
        raise Refused(404, "ContainerNotFound", "The specified container does not exist.")
    return found


def _get_container(world: World, request: Request) -> Answer:
    return Answer(200, _container(world, request, read=True).doc)


def _put_container(world: World, request: Request) -> Answer:
    path, name = _container_path(world, request), request.names["name"]
    if not re.fullmatch(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name):
        raise Refused(400, "ContainerNameInvalid", f"{name} is not a valid container name.")
    if world.held.get(path.lower(), 0) > world.clock.now():
        raise Refused(409, "ContainerBeingDeleted", "The specified container is being deleted. Try operation later.")
    found = world.find(path)
    if found is None:
        etag = f'"0x{new_guid().replace("-", "")[:15].upper()}"'
        made = world.add(path, {
            "id": path, "name": name, "type": TYPE + "/blobServices/containers", "etag": etag,
            "properties": {
                "deleted": False, "remainingRetentionDays": 0, "defaultEncryptionScope": "$account-encryption-key",
                "denyEncryptionScopeOverride": False, "publicAccess": "None", "leaseStatus": "Unlocked",
                "leaseState": "Available", "lastModifiedTime": world.clock.text(), "hasImmutabilityPolicy": False,
                "hasLegalHold": False,
            },
        })  # fmt: skip
        made.doc["properties"] |= request.body.get("properties") or {}
        return Answer(201, made.doc)
    found.doc["properties"] |= request.body.get("properties") or {}
    return Answer(200, found.doc)


def _patch_container(world: World, request: Request) -> Answer:
    found = _container(world, request)
    found.doc["properties"] |= request.body.get("properties") or {}
    return Answer(200, found.doc)


def _delete_container(world: World, request: Request) -> Answer:
    path = _container_path(world, request)
    if world.find(path) is None:
        return Answer(204)
    world.remove(path)
    world.held[path.lower()] = world.clock.now() + world.settings.container_hold
    return Answer(200)


def _list_containers(world: World, request: Request) -> Answer:
    return page(world, request, [r.doc for r in world.below(_account(world, request).doc["id"], TYPE + "/blobServices/containers")])
