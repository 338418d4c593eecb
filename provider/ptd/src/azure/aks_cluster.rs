//! `ptd:azure:AksCluster`: a managed Kubernetes cluster with its system pool.

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::aks_common::{calm, is_being_made, is_leaving, problem};
use super::aks_live::{self, Cluster};
use super::aks_tables::CLUSTER;
use super::arm::{PendingOperation, ResourceId};
use super::common::{
    check_common, check_location, diff_default_tags, diff_place, gone, needs_consent, open,
    parse_id, predict_place,
};
use super::names::Tags;
use super::{aks_check, aks_version};
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::defaults::yes;

/// A private AKS cluster with its system pool, set up as Posit Team Dedicated needs it: Entra login with Azure RBAC, overlay network,
/// OIDC issuer and workload identity, the Key Vault secrets provider.
///
/// An existing cluster of that name is adopted, unless it differs in what no input changes: another network than Azure's overlay, or users
/// of another tenant, for one. What somebody else manages about it, and its other pools, stay as they are. A newer patch than
/// `kubernetesVersion` names, as automatic upgrades bring it, is no difference and is never taken back. The control plane is upgraded
/// first, then the system pool; other pools are resources of their own, `AgentPool`.
///
/// Only one operation runs on a cluster at a time: what comes in between is waited for. Creating takes some ten minutes; whatever is
/// interrupted goes on in Azure, and the next run follows it to its end.
///
/// Import id: the cluster's ARM id.
///
/// Permissions: `Microsoft.ContainerService/managedClusters/*`, `agentPools/*`, and `Microsoft.Network/virtualNetworks/subnets/join/action`
/// on the subnet.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AksClusterArgs {
    /// The cluster's name: 1 to 63 letters, digits, `_` and `-`. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub name: String,
    /// The resource group it is in. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub resource_group_name: String,
    /// The region. Default: the provider's `azure.location`. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub location: Option<String>,
    /// The Kubernetes version, as `1.31` or `1.31.4`. A newer patch counts as the same, and with the `upgradeChannel` `stable` or `rapid` a
    /// newer minor version, too. It goes up only, one minor version at a time.
    pub kubernetes_version: String,
    /// The pool for the cluster's own services, called `agentpool`.
    pub system_pool: AksSystemPool,
    /// The beginning of the API server's host name: 1 to 54 letters, digits and `-`. Default `<name>-dns`. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub dns_prefix: Option<String>,
    /// The tier of the control plane: `Free`, `Standard` or `Premium`. Default `Standard`.
    pub tier: Option<String>,
    /// `KubernetesOfficial`, or `AKSLongTermSupport` with the tier `Premium`. Default `KubernetesOfficial`.
    pub support_plan: Option<String>,
    /// Whether accounts of the cluster's own are off, so that only Entra gives access. Default `true`.
    pub disable_local_accounts: Option<bool>,
    /// Whether Azure's roles decide what a user may do in the cluster. Default `true`.
    pub azure_rbac: Option<bool>,
    /// Whether the Key Vault provider of the Secrets Store CSI driver is installed. Default `true`.
    pub secrets_provider: Option<bool>,
    /// Whether it picks up changed secrets. Default `true`.
    pub secret_rotation: Option<bool>,
    /// How often it looks for them, as a Go duration. Default `2m`.
    pub secret_rotation_interval: Option<String>,
    /// Whether the Azure Policy add-on is installed. Default `false`.
    pub azure_policy: Option<bool>,
    /// Whether the API server has a private address only. Default `true`. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub private_cluster: Option<bool>,
    /// Whether a private API server has a name that resolves everywhere. Default `true`.
    pub private_cluster_public_fqdn: Option<bool>,
    /// The private DNS zone: `system`, `none`, or the ARM id of a zone. Default `system`. It changes in place to `none` only, which renews
    /// the nodes; any other change replaces the cluster.
    pub private_dns_zone: Option<String>,
    /// Which upgrades of Kubernetes Azure makes by itself: `none`, `patch`, `stable`, `rapid` or `node-image`. Default `patch`.
    pub upgrade_channel: Option<String>,
    /// Which upgrades of the nodes' system Azure makes by itself: `None`, `Unmanaged`, `SecurityPatch` or `NodeImage`. Default `NodeImage`.
    pub node_os_upgrade_channel: Option<String>,
    /// What enforces network policies: `calico`, `azure`, `cilium` or `none`. Default `calico`. It changes in place to `cilium` and `none`
    /// only; any other change replaces the cluster.
    pub network_policy: Option<String>,
    /// The data plane of the network: `azure` or `cilium`. Default `azure`. It changes in place to `cilium`; back to `azure`
    /// replaces the cluster.
    pub network_dataplane: Option<String>,
    /// How traffic leaves: `loadBalancer`, `userDefinedRouting`, `userAssignedNATGateway` or `none`; `managedNATGateway` only without a
    /// subnet of one's own. Default `loadBalancer`. A change interrupts outgoing traffic; one from or to `managedNATGateway` replaces the
    /// cluster.
    pub outbound_type: Option<String>,
    /// The address range of pods. Default `10.244.0.0/16`. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub pod_cidr: Option<String>,
    /// The address range of services. Default `10.0.0.0/16`. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub service_cidr: Option<String>,
    /// The address of the cluster's DNS, within `serviceCidr`; needed where the default is not within it. Default `10.0.0.10`. A change
    /// replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub dns_service_ip: Option<String>,
    /// Whether unused images are removed from nodes. Default `true`.
    pub image_cleaner: Option<bool>,
    /// How often, in hours, 24 to 2160. Default 168.
    pub image_cleaner_interval_hours: Option<i64>,
    /// Whether pods can have Entra identities. Default `true`.
    pub workload_identity: Option<bool>,
    /// Whether pods can have Azure disks. Default `true`.
    pub disk_csi_driver: Option<bool>,
    /// Whether pods can have Azure file shares. Default `true`.
    pub file_csi_driver: Option<bool>,
    /// Whether there are snapshots of volumes. Default `true`.
    pub snapshot_controller: Option<bool>,
    /// Whether upgrades go ahead against disruption budgets and the use of removed interfaces. Default `false`.
    #[serde(default)]
    pub force_upgrade: bool,
    /// Until when that holds, as `2035-01-01T00:00:00Z`, which is the default.
    pub force_upgrade_until: Option<String>,
    /// Whether the cluster may be deleted, with all that runs in it and its disks. It counts once an update has put it into the state.
    /// Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether to take over a cluster that exists. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// Tags, beside the provider's default tags; keys must not hold `/`. Where none are given, those that are there stay. The system pool
    /// gets changed ones when something else about it changes.
    pub tags: Option<Tags>,
    /// The subscription. Default: the provider's. A change replaces the cluster.
    #[schemars(extend("replace" = true))]
    pub subscription_id: Option<String>,
    /// The tenant that the subscription must be in, and whose users log in. Default: the provider's.
    pub tenant_id: Option<String>,
}

/// The system pool of a cluster. Only sizes, limits, taints, labels and the surge change in place; for anything else add a system pool under
/// another name with `AgentPool`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub struct AksSystemPool {
    /// The size of the virtual machines, such as `Standard_D4s_v6`.
    pub vm_size: String,
    /// The subnet's ARM id. Default: a network that Azure makes.
    pub subnet_id: Option<String>,
    /// The root disk in GB, 30 to 2048; 0 leaves it to Azure. Default 128.
    pub os_disk_size_gb: Option<i64>,
    /// How many nodes there are at first, and where nothing scales, 1 to 1000. Default 2.
    pub count: Option<i64>,
    /// The least number of nodes, at least 1. Default 2.
    pub min_count: Option<i64>,
    /// The greatest number of nodes, at most 1000. Default 5.
    pub max_count: Option<i64>,
    /// Whether the number of nodes follows the load. Default `true`.
    pub auto_scaling: Option<bool>,
    /// The availability zones. Default `2` and `3`.
    pub availability_zones: Option<Vec<String>>,
    /// How many pods a node may run, 10 to 250. Default 110.
    pub max_pods: Option<i64>,
    /// The nodes' taints, `key=value:Effect`. Default `CriticalAddonsOnly=true:NoSchedule`.
    pub node_taints: Option<Vec<String>>,
    /// The nodes' labels; values of at most 63 letters, digits, `-`, `_` and `.`.
    pub node_labels: Option<Tags>,
    /// How many nodes more there are during an upgrade, as a number or a percentage. Default `10%`.
    pub max_surge: Option<String>,
}

/// An identity that Azure made for a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("module" = "azure"))]
pub struct AksIdentity {
    /// The client id.
    pub client_id: Option<String>,
    /// The object id, to which roles are assigned.
    pub object_id: Option<String>,
    /// The ARM id.
    pub resource_id: Option<String>,
}

/// What Azure knows about the cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AksClusterState {
    /// The cluster's ARM id.
    #[schemars(extend("stable" = true))]
    pub arm_id: String,
    /// The subscription it is in.
    #[schemars(extend("stable" = true))]
    pub subscription_id: String,
    /// The tenant it is in.
    #[schemars(extend("stable" = true))]
    pub tenant_id: String,
    /// The API server's public name.
    #[schemars(extend("stable" = true))]
    pub fqdn: Option<String>,
    /// The API server's name in the private DNS zone.
    #[schemars(extend("stable" = true))]
    pub private_fqdn: Option<String>,
    /// The API server's name for the Azure portal.
    #[schemars(extend("stable" = true))]
    pub azure_portal_fqdn: Option<String>,
    /// The resource group of the nodes, which Azure makes: `MC_<group>_<cluster>_<region>`.
    #[schemars(extend("stable" = true))]
    pub node_resource_group: Option<String>,
    /// The version that the control plane runs.
    pub current_kubernetes_version: Option<String>,
    /// The issuer of service account tokens, for federated credentials, with its final slash.
    #[schemars(extend("stable" = true))]
    pub oidc_issuer_url: Option<String>,
    /// The object id of the control plane's identity.
    #[schemars(extend("stable" = true))]
    pub principal_id: Option<String>,
    /// The nodes' identity, which pulls images.
    #[schemars(extend("stable" = true))]
    pub kubelet_identity: Option<AksIdentity>,
    /// The identity of the Key Vault secrets provider.
    pub secrets_provider_identity: Option<AksIdentity>,
    /// `Running` or `Stopped`.
    pub power_state: Option<String>,
    /// A kubeconfig for users, who log in with `kubelogin`. Absent where the credentials may not have it.
    pub kubeconfig: Option<Secret<String>>,
    /// A kubeconfig with all rights, where local accounts are on.
    pub admin_kubeconfig: Option<Secret<String>>,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
    /// An operation that had not ended when this was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_operation: Option<PendingOperation>,
}

/// The resource `ptd:azure:AksCluster`.
#[derive(Debug)]
pub struct AksCluster;

pub(super) fn what(name: &str) -> String {
    format!("AKS cluster {name}")
}

const EXAMPLE: &str = "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ContainerService/managedClusters/<name>";

impl AksClusterArgs {
    /// The inputs as the tables take them, defaults that depend on others filled in.
    pub(super) fn inputs(&self) -> Result<Value, Error> {
        let mut inputs = serde_json::to_value(self)
            .map_err(|error| Error::Bug(format!("the inputs of a cluster: {error}")))?;
        if self.dns_prefix.is_none()
            && let Value::Object(map) = &mut inputs
        {
            map.insert("dnsPrefix".to_owned(), format!("{}-dns", self.name).into());
        }
        Ok(inputs)
    }
}

impl Resource for AksCluster {
    type Provider = Ptd;
    type Args = AksClusterArgs;
    type State = AksClusterState;

    const TOKEN: &'static str = "ptd:azure:AksCluster";

    fn check(checking: &mut Checking<'_>, provider: Option<&Ptd>) {
        check_common(checking);
        check_location(checking, provider);
        check_with(checking, "name", aks_check::cluster_name);
        check_with(checking, "kubernetesVersion", aks_version::rule);
        aks_check::cluster(checking);
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        let tags_all = old.state.as_ref().map(|s| &s.tags_all);
        diff_default_tags(diff, provider, tags_all, news);
        aks_check::diff_cluster(diff, &old.outputs, news);
        let identity = ["name", "resourceGroupName", "location"];
        diff_place(diff, &old.outputs, news, provider, &identity);
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        if let Some((_, old)) = &request.old {
            return aks_check::possible(request.args.as_ref(), old);
        }
        let Some(args) = &request.args else {
            return Ok(());
        };
        let session = open(
            cx,
            args.subscription_id.as_deref(),
            args.tenant_id.as_deref(),
        )
        .await?;
        let cluster = Cluster::named(&session, args);
        predict_place(prediction, &session, &cluster.id);
        if let Some(live) = cluster.get(cx).await? {
            if !args.adopt {
                return Err(exists_already(&what(&args.name), cluster.id.as_str()));
            }
            tell_adoption(cx, &what(&args.name), &cluster.pending(args, &live)?).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: AksClusterArgs,
    ) -> Result<Created<AksClusterState>, Error> {
        let session = open(
            cx,
            args.subscription_id.as_deref(),
            args.tenant_id.as_deref(),
        )
        .await?;
        let cluster = Cluster::named(&session, &args);
        let id = cluster.id.to_string();
        // One that is being made, perhaps by a run that was killed, is followed to its end; one that is being deleted has to be gone first.
        let found = match cluster.get(cx).await? {
            Some(live) if !args.adopt && !is_leaving(&live) => {
                return Err(exists_already(&what(&args.name), &id));
            }
            Some(live) => {
                let mut known = None;
                // It is part of the state at once, unless it cannot become what the inputs say: correcting them would then replace it.
                if is_being_made(&live) {
                    cluster.pending(&args, &live)?;
                    known = Some(cluster.state(&live));
                }
                calm(cx, &session, &cluster.id, live, known).await?
            }
            None => None,
        };
        let state = match found {
            Some(live) => {
                let changes = cluster.pending(&args, &live)?;
                cx.checkpoint(&id, &cluster.state(&live));
                let state = cluster.converge(cx, &args, live).await?;
                tell_adoption(cx, &what(&args.name), &changes).await;
                state
            }
            None => cluster.make(cx, &args).await?,
        };
        Ok(Created { id, state })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let id = parse_id(id, CLUSTER, EXAMPLE)?;
        let (args, old) = prior.map_or((None, None), |p| (p.args, p.state));
        let tenant = args.as_ref().and_then(|a| a.tenant_id.as_deref());
        let session = open(cx, id.subscription_id(), tenant).await?;
        let cluster = Cluster::at(&session, id).known(old.as_ref());
        let Some(live) = cluster.get(cx).await? else {
            return Ok(None);
        };
        let mut state = cluster.state(&live);
        let untold = if aks_live::is_usable(&live) {
            match cluster.credentials(cx, &live, &mut state).await {
                Err(error @ (Error::Cancelled { .. } | Error::TimedOut { .. })) => {
                    return Err(error);
                }
                told => told.err(),
            }
        } else {
            None
        };
        let mut found = Observed::new(cluster.observe(args.as_ref(), &live)?, state);
        found.problems.extend(
            problem(&live, &what(cluster.id.name())).or_else(|| aks_live::system_problem(&live)),
        );
        // What else is known of the cluster is worth having.
        found.problems.extend(untold.map(|error| error.to_string()));
        Ok(Some(found))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: AksClusterArgs,
    ) -> Result<AksClusterState, Error> {
        let id = parse_id(id, CLUSTER, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let cluster = Cluster::at(&session, id).known(old.state.as_ref());
        let pending = old.state.and_then(|state| state.pending_operation);
        let Some(live) = cluster.resumed(cx, pending.as_ref()).await? else {
            return Err(gone(&what(&args.name)));
        };
        cluster.converge(cx, &args, live).await
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        let id = parse_id(id, CLUSTER, EXAMPLE)?;
        if !args.allow_delete {
            return Err(needs_consent(
                &what(id.name()),
                "all that runs in it and its disks would be lost",
            ));
        }
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        Cluster::at(&session, id).delete(cx).await
    }
}

/// Where an input is given for which Azure answers its own spelling, the program's spelling is kept.
pub(super) fn keep_case(said: Option<&str>, actual: &str) -> String {
    match said {
        Some(said) if said.eq_ignore_ascii_case(actual) => said.to_owned(),
        _ => actual.to_owned(),
    }
}

/// Reads inputs that were put together from tables.
pub(super) fn args_of<T: serde::de::DeserializeOwned>(
    id: &ResourceId,
    inputs: Map<String, Value>,
) -> Result<T, Error> {
    serde_json::from_value(Value::Object(inputs)).map_err(|error| {
        Error::refused(
            format!(
                "Azure's answer about {} cannot be understood: {error}",
                id.describe()
            ),
            "Report this with the cluster's JSON (`az resource show --ids`)",
        )
    })
}

/// The path of a part of an input.
pub(super) fn below(input: &str, part: &str) -> Path {
    Path::root().key(input).key(part)
}
