//! What is known of a stack's outputs: recorded, and as a preview shows them.

use std::collections::BTreeMap;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use pulumi_automation::{Outcome, Update, is_masked, is_secret};
use pulumi_provider::{Marked, Prediction, PropertyMap, PropertyValue};
use serde_json::Value;

use super::args::{StackArgs, StackState};
use super::foreign::{hashed, without_references};

/// Outputs that a preview knows, each with whether it is secret.
pub(super) struct Known(BTreeMap<String, (bool, PropertyValue)>);

impl Known {
    /// Promises them.
    pub(super) fn promise(self, prediction: &mut Prediction) {
        let plain = self.0.iter().filter(|(_, (secret, _))| !secret);
        let plain = plain.map(|(name, (_, value))| (name.clone(), value.clone()));
        prediction.value("plainOutputs", PropertyValue::Map(plain.collect()));
        let all = self.0.into_iter().map(|(name, (_, value))| (name, value));
        prediction.value("outputs", PropertyValue::Map(all.collect()));
    }
}

/// All outputs as they are recorded.
pub(super) fn known(state: &StackState) -> Known {
    let each = state.outputs.iter();
    Known(
        each.map(|(name, value)| (name.clone(), (value.secret, marked(value))))
            .collect(),
    )
}

fn marked(value: &Marked<Value>) -> PropertyValue {
    pulumi_provider::to_value(value).unwrap_or(PropertyValue::UNKNOWN)
}

/// The outputs after an update that was only previewed: those that the preview leaves as they are. What a secret one becomes is not
/// told, nor one that names a secret, so that they are known only when nothing changes at all: no resource, and, as `steady` says,
/// nothing that the program may hand on. Of a program that was not run, nothing is known.
pub(super) fn foreseen(state: &StackState, outcome: &Outcome, steady: bool) -> Option<Known> {
    let quiet = steady && !state.pending && !outcome.changes.has_changes();
    let each = outcome.outputs.as_ref()?.iter().map(|(name, now)| {
        let same = |before: &&Marked<Value>| match (before.secret, is_secret(now)) {
            (_, false) if is_masked(now) => quiet,
            (false, false) => hashed(&before.value) == hashed(&without_references(now)),
            (before, now) => quiet && before && now,
        };
        let value = state.outputs.get(name).filter(same);
        let value = value.map_or(PropertyValue::UNKNOWN, marked);
        let secret = is_secret(now) || (is_masked(now) && value.is_secret());
        (name.clone(), (secret, value))
    });
    Some(Known(each.collect()))
}

/// The outputs that are not secret.
pub(super) fn plain(outputs: &BTreeMap<String, Marked<Value>>) -> BTreeMap<String, Value> {
    let plain = outputs.iter().filter(|(_, output)| !output.secret);
    plain
        .map(|(name, output)| (name.clone(), output.value.clone()))
        .collect()
}

fn all_resources(state: &Value) -> impl Iterator<Item = &Value> {
    let all = state
        .pointer("/deployment/resources")
        .and_then(Value::as_array);
    all.into_iter().flatten()
}

fn is_root(resource: &Value) -> bool {
    resource.get("type").and_then(Value::as_str) == Some("pulumi:pulumi:Stack")
}

/// Whether an exported state has anything that must be destroyed before the stack can be removed: default providers and what is
/// only read count too.
pub(super) fn holds_any(state: &Value) -> bool {
    all_resources(state).any(|resource| !is_root(resource))
}

/// The resources of an exported state, as the engine counts them: without the stack's own, default providers, and what is only read.
pub(super) fn resources(state: &Value) -> Vec<&str> {
    fn is_default(resource: &Value) -> bool {
        let kind = resource.get("type").and_then(Value::as_str);
        let urn = resource.get("urn").and_then(Value::as_str);
        let name = urn.and_then(|urn| urn.rsplit("::").next());
        kind.is_some_and(|kind| kind.starts_with("pulumi:providers:"))
            && name.is_some_and(|name| name.starts_with("default"))
    }
    let is_read = |resource: &Value| resource.get("external") == Some(&Value::Bool(true));
    all_resources(state)
        .filter(|r| !is_root(r) && !is_default(r) && !is_read(r))
        .filter_map(|r| r.get("urn")?.as_str())
        .collect()
}

/// The outputs in an exported state. A secret anywhere inside makes the whole output one, as events have it.
pub(super) fn recorded_outputs(state: &Value) -> BTreeMap<String, Value> {
    let root = all_resources(state).find(|r| is_root(r));
    let outputs = root
        .and_then(|root| root.get("outputs"))
        .and_then(Value::as_object);
    let each = outputs.into_iter().flatten().map(|(name, value)| {
        let value = if pulumi_automation::holds(value, is_secret) {
            pulumi_automation::secret_mark()
        } else {
            value.clone()
        };
        (name.clone(), value)
    });
    each.collect()
}

/// The number of an update, where the backend counts.
#[expect(clippy::cast_precision_loss, reason = "nobody has that many updates")]
pub(super) fn version(update: &Update) -> Option<f64> {
    (update.version > 0).then_some(update.version as f64)
}

/// When the stack was last updated: as known so far, unless its history tells of somebody's update since. The two are not equal where
/// we have run it ourselves, since the backend notes its time before the CLI ends.
pub(super) fn later(known: Option<String>, last: Option<Update>) -> Option<String> {
    let parse = |text: &str| DateTime::from_str(text, Format::DateTime).ok();
    let Some(last) = last else { return known };
    match known {
        Some(known) if parse(&known) >= parse(&last.end_time) => Some(known),
        _ => Some(last.end_time),
    }
}

/// The names of inputs that are not known, for people.
pub(super) fn unknown(inputs: &PropertyMap) -> String {
    let mut names = Vec::new();
    for (name, value) in inputs {
        match value.bare() {
            Some(PropertyValue::Map(fields)) => {
                let unknown = fields.iter().filter(|(_, value)| value.has_unknown());
                names.extend(unknown.map(|(field, _)| format!("{name}.{field}")));
            }
            _ if value.has_unknown() => names.push(name.clone()),
            _ => {}
        }
    }
    names.join(", ")
}

/// The inputs with the values of the last update in place of those that are not known. `None` when that does not make them whole.
pub(super) fn with_last_known(inputs: &PropertyMap, old: &PropertyMap) -> Option<StackArgs> {
    fn fill(now: &PropertyValue, old: Option<&PropertyValue>) -> PropertyValue {
        match (now.bare(), old.and_then(PropertyValue::bare)) {
            (Some(PropertyValue::Map(fields)), Some(PropertyValue::Map(olds))) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), fill(value, olds.get(name))));
                let map = PropertyValue::Map(fields.collect());
                if now.is_secret() {
                    map.into_secret()
                } else {
                    map
                }
            }
            _ if now.has_unknown() => old.cloned().unwrap_or(PropertyValue::UNKNOWN),
            _ => now.clone(),
        }
    }
    let filled: PropertyMap = inputs
        .iter()
        .map(|(name, value)| (name.clone(), fill(value, old.get(name))))
        .collect();
    pulumi_provider::from_properties(&filled).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_last_update_is_the_later_one() {
        let ended = |text: &str| {
            let update = serde_json::json!({"kind": "update", "startTime": text, "endTime": text, "result": "succeeded"});
            Some(serde_json::from_value(update).expect("update"))
        };
        let ours = Some("2026-01-01T00:00:09.5Z".to_owned());
        assert_eq!(later(ours.clone(), None), ours);
        assert_eq!(later(ours.clone(), ended("2026-01-01T00:00:09.000Z")), ours);
        let by_hand = "2026-01-01T00:00:10.000Z";
        assert_eq!(later(ours, ended(by_hand)).as_deref(), Some(by_hand));
        assert_eq!(later(None, ended(by_hand)).as_deref(), Some(by_hand));
    }
}
