"""What a conforming provider must survive: Create, Read, Update, Delete, Invoke and Call (cases 20 to 29)."""

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from support import aws_replies as replies
from support.protocol import (
    BARE, BUCKET, DIFF_NONE, FIELDS, KEY, NAMED, POLICY, SECRET, SLOW, detail, kinds, refused, urn,
)  # fmt: skip
from support.provider import details
from support.values import ASSET_SIG, SIG, Ref, Secret, Special, Unknown, decode, encode, text_asset

#: A program for each resource, and what it is imported by where that is not the id.
PROGRAMS = {
    BUCKET: {"bucket": "ptd-acme", "tags": {"team": "posit"}},
    KEY: {"alias": "alias/acme", "allowDelete": True, "tags": {"team": "posit"}},
    POLICY: {"allowDelete": True},
    SECRET: {"name": "acme.posit.team", "fields": [{"name": "a"}], "allowDelete": True, "recoveryWindowDays": 7},
    FIELDS: {"secret": "acme-shared", "fields": {"a": Secret("value-of-a")}, "createSecret": True},
}
IMPORT_IDS = {FIELDS: "acme-shared#a"}
ABSENT = {
    BUCKET: "ptd-absent",
    KEY: "alias/absent",
    POLICY: "arn:aws:iam::123456789012:policy/absent",
    SECRET: "absent",
    FIELDS: "absent#a",
}
every_kind = pytest.mark.parametrize("kind", PROGRAMS, ids=lambda kind: kind.rsplit(":", 1)[-1])


def checked(provider, kind, news, olds=None, name="r") -> dict:
    reply = provider.check(urn(kind, name), news, olds)
    assert not reply.failures, reply.failures
    return decode(reply.inputs)


def made(provider, kind, news=None, name="r") -> tuple[str, dict, dict]:
    """The id, inputs and outputs of a resource as the engine would store them."""
    inputs = checked(provider, kind, PROGRAMS[kind] if news is None else news, name=name)
    reply = provider.create(urn(kind, name), inputs)
    return reply.id, inputs, decode(reply.properties)


@every_kind
def test_case_20_preview_of_a_create_with_unknowns(provider, proxy, kind):
    identity = {POLICY: "name"}.get(kind, next(iter(PROGRAMS[kind])))
    inputs = checked(provider, kind, PROGRAMS[kind] | {identity: Unknown()})
    reply = provider.create(urn(kind), inputs, preview=True)
    outputs = decode(reply.properties)
    assert reply.id == ""
    assert {key: outputs[key] for key in inputs} == inputs
    arn = "secretArn" if kind == FIELDS else "arn"
    assert outputs[arn] == Unknown()
    assert proxy.calls == []


@every_kind
def test_case_20_preview_of_a_create_writes_nothing(provider, proxy, kind):
    reply = provider.create(urn(kind), checked(provider, kind, PROGRAMS[kind]), preview=True)
    assert reply.id == "" and reply.HasField("properties")
    assert proxy.writes() == []


@every_kind
def test_case_20_create(provider, proxy, kind):
    id, inputs, outputs = made(provider, kind)
    assert id and proxy.writes()
    assert {key: outputs[key] for key in inputs} == inputs
    assert provider.read(urn(kind), id, outputs, inputs).id == id


def refuse(call):
    return replies.error(call, 400, "InvalidRequest", "not today")


def half_made(provider, proxy, **properties) -> tuple[dict, pb.ErrorResourceInitFailed, str]:
    """A bucket that exists, but is not as it should be: the inputs and what the engine stores."""
    proxy.rule(refuse, operation="PutBucketVersioning", times=1)
    inputs = checked(provider, BUCKET, {"bucket": "ptd-acme", "versioning": True} | properties)
    with refused(grpc.StatusCode.UNKNOWN) as error:
        provider.create(urn(BUCKET), inputs)
    return inputs, detail(error.value, "ErrorResourceInitFailed"), error.value.details()


def test_case_21_created_but_not_finished(provider, proxy, boto):
    inputs, stored, text = half_made(provider, proxy)
    boto("s3").head_bucket(Bucket="ptd-acme")
    assert stored.id == "ptd-acme"
    outputs = decode(stored.properties)
    assert {key: outputs[key] for key in inputs} == inputs and outputs["arn"] == "arn:aws:s3:::ptd-acme"
    assert "PutBucketVersioning" in stored.reasons[0] and "not today" in stored.reasons[0]
    assert replies.REQUEST_ID in stored.reasons[0]
    assert stored.reasons[0] in text


def test_case_21_refused_before_anything_was_made(provider, proxy, boto):
    proxy.rule(replies.access_denied, operation="CreateBucket")
    with refused() as error:
        provider.create(urn(BUCKET), checked(provider, BUCKET, PROGRAMS[BUCKET]))
    # With a partial failure the engine would store a bucket that is not there.
    assert error.value.trailing_metadata() == () or "ErrorResourceInitFailed" not in str(error.value.trailing_metadata())
    assert "CreateBucket" in error.value.details()
    assert boto("s3").list_buckets()["Buckets"] == []


def test_case_22_the_next_update_repairs(provider, proxy, boto):
    inputs, stored, _ = half_made(provider, proxy)
    outputs = decode(stored.properties)
    # The engine calls Update although nothing differs.
    assert provider.diff(urn(BUCKET), stored.id, outputs, inputs, inputs).changes == DIFF_NONE
    reply = provider.update(urn(BUCKET), stored.id, outputs, inputs, inputs)
    assert boto("s3").get_bucket_versioning(Bucket="ptd-acme")["Status"] == "Enabled"
    read = provider.read(urn(BUCKET), stored.id, decode(reply.properties), inputs)
    assert decode(read.inputs) == inputs and read.properties == reply.properties


@pytest.mark.parametrize(
    ("kind", "before", "after", "operation", "changed"),
    [
        (SECRET, {"description": "1"}, {"description": "2"}, "UpdateSecret", "description"),
        (KEY, {"description": "1"}, {"description": "2"}, "UpdateKeyDescription", "description"),
        (BUCKET, {"versioning": True}, {"versioning": False}, "PutBucketVersioning", "versioning"),
    ],
    ids=["Secret", "EncryptionKey", "StateBucket"],
)
def test_case_22_an_update_that_fails_half_way(provider, proxy, kind, before, after, operation, changed):
    id, inputs, outputs = made(provider, kind, PROGRAMS[kind] | before | {"tags": {"a": "1"}})
    news = checked(provider, kind, PROGRAMS[kind] | after | {"tags": {"a": "2"}}, inputs)
    proxy.rule(refuse, operation=operation, times=1)
    with refused() as error:
        provider.update(urn(kind), id, outputs, inputs, news)
    assert operation in error.value.details() and "not today" in error.value.details()
    # Without details nothing happened, and the old state stays; otherwise this is the state, with the old inputs.
    state = outputs
    if details(error.value):
        stored = detail(error.value, "ErrorResourceInitFailed")
        assert stored.id == id and operation in stored.reasons[0]
        state = decode(stored.properties)
    assert changed in kinds(provider.diff(urn(kind), id, state, inputs, news))
    reply = provider.update(urn(kind), id, state, inputs, news)
    state = decode(reply.properties)
    assert state["tagsAll"] == {"a": "2"}
    assert provider.diff(urn(kind), id, state, news, news).changes == DIFF_NONE
    read = provider.read(urn(kind), id, state, news)
    assert decode(read.inputs) == news and read.properties == reply.properties


@every_kind
def test_case_23_import(provider, proxy, kind):
    id, _, _ = made(provider, kind)
    proxy.forget_calls()
    reply = provider.read(urn(kind), IMPORT_IDS.get(kind, id))
    assert reply.id and reply.HasField("properties") and reply.HasField("inputs")
    assert proxy.writes() == []
    inputs, outputs = decode(reply.inputs), decode(reply.properties)
    # What a program written from the import says.
    news = checked(provider, kind, inputs)
    assert provider.diff(urn(kind), reply.id, outputs, inputs, news).changes == DIFF_NONE
    again = provider.read(urn(kind), reply.id, outputs, inputs)
    assert again.properties == reply.properties and again.inputs == reply.inputs


@every_kind
def test_case_24_nothing_there(provider, proxy, kind):
    assert provider.read(urn(kind), ABSENT[kind]) == pb.ReadResponse()
    id, inputs, outputs = made(provider, kind)
    gone = {"bucket": "ptd-absent", "alias": "alias/absent", "name": "absent", "secret": "absent"}
    inputs |= {key: value for key, value in gone.items() if key in inputs}
    assert provider.read(urn(kind), ABSENT[kind].split("#")[0], outputs | inputs, inputs) == pb.ReadResponse()


@every_kind
@pytest.mark.parametrize("problem", ["denied", "unreachable"])
def test_case_24_not_allowed_to_look_is_not_gone(launch, aws_env, proxy, kind, problem):
    provider = launch(env={"AWS_ENDPOINT_URL": aws_env["AWS_ENDPOINT_URL"]}).ready({"maxRetries": "0"})
    id, inputs, outputs = made(provider, kind)
    proxy.rule(replies.access_denied if problem == "denied" else replies.internal)
    for stored in ({}, {"properties": outputs, "inputs": inputs}):
        with refused() as error:
            provider.read(urn(kind), id if stored else IMPORT_IDS.get(kind, id), **stored)
        assert error.value.code() != grpc.StatusCode.INTERNAL, error.value.details()
        assert "failed" in error.value.details()


def test_case_25_read_without_outputs(lab):
    reply = lab.read(urn(BARE), "here", {}, {})
    assert reply.id == "here"
    assert reply.HasField("properties") and not reply.properties.fields
    assert reply.HasField("inputs") and not reply.inputs.fields


def test_case_26_read_with_an_elided_asset(lab, tmp_path):
    note = tmp_path / "note.txt"
    full = {**text_asset("written on it"), "path": str(note)}
    del full["text"]
    id, inputs, outputs = made(lab, NAMED, {"name": "n", "note": full})
    elided = {SIG: ASSET_SIG, "hash": full["hash"]}
    # The file never existed, and nobody asks for it.
    reply = lab.read(urn(NAMED), id, outputs | {"note": elided}, inputs | {"note": elided})
    echoed = Special(ASSET_SIG, {"hash": full["hash"]})
    assert decode(reply.inputs)["note"] == echoed and decode(reply.properties)["note"] == echoed
    assert decode(encode({"note": outputs["note"]}))["note"] == Special(ASSET_SIG, {"hash": full["hash"], "path": str(note)})


@every_kind
def test_case_26_read_never_writes(provider, proxy, boto, kind):
    id, inputs, outputs = made(provider, kind)
    if kind == BUCKET:
        boto("s3").put_bucket_versioning(Bucket=id, VersioningConfiguration={"Status": "Suspended"})
    proxy.forget_calls()
    provider.read(urn(kind), id, outputs, inputs)
    provider.read(urn(kind), IMPORT_IDS.get(kind, id))
    assert proxy.calls and proxy.writes() == []


@every_kind
def test_case_27_delete_twice(provider, kind):
    id, inputs, outputs = made(provider, kind)
    # As an older engine would say it: without the inputs.
    request = pb.DeleteRequest(id=id, urn=urn(kind), properties=encode(outputs))
    provider.stub.Delete(request, timeout=30)
    provider.stub.Delete(request, timeout=30)
    provider.delete(urn(kind), id, outputs, inputs)


def test_case_28_invoke_without_arguments(provider, lab):
    reply = provider.invoke("ptd:index:getTarget", {})
    assert [failure.property for failure in reply.failures] == ["target"]
    assert "required" in reply.failures[0].reason
    # What was unknown is left out.
    reply = lab.invoke("lab:index:echo", {})
    assert decode(getattr(reply, "return")) == {"preview": False}


def test_case_28_invoke_of_a_target_that_does_not_exist(launch, tmp_path):
    provider = launch(cwd=tmp_path).ready()
    for there in ("nothing", "an empty tree"):
        reply = provider.invoke("ptd:index:getTarget", {"target": "acme"})
        assert [failure.property for failure in reply.failures] == ["target"], there
        assert "acme" in reply.failures[0].reason or "infra" in reply.failures[0].reason
        (tmp_path / "infra" / "__work__").mkdir(parents=True, exist_ok=True)


def test_case_28_invoke_of_an_unknown_function(provider):
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
        provider.invoke("ptd:index:getTraget", {})
    assert "did you mean 'ptd:index:getTarget'?" in error.value.details()


def test_case_28_invoke_in_a_preview(lab):
    reply = lab.invoke("lab:index:echo", {"number": 3, "password": Secret("p")}, preview=True)
    assert decode(getattr(reply, "return")) == {"number": 3, "password": Secret("p"), "preview": True}


def test_case_29_call_of_a_method(provider):
    # No resource has methods; a call of one is answered, not dropped.
    assert not any(resource.get("methods") for resource in provider.schema()["resources"].values())
    args = encode({"__self__": Ref(urn(BUCKET), Unknown())})
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
        provider.stub.Call(pb.CallRequest(tok=f"{BUCKET}/getUrl", args=args, dryRun=True), timeout=10)
    assert f"{BUCKET}/getUrl" in error.value.details()


def test_an_update_keeps_what_is_stable_in_a_preview(lab):
    id, inputs, outputs = made(lab, NAMED, {"name": "n", "size": 1, "password": Secret("p")})
    news = checked(lab, NAMED, {"name": "n", "size": Unknown(), "password": Secret("p")}, inputs)
    reply = lab.update(urn(NAMED), id, outputs, inputs, news, preview=True)
    assert decode(reply.properties) == news | {"place": "shelf/n", "generation": Unknown()}
    assert decode(lab.read(urn(NAMED), id, outputs, inputs).properties)["size"] == 1


def test_a_time_limit_leaves_what_was_made(lab):
    with refused(grpc.StatusCode.DEADLINE_EXCEEDED) as error:
        lab.create(urn(SLOW), {}, timeout=0.1)
    stored = detail(error.value, "ErrorResourceInitFailed")
    assert stored.id == "slow-1" and "customTimeouts" in stored.reasons[0]
    reply = lab.update(urn(SLOW), stored.id, decode(stored.properties), {}, {})
    assert decode(reply.properties) == {"finished": True}
