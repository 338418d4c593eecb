"""`ptd:aws:Bootstrap` from a real ptd.yaml, through the real CLI."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.cli import Workspace
from support.proxy import Faults

ROOT = Path(__file__).parent.parent
ACCOUNT = "123456789012"
TARGET = "acme01-staging"
SITES = ["main", "research", "teaching"]

SITE_FIELDS = """dev-admin-token dev-client-secret dev-db-password dev-license dev-user-token dev-chronicle-api-key
home-auth-map keycloak-db-user keycloak-db-password pkg-db-password pkg-license pkg-secret-key ppm-oidc-client-secret
pub-client-secret pub-db-password pub-license pub-secret-key pub-chronicle-api-key""".split()
GENERATED = ["dev-db-password", "keycloak-db-password", "pkg-db-password", "pub-db-password"]
WORKLOAD_TEXT = (
    '{"chronicle-bucket":"","fs-dns-name":"","fs-root-volume-id":"","main-database-id":"","main-database-url":"",'
    '"packagemanager-bucket":"","mimir-password":""}'
)


def secret_names(sites=SITES) -> list[str]:
    names = [f"{TARGET}.posit.team"]
    for site in sites:
        names += [f"{TARGET}-{site}.posit.team", f"{TARGET}-{site}.sessions.posit.team",
                  f"{TARGET}-{site}-ssh-ppm-keys.posit.team"]
    return names


def program(**properties) -> dict:
    properties = {"target": TARGET, "accountId": ACCOUNT, "region": "us-east-2", "sites": SITES} | properties
    return {
        "resources": {"boot": {"type": "ptd:aws:Bootstrap", "properties": properties}},
        "outputs": {"all": "${boot}", "backendUrl": "${boot.backendUrl}", "secretsProviderUrl": "${boot.secretsProviderUrl}",
                    "secretArns": "${boot.secretArns}", "hardening": "${boot.hardening}"},
    }


CONSENT = {"stateBucket": {"forceDestroy": True}, "encryptionKey": {"allowDelete": True}, "secrets": {"allowDelete": True}}


def value(boto, name: str) -> str:
    return boto("secretsmanager").get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"]


def values(boto, sites=SITES) -> dict[str, str]:
    return {name: value(boto, name) for name in secret_names(sites)}


def assert_bootstrapped(boto, sites=SITES) -> None:
    """What the reference makes, name by name and field by field."""
    boto("s3").head_bucket(Bucket=f"ptd-{TARGET}")
    key = boto("kms").describe_key(KeyId="alias/posit-team-dedicated")["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    tags = {t["TagKey"]: t["TagValue"] for t in boto("kms").list_resource_tags(KeyId=key["KeyId"])["Tags"]}
    assert tags["posit.team/managed-by"] == "admin"
    found = [s for page in boto("secretsmanager").get_paginator("list_secrets").paginate() for s in page["SecretList"]]
    assert sorted(s["Name"] for s in found) == sorted(secret_names(sites))
    for secret in found:
        assert {t["Key"]: t["Value"] for t in secret["Tags"]} == {"posit.team/managed-by": "admin"}
    assert value(boto, f"{TARGET}.posit.team") == WORKLOAD_TEXT
    for site in sites:
        fields = json.loads(value(boto, f"{TARGET}-{site}.posit.team"))
        assert list(fields) == SITE_FIELDS
        assert fields["keycloak-db-user"] == f"acme01_staging_{site}.posit.team_keycloak"
        for field in GENERATED:
            assert re.fullmatch(r"[a-zA-Z0-9]{30}", fields[field]), field
        for field in ("pkg-secret-key", "pub-secret-key"):
            assert re.fullmatch(r"[0-9a-f]{1024}", fields[field]), field
        blank = set(SITE_FIELDS) - set(GENERATED) - {"keycloak-db-user", "pkg-secret-key", "pub-secret-key"}
        assert {fields[f] for f in blank} == {""}
        assert value(boto, f"{TARGET}-{site}.sessions.posit.team") == "{}"
        assert value(boto, f"{TARGET}-{site}-ssh-ppm-keys.posit.team") == "{}"


@pytest.mark.parametrize("example", ["aws-bootstrap", "aws-bootstrap-yaml"])
def test_the_example_runs_from_preview_to_destroy(example, workspace: Workspace, proxy, boto):
    ws = workspace.copy(ROOT / "examples" / example)
    infra = ROOT / "examples" / "aws-bootstrap" / "infra"
    manifest = ws.folder / "Pulumi.yaml"
    manifest.write_text(manifest.read_text().replace("../aws-bootstrap/infra", str(infra)))
    preview = ws.preview()
    assert proxy.writes() == []
    assert preview.changes == {"create": 15}
    up = ws.up()
    assert up.changes == {"create": 15}
    assert_bootstrapped(boto)
    policy = boto("iam").get_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/PositTeamDedicatedAdmin")["Policy"]
    assert {t["Key"]: t["Value"] for t in policy["Tags"]} == {"posit.team/managed-by": "ptd-bootstrap"}
    version = boto("iam").get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
    document = json.dumps(version["PolicyVersion"]["Document"], separators=(",", ":"))
    assert len(document) == 5756
    outputs = ws.outputs()
    assert outputs["backendUrl"] == f"s3://ptd-{TARGET}?region=us-east-2"
    assert outputs["secretsProviderUrl"] == "awskms://alias/posit-team-dedicated?region=us-east-2"
    assert sorted(outputs["secretArns"]) == sorted(secret_names())
    assert set(outputs["hardening"].values()) == {"applied"}
    before = values(boto)
    proxy.forget_calls()
    assert ws.up().changes == {}
    assert proxy.calls == [], "an update without changes asks nothing"
    assert ws.refresh().changes == {}
    assert proxy.writes() == []
    assert values(boto) == before

    refused = ws.destroy(fails=True)
    assert "allowDelete" in refused.text
    assert values(boto) == before, "nothing is deleted without consent"
    ws.config(allowDelete="true")
    ws.up()
    ws.destroy()
    assert ws.resources() == []
    ws.up()
    assert values(boto) == before, "what waited for deletion is back with its old values"


def test_generated_values_appear_nowhere(workspace: Workspace, boto, proxy):
    ws = workspace.yaml(program())
    trace = {"PULUMI_PROVIDER_LOG": "trace", "PULUMI_PROVIDER_CALL_LOG": str(ws.folder / "calls.jsonl")}
    results = [
        ws.preview("--diff", env=trace),
        ws.up("--logtostderr", "-v=9", "--logflow", "--debug", env=trace),
        ws.refresh("--logtostderr", "-v=9", "--logflow", "--debug", env=trace),
        ws.preview("--diff", "--json", env=trace),
    ]
    texts = {str(path): path.read_bytes() for path in ws.files()}
    for i, result in enumerate(results):
        texts[f"stdout {i}"], texts[f"stderr {i}"] = result.stdout.encode(), result.stderr.encode()
    assert any(len(text) > 1000 for name, text in texts.items() if "calls.jsonl" in name)
    secrets = []
    for site in SITES:
        fields = json.loads(value(boto, f"{TARGET}-{site}.posit.team"))
        secrets += [fields[f] for f in (*GENERATED, "pkg-secret-key", "pub-secret-key")]
    assert len(secrets) == len(set(secrets)) == 18
    for name, text in texts.items():
        for secret in secrets:
            assert secret.encode() not in text, f"a generated value stands in {name}"


def reference_bootstrap(boto) -> None:
    """The reference's own calls, with values of its own."""
    s3, kms, secrets = boto("s3"), boto("kms"), boto("secretsmanager")
    s3.create_bucket(Bucket=f"ptd-{TARGET}", ObjectOwnership="BucketOwnerEnforced",
                     CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    key = kms.create_key(Description="", Tags=[{"TagKey": "posit.team/managed-by", "TagValue": "admin"}])
    kms.create_alias(AliasName="alias/posit-team-dedicated", TargetKeyId=key["KeyMetadata"]["KeyId"])
    tags = [{"Key": "posit.team/managed-by", "Value": "admin"}]
    secrets.create_secret(Name=f"{TARGET}.posit.team", SecretString=WORKLOAD_TEXT, Tags=tags)
    for site in SITES:
        fields = {f: f"old-{site}-{f}" for f in SITE_FIELDS}
        if site == "research":
            # Made by an older version, and somebody added a field of theirs.
            del fields["ppm-oidc-client-secret"], fields["pub-chronicle-api-key"]
            fields["own-field"] = "keep"
        secrets.create_secret(Name=f"{TARGET}-{site}.posit.team", Tags=tags,
                              SecretString=json.dumps(fields, separators=(",", ":")))
        for name in (f"{TARGET}-{site}.sessions.posit.team", f"{TARGET}-{site}-ssh-ppm-keys.posit.team"):
            secrets.create_secret(Name=name, SecretString='{"github":"key"}', Tags=tags)


def test_a_target_made_by_the_reference_is_adopted(workspace: Workspace, boto, proxy):
    reference_bootstrap(boto)
    before = values(boto)
    key = boto("kms").describe_key(KeyId="alias/posit-team-dedicated")["KeyMetadata"]["KeyId"]
    ws = workspace.yaml(program())
    preview = ws.preview()
    assert proxy.writes() == []
    told = [m for m in preview.messages("info") if "adopts existing" in m]
    assert len(told) == 12, preview
    up = ws.up()
    assert up.changes == {"create": 14}
    assert len([m for m in up.messages("info") if "adopts existing" in m]) == 12
    assert boto("kms").describe_key(KeyId="alias/posit-team-dedicated")["KeyMetadata"]["KeyId"] == key
    after = values(boto)
    changed = f"{TARGET}-research.posit.team"
    assert {n: v for n, v in after.items() if n != changed} == {n: v for n, v in before.items() if n != changed}
    old, new = json.loads(before[changed]), json.loads(after[changed])
    assert {f: new[f] for f in old} == old
    assert set(new) - set(old) == {"ppm-oidc-client-secret", "pub-chronicle-api-key"}
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}


def test_faults_do_not_stop_it(workspace: Workspace, boto, proxy):
    proxy.faults = Faults(throttle=0.1, error=0.1, cut=0.07, slow=0.03, seed=3)
    ws = workspace.yaml(program(sites=["main"]))
    ws.up()
    proxy.faults = None
    assert_bootstrapped(boto, ["main"])
    assert ws.up().changes == {}


def test_kill_at_every_write_converges(new_workspace, moto, boto, proxy):
    """`kill -9` of the plugin after each single write in turn; the next update completes what is there."""
    clean = new_workspace("clean").yaml(program(sites=["main"]))
    clean.up()
    total = len(proxy.writes())
    assert total >= 10
    for number in range(1, total + 1):
        moto.reset()
        proxy.reset()
        ws = new_workspace(f"kill{number}").yaml(program(sites=["main"]))
        ws.init()
        proxy.after_write(number, lambda call, ws=ws: ws.kill_plugins())
        killed = ws.up(fails=None)
        made = {}
        for name in secret_names(["main"]):
            try:
                made[name] = value(boto, name)
            except boto("secretsmanager").exceptions.ResourceNotFoundException:
                continue
        up = ws.up(fails=None)
        assert up.code == 0, f"after write {number}: {killed}\n{up}"
        assert_bootstrapped(boto, ["main"])
        after = values(boto, ["main"])
        assert {n: after[n] for n in made} == made, f"after write {number} a value was made again"
        keys = boto("kms").list_keys()["Keys"]
        enabled = [k for k in keys if boto("kms").describe_key(KeyId=k["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"]
        assert len(enabled) == 1, f"after write {number} there are {len(enabled)} keys"
        assert ws.up().changes == {}


def test_wrong_account_is_refused_before_any_write(workspace: Workspace, proxy):
    ws = workspace.yaml(program(accountId="999999999999"))
    for result in (ws.preview(fails=True), ws.up(fails=True)):
        assert "credentials belong to account 123456789012, expected is 999999999999" in result.text
    assert proxy.writes() == []


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"target": "Acme01-Staging"}, ["ptd-Acme01-Staging", "no upper-case letters"]),
        ({"target": "a" * 60}, ["63"]),
        ({"sites": ["main", "main"]}, ["sites[1]", "named twice"]),
        ({"sites": ["ma in"]}, ["sites[0]", "ma in"]),
        ({"accountId": "12345"}, ["12"]),
        ({"stes": ["main"]}, ["stes", "sites"]),
        ({"kind": "controlRoom"}, ["a control room has no sites"]),
        ({"kind": "workloads"}, ["workload"]),
        ({"encryptionKey": {"deletionWindowDays": "x"}}, ["deletionWindowDays", "integer"]),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(properties, words, workspace: Workspace, proxy):
    # The language host would find some of these by itself; the provider must not rely on it.
    ws = workspace.yaml(program(**properties))
    result = ws.up(fails=True)
    for word in words:
        assert word in result.text, result
    assert proxy.writes() == []


def test_a_control_room(workspace: Workspace, boto):
    ws = workspace.yaml(program(kind="controlRoom", sites=[], target="main01-staging"))
    ws.up()
    assert value(boto, "main01-staging.mimir-auth.posit.team") == "{}"
    control = json.loads(value(boto, "main01-staging.ctrl.posit.team"))
    assert list(control) == ["opsgenie-api-key", "mimir-password-salt"]
    assert re.fullmatch(r"\$2b\$12\$[./A-Za-z0-9]{21}[.Oeu]", control["mimir-password-salt"])
    assert ws.up().changes == {}


def test_inputs_that_are_not_known_yet(workspace: Workspace, proxy):
    ws = workspace.yaml({
        "resources": {
            "first": {"type": "ptd:aws:StateBucket", "properties": {"bucket": "ptd-first"}},
            "boot": {"type": "ptd:aws:Bootstrap",
                     "properties": {"target": TARGET, "sites": ["main"], "tags": {"first": "${first.arn}"}}},
            "other": {"type": "ptd:aws:Bootstrap", "properties": {"target": "${first.backendUrl}"}},
        },
    })
    ws.preview()
    assert proxy.writes() == []


def test_two_targets_share_the_key(new_workspace, boto):
    one = new_workspace("one").yaml(program(sites=[], target="one-staging", **CONSENT))
    two = new_workspace("two").yaml(program(sites=[], target="two-staging"))
    one.up()
    two.up()
    refused = one.destroy(fails=True)
    assert "two-staging" in refused.text
    state = boto("kms").describe_key(KeyId="alias/posit-team-dedicated")["KeyMetadata"]["KeyState"]
    assert state == "Enabled"

