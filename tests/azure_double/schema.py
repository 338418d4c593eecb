"""Shapes of request bodies, read off the models of Microsoft's own clients.

Two generations of generated code are about: one lists its fields in `_attribute_map`, the other in typed class
attributes. Both become the same small tree here.
"""

from __future__ import annotations

import datetime
import functools
import re
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module


@dataclass
class Node:
    """`kind`: object, list, map, any, or what a scalar is."""

    kind: str
    fields: dict[str, Field] = field(default_factory=dict)
    item: Node | None = None
    #: Words of an enumeration. The service takes them in any case.
    words: tuple[str, ...] = ()


@dataclass
class Field:
    node: Node
    required: bool = False
    #: Set by the service. In a request it is ignored, as the service ignores it.
    read_only: bool = False
    limits: dict = field(default_factory=dict)


_SCALARS = {
    "str": "string", "bool": "boolean", "int": "integer", "long": "integer", "float": "number", "iso-8601": "string",
    "rfc-1123": "string", "duration": "string", "object": "any", "base64": "string", "bytearray": "string",
    "unix-time": "integer", "date": "string",
}  # fmt: skip


@functools.cache
def model(module: str, name: str) -> Node:
    """The shape of one model class, e.g. `model("azure.mgmt.keyvault.models", "VaultCreateOrUpdateParameters")`."""
    return _of_class(getattr(import_module(module), name))


_classes: dict[type, Node] = {}


def _of_class(cls: type) -> Node:
    if cls not in _classes:
        node = _classes[cls] = Node("object")
        (_fill_from_map if hasattr(cls, "_attribute_map") else _fill_from_hints)(node, cls)
    return _classes[cls]


def _fill_from_map(node: Node, cls: type) -> None:
    module = sys.modules[cls.__module__]
    validation = cls._validation
    for attribute, entry in cls._attribute_map.items():
        if attribute == "additional_properties":
            node.item = Node("any")
            continue
        path = [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", entry["key"])]
        rules = dict(validation.get(attribute, {}))
        made = Field(
            _of_text(entry["type"], module, _words(cls, attribute)),
            required=rules.pop("required", False),
            read_only=rules.pop("readonly", False),
            limits=rules,
        )
        parent = node
        for part in path[:-1]:
            below = parent.fields.setdefault(part, Field(Node("object")))
            below.required |= made.required
            parent = below.node
        parent.fields[path[-1]] = made


def _words(cls: type, attribute: str) -> tuple[str, ...]:
    """The known values, which this generation of models names in prose only."""
    text = re.search(rf":ivar {attribute}: (.*?):vartype", cls.__doc__ or "", re.S)
    known = re.search(r"(?:Known values are|Known values are one of): (.*?)(?:\.\s|$)", text[1], re.S) if text else None
    return tuple(re.findall(r'"([^"]+)"', known[1])) if known else ()


def _of_text(text: str, module: types.ModuleType, words: tuple[str, ...] = ()) -> Node:
    if text[0] in "[{":
        return Node("list" if text[0] == "[" else "map", item=_of_text(text[1:-1], module, words))
    if text in _SCALARS:
        return Node(_SCALARS[text], words=words if text == "str" else ())
    return _of_class(getattr(module, text))


def _fill_from_hints(node: Node, cls: type) -> None:
    cls.__new__(cls)  # The first instance completes the class.
    package = sys.modules[cls.__module__.rsplit(".", 1)[0]]
    hints = typing.get_type_hints(cls, localns={"_models": package, "_types": package})
    for attribute, rest in cls._attr_to_rest_field.items():
        hint = hints[attribute]
        node.fields[rest._rest_name] = Field(
            _of_hint(hint, rest._format),
            required=type(None) not in typing.get_args(hint) and rest._visibility != ["read"],
            read_only=rest._visibility == ["read"],
        )


def _of_hint(hint: object, form: str | None) -> Node:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [_of_hint(part, form) for part in parts if part is not type(None)]
        words = tuple(word for node in found for word in node.words)
        return Node(found[0].kind, found[0].fields, found[0].item, words)
    if origin is list:
        return Node("list", item=_of_hint(parts[0], form))
    if origin is dict:
        return Node("map", item=_of_hint(parts[1], form))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Node("string", words=tuple(str(word.value) for word in hint))
    if isinstance(hint, type) and hasattr(hint, "_attr_to_rest_field"):
        return _of_class(hint)
    if hint is datetime.datetime:
        return Node("integer" if form == "unix-timestamp" else "string")
    return Node({str: "string", bool: "boolean", int: "integer", float: "number", bytes: "string"}.get(hint, "any"))


def problems(node: Node, value: object, path: str = "", patch: bool = False) -> Iterator[str]:
    """What the service's own model would refuse in a request body."""
    here = path or "the body"
    match node.kind, value:
        case "any", _:
            return
        case "object", dict():
            yield from _object_problems(node, value, path, patch)
        case "map", dict():
            for key, item in value.items():
                yield from problems(node.item, item, f"{path}[{key}]", patch)
        case "list", list():
            for index, item in enumerate(value):
                yield from problems(node.item, item, f"{path}[{index}]", patch)
        case "string", str():
            if node.words and value.lower() not in {word.lower() for word in node.words}:
                yield f"{here}: {value!r} is none of {', '.join(node.words)}"
        case ("boolean", bool()) | ("number", float()):
            return
        case ("integer" | "number"), int() if not isinstance(value, bool):
            return
        case _:
            yield f"{here}: {type(value).__name__} where {node.kind} is expected"


def _object_problems(node: Node, value: dict, path: str, patch: bool) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    for name, entry in node.fields.items():
        if entry.required and not entry.read_only and not patch and value.get(name) is None:
            yield f"{prefix}{name}: is required"
    for name, item in value.items():
        entry = node.fields.get(name)
        if entry is None:
            if node.item is None:
                yield f"{prefix}{name}: no such property"
        elif not entry.read_only and item is not None:
            yield from problems(entry.node, item, prefix + name, patch)
            yield from _limit_problems(entry.limits, item, prefix + name)


def _limit_problems(limits: dict, value: object, path: str) -> Iterator[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    length = len(value) if isinstance(value, str | list) else None
    if "pattern" in limits and isinstance(value, str) and not re.search(limits["pattern"], value):
        yield f"{path}: does not match {limits['pattern']}"
    if number and value < limits.get("minimum", value) or number and value > limits.get("maximum", value):
        yield f"{path}: {value} is out of range"
    if length is not None and not limits.get("min_length", 0) <= length <= limits.get("max_length", length):
        yield f"{path}: its length {length} is out of range"
