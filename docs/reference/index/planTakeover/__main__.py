import pulumi
import pulumi_ptd as ptd

plan = ptd.plan_takeover(target="acme01-staging", targets_dir="infra")

pulumi.export("commands", plan.commands)
pulumi.export("secretsProvider", plan.secrets_provider)
