"""The table: one row for each thing measured."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = f"{'what':<46}{'ours':>10}{'must reach':>14}{'':>8}{'peer':>11}{'ratio':>8}  remarks"


@dataclass(frozen=True)
class Peer:
    """Somebody else's figure. `recorded` is where it was written down, if it was not measured in this run."""

    name: str
    value: float
    recorded: bool = True

    def __str__(self) -> str:
        return f"{self.name}{' (recorded)' if self.recorded else ''}"


@dataclass(frozen=True)
class Row:
    """One figure. Without `limit` it is there for comparison."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    peer: Peer | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        return self.limit is not None and self.value > self.limit

    def __str__(self) -> str:
        def figure(value: float) -> str:
            return f"{value:.2f} {self.unit}"

        limit = "" if self.limit is None else f"<= {self.limit:g} {self.unit}"
        verdict = "" if self.limit is None else "MISSED" if self.missed else "ok"
        peer = figure(self.peer.value) if self.peer else ""
        ratio = f"{self.value / self.peer.value:.2f}" if self.peer else ""
        remarks = "; ".join(str(part) for part in (self.peer, self.note) if part)
        return f"{self.what:<46}{figure(self.value):>10}{limit:>14}{verdict:>8}{peer:>11}{ratio:>8}  {remarks}".rstrip()

    def data(self) -> dict:
        """For the file of figures."""
        peer = self.peer and {"name": self.peer.name, "value": self.peer.value, "recorded": self.peer.recorded}
        return {"what": self.what, "value": round(self.value, 3), "unit": self.unit, "limit": self.limit,
                "missed": self.missed, "peer": peer, "note": self.note}
