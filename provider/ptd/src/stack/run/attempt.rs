//! Attempts at one operation of an inner stack: locks in the way, what is tried again, what a killed one leaves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pulumi_automation as automation;
use pulumi_automation::{Holder, Lock, Operation, Outcome, Run};
use pulumi_provider::{Context, Error};
use tokio_util::sync::CancellationToken;

use super::{Inner, is_given_secret};
use crate::Ptd;
use crate::stack::args::{StackArgs, StackViews};
use crate::stack::failure::{Doing, ended, failed};
use crate::stack::identity::identity;
use crate::stack::progress::{Line, Progress, summary};
use crate::stack::run_folder::{self, Slot};
use crate::stack::stack::counts;
use crate::stack::{aside, in_quotes};

/// How long the backend may take to free a lock.
const RELEASE: Duration = Duration::from_secs(15);

/// How often a lock that somebody else holds is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked whether another process has removed a stale lock.
const TURNS: u32 = 15;

/// How often stale locks are removed: others may die meanwhile.
const CANCELS: u32 = 3;

/// How long what may become a lock is left alone.
const HALF_LOCK: Duration = Duration::from_secs(3);

/// What came of the last operation, when that was a failure.
#[derive(Default)]
pub(super) struct Came {
    /// There is no such stack.
    pub(super) absent: bool,
    /// It locks the stack, and had come that far.
    locked: bool,
    /// What it had done.
    pub(super) done: BTreeMap<String, f64>,
}

/// What was done about locks in the way.
struct Waiting {
    since: Instant,
    /// The right to remove stale ones.
    turn: Option<Slot>,
    /// How often that was somebody else's.
    turns: u32,
    cancels: u32,
}

impl Waiting {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            turn: None,
            turns: 0,
            cancels: 0,
        }
    }
}

impl Inner {
    /// Runs an operation. A lock, and what may be retried, is dealt with as the inputs say.
    pub(super) async fn attempt(
        &mut self,
        cx: &Context<Ptd>,
        operation: Operation,
        args: &StackArgs,
    ) -> Result<Outcome, Error> {
        let mut waiting = Waiting::begin();
        let mut tries = 0;
        let mut made = false;
        let mut cleared = false;
        loop {
            let error = match self.once(cx, operation, args).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            self.came.done = match &error {
                automation::Error::Failed { outcome, .. } => {
                    counts(outcome.changes.resource_changes.iter())
                }
                _ => BTreeMap::new(),
            };
            if matches!(error, automation::Error::Cancelled { killed: true, .. })
                && self.came.locked
            {
                self.release(cx).await;
            }
            let doing = Doing::Running(operation);
            let failed = |error: &_| failed(args, doing, error);
            cx.alive().map_err(|why| ended(args, doing, &why, &error))?;
            self.came.absent = matches!(error, automation::Error::NoStack { .. });
            if matches!(error, automation::Error::NoStack { .. })
                && operation == Operation::Up
                && !made
            {
                made = true;
                self.make_anew(cx, args).await?;
                continue;
            }
            if matches!(error, automation::Error::HalfLocked { .. }) && !cleared {
                // Were one just being written, it is whole by then.
                cx.sleep(HALF_LOCK).await?;
                let removed = self.stack.remove_half_locks().await;
                cleared = removed.map_err(|e| failed(&e))? > 0;
                if cleared {
                    cx.warn(format!(
                        "removes what was left of a lock of stack {} that could not be written, as on a full disk",
                        args.stack
                    ))
                    .await;
                    continue;
                }
            }
            if let automation::Error::Locked { locks, .. } = &error
                && self
                    .unlocked(cx, args, locks, &error, &mut waiting, &mut tries)
                    .await?
            {
                continue;
            }
            if !self.place.again(cx, args, &mut tries, &error).await? {
                return Err(failed(&error));
            }
        }
    }

    /// Deals with locks that are in the way. Whether the operation is to be tried again.
    async fn unlocked(
        &mut self,
        cx: &Context<Ptd>,
        args: &StackArgs,
        locks: &[Lock],
        error: &automation::Error,
        waiting: &mut Waiting,
        tries: &mut u32,
    ) -> Result<bool, Error> {
        let stale = !locks.is_empty() && locks.iter().all(|lock| lock.holder() == Holder::Gone);
        let holders: Vec<String> = locks.iter().map(ToString::to_string).collect();
        let holders = holders.join(", ");
        if !stale {
            waiting.turn = None;
            let waits = waiting.since.elapsed().as_secs_f64() < args.lock_timeout;
            if waits {
                cx.status(format!("waiting for the lock of {holders}"))
                    .await;
                self.place
                    .stand_aside(cx, cx.untimed(cx.sleep(TRY_AGAIN)))
                    .await?;
            }
            return Ok(waits);
        }
        if !args.cancel_stale_lock || waiting.cancels == CANCELS || waiting.turns == TURNS {
            let problem = "that process is there no more, so that the lock is stale";
            return Err(stale_lock(args, error, problem));
        }
        if waiting.turn.is_none() {
            // Another process may have seen the same lock, and have one of its own by the time this one cancels, which frees all:
            // one at a time, who then looks again.
            let identity = identity(&args.backend_url, &args.stack);
            waiting.turn = aside(move || run_folder::turn(&identity))
                .await
                .map_err(|problem| {
                    let problem = format!("whether others remove it cannot be told: {problem}");
                    stale_lock(args, error, &problem)
                })?;
            if waiting.turn.is_none() {
                waiting.turns += 1;
                self.place
                    .stand_aside(cx, cx.untimed(cx.sleep(TRY_AGAIN)))
                    .await?;
            }
            return Ok(true);
        }
        cx.warn(format!(
            "removes the stale lock of {holders}: that process is there no more"
        ))
        .await;
        let freed = self.stack.cancel().await;
        waiting.cancels += 1;
        waiting.turn = None;
        match freed {
            // It is not simply repeated: it may have freed the stack all the same, and others have a lock by then.
            Err(error) if !self.place.again(cx, args, tries, &error).await? => {
                Err(failed(args, Doing::Freeing, &error))
            }
            _ => Ok(true),
        }
    }

    /// Makes a stack that was removed by hand. What the old one encrypted of the inputs is encrypted anew.
    async fn make_anew(&mut self, cx: &Context<Ptd>, args: &StackArgs) -> Result<(), Error> {
        let project = self.stack.location().project().to_owned();
        self.stack
            .settings_mut()
            .retain(|key, _| !is_given_secret(args, &project, key));
        self.ensure(cx, args).await?;
        self.configure(cx, args, None).await?;
        cx.warn(format!("stack {} was gone, and is made anew", args.stack))
            .await;
        Ok(())
    }

    /// Frees the lock of an update that had to be killed. While it was at work nobody else could have one.
    async fn release(&self, cx: &Context<Ptd>) {
        let grace = cx.provider().config.stacks.grace().as_secs();
        let what = format!("the inner update did not end within {grace} s, and was killed");
        let told = match tokio::time::timeout(RELEASE, self.stack.cancel()).await {
            Ok(Ok(())) => format!("{what}; its lock is freed"),
            Ok(Err(error)) => format!("{what}; its lock is still there: {error}"),
            Err(_) => format!("{what}; its lock is still there"),
        };
        cx.warn(told).await;
    }

    async fn once(
        &mut self,
        cx: &Context<Ptd>,
        operation: Operation,
        args: &StackArgs,
    ) -> Result<Outcome, automation::Error> {
        let run = Run {
            message: args.message.clone(),
            targets: args.targets.clone(),
            excludes: args.excludes.clone(),
            replace: args.replace.clone(),
            parallel: args.parallel,
            refresh: args.refresh && operation != Operation::Destroy,
            policy_packs: absolute(&args.policy_packs)?,
            cancel: CancellationToken::new(),
            grace: cx.provider().config.stacks.grace(),
            timeout: None,
        };
        let begun = Instant::now();
        let tentative = self.tentative;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut progress = Progress::new(operation, self.expected);
        // The engine begins once the CLI has the stack's lock.
        let mut begun_inside = false;
        let work = async {
            let result = self
                .stack
                .operate(operation, &run, |event| {
                    begun_inside = true;
                    if let Some(line) = progress.note(event) {
                        // Nobody listens any more once the operation is over.
                        let _ = tell.send(line);
                    }
                })
                .await;
            drop(tell);
            result
        };
        let report = async {
            while let Some(line) = told.recv().await {
                match line {
                    Line::Status(text) => cx.status(text).await,
                    Line::Info(text) => cx.info(text).await,
                    Line::Warning(text) => cx.warn(text).await,
                    Line::Error(text) if tentative => cx.warn(text).await,
                    Line::Error(text) => cx.error(text).await,
                }
            }
        };
        let both = async { tokio::join!(work, report).0 };
        let result = cx.run_to_end(both, || run.cancel.cancel()).await;
        self.came.locked = begun_inside && matches!(operation, Operation::Up | Operation::Destroy);
        self.violated |= progress.violated;
        let outcome = result?;
        if args.views == StackViews::Preview {
            cx.show(&progress.views).await;
        }
        cx.info(summary(
            &outcome,
            operation == Operation::Preview,
            begun.elapsed(),
        ))
        .await;
        Ok(outcome)
    }
}

fn stale_lock(args: &StackArgs, error: &automation::Error, problem: &str) -> Error {
    let first = if args.cancel_stale_lock {
        "run the update again"
    } else {
        "set cancelStaleLock"
    };
    Error::refused(
        format!("stack {}: {error}; {problem}", args.stack),
        format!(
            "{first}, or free the stack with: PULUMI_BACKEND_URL={} pulumi cancel --stack {}",
            in_quotes(&args.backend_url),
            args.stack
        ),
    )
}

fn absolute(paths: &[String]) -> Result<Vec<std::path::PathBuf>, automation::Error> {
    let each = paths.iter().map(|path| {
        std::path::absolute(path).map_err(|source| automation::Error::Io {
            what: format!("policy pack {path}"),
            source,
        })
    });
    each.collect()
}
