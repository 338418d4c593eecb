//! What an operation knows about its surroundings.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use pulumi_proto::pulumirpc::LogSeverity;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::Error;
use crate::redact::Guard;
use crate::value::PropertyMap;
use crate::views::{View, Views};

/// How long an operation may go on after a cancel, to finish the request that is on its way. The engine waits for
/// it, and a user who pressed Ctrl-C expects the prompt back within seconds.
const GRACE_MILLIS: u64 = 3000;
pub(crate) const GRACE: Duration = Duration::from_millis(GRACE_MILLIS);

/// One operation on one resource: whose it is, where to report, and when to stop.
pub struct Context<P> {
    provider: Arc<P>,
    urn: String,
    name: String,
    operation: &'static str,
    preview: bool,
    engine: Engine,
    cancel: CancellationToken,
    deadline: Mutex<Option<Deadline>>,
    views: Option<Views>,
    checkpoint: Mutex<Option<Checkpoint>>,
    secrets: Mutex<Guard>,
    /// Milliseconds.
    grace: AtomicU64,
}

#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    limit: Duration,
    /// Whether the time stands still, because the operation waits for others.
    waiting: bool,
}

#[derive(Clone)]
pub(crate) struct Checkpoint {
    pub(crate) id: String,
    pub(crate) state: PropertyMap,
}

pub(crate) struct Setting {
    pub(crate) urn: String,
    pub(crate) name: String,
    pub(crate) operation: &'static str,
    pub(crate) preview: bool,
    pub(crate) engine: Engine,
    pub(crate) cancel: CancellationToken,
    /// Seconds; 0 for none.
    pub(crate) timeout: f64,
}

impl<P> Context<P> {
    pub(crate) fn new(provider: Arc<P>, setting: Setting, secrets: Guard) -> Self {
        let limit = Duration::try_from_secs_f64(setting.timeout).unwrap_or_default();
        // A limit beyond what a clock can tell is none.
        let end = Instant::now()
            .checked_add(limit)
            .filter(|_| !limit.is_zero());
        let deadline = end.map(|at| Deadline {
            at,
            limit,
            waiting: false,
        });
        Self {
            provider,
            urn: setting.urn,
            name: setting.name,
            operation: setting.operation,
            preview: setting.preview,
            engine: setting.engine,
            cancel: setting.cancel,
            deadline: Mutex::new(deadline),
            views: None,
            checkpoint: Mutex::default(),
            secrets: Mutex::new(secrets),
            grace: AtomicU64::new(GRACE_MILLIS),
        }
    }

    /// Names where the engine takes views. Those of real runs would be stored, which is unsafe.
    pub(crate) fn shown_at(mut self, address: &str, token: &str) -> Self {
        if self.preview && !address.is_empty() {
            self.views = Some(Views {
                owner: self.name.clone(),
                address: address.to_owned(),
                token: token.to_owned(),
            });
        }
        self
    }

    /// The configured provider.
    #[must_use]
    pub fn provider(&self) -> &P {
        &self.provider
    }

    /// The configured provider, to be kept beyond this operation.
    #[must_use]
    pub fn provider_arc(&self) -> Arc<P> {
        self.provider.clone()
    }

    /// The resource's URN.
    #[must_use]
    pub fn urn(&self) -> &str {
        &self.urn
    }

    /// The resource's name in the program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is a preview: nothing may be written anywhere.
    #[must_use]
    pub fn preview(&self) -> bool {
        self.preview
    }

    /// A line for the user, kept in the run's output.
    pub async fn info(&self, message: impl AsRef<str>) {
        self.engine
            .log(LogSeverity::Info, &self.urn, message.as_ref(), false)
            .await;
    }

    /// Something the user should look at, although the operation goes on.
    pub async fn warn(&self, message: impl AsRef<str>) {
        self.engine
            .log(LogSeverity::Warning, &self.urn, message.as_ref(), false)
            .await;
    }

    /// A failure of a part, told as it happens; the operation may still go on.
    pub async fn error(&self, message: impl AsRef<str>) {
        self.engine
            .log(LogSeverity::Error, &self.urn, message.as_ref(), false)
            .await;
    }

    /// Progress: shown beside the resource while it lasts, and not kept.
    pub async fn status(&self, message: impl AsRef<str>) {
        self.engine
            .log(LogSeverity::Info, &self.urn, message.as_ref(), true)
            .await;
    }

    /// Detail for those who run with `--debug`.
    pub async fn debug(&self, message: impl AsRef<str>) {
        self.engine
            .log(LogSeverity::Debug, &self.urn, message.as_ref(), false)
            .await;
    }

    /// Keeps a text out of logs and errors until the operation ends. Secret inputs are covered without it.
    pub fn protect(&self, text: &str) {
        self.secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(text);
    }

    /// Records what exists by now. Should the operation fail, time out or be cancelled afterwards, this is what goes
    /// into the state, so that nothing that was made is forgotten and the next update continues from it.
    ///
    /// To be called after the write that made the resource, and again whenever more became true.
    pub fn checkpoint(&self, id: &str, state: &impl Serialize) {
        match crate::ser::to_properties(state) {
            Ok(state) => {
                *self
                    .checkpoint
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(Checkpoint {
                    id: id.to_owned(),
                    state,
                });
            }
            Err(error) => {
                tracing::error!(urn = %self.urn, %error, "a checkpoint could not be recorded");
            }
        }
    }

    pub(crate) fn last_checkpoint(&self) -> Option<Checkpoint> {
        self.checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fails when the run was cancelled or the time is up: to be asked before each write.
    pub fn alive(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(self.cancelled());
        }
        match self.deadline() {
            Some(end) if !end.waiting && Instant::now() >= end.at => Err(self.timed_out(end.limit)),
            _ => Ok(()),
        }
    }

    /// How much of the operation's time is left; `None` where it has no limit.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let end = self.deadline()?;
        Some(end.at.saturating_duration_since(Instant::now()))
    }

    fn deadline(&self) -> Option<Deadline> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_deadline(&self, change: impl FnOnce(&mut Deadline)) {
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(deadline) = deadline.as_mut() {
            change(deadline);
        }
    }

    /// Waits for others, which does not count against the operation's time.
    pub async fn untimed<T>(&self, wait: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        self.change_deadline(|end| end.waiting = true);
        let result = wait.await;
        self.change_deadline(|end| {
            end.waiting = false;
            end.at += begun.elapsed();
        });
        result
    }

    /// Waits, unless the run is cancelled or the time is up before.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(self.cancelled()),
            limit = self.expired() => Err(self.timed_out(limit)),
            () = tokio::time::sleep(duration) => Ok(()),
        }
    }

    /// Asks for more time than seconds between a cancel, or the end of the operation's time, and the end of the operation: for
    /// work that has its own way to end.
    pub fn patience(&self, grace: Duration) {
        let millis = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.grace.store(millis, Ordering::Relaxed);
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.grace.load(Ordering::Relaxed))
    }

    /// Completes when a cancelled operation has had its time.
    async fn given_up(&self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(self.grace()).await;
    }

    /// Completes when the operation is to end: the run is cancelled, or the time is up. Says which.
    pub async fn ending(&self) -> Error {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => self.cancelled(),
            limit = self.expired() => self.timed_out(limit),
        }
    }

    /// Runs work to its end, which is its own to choose: `stop` tells it once when the operation is to end. What came of it is
    /// returned in any case.
    pub fn run_to_end<T>(
        &self,
        work: impl Future<Output = T>,
        stop: impl FnOnce(),
    ) -> impl Future<Output = T> {
        // On the heap once, rather than in each of the futures around it.
        let mut work = Box::pin(work);
        async move {
            tokio::select! {
                done = &mut work => return done,
                _ = self.ending() => stop(),
            }
            work.await
        }
    }

    async fn expired(&self) -> Duration {
        const LOOK_AGAIN: Duration = Duration::from_millis(100);
        while let Some(end) = self.deadline() {
            if end.waiting {
                tokio::time::sleep(LOOK_AGAIN).await;
            } else if Instant::now() >= end.at {
                return end.limit;
            } else {
                tokio::time::sleep_until(end.at).await;
            }
        }
        std::future::pending().await
    }

    /// Completes when an operation whose time is up has had what it asked for to end.
    async fn overdue(&self) -> Duration {
        let limit = self.expired().await;
        let grace = self.grace();
        if grace > GRACE {
            tokio::time::sleep(grace).await;
        }
        limit
    }

    /// Shows the parts of the resource in a preview, each with what would happen to it. Elsewhere, and with engines that cannot
    /// show views, nothing happens.
    pub async fn show(&self, views: &[View]) {
        if let Some(shown) = &self.views
            && !views.is_empty()
        {
            shown.publish(views).await;
        }
    }

    /// The address of the engine that started this provider: one for each run of the CLI.
    #[must_use]
    pub fn engine_address(&self) -> Option<String> {
        self.engine.address()
    }

    /// Runs the operation to its end, or to the end of the user's patience.
    pub(crate) async fn bound<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let work = AssertUnwindSafe(work).catch_unwind().map(|result| {
            // Caught here, since what the checkpoint says must reach the state all the same.
            result.unwrap_or_else(|_| {
                let panic = crate::redact::caught_panic();
                Err(Error::Bug(format!(
                    "{} {}: {panic}",
                    self.operation, self.name
                )))
            })
        });
        tokio::select! {
            biased;
            result = work => result,
            () = self.given_up() => Err(self.cancelled()),
            limit = self.overdue() => Err(self.timed_out(limit)),
        }
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled {
            during: format!("{} {}", self.operation, self.name),
        }
    }

    fn timed_out(&self, limit: Duration) -> Error {
        Error::TimedOut {
            during: format!("{} {}", self.operation, self.name),
            limit,
        }
    }
}
