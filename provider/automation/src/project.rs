//! The files of a project, where the CLI looks for them.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::settings::yaml;
use crate::{Error, Settings};

/// What files of projects and settings may end in, in the order in which the CLI looks for them.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// The project file of a directory: the one that the CLI takes. Blocks on the file system.
#[must_use]
pub fn project_file(directory: &Path) -> Option<PathBuf> {
    EXTENSIONS
        .map(|extension| directory.join(format!("Pulumi.{extension}")))
        .into_iter()
        .find(|path| path.metadata().is_ok_and(|found| !found.is_dir()))
}

/// Where the CLI keeps the settings of a stack, by its path from the project's directory: `Pulumi.<stack>.yaml` unless the project
/// file has another extension, or names another directory, which may be outside of it. Blocks on the file system.
#[must_use]
pub fn settings_file(directory: &Path, stack: &str) -> PathBuf {
    let file = project_file(directory);
    let extension = file.as_deref().and_then(Path::extension);
    let extension = extension.unwrap_or("yaml".as_ref()).display();
    let name = format!("Pulumi.{stack}.{extension}");
    // One that cannot be read is the CLI's to complain of.
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    let project = text.and_then(|text| yaml(&text).ok()).unwrap_or_default();
    // In old projects a text stands for the directory where the configuration's types are now.
    let named = ["stackConfigDir", "config"].map(|key| project.get(key).and_then(|v| v.as_str()));
    match named.into_iter().flatten().next() {
        Some(folder) => below(folder).join(name),
        None => name.into(),
    }
}

/// A path as the CLI joins it to another: it is never absolute, and has no detours.
fn below(path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir if clean.file_name().is_some() => {
                clean.pop();
            }
            Component::ParentDir => clean.push(".."),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The settings of a stack that are kept with its project, which may be the one that a directory is in. Blocks on the file system.
pub(crate) fn committed(directory: &Path, stack: &str) -> Result<Settings, Error> {
    let absolute = std::path::absolute(directory)
        .map_err(Error::io(format!("finding {}", directory.display())))?;
    let home = absolute.ancestors().find(|at| project_file(at).is_some());
    let home = home.unwrap_or(&absolute);
    let file = home.join(settings_file(home, stack));
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            Settings::parse(&text).map_err(|e| Error::Invalid(format!("{}: {e}", file.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(Error::io(format!("reading {}", file.display()))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_where_the_cli_looks_for_them() {
        let place = tempfile::tempdir().expect("directory");
        let of = |name: &str, text: &str| {
            let file = place.path().join(name);
            std::fs::write(&file, text).expect("project");
            let found = (
                project_file(place.path()),
                settings_file(place.path(), "dev"),
            );
            std::fs::remove_file(&file).expect("removed");
            assert_eq!(found.0, Some(file));
            found.1.display().to_string()
        };
        let name = "name: a\nruntime: yaml\n";
        assert_eq!(of("Pulumi.yaml", name), "Pulumi.dev.yaml");
        assert_eq!(of("Pulumi.yml", name), "Pulumi.dev.yml");
        assert_eq!(
            of("Pulumi.json", "{\n\t\"stackConfigDir\": \"a/\"\n}"),
            "a/Pulumi.dev.json"
        );
        for (folder, file) in [
            ("a/./b/", "a/b/Pulumi.dev.yaml"),
            ("../a/x/..", "../a/Pulumi.dev.yaml"),
            ("/a", "a/Pulumi.dev.yaml"),
            (".", "Pulumi.dev.yaml"),
        ] {
            assert_eq!(
                of("Pulumi.yaml", &format!("stackConfigDir: {folder}\n")),
                file
            );
            assert_eq!(
                of("Pulumi.yaml", &format!("\u{feff}config: {folder}\n")),
                file
            );
        }
        assert_eq!(of("Pulumi.yaml", "config: {size: 1}\n"), "Pulumi.dev.yaml");
        assert_eq!(of("Pulumi.yaml", "config: [\n"), "Pulumi.dev.yaml");
        std::fs::create_dir(place.path().join("Pulumi.json")).expect("directory");
        assert_eq!(of("Pulumi.yml", name), "Pulumi.dev.yml");
        assert_eq!(project_file(place.path()), None);
        assert_eq!(
            settings_file(place.path(), "dev"),
            Path::new("Pulumi.dev.yaml")
        );
    }
}
