//! What follows from a step's outputs beside the next steps.
//!
//! The place for everything that is to happen when `persistent` is done: whatever [`after_persistent`] registers, all later steps wait for.

use pulumi_provider::{Child, ChildOptions, Error, PropertyMap, PropertyValue, Registered};

use super::construct::Pipeline;
use crate::aws::control_room::WorkloadControlRoom;
use crate::aws::post_actions::{Persistent, WORKLOAD_FIELDS};
use crate::target::{TargetCloud, TargetType};

/// Whether the pipeline keeps the workload secret up to date.
fn wanted(pipeline: Pipeline<'_>) -> bool {
    let target = &pipeline.prepared.target;
    target.target_type == TargetType::Workload
        && target.cloud == TargetCloud::Aws
        && pipeline.cx.known("workloadSecret") != Some(false)
}

/// The fields and their values; those whose output there is not are left out. `None` when the pipeline has nothing to do with them.
pub(crate) fn secret_fields(
    pipeline: Pipeline<'_>,
    persistent: &Registered,
    outputs: Option<&PropertyMap>,
) -> Option<PropertyMap> {
    wanted(pipeline).then(|| {
        let each = WORKLOAD_FIELDS.iter().filter_map(|(field, output)| {
            let value = match outputs {
                None => persistent.output("outputs"),
                Some(outputs) => outputs.get(*output)?.clone(),
            };
            (!value.is_null()).then(|| ((*field).to_owned(), value))
        });
        each.collect()
    })
}

/// Registers what is to be done with the outputs of `persistent`.
pub(crate) async fn after_persistent(
    pipeline: Pipeline<'_>,
    persistent: &Registered,
    outputs: Option<&PropertyMap>,
    bootstrap: Option<&Registered>,
) -> Result<Vec<Registered>, Error> {
    let target = &pipeline.prepared.target;
    let lacks = |outputs: &PropertyMap| {
        WORKLOAD_FIELDS
            .iter()
            .any(|(_, output)| outputs.get(*output).is_none_or(PropertyValue::is_null))
    };
    if target.target_type != TargetType::Workload
        || (pipeline.skips(super::standard::PERSISTENT) && outputs.is_some_and(lacks))
    {
        // A step that is skipped and never ran has nothing yet to put anywhere.
        return Ok(Vec::new());
    }
    let all = persistent.output("outputs");
    let stack = super::steps::stack(target, super::standard::PERSISTENT);
    let from = Persistent {
        target: &target.name,
        outputs: &all,
        stack: Some(&stack),
        preview: pipeline.cx.preview(),
    };
    let mut children = Vec::new();
    // Both are made out before either is written.
    if wanted(pipeline) {
        let mut child = from
            .workload_secret(pipeline.name("workload-secret-fields"))?
            .input("region", target.region.clone())
            .input("accountId", target.account_id.clone())
            // The products go on reading the secret when the pipeline is taken down step by step.
            .input("removeOnDelete", false)
            .after(persistent);
        if let Some(bootstrap) = bootstrap {
            child = child.after(bootstrap);
        }
        children.push(child);
    }
    if let Some(room) = control_room(pipeline) {
        let entry = from.mimir_entry(pipeline.name("mimir-auth"), &room.name)?;
        let options = ChildOptions {
            provider: Some(room.provider(pipeline.cx).await?),
            ..ChildOptions::default()
        };
        let entry = entry
            .typed("accountId", &room.account_id)
            .input("region", room.region())
            .options(options)
            .after(persistent);
        children.push(entry);
    }
    let made = children
        .into_iter()
        .map(|child| pipeline.cx.register(child));
    futures::future::try_join_all(made).await
}

/// Tells the reprise where what follows from its outputs belongs.
pub(crate) fn after_reprise(pipeline: Pipeline<'_>, reprise: Child) -> Child {
    let target = &pipeline.prepared.target;
    let reprise = reprise
        .input("target", target.name.clone())
        .input("workloadSecret", wanted(pipeline))
        .input("region", target.region.clone())
        .input("accountId", target.account_id.clone());
    match control_room(pipeline) {
        Some(room) => reprise.typed("controlRoom", &room).input(
            "controlRoomProvider",
            pipeline.cx.input("controlRoomProvider"),
        ),
        None => reprise,
    }
}

/// The workload's control room, when it is to be given the password.
fn control_room(pipeline: Pipeline<'_>) -> Option<WorkloadControlRoom> {
    let room = pipeline.prepared.target.control_room.as_ref()?;
    if room.name.is_empty() || pipeline.cx.known("mimirAuth") == Some(false) {
        return None;
    }
    Some(WorkloadControlRoom {
        name: room.name.clone(),
        account_id: room.account_id.clone(),
        region: Some(room.region.clone()),
    })
}
