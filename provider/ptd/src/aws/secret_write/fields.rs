//! The JSON object in a secret, kept as its owners wrote it.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The fields of a secret in their stored order, each with the JSON text of its value.
///
/// Texts rather than parsed values, so that a number or an escape goes back the way its owner wrote it. They are wiped
/// when dropped, and there is no `Debug`.
#[derive(Clone, Default)]
pub(in crate::aws) struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// Reads the text of a JSON object; `None` if it is anything else.
    pub(in crate::aws) fn parse(text: &str) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let fields = reader.deserialize_map(ObjectVisitor).ok()?;
        reader.end().ok()?;
        Some(fields)
    }

    /// The text that is stored: compact, in order.
    pub(in crate::aws) fn text(&self) -> Zeroizing<String> {
        let length = self
            .0
            .iter()
            .map(|(name, value)| name.len() + value.len() + 8)
            .sum::<usize>()
            + 2;
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push('{');
        for (i, (name, value)) in self.0.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            text.push_str(&quoted(name));
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(in crate::aws) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(in crate::aws) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::aws) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::aws) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a field that is a string.
    pub(in crate::aws) fn string(&self, name: &str) -> Option<Zeroizing<String>> {
        serde_json::from_str(self.get(name)?)
            .ok()
            .map(Zeroizing::new)
    }

    /// The value of a field that is a string, or the JSON text of one that is not.
    pub(in crate::aws) fn string_or_json(&self, name: &str) -> Option<Zeroizing<String>> {
        self.string(name)
            .or_else(|| self.get(name).map(|json| Zeroizing::new(json.to_owned())))
    }

    /// Sets a field to a string, in its place or at the end; whether that changed anything.
    pub(in crate::aws) fn set(&mut self, name: &str, value: &str) -> bool {
        if self.string(name).is_some_and(|old| *old == value) {
            return false;
        }
        let json = quoted(value);
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, slot)) => *slot = json,
            None => self.0.push((name.to_owned(), json)),
        }
        true
    }

    /// Takes a field away; whether it was there.
    pub(in crate::aws) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| n != name);
        self.0.len() != before
    }

    /// Hands over the texts that must not be shown.
    pub(in crate::aws) fn protect(&self, protect: impl Fn(&str)) {
        for (name, json) in &self.0 {
            match self.string(name) {
                Some(text) => protect(&text),
                // Objects and lists are shown in parts, if at all.
                None => {
                    if let Ok(value) = serde_json::from_str(json) {
                        texts(&value, &protect);
                    }
                }
            }
        }
    }
}

/// Every string in a JSON value, at any depth.
fn texts(value: &Value, use_text: &impl Fn(&str)) {
    match value {
        Value::String(text) => use_text(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, use_text)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, use_text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A string as JSON.
fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(Value::from(text).to_string())
}

/// Reads an object without parsing its values.
struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            let value = Zeroizing::new(value.get().to_owned());
            // Readers of JSON take the last of two fields of one name.
            match fields.0.iter_mut().find(|(n, _)| *n == name) {
                Some((_, slot)) => *slot = value,
                None => fields.0.push((name, value)),
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text).expect("an object")
    }

    #[test]
    fn what_others_wrote_stays_as_they_wrote_it() {
        let odd = r#"{"z":12345678901234567890123.10,"a":1.0e5,"é":"\u00e9\/","n":null,"o":{"b": 1,  "a":[2 ]},"t":true}"#;
        assert_eq!(*fields(odd).text(), odd);
        let mut changed = fields(odd);
        assert!(changed.set("mine", "x"));
        assert!(changed.remove("n"));
        assert!(!changed.remove("n"));
        assert_eq!(
            *changed.text(),
            odd.replace(r#""n":null,"#, "")
                .replace("true}", r#"true,"mine":"x"}"#)
        );
    }

    #[test]
    fn the_stored_text_is_compact_and_in_order() {
        assert_eq!(*Fields::default().text(), "{}");
        let mut made = Fields::default();
        for (name, value) in [("b", ""), ("a", "line\n\"quoted\""), ("a\\b", "2")] {
            assert!(made.set(name, value));
        }
        assert_eq!(
            *made.text(),
            r#"{"b":"","a":"line\n\"quoted\"","a\\b":"2"}"#
        );
        assert_eq!(*fields("  { \"a\" : \"b\" }\n").text(), r#"{"a":"b"}"#);
        assert_eq!(
            *fields(r#"{"a":"1","b":"2","a":"3"}"#).text(),
            r#"{"a":"3","b":"2"}"#
        );
    }

    #[test]
    fn equal_values_are_no_change() {
        let mut same = fields(r#"{"a":"\u0062","n":5}"#);
        assert!(!same.set("a", "b"));
        assert_eq!(*same.text(), r#"{"a":"\u0062","n":5}"#);
        assert_eq!(
            same.string_or_json("n").as_deref().map(String::as_str),
            Some("5")
        );
        assert!(same.string("n").is_none());
        assert!(same.set("n", "5"), "a number is not a string");
        assert!(same.set("a", "c"));
        assert_eq!(*same.text(), r#"{"a":"c","n":"5"}"#);
    }

    #[test]
    fn anything_else_is_no_object() {
        for text in [
            "",
            "null",
            "[]",
            "\"a\"",
            "5",
            "{",
            "{\"a\":}",
            "{} {}",
            "{\"a\":1,}",
        ] {
            assert!(Fields::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn texts_at_any_depth_are_protected() {
        let found = std::cell::RefCell::new(Vec::new());
        fields(r#"{"a":"one\ntwo","b":{"c":["three",4]},"d":null}"#)
            .protect(|text| found.borrow_mut().push(text.to_owned()));
        assert_eq!(found.into_inner(), ["one\ntwo", "three"]);
    }
}
