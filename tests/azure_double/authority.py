"""The token authority: as much of the Microsoft identity platform as clients of a service principal use."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl

from .wire import Answer, Request
from .world import World


def answer(world: World, request: Request) -> Answer:
    tenant = request.path.split("/")[1]
    base = f"{world.base}/{tenant}"
    if request.path.endswith("/.well-known/openid-configuration"):
        return Answer(200, {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "issuer": f"{base}/v2.0",
            "tenant_region_scope": "NA",
            "cloud_instance_name": "microsoftonline.com",
        })  # fmt: skip
    if request.method != "POST":
        return Answer(404, {"error": "not_found"})
    return _token(world, tenant, dict(parse_qsl(request.raw.decode())))


def _token(world: World, tenant: str, form: dict[str, str]) -> Answer:
    if form.get("grant_type") not in ("client_credentials", "refresh_token"):
        return _refused("unsupported_grant_type", "AADSTS70003", "The app requested an unsupported grant type.")
    if not form.get("client_id"):
        return _refused("invalid_request", "AADSTS900144", "The request body must contain: 'client_id'.")
    if form.get("client_secret") == "wrong" or not (form.get("client_secret") or form.get("client_assertion")):
        return _refused("invalid_client", "AADSTS7000215", "Invalid client secret provided.", 401)
    scopes = [scope for scope in form.get("scope", "").split() if scope not in ("openid", "profile", "offline_access")]
    if len(scopes) != 1 or not scopes[0].endswith("/.default"):
        return _refused("invalid_scope", "AADSTS1002012", "The scope is not valid: it must end in /.default.")
    now = world.clock.now()
    body = {
        "aud": scopes[0].removesuffix("/.default"), "iss": f"https://sts.windows.net/{tenant}/", "tid": tenant,
        "appid": form["client_id"], "oid": form["client_id"], "sub": form["client_id"], "ver": "1.0",
        "iat": int(now), "nbf": int(now) - 5, "exp": int(now) + 3600, "iat_exact": now, "exp_exact": now + 3600,
    }  # fmt: skip
    parts = [{"alg": "none", "typ": "JWT"}, body]
    token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."
    return Answer(200, {"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": token})


def _refused(error: str, code: str, text: str, status: int = 400) -> Answer:
    return Answer(status, {"error": error, "error_description": f"{code}: {text}", "error_codes": [int(code[6:])]})
