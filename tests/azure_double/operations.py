"""Long-running operations: what runs, for how long, and how it ends."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .wire import Answer

@dataclass
class Rule:
    """What a test wants of the operations that match; `times` of them, or all."""

    #: Kind of operation, e.g. `PUT managedClusters`, a regular expression.
    kind: str = ".*"
    path: str = ".*"
    #: Seconds of the double's clock.
    duration: float | None = None
    #: How many polls see it in progress.
    polls: int | None = None
    outcome: str = "Succeeded"
    error: dict | None = None
    #: The provisioning state left behind, where that is not the outcome.
    state: str | None = None
    times: int | None = None


@dataclass
class Operation:
    id: str
    kind: str
    path: str
    ends: float
    polls: int
    started: str
    #: Called once, at the end, with the outcome and the state to leave behind.
    finish: Callable[[str, str], None]
    outcome: str = "Succeeded"
    error: dict | None = None
    state: str = "Succeeded"
    status: str = "InProgress"
    word: str = "InProgress"
    #: The answer at the end of a `Location`, computed when it is asked for.
    result: Callable[[], Any] | None = None
    ended: str = ""
    #: The addresses it can be asked after at.
    urls: set[str] = field(default_factory=set)


@dataclass
class Operations:
    clock: Clock
    rules: list[Rule] = field(default_factory=list)
    duration: float = 0.0
    polls: int = 1
    #: Milliseconds a client is asked to wait; 0 asks for nothing, as the Kubernetes service does.
    retry_after_ms: int = 20
    known: dict[str, Operation] = field(default_factory=dict)

    def start(self, kind: str, path: str, finish: Callable[[str, str], None], **extra: Any) -> Operation:
        """`kind` is the method and the type, e.g. `PUT managedClusters`."""
        rule = next((r for r in self.rules if re.search(r.kind, kind) and re.search(r.path, path, re.I)), Rule())
        if rule.times is not None:
            rule.times -= 1
            if not rule.times:
                self.rules.remove(rule)
        made = Operation(
            id=str(uuid.uuid4()),
            kind=kind,
            path=path.lower(),
            ends=self.clock.now() + (self.duration if rule.duration is None else rule.duration),
            polls=self.polls if rule.polls is None else rule.polls,
            started=self.clock.text(),
            finish=finish,
            outcome=rule.outcome,
            error=rule.error,
            state=rule.state or rule.outcome,
            **extra,
        )
        self.known[made.id] = made
        self.settle(made)
        return made

    def running(self, path: str) -> Operation | None:
        """The operation on this resource or below it that has not ended."""
        low = path.lower()
        return next(
            (o for o in self.known.values()
             if o.status == "InProgress" and (o.path == low or o.path.startswith(low + "/"))), None,
        )  # fmt: skip

    def tick(self) -> None:
        for operation in list(self.known.values()):
            self.settle(operation)

    def settle(self, operation: Operation) -> None:
        if operation.status == "InProgress" and operation.polls <= 0 and operation.ends <= self.clock.now():
            self.end(operation, operation.outcome, operation.state)

    def end(self, operation: Operation, outcome: str, state: str) -> None:
        operation.status = operation.word = outcome
        operation.ended = self.clock.text()
        operation.finish(outcome, state)

    def seen(self, path: str) -> None:
        """A read of a resource counts as a poll of what runs on it, as a client may follow it that way."""
        low = path.lower()
        for operation in self.known.values():
            if operation.path == low:
                operation.polls -= 1

    def hint(self) -> dict[str, str]:
        return {"retry-after-ms": str(self.retry_after_ms)} if self.retry_after_ms else {}

    def status_answer(self, operation: Operation) -> Answer:
        """Of the operation's own address. A failed operation is a 200, too."""
        self.settle(operation)
        body = {"name": str(uuid.uuid4()), "status": operation.word, "startTime": operation.started}
        if operation.status == "InProgress":
            operation.polls -= 1
            return Answer(200, body, self.hint())
        body["endTime"] = operation.ended
        if operation.status != "Succeeded":
            body["error"] = operation.error or {"code": f"Operation{operation.status}", "message": "it did not work"}
        return Answer(200, body)

    def location_answer(self, operation: Operation) -> Answer:
        """Of a `Location`: 202 for as long as it runs."""
        self.settle(operation)
        if operation.status == "InProgress":
            operation.polls -= 1
            return Answer(202, None, self.hint())
        if operation.status != "Succeeded":
            return Answer(409, {"error": operation.error or {"code": "OperationFailed", "message": "it did not work"}})
        body = operation.result() if operation.result else None
        return Answer(200, body)
