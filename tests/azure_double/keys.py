"""Keys: of a vault's data plane, and of Resource Manager, which can only create them."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import arm, vaults
from .vault_objects import Call, conflict, entry_of, new_version, shown, valid_name, version_of
from .wire import Answer, Refused, Request
from .world import World, not_found

MODELS = "azure.keyvault.keys._generated.models"
KEY = vaults.VAULT.replace("{name}", "{vault}") + "/keys/{name}"
OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]


def add(arm_: arm.Arm) -> None:
    arm_.route("GET", KEY, _arm_get, vaults.NS)
    arm_.route("PUT", KEY, _arm_put, vaults.NS, body=(vaults.MODELS, "KeyCreateParameters"))
    arm_.route("GET", KEY.removesuffix("/{name}"), _arm_list, vaults.NS)
    arm_.route("GET", KEY + "/versions/{version}", _arm_get, vaults.NS)


def write(call: Call) -> Answer:
    """What is neither a read nor a deletion."""
    match call.request.method, call.rest:
        case "POST", [name, "create"]:
            body = call.body((MODELS, "KeyCreateParameters"))
            valid_name(call, name)
            conflict(call, name)
            made = _make(call, name, body["kty"], body.get("key_size"), body.get("key_ops"), body.get("tags"))
            return Answer(200, shown(call, call.live[name.lower()], made))
        case "PATCH", [_, *_]:
            body = call.body((MODELS, "KeyUpdateParameters"))
            entry = entry_of(call)
            version = version_of(call, entry)
            version["attributes"] |= body.get("attributes") or {}
            version |= {"tags": body["tags"]} if "tags" in body else {}
            if body.get("key_ops"):
                version["key"]["key_ops"] = body["key_ops"]
            return Answer(200, shown(call, entry, version))
        case "POST", [_, *_, ("encrypt" | "decrypt" | "wrapkey" | "unwrapkey") as action]:
            call.rest.pop()
            return _cipher(call, action)
    raise arm.violation(call.world, call.request, "NotFound", f"no such operation: {call.request.method}")


def _make(call: Call, name: str, kty: str, size: int | None, operations: list | None, tags: dict | None) -> dict:
    if not kty.startswith("RSA"):
        raise Refused(400, "BadParameter", f"the double has no keys of kind {kty}")
    private = rsa.generate_private_key(public_exponent=65537, key_size=size or 2048)
    numbers = private.public_key().public_numbers()
    key = {"kty": kty, "key_ops": operations or OPERATIONS, "n": _number(numbers.n), "e": _number(numbers.e)}
    return new_version(call, name, {"key": key, "private": private} | ({"tags": tags} if tags else {}))


def _number(number: int) -> str:
    return _text(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _cipher(call: Call, action: str) -> Answer:
    body = call.body((MODELS, "KeyOperationsParameters"))
    entry = entry_of(call)
    version = version_of(call, entry)
    digest = hashes.SHA1() if body["alg"] == "RSA-OAEP" else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    value = base64.urlsafe_b64decode(body["value"] + "==")
    private = version["private"]
    try:
        made = private.public_key().encrypt(value, oaep) if action in ("encrypt", "wrapkey") else private.decrypt(value, oaep)
    except ValueError:
        raise Refused(400, "BadParameter", "The parameter is incorrect.") from None
    address = f"{call.base}/keys/{entry['name']}/{version['version']}"
    return Answer(200, {"kid": address, "value": _text(made)})


def _call(world: World, request: Request) -> Call:
    vault = world.find(request.path.lower().split("/keys", 1)[0])
    if vault is None:
        raise not_found(vaults.TYPE, request.names["vault"], request.names["group"])
    return Call(world, request, vault, "keys", [])


def _arm_doc(call: Call, entry: dict) -> dict:
    version = entry["versions"][-1]
    uri = f"{call.base}/keys/{entry['name']}"
    attributes = {k: v for k, v in version["attributes"].items() if k != "recoverableDays"}
    return {
        "id": f"{call.vault.doc['id']}/keys/{entry['name']}", "name": entry["name"], "type": "Microsoft.KeyVault/vaults/keys",
        "location": call.vault.doc["location"], "tags": version.get("tags", {}),
        "properties": {
            "kty": version["key"]["kty"], "keySize": version["private"].key_size, "keyOps": version["key"]["key_ops"],
            "keyUri": uri, "keyUriWithVersion": f"{uri}/{version['version']}", "attributes": attributes,
        },
    }  # fmt: skip


def _arm_get(world: World, request: Request) -> Answer:
    call = _call(world, request)
    entry = call.live.get(request.names["name"].lower())
    if entry is None:
        raise Refused(404, "KeyNotFound", f"A key with (name/id) {request.names['name']} was not found in this key vault.")
    return Answer(200, _arm_doc(call, entry))


def _arm_put(world: World, request: Request) -> Answer:
    """Creates what is not there. An existing key stays as it is, and never gets another version."""
    call, name = _call(world, request), request.names["name"]
    if name.lower() not in call.live:
        valid_name(call, name)
        conflict(call, name)
        wanted = request.body["properties"]
        made = _make(call, name, wanted.get("kty") or "RSA", wanted.get("keySize"), wanted.get("keyOps"), request.body.get("tags"))
        made["attributes"] |= wanted.get("attributes") or {}
    return Answer(200, _arm_doc(call, call.live[name.lower()]))


def _arm_list(world: World, request: Request) -> Answer:
    call = _call(world, request)
    return arm.page(world, request, [_arm_doc(call, entry) for entry in call.live.values()])
