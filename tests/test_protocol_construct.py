"""What a conforming provider must survive: Construct (cases 30 to 35)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import alias_pb2, resource_pb2
from support.engine import Refusal
from support.protocol import BOOTSTRAP, BUCKET, GROUP, KEY, SECRET, background, detail, refused, urn
from support.values import Output, Secret, Unknown, decode, encode

INPUTS = {"target": "acme01-staging", "sites": ["main"], "region": "us-east-2", "accountId": "123456789012"}
CHILDREN = {
    "boot-state-bucket", "boot-encryption-key", "boot-workload-secret", "boot-main-secret", "boot-main-session-secret",
    "boot-main-ssh-keys",
}  # fmt: skip
ALIAS = "urn:pulumi:prod::ptd::ptd:aws:Bootstrap::old-name"


def deep(value):
    """The value behind secret marks and output wrappers."""
    while isinstance(value, Secret | Output):
        value = value.value
    return value


def nested(provider):
    """A monitor that makes each child in the same process, as the engine does."""

    def register(request):
        if not request.custom:
            return None
        child = urn(request.type, request.name)
        reply = provider.check(child, decode(request.object))
        assert not reply.failures, reply.failures
        inputs = {key: deep(value) for key, value in decode(reply.inputs).items()}
        made = provider.create(child, inputs)
        return made.id, decode(made.properties)

    return register


def test_case_30_preview_with_unknown_inputs(provider, callbacks):
    monitor = callbacks.monitor
    monitor.dry_run = True
    # What the engine gives back in a preview: the inputs.
    account = Output(known=False, dependencies=("urn:x",))
    inputs = INPUTS | {"region": Unknown(), "accountId": account, "tags": {"a": Unknown()}}
    reply = provider.construct(callbacks, BOOTSTRAP, "boot", inputs)
    assert reply.urn == monitor.urn(BOOTSTRAP, "boot")
    assert monitor.names()[0] == "boot" and set(monitor.names()[1:]) == CHILDREN
    child = monitor.inputs("boot-state-bucket")
    assert child["bucket"] == "ptd-acme01-staging" and child["region"] == Unknown()
    assert "urn:x" in monitor.request("boot-state-bucket").dependencies
    state = decode(reply.state)
    for name in ("backendUrl", "secretsProviderUrl", "keyArn"):
        assert not state[name].known and state[name].dependencies
    # The bucket's name is an input of the child, and known.
    assert deep(state["bucket"]) == "ptd-acme01-staging"


def test_case_30_preview_of_a_target_that_is_unknown(provider, callbacks):
    callbacks.monitor.dry_run = True
    reply = provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS | {"target": Unknown()})
    assert callbacks.monitor.names() == ["boot"]
    assert decode(reply.state)["backendUrl"] == Unknown()
    assert any("not known yet" in message for message in callbacks.engine.messages("info"))


@pytest.mark.parametrize("parallel", [1, 64])
def test_case_31_children_in_the_same_process(provider, callbacks, boto, parallel):
    callbacks.monitor.on_register = register = nested(provider)
    if parallel == 1:
        one = threading.Lock()

        def in_turn(request):
            with one:
                return register(request)

        callbacks.monitor.on_register = in_turn
    reply = provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS, parallel=parallel)
    state = decode(reply.state)
    assert deep(state["backendUrl"]) == "s3://ptd-acme01-staging?region=us-east-2"
    assert set(callbacks.monitor.names()) == {"boot"} | CHILDREN
    assert not any(isinstance(deep(value), Unknown) for value in state.values())
    assert all(value.known for value in state.values() if isinstance(value, Output))
    assert len(boto("secretsmanager").list_secrets()["SecretList"]) == 4
    boto("s3").head_bucket(Bucket="ptd-acme01-staging")
    assert provider.seen["Create"] == provider.seen["Check"] == len(CHILDREN)


def test_case_31_many_components_at_once(lab, callbacks):
    callbacks.monitor.on_register = nested(lab)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(lab.construct, callbacks, GROUP, f"g{i}", {"count": 16}, parallel=64) for i in range(8)]
        for call in calls:
            places = decode(call.result(30).state)["places"]
            assert len(places) == 16 and all(place.known for place in places)
    assert lab.seen == lab.seen | {"Construct": 8, "Check": 128, "Create": 128}


def test_case_32_bad_inputs(provider, callbacks):
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
        provider.construct(callbacks, BOOTSTRAP, "boot", {"target": 5, "sites": ["a", "a"], "accountID": "1"})
    problems = {one.property_path: one.reason for one in detail(error.value, "InputPropertiesError").errors}
    assert set(problems) == {"target", "accountID"}
    assert "accountId" in problems["accountID"]
    assert callbacks.monitor.registered == [] and callbacks.monitor.outputs == {}
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
        provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS | {"sites": ["a", "a"], "accountId": "12"})
    paths = {one.property_path for one in detail(error.value, "InputPropertiesError").errors}
    assert paths == {"sites[1]", "accountId"}
    assert callbacks.monitor.registered == []


def test_case_32_bad_secret_inputs_tell_nothing(lab, callbacks):
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
        lab.construct(callbacks, GROUP, "g", {"count": Secret("hunter2-count"), "password": ["hunter2-list"]})
    problems = detail(error.value, "InputPropertiesError").errors
    # The engine prints the value that the path names.
    assert [one.property_path for one in problems] == ["", ""]
    assert {"count", "password"} == {one.reason.split(":")[0] for one in problems}
    assert "hunter2" not in str(problems) + error.value.details() + lab.stderr


def test_case_33_a_child_fails(provider, callbacks):
    monitor = callbacks.monitor

    def fail(request):
        if request.name == "boot-encryption-key":
            result = resource_pb2.Result.FAIL
            return resource_pb2.RegisterResourceResponse(urn=monitor.urn(request.type, request.name), result=result)

    monitor.on_register = fail
    with refused() as error:
        provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS)
    assert "boot-encryption-key" in error.value.details()
    # The others were registered all the same, and waited for.
    assert set(monitor.names()) == {"boot"} | CHILDREN
    assert sorted(name for what, name in monitor.events if what == "ended") == sorted({"boot"} | CHILDREN)
    assert monitor.outputs == {}


def test_case_33_a_child_is_refused(provider, callbacks):
    def refuse(request):
        if request.type == SECRET:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"{request.name} is not welcome")

    callbacks.monitor.on_register = refuse
    with refused() as error:
        provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS)
    assert "is not welcome" in error.value.details()
    assert set(callbacks.monitor.names()) == {"boot"} | CHILDREN


def test_case_33_the_monitor_goes_away(lab, callbacks):
    reached, forever = threading.Event(), threading.Event()

    def hang(request):
        if request.custom:
            reached.set()
            forever.wait(30)

    callbacks.monitor.on_register = hang
    construct = background(lab.construct, callbacks, GROUP, "g", {"count": 3})
    assert reached.wait(20)
    stopping = background(callbacks.stop)
    with refused(grpc.StatusCode.CANCELLED):
        construct.result(10)
    forever.set()
    stopping.result(10)
    assert lab.info()


def test_case_33_cancel_while_children_are_registered(lab, callbacks):
    reached, forever = threading.Event(), threading.Event()

    def hang(request):
        if request.custom:
            reached.set()
            forever.wait(30)

    callbacks.monitor.on_register = hang
    construct = background(lab.construct, callbacks, GROUP, "g", {"count": 1})
    assert reached.wait(20)
    lab.cancel()
    with refused(grpc.StatusCode.CANCELLED):
        construct.result(10)
    forever.set()


def test_case_33_outputs_are_registered_once_and_last(provider, callbacks):
    reply = provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS)
    events = callbacks.monitor.events
    assert events[0] == ("began", "boot") and events[-1] == ("outputs", reply.urn)
    assert [what for what, _ in events].count("outputs") == 1
    registered = callbacks.monitor.outputs[reply.urn]
    assert {name: deep(value) for name, value in registered.items()} == {
        name: deep(value) for name, value in decode(reply.state).items()
    }


def test_case_34_an_explicit_provider(provider, callbacks):
    reference = "urn:pulumi:dev::app::pulumi:providers:ptd::mine::6b7a"
    provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS, providers={"ptd": reference})
    assert callbacks.monitor.request("boot").providers == {"ptd": reference}
    for name in CHILDREN:
        assert callbacks.monitor.request(name).provider == reference


def test_case_34_the_default_provider(provider, callbacks):
    provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS)
    schema = provider.schema()
    for name in CHILDREN:
        request = callbacks.monitor.request(name)
        # Otherwise the engine starts a second default provider.
        assert request.provider == "" and request.version == schema["version"]
        assert request.pluginDownloadURL == schema.get("pluginDownloadURL", "")


def test_case_35_options(provider, callbacks):
    monitor = callbacks.monitor
    hooks = pb.ConstructRequest.ResourceHooksBinding(before_create=["hook-1"], after_delete=["hook-2"])
    reply = provider.construct(
        callbacks, BOOTSTRAP, "boot", INPUTS | {"tags": {"a": "b"}}, parent=monitor.urn("m:n:Parent", "p"),
        protect=True, retainOnDelete=False, deletedWith="urn:with", replace_with=["urn:replaced"],
        dependencies=["urn:depends"], aliases=[alias_pb2.Alias(urn=ALIAS)],
        ignoreChanges=["tags.a", "versioning"], replaceOnChanges=["alias"], additionalSecretOutputs=["arn"],
        customTimeouts=pb.ConstructRequest.CustomTimeouts(create="5m", delete="1h", update="2m"),
        resource_hooks=hooks, stack_trace_handle="trace-1",
    )  # fmt: skip
    component = monitor.request("boot")
    assert component.parent == monitor.urn("m:n:Parent", "p") and not component.custom and not component.remote
    assert component.protect and component.HasField("retainOnDelete") and not component.retainOnDelete
    assert component.deletedWith == "urn:with" and list(component.replace_with) == ["urn:replaced"]
    assert list(component.dependencies) == ["urn:depends"]
    assert component.aliases[0].urn == ALIAS and component.aliasSpecs
    assert list(component.hooks.before_create) == ["hook-1"] and list(component.hooks.after_delete) == ["hook-2"]
    for request in monitor.registered:
        assert request.acceptSecrets and request.acceptResources
        assert request.supportsPartialValues and request.supportsResultReporting
        assert request.parentStackTraceHandle == "trace-1"
    for name in CHILDREN:
        child = monitor.request(name)
        assert child.parent == reply.urn and child.custom
        # Inherited by way of the parent.
        assert not child.HasField("protect") and not child.deletedWith and not child.HasField("hooks")
        assert (child.customTimeouts.create, child.customTimeouts.update, child.customTimeouts.delete) == ("5m", "2m", "1h")
        assert "tags.a" in child.ignoreChanges
        assert list(child.additionalSecretOutputs) == ["arn"]
    assert list(monitor.request("boot-encryption-key").replaceOnChanges) == ["alias"]
    # A path that names no input of a child does not reach it.
    assert list(monitor.request("boot-state-bucket").replaceOnChanges) == []


def test_case_35_secrets_stay_secret_on_their_way_to_children(lab, callbacks):
    lab.construct(callbacks, GROUP, "g", {"count": 1, "size": Output(3, secret=True), "password": "not marked"})
    child = callbacks.monitor.inputs("g-1")
    assert child["size"] == Output(3, secret=True) or child["size"] == Secret(3)
    assert child["password"] == Secret("not marked")


def test_older_engines_send_dependencies_beside_the_inputs(lab, callbacks):
    dependencies = pb.ConstructRequest.PropertyDependencies(urns=["urn:of-size"])
    callbacks.monitor.deployment_info = False
    callbacks.monitor.features = {"secrets", "resourceReferences"}
    request = pb.ConstructRequest(
        project="app", stack="dev", monitorEndpoint=callbacks.address, type=GROUP, name="g",
        inputs=encode({"count": 1, "size": 3}), inputDependencies={"size": dependencies},
    )  # fmt: skip
    reply = lab.stub.Construct(request, timeout=30)
    assert reply.urn
    child = callbacks.monitor.request("g-1")
    assert list(child.dependencies) == ["urn:of-size"]
    assert deep(callbacks.monitor.inputs("g-1")["size"]) == 3


def test_types_of_children_are_those_of_the_schema(provider, callbacks):
    provider.construct(callbacks, BOOTSTRAP, "boot", INPUTS | {"createAdminPolicy": True})
    types = {request.type for request in callbacks.monitor.registered if request.custom}
    assert {BUCKET, KEY, SECRET} < types <= set(provider.schema()["resources"])
