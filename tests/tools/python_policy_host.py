"""Runs a policy pack: a module `pack` with a function `violations(kind, name, properties)` that yields (policy, mandatory, message).

The policy SDK and its host are not to be had from package registries; the protocol is the engine's own.
"""

from __future__ import annotations

import signal
import sys
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

PACK, VERSION = "house-rules", "1.2.3"


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    def __init__(self, violations) -> None:
        self.violations = violations

    def Analyze(self, request, context):
        found = self.violations(request.type, request.name, json_format.MessageToDict(request.properties))
        diagnostics = [
            analyzer_pb2.AnalyzeDiagnostic(
                policyName=policy, policyPackName=PACK, policyPackVersion=VERSION, message=message, urn=request.urn,
                enforcementLevel=analyzer_pb2.MANDATORY if mandatory else analyzer_pb2.ADVISORY,
            )
            for policy, mandatory, message in found
        ]  # fmt: skip
        return analyzer_pb2.AnalyzeResponse(diagnostics=diagnostics)

    def AnalyzeStack(self, request, context):
        return analyzer_pb2.AnalyzeResponse()

    def Remediate(self, request, context):
        return analyzer_pb2.RemediateResponse()

    def GetAnalyzerInfo(self, request, context):
        return analyzer_pb2.AnalyzerInfo(name=PACK, version=VERSION)

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version=VERSION)

    def Configure(self, request, context):
        return empty_pb2.Empty()

    def ConfigureStack(self, request, context):
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Cancel(self, request, context):
        return empty_pb2.Empty()


def main() -> None:
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: sys.exit(0))
    space: dict = {}
    exec(Path("pack.py").read_text(), space)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(space["violations"]), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


main()
