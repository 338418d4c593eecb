//! Files of Pulumi projects.

use std::path::Path;

use pulumi_automation::project_file;

use super::locate::{Contents, read};
use super::yaml::{Document, Kind};

/// The name that the project in `directory` gives itself. An error says what is wrong with which path.
pub(crate) fn project_name(directory: &Path) -> Result<String, String> {
    if let Some(path) = project_file(directory) {
        let shown = path.display();
        let bytes = match read(&path) {
            Contents::Bytes(bytes) => bytes,
            Contents::Missing => return Err(format!("{shown} leads nowhere")),
            Contents::Unusable(why) => return Err(format!("{shown}: {why}")),
        };
        let document = Document::parse(&bytes).map_err(|error| {
            format!("{shown}:{}:{}: {}", error.line, error.column, error.message)
        })?;
        return name(&document).ok_or_else(|| format!("{shown} gives the project no name"));
    }
    let shown = directory.display();
    if directory.is_dir() {
        Err(format!(
            "{shown} has no Pulumi.yaml: it must be the directory of a Pulumi project"
        ))
    } else {
        Err(format!("there is no directory {shown}"))
    }
}

fn name(document: &Document) -> Option<String> {
    let Kind::Map(entries) = &document.node(document.root()?).kind else {
        return None;
    };
    entries.iter().find_map(|(key, value)| {
        match (&document.node(*key).kind, &document.node(*value).kind) {
            (Kind::Scalar(key, _), Kind::Scalar(value, _))
                if key == "name" && !value.is_empty() =>
            {
                Some(value.clone())
            }
            _ => None,
        }
    })
}
