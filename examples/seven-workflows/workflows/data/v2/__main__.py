"""The database of the applications, with a copy of it every night."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

me = Workflow()
from common import dynamic  # noqa: E402

password = dynamic.password("postgres")
me.cluster.secret("postgres", me.namespace, {"password": password})
host = me.run("postgres", "docker.io/library/postgres:16.4", 5432, kind="StatefulSet", more={"serviceName": "postgres"})
backup = {"name": "backup", "image": "docker.io/library/postgres:16.4", "command": ["pg_dumpall", f"--host={host}"]}
pod = {"spec": {"restartPolicy": "OnFailure", "containers": [backup]}}
me.apply("CronJob", "backup", {"spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": pod}}}}, "batch/v1")

pulumi.export("url", f"postgresql://postgres@{host}:5432/postgres")
