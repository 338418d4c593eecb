//! Waiting for what AWS makes visible only after a while.
//!
//! Retries of single calls are the SDK's; this is for a call that succeeds or fails cleanly but too early: a new alias that
//! is not found yet, a bucket name that is still being released.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long to keep asking, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitPolicy {
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
    /// How much longer each pause is than the one before.
    pub factor: f64,
    /// When to give up. The first attempt is always made.
    pub total: Duration,
}

impl WaitPolicy {
    /// For changes that AWS spreads within seconds.
    pub const SHORT: Self = Self {
        initial: Duration::from_millis(200),
        max: Duration::from_secs(3),
        factor: 1.8,
        total: Duration::from_secs(30),
    };

    /// For changes that may take minutes, such as a bucket name being released.
    pub const LONG: Self = Self {
        initial: Duration::from_millis(500),
        max: Duration::from_secs(10),
        factor: 1.8,
        total: Duration::from_mins(5),
    };

    /// The same policy, giving up no later than `limit`.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self {
            total: self.total.min(limit),
            ..self
        }
    }

    /// The pause after attempt number `attempt` (from 0), spread by `jitter` (0 to 1) over its upper half.
    #[must_use]
    pub fn pause(&self, attempt: u32, jitter: f64) -> Duration {
        let exponent = i32::try_from(attempt.min(64)).unwrap_or(64);
        let initial = self.initial.as_secs_f64();
        let max = self.max.as_secs_f64().max(initial);
        let full = (initial * self.factor.max(1.0).powi(exponent)).clamp(initial, max);
        Duration::try_from_secs_f64(full * (0.5 + 0.5 * jitter.clamp(0.0, 1.0))).unwrap_or(self.max)
    }
}

/// What one attempt found.
#[derive(Debug)]
pub enum Attempt<T, E> {
    /// It is there.
    Done(T),
    /// Not yet. The error is what the wait ends with if time runs out.
    NotYet(E),
}

/// How a wait ended without success.
#[derive(Debug, PartialEq, Eq)]
pub enum WaitError<E> {
    /// An attempt failed in a way that waiting does not mend.
    Failed(E),
    /// Time ran out; the last attempt's error.
    TimedOut {
        /// What the last attempt said.
        last: E,
        /// How long was waited.
        waited: Duration,
        /// How many attempts were made.
        attempts: u32,
    },
    /// The caller was cancelled.
    Cancelled,
}

impl<E> WaitError<E> {
    /// The underlying error, where there is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) | Self::TimedOut { last: error, .. } => Some(error),
            Self::Cancelled => None,
        }
    }
}

/// Repeats `attempt` until it is done, fails, or the policy's time is over; `cancelled` ends the wait at once, also in the
/// middle of an attempt. Pass [`std::future::pending`] where there is nothing to cancel.
///
/// `what` names the thing waited for in the debug log.
pub async fn eventually<T, E, F, Fut>(
    what: &str,
    policy: WaitPolicy,
    cancelled: impl Future<Output = ()>,
    mut attempt: F,
) -> Result<T, WaitError<E>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Attempt<T, E>, E>>,
{
    let started = Instant::now();
    let asking = async {
        let mut count: u32 = 0;
        loop {
            let last = match attempt().await {
                Ok(Attempt::Done(value)) => return Ok(value),
                Ok(Attempt::NotYet(error)) => error,
                Err(error) => return Err(WaitError::Failed(error)),
            };
            let waited = started.elapsed();
            let pause = policy.pause(count, jitter());
            count = count.saturating_add(1);
            if waited + pause > policy.total {
                return Err(WaitError::TimedOut {
                    last,
                    waited,
                    attempts: count,
                });
            }
            tracing::debug!(what, attempt = count, ?pause, "not there yet");
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = cancelled => Err(WaitError::Cancelled),
        result = asking => result,
    }
}

/// A number from 0 to 1; the middle where the random source fails, because a wait must not.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |value| f64::from(value) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const QUICK: WaitPolicy = WaitPolicy {
        initial: Duration::from_millis(1),
        max: Duration::from_millis(4),
        factor: 2.0,
        total: Duration::from_millis(40),
    };

    #[test]
    fn pauses_grow_and_are_clamped() {
        assert_eq!(QUICK.pause(0, 1.0), Duration::from_millis(1));
        assert_eq!(QUICK.pause(1, 1.0), Duration::from_millis(2));
        assert_eq!(QUICK.pause(1, 0.0), Duration::from_millis(1));
        assert_eq!(QUICK.pause(u32::MAX, 1.0), Duration::from_millis(4));
        assert_eq!(
            QUICK.at_most(Duration::from_millis(5)).total,
            Duration::from_millis(5)
        );
    }

    #[tokio::test]
    async fn succeeds_after_some_attempts() {
        let mut left = 3;
        let result = eventually("thing", QUICK, pending(), || {
            left -= 1;
            let now = left;
            async move {
                Ok::<_, ()>(if now == 0 {
                    Attempt::Done("there")
                } else {
                    Attempt::NotYet(())
                })
            }
        })
        .await;
        assert_eq!(result, Ok("there"));
    }

    #[tokio::test]
    async fn stops_on_a_real_failure_and_on_time() {
        let result = eventually("thing", QUICK, pending(), || async {
            Err::<Attempt<(), _>, _>("denied")
        })
        .await;
        assert_eq!(result, Err(WaitError::Failed("denied")));
        let result = eventually("thing", QUICK, pending(), || async {
            Ok(Attempt::<(), _>::NotYet("absent"))
        })
        .await;
        assert!(matches!(
            result,
            Err(WaitError::TimedOut {
                last: "absent",
                attempts: 2..,
                ..
            })
        ));
    }

    #[tokio::test]
    async fn cancellation_interrupts_an_attempt() {
        let cancel = tokio::time::sleep(Duration::from_millis(5));
        let result = eventually(
            "thing",
            QUICK,
            cancel,
            pending::<Result<Attempt<(), ()>, ()>>,
        )
        .await;
        assert_eq!(result, Err(WaitError::Cancelled));
    }
}
