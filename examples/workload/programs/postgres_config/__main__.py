"""Roles, databases, extensions and grants in the workload's database server."""

import sys

import pulumi

sys.path.append("..")
from common import aws, postgres  # noqa: E402
from common.dynamic import password  # noqa: E402

config = pulumi.Config()
target = config.require("target").replace("-", "_")

# What the persistent step hands over: where the server is, and the name of the secret that holds its master password.
fields = aws.secret_fields(config.require("db_secret_arn"))
server = pulumi.Output.secret(
    pulumi.Output.all(fields["username"], fields["password"]).apply(
        lambda login: postgres.url(config.require("db_address"), config.require_int("db_port"), *login)
    )
)


def database(name: str, extensions: tuple[str, ...] = ()) -> tuple[postgres.Database, pulumi.Output[str]]:
    """A database and the role that owns it, under one name."""
    role = postgres.Role(name, server=server, name=f"{name}_{target}", password=password(name))
    made = postgres.Database(name, server=server, name=role.name, owner=role.name)
    for extension in extensions:
        postgres.Extension(f"{name}-{extension}", server=server, database=made.name, name=extension)
    return made, role.password


grafana, grafana_password = database("grafana", ("pg_trgm",))
reader = postgres.Role("grafana-reader", server=server, name=f"grafana_reader_{target}", password=password("grafana-reader"))
grant = postgres.Grant("grafana-reader", server=server, database=grafana.name, role=reader.name, privileges=["CONNECT"])

pulumi.export("db_grafana_pw", grafana_password)
pulumi.export("grafana_db_name", grafana.name)
pulumi.export("grant_id", grant.id)
for extra in config.get_object("extra_databases") or []:
    pulumi.export(f"{extra}_pw", database(extra, ("pg_trgm", "uuid-ossp"))[1])
