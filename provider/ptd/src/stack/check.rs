//! What must hold of a `Stack`'s inputs before anything is run.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use pulumi_automation::Location;
use pulumi_provider::{Checking, Path, PropertyValue};

use super::args::{GitSource, OnDelete, PythonSource, StackNaming};
use super::in_quotes;
use super::{git, identity, run, source};

/// The inputs that say where the program comes from.
const SOURCES: [&str; 5] = ["directory", "archive", "program", "git", "python"];

/// The inputs that others can read: in arguments of processes, the stack's history, ids of resources.
const SHOWN: [&str; 9] = [
    "stack",
    "naming",
    "backendUrl",
    "secretsProvider",
    "git",
    "message",
    "targets",
    "excludes",
    "replace",
];

/// Checks the inputs, and sets those that follow from others.
pub(super) fn check(checking: &mut Checking<'_>) {
    // Before anything is done with them.
    refuse_secrets(checking, &SHOWN);
    refuse_passwords(checking);
    if !checking.is_ok() {
        return;
    }
    normalize_paths(checking);
    if checking.known("skip") == Some(true) && skip(checking) {
        return;
    }
    check_identity(checking);
    check_source(checking);
    let some = |name: &str| {
        checking
            .known::<Vec<String>>(name)
            .is_some_and(|list| !list.is_empty())
    };
    if some("targets") && some("excludes") {
        checking.refuse("excludes", "cannot be given together with targets");
    }
    for (at, pack) in checking
        .known::<Vec<String>>("policyPacks")
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        if !FilePath::new(pack).is_dir() {
            checking.fail(
                Path::root().key("policyPacks").index(at),
                format!("there is no directory {pack}"),
            );
        }
    }
    check_config(checking);
    if checking.is_ok() {
        digest(checking);
        warn_of_taking(checking);
    }
}

/// A stack that was imported, or only looked at, is not run for being given its program: nobody knows what it was run with.
fn warn_of_taking(checking: &mut Checking<'_>) {
    let taken = checking.old("observe") == Some(true) && checking.known("observe") != Some(true);
    if taken {
        checking.warn(
            "takes its program and configuration as those that it was last run with, and runs nothing: where they are others, \
             a change of triggers applies them",
        );
    }
}

/// Two ways to write one key: which value wins nobody could tell.
fn check_config(checking: &mut Checking<'_>) {
    let Some(stack) = checking.known::<String>("stack") else {
        return;
    };
    let namespace = stack.split('/').nth(1).unwrap_or_default();
    let Some(config) = checking.input("config").and_then(PropertyValue::as_map) else {
        return;
    };
    let twice: Vec<String> = config
        .keys()
        .filter(|key| !key.contains(':') && config.contains_key(&format!("{namespace}:{key}")))
        .cloned()
        .collect();
    for key in twice {
        let reason = format!("is given as '{namespace}:{key}' as well, which is the same key");
        checking.fail(Path::root().key("config").key(&key), reason);
    }
}

/// Paths that the program made absolute are written as relative ones again: where a checkout lies does not belong in the state.
fn relative(path: &str) -> String {
    let Ok(here) = std::env::current_dir() else {
        return path.to_owned();
    };
    let given = FilePath::new(path);
    if !given.is_absolute() {
        return path.to_owned();
    }
    let (from, to): (Vec<_>, Vec<_>) = (here.components().collect(), given.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    // Only the root in common: the path is another place on this machine.
    if shared < 2 {
        return path.to_owned();
    }
    let up = std::iter::repeat_n("..".as_ref(), from.len() - shared);
    let down = to[shared..].iter().map(|part| part.as_os_str());
    let relative: std::path::PathBuf = up.chain(down).collect();
    if relative.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        relative.display().to_string()
    }
}

fn normalize_paths(checking: &mut Checking<'_>) {
    for name in ["directory", "archive"] {
        if let Some(path) = checking.known::<String>(name) {
            checking.set(name, relative(&path));
        }
    }
    for name in ["watch", "policyPacks"] {
        if let Some(paths) = checking.known::<Vec<String>>(name) {
            checking.set(
                name,
                paths.iter().map(|path| relative(path)).collect::<Vec<_>>(),
            );
        }
    }
    if let Some(mut python) = checking.known::<PythonSource>("python") {
        python.root = relative(&python.root);
        python.virtualenv = python.virtualenv.as_deref().map(relative);
        checking.set("python", python);
    }
}

/// Which stack it is, and that nobody else says what becomes of it.
fn check_identity(checking: &mut Checking<'_>) {
    let naming = checking.known::<StackNaming>("naming");
    let old_naming = checking.old::<StackNaming>("naming");
    match (checking.given("stack"), &naming) {
        (false, Some(naming)) => checking.set("stack", naming.full_name()),
        (true, Some(naming))
            if checking.known::<String>("stack") != Some(naming.full_name())
                && old_naming.is_none() =>
        {
            checking.refuse("naming", "cannot be given together with stack");
        }
        (false, None) if !checking.given("naming") => {
            checking.refuse(
                "stack",
                "is required: the inner stack's full name, or its parts as naming",
            );
        }
        _ => {}
    }
    let stack = checking.known::<String>("stack");
    let backend = checking.known::<String>("backendUrl");
    if let Some(stack) = &stack
        && let Err(error) = Location::new("file:///", stack)
    {
        checking.refuse("stack", error.to_string());
    }
    if let Some(backend) = &backend
        && let Err(error) = Location::new(backend, "organization/project/stack")
    {
        checking.refuse("backendUrl", error.to_string());
    }
    if let Some(place) = backend
        .as_deref()
        .and_then(|url| url.strip_prefix("file://"))
        && !place.starts_with(['/', '~'])
    {
        // The commands of one run have different working directories.
        let problem = format!(
            "must name its directory from the root or from ~, as file:///state does, got {place:?}"
        );
        checking.refuse("backendUrl", problem);
    }
    let (Some(stack), Some(backend)) = (stack, backend) else {
        return;
    };
    if !checking.is_ok() {
        return;
    }
    let identity = identity::identity(&backend, &stack);
    let olds = (
        checking.old::<String>("backendUrl"),
        checking.old::<String>("stack"),
    );
    if let (Some(old_backend), Some(old_stack)) = olds
        && identity::identity(&old_backend, &old_stack) != identity
        && checking.known("replaceOnIdentityChange") != Some(true)
    {
        let name = if old_stack == stack {
            "backendUrl"
        } else {
            "stack"
        };
        let (old_url, url) = (in_quotes(&old_backend), in_quotes(&backend));
        checking.refuse(
            name,
            format!(
                "would make it another stack: it is {old_stack} in {old_backend}. To move its state: PULUMI_BACKEND_URL={old_url} \
                 pulumi stack export --stack {old_stack} --file state.json, then PULUMI_BACKEND_URL={url} pulumi stack init {stack} \
                 and pulumi stack import --stack {stack} --file state.json, then put the new name into this program's state with pulumi \
                 import. Or set replaceOnIdentityChange: the other stack is then created, and onDelete says what happens to this one"
            ),
        );
        return;
    }
    own_stack(checking, &backend, &stack);
    let claimed = tokio::task::block_in_place(|| {
        let folder = run::folder(checking.engine_address()?)?;
        folder.claim(&identity, checking.urn()).ok().flatten()
    });
    if let Some(owner) = claimed {
        checking.refuse(
            "stack",
            format!("{stack} is the inner stack of {owner} already: only one resource can run it"),
        );
    }
}

/// A stack whose program runs itself never ends.
fn own_stack(checking: &mut Checking<'_>, backend: &str, stack: &str) {
    let Some((project, name)) = identity::of_urn(checking.urn()) else {
        return;
    };
    let own = format!("/{project}/{name}");
    let elsewhere =
        || identity::outer_backend().is_some_and(|outer| !identity::same_backend(&outer, backend));
    if stack.ends_with(&own) && !elsewhere() {
        checking.refuse(
            "stack",
            format!("{stack} is the stack that declares this resource, unless {backend} is another backend, which cannot be told"),
        );
    }
}

/// Refuses secrets in inputs that others can read.
pub(super) fn refuse_secrets(checking: &mut Checking<'_>, names: &[&str]) {
    for name in names {
        if let Some(at) = checking
            .input(name)
            .and_then(|value| secret_in(value, Path::root().key(*name)))
        {
            checking.fail(
                at,
                "must not be a secret, as the state, the stack's history or arguments of processes show it: credentials belong into \
                 environment as secret variables, and what the program needs into config. What is merely marked as one, such as an \
                 output beside a secret one, is taken from plainOutputs, or unmarked (unsecret)",
            );
        }
    }
}

/// Refuses URLs with passwords, which the state and arguments of processes would show. The engine shows the value of a property that a
/// failure is of: these are of none.
fn refuse_passwords(checking: &mut Checking<'_>) {
    if checking
        .known::<String>("backendUrl")
        .is_some_and(|url| git::holds_password(&url) || has_password_parameter(&url))
    {
        checking.fail(
            Path::root(),
            "backendUrl must not hold a password or token, which would stand in the state and in arguments of processes: leave it out of \
             the URL, and give it as a secret variable in environment, such as PGPASSWORD for a Postgres database",
        );
    }
    if checking
        .known::<GitSource>("git")
        .is_some_and(|git| git::holds_password(&git.url))
    {
        checking.fail(
            Path::root(),
            "git.url must not hold a password or token, which would stand in the state and in arguments of processes: leave it out of the URL, \
             and give it as a secret variable in environment, say GIT_TOKEN, with a helper of git that tells it: GIT_CONFIG_COUNT=1, \
             GIT_CONFIG_KEY_0=credential.helper, \
             GIT_CONFIG_VALUE_0='!f() { echo username=git; echo \"password=$GIT_TOKEN\"; }; f'",
        );
    }
}

/// Whether a URL names a password in its query, as databases take it.
fn has_password_parameter(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| matches!(name, "password" | "sslpassword") && !value.is_empty())
}

/// Where the first secret in a value is.
fn secret_in(value: &PropertyValue, at: Path) -> Option<Path> {
    if value.is_secret() {
        return Some(at);
    }
    match value.bare()? {
        PropertyValue::Map(map) => map
            .iter()
            .find_map(|(name, value)| secret_in(value, at.key(name))),
        PropertyValue::List(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, value)| secret_in(value, at.index(index))),
        _ => None,
    }
}

/// Exactly one source, of the right form.
fn check_source(checking: &mut Checking<'_>) {
    let observe = checking.known("observe") == Some(true);
    let given: Vec<&str> = SOURCES
        .into_iter()
        .filter(|name| checking.given(name))
        .collect();
    match given[..] {
        [] if !observe => checking.refuse(
            "directory",
            "is required: the directory of the inner project. Or one of archive, program, git and python; or observe, to only look at a stack",
        ),
        [name, ..] if observe => checking.refuse(name, "cannot be given together with observe"),
        [first, second, ..] => checking.refuse(second, format!("cannot be given together with {first}")),
        _ => {}
    }
    if let Some(archive) = checking.known::<String>("archive")
        && !source::is_archive(&archive)
    {
        checking.refuse(
            "archive",
            format!("{archive} is no .tar, .tar.gz or .tgz file"),
        );
    }
    if let Some(at) = checking
        .input("program")
        .and_then(|program| secret_in(program, Path::root().key("program")))
    {
        checking.fail(
            at,
            "must not be a secret, as the program is written to a file in plain text: give the value as a secret in config, declare \
             it there in the program as well, with `secret: true`, and let the program read it",
        );
    }
    if let Some(git) = checking.known::<GitSource>("git") {
        if git.url.starts_with('-') || git.reference.starts_with('-') || git.reference.is_empty() {
            checking.refuse(
                "git",
                "url and ref must be a repository and a branch, tag or commit in it",
            );
        }
        if git.path.is_some_and(|path| !source::is_below(&path)) {
            checking.fail(
                Path::root().key("git").key("path"),
                "must be a path below the repository's root",
            );
        }
    }
    if let Some(python) = checking.known::<PythonSource>("python") {
        let legal = |name: &str| {
            name.split('.').all(|part| {
                !part.is_empty() && part.chars().all(|c| c == '_' || c.is_alphanumeric())
            })
        };
        for (name, value) in [("module", &python.module), ("class", &python.class)] {
            if !legal(value) {
                checking.fail(
                    Path::root().key("python").key(name),
                    format!("{value:?} is no Python name"),
                );
            }
        }
    }
}

/// Sets the digests of the sources, which a diff then compares.
fn digest(checking: &mut Checking<'_>) {
    let Some(stack) = checking.known::<String>("stack") else {
        return;
    };
    // Hashing a large program takes long enough to disturb others on this thread.
    let (found, failed) = tokio::task::block_in_place(|| source::all_digests(checking, &stack));
    // What is never run needs no program.
    let failed = if checking.known("skip") == Some(true) {
        Vec::new()
    } else {
        failed
    };
    for (path, reason) in failed {
        checking.fail(path, reason);
    }
    // Absent where there are none, as in what a refresh gives back.
    let found = (!found.is_empty()).then_some(found);
    checking.set("sourceDigests", found);
}

/// Leaves a resource that is skipped as it was, and says when that leaves something out. What deleting it does is no part of that: it
/// is read from the state.
fn skip(checking: &mut Checking<'_>) -> bool {
    let on_delete = checking.known::<OnDelete>("onDelete");
    let before = checking.old::<BTreeMap<String, String>>("sourceDigests");
    let now = checking
        .known::<String>("stack")
        .map(|stack| tokio::task::block_in_place(|| source::all_digests(checking, &stack)));
    if !checking.keep_old() {
        return false;
    }
    // A program that is gone or half written is none to compare with.
    if let (Some(before), Some((now, failed))) = (before, now)
        && failed.is_empty()
        && before != now
    {
        let changed: Vec<&String> = now
            .iter()
            .filter(|(path, hash)| before.get(*path) != Some(hash))
            .map(|(path, _)| path)
            .collect();
        let gone: Vec<&String> = before
            .keys()
            .filter(|path| !now.contains_key(*path))
            .collect();
        let some: Vec<&str> = changed
            .into_iter()
            .chain(gone)
            .take(3)
            .map(String::as_str)
            .collect();
        checking.warn(format!(
            "skipped, although its program has changed: {}",
            some.join(", ")
        ));
    }
    checking.set("skip", true);
    if let Some(on_delete) = on_delete {
        checking.set("onDelete", on_delete);
    }
    true
}
