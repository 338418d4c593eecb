"""Whose credentials an inner run works with."""

import json

import pytest

from support import aws_replies

ROLE = "arn:aws:iam::444455556666:role/admin.posit.team"
LOOKS = """
import os

import boto3
import pulumi

session = boto3.Session()
pulumi.export("caller", session.client("sts").get_caller_identity()["Arn"])
pulumi.export("method", session.get_credentials().method)
pulumi.export("region", session.region_name)
pulumi.export("static", "AWS_SECRET_ACCESS_KEY" in os.environ or "AWS_PROFILE" in os.environ)
"""


@pytest.fixture
def outer(pipeline):
    provider = {"region": "eu-west-1", "assumeRole": {"roleArn": ROLE, "sessionName": "deploy"}}
    pipeline.resources["aws"] = {"type": "pulumi:providers:ptd", "properties": provider}
    pipeline.inner("looks", LOOKS, options={"provider": "${aws}"}, credentials="provider")
    return pipeline.write().init()


def seen(pipeline) -> dict:
    return json.loads(pipeline.by_hand("looks", "output", "--json"))


def test_the_providers_are_served_to_an_inner_run(pipeline, outer, proxy):
    outer.up()
    found = seen(pipeline)
    assert found["caller"].endswith(":assumed-role/admin.posit.team/deploy")
    assert (found["method"], found["region"], found["static"]) == ("container-role", "eu-west-1", False)
    # Once for the provider itself, and once for all processes of the inner run.
    assert len(proxy.select("AssumeRole")) == 2
    state = json.dumps(outer.export(show_secrets=True))
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN" not in state

    # Who works is no reason to run.
    pipeline.stack("looks", options={"provider": "${aws}"})
    pipeline.write().up()
    assert len(pipeline.updates("looks")) == 1


def test_without_being_asked_an_inner_run_gets_what_its_environment_leads_to(pipeline, outer):
    outer.env["AWS_DEFAULT_REGION"] = "us-east-2"
    pipeline.stack("looks", options={"provider": "${aws}"})
    pipeline.write().up()
    assert "admin.posit.team" not in seen(pipeline)["caller"] and seen(pipeline)["static"]


def test_credentials_that_cannot_be_had_are_one_clear_error(pipeline, outer, proxy):
    proxy.rule(aws_replies.access_denied, "AssumeRole")
    failed = outer.up(fails=True)
    for part in ("looks", "sts:AssumeRole", "AccessDenied"):
        assert part in failed.text, part
    assert list(pipeline.backend.iterdir()) == []


def test_an_inner_run_does_not_work_in_an_account_that_is_not_allowed(pipeline, outer):
    pipeline.resources["aws"]["properties"]["allowedAccountIds"] = ["123456789012"]
    failed = pipeline.write().up(fails=True)
    assert "looks" in failed.text and "444455556666" in failed.text and "allowedAccountIds" in failed.text
    assert list(pipeline.backend.iterdir()) == []
