"""Versions of Kubernetes that the double's region has, and how they compare."""

from __future__ import annotations

MINORS = range(28, 35)
PATCHES = range(0, 10)


def parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def supported(version: str) -> bool:
    try:
        found = parts(version)
    except ValueError:
        return False
    return len(found) in (2, 3) and found[0] == 1 and found[1] in MINORS and (len(found) == 2 or found[2] in PATCHES)


def full(version: str) -> str:
    """The newest patch, where only a minor version is asked for."""
    return version if len(parts(version)) == 3 else f"{version}.{PATCHES[-1]}"


def reached(wanted: str, current: str) -> str:
    """What runs once a version was asked for: a minor version that is there already brings no newer patch."""
    return current if parts(current)[: len(parts(wanted))] == parts(wanted) else full(wanted)


def listed() -> dict:
    """As the region lists them."""
    return {
        "values": [
            {
                "version": f"1.{minor}",
                "capabilities": {"supportPlan": ["KubernetesOfficial"]},
                "isPreview": False,
                "isDefault": minor == MINORS[-3],
                "patchVersions": {
                    f"1.{minor}.{patch}": {"upgrades": [v for v in upgrades(f"1.{minor}.{patch}")]} for patch in PATCHES
                },
            }
            for minor in MINORS
        ]
    }


def upgrades(version: str) -> list[str]:
    minor, patch = parts(full(version))[1:]
    same = [f"1.{minor}.{later}" for later in PATCHES if later > patch]
    return same + ([f"1.{minor + 1}.{later}" for later in PATCHES] if minor + 1 in MINORS else [])
