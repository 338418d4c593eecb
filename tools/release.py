#!/usr/bin/env python3
"""Makes a release: version, changelog, generated files, commit, tags, archives, packages.

    tools/release.py 0.2.0              tells what it would do, and changes nothing
    tools/release.py 0.2.0 --execute    does it, up to what others can see: pushing and publishing are printed, for you

The version stands in Cargo.toml alone; binary, schema, SDKs and archives follow from it.
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import schema_compat

ROOT = Path(__file__).resolve().parents[1]
#: What https://semver.org allows, without build metadata, which archives have no place for; of pre-releases those that Python has as well.
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-(alpha|beta|rc)\.(0|[1-9]\d*))?")
#: What later schemas are compared with.
RELEASED = ROOT / "sdk/released-schema.json"
HEADING = re.compile(r"(?m)^## (?:(?P<version>\S+) \(unreleased\)|Unreleased)$")


class Refused(Exception):
    """The release cannot be made; the text says why and what to do."""


def order(version: str) -> tuple:
    """For comparison: a pre-release comes before its release."""
    match = SEMVER.fullmatch(version)
    if not match:
        raise Refused(f"{version} is not a semantic version such as 1.2.3 or 1.2.3-rc.1 (or alpha, or beta)")
    numbers = tuple(int(part) for part in match.groups()[:3])
    return numbers, not match[4], match[4] or "", int(match[5] or 0)


def series(version: str) -> tuple[int, ...]:
    """The versions among which nothing may break."""
    major, minor, patch = order(version)[0]
    return (major,) if major else (0, minor) if minor else (0, 0, patch)


def git(*args: str) -> str:
    return subprocess.run(["git", *args], cwd=ROOT, text=True, capture_output=True, check=True).stdout.strip()


def manifest(text: str, old: str, new: str) -> str:
    """The workspace's version, and what its members ask of each other."""
    text = re.sub(rf'(?m)^version = "{re.escape(old)}"$', f'version = "{new}"', text, count=1)
    return re.sub(rf'(?m)^(pulumi-\w+ = \{{ path = "[^"]+", version = ")[^"]+"', rf'\g<1>{new}"', text)


def lock(text: str, new: str) -> str:
    """Packages without a source are this workspace's own."""
    blocks = text.split("[[package]]\n")
    own = [re.sub(r'(?m)^version = ".*"$', f'version = "{new}"', block, count=1) if "\nsource = " not in block else block for block in blocks[1:]]
    return "[[package]]\n".join([blocks[0], *own])


def changelog(text: str, new: str, day: str) -> str:
    heading = re.search(r"(?m)^## .*$", text)
    if not heading or not HEADING.fullmatch(heading[0]):
        raise Refused("CHANGELOG.md does not begin with a section '## Unreleased': there is nothing to release")
    section = re.split(r"(?m)^## ", text[heading.end() :])[0]
    if not re.search(r"(?m)^- ", section):
        raise Refused("the changelog's unreleased section is empty: say what changed")
    return text[: heading.start()] + f"## {new} ({day})" + text[heading.end() :]


def template(text: str, new: str) -> str:
    return re.sub(r'(?m)^pulumi-provider = "[^"]+"$', f'pulumi-provider = "{new}"', text)


def readme(text: str, old: str, new: str) -> str:
    """The commands that install it, for which there is something to install from now on."""
    text = text.replace("There is no release yet: `make dist`", "From a checkout, `make dist`")
    return re.sub(rf"(?<![\d.]){re.escape(old)}(?![\w+-]|\.\d)", new, text)


def edits(old: str, new: str, day: str) -> dict[Path, str]:
    """Each file that a person would edit, with its new text."""
    makers = {
        "Cargo.toml": lambda text: manifest(text, old, new),
        "Cargo.lock": lambda text: lock(text, new),
        "README.md": lambda text: readme(text, old, new),
        "CHANGELOG.md": lambda text: changelog(text, new, day),
        "templates/provider/Cargo.toml": lambda text: template(text, new),
    }
    return {ROOT / name: make((ROOT / name).read_text()) for name, make in makers.items()}


def preconditions(old: str, new: str) -> None:
    if order(new) < order(old):
        raise Refused(f"{new} is older than {old}, which Cargo.toml says")
    if git("status", "--porcelain"):
        raise Refused("there are uncommitted changes: commit or stash them first")
    if taken := [tag for tag in tags(new) if git("tag", "--list", tag)]:
        raise Refused(f"the tag {taken[0]} exists: {new} is released already")
    if RELEASED.exists():
        released = json.loads(RELEASED.read_text())
        broken = schema_compat.breaking(released, json.loads((ROOT / "schema.json").read_text()))
        if broken and series(released["version"]) == series(new):
            where, what = broken[0]
            raise Refused(f"{new} may break nothing of {released['version']}, and {where}: {what}; `tools/schema_compat.py` lists everything")


def tags(version: str) -> list[str]:
    """Go finds a module in a folder by a tag with the folder's name."""
    return [f"v{version}", f"sdk/go/v{version}"]


def show(path: Path, text: str) -> None:
    name = str(path.relative_to(ROOT))
    lines = difflib.unified_diff(path.read_text().splitlines(), text.splitlines(), f"a/{name}", f"b/{name}", n=0, lineterm="")
    print("\n".join(lines))


def run(*command: str) -> None:
    print(f"$ {shlex.join(command)}", flush=True)
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise Refused(f"{shlex.join(command)} failed; `git checkout .` undoes what is not committed yet")


def keep_schema(new: str) -> None:
    """What later changes are compared with."""
    found = json.loads((ROOT / "schema.json").read_text())["version"]
    if found != new:
        raise Refused(f"schema.json has the version {found} and not {new}: `make sdk` did not do its work")
    shutil.copy(ROOT / "schema.json", RELEASED)


def platforms() -> list[str]:
    """Those that archives are released for. Read, as importing it takes packages that a release does without."""
    return re.findall(r'(?m)^    "(\w+-\w+)": "', (ROOT / "tools/dist.py").read_text())


def publishing(new: str) -> list[str]:
    pushed = " ".join(tags(new))
    before = "-" in new
    # As Python writes a pre-release.
    wheel = re.sub(r"-(a|b|rc)[a-z]*\.", r"\1", new)
    return [
        f"git push origin HEAD {pushed}",
        *(
            f"git checkout v{new} && make dist PLATFORMS={platform}  # where it can be built; what it leaves in dist goes into dist here"
            for platform in platforms()
        ),
        ".venv/bin/python tools/dist.py --checksums",
        f"gh release create v{new} --verify-tag{' --prerelease' if before else ''} dist/pulumi-resource-ptd-v{new}-*",
        f"python -m twine upload dist/sdks/pulumi_ptd-{wheel}-*.whl",
        f"npm publish --access public{' --tag next' if before else ''} dist/sdks/posit-dev-pulumi-ptd-{new}.tgz",
        f"mvn deploy:deploy-file -DrepositoryId=<id> -Durl=<url> -Dfile=dist/sdks/ptd-{new}.jar -DpomFile=dist/sdks/ptd-{new}.pom",
        "pulumi package gen-sdk schema.json --language dotnet --out dist/sdks && dotnet pack dist/sdks/dotnet --output dist/sdks",
        f"dotnet nuget push dist/sdks/PositDev.Ptd.{new}.nupkg --source https://api.nuget.org/v3/index.json",
        *(f"cargo publish --locked -p {crate}" for crate in ("pulumi-proto", "pulumi-provider", "pulumi-automation")),
    ]


def release(new: str, day: str, execute: bool) -> None:
    old = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    preconditions(old, new)
    changed = edits(old, new, day)
    make = os.environ.get("MAKE", "make")
    before = [[make, "sdk"], [make, "check-generated"]]
    after = [["git", "add", "--all"], ["git", "commit", "--quiet", "-m", f"Release {new}"]]
    # An archive that is too large, say, is better found before there is a tag.
    after += [[make, "package"], [make, "msrv"], [make, "dist"], [make, "dist-check"], *(["git", "tag", "-a", tag, "-m", f"Release {new}"] for tag in tags(new))]
    if not execute:
        print(f"This would release {new}; nothing is changed without --execute.\n")
        for path, text in changed.items():
            show(path, text)
        print("\n" + "\n".join(f"$ {shlex.join(command)}" for command in [*before, ["cp", "schema.json", str(RELEASED.relative_to(ROOT))], *after]))
    else:
        for path, text in changed.items():
            path.write_text(text)
        for command in before:
            run(*command)
        keep_schema(new)
        for command in after:
            run(*command)
    print("\nThen, by hand:\n\n" + "\n".join(f"$ {line}" for line in publishing(new)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--execute", action="store_true", help="do it; without this it is only told")
    parser.add_argument("--date", default=datetime.datetime.now(datetime.UTC).date().isoformat(), help="of the changelog's section; default: today")
    args = parser.parse_args()
    try:
        release(args.version, args.date, args.execute)
    except Refused as refused:
        sys.exit(f"no release: {refused}")


if __name__ == "__main__":
    main()
