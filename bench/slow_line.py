"""A TCP line with a round-trip time, as a process of its own: `python slow_line.py HOST PORT SECONDS [CERTIFICATE KEY]`.

It prints its port and then serves until its standard input ends. Every byte arrives half a round trip later, each way, and a
new connection costs a round trip more, as it does over a real network. With a certificate it speaks TLS to clients; the
handshake's messages are delayed like all others. Each SIGUSR1 prints how many connections there were.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path


class _End(asyncio.Protocol):
    """One end of a connection: what arrives here leaves at the other end `delay` later."""

    def __init__(self, delay: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.delay = delay
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self._early: list[bytes | None] = []

    def connection_made(self, transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = transport
        early, self._early = self._early, []
        for data in early:
            self.deliver(data)

    def data_received(self, data: bytes) -> None:
        self._pass_on(data)

    def connection_lost(self, error) -> None:
        self._pass_on(None)

    def _pass_on(self, data: bytes | None) -> None:
        if self.other is None:
            return
        if self.delay:
            self._loop.call_later(self.delay, self.other.deliver, data)
        else:
            self.other.deliver(data)

    def deliver(self, data: bytes | None) -> None:
        """None is the end."""
        if self.transport is None:
            self._early.append(data)
        elif data is None:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write(data)


class _Front(_End):
    """The client's end, which opens the other one."""

    opened = 0

    def __init__(self, target: tuple[str, int], round_trip: float) -> None:
        super().__init__(round_trip / 2)
        self._target, self._round_trip = target, round_trip
        self.other = _End(self.delay)
        self.other.other = self

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        _Front.opened += 1
        self._loop.call_later(self._round_trip, lambda: self._loop.create_task(self._open()))

    async def _open(self) -> None:
        try:
            await self._loop.create_connection(lambda: self.other, *self._target)
        except OSError:
            self.deliver(None)


async def _serve(target: tuple[str, int], round_trip: float, certificate: list[str]) -> None:
    loop = asyncio.get_running_loop()
    if certificate:
        # Behind the delay, so that the handshake crosses the line too.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        goal = target
        inner = await loop.create_server(lambda: _Front(goal, 0), "127.0.0.1", 0, ssl=context, backlog=2048)
        target = inner.sockets[0].getsockname()[:2]
    server = await loop.create_server(lambda: _Front(target, round_trip), "127.0.0.1", 0, backlog=2048)
    # Behind TLS every connection is there twice.
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(_Front.opened // (2 if certificate else 1), flush=True))
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class SlowLine:
    """The line, for those who measure: `with SlowLine("http://127.0.0.1:5000", 0.05) as line: ... line.url`."""

    def __init__(self, url: str, round_trip: float, certificate: tuple[str, str] | None = None) -> None:
        self._tls = certificate is not None
        host, port = url.removeprefix("http://").rsplit(":", 1)
        self._command = [sys.executable, str(Path(__file__)), host, port, str(round_trip), *(certificate or ())]

    def __enter__(self) -> SlowLine:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the slow line did not start")
        # By name, which a certificate can be for.
        self.url = f"{'https://localhost' if self._tls else 'http://127.0.0.1'}:{int(line)}"
        return self

    @property
    def connections(self) -> int:
        """How many were opened so far."""
        self._process.send_signal(signal.SIGUSR1)
        return int(self._process.stdout.readline())

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_serve((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]), sys.argv[4:]))
