import pulumi
import pulumi_ptd as ptd

pipeline = ptd.list_steps(target="acme01-staging", targets_dir="infra", start_at_step="clusters")

pulumi.export("text", pipeline.text)
pulumi.export("selected", pipeline.selected)
