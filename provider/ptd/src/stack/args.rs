//! What is said of an inner stack, and what is known of it.

use std::collections::BTreeMap;

use pulumi_provider::{Marked, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::identity::identity;
use crate::target::naming;

/// What happens to the inner stack when the resource is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnDelete {
    /// Deleting is refused while the inner stack has resources.
    #[default]
    Refuse,
    /// The inner stack stays as it is.
    Retain,
    /// The resources of the inner stack are destroyed; the empty stack and its history stay.
    Destroy,
    /// The resources of the inner stack are destroyed, then the stack is removed.
    DestroyAndRemove,
}

/// Whether previews show the resources of the inner stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StackViews {
    /// Previews run a preview of the inner stack, and show each of its resources that would change below this one.
    #[default]
    Preview,
    /// Inner resources are not shown. A stack that is still to be created is not previewed either, which is faster.
    None,
}

/// What a preview takes for inputs that are not known yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PreviewInputs {
    /// Nothing: the inner preview waits until they are known.
    #[default]
    Known,
    /// The values of the last update, and a warning that names them. They never reach an update.
    LastKnown,
}

/// Whose AWS credentials an inner run works with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StackCredentials {
    /// Those that its environment leads to, as any run by hand.
    #[default]
    Inherit,
    /// Those of this resource's provider, assumed roles included, with its region and endpoints. They are served on an address of this
    /// machine (`AWS_CONTAINER_CREDENTIALS_FULL_URI`) and renewed as long as the run lasts; profiles and configuration files of the
    /// outer run are not read. What `environment` says still wins.
    Provider,
}

/// A kind of failure after which a command of an inner run is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryOn {
    /// Somebody else is at work on the inner stack.
    Lock,
    /// The backend cannot be reached.
    Backend,
    /// A service has asked for fewer requests: that of a resource, of the backend or of the secrets provider.
    Throttling,
}

/// When a command of an inner run is run again: the update itself, and what the `pulumi` program does before and after it, such as
/// creating the stack, setting its secrets and reading its outputs. Errors of programs and of policies are never retried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackRetry {
    /// How often each of them is run at most, 2 to 10.
    #[schemars(range(min = 2, max = 10))]
    pub attempts: u32,
    /// Seconds before the second run, doubled each time, at most 600. Default 5.
    #[serde(default = "five")]
    #[schemars(range(min = 0.0, max = 600.0))]
    pub delay_seconds: f64,
    /// After which failures. Default: all that can be named.
    #[serde(default = "each", skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<RetryOn>,
}

fn five() -> f64 {
    5.0
}

fn each() -> Vec<RetryOn> {
    vec![RetryOn::Lock, RetryOn::Backend, RetryOn::Throttling]
}

/// An inner program in a git repository. The `git` program on the PATH fetches it, with whatever credentials it has. It gets the outer
/// run's environment and the input `environment`, without variables that begin with `PULUMI`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSource {
    /// The repository, as `git clone` takes it. A password or access token in it is refused: `environment` gives git what it needs,
    /// such as `GIT_SSH_COMMAND`, or a token and a helper that tells it.
    pub url: String,
    /// A branch, tag or full commit hash. A branch comes before a tag of the same name; `HEAD` and full names (`refs/tags/v1`) are taken
    /// as they are. It is resolved whenever inputs are checked, within a minute: when it has moved, the stack runs. Naming an earlier
    /// one rolls back.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The project's directory in the repository. Default: its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// An inner program that is a class of a Python module, made by calling its `autoload` function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PythonSource {
    /// The module, such as `ptd.pulumi_resources.aws_workload_persistent`.
    pub module: String,
    /// The class in it, such as `AWSWorkloadPersistent`.
    pub class: String,
    /// The directory that holds the module's top package, relative to the program's directory; it is put on the module path, before
    /// what `PYTHONPATH` names, and its files are digested.
    pub root: String,
    /// The virtual environment with what the module needs, relative to the program's directory. Default: the `python3` on the PATH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtualenv: Option<String>,
}

/// The parts of a stack's name as this platform names stacks: `organization/ptd-<cloud>-<kind>-<step>/<target>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackNaming {
    /// `aws` or `azure`.
    #[schemars(extend("enum" = ["aws", "azure"]))]
    pub cloud: String,
    /// `workload` or `control-room`.
    #[schemars(extend("enum" = ["workload", "control-room"]))]
    pub kind: String,
    /// The step, such as `postgres_config`; underscores become hyphens.
    pub step: String,
    /// The target, such as `acme01-staging`.
    pub target: String,
}

impl StackNaming {
    /// The full name.
    #[must_use]
    pub fn full_name(&self) -> String {
        let Self {
            cloud,
            kind,
            step,
            target,
        } = self;
        naming::stack(&naming::project(cloud, kind, step), target)
    }
}

/// A whole Pulumi stack as a resource: creating and updating it run `pulumi up` of a project, previewing it runs a preview. Edges
/// between such resources make one program of a pipeline of stacks, which the engine orders and runs in parallel.
///
/// The inner stack stays an ordinary one that can be used by hand: it has its own backend, name, state and secrets provider. Its
/// project directory is only read: settings and secrets of the run are kept in a private directory, and secrets reach the `pulumi`
/// program, which must be on the PATH, by its standard input.
///
/// The inner program does not inherit the variables of the outer run that begin with `PULUMI`, except `PULUMI_HOME`: what it
/// needs of them is given in `environment` or named in `inheritEnvironment`.
///
/// Secrets belong into `config`, `environment` and `triggers`. In inputs that say which stack and program it is and what is done with it,
/// such as `backendUrl` and `message`, they are refused: arguments of processes and the stack's history would show them.
///
/// The program is one of `directory`, `archive`, `program`, `git` and `python`. With `observe` there is none: the stack is only
/// looked at.
///
/// An existing stack is imported by `<backendUrl>#<organization>/<project>/<stack>`; nothing is run and nothing in it is changed.
/// Outputs that are secret are read with the passphrase of the outer run's environment where the stack has one.
///
/// In previews, and only there, the resources of the inner stack are shown below this one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct StackArgs {
    /// The directory with the inner project (its `Pulumi.yaml`), relative to the program's directory. A change of a file in it runs the
    /// stack, except of what tools make: directories such as `.git`, `node_modules` and the virtual environment, `bin` and `obj` of
    /// .NET, `target`, `build` and `.gradle` of Java, and `sdks` where the project names `packages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// An archive of the inner project's directory: a `.tar`, `.tar.gz` or `.tgz` file, relative to the program's directory. Naming
    /// an earlier one rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// The inner project itself, as a `Pulumi.yaml` with the runtime `yaml` says it: `resources`, `variables`, `outputs`, and so on.
    /// `name` and `runtime` need not be given. References in texts (`${...}`) are the inner program's: a YAML program as the outer
    /// one must write them as `$${...}`. It is written to a file in plain text: secrets in it are refused, and belong in `config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<BTreeMap<String, Value>>,
    /// The inner project in a git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,
    /// The inner program as a class of a Python module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonSource>,
    /// Whether the stack is only looked at: there is no program, and nothing is run. Its outputs are those that are recorded.
    /// Giving the stack a program later runs nothing either, until something else changes. Default `false`.
    #[serde(default)]
    pub observe: bool,
    /// Whether the stack is left as it is although its inputs or its program may have changed: its outputs are those that are
    /// recorded. What changed meanwhile is applied by the first update that does not skip it; a warning says when files of its
    /// program have changed. Default `false`.
    #[serde(default)]
    pub skip: bool,
    /// The inner stack's full name, `<organization>/<project>/<stack>`. The project is the one in its `Pulumi.yaml`; in
    /// self-managed backends (all but Pulumi Cloud) the organization is always `organization`. Either this or `naming` is given.
    /// Another name means another stack, which is refused unless `replaceOnIdentityChange` is set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stack: String,
    /// The parts that the name of the stack is made of, in place of `stack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naming: Option<StackNaming>,
    /// The URL of the backend that holds the inner stack's state, such as `s3://ptd-acme01-staging?region=us-east-2`. Another
    /// backend (another bucket or directory, not merely another way to write the URL) means another stack, which is refused unless
    /// `replaceOnIdentityChange` is set. A password in it is refused: it belongs into `environment`, as `PGPASSWORD` say.
    pub backend_url: String,
    /// Whether another `stack` or `backendUrl` replaces the resource: the new stack is created, and what `onDelete` says happens to
    /// the old one. Default `false`: it is refused, and the commands that move a state are told.
    #[serde(default)]
    pub replace_on_identity_change: bool,
    /// How the inner stack encrypts its secrets when it is created, such as `awskms://alias/posit-team-dedicated?region=us-east-2` or
    /// `passphrase`. Default: what the backend does by itself, which is `passphrase` for self-managed ones. A change is refused until
    /// `pulumi stack change-secrets-provider` was run by hand, which takes the keys of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_provider: Option<String>,
    /// The inner stack's configuration. A key without a namespace gets the project's name as one. Values are texts, numbers, booleans,
    /// lists or maps; secret ones are encrypted with the inner stack's secrets provider. It goes over what the project's own
    /// `Pulumi.<stack>.yaml` says; a key that is dropped here disappears.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Marked<Value>>,
    /// Environment variables for the inner run, such as `PULUMI_CONFIG_PASSPHRASE`. A change of a variable runs the stack again, except
    /// of one that says only who works: of variables with secret values only the names count, and those that hold or name credentials
    /// of AWS, Azure, Google Cloud and Pulumi Cloud (`AWS_PROFILE`, `ARM_CLIENT_SECRET`, `PULUMI_ACCESS_TOKEN` and the like) do not
    /// count at all. A secret on which the program's result depends belongs into `config`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Marked<String>>,
    /// Names of variables of the outer run's environment that the inner one gets although their names begin with `PULUMI`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit_environment: Vec<String>,
    /// Whose AWS credentials the inner run works with, its backend and its secrets provider included. A change of it alone runs nothing.
    /// Default `inherit`.
    #[serde(default)]
    pub credentials: StackCredentials,
    /// Values of any kind. A change of one runs the stack again: outputs of other stacks that the program reads by itself, say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, Marked<Value>>,
    /// More files and directories, relative to the program's directory, whose change runs the stack again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<String>,
    /// Only these resources of the inner stack are updated, by URN. Not together with `excludes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// These resources of the inner stack are left out, by URN. Not together with `targets`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    /// These resources of the inner stack are replaced by each update, by URN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<String>,
    /// How many resources of the inner stack are worked on at once, at least 1. Default: that of the `pulumi` program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub parallel: Option<u32>,
    /// Whether each update of the inner stack first brings its state to what its resources really are. A change of it alone runs
    /// nothing; a stack of which a refresh has found `drift` runs, with or without other changes. Default `false`.
    #[serde(default)]
    pub refresh: bool,
    /// A message for the inner stack's history. A change of it alone runs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Directories of policy packs that previews and updates of the inner stack must meet, relative to the program's directory.
    /// Rules that change run the stack again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_packs: Vec<String>,
    /// Whether `pulumi install` is run in the project's directory before the program, which fetches the plugins and packages it
    /// needs. It is run again when the files that name them change. A lock file that it wrote, as there was none before, does not
    /// run the stack, nor does any later change of it: to let it count, `watch` it. Default `false`.
    #[serde(default)]
    pub install_dependencies: bool,
    /// Whether a lock of the inner stack is removed when its holder was a process of this host that is there no more. Default
    /// `false`: the update fails and says who held the lock.
    #[serde(default)]
    pub cancel_stale_lock: bool,
    /// Seconds to wait for a lock that somebody else holds. Default 0: the update fails at once.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 86400.0))]
    pub lock_timeout: f64,
    /// When what failed of an inner run, the update or a command before or after it, is run again. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<StackRetry>,
    /// Whether previews show the resources of the inner stack. Default `preview`.
    #[serde(default)]
    pub views: StackViews,
    /// What a preview takes for inputs that are not known yet. Default `known`.
    #[serde(default)]
    pub preview_inputs: PreviewInputs,
    /// What happens to the inner stack when the resource is deleted. It is read from the state, so that it must have been applied by an
    /// earlier update. Default `refuse`.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// The SHA-256 of each file of the program, by path. Set by the provider; a value given here is ignored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub source_digests: BTreeMap<String, String>,
}

impl StackArgs {
    /// The inputs whose change runs the inner stack, with neutral values for all others.
    fn running(&self) -> Self {
        let credential = |name: &String| CREDENTIALS.contains(&name.as_str());
        let hidden = || Marked {
            secret: true,
            value: String::new(),
        };
        Self {
            // Files count by their digests, wherever they are.
            directory: None,
            archive: None,
            naming: None,
            observe: false,
            skip: false,
            backend_url: String::new(),
            replace_on_identity_change: false,
            message: None,
            cancel_stale_lock: false,
            lock_timeout: 0.0,
            retry: None,
            views: StackViews::default(),
            preview_inputs: PreviewInputs::default(),
            on_delete: OnDelete::default(),
            credentials: StackCredentials::default(),
            parallel: None,
            refresh: false,
            install_dependencies: false,
            environment: self
                .environment
                .iter()
                .filter(|(n, _)| !credential(n))
                .map(|(n, v)| (n.clone(), if v.secret { hidden() } else { v.clone() }))
                .collect(),
            ..self.clone()
        }
    }

    /// Whether what the program is given is the same, so that secret outputs can only be others if its resources or its files are.
    pub(super) fn hands_on_the_same(&self, new: &Self) -> bool {
        self.config == new.config
            && self.triggers == new.triggers
            && self.running().environment == new.running().environment
    }

    /// Whether going from `self` to `new` runs the inner stack.
    #[must_use]
    pub fn runs(&self, new: &Self) -> bool {
        !new.observe && !new.skip && !self.observe && self.running() != new.running()
    }

    /// Whether an update is due although no input has changed: the stack is to be brought to what its resources are, and a look has
    /// found that some are other than its state says.
    pub(super) fn heals(&self, state: &StackState) -> bool {
        self.refresh && !self.skip && !self.observe && !state.drift.is_empty()
    }

    /// Whether going from `self` to `new` leaves the inner stack alone.
    pub(super) fn rests(&self, new: &Self, state: &StackState) -> bool {
        let due = !new.skip && !new.observe && (state.pending || new.heals(state));
        !due && !self.runs(new)
    }

    /// Whether the same inner stack is meant, however its backend's URL is written.
    pub(super) fn is_same_stack(&self, other: &Self) -> bool {
        identity(&self.backend_url, &self.stack) == identity(&other.backend_url, &other.stack)
    }
}

/// Variables that say who works, not what is done.
const CREDENTIALS: [&str; 24] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "ARM_CLIENT_SECRET",
    "ARM_CLIENT_CERTIFICATE_PATH",
    "ARM_CLIENT_CERTIFICATE_PASSWORD",
    "ARM_OIDC_TOKEN",
    "ARM_OIDC_REQUEST_TOKEN",
    "ARM_ACCESS_KEY",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "PULUMI_ACCESS_TOKEN",
    "VAULT_TOKEN",
];

impl StackArgs {
    /// Whether a variable's new value says only who works, not what is done.
    pub(super) fn is_same_work(&self, news: &Self, variable: &str) -> bool {
        let secret = |args: &Self| args.environment.get(variable).is_some_and(|v| v.secret);
        CREDENTIALS.contains(&variable) || (secret(self) && secret(news))
    }
}

/// What is known of an inner stack after its update.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackState {
    /// The inner stack's outputs; secret ones stay secret. A resource among them is its id, a component its URN. Assets and archives
    /// name files of `directory` by their paths from the outer program's directory; of files in a program that is fetched or made only
    /// the hash is left, as a text.
    #[serde(default)]
    pub outputs: BTreeMap<String, Marked<Value>>,
    /// Those of the inner stack's outputs that are not secret. To programs in Python, TypeScript and Go a map that holds a secret is
    /// secret as a whole; what is taken from this one is not.
    #[serde(default)]
    pub plain_outputs: BTreeMap<String, Value>,
    /// How many resources the last inner update created, updated, replaced and so on, by operation.
    #[serde(default)]
    pub changes: BTreeMap<String, f64>,
    /// How many resources the inner stack has.
    #[serde(default)]
    pub resource_count: f64,
    /// The number of the last inner update, counted from 1. Absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_version: Option<f64>,
    /// When the last inner update ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// The page of the inner stack in Pulumi Cloud. Absent for self-managed backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How many resources of the inner stack were found to be other than its state says, by the operation that a refresh would do
    /// (`update`, `delete`), when the resource was last refreshed.
    #[serde(default)]
    pub drift: BTreeMap<String, f64>,
    /// Whether an inner update is due whatever the inputs: the last one has not ended well, or there was none yet.
    #[serde(default)]
    pub pending: bool,
    /// All that a run of the inner stack needs, for `StackUpdate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Secret<String>>,
    /// The inner stack's settings with its secrets as its secrets provider encrypted them: kept so that they need not be encrypted anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Secret<String>>,
}
