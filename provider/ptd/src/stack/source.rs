//! What an inner program is made of.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Directories that tools make from the others, and repositories' own.
const IGNORED_DIRECTORIES: [&str; 8] = [
    ".git",
    ".pulumi",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
];

/// More than this is not a program but a mistake in the path.
const MAX_FILES: usize = 50_000;

/// The SHA-256 of each file, by its path below `root`, with `/` between the parts.
///
/// `prefix` goes before each path; settings of other stacks than `stack` do not count.
pub(super) fn digests(
    root: &Path,
    prefix: &str,
    stack: &str,
    found: &mut BTreeMap<String, String>,
) -> io::Result<()> {
    let fail = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
    };
    let kind = std::fs::metadata(root).map_err(fail(root))?;
    if kind.is_file() {
        found.insert(prefix.to_owned(), digest(root).map_err(fail(root))?);
        return Ok(());
    }
    let mut open: Vec<(PathBuf, String)> = vec![(root.to_owned(), String::new())];
    while let Some((folder, below)) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(fail(&folder))? {
            let entry = entry.map_err(fail(&folder))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = std::fs::metadata(&path) else {
                // A link to nothing.
                continue;
            };
            let inner = format!("{below}{name}");
            if kind.is_dir() {
                // A link may lead back to where it is.
                let link = entry.file_type().is_ok_and(|t| t.is_symlink());
                if !link && !IGNORED_DIRECTORIES.contains(&name.as_str()) {
                    open.push((path, format!("{inner}/")));
                }
            } else if kind.is_file() && counts(&inner, stack) {
                if found.len() >= MAX_FILES {
                    let message = format!("{} holds more than {MAX_FILES} files", root.display());
                    return Err(io::Error::other(message));
                }
                let key = if prefix.is_empty() {
                    inner
                } else {
                    format!("{prefix}/{inner}")
                };
                found.insert(key, digest(&path).map_err(fail(&path))?);
            }
        }
    }
    Ok(())
}

/// Whether a file is part of the program as this stack runs it.
fn counts(path: &str, stack: &str) -> bool {
    let settings = path.strip_prefix("Pulumi.").and_then(|rest| {
        rest.strip_suffix(".yaml")
            .or_else(|| rest.strip_suffix(".yml"))
    });
    let compiled = Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "pyc");
    !compiled && settings.is_none_or(|name| name == stack)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_program_is_made_of() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for path in [
            "Pulumi.yaml",
            "__main__.py",
            "lib/a.py",
            "Pulumi.dev.yaml",
            "Pulumi.prod.yaml",
            ".git/config",
        ] {
            write(path, "x");
        }
        write("venv/lib/b.py", "x");
        write("lib/__pycache__/a.pyc", "x");
        let mut found = BTreeMap::new();
        digests(root.path(), "", "dev", &mut found).unwrap();
        let paths: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            ["Pulumi.dev.yaml", "Pulumi.yaml", "__main__.py", "lib/a.py"]
        );
        let before = found.clone();
        write("lib/a.py", "y");
        digests(root.path(), "", "dev", &mut found).unwrap();
        let changed: Vec<_> = found
            .iter()
            .filter(|(k, v)| before.get(*k) != Some(v))
            .collect();
        assert_eq!(changed.len(), 1);
        assert!(digests(&root.path().join("nothing"), "", "dev", &mut found).is_err());
    }
}
