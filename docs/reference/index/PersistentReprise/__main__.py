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

reprise = ptd.PersistentReprise(
    "reprise",
    target="acme01-staging",
    region="us-east-2",
    spec=persistent.spec,
    triggers={"issuers": eks.plain_outputs["oidc_issuers"]},
    control_room=ptd.WorkloadControlRoomArgs(name="main01-staging", account_id="222233334444"),
)

pulumi.export("database", reprise.plain_outputs["db"])
