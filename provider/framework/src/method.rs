//! Methods: functions of a resource that exists.

use std::future::Future;
use std::marker::PhantomData;

use futures::FutureExt;
use futures::future::BoxFuture;
use pulumi_proto::pulumirpc::ResourceInvokeRequest;
use pulumi_proto::pulumirpc::resource_monitor_client::ResourceMonitorClient;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::de::{from_properties, from_value};
use crate::engine::{MAX_MESSAGE, channel};
use crate::error::Error;
use crate::redact::scrub;
use crate::resource::{Properties, Provider};
use crate::ser::to_properties;
use crate::value::{PropertyMap, PropertyValue, ReferenceId, ResourceReference};

/// What a method needs to tell what it is called on.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The resource's URN.
    pub urn: String,
    /// The id of a custom resource, once it is known.
    pub id: Option<String>,
    /// Its outputs as the engine has them; some may be unknown in a preview.
    pub outputs: PropertyMap,
}

impl Receiver {
    /// An output that is known and of that type.
    #[must_use]
    pub fn known<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        from_value(self.outputs.get(name)?).ok()
    }

    /// Asks the engine for the resource that a reference names.
    pub(crate) async fn fetch(reference: &ResourceReference, monitor: &str) -> Result<Self, Error> {
        let failed = |what: String| {
            let urn = &reference.urn;
            Error::Bug(format!("asking the engine for {urn}: {}", scrub(&what)))
        };
        let channel = channel(monitor).map_err(|error| failed(error.to_string()))?;
        let mut monitor = ResourceMonitorClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let urn = PropertyValue::from(reference.urn.as_str());
        let request = ResourceInvokeRequest {
            tok: "pulumi:pulumi:getResource".to_owned(),
            args: Some(crate::wire::encode(&PropertyMap::from([(
                "urn".to_owned(),
                urn,
            )]))),
            accept_resources: true,
            ..ResourceInvokeRequest::default()
        };
        let reply = monitor.invoke(request).await;
        let reply = reply
            .map_err(|status| failed(status.message().to_owned()))?
            .into_inner();
        if let Some(failure) = reply.failures.first() {
            return Err(failed(failure.reason.clone()));
        }
        let mut found = crate::wire::decode(reply.r#return.as_ref())
            .map_err(|error| failed(error.to_string()))?;
        let outputs = match found.remove("state") {
            Some(PropertyValue::Map(outputs)) => outputs,
            _ => PropertyMap::new(),
        };
        let id = match (
            found.get("id").and_then(PropertyValue::as_str),
            &reference.id,
        ) {
            (Some(id), _) if !id.is_empty() => Some(id.to_owned()),
            (_, Some(ReferenceId::Known(id))) => Some(id.clone()),
            _ => None,
        };
        Ok(Self {
            urn: reference.urn.clone(),
            id,
            outputs,
        })
    }
}

/// A function of a resource, called on one that a program has: `group.greet(...)`.
///
/// It runs in previews as well, with what is known by then; where an argument is unknown the framework answers that the result is.
///
/// ```
/// use pulumi_provider::{Context, Error, Method, Receiver};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// # struct Dice;
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct Config {}
/// # impl pulumi_provider::Provider for Dice {
/// #     type Config = Config;
/// #     fn configure(_: Config) -> Result<Self, Error> {
/// #         Ok(Self)
/// #     }
/// # }
/// /// Compares a die with a number.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct BeatsArgs {
///     /// The number.
///     number: u64,
/// }
///
/// #[derive(Serialize, JsonSchema)]
/// struct Beaten {
///     /// Whether the die shows more.
///     beats: bool,
/// }
///
/// struct Beats;
///
/// impl Method for Beats {
///     type Provider = Dice;
///     type Args = BeatsArgs;
///     type Return = Beaten;
///     const TOKEN: &'static str = "dice:index:Die/beats";
///
///     async fn call(_: &Context<Dice>, die: Receiver, args: BeatsArgs) -> Result<Beaten, Error> {
///         let shown: u64 = die.known("number").unwrap_or_default();
///         Ok(Beaten { beats: shown > args.number })
///     }
/// }
/// ```
pub trait Method: Send + Sync + 'static {
    /// The provider it belongs to.
    type Provider: Provider;
    /// The arguments beyond the resource. The doc comment is the method's description.
    type Args: Properties;
    /// The result.
    type Return: Serialize + JsonSchema + Send + Sync + 'static;

    /// The resource's or component's token, a slash, and the method's name: `ptd:aws:Bootstrap/describe`.
    const TOKEN: &'static str;

    /// Does the work. It must not write.
    fn call(
        cx: &Context<Self::Provider>,
        receiver: Receiver,
        args: Self::Args,
    ) -> impl Future<Output = Result<Self::Return, Error>> + Send;
}

pub(crate) trait AnyMethod<P>: Send + Sync {
    fn call<'a>(
        &'a self,
        cx: &'a Context<P>,
        receiver: Receiver,
        args: PropertyMap,
    ) -> BoxFuture<'a, Result<PropertyMap, Error>>;
}

pub(crate) struct TypedMethod<M>(pub(crate) PhantomData<fn() -> M>);

impl<M: Method> AnyMethod<M::Provider> for TypedMethod<M> {
    fn call<'a>(
        &'a self,
        cx: &'a Context<M::Provider>,
        receiver: Receiver,
        args: PropertyMap,
    ) -> BoxFuture<'a, Result<PropertyMap, Error>> {
        async move {
            let args = from_properties(&args)?;
            Ok(to_properties(&M::call(cx, receiver, args).await?)?)
        }
        .boxed()
    }
}
