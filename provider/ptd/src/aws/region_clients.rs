//! The clients of one region.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::sync::Semaphore;

use super::clients::configured;
use super::config::AwsConfig;
use super::error::{self, AwsError};
use super::http;

/// The clients of one region. Each is made at its first use and shared after that; the clones handed out are handles.
pub struct RegionClients {
    region: String,
    in_flight: Arc<Semaphore>,
    profile: Option<String>,
    shared: SdkConfig,
    s3_path_style: bool,
    endpoints: super::config::Endpoints,
    s3: OnceLock<aws_sdk_s3::Client>,
    kms: OnceLock<aws_sdk_kms::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    secrets: OnceLock<aws_sdk_secretsmanager::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
    tagging: OnceLock<aws_sdk_resourcegroupstagging::Client>,
}

impl fmt::Debug for RegionClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionClients")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// One service's client: the shared configuration, the service's endpoint, and a retry allowance of its own.
macro_rules! client {
    ($self:ident, $cell:ident, $sdk:ident, $endpoint:ident) => {
        $self
            .$cell
            .get_or_init(|| {
                let mut builder = $sdk::config::Builder::from(&$self.shared)
                    .retry_partition(retry_partition(stringify!($sdk), &$self.region))
                    .retry_classifier(http::Hopeless);
                if let Some(url) = &$self.endpoints.$endpoint {
                    builder = builder.endpoint_url(url);
                }
                $sdk::Client::from_conf(builder.build())
            })
            .clone()
    };
}

impl RegionClients {
    /// Clients for a region; nothing is connected.
    pub(super) fn new(
        base: &SdkConfig,
        region: &str,
        config: &AwsConfig,
        in_flight: Arc<Semaphore>,
    ) -> Self {
        let endpoints = config.endpoints.clone().unwrap_or_default();
        let overridden = endpoints.s3.is_some()
            || base.endpoint_url().is_some()
            || configured(base, "endpoint_url", "AWS_ENDPOINT_URL", "s3").is_some();
        Self {
            region: region.to_owned(),
            in_flight,
            profile: config.profile.clone(),
            shared: base
                .clone()
                .into_builder()
                .region(Region::new(region.to_owned()))
                .build(),
            s3_path_style: config.s3_use_path_style.unwrap_or(overridden),
            endpoints,
            s3: OnceLock::new(),
            kms: OnceLock::new(),
            iam: OnceLock::new(),
            secrets: OnceLock::new(),
            sts: OnceLock::new(),
            tagging: OnceLock::new(),
        }
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// S3.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        self.s3
            .get_or_init(|| {
                let mut builder = aws_sdk_s3::config::Builder::from(&self.shared)
                    .retry_partition(retry_partition("s3", &self.region))
                    .retry_classifier(http::Hopeless)
                    .force_path_style(self.s3_path_style);
                if let Some(url) = &self.endpoints.s3 {
                    builder = builder.endpoint_url(url);
                }
                aws_sdk_s3::Client::from_conf(builder.build())
            })
            .clone()
    }

    /// KMS.
    #[must_use]
    pub fn kms(&self) -> aws_sdk_kms::Client {
        client!(self, kms, aws_sdk_kms, kms)
    }

    /// IAM, which is one service for all regions of a partition.
    #[must_use]
    pub fn iam(&self) -> aws_sdk_iam::Client {
        client!(self, iam, aws_sdk_iam, iam)
    }

    /// Secrets Manager.
    #[must_use]
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        client!(self, secrets, aws_sdk_secretsmanager, secrets_manager)
    }

    /// STS.
    #[must_use]
    pub fn sts(&self) -> aws_sdk_sts::Client {
        client!(self, sts, aws_sdk_sts, sts)
    }

    /// The tagging API, which finds things by their tags.
    #[must_use]
    pub fn tagging(&self) -> aws_sdk_resourcegroupstagging::Client {
        self.tagging
            .get_or_init(|| aws_sdk_resourcegroupstagging::Client::new(&self.shared))
            .clone()
    }

    /// Sends one request like [`error::call`]; errors know the region and the profile as well.
    pub fn call<T, E>(
        &self,
        operation: &str,
        subject: impl fmt::Display,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> impl Future<Output = Result<T, AwsError>> + Send
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // Boxed: the SDK's futures are large, and they would be part of every operation's.
        let request = Box::pin(request);
        let subject = subject.to_string();
        async move {
            // Closing is the only way to fail, and nobody closes it.
            let _permit = self.in_flight.acquire().await.ok();
            error::call(operation, subject, request)
                .await
                .map_err(|error| {
                    error
                        .with_region(&self.region)
                        .with_profile(self.profile.as_deref())
                })
        }
    }
}

/// The SDK's shared retry allowance protects fleets; here hundreds of resources in flight would use it up and then fail without
/// a retry. The number of attempts and the backoff bound the load instead.
fn retry_partition(service: &str, region: &str) -> RetryPartition {
    RetryPartition::custom(format!("ptd-{service}-{region}"))
        .token_bucket(TokenBucket::unlimited())
        .build()
}
