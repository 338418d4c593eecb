"""Gives an emulated AWS what the examples of later steps find on a bootstrapped account: buckets, key and secrets of a target and its control room.

The buckets take plain HTTP, which is all that the emulator speaks.
"""

import boto3

REGION = "us-east-2"
ROOM_ROLE = "arn:aws:iam::222233334444:role/admin.posit.team"
TAGS = [{"Key": "posit.team/managed-by", "Value": "admin"}]


def prepare(target: boto3.Session, endpoint: str | None = None) -> None:
    """By the credentials of the target's account; those of the control room's come from a role."""
    s3, kms, sts = (target.client(name, endpoint_url=endpoint) for name in ("s3", "kms", "sts"))
    for name in ("acme01-staging", "main01-staging"):
        s3.create_bucket(Bucket=f"ptd-{name}", CreateBucketConfiguration={"LocationConstraint": REGION})
    key = kms.create_key(Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in TAGS])["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/posit-team-dedicated", TargetKeyId=key)
    role = sts.assume_role(RoleArn=ROOM_ROLE, RoleSessionName="prepare")["Credentials"]
    room = boto3.Session(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"], REGION)
    for session, name in ((target, "acme01-staging.posit.team"), (room, "main01-staging.mimir-auth.posit.team")):
        session.client("secretsmanager", endpoint_url=endpoint).create_secret(Name=name, SecretString="{}", Tags=TAGS)


if __name__ == "__main__":
    prepare(boto3.Session(region_name=REGION))
