"""Secrets of a vault."""

from __future__ import annotations

from . import arm
from .vault_objects import Call, conflict, entry_of, new_version, shown, valid_name, version_of
from .wire import Answer, Refused

MODELS = "azure.keyvault.secrets._generated.models"


def write(call: Call) -> Answer:
    match call.request.method, call.rest:
        case "PUT", [name]:
            return _set(call, name)
        case "PATCH", [_, *_]:
            body = call.body((MODELS, "SecretUpdateParameters"))
            entry = entry_of(call)
            version = version_of(call, entry)
            version["attributes"] |= body.get("attributes") or {}
            version |= {key: body[key] for key in ("tags", "contentType") if key in body}
            return Answer(200, shown(call, entry, version) | {"value": None})
    raise arm.violation(call.world, call.request, "NotFound", f"no such operation: {call.request.method}")


def _set(call: Call, name: str) -> Answer:
    body = call.body((MODELS, "SecretSetParameters"))
    valid_name(call, name)
    conflict(call, name)
    if len(body["value"].encode()) > 25 * 1024:
        raise Refused(400, "BadParameter", "The secret value is too long: at most 25 KB.")
    wanted = {key: body[key] for key in ("value", "tags", "contentType", "attributes") if body.get(key) is not None}
    made = new_version(call, name, wanted)
    return Answer(200, shown(call, call.live[name.lower()], made))
