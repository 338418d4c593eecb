"""The provider's binary, launched the way the engine does it, and called over gRPC."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import errors_pb2, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from . import values
from .engine import OPTIONS

#: What a current engine says about itself.
HANDSHAKE = {
    "configure_with_urn": True,
    "supports_views": True,
    "supports_refresh_before_update": True,
    "invoke_with_preview": True,
    "accepts_byte_string": True,
}


class ProviderProcess:
    """A running provider. Every helper takes plain dicts (see `values`) and returns the reply message.

    Messages for which there is no helper go through `stub`, with `pb` for the message classes.
    """

    pb = provider_pb2

    def __init__(self, binary: Path, *args: str, engine: str | None = None, env: dict[str, str] | None = None,
                 cwd: Path | None = None) -> None:
        self.command = [str(binary), *args, *([engine] if engine else [])]
        self.engine = engine
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self._stderr, self._stdout = bytearray(), bytearray()
        self._drain(self.process.stderr, self._stderr)
        self.port = self._read_port()
        #: Seconds from start to port line.
        self.start_seconds = time.monotonic() - began
        self._drain(self.process.stdout, self._stdout)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=OPTIONS)
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    @staticmethod
    def _drain(pipe, into: bytearray) -> None:
        def run() -> None:
            while chunk := os.read(pipe.fileno(), 65536):
                into.extend(chunk)

        threading.Thread(target=run, daemon=True).start()

    def _read_port(self, timeout: float = 60) -> int:
        line, end = b"", time.monotonic() + timeout
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            byte = os.read(self.process.stdout.fileno(), 1) if ready else b""
            if not byte:
                self.process.kill()
                raise AssertionError(f"no port line, only {line!r}; stderr: {self.stderr}")
            line += byte
        return int(line)

    @property
    def stderr(self) -> str:
        return self._stderr.decode(errors="replace")

    @property
    def stdout(self) -> str:
        """What came after the port line."""
        return self._stdout.decode(errors="replace")

    @property
    def resident(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def __enter__(self) -> ProviderProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, timeout: float = 20) -> int:
        """Ends it as the engine does: Cancel, close, SIGINT to the group; then kills. Returns the exit code."""
        if self.process.poll() is None:
            try:
                self.stub.Cancel(empty_pb2.Empty(), timeout=5)
            except grpc.RpcError:
                pass
            self.channel.close()
            self.signal(signal.SIGINT)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            return self.process.wait(30)

    def signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait(30)

    def close_stdin(self) -> None:
        """What a provider sees when the engine crashes."""
        self.process.stdin.close()

    # RPCs.

    def handshake(self, **flags) -> provider_pb2.ProviderHandshakeResponse:
        """With a current engine's flags, unless given; an older engine: `configure_with_urn=False` and so on."""
        folder = str(Path(self.command[0]).parent)
        fields = {"engine_address": self.engine or "", "root_directory": folder, "program_directory": folder}
        return self.stub.Handshake(self.pb.ProviderHandshakeRequest(**(fields | HANDSHAKE | flags)), timeout=10)

    def attach(self, address: str) -> None:
        self.stub.Attach(plugin_pb2.PluginAttach(address=address), timeout=10)

    def info(self) -> str:
        return self.stub.GetPluginInfo(empty_pb2.Empty(), timeout=10).version

    def schema(self) -> dict:
        return json.loads(self.stub.GetSchema(self.pb.GetSchemaRequest(), timeout=10).schema)

    def configure(self, config: dict | None = None, **fields):
        """Handshake is not part of it. `variables` are the legacy strings; `args` the real values."""
        request = self.pb.ConfigureRequest(
            args=values.encode(config),
            variables={f"ptd:config:{k}": v for k, v in (config or {}).items() if isinstance(v, str)},
            **{"acceptSecrets": True, "acceptResources": True, "sends_old_inputs": True, **fields},
        )
        return self.stub.Configure(request, timeout=30)

    def ready(self, config: dict | None = None, **flags) -> ProviderProcess:
        self.handshake(**flags)
        self.configure(config)
        return self

    def check(self, urn: str, news: dict, olds: dict | None = None, **fields):
        request = self.pb.CheckRequest(
            urn=urn, news=values.encode(news), olds=values.encode(olds), **_names(urn), **fields
        )
        return self.stub.Check(request, timeout=30)

    def check_config(self, news: dict, olds: dict | None = None, **fields):
        urn = "urn:pulumi:dev::app::pulumi:providers:ptd::p"
        request = self.pb.CheckRequest(urn=urn, news=values.encode(news), olds=values.encode(olds), **fields)
        return self.stub.CheckConfig(request, timeout=30)

    def diff_config(self, old_inputs: dict, news: dict, **fields):
        urn = "urn:pulumi:dev::app::pulumi:providers:ptd::p"
        old = values.encode(old_inputs)
        return self.stub.DiffConfig(self.pb.DiffRequest(urn=urn, olds=old, old_inputs=old, news=values.encode(news), **fields), timeout=30)

    def diff(self, urn: str, id: str, olds: dict, old_inputs: dict, news: dict, **fields):
        """`ignoreChanges` and others go into `fields`."""
        request = self.pb.DiffRequest(
            urn=urn, id=id, olds=values.encode(olds), old_inputs=values.encode(old_inputs), news=values.encode(news),
            **_names(urn), **fields,
        )
        return self.stub.Diff(request, timeout=60)

    def create(self, urn: str, properties: dict, *, preview: bool = False, within: float = 60, **fields):
        request = self.pb.CreateRequest(
            urn=urn, properties=values.encode(properties), preview=preview, **_names(urn), **fields
        )
        return self.stub.Create(request, timeout=within)

    def update(self, urn: str, id: str, olds: dict, old_inputs: dict, news: dict, *, preview: bool = False,
               within: float = 60, **fields):
        request = self.pb.UpdateRequest(
            urn=urn, id=id, olds=values.encode(olds), old_inputs=values.encode(old_inputs), news=values.encode(news),
            preview=preview, **_names(urn), **fields,
        )
        return self.stub.Update(request, timeout=within)

    def read(self, urn: str, id: str, properties: dict | None = None, inputs: dict | None = None, **fields):
        """Without properties and inputs it is an import: both stay unset on the wire."""
        if properties is not None:
            fields["properties"] = values.encode(properties)
        if inputs is not None:
            fields["inputs"] = values.encode(inputs)
        return self.stub.Read(self.pb.ReadRequest(urn=urn, id=id, **_names(urn), **fields), timeout=60)

    def delete(self, urn: str, id: str, properties: dict, old_inputs: dict | None = None, **fields):
        request = self.pb.DeleteRequest(
            urn=urn, id=id, properties=values.encode(properties), old_inputs=values.encode(old_inputs), **_names(urn), **fields
        )
        return self.stub.Delete(request, timeout=60)

    def invoke(self, token: str, args: dict, **fields):
        return self.stub.Invoke(self.pb.InvokeRequest(tok=token, args=values.encode(args), **fields), timeout=60)

    def construct(self, callbacks, kind: str, name: str, inputs: dict, *, parent: str = "", **fields):
        """Against `engine.Callbacks`; the options (protect, providers, aliases, ...) go into `fields`."""
        monitor = callbacks.monitor
        request = self.pb.ConstructRequest(
            project=monitor.project, stack=monitor.stack, dryRun=monitor.dry_run,
            monitorEndpoint=callbacks.address, type=kind, name=name, parent=parent, inputs=values.encode(inputs),
            **{"parallel": 16, "accepts_output_values": True, **fields},
        )
        return self.stub.Construct(request, timeout=60)

    def cancel(self) -> None:
        self.stub.Cancel(empty_pb2.Empty(), timeout=10)


def _names(urn: str) -> dict[str, str]:
    """The type and name fields newer engines send beside the URN."""
    parts = urn.split("::", 3)
    return {"type": parts[2].split("$")[-1], "name": parts[3]} if len(parts) == 4 else {}


def details(error: grpc.RpcError) -> list:
    """The error's typed details: InputPropertiesError, ErrorResourceInitFailed, ErrorCause, ..."""
    blob = next((value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"), None)
    if blob is None:
        return []
    found = []
    for packed in status_pb2.Status.FromString(blob).details:
        name = packed.type_url.rsplit(".", 1)[-1]
        kind = getattr(provider_pb2, name, None) or getattr(errors_pb2, name, None)
        found.append(kind.FromString(packed.value) if kind else packed)
    return found
