//! From settings to tokens: the one credential that was chosen.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{
    AccessToken, Secret as AzureSecret, TokenCredential, TokenRequestOptions,
};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, HttpClient, Transport, Url};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use pulumi_provider::{Env, Secret};
use serde::Deserialize;

use super::arm::{Cloud, Tokens};
use super::assertion::Assertion;
use super::settings::{Chosen, Settings};

/// What the credentials are made with.
#[derive(Clone)]
pub(super) struct Making {
    pub(super) cloud: Cloud,
    pub(super) tenant: Option<String>,
    pub(super) client: Option<String>,
    pub(super) subscription: Option<String>,
    pub(super) transport: Arc<dyn HttpClient>,
}

/// The tokens of the chosen credential, in its own tenant or in another. Nothing is asked for yet.
pub(super) fn tokens(
    settings: &Settings,
    tenant: Option<&str>,
    transport: &Arc<dyn HttpClient>,
    env: &Arc<dyn Env>,
) -> Arc<Tokens> {
    let making = Making {
        cloud: settings.cloud.clone(),
        tenant: tenant.map_or_else(|| settings.tenant.clone(), |other| Some(other.to_owned())),
        client: settings.client.clone(),
        subscription: settings.subscription.clone(),
        transport: transport.clone(),
    };
    let method = settings.method.clone();
    let env = env.clone();
    let name = match tenant {
        Some(other) => format!("{} in tenant {other}", settings.method.describe()),
        None => settings.method.describe().to_owned(),
    };
    Arc::new(Tokens::new(
        name,
        Box::new(move || making.credential(&method, env.as_ref())),
    ))
}

fn missing(what: &str) -> Error {
    Error::with_message(
        ErrorKind::Credential,
        format!("no {what} is configured, and no environment variable names one"),
    )
}

impl Making {
    fn options(&self) -> ClientOptions {
        let mut custom = CustomConfiguration::default();
        self.cloud
            .authority
            .as_str()
            .clone_into(&mut custom.authority_host);
        ClientOptions {
            transport: Some(Transport::new(self.transport.clone())),
            cloud: Some(Arc::new(CloudConfiguration::from(custom))),
            ..ClientOptions::default()
        }
    }

    fn tenant(&self) -> azure_core::Result<&str> {
        self.tenant
            .as_deref()
            .ok_or_else(|| missing("tenant (azure.tenantId)"))
    }

    fn client(&self) -> azure_core::Result<String> {
        self.client
            .clone()
            .ok_or_else(|| missing("client (azure.clientId)"))
    }

    fn credential(
        &self,
        method: &Chosen,
        env: &dyn Env,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        match method {
            Chosen::Default => Ok(Arc::new(self.chain(env))),
            Chosen::Certificate { path } => self.asserted(Assertion::Certificate {
                path: PathBuf::from(path),
                client: self.client()?,
                audience: self.token_url()?,
            }),
            Chosen::Secret(secret) => self.secret(secret),
            Chosen::OidcToken(token) => self.asserted(Assertion::Token(token.clone())),
            Chosen::OidcFile { path } => self.asserted(Assertion::File(PathBuf::from(path))),
            Chosen::OidcRequest {
                url,
                token,
                audience,
            } => self.asserted(Assertion::Request {
                url: Url::parse(url)
                    .map_err(|e| Error::with_message(ErrorKind::Credential, e.to_string()))?,
                token: token.clone(),
                audience: audience.clone(),
                transport: self.transport.clone(),
            }),
            Chosen::ManagedIdentity => self.managed(),
            Chosen::Cli => self.cli(),
        }
    }

    fn token_url(&self) -> azure_core::Result<String> {
        let authority = self.cloud.authority.as_str().trim_end_matches('/');
        Ok(format!("{authority}/{}/oauth2/v2.0/token", self.tenant()?))
    }

    fn secret(&self, secret: &Secret<String>) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(ClientSecretCredential::new(
            self.tenant()?,
            self.client()?,
            AzureSecret::new(secret.expose().clone()),
            Some(ClientSecretCredentialOptions {
                client_options: self.options(),
            }),
        )?)
    }

    fn asserted(&self, assertion: Assertion) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(ClientAssertionCredential::new(
            self.tenant()?.to_owned(),
            self.client()?,
            assertion,
            Some(ClientAssertionCredentialOptions {
                client_options: self.options(),
            }),
        )?)
    }

    fn managed(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(ManagedIdentityCredential::new(Some(
            ManagedIdentityCredentialOptions {
                user_assigned_id: self.client.clone().map(UserAssignedId::ClientId),
                client_options: self.options(),
            },
        ))?)
    }

    fn cli(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(AzureCliCredential::new(Some(AzureCliCredentialOptions {
            // The CLI takes one or the other; the tenant says more.
            subscription: self.subscription.clone().filter(|_| self.tenant.is_none()),
            tenant_id: self.tenant.clone(),
            executor: None,
        }))?)
    }

    /// The default chain: what can be made is tried in turn.
    fn chain(&self, env: &dyn Env) -> Chain {
        let mut links: Vec<(&'static str, azure_core::Result<Arc<dyn TokenCredential>>)> =
            Vec::new();
        let secret = ["AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET"]
            .iter()
            .find_map(|name| env.get(name));
        if let Some(secret) = secret {
            links.push((
                "the client secret of the environment",
                self.secret(&Secret::new(secret)),
            ));
        }
        if let Some(path) = env.get("AZURE_CLIENT_CERTIFICATE_PATH") {
            let made = self.client().and_then(|client| {
                self.asserted(Assertion::Certificate {
                    path: PathBuf::from(path),
                    client,
                    audience: self.token_url()?,
                })
            });
            links.push(("the client certificate of the environment", made));
        }
        if let Some(path) = env.get("AZURE_FEDERATED_TOKEN_FILE") {
            links.push((
                "workload identity",
                self.asserted(Assertion::File(PathBuf::from(path))),
            ));
        }
        links.push(("managed identity", self.managed()));
        links.push(("the Azure CLI", self.cli()));
        Chain { links }
    }
}

/// Credentials that are tried in turn.
#[derive(Debug)]
struct Chain {
    links: Vec<(&'static str, azure_core::Result<Arc<dyn TokenCredential>>)>,
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut failures = Vec::new();
        for (name, link) in &self.links {
            let error = match link {
                Ok(credential) => match credential.get_token(scopes, options.clone()).await {
                    Ok(token) => return Ok(token),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            failures.push(format!("{name}: {}", error.trim()));
        }
        Err(Error::with_message(
            ErrorKind::Credential,
            format!("none worked. {}", failures.join("; ")),
        ))
    }
}

/// What the Azure CLI says of the account it is signed in with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CliAccount {
    pub(super) id: String,
    pub(super) tenant_id: String,
    pub(super) environment_name: String,
}

/// Asks the Azure CLI for its account; nothing is changed about it.
pub(super) async fn cli_account(subscription: Option<&str>) -> Result<CliAccount, String> {
    let program = if cfg!(windows) { "az.cmd" } else { "az" };
    let mut command = tokio::process::Command::new(program);
    command
        .args(["account", "show", "--output", "json"])
        .kill_on_drop(true)
        .stdin(std::process::Stdio::null());
    if let Some(subscription) = subscription {
        command.args(["--subscription", subscription]);
    }
    let output = command.output().await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            "az is not found on PATH".to_owned()
        } else {
            format!("az cannot be run: {error}")
        }
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("az account show failed: {}", said.trim()));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("az account show gave what cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azure_core::http::headers::Headers;
    use azure_core::http::{AsyncRawResponse, Request};

    use super::*;

    /// The metadata service of a virtual machine, which has one address only.
    #[derive(Debug, Default)]
    struct Machine {
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl HttpClient for Machine {
        async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
            let marked = request
                .headers()
                .get_optional_str(&"metadata".into())
                .unwrap_or_default();
            let line = format!("{} {} {marked}", request.method(), request.url());
            self.asked.lock().expect("a lock").push(line);
            let body = br#"{"access_token": "of-the-machine", "expires_on": "4102444800", "token_type": "Bearer", "resource": "r"}"#;
            Ok(AsyncRawResponse::from_bytes(
                200.into(),
                Headers::new(),
                body.as_slice(),
            ))
        }
    }

    #[tokio::test]
    async fn a_virtual_machine_is_asked_for_its_identity() {
        for (client, told) in [(None, false), (Some("client-1"), true)] {
            let machine = Arc::new(Machine::default());
            let making = Making {
                cloud: Cloud::named("public").expect("a cloud"),
                tenant: None,
                client: client.map(str::to_owned),
                subscription: None,
                transport: machine.clone(),
            };
            let credential = making.managed().expect("a credential");
            let token = credential
                .get_token(&["https://management.azure.com/.default"], None)
                .await
                .expect("a token");
            assert_eq!(token.token.secret(), "of-the-machine");
            let asked = machine.asked.lock().expect("a lock").join("\n");
            assert!(
                asked.starts_with("GET http://169.254.169.254/metadata/identity/oauth2/token?")
            );
            assert!(
                asked.contains("resource=https") && asked.ends_with(" true"),
                "{asked}"
            );
            assert_eq!(asked.contains("client_id=client-1"), told, "{asked}");
        }
    }
}
