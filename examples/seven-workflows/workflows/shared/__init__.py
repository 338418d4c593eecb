"""What the workflows share: their settings, and objects in the cluster that follow them."""

from __future__ import annotations

import pulumi

from .objects import Object

#: What a namespace of the level "restricted" asks of each container, beside what it asks of a pod.
_CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


class Workflow:
    """The workflow whose program this is."""

    labels = {"posit.team/managed-by": "seven-workflows"}

    def __init__(self) -> None:
        config = self.config = pulumi.Config()
        self.environment = config.require("environment")
        self.replicas = config.require_int("replicas")
        self.cpu, self.memory_gb = config.require_float("cpu"), config.require_float("memoryGb")
        self.security = config.require("securityLevel")
        self.high = config.require("availability") == "high"
        self.namespace = config.get("namespace") or ""
        self.kubeconfig = config.require_secret("kubeconfig")

    def apply(self, kind: str, name: str, body: dict, version: str = "v1", *, namespace: str | None = None, labels: dict | None = None,
              generate: tuple[str, ...] = (), depends_on: list | None = None) -> Object:  # fmt: skip
        """An object in the workflow's own namespace, unless `namespace` names another; "" is for those that lie in none."""
        place = self.namespace if namespace is None else namespace
        meta = {"name": name, "labels": {**self.labels, **(labels or {})}} | ({"namespace": place} if place else {})
        manifest = {"apiVersion": version, "kind": kind, "metadata": meta, **body}
        opts = pulumi.ResourceOptions(depends_on=depends_on or [])
        return Object("-".join(filter(None, (kind.lower(), place, name))), self.kubeconfig, manifest, generate, opts)

    def pod(self, name: str, image: str, cpu: float, memory_gb: float, container: dict | None = None, user: int | None = None,
            **more: object) -> dict:  # fmt: skip
        """The spec of a pod of one container, as the environment's level of security has it. `user`: where the image names no number."""
        amounts = {"cpu": f"{round(cpu * 1000)}m", "memory": f"{round(memory_gb * 1000)}M"}
        one = {"name": name, "image": image, "resources": {"limits": amounts, "requests": amounts}, **(container or {})}
        if self.security != "restricted":
            return {"containers": [one], **more}
        confined = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} | ({"runAsUser": user} if user else {})
        return {"containers": [{**one, "securityContext": _CONFINED}], "securityContext": confined, **more}

    def run(self, name: str, image: str, port: int, *, kind: str = "Deployment", container: dict | None = None,
            user: int | None = None) -> str:  # fmt: skip
        """Runs the image within the workflow's limits, behind a service. Gives the service's host."""
        labels = {"app.kubernetes.io/name": name}
        pod = self.pod(name, image, self.cpu, self.memory_gb, container, user)
        if self.high:
            pod["topologySpreadConstraints"] = [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                 "labelSelector": {"matchLabels": labels}},
            ]  # fmt: skip
        if self.high and self.replicas > 1:
            # With a single replica, it would keep nodes from ever being drained.
            budget = {"minAvailable": self.replicas - 1, "selector": {"matchLabels": labels}}
            self.apply("PodDisruptionBudget", name, {"spec": budget}, "policy/v1")
        spec = {"replicas": self.replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
        if kind == "StatefulSet":
            spec["serviceName"] = name
        else:
            # One for one: the namespace's quota is what the replicas need, so that another beside them would be refused.
            spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
        self.apply(kind, name, {"spec": spec}, "apps/v1")
        self.apply("Service", name, {"spec": {"selector": labels, "ports": [{"port": port, "protocol": "TCP", "targetPort": port}]}})
        return f"{name}.{self.namespace}.svc"

    def secret_in(self, variable: str, secret: str, field: str) -> list[dict]:
        """The `env` of a container that is given a field of a secret."""
        return [{"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": field}}}]
