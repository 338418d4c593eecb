//! `schema.json`, from which the SDKs are generated, is what the provider says. Rewrite it with
//! `UPDATE=1 cargo test --test schema`.

use std::path::Path;
use std::process::Command;

#[test]
fn the_schema_is_committed() {
    let plugin = Command::new(env!("CARGO_BIN_EXE_pulumi-resource-{{package}}"));
    let schema = printed(plugin);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &schema).expect("schema.json can be written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == schema,
        "schema.json is stale: UPDATE=1 cargo test --test schema"
    );
}

#[test]
fn a_greeting_is_described() {
    let plugin = Command::new(env!("CARGO_BIN_EXE_pulumi-resource-{{package}}"));
    let schema: serde_json::Value =
        serde_json::from_str(&printed(plugin)).expect("the schema is JSON");
    let greeting = &schema["resources"]["{{package}}:index:Greeting"];
    assert_eq!(greeting["requiredInputs"], serde_json::json!(["text"]));
    assert_eq!(greeting["properties"]["path"]["type"], "string");
}

fn printed(mut plugin: Command) -> String {
    let done = plugin.arg("schema").output().expect("the plugin runs");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("the schema is text")
}
