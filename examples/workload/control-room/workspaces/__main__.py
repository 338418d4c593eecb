"""Desktops for the people who run the workloads, in the region that has them. Nothing unless they are wanted."""

import json
import sys

import pulumi

sys.path.append("../../programs")
from common import aws  # noqa: E402
from common.dynamic import password  # noqa: E402

MANAGED_BY = "ptd.pulumi_resources.aws_control_room_workspaces"
REGION = "us-east-1"

config = pulumi.Config()
target = config.require("target")

directory = None
if config.get_bool("workspaces_enabled"):
    own = {"region": REGION, "managed_by": MANAGED_BY}
    vpc = aws.Vpc("vpc", name=f"{target}-workspaces", cidr="10.250.0.0/16", **own)
    subnets = [
        aws.Subnet(
            f"private-{zone}", name=f"{target}-workspaces-{zone}", vpc_id=vpc.vpc_id, cidr=f"10.250.{number}.0/24",
            zone=f"{REGION}{zone}", **own,
        ).subnet_id
        for number, zone in enumerate("ab")
    ]  # fmt: skip
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "workspaces.amazonaws.com"}}
    trust = json.dumps({"Statement": [statement], "Version": "2012-10-17"}, sort_keys=True)
    aws.Role("workspaces", name="workspaces_DefaultRole", trust=trust, policy="", region=REGION)
    # AWS asks for a digit, a capital letter and one of these.
    admin = password("directory", length=28, special="-_").apply(lambda text: f"{text}-A1")
    directory = aws.Directory(
        "directory", name=f"{target}.workspaces.posit.team", password=admin, vpc_id=vpc.vpc_id, subnet_ids=subnets, region=REGION
    )

pulumi.export("directory_id", directory.directory_id if directory else "")
