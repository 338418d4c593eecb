"""The code inside of pages: what is a program runs, and what is a part of one names nothing that does not exist."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
import typing
from collections.abc import Iterator

import pulumi_ptd
import pytest
import yaml
from support import cli
from test_docs_examples import KEY, check_types, compiler, environment, project  # noqa: F401

BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """The page's blocks in that language."""
    found = BLOCK.findall((cli.ROOT / page).read_text())
    return [inspect.cleandoc(f"\n{code}") for _, named, code in found if named == language]


def pages() -> list[str]:
    done = subprocess.run(["git", "ls-files", "README.md", "docs/*.md", "examples/*.md"], cwd=cli.ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


def calls(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """(`aws.Bootstrap`, its keyword arguments) for each call of the SDK."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)).startswith("ptd."):
            yield name.removeprefix("ptd."), [keyword.arg for keyword in node.keywords if keyword.arg]


def parameters(name: str) -> set[str]:
    """What it takes; AttributeError if there is no such thing."""
    found: typing.Any = pulumi_ptd
    for part in name.split("."):
        found = getattr(found, part)
    if not inspect.isclass(found):
        return set(inspect.signature(found).parameters)
    variants = typing.get_overloads(found.__init__) or [found.__init__]
    return {parameter for variant in variants for parameter in inspect.signature(variant).parameters}


@pytest.mark.parametrize(("page", "code"), [(page, code) for page in pages() for code in blocks(page, "python")],
                         ids=lambda value: value if value.endswith(".md") else "")
def test_a_fragment_names_what_there_is(page, code):
    # What is left out for brevity.
    code = re.sub(r", \.\.\.(?=[})])", "", code)
    for name, given in calls(ast.parse(code)):
        assert set(given) <= parameters(name), f"{page}: {name}"


def test_the_typescript_fragments_have_the_right_types(compiler, tmp_path):  # noqa: F811
    files = []
    for page in [*pages(), *(str(file.relative_to(cli.ROOT)) for file in (cli.ROOT / "provider/ptd/src/readme").glob("*.md"))]:
        for code in blocks(page, "typescript"):
            files.append(tmp_path / f"{len(files)}.ts")
            files[-1].write_text(code)
    assert len(files) >= 2
    assert check_types(compiler, *files) == ""


def test_a_wrong_fragment_is_found():
    [(name, given)] = calls(ast.parse('ptd.Stack("a", directories="b")'))
    assert not set(given) <= parameters(name)
    with pytest.raises(AttributeError):
        parameters("aws.Bucket")


@pytest.mark.parametrize("folder", [cli.ROOT / "docs/reference/aws/none"], ids=["aws"])
def test_the_programs_of_the_readme_and_of_pipelines_run(folder, project):  # noqa: F811
    """Previewed: what they do is done by the examples of the reference."""
    project.yaml({}).init("--secrets-provider", KEY)
    for name in ("network", "database"):
        project.file(f"steps/{name}/Pulumi.yaml", (project.folder / name / "Pulumi.yaml").read_text())
    project.file("programs/common/__init__.py", "")
    stacks = {"database", "network"}

    def steps(_: cli.Workspace) -> set[str]:
        """The stacks that would run."""
        preview = project.preview()
        assert preview.messages("error") == [], preview
        found = [event["metadata"] for event in preview.of("resourcePreEvent")]
        return {one["urn"].split("::")[-1] for one in found if one["type"] == "ptd:index:Stack" and not one["new"]["inputs"].get("skip")}

    page = "docs/reference/provider.md"
    for written in (project.yaml(yaml.safe_load(blocks(page, "yaml")[0])), project.python(blocks(page, "python")[0])):
        shown = written.preview()
        assert "ptd:aws:StateBucket::state" in shown.steps and shown.messages("error") == [], shown

    readme = blocks("README.md", "python")
    assert steps(project.python("\n".join(readme[:2]))) == stacks

    program, selecting = map(yaml.safe_load, blocks("docs/pipeline.md", "yaml"))
    program["config"] = {"databaseServer": {"type": "string", "default": "postgres://db"}, "kubeconfig": {"type": "string", "default": "none"}}
    program["config"] |= selecting["config"]
    program["resources"]["acme"]["properties"] |= {name: f"${{{name}}}" for name in selecting["config"]}
    assert {"acme-persistent", "acme-sites"} <= steps(project.yaml(program)), "all, by default"
    [command] = re.findall("`pulumi (config set .*onlySteps.*)`", (cli.ROOT / "docs/pipeline.md").read_text())
    project.run(*shlex.split(command))
    assert steps(project) == {"acme-eks"}

    by_hand = blocks("docs/pipeline.md", "python")[0]
    assert steps(project.python(f'import pulumi\nimport pulumi_ptd as ptd\nT, sites = "acme01-staging", {{}}\n{by_hand}')) == {"persistent", "postgres_config"}
