//! The engine's events, as far as they are of use to a driver.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// The property that marks a value as special, and the mark of a secret.
const SIGNATURE: &str = "4dabf18193072939515e22adb298388d";
const SECRET: &str = "1b47061264138c4ac30d75fd1eb44270";

/// A value of an event or an exported state that stands for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Special {
    /// A secret.
    Secret,
    /// A file or text: `hash`, and `path`, `uri` or `text`, which events leave out (see [`Special::ELIDED`]).
    Asset,
    /// A collection of files: `hash`, and `path`, `uri` or `assets`.
    Archive,
    /// A resource: `urn`, and `id` unless it is a component; an empty one is not known yet.
    Resource,
}

impl Special {
    /// What events tell in place of the text of an asset.
    pub const ELIDED: &str = "<contents elided>";

    /// What a value stands for; `None` when it is what it is.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value.get(SIGNATURE)?.as_str()? {
            SECRET => Some(Self::Secret),
            "c44067f5952c0a294b673a41bacd8c17" => Some(Self::Asset),
            "0def7320c3a5731c473e5ecbe6d01bc7" => Some(Self::Archive),
            "5cf8f73096256a8f31e491e813e4eb8e" => Some(Self::Resource),
            _ => None,
        }
    }
}

/// Whether a value of an event or an exported state is a secret.
#[must_use]
pub fn is_secret(value: &Value) -> bool {
    Special::of(value) == Some(Special::Secret)
}

/// Whether a value, or anything in it, is of a kind.
#[must_use]
pub fn holds(value: &Value, kind: fn(&Value) -> bool) -> bool {
    kind(value)
        || match value {
            Value::Object(fields) => fields.values().any(|value| holds(value, kind)),
            Value::Array(items) => items.iter().any(|value| holds(value, kind)),
            _ => false,
        }
}

/// What the engine writes in place of a secret of the configuration, wherever its text occurs.
const MASK: &str = "[secret]";

/// Whether a value of an event is not what it is: texts that name a secret of the stack's configuration, be it by accident, are
/// changed. Such values are to be read otherwise, as by [`crate::Stack::outputs`].
#[must_use]
pub fn is_masked(value: &Value) -> bool {
    holds(value, |value| {
        value.as_str().is_some_and(|text| text.contains(MASK))
    })
}

/// What stands for a secret whose value is not told.
#[must_use]
pub fn secret_mark() -> Value {
    serde_json::json!({ SIGNATURE: SECRET, "ciphertext": MASK })
}

/// One event of a running operation.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Counts from zero.
    #[serde(default)]
    pub sequence: u64,
    /// Seconds since 1970.
    #[serde(default)]
    pub timestamp: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum EventKind {
    /// A step begins.
    ResourcePreEvent(Step),
    /// A step is done; in a preview, this is what it would give.
    ResOutputsEvent(Step),
    /// A step failed.
    ResOpFailedEvent(Step),
    /// Something to tell: an error, a warning, output of the program.
    DiagnosticEvent(Diagnostic),
    /// A policy is not met.
    PolicyEvent(Policy),
    /// It is over.
    SummaryEvent(Summary),
    /// Anything else.
    #[serde(untagged)]
    Other(Value),
}

/// One resource's step.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// What it is about.
    pub metadata: StepMetadata,
}

/// What a step is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepMetadata {
    /// `create`, `update`, `delete`, `same`, `replace`, `read`, `refresh` and so on.
    pub op: String,
    /// The resource.
    pub urn: String,
    /// Its type.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Properties that differ.
    #[serde(default)]
    pub diffs: Option<Vec<String>>,
    /// How it was.
    #[serde(default)]
    pub old: Option<State>,
    /// How it is to be.
    #[serde(default)]
    pub new: Option<State>,
}

/// A resource's state in an event.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct State {
    /// The parent's URN.
    #[serde(default)]
    pub parent: String,
    /// Inputs, secrets replaced by their mark.
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
    /// Outputs, secrets replaced by their mark.
    #[serde(default)]
    pub outputs: BTreeMap<String, Value>,
}

/// Something to tell.
#[derive(Debug, Clone, Deserialize)]
pub struct Diagnostic {
    /// The resource it is about, if any.
    #[serde(default)]
    pub urn: String,
    /// The text.
    pub message: String,
    /// `debug`, `info`, `info#err`, `warning` or `error`.
    pub severity: String,
    /// Whether it is a passing status.
    #[serde(default)]
    pub ephemeral: bool,
}

/// A policy that is not met.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// The resource.
    #[serde(default)]
    pub resource_urn: String,
    /// What is wrong.
    pub message: String,
    /// The policy.
    #[serde(rename = "policyName")]
    pub name: String,
    /// The pack it comes from.
    #[serde(rename = "policyPackName")]
    pub pack: String,
    /// `mandatory` violations fail the operation.
    #[serde(default)]
    pub enforcement_level: String,
}

impl Policy {
    /// Whether the operation fails because of it.
    #[must_use]
    pub fn is_mandatory(&self) -> bool {
        self.enforcement_level == "mandatory"
    }
}

/// Resource, policy, pack, and what is wrong.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = crate::error::message(&self.message);
        write!(
            f,
            "{}: policy {} of {}: {message}",
            self.resource_urn, self.name, self.pack
        )
    }
}

/// How it ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Seconds.
    #[serde(default)]
    pub duration_seconds: u64,
    /// Resources by operation.
    #[serde(default)]
    pub resource_changes: BTreeMap<String, u64>,
    /// `succeeded` or `failed`.
    #[serde(default)]
    pub result: String,
}

impl Summary {
    /// Whether anything is created, changed, replaced or deleted.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.resource_changes
            .iter()
            .any(|(op, count)| *count > 0 && op != "same" && op != "read")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_events() {
        let text = r#"{"sequence":3,"timestamp":1,"resOutputsEvent":{"metadata":{"op":"create","urn":"u","type":"t","old":null,
            "new":{"parent":"","inputs":{},"outputs":{"a":{"4dabf18193072939515e22adb298388d":
            "1b47061264138c4ac30d75fd1eb44270","ciphertext":"[secret]"},"b":3}}}}}"#;
        let event: Event = serde_json::from_str(text).expect("event");
        let EventKind::ResOutputsEvent(step) = event.kind else {
            panic!("{event:?}")
        };
        let outputs = step.metadata.new.expect("state").outputs;
        assert!(is_secret(&outputs["a"]) && !is_secret(&outputs["b"]));
        let event: Event =
            serde_json::from_str(r#"{"sequence":5,"timestamp":1,"newEvent":{"x":1}}"#)
                .expect("event");
        assert!(matches!(event.kind, EventKind::Other(_)));
        let text = r#"{"sequence":4,"timestamp":1,"summaryEvent":{"durationSeconds":1,"resourceChanges":{"same":2,"create":0},
            "result":"succeeded"}}"#;
        let event: Event = serde_json::from_str(text).expect("event");
        let EventKind::SummaryEvent(summary) = event.kind else {
            panic!("{event:?}")
        };
        assert!(!summary.has_changes());
    }
}
