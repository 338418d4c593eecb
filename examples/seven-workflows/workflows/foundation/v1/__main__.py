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
    labels = {**me.cluster.labels, "pod-security.kubernetes.io/enforce": me.security}
    made = me.cluster.apply("Namespace", name, {"metadata": {"name": name, "labels": labels}})
    hard = {"limits.cpu": f"{round(quota['cpu'] * 1000)}m", "limits.memory": f"{round(quota['memoryGb'] * 1000)}M"}
    me.apply("ResourceQuota", "plan", {"spec": {"hard": hard}}, namespace=name, depends_on=[made])
    # Known once the namespace is there.
    namespaces[workflow] = made.manifest["metadata"]["name"]

pulumi.export("namespaces", namespaces)
