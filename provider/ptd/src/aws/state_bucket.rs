//! `ptd:aws:StateBucket`: the S3 bucket that holds the state of a target's stacks.

mod delete;
mod live;
mod put;

use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, ObjectOwnership as WireOwnership,
};
use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::live::Live;
use super::common::{
    Hardening, HardeningStatus, Session, check_common, diff_default_tags, diff_place, observed,
    region_of, status,
};
use super::error::{AwsError, Kind};
use super::names;
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::defaults::yes;
use crate::tags::Tags;

/// An S3 bucket for the state of Pulumi stacks: every version kept, encrypted, private, reachable by TLS only.
///
/// A bucket of that name that is ours already is adopted and brought to these settings; what is in it is not touched. A
/// bucket of somebody else is an error. In an existing bucket policy only the statement with the Sid
/// `PtdDenyInsecureTransport` is managed, and in an existing lifecycle configuration only the rule `ptd-noncurrent-versions`.
///
/// A bucket that holds anything is not deleted unless `forceDestroy` is in the state, and not even then while the state of
/// a stack in it still has resources.
///
/// Import id: the bucket's name.
///
/// Permissions: `s3:CreateBucket`, `s3:ListBucket`, `s3:Get*` and `s3:Put*` of versioning, encryption, public access block,
/// policy, ownership controls, lifecycle and tagging; and to delete `s3:DeleteBucket`, `s3:ListBucketVersions`,
/// `s3:GetObject`, `s3:DeleteObjectVersion`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateBucketArgs {
    /// The bucket's name: 3 to 63 lower-case letters, digits, hyphens and dots. A change replaces the bucket.
    #[schemars(extend("replace" = true))]
    pub bucket: String,
    /// Whether old versions of objects are kept. Default: on where permitted.
    pub versioning: Option<bool>,
    /// How new objects are encrypted. Default: `AES256`, with keys that S3 manages.
    pub encryption: Option<BucketEncryption>,
    /// Whether all four kinds of public access are blocked. Default: on where permitted.
    pub block_public_access: Option<bool>,
    /// Whether the bucket policy denies access without TLS. Default: on where permitted.
    pub tls_only: Option<bool>,
    /// Who owns the objects. Default: `BucketOwnerEnforced` where permitted, which turns access control lists off.
    pub object_ownership: Option<ObjectOwnership>,
    /// Days after which old versions of objects are removed, at least 1. Default: they are kept.
    pub noncurrent_version_expiration_days: Option<i64>,
    /// Whether the bucket may be deleted with everything in it. It counts once an update has put it into the state.
    /// Default `false`.
    #[serde(default)]
    pub force_destroy: bool,
    /// Whether to take over a bucket that exists already and is ours. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The account the bucket must be in, 12 digits. With credentials of another account nothing is touched. Default: the
    /// credentials' account. A change replaces the bucket.
    #[schemars(extend("replace" = true))]
    pub account_id: Option<String>,
    /// The region of the bucket. Default: the provider's. A change replaces the bucket.
    #[schemars(extend("replace" = true))]
    pub region: Option<String>,
    /// Tags, beside the provider's default tags.
    pub tags: Option<Tags>,
}

/// How new objects in a bucket are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "aws"))]
pub struct BucketEncryption {
    /// With whose key.
    pub algorithm: EncryptionAlgorithm,
    /// The KMS key for `aws:kms`: id, ARN or alias. Default: the account's own `aws/s3`.
    pub kms_key_id: Option<String>,
    /// Whether S3 keeps a bucket key, which saves calls to KMS. For `aws:kms`. Default: off.
    pub bucket_key: Option<bool>,
}

/// The kinds of server-side encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("module" = "aws"))]
pub enum EncryptionAlgorithm {
    /// SSE-S3: with keys that S3 manages.
    #[serde(rename = "AES256")]
    Aes256,
    /// SSE-KMS: with a key in KMS.
    #[serde(rename = "aws:kms")]
    Kms,
}

/// Who owns the objects in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("module" = "aws"))]
pub enum ObjectOwnership {
    /// The bucket's owner; access control lists are off.
    BucketOwnerEnforced,
    /// The bucket's owner, if the writer asks for it.
    BucketOwnerPreferred,
    /// The writer.
    ObjectWriter,
}

impl ObjectOwnership {
    fn wire(self) -> WireOwnership {
        match self {
            Self::BucketOwnerEnforced => WireOwnership::BucketOwnerEnforced,
            Self::BucketOwnerPreferred => WireOwnership::BucketOwnerPreferred,
            Self::ObjectWriter => WireOwnership::ObjectWriter,
        }
    }
}

impl BucketEncryption {
    const DEFAULT: Self = Self {
        algorithm: EncryptionAlgorithm::Aes256,
        kms_key_id: None,
        bucket_key: None,
    };

    /// Whether it asks for a KMS key without naming one.
    #[must_use]
    pub fn wants_key(&self) -> bool {
        self.algorithm == EncryptionAlgorithm::Kms && self.kms_key_id.is_none()
    }
}

/// What AWS knows about a state bucket.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StateBucketState {
    /// The bucket's ARN.
    #[schemars(extend("stable" = true))]
    pub arn: String,
    /// The account the bucket is in.
    #[schemars(extend("stable" = true))]
    pub account_id: String,
    /// The region the bucket is in.
    #[schemars(extend("stable" = true))]
    pub region: String,
    /// The URL of a Pulumi backend in the bucket: `s3://<bucket>?region=<region>`.
    #[schemars(extend("stable" = true))]
    pub backend_url: String,
    /// Whether each protective setting is in force: `versioning`, `encryption`, `blockPublicAccess`, `tlsOnly`,
    /// `objectOwnership`.
    pub hardening: Hardening,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
}

/// The resource `ptd:aws:StateBucket`.
#[derive(Debug)]
pub struct StateBucket;

fn subject(bucket: &str) -> String {
    format!("bucket {bucket}")
}

fn state(session: &Session, bucket: &str, hardening: Hardening, tags: &Tags) -> StateBucketState {
    StateBucketState {
        arn: format!("arn:{}:s3:::{bucket}", session.partition()),
        account_id: session.account().to_owned(),
        region: session.region().to_owned(),
        backend_url: format!("s3://{bucket}?region={}", session.region()),
        hardening,
        tags_all: session.all_tags(tags),
    }
}

/// Whether the bucket exists and is ours and in our region. Only a 404 means that it does not exist.
async fn exists(session: &Session, bucket: &str) -> Result<bool, Error> {
    let request = session
        .clients
        .s3()
        .head_bucket()
        .bucket(bucket)
        .expected_bucket_owner(session.account())
        .send();
    match session.clients.call("s3:HeadBucket", subject(bucket), request).await {
        Ok(found) => match found.bucket_region() {
            Some(region) if region != session.region() => Err(AwsError::new(
                Kind::WrongRegion { region: Some(region.to_owned()) },
                "s3:HeadBucket",
                subject(bucket),
                format!("the bucket is in region {region}, not {}", session.region()),
            )
            .into()),
            _ => Ok(true),
        },
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) if error.is_denied() => Err(error
            .with_hint(format!(
                "the name is taken by another account, or the credentials of account {} lack s3:ListBucket on it",
                session.account()
            ))
            .into()),
        // S3 answers HEAD without a word of explanation.
        Err(error) if error.status() == Some(400) && error.code().is_none() => Err(error
            .with_hint(
                "a bare 400 mostly means expired credentials: renew them, or check the region",
            )
            .into()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the bucket; `false` when it was ours already.
async fn make(session: &Session, bucket: &str) -> Result<bool, Error> {
    // The oldest region is the one that must not be named.
    let place = (session.region() != "us-east-1").then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(session.region()))
            .build()
    });
    let request = session
        .clients
        .s3()
        .create_bucket()
        .bucket(bucket)
        .object_ownership(WireOwnership::BucketOwnerEnforced)
        .set_create_bucket_configuration(place)
        .send();
    match session
        .clients
        .call("s3:CreateBucket", subject(bucket), request)
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(false),
        Err(error) if error.code() == Some("BucketAlreadyExists") => Err(error
            .with_hint("bucket names are unique in the world: this one belongs to another account")
            .into()),
        Err(error) => Err(error.into()),
    }
}

impl Resource for StateBucket {
    type Provider = Ptd;
    type Args = StateBucketArgs;
    type State = StateBucketState;

    const TOKEN: &'static str = "ptd:aws:StateBucket";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "bucket", names::bucket_name);
        if checking
            .known::<i64>("noncurrentVersionExpirationDays")
            .is_some_and(|days| days < 1)
        {
            checking.refuse("noncurrentVersionExpirationDays", "must be at least 1");
        }
        if let Some(encryption) = checking.known::<BucketEncryption>("encryption")
            && encryption.algorithm == EncryptionAlgorithm::Aes256
        {
            let path = Path::root().key("encryption");
            if encryption.kms_key_id.is_some() {
                checking.fail(path.key("kmsKeyId"), "is for the algorithm aws:kms only");
            }
            if encryption.bucket_key.is_some() {
                checking.fail(path.key("bucketKey"), "is for the algorithm aws:kms only");
            }
        }
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        diff_default_tags(
            diff,
            provider,
            old.state.as_ref().map(|s| &s.tags_all),
            news,
        );
        diff_place(diff, &old.outputs, news, provider, &["bucket"]);
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let (Some(args), None) = (&request.args, &request.old) else {
            return Ok(());
        };
        let session = Session::open(cx, args.region.as_deref(), args.account_id.as_deref()).await?;
        let known = state(&session, &args.bucket, Hardening::new(), &Tags::new());
        prediction.known("arn", known.arn);
        prediction.known("accountId", known.account_id);
        prediction.known("region", known.region);
        if exists(&session, &args.bucket).await? {
            if !args.adopt {
                return Err(exists_already(&subject(&args.bucket), &args.bucket));
            }
            // A backend that is there can be opened by whatever depends on it.
            prediction.known("backendUrl", known.backend_url);
            let live = Live::look(&session, &args.bucket).await?;
            tell_adoption(cx, &subject(&args.bucket), &live.pending(&session, args)).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: StateBucketArgs,
    ) -> Result<Created<StateBucketState>, Error> {
        let session = Session::open(cx, args.region.as_deref(), args.account_id.as_deref()).await?;
        let bucket = args.bucket.clone();
        let mut made = false;
        if !exists(&session, &bucket).await? {
            cx.alive()?;
            made = make(&session, &bucket).await?;
        }
        if !made && !args.adopt {
            return Err(exists_already(&subject(&bucket), &bucket));
        }
        cx.checkpoint(
            &bucket,
            &state(&session, &bucket, Hardening::new(), &Tags::new()),
        );
        let live = if made {
            Live::fresh()
        } else {
            Live::look(&session, &bucket).await?
        };
        let changes = live.pending(&session, &args);
        let (hardening, tags) = live.converge(cx, &session, &args).await?;
        if !made {
            tell_adoption(cx, &subject(&bucket), &changes).await;
        }
        let state = state(&session, &bucket, hardening, &tags);
        Ok(Created { id: bucket, state })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let args = prior.as_ref().and_then(|p| p.args.clone());
        let old = prior.and_then(|p| p.state);
        let region = region_of(
            args.as_ref().and_then(|a| a.region.as_deref()),
            old.as_ref().map(|s| s.region.as_str()),
        );
        let account = args.as_ref().and_then(|a| a.account_id.as_deref());
        let session = Session::open(cx, region, account).await?;
        if !exists(&session, id).await? {
            return Ok(None);
        }
        let live = Live::look(&session, id).await?;
        let denied = |name: &str| {
            old.as_ref().and_then(|s| s.hardening.get(name)) == Some(&HardeningStatus::Denied)
        };
        let said = |f: fn(&StateBucketArgs) -> Option<bool>| args.as_ref().map(f);
        let mut hardening = Hardening::new();
        let mut measure = |name: &str, said: Option<Option<bool>>, actual: bool| {
            hardening.insert(
                name.to_owned(),
                status(said.flatten(), actual, denied(name)),
            );
            observed(said, actual, denied(name))
        };
        let versioning = measure("versioning", said(|a| a.versioning), live.versioning);
        let block = measure(
            "blockPublicAccess",
            said(|a| a.block_public_access),
            live.public_access_blocked,
        );
        let tls = measure("tlsOnly", said(|a| a.tls_only), live.tls_only(&session, id));
        let said_encryption = args.as_ref().and_then(|a| a.encryption.clone());
        let encryption = live.encryption_input(said_encryption.as_ref(), denied("encryption"));
        hardening.insert(
            "encryption".into(),
            if live.lacks_encryption(said_encryption.as_ref(), denied("encryption")) {
                HardeningStatus::Denied
            } else {
                HardeningStatus::Applied
            },
        );
        let said_ownership = args.as_ref().and_then(|a| a.object_ownership);
        let wanted = said_ownership.unwrap_or(ObjectOwnership::BucketOwnerEnforced);
        hardening.insert(
            "objectOwnership".into(),
            status(
                said_ownership.map(|_| true),
                live.ownership == Some(wanted),
                denied("objectOwnership"),
            ),
        );
        let ownership = match (said_ownership, live.ownership) {
            (None, Some(ObjectOwnership::BucketOwnerEnforced)) => None,
            (None, _) if denied("objectOwnership") => None,
            // Without ownership controls the writer owns: the service's oldest default.
            (_, None) => Some(ObjectOwnership::ObjectWriter),
            (_, actual) => actual,
        };
        let tags = session.own_tags(&live.tags, args.as_ref().and_then(|a| a.tags.as_ref()));
        let state = state(&session, id, hardening, &live.tags);
        let observed = StateBucketArgs {
            bucket: id.to_owned(),
            versioning,
            encryption,
            block_public_access: block,
            tls_only: tls,
            object_ownership: ownership,
            noncurrent_version_expiration_days: live.expiration_days,
            force_destroy: args.as_ref().is_some_and(|a| a.force_destroy),
            adopt: args.as_ref().is_none_or(|a| a.adopt),
            account_id: args.as_ref().and_then(|a| a.account_id.clone()),
            region: args.as_ref().and_then(|a| a.region.clone()),
            tags,
        };
        Ok(Some(Observed::new(observed, state)))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: StateBucketArgs,
    ) -> Result<StateBucketState, Error> {
        let region = region_of(
            args.region.as_deref(),
            old.state.as_ref().map(|s| s.region.as_str()),
        );
        let session = Session::open(cx, region, args.account_id.as_deref()).await?;
        if !exists(&session, id).await? {
            return Err(Error::refused(
                format!("bucket {id} is gone"),
                "Run `pulumi refresh`, then `pulumi up` makes it again",
            ));
        }
        let live = Live::look(&session, id).await?;
        // Were the run to end here, what is told of the hardening is what was true before.
        let before = old.state.map(|s| s.hardening).unwrap_or_default();
        cx.checkpoint(id, &state(&session, id, before, &live.tags));
        let (hardening, tags) = live.converge(cx, &session, &args).await?;
        Ok(state(&session, id, hardening, &tags))
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        let region = old
            .state
            .map(|s| s.region)
            .filter(|r| !r.is_empty())
            .or(args.region);
        let session = Session::open(cx, region.as_deref(), args.account_id.as_deref()).await?;
        if !exists(&session, id).await? {
            return Ok(());
        }
        delete::bucket(cx, &session, id, args.force_destroy).await
    }
}
