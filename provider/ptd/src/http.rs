//! The HTTP stack of all clouds' clients: proxies, certificate authorities, connection pool.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use pulumi_provider::Env;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Any of these asks for a proxy.
const PROXY_VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Addresses that serve credentials to machines and containers. They answer only directly, never through a proxy.
const METADATA_HOSTS: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::254]",
];

/// Why no HTTP client could be made.
#[derive(Clone, Debug)]
pub(crate) enum Unready {
    /// The file of additional certificate authorities cannot be used.
    Bundle {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS itself could not be set up.
    Tls(String),
}

/// A connector for clients other than AWS's. `ca_bundle` is the variable that names the file of additional certificate authorities.
pub(crate) async fn connector(
    env: &dyn Env,
    ca_bundle: &str,
    connect_timeout: Duration,
) -> Result<SharedHttpConnector, Unready> {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(connect_timeout)
        .build();
    Ok(prepare(env, ca_bundle).await?.routed(&settings, None))
}

/// A client for the services of AWS. Certificates are read here, off the async threads; nothing is connected.
pub(crate) async fn client(env: &dyn Env, ca_bundle: &str) -> Result<SharedHttpClient, Unready> {
    prepare(env, ca_bundle).await.map(SharedHttpClient::new)
}

async fn prepare(env: &dyn Env, ca_bundle: &str) -> Result<Client, Unready> {
    let mut trust = TrustStore::default();
    if let Some(path) = env.get(ca_bundle) {
        let unusable = |problem: String| Unready::Bundle {
            path: path.clone(),
            problem,
        };
        let text = tokio::fs::read(&path)
            .await
            .map_err(|error| unusable(error.to_string()))?;
        trust.add_pem_certificate(usable_certificates(&text, ca_bundle).map_err(unusable)?);
    }
    let tls = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| Unready::Tls(error.to_string()))?;
    let client = Client {
        tls,
        proxied: PROXY_VARIABLES.iter().any(|name| env.get(name).is_some()),
        connectors: Arc::default(),
    };
    // The first connector reads the system's certificates, from dozens of files on some machines.
    let first = client.clone();
    tokio::task::spawn_blocking(move || {
        drop(first.connector(
            &HttpConnectorSettings::default(),
            ProxyConfig::disabled(),
            None,
        ));
    })
    .await
    .map_err(|error| Unready::Tls(error.to_string()))?;
    Ok(client)
}

/// The certificates of a PEM file that can be used; odd ones, which real bundles have, are left out with a warning.
fn usable_certificates(pem: &[u8], variable: &str) -> Result<Vec<u8>, String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    let mut usable = String::new();
    let mut skipped = 0_usize;
    for block in text.split(BEGIN).skip(1) {
        let body = block
            .split_once(END)
            .map(|(body, _)| format!("{BEGIN}{body}{END}\n"));
        let accepted = body.as_ref().is_some_and(|block| {
            CertificateDer::from_pem_slice(block.as_bytes())
                .is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok())
        });
        match body {
            Some(block) if accepted => usable.push_str(&block),
            _ => skipped += 1,
        }
    }
    if usable.is_empty() {
        return Err("it holds no usable PEM certificate".to_owned());
    }
    if skipped > 0 {
        tracing::warn!(
            skipped,
            variable,
            "certificates of the bundle could not be read and are ignored"
        );
    }
    Ok(usable.into_bytes())
}

/// Timeouts that a connector is made for.
type Key = (Option<Duration>, Option<Duration>);

/// Connectors by their timeouts. Unlike the SDK's own, making a service client from this one builds nothing.
#[derive(Clone)]
struct Client {
    tls: TlsContext,
    proxied: bool,
    connectors: Arc<Mutex<HashMap<Key, SharedHttpConnector>>>,
}

impl Client {
    fn connector(
        &self,
        settings: &HttpConnectorSettings,
        proxy: ProxyConfig,
        components: Option<&RuntimeComponents>,
    ) -> Connector {
        let mut builder = Connector::builder()
            .connector_settings(settings.clone())
            .proxy_config(proxy)
            .tls_provider(Provider::rustls(CryptoMode::Ring))
            .tls_context(self.tls.clone());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    }

    fn routed(
        &self,
        settings: &HttpConnectorSettings,
        components: Option<&RuntimeComponents>,
    ) -> SharedHttpConnector {
        let direct =
            SharedHttpConnector::new(self.connector(settings, ProxyConfig::disabled(), components));
        if !self.proxied {
            return direct;
        }
        let proxied =
            SharedHttpConnector::new(self.connector(settings, ProxyConfig::from_env(), components));
        SharedHttpConnector::new(Routed { direct, proxied })
    }
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let key = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = self
            .connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connectors
            .entry(key)
            .or_insert_with(|| self.routed(settings, Some(components)))
            .clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("proxied", &self.proxied)
            .finish_non_exhaustive()
    }
}

/// Sends requests through the proxy, except those that must go directly. `NO_PROXY` is the proxied connector's matter.
#[derive(Debug)]
struct Routed {
    direct: SharedHttpConnector,
    proxied: SharedHttpConnector,
}

impl HttpConnector for Routed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if is_metadata(request.uri()) {
            self.direct.call(request)
        } else {
            self.proxied.call(request)
        }
    }
}

fn is_metadata(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else {
        return false;
    };
    METADATA_HOSTS.iter().any(|host| {
        rest.strip_prefix(host)
            .is_some_and(|tail| tail.is_empty() || tail.starts_with(['/', ':', '?']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_go_directly() {
        assert!(is_metadata("http://169.254.169.254/latest/meta-data/"));
        assert!(is_metadata("http://[fd00:ec2::254]/latest"));
        assert!(!is_metadata("http://169.254.169.254.example.com/"));
        assert!(!is_metadata("https://sts.us-east-2.amazonaws.com/"));
    }

    #[test]
    fn files_without_certificates_are_refused_not_fatal() {
        assert!(usable_certificates(b"", "A_BUNDLE").is_err());
        assert!(
            usable_certificates(
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "A_BUNDLE"
            )
            .is_err()
        );
        assert!(
            usable_certificates(b"-----BEGIN CERTIFICATE-----\nunfinished", "A_BUNDLE").is_err()
        );
    }
}
