"""`ptd:aws:EncryptionKey` through the real CLI: making, adopting, repairing, restoring, and refusing to delete."""

from __future__ import annotations

import json
import re

import pytest
from support import aws_replies
from support.cli import Workspace
from support.protocol import urn

ACCOUNT = "123456789012"
REGION = "us-east-2"
ALIAS = "alias/posit-team-dedicated"
TYPE = "ptd:aws:EncryptionKey"
TAGS = {"posit.team/managed-by": "admin"}
BASE = {"alias": ALIAS, "description": "state", "tags": TAGS}
CONSENT = {"allowDelete": True, "target": "acme01"}


def program(options: dict | None = None, **properties) -> dict:
    properties = {k: v for k, v in (BASE | properties).items() if v is not None}
    return {"resources": {"key": {"type": TYPE, "properties": properties} | ({"options": options} if options else {})}}


def outputs(ws: Workspace) -> dict:
    return ws.resource("::key")["outputs"]


def key(boto, alias: str = ALIAS) -> dict:
    return boto("kms").describe_key(KeyId=alias)["KeyMetadata"]


def tags(boto) -> dict[str, str]:
    return {t["TagKey"]: t["TagValue"] for t in boto("kms").list_resource_tags(KeyId=key(boto)["KeyId"])["Tags"]}


def rotates(boto) -> bool:
    return boto("kms").get_key_rotation_status(KeyId=key(boto)["KeyId"])["KeyRotationEnabled"]


def states(boto) -> list[str]:
    """The states of all keys there are, sorted."""
    kms = boto("kms")
    return sorted(kms.describe_key(KeyId=k["KeyId"])["KeyMetadata"]["KeyState"] for k in kms.list_keys()["Keys"])


def make(boto, alias: str | None = ALIAS, **more) -> str:
    """A key the way the reference makes it."""
    made = boto("kms").create_key(Description="", Tags=[{"TagKey": "posit.team/managed-by", "TagValue": "admin"}], **more)
    if alias:
        boto("kms").create_alias(AliasName=alias, TargetKeyId=made["KeyMetadata"]["KeyId"])
    return made["KeyMetadata"]["KeyId"]


def policy(*actions: str) -> str:
    statement = {"Sid": "Root", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                 "Action": list(actions) or "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# Making one.


def test_a_new_key_and_everything_it_tells(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program())
    preview = ws.preview()
    assert preview.steps == {f"{TYPE}::key": ["create"]}
    assert proxy.writes() == [], "a preview writes nothing"
    proxy.forget_calls()
    ws.up()
    assert [call.split()[0] for call in proxy.writes()] == ["kms:CreateKey", "kms:CreateAlias", "kms:EnableKeyRotation"]
    made = key(boto)
    assert (made["KeyState"], made["Description"]) == ("Enabled", "state")
    assert rotates(boto)
    assert tags(boto) == TAGS | {"posit.team/alias": ALIAS}
    place = f"arn:aws:kms:{REGION}:{ACCOUNT}"
    found = ws.resource("::key")
    told = found["outputs"]
    assert found["id"] == ALIAS
    assert told["keyId"] == made["KeyId"]
    assert told["arn"] == made["Arn"] == f"{place}:key/{made['KeyId']}"
    assert told["aliasArn"] == f"{place}:{ALIAS}"
    assert (told["accountId"], told["region"]) == (ACCOUNT, REGION)
    assert told["secretsProviderUrl"] == f"awskms://{ALIAS}?region={REGION}"
    assert told["hardening"] == {"rotation": "applied"}
    assert told["tagsAll"] == TAGS, "the tag for finding a lost key again is nobody's business"
    proxy.forget_calls()
    assert ws.up(skip_preview=False).changes == {}
    assert proxy.calls == [], "an update without changes asks nothing"
    assert ws.refresh().changes == {}
    assert proxy.writes() == []


def test_the_shortest_program_in_two_regions(workspace: Workspace, boto):
    ws = workspace.yaml({"resources": {
        "near": {"type": TYPE, "properties": {"alias": ALIAS}},
        "far": {"type": TYPE, "properties": {"alias": ALIAS, "region": "eu-west-1"}},
    }, "outputs": {"near": "${near.secretsProviderUrl}", "far": "${far.secretsProviderUrl}"}})
    ws.up()
    assert ws.outputs() == {"near": f"awskms://{ALIAS}?region={REGION}", "far": f"awskms://{ALIAS}?region=eu-west-1"}
    assert (key(boto)["Description"], tags(boto)) == ("", {"posit.team/alias": ALIAS})
    assert boto("kms", region="eu-west-1").describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyState"] == "Enabled"
    assert ws.refresh().changes == {}
    assert ws.up().changes == {}


# Changing one.


def test_every_input_changes_in_place_with_one_call(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program())
    ws.up()
    before = key(boto)["KeyId"]

    def change(expected: list[str], path: str, **properties):
        proxy.forget_calls()
        up = ws.yaml(program(**properties)).up()
        assert up.steps == {f"{TYPE}::key": ["update"]}
        assert {re.split(r"[.\[]", changed)[0] for changed in up.diff("::key")} == {path}
        assert [call.split()[0] for call in proxy.writes()] == expected
        assert key(boto)["KeyId"] == before

    change(["kms:UpdateKeyDescription"], "description", description="other")
    assert key(boto)["Description"] == "other"
    change(["kms:UpdateKeyDescription"], "description", description=None)
    assert key(boto)["Description"] == ""
    change(["kms:DisableKeyRotation"], "rotation", description=None, rotation=False)
    assert not rotates(boto)
    assert outputs(ws)["hardening"] == {"rotation": "off"}
    change(["kms:EnableKeyRotation"], "rotation", description=None)
    assert rotates(boto)
    change(["kms:PutKeyPolicy"], "policy", description=None, policy=policy())
    change(["kms:TagResource", "kms:UntagResource"], "tags", description=None, policy=policy(), tags={"a": "1"})
    assert tags(boto) == {"a": "1", "posit.team/alias": ALIAS}
    rest = {"description": None, "policy": policy(), "tags": {"a": "1"}}
    change([], "deletionWindowDays", deletionWindowDays=7, **rest)
    change([], "allowDelete", deletionWindowDays=7, allowDelete=True, **rest)
    change([], "target", deletionWindowDays=7, allowDelete=True, target="acme01", **rest)
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}


def test_a_policy_is_compared_by_meaning(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program(policy=policy()))
    ws.up()
    stored = json.loads(policy())
    stored["Statement"][0]["Action"] = ["kms:*"]
    ws.yaml(program(policy=json.dumps(stored, indent=2, sort_keys=True)))
    assert ws.preview().changes == {}
    boto("kms").put_key_policy(KeyId=key(boto)["KeyId"], PolicyName="default", Policy=json.dumps(stored, indent=1))
    assert ws.refresh().changes == {}
    boto("kms").put_key_policy(KeyId=key(boto)["KeyId"], PolicyName="default", Policy=policy("kms:*", "kms:Decrypt"))
    assert ws.refresh().changes == {"update": 1}
    assert list(ws.preview().diff("::key")) == ["policy"]
    ws.up()
    found = boto("kms").get_key_policy(KeyId=key(boto)["KeyId"], PolicyName="default")["Policy"]
    assert json.loads(found)["Statement"][0]["Action"] in ("kms:*", ["kms:*"])
    assert ws.refresh().changes == {}


def test_a_policy_that_is_not_stated_is_neither_read_nor_changed(workspace: Workspace, boto, proxy):
    make(boto)
    boto("kms").put_key_policy(KeyId=key(boto)["KeyId"], PolicyName="default", Policy=policy("kms:*", "kms:Decrypt"))
    ws = workspace.yaml(program())
    ws.up()
    assert ws.refresh().changes == {}
    assert proxy.count("GetKeyPolicy") == proxy.count("PutKeyPolicy") == 0
    found = boto("kms").get_key_policy(KeyId=key(boto)["KeyId"], PolicyName="default")["Policy"]
    assert found == policy("kms:*", "kms:Decrypt")


def test_a_new_alias_or_region_replaces(workspace: Workspace, boto):
    ws = workspace.yaml(program(**CONSENT))
    ws.up()
    old = key(boto)["KeyId"]
    ws.yaml(program(alias="alias/other", **CONSENT))
    preview = ws.preview()
    assert preview.changes == {"replace": 1}
    assert "replace" in preview.diff("::key")["alias"]
    ws.up()
    assert key(boto, "alias/other")["KeyState"] == "Enabled"
    assert boto("kms").describe_key(KeyId=old)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    ws.yaml(program(alias="alias/other", region="eu-west-1", **CONSENT))
    assert "replace" in ws.preview().diff("::key")["region"]


# Adopting one.


def test_the_references_key_is_adopted_and_the_preview_says_how(workspace: Workspace, boto, proxy):
    made = make(boto)
    ws = workspace.yaml(program() | {"outputs": {"url": "${key.secretsProviderUrl}", "id": "${key.keyId}"}})
    preview = ws.preview()
    assert proxy.writes() == []
    told = f"adopts existing key {ALIAS}; will change: description, rotation"
    assert any(told in message for message in preview.messages("info")), preview
    assert preview.of("resourcePreEvent"), preview
    assert made in preview.text and "awskms://" in preview.text, "what is known of the existing key stays known"
    up = ws.up()
    assert any(told.replace("will change", "changed") in message for message in up.messages("info")), up
    assert key(boto)["KeyId"] == made
    assert states(boto) == ["Enabled"]
    assert tags(boto) == TAGS
    assert ws.refresh().changes == {}


def test_adoption_with_nothing_to_change_writes_nothing(workspace: Workspace, boto, proxy):
    made = make(boto)
    boto("kms").enable_key_rotation(KeyId=made)
    up = workspace.yaml(program(description=None)).up()
    assert any("nothing to change" in message for message in up.messages("info")), up
    assert proxy.writes() == []


def test_adoption_can_be_turned_off(workspace: Workspace, boto, proxy):
    make(boto)
    ws = workspace.yaml(program(adopt=False))
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        for word in (ALIAS, "adopt is false", "Import it"):
            assert word in result.text
    assert proxy.writes() == []


def test_a_key_disabled_later_shows_in_a_refresh(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program())
    ws.up()
    boto("kms").disable_key(KeyId=key(boto)["KeyId"])
    proxy.forget_calls()
    assert "is disabled" in ws.refresh(fails=None).text
    assert proxy.writes() == []
    assert "is disabled" in ws.up(fails=True).text
    boto("kms").enable_key(KeyId=key(boto)["KeyId"])
    ws.up()
    assert ws.refresh().changes == {}


def test_an_orphan_is_taken_only_if_it_is_one(workspace: Workspace, boto):
    """A key with the mark may have got another alias since, may be disabled, or may be of another kind."""
    mark = [{"TagKey": "posit.team/alias", "TagValue": ALIAS}]
    kms = boto("kms")
    used = kms.create_key(Tags=mark)["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/somebodys", TargetKeyId=used)
    off = kms.create_key(Tags=mark)["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=off)
    signs = kms.create_key(Tags=mark, KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["KeyId"]
    other = kms.create_key(Tags=[{"TagKey": "posit.team/alias", "TagValue": "alias/another"}])["KeyMetadata"]["KeyId"]
    workspace.yaml(program()).up()
    assert key(boto)["KeyId"] not in (used, off, signs, other)


def test_who_may_not_search_by_tag_gets_a_new_key(workspace: Workspace, boto, proxy):
    lost = boto("kms").create_key(Tags=[{"TagKey": "posit.team/alias", "TagValue": ALIAS}])["KeyMetadata"]["KeyId"]
    proxy.rule(aws_replies.access_denied, operation="GetResources")
    workspace.yaml(program()).up()
    assert key(boto)["KeyId"] != lost
    assert states(boto) == ["Enabled", "Enabled"]


def test_who_loses_the_race_for_the_alias_takes_the_winners_key(workspace: Workspace, boto, proxy):
    winner = []
    proxy.after(1, lambda call: winner.append(make(boto)), deliver=True, service="kms", where=lambda c: c.operation == "CreateKey")
    up = workspace.yaml(program()).up()
    assert key(boto)["KeyId"] == winner[0]
    assert states(boto) == ["Enabled", "PendingDeletion"], "the key that nobody needs goes"
    assert "made by somebody else meanwhile" in up.text
    assert rotates(boto)
    assert workspace.refresh().changes == {}


# Import.


def test_import_states_only_what_deviates(new_workspace, boto):
    made = make(boto)
    ws = new_workspace("cli").yaml({"resources": {}})
    assert "alias/nowhere" in ws.import_(TYPE, "key", "alias/nowhere", fails=True).text
    ws.import_(TYPE, "key", ALIAS)
    inputs = ws.resource("key")["inputs"]
    assert {k: v for k, v in inputs.items() if k not in ("__defaults", "adopt", "allowDelete")} == {
        "alias": ALIAS, "rotation": False, "tags": TAGS}
    assert ws.resource("key")["outputs"]["keyId"] == made
    ws.yaml(program(description=None, rotation=False))
    assert ws.preview().changes == {}
    ws.yaml(program(description=None))
    assert list(ws.preview().diff("::key")) == ["rotation"]
    ws.up()
    assert rotates(boto)
    other = new_workspace("option").yaml(program(options={"import": ALIAS}, description=None))
    other.up()
    assert other.up().changes == {}


# Drift that the alias or the key's own life brings. (Description, rotation and tags: test_aws_drift.py.)


def test_an_alias_moved_to_another_key(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program())
    ws.up()
    other = make(boto, alias=None)
    boto("kms").update_alias(AliasName=ALIAS, TargetKeyId=other)
    ws.refresh()
    assert outputs(ws)["keyId"] == other
    ws.up()
    assert (key(boto)["KeyId"], key(boto)["Description"], rotates(boto)) == (other, "state", True)
    assert ws.refresh().changes == {}
    assert ws.up().changes == {}


def test_a_vanished_alias_and_a_key_waiting_for_deletion(workspace: Workspace, boto):
    ws = workspace.yaml(program())
    ws.up()
    before = key(boto)["KeyId"]
    boto("kms").delete_alias(AliasName=ALIAS)
    assert ws.refresh().changes == {"delete": 1}
    ws.up()
    assert key(boto)["KeyId"] == before, "its tag tells the key that the alias was on"
    boto("kms").schedule_key_deletion(KeyId=before, PendingWindowInDays=7)
    assert ws.refresh().changes == {"delete": 1}
    up = ws.up()
    assert any("changed: restore" in message for message in up.messages("info")), up
    assert (key(boto)["KeyId"], key(boto)["KeyState"]) == (before, "Enabled")
    assert ws.refresh().changes == {}
    assert states(boto) == ["Enabled"]


def test_an_update_restores_too(workspace: Workspace, boto):
    ws = workspace.yaml(program())
    ws.up()
    boto("kms").schedule_key_deletion(KeyId=key(boto)["KeyId"], PendingWindowInDays=7)
    ws.yaml(program(description="again"))
    ws.up()
    assert (key(boto)["KeyState"], key(boto)["Description"]) == ("Enabled", "again")


# Deleting one.


def test_delete_takes_consent_from_the_state_and_a_window(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program())
    ws.up()
    proxy.forget_calls()
    refused = ws.destroy(fails=True)
    assert "allowDelete" in refused.text and "retainOnDelete" in refused.text
    assert proxy.writes() == []
    ws.yaml(program(**CONSENT))
    assert "allowDelete" in ws.destroy(fails=True).text, "consent in the program alone is not enough"
    ws.yaml(program(**CONSENT, deletionWindowDays=9))
    ws.up()
    before = key(boto)["KeyId"]
    proxy.forget_calls()
    destroy = ws.destroy()
    assert "9 days" in destroy.text
    assert [call.params["PendingWindowInDays"] for call in proxy.select("ScheduleKeyDeletion")] == [9]
    assert key(boto)["KeyState"] == "PendingDeletion"
    assert ws.resources() == []
    ws.up()
    assert (key(boto)["KeyId"], key(boto)["KeyState"]) == (before, "Enabled")
    assert ws.refresh().changes == {}
    boto("kms").schedule_key_deletion(KeyId=before, PendingWindowInDays=7)
    proxy.forget_calls()
    ws.destroy()
    assert proxy.writes() == [], "it waits already"


def test_delete_of_what_is_gone_succeeds(workspace: Workspace, boto):
    ws = workspace.yaml(program(**CONSENT))
    ws.up()
    boto("kms").delete_alias(AliasName=ALIAS)
    ws.destroy()
    assert ws.resources() == []


def test_delete_is_refused_while_others_need_the_key(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program(**CONSENT))
    ws.up()
    s3, secrets = boto("s3"), boto("secretsmanager")
    where = {"LocationConstraint": REGION}
    managed = [{"Key": "posit.team/managed-by", "Value": "admin"}]
    for bucket in ("ptd-acme01", "unrelated", "ptd-globex"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    for name in ("acme01.posit.team", "acme01-main.posit.team", "globex.posit.team", "globex-main.posit.team"):
        secrets.create_secret(Name=name, SecretString="{}", Tags=managed)
    secrets.create_secret(Name="not-managed", SecretString="{}")
    proxy.forget_calls()
    refused = ws.destroy(fails=True)
    for word in ("bucket ptd-globex", "secret globex.posit.team", "secret globex-main.posit.team"):
        assert word in refused.text
    for word in ("ptd-acme01", "acme01.posit.team", "acme01-main", "unrelated", "not-managed"):
        assert word not in refused.text
    assert proxy.writes() == []
    s3.delete_bucket(Bucket="ptd-globex")
    assert "globex.posit.team" in ws.destroy(fails=True).text
    for name in ("globex.posit.team", "globex-main.posit.team"):
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    ws.destroy()
    assert key(boto)["KeyState"] == "PendingDeletion"


def test_delete_is_refused_where_others_cannot_be_listed(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program(**CONSENT))
    ws.up()
    for operation, permission in (("ListBuckets", "s3:ListAllMyBuckets"), ("ListSecrets", "secretsmanager:ListSecrets")):
        proxy.reset()
        proxy.rule(aws_replies.access_denied, operation=operation)
        refused = ws.destroy(fails=True)
        assert permission in refused.text and "not deleted" in refused.text
        assert proxy.writes() == []
    assert key(boto)["KeyState"] == "Enabled"


def test_retain_on_delete_needs_no_consent(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program(options={"retainOnDelete": True}))
    ws.up()
    proxy.forget_calls()
    ws.destroy()
    assert proxy.calls == []
    assert key(boto)["KeyState"] == "Enabled"


# Inputs and credentials that are wrong.


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"alias": "posit-team"}, ["alias", 'begins with "alias/"']),
        ({"alias": "alias/"}, ["alias", "has a name"]),
        ({"alias": "alias/aws/s3"}, ["alias", "reserved"]),
        ({"alias": "alias/a b"}, ["alias", "letters, digits"]),
        ({"alias": "alias/" + "a" * 260}, ["alias", "256"]),
        ({"description": "d" * 8193}, ["description", "8192"]),
        ({"policy": "{nope"}, ["policy", "JSON"]),
        ({"deletionWindowDays": 6}, ["deletionWindowDays", "7 to 30"]),
        ({"deletionWindowDays": 31}, ["deletionWindowDays", "7 to 30"]),
        ({"accountId": "12"}, ["accountId", "12 digits"]),
        ({"region": "middle earth"}, ["region"]),
        ({"tags": {"aws:x": "1"}}, ["tags", "aws:"]),
        ({"rotation": "yes please"}, ["rotation", "bool"]),
        ({"aliass": "x"}, ["aliass", "alias"]),
    ],
)
def test_a_bad_input_is_refused_before_anything_is_asked(properties, words, provider, proxy):
    name, *words = words
    reply = provider.check(urn(TYPE), BASE | properties)
    assert [failure.property for failure in reply.failures] == [name]
    for word in words:
        assert word in reply.failures[0].reason
    assert proxy.calls == []


def test_all_bad_inputs_are_told_at_once(workspace: Workspace, proxy):
    result = workspace.yaml(program(alias="x", deletionWindowDays=3, accountId="1")).up(fails=True)
    for word in ("alias/", "7 to 30", "12 digits"):
        assert word in result.text
    assert proxy.calls == []


def test_an_account_that_is_not_allowed_is_refused_before_any_write(workspace: Workspace, proxy):
    """The resource's own accountId: test_aws_weaknesses.py."""
    ws = workspace.yaml(program())
    ws.config(ptd__allowedAccountIds='["888888888888"]')
    assert "888888888888" in ws.up(fails=True).text
    assert proxy.writes() == []


def test_credentials_that_changed_account_find_nothing_gone(new_workspace, moto, boto, proxy):
    """A refresh with the keys of another account must not take the key for deleted."""
    ws = new_workspace().yaml(program(accountId=ACCOUNT))
    ws.up()
    ws.env |= moto.account("210987654321")
    proxy.forget_calls()
    assert "210987654321" in ws.refresh(fails=True).text
    assert len(ws.resources()) == 1
    assert proxy.writes() == []


def test_a_failing_refresh_forgets_nothing(workspace: Workspace, proxy):
    ws = workspace.yaml(program())
    ws.up()
    for reply in (aws_replies.expired_token, aws_replies.invalid_token, aws_replies.access_denied):
        proxy.reset()
        proxy.rule(reply, operation="DescribeKey")
        refused = ws.refresh(fails=True)
        assert "kms:DescribeKey" in refused.text and aws_replies.REQUEST_ID in refused.text
    assert len(ws.resources()) == 1


# What an unknown or secret input does.


def test_an_alias_that_is_not_known_yet(workspace: Workspace, boto, proxy):
    ws = workspace.yaml({"resources": {
        "first": {"type": "ptd:aws:StateBucket", "properties": {"bucket": "ptd-first"}},
        "key": {"type": TYPE, "properties": {"alias": "alias/${first.accountId}", "description": "${first.backendUrl}"}},
    }})
    assert ws.preview().changes == {"create": 3}
    assert proxy.writes() == []
    ws.up()
    assert key(boto, f"alias/{ACCOUNT}")["Description"] == f"s3://ptd-first?region={REGION}"
    assert ws.up().changes == {}


# A failure half-way.


def test_a_failed_last_step_keeps_the_key_in_the_state(workspace: Workspace, boto, proxy):
    proxy.rule(aws_replies.kms_invalid_state, operation="EnableKeyRotation")
    ws = workspace.yaml(program())
    failed = ws.up(fails=True)
    assert "kms:EnableKeyRotation" in failed.text and "KMSInvalidStateException" in failed.text
    assert ws.resource("key")["id"] == ALIAS
    before = key(boto)["KeyId"]
    proxy.reset()
    ws.up()
    assert (key(boto)["KeyId"], rotates(boto)) == (before, True)
    assert ws.up().changes == {}