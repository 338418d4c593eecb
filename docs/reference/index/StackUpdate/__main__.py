import pulumi
import pulumi_ptd as ptd

BACKEND = "s3://ptd-acme01-staging?region=us-east-2"
KEY = "awskms://alias/posit-team-dedicated?region=us-east-2"

persistent = ptd.Stack(
    "persistent",
    directory="programs/persistent",
    stack="organization/ptd-aws-workload-persistent/acme01-staging",
    backend_url=BACKEND,
    secrets_provider=KEY,
)

eks = ptd.Stack(
    "eks",
    directory="programs/eks",
    stack="organization/ptd-aws-workload-eks/acme01-staging",
    backend_url=BACKEND,
    secrets_provider=KEY,
    opts=pulumi.ResourceOptions(depends_on=[persistent]),
)

again = ptd.StackUpdate(
    "again",
    spec=persistent.spec,
    triggers={"issuers": eks.plain_outputs["oidc_issuers"]},
)

pulumi.export("database", again.plain_outputs["db"])
