//! What is done with a stack, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::message;
use crate::events::{Event, EventKind, Summary};

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Shows what `Up` would do.
    Preview,
    /// Brings the resources to what the program says.
    Up,
    /// Brings the state to what the resources are.
    Refresh,
    /// Shows what `Refresh` would do.
    RefreshPreview,
    /// Deletes all resources.
    Destroy,
}

impl Operation {
    /// As in `pulumi <name>`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Up => "up",
            Self::Refresh | Self::RefreshPreview => "refresh",
            Self::Destroy => "destroy",
        }
    }
}

/// How an operation is run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Recorded with the update.
    pub message: Option<String>,
    /// Only these resources, by URN.
    pub targets: Vec<String>,
    /// All but these resources, by URN.
    pub excludes: Vec<String>,
    /// Replaces these resources, by URN.
    pub replace: Vec<String>,
    /// Steps at once; the CLI's own default when absent.
    pub parallel: Option<u32>,
    /// Refreshes first.
    pub refresh: bool,
    /// Directories of policy packs.
    pub policy_packs: Vec<PathBuf>,
    /// Ends the operation when cancelled: it is interrupted, and killed when it does not end within `grace`.
    pub cancel: CancellationToken,
    /// How long a cancelled operation may take to end by itself.
    pub grace: Duration,
    /// How long it may take; no limit when absent.
    pub timeout: Option<Duration>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            message: None,
            targets: Vec::new(),
            excludes: Vec::new(),
            replace: Vec::new(),
            parallel: None,
            refresh: false,
            policy_packs: Vec::new(),
            cancel: CancellationToken::new(),
            grace: Duration::from_mins(1),
            timeout: None,
        }
    }
}

/// What an operation did.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Counts and duration.
    pub changes: Summary,
    /// The stack's outputs, as far as its program came; secrets are only marked (see [`crate::is_secret`]).
    pub outputs: Option<BTreeMap<String, Value>>,
    /// Errors of programs, resources and policies, as `<URN>: <message>`.
    pub errors: Vec<String>,
    /// Warnings likewise.
    pub warnings: Vec<String>,
}

impl Outcome {
    pub(super) fn note(&mut self, event: &Event, root: &str) {
        match &event.kind {
            EventKind::SummaryEvent(summary) => self.changes = summary.clone(),
            EventKind::ResOutputsEvent(step) if step.metadata.urn.ends_with(root) => {
                self.outputs = step
                    .metadata
                    .new
                    .as_ref()
                    .map(|state| state.outputs.clone());
            }
            EventKind::DiagnosticEvent(told) if !told.ephemeral => {
                let text = message(&told.message);
                let text = if told.urn.is_empty() {
                    text
                } else {
                    format!("{}: {text}", told.urn)
                };
                match told.severity.as_str() {
                    "error" => self.errors.push(text),
                    "warning" => self.warnings.push(text),
                    _ => {}
                }
            }
            EventKind::PolicyEvent(policy) => {
                let text = policy.to_string();
                if policy.is_mandatory() {
                    self.errors.push(text);
                } else {
                    self.warnings.push(text);
                }
            }
            _ => {}
        }
    }
}

pub(super) fn flags(operation: Operation, run: &Run) -> Vec<String> {
    let mut flags = Vec::new();
    match operation {
        Operation::Preview => {}
        Operation::RefreshPreview => flags.push("--preview-only".to_owned()),
        _ => flags.extend(["--yes".to_owned(), "--skip-preview".to_owned()]),
    }
    let mut each = |flag: &str, values: &[String]| {
        flags.extend(
            values
                .iter()
                .flat_map(|value| [flag.to_owned(), value.clone()]),
        );
    };
    each("--target", &run.targets);
    each("--exclude", &run.excludes);
    if matches!(operation, Operation::Preview | Operation::Up) {
        each("--replace", &run.replace);
        let packs: Vec<_> = run
            .policy_packs
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        each("--policy-pack", &packs);
    }
    if let Some(message) = &run.message {
        each("--message", std::slice::from_ref(message));
    }
    if let Some(parallel) = run.parallel {
        each("--parallel", &[parallel.to_string()]);
    }
    if run.refresh && !matches!(operation, Operation::Refresh | Operation::RefreshPreview) {
        flags.push("--refresh".to_owned());
    }
    flags
}
