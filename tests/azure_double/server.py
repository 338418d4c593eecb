"""One TLS port for everything, a thread for each connection, and one request at a time at the heart of it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import aks, authority, groups, keys, pools, roles, secrets, storage, vault_objects, vaults
from .arm import Arm, further_tokens
from .control import Control
from .faults import Fault, Faults
from .wire import Answer, Flat, Refused, Request
from .world import World, new_guid

_FURTHER = "x-ms-authorization-auxiliary"
#: Answers that never reach a log in the clear.
_HIDDEN = {"authorization", _FURTHER}


class Double:
    def __init__(self) -> None:
        self.world = World()
        self.faults = Faults()
        self.log: list[dict[str, Any]] = []
        #: Held while a request is answered; told of every arrival and every answer.
        self.changed = threading.Condition()
        self.arm = Arm()
        for service in (groups, vaults, keys, storage, roles, aks, pools):
            service.add(self.arm)
        self.control = Control(self)

    def reset(self) -> None:
        self.world.reset()
        self.faults.reset()
        self.log = []

    def arrive(self, request: Request) -> tuple[dict[str, Any], Fault | None]:
        with self.changed:
            entry = {
                "seq": len(self.log), "at": self.world.clock.now(), "method": request.method, "path": request.path,
                "target": request.target, "query": request.query, "headers": _shown(request.headers),
                "body": _json(request.raw), "status": None, "answer": None, "fault": False,
            }  # fmt: skip
            self.log.append(entry)
            fault = self.faults.of(request)
            entry["fault"] = fault is not None
            self.changed.notify_all()
        return entry, fault

    def answered(self, entry: dict[str, Any], answer: Answer | None) -> None:
        with self.changed:
            entry["status"] = answer.status if answer else 0
            entry["answer"] = _json(answer.raw) if answer else None
            entry["took"] = self.world.clock.now() - entry["at"]
            self.changed.notify_all()

    def answer(self, request: Request) -> Answer | None:
        """The double's own answer; None cuts the connection."""
        with self.changed:
            for bucket in self.faults.buckets:
                if (wait := bucket.refuses(request, self.world.clock)) is not None:
                    body = {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}}
                    return Answer(bucket.status, body, {"Retry-After": str(max(1, round(wait)))} | bucket.headers)
            self.world.operations.tick()
            try:
                answer = self._dispatch(request)
            except (Refused, Flat) as refused:
                answer = refused.answer
            if answer is not None:
                # What is sent is what was true at this moment.
                answer = Answer(answer.status, json.loads(json.dumps(answer.body)) if _plain(answer.body) else answer.body,
                                answer.headers)  # fmt: skip
            self.world.operations.tick()
            return answer

    def _dispatch(self, request: Request) -> Answer | None:
        if request.path.lower().startswith("/subscriptions/") or request.path.lower().startswith("/providers/"):
            return self.arm.answer(self.world, request)
        if request.path.startswith("/vaults/"):
            kinds = {"secrets": secrets.write, "keys": keys.write}
            return vault_objects.answer(self.world, request, kinds)
        if "/oauth2/" in request.path or "/.well-known/" in request.path:
            return authority.answer(self.world, request)
        self.world.violations.append(f"{request.method} {request.target}: nothing is there")
        raise Refused(404, "NotFound", f"nothing is at {request.path}")


def _plain(body: Any) -> bool:
    return body is not None and not isinstance(body, bytes)


def _shown(headers: dict[str, str]) -> dict[str, str]:
    shown = {key: "[hidden]" if key in _HIDDEN else value for key, value in headers.items()}
    if _FURTHER in headers:
        # Whose they are may be seen.
        shown[_FURTHER] = " ".join(token["tid"] for token in further_tokens(headers[_FURTHER]))
    return shown


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    double: Double

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            self.connection.do_handshake()
            super().handle()
        except OSError:
            pass  # The client went away, which tests do on purpose.

    def _serve(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self._read(headers))
        if request.path.startswith("/_double/"):
            self._send(request, self.double.control.answer(request))
            return
        entry, fault = self.double.arrive(request)
        answer = self._answer(request, fault)
        self.double.answered(entry, answer)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(request, answer)

    def _answer(self, request: Request, fault: Fault | None) -> Answer | None:
        if fault is None:
            return self.double.answer(request)
        own = self.double.answer(request) if fault.when == "after" else None
        if fault.hang:
            self.double.faults.released.wait(120)
        time.sleep(fault.delay)
        if fault.drop:
            return None
        if fault.echo:
            text = f"cannot take {request.raw.decode()}"
            return Answer(fault.status or 400, {"error": {"code": "BadParameter", "message": text}}, fault.headers)
        if fault.status is None and fault.body is None:
            own = own or self.double.answer(request)
            if own is not None:
                own.headers = {**own.headers, **fault.headers}
            return own
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        return Answer(fault.status or 200, body, fault.headers)

    def _read(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(headers.get("content-length", 0)))

    def _send(self, request: Request, answer: Answer) -> None:
        raw = answer.raw
        headers = {
            "Content-Type": "application/json; charset=utf-8", "x-ms-request-id": new_guid(),
            "x-ms-correlation-request-id": new_guid(), "x-ms-routing-request-id": f"DOUBLE:{new_guid()}",
        } | answer.headers  # fmt: skip
        self.send_response(answer.status)
        for key, value in headers.items():
            self.send_header(key, value)
        if client := request.headers.get("x-ms-client-request-id"):
            self.send_header("x-ms-client-request-id", client)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if request.method != "HEAD" and answer.status != 204:
            self.wfile.write(raw)
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_PATCH = do_POST = do_DELETE = _serve  # noqa: N815


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, double: Double, port: int, certificate: str, key: str) -> None:
        super().__init__(("127.0.0.1", port), type("Handler", (_Handler,), {"double": double}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake happens in the connection's own thread, so that nobody can hold up the others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        double.world.base = f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        import traceback

        traceback.print_exc()
