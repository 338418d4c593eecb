"""The examples of the reference pages: each runs in YAML, and says the same in Python and TypeScript."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml
from support import aws_replies, azure, azure_roles, cli, iam
from support.moto import REGION, Moto

sys.path.insert(0, str(cli.ROOT / "docs/_site"))
from reference import Reference  # noqa: E402
from schema import Entry  # noqa: E402

REFERENCE = cli.ROOT / "docs/reference"
PROJECT = REFERENCE / "project"
EXAMPLES = sorted(file.parent for file in REFERENCE.glob("*/*/Pulumi.yaml") if file.parent.parent != PROJECT)
SCHEMA = json.loads((cli.ROOT / "schema.json").read_text())
COMPONENTS = {token for token, spec in SCHEMA["resources"].items() if spec.get("isComponent")}
KEY = "awskms://alias/posit-team-dedicated?region=us-east-2"


def bootstrapped(moto: Moto) -> None:
    """What the pages have readers do before they run an example."""
    spec = importlib.util.spec_from_file_location("prepare", PROJECT / "prepare.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    keys = moto.account()
    script.prepare(boto3.Session(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region_name=REGION), moto.url)


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """What reaches the double of Azure, for the examples of its module."""
    if request.node.callspec.params["folder"].parent.name != "azure":
        return {}
    double = request.getfixturevalue("azure")
    return {
        "ARM_ENDPOINT": double.url, "AZURE_AUTHORITY_HOST": double.url, "SSL_CERT_FILE": str(double.ca), "ARM_TENANT_ID": azure.TENANT,
        "ARM_SUBSCRIPTION_ID": azure.SUBSCRIPTION, "ARM_CLIENT_ID": azure.CLIENT_ID, "ARM_CLIENT_SECRET": azure.CLIENT_SECRET,
        "ARM_LOCATION": azure.LOCATION,
    }  # fmt: skip


@pytest.fixture
def project(new_workspace, environment: dict[str, str], moto: Moto, tmp_path: Path) -> cli.Workspace:
    """The example project, on a bootstrapped account; its state is encrypted with that account's key."""
    bootstrapped(moto)
    # What runs of other programs note about their stacks concerns nobody here.
    (temp := tmp_path / "tmp").mkdir()
    ws = new_workspace("example", TMPDIR=str(temp), **environment)
    shutil.copytree(PROJECT, ws.folder, dirs_exist_ok=True)
    return ws


def permitted(folder: Path) -> dict | None:
    """The policies of the pages of everything in the example; None without any."""
    reference = Reference(cli.ROOT / "docs")
    found = [policy for entry in entries(folder) if (policy := reference.policy(entry))]
    return {"Statement": [statement for policy in found for statement in policy["Statement"]]} if found else None


def entries(folder: Path) -> list[Entry]:
    """All that the example uses."""
    text = (folder / "Pulumi.yaml").read_text()
    return [entry for token, entry in Reference(cli.ROOT / "docs").schema.entries.items() if f" {token}\n" in text]


def azure_refusals(folder: Path, requests: list[dict]) -> set[str]:
    """What the example did to Azure's resources that the roles on the pages do not allow."""
    reference = Reference(cli.ROOT / "docs")
    granted = {one for entry in entries(folder) for one in (reference.role(entry) or {"Actions": []})["Actions"]}
    return azure_roles.needs(requests) - granted


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "", "Microsoft.Resources/subscriptions/read"),
        ("PUT", "/resourceGroups/g", "Microsoft.Resources/subscriptions/resourceGroups/write"),
        ("GET", "/resourceGroups/g/resources", "Microsoft.Resources/subscriptions/resourceGroups/resources/read"),
        ("PUT", "/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/keys/k", "Microsoft.KeyVault/vaults/keys/write"),
        ("POST", "/providers/Microsoft.KeyVault/locations/l/deletedVaults/v/purge", "Microsoft.KeyVault/locations/deletedVaults/purge/action"),
    ],
)
def test_a_request_to_azure_takes_a_permission(method, path, action):
    assert azure_roles.action(method, f"/subscriptions/s{path}?api-version=1") == action


@pytest.fixture(scope="module")
def compiled(compiler: Path) -> Path:
    """The TypeScript examples as JavaScript, beside the SDK as it is packed."""
    pack = [sys.executable, cli.ROOT / "tools/pack_sdks.py", compiler, "nodejs", "--node-modules", compiler / "node_modules"]
    subprocess.run(pack, cwd=compiler, check=True, capture_output=True, timeout=600)
    (packed,) = compiler.glob("*.tgz")
    subprocess.run(["npm", "install", *QUIET, packed], cwd=compiler, check=True, capture_output=True, timeout=600)
    (folder := compiler / "examples").mkdir()
    options = {"target": "es2020", "module": "commonjs", "moduleResolution": "node", "skipLibCheck": True, "rootDir": str(REFERENCE),
               "outDir": str(folder), "noCheck": True, "types": []}  # fmt: skip
    project = {"compilerOptions": options, "files": [str(example / "index.ts") for example in EXAMPLES]}
    (folder / "tsconfig.json").write_text(json.dumps(project))
    subprocess.run(["node", compiler / "node_modules/typescript/bin/tsc", "--project", folder], cwd=folder, check=False, capture_output=True)
    shutil.copy(PACKAGES / "example.js", compiler)
    return folder


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_an_example_runs_and_is_the_same_in_python_and_typescript(folder: Path, project: cli.Workspace, compiled: Path, proxy, request):
    policy, refused = permitted(folder), []

    def judge(call):
        # The state of the example itself is encrypted too.
        found = [] if policy is None or call.operation in ("Encrypt", "Decrypt") else iam.refusals(policy, call)
        refused.extend(found)
        return aws_replies.access_denied(call) if found else None

    proxy.rule(judge)
    shutil.copy(folder / "Pulumi.yaml", project.folder)
    project.init("--secrets-provider", KEY)
    up = project.up(fails=None)
    assert (up.code, refused) == (0, []), up
    assert len(project.outputs()) >= 1, "an example shows what it gives"
    if folder.parent.name == "azure":
        assert azure_refusals(folder, request.getfixturevalue("azure").requests()) == set()
    project.python((folder / "__main__.py").read_text())
    again = project.preview()
    # A component that is given a map as a whole differs from one that is given its fields; its children must not.
    changed = {name: ops for name, ops in again.steps.items() if name.split("::")[0] not in COMPONENTS or ops != ["update"]}
    assert changed == {}, again
    stack = next(event["metadata"]["new"] for event in again.of("resOutputsEvent") if event["metadata"]["type"] == "pulumi:pulumi:Stack")
    assert set(stack["outputs"]) == set(project.outputs()), again

    example = compiled / folder.relative_to(REFERENCE) / "index.js"
    name = yaml.safe_load((project.folder / "Pulumi.yaml").read_text())["name"]
    command = ["node", compiled.parent / "example.js", example, project.folder, name]
    done = subprocess.run(command, cwd=compiled, env=project.env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    # The package names its version, and so has a default provider of its own.
    steps = {urn: step for urn, step in found["steps"].items() if step["type"] != "pulumi:providers:ptd"}
    wrong = {urn: step for urn, step in steps.items() if step["type"] not in COMPONENTS or step["op"] != "update"}
    assert wrong == {}, done.stderr
    assert set(found["outputs"]) == set(project.outputs()), found


SDK = cli.ROOT / "sdk/nodejs"
PACKAGES = cli.ROOT / "tests/programs/nodejs"
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")


@pytest.fixture(scope="module")
def compiler(tmp_path_factory) -> Path:
    """A folder in which TypeScript can be checked against the SDK of this checkout."""
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGES / name, folder)
    subprocess.run(["npm", "ci", *QUIET], cwd=folder, check=True, capture_output=True, timeout=600)
    return folder


def check_types(folder: Path, *files: Path) -> str:
    """What the compiler finds wrong."""
    options = {
        "strict": True, "noEmit": True, "target": "es2020", "module": "commonjs", "moduleResolution": "node", "skipLibCheck": True,
        "typeRoots": [str(folder / "node_modules/@types")], "types": ["node"], "baseUrl": str(folder),
        "paths": {"@posit-dev/pulumi-ptd": [str(SDK / "index.ts")], "*": ["node_modules/*"]},
    }  # fmt: skip
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": [str(file) for file in files]}))
    command = ["node", folder / "node_modules/typescript/bin/tsc", "--project", folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode == 0) == (done.stdout == ""), done
    return done.stdout


def test_the_typescript_examples_have_the_right_types(compiler):
    assert check_types(compiler, *(folder / "index.ts" for folder in EXAMPLES)) == ""


def test_a_wrong_typescript_example_is_found(compiler, tmp_path):
    right = (REFERENCE / "aws/StateBucket/index.ts").read_text()
    (wrong := tmp_path / "index.ts").write_text(right.replace("noncurrentVersionExpirationDays: 90", "noncurrentVersionDays: 90"))
    assert "noncurrentVersionDays" in check_types(compiler, wrong)


def commands(page: str) -> list[str]:
    """The commands of a page's `console` blocks; blocks that are `text` are for a machine of one's own."""
    blocks = re.findall(r"^```console\n(.*?)^```$", (cli.ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_journey_from_an_empty_account_to_the_state_in_its_bucket_and_back(new_workspace, boto, tmp_path):
    """Line by line, as the pages have it."""
    ws = new_workspace("journey").copy(cli.ROOT / "examples/aws-bootstrap")
    # The emulator speaks plain HTTP only, which the bucket would refuse to serve.
    program = ws.folder / "__main__.py"
    program.write_text(program.read_text().replace("BootstrapBucketArgs(", "BootstrapBucketArgs(tls_only=False, "))
    env = {name: value for name, value in ws.env.items() if name not in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE")}
    # It logs in, which concerns no other test.
    env |= {"PULUMI_SKIP_CONFIRMATIONS": "true", "PULUMI_HOME": str(tmp_path / "home")}

    def follow(*lines: str) -> None:
        script = "\n".join(["set -euxo pipefail", *lines])
        command = ["bash", "-c", script]
        done = subprocess.run(command, cwd=ws.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    moving = commands("journeys/move-state.md")
    there = moving.index("rm -r .pulumi") + 1
    follow(*commands("journeys/bootstrap-aws.md"), *moving[:there])
    keys = [found["Key"] for found in boto("s3").list_objects_v2(Bucket="ptd-acme01-staging")["Contents"]]
    [state] = [key for key in keys if key.startswith(".pulumi/stacks/") and key.endswith("acme01-staging.json")]
    text = boto("s3").get_object(Bucket="ptd-acme01-staging", Key=state)["Body"].read().decode()
    assert "awskms://" in text and "passphrase" not in text

    follow(*moving[there:])
    assert boto("s3").list_buckets()["Buckets"] == []
    assert boto("secretsmanager").list_secrets()["SecretList"] == []
