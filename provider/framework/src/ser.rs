//! From typed structs to property values, through serde.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible};

use crate::secret::MARKER;
use crate::value::{ASSET_MARKER, PropertyMap, PropertyValue};

/// A type that cannot be expressed as property values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnfitError(String);

impl ser::Error for UnfitError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Turns a struct into properties. Fields that are `None` are left out; [`crate::Secret`] becomes a secret.
pub fn to_properties<T: Serialize + ?Sized>(value: &T) -> Result<PropertyMap, UnfitError> {
    match to_value(value)? {
        PropertyValue::Map(map) => Ok(map),
        PropertyValue::Null => Ok(PropertyMap::new()),
        other => Err(UnfitError(format!(
            "expected an object, got {}",
            other.kind()
        ))),
    }
}

/// Turns any value into a property value.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<PropertyValue, UnfitError> {
    value.serialize(Ser)
}

struct Ser;

type R = Result<PropertyValue, UnfitError>;

macro_rules! numbers {
    ($($name:ident: $t:ty),*) => {$(
        fn $name(self, v: $t) -> R { Ok(PropertyValue::Number(f64::from(v))) }
    )*};
}

/// Whole numbers beyond this lose digits in a double.
const EXACT: u64 = 1 << 53;

impl ser::Serializer for Ser {
    type Ok = PropertyValue;
    type Error = UnfitError;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = Impossible<PropertyValue, UnfitError>;
    type SerializeMap = Object;
    type SerializeStruct = Object;
    type SerializeStructVariant = Impossible<PropertyValue, UnfitError>;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_u8: u8, serialize_u16: u16,
             serialize_u32: u32);

    fn serialize_f32(self, v: f32) -> R {
        self.serialize_f64(f64::from(v))
    }

    fn serialize_bool(self, v: bool) -> R {
        Ok(PropertyValue::Bool(v))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "refused where it would lose digits"
    )]
    fn serialize_i64(self, v: i64) -> R {
        if v.unsigned_abs() > EXACT {
            return Err(UnfitError(format!(
                "{v} has more digits than a number can carry; use a text"
            )));
        }
        Ok(PropertyValue::Number(v as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "refused where it would lose digits"
    )]
    fn serialize_u64(self, v: u64) -> R {
        if v > EXACT {
            return Err(UnfitError(format!(
                "{v} has more digits than a number can carry; use a text"
            )));
        }
        Ok(PropertyValue::Number(v as f64))
    }

    fn serialize_f64(self, v: f64) -> R {
        if v.is_finite() {
            Ok(PropertyValue::Number(v))
        } else {
            Err(UnfitError(format!("{v} is not a storable number")))
        }
    }

    fn serialize_char(self, v: char) -> R {
        Ok(PropertyValue::String(v.to_string()))
    }

    fn serialize_str(self, v: &str) -> R {
        Ok(PropertyValue::String(v.to_owned()))
    }

    fn serialize_bytes(self, v: &[u8]) -> R {
        Ok(PropertyValue::Bytes(v.to_vec()))
    }

    fn serialize_none(self) -> R {
        Ok(PropertyValue::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> R {
        value.serialize(self)
    }

    fn serialize_unit(self) -> R {
        Ok(PropertyValue::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> R {
        Ok(PropertyValue::Null)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> R {
        Ok(PropertyValue::String(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> R {
        let inner = value.serialize(self)?;
        Ok(match name {
            MARKER => inner.into_secret(),
            ASSET_MARKER => PropertyValue::Asset(
                crate::de::from_value(&inner).map_err(|error| UnfitError(error.to_string()))?,
            ),
            _ => inner,
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> R {
        Err(UnfitError(format!(
            "enum {name} carries data, which properties cannot express"
        )))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List, UnfitError> {
        Ok(List(Vec::with_capacity(len.unwrap_or_default())))
    }

    fn serialize_tuple(self, len: usize) -> Result<List, UnfitError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<List, UnfitError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, UnfitError> {
        Err(UnfitError(format!(
            "enum {name} carries data, which properties cannot express"
        )))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Object, UnfitError> {
        Ok(Object {
            map: PropertyMap::new(),
            key: String::new(),
            // Maps know how long they are; a struct with flattened parts, which serde writes as a map, does not.
            flattened: len.is_none(),
        })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Object, UnfitError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, UnfitError> {
        Err(UnfitError(format!(
            "enum {name} carries data, which properties cannot express"
        )))
    }
}

struct List(Vec<PropertyValue>);

macro_rules! list {
    ($($tr:ident :: $method:ident),*) => {$(
        impl ser::$tr for List {
            type Ok = PropertyValue;
            type Error = UnfitError;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), UnfitError> {
                self.0.push(value.serialize(Ser)?);
                Ok(())
            }
            fn end(self) -> R { Ok(PropertyValue::List(self.0)) }
        }
    )*};
}
list!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);

struct Object {
    map: PropertyMap,
    key: String,
    flattened: bool,
}

impl ser::SerializeMap for Object {
    type Ok = PropertyValue;
    type Error = UnfitError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), UnfitError> {
        match key.serialize(Ser)? {
            PropertyValue::String(key) => self.key = key,
            PropertyValue::Number(key) => self.key = key.to_string(),
            other => {
                return Err(UnfitError(format!(
                    "a map key must be text, got {}",
                    other.kind()
                )));
            }
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), UnfitError> {
        let key = std::mem::take(&mut self.key);
        let value = value.serialize(Ser)?;
        if !self.flattened || value != PropertyValue::Null {
            self.map.insert(key, value);
        }
        Ok(())
    }

    fn end(self) -> R {
        Ok(PropertyValue::Map(self.map))
    }
}

impl ser::SerializeStruct for Object {
    type Ok = PropertyValue;
    type Error = UnfitError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), UnfitError> {
        let value = value.serialize(Ser)?;
        if value != PropertyValue::Null {
            self.map.insert(key.to_owned(), value);
        }
        Ok(())
    }

    fn end(self) -> R {
        Ok(PropertyValue::Map(self.map))
    }
}
