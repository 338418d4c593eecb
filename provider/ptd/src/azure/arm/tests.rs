//! The client against a scripted transport, in the simulated time of the test's own [`Run`]: the conformance cases that need no server.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, Transport, Url};
use azure_core::time::OffsetDateTime;
use futures::FutureExt;
use futures::future::BoxFuture;
use pulumi_provider::Error;
use serde_json::{Value, json};

use super::*;

const API: &str = "2024-11-01";

/// One answer of the script.
#[derive(Clone)]
struct Reply {
    /// `GET /path?query`, of which the end must fit.
    expects: String,
    status: Option<u16>,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

fn reply(expects: &str, status: u16, body: &Value) -> Reply {
    let body = match body {
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Reply {
        expects: expects.to_owned(),
        status: Some(status),
        headers: Vec::new(),
        body,
    }
}

fn dropped(expects: &str) -> Reply {
    Reply {
        expects: expects.to_owned(),
        status: None,
        headers: Vec::new(),
        body: String::new(),
    }
}

/// The time that the test's own waits let pass.
#[derive(Clone, Default)]
struct Clock(Arc<Mutex<Duration>>);

impl Clock {
    fn now(&self) -> Duration {
        *self.0.lock().expect("no panic")
    }

    fn set(&self, time: Duration) {
        *self.0.lock().expect("no panic") = time;
    }
}

#[derive(Default)]
struct Script {
    clock: Clock,
    replies: Mutex<VecDeque<Reply>>,
    seen: Mutex<Vec<Seen>>,
}

#[derive(Clone, Debug)]
struct Seen {
    line: String,
    at: Duration,
    token: String,
    body: String,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

#[async_trait]
impl HttpClient for Script {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let line = format!("{} {}", request.method().as_str(), request.url());
        let header = |name: &'static str| {
            request
                .headers()
                .get_optional_str(&HeaderName::from_static(name))
                .unwrap_or_default()
                .to_owned()
        };
        let body = match request.body() {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Body::SeekableStream(_) => String::new(),
        };
        self.seen.lock().expect("no panic").push(Seen {
            line: line.clone(),
            at: self.clock.now(),
            token: header("authorization"),
            body,
        });
        let next = self.replies.lock().expect("no panic").pop_front();
        let next = next.unwrap_or_else(|| panic!("nothing is scripted for {line}"));
        let (method, path) = next
            .expects
            .split_once(' ')
            .expect("a method and the end of a URL");
        assert!(
            line.starts_with(method) && line.contains(path),
            "expected {}, got {line}",
            next.expects
        );
        let Some(status) = next.status else {
            return Err(azure_core::Error::with_message(
                ErrorKind::Io,
                "connection reset by peer",
            ));
        };
        let mut headers = Headers::new();
        headers.insert("x-ms-request-id", "request-1");
        for (name, value) in next.headers {
            headers.insert(name, value);
        }
        Ok(AsyncRawResponse::from_bytes(
            status.into(),
            headers,
            next.body.into_bytes(),
        ))
    }
}

#[derive(Debug, Default)]
struct Counter(Arc<AtomicU32>);

#[async_trait]
impl TokenCredential for Counter {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(AccessToken::new(
            format!("token-{number}"),
            OffsetDateTime::now_utc() + Duration::from_hours(1),
        ))
    }
}

/// An operation of the engine whose waits take no time, and which can be ended.
#[derive(Default)]
struct TestRun {
    clock: Clock,
    limit: Option<Duration>,
    cancel_at: Option<Duration>,
    told: Mutex<Vec<String>>,
}

impl TestRun {
    fn cancelled() -> Error {
        Error::Cancelled {
            during: "create x".to_owned(),
        }
    }

    fn timed_out() -> Error {
        Error::TimedOut {
            during: "create x".to_owned(),
            limit: Duration::from_secs(1),
        }
    }
}

impl Run for TestRun {
    fn alive(&self) -> Result<(), Error> {
        Ok(())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, Result<(), Error>> {
        let end = self.clock.now() + duration;
        let result = if let Some(cancel) = self.cancel_at.filter(|at| *at <= end) {
            self.clock.set(cancel);
            Err(Self::cancelled())
        } else if let Some(limit) = self.limit.filter(|at| *at <= end) {
            self.clock.set(limit);
            Err(Self::timed_out())
        } else {
            self.clock.set(end);
            Ok(())
        };
        std::future::ready(result).boxed()
    }

    fn ending(&self) -> BoxFuture<'_, Error> {
        std::future::pending().boxed()
    }

    fn remaining(&self) -> Option<Duration> {
        self.limit.map(|at| at.saturating_sub(self.clock.now()))
    }

    fn status(&self, text: String) -> BoxFuture<'_, ()> {
        self.told.lock().expect("no panic").push(text);
        std::future::ready(()).boxed()
    }

    fn warn(&self, text: String) -> BoxFuture<'_, ()> {
        self.told
            .lock()
            .expect("no panic")
            .push(format!("warning: {text}"));
        std::future::ready(()).boxed()
    }
}

struct Stage {
    arm: ArmClient,
    script: Arc<Script>,
    run: TestRun,
    noted: Mutex<Vec<Option<PendingOperation>>>,
}

fn stage(replies: Vec<Reply>) -> Stage {
    let clock = Clock::default();
    let script = Arc::new(Script {
        clock: clock.clone(),
        replies: Mutex::new(replies.into()),
        seen: Mutex::default(),
    });
    let count = Arc::new(AtomicU32::new(0));
    let tokens = Tokens::new(
        "a test",
        Box::new(move || Ok(Arc::new(Counter(count.clone())) as Arc<dyn TokenCredential>)),
    );
    let cloud = Cloud::named("public").expect("a cloud");
    Stage {
        arm: ArmClient::new(cloud, Arc::new(tokens), Transport::new(script.clone()), 4),
        script,
        run: TestRun {
            clock,
            ..TestRun::default()
        },
        noted: Mutex::default(),
    }
}

impl Stage {
    async fn with<T>(&self, work: impl AsyncFnOnce(&ArmClient, &Job<'_>) -> T) -> T {
        let note = |operation: Option<&PendingOperation>| {
            self.noted
                .lock()
                .expect("no panic")
                .push(operation.cloned());
        };
        let job = Job {
            run: &self.run,
            accepted: &note,
        };
        let result = work(&self.arm, &job).await;
        let left = self.script.replies.lock().expect("no panic").len();
        assert_eq!(left, 0, "the script was not played to its end");
        result
    }

    async fn put(&self, body: &Value) -> Result<Value, ArmError> {
        let (id, cluster) = (cluster(), cluster());
        let write = Write::new(&id, API, Some(body)).while_busy(&cluster);
        self.with(async |arm, job| arm.put(job, &write).await).await
    }

    async fn delete(&self) -> Result<(), ArmError> {
        let id = cluster();
        let write = Write::new(&id, API, None);
        self.with(async |arm, job| arm.delete(job, &write).await)
            .await
    }

    fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().expect("no panic").clone()
    }

    /// The seconds between each request and the one before.
    fn gaps(&self) -> Vec<u64> {
        self.seen()
            .windows(2)
            .map(|pair| pair[1].at.saturating_sub(pair[0].at).as_secs())
            .collect()
    }
}

fn cluster() -> ResourceId {
    ResourceId::group("s", "g").provider("Microsoft.ContainerService", "managedClusters", "c")
}

fn body() -> Value {
    json!({"location": "eastus2", "properties": {"dnsPrefix": "c"}})
}

fn live(state: &str) -> Value {
    json!({"id": cluster().as_str(), "location": "East US 2", "properties": {"dnsPrefix": "C", "provisioningState": state}})
}

const OP: &str = "https://eastus2.management.azure.com/subscriptions/s/operations/1?api-version=2016-03-30&t=%20x";

fn accepted(status: u16) -> Reply {
    reply(
        "PUT /managedClusters/c?api-version=2024-11-01",
        status,
        &live("Creating"),
    )
    .header("azure-asyncoperation", OP)
}

fn op(state: &str) -> Reply {
    reply(
        "GET eastus2.management.azure.com/subscriptions/s/operations/1?api-version=2016-03-30&t=%20x",
        200,
        &json!({"status": state}),
    )
}

fn get(state: &str) -> Reply {
    reply(
        "GET management.azure.com/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c?",
        200,
        &live(state),
    )
}

fn absent(path: &str) -> Reply {
    reply(
        path,
        404,
        &json!({"error": {"code": "ResourceNotFound", "message": "no"}}),
    )
}

#[tokio::test]
async fn case_01_and_12_the_operation_is_followed_with_its_own_query() {
    let stage = stage(vec![
        accepted(201),
        op("InProgress"),
        op("InProgress"),
        op("InProgress"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    let made = stage.put(&body()).await.expect("made");
    assert_eq!(made["properties"]["provisioningState"], "Succeeded");
    let noted = stage.noted.lock().expect("no panic").clone();
    let pending = noted[0].clone().expect("a pending operation");
    assert_eq!(pending.url, OP);
    assert_eq!(pending.style, OperationStyle::AsyncOperation);
}

fn failure() -> Reply {
    reply(
        "GET /operations/1",
        200,
        &json!({"status": "Failed", "error": {
            "code": "CreateVMSSAgentPoolFailed",
            "message": "{\"error\":{\"code\":\"SkuNotAvailable\",\"message\":\"no such size here\"}}",
        }}),
    )
}

#[tokio::test]
async fn case_02_a_failed_operation_says_why() {
    let stage = stage(vec![accepted(201), failure(), get("Failed")]);
    let error = stage.put(&body()).await.expect_err("failed").to_string();
    assert!(
        error.contains("CreateVMSSAgentPoolFailed") && error.contains("no such size here"),
        "{error}"
    );
    assert_eq!(stage.noted.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn case_03_a_resource_that_came_out_well_counts_as_made() {
    let stage = stage(vec![accepted(201), failure(), get("Succeeded")]);
    stage.put(&body()).await.expect("made");
    let told = stage.run.told.lock().expect("no panic").join("\n");
    assert!(told.contains("warning: "), "{told}");
}

#[tokio::test]
async fn case_04_an_aborted_operation_is_a_failure() {
    let stage = stage(vec![accepted(200), op("Canceled"), get("Canceled")]);
    let error = stage.put(&body()).await.expect_err("aborted").to_string();
    assert!(error.contains("Canceled"), "{error}");
}

#[tokio::test]
async fn case_05_an_ok_with_a_busy_body_is_not_the_end() {
    let stage = stage(vec![
        reply("PUT /managedClusters/c", 200, &live("RegisteringDns")),
        get("RegisteringDns"),
        get("RegisteringDns"),
        get("RegisteringDns"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
}

fn located(status: u16, body: &Value) -> Reply {
    reply("GET /asyncoperations/1", status, body)
}

const LOCATION: &str = "/subscriptions/s/asyncoperations/1?monitor=true&api-version=2024-01-01";

#[tokio::test]
async fn case_06_the_last_answer_at_the_location_is_the_result() {
    let first = Reply {
        body: "accepted, as plain text".to_owned(),
        ..reply("PUT /managedClusters/c", 202, &Value::Null)
    };
    let stage = stage(vec![
        first
            .header("location", LOCATION)
            .header("retry-after", "1"),
        located(202, &Value::Null).header("retry-after", "1"),
        located(202, &Value::Null).header("retry-after", "1"),
        located(200, &live("Succeeded")),
    ]);
    let made = stage.put(&body()).await.expect("made");
    assert_eq!(made["properties"]["dnsPrefix"], "C");
    assert_eq!(stage.gaps(), [1, 1, 1]);
}

#[tokio::test]
async fn case_07_a_group_goes_by_its_location() {
    let stage = stage(vec![
        reply("DELETE /managedClusters/c", 202, &Value::Null)
            .header("location", LOCATION)
            .header("retry-after", "15"),
        located(202, &Value::Null).header("retry-after", "15"),
        located(200, &Value::Null),
    ]);
    stage.delete().await.expect("deleted");
    assert_eq!(stage.gaps(), [15, 15]);
}

#[tokio::test]
async fn case_08_the_async_operation_wins_and_no_get_follows_a_delete() {
    let stage = stage(vec![
        reply("DELETE /managedClusters/c", 202, &Value::Null)
            .header("location", LOCATION)
            .header("azure-asyncoperation", OP),
        op("Deleting"),
        op("Succeeded"),
    ]);
    stage.delete().await.expect("deleted");
}

#[tokio::test]
async fn case_09_what_is_gone_is_deleted() {
    for status in [204, 404] {
        let stage = stage(vec![reply("DELETE /c", status, &Value::Null)]);
        stage.delete().await.expect("deleted");
    }
}

#[tokio::test]
async fn a_delete_without_headers_is_followed_until_the_resource_is_gone() {
    let stage = stage(vec![
        reply("DELETE /c", 202, &Value::Null),
        get("Deleting"),
        absent("GET /c"),
    ]);
    stage.delete().await.expect("deleted");
}

#[tokio::test]
async fn case_10_a_final_state_at_once_needs_no_look() {
    let stage = stage(vec![reply("PUT /c", 201, &live("Succeeded"))]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_11_a_new_location_is_followed() {
    let stage = stage(vec![
        reply("PUT /c", 202, &Value::Null).header("location", LOCATION),
        located(202, &Value::Null).header(
            "location",
            "https://management.azure.com/subscriptions/s/asyncoperations/2?x=y",
        ),
        reply("GET /asyncoperations/2?x=y", 200, &live("Succeeded")),
    ]);
    stage.put(&body()).await.expect("made");
    let noted = stage.noted.lock().expect("no panic").clone();
    let last = noted.last().cloned().flatten().expect("an operation");
    assert!(last.url.contains("asyncoperations/2"), "{last:?}");
}

#[tokio::test]
async fn case_12_no_token_goes_to_other_hosts() {
    let stage = stage(vec![reply("PUT /c", 201, &live("Creating")).header(
        "azure-asyncoperation",
        "https://management.azure.com.example.org/op",
    )]);
    let error = stage.put(&body()).await.expect_err("refused").to_string();
    assert!(error.contains("example.org"), "{error}");
}

#[tokio::test]
async fn case_13_failing_looks_do_not_end_the_operation() {
    let stage = stage(vec![
        accepted(201),
        reply("GET /operations/1", 503, &Value::Null),
        reply("GET /operations/1", 429, &Value::Null).header("retry-after", "5"),
        dropped("GET /operations/1"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
    assert_eq!(stage.gaps()[2], 5);
}

#[tokio::test]
async fn case_14_a_forgotten_operation_is_decided_by_the_resource() {
    let stage = stage(vec![
        accepted(201),
        op("InProgress"),
        absent("GET /operations/1"),
        absent("GET /operations/1"),
        absent("GET /operations/1"),
        get("Creating"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_15_the_asked_for_wait_is_kept() {
    let stage = stage(vec![
        accepted(201).header("retry-after", "60"),
        op("InProgress").header("retry-after-ms", "2000"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
    assert_eq!(stage.gaps(), [60, 2, 0]);
}

#[tokio::test]
async fn case_17_a_cancel_ends_the_wait_and_sends_nothing() {
    let mut stage = stage(vec![accepted(201).header("retry-after", "60")]);
    stage.run.cancel_at = Some(Duration::from_secs(3));
    let error = stage.put(&body()).await.expect_err("cancelled").to_string();
    assert!(error.contains("may still be running"), "{error}");
    assert_eq!(stage.run.clock.now(), Duration::from_secs(3));
    assert_eq!(stage.seen().len(), 1);
    assert!(stage.noted.lock().expect("no panic")[0].is_some());
}

#[tokio::test]
async fn case_18_a_timeout_names_the_last_state() {
    let mut stage = stage(vec![
        accepted(201).header("retry-after", "10"),
        op("Upgrading").header("retry-after", "10"),
    ]);
    stage.run.limit = Some(Duration::from_secs(15));
    let error = stage.put(&body()).await.expect_err("late").to_string();
    assert!(error.contains("Upgrading"), "{error}");
    assert!(error.contains("may still be running"), "{error}");
}

fn conflict(message: &str) -> Reply {
    reply(
        "PUT /c",
        409,
        &json!({"code": "OperationNotAllowed", "message": message}),
    )
}

#[tokio::test]
async fn case_19_another_operation_is_waited_for() {
    let stage = stage(vec![
        conflict("there is another operation (c - Updating) is in progress, wait"),
        get("Updating"),
        get("Updating"),
        get("Succeeded"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    stage.put(&body()).await.expect("made");
    let told = stage.run.told.lock().expect("no panic").join("\n");
    assert!(told.contains("Updating"), "{told}");
}

#[tokio::test]
async fn case_20_a_quota_is_no_conflict() {
    let stage = stage(vec![conflict("this would exceed the approved quota")]);
    stage.put(&body()).await.expect_err("refused");
}

#[tokio::test]
async fn case_21_throttling_waits_as_long_as_asked() {
    let throttled = |seconds: &str| {
        reply(
            "PUT /c",
            429,
            &json!({"code": "TooManyRequests", "message": "slow"}),
        )
        .header("retry-after", seconds)
    };
    let patient = stage(vec![
        throttled("7"),
        throttled("1200"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    patient.put(&body()).await.expect("made");
    assert_eq!(patient.gaps(), [7, 1200]);
    let seen = patient.seen();
    assert_eq!(seen[0].body, seen[2].body);
    let mut hurried = stage(vec![throttled("1200")]);
    hurried.run.limit = Some(Duration::from_mins(1));
    let error = hurried.put(&body()).await.expect_err("late").to_string();
    assert!(error.contains("1200s"), "{error}");
}

#[tokio::test]
async fn case_22_a_lost_answer_is_looked_for_before_it_is_repeated() {
    let lost = stage(vec![
        dropped("PUT /c"),
        get("Creating"),
        get("Creating"),
        get("Succeeded"),
    ]);
    lost.put(&body()).await.expect("made");
    let puts = |stage: &Stage| {
        let seen = stage.seen();
        seen.iter().filter(|s| s.line.starts_with("PUT")).count()
    };
    assert_eq!(puts(&lost), 1);
    let refused = stage(vec![
        reply("PUT /c", 502, &Value::Null),
        absent("GET /c"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    refused.put(&body()).await.expect("made");
    assert_eq!(puts(&refused), 2);
}

fn unregistered() -> Reply {
    reply(
        "PUT /c",
        409,
        &json!({"error": {"code": "MissingSubscriptionRegistration", "message": "register"}}),
    )
}

#[tokio::test]
async fn case_23_the_service_is_registered_once() {
    let registration = |word: &str| {
        reply(
            "GET /subscriptions/s/providers/Microsoft.ContainerService?",
            200,
            &json!({"registrationState": word}),
        )
    };
    let stage = stage(vec![
        unregistered(),
        reply(
            "POST /subscriptions/s/providers/Microsoft.ContainerService/register",
            200,
            &json!({}),
        ),
        registration("Registering"),
        registration("Registering"),
        registration("Registered"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_23_who_may_not_register_is_told_what_to_register() {
    let stage = stage(vec![
        unregistered(),
        reply(
            "POST /register",
            403,
            &json!({"error": {"code": "AuthorizationFailed", "message": "no"}}),
        ),
    ]);
    let error = stage.put(&body()).await.expect_err("refused").to_string();
    assert!(
        error.contains("--namespace Microsoft.ContainerService --subscription s"),
        "{error}"
    );
}

#[tokio::test]
async fn case_25_a_token_is_renewed_once() {
    let expired = |expects: &str| {
        reply(
            expects,
            401,
            &json!({"error": {"code": "ExpiredAuthenticationToken", "message": "old"}}),
        )
    };
    let renewed = stage(vec![
        accepted(201),
        expired("GET /operations/1"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    renewed.put(&body()).await.expect("made");
    let tokens: Vec<String> = renewed.seen().into_iter().map(|s| s.token).collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    let refused = stage(vec![
        accepted(201),
        expired("GET /operations/1"),
        expired("GET /operations/1"),
    ]);
    refused.put(&body()).await.expect_err("refused");
}

#[tokio::test]
async fn case_26_a_missing_right_fails_at_once() {
    let stage = stage(vec![reply(
        "PUT /c",
        403,
        &json!({"error": {"code": "AuthorizationFailed", "message": "may not do Microsoft.X/write over scope /y"}}),
    )]);
    let error = stage.put(&body()).await.expect_err("refused").to_string();
    assert!(error.contains("Microsoft.X/write"), "{error}");
}

async fn look(stage: &Stage) -> Result<Option<Value>, ArmError> {
    stage
        .with(async |arm, job| arm.get(job.run, &cluster(), API).await)
        .await
}

#[tokio::test]
async fn cases_28_to_30_and_35_only_a_missing_resource_is_absent() {
    let error = |status, code: &str| {
        stage(vec![reply(
            "GET /c",
            status,
            &json!({"error": {"code": code, "message": "m"}}),
        )])
    };
    for code in [
        "ResourceNotFound",
        "ResourceGroupNotFound",
        "ParentResourceNotFound",
    ] {
        let found = look(&error(404, code)).await.expect("an answer");
        assert_eq!(found, None, "{code}");
    }
    for (status, code) in [
        (404, "SubscriptionNotFound"),
        (401, "InvalidAuthenticationTokenTenant"),
        (403, "AuthorizationFailed"),
    ] {
        look(&error(status, code)).await.expect_err(code);
    }
    let broken = (0..5).map(|_| reply("GET /c", 500, &Value::Null)).collect();
    look(&stage(broken)).await.expect_err("500");
    let empty = stage(vec![reply("GET /c", 200, &Value::Null)]);
    look(&empty).await.expect_err("an empty answer");
}

#[tokio::test]
async fn case_31_readers_may_lag_behind() {
    let stage = stage(vec![
        accepted(201),
        op("Succeeded"),
        absent("GET /c"),
        absent("GET /c"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_34_all_pages_are_read() {
    let stage = stage(vec![
        reply(
            "GET /things?api-version=2024-11-01&%24filter=atScope",
            200,
            &json!({
            "value": [1], "nextLink": "https://Management.Azure.COM/things?$skiptoken=a%2Fb"}),
        ),
        reply(
            "GET /things?$skiptoken=a%2Fb",
            200,
            &json!({
            "value": [], "nextLink": "https://management.azure.com/things?page=3"}),
        ),
        reply("GET /things?page=3", 200, &json!({"value": [2]})),
    ]);
    let all = stage
        .with(async |arm, job| {
            arm.list(job.run, "/things", API, &[("$filter", "atScope()")])
                .await
        })
        .await
        .expect("a list");
    assert_eq!(all, [json!(1), json!(2)]);
}

#[tokio::test]
async fn an_earlier_operation_is_resumed_without_a_write() {
    let stage = stage(vec![op("InProgress"), op("Succeeded"), get("Succeeded")]);
    let operation = PendingOperation {
        style: OperationStyle::AsyncOperation,
        url: OP.to_owned(),
        method: "PUT".to_owned(),
        result_url: None,
    };
    let made = stage
        .with(async |arm, job| arm.resumed(job, &cluster(), API, &operation).await)
        .await
        .expect("an end");
    assert!(made.is_some());
}

#[tokio::test]
async fn after_a_kill_the_state_of_the_resource_is_followed() {
    let stage = stage(vec![get("Creating"), get("Failed"), get("Failed")]);
    let end = stage
        .with(async |arm, job| arm.settled(job, &cluster(), API, live("Creating")).await)
        .await
        .expect("an end");
    assert_eq!(
        end.expect("the resource")["properties"]["provisioningState"],
        "Failed",
        "a failed one is given, to be repaired"
    );
}

#[test]
fn relative_locations_are_resolved() {
    let stage = stage(Vec::new());
    let base = Url::parse("https://eastus2.management.azure.com/a/b?c=d").expect("a URL");
    let url = stage.arm.resolve(&base, LOCATION, "x").expect("a URL");
    assert_eq!(
        url.as_str(),
        format!("https://eastus2.management.azure.com{LOCATION}")
    );
}
