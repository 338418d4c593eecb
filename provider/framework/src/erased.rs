//! Resources and functions without their types, as the server calls them.

use std::marker::PhantomData;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::check::Checking;
use crate::context::Context;
use crate::de::from_properties;
use crate::diff::Diff;
use crate::error::Error;
use crate::resource::{Function, Prediction, Preview, Prior, Resource};
use crate::ser::to_properties;
use crate::value::PropertyMap;

/// What the engine stores of a resource, as sent.
pub(crate) struct Stored {
    pub(crate) inputs: PropertyMap,
    pub(crate) outputs: PropertyMap,
}

/// What a read found.
pub(crate) struct Found {
    pub(crate) id: Option<String>,
    pub(crate) inputs: PropertyMap,
    pub(crate) state: PropertyMap,
    pub(crate) problems: Vec<String>,
}

pub(crate) trait AnyResource<P>: Send + Sync {
    fn aliases(&self) -> &'static [&'static str];
    fn immutable(&self) -> bool;
    fn check(&self, checking: &mut Checking<'_>, provider: Option<&P>);
    fn diff(&self, diff: &mut Diff, old: Stored, news: &PropertyMap, provider: Option<&P>);
    fn preview<'a>(
        &'a self,
        cx: &'a Context<P>,
        inputs: PropertyMap,
        old: Option<(String, Stored)>,
        prediction: &'a mut Prediction,
    ) -> BoxFuture<'a, Result<(), Error>>;
    fn create<'a>(
        &'a self,
        cx: &'a Context<P>,
        inputs: PropertyMap,
    ) -> BoxFuture<'a, Result<(String, PropertyMap), Error>>;
    fn read<'a>(
        &'a self,
        cx: &'a Context<P>,
        id: &'a str,
        old: Option<Stored>,
    ) -> BoxFuture<'a, Result<Option<Found>, Error>>;
    fn update<'a>(
        &'a self,
        cx: &'a Context<P>,
        id: &'a str,
        old: Stored,
        inputs: PropertyMap,
    ) -> BoxFuture<'a, Result<PropertyMap, Error>>;
    fn delete<'a>(
        &'a self,
        cx: &'a Context<P>,
        id: &'a str,
        old: Stored,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

pub(crate) struct Typed<R>(pub(crate) PhantomData<fn() -> R>);

impl Stored {
    fn typed<R: Resource>(self) -> Prior<R> {
        Prior {
            args: from_properties(&self.inputs).ok(),
            state: from_properties(&self.outputs).ok(),
            inputs: self.inputs,
            outputs: self.outputs,
        }
    }
}

impl<R: Resource> AnyResource<R::Provider> for Typed<R> {
    fn aliases(&self) -> &'static [&'static str] {
        R::ALIASES
    }

    fn immutable(&self) -> bool {
        R::IMMUTABLE
    }

    fn check(&self, checking: &mut Checking<'_>, provider: Option<&R::Provider>) {
        R::check(checking, provider);
    }

    fn diff(
        &self,
        diff: &mut Diff,
        old: Stored,
        news: &PropertyMap,
        provider: Option<&R::Provider>,
    ) {
        R::diff(diff, &old.typed(), news, provider);
    }

    fn preview<'a>(
        &'a self,
        cx: &'a Context<R::Provider>,
        inputs: PropertyMap,
        old: Option<(String, Stored)>,
        prediction: &'a mut Prediction,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let args = from_properties(&inputs).ok();
            let old = old.map(|(id, stored)| (id, stored.typed()));
            let request = Preview { inputs, args, old };
            R::preview(cx, &request, prediction).await
        }
        .boxed()
    }

    fn create<'a>(
        &'a self,
        cx: &'a Context<R::Provider>,
        inputs: PropertyMap,
    ) -> BoxFuture<'a, Result<(String, PropertyMap), Error>> {
        async move {
            let args = from_properties(&inputs)?;
            let created = R::create(cx, args).await?;
            if created.id.is_empty() {
                return Err(Error::Bug(format!(
                    "{} was created without an id",
                    R::TOKEN
                )));
            }
            Ok((created.id, to_properties(&created.state)?))
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        cx: &'a Context<R::Provider>,
        id: &'a str,
        old: Option<Stored>,
    ) -> BoxFuture<'a, Result<Option<Found>, Error>> {
        async move {
            let Some(observed) = R::read(cx, id, old.map(Stored::typed)).await? else {
                return Ok(None);
            };
            Ok(Some(Found {
                id: observed.id,
                inputs: to_properties(&observed.args)?,
                state: to_properties(&observed.state)?,
                problems: observed.problems,
            }))
        }
        .boxed()
    }

    fn update<'a>(
        &'a self,
        cx: &'a Context<R::Provider>,
        id: &'a str,
        old: Stored,
        inputs: PropertyMap,
    ) -> BoxFuture<'a, Result<PropertyMap, Error>> {
        async move {
            let args = from_properties(&inputs)?;
            let state = R::update(cx, id, old.typed(), args).await?;
            Ok(to_properties(&state)?)
        }
        .boxed()
    }

    fn delete<'a>(
        &'a self,
        cx: &'a Context<R::Provider>,
        id: &'a str,
        old: Stored,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move { R::delete(cx, id, old.typed()).await }.boxed()
    }
}

pub(crate) trait AnyFunction<P>: Send + Sync {
    fn invoke<'a>(
        &'a self,
        cx: &'a Context<P>,
        args: PropertyMap,
    ) -> BoxFuture<'a, Result<PropertyMap, Error>>;
}

pub(crate) struct TypedFunction<F>(pub(crate) PhantomData<fn() -> F>);

impl<F: Function> AnyFunction<F::Provider> for TypedFunction<F> {
    fn invoke<'a>(
        &'a self,
        cx: &'a Context<F::Provider>,
        args: PropertyMap,
    ) -> BoxFuture<'a, Result<PropertyMap, Error>> {
        async move {
            let args = from_properties(&args)?;
            Ok(to_properties(&F::invoke(cx, args).await?)?)
        }
        .boxed()
    }
}
