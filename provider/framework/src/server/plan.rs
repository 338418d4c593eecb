//! Check and Diff: what will be done, without doing it.

use pulumi_proto::pulumirpc as rpc;
use pulumi_proto::pulumirpc::diff_response::DiffChanges;
use pulumi_proto::pulumirpc::property_diff::Kind;
use tonic::Status;

use super::{Server, decode, kind, name_of, type_of};
use crate::check::{Autonaming, Checking, Failure};
use crate::diff::{Change, Diff};
use crate::redact::{Guard, scrub};
use crate::resource::Provider;
use crate::schema::ObjectSpec;
use crate::value::{PropertyMap, PropertyValue};

/// Failures as the engine shows them. It prints the value of the property that a failure names, so a property that
/// holds a secret is named in the text instead.
pub(super) fn failures(
    failures: Vec<Failure>,
    inputs: &PropertyMap,
    spec: &ObjectSpec,
) -> Vec<rpc::CheckFailure> {
    failures
        .into_iter()
        .map(|failure| {
            let top = failure.path.top().unwrap_or_default().to_owned();
            let secret = spec.get(&top).is_some_and(|p| p.secret)
                || inputs.get(&top).is_some_and(PropertyValue::has_secret);
            let nested = failure.path.steps().len() > 1;
            let reason = if nested || secret {
                format!("{}: {}", failure.path, failure.reason)
            } else {
                failure.reason
            };
            rpc::CheckFailure {
                property: if secret { String::new() } else { top },
                reason: scrub(&reason),
            }
        })
        .collect()
}

impl<P: Provider> Server<P> {
    pub(super) async fn check_(
        &self,
        request: &rpc::CheckRequest,
    ) -> Result<rpc::CheckResponse, Status> {
        let shared = &self.shared;
        let kind = kind(
            &shared.package.resources,
            type_of(&request.urn, &request.r#type),
            "resource type",
        )?;
        let mut guard = Guard::default();
        let mut checking = Checking {
            olds: decode(request.olds.as_ref(), &mut guard)?,
            name: name_of(&request.urn, &request.name).to_owned(),
            urn: request.urn.clone(),
            autonaming: autonaming(request.autonaming.as_ref()),
            seed: request.random_seed.clone(),
            ..shared.checking(&kind.inputs, decode(request.news.as_ref(), &mut guard)?)
        };
        checking.run_guarded(&mut guard);
        // The resource's own rules presume that each value has the right type.
        if checking.is_ok() {
            kind.work.check(&mut checking, shared.provider().as_deref());
        }
        for warning in &checking.warnings {
            shared
                .engine
                .log(rpc::LogSeverity::Warning, &request.urn, warning, false)
                .await;
        }
        let failures = failures(checking.failures, &checking.inputs, &kind.inputs);
        Ok(rpc::CheckResponse {
            inputs: Some(crate::wire::encode(&checking.inputs)),
            failures,
        })
    }

    pub(super) fn diff_(&self, request: &rpc::DiffRequest) -> Result<rpc::DiffResponse, Status> {
        let shared = &self.shared;
        let kind = kind(
            &shared.package.resources,
            type_of(&request.urn, &request.r#type),
            "resource type",
        )?;
        let mut guard = Guard::default();
        let outputs = decode(request.olds.as_ref(), &mut guard)?;
        let news = decode(request.news.as_ref(), &mut guard)?;
        let inputs = match &request.old_inputs {
            Some(inputs) => decode(Some(inputs), &mut guard)?,
            None => outputs
                .iter()
                .filter(|(name, _)| {
                    // An output of the same name says what is in force, not what was asked for.
                    let told = kind.outputs.get(name).is_none() || news.contains_key(*name);
                    kind.inputs.get(name).is_some() && told
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        };
        let mut diff = Diff::between(&shared.package.types, &kind.inputs, &inputs, &news);
        let old = kind.stored(inputs, outputs);
        kind.work
            .diff(&mut diff, old, &news, shared.provider().as_deref());
        let ignored: Vec<_> = diff
            .changes()
            .map(|(path, _)| path.clone())
            .filter(|path| crate::diff::ignored(path, &request.ignore_changes))
            .collect();
        for path in ignored {
            diff.ignore(&path);
        }
        Ok(diff_response(&diff, kind.work.immutable()))
    }
}

/// A diff on the wire: every list filled, so that each option of the engine finds what it looks for.
pub(super) fn diff_response(diff: &Diff, immutable: bool) -> rpc::DiffResponse {
    let mut response = rpc::DiffResponse {
        changes: if diff.is_empty() {
            DiffChanges::DiffNone
        } else {
            DiffChanges::DiffSome
        }
        .into(),
        has_detailed_diff: true,
        delete_before_replace: diff.delete_before_replace,
        ..rpc::DiffResponse::default()
    };
    for (path, entry) in diff.entries() {
        let replace = entry.replace || immutable;
        let kind = match (entry.change, replace) {
            (Change::Add, false) => Kind::Add,
            (Change::Add, true) => Kind::AddReplace,
            (Change::Delete, false) => Kind::Delete,
            (Change::Delete, true) => Kind::DeleteReplace,
            (Change::Update, false) => Kind::Update,
            (Change::Update, true) => Kind::UpdateReplace,
        };
        let readable = path.readable();
        let entire = readable == *path;
        let kind = match (entire, replace) {
            (true, _) => kind,
            // Something in it changed; what exactly, the engine has no words for.
            (false, false) => Kind::Update,
            (false, true) => Kind::UpdateReplace,
        };
        if !readable.steps().is_empty() {
            response.detailed_diff.insert(
                readable.to_string(),
                rpc::PropertyDiff {
                    kind: kind.into(),
                    input_diff: true,
                },
            );
        }
        let top = path.top().unwrap_or_default().to_owned();
        if replace && !response.replaces.contains(&top) {
            response.replaces.push(top.clone());
        }
        if !response.diffs.contains(&top) {
            response.diffs.push(top);
        }
    }
    response
}

fn autonaming(options: Option<&rpc::check_request::AutonamingOptions>) -> Autonaming {
    use rpc::check_request::autonaming_options::Mode;
    match options {
        None => Autonaming::Default,
        Some(options) => match Mode::try_from(options.mode).unwrap_or(Mode::Propose) {
            Mode::Propose => Autonaming::Propose(options.proposed_name.clone()),
            Mode::Enforce => Autonaming::Enforce(options.proposed_name.clone()),
            Mode::Disable => Autonaming::Disabled,
        },
    }
}
