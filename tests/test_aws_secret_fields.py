"""`ptd:aws:SecretFields`: several owners of one secret, none of whom loses anything."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from support import aws_replies, values
from support.cli import Workspace
from support.moto import ACCOUNT, Moto
from support.provider import ProviderProcess
from support.proxy import Cut, FaultProxy, Faults
from support.values import Secret

NAME = "acme01-staging.posit.team"
TOKEN = "ptd:aws:SecretFields"
THEIRS = '{"own":"theirs","number": 1.50e3,"odd":{"b": [1,  2]},"mine":"","also-mine":""}'
WRITE = ["PutSecretValue", "UpdateSecretVersionStage", "UpdateSecretVersionStage"]


def program(fields: dict | None = None, *, options: dict | None = None, **properties) -> dict:
    """The values come from the stack's secret configuration: what stands in a program is no secret."""
    properties = {"secret": NAME, "fields": fields or {"mine": "${mine}", "also-mine": "${also}"}} | properties
    resource = {"type": TOKEN, "properties": properties} | ({"options": options} if options else {})
    config = {name: {"type": "string", "secret": True} for name in ("mine", "also")}
    return {"config": config, "resources": {"fields": resource}, "outputs": {"arn": "${fields.secretArn}"}}


@pytest.fixture
def secrets(boto):
    return boto("secretsmanager")


@pytest.fixture
def shared(secrets) -> str:
    """A secret with fields of others."""
    return secrets.create_secret(Name=NAME, SecretString=THEIRS)["ARN"]


@pytest.fixture
def ws(workspace: Workspace) -> Workspace:
    return workspace.yaml(program()).secret_config(mine="value-of-mine", also="value-of-also")


def text(secrets, name: str = NAME) -> str:
    return secrets.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"]


def fields(secrets, name: str = NAME) -> dict:
    return json.loads(text(secrets, name))


def labels(secrets, name: str = NAME) -> list[str]:
    stages = secrets.describe_secret(SecretId=name)["VersionIdsToStages"].values()
    return [s for version in stages for s in version if s not in ("AWSCURRENT", "AWSPREVIOUS")]


def outside(secrets, change: Callable[[dict], None], name: str = NAME) -> None:
    """Somebody else changes the value by moving the label."""
    old = secrets.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
    content = json.loads(old["SecretString"])
    change(content)
    new = secrets.put_secret_value(SecretId=name, SecretString=json.dumps(content), VersionStages=["theirs"])
    move = {"SecretId": name, "RemoveFromVersionId": old["VersionId"], "MoveToVersionId": new["VersionId"]}
    secrets.update_secret_version_stage(VersionStage="AWSCURRENT", **move)
    secrets.update_secret_version_stage(SecretId=name, VersionStage="theirs", RemoveFromVersionId=new["VersionId"])


def writes(proxy: FaultProxy) -> list[str]:
    return [call.operation for call in proxy.select(write=True)]


def test_from_preview_to_destroy(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    ws.yaml(program())
    assert ws.preview().changes == {"create": 2}
    assert proxy.writes() == []
    ws.up()
    assert writes(proxy) == WRITE
    # To the letter, in place.
    assert text(secrets) == (
        '{"own":"theirs","number":1.50e3,"odd":{"b": [1,  2]},"mine":"value-of-mine","also-mine":"value-of-also"}'
    )
    assert labels(secrets) == []
    state = ws.resource("::fields")
    assert (state["id"], state["outputs"]["secretArn"]) == (NAME, shared)
    assert (state["outputs"]["accountId"], state["outputs"]["region"]) == (ACCOUNT, "us-east-2")

    proxy.forget_calls()
    assert ws.up().changes == {}
    assert proxy.calls == []
    assert ws.refresh().changes == {}
    assert proxy.writes() == []

    # A program that states what is there already writes nothing.
    ws.run("state", "delete", ws.resource("::fields")["urn"], "--yes")
    ws.up()
    assert proxy.writes() == []

    ws.destroy()
    assert writes(proxy) == WRITE
    assert text(secrets) == '{"own":"theirs","number":1.50e3,"odd":{"b": [1,  2]}}'
    assert labels(secrets) == []


def test_updates_touch_what_they_name(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    ws.yaml(program()).up()
    steps = [
        ({"mine": "${mine}", "also-mine": "changed"}, {"fields.also-mine": "update"}),
        ({"mine": "${mine}", "new": "${also}"}, {"fields.also-mine": "delete", "fields.new": "add"}),
    ]
    for step, shown in steps:
        ws.yaml(program(step))
        proxy.forget_calls()
        preview = ws.preview()
        assert {p.replace('["', ".").replace('"]', ""): k for p, k in preview.diff("::fields").items()} == shown
        assert proxy.writes() == []
        ws.up()
        assert writes(proxy) == WRITE
        assert ws.refresh().changes == {}
    now = fields(secrets)
    assert list(now) == ["own", "number", "odd", "mine", "new"]
    assert (now["own"], now["mine"], now["new"]) == ("theirs", "value-of-mine", "value-of-also")
    # The ARN of the same secret is the same place; another secret is another resource.
    ws.yaml(program(step, secret=shared))
    assert ws.up().changes == {}
    secrets.create_secret(Name="other.posit.team", SecretString="{}")
    ws.yaml(program(step, secret="other.posit.team"))
    assert ws.preview().diff("::fields")["secret"] == "update-replace"
    ws.up()
    assert fields(secrets, "other.posit.team") == {"mine": "value-of-mine", "new": "value-of-also"}
    assert list(fields(secrets)) == ["own", "number", "odd"]


def test_drift_shows_exactly_and_is_repaired_exactly(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    ws.yaml(program()).up()
    before = fields(secrets)
    cases = [
        (lambda content: content.update({"mine": "theirs now"}), "mine"),
        (lambda content: content.pop("also-mine"), "also-mine"),
        (lambda content: content.update({"mine": 5}), "mine"),
    ]
    for change, name in cases:
        outside(secrets, change)
        proxy.forget_calls()
        refreshed = ws.refresh()
        assert proxy.writes() == []
        assert [p.replace('["', ".").replace('"]', "") for p in refreshed.diff("::fields")] == [f"fields.{name}"]
        repaired = ws.up()
        assert [p.replace('["', ".").replace('"]', "") for p in repaired.diff("::fields")] == [f"fields.{name}"]
        assert writes(proxy) == WRITE
        assert ws.refresh().changes == {}
    assert fields(secrets) == before
    # What belongs to others is no drift.
    outside(secrets, lambda content: content.update({"own": "changed", "new": "1"}))
    assert ws.refresh().changes == {}
    # Without any of its fields it is gone.
    outside(secrets, lambda content: [content.pop(name) for name in ("mine", "also-mine")])
    assert ws.refresh().changes == {"delete": 1}
    ws.up()
    assert fields(secrets) == before | {"own": "changed", "new": "1"}
    secrets.delete_secret(SecretId=NAME)
    assert ws.refresh().changes == {"delete": 1}


def test_import(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    outside(secrets, lambda content: content.update({"mine": "value-of-mine", "also-mine": "value-of-also"}))
    ws.yaml({"resources": {}})
    ws.import_(TOKEN, "fields", f"{NAME}#mine,also-mine")
    assert ws.resource("::fields")["id"] == NAME
    ws.yaml(program())
    assert ws.preview().changes == {}
    assert ws.up().changes == {} and ws.refresh().changes == {}
    assert b"value-of-mine" not in json.dumps(ws.export()).encode()

    ws.run("state", "delete", ws.resource("::fields")["urn"], "--yes")
    up = ws.yaml(program(options={"import": f"{NAME}#mine,also-mine"})).up()
    assert up.changes == {"import": 1}
    assert ws.yaml(program()).preview().changes == {}
    assert proxy.writes() == []

    ws.run("state", "delete", ws.resource("::fields")["urn"], "--yes")
    unclear = ws.import_(TOKEN, "fields", NAME, fails=True)
    assert "name#field1,field2" in unclear.text
    absent = ws.import_(TOKEN, "fields", f"{NAME}#no-such", fails=True)
    assert "does not exist" in absent.text


def test_a_missing_secret(ws: Workspace, secrets, proxy: FaultProxy):
    ws.yaml(program())
    # Another resource of the same run may make it.
    ws.preview()
    missing = ws.up(fails=True)
    assert f"secret {NAME} does not exist" in missing.text and "Create it first" in missing.text
    assert proxy.writes() == []
    ws.yaml(program(createSecret=True)).up()
    assert fields(secrets) == {"mine": "value-of-mine", "also-mine": "value-of-also"}
    tags = secrets.describe_secret(SecretId=NAME)["Tags"]
    assert tags == [{"Key": "posit.team/managed-by", "Value": "admin"}]
    assert labels(secrets) == []

    secrets.delete_secret(SecretId=NAME)
    ws.refresh()
    waiting = ws.yaml(program()).up(fails=True)
    assert "InvalidRequestException" in waiting.text and "restore" in waiting.text
    restored = ws.yaml(program(createSecret=True)).up()
    assert any("waited for deletion" in m for m in restored.messages("info"))
    assert fields(secrets)["mine"] == "value-of-mine"

    # Deleting leaves the secret to those who may delete it, and does not mind its absence.
    ws.destroy()
    assert fields(secrets) == {}
    ws.up()
    secrets.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    ws.destroy()
    assert ws.resources() == []


def test_fields_can_stay(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    ws.yaml(program(removeOnDelete=False)).up()
    proxy.forget_calls()
    ws.destroy()
    assert proxy.writes() == []
    assert fields(secrets)["mine"] == "value-of-mine"


def test_a_secret_without_a_version(ws: Workspace, secrets, proxy: FaultProxy):
    secrets.create_secret(Name=NAME)
    ws.yaml(program()).up()
    assert fields(secrets) == {"mine": "value-of-mine", "also-mine": "value-of-also"}
    assert labels(secrets) == []
    assert ws.refresh().changes == {}


@pytest.mark.parametrize(
    ("properties", "path", "words"),
    [
        ({"secret": "a b"}, "secret", "letters, digits and /_+=.@-"),
        ({"accountId": "1"}, "accountId", "12 digits"),
        ({"secret": "arn:aws:secretsmanager:us-east-2:1:secret:x", "createSecret": True}, "createSecret", "not its ARN"),
    ],
)
def test_bad_inputs_are_refused_before_any_call(properties, path, words, ws: Workspace, proxy: FaultProxy):
    result = ws.yaml(program(**properties)).preview(fails=True)
    assert path in result.text and words in result.text, result
    assert proxy.calls == []


def test_no_field_at_all(provider: ProviderProcess):
    reply = provider.check(urn("f"), {"secret": NAME, "fields": {}})
    assert [f.property + f.reason for f in reply.failures] == ["fields: must name at least one field"]


def test_the_wrong_account_is_refused_although_values_are_unknown(ws: Workspace, shared: str, proxy: FaultProxy):
    source = {"type": "ptd:aws:Secret", "properties": {"name": "source.posit.team"}}
    made = program({"mine": "${source.arn}"}, accountId="999999999999")
    made["resources"]["source"] = source
    for result in (ws.yaml(made).preview(fails=True), ws.up(fails=True)):
        assert f"credentials belong to account {ACCOUNT}, expected is 999999999999" in result.text
    assert not any("SecretFields" in call or "PutSecretValue" in call for call in proxy.writes())


def test_values_that_are_not_known_yet(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    made = program({"mine": "${source.arn}"})
    made["resources"]["source"] = {"type": "ptd:aws:Secret", "properties": {"name": "source.posit.team"}}
    assert ws.yaml(made).preview().changes == {"create": 3}
    assert proxy.writes() == []
    ws.up()
    assert fields(secrets)["mine"].endswith(secrets.describe_secret(SecretId="source.posit.team")["ARN"])


# Several owners.


def urn(name: str) -> str:
    return f"urn:pulumi:dev::app::{TOKEN}::{name}"


class Owner:
    """A program of its own: a provider process that writes fields nobody else writes."""

    def __init__(self, provider: ProviderProcess, name: str, secret: str = NAME) -> None:
        self.provider, self.name, self.secret = provider, name, secret
        self.fields: dict[str, str] = {}
        self.inputs: dict = {}
        self.outputs: dict = {}
        self.seconds: list[float] = []

    def write(self, **changed: str) -> None:
        self.fields |= changed
        news = {"secret": self.secret, "fields": {n: Secret(v) for n, v in self.fields.items()},
                "createSecret": False, "removeOnDelete": True}
        began = time.monotonic()
        if not self.inputs:
            reply = self.provider.create(urn(self.name), news, within=120)
        else:
            reply = self.provider.update(urn(self.name), self.secret, self.outputs, self.inputs, news, within=120)
        self.seconds.append(time.monotonic() - began)
        self.inputs, self.outputs = news, values.decode(reply.properties)


def at_once(*work: Callable[[], None]) -> None:
    """Runs all in threads of their own, and raises what one of them raises."""
    failed: list[BaseException] = []

    def guard(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    threads = [threading.Thread(target=guard, args=(function,)) for function in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_two_programs_write_fifty_times_at_once_and_lose_nothing(launch, secrets, shared: str, proxy: FaultProxy):
    owners = [Owner(launch().ready(), name) for name in ("one", "two")]

    def work(owner: Owner) -> Callable[[], None]:
        def run() -> None:
            for i in range(50):
                # A new field and a new value of an old one, each time.
                owner.write(**{f"{owner.name}-{i}": f"{owner.name} wrote {i}", f"{owner.name}-last": str(i)})

        return run

    at_once(*map(work, owners))
    expected = json.loads(THEIRS)
    for owner in owners:
        expected |= owner.fields
    assert len(expected) == 5 + 2 * 51
    assert fields(secrets) == expected
    assert labels(secrets) == []
    lost = [c for c in proxy.select("UpdateSecretVersionStage") if c.status == 400]
    assert lost, "the two never met"
    assert proxy.count("PutSecretValue") == 100 + len(lost)


def test_eight_programs_take_turns(launch, secrets, shared: str):
    provider = launch().ready()
    owners = [Owner(provider, f"owner{i}") for i in range(8)]
    at_once(*[lambda owner=owner: [owner.write(**{f"{owner.name}-{i}": str(i)}) for i in range(6)] for owner in owners])
    expected = json.loads(THEIRS)
    for owner in owners:
        expected |= owner.fields
    assert fields(secrets) == expected and labels(secrets) == []


def test_the_first_version_of_a_secret_is_contended_too(launch, secrets):
    provider = launch().ready()
    for round in range(5):
        name = f"empty{round}.posit.team"
        secrets.create_secret(Name=name)
        owners = [Owner(provider, f"owner{i}", name) for i in range(4)]
        at_once(*[lambda owner=owner: owner.write(**{owner.name: "1"}) for owner in owners])
        assert fields(secrets, name) == {owner.name: "1" for owner in owners}
        assert labels(secrets, name) == []


def test_two_programs_in_the_real_cli(new_workspace, secrets, shared: str):
    programs = [new_workspace(name) for name in ("one", "two")]
    for ws in programs:
        ws.yaml({"resources": {}}).init()
    for round in range(3):
        for ws in programs:
            resources = {
                f"part{i}": {"type": TOKEN, "properties": {
                    "secret": NAME, "fields": {f"{ws.name}-{i}-{j}": f"{ws.name} {round}" for j in range(round + 1)}}}
                for i in range(6)
            }
            ws.yaml({"resources": resources})
        at_once(*[ws.up for ws in programs])
        expected = json.loads(THEIRS)
        for ws in programs:
            expected |= {f"{ws.name}-{i}-{j}": f"{ws.name} {round}" for i in range(6) for j in range(round + 1)}
        assert fields(secrets) == expected
        assert labels(secrets) == []
    for ws in programs:
        assert ws.refresh().changes == {}
    at_once(*[ws.destroy for ws in programs])
    assert fields(secrets) == json.loads(THEIRS)


def test_whoever_loses_the_race_reads_again(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    proxy.after(1, lambda call: outside(secrets, lambda content: content.update({"new": "1"})), deliver=True,
                where=lambda call: call.operation == "PutSecretValue")
    ws.yaml(program()).up()
    assert fields(secrets) == json.loads(THEIRS) | {"new": "1", "mine": "value-of-mine", "also-mine": "value-of-also"}
    assert proxy.count("PutSecretValue") == 2
    assert labels(secrets) == []


@pytest.mark.parametrize("operation", ["PutSecretValue", "UpdateSecretVersionStage"])
def test_a_lost_answer_changes_nothing(operation, ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    proxy.rule(lambda call: Cut, operation, times=1, after=True)
    ws.yaml(program()).up()
    assert fields(secrets) == json.loads(THEIRS) | {"mine": "value-of-mine", "also-mine": "value-of-also"}
    assert labels(secrets) == []
    versions = secrets.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
    assert len(versions) == 2, "the repeated request made nothing new"


def test_a_move_that_is_refused_for_good_ends(ws: Workspace, secrets, shared: str, proxy: FaultProxy):
    refuse = aws_replies.answer(400, "InvalidParameterException", "no such thing")
    proxy.rule(refuse, "UpdateSecretVersionStage", where=lambda call: b"AWSCURRENT" in call.body)
    result = ws.yaml(program()).up(fails=True)
    for word in ("secretsmanager:UpdateSecretVersionStage", NAME, "InvalidParameterException", aws_replies.REQUEST_ID):
        assert word in result.text
    assert "value-of-mine" not in result.text
    assert fields(secrets) == json.loads(THEIRS) and labels(secrets) == []
    assert ws.resources() == []


def test_kill_at_every_write(new_workspace, moto: Moto, secrets, proxy: FaultProxy):
    for number in range(1, 4):
        moto.reset()
        proxy.reset()
        secrets.create_secret(Name=NAME, SecretString=THEIRS)
        ws = new_workspace(f"kill{number}").yaml(program()).secret_config(mine="value-of-mine", also="value-of-also")
        proxy.after_write(number, lambda call, ws=ws: ws.kill_plugins())
        ws.up(fails=True)
        outside(secrets, lambda content: content.update({"new": "1"}))
        ws.up()
        assert fields(secrets) == json.loads(THEIRS) | {"new": "1", "mine": "value-of-mine", "also-mine": "value-of-also"}
        assert ws.up().changes == {} and ws.refresh().changes == {}


def test_labels_that_were_left_behind_are_swept(ws: Workspace, secrets, shared: str):
    now = int(time.time())
    old, fresh = f"ptd-write-{now - 7200}-aa", f"ptd-write-{now - 60}-bb"
    for label in (old, fresh, "somebody-elses"):
        secrets.put_secret_value(SecretId=NAME, SecretString="{}", VersionStages=[label])
    ws.yaml(program()).up()
    assert sorted(labels(secrets)) == sorted([fresh, "somebody-elses"])


def test_faults_are_survived(launch, secrets, shared: str, proxy: FaultProxy):
    proxy.faults = Faults(throttle=0.1, error=0.08, cut=0.05, lost=0.05, slow=0.02, seed=5)
    provider = launch().ready()
    owners = [Owner(provider, f"owner{i}") for i in range(3)]
    at_once(*[lambda owner=owner: [owner.write(**{f"{owner.name}-{i}": str(i)}) for i in range(4)] for owner in owners])
    proxy.faults = None
    expected = json.loads(THEIRS)
    for owner in owners:
        expected |= owner.fields
    assert fields(secrets) == expected


def test_a_cancelled_write_is_told_and_done_again(launch, secrets, shared: str, proxy: FaultProxy):
    provider = launch().ready()
    owner = Owner(provider, "one")
    # Somebody wins every race.
    proxy.rule(lambda call: outside(secrets, lambda content: content.update({"new": str(random.random())})),
               "PutSecretValue", after=True)
    timer = threading.Timer(1.0, provider.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as refused:
        owner.write(mine="x")
    assert time.monotonic() - began < 20
    assert "cancel" in refused.value.details().lower()
    proxy.reset()
    again = Owner(launch().ready(), "one")
    again.write(mine="x")
    assert fields(secrets)["mine"] == "x" and "new" in fields(secrets)


def test_values_appear_nowhere(ws: Workspace, secrets, proxy: FaultProxy):
    theirs = "a value of somebody else\nin \"two\" lines"
    secrets.create_secret(Name=NAME, SecretString=json.dumps({"theirs": theirs, "nested": {"deep": [theirs[::-1]]}}))
    given = {"mine": "first \"line\"\nsecond line of the given value", "also": os.urandom(24).hex()}
    ws.secret_config(**given)
    arguments: set[bytes] = set()

    def look(call) -> None:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                arguments.add((entry / "cmdline").read_bytes())
            except OSError:
                continue

    proxy.after_write(1, look, deliver=True)
    trace = {"PULUMI_PROVIDER_LOG": "trace", "PULUMI_PROVIDER_CALL_LOG": str(ws.folder / "calls.jsonl")}
    loud = ("--logtostderr", "-v=9", "--logflow", "--debug")
    proxy.rule(aws_replies.access_denied, "PutSecretValue", times=1)
    results = [
        ws.preview("--diff", env=trace),
        ws.up(*loud, fails=True, env=trace),
        ws.up("--diff", *loud, env=trace),
    ]
    outside(secrets, lambda content: content.update({"mine": "what somebody put there instead"}))
    results += [
        ws.refresh("--diff", *loud, env=trace),
        ws.preview("--diff", "--json", env=trace),
        ws.up("--diff", *loud, env=trace),
        ws.run("stack", "export"),
        ws.run("stack", "output", "--json"),
        ws.destroy("--diff", *loud, env=trace),
    ]
    hidden = {theirs, theirs[::-1], "what somebody put there instead", *given.values()}
    hidden |= {line for value in hidden for line in value.splitlines()}
    texts = {str(path): path.read_bytes() for path in ws.files()}
    for i, r in enumerate(results):
        # What the engine logs of its own calls hides given values of one line only.
        lines = [line for line in r.text.splitlines() if "arshaling property for RPC" not in line]
        texts[f"output {i} of {r.command}"] = "\n".join(lines).encode()
    texts |= {f"arguments {i}": value for i, value in enumerate(arguments)}
    assert any(b"pulumi-resource-ptd" in value for value in arguments)
    assert any(name.endswith("calls.jsonl") and len(value) > 1000 for name, value in texts.items())
    assert any(b"TRACE" in value for value in texts.values()), "the provider's log was not at trace level"
    for where, value in texts.items():
        for secret in hidden:
            for form in {secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[2:-2]}:
                assert form.encode() not in value, f"{form[:12]}... stands in {where}"
