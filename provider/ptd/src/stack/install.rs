//! Installing what projects need, and what comes of it.

use std::path::{Path, PathBuf};

use pulumi_automation::{Error, Stack, project_file};
use pulumi_provider::Context;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::Ptd;

/// The files that say what a program needs.
const MANIFESTS: [&str; 9] = [
    "Pulumi.yaml",
    "Pulumi.yml",
    "Pulumi.json",
    "requirements.txt",
    "pyproject.toml",
    "package.json",
    "go.mod",
    "pom.xml",
    "build.gradle",
];
/// The files in which package managers note what exactly they have installed.
const LOCK_FILES: [&str; 10] = [
    "uv.lock",
    "poetry.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "go.sum",
    "packages.lock.json",
    "gradle.lockfile",
];
/// What an installation leaves; where it is gone, so is the installation.
const LEFT: [&str; 4] = ["venv", ".venv", "node_modules", "sdks"];

/// Whether a file, by its path, is one that package managers write.
pub(super) fn is_lock_file(path: &str) -> bool {
    LOCK_FILES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// The directories in a project that tools make, as its project file tells.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// By these names, anywhere.
    anywhere: &'static [&'static str],
    /// By these names, at the top.
    top: &'static [&'static str],
    /// The SDKs of the packages that the project file names.
    sdks: bool,
    python: bool,
    virtualenv: Option<String>,
}

impl Made {
    /// What a directory without a project has is its own.
    pub(super) fn of(directory: &Path) -> Self {
        let text = project_file(directory).and_then(|path| std::fs::read_to_string(path).ok());
        let project = text.and_then(|text| pulumi_automation::yaml(&text).ok());
        project
            .map(|project| Self::by(&project))
            .unwrap_or_default()
    }

    fn by(project: &Value) -> Self {
        let runtime = &project["runtime"];
        let name = runtime.as_str().or_else(|| runtime["name"].as_str());
        let mut made = Self {
            sdks: !project["packages"].is_null(),
            ..Self::default()
        };
        match name.unwrap_or_default() {
            "dotnet" => made.anywhere = &["bin", "obj"],
            "java" => made.top = &["target", "build", ".gradle"],
            "python" => {
                made.python = true;
                let path = runtime["options"]["virtualenv"].as_str();
                made.virtualenv = path.map(|path| {
                    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
                    parts.collect::<Vec<_>>().join("/")
                });
            }
            _ => {}
        }
        made
    }

    /// Whether a directory is one of them, by its path below the project.
    pub(super) fn has(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.anywhere.contains(&name)
            || self.top.contains(&path)
            || self.virtualenv.as_deref() == Some(path)
            || (self.sdks && path == "sdks")
            || (self.python && name.ends_with(".egg-info"))
    }
}

/// Runs `pulumi install`. It ends when the operation is to end.
pub(super) async fn install(cx: &Context<Ptd>, stack: &Stack) -> Result<(), Error> {
    let cancel = CancellationToken::new();
    let work = stack.install(&cancel);
    cx.run_to_end(work, || cancel.cancel()).await
}

/// Where it is noted that a project was installed, with what of it is there.
fn mark(directory: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(directory).ok()?;
    let mut hash = Sha256::new();
    hash.update(real.as_os_str().as_encoded_bytes());
    for name in MANIFESTS.iter().chain(&LOCK_FILES) {
        hash.update([0]);
        hash.update(std::fs::read(real.join(name)).unwrap_or_default());
    }
    let made = Made::of(&real);
    for name in LEFT.into_iter().chain(made.virtualenv.as_deref()) {
        hash.update([u8::from(real.join(name).is_dir())]);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(
        cache
            .join("pulumi-resource-ptd/installed")
            .join(hex::encode(hash.finalize())),
    )
}

async fn blocking<T: Send + 'static>(
    directory: &Path,
    work: impl FnOnce(Option<PathBuf>) -> T + Send + 'static,
) -> Option<T> {
    let directory = directory.to_owned();
    tokio::task::spawn_blocking(move || work(mark(&directory)))
        .await
        .ok()
}

/// Whether the project was installed as it is now.
pub(super) async fn is_done(directory: &Path) -> bool {
    blocking(directory, |mark| mark.is_some_and(|mark| mark.is_file()))
        .await
        .unwrap_or(false)
}

/// Notes that the project is installed. Where it cannot be noted, it is installed again the next time.
pub(super) async fn note_done(directory: &Path) {
    let noted = blocking(directory, |mark| {
        let Some(mark) = mark else { return Ok(()) };
        std::fs::create_dir_all(mark.parent().unwrap_or(&mark))?;
        std::fs::write(mark, "")
    });
    if let Some(Err(error)) = noted.await {
        tracing::debug!(%error, "an installation could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_tools_make_goes_by_the_runtime() {
        let dotnet = Made::by(&json!({"runtime": "dotnet"}));
        assert!(
            dotnet.has("bin")
                && dotnet.has("lib/obj")
                && !dotnet.has("sdks")
                && !dotnet.has("target")
        );
        let java = Made::by(&json!({"runtime": {"name": "java"}}));
        assert!(java.has("target") && !java.has("src/build") && !java.has("bin"));
        let options = json!({"name": "python", "options": {"virtualenv": "./envs/inner/"}});
        let python = Made::by(&json!({"runtime": options, "packages": {"random": "random@4.0.0"}}));
        assert!(python.has("envs/inner") && python.has("lib.egg-info") && python.has("sdks"));
        assert!(!python.has("envs") && !python.has("lib/sdks") && !python.has("bin"));
        let none = Made::by(&json!({"runtime": "yaml"}));
        assert!(
            !["sdks", "bin", "obj", "target"]
                .iter()
                .any(|name| none.has(name))
        );
        assert!(
            is_lock_file("package-lock.json")
                && is_lock_file("a/uv.lock")
                && !is_lock_file("package.json")
        );
    }
}
