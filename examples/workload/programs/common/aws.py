"""AWS resources by boto3."""

from __future__ import annotations

import functools
import json
import threading

import pulumi

from . import dynamic

MANAGED_BY = "posit.team/managed-by"


def region() -> str:
    return pulumi.Config("aws").require("region")


def resource(*outputs: str):
    return dynamic.resource("aws", outputs, defaults=lambda: {"region": region()})


_LOCK = threading.Lock()


def client(service: str, where: str):
    # Resources are made in several threads, and sessions cannot make two clients at once.
    with _LOCK:
        return _client(service, where)


@functools.cache
def _client(service: str, where: str):
    # Only what really calls AWS pays for loading boto3: an update without changes does not.
    import boto3

    return boto3.client(service, region_name=where)


def absent(call, *codes: str, **arguments):
    """The call's answer, or None when AWS says by one of these codes that the thing is not there."""
    import botocore.exceptions

    try:
        return call(**arguments)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise
        return None


def secret_fields(secret_id: str) -> dict[str, str]:
    """The fields of a JSON secret, read now; all of them secret."""
    api = client("secretsmanager", region())
    # By its label: what the emulator gives without one is not always the current value.
    value = api.get_secret_value(SecretId=secret_id, VersionStage="AWSCURRENT")["SecretString"]
    return {key: pulumi.Output.secret(text) for key, text in json.loads(value).items()}


def required(fields: dict, name: str, secret_id: str):
    """A field that an earlier step must have filled."""
    if not fields.get(name):
        raise pulumi.RunError(f"field {name} of secret {secret_id} is missing: has the step that fills it run?")
    return fields[name].apply(lambda text: text or _blank(name, secret_id))


def _blank(name: str, secret_id: str):
    raise pulumi.RunError(f"field {name} of secret {secret_id} is blank: has the step that fills it run?")


def trust(issuers: list[str], account: str, caller: str, namespace: str, accounts: list[str]) -> str:
    """The trust policy of a role for service accounts; only for the caller while no cluster exists."""
    statements = [
        {
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:aud": "sts.amazonaws.com",
                    f"{issuer}:sub": [f"system:serviceaccount:{namespace}:{name}" for name in accounts],
                }
            },
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{issuer}"},
        }
        for issuer in issuers
    ] or [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"AWS": caller}}]
    return json.dumps({"Statement": statements, "Version": "2012-10-17"}, sort_keys=True)


def _tags(props: dict) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": props["name"]}, {"Key": MANAGED_BY, "Value": props.get("managed_by", "")}]


def _named(props: dict) -> list[dict]:
    return [{"Name": "tag:Name", "Values": [props["name"]]}]


class Ec2(dynamic.Kind):
    """What EC2's calls have in common: things without names of their own, found again by a tag."""

    def api(self, props):
        return client("ec2", props["region"])

    def tags(self, kind: str, props: dict) -> dict:
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": _tags(props)}]}


@resource("vpc_id")
class Vpc(Ec2):
    replace_on = ("name", "cidr")

    def make(self, props):
        found = self.api(props).describe_vpcs(Filters=_named(props))["Vpcs"]
        vpc = (found or [self.api(props).create_vpc(CidrBlock=props["cidr"], **self.tags("vpc", props))["Vpc"]])[0]
        return vpc["VpcId"], {"vpc_id": vpc["VpcId"]}

    def look(self, id, props):
        found = absent(self.api(props).describe_vpcs, "InvalidVpcID.NotFound", VpcIds=[id])
        return found and {"cidr": found["Vpcs"][0]["CidrBlock"]}

    def drop(self, id, props):
        absent(self.api(props).delete_vpc, "InvalidVpcID.NotFound", VpcId=id)


@resource("subnet_id")
class Subnet(Ec2):
    replace_on = ("name", "vpc_id", "cidr", "zone")

    def make(self, props):
        found = self.api(props).describe_subnets(Filters=_named(props))["Subnets"]
        place = {"VpcId": props["vpc_id"], "CidrBlock": props["cidr"], "AvailabilityZone": props["zone"]}
        net = (found or [self.api(props).create_subnet(**place, **self.tags("subnet", props))["Subnet"]])[0]
        return net["SubnetId"], {"subnet_id": net["SubnetId"]}

    def look(self, id, props):
        return absent(self.api(props).describe_subnets, "InvalidSubnetID.NotFound", SubnetIds=[id]) and {}

    def drop(self, id, props):
        absent(self.api(props).delete_subnet, "InvalidSubnetID.NotFound", SubnetId=id)


@resource("address")
class ElasticIp(Ec2):
    """The address that leaves a network."""

    def make(self, props):
        found = self.api(props).describe_addresses(Filters=_named(props))["Addresses"]
        ip = (found or [self.api(props).allocate_address(Domain="vpc", **self.tags("elastic-ip", props))])[0]
        return ip["AllocationId"], {"address": ip["PublicIp"]}

    def look(self, id, props):
        return absent(self.api(props).describe_addresses, "InvalidAllocationID.NotFound", AllocationIds=[id]) and {}

    def drop(self, id, props):
        absent(self.api(props).release_address, "InvalidAllocationID.NotFound", AllocationId=id)


@resource("instance_id")
class Instance(Ec2):
    replace_on = ("name", "subnet_id", "type", "image")

    def _live(self, props, **by):
        states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}]
        by["Filters"] = by.get("Filters", []) + states
        found = absent(self.api(props).describe_instances, "InvalidInstanceID.NotFound", **by)
        return [one for group in (found or {}).get("Reservations", []) for one in group["Instances"]]

    def make(self, props):
        found = self._live(props, Filters=_named(props)) or self.api(props).run_instances(
            ImageId=props["image"], InstanceType=props["type"], SubnetId=props["subnet_id"], MinCount=1, MaxCount=1,
            **self.tags("instance", props),
        )["Instances"]  # fmt: skip
        return found[0]["InstanceId"], {"instance_id": found[0]["InstanceId"]}

    def look(self, id, props):
        return {} if self._live(props, InstanceIds=[id]) else None

    def drop(self, id, props):
        absent(self.api(props).terminate_instances, "InvalidInstanceID.NotFound", InstanceIds=[id])


@resource("arn")
class Bucket(dynamic.Kind):
    replace_on = ("name",)

    def make(self, props):
        s3, where = client("s3", props["region"]), props["region"]
        place = {} if where == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": where}}
        absent(s3.create_bucket, "BucketAlreadyOwnedByYou", Bucket=props["name"], **place)
        s3.put_bucket_versioning(Bucket=props["name"], VersioningConfiguration={"Status": "Enabled"})
        return props["name"], {"arn": f"arn:aws:s3:::{props['name']}"}

    def look(self, id, props):
        return absent(client("s3", props["region"]).head_bucket, "404", "NoSuchBucket", Bucket=id) and {}

    def drop(self, id, props):
        # With objects in it AWS refuses, and that is meant so.
        absent(client("s3", props["region"]).delete_bucket, "NoSuchBucket", Bucket=id)


@resource("arn", "version")
class Secret(dynamic.Kind):
    """`value` is the text; anybody's later change of it is overwritten by the next change here only."""

    replace_on = ("name",)

    def make(self, props):
        api = client("secretsmanager", props["region"])
        tags = [{"Key": MANAGED_BY, "Value": props.get("managed_by", "")}]
        made = absent(api.create_secret, "ResourceExistsException", Name=props["name"], SecretString=props["value"], Tags=tags)
        made = made or api.put_secret_value(SecretId=props["name"], SecretString=props["value"])
        return made["ARN"], {"arn": made["ARN"], "version": made["VersionId"]}

    def look(self, id, props):
        return absent(client("secretsmanager", props["region"]).describe_secret, "ResourceNotFoundException", SecretId=id) and {}

    def drop(self, id, props):
        # What it holds can be generated again, so no recovery window stands in the way of the next creation.
        absent(
            client("secretsmanager", props["region"]).delete_secret,
            "ResourceNotFoundException",
            SecretId=id,
            ForceDeleteWithoutRecovery=True,
        )


@resource("address", "port")
class Database(dynamic.Kind):
    """An RDS instance. `server`, the URL of a real PostgreSQL server, stands in for what RDS would start."""

    replace_on = ("name", "username")

    def make(self, props):
        rds = client("rds", props["region"])
        absent(
            rds.create_db_instance,
            "DBInstanceAlreadyExists",
            DBInstanceIdentifier=props["name"],
            DBInstanceClass="db.m5.large",
            Engine="postgres",
            EngineVersion=props["engine_version"],
            AllocatedStorage=100,
            MasterUsername=props["username"],
            MasterUserPassword=props["password"],
            Tags=_tags(props),
        )
        rds.modify_db_instance(DBInstanceIdentifier=props["name"], MasterUserPassword=props["password"])
        from . import postgres

        host, port = postgres.ensure_master(props["server"], props["username"], props["password"])
        return props["name"], {"address": host, "port": port}

    def look(self, id, props):
        return absent(client("rds", props["region"]).describe_db_instances, "DBInstanceNotFound", DBInstanceIdentifier=id) and {}

    def drop(self, id, props):
        from . import postgres

        postgres.drop_master(props["server"], props["username"])
        absent(
            client("rds", props["region"]).delete_db_instance,
            "DBInstanceNotFound",
            DBInstanceIdentifier=id,
            SkipFinalSnapshot=True,
        )


@resource("zone_id", "name_servers")
class HostedZone(dynamic.Kind):
    replace_on = ("domain",)

    def make(self, props):
        api = client("route53", props["region"])
        found = api.list_hosted_zones_by_name(DNSName=props["domain"], MaxItems="1")["HostedZones"]
        if found and found[0]["Name"].rstrip(".") == props["domain"]:
            zone = api.get_hosted_zone(Id=found[0]["Id"])
        else:
            zone = api.create_hosted_zone(Name=props["domain"], CallerReference=props["domain"])
        id = zone["HostedZone"]["Id"].rsplit("/", 1)[-1]
        return id, {"zone_id": id, "name_servers": zone["DelegationSet"]["NameServers"]}

    def look(self, id, props):
        return absent(client("route53", props["region"]).get_hosted_zone, "NoSuchHostedZone", Id=id) and {}

    def drop(self, id, props):
        absent(client("route53", props["region"]).delete_hosted_zone, "NoSuchHostedZone", Id=id)


@resource("arn", "validation_record")
class Certificate(dynamic.Kind):
    replace_on = ("domain",)

    def make(self, props):
        api = client("acm", props["region"])
        found = [c for c in api.list_certificates()["CertificateSummaryList"] if c["DomainName"] == props["domain"]]
        arn = (found or [api.request_certificate(
            DomainName=props["domain"], SubjectAlternativeNames=[f"*.{props['domain']}"], ValidationMethod="DNS"
        )])[0]["CertificateArn"]  # fmt: skip
        options = api.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
        return arn, {"arn": arn, "validation_record": options[0].get("ResourceRecord", {})}

    def look(self, id, props):
        return absent(client("acm", props["region"]).describe_certificate, "ResourceNotFoundException", CertificateArn=id) and {}

    def drop(self, id, props):
        absent(client("acm", props["region"]).delete_certificate, "ResourceNotFoundException", CertificateArn=id)


@resource("dns_name", "root_volume_id")
class FileSystem(dynamic.Kind):
    """FSx for OpenZFS."""

    replace_on = ("name", "subnet_id")

    def make(self, props):
        api = client("fsx", props["region"])
        found = [
            system
            for system in api.describe_file_systems()["FileSystems"]
            if {"Key": "Name", "Value": props["name"]} in system.get("Tags", [])
        ]
        system = (found or [api.create_file_system(
            FileSystemType="OPENZFS", StorageCapacity=100, SubnetIds=[props["subnet_id"]], Tags=_tags(props),
            OpenZFSConfiguration={"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64},
        )["FileSystem"]])[0]  # fmt: skip
        id, options = system["FileSystemId"], system.get("OpenZFSConfiguration") or {}
        # The emulator knows no root volume.
        root = options.get("RootVolumeId") or id.replace("fs-", "fsvol-")
        return id, {"dns_name": system["DNSName"], "root_volume_id": root}

    def look(self, id, props):
        return absent(client("fsx", props["region"]).describe_file_systems, "FileSystemNotFound", FileSystemIds=[id]) and {}

    def drop(self, id, props):
        absent(client("fsx", props["region"]).delete_file_system, "FileSystemNotFound", FileSystemId=id)


@resource("arn")
class Role(dynamic.Kind):
    """An IAM role; `policy` is its inline policy, or empty."""

    replace_on = ("name",)

    def make(self, props):
        iam, name = client("iam", props["region"]), props["name"]
        absent(iam.create_role, "EntityAlreadyExists", RoleName=name, AssumeRolePolicyDocument=props["trust"])
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=props["trust"])
        if props.get("policy"):
            iam.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=props["policy"])
        return name, {"arn": iam.get_role(RoleName=name)["Role"]["Arn"]}

    def look(self, id, props):
        found = absent(client("iam", props["region"]).get_role, "NoSuchEntity", RoleName=id)
        return found and {"trust": json.dumps(found["Role"]["AssumeRolePolicyDocument"], sort_keys=True)}

    def drop(self, id, props):
        iam = client("iam", props["region"])
        absent(iam.delete_role_policy, "NoSuchEntity", RoleName=id, PolicyName="access")
        absent(iam.delete_role, "NoSuchEntity", RoleName=id)


@resource("endpoint", "issuer")
class Cluster(dynamic.Kind):
    """An EKS cluster's control plane."""

    replace_on = ("name", "role_arn", "subnet_ids")

    def make(self, props):
        eks = client("eks", props["region"])
        absent(
            eks.create_cluster,
            "ResourceInUseException",
            name=props["name"],
            version=props["version"],
            roleArn=props["role_arn"],
            resourcesVpcConfig={"subnetIds": props["subnet_ids"]},
            tags={MANAGED_BY: props.get("managed_by", "")},
        )
        found = eks.describe_cluster(name=props["name"])["cluster"]
        return props["name"], {"endpoint": found["endpoint"], "issuer": found["identity"]["oidc"]["issuer"]}

    def look(self, id, props):
        return absent(client("eks", props["region"]).describe_cluster, "ResourceNotFoundException", name=id) and {}

    def drop(self, id, props):
        absent(client("eks", props["region"]).delete_cluster, "ResourceNotFoundException", name=id)


@resource()
class NodeGroup(dynamic.Kind):
    replace_on = ("cluster", "name", "role_arn", "subnet_ids", "instance_type")

    def make(self, props):
        eks = client("eks", props["region"])
        which = {"clusterName": props["cluster"], "nodegroupName": props["name"]}
        low, high = int(props["min_size"]), int(props["max_size"])
        size = {"minSize": low, "maxSize": high, "desiredSize": low}
        made = absent(
            eks.create_nodegroup,
            "ResourceInUseException",
            **which,
            nodeRole=props["role_arn"],
            subnets=props["subnet_ids"],
            instanceTypes=[props["instance_type"]],
            scalingConfig=size,
        )
        if not made:
            eks.update_nodegroup_config(**which, scalingConfig=size)
        return f"{props['cluster']}:{props['name']}", {}

    def look(self, id, props):
        found = absent(
            client("eks", props["region"]).describe_nodegroup,
            "ResourceNotFoundException",
            clusterName=props["cluster"],
            nodegroupName=props["name"],
        )
        scale = found and found["nodegroup"]["scalingConfig"]
        return found and {"min_size": scale["minSize"], "max_size": scale["maxSize"]}

    def drop(self, id, props):
        absent(
            client("eks", props["region"]).delete_nodegroup,
            "ResourceNotFoundException",
            clusterName=props["cluster"],
            nodegroupName=props["name"],
        )


@resource("arn")
class OidcProvider(dynamic.Kind):
    """Lets IAM trust a cluster's service accounts."""

    replace_on = ("issuer",)

    def make(self, props):
        iam = client("iam", props["region"])
        made = absent(iam.create_open_id_connect_provider, "EntityAlreadyExists",
                      Url=props["issuer"], ClientIDList=["sts.amazonaws.com"], ThumbprintList=["9" * 40])  # fmt: skip
        tail = props["issuer"].removeprefix("https://")
        arn = made["OpenIDConnectProviderArn"] if made else next(
            one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] if one["Arn"].endswith(tail)
        )  # fmt: skip
        return arn, {"arn": arn}

    def look(self, id, props):
        return absent(client("iam", props["region"]).get_open_id_connect_provider, "NoSuchEntity",
                      OpenIDConnectProviderArn=id) and {}  # fmt: skip

    def drop(self, id, props):
        absent(client("iam", props["region"]).delete_open_id_connect_provider, "NoSuchEntity", OpenIDConnectProviderArn=id)


@resource("directory_id")
class Directory(dynamic.Kind):
    """The directory that desktops of WorkSpaces sign in to."""

    replace_on = ("name", "vpc_id", "subnet_ids")

    def make(self, props):
        ds = client("ds", props["region"])
        found = [one for one in ds.describe_directories()["DirectoryDescriptions"] if one["Name"] == props["name"]]
        made = (found or [ds.create_directory(
            Name=props["name"], Password=props["password"], Size="Small",
            VpcSettings={"VpcId": props["vpc_id"], "SubnetIds": props["subnet_ids"]},
        )])[0]  # fmt: skip
        return made["DirectoryId"], {"directory_id": made["DirectoryId"]}

    def look(self, id, props):
        return absent(client("ds", props["region"]).describe_directories, "EntityDoesNotExistException", DirectoryIds=[id]) and {}

    def drop(self, id, props):
        absent(client("ds", props["region"]).delete_directory, "EntityDoesNotExistException", DirectoryId=id)
