use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::secret::Secret;
use crate::value::{Asset, ProviderReference};

/// What it is.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Everything")]
struct Everything {
    /// A text.
    text: String,
    maybe: Option<String>,
    on: bool,
    whole: i64,
    real: f64,
    list: Vec<String>,
    map: BTreeMap<String, i64>,
    nested: Nested,
    maybe_nested: Option<Nested>,
    nested_list: Vec<Nested>,
    colour: Colour,
    maybe_colour: Option<Colour>,
    password: Secret<String>,
    maybe_password: Option<Secret<String>>,
    passwords: BTreeMap<String, Secret<String>>,
    any: serde_json::Value,
    file: Asset,
    maybe_file: Option<Asset>,
    elsewhere: Option<ProviderReference>,
    #[serde(default)]
    list_or_none: Vec<String>,
    #[serde(default)]
    off: bool,
    #[serde(default = "seven")]
    seven: i64,
    #[serde(default = "green")]
    default_colour: Colour,
    #[schemars(extend("replace" = true, "env" = ["A", "B"], "deprecated" = "Use text."))]
    marked: Option<String>,
    #[schemars(extend("set" = true))]
    set: Option<Vec<String>>,
    unique: Option<std::collections::BTreeSet<String>>,
    #[schemars(extend("autoname" = true))]
    name: String,
    #[schemars(length(min = 1, max = 5), regex(pattern = "^a"))]
    limited: String,
    holder: Holder,
}

fn seven() -> i64 {
    7
}

fn green() -> Colour {
    Colour::LightGreen
}

/// A part.
#[derive(Serialize, Deserialize, JsonSchema, PartialEq)]
struct Nested {
    /// A field.
    field: Option<String>,
}

/// Holds a secret.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Holder {
    parts: Option<Vec<Keeper>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Keeper {
    key: Secret<String>,
}

/// What it looks like.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    /// Like blood.
    Red,
    LightGreen,
}

fn read<T: JsonSchema>() -> (Types, ObjectSpec) {
    let mut types = Types::default();
    let mut spec = types.read::<T>("index").unwrap();
    types.refuse_cycles().unwrap();
    types.settle_all();
    types.settle(&mut spec);
    (types, spec)
}

fn refused<T: JsonSchema>() -> String {
    let mut types = Types::default();
    types
        .read::<T>("index")
        .and_then(|spec| {
            types.refuse_cycles()?;
            types.refuse_patterns()?;
            spec.refuse_patterns(&T::schema_name())
        })
        .unwrap_err()
        .to_string()
}

fn array(ty: TypeSpec) -> TypeSpec {
    TypeSpec::Array(Box::new(element(ty)))
}

fn element(ty: TypeSpec) -> Element {
    Element {
        ty,
        secret: false,
        limits: Limits::default(),
    }
}

#[test]
fn every_shape_has_its_type() {
    let (_, spec) = read::<Everything>();
    let ty = |name: &str| spec.get(name).unwrap().ty.clone();
    let nested = || TypeSpec::Object("Nested".into());
    let colour = || TypeSpec::Enum("Colour".into());
    let expected = [
        ("text", TypeSpec::String),
        ("maybe", TypeSpec::String),
        ("on", TypeSpec::Boolean),
        ("whole", TypeSpec::Integer),
        ("real", TypeSpec::Number),
        ("list", array(TypeSpec::String)),
        ("nested", nested()),
        ("maybeNested", nested()),
        ("nestedList", array(nested())),
        ("colour", colour()),
        ("maybeColour", colour()),
        ("password", TypeSpec::String),
        ("maybePassword", TypeSpec::String),
        ("any", TypeSpec::Any),
        ("file", TypeSpec::Asset),
        ("maybeFile", TypeSpec::Asset),
        ("elsewhere", TypeSpec::Provider),
        ("unique", array(TypeSpec::String)),
    ];
    for (name, expected) in expected {
        assert_eq!(ty(name), expected, "{name}");
    }
    assert!(matches!(ty("map"), TypeSpec::Map(e) if e.ty == TypeSpec::Integer));
}

#[test]
fn required_is_what_has_neither_option_nor_default() {
    let (_, spec) = read::<Everything>();
    assert_eq!(
        spec.required().join(" "),
        "text on whole real list map nested nestedList colour password passwords any file limited holder"
    );
}

#[test]
fn an_empty_default_is_none() {
    let (_, spec) = read::<Everything>();
    let default = |name: &str| spec.get(name).unwrap().default.clone();
    assert_eq!(default("listOrNone"), None);
    assert_eq!(default("maybe"), None);
    assert_eq!(default("off"), Some(false.into()));
    assert_eq!(default("seven"), Some(7.into()));
    assert_eq!(default("defaultColour"), Some("light-green".into()));
}

#[test]
fn marks_of_a_field_are_read() {
    let (_, spec) = read::<Everything>();
    let marked = spec.get("marked").unwrap();
    assert!(marked.replace && marked.env == ["A", "B"]);
    assert_eq!(marked.deprecated.as_deref(), Some("Use text."));
    assert!(spec.get("set").unwrap().set && spec.get("unique").unwrap().set);
    assert!(spec.get("name").unwrap().autoname);
    let limits = &spec.get("limited").unwrap().limits;
    assert_eq!((limits.min_length, limits.max_length), (Some(1), Some(5)));
    assert_eq!(limits.pattern.as_deref(), Some("^a"));
    assert_eq!(spec.description, "What it is.");
    assert_eq!(spec.get("text").unwrap().description, "A text.");
}

#[test]
fn a_secret_at_any_depth_makes_the_property_secret() {
    let (types, spec) = read::<Everything>();
    let secret: Vec<&str> = spec
        .properties
        .iter()
        .filter(|(_, p)| p.secret)
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(secret, ["password", "maybePassword", "passwords", "holder"]);
    assert!(types.object("Holder").unwrap().get("parts").unwrap().secret);
    assert!(types.object("Keeper").unwrap().get("key").unwrap().secret);
}

#[derive(Serialize, Deserialize, JsonSchema, Default)]
struct Wiped {
    text: String,
}

impl zeroize::Zeroize for Wiped {
    fn zeroize(&mut self) {
        self.text.zeroize();
    }
}

#[test]
fn a_secret_struct_is_secret() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Args {
        plain: Secret<Wiped>,
        maybe: Option<Secret<Wiped>>,
        list: Vec<Secret<Wiped>>,
    }
    let (_, spec) = read::<Args>();
    for (name, property) in &spec.properties {
        assert!(property.secret, "{name}");
    }
    assert_eq!(
        spec.get("maybe").unwrap().ty,
        TypeSpec::Object("Wiped".into())
    );
}

#[test]
fn enums_carry_their_descriptions() {
    let (types, _) = read::<Everything>();
    let Some(NamedType::Enum {
        description,
        values,
    }) = types.get("Colour")
    else {
        panic!("no enum");
    };
    assert_eq!(description, "What it looks like.");
    let values: Vec<_> = values
        .iter()
        .map(|v| (v.value.as_str(), v.description.as_str()))
        .collect();
    // Those without a description come first; schemars gathers them.
    assert_eq!(values, [("light-green", ""), ("red", "Like blood.")]);
}

#[test]
fn what_is_published() {
    let (types, spec) = read::<Everything>();
    let inputs = types.publish_properties("p", &spec, true);
    assert_eq!(
        inputs["marked"],
        json!({
            "type": "string", "willReplaceOnChanges": true, "deprecationMessage": "Use text.",
            "defaultInfo": { "environment": ["A", "B"] }
        })
    );
    assert_eq!(
        inputs["defaultColour"],
        json!({ "$ref": "#/types/p:index:Colour", "default": "light-green" })
    );
    assert_eq!(
        inputs["passwords"],
        json!({ "type": "object", "additionalProperties": { "type": "string" }, "secret": true })
    );
    assert_eq!(inputs["any"], json!({ "$ref": "pulumi.json#/Any" }));
    assert_eq!(inputs["file"], json!({ "$ref": "pulumi.json#/Asset" }));
    assert_eq!(inputs["elsewhere"], json!({ "$ref": "#/provider" }));
    assert_eq!(
        inputs["nestedList"],
        json!({ "type": "array", "items": { "$ref": "#/types/p:index:Nested" } })
    );
    let outputs = types.publish_properties("p", &spec, false);
    assert_eq!(outputs["marked"]["replaceOnChanges"], true);
    assert!(outputs["seven"].get("default").is_none());
    let all: Json = types.publish("p").collect();
    assert_eq!(
        all["p:index:Colour"],
        json!({
            "description": "What it looks like.", "type": "string",
            "enum": [
                { "name": "LightGreen", "value": "light-green" },
                { "name": "Red", "description": "Like blood.", "value": "red" }
            ]
        })
    );
    assert_eq!(all["p:index:Nested"]["type"], "object");
    assert!(
        !all.contains_key("p:index:Asset")
            && !all.contains_key("p:index:ProviderReference")
            && !all.contains_key("p:index:Everything")
    );
}

#[test]
fn a_type_may_be_both_arguments_and_part_of_others() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Outer {
        inner: Nested,
    }
    for order in [true, false] {
        let mut types = Types::default();
        if order {
            types.read::<Nested>("index").unwrap();
        }
        types.read::<Outer>("index").unwrap();
        let alone = types.read::<Nested>("index").unwrap();
        assert_eq!(types.object("Nested"), Some(&alone));
    }
}

#[test]
fn the_unit_type_has_no_properties() {
    assert!(read::<()>().1.properties.is_empty());
}

#[test]
fn one_name_for_two_types_is_refused() {
    mod other {
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub(super) struct Nested {
            other: i64,
        }
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub(super) struct Args {
            nested: Nested,
        }
    }
    let mut types = Types::default();
    types.read::<Everything>("index").unwrap();
    let error = types.read::<other::Args>("index").unwrap_err();
    assert!(error.to_string().contains("two different"), "{error}");
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Tree {
    children: Vec<Tree>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Ping {
    pong: Option<Box<Pong>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Pong {
    pings: BTreeMap<String, Ping>,
}

#[test]
fn types_that_contain_themselves_are_refused() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Forest {
        trees: Vec<Tree>,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Game {
        first: Ping,
        second: Pong,
    }
    for error in [
        refused::<Tree>(),
        refused::<Forest>(),
        refused::<Ping>(),
        refused::<Game>(),
    ] {
        assert!(
            error.contains("contains itself") || error.contains("refers to"),
            "{error}"
        );
    }
}

#[test]
fn what_no_schema_can_say_is_refused_by_name() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(i64),
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Untagged {
        either: Either,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    enum Carrying {
        Data { text: String },
        None,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Tagged {
        carrying: Carrying,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Pattern {
        #[schemars(regex(pattern = "("))]
        text: String,
    }
    for (error, at) in [
        (refused::<Untagged>(), "Either"),
        (refused::<Tagged>(), "Carrying"),
        (refused::<Pattern>(), "Pattern.text"),
        (refused::<String>(), "string"),
    ] {
        assert!(error.starts_with(at), "{error}");
    }
}

#[test]
fn small_integers_have_bounds() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Args {
        byte: u8,
        int: i32,
        unsigned: u64,
        list: Vec<u16>,
    }
    let (_, spec) = read::<Args>();
    let bounds = |name: &str| {
        let limits = &spec.get(name).unwrap().limits;
        (limits.minimum, limits.maximum)
    };
    assert_eq!(bounds("byte"), (Some(0.0), Some(255.0)));
    assert_eq!(
        bounds("int"),
        (Some(-2_147_483_648.0), Some(2_147_483_647.0))
    );
    assert_eq!(bounds("unsigned"), (Some(0.0), None));
    assert!(
        matches!(&spec.get("list").unwrap().ty, TypeSpec::Array(e) if e.limits.maximum == Some(65535.0))
    );
}
