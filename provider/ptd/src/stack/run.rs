//! Running an inner stack for a resource.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use pulumi_automation as automation;
use pulumi_automation::{
    Cli, Environment, Event, EventKind, Location, Operation, Outcome, Run, is_secret,
};
use pulumi_provider::{Context, Error, Marked};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::stack::{StackArgs, StackState};
use crate::Ptd;

/// How long an interrupted inner update may take to finish what it has begun.
pub(super) const GRACE: Duration = Duration::from_mins(1);
/// How often progress is told at most.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Variables of this process that inner ones get. The outer engine's own, `PULUMI_CONFIG` with its secrets in plain text among
/// them, are none of their business.
fn inherited(name: &str) -> bool {
    const OF_PULUMI: [&str; 4] = [
        "PULUMI_HOME",
        "PULUMI_PYTHON_CMD",
        "PULUMI_SKIP_UPDATE_CHECK",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    ];
    OF_PULUMI.contains(&name) || name.starts_with("PULUMI_K8S_") || !name.starts_with("PULUMI")
}

/// An inner stack, ready to be run.
pub(super) struct Inner {
    stack: automation::Stack,
    name: String,
}

impl Inner {
    /// Nothing is asked of the backend, and nothing is created.
    pub(super) async fn open(args: &StackArgs, state: Option<&StackState>) -> Result<Self, Error> {
        let mut environment = Environment::inherit_where(inherited);
        for name in &args.inherit_environment {
            if let Some(value) = std::env::var_os(name) {
                environment.set(name, value);
            }
        }
        for (name, value) in &args.environment {
            environment.set(name, &value.value);
        }
        let location = Location::new(&args.backend_url, &args.stack)
            .map_err(|e| Error::refused(e.to_string(), "correct the input stack or backendUrl"))?;
        let name = location.full_name();
        let refuse = |e: automation::Error| {
            Error::refused(format!("stack {name}: {e}"), next_step(&e, args))
        };
        let cli = Cli::find(environment).await.map_err(refuse)?;
        let mut stack = automation::Stack::open(cli, location, &args.directory)
            .await
            .map_err(refuse)?;
        if let Some(kept) = state.and_then(|s| s.settings.as_ref()) {
            // What the state of the resource says about encryption is right; the rest of it is a cache.
            let kept = automation::Settings::parse(kept.expose()).map_err(refuse)?;
            stack.settings_mut().encrypt_like(&kept);
            for (key, value) in kept.config() {
                if value.get("secure").is_some() {
                    stack.settings_mut().set(key, value.clone());
                }
            }
        }
        Ok(Self { stack, name })
    }

    fn fail<'a>(&'a self, args: &'a StackArgs) -> impl Fn(automation::Error) -> Error + 'a {
        |error| {
            Error::refused(
                format!("stack {}: {error}", self.name),
                next_step(&error, args),
            )
        }
    }

    /// Creates the stack, or takes the one that is there. Says which.
    pub(super) async fn ensure(&mut self, args: &StackArgs) -> Result<bool, Error> {
        if let Some(provider) = &args.secrets_provider {
            self.stack.settings_mut().set_secrets_provider(provider);
        }
        let result = match self.stack.adopt().await {
            Ok(()) => return Ok(true),
            Err(automation::Error::NoStack { .. }) => {
                self.stack.create(args.secrets_provider.as_deref()).await
            }
            Err(error) => Err(error),
        };
        result.map_err(self.fail(args))?;
        Ok(false)
    }

    /// Brings the configuration to what the inputs say. Secrets that `old` had already are not encrypted again.
    pub(super) async fn configure(
        &mut self,
        args: &StackArgs,
        old: Option<&StackArgs>,
    ) -> Result<(), Error> {
        let project = self.stack.location().project().to_owned();
        let full = |key: &str| {
            if key.contains(':') {
                key.to_owned()
            } else {
                format!("{project}:{key}")
            }
        };
        let wanted: BTreeMap<String, &Marked<Value>> =
            args.config.iter().map(|(k, v)| (full(k), v)).collect();
        let before: BTreeMap<String, &Marked<Value>> = old
            .iter()
            .flat_map(|old| &old.config)
            .map(|(k, v)| (full(k), v))
            .collect();
        // What was dropped from the inputs is dropped here; what the project's own file says stays.
        self.stack
            .settings_mut()
            .retain(|key, _| wanted.contains_key(key) || !before.contains_key(key));
        for (key, value) in wanted {
            if !value.secret {
                self.stack.settings_mut().set(&key, value.value.clone());
                continue;
            }
            let same = before.get(&key).is_some_and(|old| *old == value);
            let kept = self
                .stack
                .settings()
                .get(&key)
                .is_some_and(|v| v.get("secure").is_some());
            if same && kept {
                continue;
            }
            let text = match &value.value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let done = self.stack.set_secret(&key, text.into()).await;
            done.map_err(self.fail(args))?;
        }
        Ok(())
    }

    /// Runs an operation, and tells how it goes.
    pub(super) async fn operate(
        &mut self,
        cx: &Context<Ptd>,
        operation: Operation,
        args: &StackArgs,
    ) -> Result<Outcome, Error> {
        let run = Run {
            message: args.message.clone(),
            targets: args.targets.clone(),
            excludes: args.excludes.clone(),
            parallel: args.parallel,
            refresh: args.refresh,
            cancel: CancellationToken::new(),
            grace: GRACE,
            ..Run::default()
        };
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut progress = Progress::default();
        let (name, next) = (self.name.clone(), args.clone());
        let fail = move |error: automation::Error| {
            Error::refused(format!("stack {name}: {error}"), next_step(&error, &next))
        };
        let work = self.stack.operate(operation, &run, move |event| {
            if let Some(line) = progress.note(event) {
                // Nobody listens any more once the operation is over.
                let _ = tell.send(line);
            }
        });
        let report = async {
            while let Some(line) = told.recv().await {
                match line {
                    Line::Status(text) => cx.status(text).await,
                    Line::Warning(text) => cx.warn(text).await,
                }
            }
        };
        let watched = run.cancel.clone();
        let stop = async {
            cx.cancellation().await;
            watched.cancel();
        };
        let both = async { tokio::join!(work, report).0 };
        let result = {
            tokio::pin!(both);
            tokio::select! {
                result = &mut both => result,
                // The inner update ends in its own time.
                () = stop => both.await,
            }
        };
        result.map_err(fail)
    }

    /// The outputs with their values. Asks for secret ones.
    pub(super) async fn outputs(
        &self,
        marked: &BTreeMap<String, Value>,
        args: &StackArgs,
    ) -> Result<BTreeMap<String, Marked<Value>>, Error> {
        let values = if marked.values().any(is_secret) {
            self.stack.outputs().await.map_err(self.fail(args))?
        } else {
            BTreeMap::new()
        };
        let each = marked.iter().map(|(name, value)| {
            let secret = is_secret(value);
            let value = if secret {
                values.get(name).cloned().unwrap_or_default()
            } else {
                value.clone()
            };
            (name.clone(), Marked { secret, value })
        });
        Ok(each.collect())
    }

    /// The exported state; `None` when there is no such stack.
    pub(super) async fn export(&self, args: &StackArgs) -> Result<Option<Value>, Error> {
        match self.stack.export().await {
            Ok(state) => Ok(Some(state)),
            Err(automation::Error::NoStack { .. }) => Ok(None),
            Err(error) => Err(self.fail(args)(error)),
        }
    }

    pub(super) async fn remove(&self, args: &StackArgs) -> Result<(), Error> {
        match self.stack.remove().await {
            Ok(()) | Err(automation::Error::NoStack { .. }) => Ok(()),
            Err(error) => Err(self.fail(args)(error)),
        }
    }

    /// Destroys without the program, whose directory is gone.
    pub(super) fn without_program(&mut self) {
        self.stack.without_program();
    }

    /// The settings, to be kept.
    pub(super) fn settings(&self) -> String {
        self.stack.settings().to_text()
    }
}

/// What to do about a failure.
fn next_step(error: &automation::Error, args: &StackArgs) -> String {
    let by_hand = format!(
        "PULUMI_BACKEND_URL='{}' pulumi -C {} preview --stack {}",
        args.backend_url, args.directory, args.stack
    );
    match error {
        automation::Error::Locked { .. } => format!(
            "wait for the other update; when its process is gone, free the stack with: PULUMI_BACKEND_URL='{}' pulumi cancel --stack {}",
            args.backend_url, args.stack
        ),
        automation::Error::Cancelled { .. } => "run the update again: it continues from here".to_owned(),
        automation::Error::Missing { .. } | automation::Error::TooOld { .. } => "install the Pulumi CLI".to_owned(),
        automation::Error::Secrets { .. } => {
            "check the input secretsProvider, and that environment or inheritEnvironment gives what it needs, such as \
             PULUMI_CONFIG_PASSPHRASE"
                .to_owned()
        }
        _ => format!("correct the cause and run the update again; by hand: {by_hand}"),
    }
}

enum Line {
    Status(String),
    Warning(String),
}

/// Counts steps as they are done.
#[derive(Default)]
struct Progress {
    begun: u64,
    done: u64,
    told: Option<Instant>,
}

impl Progress {
    fn note(&mut self, event: &Event) -> Option<Line> {
        let step = match &event.kind {
            EventKind::ResourcePreEvent(step) => {
                self.begun += 1;
                step
            }
            EventKind::ResOutputsEvent(step) => {
                self.done += 1;
                step
            }
            EventKind::DiagnosticEvent(told) if told.severity == "warning" && !told.ephemeral => {
                return Some(Line::Warning(format!(
                    "{}: {}",
                    told.urn,
                    told.message.trim()
                )));
            }
            _ => return None,
        };
        if step.metadata.op == "same" || self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told = Some(Instant::now());
        let name = step.metadata.urn.rsplit("::").next().unwrap_or_default();
        let (done, begun) = (self.done, self.begun);
        Some(Line::Status(format!(
            "{done}/{begun} {} {name} {}",
            step.metadata.kind, step.metadata.op
        )))
    }
}

/// Whether the program is there to be run.
pub(super) async fn has_program(directory: &str) -> bool {
    tokio::fs::metadata(Path::new(directory).join("Pulumi.yaml"))
        .await
        .is_ok()
}
