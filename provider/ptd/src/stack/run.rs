//! Running an inner stack for a resource.

mod again;
mod attempt;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use pulumi_automation as automation;
use pulumi_automation::{Cli, Location, Operation, Outcome, is_masked, is_secret};
use pulumi_provider::{Context, Error, Marked};
use serde_json::Value;
use zeroize::Zeroizing;

use super::args::{StackArgs, StackCredentials, StackState};
use super::credentials::Served;
use super::environment::environment;
use super::failure::{Doing, ended, failed};
use super::foreign::{is_elided, usable};
use super::report::{self, InnerRun};
use super::run_folder::{self, RunFolder};
use super::source::Program;
use super::stack::counts;
use super::{aside, in_quotes};
use crate::Ptd;
use again::{Place, trying};
use attempt::Came;

/// How long reading may take once the operation is to end: what an update that has just ended gave is worth a moment.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// What is left to do once an inner update had to be killed: freeing its lock, the report, the state.
const AFTERWARDS: Duration = Duration::from_secs(40);

/// With this argument, the plugin supervises an inner run.
pub const SUPERVISE: &str = "supervise";

/// What came of an inner preview.
pub(super) enum Previewed {
    /// It was shown.
    Done(Outcome),
    /// There is no such stack.
    Absent,
    /// The program is not ready to be run.
    Unprepared,
}

/// An inner stack, ready to be run.
pub(super) struct Inner {
    stack: automation::Stack,
    /// Whether its errors are no errors of the outer run.
    pub(super) tentative: bool,
    came: Came,
    /// Whether a policy was not met that must be.
    pub(super) violated: bool,
    /// Whether secret outputs may be left out when they cannot be read.
    pub(super) forgo_secrets: bool,
    program: Program,
    /// Secrets of the configuration that are in the settings as the inputs of the last update had them.
    carried: BTreeSet<String>,
    /// How many resources it had the last time.
    expected: u64,
    place: Place,
    _served: Option<Served>,
}

impl Inner {
    /// Waits for its turn. Nothing is asked of the backend, and nothing is created.
    pub(super) async fn open(
        cx: &Context<Ptd>,
        args: &StackArgs,
        state: Option<&StackState>,
    ) -> Result<Self, Error> {
        Self::with(cx, args, state, Box::pin(Program::of(cx, args))).await
    }

    /// The same for what needs the stack's state and no program but for the providers in it, which some languages have: it may be gone,
    /// and is fetched only if told to.
    pub(super) async fn open_stored(
        cx: &Context<Ptd>,
        args: &StackArgs,
        state: Option<&StackState>,
        fetch: bool,
    ) -> Result<Self, Error> {
        let program = Program::stored(cx, args, fetch);
        Self::with(cx, args, state, Box::pin(program)).await
    }

    async fn with(
        cx: &Context<Ptd>,
        args: &StackArgs,
        state: Option<&StackState>,
        program: impl Future<Output = Result<Program, Error>>,
    ) -> Result<Self, Error> {
        let place = Place::take(cx).await?;
        cx.alive()?;
        let program = program.await?;
        let fail = |e| failed(args, Doing::Preparing, &e);
        let location = Location::new(&args.backend_url, &args.stack).map_err(fail)?;
        let served = match args.credentials {
            StackCredentials::Inherit => None,
            StackCredentials::Provider => Some(Served::begin(&cx.provider().aws).await?),
        };
        let environment = environment(args, &program, served.as_ref());
        let found = match aside(run_folder::memory).await {
            Ok(memory) => Cli::find_remembered(environment, &memory).await,
            Err(_) => Cli::find(environment).await,
        };
        let cli = found.map_err(fail)?;
        let cli = match std::env::current_exe() {
            Ok(this) => cli.supervised_by([this.into_os_string(), SUPERVISE.into()]),
            Err(_) => cli,
        };
        let opened = match &program.directory {
            Some(directory) => automation::Stack::open(cli, location, directory).await,
            None => automation::Stack::without_project(cli, location).await,
        };
        let mut stack = opened.map_err(fail)?;
        let mut carried = BTreeSet::new();
        if let Some(kept) = state.and_then(|s| s.settings.as_ref()) {
            // What the state of the resource says about encryption is right. Of the rest only what the inputs gave is of use, as it
            // is encrypted already; what the project's own file says may have changed since.
            let kept = automation::Settings::parse(kept.expose()).map_err(fail)?;
            stack.settings_mut().encrypt_like(&kept);
            let project = stack.location().project().to_owned();
            for (key, value) in kept.config() {
                if value.get("secure").is_some() && is_given_secret(args, &project, key) {
                    stack.settings_mut().set(key, value.clone());
                    // What a failed update was given is in the settings, but its inputs are not those of the last update.
                    if state.is_some_and(|state| !state.pending) {
                        carried.insert(key.to_owned());
                    }
                }
            }
        }
        // Later it is how the stack was found, or was changed to by hand.
        if let Some(provider) = &args.secrets_provider
            && !Self::is_known(state)
        {
            stack.settings_mut().set_secrets_provider(provider);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was made from a count"
        )]
        let expected = state.map_or(0, |state| state.resource_count as u64);
        Ok(Self {
            stack,
            tentative: false,
            came: Came::default(),
            violated: false,
            forgo_secrets: false,
            program,
            carried,
            expected,
            place,
            _served: served,
        })
    }

    /// Shows what an update would do. `old` are the inputs of the last update.
    pub(super) async fn preview(
        cx: &Context<Ptd>,
        args: &StackArgs,
        state: Option<&StackState>,
        old: Option<&StackArgs>,
    ) -> Result<Previewed, Error> {
        let mut inner = Self::open(cx, args, state).await?;
        inner.require_program(args)?;
        if !inner.prepared(cx, args).await? {
            return Ok(Previewed::Unprepared);
        }
        if state.is_none()
            && let Some(exported) = inner.export(cx, args).await?
        {
            inner.adopt(&exported);
        }
        if let Some(old) = old {
            inner.follow_encryption(cx, args, old).await?;
        }
        inner.configure(cx, args, old).await?;
        match inner.operate(cx, Operation::Preview, args).await {
            Err(_) if inner.came.absent => Ok(Previewed::Absent),
            done => done.map(Previewed::Done),
        }
    }

    /// For a preview of a stack that is not there: what the project's own settings hold as secrets, nobody can read here.
    pub(super) async fn blind(&mut self, cx: &Context<Ptd>) {
        if self.stack.settings_mut().blind("[secret]") {
            cx.info("previewed without the secrets in the project's own settings, which only the stack itself can read")
                .await;
        }
    }

    /// Fails where there is nothing to run.
    pub(super) fn require_program(&self, args: &StackArgs) -> Result<(), Error> {
        if self.program.directory.is_some() {
            return Ok(());
        }
        let place = args
            .directory
            .as_deref()
            .or(args.archive.as_deref())
            .unwrap_or("the source");
        Err(Error::refused(
            format!("stack {}: there is no project in {place}", args.stack),
            "put its Pulumi.yaml there, or correct the input",
        ))
    }

    /// Creates the stack, or takes the one that is there. Says which.
    pub(super) async fn ensure(
        &mut self,
        cx: &Context<Ptd>,
        args: &StackArgs,
    ) -> Result<bool, Error> {
        // Not ended with the operation: the CLI locks first, dies of an interrupt without freeing the lock, and cannot free a stack
        // that does not exist.
        let secrets_provider = args.secrets_provider.as_deref();
        let ensured = trying!(self.place, cx, args, self.stack.ensure(secrets_provider));
        ensured.map_err(|e| told(cx, args, Doing::Creating, &e))
    }

    /// Takes over how the stack encrypts, as its exported state tells.
    pub(super) fn adopt(&mut self, state: &Value) {
        let mut before = automation::Settings::default();
        before.encrypt_like(self.stack.settings());
        self.stack.adopt(state);
        let mut now = automation::Settings::default();
        now.encrypt_like(self.stack.settings());
        if before != now {
            // Another key cannot read what the old one has encrypted.
            let unreadable = std::mem::take(&mut self.carried);
            self.stack
                .settings_mut()
                .retain(|key, _| !unreadable.contains(key));
        }
    }

    /// Where the inputs name another secrets provider than before: follows a stack that was changed to it, and refuses otherwise, as
    /// nothing here has the keys of both.
    pub(super) async fn follow_encryption(
        &mut self,
        cx: &Context<Ptd>,
        args: &StackArgs,
        old: &StackArgs,
    ) -> Result<(), Error> {
        const DEFAULT: &str = "passphrase";
        if old.secrets_provider == args.secrets_provider {
            return Ok(());
        }
        let Some(exported) = self.export(cx, args).await? else {
            return Ok(());
        };
        self.adopt(&exported);
        let is = self.stack.settings().secrets_provider();
        let is = is.unwrap_or(DEFAULT).to_owned();
        let wanted = args.secrets_provider.as_deref().unwrap_or(DEFAULT);
        if is != wanted {
            return Err(Error::refused(
                format!(
                    "stack {} encrypts its secrets with {is}, not with {wanted}",
                    args.stack
                ),
                format!(
                    "change it where both keys can be used, in the project's directory: PULUMI_BACKEND_URL={} \
                     pulumi stack change-secrets-provider {} --stack {}; then update again",
                    in_quotes(&args.backend_url),
                    in_quotes(wanted),
                    args.stack
                ),
            ));
        }
        // What the old key encrypted is encrypted anew.
        let given = |key: &str| {
            let name = key.rsplit(':').next().unwrap_or(key);
            old.config.contains_key(key) || old.config.contains_key(name)
        };
        self.stack
            .settings_mut()
            .retain(|key, value| value.get("secure").is_none() || !given(key));
        self.carried.clear();
        Ok(())
    }

    /// Brings the configuration to what the inputs say. Secrets that `old` had already are not encrypted again.
    pub(super) async fn configure(
        &mut self,
        cx: &Context<Ptd>,
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
        for (key, value) in wanted {
            if !value.secret {
                self.stack.settings_mut().set(&key, value.value.clone());
                continue;
            }
            let same = before.get(&key).is_some_and(|old| *old == value);
            if same && self.carried.contains(&key) {
                continue;
            }
            let text = Zeroizing::new(match &value.value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            let done = trying!(
                self.place,
                cx,
                args,
                while_due(
                    cx,
                    args,
                    "config set",
                    self.stack.set_secret(&key, text.clone())
                )
            );
            if matches!(done, Err(automation::Error::NoStack { .. })) {
                // Whoever runs it finds that too, and knows what to do.
                return Ok(());
            }
            done.map_err(|e| told(cx, args, Doing::Setting(&key), &e))?;
        }
        Ok(())
    }

    /// Runs `pulumi install`, unless that was done already for files like these.
    pub(super) async fn install(&self, cx: &Context<Ptd>, args: &StackArgs) -> Result<(), Error> {
        let Some(directory) = &self.program.directory else {
            return Ok(());
        };
        if !args.install_dependencies || super::install::is_done(directory).await {
            return Ok(());
        }
        cx.status("pulumi install").await;
        super::install::install(cx, &self.stack)
            .await
            .map_err(|e| failed(args, Doing::Installing, &e))?;
        super::install::note_done(directory).await;
        Ok(())
    }

    /// Gets the program ready for a preview, which writes nothing into directories that are not its own. Whether it is ready.
    pub(super) async fn prepared(
        &self,
        cx: &Context<Ptd>,
        args: &StackArgs,
    ) -> Result<bool, Error> {
        let Some(directory) = &self.program.directory else {
            return Ok(true);
        };
        if self.program.is_made() {
            self.install(cx, args).await?;
        } else if args.install_dependencies && !super::install::is_done(directory).await {
            cx.warn(
                "not previewed: its dependencies are not installed yet, which an update does first",
            )
            .await;
            return Ok(false);
        }
        Ok(true)
    }

    /// Runs an operation, tells how it goes, and notes what came of it.
    pub(super) async fn operate(
        &mut self,
        cx: &Context<Ptd>,
        operation: Operation,
        args: &StackArgs,
    ) -> Result<Outcome, Error> {
        let begun = Instant::now();
        let result = self.attempt(cx, operation, args).await;
        if matches!(operation, Operation::Up | Operation::Destroy) {
            let (changes, reason) = match &result {
                Ok(outcome) => (counts(outcome.changes.resource_changes.iter()), None),
                Err(error) => (std::mem::take(&mut self.came.done), Some(error.to_string())),
            };
            let took = begun.elapsed();
            let record = InnerRun::new(cx, &args.stack, operation, took, changes, reason);
            report::note(cx, record).await;
        }
        result
    }

    /// Whether the backend numbers updates. Asking one that does not costs a process of the CLI, for nothing.
    pub(super) fn is_numbered(&self) -> bool {
        !self.stack.location().is_self_managed()
    }

    /// Asks for what the run itself did not tell: the values of secret outputs and of those that name a secret, texts of assets, and
    /// where it is `dated` the last entry of the stack's history. Without that there is merely no number and no time.
    pub(super) async fn reveal(
        &mut self,
        cx: &Context<Ptd>,
        args: &StackArgs,
        marked: &BTreeMap<String, Value>,
        dated: bool,
    ) -> Result<(BTreeMap<String, Marked<Value>>, Option<automation::Update>), Error> {
        let Self { stack, place, .. } = self;
        let values = async {
            if marked.values().any(is_untold) {
                Ok::<_, Error>(trying!(
                    place,
                    cx,
                    args,
                    while_due(cx, args, "stack output", stack.outputs())
                ))
            } else {
                Ok(Ok(BTreeMap::new()))
            }
        };
        let last = async {
            if !dated {
                return None;
            }
            let history = while_due(cx, args, "stack history", stack.history(1)).await;
            history.ok()?.into_iter().next()
        };
        let (values, last) = tokio::join!(values, last);
        let values = match values? {
            Err(automation::Error::Secrets { .. }) if self.forgo_secrets => None,
            values => Some(values.map_err(|e| told(cx, args, Doing::Revealing, &e))?),
        };
        let each = marked.iter().filter_map(|(name, value)| {
            let mut secret = is_secret(value);
            let value = match (&values, is_untold(value)) {
                (Some(values), true) => values.get(name).unwrap_or(&Value::Null),
                (None, true) => return None,
                (_, false) => value,
            };
            let value = usable(value, self.program.base.as_deref());
            secret |= names_secret(&value, args);
            Some((name.clone(), Marked { secret, value }))
        });
        Ok((each.collect(), last))
    }

    /// The exported state; `None` when there is no such stack.
    pub(super) async fn export(
        &mut self,
        cx: &Context<Ptd>,
        args: &StackArgs,
    ) -> Result<Option<Value>, Error> {
        let export = || while_due(cx, args, "stack export", self.stack.export());
        match trying!(self.place, cx, args, export()) {
            Ok(state) => Ok(Some(state)),
            Err(automation::Error::NoStack { .. }) => Ok(None),
            Err(error) => Err(told(cx, args, Doing::Reading, &error)),
        }
    }

    /// Removes the empty stack.
    pub(super) async fn remove(
        &mut self,
        cx: &Context<Ptd>,
        args: &StackArgs,
    ) -> Result<(), Error> {
        match trying!(self.place, cx, args, self.stack.remove()) {
            // Where an answer was lost, it is gone already.
            Ok(()) | Err(automation::Error::NoStack { .. }) => Ok(()),
            Err(error) => Err(told(cx, args, Doing::Removing, &error)),
        }
    }

    /// The settings, to be kept.
    pub(super) fn settings(&self) -> String {
        self.stack.settings().to_text()
    }

    /// Whether the settings say already how the stack encrypts: it was run from here before.
    pub(super) fn is_known(state: Option<&StackState>) -> bool {
        state.is_some_and(|state| state.settings.is_some())
    }
}

/// Whether an output holds a secret of the configuration that is too long to be in it by chance: a program may forget to mark it.
fn names_secret(value: &Value, args: &StackArgs) -> bool {
    const BY_CHANCE: usize = 8;
    let secrets = args.config.values().filter(|value| value.secret);
    let mut texts = secrets.filter_map(|secret| secret.value.as_str());
    texts.any(|secret| secret.len() >= BY_CHANCE && names(value, secret))
}

fn names(value: &Value, secret: &str) -> bool {
    match value {
        Value::String(text) => text.contains(secret),
        Value::Array(items) => items.iter().any(|item| names(item, secret)),
        Value::Object(fields) => fields.values().any(|field| names(field, secret)),
        _ => false,
    }
}

/// Does what leaves nothing behind when it ends early, and gives it up when the operation is to end.
async fn while_due<T>(
    cx: &Context<Ptd>,
    args: &StackArgs,
    operation: &'static str,
    work: impl Future<Output = Result<T, automation::Error>>,
) -> Result<T, automation::Error> {
    let late = async {
        cx.ending().await;
        tokio::time::sleep(LAST_LOOK).await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = late => Err(automation::Error::Cancelled {
            stack: args.stack.clone(),
            operation,
            killed: false,
        }),
    }
}

/// What went wrong with the stack, or that its time is up.
fn told(cx: &Context<Ptd>, args: &StackArgs, doing: Doing<'_>, error: &automation::Error) -> Error {
    match cx.alive() {
        Ok(()) => failed(args, doing, error),
        Err(why) => ended(args, doing, &why, error),
    }
}

/// Whether the events of a run do not tell an output.
fn is_untold(value: &Value) -> bool {
    is_secret(value) || is_masked(value) || is_elided(value)
}

/// Whether the inputs give this part of the configuration, as a secret.
fn is_given_secret(args: &StackArgs, project: &str, key: &str) -> bool {
    let short = key
        .strip_prefix(project)
        .and_then(|key| key.strip_prefix(':'));
    let given = args.config.get(key);
    given
        .or_else(|| args.config.get(short?))
        .is_some_and(|value| value.secret)
}

/// Gives an interrupted inner update time to end, and what follows it too.
pub(super) fn be_patient(cx: &Context<Ptd>) {
    cx.patience(cx.provider().config.stacks.grace() + AFTERWARDS);
}

/// What the processes of a run share. Without it each is on its own.
pub(super) fn folder(engine: &str) -> Option<RunFolder> {
    RunFolder::of(engine)
        .inspect_err(|error| tracing::warn!(%error, "inner stacks are not coordinated between provider processes"))
        .ok()
}

/// Whether a stack exists, as far as that can be seen without opening its backend: one that does not exist must not be made by a look
/// at it.
pub(super) async fn is_there(args: &StackArgs) -> Option<bool> {
    let directory = args.backend_url.strip_prefix("file://")?;
    let mut parts = args.stack.split('/').skip(1);
    let (project, stack) = (parts.next()?, parts.next()?);
    if directory.starts_with('~') {
        return None;
    }
    let directory = directory.split('?').next().unwrap_or_default();
    let directory = percent_decode_str(directory).decode_utf8().ok()?;
    let stacks = Path::new(&*directory).join(".pulumi/stacks");
    // Backends of older CLIs have no projects.
    for name in [format!("{project}/{stack}"), stack.to_owned()] {
        for end in [".json", ".json.gz", ".json.zst"] {
            let file = tokio::fs::metadata(stacks.join(format!("{name}{end}"))).await;
            if file.is_ok_and(|file| file.is_file()) {
                return Some(true);
            }
        }
    }
    Some(false)
}
