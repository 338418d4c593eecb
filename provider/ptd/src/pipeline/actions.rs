//! What follows from a step's outputs beside the next steps.
//!
//! The place for everything that is to happen when `persistent` is done: whatever [`after_persistent`] registers, all later steps wait for.

use pulumi_provider::{Child, Error, PropertyMap, PropertyValue, Registered};

use super::construct::Pipeline;
use crate::aws::secret_fields::SecretFields;
use crate::target::{TargetCloud, TargetType};

/// The fields of the workload secret, and the outputs of `persistent` that they are.
const FIELDS: [(&str, &str); 7] = [
    ("chronicle-bucket", "chronicle_bucket"),
    ("fs-dns-name", "fs_dns_name"),
    ("fs-root-volume-id", "fs_root_volume_id"),
    ("main-database-id", "db"),
    ("main-database-url", "db_url"),
    ("packagemanager-bucket", "packagemanager_bucket"),
    ("mimir-password", "mimir_password"),
];

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
        let each = FIELDS.iter().filter_map(|(field, output)| {
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
    let Some(fields) = secret_fields(pipeline, persistent, outputs) else {
        return Ok(Vec::new());
    };
    let target = &pipeline.prepared.target;
    let missing: Vec<&str> = FIELDS
        .iter()
        .filter(|(field, _)| !fields.contains_key(*field))
        .map(|(_, output)| *output)
        .collect();
    if !missing.is_empty() {
        if pipeline.skips(super::standard::PERSISTENT) {
            // It never ran: there is nothing yet to put anywhere.
            return Ok(Vec::new());
        }
        return Err(Error::refused(
            format!(
                "the workload secret needs outputs that stack {} does not have: {}",
                super::steps::stack(target, super::standard::PERSISTENT),
                missing.join(", ")
            ),
            "export them in its program, or set workloadSecret to false when something else fills the secret",
        ));
    }
    let mut child = Child::of::<SecretFields>(pipeline.name("workload-secret-fields"))
        .input("secret", target.names.workload_secret.clone())
        .input("fields", PropertyValue::Map(fields))
        .input("region", target.region.clone())
        .input("accountId", target.account_id.clone())
        // The products go on reading the secret when the pipeline is taken down step by step.
        .input("removeOnDelete", false)
        .after(persistent);
    if let Some(bootstrap) = bootstrap {
        child = child.after(bootstrap);
    }
    Ok(vec![pipeline.cx.register(child).await?])
}
