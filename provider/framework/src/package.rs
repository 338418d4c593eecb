//! A package: everything a provider offers, and the schema that is derived from it.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use crate::calllog::SecretNames;
use crate::component::{AnyComponent, Component, TypedComponent};
use crate::erased::{AnyFunction, AnyResource, Typed, TypedFunction};
use crate::method::{AnyMethod, Method, TypedMethod};
use crate::resource::{Function, Provider, Resource};
use crate::schema::{ObjectSpec, SchemaError, Types};

/// A provider in the making: metadata, then one line for each resource, component and function.
///
/// ```no_run
/// use pulumi_provider::{Error, Package, Provider};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// struct Dice;
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Config {}
///
/// impl Provider for Dice {
///     type Config = Config;
///     fn configure(_: Config) -> Result<Self, Error> {
///         Ok(Self)
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     // Then `.resource::<Die>()`, `.function::<Sum>()` and so on, a line each.
///     let package = Package::<Dice>::new("dice", "0.1.0").metadata("description", "Dice that are rolled once.");
///     pulumi_provider::run(package)
/// }
/// ```
pub struct Package<P: Provider> {
    name: String,
    pub(crate) version: String,
    metadata: Map<String, Value>,
    language: Map<String, Value>,
    /// Read when the package is settled: the engine waits for the process's port, not for its types.
    parts: Vec<fn(&mut Reading<P>)>,
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
            parts: vec![Reading::config],
        }
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

    /// Adds a custom resource.
    #[must_use]
    pub fn resource<R: Resource<Provider = P>>(mut self) -> Self {
        self.parts.push(Reading::resource::<R>);
        self
    }

    /// Adds a function.
    #[must_use]
    pub fn function<F: Function<Provider = P>>(mut self) -> Self {
        self.parts.push(Reading::function::<F>);
        self
    }

    /// Adds a method of a resource or component, which must be added as well.
    #[must_use]
    pub fn method<M: Method<Provider = P>>(mut self) -> Self {
        self.parts.push(Reading::method::<M>);
        self
    }

    /// Adds a component resource.
    #[must_use]
    pub fn component<C: Component<Provider = P>>(mut self) -> Self {
        self.parts.push(Reading::component::<C>);
        self
    }

    /// The package's types as they are, or what is wrong with them.
    pub(crate) fn settled(self) -> Result<Settled<P>, SchemaError> {
        let package = Settled {
            name: self.name,
            version: self.version,
            metadata: self.metadata,
            language: self.language,
            types: Types::default(),
            config: ObjectSpec::default(),
            resources: BTreeMap::new(),
            functions: BTreeMap::new(),
            methods: BTreeMap::new(),
            components: BTreeMap::new(),
        };
        let mut reading = Reading {
            package,
            errors: Vec::new(),
        };
        for part in self.parts {
            part(&mut reading);
        }
        reading.settled()
    }

    /// The package's schema, as the SDK generators and the registry read it.
    pub fn schema(self) -> Result<Value, SchemaError> {
        let settled = self.settled()?;
        settled.refuse_patterns()?;
        serde_json::to_value(settled.schema()).map_err(|error| SchemaError {
            at: settled.name.clone(),
            problem: error.to_string(),
        })
    }
}

/// A package of which part is read.
struct Reading<P: Provider> {
    package: Settled<P>,
    errors: Vec<SchemaError>,
}

/// The module part of a token: `aws` of `ptd:aws:StateBucket`.
fn module(token: &str) -> &str {
    token.split(':').nth(1).unwrap_or("index")
}

impl<P: Provider> Reading<P> {
    fn object<T: schemars::JsonSchema>(&mut self, module: &str) -> ObjectSpec {
        let read = self.package.types.read::<T>(module);
        read.unwrap_or_else(|error| {
            self.errors.push(error);
            ObjectSpec::default()
        })
    }

    fn kind<I: schemars::JsonSchema, O: schemars::JsonSchema, W: ?Sized>(
        &mut self,
        token: &str,
        work: Box<W>,
    ) -> Kind<W> {
        self.token(token);
        Kind {
            inputs: self.object::<I>(module(token)),
            outputs: self.object::<O>(module(token)),
            work,
        }
    }

    fn token(&mut self, token: &str) {
        let parts: Vec<&str> = token.split(':').collect();
        let word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._/".contains(c))
        };
        let of = &self.package.name;
        if !matches!(parts[..], [package, module, name] if package == of && word(module) && word(name))
        {
            let problem = format!("is not a token of package {of}");
            self.problem(token, problem);
        }
        let known = |(known, _): (&str, _)| known.eq_ignore_ascii_case(token);
        if self.package.specs().any(known) {
            self.problem(token, "is there twice".to_owned());
        }
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

    fn config(&mut self) {
        let name = self.package.name.clone();
        let config = self.object::<P::Config>("index");
        self.reserved(&name, &["version"], [&config, &ObjectSpec::default()]);
        self.package.config = config;
    }

    fn resource<R: Resource<Provider = P>>(&mut self) {
        let work: Box<dyn AnyResource<P>> = Box::new(Typed::<R>(PhantomData));
        let kind = self.kind::<R::Args, R::State, _>(R::TOKEN, work);
        self.reserved(R::TOKEN, &["id", "urn"], [&kind.inputs, &kind.outputs]);
        self.package.resources.insert(R::TOKEN.to_owned(), kind);
    }

    fn function<F: Function<Provider = P>>(&mut self) {
        let work: Box<dyn AnyFunction<P>> = Box::new(TypedFunction::<F>(PhantomData));
        let kind = self.kind::<F::Args, F::Return, _>(F::TOKEN, work);
        self.package.functions.insert(F::TOKEN.to_owned(), kind);
    }

    fn method<M: Method<Provider = P>>(&mut self) {
        let work: Box<dyn AnyMethod<P>> = Box::new(TypedMethod::<M>(PhantomData));
        let kind = self.kind::<M::Args, M::Return, _>(M::TOKEN, work);
        self.package.methods.insert(M::TOKEN.to_owned(), kind);
    }

    fn component<C: Component<Provider = P>>(&mut self) {
        let work: Box<dyn AnyComponent<P>> = Box::new(TypedComponent::<C>(PhantomData));
        let kind = self.kind::<C::Args, C::Outputs, _>(C::TOKEN, work);
        self.reserved(C::TOKEN, &["id", "urn"], [&kind.inputs, &kind.outputs]);
        self.package.components.insert(C::TOKEN.to_owned(), kind);
    }

    fn settled(mut self) -> Result<Settled<P>, SchemaError> {
        for token in self.package.methods.keys().cloned().collect::<Vec<_>>() {
            let of = receiver(&token);
            let there =
                self.package.resources.contains_key(of) || self.package.components.contains_key(of);
            if !there {
                let problem = "is a method of no resource: its token must be a resource's, a slash and a name";
                self.problem(&token, problem.to_owned());
            }
        }
        if let Some(error) = self.errors.pop() {
            return Err(error);
        }
        let mut package = self.package;
        package.types.refuse_cycles()?;
        package.types.settle_all();
        let types = std::mem::take(&mut package.types);
        types.settle(&mut package.config);
        for spec in package.specs_mut() {
            types.settle(spec);
        }
        package.types = types;
        Ok(package)
    }
}

/// The resource of a method's token.
fn receiver(method: &str) -> &str {
    method.rsplit_once('/').map_or("", |(of, _)| of)
}

/// What has a token: its type without the type, what goes in (inputs, arguments) and what comes out (state, results).
pub(crate) struct Kind<W: ?Sized> {
    pub(crate) inputs: ObjectSpec,
    pub(crate) outputs: ObjectSpec,
    pub(crate) work: Box<W>,
}

pub(crate) type Kinds<W> = BTreeMap<String, Kind<W>>;
pub(crate) type ResourceKind<P> = Kind<dyn AnyResource<P>>;

fn specs<W: ?Sized>(kinds: &Kinds<W>) -> impl Iterator<Item = (&str, [&ObjectSpec; 2])> {
    kinds
        .iter()
        .map(|(token, kind)| (token.as_str(), [&kind.inputs, &kind.outputs]))
}

fn specs_mut<W: ?Sized>(kinds: &mut Kinds<W>) -> impl Iterator<Item = &mut ObjectSpec> {
    kinds
        .values_mut()
        .flat_map(|kind| [&mut kind.inputs, &mut kind.outputs])
}

/// A package whose types are all known and consistent.
pub(crate) struct Settled<P: Provider> {
    pub(crate) name: String,
    pub(crate) version: String,
    metadata: Map<String, Value>,
    language: Map<String, Value>,
    pub(crate) types: Types,
    pub(crate) config: ObjectSpec,
    pub(crate) resources: Kinds<dyn AnyResource<P>>,
    pub(crate) functions: Kinds<dyn AnyFunction<P>>,
    pub(crate) methods: Kinds<dyn AnyMethod<P>>,
    pub(crate) components: Kinds<dyn AnyComponent<P>>,
}

/// A map of which each entry is made when it is written: with all its descriptions a schema is large, and few ask for it.
struct Entries<F>(F);

impl<F: Fn() -> I, I: Iterator<Item = (String, Value)>> Serialize for Entries<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0())
    }
}

/// A package's schema.
pub(crate) struct Schema<'a, P: Provider>(&'a Settled<P>);

impl<P: Provider> Serialize for Schema<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let package = self.0;
        let mut schema = serializer.serialize_map(None)?;
        schema.serialize_entry("name", &package.name)?;
        schema.serialize_entry("version", &package.version)?;
        for (key, value) in &package.metadata {
            schema.serialize_entry(key, value)?;
        }
        if !package.language.is_empty() {
            schema.serialize_entry("language", &package.language)?;
        }
        let [config, provider] = package.publish_config();
        schema.serialize_entry("config", &config)?;
        schema.serialize_entry("provider", &provider)?;
        let types = Entries(|| package.types.publish(&package.name));
        schema.serialize_entry("types", &types)?;
        schema.serialize_entry("resources", &Entries(|| package.publish_resources()))?;
        schema.serialize_entry("functions", &Entries(|| package.publish_functions()))?;
        schema.end()
    }
}

impl<P: Provider> Settled<P> {
    /// What goes in and what comes out, by token.
    fn specs(&self) -> impl Iterator<Item = (&str, [&ObjectSpec; 2])> {
        specs(&self.resources)
            .chain(specs(&self.functions))
            .chain(specs(&self.methods))
            .chain(specs(&self.components))
    }

    fn specs_mut(&mut self) -> impl Iterator<Item = &mut ObjectSpec> {
        specs_mut(&mut self.resources)
            .chain(specs_mut(&mut self.functions))
            .chain(specs_mut(&mut self.methods))
            .chain(specs_mut(&mut self.components))
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

    pub(crate) fn schema(&self) -> Schema<'_, P> {
        Schema(self)
    }

    /// The sections `config` and `provider`.
    fn publish_config(&self) -> [Value; 2] {
        let variables = self
            .types
            .publish_properties(&self.name, &self.config, true);
        let required = self.config.required();
        let config = json!({ "variables": variables, "defaults": required });
        let mut provider = Map::new();
        if !self.config.description.is_empty() {
            provider.insert("description".into(), self.config.description.clone().into());
        }
        provider.insert("inputProperties".into(), variables.into());
        if !required.is_empty() {
            provider.insert("requiredInputs".into(), required.into());
        }
        [config, provider.into()]
    }

    fn publish_resources(&self) -> impl Iterator<Item = (String, Value)> {
        let custom = self.resources.iter().map(|(token, kind)| {
            let body = (&kind.inputs, &kind.outputs, kind.work.aliases(), false);
            (token, body)
        });
        let components = self.components.iter().map(|(token, kind)| {
            let none: &[&str] = &[];
            (token, (&kind.inputs, &kind.outputs, none, true))
        });
        let sorted: BTreeMap<_, _> = custom.chain(components).collect();
        sorted
            .into_iter()
            .map(|(token, (inputs, outputs, aliases, component))| {
                let mut body = self.publish(inputs, outputs, aliases, component);
                let methods: Map<_, _> = self
                    .methods
                    .keys()
                    .filter(|method| receiver(method) == token)
                    .map(|method| (method[token.len() + 1..].to_owned(), method.as_str().into()))
                    .collect();
                if !methods.is_empty() {
                    body.insert("methods".into(), methods.into());
                }
                (token.clone(), body.into())
            })
    }

    fn publish_functions(&self) -> impl Iterator<Item = (String, Value)> {
        let sorted: BTreeMap<_, _> = specs(&self.functions)
            .map(|(token, specs)| (token, (specs, false)))
            .chain(specs(&self.methods).map(|(token, specs)| (token, (specs, true))))
            .collect();
        sorted.into_iter().map(|(token, ([args, result], method))| {
            let mut body = self.publish_function(args, result);
            if method {
                add_receiver(&mut body, receiver(token));
            }
            (token.to_owned(), body)
        })
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

    fn publish(
        &self,
        inputs: &ObjectSpec,
        state: &ObjectSpec,
        aliases: &[&str],
        component: bool,
    ) -> Map<String, Value> {
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
        body
    }
}

/// Makes a function a method: its first argument is the resource.
fn add_receiver(body: &mut Value, of: &str) {
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
}
