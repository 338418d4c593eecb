//! From the model to a package schema.

use serde_json::{Value, json};

use super::{Element, Json, NamedType, ObjectSpec, PropertySpec, TypeSpec, Types};

impl Types {
    /// The `types` section of a package schema.
    pub(crate) fn publish(&self, package: &str) -> impl Iterator<Item = (String, Value)> {
        self.named.iter().map(move |(name, (module, ty))| {
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
