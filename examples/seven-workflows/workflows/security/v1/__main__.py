"""Who may talk to whom: with the level "restricted", nobody but those whom a policy lets through."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
closed = me.config.require_object("namespaces").items() if me.security == "restricted" else []
for workflow, namespace in sorted(closed):
    same = {"matchExpressions": [{"key": "pod-security.kubernetes.io/enforce", "operator": "Exists"}]}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": same}]}]}
    me.apply("NetworkPolicy", "platform-only", {"spec": spec}, "networking.k8s.io/v1", namespace=namespace)
me.apply("ConfigMap", "scanner", {"data": {"level": me.security, "metrics": me.config.require("metrics")}})
me.run("scanner", "docker.io/aquasec/trivy-operator:0.22.0", 8080)

pulumi.export("level", me.security)
