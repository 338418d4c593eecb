//! `ptd:index:Stack`: an inner Pulumi stack.

use std::collections::BTreeMap;
use std::time::SystemTime;

use pulumi_automation::{Operation, Outcome, Settings};
use pulumi_provider::{
    Change, Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, PropertyValue, Resource, Step,
};

use super::args::{OnDelete, StackArgs, StackState};
use super::aside;
use super::run::{self, Inner};
use super::spec::Spec;
use super::{foresee, identity, report};
use crate::Ptd;

/// The resource `ptd:index:Stack`.
#[derive(Debug)]
pub struct Stack;

impl Stack {
    /// Runs the inner update and gives what is known afterwards.
    pub(super) async fn up(
        cx: &Context<Ptd>,
        inner: &mut Inner,
        args: &StackArgs,
        id: &str,
        before: &StackState,
    ) -> Result<StackState, Error> {
        // Were the run to end here, the next one continues with these settings.
        let begun = StackState {
            settings: Some(inner.settings().into()),
            pending: true,
            ..before.clone()
        };
        cx.checkpoint(id, &begun);
        cx.alive()?;
        inner.install(cx, args).await?;
        let outcome = inner.operate(cx, Operation::Up, args).await?;
        let state = StackState {
            spec: before.spec.clone(),
            ..Self::known_after(cx, inner, args, &outcome).await?
        };
        cx.checkpoint(id, &state);
        Ok(state)
    }

    /// What is known after an update.
    pub(super) async fn known_after(
        cx: &Context<Ptd>,
        inner: &mut Inner,
        args: &StackArgs,
        outcome: &Outcome,
    ) -> Result<StackState, Error> {
        let ended = SystemTime::now();
        let none = BTreeMap::new();
        let marked = outcome.outputs.as_ref().unwrap_or(&none);
        let dated = inner.is_numbered();
        let (outputs, last) = inner.reveal(cx, args, marked, dated).await?;
        Ok(StackState {
            plain_outputs: foresee::plain(&outputs),
            outputs,
            changes: counts(outcome.changes.resource_changes.iter()),
            resource_count: resource_count(outcome),
            last_update_version: last.as_ref().and_then(foresee::version),
            last_update_time: Some(last.map_or_else(|| report::text(ended), |last| last.end_time)),
            url: identity::page(&args.backend_url, &args.stack),
            drift: BTreeMap::new(),
            pending: false,
            spec: None,
            settings: Some(inner.settings().into()),
        })
    }

    /// What is recorded of the stack; nothing is run. `None` when there is no such stack.
    async fn recorded(
        cx: &Context<Ptd>,
        inner: &mut Inner,
        args: &StackArgs,
        before: StackState,
    ) -> Result<Option<StackState>, Error> {
        let Some(exported) = inner.export(cx, args).await? else {
            return Ok(None);
        };
        inner.adopt(&exported);
        let marked = foresee::recorded_outputs(&exported);
        let (outputs, last) = inner.reveal(cx, args, &marked, true).await?;
        let last_update_version = last.as_ref().and_then(foresee::version);
        let last_update_time = foresee::later(before.last_update_time.clone(), last);
        let hidden: Vec<&str> = marked
            .keys()
            .filter(|name| !outputs.contains_key(*name))
            .map(String::as_str)
            .collect();
        if !hidden.is_empty() {
            cx.warn(format!(
                "secret outputs cannot be read without the stack's passphrase, and are left out until the next refresh: {}",
                hidden.join(", ")
            ))
            .await;
        }
        Ok(Some(StackState {
            plain_outputs: foresee::plain(&outputs),
            outputs,
            resource_count: count(foresee::resources(&exported).len()),
            last_update_version,
            last_update_time,
            url: identity::page(&args.backend_url, &args.stack),
            settings: Some(inner.settings().into()),
            ..before
        }))
    }

    async fn make(cx: &Context<Ptd>, args: StackArgs) -> Result<Created<StackState>, Error> {
        let id = identity::id(&args.backend_url, &args.stack);
        let mut inner = if args.observe || args.skip {
            Inner::open_stored(cx, &args, None, false).await?
        } else {
            Inner::open(cx, &args, None).await?
        };
        cx.alive()?;
        let none = StackState {
            spec: Some(Spec::of(&args)),
            pending: true,
            ..StackState::default()
        };
        if args.observe || args.skip {
            let before = StackState {
                pending: args.skip,
                ..none.clone()
            };
            let state = match Self::recorded(cx, &mut inner, &args, before).await? {
                Some(state) => state,
                None if args.skip => {
                    cx.info("skipped; it was never run").await;
                    none
                }
                None => {
                    return Err(Error::refused(
                        format!(
                            "there is no stack {} in {} to observe",
                            args.stack, args.backend_url
                        ),
                        "correct the input stack or backendUrl, or give the stack a program that creates it",
                    ));
                }
            };
            return Ok(Created { id, state });
        }
        inner.require_program(&args)?;
        let (engine, identity) = (
            cx.engine_address(),
            identity::identity(&args.backend_url, &args.stack),
        );
        let mark = move || match engine.and_then(|engine| run::folder(&engine)) {
            Some(folder) => folder.note_made(&identity),
            None => Ok(()),
        };
        if let Err(error) = aside(mark).await {
            tracing::warn!(%error, "should this replace the stack's resource, that may end the stack");
        }
        if inner.ensure(cx, &args).await? {
            cx.info(format!("takes over the existing stack {}", args.stack))
                .await;
        }
        let begun = StackState {
            settings: Some(inner.settings().into()),
            ..none
        };
        cx.checkpoint(&id, &begun);
        inner.configure(cx, &args, None).await?;
        let state = Self::up(cx, &mut inner, &args, &id, &begun).await?;
        Ok(Created { id, state })
    }

    /// What deleting the resource does to the stack.
    async fn end(
        cx: &Context<Ptd>,
        args: &StackArgs,
        state: Option<&StackState>,
    ) -> Result<(), Error> {
        let destroys = args.on_delete != OnDelete::Refuse;
        let mut inner = Inner::open_stored(cx, args, state, destroys).await?;
        let Some(exported) = inner.export(cx, args).await? else {
            return Ok(());
        };
        let left = foresee::resources(&exported);
        match args.on_delete {
            OnDelete::Refuse if !left.is_empty() => {
                let some: Vec<&str> = left.iter().take(3).copied().collect();
                let more = if left.len() > some.len() { ", …" } else { "" };
                return Err(Error::refused(
                    format!(
                        "stack {} has {} resources: {}{more}",
                        args.stack,
                        left.len(),
                        some.join(", ")
                    ),
                    "set onDelete to destroy, destroyAndRemove or retain, and run an update that applies it, before deleting",
                ));
            }
            OnDelete::Refuse | OnDelete::Retain => return Ok(()),
            OnDelete::Destroy | OnDelete::DestroyAndRemove => {}
        }
        cx.alive()?;
        if foresee::holds_any(&exported) {
            inner.adopt(&exported);
            inner.configure(cx, args, Some(args)).await?;
            if let Err(error) = inner.install(cx, args).await {
                cx.alive()?;
                // Few programs have providers of their own.
                cx.warn(format!("goes on without an installation: {error}"))
                    .await;
            }
            let whole = StackArgs {
                targets: Vec::new(),
                excludes: Vec::new(),
                ..args.clone()
            };
            inner.operate(cx, Operation::Destroy, &whole).await?;
        }
        if args.on_delete == OnDelete::DestroyAndRemove {
            inner.remove(cx, args).await?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has that many resources")]
fn count(count: usize) -> f64 {
    count as f64
}

/// Counts without those that are none.
#[expect(clippy::cast_precision_loss, reason = "nobody has that many resources")]
pub(super) fn counts<'a>(
    all: impl Iterator<Item = (&'a String, &'a u64)>,
) -> BTreeMap<String, f64> {
    all.filter(|(_, count)| **count > 0)
        .map(|(op, count)| (op.clone(), *count as f64))
        .collect()
}

/// How many resources there are after an update; the stack's own counts for none.
fn resource_count(outcome: &Outcome) -> f64 {
    const GONE: [&str; 4] = ["delete", "delete-replaced", "discard-replaced", "discard"];
    let kept = counts(outcome.changes.resource_changes.iter());
    let all: f64 = kept
        .iter()
        .filter(|(op, _)| !GONE.contains(&op.as_str()))
        .map(|(_, count)| count)
        .sum();
    (all - 1.0).max(0.0)
}

impl Resource for Stack {
    type Provider = Ptd;
    type Args = StackArgs;
    type State = StackState;

    const TOKEN: &'static str = "ptd:index:Stack";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        super::check::check(checking);
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, _: Option<&Ptd>) {
        // A refresh leaves out what is empty, a program may say it.
        let nothing = |path: &Path| {
            let top = path.top().unwrap_or_default();
            is_empty(old.inputs.get(top)) && is_empty(news.get(top))
        };
        let empty: Vec<Path> = diff.changes().map(|(path, _)| path.clone()).collect();
        for path in empty.iter().filter(|path| nothing(path)) {
            diff.ignore(path);
        }
        let news: Option<StackArgs> = pulumi_provider::from_properties(news).ok();
        let Some(olds) = &old.args else { return };
        let pending = old.state.as_ref().is_some_and(|state| state.pending);
        let all: Vec<Path> = diff.changes().map(|(path, _)| path.clone()).collect();
        let observes = olds.observe || news.as_ref().is_some_and(|news| news.observe);
        let skips = news.as_ref().is_some_and(|news| news.skip);
        for path in &all {
            let top = path.top().unwrap_or_default();
            let identity = matches!(top, "stack" | "backendUrl");
            let same_work = match (path.steps(), &news) {
                ([_, Step::Key(variable), ..], Some(news)) if top == "environment" => {
                    olds.is_same_work(news, variable)
                }
                _ => false,
            };
            let quiet = observes || (skips && top != "onDelete");
            if (quiet && !identity) || (top == "skip" && !pending) || same_work {
                diff.ignore(path);
            }
        }
        if let (Some(news), Some(state)) = (&news, &old.state)
            && news.heals(state)
        {
            diff.add(Path::root().key("drift"), Change::Update);
        }
        // Whether another stack is meant is known only when both are.
        let Some(news) = news else { return };
        let same = olds.is_same_stack(&news);
        for name in ["stack", "backendUrl"] {
            if !same && diff.touches(name) {
                diff.replace(Path::root().key(name));
            }
        }
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        Self::show(cx, request, prediction).await
    }

    async fn create(cx: &Context<Ptd>, args: StackArgs) -> Result<Created<StackState>, Error> {
        run::be_patient(cx);
        let stack = args.stack.clone();
        report::noted(cx, &stack, Operation::Up, Box::pin(Self::make(cx, args))).await
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        run::be_patient(cx);
        let Some(prior) = prior.filter(|prior| !prior.inputs.is_empty()) else {
            return import(cx, id).await;
        };
        let args = prior.require_args()?;
        let before = prior.state.unwrap_or_default();
        let mut inner = Inner::open_stored(cx, &args, Some(&before), false).await?;
        cx.alive()?;
        inner.forgo_secrets = args.observe;
        let state = Self::recorded(cx, &mut inner, &args, before).await?;
        let Some(mut state) = state else {
            return Ok(None);
        };
        if !args.observe && !args.skip && state.resource_count > 0.0 {
            let quiet = StackArgs {
                message: None,
                targets: Vec::new(),
                excludes: Vec::new(),
                ..args.clone()
            };
            let look = async {
                inner.configure(cx, &args, Some(&args)).await?;
                inner.operate(cx, Operation::RefreshPreview, &quiet).await
            };
            match look.await {
                Ok(outcome) => {
                    let changes = &outcome.changes.resource_changes;
                    state.drift = counts(
                        changes
                            .iter()
                            .filter(|(op, _)| matches!(op.as_str(), "update" | "delete")),
                    );
                }
                Err(error) => {
                    cx.alive()?;
                    cx.warn(format!(
                        "whether resources of it have changed cannot be told: {error}"
                    ))
                    .await;
                }
            }
        }
        let due = state.pending && !args.skip && !args.observe;
        Ok(Some(Observed {
            problems: not_run(due, &args.stack),
            ..Observed::new(args, state)
        }))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: StackArgs,
    ) -> Result<StackState, Error> {
        let mut before = old.state.clone().unwrap_or_default();
        before.spec = Some(Spec::of(&args));
        if let Some(was) = &old.args
            && was.rests(&args, &before)
        {
            return Ok(before);
        }
        run::be_patient(cx);
        let work = async {
            let mut inner = Inner::open(cx, &args, old.state.as_ref()).await?;
            inner.require_program(&args)?;
            if !Inner::is_known(old.state.as_ref()) {
                inner.ensure(cx, &args).await?;
            } else if let Some(was) = &old.args {
                inner.follow_encryption(cx, &args, was).await?;
            }
            inner.configure(cx, &args, old.args.as_ref()).await?;
            Self::up(cx, &mut inner, &args, id, &before).await
        };
        report::noted(cx, &args.stack, Operation::Up, Box::pin(work)).await
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        if args.on_delete == OnDelete::Retain || args.observe {
            cx.info(format!("leaves the inner stack {id} as it is"))
                .await;
            return Ok(());
        }
        let identity = identity::identity(&args.backend_url, &args.stack);
        let engine = cx.engine_address();
        let urn = cx.urn().to_owned();
        let owner = move || {
            let Some(folder) = engine.and_then(|engine| run::folder(&engine)) else {
                return Ok(None);
            };
            let owner = folder.owner(&identity);
            Ok(owner.filter(|owner| *owner != urn || folder.is_made(&identity)))
        };
        if let Ok(Some(owner)) = aside(owner).await {
            // A resource that was renamed without an alias, or is replaced, is created before the old one is deleted, and creating
            // takes over the stack.
            cx.warn(format!(
                "leaves the inner stack {id} as it is: {owner} has taken it over"
            ))
            .await;
            return Ok(());
        }
        run::be_patient(cx);
        let work = Self::end(cx, &args, old.state.as_ref());
        report::noted(cx, &args.stack, Operation::Destroy, Box::pin(work)).await
    }
}

/// Whether a list or a map has nothing in it, or is not given at all.
fn is_empty(value: Option<&PropertyValue>) -> bool {
    match value.map(PropertyValue::bare) {
        None | Some(Some(PropertyValue::Null)) => true,
        Some(Some(PropertyValue::List(items))) => items.is_empty(),
        Some(Some(PropertyValue::Map(fields))) => fields.is_empty(),
        Some(_) => false,
    }
}

/// What a refresh must not make forget: without it the next update would find nothing to do.
pub(super) fn not_run(due: bool, stack: &str) -> Vec<String> {
    let text =
        || format!("the last run of stack {stack} did not end well; the next update runs it");
    due.then(text).into_iter().collect()
}

/// Looks at an existing stack of which only the id is known.
async fn import(cx: &Context<Ptd>, id: &str) -> Result<Option<Observed<Stack>>, Error> {
    let Some((backend, stack)) = identity::parse_id(id) else {
        return Err(Error::refused(
            format!("{id:?} is not the id of a stack"),
            "give <backend URL>#<organization>/<project>/<stack>",
        ));
    };
    let mut args = StackArgs {
        observe: true,
        stack: stack.to_owned(),
        backend_url: backend.to_owned(),
        inherit_environment: ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"]
            .map(str::to_owned)
            .to_vec(),
        ..StackArgs::default()
    };
    let mut inner = Inner::open(cx, &args, None).await?;
    inner.forgo_secrets = true;
    let state = Stack::recorded(cx, &mut inner, &args, StackState::default()).await?;
    args.inherit_environment.clear();
    Ok(state.map(|mut state| {
        let settings = state
            .settings
            .as_ref()
            .and_then(|text| Settings::parse(text.expose()).ok());
        args.secrets_provider =
            settings.and_then(|settings| settings.secrets_provider().map(str::to_owned));
        state.spec = Some(Spec::of(&args));
        Observed::new(args, state)
    }))
}
