//! Which projects have what they need.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The files that say what a program needs.
const MANIFESTS: [&str; 14] = [
    "Pulumi.yaml",
    "Pulumi.yml",
    "requirements.txt",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "go.mod",
    "go.sum",
    "pom.xml",
    "packages.lock.json",
];
/// What an installation leaves; where it is gone, so is the installation.
const LEFT: [&str; 4] = ["venv", ".venv", "node_modules", "sdks"];

/// Where it is noted that a project was installed, with what of it is there.
fn mark(directory: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(directory).ok()?;
    let mut hash = Sha256::new();
    hash.update(real.as_os_str().as_encoded_bytes());
    for name in MANIFESTS {
        hash.update([0]);
        hash.update(std::fs::read(real.join(name)).unwrap_or_default());
    }
    for name in LEFT {
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
