//! `ptd:index:listSteps`: what a pipeline would run.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use pulumi_provider::{Context, Error, Failure, Function, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inputs::infra;
use super::prepare::manifest_faults;
use super::standard::BOOTSTRAP;
use super::steps::{self, Ask, Fault, Plan};
use crate::Ptd;
use crate::target::{self, KUBERNETES, KUBERNETES_STEPS, Target};

/// Lists the steps of a target in order, with their edges, and says which of them a selection runs. It only reads the target's files: no
/// credentials are needed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListStepsArgs {
    /// The target's name: that of its directory below `__work__` or `__ctrl__`.
    pub target: String,
    /// The directory that holds `__work__` and `__ctrl__`, relative to the program's directory. Default: the environment
    /// variable `PTD_TARGETS_CONFIG_DIR`, else `infra`.
    #[serde(default = "infra")]
    #[schemars(extend("env" = ["PTD_TARGETS_CONFIG_DIR"]))]
    pub targets_dir: String,
    /// Only these steps would run. Default and when empty: all.
    pub only_steps: Option<Vec<String>>,
    /// The first step to run. Default and when empty: the first of all.
    pub start_at_step: Option<String>,
    /// Whether the steps of `customizations/manifest.yaml` take part. Default `true`.
    pub custom_steps: Option<bool>,
    /// Whether `persistent` runs again at the end. Default `false`.
    pub persistent_reprise: Option<bool>,
    /// Whether there is a bootstrap step. Default: `true` for a workload, `false` for a control room.
    pub bootstrap: Option<bool>,
}

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStep {
    /// Its name; the cluster step's is `eks` or `aks`.
    pub name: String,
    /// What the step is called on every cloud: `kubernetes` for the cluster step. Absent for all others.
    pub selector: Option<String>,
    /// What the manifest says that a custom step is for. Absent when it says nothing.
    pub description: Option<String>,
    /// Whether it is a custom step.
    pub custom: bool,
    /// Whether the selection runs it.
    pub selected: bool,
    /// Project of its stack. Absent for `bootstrap`, which has none.
    pub project: Option<String>,
    /// Full name of its stack. Absent for `bootstrap`.
    pub stack: Option<String>,
    /// The steps directly before it: it runs when they are done, and is destroyed before they are.
    pub depends_on: Vec<String>,
    /// Its settings that are outputs of earlier steps: setting to `<step>.<output>`.
    pub consumes: BTreeMap<String, String>,
    /// Whether it needs the proxy into the target's network. Never with Tailscale.
    pub proxy_required: bool,
    /// What running it again does.
    pub rerun: String,
}

/// The steps of a target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListStepsResult {
    /// The steps in the order in which they would run one by one; the edges say which run at the same time.
    pub steps: Vec<PipelineStep>,
    /// Their names in that order.
    pub names: Vec<String>,
    /// The names of those that the selection runs.
    pub selected: Vec<String>,
    /// Whether any selected step needs the proxy.
    pub proxy_required: bool,
    /// The list as text, one step a line.
    pub text: String,
}

/// The function `ptd:index:listSteps`.
#[derive(Debug)]
pub struct ListSteps;

impl Function for ListSteps {
    type Provider = Ptd;
    type Args = ListStepsArgs;
    type Return = ListStepsResult;

    const TOKEN: &'static str = "ptd:index:listSteps";

    async fn invoke(cx: &Context<Ptd>, args: ListStepsArgs) -> Result<ListStepsResult, Error> {
        let ask = Ask {
            custom: args.custom_steps.unwrap_or(true),
            bootstrap: args.bootstrap,
            reprise: args.persistent_reprise.unwrap_or_default(),
            only: args.only_steps.unwrap_or_default(),
            start: args.start_at_step,
            takes: BTreeMap::new(),
        };
        let (target, plan) = load(cx, args.targets_dir, args.target, ask).await?;
        Ok(list(&target, &plan))
    }
}

/// Reads a target and plans its steps, for a function.
pub(crate) async fn load(
    cx: &Context<Ptd>,
    targets_dir: String,
    name: String,
    ask: Ask,
) -> Result<(Target, Plan), Error> {
    let read = move || {
        let at = |name: &str, reason: String| Fault {
            path: Path::root().key(name),
            reason,
        };
        let target = target::load(FilePath::new(&targets_dir), &name)
            .map_err(|errors| vec![at("target", errors.to_string())])?;
        let (plan, mut faults) = Plan::new(&target, &ask);
        if ask.custom {
            faults.extend(manifest_faults(&target, "target"));
        }
        if faults.is_empty() {
            Ok((target, plan))
        } else {
            Err(faults)
        }
    };
    let (target, plan) = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Error::Bug(format!("reading the target did not finish: {error}")))?
        .map_err(input)?;
    for warning in &target.warnings {
        cx.warn(warning).await;
    }
    Ok((target, plan))
}

/// Faults as the error that the user sees.
pub(crate) fn input(faults: Vec<Fault>) -> Error {
    let each = faults.into_iter().map(|fault| Failure {
        path: fault.path,
        reason: fault.reason,
    });
    Error::Input(each.collect())
}

fn list(target: &Target, plan: &Plan) -> ListStepsResult {
    let each = plan.steps.iter().map(|step| {
        let project = (step.name != BOOTSTRAP).then(|| steps::project(target, &step.name));
        let takes = step.takes.iter().map(|(setting, source)| {
            let source = format!("{}.{}", source.step, source.output);
            (setting.clone(), source)
        });
        let cluster = step.custom.is_none() && KUBERNETES_STEPS.contains(&step.name.as_str());
        PipelineStep {
            name: step.name.clone(),
            selector: cluster.then(|| KUBERNETES.to_owned()),
            description: step
                .custom
                .as_ref()
                .and_then(|custom| custom.description.clone()),
            custom: step.custom.is_some(),
            selected: step.selected,
            stack: project.as_ref().map(|_| steps::stack(target, &step.name)),
            project,
            depends_on: step.after.clone(),
            consumes: takes.collect(),
            proxy_required: step.proxy && !target.tailscale_enabled,
            rerun: step.rerun.to_owned(),
        }
    });
    let steps: Vec<PipelineStep> = each.collect();
    let selected = || steps.iter().filter(|step| step.selected);
    ListStepsResult {
        names: steps.iter().map(|step| step.name.clone()).collect(),
        selected: selected().map(|step| step.name.clone()).collect(),
        proxy_required: selected().any(|step| step.proxy_required),
        text: text(&steps),
        steps,
    }
}

fn text(steps: &[PipelineStep]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let mut line = format!("{:>3}. {}", index + 1, step.name);
        let marks = [
            (step.custom, " [CUSTOM]"),
            (step.proxy_required, " [PROXY]"),
            (!step.selected, " (not selected)"),
        ];
        for (_, mark) in marks.into_iter().filter(|(wanted, _)| *wanted) {
            line.push_str(mark);
        }
        if !step.depends_on.is_empty() {
            line = format!("{line} after {}", step.depends_on.join(", "));
        }
        lines.push(line);
        if let Some(description) = &step.description {
            lines.push(format!("      {description}"));
        }
    }
    let custom = steps.iter().filter(|step| step.custom).count();
    lines.push(format!(
        "Total: {} steps ({} standard, {custom} custom)",
        steps.len(),
        steps.len() - custom
    ));
    lines.join("\n")
}
