"""A proxy in front of the AWS emulator that counts, delays, breaks and replaces calls.

    with FaultProxy(moto.url) as proxy:
        proxy.latency = 0.05
        proxy.faults = Faults(throttle=0.1, error=0.1, cut=0.05, lost=0.05, slow=0.05, seed=7)
        proxy.rule(replies.access_denied, operation="EnableKeyRotation")
        proxy.after_write(3, lambda call: plugin.kill())
        ... clients use proxy.url as AWS_ENDPOINT_URL ...
        assert proxy.writes() == []
"""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from . import aws_replies
from .aws_calls import Call, classify
from .aws_replies import Cut, Reply

Answer = Callable[[Call], "Reply | type[Cut] | None"]
Matcher = Callable[[Call], bool]


@dataclass
class Faults:
    """Probabilities, drawn for every call that no rule answers."""

    #: A throttling answer; the call is not carried out.
    throttle: float = 0.0
    #: A 500; the call is not carried out.
    error: float = 0.0
    #: The connection is reset before the call is carried out.
    cut: float = 0.0
    #: The call is carried out, and the connection is reset instead of an answer.
    lost: float = 0.0
    #: The call is carried out, and the answer comes `slow_seconds` later.
    slow: float = 0.0
    slow_seconds: float = 1.0
    seed: int = 1
    #: Which calls may be hit; all of them without it.
    only: Matcher | None = None
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, call: Call) -> str | None:
        if self.only and not self.only(call):
            return None
        value = self._random.random()
        for name in ("throttle", "error", "cut", "lost", "slow"):
            value -= getattr(self, name)
            if value < 0:
                return name
        return None


@dataclass
class _Rule:
    answer: Answer
    matches: Matcher
    name: str
    times: int | None
    after: bool


@dataclass
class _Hook:
    number: int
    function: Callable[[Call], None]
    matches: Matcher
    deliver: bool
    seen: int = 0


def matcher(
    operation: str | None = None,
    *,
    service: str | None = None,
    resource: str | None = None,
    write: bool | None = None,
    where: Matcher | None = None,
) -> Matcher:
    """All given conditions together; `resource` matches as a substring."""

    def matches(call: Call) -> bool:
        return (
            (operation is None or call.operation == operation)
            and (service is None or call.service == service)
            and (resource is None or resource in call.resource)
            and (write is None or call.write == write)
            and (where is None or where(call))
        )

    return matches


class FaultProxy:
    """Runs in a thread of its own. With `tls` (certificate file, key file) it speaks HTTPS to clients."""

    def __init__(self, upstream: str, *, tls: tuple[str, str] | None = None, host: str = "127.0.0.1") -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._tls, self._host = tls, host
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._started = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task] = set()
        self.port = 0
        self.reset()
        self._thread = threading.Thread(target=self._serve, name="fault-proxy", daemon=True)

    # What tests set and ask.

    def reset(self) -> None:
        """Forgets calls, rules, hooks, faults and latency."""
        with self._lock:
            self.calls: list[Call] = []
            self._rules: list[_Rule] = []
            self._hooks: list[_Hook] = []
            #: Seconds added to every call (one round trip).
            self.latency = 0.0
            self.faults: Faults | None = None
            #: Most calls that were under way at the same time. Slow ones of before do not count.
            self.peak = self.in_flight = 0
            self._era = object()

    def forget_calls(self) -> None:
        """Forgets what was counted, keeps the rest."""
        with self._lock:
            self.calls, self.peak = [], 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else self._host}:{self.port}"

    def rule(self, answer: Answer, operation: str | None = None, *, times: int | None = None,
             after: bool = False, name: str = "rule", **conditions) -> None:
        """Answers matching calls with `answer(call)`: a Reply, Cut, or None to let the call pass.

        The first matching rule counts. `times` bounds its use; with `after` the call is carried out first.
        """
        with self._lock:
            self._rules.append(_Rule(answer, matcher(operation, **conditions), name, times, after))

    def after(self, number: int, function: Callable[[Call], None], *, deliver: bool = False, **conditions) -> None:
        """Calls `function` once, when the emulator has answered the `number`th (from 1) matching call.

        The client gets that answer afterwards with `deliver`; without it the connection is cut.
        """
        with self._lock:
            self._hooks.append(_Hook(number, function, matcher(**conditions), deliver))

    def after_write(self, number: int, function: Callable[[Call], None], *, deliver: bool = False, **conditions) -> None:
        """`after`, counting writes only."""
        self.after(number, function, deliver=deliver, write=True, **conditions)

    def select(self, operation: str | None = None, **conditions) -> list[Call]:
        """The calls so far that meet the conditions of `matcher`."""
        matches = matcher(operation, **conditions)
        with self._lock:
            return [call for call in self.calls if matches(call)]

    def count(self, operation: str | None = None, **conditions) -> int:
        return len(self.select(operation, **conditions))

    def counts(self, **conditions) -> Counter[str]:
        """How often each operation was called."""
        return Counter(call.operation for call in self.select(**conditions))

    def writes(self) -> list[str]:
        """The writes so far, as text: what a preview must leave empty."""
        return [str(call) for call in self.select(write=True)]

    # The life of the server.

    def start(self) -> FaultProxy:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fault proxy did not start")
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        context = None
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
            context.set_alpn_protocols(["http/1.1"])
        server = self._loop.run_until_complete(
            asyncio.start_server(self._client, self._host, 0, ssl=context, limit=1 << 20, backlog=2048)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    # One connection.

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_request(reader, writer):
                answer = await self._exchange(*request)
                if answer is Cut:
                    writer.transport.abort()
                    return
                writer.write(_encode(answer, request[0]))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _exchange(self, method: str, path: str, headers: dict[str, str], raw: list, body: bytes):
        call = classify(method, path, headers, body)
        call.at = time.monotonic() - self._started
        with self._lock:
            self.calls.append(call)
            call.number = len(self.calls)
            era = self._era
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            answer = await self._answer(call, raw)
            call.status = None if answer is Cut else answer.status
            return answer
        finally:
            call.seconds = time.monotonic() - self._started - call.at
            with self._lock:
                self.in_flight -= self._era is era

    async def _answer(self, call: Call, raw: list):
        rule, fault = self._choose(call)
        if rule:
            reply = await self._forward(call, raw) if rule.after else None
            answer = rule.answer(call)
            if answer is not None:
                call.fault = rule.name
                return answer
            return await self._forward(call, raw) if reply is None else await self._finish(call, reply)
        call.fault = fault
        if fault == "throttle":
            return aws_replies.throttled(call)
        if fault == "error":
            return aws_replies.internal(call)
        if fault == "cut":
            return Cut
        answer = await self._finish(call, await self._forward(call, raw))
        if fault == "slow":
            await asyncio.sleep(self.faults.slow_seconds if self.faults else 0)
        return Cut if fault == "lost" else answer

    def _choose(self, call: Call) -> tuple[_Rule | None, str | None]:
        with self._lock:
            for rule in self._rules:
                if rule.times != 0 and rule.matches(call):
                    if rule.times is not None:
                        rule.times -= 1
                    return rule, None
            return None, self.faults.draw(call) if self.faults else None

    async def _finish(self, call: Call, reply: Reply):
        """Runs the hooks that wait for this call, before its answer goes out."""
        due = []
        with self._lock:
            for hook in self._hooks:
                if hook.matches(call):
                    hook.seen += 1
                    if hook.seen == hook.number:
                        due.append(hook)
        for hook in due:
            await self._loop.run_in_executor(None, hook.function, call)
        return reply if all(hook.deliver for hook in due) else Cut

    async def _forward(self, call: Call, raw: list) -> Reply:
        call.forwarded = True
        try:
            reader, writer = await asyncio.open_connection(*self._upstream, limit=1 << 20)
            try:
                head = [f"{call.method} {call.path} HTTP/1.1"]
                head += [f"{k}: {v}" for k, v in raw if k.lower() not in _HOP]
                head += ["Connection: close", f"Content-Length: {len(call.body)}", "", ""]
                writer.write("\r\n".join(head).encode("latin-1") + call.body)
                await writer.drain()
                return await _read_reply(reader, call.method)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError) as error:
            return Reply(502, f"the emulator does not answer: {error}".encode())


_HOP = {"connection", "content-length", "transfer-encoding", "expect", "keep-alive", "proxy-connection"}


async def _head(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]] | None:
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = text[:-4].split("\r\n")
    return first, [(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return body


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
    head = await _head(reader)
    if head is None:
        return None
    first, raw = head
    method, path, _ = first.split(" ", 2)
    if path.startswith("http://"):  # a client that takes this for its HTTP proxy
        parts = urlsplit(path)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {k.lower(): v for k, v in raw}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunked(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, path, headers, raw, body


async def _read_reply(reader: asyncio.StreamReader, method: str) -> Reply:
    head = await _head(reader)
    if head is None:
        raise asyncio.IncompleteReadError(b"", None)
    first, raw = head
    status, headers = int(first.split(" ", 2)[1]), {k.lower(): v for k, v in raw}
    if status == 100:
        return await _read_reply(reader, method)
    if method == "HEAD" or status in (204, 304):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunked(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Reply(status, body, dict(raw))


def _encode(reply: Reply, method: str) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Answer"]
    length = str(len(reply.body))
    for key, value in reply.headers.items():
        if key.lower() == "content-length" and method == "HEAD":
            length = value
        if key.lower() not in _HOP:
            lines.append(f"{key}: {value}")
    lines += [f"Content-Length: {length}", "Connection: keep-alive", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if method == "HEAD" else reply.body)
