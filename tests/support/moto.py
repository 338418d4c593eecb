"""The AWS emulator: a moto server in a process of its own, and boto3 clients for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

REGION = "us-east-2"
#: The account every plain key belongs to.
ACCOUNT = "123456789012"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-of-the-emulator"}  # pragma: allowlist secret


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Moto:
    """`env` reaches the server, e.g. MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS="false"."""

    def __init__(self, log: Path, **env: str) -> None:
        self._log, self._env = log, env
        self._process: subprocess.Popen | None = None
        self._clients: dict[tuple, object] = {}
        self._accounts: dict[str, dict[str, str]] = {}
        self.url = ""

    def start(self) -> Moto:
        # Its own port is to be known to it before it starts, and somebody else may take that meanwhile.
        for _ in range(5):
            if self._started(free_port()):
                return self
        raise RuntimeError(f"moto found no port:\n{self._log.read_text()[-2000:]}")

    def _started(self, port: int) -> bool:
        """Starts it there; not when that port is somebody else's."""
        self.url = f"http://127.0.0.1:{port}"
        with self._log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-p", str(port)],
                stdout=log,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | self._env,
            )
        # Loading it takes seconds, and minutes where a build has all the processors.
        end = time.monotonic() + 300
        while True:
            ended = self._process.poll() is not None
            told = self._log.read_bytes()[begin:].decode(errors="replace")
            if ended and "in use" in told:
                return False
            if ended:
                raise RuntimeError(f"moto ended:\n{told[-2000:]}")
            try:
                # Before it says so itself, it may be another server that answers.
                if f"Running on {self.url}" in told:
                    self._request("GET", "data.json")
                    return True
            except OSError as error:
                problem: OSError | None = error
            else:
                problem = None
            if time.monotonic() > end:
                self.stop()
                raise RuntimeError("moto does not answer") from problem
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _request(self, method: str, path: str, body: str | None = None) -> bytes:
        request = urllib.request.Request(
            f"{self.url}/moto-api/{path}",
            method=method,
            data=None if body is None else body.encode(),
            headers={"Content-Type": "text/plain"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def reset(self) -> None:
        """Empties every account and region, and stops checking permissions."""
        self._request("POST", "reset", "")
        self._request("POST", "reset-auth", "inf")
        # Assumed keys mean the default account after a reset, and S3 clients remember what regions a proxy invented.
        for key in [key for key in self._clients if any(key[2:])]:
            del self._clients[key]
        self._accounts.clear()

    def enforce_permissions(self, after: int | str = 0) -> None:
        """Checks signatures and policies from now on (`after` more calls); reset() ends it."""
        self._request("POST", "reset-auth", str(after))

    def warm(self) -> None:
        """Makes the emulator load the services, so that the first timed call does not."""
        self.client("s3").list_buckets()
        self.client("kms").list_aliases()
        self.client("iam").list_policies(Scope="Local")
        self.client("sts").get_caller_identity()
        self.client("secretsmanager").list_secrets()

    def account(self, account: str = ACCOUNT, role: str = "test") -> dict[str, str]:
        """Environment variables with keys of that account."""
        if account == ACCOUNT:
            return dict(KEYS)
        if account not in self._accounts:
            arn = f"arn:aws:iam::{account}:role/{role}"
            keys = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
            self._accounts[account] = {
                "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
                "AWS_SESSION_TOKEN": keys["SessionToken"],
            }
        return self._accounts[account]

    def client(self, service: str, region: str = REGION, account: str | None = None, *,
               keys: dict[str, str] | None = None, endpoint: str | None = None):
        """A boto3 client; with `endpoint` one that goes through a proxy."""
        token = keys["AWS_ACCESS_KEY_ID"] if keys else None
        cached = (service, region, account, token, endpoint)
        if cached not in self._clients:
            keys = keys or self.account(account or ACCOUNT)
            self._clients[cached] = boto3.session.Session().client(
                service,
                region_name=region,
                endpoint_url=endpoint or self.url,
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=keys.get("AWS_SESSION_TOKEN"),
                config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, max_pool_connections=64),
            )
        return self._clients[cached]
