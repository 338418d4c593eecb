//! What a service principal shows in place of a secret: a token of another provider, or a statement signed with its certificate's key.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientMethodOptions, HttpClient, Method, Request, Url};
use azure_identity::ClientAssertion;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pulumi_provider::Secret;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What is said of a file without a PEM certificate.
const NO_PEM: &str = "it holds no PEM certificate; if it is a PKCS#12 file (.pfx, .p12), `openssl pkcs12 -in FILE -out FILE.pem -nodes` makes \
     a PEM file of it (with -legacy where OpenSSL does not support its old encryption)";

/// How long a signed statement is good for.
const LIFE: Duration = Duration::from_mins(10);

/// Where the statement comes from.
#[derive(Clone)]
pub(super) enum Assertion {
    /// Somebody else's token, as it is.
    Token(Secret<String>),
    /// Somebody else's token, read anew each time: whoever writes the file renews it.
    File(PathBuf),
    /// Somebody else's token, asked for each time.
    Request {
        url: Url,
        token: Secret<String>,
        audience: String,
        transport: Arc<dyn HttpClient>,
    },
    /// A statement of our own, signed with the certificate's key.
    Certificate {
        path: PathBuf,
        client: String,
        /// The URL that the statement is for.
        audience: String,
    },
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::File(_) => "File",
            Self::Request { .. } => "Request",
            Self::Certificate { .. } => "Certificate",
        })
    }
}

fn failure(message: String) -> Error {
    Error::with_message(ErrorKind::Credential, message)
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(
        &self,
        _options: Option<ClientMethodOptions<'_>>,
    ) -> azure_core::Result<String> {
        match self {
            Self::Token(token) => Ok(token.expose().clone()),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|error| failure(format!("reading {}: {error}", path.display())))?;
                Ok(text.trim().to_owned())
            }
            Self::Request {
                url,
                token,
                audience,
                transport,
            } => request(url, token, audience, transport.as_ref()).await,
            Self::Certificate {
                path,
                client,
                audience,
            } => {
                let pem = tokio::fs::read(path)
                    .await
                    .map_err(|error| failure(format!("reading {}: {error}", path.display())))?;
                sign(&pem, client, audience)
                    .map_err(|problem| failure(format!("{}: {problem}", path.display())))
            }
        }
    }
}

#[derive(Deserialize)]
struct Given {
    value: String,
}

/// Asks as GitHub's workflows do.
async fn request(
    url: &Url,
    token: &Secret<String>,
    audience: &str,
    transport: &dyn HttpClient,
) -> azure_core::Result<String> {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("audience", audience);
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut ask = Request::new(url, Method::Get);
    ask.insert_header("authorization", format!("Bearer {}", token.expose()));
    ask.insert_header("accept", "application/json");
    let answer = transport
        .execute_request(&ask)
        .await?
        .try_into_raw_response()
        .await?;
    let status = u16::from(answer.status());
    if status != 200 {
        return Err(failure(format!(
            "{host} gave no token: HTTP {status}; has the workflow the permission id-token: write?"
        )));
    }
    let given: Given = serde_json::from_slice(answer.body().as_ref())
        .map_err(|_| failure(format!("{host} gave an answer without a token")))?;
    Ok(given.value)
}

/// A statement of who the client is, signed as Entra asks for it.
fn sign(pem: &[u8], client: &str, audience: &str) -> Result<String, String> {
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("its PEM cannot be read: {error}"))?;
    if certificates.is_empty() {
        return Err(NO_PEM.to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        "it holds no unencrypted PEM key; `openssl pkey -in FILE -out FILE.key` takes the password away, and the certificate has to be in \
         the file as well"
            .to_owned()
    })?;
    let key: Arc<dyn SigningKey> =
        any_supported_type(&key).map_err(|error| format!("its key cannot be used: {error}"))?;
    // Those of authorities may be there as well, in any order.
    let certificate = certificates
        .into_iter()
        .find(|one| {
            CertifiedKey::new(vec![one.clone()], key.clone())
                .keys_match()
                .is_ok()
        })
        .ok_or_else(|| "its key belongs to none of its certificates".to_owned())?;
    let signer = key
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .ok_or_else(|| "its key is not an RSA key, which Entra asks for".to_owned())?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mut nonce = [0_u8; 16];
    getrandom::fill(&mut nonce).map_err(|error| format!("no random numbers: {error}"))?;
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&serde_json::json!({
        "alg": "RS256",
        "typ": "JWT",
        "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.as_ref())),
    }));
    let claims = part(&serde_json::json!({
        "aud": audience,
        "iss": client,
        "sub": client,
        "jti": hex::encode(nonce),
        "nbf": now,
        "exp": now + LIFE.as_secs(),
    }));
    let text = format!("{header}.{claims}");
    let signature = signer
        .sign(text.as_bytes())
        .map_err(|error| format!("signing failed: {error}"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_said() {
        assert!(sign(b"\x30\x82", "c", "a").is_err_and(|e| e.contains("pkcs12")));
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let assertion = Assertion::File(PathBuf::from("/nowhere/token"));
        let error = assertion.secret(None).await.expect_err("no file");
        assert!(error.to_string().contains("/nowhere/token"));
    }
}
