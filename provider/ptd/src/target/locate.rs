//! Finding a target below the targets directory, and reading files of bounded size.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::decode::FileName;
use super::problem::{LoadErrors, Problem, nearest};

/// Directory of the workloads.
pub const WORKLOADS: &str = "__work__";
/// Directory of the control rooms.
pub const CONTROL_ROOMS: &str = "__ctrl__";
/// No file a person writes comes near.
const MAX_FILE_SIZE: u64 = 8 * 1024 * 1024;

/// A target's directory.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// [`WORKLOADS`] or [`CONTROL_ROOMS`].
    pub(crate) parent: &'static str,
    /// Its path.
    pub(crate) directory: PathBuf,
    /// Its path from the targets directory, with `/`.
    pub(crate) relative: String,
}

impl Located {
    /// The directory of `name` in `parent`.
    pub(crate) fn new(targets_dir: &Path, parent: &'static str, name: &str) -> Self {
        Self {
            parent,
            directory: targets_dir.join(parent).join(name),
            relative: format!("{parent}/{name}"),
        }
    }

    /// Path and names of a file in the directory; `path` uses `/`.
    pub(crate) fn file(&self, path: &str) -> (PathBuf, FileName) {
        let full = path
            .split('/')
            .fold(self.directory.clone(), |directory, part| {
                directory.join(part)
            });
        let name = FileName {
            full: full.display().to_string(),
            relative: format!("{}/{path}", self.relative),
        };
        (full, name)
    }
}

/// Finds the one directory of target `name`.
pub(crate) fn locate(targets_dir: &Path, name: &str) -> Result<Located, LoadErrors> {
    let fail = |path: &Path, message: String| {
        let problem = Problem::of_file(path.display().to_string(), message);
        Err(LoadErrors::one(name, problem))
    };
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
        return fail(
            targets_dir,
            format!(
                "{name:?} is not the name of a target: it must be the name of a directory in `{WORKLOADS}` or `{CONTROL_ROOMS}`"
            ),
        );
    }
    if !targets_dir.is_dir() {
        return fail(
            targets_dir,
            "the targets directory does not exist or is not a directory".into(),
        );
    }
    let parents = [WORKLOADS, CONTROL_ROOMS];
    if !parents
        .iter()
        .any(|parent| targets_dir.join(parent).is_dir())
    {
        return fail(
            targets_dir,
            format!(
                "a targets directory holds `{WORKLOADS}`, `{CONTROL_ROOMS}` or both; this one has neither"
            ),
        );
    }
    let mut found = Vec::new();
    for parent in parents {
        let located = Located::new(targets_dir, parent, name);
        match located.directory.try_exists() {
            Ok(true) => found.push(located),
            Ok(false) => {}
            Err(error) => {
                return fail(&located.directory, format!("cannot be looked at: {error}"));
            }
        }
    }
    match <[Located; 1]>::try_from(found) {
        Ok([located]) => Ok(located),
        Err(found) if found.is_empty() => {
            let others = parents.map(|parent| names_in(&targets_dir.join(parent)));
            let hint = nearest(name, others.iter().flatten().map(String::as_str))
                .map(|other| format!("; did you mean `{other}`?"))
                .unwrap_or_default();
            fail(
                targets_dir,
                format!(
                    "no target `{name}`: it is neither in `{WORKLOADS}` nor in `{CONTROL_ROOMS}`{hint}"
                ),
            )
        }
        Err(_) => fail(
            targets_dir,
            format!(
                "target `{name}` is ambiguous: it is in `{WORKLOADS}` and in `{CONTROL_ROOMS}`; rename one of them"
            ),
        ),
    }
}

/// Names of the directories in `directory`, sorted; none when it cannot be read.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// What came of reading a file.
#[derive(Debug)]
pub(crate) enum Contents {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// There is none.
    Missing,
    /// It cannot be used; why.
    Unusable(String),
}

/// Reads the file at `path`, if it is one and of reasonable size.
pub(crate) fn read(path: &Path) -> Contents {
    let attempt = || -> io::Result<Contents> {
        // Opening a pipe would wait for a writer.
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Ok(Contents::Unusable(
                "expected a file, found something else".into(),
            ));
        }
        let mut bytes = Vec::new();
        // The size may change under our hands: the reader is what is bounded.
        File::open(path)?
            .take(MAX_FILE_SIZE + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_SIZE {
            let limit = MAX_FILE_SIZE / (1024 * 1024);
            return Ok(Contents::Unusable(format!("larger than {limit} MiB")));
        }
        Ok(Contents::Bytes(bytes))
    };
    match attempt() {
        Ok(contents) => contents,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Contents::Missing
        }
        Err(error) => Contents::Unusable(format!("cannot be read: {error}")),
    }
}
