"""The engine's resource options and special inputs with the AWS resources: what any user of a Pulumi provider expects."""

from __future__ import annotations

import json

import pytest
from support.cli import Workspace
from support.proxy import Faults

ACCOUNT = "123456789012"
NAME = "options.posit.team"
HANGING = 3600.0

SECRET = {"name": NAME, "description": "one", "tags": {"a": "1", "team": "x"},
          "fields": [{"name": "made", "generate": "randomString"}], "allowDelete": True}
BUCKET = {"bucket": "ptd-options", "forceDestroy": True}
TYPES = {"secret": "ptd:aws:Secret", "bucket": "ptd:aws:StateBucket", "policy": "ptd:aws:AdminPolicy",
         "fields": "ptd:aws:SecretFields", "boot": "ptd:aws:Bootstrap", "key": "ptd:aws:EncryptionKey"}


def one(kind: str, properties: dict, name: str = "it", **options) -> dict:
    """A program of one resource."""
    return {"resources": {name: resource(kind, properties, **options)}}


def resource(kind: str, properties: dict, **options) -> dict:
    return {"type": TYPES[kind], "properties": properties, "options": options}


def described(boto, name: str = NAME) -> tuple[str | None, dict[str, str]]:
    """A secret's description and tags."""
    found = boto("secretsmanager").describe_secret(SecretId=name)
    assert "DeletedDate" not in found, f"{name} waits for deletion"
    return found.get("Description"), {t["Key"]: t["Value"] for t in found.get("Tags", [])}


def fields(boto, name: str = NAME) -> dict[str, str]:
    found = boto("secretsmanager").get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
    return json.loads(found["SecretString"])


def test_ignored_changes_reach_neither_plan_nor_cloud(workspace: Workspace, boto, proxy):
    ignored = ["description", "tags.team"]
    ws = workspace.yaml(one("secret", SECRET, ignoreChanges=ignored))
    ws.up()
    ws.yaml(one("secret", SECRET | {"description": "two", "tags": {"a": "2", "team": "y"}}, ignoreChanges=ignored))
    assert ws.preview().diff("::it") == {"tags.a": "update"}
    ws.up()
    assert described(boto) == ("one", {"a": "2", "team": "x"})

    boto("secretsmanager").update_secret(SecretId=NAME, Description="by hand")
    ws.refresh()
    assert ws.up().changes == {}
    assert described(boto)[0] == "by hand", "drift of what is ignored is left alone"

    # The provider's default tags show on `tags`, so that ignoring these ignores those.
    ws.config(ptd__defaultTags='{"cost":"7"}')
    assert list(ws.preview().diff("::it")) == ["tags"]
    ws.yaml(one("secret", SECRET | {"description": "three", "recoveryWindowDays": 9}, ignoreChanges=["*"]))
    proxy.forget_calls()
    assert ws.up().changes == {}
    assert proxy.calls == []


def test_replacing_a_thing_under_its_own_name_deletes_it_first(workspace: Workspace, boto):
    """Creating means adopting, so that the other order would adopt the old thing and then delete it."""
    kept = {"secret": resource("secret", SECRET, replaceOnChanges=["description"]),
            "policy": resource("policy", {"name": "Replaced", "description": "one", "allowDelete": True})}
    ws = workspace.yaml({"resources": kept})
    ws.up()
    before = fields(boto)
    changed = {"secret": resource("secret", SECRET | {"description": "two"}, replaceOnChanges=["description"]),
               "policy": resource("policy", {"name": "Replaced", "description": "two", "allowDelete": True})}
    ws.yaml({"resources": changed})
    assert ws.preview().changes == {"replace": 2}
    steps = ws.up().steps
    for name in ("ptd:aws:Secret::secret", "ptd:aws:AdminPolicy::policy"):
        assert steps[name].index("delete-replaced") < steps[name].index("create-replacement"), steps
    assert described(boto)[0] == "two"
    assert fields(boto) == before, "the deleted secret was restored with its values"
    policy = boto("iam").get_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/Replaced")["Policy"]
    assert policy["Description"] == "two"
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}

    # Without consent in the state the replacement stops before it has done anything.
    ws.yaml(one("secret", {"name": "safe", "description": "one"}, replaceOnChanges=["description"]))
    ws.up()
    ws.yaml(one("secret", {"name": "safe", "description": "two"}, replaceOnChanges=["description"]))
    assert "allowDelete" in ws.up(fails=True).text
    assert described(boto, "safe")[0] == "one"
    assert ws.resource("::it")["outputs"]["description"] == "one"


def test_replacing_by_another_name_creates_first(workspace: Workspace, boto):
    ws = workspace.yaml(one("bucket", BUCKET))
    ws.up()
    ws.yaml(one("bucket", BUCKET | {"bucket": "ptd-other"}))
    assert ws.preview().diff("::it") == {"bucket": "update-replace"}
    steps = ws.up().steps["ptd:aws:StateBucket::it"]
    assert steps.index("create-replacement") < steps.index("delete-replaced"), steps
    assert [b["Name"] for b in boto("s3").list_buckets()["Buckets"]] == ["ptd-other"]


def test_naming_the_place_a_thing_is_in_replaces_nothing(workspace: Workspace, proxy):
    both = {"bucket": BUCKET, "secret": SECRET, "key": {"alias": "alias/placed"}, "policy": {"name": "Placed"}}
    place = {"accountId": ACCOUNT, "region": "us-east-2"}
    ws = workspace.yaml({"resources": {kind: resource(kind, both[kind]) for kind in both}})
    ws.up()
    placed = {kind: both[kind] | {k: v for k, v in place.items() if (kind, k) != ("policy", "region")} for kind in both}
    ws.yaml({"resources": {kind: resource(kind, placed[kind]) for kind in both}})
    proxy.forget_calls()
    assert ws.up().changes == {"update": 4}
    assert proxy.writes() == []
    # Another place is another thing, and a bucket of that name can be in one place only.
    elsewhere = {kind: one(kind, both[kind] | place | {"region": "eu-west-1"}, name=kind) for kind in ("bucket", "secret")}
    assert ws.yaml(elsewhere["secret"]).preview().diff("::secret") == {"region": "update-replace"}
    refused = ws.yaml(elsewhere["bucket"]).preview(fails=True)
    assert [m for m in refused.messages("error") if "::bucket" in m and "set the region to us-east-2" in m], refused


def test_aliases_rename_without_touching_anything(workspace: Workspace, boto, proxy):
    boot = {"target": "alias01", "accountId": ACCOUNT, "sites": ["main"]}
    ws = workspace.yaml({"resources": {"old": resource("secret", SECRET), "boot": resource("boot", boot)}})
    ws.up()
    ws.yaml({"resources": {
        "new": resource("secret", SECRET, aliases=[{"name": "old"}]),
        "start": resource("boot", boot, aliases=[{"name": "boot"}]),
    }})
    proxy.forget_calls()
    assert ws.preview().changes == {}
    assert ws.up().changes == {}
    assert proxy.calls == []
    names = {r["urn"].rsplit("::", 1)[1] for r in ws.resources()}
    assert {"new", "start", "start-state-bucket", "start-main-secret"} <= names
    assert not any(name.startswith(("old", "boot")) for name in names)


def test_protect_and_retain_keep_things_and_bootstrap_hands_them_down(workspace: Workspace, boto, proxy):
    boot = {"target": "keep01", "accountId": ACCOUNT, "sites": []}
    program = {"resources": {"secret": resource("secret", SECRET, protect=True),
                             "boot": resource("boot", boot, protect=True, retainOnDelete=True)}}
    ws = workspace.yaml(program)
    ws.up()
    children = [r for r in ws.resources() if "boot-" in r["urn"].rsplit("::", 1)[1]]
    assert len(children) == 3
    assert all(r.get("protect") and r.get("retainOnDelete") for r in children)
    proxy.forget_calls()
    assert "protected" in ws.destroy(fails=True).text
    ws.yaml({"resources": {}})
    assert "protect" in ws.up(fails=True).text
    assert proxy.writes() == []
    ws.run("state", "unprotect", "--all", "--yes")
    ws.up()
    assert ws.resources() == []
    assert [c.split()[0] for c in proxy.writes()] == ["secretsmanager:DeleteSecret"], "what is retained is not asked about"
    boto("s3").head_bucket(Bucket="ptd-keep01")
    assert described(boto, "keep01.posit.team")[1] == {"posit.team/managed-by": "admin"}


def test_deleted_with_spares_the_delete(workspace: Workspace, boto, proxy):
    parts = {"secret": resource("secret", SECRET),
             "fields": resource("fields", {"secret": NAME, "fields": {"own": "v"}}, deletedWith="${secret}",
                                dependsOn=["${secret}"])}
    ws = workspace.yaml({"resources": parts})
    ws.up()
    assert fields(boto)["own"] == "v"
    proxy.forget_calls()
    ws.destroy()
    assert [c.split()[0] for c in proxy.writes()] == ["secretsmanager:DeleteSecret"]
    boto("secretsmanager").restore_secret(SecretId=NAME)
    assert fields(boto)["own"] == "v", "the fields went with the secret, not by a write of their own"


def test_custom_timeouts_end_what_hangs_and_nothing_is_forgotten(workspace: Workspace, boto, proxy):
    limits = {"create": "1s", "update": "1s", "delete": "1s"}
    hang = lambda operation: Faults(  # noqa: E731
        slow=1.0, slow_seconds=HANGING, only=lambda call: call.operation == operation)
    ws = workspace.yaml(one("bucket", BUCKET, customTimeouts=limits))
    proxy.faults = hang("PutBucketVersioning")
    failed = ws.up(fails=True)
    assert "creating it: not finished after 1s" in failed.text
    assert "customTimeouts" in failed.text
    assert failed.seconds < 60
    assert ws.resource("::it")["id"] == "ptd-options", "the bucket that was made stands in the state"

    proxy.faults = None
    proxy.forget_calls()
    assert ws.up().changes == {"update": 1}
    assert proxy.count("CreateBucket") == 0
    assert boto("s3").get_bucket_versioning(Bucket="ptd-options")["Status"] == "Enabled"
    assert ws.refresh().changes == {}

    proxy.faults = hang("PutBucketTagging")
    ws.yaml(one("bucket", BUCKET | {"tags": {"a": "1"}}, customTimeouts=limits))
    assert "updating it: not finished after 1s" in ws.up(fails=True).text
    proxy.faults = hang("DeleteBucket")
    assert "deleting it: not finished after 1s" in ws.destroy(fails=True).text
    proxy.faults = None
    ws.destroy()
    assert ws.resources() == []
    assert boto("s3").list_buckets()["Buckets"] == []

    # From the very first call on, when nothing exists yet: nothing goes into the state.
    proxy.latency = HANGING
    assert "not finished after 1s" in ws.up(fails=True).text
    assert ws.resources() == []


def test_secrets_stay_secret_in_inputs_and_chosen_outputs(workspace: Workspace, boto):
    secret = lambda text: {"fn::secret": text}  # noqa: E731
    hidden = ["classified-description", "classified-tag", "classified-field"]
    program = {
        "resources": {
            "it": resource("secret", SECRET | {"description": secret(hidden[0]), "tags": {"a": secret(hidden[1])}},
                           additionalSecretOutputs=["arn"]),
            "fields": resource("fields", {"secret": "${it.name}", "fields": {"own": secret(hidden[2])}},
                               dependsOn=["${it}"]),
        },
        "outputs": {"arn": "${it.arn}", "all": "${it}"},
    }
    ws = workspace.yaml(program)
    seen = [ws.preview("--diff"), ws.up("--debug"), ws.up(), ws.refresh()]
    assert described(boto) == (hidden[0], {"a": hidden[1]})
    assert fields(boto)["own"] == hidden[2]
    for update in seen[2:]:
        assert update.changes == {}
    arn = boto("secretsmanager").describe_secret(SecretId=NAME)["ARN"]
    assert ws.outputs()["arn"] == arn
    assert ws.outputs(show_secrets=False)["arn"] == "[secret]"
    assert arn not in json.dumps(ws.resource("::it")["outputs"])
    program["resources"]["it"]["properties"]["description"] = secret("classified-changed")
    seen.append(ws.yaml(program).up("--diff"))
    assert described(boto)[0] == "classified-changed"
    texts = {str(path): path.read_text(errors="replace") for path in ws.files() if path.name != "Pulumi.yaml"}
    texts |= {f"output {i}": result.text for i, result in enumerate(seen)}
    leaks = [(name, text) for name, content in texts.items() for text in [*hidden, "classified-changed"] if text in content]
    assert leaks == []


def test_import_in_a_program_adopts_as_an_update(workspace: Workspace, boto, proxy):
    boto("secretsmanager").create_secret(Name=NAME, Description="theirs", SecretString='{"a":"1"}')
    given = {"name": NAME, "description": "ours", "fields": [{"name": "a"}]}
    missing = workspace.yaml(one("secret", given | {"name": "absent"}, **{"import": "absent"})).up(fails=True)
    assert "'absent' does not exist" in missing.text
    assert workspace.resources() == []
    ws = workspace.yaml(one("secret", given, **{"import": NAME}))
    preview = ws.preview()
    assert preview.steps == {"ptd:aws:Secret::it": ["import", "update"]}
    assert preview.diff("::it") == {"description": "update"}
    assert proxy.writes() == []
    ws.up()
    assert [c.split()[0] for c in proxy.writes()] == ["secretsmanager:UpdateSecret"]
    assert described(boto)[0] == "ours"
    assert fields(boto) == {"a": "1"}
    assert ws.yaml(one("secret", given)).up().changes == {}


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_an_explicit_provider(known, workspace: Workspace, boto, proxy):
    """Also with a configuration that nobody knows before the update."""
    cost = "7" if known else "${first.arn}"
    program = {"resources": {
        "first": resource("secret", SECRET),
        "west": {"type": "pulumi:providers:ptd",
                 "properties": {"region": "eu-west-1", "defaultTags": {"cost": cost}, "allowedAccountIds": [ACCOUNT]}},
        "it": resource("bucket", BUCKET, provider="${west}"),
        "boot": resource("boot", {"target": "west01", "sites": ["main"]}, provider="${west}"),
    }}
    ws = workspace.yaml(program)
    preview = ws.preview()
    assert preview.changes["create"] >= 4
    assert proxy.writes() == []
    up = ws.up()
    assert up.changes == {"create": 11}
    arn = boto("secretsmanager").describe_secret(SecretId=NAME)["ARN"]
    s3 = boto("s3")
    for bucket in ("ptd-options", "ptd-west01"):
        assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-west-1"
        tags = {t["Key"]: t["Value"] for t in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
        assert tags["cost"] == ("7" if known else arn)
    boto("secretsmanager", region="eu-west-1").describe_secret(SecretId="west01-main.posit.team")
    assert ws.up().changes == {}
    assert ws.refresh().changes == {}
    assert proxy.select(service="s3", where=lambda call: call.region != "eu-west-1") == []
