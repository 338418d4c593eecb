//! The part of the provider's configuration that is about AWS.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names;
use crate::config::{Problems, not_blank};

/// Access to AWS. Everything is optional: what is absent comes from the standard AWS environment variables and files, as for the AWS CLI.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AwsConfig {
    /// The region to work in, for example `us-east-2`. Otherwise `AWS_REGION`, `AWS_DEFAULT_REGION`, or the region of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,

    /// The profile of the shared AWS configuration files to take credentials and settings from; IAM Identity Center (SSO), `credential_process` and
    /// `source_profile` work. Named here, it wins over credentials in environment variables. Otherwise `AWS_PROFILE`, then `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,

    /// A role to assume with the credentials found, with or without a profile. The role's credentials are renewed before they expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,

    /// The AWS account ids, 12 digits each, in which anything may be changed. Credentials that belong to any other account are refused
    /// before the first write. Default: all accounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_account_ids: Vec<String>,

    /// AWS account ids, 12 digits each, in which nothing may be changed. Credentials that belong to one of them are refused before the
    /// first write. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden_account_ids: Vec<String>,

    /// The URL of an endpoint to use for all services in place of AWS's own, for example that of an emulator. Otherwise `AWS_ENDPOINT_URL`, or the
    /// profile's `endpoint_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,

    /// Endpoint URLs of single services; they win over `endpointUrl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,

    /// Address S3 buckets in the path of the URL instead of the host name. On by default when S3's endpoint is overridden, off otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_use_path_style: Option<bool>,
}

/// A role to assume before any other call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AssumeRole {
    /// The ARN of the role, for example `arn:aws:iam::111122223333:role/admin.posit.team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,

    /// The external id that the role's trust policy asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,

    /// The session name that appears in the account's audit log. The default is `<caller>@ptd`, where the caller is the user or session that assumes the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,

    /// How many seconds one set of the role's credentials lives before it is renewed, 900 to 43200. The default is AWS's: 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,

    /// Session tags to pass with the role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Endpoint URLs of single services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoints {
    /// The URL of the S3 endpoint. Otherwise `AWS_ENDPOINT_URL_S3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<String>,

    /// The URL of the KMS endpoint. Otherwise `AWS_ENDPOINT_URL_KMS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms: Option<String>,

    /// The URL of the IAM endpoint. Otherwise `AWS_ENDPOINT_URL_IAM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam: Option<String>,

    /// The URL of the Secrets Manager endpoint. Otherwise `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<String>,

    /// The URL of the STS endpoint. Otherwise `AWS_ENDPOINT_URL_STS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sts: Option<String>,
}

impl AwsConfig {
    /// All that is wrong with this part, as far as it can be told without asking anybody.
    pub(crate) fn validate(&self, problems: &mut Problems) {
        problems.optional("region", self.region.as_deref(), names::region);
        problems.optional("profile", self.profile.as_deref(), not_blank);
        for (name, accounts) in [
            ("allowedAccountIds", &self.allowed_account_ids),
            ("forbiddenAccountIds", &self.forbidden_account_ids),
        ] {
            for (index, account) in accounts.iter().enumerate() {
                problems.check(format!("{name}[{index}]"), names::account_id(account));
            }
        }
        for (index, account) in self.forbidden_account_ids.iter().enumerate() {
            if self.allowed_account_ids.contains(account) {
                problems.add(
                    format!("forbiddenAccountIds[{index}]"),
                    "is in allowedAccountIds too".to_owned(),
                );
            }
        }
        if let Some(role) = &self.assume_role {
            role.validate(problems);
        }
        problems.optional("endpointUrl", self.endpoint_url.as_deref(), endpoint_url);
        for (service, url) in self.endpoints.iter().flat_map(Endpoints::entries) {
            problems.optional(format!("endpoints.{service}"), url, endpoint_url);
        }
    }

    /// The role to assume and its ARN, where one is asked for.
    pub(super) fn role(&self) -> Option<(&AssumeRole, &str)> {
        let role = self.assume_role.as_ref()?;
        Some((role, role.role_arn.as_deref()?))
    }
}

impl AssumeRole {
    fn validate(&self, problems: &mut Problems) {
        if self.role_arn.is_none() {
            for (name, given) in [
                ("externalId", self.external_id.is_some()),
                ("sessionName", self.session_name.is_some()),
                ("durationSeconds", self.duration_seconds.is_some()),
                ("tags", !self.tags.is_empty()),
            ] {
                if given {
                    problems.add(
                        format!("assumeRole.{name}"),
                        "has no effect without roleArn: set roleArn or leave this out".to_owned(),
                    );
                }
            }
        }
        problems.optional(
            "assumeRole.roleArn",
            self.role_arn.as_deref(),
            names::role_arn,
        );
        problems.optional(
            "assumeRole.externalId",
            self.external_id.as_deref(),
            names::external_id,
        );
        problems.optional(
            "assumeRole.sessionName",
            self.session_name.as_deref(),
            names::session_name,
        );
        problems.range(
            "assumeRole.durationSeconds",
            self.duration_seconds,
            900,
            43200,
        );
        for (key, problem) in names::tags(&self.tags) {
            problems.add(
                key.map_or("assumeRole.tags".to_owned(), |key| {
                    format!("assumeRole.tags[{key:?}]")
                }),
                problem,
            );
        }
    }
}

impl Endpoints {
    fn entries(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("s3", self.s3.as_deref()),
            ("kms", self.kms.as_deref()),
            ("iam", self.iam.as_deref()),
            ("secretsManager", self.secrets_manager.as_deref()),
            ("sts", self.sts.as_deref()),
        ]
    }
}

fn endpoint_url(url: &str) -> Result<(), String> {
    // The URL is not repeated where it might hold a password.
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or_else(|| "must be a URL beginning with https:// or http://".to_owned())?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold a user name or password".to_owned());
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("must be a URL with a host name, got {url:?}"));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(format!("must have a port number below 65536, got {url:?}"));
    }
    if rest.contains(['?', '#']) {
        return Err(format!("must not have a query or fragment, got {url:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_urls() {
        for good in [
            "http://localhost",
            "https://a.b:443/path",
            "http://[::1]:80",
        ] {
            assert_eq!(endpoint_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "ftp://x",
            "http://",
            "http://:80",
            "http://a b",
            "http://a?x=1",
        ] {
            assert!(endpoint_url(bad).is_err(), "{bad}");
        }
        assert!(
            endpoint_url("http://user:hunter2@host").is_err_and(|text| !text.contains("hunter2"))
        );
    }
}
