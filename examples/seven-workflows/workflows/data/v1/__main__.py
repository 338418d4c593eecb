"""The database of the applications."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
from common import dynamic  # noqa: E402

password = dynamic.password("postgres")
me.cluster.secret("postgres", me.namespace, {"password": password})
host = me.run("postgres", "docker.io/library/postgres:15.8", 5432, kind="StatefulSet", more={"serviceName": "postgres"})

pulumi.export("url", f"postgresql://postgres@{host}:5432/postgres")
