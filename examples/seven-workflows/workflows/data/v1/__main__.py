"""The database of the applications."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
me.apply("Secret", "postgres", {"type": "Opaque"}, generate=("password",))
access = {"env": me.secret_in("POSTGRES_PASSWORD", "postgres", "password")}
host = me.run("postgres", "docker.io/library/postgres:15.8", 5432, kind="StatefulSet", container=access, user=999)

pulumi.export("url", f"postgresql://postgres@{host}:5432/postgres")
