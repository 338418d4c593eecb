#!/usr/bin/env python3
"""Packs the SDKs of this checkout as the package registries take them.

    tools/pack_sdks.py OUT [python] [nodejs] [java]

Go needs no package: `go get` reads the tag sdk/go/vX.Y.Z. .NET is generated where its generator is to be had; see
CONTRIBUTING.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns("bin", "build", "node_modules", "target", "*.egg-info", "__pycache__", ".generated")


def run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run([*map(str, command)], cwd=cwd, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed in {cwd}:\n{done.stdout}{done.stderr}")


#: What each language's package is made with.
TOOLS = {"python": [], "nodejs": ["npm", "node"], "java": ["java", "mvn"]}


def missing(languages: list[str]) -> list[str]:
    return [tool for language in languages for tool in TOOLS[language] if not shutil.which(tool)]


def copy(language: str, folder: Path) -> Path:
    """Building leaves nothing in the checkout."""
    source = folder / language
    shutil.copytree(ROOT / "sdk" / language, source, ignore=LEFT_OUT)
    shutil.copy(ROOT / "LICENSE", source)
    return source


def python(folder: Path, out: Path) -> None:
    """A wheel, which pip installs without building anything."""
    source = copy("python", folder)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index",
        "--wheel-dir", out, source, cwd=folder)  # fmt: skip


def nodejs(folder: Path, out: Path, modules: Path | None = None) -> None:
    """JavaScript and type declarations. `modules` is a node_modules that has what the package is built with."""
    source = copy("nodejs", folder)
    if modules:
        (source / "node_modules").symlink_to(modules.resolve())
    else:
        run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", cwd=source)
    run("node", "node_modules/typescript/bin/tsc", cwd=source)
    package = json.loads((source / "package.json").read_text())
    # Nothing is left to build, nor to build with.
    for key in ("scripts", "devDependencies"):
        package.pop(key, None)
    package |= {"main": "index.js", "types": "index.d.ts"}
    (source / "bin/package.json").write_text(json.dumps(package, indent=4) + "\n")
    for name in ("README.md", "LICENSE"):
        shutil.copy(source / name, source / "bin")
    run("npm", "pack", "--silent", "--pack-destination", out.resolve(), "./bin", cwd=source)


def java(folder: Path, out: Path) -> None:
    """A jar, and the pom that says what it needs."""
    source = copy("java", folder)
    inside = source / "src/main/resources/META-INF"
    inside.mkdir(parents=True)
    shutil.move(source / "LICENSE", inside)
    run("mvn", "--quiet", "--batch-mode", "package", cwd=source)
    (jar,) = (source / "target").glob("*.jar")
    shutil.copy(jar, out)
    shutil.copy(source / "pom.xml", out / jar.with_suffix(".pom").name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="where the packages go")
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help="python, nodejs or java; all of them when none is named")
    parser.add_argument("--node-modules", type=Path, help="has pulumi, its types and TypeScript; fetched when not given")
    parser.add_argument("--check-tools", action="store_true", help="only say which tools are missing")
    args = parser.parse_args()
    if unknown := set(args.languages) - set(TOOLS):
        parser.error(f"no package is made for {', '.join(sorted(unknown))}")
    languages = args.languages or list(TOOLS)
    if absent := missing(languages):
        sys.exit(f"the packages of {', '.join(languages)} cannot be made: not on PATH: {', '.join(absent)}")
    if args.check_tools:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "python" in languages:
            python(folder, out)
        if "nodejs" in languages:
            nodejs(folder, out, args.node_modules)
        if "java" in languages:
            java(folder, out)


if __name__ == "__main__":
    main()
