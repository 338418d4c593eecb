"""Corporate networks, services that are slow or lose answers, and Ctrl-C."""

from __future__ import annotations

import base64
import json
import signal
import threading
import time

import grpc
import pytest
from support.cli import Workspace
from support.network import ConnectProxy, closed_port
from support.proxy import Faults, FaultProxy
from support.values import decode

ACCOUNT = "123456789012"
TARGET = "net01"
HANGING = 3600.0
SECRET = {"name": "net.posit.team", "fields": [{"name": "a"}]}
SECRETS = [f"{TARGET}{part}.posit.team" for part in ("", "-main", "-main.sessions", "-main-ssh-ppm-keys")]


def bootstrap() -> dict:
    properties = {"target": TARGET, "accountId": ACCOUNT, "sites": ["main"], "createAdminPolicy": True}
    return {"resources": {"boot": {"type": "ptd:aws:Bootstrap", "properties": properties}}}


def one(**config) -> dict:
    """One secret of a provider with this configuration."""
    return {"resources": {
        "aws": {"type": "pulumi:providers:ptd", "properties": config},
        "it": {"type": "ptd:aws:Secret", "properties": SECRET, "options": {"provider": "${aws}"}},
    }}


def error(result) -> str:
    (found,) = [m for m in result.messages("error") if "::it: " in m]
    return found


def values(boto) -> dict[str, str]:
    """What is in the secrets that exist."""
    client, found = boto("secretsmanager"), {}
    for name in SECRETS:
        try:
            found[name] = client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"]
        except client.exceptions.ResourceNotFoundException:
            continue
    return found


def assert_whole(boto) -> None:
    """Everything is there, once, and nothing else."""
    assert [b["Name"] for b in boto("s3").list_buckets()["Buckets"]] == [f"ptd-{TARGET}"]
    secrets = boto("secretsmanager").list_secrets()["SecretList"]
    assert sorted(s["Name"] for s in secrets) == sorted(SECRETS)
    assert len(boto("kms").list_keys()["Keys"]) == 1
    assert boto("kms").describe_key(KeyId="alias/posit-team-dedicated")["KeyMetadata"]["KeyState"] == "Enabled"
    (policy,) = boto("iam").list_policies(Scope="Local")["Policies"]
    assert policy["PolicyName"] == "PositTeamDedicatedAdmin"
    fields = json.loads(values(boto)[f"{TARGET}-main.posit.team"])
    assert len(fields) == 18
    assert len(fields["dev-db-password"]) == 30


def test_everything_goes_through_a_corporate_proxy(workspace: Workspace, boto, moto, certificates):
    """AWS's own endpoints, over TLS, by CONNECT, with the proxy's password."""
    with (
        FaultProxy(moto.url, tls=certificates.server) as aws,
        ConnectProxy(lambda host, port: ("127.0.0.1", aws.port) if host.endswith(".amazonaws.com") else None) as corporate,
    ):
        del workspace.env["AWS_ENDPOINT_URL"]
        password = "pass-of-the-proxy"
        workspace.env |= {"HTTPS_PROXY": corporate.url.replace("//", f"//jane:{password}@"),
                          "AWS_CA_BUNDLE": str(certificates.authority)}
        ws = workspace.yaml(bootstrap())
        ws.up()
        assert_whole(boto)
        hosts = {target.rsplit(":", 1)[0] for target in corporate.connected}
        region = "us-east-2"
        assert {"iam.amazonaws.com", f"sts.{region}.amazonaws.com", f"kms.{region}.amazonaws.com",
                f"secretsmanager.{region}.amazonaws.com", f"ptd-{TARGET}.s3.{region}.amazonaws.com"} <= hosts
        assert set(corporate.authorization) == {"Basic " + base64.b64encode(f"jane:{password}".encode()).decode()}
        assert ws.refresh().changes == {}

        # The proxy refuses a host: said so, without the proxy's password.
        refused = ws.yaml(one(endpointUrl="https://elsewhere.example", maxRetries=1)).up("--target", "**it", fails=True)
        assert "elsewhere.example:443" in corporate.connected
        assert "HTTPS_PROXY" in error(refused)
        assert password not in refused.text


def test_no_proxy_goes_directly(workspace: Workspace, boto, moto, certificates):
    with FaultProxy(moto.url, tls=certificates.server) as aws, ConnectProxy() as corporate:
        workspace.env |= {"HTTPS_PROXY": corporate.url, "AWS_CA_BUNDLE": str(certificates.authority),
                          "AWS_ENDPOINT_URL": aws.url, "NO_PROXY": "example.com,localhost", "no_proxy": ""}
        workspace.yaml(one()).up()
        assert corporate.connected == []
        assert aws.count("CreateSecret") == 1
        del workspace.env["NO_PROXY"], workspace.env["no_proxy"]
        workspace.refresh()
        assert set(corporate.connected) == {f"localhost:{aws.port}"}
        # A proxy that is not there is an error that says where to look.
        with closed_port() as port:
            workspace.env["HTTPS_PROXY"] = f"http://127.0.0.1:{port}"
            failed = workspace.yaml(one(maxRetries=1)).refresh(fails=True)
        assert "HTTPS_PROXY" in error(failed)


def test_certificate_authorities(workspace: Workspace, moto, certificates):
    with FaultProxy(moto.url, tls=certificates.server) as aws:
        ws = workspace.yaml(one())
        ws.env["AWS_ENDPOINT_URL"] = aws.url
        untrusted = ws.up(fails=True)
        assert "certificate" in error(untrusted) and "set AWS_CA_BUNDLE" in error(untrusted)
        assert untrusted.seconds < 60
        assert aws.calls == []
        missing = ws.up(fails=True, env={"AWS_CA_BUNDLE": "/nowhere/ca.pem"})
        assert "/nowhere/ca.pem" in error(missing) and "AWS_CA_BUNDLE" in error(missing)
        ws.up(env={"SSL_CERT_FILE": str(certificates.authority)})
        assert aws.count("CreateSecret") == 1
        assert ws.refresh(env={"AWS_CA_BUNDLE": str(certificates.authority)}).changes == {}


@pytest.mark.parametrize("number", [1, 5, 9])
def test_ctrl_c_returns_at_once_and_the_next_update_completes(number, workspace: Workspace, boto, proxy):
    """Every write is carried out but not answered any more; the user gives up after some of them."""
    ws = workspace.yaml(bootstrap())
    ws.init()
    answered = threading.Semaphore(number - 1)
    proxy.faults = Faults(slow=1.0, slow_seconds=HANGING, only=lambda call: call.write and not answered.acquire(blocking=False))
    hanging = threading.Event()
    process = ws.start("up", "--yes", "--skip-preview")
    end = time.monotonic() + 120
    while not [call for call in proxy.select(write=True) if call.fault == "slow" and call.forwarded]:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        hanging.wait(0.01)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    output = "".join(process.communicate(timeout=60))
    seconds = time.monotonic() - began
    assert process.returncode != 0
    assert "cancel" in output
    # The demand is five seconds; the rest is for slow machines. The answers would take minutes.
    assert seconds < 20, output
    assert ws.plugins() == [], "no plugin is left behind"
    proxy.reset()
    made = values(boto)
    ws.up()
    assert_whole(boto)
    assert {name: text for name, text in values(boto).items() if name in made} == made, "a value was made again"
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}


def test_what_arrives_after_ctrl_c_does_not_wait_either(provider, proxy):
    """The engine had sent it on its way before; the next run is not concerned."""
    urn = "urn:pulumi:dev::app::ptd:aws:Secret::it"
    inputs = decode(provider.check(urn, SECRET).inputs)
    proxy.latency = HANGING
    provider.cancel()
    with pytest.raises(grpc.RpcError) as refused:
        provider.create(urn, inputs)
    assert refused.value.code() is grpc.StatusCode.CANCELLED
    proxy.reset()
    provider.configure()
    assert provider.create(urn, inputs).id == SECRET["name"]


def test_a_service_that_is_slow_is_waited_for_all_at_once(workspace: Workspace, boto, proxy):
    proxy.latency = 0.3
    ws = workspace.yaml(bootstrap())
    ws.up()
    assert proxy.peak >= 6, "what does not depend on one another is under way together"
    proxy.latency = 0
    assert_whole(boto)
    assert ws.up().changes == {}


@pytest.mark.parametrize("fault", ["lost", "slow"])
def test_answers_that_never_come_duplicate_nothing(fault, workspace: Workspace, boto, proxy):
    """The first answer to each write gets lost after it was carried out; it is tried again within the run."""
    seen: set[tuple[str, str]] = set()

    def first_time(call) -> bool:
        key = (call.operation, call.resource)
        if not call.write or key in seen:
            return False
        seen.add(key)
        return True

    proxy.faults = Faults(**{fault: 1.0}, slow_seconds=HANGING, only=first_time)
    ws = workspace.yaml(bootstrap()).config(ptd__requestTimeoutSeconds="2")
    ws.up()
    assert {"CreateBucket", "CreateKey", "CreateAlias", "CreatePolicy", "CreateSecret"} <= {name for name, _ in seen}
    proxy.faults = None
    assert_whole(boto)
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}
