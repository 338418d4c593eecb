"""What the workflows share: their settings, and objects in the cluster that follow them."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi

# The Kubernetes resources are those of the other example.
sys.path.append(str(Path(__file__).resolve().parents[3] / "workload/programs"))
from common import kube  # noqa: E402


class Workflow:
    """The workflow whose program this is."""

    def __init__(self) -> None:
        config = self.config = pulumi.Config()
        self.name = pulumi.get_project().removeprefix("platform-")
        self.environment = config.require("environment")
        self.replicas = config.require_int("replicas")
        self.cpu, self.memory_gb = config.require_float("cpu"), config.require_float("memoryGb")
        self.security = config.require("securityLevel")
        self.high = config.require("availability") == "high"
        self.namespace = config.get("namespace") or ""
        self.cluster = kube.Cluster(self.name, config.require_secret("kubeconfig"), "seven-workflows")

    def apply(self, kind: str, name: str, body: dict, version: str = "v1", **options) -> kube.Object:
        """An object in the workflow's own namespace, unless `namespace` names another."""
        return self.cluster.apply(kind, name, body, version=version, **{"namespace": self.namespace, **options})

    def run(self, name: str, image: str, port: int, kind: str = "Deployment", more: dict | None = None) -> str:
        """Runs the image within the workflow's limits, behind a service. Gives the service's host."""
        labels = {"app.kubernetes.io/name": name}
        amounts = {"cpu": f"{round(self.cpu * 1000)}m", "memory": f"{round(self.memory_gb * 1000)}M"}
        pod: dict = {
            "containers": [{"name": name, "image": image, "resources": {"limits": amounts, "requests": amounts}}],
            "securityContext": {"runAsNonRoot": self.security == "restricted"},
        }
        if self.high:
            pod["topologySpreadConstraints"] = [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                 "labelSelector": {"matchLabels": labels}},
            ]  # fmt: skip
            budget = {"minAvailable": max(self.replicas - 1, 1), "selector": {"matchLabels": labels}}
            self.apply("PodDisruptionBudget", name, {"spec": budget}, "policy/v1")
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": self.replicas, "selector": {"matchLabels": labels}, "template": template, **(more or {})}
        self.apply(kind, name, {"spec": spec}, "apps/v1")
        self.apply("Service", name, {"spec": {"selector": labels, "ports": [{"port": port, "protocol": "TCP", "targetPort": port}]}})
        return f"{name}.{self.namespace}.svc"
