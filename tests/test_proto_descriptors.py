"""The protos in proto/ describe the same wire format as the published Pulumi SDK.

Every message, field, enum, oneof, service and RPC we declare is compared with the descriptors in the `pulumi` wheel, and
everything the wheel's services reach must be declared by us.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import grpc_tools
import pytest
from google.protobuf import descriptor_pb2 as pb
from grpc_tools import protoc

PROTO_ROOT = Path(__file__).resolve().parent.parent / "proto"

WHEEL_MODULES = [
    "alias_pb2",
    "callback_pb2",
    "codegen.loader_pb2",
    "codegen.mapper_pb2",
    "engine_pb2",
    "errors_pb2",
    "plugin_pb2",
    "provider_pb2",
    "resource_pb2",
    "resource_status_pb2",
    "source_pb2",
    "status_pb2",
]

SERVICES = [
    "codegen.Loader",
    "codegen.Mapper",
    "pulumirpc.Callbacks",
    "pulumirpc.Engine",
    "pulumirpc.PackageResolver",
    "pulumirpc.ResourceMonitor",
    "pulumirpc.ResourceProvider",
    "pulumirpc.ResourceStatus",
]

# Carried as bytes or as error details, so that no RPC mentions them.
UNMENTIONED = [
    "google.rpc.Status",
    "pulumirpc.ConfigureErrorMissingKeys",
    "pulumirpc.ErrorCause",
    "pulumirpc.ErrorHookRequest",
    "pulumirpc.ErrorHookResponse",
    "pulumirpc.ErrorResourceInitFailed",
    "pulumirpc.InputPropertiesError",
    "pulumirpc.ResourceHookRequest",
    "pulumirpc.ResourceHookResponse",
    "pulumirpc.StateMigrationRequest",
    "pulumirpc.StateMigrationResponse",
    "pulumirpc.TransformInvokeRequest",
    "pulumirpc.TransformInvokeResponse",
    "pulumirpc.TransformRequest",
    "pulumirpc.TransformResponse",
]

# Fact by name: "pulumirpc.Alias.urn" -> "field 1 ...". Two dictionaries are equal when the wire formats are.
Facts = dict[str, str]


def _field(message: pb.DescriptorProto, field: pb.FieldDescriptorProto) -> str:
    oneof = ""
    if field.HasField("oneof_index") and not field.proto3_optional:
        oneof = message.oneof_decl[field.oneof_index].name
    return (
        f"field {field.number} label={field.label} optional={field.proto3_optional} type={field.type}"
        f" of={field.type_name} oneof={oneof} packed={field.options.packed} deprecated={field.options.deprecated}"
    )


def _enum_facts(scope: str, enum: pb.EnumDescriptorProto) -> Iterator[tuple[str, str]]:
    name = f"{scope}.{enum.name}"
    values = " ".join(f"{value.name}={value.number}" for value in enum.value)
    yield name, f"enum {values} alias={enum.options.allow_alias}"


def _message_facts(scope: str, message: pb.DescriptorProto) -> Iterator[tuple[str, str]]:
    name = f"{scope}.{message.name}"
    numbers = sorted(
        number for reserved in message.reserved_range for number in range(reserved.start, reserved.end)
    )
    yield (
        name,
        f"message map_entry={message.options.map_entry} reserved={numbers} {sorted(message.reserved_name)}",
    )
    for field in message.field:
        yield f"{name}.{field.name}", _field(message, field)
    for oneof in message.oneof_decl:
        yield f"{name}#{oneof.name}", "oneof"
    for enum in message.enum_type:
        yield from _enum_facts(name, enum)
    for nested in message.nested_type:
        yield from _message_facts(name, nested)


def facts(files: list[pb.FileDescriptorProto]) -> Facts:
    """Everything the files declare, one entry a name."""
    found: Facts = {}
    for file in files:
        for enum in file.enum_type:
            found.update(_enum_facts(file.package, enum))
        for message in file.message_type:
            found.update(_message_facts(file.package, message))
        for service in file.service:
            name = f"{file.package}.{service.name}"
            found[name] = "service"
            for rpc in service.method:
                found[f"{name}/{rpc.name}"] = (
                    f"rpc {rpc.input_type} stream={rpc.client_streaming}"
                    f" -> {rpc.output_type} stream={rpc.server_streaming}"
                )
    return found


def _messages(files: list[pb.FileDescriptorProto]) -> Iterator[tuple[str, pb.DescriptorProto]]:
    pending = [(f".{file.package}", message) for file in files for message in file.message_type]
    while pending:
        scope, message = pending.pop()
        name = f"{scope}.{message.name}"
        yield name, message
        pending.extend((name, nested) for nested in message.nested_type)


def owner(name: str) -> str:
    """The top-level message, enum or service a fact belongs to."""
    package = "google.rpc" if name.startswith("google.rpc.") else name.split(".", 1)[0]
    rest = name[len(package) + 1 :]
    for separator in "/#":
        rest = rest.split(separator, 1)[0]
    return f"{package}.{rest.split('.', 1)[0]}"


def reachable(files: list[pb.FileDescriptorProto]) -> set[str]:
    """Names of the services, of `UNMENTIONED`, and of every message and enum they lead to."""
    messages = dict(_messages(files))
    pending = [f".{name}" for name in UNMENTIONED]
    seen: set[str] = set()
    for file in files:
        for service in file.service:
            if f"{file.package}.{service.name}" in SERVICES:
                seen.add(f".{file.package}.{service.name}")
                for rpc in service.method:
                    pending += [rpc.input_type, rpc.output_type]
    while pending:
        name = pending.pop()
        if name in seen or name.startswith(".google.protobuf."):
            continue
        seen.add(name)
        if name in messages:
            pending += [field.type_name for field in messages[name].field if field.type_name]
    return {name.lstrip(".") for name in seen}


def differences(ours: Facts, theirs: Facts) -> list[str]:
    """What differs in the declarations present on our side."""
    declared = {owner(name) for name in ours}
    return [
        f"{name}: ours {ours.get(name, 'missing')}; published {theirs.get(name, 'missing')}"
        for name in sorted(ours.keys() | {name for name in theirs if owner(name) in declared})
        if ours.get(name) != theirs.get(name)
    ]


def _compile(root: Path, out: Path) -> list[pb.FileDescriptorProto]:
    sources = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    assert sources, f"no protos in {root}"
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{root}", f"-I{bundled}", f"--descriptor_set_out={out}", *sources]
    assert protoc.main(arguments) == 0, "the protos do not compile"
    return list(pb.FileDescriptorSet.FromString(out.read_bytes()).file)


@pytest.fixture(scope="module")
def theirs() -> list[pb.FileDescriptorProto]:
    modules = (importlib.import_module(f"pulumi.runtime.proto.{name}") for name in WHEEL_MODULES)
    return [pb.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb) for module in modules]


@pytest.fixture
def ours(tmp_path: Path) -> list[pb.FileDescriptorProto]:
    return _compile(PROTO_ROOT, tmp_path / "ours.binpb")


def test_declarations_equal_the_published_ones(
    ours: list[pb.FileDescriptorProto], theirs: list[pb.FileDescriptorProto]
) -> None:
    found = differences(facts(ours), facts(theirs))
    assert not found, "\n".join(found)


def test_everything_reachable_is_declared(
    ours: list[pb.FileDescriptorProto], theirs: list[pb.FileDescriptorProto]
) -> None:
    wanted = reachable(theirs)
    assert set(SERVICES) <= wanted, "the wheel lacks a service: is WHEEL_MODULES complete?"
    missing = wanted - facts(ours).keys()
    assert not missing, sorted(missing)


@pytest.mark.parametrize(
    ("file", "right", "wrong", "reported"),
    [
        ("provider", "bytes randomSeed = 5;", "bytes randomSeed = 9;", "pulumirpc.CheckRequest.randomSeed"),
        ("provider", "string tok = 1;", "bytes tok = 1;", "pulumirpc.InvokeRequest.tok"),
        ("provider", "returns (stream ListResponse)", "returns (ListResponse)", "pulumirpc.ResourceProvider/List"),
        ("resource", "optional bool protect = 6;", "bool protect = 6;", "pulumirpc.RegisterResourceRequest.protect"),
        ("resource", "SKIP = 2;", "SKIP = 3;", "pulumirpc.Result"),
        ("alias", "string stack = 3;", "", "pulumirpc.Alias.Spec.stack"),
        ("callback", "rpc Invoke(", "rpc Run(", "pulumirpc.Callbacks/Invoke"),
    ],
)
def test_a_change_is_noticed(
    tmp_path: Path,
    theirs: list[pb.FileDescriptorProto],
    file: str,
    right: str,
    wrong: str,
    reported: str,
) -> None:
    copy = tmp_path / "proto"
    for source in PROTO_ROOT.rglob("*.proto"):
        target = copy / source.relative_to(PROTO_ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    edited = copy / "pulumi" / f"{file}.proto"
    text = edited.read_text(encoding="utf-8")
    assert right in text, f"{right} is no longer in {file}.proto"
    edited.write_text(text.replace(right, wrong, 1), encoding="utf-8")

    found = differences(facts(_compile(copy, tmp_path / "edited.binpb")), facts(theirs))
    assert any(line.startswith(f"{reported}:") for line in found), found
