//! What a cluster in Azure says of the inputs that would produce it.

use pulumi_provider::Error;
use serde_json::{Value, json};

use super::aks_body::observe_force;
use super::aks_cluster::{AksClusterArgs, args_of, keep_case};
use super::aks_live::{Cluster, system_pool_of};
use super::aks_pool_inputs::{observe_sizes, pool_settings};
use super::aks_settings::observe;
use super::aks_tables::{CLUSTER_SETTINGS, ROTATION_SETTINGS};
use super::aks_version::{ahead, brings_minors, satisfied};
use super::arm::region;
use super::common::{flag, observed_tags, tags_of, text};

impl Cluster<'_> {
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
        // What was sent as 1.30 stays that, whatever runs.
        let current = text(live, &["properties", "currentKubernetesVersion"]);
        let current = current.as_deref().unwrap_or(&version);
        let reached = |args: &AksClusterArgs| {
            let wanted = &args.kubernetes_version;
            satisfied(wanted, current)
                || brings_minors(args.upgrade_channel.as_deref()) && ahead(wanted, current)
        };
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
                Some(args) if reached(args) => args.kubernetes_version.clone().into(),
                Some(_) => current.into(),
                None => version.into(),
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
}
