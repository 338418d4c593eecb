//! Where inner programs come from, and what they are made of.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use pulumi_automation::{project_file, settings_file};
use pulumi_provider::{Checking, Context, Error, Path as PropertyPath, PropertyValue};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::args::{GitSource, PythonSource, StackArgs};
use super::aside;
use super::environment::of_git;
use super::git;
use super::install::{Made, is_lock_file};
use crate::Ptd;
use crate::target::project_name;

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
    let made = Made::of(root);
    let settings = settings_file(root, stack);
    let own = settings.to_string_lossy();
    let key = |inner: &str| {
        if prefix.is_empty() {
            inner.to_owned()
        } else {
            format!("{prefix}/{inner}")
        }
    };
    let mut open = vec![Folder {
        path: root.to_owned(),
        below: String::new(),
        real: std::fs::canonicalize(root).map_err(fail(root))?,
        linked_from: Vec::new(),
    }];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder.path).map_err(fail(&folder.path))? {
            let entry = entry.map_err(fail(&folder.path))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = std::fs::metadata(&path) else {
                // A link to nothing.
                continue;
            };
            let inner = format!("{}{name}", folder.below);
            if kind.is_dir() {
                let link = entry.file_type().is_ok_and(|t| t.is_symlink());
                let ignored = IGNORED_DIRECTORIES.contains(&name.as_str()) || made.has(&inner);
                if !ignored && let Some(next) = folder.enter(path, format!("{inner}/"), link) {
                    open.push(next);
                }
            } else if kind.is_file() && counts(&inner, &own, stack) {
                if found.len() >= MAX_FILES {
                    let message = format!("{} holds more than {MAX_FILES} files", root.display());
                    return Err(io::Error::other(message));
                }
                found.insert(key(&inner), digest(&path).map_err(fail(&path))?);
            }
        }
    }
    // It may be anywhere.
    let path = root.join(&settings);
    if path.is_file() && !found.contains_key(&key(&own)) {
        found.insert(key(&own), digest(&path).map_err(fail(&path))?);
    }
    Ok(())
}

/// A directory on the way through a program.
struct Folder {
    path: PathBuf,
    /// Its path below the program, with `/` at its end.
    below: String,
    /// Where it really is.
    real: PathBuf,
    /// Where the links are that led here.
    linked_from: Vec<PathBuf>,
}

impl Folder {
    /// A directory in this one; `None` for a link that leads back to where it is.
    fn enter(&self, path: PathBuf, below: String, link: bool) -> Option<Self> {
        let mut linked_from = self.linked_from.clone();
        let real = if link {
            linked_from.push(self.real.clone());
            std::fs::canonicalize(&path).ok()?
        } else {
            self.real.join(path.file_name()?)
        };
        let back = linked_from.iter().any(|from| from.starts_with(&real));
        (!link || !back).then_some(Self {
            path,
            below,
            real,
            linked_from,
        })
    }
}

/// Whether a file is part of the program as this stack, whose settings are `own`, runs it.
fn counts(path: &str, own: &str, stack: &str) -> bool {
    let split = |path| str::rsplit_once(path, '/').unwrap_or(("", path));
    let (folder, name) = split(path);
    let rest = name.strip_prefix("Pulumi.");
    let settings = rest.filter(|_| folder == split(own).0).and_then(|rest| {
        [".yaml", ".yml", ".json"]
            .iter()
            .find_map(|end| rest.strip_suffix(end))
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

/// A program where the CLI can run it.
pub(super) struct Program {
    /// The project's directory; `None` when there is no program any more.
    pub(super) directory: Option<PathBuf>,
    /// Where it runs, unless that is a directory that is thrown away.
    pub(super) base: Option<PathBuf>,
    /// Places where its code is searched first, by the variable that lists them.
    pub(super) search: Vec<(&'static str, PathBuf)>,
    made: Option<TempDir>,
}

impl Program {
    /// Fetches or makes the program, where it is not there already. What is made is removed when this is dropped.
    pub(super) async fn of(cx: &Context<Ptd>, args: &StackArgs) -> Result<Self, Error> {
        let cancel = CancellationToken::new();
        let work = Self::get(args, &cancel);
        // What it writes goes into a directory that is removed when it has ended.
        let made = cx.run_to_end(work, || cancel.cancel()).await;
        cx.alive()?;
        made.map_err(|error| unusable(args, &error))
    }

    async fn get(args: &StackArgs, cancel: &CancellationToken) -> io::Result<Self> {
        let given = args.clone();
        let mut program = aside(move || Self::make(&given)).await?;
        if let (Some(source), Some(place)) = (&args.git, &program.made) {
            let commit = args.source_digests.get(COMMIT).map(String::as_str);
            let variables = args.environment.iter();
            let environment =
                of_git(variables.map(|(name, value)| (name.as_str(), value.value.as_str())));
            git::fetch(source, commit, place.path(), &environment, cancel).await?;
            program.directory = Some(place.path().join(source.path.as_deref().unwrap_or("")));
        }
        Ok(program)
    }

    /// The program for what can do without one, as it may be gone. A repository is asked only if told to.
    pub(super) async fn stored(
        cx: &Context<Ptd>,
        args: &StackArgs,
        fetch: bool,
    ) -> Result<Self, Error> {
        let given = args.clone();
        let program = async {
            if args.git.is_some() && !fetch {
                return Ok(Self::there(None));
            }
            let mut program = Self::of(cx, args).await?;
            let checked = move || {
                if !program.is_whole(&given) {
                    program.directory = None;
                }
                Ok(program)
            };
            aside(checked).await.map_err(|error| unusable(args, &error))
        };
        match program.await {
            Ok(program) => Ok(program),
            Err(error) => {
                cx.alive()?;
                cx.info(format!("goes on without the program: {error}"))
                    .await;
                Ok(Self::there(None))
            }
        }
    }

    /// Whether all is there that the CLI opens.
    fn is_whole(&self, args: &StackArgs) -> bool {
        let project = args.stack.split('/').nth(1);
        let named = self.directory.as_deref().map(project_name);
        let python = args.python.as_ref().is_none_or(|source| {
            let virtualenv = source.virtualenv.as_ref();
            Path::new(&source.root).is_dir()
                && virtualenv.is_none_or(|place| Path::new(place).is_dir())
        });
        python && named.is_some_and(|name| name.ok().as_deref() == project)
    }

    /// Whether it is in a directory of its own, which is thrown away.
    pub(super) fn is_made(&self) -> bool {
        self.made.is_some()
    }

    fn there(directory: Option<&str>) -> Self {
        Self {
            directory: directory
                .map(PathBuf::from)
                .filter(|place| project_file(place).is_some()),
            base: directory.map(super::foreign::base),
            search: Vec::new(),
            made: None,
        }
    }

    /// All but what a repository holds.
    fn make(args: &StackArgs) -> io::Result<Self> {
        if args.directory.is_some() {
            return Ok(Self::there(args.directory.as_deref()));
        }
        let mut search = Vec::new();
        let made = tempfile::Builder::new().prefix("ptd-program-").tempdir()?;
        let place = made.path();
        let directory = if let Some(archive) = &args.archive {
            let archive = Path::new(archive);
            if archive.exists() {
                unpack(archive, place)?;
                Some(only_folder(place)?)
            } else {
                None
            }
        } else if let Some(program) = &args.program {
            let mut program: serde_json::Map<String, Value> = program.clone().into_iter().collect();
            let project = args.stack.split('/').nth(1).unwrap_or_default();
            program.entry("name").or_insert_with(|| project.into());
            program.entry("runtime").or_insert_with(|| "yaml".into());
            // JSON is YAML too.
            std::fs::write(
                place.join("Pulumi.yaml"),
                Value::Object(program).to_string(),
            )?;
            Some(place.to_owned())
        } else if let Some(source) = &args.python {
            write_entry(
                source,
                args.stack.split('/').nth(1).unwrap_or_default(),
                place,
            )?;
            search.push(("PYTHONPATH", std::path::absolute(&source.root)?));
            Some(place.to_owned())
        } else {
            None
        };
        Ok(Self {
            directory,
            base: None,
            search,
            made: Some(made),
        })
    }
}

fn unusable(args: &StackArgs, error: &io::Error) -> Error {
    Error::refused(
        format!("the program of stack {}: {error}", args.stack),
        "correct its source",
    )
}

/// Under this name the digests have the commit of a git source.
pub(super) const COMMIT: &str = "commit";

/// What an archive's name says it is.
pub(super) fn is_archive(path: &str) -> bool {
    [".tar", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| path.ends_with(end))
}

fn unpack(archive: &Path, into: &Path) -> io::Result<()> {
    let file = std::fs::File::open(archive)?;
    let zipped = archive.extension() != Some(OsStr::new("tar"));
    // Files outside of the directory are refused by it.
    if zipped {
        tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(into)
    } else {
        tar::Archive::new(file).unpack(into)
    }
}

/// Archives often have one folder at their top, with all the rest in it.
fn only_folder(place: &Path) -> io::Result<PathBuf> {
    if project_file(place).is_some() {
        return Ok(place.to_owned());
    }
    let entries: Vec<_> = std::fs::read_dir(place)?.collect::<Result<_, _>>()?;
    match &entries[..] {
        [one] if one.file_type()?.is_dir() => Ok(one.path()),
        _ => Ok(place.to_owned()),
    }
}

/// The program that the reference writes for a step: it loads the module and hands over to the class.
fn write_entry(source: &PythonSource, project: &str, into: &Path) -> io::Result<()> {
    let mut options = serde_json::Map::new();
    if let Some(virtualenv) = &source.virtualenv {
        options.insert(
            "virtualenv".to_owned(),
            std::path::absolute(virtualenv)?
                .display()
                .to_string()
                .into(),
        );
    }
    let file = json!({ "name": project, "runtime": { "name": "python", "options": options } });
    std::fs::write(into.join("Pulumi.yaml"), file.to_string())?;
    let PythonSource { module, class, .. } = source;
    std::fs::write(
        into.join("__main__.py"),
        format!("from {module} import {class}\n\n{class}.autoload()\n"),
    )
}

/// Whether a path stays below where it begins.
pub(super) fn is_below(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The digests of all that the inputs name, and what cannot be read of it. Only where blocking is allowed.
pub(super) fn all_digests(
    checking: &Checking<'_>,
    stack: &str,
) -> (BTreeMap<String, String>, Vec<(PropertyPath, String)>) {
    let mut found = BTreeMap::new();
    let mut failed = Vec::new();
    let mut parts = stack.split('/').skip(1);
    let (project, name) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let at = |name: &str| PropertyPath::root().key(name);
    if let Some(directory) = checking.known::<String>("directory") {
        match project_name(directory.as_ref()) {
            Ok(said) if said == project => {}
            Ok(said) => failed.push((
                at("stack"),
                format!("is of project {project}, but {directory} is of project {said}"),
            )),
            Err(reason) => failed.push((at("directory"), reason)),
        }
        if let Err(error) = digests(directory.as_ref(), "", name, &mut found) {
            failed.push((at("directory"), error.to_string()));
        }
        if checking.known("installDependencies") == Some(true)
            && checking.old::<String>("directory") == Some(directory)
            && let Some(before) = checking.old::<BTreeMap<String, String>>("sourceDigests")
        {
            found.retain(|path, _| before.contains_key(path) || !is_lock_file(path));
        }
    }
    if let Some(archive) = checking.known::<String>("archive") {
        match digest(archive.as_ref()) {
            Ok(hash) => {
                found.insert("archive".to_owned(), hash);
            }
            Err(error) => failed.push((at("archive"), format!("{archive}: {error}"))),
        }
    }
    if let Some(source) = checking.known::<GitSource>("git") {
        let given = checking.input("environment");
        let known = given.and_then(PropertyValue::as_map).into_iter().flatten();
        let environment =
            of_git(known.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))));
        let never = CancellationToken::new();
        let work = git::resolve(&source, &environment, &never);
        match tokio::runtime::Handle::current().block_on(work) {
            Ok(commit) => {
                found.insert(COMMIT.to_owned(), commit);
            }
            // What is not known yet may be what it takes.
            Err(_) if given.is_some_and(PropertyValue::has_unknown) => {}
            Err(error) => failed.push((at("git"), error.to_string())),
        }
    }
    if let Some(source) = checking.known::<PythonSource>("python") {
        let top = source.module.split('.').next().unwrap_or_default();
        let root = Path::new(&source.root);
        let package = [root.join(top), root.join(format!("{top}.py"))]
            .into_iter()
            .find(|path| path.exists());
        let result = match package {
            Some(package) => digests(&package, top, name, &mut found).map_err(|e| e.to_string()),
            None => Err(format!("there is no module {top} in {}", source.root)),
        };
        if let Err(reason) = result {
            failed.push((at("python"), reason));
        }
    }
    for input in ["watch", "policyPacks"] {
        let paths: Vec<String> = checking.known(input).unwrap_or_default();
        for (index, path) in paths.iter().enumerate() {
            let mut beside = BTreeMap::new();
            if let Err(error) = digests(path.as_ref(), path, name, &mut beside) {
                failed.push((at(input).index(index), error.to_string()));
            }
            for (mut path, hash) in beside {
                // The program may have a file of that path.
                if found.contains_key(&path) {
                    path.push_str(" (beside the program)");
                }
                found.insert(path, hash);
            }
        }
    }
    (found, failed)
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

    #[test]
    fn settings_count_where_the_project_keeps_them() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("web");
        for folder in ["web/stacks", "stacks"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
            for stack in ["dev", "prod"] {
                let file = root
                    .path()
                    .join(folder)
                    .join(format!("Pulumi.{stack}.json"));
                std::fs::write(file, "{}").unwrap();
            }
        }
        let found = |folder: &str, prefix: &str| {
            let project = json!({"name": "web", "stackConfigDir": folder});
            std::fs::write(program.join("Pulumi.json"), project.to_string()).unwrap();
            let mut found = BTreeMap::new();
            digests(&program, prefix, "dev", &mut found).unwrap();
            found.into_keys().collect::<Vec<String>>()
        };
        assert_eq!(
            found("stacks", ""),
            ["Pulumi.json", "stacks/Pulumi.dev.json"]
        );
        let beside = ["../stacks/Pulumi.dev.json", "Pulumi.json"];
        let inside = ["stacks/Pulumi.dev.json", "stacks/Pulumi.prod.json"];
        assert_eq!(found("../stacks", ""), [&beside[..], &inside[..]].concat());
        assert!(found("../stacks", "a").contains(&"a/../stacks/Pulumi.dev.json".to_owned()));
    }

    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let (program, shared) = (root.path().join("web"), root.path().join("shared"));
        for folder in [&program.join("lib"), &shared] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(shared.join("a.py"), "x").unwrap();
        std::fs::write(program.join("lib/b.py"), "x").unwrap();
        symlink(&shared, program.join("shared")).unwrap();
        symlink(&program, program.join("lib/up")).unwrap();
        symlink(&program, shared.join("back")).unwrap();
        symlink(program.join("nothing"), program.join("lost")).unwrap();
        let mut found = BTreeMap::new();
        digests(&program, "", "dev", &mut found).unwrap();
        let paths: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(paths, ["lib/b.py", "shared/a.py"]);
    }
}
