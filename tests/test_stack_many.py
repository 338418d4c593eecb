"""Many inner stacks at once."""

import time
from pathlib import Path

from support.vault import PROVIDER

WIDE, DEEP = 10, 5
# What the provider may need, whatever it runs.
MEGABYTES = 60


def memory(pid: int) -> float:
    """Resident memory in megabytes; of it, what only this process has."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def test_fifty_stacks_in_a_graph(pipeline, tmp_path):
    for depth in range(DEEP):
        for place in range(WIDE):
            name = f"s-{depth}-{place}"
            if not depth:
                pipeline.inner(name, {"outputs": {"depth": 0}}, secretsProvider=PROVIDER)
                continue
            # Each takes from two of the row above.
            above = [f"s-{depth - 1}-{place}", f"s-{depth - 1}-{(place + 1) % WIDE}"]
            config = {f"from{number}": f"${{{one}.plainOutputs.depth}}" for number, one in enumerate(above)}
            program = {"config": {key: {"type": "integer"} for key in config}, "outputs": {"depth": depth}}
            pipeline.inner(name, program, config=config, secretsProvider=PROVIDER)
    outer = pipeline.write(last=f"${{s-{DEEP - 1}-0.outputs.depth}}").init()
    told = tmp_path / "output"
    process = outer.start("up", "--yes", "--skip-preview", output=told)
    most = 0.0
    while process.poll() is None:
        # Its supervisors are small processes of the same program.
        most = max([most, *map(memory, outer.plugins())])
        time.sleep(0.2)
    assert process.returncode == 0, told.read_text()
    assert outer.outputs() == {"last": DEEP - 1}
    assert len(list((pipeline.backend / ".pulumi/stacks").glob("*/dev.json"))) == WIDE * DEEP
    assert 0 < most < MEGABYTES, f"{most:.0f} MB"
    assert not outer.up().changes
