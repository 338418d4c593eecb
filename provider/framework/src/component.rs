//! Component resources: a resource made of other resources.

use std::future::Future;
use std::marker::PhantomData;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::check::Checking;
use crate::error::Error;
use crate::monitor::{Construction, Outputs};
use crate::resource::{Properties, Provider};

/// A resource that consists of others, which it registers when it is constructed.
///
/// ```
/// use pulumi_provider::{Child, Component, Construction, Error, Outputs};
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
/// # use pulumi_provider::{Context, Created, Observed, Prior, Resource};
/// # /// A die.
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct Die {
/// #     /// How many sides it has.
/// #     sides: u64,
/// # }
/// # /// How it fell.
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct Fallen {
/// #     /// From 1 to the number of sides.
/// #     number: u64,
/// # }
/// # impl Resource for Die {
/// #     type Provider = Dice;
/// #     type Args = Self;
/// #     type State = Fallen;
/// #     const TOKEN: &'static str = "dice:index:Die";
/// #     const IMMUTABLE: bool = true;
/// #     async fn create(_: &Context<Dice>, _: Self) -> Result<Created<Fallen>, Error> {
/// #         Ok(Created { id: "1".to_owned(), state: Fallen { number: 1 } })
/// #     }
/// #     async fn read(_: &Context<Dice>, _: &str, old: Option<Prior<Self>>) -> Result<Option<Observed<Self>>, Error> {
/// #         Ok(old.and_then(|old| Some(Observed::new(old.args?, old.state?))))
/// #     }
/// #     async fn delete(_: &Context<Dice>, _: &str, _: Prior<Self>) -> Result<(), Error> {
/// #         Ok(())
/// #     }
/// # }
/// /// Two dice with the same number of sides.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct PairArgs {
///     /// How many sides each has.
///     sides: u64,
/// }
///
/// /// How they fell.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct PairOutputs {
///     /// What the first shows.
///     first: u64,
///     /// What the second shows.
///     second: u64,
/// }
///
/// struct Pair;
///
/// impl Component for Pair {
///     type Provider = Dice;
///     type Args = PairArgs;
///     type Outputs = PairOutputs;
///     const TOKEN: &'static str = "dice:index:Pair";
///
///     async fn construct(cx: Construction<Dice>) -> Result<Outputs, Error> {
///         let mut outputs = Outputs::new();
///         for which in ["first", "second"] {
///             let die = Child::of::<Die>(format!("{}-{which}", cx.name())).input("sides", cx.input("sides"));
///             outputs.insert(which.to_owned(), cx.register(die).await?.output("number"));
///         }
///         Ok(outputs)
///     }
/// }
/// ```
pub trait Component: Sized + Send + Sync + 'static {
    /// The provider it belongs to.
    type Provider: Provider;
    /// The inputs. The doc comment is the component's description.
    type Args: Properties;
    /// The outputs.
    type Outputs: Properties;

    /// The type token, such as `ptd:aws:Bootstrap`.
    const TOKEN: &'static str;

    /// Checks what the schema alone cannot check, before anything is registered.
    fn check(checking: &mut Checking<'_>, provider: Option<&Self::Provider>) {
        let _ = (checking, provider);
    }

    /// Registers the children and gives the outputs. Inputs were validated against the schema; some may be unknown.
    fn construct(
        cx: Construction<Self::Provider>,
    ) -> impl Future<Output = Result<Outputs, Error>> + Send;
}

pub(crate) trait AnyComponent<P>: Send + Sync {
    fn check(&self, checking: &mut Checking<'_>, provider: Option<&P>);
    fn construct(&self, cx: Construction<P>) -> BoxFuture<'static, Result<Outputs, Error>>;
}

pub(crate) struct TypedComponent<C>(pub(crate) PhantomData<fn() -> C>);

impl<C: Component> AnyComponent<C::Provider> for TypedComponent<C> {
    fn check(&self, checking: &mut Checking<'_>, provider: Option<&C::Provider>) {
        C::check(checking, provider);
    }

    fn construct(
        &self,
        cx: Construction<C::Provider>,
    ) -> BoxFuture<'static, Result<Outputs, Error>> {
        C::construct(cx).boxed()
    }
}
