//! The provider's own configuration.

use std::sync::{Arc, PoisonError};

use pulumi_proto::pulumirpc as rpc;
use tonic::Status;

use super::plan::{diff_response, failures};
use super::status::{missing_keys, to_status};
use super::{Server, decode};
use crate::check::{Checking, from_text};
use crate::diff::Diff;
use crate::redact::{Guard, scrub};
use crate::resource::Provider;
use crate::schema::{ObjectSpec, TypeSpec, Types};
use crate::value::{PropertyMap, PropertyValue};

/// Configuration values come as they are or as JSON text, depending on the language and on where they were set.
fn structured(mut map: PropertyMap, spec: &ObjectSpec) -> PropertyMap {
    for (name, value) in &mut map {
        let Some(property) = spec.get(name).filter(|p| !matches!(p.ty, TypeSpec::String)) else {
            continue;
        };
        if let Some(text) = value.as_str() {
            let secret = value.has_secret();
            let parsed = from_text(&property.ty, text);
            *value = if secret { parsed.into_secret() } else { parsed };
        }
    }
    map
}

/// Protects what is secret in a configuration. Of a structured value with secret parts the engine marks the whole, in which the schema
/// finds the parts again: the others may be named in errors.
fn protect(guard: &mut Guard, map: &PropertyMap, spec: &ObjectSpec, types: &Types) {
    for (name, value) in map {
        let property = spec.get(name);
        let object = match property.map(|p| &p.ty) {
            Some(TypeSpec::Object(name)) => types.object(name),
            _ => None,
        };
        let inner = match value {
            PropertyValue::Secret(inner) => inner.as_ref(),
            value => value,
        };
        match (object, inner) {
            (Some(object), PropertyValue::Map(parts)) => protect(guard, parts, object, types),
            _ if property.is_none_or(|p| p.secret) || value.has_secret() => {
                let text = PropertyMap::from([(name.clone(), value.clone().into_secret())]);
                guard.add_all(&text);
            }
            _ => {}
        }
    }
}

impl<P: Provider> Server<P> {
    pub(super) fn check_config_(
        &self,
        request: &rpc::CheckRequest,
    ) -> Result<rpc::CheckResponse, Status> {
        let shared = &self.shared;
        let spec = &shared.package.config;
        let mut guard = Guard::default();
        let given = decode(request.news.as_ref(), &mut guard)?;
        let mut inputs = structured(given.clone(), spec);
        inputs.remove("version");
        let mut checking = Checking {
            olds: decode(request.olds.as_ref(), &mut guard)?,
            name: request.name.clone(),
            ..shared.checking(spec, inputs)
        };
        checking.run_guarded(&mut guard);
        if checking.is_ok() {
            P::check(&mut checking);
        }
        let failures = failures(checking.failures, &checking.inputs, spec);
        // Every key goes back as it came, `version` too: what is left out here is lost to the engine.
        let mut inputs = checking.inputs;
        for (name, value) in given {
            let secret = spec.get(&name).is_some_and(|p| p.secret);
            inputs.insert(name, if secret { value.into_secret() } else { value });
        }
        Ok(rpc::CheckResponse {
            inputs: Some(crate::wire::encode(&inputs)),
            failures,
        })
    }

    pub(super) fn diff_config_(
        &self,
        request: &rpc::DiffRequest,
    ) -> Result<rpc::DiffResponse, Status> {
        let shared = &self.shared;
        let spec = &shared.package.config;
        let mut guard = Guard::default();
        let news = structured(decode(request.news.as_ref(), &mut guard)?, spec);
        let olds = request.old_inputs.as_ref().or(request.olds.as_ref());
        let olds = structured(decode(olds, &mut guard)?, spec);
        let mut diff = Diff::between(&shared.package.types, spec, &olds, &news);
        P::diff(&mut diff, &request.urn);
        Ok(diff_response(&diff, false))
    }

    pub(super) fn configure_(
        &self,
        request: &rpc::ConfigureRequest,
    ) -> Result<rpc::ConfigureResponse, Status> {
        let shared = &self.shared;
        let spec = &shared.package.config;
        // Until the parts that are secret are known, all of what may hold some is.
        let mut passing = Guard::default();
        let given = match &request.args {
            Some(args) => decode(Some(args), &mut passing)?,
            None => self.variables(request),
        };
        let mut inputs = structured(given, spec);
        inputs.retain(|name, _| spec.get(name).is_some());
        let mut checking = shared.checking(spec, inputs);
        checking.run_guarded(&mut passing);
        let mut guard = Guard::default();
        protect(&mut guard, &checking.inputs, spec, &shared.package.types);
        let missing: Vec<(String, String)> = spec
            .properties
            .iter()
            .filter(|(name, p)| p.required && !checking.given(name))
            .map(|(name, p)| (name.clone(), p.description.clone()))
            .collect();
        if !missing.is_empty() {
            return Err(missing_keys(missing));
        }
        if checking.is_ok() {
            P::check(&mut checking);
        }
        if !checking.is_ok() {
            return Err(to_status(&crate::Error::Input(checking.failures)));
        }
        let config = crate::de::from_properties(&checking.inputs).map_err(|e| {
            Status::invalid_argument(scrub(&format!("provider configuration: {e}")))
        })?;
        let provider = P::configure(config).map_err(|e| to_status(&e))?;
        // The provider may log its secrets at any time, so they stay redacted for as long as it lives.
        shared
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(guard);
        *shared
            .provider
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(provider));
        Ok(rpc::ConfigureResponse {
            accept_secrets: true,
            supports_preview: true,
            accept_resources: true,
            accept_outputs: true,
            supports_autonaming_configuration: true,
        })
    }

    /// The older form of the configuration: `ptd:config:region`.
    fn variables(&self, request: &rpc::ConfigureRequest) -> PropertyMap {
        let prefix = format!("{}:config:", self.shared.package.name);
        request
            .variables
            .iter()
            .filter_map(|(key, value)| {
                Some((
                    key.strip_prefix(&prefix)?.to_owned(),
                    PropertyValue::from(value.as_str()),
                ))
            })
            .collect()
    }
}
