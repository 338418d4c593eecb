//! A scripted transport, and a run whose time is simulated.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, Transport};
use azure_core::time::OffsetDateTime;
use futures::FutureExt;
use futures::future::BoxFuture;
use pulumi_provider::Error;
use serde_json::{Value, json};

use crate::azure::arm::*;

pub(super) const API: &str = "2024-11-01";

/// One answer of the script.
#[derive(Clone)]
pub(super) struct Reply {
    /// `GET /path?query`, of which the end must fit.
    pub(super) expects: String,
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

pub(super) fn reply(expects: &str, status: u16, body: &Value) -> Reply {
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

pub(super) fn dropped(expects: &str) -> Reply {
    unreached(expects, "connection reset by peer")
}

/// No answer, and why.
pub(super) fn unreached(expects: &str, why: &str) -> Reply {
    Reply {
        expects: expects.to_owned(),
        status: None,
        headers: Vec::new(),
        body: why.to_owned(),
    }
}

/// The time that the test's own waits let pass.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Duration>>);

impl Clock {
    pub(super) fn now(&self) -> Duration {
        *self.0.lock().expect("no panic")
    }

    pub(super) fn set(&self, time: Duration) {
        *self.0.lock().expect("no panic") = time;
    }
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) clock: Clock,
    pub(super) replies: Mutex<VecDeque<Reply>>,
    pub(super) seen: Mutex<Vec<Seen>>,
}

#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) at: Duration,
    pub(super) token: String,
    pub(super) body: String,
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
            return Err(azure_core::Error::with_message(ErrorKind::Io, next.body));
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
pub(super) struct Counter(Arc<AtomicU32>);

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
pub(super) struct TestRun {
    pub(super) clock: Clock,
    pub(super) limit: Option<Duration>,
    pub(super) cancel_at: Option<Duration>,
    pub(super) told: Mutex<Vec<String>>,
}

impl TestRun {
    pub(super) fn cancelled() -> Error {
        Error::Cancelled {
            during: "create x".to_owned(),
        }
    }

    pub(super) fn timed_out() -> Error {
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

pub(super) struct Stage {
    pub(super) arm: ArmClient,
    pub(super) script: Arc<Script>,
    pub(super) run: TestRun,
    pub(super) noted: Mutex<Vec<Option<PendingOperation>>>,
}

pub(super) fn stage(replies: Vec<Reply>) -> Stage {
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
    pub(super) async fn with<T>(&self, work: impl AsyncFnOnce(&ArmClient, &Job<'_>) -> T) -> T {
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

    pub(super) async fn put(&self, body: &Value) -> Result<Value, ArmError> {
        let (id, cluster) = (cluster(), cluster());
        let write = Write::new(&id, API, Some(body)).while_busy(&cluster);
        self.with(async |arm, job| arm.put(job, &write).await).await
    }

    pub(super) async fn delete(&self) -> Result<(), ArmError> {
        let id = cluster();
        let write = Write::new(&id, API, None);
        self.with(async |arm, job| arm.delete(job, &write).await)
            .await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().expect("no panic").clone()
    }

    /// The seconds between each request and the one before.
    pub(super) fn gaps(&self) -> Vec<u64> {
        self.seen()
            .windows(2)
            .map(|pair| pair[1].at.saturating_sub(pair[0].at).as_secs())
            .collect()
    }
}

pub(super) fn cluster() -> ResourceId {
    ResourceId::group("s", "g").provider("Microsoft.ContainerService", "managedClusters", "c")
}

pub(super) fn body() -> Value {
    json!({"location": "eastus2", "properties": {"dnsPrefix": "c"}})
}

pub(super) fn live(state: &str) -> Value {
    json!({"id": cluster().as_str(), "location": "East US 2", "properties": {"dnsPrefix": "C", "provisioningState": state}})
}

pub(super) const OP: &str = "https://eastus2.management.azure.com/subscriptions/s/operations/1?api-version=2016-03-30&t=%20x";

pub(super) fn accepted(status: u16) -> Reply {
    reply(
        "PUT /managedClusters/c?api-version=2024-11-01",
        status,
        &live("Creating"),
    )
    .header("azure-asyncoperation", OP)
}

pub(super) fn op(state: &str) -> Reply {
    reply(
        "GET eastus2.management.azure.com/subscriptions/s/operations/1?api-version=2016-03-30&t=%20x",
        200,
        &json!({"status": state}),
    )
}

pub(super) fn get(state: &str) -> Reply {
    reply(
        "GET management.azure.com/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c?",
        200,
        &live(state),
    )
}

pub(super) fn absent(path: &str) -> Reply {
    reply(
        path,
        404,
        &json!({"error": {"code": "ResourceNotFound", "message": "no"}}),
    )
}

pub(super) const LOCATION: &str =
    "/subscriptions/s/asyncoperations/1?monitor=true&api-version=2024-01-01";
