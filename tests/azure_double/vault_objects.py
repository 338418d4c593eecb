"""The data plane of Key Vault: what secrets and keys have in common, versions and soft deletion above all."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from . import arm
from .vaults import vault_named
from .wire import Answer, Refused, Request
from .world import Resource, World

AUDIENCES = {"https://vault.azure.net"}
VERSIONS = {"7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"}
RETENTION = 90 * 86400
#: Roles that may read and write what is in a vault: administrator, secrets officer, crypto officer.
_ROLES = {
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
}


@dataclass
class Call:
    """One request to a vault."""

    world: World
    request: Request
    vault: Resource
    #: `secrets` or `keys`.
    kind: str
    #: Name, version or action.
    rest: list[str]

    @property
    def base(self) -> str:
        """What ids begin with. Clients take ids apart, so that they cannot have the path that the double listens at."""
        return f"https://{self.vault.doc['name']}.vault.azure.net"

    @property
    def live(self) -> dict:
        return self.vault.inside[self.kind]

    @property
    def deleted(self) -> dict:
        return self.vault.inside["deleted"][self.kind]

    def body(self, model: tuple[str, str], patch: bool = False) -> dict:
        arm.check_body(self.world, self.request, model)
        return self.request.body


def answer(world: World, request: Request, kinds: dict[str, Callable[[Call], Answer]]) -> Answer | None:
    """None for a vault that does not exist: its address cannot even be resolved."""
    parts = request.path.split("/")[2:]
    vault = vault_named(world, parts[0])
    if vault is None:
        return None
    tenant = vault.doc["properties"]["tenantId"]
    if "authorization" not in request.headers:
        challenge = f'Bearer authorization="{world.base}/{tenant}", resource="https://vault.azure.net"'
        raise Refused(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.",
                      **{"WWW-Authenticate": challenge})  # fmt: skip
    arm.check_token(world, request, AUDIENCES)
    if request.query.get("api-version") not in VERSIONS:
        raise arm.violation(world, request, "BadParameter", f"api-version {request.query.get('api-version')}")
    if world.settings.rbac:
        _check_role(world, vault, request)
    kind = parts[1].removeprefix("deleted") if len(parts) > 1 else ""
    if kind not in kinds:
        raise arm.violation(world, request, "NotFound", f"no such operation: {request.method} {request.path}")
    call = Call(world, request, vault, kind, parts[2:])
    if parts[1].startswith("deleted"):
        return _deleted(call)
    if request.method == "GET":
        return _get(call)
    if request.method == "DELETE":
        return _delete(call)
    return kinds[kind](call)


def _check_role(world: World, vault: Resource, request: Request) -> None:
    now = world.clock.now()
    for resource in world.resources.values():
        if resource.doc.get("type") == "Microsoft.Authorization/roleAssignments":
            properties = resource.doc["properties"]
            role = properties["roleDefinitionId"].lower().rsplit("/", 1)[1]
            above = vault.doc["id"].lower().startswith(properties["scope"].lower())
            if role in _ROLES and above and now >= resource.created + world.settings.rbac_delay:
                return
    raise Refused(403, "Forbidden", "Caller is not authorized to perform action on resource.", inner="ForbiddenByRbac")


def conflict(call: Call, name: str) -> None:
    """A name that is deleted, or is just being deleted, cannot be written."""
    gone = call.deleted.get(name.lower())
    if gone is None:
        return
    if gone["polls"] > 0:
        gone["polls"] -= 1
        raise Refused(409, "Conflict", f"{call.kind[:-1].capitalize()} {name} is currently being deleted.",
                      inner="ObjectIsBeingDeleted")  # fmt: skip
    raise Refused(409, "Conflict", f"{call.kind[:-1].capitalize()} {name} is currently in a deleted but recoverable state, and "
                  "its name cannot be reused; in this state, the secret can only be recovered or purged.",
                  inner="ObjectIsDeletedButRecoverable")  # fmt: skip


def new_version(call: Call, name: str, document: dict) -> dict:
    now = int(call.world.clock.now())
    attributes = {"enabled": True} | {k: v for k, v in document.pop("attributes", {}).items() if v is not None}
    made = document | {"attributes": attributes | {
        "created": now, "updated": now, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
    }, "version": uuid.uuid4().hex}  # fmt: skip
    entry = call.live.setdefault(name.lower(), {"name": name, "versions": [], "polls": 0})
    entry["versions"].append(made)
    return made


def shown(call: Call, entry: dict, version: dict, value: bool = True) -> dict:
    address = f"{call.base}/{call.kind}/{entry['name']}"
    made = {key: item for key, item in version.items() if key not in ("version", "private")}
    if call.kind == "secrets":
        made["id"] = f"{address}/{version['version']}" if value else address
        if not value:
            made.pop("value", None)
    elif value:
        made["key"] = version["key"] | {"kid": f"{address}/{version['version']}"}
    else:
        made = {key: item for key, item in made.items() if key != "key"} | {"kid": address}
    return made


def missing(call: Call, name: str) -> Refused:
    code = "SecretNotFound" if call.kind == "secrets" else "KeyNotFound"
    return Refused(404, code, f"A {call.kind[:-1]} with (name/id) {name} was not found in this key vault.")


def entry_of(call: Call) -> dict:
    found = call.live.get(call.rest[0].lower())
    if found and found["polls"] > 0:
        found["polls"] -= 1
        found = None
    if found is None:
        raise missing(call, call.rest[0])
    return found


def version_of(call: Call, entry: dict) -> dict:
    if len(call.rest) < 2:
        return entry["versions"][-1]
    found = next((v for v in entry["versions"] if v["version"] == call.rest[1]), None)
    if found is None:
        raise missing(call, "/".join(call.rest))
    return found


def _get(call: Call) -> Answer:
    if not call.rest:
        return _page(call, [shown(call, entry, entry["versions"][-1], value=False) for entry in call.live.values()])
    entry = entry_of(call)
    if call.rest[1:] == ["versions"]:
        return _page(call, [shown(call, entry, v) | {"value": None} for v in entry["versions"]])
    version = version_of(call, entry)
    if not version["attributes"]["enabled"]:
        raise Refused(403, "Forbidden", "Operation get is not allowed on a disabled secret.", inner="SecretDisabled")
    return Answer(200, shown(call, entry, version))


def _page(call: Call, items: list[dict]) -> Answer:
    size = min(int(call.request.query.get("maxresults", 25)), call.world.settings.page_size)
    start = int(call.request.query.get("$skiptoken", 0))
    body: dict = {"value": items[start : start + size], "nextLink": None}
    if start + size < len(items):
        path = call.request.target.split("?")[0]
        body["nextLink"] = f"{call.world.base}{path}?{urlencode(call.request.query | {'$skiptoken': start + size})}"
    return Answer(200, body)


def _delete(call: Call) -> Answer:
    entry = entry_of(call)
    del call.live[entry["name"].lower()]
    now = int(call.world.clock.now())
    entry |= {"deletedDate": now, "scheduledPurgeDate": now + RETENTION, "polls": call.world.settings.deletion_polls}
    call.deleted[entry["name"].lower()] = entry
    return Answer(200, _deleted_shown(call, entry, value=True))


def _deleted_shown(call: Call, entry: dict, value: bool = False) -> dict:
    made = shown(call, entry, entry["versions"][-1], value)
    made.pop("value", None)
    return made | {"recoveryId": f"{call.base}/deleted{call.kind}/{entry['name']}", "deletedDate": entry["deletedDate"],
                   "scheduledPurgeDate": entry["scheduledPurgeDate"]}  # fmt: skip


def _deleted(call: Call) -> Answer:
    if not call.rest:
        return _page(call, [_deleted_shown(call, entry) for entry in call.deleted.values()])
    entry = call.deleted.get(call.rest[0].lower())
    if entry is not None and entry["polls"] > 0 and call.request.method == "GET":
        entry["polls"] -= 1
        entry = None
    if entry is None:
        raise missing(call, call.rest[0])
    match call.request.method, call.rest[1:]:
        case "GET", []:
            return Answer(200, _deleted_shown(call, entry, value=True))
        case "POST", ["recover"]:
            del call.deleted[entry["name"].lower()]
            entry["polls"] = call.world.settings.deletion_polls
            call.live[entry["name"].lower()] = entry
            return Answer(200, shown(call, entry, entry["versions"][-1]) | {"value": None})
        case "DELETE", []:
            del call.deleted[entry["name"].lower()]
            return Answer(204)
    raise arm.violation(call.world, call.request, "NotFound", "no such operation on what is deleted")


def valid_name(call: Call, name: str) -> None:
    if not re.fullmatch(r"[0-9a-zA-Z-]{1,127}", name):
        raise Refused(400, "BadParameter", f"The request URI contains an invalid name: {name}")
