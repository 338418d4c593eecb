"""What schema.json says, as Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PLAIN = {
    "pulumi.json#/Any": "any",
    "pulumi.json#/Asset": "asset",
    "pulumi.json#/Archive": "archive",
}


@dataclass(frozen=True)
class Entry:
    """A resource, component or function of the schema."""

    token: str
    kind: str
    spec: dict = field(repr=False)

    @property
    def module(self) -> str:
        return self.token.split(":")[1]

    @property
    def name(self) -> str:
        return self.token.split(":")[2]

    @property
    def page(self) -> str:
        return f"reference/{self.module}/{self.name}"

    @property
    def paragraphs(self) -> list[str]:
        """The description, by paragraph."""
        return [text.strip("\n") for text in self.spec.get("description", "").strip().split("\n\n")]

    @property
    def inputs(self) -> dict[str, dict]:
        if self.kind == "function":
            return self.spec.get("inputs", {}).get("properties", {})
        return self.spec.get("inputProperties", {})

    @property
    def required_inputs(self) -> set[str]:
        if self.kind == "function":
            return set(self.spec.get("inputs", {}).get("required", []))
        return set(self.spec.get("requiredInputs", []))

    @property
    def outputs(self) -> dict[str, dict]:
        """What it gives; of a resource, which gives its inputs again, without those that mean the same there."""
        if self.kind == "function":
            return self.spec.get("outputs", {}).get("properties", {})
        properties = self.spec.get("properties", {})
        if self.kind == "component":
            return properties
        return {name: it for name, it in properties.items() if meaning(it) != meaning(self.inputs.get(name))}


def meaning(spec: dict | None) -> dict | None:
    """The type and the text of a property, without what only inputs have."""
    kept = {"type", "items", "additionalProperties", "$ref", "oneOf", "description"}
    return spec and {key: it for key, it in spec.items() if key in kept}


class Schema:
    def __init__(self, file: Path) -> None:
        self.document = json.loads(file.read_text())
        self.types: dict[str, dict] = self.document.get("types", {})

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All that has a page, by token."""
        found = [
            Entry(token, "component" if spec.get("isComponent") else "resource", spec)
            for token, spec in self.document.get("resources", {}).items()
        ]
        found += [Entry(token, "function", spec) for token, spec in self.document.get("functions", {}).items()]
        return {entry.token: entry for entry in found}

    @cached_property
    def pages(self) -> dict[str, Entry]:
        return {entry.page: entry for entry in self.entries.values()}

    @cached_property
    def modules(self) -> list[str]:
        tokens = [*self.entries, *self.types]
        return sorted({token.split(":")[1] for token in tokens}, key=lambda module: (module != "index", module))

    @cached_property
    def asked_for(self) -> set[str]:
        """The types that inputs and settings consist of."""
        found: set[str] = set()

        def walk(spec: object) -> None:
            if isinstance(spec, dict):
                token = str(spec.get("$ref", "")).removeprefix("#/types/")
                if token in self.types and token not in found:
                    found.add(token)
                    walk(self.types[token])
                for value in spec.values():
                    walk(value)
            elif isinstance(spec, list):
                for value in spec:
                    walk(value)

        for entry in self.entries.values():
            walk(entry.inputs)
        walk(self.document.get("config", {}))
        return found

    def kind_of(self, spec: dict) -> str:
        """A property's type, with a link where the type has a text of its own."""
        reference = spec.get("$ref")
        if reference:
            if reference in PLAIN:
                return PLAIN[reference]
            if reference == "#/provider":
                return "provider"
            token = reference.removeprefix("#/types/")
            if token in self.types:
                return f"[{token.split(':')[2]}](#{anchor(token)})"
            return token
        if "oneOf" in spec:
            return " or ".join(dict.fromkeys(self.kind_of(one) for one in spec["oneOf"]))
        kind = spec.get("type", "any")
        if kind == "array":
            return f"list of {self.kind_of(spec.get('items', {}))}"
        if kind == "object":
            return f"map of {self.kind_of(spec.get('additionalProperties', {}))}"
        return kind

    def replacing(self, entry: Entry) -> list[str]:
        """The paths of inputs whose change replaces the resource, inside of types as well."""

        def within(properties: dict[str, dict], path: str, seen: frozenset[str]) -> list[str]:
            found = []
            for name, spec in properties.items():
                here = f"{path}{name}"
                if spec.get("replaceOnChanges") or spec.get("willReplaceOnChanges"):
                    found.append(here)
                    continue
                inner, suffix = spec, ""
                while inner.get("type") == "array":
                    inner, suffix = inner.get("items", {}), f"{suffix}[*]"
                token = inner.get("$ref", "").removeprefix("#/types/")
                if token in self.types and token not in seen:
                    found += within(self.types[token].get("properties", {}), f"{here}{suffix}.", seen | {token})
            return found

        return within(entry.inputs, "", frozenset())

    def properties(self, properties: dict[str, dict], required: set[str] | None = None, replacing: bool = False) -> str:
        """A definition list. `required` is None where nothing is asked for."""
        parts = []
        for name, spec in sorted(properties.items(), key=lambda it: (it[0] not in (required or set()), it[0])):
            facts = [self.kind_of(spec)]
            if required and name in required:
                facts.append("**required**")
            if spec.get("secret"):
                facts.append("secret")
            if replacing and (spec.get("replaceOnChanges") or spec.get("willReplaceOnChanges")):
                facts.append("replaces")
            text = spec.get("description", "").strip()
            if "default" in spec and "default" not in text.lower():
                facts.append(f"default `{json.dumps(spec['default']).strip(chr(34))}`")
            for variable in spec.get("defaultInfo", {}).get("environment", []):
                facts.append(f"from `{variable}`")
            if spec.get("deprecationMessage"):
                facts.append(f"deprecated: {spec['deprecationMessage']}")
            body = (text or "\N{EM DASH}").replace("\n", "\n  ")
            parts.append(f"`{name}` ({', '.join(facts)})\n: {body}\n")
        return "\n".join(parts)

    def type_text(self, token: str) -> str:
        spec = self.types[token]
        lines = [f"({anchor(token)})=", f"## {token.split(':')[2]}", "", spec.get("description", "").strip(), ""]
        if "enum" in spec:
            for one in spec["enum"]:
                value = one.get("value", one.get("name"))
                lines.append(f"`{value}`\n: {(one.get('description') or chr(0x2014)).strip()}".replace("\n", "\n  ").replace("\n  : ", "\n: ", 1))
                lines.append("")
        else:
            # What is always there in an answer is no demand on anybody.
            required = set(spec.get("required", [])) if token in self.asked_for else None
            lines.append(self.properties(spec.get("properties", {}), required))
        return "\n".join(lines)


def anchor(token: str) -> str:
    _, module, name = token.split(":")
    return f"type-{module}-{name}".lower()
