//! `ptd:index:getTarget`: a `ptd.yaml` tree as typed values.

use std::path::PathBuf;

use pulumi_provider::{Context, Error, Function, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Ptd;
use crate::target::{self, Target};

/// Reads the configuration of a target, its sites and its custom steps, and derives every name, URL and address that
/// follows from it. It only reads files: no credentials are needed.
///
/// Mistakes are reported all at once, each with its file, line and path; fields that mean nothing are warnings that name
/// the nearest known one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetTargetArgs {
    /// The target's name: that of its directory below `__work__` or `__ctrl__`.
    pub target: String,
    /// The directory that holds `__work__` and `__ctrl__`, relative to the program's directory. Default: the environment
    /// variable `PTD_TARGETS_CONFIG_DIR`, else `infra`.
    #[serde(default = "infra")]
    #[schemars(extend("env" = ["PTD_TARGETS_CONFIG_DIR"]))]
    pub targets_dir: String,
}

fn infra() -> String {
    "infra".to_owned()
}

/// The function `ptd:index:getTarget`.
#[derive(Debug)]
pub struct GetTarget;

impl Function for GetTarget {
    type Provider = Ptd;
    type Args = GetTargetArgs;
    type Return = Target;

    const TOKEN: &'static str = "ptd:index:getTarget";

    async fn invoke(cx: &Context<Ptd>, args: GetTargetArgs) -> Result<Target, Error> {
        let directory = PathBuf::from(args.targets_dir);
        let read = tokio::task::spawn_blocking(move || target::load(&directory, &args.target));
        let target = read
            .await
            .map_err(|error| Error::Bug(format!("reading the target did not finish: {error}")))?
            .map_err(|problems| Error::input(Path::root().key("target"), problems.to_string()))?;
        for warning in &target.warnings {
            cx.warn(warning).await;
        }
        Ok(target)
    }
}
