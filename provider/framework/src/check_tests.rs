use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::secret::Secret;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Args {
    #[schemars(extend("autoname" = true), length(max = 20))]
    name: String,
    size: i64,
    small: Option<i32>,
    #[schemars(range(min = 1, max = 3))]
    level: Option<u8>,
    #[schemars(length(min = 2, max = 4), regex(pattern = "^[a-z]+$"))]
    code: Option<String>,
    #[serde(default = "yes")]
    on: bool,
    #[schemars(extend("env" = ["APP_REGION", "REGION"]))]
    region: Option<String>,
    kind: Option<Kind>,
    password: Option<Secret<String>>,
    labels: Option<BTreeMap<String, Secret<String>>>,
    nested: Option<Nested>,
    #[serde(default)]
    list: Vec<Nested>,
    any: Option<serde_json::Value>,
}

fn yes() -> bool {
    true
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    FirstOne,
    Second,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Nested {
    must: String,
    token: Option<Secret<String>>,
}

struct Run {
    inputs: PropertyMap,
    failures: Vec<String>,
}

fn types() -> (Types, ObjectSpec) {
    let mut types = Types::default();
    let mut spec = types.read::<Args>("index").unwrap();
    types.settle_all();
    types.settle(&mut spec);
    (types, spec)
}

fn run_with(
    inputs: PropertyMap,
    olds: PropertyMap,
    autonaming: Autonaming,
    env: &BTreeMap<String, String>,
) -> Run {
    let (types, spec) = types();
    let mut checking = Checking {
        urn: String::new(),
        run: None,
        warnings: Vec::new(),
        types: &types,
        spec: &spec,
        env,
        olds,
        inputs,
        failures: Vec::new(),
        name: "my-resource".into(),
        autonaming,
        seed: vec![7; 32],
    };
    checking.run();
    Run {
        inputs: checking.inputs,
        failures: checking
            .failures
            .iter()
            .map(|f| format!("{}: {}", f.path, f.reason))
            .collect(),
    }
}

fn map(json: serde_json::Value) -> PropertyMap {
    match json.into() {
        PropertyValue::Map(map) => map,
        _ => panic!("not a map"),
    }
}

fn run(inputs: serde_json::Value) -> Run {
    run_with(
        map(inputs),
        PropertyMap::new(),
        Autonaming::Default,
        &BTreeMap::new(),
    )
}

#[test]
fn empty_inputs_fail_for_what_is_required_and_get_the_defaults() {
    let run = run(json!({}));
    assert_eq!(run.failures, ["size: missing required property 'size'"]);
    assert_eq!(run.inputs["on"], true.into());
    assert!(!run.inputs.contains_key("list") && !run.inputs.contains_key("region"));
}

#[test]
fn a_null_or_an_empty_secret_is_absent() {
    let mut inputs = map(json!({"size": null, "on": null}));
    inputs.insert("name".into(), PropertyValue::Null.into_secret());
    let run = run_with(
        inputs,
        PropertyMap::new(),
        Autonaming::Default,
        &BTreeMap::new(),
    );
    assert_eq!(run.failures, ["size: missing required property 'size'"]);
    assert_eq!(run.inputs["on"], true.into());
    assert!(
        run.inputs["name"]
            .as_str()
            .is_some_and(|n| n.starts_with("my-resource-"))
    );
}

#[test]
fn everything_wrong_is_said_at_once_and_where() {
    let run = run(json!({
        "size": 1.5, "level": 4, "code": "A", "kind": "frist-one", "nested": {"must": 1, "mus": "t"},
        "list": [{"must": "x"}, null, {}], "sise": 1, "labels": {"a/b": 1}, "small": 5_000_000_000_i64, "on": "true"
    }));
    let expected = [
        "sise: there is no property 'sise'; did you mean 'size'?",
        "size: must be a whole number",
        "small: must be at most 2147483647",
        "level: must be at most 3",
        "code: must have at least 2 characters, has 1",
        "on: must be a boolean, not string",
        "kind: must be one of 'first-one', 'second'; did you mean 'first-one'?",
        "labels[\"a/b\"]: must be a string, not number",
        "nested.mus: there is no property 'mus'; did you mean 'must'?",
        "nested.must: must be a string, not number",
        "list[1]: must be an object, not null",
        "list[2].must: missing required property 'must'",
    ];
    for one in expected {
        assert!(
            run.failures.iter().any(|f| f == one),
            "{one}\n{:#?}",
            run.failures
        );
    }
    assert_eq!(run.failures.len(), expected.len(), "{:#?}", run.failures);
}

#[test]
fn numbers_that_lose_digits_are_refused() {
    for size in [1e300, -1e17] {
        let failures = run(json!({ "size": size })).failures;
        assert!(failures[0].contains("digits"), "{failures:?}");
    }
    assert!(
        run(json!({"size": 9_007_199_254_740_992_i64}))
            .failures
            .is_empty()
    );
}

#[test]
fn unknowns_pass_untouched_whatever_their_type() {
    for unknown in [
        PropertyValue::UNKNOWN,
        PropertyValue::Unknown(crate::value::Unknown::Map),
    ] {
        let inputs = PropertyMap::from([
            ("size".to_owned(), unknown.clone()),
            ("password".to_owned(), unknown.clone().into_secret()),
            (
                "list".to_owned(),
                PropertyValue::List(vec![unknown.clone()]),
            ),
            (
                "nested".to_owned(),
                PropertyValue::Map(BTreeMap::from([("must".to_owned(), unknown.clone())])),
            ),
            ("level".to_owned(), unknown.clone()),
            ("name".to_owned(), unknown),
        ]);
        let run = run_with(
            inputs.clone(),
            PropertyMap::new(),
            Autonaming::Default,
            &BTreeMap::new(),
        );
        assert!(run.failures.is_empty(), "{:?}", run.failures);
        for (name, value) in inputs {
            assert_eq!(run.inputs[&name].bare(), value.bare(), "{name}");
        }
    }
}

#[test]
fn what_the_schema_calls_secret_is_marked() {
    let run = run(json!({
        "size": 1, "password": "p", "labels": {"a": "b"}, "nested": {"must": "m", "token": "t"},
        "list": [{"must": "m"}]
    }));
    for name in ["password", "labels", "nested", "list"] {
        assert!(run.inputs[name].is_secret(), "{name}");
    }
    assert!(!run.inputs["size"].has_secret());
}

#[test]
fn a_mark_on_one_part_does_not_stand_for_the_whole() {
    let mut inputs = map(json!({"size": 1, "labels": {"a": "plain"}}));
    if let Some(PropertyValue::Map(labels)) = inputs.get_mut("labels") {
        labels.insert("b".into(), PropertyValue::from("marked").into_secret());
    }
    let run = run_with(
        inputs,
        PropertyMap::new(),
        Autonaming::Default,
        &BTreeMap::new(),
    );
    assert!(run.inputs["labels"].is_secret());
}

#[test]
fn names_are_made_kept_proposed_enforced_or_refused() {
    let env = BTreeMap::new();
    let name = |olds: serde_json::Value, autonaming: Autonaming| {
        let run = run_with(map(json!({"size": 1})), map(olds), autonaming, &env);
        run.inputs
            .get("name")
            .and_then(PropertyValue::as_str)
            .map_or_else(|| run.failures.join("; "), str::to_owned)
    };
    let made = name(json!({}), Autonaming::Default);
    assert!(
        made.starts_with("my-resource-") && made.len() <= 20,
        "{made}"
    );
    assert_eq!(
        made,
        name(json!({}), Autonaming::Default),
        "the seed decides"
    );
    assert_eq!(name(json!({"name": "old"}), Autonaming::Default), "old");
    assert_eq!(name(json!({}), Autonaming::Enforce("x".into())), "x");
    assert_eq!(name(json!({}), Autonaming::Propose("y".into())), "y");
    assert!(name(json!({}), Autonaming::Disabled).contains("automatic naming is disabled"));
}

#[test]
fn the_environment_gives_defaults_in_order() {
    let env = BTreeMap::from([("REGION".to_owned(), "second".to_owned())]);
    let region = |env: &BTreeMap<String, String>, given: serde_json::Value| {
        run_with(map(given), PropertyMap::new(), Autonaming::Default, env)
            .inputs
            .get("region")
            .cloned()
    };
    assert_eq!(region(&env, json!({"size": 1})), Some("second".into()));
    let both = BTreeMap::from([
        ("REGION".to_owned(), "second".to_owned()),
        ("APP_REGION".to_owned(), "first".to_owned()),
    ]);
    assert_eq!(region(&both, json!({"size": 1})), Some("first".into()));
    assert_eq!(
        region(&both, json!({"size": 1, "region": "own"})),
        Some("own".into())
    );
}

#[test]
fn a_resource_stands_for_its_id_and_an_output_for_its_value() {
    let reference = PropertyValue::Resource(Box::default());
    let output = PropertyValue::Output(Box::new(crate::value::OutputValue {
        value: Some(3.into()),
        ..Default::default()
    }));
    let inputs = PropertyMap::from([("code".to_owned(), reference), ("size".to_owned(), output)]);
    let run = run_with(
        inputs,
        PropertyMap::new(),
        Autonaming::Default,
        &BTreeMap::new(),
    );
    assert!(run.failures.is_empty(), "{:?}", run.failures);
}

#[test]
fn configuration_texts_are_read_by_type() {
    assert_eq!(from_text(&TypeSpec::Boolean, "true"), true.into());
    assert_eq!(from_text(&TypeSpec::Boolean, "maybe"), "maybe".into());
    assert_eq!(
        from_text(&TypeSpec::Integer, "7"),
        PropertyValue::Number(7.0)
    );
    assert_eq!(from_text(&TypeSpec::String, "7"), "7".into());
    let list = TypeSpec::Array(Box::new(Element {
        ty: TypeSpec::String,
        secret: false,
        limits: Limits::default(),
    }));
    assert_eq!(
        from_text(&list, "[\"a\"]"),
        PropertyValue::List(vec!["a".into()])
    );
}

#[test]
fn a_failed_conversion_does_not_quote_a_secret() {
    let inputs = PropertyMap::from([
        ("size".to_owned(), 1.into()),
        ("name".to_owned(), "n".into()),
        ("on".to_owned(), true.into()),
        (
            "nested".to_owned(),
            PropertyValue::from("hunter2-hunter2").into_secret(),
        ),
    ]);
    let error = crate::de::from_properties::<Args>(&inputs)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("nested: ") && !error.contains("hunter2"),
        "{error}"
    );
}
