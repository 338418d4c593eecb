//! `ptd:index:StackUpdate`: running an inner stack once more.

use std::collections::BTreeMap;

use pulumi_automation::Operation;
use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Marked, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::args::{StackArgs, StackState};
use super::check::refuse_secrets;
use super::run::{self, Inner, Previewed};
use super::spec::Spec;
use super::stack::{Stack, not_run};
use super::{foresee, identity, report};
use crate::Ptd;

/// Runs an inner stack that a `Stack` owns once more, after the resources it depends on: for programs that look something up which
/// a later stack makes. Where an edge to a stack of its own will do, that is better.
///
/// It is run when this resource is created, when what the stack is run with has changed, and when a trigger changes.
///
/// Where the `Stack` is replaced by one of another name or in another backend, so is this resource.
///
/// Deleting this resource does nothing: the stack is its owner's. It cannot be imported.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackUpdateArgs {
    /// The output `spec` of the `Stack`, which holds all that a run needs.
    pub spec: Secret<String>,
    /// Values of any kind. A change of one runs the stack again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, Marked<Value>>,
    /// A message for the inner stack's history. A change of it alone runs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the stack is left as it is although something has changed. Default `false`.
    #[serde(default)]
    pub skip: bool,
}

/// What is known of the inner stack after it was run again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackUpdateState {
    /// The inner stack's outputs as they are now; secret ones stay secret.
    #[serde(default)]
    pub outputs: BTreeMap<String, Marked<Value>>,
    /// Those of them that are not secret; see `Stack`.
    #[serde(default)]
    pub plain_outputs: BTreeMap<String, Value>,
    /// How many resources the run created, updated, replaced and so on, by operation.
    #[serde(default)]
    pub changes: BTreeMap<String, f64>,
    /// When the run ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// Whether the stack is to be run whatever the inputs: the last run has not ended well, or there was none yet.
    #[serde(default)]
    pub pending: bool,
    /// The inner stack's settings with its secrets as its secrets provider encrypted them: kept so that they need not be encrypted anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Secret<String>>,
}

impl From<StackState> for StackUpdateState {
    fn from(state: StackState) -> Self {
        Self {
            outputs: state.outputs,
            plain_outputs: state.plain_outputs,
            changes: state.changes,
            last_update_time: state.last_update_time,
            pending: state.pending,
            settings: state.settings,
        }
    }
}

impl StackUpdateState {
    fn of_stack(&self) -> StackState {
        StackState {
            outputs: self.outputs.clone(),
            settings: self.settings.clone(),
            pending: self.pending,
            ..StackState::default()
        }
    }
}

/// The resource `ptd:index:StackUpdate`.
#[derive(Debug)]
pub struct StackUpdate;

/// The inputs to run the stack with.
fn stack_args(args: &StackUpdateArgs) -> Result<StackArgs, Error> {
    let of_owner = Spec::parse(args.spec.expose())?;
    Ok(StackArgs {
        message: args.message.clone(),
        ..of_owner
    })
}

/// Whether going from one to the other runs the stack.
fn runs(old: &StackUpdateArgs, new: &StackUpdateArgs) -> bool {
    old.triggers != new.triggers || !Spec::same(old.spec.expose(), new.spec.expose())
}

impl StackUpdate {
    async fn run(
        cx: &Context<Ptd>,
        args: &StackUpdateArgs,
        id: &str,
        before: &StackUpdateState,
        old: Option<&StackUpdateArgs>,
    ) -> Result<StackUpdateState, Error> {
        run::be_patient(cx);
        let stack = stack_args(args)?;
        let work = async {
            let old = old.and_then(|old| stack_args(old).ok());
            let mut inner = Inner::open(cx, &stack, Some(&before.of_stack())).await?;
            inner.require_program(&stack)?;
            let begun = StackUpdateState {
                pending: true,
                ..before.clone()
            };
            cx.checkpoint(id, &begun);
            if before.settings.is_none() {
                let Some(exported) = inner.export(cx, &stack).await? else {
                    return Err(Error::refused(
                        format!(
                            "there is no stack {} in {} to run again",
                            stack.stack, stack.backend_url
                        ),
                        "let this resource depend on the Stack whose spec it takes",
                    ));
                };
                inner.adopt(&exported);
            } else if let Some(was) = &old {
                inner.follow_encryption(cx, &stack, was).await?;
            }
            inner.configure(cx, &stack, old.as_ref()).await?;
            inner.install(cx, &stack).await?;
            cx.alive()?;
            let outcome = inner.operate(cx, Operation::Up, &stack).await?;
            let state = Stack::known_after(cx, &mut inner, &stack, &outcome).await?;
            Ok(state.into())
        };
        report::noted(cx, &stack.stack, Operation::Up, Box::pin(work)).await
    }
}

impl Resource for StackUpdate {
    type Provider = Ptd;
    type Args = StackUpdateArgs;
    type State = StackUpdateState;

    const TOKEN: &'static str = "ptd:index:StackUpdate";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        if checking.known("skip") == Some(true) && checking.keep_old() {
            checking.set("skip", true);
            return;
        }
        refuse_secrets(checking, &["message"]);
        if let Some(spec) = checking.known::<String>("spec")
            && let Err(error) = Spec::parse(&spec)
        {
            checking.refuse("spec", error.to_string());
        }
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, _: Option<&Ptd>) {
        let news: Option<StackUpdateArgs> = pulumi_provider::from_properties(news).ok();
        let pending = old.state.as_ref().is_some_and(|state| state.pending);
        if let (Some(news), Some(olds)) = (news, &old.args) {
            let spec = Path::root().key("spec");
            if Spec::moves(olds.spec.expose(), news.spec.expose()) {
                diff.replace(spec);
            } else if Spec::same(olds.spec.expose(), news.spec.expose()) {
                diff.ignore(&spec);
            }
            if news.skip || !pending {
                diff.ignore(&Path::root().key("skip"));
            }
        }
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let (Some(args), Some((_, old))) = (&request.args, &request.old) else {
            cx.status("will run again after its owner").await;
            return Ok(());
        };
        let (Some(was), Some(state)) = (&old.args, &old.state) else {
            return Ok(());
        };
        if args.skip || (!state.pending && !runs(was, args)) {
            foresee::known(&state.of_stack()).promise(prediction);
        } else if !Spec::same(was.spec.expose(), args.spec.expose()) {
            cx.status("will run again after its owner").await;
        } else {
            run::be_patient(cx);
            let stack = stack_args(args)?;
            let before = state.of_stack();
            let old = stack_args(was).ok();
            let outcome = match run::is_there(&stack).await {
                Some(false) => Previewed::Absent,
                _ => Inner::preview(cx, &stack, Some(&before), old.as_ref()).await?,
            };
            match outcome {
                Previewed::Done(outcome) => {
                    let steady = was.triggers == args.triggers;
                    if let Some(known) = foresee::foreseen(&before, &outcome, steady) {
                        known.promise(prediction);
                    }
                }
                Previewed::Absent => cx.status("will run again after its owner").await,
                Previewed::Unprepared => {}
            }
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: StackUpdateArgs,
    ) -> Result<Created<StackUpdateState>, Error> {
        let stack = stack_args(&args)?;
        let id = identity::id(&stack.backend_url, &stack.stack);
        let none = StackUpdateState {
            pending: true,
            ..StackUpdateState::default()
        };
        let state = if args.skip {
            cx.info("skipped; it was never run").await;
            none
        } else {
            Self::run(cx, &args, &id, &none, None).await?
        };
        Ok(Created { id, state })
    }

    async fn read(
        _: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let Some(prior) = prior.filter(|prior| !prior.inputs.is_empty()) else {
            return Err(Error::refused(
                format!("a run of stack {id} cannot be imported"),
                "declare the resource without import: it runs the stack again, which changes nothing where nothing is to be changed",
            ));
        };
        let args = prior.require_args()?;
        let state = prior.state.unwrap_or_default();
        let stack = stack_args(&args)?;
        Ok(Some(Observed {
            problems: not_run(state.pending && !args.skip, &stack.stack),
            ..Observed::new(args, state)
        }))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: StackUpdateArgs,
    ) -> Result<StackUpdateState, Error> {
        let before = old.state.unwrap_or_default();
        if let Some(was) = &old.args
            && (args.skip || (!before.pending && !runs(was, &args)))
        {
            return Ok(before);
        }
        Self::run(cx, &args, id, &before, old.args.as_ref()).await
    }

    async fn delete(_: &Context<Ptd>, _: &str, _: Prior<Self>) -> Result<(), Error> {
        Ok(())
    }
}
