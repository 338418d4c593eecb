//! What follows from a step's outputs beside the next steps.
//!
//! The place for everything that is to happen when `persistent` is done: whatever [`after_persistent`] registers, all later steps wait for.

use pulumi_provider::{Child, ChildOptions, Error, PropertyMap, PropertyValue, Registered};

use super::construct::{Pipeline, never_ran};
use crate::aws::control_room::WorkloadControlRoom;
use crate::aws::post_actions::{Persistent, WORKLOAD_FIELDS};
use crate::aws::secret_fields::SecretFields;
use crate::target::{TargetCloud, TargetType, naming};

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
    bootstrap: Option<&Registered>,
) -> Result<Vec<Registered>, Error> {
    let target = &pipeline.prepared.target;
    if target.target_type != TargetType::Workload {
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
    let skips = pipeline.skips(super::standard::PERSISTENT);
    // A step that is skipped and never ran has nothing yet to put anywhere.
    let never = skips && never_ran(persistent);
    // Both are made out before either is written.
    let mut lacks = Vec::new();
    let fields = match wanted(pipeline)
        .then(|| from.workload_secret(pipeline.name("workload-secret-fields")))
    {
        Some(Err(_)) if never => None,
        Some(Err(error)) if skips => {
            // The fields stay where they are without a resource.
            lacks.push((error, "workloadSecret"));
            None
        }
        fields => fields.transpose()?,
    };
    let room = control_room(pipeline);
    let name = pipeline.name("mimir-auth");
    let mut keep = Vec::new();
    let entry = match room
        .as_ref()
        .map(|room| from.mimir_entry(name.clone(), &room.name))
    {
        Some(Err(_)) if never => None,
        Some(Err(error)) if skips => {
            // It would go with its resource. Where there is none, the engine ends the run with that resource's error.
            lacks.push((error, "mimirAuth"));
            keep.push("*".to_owned());
            let none = PropertyValue::Map(PropertyMap::new());
            Some(Child::of::<SecretFields>(name).input("fields", none))
        }
        entry => entry.transpose()?,
    };
    for (error, input) in lacks {
        let stays = format!("What was filled before stays; {input}: false does without");
        pipeline.cx.warn(format!("{error}. {stays}")).await;
    }
    let fields = async {
        let mut child = fields?
            .input("region", target.region.clone())
            .input("accountId", target.account_id.clone())
            // The products go on reading the secret when the pipeline is taken down step by step.
            .input("removeOnDelete", false)
            .after(persistent);
        if let Some(bootstrap) = bootstrap {
            child = child.after(bootstrap);
        }
        Some(pipeline.cx.register(child).await)
    };
    let entry = async {
        let (room, child) = room.zip(entry)?;
        let made = async {
            let options = ChildOptions {
                provider: Some(room.provider(pipeline.cx).await?),
                ignore_changes: keep,
                ..ChildOptions::default()
            };
            let child = child
                .input("secret", naming::mimir_auth_secret(&room.name))
                .typed("accountId", &room.account_id)
                .input("region", room.region())
                .options(options)
                .after(persistent);
            pipeline.cx.register(child).await
        };
        Some(made.await)
    };
    // Neither keeps the other from being written. A registration that is refused ends the run, so that the workload's own comes first.
    let made = [fields.await, entry.await];
    made.into_iter().flatten().collect()
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
