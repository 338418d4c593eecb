"""Requests, answers and errors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    raw: bytes = b""

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.path = unquote(parts.path).rstrip("/") or "/"
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        #: Path parts by name, filled in by the route.
        self.names: dict[str, str] = {}

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


@dataclass
class Answer:
    status: int = 200
    #: JSON, unless it is bytes.
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Refused(Exception):
    """An error answer in ARM's envelope."""

    def __init__(self, status: int, code: str, message: str, *, target: str | None = None, inner: str | None = None,
                 **headers: str) -> None:
        super().__init__(message)
        error: dict[str, Any] = {"code": code, "message": message}
        if target:
            error["target"] = target
        if inner:
            error["innererror"] = {"code": inner}
        self.answer = Answer(status, {"error": error}, headers)


class Flat(Exception):
    """An error answer as the Kubernetes service gives it: without an envelope."""

    def __init__(self, status: int, code: str, message: str, *, subcode: str = "", target: str = "") -> None:
        super().__init__(message)
        body = {"code": code, "details": None, "message": message, "subcode": subcode}
        self.answer = Answer(status, body | ({"target": target} if target else {}))


def merge(base: dict, over: dict) -> dict:
    """`over` on top of `base`, object by object; null removes, as in a merge patch."""
    made = dict(base)
    for key, value in over.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict) and isinstance(made.get(key), dict):
            made[key] = merge(made[key], value)
        else:
            made[key] = value
    return made


def same_place(one: str, other: str) -> bool:
    return one.lower().replace(" ", "") == other.lower().replace(" ", "")
