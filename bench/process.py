"""The process itself: how fast it starts, how big it is, what it needs while it waits and while it works."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from support import values
from support.engine import OPTIONS, Callbacks
from support.moto import ACCOUNT, KEYS, REGION
from support.provider import ProviderProcess

from .services import SlowServices
from .setting import MB, Setting
from .slow_line import SlowLine
from .table import Peer, Row

FILES = 1000
#: pulumi-command 1.2.1 (Go), stripped, on a machine of two cores.
STARTS, MEMORY, SIZE = (Peer("pulumi-command", value) for value in (39.0, 38.5, 36.0))


def start_milliseconds(binary: Path, engine: str, env: dict[str, str]) -> float:
    """From start to port line."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(binary), engine], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with process:
        line = process.stdout.readline()
        taken = time.perf_counter() - began
        process.kill()
        if not line.strip().isdigit():
            raise RuntimeError(f"{binary.name} printed {line!r} where its port belongs")
    return taken * 1000


def idle(binary: Path, engine: str, env: dict[str, str]) -> float:
    """Resident megabytes after GetSchema."""
    with ProviderProcess(binary, engine=engine, env=env) as process:
        process.stub.GetSchema(process.pb.GetSchemaRequest(), timeout=30)
        time.sleep(0.5)
        return process.resident / MB


def rows(setting: Setting) -> Iterator[Row]:
    with Callbacks() as engine:
        def starts(binary: Path) -> list[float]:
            return [start_milliseconds(binary, engine.address, setting.env) for _ in range(setting.starts)]

        def beside(recorded: Peer, measure) -> Peer:
            return Peer(recorded.name, measure(setting.peer), recorded=False) if setting.peer else recorded

        ours = starts(setting.plugin)
        yield Row("start to port line", statistics.median(ours), "ms", 8, beside(STARTS, lambda b: statistics.median(starts(b))),
                  f"median of {len(ours)}, fastest {min(ours):.1f}")
        yield Row("idle memory after GetSchema", idle(setting.plugin, engine.address, setting.env), "MB", 16,
                  beside(MEMORY, lambda b: idle(b, engine.address, setting.env)))
        yield Row("binary, stripped", setting.plugin.stat().st_size / MB, "MB", 25,
                  beside(SIZE, lambda b: b.stat().st_size / MB))
        yield configure(setting, engine)
        yield digests(setting, engine)
        yield in_flight(setting, engine)


def configure(setting: Setting, engine: Callbacks) -> Row:
    """As the call log has it. Whatever the plugin might call, it would call at a line that counts connections."""
    log = setting.folder / "calls.jsonl"
    with SlowLine("http://127.0.0.1:9", 0) as line:
        env = setting.env | KEYS | {"AWS_ENDPOINT_URL": line.url, "AWS_REGION": REGION, "PULUMI_PROVIDER_CALL_LOG": str(log)}
        for _ in range(setting.starts):
            with ProviderProcess(setting.plugin, engine=engine.address, env=env) as process:
                process.ready({"region": REGION})
        if line.connections:
            raise RuntimeError(f"Configure made {line.connections} connections")
    calls = map(json.loads, log.read_text().splitlines())
    times = [call["milliseconds"] for call in calls if call["method"] == "Configure"]
    if len(times) != setting.starts:
        raise RuntimeError(f"{len(times)} Configure calls in the log of {setting.starts} processes")
    return Row("Configure", statistics.median(times), "ms", 1, note=f"median of {len(times)}, slowest {max(times):.2f}; no connection")


def digests(setting: Setting, engine: Callbacks) -> Row:
    """Check of a Stack with a program of a thousand files: it reads them all, so that the diff can name what changed."""
    program = setting.folder / "digests/web"
    program.mkdir(parents=True)
    (program / "Pulumi.yaml").write_text("name: web\nruntime: yaml\n")
    for number in range(FILES):
        folder = program / f"part{number % 20}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.py").write_bytes(number.to_bytes(4) * 1000)
    inputs = {"directory": "web", "stack": "organization/web/dev", "backendUrl": "file:///nowhere"}
    times = []
    with ProviderProcess(setting.plugin, engine=engine.address, env=setting.env, cwd=program.parent) as process:
        process.ready()
        for _ in range(setting.starts):
            began = time.perf_counter()
            reply = process.check("urn:pulumi:dev::app::ptd:index:Stack::web", inputs)
            times.append((time.perf_counter() - began) * 1000)
    found = len(values.decode(reply.inputs)["sourceDigests"])
    if found != FILES + 1:
        raise RuntimeError(f"{found} digests of {FILES} files and a project file")
    return Row("Check of 1,000 files, 4 kB each", statistics.median(times), "ms", 50, note=f"median of {len(times)}, slowest {max(times):.0f}")


def in_flight(setting: Setting, engine: Callbacks) -> Row:
    """Peak memory while a thousand Create calls are under way, against services that take a second for each answer."""
    with SlowServices(1.0) as services:
        env = setting.env | KEYS | {"AWS_ENDPOINT_URL": services.url, "AWS_REGION": REGION}
        with ProviderProcess(setting.plugin, engine=engine.address, env=env) as process, _channels(process.port, 10) as stubs:
            process.ready()
            before = process.resident / MB
            began = time.monotonic()
            calls = [stubs[number % len(stubs)].Create.future(_secret(number), timeout=300) for number in range(setting.creates)]
            for call in calls:
                call.result()
            seconds = time.monotonic() - began
            status = Path(f"/proc/{process.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) * 1024 / MB for line in status.splitlines() if line.startswith("VmHWM:"))
    note = f"{before:.1f} before; {services.peak} requests at once, {services.connections} connections, {seconds:.1f} s"
    return Row(f"peak memory, {setting.creates} creates under way", peak, "MB", 80, note=note)


@contextmanager
def _channels(port: int, number: int) -> Iterator[list[provider_pb2_grpc.ResourceProviderStub]]:
    """Several connections, since one carries no more than 200 calls at a time."""
    options = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}", options)) for _ in range(number)]
        yield [provider_pb2_grpc.ResourceProviderStub(channel) for channel in channels]


def _secret(number: int) -> provider_pb2.CreateRequest:
    """A site's secret: with fields, some of them generated."""
    fields = [{"name": f"field-{i}", **({"generate": "rskey"} if i < 2 else {})} for i in range(18)]
    properties = {"name": f"flight{number}.posit.team", "accountId": ACCOUNT, "fields": fields, "allowDelete": False, "adopt": True}
    urn = f"urn:pulumi:dev::app::ptd:aws:Secret::s{number}"
    return provider_pb2.CreateRequest(urn=urn, name=f"s{number}", type="ptd:aws:Secret", properties=values.encode(properties))
