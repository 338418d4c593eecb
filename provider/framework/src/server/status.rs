//! Errors as gRPC statuses, with the details the engine looks for.

use prost::Message;
use prost_types::Any;
use pulumi_proto::google::rpc::Status as RichStatus;
use pulumi_proto::pulumirpc as rpc;
use tonic::{Code, Status};

use crate::check::Failure;
use crate::error::Error;
use crate::redact::scrub;
use crate::value::PropertyMap;

/// The status of a failed operation.
pub(crate) fn to_status(error: &Error) -> Status {
    Status::new(error.code(), scrub(&error.to_string()))
}

/// A status with one detail. The code inside must equal the one outside, or the engine drops the detail.
fn detailed(code: Code, message: String, detail: &str, body: &impl Message) -> Status {
    let rich = RichStatus {
        code: code as i32,
        message: message.clone(),
        details: vec![Any {
            type_url: format!("type.googleapis.com/pulumirpc.{detail}"),
            value: body.encode_to_vec(),
        }],
    };
    Status::with_details(code, message, rich.encode_to_vec().into())
}

/// The resource exists, but not as it should: the engine stores it, and the next update repairs it.
pub(super) fn init_failed(
    error: &Error,
    id: String,
    properties: &PropertyMap,
    inputs: Option<&PropertyMap>,
    reasons: &[String],
) -> Status {
    let code = match error.code() {
        code @ (Code::Cancelled | Code::DeadlineExceeded | Code::Internal) => code,
        _ => Code::Unknown,
    };
    let reasons: Vec<String> = reasons.iter().map(|r| scrub(r)).collect();
    let body = rpc::ErrorResourceInitFailed {
        id,
        properties: Some(crate::wire::encode(properties)),
        reasons: reasons.clone(),
        inputs: inputs.map(crate::wire::encode),
        refresh_before_update: false,
    };
    detailed(code, reasons.join("; "), "ErrorResourceInitFailed", &body)
}

/// Configuration keys that must be set.
pub(super) fn missing_keys(keys: Vec<(String, String)>) -> Status {
    let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let message = format!("missing required configuration: {}", names.join(", "));
    let body = rpc::ConfigureErrorMissingKeys {
        missing_keys: keys
            .into_iter()
            .map(
                |(name, description)| rpc::configure_error_missing_keys::MissingKey {
                    name,
                    description,
                },
            )
            .collect(),
    };
    detailed(
        Code::InvalidArgument,
        message,
        "ConfigureErrorMissingKeys",
        &body,
    )
}

/// Bad inputs of a component or method, which no Check has seen.
pub(super) fn input_errors(
    what: &str,
    failures: &[Failure],
    hide: impl Fn(&Failure) -> bool,
) -> Status {
    let body = rpc::InputPropertiesError {
        errors: failures
            .iter()
            .map(|failure| {
                // The engine prints the value that the path names.
                let (property_path, reason) = if hide(failure) {
                    (
                        String::new(),
                        format!("{}: {}", failure.path, failure.reason),
                    )
                } else {
                    (failure.path.to_string(), failure.reason.clone())
                };
                rpc::input_properties_error::PropertyError {
                    property_path,
                    reason: scrub(&reason),
                }
            })
            .collect(),
    };
    let all: Vec<String> = failures
        .iter()
        .map(|f| format!("{}: {}", f.path, scrub(&f.reason)))
        .collect();
    detailed(
        Code::InvalidArgument,
        format!("{what} has bad inputs: {}", all.join("; ")),
        "InputPropertiesError",
        &body,
    )
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
