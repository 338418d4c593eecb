import pulumi
import pulumi_ptd as ptd

persistent = ptd.Stack(
    "persistent",
    directory="programs/persistent",
    stack="organization/ptd-aws-workload-persistent/acme01-staging",
    backend_url="s3://ptd-acme01-staging?region=us-east-2",
    secrets_provider="awskms://alias/posit-team-dedicated?region=us-east-2",
)

workload_secret = ptd.aws.WorkloadSecretFields(
    "workload-secret",
    target="acme01-staging",
    region="us-east-2",
    outputs=persistent.outputs,
)

pulumi.export("secretArn", workload_secret.secret_arn)
