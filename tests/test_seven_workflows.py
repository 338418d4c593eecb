"""The platform of seven workflows: its order, its capacity, its failures and its way back, through the real CLI."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from support import cli
from support.protocol import until

EXAMPLE = cli.ROOT / "examples/seven-workflows"
FIRST, LAST = ["foundation", "ingress", "observability"], ["data", "gitops", "mesh", "security"]
ALL = sorted(FIRST + LAST)
STACK = "ptd:index:Stack"


class Platform(cli.Workspace):
    """The example as one of its environments: a copy of its folder, with nothing beside it."""

    def __init__(self, root: Path, env: dict[str, str], environment: str) -> None:
        super().__init__(root / "alone", env)
        self.environment = environment
        shutil.copytree(EXAMPLE, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.backend = Path(env["PULUMI_BACKEND_URL"].removeprefix("file://"))

    def init(self, *args: str) -> Platform:
        if not self._initialised:
            self.run("stack", "init", self.environment, *args)
            self._initialised = True
        return self

    def set(self, **values: object) -> Platform:
        """Settings of the environment: `set(data__version="v1")` is that of a workflow."""
        self.init()
        paths = {".".join(["workflows", *key.split("__")]) if "__" in key else key: value for key, value in values.items()}
        self.run("config", "set-all", "--path", *[part for pair in paths.items() for part in ("--plaintext", "{}={}".format(*pair))])
        return self

    @property
    def inner(self) -> list[str]:
        """The workflows that have a stack."""
        found = self.backend.glob(f".pulumi/stacks/platform-*/{self.environment}.json")
        return sorted(path.parent.name.removeprefix("platform-") for path in found)

    def updates(self, workflow: str) -> list[dict]:
        """What the workflow's stack remembers of its updates, oldest first."""
        folder = self.backend / f".pulumi/history/platform-{workflow}/{self.environment}"
        found = [json.loads(path.read_text()) for path in folder.glob("*.history.json")]
        return sorted(found, key=lambda update: update["startTime"])

    def runs(self) -> dict[str, int]:
        return {name: len(self.updates(name)) for name in ALL}

    def light(self, workflow: str, version: str, outputs: dict) -> None:
        """A version of a workflow that makes nothing, for tests in which it matters only whether it runs."""
        program = {"name": f"platform-{workflow}", "runtime": "yaml", "outputs": outputs}
        self.file(f"workflows/{workflow}/{version}/Pulumi.yaml", yaml.safe_dump(program))


@pytest.fixture
def platform(cli_env, tmp_path, kubernetes):
    """`platform("staging")`: the environment, in the test's cluster."""
    return lambda environment: Platform(tmp_path, cli_env | {"KUBECONFIG": str(kubernetes.kubeconfig)}, environment)


@pytest.fixture
def light(platform):
    """The development environment, of workflows that make nothing."""
    ws = platform("development")
    namespaces = {name: f"development-{name}" for name in ALL}
    outputs = {"foundation": {"namespaces": namespaces}, "ingress": {"host": "h"}, "observability": {"metrics": "m", "dashboard": "d"}}
    for name in ALL:
        ws.light(name, "light", outputs.get(name, {"url": "u"}))
        ws.light(name, "broken", {"url": "${nothing.of.that.name}"})
    return ws.set(**{f"{name}__version": "light" for name in ALL})


def admitted(call, namespace: str, pod: dict) -> str:
    """What the API server, which runs no pods, says of one: nothing when it would take it."""
    from kubernetes.client import ApiException

    body = {"metadata": {"name": "one", "labels": pod["metadata"].get("labels", {})}, "spec": pod["spec"]}
    try:
        call("POST", f"/api/v1/namespaces/{namespace}/pods", body, dryRun="All")
    except ApiException as error:
        return json.loads(error.body)["message"]
    return ""


def accepted_by_a_cluster(call) -> None:
    """As a cluster with controllers would have it: the pods of all workflows, beside each other, in the plan's quotas."""
    pods = {}
    for kind in ("deployments", "statefulsets"):
        for item in call("GET", f"/apis/apps/v1/{kind}")["items"]:
            pods[item["metadata"]["namespace"]] = item["spec"]["template"]
            surge = item["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", 0)
            assert surge == 0, "the quota has no room for another pod beside the replicas"
    assert sorted(pods) == sorted(f"staging-{name}" for name in ALL if name != "foundation")
    assert [refused for namespace, pod in pods.items() if (refused := admitted(call, namespace, pod))] == []
    privileged = {"metadata": {}, "spec": {"containers": [{"name": "one", "image": "none"}]}}
    assert "violates PodSecurity" in admitted(call, "staging-data", privileged), "the level is enforced"

    # The quota, which a controller would reckon with, is used up by the database. The backup still has its place.
    path = "/api/v1/namespaces/staging-data/resourcequotas/plan"
    quota = call("GET", path)
    quota["status"] = {"hard": quota["spec"]["hard"], "used": quota["spec"]["hard"]}
    call("PUT", f"{path}/status", quota)
    until(lambda: "exceeded quota: plan" in admitted(call, "staging-data", pods["staging-data"]))
    backup = call("GET", "/apis/batch/v1/namespaces/staging-data/cronjobs/backup")
    backup = backup["spec"]["jobTemplate"]["spec"]["template"]
    assert backup["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "100m", "memory": "256M"}
    assert admitted(call, "staging-data", backup) == ""
    budgets = call("GET", "/apis/policy/v1/poddisruptionbudgets")["items"]
    assert [one["metadata"]["name"] for one in budgets] == ["istiod"], "one for a single replica would keep nodes from being drained"


def test_in_order_then_side_by_side_and_back(platform, kube_get, kube_call):
    """The real programs, as in staging but with copies of everything."""
    ws = platform("staging").set(availability="high", mesh__replicas=2)
    ws.up("--continue-on-error")
    assert ws.inner == ALL and set(ws.runs().values()) == {1}
    ran = {name: ws.updates(name)[0] for name in ALL}
    assert {update["result"] for update in ran.values()} == {"succeeded"}
    for before, after in [*zip(FIRST, FIRST[1:]), *((FIRST[-1], name) for name in LAST)]:
        assert ran[before]["endTime"] <= ran[after]["startTime"], (before, after)
    # All four at once.
    assert max(ran[name]["startTime"] for name in LAST) < min(ran[name]["endTime"] for name in LAST)

    # The settings arrived, and the plan's figures with them.
    spec = kube_get("/apis/apps/v1/namespaces/staging-mesh/deployments/istiod")["spec"]
    [container] = spec["template"]["spec"]["containers"]
    assert (spec["replicas"], container["resources"]["limits"]) == (2, {"cpu": "1", "memory": "2G"})
    assert kube_get("/api/v1/namespaces/staging-mesh/resourcequotas/plan")["spec"]["hard"] == {"limits.cpu": "2", "limits.memory": "4G"}
    assert kube_get("/apis/policy/v1/namespaces/staging-mesh/poddisruptionbudgets/istiod")["spec"]["minAvailable"] == 1
    assert kube_get("/apis/networking.k8s.io/v1/namespaces/staging-data/networkpolicies/platform-only")
    assert kube_get("/api/v1/namespaces/staging-mesh/configmaps/istio")["data"]["mtls"] == "STRICT"
    backup = "/apis/batch/v1/namespaces/staging-data/cronjobs/backup"
    assert kube_get(backup)
    accepted_by_a_cluster(kube_call)

    # What stays as it was made is no drift, however the server writes it.
    istio = kube_get("/api/v1/namespaces/staging-mesh/configmaps/istio")
    kube_call("PUT", "/api/v1/namespaces/staging-mesh/configmaps/istio", istio | {"data": istio["data"] | {"mtls": "DISABLE"}})
    ws.refresh()
    assert {name: ws.resource(name)["outputs"]["drift"] for name in ALL} == {name: {"update": 1} if name == "mesh" else {} for name in ALL}
    password = kube_get("/api/v1/namespaces/staging-data/secrets/postgres")["data"]["password"]

    # Back to the version before: one workflow runs.
    back = ws.set(data__version="v1").up()
    assert back.steps == {f"{STACK}::data": ["update"]}
    assert ws.runs() == {name: 2 if name == "data" else 1 for name in ALL}
    assert kube_get(backup) is None
    assert kube_get("/api/v1/namespaces/staging-data/secrets/postgres")["data"]["password"] == password, "it is drawn once"
    assert ws.outputs()["versions"]["data"] == "v1"
    assert not ws.up().changes and sum(ws.runs().values()) == 8

    ws.destroy()
    gone = {name: ws.updates(name)[-1] for name in ALL}
    assert {update["kind"] for update in gone.values()} == {"destroy"}
    for before, after in [*((name, FIRST[-1]) for name in LAST), *zip(FIRST[:0:-1], FIRST[-2::-1])]:
        assert gone[before]["endTime"] <= gone[after]["startTime"], (before, after)
    assert kube_get("/api/v1/namespaces/staging-mesh") is None


def test_a_change_in_what_the_workflows_share_runs_all_of_them(light):
    light.up()
    shared = light.folder / "workflows/shared/objects.py"
    shared.write_text(shared.read_text() + "\n# Changed.\n")
    assert light.up().steps == {f"{STACK}::{name}": ["update"] for name in ALL}
    assert light.runs() == dict.fromkeys(ALL, 2)


def test_the_capacity_that_the_readme_shows(platform):
    text = (EXAMPLE / "README.md").read_text()
    [(environment, workflow, replicas, shown)] = re.findall(
        r"stack select --create (\w+)\n.*'workflows\.(\w+)\.replicas' (\d+)\n\$ pulumi up\nerror: (.*)\n", text
    )
    ws = platform(environment).set(**{f"{workflow}__replicas": replicas})
    refused = ws.up(fails=True).text
    for part in filter(None, map(str.strip, shown.split("…"))):
        assert part in refused
    assert ws.inner == []


def test_a_plan_that_exceeds_the_cluster_runs_nothing(platform):
    ws = platform("production")
    planned = ws.init().preview()
    assert "must grow to 10 of its 10 nodes" in planned.text
    # One more, and the twenty CPU do not suffice.
    ws.set(gitops__replicas=2)
    for refused in (ws.preview(fails=True), ws.up(fails=True)):
        assert "exceeds 10 nodes of 2 CPU and 8 GB of memory by 0.1 CPU, 11 nodes would be needed" in refused.text
    assert ws.inner == [] and ws.resources() == []


def test_a_failing_workflow_stops_only_those_that_depend_on_it(light):
    light.set(ingress__version="broken").up("--continue-on-error", fails=True)
    assert [update["result"] for update in light.updates("foundation")] == ["succeeded"]
    assert light.inner == ["foundation", "ingress"], "what depends on a failed one did not begin"

    failed = light.set(ingress__version="light", security__version="broken").up("--continue-on-error", fails=True)
    assert "organization/platform-security/development" in failed.text and "nothing" in failed.text
    assert light.inner == ALL
    last = {name: light.updates(name)[-1]["result"] for name in ALL if light.updates(name)}
    assert {name for name in ALL if last.get(name) != "succeeded"} == {"security"}
    before = light.runs()
    assert before["foundation"] == 1

    # The way back is the version before, or a repaired one.
    done = light.set(security__version="light").up()
    assert list(done.steps) == [f"{STACK}::security"]
    assert light.updates("security")[-1]["result"] == "succeeded"
    after = light.runs()
    assert {name for name in ALL if after[name] != before[name]} == {"security"}
    assert not light.up().changes and light.runs() == after
    light.destroy()
    assert light.inner == []


def test_an_unknown_setting_is_refused_by_name(platform):
    ws = platform("development").set(securityLevel="loose")
    assert "securityLevel is 'loose': it must be one of baseline, restricted" in ws.up(fails=True).text
    assert ws.inner == []
