"""What outlives the workload's clusters. Run again once they exist: the roles then trust their service accounts."""

import json
import sys

import pulumi

sys.path.append("..")
from common import aws  # noqa: E402
from common.dynamic import password  # noqa: E402

MANAGED_BY = "ptd.pulumi_resources.aws_workload_persistent"

config = pulumi.Config()
target = config.require("target")
sites = config.require_object("sites")
region = aws.region()

# Network.

cidr = config.get("vpc_cidr") or f"10.{sum(map(ord, target)) % 255}.0.0/16"
vpc = aws.Vpc("vpc", name=target, cidr=cidr, managed_by=MANAGED_BY)
base = ".".join(cidr.split(".")[:2])
subnets = [
    aws.Subnet(
        f"private-{zone}", name=f"{target}-private-{zone}", vpc_id=vpc.vpc_id, cidr=f"{base}.{32 * number}.0/19",
        zone=f"{region}{zone}", managed_by=MANAGED_BY,
    )
    for number, zone in enumerate("abc")
]  # fmt: skip
subnet_ids = [subnet.subnet_id for subnet in subnets]
bastion = aws.Instance(
    "bastion", name=f"{target}-bastion", subnet_id=subnet_ids[0], type="t4g.nano", image="ami-12c6146b", managed_by=MANAGED_BY
)

# Data.

buckets = {
    purpose: aws.Bucket(purpose, name=name)
    for purpose, name in {
        "chronicle": f"ptd-{target}-chronicle",
        "packagemanager": f"ptd-{target}-ppm",
        "mimir": f"ptd-{target}-mimir",
        "loki": f"ptd-{target}-loki",
    }.items()
}
files = aws.FileSystem("files", name=target, subnet_id=subnet_ids[0], managed_by=MANAGED_BY)
master, master_password = "posit", password("database", length=32)
database = aws.Database(
    "database", name=f"{target}-main", engine_version=config.get("db_engine_version") or "15.18",
    username=f"{master}_{target.replace('-', '_')}", password=master_password,
    server=config.require_secret("database_server"), managed_by=MANAGED_BY,
)  # fmt: skip
master_secret = aws.Secret(
    "database", name=f"rds-{target}-main", managed_by=MANAGED_BY,
    value=pulumi.Output.json_dumps({"username": database.username, "password": master_password}),
)  # fmt: skip
mimir_password = password("mimir", length=36, special="-/_")

# Names and certificates.

domains = {name: site["domain"] for name, site in sites.items()}
zones = {name: aws.HostedZone(name, domain=domain) for name, domain in domains.items()}
certificates = {name: aws.Certificate(name, domain=domain) for name, domain in domains.items()}

# Roles of service accounts. The clusters are looked up, since they are made by a later step.

eks, sts = aws.client("eks", region), aws.client("sts", region)
clusters = [name for name in eks.list_clusters()["clusters"] if target in name]
issuers = sorted(
    eks.describe_cluster(name=name)["cluster"]["identity"]["oidc"]["issuer"].removeprefix("https://") for name in clusters
)
caller = sts.get_caller_identity()
for purpose, namespace, accounts in (
    ("aws-load-balancer-controller", "kube-system", ["aws-load-balancer-controller.posit.team"]),
    ("external-dns", "kube-system", ["external-dns.posit.team"]),
    ("mimir", "mimir", ["mimir.posit.team"]),
    ("loki", "loki", ["loki.posit.team"]),
):
    trust = aws.trust(issuers, caller["Account"], caller["Arn"], namespace, accounts)
    access = ""
    if purpose in buckets:
        arn = f"arn:aws:s3:::ptd-{target}-{purpose}"
        statement = {"Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"], "Effect": "Allow", "Resource": [arn, f"{arn}/*"]}
        access = json.dumps({"Statement": [statement], "Version": "2012-10-17"})
    aws.Role(purpose, name=f"{purpose}.{target}.posit.team", trust=trust, policy=access)

pulumi.export("vpc", vpc.vpc_id)
pulumi.export("subnet_ids", subnet_ids)
pulumi.export("private_subnet_ids", subnet_ids)
pulumi.export("bastion_id", bastion.instance_id)
for name in ("chronicle", "packagemanager", "mimir"):
    pulumi.export(f"{name}_bucket", buckets[name].name)
pulumi.export("fs_dns_name", files.dns_name)
pulumi.export("fs_root_volume_id", files.root_volume_id)
pulumi.export("db", database.name)
pulumi.export("db_address", database.address)
pulumi.export("db_port", database.port)
pulumi.export("db_secret_arn", master_secret.arn)
pulumi.export("db_secret_version", master_secret.version)
pulumi.export("db_url", pulumi.Output.format("postgres://{0}/postgres?sslmode=require", database.address))
pulumi.export("rds_host", database.address)
pulumi.export("mimir_password", mimir_password)
pulumi.export("cert_arns", [certificate.arn for certificate in certificates.values()])
pulumi.export("certificate_validation_records", {name: [one.validation_record] for name, one in certificates.items()})
pulumi.export("domain_ns_map", {domains[name]: zone.name_servers for name, zone in zones.items()})
pulumi.export("hosted_zone_name_servers", {
    name: {"domain": domains[name], "name_servers": zone.name_servers, "zone_id": zone.zone_id} for name, zone in zones.items()
})  # fmt: skip
