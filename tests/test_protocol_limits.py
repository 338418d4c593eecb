"""What a conforming provider must survive: sizes, odd values and older engines (cases 38 to 42)."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc
from support import strict
from support.protocol import BUCKET, DIFF_NONE, DIFF_SOME, MEETING, NAMED, SECRET, refused, urn
from support.values import OUTPUT_SIG, SECRET_SIG, SIG, Output, Secret, Special, Unknown, decode, encode

MIB = 1 << 20


def echo(provider, value, **fields):
    return decode(getattr(provider.invoke("lab:index:echo", {"value": value}, **fields), "return"))["value"]


def test_case_38_five_megabytes_there_and_back(lab):
    text = "ü" * (5 * MIB // 2)
    assert echo(lab, text) == text
    inputs = decode(lab.check(urn(NAMED), {"name": "n", "password": Secret(text)}).inputs)
    reply = lab.create(urn(NAMED), inputs)
    assert decode(reply.properties)["password"] == Secret(text)


def test_case_38_a_hundred_megabytes(lab):
    text = "x" * (100 * MIB)
    reply = lab.check(urn(NAMED), {"name": "n", "labels": {"large": text}})
    assert reply.inputs.fields["labels"].struct_value.fields["large"].string_value == text


def test_case_38_sixty_four_creates_at_once(lab):
    # Each of them ends only when all have begun.
    with ThreadPoolExecutor(64) as pool:
        calls = [pool.submit(lab.create, urn(MEETING, f"m{i}"), {"size": 64}) for i in range(64)]
        assert {call.result(60).id for call in calls} == {f"m{i}" for i in range(64)}


def test_case_39_an_unknown_signature(provider, lab):
    news = {"bucket": "b", "tags": {"a": {SIG: "ffffffffffffffffffffffffffffffff", "value": 1}}}
    for call in (
        lambda: provider.check(urn(BUCKET), news),
        lambda: provider.diff(urn(BUCKET), "b", {}, {}, news),
        lambda: provider.create(urn(BUCKET), news),
        lambda: lab.invoke("lab:index:echo", {"value": news}),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
            call()
        assert "unrecognized signature 'ffffffffffffffffffffffffffffffff'" in error.value.details()
        assert "tags" in error.value.details()


def test_case_39_a_secret_without_value(provider):
    # The engine drops unknowns, also from inside a secret.
    empty = Special(SECRET_SIG, {})
    reply = provider.check(urn(BUCKET), {"bucket": "ptd-b", "versioning": empty, "tags": {"a": "b"}})
    assert not reply.failures and "versioning" not in decode(reply.inputs)
    olds = {"bucket": "ptd-b"}
    assert provider.diff(urn(BUCKET), "ptd-b", olds, olds, olds | {"versioning": empty}).changes == DIFF_NONE


def test_case_39_output_values_in_check(provider):
    known = Output("ptd-b", dependencies=("urn:a",))
    unknown, secret = Output(known=False), Output(True, secret=True)
    reply = provider.check(urn(BUCKET), {"bucket": known, "versioning": unknown, "forceDestroy": secret})
    assert not reply.failures
    reply = provider.check(urn(BUCKET), {"bucket": Output(3), "versioning": Special(OUTPUT_SIG, {"secret": "yes"})})
    assert [failure.property for failure in reply.failures] == ["bucket"]


def test_case_40_large_whole_numbers(lab):
    text = str(2**63 - 1)
    assert echo(lab, {"text": text, "exact": 2**53}) == {"text": text, "exact": 2**53}
    reply = lab.invoke("lab:index:echo", {"number": 2**53})
    assert decode(getattr(reply, "return"))["number"] == 2**53
    # As a number it has lost its last digits before it arrives: better said than stored.
    for number in (2**60, -(2**60), 1e300):
        reply = lab.invoke("lab:index:echo", {"number": number})
        assert [failure.property for failure in reply.failures] == ["number"], number
        assert "9007199254740992" in reply.failures[0].reason


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_case_40_numbers_that_are_none(lab, number):
    for call in (lambda: echo(lab, [1, {"a": number}]), lambda: lab.check(urn(NAMED), {"name": "n", "size": number})):
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
            call()
        assert "number" in error.value.details()


def test_case_40_odd_keys_and_texts(lab):
    value = {
        "": 1, "ключ": "значение", "a\u0000b": "\u0000", "4dabf181": "x", "\U0001f600": [None, "", {}, []], " ": "\n\t\x7f",
    }  # fmt: skip
    assert echo(lab, value) == value
    assert echo(lab, [None, [None], {}]) == [None, [None], {}]


def nested(levels: int) -> bytes:
    """An Invoke of echo with lists in lists; written by hand, since Python's own limit is a hundred."""

    def field(number: int, body: bytes) -> bytes:
        size, length = b"", len(body)
        while length > 0x7F:
            size += bytes([length & 0x7F | 0x80])
            length >>= 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + body

    value = struct_pb2.Value(string_value="bottom").SerializeToString()
    for _ in range(levels):
        # Value.list_value, ListValue.values
        value = field(6, field(1, value))
    args = field(1, field(1, b"value") + field(2, value))
    return field(1, b"lab:index:echo") + field(2, args)


@pytest.mark.parametrize("levels", [20, 200, 5000, 20_000])
def test_case_40_values_in_values(lab, levels):
    invoke = lab.plain_channel.unary_unary("/pulumirpc.ResourceProvider/Invoke")
    try:
        assert b"bottom" in invoke(nested(levels), timeout=30)
        answered = True
    except grpc.RpcError as error:
        answered = False
        assert error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL), error.details()
        assert "recursion" in error.details() or "nest" in error.details()
    assert answered == (levels <= 20) or levels == 200
    # A stack overflow would have ended the process.
    assert echo(lab, "still there") == "still there"


def test_case_42_every_reply_of_a_whole_life(provider, proxy):
    """`strict` looks at each reply of each test; here at those of one resource's life."""
    kind = SECRET
    news = {"name": "acme.posit.team", "fields": [{"name": "a"}], "values": {"b": Secret("v")}, "allowDelete": True}
    provider.check_config({"region": "us-east-2", "version": "0.1.0"})
    provider.diff_config({"region": "us-east-2"}, {"region": "us-east-1"})
    inputs = decode(provider.check(urn(kind), news).inputs)
    provider.create(urn(kind), inputs | {"description": Unknown()}, preview=True)
    reply = provider.create(urn(kind), inputs)
    outputs = decode(reply.properties)
    provider.read(urn(kind), reply.id)
    provider.read(urn(kind), reply.id, outputs, inputs)
    changed = decode(provider.check(urn(kind), news | {"description": "d"}, inputs).inputs)
    assert provider.diff(urn(kind), reply.id, outputs, inputs, changed).changes == DIFF_SOME
    provider.update(urn(kind), reply.id, outputs, inputs, changed, preview=True)
    outputs = decode(provider.update(urn(kind), reply.id, outputs, inputs, changed).properties)
    provider.delete(urn(kind), reply.id, outputs, changed)
    assert set(provider.seen) >= {"CheckConfig", "DiffConfig", "Check", "Create", "Read", "Diff", "Update", "Delete"}


@pytest.mark.parametrize(
    ("method", "request_", "reply"),
    [
        ("Check", pb.CheckRequest(), pb.CheckResponse()),
        ("Check", pb.CheckRequest(), pb.CheckResponse(inputs=encode({"a": Unknown()}))),
        ("Create", pb.CreateRequest(), pb.CreateResponse(id="i", properties=encode({"a": [Secret(Unknown())]}))),
        ("Create", pb.CreateRequest(), pb.CreateResponse(id="i")),
        ("Create", pb.CreateRequest(), pb.CreateResponse(properties=encode({}))),
        ("Update", pb.UpdateRequest(), pb.UpdateResponse(properties=struct_pb2.Struct(fields={"a": struct_pb2.Value()}))),
        ("Read", pb.ReadRequest(), pb.ReadResponse(inputs=encode({"a": {SIG: "other"}}))),
        ("Read", pb.ReadRequest(), pb.ReadResponse(inputs=encode({"a": Special(SECRET_SIG, {})}))),
        ("Diff", pb.DiffRequest(), pb.DiffResponse()),
        ("Diff", pb.DiffRequest(), pb.DiffResponse(changes=DIFF_NONE, hasDetailedDiff=True, replaces=["a"])),
    ],
)
def test_case_42_what_the_check_of_replies_finds(method, request_, reply):
    with pytest.raises(strict.Violation):
        strict.check_reply(method, request_, reply)


def test_older_engines(launch, proxy, boto):
    """No Handshake, no typed configuration, no names, types or old inputs: an engine of 2021."""
    provider = launch()
    assert provider.info()
    stub = provider.stub
    variables = {"ptd:config:region": "us-east-2", "ptd:config:maxRetries": "2"}
    stub.Configure(pb.ConfigureRequest(variables=variables, acceptSecrets=True), timeout=10)
    news = encode({"name": "acme", "fields": [{"name": "a"}], "values": {"a": Secret("v")}, "allowDelete": True})
    checked = stub.Check(pb.CheckRequest(urn=urn(SECRET), olds=encode({}), news=news), timeout=10)
    assert not checked.failures
    made = stub.Create(pb.CreateRequest(urn=urn(SECRET), properties=checked.inputs), timeout=30)
    assert made.id == "acme"
    same = stub.Diff(pb.DiffRequest(urn=urn(SECRET), id="acme", olds=made.properties, news=checked.inputs), timeout=10)
    assert same.changes == DIFF_NONE
    changed = encode(decode(checked.inputs) | {"description": "d"})
    diff = stub.Diff(pb.DiffRequest(urn=urn(SECRET), id="acme", olds=made.properties, news=changed), timeout=10)
    assert list(diff.diffs) == ["description"]
    updated = stub.Update(pb.UpdateRequest(urn=urn(SECRET), id="acme", olds=made.properties, news=changed), timeout=30)
    assert boto("secretsmanager").describe_secret(SecretId="acme")["Description"] == "d"
    read = stub.Read(pb.ReadRequest(urn=urn(SECRET), id="acme", properties=updated.properties), timeout=30)
    assert read.properties == updated.properties and decode(read.inputs) == decode(changed)
    stub.Delete(pb.DeleteRequest(urn=urn(SECRET), id="acme", properties=read.properties), timeout=30)
    assert "DeletedDate" in boto("secretsmanager").describe_secret(SecretId="acme")


def test_children_are_told_from_their_urn(provider):
    # Without the field `type`, the type stands at the end of the parents' types; names may hold anything.
    child = "urn:pulumi:dev::app::my:own:Component$ptd:aws:StateBucket::a::b$c"
    reply = provider_pb2_grpc.ResourceProviderStub(provider.plain_channel).Check(
        pb.CheckRequest(urn=child, news=encode({"bucket": "ptd-b"})), timeout=10
    )
    assert not reply.failures and decode(reply.inputs)["bucket"] == "ptd-b"
