"""The site of docs/: nothing missing, nothing dead, and what it says is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from support import cli, iam

sys.path.insert(0, str(cli.ROOT / "docs/_site"))
import links  # noqa: E402
from reference import Reference  # noqa: E402

DOCS = cli.ROOT / "docs"
REFERENCE = Reference(DOCS)


def tracked(*patterns: str) -> list[str]:
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=cli.ROOT, check=True, capture_output=True, text=True)
    return sorted(done.stdout.split())


def test_every_token_has_its_page_and_every_page_its_token():
    assert REFERENCE.problems() == []


@pytest.mark.parametrize("entry", REFERENCE.schema.entries.values(), ids=lambda entry: entry.token)
def test_every_output_is_on_its_page(entry):
    """Under Outputs; what a resource gives again is under Inputs, with the same text."""
    text = REFERENCE.text(entry)
    inputs, outputs = text.split("\n## Inputs\n")[1].split("\n## Outputs\n")
    outputs = outputs.split("\n## ")[0]
    spec = entry.spec.get("outputs", {}) if entry.kind == "function" else entry.spec
    for name, one in spec.get("properties", {}).items():
        where = outputs if entry.kind != "resource" or f"`{name}` (" in outputs else inputs
        assert f"`{name}` (" in where and one["description"].split("\n")[0] in where, f"{name} is not there"
    assert ("All inputs, and:" in outputs) == (entry.kind == "resource")


def test_a_default_that_the_text_leaves_out_is_shown():
    schema = REFERENCE.schema
    shown = schema.properties({
        "a": {"type": "string", "default": "x", "description": "One."},
        "b": {"type": "boolean", "default": True, "description": "Default: yes."},
    })  # fmt: skip
    assert "`a` (string, default `x`)" in shown and "`b` (boolean)" in shown


@pytest.mark.parametrize(("page", "scope"), [("azure:KeyVault", ""), ("azure:ResourceGroup", ""), ("azure:Bootstrap", ""),
                                             ("azure:AksCluster", " or in the resource group"),
                                             ("azure:StateStorage", " or in the resource group")])
def test_a_role_is_assigned_where_it_can_permit_what_it_lists(page, scope):
    assert f"assigned in the subscription{scope}:" in REFERENCE.text(REFERENCE.schema.entries[f"ptd:{page}"])


@pytest.mark.parametrize("token", ["ptd:aws:MimirAuthEntry", "ptd:index:PersistentReprise", "ptd:index:Workload"])
def test_a_policy_for_two_accounts_says_which_statements_are_for_which(token):
    assert "for the role in the control room's account" in REFERENCE.text(REFERENCE.schema.entries[token])


def test_the_permissions_of_the_description_are_on_the_page():
    assert "to delete or recover the role Key Vault Administrator" in REFERENCE.text(REFERENCE.schema.entries["ptd:azure:EncryptionKey"])


def test_what_forces_replacement_says_so():
    schema = REFERENCE.schema
    groups = [(entry.token, entry.inputs) for entry in schema.entries.values()]
    groups += [(token, spec.get("properties", {})) for token, spec in schema.types.items()]
    found = [(token, name, spec) for token, properties in groups for name, spec in properties.items() if spec.get("willReplaceOnChanges")]
    assert len(found) > 50, "the schema marks it otherwise"
    assert [f"{token}.{name}" for token, name, spec in found if "replace" not in spec["description"]] == []


@pytest.mark.parametrize("file", ["proto/README.md", "provider/automation/README.md", "provider/framework/README.md", "templates/provider/README.md",
                                  "templates/provider/Cargo.toml"])
def test_the_oldest_rust_is_that_of_the_workspace(file):
    oldest = re.search(r'(?m)^rust-version = "(.*)"$', (cli.ROOT / "Cargo.toml").read_text())[1]
    found = re.findall(r'(?m)^(?:rust-version = "|Needs Rust |)(1\.\d+\.\d+)(?:"$|;| or newer)', (cli.ROOT / file).read_text())
    assert set(found) == {oldest}


@pytest.mark.parametrize("file", tracked("*.md"))
def test_no_link_is_dead(file):
    assert links.dead(cli.ROOT / file, cli.ROOT) == []


@pytest.mark.parametrize(("link", "found"), [
    ("https://example.com/a#b", None), ("https:///a", "nothing is no host"), ("https://example/a", "example is no host"),
    ("https:example.com", "nothing is no host"), ("https://exam ple.com", "exam ple.com is no host"), ("README.md#install", None),
    ("README.md#nowhere", "README.md has no such heading"), ("../outside.md", "there is no such file"),
])  # fmt: skip
def test_a_link_that_leads_nowhere_is_found(link, found):
    said = links.problem(link, cli.ROOT / "CHANGELOG.md", cli.ROOT)
    assert said is None if found is None else found in said


@pytest.fixture
def copy(tmp_path) -> Path:
    """What the site is built from."""
    for file in tracked("docs", "examples", "*.md", "schema.json"):
        if (cli.ROOT / file).exists():
            target = tmp_path / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(cli.ROOT / file, target)
    return tmp_path


def build(root: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html", root / "docs", root / "site"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})


def test_a_site_with_mistakes_is_not_built(copy):
    """All at once, since a build takes a while."""
    reference = copy / "docs/reference"
    shutil.copy(reference / "aws/Secret.md", reference / "aws/Imagined.md")
    (reference / "aws/AdminPolicy.md").unlink()
    (reference / "aws/Secret/index.ts").unlink()
    (reference / "aws/StateBucket.md").write_text("Says nothing about importing.\n")
    (reference / "index/Stack/policy.json").unlink()
    with (copy / "docs/limits.md").open("a") as page:
        page.write("\n[a page](nowhere.md), [a heading](pipeline.md#nowhere), [a file](../examples/nowhere.py), [a site](http://example.com)\n")
    done = build(copy)
    assert done.returncode != 0
    for expected in (
        "schema.json has no token for reference/aws/Imagined.md",
        "ptd:aws:AdminPolicy has no page docs/reference/aws/AdminPolicy.md",
        "no example in TypeScript: reference/aws/Secret/index.ts",
        "import-id is missing in the header",
        "dead link nowhere.md: there is no such file",
        "dead link pipeline.md#nowhere: docs/pipeline.md has no such heading",
        "dead link ../examples/nowhere.py: there is no such file",
        "dead link http://example.com: neither https nor a file of the repository",
    ):
        assert expected in done.stderr, f"{expected!r} is not in\n{done.stderr}"


def test_a_token_of_a_new_version_needs_a_page(copy):
    schema = copy / "schema.json"
    schema.write_text(schema.read_text().replace('"ptd:index:listSteps"', '"ptd:azure:listSteps"'))
    found = Reference(copy / "docs").problems()
    assert ("reference/azure/listSteps", "ptd:azure:listSteps has no page docs/reference/azure/listSteps.md") in found
    assert ("reference/index/listSteps", "schema.json has no token for reference/index/listSteps.md") in found


@pytest.mark.parametrize("entry", [e for e in REFERENCE.schema.entries.values() if (DOCS / e.page / "policy.json").exists()],
                         ids=lambda entry: entry.token)
def test_the_description_names_no_permission_that_the_policy_lacks(entry):
    said = next((text for text in entry.paragraphs if text.startswith("Permissions:")), "")
    granted, service = iam.actions(REFERENCE.policy(entry)), ""
    for name in re.findall(r"`([^`]+)`", said):
        service, action = name.split(":") if ":" in name else (service, name)
        if action[0].isupper():
            assert any(fnmatchcase(one, f"{service}:{action}") for one in granted), f"{service}:{action}"


# What the pages quote from the source.

SOURCE = re.compile(r"\\\n\s*")


def sources() -> list[str]:
    """The provider's source, each text on one line, with placeholders for what is filled in."""
    files = [path for folder in ("ptd", "framework", "automation") for path in (cli.ROOT / "provider" / folder / "src").rglob("*.rs")]
    return [re.sub(r"\{[^{}\s]*\}", "…", SOURCE.sub("", path.read_text())) for path in files]


TEXTS = sources()
QUOTED = re.findall(r"^### `(.*)`$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("text", QUOTED)
def test_an_error_text_is_one_of_the_source(text):
    parts = [re.escape(part) for part in text.split("…") if part]
    assert parts, "nothing to look for"
    # What differs may be written in any way, as long as it stays in one text.
    pattern = re.compile(r"""[^"]{0,200}?""".join(parts))
    assert any(pattern.search(source) for source in TEXTS), f"no source file has {text!r}"


@pytest.mark.parametrize(
    ("page", "says", "source", "is_so"),
    [
        ("limits.md", "30 s, and 5 s to connect", "ptd/src/config.rs", "DEFAULT_REQUEST_TIMEOUT_SECONDS: u32 = 30;"),
        ("limits.md", "30 s, and 5 s to connect", "ptd/src/config.rs", "DEFAULT_CONNECT_TIMEOUT_SECONDS: u32 = 5;"),
        ("limits.md", "| 10, with growing pauses |", "ptd/src/config.rs", "DEFAULT_MAX_RETRIES: u32 = 9;"),
        ("limits.md", "finding credentials | 2 minutes", "ptd/src/aws/clients.rs", "CREDENTIALS_TIMEOUT: Duration = Duration::from_mins(2);"),
        ("limits.md", "cannot be seen for 15 minutes", "ptd/src/azure/arm/operation.rs", "BLIND: Duration = Duration::from_mins(15);"),
        ("limits.md", "says for how long | 1 hour", "ptd/src/azure/arm/patience.rs", "PATIENCE: Duration = Duration::from_hours(1);"),
        ("limits.md", "with an Azure subscription | 10 minutes", "ptd/src/azure/arm/registration.rs", "REGISTRATION_PATIENCE: Duration = Duration::from_mins(10);"),
        ("limits.md", "deleting and recovering its key | 10 minutes", "ptd/src/azure/vault_wait.rs", "SPREAD: Duration = Duration::from_mins(10);"),
        ("limits.md", "1 minute, then it is killed", "ptd/src/stack/config.rs", "stack_grace_seconds.unwrap_or(60)"),
        ("limits.md", "swept after a week", "ptd/src/stack/run_folder.rs", "OLD: Duration = Duration::from_hours(7 * 24);"),
        ("limits.md", "3.200 or newer", "automation/src/cli.rs", "MINIMUM_VERSION: Version = Version::new(3, 200, 0);"),
        ("limits.md", "`pulumi` 3.231 or newer", "../schema.json", '"pulumi": ">=3.231.0,<4.0.0"'),
        ("limits.md", "at most 50 tags", "ptd/src/aws/names.rs", "MAX_TAGS: usize = 50;"),
        ("limits.md", "6144 characters", "ptd/src/aws/names.rs", "MAX_POLICY_CHARACTERS: usize = 6144;"),
    ],
)
def test_a_figure_is_that_of_the_source(page, says, source, is_so):
    assert says in (DOCS / page).read_text()
    assert is_so in (cli.ROOT / "provider" / source).read_text()


def test_packages_say_which_tools_they_lack(tmp_path):
    """Before anything is built: by a PATH with nothing on it."""
    command = [sys.executable, cli.ROOT / "tools/pack_sdks.py", "--check-tools", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)})
    assert done.returncode == 1 and "not on PATH: npm, node, java, mvn" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_new_page_is_laid_out_from_the_schema(copy):
    """Nothing is missing but what has to be written."""
    (copy / "tools").mkdir()
    shutil.copy(cli.ROOT / "tools/new_page.py", copy / "tools")
    pages = copy / "docs/reference"
    for token in ("aws/StateBucket", "index/getTarget"):
        shutil.rmtree(pages / token)
        (pages / f"{token}.md").unlink()
    command = [sys.executable, copy / "tools/new_page.py", "ptd:aws:StateBucket", "ptd:index:getTarget"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert len(made.splitlines()) == 8
    found = [problem for _, problem in Reference(copy / "docs").problems()]
    assert all("is still to be written" in problem or "deleting" in problem for problem in found) and len(found) >= 4, found
    for file in pages.glob("*/*/__main__.py"):
        compile(file.read_text(), str(file), "exec")
