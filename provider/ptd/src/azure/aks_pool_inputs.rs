//! The inputs of pools that depend on each other: sizes and limits.

use serde_json::{Map, Value};

use super::aks_settings::Plain::{Text, Texts};
use super::aks_settings::{Setting, find, whole_numbers};
use super::aks_tables::POOL_SETTINGS;

/// The settings of a pool with the defaults of its kind.
pub(super) fn pool_settings(system: bool) -> Vec<Setting> {
    POOL_SETTINGS
        .iter()
        .map(|setting| match setting.input {
            "mode" if system => Setting {
                default: Text("System"),
                ..*setting
            },
            "nodeTaints" if system => Setting {
                default: Texts(&["CriticalAddonsOnly=true:NoSchedule"]),
                ..*setting
            },
            _ => *setting,
        })
        .collect()
}

/// Adds sizes and limits to the observed inputs. The number of nodes of a pool that scales by itself is nobody's input.
pub(super) fn observe_sizes(
    inputs: &mut Map<String, Value>,
    prior: Option<&Value>,
    live: &Value,
    system: bool,
) {
    let said = |key: &str| {
        prior
            .and_then(|p| p.get(key))
            .filter(|value| !value.is_null())
            .cloned()
    };
    let actual = |key: &str| whole_numbers(find(live, &[key]).cloned().unwrap_or_default());
    let scales = actual("enableAutoScaling") == Value::Bool(true);
    let least = said("minCount").and_then(|count| count.as_i64());
    let count = if system { 2 } else { least.unwrap_or(1) };
    let defaults: [(&str, &str, Option<i64>); 4] = [
        ("count", "count", Some(count)),
        ("minCount", "minCount", system.then_some(2)),
        ("maxCount", "maxCount", system.then_some(5)),
        (
            "osDiskSizeGb",
            "osDiskSizeGB",
            Some(if system { 128 } else { 256 }),
        ),
    ];
    for (input, key, default) in defaults {
        let (said, actual) = (said(input), actual(key));
        let idle = match input {
            "count" => scales,
            "osDiskSizeGb" => said == Some(0.into()),
            _ => !scales,
        };
        let shown = if idle {
            said
        } else if said.is_none() && actual.as_i64() == default {
            None
        } else {
            Some(actual).filter(|value| !value.is_null())
        };
        match shown {
            Some(value) => inputs.insert(input.to_owned(), value),
            None => inputs.remove(input),
        };
    }
}
