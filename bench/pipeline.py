"""Pipelines of stacks: a program of Stack resources beside the same stacks run by hand, and beside Terragrunt.

What the stacks do is wait (the `wait` example of the framework), so that what is left is the cost of running them. Secrets are
encrypted by a key service, as those of a platform are: a passphrase costs each command of the CLI a million rounds of hashing, half
a second on a processor without instructions for it, by hand as by a Stack.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from support import cli
from support.vault import PROVIDER, Vault

from .peer import Terragrunt
from .setting import MB, Setting, summary, up
from .setting import Run as Took
from .table import Peer, Row

Graph = dict[str, list[str]]

#: The platform of examples/seven-workflows: three in a row, then four side by side.
SEVEN: Graph = {"foundation": [], "ingress": ["foundation"], "observability": ["ingress"]} | {
    name: ["observability"] for name in ("gitops", "security", "mesh", "data")
}
#: Ten side by side, five times.
FIFTY: Graph = {f"s{row}x{at}": [f"s{row - 1}x{at}", f"s{row - 1}x{(at + 1) % 10}"] if row else [] for row in range(5) for at in range(10)}
SECONDS = 2.0
#: What a run costs beside its stacks does not grow with them: small ones show it, longer ones what it amounts to.
LONGER = 6.0
RESOURCES = 500
#: On the machine for which the targets were set.
BARE, BARE_PYTHON, CALL = (Peer("machine of the targets", seconds) for seconds in (0.31, 0.65, 0.28))
TERRAGRUNT, TERRAGRUNT_AGAIN = Peer("terragrunt run --all", 8.5), Peer("terragrunt run --all, no-op", 0.52)


def chain(length: int) -> Graph:
    return {f"step{at}": [f"step{at - 1}"] if at else [] for at in range(length)}


def critical(graph: Graph, seconds: dict[str, float]) -> float:
    """The longest way through the graph."""
    ends: dict[str, float] = {}
    for name, after in graph.items():
        ends[name] = seconds[name] + max((ends[one] for one in after), default=0.0)
    return max(ends.values())


@dataclass
class Hand:
    """The same stacks, each by its own commands, one after the other: what a loop in a shell does. In seconds by stack."""

    #: `pulumi stack init`; nothing where the stack was there.
    inits: dict[str, float]
    ups: dict[str, float]

    @property
    def both(self) -> dict[str, float]:
        return {step: self.inits[step] + self.ups[step] for step in self.ups}

    @property
    def loop(self) -> float:
        return sum(self.both.values())


class Pipeline:
    """A graph of stacks as one outer program, and beside it the same projects for commands by hand."""

    def __init__(
        self, setting: Setting, vault: Vault, name: str, graph: Graph, seconds: float = 0.0, resources: int = 1, secrets: int = 0
    ) -> None:
        self.graph, self.seconds, self.resources, self.secrets = graph, seconds, resources, secrets
        self.folder = setting.folder / name
        env = cli.cli_env(setting.folder / "home", self.folder / "backend", sys.executable) | vault.env
        env["PATH"] = os.pathsep.join([str(setting.plugin.parent), str(waiting(setting)), env["PATH"]])
        self.inner = f"file://{self.folder}/inner"
        (self.folder / "inner").mkdir(parents=True)
        self.outer = cli.Workspace(self.folder / "outer", env, name)
        self.alone, self.together = self.hands("alone", env), self.hands("together", env)
        self.write("first")
        self.outer.init()

    def hands(self, name: str, env: dict[str, str]) -> dict[str, cli.Workspace]:
        """The inner projects once more, for commands by hand, with a backend of their own."""
        (backend := self.folder / name / "backend").mkdir(parents=True)
        env = env | {"PULUMI_BACKEND_URL": f"file://{backend}"}
        return {step: cli.Workspace(self.folder / name / step, env, step) for step in self.graph}

    def write(self, note: str) -> Pipeline:
        """Every inner program with this note: another one is a change of all."""
        outer: dict[str, dict] = {}
        for step, after in self.graph.items():
            wait = {"type": "wait:index:Wait", "properties": {"seconds": self.seconds, "note": note}}
            made = {f"r{at}": wait for at in range(self.resources)}
            self.alone[step].yaml({"resources": made, "outputs": {"note": note}})
            for folder in (self.together[step].folder, self.outer.folder / step):
                folder.mkdir(exist_ok=True)
                shutil.copy(self.alone[step].folder / "Pulumi.yaml", folder)
            properties: dict = {
                "directory": step,
                "stack": f"organization/{step}/dev",
                "backendUrl": self.inner,
                "secretsProvider": PROVIDER,
            }
            if self.secrets:
                properties["config"] = {f"secret{at}": {"fn::secret": f"value {at}"} for at in range(self.secrets)}
            outer[step] = {"type": "ptd:index:Stack", "properties": properties, "options": {"dependsOn": [f"${{{one}}}" for one in after]}}
        self.outer.yaml({"resources": outer})
        return self

    def up(self) -> Took:
        return up(self.outer)

    def no_op(self) -> Took:
        return up(self.outer, "--expect-no-changes")

    def by_hand(self, *args: str) -> Hand:
        """`pulumi up` in each project, after `pulumi stack init` where it is the first."""
        inits, ups = {}, {}
        for step, workspace in self.alone.items():
            began = time.perf_counter()
            workspace.init()
            inits[step] = time.perf_counter() - began
            ups[step] = up(workspace, *args).seconds
        return Hand(inits, ups)

    def by_hand_in_order(self) -> float:
        """The same as soon as those before it are through: what a person with as many terminals does. In seconds for all."""
        began = time.perf_counter()
        runs: dict[str, Future] = {}
        with ThreadPoolExecutor(len(self.graph)) as pool:

            def run(step: str) -> None:
                for before in self.graph[step]:
                    runs[before].result()
                up(self.together[step].init())

            for step in self.graph:
                runs[step] = pool.submit(run, step)
        for done in runs.values():
            done.result()
        return time.perf_counter() - began


def waiting(setting: Setting) -> Path:
    """A folder with the plugin whose resources only wait."""
    folder = setting.folder / "wait"
    binary = setting.plugin.parent / "examples/wait"
    if not binary.exists():
        raise RuntimeError(f"{binary} is missing: make bench builds it")
    folder.mkdir(exist_ok=True)
    link = folder / "pulumi-resource-wait"
    if not link.exists():
        link.symlink_to(binary)
    return folder


def rows(setting: Setting) -> Iterator[Row]:
    with Vault() as vault:
        empty = setting.workspace("bare", {"resources": {}}, vault.env)
        up(empty)
        bare = [up(empty) for _ in range(setting.rounds)]
        yield Row("bare `pulumi up` of an empty project", min(bare).seconds, "s", peer=BARE, note=summary(bare))
        hashing = setting.workspace("passphrase", {"resources": {}})
        up(hashing)
        hashed = [up(hashing) for _ in range(setting.rounds)]
        yield Row("bare `pulumi up` with a passphrase", min(hashed).seconds, "s", note=summary(hashed))
        python = setting.workspace("python", {}, vault.env).python("")
        up(python)
        hosted = [up(python) for _ in range(setting.rounds)]
        yield Row("bare `pulumi up` of an empty Python project", min(hosted).seconds, "s", peer=BARE_PYTHON, note=summary(hosted))
        calls = min(empty.run("stack", "output", "--json").seconds for _ in range(setting.rounds))
        yield Row("a further CLI call", calls, "s", peer=CALL, note="`pulumi stack output`")
        yield from seven(setting, vault, min(bare).seconds)
        yield from overhead(setting, vault)
        yield from eight(setting, vault)
        yield growth(setting, vault)
        yield from fifty(setting, vault)


def seven(setting: Setting, vault: Vault, bare: float) -> Iterator[Row]:
    """The seven workflows, each of which waits two seconds."""
    firsts, changes, repeats, hands_first, hands, orders_first, orders = ([] for _ in range(7))
    peers_first, peers_again = [], []
    for number in range(setting.rounds):
        pipeline = Pipeline(setting, vault, f"seven{number}", SEVEN, SECONDS)
        firsts.append(pipeline.up())
        repeats.append(pipeline.no_op())
        hands_first.append(pipeline.by_hand())
        orders_first.append(pipeline.by_hand_in_order())
        pipeline.write("second")
        changes.append(pipeline.up())
        hands.append(pipeline.by_hand())
        orders.append(pipeline.by_hand_in_order())
        if live := Terragrunt.built():
            peer = Terragrunt(setting.folder / f"terragrunt{number}", SEVEN, SECONDS)
            peers_first.append(peer.apply())
            peers_again.append(peer.apply())
    peer_first = Peer(TERRAGRUNT.name, min(peers_first), recorded=False) if live else TERRAGRUNT
    peer_again = Peer(TERRAGRUNT_AGAIN.name, min(peers_again), recorded=False) if live else TERRAGRUNT_AGAIN
    first, change = min(firsts).seconds, min(changes).seconds
    waits = critical(SEVEN, dict.fromkeys(SEVEN, SECONDS))
    target = waits + 4 * (bare + 0.6) + 0.5
    yield Row("seven stacks of 2 s, first run", first, "s", round(target, 2), peer_first, f"critical path {waits:.0f} s; {summary(firsts)}")
    path_ups = min(critical(SEVEN, hand.ups) for hand in hands_first)
    path_first, path = (min(critical(SEVEN, hand.both) for hand in every) for every in (hands_first, hands))
    order_first, order = min(orders_first), min(orders)
    spent = {
        "four `up`s": path_ups - waits,
        "four `stack init`s": path_first - path_ups,
        "four at once": order_first - path_first,
        "the outer run": bare,
    }
    spent["stacks as resources"] = first - waits - sum(spent.values())
    note = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in spent.items())
    yield Row("first run, what is not the stacks' 2 s", first - waits, "s", note=note)
    note = f"{path_first:.2f} s by hand, with `stack init`"
    yield Row("first run : critical path by hand", first / path_first, "x", 1.10, note=note)
    yield Row("first run : by hand, four at once", first / order_first, "x", note=f"{order_first:.2f} s by hand, with `stack init`")
    yield Row("seven stacks of 2 s, all changed", change, "s", note=summary(changes))
    note = f"{path:.2f} s by hand, of stacks that have the machine for themselves"
    yield Row("all changed : critical path by hand", change / path, "x", 1.10, note=note)
    yield Row("all changed : by hand, four at once", change / order, "x", note=f"{order:.2f} s by hand")
    loop = min(hand.loop for hand in hands)
    yield Row("all changed : sequential loop by hand", change / loop, "x", 0.65, note=f"{loop:.2f} s in the loop")
    yield Row("seven stacks, no-op", min(repeats).seconds, "s", 1.0, peer_again, summary(repeats))
    yield longer(setting, vault)


def longer(setting: Setting, vault: Vault) -> Row:
    pipeline = Pipeline(setting, vault, "longer", SEVEN, LONGER)
    took = pipeline.up().seconds
    path = critical(SEVEN, pipeline.by_hand().both)
    name = f"first run of stacks of {LONGER:.0f} s : critical path by hand"
    return Row(name, took / path, "x", 1.10, note=f"{took:.2f} s, {path:.2f} s by hand")


def overhead(setting: Setting, vault: Vault) -> Iterator[Row]:
    """What running a stack as a resource costs beyond its bare `pulumi up`: the differences of chains cancel what the outer run costs.

    A first run makes the stack as well, which is part of its overhead; by hand that is `pulumi stack init`.
    """
    long, short = chain(4), chain(1)
    for secrets in (0, 1):
        firsts, singles, changes, repeats, inits, ups_first, ups_changed = ([] for _ in range(7))
        for number in range(setting.rounds):
            one = Pipeline(setting, vault, f"one{secrets}x{number}", short, secrets=secrets)
            singles.append(one.up().seconds)
            four = Pipeline(setting, vault, f"four{secrets}x{number}", long, secrets=secrets)
            firsts.append(four.up().seconds)
            repeats.append(four.no_op().seconds)
            hand = four.by_hand()
            inits.append(statistics.fmean(hand.inits.values()))
            ups_first.append(statistics.fmean(hand.ups.values()))
            four.write("second")
            changes.append(four.up().seconds)
            ups_changed.append(statistics.fmean(four.by_hand().ups.values()))
        what = f"per stack{', 1 secret' if secrets else ''}"
        bare, init = min(ups_first), min(inits)
        cost = (min(firsts) - min(singles)) / (len(long) - len(short)) - bare
        note = f"over a bare `up` of {bare:.2f} s; {cost - init:.2f} s over that and its `stack init` of {init:.2f} s"
        yield Row(f"overhead {what}, first run", cost, "s", 0.8 + 0.3 * secrets, note=note)
        bare = min(ups_changed)
        cost = (min(changes) - min(repeats)) / len(long) - bare
        yield Row(f"overhead {what}, exists", cost, "s", 0.4, note=f"over a bare `up` of {bare:.2f} s")


def eight(setting: Setting, vault: Vault) -> Iterator[Row]:
    pipeline = Pipeline(setting, vault, "eight", chain(8))
    pipeline.up()
    pipeline.by_hand()
    repeats = [pipeline.no_op() for _ in range(setting.rounds)]
    loop = min(pipeline.by_hand("--expect-no-changes").loop for _ in range(setting.rounds))
    ours = min(repeats).seconds
    yield Row("eight steps, no-op", ours, "s", note=summary(repeats))
    yield Row("eight steps, no-op : eight no-op `up`s", ours / loop, "x", 0.15, note=f"{loop:.2f} s in the loop")


def growth(setting: Setting, vault: Vault) -> Row:
    """By how much a stack of many resources makes the outer state bigger than one of a single resource."""
    sizes = []
    for resources in (1, RESOURCES):
        pipeline = Pipeline(setting, vault, f"state{resources}", chain(1), resources=resources)
        pipeline.up()
        sizes.append(len(json.dumps(pipeline.outer.export())))
    grown = (sizes[1] - sizes[0]) * 1000 / RESOURCES / 1000
    note = f"{sizes[0] / 1000:.1f} kB with one, {sizes[1] / 1000:.1f} kB with {RESOURCES}"
    return Row("outer state per 1,000 inner resources", grown, "kB", note=note)


def fifty(setting: Setting, vault: Vault) -> Iterator[Row]:
    pipeline = Pipeline(setting, vault, "fifty", FIFTY)
    with Watched(pipeline.outer) as watched:
        took = pipeline.up()
    made = len(list((pipeline.folder / "inner/.pulumi/stacks").glob("*/dev.json")))
    if made != len(FIFTY):
        raise RuntimeError(f"{made} of {len(FIFTY)} stacks were made")
    yield Row("fifty stacks, 10 wide, 5 deep", took.seconds, "s", note=f"processor {took.processor:.1f} s")
    yield Row("peak memory of the provider, fifty stacks", watched.peak / MB, "MB", 60, note=f"the biggest of {watched.processes} processes")
    yield Row("fifty stacks, no-op", pipeline.no_op().seconds, "s")


class Watched:
    """Looks at the outer run's provider processes while they live."""

    def __init__(self, workspace: cli.Workspace) -> None:
        self._workspace, self._over, self._peaks = workspace, threading.Event(), {}
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def peak(self) -> int:
        return max(self._peaks.values(), default=0)

    @property
    def processes(self) -> int:
        return len(self._peaks)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            for pid in self._workspace.plugins():
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                for line in status.splitlines():
                    if line.startswith("VmHWM:"):
                        self._peaks[pid] = int(line.split()[1]) * 1024

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
