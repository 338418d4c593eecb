//! The program and its environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use semver::Version;

use crate::Error;
use crate::process::{Command, Ended};

/// The oldest CLI that has all that is used here.
pub const MINIMUM_VERSION: Version = Version::new(3, 200, 0);

/// The environment that processes get: only what it was given.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// These variables of this process, as far as they are set.
    #[must_use]
    pub fn inherit<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let value = |name: &str| Some((name.into(), std::env::var_os(name)?));
        Self(names.into_iter().filter_map(value).collect())
    }

    /// All variables of this process that `keep` accepts.
    #[must_use]
    pub fn inherit_where(keep: impl Fn(&str) -> bool) -> Self {
        Self(
            std::env::vars_os()
                .filter(|(name, _)| name.to_str().is_some_and(&keep))
                .collect(),
        )
    }

    /// The same with one variable more, or with another value for it.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes a variable out.
    pub fn unset(&mut self, name: impl AsRef<OsStr>) {
        self.0.remove(name.as_ref());
    }

    /// A variable's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

/// Names only: values may be credentials.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// A `pulumi` program of a version that will do, and the environment it runs in.
#[derive(Debug, Clone)]
pub struct Cli {
    program: Arc<Path>,
    version: Version,
    pub(crate) environment: Environment,
    supervisor: Option<Arc<[OsString]>>,
}

/// Programs asked for their version already: file, size and time of the last change tell one from the next.
static ASKED: Mutex<BTreeMap<(PathBuf, u64, SystemTime), Version>> = Mutex::new(BTreeMap::new());

/// What a program says its version is.
async fn version(program: &Path, environment: &Environment) -> Result<Version, Error> {
    let asked = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = tokio::fs::metadata(program)
        .await
        .ok()
        .and_then(|found| Some((program.to_owned(), found.len(), found.modified().ok()?)));
    if let Some(version) = key.as_ref().and_then(|key| asked().get(key).cloned()) {
        return Ok(version);
    }
    let ended = Command::new(program, environment, Path::new("/"))
        .arg("version")
        .run()
        .await?;
    let text = String::from_utf8_lossy(&ended.stdout);
    let version = Version::parse(text.trim().trim_start_matches('v'))
        .map_err(|_| Error::Invalid(format!("{} version says {text:?}", program.display())))?;
    if let Some(key) = key {
        asked().insert(key, version.clone());
    }
    Ok(version)
}

impl Cli {
    /// Finds `pulumi` on the PATH of this environment and asks for its version.
    pub async fn find(environment: Environment) -> Result<Self, Error> {
        let path = environment.get("PATH").unwrap_or_default().to_owned();
        let candidates: Vec<PathBuf> = std::env::split_paths(&path)
            .map(|folder| folder.join("pulumi"))
            .collect();
        for candidate in candidates {
            if tokio::fs::metadata(&candidate)
                .await
                .is_ok_and(|m| m.is_file())
            {
                return Self::at(candidate, environment).await;
            }
        }
        let path = path.to_string_lossy().into_owned();
        Err(Error::Missing {
            path,
            minimum: MINIMUM_VERSION,
        })
    }

    /// Takes this program.
    pub async fn at(
        program: impl Into<PathBuf>,
        mut environment: Environment,
    ) -> Result<Self, Error> {
        let program = program.into();
        // Nobody waits for an answer from the network about newer versions, nor for one from a person.
        environment.set("PULUMI_SKIP_UPDATE_CHECK", "true");
        environment.set("PULUMI_NON_INTERACTIVE", "true");
        // What is needed for --event-log.
        environment.set("PULUMI_DEBUG_COMMANDS", "true");
        let found = version(&program, &environment).await?;
        if (found.major, found.minor) < (MINIMUM_VERSION.major, MINIMUM_VERSION.minor) {
            return Err(Error::TooOld {
                program,
                found,
                minimum: MINIMUM_VERSION,
            });
        }
        Ok(Self {
            program: program.into(),
            version: found,
            environment,
            supervisor: None,
        })
    }

    /// Runs operations below a supervisor, which ends them when this process dies: `command` is a program, and arguments that
    /// make it hand over to [`supervise`](crate::supervise).
    #[must_use]
    pub fn supervised_by(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.supervisor = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// The version of the program.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn command(&self, directory: &Path) -> Command {
        Command::new(&self.program, &self.environment, directory)
    }

    /// A command that ends when this process does, whatever happens to it.
    pub(crate) fn operation(&self, directory: &Path, grace: Duration) -> Command {
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
            _ => self.command(directory),
        }
    }
}

/// Whether a command succeeded.
pub(crate) fn ok(ended: &Ended) -> bool {
    ended.code == Some(0)
}
