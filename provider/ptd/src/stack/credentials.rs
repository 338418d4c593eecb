//! The provider's AWS credentials for inner runs: served to them as containers are served theirs, so that they are renewed as long
//! as a run lasts and are written nowhere.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use pulumi_automation::Environment;
use pulumi_provider::Error;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::aws::clients::AwsClients;
use crate::causes::chain_text;

/// SDKs ask again this long before what they have expires, at the latest.
const RENEW_BEFORE: Duration = Duration::from_mins(15);
/// When they are to ask again for credentials that do not expire.
const ASK_AGAIN: Duration = Duration::from_hours(1);

/// Variables by which an inner run would find other credentials first.
const OTHERS: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];

/// Serves credentials until it is dropped.
pub(super) struct Served {
    variables: Vec<(String, String)>,
    _until: DropGuard,
}

struct Source {
    provider: SharedCredentialsProvider,
    /// What a request must carry, hashed so that comparing it takes as long whatever is sent.
    token: [u8; 32],
    last: Mutex<Option<Credentials>>,
}

impl Served {
    /// Begins to serve on an address of this machine alone. Fails when there are no credentials.
    pub(super) async fn begin(aws: &AwsClients) -> Result<Self, Error> {
        // An inner run would only say that there are none, and would work in any account.
        aws.ensure_account(&[]).await?;
        let access = aws.access().await?;
        let mut token = [0; 32];
        getrandom::fill(&mut token).map_err(|error| Error::Bug(error.to_string()))?;
        let token = hex::encode(token);
        let source = Arc::new(Source {
            provider: access.credentials,
            token: Sha256::digest(&token).into(),
            last: Mutex::default(),
        });
        let unusable = |error: std::io::Error| {
            Error::refused(
                format!("serving credentials to an inner run: {error}"),
                "set credentials to inherit",
            )
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(unusable)?;
        let port = listener.local_addr().map_err(unusable)?.port();
        let routes = Router::new()
            .route("/credentials", get(answer))
            .with_state(source);
        let until = CancellationToken::new();
        let ended = until.clone().cancelled_owned();
        tokio::spawn(async move {
            let serving = axum::serve(listener, routes).with_graceful_shutdown(ended);
            if let Err(error) = serving.await {
                tracing::warn!(%error, "credentials are no longer served to an inner run");
            }
        });
        let mut variables = vec![
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
                format!("http://127.0.0.1:{port}/credentials"),
            ),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(), token),
        ];
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            // The credentials of a default profile would win.
            variables.push((name.to_owned(), "/dev/null".to_owned()));
        }
        if let Some(region) = access.region {
            for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
                variables.push((name.to_owned(), region.clone()));
            }
        }
        variables.extend(access.endpoints);
        Ok(Self {
            variables,
            _until: until.drop_guard(),
        })
    }

    /// Lets an inner run use them, and no others.
    pub(super) fn apply(&self, environment: &mut Environment) {
        for name in OTHERS {
            environment.unset(name);
        }
        for (name, value) in &self.variables {
            environment.set(name, value);
        }
    }
}

impl Source {
    async fn credentials(&self) -> Result<Credentials, String> {
        let mut last = self.last.lock().await;
        if let Some(kept) = last.as_ref()
            && kept
                .expiry()
                .is_none_or(|expiry| expiry > SystemTime::now() + RENEW_BEFORE)
        {
            return Ok(kept.clone());
        }
        let found = self.provider.provide_credentials().await;
        let found = found.map_err(|error| chain_text(&error))?;
        *last = Some(found.clone());
        Ok(found)
    }
}

async fn answer(State(source): State<Arc<Source>>, headers: HeaderMap) -> impl IntoResponse {
    let (status, body) = match credentials(&source, &headers).await {
        Ok(found) => (StatusCode::OK, found),
        Err((status, code, message)) => (status, json!({ "code": code, "message": message })),
    };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string())
}

/// What SDKs expect, or the reason why there is nothing.
async fn credentials(
    source: &Source,
    headers: &HeaderMap,
) -> Result<Value, (StatusCode, &'static str, String)> {
    let sent = headers
        .get(header::AUTHORIZATION)
        .map(|value| Sha256::digest(value.as_bytes()));
    if sent.is_none_or(|sent| sent.as_slice() != source.token) {
        let message = "the authorization token is not that of this run".to_owned();
        return Err((StatusCode::FORBIDDEN, "Forbidden", message));
    }
    let found = source.credentials().await.map_err(|reason| {
        tracing::warn!(reason, "no credentials for an inner run");
        (StatusCode::INTERNAL_SERVER_ERROR, "NoCredentials", reason)
    })?;
    let expiry = found
        .expiry()
        .unwrap_or_else(|| SystemTime::now() + ASK_AGAIN);
    let expiration = DateTime::from(expiry)
        .fmt(Format::DateTime)
        .map_err(|error| {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Expiration",
                error.to_string(),
            )
        })?;
    Ok(json!({
        "AccessKeyId": found.access_key_id(),
        "SecretAccessKey": found.secret_access_key(),
        // Not every SDK takes an answer without one.
        "Token": found.session_token().unwrap_or_default(),
        "Expiration": expiration,
    }))
}
