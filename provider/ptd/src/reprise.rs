//! `ptd:index:PersistentReprise`: the persistent stack of a workload once more, and what follows from its outputs.

use std::collections::BTreeMap;

use pulumi_provider::{
    Checking, Child, ChildOptions, Component, Construction, Error, Marked, Outputs, PropertyValue,
    ProviderReference, Registered, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Ptd;
use crate::aws::control_room::WorkloadControlRoom;
use crate::aws::post_actions::{Persistent, check_target};
use crate::pipeline::Workload;
use crate::stack::StackUpdate;
use crate::target::TargetCloud;

/// The last step of a workload's pipeline where its persistent stack looks up what later stacks make: runs that stack once more, then
/// fills the fields of the workload's secret (as `WorkloadSecretFields` does) and gives the control room the password of the
/// workload's metrics (as `MimirAuthEntry` does) from the outputs that the stack then has.
///
/// Let it depend on the steps before it. Where an edge between stacks is enough, there is no need for it.
///
/// Children are named after the component: `<name>-update` (a `StackUpdate`), `<name>-workload-secret` and `<name>-mimir-auth`
/// (`SecretFields`), and `<name>-control-room`, a provider for the control room's account.
///
/// Deleting the component leaves the stack and the fields of the workload's secret, and removes the workload's entry from the control
/// room's, which the reprise of a `Workload` leaves there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistentRepriseArgs {
    /// The workload's name: `acme01-staging`.
    pub target: String,
    /// The output `spec` of the `Stack` that is the workload's persistent step.
    pub spec: Secret<String>,
    /// Values of any kind. A change of one runs the stack again: the outputs of the steps before, say.
    pub triggers: Option<BTreeMap<String, Marked<Value>>>,
    /// A message for the stack's history. A change of it alone runs nothing.
    pub message: Option<String>,
    /// Whether the stack and the secrets are left as they are although something has changed. Default `false`.
    #[serde(default)]
    pub skip: bool,
    /// The workload's cloud. Default `aws`. The secret of a workload on Azure is not filled.
    pub cloud: Option<TargetCloud>,
    /// Whether the workload's secret is filled. Default `true`, except on Azure.
    pub workload_secret: Option<bool>,
    /// The AWS account of the workload's secret, 12 digits. With credentials of another account nothing is touched. Default: the
    /// credentials' account.
    pub account_id: Option<String>,
    /// The AWS region of the workload's secret. Default: the provider's.
    pub region: Option<String>,
    /// The workload's control room. Without one, nobody is given the password.
    pub control_room: Option<WorkloadControlRoom>,
    /// The provider to reach the control room with. Default: a new one, which assumes the role `admin.posit.team` in the control
    /// room's account with the credentials of the environment.
    pub control_room_provider: Option<ProviderReference>,
}

/// What is known of the stack after it was run again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistentRepriseOutputs {
    /// The stack's outputs as they are now; secret ones stay secret.
    pub outputs: BTreeMap<String, Marked<Value>>,
    /// Those of them that are not secret; see `Stack`.
    pub plain_outputs: BTreeMap<String, Value>,
    /// How many resources the run created, updated, replaced and so on, by operation.
    pub changes: BTreeMap<String, f64>,
}

/// The component `ptd:index:PersistentReprise`.
#[derive(Debug)]
pub struct PersistentReprise;

impl Component for PersistentReprise {
    type Provider = Ptd;
    type Args = PersistentRepriseArgs;
    type Outputs = PersistentRepriseOutputs;

    const TOKEN: &'static str = "ptd:index:PersistentReprise";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        check_target(checking);
        WorkloadControlRoom::check(checking);
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        let mut update = Child::of::<StackUpdate>(format!("{}-update", cx.name()));
        for name in ["spec", "triggers", "message", "skip"] {
            update = update.input(name, cx.input(name));
        }
        let update = cx.register(update).await?;
        let outputs = match update.entries("outputs") {
            Some(entries) => PropertyValue::Map(entries),
            None => update.output("outputs"),
        };
        // A run that was always skipped has left nothing to do.
        let never = outputs.as_map().is_none_or(BTreeMap::is_empty);
        if !(never && cx.known("skip") == Some(true)) {
            secrets(&cx, &update, &outputs).await?;
        }
        Ok(Outputs::from([
            ("outputs".to_owned(), outputs),
            ("plainOutputs".to_owned(), update.output("plainOutputs")),
            ("changes".to_owned(), update.output("changes")),
        ]))
    }
}

/// Whether a resource belongs to a reprise inside a pipeline. The pipeline itself has the same fields: they outlive the reprise.
pub(crate) fn shares(urn: &str) -> bool {
    let kinds = urn.split("::").nth(2).unwrap_or_default();
    kinds.contains(&format!(
        "{}${}$",
        Workload::TOKEN,
        PersistentReprise::TOKEN
    ))
}

/// Registers the fields in both secrets.
async fn secrets(
    cx: &Construction<Ptd>,
    update: &Registered,
    outputs: &PropertyValue,
) -> Result<(), Error> {
    let known = [
        "target",
        "cloud",
        "workloadSecret",
        "controlRoom",
        "controlRoomProvider",
    ]
    .iter()
    .all(|name| !cx.input(name).has_unknown());
    let (Some(target), true) = (cx.known::<String>("target"), known) else {
        cx.info("the names of the target or of its control room are not known yet; what they give is previewed once they are")
            .await;
        return Ok(());
    };
    let id = update.id();
    let persistent = Persistent {
        target: &target,
        outputs,
        stack: id.as_str().and_then(|id| Some(id.split_once('#')?.1)),
        preview: cx.preview(),
    };
    let room = cx
        .known::<WorkloadControlRoom>("controlRoom")
        .filter(|room| !room.name.is_empty());
    // Both are made out before either is written.
    let wanted = cx.known::<TargetCloud>("cloud") != Some(TargetCloud::Azure)
        && cx.known("workloadSecret") != Some(false);
    let fields = if wanted {
        Some(
            persistent
                .workload_secret(format!("{}-workload-secret", cx.name()))?
                .input("removeOnDelete", false)
                .input("accountId", cx.input("accountId"))
                .input("region", cx.input("region")),
        )
    } else {
        None
    };
    let entry = room
        .map(|room| {
            let name = format!("{}-mimir-auth", cx.name());
            let child = persistent.mimir_entry(name, &room.name)?;
            Ok::<_, Error>((room, child))
        })
        .transpose()?;
    let fields = async {
        match fields {
            Some(fields) => cx.register(fields).await.map(drop),
            None => Ok(()),
        }
    };
    let entry = async {
        let Some((room, entry)) = entry else {
            return Ok(());
        };
        let options = ChildOptions {
            provider: Some(room.provider(cx).await?),
            ..ChildOptions::default()
        };
        let entry = entry
            .typed("accountId", &room.account_id)
            .input("region", room.region())
            .options(options);
        cx.register(entry).await.map(drop)
    };
    let (fields, entry) = futures::join!(fields, entry);
    fields.and(entry)
}
