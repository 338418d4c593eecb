//! `ptd:index:planTakeover` and `ptd:index:stackCommand`: a target's stacks for people with a shell.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use pulumi_provider::{Context, Error, Function, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inputs::infra;
use super::list_steps::load;
use super::prepare::directory;
use super::settings::{KUBERNETES_ENVIRONMENT, azure_environment};
use super::standard::{BOOTSTRAP, REPRISE};
use super::steps::{self, Ask, Plan};
use crate::Ptd;
use crate::stack::in_quotes;
use crate::target::{Target, TargetCloud};

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        in_quotes(word)
    }
}

fn everything() -> Ask {
    Ask {
        custom: true,
        ..Ask::default()
    }
}

/// Lists the stacks of a running deployment, and the commands that import each of them as a `Stack` resource, unchanged. It only reads the
/// target's files: no credentials are needed, and nobody asks the backend.
///
/// A `Workload` or `ControlRoom` component needs none of these commands: creating its stacks takes over those that exist.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanTakeoverArgs {
    /// The target's name: that of its directory below `__work__` or `__ctrl__`.
    pub target: String,
    /// The directory that holds `__work__` and `__ctrl__`, relative to the program's directory. Default: the environment
    /// variable `PTD_TARGETS_CONFIG_DIR`, else `infra`.
    #[serde(default = "infra")]
    #[schemars(extend("env" = ["PTD_TARGETS_CONFIG_DIR"]))]
    pub targets_dir: String,
    /// What the names of the resources begin with, followed by a hyphen. Default: they are the names of the steps.
    pub name: Option<String>,
    /// The URL of the backend that holds the stacks. Default: the target's own, `s3://ptd-<target>?region=<region>` on AWS.
    pub backend_url: Option<String>,
}

/// A stack to be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakeoverStack {
    /// The step.
    pub step: String,
    /// Name of the resource.
    pub resource_name: String,
    /// The stack's project.
    pub project: String,
    /// The stack's full name.
    pub stack: String,
    /// The backend that holds its state.
    pub backend_url: String,
    /// What it is imported by.
    pub import_id: String,
    /// The command that imports it.
    pub command: String,
}

/// The stacks of a running deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanTakeoverResult {
    /// The stacks, in the order of the steps.
    pub stacks: Vec<TakeoverStack>,
    /// Their secrets provider.
    pub secrets_provider: String,
    /// All commands, in that order.
    pub commands: Vec<String>,
    /// Steps that have no stack: what they made is adopted by the resources that declare it.
    pub without_stack: Vec<String>,
}

/// The function `ptd:index:planTakeover`.
#[derive(Debug)]
pub struct PlanTakeover;

impl Function for PlanTakeover {
    type Provider = Ptd;
    type Args = PlanTakeoverArgs;
    type Return = PlanTakeoverResult;

    const TOKEN: &'static str = "ptd:index:planTakeover";

    async fn invoke(
        cx: &Context<Ptd>,
        args: PlanTakeoverArgs,
    ) -> Result<PlanTakeoverResult, Error> {
        let (target, plan) = load(cx, args.targets_dir, args.target, everything()).await?;
        let backend = args
            .backend_url
            .unwrap_or_else(|| target.names.backend_url.clone());
        Ok(takeover(&target, &plan, args.name.as_deref(), &backend))
    }
}

fn takeover(target: &Target, plan: &Plan, name: Option<&str>, backend: &str) -> PlanTakeoverResult {
    // Of a step that is turned off nobody knows whether it has a stack.
    let projects = plan.steps.iter();
    let projects = projects.filter(|step| step.is_project() && !step.off);
    let stacks: Vec<TakeoverStack> = projects
        .map(|step| {
            let resource_name =
                name.map_or_else(|| step.name.clone(), |name| format!("{name}-{}", step.name));
            let stack = steps::stack(target, &step.name);
            let import_id = crate::stack::id(backend, &stack);
            TakeoverStack {
                command: format!(
                    "pulumi import ptd:index:Stack {} {}",
                    quoted(&resource_name),
                    quoted(&import_id)
                ),
                step: step.name.clone(),
                project: steps::project(target, &step.name),
                backend_url: backend.to_owned(),
                resource_name,
                stack,
                import_id,
            }
        })
        .collect();
    PlanTakeoverResult {
        commands: stacks.iter().map(|stack| stack.command.clone()).collect(),
        stacks,
        secrets_provider: target.names.secrets_provider_url.clone(),
        without_stack: plan
            .steps
            .iter()
            .filter(|step| !step.is_project())
            .map(|step| step.name.clone())
            .collect(),
    }
}

/// Gives the environment and the command lines with which the stack of a step is opened by hand. It only reads the target's files: no
/// credentials are needed, and nobody asks the backend.
///
/// Paths in the result are absolute: they are meant for the machine on which the function runs, not for outputs of a stack.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackCommandArgs {
    /// The target's name: that of its directory below `__work__` or `__ctrl__`.
    pub target: String,
    /// The step. `kubernetes`, `eks` and `aks` all mean the cluster step.
    pub step: String,
    /// The directory that holds `__work__` and `__ctrl__`, relative to the program's directory. Default: the environment
    /// variable `PTD_TARGETS_CONFIG_DIR`, else `infra`.
    #[serde(default = "infra")]
    #[schemars(extend("env" = ["PTD_TARGETS_CONFIG_DIR"]))]
    pub targets_dir: String,
    /// The directory with one Pulumi project for each step, relative to the program's directory. Without it the commands of a standard
    /// step open its state alone.
    pub programs: Option<String>,
    /// The URL of the backend that holds the stack. Default: the target's own, `s3://ptd-<target>?region=<region>` on AWS.
    pub backend_url: Option<String>,
    /// How the stack encrypts its secrets. Default: the target's own key.
    pub secrets_provider: Option<String>,
}

/// How to open a stack by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackCommandResult {
    /// The step; the cluster step is called `eks` or `aks`.
    pub step: String,
    /// The stack's project.
    pub project: String,
    /// The stack's full name.
    pub stack: String,
    /// The backend that holds its state.
    pub backend_url: String,
    /// How it encrypts its secrets.
    pub secrets_provider: String,
    /// The directory of its project. Absent without `programs`, except for a custom step.
    pub directory: Option<String>,
    /// Environment variables for the commands, beside credentials.
    pub environment: BTreeMap<String, String>,
    /// Command lines by what they do: `show`, `export`, `history`, `cancel`, `repair`, and with a project also `preview`, `refresh` and
    /// `up`.
    pub commands: BTreeMap<String, String>,
    /// What to enter in a shell to work on the stack: it sets the environment, which selects the stack, and shows it. From then on
    /// commands in that shell concern this stack, unless they name another with `--stack`.
    pub shell: String,
}

/// The function `ptd:index:stackCommand`.
#[derive(Debug)]
pub struct StackCommand;

impl Function for StackCommand {
    type Provider = Ptd;
    type Args = StackCommandArgs;
    type Return = StackCommandResult;

    const TOKEN: &'static str = "ptd:index:stackCommand";

    async fn invoke(
        cx: &Context<Ptd>,
        args: StackCommandArgs,
    ) -> Result<StackCommandResult, Error> {
        let (root, name) = (args.targets_dir.clone(), args.target.clone());
        let (target, plan) = load(cx, root, name, everything()).await?;
        command(&args, &target, &plan)
    }
}

/// The path from the root on: a shell may be anywhere.
fn absolute(path: &FilePath, input: &str) -> Result<std::path::PathBuf, Error> {
    std::path::absolute(path)
        .map_err(|error| Error::input(Path::root().key(input), error.to_string()))
}

fn command(
    args: &StackCommandArgs,
    target: &Target,
    plan: &Plan,
) -> Result<StackCommandResult, Error> {
    let asked = if args.step == REPRISE {
        super::standard::PERSISTENT
    } else {
        &args.step
    };
    let Some(step) = plan.find(asked) else {
        return Err(Error::input(Path::root().key("step"), plan.unknown(asked)));
    };
    if step.name == BOOTSTRAP {
        return Err(Error::input(
            Path::root().key("step"),
            "bootstrap has no stack: what it makes are resources of the program itself",
        ));
    }
    let targets_dir = absolute(FilePath::new(&args.targets_dir), "targetsDir")?;
    let directory = match (&args.programs, &step.custom) {
        (None, None) => None,
        (programs, _) => {
            let programs = programs.as_deref().unwrap_or_default();
            let found = directory(target, step, &targets_dir, FilePath::new(programs));
            Some(absolute(&found, "programs")?.to_string_lossy().into_owned())
        }
    };
    let stack = steps::stack(target, &step.name);
    let backend_url = args
        .backend_url
        .clone()
        .unwrap_or_else(|| target.names.backend_url.clone());
    let mut environment: BTreeMap<String, String> = KUBERNETES_ENVIRONMENT
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    environment.extend(azure(target));
    environment.extend([
        ("PULUMI_BACKEND_URL".to_owned(), backend_url.clone()),
        // The first selects the stack for every command, wherever it is entered; scripts in the field read the second.
        ("PULUMI_STACK".to_owned(), stack.clone()),
        ("PULUMI_STACK_NAME".to_owned(), stack.clone()),
        (
            "PTD_ROOT".to_owned(),
            targets_dir.to_string_lossy().into_owned(),
        ),
        (
            "PTD_WORKON".to_owned(),
            format!("{}:{}", target.name, step.name),
        ),
    ]);
    let commands = commands(directory.as_deref(), &stack);
    let exports: Vec<String> = environment
        .iter()
        .map(|(name, value)| format!("{name}={}", quoted(value)))
        .collect();
    let show = commands.get("show").cloned().unwrap_or_default();
    Ok(StackCommandResult {
        step: step.name.clone(),
        project: steps::project(target, &step.name),
        secrets_provider: args
            .secrets_provider
            .clone()
            .unwrap_or_else(|| target.names.secrets_provider_url.clone()),
        shell: format!("export {} && {show}", exports.join(" ")),
        stack,
        backend_url,
        directory,
        environment,
        commands,
    })
}

/// What tools need to find Azure the quick way.
fn azure(target: &Target) -> Vec<(String, String)> {
    if target.cloud != TargetCloud::Azure {
        return Vec::new();
    }
    let by_hand = [
        ("ARM_USE_CLI", "true"),
        // Probes for a metadata service that is not there would wait for their time limit.
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        (
            "NO_PROXY",
            ".azure.com,.azure.net,.windows.net,.microsoft.com,.microsoftonline.com,localhost,127.0.0.1",
        ),
    ];
    by_hand
        .map(|(name, value)| (name, value.to_owned()))
        .into_iter()
        .chain(azure_environment(target))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn commands(directory: Option<&str>, stack: &str) -> BTreeMap<String, String> {
    let mut known = vec![
        ("show", "stack"),
        ("export", "stack export"),
        ("history", "stack history"),
        ("cancel", "cancel"),
        ("repair", "state repair"),
    ];
    if directory.is_some() {
        known.extend([("preview", "preview"), ("refresh", "refresh"), ("up", "up")]);
    }
    let start = directory.map_or_else(
        || "pulumi".to_owned(),
        |directory| format!("pulumi -C {}", quoted(directory)),
    );
    known
        .into_iter()
        .map(|(name, command)| {
            // `cancel` takes the name as an argument.
            let flag = if command == "cancel" { "" } else { "--stack " };
            (
                name.to_owned(),
                format!("{start} {command} {flag}{}", quoted(stack)),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("a-b/c"), "a-b/c");
        assert_eq!(quoted("s3://b?region=r"), "'s3://b?region=r'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
