//! The settings of a real bucket, and the calls that bring them to what they should be.

use aws_sdk_s3::operation::get_bucket_encryption::GetBucketEncryptionOutput;
use aws_sdk_s3::operation::get_bucket_versioning::GetBucketVersioningOutput;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ExpirationStatus, LifecycleRule, ObjectOwnership as WireOwnership,
    ServerSideEncryption,
};
use aws_smithy_runtime_api::client::result::SdkError;
use pulumi_provider::{Context, Error};
use serde_json::{Value, json};

use super::put::{Put, RULE};
use super::{BucketEncryption, EncryptionAlgorithm, ObjectOwnership, StateBucketArgs, subject};
use crate::Ptd;
use crate::aws::admin_document::canonical_statement;
use crate::aws::common::{Hardening, Session, asked_for, harden};
use crate::aws::error::AwsError;
use crate::tags::Tags;

/// The one statement of the bucket policy that is ours.
const SID: &str = "PtdDenyInsecureTransport";

/// What a look at a bucket finds.
pub(super) struct Live {
    pub(super) versioning: bool,
    /// `None` where the service does not say, which means `AES256`.
    encryption: Option<BucketEncryption>,
    pub(super) public_access_blocked: bool,
    policy: Option<Value>,
    pub(super) ownership: Option<ObjectOwnership>,
    pub(super) expiration_days: Option<i64>,
    rules: Vec<LifecycleRule>,
    pub(super) tags: Tags,
    /// Just made: what its creation did not set has to be set, whatever the service may say.
    fresh: bool,
}

/// Nothing configured is an answer, not an error.
fn optional<T>(result: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

macro_rules! get {
    ($session:expr, $bucket:expr, $operation:literal, $method:ident) => {
        async {
            let owner = $session.account();
            let request = $session
                .clients
                .s3()
                .$method()
                .bucket($bucket)
                .expected_bucket_owner(owner)
                .send();
            optional(
                $session
                    .clients
                    .call($operation, subject($bucket), request)
                    .await,
            )
        }
    };
}

/// Asks for versioning. The SDK insists on the name of the answer's root element, which some implementations of S3 do not
/// keep to; what is inside is the same.
async fn versioning(
    session: &Session,
    bucket: &str,
) -> Result<Option<GetBucketVersioningOutput>, AwsError> {
    let request = session
        .clients
        .s3()
        .get_bucket_versioning()
        .bucket(bucket)
        .expected_bucket_owner(session.account())
        .send();
    let tolerant = async {
        match request.await {
            Err(SdkError::ServiceError(answer)) if answer.raw().status().is_success() => {
                let body = answer.raw().body().bytes().unwrap_or_default();
                let enabled = String::from_utf8_lossy(body).contains("<Status>Enabled</Status>");
                let status = enabled.then_some(BucketVersioningStatus::Enabled);
                Ok(GetBucketVersioningOutput::builder()
                    .set_status(status)
                    .build())
            }
            other => other,
        }
    };
    session
        .clients
        .call("s3:GetBucketVersioning", subject(bucket), tolerant)
        .await
        .map(Some)
}

/// The default encryption in the service's answer.
fn encryption_of(answer: &GetBucketEncryptionOutput) -> Option<BucketEncryption> {
    let rule = answer
        .server_side_encryption_configuration()?
        .rules()
        .first()?;
    let by_default = rule.apply_server_side_encryption_by_default()?;
    let kms = *by_default.sse_algorithm() == ServerSideEncryption::AwsKms;
    Some(BucketEncryption {
        algorithm: if kms {
            EncryptionAlgorithm::Kms
        } else {
            EncryptionAlgorithm::Aes256
        },
        kms_key_id: by_default.kms_master_key_id().map(str::to_owned),
        bucket_key: rule.bucket_key_enabled().filter(|on| *on),
    })
}

impl Live {
    /// A bucket that was just made by us.
    pub(super) fn fresh() -> Self {
        Self {
            versioning: false,
            encryption: None,
            public_access_blocked: false,
            policy: None,
            ownership: Some(ObjectOwnership::BucketOwnerEnforced),
            expiration_days: None,
            rules: Vec::new(),
            tags: Tags::new(),
            fresh: true,
        }
    }

    /// Asks for all settings at once.
    pub(super) async fn look(session: &Session, bucket: &str) -> Result<Self, Error> {
        let (versioning, encryption, block, policy, ownership, lifecycle, tags) = futures::try_join!(
            versioning(session, bucket),
            get!(
                session,
                bucket,
                "s3:GetEncryptionConfiguration",
                get_bucket_encryption
            ),
            get!(
                session,
                bucket,
                "s3:GetBucketPublicAccessBlock",
                get_public_access_block
            ),
            get!(session, bucket, "s3:GetBucketPolicy", get_bucket_policy),
            get!(
                session,
                bucket,
                "s3:GetBucketOwnershipControls",
                get_bucket_ownership_controls
            ),
            get!(
                session,
                bucket,
                "s3:GetLifecycleConfiguration",
                get_bucket_lifecycle_configuration
            ),
            get!(session, bucket, "s3:GetBucketTagging", get_bucket_tagging),
        )?;
        let policy = match policy.as_ref().and_then(|p| p.policy()) {
            None => None,
            Some(text) => Some(serde_json::from_str::<Value>(text).map_err(|error| {
                Error::refused(
                    format!("the policy of bucket {bucket} is not JSON: {error}"),
                    "Correct it in S3; it is not overwritten",
                )
            })?),
        };
        let rules = lifecycle.map(|l| l.rules().to_vec()).unwrap_or_default();
        let expiration_days = rules
            .iter()
            .find(|r| r.id() == Some(RULE) && *r.status() == ExpirationStatus::Enabled)
            .and_then(|r| r.noncurrent_version_expiration()?.noncurrent_days())
            .map(i64::from);
        Ok(Self {
            versioning: versioning
                .is_some_and(|v| v.status() == Some(&BucketVersioningStatus::Enabled)),
            encryption: encryption.as_ref().and_then(encryption_of),
            public_access_blocked: block
                .as_ref()
                .and_then(|b| b.public_access_block_configuration())
                .is_some_and(|b| {
                    [
                        b.block_public_acls(),
                        b.ignore_public_acls(),
                        b.block_public_policy(),
                        b.restrict_public_buckets(),
                    ]
                    .iter()
                    .all(|flag| *flag == Some(true))
                }),
            policy,
            ownership: ownership
                .as_ref()
                .and_then(|o| o.ownership_controls()?.rules().first())
                .and_then(|rule| match rule.object_ownership() {
                    WireOwnership::BucketOwnerEnforced => {
                        Some(ObjectOwnership::BucketOwnerEnforced)
                    }
                    WireOwnership::BucketOwnerPreferred => {
                        Some(ObjectOwnership::BucketOwnerPreferred)
                    }
                    WireOwnership::ObjectWriter => Some(ObjectOwnership::ObjectWriter),
                    _ => None,
                }),
            expiration_days,
            rules,
            tags: tags
                .map(|t| {
                    t.tag_set()
                        .iter()
                        .map(|t| (t.key().to_owned(), t.value().to_owned()))
                        .collect()
                })
                .unwrap_or_default(),
            fresh: false,
        })
    }

    /// Whether access without TLS is denied, by our statement.
    pub(super) fn tls_only(&self, session: &Session, bucket: &str) -> bool {
        let ours = canonical_statement(statement(session, bucket));
        self.statements()
            .iter()
            .any(|s| canonical_statement(s.clone()) == ours)
    }

    fn statements(&self) -> Vec<Value> {
        match self.policy.as_ref().and_then(|p| p.get("Statement")) {
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        }
    }

    /// Whether encryption is another one than the default, which was denied when it was last tried.
    pub(super) fn lacks_encryption(&self, said: Option<&BucketEncryption>, denied: bool) -> bool {
        let kms = self
            .encryption
            .as_ref()
            .is_some_and(|e| e.algorithm == EncryptionAlgorithm::Kms);
        denied && said.is_none() && kms
    }

    /// The `encryption` input that stands for what is there.
    pub(super) fn encryption_input(
        &self,
        said: Option<&BucketEncryption>,
        denied: bool,
    ) -> Option<BucketEncryption> {
        let actual = self.encryption.clone().unwrap_or(BucketEncryption::DEFAULT);
        match said {
            None if actual.algorithm == EncryptionAlgorithm::Aes256 => None,
            None if denied => None,
            Some(said) if same_encryption(said, &actual) => Some(said.clone()),
            _ => Some(actual),
        }
    }

    /// The inputs that would change something.
    pub(super) fn pending(&self, session: &Session, args: &StateBucketArgs) -> Vec<&'static str> {
        let encryption = args.encryption.clone().unwrap_or(BucketEncryption::DEFAULT);
        let actual = self.encryption.clone().unwrap_or(BucketEncryption::DEFAULT);
        let ownership = args
            .object_ownership
            .unwrap_or(ObjectOwnership::BucketOwnerEnforced);
        let all = [
            (
                "versioning",
                args.versioning.unwrap_or(true) != self.versioning,
            ),
            ("encryption", !same_encryption(&encryption, &actual)),
            (
                "blockPublicAccess",
                args.block_public_access.unwrap_or(true) != self.public_access_blocked,
            ),
            (
                "tlsOnly",
                args.tls_only.unwrap_or(true) != self.tls_only(session, &args.bucket),
            ),
            ("objectOwnership", self.ownership != Some(ownership)),
            (
                "noncurrentVersionExpirationDays",
                args.noncurrent_version_expiration_days != self.expiration_days,
            ),
            (
                "tags",
                !session
                    .tag_change(&self.tags, args.tags.as_ref())
                    .is_empty(),
            ),
        ];
        all.into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| name)
            .collect()
    }

    /// Changes what differs; gives what is in force afterwards.
    pub(super) async fn converge(
        &self,
        cx: &Context<Ptd>,
        session: &Session,
        args: &StateBucketArgs,
    ) -> Result<(Hardening, Tags), Error> {
        let pending = self.pending(session, args);
        let due = |name: &str| pending.contains(&name);
        let put = Put {
            session,
            bucket: &args.bucket,
        };
        cx.alive()?;
        // Independent of one another, so all at once; only policies and public access get in each other's way.
        let (versioning, encryption, (block, tls), ownership, lifecycle, tags) = futures::join!(
            put.versioning(due("versioning"), args.versioning.unwrap_or(true)),
            put.encryption(
                due("encryption") || self.fresh,
                args.encryption
                    .as_ref()
                    .unwrap_or(&BucketEncryption::DEFAULT)
            ),
            async {
                let block = put
                    .public_access(
                        due("blockPublicAccess"),
                        args.block_public_access.unwrap_or(true),
                    )
                    .await;
                let policy = self.policy_with(session, &args.bucket, args.tls_only.unwrap_or(true));
                (block, put.policy(due("tlsOnly"), policy).await)
            },
            put.ownership(
                due("objectOwnership"),
                args.object_ownership
                    .unwrap_or(ObjectOwnership::BucketOwnerEnforced)
            ),
            put.lifecycle(
                due("noncurrentVersionExpirationDays"),
                &self.rules,
                args.noncurrent_version_expiration_days
            ),
            self.tags(&put, due("tags"), args),
        );
        // S3 encrypts every new bucket with its own keys. Stating it is for the record, so nothing is lost without.
        let encryption = match encryption {
            Err(error) if error.is_denied() && args.encryption.is_none() && !due("encryption") => {
                Ok(())
            }
            result => result,
        };
        let mut hardening = Hardening::new();
        let explicit = |on: bool| on.then_some(true);
        harden(
            cx,
            &mut hardening,
            "versioning",
            args.versioning,
            versioning,
        )
        .await?;
        harden(
            cx,
            &mut hardening,
            "encryption",
            explicit(args.encryption.is_some()),
            encryption,
        )
        .await?;
        harden(
            cx,
            &mut hardening,
            "blockPublicAccess",
            args.block_public_access,
            block,
        )
        .await?;
        harden(cx, &mut hardening, "tlsOnly", args.tls_only, tls).await?;
        let stated = explicit(args.object_ownership.is_some());
        harden(cx, &mut hardening, "objectOwnership", stated, ownership).await?;
        lifecycle.map_err(|e| asked_for("noncurrentVersionExpirationDays", e))?;
        let tags = tags.map_err(|e| asked_for("tags", e))?;
        Ok((hardening, tags))
    }

    async fn tags(
        &self,
        put: &Put<'_>,
        due: bool,
        args: &StateBucketArgs,
    ) -> Result<Tags, AwsError> {
        if !due {
            return Ok(self.tags.clone());
        }
        let change = put.session.tag_change(&self.tags, args.tags.as_ref());
        let mut all = self.tags.clone();
        change.apply(&mut all);
        put.tags(&all).await?;
        Ok(all)
    }

    /// The policy with or without our statement and with everybody else's.
    fn policy_with(&self, session: &Session, bucket: &str, tls_only: bool) -> Option<Value> {
        let mut statements: Vec<Value> = self
            .statements()
            .into_iter()
            .filter(|s| s.get("Sid").and_then(Value::as_str) != Some(SID))
            .collect();
        if tls_only {
            statements.push(statement(session, bucket));
        }
        if statements.is_empty() {
            return None;
        }
        let mut policy = self
            .policy
            .clone()
            .unwrap_or_else(|| json!({ "Version": "2012-10-17" }));
        policy["Statement"] = Value::Array(statements);
        Some(policy)
    }
}

fn statement(session: &Session, bucket: &str) -> Value {
    let arn = format!("arn:{}:s3:::{bucket}", session.partition());
    json!({
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn.clone(), format!("{arn}/*")],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    })
}

/// Whether two encryptions are the same; the service may give a key back by ARN.
fn same_encryption(one: &BucketEncryption, other: &BucketEncryption) -> bool {
    let key = match (&one.kms_key_id, &other.kms_key_id) {
        (Some(a), Some(b)) => {
            a == b || a.ends_with(&format!("/{b}")) || b.ends_with(&format!("/{a}"))
        }
        (None, None) => true,
        _ => false,
    };
    one.algorithm == other.algorithm
        && key
        && one.bucket_key.unwrap_or_default() == other.bucket_key.unwrap_or_default()
}
