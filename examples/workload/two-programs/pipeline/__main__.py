"""The second of two programs: every step after the bootstrap, with the same edges as in the one program."""

import sys

import pulumi
import pulumi_ptd as ptd

sys.path.append("../../one-program")
import steps  # noqa: E402

config = pulumi.Config()
target = ptd.get_target(target=config.get("target") or "acme01-staging", targets_dir="../../infra")

# Both are names that follow from the target's; what bears them is there, or this program would have no state.
made = steps.declare(
    target, target.names.backend_url, target.names.secrets_provider_url, config.require_bool("allowDelete"), root="../.."
)

pulumi.export("databaseAddress", steps.plain(made["persistent"], "db_address"))
pulumi.export("grafanaPassword", made["postgres_config"].outputs["db_grafana_pw"])
pulumi.export("clusterNames", steps.plain(made["eks"], "cluster_names"))
pulumi.export("siteUrls", steps.plain(made["sites"], "site_urls"))
