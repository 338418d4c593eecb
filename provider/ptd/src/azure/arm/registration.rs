//! Registering a service with a subscription, which its first use takes.

use std::time::Duration;

use azure_core::http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{ArmClient, Ask};
use super::error::{ArmError, Refusal};
use super::hints::{growing, retry_after};
use super::id::ResourceId;
use super::patience::LONGEST_PAUSE;
use super::run::Run;

/// The version of the calls that register a service with a subscription.
const REGISTRATION_API: &str = "2021-04-01";

/// How long a registration may take.
const REGISTRATION_PATIENCE: Duration = Duration::from_mins(10);

impl ArmClient {
    /// Registers the service that a refusal asks for with the subscription, and gives its namespace. One that was registered already is
    /// not registered again: the refusal stands.
    pub(super) async fn register(
        &self,
        run: &dyn Run,
        id: &ResourceId,
        refusal: Refusal,
        registered: &[String],
    ) -> Result<String, ArmError> {
        let named = refusal.namespace().or_else(|| id.namespace());
        let (Some(namespace), Some(subscription)) = (named, id.subscription_id()) else {
            return Err(refusal.into());
        };
        let namespace = namespace.to_owned();
        let hint = format!(
            "Have somebody with the right to do so run `az provider register --namespace {namespace} --subscription {subscription}`, \
             or grant this identity the action {namespace}/register/action"
        );
        if registered
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&namespace))
        {
            return Err(ArmError::from(refusal).with_hint(hint));
        }
        run.status(format!(
            "registers {namespace} with subscription {subscription}"
        ))
        .await;
        let path = format!("/subscriptions/{subscription}/providers/{namespace}");
        let ask = |method, path: &str| {
            Ok::<_, ArmError>(Ask {
                method,
                url: self.url(path, REGISTRATION_API, &[]),
                body: None,
                if_match: None,
                operation: format!("register {namespace}"),
                subject: subscription,
            })
        };
        run.alive()?;
        self.read(run, &ask(Method::Post, &format!("{path}/register"))?)
            .await
            .map_err(|error| error.with_hint(hint.clone()))?;
        let begun = Instant::now();
        let mut attempt = 0;
        loop {
            let answer = self.read(run, &ask(Method::Get, &path)?).await?;
            let state = answer
                .body
                .as_ref()
                .and_then(|b| b.get("registrationState"));
            let state = state.and_then(Value::as_str).unwrap_or_default().to_owned();
            if state.eq_ignore_ascii_case("Registered") {
                return Ok(namespace);
            }
            if begun.elapsed() > REGISTRATION_PATIENCE {
                return Err(Refusal {
                    message: format!(
                        "{namespace} is not registered with the subscription yet ({state})"
                    ),
                    hint: Some("Run this again in some minutes".to_owned()),
                    ..refusal
                }
                .into());
            }
            let wait = retry_after(&answer.headers)
                .unwrap_or_else(|| growing(attempt, Duration::from_secs(1), LONGEST_PAUSE));
            run.sleep(wait).await?;
            attempt += 1;
        }
    }
}
