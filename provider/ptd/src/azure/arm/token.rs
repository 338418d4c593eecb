//! Tokens of one credential, shared by all requests and renewed before they expire.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, Transport};
use azure_core::time::OffsetDateTime;
use tokio::sync::Mutex;

use super::error::{ArmError, Refusal};

/// How long before its expiry a token is renewed, at most.
const RENEW_BEFORE: Duration = Duration::from_mins(5);

/// Makes the credential anew. The credentials keep their tokens to themselves, also refused ones: a fresh token takes a fresh credential.
pub type Maker = Box<dyn Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync>;

/// The tokens of one credential.
pub struct Tokens {
    /// Names the credential in errors, such as `client secret (azure.clientSecret)`.
    method: String,
    maker: Maker,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    credential: Option<Arc<dyn TokenCredential>>,
    tokens: HashMap<String, (AccessToken, OffsetDateTime)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens of the credential that `maker` makes; `method` names it in errors.
    #[must_use]
    pub fn new(method: impl Into<String>, maker: Maker) -> Self {
        Self {
            method: method.into(),
            maker,
            held: Mutex::default(),
        }
    }

    /// Which way of authenticating was chosen.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// A token for a scope. Many who ask at once get the same one.
    pub async fn get(&self, scope: &str) -> Result<Secret, ArmError> {
        let mut held = self.held.lock().await;
        self.token(&mut held, scope)
            .await
            .map(|token| token.token)
            .map_err(|error| self.failure(scope, &error))
    }

    /// A token in place of one that was refused, unless somebody else has renewed it meanwhile.
    pub async fn renew(&self, scope: &str, refused: &Secret) -> Result<Secret, ArmError> {
        let mut held = self.held.lock().await;
        if held
            .tokens
            .get(scope)
            .is_some_and(|(token, _)| token.token.secret() == refused.secret())
        {
            *held = Held::default();
        }
        self.token(&mut held, scope)
            .await
            .map(|token| token.token)
            .map_err(|error| self.failure(scope, &error))
    }

    async fn token(&self, held: &mut Held, scope: &str) -> azure_core::Result<AccessToken> {
        let now = OffsetDateTime::now_utc();
        if let Some((token, renew)) = held.tokens.get(scope)
            && now < *renew
        {
            return Ok(token.clone());
        }
        let credential = match &held.credential {
            Some(credential) => credential.clone(),
            None => held.credential.insert((self.maker)()?).clone(),
        };
        let token = credential.get_token(&[scope], None).await?;
        let life = token.expires_on - now;
        // A token that lives for minutes only is used for half of them.
        let renew = (token.expires_on - RENEW_BEFORE).max(now + life / 2);
        held.tokens.insert(scope.to_owned(), (token.clone(), renew));
        Ok(token)
    }

    /// What was tried and why it failed. Azure's own text says it best.
    fn failure(&self, scope: &str, error: &azure_core::Error) -> ArmError {
        let mut refusal = Refusal::unanswered("get a token", scope, error);
        refusal.unanswered = false;
        if let ErrorKind::HttpResponse {
            error_code: Some(code),
            ..
        } = error.kind()
        {
            refusal.code = Some(code.clone());
        }
        refusal.message = format!("{} was tried: {}", self.method, refusal.message.trim());
        refusal.hint = Some(
            "No other way of authenticating is tried when the chosen one fails: correct it, or choose another in the provider's \
             configuration (azure.clientSecret, clientCertificatePath, useOidc, useMsi, or none of them for the Azure CLI)"
                .to_owned(),
        );
        refusal.into()
    }
}

/// The tokens as the credential of one data plane client, which shares them then.
#[derive(Debug)]
pub struct Shared {
    tokens: Arc<Tokens>,
    /// What the client asks tokens for, once it has.
    scope: OnceLock<String>,
}

impl Shared {
    /// A credential, and the transport for the client that has it.
    #[must_use]
    pub fn new(tokens: Arc<Tokens>, transport: Arc<dyn HttpClient>) -> (Arc<Self>, Transport) {
        let shared = Arc::new(Self {
            tokens,
            scope: OnceLock::new(),
        });
        let renewing = Renewing {
            shared: shared.clone(),
            transport,
        };
        (shared, Transport::new(Arc::new(renewing)))
    }
}

#[async_trait]
impl TokenCredential for Shared {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let Some(scope) = scopes.first() else {
            return Err(azure_core::Error::with_message(
                ErrorKind::Credential,
                "no scope was asked for",
            ));
        };
        self.scope.get_or_init(|| (*scope).to_owned());
        let mut held = self.tokens.held.lock().await;
        self.tokens.token(&mut held, scope).await
    }
}

/// A transport that signs with the tokens as they are now, and once more where one is refused. The clients keep a token until it expires,
/// also one that is refused.
#[derive(Debug)]
struct Renewing {
    shared: Arc<Shared>,
    transport: Arc<dyn HttpClient>,
}

const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");

#[async_trait]
impl HttpClient for Renewing {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let tokens = &self.shared.tokens;
        // The first request of all has no token: its answer tells where to get one.
        let (Some(scope), Some(_)) = (
            self.shared.scope.get(),
            request.headers().get_optional_str(&AUTHORIZATION),
        ) else {
            return self.transport.execute_request(request).await;
        };
        let Ok(first) = tokens.get(scope).await else {
            return self.transport.execute_request(request).await;
        };
        let mut signed = request.clone();
        signed.insert_header(AUTHORIZATION, format!("Bearer {}", first.secret()));
        let answer = self.transport.execute_request(&signed).await?;
        if u16::from(answer.status()) != 401 {
            return Ok(answer);
        }
        let Ok(second) = tokens.renew(scope, &first).await else {
            return Ok(answer);
        };
        signed.insert_header(AUTHORIZATION, format!("Bearer {}", second.secret()));
        self.transport.execute_request(&signed).await
    }
}
