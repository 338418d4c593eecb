"""The engine alone: what no provider can be faster than."""

from __future__ import annotations

from collections.abc import Iterator

from .setting import Setting, summary, up
from .table import Peer, Row

RESOURCES = 150
#: The same on the machine for which the targets were set: the ratio tells how fast this one is beside it.
THEN = {name: Peer("machine of the targets", seconds) for name, seconds in {"": 2.3, ", no-op": 0.85}.items()}


def rows(setting: Setting) -> Iterator[Row]:
    """Resources that the engine itself provides, so that no plugin is asked anything."""
    resources = {f"r{n}": {"type": "pulumi:index:Stash", "properties": {"input": f"value {n}"}} for n in range(RESOURCES)}
    creates, repeats, empty = [], [], []
    for number in range(setting.rounds):
        workspace = setting.workspace(f"engine{number}", {"resources": resources})
        creates.append(up(workspace))
        repeats.append(up(workspace, "--expect-no-changes"))
        empty.append(up(setting.workspace(f"empty{number}", {"resources": {}})))
    yield Row("engine alone, empty program", min(empty).seconds, "s", note=summary(empty))
    for what, runs in (("", creates), (", no-op", repeats)):
        yield Row(f"engine alone, {RESOURCES} resources{what}", min(runs).seconds, "s", peer=THEN[what], note=summary(runs))
