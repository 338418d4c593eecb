//! `ptd:azure:AgentPool`: a pool of nodes of an AKS cluster.

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aks_cluster::args_of;
use super::aks_common::{REDO, calm, is_being_made, is_leaving, misfit, problem, stuck, tag_map};
use super::aks_pool_body::{pool_creation, pool_stuck, pool_update, pool_version};
use super::aks_pool_inputs::{observe_sizes, pool_settings};
use super::aks_settings::{observe, unlike};
use super::aks_tables::{API, CLUSTER, POOL, POOL_SHAPE, SYSTEM_POOL, USER_POOL_SHAPE};
use super::aks_version::{ahead, brings_minors, compatible, satisfied, step};
use super::arm::{Job, PendingOperation, ResourceId, Write, state_of};
use super::clients::AzureSession;
use super::common::{
    diff_case, diff_default_tags, gone, kept, observed_tags, open, parse_id, text, wanted_tags,
};
use super::names::Tags;
use super::{aks_check, aks_rules, aks_version};
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::{check_each, check_tags, check_with};
use crate::defaults::yes;

/// A pool of nodes of an AKS cluster. An existing pool of that name is adopted, unless it has what no input changes: another system than
/// Linux, for one.
///
/// The number of nodes of a pool that scales by itself is Azure's business: it is neither compared nor set. A newer patch than
/// `kubernetesVersion` names is no difference, nor is a newer minor version where the cluster's `upgradeChannel` is `stable` or `rapid`.
/// Operations on the cluster that are in the way are waited for.
///
/// What cannot change in place replaces the pool: as names are unique in a cluster, the old pool is deleted first, with all that runs on
/// it. To keep capacity, add a pool under another name instead.
///
/// Import id: the pool's ARM id.
///
/// Permissions: `Microsoft.ContainerService/managedClusters/agentPools/*`, `Microsoft.ContainerService/managedClusters/read`, and
/// `Microsoft.Network/virtualNetworks/subnets/join/action` on the subnet.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentPoolArgs {
    /// The cluster's ARM id, the output `armId` of `AksCluster`. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub cluster_id: String,
    /// The pool's name: a lower-case letter and up to 11 lower-case letters and digits; not `agentpool`. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub name: String,
    /// The size of the virtual machines, such as `Standard_D8s_v6`. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub vm_size: String,
    /// The Kubernetes version of the nodes, as `1.31` or `1.31.4`; not newer than the cluster's, and at most three minor versions older.
    /// Default: the cluster's when the pool is made, and unchanged after that.
    pub kubernetes_version: Option<String>,
    /// What runs on it: `User`, or `System` for the cluster's own services. Default `User`.
    pub mode: Option<String>,
    /// Whether the number of nodes follows the load. Default `true`.
    pub auto_scaling: Option<bool>,
    /// The least number of nodes, 0 to 1000. Required while `autoScaling` is on; not sent otherwise.
    pub min_count: Option<i64>,
    /// The greatest number of nodes, at most 1000. Required while `autoScaling` is on; not sent otherwise.
    pub max_count: Option<i64>,
    /// How many nodes there are at first, and where nothing scales. Default `minCount`, or 1.
    pub count: Option<i64>,
    /// The availability zones. Default `2` and `3`. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub availability_zones: Option<Vec<String>>,
    /// How many pods a node may run, 10 to 250. Default 110. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub max_pods: Option<i64>,
    /// The root disk in GB, 30 to 2048; 0 leaves it to Azure. Default 256. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub os_disk_size_gb: Option<i64>,
    /// `Managed` or `Ephemeral`. Default `Managed`. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub os_disk_type: Option<String>,
    /// The nodes' system: `Ubuntu`, `Ubuntu2204`, `AzureLinux`, `AzureLinux3` or `CBLMariner`. Default `Ubuntu`. A change within a
    /// family renews the nodes; Azure refuses one to another family.
    pub os_sku: Option<String>,
    /// What becomes of nodes that are no longer needed: `Delete`, or `Deallocate`, which keeps their disks for a quicker start and goes
    /// on costing them. Default `Delete`.
    pub scale_down_mode: Option<String>,
    /// The subnet's ARM id. Default: a network that Azure makes. A change replaces the pool.
    #[schemars(extend("replace" = true))]
    pub subnet_id: Option<String>,
    /// The nodes' taints, `key=value:Effect`. Default: none.
    pub node_taints: Option<Vec<String>>,
    /// The nodes' labels; values of at most 63 letters, digits, `-`, `_` and `.`. Default: none.
    pub node_labels: Option<Tags>,
    /// How many nodes more there are during an upgrade, as a number or a percentage. Default `10%`.
    pub max_surge: Option<String>,
    /// Whether nodes start with verified software only. Default `false`. A change renews the nodes.
    pub secure_boot: Option<bool>,
    /// Whether nodes have a virtual TPM. Default `false`. A change renews the nodes.
    pub vtpm: Option<bool>,
    /// Whether deleting the pool goes ahead against disruption budgets. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub ignore_disruption_budgets: bool,
    /// Whether to take over a pool that exists. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// Tags, beside the provider's default tags; keys must not hold `/`. Where none are given, those that are there stay.
    pub tags: Option<Tags>,
    /// The tenant that the subscription must be in. Default: the provider's.
    pub tenant_id: Option<String>,
}

/// What Azure knows about the pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentPoolState {
    /// The pool's ARM id.
    #[schemars(extend("stable" = true))]
    pub arm_id: String,
    /// The version that the nodes run.
    pub current_kubernetes_version: Option<String>,
    /// The image of the nodes.
    pub node_image_version: Option<String>,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
    /// An operation that had not ended when this was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_operation: Option<PendingOperation>,
}

/// The resource `ptd:azure:AgentPool`.
#[derive(Debug)]
pub struct AgentPool;

const EXAMPLE: &str = "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ContainerService/managedClusters/<cluster>/agentPools/<pool>";
const CLUSTER_EXAMPLE: &str = "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ContainerService/managedClusters/<cluster>";

fn what(id: &ResourceId) -> String {
    let cluster = id.parent();
    let cluster = cluster.as_ref().map_or("", ResourceId::name);
    format!("agent pool {} of AKS cluster {cluster}", id.name())
}

/// A pool in Azure.
struct Pool<'a> {
    session: &'a AzureSession,
    id: ResourceId,
    cluster: ResourceId,
}

/// The properties of a pool as Azure answers it.
fn properties(live: &Value) -> Value {
    live.get("properties").cloned().unwrap_or_default()
}

fn inputs_of(args: &AgentPoolArgs) -> Result<Value, Error> {
    let mut inputs = serde_json::to_value(args)
        .map_err(|error| Error::Bug(format!("the inputs of a pool: {error}")))?;
    if args.os_disk_size_gb.is_none() {
        super::aks_settings::put(&mut inputs, &["osDiskSizeGb"], 256.into());
    }
    Ok(inputs)
}

impl<'a> Pool<'a> {
    fn at(session: &'a AzureSession, id: ResourceId) -> Self {
        let cluster = id.parent().unwrap_or_else(|| id.clone());
        Self {
            session,
            id,
            cluster,
        }
    }

    fn bare_state(&self) -> AgentPoolState {
        AgentPoolState {
            arm_id: self.id.to_string(),
            ..AgentPoolState::default()
        }
    }

    fn tags(live: &Value) -> Tags {
        super::common::tags_of(&properties(live))
    }

    fn state(&self, live: &Value) -> AgentPoolState {
        AgentPoolState {
            current_kubernetes_version: text(live, &["properties", "currentOrchestratorVersion"]),
            node_image_version: text(live, &["properties", "nodeImageVersion"]),
            tags_all: self.session.tags.visible(&Self::tags(live)),
            ..self.bare_state()
        }
    }

    async fn get(&self, cx: &Context<Ptd>) -> Result<Option<Value>, Error> {
        Ok(self.session.arm.get(cx, &self.id, API).await?)
    }

    /// The pool once nothing is at work on it.
    async fn settled(&self, cx: &Context<Ptd>) -> Result<Option<Value>, Error> {
        let Some(live) = self.get(cx).await? else {
            return Ok(None);
        };
        // What is going away is no part of what this run made.
        let known = (!is_leaving(&live)).then(|| self.state(&live));
        calm(cx, self.session, &self.id, live, known).await
    }

    async fn its_cluster(&self, cx: &Context<Ptd>) -> Result<Value, Error> {
        let found = self.session.arm.get(cx, &self.cluster, API).await?;
        found.ok_or_else(|| gone(&super::aks_cluster::what(self.cluster.name())))
    }

    /// The version that the pool is to have: none where automatic upgrades of the cluster have brought it a newer minor version.
    async fn wanted<'v>(
        &self,
        cx: &Context<Ptd>,
        args: &'v AgentPoolArgs,
        live: &Value,
    ) -> Result<Option<&'v str>, Error> {
        let Some(version) = args.kubernetes_version.as_deref() else {
            return Ok(None);
        };
        let current = pool_version(&properties(live)).unwrap_or_default();
        if !ahead(version, &current) {
            return Ok(Some(version));
        }
        let cluster = self.its_cluster(cx).await?;
        let channel = text(
            &cluster,
            &["properties", "autoUpgradeProfile", "upgradeChannel"],
        );
        Ok((!brings_minors(channel.as_deref())).then_some(version))
    }

    /// The version of the control plane; an error where there is no cluster, or where it is stopped.
    async fn control_plane(&self, cx: &Context<Ptd>) -> Result<String, Error> {
        let cluster = self.its_cluster(cx).await?;
        let power = text(&cluster, &["properties", "powerState", "code"]).unwrap_or_default();
        if power.eq_ignore_ascii_case("stopped") {
            return Err(Error::refused(
                format!(
                    "{} cannot be changed: its cluster is stopped",
                    what(&self.id)
                ),
                format!("Start it first: az aks start --ids {}", self.cluster),
            ));
        }
        Ok(text(&cluster, &["properties", "currentKubernetesVersion"])
            .or_else(|| text(&cluster, &["properties", "kubernetesVersion"]))
            .unwrap_or_default())
    }

    /// Whether the pool can have a version; where the control plane's is empty, that one is left out of it.
    fn skew(
        &self,
        version: Option<&str>,
        live: Option<&Value>,
        control_plane: &str,
    ) -> Result<(), Error> {
        let Some(version) = version else {
            return Ok(());
        };
        let refuse =
            |problem| Error::refused(problem, "Correct kubernetesVersion; nothing was changed");
        let current =
            live.and_then(|live| text(live, &["properties", "currentOrchestratorVersion"]));
        if let Some(current) = current {
            if satisfied(version, &current) {
                return Ok(());
            }
            // A pool may catch up several minor versions at once; it never goes back.
            step(&what(&self.id), version, &current)
                .or_else(|problem| {
                    let back = problem.contains("go back");
                    if back {
                        Err(problem)
                    } else {
                        Ok(aks_version::Step::Upgrade)
                    }
                })
                .map_err(refuse)?;
        }
        compatible(self.id.name(), version, control_plane).map_err(refuse)
    }

    async fn make(&self, cx: &Context<Ptd>, args: &AgentPoolArgs) -> Result<AgentPoolState, Error> {
        let control_plane = self.control_plane(cx).await?;
        self.skew(args.kubernetes_version.as_deref(), None, &control_plane)?;
        let version = args.kubernetes_version.as_deref().unwrap_or(&control_plane);
        let tags = wanted_tags(self.session, &Tags::new(), args.tags.as_ref());
        let body = json!({ "properties": pool_creation(&inputs_of(args)?, version, true, &tag_map(&tags)) });
        let accepted = kept(cx, &self.id, self.bare_state());
        let job = Job {
            run: cx,
            accepted: &accepted,
        };
        let write = Write::new(&self.id, API, Some(&body)).while_busy(&self.cluster);
        let live = self.session.arm.put(&job, &write).await?;
        Ok(self.state(&live))
    }

    /// What about an existing pool would change that is to be adopted.
    async fn pending(
        &self,
        cx: &Context<Ptd>,
        args: &AgentPoolArgs,
        live: &Value,
    ) -> Result<Vec<&'static str>, Error> {
        let differs = unlike(&[POOL_SHAPE, USER_POOL_SHAPE], &properties(live));
        misfit(&what(&self.id), &differs)?;
        let version = self.wanted(cx, args, live).await?;
        Ok(self.update(args, version, live)?.1)
    }

    /// The model to send, and the inputs whose values change.
    fn update(
        &self,
        args: &AgentPoolArgs,
        version: Option<&str>,
        live: &Value,
    ) -> Result<(Value, Vec<&'static str>), Error> {
        let inputs = inputs_of(args)?;
        let live_properties = properties(live);
        let fixed = pool_stuck(&inputs, &live_properties);
        if !fixed.is_empty() {
            let next =
                "Say in the inputs what the pool has, or replace it (`pulumi up --replace <urn>`)";
            return Err(stuck(&what(&self.id), &fixed, next));
        }
        let tags = wanted_tags(self.session, &Self::tags(live), args.tags.as_ref());
        Ok(pool_update(
            &inputs,
            version,
            &tag_map(&tags),
            &live_properties,
        ))
    }

    async fn converge(
        &self,
        cx: &Context<Ptd>,
        args: &AgentPoolArgs,
        mut live: Value,
    ) -> Result<AgentPoolState, Error> {
        for attempt in 0.. {
            let version = self.wanted(cx, args, &live).await?;
            let (body, changed) = self.update(args, version, &live)?;
            let failed = state_of(&live).is_some_and(|state| state.is_bad());
            if changed.is_empty() && !failed {
                break;
            }
            let control_plane = self.control_plane(cx).await?;
            self.skew(version, Some(&live), &control_plane)?;
            let accepted = kept(cx, &self.id, self.state(&live));
            let job = Job {
                run: cx,
                accepted: &accepted,
            };
            let body = json!({ "properties": body });
            let etag = text(&live, &["properties", "eTag"]);
            let mut write = Write::new(&self.id, API, Some(&body)).while_busy(&self.cluster);
            write.if_match = etag.as_deref();
            match self.session.arm.put(&job, &write).await {
                Ok(changed) => {
                    live = changed;
                    break;
                }
                // Somebody else, the autoscaler perhaps, has changed the pool since it was read.
                Err(error) if error.status() == Some(412) && attempt < REDO => {
                    let again = self.settled(cx).await?;
                    live = again.ok_or_else(|| gone(&what(&self.id)))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.state(&live))
    }
}

/// Whether an update can reach its version. Azure is asked only where the nodes are ahead of it, and never for the control plane, which
/// the same run may upgrade first.
async fn possible(
    cx: &Context<Ptd>,
    id: &str,
    args: &AgentPoolArgs,
    old: &Prior<AgentPool>,
) -> Result<(), Error> {
    let state = old.state.as_ref();
    let current = state.and_then(|state| state.current_kubernetes_version.as_deref());
    let (Some(wanted), Some(current)) = (args.kubernetes_version.as_deref(), current) else {
        return Ok(());
    };
    if !ahead(wanted, current) {
        return Ok(());
    }
    let id = parse_id(id, POOL, EXAMPLE)?;
    let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
    let pool = Pool::at(&session, id);
    match pool.get(cx).await? {
        Some(live) => pool.skew(pool.wanted(cx, args, &live).await?, Some(&live), ""),
        None => Ok(()),
    }
}

impl Resource for AgentPool {
    type Provider = Ptd;
    type Args = AgentPoolArgs;
    type State = AgentPoolState;

    const TOKEN: &'static str = "ptd:azure:AgentPool";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_with(checking, "clusterId", |id| {
            let usable = id.parse::<ResourceId>().is_ok_and(|id| id.is(CLUSTER));
            if usable {
                Ok(())
            } else {
                Err(format!(
                    "must be a cluster's ARM id as in {CLUSTER_EXAMPLE}, got {id:?}"
                ))
            }
        });
        check_with(checking, "name", |name| {
            if name == SYSTEM_POOL {
                return Err(format!(
                    "{SYSTEM_POOL:?} is the name of the cluster's system pool"
                ));
            }
            aks_check::pool_name(name)
        });
        check_with(checking, "kubernetesVersion", aks_version::rule);
        check_with(checking, "subnetId", aks_rules::subnet);
        aks_check::words(checking, "osDiskType", &["Managed", "Ephemeral"]);
        // Windows has rules of its own, which nothing here knows.
        let systems = [
            "Ubuntu",
            "Ubuntu2204",
            "AzureLinux",
            "AzureLinux3",
            "CBLMariner",
        ];
        aks_check::words(checking, "osSku", &systems);
        aks_check::words(checking, "scaleDownMode", &["Delete", "Deallocate"]);
        check_with(checking, "mode", |mode| {
            if ["User", "System"].contains(&mode) {
                Ok(())
            } else {
                Err(format!("must be User or System, got {mode:?}"))
            }
        });
        check_with(checking, "vmSize", |size| {
            if size.is_empty() {
                Err("must not be empty".to_owned())
            } else {
                Ok(())
            }
        });
        check_tags(checking, super::names::tags);
        let Some(args) = checking.args::<AgentPoolArgs>() else {
            return;
        };
        let mut fail = |input: &str, problem: String| checking.refuse(input, problem);
        let least = i64::from(args.mode.as_deref() == Some("System"));
        let count = args.count.or(args.min_count).unwrap_or(1);
        aks_check::sizes(
            args.auto_scaling.unwrap_or(true),
            count,
            args.min_count,
            args.max_count,
            least,
            &mut fail,
        );
        aks_check::details(
            args.max_pods,
            args.os_disk_size_gb,
            args.max_surge.as_deref(),
            &mut fail,
        );
        aks_check::labels(args.node_labels.as_ref(), &mut fail);
        let list = |name: &str| Path::root().key(name);
        let (zones, taints) = (&args.availability_zones, &args.node_taints);
        check_each(
            checking,
            &list("availabilityZones"),
            zones.as_deref(),
            aks_rules::zone,
        );
        check_each(
            checking,
            &list("nodeTaints"),
            taints.as_deref(),
            aks_check::taint,
        );
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        let tags_all = old.state.as_ref().map(|s| &s.tags_all);
        diff_default_tags(diff, provider, tags_all, news);
        diff_case(
            diff,
            &old.outputs,
            news,
            &[
                "clusterId",
                "subnetId",
                "vmSize",
                "osDiskType",
                "osSku",
                "scaleDownMode",
            ],
        );
        let moved = diff.touches("name") || diff.touches("clusterId");
        diff.delete_before_replace = !moved;
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let Some(args) = &request.args else {
            return Ok(());
        };
        if let Some((id, old)) = &request.old {
            return possible(cx, id, args, old).await;
        }
        let cluster = parse_id(&args.cluster_id, CLUSTER, CLUSTER_EXAMPLE)?;
        let session = open(cx, cluster.subscription_id(), args.tenant_id.as_deref()).await?;
        let pool = Pool::at(&session, cluster.child("agentPools", &args.name));
        prediction.known("armId", pool.id.as_str());
        if let Some(live) = pool.get(cx).await? {
            if !args.adopt {
                return Err(exists_already(&what(&pool.id), pool.id.as_str()));
            }
            tell_adoption(cx, &what(&pool.id), &pool.pending(cx, args, &live).await?).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: AgentPoolArgs,
    ) -> Result<Created<AgentPoolState>, Error> {
        let cluster = parse_id(&args.cluster_id, CLUSTER, CLUSTER_EXAMPLE)?;
        let session = open(cx, cluster.subscription_id(), args.tenant_id.as_deref()).await?;
        let pool = Pool::at(&session, cluster.child("agentPools", &args.name));
        let id = pool.id.to_string();
        let found = match pool.get(cx).await? {
            Some(live) if !args.adopt && !is_leaving(&live) => {
                return Err(exists_already(&what(&pool.id), &id));
            }
            Some(live) => {
                let mut known = None;
                // A run that was killed may have begun to make it: it is part of the state at once, unless it cannot become what the
                // inputs say, as correcting them would then replace it.
                if is_being_made(&live) {
                    pool.pending(cx, &args, &live).await?;
                    known = Some(pool.state(&live));
                }
                calm(cx, &session, &pool.id, live, known).await?
            }
            None => None,
        };
        let state = match found {
            Some(live) => {
                let changes = pool.pending(cx, &args, &live).await?;
                cx.checkpoint(&id, &pool.state(&live));
                let state = pool.converge(cx, &args, live).await?;
                tell_adoption(cx, &what(&pool.id), &changes).await;
                state
            }
            None => pool.make(cx, &args).await?,
        };
        Ok(Created { id, state })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let id = parse_id(id, POOL, EXAMPLE)?;
        let args = prior.and_then(|p| p.args);
        let tenant = args.as_ref().and_then(|a| a.tenant_id.as_deref());
        let session = open(cx, id.subscription_id(), tenant).await?;
        let pool = Pool::at(&session, id);
        let Some(live) = pool.get(cx).await? else {
            return Ok(None);
        };
        let state = pool.state(&live);
        let follows = match &args {
            Some(args) => {
                args.kubernetes_version.is_some() && pool.wanted(cx, args, &live).await?.is_none()
            }
            None => false,
        };
        let mut found = Observed::new(observed(&pool, args.as_ref(), &live, follows)?, state);
        found.problems.extend(problem(&live, &what(&pool.id)));
        Ok(Some(found))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: AgentPoolArgs,
    ) -> Result<AgentPoolState, Error> {
        let id = parse_id(id, POOL, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let pool = Pool::at(&session, id);
        if let Some(pending) = old.state.and_then(|state| state.pending_operation) {
            let job = Job::quiet(cx);
            session.arm.resumed(&job, &pool.id, API, &pending).await?;
        }
        let Some(live) = pool.settled(cx).await? else {
            return Err(gone(&what(&pool.id)));
        };
        pool.converge(cx, &args, live).await
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        let id = parse_id(id, POOL, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let pool = Pool::at(&session, id);
        if pool.settled(cx).await?.is_none() {
            return Ok(());
        }
        let mut write = Write::new(&pool.id, API, None).while_busy(&pool.cluster);
        if args.ignore_disruption_budgets {
            write.query = &[("ignore-pod-disruption-budget", "true")];
        }
        session.arm.delete(&Job::quiet(cx), &write).await?;
        Ok(())
    }
}

/// The inputs that would produce what is there. `follows`: automatic upgrades have brought a newer version than the inputs name.
fn observed(
    pool: &Pool<'_>,
    prior: Option<&AgentPoolArgs>,
    live: &Value,
    follows: bool,
) -> Result<AgentPoolArgs, Error> {
    let said = prior
        .map(serde_json::to_value)
        .transpose()
        .map_err(|error| Error::Bug(format!("the inputs of a pool: {error}")))?;
    let properties = properties(live);
    let mut inputs = observe(&pool_settings(false), said.as_ref(), &properties);
    observe_sizes(&mut inputs, said.as_ref(), &properties, false);
    let running = pool_version(&properties);
    let shown = match prior.map(|args| args.kubernetes_version.as_deref()) {
        Some(Some(said)) => match running {
            Some(running) if !follows && !satisfied(said, &running) => Some(running),
            _ => Some(said.to_owned()),
        },
        Some(None) => None,
        None => text(&properties, &["orchestratorVersion"]),
    };
    let mut insert = |key: &str, value: Value| inputs.insert(key.to_owned(), value);
    insert(
        "clusterId",
        prior
            .map_or_else(|| pool.cluster.to_string(), |a| a.cluster_id.clone())
            .into(),
    );
    insert("name", pool.id.name().into());
    insert("kubernetesVersion", shown.into());
    let tags = observed_tags(
        pool.session,
        &Pool::tags(live),
        prior.map(|args| args.tags.as_ref()),
    );
    insert("tags", json!(tags));
    insert(
        "ignoreDisruptionBudgets",
        prior.is_some_and(|a| a.ignore_disruption_budgets).into(),
    );
    insert("adopt", prior.is_none_or(|a| a.adopt).into());
    insert("tenantId", json!(prior.and_then(|a| a.tenant_id.clone())));
    args_of(&pool.id, inputs)
}
