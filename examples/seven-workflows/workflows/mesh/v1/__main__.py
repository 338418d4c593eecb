"""Encryption between services."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
mode = "STRICT" if me.security == "restricted" else "PERMISSIVE"
me.apply("ConfigMap", "istio", {"data": {"mtls": mode, "metrics": me.config.require("metrics")}})
me.run("istiod", "docker.io/istio/pilot:1.23.0", 15012)

pulumi.export("mtls", mode)
