//! The engine's side of the conversation: log lines and progress.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use pulumi_proto::pulumirpc::engine_client::EngineClient;
use pulumi_proto::pulumirpc::{LogRequest, LogSeverity};
use tonic::transport::{Channel, Endpoint};

use crate::redact::scrub;

/// The protocol's limit, both ways; gRPC's own default of 4 MiB is too small for a large stack.
pub(crate) const MAX_MESSAGE: usize = 400 * 1024 * 1024;

/// A log line must never hold up the work it reports on.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens a connection lazily: nothing is dialled before the first call.
pub(crate) fn channel(address: &str) -> Result<Channel, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(Duration::from_secs(10))
        .connect_lazy())
}

/// Where log lines go: the engine that started the provider, or attached to it last.
#[derive(Clone, Default)]
pub(crate) struct Engine {
    at: Arc<RwLock<Option<At>>>,
}

/// An address and the connection to it.
type At = (String, EngineClient<Channel>);

impl Engine {
    pub(crate) fn connect(&self, address: &str) {
        match channel(address) {
            Ok(channel) => {
                let client = EngineClient::new(channel)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE);
                if let Ok(mut slot) = self.at.write() {
                    *slot = Some((address.to_owned(), client));
                }
            }
            Err(error) => tracing::warn!(%address, %error, "not an engine address"),
        }
    }

    pub(crate) fn address(&self) -> Option<String> {
        let slot = self.at.read().ok()?;
        slot.as_ref().map(|(address, _)| address.clone())
    }

    pub(crate) async fn log(
        &self,
        severity: LogSeverity,
        urn: &str,
        message: &str,
        ephemeral: bool,
    ) {
        let message = scrub(message);
        tracing::debug!(%urn, ?severity, "{message}");
        let Some((_, mut client)) = self.at.read().ok().and_then(|slot| slot.clone()) else {
            return;
        };
        let request = LogRequest {
            severity: severity.into(),
            message,
            urn: urn.to_owned(),
            stream_id: 0,
            ephemeral,
        };
        match tokio::time::timeout(LOG_TIMEOUT, client.log(request)).await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => tracing::debug!(%status, "the engine did not take a log line"),
            Err(_) => tracing::debug!("the engine did not take a log line in time"),
        }
    }
}
