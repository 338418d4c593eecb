"""Key vaults in Resource Manager, with those that are deleted and can be recovered."""

from __future__ import annotations

import re

from .arm import Arm, operation_url, page
from .wire import Answer, Refused, Request, merge, same_place
from .world import SYSTEM_DATA, Resource, World, group_path, not_found

NS = "Microsoft.KeyVault"
TYPE = "Microsoft.KeyVault/vaults"
MODELS = "azure.mgmt.keyvault.models"
VAULT = "/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"
DELETED = "/subscriptions/{sub}/providers/Microsoft.KeyVault/locations/{place}/deletedVaults/{name}"


def add(arm: Arm) -> None:
    arm.route("GET", VAULT, _get, NS)
    arm.route("PUT", VAULT, _put, NS, body=(MODELS, "VaultCreateOrUpdateParameters"))
    arm.route("PATCH", VAULT, _patch, NS, body=(MODELS, "VaultPatchParameters"))
    arm.route("DELETE", VAULT, _delete, NS)
    arm.route("GET", VAULT.removesuffix("/{name}"), _list, NS, query=("$top",))
    arm.route("POST", "/subscriptions/{sub}/providers/Microsoft.KeyVault/checkNameAvailability", _check_name, NS,
              body=(MODELS, "VaultCheckNameAvailabilityParameters"))  # fmt: skip
    arm.route("GET", DELETED, _get_deleted, NS)
    arm.route("POST", DELETED + "/purge", _purge, NS)
    arm.route("GET", "/subscriptions/{sub}/providers/Microsoft.KeyVault/deletedVaults", _list_deleted, NS)


def path_of(request: Request) -> str:
    return f"{group_path(request.names)}/providers/{TYPE}/{request.names['name']}"


def vault_named(world: World, name: str) -> Resource | None:
    """Names of vaults are global."""
    return next((r for r in world.resources.values()
                 if r.doc.get("type") == TYPE and r.doc["name"].lower() == name.lower()), None)  # fmt: skip


def _get(world: World, request: Request) -> Answer:
    if (found := world.read(path_of(request))) is None:
        raise not_found(TYPE, request.names["name"], request.names["group"])
    return Answer(200, found.doc)


def _valid_name(name: str) -> bool:
    return bool(re.fullmatch(r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]", name))


def _put(world: World, request: Request) -> Answer:
    path, name, body = path_of(request), request.names["name"], request.body
    found = world.find(path)
    if found:
        if not same_place(found.doc["location"], body["location"]):
            raise Refused(409, "InvalidResourceLocation",
                          f"The resource '{name}' already exists in location '{found.doc['location']}' in resource group "
                          f"'{request.names['group']}'. A resource with the same name cannot be created in location "
                          f"'{body['location']}'.")  # fmt: skip
        _apply(found, body)
        return Answer(200, found.doc)
    if not _valid_name(name):
        raise Refused(400, "VaultNameNotValid",
                      f"The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters.")
    gone = world.deleted_vaults.get(name.lower())
    recover = body["properties"].get("createMode", "default").lower() == "recover"
    if gone:
        same = gone.inside["sub"] == request.names["sub"].lower() and same_place(gone.doc["location"], body["location"])
        if not same:
            raise _taken(name)
        if not recover:
            raise Refused(409, "ConflictError",
                          f"A vault with the same name already exists in deleted state. You need to either recover or purge "
                          f"existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more "
                          f"information on soft delete.")  # fmt: skip
        del world.deleted_vaults[name.lower()]
        gone.doc.update(id=path)
        world.resources[path.lower()] = gone
        return _settling(world, path, gone)
    if recover:
        raise Refused(404, "SoftDeletedVaultDoesNotExist",
                      f"A soft deleted vault with the given name does not exist: {name}.")  # fmt: skip
    if vault_named(world, name) or name.lower() in {taken.lower() for taken in world.settings.taken}:
        raise _taken(name)
    return _settling(world, path, _create(world, path, request))


def _create(world: World, path: str, request: Request) -> Resource:
    body = request.body
    doc = {
        "id": path, "name": request.names["name"], "type": TYPE, "location": body["location"].lower().replace(" ", ""),
        "tags": {}, "systemData": SYSTEM_DATA | {"createdAt": world.clock.text()},
        "properties": {
            "accessPolicies": [], "enabledForDeployment": False, "enabledForDiskEncryption": None,
            "enabledForTemplateDeployment": None, "enableSoftDelete": True, "softDeleteRetentionInDays": 90,
            "enableRbacAuthorization": False, "publicNetworkAccess": "Enabled",
        },
    }  # fmt: skip
    made = world.add(path, doc, sub=request.names["sub"].lower(), secrets={}, keys={}, deleted={"secrets": {}, "keys": {}})
    _apply(made, body)
    return made


def _settling(world: World, path: str, vault: Resource) -> Answer:
    """A new vault answers 200 at once, but its address works only later, which only its own state tells."""
    properties = vault.doc["properties"]
    uri = f"{world.base}/vaults/{vault.doc['name']}"
    properties.update(provisioningState="RegisteringDns", vaultUri=uri)

    def finish(outcome: str, state: str) -> None:
        properties = vault.doc["properties"]
        properties.update(provisioningState=state, vaultUri=uri + "/")

    world.operations.start("PUT vaults", path, finish)
    return Answer(200, vault.doc)


def _taken(name: str) -> Refused:
    return Refused(409, "VaultAlreadyExists",
                   f"The vault name '{name}' is already in use. Vault names are globally unique so it is possible that the name "
                   "is already taken.")  # fmt: skip


def _apply(vault: Resource, body: dict, patch: bool = False) -> None:
    wanted = dict(body.get("properties") or {})
    held = vault.doc["properties"]
    wanted.pop("createMode", None)
    protected = wanted.get("enablePurgeProtection")
    if protected is False:
        raise Refused(400, "BadRequest", "The property \"enablePurgeProtection\" cannot be set to false.")
    if wanted.get("enableSoftDelete") is False:
        raise Refused(400, "BadRequest", "The property \"enableSoftDelete\" cannot be set to false.")
    days = wanted.get("softDeleteRetentionInDays")
    if "vaultUri" in held and days not in (None, held["softDeleteRetentionInDays"]):
        raise Refused(400, "BadRequest", "The property \"softDeleteRetentionInDays\" has been set already and it can't be "
                                         "modified.")  # fmt: skip
    if "publicNetworkAccess" in wanted:
        wanted["publicNetworkAccess"] = wanted["publicNetworkAccess"].capitalize()
    kept = {key: value for key, value in wanted.items()
            if key not in ("provisioningState", "hsmPoolResourceId", "privateEndpointConnections", "vaultUri")}  # fmt: skip
    if not patch:
        # A PUT replaces: what it leaves out falls back to what a new vault has.
        for key in ("tenantId", "sku", "networkAcls"):
            held.pop(key, None)
        held.update(accessPolicies=[], enabledForDeployment=False, enabledForDiskEncryption=None,
                    enabledForTemplateDeployment=None, enableRbacAuthorization=False, publicNetworkAccess="Enabled")
        vault.doc["tags"] = body.get("tags") or {}
    elif "tags" in body:
        vault.doc["tags"] = body["tags"] or {}
    held.update({key: value for key, value in kept.items() if value is not None})


def _patch(world: World, request: Request) -> Answer:
    found = world.find(path_of(request))
    if found is None:
        raise not_found(TYPE, request.names["name"], request.names["group"])
    _apply(found, merge({}, request.body), patch=True)
    return Answer(200, found.doc)


def soft_delete(world: World, vault: Resource) -> None:
    world.remove(vault.doc["id"])
    vault.inside["gone"] = world.clock.now()
    world.deleted_vaults[vault.doc["name"].lower()] = vault


def _delete(world: World, request: Request) -> Answer:
    found = world.find(path_of(request))
    if found is None:
        return Answer(204)
    soft_delete(world, found)
    return Answer(200)


def _list(world: World, request: Request) -> Answer:
    return page(world, request, [r.doc for r in world.below(group_path(request.names), TYPE)])


def _check_name(world: World, request: Request) -> Answer:
    name = request.body["name"]
    if not _valid_name(name):
        return Answer(200, {"nameAvailable": False, "reason": "AccountNameInvalid", "message": "The name is invalid."})
    strangers = {taken.lower() for taken in world.settings.taken}
    if vault_named(world, name) or name.lower() in world.deleted_vaults or name.lower() in strangers:
        return Answer(200, {"nameAvailable": False, "reason": "AlreadyExists", "message": "The name is in use."})
    return Answer(200, {"nameAvailable": True})


def _deleted_doc(world: World, vault: Resource) -> dict:
    doc, gone = vault.doc, vault.inside["gone"]
    days = doc["properties"]["softDeleteRetentionInDays"]
    sub = doc["id"].split("/")[2]
    return {
        "id": f"/subscriptions/{sub}/providers/Microsoft.KeyVault/locations/{doc['location']}/deletedVaults/{doc['name']}",
        "name": doc["name"], "type": "Microsoft.KeyVault/deletedVaults",
        "properties": {
            "vaultId": doc["id"], "location": doc["location"], "tags": doc["tags"], "deletionDate": world.clock.text(gone),
            "scheduledPurgeDate": world.clock.text(gone + days * 86400),
            "purgeProtectionEnabled": doc["properties"].get("enablePurgeProtection"),
        },
    }  # fmt: skip


def _deleted(world: World, request: Request) -> Resource:
    found = world.deleted_vaults.get(request.names["name"].lower())
    if not found or not same_place(found.doc["location"], request.names["place"]) \
            or found.inside["sub"] != request.names["sub"].lower():  # fmt: skip
        raise Refused(404, "DeletedVaultNotFound", f"The specified deleted vault '{request.names['name']}' does not exist.")
    return found


def _get_deleted(world: World, request: Request) -> Answer:
    return Answer(200, _deleted_doc(world, _deleted(world, request)))


def _list_deleted(world: World, request: Request) -> Answer:
    sub = request.names["sub"].lower()
    mine = [_deleted_doc(world, v) for v in world.deleted_vaults.values() if v.inside["sub"] == sub]
    return page(world, request, mine)


def _purge(world: World, request: Request) -> Answer:
    found, name = _deleted(world, request), request.names["name"].lower()
    if found.doc["properties"].get("enablePurgeProtection"):
        raise Refused(400, "MethodNotAllowed",
                      "Operation DeletedVaultPurge is not allowed because purge protection is enabled for this vault. Key Vault "
                      "service will automatically purge it after the retention period has passed.")  # fmt: skip

    def finish(outcome: str, state: str) -> None:
        if outcome == "Succeeded":
            world.deleted_vaults.pop(name, None)

    operation = world.operations.start("POST purge", request.path, finish)
    url = operation_url(world, operation, request.names, NS, request.names["place"], "operationresults")
    return Answer(202, None, {"Location": url, **world.operations.hint()})
