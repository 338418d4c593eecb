//! Property values: everything a Pulumi program can say, as one Rust enum.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// What the type tokens of providers begin with.
pub(crate) const PROVIDERS: &str = "pulumi:providers:";

/// The properties of a resource, function or provider, by name.
///
/// Names are ordered, so that what is sent, logged and compared never depends on chance.
pub type PropertyMap = BTreeMap<String, PropertyValue>;

/// A property value as it travels between engine and provider.
///
/// The conversion to and from the wire ([`crate::wire`]) loses nothing: what arrives can be sent back unchanged.
#[derive(Clone, PartialEq, Default)]
pub enum PropertyValue {
    /// No value. Inside a map the engine treats it like an absent property; in a list it is an element.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A number. The wire has IEEE doubles only: integers above 2^53 lose digits, so they belong in strings.
    Number(f64),
    /// A text.
    String(String),
    /// A text that is not UTF-8. Only between parties that both announced byte strings.
    Bytes(Vec<u8>),
    /// A file or text.
    Asset(Asset),
    /// A collection of files.
    Archive(Archive),
    /// A list.
    List(Vec<PropertyValue>),
    /// A map or object.
    Map(PropertyMap),
    /// A value that must never be shown. Equality looks through it.
    Secret(Box<PropertyValue>),
    /// A value that is not known before the update runs.
    Unknown(Unknown),
    /// A value with its dependencies, as components and methods receive them.
    Output(Box<OutputValue>),
    /// A reference to another resource.
    Resource(Box<ResourceReference>),
}

/// The type that the sender of an unknown gave it. It need not be the type that the property has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the variants are the type names")]
pub enum Unknown {
    Bool,
    Number,
    #[default]
    String,
    List,
    Asset,
    Archive,
    Map,
}

/// A value together with what it depends on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OutputValue {
    /// The value; `None` while it is unknown.
    pub value: Option<PropertyValue>,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// URNs of the resources that the value was computed from.
    pub dependencies: Vec<String>,
}

/// A reference to a resource that the engine knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ResourceReference {
    /// The resource's URN.
    pub urn: String,
    /// The id of a custom resource: `None` for a component, empty or unknown while it is not created.
    pub id: Option<ReferenceId>,
    /// The resource's name, from engines that send it.
    pub name: Option<String>,
    /// The resource's type token, from engines that send it.
    pub type_token: Option<String>,
    /// The version of the package that the resource comes from; may be empty.
    pub package_version: Option<String>,
}

impl ResourceReference {
    /// Whether the resource is a provider.
    pub(crate) fn is_provider(&self) -> bool {
        let ty = self.urn.split("::").nth(2).unwrap_or_default();
        ty.rsplit('$')
            .next()
            .is_some_and(|ty| ty.starts_with(PROVIDERS))
    }

    /// The reference to a provider as registrations carry it: `URN::id`.
    pub(crate) fn provider(&self) -> String {
        let id = match &self.id {
            Some(ReferenceId::Known(id)) if !id.is_empty() => id,
            _ => crate::wire::sentinel(Unknown::String),
        };
        format!("{}::{id}", self.urn)
    }
}

/// The URN of a provider resource of the package. In an `Args` struct it makes the property a provider in the schema; a component
/// hands it on with [`crate::Construction::reference`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProviderReference(pub String);

impl JsonSchema for ProviderReference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        crate::schema::PROVIDER.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// The id in a resource reference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReferenceId {
    /// The id; an empty one is not known yet.
    Known(String),
    /// Not known before the update runs.
    Unknown,
}

/// A file or text. At most one content is set; the engine leaves it out where only the hash matters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Asset {
    /// SHA-256 of the content, in hex.
    #[serde(default)]
    pub hash: String,
    /// The content itself.
    pub text: Option<String>,
    /// A file, relative to the program's directory.
    pub path: Option<String>,
    /// An address to fetch the content from.
    pub uri: Option<String>,
}

/// The name by which [`crate::ser`] recognises an asset; no type of a user can have it.
pub(crate) const ASSET_MARKER: &str = "$pulumi-provider::Asset";

impl Serialize for Asset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            hash: &'a str,
            text: Option<&'a str>,
            path: Option<&'a str>,
            uri: Option<&'a str>,
        }
        let fields = Fields {
            hash: &self.hash,
            text: self.text.as_deref(),
            path: self.path.as_deref(),
            uri: self.uri.as_deref(),
        };
        serializer.serialize_newtype_struct(ASSET_MARKER, &fields)
    }
}

/// In an `Args` struct it makes the property an asset in the schema.
impl JsonSchema for Asset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        crate::schema::ASSET.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// A collection of files. At most one content is set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Archive {
    /// SHA-256 of the content, in hex.
    pub hash: String,
    /// Assets and archives by name.
    pub assets: Option<PropertyMap>,
    /// A directory or archive file, relative to the program's directory.
    pub path: Option<String>,
    /// An address to fetch the content from.
    pub uri: Option<String>,
}

impl PropertyValue {
    /// An unknown of unstated type, which every receiver accepts.
    pub const UNKNOWN: Self = Self::Unknown(Unknown::String);

    /// Marks a value as secret; marking twice changes nothing.
    #[must_use]
    pub fn into_secret(self) -> Self {
        match self {
            Self::Secret(_) => self,
            other => Self::Secret(Box::new(other)),
        }
    }

    /// The value below every secret mark and output wrapper on top of it. An unknown output gives `None`.
    #[must_use]
    pub fn bare(&self) -> Option<&Self> {
        let mut value = self;
        loop {
            match value {
                Self::Secret(inner) => value = inner,
                Self::Output(output) => value = output.value.as_ref()?,
                Self::Unknown(_) => return None,
                other => return Some(other),
            }
        }
    }

    /// Whether nothing is given: null, or a secret or output of null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.bare(), Some(Self::Null))
    }

    /// Whether the value itself (not merely something inside it) is unknown.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.bare().is_none()
    }

    /// Whether the value or anything inside it is unknown.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.any(&|v| match v {
            Self::Unknown(_) => true,
            Self::Output(o) => o.value.is_none(),
            _ => false,
        })
    }

    /// Whether the value or anything inside it is secret.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.any(&|v| match v {
            Self::Secret(_) => true,
            Self::Output(o) => o.secret,
            _ => false,
        })
    }

    pub(crate) fn any(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        if test(self) {
            return true;
        }
        match self {
            Self::List(items) => items.iter().any(|v| v.any(test)),
            Self::Map(map) => map.values().any(|v| v.any(test)),
            Self::Archive(archive) => archive
                .assets
                .as_ref()
                .is_some_and(|a| a.values().any(|v| v.any(test))),
            Self::Secret(inner) => inner.any(test),
            Self::Output(output) => output.value.as_ref().is_some_and(|v| v.any(test)),
            _ => false,
        }
    }

    /// Whether the value as a whole is secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::Output(output) => output.secret,
            _ => false,
        }
    }

    /// The text, looking through secret marks.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self.bare() {
            Some(Self::String(s)) => Some(s),
            _ => None,
        }
    }

    /// The map, looking through secret marks.
    #[must_use]
    pub fn as_map(&self) -> Option<&PropertyMap> {
        match self.bare() {
            Some(Self::Map(m)) => Some(m),
            _ => None,
        }
    }

    /// The list, looking through secret marks.
    #[must_use]
    pub fn as_list(&self) -> Option<&[PropertyValue]> {
        match self.bare() {
            Some(Self::List(l)) => Some(l),
            _ => None,
        }
    }

    /// Calls `found` with every text that stands below a secret mark.
    pub fn secret_texts<'a>(&'a self, found: &mut dyn FnMut(&'a str)) {
        self.walk_texts(false, found);
    }

    fn walk_texts<'a>(&'a self, secret: bool, found: &mut dyn FnMut(&'a str)) {
        match self {
            Self::String(text) if secret => found(text),
            Self::List(items) => items.iter().for_each(|v| v.walk_texts(secret, found)),
            Self::Map(map) => map.values().for_each(|v| v.walk_texts(secret, found)),
            Self::Secret(inner) => inner.walk_texts(true, found),
            Self::Output(output) => {
                if let Some(value) = &output.value {
                    value.walk_texts(secret || output.secret, found);
                }
            }
            _ => {}
        }
    }

    /// The kind of value, in the words of the schema.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Bytes(_) => "byte string",
            Self::Asset(_) => "asset",
            Self::Archive(_) => "archive",
            Self::List(_) => "list",
            Self::Map(_) => "object",
            Self::Secret(inner) => inner.kind(),
            Self::Unknown(_) => "unknown",
            Self::Output(output) => output.value.as_ref().map_or("unknown", Self::kind),
            Self::Resource(_) => "resource",
        }
    }

    /// Whether two values mean the same: secret marks and dependencies do not count, an absent property equals a
    /// null one, assets and archives are the same when their hashes are. An unknown equals nothing.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (self.bare(), other.bare()) else {
            return false;
        };
        match (a, b) {
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Self::Map(a), Self::Map(b)) => a.keys().chain(b.keys()).all(|key| {
                let null = Self::Null;
                a.get(key)
                    .unwrap_or(&null)
                    .same(b.get(key).unwrap_or(&null))
            }),
            (Self::Asset(a), Self::Asset(b)) if !a.hash.is_empty() && !b.hash.is_empty() => {
                a.hash == b.hash
            }
            (Self::Archive(a), Self::Archive(b)) if !a.hash.is_empty() && !b.hash.is_empty() => {
                a.hash == b.hash
            }
            (Self::Resource(a), Self::Resource(b)) => a.urn == b.urn,
            (a, b) => a == b,
        }
    }
}

/// Shows structure, never the content of a secret.
impl fmt::Debug for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(v) => v.fmt(f),
            Self::Number(v) => v.fmt(f),
            Self::String(v) => v.fmt(f),
            Self::Bytes(v) => write!(f, "{} bytes", v.len()),
            Self::Asset(v) => v.fmt(f),
            Self::Archive(v) => v.fmt(f),
            Self::List(v) => v.fmt(f),
            Self::Map(v) => v.fmt(f),
            Self::Secret(_) => f.write_str("[secret]"),
            Self::Unknown(_) => f.write_str("[unknown]"),
            Self::Output(v) if v.secret => f.write_str("[secret]"),
            Self::Output(v) => v.fmt(f),
            Self::Resource(v) => v.fmt(f),
        }
    }
}

macro_rules! from {
    ($($t:ty => $f:expr),* $(,)?) => {$(
        impl From<$t> for PropertyValue {
            fn from(value: $t) -> Self { $f(value) }
        }
    )*};
}
from! {
    bool => PropertyValue::Bool,
    f64 => PropertyValue::Number,
    i32 => |v: i32| PropertyValue::Number(f64::from(v)),
    u32 => |v: u32| PropertyValue::Number(f64::from(v)),
    String => PropertyValue::String,
    &str => |v: &str| PropertyValue::String(v.to_owned()),
    Vec<PropertyValue> => PropertyValue::List,
    PropertyMap => PropertyValue::Map,
    Asset => PropertyValue::Asset,
    Archive => PropertyValue::Archive,
}

impl<T: Into<PropertyValue>> From<Option<T>> for PropertyValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<serde_json::Value> for PropertyValue {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(v) => Self::Bool(v),
            serde_json::Value::Number(v) => Self::Number(v.as_f64().unwrap_or_default()),
            serde_json::Value::String(v) => Self::String(v),
            serde_json::Value::Array(v) => Self::List(v.into_iter().map(Into::into).collect()),
            serde_json::Value::Object(v) => {
                Self::Map(v.into_iter().map(|(k, v)| (k, v.into())).collect())
            }
        }
    }
}
