//! Create, Read, Update, Delete and Invoke.

use std::collections::BTreeSet;

use pulumi_proto::pulumirpc as rpc;
use tonic::Status;

use super::plan::failures;
use super::status::{init_failed, to_status};
use super::{Server, decode, kind, name_of, type_of};
use crate::check::Checking;
use crate::context::{Context, Setting};
use crate::erased::Stored;
use crate::error::Error;
use crate::method::Receiver;
use crate::package::ResourceKind;
use crate::redact::Guard;
use crate::resource::{Prediction, Provider};
use crate::schema::ObjectSpec;
use crate::value::{PropertyMap, PropertyValue};

impl<P: Provider> Server<P> {
    fn context(
        &self,
        operation: &'static str,
        urn: &str,
        name: &str,
        preview: bool,
        timeout: f64,
        guard: Guard,
    ) -> Result<Context<P>, Status> {
        let setting = Setting {
            urn: urn.to_owned(),
            name: name_of(urn, name).to_owned(),
            operation,
            preview,
            engine: self.shared.engine.clone(),
            cancel: self.shared.cancellation(),
            timeout,
        };
        Ok(Context::new(self.shared.configured()?, setting, guard))
    }

    fn resource_kind(&self, urn: &str, token: &str) -> Result<&ResourceKind<P>, Status> {
        kind(
            &self.shared.package.resources,
            type_of(urn, token),
            "resource type",
        )
    }

    pub(super) async fn create_(
        &self,
        request: &rpc::CreateRequest,
    ) -> Result<rpc::CreateResponse, Status> {
        let kind = self.resource_kind(&request.urn, &request.r#type)?;
        let mut guard = Guard::default();
        let inputs = decode(request.properties.as_ref(), &mut guard)?;
        let (urn, name) = (&request.urn, &request.name);
        let cx = self
            .context(
                "creating",
                urn,
                name,
                request.preview,
                request.timeout,
                guard,
            )?
            .shown_at(
                &request.resource_status_address,
                &request.resource_status_token,
            );
        if request.preview {
            let properties = predict(kind, &cx, inputs, None).await?;
            let properties = Some(crate::wire::encode(&properties));
            return Ok(rpc::CreateResponse {
                id: String::new(),
                properties,
                refresh_before_update: false,
            });
        }
        match cx.bound(kind.work.create(&cx, inputs.clone())).await {
            Ok((id, state)) => Ok(rpc::CreateResponse {
                id,
                properties: Some(crate::wire::encode(&finish(kind, &inputs, state))),
                refresh_before_update: false,
            }),
            Err(error) => Err(match cx.last_checkpoint() {
                Some(made) => {
                    let properties = finish(kind, &inputs, made.state);
                    init_failed(&error, made.id, &properties, None, &[error.to_string()])
                }
                None => to_status(&error),
            }),
        }
    }

    pub(super) async fn read_(
        &self,
        request: &rpc::ReadRequest,
    ) -> Result<rpc::ReadResponse, Status> {
        let kind = self.resource_kind(&request.urn, &request.r#type)?;
        let mut guard = Guard::default();
        // Both unset: an import, of which nothing is known but the id.
        let import = request.properties.is_none() && request.inputs.is_none();
        let outputs = decode(request.properties.as_ref(), &mut guard)?;
        let inputs = decode(request.inputs.as_ref(), &mut guard)?;
        let cx = self.context(
            "reading",
            &request.urn,
            &request.name,
            false,
            request.timeout,
            guard,
        )?;
        let old = (!import).then(|| kind.stored(inputs, outputs));
        let asked = old.as_ref().map(|old| old.inputs.clone());
        let found = cx
            .bound(kind.work.read(&cx, &request.id, old))
            .await
            .map_err(|e| to_status(&e))?;
        let Some(found) = found else {
            return Ok(rpc::ReadResponse::default());
        };
        let id = found.id.unwrap_or_else(|| request.id.clone());
        let inputs = keep_marks(found.inputs, &asked.unwrap_or_default());
        let inputs = mark(inputs, &kind.inputs);
        let outputs = mark(outputs_of(&inputs, found.state), &kind.inputs);
        let outputs = mark(outputs, &kind.outputs);
        if !found.problems.is_empty() {
            let unhealthy = Error::Refused {
                what: found.problems.join("; "),
                next: None,
            };
            return Err(init_failed(
                &unhealthy,
                id,
                &outputs,
                Some(&inputs),
                &found.problems,
            ));
        }
        Ok(rpc::ReadResponse {
            id,
            properties: Some(crate::wire::encode(&outputs)),
            inputs: Some(crate::wire::encode(&inputs)),
            refresh_before_update: false,
        })
    }

    pub(super) async fn update_(
        &self,
        request: &rpc::UpdateRequest,
    ) -> Result<rpc::UpdateResponse, Status> {
        let kind = self.resource_kind(&request.urn, &request.r#type)?;
        let mut guard = Guard::default();
        let inputs = decode(request.news.as_ref(), &mut guard)?;
        let outputs = decode(request.olds.as_ref(), &mut guard)?;
        let stored = kind.stored(decode(request.old_inputs.as_ref(), &mut guard)?, outputs);
        let (urn, name) = (&request.urn, &request.name);
        let cx = self
            .context(
                "updating",
                urn,
                name,
                request.preview,
                request.timeout,
                guard,
            )?
            .shown_at(
                &request.resource_status_address,
                &request.resource_status_token,
            );
        if request.preview {
            let old = Some((request.id.clone(), stored));
            let properties = predict(kind, &cx, inputs, old).await?;
            let properties = Some(crate::wire::encode(&properties));
            return Ok(rpc::UpdateResponse {
                properties,
                refresh_before_update: false,
            });
        }
        match cx
            .bound(kind.work.update(&cx, &request.id, stored, inputs.clone()))
            .await
        {
            Ok(state) => Ok(rpc::UpdateResponse {
                properties: Some(crate::wire::encode(&finish(kind, &inputs, state))),
                refresh_before_update: false,
            }),
            Err(error) => Err(match cx.last_checkpoint() {
                Some(made) => {
                    let properties = finish(kind, &inputs, made.state);
                    init_failed(&error, made.id, &properties, None, &[error.to_string()])
                }
                None => to_status(&error),
            }),
        }
    }

    pub(super) async fn delete_(&self, request: &rpc::DeleteRequest) -> Result<(), Status> {
        let kind = self.resource_kind(&request.urn, &request.r#type)?;
        let mut guard = Guard::default();
        let outputs = decode(request.properties.as_ref(), &mut guard)?;
        let stored = kind.stored(decode(request.old_inputs.as_ref(), &mut guard)?, outputs);
        let cx = self.context(
            "deleting",
            &request.urn,
            &request.name,
            false,
            request.timeout,
            guard,
        )?;
        cx.bound(kind.work.delete(&cx, &request.id, stored))
            .await
            .map_err(|e| to_status(&e))
    }

    pub(super) async fn invoke_(
        &self,
        request: &rpc::InvokeRequest,
    ) -> Result<rpc::InvokeResponse, Status> {
        let shared = &self.shared;
        let kind = kind(&shared.package.functions, &request.tok, "function")?;
        let mut guard = Guard::default();
        let mut checking = Checking {
            name: request.tok.clone(),
            ..shared.checking(&kind.inputs, decode(request.args.as_ref(), &mut guard)?)
        };
        checking.run_guarded(&mut guard);
        let (inputs, result) = if checking.is_ok() {
            let inputs = checking.inputs;
            let cx = self.context("calling", "", &request.tok, request.preview, 0.0, guard)?;
            let result = cx.bound(kind.work.invoke(&cx, inputs.clone())).await;
            (inputs, result)
        } else {
            (checking.inputs, Err(Error::Input(checking.failures)))
        };
        let (result, failures) = answer(result, &kind.outputs, &inputs, &kind.inputs)?;
        Ok(rpc::InvokeResponse {
            r#return: result.as_ref().map(crate::wire::encode),
            failures,
        })
    }

    pub(super) async fn call_(
        &self,
        request: &rpc::CallRequest,
    ) -> Result<rpc::CallResponse, Status> {
        let shared = &self.shared;
        let kind = kind(&shared.package.methods, &request.tok, "method")?;
        let mut guard = Guard::default();
        let mut inputs = decode(request.args.as_ref(), &mut guard)?;
        let receiver = inputs.remove("__self__");
        let Some(PropertyValue::Resource(reference)) =
            receiver.as_ref().and_then(PropertyValue::bare)
        else {
            return Err(Status::invalid_argument(format!(
                "{} is called on no resource",
                request.tok
            )));
        };
        let mut checking = Checking {
            name: request.tok.clone(),
            ..shared.checking(&kind.inputs, inputs)
        };
        checking.run_guarded(&mut guard);
        let (inputs, result) = if !checking.is_ok() {
            (checking.inputs, Err(Error::Input(checking.failures)))
        } else if checking.inputs.values().any(PropertyValue::has_unknown) {
            let unknown = |(name, _): &(String, _)| (name.clone(), PropertyValue::UNKNOWN);
            let result = kind.outputs.properties.iter().map(unknown).collect();
            (checking.inputs, Ok(result))
        } else {
            let inputs = checking.inputs;
            let cx = self.context(
                "calling",
                &reference.urn,
                &request.tok,
                request.dry_run,
                0.0,
                guard,
            )?;
            let work = async {
                let receiver = Receiver::fetch(reference, &request.monitor_endpoint).await?;
                kind.work.call(&cx, receiver, inputs.clone()).await
            };
            let result = cx.bound(work).await;
            (inputs, result)
        };
        let (result, failures) = answer(result, &kind.outputs, &inputs, &kind.inputs)?;
        let depends = rpc::call_response::ReturnDependencies {
            urns: vec![reference.urn.clone()],
        };
        let names = result.iter().flat_map(PropertyMap::keys);
        Ok(rpc::CallResponse {
            return_dependencies: names.map(|name| (name.clone(), depends.clone())).collect(),
            r#return: result.as_ref().map(crate::wire::encode),
            failures,
        })
    }
}

/// What a function or method gives, or what is wrong with its arguments.
fn answer(
    result: Result<PropertyMap, Error>,
    spec: &ObjectSpec,
    inputs: &PropertyMap,
    args: &ObjectSpec,
) -> Result<(Option<PropertyMap>, Vec<rpc::CheckFailure>), Status> {
    match result {
        Ok(result) => Ok((Some(mark(result, spec)), Vec::new())),
        Err(Error::Input(list)) => Ok((None, failures(list, inputs, args))),
        Err(error) => Err(to_status(&error)),
    }
}

impl<P> ResourceKind<P> {
    /// What the engine stores of a resource. The outputs of engines that do not send old inputs contain them, save those that an
    /// output of the same name has taken the place of.
    pub(super) fn stored(&self, mut inputs: PropertyMap, outputs: PropertyMap) -> Stored {
        if inputs.is_empty() {
            let asked =
                |name: &str| self.inputs.get(name).is_some() && self.outputs.get(name).is_none();
            inputs = outputs
                .iter()
                .filter(|(name, _)| asked(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
        }
        Stored { inputs, outputs }
    }
}

/// Outputs are what was asked for and what is known beyond it.
fn outputs_of(inputs: &PropertyMap, mut state: PropertyMap) -> PropertyMap {
    hide_derived(inputs, &mut state);
    let mut outputs = inputs.clone();
    outputs.extend(state);
    outputs
}

/// An output that repeats a text of a secret input is secret too; the engine marks only outputs of the input's name.
fn hide_derived(inputs: &PropertyMap, outputs: &mut PropertyMap) {
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
fn keep_marks(mut fresh: PropertyMap, old: &PropertyMap) -> PropertyMap {
    for (name, value) in &mut fresh {
        let Some(old) = old.get(name) else { continue };
        let lost = old.is_secret() && !value.is_secret();
        if lost || (old.has_secret() && !value.has_secret()) {
            *value = std::mem::take(value).into_secret();
        }
    }
    fresh
}

/// Outputs whose type says that they are secret are sent as such.
fn mark(mut map: PropertyMap, spec: &ObjectSpec) -> PropertyMap {
    for (name, value) in &mut map {
        if spec.get(name).is_some_and(|p| p.secret) && !value.is_secret() {
            *value = std::mem::take(value).into_secret();
        }
    }
    map
}

fn finish<P>(kind: &ResourceKind<P>, inputs: &PropertyMap, state: PropertyMap) -> PropertyMap {
    outputs_of(inputs, mark(state, &kind.outputs))
}

/// The outputs a preview can promise: the inputs, and of the rest what an update leaves alone or the resource knows.
async fn predict<P>(
    kind: &ResourceKind<P>,
    cx: &Context<P>,
    inputs: PropertyMap,
    old: Option<(String, Stored)>,
) -> Result<PropertyMap, Status> {
    let given = inputs.clone();
    let mut prediction = Prediction {
        outputs: inputs.clone(),
        problem: None,
    };
    for (name, property) in &kind.outputs.properties {
        let kept = old
            .as_ref()
            .filter(|_| property.stable)
            .and_then(|(_, stored)| stored.outputs.get(name));
        let value = match kept {
            Some(value) => value.clone(),
            None if property.secret => PropertyValue::UNKNOWN.into_secret(),
            None => PropertyValue::UNKNOWN,
        };
        prediction.outputs.insert(name.clone(), value);
    }
    let work = kind.work.preview(cx, inputs, old, &mut prediction);
    cx.bound(work).await.map_err(|e| to_status(&e))?;
    if let Some(problem) = prediction.problem {
        return Err(to_status(&Error::Bug(problem)));
    }
    hide_derived(&given, &mut prediction.outputs);
    Ok(prediction.outputs)
}
