"""The platform: 1 foundation, 2 ingress, 3 observability, then 4 GitOps, 5 security, 6 mesh and 7 data side by side."""

import os
from pathlib import Path

import pulumi
import pulumi_ptd as ptd

config = pulumi.Config()
environment = pulumi.get_stack()


def one_of(setting: str, *allowed: str) -> str:
    if (value := config.require(setting)) not in allowed:
        raise pulumi.RunError(f"{setting} is {value!r}: it must be one of {', '.join(allowed)}")
    return value


workflows = config.require_object("workflows")

# Asked before anything else: a plan that does not fit ends the program here, with no workflow begun.
plan = ptd.plan_capacity(
    workflows={
        name: ptd.CapacityWorkflow(cpu=one["cpu"], memory_gb=one["memoryGb"], replicas=int(one.get("replicas", 1)))
        for name, one in workflows.items()
    },
    # Default: 3 to 10 nodes of 2 CPU and 8 GB, of which 5 CPU and 10 GB are kept free.
    nodes=config.get_object("nodes"),
    reserved=config.get_object("reserved"),
)

backend = config.get("backend") or os.environ["PULUMI_BACKEND_URL"]
settings = {
    "environment": environment,
    "securityLevel": one_of("securityLevel", "baseline", "restricted"),
    "availability": one_of("availability", "single", "high"),
    "kubeconfig": pulumi.Output.secret(Path(os.environ["KUBECONFIG"]).read_text()),
}


def workflow(name: str, after: list[ptd.Stack], **more: pulumi.Input) -> ptd.Stack:
    """A stack from the version of the workflow that the settings name: to roll back is to name the one before."""
    own = workflows[name]
    limits = {"cpu": own["cpu"], "memoryGb": own["memoryGb"], "replicas": int(own.get("replicas", 1))}
    return ptd.Stack(
        name,
        directory=f"workflows/{name}/{own['version']}",
        watch=["workflows/shared"],
        stack=f"organization/platform-{name}/{environment}",
        backend_url=backend,
        config={**settings, **limits, **more},
        inherit_environment=["PULUMI_CONFIG_PASSPHRASE"],
        message=f"{name} {own['version']}",
        on_delete=ptd.OnDelete(config.require("onDelete")),
        opts=pulumi.ResourceOptions(depends_on=after),
    )


quotas = {name: {"cpu": need.cpu, "memoryGb": need.memory_gb} for name, need in plan.workflows.items()}
foundation = workflow("foundation", [], quotas=quotas)
ingress = workflow("ingress", [foundation], namespace=foundation.outputs["namespaces"]["ingress"])
observability = workflow(
    "observability", [ingress], namespace=foundation.outputs["namespaces"]["observability"], host=ingress.outputs["host"]
)
last = {
    name: workflow(
        name,
        [observability],
        namespace=foundation.outputs["namespaces"][name],
        metrics=observability.outputs["metrics"],
        **more,
    )
    for name, more in {
        "gitops": {"host": ingress.outputs["host"]},
        "security": {"namespaces": foundation.outputs["namespaces"]},
        "mesh": {},
        "data": {},
    }.items()
}

pulumi.export("capacity", {"nodes": plan.needed_nodes, "cpu": plan.required.cpu, "memoryGb": plan.required.memory_gb})
pulumi.export("versions", {name: one["version"] for name, one in workflows.items()})
pulumi.export("dashboard", observability.outputs["dashboard"])
pulumi.export("database", last["data"].outputs["url"])
