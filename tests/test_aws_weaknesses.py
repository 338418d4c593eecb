"""One test for each known weakness of the reference's bootstrap (W1 to W20), showing what is done instead."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import aws_replies, cli
from support.cli import Workspace
from support.moto import REGION, Moto
from support.protocol import urn
from support.proxy import FaultProxy

ACCOUNT, OTHER = "123456789012", "210987654321"
ALIAS = "alias/posit-team-dedicated"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/PositTeamDedicatedAdmin"
MANAGED = [{"Key": "posit.team/managed-by", "Value": "admin"}]

BUCKET = ("ptd:aws:StateBucket", {"bucket": "ptd-weak"})
KEY = ("ptd:aws:EncryptionKey", {"alias": ALIAS})
SECRET = ("ptd:aws:Secret", {"name": "weak.posit.team", "tags": {"posit.team/managed-by": "admin"},
                             "fields": [{"name": "a"}, {"name": "b", "generate": "randomString"}]})


def program(resource, **more) -> dict:
    kind, properties = resource
    return {"resources": {"it": {"type": kind, "properties": properties | more}}}


def bootstrap(**properties) -> dict:
    properties = {"target": "acme01-staging", "accountId": ACCOUNT, "sites": ["zeta", "alpha"]} | properties
    return {"resources": {"boot": {"type": "ptd:aws:Bootstrap", "properties": properties}}, "outputs": {"all": {
        name: f"${{boot.{name}}}" for name in ("bucket", "backendUrl", "secretArns", "hardening")}}}


@pytest.fixture(scope="module")
def done(plugin_bin: Path, pulumi_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A bootstrap that several tests look at, in an emulator of its own. They change nothing."""
    folder = tmp_path_factory.mktemp("done")
    with Moto(folder / "moto.log") as moto, FaultProxy(moto.url) as proxy:
        env = cli.cli_env(pulumi_home, folder / "backend", sys.executable)
        env |= {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": proxy.url, **moto.account()}
        ws = Workspace(folder / "app", env, "app")
        ws.yaml(bootstrap(stateBucket={"noncurrentVersionExpirationDays": 30}))
        preview = ws.preview()
        previewed = proxy.writes()
        up = ws.up()
        yield SimpleNamespace(ws=ws, proxy=proxy, boto=moto.client, preview=preview, previewed=previewed, up=up)


def key_state(boto, alias: str = ALIAS) -> str:
    return boto("kms").describe_key(KeyId=alias)["KeyMetadata"]["KeyState"]


def value(boto, name: str = "weak.posit.team") -> dict[str, str]:
    found = boto("secretsmanager").get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
    return json.loads(found["SecretString"])


def test_w01_only_404_means_that_there_is_no_bucket(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program(BUCKET))
    ws.config(ptd__maxRetries="1")
    for reply, words in (
        (aws_replies.access_denied, ["the name is taken by another account", "s3:ListBucket"]),
        (aws_replies.other_region("eu-west-1"), ["eu-west-1"]),
        (aws_replies.internal, ["s3:HeadBucket", "internal error"]),
    ):
        proxy.reset()
        proxy.rule(reply, operation="HeadBucket")
        refused = ws.up(fails=True)
        for word in (*words, "ptd-weak"):
            assert word in refused.text, refused
        assert proxy.writes() == []
    assert boto("s3").list_buckets()["Buckets"] == []


def test_w02_the_bucket_of_somebody_else_is_refused(workspace: Workspace, proxy):
    ws = workspace.yaml(program(BUCKET))
    ws.up()
    asked = [call for call in proxy.calls if call.service == "s3" and call.operation != "CreateBucket"]
    assert {call.headers.get("x-amz-expected-bucket-owner") for call in asked} == {ACCOUNT}
    # It was deleted, and somebody else took the name; then S3 refuses what expects another owner.
    proxy.reset()
    proxy.rule(aws_replies.access_denied, where=lambda call: call.headers.get("x-amz-expected-bucket-owner") == ACCOUNT)
    refused = ws.refresh(fails=True)
    assert "the name is taken by another account" in refused.text
    assert len(ws.resources()) == 1
    # Between looking and making.
    proxy.reset()
    proxy.rule(lambda call: aws_replies.error(call, 404, "NotFound", ""), operation="HeadBucket")
    proxy.rule(aws_replies.answer(409, "BucketAlreadyExists", "no"), operation="CreateBucket")
    lost = ws.yaml(program(BUCKET, bucket="ptd-taken")).up(fails=True)
    assert "belongs to another account" in lost.text


def test_w03_the_bucket_is_protected_and_not_deleted_with_what_is_in_it(done, workspace: Workspace, boto, proxy):
    s3, name = done.boto("s3"), "ptd-acme01-staging"
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    [rule] = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    [statement] = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == MANAGED
    ws = workspace.yaml(program(BUCKET, tlsOnly=False))
    ws.up()
    boto("s3").put_object(Bucket="ptd-weak", Key=".pulumi/meta.yaml", Body=b"version: 1")
    proxy.forget_calls()
    refused = ws.destroy(fails=True)
    assert "not empty" in refused.text and "forceDestroy" in refused.text
    assert proxy.writes() == []


def test_w04_no_key_is_made_twice_or_lost(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program(KEY))
    ws.config(ptd__maxRetries="1")
    for reply in (aws_replies.access_denied, aws_replies.internal):
        proxy.reset()
        proxy.rule(reply, operation="DescribeKey")
        assert "kms:DescribeKey" in ws.up(fails=True).text
        assert proxy.writes() == []
    # The key is made, its alias is not: the next run takes it. (A lost race: test_aws_encryption_key.py.)
    proxy.reset()
    proxy.rule(aws_replies.access_denied, operation="CreateAlias")
    for _ in range(2):
        assert "kms:CreateAlias" in ws.up(fails=True).text
    assert len(boto("kms").list_keys()["Keys"]) == 1
    proxy.reset()
    ws.up()
    [key] = boto("kms").list_keys()["Keys"]
    assert boto("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"] == key["KeyId"]


def test_w05_the_key_rotates_and_must_be_usable(done, workspace: Workspace, boto, proxy):
    id = done.boto("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"]
    assert done.boto("kms").get_key_rotation_status(KeyId=id)["KeyRotationEnabled"]
    kms = boto("kms")
    signing = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=ALIAS, TargetKeyId=signing)
    assert "not a symmetric key for encryption" in workspace.yaml(program(KEY)).up(fails=True).text
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=ALIAS, TargetKeyId=key)
    kms.disable_key(KeyId=key)
    assert "is disabled" in workspace.up(fails=True).text
    assert proxy.writes() == []
    kms.schedule_key_deletion(KeyId=key)
    workspace.up()
    assert key_state(boto, key) == "Enabled"


def test_w06_a_shared_key_is_not_deleted(done, workspace: Workspace, boto, proxy):
    assert done.ws.resource("boot-encryption-key")["retainOnDelete"] is True, "unless asked for"
    ws = workspace.yaml(program(KEY, allowDelete=True, target="acme01"))
    ws.up()
    boto("s3").create_bucket(Bucket="ptd-globex", CreateBucketConfiguration={"LocationConstraint": REGION})
    proxy.forget_calls()
    assert "still needed by others: bucket ptd-globex" in ws.destroy(fails=True).text
    assert proxy.writes() == []
    assert key_state(boto) == "Enabled"


def test_w07_an_old_admin_policy_is_brought_up_to_date(workspace: Workspace, boto):
    iam = boto("iam")
    old = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    iam.create_policy(PolicyName="PositTeamDedicatedAdmin", PolicyDocument=old)
    for _ in range(4):
        iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=old)
    ws = workspace.yaml(program(("ptd:aws:AdminPolicy", {})))
    ws.up()
    versions = {v["VersionId"]: v["IsDefaultVersion"] for v in iam.list_policy_versions(PolicyArn=POLICY)["Versions"]}
    # Version 1 was in force until then, and IAM does not let that one go.
    assert versions == {"v1": False, "v3": False, "v4": False, "v5": False, "v6": True}
    document = iam.get_policy_version(PolicyArn=POLICY, VersionId="v6")["PolicyVersion"]["Document"]
    assert len(json.dumps(document, separators=(",", ":"))) == 5756
    assert ws.refresh().changes == {}


def test_w08_only_not_found_means_that_there_is_no_secret(workspace: Workspace, boto, proxy):
    secrets = boto("secretsmanager")
    secrets.create_secret(Name="weak.posit.team", SecretString='{"a":"1","b":"2"}', Tags=MANAGED)
    ws = workspace.yaml(program(SECRET))
    proxy.rule(aws_replies.access_denied, operation="DescribeSecret")
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        assert "secretsmanager:DescribeSecret" in result.text and "secret weak.posit.team" in result.text
    assert [call for call in proxy.select(write=True) if call.status == 200] == []
    # One that waits for deletion comes back, with what is in it.
    proxy.reset()
    secrets.delete_secret(SecretId="weak.posit.team", RecoveryWindowInDays=7)
    proxy.rule(aws_replies.waiting_for_deletion, operation="CreateSecret")
    assert any("restore" in text for text in ws.up().messages("info"))
    assert value(boto) == {"a": "1", "b": "2"}


def test_w09_missing_fields_are_added_and_nothing_else_is_touched(workspace: Workspace, boto):
    boto("secretsmanager").create_secret(Name="weak.posit.team", SecretString='{"z":"theirs","a":"old"}', Tags=MANAGED)
    ws = workspace.yaml(program(SECRET, values={"a": "new"}))
    ws.up()
    found = value(boto)
    assert list(found) == ["z", "a", "b"]
    assert (found["z"], found["a"], len(found["b"])) == ("theirs", "old", 30)
    # A field that a later version of the program brings.
    ws.yaml(program(SECRET, fields=[*SECRET[1]["fields"], {"name": "later"}])).up()
    assert value(boto) == found | {"later": ""}


def test_w10_generated_values_are_made_once(workspace: Workspace, boto):
    ws = workspace.yaml(program(SECRET, allowDelete=True))
    ws.up()
    made = value(boto)
    assert made["b"] not in json.dumps(ws.export(show_secrets=True)), "they are in the secret, and nowhere else"
    ws.destroy()
    ws.up()
    assert value(boto) == made
    # Lost is lost: that is told by a refresh, not made up for in silence.
    boto("secretsmanager").delete_secret(SecretId="weak.posit.team", ForceDeleteWithoutRecovery=True)
    assert ws.refresh().changes == {"delete": 1}


def test_w11_a_preview_writes_nothing(done):
    assert done.previewed == []
    # The stack, the component, bucket, key, and a workload's and two sites' secrets.
    assert done.preview.changes == {"create": 11}


def test_w12_destroy_deletes_what_it_may(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(bootstrap(sites=[], secrets={"allowDelete": False}))
    ws.up()
    assert "allowDelete" in ws.destroy(fails=True).text
    ws.yaml(bootstrap(sites=[], secrets={"allowDelete": True, "recoveryWindowDays": 7})).up()
    proxy.forget_calls()
    ws.destroy()
    assert ws.resources() == []
    assert boto("s3").list_buckets()["Buckets"] == []
    assert "DeletedDate" in boto("secretsmanager").describe_secret(SecretId="acme01-staging.posit.team")
    assert [call.params["RecoveryWindowInDays"] for call in proxy.select("DeleteSecret")] == [7]
    assert key_state(boto) == "Enabled", "kept unless asked for"


def assumed(key: str, seconds: int):
    """STS's answer to AssumeRole, with credentials that live for so long."""
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    body = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
        <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
        <Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials><AssumedRoleUser>
        <AssumedRoleId>AROA:me</AssumedRoleId><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/r/me</Arn></AssumedRoleUser>
        </AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"""
    return lambda call: aws_replies.Reply(200, body.encode(), {"content-type": "text/xml"})


def test_w13_credentials_are_renewed_before_they_expire(workspace: Workspace, proxy):
    proxy.rule(assumed("ASIAFIRST", 60), operation="AssumeRole", times=1)
    proxy.rule(assumed("ASIASECOND", 3600), operation="AssumeRole")
    ws = workspace.yaml(program(BUCKET))
    ws.config(ptd__assumeRole=json.dumps({"roleArn": f"arn:aws:iam::{ACCOUNT}:role/admin.posit.team"}))
    ws.up()
    assert proxy.count("AssumeRole") == 2
    used = [call.access_key for call in proxy.calls if call.operation != "AssumeRole"]
    used = used[used.index("ASIAFIRST"):]
    assert set(used) == {"ASIAFIRST", "ASIASECOND"} and used == sorted(used)


@pytest.mark.parametrize("profile", [None, "dev"])
def test_w14_the_role_counts_and_so_does_the_account(profile, workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program(BUCKET, accountId=OTHER))
    role = f"arn:aws:iam::{OTHER}:role/custom"
    ws.config(ptd__assumeRole=json.dumps({"roleArn": role, "externalId": "shared-word"}))
    if profile:
        keys = "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n"
        ws.env["AWS_SHARED_CREDENTIALS_FILE"] = str(ws.file("credentials", f"[{profile}]\n{keys}"))
        ws.env["AWS_CONFIG_FILE"] = str(ws.file("config", f"[profile {profile}]\nregion = {REGION}\n"))
        ws.config(ptd__profile=profile)
    ws.up()
    [asked] = proxy.select("AssumeRole")
    assert (asked.params["RoleArn"], asked.params["ExternalId"]) == (role, "shared-word")
    assert asked.access_key == ("AKIAPROFILE" if profile else ws.env["AWS_ACCESS_KEY_ID"])
    assert [b["Name"] for b in boto("s3", account=OTHER).list_buckets()["Buckets"]] == ["ptd-weak"]
    assert boto("s3").list_buckets()["Buckets"] == []
    proxy.forget_calls()
    refused = ws.yaml(program(BUCKET, bucket="ptd-new", accountId="999999999999")).up(fails=True)
    assert f"credentials belong to account {OTHER}, expected is 999999999999" in refused.text
    assert proxy.writes() == []


def test_w15_an_external_id_without_a_role_is_an_error(workspace: Workspace, proxy):
    ws = workspace.yaml(program(BUCKET))
    ws.config(ptd__assumeRole=json.dumps({"externalId": "shared-word"}))
    refused = ws.up(fails=True)
    assert "assumeRole.externalId" in refused.text and "set roleArn or leave this out" in refused.text
    assert proxy.calls == []


def test_w16_created_adopted_and_unchanged_are_told_apart(done, workspace: Workspace, boto):
    assert done.up.changes == {"create": 11}
    assert [text for text in done.up.messages("info") if "adopts" in text] == []
    boto("secretsmanager").create_secret(Name="weak.posit.team", SecretString='{"a":"1"}', Tags=MANAGED)
    ws = workspace.yaml(program(SECRET))
    [told] = ws.up().messages("info")
    assert told.endswith("adopts existing secret weak.posit.team; changed: fields")
    again = ws.up()
    assert again.changes == {} and again.messages("info") == []


def test_w17_the_order_of_sites_makes_no_difference(done):
    arns = list(done.ws.outputs()["all"]["secretArns"])
    assert arns == sorted(arns) and len(arns) == 7
    done.ws.yaml(bootstrap(sites=["alpha", "zeta"], stateBucket={"noncurrentVersionExpirationDays": 30}))
    turned = done.ws.preview()
    assert set(turned.steps) <= {"ptd:aws:Bootstrap::boot"}, turned


@pytest.mark.parametrize(
    ("resource", "name", "bad", "why"),
    [
        (BUCKET, "bucket", "ptd-" + "a" * 60, "63"),
        (BUCKET, "bucket", "ptd-Upper", "upper-case"),
        (BUCKET, "bucket", "ptd-x_y", "hyphens"),
        (SECRET, "name", "a b", "letters"),
        (SECRET, "name", "s" * 513, "512"),
        (KEY, "alias", "no-prefix", "alias/"),
    ],
)
def test_w18_names_are_checked_before_anything_is_asked(resource, name, bad, why, provider, proxy):
    reply = provider.check(urn(resource[0]), resource[1] | {name: bad})
    [failure] = reply.failures
    assert failure.property == name and why in failure.reason
    assert proxy.calls == []


def test_w19_a_binary_secret_is_an_error(workspace: Workspace, boto):
    secrets = boto("secretsmanager")
    secrets.create_secret(Name="weak.posit.team", SecretBinary=b"\x00\xff", Tags=MANAGED)
    refused = workspace.yaml(program(SECRET)).up(fails=True)
    assert "secret weak.posit.team holds binary data, not a JSON object" in refused.text
    assert secrets.get_secret_value(SecretId="weak.posit.team")["SecretBinary"] == b"\x00\xff"
    assert len(secrets.list_secret_version_ids(SecretId="weak.posit.team")["Versions"]) == 1


def test_w20_a_control_room_is_bootstrapped_like_a_workload(workspace: Workspace, boto):
    ws = workspace.yaml(bootstrap(kind="controlRoom", target="main01-staging", sites=[]))
    ws.up()
    boto("s3").head_bucket(Bucket="ptd-main01-staging")
    assert key_state(boto) == "Enabled"
    assert value(boto, "main01-staging.mimir-auth.posit.team") == {}
    assert list(value(boto, "main01-staging.ctrl.posit.team")) == ["opsgenie-api-key", "mimir-password-salt"]
    assert ws.up().changes == {}
