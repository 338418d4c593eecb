//! `ptd:azure:Aks`: all clusters of an Azure target.

use std::collections::BTreeMap;

use futures::future::{join, join_all};
use pulumi_provider::{
    Checking, Child, ChildOptions, Component, Construction, Error, Outputs, Path, PropertyValue,
    Registered, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::agent_pool::AgentPool;
use super::aks_check;
use super::aks_cluster::AksCluster;
use super::aks_rules;
use super::aks_tables::SYSTEM_POOL;
use super::aks_version;
use super::arm::ResourceId;
use super::names::{self, Tags};
use super::role_assignment::RoleAssignment;
use crate::Ptd;
use crate::checks::check_tags;
use crate::defaults::yes;
use crate::target::naming;

/// The AKS clusters of an Azure workload with their node pools, as its `ptd.yaml` describes them.
///
/// Clusters are called `<target>-<release>`. Children are named after the component: `<name>-<release>` for a cluster,
/// `<name>-<release>-<pool>` for each user pool, and `<name>-<release>-role-<role>` for each role. Pools are deleted together with their
/// cluster.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct AksArgs {
    /// The target's name: `acme01-staging`.
    pub target: String,
    /// The clusters by release, with the fields that the function `getTarget` gives as `azure` of a cluster.
    pub clusters: BTreeMap<String, AksTargetCluster>,
    /// The ARM id of the subnet of all nodes. Otherwise it is put together from `vnetName` and `subnetName`.
    pub subnet_id: Option<String>,
    /// The network's name, the output `vnet_name` of the persistent step.
    pub vnet_name: Option<String>,
    /// The subnet's name, the output `private_subnet_name` of the persistent step.
    pub subnet_name: Option<String>,
    /// The network's resource group. Default: the target's own.
    pub vnet_resource_group_name: Option<String>,
    /// The target's resource group. Default `rsg-ptd-<target>`.
    pub resource_group_name: Option<String>,
    /// The region. Default: the provider's `azure.location`.
    pub location: Option<String>,
    /// The subscription. Needed where the subnet is given by names. Default: the provider's.
    pub subscription_id: Option<String>,
    /// The Entra tenant whose users log in. Default: the provider's.
    pub tenant_id: Option<String>,
    /// Whether clusters and pools are protected from being deleted. Default `false`.
    #[serde(default)]
    pub protect: bool,
    /// Whether clusters may be deleted, with all that runs in them. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether the clusters' identities get the roles they need: Reader and Network Contributor on the target's resource group for the
    /// control plane, Network Contributor on the network's group where that is another one, and `AcrPull` on the target's group for the
    /// nodes. Default `false`: the target's clusters step assigns them.
    #[serde(default)]
    pub assign_roles: bool,
    /// Whether to take over what exists. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// Tags for everything, beside `Owner: ptd`. A `/` in a key becomes `:`, as Azure has no such keys.
    pub tags: Option<Tags>,
}

/// One cluster of a target, in the terms of its `ptd.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub struct AksTargetCluster {
    /// The Kubernetes version of the control plane and all pools.
    pub kubernetes_version: String,
    /// The VM size of the system pool.
    pub system_node_pool_instance_type: String,
    /// The root disk of the system pool's nodes, in GB. Default 128.
    pub system_node_pool_root_disk_size: Option<i64>,
    /// How traffic leaves: `LoadBalancer`, `UserDefinedRouting` or `AssignedNatGateway`. Default `LoadBalancer`.
    pub outbound_type: Option<String>,
    /// Whether upgrades go ahead against pod disruption budgets. Default `false`.
    #[serde(default)]
    pub force_maintenance: bool,
    /// The user node pools; at least one.
    pub user_node_pools: Vec<AksTargetPool>,
}

/// One user pool of a cluster, in the terms of `ptd.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub struct AksTargetPool {
    /// The name: a lower-case letter and up to 11 lower-case letters and digits; not `agentpool`.
    pub name: String,
    /// The VM size.
    pub vm_size: String,
    /// The least number of nodes. Default 0.
    #[serde(default)]
    pub min_count: i64,
    /// The greatest number of nodes, at most 1000. Default 0.
    #[serde(default)]
    pub max_count: i64,
    /// The number of nodes at creation. Default `minCount`.
    pub initial_count: Option<i64>,
    /// Whether the number of nodes follows the load. Default `false`.
    #[serde(default)]
    pub enable_auto_scaling: bool,
    /// The availability zones. Default `2` and `3`.
    pub availability_zones: Option<Vec<String>>,
    /// The nodes' taints, `key=value:Effect`.
    pub node_taints: Option<Vec<String>>,
    /// The nodes' labels.
    pub node_labels: Option<Tags>,
    /// How many pods a node may run. Default 110.
    pub max_pods: Option<i64>,
    /// The root disk of the nodes, in GB. Default 256.
    pub root_disk_size: Option<i64>,
}

/// What later steps need to know of a cluster.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub struct AksClusterOutputs {
    /// The cluster's name.
    pub name: String,
    /// The cluster's ARM id.
    pub id: String,
    /// The resource group of its nodes.
    pub node_resource_group: Option<String>,
    /// The issuer for federated credentials.
    pub oidc_issuer_url: Option<String>,
    /// The object id of the control plane's identity.
    pub principal_id: Option<String>,
    /// The object id of the nodes' identity.
    pub kubelet_object_id: Option<String>,
    /// The API server's public name.
    pub fqdn: Option<String>,
    /// The API server's private name.
    pub private_fqdn: Option<String>,
}

/// The target's clusters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AksOutputs {
    /// The clusters by release.
    pub clusters: BTreeMap<String, AksClusterOutputs>,
    /// The users' kubeconfigs by release.
    pub kubeconfigs: BTreeMap<String, Secret<String>>,
}

/// The role Reader.
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
/// The role Network Contributor.
const NETWORK_CONTRIBUTOR: &str = "4d97b98b-1d4f-4787-a291-c67834d212e7";
/// The role `AcrPull`.
const ACR_PULL: &str = "7f951dda-4ed3-4680-a7ca-43fe172d538d";

/// The component `ptd:azure:Aks`.
#[derive(Debug)]
pub struct Aks;

/// Azure's word for the outbound type of `ptd.yaml`; a problem where there is none, or where it cannot work.
fn outbound(word: Option<&str>) -> Result<&'static str, String> {
    match word.unwrap_or_default() {
        "" | "LoadBalancer" => Ok("loadBalancer"),
        "UserDefinedRouting" => Ok("userDefinedRouting"),
        "AssignedNatGateway" => Ok("userAssignedNATGateway"),
        "ManagedNatGateway" => Err(
            "ManagedNatGateway cannot work: Azure refuses it with a subnet of one's own, which these clusters have. \
             Use AssignedNatGateway with a NAT gateway on the subnet"
                .to_owned(),
        ),
        other => Err(format!(
            "must be LoadBalancer, UserDefinedRouting or AssignedNatGateway, got {other:?}"
        )),
    }
}

fn check_pool(
    pool: &AksTargetPool,
    earlier: &[AksTargetPool],
    fail: &mut impl FnMut(&str, String),
) {
    if let Err(problem) = aks_check::pool_name(&pool.name) {
        fail("name", problem);
    }
    if pool.name == SYSTEM_POOL {
        fail(
            "name",
            format!("{SYSTEM_POOL:?} is the name of the system pool"),
        );
    }
    if earlier.iter().any(|other| other.name == pool.name) {
        fail("name", format!("the pool {:?} is named twice", pool.name));
    }
    if pool.vm_size.is_empty() {
        fail("vmSize", "must not be empty".to_owned());
    }
    let count = pool.initial_count.unwrap_or(pool.min_count);
    let mut in_terms = |input: &str, problem: String| {
        let input = match input {
            "count" => "initialCount",
            "osDiskSizeGb" => "rootDiskSize",
            other => other,
        };
        fail(input, problem);
    };
    let (min, max) = (Some(pool.min_count), Some(pool.max_count));
    aks_check::sizes(true, count, min, max, 0, &mut in_terms);
    aks_check::details(pool.max_pods, pool.root_disk_size, None, &mut in_terms);
    aks_check::labels(pool.node_labels.as_ref(), &mut in_terms);
    for text in pool.node_taints.iter().flatten() {
        if let Err(problem) = aks_check::taint(text) {
            in_terms("nodeTaints", problem);
        }
    }
    for text in pool.availability_zones.iter().flatten() {
        if let Err(problem) = aks_rules::zone(text) {
            in_terms("availabilityZones", problem);
        }
    }
}

fn check_cluster(
    checking: &mut Checking<'_>,
    target: &str,
    release: &str,
    cluster: &AksTargetCluster,
) {
    let here = Path::root().key("clusters").key(release);
    let name = cluster_name(target, release);
    if let Err(problem) = aks_check::cluster_name(&name) {
        checking.fail(
            here.clone(),
            format!("gives the cluster name '{name}', which {problem}"),
        );
    } else if let Err(problem) = aks_check::dns_prefix(&format!("{name}-dns")) {
        checking.fail(
            here.clone(),
            format!("gives the DNS prefix '{name}-dns', which {problem}"),
        );
    }
    if let Err(problem) = aks_version::rule(&cluster.kubernetes_version) {
        checking.fail(here.clone().key("kubernetesVersion"), problem);
    }
    if cluster.system_node_pool_instance_type.is_empty() {
        checking.fail(
            here.clone().key("systemNodePoolInstanceType"),
            "must not be empty",
        );
    }
    if let Err(problem) = outbound(cluster.outbound_type.as_deref()) {
        checking.fail(here.clone().key("outboundType"), problem);
    }
    let pools = &cluster.user_node_pools;
    if pools.is_empty() {
        checking.fail(
            here.clone().key("userNodePools"),
            "at least one user pool is needed",
        );
    }
    for (index, pool) in pools.iter().enumerate() {
        let path = here.clone().key("userNodePools").index(index);
        check_pool(pool, &pools[..index], &mut |input, problem| {
            checking.fail(path.clone().key(input), problem);
        });
    }
}

fn cluster_name(target: &str, release: &str) -> String {
    format!("{target}-{release}")
}

impl Component for Aks {
    type Provider = Ptd;
    type Args = AksArgs;
    type Outputs = AksOutputs;

    const TOKEN: &'static str = "ptd:azure:Aks";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        let target = checking.known::<String>("target");
        let clusters = checking.known::<BTreeMap<String, AksTargetCluster>>("clusters");
        if let (Some(target), Some(clusters)) = (target, clusters) {
            for (release, cluster) in &clusters {
                check_cluster(checking, &target, release, cluster);
            }
        }
        check_tags(checking, names::unconverted_tags);
        let named = checking.given("vnetName") && checking.given("subnetName");
        if !checking.given("subnetId") && !named {
            checking.refuse(
                "subnetId",
                "is required unless vnetName and subnetName are given",
            );
        }
        if !checking.given("subnetId") && named && !checking.given("subscriptionId") {
            checking.refuse(
                "subscriptionId",
                "is required where the subnet is given by vnetName and subnetName",
            );
        }
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        let target = cx.known::<String>("target");
        let clusters = cx.known::<BTreeMap<String, AksTargetCluster>>("clusters");
        let (Some(target), Some(clusters)) = (target, clusters) else {
            cx.info("the target's name or its clusters are not known yet; what they give is previewed once they are")
                .await;
            return Ok(["clusters", "kubeconfigs"]
                .into_iter()
                .map(|name| (name.to_owned(), PropertyValue::UNKNOWN))
                .collect());
        };
        let plan = Plan {
            cx: &cx,
            target: &target,
        };
        let all = clusters
            .iter()
            .map(|(release, cluster)| plan.cluster(release, cluster));
        let mut found = BTreeMap::new();
        let mut configs = BTreeMap::new();
        for registered in join_all(all).await {
            let (release, cluster) = registered?;
            configs.insert(release.clone(), cluster.output("kubeconfig"));
            found.insert(release.clone(), plan.outputs(&release, &cluster));
        }
        let mut outputs = Outputs::new();
        outputs.insert("clusters".into(), PropertyValue::Map(found));
        outputs.insert("kubeconfigs".into(), PropertyValue::Map(configs));
        Ok(outputs)
    }
}

/// The children of one component.
struct Plan<'a> {
    cx: &'a Construction<Ptd>,
    target: &'a str,
}

impl Plan<'_> {
    fn group(&self) -> PropertyValue {
        match self.cx.input("resourceGroupName") {
            PropertyValue::Null => naming::azure_resource_group(self.target).into(),
            given => given,
        }
    }

    /// The subnet's id; unknown for as long as one of its parts is.
    fn subnet(&self) -> PropertyValue {
        let given = self.cx.input("subnetId");
        if given != PropertyValue::Null {
            return given;
        }
        let parts = [
            "subscriptionId",
            "vnetName",
            "subnetName",
            "vnetResourceGroupName",
            "resourceGroupName",
        ];
        if parts.iter().any(|part| self.cx.input(part).has_unknown()) {
            return PropertyValue::UNKNOWN;
        }
        let text = |part: &str| {
            self.cx
                .known::<String>(part)
                .filter(|text| !text.is_empty())
        };
        let group = text("vnetResourceGroupName")
            .or_else(|| text("resourceGroupName"))
            .unwrap_or_else(|| naming::azure_resource_group(self.target));
        format!(
            "/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{}/subnets/{}",
            text("subscriptionId").unwrap_or_default(),
            text("vnetName").unwrap_or_default(),
            text("subnetName").unwrap_or_default(),
        )
        .into()
    }

    fn tags(&self) -> PropertyValue {
        let mut tags = names::converted_tags(&self.cx.known::<Tags>("tags").unwrap_or_default());
        // Azure ignores the case of keys: an owner that the target names takes this one's place.
        if !tags.keys().any(|key| key.eq_ignore_ascii_case("Owner")) {
            tags.insert("Owner".to_owned(), "ptd".to_owned());
        }
        PropertyValue::Map(
            tags.into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect(),
        )
    }

    fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.cx.name())
    }

    fn options(&self) -> ChildOptions {
        ChildOptions {
            protect: (self.cx.known("protect") == Some(true)).then_some(true),
            ..ChildOptions::default()
        }
    }

    async fn cluster(
        &self,
        release: &str,
        cluster: &AksTargetCluster,
    ) -> Result<(String, Registered), Error> {
        let mut system = BTreeMap::new();
        system.insert(
            "vmSize".to_owned(),
            cluster.system_node_pool_instance_type.clone().into(),
        );
        if let Some(size) = cluster.system_node_pool_root_disk_size {
            system.insert("osDiskSizeGb".to_owned(), PropertyValue::from(json!(size)));
        }
        system.insert("subnetId".to_owned(), self.subnet());
        // What cannot work was refused by the check.
        let outbound = outbound(cluster.outbound_type.as_deref()).unwrap_or("loadBalancer");
        let child = Child::of::<AksCluster>(self.name(release))
            .input("name", cluster_name(self.target, release))
            .input("resourceGroupName", self.group())
            .input("location", self.cx.input("location"))
            .input("subscriptionId", self.cx.input("subscriptionId"))
            .input("tenantId", self.cx.input("tenantId"))
            .input("kubernetesVersion", cluster.kubernetes_version.clone())
            .input("systemPool", PropertyValue::Map(system))
            .input("outboundType", outbound)
            .input("forceUpgrade", cluster.force_maintenance)
            .input("allowDelete", self.cx.input("allowDelete"))
            .input("adopt", self.cx.input("adopt"))
            .input("tags", self.tags())
            .options(self.options());
        let registered = self.cx.register(child).await?;
        let pools = cluster
            .user_node_pools
            .iter()
            .map(|pool| self.pool(release, cluster, pool, &registered));
        let (pools, roles) = join(join_all(pools), self.roles(release, &registered)).await;
        // All are registered, whatever becomes of one.
        for child in pools.into_iter().chain(roles) {
            child?;
        }
        Ok((release.to_owned(), registered))
    }

    async fn pool(
        &self,
        release: &str,
        cluster: &AksTargetCluster,
        pool: &AksTargetPool,
        parent: &Registered,
    ) -> Result<Registered, Error> {
        let limits = pool.enable_auto_scaling;
        let zones = pool
            .availability_zones
            .clone()
            .filter(|zones| !zones.is_empty());
        let taints = pool.node_taints.clone().filter(|taints| !taints.is_empty());
        let labels = pool.node_labels.clone().filter(|labels| !labels.is_empty());
        let child = Child::of::<AgentPool>(self.name(&format!("{release}-{}", pool.name)))
            .input("clusterId", parent.output("armId"))
            .input("name", pool.name.clone())
            .input("vmSize", pool.vm_size.clone())
            .input("kubernetesVersion", cluster.kubernetes_version.clone())
            .input("autoScaling", limits)
            .typed("minCount", &limits.then_some(pool.min_count))
            .typed("maxCount", &limits.then_some(pool.max_count))
            .typed("count", &Some(pool.initial_count.unwrap_or(pool.min_count)))
            .typed("availabilityZones", &zones)
            .typed("nodeTaints", &taints)
            .typed("nodeLabels", &labels)
            .typed("maxPods", &pool.max_pods)
            .typed("osDiskSizeGb", &pool.root_disk_size)
            .input("subnetId", self.subnet())
            .input("tenantId", self.cx.input("tenantId"))
            .input("adopt", self.cx.input("adopt"))
            .input("tags", self.tags())
            .options(ChildOptions {
                parent: Some(parent.urn().to_owned()),
                // Azure deletes the pools of a cluster with it, and refuses to delete the last one by itself.
                deleted_with: Some(parent.urn().to_owned()),
                ..self.options()
            });
        self.cx.register(child).await
    }

    /// The roles of a cluster's identities.
    async fn roles(&self, release: &str, cluster: &Registered) -> Vec<Result<Registered, Error>> {
        if self.cx.known::<bool>("assignRoles") != Some(true) {
            return Vec::new();
        }
        let id = cluster
            .known::<String>("armId")
            .and_then(|id| id.parse::<ResourceId>().ok());
        let subscription = id
            .as_ref()
            .and_then(|id| id.subscription_id().map(str::to_owned));
        let scope = |group: Option<&str>| match (&subscription, group) {
            (Some(subscription), Some(group)) => {
                PropertyValue::from(ResourceId::group(subscription, group).to_string())
            }
            _ => PropertyValue::UNKNOWN,
        };
        let own = id.as_ref().and_then(ResourceId::group_name);
        let network = self.cx.known::<String>("vnetResourceGroupName");
        let network =
            network.filter(|group| own.is_some_and(|own| !own.eq_ignore_ascii_case(group)));
        let plane = cluster.output("principalId");
        let mut wanted = vec![
            ("reader", READER, plane.clone(), scope(own)),
            (
                "network-contributor",
                NETWORK_CONTRIBUTOR,
                plane.clone(),
                scope(own),
            ),
            ("acr-pull", ACR_PULL, self.kubelet(cluster), scope(own)),
        ];
        if network.is_some() {
            wanted.push((
                "vnet-contributor",
                NETWORK_CONTRIBUTOR,
                plane,
                scope(network.as_deref()),
            ));
        }
        let children = wanted.into_iter().map(|(part, role, principal, scope)| {
            let child = Child::of::<RoleAssignment>(self.name(&format!("{release}-role-{part}")))
                .input("scope", scope)
                .input("roleDefinitionId", role)
                .input("principalId", principal)
                .input("principalType", "ServicePrincipal")
                .input("tenantId", self.cx.input("tenantId"))
                .after(cluster);
            self.cx.register(child)
        });
        join_all(children).await
    }

    fn kubelet(&self, cluster: &Registered) -> PropertyValue {
        let identity = cluster.known::<super::aks_cluster::AksIdentity>("kubeletIdentity");
        match identity.and_then(|identity| identity.object_id) {
            Some(id) => id.into(),
            None if self.cx.preview() => PropertyValue::UNKNOWN,
            None => PropertyValue::Null,
        }
    }

    fn outputs(&self, release: &str, cluster: &Registered) -> PropertyValue {
        let mut map = BTreeMap::new();
        map.insert("name".to_owned(), cluster_name(self.target, release).into());
        map.insert("id".to_owned(), cluster.output("armId"));
        for name in [
            "nodeResourceGroup",
            "oidcIssuerUrl",
            "principalId",
            "fqdn",
            "privateFqdn",
        ] {
            map.insert(name.to_owned(), cluster.output(name));
        }
        map.insert("kubeletObjectId".to_owned(), self.kubelet(cluster));
        PropertyValue::Map(map)
    }
}
