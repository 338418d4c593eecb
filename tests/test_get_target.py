"""`getTarget`: trees of ptd.yaml files through the real CLI, and the finer points over gRPC."""

from __future__ import annotations

import shutil
from pathlib import Path

import grpc
import pytest
import yaml
from support import cli, provider as launched, values

TOKEN = "ptd:index:getTarget"
FIXTURES = cli.ROOT / "provider/ptd/src/target/testdata/targets"
WORK, CTRL = "__work__", "__ctrl__"


def document(spec: dict | str | None = None, kind: str = "AWSWorkloadConfig") -> str:
    """A ptd.yaml; `spec` as text keeps its spelling and begins on line 4."""
    head = f"apiVersion: posit.team/v1\nkind: {kind}\n"
    if spec is None:
        return head
    if isinstance(spec, dict):
        return head + yaml.safe_dump({"spec": spec}, sort_keys=False)
    return head + "spec:\n" + "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())


def program(directory: str | None = "infra", **targets: str) -> dict:
    """One invoke a target; each output is the whole answer."""
    place = {} if directory is None else {"targetsDir": directory}
    return {
        "variables": {
            key: {"fn::invoke": {"function": TOKEN, "arguments": {"target": name, **place}}} for key, name in targets.items()
        },
        "outputs": {key: f"${{{key}}}" for key in targets},
    }


def without_aws(workspace: cli.Workspace) -> cli.Workspace:
    """Takes credentials and region away; the endpoint stays, so that any call would be counted."""
    for key in [key for key in workspace.env if key.startswith("AWS_") and key != "AWS_ENDPOINT_URL"]:
        del workspace.env[key]
    workspace.env |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    return workspace


@pytest.fixture(scope="module")
def answers(plugin_bin, tmp_path_factory):
    """`answers(folder, target)`: (answer, error), from one provider that has neither credentials nor an engine."""
    env = {key: value for key, value in cli.base_env().items() if key != "PTD_TARGETS_CONFIG_DIR"}
    process = launched.ProviderProcess(plugin_bin, env=env | {"AWS_EC2_METADATA_DISABLED": "true"})
    process.configure({})

    def ask(folder: Path, target: str = "t-staging"):
        try:
            reply = process.invoke(TOKEN, {"target": target, "targetsDir": str(folder)})
        except grpc.RpcError as error:
            return None, error.details()
        failures = "\n".join(f"{failure.property}: {failure.reason}" for failure in reply.failures)
        return (None, failures) if failures else (values.decode(getattr(reply, "return")), "")

    yield ask
    process.stop()


@pytest.fixture
def tree(tmp_path):
    """`tree({path: text})` writes files and returns the targets directory."""

    def write(files: dict[str, str]) -> Path:
        for path, text in files.items():
            file = tmp_path / "infra" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / "infra"

    return write


# Through the CLI.


def test_the_three_kinds_without_credentials_region_or_calls(workspace, proxy):
    ws = without_aws(workspace).yaml(program(aws="acme01-production", azure="globex-staging", room="main01-production"))
    shutil.copytree(FIXTURES, ws.folder / "infra")
    preview = ws.init().preview()
    assert not preview.diagnostics("error") and not preview.diagnostics("warning"), preview
    assert ws.resources() == [], "a preview writes nothing"
    up = ws.up()
    assert not up.diagnostics("warning"), up
    found = ws.outputs(show_secrets=False)
    assert proxy.calls == []

    aws, azure, room = found["aws"], found["azure"], found["room"]
    assert (aws["kind"], aws["cloud"], aws["targetType"]) == ("AWSWorkloadConfig", "aws", "workload")
    assert (azure["kind"], azure["cloud"], azure["targetType"]) == ("AzureWorkloadConfig", "azure", "workload")
    assert (room["kind"], room["cloud"], room["targetType"]) == ("AWSControlRoomConfig", "aws", "controlRoom")

    assert (aws["trueName"], aws["environment"], aws["region"]) == ("acme01", "production", "us-west-2")
    # Written as a bare number with a leading zero, and as 15.10.
    assert (aws["accountId"], aws["aws"]["dbEngineVersion"]) == ("012345678901", "15.10")
    assert aws["resourceTags"] == {"rs:owner": "team@example.com", "rs:cost-center": "0420", "rs:critical": "true"}
    assert [cluster["release"] for cluster in aws["clusters"]] == ["20250115", "20250601"]
    assert aws["clusters"][0]["name"] == "acme01-production-20250115"
    assert aws["names"] == {
        "backendUrl": "s3://ptd-acme01-production?region=us-west-2",
        "secretsProviderUrl": "awskms://alias/posit-team-dedicated?region=us-west-2",
        "stateBucket": "ptd-acme01-production",
        "kmsAlias": "alias/posit-team-dedicated",
        "adminPolicyArn": "arn:aws:iam::012345678901:policy/PositTeamDedicatedAdmin",
        "workloadSecret": "acme01-production.posit.team",
        "stack": "acme01-production",
        "hash": "a55a9e",
        "proxyPort": 16076,
        "vpcCidr": "10.113.0.0/16",
    }
    sites = {site["name"]: site for site in aws["sites"]}
    assert aws["siteNames"] == list(sites) == ["dev", "lab", "main"]
    assert sites["main"]["names"] == {
        "secret": "acme01-production-main.posit.team",
        "sessionSecret": "acme01-production-main.sessions.posit.team",
        "sshVault": "acme01-production-main-ssh-ppm-keys.posit.team",
    }
    # The merge of YAML anchors, and the site's own file.
    assert sites["dev"]["certificateArn"] == sites["main"]["certificateArn"]
    assert sites["dev"]["url"] == "https://dev.acme.example.com"
    assert sites["main"]["overrides"]["workbench"] == {"replicas": 2, "image": "workbench:2025.05"}
    assert aws["urls"] == {"mimirPush": "https://mimir.ctrl.example.com/api/v1/push"}
    assert aws["controlRoom"] | {"domain": ""} == {
        "name": "main01-production",
        "accountId": "210987654321",
        "region": "us-east-2",
        "domain": "",
        "mimirAuthSecret": "main01-production.mimir-auth.posit.team",
        "secret": "main01-production.ctrl.posit.team",
    }
    assert [(step["name"], step["enabled"]) for step in aws["customSteps"]] == [("export", True), ("audit", True), ("off", False)]
    assert aws["steps"] == [
        "bootstrap", "persistent", "audit", "export", "postgres_config", "kubernetes", "clusters", "helm", "sites",
    ]

    assert {key: azure["names"][key] for key in (
        "backendUrl", "secretsProviderUrl", "resourceGroup", "keyVault", "keyVaultKey", "storageAccount", "blobContainer",
        "filesStorageAccount", "vnet", "workloadSecret",
    )} == {
        "backendUrl": "azblob://blob-ptd-globex-staging?storage_account=stptdglobexstaging",
        "secretsProviderUrl": "azurekeyvault://kv-ptd-globex-staging.vault.azure.net/keys/posit-team-dedicated",
        "resourceGroup": "rsg-ptd-globex-staging",
        "keyVault": "kv-ptd-globex-staging",
        "keyVaultKey": "posit-team-dedicated",
        "storageAccount": "stptdglobexstaging",
        "blobContainer": "blob-ptd-globex-staging",
        "filesStorageAccount": "stptdfilesglobexstaging",
        "vnet": "vnet-hub",
        "workloadSecret": "globex-staging-posit-team",
    }
    assert azure["accountId"] == "11111111-2222-3333-4444-555555555555" and azure["region"] == "eastus2"
    assert azure["externalSecretsEnabled"] and azure["sites"][0]["names"]["keyVaultPrefix"] == "globex-staging-main-"
    assert azure["clusters"][0]["nodeResourceGroup"] == "MC_rsg-ptd-globex-staging_globex-staging-20250301_eastus2"
    assert azure["clusters"][0]["azure"]["userNodePools"][0]["availabilityZones"] == ["2", "3"]

    assert room["names"]["controlRoomSecret"] == "main01-production.ctrl.posit.team"
    assert room["names"]["mimirAuthSecret"] == "main01-production.mimir-auth.posit.team"
    assert room["names"]["controlRoomCluster"] == "main01-production"
    assert (room["names"]["proxyPort"], room["names"]["hash"]) == (18785, "167e39")
    assert room["urls"] == {"controlRoom": "https://ctrl.example.com", "frontDoor": "https://door.example.com"}
    assert room["steps"] == ["workspaces", "persistent", "postgres_config", "cluster"]
    assert "workloadSecret" not in room["names"] and room["sites"] == []

    again = ws.up()
    assert again.changes == {}, again


def test_unknown_fields_are_warnings_the_user_sees(workspace, proxy):
    ws = without_aws(workspace).yaml(program(t="t-staging"))
    ws.file(f"infra/{WORK}/t-staging/ptd.yaml", document("db_engine_versoin: 15\naccountId: 1\nzzz: 1\nsites: {main: {domain: d}}"))
    result = ws.init().preview()
    warnings = "\n".join(result.messages("warning"))
    file = f"{WORK}/t-staging/ptd.yaml"
    for expected in (
        f"{file}:4:3: spec.db_engine_versoin: unknown field, ignored; did you mean `db_engine_version`?",
        f"{file}:5:3: spec.accountId: unknown field, ignored; it is spelt `account_id`",
        f"{file}:6:3: spec.zzz: unknown field, ignored",
        f"{file}:7:18: spec.sites.main.domain: unknown field, ignored; it belongs one level deeper, under `spec`",
    ):
        assert expected in warnings and expected in result.text, result
    ws.up()
    assert len(ws.outputs()["t"]["warnings"]) == 4
    assert proxy.calls == []


def test_all_mistakes_are_shown_at_once(workspace, proxy):
    ws = without_aws(workspace).yaml(program(t="t-staging"))
    ws.file(f"infra/{WORK}/t-staging/ptd.yaml", document("region: [a]\nsites:\n  main:\n    spec:\n      private_zone: maybe"))
    ws.file(f"infra/{WORK}/t-staging/site_main/site.yaml", "spec: {a: 1, a: 2}\n")
    ws.file(f"infra/{WORK}/t-staging/customizations/manifest.yaml", "version: 2\n")
    result = ws.init().preview(fails=True)
    place = f"infra/{WORK}/t-staging"
    for expected in (
        f"{place}/ptd.yaml:4:11: spec.region: expected text, found a list",
        f"{place}/ptd.yaml:8:23: spec.sites.main.spec.private_zone: expected true or false, found the text",
        f"{place}/site_main/site.yaml:1:14: spec: duplicate key",
        f"{place}/customizations/manifest.yaml:1:10: version: manifest validation failed: unsupported manifest version 2",
    ):
        assert expected in result.text, result
    assert "panicked" not in result.text and "RUST_BACKTRACE" not in result.text
    assert proxy.calls == []


@pytest.mark.parametrize(
    "files, target, expected",
    [
        ({f"{CTRL}/t-staging/ptd.yaml": document(kind="AzureControlRoomConfig")}, "t-staging", "ptd.yaml:2:7: kind: there is no Azure control room"),
        ({f"{WORK}/acme-staging/ptd.yaml": document()}, "acme-stagign", "no target `acme-stagign`"),
    ],
    ids=["azure-control-room", "misspelt-target"],
)
def test_refusals_reach_the_user(workspace, files, target, expected):
    ws = without_aws(workspace).yaml(program(t=target))
    for path, text in files.items():
        ws.file(f"infra/{path}", text)
    result = ws.init().preview(fails=True)
    assert expected in result.text, result


def test_the_targets_directory(workspace):
    """By argument; else by PTD_TARGETS_CONFIG_DIR; else `infra`. Relative to the program."""
    ws = without_aws(workspace)
    for folder, region in (("infra", "eu-west-1"), ("elsewhere", "eu-west-2"), ("given", "eu-west-3")):
        ws.file(f"{folder}/{WORK}/t-staging/ptd.yaml", document({"region": region}))
    both = program(None, default="t-staging")
    given = program("given", given="t-staging")
    ws.yaml({key: both[key] | given[key] for key in both}).init()

    def regions() -> dict[str, str]:
        ws.up()
        return {key: target["region"] for key, target in ws.outputs().items()}

    assert regions() == {"default": "eu-west-1", "given": "eu-west-3"}
    ws.env["PTD_TARGETS_CONFIG_DIR"] = "elsewhere"
    assert regions() == {"default": "eu-west-2", "given": "eu-west-3"}
    ws.env["PTD_TARGETS_CONFIG_DIR"] = str(ws.folder / "elsewhere")
    assert regions() == {"default": "eu-west-2", "given": "eu-west-3"}


def test_an_unknown_target_name_waits_for_its_value(workspace):
    """At preview the name comes from a resource yet to be created: nothing is read, nothing fails."""
    ws = workspace.yaml({
        "resources": {"key": {"type": "ptd:aws:EncryptionKey", "properties": {"alias": "alias/t-staging"}}},
        "variables": {"t": {"fn::invoke": {"function": TOKEN, "arguments": {"target": "${key.keyId}"}}}},
        "outputs": {"region": "${t.region}"},
    })
    ws.file(f"infra/{WORK}/t-staging/ptd.yaml", document())
    result = ws.init().preview()
    assert result.summary["create"] == 2, result


# Over gRPC.


@pytest.mark.parametrize(
    "written, expected",
    [("15.10", "15.10"), ("015", "015"), ("0x10", "0x10"), ("1_000", "1_000"), ("2025-01-15", "2025-01-15"), ('"007"', "007"), ("true", "true")],
)
def test_text_is_kept_as_written(answers, tree, written, expected):
    folder = tree({f"{WORK}/t-staging/ptd.yaml": document(f"db_engine_version: {written}")})
    target, error = answers(folder)
    assert not error and target["aws"]["dbEngineVersion"] == expected


def test_defaults_of_an_empty_specification(answers, tree):
    target, error = answers(tree({f"{WORK}/t-staging/ptd.yaml": document()}))
    assert not error and target["region"] == "us-east-2" and "accountId" not in target
    assert "adminPolicyArn" not in target["names"] and "controlRoom" not in target
    spec = target["aws"]
    assert (spec["dbEngineVersion"], spec["dbAllocatedStorage"], spec["dbInstanceClass"]) == ("15.18", 100, "db.t3.small")
    assert spec["fsxOpenzfsMultiAz"] is True and spec["vpcAzCount"] == 3
    assert target["warnings"] == [] and target["customSteps"] == [] and len(target["steps"]) == 7


@pytest.mark.parametrize(
    "name, port, hash, cidr",
    [
        ("acme01-staging", 18432, "ec1748", "10.22.0.0/16"),
        ("acme01-production", 16076, "a55a9e", "10.113.0.0/16"),
        ("workload01", 16191, "c79f1e", "10.199.0.0/16"),
    ],
)
def test_derived_numbers(answers, tree, name, port, hash, cidr):
    target, error = answers(tree({f"{WORK}/{name}/ptd.yaml": document()}), name)
    names = target["names"]
    assert not error and (names["proxyPort"], names["hash"], names["vpcCidr"]) == (port, hash, cidr)


@pytest.mark.parametrize("region, partition", [("us-east-2", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")])
def test_the_policy_is_in_the_region_s_partition(answers, tree, region, partition):
    target, _ = answers(tree({f"{WORK}/t-staging/ptd.yaml": document({"account_id": "123456789012", "region": region})}))
    assert target["names"]["adminPolicyArn"] == f"arn:{partition}:iam::123456789012:policy/PositTeamDedicatedAdmin"


@pytest.mark.parametrize(
    "files, expected",
    [
        pytest.param({f"{CTRL}/t-staging/ptd.yaml": document(kind="AzureControlRoomConfig")}, ["ptd.yaml:2:7: kind: there is no Azure control room", "`AWSControlRoomConfig`"], id="azure-control-room"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document(kind="AzureControlRoomConfig")}, ["there is no Azure control room"], id="azure-control-room-in-work"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document(kind="AWSWorkloadConfg")}, ['ptd.yaml:2:7: kind: unknown kind: "AWSWorkloadConfg"', "did you mean `AWSWorkloadConfig`?"], id="unknown-kind"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": ""}, ['unknown kind: ""'], id="empty-file"),
        pytest.param({f"{CTRL}/t-staging/ptd.yaml": document()}, ["ptd.yaml:2:7: kind: `AWSWorkloadConfig` belongs in `__work__`"], id="kind-in-wrong-directory"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document("region: a\nprofile: [b\n")}, ["t-staging/ptd.yaml:", "not valid YAML"], id="malformed"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document("region: a\nregion: b")}, ["ptd.yaml:5:3: spec: duplicate key"], id="duplicate"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document("sites:\n  - name: main")}, ["ptd.yaml:5:5: spec.sites: expected a map, found a list"], id="sites-as-list"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document('keycloak_enabled: "true"')}, ["ptd.yaml:4:21: spec.keycloak_enabled: expected true or false without quotes"], id="quoted-true"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document("db_allocated_storage: many")}, ["ptd.yaml:4:25: spec.db_allocated_storage: expected a whole number"], id="text-for-number"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document("external_id: acme")}, ["ptd.yaml:4:16: spec.external_id"], id="external-id"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document("custom_role: {external_id: x}")}, ["spec.custom_role.external_id: an external id needs a role"], id="external-id-without-role"),
        pytest.param({f"{WORK}/t-staging/ptd.yaml": document(), f"{CTRL}/t-staging/ptd.yaml": document()}, ["target `t-staging` is ambiguous", WORK, CTRL], id="in-both"),
        pytest.param({f"{WORK}/t-stagign/ptd.yaml": document()}, ["no target `t-staging`", WORK, CTRL, "did you mean `t-stagign`?"], id="in-neither"),
        pytest.param({f"{WORK}/t-staging/other": ""}, ["t-staging/ptd.yaml: the target has no such file"], id="no-file"),
        pytest.param({"README": ""}, ["this one has neither"], id="not-a-targets-directory"),
    ],
)
def test_refused(answers, tree, files, expected):
    folder = tree(files)
    target, error = answers(folder)
    assert target is None
    for text in expected:
        assert text in error, error


@pytest.mark.parametrize("name", ["", "..", "../t", "a/b", "a\\b"])
def test_names_that_lead_elsewhere(answers, tree, name):
    target, error = answers(tree({f"{WORK}/t-staging/ptd.yaml": document()}), name)
    assert target is None and "is not the name of a target" in error


def test_a_directory_that_is_not_there(answers, tmp_path):
    target, error = answers(tmp_path / "nowhere")
    assert target is None and str(tmp_path / "nowhere") in error and "does not exist" in error


@pytest.mark.parametrize(
    "step, expected",
    [
        ("- {name: x, path: ok, insertAfter: persistent}", None),
        ("- {name: x, path: ok, insertAfter: eks}", None),
        ("- {name: x, path: ok, insertBefore: hlem}", "did you mean `helm`?"),
        ("- {name: helm, path: ok}", "belongs to the standard step `helm`"),
        ("- {name: x, path: nowhere}", "step directory does not exist: nowhere"),
        ("- {name: x, path: ../..}", "path leaves the folder `customizations`"),
        ("- {name: x, path: bare}", "go.mod not found in step directory: bare"),
        ("- {name: x, path: ok}\n- {name: x, path: ok}", "duplicate custom step name: x"),
    ],
)
def test_the_manifest_of_custom_steps(answers, tree, step, expected):
    folder = f"{WORK}/t-staging/customizations"
    target, error = answers(tree({
        f"{WORK}/t-staging/ptd.yaml": document(),
        f"{folder}/ok/main.go": "", f"{folder}/ok/go.mod": "", f"{folder}/bare/main.go": "",
        f"{folder}/manifest.yaml": f"version: 1\ncustomSteps:\n{step}\n",
    }))
    if expected is None:
        assert not error and "x" in target["steps"]
    else:
        line = 2 + len(step.splitlines())
        assert target is None and expected in error and f"manifest.yaml:{line}:" in error, error


def test_a_client_secret_stays_in_the_file(answers, tree):
    target, error = answers(tree({
        f"{WORK}/t-staging/ptd.yaml": document("clusters: {a: {spec: {cluster_oidc_client_secret: hush}}}"),
    }))
    assert not error and "hush" not in repr(target)
