"""Refresh tells exactly what drifted, the next update repairs exactly that, and each resource imports by its natural id."""

from __future__ import annotations

import json

import pytest
from support.cli import Workspace

ACCOUNT = "123456789012"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/PositTeamDedicatedAdmin"
ALIAS = "alias/posit-team-dedicated"
TAGS = {"posit.team/managed-by": "admin"}

BUCKET = ("ptd:aws:StateBucket", {"bucket": "ptd-drift", "tags": TAGS})
KEY = ("ptd:aws:EncryptionKey", {"alias": ALIAS, "description": "state", "tags": TAGS})
ADMIN = ("ptd:aws:AdminPolicy", {"tags": TAGS})
SECRET = ("ptd:aws:Secret", {"name": "drift.posit.team", "description": "text", "tags": TAGS,
                             "fields": [{"name": "a"}, {"name": "b", "generate": "randomString"}]})


def program(resource, **more) -> dict:
    kind, properties = resource
    return {"resources": {"it": {"type": kind, "properties": properties | more}}}


def key_id(boto) -> str:
    return boto("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"]


def move_secret(boto, name: str, change) -> None:
    """Changes a secret the way every owner should: by moving the label (and the only way the emulator follows)."""
    client = boto("secretsmanager")
    now = client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
    fields = json.loads(now["SecretString"])
    change(fields)
    new = client.put_secret_value(SecretId=name, SecretString=json.dumps(fields), VersionStages=["test"])["VersionId"]
    client.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", RemoveFromVersionId=now["VersionId"],
                                       MoveToVersionId=new)


def suspend(boto):
    boto("s3").put_bucket_versioning(Bucket="ptd-drift", VersioningConfiguration={"Status": "Suspended"})


def encrypt_kms(boto):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    boto("s3").put_bucket_encryption(Bucket="ptd-drift", ServerSideEncryptionConfiguration={"Rules": [rule]})


def open_public(boto):
    flags = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": True}
    boto("s3").put_public_access_block(Bucket="ptd-drift", PublicAccessBlockConfiguration=flags)


def drop_policy(boto):
    boto("s3").delete_bucket_policy(Bucket="ptd-drift")


def let_writers_own(boto):
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    boto("s3").put_bucket_ownership_controls(Bucket="ptd-drift", OwnershipControls=controls)


def tag_bucket(boto):
    tags = [{"Key": "posit.team/managed-by", "Value": "admin"}, {"Key": "more", "Value": "x"}]
    boto("s3").put_bucket_tagging(Bucket="ptd-drift", Tagging={"TagSet": tags})


def expire(boto):
    rule = {"ID": "ptd-noncurrent-versions", "Status": "Enabled", "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}
    boto("s3").put_bucket_lifecycle_configuration(Bucket="ptd-drift", LifecycleConfiguration={"Rules": [rule]})


def describe_key(boto):
    boto("kms").update_key_description(KeyId=key_id(boto), Description="other")


def stop_rotation(boto):
    boto("kms").disable_key_rotation(KeyId=key_id(boto))


def untag_key(boto):
    boto("kms").untag_resource(KeyId=key_id(boto), TagKeys=["posit.team/managed-by"])


def change_document(boto):
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    boto("iam").create_policy_version(PolicyArn=POLICY, PolicyDocument=json.dumps(document), SetAsDefault=True)


def tag_policy(boto):
    boto("iam").tag_policy(PolicyArn=POLICY, Tags=[{"Key": "posit.team/managed-by", "Value": "else"}])


def describe_secret(boto):
    boto("secretsmanager").update_secret(SecretId="drift.posit.team", Description="other")


def tag_secret(boto):
    boto("secretsmanager").tag_resource(SecretId="drift.posit.team", Tags=[{"Key": "more", "Value": "x"}])


def drop_field(boto):
    move_secret(boto, "drift.posit.team", lambda fields: fields.pop("b"))


DRIFT = {
    "bucket": (BUCKET, {"versioning": suspend, "encryption": encrypt_kms, "blockPublicAccess": open_public,
                        "tlsOnly": drop_policy, "objectOwnership": let_writers_own, "tags": tag_bucket,
                        "noncurrentVersionExpirationDays": expire}),
    "key": (KEY, {"description": describe_key, "rotation": stop_rotation, "tags": untag_key}),
    "policy": (ADMIN, {"document": change_document, "tags": tag_policy}),
    "secret": (SECRET, {"description": describe_secret, "tags": tag_secret, "fields": drop_field}),
}


@pytest.mark.parametrize("kind", DRIFT)
def test_drift_is_named_and_repaired(kind, workspace: Workspace, boto, proxy):
    resource, changes = DRIFT[kind]
    ws = workspace.yaml(program(resource))
    ws.up()
    assert ws.refresh().changes == {}, "nothing drifted"
    for name, change in changes.items():
        change(boto)
        proxy.forget_calls()
        refresh = ws.refresh()
        assert proxy.writes() == [], f"{name}: a refresh writes nothing"
        assert refresh.changes == {"update": 1}, f"{name}\n{refresh}"
        preview = ws.preview()
        found = {path.split(".")[0].split("[")[0] for path in preview.diff("::it")}
        assert found == {name}, f"{name}\n{preview}"
        assert ws.up().steps == {f"{resource[0]}::it": ["update"]}
        assert ws.refresh().changes == {}, f"{name} is repaired"
        assert ws.up().changes == {}


@pytest.mark.parametrize(
    ("resource", "id"),
    [(BUCKET, "ptd-drift"), (KEY, ALIAS), (ADMIN, POLICY), (ADMIN, "PositTeamDedicatedAdmin"), (SECRET, "drift.posit.team"),
     (("ptd:aws:SecretFields", {"secret": "drift.posit.team", "fields": {"a": "1"}}), "drift.posit.team#a")],
    ids=["bucket", "key", "policy", "policy-by-name", "secret", "fields"],
)
def test_import_by_natural_id(resource, id, new_workspace, boto):
    maker = new_workspace("maker")
    if resource[0] == "ptd:aws:SecretFields":
        maker.yaml({"resources": {
            "secret": {"type": "ptd:aws:Secret", "properties": SECRET[1]},
            "it": {"type": resource[0], "properties": resource[1], "options": {"dependsOn": ["${secret}"]}},
        }})
    else:
        maker.yaml(program(resource))
    maker.up()
    by_cli = new_workspace("by-cli").yaml({"resources": {}})
    by_cli.import_(resource[0], "it", id)
    by_cli.yaml(program(resource))
    preview = by_cli.preview()
    # An import cannot know how a field was made; saying so changes nothing in the cloud.
    assert preview.changes in ({}, {"update": 1} if resource is SECRET else {}), preview
    by_option = new_workspace("by-option").yaml(program(resource))
    manifest = by_option.folder / "Pulumi.yaml"
    manifest.write_text(manifest.read_text() + f"    options:\n      import: {id!r}\n")
    by_option.up()
    assert by_option.up().changes == {}


def test_vanished_resources_come_back(workspace: Workspace, boto):
    ws = workspace.yaml({"resources": {
        "bucket": {"type": BUCKET[0], "properties": BUCKET[1]},
        "secret": {"type": SECRET[0], "properties": SECRET[1]},
        "policy": {"type": ADMIN[0], "properties": ADMIN[1]},
    }})
    ws.up()
    boto("s3").delete_bucket(Bucket="ptd-drift")
    boto("secretsmanager").delete_secret(SecretId="drift.posit.team", ForceDeleteWithoutRecovery=True)
    boto("iam").delete_policy(PolicyArn=POLICY)
    assert ws.refresh().changes == {"delete": 3}
    assert ws.up().changes["create"] == 3


def test_foreign_statements_rules_and_tags_stay(workspace: Workspace, boto):
    s3 = boto("s3")
    s3.create_bucket(Bucket="ptd-drift", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
              "Action": "s3:GetObject", "Resource": "arn:aws:s3:::ptd-drift/*"}
    s3.put_bucket_policy(Bucket="ptd-drift", Policy=json.dumps({"Version": "2012-10-17", "Statement": [theirs]}))
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    s3.put_bucket_lifecycle_configuration(Bucket="ptd-drift", LifecycleConfiguration={"Rules": [rule]})
    s3.put_bucket_tagging(Bucket="ptd-drift", Tagging={"TagSet": [{"Key": "team:cost", "Value": "7"}]})
    ws = workspace.yaml(program(BUCKET, noncurrentVersionExpirationDays=30))
    ws.config(ptd__ignoreTagKeys='["team:*"]')
    ws.up()
    policy = json.loads(s3.get_bucket_policy(Bucket="ptd-drift")["Policy"])
    assert [s["Sid"] for s in policy["Statement"]] == ["Theirs", "PtdDenyInsecureTransport"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket="ptd-drift")["Rules"]
    assert {r["ID"] for r in rules} == {"theirs", "ptd-noncurrent-versions"}
    tags = {t["Key"]: t["Value"] for t in s3.get_bucket_tagging(Bucket="ptd-drift")["TagSet"]}
    assert tags == {"team:cost": "7", **TAGS}
    assert ws.refresh().changes == {}
    ws.yaml(program(BUCKET, tlsOnly=False))
    ws.up()
    policy = json.loads(s3.get_bucket_policy(Bucket="ptd-drift")["Policy"])
    assert [s["Sid"] for s in policy["Statement"]] == ["Theirs"]
    assert [r["ID"] for r in s3.get_bucket_lifecycle_configuration(Bucket="ptd-drift")["Rules"]] == ["theirs"]


def test_default_tags_of_the_provider(workspace: Workspace, boto):
    ws = workspace.yaml(program(SECRET))
    ws.up()
    ws.config(ptd__defaultTags='{"team":"one"}')
    assert list(ws.preview().diff("::it")) == ["tags"]
    ws.up()
    tags = {t["Key"]: t["Value"] for t in boto("secretsmanager").describe_secret(SecretId="drift.posit.team")["Tags"]}
    assert tags == {"team": "one", **TAGS}
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}


def test_policy_versions_are_pruned(workspace: Workspace, boto):
    ws = workspace
    for number in range(7):
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::b{number}/*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        ws.yaml(program(ADMIN, document=document)).up()
    versions = boto("iam").list_policy_versions(PolicyArn=POLICY)["Versions"]
    assert sorted(v["VersionId"] for v in versions) == ["v3", "v4", "v5", "v6", "v7"]
    assert [v["VersionId"] for v in versions if v["IsDefaultVersion"]] == ["v7"]


def test_a_bucket_with_living_stacks_is_not_deleted(workspace: Workspace, boto):
    ws = workspace.yaml(program(BUCKET, forceDestroy=True, tlsOnly=False))
    ws.up()
    s3 = boto("s3")
    state = {"version": 3, "checkpoint": {"latest": {"resources": [{"type": "aws:s3/bucket:Bucket"}]}}}
    s3.put_object(Bucket="ptd-drift", Key=".pulumi/stacks/net/acme.json", Body=json.dumps(state))
    refused = ws.destroy(fails=True)
    assert "net/acme (1 resources)" in refused.text
    assert s3.list_objects_v2(Bucket="ptd-drift")["KeyCount"] == 1
    s3.put_object(Bucket="ptd-drift", Key=".pulumi/stacks/net/acme.json", Body=json.dumps({"version": 3, "checkpoint": {}}))
    ws.destroy()
    assert s3.list_buckets()["Buckets"] == []


def test_an_orphaned_key_is_found_again(workspace: Workspace, boto):
    kms = boto("kms")
    tags = [{"TagKey": "posit.team/alias", "TagValue": ALIAS}, {"TagKey": "posit.team/managed-by", "TagValue": "admin"}]
    orphan = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
    ws = workspace.yaml(program(KEY))
    ws.up()
    assert key_id(boto) == orphan
    assert len(kms.list_keys()["Keys"]) == 1
    assert ws.refresh().changes == {}
