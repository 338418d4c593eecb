"""Keeps applications as Git has them."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
settings = {"url": f"https://{me.config.require('host')}/gitops", "metrics": me.config.require("metrics")}
me.apply("ConfigMap", "argocd-cm", {"data": settings})
me.run("argocd-server", "quay.io/argoproj/argocd:v2.12.3", 8080)

pulumi.export("url", settings["url"])
