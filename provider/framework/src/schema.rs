//! Types of properties, derived from Rust types through schemars.
//!
//! One model serves everything that needs to know a property's type: the published schema, check and diff.

mod publish;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use read::{description, enum_values, fail, object, text};

type Json = Map<String, Value>;

/// The schema name of [`crate::Asset`], which is Pulumi's own type and not one of the package.
pub(crate) const ASSET: &str = "Asset";

/// The schema name of [`crate::ProviderReference`], which is the package's own provider.
pub(crate) const PROVIDER: &str = "ProviderReference";

/// A type that has no counterpart in a Pulumi schema. It is a mistake in the provider, found by its first test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct SchemaError {
    /// The Rust type and property.
    pub at: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The properties of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectSpec {
    /// What the object is, from the type's doc comment.
    pub description: String,
    /// Its properties, in declaration order.
    pub properties: Vec<(String, PropertySpec)>,
}

/// One property.
///
/// Everything beyond the type is said on the field with `#[schemars(extend("key" = value))]`:
///
/// | key | value | meaning |
/// |---|---|---|
/// | `replace` | `true` | a change replaces the resource |
/// | `secret` | `true` | never shown; [`crate::Secret`] says it by itself |
/// | `env` | list of names | environment variables that give a default |
/// | `set` | `true` | the order of the list's elements carries no meaning |
/// | `json` | `true` | a text that holds JSON, compared by meaning |
/// | `stable` | `true` | an output that an update never changes |
/// | `autoname` | `true` | generated from the resource's name where absent |
/// | `deprecated` | text | what to use instead |
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks of a property, not a state machine"
)]
pub struct PropertySpec {
    /// The type.
    pub ty: TypeSpec,
    /// What it means, from the field's doc comment.
    pub description: String,
    /// Whether it must be given (input) or is always there (output).
    pub required: bool,
    /// Whether it is never shown.
    pub secret: bool,
    /// Whether a change replaces the resource.
    pub replace: bool,
    /// Whether an update leaves it as it is (outputs).
    pub stable: bool,
    /// Whether the order of the list's elements carries no meaning.
    pub set: bool,
    /// Whether the text holds JSON.
    pub json: bool,
    /// Whether a missing value is generated from the resource's name.
    pub autoname: bool,
    /// The value where none is given.
    pub default: Option<Value>,
    /// Environment variables that give a default, tried in order.
    pub env: Vec<String>,
    /// What to use instead.
    pub deprecated: Option<String>,
    /// What values are allowed.
    pub limits: Limits,
}

/// Bounds on a value; all inclusive.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "named after the JSON Schema keywords")]
pub struct Limits {
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub pattern: Option<String>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
}

/// The type of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeSpec {
    /// true or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A text.
    String,
    /// Any value.
    Any,
    /// A file or text.
    Asset,
    /// A provider of the package.
    Provider,
    /// A list.
    Array(Box<Element>),
    /// A map from texts.
    Map(Box<Element>),
    /// A named object type.
    Object(String),
    /// A named set of texts.
    Enum(String),
}

/// What a list or map holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// The type of each element.
    pub ty: TypeSpec,
    /// Whether elements are never shown.
    pub secret: bool,
    /// What elements are allowed.
    pub limits: Limits,
}

/// One allowed text of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumValue {
    /// The text.
    pub value: String,
    /// What it stands for.
    pub description: String,
}

/// A type with a name of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum NamedType {
    /// An object.
    Object(ObjectSpec),
    /// A set of texts.
    Enum {
        /// What the enum is.
        description: String,
        /// The allowed texts.
        values: Vec<EnumValue>,
    },
}

/// The named types of a package, by Rust name, each with the module it is published in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Types {
    named: BTreeMap<String, (String, NamedType)>,
}

impl Types {
    /// Looks up a named type.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&NamedType> {
        self.named.get(name).map(|(_, t)| t)
    }

    /// The object type of that name.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&ObjectSpec> {
        match self.get(name) {
            Some(NamedType::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// Reads a Rust type that describes an object; the types it uses are added under `module`.
    pub fn read<T: JsonSchema>(&mut self, module: &str) -> Result<ObjectSpec, SchemaError> {
        let generator = SchemaSettings::draft2020_12()
            .with(|s| s.meta_schema = None)
            .into_generator();
        let root = generator.into_root_schema_for::<T>().to_value();
        let name = T::schema_name().into_owned();
        let Value::Object(root) = root else {
            return fail(&name, "is not an object");
        };
        if let Some(Value::Object(definitions)) = root.get("$defs") {
            for (name, definition) in definitions {
                let Value::Object(definition) = definition else {
                    continue;
                };
                if name == ASSET || name == PROVIDER {
                    continue;
                }
                let named = Self::named_type(name, definition)?;
                if let Some((_, known)) = self.named.get(name) {
                    if *known != named {
                        return fail(name, "two different Rust types have this name");
                    }
                } else {
                    let module = text(definition, "module").unwrap_or_else(|| module.to_owned());
                    self.named.insert(name.clone(), (module, named));
                }
            }
        }
        object(&name, &root)
    }

    /// Refuses patterns of named types that no text can be held against.
    pub(crate) fn refuse_patterns(&self) -> Result<(), SchemaError> {
        self.named.iter().try_for_each(|(name, (_, ty))| match ty {
            NamedType::Object(object) => object.refuse_patterns(name),
            NamedType::Enum { .. } => Ok(()),
        })
    }

    /// Refuses types that contain themselves: check and SDKs would never come to their end.
    pub(crate) fn refuse_cycles(&self) -> Result<(), SchemaError> {
        let mut done = BTreeSet::new();
        self.named
            .keys()
            .try_for_each(|name| self.descend(name, &mut Vec::new(), &mut done))
    }

    fn descend<'a>(
        &'a self,
        name: &'a str,
        above: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Result<(), SchemaError> {
        if above.contains(&name) {
            return fail(name, "contains itself, which no SDK can express");
        }
        if !done.insert(name) {
            return Ok(());
        }
        above.push(name);
        if let Some(object) = self.object(name) {
            for (_, property) in &object.properties {
                let mut ty = &property.ty;
                while let TypeSpec::Array(element) | TypeSpec::Map(element) = ty {
                    ty = &element.ty;
                }
                if let TypeSpec::Object(below) = ty {
                    self.descend(below, above, done)?;
                }
            }
        }
        above.pop();
        Ok(())
    }

    fn named_type(name: &str, definition: &Json) -> Result<NamedType, SchemaError> {
        if let Some(values) = enum_values(definition) {
            return Ok(NamedType::Enum {
                description: description(definition),
                values,
            });
        }
        object(name, definition).map(NamedType::Object)
    }

    /// Whether a value of the type may hold something secret, at any depth.
    #[must_use]
    pub fn contains_secret(&self, ty: &TypeSpec) -> bool {
        match ty {
            TypeSpec::Array(element) | TypeSpec::Map(element) => {
                element.secret || self.contains_secret(&element.ty)
            }
            TypeSpec::Object(name) => self.object(name).is_some_and(|object| {
                object
                    .properties
                    .iter()
                    .any(|(_, p)| p.secret || self.contains_secret(&p.ty))
            }),
            _ => false,
        }
    }
}

impl ObjectSpec {
    /// The property of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PropertySpec> {
        self.properties
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, p)| p)
    }

    /// The names of the properties that must be there.
    #[must_use]
    pub fn required(&self) -> Vec<String> {
        self.properties
            .iter()
            .filter(|(_, p)| p.required)
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// Inputs and outputs of a resource as one object: outputs win, so that they may refine an input's description.
    #[must_use]
    pub fn joined(&self, outputs: &Self) -> Self {
        let mut properties: Vec<_> = self
            .properties
            .iter()
            .filter(|(n, _)| outputs.get(n).is_none())
            .cloned()
            .collect();
        properties.extend(outputs.properties.iter().cloned());
        Self {
            description: self.description.clone(),
            properties,
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
