"""Pulumi dynamic resources, cut down to what differs: how a thing is made, looked at and dropped."""

from __future__ import annotations

import os
import secrets
import string
from pathlib import Path

import pulumi
from pulumi import dynamic

_PROVIDER = "__provider"


class Kind(dynamic.ResourceProvider):
    """The life of one kind of thing.

    `make` ensures: what a run that was killed left behind under the name is taken over. It serves updates too.
    """

    #: Inputs whose change asks for another thing.
    replace_on: tuple[str, ...] = ()
    serialize_as_secret_always = False

    def make(self, props: dict) -> tuple[str, dict]:
        """Brings the thing about; its id, and the outputs beside the inputs."""
        raise NotImplementedError

    def look(self, id: str, props: dict) -> dict | None:
        """What the thing is like now, as far as it may drift; None when it is gone."""
        return {}

    def drop(self, id: str, props: dict) -> None:
        """Deletes it. Called also when it may be gone already."""

    # The protocol of dynamic providers.

    def __reduce__(self):
        # State holds where the class is found, relative to the program, instead of its code: neither an edit of this
        # module nor another checkout is a change of every resource.
        folder = os.path.relpath(Path(__file__).parent.parent)
        load = f"__import__('importlib').import_module({type(self).__module__!r}).{type(self).__name__}.kind()"
        return eval, (f"__import__('sys').path.append({folder!r}) or {load}",)

    def diff(self, id, olds, news):
        changed = [key for key in news if key != _PROVIDER and olds.get(key) != news[key]]
        replaces = [key for key in changed if key in self.replace_on]
        return dynamic.DiffResult(bool(changed), replaces, [], delete_before_replace=True)

    def create(self, props):
        id, outs = self.make(props)
        return dynamic.CreateResult(id, {**props, **outs})

    def update(self, id, olds, news):
        return dynamic.UpdateResult({**news, **self.make(news)[1]})

    def read(self, id, props):
        found = self.look(id, props)
        return dynamic.ReadResult(id, {**props, **found}) if found is not None else dynamic.ReadResult("", {})

    def delete(self, id, props):
        self.drop(id, props)


def resource(module: str, outputs: tuple[str, ...] = (), secret: tuple[str, ...] = (), defaults=dict):
    """Turns a Kind into a resource class of that name; `defaults` gives inputs that programs need not name."""

    def wrap(kind: type[Kind]) -> type:
        class Thing(dynamic.Resource, module=module, name=kind.__name__):
            def __init__(self, name: str, /, opts: pulumi.ResourceOptions | None = None, **props):
                hide = pulumi.ResourceOptions(additional_secret_outputs=list(secret))
                props = {**dict.fromkeys(outputs), **defaults(), **props}
                super().__init__(kind(), name, props, pulumi.ResourceOptions.merge(hide, opts))

        Thing.__name__ = Thing.__qualname__ = kind.__name__
        Thing.__doc__, Thing.__module__, Thing.kind = kind.__doc__, kind.__module__, kind
        return Thing

    return wrap


@resource("random", outputs=("value",), secret=("value",))
class Password(Kind):
    """Generated once; another length or other special characters ask for another one."""

    replace_on = ("length", "special")

    def make(self, props):
        alphabet = string.ascii_letters + string.digits + props["special"]
        value = "".join(secrets.choice(alphabet) for _ in range(int(props["length"])))
        return "password", {"value": value}


def password(name: str, length: int = 30, special: str = "", **options) -> pulumi.Output[str]:
    return Password(name, length=length, special=special, **options).value
