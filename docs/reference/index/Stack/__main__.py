import pulumi
import pulumi_ptd as ptd

BACKEND = "s3://ptd-acme01-staging?region=us-east-2"
KEY = "awskms://alias/posit-team-dedicated?region=us-east-2"

network = ptd.Stack(
    "network",
    directory="network",
    stack="organization/network/acme01-staging",
    backend_url=BACKEND,
    secrets_provider=KEY,
    config={"cidr": "10.0.0.0/16"},
)

database = ptd.Stack(
    "database",
    directory="database",
    stack="organization/database/acme01-staging",
    backend_url=BACKEND,
    secrets_provider=KEY,
    config={"subnets": network.plain_outputs["privateSubnets"]},
    on_delete=ptd.OnDelete.DESTROY,
)

pulumi.export("address", database.plain_outputs["address"])
