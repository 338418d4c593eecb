"""What the Kubernetes service refuses."""

from __future__ import annotations

import re
from typing import Any

from .aks_versions import full, parts, supported
from .wire import Flat

#: Properties of a cluster that only its creation can set.
_CLUSTER_FIXED = (
    "dnsPrefix", "fqdnSubdomain", "enableRBAC", "nodeResourceGroup", "apiServerAccessProfile.enablePrivateCluster",
    "networkProfile.podCidr", "networkProfile.serviceCidr", "networkProfile.dnsServiceIP", "networkProfile.loadBalancerSku",
    "diskEncryptionSetID",
)  # fmt: skip
_POOL_FIXED = (
    "vmSize", "maxPods", "osDiskSizeGB", "osDiskType", "kubeletDiskType", "osType", "type", "vnetSubnetID",
    "enableNodePublicIP", "enableFIPS",
)  # fmt: skip


def at(value: dict | None, path: str) -> Any:
    for part in path.split("."):
        value = (value or {}).get(part)
    return value


def _same(one: Any, other: Any) -> bool:
    return one.lower() == other.lower() if isinstance(one, str) and isinstance(other, str) else one == other


def tags(value: dict | None) -> None:
    for key in value or {}:
        if bad := re.search(r"[<>%&\\?/]", key):
            raise Flat(400, "InvalidTagNameCharacters", f"The tag names '{key}' have reserved characters '{bad[0]}' or control "
                                                        "characters.")  # fmt: skip


def fixed(paths: tuple[str, ...], held: dict, sent: dict, prefix: str = "properties.") -> None:
    for path in paths:
        before, now = at(held, path), at(sent, path)
        # The default of a size is 0 in a request.
        if now in (None, 0) and not isinstance(now, bool) or before is None and now is False or _same(before, now):
            continue
        raise Flat(400, "PropertyChangeNotAllowed", f"Changing property '{prefix}{path}' is not allowed.",
                   target=prefix + path)  # fmt: skip


def new_cluster(group: str, name: str, body: dict) -> None:
    sent = body["properties"]
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?", name):
        raise Flat(400, "InvalidParameter", f"The cluster name {name} is invalid.", target="name")
    prefix = sent.get("dnsPrefix") or ""
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,52}[a-zA-Z0-9])?", prefix):
        raise Flat(400, "InvalidParameter", "The value of parameter dnsPrefix is invalid. Error details: DNS prefix must be 1 to "
                   "54 characters, letters, digits and hyphens. Please see https://aka.ms/aks-naming-rules for more details.",
                   target="dnsPrefix")  # fmt: skip
    place = body["location"].lower().replace(" ", "")
    whole = sent.get("nodeResourceGroup") or f"MC_{group}_{name}_{place}"
    if len(whole) > 80:
        raise Flat(400, "InvalidParameter", f"The length of the node resource group name is too long. The maximum length is 80 "
                   f"and the length of the value provided is {len(whole)}.", target="name")  # fmt: skip
    version(sent.get("kubernetesVersion"))
    pools = sent.get("agentPoolProfiles") or []
    if not any(pool.get("mode") == "System" for pool in pools):
        raise Flat(400, "InvalidParameter", "Must define at least one system pool.", target="agentPoolProfiles")
    outbound(sent, pools)


def version(wanted: str | None) -> None:
    if wanted is None or not supported(wanted):
        raise Flat(400, "K8sVersionNotSupported", f"Managed cluster is on version {wanted}, which is not supported in this region. "
                                                  "Please use 'az aks get-versions' to get supported versions.")  # fmt: skip


def outbound(sent: dict, pools: list[dict]) -> None:
    if at(sent, "networkProfile.outboundType") == "managedNATGateway" and any(pool.get("vnetSubnetID") for pool in pools):
        raise Flat(400, "InvalidParameter", "managedNATGateway outbound type does not support a custom virtual network.",
                   subcode="ManagedNATGatewayWithCustomVNetNotAllowed", target="properties.vnetSubnetID")  # fmt: skip


def update_cluster(held: dict, body: dict, pools: dict[str, dict]) -> None:
    sent = body["properties"]
    fixed(_CLUSTER_FIXED, held, sent)
    outbound(sent, list(pools.values()))
    if at(held, "oidcIssuerProfile.enabled") and at(sent, "oidcIssuerProfile.enabled") is not True:
        raise Flat(400, "OIDCIssuerFeatureCannotBeDisabled", "OIDC issuer feature cannot be disabled.")
    if at(held, "aadProfile.managed") and not at(sent, "aadProfile.managed"):
        raise Flat(400, "BadRequest", "Disabling managed Azure Active Directory is not supported.", target="aadProfile")
    zone, asked = (at(one, "apiServerAccessProfile.privateDNSZone") for one in (held, sent))
    if zone and asked and not _same(zone, asked) and asked.lower() != "none":
        raise Flat(400, "PropertyChangeNotAllowed", "Changing property 'apiServerAccessProfile.privateDNSZone' is not allowed, except "
                   "to 'none'.", target="apiServerAccessProfile.privateDNSZone")  # fmt: skip
    plugin = at(sent, "networkProfile.networkPlugin")
    if plugin and plugin != at(held, "networkProfile.networkPlugin") and plugin != "azure":
        raise Flat(400, "PropertyChangeNotAllowed", "Changing property 'networkProfile.networkPlugin' is not allowed.",
                   target="networkProfile.networkPlugin")  # fmt: skip
    if at(held, "networkProfile.networkPluginMode") and not at(sent, "networkProfile.networkPluginMode"):
        raise Flat(400, "PropertyChangeNotAllowed", "Changing property 'networkProfile.networkPluginMode' is not allowed.",
                   target="networkProfile.networkPluginMode")  # fmt: skip
    listed = sent.get("agentPoolProfiles") or []
    for profile in listed:
        if profile["name"] not in pools:
            raise Flat(400, "BadRequest", f"A new agent pool '{profile['name']}' was introduced. Adding agent pools to an existing "
                       "cluster is not allowed through managed cluster operations. For agent pool specific change, please use per "
                       "agent pool operations: https://aka.ms/agent-pool-rest-api", target="agentPoolProfiles")  # fmt: skip
    wanted = sent.get("kubernetesVersion")
    if wanted is not None and wanted != held["kubernetesVersion"]:
        upgrade(held["currentKubernetesVersion"], wanted, list(pools.values()))
        versions = [p.get("orchestratorVersion") for p in listed]
        unchanged = all(p.get("orchestratorVersion") in (None, pools[p["name"]]["orchestratorVersion"]) for p in listed)
        if not unchanged and not all(v == wanted for v in versions):
            raise Flat(400, "NotAllAgentPoolOrchestratorVersionSpecifiedAndUnchanged",
                       "Using managed cluster api, all Agent pools' OrchestratorVersion must be all specified or all "
                       "unspecified. If all specified, they must be stay unchanged or the same with control plane.")  # fmt: skip


def upgrade(current: str, wanted: str, pools: list[dict]) -> None:
    version(wanted)
    now, then = parts(current), parts(wanted)
    if len(then) == 2 and then == now[:2]:
        return
    then = parts(full(wanted))
    if then < now:
        raise Flat(400, "OperationNotAllowed", f"Downgrading Kubernetes version {current} to {wanted} is not allowed.")
    if then[1] - now[1] > 1:
        raise Flat(400, "OperationNotAllowed", f"Upgrading Kubernetes version {current} to {wanted} is not allowed. Available "
                   f"upgrades: [1.{now[1] + 1}]: only one minor version at a time.")  # fmt: skip
    for pool in pools:
        if then[1] - parts(pool["currentOrchestratorVersion"])[1] > 3:
            raise Flat(400, "NodePoolMcVersionIncompatible",
                       f"Node pool version {pool['currentOrchestratorVersion']} and control plane version {wanted} are "
                       "incompatible. Minor version of node pool cannot be more than 3 versions less than control plane's version.")


def pool(name: str, sent: dict, held: dict | None, cluster_version: str, strict_autoscaling: bool) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", name):
        raise Flat(400, "InvalidParameter", f"The pool name {name} is invalid.", target="agentPoolProfile.name")
    if sent.get("count") is None:
        raise Flat(400, "InvalidParameter", "Required parameter properties.count is missing (null).", target="properties.count")
    if not sent.get("vmSize") and not held:
        raise Flat(400, "InvalidParameter", "Required parameter properties.vmSize is missing (null).", target="properties.vmSize")
    if not sent.get("enableAutoScaling") and (sent.get("minCount") is not None or sent.get("maxCount") is not None):
        raise Flat(400, "InvalidParameter", "minCount and maxCount can be set only when enableAutoScaling is true.",
                   target="agentPoolProfile.minCount")  # fmt: skip
    if sent.get("enableAutoScaling"):
        low, high = sent.get("minCount"), sent.get("maxCount")
        if low is None or high is None or low > high or not low <= sent["count"] <= high:
            raise Flat(400, "InvalidParameter", "count must be between minCount and maxCount.", target="agentPoolProfile.count")
    if any(label.startswith("kubernetes.azure.com/") for label in sent.get("nodeLabels") or {}):
        raise Flat(400, "InvalidParameter", "A node label has a reserved prefix.", target="agentPoolProfile.nodeLabels")
    tags(sent.get("tags"))
    wanted = sent.get("orchestratorVersion")
    if wanted is not None:
        version(wanted)
        behind = parts(cluster_version)[1] - parts(wanted)[1]
        if parts(wanted)[:2] > parts(cluster_version)[:2] or parts(full(wanted)) > parts(cluster_version) \
                and len(parts(wanted)) == 3 or behind > 3:  # fmt: skip
            raise Flat(400, "NodePoolMcVersionIncompatible",
                       f"Node pool version {wanted} and control plane version {cluster_version} are incompatible.")
    if held is None:
        return
    fixed(_POOL_FIXED, held, sent)
    zones = sent.get("availabilityZones")
    if zones is not None and sorted(zones) != sorted(held.get("availabilityZones") or []):
        raise Flat(400, "PropertyChangeNotAllowed", "Changing property 'properties.availabilityZones' is not allowed.",
                   target="properties.availabilityZones")  # fmt: skip
    if wanted and len(parts(wanted)) == 3 and parts(wanted) < parts(held["currentOrchestratorVersion"]):
        raise Flat(400, "OperationNotAllowed", f"Downgrading node pool version {held['currentOrchestratorVersion']} to {wanted} "
                   "is not allowed.")  # fmt: skip
    scaled = sent.get("enableAutoScaling") and held["enableAutoScaling"] and sent["count"] != held["count"]
    # New limits that leave the live size out ask for another one themselves.
    if scaled and strict_autoscaling and sent["minCount"] <= held["count"] <= sent["maxCount"]:
        raise Flat(400, "InvalidParameter", "Cannot manually scale cluster autoscaler enabled node pool.", target="properties.count")
