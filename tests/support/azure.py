"""The Azure double in a process of its own, and what tests tell it."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT_ID = "33333333-3333-3333-3333-333333333333"
CLIENT_SECRET = "secret-of-the-double"
LOCATION = "eastus2"


class AzureDouble:
    """See tests/azure_double: `control.py` has what can be asked for, `faults.py` and `operations.py` the words for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen | None = None
        self._local = threading.local()
        self.url = ""
        self.port = 0
        #: The authority to trust, a PEM file.
        self.ca = Path()

    def __enter__(self) -> AzureDouble:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "double.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "azure_double", "--state-dir", str(self._folder)],
                cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the Azure double ended:\n{(self._folder / 'double.log').read_text()[-2000:]}")
        started = json.loads(line)
        self.url, self.port, self.ca = started["url"], started["port"], Path(started["ca"])
        self._context = ssl.create_default_context(cafile=str(self.ca))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None and self._process.stdout is not None
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()

    def _connection(self) -> http.client.HTTPSConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self._context, timeout=130)
        return self._local.connection

    def _control(self, name: str, **body: Any) -> dict:
        connection = self._connection()
        try:
            connection.request("POST", f"/_double/{name}", json.dumps(body))
            answer = connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        if answer.status != 200:
            raise AssertionError(f"{name}: {found['error']}")
        return found

    def reset(self) -> None:
        """Nothing exists, nothing is scripted, and nothing was ever asked."""
        self._control("reset")

    @property
    def env(self) -> dict[str, str]:
        """What a user of azure-native has in the environment."""
        return {
            "ARM_SUBSCRIPTION_ID": SUBSCRIPTION, "ARM_TENANT_ID": TENANT, "ARM_CLIENT_ID": CLIENT_ID,
            "ARM_CLIENT_SECRET": CLIENT_SECRET, "ARM_LOCATION": LOCATION, "ARM_ENDPOINT": self.url,
            "AZURE_AUTHORITY_HOST": self.url, "SSL_CERT_FILE": str(self.ca),
        }  # fmt: skip

    def settings(self, **values: Any) -> dict:
        """`Settings` in world.py; also `duration`, `polls` and `retry_after_ms` of operations."""
        return self._control("settings", **values)

    def fault(self, method: str, path: str, **what: Any) -> None:
        """What happens to requests whose method and path and query match; see faults.py. Earlier ones come first."""
        self._control("fault", method=method, path=path, **what)

    def calm(self) -> None:
        """No faults any more."""
        self._control("calm")

    def bucket(self, method: str, path: str, **what: Any) -> None:
        self._control("bucket", method=method, path=path, **what)

    def release(self) -> None:
        """Answers what hangs."""
        self._control("release")

    def operation(self, kind: str, **what: Any) -> None:
        """How operations of a kind run from now on, e.g. `("PUT managedClusters", duration=1200, polls=0)`."""
        self._control("operation", kind=kind, **what)

    def advance(self, seconds: float) -> None:
        self._control("advance", seconds=seconds)

    def expire_tokens(self) -> None:
        self._control("expire_tokens")

    def requests(self, method: str = ".*", path: str = ".*", since: int = 0) -> list[dict]:
        """What was asked, in order: method, path, target (with the query), body, status, answer, at."""
        return [
            entry for entry in self._control("log", since=since)["log"]
            if re.fullmatch(method, entry["method"]) and re.search(path, entry["target"], re.I)
        ]  # fmt: skip

    def writes(self, since: int = 0) -> list[tuple[str, str]]:
        """Method and path of what could have changed something; tokens aside."""
        return [
            (entry["method"], entry["path"]) for entry in self.requests("PUT|PATCH|POST|DELETE", since=since)
            if "/oauth2/" not in entry["path"]
        ]  # fmt: skip

    def mark(self) -> int:
        """For `since`: how much has been asked so far."""
        return len(self._control("log")["log"])

    def wait(self, method: str, path: str, count: int = 1, **more: Any) -> list[dict]:
        """Until so many such requests have arrived; `answered=True`: until they are answered, too."""
        found = self._control("await", method=method, path=path, count=count, **more)
        assert found["found"], f"{count} × {method} {path} did not come, but {len(found['log'])}"
        return found["log"]

    def violations(self) -> list[str]:
        """Requests that no service would take."""
        return self._control("log")["violations"]

    def resources(self) -> dict[str, dict]:
        """Everything there is, by id in lower case."""
        return self._control("resources")

    def get(self, path: str) -> dict:
        return self.resources()[path.lower()]

    def put(self, path: str, **doc: Any) -> None:
        """A resource as somebody else made it."""
        self._control("put", id=path, doc=doc)

    def mutate(self, path: str, patch: dict) -> dict:
        """Somebody else changes a resource: a merge patch."""
        return self._control("mutate", id=path, patch=patch)

    def objects(self, vault: str) -> dict:
        """What a vault holds: `secrets` with the values of all versions, `keys` with their number."""
        return self._control("objects", id=vault)

    def remove(self, path: str) -> None:
        self._control("remove", id=path)

    def upgrade(self, path: str, version: str, busy: float = 0.0) -> dict:
        """The service upgrades a cluster with its pools on its own, and is busy for so many of its seconds."""
        return self._control("upgrade", id=path, version=version, busy=busy)

    def operations(self) -> list[dict]:
        return self._control("operations")["operations"]

    def group_id(self, group: str) -> str:
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"

    def make_group(self, group: str, location: str = LOCATION, **more: Any) -> str:
        path = self.group_id(group)
        self.put(path, type="Microsoft.Resources/resourceGroups", location=location,
                 properties={"provisioningState": "Succeeded"}, **more)  # fmt: skip
        return path
