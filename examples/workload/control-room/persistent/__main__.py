"""What outlives the control room's cluster: network, database, releases."""

import sys

import pulumi

sys.path.append("../../programs")
from common import aws  # noqa: E402
from common.dynamic import password  # noqa: E402

MANAGED_BY = "ptd.pulumi_resources.aws_control_room_persistent"

config = pulumi.Config()
target = config.require("target")

second = sum(map(ord, target)) % 255
vpc = aws.Vpc("vpc", name=target, cidr=f"10.{second}.0.0/16", managed_by=MANAGED_BY)
subnet_ids = [
    aws.Subnet(
        f"private-{zone}", name=f"{target}-private-{zone}", vpc_id=vpc.vpc_id, cidr=f"10.{second}.{32 * number}.0/19",
        zone=f"{aws.region()}{zone}", managed_by=MANAGED_BY,
    ).subnet_id
    for number, zone in enumerate("abc")
]  # fmt: skip
gateway = aws.ElasticIp("nat", name=f"{target}-nat", managed_by=MANAGED_BY)
releases = aws.Bucket("releases", name=f"{target}-releases")
master_password = password("database", length=32)
database = aws.Database(
    "database", name=f"{target}-main", engine_version=config.get("db_engine_version") or "15.18",
    username=f"posit_{target.replace('-', '_')}", password=master_password,
    server=config.require_secret("database_server"), managed_by=MANAGED_BY,
)  # fmt: skip
master_secret = aws.Secret(
    "database", name=f"rds-{target}-main", managed_by=MANAGED_BY,
    value=pulumi.Output.json_dumps({"username": database.username, "password": master_password}),
)  # fmt: skip

pulumi.export("vpc_name", vpc.name)
pulumi.export("vpc_id", vpc.vpc_id)
pulumi.export("subnet_ids", subnet_ids)
pulumi.export("nat_gw_public_ips", [gateway.address])
pulumi.export("db", database.name)
pulumi.export("db_address", database.address)
pulumi.export("db_host", database.address)
pulumi.export("db_port", database.port)
pulumi.export("db_secret_arn", master_secret.arn)
pulumi.export("db_secret_version", master_secret.version)
pulumi.export("releases_bucket", releases.name)
pulumi.export("releases_bucket_arn", releases.arn)
