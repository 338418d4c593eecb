//! Trying again what may be gone the next time, out of the way of others.

use std::time::Duration;

use pulumi_automation as automation;
use pulumi_provider::{Context, Error};

use super::folder;
use crate::Ptd;
use crate::stack::args::StackArgs;
use crate::stack::aside;
use crate::stack::failure::is_of;
use crate::stack::run_folder::Slot;

/// The longest pause between two attempts, in seconds.
const LONGEST: f64 = 600.0;

/// The right to run, which others have while its owner waits. There is none to have where it is not known which run this is.
pub(super) struct Place(Option<Slot>);

impl Place {
    /// Waits for a turn to run.
    pub(super) async fn take(cx: &Context<Ptd>) -> Result<Self, Error> {
        slot(cx).await.map(Self)
    }

    /// Waits without keeping others from their turn.
    pub(super) async fn stand_aside(
        &mut self,
        cx: &Context<Ptd>,
        wait: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let had = self.0.take().is_some();
        wait.await?;
        if had {
            self.0 = slot(cx).await?;
        }
        Ok(())
    }

    /// Whether what has failed is to be tried again, as the input `retry` says; by then, it has waited. `tries` counts what failed
    /// before.
    pub(super) async fn again(
        &mut self,
        cx: &Context<Ptd>,
        args: &StackArgs,
        tries: &mut u32,
        error: &automation::Error,
    ) -> Result<bool, Error> {
        *tries += 1;
        let Some(retry) = &args.retry else {
            return Ok(false);
        };
        let allowed = || retry.on.iter().any(|kind| is_of(error, *kind));
        if *tries >= retry.attempts || cx.alive().is_err() || !allowed() {
            return Ok(false);
        }
        let delay = (retry.delay_seconds * 2_f64.powi(tries.cast_signed() - 1)).min(LONGEST);
        cx.warn(format!(
            "{error}; runs it again in {delay:.0} s (attempt {} of {})",
            *tries + 1,
            retry.attempts
        ))
        .await;
        self.stand_aside(cx, cx.sleep(Duration::from_secs_f64(delay)))
            .await?;
        Ok(true)
    }
}

/// Does something that may be done twice, and again where a [`Place`] says so. What came of it the last time is the result, unless the
/// operation ends while it waits. It is no function, since the work of a closure that borrows is not known to be `Send`.
macro_rules! trying {
    ($place:expr, $cx:expr, $args:expr, $work:expr) => {{
        let mut tries = 0;
        loop {
            match $work.await {
                Err(error) if $place.again($cx, $args, &mut tries, &error).await? => {}
                done => break done,
            }
        }
    }};
}
pub(super) use trying;

async fn slot(cx: &Context<Ptd>) -> Result<Option<Slot>, Error> {
    let engine = cx.engine_address();
    let Ok(Some(folder)) = aside(move || Ok(engine.and_then(|engine| folder(&engine)))).await
    else {
        return Ok(None);
    };
    let limit = cx.provider().config.stacks.parallel();
    let waiting = async || {
        cx.status(format!(
            "waiting for a slot: {limit} inner stacks are at work"
        ))
        .await;
    };
    tokio::select! {
        slot = cx.untimed(folder.slot(limit, waiting)) => match slot {
            Ok(slot) => Ok(Some(slot)),
            Err(error) => {
                tracing::warn!(%error, "no slots in this run");
                Ok(None)
            }
        },
        error = cx.ending() => Err(error),
    }
}
