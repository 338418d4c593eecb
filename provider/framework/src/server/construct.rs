//! Construct: component resources.

use pulumi_proto::pulumirpc as rpc;
use tonic::Status;

use super::status::{input_errors, to_status};
use super::{Server, decode, kind};
use crate::check::Checking;
use crate::error::Error;
use crate::monitor::{Construction, Home, with_dependencies};
use crate::redact::Guard;
use crate::resource::Provider;
use crate::value::{PropertyMap, PropertyValue};

impl<P: Provider> Server<P> {
    pub(super) async fn construct_(
        &self,
        request: rpc::ConstructRequest,
    ) -> Result<rpc::ConstructResponse, Status> {
        let shared = &self.shared;
        let token = request.r#type.clone();
        let kind = kind(&shared.package.components, &token, "component")?;
        let mut guard = Guard::default();
        let mut checking = Checking {
            name: request.name.clone(),
            ..shared.checking(&kind.inputs, decode(request.inputs.as_ref(), &mut guard)?)
        };
        checking.run_guarded(&mut guard);
        if checking.is_ok() {
            kind.work.check(&mut checking, shared.provider().as_deref());
        }
        let inputs = checking.inputs;
        if !checking.failures.is_empty() {
            let hide = |failure: &crate::check::Failure| {
                let top = failure.path.top().unwrap_or_default();
                kind.inputs.get(top).is_some_and(|p| p.secret)
                    || inputs.get(top).is_some_and(PropertyValue::has_secret)
            };
            return Err(input_errors(
                &format!("{token} '{}'", request.name),
                &checking.failures,
                hide,
            ));
        }
        let inputs = with_dependencies(inputs, &request, &kind.inputs);
        let home = Home {
            package: shared.package.name.clone(),
            version: shared.package.version.clone(),
            download_url: shared.package.download_url(),
        };
        let cancel = shared.cancellation();
        let work = async {
            let engine = shared.engine.clone();
            let cx = Construction::begin(shared.provider(), engine, home, request, inputs).await?;
            let urn = cx.urn().to_owned();
            let outputs = kind.work.construct(cx.clone()).await;
            cx.quiet().await;
            let outputs = outputs?;
            cx.finish(&outputs).await?;
            Ok((urn, outputs))
        };
        // The engine ends the children by itself; their registrations then return, or the monitor goes away.
        let result: Result<(String, PropertyMap), Error> = tokio::select! {
            biased;
            result = work => result,
            () = async { cancel.cancelled().await; tokio::time::sleep(crate::context::GRACE).await } => {
                Err(Error::Cancelled { during: format!("constructing {token}") })
            }
        };
        let (urn, outputs) = result.map_err(|e| to_status(&e))?;
        Ok(rpc::ConstructResponse {
            urn,
            state: Some(crate::wire::encode(&outputs)),
            state_dependencies: std::collections::BTreeMap::default(),
        })
    }
}
