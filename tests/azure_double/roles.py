"""Role assignments, at any scope."""

from __future__ import annotations

import re

from .arm import Arm, page
from .wire import Answer, Refused, Request
from .world import World

NS = "Microsoft.Authorization"
TYPE = "Microsoft.Authorization/roleAssignments"
LIST = "/{scope+}/providers/Microsoft.Authorization/roleAssignments"
_FILTER = re.compile(r"atScope\(\)|principalId eq '([^']+)'|assignedTo\('([^']+)'\)")


def add(arm: Arm) -> None:
    arm.route("GET", LIST, _list, NS, query=("$filter", "tenantId"))
    arm.route("GET", LIST + "/{name}", _get, NS, query=("tenantId",))
    arm.route("PUT", LIST + "/{name}", _put, NS,
              body=("azure.mgmt.authorization.v2022_04_01.models", "RoleAssignmentCreateParameters"))  # fmt: skip
    arm.route("DELETE", LIST + "/{name}", _delete, NS, query=("tenantId",))


def _path(request: Request) -> str:
    return f"/{request.names['scope']}/providers/{TYPE}/{request.names['name']}"


def _missing(request: Request) -> Refused:
    return Refused(404, "RoleAssignmentNotFound", f"The role assignment '{request.names['name']}' is not found.")


def _get(world: World, request: Request) -> Answer:
    if (found := world.read(_path(request))) is None:
        raise _missing(request)
    return Answer(200, found.doc)


def _guid(definition: str) -> str:
    return definition.lower().rsplit("/", 1)[1]


def _put(world: World, request: Request) -> Answer:
    path, wanted = _path(request), request.body["properties"]
    principal, role = wanted["principalId"], wanted["roleDefinitionId"]
    if group := re.match(r"subscriptions/([^/]+)/resourcegroups/([^/]+)", request.names["scope"], re.I):
        request.names |= {"sub": group[1], "group": group[2]}
        world.need_group(request)
    if not re.fullmatch(r"[0-9a-fA-F-]{36}", request.names["name"]):
        raise Refused(400, "InvalidRoleAssignmentId", f"The role assignment ID '{request.names['name']}' is not valid. "
                                                      "The role assignment ID must be a GUID.")  # fmt: skip
    left = world.settings.unknown_principals.get(principal, 0)
    if left:
        world.settings.unknown_principals[principal] = left - 1
        raise Refused(400, "PrincipalNotFound",
                      f"Principal {principal.replace('-', '')} does not exist in the directory. Check that you have the correct "
                      "principal ID. If you are creating this principal and then immediately assigning a role, this error might "
                      "be related to a replication delay.")  # fmt: skip
    scope = "/" + request.names["scope"]
    for other in world.resources.values():
        if other.doc.get("type") != TYPE:
            continue
        held = other.doc["properties"]
        same = (held["scope"].lower(), held["principalId"].lower(), _guid(held["roleDefinitionId"])) \
            == (scope.lower(), principal.lower(), _guid(role))  # fmt: skip
        if same:
            raise Refused(409, "RoleAssignmentExists", "The role assignment already exists. The ID of the existing role assignment "
                          f"is {other.doc['name'].replace('-', '')}.")  # fmt: skip
        if other.doc["name"].lower() == request.names["name"].lower():
            raise Refused(400, "RoleAssignmentUpdateNotPermitted",
                          "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.")  # fmt: skip
    now = world.clock.text()
    caller = "00000000-0000-0000-0000-00000000c1e7"
    doc = {
        "id": path, "name": request.names["name"], "type": TYPE,
        "properties": {
            "roleDefinitionId": role, "principalId": principal, "principalType": wanted.get("principalType") or "User",
            "scope": scope, "condition": wanted.get("condition"), "conditionVersion": wanted.get("conditionVersion"),
            "createdOn": now, "updatedOn": now, "createdBy": caller, "updatedBy": caller,
            "delegatedManagedIdentityResourceId": None, "description": wanted.get("description"),
        },
    }  # fmt: skip
    return Answer(201, world.add(path, doc).doc)


def _delete(world: World, request: Request) -> Answer:
    found = world.find(_path(request))
    if found is None:
        return Answer(204)
    world.remove(_path(request))
    return Answer(200, found.doc)


def _list(world: World, request: Request) -> Answer:
    scope = "/" + request.names["scope"].lower()
    text = request.query.get("$filter", "")
    found = [r.doc for r in world.resources.values() if r.doc.get("type") == TYPE and not r.stale]
    known = _FILTER.fullmatch(text)
    if text and not known:
        raise Refused(400, "BadRequest", f"The filter '{text}' is not supported.")
    above = [doc for doc in found if (scope + "/").startswith(doc["properties"]["scope"].lower().rstrip("/") + "/")]
    below = [doc for doc in found if (doc["properties"]["scope"].lower() + "/").startswith(scope + "/")]
    if text == "atScope()":
        found = above
    else:
        found = above + [doc for doc in below if doc not in above]
        principal = known and (known[1] or known[2])
        found = [doc for doc in found if not principal or doc["properties"]["principalId"].lower() == principal.lower()]
    return page(world, request, found)
