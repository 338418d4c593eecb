"""`ptd:aws:Secret`: fields are made once, and belong to whoever fills them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support import aws_replies
from support.cli import Workspace
from support.moto import ACCOUNT, Moto
from support.proxy import Cut, FaultProxy, Faults

NAME = "acme01-staging-main.posit.team"
FIELDS = [
    {"name": "licence"},
    {"name": "db-password", "generate": "randomString"},
    {"name": "db-user", "value": "database-owner"},
    {"name": "key", "generate": "rskey"},
    {"name": "short", "generate": "randomString", "length": 12},
]


def program(*, options: dict | None = None, provider: dict | None = None, **properties) -> dict:
    fields = [{k: v for k, v in f.items() if k != "value"} for f in FIELDS]
    values = {f["name"]: f["value"] for f in FIELDS if "value" in f}
    properties = {
        "name": NAME, "fields": fields, "values": values, "tags": {"posit.team/managed-by": "admin"}
    } | properties
    properties = {k: v for k, v in properties.items() if v is not None}
    resource = {"type": "ptd:aws:Secret", "properties": properties} | ({"options": options} if options else {})
    resources = {"secret": resource}
    if provider is not None:
        resources["ptd"] = {"type": "pulumi:providers:ptd", "properties": provider}
        resource.setdefault("options", {})["provider"] = "${ptd}"
    return {"resources": resources, "outputs": {"arn": "${secret.arn}"}}


@pytest.fixture
def secrets(boto):
    return boto("secretsmanager")


def text(secrets, name: str = NAME) -> str:
    return secrets.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"]


def fields(secrets, name: str = NAME) -> dict:
    return json.loads(text(secrets, name))


def tags(secrets, name: str = NAME) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in secrets.describe_secret(SecretId=name).get("Tags", [])}


def outside(secrets, change: Callable[[dict], None], name: str = NAME) -> None:
    """Somebody else changes the value, by moving the label as the service's own console does."""
    old = secrets.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
    content = json.loads(old["SecretString"])
    change(content)
    new = secrets.put_secret_value(SecretId=name, SecretString=json.dumps(content), VersionStages=["theirs"])
    move = {"SecretId": name, "RemoveFromVersionId": old["VersionId"], "MoveToVersionId": new["VersionId"]}
    secrets.update_secret_version_stage(VersionStage="AWSCURRENT", **move)
    secrets.update_secret_version_stage(SecretId=name, VersionStage="theirs", RemoveFromVersionId=new["VersionId"])


def labels(secrets, name: str = NAME) -> list[str]:
    """All labels but those of the service."""
    stages = secrets.describe_secret(SecretId=name)["VersionIdsToStages"].values()
    return [s for version in stages for s in version if s not in ("AWSCURRENT", "AWSPREVIOUS")]


def test_from_preview_to_destroy_and_back(workspace: Workspace, secrets, proxy: FaultProxy):
    ws = workspace.yaml(program())
    assert ws.preview().changes == {"create": 2}
    assert proxy.writes() == []

    proxy.forget_calls()
    ws.up()
    assert [c.operation for c in proxy.select(service="secretsmanager")] == ["CreateSecret"]
    made = fields(secrets)
    assert list(made) == [f["name"] for f in FIELDS]
    assert made["licence"] == "" and made["db-user"] == "database-owner"
    assert re.fullmatch(r"[a-zA-Z0-9]{30}", made["db-password"])
    assert re.fullmatch(r"[a-zA-Z0-9]{12}", made["short"])
    assert re.fullmatch(r"[0-9a-f]{1024}", made["key"])
    before = text(secrets)
    assert before == json.dumps(made, separators=(",", ":"))
    assert tags(secrets) == {"posit.team/managed-by": "admin"}
    described = secrets.describe_secret(SecretId=NAME)
    assert "Description" not in described and "KmsKeyId" not in described
    state = ws.resource("::secret")
    assert state["id"] == NAME
    assert state["outputs"]["arn"] == described["ARN"]
    assert (state["outputs"]["accountId"], state["outputs"]["region"]) == (ACCOUNT, "us-east-2")

    proxy.forget_calls()
    assert ws.up().changes == {}
    assert proxy.calls == []
    assert ws.refresh().changes == {}
    assert proxy.writes() == []

    proxy.forget_calls()
    refused = ws.destroy(fails=True)
    assert "not deleted without consent" in refused.text and "allowDelete" in refused.text
    assert proxy.calls == []
    # Consent in the program alone is none.
    ws.yaml(program(allowDelete=True, recoveryWindowDays=9))
    assert "not deleted without consent" in ws.destroy(fails=True).text
    assert ws.up().diff("::secret") == {"allowDelete": "update", "recoveryWindowDays": "add"}
    told = ws.destroy()
    assert any("can be restored for 9 days" in m for m in told.messages("info"))
    [call] = proxy.select("DeleteSecret")
    assert json.loads(call.body)["RecoveryWindowInDays"] == 9
    assert "ForceDeleteWithoutRecovery" not in json.loads(call.body)
    assert ws.resources() == []

    preview = ws.preview()
    assert any("adopts existing" in m and "restore" in m for m in preview.messages("info"))
    again = ws.up()
    assert any("restored" in m for m in again.messages("info"))
    assert text(secrets) == before
    assert "DeletedDate" not in secrets.describe_secret(SecretId=NAME)
    assert ws.up().changes == {} and ws.refresh().changes == {}


@pytest.mark.parametrize("code", ["emulator", "real"])
def test_a_secret_that_waits_for_deletion_is_restored(code, workspace: Workspace, secrets, proxy: FaultProxy):
    secrets.create_secret(Name=NAME, SecretString='{"key":"kept"}')
    secrets.delete_secret(SecretId=NAME)
    if code == "real":
        proxy.rule(aws_replies.waiting_for_deletion, "CreateSecret")
    ws = workspace.yaml(program(adopt=False))
    refused = ws.up(fails=True)
    assert "waits for deletion, and adopt is false" in refused.text
    assert "DeletedDate" in secrets.describe_secret(SecretId=NAME)
    ws.yaml(program()).up()
    assert fields(secrets)["key"] == "kept"
    assert list(fields(secrets))[0] == "key" and set(fields(secrets)) == {f["name"] for f in FIELDS}
    assert labels(secrets) == []


def test_adoption_adds_what_is_missing_and_keeps_everything_else(workspace: Workspace, secrets, proxy: FaultProxy):
    odd = '{"own": {"b": 1.0e5,  "a": [12345678901234567890123]}, "db-password":"old","z":"\\u00e9<>&","n":null}'
    secrets.create_secret(Name=NAME, SecretString=odd, Description="theirs", Tags=[{"Key": "theirs", "Value": "1"}])
    ws = workspace.yaml(program())
    preview = ws.preview()
    [line] = [m for m in preview.messages("info") if "adopts existing" in m]
    assert f"adopts existing secret {NAME}; will change: fields, tags" in line
    refused = ws.yaml(program(adopt=False)).preview(fails=True)
    assert "exists already, and adopt is false" in refused.text and "Import it" in refused.text
    refused = ws.up(fails=True)
    assert "exists already, and adopt is false" in refused.text
    assert [c.operation for c in proxy.select(write=True)] == ["CreateSecret"]
    assert text(secrets) == odd

    up = ws.yaml(program()).up()
    assert any("adopts existing" in m and "changed: tags, fields" in m for m in up.messages("info"))
    now = text(secrets)
    # To the letter: other readers may care how a number is written.
    assert now.startswith(
        '{"own":{"b": 1.0e5,  "a": [12345678901234567890123]},"db-password":"old","z":"\\u00e9<>&","n":null,"licence":""'
    )
    found = json.loads(now)
    assert list(found)[4:] == ["licence", "db-user", "key", "short"]
    assert found["db-user"] == "database-owner" and re.fullmatch(r"[0-9a-f]{1024}", found["key"])
    assert labels(secrets) == []
    assert tags(secrets) == {"posit.team/managed-by": "admin"}
    assert secrets.describe_secret(SecretId=NAME)["Description"] == "theirs", "what the program does not say stays"
    assert ws.up().changes == {} and ws.refresh().changes == {}
    assert text(secrets) == now


def test_drift_shows_exactly_and_is_repaired_exactly(workspace: Workspace, secrets, boto, proxy: FaultProxy):
    key, other = (boto("kms").create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    ws = workspace.yaml(program(description="ours", kmsKeyId=key))
    ws.up()
    before = fields(secrets)

    def describe(**changes):
        return lambda: secrets.update_secret(SecretId=NAME, **changes)

    def drop_fields():
        outside(secrets, lambda content: content.pop("key"))

    # What is changed, the path that a refresh shows, the writes that repair it.
    cases = [
        (describe(Description="theirs"), ["description"], ["UpdateSecret"]),
        (describe(KmsKeyId=other), ["kmsKeyId"], ["UpdateSecret"]),
        (lambda: secrets.tag_resource(SecretId=NAME, Tags=[{"Key": "new", "Value": "1"}]), ["tags.new"], ["UntagResource"]),
        (lambda: secrets.tag_resource(SecretId=NAME, Tags=[{"Key": "posit.team/managed-by", "Value": "x"}]),
         ['tags["posit.team/managed-by"]'], ["TagResource"]),
        (lambda: secrets.untag_resource(SecretId=NAME, TagKeys=["posit.team/managed-by"]),
         ['tags["posit.team/managed-by"]'], ["TagResource"]),
        (drop_fields, None, ["PutSecretValue", "UpdateSecretVersionStage", "UpdateSecretVersionStage"]),
    ]
    for change, shown, repairs in cases:
        change()
        proxy.forget_calls()
        refreshed = ws.refresh()
        assert proxy.writes() == []
        assert refreshed.changes == {"update": 1}, refreshed
        if shown is None:
            assert {p.split("[")[0] for p in refreshed.diff("::secret")} == {"fields"}
        else:
            assert list(refreshed.diff("::secret")) == shown
        repaired = ws.up()
        assert {p.split("[")[0].split(".")[0] for p in repaired.diff("::secret")} == {
            p.split("[")[0].split(".")[0] for p in shown or ["fields"]
        }
        assert [c.operation for c in proxy.select(write=True)] == repairs
        assert ws.refresh().changes == {}
    now = fields(secrets)
    assert {n: v for n, v in now.items() if n != "key"} == {n: v for n, v in before.items() if n != "key"}
    assert re.fullmatch(r"[0-9a-f]{1024}", now["key"]) and now["key"] != before["key"]
    described = secrets.describe_secret(SecretId=NAME)
    assert (described["Description"], described["KmsKeyId"]) == ("ours", key)
    assert tags(secrets) == {"posit.team/managed-by": "admin"}

    # Values are not managed, and neither are fields of others.
    def theirs(content):
        content |= {"db-password": "theirs", "licence": "L", "extra": "1"}

    outside(secrets, theirs)
    assert ws.refresh().changes == {} and ws.up().changes == {}
    assert fields(secrets)["db-password"] == "theirs"

    secrets.delete_secret(SecretId=NAME)
    assert ws.refresh().changes == {"delete": 1}
    ws.up()
    assert fields(secrets)["db-password"] == "theirs"
    secrets.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    assert ws.refresh().changes == {"delete": 1}


def test_updates_touch_what_they_name(workspace: Workspace, secrets, proxy: FaultProxy):
    ws = workspace.yaml(program())
    ws.up()
    before = fields(secrets)
    field = {f["name"]: {k: v for k, v in f.items() if k != "value"} for f in FIELDS}
    all_fields = list(field.values())

    def step(expected_diff: dict, expected_writes: list[str], **properties) -> None:
        ws.yaml(program(**properties))
        proxy.forget_calls()
        assert ws.preview().diff("::secret") == expected_diff
        assert proxy.writes() == []
        assert ws.up().diff("::secret") == expected_diff
        assert [c.operation for c in proxy.select(write=True)] == expected_writes
        assert ws.refresh().changes == {}

    put = ["PutSecretValue", "UpdateSecretVersionStage", "UpdateSecretVersionStage"]
    step({"description": "add"}, ["UpdateSecret"], description="one")
    step({"description": "update", "tags.a": "add"}, ["TagResource", "UpdateSecret"], description="two",
         tags={"posit.team/managed-by": "admin", "a": "1"})
    step({"description": "delete", "tags.a": "delete"}, ["UntagResource", "UpdateSecret"])
    # A new field in the middle is one new field.
    more = [all_fields[0], {"name": "salt", "generate": "bcryptSalt"}, *all_fields[1:]]
    step({"fields[1]": "add"}, put, fields=more)
    # Neither the order, nor the generator of a field that exists, nor its initial value, nor leaving it out matters.
    step({}, [], fields=list(reversed(more)))
    step({}, [], fields=[{"name": "db-password", "generate": "rskey"}, field["db-user"]], values={"db-user": "other"})
    step({}, [], fields=None, values=None)
    step({"allowDelete": "update", "recoveryWindowDays": "add"}, [], fields=None, values=None, allowDelete=True,
         recoveryWindowDays=7)
    now = fields(secrets)
    assert re.fullmatch(r"\$2b\$12\$[./A-Za-z0-9]{21}[.Oeu]", now.pop("salt"))
    assert now == before

    # Another name is another secret.
    ws.yaml(program(name="other.posit.team", allowDelete=True, recoveryWindowDays=7))
    assert ws.preview().diff("::secret")["name"] == "update-replace"
    ws.up()
    assert "DeletedDate" in secrets.describe_secret(SecretId=NAME)
    assert fields(secrets, "other.posit.team")["db-user"] == "database-owner"


def test_a_key_that_is_no_longer_named_gives_way_to_the_default(workspace: Workspace, secrets, boto, proxy: FaultProxy):
    key = boto("kms").create_key()["KeyMetadata"]
    boto("kms").create_alias(AliasName="alias/ours", TargetKeyId=key["KeyId"])
    ws = workspace.yaml(program(kmsKeyId="alias/ours"))
    ws.up()
    assert secrets.describe_secret(SecretId=NAME)["KmsKeyId"].endswith("alias/ours")
    # The service may answer with the ARN.
    secrets.update_secret(SecretId=NAME, KmsKeyId=f"arn:aws:kms:us-east-2:{ACCOUNT}:alias/ours")
    assert ws.refresh().changes == {}
    ws.yaml(program()).up()
    [call] = proxy.select("UpdateSecret")
    assert json.loads(call.body)["KmsKeyId"] == "alias/aws/secretsmanager"
    assert ws.refresh().changes == {}


def test_import(workspace: Workspace, secrets, proxy: FaultProxy):
    secrets.create_secret(Name=NAME, SecretString='{"licence":"L","db-password":"old","db-user":"x","key":"k","short":"s"}',
                          Description="theirs", Tags=[{"Key": "posit.team/managed-by", "Value": "admin"}])
    before = text(secrets)
    ws = workspace.yaml({"resources": {}})
    proxy.forget_calls()
    ws.import_("ptd:aws:Secret", "secret", NAME)
    assert proxy.writes() == []
    ws.yaml(program(description="theirs"))
    preview = ws.preview()
    assert preview.changes == {}, preview
    assert ws.up().changes == {} and ws.refresh().changes == {}
    assert proxy.writes() == [] and text(secrets) == before

    ws.run("state", "delete", ws.resource("::secret")["urn"], "--yes")
    ws.yaml(program(description="theirs", options={"import": NAME}))
    up = ws.up()
    assert up.changes == {"import": 1}, up
    ws.yaml(program(description="theirs"))
    assert ws.preview().changes == {}
    assert proxy.writes() == [] and text(secrets) == before

    absent = ws.import_("ptd:aws:Secret", "none", "no-such.posit.team", fails=True)
    assert "no-such.posit.team" in absent.text and "does not exist" in absent.text


def test_default_tags_and_ignored_keys(workspace: Workspace, secrets, proxy: FaultProxy):
    provider = {"defaultTags": {"team": "a"}, "ignoreTagKeys": ["seen"]}
    ws = workspace.yaml(program(provider=provider))
    ws.up()
    assert tags(secrets) == {"posit.team/managed-by": "admin", "team": "a"}
    assert ws.resource("::secret")["outputs"]["tagsAll"] == tags(secrets)
    secrets.tag_resource(SecretId=NAME, Tags=[{"Key": "seen", "Value": "x"}])
    assert ws.refresh().changes == {} and ws.up().changes == {}
    ws.yaml(program(provider=provider | {"defaultTags": {"team": "b"}}))
    assert list(ws.up().diff("::secret")) == ["tags"]
    assert tags(secrets) == {"posit.team/managed-by": "admin", "team": "b", "seen": "x"}


def test_a_secret_without_a_value_gets_its_first(workspace: Workspace, secrets):
    secrets.create_secret(Name=NAME)
    ws = workspace.yaml(program(options={"retainOnDelete": True}))
    ws.up()
    assert list(fields(secrets)) == [f["name"] for f in FIELDS]
    assert labels(secrets) == []
    secrets.create_secret(Name="empty.posit.team")
    ws.yaml(program(name="empty.posit.team", fields=[], values={})).up()
    assert text(secrets, "empty.posit.team") == "{}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"SecretBinary": b"\x00secret-bytes"}, "holds binary data, not a JSON object"),
        ({"SecretString": "secret-text"}, "does not hold a JSON object"),
        ({"SecretString": '["secret-text"]'}, "does not hold a JSON object"),
    ],
)
def test_what_is_no_object_is_refused(content, words, workspace: Workspace, secrets, proxy: FaultProxy):
    secrets.create_secret(Name=NAME, Tags=[{"Key": "posit.team/managed-by", "Value": "admin"}], **content)
    ws = workspace.yaml(program())
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        assert words in result.text and "use another name" in result.text
        assert "secret-text" not in result.text and "secret-bytes" not in result.text
    assert {c.operation for c in proxy.select(write=True)} == {"CreateSecret"}


@pytest.mark.parametrize(
    ("properties", "path", "words"),
    [
        ({"name": "a b"}, "name", "letters, digits and /_+=.@-"),
        ({"name": "a" * 513}, "name", "at most 512 characters"),
        ({"name": ""}, "name", "not empty"),
        ({"accountId": "12"}, "accountId", "12 digits"),
        ({"region": "nowhere"}, "region", "us-east-2"),
        ({"recoveryWindowDays": 3}, "recoveryWindowDays", "7 to 30"),
        ({"fields": [{"name": "a"}, {"name": "a"}], "values": {}}, "fields[1].name", "named twice"),
        ({"fields": [{"name": "a", "generate": "rskey", "length": 20}], "values": {}}, "fields[0].length", "randomString only"),
        ({"fields": [{"name": "a", "generate": "randomString", "length": 3}], "values": {}}, "fields[0].length", "8 to 1024"),
        ({"fields": [{"name": "a", "generate": "random"}], "values": {}}, "fields[0].generate", "randomString"),
        ({"values": {"nobody": "x"}}, "values", "there is no field"),
        ({"description": "d" * 2049}, "description", "2048"),
        ({"tags": {"aws:x": "y"}}, "tags", "reserved"),
    ],
)
def test_bad_inputs_are_refused_before_any_call(properties, path, words, workspace: Workspace, proxy: FaultProxy):
    result = workspace.yaml(program(**properties)).preview(fails=True)
    assert path in result.text and words in result.text, result
    assert proxy.calls == []


def test_the_wrong_account_is_refused_before_any_write(workspace: Workspace, proxy: FaultProxy):
    ws = workspace.yaml(program(accountId="999999999999"))
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        assert f"credentials belong to account {ACCOUNT}, expected is 999999999999" in result.text
    assert proxy.writes() == []


def test_failures_say_what_was_attempted(workspace: Workspace, secrets, proxy: FaultProxy):
    secrets.create_secret(Name=NAME, SecretString='{"licence":"a-value-nobody-may-see"}')
    ws = workspace.yaml(program())
    proxy.rule(aws_replies.access_denied, "PutSecretValue")
    result = ws.up(fails=True)
    for word in ("secretsmanager:PutSecretValue", NAME, "AccessDeniedException", aws_replies.REQUEST_ID, "grant"):
        assert word in result.text, result
    assert "a-value-nobody-may-see" not in result.text
    # What was taken over is in the state, and the next update goes on from there.
    assert ws.resource("::secret")["id"] == NAME
    proxy.reset()
    proxy.rule(aws_replies.access_denied, "DescribeSecret")
    assert "DescribeSecret" in ws.refresh(fails=True).text
    assert ws.resource("::secret")["id"] == NAME, "a denied look is no proof of absence"
    proxy.reset()
    ws.up()
    assert fields(secrets)["licence"] == "a-value-nobody-may-see" and "key" in fields(secrets)
    assert ws.up().changes == {}


def test_deleting_what_is_gone_or_going(workspace: Workspace, secrets, proxy: FaultProxy):
    ws = workspace.yaml(program(allowDelete=True))
    ws.up()
    secrets.delete_secret(SecretId=NAME)
    ws.destroy()
    assert ws.resources() == []
    ws.up()
    secrets.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    ws.destroy()
    assert ws.resources() == []


def test_inputs_that_are_not_known_yet(workspace: Workspace, secrets, proxy: FaultProxy):
    first = program()["resources"]["secret"]
    ws = workspace.yaml({
        "resources": {
            "first": first,
            "second": {"type": "ptd:aws:Secret", "properties": {
                "name": "second-${first.accountId}.posit.team", "description": "${first.arn}",
                "fields": [{"name": "arn"}], "values": {"arn": "${first.arn}"}}},
        },
    })
    assert ws.preview().changes == {"create": 3}
    assert proxy.writes() == []
    ws.up()
    arn = secrets.describe_secret(SecretId=NAME)["ARN"]
    assert fields(secrets, f"second-{ACCOUNT}.posit.team") == {"arn": arn}
    assert ws.up().changes == {}


def test_options_of_pulumi(workspace: Workspace, secrets, proxy: FaultProxy):
    ws = workspace.yaml(program(description="one"))
    ws.up()
    ws.yaml(program(description="two", options={"ignoreChanges": ["description"]}))
    assert ws.up().changes == {}
    ws.yaml(program(description="one", options={"protect": True}))
    ws.up()
    assert "protect" in ws.destroy(fails=True).text
    ws.yaml(program(description="one", options={"retainOnDelete": True}))
    ws.up()
    proxy.forget_calls()
    ws.destroy()
    assert proxy.writes() == [] and "DeletedDate" not in secrets.describe_secret(SecretId=NAME)


def test_kill_at_every_write(new_workspace, moto: Moto, secrets, proxy: FaultProxy):
    """Made, or taken over and completed: whatever the moment, nothing is made again or lost."""
    theirs = '{"own":"theirs","db-password":"old"}'
    for start in (None, theirs):
        for number in range(1, 6 if start else 2):
            moto.reset()
            proxy.reset()
            if start:
                secrets.create_secret(Name=NAME, SecretString=start)
            ws = new_workspace(f"kill{number}{bool(start)}").yaml(program())
            ws.init()
            proxy.after_write(number, lambda call, ws=ws: ws.kill_plugins())
            ws.up(fails=None)
            assert proxy.writes()
            there = fields(secrets)
            ws.up()
            now = fields(secrets)
            assert {f["name"] for f in FIELDS} <= set(now)
            assert {n: now[n] for n in there} == there, f"after write {number} a value changed"
            assert ws.up().changes == {} and ws.refresh().changes == {}
            assert fields(secrets) == now


def test_faults_are_survived(workspace: Workspace, secrets, proxy: FaultProxy):
    secrets.create_secret(Name=NAME, SecretString='{"own":"theirs","db-password":"old"}')
    proxy.faults = Faults(throttle=0.1, error=0.07, cut=0.05, lost=0.05, slow=0.03, seed=11)
    resources = program()["resources"]
    for i in range(8):
        resources[f"more{i}"] = {"type": "ptd:aws:Secret", "properties": {"name": f"more{i}.posit.team", "fields": [
            {"name": "a", "generate": "randomString"}]}}
    ws = workspace.yaml({"resources": resources})
    ws.up()
    proxy.faults = None
    found = fields(secrets)
    assert (found["own"], found["db-password"]) == ("theirs", "old") and "key" in found
    assert labels(secrets) == []
    assert ws.up().changes == {} and ws.refresh().changes == {}


def test_a_create_whose_answer_was_lost_makes_nothing_twice(workspace: Workspace, secrets, proxy: FaultProxy):
    proxy.rule(lambda call: Cut, "CreateSecret", times=1, after=True)
    ws = workspace.yaml(program())
    ws.up()
    assert proxy.count("CreateSecret") == 2
    assert len(secrets.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]) == 1
    assert list(fields(secrets)) == [f["name"] for f in FIELDS]


def test_values_appear_nowhere(workspace: Workspace, secrets, proxy: FaultProxy):
    """Generated ones, given ones and those of others; also where something fails."""
    given = 'first "line"\nsecond line of the given value'
    theirs = "a value of somebody else\nin two lines"
    secrets.create_secret(Name="taken.posit.team", SecretString=json.dumps({"theirs": theirs}))
    made = program()["resources"]["secret"]
    made["properties"]["values"] = {"db-user": "${given}"}
    taken = {"type": "ptd:aws:Secret", "properties": {
        "name": "taken.posit.team", "fields": [{"name": "made", "generate": "randomString"}]}}
    ws = workspace.yaml({"config": {"given": {"type": "string", "secret": True}}, "resources": {"secret": made, "taken": taken}})
    ws.secret_config(given=given)
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
        ws.up(*loud, env=trace),
        ws.refresh(*loud, env=trace),
        ws.preview("--diff", "--json", env=trace),
    ]
    outside(secrets, lambda content: content.pop("made"), "taken.posit.team")
    results += [ws.refresh(*loud, env=trace), ws.up("--diff", *loud, env=trace)]
    results.append(ws.run("stack", "export"))
    for result in results:
        assert result.events or result is results[-1]

    hidden = {given, theirs, *given.splitlines(), *theirs.splitlines()}
    for name in (NAME, "taken.posit.team"):
        hidden |= {v for v in fields(secrets, name).values() if len(v) > 8}
    assert len(hidden) >= 9
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
            # Logs and JSON write line breaks and quotes in their own ways.
            for form in {secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[2:-2]}:
                assert form.encode() not in value, f"{form[:12]}... stands in {where}"
