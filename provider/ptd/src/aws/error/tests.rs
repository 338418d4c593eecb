//! Texts and kinds of errors.

use super::classify::{MAX_MESSAGE, clean};
use super::*;
use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;

fn response(status: u16, headers: &[(&'static str, &'static str)]) -> HttpResponse {
    let mut response = HttpResponse::new(
        StatusCode::try_from(status).expect("status"),
        SdkBody::empty(),
    );
    for (name, value) in headers {
        response.headers_mut().insert(*name, *value);
    }
    response
}

fn service(
    code: Option<&str>,
    message: &str,
    response: HttpResponse,
) -> SdkError<DescribeKeyError, HttpResponse> {
    let mut meta = ErrorMetadata::builder();
    if let Some(code) = code {
        meta = meta.code(code).message(message);
    }
    SdkError::service_error(DescribeKeyError::generic(meta.build()), response)
}

fn kind(operation: &str, code: Option<&str>, status: u16) -> Kind {
    AwsError::from_sdk(operation, "x", &service(code, "m", response(status, &[])))
        .kind()
        .clone()
}

#[test]
fn the_text_says_what_was_tried_what_came_back_and_what_to_do() {
    let sdk = service(
        Some("AccessDeniedException"),
        "User: u is not authorized",
        response(400, &[("x-amzn-requestid", "r-1")]),
    );
    let error = AwsError::from_sdk("kms:EnableKeyRotation", "key alias/x", &sdk);
    assert_eq!(
        error.to_string(),
        "kms:EnableKeyRotation on key alias/x failed: AccessDeniedException: User: u is not authorized (HTTP 400, request id r-1)\n\
         Next: grant the identity in use the permission kms:EnableKeyRotation, or check the policies, permissions boundary and service \
         control policies that deny it."
    );
    assert_eq!(
        (error.service(), error.permission()),
        ("kms", "kms:EnableKeyRotation")
    );
}

#[test]
fn codes() {
    assert_eq!(
        kind("kms:DescribeKey", Some("NotFoundException"), 400),
        Kind::NotFound
    );
    assert_eq!(
        kind(
            "secretsmanager:DescribeSecret",
            Some("ResourceNotFoundException"),
            404
        ),
        Kind::NotFound
    );
    assert_eq!(
        kind("iam:GetPolicy", Some("NoSuchEntity"), 404),
        Kind::NotFound
    );
    assert_eq!(
        kind("kms:CreateAlias", Some("AlreadyExistsException"), 400),
        Kind::AlreadyExists
    );
    assert_eq!(
        kind(
            "secretsmanager:CreateSecret",
            Some("InvalidRequestException"),
            400
        ),
        Kind::Conflict
    );
    assert_eq!(
        kind(
            "secretsmanager:PutSecretValue",
            Some("InvalidParameterException"),
            400
        ),
        Kind::InvalidInput
    );
    assert_eq!(
        kind("iam:CreatePolicy", Some("MalformedPolicyDocument"), 400),
        Kind::InvalidInput
    );
    assert_eq!(
        kind("iam:CreatePolicyVersion", Some("LimitExceeded"), 409),
        Kind::Conflict
    );
    for code in [
        "ExpiredToken",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
    ] {
        assert_eq!(
            kind("sts:GetCallerIdentity", Some(code), 403),
            Kind::ExpiredCredentials,
            "{code}"
        );
    }
    assert_eq!(
        kind("kms:DescribeKey", Some("ThrottlingException"), 400),
        Kind::Throttled
    );
    assert_eq!(
        kind("kms:DescribeKey", Some("KMSInternalException"), 500),
        Kind::Other
    );
}

#[test]
fn answers_without_a_code() {
    assert_eq!(kind("s3:HeadBucket", None, 403), Kind::Denied);
    assert_eq!(kind("s3:HeadBucket", None, 404), Kind::NotFound);
    assert_eq!(
        kind("s3:HeadBucket", None, 301),
        Kind::WrongRegion { region: None }
    );
    let redirect = service(
        None,
        "",
        response(301, &[("x-amz-bucket-region", "eu-west-1")]),
    );
    let error =
        AwsError::from_sdk("s3:HeadBucket", "bucket ptd-x", &redirect).with_region("us-east-2");
    assert_eq!(
        *error.kind(),
        Kind::WrongRegion {
            region: Some("eu-west-1".to_owned())
        }
    );
    assert!(
        error
            .to_string()
            .contains("it is in region eu-west-1, not us-east-2")
    );
    // An XML body where the SDK expects JSON: no service error at all, only the status.
    let unparsed: SdkError<DescribeKeyError, _> =
        SdkError::response_error("bad JSON", response(403, &[]));
    assert!(AwsError::from_sdk("kms:DescribeKey", "x", &unparsed).is_denied());
    let mut foreign = response(403, &[]);
    *foreign.body_mut() = SdkBody::from(
        "<Response><Errors><Error><Code>InvalidClientTokenId</Code><Message>bad token</Message></Error>",
    );
    let error = AwsError::from_sdk("kms:DescribeKey", "x", &service(None, "", foreign));
    assert_eq!(
        (error.code(), error.kind()),
        (Some("InvalidClientTokenId"), &Kind::ExpiredCredentials)
    );
}

#[test]
fn a_malformed_authorization_names_the_region() {
    let sdk = service(
        Some("AuthorizationHeaderMalformed"),
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        response(400, &[]),
    );
    let error = AwsError::from_sdk("s3:CreateBucket", "x", &sdk);
    assert_eq!(
        *error.kind(),
        Kind::WrongRegion {
            region: Some("eu-west-1".to_owned())
        }
    );
}

#[test]
fn local_failures() {
    let refused: SdkError<DescribeKeyError, HttpResponse> = SdkError::dispatch_failure(
        ConnectorError::io("tcp connect error: Connection refused".into()),
    );
    let error = AwsError::from_sdk("kms:DescribeKey", "x", &refused);
    assert_eq!(*error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("Connection refused"));

    let dns: SdkError<DescribeKeyError, HttpResponse> = SdkError::dispatch_failure(
        ConnectorError::io("dns error: failed to lookup address information".into()),
    );
    assert!(
        AwsError::from_sdk("kms:DescribeKey", "x", &dns)
            .to_string()
            .contains("cannot be resolved")
    );

    let slow: SdkError<DescribeKeyError, HttpResponse> =
        SdkError::timeout_error("operation attempt timeout");
    assert_eq!(
        *AwsError::from_sdk("kms:DescribeKey", "x", &slow).kind(),
        Kind::Timeout
    );

    let none: SdkError<DescribeKeyError, HttpResponse> = SdkError::dispatch_failure(
        ConnectorError::other(Box::new(CredentialsError::not_loaded("nothing")), None),
    );
    let error = AwsError::from_sdk("kms:DescribeKey", "x", &none);
    assert_eq!(*error.kind(), Kind::NoCredentials);
    let text = error.with_profile(Some("dev")).to_string();
    assert!(
        text.contains("nothing") && text.contains("\"dev\""),
        "{text}"
    );
}

#[test]
fn the_cause_of_missing_credentials_is_what_sts_said() {
    let denied: SdkError<AssumeRoleError, HttpResponse> = SdkError::service_error(
        AssumeRoleError::generic(
            ErrorMetadata::builder()
                .code("AccessDenied")
                .message("not authorized")
                .build(),
        ),
        response(403, &[("x-amzn-requestid", "r-2")]),
    );
    let outer: SdkError<DescribeKeyError, HttpResponse> = SdkError::dispatch_failure(
        ConnectorError::other(Box::new(CredentialsError::provider_error(denied)), None),
    );
    let error = AwsError::from_sdk("kms:DescribeKey", "key alias/x", &outer);
    assert!(error.is_denied());
    assert_eq!(
        (error.operation(), error.request_id()),
        ("sts:AssumeRole", Some("r-2"))
    );
    assert!(
        error
            .to_string()
            .contains("needed for kms:DescribeKey on key alias/x"),
        "{error}"
    );
    assert!(error.to_string().contains("trust policy"));
}

#[test]
fn secret_values_are_not_repeated() {
    let sdk = service(
        Some("ValidationException"),
        "1 validation error detected: Value 'hunter2' at 'secretString' failed to satisfy constraint",
        response(400, &[]),
    );
    let error = AwsError::from_sdk("secretsmanager:CreateSecret", "secret x", &sdk);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    assert!(clean(&"a".repeat(5000)).chars().count() <= MAX_MESSAGE + 1);
}
