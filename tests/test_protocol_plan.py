"""What a conforming provider must survive: Check and Diff (cases 11 to 19)."""

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from support.protocol import BUCKET, DIFF_NONE, DIFF_SOME, FIELDS, NAMED, SECRET, kinds, refused, urn
from support.values import UNKNOWN, UNKNOWNS, Output, Secret, Unknown, decode, encode, text_asset

Autonaming = pb.CheckRequest.AutonamingOptions
SEED, OTHER_SEED = b"1" * 32, b"2" * 32


def test_case_11_check_of_nothing(provider, lab):
    for olds in ({}, None):
        reply = provider.check(urn(BUCKET), {}, olds)
        assert [failure.property for failure in reply.failures] == ["bucket"]
        assert "required" in reply.failures[0].reason
        assert decode(reply.inputs)["adopt"] is True
    reply = lab.check(urn("lab:index:Bare"), {})
    assert reply.HasField("inputs") and not reply.inputs.fields and not reply.failures


def test_case_11_all_failures_at_once(provider):
    reply = provider.check(urn(BUCKET), {"bukcet": "a", "versioning": "yes", "forceDestroy": 3, "tags": {"a": 1}})
    assert {failure.property for failure in reply.failures} == {"bukcet", "bucket", "versioning", "forceDestroy", "tags"}


@pytest.mark.parametrize(
    ("kind", "news"),
    [
        (SECRET, {"name": "s", "values": Secret("hunter2-in-a-text")}),
        (SECRET, {"name": "s", "values": {"a": Secret(["hunter2-in-a-list"])}}),
        (SECRET, {"name": "s", "values": {"a": ["hunter2-not-marked"]}}),
        (SECRET, {"name": Secret(["hunter2-in-a-name"])}),
        (FIELDS, {"secret": "s", "fields": Secret({"a": {"deep": "hunter2-deep"}})}),
    ],
)
def test_case_11_a_failure_on_a_secret_tells_nothing(provider, kind, news):
    reply = provider.check(urn(kind), news)
    assert reply.HasField("inputs")
    assert reply.failures
    for failure in reply.failures:
        # The engine prints the value of the property that a failure names.
        assert failure.property == ""
        assert next(iter(news.keys() - {"name", "secret"}), "name") in failure.reason
        assert "hunter2" not in failure.reason
    assert "hunter2" not in provider.stderr


def test_case_11_what_the_schema_calls_secret_is_wrapped(provider, lab):
    reply = provider.check(urn(FIELDS), {"secret": "s", "fields": {"a": Secret("marked"), "b": "not marked"}})
    assert not reply.failures
    assert decode(reply.inputs)["fields"] == Secret({"a": Secret("marked"), "b": "not marked"})
    reply = lab.check(urn(NAMED), {"name": "n", "password": "not marked"})
    assert decode(reply.inputs)["password"] == Secret("not marked")


def test_case_12_unknowns_pass_check_unchanged(provider):
    news = {
        "name": UNKNOWNS["bool"],
        "description": UNKNOWNS["archive"],
        "tags": {"a": UNKNOWNS["number"], "b": Secret(UNKNOWNS["object"])},
        "fields": [UNKNOWNS["array"], {"name": UNKNOWNS["asset"], "length": UNKNOWN}],
        "values": Secret(UNKNOWN),
        "allowDelete": UNKNOWN,
        "recoveryWindowDays": Secret(Secret(UNKNOWN)),
    }
    reply = provider.check(urn(SECRET), news)
    assert list(reply.failures) == []
    sent = encode(news)
    assert {key: reply.inputs.fields[key] for key in news} == {key: sent.fields[key] for key in news}


def test_case_13_generated_names(lab):
    first = decode(lab.check(urn(NAMED, "thing"), {}, randomSeed=SEED).inputs)["name"]
    assert first.startswith("thing-") and len(first) == len("thing-") + 7
    again = decode(lab.check(urn(NAMED, "thing"), {}, {"name": first}, randomSeed=OTHER_SEED).inputs)["name"]
    assert again == first
    replacement = decode(lab.check(urn(NAMED, "thing"), {}, randomSeed=OTHER_SEED).inputs)["name"]
    assert replacement != first
    assert decode(lab.check(urn(NAMED, "thing"), {}, randomSeed=SEED).inputs)["name"] == first


def test_case_14_automatic_naming_as_configured(lab):
    disabled = lab.check(urn(NAMED), {}, randomSeed=SEED, autonaming=Autonaming(mode=Autonaming.DISABLE))
    assert [failure.property for failure in disabled.failures] == ["name"]
    given = lab.check(urn(NAMED), {"name": "given"}, randomSeed=SEED, autonaming=Autonaming(mode=Autonaming.DISABLE))
    assert not given.failures and decode(given.inputs)["name"] == "given"
    for mode in (Autonaming.ENFORCE, Autonaming.PROPOSE):
        options = Autonaming(proposed_name="x", mode=mode)
        assert decode(lab.check(urn(NAMED), {}, randomSeed=SEED, autonaming=options).inputs)["name"] == "x"


def diff(provider, old: dict, new: dict, **fields):
    olds = old | {"place": "shelf/a", "generation": 1}
    return provider.diff(urn(NAMED), "a", olds, old, new, **fields)


def test_case_15_diff(lab):
    old = {"name": "a", "size": 1, "labels": {"x": "1"}}
    assert diff(lab, old, old).changes == DIFF_NONE
    changed = diff(lab, old, old | {"size": 2})
    assert changed.changes == DIFF_SOME and list(changed.diffs) == ["size"] and kinds(changed) == {"size": "UPDATE"}
    assert not changed.replaces
    replaced = diff(lab, old, old | {"name": "b"})
    assert replaced.changes == DIFF_SOME and list(replaced.replaces) == ["name"]
    assert list(replaced.diffs) == ["name"] and kinds(replaced) == {"name": "UPDATE_REPLACE"}
    several = diff(lab, old, {"name": "a", "labels": {"x": "2", "y": "1"}})
    assert kinds(several) == {"size": "DELETE", "labels.x": "UPDATE", "labels.y": "ADD"}
    assert sorted(several.diffs) == ["labels", "size"]
    immutable = lab.diff(urn("lab:index:Slow"), "slow-1", {"deaf": True}, {"deaf": True}, {"deaf": False})
    assert immutable.changes == DIFF_SOME and not immutable.replaces


def test_case_15_ignored_changes(lab):
    old = {"name": "a", "size": 1, "labels": {"x": "1", "y": "1"}}
    new = {"name": "a", "size": 2, "labels": {"x": "2", "y": "2"}}
    assert kinds(diff(lab, old, new, ignoreChanges=["size", "labels.x"])) == {"labels.y": "UPDATE"}
    assert diff(lab, old, new, ignoreChanges=["size", "labels"]).changes == DIFF_NONE
    assert diff(lab, old, new, ignoreChanges=["*"]).changes == DIFF_NONE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"password": "p"}, {"password": Secret("p")}),
        ({"password": Secret(Secret("p"))}, {"password": "p"}),
        ({"labels": {"a": Secret("1")}}, {"labels": Secret({"a": "1"})}),
        ({"size": None}, {}),
        ({}, {"size": None, "labels": None}),
        ({"labels": {"a": "1", "b": None}}, {"labels": {"a": "1"}}),
        ({"size": Output(3, dependencies=("urn",))}, {"size": 3}),
        ({"note": {**text_asset("t"), "text": "t"}}, {"note": {k: v for k, v in text_asset("t").items() if k != "text"}}),
        ({"__private": 1}, {"__private": 2}),
    ],
)
def test_case_16_no_difference_that_matters(lab, old, new):
    reply = diff(lab, {"name": "a"} | old, {"name": "a"} | new)
    assert reply.changes == DIFF_NONE, reply


def test_case_17_diff_with_unknowns(lab):
    old = {"name": "a", "size": 1, "labels": {"x": "1"}}
    news = {"name": Unknown(), "size": Secret(Unknown()), "labels": {"x": Unknown(), "y": Unknown()}, "note": Unknown()}
    reply = diff(lab, old, news)
    assert kinds(reply) == {
        "name": "UPDATE_REPLACE", "size": "UPDATE", "labels.x": "UPDATE", "labels.y": "ADD", "note": "ADD",
    }  # fmt: skip
    assert diff(lab, old, old | {"labels": Unknown()}).changes == DIFF_SOME


def test_case_18_state_of_another_version(provider, proxy):
    # Written by a version that knew less, and called things by other names.
    olds = {"bucket": "ptd-acme", "arn": "arn:aws:s3:::ptd-acme", "objectLock": {"days": [1]}, "tags": "a=b"}
    news = decode(provider.check(urn(BUCKET), {"bucket": "ptd-acme", "tags": {"a": "b"}}).inputs)
    request = pb.DiffRequest(id="ptd-acme", urn=urn(BUCKET), olds=encode(olds), news=encode(news))
    reply = provider.stub.Diff(request, timeout=10)
    assert reply.changes == DIFF_SOME and not reply.replaces
    assert "tags" in reply.diffs
    # A property that only outputs have is not an input that went away.
    assert not {"arn", "objectLock"} & set(reply.diffs)
    assert proxy.calls == []


def test_case_18_roles_swapped_as_in_a_refresh(provider, proxy):
    stored = decode(provider.check(urn(BUCKET), {"bucket": "ptd-acme", "versioning": True}).inputs)
    state = {"arn": "arn:aws:s3:::ptd-acme", "accountId": "123456789012", "region": "us-east-2"}
    state |= {"hardening": {}, "tagsAll": {}}
    refreshed = stored | {"versioning": False}
    reply = provider.diff(urn(BUCKET), "ptd-acme", refreshed | state, refreshed, stored)
    assert kinds(reply) == {"versioning": "UPDATE"} and not reply.replaces
    same = provider.diff(urn(BUCKET), "ptd-acme", stored | state, stored, stored)
    assert same.changes == DIFF_NONE
    assert proxy.calls == []


@pytest.mark.parametrize(
    ("key", "path"),
    [("a.b/c", '["a.b/c"]'), ("", '[""]'), ('say "hi"', '["say \\"hi\\""]'), ("ключ", '["ключ"]'), ("a_1", "a_1")],
)
def test_case_19_property_paths(lab, key, path):
    reply = diff(lab, {"name": "a", key: 1}, {"name": "a", key: 2})
    assert kinds(reply) == {path: "UPDATE"}
    nested = diff(lab, {"name": "a", "labels": {key: "1"}}, {"name": "a", "labels": {key: "2"}})
    assert kinds(nested) == {f"labels{path if path.startswith('[') else '.' + path}": "UPDATE"}


def test_types_nobody_knows(provider):
    for call in (
        lambda: provider.check(urn("ptd:aws:StateBukcet"), {}),
        lambda: provider.diff(urn("ptd:aws:StateBukcet"), "i", {}, {}, {}),
        lambda: provider.create(urn("ptd:aws:StateBukcet"), {}),
        lambda: provider.read(urn("ptd:aws:StateBukcet"), "i"),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as error:
            call()
        assert "did you mean 'ptd:aws:StateBucket'?" in error.value.details()
