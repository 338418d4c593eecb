//! Types of properties, derived from Rust types through schemars.
//!
//! One model serves everything that needs to know a property's type: the published schema, check and diff.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

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

    /// The `types` section of a package schema.
    pub(crate) fn publish(&self, package: &str) -> Json {
        self.named
            .iter()
            .map(|(name, (module, ty))| {
                let body = match ty {
                    NamedType::Object(object) => {
                        let mut body = self.publish_object(package, object, false);
                        body.insert("type".into(), "object".into());
                        body
                    }
                    NamedType::Enum {
                        description,
                        values,
                    } => {
                        let values: Vec<Value> = values
                            .iter()
                            .map(|v| {
                                let mut entry = Json::new();
                                entry.insert("name".into(), pascal(&v.value).into());
                                put_text(&mut entry, "description", &v.description);
                                entry.insert("value".into(), v.value.clone().into());
                                Value::Object(entry)
                            })
                            .collect();
                        let mut body = Json::new();
                        put_text(&mut body, "description", description);
                        body.insert("type".into(), "string".into());
                        body.insert("enum".into(), values.into());
                        body
                    }
                };
                (format!("{package}:{module}:{name}"), Value::Object(body))
            })
            .collect()
    }

    /// `description`, `properties` and `required` of an object.
    pub(crate) fn publish_object(&self, package: &str, object: &ObjectSpec, inputs: bool) -> Json {
        let mut body = Json::new();
        put_text(&mut body, "description", &object.description);
        body.insert(
            "properties".into(),
            self.publish_properties(package, object, inputs).into(),
        );
        let required = object.required();
        if !required.is_empty() {
            body.insert("required".into(), required.into());
        }
        body
    }

    pub(crate) fn publish_properties(
        &self,
        package: &str,
        object: &ObjectSpec,
        inputs: bool,
    ) -> Json {
        object
            .properties
            .iter()
            .map(|(name, property)| {
                (
                    name.clone(),
                    self.publish_property(package, property, inputs).into(),
                )
            })
            .collect()
    }

    fn publish_property(&self, package: &str, property: &PropertySpec, inputs: bool) -> Json {
        let mut body = self.publish_type(package, &property.ty);
        put_text(&mut body, "description", &property.description);
        if property.secret {
            body.insert("secret".into(), true.into());
        }
        if property.replace {
            let key = if inputs {
                "willReplaceOnChanges"
            } else {
                "replaceOnChanges"
            };
            body.insert(key.into(), true.into());
        }
        if let Some(instead) = &property.deprecated {
            body.insert("deprecationMessage".into(), instead.clone().into());
        }
        if inputs {
            if let Some(default @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) =
                &property.default
            {
                body.insert("default".into(), default.clone());
            }
            if !property.env.is_empty() {
                body.insert("defaultInfo".into(), json!({ "environment": property.env }));
            }
        }
        body
    }

    fn publish_type(&self, package: &str, ty: &TypeSpec) -> Json {
        let simple = |name: &str| Json::from_iter([("type".to_owned(), name.into())]);
        let reference = |to: String| Json::from_iter([("$ref".to_owned(), to.into())]);
        match ty {
            TypeSpec::Boolean => simple("boolean"),
            TypeSpec::Integer => simple("integer"),
            TypeSpec::Number => simple("number"),
            TypeSpec::String => simple("string"),
            TypeSpec::Any => reference("pulumi.json#/Any".into()),
            TypeSpec::Asset => reference("pulumi.json#/Asset".into()),
            TypeSpec::Provider => reference("#/provider".into()),
            TypeSpec::Array(element) => {
                let mut body = simple("array");
                body.insert(
                    "items".into(),
                    self.publish_element(package, element).into(),
                );
                body
            }
            TypeSpec::Map(element) => {
                let mut body = simple("object");
                body.insert(
                    "additionalProperties".into(),
                    self.publish_element(package, element).into(),
                );
                body
            }
            TypeSpec::Object(name) | TypeSpec::Enum(name) => {
                let module = self.named.get(name).map_or("index", |(module, _)| module);
                reference(format!("#/types/{package}:{module}:{name}"))
            }
        }
    }

    fn publish_element(&self, package: &str, element: &Element) -> Json {
        // A secret mark is a matter of the whole property in a schema; `contains_secret` lifts it there.
        self.publish_type(package, &element.ty)
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

fn fail<T>(at: &str, problem: impl Into<String>) -> Result<T, SchemaError> {
    Err(SchemaError {
        at: at.to_owned(),
        problem: problem.into(),
    })
}

fn text(schema: &Json, key: &str) -> Option<String> {
    schema.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn description(schema: &Json) -> String {
    text(schema, "description").unwrap_or_default()
}

fn put_text(body: &mut Json, key: &str, value: &str) {
    if !value.is_empty() {
        body.insert(key.into(), value.into());
    }
}

/// `us-east-1` → `UsEast1`: enum members need a name in every language.
fn pascal(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| {
            let mut chars = word.chars();
            chars
                .next()
                .map(|c| c.to_ascii_uppercase())
                .into_iter()
                .chain(chars)
                .collect::<String>()
        })
        .collect()
}

fn enum_values(schema: &Json) -> Option<Vec<EnumValue>> {
    let plain = |v: &Value| v.as_str().map(str::to_owned);
    let mut values = Vec::new();
    if let Some(Value::Array(list)) = schema.get("enum") {
        for v in list {
            values.push(EnumValue {
                value: plain(v)?,
                description: String::new(),
            });
        }
    }
    if let Some(Value::Array(list)) = schema.get("oneOf") {
        for entry in list {
            let entry = entry.as_object()?;
            if let Some(value) = entry.get("const") {
                values.push(EnumValue {
                    value: plain(value)?,
                    description: description(entry),
                });
            } else {
                values.extend(enum_values(entry)?);
            }
        }
    }
    if let Some(value) = schema.get("const") {
        values.push(EnumValue {
            value: plain(value)?,
            description: description(schema),
        });
    }
    (!values.is_empty()).then_some(values)
}

fn object(name: &str, schema: &Json) -> Result<ObjectSpec, SchemaError> {
    let required: Vec<&str> = match schema.get("required") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut properties = Vec::new();
    match schema.get("properties") {
        Some(Value::Object(map)) => {
            for (key, value) in map {
                let at = format!("{name}.{key}");
                properties.push((
                    key.clone(),
                    property(&at, value, required.contains(&key.as_str()))?,
                ));
            }
        }
        None if schema.get("type").and_then(Value::as_str) == Some("object") => {}
        // The unit type: no inputs or no outputs.
        None if schema.get("type").and_then(Value::as_str) == Some("null") => {}
        _ => return fail(name, "is not an object with properties"),
    }
    Ok(ObjectSpec {
        description: description(schema),
        properties,
    })
}

fn property(at: &str, value: &Value, required: bool) -> Result<PropertySpec, SchemaError> {
    let nothing = Json::new();
    let schema = value.as_object().unwrap_or(&nothing);
    let (schema_type, inner, optional) = type_of(at, value)?;
    let limits = limits(schema).or(limits(&inner));
    check_pattern(at, &limits)?;
    let flag = |key: &str| schema.get(key).or_else(|| inner.get(key)) == Some(&Value::Bool(true));
    // An empty list or map as default says no more than that the property may be absent.
    let empty = |v: &Value| match v {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let default = schema.get("default").filter(|v| !empty(v)).cloned();
    Ok(PropertySpec {
        ty: schema_type,
        description: description(schema),
        required: required && !optional && default.is_none() && !flag("autoname"),
        secret: flag("secret"),
        replace: flag("replace"),
        stable: flag("stable"),
        set: flag("set") || flag("uniqueItems"),
        json: flag("json"),
        autoname: flag("autoname"),
        default,
        env: match schema.get("env") {
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Some(Value::String(name)) => vec![name.clone()],
            _ => Vec::new(),
        },
        deprecated: text(schema, "deprecated"),
        limits,
    })
}

fn check_pattern(at: &str, limits: &Limits) -> Result<(), SchemaError> {
    match limits.pattern.as_deref().map(regex::Regex::new) {
        Some(Err(error)) => fail(at, format!("has a pattern that cannot be used: {error}")),
        _ => Ok(()),
    }
}

fn limits(schema: &Json) -> Limits {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let count = |key: &str| schema.get(key).and_then(Value::as_u64);
    // What does not fit the Rust type must be found by the check, where the user learns which property it is.
    let (lowest, highest) = match schema.get("format").and_then(Value::as_str) {
        Some("int8") => (Some(f64::from(i8::MIN)), Some(f64::from(i8::MAX))),
        Some("int16") => (Some(f64::from(i16::MIN)), Some(f64::from(i16::MAX))),
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        Some("uint8") => (Some(0.0), Some(f64::from(u8::MAX))),
        Some("uint16") => (Some(0.0), Some(f64::from(u16::MAX))),
        Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
        Some("uint" | "uint64") => (Some(0.0), None),
        _ => (None, None),
    };
    Limits {
        minimum: number("minimum").or(lowest),
        maximum: number("maximum").or(highest),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        pattern: text(schema, "pattern"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
    }
}

impl Limits {
    fn or(self, other: Self) -> Self {
        Self {
            minimum: self.minimum.or(other.minimum),
            maximum: self.maximum.or(other.maximum),
            min_length: self.min_length.or(other.min_length),
            max_length: self.max_length.or(other.max_length),
            pattern: self.pattern.or(other.pattern),
            min_items: self.min_items.or(other.min_items),
            max_items: self.max_items.or(other.max_items),
        }
    }
}

/// The type, the schema it was found in below `Option`, and whether it is optional.
fn type_of(at: &str, value: &Value) -> Result<(TypeSpec, Json, bool), SchemaError> {
    let schema = match value {
        Value::Bool(true) => return Ok((TypeSpec::Any, Json::new(), false)),
        Value::Object(schema) => schema,
        _ => return fail(at, "has no type"),
    };
    if let Some(Value::Array(choices)) = schema.get("anyOf") {
        let (null, rest): (Vec<_>, Vec<_>) = choices
            .iter()
            .partition(|c| c.get("type").and_then(Value::as_str) == Some("null"));
        if let ([choice], [_]) = (rest.as_slice(), null.as_slice()) {
            let (ty, inner, _) = type_of(at, choice)?;
            return Ok((ty, inner, true));
        }
        return fail(
            at,
            "is one of several types, which no SDK can express; use an enum of texts or a struct",
        );
    }
    if let Some(Value::String(reference)) = schema.get("$ref") {
        let Some(name) = reference.strip_prefix("#/$defs/") else {
            return fail(at, format!("refers to {reference}"));
        };
        let ty = match name {
            ASSET => TypeSpec::Asset,
            PROVIDER => TypeSpec::Provider,
            _ => TypeSpec::Object(name.to_owned()),
        };
        // What stands beside the reference, such as a secret mark, counts as well.
        return Ok((ty, schema.clone(), false));
    }
    let mut optional = false;
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => {
            optional = true;
            match kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|k| *k != "null")
                .collect::<Vec<_>>()[..]
            {
                [kind] => kind,
                _ => return fail(at, "has several types"),
            }
        }
        _ => return Ok((TypeSpec::Any, schema.clone(), false)),
    };
    let element = |key: &str| -> Result<Box<Element>, SchemaError> {
        let item = schema.get(key).unwrap_or(&Value::Bool(true));
        let (ty, inner, _) = type_of(&format!("{at}[]"), item)?;
        let own = item.as_object().cloned().unwrap_or_default();
        let secret = inner.get("secret").or_else(|| own.get("secret")) == Some(&Value::Bool(true));
        let limits = limits(&own).or(limits(&inner));
        check_pattern(at, &limits)?;
        Ok(Box::new(Element { ty, secret, limits }))
    };
    let ty = match kind {
        "boolean" => TypeSpec::Boolean,
        "integer" => TypeSpec::Integer,
        "number" => TypeSpec::Number,
        "string" => TypeSpec::String,
        "array" => TypeSpec::Array(element("items")?),
        "object" if schema.contains_key("properties") => {
            return fail(at, "is an inline object; give the struct a name of its own");
        }
        "object" => TypeSpec::Map(element("additionalProperties")?),
        other => return fail(at, format!("has type {other}")),
    };
    Ok((ty, schema.clone(), optional))
}

/// References do not say whether they name an object or an enum: told apart once all types are known.
impl Types {
    pub(crate) fn settle(&self, object: &mut ObjectSpec) {
        for (_, property) in &mut object.properties {
            self.settle_type(&mut property.ty);
            property.secret = property.secret || self.contains_secret(&property.ty);
        }
    }

    fn settle_type(&self, ty: &mut TypeSpec) {
        match ty {
            TypeSpec::Object(name) => {
                if let Some(NamedType::Enum { .. }) = self.get(name) {
                    *ty = TypeSpec::Enum(std::mem::take(name));
                }
            }
            TypeSpec::Array(element) | TypeSpec::Map(element) => self.settle_type(&mut element.ty),
            _ => {}
        }
    }

    pub(crate) fn settle_all(&mut self) {
        let known = self.clone();
        for (_, ty) in self.named.values_mut() {
            if let NamedType::Object(object) = ty {
                known.settle(object);
            }
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
