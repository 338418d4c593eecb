import pulumi
import pulumi_ptd as ptd

admin = ptd.aws.AdminPolicy(
    "admin",
    account_id="123456789012",
    tags={"posit.team/managed-by": "admin"},
)

pulumi.export("arn", admin.arn)
pulumi.export("documentStatus", admin.document_status)
