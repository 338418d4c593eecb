"""What tests ask of the double itself, below `/_double/`. Bodies and answers are JSON."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from . import aks
from .faults import Bucket, Fault
from .operations import Rule
from .wire import Answer, Request, merge

if TYPE_CHECKING:
    from .server import Double


class Control:
    def __init__(self, double: Double) -> None:
        self.double = double

    def answer(self, request: Request) -> Answer:
        name = request.path.split("/")[2]
        method = getattr(self, f"_{name}", None)
        if method is None:
            return Answer(404, {"error": f"no such control: {name}"})
        try:
            with self.double.changed:
                return Answer(200, method(**(request.body or {})))
        except (TypeError, KeyError, ValueError) as error:
            return Answer(400, {"error": f"{type(error).__name__}: {error}"})

    def _reset(self) -> dict:
        self.double.reset()
        self.double.changed.notify_all()
        return {}

    def _settings(self, **values: Any) -> dict:
        """Sets some of the settings, and answers all; `duration`, `polls` and `retry_after_ms` are of operations."""
        operations = self.double.world.operations
        for key, value in values.items():
            if key in ("duration", "polls", "retry_after_ms"):
                setattr(operations, key, value)
            elif key in {field.name for field in fields(self.double.world.settings)}:
                setattr(self.double.world.settings, key, value)
            else:
                raise KeyError(key)
        return asdict(self.double.world.settings)

    def _fault(self, **values: Any) -> dict:
        self.double.faults.all.append(Fault(**values))
        return {}

    def _calm(self) -> dict:
        self.double.faults.all.clear()
        return {}

    def _bucket(self, **values: Any) -> dict:
        self.double.faults.buckets.append(Bucket(**values))
        return {}

    def _release(self) -> dict:
        faults = self.double.faults
        faults.all = [fault for fault in faults.all if not fault.hang]
        faults.released.set()
        faults.released = type(faults.released)()
        return {}

    def _operation(self, **values: Any) -> dict:
        """A rule for the operations that begin from now on. Later rules come first."""
        self.double.world.operations.rules.insert(0, Rule(**values))
        return {}

    def _advance(self, seconds: float) -> dict:
        world = self.double.world
        world.clock.offset += seconds
        world.operations.tick()
        return {"now": world.clock.now()}

    def _expire_tokens(self) -> dict:
        self.double.world.tokens_from = self.double.world.clock.now()
        return {}

    def _log(self, since: int = 0) -> dict:
        return {"log": self.double.log[since:], "violations": self.double.world.violations}

    def _await(self, method: str = ".*", path: str = ".*", count: int = 1, answered: bool = False, since: int = 0,
               timeout: float = 120.0) -> dict:  # fmt: skip
        """Returns when so many requests have arrived (or been answered)."""

        def matching() -> list[dict]:
            return [
                entry for entry in self.double.log[since:]
                if re.fullmatch(method, entry["method"]) and re.search(path, entry["target"], re.I)
                and (not answered or entry["status"] is not None)
            ]  # fmt: skip

        done = self.double.changed.wait_for(lambda: len(matching()) >= count, timeout)
        return {"found": done, "log": matching()}

    def _resources(self) -> dict:
        """Everything there is, by id in lower case, as a reader would see it."""
        world = self.double.world
        return {key: aks.shown(world, found) for key, found in world.resources.items()}

    def _put(self, id: str, doc: dict) -> dict:
        """A resource that somebody else made."""
        self.double.world.add(id, {"id": id, "name": id.rsplit("/", 1)[1], **doc})
        return {}

    def _mutate(self, id: str, patch: dict) -> dict:
        """Somebody else changes a resource: a merge patch on what the service answers."""
        found = self.double.world.find(id)
        if found is None:
            raise KeyError(id)
        found.doc = merge(found.doc, patch)
        return found.doc

    def _objects(self, id: str) -> dict:
        """What a vault holds: the values of its secrets and the number of its keys' versions, by name."""
        found = self.double.world.find(id)
        if found is None:
            raise KeyError(id)
        return {
            "secrets": {e["name"]: [v["value"] for v in e["versions"]] for e in found.inside["secrets"].values()},
            "keys": {e["name"]: len(e["versions"]) for e in found.inside["keys"].values()},
        }

    def _remove(self, id: str) -> dict:
        self.double.world.remove(id)
        return {}

    def _upgrade(self, id: str, version: str, busy: float = 0.0) -> dict:
        """The service upgrades a cluster and its pools on its own, and is busy for so many seconds."""
        return aks.auto_upgrade(self.double.world, id, version, busy)

    def _operations(self) -> dict:
        known = self.double.world.operations.known.values()
        return {"operations": [{"id": o.id, "kind": o.kind, "path": o.path, "status": o.status} for o in known]}
