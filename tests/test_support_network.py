"""Certificates, the corporate proxy and the slow line, tried with boto3."""

import time

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config
from support.moto import KEYS, REGION
from support.network import ConnectProxy, DelayProxy
from support.proxy import FaultProxy


def client(service: str, **options):
    keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    return boto3.client(service, region_name=REGION, **keys, **options)


def test_https_with_an_authority_of_our_own(moto, certificates):
    with FaultProxy(moto.url, tls=certificates.server) as proxy:
        sts = client("sts", endpoint_url=proxy.url, verify=str(certificates.authority))
        assert sts.get_caller_identity()["Account"] == "123456789012"
        with pytest.raises(botocore.exceptions.SSLError):
            client("sts", endpoint_url=proxy.url, config=Config(retries={"max_attempts": 0})).get_caller_identity()


def test_real_endpoints_through_a_corporate_proxy(moto, certificates):
    with (
        FaultProxy(moto.url, tls=certificates.server) as proxy,
        ConnectProxy(lambda host, port: ("127.0.0.1", proxy.port)) as corporate,
    ):
        options = {"verify": str(certificates.authority), "config": Config(proxies={"https": corporate.url})}
        s3 = client("s3", **options)
        s3.create_bucket(Bucket="ptd-b", CreateBucketConfiguration={"LocationConstraint": REGION})
        client("secretsmanager", **options).create_secret(Name="s", SecretString="x")
        assert corporate.connected[-1] == f"secretsmanager.{REGION}.amazonaws.com:443"
        assert proxy.counts() == {"CreateBucket": 1, "CreateSecret": 1}
    assert [bucket["Name"] for bucket in moto.client("s3").list_buckets()["Buckets"]] == ["ptd-b"]


def test_a_slow_line_delays_opening_and_each_round_trip(moto):
    with FaultProxy(moto.url) as proxy, DelayProxy("127.0.0.1", proxy.port, 0.1) as line:
        sts = client("sts", endpoint_url=line.url)
        began = time.monotonic()
        sts.get_caller_identity()
        first, began = time.monotonic() - began, time.monotonic()
        sts.get_caller_identity()
        second = time.monotonic() - began
        # Opening costs a round trip more; how long anything else takes is not for the test to say.
        assert first >= 0.2 and second >= 0.1
        assert line.connections == 1
