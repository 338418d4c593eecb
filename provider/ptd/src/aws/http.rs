//! The HTTP client of AWS's services, and which of its failures are not worth a retry.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use pulumi_provider::Env;

use super::error::{AwsError, Kind};
use crate::causes::chain_text;
use crate::http::{self, Unready};

/// The file of additional certificate authorities, as for the AWS CLI. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the
/// system's own store and are read along with it.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The client of all services; nothing is connected yet.
pub(super) async fn client(env: &dyn Env) -> Result<SharedHttpClient, AwsError> {
    http::client(env, CA_BUNDLE)
        .await
        .map_err(|unready| match unready {
            Unready::Bundle { path, problem } => {
                AwsError::new(Kind::Configuration, "reading AWS_CA_BUNDLE", format!("file {path}"), problem)
                    .with_hint("point AWS_CA_BUNDLE at a readable PEM file of certificate authorities, or unset it")
            }
            Unready::Tls(problem) => AwsError::new(
                Kind::Configuration,
                "preparing TLS",
                "the AWS clients",
                problem,
            ),
        })
}

/// Stops retries where they are pointless: a certificate that is not trusted and a host name that does not exist stay so, and
/// the user waits for the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hopeless;

impl ClassifyRetry for Hopeless {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failure = context
            .output_or_error()
            .and_then(Result::err)
            .and_then(|error| error.as_connector_error());
        match failure {
            Some(error) if is_hopeless(&chain_text(error)) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Hopeless"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

fn is_hopeless(cause: &str) -> bool {
    [
        "invalid peer certificate",
        // What the resolvers of Linux, macOS and Windows say of a name that does not exist.
        "Name or service not known",
        "No address associated with hostname",
        "nodename nor servname provided",
        "No such host is known",
    ]
    .iter()
    .any(|text| cause.contains(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn env(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn only_lasting_causes_are_hopeless() {
        assert!(is_hopeless(
            "io error: TLS handshake failed: invalid peer certificate: UnknownIssuer"
        ));
        assert!(is_hopeless(
            "dns error: failed to lookup address information: Name or service not known"
        ));
        assert!(!is_hopeless(
            "dns error: failed to lookup address information: Temporary failure in name resolution"
        ));
        assert!(!is_hopeless(
            "tcp connect error: Connection refused (os error 111)"
        ));
    }

    #[tokio::test]
    async fn a_bad_bundle_is_a_clear_error() {
        let error = client(&env(&[("AWS_CA_BUNDLE", "/no/such/file.pem")]))
            .await
            .expect_err("no file");
        assert_eq!(*error.kind(), Kind::Configuration);
        assert!(error.to_string().contains("/no/such/file.pem"));
    }
}
