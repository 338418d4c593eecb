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
