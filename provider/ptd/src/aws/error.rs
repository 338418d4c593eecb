//! What the remote services say, as one error type.
//!
//! [`call`] wraps a request of any SDK client: it knows the operation and the thing it was made on, takes the code, message,
//! request id and status from the answer, and sorts the failure into a [`Kind`] that callers decide by. `Display` is
//! for users: what was attempted, on what, what came back, and on a second line what to do next.

mod classify;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use crate::causes::{chain_text, find};
use classify::{
    classify, clean, find_timeout_or_io, permission, unexplained, unreachable_hint, xml_element,
};

/// What sort of failure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The thing is not there.
    NotFound,
    /// A thing of that name is there already.
    AlreadyExists,
    /// The identity may not do this.
    Denied,
    /// Too many calls, also after retrying.
    Throttled,
    /// The service refuses a value.
    InvalidInput,
    /// The thing is in a state that does not allow this, or something else changed it at the same time.
    Conflict,
    /// The credentials were good once, or never.
    ExpiredCredentials,
    /// No credentials could be found or obtained.
    NoCredentials,
    /// The service could not be reached.
    Unreachable,
    /// The service did not answer in time.
    Timeout,
    /// The bucket is in another region.
    WrongRegion {
        /// The region it is in, where the service tells.
        region: Option<String>,
    },
    /// The credentials belong to an account in which nothing may be changed.
    WrongAccount,
    /// No region is configured.
    NoRegion,
    /// The configuration cannot be used.
    Configuration,
    /// Anything else, such as a server error that stayed after retrying.
    Other,
}

/// A failed request to AWS, or one that could not be made.
#[derive(Clone)]
pub struct AwsError(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    kind: Kind,
    operation: String,
    subject: String,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    status: Option<u16>,
    profile: Option<String>,
    region: Option<String>,
    hint: Option<String>,
}

impl AwsError {
    /// A failure that did not come from a service.
    pub fn new(
        kind: Kind,
        operation: impl Into<String>,
        subject: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Details {
            kind,
            operation: operation.into(),
            subject: subject.to_string(),
            code: None,
            message: message.into(),
            request_id: None,
            status: None,
            profile: None,
            region: None,
            hint: None,
        }))
    }

    /// The failure of one SDK call; `operation` is written `service:Operation`, `subject` names the thing, as in `bucket ptd-x`.
    pub fn from_sdk<E>(
        operation: &str,
        subject: impl fmt::Display,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let mut this = Self::new(Kind::Other, operation, subject, String::new());
        this.read(error);
        this
    }

    fn read<E>(&mut self, error: &SdkError<E, HttpResponse>)
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let details = &mut *self.0;
        details.request_id = error.request_id().map(str::to_owned);
        if let Some(response) = error.raw_response() {
            details.status = Some(response.status().as_u16());
        }
        details.code = error.meta().code().map(str::to_owned);
        if let Some(response) = error.raw_response() {
            let bucket_region = response
                .headers()
                .get("x-amz-bucket-region")
                .map(str::to_owned);
            let status = response.status().as_u16();
            let mut message = error.meta().message().map(str::to_owned);
            // Gateways, and emulators, answer in XML where the service speaks JSON, or in another service's XML.
            if details.code.is_none()
                && let Some(body) = response
                    .body()
                    .bytes()
                    .and_then(|bytes| std::str::from_utf8(bytes).ok())
            {
                details.code = xml_element(body, "Code").map(str::to_owned);
                message = xml_element(body, "Message").map(str::to_owned);
            }
            details.kind = classify(
                &details.operation,
                details.code.as_deref(),
                status,
                message.as_deref(),
                bucket_region,
            );
            details.message = match message {
                Some(message) => clean(&message),
                None if details.code.is_some() => String::new(),
                None => unexplained(status),
            };
            return;
        }
        self.read_local(error);
    }

    /// A failure on this side of the connection.
    fn read_local<E>(&mut self, error: &SdkError<E, HttpResponse>)
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        // A role that cannot be assumed shows up as the cause of a failure to sign: what STS said is what matters.
        if let Some(assume) = find::<SdkError<AssumeRoleError, HttpResponse>>(error)
            && assume.raw_response().is_some()
        {
            let subject = self.0.subject.clone();
            let asked = std::mem::replace(&mut self.0.operation, "sts:AssumeRole".to_owned());
            self.read(assume);
            self.0.subject = format!("the configured role, needed for {asked} on {subject}");
            if self.0.kind == Kind::Denied {
                self.0.hint = Some(
                    "check that the role's trust policy admits these credentials, that externalId is the one it asks for, and that the \
                     credentials may call sts:AssumeRole on it"
                        .to_owned(),
                );
            }
            return;
        }
        let details = &mut *self.0;
        let chain = chain_text(error);
        let lower = chain.to_ascii_lowercase();
        details.message = clean(&chain);
        if let Some(credentials) = find::<CredentialsError>(error) {
            if matches!(credentials, CredentialsError::CredentialsNotLoaded(_))
                && std::error::Error::source(credentials).is_none()
            {
                "no credentials found".clone_into(&mut details.message);
            }
            let inner = find_timeout_or_io(credentials);
            details.kind = if lower.contains("expired")
                || lower.contains("invalid_grant")
                || lower.contains("sso token")
            {
                Kind::ExpiredCredentials
            } else if inner && matches!(credentials, CredentialsError::ProviderError(_)) {
                Kind::Unreachable
            } else {
                Kind::NoCredentials
            };
            return;
        }
        details.kind = match error {
            SdkError::TimeoutError(_) => Kind::Timeout,
            SdkError::DispatchFailure(failure)
                if failure.is_timeout() && !lower.contains("connect") =>
            {
                Kind::Timeout
            }
            SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io() => {
                Kind::Unreachable
            }
            _ if lower.contains("credentials") || lower.contains("identity") => Kind::NoCredentials,
            _ if lower.contains("region") && lower.contains("endpoint") => Kind::NoRegion,
            SdkError::DispatchFailure(_) => Kind::Unreachable,
            SdkError::ConstructionFailure(_) => Kind::InvalidInput,
            _ => Kind::Other,
        };
        details.hint = match details.kind {
            Kind::Unreachable => Some(unreachable_hint(&lower).to_owned()),
            _ => None,
        };
    }

    /// Adds the profile in use, for the hint on how to sign in again.
    #[must_use]
    pub fn with_profile(mut self, profile: Option<&str>) -> Self {
        self.0.profile = profile.map(str::to_owned);
        self
    }

    /// Adds the region in which the call was made.
    #[must_use]
    pub fn with_region(mut self, region: &str) -> Self {
        self.0.region = Some(region.to_owned());
        self
    }

    /// Replaces the next step that is shown.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same failure seen as another kind, where the caller knows better what a code means.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Whether the thing is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
    }

    /// Whether the identity may not do this.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.0.kind == Kind::Denied
    }

    /// Whether something of that name is there already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.0.kind == Kind::AlreadyExists
    }

    /// The operation, as `service:Operation`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The service, as in ARNs and permissions.
    #[must_use]
    pub fn service(&self) -> &str {
        self.0.operation.split(':').next().unwrap_or_default()
    }

    /// The thing the call was made on.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The service's error code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The service's message, or the cause on this side.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The request id that AWS support asks for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The permission that the operation needs, which is not always its name.
    #[must_use]
    pub fn permission(&self) -> &str {
        permission(&self.0.operation)
    }

    /// What to do next, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let Some(hint) = &self.0.hint {
            return Some(hint.clone());
        }
        let profile = self.0.profile.as_deref();
        Some(match &self.0.kind {
            Kind::Denied => format!(
                "grant the identity in use the permission {}, or check the policies, permissions boundary and service control policies that deny it",
                self.permission()
            ),
            Kind::ExpiredCredentials => match profile {
                Some(profile) => format!("sign in again, for example with `aws sso login --profile {profile}`, then run this again"),
                None => "renew the credentials (for example `aws sso login`, or new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
                         AWS_SESSION_TOKEN), then run this again"
                    .to_owned(),
            },
            Kind::NoCredentials => match profile {
                Some(profile) => format!(
                    "check that the profile {profile:?} exists in the AWS configuration files and that `aws sts get-caller-identity --profile \
                     {profile}` works"
                ),
                None => "set the provider's profile, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
            },
            Kind::Throttled => "run this again later, or with a higher maxRetries".to_owned(),
            Kind::Unreachable => "check the network, the proxy variables (HTTPS_PROXY, NO_PROXY) and the endpoint overrides".to_owned(),
            Kind::Timeout => "check the network and the endpoint, or raise requestTimeoutSeconds".to_owned(),
            Kind::WrongRegion { region: Some(region) } => match &self.0.region {
                Some(used) if used != region => format!("it is in region {region}, not {used}: set the region to {region}"),
                _ => format!("it is in region {region}: set the region to {region}"),
            },
            Kind::WrongRegion { region: None } => "it is in another region: set the region it is in".to_owned(),
            Kind::NoRegion => "set the provider's region, the resource's region, AWS_REGION, or the region of the profile".to_owned(),
            Kind::WrongAccount => "use credentials of the expected account, or correct allowedAccountIds".to_owned(),
            _ => return None,
        })
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &*self.0;
        write!(f, "{} on {} failed", details.operation, details.subject)?;
        match (&details.code, details.message.as_str()) {
            (Some(code), "") => write!(f, ": {code}")?,
            (Some(code), message) => write!(f, ": {code}: {message}")?,
            (None, "") => {}
            (None, message) => write!(f, ": {message}")?,
        }
        match (details.status, &details.request_id) {
            (Some(status), Some(id)) => write!(f, " (HTTP {status}, request id {id})")?,
            (Some(status), None) => write!(f, " (HTTP {status})")?,
            (None, Some(id)) => write!(f, " (request id {id})")?,
            (None, None) => {}
        }
        if let Some(hint) = self.hint() {
            write!(f, "\nNext: {hint}.")?;
        }
        Ok(())
    }
}

impl fmt::Debug for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl StdError for AwsError {}

impl From<AwsError> for pulumi_provider::Error {
    fn from(error: AwsError) -> Self {
        let next = error.hint().map(|hint| format!("Next: {hint}."));
        let details = *error.0;
        pulumi_provider::RemoteError {
            operation: details.operation,
            subject: details.subject,
            code: details.code,
            message: details.message,
            request_id: details.request_id,
            next,
        }
        .into()
    }
}

/// Sends one request; `operation` is written `service:Operation`, `subject` names the thing, as in `bucket ptd-x`.
pub async fn call<T, E>(
    operation: &str,
    subject: impl fmt::Display,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, AwsError>
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    request.await.map_err(|error| {
        let error = AwsError::from_sdk(operation, subject, &error);
        tracing::debug!(operation, kind = ?error.kind(), code = error.code(), request_id = error.request_id(), "call failed");
        error
    })
}
