"""Networks between the plugin and AWS: certificates, a corporate proxy, and a slow line."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass
class Certificates:
    """A private authority and one server certificate of it, in PEM files."""

    #: For AWS_CA_BUNDLE or SSL_CERT_FILE.
    authority: Path
    certificate: Path
    key: Path

    @property
    def server(self) -> tuple[str, str]:
        """For `FaultProxy(tls=...)`."""
        return str(self.certificate), str(self.key)


def make_certificates(folder: Path, region: str = "us-east-2") -> Certificates:
    """Valid for this machine, and for the AWS endpoints of a region (see ConnectProxy)."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)

    def builder(name: str, issuer: str, key) -> x509.CertificateBuilder:
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer)]
        return (
            x509.CertificateBuilder()
            .subject_name(names[0])
            .issuer_name(names[1])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=7))
        )

    root_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = (
        builder("test authority", "test authority", root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    names = ["localhost", "*.amazonaws.com", f"*.{region}.amazonaws.com", f"*.s3.{region}.amazonaws.com"]
    alternatives = [x509.DNSName(name) for name in names] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        builder("localhost", "test authority", leaf_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    made = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    made.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


@contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nobody listens; nobody else gets it, either."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


class _Server:
    """A TCP server with an event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = 0

    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=2048))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._client(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _splice(self, reader, writer, host: str, port: int, delay: float = 0.0) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        try:
            await asyncio.gather(
                self._pump(reader, far_writer, delay), self._pump(far_reader, writer, delay), return_exceptions=True
            )
        finally:
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        """Moves bytes; each arrives `delay` later, and none waits for the one before."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def receive() -> None:
            chunk = b"-"
            while chunk:
                try:
                    chunk = await reader.read(65536)
                except OSError:
                    chunk = b""
                await line.put((self._loop.time() + delay, chunk))

        task = asyncio.ensure_future(receive())
        try:
            while True:
                due, chunk = await line.get()
                if (wait := due - self._loop.time()) > 0:
                    await asyncio.sleep(wait)
                if not chunk:
                    break
                writer.write(chunk)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            task.cancel()


class DelayProxy(_Server):
    """A line to `host:port` with a round-trip time, as TCP feels it: opening a connection costs one more."""

    def __init__(self, host: str, port: int, round_trip: float) -> None:
        super().__init__()
        self._target, self.round_trip = (host, port), round_trip
        self.connections = 0

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await asyncio.sleep(self.round_trip)
        await self._splice(reader, writer, *self._target, self.round_trip / 2)


class ConnectProxy(_Server):
    """A corporate proxy, for HTTPS_PROXY: accepts CONNECT only.

    `route` may lead a host elsewhere, for example every AWS endpoint to a `FaultProxy` with `tls`:
    ConnectProxy(lambda host, port: ("127.0.0.1", proxy.port)).
    """

    def __init__(self, route: Callable[[str, int], tuple[str, int] | None] = lambda host, port: (host, port)) -> None:
        super().__init__()
        self._route = route
        #: What clients asked for, as "host:port".
        self.connected: list[str] = []
        #: Their Proxy-Authorization headers.
        self.authorization: list[str] = []

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        for line in head.split("\r\n"):
            name, _, text = line.partition(":")
            if name.lower() == "proxy-authorization":
                self.authorization.append(text.strip())
        if method != "CONNECT":
            writer.write(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
            return
        self.connected.append(target)
        host, _, port = target.rpartition(":")
        goal = self._route(host, int(port))
        if goal is None:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await self._splice(reader, writer, *goal)
