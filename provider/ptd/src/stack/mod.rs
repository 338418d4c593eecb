//! Pulumi stacks as resources.

mod args;
mod check;
mod config;
mod credentials;
mod environment;
mod failure;
mod foreign;
mod foresee;
mod git;
mod identity;
mod install;
mod preview;
mod progress;
mod report;
mod run;
mod run_folder;
mod source;
mod spec;
#[expect(clippy::module_inception, reason = "the resource of that name")]
mod stack;
mod update;

pub use args::{
    GitSource, OnDelete, PreviewInputs, PythonSource, RetryOn, StackArgs, StackCredentials,
    StackNaming, StackRetry, StackState, StackViews,
};
pub use config::StacksConfig;
pub(crate) use identity::id;
pub(crate) use report::{InnerRun, Report, table};
pub use report::{REPORT, report_table};
pub use run::SUPERVISE;
pub use stack::Stack;
pub use update::{StackUpdate, StackUpdateArgs, StackUpdateState};

/// Work on files, where it blocks nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
}

/// A word as a shell takes it, whatever is in it.
pub(crate) fn in_quotes(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
