//! The provider configuration for AWS, and where the environment is read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names;
use super::tags::TagPolicy;
use crate::azure::config::AzureConfig;

/// How often a call is tried again unless configured: with three calls of ten failing, one in a hundred thousand is lost.
pub const DEFAULT_MAX_RETRIES: u32 = 9;

/// How long one attempt may take unless configured.
pub const DEFAULT_REQUEST_TIMEOUT_SECONDS: u32 = 30;

/// How long opening a connection may take unless configured.
pub const DEFAULT_CONNECT_TIMEOUT_SECONDS: u32 = 5;

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

    /// The AWS account ids in which anything may be changed. Credentials that belong to any other account are refused before the first write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_account_ids: Vec<String>,

    /// AWS account ids in which nothing may be changed. Credentials that belong to one of them are refused before the first write.
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

    /// Tags for every resource that can carry tags. A resource's own tag of the same key wins.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub default_tags: BTreeMap<String, String>,

    /// Keys of tags that something else manages: they are neither added, removed nor compared. A trailing `*` makes one a prefix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_tag_keys: Vec<String>,

    /// How often a call that failed for a passing reason (throttling, a server error, a broken connection) is tried again, 0 to 50. Otherwise
    /// `AWS_MAX_ATTEMPTS` less one, or the profile's `max_attempts` less one, or 9. `AWS_RETRY_MODE=adaptive` adds client-side rate limiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,

    /// How many seconds one attempt of a call may take before it is tried again, 1 to 3600. The default is 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout_seconds: Option<u32>,

    /// How many seconds opening a connection may take, 1 to 3600. The default is 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_seconds: Option<u32>,

    /// How many inner stacks (`Stack`, `StackUpdate`) run at once in one run of the CLI, over all its providers, at least 1. Otherwise
    /// `PTD_MAX_PARALLEL_STACKS`, or twice the cores and at least 4, less when memory is short (512 MiB are counted for each).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("env" = ["PTD_MAX_PARALLEL_STACKS"]))]
    pub max_parallel_stacks: Option<u32>,

    /// A file for a report of the inner runs (`Stack`, `StackUpdate`) of one run of the CLI, as JSON: name, start, end, result, reason and
    /// changes of each. It is written anew by each run that runs an inner stack; `pulumi-resource-ptd report <file>` prints it as a
    /// table. Relative to the program's directory. Otherwise `PTD_RUN_REPORT`, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("env" = ["PTD_RUN_REPORT"]))]
    pub run_report: Option<String>,

    /// Access to Azure, for the resources of the module `azure`. `defaultTags`, `ignoreTagKeys`, `maxRetries` and the timeouts hold there too;
    /// `/` in the keys of default tags becomes `:`, as Azure has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureConfig>,
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

/// Something wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The property, for example `assumeRole.externalId` or `allowedAccountIds[0]`.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl AwsConfig {
    /// All that is wrong with the configuration, as far as it can be told without asking anybody.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut problems = Problems::default();
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
            role.validate(&mut problems);
        }
        problems.optional("endpointUrl", self.endpoint_url.as_deref(), endpoint_url);
        for (service, url) in self.endpoints.iter().flat_map(Endpoints::entries) {
            problems.optional(format!("endpoints.{service}"), url, endpoint_url);
        }
        for (key, problem) in names::tags(&self.default_tags) {
            problems.add(
                key.map_or("defaultTags".to_owned(), |key| {
                    format!("defaultTags[{key:?}]")
                }),
                problem,
            );
        }
        for (index, key) in self.ignore_tag_keys.iter().enumerate() {
            problems.check(format!("ignoreTagKeys[{index}]"), not_blank(key));
        }
        problems.range("maxRetries", self.max_retries, 0, 50);
        problems.range(
            "requestTimeoutSeconds",
            self.request_timeout_seconds,
            1,
            3600,
        );
        problems.range(
            "connectTimeoutSeconds",
            self.connect_timeout_seconds,
            1,
            3600,
        );
        for (name, problem) in self.azure.iter().flat_map(AzureConfig::validate) {
            problems.add(format!("azure.{name}"), problem);
        }
        problems.0
    }

    /// What the configuration says about tags.
    #[must_use]
    pub fn tag_policy(&self) -> TagPolicy {
        TagPolicy {
            default_tags: self.default_tags.clone(),
            ignored_keys: self.ignore_tag_keys.clone(),
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

#[derive(Default)]
struct Problems(Vec<ConfigProblem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, problem: String) {
        self.0.push(ConfigProblem {
            path: path.into(),
            problem,
        });
    }

    fn check(&mut self, path: impl Into<String>, result: Result<(), String>) {
        if let Err(problem) = result {
            self.add(path, problem);
        }
    }

    fn optional(
        &mut self,
        path: impl Into<String>,
        value: Option<&str>,
        rule: impl Fn(&str) -> Result<(), String>,
    ) {
        if let Some(value) = value {
            self.check(path, rule(value));
        }
    }

    fn range(&mut self, path: &str, value: Option<u32>, min: u32, max: u32) {
        if let Some(value) = value
            && !(min..=max).contains(&value)
        {
            self.add(path, format!("must be {min} to {max}, got {value}"));
        }
    }
}

fn not_blank(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        Err("must not be blank; leave it out instead".to_owned())
    } else {
        Ok(())
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
    use serde_json::json;

    fn paths(config: serde_json::Value) -> Vec<String> {
        let config: AwsConfig = serde_json::from_value(config).expect("decodes");
        config
            .validate()
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    }

    #[test]
    fn an_empty_configuration_is_valid_and_stays_empty() {
        assert_eq!(paths(json!({})), Vec::<String>::new());
        assert_eq!(
            serde_json::to_value(AwsConfig::default()).expect("encodes"),
            json!({})
        );
    }

    #[test]
    fn a_full_configuration_is_valid_and_round_trips() {
        let full = json!({
            "region": "us-gov-west-1",
            "profile": "dev",
            "assumeRole": {
                "roleArn": "arn:aws-us-gov:iam::111122223333:role/admin.posit.team",
                "externalId": "an-id",
                "sessionName": "me@ptd",
                "durationSeconds": 3600,
                "tags": {"a": "b"},
            },
            "allowedAccountIds": ["111122223333"],
            "forbiddenAccountIds": ["444455556666"],
            "endpointUrl": "http://127.0.0.1:5000",
            "endpoints": {"s3": "https://[::1]:9000/", "secretsManager": "https://sm.example.com"},
            "s3UsePathStyle": true,
            "defaultTags": {"team": "x"},
            "ignoreTagKeys": ["auto:*"],
            "maxRetries": 4,
            "requestTimeoutSeconds": 10,
            "connectTimeoutSeconds": 2,
        });
        assert_eq!(paths(full.clone()), Vec::<String>::new());
        let config: AwsConfig = serde_json::from_value(full.clone()).expect("decodes");
        assert_eq!(serde_json::to_value(config).expect("encodes"), full);
    }

    #[test]
    fn all_problems_are_found_in_one_pass() {
        let found = paths(json!({
            "region": "ohio",
            "profile": " ",
            "assumeRole": {"externalId": "x", "durationSeconds": 60},
            "allowedAccountIds": ["111122223333", "1"],
            "forbiddenAccountIds": ["111122223333"],
            "endpointUrl": "localhost:5000",
            "endpoints": {"kms": "http://", "sts": "http://h:99999"},
            "defaultTags": {"aws:x": "y"},
            "ignoreTagKeys": [""],
            "maxRetries": 51,
            "requestTimeoutSeconds": 0,
        }));
        assert_eq!(
            found,
            [
                "region",
                "profile",
                "allowedAccountIds[1]",
                "forbiddenAccountIds[0]",
                "assumeRole.externalId",
                "assumeRole.durationSeconds",
                "assumeRole.externalId",
                "assumeRole.durationSeconds",
                "endpointUrl",
                "endpoints.kms",
                "endpoints.sts",
                "defaultTags[\"aws:x\"]",
                "ignoreTagKeys[0]",
                "maxRetries",
                "requestTimeoutSeconds",
            ]
        );
    }

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

    #[test]
    fn every_property_is_documented() {
        fn undocumented(value: &serde_json::Value, found: &mut Vec<String>) {
            if let Some(properties) = value.get("properties").and_then(|p| p.as_object()) {
                for (name, property) in properties {
                    if property.get("description").is_none() {
                        found.push(name.clone());
                    }
                }
            }
            for definition in value
                .get("$defs")
                .and_then(|d| d.as_object())
                .into_iter()
                .flat_map(|d| d.values())
            {
                undocumented(definition, found);
            }
        }
        let schema = schemars::schema_for!(AwsConfig).to_value();
        let mut found = Vec::new();
        undocumented(&schema, &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
