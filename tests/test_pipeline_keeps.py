"""What a pipeline made stays: in runs that leave its step out, and when its control room or its reprise goes."""

from __future__ import annotations

import json

import pytest
import yaml
from support import cli
from test_pipeline import PERSISTENT, ROOM, SECRET, SPEC, TARGET, Pipeline, project

THERE, ELSEWHERE = "210987654321", "333333333333"
CONTROL_ROOM = {"control_room_cluster_name": ROOM, "control_room_region": "us-west-2", "control_room_account_id": THERE}
AUTH = f"{ROOM}.mimir-auth.posit.team"
THEIRS = {"other01-production": "theirs"}
ENTERED = THEIRS | {TARGET: SECRET}
ENTRY = "ptd:aws:SecretFields::acme-mimir-auth"
EKS = f"urn:pulumi:{TARGET}::{project('eks')}::pulumi:pulumi:Stack::{project('eks')}-{TARGET}"


class Room:
    """The secret of a control room with the workloads' passwords."""

    def __init__(self, boto, account: str = THERE) -> None:
        self.client = boto("secretsmanager", region="us-west-2", account=account)

    def make(self) -> Room:
        self.client.create_secret(Name=AUTH, SecretString=json.dumps(THEIRS))
        return self

    def entries(self) -> dict:
        return json.loads(self.client.get_secret_value(SecretId=AUTH, VersionStage="AWSCURRENT")["SecretString"])


@pytest.fixture
def pipeline(workspace: cli.Workspace, tmp_path) -> Pipeline:
    return Pipeline(workspace, tmp_path)


@pytest.fixture
def room(boto) -> Room:
    return Room(boto).make()


def describe(pipeline: Pipeline, kind: str = "AWSWorkloadConfig", **spec) -> None:
    document = {"apiVersion": "posit.team/v1", "kind": kind, "spec": spec}
    pipeline.outer.file(f"{pipeline.target}/ptd.yaml", yaml.safe_dump(document))


def persistent(pipeline: Pipeline, **outputs) -> None:
    """The program of `persistent`, with these outputs alone."""
    text = yaml.safe_dump({"name": project("persistent"), "runtime": "yaml", "outputs": outputs})
    pipeline.outer.file("programs/persistent/Pulumi.yaml", text)


MIMIR = {"mimir_password": {"fn::secret": SECRET}}


# A run without `persistent`.


def test_on_azure_the_control_room_keeps_its_entry(pipeline, room):
    azure = {"subscription_id": "11111111-1111-1111-1111-111111111111", "tenant_id": "22222222-2222-2222-2222-222222222222"}
    describe(pipeline, "AzureWorkloadConfig", region="eastus2", **azure, **CONTROL_ROOM)
    pipeline.properties.pop("workloadSecret")
    for step in ("persistent", "postgres_config", "aks", "clusters", "helm", "sites"):
        outputs = {"vnet_name": "v", "private_subnet_name": "p"} | MIMIR if step == "persistent" else {"none": True}
        text = yaml.safe_dump({"name": f"ptd-azure-workload-{step.replace('_', '-')}", "runtime": "yaml", "outputs": outputs})
        pipeline.outer.file(f"programs/{step}/Pulumi.yaml", text)
    pipeline.write({}).init().up()
    assert room.entries() == ENTERED
    # An Azure workload has no outputs for a secret on AWS.
    assert "delete" not in pipeline.write({}, onlySteps=["helm"]).up().changes
    assert room.entries() == ENTERED
    assert pipeline.write({}).up().changes.keys() <= {"update"}


def test_the_password_alone_is_what_the_entry_needs(pipeline, room):
    describe(pipeline, **SPEC, **CONTROL_ROOM)
    persistent(pipeline, **{name: value for name, value in PERSISTENT.items() if name != "fs_dns_name"})
    pipeline.write({}, onlySteps=["persistent"]).init().up()
    for left_out in ({"onlySteps": ["eks"]}, {"startAtStep": "postgres_config"}, {"targetResources": [EKS]}):
        assert "delete" not in pipeline.write({}, **left_out).up().changes, left_out
        assert room.entries() == ENTERED


def test_an_output_that_is_gone_takes_nothing_along(pipeline, room):
    describe(pipeline, **SPEC, **CONTROL_ROOM)
    pipeline.write({}).init().up()
    persistent(pipeline, **{name: value for name, value in PERSISTENT.items() if name != "mimir_password"})
    # The step itself tells of it,
    failed = pipeline.write({}).up(fails=True)
    assert "there is no output 'mimir_password'" in failed.text and room.entries() == ENTERED
    # and runs without it go on with what there is.
    later = pipeline.write({}, onlySteps=["eks"]).up()
    assert ENTRY not in later.steps and room.entries() == ENTERED and "stays" in later.text
    persistent(pipeline, **PERSISTENT)
    pipeline.write({}).up()
    assert room.entries() == ENTERED


def test_an_entry_that_never_was_is_missed_by_name(pipeline, room):
    describe(pipeline, **SPEC, **CONTROL_ROOM)
    persistent(pipeline, **{name: value for name, value in PERSISTENT.items() if name != "mimir_password"})
    pipeline.write({}, onlySteps=["persistent"], mimirAuth=False).init().up()
    failed = pipeline.write({}, onlySteps=["eks"]).up(fails=True)
    for part in ("there is no output 'mimir_password'", f"organization/{project('persistent')}/{TARGET}", "mimirAuth"):
        assert part in " ".join(failed.text.split()), part
    assert room.entries() == THEIRS


def test_what_never_ran_has_nothing_to_give(pipeline, room):
    describe(pipeline, **SPEC, **CONTROL_ROOM)
    done = pipeline.write({}, onlySteps=["sites"], steps={"sites": {"consumes": {}}}).init().up()
    assert ENTRY not in done.steps and room.entries() == THEIRS


def test_a_control_room_out_of_reach_does_not_keep_the_workloads_own_secret_from_its_fields(pipeline, boto):
    describe(pipeline, **SPEC, **(CONTROL_ROOM | {"control_room_account_id": "21098765432"}))
    client = boto("secretsmanager")
    client.create_secret(Name=f"{TARGET}.posit.team", SecretString="{}")
    failed = pipeline.write({}, workloadSecret=True).init().up(fails=True)
    assert "21098765432" in failed.text
    fields = json.loads(client.get_secret_value(SecretId=f"{TARGET}.posit.team", VersionStage="AWSCURRENT")["SecretString"])
    assert fields["mimir-password"] == SECRET


# The reprise goes.


def test_without_the_reprise_the_control_room_keeps_the_entry(pipeline, room):
    describe(pipeline, **SPEC, **CONTROL_ROOM)
    outer = pipeline.write({}, persistentReprise=True).init()
    outer.up()
    pipeline.write({}).up()
    assert room.entries() == ENTERED and not outer.up().changes
    outer.destroy()
    assert room.entries() == THEIRS


# The control room moves to another account.


def test_a_control_room_that_moves_takes_the_entry_along(pipeline, room, boto):
    describe(pipeline, **SPEC, **CONTROL_ROOM)
    outer = pipeline.write({}, persistentReprise=True).init()
    outer.up()
    new = Room(boto, ELSEWHERE).make()
    describe(pipeline, **SPEC, **(CONTROL_ROOM | {"control_room_account_id": ELSEWHERE}))
    planned = outer.preview()
    assert planned.steps.keys() >= {ENTRY, "ptd:aws:SecretFields::acme-persistent_reprise-mimir-auth"}
    moved = outer.up()
    assert new.entries() == ENTERED and room.entries() == THEIRS
    replaced = {name for name, steps in moved.steps.items() if "replace" in steps}
    assert replaced == {ENTRY, "ptd:aws:SecretFields::acme-persistent_reprise-mimir-auth"}
    assert not outer.up().changes
    outer.destroy()
    assert new.entries() == THEIRS


# A run without bootstrap.

SITES = {name: {"spec": {"domain": f"{name}.example.com"}} for name in ("main", "two")}


def secrets(boto) -> set[str]:
    """The secrets that do not wait for their deletion."""
    found = boto("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
    return {secret["Name"] for secret in found if "DeletedDate" not in secret}


@pytest.mark.parametrize("consent", [True, False])
def test_without_bootstrap_what_it_made_stays(pipeline, boto, consent):
    describe(pipeline, **(SPEC | {"sites": SITES}))
    bootstrap = {"secrets": {"allowDelete": consent}, "tags": {"team": "one"}}
    pipeline.write({}, bootstrap=bootstrap, onlySteps=["bootstrap", "persistent"]).init().up()
    there = secrets(boto)
    assert f"{TARGET}-two.posit.team" in there
    describe(pipeline, **(SPEC | {"sites": {"main": SITES["main"], "three": SITES["two"]}}))
    bootstrap["tags"] = {"team": "another"}
    made = {f"{TARGET}-three.posit.team", f"{TARGET}-three.sessions.posit.team", f"{TARGET}-three-ssh-ppm-keys.posit.team"}
    for left_out in ({"onlySteps": ["persistent"]}, {"targetResources": [EKS]}):
        planned = pipeline.write({}, bootstrap=bootstrap, **left_out)
        assert "delete" not in planned.preview().summary, left_out
        done = planned.up(fails=None)
        changed = {name for name, steps in done.steps.items() if "acme-bootstrap" in name and steps != ["create"]}
        # What is missing is made; what is there is not even tagged anew.
        assert not changed and secrets(boto) == there | made, left_out
    # With it, the site that is gone goes, if that is allowed.
    done = pipeline.write({}, bootstrap=bootstrap, onlySteps=["bootstrap"]).up(fails=not consent)
    assert f"{TARGET}-two.posit.team" in done.text or consent
    assert (secrets(boto) == {name for name in there | made if f"{TARGET}-two" not in name}) is consent
