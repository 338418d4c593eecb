"""The database of the applications, with a copy of it every night."""

import sys

import pulumi

sys.path.append("../..")
from shared import Workflow  # noqa: E402

IMAGE = "docker.io/library/postgres:16.4"

me = Workflow()
me.apply("Secret", "postgres", {"type": "Opaque"}, generate=("password",))
access = {"env": me.secret_in("POSTGRES_PASSWORD", "postgres", "password")}
host = me.run("postgres", IMAGE, 5432, kind="StatefulSet", container=access, user=999)
copy = {
    "command": ["pg_dumpall", f"--host={host}", "--username=postgres"],
    "env": me.secret_in("PGPASSWORD", "postgres", "password"),
}
# The plan's quota does not count what has a deadline.
pod = me.pod("backup", IMAGE, 0.1, 0.256, copy, 999, restartPolicy="OnFailure", activeDeadlineSeconds=3600)
job = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
me.apply("CronJob", "backup", {"spec": job}, "batch/v1")

pulumi.export("url", f"postgresql://postgres@{host}:5432/postgres")
