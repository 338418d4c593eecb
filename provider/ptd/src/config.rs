//! The provider's configuration: what users write, flat, as parts that each belong to one module.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aws::config::AwsConfig;
use crate::aws::names;
use crate::azure::config::AzureConfig;
use crate::stack::StacksConfig;
use crate::tags::TagPolicy;

/// How often a call is tried again unless configured: with three calls of ten failing, one in a hundred thousand is lost.
const DEFAULT_MAX_RETRIES: u32 = 9;

/// How long one attempt may take unless configured.
const DEFAULT_REQUEST_TIMEOUT_SECONDS: u32 = 30;

/// How long opening a connection may take unless configured.
const DEFAULT_CONNECT_TIMEOUT_SECONDS: u32 = 5;

/// Access to AWS. Everything is optional: what is absent comes from the standard AWS environment variables and files, as for the AWS CLI.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProviderConfig {
    /// Access to AWS.
    #[serde(flatten)]
    pub aws: AwsConfig,

    /// What holds in every cloud.
    #[serde(flatten)]
    pub common: CommonConfig,

    /// How inner stacks run.
    #[serde(flatten)]
    pub stacks: StacksConfig,

    /// Access to Azure, for the resources of the module `azure`. `defaultTags`, `ignoreTagKeys`, `maxRetries` and the timeouts hold there too;
    /// `/` in the keys of default tags becomes `:`, as Azure has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureConfig>,
}

/// What holds in every cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CommonConfig {
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
}

/// Something wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The property, for example `assumeRole.externalId` or `allowedAccountIds[0]`.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl ProviderConfig {
    /// All that is wrong with the configuration, as far as it can be told without asking anybody.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut problems = Problems::default();
        self.aws.validate(&mut problems);
        self.common.validate(&mut problems);
        for (name, problem) in self.azure.iter().flat_map(AzureConfig::validate) {
            problems.add(format!("azure.{name}"), problem);
        }
        problems.0
    }
}

impl CommonConfig {
    fn validate(&self, problems: &mut Problems) {
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
    }

    /// What the configuration says about tags.
    #[must_use]
    pub fn tag_policy(&self) -> TagPolicy {
        TagPolicy {
            default_tags: self.default_tags.clone(),
            ignored_keys: self.ignore_tag_keys.clone(),
        }
    }

    /// How often a call is tried again where nothing else says so.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.max_retries.unwrap_or(DEFAULT_MAX_RETRIES)
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        seconds(
            self.request_timeout_seconds,
            DEFAULT_REQUEST_TIMEOUT_SECONDS,
        )
    }

    /// How long opening a connection may take.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        seconds(
            self.connect_timeout_seconds,
            DEFAULT_CONNECT_TIMEOUT_SECONDS,
        )
    }
}

fn seconds(configured: Option<u32>, default: u32) -> Duration {
    Duration::from_secs(configured.unwrap_or(default).into())
}

/// The problems that were found so far.
#[derive(Default)]
pub(crate) struct Problems(Vec<ConfigProblem>);

impl Problems {
    pub(crate) fn add(&mut self, path: impl Into<String>, problem: String) {
        self.0.push(ConfigProblem {
            path: path.into(),
            problem,
        });
    }

    pub(crate) fn check(&mut self, path: impl Into<String>, result: Result<(), String>) {
        if let Err(problem) = result {
            self.add(path, problem);
        }
    }

    pub(crate) fn optional(
        &mut self,
        path: impl Into<String>,
        value: Option<&str>,
        rule: impl Fn(&str) -> Result<(), String>,
    ) {
        if let Some(value) = value {
            self.check(path, rule(value));
        }
    }

    pub(crate) fn range(&mut self, path: &str, value: Option<u32>, min: u32, max: u32) {
        if let Some(value) = value
            && !(min..=max).contains(&value)
        {
            self.add(path, format!("must be {min} to {max}, got {value}"));
        }
    }
}

/// A rule for texts that say nothing when they are blank.
pub(crate) fn not_blank(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        Err("must not be blank; leave it out instead".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(config: serde_json::Value) -> Vec<String> {
        let config: ProviderConfig = serde_json::from_value(config).expect("decodes");
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
            serde_json::to_value(ProviderConfig::default()).expect("encodes"),
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
            "maxParallelStacks": 3,
            "runReport": "report.json",
            "azure": {"location": "eastus2"},
        });
        assert_eq!(paths(full.clone()), Vec::<String>::new());
        let config: ProviderConfig = serde_json::from_value(full.clone()).expect("decodes");
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
            "azure": {"location": "East_US"},
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
                "azure.location",
            ]
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
        let schema = schemars::schema_for!(ProviderConfig).to_value();
        let mut found = Vec::new();
        undocumented(&schema, &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
