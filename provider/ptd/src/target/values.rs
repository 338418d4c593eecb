//! The kinds of value a field can have.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::{Cx, Decoded};
use super::scalar::{self, Resolved};
use super::yaml::{Kind, NodeId};

impl Cx<'_> {
    /// Text: any scalar, as written.
    pub(crate) fn text(&mut self, id: NodeId) -> Decoded<String> {
        self.follow(id, |cx, id| {
            let document = cx.document;
            let node = document.node(id);
            let Kind::Scalar(text, _) = &node.kind else {
                return cx.mismatch(id, "text");
            };
            if node.tag.as_deref() == Some("!!binary") {
                return match scalar::binary(text) {
                    Some(text) => Decoded::Value(text),
                    None => cx.mismatch(id, "base64 of a text"),
                };
            }
            match cx.resolved(id) {
                Some(Resolved::Null) => Decoded::Null,
                Some(_) => Decoded::Value(text.clone()),
                None => Decoded::Failed,
            }
        })
    }

    /// A truth value; the words of YAML 1.1 count as well.
    pub(crate) fn flag(&mut self, id: NodeId) -> Decoded<bool> {
        self.follow(id, |cx, id| {
            let document = cx.document;
            let Kind::Scalar(text, plain) = &document.node(id).kind else {
                return cx.mismatch(id, "true or false");
            };
            match cx.resolved(id) {
                None => Decoded::Failed,
                Some(Resolved::Null) => Decoded::Null,
                Some(Resolved::Bool(value)) => Decoded::Value(value),
                Some(Resolved::Text) => match text.as_str() {
                    "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Decoded::Value(true),
                    "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Decoded::Value(false),
                    "true" | "True" | "TRUE" | "false" | "False" | "FALSE" if !plain => {
                        cx.mismatch(id, "true or false without quotes")
                    }
                    _ => cx.mismatch(id, "true or false"),
                },
                Some(_) => cx.mismatch(id, "true or false"),
            }
        })
    }

    /// A whole number. The reference cuts fractions off; so does this, with a warning.
    pub(crate) fn int(&mut self, id: NodeId) -> Decoded<i64> {
        self.follow(id, |cx, id| {
            if !matches!(cx.document.node(id).kind, Kind::Scalar(..)) {
                return cx.mismatch(id, "a whole number");
            }
            match cx.resolved(id) {
                None => Decoded::Failed,
                Some(Resolved::Null) => Decoded::Null,
                Some(Resolved::Int(value)) => Decoded::Value(value),
                // 2^63 as a float is the first value too large.
                Some(Resolved::Float(value))
                    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
                        .contains(&value) =>
                {
                    #[allow(clippy::cast_possible_truncation)]
                    let whole = value.trunc() as i64;
                    if value.fract() != 0.0 {
                        cx.warn(
                            Some(id),
                            format!("a whole number is expected; {value} is read as {whole}"),
                        );
                    }
                    Decoded::Value(whole)
                }
                Some(_) => cx.mismatch(id, "a whole number"),
            }
        })
    }

    /// A UUID, in lower case with hyphens.
    pub(crate) fn uuid(&mut self, id: NodeId) -> Decoded<String> {
        match self.text(id) {
            Decoded::Value(text) => match canonical_uuid(&text) {
                Some(uuid) => Decoded::Value(uuid),
                None => self.mismatch(id, "a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e"),
            },
            other => other,
        }
    }

    /// A list; null elements are left out.
    pub(crate) fn list<T>(
        &mut self,
        id: NodeId,
        mut item: impl FnMut(&mut Self, NodeId) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        self.follow(id, |cx, id| {
            let document = cx.document;
            match &document.node(id).kind {
                Kind::List(items) => {
                    let mut values = Vec::with_capacity(items.len());
                    for (index, id) in items.iter().enumerate() {
                        values.extend(cx.at_index(index, |cx| item(cx, *id)).value());
                    }
                    Decoded::Value(values)
                }
                Kind::Scalar(..) if cx.is_null(id) => Decoded::Null,
                _ => cx.mismatch(id, "a list"),
            }
        })
    }

    /// A map of names to values. A null value is an entry with what `zero` makes.
    pub(crate) fn map<T>(
        &mut self,
        id: NodeId,
        mut item: impl FnMut(&mut Self, NodeId) -> Decoded<T>,
        mut zero: impl FnMut(&mut Self) -> T,
    ) -> Decoded<BTreeMap<String, T>> {
        self.follow(id, |cx, id| {
            match &cx.document.node(id).kind {
                Kind::Map(_) => {}
                Kind::Scalar(..) if cx.is_null(id) => return Decoded::Null,
                _ => return cx.mismatch(id, "a map"),
            }
            let mut values = BTreeMap::new();
            for entry in cx.entries(id) {
                let value = cx.at(&entry.name, |cx| match item(cx, entry.value) {
                    Decoded::Null if !values.contains_key(&entry.name) => Some(zero(cx)),
                    other => other.value(),
                });
                if let Some(value) = value {
                    values.insert(entry.name, value);
                }
            }
            Decoded::Value(values)
        })
    }

    /// Free-form content. Dates and numbers that JSON cannot hold stay text.
    pub(crate) fn json(&mut self, id: NodeId) -> Decoded<Value> {
        self.follow(id, |cx, id| {
            let document = cx.document;
            match &document.node(id).kind {
                Kind::List(items) => {
                    let mut values = Vec::with_capacity(items.len());
                    for (index, id) in items.iter().enumerate() {
                        match cx.at_index(index, |cx| cx.json(*id)) {
                            Decoded::Value(value) => values.push(value),
                            Decoded::Null => values.push(Value::Null),
                            Decoded::Failed => {}
                        }
                    }
                    Decoded::Value(Value::Array(values))
                }
                Kind::Map(_) => {
                    let mut object = serde_json::Map::new();
                    for entry in cx.entries(id) {
                        let value = cx.at(&entry.name, |cx| match cx.json(entry.value) {
                            Decoded::Null if !object.contains_key(&entry.name) => Some(Value::Null),
                            other => other.value(),
                        });
                        if let Some(value) = value {
                            object.insert(entry.name, value);
                        }
                    }
                    Decoded::Value(Value::Object(object))
                }
                Kind::Scalar(text, _) => match cx.resolved(id) {
                    None => Decoded::Failed,
                    Some(Resolved::Null) => Decoded::Null,
                    Some(Resolved::Bool(value)) => Decoded::Value(value.into()),
                    Some(Resolved::Int(value)) => Decoded::Value(value.into()),
                    Some(Resolved::Uint(value)) => Decoded::Value(value.into()),
                    Some(Resolved::Float(value)) => Decoded::Value(
                        serde_json::Number::from_f64(value)
                            .map_or_else(|| text.clone().into(), Value::Number),
                    ),
                    Some(Resolved::Timestamp | Resolved::Text) => cx.text(id).map(Value::String),
                },
                // Aliases were followed.
                Kind::Alias(_) => Decoded::Failed,
            }
        })
    }
}

/// The spellings of a UUID that the reference takes, as one.
fn canonical_uuid(text: &str) -> Option<String> {
    let inner = match text.len() {
        45 if text
            .get(..9)
            .is_some_and(|p| p.eq_ignore_ascii_case("urn:uuid:")) =>
        {
            text.get(9..)?
        }
        38 => text.strip_prefix('{')?.strip_suffix('}')?,
        _ => text,
    };
    let bytes = inner.as_bytes();
    let hyphens_fit = match bytes.len() {
        36 => [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-'),
        32 => text.len() == 32,
        _ => false,
    };
    let digits: String = inner.chars().filter(|c| *c != '-').collect();
    if !hyphens_fit || digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let d = digits.to_ascii_lowercase();
    Some(format!(
        "{}-{}-{}-{}-{}",
        &d[..8],
        &d[8..12],
        &d[12..16],
        &d[16..20],
        &d[20..]
    ))
}
