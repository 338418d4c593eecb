//! What the client needs of the operation it works for: a way to wait, to tell, and to stop.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pulumi_provider::{Context, Error};

use super::operation::PendingOperation;

/// The operation of the engine that a request belongs to. Tests bring their own.
pub trait Run: Send + Sync {
    /// Fails when nothing may be written any more.
    fn alive(&self) -> Result<(), Error>;
    /// Waits, unless the operation ends before.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, Result<(), Error>>;
    /// Completes when the operation is to end, with the reason.
    fn ending(&self) -> BoxFuture<'_, Error>;
    /// How much time is left; `None` where there is no limit.
    fn remaining(&self) -> Option<Duration>;
    /// Shows progress.
    fn status(&self, text: String) -> BoxFuture<'_, ()>;
    /// Tells what the user should look at.
    fn warn(&self, text: String) -> BoxFuture<'_, ()>;
}

impl<P: Send + Sync> Run for Context<P> {
    fn alive(&self) -> Result<(), Error> {
        Context::alive(self)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, Result<(), Error>> {
        Context::sleep(self, duration).boxed()
    }

    fn ending(&self) -> BoxFuture<'_, Error> {
        Context::ending(self).boxed()
    }

    fn remaining(&self) -> Option<Duration> {
        Context::remaining(self)
    }

    fn status(&self, text: String) -> BoxFuture<'_, ()> {
        Context::status(self, text).boxed()
    }

    fn warn(&self, text: String) -> BoxFuture<'_, ()> {
        Context::warn(self, text).boxed()
    }
}

/// One write and the wait for it: whose it is, and who wants to know that Azure has taken it on.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The operation it belongs to.
    pub run: &'a dyn Run,
    /// Called as soon as Azure has accepted the write, with what is pending; and again when that moves. The place for
    /// [`Context::checkpoint`].
    pub accepted: &'a (dyn Fn(Option<&PendingOperation>) + Send + Sync),
}

impl<'a> Job<'a> {
    /// A job of which nobody needs to know before its end.
    #[must_use]
    pub fn quiet(run: &'a dyn Run) -> Self {
        Self {
            run,
            accepted: &|_| {},
        }
    }
}
