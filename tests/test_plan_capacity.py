"""`planCapacity`: through the real CLI, and its arguments over gRPC."""

from __future__ import annotations

import grpc
import pytest
from support import cli, provider as launched, values

TOKEN = "ptd:index:planCapacity"
NAMES = ["data", "foundation", "gitops", "ingress", "mesh", "observability", "security"]


@pytest.fixture(scope="module")
def ask(plugin_bin):
    """`ask(workflows=..., nodes=...)`: (answer, error), from one provider without an engine."""
    process = launched.ProviderProcess(plugin_bin, env=cli.base_env())
    process.configure({})

    def call(**arguments):
        try:
            reply = process.invoke(TOKEN, arguments)
        except grpc.RpcError as error:
            return None, error.details()
        failures = "\n".join(f"{failure.property}: {failure.reason}" for failure in reply.failures)
        return (None, failures) if failures else (values.decode(getattr(reply, "return")), "")

    yield call
    process.stop()


def program(**arguments) -> dict:
    plan = {"fn::invoke": {"function": TOKEN, "arguments": arguments}}
    return {
        "variables": {"plan": plan},
        "resources": {"made": {"type": "pulumi:index:Stash", "properties": {"input": "${plan.neededNodes}"}}},
        "outputs": {"plan": "${plan}"},
    }


# Through the CLI.


def test_the_platform_fits_and_warns_that_the_cluster_must_grow(workspace):
    ws = workspace.yaml(program()).init()
    done = ws.up()
    plan = ws.outputs()["plan"]
    assert sorted(plan["workflows"]) == NAMES
    assert plan["total"] == {"cpu": 8.3, "memoryGb": 16.268}
    assert plan["required"] == {"cpu": 13.3, "memoryGb": 26.268}
    assert plan["headRoom"] == {"cpu": 6.7, "memoryGb": 53.732}
    assert (plan["neededNodes"], plan["fits"], plan["fitsMinimum"]) == (7, True, False)
    [warning] = plan["warnings"]
    assert "exceeds 3 nodes of 2 CPU and 8 GB of memory by 7.3 CPU and 2.268 GB" in warning
    assert any(warning in message for message in done.messages("warning")), done


def test_what_exceeds_the_cluster_runs_nothing(workspace):
    ws = workspace.yaml(program(workflows={"big": {"cpu": 2, "memoryGb": 8.5, "replicas": 9}})).init()
    for refused in (ws.preview(fails=True), ws.up(fails=True)):
        assert "exceeds 10 nodes of 2 CPU and 8 GB of memory by 3 CPU and 6.5 GB of memory, 12 nodes would be needed" in refused.text
        assert "big" in refused.text
    assert ws.resources() == []


# Over gRPC.


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"workflows": {"a": {"cpu": -1, "memoryGb": 1}}}, "workflows.a.cpu: must be at least 0"),
        ({"workflows": {"a": {"cpu": float("nan"), "memoryGb": 1}}}, "workflows.a.cpu"),
        ({"workflows": {"a": {"cpu": float("inf"), "memoryGb": 1}}}, "workflows.a.cpu"),
        ({"workflows": {"a": {"cpu": 1, "memoryGb": 1, "replicas": -1}}}, "workflows.a.replicas: must be at least 0"),
        ({"workflows": {"a": {"cpu": 1, "memoryGb": 1, "replicas": 1.5}}}, "workflows.a.replicas: must be a whole number"),
        ({"workflows": {"a": {"cpu": "much", "memoryGb": 1}}}, "workflows.a.cpu: must be a number"),
        ({"workflows": {"a": {"memoryGb": 1}}}, "workflows.a.cpu"),
        ({"workflows": {"a": {"cpu": 1, "memory": 1}}}, "memoryGb"),
        ({"nodes": {"cpu": 0}}, "nodes.cpu: must be more than 0"),
        ({"nodes": {"minimum": 5, "maximum": 4}}, "nodes.maximum: must be at least the minimum of 5, is 4"),
        ({"nodes": {"maximum": 0}}, "nodes.maximum: must be at least 1"),
        ({"reserved": {"memoryGb": -10}}, "reserved.memoryGb: must be at least 0"),
    ],
)
def test_senseless_arguments_are_refused_where_they_stand(ask, arguments, text):
    answer, error = ask(**arguments)
    assert answer is None and text in error, error


def test_parts_that_are_not_given_have_their_defaults(ask):
    answer, error = ask(workflows={"a": {"cpu": 0.1, "memoryGb": 0.1}, "b": {"cpu": 0.2, "memoryGb": 0.2}}, nodes={"cpu": 5.3})
    assert not error
    # 0.3 CPU and the reserve of 5 are exactly one node; 10.3 GB are two.
    assert answer["required"] == {"cpu": 5.3, "memoryGb": 10.3}
    assert (answer["neededNodes"], answer["warnings"]) == (2, [])
    assert answer["capacity"] == {"cpu": 53, "memoryGb": 80}


def test_exactly_full_fits(ask):
    full = {"cpu": 1.5, "memoryGb": 7, "replicas": 10}
    answer, error = ask(workflows={"a": full})
    assert not error and answer["headRoom"] == {"cpu": 0, "memoryGb": 0} and answer["neededNodes"] == 10
    answer, error = ask(workflows={"a": full, "b": {"cpu": 0, "memoryGb": 0.001}})
    assert answer is None and "by 0.001 GB of memory, 11 nodes" in error


def test_a_plan_that_does_not_fit_can_be_looked_at(ask):
    answer, error = ask(workflows={"a": {"cpu": 16, "memoryGb": 1}}, refuse=False)
    assert not error and answer["fits"] is False
    assert answer["headRoom"]["cpu"] == -1 and "11 nodes would be needed" in answer["warnings"][0]
