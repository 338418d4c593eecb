"""What holds for every reply of a provider, checked on each call that a test makes."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2_grpc, status_pb2

from . import values

_SIGNATURES = {
    values.SECRET_SIG, values.ASSET_SIG, values.ARCHIVE_SIG, values.RESOURCE_SIG, values.OUTPUT_SIG, values.BYTES_SIG,
}  # fmt: skip


class Violation(AssertionError):
    """The provider broke the protocol: with this reply a real engine would fail or store nonsense."""


def structs(message) -> Iterator[tuple[str, struct_pb2.Struct]]:
    """The property maps of a message, by field name."""
    for descriptor, value in message.ListFields():
        if isinstance(value, struct_pb2.Struct):
            yield descriptor.name, value


def walk(value: struct_pb2.Value, path: str) -> Iterator[tuple[str, str]]:
    """Everything wrong with a value, and every unknown in it, as (path, problem)."""
    match value.WhichOneof("kind"):
        case None:
            yield path, "a value without a kind"
        case "number_value" if not math.isfinite(value.number_value):
            yield path, "a number that JSON cannot hold"
        case "string_value" if value.string_value in values.UNKNOWNS.values():
            yield path, "unknown"
        case "list_value":
            for i, item in enumerate(value.list_value.values):
                yield from walk(item, f"{path}[{i}]")
        case "struct_value":
            fields = value.struct_value.fields
            if values.SIG in fields:
                signature = fields[values.SIG].string_value
                if signature not in _SIGNATURES:
                    yield path, f"signature {signature}"
                if signature == values.SECRET_SIG and "value" not in fields:
                    yield path, "a secret without a value"
                if signature == values.OUTPUT_SIG and "value" not in fields:
                    yield path, "unknown"
            for key, item in fields.items():
                yield from walk(item, f"{path}.{key}")


def problems(message) -> list[tuple[str, str]]:
    return [
        found for name, struct in structs(message) for key, item in struct.fields.items()
        for found in walk(item, f"{name}.{key}")
    ]  # fmt: skip


def _has_unknown(message) -> bool:
    return any(problem == "unknown" for _, problem in problems(message))


def _may_be_unknown(method: str, request) -> bool:
    match method:
        case "Check" | "CheckConfig":
            return _has_unknown(request)
        case "Create" | "Update":
            return request.preview
        # In an update too: a child that is not among the targets has no known outputs, and the engine drops those.
        case "Construct" | "Call":
            return True
    return False


def check_reply(method: str, request, reply) -> None:
    allowed = _may_be_unknown(method, request)
    found = [(path, problem) for path, problem in problems(reply) if not (allowed and problem == "unknown")]
    if found:
        raise Violation(f"{method}: {found}")
    required = {"Check": "inputs", "CheckConfig": "inputs", "Create": "properties", "Update": "properties"}
    if method in required and not reply.HasField(required[method]):
        raise Violation(f"{method}: {required[method]} is not set")
    if method == "Create" and not request.preview and not reply.id:
        raise Violation("Create: no id")
    if method in ("Diff", "DiffConfig"):
        if reply.changes not in (1, 2) or not reply.hasDetailedDiff:
            raise Violation(f"{method}: changes {reply.changes}, detailed {reply.hasDetailedDiff}")
        if reply.changes == 1 and (reply.replaces or reply.diffs or reply.detailedDiff):
            raise Violation(f"{method}: no changes, and yet some")


def check_error(method: str, error: grpc.RpcError) -> None:
    blob = next((value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"), None)
    if blob is None:
        return
    inner = status_pb2.Status.FromString(blob)
    if inner.code != error.code().value[0]:
        raise Violation(f"{method}: code {inner.code} inside, {error.code()} outside: the engine drops the details")
    names = [detail.type_url.rsplit("/", 1)[-1] for detail in inner.details]
    if names.count("pulumirpc.ErrorCause") > 1:
        raise Violation(f"{method}: {names}: the engine panics on a second cause")
    from .provider import details

    for detail in details(error):
        found = [(path, problem) for path, problem in problems(detail)]
        if found:
            raise Violation(f"{method}: {found}")
        if detail.DESCRIPTOR.name == "ErrorResourceInitFailed":
            if not detail.HasField("properties") or not detail.reasons or (method == "Create" and not detail.id):
                raise Violation(f"{method}: a partial failure with nothing to store: {detail}")


class _Interceptor(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, seen: dict[str, int]) -> None:
        self._seen, self._lock = seen, threading.Lock()

    def intercept_unary_unary(self, continuation, client_call_details, request):
        call = continuation(client_call_details, request)
        method = client_call_details.method
        method = (method.decode() if isinstance(method, bytes) else method).rsplit("/", 1)[-1]
        with self._lock:
            self._seen[method] = self._seen.get(method, 0) + 1
        if error := call.exception():
            if isinstance(error, grpc.RpcError):
                check_error(method, error)
        else:
            check_reply(method, request, call.result())
        return call


def strict(provider):
    """From now on each reply is checked; `provider.seen` counts them by method."""
    provider.seen = {}
    provider.plain_channel = provider.channel
    provider.stub = provider_pb2_grpc.ResourceProviderStub(
        grpc.intercept_channel(provider.channel, _Interceptor(provider.seen))
    )
    return provider
