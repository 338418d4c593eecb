import pulumi
import pulumi_ptd as ptd

persistent = ptd.Stack(
    "persistent",
    directory="programs/persistent",
    stack="organization/ptd-aws-workload-persistent/acme01-staging",
    backend_url="s3://ptd-acme01-staging?region=us-east-2",
    secrets_provider="awskms://alias/posit-team-dedicated?region=us-east-2",
)

room = ptd.Provider(
    "room",
    region="us-east-2",
    allowed_account_ids=["222233334444"],
    assume_role=ptd.AssumeRoleArgs(role_arn="arn:aws:iam::222233334444:role/admin.posit.team"),
)

mimir_auth = ptd.aws.MimirAuthEntry(
    "mimir-auth",
    target="acme01-staging",
    control_room="main01-staging",
    account_id="222233334444",
    outputs={"mimir_password": persistent.outputs["mimir_password"]},
    opts=pulumi.ResourceOptions(provider=room),
)

pulumi.export("secretArn", mimir_auth.secret_arn)
