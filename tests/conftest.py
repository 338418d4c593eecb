"""Fixtures of the end-to-end tests: the real CLI, the real plugin, an emulated AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import cli, inner  # noqa: E402
from support.azure import AzureDouble  # noqa: E402
from support.azure_cloud import Azure, config as azure_config  # noqa: E402
from support.engine import Callbacks  # noqa: E402
from support.moto import REGION, Moto  # noqa: E402
from support.network import Certificates, make_certificates  # noqa: E402
from support.provider import ProviderProcess  # noqa: E402
from support.proxy import FaultProxy  # noqa: E402
from support.services import kube_call, kube_get, kubernetes, kubernetes_server, postgres, postgres_server  # noqa: E402, F401
from support.strict import strict  # noqa: E402
from support.values import Secret  # noqa: E402
from support.vault import Vault  # noqa: E402
from support.workload import example  # noqa: E402, F401


@pytest.fixture(scope="session")
def plugin_bin() -> Path:
    """The plugin under test. `make build` makes it."""
    binary = cli.plugin_binary()
    if not binary.exists():
        pytest.fail(f"{binary} is missing: run `make build`")
    return binary


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One PULUMI_HOME a session, so that no schema of an older plugin is served from its cache."""
    return tmp_path_factory.mktemp("pulumi-home")


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """The session's emulator. Tests take `moto`."""
    with Moto(tmp_path_factory.mktemp("moto") / "moto.log") as server:
        server.warm()
        yield server


@pytest.fixture
def moto(moto_server: Moto) -> Moto:
    """The emulator, empty."""
    moto_server.reset()
    return moto_server


@pytest.fixture
def boto(moto: Moto) -> Callable:
    """`boto("s3")`, `boto("kms", account="...")`: boto3 clients that reach the emulator directly."""
    return moto.client


@pytest.fixture(scope="session")
def _proxy_server(moto_server: Moto) -> Iterator[FaultProxy]:
    with FaultProxy(moto_server.url) as server:
        yield server


@pytest.fixture
def proxy(moto: Moto, _proxy_server: FaultProxy) -> FaultProxy:
    """The proxy in front of the emulator: no faults, no calls counted. `workspace` goes through it."""
    _proxy_server.reset()
    return _proxy_server


@pytest.fixture
def aws_env(moto: Moto, proxy: FaultProxy) -> dict[str, str]:
    """Credentials, region and the proxy as the endpoint."""
    return {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": proxy.url, **moto.account()}


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureDouble]:
    """The session's double of Azure. Tests take `azure`."""
    with AzureDouble(tmp_path_factory.mktemp("azure")) as server:
        yield server


@pytest.fixture
def azure(azure_server: AzureDouble) -> Iterator[AzureDouble]:
    """The double, empty. A request that no service would take fails the test."""
    azure_server.reset()
    yield azure_server
    assert azure_server.violations() == []


@pytest.fixture
def cloud(launch: Callable[..., ProviderProcess], azure: AzureDouble) -> Azure:
    """A provider on the double, and what a program would do to one resource."""
    return Azure(lambda **more: launch(env={"SSL_CERT_FILE": str(azure.ca)}).ready(azure_config(azure, **more)), azure)


@pytest.fixture(scope="session")
def vault() -> Iterator[Vault]:
    """What encrypts the secrets of the tests' own stacks."""
    with Vault() as server:
        yield server


@pytest.fixture
def cli_env(plugin_bin: Path, pulumi_home: Path, tmp_path: Path, vault: Vault) -> dict[str, str]:
    """The environment `pulumi` runs in, with a backend of the test's own; no AWS."""
    env = cli.cli_env(pulumi_home, tmp_path / "backend", sys.executable) | vault.env
    if not shutil.which("pulumi", path=env["PATH"]):
        pytest.fail("no pulumi on PATH or in .tools: run `make tools`")
    return env


@pytest.fixture
def new_workspace(cli_env: dict[str, str], aws_env: dict[str, str], tmp_path: Path) -> Callable[..., cli.Workspace]:
    """`new_workspace("name", AWS_REGION="...")`: further projects, all on one backend."""

    def make(name: str = "app", **env: str) -> cli.Workspace:
        return cli.Workspace(tmp_path / "projects" / name, cli_env | aws_env | env, name)

    return make


@pytest.fixture
def workspace(new_workspace: Callable[..., cli.Workspace]) -> cli.Workspace:
    """A project whose AWS calls go through `proxy` to `moto`."""
    return new_workspace()


@pytest.fixture
def callbacks() -> Iterator[Callbacks]:
    """The fake engine: `.engine`, `.monitor`, `.status`, `.address`."""
    with Callbacks() as server:
        yield server


@pytest.fixture
def launch(plugin_bin: Path, callbacks: Callbacks, aws_env: dict[str, str]) -> Iterator[Callable[..., ProviderProcess]]:
    """`launch(*args, engine=..., env=...)`: a provider process, ended with the test. `engine=None` for attach mode."""
    started: list[ProviderProcess] = []

    def start(*args: str, env: dict[str, str] | None = None, **options) -> ProviderProcess:
        base = cli.base_env() | {"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1,localhost"} | aws_env
        provider = ProviderProcess(plugin_bin, *args, env=base | (env or {}), **({"engine": callbacks.address} | options))
        started.append(strict(provider))
        return provider

    yield start
    for provider in started:
        provider.stop()


@pytest.fixture
def launch_lab(callbacks: Callbacks) -> Iterator[Callable[..., ProviderProcess]]:
    """Like `launch`, for the framework's own test provider, which needs no cloud."""
    binary = cli.ROOT / "target/debug/examples/conformance"
    if not binary.exists():
        pytest.fail(f"{binary} is missing: run `make test-provider`")
    started: list[ProviderProcess] = []

    def start(*args: str, env: dict[str, str] | None = None, **options) -> ProviderProcess:
        provider = ProviderProcess(
            binary, *args, env=cli.base_env() | (env or {}), **({"engine": callbacks.address} | options)
        )
        started.append(strict(provider))
        return provider

    yield start
    for provider in started:
        provider.stop()


@pytest.fixture
def lab(launch_lab: Callable[..., ProviderProcess]) -> ProviderProcess:
    """The test provider after Handshake and Configure."""
    return launch_lab().ready({"token": Secret("token-of-the-lab"), "door": "front"})


@pytest.fixture
def provider(launch: Callable[..., ProviderProcess]) -> ProviderProcess:
    """A provider after Handshake and Configure."""
    return launch().ready()


@pytest.fixture(scope="session")
def pulumi_version(pulumi_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    env = cli.cli_env(pulumi_home, tmp_path_factory.mktemp("backend"), sys.executable)
    return subprocess.check_output(["pulumi", "version"], env=os.environ | env, text=True).strip()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and a server certificate for https on this machine and for AWS's own endpoints."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def pipeline(workspace: cli.Workspace, tmp_path: Path) -> inner.Pipeline:
    """An outer program, still empty, and a backend for inner stacks."""
    return inner.Pipeline(workspace, tmp_path)


@pytest.fixture
def other_cli(pipeline: inner.Pipeline, tmp_path: Path) -> Callable[[str], str]:
    """Puts a shell script in the place of the CLI that runs inner stacks."""
    real = shutil.which("pulumi", path=pipeline.outer.env["PATH"])
    folder = tmp_path / "other-cli"
    folder.mkdir()

    def place(text: str) -> str:
        file = folder / "pulumi"
        file.write_text(f"#!/bin/sh\n{text}\nexec {real} \"$@\"\n")
        file.chmod(0o755)
        return f"{folder}{os.pathsep}{pipeline.outer.env['PATH']}"

    return place
