"""A fake engine for protocol tests: the services a provider calls back, which record what they get."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    resource_pb2,
    resource_pb2_grpc,
    resource_status_pb2,
    resource_status_pb2_grpc,
)

from . import values

MAX_MESSAGE = 400 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE),
    # Details of errors hold whole states; the engine takes as much.
    ("grpc.max_metadata_size", 1 << 24), ("grpc.absolute_max_metadata_size", 1 << 24),
]  # fmt: skip
FEATURES = (
    "secrets", "resourceReferences", "outputValues", "aliasSpecs", "replacementTrigger", "deletedWith", "replaceWith",
    "transforms", "invokeTransforms", "parameterization", "resourceHooks", "errorHooks", "sendsOptionsToHooks",
)


@dataclass
class Logged:
    severity: str
    message: str
    urn: str
    ephemeral: bool


class FakeEngine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.logs: list[Logged] = []
        self.root = ""

    def Log(self, request, context):
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        self.logs.append(Logged(severity, request.message, request.urn, request.ephemeral))
        return empty_pb2.Empty()

    def GetRootResource(self, request, context):
        return engine_pb2.GetRootResourceResponse(urn=self.root)

    def SetRootResource(self, request, context):
        self.root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request, context):
        return engine_pb2.RequirePulumiVersionResponse()

    def messages(self, severity: str | None = None) -> list[str]:
        return [log.message for log in self.logs if severity in (None, log.severity)]


class FakeMonitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Registers whatever it is asked to.

    By default a custom resource's outputs are its inputs and its id is "NAME-id" (unknown in a preview).
    `on_register` may return (id, outputs) or a whole RegisterResourceResponse instead, or `raise Refusal(code, text)`.
    """

    def __init__(self, *, stack: str = "dev", project: str = "app", dry_run: bool = False) -> None:
        self.stack, self.project, self.dry_run = stack, project, dry_run
        self.features: set[str] = set(FEATURES)
        self.deployment_info = True
        #: RegisterResourceRequest messages, in order of arrival.
        self.registered: list = []
        #: URN -> the outputs given to RegisterResourceOutputs.
        self.outputs: dict[str, dict] = {}
        #: ("began" | "ended" | "outputs", name or URN), in order.
        self.events: list[tuple[str, str]] = []
        self.invoked: list = []
        self.called: list = []
        self.read: list = []
        self.packages: list = []
        self.on_register: Callable | None = None
        self.on_invoke: Callable | None = None
        self._lock = threading.Lock()

    def urn(self, kind: str, name: str, parent: str = "") -> str:
        chain = ""
        if parent and "::pulumi:pulumi:Stack::" not in parent:
            chain = parent.split("::")[2] + "$"
        return f"urn:pulumi:{self.stack}::{self.project}::{chain}{kind}::{name}"

    def names(self) -> list[str]:
        return [request.name for request in self.registered]

    def request(self, name: str):
        """The registration of that name."""
        return next(request for request in self.registered if request.name == name)

    def inputs(self, name: str) -> dict:
        return values.decode(self.request(name).object)

    def SupportsFeature(self, request, context):
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in self.features)

    def GetDeploymentInfo(self, request, context):
        if not self.deployment_info:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "an engine before 3.231")
        return resource_pb2.DeploymentInfo(
            project=self.project,
            stack=self.stack,
            dryRun=self.dry_run,
            parallel=16,
            # The enumeration lists these features in this order.
            supportedFeatures=[number for number, name in enumerate(FEATURES) if name in self.features],
        )

    def RegisterResource(self, request, context):
        with self._lock:
            self.registered.append(request)
            self.events.append(("began", request.name))
        urn = self.urn(request.type, request.name, request.parent)
        id, outputs = (f"{request.name}-id" if request.custom else ""), values.decode(request.object)
        try:
            if self.on_register and (answer := self.on_register(request)) is not None:
                if isinstance(answer, resource_pb2.RegisterResourceResponse):
                    return answer
                id, outputs = answer
            elif request.custom and self.dry_run:
                id = ""
        except Refusal as refusal:
            context.abort(refusal.code, refusal.text)
        finally:
            self.events.append(("ended", request.name))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id, object=values.encode(outputs))

    def RegisterResourceOutputs(self, request, context):
        self.events.append(("outputs", request.urn))
        self.outputs[request.urn] = values.decode(request.outputs)
        return empty_pb2.Empty()

    def ReadResource(self, request, context):
        self.read.append(request)
        return resource_pb2.ReadResourceResponse(
            urn=self.urn(request.type, request.name, request.parent), properties=request.properties
        )

    def Invoke(self, request, context):
        self.invoked.append(request)
        answer = self.on_invoke(request) if self.on_invoke else {}
        return provider_pb2.InvokeResponse(**{"return": values.encode(answer)})

    def Call(self, request, context):
        self.called.append(request)
        return provider_pb2.CallResponse(**{"return": values.encode({})})

    def RegisterPackage(self, request, context):
        self.packages.append(request)
        return resource_pb2.RegisterPackageResponse(ref=f"{request.name}-ref")

    def RegisterResourceHook(self, request, context):
        return empty_pb2.Empty()

    RegisterErrorHook = RegisterStackTransform = RegisterStackInvokeTransform = RegisterResourceHook
    SignalAndWaitForShutdown = RegisterResourceHook


class FakeStatus(resource_status_pb2_grpc.ResourceStatusServicer):
    def __init__(self) -> None:
        self.published: list = []

    def PublishViewSteps(self, request, context):
        self.published.append(request)
        return resource_status_pb2.PublishViewStepsResponse()


class Refusal(Exception):
    """Raised by on_register: the registration fails with this code."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Callbacks:
    """All of the fake engine's services on one port."""

    def __init__(self, **monitor) -> None:
        self.engine, self.monitor, self.status = FakeEngine(), FakeMonitor(**monitor), FakeStatus()
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=OPTIONS)
        engine_pb2_grpc.add_EngineServicer_to_server(self.engine, self._server)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self.monitor, self._server)
        resource_status_pb2_grpc.add_ResourceStatusServicer_to_server(self.status, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Callbacks:
        self._server.start()
        return self

    def stop(self) -> None:
        """The engine is gone: calls under way are cut."""
        self._server.stop(0).wait(5)

    def __exit__(self, *_: object) -> None:
        self.stop()
