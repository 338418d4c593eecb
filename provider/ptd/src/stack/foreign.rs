//! Values of inner stacks as others can use them, who have neither the stack's resources nor its working directory.

use std::path::{Path, PathBuf};

use pulumi_automation::{Special, holds, project_file};
use pulumi_provider::{Unknown, wire};
use serde_json::Value;

/// The value without references to resources, as the engine gives it to those who do not know them: a custom resource is its id, a
/// component its URN.
pub(super) fn without_references(value: &Value) -> Value {
    if Special::of(value) == Some(Special::Resource) {
        return match (value["id"].as_str(), &value["urn"]) {
            (Some(""), _) => wire::sentinel(Unknown::String).into(),
            (Some(id), _) => id.into(),
            (None, urn) => urn.clone(),
        };
    }
    each(value, &without_references)
}

/// The same, with files where the outer program finds them. `base` is where the inner program runs; where that is a directory that is
/// thrown away, all that is left of a file is its hash.
pub(super) fn usable(value: &Value, base: Option<&Path>) -> Value {
    fn place(value: &Value, base: Option<&Path>) -> Value {
        match Special::of(value) {
            Some(Special::Asset | Special::Archive) => {
                moved(value, base).unwrap_or_else(|| value["hash"].clone())
            }
            _ => each(value, &|inner| place(inner, base)),
        }
    }
    place(&without_references(value), base)
}

/// An asset or archive with its files relative to the outer program.
fn moved(value: &Value, base: Option<&Path>) -> Option<Value> {
    let mut moved = value.clone();
    if let Some(path) = value["path"].as_str()
        && !Path::new(path).is_absolute()
    {
        let path: PathBuf = base?.join(path).components().collect();
        moved["path"] = path.to_str()?.into();
    }
    if let Some(Value::Object(parts)) = moved.get_mut("assets") {
        for part in parts.values_mut() {
            *part = self::moved(part, base)?;
        }
    }
    Some(moved)
}

/// The value with a hash in place of each asset and archive: those are the same when their hashes are, wherever they lie.
pub(super) fn hashed(value: &Value) -> Value {
    match Special::of(value) {
        Some(Special::Asset | Special::Archive) => value["hash"].clone(),
        _ => each(value, &hashed),
    }
}

/// Whether it holds a text that events leave out.
pub(super) fn is_elided(value: &Value) -> bool {
    holds(value, |value| {
        Special::of(value) == Some(Special::Asset) && value["text"] == Special::ELIDED
    })
}

fn each(value: &Value, change: &dyn Fn(&Value) -> Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(change).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), change(value)));
            Value::Object(fields.collect())
        }
        plain => plain.clone(),
    }
}

/// Where the program of a project runs: in its directory, or in the one that its `main` names. Only where blocking is allowed.
pub(super) fn base(directory: &str) -> PathBuf {
    let directory = PathBuf::from(directory);
    let text = project_file(&directory).and_then(|file| std::fs::read_to_string(file).ok());
    let project = text.and_then(|text| pulumi_automation::yaml(&text).ok());
    let main = project.and_then(|project| Some(directory.join(project["main"].as_str()?)));
    match main {
        Some(main) if main.is_dir() => main,
        Some(main) => main.parent().map_or(directory, Path::to_owned),
        None => directory,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SIGNATURE: &str = "4dabf18193072939515e22adb298388d";

    fn special(mark: &str, rest: &[(&str, Value)]) -> Value {
        let fields = rest
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut all: serde_json::Map<String, Value> = fields.collect();
        all.insert(SIGNATURE.to_owned(), mark.into());
        Value::Object(all)
    }

    fn asset(rest: &[(&str, Value)]) -> Value {
        special("c44067f5952c0a294b673a41bacd8c17", rest)
    }

    #[test]
    fn references_become_what_everybody_knows() {
        let reference = |rest: &[(&str, Value)]| special("5cf8f73096256a8f31e491e813e4eb8e", rest);
        let urn = ("urn", json!("urn:pulumi:d::p::a:b:C::x"));
        let given = json!({
            "custom": reference(&[urn.clone(), ("id", "i-1".into())]),
            "later": [reference(&[urn.clone(), ("id", "".into())])],
            "component": {"is": reference(&[urn.clone(), ("packageVersion", "".into())])},
            "plain": {"urn": "x", "id": "y"},
        });
        let expected = json!({
            "custom": "i-1",
            "later": [wire::sentinel(Unknown::String)],
            "component": {"is": urn.1},
            "plain": {"urn": "x", "id": "y"},
        });
        assert_eq!(without_references(&given), expected);
    }

    #[test]
    fn files_are_found_or_are_none() {
        let hash = ("hash", json!("abc"));
        let file = |path: &str| asset(&[hash.clone(), ("path", path.into())]);
        let archive = |parts: Value| {
            special(
                "0def7320c3a5731c473e5ecbe6d01bc7",
                &[hash.clone(), ("assets", parts)],
            )
        };
        let text = asset(&[hash.clone(), ("text", "hello".into())]);
        let given = json!({"in": [file("./a/b.txt"), file("/etc/c")], "text": text, "all": archive(json!({"x": file("d")}))});
        let there = usable(&given, Some(Path::new("../web")));
        assert_eq!(there["in"], json!([file("../web/a/b.txt"), file("/etc/c")]));
        assert_eq!(
            (&there["text"], &there["all"]),
            (&text, &archive(json!({"x": file("../web/d")})))
        );
        let gone = usable(&given, None);
        assert_eq!(
            gone,
            json!({"in": ["abc", file("/etc/c")], "text": text, "all": "abc"})
        );
        assert_eq!(hashed(&there), hashed(&gone));
        let elided = asset(&[hash.clone(), ("text", Special::ELIDED.into())]);
        assert!(is_elided(&json!([elided])) && !is_elided(&given));
    }

    #[test]
    fn programs_run_where_their_main_is() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().to_str().unwrap();
        let project = |text: &str| std::fs::write(root.path().join("Pulumi.yaml"), text).unwrap();
        assert_eq!(base(place), root.path());
        std::fs::create_dir(root.path().join("src")).unwrap();
        for main in ["src", "src/index.ts"] {
            project(&format!("name: a\nruntime: nodejs\nmain: {main}\n"));
            assert_eq!(base(place), root.path().join("src"));
        }
    }
}
