"""Credentials that may not do everything: what is protective by default degrades to a warning, what was asked for fails."""

from __future__ import annotations

import json

import pytest
from support import aws_replies
from support.cli import Workspace

ACCOUNT = "123456789012"
ALIAS = "alias/posit-team-dedicated"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/PositTeamDedicatedAdmin"
TAGS = {"posit.team/managed-by": "admin"}

BUCKET = ("ptd:aws:StateBucket", {"bucket": "ptd-locked"})
KEY = ("ptd:aws:EncryptionKey", {"alias": ALIAS})
ADMIN = ("ptd:aws:AdminPolicy", {})


def versioned(boto) -> bool:
    return boto("s3").get_bucket_versioning(Bucket="ptd-locked").get("Status") == "Enabled"


def blocked(boto) -> bool:
    try:
        found = boto("s3").get_public_access_block(Bucket="ptd-locked")
    except boto("s3").exceptions.ClientError:
        return False
    return all(found["PublicAccessBlockConfiguration"].values())


def tls_only(boto) -> bool:
    try:
        return "PtdDenyInsecureTransport" in boto("s3").get_bucket_policy(Bucket="ptd-locked")["Policy"]
    except boto("s3").exceptions.ClientError:
        return False


def encrypted_by_s3(boto) -> bool:
    found = boto("s3").get_bucket_encryption(Bucket="ptd-locked")["ServerSideEncryptionConfiguration"]["Rules"][0]
    return found["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def enforced(boto) -> bool:
    found = boto("s3").get_bucket_ownership_controls(Bucket="ptd-locked")["OwnershipControls"]["Rules"][0]
    return found["ObjectOwnership"] == "BucketOwnerEnforced"


#: Each setting of a bucket: the call that is denied, the permission it takes, the input that asks for it, and whether it is
#: in force.
BUCKET_SETTINGS = {
    "versioning": ("PutBucketVersioning", "s3:PutBucketVersioning", True, versioned),
    "blockPublicAccess": ("PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock", True, blocked),
    "tlsOnly": ("PutBucketPolicy", "s3:PutBucketPolicy", True, tls_only),
    "encryption": ("PutBucketEncryption", "s3:PutEncryptionConfiguration", {"algorithm": "AES256"}, encrypted_by_s3),
    "objectOwnership": ("PutBucketOwnershipControls", "s3:PutBucketOwnershipControls", "BucketOwnerEnforced", enforced),
}


def program(resource, **more) -> dict:
    kind, properties = resource
    return {"resources": {"it": {"type": kind, "properties": properties | more}}}


def outputs(ws: Workspace) -> dict:
    return ws.resource("::it")["outputs"]


def weak_bucket(boto) -> None:
    """A bucket of ours in which every setting is another one than ours."""
    s3 = boto("s3")
    s3.create_bucket(Bucket="ptd-locked", ObjectOwnership="ObjectWriter",
                     CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket="ptd-locked", ServerSideEncryptionConfiguration={"Rules": [rule]})


def deny(proxy, *operations: str) -> None:
    for operation in operations:
        proxy.rule(aws_replies.access_denied, operation=operation, name="denied")


def assert_stays(ws: Workspace, proxy) -> None:
    """Denied is no diff: nothing changes, and nothing is tried again, however often one looks."""
    proxy.forget_calls()
    for result in (ws.preview(), ws.refresh(), ws.up()):
        assert result.changes == {}, result
        assert result.messages("warning") == []
    assert proxy.writes() == []


@pytest.mark.parametrize("name", BUCKET_SETTINGS)
def test_a_bucket_setting_that_is_not_permitted(name, workspace: Workspace, boto, proxy):
    operation, permission, asked, in_force = BUCKET_SETTINGS[name]
    weak_bucket(boto)
    deny(proxy, operation)
    ws = workspace.yaml(program(BUCKET))
    up = ws.up()
    [warning] = up.messages("warning")
    assert warning.startswith("warning ptd:aws:StateBucket::it: ") and name in warning and permission in warning
    expected = dict.fromkeys(BUCKET_SETTINGS, "applied") | {name: "denied"}
    assert outputs(ws)["hardening"] == expected
    assert {other: row[3](boto) for other, row in BUCKET_SETTINGS.items()} == {
        other: other != name for other in BUCKET_SETTINGS}, "one denial does not keep the others from being applied"
    assert ws.refresh().changes == {}
    refused = ws.yaml(program(BUCKET, **{name: asked})).up(fails=True)
    for word in (permission, f"the input {name}", aws_replies.REQUEST_ID, "bucket ptd-locked"):
        assert word in refused.text, refused
    # Still asked for, and granted now.
    proxy.reset()
    assert ws.up().steps == {"ptd:aws:StateBucket::it": ["update"]}
    assert in_force(boto)
    assert outputs(ws)["hardening"] == expected | {name: "applied"}


def test_a_bucket_where_nothing_is_permitted_until_it_is(workspace: Workspace, boto, proxy):
    weak_bucket(boto)
    deny(proxy, *(row[0] for row in BUCKET_SETTINGS.values()))
    ws = workspace.yaml(program(BUCKET))
    up = ws.up()
    for name, row in BUCKET_SETTINGS.items():
        assert len([text for text in up.messages("warning") if name in text and row[1] in text]) == 1, up
    assert len(up.messages("warning")) == 5
    assert set(outputs(ws)["hardening"].values()) == {"denied"}
    assert_stays(ws, proxy)
    assert set(outputs(ws)["hardening"].values()) == {"denied"}
    # Somebody who may does one of them: the next look tells.
    boto("s3").put_bucket_versioning(Bucket="ptd-locked", VersioningConfiguration={"Status": "Enabled"})
    ws.refresh()
    assert outputs(ws)["hardening"] == dict.fromkeys(BUCKET_SETTINGS, "denied") | {"versioning": "applied"}
    assert ws.up().changes == {}
    # With the permissions, the next change of whatever kind makes up for the rest.
    proxy.reset()
    up = ws.yaml(program(BUCKET, tags=TAGS)).up()
    assert up.messages("warning") == []
    assert set(outputs(ws)["hardening"].values()) == {"applied"}
    assert all(row[3](boto) for row in BUCKET_SETTINGS.values())
    assert ws.refresh().changes == {}


def test_a_new_bucket_is_encrypted_whether_or_not_it_may_be_said(workspace: Workspace, proxy):
    """S3 encrypts every new bucket by itself."""
    deny(proxy, "PutBucketEncryption")
    ws = workspace.yaml(program(BUCKET))
    assert ws.up().messages("warning") == []
    assert outputs(ws)["hardening"]["encryption"] == "applied"
    assert ws.refresh().changes == {}


@pytest.mark.parametrize(
    ("resource", "operation", "permission", "more"),
    [
        (BUCKET, "PutBucketTagging", "s3:PutBucketTagging", {"tags": TAGS}),
        (BUCKET, "PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration", {"noncurrentVersionExpirationDays": 9}),
        (KEY, "UpdateKeyDescription", "kms:UpdateKeyDescription", {"description": "other"}),
        (KEY, "TagResource", "kms:TagResource", {"tags": TAGS}),
        (ADMIN, "TagPolicy", "iam:TagPolicy", {"tags": TAGS}),
    ],
    ids=["bucket-tags", "bucket-lifecycle", "key-description", "key-tags", "policy-tags"],
)
def test_what_has_no_default_is_asked_for(resource, operation, permission, more, workspace: Workspace, proxy):
    [name] = more
    ws = workspace.yaml(program(resource))
    ws.up()
    deny(proxy, operation)
    ws.yaml(program(resource, **more))
    refused = ws.up(fails=True)
    assert permission in refused.text and f"the input {name}" in refused.text, refused
    proxy.reset()
    assert ws.up().steps == {f"{resource[0]}::it": ["update"]}
    assert ws.refresh().changes == {}


def rotates(boto) -> bool:
    id = boto("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"]
    return boto("kms").get_key_rotation_status(KeyId=id)["KeyRotationEnabled"]


def test_rotation_that_is_not_permitted(workspace: Workspace, boto, proxy):
    """Under the admin role of the reference one may neither turn it on nor ask."""
    deny(proxy, "EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus")
    ws = workspace.yaml(program(KEY))
    [warning] = ws.up().messages("warning")
    assert "rotation" in warning and "kms:EnableKeyRotation" in warning
    assert_stays(ws, proxy)
    assert outputs(ws)["hardening"] == {"rotation": "denied"}
    refused = ws.yaml(program(KEY, rotation=True)).up(fails=True)
    assert "kms:EnableKeyRotation" in refused.text and "the input rotation" in refused.text
    assert not rotates(boto)
    proxy.reset()
    ws.yaml(program(KEY, description="any change")).up()
    assert rotates(boto)
    assert outputs(ws)["hardening"] == {"rotation": "applied"}
    assert ws.refresh().changes == {}


def test_rotation_that_is_seen_to_be_off(workspace: Workspace, boto, proxy):
    """Denied is no drift, and doing without is no denial."""
    deny(proxy, "EnableKeyRotation")
    ws = workspace.yaml(program(KEY))
    ws.up()
    assert ws.refresh().changes == {}
    assert outputs(ws)["hardening"] == {"rotation": "denied"}
    assert ws.yaml(program(KEY, rotation=False)).up().messages("warning") == []
    assert outputs(ws)["hardening"] == {"rotation": "off"}
    assert ws.refresh().changes == {}


def old_policy(boto, versions: int = 1) -> str:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    boto("iam").create_policy(PolicyName="PositTeamDedicatedAdmin", PolicyDocument=json.dumps(document))
    for _ in range(versions - 1):
        boto("iam").create_policy_version(PolicyArn=POLICY, PolicyDocument=json.dumps(document), SetAsDefault=True)
    return json.dumps(document)


def policy_versions(boto) -> list[str]:
    return sorted(v["VersionId"] for v in boto("iam").list_policy_versions(PolicyArn=POLICY)["Versions"])


@pytest.mark.parametrize("operation", ["CreatePolicyVersion", "ListPolicyVersions", "DeletePolicyVersion"])
def test_a_policy_that_may_not_be_changed(operation, workspace: Workspace, boto, proxy):
    """The document denies changing itself to everybody under it. With five versions one has to go first."""
    document = old_policy(boto, versions=5)
    deny(proxy, operation)
    ws = workspace.yaml(program(ADMIN))
    [warning] = ws.up().messages("warning")
    assert "document" in warning and f"iam:{operation}" in warning
    told = outputs(ws)
    assert told["documentStatus"] == "denied"
    assert json.loads(told["effectiveDocument"]) == json.loads(document)
    assert policy_versions(boto) == ["v1", "v2", "v3", "v4", "v5"], "no version goes for nothing"
    if operation == "CreatePolicyVersion":
        assert_stays(ws, proxy)
        mine = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
        refused = ws.yaml(program(ADMIN, document=json.dumps(mine))).up(fails=True)
        assert "iam:CreatePolicyVersion" in refused.text and "the input document" in refused.text
        ws.refresh()
        ws.yaml(program(ADMIN))
    proxy.reset()
    ws.yaml(program(ADMIN, tags=TAGS)).up()
    assert outputs(ws)["documentStatus"] == "applied"
    assert policy_versions(boto) == ["v2", "v3", "v4", "v5", "v6"]
    assert ws.refresh().changes == {}


def test_a_bootstrap_with_what_the_admin_role_permits(workspace: Workspace, boto, proxy):
    """Of what the bootstrap does, the role's policy lacks these."""
    deny(proxy, "EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus", "GetKeyPolicy", "UpdateAlias",
         "UpdateKeyDescription", "EnableKey", "CreatePolicyVersion")
    # It reads and writes only secrets that carry the tag, and makes nothing without it.
    untagged = ("CreateKey", "CreateSecret")
    proxy.rule(lambda call: None if b"posit.team/managed-by" in call.body else aws_replies.access_denied(call),
               where=lambda call: call.operation in untagged)
    properties = {"target": "acme01-staging", "sites": ["main"]}
    ws = workspace.yaml({"resources": {"boot": {"type": "ptd:aws:Bootstrap", "properties": properties}},
                         "outputs": {"hardening": "${boot.hardening}"}})
    [warning] = ws.up().messages("warning")
    assert "rotation" in warning and "kms:EnableKeyRotation" in warning
    hardening = dict.fromkeys(BUCKET_SETTINGS, "applied") | {"rotation": "denied"}
    assert ws.outputs()["hardening"] == hardening
    assert_stays(ws, proxy)
    assert ws.outputs()["hardening"] == hardening
    assert proxy.count("CreateSecret") == 0 and not rotates(boto)
