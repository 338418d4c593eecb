#!/usr/bin/env python3
"""The machines behind the workload examples: an emulated AWS, PostgreSQL, and a Kubernetes API server with its etcd.

    tools/workload_env.py start    starts what does not run yet
    tools/workload_env.py env      prints the variables that reach it, for a shell to evaluate
    tools/workload_env.py stop     ends all of it and forgets what it held

Everything lies under .demo-pipeline in the checkout, or under the folder that WORKLOAD_ENV names. Ports are free ones.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"
REGION = "us-east-2"
UNPRIVILEGED = "nobody"
# Requests to this machine never go through a proxy.
_OPENER = urllib.request.ProxyHandler({})


class NotStarted(Exception):
    """A service did not come up; the text ends with what it logged."""


def find(name: str, *folders: Path | str) -> Path:
    """A program, from .tools or from the machine."""
    path = os.pathsep.join([*map(str, folders), str(TOOLS / "bin"), os.environ.get("PATH", "")])
    if not (found := shutil.which(name, path=path)):
        raise NotStarted(f"{name} is missing: run `make workload-env`")
    return Path(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _started(pid: int) -> str:
    """When the process was started, in the kernel's ticks; empty when there is none. Tells it from a later one's id."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


@dataclass
class Process:
    """A process that outlives whoever started it."""

    pid: int
    started: str

    @classmethod
    def launch(cls, command: list, log: Path, env: dict[str, str] | None = None) -> Process:
        with log.open("ab") as file:
            child = subprocess.Popen(
                [*map(str, command)], stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env, start_new_session=True,
                cwd=log.parent,
            )  # fmt: skip
        return cls(child.pid, _started(child.pid))

    @property
    def alive(self) -> bool:
        return bool(self.started) and _started(self.pid) == self.started

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Asks, waits ten seconds, then insists."""
        for number, seconds in ((how, 10), (signal.SIGKILL, 5)):
            if self.alive:
                os.kill(self.pid, number)
            end = time.monotonic() + seconds
            while self.alive and time.monotonic() < end:
                try:
                    os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:
                    pass
                time.sleep(0.02)


def wait_until(ready, process: Process, what: str, log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            return ready()
        except Exception as error:
            if not process.alive or time.monotonic() > end:
                text = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                process.stop()
                raise NotStarted(f"{what} did not start ({error}):\n{text}") from error
        time.sleep(0.05)


class Service:
    """One of them, in a folder of its own; `facts` is what its users need and what finds it again."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.log = self.folder / f"{self.name}.log"
        self._file = self.folder / "facts.json"
        self.facts: dict = {}
        self.processes: list[Process] = []
        if self._file.exists():
            self.facts = json.loads(self._file.read_text())
            self.processes = [Process(**one) for one in self.facts.pop("processes")]

    @property
    def running(self) -> bool:
        return bool(self.processes) and all(process.alive for process in self.processes)

    def start(self) -> Service:
        """Starts afresh, unless it runs."""
        if not self.running:
            self.stop()
            for again in (True, True, False):
                self.folder.mkdir(parents=True)
                try:
                    self.facts = self.launch()
                    break
                except BaseException as error:
                    for process in reversed(self.processes):
                        process.stop()
                    # A port that was free a moment ago may be somebody's by now.
                    if not (again and isinstance(error, NotStarted) and "already in use" in str(error)):
                        raise
                    self.stop()
            self._file.touch(mode=0o600)
            self._file.write_text(json.dumps({**self.facts, "processes": [asdict(one) for one in self.processes]}))
        return self

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop(self.signal)
        self.processes = []
        shutil.rmtree(self.folder, ignore_errors=True)

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    signal = signal.SIGTERM

    def launch(self) -> dict:
        raise NotImplementedError

    def run(self, command: list, ready, log: Path | None = None, env: dict[str, str] | None = None) -> None:
        """Starts a process of the service, and waits until `ready` raises no error."""
        log = log or self.log
        process = Process.launch(command, log, env)
        self.processes.append(process)
        wait_until(ready, process, log.stem, log)


class Aws(Service):
    """moto."""

    name = "aws"

    @property
    def url(self) -> str:
        return self.facts["url"]

    def launch(self) -> dict:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        env = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        answers = urllib.request.build_opener(_OPENER).open
        self.run([sys.executable, "-m", "moto.server", "-p", port], lambda: answers(f"{url}/moto-api/data.json", timeout=5), env=env)
        return {"url": url}

    def warm(self) -> None:
        """Makes it load the services that the examples use, so that none of their resources waits for that."""
        import boto3

        keys = {"aws_access_key_id": "demo", "aws_secret_access_key": "demo"}
        session = boto3.session.Session(region_name=REGION, **keys)
        for service, call in {
            "sts": "get_caller_identity", "iam": "list_roles", "s3": "list_buckets", "kms": "list_aliases",
            "secretsmanager": "list_secrets", "ec2": "describe_vpcs", "rds": "describe_db_instances", "eks": "list_clusters",
            "route53": "list_hosted_zones", "acm": "list_certificates", "fsx": "describe_file_systems", "ds": "describe_directories",
        }.items():  # fmt: skip
            getattr(session.client(service, endpoint_url=self.url), call)()


class Postgres(Service):
    """PostgreSQL with the usual extensions. It refuses to be root, so root starts it as another user."""

    name = "postgres"
    # Its clients do not hold it up.
    signal = signal.SIGINT

    @property
    def url(self) -> str:
        return self.facts["url"]

    @property
    def port(self) -> int:
        return self.facts["port"]

    @property
    def password(self) -> str:
        return self.facts["password"]

    def connect(self, database: str = "postgres", **login: str):
        """A psycopg connection, as the superuser unless `user` and `password` say otherwise."""
        import psycopg

        login = {"user": "postgres", "password": self.password} | login
        return psycopg.connect(host="127.0.0.1", port=self.port, dbname=database, autocommit=True, connect_timeout=5, **login)

    def launch(self) -> dict:
        own = TOOLS / "debian"
        programs = [*sorted(own.glob("usr/lib/postgresql/*/bin")), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
        initdb, postgres = (find(name, *programs) for name in ("initdb", "postgres"))
        data, password, prefix = self.folder / "data", secrets.token_urlsafe(18), []
        env = {**os.environ, "LC_ALL": "C"}
        if libraries := [str(path) for part in ("usr/lib", "lib") for path in own.glob(f"{part}/*-linux-gnu")]:
            env["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
        data.mkdir(mode=0o700)
        (hidden := self.folder / "password").touch(mode=0o600)
        hidden.write_text(password)
        if os.geteuid() == 0:
            if hidden_by := [path for path in postgres.parents if not path.stat().st_mode & 0o001]:
                raise NotStarted(
                    f"PostgreSQL is not started by root, and others cannot enter {hidden_by[0]}, where it lies: "
                    "install PostgreSQL on the machine, or move the checkout"
                )
            for path in (data, hidden):
                shutil.chown(path, UNPRIVILEGED)
            # The capability lets it pass through folders that are root's alone, such as root's home.
            prefix = ["setpriv", f"--reuid={UNPRIVILEGED}", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]
        made = subprocess.run(
            [*prefix, initdb, "-D", data, "-U", "postgres", f"--pwfile={hidden}", "--auth=scram-sha-256", "-E", "UTF8", "--no-sync"],
            env=env, cwd=self.folder, capture_output=True, text=True,
        )  # fmt: skip
        hidden.unlink()
        if made.returncode:
            raise NotStarted(f"initdb failed:\n{made.stdout}{made.stderr}")
        self.facts = {"port": free_port(), "password": password}
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "shared_buffers": "16MB",
            # Nothing here outlives the machine.
            "fsync": "off", "jit": "off",
        }  # fmt: skip
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        self.run([*prefix, postgres, "-D", data, *arguments], lambda: self.connect().close(), env=env)
        return {**self.facts, "url": f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"}


class Kubernetes(Service):
    """An API server with etcd. No controllers: nothing runs pods, finishes namespaces or collects garbage."""

    name = "kubernetes"

    @property
    def kubeconfig(self) -> Path:
        """The file with address and credentials of a cluster administrator."""
        return self.folder / "kubeconfig"

    def launch(self) -> dict:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        store, peers, port = free_port(), free_port(), free_port()
        stored, token, server = f"http://127.0.0.1:{store}", secrets.token_urlsafe(24), f"https://127.0.0.1:{port}"
        plain = urllib.request.build_opener(_OPENER)
        etcd = find("etcd", TOOLS / "debian/usr/bin")
        self.run(
            [etcd, "--data-dir", self.folder / "etcd", "--listen-client-urls", stored, "--advertise-client-urls", stored,
             "--listen-peer-urls", f"http://127.0.0.1:{peers}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peers}",
             "--initial-cluster", f"default=http://127.0.0.1:{peers}", "--logger", "zap"],
            lambda: plain.open(f"{stored}/health", timeout=5), self.folder / "etcd.log",
        )  # fmt: skip
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        secret, certificates = self.folder / "accounts.key", self.folder / "certificates"
        for path, text in (
            (secret, key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()),
            (tokens := self.folder / "tokens.csv", f'{token},admin,admin,"system:masters"\n'),
        ):  # fmt: skip
            path.touch(mode=0o600)
            path.write_text(text)

        def ready() -> None:
            trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificates / "apiserver.crt"))
            request = urllib.request.Request(f"{server}/readyz", headers={"Authorization": f"Bearer {token}"})
            urllib.request.build_opener(_OPENER, trust).open(request, timeout=5)

        self.run(
            [find("kube-apiserver"), f"--etcd-servers={stored}", f"--service-account-key-file={secret}",
             f"--service-account-signing-key-file={secret}", f"--service-account-issuer={server}", f"--cert-dir={certificates}",
             f"--secure-port={port}", "--bind-address=127.0.0.1", f"--token-auth-file={tokens}", "--authorization-mode=RBAC",
             "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount"],
            ready, self.folder / "kube-apiserver.log",
        )  # fmt: skip
        authority = base64.b64encode((certificates / "apiserver.crt").read_bytes()).decode()
        self.kubeconfig.touch(mode=0o600)
        # JSON is YAML.
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "workload-env",
            "clusters": [{"name": "workload-env", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "workload-env-admin", "user": {"token": token}}],
            "contexts": [{"name": "workload-env", "context": {"cluster": "workload-env", "user": "workload-env-admin"}}],
        }, indent=1))  # fmt: skip
        return {"server": server, "token": token}


def folder() -> Path:
    return Path(os.environ.get("WORKLOAD_ENV") or ROOT / ".demo-pipeline").resolve()


def services() -> tuple[Aws, Postgres, Kubernetes]:
    return Aws(folder()), Postgres(folder()), Kubernetes(folder())


def start() -> None:
    where = folder()
    where.mkdir(parents=True, exist_ok=True)
    known = [service for service in services() if service.running]
    if len(known) < 3:
        # All hold what the programs' state describes: with one of them new, the others' contents mean nothing.
        stop()
        (where / "state").mkdir(parents=True)
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            aws, *others = services()
            runs = [pool.submit(lambda: aws.start().warm()), *(pool.submit(service.start) for service in others)]
        failed = [error for run in runs if (error := run.exception())]
        if failed:
            stop()
            raise failed[0]
        print(f"AWS emulator, PostgreSQL and Kubernetes API server started in {time.monotonic() - began:.1f} s", file=sys.stderr)


def stop() -> None:
    for service in services():
        service.stop()
    shutil.rmtree(folder(), ignore_errors=True)


def env() -> None:
    aws, postgres, kubernetes = services()
    if not all(service.running for service in (aws, postgres, kubernetes)):
        raise NotStarted("the environment does not run: tools/workload_env.py start")
    where, python = folder(), ROOT / ".venv/bin/python"
    values = {
        "PULUMI_HOME": where / "home",
        "PULUMI_BACKEND_URL": f"file://{where}/state",
        "PULUMI_CONFIG_PASSPHRASE": "demo",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PTD_TEST_PYTHON": python,
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": where / "no-config",
        "AWS_SHARED_CREDENTIALS_FILE": where / "no-credentials",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "WORKLOAD_DATABASE_SERVER": postgres.url,
        "WORKLOAD_KUBECONFIG": kubernetes.kubeconfig,
        "KUBECONFIG": kubernetes.kubeconfig,
    }
    print("unset AWS_PROFILE AWS_SESSION_TOKEN PULUMI_ACCESS_TOKEN PULUMI_STACK")
    print(f"export PATH={shlex.quote(f'{TOOLS}/bin:{ROOT}/.venv/bin')}:\"$PATH\"")
    for key, value in values.items():
        print(f"export {key}={shlex.quote(str(value))}")


def main() -> int:
    commands = {"start": start, "stop": stop, "env": env}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    python = ROOT / ".venv/bin/python"
    if sys.argv[1] == "start" and Path(sys.prefix) != ROOT / ".venv" and python.exists():
        # The emulator and the clients are there.
        os.execv(python, [str(python), *sys.argv])
    try:
        commands[sys.argv[1]]()
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
