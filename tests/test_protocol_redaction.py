"""No secret gets out of the process: not on stderr at its most talkative, not into the call log, not to the engine."""

import base64
import json

import pytest
from support import aws_replies as replies
from support.protocol import BOOTSTRAP, FIELDS, NAMED, SECRET, refused, urn
from support.values import Secret, decode

#: Each with something that a formatter may write in another way.
SECRETS = {
    "plain": "s3cr3t-plain-0123456789",
    "quoted": 's3cr3t-"quoted"\\and\'escaped\'',
    "lines": "s3cr3t-first-line\ns3cr3t-second-line\ts3cr3t-tab",
    "letters": "s3cr3t-früher-ключ-\U0001f511",
    "url": "postgres://user:s3cr3t%2Fpass@host/db?a=b&c=<d>",  # pragma: allowlist secret
    "json": '{"inner": "s3cr3t-inside-json", "n": 1}',
}
PARTS = ["s3cr3t", "ключ"]


def forms(text: str) -> set[str]:
    """The ways in which a text may be written."""
    encoded = base64.b64encode(text.encode()).decode()
    quoted = json.dumps(text)[1:-1]
    return {text, quoted, json.dumps(quoted)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], encoded, repr(text)[1:-1],
            str(list(text.encode()))[1:-1]}  # fmt: skip


def assert_nowhere(places: dict[str, str], texts: list[str]) -> None:
    for place, content in places.items():
        for text in texts:
            for form in forms(text):
                at = content.find(form)
                assert at < 0, f"{form!r} in {place}: {content[max(0, at - 300) : at + 80]}"


@pytest.fixture(params=["-v=9", "PULUMI_PROVIDER_LOG=trace"])
def talkative(request, launch, tmp_path):
    """A provider that logs all it can."""
    log = tmp_path / "calls.jsonl"
    env = {"PULUMI_PROVIDER_CALL_LOG": str(log)}
    if request.param.startswith("PULUMI"):
        env["PULUMI_PROVIDER_LOG"] = "trace"
    provider = launch("--logtostderr", "-v=9", env=env).ready()
    provider.call_log = log
    return provider


def places(provider, callbacks) -> dict[str, str]:
    # Until it has ended, a line may be under way.
    provider.stop()
    # Otherwise there would be nothing to find.
    assert "TRACE" in provider.stderr
    return {
        "stderr": provider.stderr,
        "stdout": provider.stdout,
        "the call log": provider.call_log.read_text(),
        "the engine's log": "\n".join(callbacks.engine.messages()),
    }


def generated(boto, name: str) -> list[str]:
    text = boto("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    return [value for value in json.loads(text).values() if value]


def test_secrets_of_a_whole_life(talkative, callbacks, boto, proxy):
    provider = talkative
    fields = [{"name": name} for name in SECRETS]
    fields += [{"name": "key", "generate": "rskey"}, {"name": "password", "generate": "randomString"}]
    news = {"name": "acme", "fields": fields, "values": Secret(SECRETS), "allowDelete": True}
    inputs = decode(provider.check(urn(SECRET), news).inputs)
    provider.create(urn(SECRET), inputs, preview=True)
    reply = provider.create(urn(SECRET), inputs)
    outputs = decode(reply.properties)
    values = generated(boto, "acme")
    assert len(values) == len(SECRETS) + 2 and set(SECRETS.values()) < set(values)
    provider.read(urn(SECRET), "acme", outputs, inputs)
    provider.read(urn(SECRET), "acme")
    # A field more makes it write what it read.
    changed = decode(provider.check(urn(SECRET), news | {"fields": [*fields, {"name": "later"}]}, inputs).inputs)
    provider.diff(urn(SECRET), "acme", outputs, inputs, changed)
    provider.update(urn(SECRET), "acme", outputs, inputs, changed)
    shared = {"secret": "acme", "fields": Secret({"owned": "s3cr3t-owned-by-others"})}
    shared = decode(provider.check(urn(FIELDS), shared).inputs)
    made = provider.create(urn(FIELDS), shared)
    provider.read(urn(FIELDS), "acme", decode(made.properties), shared)
    provider.read(urn(FIELDS), "acme#plain,owned")
    # Refusals, the service's and its own.
    proxy.rule(replies.access_denied, operation="PutSecretValue", times=1)
    later = shared | {"fields": Secret({"owned": "s3cr3t-owned-anew"})}
    texts = []
    with refused() as error:
        provider.update(urn(FIELDS), "acme", decode(made.properties), shared, later)
    texts.append(error.value.details())
    bad = provider.check(urn(FIELDS), {"secret": "acme", "fields": Secret({"owned": ["s3cr3t-in-a-list"]})})
    texts += [failure.reason for failure in bad.failures]
    provider.delete(urn(FIELDS), "acme", decode(made.properties), shared)
    provider.delete(urn(SECRET), "acme", outputs, changed)
    assert_nowhere(places(provider, callbacks) | {"the errors": "\n".join(texts)}, [*values, *PARTS])


def test_secrets_of_others_that_are_only_read(talkative, callbacks, boto):
    boto("secretsmanager").create_secret(Name="acme", SecretString=json.dumps(SECRETS))
    provider = talkative
    inputs = decode(provider.check(urn(SECRET), {"name": "acme", "fields": [{"name": "more"}]}).inputs)
    provider.create(urn(SECRET), inputs, preview=True)
    outputs = decode(provider.create(urn(SECRET), inputs).properties)
    provider.read(urn(SECRET), "acme", outputs, inputs)
    assert_nowhere(places(provider, callbacks), [*SECRETS.values(), *PARTS])


def test_secrets_that_nobody_marked(talkative, callbacks):
    """YAML programs do not mark what the schema calls secret: Check does, and nothing is logged before."""
    provider = talkative
    news = {"secret": "acme", "fields": SECRETS, "createSecret": True}
    inputs = decode(provider.check(urn(FIELDS), news).inputs)
    assert inputs["fields"] == Secret(SECRETS)
    provider.check(urn(FIELDS), {"secret": "acme", "fields": SECRETS | {"bad": 3}})
    provider.diff(urn(FIELDS), "acme", news, news, inputs)
    outputs = decode(provider.create(urn(FIELDS), news).properties)
    # Written by a version that did not mark it.
    provider.read(urn(FIELDS), "acme", outputs, news)
    assert_nowhere(places(provider, callbacks), [*SECRETS.values(), *PARTS])


def test_keys_of_the_account(talkative, callbacks, aws_env):
    provider = talkative
    inputs = decode(provider.check(urn(SECRET), {"name": "acme"}).inputs)
    provider.create(urn(SECRET), inputs)
    assert_nowhere(places(provider, callbacks), [aws_env["AWS_SECRET_ACCESS_KEY"]])


def test_a_component_with_secrets(launch_lab, callbacks, tmp_path):
    log = tmp_path / "calls.jsonl"
    lab = launch_lab("-v=9", env={"PULUMI_PROVIDER_CALL_LOG": str(log), "PULUMI_PROVIDER_LOG": "trace"})
    lab.call_log = log
    lab.ready({"token": Secret("s3cr3t-token"), "door": "front"})
    for password in (Secret(SECRETS["quoted"]), SECRETS["lines"]):
        lab.construct(callbacks, "lab:index:Group", "g", {"count": 2, "password": password})
        lab.invoke("lab:index:echo", {"password": password, "number": 1})
        inputs = decode(lab.check(urn(NAMED), {"name": "n", "password": password}).inputs)
        lab.create(urn(NAMED), inputs)
    assert_nowhere(places(lab, callbacks), [*SECRETS.values(), *PARTS])


def test_the_call_log_says_what_happened(launch, tmp_path, callbacks):
    log = tmp_path / "calls.jsonl"
    provider = launch(env={"PULUMI_PROVIDER_CALL_LOG": str(log)}).ready()
    provider.check(urn(SECRET), {"name": "acme", "values": Secret({"a": "b"})})
    with refused():
        provider.construct(callbacks, BOOTSTRAP, "boot", {"target": 3})
    provider.stop()
    calls = {call["method"]: call for call in map(json.loads, log.read_text().splitlines())}
    assert calls["Check"]["request"]["news"] == {"name": "acme", "values": "[secret]"}
    assert calls["Check"]["response"]["inputs"]["adopt"] is True and calls["Check"]["milliseconds"] >= 0
    assert calls["Construct"]["code"] == "InvalidArgument" and "target" in calls["Construct"]["error"]
    assert set(calls) >= {"Handshake", "Configure", "Cancel"}
