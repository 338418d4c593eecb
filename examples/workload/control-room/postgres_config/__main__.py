"""Grafana's role and database in the control room's database server."""

import sys

import pulumi

sys.path.append("../../programs")
from common import aws, postgres  # noqa: E402
from common.dynamic import password  # noqa: E402

config = pulumi.Config()
target = config.require("target").replace("-", "_")
host, port = config.require("db_address"), config.require_int("db_port")

fields = aws.secret_fields(config.require("db_secret_arn"))
login = pulumi.Output.all(fields["username"], fields["password"])
server = pulumi.Output.secret(login.apply(lambda known: postgres.url(host, port, *known)))

role = postgres.Role("grafana", server=server, name=f"grafana_{target}", password=password("grafana"))
database = postgres.Database("grafana", server=server, name=role.name, owner=role.name)
postgres.Extension("grafana-pg_trgm", server=server, database=database.name, name="pg_trgm")
reader = postgres.Role("grafana-reader", server=server, name=f"grafana_reader_{target}", password=password("grafana-reader"))
grant = postgres.Grant("grafana-reader", server=server, database=database.name, role=reader.name, privileges=["CONNECT"])

connection = pulumi.Output.all(role.name, role.password, database.name).apply(
    lambda known: {"host": host, "port": port, "user": known[0], "password": known[1], "database": known[2]}
)
pulumi.export("db_grafana_pw", role.password)
pulumi.export("db_grafana_connection", pulumi.Output.secret(connection))
pulumi.export("grafana_db_name", database.name)
pulumi.export("grant_id", grant.id)
