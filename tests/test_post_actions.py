"""What follows from the outputs of a workload's persistent stack: fields of its secret, its entry in the control room's, the reprise."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from support.cli import Workspace
from support.moto import ACCOUNT

TARGET, ROOM = "acme01-staging", "main01-production"
SECRET, AUTH = f"{TARGET}.posit.team", f"{ROOM}.mimir-auth.posit.team"
ROOM_ACCOUNT, ROOM_REGION = "222233334444", "eu-west-1"
PASSWORD = "mimir-password-of-acme-0123456789-_/"
FIELDS = ["chronicle-bucket", "fs-dns-name", "fs-root-volume-id", "main-database-id", "main-database-url",
          "packagemanager-bucket", "mimir-password"]  # fmt: skip
BLANK = dict.fromkeys(FIELDS, "")
THEIRS = {"added-by-hand": "theirs"}
PLAIN = {
    "chronicle_bucket": "ptd-acme01-staging-chronicle-1a2b",
    "fs_dns_name": "fs-1.fsx.us-east-2.amazonaws.com",
    "fs_root_volume_id": "fsvol-1",
    "db": "acme01-staging-main",
    "db_url": "postgres://db.example.com/postgres?sslmode=require",
    "packagemanager_bucket": "ptd-acme01-staging-ppm-1a2b",
    "vpc": "vpc-1",
}
FILLED = {
    "chronicle-bucket": PLAIN["chronicle_bucket"],
    "fs-dns-name": PLAIN["fs_dns_name"],
    "fs-root-volume-id": PLAIN["fs_root_volume_id"],
    "main-database-id": PLAIN["db"],
    "main-database-url": PLAIN["db_url"],
    "packagemanager-bucket": PLAIN["packagemanager_bucket"],
    "mimir-password": PASSWORD,
}
PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": {"fn::secret": "inner passphrase"}}
CONTROL_ROOM = {"name": ROOM, "accountId": ROOM_ACCOUNT, "region": ROOM_REGION}


def room_provider() -> dict:
    role = f"arn:aws:iam::{ROOM_ACCOUNT}:role/admin.posit.team"
    return {"type": "pulumi:providers:ptd", "properties": {"region": ROOM_REGION, "assumeRole": {"roleArn": role}}}


class World:
    """A workload's outer program with its persistent stack, and the secrets that it is to fill."""

    def __init__(self, workspace: Workspace, boto, target: str = TARGET, password: str = PASSWORD) -> None:
        self.ws, self.boto, self.target = workspace, boto, target
        self.outputs: dict[str, object] = dict(PLAIN)
        self.resources: dict[str, dict] = {}
        workspace.env["PULUMI_CONFIG_PASSPHRASE"] = "outer passphrase"
        self.inner_backend = workspace.folder / "inner-backend"
        self.inner_backend.mkdir()
        # A program with a password in it would not tell whether the password got anywhere else.
        workspace.yaml({"config": {"password": {"type": "string", "secret": True}}}).secret_config(password=password)

    def write(self, resources: dict[str, dict], **outputs) -> Workspace:
        """Stack `persistent` with the current outputs, and these resources."""
        inner = {
            "name": "ptd-aws-workload-persistent",
            "runtime": "yaml",
            "config": {"password": {"type": "string", "secret": True}},
            "outputs": {name: value for name, value in self.outputs.items() if value is not None}
            | ({} if "mimir_password" in self.outputs else {"mimir_password": "${password}"}),
        }
        self.ws.file("persistent/Pulumi.yaml", yaml.safe_dump(inner, sort_keys=False))
        stack = {
            "type": "ptd:index:Stack",
            "properties": {
                "directory": "persistent",
                "stack": f"organization/ptd-aws-workload-persistent/{self.target}",
                "backendUrl": f"file://{self.inner_backend}",
                "environment": PASSPHRASE,
                "config": {"password": "${password}"},
                "onDelete": "destroyAndRemove",
            },
        }
        config = {"password": {"type": "string", "secret": True}}
        return self.ws.yaml({"config": config, "resources": {"persistent": stack} | resources, "outputs": outputs})

    def actions(self) -> Workspace:
        """The two components, the second with a provider for the control room's account."""
        # The YAML language loses a secret inside a map that is handed on as a whole.
        names = [*(set(PLAIN) - {"vpc"}), "mimir_password"]
        outputs = {"target": self.target, "outputs": {name: f"${{persistent.outputs.{name}}}" for name in names}}
        return self.write({
            "room": room_provider(),
            "secret": {"type": "ptd:aws:WorkloadSecretFields", "properties": outputs},
            "mimir": {
                "type": "ptd:aws:MimirAuthEntry",
                "properties": outputs | {"controlRoom": ROOM, "accountId": ROOM_ACCOUNT},
                "options": {"provider": "${room}"},
            },
        })  # fmt: skip

    def reprise(self, run: str = "1", resources: dict | None = None, **properties) -> Workspace:
        properties = {"target": self.target, "spec": "${persistent.spec}", "triggers": {"run": run},
                      "controlRoom": CONTROL_ROOM} | properties  # fmt: skip
        reprise = {"type": "ptd:index:PersistentReprise", "properties": properties}
        return self.write({"reprise": reprise} | (resources or {}), database="${reprise.outputs.db}")

    def runs(self) -> int:
        """How often the inner stack was run."""
        return len(list((self.inner_backend / ".pulumi/history").rglob("*.history.json")))

    def read(self, name: str, account: str = ACCOUNT, region: str = "us-east-2") -> dict:
        client = self.boto("secretsmanager", region=region, account=account)
        return json.loads(client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"])

    def workload(self) -> dict:
        return self.read(f"{self.target}.posit.team")

    def room(self) -> dict:
        return self.read(AUTH, ROOM_ACCOUNT, ROOM_REGION)

    def versions(self) -> list:
        """The current versions of both secrets: they change with every write."""
        found = []
        for name, account, region in ((SECRET, ACCOUNT, "us-east-2"), (AUTH, ROOM_ACCOUNT, ROOM_REGION)):
            client = self.boto("secretsmanager", region=region, account=account)
            found.append(client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["VersionId"])
        return found


@pytest.fixture
def secrets(boto) -> None:
    """What bootstrap makes, with what others have put there."""
    boto("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(BLANK | THEIRS))
    client = boto("secretsmanager", region=ROOM_REGION, account=ROOM_ACCOUNT)
    client.create_secret(Name=AUTH, SecretString=json.dumps({"other01-production": "theirs"}))


@pytest.fixture
def world(workspace: Workspace, boto, secrets) -> World:
    return World(workspace, boto)


def resources(result) -> set[str]:
    """What was done, without the components, whose inputs change with anything."""
    components = ("PersistentReprise", "WorkloadSecretFields", "MimirAuthEntry")
    return {step for step in result.steps if step.split("::")[0].split(":")[-1] not in components}


def assert_hidden(world: World, *results) -> None:
    """The password stands nowhere but in the secrets."""
    shown = "".join(result.text + json.dumps(result.events) for result in results)
    assert PASSWORD not in shown
    for file in world.ws.files():
        assert PASSWORD not in file.read_text(errors="replace"), file


def test_one_run_fills_both_secrets(world: World, proxy):
    ws = world.actions()
    planned = ws.preview()
    assert planned.steps["ptd:aws:SecretFields::secret-fields"] == planned.steps["ptd:aws:SecretFields::mimir-entry"] == ["create"]
    assert proxy.writes() == [] and world.runs() == 0
    first = ws.up()
    assert world.workload() == FILLED | THEIRS
    assert world.room() == {"other01-production": "theirs", TARGET: PASSWORD}
    assert AUTH not in [s["Name"] for s in world.boto("secretsmanager", region=ROOM_REGION).list_secrets()["SecretList"]]
    assert ws.resource("ptd:aws:MimirAuthEntry::mimir")["outputs"]["secretArn"].split(":")[3:5] == [ROOM_REGION, ROOM_ACCOUNT]

    versions = world.versions()
    proxy.forget_calls()
    again = ws.up()
    assert again.changes == {} and world.versions() == versions and proxy.writes() == []
    assert ws.refresh().changes == {}
    assert_hidden(world, planned, first, again)

    # One output changes: one field does.
    world.outputs["db"] = "acme01-staging-restored"
    ws = world.actions()
    # The YAML language knows all entries of a map or none.
    assert ws.preview().diff("::secret-fields")['fields["main-database-id"]'] == "update"
    done = ws.up()
    assert done.diff("::secret-fields") == {'fields["main-database-id"]': "update"}
    assert {"ptd:aws:SecretFields::secret-fields", "ptd:index:Stack::persistent"} == resources(done)
    assert world.workload() == FILLED | THEIRS | {"main-database-id": "acme01-staging-restored"}
    assert world.versions()[1] == versions[1]

    # The secrets are nobody's alone, so that they outlive this.
    ws.destroy()
    assert world.workload() == FILLED | THEIRS | {"main-database-id": "acme01-staging-restored"}
    assert world.room() == {"other01-production": "theirs"}


PYTHON = """
import pulumi, pulumi_ptd as ptd
persistent = ptd.Stack("persistent", directory="persistent", backend_url="file://@BACKEND@", on_delete="destroyAndRemove",
                       stack="organization/ptd-aws-workload-persistent/@TARGET@",
                       environment={"PULUMI_CONFIG_PASSPHRASE": pulumi.Output.secret("inner passphrase")},
                       config={"password": pulumi.Config().require_secret("password")})
room = ptd.Provider("room", region="@REGION@", 
                    assume_role=ptd.AssumeRoleArgs(role_arn="arn:aws:iam::@ACCOUNT@:role/admin.posit.team"))
ptd.aws.WorkloadSecretFields("secret", target="@TARGET@", outputs=persistent.outputs, remove_on_delete=True)
ptd.aws.MimirAuthEntry("mimir", target="@TARGET@", outputs=persistent.outputs, control_room="@ROOM@", account_id="@ACCOUNT@",
                       opts=pulumi.ResourceOptions(provider=room))
"""


def python_program(world: World) -> Workspace:
    """The same in Python, which hands all outputs on as they are."""
    world.write({})
    text = PYTHON
    for mark, value in {"BACKEND": world.inner_backend, "TARGET": TARGET, "ROOM": ROOM, "REGION": ROOM_REGION,
                        "ACCOUNT": ROOM_ACCOUNT}.items():  # fmt: skip
        text = text.replace(f"@{mark}@", str(value))
    return world.ws.python(text)


def test_a_missing_or_wrong_output_is_named_with_its_stack(world: World, proxy):
    before = world.versions()
    world.outputs |= {"fs_dns_name": None, "db": 5, "mimir_password": ["a"]}
    ws = python_program(world)
    failed = ws.up(fails=True)
    said = " ".join(failed.text.split())
    assert f"secret {SECRET} cannot be filled from the outputs of stack 'persistent'" in said
    assert "there is no output 'fs_dns_name'" in said
    assert "'db' must be a string, not number" in said and "'mimir_password' must be a string, not list" in said
    assert world.versions() == before and world.runs() == 1
    # Once the program exports them, the next run goes on from there.
    world.outputs = dict(PLAIN)
    python_program(world).up()
    assert world.workload() == FILLED | THEIRS and world.room()[TARGET] == PASSWORD
    assert ws.up().changes == {}
    # What is missing already is missed by a preview.
    world.outputs["db_url"] = None
    assert "there is no output 'db_url'" in python_program(world).preview(fails=None).text
    world.outputs = dict(PLAIN)
    python_program(world)
    assert_hidden(world, failed)
    ws.destroy()
    assert world.workload() == THEIRS and TARGET not in world.room()


def test_in_preview_what_is_unknown_stays_unknown(world: World):
    ws = python_program(world)
    planned = ws.preview()
    fields = planned.metadata("::secret-fields")["new"]["inputs"]["fields"]
    assert sorted(planned.steps) == [
        "ptd:aws:MimirAuthEntry::mimir", "ptd:aws:SecretFields::mimir-entry", "ptd:aws:SecretFields::secret-fields",
        "ptd:aws:WorkloadSecretFields::secret", "ptd:index:Stack::persistent",
    ]  # fmt: skip
    assert PASSWORD not in json.dumps(fields) and world.workload() == BLANK | THEIRS


def test_two_workloads_enter_one_control_room_at_once(world: World, new_workspace, boto):
    boto("secretsmanager").create_secret(Name="beta02-production.posit.team", SecretString=json.dumps(BLANK))
    other = World(new_workspace("other"), boto, "beta02-production", "another-password-0123456789")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: one.actions().up(), (world, other)))
    assert world.room() == {
        "other01-production": "theirs", TARGET: PASSWORD, "beta02-production": "another-password-0123456789",
    }  # fmt: skip
    assert other.workload()["mimir-password"] == "another-password-0123456789"
    other.ws.destroy()
    assert world.room() == {"other01-production": "theirs", TARGET: PASSWORD}


def test_without_a_control_room_nothing_is_done(world: World):
    outputs = {"target": TARGET, "outputs": {"mimir_password": "${persistent.outputs.mimir_password}"}}
    ws = world.write({
        "none": {"type": "ptd:aws:MimirAuthEntry", "properties": outputs},
        "empty": {"type": "ptd:aws:MimirAuthEntry", "properties": outputs | {"controlRoom": ""}},
    })  # fmt: skip
    done = ws.up()
    assert "ptd:aws:SecretFields" not in json.dumps(done.steps)
    assert sum("has no control room" in message for message in done.messages("info")) == 2
    assert "secretArn" not in ws.resource("::none").get("outputs", {})


def test_the_reprise_runs_the_stack_again_and_fills_the_secrets(world: World, proxy):
    ws = world.reprise()
    planned = ws.preview()
    assert planned.summary["create"] == 7 and proxy.writes() == [] and world.runs() == 0
    first = ws.up()
    assert world.runs() == 2
    assert world.workload() == FILLED | THEIRS
    assert world.room() == {"other01-production": "theirs", TARGET: PASSWORD}
    assert ws.outputs()["database"] == PLAIN["db"]
    provider = ws.resource("pulumi:providers:ptd::reprise-control-room")
    assert provider["parent"].endswith("ptd:index:PersistentReprise::reprise")
    assert provider["inputs"]["assumeRole"] == {"roleArn": f"arn:aws:iam::{ROOM_ACCOUNT}:role/admin.posit.team"}
    assert provider["inputs"]["allowedAccountIds"] == [ROOM_ACCOUNT]
    entry = ws.resource("::reprise-mimir-auth")
    assert entry["provider"].startswith(provider["urn"]) and entry["outputs"]["accountId"] == ROOM_ACCOUNT
    assert ws.resource("::reprise-workload-secret")["outputs"]["accountId"] == ACCOUNT

    versions = world.versions()
    again = ws.up()
    assert again.changes == {} and world.runs() == 2 and world.versions() == versions
    assert ws.refresh().changes == {}

    # A trigger runs the stack, and no more than that where it changes nothing.
    ws = world.reprise("2")
    done = ws.up()
    assert resources(done) == {"ptd:index:StackUpdate::reprise-update"} and world.runs() == 3
    assert world.versions() == versions
    assert_hidden(world, planned, first, again, done)

    # What the stack says then reaches the secrets in the same run.
    world.outputs["db_url"] = "postgres://restored.example.com/postgres?sslmode=require"
    done = world.reprise("3").up()
    assert world.workload() == FILLED | THEIRS | {"main-database-url": world.outputs["db_url"]}
    assert ws.up().changes == {}

    # Left out of the program, the stack stays.
    world.write({}).up()
    assert world.runs() == 4 + ("ptd:index:Stack::persistent" in done.steps)
    assert world.room() == {"other01-production": "theirs"} and world.workload()["main-database-id"] == PLAIN["db"]
    ws.destroy()


def test_the_reprise_takes_a_provider_for_the_control_room(world: World):
    room = {"name": ROOM, "region": ROOM_REGION}
    ws = world.reprise(resources={"room": room_provider()}, controlRoom=room, controlRoomProvider="${room}")
    assert ws.preview().summary["create"] == 7
    ws.up()
    assert world.room()[TARGET] == PASSWORD
    kinds = [r["urn"] for r in ws.export()["resources"] if r["type"] == "pulumi:providers:ptd"]
    assert not any("control-room" in urn for urn in kinds)
    assert ws.resource("::reprise-mimir-auth")["provider"].startswith(ws.resource("pulumi:providers:ptd::room")["urn"])
    assert ws.up().changes == {}
    ws.destroy()
    assert TARGET not in world.room()


def test_a_skipped_reprise_leaves_everything(world: World):
    ws = world.reprise(skip=True)
    ws.up()
    assert world.runs() == 1 and world.workload() == BLANK | THEIRS and TARGET not in world.room()
    world.reprise().up()
    assert world.runs() == 2 and world.workload() == FILLED | THEIRS and world.room()[TARGET] == PASSWORD
    versions = world.versions()
    skipped = world.reprise("2", skip=True).up()
    assert world.runs() == 2 and world.versions() == versions
    assert "delete" not in json.dumps(skipped.steps)


def test_the_reprise_of_a_workload_on_azure_has_no_secret_on_aws(world: World):
    world.reprise(cloud="azure").up()
    assert world.room()[TARGET] == PASSWORD and world.workload() == BLANK | THEIRS


def test_a_missing_output_of_the_reprise_names_the_stack(world: World):
    world.outputs["packagemanager_bucket"] = None
    before = world.versions()
    said = " ".join(world.reprise().up(fails=True).text.split())
    assert "outputs of stack organization/ptd-aws-workload-persistent/acme01-staging: there is no output 'packagemanager_bucket'" in said
    assert world.versions() == before


@pytest.mark.parametrize(
    ("properties", "path"),
    [
        ({"target": ""}, "target"),
        ({"target": "a b"}, "target"),
        ({"controlRoom": {"name": ROOM}}, "controlRoom.accountId"),
        ({"controlRoom": {"name": ROOM, "accountId": "1"}}, "controlRoom.accountId"),
        ({"controlRoom": CONTROL_ROOM | {"region": "ohio"}}, "controlRoom.region"),
        ({"controlRoom": CONTROL_ROOM | {"name": "a b"}}, "controlRoom.name"),
        ({"controlRoomProvider": "${persistent}"}, "controlRoomProvider"),
    ],
)
def test_bad_inputs_of_the_reprise_are_refused(world: World, properties, path):
    failed = world.reprise(**properties).preview(fails=True)
    assert path in failed.text, failed


def test_outputs_given_as_plain_text_are_encrypted(world: World):
    outputs = {name: f"plain-{name}" for name in (*PLAIN, "mimir_password")}
    secret = {"type": "ptd:aws:WorkloadSecretFields", "properties": {"target": TARGET, "outputs": outputs}}
    ws = world.ws.yaml({"resources": {"secret": secret}})
    ws.up()
    assert world.workload()["mimir-password"] == "plain-mimir_password"
    assert "plain-" not in json.dumps(ws.export())
