"""The policies of the reference pages: enough for everything a resource does, and nothing more."""

from __future__ import annotations

import json
import sys

import pytest
from support import aws_replies, cli, iam, values
from support.moto import REGION
from support.protocol import urn

sys.path.insert(0, str(cli.ROOT / "docs/_site"))
from reference import Reference  # noqa: E402

REFERENCE = cli.ROOT / "docs/reference"
PAGES = Reference(cli.ROOT / "docs")
ALIAS = "alias/posit-team-dedicated"


def policy(name: str) -> dict:
    """The one that the page shows."""
    return PAGES.policy(PAGES.schema.entries[f"ptd:aws:{name}"])


class Life:
    """A resource of a provider that may do what the page's policy says and nothing else."""

    def __init__(self, launch, proxy, name: str, page: str = "", **configuration) -> None:
        self.provider = launch().ready({"region": REGION} | configuration)
        self.urn, self.policy = urn(f"ptd:aws:{name}"), policy(page or name)
        self.refused: list[str] = []
        self.used: set[str] = set()
        self.id, self.inputs, self.state = "", {}, {}

        def judge(call):
            self.used |= {action for action, _ in iam.needs(call)}
            refused = iam.refusals(self.policy, call)
            self.refused += refused
            return aws_replies.access_denied(call) if refused else None

        proxy.rule(judge)

    def _checked(self, news: dict) -> dict:
        reply = self.provider.check(self.urn, news, self.inputs or None)
        assert not reply.failures, reply
        return values.decode(reply.inputs)

    def create(self, **news) -> None:
        self.inputs = {}
        self.inputs = self._checked(news)
        reply = self.provider.create(self.urn, self.inputs)
        self.id, self.state = reply.id, values.decode(reply.properties)

    def update(self, **news) -> None:
        old, self.inputs = self.inputs, self._checked(news)
        self.state = values.decode(self.provider.update(self.urn, self.id, self.state, old, self.inputs).properties)

    def look(self, id: str = "") -> None:
        """A refresh, and an import by that id."""
        assert self.provider.read(self.urn, self.id, self.state, self.inputs).id == self.id
        assert self.provider.read(self.urn, id or self.id).id

    def delete(self) -> None:
        self.provider.delete(self.urn, self.id, self.state, self.inputs)

    def judge(self) -> None:
        assert self.refused == [], "the policy is not enough"
        unused = iam.actions(self.policy) - self.used
        assert unused == set(), "the policy grants what nothing needs"


def test_a_state_bucket(launch, proxy, boto):
    life = Life(launch, proxy, "StateBucket")
    name = "ptd-acme01-staging"
    life.create(bucket=name, noncurrentVersionExpirationDays=90, tags={"a": "1"})
    life.look()
    life.update(bucket=name, versioning=False, tlsOnly=False, blockPublicAccess=False, objectOwnership="ObjectWriter", tags={})
    life.create(bucket=name, tags={"a": "2"})
    # The emulator speaks plain HTTP only.
    life.update(bucket=name, forceDestroy=True, tlsOnly=False)
    boto("s3").put_object(Bucket=name, Key=".pulumi/stacks/app/dev.json", Body=b'{"version": 3, "checkpoint": {}}')
    boto("s3").put_object(Bucket=name, Key="other", Body=b"1")
    life.delete()
    life.judge()


def test_an_encryption_key(launch, proxy, boto):
    life = Life(launch, proxy, "EncryptionKey")
    life.create(alias=ALIAS, description="one", target="acme01-staging", tags={"a": "1"})
    life.look()
    key = boto("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"]
    document = boto("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    stated = json.dumps(json.loads(document) | {"Id": "another"})
    life.update(alias=ALIAS, description="two", rotation=False, policy=stated, tags={"b": "1"})
    life.look()
    life.update(alias=ALIAS, description="two", allowDelete=True)
    life.delete()
    # The alias is gone and the key waits for its end: found again by its tag, it is restored.
    life.create(alias=ALIAS, description="three", rotation=True)
    life.judge()


def test_an_admin_policy(launch, proxy):
    life = Life(launch, proxy, "AdminPolicy")
    life.create(tags={"a": "1"})
    life.look()
    for number in range(6):
        statement = {"Effect": "Allow", "Action": f"s3:Get{number}", "Resource": "*"}
        life.update(document=json.dumps({"Version": "2012-10-17", "Statement": [statement]}), tags={})
    life.update(document=life.inputs["document"], allowDelete=True)
    life.delete()
    life.judge()


def test_a_secret(launch, proxy):
    life = Life(launch, proxy, "Secret")
    name = "acme01-staging-main.posit.team"
    life.create(name=name, fields=[{"name": "a", "generate": "rskey"}], tags={"a": "1"})
    life.look()
    fields = [{"name": "a", "generate": "rskey"}, {"name": "b"}]
    life.update(name=name, fields=fields, description="other", kmsKeyId="alias/aws/secretsmanager", tags={"b": "1"})
    life.update(name=name, fields=fields, allowDelete=True)
    life.delete()
    life.create(name=name, fields=fields)
    life.judge()


@pytest.mark.parametrize("create", [False, True], ids=["existing", "new"])
def test_fields_of_a_secret(create, launch, proxy, boto):
    life = Life(launch, proxy, "SecretFields")
    name = "acme01-staging.posit.team"
    if not create:
        boto("secretsmanager").create_secret(Name=name, SecretString="{}")
        life.used |= {"secretsmanager:CreateSecret", "secretsmanager:TagResource"}
    life.create(secret=name, fields={"a": "1"}, createSecret=create)
    life.look(f"{name}#a")
    life.update(secret=name, fields={"a": "2", "b": "3"}, createSecret=create)
    life.delete()
    life.judge()


@pytest.mark.parametrize("create", [False, True], ids=["existing", "new"])
def test_the_entry_in_the_control_rooms_secret(create, launch, proxy, boto):
    """What the component's child does, in another account."""
    role = "arn:aws:iam::222233334444:role/admin.posit.team"
    life = Life(launch, proxy, "SecretFields", page="MimirAuthEntry", assumeRole={"roleArn": role})
    name = "main01-staging.mimir-auth.posit.team"
    if not create:
        boto("secretsmanager", account="222233334444").create_secret(Name=name, SecretString="{}")
        life.used |= {"secretsmanager:CreateSecret", "secretsmanager:TagResource"}
    life.create(secret=name, fields={"acme01-staging": "1"}, createSecret=create)
    life.look(f"{name}#acme01-staging")
    life.update(secret=name, fields={"acme01-staging": "2"}, createSecret=create)
    life.delete()
    life.judge()


def test_a_page_grants_making_secrets_only_where_it_can_be_asked_for():
    """Through the resources it is made of as well: a component without the input has no use for the permission."""
    for name in ("aws:SecretFields", "aws:MimirAuthEntry", "aws:WorkloadSecretFields", "index:PersistentReprise", "index:Workload"):
        entry = PAGES.schema.entries[f"ptd:{name}"]
        assert ("secretsmanager:CreateSecret" in iam.actions(PAGES.policy(entry))) == ("createSecret" in entry.inputs), name


@pytest.mark.parametrize("name", sorted(folder.parent.name for folder in (REFERENCE / "aws").glob("*/policy.json")))
def test_a_statement_that_deletes_says_so(name):
    """One who never deletes leaves these statements out."""
    for statement in policy(name)["Statement"]:
        found = [action for action in statement["Action"] if ":Delete" in action or ":Schedule" in action]
        if not statement["Sid"].endswith("Delete"):
            assert set(found) <= {"iam:DeletePolicyVersion", "s3:DeleteBucketPolicy"}, statement
