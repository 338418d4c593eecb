"""The secrets provider of the tests' own stacks: Vault's transit engine, as far as the CLI uses it.

A passphrase costs every command a million rounds of hashing, which is most of what a small update costs; what the tests are about is
not how the CLI encrypts.
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.fernet import Fernet

PROVIDER = "hashivault://tests"
_TOKEN = "token-of-the-tests"


class Vault:
    """One key, for as long as the process lives."""

    def __init__(self) -> None:
        lock = Fernet(Fernet.generate_key())

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers.get("X-Vault-Token") != _TOKEN:
                    return self.answer(403, {"errors": ["permission denied"]})
                if self.path == "/v1/transit/encrypt/tests":
                    sealed = lock.encrypt(b64decode(given["plaintext"])).decode()
                    return self.answer(200, {"data": {"ciphertext": f"vault:v1:{sealed}"}})
                if self.path == "/v1/transit/decrypt/tests":
                    opened = lock.decrypt(given["ciphertext"].removeprefix("vault:v1:").encode())
                    return self.answer(200, {"data": {"plaintext": b64encode(opened).decode()}})
                return self.answer(404, {"errors": [f"no handler for {self.path}"]})

            do_POST = do_PUT

            def answer(self, status: int, body: dict) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Vault:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def env(self) -> dict[str, str]:
        """With it, `pulumi` opens stacks of this provider."""
        return {"VAULT_ADDR": f"http://127.0.0.1:{self._server.server_port}", "VAULT_TOKEN": _TOKEN}
