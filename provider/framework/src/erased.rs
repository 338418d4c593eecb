//! Resources and functions without their types, as the server calls them.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::check::Checking;
use crate::context::Context;
use crate::de::from_properties;
use crate::diff::Diff;
use crate::error::Error;
use crate::resource::{Function, Prediction, Preview, Prior, Resource};
use crate::schema::ObjectSpec;
use crate::ser::to_properties;
use crate::value::{PropertyMap, PropertyValue};

/// What the engine stores of a resource, as sent.
pub(crate) struct Stored {
    pub(crate) inputs: PropertyMap,
    pub(crate) outputs: PropertyMap,
}

/// What a read found.
pub(crate) struct Found {
    pub(crate) id: Option<String>,
    pub(crate) inputs: PropertyMap,
    pub(crate) outputs: PropertyMap,
    pub(crate) problems: Vec<String>,
}

pub(crate) trait AnyResource<P>: Send + Sync {
    fn aliases(&self) -> &'static [&'static str];
    fn immutable(&self) -> bool;
    fn inputs(&self) -> &ObjectSpec;
    fn state(&self) -> &ObjectSpec;
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

pub(crate) struct Typed<R> {
    pub(crate) inputs: ObjectSpec,
    pub(crate) state: ObjectSpec,
    pub(crate) of: PhantomData<fn() -> R>,
}

impl<R: Resource> Typed<R> {
    fn prior(&self, mut old: Stored) -> Prior<R> {
        if old.inputs.is_empty() {
            // Engines that do not send old inputs: the outputs contain them, save those that an output of the same name
            // has taken the place of.
            old.inputs = old
                .outputs
                .iter()
                .filter(|(name, _)| {
                    self.inputs.get(name).is_some() && self.state.get(name).is_none()
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
        }
        Prior {
            args: from_properties(&old.inputs).ok(),
            state: from_properties(&old.outputs).ok(),
            inputs: old.inputs,
            outputs: old.outputs,
        }
    }
}

/// Outputs are what was asked for and what is known beyond it.
pub(crate) fn outputs(inputs: &PropertyMap, mut state: PropertyMap) -> PropertyMap {
    hide_derived(inputs, &mut state);
    let mut outputs = inputs.clone();
    outputs.extend(state);
    outputs
}

/// An output that repeats a text of a secret input is secret too; the engine marks only outputs of the input's name.
pub(crate) fn hide_derived(inputs: &PropertyMap, outputs: &mut PropertyMap) {
    let mut secrets = BTreeSet::new();
    for value in inputs.values() {
        value.secret_texts(&mut |text| {
            secrets.insert(text.to_owned());
        });
    }
    secrets.remove("");
    if secrets.is_empty() {
        return;
    }
    let repeats = |value: &PropertyValue| value.as_str().is_some_and(|text| secrets.contains(text));
    for value in outputs.values_mut() {
        if !value.has_secret() && value.any(&repeats) {
            *value = std::mem::take(value).into_secret();
        }
    }
}

/// A read value replaces a secret one only as a secret.
fn keep_marks(mut fresh: PropertyMap, old: &PropertyMap, spec: &ObjectSpec) -> PropertyMap {
    for (name, value) in &mut fresh {
        let old = old.get(name);
        let whole =
            old.is_some_and(PropertyValue::is_secret) || spec.get(name).is_some_and(|p| p.secret);
        let part = old.is_some_and(PropertyValue::has_secret);
        if (whole && !value.is_secret()) || (part && !value.has_secret()) {
            *value = std::mem::take(value).into_secret();
        }
    }
    fresh
}

impl<R: Resource> AnyResource<R::Provider> for Typed<R> {
    fn aliases(&self) -> &'static [&'static str] {
        R::ALIASES
    }

    fn immutable(&self) -> bool {
        R::IMMUTABLE
    }

    fn inputs(&self) -> &ObjectSpec {
        &self.inputs
    }

    fn state(&self) -> &ObjectSpec {
        &self.state
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
        R::diff(diff, &self.prior(old), news, provider);
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
            let old = old.map(|(id, stored)| (id, self.prior(stored)));
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
            let prior = old.map(|old| self.prior(old));
            let marks = prior.as_ref().map(|p| p.inputs.clone()).unwrap_or_default();
            let Some(observed) = R::read(cx, id, prior).await? else {
                return Ok(None);
            };
            let inputs = keep_marks(to_properties(&observed.args)?, &marks, &self.inputs);
            let state = to_properties(&observed.state)?;
            let outputs = outputs(&inputs, state);
            Ok(Some(Found {
                id: observed.id,
                inputs,
                outputs,
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
            let state = R::update(cx, id, self.prior(old), args).await?;
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
        async move { R::delete(cx, id, self.prior(old)).await }.boxed()
    }
}

pub(crate) trait AnyFunction<P>: Send + Sync {
    fn args(&self) -> &ObjectSpec;
    fn result(&self) -> &ObjectSpec;
    fn invoke<'a>(
        &'a self,
        cx: &'a Context<P>,
        args: PropertyMap,
    ) -> BoxFuture<'a, Result<PropertyMap, Error>>;
}

pub(crate) struct TypedFunction<F> {
    pub(crate) args: ObjectSpec,
    pub(crate) result: ObjectSpec,
    pub(crate) of: PhantomData<fn() -> F>,
}

impl<F: Function> AnyFunction<F::Provider> for TypedFunction<F> {
    fn args(&self) -> &ObjectSpec {
        &self.args
    }

    fn result(&self) -> &ObjectSpec {
        &self.result
    }

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
