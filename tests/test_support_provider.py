"""The protocol helpers work, shown on a provider written with the SDK."""

import stat
import sys

import grpc
import pytest
from support import values
from support.engine import Callbacks, Refusal
from support.provider import ProviderProcess, details
from support.values import UNKNOWN, Output, Ref, Secret, Unknown

PROVIDER = f"""#!{sys.executable} -u
import sys, pulumi
from pulumi.provider import ConstructResult, Provider, main

class Child(pulumi.CustomResource):
    def __init__(self, name, props, opts=None):
        super().__init__("p:m:Child", name, props, opts)

class Component(pulumi.ComponentResource):
    def __init__(self, name, props, opts=None):
        super().__init__("p:m:Component", name, {{}}, opts)
        child = Child(name + "-child", {{"size": props["size"]}}, pulumi.ResourceOptions(parent=self))
        pulumi.log.warn("built", self)
        self.register_outputs({{"child": child.id}})

class P(Provider):
    def construct(self, name, resource_type, inputs, options=None):
        component = Component(name, inputs, options)
        return ConstructResult(component.urn, {{"size": inputs["size"]}})

main(P("1.2.3"), sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "pulumi-resource-p"
    path.write_text(PROVIDER)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def test_values_round_trip():
    properties = {
        "text": "a", "number": 1.5, "whole": 3, "none": None, "flag": True, "list": [1, None, Secret("x")],
        "secret": Secret({"deep": [Unknown()]}), "ref": Ref("urn:pulumi:s::p::t::n", "id"), "component": Ref("urn"),
        "output": Output("v", secret=True, dependencies=("urn",)), "later": Output(known=False), "unknown": Unknown(),
    }  # fmt: skip
    wire = values.encode(properties)
    assert values.decode(wire) == properties
    assert wire.fields["unknown"].string_value == UNKNOWN
    assert wire.fields["secret"].struct_value.fields[values.SIG].string_value == values.SECRET_SIG


def test_a_provider_is_launched_called_and_ended(script, callbacks):
    with ProviderProcess(script, engine=callbacks.address) as provider:
        assert provider.info() == "1.2.3"
        provider.configure({"region": "us-east-2"})
        assert provider.start_seconds > 0 and provider.resident > 1 << 20
        with pytest.raises(grpc.RpcError) as excinfo:
            provider.create("urn:pulumi:dev::app::p:m:R::r", {"a": 1})
        assert excinfo.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert details(excinfo.value) == []
    assert provider.process.poll() is not None


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_component_registers_with_the_fake_monitor(script, dry_run):
    with Callbacks(dry_run=dry_run) as callbacks, ProviderProcess(script, engine=callbacks.address) as provider:
        provider.configure()
        reply = provider.construct(callbacks, "p:m:Component", "c", {"size": Secret(3)})
        monitor = callbacks.monitor
        assert reply.urn == "urn:pulumi:dev::app::p:m:Component::c"
        assert monitor.names() == ["c", "c-child"]
        assert monitor.request("c-child").parent == reply.urn
        assert callbacks.engine.messages("warning") == ["built"]
        size = monitor.inputs("c-child")["size"]
        assert size == Secret(3) or size == Output(3, secret=True)
        child = monitor.outputs[reply.urn]["child"]
        assert child == Unknown() if dry_run else child == "c-child-id"


def test_the_fake_monitor_can_refuse(script, callbacks):
    def refuse(request):
        if request.custom:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no such child")

    callbacks.monitor.on_register = refuse
    with ProviderProcess(script, engine=callbacks.address) as provider:
        provider.configure()
        with pytest.raises(grpc.RpcError):
            provider.construct(callbacks, "p:m:Component", "c", {"size": 3})
