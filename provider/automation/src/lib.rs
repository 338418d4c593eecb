//! A typed driver of the `pulumi` CLI.
//!
//! A [`Cli`] is a program and the environment it runs in, nothing inherited. A [`Stack`] is one stack in one backend, run
//! from a directory that holds a Pulumi project. Operations stream the engine's events while they run, end gracefully when
//! cancelled, and fail with a typed [`Error`].
//!
//! Nothing is logged in, no stack is selected, and no file of the project is written: the backend goes by environment, the
//! stack by name, and its settings live in a private directory.
//!
//! ```no_run
//! use pulumi_automation::{Cli, Environment, Location, Run, Stack};
//!
//! # async fn example() -> Result<(), pulumi_automation::Error> {
//! let environment = Environment::inherit(["PATH", "HOME"]).with("PULUMI_CONFIG_PASSPHRASE", "correct horse");
//! let cli = Cli::find(environment).await?;
//! let location = Location::new("file:///var/lib/states", "organization/web/staging")?;
//! let mut stack = Stack::open(cli, location, "projects/web").await?;
//! stack.ensure(Some("passphrase")).await?;
//! stack.settings_mut().set("aws:region", "us-east-2");
//! stack.set_secret("web:password", "s3cret".to_owned().into()).await?;
//! let done = stack.up(&Run::default(), |event| println!("{event:?}")).await?;
//! println!("{:?}: {:?}", done.changes, done.outputs);
//! # Ok(())
//! # }
//! ```

#![warn(unnameable_types)]

/// Keeps the example in the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod cli;
mod error;
mod events;
mod lock;
mod process;
mod project;
mod settings;
mod stack;
mod supervise;
mod tool;

pub use cli::{Cli, Environment, MINIMUM_VERSION};
pub use error::Error;
pub use events::{
    Diagnostic, Event, EventKind, Policy, Special, State, Step, StepMetadata, Summary, holds,
    is_masked, is_secret, secret_mark,
};
pub use lock::{Holder, Lock};
pub use process::{Cancelled, Ended};
pub use project::{project_file, settings_file};
pub use settings::{Settings, yaml};
pub use stack::{Location, Operation, Outcome, Run, Stack, Update};
pub use supervise::supervise;
pub use tool::{Tool, Until};
