import pulumi
import pulumi_ptd as ptd

target = ptd.get_target(target="acme01-staging", targets_dir="infra")

pulumi.export("account", target.account_id)
pulumi.export("sites", target.site_names)
pulumi.export("stateBucket", target.names.state_bucket)
