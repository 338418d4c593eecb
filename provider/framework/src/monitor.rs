//! Constructing components: the conversation with the engine's resource monitor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pulumi_proto::pulumirpc::register_resource_request as wire_request;
use pulumi_proto::pulumirpc::resource_monitor_client::ResourceMonitorClient;
use pulumi_proto::pulumirpc::{
    ConstructRequest, LogSeverity, RegisterResourceOutputsRequest, RegisterResourceRequest,
    RegisterResourceResponse, ResourceInvokeRequest, Result as Outcome, construct_request,
};
use serde::de::DeserializeOwned;
use tokio::sync::RwLock;
use tonic::transport::Channel;

use crate::child::{Child, ChildOptions, Registered};
use crate::engine::{Engine, MAX_MESSAGE, channel};
use crate::error::Error;
use crate::redact::scrub;
use crate::resource::Provider;
use crate::schema::ObjectSpec;
use crate::value::{OutputValue, PROVIDERS, PropertyMap, PropertyValue, ResourceReference};

/// The outputs of a component, by name; values may be outputs of children.
pub type Outputs = PropertyMap;

/// What children of the provider's own package need to reach the same provider process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Home {
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) download_url: String,
}

/// A component under construction.
pub struct Construction<P> {
    pub(crate) provider: Option<Arc<P>>,
    pub(crate) engine: Engine,
    monitor: ResourceMonitorClient<Channel>,
    home: Home,
    urn: String,
    request: Arc<ConstructRequest>,
    inputs: PropertyMap,
    /// The outputs in the state, of a component that is to stay as it is.
    recorded: PropertyMap,
    /// Read by each registration under way: the reply must wait for all of them.
    busy: Arc<RwLock<()>>,
}

impl<P> Clone for Construction<P> {
    fn clone(&self) -> Self {
        Self {
            provider: self.provider.clone(),
            engine: self.engine.clone(),
            monitor: self.monitor.clone(),
            home: self.home.clone(),
            urn: self.urn.clone(),
            request: self.request.clone(),
            inputs: self.inputs.clone(),
            recorded: self.recorded.clone(),
            busy: self.busy.clone(),
        }
    }
}

/// All URNs that a value was computed from.
fn dependencies(value: &PropertyValue, found: &mut BTreeSet<String>) {
    match value {
        PropertyValue::Output(output) => {
            found.extend(output.dependencies.iter().cloned());
            if let Some(value) = &output.value {
                dependencies(value, found);
            }
        }
        PropertyValue::Secret(inner) => dependencies(inner, found),
        PropertyValue::List(items) => items.iter().for_each(|v| dependencies(v, found)),
        PropertyValue::Map(map) => map.values().for_each(|v| dependencies(v, found)),
        _ => {}
    }
}

impl<P> Construction<P> {
    /// Connects to the monitor and registers the component itself.
    pub(crate) async fn begin(
        provider: Option<Arc<P>>,
        engine: Engine,
        home: Home,
        request: ConstructRequest,
        inputs: PropertyMap,
    ) -> Result<Self, Error> {
        let channel = channel(&request.monitor_endpoint).map_err(|error| {
            Error::Bug(format!(
                "'{}' is not a monitor address: {error}",
                request.monitor_endpoint
            ))
        })?;
        let monitor = ResourceMonitorClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let mut this = Self {
            provider,
            engine,
            monitor,
            home,
            urn: String::new(),
            request: Arc::new(request),
            inputs,
            recorded: PropertyMap::new(),
            busy: Arc::default(),
        };
        let response = this.send(this.component_request()).await?;
        if Outcome::try_from(response.result).unwrap_or_default() != Outcome::Success {
            return Err(Error::Refused {
                what: format!("component '{}' could not be registered", this.request.name),
                next: None,
            });
        }
        this.urn = response.urn;
        if this.stays() {
            this.recorded = this.look().await?;
        }
        Ok(this)
    }

    /// The component's URN.
    #[must_use]
    pub fn urn(&self) -> &str {
        &self.urn
    }

    /// The component's name in the program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.request.name
    }

    /// Whether this is a preview.
    #[must_use]
    pub fn preview(&self) -> bool {
        self.request.dry_run
    }

    /// The configured provider; `None` in a preview whose provider configuration is not known yet.
    #[must_use]
    pub fn provider(&self) -> Option<&P> {
        self.provider.as_deref()
    }

    /// The address of the engine that started this provider: one for each run of the CLI.
    #[must_use]
    pub fn engine_address(&self) -> Option<String> {
        self.engine.address()
    }

    /// The inputs as a struct, when everything in them is known.
    pub fn args<T: DeserializeOwned>(&self) -> Option<T> {
        crate::de::from_properties(&self.inputs).ok()
    }

    /// An input with its secrets and dependencies, to be handed on to a child. Null where it is absent.
    #[must_use]
    pub fn input(&self, name: &str) -> PropertyValue {
        self.inputs.get(name).cloned().unwrap_or_default()
    }

    /// An input that is given, known and of that type.
    #[must_use]
    pub fn known<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        crate::de::from_value(self.inputs.get(name)?).ok()
    }

    /// An output of the last run, where the option `ignoreChanges` is `["*"]`: a component that is to stay as it is registers the children
    /// that it has, although its inputs may say less. `None` where there is none of that type.
    #[must_use]
    pub fn kept<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        crate::de::from_value(self.recorded.get(name)?).ok()
    }

    fn stays(&self) -> bool {
        self.request.ignore_changes.iter().any(|path| path == "*")
    }

    /// The component's outputs as the engine has them: those of the last run, since nothing about it changes.
    async fn look(&self) -> Result<PropertyMap, Error> {
        let urn = PropertyMap::from([("urn".to_owned(), self.urn.as_str().into())]);
        let request = ResourceInvokeRequest {
            tok: "pulumi:pulumi:getResource".to_owned(),
            args: Some(crate::wire::encode(&urn)),
            accept_resources: true,
            ..ResourceInvokeRequest::default()
        };
        let mut monitor = self.monitor.clone();
        let found = monitor.invoke(request).await;
        let found = found.map_err(|status| self.monitor_error(&status))?;
        let found = crate::wire::decode(found.into_inner().r#return.as_ref());
        let mut found =
            found.map_err(|error| Error::Bug(format!("outputs of {}: {error}", self.urn)))?;
        match found.remove("state") {
            Some(PropertyValue::Map(outputs)) => Ok(outputs),
            _ => Ok(PropertyMap::new()),
        }
    }

    /// An input that is a reference to a resource. `None` where it is absent or not known.
    #[must_use]
    pub fn reference(&self, name: &str) -> Option<ResourceReference> {
        match self.inputs.get(name)?.bare()? {
            PropertyValue::Resource(reference) => Some((**reference).clone()),
            _ => None,
        }
    }

    /// A child that is a provider of this package with a configuration of its own, for other children to use: a component
    /// itself is given one provider of a package at most.
    #[must_use]
    pub fn new_provider(&self, name: impl Into<String>, config: &P::Config) -> Child
    where
        P: Provider,
    {
        let inputs = match crate::ser::to_value(config) {
            Ok(PropertyValue::Map(inputs)) => inputs,
            _ => PropertyMap::new(),
        };
        Child {
            type_token: format!("{PROVIDERS}{}", self.home.package),
            name: name.into(),
            inputs,
            custom: true,
            dependencies: BTreeSet::new(),
            options: ChildOptions::default(),
        }
    }

    /// A line for the user, kept in the run's output.
    pub async fn info(&self, message: impl AsRef<str>) {
        self.engine
            .log(LogSeverity::Info, &self.urn, message.as_ref(), false)
            .await;
    }

    /// Something the user should look at, although the construction goes on.
    pub async fn warn(&self, message: impl AsRef<str>) {
        self.engine
            .log(LogSeverity::Warning, &self.urn, message.as_ref(), false)
            .await;
    }

    /// Registers a child and waits until the engine is done with it. Children may be registered at the same time.
    pub async fn register(&self, child: Child) -> Result<Registered, Error> {
        let name = child.name.clone();
        let response = self.send(self.child_request(child)).await?;
        match Outcome::try_from(response.result).unwrap_or_default() {
            Outcome::Success => {}
            Outcome::Fail => return Err(child_failed(&name, "failed; its own error says why")),
            Outcome::Skip => return Err(child_failed(&name, "was skipped")),
        }
        let outputs = crate::wire::decode(response.object.as_ref())
            .map_err(|error| Error::Bug(format!("outputs of {name}: {error}")))?;
        let known = !response.id.is_empty() && crate::wire::sentinel_of(&response.id).is_none();
        Ok(Registered {
            urn: response.urn,
            id: (known && !response.unknown).then_some(response.id),
            outputs: if response.unknown {
                PropertyMap::new()
            } else {
                outputs
            },
            preview: self.request.dry_run || response.unknown,
        })
    }

    /// Tells the engine the outputs; afterwards nothing can be registered.
    pub(crate) async fn finish(&self, outputs: &Outputs) -> Result<(), Error> {
        let request = RegisterResourceOutputsRequest {
            urn: self.urn.clone(),
            outputs: Some(crate::wire::encode(outputs)),
        };
        let mut monitor = self.monitor.clone();
        monitor
            .register_resource_outputs(request)
            .await
            .map_err(|status| self.monitor_error(&status))?;
        Ok(())
    }

    async fn send(
        &self,
        request: RegisterResourceRequest,
    ) -> Result<RegisterResourceResponse, Error> {
        let mut monitor = self.monitor.clone();
        let busy = self.busy.clone().read_owned().await;
        // A task of its own: what the engine was asked to do goes on, even if nobody waits for it any more.
        let call = tokio::spawn(async move {
            let _busy = busy;
            monitor.register_resource(request).await
        });
        let response = call
            .await
            .map_err(|error| Error::Bug(format!("a registration ended early: {error}")))?
            .map_err(|status| self.monitor_error(&status))?;
        Ok(response.into_inner())
    }

    /// Waits until no registration is under way.
    pub(crate) async fn quiet(&self) {
        drop(self.busy.write().await);
    }

    fn monitor_error(&self, status: &tonic::Status) -> Error {
        let gone = status.code() == tonic::Code::Unavailable
            || status.message().contains("resource monitor shut down");
        if gone {
            return Error::Cancelled {
                during: format!("constructing {}", self.request.name),
            };
        }
        Error::Refused {
            what: scrub(status.message()),
            next: None,
        }
    }

    fn component_request(&self) -> RegisterResourceRequest {
        let from = &self.request;
        let all: BTreeSet<String> = from.dependencies.iter().cloned().collect();
        RegisterResourceRequest {
            r#type: from.r#type.clone(),
            name: from.name.clone(),
            parent: from.parent.clone(),
            object: Some(crate::wire::encode(&self.inputs)),
            protect: from.protect,
            dependencies: all.into_iter().collect(),
            aliases: from.aliases.clone(),
            providers: from.providers.clone(),
            deleted_with: from.deleted_with.clone(),
            retain_on_delete: from.retain_on_delete,
            replace_with: from.replace_with.clone(),
            replacement_trigger: from.replacement_trigger.clone(),
            custom_timeouts: from.custom_timeouts.as_ref().map(timeouts),
            ignore_changes: from.ignore_changes.clone(),
            replace_on_changes: from.replace_on_changes.clone(),
            additional_secret_outputs: from.additional_secret_outputs.clone(),
            hooks: from
                .resource_hooks
                .as_ref()
                .map(|h| wire_request::ResourceHooksBinding {
                    before_create: h.before_create.clone(),
                    after_create: h.after_create.clone(),
                    before_update: h.before_update.clone(),
                    after_update: h.after_update.clone(),
                    before_delete: h.before_delete.clone(),
                    after_delete: h.after_delete.clone(),
                    on_error: h.on_error.clone(),
                }),
            ..self.common()
        }
    }

    fn child_request(&self, child: Child) -> RegisterResourceRequest {
        let mut all = child.dependencies;
        for value in child.inputs.values() {
            dependencies(value, &mut all);
        }
        // A provider is made by no provider.
        let provider = match child.options.provider {
            _ if child.type_token.starts_with(PROVIDERS) => String::new(),
            Some(reference) => reference.provider(),
            None => self
                .request
                .providers
                .get(&self.home.package)
                .cloned()
                .unwrap_or_default(),
        };
        // The engine applies these to custom resources only; they reach the children whose properties they name.
        let concerns = |pattern: &&String| {
            let path = crate::Path::parse(pattern);
            path.top()
                .is_some_and(|top| top == "*" || child.inputs.contains_key(top))
        };
        let mut ignore_changes = child.options.ignore_changes;
        ignore_changes.extend(self.request.ignore_changes.iter().filter(concerns).cloned());
        let replace_on_changes = self
            .request
            .replace_on_changes
            .iter()
            .filter(concerns)
            .cloned()
            .collect();
        let providers = if child.custom {
            BTreeMap::default()
        } else {
            self.request.providers.clone()
        };
        RegisterResourceRequest {
            remote: !child.custom,
            providers,
            r#type: child.type_token,
            name: child.name,
            parent: child.options.parent.unwrap_or_else(|| self.urn.clone()),
            custom: child.custom,
            object: Some(crate::wire::encode(&child.inputs)),
            protect: child.options.protect,
            retain_on_delete: child.options.retain_on_delete,
            deleted_with: child.options.deleted_with.unwrap_or_default(),
            dependencies: all.into_iter().collect(),
            version: if provider.is_empty() {
                self.home.version.clone()
            } else {
                String::new()
            },
            plugin_download_url: if provider.is_empty() {
                self.home.download_url.clone()
            } else {
                String::new()
            },
            provider,
            aliases: child.options.aliases,
            custom_timeouts: self.request.custom_timeouts.as_ref().map(timeouts),
            additional_secret_outputs: self.request.additional_secret_outputs.clone(),
            ignore_changes,
            replace_on_changes,
            delete_before_replace: self.request.delete_before_replace.unwrap_or_default(),
            delete_before_replace_defined: self.request.delete_before_replace.is_some(),
            ..self.common()
        }
    }

    fn common(&self) -> RegisterResourceRequest {
        RegisterResourceRequest {
            accept_secrets: true,
            accept_resources: true,
            supports_partial_values: true,
            supports_result_reporting: true,
            alias_specs: true,
            parent_stack_trace_handle: self.request.stack_trace_handle.clone(),
            ..RegisterResourceRequest::default()
        }
    }
}

fn timeouts(from: &construct_request::CustomTimeouts) -> wire_request::CustomTimeouts {
    wire_request::CustomTimeouts {
        create: from.create.clone(),
        update: from.update.clone(),
        delete: from.delete.clone(),
        read: from.read.clone(),
    }
}

fn child_failed(name: &str, how: &str) -> Error {
    Error::Refused {
        what: format!("child resource '{name}' {how}"),
        next: None,
    }
}

/// Inputs of a component as its own check sees them: known values stand by themselves, the rest stays wrapped.
pub(crate) fn with_dependencies(
    mut inputs: PropertyMap,
    request: &ConstructRequest,
    spec: &ObjectSpec,
) -> PropertyMap {
    for (name, value) in &mut inputs {
        let Some(deps) = request
            .input_dependencies
            .get(name)
            .filter(|d| !d.urns.is_empty())
        else {
            continue;
        };
        if matches!(value, PropertyValue::Output(_)) || spec.get(name).is_none() {
            continue;
        }
        // Older engines send dependencies beside the inputs instead of inside them.
        let secret = value.has_secret();
        let bare = (!value.is_unknown())
            .then(|| value.bare().cloned())
            .flatten();
        *value = PropertyValue::Output(Box::new(OutputValue {
            value: bare,
            secret,
            dependencies: deps.urns.clone(),
        }));
    }
    inputs
}
