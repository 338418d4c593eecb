"""Answers in the shape real AWS gives them, where the emulator has none or another one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .aws_calls import Call

REQUEST_ID = "8e3cf5a2-fault-proxy-0001"
_QUERY_SERVICES = {"iam": "2010-05-08", "sts": "2011-06-15"}


@dataclass
class Reply:
    """A canned HTTP answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Cut:
    """Instead of a Reply: reset the connection."""


def error(call: Call, status: int, code: str, message: str, **headers: str) -> Reply:
    """An error in the wire format of the call's service."""
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    if call.json_service:
        body = json.dumps({"__type": code, "message": message}).encode()
        kind = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": REQUEST_ID, "x-amzn-errortype": code}
    elif call.service in _QUERY_SERVICES:
        space = f"https://{call.service}.amazonaws.com/doc/{_QUERY_SERVICES[call.service]}/"
        body = (
            f'<ErrorResponse xmlns="{space}"><Error><Type>Sender</Type><Code>{code}</Code>'
            f"<Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
        ).encode()
        kind = {"content-type": "text/xml", "x-amzn-requestid": REQUEST_ID}
    else:
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message>'
            f"<RequestId>{REQUEST_ID}</RequestId><HostId>host</HostId></Error>"
        ).encode()
        kind = {"content-type": "application/xml", "x-amz-request-id": REQUEST_ID, "x-amz-id-2": "host"}
    if call.method == "HEAD":
        body = b""
    return Reply(status, body, kind | headers)


def access_denied(call: Call) -> Reply:
    """403 for S3 (bare on HEAD) and IAM; 400 with JSON for KMS and Secrets Manager."""
    if call.json_service:
        text = f"User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: {call.service}:{call.operation}"
        return error(call, 400, "AccessDeniedException", text)
    if call.service == "s3":
        return error(call, 403, "AccessDenied", "Access Denied")
    text = f"User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: {call.service}:{call.operation}"
    return error(call, 403, "AccessDenied", text)


def throttled(call: Call) -> Reply:
    if call.json_service:
        return error(call, 400, "ThrottlingException", "Rate exceeded")
    if call.service == "s3":
        return error(call, 503, "SlowDown", "Please reduce your request rate.")
    return error(call, 400, "Throttling", "Rate exceeded")


def internal(call: Call) -> Reply:
    code = "InternalServiceError" if call.json_service else "InternalError"
    return error(call, 500, code, "We encountered an internal error. Please try again.")


def expired_token(call: Call) -> Reply:
    text = "The security token included in the request is expired"
    if call.json_service:
        return error(call, 400, "ExpiredTokenException", text)
    if call.service == "s3":
        return error(call, 400, "ExpiredToken", "The provided token has expired.")
    return error(call, 400 if call.service == "sts" else 403, "ExpiredToken", text)


def invalid_token(call: Call) -> Reply:
    text = "The security token included in the request is invalid."
    if call.json_service:
        return error(call, 400, "UnrecognizedClientException", text)
    if call.service == "s3":
        return error(call, 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    return error(call, 403, "InvalidClientTokenId", text)


def other_region(region: str):
    """The bucket lies in `region`: 301 (bare on HEAD) with x-amz-bucket-region."""
    text = "The bucket you are attempting to access must be addressed using the specified endpoint."
    return lambda call: error(call, 301, "PermanentRedirect", text, x_amz_bucket_region=region)


def waiting_for_deletion(call: Call) -> Reply:
    """Secrets Manager's answer to creating or changing a secret that is scheduled for deletion (M6)."""
    what = "create this secret because a secret with this name is already" if call.operation == "CreateSecret" else (
        "perform the operation on the secret because it was"
    )
    tail = "scheduled for deletion." if call.operation == "CreateSecret" else "marked for deletion."
    return error(call, 400, "InvalidRequestException", f"You can't {what} {tail}")


def kms_invalid_state(call: Call) -> Reply:
    return error(call, 400, "KMSInvalidStateException", f"{call.resource} is pending deletion.")


def delete_conflict(call: Call) -> Reply:
    """IAM's refusal to delete a policy that is attached or has other versions (M11)."""
    return error(call, 409, "DeleteConflict", "Cannot delete a policy attached to entities.")


def operation_aborted(call: Call) -> Reply:
    return error(call, 409, "OperationAborted", "A conflicting conditional operation is currently in progress.")


def answer(status: int, code: str, message: str):
    """A rule that answers with this error."""
    return lambda call: error(call, status, code, message)
