import pulumi
import pulumi_ptd as ptd

site = ptd.aws.Secret(
    "site",
    name="acme01-staging-main.posit.team",
    region="us-east-2",
    description="Secrets of site main",
    fields=[
        ptd.aws.SecretFieldArgs(name="pkg-secret-key", generate=ptd.aws.SecretGenerator.RSKEY),
        ptd.aws.SecretFieldArgs(name="dev-admin-token", generate=ptd.aws.SecretGenerator.RANDOM_STRING, length=40),
        ptd.aws.SecretFieldArgs(name="smtp-user"),
    ],
    values={"smtp-user": "nobody"},
)

pulumi.export("arn", site.arn)
