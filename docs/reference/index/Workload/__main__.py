import pulumi
import pulumi_ptd as ptd

acme = ptd.Workload(
    "acme",
    target="acme01-staging",
    targets_dir="infra",
    programs="programs",
    # The bootstrap is a program of its own, so that this program's state can lie in the bucket it makes.
    bootstrap=ptd.PipelineBootstrapArgs(manage=False),
)

pulumi.export("steps", acme.step_names)
pulumi.export("siteUrls", acme.steps["sites"]["site_urls"])
