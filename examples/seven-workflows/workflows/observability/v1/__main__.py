"""Metrics of everything, and the dashboards that show them."""

import json
import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
scrape = {"scrape_configs": [{"job_name": "platform", "kubernetes_sd_configs": [{"role": "pod"}]}]}
me.apply("ConfigMap", "prometheus", {"data": {"prometheus.json": json.dumps(scrape, sort_keys=True)}})
metrics = me.run("prometheus", "quay.io/prometheus/prometheus:v2.54.1", 9090, user=65534)

pulumi.export("metrics", f"http://{metrics}:9090")
pulumi.export("dashboard", f"https://{me.config.require('host')}/dashboards")
