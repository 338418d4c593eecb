//! Azure clients for one provider configuration.
//!
//! Making an [`AzureClients`] is instant and offline. The first use reads certificates and chooses the credential; the first session with
//! a subscription asks whose it is, before anything is written.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use azure_core::http::{ClientOptions, HttpClient, RetryOptions, Transport as AzureTransport, Url};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use pulumi_provider::{Env, Error, ProcessEnv};
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use super::arm::{ArmClient, ArmError, Cloud, Refusal, ResourceId, Run, Shared, Tokens};
use super::config::AzureConfig;
use super::credentials::{self, cli_account};
use super::http::{CA_BUNDLE, Transport};
use super::names;
use super::settings::{Chosen, Settings};
use crate::config::CommonConfig;
use crate::http::Unready;
use crate::tags::TagPolicy;

/// The version of the calls that tell of a subscription.
const SUBSCRIPTION_API: &str = "2022-12-01";

/// The Azure clients of one provider instance.
pub struct AzureClients {
    config: AzureConfig,
    tags: TagPolicy,
    max_retries: u32,
    connect_timeout: Duration,
    request_timeout: Duration,
    env: Arc<dyn Env>,
    base: OnceCell<Base>,
    /// The tenants of subscriptions that were asked.
    tenants: Mutex<HashMap<String, String>>,
    vaults: Arc<Vaults>,
    freed: Arc<Freed>,
}

/// Names that were given up here, with their services: of deleted storage accounts, and of purged vaults.
type Freed = std::sync::Mutex<HashSet<String>>;

/// Clients of vaults' secrets, by URL and by whether they repeat requests. Each learns with its first request where tokens come from, which
/// is one request more.
type Vaults = std::sync::Mutex<HashMap<(String, bool), Arc<SecretClient>>>;

/// What all clients share.
struct Base {
    settings: Settings,
    arm: ArmClient,
    tokens: Arc<Tokens>,
    transport: Arc<dyn HttpClient>,
}

impl fmt::Debug for AzureClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureClients")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Clients for one subscription, which is known to be of the right tenant.
#[derive(Clone)]
pub struct AzureSession {
    /// The client of Resource Manager.
    pub arm: ArmClient,
    /// The subscription's id.
    pub subscription: String,
    /// The tenant it is in.
    pub tenant: String,
    /// What the provider's configuration says about tags, with keys as Azure accepts them.
    pub tags: TagPolicy,
    tokens: Arc<Tokens>,
    transport: Arc<dyn HttpClient>,
    vaults: Arc<Vaults>,
    freed: Arc<Freed>,
}

fn misconfigured(what: &str, next: &str) -> Error {
    Error::refused(format!("Azure cannot be used: {what}"), next)
}

impl AzureClients {
    /// Clients for a configuration, in the environment of the process.
    #[must_use]
    pub fn new(config: AzureConfig, common: &CommonConfig) -> Self {
        Self::with_env(config, common, Arc::new(ProcessEnv))
    }

    /// Clients for a configuration, reading variables from `env`.
    #[must_use]
    pub fn with_env(config: AzureConfig, common: &CommonConfig, env: Arc<dyn Env>) -> Self {
        let mut tags = common.tag_policy();
        tags.default_tags = names::converted_tags(&tags.default_tags);
        tags.ignored_keys = tags
            .ignored_keys
            .iter()
            .map(|k| names::tag_key(k))
            .collect();
        Self {
            config,
            tags,
            max_retries: common.retries(),
            connect_timeout: common.connect_timeout(),
            request_timeout: common.request_timeout(),
            env,
            base: OnceCell::new(),
            tenants: Mutex::default(),
            vaults: Arc::default(),
            freed: Arc::default(),
        }
    }

    /// What the configuration says about tags, with keys as Azure accepts them.
    #[must_use]
    pub fn tag_policy(&self) -> &TagPolicy {
        &self.tags
    }

    /// The region for resources that name none, as far as configuration and environment tell.
    #[must_use]
    pub fn location(&self) -> Option<String> {
        self.config
            .location
            .clone()
            .or_else(|| self.env.get("ARM_LOCATION"))
    }

    /// The subscription, as far as configuration and environment tell.
    #[must_use]
    pub fn subscription(&self) -> Option<String> {
        Settings::read(&self.config, self.env.as_ref())
            .ok()?
            .subscription
    }

    /// The cloud, as far as configuration and environment tell.
    #[must_use]
    pub fn cloud(&self) -> Option<Cloud> {
        Settings::read(&self.config, self.env.as_ref())
            .ok()
            .map(|settings| settings.cloud)
    }

    async fn base(&self) -> Result<&Base, Error> {
        self.base.get_or_try_init(|| self.prepare()).await
    }

    async fn prepare(&self) -> Result<Base, Error> {
        let mut settings = Settings::read(&self.config, self.env.as_ref())
            .map_err(|problem| misconfigured(&problem, "Correct the provider's configuration"))?;
        let transport = Transport::prepare(
            self.env.as_ref(),
            self.connect_timeout,
            self.request_timeout,
        )
        .await
        .map_err(|unready| match unready {
            Unready::Bundle { path, problem } => misconfigured(
                &format!("{CA_BUNDLE} names {path}: {problem}"),
                "Point it at a readable PEM file of certificate authorities, or unset it",
            ),
            Unready::Tls(problem) => misconfigured(&problem, "Check the system's certificates"),
        })?;
        if settings.method == Chosen::Cli {
            adopt_cli(&mut settings).await?;
        }
        let transport: Arc<dyn HttpClient> = transport;
        let tokens = credentials::tokens(&settings, None, &transport, &self.env);
        let auxiliary = settings
            .auxiliary
            .iter()
            .map(|tenant| credentials::tokens(&settings, Some(tenant), &transport, &self.env))
            .collect();
        let arm = ArmClient::new(
            settings.cloud.clone(),
            tokens.clone(),
            AzureTransport::new(transport.clone()),
            self.max_retries,
        )
        .with_auxiliary(auxiliary);
        Ok(Base {
            settings,
            arm,
            tokens,
            transport,
        })
    }

    /// A session with a subscription, or with the configured one. Whose it is was asked by then.
    pub async fn session(
        &self,
        run: &dyn Run,
        subscription: Option<&str>,
        tenant: Option<&str>,
    ) -> Result<AzureSession, Error> {
        let base = self.base().await?;
        let Some(subscription) = subscription.or(base.settings.subscription.as_deref()) else {
            return Err(misconfigured(
                &format!(
                    "with {} it must be said which subscription to work in",
                    base.settings.method.describe()
                ),
                "Set azure.subscriptionId, ARM_SUBSCRIPTION_ID, or the resource's subscriptionId",
            ));
        };
        let actual = self.tenant_of(run, base, subscription).await?;
        let expected = [tenant, base.settings.tenant.as_deref()];
        for expected in expected.into_iter().flatten() {
            // A tenant may be named by a domain, which is nobody's business here.
            if names::guid(expected).is_ok() && !expected.eq_ignore_ascii_case(&actual) {
                return Err(Error::refused(
                    format!(
                        "subscription {subscription} belongs to tenant {actual}, not to {expected}: nothing was touched"
                    ),
                    "Correct subscriptionId or tenantId",
                ));
            }
        }
        Ok(AzureSession {
            arm: base.arm.clone(),
            subscription: subscription.to_owned(),
            tenant: actual,
            tags: self.tags.clone(),
            tokens: base.tokens.clone(),
            transport: base.transport.clone(),
            vaults: self.vaults.clone(),
            freed: self.freed.clone(),
        })
    }

    /// The tenant of a subscription; asked once.
    async fn tenant_of(
        &self,
        run: &dyn Run,
        base: &Base,
        subscription: &str,
    ) -> Result<String, Error> {
        let mut tenants = self.tenants.lock().await;
        if let Some(tenant) = tenants.get(&subscription.to_ascii_lowercase()) {
            return Ok(tenant.clone());
        }
        let id = ResourceId::subscription(subscription);
        let unseen = || {
            let tenant = base.settings.tenant.as_deref().unwrap_or("their own");
            format!(
                "The credentials ({}) see no subscription {subscription} in tenant {tenant}: check azure.subscriptionId and azure.tenantId, \
                 and that the identity has a role in the subscription",
                base.tokens.method()
            )
        };
        let found = base
            .arm
            .get(run, &id, SUBSCRIPTION_API)
            .await
            .map_err(|error| {
                if error.is_code(&["SubscriptionNotFound", "InvalidAuthenticationTokenTenant"]) {
                    error.with_hint(unseen())
                } else {
                    error
                }
            })?;
        let tenant = found
            .as_ref()
            .and_then(|found| found.get("tenantId"))
            .and_then(Value::as_str);
        let Some(tenant) = tenant else {
            return Err(ArmError::from(Refusal {
                operation: "GET subscription".to_owned(),
                subject: id.to_string(),
                message: "the subscription is not there".to_owned(),
                hint: Some(unseen()),
                ..Refusal::default()
            })
            .into());
        };
        tenants.insert(subscription.to_ascii_lowercase(), tenant.to_owned());
        Ok(tenant.to_owned())
    }
}

/// Takes subscription and tenant from the Azure CLI, which must be signed in to the cloud that is configured.
async fn adopt_cli(settings: &mut Settings) -> Result<(), Error> {
    let method = Chosen::Cli.describe();
    let account = cli_account(settings.subscription.as_deref())
        .await
        .map_err(|problem| {
            misconfigured(
                &format!("{method} was tried: {problem}"),
                "Sign in with `az login`, or configure a service principal (azure.clientId and azure.clientSecret), useOidc or useMsi",
            )
        })?;
    let cli = Cloud::named(&account.environment_name);
    match cli {
        Some(cloud) if cloud.name == settings.cloud.name => {}
        Some(cloud) if !settings.cloud_named && !settings.cloud.custom => settings.cloud = cloud,
        _ => {
            return Err(misconfigured(
                &format!(
                    "the Azure CLI is signed in to {}, and azure.environment is {}",
                    account.environment_name, settings.cloud.name
                ),
                "Run `az cloud set`, or correct azure.environment",
            ));
        }
    }
    settings.subscription.get_or_insert(account.id);
    settings.tenant.get_or_insert(account.tenant_id);
    Ok(())
}

impl AzureSession {
    /// The id of a resource group of the subscription.
    #[must_use]
    pub fn group(&self, name: &str) -> ResourceId {
        ResourceId::group(&self.subscription, name)
    }

    /// What a data plane client needs: a credential, and how to send.
    fn data_plane(&self) -> (Arc<Shared>, ClientOptions) {
        let (shared, transport) = Shared::new(self.tokens.clone(), self.transport.clone());
        let options = ClientOptions {
            transport: Some(transport),
            ..ClientOptions::default()
        };
        (shared, options)
    }

    /// Remembers that a name, which is global, was given up here.
    pub fn free(&self, id: &ResourceId) {
        let mut freed = self.freed.lock().unwrap_or_else(PoisonError::into_inner);
        freed.insert(global_name(id));
    }

    /// Whether a name was given up by this provider: it may seem taken for some more minutes.
    #[must_use]
    pub fn is_freed(&self, id: &ResourceId) -> bool {
        let freed = self.freed.lock().unwrap_or_else(PoisonError::into_inner);
        freed.contains(&global_name(id))
    }

    /// A client of a vault's secrets. `url` is what the vault says of itself. One that does not repeat requests is for writing values:
    /// each repetition would be a version of its own.
    pub fn secrets(&self, url: &str, repeat: bool) -> Result<Arc<SecretClient>, Error> {
        let mut vaults = self.vaults.lock().unwrap_or_else(PoisonError::into_inner);
        match vaults.entry((url.to_owned(), repeat)) {
            Entry::Occupied(client) => Ok(client.get().clone()),
            Entry::Vacant(place) => {
                let client = Arc::new(self.new_secrets(url, repeat)?);
                Ok(place.insert(client).clone())
            }
        }
    }

    fn new_secrets(&self, url: &str, repeat: bool) -> Result<SecretClient, Error> {
        let (shared, mut client_options) = self.data_plane();
        if !repeat {
            client_options.retry = RetryOptions::none();
        }
        let options = SecretClientOptions {
            client_options,
            verify_challenge_resource: Some(!self.arm.cloud().custom),
            ..SecretClientOptions::default()
        };
        SecretClient::new(url, shared, Some(options)).map_err(|error| unusable(url, &error))
    }

    /// A client of a vault's keys. `url` is what the vault says of itself.
    pub fn keys(&self, url: &str) -> Result<KeyClient, Error> {
        let (shared, client_options) = self.data_plane();
        let options = KeyClientOptions {
            client_options,
            verify_challenge_resource: Some(!self.arm.cloud().custom),
            ..KeyClientOptions::default()
        };
        KeyClient::new(url, shared, Some(options)).map_err(|error| unusable(url, &error))
    }

    /// A client of a blob container. `endpoint` is what the account says of itself.
    pub fn container(&self, endpoint: &str, name: &str) -> Result<BlobContainerClient, Error> {
        let url = Url::parse(&format!("{}/{name}", endpoint.trim_end_matches('/')))
            .map_err(|error| misconfigured(&error.to_string(), "Run `pulumi refresh`"))?;
        let (shared, client_options) = self.data_plane();
        let options = BlobContainerClientOptions {
            client_options,
            ..BlobContainerClientOptions::default()
        };
        BlobContainerClient::new(url, Some(shared), Some(options))
            .map_err(|error| unusable(endpoint, &error))
    }
}

/// A name that is unique in all of a service.
fn global_name(id: &ResourceId) -> String {
    let service = id.namespace().unwrap_or_default();
    format!("{service}/{}", id.name()).to_ascii_lowercase()
}

fn unusable(url: &str, error: &azure_core::Error) -> Error {
    misconfigured(
        &format!("the URL {url} cannot be used: {error}"),
        "Run `pulumi refresh`",
    )
}
