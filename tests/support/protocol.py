"""Helpers of the protocol tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from .provider import details

NAMED, SLOW, MEETING, PANICKING, BARE, GROUP = (
    f"lab:index:{name}" for name in ("Named", "Slow", "Meeting", "Panicking", "Bare", "Group")
)
BUCKET, KEY, POLICY, SECRET, FIELDS, BOOTSTRAP = (
    f"ptd:aws:{name}"
    for name in ("StateBucket", "EncryptionKey", "AdminPolicy", "Secret", "SecretFields", "Bootstrap")
)

DIFF_NONE, DIFF_SOME = 1, 2


def urn(kind: str, name: str = "r") -> str:
    return f"urn:pulumi:dev::app::{kind}::{name}"


def until(condition: Callable[[], object], within: float = 60) -> object:
    """Waits for what another process or thread is about to do."""
    end = time.monotonic() + within
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"it did not happen within {within} s")
        time.sleep(0.005)
    return result


def background(function: Callable, *args, **kwargs) -> Future:
    """The call, in a thread of its own."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(function, *args, **kwargs)
    finally:
        pool.shutdown(wait=False)


@contextmanager
def refused(code: grpc.StatusCode | None = None) -> Iterator[pytest.ExceptionInfo]:
    """The call inside must fail, with that code. Texts are in `.value.details()`."""
    with pytest.raises(grpc.RpcError) as info:
        yield info
    if code is not None:
        assert info.value.code() == code, info.value.details()


def detail(error: BaseException, name: str):
    """The error's detail of that type."""
    found = [one for one in details(error) if one.DESCRIPTOR.name == name]
    assert len(found) == 1, f"{name}: {details(error)} in {error}"
    return found[0]


def kinds(reply) -> dict[str, str]:
    """The detailed diff: path -> kind."""
    return {path: type(entry).Kind.Name(entry.kind) for path, entry in reply.detailedDiff.items()}
