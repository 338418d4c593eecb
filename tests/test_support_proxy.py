"""The fault proxy does to clients what the tests that use it rely on."""

import concurrent.futures
import socket

import botocore.exceptions
import pytest
from support import aws_replies, moto as emulator
from support.aws_replies import Cut
from support.proxy import Faults

BUCKET = "ptd-test-bucket"
ERRORS = (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError)


@pytest.fixture
def through(moto, proxy):
    """Clients that go through the proxy, and do not retry."""
    return lambda service, **options: moto.client(service, endpoint=proxy.url, **options)


def create_bucket(s3):
    return s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})


def code(excinfo) -> str:
    return excinfo.value.response["Error"]["Code"]


def test_calls_are_named_and_told_apart(proxy, through):
    s3, kms, secrets, iam, sts = (through(name) for name in ("s3", "kms", "secretsmanager", "iam", "sts"))
    create_bucket(s3)
    s3.head_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    with pytest.raises(botocore.exceptions.ClientError):
        s3.get_bucket_tagging(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="a/b", Body=b"x" * 100)
    assert s3.get_object(Bucket=BUCKET, Key="a/b")["Body"].read() == b"x" * 100
    s3.list_objects_v2(Bucket=BUCKET)
    s3.list_object_versions(Bucket=BUCKET)
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "a/b"}]})
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    secrets.create_secret(Name="s.posit.team", SecretString="{}")
    secrets.get_secret_value(SecretId="s.posit.team")
    with pytest.raises(botocore.exceptions.ClientError):
        iam.get_policy(PolicyArn="arn:aws:iam::123456789012:policy/p")
    sts.get_caller_identity()

    assert [call.operation for call in proxy.calls] == [
        "CreateBucket", "HeadBucket", "PutBucketVersioning", "PutPublicAccessBlock", "GetBucketTagging", "PutObject",
        "GetObject", "ListObjectsV2", "ListObjectVersions", "DeleteObjects", "CreateKey", "CreateAlias", "CreateSecret",
        "GetSecretValue", "GetPolicy", "GetCallerIdentity",
    ]  # fmt: skip
    assert [call.operation for call in proxy.select(write=True)] == [
        "CreateBucket", "PutBucketVersioning", "PutPublicAccessBlock", "PutObject", "DeleteObjects", "CreateKey",
        "CreateAlias", "CreateSecret",
    ]  # fmt: skip
    assert proxy.counts(service="s3")["HeadBucket"] == 1
    assert proxy.count("CreateBucket", resource=BUCKET) == 1
    assert proxy.select("CreateSecret")[0].resource == "s.posit.team"
    assert {call.region for call in proxy.calls if call.service != "iam"} == {"us-east-2"}
    assert "409" not in "".join(proxy.writes())
    assert proxy.select("HeadBucket")[0].status == 200


@pytest.mark.parametrize(
    ("service", "operation", "args", "expected"),
    [
        ("s3", "get_bucket_tagging", {"Bucket": BUCKET}, "AccessDenied"),
        ("s3", "head_bucket", {"Bucket": BUCKET}, "403"),
        ("kms", "enable_key_rotation", {"KeyId": "k"}, "AccessDeniedException"),
        ("secretsmanager", "describe_secret", {"SecretId": "s"}, "AccessDeniedException"),
        ("iam", "get_policy", {"PolicyArn": "arn:aws:iam::123456789012:policy/p"}, "AccessDenied"),
    ],
)
def test_a_rule_answers_in_the_shape_of_the_service(proxy, through, service, operation, args, expected):
    proxy.rule(aws_replies.access_denied, service=service)
    with pytest.raises(botocore.exceptions.ClientError) as excinfo:
        getattr(through(service), operation)(**args)
    assert code(excinfo) == expected
    assert proxy.calls[0].fault == "rule"
    assert not proxy.calls[0].forwarded


def test_other_canned_answers(proxy, through):
    secrets, kms, iam, s3 = (through(name) for name in ("secretsmanager", "kms", "iam", "s3"))
    proxy.rule(aws_replies.waiting_for_deletion, "CreateSecret")
    proxy.rule(aws_replies.kms_invalid_state, "CreateAlias")
    proxy.rule(aws_replies.delete_conflict, "DeletePolicy")
    proxy.rule(aws_replies.expired_token, "GetCallerIdentity")
    proxy.rule(aws_replies.other_region("eu-west-1"), service="s3")
    for expected, call in {
        "InvalidRequestException": lambda: secrets.create_secret(Name="a", SecretString="b"),
        "KMSInvalidStateException": lambda: kms.create_alias(AliasName="alias/a", TargetKeyId="k"),
        "DeleteConflict": lambda: iam.delete_policy(PolicyArn="arn:aws:iam::123456789012:policy/p"),
        "ExpiredToken": lambda: through("sts").get_caller_identity(),
        "301": lambda: s3.head_bucket(Bucket=BUCKET),
    }.items():
        with pytest.raises(botocore.exceptions.ClientError) as excinfo:
            call()
        assert code(excinfo) == expected
    headers = excinfo.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-bucket-region"] == "eu-west-1"


def test_a_rule_may_be_used_up_and_may_come_after_the_call(proxy, through):
    s3 = through("s3")
    proxy.rule(lambda call: Cut, "CreateBucket", times=1, after=True)
    with pytest.raises(botocore.exceptions.BotoCoreError):
        create_bucket(s3)
    assert proxy.calls[0].forwarded and proxy.calls[0].status is None
    s3.head_bucket(Bucket=BUCKET)
    with pytest.raises(botocore.exceptions.ClientError) as excinfo:
        create_bucket(s3)
    assert code(excinfo) == "BucketAlreadyOwnedByYou"


def test_faults_hit_about_as_often_as_asked_and_repeat_with_the_seed(proxy, through):
    sts = through("sts")

    def run() -> list[str | None]:
        proxy.forget_calls()
        proxy.faults = Faults(throttle=0.1, error=0.1, cut=0.05, lost=0.05, slow=0.05, slow_seconds=0.01, seed=3)
        for _ in range(200):
            try:
                sts.get_caller_identity()
            except ERRORS:
                pass
        return [call.fault for call in proxy.calls]

    first = run()
    assert first == run()
    assert set(first) == {None, "throttle", "error", "cut", "lost", "slow"}
    assert 40 <= sum(fault is not None for fault in first) <= 100


def test_latency_is_added_to_each_call_and_calls_overlap(proxy, through):
    sts = through("sts")
    proxy.latency = 0.1
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: sts.get_caller_identity(), range(32)))
    assert 2 <= proxy.peak <= 16
    assert len(proxy.calls) == 32 and all(call.seconds >= 0.1 for call in proxy.calls)


def test_a_hook_runs_when_the_nth_write_is_done_and_its_answer_is_lost(moto, proxy, through):
    s3 = through("s3")
    seen = []
    proxy.after_write(2, lambda call: seen.append(moto.client("s3").get_bucket_versioning(Bucket=BUCKET)["Status"]))
    create_bucket(s3)
    s3.head_bucket(Bucket=BUCKET)
    with pytest.raises(botocore.exceptions.BotoCoreError):
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    assert seen == ["Enabled"]
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    assert seen == ["Enabled"]


def test_an_emulator_whose_port_is_taken_takes_another(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        ports, free_port = iter([first]), emulator.free_port
        monkeypatch.setattr(emulator, "free_port", lambda: next(ports, None) or free_port())
        with emulator.Moto(tmp_path / "moto.log") as server:
            assert server.url != f"http://127.0.0.1:{first}"
            assert server.client("sts").get_caller_identity()["Account"] == emulator.ACCOUNT


def test_accounts_are_apart_and_reset_empties_them(moto):
    other = "210987654321"
    moto.client("secretsmanager", account=other).create_secret(Name="mine", SecretString="x")
    assert moto.client("sts", account=other).get_caller_identity()["Account"] == other
    assert moto.client("secretsmanager").list_secrets()["SecretList"] == []
    moto.reset()
    assert moto.client("secretsmanager", account=other).list_secrets()["SecretList"] == []
    assert moto.client("sts", account=other).get_caller_identity()["Account"] == other
