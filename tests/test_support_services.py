"""The services that examples and tests run against, themselves."""

from __future__ import annotations

import subprocess
import sys

from support.cli import ROOT, base_env
from support.services import workload_env


def test_postgres_is_empty_for_each_test_and_has_the_extensions(postgres):
    with postgres.connect() as live:
        assert live.execute("SELECT count(*) FROM pg_database WHERE NOT datistemplate").fetchone() == (1,)
        live.execute("CREATE ROLE somebody LOGIN PASSWORD 'x'")
        live.execute("CREATE DATABASE something OWNER somebody")
    with postgres.connect("something", user="somebody", password="x") as live:
        live.execute("CREATE EXTENSION pg_trgm")
        live.execute('CREATE EXTENSION "uuid-ossp"')


def test_postgres_is_empty_again(postgres):
    test_postgres_is_empty_for_each_test_and_has_the_extensions(postgres)


def test_the_api_server_answers(kube_get):
    assert kube_get("/version")["gitVersion"] == "v1.34.1"
    assert kube_get("/api/v1/namespaces/kube-system")["metadata"]["name"] == "kube-system"
    assert kube_get("/api/v1/namespaces/nothing") is None


def test_a_process_is_never_taken_for_a_later_one_with_its_id(tmp_path):
    process = workload_env.Process.launch(["sleep", "60"], tmp_path / "log")
    other = workload_env.Process(process.pid, "1")
    assert process.alive and not other.alive
    other.stop()
    assert process.alive
    process.stop()
    assert not process.alive


def test_env_without_a_running_environment_says_what_to_do(tmp_path):
    found = subprocess.run(
        [sys.executable, ROOT / "tools/workload_env.py", "env"],
        env=base_env() | {"WORKLOAD_ENV": str(tmp_path / "none")}, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 1 and found.stdout == ""
    assert "tools/workload_env.py start" in found.stderr
