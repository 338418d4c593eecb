"""PostgreSQL and the Kubernetes API server as fixtures; `tools/workload_env.py` starts them for people."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .cli import ROOT


def _load():
    """The module behind tools/workload_env.py, which is a program."""
    spec = importlib.util.spec_from_file_location("workload_env", ROOT / "tools/workload_env.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


workload_env = _load()
Postgres, Kubernetes = workload_env.Postgres, workload_env.Kubernetes


def _serve(kind: type, folder: Path) -> Iterator:
    try:
        service = kind(folder).start()
    except workload_env.NotStarted as error:
        pytest.fail(str(error))
    with service:
        yield service


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The session's server. Tests take `postgres`."""
    yield from _serve(Postgres, tmp_path_factory.mktemp("postgres"))


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """The server without roles and databases but its own: `.url`, `.connect()`."""
    with postgres_server.connect() as live:
        for (name,) in live.execute("SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template[01])$'").fetchall():
            live.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        for (name,) in live.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^(postgres$|pg_)'").fetchall():
            live.execute(f'DROP ROLE "{name}"')
    return postgres_server


@pytest.fixture(scope="session")
def kubernetes_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """The session's API server. Tests take `kubernetes`."""
    yield from _serve(Kubernetes, tmp_path_factory.mktemp("kubernetes"))


@pytest.fixture
def kubernetes(kubernetes_server: Kubernetes) -> Kubernetes:
    """The API server: `.kubeconfig`. Not emptied: give objects names of the test's own, or delete them."""
    return kubernetes_server


@pytest.fixture
def kube_call(kubernetes: Kubernetes) -> Callable[..., dict | None]:
    """`kube_call("POST", path, body, dryRun="All")`: what the API server answers, or None when there is no such thing."""
    import yaml
    from kubernetes import client, config

    api = config.new_client_from_config_dict(yaml.safe_load(kubernetes.kubeconfig.read_text()))

    def call(method: str, path: str, body: dict | None = None, **query: str) -> dict | None:
        try:
            options = {"auth_settings": ["BearerToken"], "response_type": "object", "_return_http_data_only": True}
            return api.call_api(path, method, query_params=list(query.items()), body=body, **options)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise

    return call


@pytest.fixture
def kube_get(kube_call: Callable[..., dict | None]) -> Callable[[str], dict | None]:
    """`kube_get("/api/v1/namespaces/x")`: the object as the API server has it, or None."""
    return functools.partial(kube_call, "GET")
