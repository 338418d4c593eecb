"""Azurite, Microsoft's emulator of blob storage, in a process of its own, over TLS."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request

from .azure import CLIENT_ID, CLIENT_SECRET, TENANT, AzureDouble
from .cli import ROOT

PROGRAM = ROOT / ".tools/azurite/node_modules/.bin/azurite-blob"
_VERSION = "2023-11-03"


class Azurite:
    """It takes the tokens of the double and the certificate of its authority."""

    def __init__(self, double: AzureDouble, account: str) -> None:
        self._double, self._account = double, account
        self._context = ssl.create_default_context(cafile=str(double.ca))
        self.lines: list[str] = []

    def __enter__(self) -> Azurite:
        if not PROGRAM.exists():
            raise RuntimeError(f"{PROGRAM} is missing: run `make azurite`")
        files = self._double.ca.parent
        options = ["--blobPort", "0", "--inMemoryPersistence", "--oauth", "basic", "--disableTelemetry", "--skipApiVersionCheck",
                   "--cert", str(files / "server.pem"), "--key", str(files / "server.key")]  # fmt: skip
        # The key is public, and of no use here: tokens let in.
        environment = {"AZURITE_ACCOUNTS": f"{self._account}:{'a2V5' * 16}", "PATH": os.environ["PATH"]}
        self._process = subprocess.Popen([str(PROGRAM), *options], env=environment, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, text=True)  # fmt: skip
        assert self._process.stdout is not None
        late = threading.Timer(60, self._process.kill)
        late.start()
        for line in self._process.stdout:
            self.lines.append(line)
            if found := re.search(r"listens on (https://127\.0\.0\.1:\d+)", line):
                self.url = f"{found[1]}/{self._account}/"
                break
        else:
            raise RuntimeError(f"Azurite ended: {''.join(self.lines)}")
        late.cancel()
        # Whoever does not read what it writes stops it.
        threading.Thread(target=lambda: self.lines.extend(self._process.stdout), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def put(self, path: str, body: bytes = b"", **headers: str) -> None:
        """A container (`name?restype=container`) or a blob (`container/name`)."""
        headers = {"x-ms-version": _VERSION, "Authorization": f"Bearer {self._token()}", **headers}
        request = urllib.request.Request(self.url + path, body, headers, method="PUT")
        with urllib.request.urlopen(request, context=self._context, timeout=30) as answer:
            assert answer.status == 201

    def blob(self, path: str) -> None:
        self.put(path, b"{}", **{"x-ms-blob-type": "BlockBlob"})

    def _token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
                "scope": "https://storage.azure.com/.default"}  # fmt: skip
        url = f"{self._double.url}/{TENANT}/oauth2/v2.0/token"
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), context=self._context) as answer:
            return str(json.load(answer)["access_token"])

