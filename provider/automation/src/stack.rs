//! One stack, and what can be done with it.

mod location;
mod operation;
mod reader;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::cli::{Cli, GRACE, ok};
use crate::error::{Subject, classify};
use crate::events::Event;
use crate::process::{Cancelled, Command, Ended};
use crate::project::committed;
use crate::{Error, Settings};
use operation::flags;
use reader::Reader;

pub use location::Location;
pub use operation::{Operation, Outcome, Run};

/// How often the events of a running operation are looked for.
const POLL: Duration = Duration::from_millis(50);

/// How many errors a failed operation tells.
const ERRORS_TOLD: usize = 5;

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
    /// Whether all is known that can be of how the stack encrypts, or there is no stack.
    settled: AtomicBool,
}

impl Stack {
    /// Prepares to run a stack. Nothing is asked of the backend, and nothing is created in it.
    ///
    /// The settings that the project has for the stack, where the CLI looks for them (`Pulumi.<stack>.yaml` in most projects), are
    /// where the settings begin.
    pub async fn open(
        cli: Cli,
        location: Location,
        directory: impl Into<PathBuf>,
    ) -> Result<Self, Error> {
        let directory = directory.into();
        let mut stack = Self::without_project(cli, location).await?;
        let (place, name) = (directory.clone(), stack.location.name().to_owned());
        stack.settings = tokio::task::spawn_blocking(move || committed(&place, &name))
            .await
            .map_err(|e| Error::Invalid(format!("reading the project's settings: {e}")))??;
        stack.settings.complete_keys(stack.location.project());
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
        let project =
            serde_json::json!({"name": location.project(), "runtime": "yaml"}).to_string();
        write(&private.path().join("Pulumi.yaml"), &project).await?;
        Ok(Self {
            cli,
            location,
            directory: private.path().to_owned(),
            private,
            settings: Settings::default(),
            written: None,
            settled: AtomicBool::new(false),
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

    /// Creates the stack, and with it how its secrets are encrypted: anew, or as the settings say where they hold secrets already. The
    /// configuration is kept.
    pub async fn create(&mut self, secrets_provider: Option<&str>) -> Result<(), Error> {
        let config = self.settings.clone();
        // Settings of an older stack of that name must not decide how this one encrypts, unless it has to read what they hold.
        let mut seed = Settings::default();
        let mut secrets_provider = secrets_provider;
        if config.has_secrets() {
            seed.encrypt_like(&config);
            secrets_provider = secrets_provider.or(config.secrets_provider());
        }
        self.written = None;
        write(&self.settings_file(), &seed.to_text()).await?;
        let mut command = self.command("stack").args(["init", "--no-select"]);
        if let Some(provider) = secrets_provider {
            command = command.args(["--secrets-provider", provider]);
        }
        let ended = command.run().await?;
        self.check("stack init", &ended)?;
        let made = self.read().await?;
        self.settings = config;
        self.settings.encrypt_like(&made);
        *self.settled.get_mut() = true;
        Ok(())
    }

    /// Creates the stack as [`Stack::create`] does, or takes the one that is there with how it encrypts its secrets. Whether it was
    /// there.
    pub async fn ensure(&mut self, secrets_provider: Option<&str>) -> Result<bool, Error> {
        let Err(failed) = self.create(secrets_provider).await else {
            return Ok(false);
        };
        // Locked is what exists, or what somebody else is creating.
        let locked = matches!(failed, Error::Locked { .. });
        if !locked && !matches!(failed, Error::StackExists { .. }) {
            return Err(failed);
        }
        match self.export().await {
            Err(Error::NoStack { .. }) if locked => Err(failed),
            state => {
                self.adopt(&state?);
                Ok(true)
            }
        }
    }

    /// Takes over how an existing stack encrypts its secrets, as its exported state tells. Nobody has to: where neither that nor the
    /// settings say it, the state is asked for before it is needed.
    pub fn adopt(&mut self, state: &Value) {
        *self.settled.get_mut() = true;
        if let Some(found) = Settings::of_state(state) {
            self.settings.encrypt_like(&found);
        }
    }

    /// Sets a secret of the configuration. The value reaches the CLI by its standard input, and is kept encrypted.
    pub async fn set_secret(&mut self, key: &str, value: Zeroizing<String>) -> Result<(), Error> {
        self.settle().await?;
        self.flush().await?;
        // What a command that fails has left in the file is not known.
        self.written = None;
        // The CLI takes one end of a line for none of the value; not all versions can be told that there is none.
        let mut line = Zeroizing::new(String::with_capacity(value.len() + 1));
        line.push_str(&value);
        line.push('\n');
        let command = self
            .command("config")
            .args(["set", "--secret", "--config-file"])
            .arg(self.settings_file())
            .args(["--", key])
            .input(line);
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
        self.settle().await?;
        self.flush().await?;
        let log = self.private.path().join("events");
        write(&log, "").await?;
        let mut reader = Reader::open(&log).await?;
        let command = self
            .cli
            .operation(&self.directory, run.grace)
            .env("PULUMI_BACKEND_URL", self.location.backend())
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
            self.location.project(),
            self.location.name()
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

    /// Fetches the plugins and packages that the program needs, into its directory and the CLI's home. It ends early, with an
    /// error, when `cancel` says so.
    pub async fn install(&self, cancel: &CancellationToken) -> Result<(), Error> {
        let ended = self
            .cli
            .command(&self.directory)
            .env("PULUMI_BACKEND_URL", self.location.backend())
            .args(["install", "--non-interactive", "--color", "never"])
            .until(cancel, GRACE, None)
            .run()
            .await?;
        if let Some(Cancelled { killed, .. }) = ended.cancelled.filter(|_| !ok(&ended)) {
            return Err(Error::Cancelled {
                stack: self.location.full_name(),
                operation: "install",
                killed,
            });
        }
        self.check("install", &ended)
    }

    /// The stack's state, secrets encrypted.
    pub async fn export(&self) -> Result<Value, Error> {
        let command = self.command("stack").arg("export");
        let state = self.json("stack export", command).await;
        if matches!(state, Err(Error::NoStack { .. })) {
            self.settled.store(true, Ordering::Relaxed);
        }
        state
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
        let command = self
            .command("stack")
            .args(["history", "--json", "--page-size", &count]);
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
            .join(format!("Pulumi.{}.yaml", self.location.name()))
    }

    /// A command about the stack that does not need its program.
    fn command(&self, name: &str) -> Command {
        let stack = self.location.full_name();
        self.cli
            .command(self.private.path())
            .env("PULUMI_BACKEND_URL", self.location.backend())
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
            backend: self.location.backend(),
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
        let ended = command.whole().run().await?;
        self.check(name, &ended)?;
        let text = Zeroizing::new(ended.stdout);
        serde_json::from_slice(&text)
            .map_err(|e| Error::Invalid(format!("pulumi {name} gave no such JSON: {e}")))
    }

    /// Finds out how the stack encrypts, where nobody said it: of settings without a key the CLI makes some with a new one, and encrypts
    /// the state with that.
    async fn settle(&mut self) -> Result<(), Error> {
        let known = *self.settled.get_mut() || self.settings.have_key();
        if known || !self.location.is_self_managed() {
            return Ok(());
        }
        match self.export().await {
            Ok(state) => self.adopt(&state),
            // Whoever needs it says so.
            Err(Error::NoStack { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
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
