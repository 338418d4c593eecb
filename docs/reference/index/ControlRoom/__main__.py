import pulumi
import pulumi_ptd as ptd

main01 = ptd.ControlRoom(
    "main01",
    target="main01-staging",
    targets_dir="infra",
    programs="control-room",
)

pulumi.export("steps", main01.step_names)
pulumi.export("cluster", main01.steps["cluster"]["cluster_name"])
