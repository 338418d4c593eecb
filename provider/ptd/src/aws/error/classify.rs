//! Reading answers: what codes and statuses mean, and which texts may be shown.

use std::error::Error as StdError;

use super::Kind;
use crate::causes::find;

/// The longest message that is passed on.
pub(super) const MAX_MESSAGE: usize = 1200;

/// What an answer means. Codes first, because the services use the same status for different things; the status alone where
/// there is no code, as with answers to HEAD requests.
#[expect(
    clippy::too_many_lines,
    reason = "one table of codes is easier to check than several"
)]
pub(super) fn classify(
    operation: &str,
    code: Option<&str>,
    status: u16,
    message: Option<&str>,
    bucket_region: Option<String>,
) -> Kind {
    let Some(code) = code else {
        return by_status(operation, status, bucket_region);
    };
    match code {
        "NotFound"
        | "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchEntity"
        | "NoSuchEntityException"
        | "NotFoundException"
        | "ResourceNotFoundException"
        | "NoSuchBucketPolicy"
        | "NoSuchTagSet"
        | "NoSuchTagSetError"
        | "NoSuchLifecycleConfiguration"
        | "NoSuchPublicAccessBlockConfiguration"
        | "NoSuchVersion"
        | "ServerSideEncryptionConfigurationNotFoundError"
        | "OwnershipControlsNotFoundError"
        | "NoSuchUpload" => Kind::NotFound,

        "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
        | "AlreadyExistsException"
        | "EntityAlreadyExists"
        | "EntityAlreadyExistsException"
        | "ResourceExistsException" => Kind::AlreadyExists,

        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "RequestExpired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "AuthFailure"
        | "UnauthorizedException" => Kind::ExpiredCredentials,

        "AccessDenied"
        | "AccessDeniedException"
        | "AccessDeniedForDependencyException"
        | "UnauthorizedOperation"
        | "Forbidden"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "NotSignedUp"
        | "OptInRequired"
        | "UnmodifiableEntity"
        | "OptInRequiredException"
        | "RegionDisabledException" => Kind::Denied,

        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "BandwidthLimitExceeded"
        | "TransactionInProgressException" => Kind::Throttled,

        "PermanentRedirect"
        | "TemporaryRedirect"
        | "IncorrectEndpoint"
        | "IllegalLocationConstraintException" => Kind::WrongRegion {
            region: bucket_region,
        },
        "AuthorizationHeaderMalformed" if message.is_some_and(|text| text.contains("region")) => {
            Kind::WrongRegion {
                region: bucket_region.or_else(|| message.and_then(expected_region)),
            }
        }

        "OperationAborted"
        | "BucketNotEmpty"
        | "DeleteConflict"
        | "DeleteConflictException"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "KMSInvalidStateException"
        | "DisabledException"
        | "PreconditionFailed"
        | "ConditionalRequestConflict"
        | "ConflictException"
        | "InvalidRequestException"
        | "LimitExceeded"
        | "LimitExceededException"
        | "InvalidBucketState"
        | "EntityTemporarilyUnmodifiable"
        | "DependencyTimeoutException" => Kind::Conflict,

        "RequestTimeout" | "RequestTimeoutException" => Kind::Timeout,

        other
            if other.starts_with("Invalid")
                || other.starts_with("Malformed")
                || other.starts_with("Validation") =>
        {
            Kind::InvalidInput
        }
        "TagException"
        | "UnsupportedOperationException"
        | "EncryptionFailure"
        | "PolicyNotAttachable"
        | "TooManyBuckets"
        | "PublicPolicyException"
        | "MissingParameter"
        | "AccessControlListNotSupported" => Kind::InvalidInput,
        _ => match by_status(operation, status, bucket_region) {
            // An unknown code of the 400 family is a refusal of what was sent, not a missing thing.
            Kind::NotFound if status != 404 => Kind::InvalidInput,
            kind => kind,
        },
    }
}

fn by_status(operation: &str, status: u16, bucket_region: Option<String>) -> Kind {
    match status {
        301 | 302 | 307 => Kind::WrongRegion {
            region: bucket_region,
        },
        400 if operation.starts_with("s3:") && bucket_region.is_some() => Kind::WrongRegion {
            region: bucket_region,
        },
        401 | 403 => Kind::Denied,
        404 | 410 => Kind::NotFound,
        408 | 504 => Kind::Timeout,
        409 | 412 => Kind::Conflict,
        429 => Kind::Throttled,
        400..=499 => Kind::InvalidInput,
        _ => Kind::Other,
    }
}

/// S3 names the region in words: `... the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn expected_region(message: &str) -> Option<String> {
    let (_, tail) = message.split_once("expecting '")?;
    let (region, _) = tail.split_once('\'')?;
    Some(region.to_owned())
}

/// The text of the first element of that name, where it is plain.
pub(super) fn xml_element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, tail) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = tail.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    (!text.is_empty() && !text.contains('<')).then_some(text)
}

pub(super) fn unexplained(status: u16) -> String {
    match status {
        301 | 302 | 307 => "the service redirects to another region",
        403 => "access denied, without a reason given",
        404 => "not found",
        500..=599 => "the service had an internal error, also after retrying",
        _ => "the service gave no reason",
    }
    .to_owned()
}

/// The permission for an operation, where S3 calls it otherwise.
pub(super) fn permission(operation: &str) -> &str {
    match operation {
        "s3:HeadBucket" | "s3:ListObjectsV2" | "s3:ListObjects" => "s3:ListBucket",
        "s3:ListObjectVersions" => "s3:ListBucketVersions",
        "s3:ListBuckets" => "s3:ListAllMyBuckets",
        "s3:HeadObject" => "s3:GetObject",
        "s3:DeleteObjects" => "s3:DeleteObject",
        "s3:GetBucketEncryption" => "s3:GetEncryptionConfiguration",
        "s3:PutBucketEncryption" | "s3:DeleteBucketEncryption" => "s3:PutEncryptionConfiguration",
        "s3:GetPublicAccessBlock" => "s3:GetBucketPublicAccessBlock",
        "s3:PutPublicAccessBlock" | "s3:DeletePublicAccessBlock" => "s3:PutBucketPublicAccessBlock",
        "s3:GetBucketLifecycleConfiguration" => "s3:GetLifecycleConfiguration",
        "s3:PutBucketLifecycleConfiguration" | "s3:DeleteBucketLifecycle" => {
            "s3:PutLifecycleConfiguration"
        }
        "s3:DeleteBucketTagging" => "s3:PutBucketTagging",
        other => other,
    }
}

pub(super) fn unreachable_hint(chain: &str) -> &'static str {
    if chain.contains("dns")
        || chain.contains("lookup address")
        || chain.contains("name or service")
    {
        "the host name cannot be resolved: check the region's spelling, the endpoint overrides and the network"
    } else if chain.contains("certificate")
        || chain.contains("tls")
        || chain.contains("unknownissuer")
    {
        "the TLS connection was refused: behind an inspecting proxy set AWS_CA_BUNDLE to its certificate authority"
    } else if chain.contains("proxy") || chain.contains("tunnel") {
        "the proxy refused the connection: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    } else {
        "check the network, the proxy variables (HTTPS_PROXY, NO_PROXY) and the endpoint overrides (AWS_ENDPOINT_URL)"
    }
}

/// A service's text, without what may repeat a secret value, and not too long.
pub(super) fn clean(message: &str) -> String {
    let lower = message.to_ascii_lowercase();
    if lower.contains("secretstring") || lower.contains("secretbinary") {
        return "the service refused the secret's value; its message is withheld because it may repeat the value".to_owned();
    }
    let one_line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.chars().count() <= MAX_MESSAGE {
        return one_line;
    }
    one_line.chars().take(MAX_MESSAGE).chain(['…']).collect()
}

/// Whether credentials could not be fetched because somebody did not answer.
pub(super) fn find_timeout_or_io(error: &(dyn StdError + 'static)) -> bool {
    find::<std::io::Error>(error).is_some_and(|io| {
        use std::io::ErrorKind::{
            ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
            NetworkUnreachable, TimedOut,
        };
        matches!(
            io.kind(),
            ConnectionRefused
                | ConnectionReset
                | ConnectionAborted
                | HostUnreachable
                | NetworkUnreachable
                | TimedOut
        )
    })
}
