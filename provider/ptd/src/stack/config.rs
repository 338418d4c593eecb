//! The part of the provider's configuration that is about inner stacks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run_folder::default_parallel;

/// How inner stacks run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StacksConfig {
    /// How many inner stacks (`Stack`, `StackUpdate`) run at once in one run of the CLI, over all its providers, at least 1. Otherwise
    /// `PTD_MAX_PARALLEL_STACKS`, or twice the cores and at least 4, less when memory is short (512 MiB are counted for each).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("env" = ["PTD_MAX_PARALLEL_STACKS"]))]
    pub max_parallel_stacks: Option<u32>,

    /// How many seconds an interrupted inner update (Ctrl-C, a custom timeout) may take to end what it has begun, 1 to 86400. After that
    /// its processes are killed: what was being created then is listed as pending by its next run. Otherwise
    /// `PTD_STACK_GRACE_SECONDS`, or 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400), extend("env" = ["PTD_STACK_GRACE_SECONDS"]))]
    pub stack_grace_seconds: Option<u32>,

    /// A file for a report of the inner runs (`Stack`, `StackUpdate`) of one run of the CLI, as JSON: name, start, end, result, reason and
    /// changes of each. It is written anew by each run that runs an inner stack; `pulumi-resource-ptd report <file>` prints it as a
    /// table. Relative to the program's directory. Otherwise `PTD_RUN_REPORT`, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("env" = ["PTD_RUN_REPORT"]))]
    pub run_report: Option<String>,
}

impl StacksConfig {
    /// How long an interrupted inner update may take to end.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.stack_grace_seconds.unwrap_or(60).into())
    }

    /// How many inner stacks run at once.
    #[must_use]
    pub fn parallel(&self) -> usize {
        self.max_parallel_stacks
            .map_or_else(default_parallel, |limit| limit as usize)
    }
}
