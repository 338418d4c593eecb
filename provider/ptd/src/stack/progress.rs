//! What an inner run tells while it goes on, and what it will have done.

use std::time::{Duration, Instant};

use pulumi_automation::{Event, EventKind, Operation, Outcome, StepMetadata, is_secret};
use pulumi_provider::{PropertyMap, PropertyValue, View, ViewOperation, wire};
use serde_json::Value;

use super::foreign::without_references;

/// How often progress is told at most.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// Something to tell, with its weight.
pub(super) enum Line {
    Status(String),
    Info(String),
    Warning(String),
    Error(String),
}

/// Counts steps as they are done, and collects those of a preview.
pub(super) struct Progress {
    operation: Operation,
    /// As many resources as there were the last time.
    expected: u64,
    begun: u64,
    done: u64,
    told: Option<Instant>,
    /// Whether a policy is not met that must be.
    pub(super) violated: bool,
    pub(super) views: Vec<View>,
}

impl Progress {
    pub(super) fn new(operation: Operation, expected: u64) -> Self {
        Self {
            operation,
            expected,
            begun: 0,
            done: 0,
            told: None,
            violated: false,
            views: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, event: &Event) -> Option<Line> {
        match &event.kind {
            EventKind::ResourcePreEvent(step) => {
                self.begun += 1;
                if self.operation == Operation::Preview {
                    self.views.extend(view(&step.metadata));
                }
                self.status(&step.metadata)
            }
            EventKind::ResOutputsEvent(step) => {
                self.done += 1;
                self.status(&step.metadata)
            }
            EventKind::DiagnosticEvent(told) if !told.ephemeral => {
                let text = told.message.trim();
                let of_program =
                    told.urn.is_empty() || told.urn.contains("::pulumi:pulumi:Stack::");
                let text = match told.severity.as_str() {
                    _ if text.is_empty() => return None,
                    _ if of_program => text.to_owned(),
                    "error" | "warning" => format!("{}: {text}", told.urn),
                    _ => format!("{}: {text}", name(&told.urn)),
                };
                match told.severity.as_str() {
                    "error" => Some(Line::Error(text)),
                    "warning" => Some(Line::Warning(text)),
                    "debug" => None,
                    _ => Some(Line::Info(text)),
                }
            }
            EventKind::PolicyEvent(policy) => {
                let text = policy.to_string();
                self.violated |= policy.is_mandatory();
                Some(if policy.is_mandatory() {
                    Line::Error(text)
                } else {
                    Line::Warning(text)
                })
            }
            _ => None,
        }
    }

    fn status(&mut self, step: &StepMetadata) -> Option<Line> {
        if step.op == "same" || self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told = Some(Instant::now());
        let total = self.expected.max(self.begun);
        Some(Line::Status(format!(
            "{}/{total} {} {} {}",
            self.done,
            short(&step.kind),
            name(&step.urn),
            doing(&step.op)
        )))
    }
}

/// A type without its last part where that only repeats the one before it, as in `aws:ec2/vpc:Vpc`.
fn short(kind: &str) -> &str {
    match kind.rsplit_once(':') {
        Some((first, last))
            if first
                .rsplit_once('/')
                .is_some_and(|(_, file)| file.eq_ignore_ascii_case(last)) =>
        {
            first
        }
        _ => kind,
    }
}

/// The name in a URN.
fn name(urn: &str) -> &str {
    urn.splitn(4, "::").nth(3).unwrap_or(urn)
}

fn doing(op: &str) -> &str {
    match op {
        "create" => "creating",
        "update" => "updating",
        "delete" => "deleting",
        "replace" | "create-replacement" | "delete-replaced" => "replacing",
        "read" => "reading",
        "refresh" => "refreshing",
        "import" => "importing",
        other => other,
    }
}

fn view(step: &StepMetadata) -> Option<View> {
    let operation = match step.op.as_str() {
        "create" | "import" => ViewOperation::Create,
        "update" => ViewOperation::Update,
        // Its making and its deletion are told besides.
        "replace" => ViewOperation::Replace,
        "delete" => ViewOperation::Delete,
        _ => return None,
    };
    let default_provider =
        step.kind.starts_with("pulumi:providers:") && name(&step.urn).starts_with("default");
    if step.kind == "pulumi:pulumi:Stack" || default_provider {
        return None;
    }
    let state = step.new.as_ref().or(step.old.as_ref());
    let inputs = state.into_iter().flat_map(|state| &state.inputs);
    Some(View {
        kind: step.kind.clone(),
        name: name(&step.urn).to_owned(),
        operation,
        inputs: inputs
            .map(|(name, value)| (name.clone(), property(&without_references(value))))
            .collect(),
    })
}

/// A value of an event. Of secrets only that they are some is known.
fn property(value: &Value) -> PropertyValue {
    match value {
        secret if is_secret(secret) => PropertyValue::from("[secret]").into_secret(),
        Value::String(text) => {
            wire::sentinel_of(text).map_or_else(|| text.as_str().into(), PropertyValue::Unknown)
        }
        Value::Array(items) => PropertyValue::List(items.iter().map(property).collect()),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), property(value)));
            PropertyValue::Map(fields.collect::<PropertyMap>())
        }
        plain => plain.clone().into(),
    }
}

/// What was done, or would be, and how long it took.
pub(super) fn summary(outcome: &Outcome, preview: bool, took: Duration) -> String {
    const ORDER: [(&str, &str, &str); 8] = [
        ("create", "created", "create"),
        ("update", "updated", "update"),
        ("replace", "replaced", "replace"),
        ("delete", "deleted", "delete"),
        ("import", "imported", "import"),
        ("refresh", "refreshed", "refresh"),
        ("read", "read", "read"),
        ("same", "unchanged", "unchanged"),
    ];
    let counts = &outcome.changes.resource_changes;
    let parts: Vec<String> = ORDER
        .iter()
        .filter_map(|(op, done, to_do)| {
            let count = counts.get(*op).filter(|count| **count > 0)?;
            Some(match (preview, *op) {
                (true, op) if op != "same" => format!("{count} to {to_do}"),
                (true, _) => format!("{count} unchanged"),
                (false, _) => format!("{done} {count}"),
            })
        })
        .collect();
    let what = if parts.is_empty() {
        "nothing to do".to_owned()
    } else {
        parts.join(", ")
    };
    if preview {
        what
    } else {
        format!("{what} in {:.1} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        serde_json::from_str(text).unwrap()
    }

    fn step(op: &str, kind: &str, name: &str) -> Event {
        event(&format!(
            r#"{{"resourcePreEvent":{{"metadata":{{"op":"{op}","urn":"urn:pulumi:d::p::{kind}::{name}","type":"{kind}",
            "new":{{"inputs":{{"a":{{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","ciphertext":"x"}},
            "b":["04da6b54-80e4-46f7-96ec-b56ff0331ba9",1]}}}}}}}}}}"#
        ))
    }

    #[test]
    fn progress_names_what_is_done() {
        let mut progress = Progress::new(Operation::Up, 40);
        let Some(Line::Status(text)) = progress.note(&step("create", "aws:ec2/vpc:Vpc", "main"))
        else {
            panic!()
        };
        assert_eq!(text, "0/40 aws:ec2/vpc main creating");
        assert!(progress.views.is_empty());
    }

    #[test]
    fn types_lose_only_what_they_repeat() {
        assert_eq!(
            short("aws:ec2/securityGroup:SecurityGroup"),
            "aws:ec2/securityGroup"
        );
        for kind in [
            "random:index/randomId:Random",
            "pulumi-python:dynamic/kubernetes:Object",
            "a:b:C",
        ] {
            assert_eq!(short(kind), kind);
        }
    }

    #[test]
    fn views_hide_secrets_and_keep_what_is_not_known() {
        let mut progress = Progress::new(Operation::Preview, 0);
        for op in ["create", "same", "create-replacement", "read"] {
            progress.note(&step(op, "a:b:C", "x::y"));
        }
        progress.note(&step("create", "pulumi:pulumi:Stack", "p-d"));
        progress.note(&step("create", "pulumi:providers:aws", "default_1_2"));
        let [view] = &progress.views[..] else {
            panic!("{:?}", progress.views)
        };
        assert_eq!(
            (view.name.as_str(), view.operation),
            ("x::y", ViewOperation::Create)
        );
        assert_eq!(
            view.inputs["a"],
            PropertyValue::from("[secret]").into_secret()
        );
        assert!(
            matches!(&view.inputs["b"], PropertyValue::List(items) if items[0] == PropertyValue::UNKNOWN)
        );
    }

    #[test]
    fn a_summary_tells_counts() {
        let mut outcome = Outcome::default();
        outcome.changes.resource_changes = [("same", 2), ("create", 1), ("update", 0)]
            .map(|(op, n)| (op.to_owned(), n))
            .into();
        assert_eq!(
            summary(&outcome, true, Duration::ZERO),
            "1 to create, 2 unchanged"
        );
        assert_eq!(
            summary(&outcome, false, Duration::from_millis(1250)),
            "created 1, unchanged 2 in 1.2 s"
        );
    }
}
