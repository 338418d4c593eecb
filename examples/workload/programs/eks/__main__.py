"""The workload's Kubernetes clusters, one for each release."""

import json
import sys

import pulumi

sys.path.append("..")
from common import aws  # noqa: E402

MANAGED_BY = "ptd.pulumi_resources.aws_workload_eks"

config = pulumi.Config()
target = config.require("target")
subnet_ids = config.require_object("private_subnet_ids")
zones = config.require_object("hosted_zone_name_servers")
# What EKS would start: the file with address and credentials of a real API server.
kubeconfig = config.require_secret("kubeconfig")


def service_role(purpose: str, service: str) -> aws.Role:
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}}
    trust = json.dumps({"Statement": [statement], "Version": "2012-10-17"}, sort_keys=True)
    return aws.Role(purpose, name=f"{purpose}.posit.team", trust=trust, policy="")


kubeconfigs, endpoints, issuers = {}, {}, {}
for release, spec in sorted(config.require_object("clusters").items()):
    name = f"{target}-{release}"
    cluster = aws.Cluster(
        name, name=name, version=spec.get("cluster_version", "1.34"), role_arn=service_role(f"{name}-eks", "eks").arn,
        subnet_ids=subnet_ids, managed_by=MANAGED_BY,
    )  # fmt: skip
    aws.NodeGroup(
        f"{name}-main", cluster=cluster.name, name="main", role_arn=service_role(f"{name}-eks-node", "ec2").arn,
        subnet_ids=subnet_ids, instance_type=spec.get("mp_instance_type", "m6i.large"),
        min_size=spec.get("mp_min_size", 3), max_size=spec.get("mp_max_size", 6),
    )  # fmt: skip
    oidc = aws.OidcProvider(name, issuer=cluster.issuer)
    tail = cluster.issuer.apply(lambda url: url.removeprefix("https://"))
    account = oidc.arn.apply(lambda arn: arn.split(":")[4])
    changes = {
        "Action": "route53:ChangeResourceRecordSets",
        "Effect": "Allow",
        "Resource": [f"arn:aws:route53:::hostedzone/{zones[site]['zone_id']}" for site in sorted(zones)],
    }
    aws.Role(
        f"{name}-external-dns",
        name=f"{name}-external-dns.posit.team",
        trust=pulumi.Output.all(tail, account).apply(
            lambda all: aws.trust([all[0]], all[1], "", "kube-system", ["external-dns.posit.team"])
        ),
        policy=json.dumps({"Statement": [changes], "Version": "2012-10-17"}),
    )
    # Known only once the cluster is there.
    kubeconfigs[release] = pulumi.Output.all(kubeconfig, cluster.id).apply(lambda all: all[0])
    endpoints[release], issuers[release] = cluster.endpoint, cluster.issuer

pulumi.export("cluster_names", {release: f"{target}-{release}" for release in kubeconfigs})
pulumi.export("cluster_endpoints", endpoints)
pulumi.export("oidc_issuers", issuers)
pulumi.export("kubeconfigs", pulumi.Output.secret(kubeconfigs))
