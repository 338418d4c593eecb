//! Programs, and what ends them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::process::{Command, Ended};
use crate::{Environment, Error};

/// A program, and the environment it runs in, nothing inherited: `git`, say, for what an inner program is made of.
///
/// Neither it nor what it starts outlives this process where it is supervised, nor the future that runs it.
#[derive(Debug, Clone)]
pub struct Tool {
    program: Arc<Path>,
    environment: Environment,
    supervisor: Option<Arc<[OsString]>>,
}

/// When a program is to end early.
#[derive(Debug, Clone, Default)]
pub struct Until {
    /// Ends it.
    pub cancel: CancellationToken,
    /// How long it then has to do so by itself before it is killed.
    pub grace: Duration,
    /// How long it may take. `None`: as long as it takes.
    pub limit: Option<Duration>,
}

impl Tool {
    /// Finds a program on the PATH of this environment.
    pub async fn find(name: &str, environment: Environment) -> Option<Self> {
        let program = on_path(name, &environment).await?;
        Some(Self::at(program, environment))
    }

    /// Takes this program.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>, environment: Environment) -> Self {
        let program: PathBuf = program.into();
        Self {
            program: program.into(),
            environment,
            supervisor: None,
        }
    }

    /// Runs it below a supervisor, which ends it when this process dies: `command` is a program, and arguments that make it hand
    /// over to [`supervise`](crate::supervise).
    #[must_use]
    pub fn supervised_by(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.supervisor = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it to its end, whichever that is.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub async fn run(
        &self,
        directory: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        until: &Until,
    ) -> Result<Ended, Error> {
        self.command(directory, until.grace)
            .args(arguments)
            .until(&until.cancel, until.grace, until.limit)
            .run()
            .await
    }

    pub(crate) fn command(&self, directory: &Path, grace: Duration) -> Command {
        match self.supervisor.as_deref() {
            Some([program, args @ ..]) => {
                Command::new(Path::new(program), &self.environment, directory)
                    .supervised()
                    .args(args)
                    .args([
                        std::process::id().to_string(),
                        grace.as_millis().to_string(),
                    ])
                    .arg(&*self.program)
            }
            _ => Command::new(&self.program, &self.environment, directory),
        }
    }
}

/// The first file of that name on the PATH of an environment.
pub(crate) async fn on_path(name: &str, environment: &Environment) -> Option<PathBuf> {
    let folders = std::env::split_paths(environment.get("PATH").unwrap_or_default());
    let files: Vec<PathBuf> = folders.map(|folder| folder.join(name)).collect();
    for file in files {
        if tokio::fs::metadata(&file).await.is_ok_and(|m| m.is_file()) {
            return Some(file);
        }
    }
    None
}
