"""The ways of authenticating to Azure: one is chosen, and errors say which and why it failed."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode
from urllib.request import urlopen

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from support.azure import CLIENT_ID, LOCATION, SUBSCRIPTION, TENANT, AzureDouble
from support.protocol import urn
from support.provider import ProviderProcess
from support.values import Secret

TOKEN = urn("ptd:azure:ResourceGroup")
ARGS = {"name": "rg", "location": LOCATION}


@pytest.fixture
def start(launch: Callable[..., ProviderProcess], azure: AzureDouble) -> Callable[..., ProviderProcess]:
    """A provider with some Azure configuration beside the endpoints, and some environment."""

    def make(env: dict[str, str] | None = None, ids: bool = True, **settings) -> ProviderProcess:
        base = {"subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "clientId": CLIENT_ID} if ids else {}
        endpoints = {"resourceManager": azure.url, "authority": azure.url}
        provider = launch(env={"SSL_CERT_FILE": str(azure.ca)} | (env or {}))
        return provider.ready({"azure": base | {"endpoints": endpoints} | settings})

    return make


def attempt(provider: ProviderProcess) -> str:
    """Why it did not work; empty if it did. Nothing is written."""
    try:
        provider.create(TOKEN, ARGS, preview=True)
    except grpc.RpcError as error:
        return error.details()
    return ""


def pair() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return key, made


def certificate(folder: Path) -> tuple[Path, x509.Certificate]:
    (key, made), (_, authority) = pair(), pair()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "client.pem"
    # That of an authority comes first, as some tools write it.
    path.write_bytes(authority.public_bytes(serialization.Encoding.PEM) + private + made.public_bytes(serialization.Encoding.PEM))
    return path, made


def assertion(azure: AzureDouble) -> str:
    (asked,) = azure.requests("POST", "/oauth2/v2.0/token")
    return parse_qs(asked["body"])["client_assertion"][0]


def token(azure: AzureDouble) -> str:
    """A token of the double's for Resource Manager."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": "x",
            "scope": "https://management.azure.com/.default"}  # fmt: skip
    context = ssl.create_default_context(cafile=str(azure.ca))
    with urlopen(f"{azure.url}/{TENANT}/oauth2/v2.0/token", urlencode(form).encode(), context=context) as answer:
        return json.load(answer)["access_token"]


def test_a_certificate_signs_for_the_client(start: Callable[..., ProviderProcess], azure: AzureDouble, tmp_path: Path) -> None:
    path, made = certificate(tmp_path)
    assert attempt(start(clientCertificatePath=str(path))) == ""
    header, claims, signature = assertion(azure).split(".")

    def decoded(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    made.public_key().verify(decoded(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    thumbprint = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).digest()
    assert decoded(json.loads(decoded(header))["x5t#S256"]) == thumbprint
    assert json.loads(decoded(claims))["aud"] == f"{azure.url}/{TENANT}/oauth2/v2.0/token"


@pytest.mark.parametrize("encryption", [serialization.BestAvailableEncryption(b"pass"), (
    serialization.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2000)
    .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1()).build(b"pass")
)], ids=["modern", "old"])  # fmt: skip
def test_what_is_said_of_a_pkcs12_file_makes_it_usable(
    start: Callable[..., ProviderProcess], azure: AzureDouble, tmp_path: Path, encryption
) -> None:
    key, made = pair()
    path = tmp_path / "client.pfx"
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"client", key, made, None, encryption))
    told = attempt(start(clientCertificatePath=str(path)))
    assert azure.requests("POST", "/oauth2/") == []
    command = told.split("`")[1].replace("FILE", str(path)).split()
    assert command[:2] == ["openssl", "pkcs12"]
    subprocess.run([*command, "-passin", "pass:pass"], check=True, capture_output=True)
    assert attempt(start(clientCertificatePath=f"{path}.pem")) == "" and assertion(azure)


def test_a_certificate_that_cannot_sign(start: Callable[..., ProviderProcess], azure: AzureDouble, tmp_path: Path) -> None:
    (key, _), (_, other) = pair(), pair()
    path = tmp_path / "client.pem"
    text = other.public_bytes(serialization.Encoding.PEM)

    def private(encryption) -> bytes:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    for content, told in (
        (b"no certificate", "no PEM certificate"),
        (text, "no unencrypted PEM key"),
        (text + private(serialization.BestAvailableEncryption(b"pass")), "openssl pkey"),
        (text + private(serialization.NoEncryption()), "belongs to none of its certificates"),
    ):
        path.write_bytes(content)
        assert told in attempt(start(clientCertificatePath=str(path)))
    assert azure.requests("POST", "/oauth2/") == []


def test_tokens_of_other_providers(start: Callable[..., ProviderProcess], azure: AzureDouble, tmp_path: Path) -> None:
    assert attempt(start(useOidc=True, oidcToken=Secret("their-token"))) == ""
    assert assertion(azure) == "their-token"
    azure.reset()
    # As in a pod with workload identity.
    file = tmp_path / "token"
    file.write_text("pod-token\n")
    pod = {"AZURE_FEDERATED_TOKEN_FILE": str(file), "AZURE_CLIENT_ID": CLIENT_ID, "AZURE_TENANT_ID": TENANT,
           "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}  # fmt: skip
    assert attempt(start(ids=False, env=pod)) == ""
    assert assertion(azure) == "pod-token"
    file.unlink()
    assert str(file) in attempt(start(ids=False, env=pod))


def test_a_workflow_asks_for_its_token(start: Callable[..., ProviderProcess], azure: AzureDouble) -> None:
    workflow = {"ARM_USE_OIDC": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": azure.url + "/workflow/token?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job"}  # fmt: skip
    azure.fault("GET", "/workflow/token", only={"authorization": "Bearer of-the-job"}, body={"value": "workflow-token"})
    assert attempt(start(env=workflow)) == ""
    assert assertion(azure) == "workflow-token"
    (asked,) = azure.requests("GET", "/workflow/token")
    assert asked["query"] == {"api-version": "2.0", "audience": "api://AzureADTokenExchange"}
    # What Azure Pipelines and the older variables of Terraform call it; another audience.
    azure.fault("GET", "/workflow/token", only={"authorization": "Bearer other"}, status=403, body={"message": "no"})
    older = {"ARM_OIDC_REQUEST_URL": azure.url + "/workflow/token", "ARM_OIDC_REQUEST_TOKEN": "other"}
    told = attempt(start(useOidc=True, oidcAudience="api://x", env=older))
    assert "HTTP 403" in told and "id-token: write" in told and "other" not in told.replace("another", "").replace("No other", "")
    assert azure.requests("GET", "/workflow/token")[-1]["query"] == {"audience": "api://x"}


def test_an_app_has_the_identity_of_its_service(start: Callable[..., ProviderProcess], azure: AzureDouble) -> None:
    app = {"IDENTITY_ENDPOINT": azure.url + "/msi/token", "IDENTITY_HEADER": "of-the-app", "ARM_USE_MSI": "true",
           "ARM_SUBSCRIPTION_ID": SUBSCRIPTION}  # fmt: skip
    given = {"access_token": token(azure), "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}
    for client in ({}, {"clientId": CLIENT_ID}):
        azure.fault("GET", "/msi/token", only={"x-identity-header": "of-the-app"}, body=given)
        mark = azure.mark()
        assert attempt(start(ids=False, env=app, **client)) == ""
        (asked,) = azure.requests("GET", "/msi/token", since=mark)
        assert asked["query"]["resource"].startswith("https://management.azure.com")
        assert asked["query"].get("client_id") == client.get("clientId")
    azure.fault("GET", "/msi/token", status=400, times=None, body={"statusCode": 400, "message": "No identity is assigned"})
    told = attempt(start(ids=False, env=app))
    assert "the managed identity (azure.useMsi) was tried" in told and "has not been assigned" in told


def test_tokens_of_further_tenants_go_along(start: Callable[..., ProviderProcess], azure: AzureDouble) -> None:
    others = ["aaaaaaaa-0000-0000-0000-000000000001", "aaaaaaaa-0000-0000-0000-000000000002"]
    provider = start(clientSecret=Secret("s3cret-of-nobody"), auxiliaryTenantIds=others)
    assert attempt(provider) == ""
    told = {entry["headers"].get("x-ms-authorization-auxiliary") for entry in azure.requests("GET", "/subscriptions/")}
    assert told == {" ".join(others)}
    asked = [entry["path"].split("/")[1] for entry in azure.requests("POST", "/oauth2/")]
    assert sorted(asked) == sorted([TENANT, *others]), "each is asked for once"
    # One that gives none is named; nothing is sent without it.
    mark = azure.mark()
    azure.fault("POST", f"/{others[1]}/oauth2/", times=None, status=400, body={
        "error": "unauthorized_client", "error_description": "AADSTS700016: not found in the directory", "error_codes": [700016]})
    told = attempt(start(clientSecret=Secret("s3cret-of-nobody"), auxiliaryTenantIds=others))
    assert others[1] in told and "AADSTS700016" in told
    assert azure.requests("GET", "/subscriptions/", since=mark) == []
    found = provider.check_config({"azure": {"auxiliaryTenantIds": [*others, TENANT, CLIENT_ID]}})
    assert [f.reason.split(":")[0] for f in found.failures] == ["azure.auxiliaryTenantIds"]


def test_the_azure_cli_is_the_last_resort(start: Callable[..., ProviderProcess], azure: AzureDouble, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    missing = attempt(start(ids=False, env={"PATH": "/nowhere"}))
    assert "the Azure CLI" in missing and "az is not found" in missing
    # The same answers as those of the CLI: a token of the double's, and an account.
    account = {"id": SUBSCRIPTION, "tenantId": TENANT, "environmentName": "AzureCloud"}
    (tools / "az").write_text(f"""#!/bin/sh
case "$*" in
*get-access-token*) echo '{json.dumps({"accessToken": token(azure), "expires_on": 4102444800, "tokenType": "Bearer"})}' ;;
*"account show"*) echo '{json.dumps(account)}' ;;
*) exit 2 ;;
esac
""")
    (tools / "az").chmod(0o755)
    assert attempt(start(ids=False, env={"PATH": path})) == ""
    other = attempt(start(ids=False, environment="china", env={"PATH": path}))
    assert "AzureCloud" in other and "az cloud set" in other


def test_nothing_is_asked_before_it_is_needed(start: Callable[..., ProviderProcess], azure: AzureDouble) -> None:
    provider = start(clientSecret=Secret("s3cret-of-nobody"))
    checked = provider.check(TOKEN, ARGS)
    assert not checked.failures
    found = provider.check_config({"azure": {"tenantId": "no/tenant", "endpoints": {"authority": "http://plain"}}})
    assert sorted(f.reason.split(":")[0] for f in found.failures) == ["azure.endpoints.authority", "azure.tenantId"]
    assert azure.requests() == []


def test_the_default_chain_tells_all_it_tried(start: Callable[..., ProviderProcess], azure: AzureDouble) -> None:
    env = {"AZURE_CLIENT_SECRET": "wrong", "PATH": "/nowhere", "IDENTITY_ENDPOINT": azure.url + "/none", "IDENTITY_HEADER": "h"}
    azure.fault("GET", "/none", times=None, status=400, body={"error": "no identity"})
    text = attempt(start(useDefaultAzureCredential=True, env=env))
    for tried in ("the client secret of the environment", "managed identity", "the Azure CLI"):
        assert tried in text, text
