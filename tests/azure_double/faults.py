"""Scripted trouble: what a test wants to happen to the requests that match."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .wire import Request


@dataclass
class Fault:
    method: str = ".*"
    #: A regular expression, searched for in path and query without regard to case.
    path: str = ".*"
    #: Headers that the request has to have, by name in lower case.
    only: dict[str, str] = field(default_factory=dict)
    #: How many of the matching requests pass before it begins, and how many it then catches (all, if None).
    skip: int = 0
    times: int | None = 1
    #: The answer instead of the double's own. With `when="after"` the request has its effect all the same.
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    #: JSON, or a string that is sent as it is.
    body: Any = None
    #: The answer is an error that quotes what was sent.
    echo: bool = False
    when: str = "before"
    #: Instead of an answer the connection is cut.
    drop: bool = False
    #: Seconds of real time before the answer.
    delay: float = 0.0
    #: No answer before `/_double/release`.
    hang: bool = False

    def takes(self, request: Request) -> bool:
        if not re.fullmatch(self.method, request.method) or not re.search(self.path, request.target, re.I):
            return False
        if any(request.headers.get(name) != value for name, value in self.only.items()):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            if not self.times:
                return False
            self.times -= 1
        return True


@dataclass
class Bucket:
    """A rate limit: so many at once, and so many a second after that."""

    method: str = ".*"
    path: str = ".*"
    burst: float = 1
    per_second: float = 1.0
    status: int = 429
    headers: dict[str, str] = field(default_factory=dict)
    tokens: float | None = None
    at: float = 0.0

    def refuses(self, request: Request, clock: Clock) -> float | None:
        """The seconds to wait, if this request is one too many."""
        if not re.fullmatch(self.method, request.method) or not re.search(self.path, request.target, re.I):
            return None
        now = clock.now()
        left = self.burst if self.tokens is None else min(self.burst, self.tokens + (now - self.at) * self.per_second)
        self.at, self.tokens = now, left
        if left >= 1:
            self.tokens = left - 1
            return None
        return (1 - left) / self.per_second


class Faults:
    def __init__(self) -> None:
        self.all: list[Fault] = []
        self.buckets: list[Bucket] = []
        self.released = threading.Event()

    def of(self, request: Request) -> Fault | None:
        return next((fault for fault in self.all if fault.takes(request)), None)

    def reset(self) -> None:
        self.all.clear()
        self.buckets.clear()
        self.released.set()
        self.released = threading.Event()
