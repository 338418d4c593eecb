//! Pulumi stacks as resources.

mod run;
mod source;
#[expect(clippy::module_inception, reason = "the resource of that name")]
mod stack;

pub use stack::{OnDelete, Stack, StackArgs, StackState};
