//! The traits a provider's author implements.

use std::future::{Future, ready};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::Checking;
use crate::context::Context;
use crate::diff::Diff;
use crate::error::Error;
use crate::value::{PropertyMap, PropertyValue};

/// A struct whose fields are properties: `#[derive(Serialize, Deserialize, JsonSchema)]` with
/// `#[serde(rename_all = "camelCase")]` is all it takes. Doc comments become descriptions in schema and SDKs;
/// [`PropertySpec`](crate::schema::PropertySpec) lists what else a field can say.
///
/// Data may have been written by an older version of the provider: give fields that were added later `#[serde(default)]`.
pub trait Properties: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static> Properties for T {}

/// What is configured once and shared by all resources: credentials, clients, defaults.
pub trait Provider: Sized + Send + Sync + 'static {
    /// The provider's configuration. Values may arrive as JSON text; the framework reads both forms.
    type Config: Properties;

    /// Checks configuration that the schema alone cannot check.
    fn check(checking: &mut Checking<'_>) {
        let _ = checking;
    }

    /// Refines the changes of the configuration of the provider with that URN. Resources of a provider that is replaced are replaced
    /// with it: by default nothing replaces one.
    fn diff(diff: &mut Diff, urn: &str) {
        let _ = (diff, urn);
    }

    /// Builds the provider. It must be quick and must not call anything remote.
    fn configure(config: Self::Config) -> Result<Self, Error>;
}

/// A custom resource.
///
/// `Args` are what the user says, `State` is what only the cloud or the provider knows; the resource's outputs are both
/// together. The doc comment of `Args` is the resource's description.
pub trait Resource: Sized + Send + Sync + 'static {
    /// The provider it belongs to.
    type Provider: Provider;
    /// The inputs.
    type Args: Properties;
    /// The outputs beyond the inputs.
    type State: Properties;

    /// The type token, such as `ptd:aws:StateBucket`.
    const TOKEN: &'static str;
    /// Tokens the type had before.
    const ALIASES: &'static [&'static str] = &[];
    /// Whether every change replaces the resource.
    const IMMUTABLE: bool = false;

    /// Checks what the schema alone cannot check, and brings inputs into the form that `read` gives.
    fn check(checking: &mut Checking<'_>, provider: Option<&Self::Provider>) {
        let _ = (checking, provider);
    }

    /// Refines the changes that the schema found. No I/O.
    fn diff(
        diff: &mut Diff,
        old: &Prior<Self>,
        news: &PropertyMap,
        provider: Option<&Self::Provider>,
    ) {
        let _ = (diff, old, news, provider);
    }

    /// Says which outputs are known before the create or update runs. It may read but not write.
    ///
    /// Without it, all outputs of a create are unknown; an update keeps those marked `stable`.
    fn preview(
        cx: &Context<Self::Provider>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (cx, request, prediction);
        ready(Ok(()))
    }

    /// Makes the resource. [`Context::checkpoint`] keeps what exists when a later step fails.
    fn create(
        cx: &Context<Self::Provider>,
        args: Self::Args,
    ) -> impl Future<Output = Result<Created<Self::State>, Error>> + Send;

    /// Looks at the real thing: `None` when it does not exist. It must not write. `prior` is absent in an import.
    fn read(
        cx: &Context<Self::Provider>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> impl Future<Output = Result<Option<Observed<Self>>, Error>> + Send;

    /// Changes the resource. It must be safe to repeat.
    fn update(
        cx: &Context<Self::Provider>,
        id: &str,
        old: Prior<Self>,
        args: Self::Args,
    ) -> impl Future<Output = Result<Self::State, Error>> + Send {
        let _ = (cx, id, old, args);
        ready(Err(Error::Bug(format!("{} has no update", Self::TOKEN))))
    }

    /// Removes the resource; what is gone already is a success.
    fn delete(
        cx: &Context<Self::Provider>,
        id: &str,
        old: Prior<Self>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The id and outputs of a new resource.
#[derive(Debug, Clone)]
pub struct Created<S> {
    /// The id; never empty.
    pub id: String,
    /// The outputs beyond the inputs.
    pub state: S,
}

/// What the engine has stored of a resource. Fields are `None` where an older version wrote what no longer fits.
pub struct Prior<R: Resource> {
    /// The inputs.
    pub args: Option<R::Args>,
    /// The outputs beyond the inputs.
    pub state: Option<R::State>,
    /// The inputs as stored.
    pub inputs: PropertyMap,
    /// The outputs as stored, inputs among them.
    pub outputs: PropertyMap,
}

impl<R: Resource> Prior<R> {
    /// The inputs, or an error that names what does not fit.
    pub fn require_args(&self) -> Result<R::Args, Error> {
        Ok(crate::de::from_properties(&self.inputs)?)
    }
}

/// What a look at the real thing found.
pub struct Observed<R: Resource> {
    /// The id, where it differs from the one that was asked for.
    pub id: Option<String>,
    /// The inputs that would produce what is there.
    pub args: R::Args,
    /// The outputs beyond the inputs.
    pub state: R::State,
    /// What keeps the resource from being usable; it is stored, and the next update repairs it.
    pub problems: Vec<String>,
}

impl<R: Resource> Observed<R> {
    /// A healthy resource under the id that was asked for.
    pub fn new(args: R::Args, state: R::State) -> Self {
        Self {
            id: None,
            args,
            state,
            problems: Vec::new(),
        }
    }
}

/// A create or update that is only being previewed.
pub struct Preview<R: Resource> {
    /// The new inputs; some may be unknown.
    pub inputs: PropertyMap,
    /// The new inputs as a struct, when all are known.
    pub args: Option<R::Args>,
    /// The id and what is stored, for an update.
    pub old: Option<(String, Prior<R>)>,
}

impl<R: Resource> Preview<R> {
    /// An input that is given, known and of that type.
    #[must_use]
    pub fn known<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        crate::de::from_value(self.inputs.get(name)?).ok()
    }
}

/// The outputs that a preview promises.
#[derive(Debug, Default)]
pub struct Prediction {
    pub(crate) outputs: PropertyMap,
    pub(crate) problem: Option<String>,
}

impl Prediction {
    /// Promises a value. Only what is certain may be promised: it reaches other resources as a fact.
    pub fn known(&mut self, name: &str, value: impl Serialize) {
        match (self.outputs.get_mut(name), crate::ser::to_value(&value)) {
            (Some(slot), Ok(value)) => {
                *slot = if slot.has_secret() {
                    value.into_secret()
                } else {
                    value
                };
            }
            (None, _) => self.problem = Some(format!("there is no output '{name}' to predict")),
            (_, Err(error)) => self.problem = Some(error.to_string()),
        }
    }

    /// Promises a value of which parts may be unknown.
    pub fn value(&mut self, name: &str, value: PropertyValue) {
        match self.outputs.get_mut(name) {
            Some(slot) => *slot = value,
            None => self.problem = Some(format!("there is no output '{name}' to predict")),
        }
    }

    /// Takes back a promise that the framework made.
    pub fn unknown(&mut self, name: &str) {
        self.outputs.insert(name.to_owned(), PropertyValue::UNKNOWN);
    }
}

/// A function that programs can call.
///
/// ```
/// use pulumi_provider::{Context, Error, Function};
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
/// /// Adds up.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct SumArgs {
///     /// What to add up.
///     numbers: Vec<i64>,
/// }
///
/// /// What it comes to.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct SumResult {
///     /// The sum.
///     sum: i64,
/// }
///
/// struct Sum;
///
/// impl Function for Sum {
///     type Provider = Dice;
///     type Args = SumArgs;
///     type Return = SumResult;
///     const TOKEN: &'static str = "dice:index:sum";
///
///     async fn invoke(_: &Context<Dice>, args: SumArgs) -> Result<SumResult, Error> {
///         Ok(SumResult { sum: args.numbers.iter().sum() })
///     }
/// }
/// ```
pub trait Function: Send + Sync + 'static {
    /// The provider it belongs to.
    type Provider: Provider;
    /// The arguments. The doc comment is the function's description.
    type Args: Properties;
    /// The result.
    type Return: Serialize + JsonSchema + Send + Sync + 'static;

    /// The token, such as `ptd:index:getTarget`.
    const TOKEN: &'static str;

    /// Does the work. It must not write.
    fn invoke(
        cx: &Context<Self::Provider>,
        args: Self::Args,
    ) -> impl Future<Output = Result<Self::Return, Error>> + Send;
}
