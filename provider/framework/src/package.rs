//! A package: everything a provider offers, and the schema that is derived from it.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::calllog::SecretNames;
use crate::component::{AnyComponent, Component, TypedComponent};
use crate::erased::{AnyFunction, AnyResource, Typed, TypedFunction};
use crate::method::{AnyMethod, Method, TypedMethod};
use crate::resource::{Function, Provider, Resource};
use crate::schema::{ObjectSpec, SchemaError, Types};

/// A provider in the making: metadata, then one line for each resource, component and function.
pub struct Package<P: Provider> {
    pub(crate) name: String,
    pub(crate) version: String,
    metadata: Map<String, Value>,
    language: Map<String, Value>,
    pub(crate) types: Types,
    pub(crate) config: ObjectSpec,
    pub(crate) resources: BTreeMap<String, Arc<dyn AnyResource<P>>>,
    pub(crate) functions: BTreeMap<String, Arc<dyn AnyFunction<P>>>,
    pub(crate) methods: BTreeMap<String, Arc<dyn AnyMethod<P>>>,
    pub(crate) components: BTreeMap<String, Arc<dyn AnyComponent<P>>>,
    errors: Vec<SchemaError>,
    /// Read when the package is settled: the engine waits for the process's port, not for its types.
    parts: Vec<fn(&mut Self)>,
}

/// The module part of a token: `aws` of `ptd:aws:StateBucket`.
fn module(token: &str) -> &str {
    token.split(':').nth(1).unwrap_or("index")
}

impl<P: Provider> Package<P> {
    /// A package of that name and (strict semantic) version.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            metadata: Map::new(),
            language: Map::new(),
            types: Types::default(),
            config: ObjectSpec::default(),
            resources: BTreeMap::new(),
            functions: BTreeMap::new(),
            methods: BTreeMap::new(),
            components: BTreeMap::new(),
            errors: Vec::new(),
            parts: vec![Self::read_config],
        }
    }

    fn read_config(&mut self) {
        let name = self.name.clone();
        let config = self.object::<P::Config>("index");
        self.reserved(&name, &["version"], [&config, &ObjectSpec::default()]);
        self.config = config;
    }

    /// A top-level entry of the schema, such as `displayName`, `description`, `publisher` or `keywords`.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Settings for one language's SDK generator.
    #[must_use]
    pub fn language(mut self, language: &str, settings: Value) -> Self {
        self.language.insert(language.to_owned(), settings);
        self
    }

    fn object<T: schemars::JsonSchema>(&mut self, module: &str) -> ObjectSpec {
        self.types.read::<T>(module).unwrap_or_else(|error| {
            self.errors.push(error);
            ObjectSpec::default()
        })
    }

    fn token(&mut self, token: &str) -> String {
        let parts: Vec<&str> = token.split(':').collect();
        let word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._/".contains(c))
        };
        if !matches!(parts[..], [package, module, name] if package == self.name && word(module) && word(name))
        {
            let problem = format!("is not a token of package {}", self.name);
            self.problem(token, problem);
        }
        let same = |known: &String| known.eq_ignore_ascii_case(token);
        let tokens = [
            self.resources.keys().any(same),
            self.components.keys().any(same),
        ];
        if tokens.contains(&true)
            || self.functions.keys().any(same)
            || self.methods.keys().any(same)
        {
            self.problem(token, "is there twice".to_owned());
        }
        token.to_owned()
    }

    fn problem(&mut self, at: &str, problem: String) {
        self.errors.push(SchemaError {
            at: at.to_owned(),
            problem,
        });
    }

    /// Names that the protocol gives a meaning of their own cannot be properties.
    fn reserved(&mut self, token: &str, names: &[&str], objects: [&ObjectSpec; 2]) {
        for (name, _) in objects.iter().flat_map(|object| &object.properties) {
            if names.contains(&name.as_str()) || name == "pulumi" || name.starts_with("__") {
                self.problem(
                    token,
                    format!("has a property '{name}', which is a reserved name"),
                );
            }
        }
    }

    /// Adds a custom resource.
    #[must_use]
    pub fn resource<R: Resource<Provider = P>>(mut self) -> Self {
        self.parts.push(Self::read_resource::<R>);
        self
    }

    fn read_resource<R: Resource<Provider = P>>(&mut self) {
        let token = self.token(R::TOKEN);
        let inputs = self.object::<R::Args>(module(R::TOKEN));
        let state = self.object::<R::State>(module(R::TOKEN));
        self.reserved(R::TOKEN, &["id", "urn"], [&inputs, &state]);
        let typed = Typed::<R> {
            inputs,
            state,
            of: PhantomData,
        };
        self.resources.insert(token, Arc::new(typed));
    }

    /// Adds a function.
    #[must_use]
    pub fn function<F: Function<Provider = P>>(mut self) -> Self {
        self.parts.push(Self::read_function::<F>);
        self
    }

    fn read_function<F: Function<Provider = P>>(&mut self) {
        let token = self.token(F::TOKEN);
        let args = self.object::<F::Args>(module(F::TOKEN));
        let result = self.object::<F::Return>(module(F::TOKEN));
        let typed = TypedFunction::<F> {
            args,
            result,
            of: PhantomData,
        };
        self.functions.insert(token, Arc::new(typed));
    }

    /// Adds a method of a resource or component, which must be added as well.
    #[must_use]
    pub fn method<M: Method<Provider = P>>(mut self) -> Self {
        self.parts.push(Self::read_method::<M>);
        self
    }

    fn read_method<M: Method<Provider = P>>(&mut self) {
        let token = self.token(M::TOKEN);
        let args = self.object::<M::Args>(module(M::TOKEN));
        let result = self.object::<M::Return>(module(M::TOKEN));
        let typed = TypedMethod::<M> {
            args,
            result,
            of: PhantomData,
        };
        self.methods.insert(token, Arc::new(typed));
    }

    /// Adds a component resource.
    #[must_use]
    pub fn component<C: Component<Provider = P>>(mut self) -> Self {
        self.parts.push(Self::read_component::<C>);
        self
    }

    fn read_component<C: Component<Provider = P>>(&mut self) {
        let token = self.token(C::TOKEN);
        let inputs = self.object::<C::Args>(module(C::TOKEN));
        let outputs = self.object::<C::Outputs>(module(C::TOKEN));
        self.reserved(C::TOKEN, &["id", "urn"], [&inputs, &outputs]);
        let typed = TypedComponent::<C> {
            inputs,
            outputs,
            of: PhantomData,
        };
        self.components.insert(token, Arc::new(typed));
    }

    /// The package's types as they are, or what is wrong with them.
    pub(crate) fn settled(mut self) -> Result<Settled<P>, SchemaError> {
        for part in std::mem::take(&mut self.parts) {
            part(&mut self);
        }
        for token in self.methods.keys().cloned().collect::<Vec<_>>() {
            let of = token.rsplit_once('/').map_or("", |(of, _)| of);
            if !self.resources.contains_key(of) && !self.components.contains_key(of) {
                let problem = "is a method of no resource: its token must be a resource's, a slash and a name";
                self.problem(&token, problem.to_owned());
            }
        }
        if let Some(error) = self.errors.pop() {
            return Err(error);
        }
        self.types.refuse_cycles()?;
        self.types.settle_all();
        let types = self.types.clone();
        let settle = |spec: &ObjectSpec| {
            let mut spec = spec.clone();
            types.settle(&mut spec);
            spec
        };
        let config = settle(&self.config);
        let resources = self
            .resources
            .iter()
            .map(|(token, r)| {
                let kind = ResourceKind {
                    resource: r.clone(),
                    inputs: settle(r.inputs()),
                    state: settle(r.state()),
                };
                (token.clone(), kind)
            })
            .collect();
        let functions = self
            .functions
            .iter()
            .map(|(token, f)| {
                let kind = FunctionKind {
                    function: f.clone(),
                    args: settle(f.args()),
                    result: settle(f.result()),
                };
                (token.clone(), kind)
            })
            .collect();
        let methods = self
            .methods
            .iter()
            .map(|(token, m)| {
                let kind = MethodKind {
                    method: m.clone(),
                    args: settle(m.args()),
                    result: settle(m.result()),
                };
                (token.clone(), kind)
            })
            .collect();
        let components = self
            .components
            .iter()
            .map(|(token, c)| {
                let kind = ComponentKind {
                    component: c.clone(),
                    inputs: settle(c.inputs()),
                    outputs: settle(c.outputs()),
                };
                (token.clone(), kind)
            })
            .collect();
        Ok(Settled {
            name: self.name,
            version: self.version,
            metadata: self.metadata,
            language: self.language,
            types: self.types,
            config,
            resources,
            functions,
            methods,
            components,
        })
    }

    /// The package's schema, as the SDK generators and the registry read it.
    pub fn schema(self) -> Result<Value, SchemaError> {
        let settled = self.settled()?;
        settled.refuse_patterns()?;
        Ok(settled.schema())
    }
}

pub(crate) struct ResourceKind<P> {
    pub(crate) resource: Arc<dyn AnyResource<P>>,
    pub(crate) inputs: ObjectSpec,
    pub(crate) state: ObjectSpec,
}

pub(crate) struct FunctionKind<P> {
    pub(crate) function: Arc<dyn AnyFunction<P>>,
    pub(crate) args: ObjectSpec,
    pub(crate) result: ObjectSpec,
}

pub(crate) struct MethodKind<P> {
    pub(crate) method: Arc<dyn AnyMethod<P>>,
    pub(crate) args: ObjectSpec,
    pub(crate) result: ObjectSpec,
}

pub(crate) struct ComponentKind<P> {
    pub(crate) component: Arc<dyn AnyComponent<P>>,
    pub(crate) inputs: ObjectSpec,
    pub(crate) outputs: ObjectSpec,
}

/// A package whose types are all known and consistent.
pub(crate) struct Settled<P: Provider> {
    pub(crate) name: String,
    pub(crate) version: String,
    metadata: Map<String, Value>,
    language: Map<String, Value>,
    pub(crate) types: Types,
    pub(crate) config: ObjectSpec,
    pub(crate) resources: BTreeMap<String, ResourceKind<P>>,
    pub(crate) functions: BTreeMap<String, FunctionKind<P>>,
    pub(crate) methods: BTreeMap<String, MethodKind<P>>,
    pub(crate) components: BTreeMap<String, ComponentKind<P>>,
}

impl<P: Provider> Settled<P> {
    /// What goes in and what comes out, by token.
    fn specs(&self) -> impl Iterator<Item = (&str, [&ObjectSpec; 2])> {
        let resources = self.resources.iter();
        let functions = self.functions.iter();
        let methods = self.methods.iter();
        let components = self.components.iter();
        resources
            .map(|(token, kind)| (token.as_str(), [&kind.inputs, &kind.state]))
            .chain(functions.map(|(token, kind)| (token.as_str(), [&kind.args, &kind.result])))
            .chain(methods.map(|(token, kind)| (token.as_str(), [&kind.args, &kind.result])))
            .chain(components.map(|(token, kind)| (token.as_str(), [&kind.inputs, &kind.outputs])))
    }

    fn refuse_patterns(&self) -> Result<(), SchemaError> {
        self.types.refuse_patterns()?;
        self.config.refuse_patterns(&self.name)?;
        self.specs().try_for_each(|(token, specs)| {
            specs
                .into_iter()
                .try_for_each(|spec| spec.refuse_patterns(token))
        })
    }

    /// Where the engine may download the plugin, as SDKs send it along.
    pub(crate) fn download_url(&self) -> String {
        self.metadata
            .get("pluginDownloadURL")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// The properties that are secret, for the call log.
    pub(crate) fn secret_names(&self) -> SecretNames {
        let names = |specs: &[&ObjectSpec]| -> BTreeSet<String> {
            let properties = specs.iter().flat_map(|spec| &spec.properties);
            let secret = properties.filter(|(_, property)| property.secret);
            secret.map(|(name, _)| name.clone()).collect()
        };
        self.specs()
            .map(|(token, specs)| (token.to_owned(), names(&specs)))
            .chain([(String::new(), names(&[&self.config]))])
            .collect()
    }

    pub(crate) fn schema(&self) -> Value {
        let mut schema = Map::new();
        schema.insert("name".into(), self.name.clone().into());
        schema.insert("version".into(), self.version.clone().into());
        schema.extend(self.metadata.clone());
        if !self.language.is_empty() {
            schema.insert("language".into(), self.language.clone().into());
        }
        let variables = self
            .types
            .publish_properties(&self.name, &self.config, true);
        let required = self.config.required();
        schema.insert(
            "config".into(),
            json!({ "variables": variables, "defaults": required }),
        );
        let mut provider = Map::new();
        if !self.config.description.is_empty() {
            provider.insert("description".into(), self.config.description.clone().into());
        }
        provider.insert("inputProperties".into(), variables.into());
        if !required.is_empty() {
            provider.insert("requiredInputs".into(), required.into());
        }
        schema.insert("provider".into(), provider.into());
        schema.insert("types".into(), self.types.publish(&self.name).into());
        let mut resources = Map::new();
        for (token, kind) in &self.resources {
            let aliases = kind.resource.aliases();
            let body = self.publish(&kind.inputs, &kind.state, aliases, false);
            resources.insert(token.clone(), body);
        }
        for (token, kind) in &self.components {
            resources.insert(
                token.clone(),
                self.publish(&kind.inputs, &kind.outputs, &[], true),
            );
        }
        resources.sort_keys();
        for token in self.methods.keys() {
            let Some((of, name)) = token.rsplit_once('/') else {
                continue;
            };
            if let Some(body) = resources.get_mut(of).and_then(Value::as_object_mut) {
                let methods = body.entry("methods").or_insert_with(|| json!({}));
                methods[name] = token.as_str().into();
            }
        }
        schema.insert("resources".into(), resources.into());
        let mut functions = Map::new();
        for (token, kind) in &self.functions {
            functions.insert(
                token.clone(),
                self.publish_function(&kind.args, &kind.result),
            );
        }
        for (token, kind) in &self.methods {
            functions.insert(token.clone(), self.publish_method(token, kind));
        }
        functions.sort_keys();
        schema.insert("functions".into(), functions.into());
        schema.into()
    }

    fn publish_function(&self, args: &ObjectSpec, result: &ObjectSpec) -> Value {
        let mut body = Map::new();
        if !args.description.is_empty() {
            body.insert("description".into(), args.description.clone().into());
        }
        let inputs = self.types.publish_object(&self.name, args, true);
        body.insert("inputs".into(), inputs.into());
        let outputs = self.types.publish_object(&self.name, result, false);
        body.insert("outputs".into(), outputs.into());
        body.into()
    }

    /// A function whose first argument is the resource.
    fn publish_method(&self, token: &str, kind: &MethodKind<P>) -> Value {
        let of = token.rsplit_once('/').map_or(token, |(of, _)| of);
        let mut body = self.publish_function(&kind.args, &kind.result);
        let inputs = &mut body["inputs"];
        if let Some(inputs) = inputs.as_object_mut() {
            inputs.remove("description");
        }
        inputs["properties"]["__self__"] =
            json!({ "$ref": format!("#/resources/{}", of.replace('/', "%2F")) });
        let mut required = vec![json!("__self__")];
        if let Some(others) = inputs["required"].as_array() {
            required.extend(others.iter().cloned());
        }
        inputs["required"] = required.into();
        body
    }

    fn publish(
        &self,
        inputs: &ObjectSpec,
        state: &ObjectSpec,
        aliases: &[&str],
        component: bool,
    ) -> Value {
        // A component's outputs stand for themselves; a custom resource gives its inputs back as well.
        let mut outputs = if component {
            state.clone()
        } else {
            inputs.joined(state)
        };
        outputs.description.clone_from(&inputs.description);
        if component {
            for (_, property) in &mut outputs.properties {
                property.replace = false;
            }
        }
        let mut body = self.types.publish_object(&self.name, &outputs, false);
        if component {
            body.insert("isComponent".into(), true.into());
        }
        // What has a default is always there once checked.
        let mut required = outputs.required();
        required.extend(
            outputs
                .properties
                .iter()
                .filter(|(_, p)| p.default.is_some() || p.autoname)
                .map(|(n, _)| n.clone()),
        );
        required.sort();
        body.remove("required");
        if !required.is_empty() {
            body.insert("required".into(), required.into());
        }
        body.insert(
            "inputProperties".into(),
            self.types
                .publish_properties(&self.name, inputs, true)
                .into(),
        );
        let required = inputs.required();
        if !required.is_empty() {
            body.insert("requiredInputs".into(), required.into());
        }
        if !aliases.is_empty() {
            let aliases: Vec<Value> = aliases.iter().map(|a| json!({ "type": a })).collect();
            body.insert("aliases".into(), aliases.into());
        }
        body.into()
    }
}
