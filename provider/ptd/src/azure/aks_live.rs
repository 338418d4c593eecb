//! A cluster as it is in Azure: read, brought to what it should be, deleted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pulumi_provider::{Context, Error, Secret};
use serde_json::{Map, Value, json};

use super::aks_body::{
    ClusterUpdate, cluster_creation, cluster_update, observe_force, system_inputs,
};
use super::aks_cluster::{AksClusterArgs, AksClusterState, AksIdentity, args_of, keep_case, what};
use super::aks_pool_body::{pool_stuck, pool_update};
use super::aks_pool_inputs::{observe_sizes, pool_settings};
use super::aks_settings::observe;
use super::aks_tables::{API, CLUSTER_SETTINGS, ROTATION_SETTINGS, SYSTEM_POOL};
use super::aks_version::satisfied;
use super::arm::{Job, PendingOperation, ResourceId, Write, region, state_of};
use super::clients::AzureSession;
use super::common::{at, elsewhere, flag, observed_tags, tags_of, text, wanted_tags};
use super::names::Tags;
use crate::Ptd;

/// How often an update is put together anew because somebody else changed the cluster meanwhile.
const REDO: u32 = 5;

/// A cluster in a subscription.
pub(super) struct Cluster<'a> {
    session: &'a AzureSession,
    /// Its id.
    pub id: ResourceId,
}

/// Whether a cluster can be asked for credentials.
pub(super) fn is_usable(live: &Value) -> bool {
    state_of(live).is_none_or(|state| {
        !state.word.eq_ignore_ascii_case("creating") && !state.word.eq_ignore_ascii_case("deleting")
    })
}

/// What keeps a cluster or pool from being as it should, in its own words.
pub(super) fn problem(live: &Value, what: &str) -> Option<String> {
    let state = state_of(live).filter(super::arm::State::is_bad)?;
    Some(format!(
        "the last operation on {what} ended as {}; the next update repairs it",
        state.word
    ))
}

/// Tags as part of a model.
pub(super) fn tag_map(tags: &Tags) -> Map<String, Value> {
    tags.iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect()
}

/// The refusal to change what only a replacement could.
pub(super) fn stuck(what: &str, inputs: &[&str], next: &str) -> Error {
    Error::refused(
        format!("{what} cannot be changed in {}", inputs.join(", ")),
        next,
    )
}

fn identity(value: Option<&Value>) -> Option<AksIdentity> {
    let value = value?;
    let part = |key| text(value, &[key]);
    Some(AksIdentity {
        client_id: part("clientId"),
        object_id: part("objectId"),
        resource_id: part("resourceId"),
    })
}

impl<'a> Cluster<'a> {
    /// The cluster that the inputs name.
    pub(super) fn named(session: &'a AzureSession, args: &AksClusterArgs) -> Self {
        let group = session.group(&args.resource_group_name);
        Self::at(
            session,
            group.provider("Microsoft.ContainerService", "managedClusters", &args.name),
        )
    }

    /// The cluster of an id.
    pub(super) fn at(session: &'a AzureSession, id: ResourceId) -> Self {
        Self { session, id }
    }

    pub(super) async fn get(&self, cx: &Context<Ptd>) -> Result<Option<Value>, Error> {
        Ok(self.session.arm.get(cx, &self.id, API).await?)
    }

    /// The cluster once nothing is at work on it.
    pub(super) async fn settled(&self, cx: &Context<Ptd>) -> Result<Option<Value>, Error> {
        let Some(live) = self.get(cx).await? else {
            return Ok(None);
        };
        let accepted = self.keeper(cx);
        let job = Job {
            run: cx,
            accepted: &accepted,
        };
        Ok(self.session.arm.settled(&job, &self.id, API, live).await?)
    }

    /// The cluster once what an earlier run started has ended, and nothing else is at work on it.
    pub(super) async fn resumed(
        &self,
        cx: &Context<Ptd>,
        pending: Option<&PendingOperation>,
    ) -> Result<Option<Value>, Error> {
        if let Some(pending) = pending {
            let job = Job::quiet(cx);
            self.session
                .arm
                .resumed(&job, &self.id, API, pending)
                .await?;
        }
        self.settled(cx).await
    }

    /// Keeps in the state what Azure has taken on.
    fn keeper<'c>(
        &'c self,
        cx: &'c Context<Ptd>,
    ) -> impl Fn(Option<&PendingOperation>) + Send + Sync + 'c {
        move |operation| {
            let mut state = self.bare_state();
            state.pending_operation = operation.cloned();
            cx.checkpoint(self.id.as_str(), &state);
        }
    }

    fn bare_state(&self) -> AksClusterState {
        AksClusterState {
            arm_id: self.id.to_string(),
            subscription_id: self.session.subscription.clone(),
            tenant_id: self.session.tenant.clone(),
            ..AksClusterState::default()
        }
    }

    /// The outputs that the cluster itself tells.
    pub(super) fn state(&self, live: &Value) -> AksClusterState {
        let property = |path: &[&str]| at(live, &["properties"]).and_then(|p| text(p, path));
        let addon = super::aks_settings::find(
            live,
            &[
                "properties",
                "addonProfiles",
                "azureKeyvaultSecretsProvider",
                "identity",
            ],
        );
        AksClusterState {
            fqdn: property(&["fqdn"]),
            private_fqdn: property(&["privateFQDN"]),
            azure_portal_fqdn: property(&["azurePortalFQDN"]),
            node_resource_group: property(&["nodeResourceGroup"]),
            current_kubernetes_version: property(&["currentKubernetesVersion"]),
            oidc_issuer_url: property(&["oidcIssuerProfile", "issuerURL"]),
            principal_id: text(live, &["identity", "principalId"]),
            kubelet_identity: identity(at(
                live,
                &["properties", "identityProfile", "kubeletidentity"],
            )),
            secrets_provider_identity: identity(addon.filter(|value| value.is_object())),
            power_state: property(&["powerState", "code"]),
            tags_all: self.session.tags.visible(&tags_of(live)),
            ..self.bare_state()
        }
    }

    /// Adds the kubeconfigs to the outputs.
    pub(super) async fn credentials(
        &self,
        cx: &Context<Ptd>,
        live: &Value,
        state: &mut AksClusterState,
    ) -> Result<(), Error> {
        state.kubeconfig = self.kubeconfig(cx, "listClusterUserCredential").await?;
        // With local accounts off Azure refuses to tell, and what it would tell is of no use.
        if flag(live, &["properties", "disableLocalAccounts"]) == Some(false) {
            state.admin_kubeconfig = self.kubeconfig(cx, "listClusterAdminCredential").await?;
        }
        Ok(())
    }

    async fn kubeconfig(
        &self,
        cx: &Context<Ptd>,
        action: &str,
    ) -> Result<Option<Secret<String>>, Error> {
        let answer = match self
            .session
            .arm
            .query(cx, &self.id, action, API, None)
            .await
        {
            Ok(answer) => answer,
            Err(error) if error.is_code(&["AuthorizationFailed"]) => {
                cx.warn(format!(
                    "the credentials may not read a kubeconfig of {} ({action}): that output stays empty",
                    what(self.id.name())
                ))
                .await;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let value = answer
            .pointer("/kubeconfigs/0/value")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let text = STANDARD
            .decode(value)
            .ok()
            .and_then(|raw| String::from_utf8(raw).ok());
        match text.filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(Secret::new(text))),
            None => Err(Error::refused(
                format!("{} gave no kubeconfig ({action})", what(self.id.name())),
                "Try again; `az aks get-credentials` tells whether Azure gives one",
            )),
        }
    }

    /// Makes the cluster.
    pub(super) async fn make(
        &self,
        cx: &Context<Ptd>,
        args: &AksClusterArgs,
    ) -> Result<AksClusterState, Error> {
        let tags = wanted_tags(self.session, &Tags::new(), args.tags.as_ref());
        let tenant = args.tenant_id.as_deref().unwrap_or(&self.session.tenant);
        let body = cluster_creation(&args.inputs()?, tenant, &tag_map(&tags));
        let accepted = self.keeper(cx);
        let job = Job {
            run: cx,
            accepted: &accepted,
        };
        let write = Write::new(&self.id, API, Some(&body)).while_busy(&self.id);
        let live = self.session.arm.put(&job, &write).await?;
        self.finished(cx, &live).await
    }

    async fn finished(&self, cx: &Context<Ptd>, live: &Value) -> Result<AksClusterState, Error> {
        let mut state = self.state(live);
        cx.checkpoint(self.id.as_str(), &state);
        self.credentials(cx, live, &mut state).await?;
        Ok(state)
    }

    fn update(&self, args: &AksClusterArgs, live: &Value) -> Result<ClusterUpdate, Error> {
        let actual = region(&text(live, &["location"]).unwrap_or_default());
        if let Some(wanted) = &args.location
            && actual != region(wanted)
        {
            return Err(elsewhere(&what(&args.name), &actual, wanted));
        }
        let tags = wanted_tags(self.session, &tags_of(live), args.tags.as_ref());
        let tenant = args.tenant_id.as_deref().unwrap_or(&self.session.tenant);
        let update =
            cluster_update(&args.inputs()?, tenant, &tag_map(&tags), live).map_err(|problem| {
                Error::refused(problem, "Correct kubernetesVersion; nothing was changed")
            })?;
        if update.stuck.is_empty() {
            Ok(update)
        } else {
            let next = "Say in the inputs what the cluster has, or replace it (`pulumi up --replace <urn>`)";
            Err(stuck(&what(&args.name), &update.stuck, next))
        }
    }

    fn system_pool(
        &self,
        args: &AksClusterArgs,
        live: &Value,
    ) -> Result<(Value, Vec<&'static str>), Error> {
        let Some(pool) = system_pool_of(live) else {
            return Err(Error::refused(
                format!("{} has no pool called {SYSTEM_POOL}", what(&args.name)),
                "Only clusters whose system pool has that name can be managed",
            ));
        };
        let system = serde_json::to_value(&args.system_pool)
            .map_err(|error| Error::Bug(format!("the inputs of a system pool: {error}")))?;
        let inputs = system_inputs(&system);
        let fixed = pool_stuck(&inputs, pool);
        if !fixed.is_empty() {
            let next = "Say in systemPool what the pool has, or add a system pool under another name with AgentPool (mode System)";
            return Err(stuck(
                &format!("the system pool of {}", what(&args.name)),
                &fixed,
                next,
            ));
        }
        let held = pool
            .get("tags")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let held: Tags = held
            .into_iter()
            .filter_map(|(k, v)| Some((k, v.as_str()?.to_owned())))
            .collect();
        let tags = wanted_tags(self.session, &held, args.tags.as_ref());
        Ok(pool_update(
            &inputs,
            Some(&args.kubernetes_version),
            &tag_map(&tags),
            pool,
        ))
    }

    /// What about an existing cluster would change.
    pub(super) fn pending(
        &self,
        args: &AksClusterArgs,
        live: &Value,
    ) -> Result<Vec<&'static str>, Error> {
        let mut changed = self.update(args, live)?.changed;
        if !self.system_pool(args, live)?.1.is_empty() {
            changed.push("systemPool");
        }
        Ok(changed)
    }

    /// Brings the cluster to what it should be: the control plane first, then the system pool.
    pub(super) async fn converge(
        &self,
        cx: &Context<Ptd>,
        args: &AksClusterArgs,
        live: Value,
    ) -> Result<AksClusterState, Error> {
        let live = self.converge_cluster(cx, args, live).await?;
        let (body, changed) = self.system_pool(args, &live)?;
        if changed.is_empty() {
            return self.finished(cx, &live).await;
        }
        self.running(&live)?;
        let id = self.id.child("agentPools", SYSTEM_POOL);
        let mut body = body;
        super::aks_settings::remove(&mut body, &["name"]);
        let body = json!({ "properties": body });
        let write = Write::new(&id, API, Some(&body)).while_busy(&self.id);
        self.session.arm.put(&Job::quiet(cx), &write).await?;
        match self.get(cx).await? {
            Some(live) => self.finished(cx, &live).await,
            None => Err(super::common::gone(&what(&args.name))),
        }
    }

    async fn converge_cluster(
        &self,
        cx: &Context<Ptd>,
        args: &AksClusterArgs,
        mut live: Value,
    ) -> Result<Value, Error> {
        let accepted = |operation: Option<&PendingOperation>| {
            let mut state = self.state(&live);
            state.pending_operation = operation.cloned();
            cx.checkpoint(self.id.as_str(), &state);
        };
        let mut fresh = None;
        for attempt in 0.. {
            let live = fresh.as_ref().unwrap_or(&live);
            let update = self.update(args, live)?;
            // The same model again repairs what failed.
            let failed = state_of(live).is_some_and(|state| state.is_bad());
            if update.changed.is_empty() && !failed {
                break;
            }
            self.running(live)?;
            let job = Job {
                run: cx,
                accepted: &accepted,
            };
            let etag = text(live, &["eTag"]);
            let tags_only = update.changed == ["tags"] && !failed;
            let body = if tags_only {
                json!({ "tags": update.body["tags"] })
            } else {
                update.body
            };
            let mut write = Write::new(&self.id, API, Some(&body)).while_busy(&self.id);
            write.if_match = etag.as_deref();
            let end = if tags_only {
                self.session.arm.patch(&job, &write).await
            } else {
                self.session.arm.put(&job, &write).await
            };
            match end {
                Ok(changed) => {
                    fresh = Some(changed);
                    break;
                }
                Err(error) if error.status() == Some(412) && attempt < REDO => {
                    let Some(again) = self.settled(cx).await? else {
                        return Err(super::common::gone(&what(&args.name)));
                    };
                    fresh = Some(again);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(fresh) = fresh {
            live = fresh;
        }
        Ok(live)
    }

    /// A stopped cluster refuses nearly everything.
    fn running(&self, live: &Value) -> Result<(), Error> {
        let power = text(live, &["properties", "powerState", "code"]).unwrap_or_default();
        if power.eq_ignore_ascii_case("stopped") {
            return Err(Error::refused(
                format!("{} is stopped and cannot be changed", what(self.id.name())),
                format!("Start it first: az aks start --ids {}", self.id),
            ));
        }
        Ok(())
    }

    /// The inputs that would produce what is there.
    pub(super) fn observe(
        &self,
        prior: Option<&AksClusterArgs>,
        live: &Value,
    ) -> Result<AksClusterArgs, Error> {
        let said = prior
            .map(serde_json::to_value)
            .transpose()
            .map_err(|error| Error::Bug(format!("the inputs of a cluster: {error}")))?;
        let mut inputs = observe(CLUSTER_SETTINGS, said.as_ref(), live);
        let name = text(live, &["name"]).unwrap_or_else(|| self.id.name().to_owned());
        if said.is_none()
            && inputs.get("dnsPrefix").and_then(Value::as_str) == Some(&format!("{name}-dns"))
        {
            inputs.remove("dnsPrefix");
        }
        let words = said.as_ref().map(super::aks_body::rotation_inputs);
        let on = inputs
            .get("secretsProvider")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        for (key, value) in observe(ROTATION_SETTINGS, words.as_ref(), live)
            .into_iter()
            .filter(|_| on)
        {
            let value = match value.as_str() {
                Some(word @ ("true" | "false")) if key == "secretRotation" => {
                    (word == "true").into()
                }
                _ => value,
            };
            inputs.insert(key, value);
        }
        if flag(
            live,
            &[
                "properties",
                "apiServerAccessProfile",
                "enablePrivateCluster",
            ],
        ) != Some(true)
        {
            for (key, said) in ["privateClusterPublicFqdn", "privateDnsZone"]
                .map(|key| (key, said.as_ref().and_then(|s| s.get(key))))
            {
                inputs.remove(key);
                if let Some(said) = said.filter(|value| !value.is_null()) {
                    inputs.insert(key.to_owned(), said.clone());
                }
            }
        }
        let group = self.id.group_name().unwrap_or_default();
        let version = text(live, &["properties", "kubernetesVersion"]).unwrap_or_default();
        let (forced, until) = observe_force(said.as_ref(), live);
        let tags = observed_tags(
            self.session,
            &tags_of(live),
            prior.map(|args| args.tags.as_ref()),
        );
        let system = system_pool_of(live).cloned().unwrap_or_default();
        let said_system = said.as_ref().and_then(|s| s.get("systemPool"));
        let mut pool = observe(&pool_settings(true), said_system, &system);
        observe_sizes(&mut pool, said_system, &system, true);
        pool.entry("vmSize").or_insert_with(|| "".into());
        let mut insert = |key: &str, value: Value| inputs.insert(key.to_owned(), value);
        insert(
            "name",
            keep_case(prior.map(|a| a.name.as_str()), &name).into(),
        );
        insert(
            "resourceGroupName",
            keep_case(prior.map(|a| a.resource_group_name.as_str()), group).into(),
        );
        insert(
            "location",
            text(live, &["location"]).map(|place| region(&place)).into(),
        );
        insert(
            "kubernetesVersion",
            match prior {
                Some(args) if satisfied(&args.kubernetes_version, &version) => {
                    args.kubernetes_version.clone().into()
                }
                _ => version.into(),
            },
        );
        insert("systemPool", Value::Object(pool));
        insert("forceUpgrade", forced.into());
        insert("forceUpgradeUntil", until.into());
        insert("allowDelete", prior.is_some_and(|a| a.allow_delete).into());
        insert("adopt", prior.is_none_or(|a| a.adopt).into());
        insert("tags", json!(tags));
        insert(
            "subscriptionId",
            json!(prior.and_then(|a| a.subscription_id.clone())),
        );
        insert("tenantId", json!(prior.and_then(|a| a.tenant_id.clone())));
        args_of(&self.id, inputs)
    }

    /// Deletes the cluster with all its pools.
    pub(super) async fn delete(&self, cx: &Context<Ptd>) -> Result<(), Error> {
        if self.settled(cx).await?.is_none() {
            return Ok(());
        }
        let write = Write::new(&self.id, API, None).while_busy(&self.id);
        self.session.arm.delete(&Job::quiet(cx), &write).await?;
        Ok(())
    }
}

fn system_pool_of(live: &Value) -> Option<&Value> {
    let pools = live.pointer("/properties/agentPoolProfiles")?.as_array()?;
    pools
        .iter()
        .find(|pool| text(pool, &["name"]).as_deref() == Some(SYSTEM_POOL))
}
