"""The workload's sites: for each an object that the Team Operator turns into products, and a way in."""

import sys

import pulumi

sys.path.append("..")
from common import aws, kube  # noqa: E402

config = pulumi.Config()
target = config.require("target")
sites = config.require_object("sites")
secret = f"{target}.posit.team"
workload = aws.secret_fields(secret)

for cluster in kube.clusters("ptd.pulumi_resources.team_site"):
    for name, settings in sorted(sites.items()):
        domain = settings["domain"]
        site = cluster.apply(
            "Site", name, version="core.posit.team/v1beta1", namespace="posit-team",
            body={"spec": {
                "domain": domain,
                "awsAccountId": config.require("account_id"),
                "chronicleBucket": aws.required(workload, "chronicle-bucket", secret),
                "packageManagerBucket": aws.required(workload, "packagemanager-bucket", secret),
                "mainDatabaseId": aws.required(workload, "main-database-id", secret),
                "mainDatabaseCredentialArn": config.require("db_secret_arn"),
                "volumeSource": {"type": "nfs", "dnsName": aws.required(workload, "fs-dns-name", secret)},
                "secret": {"type": "aws", "vaultName": f"{target}-{name}.posit.team"},
                "workloadSecret": {"type": "aws", "vaultName": secret},
                "replicas": settings.get("replicas", 1),
            }},
        )  # fmt: skip
        backend = {"service": {"name": f"{name}-home", "port": {"number": 80}}}
        cluster.apply(
            "Service", f"{name}-home", namespace="posit-team", depends_on=[site],
            body={"spec": {
                "type": "ClusterIP", "selector": {"posit.team/site": name},
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
            }},
        )  # fmt: skip
        cluster.apply(
            "Ingress", name, version="networking.k8s.io/v1", namespace="posit-team", depends_on=[site],
            body={"spec": {
                "ingressClassName": "traefik",
                "rules": [{"host": domain, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
            }},
        )  # fmt: skip

pulumi.export("site_urls", {name: f"https://{site['domain']}" for name, site in sites.items()})
