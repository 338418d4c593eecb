"""What a conforming provider must survive: the process, its start and end, and its configuration (cases 1 to 10)."""

import signal
import socket
import subprocess
import time

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from support.protocol import BUCKET, DIFF_NONE, SLOW, background, detail, refused, until, urn
from support.values import UNKNOWNS, Secret, Unknown, decode

LAB = {"token": Secret("token-of-the-lab"), "door": "front"}


@pytest.mark.parametrize(
    "flags",
    [(), ("--logtostderr", "-v=9", "--tracing", "x"), ("--some-flag-of-tomorrow", "--with=value")],
    ids=["plain", "verbose", "unknown"],
)
def test_case_01_the_first_line_is_the_port(launch, flags):
    provider = launch(*flags)
    assert 0 < provider.port < 65536
    assert provider.info()
    provider.stop()
    assert provider.stdout == "", "logs belong on stderr"
    if "-v=9" in flags:
        assert "GetPluginInfo" in provider.stderr


def test_case_02_started_alone_and_attached_to(launch_lab, callbacks):
    provider = launch_lab(engine=None)
    provider.handshake(engine_address="", root_directory=None, program_directory=None)
    provider.attach(callbacks.address)
    provider.configure(LAB)
    create = background(provider.create, urn(SLOW), {})
    until(lambda: "waiting" in callbacks.engine.messages())
    assert callbacks.engine.logs[-1].urn == urn(SLOW)
    assert callbacks.engine.logs[-1].ephemeral
    provider.cancel()
    with refused(grpc.StatusCode.CANCELLED):
        create.result(20)


@pytest.mark.parametrize("answers", ["refuses", "stays silent"])
def test_case_02_an_engine_that_does_not_answer(launch_lab, answers):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if answers == "stays silent":
            silent.listen()
        provider = launch_lab(engine=f"127.0.0.1:{silent.getsockname()[1]}").ready(LAB)
        assert provider.info()
        # It wants to report progress; that it cannot changes nothing about the work.
        with refused(grpc.StatusCode.DEADLINE_EXCEEDED) as error:
            provider.create(urn(SLOW), {}, timeout=0.2)
        assert detail(error.value, "ErrorResourceInitFailed").id == "slow-1"


def test_case_03_ends_when_standard_input_ends(launch):
    provider = launch()
    provider.info()
    provider.close_stdin()
    assert provider.process.wait(20) == 0


def test_case_03_ends_when_the_engine_is_gone(launch_lab):
    with socket.create_server(("127.0.0.1", 0)) as engine:
        engine.settimeout(20)
        provider = launch_lab(engine=f"127.0.0.1:{engine.getsockname()[1]}")
        # It looks whether the engine is there.
        engine.accept()[0].close()
        assert provider.process.poll() is None
    assert provider.process.wait(30) == 0


def test_case_04_what_package_commands_ask(launch):
    provider = launch()
    provider.handshake()
    version = provider.info()
    schema = provider.schema()
    assert schema["name"] == "ptd" and schema["version"] == version
    assert "ptd:index:getTarget" in schema["functions"]
    provider.cancel()
    began = time.monotonic()
    assert provider.stop() == 0
    assert time.monotonic() - began < 10


def test_case_05_schemas_that_do_not_exist(launch):
    provider = launch()
    provider.handshake()
    for request in (pb.GetSchemaRequest(version=7), pb.GetSchemaRequest(subpackage_name="x", subpackage_version="1.0.0")):
        with refused(grpc.StatusCode.INVALID_ARGUMENT):
            provider.stub.GetSchema(request, timeout=10)
    assert provider.schema()


def test_case_05_what_it_does_not_offer(launch):
    provider = launch()
    provider.handshake()
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        list(provider.stub.List(pb.ListRequest(token=BUCKET), timeout=10))
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        args = pb.ParameterizeRequest.ParametersArgs(args=["x"])
        provider.stub.Parameterize(pb.ParameterizeRequest(args=args), timeout=10)
    assert provider.stub.GetMapping(pb.GetMappingRequest(key="terraform"), timeout=10) == pb.GetMappingResponse()
    assert provider.stub.GetMappings(pb.GetMappingsRequest(key="terraform"), timeout=10) == pb.GetMappingsResponse()
    assert provider.info()


def test_case_06_a_handshake_of_a_newer_engine(launch, callbacks):
    provider = launch()
    request = pb.ProviderHandshakeRequest(engine_address=callbacks.address)
    # Field 999, a text.
    request.MergeFromString(b"\xba\x3e\x03new")
    reply = provider.stub.Handshake(request, timeout=10)
    for flag in ("accept_secrets", "accept_resources", "accept_outputs", "supports_autonaming_configuration"):
        assert getattr(reply, flag), flag


def test_case_07_two_runs_in_one_process(launch_lab, callbacks):
    provider = launch_lab(engine=None)
    for run in range(2):
        provider.handshake(engine_address="", root_directory=None, program_directory=None)
        provider.attach(callbacks.address)
        provider.configure(LAB)
        create = background(provider.create, urn(SLOW, f"run-{run}"), {})
        until(lambda run=run: any(log.urn.endswith(f"run-{run}") for log in callbacks.engine.logs))
        provider.cancel()
        with refused(grpc.StatusCode.CANCELLED):
            create.result(20)
    reply = provider.check(urn("lab:index:Named"), {"name": "after"})
    assert provider.create(urn("lab:index:Named"), decode(reply.inputs)).id == "after"


@pytest.mark.parametrize("form", ["text", "structured"])
def test_case_08_configuration_in_both_forms(launch, form):
    provider = launch()
    provider.handshake()
    news = {
        "version": "0.1.0",
        "region": "us-east-2",
        "s3UsePathStyle": "true" if form == "text" else True,
        "maxRetries": "3" if form == "text" else 3,
        "allowedAccountIds": '["123456789012"]' if form == "text" else ["123456789012"],
        "defaultTags": '{"team": "posit"}' if form == "text" else {"team": "posit", "later": Unknown()},
        "profile": Unknown(),
    }
    reply = provider.check_config(news)
    assert list(reply.failures) == []
    echoed = decode(reply.inputs)
    assert {key: echoed.get(key) for key in news} == news
    assert provider.diff_config(news, news | {"profile": "p"}).changes
    provider.configure({key: value for key, value in news.items() if not isinstance(value, Unknown)} | {"defaultTags": {}})


def test_case_08_configuration_mistakes_are_failures(launch):
    provider = launch()
    provider.handshake()
    reply = provider.check_config({"regoin": "us-east-2", "maxRetries": "many", "version": "0.1.0"})
    reasons = {failure.property: failure.reason for failure in reply.failures}
    assert "region" in reasons["regoin"] and "number" in reasons["maxRetries"]
    assert set(decode(reply.inputs)) >= {"regoin", "maxRetries", "version"}


def test_case_09_secret_configuration(launch_lab):
    provider = launch_lab()
    provider.handshake()
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
        provider.configure(LAB | {"guests": Secret("plain-text-guests")})
    assert "guests" in error.value.details() and "plain-text" not in error.value.details()
    provider.configure(LAB | {"guests": Secret(["a", Secret("b")])})
    assert "token-of-the-lab" not in provider.stderr


def test_case_09_secret_configuration_of_the_plugin(launch):
    provider = launch()
    provider.handshake()
    for problem in ({"allowedAccountIds": Secret("plain-text-ids")}, {"region": Secret(["plain-text-region"])}):
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
            provider.configure(problem)
        assert next(iter(problem)) in error.value.details() and "plain-text" not in error.value.details()
    provider.configure({"region": Secret("us-east-2"), "maxRetries": Secret("3"), "defaultTags": Secret('{"a": "b"}')})


def test_case_09_missing_configuration(launch_lab):
    provider = launch_lab()
    provider.handshake()
    with refused() as error:
        provider.configure({"guests": ["a"]})
    missing = detail(error.value, "ConfigureErrorMissingKeys").missingKeys
    assert {key.name: key.description for key in missing} == {
        "token": "What opens the door.",
        "door": "Which door to take.",
    }
    with refused(grpc.StatusCode.FAILED_PRECONDITION):
        provider.create(urn(SLOW), {})


def test_case_10_an_upgrade_changes_nothing(launch):
    provider = launch()
    provider.handshake()
    reply = provider.diff_config({"region": "us-east-2", "version": "0.1.0"}, {"region": "us-east-2", "version": "0.2.0"})
    assert reply.changes == DIFF_NONE and not reply.replaces and not reply.detailedDiff


def test_case_10_no_configuration_replaces_what_it_made(launch):
    provider = launch()
    provider.handshake()
    olds = {"region": "us-east-2", "maxRetries": "3", "defaultTags": {"a": "b"}}
    reply = provider.diff_config(olds, {"region": UNKNOWNS["bool"], "maxRetries": 3})
    assert set(reply.diffs) == {"region", "defaultTags"} and not reply.replaces


def test_case_36_cancel_while_a_create_waits(lab, callbacks):
    create = background(lab.create, urn(SLOW), {})
    until(lambda: "waiting" in callbacks.engine.messages())
    began = time.monotonic()
    lab.cancel()
    assert time.monotonic() - began < 10
    with refused(grpc.StatusCode.CANCELLED) as error:
        create.result(20)
    assert time.monotonic() - began < 10
    made = detail(error.value, "ErrorResourceInitFailed")
    assert made.id == "slow-1" and decode(made.properties) == {"finished": False}
    assert "cancelled" in made.reasons[0]


def test_case_36_cancel_while_a_create_does_not_listen(lab, callbacks):
    create = background(lab.create, urn(SLOW), {"deaf": True})
    until(lambda: "waiting" in callbacks.engine.messages())
    lab.cancel()
    with refused(grpc.StatusCode.CANCELLED) as error:
        create.result(10)
    assert detail(error.value, "ErrorResourceInitFailed").id == "slow-1"


def test_case_37_calls_after_cancel(lab):
    lab.cancel()
    lab.cancel()
    inputs = decode(lab.check(urn("lab:index:Named"), {"name": "late"}).inputs)
    # It had been sent before the engine stopped sending: nobody waits for it any more.
    with refused(grpc.StatusCode.CANCELLED):
        lab.create(urn("lab:index:Named"), inputs)
    assert lab.info()
    # What begins the next run.
    lab.configure({"token": Secret("t"), "door": "front"})
    assert lab.create(urn("lab:index:Named"), inputs).id == "late"


def test_case_37_interrupted_in_the_middle_of_work(lab, callbacks):
    create = background(lab.create, urn(SLOW), {"deaf": True})
    until(lambda: "waiting" in callbacks.engine.messages())
    lab.signal(signal.SIGINT)
    try:
        assert lab.process.wait(20) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("the engine would have had to kill it")
    with refused():
        create.result(5)
    assert "panic" not in lab.stderr


def test_case_41_a_panic_ends_one_call_only(lab, callbacks):
    other = background(lab.create, urn(SLOW), {})
    until(lambda: "waiting" in callbacks.engine.messages())
    with refused(grpc.StatusCode.INTERNAL) as error:
        lab.create(urn("lab:index:Panicking"), {"password": Secret("never-to-be-told")})
    assert "did not expect" in error.value.details() and "bug in the provider" in error.value.details()
    # What exists by then reaches the state.
    with refused(grpc.StatusCode.INTERNAL) as made:
        lab.create(urn("lab:index:Panicking"), {"password": Secret("never-to-be-told"), "made": True})
    assert detail(made.value, "ErrorResourceInitFailed").id == "made-1"
    assert lab.info() and not other.done()
    lab.cancel()
    with refused(grpc.StatusCode.CANCELLED):
        other.result(20)
    for text in (error.value.details(), made.value.details(), lab.stderr):
        assert "never-to-be-told" not in text
    assert "panicked at" in lab.stderr


def test_more_creates_than_are_worked_on_at_once(lab, callbacks):
    """Those that still wait for their turn are cancelled like the others, and have made nothing."""
    creates = [background(lab.create, urn(SLOW, f"r{number}"), {}) for number in range(180)]
    until(lambda: callbacks.engine.messages().count("waiting") == 128)
    time.sleep(0.3)
    assert callbacks.engine.messages().count("waiting") == 128
    assert lab.info()
    lab.cancel()
    errors = [create.exception(20) for create in creates]
    assert {error.code() for error in errors} == {grpc.StatusCode.CANCELLED}
    assert sum("had not begun" in error.details() for error in errors) == 180 - 128
