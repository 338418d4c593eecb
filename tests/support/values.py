"""Property values on the wire, written without the SDK so that a test may send odd ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

SIG = "4dabf18193072939515e22adb298388d"
SECRET_SIG = "1b47061264138c4ac30d75fd1eb44270"
ASSET_SIG = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIG = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_SIG = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIG = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
BYTES_SIG = "803fd3297a5875dc03ca845dda5d2a98"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWNS = {
    "string": UNKNOWN,
    "bool": "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "number": "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "array": "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "object": "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    "asset": "030794c1-ac77-496b-92df-f27374a8bd58",
    "archive": "e48ece36-62e2-4504-bad9-02848725956a",
}


@dataclass(frozen=True)
class Secret:
    value: Any


class Unknown:
    """An unknown of any type, as decode() returns it."""

    def __repr__(self) -> str:
        return "Unknown"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown)

    __hash__ = object.__hash__


@dataclass(frozen=True)
class Output:
    """An output value; without `known` its value is unknown."""

    value: Any = None
    known: bool = True
    secret: bool = False
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ref:
    """A resource reference; a component has no id."""

    urn: str
    id: Any = None


@dataclass(frozen=True)
class Special:
    """Any other signed object: assets, archives, byte strings."""

    sig: str
    fields: dict[str, Any]


def text_asset(text: str) -> dict:
    return {SIG: ASSET_SIG, "text": text, "hash": hashlib.sha256(text.encode()).hexdigest()}


def plain(value: Any) -> Any:
    """Our classes as the objects that go over the wire. Everything else stays as it is."""
    match value:
        case Secret(inner):
            return {SIG: SECRET_SIG, "value": plain(inner)}
        case Unknown():
            return UNKNOWN
        case Output():
            known = {"value": plain(value.value)} if value.known else {}
            return {SIG: OUTPUT_SIG, **known, "secret": value.secret, "dependencies": list(value.dependencies)}
        case Ref():
            return {SIG: RESOURCE_SIG, "urn": value.urn, **({} if value.id is None else {"id": plain(value.id)})}
        case Special(sig, fields):
            return {SIG: sig, **{k: plain(v) for k, v in fields.items()}}
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return value


def encode(properties: dict[str, Any] | None) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(plain(properties or {}))
    return struct


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties, with Secret, Unknown, Output, Ref and Special in place of signed objects."""
    return {key: value(inner) for key, inner in struct.fields.items()}


def value(wire: struct_pb2.Value) -> Any:
    kind = wire.WhichOneof("kind")
    match kind:
        case "null_value":
            return None
        case "number_value":
            return int(wire.number_value) if wire.number_value.is_integer() else wire.number_value
        case "string_value":
            return Unknown() if wire.string_value in UNKNOWNS.values() else wire.string_value
        case "bool_value":
            return wire.bool_value
        case "list_value":
            return [value(inner) for inner in wire.list_value.values]
        case "struct_value":
            return _object(decode(wire.struct_value))
    raise AssertionError("a Value without a kind: the engine dies of it")


def _object(found: dict[str, Any]) -> Any:
    match sig := found.pop(SIG, None):
        case None:
            return found
        case _ if sig == SECRET_SIG:
            return Secret(found["value"])
        case _ if sig == OUTPUT_SIG:
            depends = tuple(found.get("dependencies", ()))
            return Output(found.get("value"), "value" in found, found.get("secret", False), depends)
        case _ if sig == RESOURCE_SIG:
            return Ref(found["urn"], found.get("id"))
    return Special(sig, found)
