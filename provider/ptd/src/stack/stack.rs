//! `ptd:index:Stack`: an inner Pulumi stack.

use std::collections::{BTreeMap, BTreeSet};

use pulumi_automation::{Location, Operation, Outcome, is_secret};
use pulumi_provider::{
    Checking, Context, Created, Error, Marked, Observed, Path, Prediction, Preview, Prior,
    PropertyValue, Resource, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run::{Inner, has_program};
use super::source;
use crate::Ptd;

/// What happens to the inner stack when the resource is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnDelete {
    /// Deleting is refused while the inner stack has resources.
    #[default]
    Refuse,
    /// The inner stack stays as it is.
    Retain,
    /// The resources of the inner stack are destroyed; the empty stack and its history stay.
    Destroy,
    /// The resources of the inner stack are destroyed, then the stack is removed.
    DestroyAndRemove,
}

/// A whole Pulumi stack as a resource: creating and updating it run `pulumi up` of a project, previewing it runs a preview. Edges
/// between such resources make one program of a pipeline of stacks, which the engine orders and runs in parallel.
///
/// The inner stack stays an ordinary one that can be used by hand: it has its own backend, name, state and secrets provider. Its
/// project directory is only read: settings and secrets of the run are kept in a private directory, and secrets reach the `pulumi`
/// program, which must be on the PATH, by its standard input.
///
/// The inner program does not inherit the variables of the outer run that begin with `PULUMI`, except `PULUMI_HOME`: what it
/// needs of them is given in `environment` or named in `inheritEnvironment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackArgs {
    /// The directory with the inner project (its `Pulumi.yaml`), relative to the program's directory.
    pub directory: String,
    /// The inner stack's full name, `<organization>/<project>/<stack>`. The project is the one in its `Pulumi.yaml`; in
    /// self-managed backends (all but Pulumi Cloud) the organization is always `organization`. Another name means another stack:
    /// the resource is replaced.
    #[schemars(extend("replace" = true))]
    pub stack: String,
    /// The URL of the backend that holds the inner stack's state, such as `s3://ptd-acme01-staging?region=us-east-2`. Another
    /// backend means another stack: the resource is replaced.
    #[schemars(extend("replace" = true))]
    pub backend_url: String,
    /// How the inner stack encrypts its secrets when it is created, such as `awskms://alias/posit-team-dedicated?region=us-east-2` or
    /// `passphrase`. Default: what the backend does by itself, which is `passphrase` for self-managed ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_provider: Option<String>,
    /// The inner stack's configuration. A key without a namespace gets the project's name as one. Values are texts, numbers, booleans,
    /// lists or maps; secret ones are encrypted with the inner stack's secrets provider. It goes over what
    /// `Pulumi.<stack>.yaml` in the directory says; a key that is dropped here disappears.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Marked<Value>>,
    /// Environment variables for the inner run, such as `PULUMI_CONFIG_PASSPHRASE`. A change of a variable runs the stack again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Marked<String>>,
    /// Names of variables of the outer run's environment that the inner one gets although their names begin with `PULUMI`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit_environment: Vec<String>,
    /// Values of any kind. A change of one runs the stack again: outputs of other stacks that the program reads by itself, say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, Marked<Value>>,
    /// More files and directories, relative to the program's directory, whose change runs the stack again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<String>,
    /// Only these resources of the inner stack are updated, by URN. Not together with `excludes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// These resources of the inner stack are left out, by URN. Not together with `targets`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    /// How many resources of the inner stack are worked on at once, at least 1. Default: that of the `pulumi` program.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub parallel: Option<u32>,
    /// Whether each update of the inner stack first brings its state to what its resources really are. Default: no.
    #[serde(default)]
    pub refresh: bool,
    /// A message for the inner stack's history. A change of it alone runs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What happens to the inner stack when the resource is deleted. It is read from the state, so that it must have been applied by an
    /// earlier update.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// The SHA-256 of each file of the program, by path. Set by the provider; a value given here is ignored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub source_digests: BTreeMap<String, String>,
}

/// What is known of an inner stack after its update.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackState {
    /// The inner stack's outputs; secret ones stay secret.
    #[serde(default)]
    pub outputs: BTreeMap<String, Marked<Value>>,
    /// How many resources the last inner update created, updated, replaced and so on, by operation.
    #[serde(default)]
    pub changes: BTreeMap<String, f64>,
    /// The inner stack's settings with its secrets as its secrets provider encrypted them: kept so that they need not be encrypted anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Secret<String>>,
}

/// The resource `ptd:index:Stack`.
#[derive(Debug)]
pub struct Stack;

/// Sets the digests of the sources, which a diff then compares.
fn digest(checking: &mut Checking<'_>) {
    let (Some(directory), Some(stack)) = (
        checking.known::<String>("directory"),
        checking.known::<String>("stack"),
    ) else {
        return;
    };
    let name = stack.rsplit('/').next().unwrap_or_default().to_owned();
    let watched: Vec<String> = checking.known("watch").unwrap_or_default();
    let mut found = BTreeMap::new();
    let mut failed = Vec::new();
    // Hashing a large program takes long enough to disturb others on this thread.
    tokio::task::block_in_place(|| {
        if let Err(error) = source::digests(directory.as_ref(), "", &name, &mut found) {
            failed.push((Path::root().key("directory"), error));
        }
        for (at, path) in watched.iter().enumerate() {
            if let Err(error) = source::digests(path.as_ref(), path, &name, &mut found) {
                failed.push((Path::root().key("watch").index(at), error));
            }
        }
    });
    if failed.is_empty() && !found.contains_key("Pulumi.yaml") && !found.contains_key("Pulumi.yml")
    {
        checking.refuse(
            "directory",
            format!("{directory} has no Pulumi.yaml: it must be that of a Pulumi project"),
        );
    }
    for (path, error) in failed {
        checking.fail(path, error.to_string());
    }
    checking.set("sourceDigests", found);
}

impl Stack {
    /// Runs the inner update and gives what is known afterwards.
    async fn up(
        cx: &Context<Ptd>,
        inner: &mut Inner,
        args: &StackArgs,
        id: &str,
        before: &StackState,
    ) -> Result<StackState, Error> {
        // Were the run to end here, the next one continues with these settings.
        let begun = StackState {
            settings: Some(inner.settings().into()),
            ..before.clone()
        };
        cx.checkpoint(id, &begun);
        cx.alive()?;
        let outcome = inner.operate(cx, Operation::Up, args).await?;
        let outputs = inner
            .outputs(&outcome.outputs.clone().unwrap_or_default(), args)
            .await?;
        let state = state(inner, &outcome, outputs);
        cx.checkpoint(id, &state);
        Ok(state)
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has that many resources")]
fn state(inner: &Inner, outcome: &Outcome, outputs: BTreeMap<String, Marked<Value>>) -> StackState {
    let changes = outcome
        .changes
        .resource_changes
        .iter()
        .filter(|(_, count)| **count > 0);
    StackState {
        outputs,
        changes: changes
            .map(|(op, count)| (op.clone(), *count as f64))
            .collect(),
        settings: Some(inner.settings().into()),
    }
}

fn id(args: &StackArgs) -> String {
    format!("{}#{}", args.backend_url, args.stack)
}

/// The resources of an exported state, without the stack's own.
fn resources(state: &Value) -> Vec<&str> {
    let all = state
        .pointer("/deployment/resources")
        .and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .filter(|r| r.get("type").and_then(Value::as_str) != Some("pulumi:pulumi:Stack"))
        .filter_map(|r| r.get("urn")?.as_str())
        .collect()
}

impl Resource for Stack {
    type Provider = Ptd;
    type Args = StackArgs;
    type State = StackState;

    const TOKEN: &'static str = "ptd:index:Stack";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        let backend = checking.known::<String>("backendUrl");
        if let Some(stack) = checking.known::<String>("stack")
            && let Err(error) = Location::new("file:///", &stack)
        {
            checking.refuse("stack", error.to_string());
        }
        if let Some(backend) = backend
            && let Err(error) = Location::new(&backend, "organization/project/stack")
        {
            checking.refuse("backendUrl", error.to_string());
        }
        let some = |name: &str| {
            checking
                .known::<Vec<String>>(name)
                .is_some_and(|list| !list.is_empty())
        };
        if some("targets") && some("excludes") {
            checking.refuse("excludes", "cannot be given together with targets");
        }
        if checking.is_ok() {
            digest(checking);
        }
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        prediction.unknown("changes");
        prediction.unknown("settings");
        let Some((_, old)) = &request.old else {
            // Neither a backend nor a stack may be opened that perhaps only this run creates.
            cx.status("previewed once it exists").await;
            return Ok(());
        };
        let (Some(args), Some(state)) = (&request.args, &old.state) else {
            cx.status("runs once its inputs are known").await;
            return Ok(());
        };
        let outputs = if let Some(before) = &old.args
            && !runs(before, args)
        {
            known(state)
        } else {
            let mut inner = Inner::open(args, Some(state)).await?;
            inner.configure(args, old.args.as_ref()).await?;
            cx.patience(super::run::GRACE);
            let outcome = inner.operate(cx, Operation::Preview, args).await?;
            cx.info(summary("would", &outcome)).await;
            foreseen(state, &outcome)
        };
        prediction.value("outputs", outputs);
        Ok(())
    }

    async fn create(cx: &Context<Ptd>, args: StackArgs) -> Result<Created<StackState>, Error> {
        let mut inner = Inner::open(&args, None).await?;
        cx.patience(super::run::GRACE);
        cx.alive()?;
        if inner.ensure(&args).await? {
            cx.info(format!("takes over the existing stack {}", args.stack))
                .await;
        }
        let id = id(&args);
        let none = StackState {
            settings: Some(inner.settings().into()),
            ..StackState::default()
        };
        cx.checkpoint(&id, &none);
        inner.configure(&args, None).await?;
        let state = Self::up(cx, &mut inner, &args, &id, &none).await?;
        Ok(Created { id, state })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let Some(prior) = prior else {
            return Err(Error::refused(
                format!("stack {id} cannot be imported"),
                "declare the resource without import: creating it takes over the existing stack",
            ));
        };
        let args = prior.require_args()?;
        let inner = Inner::open(&args, prior.state.as_ref()).await?;
        let Some(exported) = inner.export(&args).await? else {
            return Ok(None);
        };
        cx.alive()?;
        let all = exported
            .pointer("/deployment/resources")
            .and_then(Value::as_array);
        let root = all
            .into_iter()
            .flatten()
            .find(|r| r.get("type").and_then(Value::as_str) == Some("pulumi:pulumi:Stack"));
        let marked: BTreeMap<String, Value> = root
            .and_then(|root| root.get("outputs"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), mark_deep(value)))
            .collect();
        let outputs = inner.outputs(&marked, &args).await?;
        let state = StackState {
            outputs,
            changes: prior
                .state
                .as_ref()
                .map(|s| s.changes.clone())
                .unwrap_or_default(),
            settings: prior.state.and_then(|s| s.settings),
        };
        Ok(Some(Observed::new(args, state)))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: StackArgs,
    ) -> Result<StackState, Error> {
        let before = old.state.clone().unwrap_or_default();
        if let (Some(was), Some(state)) = (&old.args, &old.state)
            && !runs(was, &args)
            && state.settings.is_some()
        {
            return Ok(state.clone());
        }
        let mut inner = Inner::open(&args, old.state.as_ref()).await?;
        cx.patience(super::run::GRACE);
        inner.ensure(&args).await?;
        inner.configure(&args, old.args.as_ref()).await?;
        Self::up(cx, &mut inner, &args, id, &before).await
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        if args.on_delete == OnDelete::Retain {
            cx.info(format!("leaves the inner stack {id} as it is"))
                .await;
            return Ok(());
        }
        let mut inner = Inner::open(&args, old.state.as_ref()).await?;
        let Some(exported) = inner.export(&args).await? else {
            return Ok(());
        };
        let left = resources(&exported);
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
        cx.patience(super::run::GRACE);
        cx.alive()?;
        if !left.is_empty() {
            inner.ensure(&args).await?;
            inner.configure(&args, Some(&args)).await?;
            if !has_program(&args.directory).await {
                inner.without_program();
            }
            inner.operate(cx, Operation::Destroy, &args).await?;
        }
        if args.on_delete == OnDelete::DestroyAndRemove {
            inner.remove(&args).await?;
        }
        Ok(())
    }
}

/// Whether a change of inputs runs the inner program.
fn runs(old: &StackArgs, new: &StackArgs) -> bool {
    let quiet = |args: &StackArgs| StackArgs {
        message: None,
        on_delete: OnDelete::default(),
        directory: String::new(),
        ..args.clone()
    };
    quiet(old) != quiet(new)
}

fn known(state: &StackState) -> PropertyValue {
    let each = state
        .outputs
        .iter()
        .map(|(name, value)| (name.clone(), marked(value)));
    PropertyValue::Map(each.collect())
}

fn marked(value: &Marked<Value>) -> PropertyValue {
    pulumi_provider::to_value(value).unwrap_or(PropertyValue::UNKNOWN)
}

/// The outputs after an update that was only previewed: those that the preview leaves as they are. What a secret one becomes is not
/// told, so that they are known only when nothing changes at all.
fn foreseen(state: &StackState, outcome: &Outcome) -> PropertyValue {
    let Some(shown) = &outcome.outputs else {
        return PropertyValue::UNKNOWN;
    };
    let quiet = !outcome.changes.has_changes();
    let names: BTreeSet<&String> = shown.keys().collect();
    let each = names.into_iter().map(|name| {
        let before = state.outputs.get(name);
        let same = match (before, shown.get(name)) {
            (Some(before), Some(now)) if before.secret || is_secret(now) => {
                quiet && before.secret && is_secret(now)
            }
            (Some(before), Some(now)) => before.value == *now,
            _ => false,
        };
        let value = before
            .filter(|_| same)
            .map_or(PropertyValue::UNKNOWN, marked);
        (name.clone(), value)
    });
    PropertyValue::Map(each.collect())
}

/// A secret anywhere inside makes the whole output one, as events have it.
fn mark_deep(value: &Value) -> Value {
    fn holds(value: &Value) -> bool {
        is_secret(value)
            || match value {
                Value::Array(items) => items.iter().any(holds),
                Value::Object(fields) => fields.values().any(holds),
                _ => false,
            }
    }
    if holds(value) {
        pulumi_automation::secret_mark()
    } else {
        value.clone()
    }
}

fn summary(verb: &str, outcome: &Outcome) -> String {
    let changes = outcome
        .changes
        .resource_changes
        .iter()
        .filter(|(op, count)| **count > 0 && *op != "same");
    let all: Vec<String> = changes.map(|(op, count)| format!("{op} {count}")).collect();
    if all.is_empty() {
        "the inner stack would not change".to_owned()
    } else {
        format!("{verb} {}", all.join(", "))
    }
}
