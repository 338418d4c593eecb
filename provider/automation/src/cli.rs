//! The program and its environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use semver::Version;

use crate::Error;
use crate::process::{Command, Ended};
use crate::tool::{Tool, on_path};

/// The oldest CLI that will do: the tests of this crate pass with it.
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
    tool: Tool,
    version: Version,
}

/// What tells one program from the next without asking: file, size, and time of the last change.
type Key = (PathBuf, u64, SystemTime);

/// Programs asked for their version already.
static ASKED: Mutex<BTreeMap<Key, Version>> = Mutex::new(BTreeMap::new());

/// How long a command that is no operation may take to end by itself.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// For how long a version that was written down counts: a file may hand over to another program, whose change it does not show.
const REMEMBERED: Duration = Duration::from_hours(12);

async fn key(program: &Path) -> Option<Key> {
    let found = tokio::fs::metadata(program).await.ok()?;
    Some((program.to_owned(), found.len(), found.modified().ok()?))
}

/// What a program says its version is. `memory` is a file of which a program that was found before is believed, so that it need
/// not be started.
async fn version(
    program: &Path,
    environment: &Environment,
    memory: Option<&Path>,
) -> Result<Version, Error> {
    let asked = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = key(program).await;
    if let Some(version) = key.as_ref().and_then(|key| asked().get(key).cloned()) {
        return Ok(version);
    }
    let remembered = match (memory, &key) {
        (Some(memory), Some(key)) => remembered(memory, key).await,
        _ => None,
    };
    let version = if let Some(version) = remembered {
        version
    } else {
        let version = ask(program, environment).await?;
        if let (Some(memory), Some(key)) = (memory, &key)
            && is_supported(&version)
        {
            // Without it the next process asks again.
            let _ = tokio::fs::write(memory, line(key, &version)).await;
        }
        version
    };
    if let Some(key) = key {
        asked().insert(key, version.clone());
    }
    Ok(version)
}

async fn ask(program: &Path, environment: &Environment) -> Result<Version, Error> {
    let ended = Command::new(program, environment, Path::new("/"))
        .arg("version")
        .run()
        .await?;
    let text = String::from_utf8_lossy(&ended.stdout);
    Version::parse(text.trim().trim_start_matches('v'))
        .map_err(|_| Error::Invalid(format!("{} version says {text:?}", program.display())))
}

fn is_supported(version: &Version) -> bool {
    (version.major, version.minor) >= (MINIMUM_VERSION.major, MINIMUM_VERSION.minor)
}

/// How a version is written down; a line that is cut off is no such text.
fn line((program, size, changed): &Key, version: &Version) -> String {
    let changed = changed.duration_since(SystemTime::UNIX_EPOCH);
    let changed = changed.unwrap_or_default().as_nanos();
    format!("{version}\t{changed}\t{size}\t{}\n", program.display())
}

async fn remembered(memory: &Path, key: &Key) -> Option<Version> {
    let age = tokio::fs::metadata(memory).await.ok()?.modified().ok()?;
    if age.elapsed().ok()? > REMEMBERED {
        return None;
    }
    let text = tokio::fs::read_to_string(memory).await.ok()?;
    let version = Version::parse(text.split('\t').next()?).ok()?;
    (text == line(key, &version) && is_supported(&version)).then_some(version)
}

impl Cli {
    /// Finds `pulumi` on the PATH of this environment and asks for its version.
    pub async fn find(environment: Environment) -> Result<Self, Error> {
        Self::find_with(environment, None).await
    }

    /// As [`Cli::find`], but a program that was found within the last hours is not started again for its version, which takes as
    /// long as many a command. `memory` is a file of this user alone, which is written where it is not there.
    pub async fn find_remembered(environment: Environment, memory: &Path) -> Result<Self, Error> {
        Self::find_with(environment, Some(memory)).await
    }

    async fn find_with(environment: Environment, memory: Option<&Path>) -> Result<Self, Error> {
        if let Some(program) = on_path("pulumi", &environment).await {
            return Self::open(program, environment, memory).await;
        }
        let path = environment.get("PATH").unwrap_or_default();
        let path = path.to_string_lossy().into_owned();
        Err(Error::Missing {
            path,
            minimum: MINIMUM_VERSION,
        })
    }

    /// Takes this program.
    pub async fn at(program: impl Into<PathBuf>, environment: Environment) -> Result<Self, Error> {
        Self::open(program.into(), environment, None).await
    }

    async fn open(
        program: PathBuf,
        mut environment: Environment,
        memory: Option<&Path>,
    ) -> Result<Self, Error> {
        // Nobody waits for an answer from the network about newer versions, nor for one from a person.
        environment.set("PULUMI_SKIP_UPDATE_CHECK", "true");
        environment.set("PULUMI_NON_INTERACTIVE", "true");
        // What is needed for --event-log.
        environment.set("PULUMI_DEBUG_COMMANDS", "true");
        let found = version(&program, &environment, memory).await?;
        if !is_supported(&found) {
            return Err(Error::TooOld {
                program,
                found,
                minimum: MINIMUM_VERSION,
            });
        }
        Ok(Self {
            tool: Tool::at(program, environment),
            version: found,
        })
    }

    /// Runs all below a supervisor, which ends it when this process dies: `command` is a program, and arguments that make it
    /// hand over to [`supervise`](crate::supervise).
    #[must_use]
    pub fn supervised_by(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.tool = self.tool.supervised_by(command);
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
        self.tool.program()
    }

    pub(crate) fn command(&self, directory: &Path) -> Command {
        self.operation(directory, GRACE)
    }

    /// A command that has this long to end by itself.
    pub(crate) fn operation(&self, directory: &Path, grace: Duration) -> Command {
        self.tool.command(directory, grace)
    }
}

/// Whether a command succeeded.
pub(crate) fn ok(ended: &Ended) -> bool {
    ended.code == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_was_found_before_is_not_started_for_its_version() {
        let folder = tempfile::tempdir().expect("folder");
        let (program, memory) = (folder.path().join("pulumi"), folder.path().join("memory"));
        std::fs::write(&program, "no program").expect("program");
        let found =
            async || Cli::open(program.clone(), Environment::default(), Some(&memory)).await;

        assert!(found().await.is_err());
        assert!(!memory.exists());
        let known = Version::new(3, 259, 0);
        let written = line(&key(&program).await.expect("key"), &known);
        std::fs::write(&memory, &written[..written.len() - 1]).expect("memory");
        assert!(found().await.is_err(), "half a line is believed");
        std::fs::write(&memory, &written).expect("memory");
        assert_eq!(found().await.expect("remembered").version, known);

        std::fs::write(&program, "another program").expect("program");
        assert!(
            found().await.is_err(),
            "what is said of another program is believed"
        );
    }

    #[tokio::test]
    async fn a_version_that_is_too_old_is_not_believed() {
        let folder = tempfile::tempdir().expect("folder");
        let (program, memory) = (folder.path().join("pulumi"), folder.path().join("memory"));
        std::fs::write(&program, "no program").expect("program");
        let written = line(&key(&program).await.expect("key"), &Version::new(3, 1, 0));
        std::fs::write(&memory, written).expect("memory");
        assert_eq!(
            remembered(&memory, &key(&program).await.expect("key")).await,
            None
        );
    }
}
