//! From property values to typed structs, through serde.

use std::fmt;

use base64::Engine as _;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use crate::value::{Archive, PropertyMap, PropertyValue};
use crate::wire::SIGNATURE;

/// Why properties do not fit a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", prefix(path))]
pub struct FitError {
    path: Vec<String>,
    message: String,
}

fn prefix(path: &[String]) -> String {
    if path.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    for part in path.iter().rev() {
        if !text.is_empty() && !part.starts_with('[') {
            text.push('.');
        }
        text.push_str(part);
    }
    format!("{text}: ")
}

impl FitError {
    fn within(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }
}

impl de::Error for FitError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: Vec::new(),
            message: message.to_string(),
        }
    }
}

/// Reads a struct from properties. Secret marks and dependencies are looked through; an unknown anywhere is an error.
pub fn from_properties<T: DeserializeOwned>(map: &PropertyMap) -> Result<T, FitError> {
    T::deserialize(Properties(map))
}

/// Reads any type from one value.
pub fn from_value<T: DeserializeOwned>(value: &PropertyValue) -> Result<T, FitError> {
    T::deserialize(ValueDe(value))
}

/// The properties of a struct; serde asks for a map where parts of it are flattened.
struct Properties<'a>(&'a PropertyMap);
struct MapDe<'a>(&'a PropertyMap);
struct ValueDe<'a>(&'a PropertyValue);

/// serde quotes the value it cannot use; a secret one must not be quoted.
fn discreet(error: FitError, value: &PropertyValue) -> FitError {
    if value.is_secret() {
        de::Error::custom("a secret value does not have the expected form")
    } else {
        error
    }
}

impl<'de> de::Deserializer<'de> for Properties<'de> {
    type Error = FitError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FitError> {
        visitor.visit_map(Entries {
            iter: self.0.iter(),
            nulls: false,
            value: None,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> de::Deserializer<'de> for MapDe<'de> {
    type Error = FitError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FitError> {
        visitor.visit_map(Entries {
            iter: self.0.iter(),
            nulls: true,
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FitError> {
        Properties(self.0).deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Entries<'a> {
    iter: std::collections::btree_map::Iter<'a, String, PropertyValue>,
    /// Whether nulls are entries. A struct's property is absent when it is null: its default applies.
    nulls: bool,
    value: Option<(&'a str, &'a PropertyValue)>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = FitError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, FitError> {
        let nulls = self.nulls;
        match self.iter.find(|(_, value)| nulls || !value.is_null()) {
            None => Ok(None),
            Some((key, value)) => {
                self.value = Some((key, value));
                let key: StrDeserializer<'_, FitError> = key.as_str().into_deserializer();
                seed.deserialize(key).map(Some)
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FitError> {
        let (key, value) = self.value.take().unwrap_or(("", &PropertyValue::Null));
        seed.deserialize(ValueDe(value))
            .map_err(|e| discreet(e, value).within(key))
    }
}

struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, PropertyValue>>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = FitError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, FitError> {
        match self.0.next() {
            None => Ok(None),
            Some((i, value)) => seed
                .deserialize(ValueDe(value))
                .map(Some)
                .map_err(|e| discreet(e, value).within(format!("[{i}]"))),
        }
    }
}

/// What [`crate::Marked`] is made of.
struct MarkAndValue<'a> {
    mark: Option<bool>,
    value: Option<ValueDe<'a>>,
}

impl<'de> de::SeqAccess<'de> for MarkAndValue<'de> {
    type Error = FitError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, FitError> {
        if let Some(mark) = self.mark.take() {
            return seed.deserialize(mark.into_deserializer()).map(Some);
        }
        self.value
            .take()
            .map(|value| seed.deserialize(value))
            .transpose()
    }
}

/// An archive for those who read it as any value.
fn archive(archive: &Archive) -> serde_json::Value {
    let assets = archive.assets.as_ref().map(|assets| {
        let plain = |value: &PropertyValue| match value.bare() {
            Some(PropertyValue::Asset(asset)) => serde_json::to_value(asset).unwrap_or_default(),
            Some(PropertyValue::Archive(inner)) => self::archive(inner),
            _ => serde_json::Value::Null,
        };
        let entries = assets.iter().map(|(name, v)| (name.clone(), plain(v)));
        entries.collect::<serde_json::Map<_, _>>()
    });
    serde_json::json!({
        "hash": archive.hash, "assets": assets, "path": archive.path, "uri": archive.uri
    })
}

/// Integers up to here survive a double.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> ValueDe<'de> {
    fn bare(&self) -> Result<&'de PropertyValue, FitError> {
        self.0
            .bare()
            .ok_or_else(|| de::Error::custom("the value is not known yet"))
    }
}

impl<'de> de::Deserializer<'de> for ValueDe<'de> {
    type Error = FitError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FitError> {
        match self.bare()? {
            PropertyValue::Null => visitor.visit_unit(),
            PropertyValue::Bool(v) => visitor.visit_bool(*v),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked to be a whole number in range"
            )]
            PropertyValue::Number(v) if v.fract() == 0.0 && v.abs() <= EXACT => {
                visitor.visit_i64(*v as i64)
            }
            PropertyValue::Number(v) => visitor.visit_f64(*v),
            PropertyValue::String(v) => visitor.visit_str(v),
            PropertyValue::Bytes(v) => {
                visitor.visit_string(base64::engine::general_purpose::STANDARD.encode(v))
            }
            PropertyValue::List(v) => visitor.visit_seq(Items(v.iter().enumerate())),
            PropertyValue::Map(v) => MapDe(v).deserialize_any(visitor),
            PropertyValue::Asset(v) => {
                let json = serde_json::to_value(v).map_err(de::Error::custom)?;
                json.into_deserializer()
                    .deserialize_any(visitor)
                    .map_err(|e: serde_json::Error| de::Error::custom(e))
            }
            PropertyValue::Resource(v) => visitor.visit_str(&v.urn),
            PropertyValue::Archive(v) => archive(v)
                .into_deserializer()
                .deserialize_any(visitor)
                .map_err(|e: serde_json::Error| de::Error::custom(e)),
            PropertyValue::Secret(_) | PropertyValue::Unknown(_) | PropertyValue::Output(_) => {
                Err(de::Error::custom(format!("unexpected {SIGNATURE} wrapper")))
            }
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FitError> {
        match self.bare()? {
            PropertyValue::Bytes(v) => visitor.visit_borrowed_bytes(v),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FitError> {
        self.deserialize_bytes(visitor)
    }

    /// What nobody reads may be anything, unknown too.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FitError> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FitError> {
        match self.bare()? {
            PropertyValue::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FitError> {
        if name == crate::secret::MARKED {
            let mark = Some(self.0.has_secret());
            return visitor.visit_seq(MarkAndValue {
                mark,
                value: Some(self),
            });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FitError> {
        match self.bare()? {
            PropertyValue::Map(v) => MapDe(v).deserialize_struct(name, fields, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FitError> {
        match self.bare()? {
            PropertyValue::String(v) => visitor.visit_enum(v.as_str().into_deserializer()),
            other => Err(de::Error::custom(format!(
                "expected one of the allowed texts, got {}",
                other.kind()
            ))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string unit unit_struct
        seq tuple tuple_struct map identifier
    }
}
