"""What a call needs permission for, and whether a policy grants it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from .aws_calls import Call
from .moto import ACCOUNT, REGION

#: Operations whose permission bears another name.
_NAMES = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListBuckets": "ListAllMyBuckets",
    "HeadObject": "GetObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketTagging": "PutBucketTagging",
}
#: They take no permission.
FREE = {"sts:GetCallerIdentity"}


def needs(call: Call) -> list[tuple[str, str]]:
    """The permissions that AWS asks of the caller: (action, ARN)."""
    service = "tag" if call.service.startswith("ResourceGroupsTaggingAPI") else call.service
    action = f"{service}:{_NAMES.get(call.operation, call.operation)}"
    account = "222233334444" if call.access_key.startswith("ASIA") else ACCOUNT
    if action in FREE:
        return []
    where = f"{REGION}:{account}"
    if service == "s3":
        if call.operation == "DeleteObjects":
            return [("s3:DeleteObjectVersion" if b"VersionId" in call.body else "s3:DeleteObject", f"arn:aws:s3:::{call.resource}/any")]
        if call.operation == "CopyObject":
            return [(f"s3:{name}", f"arn:aws:s3:::{call.resource}") for name in ("GetObject", "PutObject")]
        return [(action, "*" if call.operation == "ListBuckets" else f"arn:aws:s3:::{call.resource}")]
    if service == "secretsmanager":
        if call.operation == "ListSecrets":
            return [(action, "*")]
        name = call.params.get("SecretId") or call.params.get("Name")
        found = [(action, name if name.startswith("arn:") else f"arn:aws:secretsmanager:{where}:secret:{name}-AbCdEf")]
        # Tags given with the secret take the permission to tag.
        return found + ([("secretsmanager:TagResource", found[0][1])] if call.operation == "CreateSecret" and call.params.get("Tags") else [])
    if service == "kms":
        key = f"arn:aws:kms:{where}:key/any"
        if call.operation == "CreateKey":
            return [(action, "*")] + ([("kms:TagResource", "*")] if call.params.get("Tags") else [])
        if call.operation in ("CreateAlias", "DeleteAlias", "UpdateAlias"):
            return [(action, key), (action, f"arn:aws:kms:{where}:{call.params['AliasName']}")]
        return [(action, "*" if call.operation == "ListAliases" else key)]
    if service == "iam":
        arn = call.params.get("PolicyArn") or f"arn:aws:iam::{account}:policy/{call.params.get('PolicyName')}"
        tagged = call.operation == "CreatePolicy" and any(name.startswith("Tags.") for name in call.params)
        return [(action, arn)] + ([("iam:TagPolicy", arn)] if tagged else [])
    if service == "sts" and call.operation == "AssumeRole":
        return [(action, call.params["RoleArn"])]
    return [(action, "*")]


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def actions(policy: dict) -> set[str]:
    return {action for statement in policy["Statement"] for action in _list(statement["Action"])}


def allows(policy: dict, action: str, arn: str) -> bool:
    return any(
        any(fnmatchcase(action, one) for one in _list(statement["Action"]))
        and any(fnmatchcase(arn, one) for one in _list(statement["Resource"]))
        for statement in policy["Statement"]
    )


def refusals(policy: dict, call: Call) -> list[str]:
    """The permissions for the call that the policy does not grant."""
    return [f"{action} on {arn}" for action, arn in needs(call) if not allows(policy, action, arn)]
