//! One stack, and what can be done with it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::cli::{Cli, ok};
use crate::error::{Subject, classify, message};
use crate::events::{Event, EventKind, Summary};
use crate::process::{Cancelled, Command, Ended};
use crate::{Error, Settings};

/// How often the events of a running operation are looked for.
const POLL: Duration = Duration::from_millis(50);
/// What fails when events cannot be read.
const READING_EVENTS: &str = "reading the events of the operation";
/// How many errors a failed operation tells.
const ERRORS_TOLD: usize = 5;

/// Where a stack is: its backend and its full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    backend: String,
    organization: String,
    project: String,
    name: String,
}

impl Location {
    /// `backend` is a URL such as `s3://bucket?region=us-east-2`, `file:///directory` or `https://api.pulumi.com`; `stack` is
    /// `<organization>/<project>/<stack>`, where self-managed backends have the one organization `organization`.
    pub fn new(backend: &str, stack: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = stack.split('/').collect();
        let [organization, project, name] = parts[..] else {
            return Err(Error::Invalid(format!(
                "stack {stack:?} is not organization/project/stack"
            )));
        };
        let legal = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
                && !matches!(part, "." | "..")
        };
        if let Some(bad) = parts.iter().find(|part| !legal(part)) {
            return Err(Error::Invalid(format!(
                "stack {stack:?}: {bad:?} must have 1 to 100 letters, digits, dots, hyphens and underscores"
            )));
        }
        if !backend.contains("://") {
            return Err(Error::Invalid(format!("backend {backend:?} is not a URL")));
        }
        Ok(Self {
            backend: backend.to_owned(),
            organization: organization.to_owned(),
            project: project.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The backend's URL.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// Whether the state is a file in a directory or a bucket, rather than kept by a service such as Pulumi Cloud, which numbers
    /// updates and encrypts secrets by itself.
    #[must_use]
    pub fn is_self_managed(&self) -> bool {
        !self.backend.starts_with("https://") && !self.backend.starts_with("http://")
    }

    /// The project's name.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The stack's name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `<organization>/<project>/<stack>`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}/{}", self.organization, self.project, self.name)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.full_name(), self.backend)
    }
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Shows what `Up` would do.
    Preview,
    /// Brings the resources to what the program says.
    Up,
    /// Brings the state to what the resources are.
    Refresh,
    /// Shows what `Refresh` would do.
    RefreshPreview,
    /// Deletes all resources.
    Destroy,
}

impl Operation {
    /// As in `pulumi <name>`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Up => "up",
            Self::Refresh | Self::RefreshPreview => "refresh",
            Self::Destroy => "destroy",
        }
    }
}

/// How an operation is run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Recorded with the update.
    pub message: Option<String>,
    /// Only these resources, by URN.
    pub targets: Vec<String>,
    /// All but these resources, by URN.
    pub excludes: Vec<String>,
    /// Replaces these resources, by URN.
    pub replace: Vec<String>,
    /// Steps at once; the CLI's own default when absent.
    pub parallel: Option<u32>,
    /// Refreshes first.
    pub refresh: bool,
    /// Directories of policy packs.
    pub policy_packs: Vec<PathBuf>,
    /// Ends the operation when cancelled: it is interrupted, and killed when it does not end within `grace`.
    pub cancel: CancellationToken,
    /// How long a cancelled operation may take to end by itself.
    pub grace: Duration,
    /// How long it may take; no limit when absent.
    pub timeout: Option<Duration>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            message: None,
            targets: Vec::new(),
            excludes: Vec::new(),
            replace: Vec::new(),
            parallel: None,
            refresh: false,
            policy_packs: Vec::new(),
            cancel: CancellationToken::new(),
            grace: Duration::from_mins(1),
            timeout: None,
        }
    }
}

/// What an operation did.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Counts and duration.
    pub changes: Summary,
    /// The stack's outputs, as far as its program came; secrets are only marked (see [`crate::is_secret`]).
    pub outputs: Option<BTreeMap<String, Value>>,
    /// Errors of programs, resources and policies, as `<URN>: <message>`.
    pub errors: Vec<String>,
    /// Warnings likewise.
    pub warnings: Vec<String>,
}

/// One update in a stack's history.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// Counts from one where the backend counts.
    #[serde(default)]
    pub version: u64,
    /// `update`, `refresh`, `destroy`, `import` …
    pub kind: String,
    /// When it began, RFC 3339.
    pub start_time: String,
    /// When it ended, RFC 3339.
    #[serde(default)]
    pub end_time: String,
    /// Why, if somebody said.
    #[serde(default)]
    pub message: String,
    /// `succeeded`, `failed` or `in-progress`.
    pub result: String,
    /// Resources by operation.
    #[serde(default)]
    pub resource_changes: BTreeMap<String, u64>,
}

/// A stack, run from a project's directory. Its settings are its own: the project's files are only read.
#[derive(Debug)]
pub struct Stack {
    cli: Cli,
    location: Location,
    directory: PathBuf,
    /// Readable by this user only; holds a project file, the stack's settings and the events of the operation under way.
    private: TempDir,
    settings: Settings,
    /// What the file holds, so that it is written only when it must be.
    written: Option<Settings>,
}

impl Stack {
    /// Prepares to run a stack. Nothing is asked of the backend, and nothing is created in it.
    ///
    /// A settings file of the stack that is in the project's directory (`Pulumi.<stack>.yaml`) is where the settings begin.
    pub async fn open(
        cli: Cli,
        location: Location,
        directory: impl Into<PathBuf>,
    ) -> Result<Self, Error> {
        let directory = directory.into();
        let mut stack = Self::without_project(cli, location).await?;
        let committed = directory.join(format!("Pulumi.{}.yaml", stack.location.name));
        stack.settings = match tokio::fs::read_to_string(&committed).await {
            Ok(text) => Settings::parse(&text)
                .map_err(|e| Error::Invalid(format!("{}: {e}", committed.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Settings::default(),
            Err(error) => return Err(Error::io(format!("reading {}", committed.display()))(error)),
        };
        stack.directory = directory;
        Ok(stack)
    }

    /// Prepares to work on a stack whose program is not there: to look at it, or to destroy it.
    pub async fn without_project(cli: Cli, location: Location) -> Result<Self, Error> {
        let private =
            tokio::task::spawn_blocking(|| tempfile::Builder::new().prefix("pulumi-").tempdir())
                .await
                .map_err(|e| Error::Invalid(format!("making a private directory: {e}")))?
                .map_err(Error::io("making a private directory"))?;
        let project = serde_json::json!({"name": location.project, "runtime": "yaml"}).to_string();
        write(&private.path().join("Pulumi.yaml"), &project).await?;
        Ok(Self {
            cli,
            location,
            directory: private.path().to_owned(),
            private,
            settings: Settings::default(),
            written: None,
        })
    }

    /// Where the stack is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The stack's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings that later operations use.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Whether the stack exists. Nothing is created by asking.
    pub async fn exists(&self) -> Result<bool, Error> {
        match self.export().await {
            Ok(_) => Ok(true),
            Err(Error::NoStack { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates the stack, and with it how its secrets are encrypted; the configuration is kept.
    pub async fn create(&mut self, secrets_provider: Option<&str>) -> Result<(), Error> {
        let config = self.settings.clone();
        // Settings of an older stack of that name must not decide how this one encrypts.
        write(&self.settings_file(), "{}").await?;
        let mut command = self.command("stack").args(["init", "--no-select"]);
        if let Some(provider) = secrets_provider {
            command = command.args(["--secrets-provider", provider]);
        }
        let ended = command.run().await?;
        self.check("stack init", &ended)?;
        let made = self.read().await?;
        self.settings = config;
        self.settings.encrypt_like(&made);
        self.written = None;
        Ok(())
    }

    /// Takes over how an existing stack encrypts its secrets, as its exported state tells.
    pub fn adopt(&mut self, state: &Value) {
        if let Some(found) = Settings::of_state(state) {
            self.settings.encrypt_like(&found);
        }
    }

    /// Sets a secret of the configuration. The value reaches the CLI by its standard input, and is kept encrypted.
    pub async fn set_secret(&mut self, key: &str, value: Zeroizing<String>) -> Result<(), Error> {
        self.flush().await?;
        let command = self
            .command("config")
            .args(["set", "--secret", "--raw", "--config-file"])
            .arg(self.settings_file())
            .args(["--", key])
            .input(value);
        let ended = command.run().await?;
        self.check("config set", &ended)?;
        self.settings = self.read().await?;
        self.written = Some(self.settings.clone());
        Ok(())
    }

    /// Shows what [`Stack::up`] would do. A stack that does not exist stays so.
    pub async fn preview(
        &mut self,
        run: &Run,
        on_event: impl FnMut(&Event),
    ) -> Result<Outcome, Error> {
        self.operate(Operation::Preview, run, on_event).await
    }

    /// Brings the resources to what the program says.
    pub async fn up(&mut self, run: &Run, on_event: impl FnMut(&Event)) -> Result<Outcome, Error> {
        self.operate(Operation::Up, run, on_event).await
    }

    /// Brings the state to what the resources are.
    pub async fn refresh(
        &mut self,
        run: &Run,
        on_event: impl FnMut(&Event),
    ) -> Result<Outcome, Error> {
        self.operate(Operation::Refresh, run, on_event).await
    }

    /// Deletes all resources. The stack itself stays: see [`Stack::remove`].
    pub async fn destroy(
        &mut self,
        run: &Run,
        on_event: impl FnMut(&Event),
    ) -> Result<Outcome, Error> {
        self.operate(Operation::Destroy, run, on_event).await
    }

    /// Runs an operation, and hands its events on as they happen.
    pub async fn operate(
        &mut self,
        operation: Operation,
        run: &Run,
        mut on_event: impl FnMut(&Event),
    ) -> Result<Outcome, Error> {
        if !run.targets.is_empty() && !run.excludes.is_empty() {
            return Err(Error::Invalid(
                "targets and excludes cannot be given together".to_owned(),
            ));
        }
        self.flush().await?;
        let log = self.private.path().join("events");
        write(&log, "").await?;
        let mut reader = Reader::open(&log).await?;
        let command = self
            .cli
            .operation(&self.directory, run.grace)
            .env("PULUMI_BACKEND_URL", &self.location.backend)
            .args([
                operation.name(),
                "--non-interactive",
                "--color",
                "never",
                "--suppress-outputs",
                "--stack",
            ])
            .arg(self.location.full_name())
            .arg("--config-file")
            .arg(self.settings_file())
            .arg("--event-log")
            .arg(&log)
            .args(flags(operation, run));
        let command = command.until(&run.cancel, run.grace, run.timeout);
        let mut outcome = Outcome::default();
        let root = format!(
            "::pulumi:pulumi:Stack::{}-{}",
            self.location.project, self.location.name
        );
        let mut tell = |event: Event| {
            outcome.note(&event, &root);
            on_event(&event);
        };
        let work = command.run();
        tokio::pin!(work);
        let ended = loop {
            tokio::select! {
                ended = &mut work => break ended?,
                () = tokio::time::sleep(POLL) => reader.read(&mut tell).await?,
            }
        };
        reader.read(&mut tell).await?;
        self.judge(operation, run, &ended, outcome)
    }

    fn judge(
        &self,
        operation: Operation,
        run: &Run,
        ended: &Ended,
        outcome: Outcome,
    ) -> Result<Outcome, Error> {
        let (stack, operation) = (self.location.full_name(), operation.name());
        match ended.cancelled {
            // It may have ended well all the same.
            _ if ok(ended) => Ok(outcome),
            Some(Cancelled {
                timeout: true,
                killed,
            }) => {
                let limit = run.timeout.unwrap_or_default();
                Err(Error::Timeout {
                    stack,
                    operation,
                    limit,
                    killed,
                })
            }
            Some(Cancelled {
                timeout: false,
                killed,
            }) => Err(Error::Cancelled {
                stack,
                operation,
                killed,
            }),
            None => {
                let error = classify(operation, ended.code, &ended.stderr, &self.subject(&stack));
                let Error::Cli { message, .. } = error else {
                    return Err(error);
                };
                let text = String::from_utf8_lossy(&ended.stdout);
                let told = match (&outcome.errors[..], message.is_empty()) {
                    ([], true) => crate::error::message(&text),
                    ([], false) => message,
                    (errors, _) => errors
                        .iter()
                        .take(ERRORS_TOLD)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join("\n"),
                };
                Err(Error::Failed {
                    stack,
                    operation,
                    message: told,
                    outcome: Box::new(outcome),
                })
            }
        }
    }

    /// The stack's outputs with the values of secrets.
    pub async fn outputs(&self) -> Result<BTreeMap<String, Value>, Error> {
        let command = self
            .command("stack")
            .args(["output", "--json", "--show-secrets"]);
        self.json("stack output", command).await
    }

    /// Fetches the plugins and packages that the program needs, into its directory and the CLI's home.
    pub async fn install(&self) -> Result<(), Error> {
        let command = self.cli.command(&self.directory);
        let ended = command
            .env("PULUMI_BACKEND_URL", &self.location.backend)
            .args(["install", "--non-interactive", "--color", "never"])
            .run()
            .await?;
        self.check("install", &ended)
    }

    /// The stack's state, secrets encrypted.
    pub async fn export(&self) -> Result<Value, Error> {
        self.json("stack export", self.command("stack").arg("export"))
            .await
    }

    /// Replaces the stack's state.
    pub async fn import(&self, state: &Value) -> Result<(), Error> {
        let command = self
            .command("stack")
            .arg("import")
            .input(state.to_string().into());
        let ended = command.run().await?;
        self.check("stack import", &ended)
    }

    /// The latest updates, newest first.
    pub async fn history(&self, count: u32) -> Result<Vec<Update>, Error> {
        let count = count.to_string();
        let command =
            self.command("stack")
                .args(["history", "--output", "json", "--page-size", &count]);
        self.json("stack history", command).await
    }

    /// Frees the stack from all its locks, whoever holds them. An update that is under way elsewhere is not stopped by it on
    /// self-managed backends: two would then write one state.
    pub async fn cancel(&self) -> Result<(), Error> {
        let ended = self.command("cancel").arg("--yes").run().await?;
        self.check("cancel", &ended)
    }

    /// Removes what is left of locks that were never written to their end, which are locks to nobody. Says how many there were.
    /// Only backends in directories can have them; one that is being written at this moment, or may be, stays.
    ///
    /// # Errors
    ///
    /// When they cannot be removed.
    pub async fn remove_half_locks(&self) -> Result<usize, Error> {
        let Some(folder) = crate::lock::folder(&self.location) else {
            return Ok(0);
        };
        let what = format!("half a lock in {}", folder.display());
        tokio::task::spawn_blocking(move || crate::lock::remove_halves(&folder))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(Error::io(what))
    }

    /// Removes the stack, its state and history; it must have no resources. The project's files stay.
    pub async fn remove(&self) -> Result<(), Error> {
        let ended = self.command("stack").args(["rm", "--yes"]).run().await?;
        self.check("stack rm", &ended)
    }

    fn settings_file(&self) -> PathBuf {
        self.private
            .path()
            .join(format!("Pulumi.{}.yaml", self.location.name))
    }

    /// A command about the stack that does not need its program.
    fn command(&self, name: &str) -> Command {
        let stack = self.location.full_name();
        self.cli
            .command(self.private.path())
            .env("PULUMI_BACKEND_URL", &self.location.backend)
            .args([
                name,
                "--non-interactive",
                "--color",
                "never",
                "--stack",
                &stack,
            ])
    }

    fn subject<'a>(&'a self, stack: &'a str) -> Subject<'a> {
        Subject {
            stack,
            backend: &self.location.backend,
        }
    }

    fn check(&self, command: &str, ended: &Ended) -> Result<(), Error> {
        if ok(ended) {
            return Ok(());
        }
        let stack = self.location.full_name();
        Err(classify(
            command,
            ended.code,
            &ended.stderr,
            &self.subject(&stack),
        ))
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        command: Command,
    ) -> Result<T, Error> {
        let ended = command.run().await?;
        self.check(name, &ended)?;
        let text = Zeroizing::new(ended.stdout);
        serde_json::from_slice(&text)
            .map_err(|e| Error::Invalid(format!("pulumi {name} gave no such JSON: {e}")))
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if self.written.as_ref() != Some(&self.settings) {
            write(&self.settings_file(), &self.settings.to_text()).await?;
            self.written = Some(self.settings.clone());
        }
        Ok(())
    }

    async fn read(&self) -> Result<Settings, Error> {
        match tokio::fs::read_to_string(self.settings_file()).await {
            Ok(text) => Settings::parse(&text),
            // Nothing to say about how a backend encrypts that does it by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => Err(Error::io("reading the stack's settings")(error)),
        }
    }
}

impl Outcome {
    fn note(&mut self, event: &Event, root: &str) {
        match &event.kind {
            EventKind::SummaryEvent(summary) => self.changes = summary.clone(),
            EventKind::ResOutputsEvent(step) if step.metadata.urn.ends_with(root) => {
                self.outputs = step
                    .metadata
                    .new
                    .as_ref()
                    .map(|state| state.outputs.clone());
            }
            EventKind::DiagnosticEvent(told) if !told.ephemeral => {
                let text = message(&told.message);
                let text = if told.urn.is_empty() {
                    text
                } else {
                    format!("{}: {text}", told.urn)
                };
                match told.severity.as_str() {
                    "error" => self.errors.push(text),
                    "warning" => self.warnings.push(text),
                    _ => {}
                }
            }
            EventKind::PolicyEvent(policy) => {
                let text = policy.to_string();
                if policy.is_mandatory() {
                    self.errors.push(text);
                } else {
                    self.warnings.push(text);
                }
            }
            _ => {}
        }
    }
}

fn flags(operation: Operation, run: &Run) -> Vec<String> {
    let mut flags = Vec::new();
    match operation {
        Operation::Preview => {}
        Operation::RefreshPreview => flags.push("--preview-only".to_owned()),
        _ => flags.extend(["--yes".to_owned(), "--skip-preview".to_owned()]),
    }
    let mut each = |flag: &str, values: &[String]| {
        flags.extend(
            values
                .iter()
                .flat_map(|value| [flag.to_owned(), value.clone()]),
        );
    };
    each("--target", &run.targets);
    each("--exclude", &run.excludes);
    if matches!(operation, Operation::Preview | Operation::Up) {
        each("--replace", &run.replace);
        let packs: Vec<_> = run
            .policy_packs
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        each("--policy-pack", &packs);
    }
    if let Some(message) = &run.message {
        each("--message", std::slice::from_ref(message));
    }
    if let Some(parallel) = run.parallel {
        each("--parallel", &[parallel.to_string()]);
    }
    if run.refresh && !matches!(operation, Operation::Refresh | Operation::RefreshPreview) {
        flags.push("--refresh".to_owned());
    }
    flags
}

/// Writes a file that only this user can read.
async fn write(path: &Path, text: &str) -> Result<(), Error> {
    let fail = || Error::io(format!("writing {}", path.display()));
    let mut options = tokio::fs::OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(path).await.map_err(fail())?;
    tokio::io::AsyncWriteExt::write_all(&mut file, text.as_bytes())
        .await
        .map_err(fail())?;
    tokio::io::AsyncWriteExt::flush(&mut file)
        .await
        .map_err(fail())
}

/// Reads a growing file of events.
struct Reader {
    file: File,
    /// A line that is not yet complete.
    rest: Vec<u8>,
}

impl Reader {
    async fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).await;
        Ok(Self {
            file: file.map_err(Error::io(READING_EVENTS))?,
            rest: Vec::new(),
        })
    }

    /// Reads on from where it ended the last time.
    async fn read(&mut self, tell: &mut impl FnMut(Event)) -> Result<(), Error> {
        let read = self.file.read_to_end(&mut self.rest).await;
        read.map_err(Error::io(READING_EVENTS))?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                Ok(event) => tell(event),
                Err(error) => tracing::debug!(%error, "an event that cannot be read"),
            }
        }
        Ok(())
    }
}
