"""The bill of materials of the plugin, as SPDX 2.3: every crate that is compiled into it, from Cargo's own metadata."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from license_expression import get_spdx_licensing
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    PackagePurpose,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from spdx_tools.spdx.writer.json.json_writer import write_document_to_file

REGISTRY = "registry+"


def metadata(root: Path, triple: str) -> dict:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", triple]
    return json.loads(subprocess.run(command, cwd=root, text=True, capture_output=True, check=True).stdout)


def compiled_in(found: dict, crate: str) -> list[tuple[dict, list[str]]]:
    """The packages the crate is made of, the crate first, each with what it depends on. Tools of the build and of the
    tests leave nothing in the binary."""
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    (start,) = (id for id in found["workspace_members"] if packages[id]["name"] == crate)
    seen, waiting = {}, [start]
    while waiting:
        id = waiting.pop()
        if id in seen:
            continue
        seen[id] = sorted(
            dependency["pkg"]
            for dependency in nodes[id]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and not is_macro(packages[dependency["pkg"]])
        )
        waiting += seen[id]
    rest = sorted((id for id in seen if id != start), key=lambda id: (packages[id]["name"], packages[id]["version"]))
    return [(packages[id], seen[id]) for id in [start, *rest]]


def is_macro(package: dict) -> bool:
    return any("proc-macro" in target["kind"] for target in package["targets"])


def checksums(root: Path) -> dict[tuple[str, str], str]:
    """By name and version, the SHA-256 that Cargo.lock pins."""
    blocks = (root / "Cargo.lock").read_text().split("[[package]]")
    found = {}
    for block in blocks:
        fields = dict(re.findall(r'(?m)^(name|version|checksum) = "(.*)"$', block))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


# Reading SPDX's list takes a tenth of a second.
_licensing = cache(get_spdx_licensing)


@cache
def licence(text: str | None) -> object:
    """Older crates write a slash where SPDX says OR."""
    return _licensing().parse(text.replace("/", " OR ")) if text else SpdxNoAssertion()


def spdx_id(package: dict) -> str:
    return "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{package['name']}-{package['version']}")


def describe(package: dict, sums: dict[tuple[str, str], str]) -> Package:
    name, version = package["name"], package["version"]
    from_registry = (package["source"] or "").startswith(REGISTRY)
    purl = ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", f"pkg:cargo/{name}@{version}")
    checksum = sums.get((name, version))
    return Package(
        spdx_id(package),
        name,
        f"https://crates.io/api/v1/crates/{name}/{version}/download" if from_registry else SpdxNoAssertion(),
        version=version,
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, checksum)] if checksum else [],
        license_concluded=SpdxNoAssertion(),
        license_declared=licence(package["license"]),
        copyright_text=SpdxNoAssertion(),
        external_references=[purl] if from_registry else [],
        primary_package_purpose=PackagePurpose.LIBRARY,
    )


def write(root: Path, out: Path, *, binary_digest: str, archive: str, version: str, triple: str, epoch: int) -> int:
    """Writes the document and returns how many packages it lists. The same inputs make the same bytes."""
    listed = compiled_in(metadata(root, triple), "ptd")
    sums = checksums(root)
    ids = {package["id"]: spdx_id(package) for package, _ in listed}
    packages = [describe(package, sums) for package, _ in listed]
    packages[0].primary_package_purpose = PackagePurpose.APPLICATION
    packages[0].checksums = [Checksum(ChecksumAlgorithm.SHA256, binary_digest)]
    relationships = [Relationship("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, packages[0].spdx_id)]
    relationships += [
        Relationship(ids[package["id"]], RelationshipType.DEPENDS_ON, ids[dependency]) for package, needs in listed for dependency in needs
    ]
    info = CreationInfo(
        "SPDX-2.3",
        "SPDXRef-DOCUMENT",
        archive,
        f"https://github.com/posit-dev/pulumi-ptd/releases/download/v{version}/{archive}.spdx.json?{binary_digest[:16]}",
        [Actor(ActorType.ORGANIZATION, "Posit"), Actor(ActorType.TOOL, "pulumi-ptd-dist")],
        datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None),
    )
    document = Document(info, packages=packages, relationships=relationships)
    if problems := validate_full_spdx_document(document):
        raise ValueError("the bill of materials is not valid SPDX: " + "; ".join(problem.validation_message for problem in problems[:5]))
    write_document_to_file(document, str(out), validate=False)
    return len(packages)
