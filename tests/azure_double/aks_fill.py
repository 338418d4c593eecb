"""What the Kubernetes service fills in by itself: at once, and when the operation is done."""

from __future__ import annotations

import copy
import uuid

from .aks_versions import full, reached
from .wire import merge

#: What a cluster has that nobody asked for anything else.
_CLUSTER = {
    "enableRBAC": True,
    "supportPlan": "KubernetesOfficial",
    "disableLocalAccounts": False,
    "servicePrincipalProfile": {"clientId": "msi"},
    "networkProfile": {
        "networkPlugin": "kubenet", "podCidr": "10.244.0.0/16", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10",
        "loadBalancerSku": "standard", "outboundType": "loadBalancer", "ipFamilies": ["IPv4"],
    },
    "autoUpgradeProfile": {"nodeOSUpgradeChannel": "NodeImage"},
    "storageProfile": {
        "diskCSIDriver": {"enabled": True}, "fileCSIDriver": {"enabled": True}, "snapshotController": {"enabled": True},
    },
    "securityProfile": {},
    "workloadAutoScalerProfile": {},
    "metricsProfile": {"costAnalysis": {"enabled": False}},
    "bootstrapProfile": {"artifactSource": "Direct"},
    "nodeProvisioningProfile": {"mode": "Manual", "defaultNodePools": "Auto"},
    "windowsProfile": {"adminUsername": "azureuser", "enableCSIProxy": True},
}  # fmt: skip
_OUTPUT = (
    "fqdn", "privateFQDN", "azurePortalFQDN", "nodeResourceGroup", "identityProfile", "maxAgentPools", "resourceUID",
    "currentKubernetesVersion", "powerState", "privateLinkResources", "provisioningState", "status",
)  # fmt: skip
_POOL = {
    "osDiskType": "Managed", "kubeletDiskType": "OS", "maxPods": 110, "type": "VirtualMachineScaleSets", "mode": "User",
    "osType": "Linux", "osSKU": "Ubuntu", "enableAutoScaling": False, "enableNodePublicIP": False, "enableFIPS": False,
    "enableEncryptionAtHost": False, "enableUltraSSD": False, "scaleDownMode": "Delete", "workloadRuntime": "OCIContainer",
    "upgradeSettings": {"maxSurge": "10%", "maxUnavailable": "0"},
    "securityProfile": {"sshAccess": "LocalUser", "enableVTPM": False, "enableSecureBoot": False},
}  # fmt: skip


def cluster(path: str, place: str, sent: dict, held: dict | None) -> dict:
    """The properties after a PUT: what was sent on top of what a new cluster has, and nothing of what was left out."""
    names = path.split("/")
    sent = copy.deepcopy({k: v for k, v in sent.items() if k not in (*_OUTPUT, "agentPoolProfiles")})
    made = merge(copy.deepcopy(_CLUSTER), sent)
    network = made["networkProfile"]
    network["loadBalancerSku"] = network["loadBalancerSku"].lower()
    network |= {"podCidrs": [network["podCidr"]], "serviceCidrs": [network["serviceCidr"]]}
    if network["outboundType"] == "loadBalancer":
        balancer = {"managedOutboundIPs": {"count": 1}, "backendPoolType": "nodeIPConfiguration"}
        network["loadBalancerProfile"] = merge(balancer, network.get("loadBalancerProfile") or {})
    else:
        network.pop("loadBalancerProfile", None)
    for name, addon in (made.get("addonProfiles") or {}).items():
        made["addonProfiles"][name] = {"enabled": addon["enabled"], "config": addon.get("config")}
    if aad := made.get("aadProfile"):
        made["aadProfile"] = {"adminGroupObjectIDs": None, "adminUsers": None} | aad
    if held is None:
        stem = f"{made['dnsPrefix']}-{uuid.uuid4().hex[:8]}"
        private = (made.get("apiServerAccessProfile") or {}).get("enablePrivateCluster")
        return made | {
            "fqdn": f"{stem}.hcp.{place}.azmk8s.io", "azurePortalFQDN": f"{stem}.portal.hcp.{place}.azmk8s.io",
            "nodeResourceGroup": sent.get("nodeResourceGroup") or f"MC_{names[4]}_{names[-1]}_{place}",
            "maxAgentPools": 100, "resourceUID": uuid.uuid4().hex[:24], "powerState": {"code": "Running"},
            "currentKubernetesVersion": full(made["kubernetesVersion"]),
        } | ({"privateFQDN": f"{stem}.{uuid.uuid4()}.privatelink.{place}.azmk8s.io"} if private else {})  # fmt: skip
    made |= {key: held[key] for key in _OUTPUT if key in held}
    # What appeared when the cluster was made does not go away.
    issuer = (held.get("oidcIssuerProfile") or {}).get("issuerURL")
    if issuer:
        made["oidcIssuerProfile"] = {**(made.get("oidcIssuerProfile") or {}), "issuerURL": issuer}
    for name, addon in (held.get("addonProfiles") or {}).items():
        mine = (made.get("addonProfiles") or {}).get(name)
        if mine and "identity" in addon:
            mine["identity"] = addon["identity"]
    return made


def complete(doc: dict) -> None:
    """What is known only when the operation is done."""
    properties, sub = doc["properties"], doc["id"].split("/")[2]
    below = f"/subscriptions/{sub}/resourceGroups/{properties['nodeResourceGroup']}"
    identities = f"{below}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    properties.setdefault("identityProfile", {
        "kubeletidentity": {
            "resourceId": f"{identities}/{doc['name']}-agentpool", "clientId": str(uuid.uuid4()), "objectId": str(uuid.uuid4()),
        }
    })  # fmt: skip
    if (doc.get("identity") or {}).get("type") == "SystemAssigned":
        doc["identity"].setdefault("principalId", str(uuid.uuid4()))
        tenant = (properties.get("aadProfile") or {}).get("tenantID")
        doc["identity"].setdefault("tenantId", tenant or "11111111-1111-1111-1111-111111111111")
    oidc = properties.get("oidcIssuerProfile") or {}
    if oidc.get("enabled"):
        oidc.setdefault("issuerURL", f"https://{doc['location']}.oic.prod-aks.azure.com/{uuid.uuid4()}/{uuid.uuid4()}/")
    for name, addon in (properties.get("addonProfiles") or {}).items():
        if addon["enabled"]:
            addon.setdefault("identity", {
                "resourceId": f"{identities}/{name.lower()}-{doc['name']}", "clientId": str(uuid.uuid4()),
                "objectId": str(uuid.uuid4()),
            })  # fmt: skip
    balancer = properties["networkProfile"].get("loadBalancerProfile")
    if balancer is not None:
        address = f"{below}/providers/Microsoft.Network/publicIPAddresses/{uuid.uuid4()}"
        balancer.setdefault("effectiveOutboundIPs", [{"id": address}])
    properties["currentKubernetesVersion"] = reached(properties["kubernetesVersion"], properties["currentKubernetesVersion"])


def pool(sent: dict, held: dict | None, cluster_version: str) -> dict:
    """The properties of a pool after a PUT."""
    sent = {k: v for k, v in copy.deepcopy(sent).items() if k not in (
        "provisioningState", "currentOrchestratorVersion", "nodeImageVersion", "powerState", "eTag", "name", "status")}  # fmt: skip
    base = copy.deepcopy(_POOL)
    if held:
        # Left out means unchanged for what the service calls optional here.
        base |= {k: held[k] for k in ("nodeTaints", "nodeLabels", "orchestratorVersion", "osDiskSizeGB", "vmSize",
                                      "availabilityZones", "vnetSubnetID") if k in held}  # fmt: skip
    # Labels and zones are replaced as a whole.
    for whole in ("nodeLabels", "tags"):
        if sent.get(whole) is not None:
            base.pop(whole, None)
    made = merge(base, sent)
    made.setdefault("orchestratorVersion", cluster_version)
    if not made.get("osDiskSizeGB"):
        made["osDiskSizeGB"] = 128
    if not made["enableAutoScaling"]:
        made.pop("minCount", None)
        made.pop("maxCount", None)
    made |= {
        "currentOrchestratorVersion": (held or {}).get("currentOrchestratorVersion") or full(made["orchestratorVersion"]),
        "nodeImageVersion": (held or {}).get("nodeImageVersion") or "AKSUbuntu-2204gen2containerd-202509.01.0",
        "powerState": {"code": "Running"},
    }
    return made
