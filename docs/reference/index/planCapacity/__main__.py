import pulumi
import pulumi_ptd as ptd

plan = ptd.plan_capacity(
    workflows={
        "foundation": ptd.CapacityWorkflow(cpu=1.5, memory_gb=3),
        "data": ptd.CapacityWorkflow(cpu=1, memory_gb=4, replicas=2),
    },
    nodes=ptd.CapacityNodes(cpu=2, memory_gb=8, minimum=3, maximum=10),
)

pulumi.export("nodes", plan.needed_nodes)
pulumi.export("headRoom", {"cpu": plan.head_room.cpu, "memoryGb": plan.head_room.memory_gb})
