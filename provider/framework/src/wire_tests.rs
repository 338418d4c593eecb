use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;

use super::*;

fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value {
        kind: Some(Kind::StructValue(Struct {
            fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        })),
    }
}

fn list(values: Vec<Value>) -> Value {
    Value {
        kind: Some(Kind::ListValue(ListValue { values })),
    }
}

fn signed(signature: &str, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    object([(SIGNATURE, string(signature))].into_iter().chain(fields))
}

fn map(pairs: impl IntoIterator<Item = (&'static str, PropertyValue)>) -> PropertyMap {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

/// Texts, without those that mean an unknown and without the signature as a key.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z]{0,6}",
        Just("a.b/c".to_owned()),
        Just(String::new())
    ]
    .prop_filter("a sentinel is an unknown", |s| sentinel_of(s).is_none())
}

fn unknowns() -> impl Strategy<Value = Unknown> {
    prop::sample::select(UNKNOWNS.map(|(_, unknown)| unknown).to_vec())
}

fn leaves() -> impl Strategy<Value = PropertyValue> {
    let maybe = || prop::option::of(words());
    prop_oneof![
        Just(PropertyValue::Null),
        any::<bool>().prop_map(PropertyValue::Bool),
        (-1e300..1e300_f64).prop_map(PropertyValue::Number),
        any::<i32>().prop_map(PropertyValue::from),
        words().prop_map(PropertyValue::String),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(PropertyValue::Bytes),
        (words(), maybe(), maybe(), maybe()).prop_map(|(hash, text, path, uri)| {
            PropertyValue::Asset(Asset {
                hash,
                text,
                path,
                uri,
            })
        }),
        unknowns().prop_map(PropertyValue::Unknown),
        (words(), maybe(), maybe(), maybe()).prop_map(|(urn, id, name, type_token)| {
            PropertyValue::Resource(Box::new(ResourceReference {
                urn,
                id: id.map(ReferenceId::Known),
                name,
                type_token,
                package_version: Some(String::new()),
            }))
        }),
        Just(PropertyValue::Resource(Box::new(ResourceReference {
            urn: "urn:pulumi:s::p::t::n".into(),
            id: Some(ReferenceId::Unknown),
            ..ResourceReference::default()
        }))),
    ]
}

fn maps(inner: impl Strategy<Value = PropertyValue>) -> impl Strategy<Value = PropertyMap> {
    prop::collection::btree_map(
        words().prop_filter("a key of its own kind", |k| k != SIGNATURE),
        inner,
        0..5,
    )
}

fn values() -> impl Strategy<Value = PropertyValue> {
    leaves().prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(PropertyValue::List),
            maps(inner.clone()).prop_map(PropertyValue::Map),
            (words(), maps(inner.clone())).prop_map(|(hash, assets)| {
                PropertyValue::Archive(Archive {
                    hash,
                    assets: Some(assets),
                    ..Archive::default()
                })
            }),
            inner
                .clone()
                .prop_map(|v| PropertyValue::Secret(Box::new(v))),
            (
                prop::option::of(inner),
                any::<bool>(),
                prop::collection::vec(words(), 0..3)
            )
                .prop_map(|(value, secret, dependencies)| {
                    PropertyValue::Output(Box::new(OutputValue {
                        value,
                        secret,
                        dependencies,
                    }))
                }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_comes_back_as_it_was(map in maps(values())) {
        let message = encode(&map);
        prop_assert_eq!(&decode(Some(&message)).unwrap(), &map);
        // And through the bytes, which is what really travels.
        let bytes = message.encode_to_vec();
        if let Ok(message) = Struct::decode(bytes.as_slice()) {
            prop_assert_eq!(decode(Some(&message)).unwrap(), map);
        }
    }

    #[test]
    fn nothing_is_sent_without_a_kind(value in values()) {
        fn complete(value: &Value) -> bool {
            match &value.kind {
                None => false,
                Some(Kind::ListValue(list)) => list.values.iter().all(complete),
                Some(Kind::StructValue(object)) => object.fields.values().all(complete),
                Some(_) => true,
            }
        }
        prop_assert!(complete(&encode_value(&value)));
    }

    #[test]
    fn a_value_is_the_same_as_itself_unless_unknown(value in values()) {
        prop_assert_eq!(value.same(&value), !value.has_unknown() || hides_unknown(&value));
        prop_assert_eq!(value.clone().into_secret().same(&value), value.same(&value));
    }

    #[test]
    fn no_secret_is_debugged(text in "[a-z]{12}", value in values()) {
        let secret = PropertyValue::List(vec![value, PropertyValue::from(text.as_str()).into_secret()]);
        let shown = format!("{secret:?}");
        prop_assert!(!shown.contains(&text));
    }
}

/// Archives and assets are compared by hash: an unknown inside an archive with a hash does not matter.
fn hides_unknown(value: &PropertyValue) -> bool {
    match value.bare() {
        None => false,
        Some(PropertyValue::List(items)) => {
            items.iter().all(|v| !v.has_unknown() || hides_unknown(v))
        }
        Some(PropertyValue::Map(map)) => map.values().all(|v| !v.has_unknown() || hides_unknown(v)),
        // Equality of the structure itself, where an unknown equals an unknown.
        Some(_) => true,
    }
}

#[test]
fn a_secret_without_value_is_an_absent_one() {
    let message = signed(SECRET, []);
    assert_eq!(decode_value(&message).unwrap(), PropertyValue::Null);
}

#[test]
fn secrets_in_secrets_are_looked_through() {
    let inner = signed(SECRET, [("value", string("x"))]);
    let value = decode_value(&signed(SECRET, [("value", inner)])).unwrap();
    assert_eq!(value.as_str(), Some("x"));
    assert!(value.is_secret());
}

#[test]
fn every_sentinel_is_an_unknown_anywhere() {
    for (text, unknown) in UNKNOWNS {
        let message = object([
            ("top", string(text)),
            ("list", list(vec![string("a"), string(text)])),
            ("secret", signed(SECRET, [("value", string(text))])),
            ("output", signed(OUTPUT, [("value", string(text))])),
        ]);
        let PropertyValue::Map(found) = decode_value(&message).unwrap() else {
            panic!("not a map");
        };
        assert_eq!(found["top"], PropertyValue::Unknown(unknown));
        assert!(found["secret"].is_unknown() && found["secret"].is_secret());
        assert!(found["output"].is_unknown());
        assert!(found["list"].has_unknown() && !found["list"].is_unknown());
    }
}

#[test]
fn an_output_without_value_is_unknown_and_one_of_null_is_not() {
    let unknown = decode_value(&signed(OUTPUT, [])).unwrap();
    assert!(unknown.is_unknown());
    let null = Value {
        kind: Some(Kind::NullValue(0)),
    };
    let known = decode_value(&signed(OUTPUT, [("value", null)])).unwrap();
    assert!(known.is_null() && !known.is_unknown());
}

#[test]
fn a_reference_to_what_is_not_made_yet() {
    for id in ["", UNKNOWNS[2].0] {
        let message = signed(RESOURCE, [("urn", string("u")), ("id", string(id))]);
        let PropertyValue::Resource(reference) = decode_value(&message).unwrap() else {
            panic!("not a reference");
        };
        assert_ne!(reference.id, None);
        assert_eq!(encode_value(&PropertyValue::Resource(reference)), message);
    }
    assert!(decode_value(&signed(RESOURCE, [("id", string("i"))])).is_err());
}

#[test]
fn what_cannot_be_understood_is_named() {
    let cases = [
        (
            signed("ffffffffffffffffffffffffffffffff", []),
            "unrecognized signature",
        ),
        (
            Value {
                kind: Some(Kind::NumberValue(f64::NAN)),
            },
            "storable number",
        ),
        (
            Value {
                kind: Some(Kind::NumberValue(f64::INFINITY)),
            },
            "storable number",
        ),
        (signed(BYTES, [("value", string("%%%"))]), "base64"),
    ];
    for (bad, problem) in cases {
        let message = Struct {
            fields: BTreeMap::from([(
                "a".to_owned(),
                object([("b", list(vec![string("fine"), bad]))]),
            )]),
        };
        let error = decode(Some(&message)).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(error.starts_with("property `a.b.[1]`"), "{error}");
    }
}

#[test]
fn a_value_without_kind_is_null() {
    let value = decode_value(&Value { kind: None }).unwrap();
    assert_eq!(value, PropertyValue::Null);
}

fn nested(levels: usize) -> PropertyValue {
    (0..levels).fold(PropertyValue::from("bottom"), |inner, i| match i % 3 {
        0 => PropertyValue::List(vec![inner]),
        1 => PropertyValue::Map(map([("k", inner)])),
        _ => PropertyValue::Secret(Box::new(inner)),
    })
}

#[test]
fn deep_values_travel_and_deeper_ones_are_refused() {
    for levels in [34, 100, MAX_DEPTH] {
        let value = nested(levels);
        assert_eq!(decode_value(&encode_value(&value)).unwrap(), value);
    }
    let error = decode_value(&encode_value(&nested(MAX_DEPTH + 1))).unwrap_err();
    assert!(error.to_string().contains("nest deeper"), "{error}");
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn assets_are_the_same_by_hash() {
    let asset = |hash: &str, text: Option<&str>| {
        PropertyValue::Asset(Asset {
            hash: hash.into(),
            text: text.map(str::to_owned),
            ..Asset::default()
        })
    };
    assert!(asset("h", Some("x")).same(&asset("h", None)));
    assert!(!asset("h", Some("x")).same(&asset("i", Some("x"))));
    assert!(!asset("", Some("x")).same(&asset("", Some("y"))));
}

#[test]
fn null_and_absent_are_the_same() {
    let a = PropertyValue::Map(map([("a", 1.into()), ("b", PropertyValue::Null)]));
    let b = PropertyValue::Map(map([("a", PropertyValue::from(1).into_secret())]));
    assert!(a.same(&b) && b.same(&a));
}
