import pulumi
import pulumi_ptd as ptd

key = ptd.aws.EncryptionKey(
    "key",
    alias="alias/posit-team-dedicated",
    region="us-east-2",
    description="Secrets of Pulumi stacks",
    target="acme01-staging",
)

pulumi.export("secretsProviderUrl", key.secrets_provider_url)
pulumi.export("keyArn", key.arn)
