use std::time::Duration;

use super::*;
use crate::error::RemoteError;
use crate::path::Path;

fn rich(status: &Status) -> RichStatus {
    let rich = RichStatus::decode(status.details()).unwrap();
    assert_eq!(
        rich.code,
        status.code() as i32,
        "the engine drops the detail otherwise"
    );
    assert_eq!(rich.message, status.message());
    rich
}

fn detail<T: Message + Default>(status: &Status, name: &str) -> T {
    let rich = rich(status);
    assert_eq!(rich.details.len(), 1);
    assert_eq!(
        rich.details[0].type_url,
        format!("type.googleapis.com/pulumirpc.{name}")
    );
    T::decode(rich.details[0].value.as_slice()).unwrap()
}

fn errors() -> Vec<(Error, Code)> {
    let remote = RemoteError {
        operation: "s3:CreateBucket".into(),
        subject: "bucket b".into(),
        code: Some("AccessDenied".into()),
        message: "no".into(),
        request_id: Some("r-1".into()),
        next: Some("Ask for it.".into()),
    };
    let during = || "creating x".to_owned();
    vec![
        (
            Error::input(Path::root().key("a"), "is bad"),
            Code::InvalidArgument,
        ),
        (remote.into(), Code::Aborted),
        (Error::refused("no", "Do this."), Code::FailedPrecondition),
        (Error::Cancelled { during: during() }, Code::Cancelled),
        (
            Error::TimedOut {
                during: during(),
                limit: Duration::from_secs(3),
            },
            Code::DeadlineExceeded,
        ),
        (Error::Bug("oops".into()), Code::Internal),
    ]
}

#[test]
fn each_error_has_its_code_and_says_what_to_do() {
    let mut texts = String::new();
    for (error, code) in errors() {
        let status = to_status(&error);
        assert_eq!(status.code(), code, "{error}");
        texts.push_str(status.message());
        texts.push('\n');
    }
    assert_eq!(
        texts,
        "a: is bad\n\
         s3:CreateBucket on bucket b failed: AccessDenied: no (request id r-1). Ask for it.\n\
         no. Do this.\n\
         creating x: cancelled; the next update continues from here\n\
         creating x: not finished after 3s; raise it with the resource option customTimeouts\n\
         oops (this is a bug in the provider; please report it)\n"
    );
}

#[test]
fn a_partial_failure_carries_what_exists() {
    for (error, _) in errors() {
        let properties = PropertyMap::from([("a".to_owned(), 1.into())]);
        let status = init_failed(&error, "id-1".into(), &properties, None, &["why".into()]);
        let body: rpc::ErrorResourceInitFailed = detail(&status, "ErrorResourceInitFailed");
        assert_eq!(
            (body.id.as_str(), body.reasons),
            ("id-1", vec!["why".to_owned()])
        );
        assert_eq!(
            crate::wire::decode(body.properties.as_ref()).unwrap(),
            properties
        );
        assert_eq!(body.inputs, None);
    }
    let cancelled = Error::Cancelled { during: "x".into() };
    let status = init_failed(&cancelled, "i".into(), &PropertyMap::new(), None, &[]);
    assert_eq!(status.code(), Code::Cancelled);
}

#[test]
fn missing_keys_are_all_named() {
    let keys = vec![
        ("a".into(), "What a is.".into()),
        ("b".into(), String::new()),
    ];
    let status = missing_keys(keys);
    let body: rpc::ConfigureErrorMissingKeys = detail(&status, "ConfigureErrorMissingKeys");
    let names: Vec<_> = body.missing_keys.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(body.missing_keys[0].description, "What a is.");
}

#[test]
fn a_secret_input_is_not_named_as_the_property() {
    let failures: Vec<Failure> = ["open", "hidden"]
        .map(|name| Failure {
            path: Path::root().key(name).key("x"),
            reason: "is bad".into(),
        })
        .into();
    let status = input_errors("thing", &failures, |f| f.path.top() == Some("hidden"));
    let body: rpc::InputPropertiesError = detail(&status, "InputPropertiesError");
    let pairs: Vec<_> = body
        .errors
        .iter()
        .map(|e| (e.property_path.as_str(), e.reason.as_str()))
        .collect();
    assert_eq!(pairs, [("open.x", "is bad"), ("", "hidden.x: is bad")]);
}

#[test]
fn no_status_says_a_known_secret() {
    let mut guard = crate::redact::Guard::default();
    guard.add("hunter2-of-status");
    let error = Error::Bug("it was hunter2-of-status".into());
    assert!(!to_status(&error).message().contains("hunter2"));
    let status = init_failed(
        &error,
        "i".into(),
        &PropertyMap::new(),
        None,
        &[error.to_string()],
    );
    let body: rpc::ErrorResourceInitFailed = detail(&status, "ErrorResourceInitFailed");
    assert!(!body.reasons[0].contains("hunter2") && !status.message().contains("hunter2"));
}
