//! The environment of an inner run.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use pulumi_automation::Environment;

use super::args::StackArgs;
use super::credentials::Served;
use super::identity;
use super::source::Program;

/// Variables of this process that inner ones get. The outer engine's own, `PULUMI_CONFIG` with its secrets in plain text among
/// them, are none of their business.
fn inherited(name: &str) -> bool {
    const OF_PULUMI: [&str; 4] = [
        "PULUMI_HOME",
        "PULUMI_PYTHON_CMD",
        "PULUMI_SKIP_UPDATE_CHECK",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    ];
    OF_PULUMI.contains(&name) || name.starts_with("PULUMI_K8S_") || !name.starts_with("PULUMI")
}

pub(super) fn environment(
    args: &StackArgs,
    program: &Program,
    served: Option<&Served>,
) -> Environment {
    let mut environment = Environment::inherit_where(inherited);
    if let Some(served) = served {
        served.apply(&mut environment);
    }
    let backend = &args.backend_url;
    let same =
        || identity::outer_backend().is_some_and(|outer| identity::same_backend(&outer, backend));
    let mut names: Vec<&str> = args
        .inherit_environment
        .iter()
        .map(String::as_str)
        .collect();
    if backend.starts_with("https://") && same() {
        names.push("PULUMI_ACCESS_TOKEN");
    }
    for name in names {
        if let Some(value) = std::env::var_os(name) {
            environment.set(name, value);
        }
    }
    for (name, value) in &args.environment {
        environment.set(name, &value.value);
    }
    for (name, place) in &program.search {
        let path = before(place, environment.get(name));
        environment.set(*name, path);
    }
    environment
}

/// A search path with one place more, at its beginning.
fn before(place: &Path, path: Option<&OsStr>) -> OsString {
    let mut all = place.as_os_str().to_owned();
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        all.push(":");
        all.push(path);
    }
    all
}

/// The environment of `git`, which has no use for what is Pulumi's: of `given` it gets the rest.
pub(super) fn of_git<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
    let wanted = |name: &str| !name.starts_with("PULUMI");
    let mut environment = Environment::inherit_where(wanted);
    for (name, value) in given.into_iter().filter(|(name, _)| wanted(name)) {
        environment.set(name, value);
    }
    environment
}
