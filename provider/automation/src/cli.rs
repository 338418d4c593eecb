//! The program and its environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
        let ended = Command::new(&program, &environment, Path::new("/"))
            .arg("version")
            .run()
            .await?;
        let text = String::from_utf8_lossy(&ended.stdout);
        let version = text.trim().trim_start_matches('v');
        let found = Version::parse(version)
            .map_err(|_| Error::Invalid(format!("{} version says {text:?}", program.display())))?;
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
        })
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
}

/// Whether a command succeeded.
pub(crate) fn ok(ended: &Ended) -> bool {
    ended.code == Some(0)
}
