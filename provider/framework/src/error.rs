//! What can go wrong, by whom it concerns: the user's input, the remote service, or this program.

use std::fmt;
use std::time::Duration;

use crate::check::Failure;

/// Why an operation failed. Its text is what the user reads: the engine shows nothing else.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The inputs are wrong; nothing was touched.
    #[error("{}", failures(.0))]
    Input(Vec<Failure>),
    /// A remote service refused or could not be reached.
    #[error("{0}")]
    Remote(Box<RemoteError>),
    /// The provider will not do what was asked, although it could.
    #[error("{what}{}", hint(.next.as_ref()))]
    Refused {
        /// What is refused, and why.
        what: String,
        /// What the user can do.
        next: Option<String>,
    },
    /// The run was cancelled.
    #[error("{during}: cancelled; the next update continues from here")]
    Cancelled {
        /// What was going on.
        during: String,
    },
    /// The operation took longer than it may.
    #[error("{during}: not finished after {}s; raise it with the resource option customTimeouts", limit.as_secs())]
    TimedOut {
        /// What was going on.
        during: String,
        /// The limit in force.
        limit: Duration,
    },
    /// A mistake in the provider.
    #[error("{0} (this is a bug in the provider; please report it)")]
    Bug(String),
}

/// An answer of a remote service that is not the one hoped for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteError {
    /// What was attempted, such as `s3:CreateBucket`.
    pub operation: String,
    /// On what, such as `bucket ptd-acme01`.
    pub subject: String,
    /// The service's error code.
    pub code: Option<String>,
    /// The service's message.
    pub message: String,
    /// The service's id of the request.
    pub request_id: Option<String>,
    /// What the user can do.
    pub next: Option<String>,
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if !self.subject.is_empty() {
            write!(f, " on {}", self.subject)?;
        }
        f.write_str(" failed: ")?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        f.write_str(&hint(self.next.as_ref()))
    }
}

impl Error {
    /// A refusal with the next step.
    pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Refused {
            what: what.into(),
            next: Some(next.into()),
        }
    }

    /// A single wrong input.
    pub fn input(path: crate::Path, reason: impl Into<String>) -> Self {
        Self::Input(vec![Failure {
            path,
            reason: reason.into(),
        }])
    }

    pub(crate) fn code(&self) -> tonic::Code {
        match self {
            Self::Input(_) => tonic::Code::InvalidArgument,
            Self::Remote(_) => tonic::Code::Aborted,
            Self::Refused { .. } => tonic::Code::FailedPrecondition,
            Self::Cancelled { .. } => tonic::Code::Cancelled,
            Self::TimedOut { .. } => tonic::Code::DeadlineExceeded,
            Self::Bug(_) => tonic::Code::Internal,
        }
    }
}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Box::new(error))
    }
}

impl From<crate::de::FitError> for Error {
    fn from(error: crate::de::FitError) -> Self {
        Self::Bug(format!("properties do not have the expected form: {error}"))
    }
}

impl From<crate::ser::UnfitError> for Error {
    fn from(error: crate::ser::UnfitError) -> Self {
        Self::Bug(format!(
            "a result cannot be expressed as properties: {error}"
        ))
    }
}

fn hint(next: Option<&String>) -> String {
    next.map_or_else(String::new, |next| format!(". {next}"))
}

fn failures(list: &[Failure]) -> String {
    list.iter()
        .map(|f| match f.path.steps() {
            [] => f.reason.clone(),
            _ => format!("{}: {}", f.path, f.reason),
        })
        .collect::<Vec<_>>()
        .join("; ")
}
