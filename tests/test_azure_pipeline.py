"""The pipeline of a workload on Azure, from its `ptd.yaml` to its cluster, against the double of Azure."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from support.azure import SUBSCRIPTION, TENANT, AzureDouble
from support.cli import Workspace

TARGET = "acme01-staging"
EXAMPLE = Path(__file__).parent.parent / "examples/azure-workload/infra"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rsg-ptd-{TARGET}"
STEPS = ["bootstrap", "persistent", "postgres_config", "aks", "clusters", "helm", "sites"]
PROGRAMS = {
    "persistent": {"outputs": {"vnet_name": "vnet-1", "private_subnet_name": "private"}},
    # This project's own resources make the cluster.
    "aks": {
        "config": {"vnet_name": {"type": "string"}, "private_subnet_name": {"type": "string"}, "target": {"type": "string"}},
        "resources": {
            "clusters": {
                "type": "ptd:azure:Aks",
                "properties": {
                    "target": "${target}", "location": "eastus2", "allowDelete": True,
                    "subscriptionId": SUBSCRIPTION, "vnetName": "${vnet_name}", "subnetName": "${private_subnet_name}",
                    "clusters": {"main": {
                        "kubernetesVersion": "1.31", "systemNodePoolInstanceType": "Standard_D4s_v6",
                        "userNodePools": [{"name": "user", "vmSize": "Standard_D8s_v6", "minCount": 1, "maxCount": 4, "enableAutoScaling": True}],
                    }},
                },
            },
        },
        "outputs": {"kubeconfig": "${clusters.kubeconfigs.main}"},
    },
    "clusters": {"config": {"kubeconfig": {"type": "string"}}, "variables": {"read": {"fn::secret": "${kubeconfig}"}}, "outputs": {"read": "${read}"}},
}  # fmt: skip


@pytest.fixture
def outer(cli_env: dict[str, str], azure: AzureDouble, tmp_path: Path) -> Workspace:
    ws = Workspace(tmp_path / "projects/app", cli_env | azure.env, "app")
    shutil.copytree(EXAMPLE, ws.folder / "infra")
    for step in STEPS[1:]:
        name = f"ptd-azure-workload-{step.replace('_', '-')}"
        program = {"name": name, "runtime": "yaml"} | PROGRAMS.get(step, {"outputs": {"none": True}})
        ws.file(f"programs/{step}/Pulumi.yaml", yaml.safe_dump(program))
    backend = tmp_path / "inner-backend"
    backend.mkdir()
    properties = {
        "target": TARGET, "programs": "programs", "onDelete": "destroyAndRemove",
        # The state's container is on the double, which holds no blobs.
        "backendUrl": f"file://{backend}", "secretsProvider": "passphrase",
        "environment": {"PULUMI_CONFIG_PASSPHRASE": {"fn::secret": "inner passphrase"}},
        "bootstrap": {"azure": {"allowDelete": True, "forceDestroy": True}},
        "steps": {"clusters": {"consumes": {"kubeconfig": "aks.kubeconfig"}}},
    }  # fmt: skip
    return ws.yaml({
        "resources": {"acme": {"type": "ptd:index:Workload", "properties": properties}},
        "outputs": {"names": "${acme.stepNames}", "vault": "${acme.steps.bootstrap.vaultName}", "read": "${acme.steps.clusters.read}"},
    })  # fmt: skip


def test_a_workload_on_azure_from_nothing_to_nothing(outer: Workspace, azure: AzureDouble) -> None:
    outer.init().preview()
    assert azure.writes() == []
    outer.up()
    found = outer.outputs()
    assert found["names"] == STEPS and found["vault"] == f"kv-ptd-{TARGET}"
    assert "apiVersion" in found["read"], "a kubeconfig reaches the next step"
    assert found["read"] not in str(outer.export())
    cluster = azure.get(f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/{TARGET}-main")
    (pool, *_) = cluster["properties"]["agentPoolProfiles"]
    assert pool["vnetSubnetID"].endswith("/virtualNetworks/vnet-1/subnets/private")
    assert cluster["properties"]["aadProfile"]["tenantID"] == TENANT

    mark = azure.mark()
    assert not outer.up().changes
    assert azure.writes(mark) == []
    outer.destroy()
    assert outer.resources() == [] and [path for path in azure.resources() if "/resourcegroups/" in path.lower()] == []


def test_without_bootstrap_what_it_made_stays(outer: Workspace, azure: AzureDouble) -> None:
    file = outer.folder / f"infra/__work__/{TARGET}/ptd.yaml"
    document = yaml.safe_load(file.read_text())
    spec = document["spec"]
    spec["sites"]["two"] = {"spec": {"domain": "two.acme.example.com"}}
    file.write_text(yaml.safe_dump(document))

    def only(*steps: str) -> Workspace:
        program = yaml.safe_load((outer.folder / "Pulumi.yaml").read_text())
        program["resources"]["acme"]["properties"]["onlySteps"] = list(steps)
        return outer.yaml({"resources": program["resources"]})

    only("bootstrap", "persistent").init().up()
    there = set(azure.resources())
    del spec["sites"]["two"], spec["admin_group_id"]
    spec["clusters"]["20250115"]["external_secrets_enabled"] = True
    file.write_text(yaml.safe_dump(document))
    mark = azure.mark()
    for _ in range(2):
        done = only("persistent").up()
        assert not [name for name in done.steps if "bootstrap" in name], done
        assert set(azure.resources()) == there and azure.writes(mark) == []
