//! Long-running operations: from the first answer to the end, in all the ways Azure has of telling.

use std::time::Duration;

use azure_core::http::{Method, Url};
use pulumi_provider::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::client::{Answer, ArmClient, Ask, vanished};
use super::error::{ArmError, Refusal};
use super::hints::{growing, retry_after};
use super::id::ResourceId;
use super::run::{Job, Run};
use super::state::{State, state_of, word};

/// The pause between looks where the service asks for none: it begins short and grows.
const FIRST_POLL: Duration = Duration::from_secs(1);

/// The longest pause between looks where the service asks for none.
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// How long looks may fail in a row before that is believed.
const BLIND: Duration = Duration::from_mins(15);

/// How often a missing operation is looked for again before the resource itself is asked.
const MISSING_OPERATION: u32 = 3;

/// How often a resource that must be there is looked for again: readers lag behind writers.
const MISSING_RESOURCE: u32 = 8;

/// How often a resource that is being deleted may look as if it were not.
const UNDELETED: u32 = 30;

/// Which way of telling an operation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub enum OperationStyle {
    /// A URL whose answer has a `status`.
    AsyncOperation,
    /// A URL that answers 202 until the operation has ended.
    Location,
    /// The resource's own `provisioningState`.
    Resource,
}

/// An operation that Azure had not finished when this was written. The next update, refresh or delete goes on waiting for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub struct PendingOperation {
    /// How the operation tells of its end.
    pub style: OperationStyle,
    /// Where it tells.
    pub url: String,
    /// The method of the request that started it: `PUT`, `PATCH`, `DELETE` or `POST`.
    pub method: String,
    /// Where an action's result will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_url: Option<String>,
}

/// What one look found.
enum Look {
    /// It goes on; the word, where there is one.
    Busy(Option<String>),
    /// It is over; the result, where there is one.
    Done(Option<Value>),
    /// It is over, and failed.
    Failed(Box<Refusal>),
    /// It is not where it should be.
    Missing,
}

/// What the wait remembers from look to look.
struct Wait {
    method: Method,
    operation: PendingOperation,
    url: Url,
    state: Option<String>,
    begun: Instant,
    polls: u32,
    missing: u32,
    undeleted: u32,
    blind_since: Option<Instant>,
}

impl ArmClient {
    /// What an accepted write leaves pending.
    pub(super) fn pending(
        &self,
        method: Method,
        id: &ResourceId,
        api: &str,
        answer: &Answer,
    ) -> Result<Option<PendingOperation>, ArmError> {
        let link = |name| {
            answer
                .header(name)
                .filter(|url| !url.is_empty())
                .map(|url| self.resolve(&answer.url, url, id.as_str()))
                .transpose()
        };
        let found = |style, url: Url, result: Option<Url>| {
            Some(PendingOperation {
                style,
                url: url.into(),
                method: method.as_str().to_owned(),
                result_url: result.map(String::from),
            })
        };
        if answer.status == 204 {
            return Ok(None);
        }
        let location = link("location")?;
        for name in ["azure-asyncoperation", "operation-location"] {
            if let Some(url) = link(name)? {
                let result = location.filter(|_| method == Method::Post);
                return Ok(found(OperationStyle::AsyncOperation, url, result));
            }
        }
        if let Some(url) = location
            && matches!(answer.status, 201 | 202)
        {
            return Ok(found(OperationStyle::Location, url, None));
        }
        if method == Method::Post {
            return Ok(None);
        }
        let state = answer.body.as_ref().and_then(state_of);
        let over = match state {
            Some(state) => state.is_good(),
            // An answer without a word: it is done, unless the status says otherwise.
            None => answer.status == 200 || (answer.status == 201 && !expects_state(id)),
        };
        if over {
            return Ok(None);
        }
        Ok(Some(self.by_itself(method, id, api)))
    }

    /// An operation of which only the resource itself tells.
    pub(super) fn by_itself(&self, method: Method, id: &ResourceId, api: &str) -> PendingOperation {
        PendingOperation {
            style: OperationStyle::Resource,
            url: self.url(id.as_str(), api, &[]).into(),
            method: method.as_str().to_owned(),
            result_url: None,
        }
    }

    /// Waits for an operation's end, and gives the resource as it is then; `None` for a deleted one.
    pub(super) async fn follow(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        operation: PendingOperation,
        hint: Option<Duration>,
    ) -> Result<Option<Value>, ArmError> {
        let url = self.resolve(&self.cloud.arm, &operation.url, id.as_str())?;
        let mut wait = Wait {
            method: method_of(&operation.method),
            operation,
            url,
            state: None,
            begun: Instant::now(),
            polls: 0,
            missing: 0,
            undeleted: 0,
            blind_since: None,
        };
        let mut pause = hint.unwrap_or(FIRST_POLL);
        loop {
            self.pause(job.run, id, &wait, pause).await?;
            let (look, hint) = self
                .look(job, id, &mut wait)
                .await
                .map_err(|error| wait.explain(id, error))?;
            pause = hint.unwrap_or_else(|| growing(wait.polls, FIRST_POLL, LONGEST_POLL));
            wait.polls += 1;
            match look {
                Look::Busy(state) => {
                    wait.missing = 0;
                    if state.is_some() {
                        wait.state = state;
                    }
                }
                Look::Done(value) => return self.outcome(job, id, api, &wait, value).await,
                Look::Failed(refusal) => {
                    return self.mishap(job, id, api, &wait, *refusal).await;
                }
                Look::Missing => {
                    if self.missing(id, api, &mut wait)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Shows progress and waits; an end of the run says what is left behind.
    async fn pause(
        &self,
        run: &dyn Run,
        id: &ResourceId,
        wait: &Wait,
        pause: Duration,
    ) -> Result<(), ArmError> {
        if wait.polls > 0 {
            let state = wait.state.as_deref().unwrap_or("in progress");
            run.status(format!(
                "{}: {state} for {}s",
                id.describe(),
                wait.begun.elapsed().as_secs()
            ))
            .await;
        }
        run.sleep(pause)
            .await
            .map_err(|error| wait.explain(id, error.into()))
    }

    /// Nothing where the operation should be: whether that is the end, or the resource is to be asked.
    fn missing(&self, id: &ResourceId, api: &str, wait: &mut Wait) -> Result<bool, ArmError> {
        wait.missing += 1;
        if wait.operation.style == OperationStyle::Resource {
            if wait.method == Method::Delete {
                return Ok(true);
            }
            if wait.missing > MISSING_RESOURCE {
                return Err(vanished(id));
            }
        } else if wait.missing >= MISSING_OPERATION {
            // Azure has forgotten the operation; the resource knows how it ended.
            wait.operation.style = OperationStyle::Resource;
            wait.url = self.url(id.as_str(), api, &[]);
            wait.operation.url = wait.url.to_string();
            wait.missing = 0;
        }
        Ok(false)
    }

    /// One look at the operation, and the pause that the answer asks for.
    async fn look(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        wait: &mut Wait,
    ) -> Result<(Look, Option<Duration>), ArmError> {
        let ask = Ask {
            method: Method::Get,
            url: wait.url.clone(),
            body: None,
            if_match: None,
            operation: format!("wait for {} of {}", wait.operation.method, id.describe()),
            subject: id.as_str(),
        };
        let answer = match self.once(job.run, &ask).await? {
            Ok(answer) => answer,
            Err(refused) => {
                let refusal = &refused.refusal;
                if refusal.is_gone() {
                    return Ok((Look::Missing, refused.wait));
                }
                // The operation goes on, whether it can be seen or not: also while names cannot be resolved or certificates checked, as
                // the request that began it could.
                let since = *wait.blind_since.get_or_insert_with(Instant::now);
                let passing = refusal.unanswered || refusal.is_passing() || refusal.is_throttled();
                if passing && since.elapsed() < BLIND {
                    return Ok((Look::Busy(None), refused.wait));
                }
                return Err(refused.refusal.into());
            }
        };
        wait.blind_since = None;
        let hint = retry_after(&answer.headers);
        let look = match wait.operation.style {
            OperationStyle::AsyncOperation => by_status(&ask, &answer),
            OperationStyle::Location => {
                if answer.status == 202
                    && let Some(next) = answer.header("location").filter(|url| !url.is_empty())
                {
                    wait.url = self.resolve(&answer.url, next, id.as_str())?;
                    if wait.operation.url != wait.url.as_str() {
                        wait.operation.url = wait.url.to_string();
                        (job.accepted)(Some(&wait.operation));
                    }
                }
                by_location(&ask, answer)
            }
            OperationStyle::Resource => by_resource(&ask, answer, wait),
        };
        Ok((look, hint))
    }

    /// The result of an operation that went well.
    async fn outcome(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        wait: &Wait,
        value: Option<Value>,
    ) -> Result<Option<Value>, ArmError> {
        match (wait.method, wait.operation.style) {
            (Method::Delete, _) => Ok(None),
            (Method::Post, OperationStyle::AsyncOperation) => match &wait.operation.result_url {
                Some(url) => {
                    let ask = Ask {
                        method: Method::Get,
                        url: self.resolve(&self.cloud.arm, url, id.as_str())?,
                        body: None,
                        if_match: None,
                        operation: format!("GET the result for {}", id.describe()),
                        subject: id.as_str(),
                    };
                    Ok(self.read(job.run, &ask).await?.body)
                }
                None => Ok(value.and_then(|v| v.get("properties").cloned())),
            },
            (Method::Post, _) => Ok(value),
            (_, OperationStyle::AsyncOperation) => {
                self.get_eventually(job.run, id, api).await.map(Some)
            }
            _ => match value {
                Some(value @ Value::Object(_)) => Ok(Some(value)),
                _ => self.get_eventually(job.run, id, api).await.map(Some),
            },
        }
    }

    /// An operation that failed; the resource may have come out well all the same.
    async fn mishap(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        wait: &Wait,
        refusal: Refusal,
    ) -> Result<Option<Value>, ArmError> {
        if wait.operation.style == OperationStyle::AsyncOperation
            && matches!(wait.method, Method::Put | Method::Patch)
            && let Ok(Some(live)) = self.get(job.run, id, api).await
            && state_of(&live).is_some_and(|state| state.is_good())
        {
            let error = ArmError::from(refusal);
            job.run
                .warn(format!(
                    "Azure reports the operation on {} as failed and the resource as well: it is taken as made. {error}",
                    id.describe()
                ))
                .await;
            return Ok(Some(live));
        }
        Err(refusal.into())
    }

    /// Waits until nothing is at work on a resource any more, whoever started it, and gives it as it is then: also when it has failed,
    /// so that the caller can repair it. `None` when it is gone.
    pub async fn settled(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        live: Value,
    ) -> Result<Option<Value>, ArmError> {
        let Some(state) = state_of(&live).filter(|state| !state.is_final()) else {
            return Ok(Some(live));
        };
        let deleting = state.word.eq_ignore_ascii_case("deleting");
        let method = if deleting {
            Method::Delete
        } else {
            Method::Put
        };
        let operation = self.by_itself(method, id, api);
        (job.accepted)(Some(&operation));
        self.ended(
            job,
            id,
            api,
            self.follow(job, id, api, operation, None).await,
        )
        .await
    }

    /// Waits for an operation of an earlier run, and gives the resource as it is then, however the operation ended.
    pub async fn resumed(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        operation: &PendingOperation,
    ) -> Result<Option<Value>, ArmError> {
        let end = self.resume(job, id, api, operation).await;
        self.ended(job, id, api, end).await
    }

    /// Waits for an operation of an earlier run before the resource is deleted. How it ended does not matter to that; the end of this run
    /// does.
    pub async fn out_of_the_way(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        operation: Option<&PendingOperation>,
    ) -> Result<(), ArmError> {
        let Some(operation) = operation else {
            return Ok(());
        };
        match self.resumed(job, id, api, operation).await {
            Err(error @ ArmError::Ended(_)) => Err(error),
            Ok(_) | Err(ArmError::Service(_)) => Ok(()),
        }
    }

    async fn ended(
        &self,
        job: &Job<'_>,
        id: &ResourceId,
        api: &str,
        end: Result<Option<Value>, ArmError>,
    ) -> Result<Option<Value>, ArmError> {
        match end {
            Ok(end) => Ok(end),
            Err(ArmError::Service(refusal)) => {
                let error = ArmError::Service(refusal);
                job.run
                    .warn(format!(
                        "an earlier operation on {} ended badly: {error}",
                        id.describe()
                    ))
                    .await;
                self.get(job.run, id, api).await
            }
            Err(error) => Err(error),
        }
    }

    /// A resource that was just written: readers may lag behind for some seconds.
    pub(super) async fn get_eventually(
        &self,
        run: &dyn Run,
        id: &ResourceId,
        api: &str,
    ) -> Result<Value, ArmError> {
        for attempt in 0..MISSING_RESOURCE {
            if let Some(live) = self.get(run, id, api).await? {
                return Ok(live);
            }
            run.sleep(growing(
                attempt,
                Duration::from_millis(250),
                Duration::from_secs(5),
            ))
            .await?;
        }
        self.get(run, id, api).await?.ok_or_else(|| vanished(id))
    }
}

impl Wait {
    /// Adds what was last seen to the end of the run, and says that Azure goes on.
    fn explain(&self, id: &ResourceId, error: ArmError) -> ArmError {
        let state = self.state.as_deref().unwrap_or("in progress");
        let left = format!(
            "{} was last seen as {state}, and the operation may still be running in Azure",
            id.describe()
        );
        match error {
            ArmError::Ended(error) => match *error {
                Error::TimedOut { during, limit } => Error::TimedOut {
                    during: format!("{during}: {left}"),
                    limit,
                }
                .into(),
                Error::Cancelled { during } => Error::Cancelled {
                    during: format!("{during}: {left}"),
                }
                .into(),
                other => other.into(),
            },
            other @ ArmError::Service(_) => other,
        }
    }
}

/// Whether resources of that kind tell a `provisioningState`, so that its absence means something.
fn expects_state(id: &ResourceId) -> bool {
    ![
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.Storage/storageAccounts/blobServices/containers",
        "Microsoft.KeyVault/vaults/keys",
        "Microsoft.Resources/resourceGroups",
    ]
    .iter()
    .any(|kind| id.is(kind))
}

fn method_of(name: &str) -> Method {
    match name {
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        "POST" => Method::Post,
        _ => Method::Put,
    }
}

fn by_status(ask: &Ask<'_>, answer: &Answer) -> Look {
    let body = answer.body.clone().unwrap_or_default();
    match word(body.get("status")).or_else(|| state_of(&body)) {
        Some(state) if state.is_good() => Look::Done(Some(body)),
        Some(state) if state.is_bad() => Look::Failed(Box::new(Refusal::of_operation(
            &ask.operation,
            ask.subject,
            &answer.headers,
            &body,
        ))),
        Some(state) => Look::Busy(Some(state.word)),
        None if answer.status == 204 => Look::Done(None),
        None => Look::Busy(None),
    }
}

fn by_location(ask: &Ask<'_>, answer: Answer) -> Look {
    if answer.status == 202 {
        return Look::Busy(answer.body.as_ref().and_then(state_of).map(|s| s.word));
    }
    match answer.body.as_ref().and_then(state_of) {
        Some(state) if state.is_bad() => failed(ask, &answer, &state),
        Some(state) if !state.is_good() => Look::Busy(Some(state.word)),
        _ => Look::Done(answer.body),
    }
}

fn by_resource(ask: &Ask<'_>, answer: Answer, wait: &mut Wait) -> Look {
    let state = answer.body.as_ref().and_then(state_of);
    if wait.method == Method::Delete {
        return match state {
            Some(state) if state.is_bad() => failed(ask, &answer, &state),
            Some(state) if !state.is_good() => Look::Busy(Some(state.word)),
            other => {
                wait.undeleted += 1;
                if wait.undeleted > UNDELETED {
                    let state = other.unwrap_or(State {
                        word: "present".to_owned(),
                    });
                    return failed(ask, &answer, &state);
                }
                Look::Busy(other.map(|s| s.word))
            }
        };
    }
    match state {
        Some(state) if state.is_bad() => failed(ask, &answer, &state),
        Some(state) if !state.is_good() => Look::Busy(Some(state.word)),
        _ => Look::Done(answer.body),
    }
}

/// A resource that says of itself that it failed, with the reason where it gives one.
fn failed(ask: &Ask<'_>, answer: &Answer, state: &State) -> Look {
    let reason = answer
        .body
        .as_ref()
        .and_then(|body| {
            body.get("properties")?
                .get("status")?
                .get("provisioningError")
        })
        .cloned();
    let told = reason.unwrap_or_default();
    let mut refusal = Refusal::of_operation(&ask.operation, ask.subject, &answer.headers, &told);
    if told.is_null() {
        refusal.message = format!(
            "its provisioningState is {}, and Azure gives no reason; the activity log of the resource group may",
            state.word
        );
    }
    Look::Failed(Box::new(refusal))
}
