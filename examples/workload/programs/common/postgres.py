"""What lives in a PostgreSQL server, by psycopg. `server` is the URL, with user and password."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

from . import dynamic

resource = functools.partial(dynamic.resource, "postgres")


def url(host: str, port: int, user: str, password: str) -> str:
    return f"postgresql://{quote(user, '')}:{quote(password, '')}@{host}:{int(port)}/postgres"


@contextmanager
def connection(server: str, database: str = ""):
    """Runs statements: text, with names quoted where it says {} and values where it says %s."""
    import psycopg
    from psycopg import sql

    override = {"dbname": database} if database else {}
    with psycopg.connect(server, autocommit=True, connect_timeout=10, **override) as live:

        def run(text: str, *names: str, values: tuple = ()):
            statement = sql.SQL(text).format(*(sql.Identifier(name) for name in names))
            if values and not text.startswith("SELECT"):
                # Utility statements take no parameters: the values go into the text, quoted by the client.
                return live.execute(psycopg.ClientCursor(live).mogrify(statement, values))
            return live.execute(statement, values or None)

        yield run


def _exists(run, table: str, column: str, name: str) -> bool:
    return run("SELECT 1 FROM {} WHERE {} = %s", table, column, values=(name,)).fetchone() is not None


def _ensure_role(run, name: str, password: str, options: str) -> None:
    if not _exists(run, "pg_roles", "rolname", name):
        run("CREATE ROLE {}", name)
    run("ALTER ROLE {} " + options + " LOGIN PASSWORD %s", name, values=(password,))


def ensure_master(server: str, user: str, password: str) -> tuple[str, int]:
    """The master user that RDS makes; where the server is."""
    with connection(server) as run:
        _ensure_role(run, user, password, "CREATEDB CREATEROLE")
    place = urlsplit(server)
    return place.hostname or "", place.port or 5432


def drop_master(server: str, user: str) -> None:
    with connection(server) as run:
        run("DROP ROLE IF EXISTS {}", user)


@resource()
class Role(dynamic.Kind):
    """A role that may log in."""

    replace_on = ("name",)

    def make(self, props):
        with connection(props["server"]) as run:
            _ensure_role(run, props["name"], props["password"], "NOCREATEDB")
            # An owner's databases can only be made by one of its members.
            run("GRANT {} TO CURRENT_USER", props["name"])
        return props["name"], {}

    def look(self, id, props):
        with connection(props["server"]) as run:
            return {} if _exists(run, "pg_roles", "rolname", id) else None

    def drop(self, id, props):
        with connection(props["server"]) as run:
            run("DROP ROLE IF EXISTS {}", id)


@resource()
class Database(dynamic.Kind):
    replace_on = ("name",)

    def make(self, props):
        with connection(props["server"]) as run:
            if not _exists(run, "pg_database", "datname", props["name"]):
                run("CREATE DATABASE {} OWNER {}", props["name"], props["owner"])
            run("ALTER DATABASE {} OWNER TO {}", props["name"], props["owner"])
            run("REVOKE ALL ON DATABASE {} FROM PUBLIC", props["name"])
        return props["name"], {}

    def look(self, id, props):
        with connection(props["server"]) as run:
            query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
            row = run(query, values=(id,)).fetchone()
            return row and {"owner": row[0]}

    def drop(self, id, props):
        with connection(props["server"]) as run:
            run("DROP DATABASE IF EXISTS {} WITH (FORCE)", id)


@resource()
class Extension(dynamic.Kind):
    replace_on = ("database", "name")

    def make(self, props):
        with connection(props["server"], props["database"]) as run:
            run("CREATE EXTENSION IF NOT EXISTS {}", props["name"])
        return f"{props['database']}/{props['name']}", {}

    def look(self, id, props):
        with connection(props["server"]) as run:
            if not _exists(run, "pg_database", "datname", props["database"]):
                return None
        with connection(props["server"], props["database"]) as run:
            return {} if _exists(run, "pg_extension", "extname", props["name"]) else None

    def drop(self, id, props):
        if self.look(id, props) is not None:
            with connection(props["server"], props["database"]) as run:
                run("DROP EXTENSION IF EXISTS {} CASCADE", props["name"])


@resource()
class Grant(dynamic.Kind):
    """A role's privileges on a whole database."""

    replace_on = ("database", "role")

    def make(self, props):
        with connection(props["server"]) as run:
            run("REVOKE ALL ON DATABASE {} FROM {}", props["database"], props["role"])
            run(f"GRANT {', '.join(props['privileges'])} ON DATABASE {{}} TO {{}}", props["database"], props["role"])
        return f"{props['role']}@{props['database']}", {}

    def look(self, id, props):
        with connection(props["server"]) as run:
            if not _exists(run, "pg_database", "datname", props["database"]):
                return None
            query = "SELECT has_database_privilege(%s, %s, %s)"
            have = [p for p in props["privileges"] if run(query, values=(props["role"], props["database"], p)).fetchone()[0]]
            return {"privileges": have}

    def drop(self, id, props):
        if self.look(id, props) is not None:
            with connection(props["server"]) as run:
                run("REVOKE ALL ON DATABASE {} FROM {}", props["database"], props["role"])
