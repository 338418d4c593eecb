"""Makes the reference pages out of schema.json, the examples and permissions beside each page, and the little that is hand-written.

A page `reference/<module>/<Name>.md` holds an introduction and, under the headings of `SECTIONS`, what the schema does not
say. Everything else is put in when the site is built. `problems` says what is missing or too much.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from schema import Entry, Schema
from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)

#: Beside each page, in a folder of its name.
EXAMPLES = {"Python": ("__main__.py", "python"), "TypeScript": ("index.ts", "typescript"), "YAML": ("Pulumi.yaml", "yaml")}
SECTIONS = ("Replacing", "Importing", "Deleting", "Permissions")
HEADER = {"move", "import-id", "permissions-of", "permissions-without"}
#: What the Sids of statements contain that not everybody needs, or not for the same credentials.
SIDS = {
    "Delete": "Statements whose `Sid` ends in `Delete` are needed to delete only.",
    "CreateSecret": "The one whose `Sid` ends in `CreateSecret` is needed with `createSecret` only.",
    "InControlRoom": "What has `InControlRoom` in its `Sid` is for the role in the control room's account, all else for the credentials of "
    "the environment.",
}
#: Pages of the reference that belong to no token.
OTHERS = {"index", "provider"}


@dataclass
class Page:
    """The hand-written part."""

    header: dict = field(default_factory=dict)
    introduction: str = ""
    sections: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Page:
        header: dict = {}
        if text.startswith("---\n"):
            head, _, text = text[4:].partition("\n---\n")
            header = yaml.safe_load(head) or {}
        introduction, *rest = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
        sections = {title.strip(): body.strip() for title, body in zip(rest[::2], rest[1::2], strict=True)}
        return cls(header, introduction.strip(), sections)


class Moved:
    """A description, with the paragraphs that belong into a section of their own taken out."""

    def __init__(self, entry: Entry, page: Page) -> None:
        self.rest: list[str] = []
        self.sections: dict[str, str] = {}
        self.missing: list[str] = []
        begins = {"Import id:": "Importing", "Permissions:": "Permissions"}
        named = {text: section.capitalize() for section, text in page.header.get("move", {}).items()}
        found = set()
        for paragraph in entry.paragraphs:
            section = None
            for start, target in (begins | named).items():
                if " ".join(paragraph.split()).startswith(start):
                    section = target
                    found.add(start)
            if section:
                self.sections[section] = "\n\n".join(filter(None, [self.sections.get(section), paragraph]))
            else:
                self.rest.append(paragraph)
        self.missing = sorted(set(named) - found)


def beyond_a_group(action: str) -> bool:
    """Whether a role that is assigned in a resource group cannot permit it.

    The operations at a location are an exception: anybody may ask what became of their own.
    """
    return action == "Microsoft.Resources/subscriptions/resourceGroups/write" or "/locations/" in action and "/operations/" not in action


class Reference:
    def __init__(self, docs: Path, schema: Path | None = None) -> None:
        self.docs = docs
        self.schema = Schema(schema or docs.parent / "schema.json")

    def hand_written(self, entry: Entry) -> Page:
        file = self.docs / f"{entry.page}.md"
        return Page.parse(file.read_text()) if file.exists() else Page()

    def beside(self, entry: Entry, name: str) -> Path:
        return self.docs / entry.page / name

    def _permissions_of(self, entry: Entry, name: str) -> list[dict]:
        """The file of that name beside the page, and those of the resources that the page names."""
        own = self.beside(entry, name)
        found = [json.loads(own.read_text())] if own.exists() else []
        for token in self.hand_written(entry).header.get("permissions-of", []):
            if token in self.schema.entries:
                found += self._permissions_of(self.schema.entries[token], name)
        return found

    def role(self, entry: Entry) -> dict | None:
        """What Azure must allow, as a role definition."""
        parts = self._permissions_of(entry, "role.json")
        if not parts:
            return None
        lists = {name: sorted({one for part in parts for one in part.get(name, [])}) for name in ("Actions", "DataActions")}
        head = {"Name": f"ptd {entry.name}", "IsCustom": True, "Description": f"What {entry.token} needs."}
        return head | lists | {"AssignableScopes": ["/subscriptions/00000000-0000-0000-0000-000000000000"]}

    def policy(self, entry: Entry) -> dict | None:
        """What AWS must allow, as a policy."""
        parts = self._permissions_of(entry, "policy.json")
        without = self.hand_written(entry).header.get("permissions-without", [])
        statements: dict[str, dict] = {}
        for statement in (one for part in parts for one in part.get("Statement", [])):
            if statement["Sid"] in without:
                continue
            known = statements.setdefault(statement["Sid"], statement)
            if known != statement:
                raise ValueError(f"{entry.token}: two statements with the Sid {statement['Sid']}")
        return {"Version": "2012-10-17", "Statement": list(statements.values())} if statements else None

    # The checks.

    def problems(self) -> list[tuple[str, str]]:
        """(page, what is wrong with it)."""
        found: list[tuple[str, str]] = []
        pages = self.schema.pages
        for file in sorted((self.docs / "reference").glob("*/*")):
            name = f"reference/{file.parent.name}/{file.stem}"
            if file.parent.name == "project" or file.stem == "types" and file.parent.name in self.schema.modules:
                continue
            if name not in pages:
                found.append((name, f"schema.json has no token for {file.relative_to(self.docs)}"))
        for module in self.schema.modules:
            has = (self.docs / f"reference/{module}/types.md").exists()
            wants = any(token.split(":")[1] == module for token in self.schema.types)
            if has != wants:
                found.append((f"reference/{module}/types", "there are types but no page" if wants else "there are no types"))
        for entry in self.schema.entries.values():
            found += [(entry.page, problem) for problem in self._of(entry)]
        return found

    def _of(self, entry: Entry) -> Iterable[str]:
        if not (self.docs / f"{entry.page}.md").exists():
            yield f"{entry.token} has no page docs/{entry.page}.md"
            return
        page = self.hand_written(entry)
        moved = Moved(entry, page)
        for key in sorted(set(page.header) - HEADER):
            yield f"unknown key {key} in the header"
        for start in moved.missing:
            yield f"no paragraph of the description begins with {start!r}"
        for token in page.header.get("permissions-of", []):
            if token not in self.schema.entries:
                yield f"permissions-of names {token}, which does not exist"
        known_sids = {one["Sid"] for part in self._permissions_of(entry, "policy.json") for one in part.get("Statement", [])}
        for sid in sorted(set(page.header.get("permissions-without", [])) - known_sids):
            yield f"permissions-without names {sid}, which no policy has"
        for language, (name, _) in EXAMPLES.items():
            file = self.beside(entry, name)
            if not file.exists():
                yield f"no example in {language}: {file.relative_to(self.docs)}"
        if entry.kind != "function" and not (page.sections.get("Deleting") or moved.sections.get("Deleting")):
            yield "nothing is said about deleting: write a section Deleting, or move the paragraph of the description there"
        if entry.kind == "resource" and not (
            page.header.get("import-id") or page.sections.get("Importing") or moved.sections.get("Importing")
        ):
            yield "nothing is said about importing"
        if entry.kind == "resource" and "Import id:" in entry.spec["description"] and not page.header.get("import-id"):
            yield "import-id is missing in the header: an id to show"
        if not page.sections.get("Permissions") and self.policy(entry) is None and self.role(entry) is None:
            yield "no policy.json, no role.json, no permissions-of, and no section Permissions"
        known = {name for name, _ in EXAMPLES.values()} | {"policy.json", "role.json"}
        folder = self.docs / entry.page
        for file in [folder.with_suffix(".md"), *sorted(folder.glob("*"))]:
            if re.search(r"\bWRITE\b", file.read_text()):
                yield f"{file.relative_to(self.docs)} is still to be written"
        for file in sorted(folder.iterdir() if folder.is_dir() else []):
            if file.name not in known:
                yield f"{file.relative_to(self.docs)} is shown nowhere"

    # The pages.

    def text(self, entry: Entry) -> str:
        page = self.hand_written(entry)
        moved = Moved(entry, page)
        sections = page.sections

        def joined(title: str, *generated: str) -> str:
            return "\n\n".join(part for part in (*generated, sections.get(title, "")) if part)

        parts = [
            f"# {entry.name}",
            f"{entry.kind.capitalize()} `{entry.token}`",
            "\n\n".join(moved.rest),
            page.introduction,
            "## Example",
            self._example(entry),
            "## Inputs",
            self.schema.properties(entry.inputs, entry.required_inputs, replacing=True) or "None.",
            "## Outputs",
            "All inputs, and:" if entry.kind == "resource" else "",
            self.schema.properties(entry.outputs) or "None.",
        ]
        if entry.kind != "function":
            parts += ["## What forces replacement", joined("Replacing", self._replacing(entry))]
            parts += ["## Import", joined("Importing", moved.sections.get("Importing", ""), self._import(entry, page))]
            parts += ["## Deleting", joined("Deleting", moved.sections.get("Deleting", ""))]
        parts += ["## Permissions", joined("Permissions", self._named_permissions(moved), self._permissions(entry))]
        parts += [f"## {title}\n\n{text}" for title, text in sections.items() if title not in SECTIONS]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _example(self, entry: Entry) -> str:
        tabs = []
        for language, (name, lexer) in EXAMPLES.items():
            tabs.append(
                f":::{{tab-item}} {language}\n:sync: {lexer}\n\n"
                f"```{{literalinclude}} {entry.name}/{name}\n:language: {lexer}\n:caption: `{name}`\n```\n:::"
            )
        return "::::{tab-set}\n:sync-group: language\n" + "\n".join(tabs) + "\n::::"

    def _replacing(self, entry: Entry) -> str:
        paths = self.schema.replacing(entry)
        if entry.kind == "component":
            return "A component is never replaced itself; its children may be, as their pages say."
        if not paths:
            return "" if "Replacing" in self.hand_written(entry).sections else "Nothing: every change is made in place."
        return "A change of " + ", ".join(f"`{path}`" for path in paths) + "."

    def _import(self, entry: Entry, page: Page) -> str:
        if page.header.get("import-id"):
            return f"```console\n$ pulumi import {entry.token} <name> '{page.header['import-id']}'\n```"
        if entry.kind == "component" and not page.sections.get("Importing"):
            return "A component is not imported. Where its children exist already, they are taken over."
        return ""

    def _named_permissions(self, moved: Moved) -> str:
        """The description's list, under a heading that says what it lists."""
        return moved.sections.get("Permissions", "").removeprefix("Permissions:").strip()

    def _permissions(self, entry: Entry) -> str:
        parts = []
        if policy := self.policy(entry):
            said = ["This policy is enough, with your own account, region and names in place of those of the example."]
            said += [text for part, text in SIDS.items() if any(part in one["Sid"] for one in policy["Statement"])]
            parts.append(" ".join(said))
            parts.append(f"```json\n{json.dumps(policy, indent=2)}\n```")
        if role := self.role(entry):
            scope = "in the subscription" if any(map(beyond_a_group, role["Actions"])) else "in the subscription or in the resource group"
            parts.append(f"On Azure this role is enough, assigned {scope}:")
            parts.append(f"```json\n{json.dumps(role, indent=2)}\n```")
        return "\n\n".join(parts)

    def types(self, module: str) -> str:
        tokens = sorted(token for token in self.schema.types if token.split(":")[1] == module)
        head = f"# Types of `{module}`\n\nWhat the inputs and outputs of the pages of this module consist of."
        return "\n\n".join([head, *(self.schema.type_text(token) for token in tokens)]) + "\n"

    def list_of(self, module: str) -> str:
        """A table of the module's tokens with the first sentence of each, and the hidden table of contents."""
        rows = []
        entries = sorted((e for e in self.schema.entries.values() if e.module == module), key=lambda e: (e.kind == "function", e.name))
        for entry in entries:
            first = re.split(r"(?<=[a-z`)])[.:](?:\s|$)", " ".join(entry.paragraphs[0].split()))[0]
            rows.append(f"| [{entry.name}]({module}/{entry.name}.md) | {entry.kind} | {first.replace('|', chr(92) + '|')} |")
        names = "\n".join(f"{module}/{entry.name}" for entry in entries)
        types = f"\n{module}/types" if (self.docs / f"reference/{module}/types.md").exists() else ""
        table = "\n".join(["| name | kind | what it is |", "|---|---|---|", *rows])
        return f"## Module `{module}`\n\n{table}\n\n```{{toctree}}\n:hidden:\n\n{names}{types}\n```"

    def provider(self) -> str:
        variables = self.schema.document.get("config", {}).get("variables", {})
        return self.schema.properties(variables)


#: Marks in the other pages of the reference, replaced by what the schema says.
MARK = re.compile(r"^<!-- (modules|provider) -->$", re.MULTILINE)


def _source_read(app: Sphinx, name: str, source: list[str]) -> None:
    reference: Reference = app.reference
    entry = reference.schema.pages.get(name)
    if entry:
        try:
            source[0] = reference.text(entry)
        except ValueError as error:
            log.warning(str(error), location=name)
        app.env.note_dependency(str(reference.docs.parent / "schema.json"))
    elif match := re.fullmatch(r"reference/(\w+)/types", name):
        source[0] = reference.types(match[1])
        app.env.note_dependency(str(reference.docs.parent / "schema.json"))
    elif name in {f"reference/{other}" for other in OTHERS}:
        made = {
            "modules": lambda: "\n\n".join(reference.list_of(module) for module in reference.schema.modules),
            "provider": reference.provider,
        }
        source[0] = MARK.sub(lambda found: made[found[1]](), source[0])


def _start(app: Sphinx) -> None:
    app.reference = Reference(Path(app.srcdir))
    for page, problem in app.reference.problems():
        log.warning(problem, location=page)


def setup(app: Sphinx) -> dict:
    app.connect("builder-inited", _start)
    app.connect("source-read", _source_read)
    return {"version": "1", "parallel_read_safe": True}
