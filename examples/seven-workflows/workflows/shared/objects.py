"""Objects of the cluster, each a resource: a dynamic provider of Pulumi's that applies them on the server's side."""

from __future__ import annotations

import base64
import functools
import json
import secrets
import threading
import time

import pulumi
from pulumi import dynamic

_CONNECTING = threading.Lock()


@functools.cache
def _connected(kubeconfig: str):
    import yaml
    from kubernetes import config

    return config.new_client_from_config_dict(yaml.safe_load(kubeconfig))


class Applied(dynamic.ResourceProvider):
    """Brings an object about and keeps it as its manifest says; what the manifest does not speak of is anybody's."""

    serialize_as_secret_always = False

    def __reduce__(self):
        # State says where this class lies, seen from a workflow's program, and does not hold its code: an edit here changes no object.
        return eval, ("__import__('sys').path.append('../..') or __import__('shared.objects').objects.Applied()",)

    def ask(self, props: dict, method: str, path: str = "", body: dict | None = None, **query: str) -> dict | None:
        """What the API server answers, of the object unless another path is named; None when there is no such thing."""
        from kubernetes.client import ApiException

        with _CONNECTING:
            api = _connected(props["kubeconfig"])
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json", "Content-Type": kind}
        try:
            return api.call_api(
                path or props["path"], method, query_params=list(query.items()), header_params=headers, body=body,
                response_type="object", auth_settings=["BearerToken"], _return_http_data_only=True, _request_timeout=30,
            )  # fmt: skip
        except ApiException as error:
            if error.status == 404:
                return None
            # Without the request, which may hold secrets.
            reason = json.loads(error.body or "{}").get("message", error.reason)
            raise RuntimeError(f"{method} {path or props['path']}: {error.status} {reason}") from None

    def apply(self, props: dict, **query: str) -> dict:
        body = props["manifest"]
        if props["generate"]:
            # Drawn once: what is there stays. The values are the server's, and in no state.
            there = (self.ask(props, "GET") or {}).get("data", {})
            drawn = {field: base64.b64encode(secrets.token_urlsafe(24).encode()).decode() for field in props["generate"]}
            body = {**body, "data": {field: there.get(field, drawn[field]) for field in drawn}}
        live = self.ask(props, "PATCH", body=body, fieldManager="seven-workflows", force="true", **query)
        if live is None:
            raise RuntimeError(f"{props['path']}: its namespace is not there")
        return live

    def check(self, olds, news):
        return dynamic.CheckResult(news, [])

    def diff(self, id, olds, news):
        moved = ["path"] if olds["path"] != news["path"] else []
        changed = moved or olds["drift"] or any(olds[key] != news[key] for key in ("manifest", "generate", "kubeconfig"))
        return dynamic.DiffResult(bool(changed), moved, [], delete_before_replace=True)

    def create(self, props):
        self.apply(props)
        return dynamic.CreateResult(props["path"], {**props, "drift": []})

    def update(self, id, olds, news):
        self.apply(news)
        return dynamic.UpdateResult({**news, "drift": []})

    def read(self, id, props):
        live = self.ask(props, "GET")
        if live is None:
            return dynamic.ReadResult("", {})

        def parts(thing: dict) -> dict:
            return {"labels": thing["metadata"].get("labels"), **{key: thing.get(key) for key in props["manifest"] if key != "metadata"}}

        # As the server itself would write it: "1000m" is "1".
        wanted = parts(self.apply(props, dryRun="All"))
        return dynamic.ReadResult(id, {**props, "drift": [key for key, value in parts(live).items() if value != wanted[key]]})

    def delete(self, id, props):
        # An API server without controllers, as tools/workload_env.py starts one, has nobody who would finish a namespace.
        bare = props["manifest"]["kind"] == "Namespace" and not self.ask(props, "GET", f"{id}/serviceaccounts/default")
        self.ask(props, "DELETE", propagationPolicy="Background")
        if bare:
            self.ask(props, "PUT", f"{id}/finalize", {**props["manifest"], "spec": {"finalizers": []}})
        end = time.monotonic() + 120
        while self.ask(props, "GET"):
            if time.monotonic() > end:
                raise RuntimeError(f"{id} is still being deleted after two minutes: do finalizers hold it?")
            time.sleep(0.05)


class Object(dynamic.Resource, module="kubernetes", name="Object"):
    """Any object. `generate` names fields of a Secret whose values are drawn once."""

    #: What somebody else changed, by the last refresh; the next update takes it back.
    drift: pulumi.Output[list]

    def __init__(self, name: str, kubeconfig: pulumi.Input[str], manifest: dict, generate: tuple[str, ...] = (),
                 opts: pulumi.ResourceOptions | None = None) -> None:  # fmt: skip
        meta, version, kind = manifest["metadata"], manifest["apiVersion"], manifest["kind"].lower()
        place = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
        path = f"{'/apis' if '/' in version else '/api'}/{version}{place}/{plural}/{meta['name']}"
        props = {"kubeconfig": kubeconfig, "path": path, "manifest": manifest, "generate": list(generate), "drift": None}
        super().__init__(Applied(), name, props, opts)
