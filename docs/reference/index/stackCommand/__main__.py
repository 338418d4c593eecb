import pulumi
import pulumi_ptd as ptd

eks = ptd.stack_command(target="acme01-staging", targets_dir="infra", step="eks", programs="programs")

pulumi.export("shell", eks.shell)
pulumi.export("cancel", eks.commands["cancel"])
