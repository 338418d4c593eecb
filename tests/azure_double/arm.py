"""What all of Resource Manager has in common: routes, tokens, versions, bodies, registration, paging."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from . import schema
from .operations import Operation
from .wire import Answer, Refused, Request
from .world import World

_OPERATION = re.compile(r"/(operations|operationresults|asyncoperations)/([0-9a-f-]{36})$")
Handler = Callable[[World, Request], Answer]

#: Versions that the double answers; a body is always held against the model of the version the models are of.
VERSIONS = {
    "Microsoft.Resources": {"2019-05-01", "2021-04-01", "2022-09-01", "2022-12-01", "2024-03-01", "2025-04-01"},
    "Microsoft.KeyVault": {"2024-11-01", "2025-05-01"},
    "Microsoft.Storage": {"2024-01-01"},
    "Microsoft.Authorization": {"2022-04-01"},
    "Microsoft.ContainerService": {"2025-08-01", "2025-09-01"},
}
ARM_AUDIENCES = {"https://management.azure.com", "https://management.core.windows.net"}


@dataclass
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    namespace: str
    body: tuple[str, str] | None
    query: frozenset[str]


class Arm:
    def __init__(self) -> None:
        self.routes: list[Route] = []

    def route(self, method: str, path: str, handler: Handler, namespace: str, *, body: tuple[str, str] | None = None,
              query: tuple[str, ...] = ()) -> None:
        """`{name}` in the path stands for one part; `{name+}` for any number of them."""
        text = re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", path)
        text = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text)
        pattern = re.compile(text, re.I)
        self.routes.append(Route(method, pattern, handler, namespace, body, frozenset({"api-version", *query})))

    def answer(self, world: World, request: Request) -> Answer:
        token = check_token(world, request, ARM_AUDIENCES | {world.base})
        check_further(world, request)
        if found := _OPERATION.search(request.path):
            return _operation(world, request, *found.groups())
        for route in self.routes:
            if found := route.pattern.fullmatch(request.path):
                if route.method == request.method:
                    request.names = found.groupdict()
                    self._check(world, request, route, token)
                    return route.handler(world, request)
        # Something that the double does not play is a mistake of the test or of the client, never a plain 404.
        raise violation(world, request, "InvalidResourceType", f"no such operation: {request.method} {request.path}")

    def _check(self, world: World, request: Request, route: Route, token: dict) -> None:
        version = request.query.get("api-version")
        if not version:
            raise violation(world, request, "MissingApiVersionParameter",
                            "The api-version query parameter (?api-version=) is required for all requests.")
        if version not in VERSIONS[route.namespace]:
            raise violation(world, request, "NoRegisteredProviderFound",
                            f"No registered resource provider found for API version '{version}' of {route.namespace}.")
        if unknown := sorted(set(request.query) - route.query - {"$skiptoken"}):
            raise violation(world, request, "InvalidQuery", f"unknown query parameters: {', '.join(unknown)}")
        if sub := request.names.get("sub"):
            check_subscription(world, sub, token)
        check_body(world, request, route.body)
        if sub and request.method in ("PUT", "PATCH", "POST"):
            check_registration(world, sub, route.namespace)
        world.need_group(request)


def violation(world: World, request: Request, code: str, message: str) -> Refused:
    """A request that no service would take; tests fail on these."""
    world.violations.append(f"{request.method} {request.target}: {message}")
    return Refused(400, code, message)


def check_body(world: World, request: Request, body: tuple[str, str] | None) -> None:
    if request.method in ("GET", "HEAD", "DELETE"):
        if request.raw:
            raise violation(world, request, "InvalidRequestContent", "a body where none is expected")
        return
    if body is None:
        if request.raw and request.body not in ({}, None):
            raise violation(world, request, "InvalidRequestContent", "a body where none is expected")
        return
    if request.method == "POST" and not request.raw:
        return  # The bodies of actions are optional.
    if "json" not in request.headers.get("content-type", ""):
        raise violation(world, request, "UnsupportedMediaType", "the content type is not application/json")
    try:
        value = request.body
    except ValueError as error:
        raise violation(world, request, "InvalidRequestContent", f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise violation(world, request, "InvalidRequestContent", "the body is no object")
    found = list(schema.problems(schema.model(*body), value, patch=request.method == "PATCH"))
    if found:
        world.violations.extend(f"{request.method} {request.target}: {text}" for text in found[1:])
        raise violation(world, request, "InvalidRequestContent", found[0])


def claims(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def check_token(world: World, request: Request, audiences: set[str]) -> dict:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Refused(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
    try:
        found = claims(token)
    except (ValueError, IndexError):
        raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.") from None
    if found["aud"].rstrip("/") not in audiences:
        world.violations.append(f"{request.method} {request.target}: a token for {found['aud']}")
        raise Refused(401, "InvalidAuthenticationTokenAudience",
                      f"The access token has been obtained for wrong audience '{found['aud']}'.")
    if found["iat_exact"] < world.tokens_from or found["exp_exact"] < world.clock.now():
        raise Refused(401, "ExpiredAuthenticationToken", "The access token expiry has passed.")
    return found


def further_tokens(header: str) -> list[dict]:
    """What tokens of other tenants say that go along with the caller's own."""
    return [claims(part.strip().removeprefix("Bearer ")) for part in header.split(",")]


def check_further(world: World, request: Request) -> None:
    header = request.headers.get("x-ms-authorization-auxiliary")
    if header is None:
        return
    try:
        found = further_tokens(header)
    except (ValueError, IndexError):
        found = []
    wrong = any(token["aud"].rstrip("/") not in ARM_AUDIENCES | {world.base} for token in found)
    if wrong or not 1 <= len({token["tid"] for token in found}) == len(found) <= 3:
        raise violation(world, request, "InvalidAuthenticationToken", "the tokens of other tenants cannot be used")


def check_subscription(world: World, sub: str, token: dict) -> None:
    known = {key.lower(): tenant for key, tenant in world.settings.subscriptions.items()}
    if not known:
        return
    if sub.lower() not in known:
        raise Refused(404, "SubscriptionNotFound", f"The subscription '{sub}' could not be found.")
    if token["tid"].lower() != known[sub.lower()].lower():
        raise Refused(401, "InvalidAuthenticationTokenTenant",
                      f"The access token is from the wrong issuer 'https://sts.windows.net/{token['tid']}/'. It must match the "
                      f"tenant 'https://sts.windows.net/{known[sub.lower()]}/' associated with this subscription.")  # fmt: skip


def check_registration(world: World, sub: str, namespace: str) -> None:
    if namespace in ("Microsoft.Resources", "Microsoft.Authorization"):
        return
    if registration(world, sub, namespace) != "Registered":
        raise Refused(409, "MissingSubscriptionRegistration",
                      f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found "
                      "for how to register subscriptions.", target=namespace)  # fmt: skip


def registration(world: World, sub: str, namespace: str, poll: bool = False) -> str:
    start = world.settings.registered
    key = (sub.lower(), namespace.lower())
    first = start is None or namespace.lower() in {name.lower() for name in start}
    entry = world.registrations.setdefault(key, ["Registered" if first else "NotRegistered", 0])
    if poll and entry[0] == "Registering":
        entry[1] -= 1
        if entry[1] < 0:
            entry[0] = "Registered"
    return entry[0]


def operation_url(world: World, operation: Operation, names: dict, namespace: str, place: str, form: str) -> str:
    """`form`: operations (answers with a status) or operationresults (a `Location`)."""
    url = (
        f"{world.base}/subscriptions/{names['sub']}/providers/{namespace}/locations/{place}/{form}/{operation.id}"
        f"?{'monitor=true&' if namespace == 'Microsoft.Storage' else ''}api-version=2016-03-30"
    )
    operation.urls.add(url)
    return url


def _operation(world: World, request: Request, form: str, identity: str) -> Answer:
    found = world.operations.known.get(identity)
    if found is None:
        raise Refused(404, "OperationNotFound", f"The operation {identity} was not found.")
    # These addresses carry a version of their own: whoever builds them anew gets them wrong.
    if world.base + request.target not in found.urls:
        raise violation(world, request, "BadRequest", "this address of an operation was never handed out")
    return world.operations.status_answer(found) if form == "operations" else world.operations.location_answer(found)


def page(world: World, request: Request, items: list) -> Answer:
    """One page of a list; the link to the next one is absolute and opaque."""
    size = world.settings.page_size
    if world.settings.empty_first_page and "$skiptoken" not in request.query:
        return Answer(200, {"value": [], "nextLink": _link(world, request, 0)})
    start = int(base64.urlsafe_b64decode(request.query.get("$skiptoken", "MA==")))
    body: dict = {"value": items[start : start + size]}
    if start + size < len(items):
        body["nextLink"] = _link(world, request, start + size)
    return Answer(200, body)


def _link(world: World, request: Request, start: int) -> str:
    token = base64.urlsafe_b64encode(str(start).encode()).decode()
    path = urlsplit(request.target).path
    return f"{world.base}{path}?{urlencode(request.query | {'$skiptoken': token})}"
