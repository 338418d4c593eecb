"""The proxy that everything from outside goes through."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
me.run("traefik", "docker.io/library/traefik:v3.1", 443, user=65532)

pulumi.export("host", f"{me.environment}.platform.example.com")
