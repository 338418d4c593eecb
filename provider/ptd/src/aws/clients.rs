//! SDK clients for one provider configuration.
//!
//! Making an [`AwsClients`] is instant and offline. The first use reads the AWS configuration files and certificates, once;
//! all services and regions then share one HTTP client and one set of credentials, which renews itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_smithy_types::retry::{RetryConfig, RetryMode};
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::service_config::ServiceConfigKey;
use pulumi_provider::{Env, ProcessEnv};
use tokio::sync::{OnceCell, Semaphore};

use super::config::AwsConfig;
use super::credentials::{self, Caller};
use super::error::{self, AwsError, Kind};
use super::http;
use super::region_clients::RegionClients;
use crate::config::CommonConfig;
use crate::tags::TagPolicy;

/// The pause before the first retry, at most; later ones double up to [`MAX_BACKOFF`]. Short, because a bootstrap makes many
/// small calls and throttling there lasts moments.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);

/// The longest pause between attempts. Ten attempts then last about fifteen seconds, which is also how long an endpoint that
/// refuses connections goes unreported.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// How many requests may be under way at once. The engine bounds what it asks for by its own parallelism; a thousand resources
/// at a time would otherwise cost a connection each.
const MAX_IN_FLIGHT: usize = 128;

/// How long before their expiry credentials are renewed.
const RENEW_BEFORE: Duration = Duration::from_mins(2);

/// How long obtaining credentials may take: single sign-on, a credential process or a role behind a slow proxy need more than the
/// SDK's five seconds, and retries need their time.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_mins(2);

/// Where a role is assumed when only resources name a region.
const FALLBACK_REGION: &str = "us-east-1";

/// The AWS clients of one provider instance.
pub struct AwsClients {
    config: AwsConfig,
    common: CommonConfig,
    env: Arc<dyn Env>,
    base: OnceCell<SdkConfig>,
    caller: OnceCell<Caller>,
    regions: Mutex<HashMap<String, Arc<RegionClients>>>,
    in_flight: Arc<Semaphore>,
}

/// What another process needs to work as a provider does.
pub(crate) struct Access {
    /// They renew themselves.
    pub(crate) credentials: SharedCredentialsProvider,
    /// The region, where one is configured.
    pub(crate) region: Option<String>,
    /// Endpoint overrides, by the variables that say them.
    pub(crate) endpoints: Vec<(String, String)>,
}

impl fmt::Debug for AwsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsClients")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl AwsClients {
    /// Clients for a configuration, in the environment of the process.
    #[must_use]
    pub fn new(config: AwsConfig, common: CommonConfig) -> Self {
        Self::with_env(config, common, Arc::new(ProcessEnv))
    }

    /// Clients for a configuration, reading this crate's variables from `env`.
    #[must_use]
    pub fn with_env(config: AwsConfig, common: CommonConfig, env: Arc<dyn Env>) -> Self {
        Self {
            config,
            common,
            env,
            base: OnceCell::new(),
            caller: OnceCell::new(),
            regions: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        }
    }

    /// The region of the provider's configuration; the environment or the profile may name one besides.
    #[must_use]
    pub fn configured_region(&self) -> Option<&str> {
        self.config.region.as_deref()
    }

    /// What the configuration says about tags.
    #[must_use]
    pub fn tag_policy(&self) -> TagPolicy {
        self.common.tag_policy()
    }

    /// The region of the configuration, or the one found in the environment or the profile.
    pub async fn region(&self) -> Result<String, AwsError> {
        let base = self.base().await?;
        base.region().map(ToString::to_string).ok_or_else(|| {
            AwsError::new(
                Kind::NoRegion,
                "choosing a region",
                "the provider",
                "no AWS region is configured",
            )
        })
    }

    /// The clients for a region, or for the configured one.
    pub async fn for_region(&self, region: Option<&str>) -> Result<Arc<RegionClients>, AwsError> {
        let region = match region {
            Some(region) => region.to_owned(),
            None => self.region().await?,
        };
        let base = self.base().await?;
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = regions.entry(region).or_insert_with_key(|region| {
            Arc::new(RegionClients::new(
                base,
                region,
                &self.config,
                self.in_flight.clone(),
            ))
        });
        Ok(Arc::clone(clients))
    }

    /// What another process needs to work as this provider does.
    pub(crate) async fn access(&self) -> Result<Access, AwsError> {
        let base = self.base().await?;
        let credentials = base.credentials_provider().ok_or_else(|| {
            AwsError::new(
                Kind::NoCredentials,
                "finding credentials",
                "the provider",
                "no AWS credentials are configured",
            )
        })?;
        let own = self.config.endpoints.clone().unwrap_or_default();
        let endpoints = [
            ("AWS_ENDPOINT_URL", self.config.endpoint_url.clone()),
            ("AWS_ENDPOINT_URL_S3", own.s3),
            ("AWS_ENDPOINT_URL_KMS", own.kms),
            ("AWS_ENDPOINT_URL_IAM", own.iam),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", own.secrets_manager),
            ("AWS_ENDPOINT_URL_STS", own.sts),
        ];
        Ok(Access {
            credentials,
            region: base.region().map(ToString::to_string),
            endpoints: endpoints
                .into_iter()
                .filter_map(|(name, url)| Some((name.to_owned(), url?)))
                .collect(),
        })
    }

    /// Whom the credentials belong to; asked once, in the configured region or one that [`Self::for_region`] was called with.
    pub async fn caller(&self) -> Result<&Caller, AwsError> {
        self.caller
            .get_or_try_init(|| async {
                let clients = match self.any_region() {
                    Some(clients) => clients,
                    None => self.for_region(None).await?,
                };
                let output = clients
                    .call(
                        "sts:GetCallerIdentity",
                        "the credentials in use",
                        clients.sts().get_caller_identity().send(),
                    )
                    .await?;
                Caller::from_output(&output)
            })
            .await
    }

    /// Makes sure that the credentials belong to an account in which changes are allowed: one of `allowedAccountIds` if
    /// given, one of `expected` if given, and none of `forbiddenAccountIds`. To be called before the first write.
    pub async fn ensure_account(&self, expected: &[&str]) -> Result<&Caller, AwsError> {
        let caller = self.caller().await?;
        match account_problem(caller, &self.config, expected) {
            None => Ok(caller),
            Some(problem) => Err(AwsError::new(
                Kind::WrongAccount,
                "checking the account",
                &caller.arn,
                problem,
            )
            .with_profile(self.config.profile.as_deref())),
        }
    }

    /// The clients of a region that is in use already.
    fn any_region(&self) -> Option<Arc<RegionClients>> {
        let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.values().next().map(Arc::clone)
    }

    async fn base(&self) -> Result<&SdkConfig, AwsError> {
        // Boxed: the SDK's loader is a large future, and this one is part of every operation.
        self.base.get_or_try_init(|| Box::pin(self.load())).await
    }

    async fn load(&self) -> Result<SdkConfig, AwsError> {
        let http = http::client(self.env.as_ref()).await?;
        let timeout = timeouts(&self.common);
        let retry = retries(&self.common, self.env.as_ref(), None);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http.clone())
            .timeout_config(timeout.clone())
            .retry_config(retry.clone())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(identity_cache());
        if let Some(url) = &self.config.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let mut region = self.config.region.clone().map(Region::new);
        if let Some(profile) = &self.config.profile {
            let provider = credentials::provider_config(http, retry, timeout);
            if region.is_none() {
                region = credentials::profile_region(self.env.as_ref(), profile).await;
            }
            let credentials =
                credentials::from_profile(profile, &provider.with_region(region.clone()));
            loader = loader
                .profile_name(profile)
                .credentials_provider(credentials);
        }
        if let Some(region) = region {
            loader = loader.region(region);
        }
        let sdk = loader.load().await;
        let retry = retries(
            &self.common,
            self.env.as_ref(),
            configured(&sdk, "max_attempts", "AWS_MAX_ATTEMPTS", ""),
        );
        let base = sdk.into_builder().retry_config(retry).build();
        let Some((role, arn)) = self.config.role() else {
            return Ok(base);
        };

        let sts_config = self.sts_config(&base);
        let session = match &role.session_name {
            Some(name) => name.clone(),
            None => self.session_name(&sts_config).await,
        };
        let provider = credentials::assume(&sts_config, role, arn, session).await;
        Ok(base
            .into_builder()
            .credentials_provider(provider)
            .identity_cache(identity_cache())
            .build())
    }

    /// The configuration for calls to STS before a role is assumed.
    fn sts_config(&self, base: &SdkConfig) -> SdkConfig {
        let mut builder = base.clone().into_builder();
        if base.region().is_none() {
            builder.set_region(Region::from_static(FALLBACK_REGION));
        }
        if let Some(url) = self
            .config
            .endpoints
            .as_ref()
            .and_then(|endpoints| endpoints.sts.clone())
        {
            builder.set_endpoint_url(Some(url));
        }
        builder.build()
    }

    /// A name for the session from whoever assumes the role. Not knowing it stops nothing: if the credentials are unusable,
    /// assuming the role says so.
    async fn session_name(&self, base: &SdkConfig) -> String {
        let request = aws_sdk_sts::Client::new(base).get_caller_identity().send();
        let caller =
            match error::call("sts:GetCallerIdentity", "the base credentials", request).await {
                Ok(output) => Caller::from_output(&output).ok(),
                Err(error) => {
                    tracing::debug!(%error, "the caller's name is not known");
                    None
                }
            };
        credentials::default_session_name(caller.as_ref())
    }
}

/// Why changes are not allowed in the caller's account.
fn account_problem(caller: &Caller, config: &AwsConfig, expected: &[&str]) -> Option<String> {
    let account = &caller.account;
    let listed = |accounts: &[&str]| accounts.join(" or ");
    let allowed: Vec<&str> = config
        .allowed_account_ids
        .iter()
        .map(String::as_str)
        .collect();
    if !expected.is_empty() && !expected.contains(&account.as_str()) {
        return Some(format!(
            "the credentials belong to account {account}, expected is {}",
            listed(expected)
        ));
    }
    if !allowed.is_empty() && !allowed.contains(&account.as_str()) {
        return Some(format!(
            "the credentials belong to account {account}, allowedAccountIds has only {}",
            listed(&allowed)
        ));
    }
    if config.forbidden_account_ids.contains(account) {
        return Some(format!(
            "the credentials belong to account {account}, which is in forbiddenAccountIds"
        ));
    }
    None
}

/// A setting of the environment (for one service first) or of the profile, as the SDK would find it.
pub(super) fn configured(
    sdk: &SdkConfig,
    profile_key: &str,
    variable: &str,
    service: &str,
) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .profile(profile_key)
        .env(variable)
        .build()
        .ok()?;
    sdk.service_config()?
        .load_config(key)
        .filter(|value| !value.is_empty())
}

fn timeouts(config: &CommonConfig) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout())
        .operation_attempt_timeout(config.request_timeout())
        .build()
}

/// The retry settings; `attempts` is what the profile or environment says, as far as known yet.
fn retries(config: &CommonConfig, env: &dyn Env, attempts: Option<String>) -> RetryConfig {
    let attempts = attempts
        .or_else(|| env.get("AWS_MAX_ATTEMPTS"))
        .and_then(|text| text.trim().parse::<u32>().ok())
        .filter(|attempts| *attempts > 0 && config.max_retries.is_none());
    let mode = match env.get("AWS_RETRY_MODE") {
        Some(mode) if mode.eq_ignore_ascii_case("adaptive") => RetryMode::Adaptive,
        _ => RetryMode::Standard,
    };
    RetryConfig::standard()
        .with_retry_mode(mode)
        .with_max_attempts(attempts.unwrap_or(config.retries().saturating_add(1)))
        .with_initial_backoff(INITIAL_BACKOFF)
        .with_max_backoff(MAX_BACKOFF)
}

fn identity_cache() -> aws_sdk_s3::config::SharedIdentityCache {
    IdentityCache::lazy()
        .load_timeout(CREDENTIALS_TIMEOUT)
        .buffer_time(RENEW_BEFORE)
        .build()
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

    fn caller() -> Caller {
        Caller {
            account: "111122223333".to_owned(),
            arn: "arn:aws:iam::111122223333:user/x".to_owned(),
            partition: "aws".to_owned(),
            user_id: "AIDA".to_owned(),
        }
    }

    #[test]
    fn attempts_come_from_the_configuration_then_the_environment() {
        let none = CommonConfig::default();
        let two = CommonConfig {
            max_retries: Some(2),
            ..CommonConfig::default()
        };
        let set = env(&[("AWS_MAX_ATTEMPTS", "5"), ("AWS_RETRY_MODE", "adaptive")]);
        assert_eq!(retries(&none, &env(&[]), None).max_attempts(), 10);
        assert_eq!(retries(&none, &set, None).max_attempts(), 5);
        assert_eq!(retries(&none, &set, Some("7".to_owned())).max_attempts(), 7);
        assert_eq!(retries(&two, &set, Some("7".to_owned())).max_attempts(), 3);
        assert_eq!(retries(&none, &set, None).mode(), RetryMode::Adaptive);
        assert_eq!(
            retries(&none, &env(&[("AWS_MAX_ATTEMPTS", "many")]), None).max_attempts(),
            10
        );
    }

    #[test]
    fn accounts() {
        let config = |allowed: &[&str], forbidden: &[&str]| AwsConfig {
            allowed_account_ids: allowed.iter().map(ToString::to_string).collect(),
            forbidden_account_ids: forbidden.iter().map(ToString::to_string).collect(),
            ..AwsConfig::default()
        };
        assert_eq!(account_problem(&caller(), &config(&[], &[]), &[]), None);
        assert_eq!(
            account_problem(
                &caller(),
                &config(&["111122223333"], &[]),
                &["111122223333"]
            ),
            None
        );
        let problem =
            account_problem(&caller(), &config(&["444455556666"], &[]), &[]).expect("refused");
        assert!(
            problem.contains("111122223333") && problem.contains("444455556666"),
            "{problem}"
        );
        assert!(account_problem(&caller(), &config(&[], &["111122223333"]), &[]).is_some());
        assert!(account_problem(&caller(), &config(&[], &[]), &["444455556666"]).is_some());
    }

    #[test]
    fn making_clients_touches_nothing() {
        // No runtime here: anything asynchronous would panic.
        let clients = AwsClients::with_env(
            AwsConfig::default(),
            CommonConfig::default(),
            Arc::new(env(&[])),
        );
        assert!(clients.base.get().is_none());
    }
}
