//! What clusters and pools have in common.

use pulumi_provider::{Context, Error};
use serde::Serialize;
use serde_json::{Map, Value};

use super::aks_tables::API;
use super::arm::{Job, ResourceId, state_of};
use super::clients::AzureSession;
use super::common::kept;
use super::names::Tags;
use crate::Ptd;

/// How often an update is put together anew because somebody else changed the cluster meanwhile.
pub(super) const REDO: u32 = 5;

/// Whether a cluster or pool is being made.
pub(super) fn is_being_made(live: &Value) -> bool {
    state_of(live).is_some_and(|state| state.word.eq_ignore_ascii_case("creating"))
}

/// Whether a cluster or pool is being deleted.
pub(super) fn is_leaving(live: &Value) -> bool {
    state_of(live).is_some_and(|state| state.word.eq_ignore_ascii_case("deleting"))
}

/// What keeps a cluster or pool from being as it should, in its own words.
pub(super) fn problem(live: &Value, what: &str) -> Option<String> {
    let state = state_of(live).filter(super::arm::State::is_bad)?;
    Some(format!(
        "the last operation on {what} ended as {}; the next update repairs it",
        state.word
    ))
}

/// Tags as part of a model.
pub(super) fn tag_map(tags: &Tags) -> Map<String, Value> {
    tags.iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect()
}

/// The refusal to take over what was not made as it would be here; nothing where there is no difference.
pub(super) fn misfit(what: &str, unlike: &[&str]) -> Result<(), Error> {
    if unlike.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        format!(
            "{what} is not adopted: it differs in {}, which no input changes",
            unlike.join(", ")
        ),
        "Import it to manage it as it is, or use another name",
    ))
}

/// The refusal to change what only a replacement could.
pub(super) fn stuck(what: &str, inputs: &[&str], next: &str) -> Error {
    Error::refused(
        format!("{what} cannot be changed in {}", inputs.join(", ")),
        next,
    )
}

/// A cluster or pool that was just read, once nothing is at work on it. `known`: its state as it was read, where it is to be kept with
/// what is at work.
pub(super) async fn calm(
    cx: &Context<Ptd>,
    session: &AzureSession,
    id: &ResourceId,
    live: Value,
    known: Option<impl Serialize + Send + Sync>,
) -> Result<Option<Value>, Error> {
    let accepted = known.map(|known| kept(cx, id, known));
    let mut job = Job::quiet(cx);
    if let Some(accepted) = &accepted {
        job.accepted = accepted;
    }
    Ok(session.arm.settled(&job, id, API, live).await?)
}
