//! Checking inputs: defaults, types and limits from the schema; then whatever the resource itself demands.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::env::Env;
use crate::path::Path;
use crate::redact::Guard;
use crate::schema::{Element, Limits, NamedType, ObjectSpec, PropertySpec, TypeSpec, Types};
use crate::value::{PropertyMap, PropertyValue};

/// One thing that is wrong with the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub path: Path,
    /// What is wrong, and what would be right. Never contains a secret value.
    pub reason: String,
}

/// How a missing name is to be made, as the user configured it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Autonaming {
    /// Nothing configured: the resource's name and a few random digits.
    #[default]
    Default,
    /// A name to use, adjusted where it must be.
    Propose(String),
    /// A name to use exactly.
    Enforce(String),
    /// Names must be given.
    Disabled,
}

/// Inputs on their way through Check.
pub struct Checking<'a> {
    pub(crate) types: &'a Types,
    pub(crate) spec: &'a ObjectSpec,
    pub(crate) env: &'a dyn Env,
    pub(crate) olds: PropertyMap,
    pub(crate) inputs: PropertyMap,
    pub(crate) failures: Vec<Failure>,
    pub(crate) name: String,
    pub(crate) urn: String,
    /// The engine's address.
    pub(crate) run: Option<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) autonaming: Autonaming,
    pub(crate) seed: Vec<u8>,
}

impl Checking<'_> {
    /// The resource's name in the program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The resource's URN; empty where no resource is checked.
    #[must_use]
    pub fn urn(&self) -> &str {
        &self.urn
    }

    /// The address of the engine that started this provider: one for each run of the CLI.
    #[must_use]
    pub fn engine_address(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// Something the user should look at, although nothing is wrong.
    pub fn warn(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }

    /// Puts the inputs back to what they were before this change. `false` when the resource is new.
    pub fn keep_old(&mut self) -> bool {
        if self.olds.is_empty() {
            return false;
        }
        self.inputs.clone_from(&self.olds);
        true
    }

    /// A property that is given, known and of that type. Anything else was already reported, or comes later.
    #[must_use]
    pub fn known<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.inputs.get(name).filter(|v| !v.is_null())?;
        crate::de::from_value(value).ok()
    }

    /// A property as it is given, known or not, with its secret marks.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&PropertyValue> {
        self.inputs.get(name).filter(|v| !v.is_null())
    }

    /// Whether a property is given, known or not.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.inputs.get(name).is_some_and(|v| !v.is_null())
    }

    /// The same property as it was checked before this change; `None` when the resource is new.
    #[must_use]
    pub fn old<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        crate::de::from_value(self.olds.get(name)?).ok()
    }

    /// Replaces a property, keeping its secret mark; `None` takes it out. Only for normal forms that a read would give as well.
    pub fn set(&mut self, name: &str, value: impl Serialize) {
        match crate::ser::to_value(&value) {
            Ok(PropertyValue::Null) => {
                self.inputs.remove(name);
            }
            Ok(value) => {
                let secret = self.inputs.get(name).is_some_and(PropertyValue::has_secret);
                let value = if secret { value.into_secret() } else { value };
                self.inputs.insert(name.to_owned(), value);
            }
            Err(error) => self.fail(Path::root().key(name), error.to_string()),
        }
    }

    /// Reports a problem. The reason must not contain a secret value.
    pub fn fail(&mut self, path: Path, reason: impl Into<String>) {
        self.failures.push(Failure {
            path,
            reason: reason.into(),
        });
    }

    /// Reports a problem with a top-level property.
    pub fn refuse(&mut self, name: &str, reason: impl Into<String>) {
        self.fail(Path::root().key(name), reason);
    }

    /// Whether nothing was reported so far.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// All inputs as the struct, when everything in them is known.
    #[must_use]
    pub fn args<T: DeserializeOwned>(&self) -> Option<T> {
        crate::de::from_properties(&self.inputs).ok()
    }

    /// Runs the check; what the schema calls secret is kept out of all that is written from here on.
    pub(crate) fn run_guarded(&mut self, guard: &mut Guard) {
        self.run();
        guard.add_all(&self.inputs);
    }

    pub(crate) fn run(&mut self) {
        self.inputs.retain(|_, v| *v != PropertyValue::Null);
        let known: Vec<&str> = self
            .spec
            .properties
            .iter()
            .map(|(n, _)| n.as_str())
            .collect();
        let strangers: Vec<String> = self
            .inputs
            .keys()
            .filter(|k| !k.starts_with("__") && self.spec.get(k).is_none())
            .cloned()
            .collect();
        for stranger in strangers {
            let reason = unknown_property(&stranger, known.iter().copied());
            self.refuse(&stranger, reason);
        }
        let spec = self.spec;
        for (name, property) in &spec.properties {
            self.property(name, property);
        }
    }

    fn property(&mut self, name: &str, property: &PropertySpec) {
        if !self.given(name) {
            if let Some(value) = self.default(property) {
                self.inputs.insert(name.to_owned(), value);
            } else if property.autoname {
                self.autoname(name, property);
            }
        }
        let Some(value) = self.inputs.get(name) else {
            if property.required {
                self.refuse(name, format!("missing required property '{name}'"));
            }
            return;
        };
        if value.is_null() && property.required {
            self.refuse(name, format!("missing required property '{name}'"));
            return;
        }
        let mut failures = Vec::new();
        let shape = Shape {
            ty: &property.ty,
            limits: &property.limits,
        };
        Validator {
            types: self.types,
            failures: &mut failures,
        }
        .value(&Path::root().key(name), value, shape);
        self.failures.extend(failures);
        // A mark on one part of it says nothing about the other parts.
        if property.secret && !value.is_secret() {
            let value = value.clone().into_secret();
            self.inputs.insert(name.to_owned(), value);
        }
    }

    fn default(&self, property: &PropertySpec) -> Option<PropertyValue> {
        for name in &property.env {
            if let Some(text) = self.env.get(name).filter(|t| !t.is_empty()) {
                return Some(from_text(&property.ty, &text));
            }
        }
        property.default.clone().map(Into::into)
    }

    fn autoname(&mut self, name: &str, property: &PropertySpec) {
        // Old state may hold anything; only a real name is worth keeping.
        if let Some(old) = self
            .olds
            .get(name)
            .filter(|old| old.as_str().is_some_and(|name| !name.is_empty()))
        {
            self.inputs.insert(name.to_owned(), old.clone());
            return;
        }
        let made = match &self.autonaming {
            Autonaming::Enforce(proposed) | Autonaming::Propose(proposed) => proposed.clone(),
            Autonaming::Disabled => {
                let reason =
                    format!("missing required property '{name}': automatic naming is disabled");
                return self.refuse(name, reason);
            }
            Autonaming::Default => {
                let digest = Sha256::digest([self.seed.as_slice(), name.as_bytes()].concat());
                let digits = hex::encode(&digest[..4]);
                let room = usize::try_from(property.limits.max_length.unwrap_or(64)).unwrap_or(64);
                let stem: String = self.name.chars().take(room.saturating_sub(8)).collect();
                format!("{stem}-{}", &digits[..7])
            }
        };
        self.inputs.insert(name.to_owned(), made.into());
    }
}

/// Reads a configuration or environment text as a value of the type; a text that does not fit is left for validation.
pub(crate) fn from_text(ty: &TypeSpec, text: &str) -> PropertyValue {
    match ty {
        TypeSpec::String | TypeSpec::Enum(_) => text.into(),
        TypeSpec::Boolean => match text {
            "true" | "1" => true.into(),
            "false" | "0" => false.into(),
            _ => text.into(),
        },
        _ => {
            serde_json::from_str::<serde_json::Value>(text).map_or_else(|_| text.into(), Into::into)
        }
    }
}

/// The text for a property that does not exist.
pub(crate) fn unknown_property<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(given, known).map_or_else(
        || format!("there is no property '{given}'"),
        |near| format!("there is no property '{given}'; did you mean '{near}'?"),
    )
}

/// The candidate that a mistyped name most likely meant.
pub fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| {
        s.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase()
    };
    let target = plain(given);
    candidates
        .map(|c| (strsim::damerau_levenshtein(&plain(c), &target), c))
        .filter(|(distance, c)| *distance * 3 <= c.len().max(3))
        .min()
        .map(|(_, c)| c)
}

#[derive(Clone, Copy)]
struct Shape<'a> {
    ty: &'a TypeSpec,
    limits: &'a Limits,
}

struct Validator<'a> {
    types: &'a Types,
    failures: &'a mut Vec<Failure>,
}

impl Validator<'_> {
    fn fail(&mut self, path: &Path, reason: String) {
        self.failures.push(Failure {
            path: path.clone(),
            reason,
        });
    }

    fn value(&mut self, path: &Path, value: &PropertyValue, shape: Shape<'_>) {
        let Some(value) = value.bare() else { return };
        match (shape.ty, value) {
            // A resource stands for its id or URN where a text is asked for.
            (_, PropertyValue::Null)
            | (TypeSpec::Any, _)
            | (TypeSpec::Boolean, PropertyValue::Bool(_))
            | (TypeSpec::Asset, PropertyValue::Asset(_))
            | (TypeSpec::String, PropertyValue::Resource(_)) => {}
            (TypeSpec::Provider, PropertyValue::Resource(to)) if to.is_provider() => {}
            (TypeSpec::Integer, PropertyValue::Number(n)) if n.abs() > crate::de::EXACT => {
                let bound = crate::de::EXACT;
                self.fail(
                    path,
                    format!("must lie within ±{bound}: beyond, numbers lose digits"),
                );
            }
            (TypeSpec::Integer, PropertyValue::Number(n)) if n.fract() == 0.0 => {
                self.number(path, *n, shape.limits);
            }
            (TypeSpec::Integer, PropertyValue::Number(_)) => {
                self.fail(path, "must be a whole number".into());
            }
            (TypeSpec::Number, PropertyValue::Number(n)) => self.number(path, *n, shape.limits),
            (TypeSpec::String, PropertyValue::String(s)) => self.text(path, s, shape.limits),
            (TypeSpec::Enum(name), PropertyValue::String(s)) => self.choice(path, s, name),
            (TypeSpec::Array(element), PropertyValue::List(items)) => {
                self.count(path, items.len(), shape.limits);
                for (i, item) in items.iter().enumerate() {
                    self.element(&path.index(i), item, element);
                }
            }
            (TypeSpec::Map(element), PropertyValue::Map(map)) => {
                for (key, item) in map {
                    self.element(&path.key(key), item, element);
                }
            }
            (TypeSpec::Object(name), PropertyValue::Map(map)) => self.object(path, map, name),
            (ty, value) => {
                let reason = format!("must be {}, not {}", article(ty), value.kind());
                self.fail(path, reason);
            }
        }
    }

    fn element(&mut self, path: &Path, value: &PropertyValue, element: &Element) {
        if value.is_null() {
            return self.fail(path, format!("must be {}, not null", article(&element.ty)));
        }
        self.value(
            path,
            value,
            Shape {
                ty: &element.ty,
                limits: &element.limits,
            },
        );
    }

    fn object(&mut self, path: &Path, map: &PropertyMap, name: &str) {
        let types = self.types;
        let Some(object) = types.object(name) else {
            return;
        };
        for key in map
            .keys()
            .filter(|k| !k.starts_with("__") && object.get(k).is_none())
        {
            let reason = unknown_property(key, object.properties.iter().map(|(n, _)| n.as_str()));
            self.fail(&path.key(key), reason);
        }
        for (key, property) in &object.properties {
            match map.get(key) {
                Some(value) if !value.is_null() => {
                    let shape = Shape {
                        ty: &property.ty,
                        limits: &property.limits,
                    };
                    self.value(&path.key(key), value, shape);
                }
                _ if property.required => {
                    self.fail(&path.key(key), format!("missing required property '{key}'"));
                }
                _ => {}
            }
        }
    }

    fn number(&mut self, path: &Path, n: f64, limits: &Limits) {
        match (limits.minimum, limits.maximum) {
            (Some(min), _) if n < min => self.fail(path, format!("must be at least {min}")),
            (_, Some(max)) if n > max => self.fail(path, format!("must be at most {max}")),
            _ => {}
        }
    }

    fn text(&mut self, path: &Path, text: &str, limits: &Limits) {
        let length = text.chars().count() as u64;
        if limits.min_length.is_some_and(|min| length < min) {
            let min = limits.min_length.unwrap_or_default();
            self.fail(
                path,
                format!("must have at least {min} characters, has {length}"),
            );
        } else if limits.max_length.is_some_and(|max| length > max) {
            let max = limits.max_length.unwrap_or_default();
            self.fail(
                path,
                format!("must have at most {max} characters, has {length}"),
            );
        } else if let Some(pattern) = &limits.pattern
            && compiled(pattern).is_some_and(|r| !r.is_match(text))
        {
            self.fail(path, format!("must match the pattern {pattern}"));
        }
    }

    fn count(&mut self, path: &Path, count: usize, limits: &Limits) {
        let count = count as u64;
        match (limits.min_items, limits.max_items) {
            (Some(min), _) if count < min => {
                self.fail(path, format!("must have at least {min} elements"));
            }
            (_, Some(max)) if count > max => {
                self.fail(path, format!("must have at most {max} elements"));
            }
            _ => {}
        }
    }

    fn choice(&mut self, path: &Path, text: &str, name: &str) {
        let Some(NamedType::Enum { values, .. }) = self.types.get(name) else {
            return;
        };
        if values.iter().any(|v| v.value == text) {
            return;
        }
        let allowed: Vec<String> = values.iter().map(|v| format!("'{}'", v.value)).collect();
        let hint = nearest(text, values.iter().map(|v| v.value.as_str()))
            .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        self.fail(path, format!("must be one of {}{hint}", allowed.join(", ")));
    }
}

/// The pattern, compiled once in a process: that takes longer than all the rest of a check.
fn compiled(pattern: &str) -> Option<Regex> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(pattern) {
        return known.clone();
    }
    let regex = Regex::new(pattern).ok();
    known.insert(pattern.to_owned(), regex.clone());
    regex
}

fn article(ty: &TypeSpec) -> &'static str {
    match ty {
        TypeSpec::Boolean => "a boolean",
        TypeSpec::Integer => "a whole number",
        TypeSpec::Number => "a number",
        TypeSpec::String | TypeSpec::Enum(_) => "a string",
        TypeSpec::Any => "a value",
        TypeSpec::Asset => "an asset",
        TypeSpec::Provider => "a provider",
        TypeSpec::Array(_) => "a list",
        TypeSpec::Map(_) | TypeSpec::Object(_) => "an object",
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
