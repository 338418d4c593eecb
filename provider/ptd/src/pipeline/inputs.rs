//! The inputs of the pipeline components.

use std::collections::BTreeMap;

use pulumi_provider::{Marked, ProviderReference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::bootstrap::{BootstrapBucket, BootstrapKey, BootstrapSecrets};
use crate::azure::SoftDeleted;
use crate::defaults::yes;
use crate::stack::OnDelete;

/// How one step differs from the standard.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepOverrides {
    /// The directory of the step's project, relative to the program's directory. Default: `<programs>/<step>`, and for a custom step
    /// the folder that the manifest names.
    pub directory: Option<String>,
    /// Settings of the inner project, over those that the target's files and earlier steps give. A key without a namespace gets the
    /// project's name as one.
    pub config: Option<BTreeMap<String, Marked<Value>>>,
    /// Environment variables of the step, over those for all steps.
    pub environment: Option<BTreeMap<String, Marked<String>>>,
    /// Names of variables of the outer run's environment that the step gets although their names begin with `PULUMI`, beside those
    /// for all steps.
    pub inherit_environment: Option<Vec<String>>,
    /// Values whose change runs the step again.
    pub triggers: Option<BTreeMap<String, Marked<Value>>>,
    /// Files and directories, relative to the program's directory, whose change runs the step again, beside those for all steps.
    pub watch: Option<Vec<String>>,
    /// Settings that are outputs of earlier steps: setting to `<step>.<output>`, such as `persistent.db_address`. It replaces the
    /// standard ones, which `listSteps` shows; custom steps have none by default. The step waits for those it takes from.
    pub consumes: Option<BTreeMap<String, String>>,
    /// What happens to the step's stack when it is deleted, instead of what the component says for all.
    pub on_delete: Option<OnDelete>,
    /// Whether updates of the step first bring its state to what its resources really are, instead of what the component says for
    /// all.
    pub refresh: Option<bool>,
    /// How many resources of the step are worked on at once, at least 1. Default: that of the `pulumi` program.
    #[schemars(range(min = 1))]
    pub parallel: Option<u32>,
    /// More inputs of the step's `Stack` resource, by their names there.
    pub stack_inputs: Option<BTreeMap<String, Marked<Value>>>,
}

/// How the bootstrap step differs from the standard; see `aws.Bootstrap` and `azure.Bootstrap`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineBootstrap {
    /// Whether the component has a bootstrap step. Default: `true` for a workload, `false` for a control room. With `false` something else
    /// makes the state bucket, the key and the secrets.
    pub manage: Option<bool>,
    /// Whether to take over what exists under the expected names. Default `true`.
    pub adopt: Option<bool>,
    /// How the state bucket differs from the defaults.
    pub state_bucket: Option<BootstrapBucket>,
    /// How the encryption key differs from the defaults.
    pub encryption_key: Option<BootstrapKey>,
    /// How the secrets differ from the defaults.
    pub secrets: Option<BootstrapSecrets>,
    /// Tags for everything; on Azure, for the resource group.
    pub tags: Option<BTreeMap<String, String>>,
    /// How the bootstrap of a workload on Azure differs from the standard. `stateBucket`, `encryptionKey` and `secrets` are for AWS.
    pub azure: Option<PipelineAzureBootstrap>,
}

/// How the bootstrap step of a workload on Azure differs from the standard; see `azure.Bootstrap`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineAzureBootstrap {
    /// What to do with a deleted vault, key or secret of the expected name: recover it, or report it as an error. Default `recover`.
    pub soft_deleted: Option<SoftDeleted>,
    /// Whether nobody can purge the deleted vault before its time. It cannot be turned off again. Default: as it is, for a new
    /// vault off.
    pub purge_protection: Option<bool>,
    /// Whether deleting the step may delete what it consists of. Default `false`: deleting is refused.
    pub allow_delete: Option<bool>,
    /// Whether deleting the step may delete a state container that holds blobs, and a resource group with other things in it.
    /// Default `false`.
    pub force_destroy: Option<bool>,
}

/// The environment variable with the targets directory, and the directory without it.
pub(crate) fn infra() -> String {
    "infra".to_owned()
}

/// A component's inputs: those that all pipelines have, and its own.
macro_rules! pipeline_args {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// The target's name: that of its directory below `__work__` or `__ctrl__`.
            pub target: String,
            /// The directory that holds `__work__` and `__ctrl__`, relative to the program's directory. Default: the environment
            /// variable `PTD_TARGETS_CONFIG_DIR`, else `infra`.
            #[serde(default = "infra")]
            #[schemars(extend("env" = ["PTD_TARGETS_CONFIG_DIR"]))]
            pub targets_dir: String,
            /// The directory with one Pulumi project for each step, in a folder of the step's name (`eks` or `aks` for the cluster
            /// step), relative to the program's directory. Each project is called `ptd-<cloud>-<type>-<step>`, with hyphens.
            pub programs: String,
            /// Whether the steps of `customizations/manifest.yaml` take part. Default `true`.
            #[serde(default = "yes")]
            pub custom_steps: bool,
            /// Only these steps run; the others keep their state and go on giving their outputs. Default and when empty: all. `kubernetes`,
            /// `eks` and `aks` all mean the cluster step.
            pub only_steps: Option<Vec<String>>,
            /// The first step to run: those before it keep their state and go on giving their outputs. Default and when empty: the
            /// first of all.
            pub start_at_step: Option<String>,
            /// Only these resources of the inner stacks are updated, by URN; steps without any of them do not run. Not together with
            /// `excludeResources`.
            pub target_resources: Option<Vec<String>>,
            /// These resources of the inner stacks are left out, by URN. Not together with `targetResources`.
            pub exclude_resources: Option<Vec<String>>,
            /// Whether updates of the steps first bring their state to what their resources really are. Default: no.
            pub refresh: Option<bool>,
            /// How single steps differ from the standard, by step.
            pub steps: Option<BTreeMap<String, StepOverrides>>,
            /// The URL of the backend of the steps' stacks. Default: the bootstrap step's bucket,
            /// `s3://ptd-<target>?region=<region>`, or storage account, `azblob://blob-ptd-<target>?storage_account=<account>`.
            pub backend_url: Option<String>,
            /// How the stacks encrypt their secrets. Default: the bootstrap step's key,
            /// `awskms://alias/posit-team-dedicated?region=<region>`, or `azurekeyvault://<vault>.vault.azure.net/keys/posit-team-dedicated`.
            pub secrets_provider: Option<String>,
            /// What happens to the steps' stacks when they are deleted. Default `refuse`: a stack with resources is not deleted.
            pub on_delete: Option<OnDelete>,
            /// Files and directories, relative to the program's directory, that all steps share: a change of one runs all of them again.
            pub watch: Option<Vec<String>>,
            /// Environment variables for all steps, such as `PULUMI_CONFIG_PASSPHRASE`.
            pub environment: Option<BTreeMap<String, Marked<String>>>,
            /// Names of variables of the outer run's environment that all steps get although their names begin with `PULUMI`.
            pub inherit_environment: Option<Vec<String>>,
            /// How the bootstrap step differs from the standard.
            pub bootstrap: Option<PipelineBootstrap>,
            /// More inputs of every step's `Stack` resource, by their names there.
            pub stack_inputs: Option<BTreeMap<String, Marked<Value>>>,
            $($own)*
        }
    };
}

pipeline_args! {
    /// The pipeline of a workload: every step of its `ptd.yaml` as an inner stack, in the right order, with what each step takes from earlier
    /// ones as its settings. Steps that do not depend on each other run at the same time.
    ///
    /// The steps are `bootstrap`, `persistent`, `postgres_config`, `eks` (on Azure `aks`), `clusters`, `helm` and `sites`, and the custom ones
    /// of `customizations/manifest.yaml` where the manifest puts them. `listSteps` shows them with their edges.
    ///
    /// Children are named after the component: `<name>-bootstrap`, an `aws.Bootstrap` or `azure.Bootstrap`, and `<name>-<step>`, a `Stack` for
    /// every other step; on AWS `<name>-workload-secret-fields`, which puts `persistent`'s outputs into the workload secret;
    /// and `<name>-mimir-auth` and `<name>-control-room`, the entry in the control room's secret and the provider for its account. Stacks that exist already are
    /// taken over as they are.
    pub struct WorkloadArgs {
        /// Whether `persistent` runs again after all other steps, as `persistent_reprise`, a `PersistentReprise`. Default `false`.
        #[serde(default)]
        pub persistent_reprise: bool,
        /// Whether `persistent`'s outputs are put into the workload secret, which `clusters`, `helm` and `sites` read. Default `true`.
        #[serde(default = "yes")]
        pub workload_secret: bool,
        /// Whether `persistent`'s password for Mimir becomes the workload's entry in the secret of the control room that its `ptd.yaml`
        /// names. Without a control room there is nothing to do. Default `true`.
        #[serde(default = "yes")]
        pub mimir_auth: bool,
        /// The provider to reach the control room with. Default: a new one, which assumes the role `admin.posit.team` in the control
        /// room's account with the credentials of the environment.
        pub control_room_provider: Option<ProviderReference>,
    }
}

pipeline_args! {
    /// The pipeline of a control room: every step of its `ptd.yaml` as an inner stack, in the right order, with what each step takes from
    /// earlier ones as its settings.
    ///
    /// The steps are `workspaces`, `persistent`, `postgres_config` and `cluster`, and the custom ones of
    /// `customizations/manifest.yaml` where the manifest puts them; `bootstrap` is the first when `bootstrap.manage` asks for it.
    ///
    /// Children are named after the component: `<name>-<step>`, a `Stack` for each step, and `<name>-bootstrap`, an
    /// `aws.Bootstrap`. Stacks that exist already are taken over as they are.
    pub struct ControlRoomArgs {}
}

/// What the steps give.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineOutputs {
    /// The outputs of each step, by step; secret ones stay secret. The cluster step is called `eks` or `aks`.
    pub steps: BTreeMap<String, BTreeMap<String, Marked<Value>>>,
    /// The backend of the steps' stacks.
    pub backend_url: String,
    /// How the stacks encrypt their secrets.
    pub secrets_provider_url: String,
    /// The names of the steps in order, those that do not run included.
    pub step_names: Vec<String>,
}
