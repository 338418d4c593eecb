//! Property values on the wire: `google.protobuf.Struct` with the protocol's marker objects and sentinels.

use base64::Engine as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::value::{
    Archive, Asset, OutputValue, PropertyMap, PropertyValue, ReferenceId, ResourceReference,
    Unknown,
};

/// The key whose presence makes an object a special value.
pub(crate) const SIGNATURE: &str = "4dabf18193072939515e22adb298388d";
const SECRET: &str = "1b47061264138c4ac30d75fd1eb44270";
const ASSET: &str = "c44067f5952c0a294b673a41bacd8c17";
const ARCHIVE: &str = "0def7320c3a5731c473e5ecbe6d01bc7";
const RESOURCE: &str = "5cf8f73096256a8f31e491e813e4eb8e";
const OUTPUT: &str = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const BYTES: &str = "803fd3297a5875dc03ca845dda5d2a98";

const UNKNOWNS: [(&str, Unknown); 7] = [
    ("1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", Unknown::Bool),
    ("3eeb2bf0-c639-47a8-9e75-3b44932eb421", Unknown::Number),
    ("04da6b54-80e4-46f7-96ec-b56ff0331ba9", Unknown::String),
    ("6a19a0b0-7e62-4c92-b797-7f8e31da9cc2", Unknown::List),
    ("030794c1-ac77-496b-92df-f27374a8bd58", Unknown::Asset),
    ("e48ece36-62e2-4504-bad9-02848725956a", Unknown::Archive),
    ("dd056dcd-154b-4c76-9bd3-c8f88648b5ff", Unknown::Map),
];

/// How deep values may nest. Deeper ones are refused instead of risking the stack.
pub const MAX_DEPTH: usize = 200;

/// A message that is not what the protocol allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("property `{path}`: {problem}")]
pub struct WireError {
    path: String,
    problem: String,
}

struct Decoder {
    path: Vec<String>,
}

/// Decodes a property map. `None` and an empty struct both give an empty map.
pub fn decode(message: Option<&Struct>) -> Result<PropertyMap, WireError> {
    let mut decoder = Decoder { path: Vec::new() };
    message.map_or_else(|| Ok(PropertyMap::new()), |m| decoder.map(m))
}

/// Decodes one value.
pub fn decode_value(message: &Value) -> Result<PropertyValue, WireError> {
    Decoder { path: Vec::new() }.value(message)
}

impl Decoder {
    fn fail<T>(&self, problem: impl Into<String>) -> Result<T, WireError> {
        Err(WireError {
            path: self.path.join("."),
            problem: problem.into(),
        })
    }

    fn within<T>(
        &mut self,
        key: impl Into<String>,
        f: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        self.path.push(key.into());
        if self.path.len() > MAX_DEPTH {
            self.path.truncate(8);
            return self.fail(format!("values nest deeper than {MAX_DEPTH} levels"));
        }
        let result = f(self);
        if result.is_ok() {
            self.path.pop();
        }
        result
    }

    fn map(&mut self, message: &Struct) -> Result<PropertyMap, WireError> {
        message
            .fields
            .iter()
            .map(|(key, value)| Ok((key.clone(), self.within(key, |d| d.value(value))?)))
            .collect()
    }

    fn value(&mut self, message: &Value) -> Result<PropertyValue, WireError> {
        Ok(match &message.kind {
            None | Some(Kind::NullValue(_)) => PropertyValue::Null,
            Some(Kind::BoolValue(v)) => PropertyValue::Bool(*v),
            Some(Kind::NumberValue(v)) if v.is_finite() => PropertyValue::Number(*v),
            Some(Kind::NumberValue(v)) => {
                return self.fail(format!("{v} is not a storable number"));
            }
            Some(Kind::StringValue(v)) => sentinel_of(v)
                .map_or_else(|| PropertyValue::String(v.clone()), PropertyValue::Unknown),
            Some(Kind::ListValue(list)) => PropertyValue::List(
                list.values
                    .iter()
                    .enumerate()
                    .map(|(i, v)| self.within(format!("[{i}]"), |d| d.value(v)))
                    .collect::<Result<_, _>>()?,
            ),
            Some(Kind::StructValue(object)) => match object.fields.get(SIGNATURE) {
                None => PropertyValue::Map(self.map(object)?),
                Some(signature) => self.special(text(signature).unwrap_or_default(), object)?,
            },
        })
    }

    fn special(&mut self, signature: &str, object: &Struct) -> Result<PropertyValue, WireError> {
        let field = |name: &str| object.fields.get(name);
        let string = |name: &str| field(name).and_then(text).map(str::to_owned);
        Ok(match signature {
            // The engine sends a secret without value when what was inside was an unknown that it dropped.
            SECRET => match field("value") {
                None => PropertyValue::Null,
                Some(value) => {
                    let inner = self.within("(secret)", |d| d.value(value))?;
                    PropertyValue::Secret(Box::new(inner))
                }
            },
            ASSET => PropertyValue::Asset(Asset {
                hash: string("hash").unwrap_or_default(),
                text: string("text"),
                path: string("path"),
                uri: string("uri"),
            }),
            ARCHIVE => PropertyValue::Archive(Archive {
                hash: string("hash").unwrap_or_default(),
                assets: match field("assets").and_then(|v| v.kind.as_ref()) {
                    Some(Kind::StructValue(assets)) => Some(self.map(assets)?),
                    _ => None,
                },
                path: string("path"),
                uri: string("uri"),
            }),
            RESOURCE => PropertyValue::Resource(Box::new(ResourceReference {
                urn: match string("urn") {
                    Some(urn) => urn,
                    None => return self.fail("a resource reference without URN"),
                },
                id: string("id").map(|id| {
                    if sentinel_of(&id).is_some() {
                        ReferenceId::Unknown
                    } else {
                        ReferenceId::Known(id)
                    }
                }),
                name: string("name"),
                type_token: string("type"),
                package_version: string("packageVersion"),
            })),
            OUTPUT => {
                let value = match field("value") {
                    None => None,
                    Some(value) => Some(self.within("(output)", |d| d.value(value))?),
                };
                let secret = matches!(
                    field("secret").and_then(|v| v.kind.as_ref()),
                    Some(Kind::BoolValue(true))
                );
                let dependencies = match field("dependencies").and_then(|v| v.kind.as_ref()) {
                    Some(Kind::ListValue(list)) => list
                        .values
                        .iter()
                        .filter_map(text)
                        .map(str::to_owned)
                        .collect(),
                    _ => Vec::new(),
                };
                PropertyValue::Output(Box::new(OutputValue {
                    value,
                    secret,
                    dependencies,
                }))
            }
            BYTES => {
                let encoded = string("value").unwrap_or_default();
                match base64::engine::general_purpose::STANDARD.decode(encoded) {
                    Ok(bytes) => PropertyValue::Bytes(bytes),
                    Err(_) => return self.fail("a byte string that is not base64"),
                }
            }
            other => {
                return self.fail(format!(
                    "unrecognized signature '{other}': the engine may be newer than this provider"
                ));
            }
        })
    }
}

fn text(value: &Value) -> Option<&str> {
    match &value.kind {
        Some(Kind::StringValue(v)) => Some(v),
        _ => None,
    }
}

/// Encodes a property map.
#[must_use]
pub fn encode(map: &PropertyMap) -> Struct {
    Struct {
        fields: map
            .iter()
            .map(|(k, v)| (k.clone(), encode_value(v)))
            .collect(),
    }
}

fn special(signature: &str, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Kind {
    let mut all = vec![(SIGNATURE.to_owned(), string(signature))];
    all.extend(fields.into_iter().map(|(k, v)| (k.to_owned(), v)));
    Kind::StructValue(Struct {
        fields: all.into_iter().collect(),
    })
}

fn string(value: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(value.to_owned())),
    }
}

fn optional<'a>(
    fields: impl IntoIterator<Item = (&'static str, &'a Option<String>)>,
) -> Vec<(&'static str, Value)> {
    fields
        .into_iter()
        .filter_map(|(k, v)| v.as_ref().map(|v| (k, string(v))))
        .collect()
}

/// The sentinel that stands for an unknown on the wire.
#[must_use]
pub fn sentinel(unknown: Unknown) -> &'static str {
    UNKNOWNS
        .iter()
        .find(|(_, u)| *u == unknown)
        .map_or(UNKNOWNS[2].0, |(s, _)| s)
}

/// The unknown that a text stands for, on the wire as in the engine's events.
#[must_use]
pub fn sentinel_of(text: &str) -> Option<Unknown> {
    UNKNOWNS
        .iter()
        .find(|(sentinel, _)| *sentinel == text)
        .map(|(_, unknown)| *unknown)
}

/// Encodes one value.
#[must_use]
pub fn encode_value(value: &PropertyValue) -> Value {
    let kind = match value {
        PropertyValue::Null => Kind::NullValue(0),
        PropertyValue::Bool(v) => Kind::BoolValue(*v),
        PropertyValue::Number(v) => Kind::NumberValue(*v),
        PropertyValue::String(v) => Kind::StringValue(v.clone()),
        PropertyValue::Bytes(v) => special(
            BYTES,
            [(
                "value",
                string(&base64::engine::general_purpose::STANDARD.encode(v)),
            )],
        ),
        PropertyValue::Asset(v) => {
            let mut fields = vec![("hash", string(&v.hash))];
            fields.extend(optional([
                ("text", &v.text),
                ("path", &v.path),
                ("uri", &v.uri),
            ]));
            special(ASSET, fields)
        }
        PropertyValue::Archive(v) => {
            let mut fields = vec![("hash", string(&v.hash))];
            if let Some(assets) = &v.assets {
                let assets = Value {
                    kind: Some(Kind::StructValue(encode(assets))),
                };
                fields.push(("assets", assets));
            }
            fields.extend(optional([("path", &v.path), ("uri", &v.uri)]));
            special(ARCHIVE, fields)
        }
        PropertyValue::List(v) => Kind::ListValue(ListValue {
            values: v.iter().map(encode_value).collect(),
        }),
        PropertyValue::Map(v) => Kind::StructValue(encode(v)),
        PropertyValue::Secret(v) => special(SECRET, [("value", encode_value(v))]),
        PropertyValue::Unknown(v) => Kind::StringValue(sentinel(*v).to_owned()),
        PropertyValue::Output(v) => {
            let mut fields = Vec::new();
            if let Some(value) = &v.value {
                fields.push(("value", encode_value(value)));
            }
            if v.secret {
                fields.push((
                    "secret",
                    Value {
                        kind: Some(Kind::BoolValue(true)),
                    },
                ));
            }
            if !v.dependencies.is_empty() {
                let values = v.dependencies.iter().map(|d| string(d)).collect();
                fields.push((
                    "dependencies",
                    Value {
                        kind: Some(Kind::ListValue(ListValue { values })),
                    },
                ));
            }
            special(OUTPUT, fields)
        }
        PropertyValue::Resource(v) => {
            let mut fields = vec![("urn", string(&v.urn))];
            match &v.id {
                Some(ReferenceId::Known(id)) => fields.push(("id", string(id))),
                Some(ReferenceId::Unknown) => {
                    fields.push(("id", string(sentinel(Unknown::String))));
                }
                None => {}
            }
            fields.extend(optional([
                ("name", &v.name),
                ("type", &v.type_token),
                ("packageVersion", &v.package_version),
            ]));
            special(RESOURCE, fields)
        }
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
