"""What cannot work is refused with one clear error on the right property or resource, before any write where that is knowable."""

from __future__ import annotations

import pytest
from support import aws_replies as replies
from support.cli import Result, Workspace
from support.moto import Moto
from support.network import closed_port
from support.proxy import FaultProxy

ACCOUNT = "123456789012"
OTHER = "999999999999"
BUCKET = ("ptd:aws:StateBucket", {"bucket": "ptd-refused"})
SECRET = ("ptd:aws:Secret", {"name": "refused.posit.team", "fields": [{"name": "a"}]})
POLICY = ("ptd:aws:AdminPolicy", {"name": "Refused"})
KEY = ("ptd:aws:EncryptionKey", {"alias": "alias/refused"})
FIELDS = ("ptd:aws:SecretFields", {"secret": "refused.posit.team", "fields": {"a": "1"}})


def program(resource, **more) -> dict:
    kind, properties = resource
    return {"resources": {"it": {"type": kind, "properties": properties | more}}}


def explicit(config: dict, resource=SECRET) -> dict:
    """One resource of a provider with this configuration."""
    kind, properties = resource
    return {"resources": {
        "aws": {"type": "pulumi:providers:ptd", "properties": config},
        "it": {"type": kind, "properties": properties, "options": {"provider": "${aws}"}},
    }}


def errors(result: Result) -> list[str]:
    """The errors without the engine's own "update failed"."""
    return [m for m in result.messages("error") if not m.endswith((": update failed", ": preview failed"))]


def the_error(result: Result, *words: str, on: str = "::it") -> str:
    """The one error, which stands on that resource."""
    found = errors(result)
    assert len(found) == 1, result
    return own_error(result, on, *words)


def own_error(result: Result, on: str, *words: str) -> str:
    """The one error of that resource, among those of others."""
    found = [m for m in errors(result) if f"{on}: " in m]
    assert len(found) == 1, f"{on}: {found}\n{result}"
    for word in words:
        assert word in found[0], f"{word!r} is not in: {found[0]}"
    return found[0]


@pytest.mark.parametrize("config", [{"allowedAccountIds": [OTHER]}, {"forbiddenAccountIds": [ACCOUNT]}],
                         ids=["not-allowed", "forbidden"])
def test_the_wrong_account_is_found_before_any_write(config, workspace: Workspace, proxy):
    ws = workspace.yaml(explicit(config))
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        the_error(result, f"account {ACCOUNT}", next(iter(config)), "Next: use credentials of the expected account")
    assert set(proxy.counts()) == {"GetCallerIdentity"}


def test_the_account_of_a_resource_binds_every_operation(new_workspace, moto, proxy):
    """Also reading, updating and deleting with credentials of another account touch nothing."""
    ws = new_workspace().yaml(program(SECRET, accountId=ACCOUNT, allowDelete=True))
    ws.up()
    proxy.forget_calls()
    ws.env |= moto.account(OTHER)
    words = (f"account {OTHER}", f"expected is {ACCOUNT}")
    the_error(ws.refresh(fails=True), *words)
    ws.yaml(program(SECRET, accountId=ACCOUNT, allowDelete=True, description="x"))
    the_error(ws.up(fails=True), *words)
    the_error(ws.destroy(fails=True), *words)
    assert set(proxy.counts()) == {"GetCallerIdentity"}


def test_missing_credentials(workspace: Workspace, proxy, tmp_path):
    ws = workspace.yaml(program(SECRET))
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del ws.env[key]
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        the_error(result, "no credentials found", "Next: set the provider's profile, AWS_PROFILE, or AWS_ACCESS_KEY_ID")
    assert result.seconds < 60
    the_error(ws.yaml(explicit({"profile": "nobody"})).up(fails=True), '"nobody"', "AWS configuration files")
    assert proxy.calls == []


def many(*resources, **more) -> dict:
    """Resources r0, r1, ..."""
    return {"resources": {f"r{i}": {"type": kind, "properties": properties | more}
                          for i, (kind, properties) in enumerate(resources)}}


def test_expired_tokens_and_denied_permissions(workspace: Workspace, proxy):
    """On the first call already, and later on in the service of each resource."""
    resources = [BUCKET, SECRET, POLICY, KEY, FIELDS]
    ws = workspace.yaml(program(SECRET))
    proxy.rule(replies.expired_token)
    the_error(ws.up(fails=True), "sts:GetCallerIdentity", "ExpiredToken", replies.REQUEST_ID, "Next: renew the credentials")
    assert proxy.count() == 1, "what has expired is not tried again"

    ws.yaml(many(*resources))
    for answer in (replies.expired_token, replies.invalid_token, replies.access_denied):
        proxy.reset()
        proxy.rule(lambda call, answer=answer: None if call.service == "sts" else answer(call))
        failed = ws.up("--continue-on-error", fails=True)
        for i, (kind, _) in enumerate(resources):
            text = own_error(failed, f"::r{i}")
            if answer is replies.access_denied:
                service = {"StateBucket": "s3:ListBucket", "AdminPolicy": "iam:", "EncryptionKey": "kms:"}
                assert service.get(kind.split(":")[-1], "secretsmanager:") in text
            else:
                assert "credentials" in text.split("Next: ")[1], text
        assert proxy.select(where=lambda call: call.write and call.forwarded) == []
        assert ws.resources() == []
    counts = {(call.operation, call.resource) for call in proxy.calls if call.service != "sts"}
    assert len(counts) == proxy.count() - proxy.count(service="sts"), "a refusal is not tried again"


def test_a_denied_write_names_the_permission_and_loses_nothing(workspace: Workspace, proxy):
    denied = [
        (("ptd:aws:StateBucket", {"bucket": "ptd-unmade"}), "CreateBucket", "s3:CreateBucket"),
        (("ptd:aws:StateBucket", {"bucket": "ptd-untagged"}), "PutBucketTagging", "s3:PutBucketTagging"),
        (SECRET, "CreateSecret", "secretsmanager:CreateSecret"),
        (POLICY, "CreatePolicy", "iam:CreatePolicy"),
        (KEY, "CreateAlias", "kms:CreateAlias"),
    ]
    ws = workspace.yaml(many(*(resource for resource, *_ in denied), tags={"a": "1"}))
    for (_, properties), operation, _ in denied:
        proxy.rule(replies.access_denied, operation, resource=properties.get("bucket", ""))
    failed = ws.up("--continue-on-error", fails=True)
    for i, (_, operation, permission) in enumerate(denied):
        own_error(failed, f"::r{i}", "Next: ", f"the permission {permission}", "grant")
        assert proxy.count(operation, where=lambda call: call.fault is not None) == 1, f"{operation} is tried again"
    made = {r["urn"].rsplit("::", 1)[1]: r for r in ws.resources()}
    assert made["r1"]["id"] == "ptd-untagged", "the bucket that was made stands in the state"
    proxy.reset()
    ws.up()
    assert proxy.count("CreateBucket") == 1
    assert proxy.count("CreateKey") == 0, "the key that has no alias yet is found again"
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}


def test_an_unreachable_endpoint(workspace: Workspace):
    with closed_port() as port:
        ws = workspace.yaml(explicit({"endpointUrl": f"http://127.0.0.1:{port}", "maxRetries": 1}))
        for result in (ws.preview(fails=True), ws.up(fails=True)):
            the_error(result, "sts:GetCallerIdentity", "Connection refused", "AWS_ENDPOINT_URL")
    ws.yaml(explicit({"endpointUrl": "http://nowhere.invalid"}))
    the_error(ws.up(fails=True), "the host name cannot be resolved")


def test_an_existing_bucket_in_another_region(workspace: Workspace, boto, proxy):
    boto("s3", region="eu-west-1").create_bucket(
        Bucket="ptd-refused", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    ws = workspace.yaml(program(BUCKET))
    words = ("ptd-refused", "it is in region eu-west-1", "set the region to eu-west-1")
    # The emulator answers 200 and says where it is, AWS redirects.
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        the_error(result, *words)
    proxy.rule(replies.other_region("eu-west-1"), service="s3")
    the_error(ws.up(fails=True), *words)
    assert proxy.writes() == []
    proxy.reset()
    ws.yaml(program(BUCKET, region="eu-west-1")).up()
    assert proxy.count("CreateBucket") == 0


def test_a_bucket_of_another_account(new_workspace, moto, proxy, tmp_path):
    words = ("ptd-refused", "another account")
    with Moto(tmp_path / "strict.log", MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS="false") as strict, FaultProxy(strict.url) as front:
        theirs = strict.client("s3", account=OTHER)
        theirs.create_bucket(Bucket="ptd-refused", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
        ws = new_workspace(AWS_ENDPOINT_URL=front.url).yaml(program(BUCKET))
        for result in (ws.preview(fails=True), ws.up(fails=True)):
            the_error(result, *words)
        assert front.writes() == []
        assert ws.resources() == []
    # Somebody else takes the name between the look and the write.
    moto.client("s3", account=OTHER).create_bucket(
        Bucket="ptd-refused", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    proxy.rule(lambda call: replies.error(call, 404, "NotFound", ""), "HeadBucket")
    ws = new_workspace("race").yaml(program(BUCKET))
    the_error(ws.up(fails=True), "BucketAlreadyExists", *words)
    assert proxy.count("CreateBucket") == 1
    assert ws.resources() == []
    # Our own of that name, with an owner other than expected.
    proxy.reset()
    proxy.rule(replies.access_denied, "HeadBucket")
    the_error(ws.up(fails=True), *words)
    assert proxy.writes() == []


BAD = [
    (BUCKET, {"bucket": "ab"}, "bucket", "3"),
    (BUCKET, {"bucket": "a" * 64}, "bucket", "63"),
    (BUCKET, {"bucket": "ptd_x"}, "bucket", "'_'"),
    (BUCKET, {"bucket": "192.168.1.1"}, "bucket", "IP address"),
    (BUCKET, {"region": "Ohio"}, "region", "us-east-2"),
    (BUCKET, {"accountId": "1234"}, "accountId", "12 digits"),
    (BUCKET, {"noncurrentVersionExpirationDays": 0}, "noncurrentVersionExpirationDays", "at least 1"),
    (BUCKET, {"encryption": {"algorithm": "AES256", "kmsKeyId": "k"}}, "encryption", "aws:kms only"),
    (BUCKET, {"tags": {"aws:x": "1"}}, "tags", "reserved"),
    (BUCKET, {"tags": {"x": "v" * 257}}, "tags", "256"),
    (SECRET, {"name": "s" * 513}, "name", "512"),
    (SECRET, {"name": "a b"}, "name", "' '"),
    (SECRET, {"recoveryWindowDays": 6}, "recoveryWindowDays", "7 to 30"),
    (SECRET, {"description": "d" * 2049}, "description", "2048"),
    (SECRET, {"fields": [{"name": "a", "generate": "randomString", "length": 7}]}, "fields", "8"),
    (SECRET, {"fields": [{"name": "a"}, {"name": "a"}]}, "fields", "twice"),
    (KEY, {"alias": "refused"}, "alias", "alias/"),
    (KEY, {"alias": "alias/aws/mine"}, "alias", "aws"),
    (KEY, {"alias": "alias/ä"}, "alias", "'ä'"),
    (KEY, {"deletionWindowDays": 31}, "deletionWindowDays", "7 to 30"),
    (POLICY, {"name": "p" * 129}, "name", "128"),
    (POLICY, {"name": "p/q"}, "name", "'/'"),
    (POLICY, {"path": "x/"}, "path", "slash"),
    (POLICY, {"document": "{}"}, "document", "Statement"),
    (POLICY, {"document": "no json"}, "document", "JSON"),
    (FIELDS, {"secret": "a b"}, "secret", "' '"),
    # A property with secrets is named in the text, since the engine would print its value.
    (FIELDS, {"fields": {}}, "", "fields: must name at least one"),
]


def test_bad_names_and_values_are_refused_on_their_property(workspace: Workspace, provider, proxy):
    """The engine shows what Check says; a program ends with the first such error, so that each case is asked directly."""
    for (kind, properties), bad, name, word in BAD:
        reply = provider.check(f"urn:pulumi:dev::app::{kind}::it", properties | bad)
        assert [f.property for f in reply.failures] == [name], f"{bad}\n{reply.failures}"
        assert word in reply.failures[0].reason, f"{bad}\n{reply.failures}"
    ws = workspace.yaml(program(BUCKET, bucket="ptd_x"))
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        the_error(result, "property bucket value {ptd_x} has a problem", "'_'")
    assert proxy.calls == []


CONFIG = [
    ({"region": "Ohio"}, "region", "us-east-2"),
    ({"allowedAccountIds": ["1"]}, "allowedAccountIds", "12 digits"),
    ({"allowedAccountIds": [ACCOUNT], "forbiddenAccountIds": [ACCOUNT]}, "forbiddenAccountIds", "allowedAccountIds too"),
    ({"assumeRole": {"externalId": "xx"}}, "assumeRole", "without roleArn"),
    ({"assumeRole": {"roleArn": "admin"}}, "assumeRole", "arn:aws:iam::"),
    ({"assumeRole": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "durationSeconds": 60}}, "assumeRole", "900"),
    ({"assumeRole": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "sessionName": "a b"}}, "assumeRole", "session name"),
    ({"endpointUrl": "localhost:4566"}, "endpointUrl", "https://"),
    ({"endpoints": {"s3": "ftp://x"}}, "endpoints", "https://"),
    ({"maxRetries": 99}, "maxRetries", "0 to 50"),
    ({"requestTimeoutSeconds": 0}, "requestTimeoutSeconds", "1 to 3600"),
    ({"defaultTags": {"aws:x": "1"}}, "defaultTags", "reserved"),
    ({"profile": " "}, "profile", "blank"),
]


def test_bad_configuration_is_refused_on_its_property(workspace: Workspace, launch, proxy):
    provider = launch()
    provider.handshake()
    for config, name, word in CONFIG:
        reply = provider.check_config(config)
        assert [f.property for f in reply.failures] == [name], f"{config}\n{reply.failures}"
        assert word in reply.failures[0].reason, f"{config}\n{reply.failures}"
    ws = workspace.yaml(explicit({"maxRetries": 99}))
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        the_error(result, "property maxRetries value {99} has a problem", "0 to 50", on="pulumi:providers:ptd::aws")
    # The same as configuration of the stack.
    ws.yaml(program(SECRET)).config(ptd__maxRetries="many")
    the_error(ws.preview(fails=True), "maxRetries", on="pulumi:providers:ptd::default")
    assert proxy.calls == []
