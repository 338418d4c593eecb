//! What is sent to create and to change agent pools.

use serde_json::{Map, Value};

use super::aks_settings::{differing, find, put, put_tags, remove, sendable, whole_numbers, write};
use super::aks_tables::{POOL_SETTINGS, POOL_SHAPE, USER_POOL_SHAPE};
use super::aks_version::satisfied;
use super::common::text;

/// The properties of a pool that does not exist yet.
pub(super) fn pool_creation(
    inputs: &Value,
    version: &str,
    ssh: bool,
    tags: &Map<String, Value>,
) -> Value {
    let mut model = Value::Null;
    write(POOL_SHAPE, &Value::Null, &mut model, true);
    write(POOL_SETTINGS, inputs, &mut model, true);
    put(&mut model, &["orchestratorVersion"], version.into());
    if let Some(size) = inputs.get("osDiskSizeGb").filter(|size| !size.is_null()) {
        put(&mut model, &["osDiskSizeGB"], size.clone());
    }
    if ssh {
        write(USER_POOL_SHAPE, &Value::Null, &mut model, true);
    }
    if !tags.is_empty() {
        put(&mut model, &["tags"], Value::Object(tags.clone()));
    }
    let scaling = scales(inputs);
    put(&mut model, &["count"], initial_count(inputs));
    if scaling {
        for (input, key) in [("minCount", "minCount"), ("maxCount", "maxCount")] {
            put(
                &mut model,
                &[key],
                inputs.get(input).cloned().unwrap_or_default(),
            );
        }
    }
    for key in ["nodeTaints", "nodeLabels"] {
        let empty = model.get(key).is_none_or(|value| {
            value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(Map::is_empty)
        });
        if empty {
            remove(&mut model, &[key]);
        }
    }
    model
}

fn scales(inputs: &Value) -> bool {
    inputs
        .get("autoScaling")
        .and_then(Value::as_bool)
        .unwrap_or(true)
}

fn initial_count(inputs: &Value) -> Value {
    ["count", "minCount"]
        .iter()
        .filter_map(|input| inputs.get(*input))
        .find(|value| !value.is_null())
        .cloned()
        .unwrap_or_else(|| 1.into())
}

/// A pool's properties as they are, made ready to be sent back: nothing that only the service sets.
pub(super) fn pool_as_read(live: &Value) -> Value {
    let mut model = sendable(live.clone());
    for output in [
        "provisioningState",
        "currentOrchestratorVersion",
        "nodeImageVersion",
        "powerState",
        "eTag",
        "status",
    ] {
        remove(&mut model, &[output]);
    }
    model
}

/// The version that the nodes of a pool run. What was sent as `1.30` stays that, whatever runs.
pub(super) fn pool_version(live: &Value) -> Option<String> {
    text(live, &["currentOrchestratorVersion"]).or_else(|| text(live, &["orchestratorVersion"]))
}

/// What an update of a pool sends, and which inputs it changes. The size of a pool that scales by itself stays as it is.
pub(super) fn pool_update(
    inputs: &Value,
    version: Option<&str>,
    tags: &Map<String, Value>,
    live: &Value,
) -> (Value, Vec<&'static str>) {
    let mut changed: Vec<&'static str> = differing(POOL_SETTINGS, inputs, live)
        .iter()
        .filter(|setting| !setting.fixed)
        .map(|setting| setting.input)
        .collect();
    let mut model = pool_as_read(live);
    write(POOL_SETTINGS, inputs, &mut model, false);
    if let Some(version) = version
        && !satisfied(version, &pool_version(live).unwrap_or_default())
    {
        put(&mut model, &["orchestratorVersion"], version.into());
        changed.push("kubernetesVersion");
    }
    if scales(inputs) {
        for (input, key) in [("minCount", "minCount"), ("maxCount", "maxCount")] {
            let wanted = inputs.get(input).cloned().unwrap_or_default();
            if whole_numbers(live.get(key).cloned().unwrap_or_default()) != wanted {
                changed.push(input);
            }
            put(&mut model, &[key], wanted);
        }
        // A size beyond changed limits is refused; the autoscaler would bring it there as well.
        let size = |key: &str| model.get(key).and_then(Value::as_i64);
        if let (Some(count), Some(least), Some(most)) =
            (size("count"), size("minCount"), size("maxCount"))
        {
            put(&mut model, &["count"], count.max(least).min(most).into());
        }
    } else {
        // The service refuses limits where nothing scales.
        for key in ["minCount", "maxCount"] {
            remove(&mut model, &[key]);
        }
        let wanted = initial_count(inputs);
        if whole_numbers(live.get("count").cloned().unwrap_or_default()) != wanted {
            changed.push("count");
        }
        put(&mut model, &["count"], wanted);
    }
    if put_tags(&mut model, live, tags) {
        changed.push("tags");
    }
    (model, changed)
}

/// What an update cannot change about a pool, by input.
pub(super) fn pool_stuck(inputs: &Value, live: &Value) -> Vec<&'static str> {
    let mut stuck: Vec<&'static str> = differing(POOL_SETTINGS, inputs, live)
        .iter()
        .filter(|setting| setting.fixed)
        .map(|setting| setting.input)
        .collect();
    let wanted = inputs
        .get("osDiskSizeGb")
        .and_then(Value::as_i64)
        .filter(|size| *size != 0);
    let actual = find(live, &["osDiskSizeGB"])
        .cloned()
        .map(whole_numbers)
        .and_then(|v| v.as_i64());
    if let (Some(wanted), Some(actual)) = (wanted, actual)
        && wanted != actual
    {
        stuck.push("osDiskSizeGb");
    }
    stuck
}
