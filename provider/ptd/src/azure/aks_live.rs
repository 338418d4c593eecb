//! A cluster as it is in Azure: read, brought to what it should be, deleted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pulumi_provider::{Context, Error, Secret};
use serde_json::{Value, json};

use super::aks_body::{ClusterUpdate, cluster_creation, cluster_update, system_inputs};
use super::aks_cluster::{AksClusterArgs, AksClusterState, AksIdentity, what};
use super::aks_common::{REDO, calm, is_being_made, is_leaving, misfit, problem, stuck, tag_map};
use super::aks_pool_body::{pool_stuck, pool_update, pool_version};
use super::aks_settings::unlike;
use super::aks_tables::{API, CLUSTER_SHAPE, POOL_SHAPE, SYSTEM_POOL};
use super::aks_version::ahead;
use super::arm::{ArmError, Job, PendingOperation, ResourceId, Write, region, state_of};
use super::clients::AzureSession;
use super::common::{at, elsewhere, flag, kept, protect_kubeconfig, tags_of, text, wanted_tags};
use super::names::Tags;
use crate::Ptd;

/// A cluster in a subscription.
pub(super) struct Cluster<'a> {
    pub(super) session: &'a AzureSession,
    /// Its id.
    pub id: ResourceId,
    /// The kubeconfigs that the state has: for users, and with all rights.
    kubeconfigs: [Option<Secret<String>>; 2],
}

/// Whether a cluster can be asked for credentials.
pub(super) fn is_usable(live: &Value) -> bool {
    !is_being_made(live) && !is_leaving(live)
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
        Self {
            session,
            id,
            kubeconfigs: [None, None],
        }
    }

    /// With the kubeconfigs that the state has, which stay until there are others.
    pub(super) fn known(mut self, old: Option<&AksClusterState>) -> Self {
        self.kubeconfigs = [
            old.and_then(|state| state.kubeconfig.clone()),
            old.and_then(|state| state.admin_kubeconfig.clone()),
        ];
        self
    }

    pub(super) async fn get(&self, cx: &Context<Ptd>) -> Result<Option<Value>, Error> {
        Ok(self.session.arm.get(cx, &self.id, API).await?)
    }

    /// The cluster once nothing is at work on it.
    pub(super) async fn settled(&self, cx: &Context<Ptd>) -> Result<Option<Value>, Error> {
        let Some(live) = self.get(cx).await? else {
            return Ok(None);
        };
        // What is going away is no part of what this run made.
        let known = (!is_leaving(&live)).then(|| self.state(&live));
        calm(cx, self.session, &self.id, live, known).await
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

    fn bare_state(&self) -> AksClusterState {
        AksClusterState {
            arm_id: self.id.to_string(),
            subscription_id: self.session.subscription.clone(),
            tenant_id: self.session.tenant.clone(),
            ..AksClusterState::default()
        }
    }

    /// The outputs that the cluster itself tells, and the kubeconfigs that the state has.
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
            kubeconfig: self.kubeconfigs[0].clone(),
            admin_kubeconfig: self.kubeconfigs[1]
                .clone()
                .filter(|_| has_local_accounts(live)),
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
        if let Some(config) = self.kubeconfig(cx, "listClusterUserCredential").await? {
            state.kubeconfig = Some(config);
        }
        // With local accounts off Azure refuses to tell, and what it would tell is of no use.
        if has_local_accounts(live)
            && let Some(config) = self.kubeconfig(cx, "listClusterAdminCredential").await?
        {
            state.admin_kubeconfig = Some(config);
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
                    "the credentials may not read a kubeconfig of {} ({action}): that output stays empty, or as it was",
                    what(self.id.name())
                ))
                .await;
                return Ok(None);
            }
            // Local accounts were switched off a moment ago, or are off by policy.
            Err(error) if no_accounts(&error) => {
                return Err(error
                    .with_hint(
                        "The cluster's own accounts are off: log in through Entra with the output kubeconfig. An adminKubeconfig needs \
                         disableLocalAccounts to be false",
                    )
                    .into());
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
            Some(text) => {
                protect_kubeconfig(cx, value, &text);
                Ok(Some(Secret::new(text)))
            }
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
        let accepted = kept(cx, &self.id, self.bare_state());
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
        // A pool is newer than that only where automatic upgrades have brought its cluster further.
        let newer = pool_version(pool).is_some_and(|v| ahead(&args.kubernetes_version, &v));
        let version = Some(args.kubernetes_version.as_str()).filter(|_| !newer);
        let (body, mut changed) = pool_update(&inputs, version, &tag_map(&tags), pool);
        // For tags alone no node is worked on: they go along with the next change.
        if changed == ["tags"] {
            changed.clear();
        }
        Ok((body, changed))
    }

    /// What about an existing cluster would change that is to be adopted.
    pub(super) fn pending(
        &self,
        args: &AksClusterArgs,
        live: &Value,
    ) -> Result<Vec<&'static str>, Error> {
        let mut differs = unlike(&[CLUSTER_SHAPE], live);
        let tenant = args.tenant_id.as_deref().unwrap_or(&self.session.tenant);
        if text(live, &["properties", "aadProfile", "tenantID"])
            .is_some_and(|held| !held.eq_ignore_ascii_case(tenant))
        {
            differs.push("tenantID");
        }
        misfit(&what(&args.name), &differs)?;
        let system = system_pool_of(live).map_or(Vec::new(), |pool| unlike(&[POOL_SHAPE], pool));
        misfit(&format!("the system pool of {}", what(&args.name)), &system)?;
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
        let mut live = self.converge_cluster(cx, args, live).await?;
        let id = self.id.child("agentPools", SYSTEM_POOL);
        for attempt in 0.. {
            live = self.system_pool_settled(cx, &id, live).await?;
            let (mut body, changed) = self.system_pool(args, &live)?;
            if changed.is_empty() && system_problem(&live).is_none() {
                break;
            }
            self.running(&live)?;
            let etag = system_pool_of(&live).and_then(|pool| text(pool, &["eTag"]));
            super::aks_settings::remove(&mut body, &["name"]);
            let body = json!({ "properties": body });
            let mut write = Write::new(&id, API, Some(&body)).while_busy(&self.id);
            write.if_match = etag.as_deref();
            let accepted = kept(cx, &self.id, self.state(&live));
            let job = Job {
                run: cx,
                accepted: &accepted,
            };
            let end = self.session.arm.put(&job, &write).await;
            let changed_meanwhile = match end {
                Ok(_) => false,
                Err(error) if error.status() == Some(412) && attempt < REDO => true,
                Err(error) => return Err(error.into()),
            };
            live = self.still(cx, args).await?;
            if !changed_meanwhile {
                break;
            }
        }
        self.finished(cx, &live).await
    }

    /// The cluster, which has to be there.
    async fn still(&self, cx: &Context<Ptd>, args: &AksClusterArgs) -> Result<Value, Error> {
        self.settled(cx)
            .await?
            .ok_or_else(|| super::common::gone(&what(&args.name)))
    }

    /// The cluster once nothing is at work on its system pool either: that may be so while the cluster says that it is well.
    async fn system_pool_settled(
        &self,
        cx: &Context<Ptd>,
        id: &ResourceId,
        live: Value,
    ) -> Result<Value, Error> {
        let pool = json!({ "properties": system_pool_of(&live) });
        if state_of(&pool).is_none_or(|state| state.is_final()) {
            return Ok(live);
        }
        let accepted = kept(cx, &self.id, self.state(&live));
        let job = Job {
            run: cx,
            accepted: &accepted,
        };
        self.session.arm.settled(&job, id, API, pool).await?;
        self.get(cx)
            .await?
            .ok_or_else(|| super::common::gone(&what(self.id.name())))
    }

    async fn converge_cluster(
        &self,
        cx: &Context<Ptd>,
        args: &AksClusterArgs,
        mut live: Value,
    ) -> Result<Value, Error> {
        let accepted = kept(cx, &self.id, self.state(&live));
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
                    fresh = Some(self.still(cx, args).await?);
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

/// Whether a refusal says that the cluster has no accounts of its own.
fn no_accounts(error: &ArmError) -> bool {
    let text = error
        .refusal()
        .map(|refusal| refusal.message.to_lowercase());
    error.status() == Some(400) && text.is_some_and(|text| text.contains("static credential"))
}

/// Whether a cluster has accounts of its own.
fn has_local_accounts(live: &Value) -> bool {
    flag(live, &["properties", "disableLocalAccounts"]) == Some(false)
}

/// What keeps the system pool from being as it should.
pub(super) fn system_problem(live: &Value) -> Option<String> {
    let name = text(live, &["name"]).unwrap_or_default();
    let pool = json!({ "properties": system_pool_of(live) });
    problem(&pool, &format!("the system pool of {}", what(&name)))
}

pub(super) fn system_pool_of(live: &Value) -> Option<&Value> {
    let pools = live.pointer("/properties/agentPoolProfiles")?.as_array()?;
    pools
        .iter()
        .find(|pool| text(pool, &["name"]).as_deref() == Some(SYSTEM_POOL))
}
