import pulumi
import pulumi_ptd as ptd

state = ptd.aws.StateBucket(
    "state",
    bucket="ptd-acme01-staging",
    region="us-east-2",
    noncurrent_version_expiration_days=90,
    tags={"cost-center": "analytics"},
)

pulumi.export("backendUrl", state.backend_url)
pulumi.export("hardening", state.hardening)
