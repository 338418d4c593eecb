//! How often and how long a request is repeated.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{ArmError, Refusal};
use super::hints::growing;
use super::run::Run;

/// The first pause before a request is repeated; later ones double.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause between attempts without a hint.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause of a throttled request without a hint.
const LONGEST_THROTTLE: Duration = Duration::from_mins(1);

/// How long to wait for other operations on the same thing, and for a throttled service, where the operation has no limit of its own.
const PATIENCE: Duration = Duration::from_hours(1);

/// A refusal and the wait that it asks for.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) wait: Option<Duration>,
    /// Whether that wait is worth the name.
    pub(super) patient: bool,
}

impl Refused {
    pub(super) fn stale_token(&self) -> bool {
        self.refusal.status == Some(401)
            && !self
                .refusal
                .is_code(&["InvalidAuthenticationTokenTenant", "AuthorizationFailed"])
    }
}

/// How often and how long one request is repeated.
pub(super) struct Patience {
    failures: u32,
    throttles: u32,
    waits: u32,
    max_retries: u32,
    begun: Instant,
}

impl Patience {
    pub(super) fn new(max_retries: u32) -> Self {
        Self {
            failures: 0,
            throttles: 0,
            waits: 0,
            max_retries,
            begun: Instant::now(),
        }
    }

    pub(super) async fn failed(&mut self, run: &dyn Run, refused: Refused) -> Result<(), ArmError> {
        if self.failures >= self.max_retries {
            return Err(refused.refusal.into());
        }
        let wait = refused
            .wait
            .unwrap_or_else(|| growing(self.failures, FIRST_PAUSE, LONGEST_PAUSE));
        self.failures += 1;
        self.sleep(run, wait, refused).await
    }

    pub(super) async fn throttled(
        &mut self,
        run: &dyn Run,
        refused: Refused,
    ) -> Result<(), ArmError> {
        // Without a hint, or with one that means nothing, nobody says that it ends.
        if !refused.patient && self.throttles >= self.max_retries {
            return Err(refused.refusal.into());
        }
        let wait = refused
            .wait
            .unwrap_or_else(|| growing(self.throttles, Duration::from_secs(1), LONGEST_THROTTLE));
        self.throttles += 1;
        if wait > LONGEST_PAUSE {
            run.status(format!("throttled: waits {}s", wait.as_secs()))
                .await;
        }
        self.sleep(run, wait, refused).await
    }

    pub(super) async fn busy(&mut self, run: &dyn Run, refused: Refused) -> Result<(), ArmError> {
        let wait = refused
            .wait
            .unwrap_or_else(|| growing(self.waits, Duration::from_millis(500), LONGEST_PAUSE));
        self.waits += 1;
        self.sleep(run, wait, refused).await
    }

    async fn sleep(&self, run: &dyn Run, wait: Duration, refused: Refused) -> Result<(), ArmError> {
        let left = run
            .remaining()
            .unwrap_or_else(|| PATIENCE.saturating_sub(self.begun.elapsed()));
        if wait > left {
            let hint = format!(
                "It asks to wait {}s, which is more than the {}s that are left: raise the limit with the resource option customTimeouts, \
                 or run this again later",
                wait.as_secs(),
                left.as_secs()
            );
            return Err(ArmError::from(refused.refusal).with_hint(hint));
        }
        Ok(run.sleep(wait).await?)
    }
}
