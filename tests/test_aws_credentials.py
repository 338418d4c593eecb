"""Where credentials come from and whose they are: profiles, roles, renewal, partitions; and the provider's tags."""

from __future__ import annotations

import datetime
import json

import pytest
from support import aws_replies as replies
from support.aws_calls import Call
from support.cli import Workspace

ACCOUNT = "123456789012"
OTHER = "210987654321"
ROLE = f"arn:aws:iam::{OTHER}:role/admin.posit.team"
NAME = "credentials.posit.team"
SECRET = {"name": NAME, "fields": [{"name": "a"}], "tags": {"own": "1"}}


def program(config: dict, **secret) -> dict:
    return {"resources": {
        "aws": {"type": "pulumi:providers:ptd", "properties": config},
        "it": {"type": "ptd:aws:Secret", "properties": SECRET | secret, "options": {"provider": "${aws}"}},
    }}


def with_profiles(ws: Workspace, config: str, credentials: str) -> None:
    """Configuration files of the test's own, and no credentials in the environment unless put back."""
    ws.env["AWS_CONFIG_FILE"] = str(ws.file("aws/config", config))
    ws.env["AWS_SHARED_CREDENTIALS_FILE"] = str(ws.file("aws/credentials", credentials))


def without_keys(ws: Workspace) -> None:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        ws.env.pop(key, None)


def keys_in_use(proxy, service: str = "secretsmanager") -> set[str]:
    return {call.access_key for call in proxy.select(service=service)}


def tags(client, name: str = NAME) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in client.describe_secret(SecretId=name)["Tags"]}


def test_a_profile_gives_credentials_and_region_and_wins_over_stray_variables(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program({"profile": "work"}))
    with_profiles(ws, "[profile work]\nregion = eu-west-1\n[default]\nregion = eu-central-1\n",
                  "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = x\n"
                  "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = x\n")
    del ws.env["AWS_REGION"]
    ws.up()
    assert keys_in_use(proxy) == {"AKIAWORK"}, "the profile that is named wins over AWS_ACCESS_KEY_ID"
    assert boto("secretsmanager", region="eu-west-1").describe_secret(SecretId=NAME)["Name"] == NAME
    assert ws.resource("::it")["outputs"]["region"] == "eu-west-1"
    assert ws.up().changes == {}

    # Without one in the configuration: AWS_PROFILE, then the default profile.
    without_keys(ws)
    ws.yaml({"resources": {"other": {"type": "ptd:aws:Secret", "properties": SECRET | {"name": "other"}}}})
    for env, key, region in (({"AWS_PROFILE": "work"}, "AKIAWORK", "eu-west-1"), ({}, "AKIADEFAULT", "eu-central-1")):
        proxy.forget_calls()
        assert ws.preview(env=env).steps["ptd:aws:Secret::other"] == ["create"]
        assert keys_in_use(proxy) == {key}
        assert {call.region for call in proxy.calls} == {region}


@pytest.mark.parametrize("source", ["environment", "profile"])
def test_a_role_is_assumed_with_external_id_and_session_name(source, workspace: Workspace, boto, proxy):
    role = {"roleArn": ROLE, "externalId": "ext-1", "sessionName": "deploy", "durationSeconds": 900, "tags": {"by": "ptd"}}
    config = {"assumeRole": role, "allowedAccountIds": [OTHER]} | ({"profile": "work"} if source == "profile" else {})
    ws = workspace.yaml(program(config))
    if source == "profile":
        with_profiles(ws, "[profile work]\nregion = us-east-2\n",
                      "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = x\n")
        without_keys(ws)
    ws.up()
    (assumed,) = proxy.select("AssumeRole")
    assert assumed.access_key == ("AKIAWORK" if source == "profile" else "AKIAIOSFODNN7EXAMPLE")  # pragma: allowlist secret
    expected = {"RoleArn": ROLE, "ExternalId": "ext-1", "RoleSessionName": "deploy", "DurationSeconds": "900",
                "Tags.member.1.Key": "by", "Tags.member.1.Value": "ptd"}
    assert {key: assumed.params.get(key) for key in expected} == expected
    (used,) = keys_in_use(proxy)
    assert used.startswith("ASIA")
    assert ws.resource("::it")["outputs"]["accountId"] == OTHER
    assert boto("secretsmanager", account=OTHER).describe_secret(SecretId=NAME)["ARN"].split(":")[4] == OTHER
    with pytest.raises(boto("secretsmanager").exceptions.ResourceNotFoundException):
        boto("secretsmanager").describe_secret(SecretId=NAME)
    assert "ext-1" not in json.dumps(ws.export()["resources"][-1]), "the resource does not know how it was reached"


def test_a_role_of_the_profile_and_one_on_top_of_it(workspace: Workspace, proxy):
    """`role_arn` of the configuration file, chained with the provider's `assumeRole`; the session is named after the caller."""
    ws = workspace.yaml(program({"profile": "chained", "assumeRole": {"roleArn": ROLE}}))
    first = f"arn:aws:iam::{ACCOUNT}:role/first"
    with_profiles(ws, f"[profile chained]\nrole_arn = {first}\nsource_profile = base\nexternal_id = ext-0\n"
                      "role_session_name = jane@example.com\nregion = us-east-2\n",
                  "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = x\n")
    without_keys(ws)
    ws.up()
    roles = [(call.params["RoleArn"], call.params.get("ExternalId"), call.params["RoleSessionName"])
             for call in proxy.select("AssumeRole")]
    assert list(dict.fromkeys(roles)) == [(first, "ext-0", "jane@example.com"), (ROLE, None, "jane@ptd")]
    assert ws.resource("::it")["outputs"]["accountId"] == OTHER


def test_a_role_that_may_not_be_assumed_is_one_clear_error(workspace: Workspace, proxy):
    ws = workspace.yaml(program({"assumeRole": {"roleArn": ROLE, "externalId": "wrong"}}))
    proxy.rule(replies.access_denied, "AssumeRole")
    failed = ws.up(fails=True)
    (error,) = [m for m in failed.messages("error") if "::it" in m]
    assert "sts:AssumeRole" in error and "AccessDenied" in error and "externalId" in error
    assert proxy.count("AssumeRole") == 1, "a refusal is not tried again"
    assert proxy.writes() == []


def test_credentials_renew_within_a_run(workspace: Workspace, boto, proxy):
    """The role's credentials always have a moment to live: each use finds them about to expire and obtains new ones."""
    issued = []

    def short_lived(call: Call) -> replies.Reply:
        issued.append(f"ASIASHORT{len(issued):07}")
        expires = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser>'
            f"<AssumedRoleId>AROAX:deploy</AssumedRoleId><Arn>{ROLE}/deploy</Arn></AssumedRoleUser><Credentials>"
            f"<AccessKeyId>{issued[-1]}</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>t</SessionToken>"
            f"<Expiration>{expires}</Expiration></Credentials></AssumeRoleResult>"
            "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"
        )
        return replies.Reply(200, body.encode(), {"content-type": "text/xml"})

    proxy.rule(short_lived, "AssumeRole")
    ws = workspace.yaml({"resources": {
        "aws": {"type": "pulumi:providers:ptd", "properties": {"assumeRole": {"roleArn": ROLE, "sessionName": "deploy"}}},
        "first": {"type": "ptd:aws:Secret", "properties": SECRET, "options": {"provider": "${aws}"}},
        "second": {"type": "ptd:aws:Secret", "properties": SECRET | {"name": "second", "description": "${first.arn}"},
                   "options": {"provider": "${aws}"}},
    }})
    ws.up()
    used = [call.access_key for call in proxy.select(service="secretsmanager")]
    assert set(used) <= set(issued)
    assert len(set(used)) > 1, "new credentials were used"
    assert used == sorted(used), "and never older ones again"
    assert boto("secretsmanager").describe_secret(SecretId="second")["Name"] == "second"


@pytest.mark.parametrize(("region", "partition"), [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")])
def test_other_partitions(region, partition, new_workspace, boto):
    ws = new_workspace(AWS_REGION=region).yaml({
        "resources": {"boot": {"type": "ptd:aws:Bootstrap", "properties": {
            "target": "part01", "accountId": ACCOUNT, "sites": ["main"], "createAdminPolicy": True}}},
        "outputs": {"arns": "${boot.secretArns}", "key": "${boot.keyArn}", "policy": "${boot.adminPolicyArn}",
                    "url": "${boot.backendUrl}"},
    })
    preview = ws.preview()
    assert preview.changes == {"create": 9}
    ws.up()
    policy = json.loads(boto("s3", region=region).get_bucket_policy(Bucket="ptd-part01")["Policy"])
    (ours,) = [s for s in policy["Statement"] if s["Sid"] == "PtdDenyInsecureTransport"]
    assert ours["Resource"] == [f"arn:{partition}:s3:::ptd-part01", f"arn:{partition}:s3:::ptd-part01/*"]
    bucket = ws.resource("::boot-state-bucket")["outputs"]
    assert bucket["arn"] == f"arn:{partition}:s3:::ptd-part01"
    outputs = ws.outputs()
    assert outputs["url"] == f"s3://ptd-part01?region={region}"
    assert {arn.split(":")[1] for arn in outputs["arns"].values()} == {partition}
    assert outputs["policy"] == f"arn:{partition}:iam::{ACCOUNT}:policy/PositTeamDedicatedAdmin"
    found = boto("iam", region=region).get_policy(PolicyArn=outputs["policy"])["Policy"]
    document = json.dumps(boto("iam", region=region).get_policy_version(
        PolicyArn=outputs["policy"], VersionId=found["DefaultVersionId"])["PolicyVersion"]["Document"])
    assert f"arn:{partition}:" in document
    assert "arn:aws:" not in document, "no ARN of another partition"
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}


def test_default_tags_and_ignored_tags_of_a_provider(workspace: Workspace, boto):
    """Default tags merge below a resource's own; ignored keys are neither added, removed nor compared."""
    config = {"defaultTags": {"team": "one", "own": "default"}, "ignoreTagKeys": ["cost", "auto:*"]}
    ws = workspace.yaml(program(config))
    ws.up()
    client = boto("secretsmanager")
    assert tags(client) == {"team": "one", "own": "1"}
    theirs = {"cost": "7", "auto:by": "robot"}
    client.tag_resource(SecretId=NAME, Tags=[{"Key": k, "Value": v} for k, v in theirs.items()])
    assert ws.refresh().changes == {}
    assert ws.up().changes == {}
    config["defaultTags"] = {"team": "two"}
    ws.yaml(program(config))
    assert list(ws.preview().diff("::it")) == ["tags"]
    ws.up()
    assert tags(client) == {"team": "two", "own": "1", **theirs}
    ws.yaml(program(config, tags={}))
    ws.up()
    assert tags(client) == {"team": "two", **theirs}
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}
