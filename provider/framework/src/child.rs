//! The children of a component: what they are to be, and what became of them.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::component::Component;
use crate::resource::Resource;
use crate::value::{OutputValue, PropertyMap, PropertyValue, ReferenceId, ResourceReference};

/// A child to be registered.
#[derive(Debug, Clone)]
pub struct Child {
    pub(crate) type_token: String,
    pub(crate) name: String,
    pub(crate) inputs: PropertyMap,
    pub(crate) custom: bool,
    pub(crate) dependencies: BTreeSet<String>,
    pub(crate) options: ChildOptions,
}

/// A child of that type with nothing said about it.
pub(crate) fn bare(type_token: &str, name: String, custom: bool) -> Child {
    Child {
        type_token: type_token.to_owned(),
        name,
        inputs: PropertyMap::new(),
        custom,
        dependencies: BTreeSet::new(),
        options: ChildOptions::default(),
    }
}

/// Options of a child. Whatever the component itself was given (protect, providers, aliases …) is inherited.
#[derive(Debug, Clone, Default)]
pub struct ChildOptions {
    /// Refuse to delete it; `None` inherits.
    pub protect: Option<bool>,
    /// Forget it instead of deleting it; `None` inherits.
    pub retain_on_delete: Option<bool>,
    /// The URN of a resource whose deletion takes this one along, so that it is not deleted by itself.
    pub deleted_with: Option<String>,
    /// Property paths whose changes are ignored.
    pub ignore_changes: Vec<String>,
    /// Tokens or names it had before.
    pub aliases: Vec<pulumi_proto::pulumirpc::Alias>,
    /// The parent's URN where it is not the component itself.
    pub parent: Option<String>,
    /// The provider to use where it is not the component's own: a registered [`crate::Construction::new_provider`], or one the
    /// program gave as an input of type [`crate::ProviderReference`].
    pub provider: Option<ResourceReference>,
}

impl Child {
    /// A custom resource of this provider. Name it `<component>-<part>`: aliases of a renamed component then reach it.
    #[must_use]
    pub fn of<R: Resource>(name: impl Into<String>) -> Self {
        bare(R::TOKEN, name.into(), true)
    }

    /// A component of this provider inside another one. The engine constructs it as if a program had asked for it.
    #[must_use]
    pub fn component<C: Component>(name: impl Into<String>) -> Self {
        bare(C::TOKEN, name.into(), false)
    }

    /// Sets an input; `None` and null leave it out.
    #[must_use]
    pub fn input(mut self, name: &str, value: impl Into<PropertyValue>) -> Self {
        let value = value.into();
        if value != PropertyValue::Null {
            self.inputs.insert(name.to_owned(), value);
        }
        self
    }

    /// Sets an input from a typed value. A value that cannot be expressed is reported by the child's own check.
    #[must_use]
    pub fn typed(self, name: &str, value: &impl Serialize) -> Self {
        let value = crate::ser::to_value(value).unwrap_or_default();
        self.input(name, value)
    }

    /// Makes it wait for another resource beyond those its inputs come from.
    #[must_use]
    pub fn after(mut self, other: &Registered) -> Self {
        self.dependencies.insert(other.urn.clone());
        self
    }

    /// Sets options.
    #[must_use]
    pub fn options(mut self, options: ChildOptions) -> Self {
        self.options = options;
        self
    }
}

/// A registered child.
#[derive(Debug, Clone)]
pub struct Registered {
    pub(crate) urn: String,
    pub(crate) id: Option<String>,
    pub(crate) outputs: PropertyMap,
    pub(crate) preview: bool,
}

impl Registered {
    /// The child's URN.
    #[must_use]
    pub fn urn(&self) -> &str {
        &self.urn
    }

    /// A reference to the child.
    #[must_use]
    pub fn reference(&self) -> ResourceReference {
        ResourceReference {
            urn: self.urn.clone(),
            id: Some(
                self.id
                    .clone()
                    .map_or(ReferenceId::Unknown, ReferenceId::Known),
            ),
            ..ResourceReference::default()
        }
    }

    /// The child's id with its dependency; unknown while it is not created.
    #[must_use]
    pub fn id(&self) -> PropertyValue {
        self.wrap(self.id.clone().map(PropertyValue::String), false)
    }

    /// An output of the child with its dependency. In a preview, what the child does not say is unknown.
    #[must_use]
    pub fn output(&self, name: &str) -> PropertyValue {
        match self.outputs.get(name) {
            None if self.preview => self.wrap(None, false),
            None => self.wrap(Some(PropertyValue::Null), false),
            Some(value) => {
                let secret = value.has_secret();
                let bare = (!value.has_unknown())
                    .then(|| value.bare().cloned())
                    .flatten();
                self.wrap(bare, secret)
            }
        }
    }

    /// An output's value, when it is known and of that type.
    #[must_use]
    pub fn known<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        crate::de::from_value(self.outputs.get(name)?).ok()
    }

    /// All outputs, as [`output`](Self::output) gives them.
    #[must_use]
    pub fn all(&self) -> PropertyMap {
        let names = self.outputs.keys();
        names
            .map(|name| (name.clone(), self.output(name)))
            .collect()
    }

    /// The entries of an output that is a map, each with its dependency and its own secret mark; `None` while the map is not known,
    /// or when it is none. Single entries may be unknown.
    #[must_use]
    pub fn entries(&self, name: &str) -> Option<PropertyMap> {
        let output = self.outputs.get(name)?;
        let all = output.is_secret();
        let entries = output.as_map()?.iter().map(|(key, value)| {
            let known = (!value.has_unknown())
                .then(|| value.bare().cloned())
                .flatten();
            let value = self.wrap(known, all || value.has_secret());
            (key.clone(), value)
        });
        Some(entries.collect())
    }

    fn wrap(&self, value: Option<PropertyValue>, secret: bool) -> PropertyValue {
        let dependencies = vec![self.urn.clone()];
        PropertyValue::Output(Box::new(OutputValue {
            value,
            secret,
            dependencies,
        }))
    }
}
