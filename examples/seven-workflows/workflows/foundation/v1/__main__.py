"""A namespace for each workflow, with the quota that the capacity plan gives it."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
quotas = me.config.require_object("quotas")
namespaces = {}
for workflow, quota in sorted(quotas.items()):
    name = f"{me.environment}-{workflow}"
    # How pods may be is the API server's to enforce.
    made = me.apply("Namespace", name, {}, namespace="", labels={"pod-security.kubernetes.io/enforce": me.security})
    hard = {"limits.cpu": f"{round(quota['cpu'] * 1000)}m", "limits.memory": f"{round(quota['memoryGb'] * 1000)}M"}
    # Of all that stays; jobs, which have a deadline, run in what the plan keeps free.
    me.apply("ResourceQuota", "plan", {"spec": {"hard": hard, "scopes": ["NotTerminating"]}}, namespace=name, depends_on=[made])
    # Known once the namespace is there.
    namespaces[workflow] = made.manifest["metadata"]["name"]

pulumi.export("namespaces", namespaces)
