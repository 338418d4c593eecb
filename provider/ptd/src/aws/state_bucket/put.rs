//! The calls that change a bucket.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration, OwnershipControls, OwnershipControlsRule,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
    VersioningConfiguration,
};
use serde_json::Value;

use super::{BucketEncryption, EncryptionAlgorithm, ObjectOwnership, subject};
use crate::aws::common::Session;
use crate::aws::error::AwsError;
use crate::tags::Tags;

/// The one lifecycle rule that is ours.
pub(super) const RULE: &str = "ptd-noncurrent-versions";

/// The writes, each made only when it is due.
pub(super) struct Put<'a> {
    pub(super) session: &'a Session,
    pub(super) bucket: &'a str,
}

macro_rules! put {
    ($self:ident, $operation:literal, $method:ident $(, $set:ident($value:expr))*) => {{
        let request = $self
            .session
            .clients
            .s3()
            .$method()
            .bucket($self.bucket)
            .expected_bucket_owner($self.session.account())
            $(.$set($value))*
            .send();
        $self.session.clients.call($operation, subject($self.bucket), request).await.map(|_| ())
    }};
}

/// A request that cannot be built is a mistake of ours; the service's refusal is the clearest report there is.
pub(super) fn unbuildable(
    error: impl std::fmt::Display,
    operation: &str,
    bucket: &str,
) -> AwsError {
    AwsError::new(
        crate::aws::error::Kind::InvalidInput,
        operation,
        subject(bucket),
        error.to_string(),
    )
}

impl Put<'_> {
    pub(super) async fn versioning(&self, due: bool, on: bool) -> Result<(), AwsError> {
        if !due {
            return Ok(());
        }
        let status = if on {
            BucketVersioningStatus::Enabled
        } else {
            BucketVersioningStatus::Suspended
        };
        let configuration = VersioningConfiguration::builder().status(status).build();
        put!(
            self,
            "s3:PutBucketVersioning",
            put_bucket_versioning,
            versioning_configuration(configuration)
        )
    }

    pub(super) async fn encryption(
        &self,
        due: bool,
        wanted: &BucketEncryption,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "s3:PutEncryptionConfiguration";
        if !due {
            return Ok(());
        }
        let algorithm = match wanted.algorithm {
            EncryptionAlgorithm::Aes256 => ServerSideEncryption::Aes256,
            EncryptionAlgorithm::Kms => ServerSideEncryption::AwsKms,
        };
        let by_default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(algorithm)
            .set_kms_master_key_id(wanted.kms_key_id.clone())
            .build()
            .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default)
            .set_bucket_key_enabled(wanted.bucket_key)
            .build();
        let configuration = ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()
            .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
        put!(
            self,
            "s3:PutEncryptionConfiguration",
            put_bucket_encryption,
            server_side_encryption_configuration(configuration)
        )
    }

    pub(super) async fn public_access(&self, due: bool, on: bool) -> Result<(), AwsError> {
        if !due {
            return Ok(());
        }
        let configuration = PublicAccessBlockConfiguration::builder()
            .block_public_acls(on)
            .ignore_public_acls(on)
            .block_public_policy(on)
            .restrict_public_buckets(on)
            .build();
        put!(
            self,
            "s3:PutBucketPublicAccessBlock",
            put_public_access_block,
            public_access_block_configuration(configuration)
        )
    }

    pub(super) async fn policy(&self, due: bool, policy: Option<Value>) -> Result<(), AwsError> {
        if !due {
            return Ok(());
        }
        if let Some(policy) = policy {
            put!(
                self,
                "s3:PutBucketPolicy",
                put_bucket_policy,
                policy(policy.to_string())
            )
        } else {
            put!(self, "s3:DeleteBucketPolicy", delete_bucket_policy)
        }
    }

    pub(super) async fn ownership(
        &self,
        due: bool,
        wanted: ObjectOwnership,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "s3:PutBucketOwnershipControls";
        if !due {
            return Ok(());
        }
        let rule = OwnershipControlsRule::builder()
            .object_ownership(wanted.wire())
            .build()
            .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
        let controls = OwnershipControls::builder()
            .rules(rule)
            .build()
            .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
        put!(
            self,
            "s3:PutBucketOwnershipControls",
            put_bucket_ownership_controls,
            ownership_controls(controls)
        )
    }

    pub(super) async fn lifecycle(
        &self,
        due: bool,
        rules: &[LifecycleRule],
        days: Option<i64>,
    ) -> Result<(), AwsError> {
        const OPERATION: &str = "s3:PutLifecycleConfiguration";
        if !due {
            return Ok(());
        }
        let mut all: Vec<LifecycleRule> = rules
            .iter()
            .filter(|r| r.id() != Some(RULE))
            .cloned()
            .collect();
        if let Some(days) = days {
            let expiration = NoncurrentVersionExpiration::builder()
                .noncurrent_days(i32::try_from(days).unwrap_or(i32::MAX))
                .build();
            let rule = LifecycleRule::builder()
                .id(RULE)
                .status(ExpirationStatus::Enabled)
                .filter(LifecycleRuleFilter::builder().prefix("").build())
                .noncurrent_version_expiration(expiration)
                .build()
                .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
            all.push(rule);
        }
        if all.is_empty() {
            return put!(
                self,
                "s3:PutLifecycleConfiguration",
                delete_bucket_lifecycle
            );
        }
        let configuration = BucketLifecycleConfiguration::builder()
            .set_rules(Some(all))
            .build()
            .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
        put!(
            self,
            "s3:PutLifecycleConfiguration",
            put_bucket_lifecycle_configuration,
            lifecycle_configuration(configuration)
        )
    }

    pub(super) async fn tags(&self, all: &Tags) -> Result<(), AwsError> {
        const OPERATION: &str = "s3:PutBucketTagging";
        if all.is_empty() {
            return put!(self, "s3:PutBucketTagging", delete_bucket_tagging);
        }
        let mut tagging = Tagging::builder();
        for (key, value) in all {
            let tag = Tag::builder()
                .key(key)
                .value(value)
                .build()
                .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
            tagging = tagging.tag_set(tag);
        }
        let tagging = tagging
            .build()
            .map_err(|e| unbuildable(e, OPERATION, self.bucket))?;
        put!(
            self,
            "s3:PutBucketTagging",
            put_bucket_tagging,
            tagging(tagging)
        )
    }
}
