"""Objects of a Kubernetes cluster, by server-side apply."""

from __future__ import annotations

import base64
import functools
import json
import threading
import time

import pulumi

from . import dynamic

MANAGER = "pulumi-workload"
_LOCK = threading.Lock()
# Kinds without a namespace, and plurals that are not the kind with an "s".
_GLOBAL = {"Namespace", "ClusterRole", "ClusterRoleBinding", "StorageClass", "CustomResourceDefinition", "IngressClass"}
_PLURALS = {
    "Ingress": "ingresses", "IngressClass": "ingressclasses", "NetworkPolicy": "networkpolicies", "StorageClass": "storageclasses",
}  # fmt: skip


@functools.cache
def _client(kubeconfig: str):
    import yaml
    from kubernetes import client, config

    settings = client.Configuration()
    config.load_kube_config_from_dict(yaml.safe_load(kubeconfig), client_configuration=settings)
    return client.ApiClient(settings)


def call(kubeconfig: str, method: str, path: str, body: dict | None = None, **query: str) -> dict | None:
    """One request to the API server, a PATCH being an apply; None when it answers 404."""
    from kubernetes.client import ApiException

    with _LOCK:
        api = _client(kubeconfig)
    kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
    headers = {"Accept": "application/json", "Content-Type": kind}
    try:
        reply = api.call_api(
            path, method, query_params=list(query.items()), header_params=headers, body=body, auth_settings=["BearerToken"],
            _preload_content=False, _return_http_data_only=True, _request_timeout=30,
        )  # fmt: skip
    except ApiException as error:
        if error.status == 404:
            return None
        # The reply says what is wrong; the request, which may hold secrets, stays out of the error.
        message = json.loads(error.body or "{}").get("message", error.reason)
        raise RuntimeError(f"{method} {path}: {error.status} {message}") from None
    return json.loads(reply.data)


def _path(manifest: dict) -> str:
    version, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = "" if kind in _GLOBAL else f"/namespaces/{meta['namespace']}"
    return f"{root}{place}/{_PLURALS.get(kind, kind.lower() + 's')}/{meta['name']}"


def _like(wanted, live):
    """The part of `live` that `wanted` speaks of."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {key: _like(wanted[key], live[key]) for key in wanted if key in live}
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [_like(*pair) for pair in zip(wanted, live)]
    return live


@dynamic.resource("kubernetes", outputs=("uid",))
class Object(dynamic.Kind):
    """Any object. A field that somebody else set to another value is taken back."""

    def diff(self, id, olds, news):
        known = isinstance(news.get("manifest"), dict) and isinstance(olds.get("manifest"), dict)
        result = super().diff(id, olds, news)
        try:
            if known and _path(olds["manifest"]) != _path(news["manifest"]):
                result.replaces = ["manifest"]
        except (KeyError, TypeError):
            # A name that is not known yet: the update, which knows it, decides.
            pass
        return result

    def make(self, props):
        manifest, path = props["manifest"], _path(props["manifest"])
        apply = functools.partial(call, props["kubeconfig"], "PATCH", path, manifest, fieldManager=MANAGER, force="true")
        # The kind of object that a definition brings is served a moment after the definition was accepted.
        live = _wait(apply, lambda live: live is not None, f"the cluster does not know {path}: is its kind defined?")
        if manifest["kind"] == "CustomResourceDefinition":
            look = functools.partial(call, props["kubeconfig"], "GET", path)
            _wait(look, _established, f"{path} is not established")
        return path, {"uid": live["metadata"]["uid"]}

    def look(self, id, props):
        live = call(props["kubeconfig"], "GET", id)
        return live and {"manifest": _like(props["manifest"], live), "uid": live["metadata"]["uid"]}

    def drop(self, id, props):
        # A bare API server has no controller that would finish a namespace, and none that would put its first account there.
        bare = props["manifest"]["kind"] == "Namespace" and not call(props["kubeconfig"], "GET", f"{id}/serviceaccounts/default")
        call(props["kubeconfig"], "DELETE", id, {"propagationPolicy": "Background"})
        if bare:
            body = {**props["manifest"], "spec": {"finalizers": []}}
            call(props["kubeconfig"], "PUT", f"{id}/finalize", body)
        look = functools.partial(call, props["kubeconfig"], "GET", id)
        _wait(look, lambda live: live is None, f"{id} is still being deleted: do finalizers hold it?")


def _wait(look, done, problem: str, seconds: float = 30) -> dict | None:
    end = time.monotonic() + seconds
    while not done(live := look()):
        if time.monotonic() > end:
            raise RuntimeError(f"{problem} (after {seconds:.0f} s)")
        time.sleep(0.05)
    return live


def _established(live: dict | None) -> bool:
    conditions = (live or {}).get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


class Cluster:
    """Makes objects in one cluster, named by cluster, kind and name: "20250115-configmap-loki"."""

    def __init__(self, release: str, kubeconfig: pulumi.Input[str], managed_by: str) -> None:
        self.release, self.kubeconfig, self.labels = release, kubeconfig, {"posit.team/managed-by": managed_by}

    def apply(self, kind: str, name: str, body: dict | None = None, *, version: str = "v1", namespace: str = "",
              annotations: dict | None = None, depends_on: list | None = None) -> Object:  # fmt: skip
        meta = {"name": name, "labels": self.labels}
        meta |= {"namespace": namespace} if namespace else {}
        meta |= {"annotations": annotations} if annotations else {}
        manifest = {"apiVersion": version, "kind": kind, "metadata": meta, **(body or {})}
        opts = pulumi.ResourceOptions(depends_on=depends_on or [])
        parts = (self.release, kind.lower(), *([namespace] if namespace and namespace != name else []), name)
        return Object("-".join(parts), opts=opts, kubeconfig=self.kubeconfig, manifest=manifest)

    def secret(self, name: str, namespace: str, fields: dict[str, pulumi.Input[str]], **options) -> Object:
        data = pulumi.Output.secret(
            pulumi.Output.from_input(fields).apply(
                lambda known: {key: base64.b64encode(text.encode()).decode() for key, text in known.items()}
            )
        )
        return self.apply("Secret", name, {"type": "Opaque", "data": data}, namespace=namespace, **options)


def clusters(managed_by: str) -> list[Cluster]:
    """The clusters of the `kubeconfigs` that the eks step hands over."""
    files = pulumi.Config().require_object("kubeconfigs")
    return [Cluster(release, pulumi.Output.secret(text), managed_by) for release, text in sorted(files.items())]


def deployment(name: str, image: str, replicas: int = 1, account: str = "") -> dict:
    """The body of a Deployment of one container."""
    labels = {"app.kubernetes.io/name": name}
    pod: dict = {"containers": [{"name": name, "image": image}]}
    pod |= {"serviceAccountName": account} if account else {}
    return {
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
    }
