"""A stand-in for Pulumi's Python language host, which no package registry serves.

It runs unmodified `runtime: python` projects under the real CLI, with the language server
of the `pulumi` wheel's automation API. The project's `virtualenv` and `toolchain` options
are ignored: programs run on the interpreter that runs this file.
"""

import json
import os
import runpy
import signal
import sys
import threading
from concurrent import futures
from importlib import metadata
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

GRPC_OPTIONS = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]
ENGINE_ADDRESS = sys.argv[-1] if len(sys.argv) > 1 else ""
ENDED = threading.Event()


class Host(LanguageServer):
    def __init__(self) -> None:
        super().__init__(lambda: None)

    def Handshake(self, request, context):
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(self, request, context):
        """The plugins named by installed SDKs, found the way the real host finds them."""
        response = language_pb2.GetRequiredPackagesResponse()
        for folder in filter(os.path.isdir, sys.path):
            for file in sorted(Path(folder).glob("*/pulumi-plugin.json")):
                plugin = json.loads(file.read_text())
                if plugin.get("resource"):
                    response.packages.add(
                        name=plugin.get("name", ""),
                        kind="resource",
                        version="v" + plugin["version"] if plugin.get("version") else "",
                        server=plugin.get("server", ""),
                    )
        return response

    def GetProgramDependencies(self, request, context):
        response = language_pb2.GetProgramDependenciesResponse()
        for package in metadata.distributions():
            response.dependencies.add(name=package.name, version=package.version)
        return response

    def InstallDependencies(self, request, context):
        return iter(())

    def RuntimeOptionsPrompts(self, request, context):
        return language_pb2.RuntimeOptionsResponse()

    def Template(self, request, context):
        return empty_pb2.Empty()

    def Cancel(self, request, context):
        return empty_pb2.Empty()

    def Run(self, request, context):
        folder = Path(request.info.program_directory or request.pwd)
        entry = folder / (request.info.entry_point or request.program or ".")
        request.args[:] = [ENGINE_ADDRESS]
        os.chdir(folder)
        search, loaded = list(sys.path), set(sys.modules)
        sys.path.insert(0, str(entry if entry.is_dir() else entry.parent))
        self.program = lambda: runpy.run_path(str(entry), run_name="__main__") and None
        try:
            return super().Run(request, context)
        finally:
            # Preview and update run in one process: each must import the program's modules afresh.
            sys.path[:] = search
            for name in set(sys.modules) - loaded:
                if str(getattr(sys.modules[name], "__file__", None) or "").startswith(f"{folder}/"):
                    del sys.modules[name]


def end_with(parent: int) -> None:
    """The real host, too, notices when the CLI was killed."""
    while os.getppid() == parent and not ENDED.wait(0.5):
        pass
    ENDED.set()


def main() -> None:
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ENDED.set())
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=GRPC_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    ENDED.wait()
    server.stop(0)
    # Threads of a half-run program would otherwise keep the process alive.
    os._exit(0)


main()
