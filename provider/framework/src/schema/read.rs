//! From what schemars derives to the model.

use std::sync::LazyLock;

use serde_json::Value;

use super::{
    ASSET, Element, EnumValue, Json, Limits, NamedType, ObjectSpec, PROVIDER, PropertySpec,
    SchemaError, TypeSpec, Types,
};

/// What is found where there is nothing.
static NOTHING: LazyLock<Json> = LazyLock::new(Json::new);

pub(super) fn fail<T>(at: &str, problem: impl Into<String>) -> Result<T, SchemaError> {
    Err(SchemaError {
        at: at.to_owned(),
        problem: problem.into(),
    })
}

pub(super) fn text(schema: &Json, key: &str) -> Option<String> {
    schema.get(key).and_then(Value::as_str).map(str::to_owned)
}

pub(super) fn description(schema: &Json) -> String {
    text(schema, "description").unwrap_or_default()
}

pub(super) fn enum_values(schema: &Json) -> Option<Vec<EnumValue>> {
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

pub(super) fn object(name: &str, schema: &Json) -> Result<ObjectSpec, SchemaError> {
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

pub(super) fn property(
    at: &str,
    value: &Value,
    required: bool,
) -> Result<PropertySpec, SchemaError> {
    let schema = value.as_object().unwrap_or(&NOTHING);
    let (schema_type, inner, optional) = type_of(at, value)?;
    let limits = limits(schema).or(limits(inner));
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

pub(super) fn limits(schema: &Json) -> Limits {
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
    pub(super) fn or(self, other: Self) -> Self {
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
pub(super) fn type_of<'a>(
    at: &str,
    value: &'a Value,
) -> Result<(TypeSpec, &'a Json, bool), SchemaError> {
    let schema = match value {
        Value::Bool(true) => return Ok((TypeSpec::Any, &NOTHING, false)),
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
        return Ok((ty, schema, false));
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
        _ => return Ok((TypeSpec::Any, schema, false)),
    };
    let element = |key: &str| -> Result<Box<Element>, SchemaError> {
        let item = schema.get(key).unwrap_or(&Value::Bool(true));
        let (ty, inner, _) = type_of(&format!("{at}[]"), item)?;
        let own = item.as_object().unwrap_or(&NOTHING);
        let secret = inner.get("secret").or_else(|| own.get("secret")) == Some(&Value::Bool(true));
        let limits = limits(own).or(limits(inner));
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
    Ok((ty, schema, optional))
}

impl ObjectSpec {
    /// Refuses patterns that no text can be held against. Compiling them all takes longer than the rest of a start, so that it is done
    /// where the schema is made.
    pub(crate) fn refuse_patterns(&self, at: &str) -> Result<(), SchemaError> {
        for (name, property) in &self.properties {
            let mut limits = &property.limits;
            let mut ty = &property.ty;
            loop {
                if let Some(Err(error)) = limits.pattern.as_deref().map(regex::Regex::new) {
                    let at = format!("{at}.{name}");
                    return fail(&at, format!("has a pattern that cannot be used: {error}"));
                }
                let (TypeSpec::Array(element) | TypeSpec::Map(element)) = ty else {
                    break;
                };
                (limits, ty) = (&element.limits, &element.ty);
            }
        }
        Ok(())
    }
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
