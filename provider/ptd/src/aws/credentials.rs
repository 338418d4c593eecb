//! Where credentials come from, and whose they are.

use std::time::Duration;

use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use pulumi_provider::Env;

use super::config::AssumeRole;
use super::error::{AwsError, Kind};

/// What session names made here end with, as those of earlier PTD tools do.
const SESSION_SUFFIX: &str = "@ptd";

/// The longest session name STS accepts.
const SESSION_MAX: usize = 64;

/// Whom the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account id.
    pub account: String,
    /// The ARN of the user or the assumed role's session.
    pub arn: String,
    /// The partition, such as `aws` or `aws-us-gov`.
    pub partition: String,
    /// The unique id; for an assumed role followed by a colon and the session name.
    pub user_id: String,
}

impl Caller {
    /// From the answer of STS.
    pub(super) fn from_output(output: &GetCallerIdentityOutput) -> Result<Self, AwsError> {
        let missing = |what: &str| {
            AwsError::new(
                Kind::Other,
                "sts:GetCallerIdentity",
                "the credentials in use",
                format!("the answer has no {what}"),
            )
        };
        let arn = output.arn().ok_or_else(|| missing("ARN"))?;
        let partition = arn
            .split(':')
            .nth(1)
            .filter(|part| !part.is_empty())
            .ok_or_else(|| missing("partition"))?;
        Ok(Self {
            account: output
                .account()
                .ok_or_else(|| missing("account"))?
                .to_owned(),
            partition: partition.to_owned(),
            user_id: output.user_id().unwrap_or_default().to_owned(),
            arn: arn.to_owned(),
        })
    }

    /// The name of the person or session, without the domain of an e-mail address.
    #[must_use]
    pub fn short_name(&self) -> &str {
        let name = match self.user_id.split_once(':') {
            Some((_, session)) => session,
            // A user's id says nothing; the ARN ends with the name.
            None => self.arn.rsplit(['/', ':']).next().unwrap_or_default(),
        };
        name.split('@').next().unwrap_or(name)
    }
}

/// The session name under which a caller assumes a role: `<caller>@ptd`, within what STS allows.
#[must_use]
pub fn default_session_name(caller: Option<&Caller>) -> String {
    let name: String = caller
        .map_or("unknown", Caller::short_name)
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_+=,.-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(SESSION_MAX - SESSION_SUFFIX.len())
        .collect();
    format!("{name}{SESSION_SUFFIX}")
}

/// What providers of credentials call others with.
pub(super) fn provider_config(
    http: SharedHttpClient,
    retry: RetryConfig,
    timeout: TimeoutConfig,
) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_http_client(http)
        .with_retry_config(retry)
        .with_timeout_config(timeout)
}

/// The region of the environment, or of a named profile.
pub(super) async fn profile_region(env: &dyn Env, profile: &str) -> Option<Region> {
    match env
        .get("AWS_REGION")
        .or_else(|| env.get("AWS_DEFAULT_REGION"))
    {
        Some(region) => Some(Region::new(region)),
        None => {
            ProfileFileRegionProvider::builder()
                .profile_name(profile)
                .build()
                .region()
                .await
        }
    }
}

/// Credentials of a named profile and nothing else: naming a profile must not be overruled by a stray environment variable.
pub(super) fn from_profile(profile: &str, config: &ProviderConfig) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(
        ProfileFileCredentialsProvider::builder()
            .configure(config)
            .profile_name(profile)
            .build(),
    )
}

/// Credentials of the configured role, obtained with those of `base`. The identity cache asks again before they expire.
pub(super) async fn assume(
    base: &SdkConfig,
    role: &AssumeRole,
    arn: &str,
    session: String,
) -> SharedCredentialsProvider {
    let mut builder = AssumeRoleProvider::builder(arn)
        .configure(base)
        .session_name(session);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    if let Some(seconds) = role.duration_seconds {
        builder = builder.session_length(Duration::from_secs(seconds.into()));
    }
    if !role.tags.is_empty() {
        builder = builder.tags(
            role.tags
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
    SharedCredentialsProvider::new(builder.build().await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(arn: &str, user_id: &str) -> Caller {
        let output = GetCallerIdentityOutput::builder()
            .account("111122223333")
            .arn(arn)
            .user_id(user_id)
            .build();
        Caller::from_output(&output).expect("complete")
    }

    #[test]
    fn the_session_carries_the_callers_name() {
        let sso = caller(
            "arn:aws:sts::111122223333:assumed-role/r/jane.doe@posit.co",
            "AROAXXXX:jane.doe@posit.co",
        );
        assert_eq!(default_session_name(Some(&sso)), "jane.doe@ptd");
        let user = caller("arn:aws-us-gov:iam::111122223333:user/team/bob", "AIDAXXXX");
        assert_eq!(default_session_name(Some(&user)), "bob@ptd");
        assert_eq!(user.partition, "aws-us-gov");
        let root = caller("arn:aws:iam::111122223333:root", "111122223333");
        assert_eq!(default_session_name(Some(&root)), "root@ptd");
        assert_eq!(default_session_name(None), "unknown@ptd");
    }

    #[test]
    fn session_names_are_always_acceptable() {
        for session in [
            "",
            "ü b/c",
            "i-0123456789abcdef0",
            &"x".repeat(200),
            "@posit.co",
        ] {
            let arn = format!("arn:aws:sts::111122223333:assumed-role/r/{session}");
            let name = default_session_name(Some(&caller(&arn, &format!("AROAXXXX:{session}"))));
            assert_eq!(super::super::names::session_name(&name), Ok(()), "{name}");
        }
    }

    #[test]
    fn an_incomplete_answer_is_an_error() {
        let output = GetCallerIdentityOutput::builder()
            .account("111122223333")
            .build();
        assert!(Caller::from_output(&output).is_err());
    }
}
