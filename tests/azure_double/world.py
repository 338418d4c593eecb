"""Everything the double knows: resources, settings, time."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .operations import Operations
from .wire import Refused, Request

SYSTEM_DATA = {
    "createdBy": "00000000-0000-0000-0000-00000000c1e7",
    "createdByType": "Application",
    "lastModifiedBy": "00000000-0000-0000-0000-00000000c1e7",
    "lastModifiedByType": "Application",
}


@dataclass
class Settings:
    """What a test can set; the names of `/_double/settings`."""

    #: Whose subscriptions exist, and in which tenant they live. Empty: all of them, in the tenant that asks.
    subscriptions: dict[str, str] = field(default_factory=dict)
    #: Namespaces a subscription starts with; everything else has to be registered first. None: all.
    registered: list[str] | None = None
    register_allowed: bool = True
    #: How many polls see a registration in progress.
    register_polls: int = 2
    page_size: int = 100
    #: The first page of a list is empty, with a link to the next.
    empty_first_page: bool = False
    #: So many reads of a new resource say that it does not exist.
    stale_reads: int = 0
    #: So many creations of a role assignment do not know their principal yet, by principal.
    unknown_principals: dict[str, int] = field(default_factory=dict)
    #: The data plane of a vault asks for a role, which works `rbac_delay` seconds after its assignment.
    rbac: bool = False
    rbac_delay: float = 0.0
    #: So many reads see an object of a vault still being deleted or recovered.
    deletion_polls: int = 1
    #: Seconds for which the name of a deleted container cannot be used.
    container_hold: float = 0.0
    #: Names of storage accounts and vaults that strangers have.
    taken: list[str] = field(default_factory=list)
    #: Format of the blob address of a new account.
    blob_endpoint: str = "https://{name}.blob.core.windows.net/"
    storage_key: str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    #: Where clusters and pools tell of their operations: this header, or `Operation-Location`.
    operation_header: str = "Azure-AsyncOperation"
    #: Two operations on different pools of a cluster at once.
    pools_overlap: bool = False
    #: A size other than the live one is refused while the autoscaler has a pool; otherwise it is applied.
    strict_autoscaling: bool = True


@dataclass
class Resource:
    #: As the service answers it.
    doc: dict[str, Any]
    #: So many reads will still not find it.
    stale: int = 0
    created: float = 0.0
    #: What belongs to it and is no part of the answer.
    inside: dict[str, Any] = field(default_factory=dict)


class World:
    def __init__(self, base: str = "") -> None:
        #: Where the double listens, e.g. https://127.0.0.1:1234
        self.base = base
        self.reset()

    def reset(self) -> None:
        self.clock = Clock()
        self.settings = Settings()
        self.operations = Operations(self.clock)
        #: By id in lower case.
        self.resources: dict[str, Resource] = {}
        self.deleted_vaults: dict[str, Resource] = {}
        #: States of registration, by subscription and namespace in lower case.
        self.registrations: dict[tuple[str, str], list] = {}
        #: Names of containers that were just deleted, and until when they are held.
        self.held: dict[str, float] = {}
        #: Tokens issued before this moment have expired.
        self.tokens_from = 0.0
        self.violations: list[str] = []

    def add(self, path: str, doc: dict[str, Any], **inside: Any) -> Resource:
        made = Resource(doc, self.settings.stale_reads, self.clock.now(), inside)
        self.resources[path.lower()] = made
        return made

    def find(self, path: str) -> Resource | None:
        return self.resources.get(path.lower())

    def read(self, path: str) -> Resource | None:
        """As a reader sees it, who may be shown the past."""
        found = self.find(path)
        if found and found.stale:
            found.stale -= 1
            return None
        self.operations.seen(path)
        return found

    def below(self, path: str, kind: str = "") -> list[Resource]:
        """What is below a path; with a kind, only what is of that kind."""
        low, kind = path.lower() + "/", kind.lower()
        return [
            resource for key, resource in sorted(self.resources.items())
            if key.startswith(low) and not resource.stale and (not kind or resource.doc.get("type", "").lower() == kind)
        ]  # fmt: skip

    def remove(self, path: str) -> None:
        low = path.lower()
        for key in [key for key in self.resources if key == low or key.startswith(low + "/")]:
            del self.resources[key]

    def need_group(self, request: Request) -> None:
        group = request.names.get("group")
        if group is None:
            return
        found = self.find(f"/subscriptions/{request.names['sub']}/resourcegroups/{group}")
        if found is None:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.",
                          **{"x-ms-failure-cause": "gateway"})  # fmt: skip
        if found.doc["properties"]["provisioningState"] == "Deleting" and request.method in ("PUT", "PATCH"):
            raise Refused(409, "ResourceGroupBeingDeleted",
                          f"The resource group '{group}' is in deprovisioning state and cannot perform this operation.")


def group_path(names: dict[str, str]) -> str:
    return f"/subscriptions/{names['sub']}/resourceGroups/{names['group']}"


def not_found(kind: str, name: str, group: str) -> Refused:
    return Refused(404, "ResourceNotFound",
                   f"The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please "
                   "go to https://aka.ms/ARMResourceNotFoundFix", **{"x-ms-failure-cause": "gateway"})  # fmt: skip


def new_guid() -> str:
    return str(uuid.uuid4())
