import pulumi
import pulumi_ptd as ptd

database = ptd.aws.SecretFields(
    "database",
    secret="acme01-staging.posit.team",
    region="us-east-2",
    fields={
        "main-database-id": "acme01-main",
        "main-database-url": "postgres://db.acme.example.com/main",
    },
)

pulumi.export("secretArn", database.secret_arn)
