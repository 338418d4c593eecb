"""`python -m bench`: measures, prints the table, and writes the figures to target/bench/figures.json."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from . import aws_bootstrap, azure_bootstrap, engine_alone, pipeline, process  # noqa: E402
from .setting import Setting  # noqa: E402
from .table import HEAD, Row  # noqa: E402

#: An area of its own adds its module's `rows` here.
AREAS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "process": process.rows,
    "engine": engine_alone.rows,
    "bootstrap": aws_bootstrap.rows,
    "azure": azure_bootstrap.rows,
    "pipeline": pipeline.rows,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"what to measure: {', '.join(AREAS)}; all without it")
    parser.add_argument("--plugin", type=Path, default=ROOT / "target/release/pulumi-resource-ptd")
    parser.add_argument("--peer", type=Path, help="pulumi-resource-command, to be measured beside it")
    parser.add_argument("--tls", action="store_true", help="reach the services over TLS, as the reference did")
    parser.add_argument("--starts", type=int, default=40, help="starts of a process (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each `pulumi up`, of which the best counts (%(default)s)")
    parser.add_argument("--sizes", default="1,10,50", help="numbers of sites (%(default)s)")
    parser.add_argument("--creates", type=int, default=1000, help="creates under way at once (%(default)s)")
    args = parser.parse_args()
    if unknown := [area for area in args.areas if area not in AREAS]:
        parser.error(f"there is no area {unknown[0]}: {', '.join(AREAS)}")
    if not args.plugin.exists():
        parser.error(f"{args.plugin} is missing: make bench builds it")
    return args


def main() -> int:
    args = arguments()
    plugin = args.plugin.resolve()
    # What the tests' helpers take for the plugin as well.
    os.environ["PTD_PLUGIN"] = str(plugin)
    rows: list[Row] = []
    broken: list[str] = []
    print(f"load before the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = Setting(
            plugin=plugin, folder=Path(folder), peer=args.peer, tls=args.tls, starts=args.starts, rounds=args.rounds,
            sizes=tuple(int(part) for part in args.sizes.split(",")), creates=args.creates,
        )
        for area in args.areas or AREAS:
            try:
                for row in AREAS[area](setting):
                    print(row, flush=True)
                    rows.append(row)
            except Exception as error:  # an area that cannot be measured leaves the others theirs
                broken.append(area)
                print(f"{area}: could not be measured: {error}", flush=True)
    report = ROOT / "target/bench/figures.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({"tls": args.tls, "broken": broken, "figures": [row.data() for row in rows]}, indent=2) + "\n")
    missed = [row.what for row in rows if row.missed]
    print(f"missed: {', '.join(missed) or 'nothing'}" + (f"; not measured: {', '.join(broken)}" if broken else ""))
    return 1 if missed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
