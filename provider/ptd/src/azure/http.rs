//! The transport of all Azure clients: the HTTP stack that AWS's clients use, behind `azure_core`'s trait.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request};
use pulumi_provider::Env;
use tokio::sync::Semaphore;

use crate::http::{Unready, connector};

/// The file of additional certificate authorities, as for the Azure CLI. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's
/// own store and are read along with it.
pub(super) const CA_BUNDLE: &str = "REQUESTS_CA_BUNDLE";

/// How many requests may be under way at once.
const MAX_IN_FLIGHT: usize = 64;

/// Sends the requests of Azure's clients.
pub(super) struct Transport {
    connector: SharedHttpConnector,
    timeout: Duration,
    in_flight: Semaphore,
}

impl Transport {
    /// Reads certificates, and connects nothing.
    pub(super) async fn prepare(
        env: &dyn Env,
        connect_timeout: Duration,
        timeout: Duration,
    ) -> Result<Arc<Self>, Unready> {
        Ok(Arc::new(Self {
            connector: connector(env, CA_BUNDLE, connect_timeout).await?,
            timeout,
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
        }))
    }

    async fn exchange(&self, request: HttpRequest) -> azure_core::Result<AsyncRawResponse> {
        let response = self.connector.call(request).await.map_err(|error| {
            let kind = if error.is_timeout() || error.is_io() {
                ErrorKind::Io
            } else {
                ErrorKind::Connection
            };
            let text = crate::causes::chain_text(&error);
            Error::with_message(kind, text)
        })?;
        let status = response.status().as_u16().into();
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let body = ByteStream::new(response.into_body())
            .collect()
            .await
            .map_err(|error| Error::with_message(ErrorKind::Io, error.to_string()))?;
        Ok(AsyncRawResponse::from_bytes(
            status,
            headers,
            body.into_bytes(),
        ))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let unusable = |error: &dyn fmt::Display| {
            Error::with_message(ErrorKind::DataConversion, error.to_string())
        };
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(
                ErrorKind::Other,
                "requests with streamed bodies are not supported",
            ));
        };
        let length = body.len();
        let mut outgoing = HttpRequest::new(SdkBody::from(body.to_vec()));
        outgoing
            .set_method(request.method().as_str())
            .map_err(|e| unusable(&e))?;
        outgoing
            .set_uri(request.url().as_str())
            .map_err(|e| unusable(&e))?;
        for (name, value) in request.headers().iter() {
            outgoing
                .headers_mut()
                .try_insert(name.as_str().to_owned(), value.as_str().to_owned())
                .map_err(|e| unusable(&e))?;
        }
        if length > 0 || !matches!(request.method().as_str(), "GET" | "HEAD" | "DELETE") {
            outgoing
                .headers_mut()
                .try_insert("content-length", length.to_string())
                .map_err(|e| unusable(&e))?;
        }
        let _turn = self
            .in_flight
            .acquire()
            .await
            .map_err(|error| Error::with_message(ErrorKind::Other, error.to_string()))?;
        tokio::time::timeout(self.timeout, self.exchange(outgoing))
            .await
            .unwrap_or_else(|_| {
                Err(Error::with_message(
                    ErrorKind::Io,
                    format!("no answer within {}s", self.timeout.as_secs()),
                ))
            })
    }
}
