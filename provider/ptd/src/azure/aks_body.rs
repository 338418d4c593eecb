//! What is sent to create and to change clusters.

use azure_core::time::parse_rfc3339;
use serde_json::{Map, Value, json};

use super::aks_check::in_place;
use super::aks_pool_body::{pool_as_read, pool_creation};
use super::aks_settings::{Setting, differing, find, put, put_tags, remove, sendable, write};
use super::aks_tables::{CLUSTER_SETTINGS, CLUSTER_SHAPE, ROTATION_SETTINGS, SYSTEM_POOL};
use super::aks_version::{Step, ahead, brings_minors, compatible, step};

const ADDON: &[&str] = &["properties", "addonProfiles"];

/// The body that creates a cluster.
pub(super) fn cluster_creation(inputs: &Value, tenant: &str, tags: &Map<String, Value>) -> Value {
    let text = |name: &str| inputs.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut body = json!({
        "location": text("location"),
        "identity": {"type": "SystemAssigned"},
        "sku": {"name": "Base"},
        "properties": {
            "kubernetesVersion": text("kubernetesVersion"),
            "servicePrincipalProfile": {"clientId": "msi"},
            "aadProfile": {"managed": true, "tenantID": tenant},
            "oidcIssuerProfile": {"enabled": true},
        },
    });
    write(CLUSTER_SHAPE, &Value::Null, &mut body, true);
    write(CLUSTER_SETTINGS, inputs, &mut body, true);
    if inputs
        .get("secretsProvider")
        .and_then(Value::as_bool)
        .unwrap_or(true)
    {
        write(ROTATION_SETTINGS, &rotation_inputs(inputs), &mut body, true);
    }
    if inputs.get("privateCluster").and_then(Value::as_bool) == Some(false) {
        // Neither means anything to a public cluster.
        for key in ["enablePrivateClusterPublicFQDN", "privateDNSZone"] {
            remove(&mut body, &["properties", "apiServerAccessProfile", key]);
        }
    }
    if let Some(until) = forced_until(inputs) {
        put(
            &mut body,
            OVERRIDE,
            json!({"forceUpgrade": true, "until": until}),
        );
    }
    if !tags.is_empty() {
        put(&mut body, &["tags"], Value::Object(tags.clone()));
    }
    let system = inputs.get("systemPool").cloned().unwrap_or_default();
    let mut pool = pool_creation(
        &system_inputs(&system),
        text("kubernetesVersion"),
        false,
        tags,
    );
    put(&mut pool, &["name"], SYSTEM_POOL.into());
    put(
        &mut body,
        &["properties", "agentPoolProfiles"],
        json!([pool]),
    );
    body
}

const OVERRIDE: &[&str] = &["properties", "upgradeSettings", "overrideSettings"];

/// The switch for rotation is a word in Azure's model.
pub(super) fn rotation_inputs(inputs: &Value) -> Value {
    let rotation = inputs
        .get("secretRotation")
        .and_then(Value::as_bool)
        .map(|on| on.to_string());
    json!({"secretRotation": rotation, "secretRotationInterval": inputs.get("secretRotationInterval")})
}

/// The inputs of the system pool in the terms of a pool's.
pub(super) fn system_inputs(system: &Value) -> Value {
    let mut inputs = json!({
        "mode": "System",
        "count": 2,
        "minCount": 2,
        "maxCount": 5,
        "osDiskSizeGb": 128,
        "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"],
    });
    for (key, value) in system.as_object().into_iter().flatten() {
        if !value.is_null() {
            put(&mut inputs, &[key.as_str()], value.clone());
        }
    }
    inputs
}

fn forced_until(inputs: &Value) -> Option<String> {
    let forced = inputs
        .get("forceUpgrade")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let until = inputs.get("forceUpgradeUntil").and_then(Value::as_str);
    forced.then(|| until.unwrap_or(FOREVER).to_owned())
}

/// Until when forced upgrades hold where nothing is said: a fixed day, so that two runs want the same.
pub(super) const FOREVER: &str = "2035-01-01T00:00:00Z";

/// Whether two texts name the same moment, however they spell it.
fn same_moment(one: &str, other: &str) -> bool {
    match (parse_rfc3339(one), parse_rfc3339(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// What an update of a cluster would send.
#[derive(Debug)]
pub(super) struct ClusterUpdate {
    /// The whole model: what is there, with the changes.
    pub body: Value,
    /// The inputs whose values change.
    pub changed: Vec<&'static str>,
    /// What cannot be changed, and is not as the inputs say.
    pub stuck: Vec<&'static str>,
}

/// A cluster as it is, made ready to be sent back: nothing that only the service sets.
fn as_read(live: &Value) -> Value {
    let mut body = sendable(live.clone());
    for output in ["id", "name", "type", "systemData", "eTag"] {
        remove(&mut body, &[output]);
    }
    for output in [
        "provisioningState",
        "powerState",
        "status",
        "currentKubernetesVersion",
    ] {
        remove(&mut body, &["properties", output]);
    }
    if let Some(Value::Array(pools)) = body.pointer_mut("/properties/agentPoolProfiles") {
        for pool in pools {
            *pool = pool_as_read(pool);
        }
    }
    body
}

/// Lays the inputs over what is there. What others manage, and all pools, go back as they were read.
pub(super) fn cluster_update(
    inputs: &Value,
    tenant: &str,
    tags: &Map<String, Value>,
    live: &Value,
) -> Result<ClusterUpdate, String> {
    let provider = inputs
        .get("secretsProvider")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    let public = inputs.get("privateCluster").and_then(Value::as_bool) == Some(false);
    let relevant = |setting: &Setting| {
        !(public && matches!(setting.input, "privateClusterPublicFqdn" | "privateDnsZone"))
    };
    let table: Vec<Setting> = CLUSTER_SETTINGS.iter().copied().filter(relevant).collect();
    let found = differing(&table, inputs, live);
    let (moving, stuck): (Vec<Setting>, Vec<Setting>) = found
        .into_iter()
        .partition(|s| !s.fixed && s.moves(inputs, live, in_place));
    let stuck = stuck.iter().map(|s| s.input).collect();
    let mut changed: Vec<&'static str> = moving.iter().map(|s| s.input).collect();
    let mut body = as_read(live);
    write(&table, inputs, &mut body, false);
    if provider {
        let inputs = rotation_inputs(inputs);
        changed.extend(
            differing(ROTATION_SETTINGS, &inputs, live)
                .iter()
                .map(|s| s.input),
        );
        write(ROTATION_SETTINGS, &inputs, &mut body, false);
    }
    if find(live, ADDON).is_none() && !provider {
        remove(&mut body, ADDON);
    }
    let wanted = inputs
        .get("kubernetesVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let channel = inputs.get("upgradeChannel").and_then(Value::as_str);
    if upgrade(wanted, live, brings_minors(channel))? == Step::Upgrade {
        put(
            &mut body,
            &["properties", "kubernetesVersion"],
            wanted.into(),
        );
        changed.push("kubernetesVersion");
    }
    put(
        &mut body,
        &["properties", "aadProfile", "managed"],
        true.into(),
    );
    if find(live, &["properties", "aadProfile", "tenantID"]).is_none_or(Value::is_null) {
        put(
            &mut body,
            &["properties", "aadProfile", "tenantID"],
            tenant.into(),
        );
    }
    if find(live, &["properties", "oidcIssuerProfile", "enabled"]) != Some(&Value::Bool(true)) {
        put(
            &mut body,
            &["properties", "oidcIssuerProfile", "enabled"],
            true.into(),
        );
        changed.push("oidcIssuer");
    }
    force(inputs, live, &mut body, &mut changed);
    let outbound =
        find(&body, &["properties", "networkProfile", "outboundType"]).and_then(Value::as_str);
    if outbound.is_some_and(|outbound| !outbound.eq_ignore_ascii_case("loadBalancer")) {
        remove(
            &mut body,
            &["properties", "networkProfile", "loadBalancerProfile"],
        );
    }
    if put_tags(&mut body, live, tags) {
        changed.push("tags");
    }
    Ok(ClusterUpdate {
        body,
        changed,
        stuck,
    })
}

/// Switches forced upgrades on, or off again: leaving them out would leave them on.
fn force(inputs: &Value, live: &Value, body: &mut Value, changed: &mut Vec<&'static str>) {
    let on = find(live, OVERRIDE)
        .and_then(|o| o.get("forceUpgrade"))
        .and_then(Value::as_bool)
        == Some(true);
    let held = find(live, OVERRIDE)
        .and_then(|o| o.get("until"))
        .and_then(Value::as_str);
    match forced_until(inputs) {
        Some(until) if !on || !held.is_some_and(|held| same_moment(held, &until)) => {
            put(
                body,
                OVERRIDE,
                json!({"forceUpgrade": true, "until": until}),
            );
            changed.push("forceUpgrade");
        }
        None if on => {
            put(body, OVERRIDE, json!({"forceUpgrade": false}));
            changed.push("forceUpgrade");
        }
        _ => {}
    }
}

/// Whether forced upgrades are on, and until when, as inputs.
pub(super) fn observe_force(prior: Option<&Value>, live: &Value) -> (bool, Option<String>) {
    let settings = find(live, OVERRIDE);
    let on = settings
        .and_then(|o| o.get("forceUpgrade"))
        .and_then(Value::as_bool)
        == Some(true);
    let held = settings
        .and_then(|o| o.get("until"))
        .and_then(Value::as_str);
    let said = prior
        .and_then(|p| p.get("forceUpgradeUntil"))
        .and_then(Value::as_str);
    let until = match said {
        Some(said) if !on || held.is_some_and(|held| same_moment(held, said)) => {
            Some(said.to_owned())
        }
        _ => held
            .filter(|held| on && !same_moment(held, FOREVER))
            .map(str::to_owned),
    };
    (on, until)
}

/// Whether the control plane has to be upgraded; otherwise why it cannot be. `minors`: newer minor versions come by themselves.
fn upgrade(wanted: &str, live: &Value, minors: bool) -> Result<Step, String> {
    let properties = live.get("properties").cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let current = text(&properties, "currentKubernetesVersion")
        .or_else(|| text(&properties, "kubernetesVersion"));
    let Some(current) = current else {
        return Ok(Step::Upgrade);
    };
    if minors && ahead(wanted, &current) {
        return Ok(Step::Stay);
    }
    let found = step("the cluster", wanted, &current)?;
    if found == Step::Upgrade {
        for pool in properties
            .get("agentPoolProfiles")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = text(pool, "name").unwrap_or_default();
            let version = text(pool, "currentOrchestratorVersion")
                .or_else(|| text(pool, "orchestratorVersion"));
            compatible(&name, &version.unwrap_or_default(), wanted)?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_compared_as_such() {
        for same in [
            "2035-01-01T00:00:00+00:00",
            "2035-01-01T00:00:00.000Z",
            "2035-01-01T02:00:00+02:00",
        ] {
            assert!(same_moment(FOREVER, same), "{same}");
            let held = json!({"properties": {"upgradeSettings": {"overrideSettings": {"forceUpgrade": true, "until": same}}}});
            assert_eq!(observe_force(None, &held), (true, None), "{same}");
        }
        assert!(!same_moment(FOREVER, "2035-01-01T00:00:00+02:00"));
        assert!(same_moment("some day", "some day") && !same_moment("some day", FOREVER));
    }
}
