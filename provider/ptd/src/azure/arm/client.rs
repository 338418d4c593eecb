//! The client: one request at a time, repeated where that is right.

use std::fmt;
use std::sync::Arc;

use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::{
    ClientOptions, Context as RequestContext, Method, Pipeline, PipelineSendOptions, Request,
    RetryOptions, Transport, Url,
};
use serde_json::Value;
use tokio::time::Instant;

use super::cloud::Cloud;
use super::error::{ArmError, PROXY, Refusal};
use super::hints::{asks_for_a_wait, retry_after};
use super::id::ResourceId;
use super::line::{First, Lines};
use super::operation::PendingOperation;
use super::patience::{Patience, Refused};
use super::run::{Job, Run};
use super::same::covers;
use super::state::{State, state_of};
use super::token::Tokens;

/// A client of Azure Resource Manager.
///
/// Reads are repeated while they fail for a passing reason. Writes wait for other operations on the same thing, for a service that is
/// being registered and for a throttled one; where an answer was lost they look before they repeat.
#[derive(Clone)]
pub struct ArmClient {
    pub(super) cloud: Cloud,
    tokens: Arc<Tokens>,
    /// Those of further tenants.
    auxiliary: Vec<Arc<Tokens>>,
    pipeline: Pipeline,
    max_retries: u32,
    lines: Lines,
}

impl fmt::Debug for ArmClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArmClient")
            .field("arm", &self.cloud.arm.as_str())
            .finish_non_exhaustive()
    }
}

/// An answer of status 2xx.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body, where it is JSON.
    pub body: Option<Value>,
    /// What was asked, against which relative URLs are resolved.
    pub url: Url,
}

impl Answer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &'static str) -> Option<&str> {
        self.headers
            .get_optional_str(&HeaderName::from_static(name))
    }
}

/// A write to a resource.
#[derive(Clone, Debug)]
pub struct Write<'a> {
    /// The resource.
    pub id: &'a ResourceId,
    /// The version of the service's interface.
    pub api: &'a str,
    /// What to write.
    pub body: Option<&'a Value>,
    /// The `ETag` that the resource must still have.
    pub if_match: Option<&'a str>,
    /// The resource whose `provisioningState` tells when an operation in the way has ended: the cluster of an agent pool, or the
    /// resource itself.
    pub busy: Option<&'a ResourceId>,
    /// More of the query, such as `ignore-pod-disruption-budget=true`.
    pub query: &'a [(&'a str, &'a str)],
}

impl<'a> Write<'a> {
    /// A write of a body to a resource.
    #[must_use]
    pub fn new(id: &'a ResourceId, api: &'a str, body: Option<&'a Value>) -> Self {
        Self {
            id,
            api,
            body,
            if_match: None,
            busy: None,
            query: &[],
        }
    }

    /// The same, waiting for operations on another resource.
    #[must_use]
    pub fn while_busy(mut self, resource: &'a ResourceId) -> Self {
        self.busy = Some(resource);
        self
    }
}

/// One request with all that decides how it is repeated.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<&'a Value>,
    pub(super) if_match: Option<&'a str>,
    /// For errors: what is attempted, and on what.
    pub(super) operation: String,
    pub(super) subject: &'a str,
}

impl ArmClient {
    /// A client of that cloud, sending through that transport.
    #[must_use]
    pub fn new(cloud: Cloud, tokens: Arc<Tokens>, transport: Transport, max_retries: u32) -> Self {
        let options = ClientOptions {
            // Repeating is decided here, where it is known what may be repeated.
            retry: RetryOptions::none(),
            transport: Some(transport),
            ..ClientOptions::default()
        };
        Self {
            cloud,
            tokens,
            auxiliary: Vec::new(),
            pipeline: Pipeline::new(
                Some("pulumi-resource-ptd"),
                Some(crate::VERSION),
                options,
                Vec::new(),
                Vec::new(),
                None,
            ),
            max_retries,
            lines: Lines::default(),
        }
    }

    /// The same, showing tokens of further tenants as well.
    #[must_use]
    pub fn with_auxiliary(mut self, auxiliary: Vec<Arc<Tokens>>) -> Self {
        self.auxiliary = auxiliary;
        self
    }

    /// The cloud it talks to.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    pub(super) fn url(&self, path: &str, api: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.cloud.arm.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url.query_pairs_mut()
            .clear()
            .append_pair("api-version", api)
            .extend_pairs(query);
        url
    }

    /// A resource as it is; `None` when it is not there. A missing subscription, or an empty answer, is an error.
    pub async fn get(
        &self,
        run: &dyn Run,
        id: &ResourceId,
        api: &str,
    ) -> Result<Option<Value>, ArmError> {
        let ask = Ask {
            method: Method::Get,
            url: self.url(id.as_str(), api, &[]),
            body: None,
            if_match: None,
            operation: format!("GET {}", id.describe()),
            subject: id.as_str(),
        };
        match self.read(run, &ask).await {
            Ok(answer) => match answer.body {
                Some(body @ Value::Object(_)) => Ok(Some(body)),
                _ => Err(Refusal {
                    operation: ask.operation,
                    subject: id.to_string(),
                    status: Some(answer.status),
                    message: "the answer is empty".to_owned(),
                    ..Refusal::default()
                }
                .into()),
            },
            Err(error) if error.is_surely_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All entries of a list, from all pages. A missing parent gives none. What is no list, or not all of it, is an error: that something
    /// is empty decides what may be deleted.
    pub async fn list(
        &self,
        run: &dyn Run,
        path: &str,
        api: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, ArmError> {
        let mut url = self.url(path, api, query);
        let mut all = Vec::new();
        let mut seen = std::collections::HashSet::new();
        loop {
            let ask = Ask {
                method: Method::Get,
                url: url.clone(),
                body: None,
                if_match: None,
                operation: "list".to_owned(),
                subject: path,
            };
            let answer = match self.read(run, &ask).await {
                Ok(answer) => answer,
                Err(error) if error.is_surely_gone() && seen.is_empty() => return Ok(all),
                Err(error) => return Err(error),
            };
            let unusable = |message: &str| {
                ArmError::from(Refusal {
                    operation: ask.operation.clone(),
                    subject: path.to_owned(),
                    status: Some(answer.status),
                    message: message.to_owned(),
                    hint: Some(PROXY.to_owned()),
                    ..Refusal::default()
                })
            };
            let body = answer.body.as_ref();
            let Some(Value::Array(page)) = body.and_then(|body| body.get("value")) else {
                return Err(unusable("the answer is no list"));
            };
            all.extend(page.iter().cloned());
            let next = body
                .and_then(|body| body.get("nextLink")?.as_str())
                .filter(|link| !link.is_empty());
            let Some(link) = next else { return Ok(all) };
            // A page that leads back would never end.
            if !seen.insert(link.to_owned()) {
                return Err(unusable("its pages lead back to one that was read already"));
            }
            url = self.resolve(&answer.url, link, path)?;
        }
    }

    /// The URL that an answer names, unless a token must not go there.
    pub(super) fn resolve(&self, base: &Url, link: &str, subject: &str) -> Result<Url, ArmError> {
        let refuse = |message: String| {
            ArmError::from(Refusal {
                operation: "follow a URL of Azure's".to_owned(),
                subject: subject.to_owned(),
                message,
                ..Refusal::default()
            })
        };
        let url = base
            .join(link)
            .map_err(|error| refuse(format!("it gave no usable URL: {error}")))?;
        if self.cloud.trusts(&url) {
            Ok(url)
        } else {
            Err(refuse(format!(
                "it names host {}, which is not of the configured cloud: no token is sent there",
                url.host_str().unwrap_or_default()
            )))
        }
    }

    /// An action that changes nothing, such as listing credentials; it is repeated like a read.
    pub async fn query(
        &self,
        run: &dyn Run,
        id: &ResourceId,
        action: &str,
        api: &str,
        body: Option<&Value>,
    ) -> Result<Value, ArmError> {
        let ask = Ask {
            method: Method::Post,
            url: self.url(&format!("{id}/{action}"), api, &[]),
            body,
            if_match: None,
            operation: format!("POST {action}"),
            subject: id.as_str(),
        };
        Ok(self.read(run, &ask).await?.body.unwrap_or_default())
    }

    /// Makes or replaces a resource and waits until it is there. Gives the resource as it is in the end.
    pub async fn put(&self, job: &Job<'_>, write: &Write<'_>) -> Result<Value, ArmError> {
        let answer = self.write(job, Method::Put, write, None).await?;
        self.settle(job, Method::Put, write, answer)
            .await?
            .ok_or_else(|| vanished(write.id))
    }

    /// Changes a resource and waits until that is done. Gives the resource as it is in the end.
    pub async fn patch(&self, job: &Job<'_>, write: &Write<'_>) -> Result<Value, ArmError> {
        let answer = self.write(job, Method::Patch, write, None).await?;
        self.settle(job, Method::Patch, write, answer)
            .await?
            .ok_or_else(|| vanished(write.id))
    }

    /// Removes a resource and waits until it is gone. What is gone already is a success.
    pub async fn delete(&self, job: &Job<'_>, write: &Write<'_>) -> Result<(), ArmError> {
        match self.write(job, Method::Delete, write, None).await {
            Ok(answer) => self
                .settle(job, Method::Delete, write, answer)
                .await
                .map(|_| ()),
            Err(error) if error.is_surely_gone() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An action that changes something, and the wait for it. It is not repeated when an answer was lost.
    pub async fn post(
        &self,
        job: &Job<'_>,
        action: &str,
        write: &Write<'_>,
    ) -> Result<Option<Value>, ArmError> {
        let answer = self.write(job, Method::Post, write, Some(action)).await?;
        self.settle(job, Method::Post, write, answer).await
    }

    /// Goes on waiting for what an earlier run started.
    pub async fn resume(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        operation: &PendingOperation,
    ) -> Result<Option<Value>, ArmError> {
        self.follow(job, id, api, operation.clone(), None).await
    }

    async fn settle(
        &self,
        job: &Job<'_>,
        method: Method,
        write: &Write<'_>,
        answer: Answer,
    ) -> Result<Option<Value>, ArmError> {
        let pending = match self.pending(method, write.id, write.api, &answer) {
            Ok(pending) => pending,
            Err(error) => {
                // Azure has taken it on all the same.
                self.note(job, method, write);
                return Err(error);
            }
        };
        (job.accepted)(pending.as_ref());
        match pending {
            Some(operation) => {
                let hint = retry_after(&answer.headers);
                self.follow(job, write.id, write.api, operation, hint).await
            }
            None if method == Method::Delete => Ok(None),
            None if method == Method::Post => Ok(answer.body),
            None => match answer.body {
                Some(body @ Value::Object(_)) => Ok(Some(body)),
                _ => self
                    .get_eventually(job.run, write.id, write.api)
                    .await
                    .map(Some),
            },
        }
    }

    /// Tells of a write that Azure has, or may have, taken on, where only the resource itself can be asked for its end.
    fn note(&self, job: &Job<'_>, method: Method, write: &Write<'_>) {
        (job.accepted)(Some(&self.by_itself(method, write.id, write.api)));
    }

    async fn write(
        &self,
        job: &Job<'_>,
        method: Method,
        write: &Write<'_>,
        action: Option<&str>,
    ) -> Result<Answer, ArmError> {
        let path = match action {
            Some(action) => format!("{}/{action}", write.id),
            None => write.id.to_string(),
        };
        let ask = Ask {
            method,
            url: self.url(&path, write.api, write.query),
            body: write.body,
            if_match: write.if_match,
            operation: match action {
                Some(action) => format!("POST {action} of {}", write.id.describe()),
                None => format!("{} {}", method.as_str(), write.id.describe()),
            },
            subject: write.id.as_str(),
        };
        let run = job.run;
        let mut registered = Vec::new();
        let mut patience = Patience::new(self.max_retries);
        let mut first = None;
        loop {
            run.alive()?;
            let refusal = match self.send(&ask).await? {
                Ok(answer) => return Ok(answer),
                Err(refusal) => *refusal,
            };
            if refusal.refusal.wants_registration() {
                let namespace = self
                    .register(run, write.id, refusal.refusal, &registered)
                    .await?;
                registered.push(namespace);
            } else if refusal.refusal.is_busy() {
                self.wait_for_others(run, write, &mut patience, refusal, &mut first)
                    .await?;
            } else if refusal.refusal.is_throttled() {
                patience.throttled(run, refusal).await?;
            } else if (refusal.refusal.is_passing() && method != Method::Post)
                // Somebody else was in between; without an ETag there is nothing to read anew.
                || (refusal.refusal.status == Some(412) && write.if_match.is_none())
            {
                let lost = refusal.refusal.is_passing();
                let paused = patience.failed(run, refusal).await;
                // The answer may be lost, and not the request.
                if method == Method::Put
                    && let Some(body) = write.body
                    && write.if_match.is_none()
                {
                    let look = match &paused {
                        Err(ArmError::Ended(_)) => Err(None),
                        _ => self.get(run, write.id, write.api).await.map_err(Some),
                    };
                    match look {
                        Ok(Some(live)) if covers(&live, body) => {
                            return Ok(Answer {
                                status: 200,
                                headers: Headers::new(),
                                body: Some(live),
                                url: ask.url,
                            });
                        }
                        Ok(_) => {}
                        Err(error) => {
                            // Nobody can tell whether it is there.
                            if lost {
                                self.note(job, method, write);
                            }
                            if let Some(error) = error {
                                return Err(error);
                            }
                        }
                    }
                }
                paused?;
            } else {
                return Err(refusal.refusal.into());
            }
        }
    }

    /// Waits until nothing else is at work on the resource.
    async fn wait_for_others(
        &self,
        run: &dyn Run,
        write: &Write<'_>,
        patience: &mut Patience,
        refused: Refused,
        first: &mut Option<First>,
    ) -> Result<(), ArmError> {
        let Some(watched) = write.busy else {
            run.status(format!(
                "{}: waits for another operation to end",
                write.id.describe()
            ))
            .await;
            return patience.busy(run, refused).await;
        };
        if first.is_none() {
            run.status(format!(
                "waits for another operation on {}",
                watched.describe()
            ))
            .await;
            let begun = Instant::now();
            *first = Some(tokio::select! {
                biased;
                error = run.ending() => return Err(error.into()),
                place = self.lines.first(watched.as_str()) => place,
            });
            // What the others took is none of the service's doing.
            *patience = Patience::new(self.max_retries);
            if let Some(wait) = refused.wait {
                run.sleep(wait.saturating_sub(begun.elapsed())).await?;
            }
        } else {
            patience.busy(run, refused.clone()).await?;
        }
        loop {
            let Some(live) = self.get(run, watched, write.api).await? else {
                return Ok(());
            };
            let state = state_of(&live);
            if state.as_ref().is_none_or(State::is_final) {
                return Ok(());
            }
            run.status(format!(
                "waits for another operation on {}: {}",
                watched.describe(),
                state.map(|state| state.word).unwrap_or_default()
            ))
            .await;
            patience.busy(run, refused.clone()).await?;
        }
    }

    /// A request that may be repeated at will, given up as soon as the operation ends.
    pub(super) async fn read(&self, run: &dyn Run, ask: &Ask<'_>) -> Result<Answer, ArmError> {
        let mut patience = Patience::new(self.max_retries);
        loop {
            match self.once(run, ask).await? {
                Ok(answer) => return Ok(answer),
                Err(refused) if refused.refusal.is_throttled() => {
                    patience.throttled(run, *refused).await?;
                }
                Err(refused) if refused.refusal.is_passing() => {
                    patience.failed(run, *refused).await?;
                }
                Err(refused) => return Err(refused.refusal.into()),
            }
        }
    }

    /// One request that changes nothing.
    pub(super) async fn once(
        &self,
        run: &dyn Run,
        ask: &Ask<'_>,
    ) -> Result<Result<Answer, Box<Refused>>, ArmError> {
        tokio::select! {
            biased;
            error = run.ending() => Err(error.into()),
            result = self.send(ask) => result,
        }
    }

    /// One request; a token that is refused is renewed once.
    async fn send(&self, ask: &Ask<'_>) -> Result<Result<Answer, Box<Refused>>, ArmError> {
        let first = self.tokens.get(&self.cloud.arm_scope).await?;
        match self.transmit(ask, &first).await? {
            Err(refused) if refused.stale_token() => {
                let second = self.tokens.renew(&self.cloud.arm_scope, &first).await?;
                self.transmit(ask, &second).await
            }
            result => Ok(result),
        }
    }

    async fn transmit(
        &self,
        ask: &Ask<'_>,
        token: &azure_core::credentials::Secret,
    ) -> Result<Result<Answer, Box<Refused>>, ArmError> {
        let mut request = Request::new(ask.url.clone(), ask.method);
        request.insert_header("authorization", format!("Bearer {}", token.secret()));
        request.insert_header("accept", "application/json");
        let mut further = Vec::with_capacity(self.auxiliary.len());
        for tokens in &self.auxiliary {
            let token = tokens.get(&self.cloud.arm_scope).await?;
            further.push(format!("Bearer {}", token.secret()));
        }
        if !further.is_empty() {
            request.insert_header("x-ms-authorization-auxiliary", further.join(", "));
        }
        if let Some(etag) = ask.if_match {
            request.insert_header("if-match", etag.to_owned());
        }
        if let Some(body) = ask.body {
            request.insert_header("content-type", "application/json");
            request
                .set_json(body)
                .map_err(|error| Refusal::unanswered(&ask.operation, ask.subject, &error))?;
        }
        let options = PipelineSendOptions {
            skip_checks: true,
            ..PipelineSendOptions::default()
        };
        let sent = self
            .pipeline
            .send(&RequestContext::new(), &mut request, Some(options))
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                return Ok(Err(Box::new(Refused {
                    refusal: Refusal::unanswered(&ask.operation, ask.subject, &error),
                    wait: None,
                    patient: false,
                })));
            }
        };
        let (status, headers, body) = response.deconstruct();
        let status = u16::from(status);
        let body: &[u8] = body.as_ref();
        if (200..300).contains(&status) {
            return Ok(Ok(Answer {
                status,
                body: serde_json::from_slice(body).ok(),
                headers,
                url: ask.url.clone(),
            }));
        }
        Ok(Err(Box::new(Refused {
            wait: retry_after(&headers),
            patient: asks_for_a_wait(&headers),
            refusal: Refusal::read(&ask.operation, ask.subject, status, &headers, body),
        })))
    }
}

/// A resource that was there is not.
pub(super) fn vanished(id: &ResourceId) -> ArmError {
    Refusal {
        operation: format!("GET {}", id.describe()),
        subject: id.to_string(),
        message: "it is not there, although Azure said that it was made".to_owned(),
        hint: Some("Somebody may have deleted it meanwhile: run this again".to_owned()),
        ..Refusal::default()
    }
    .into()
}
