#!/usr/bin/env python3
"""What in schema.json breaks programs that were written for the last release.

    tools/schema_compat.py [--released sdk/released-schema.json] [--schema schema.json] [--changelog CHANGELOG.md]

Fails when something does and the changelog's section for what comes next does not name it under a heading "Breaking".
The release script keeps the released schema; as long as nothing was released there is nothing to break.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What a property is, as far as programs notice.
SHAPE = ("type", "$ref", "items", "additionalProperties", "oneOf", "const", "plain")
#: What projects and programs call the packages.
NAMES = ("packageName", "basePackage", "rootNamespace", "importBasePath", "modulePath")


def references(node: object) -> Iterator[str]:
    """The tokens of the types that are used anywhere below."""
    if isinstance(node, dict):
        ref = node.get("$ref", "")
        if isinstance(ref, str) and ref.startswith("#/types/"):
            yield ref.removeprefix("#/types/")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def directions(schema: dict) -> tuple[set[str], set[str]]:
    """The types that programs write, and those that they read."""
    written: list[object] = [schema.get("config"), schema.get("provider", {}).get("inputProperties")]
    read: list[object] = []
    for resource in schema.get("resources", {}).values():
        written += [resource.get("inputProperties"), resource.get("stateInputs")]
        read.append(resource.get("properties"))
    for function in schema.get("functions", {}).values():
        written.append(function.get("inputs"))
        read += [function.get("outputs"), function.get("returnType")]

    def closure(roots: object) -> set[str]:
        found: set[str] = set()
        waiting = list(references(roots))
        while waiting:
            token = waiting.pop()
            if token not in found:
                found.add(token)
                waiting += references(schema.get("types", {}).get(token))
        return found

    return closure(written), closure(read)


def shape(spec: dict) -> dict:
    return {key: spec[key] for key in SHAPE if key in spec}


def properties(old: dict, new: dict, *, written: bool, read: bool, key: str = "properties", required: str = "required") -> Iterator[str]:
    """What changed in one object's properties that somebody who writes or reads it notices."""
    before, after = old.get(key) or {}, new.get(key) or {}
    needed_before, needed_after = set(old.get(required) or ()), set(new.get(required) or ())
    kind = "output" if read and not written else "input" if written and not read else "property"
    for name, was in before.items():
        if name not in after:
            yield f"{kind} {name} is gone"
            continue
        now = after[name]
        if shape(was) != shape(now):
            yield f"{kind} {name} was {json.dumps(shape(was))} and is {json.dumps(shape(now))}"
        # The value would stand in states and logs in the clear.
        if was.get("secret") and not now.get("secret"):
            yield f"{kind} {name} was secret and is not"
        if written and was.get("default") != now.get("default"):
            yield f"{kind} {name} had the default {json.dumps(was.get('default'))} and has {json.dumps(now.get('default'))}"
        if written and now.get("willReplaceOnChanges") and not was.get("willReplaceOnChanges"):
            yield f"{kind} {name} did not force a replacement and does"
        if read and name in needed_before - needed_after:
            yield f"{kind} {name} was always there and is optional"
    if written:
        for name in sorted(needed_after - needed_before):
            yield f"{kind} {name} was {'optional' if name in before else 'not there'} and is required"


def inputs(old: dict, new: dict) -> Iterator[str]:
    yield from properties(old, new, written=True, read=False, key="inputProperties", required="requiredInputs")


def resource(old: dict, new: dict) -> Iterator[str]:
    if bool(old.get("isComponent")) != bool(new.get("isComponent")):
        yield "was a component, or became one"
    yield from inputs(old, new)
    yield from properties(old, new, written=False, read=True)
    for name, was in ((old.get("stateInputs") or {}).get("properties") or {}).items():
        now = ((new.get("stateInputs") or {}).get("properties") or {}).get(name)
        if now is None or shape(was) != shape(now):
            yield f"state {name} to look it up by is gone or another"
    for name in old.get("methods") or {}:
        if name not in (new.get("methods") or {}):
            yield f"method {name} is gone"


def function(old: dict, new: dict) -> Iterator[str]:
    yield from properties(old.get("inputs") or {}, new.get("inputs") or {}, written=True, read=False)
    yield from properties(old.get("outputs") or {}, new.get("outputs") or {}, written=False, read=True)
    for key in ("returnType", "multiArgumentInputs"):
        if old.get(key) != new.get(key):
            yield f"{key} was {json.dumps(old.get(key))} and is {json.dumps(new.get(key))}"


def named(old: dict, new: dict, *, written: bool, read: bool) -> Iterator[str]:
    if ("enum" in old) != ("enum" in new):
        yield "was an enum, or became one"
    elif "enum" in old:
        if old.get("type") != new.get("type"):
            yield f"was an enum of {old.get('type')} and is one of {new.get('type')}"
        after = {value["value"]: value.get("name") for value in new["enum"]}
        for value in old["enum"]:
            if value["value"] not in after:
                yield f"value {value['value']} is gone"
            elif after[value["value"]] != value.get("name"):
                yield f"value {value['value']} was called {value.get('name')} and is called {after[value['value']]}"
    else:
        yield from properties(old, new, written=written, read=read)


def breaking(old: dict, new: dict) -> list[tuple[str, str]]:
    """Everything that breaks: where (a token, `provider` or `config`) and what."""
    found: list[tuple[str, str]] = []
    if old.get("name") != new.get("name"):
        found.append(("package", f"was called {old.get('name')} and is called {new.get('name')}"))
    for language, settings in (old.get("language") or {}).items():
        after = (new.get("language") or {}).get(language) or {}
        for key in NAMES:
            if key in settings and settings[key] != after.get(key):
                found.append(("package", f"{key} of {language} was {settings[key]} and is {after.get(key)}"))
    found += [("provider", what) for what in inputs(old.get("provider") or {}, new.get("provider") or {})]
    config_before, config_after = old.get("config") or {}, new.get("config") or {}
    found += [
        ("config", what) for what in properties(config_before, config_after, written=True, read=False, key="variables", required="defaults")
    ]
    written, read = directions(old)
    for section, kind in (("resources", "resource"), ("functions", "function"), ("types", "type")):
        after = new.get(section) or {}
        for token, was in (old.get(section) or {}).items():
            if token not in after:
                found.append((token, f"the {kind} is gone"))
            elif section == "resources":
                found += [(token, what) for what in resource(was, after[token])]
            elif section == "functions":
                found += [(token, what) for what in function(was, after[token])]
            else:
                found += [(token, what) for what in named(was, after[token], written=token in written, read=token in read)]
    return found


def admitted(changelog: str, released: str) -> str:
    """What the first section says under "Breaking"; nothing, when it is the section of what was released already."""
    sections = re.split(r"(?m)^## ", changelog)
    current = sections[1] if len(sections) > 1 else ""
    if current.split(maxsplit=1)[:1] == [released]:
        return ""
    parts = re.split(r"(?m)^### ", current)
    return "\n".join(part for part in parts[1:] if part.lower().startswith("breaking"))


def label(where: str, tokens: list[str]) -> str:
    """What the changelog has to call it: the last part of the token, and its module as well when several end so."""
    _, *module, name = where.split(":")
    twins = [token for token in tokens if token.rsplit(":", 1)[-1] == name]
    return f"{module[0].split('/')[0]}:{name}" if module and len(twins) > 1 else name


def silent(found: list[tuple[str, str]], text: str, tokens: list[str]) -> list[str]:
    """What the changelog does not own up to: names, each with the properties it has to name as well."""
    untold = []
    for where, what in found:
        words = [label(where, tokens) if ":" in where else where]
        # "input size is gone" is about `size`; "the resource is gone" about nothing but the token.
        words += re.findall(r"^(?:input|output|property|method|value|state) (\S+)", what)
        # One entry, which may go over several lines, names them all.
        entries = re.split(r"(?m)^- ", text)
        patterns = [rf"(?<!\w){re.escape(word).replace(':', '[:.]')}(?!\w)" for word in words]
        if not any(all(re.search(pattern, entry) for pattern in patterns) for entry in entries):
            untold.append(" with ".join(words))
    return sorted(set(untold))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--released", type=Path, default=ROOT / "sdk/released-schema.json")
    parser.add_argument("--schema", type=Path, default=ROOT / "schema.json")
    parser.add_argument("--changelog", type=Path, default=ROOT / "CHANGELOG.md")
    args = parser.parse_args()
    if not args.released.exists():
        print("schema: nothing was released yet, so nothing can break")
        return
    released = json.loads(args.released.read_text())
    found = breaking(released, json.loads(args.schema.read_text()))
    for where, what in found:
        print(f"breaking since {released.get('version')}: {where}: {what}")
    told = admitted(args.changelog.read_text(), released.get("version", ""))
    if untold := silent(found, told, [token for section in ("resources", "functions", "types") for token in released.get(section) or {}]):
        names = ", ".join(untold)
        sys.exit(f"{args.changelog.name} has to name {names} under '### Breaking' of its unreleased section, with what users must do")
    if not found:
        print(f"schema: compatible with {released.get('version')}")


if __name__ == "__main__":
    main()
