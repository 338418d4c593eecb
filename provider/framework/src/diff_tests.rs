use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Args {
    name: Option<String>,
    #[schemars(extend("replace" = true))]
    region: Option<String>,
    #[schemars(extend("set" = true))]
    groups: Option<Vec<String>>,
    order: Option<Vec<String>>,
    #[schemars(extend("json" = true))]
    policy: Option<String>,
    rule: Option<Rule>,
    rules: Option<Vec<Rule>>,
    named: Option<std::collections::BTreeMap<String, Rule>>,
    tags: Option<std::collections::BTreeMap<String, String>>,
    #[serde(default)]
    fast: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Rule {
    days: Option<i64>,
    #[schemars(extend("replace" = true))]
    mode: Option<String>,
    #[schemars(extend("set" = true))]
    among: Option<Vec<String>>,
}

fn value(json: serde_json::Value) -> PropertyMap {
    match json.into() {
        PropertyValue::Map(map) => map,
        _ => panic!("not a map"),
    }
}

fn between(olds: &PropertyMap, news: &PropertyMap) -> Diff {
    let mut types = Types::default();
    let mut spec = types.read::<Args>("index").unwrap();
    types.settle_all();
    types.settle(&mut spec);
    Diff::between(&types, &spec, olds, news)
}

/// `path change` or `path change!` where it replaces.
fn diff(olds: serde_json::Value, news: serde_json::Value) -> Vec<String> {
    shown(&between(&value(olds), &value(news)))
}

fn shown(diff: &Diff) -> Vec<String> {
    diff.entries()
        .iter()
        .map(|(path, entry)| {
            let mark = if entry.replace { "!" } else { "" };
            format!("{path} {:?}{mark}", entry.change)
        })
        .collect()
}

use serde_json::json;

#[test]
fn equal_inputs_do_not_differ() {
    let all = json!({
        "name": "n", "groups": ["a", "b"], "policy": "{}", "rule": {"days": 1}, "rules": [{"mode": "m"}],
        "named": {"x": {"days": 1}}, "tags": {"a/b": "c"}
    });
    assert!(diff(all.clone(), all).is_empty());
    assert!(diff(json!({}), json!({})).is_empty());
}

#[test]
fn null_is_absent() {
    assert!(diff(json!({"name": null}), json!({})).is_empty());
    assert!(diff(json!({}), json!({"rule": null, "name": null})).is_empty());
    assert!(diff(json!({"rule": {"days": null}}), json!({"rule": {}})).is_empty());
    assert_eq!(
        diff(json!({"name": "n"}), json!({"name": null})),
        ["name Delete"]
    );
    assert_eq!(
        diff(json!({"name": null}), json!({"name": "n"})),
        ["name Add"]
    );
}

#[test]
fn an_input_that_is_new_to_the_provider_had_its_default() {
    assert!(diff(json!({"name": "n"}), json!({"name": "n", "fast": false})).is_empty());
    assert_eq!(diff(json!({}), json!({"fast": true})), ["fast Add"]);
    assert_eq!(
        diff(json!({"fast": true}), json!({"fast": false})),
        ["fast Update"]
    );
}

#[test]
fn a_mark_alone_is_no_change() {
    let plain = value(json!({"name": "n", "rule": {"mode": "m"}}));
    let mut marked = plain.clone();
    for value in marked.values_mut() {
        *value = std::mem::take(value).into_secret();
    }
    assert!(between(&plain, &marked).is_empty() && between(&marked, &plain).is_empty());
    let absent = PropertyMap::from([("name".to_owned(), PropertyValue::Null.into_secret())]);
    assert!(between(&absent, &PropertyMap::new()).is_empty());
}

#[test]
fn each_change_is_named_where_it_is() {
    assert_eq!(
        diff(
            json!({"name": "a", "region": "x", "order": ["a", "b"], "tags": {"a.b/c": "1", "gone": "2"}}),
            json!({"name": "b", "region": "y", "order": ["a", "c", "d"], "tags": {"a.b/c": "3", "": "4"}})
        ),
        [
            "name Update",
            "order[1] Update",
            "order[2] Add",
            "region Update!",
            "tags[\"\"] Add",
            "tags[\"a.b/c\"] Update",
            "tags.gone Delete",
        ]
    );
}

#[test]
fn what_replaces_does_so_at_any_depth() {
    let change = |old, new| diff(json!({"rule": old}), json!({"rule": new}));
    assert_eq!(
        change(json!({"mode": "a"}), json!({"mode": "b"})),
        ["rule.mode Update!"]
    );
    assert_eq!(
        change(json!({"days": 1}), json!({"days": 2})),
        ["rule.days Update"]
    );
    assert_eq!(change(json!(null), json!({"days": 1})), ["rule Add"]);
    assert_eq!(change(json!(null), json!({"mode": "m"})), ["rule Add!"]);
    assert_eq!(change(json!({"mode": "m"}), json!(null)), ["rule Delete!"]);
    assert_eq!(
        diff(
            json!({"rules": [{"mode": "a"}]}),
            json!({"rules": [{"mode": "a"}, {"mode": "b"}]})
        ),
        ["rules[1] Add!"]
    );
    assert_eq!(
        diff(
            json!({"named": {"x": {"mode": "a"}}}),
            json!({"named": {"x": {"mode": "b"}}})
        ),
        ["named.x.mode Update!"]
    );
}

#[test]
fn a_set_has_no_order() {
    let change = |old, new| diff(json!({"groups": old}), json!({"groups": new}));
    assert!(change(json!(["a", "b"]), json!(["b", "a"])).is_empty());
    assert!(change(json!(["a", "b"]), json!(["b", "a", "a"])).is_empty());
    assert_eq!(
        change(json!(["a", "b"]), json!(["c", "b", "a"])),
        ["groups[0] Add"]
    );
    assert_eq!(
        change(json!(["a", "b"]), json!(["b"])),
        ["groups[0] Delete"]
    );
    assert_eq!(
        change(json!(["a", "b"]), json!(["c", "b"])),
        ["groups[0] Update"]
    );
    assert!(
        diff(
            json!({"named": {"x": {"among": ["a", "b"]}}}),
            json!({"named": {"x": {"among": ["b", "a"]}}})
        )
        .is_empty()
    );
    let news = PropertyMap::from([(
        "groups".to_owned(),
        PropertyValue::List(vec!["a".into(), PropertyValue::UNKNOWN]),
    )]);
    assert_eq!(
        shown(&between(&value(json!({"groups": ["a"]})), &news)),
        ["groups[1] Add"]
    );
}

#[test]
fn json_is_compared_by_meaning() {
    let change = |old: &str, new: &str| diff(json!({"policy": old}), json!({"policy": new}));
    assert!(change(r#"{"a": 1, "b": [2]}"#, r#"{"b":[2],"a":1}"#).is_empty());
    assert_eq!(change(r#"{"a": 1}"#, r#"{"a": 2}"#), ["policy Update"]);
    assert_eq!(change("{", "{ "), ["policy Update"]);
}

#[test]
fn what_is_unknown_may_change() {
    let news = PropertyMap::from([
        ("name".to_owned(), PropertyValue::UNKNOWN),
        ("region".to_owned(), PropertyValue::UNKNOWN.into_secret()),
        ("tags".to_owned(), PropertyValue::UNKNOWN),
    ]);
    assert_eq!(
        shown(&between(&value(json!({"name": "n", "region": "r"})), &news)),
        ["name Update", "region Update!", "tags Add"]
    );
    // Both unknown, as a refresh may have it: nothing says that they are the same.
    assert_eq!(shown(&between(&news, &news)).len(), 3);
}

#[test]
fn private_keys_and_those_of_older_versions_do_not_count() {
    assert!(
        diff(
            json!({"__meta": 1, "retired": "x", "version": "1.0.0"}),
            json!({"__meta": 2})
        )
        .is_empty()
    );
    assert!(diff(json!({"version": "1.0.0"}), json!({"version": "2.0.0"})).is_empty());
    // In a map they are data.
    assert_eq!(
        diff(
            json!({"tags": {"__a": "1", "version": "1"}}),
            json!({"tags": {"__a": "2", "version": "2"}})
        ),
        ["tags.__a Update", "tags.version Update"]
    );
}

#[test]
fn a_value_of_another_kind_is_an_update() {
    assert_eq!(
        diff(json!({"order": "a"}), json!({"order": ["a"]})),
        ["order Update"]
    );
    assert_eq!(
        diff(json!({"rule": []}), json!({"rule": {}})),
        ["rule Update"]
    );
}

#[test]
fn ignored_paths() {
    let cases = [
        ("tags", "tags[\"a.b\"]", true),
        ("tags.a", "tags.a", true),
        ("tags.a", "tags.b", false),
        ("tags.*", "tags[\"x/y\"]", true),
        ("rules[*].days", "rules[3].days", true),
        ("rules[1].days", "rules[3].days", false),
        ("*", "anything", true),
        ("tags.a", "tags", false),
        ("[\"a.b\"]", "a.b", false),
    ];
    for (pattern, path, expected) in cases {
        assert_eq!(
            ignored(&Path::parse(path), &[pattern.to_owned()]),
            expected,
            "{pattern} {path}"
        );
    }
}

#[test]
fn a_resource_may_refine_it() {
    let mut diff = between(
        &value(json!({"name": "a", "tags": {"a": "1", "b": "1"}})),
        &value(json!({"name": "b"})),
    );
    diff.ignore(&Path::root().key("tags"));
    assert!(!diff.touches("tags") && diff.touches("name") && !diff.replaces());
    diff.replace(Path::root().key("name"));
    diff.add(Path::root().key("etag"), Change::Update);
    assert_eq!(shown(&diff), ["etag Update", "name Update!"]);
    assert!(diff.replaces() && !diff.is_empty());
}
