"""Names an HTTP request to AWS: which service, operation and resource, and whether it writes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_TARGETS = {"TrentService": "kms", "secretsmanager": "secretsmanager"}
_READS = ("Get", "Head", "List", "Describe", "BatchGet", "Simulate", "Validate", "AssumeRole", "Decrypt", "Encrypt")
# Sub-resources of a bucket whose operations are not "VerbBucket" plus the capitalised key.
_BUCKET_PARTS = {
    "accelerate": "BucketAccelerateConfiguration",
    "acl": "BucketAcl",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "notification": "BucketNotificationConfiguration",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "BucketReplication",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_RESOURCE_KEYS = ("SecretId", "AliasName", "KeyId", "Name", "PolicyArn", "PolicyName", "RoleName", "RoleArn")


@dataclass
class Call:
    """One request, and what became of it."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    service: str = ""
    operation: str = ""
    region: str = ""
    access_key: str = ""
    resource: str = ""
    number: int = 0
    #: When it arrived, in seconds since the proxy started.
    at: float = 0.0
    seconds: float = 0.0
    #: The status sent to the client; None when the connection was cut instead.
    status: int | None = None
    #: The name of the fault or rule that changed the exchange.
    fault: str | None = None
    #: Whether the request reached the emulator.
    forwarded: bool = False

    @property
    def write(self) -> bool:
        return not self.operation.startswith(_READS)

    @property
    def params(self) -> dict:
        """The request's parameters: the JSON body, or the form."""
        try:
            if self.body[:1] == b"{":
                return json.loads(self.body)
            if "form" in self.headers.get("content-type", ""):
                return {k: v[0] for k, v in parse_qs(self.body.decode(), keep_blank_values=True).items()}
        except ValueError:
            pass
        return {}

    @property
    def json_service(self) -> bool:
        return "x-amz-target" in self.headers

    def __str__(self) -> str:
        tail = f" [{self.fault}]" if self.fault else ""
        return f"{self.service}:{self.operation} {self.resource} -> {self.status}{tail}"


def classify(method: str, path: str, headers: dict[str, str], body: bytes) -> Call:
    """Names the call. `headers` has lower-case keys."""
    call = Call(method, path, headers, body)
    scope = _SCOPE.search(headers.get("authorization", ""))
    if scope:
        call.access_key, call.region, call.service = scope.groups()
    params = call.params
    target = headers.get("x-amz-target", "")
    if target:
        service, _, call.operation = target.rpartition(".")
        call.service = _TARGETS.get(service, service)
    elif "Action" in params:
        call.operation = params["Action"]
    elif call.service == "s3" or not scope:
        call.service = call.service or "s3"
        _name_s3(call)
    else:
        call.operation = f"{method} {urlsplit(path).path}"
    if not call.resource:
        call.resource = next((str(params[k]) for k in _RESOURCE_KEYS if params.get(k)), "")
    return call


def _name_s3(call: Call) -> None:
    url = urlsplit(call.path)
    query = parse_qs(url.query, keep_blank_values=True)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    host = call.headers.get("host", "").split(":")[0]
    if host.endswith(".localhost") or ".s3." in host:
        bucket, key = host.split(".")[0], unquote(url.path).lstrip("/")
    call.resource = f"{bucket}/{key}" if key else bucket
    verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}.get(call.method, call.method)
    if not bucket:
        call.operation = "ListBuckets"
    elif key:
        call.operation = _object_operation(verb, query, call.headers)
    else:
        call.operation = _bucket_operation(verb, query)


def _bucket_operation(verb: str, query: dict) -> str:
    for part, name in _BUCKET_PARTS.items():
        if part in query:
            # The one pair whose delete is not named like its get and put.
            return "DeleteBucketLifecycle" if (part, verb) == ("lifecycle", "Delete") else verb + name
    if verb == "Get":
        if "versions" in query:
            return "ListObjectVersions"
        if "uploads" in query:
            return "ListMultipartUploads"
        return "ListObjectsV2" if "list-type" in query else "ListObjects"
    if verb == "Post":
        return "DeleteObjects"
    return "CreateBucket" if verb == "Put" else f"{verb}Bucket"


def _object_operation(verb: str, query: dict, headers: dict[str, str]) -> str:
    if "tagging" in query:
        return f"{verb}ObjectTagging"
    if "uploads" in query:
        return "CreateMultipartUpload"
    if "uploadId" in query:
        return {"Put": "UploadPart", "Post": "CompleteMultipartUpload", "Delete": "AbortMultipartUpload"}.get(verb, "ListParts")
    if verb == "Put" and "x-amz-copy-source" in headers:
        return "CopyObject"
    return f"{verb}Object"
