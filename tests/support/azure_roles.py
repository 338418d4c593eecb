"""What a request to Azure's Resource Manager needs permission for."""

from __future__ import annotations

from collections.abc import Iterable


def action(method: str, path: str) -> str:
    """The permission for it: the types of its path, and what is done."""
    *_, kind = path.split("?")[0].rpartition("/providers/")
    if "/providers/" in path:
        space, *pairs = kind.split("/")
        done = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": f"{pairs[-1]}/action"}[method]
        types = pairs[::2][:-1] if method == "POST" else pairs[::2]
        return "/".join([space, *types, done])
    names = path.split("?")[0].strip("/").split("/")[::2]
    done = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}[method]
    return "/".join(["Microsoft.Resources", *names, done])


def needs(requests: Iterable[dict]) -> set[str]:
    """The permissions for all of them."""
    asked = {action(one["method"], one["path"]) for one in requests if one["path"].startswith("/subscriptions/")}
    # Anybody may ask what became of their own operation.
    return {one for one in asked if "peration" not in one}
