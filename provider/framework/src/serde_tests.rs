//! Both directions between structs and property values.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::value::{Asset, OutputValue, PropertyMap, PropertyValue};
use crate::{from_properties, from_value, to_properties, to_value};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct All {
    text: String,
    on: bool,
    whole: i64,
    small: u8,
    real: f64,
    maybe: Option<String>,
    list: Vec<Part>,
    map: BTreeMap<String, Option<i32>>,
    colour: Colour,
    password: Secret<String>,
    maybe_password: Option<Secret<String>>,
    file: Option<Asset>,
    #[serde(default)]
    later: Vec<String>,
    any: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    key: Secret<String>,
    #[serde(default = "seven")]
    seven: i64,
}

fn seven() -> i64 {
    7
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    Red,
    LightGreen,
}

fn all() -> impl Strategy<Value = All> {
    let part = (any::<String>(), any::<i32>()).prop_map(|(key, seven)| Part {
        key: key.into(),
        seven: seven.into(),
    });
    (
        (
            any::<String>(),
            any::<bool>(),
            any::<i32>(),
            any::<u8>(),
            -1e300..1e300_f64,
        ),
        (
            any::<Option<String>>(),
            prop::collection::vec(part, 0..4),
            prop::collection::btree_map(any::<String>(), any::<Option<i32>>(), 0..4),
            any::<Option<String>>(),
        ),
    )
        .prop_map(
            |((text, on, whole, small, real), (maybe, list, map, secret))| All {
                password: text.clone().into(),
                file: maybe.clone().map(|text| Asset {
                    hash: "h".into(),
                    text: Some(text),
                    ..Asset::default()
                }),
                text,
                on,
                whole: whole.into(),
                small,
                real,
                maybe,
                list,
                map,
                colour: if on { Colour::Red } else { Colour::LightGreen },
                maybe_password: secret.map(Secret::new),
                later: Vec::new(),
                any: serde_json::json!({ "a": [1, "b", true, { "c": 1.5 }] }),
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_struct_comes_back_as_it_was(all in all()) {
        let map = to_properties(&all).unwrap();
        prop_assert!(map["password"].is_secret());
        prop_assert_eq!(from_properties::<All>(&map).unwrap(), all);
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Small {
    number: Option<i64>,
    #[serde(default)]
    list: Vec<String>,
    inner: Option<Box<Small>>,
}

fn map(json: serde_json::Value) -> PropertyMap {
    match json.into() {
        PropertyValue::Map(map) => map,
        _ => panic!("not a map"),
    }
}

#[test]
fn null_is_absent_in_a_struct_and_kept_in_a_map() {
    let small = from_properties::<Small>(&map(serde_json::json!({
        "list": null, "number": null, "inner": {"list": null}
    })));
    assert_eq!(small.unwrap().inner, Some(Box::default()));
    let kept: BTreeMap<String, Option<i64>> =
        from_value(&map(serde_json::json!({"a": null})).into()).unwrap();
    assert_eq!(kept, BTreeMap::from([("a".to_owned(), None)]));
}

#[test]
fn marks_and_outputs_are_looked_through() {
    let output = PropertyValue::Output(Box::new(OutputValue {
        value: Some(PropertyValue::from(3).into_secret()),
        secret: true,
        dependencies: vec!["u".into()],
    }));
    let map = PropertyMap::from([("number".to_owned(), output.into_secret())]);
    assert_eq!(from_properties::<Small>(&map).unwrap().number, Some(3));
}

#[test]
fn nulls_are_absent_from_flattened_parts_too() {
    #[derive(serde::Deserialize)]
    struct Whole {
        #[serde(flatten)]
        part: Part,
    }
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Part {
        names: Vec<String>,
        count: Option<u32>,
    }
    let given = map(serde_json::json!({"names": null, "count": 3}));
    let whole: Whole = from_properties(&given).unwrap();
    assert_eq!(whole.part.names, [] as [&str; 0]);
    assert_eq!(whole.part.count, Some(3));
}

#[test]
fn what_a_flattened_part_does_not_have_is_not_written_and_nulls_of_maps_are() {
    #[derive(serde::Serialize)]
    struct Whole {
        #[serde(flatten)]
        part: Part,
        more: BTreeMap<String, Option<u32>>,
    }
    #[derive(serde::Serialize)]
    struct Part {
        name: Option<String>,
        secret: Option<Secret<String>>,
        count: u32,
    }
    let whole = Whole {
        part: Part {
            name: None,
            secret: None,
            count: 3,
        },
        more: BTreeMap::from([("a".to_owned(), None)]),
    };
    let written = to_properties(&whole).unwrap();
    assert_eq!(
        written,
        map(serde_json::json!({"count": 3, "more": {"a": null}}))
    );
    let other = Part {
        secret: Some(Secret::new("s".to_owned())),
        ..whole.part
    };
    let written = to_properties(&Whole {
        part: other,
        ..whole
    })
    .unwrap();
    assert!(written["secret"].is_secret(), "{written:?}");
}

#[test]
fn what_does_not_fit_is_named() {
    let error = from_properties::<Small>(&map(serde_json::json!({"inner": {"list": ["a", 1]}})));
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("inner.list[1]: "), "{error}");
    let unknown = PropertyMap::from([("number".to_owned(), PropertyValue::UNKNOWN)]);
    let error = from_properties::<Small>(&unknown).unwrap_err().to_string();
    assert!(error.contains("not known yet"), "{error}");
}

#[test]
fn a_secret_that_does_not_fit_is_not_quoted() {
    for bad in [
        PropertyValue::from("hunter2").into_secret(),
        PropertyValue::Output(Box::new(OutputValue {
            value: Some("hunter2".into()),
            secret: true,
            dependencies: Vec::new(),
        })),
    ] {
        let map = PropertyMap::from([("number".to_owned(), bad)]);
        let error = from_properties::<Small>(&map).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_properties_cannot_carry_is_refused() {
    assert!(to_value(&f64::NAN).is_err());
    assert!(to_value(&f32::INFINITY).is_err());
    assert!(to_value(&u64::MAX).is_err());
    assert!(to_value(&i64::MIN).is_err());
    assert!(to_value(&(1_u64 << 53)).is_ok());
    assert!(to_properties(&3).is_err());
    assert!(to_value(&Err::<(), _>("data")).is_err());
    assert!(to_value(&BTreeMap::from([(vec![1], 1)])).is_err());
    assert_eq!(to_properties(&()).unwrap(), PropertyMap::new());
}

#[test]
fn nothing_is_left_out_of_a_map_and_absent_fields_are() {
    let small = to_properties(&Small::default()).unwrap();
    assert_eq!(small.keys().collect::<Vec<_>>(), ["list"]);
    let value = to_value(&BTreeMap::from([("a", None::<i64>)])).unwrap();
    assert_eq!(value.as_map().unwrap()["a"], PropertyValue::Null);
}

#[test]
fn marks_are_data() {
    use crate::Marked;
    use std::collections::BTreeMap;

    let given = PropertyMap::from([
        ("open".to_owned(), PropertyValue::from("a")),
        ("hidden".to_owned(), PropertyValue::from("b").into_secret()),
    ]);
    let map: BTreeMap<String, Marked<serde_json::Value>> =
        crate::de::from_properties(&given).unwrap();
    assert_eq!((map["open"].secret, map["hidden"].secret), (false, true));
    assert_eq!(map["hidden"].value, "b");
    assert_eq!(format!("{:?}", map["hidden"]), "[secret]");
    assert_eq!(crate::ser::to_properties(&map).unwrap(), given);
    let plain: Marked<u8> = serde_json::from_str("3").unwrap();
    assert_eq!((plain.secret, plain.value), (false, 3));
}
