//! The `ptd` provider: bootstrap and run Posit Team Dedicated platforms as one Pulumi program.

#![forbid(unsafe_code)]

mod adoption;
pub mod aws;
pub mod azure;
mod causes;
mod checks;
pub mod config;
mod defaults;
pub mod generate;
pub mod get_target;
mod http;
pub mod pipeline;
pub mod plan_capacity;
pub mod reprise;
pub mod stack;
pub mod tags;
pub mod target;

use pulumi_provider::{Checking, Diff, Error, Package, Path, Provider};
use serde_json::json;

use aws::clients::AwsClients;
use azure::clients::AzureClients;
use config::ProviderConfig;

/// The configured provider. Nothing remote is called before a resource needs it.
#[derive(Debug)]
pub struct Ptd {
    /// What it was configured with.
    pub config: ProviderConfig,
    /// AWS.
    pub aws: AwsClients,
    /// Azure.
    pub azure: AzureClients,
}

impl Provider for Ptd {
    type Config = ProviderConfig;

    fn check(checking: &mut Checking<'_>) {
        let Some(config) = checking.args::<ProviderConfig>() else {
            return;
        };
        for problem in config.validate() {
            checking.fail(Path::parse(&problem.path), problem.problem);
        }
    }

    fn diff(diff: &mut Diff, urn: &str) {
        aws::control_room::diff_provider(diff, urn);
    }

    fn configure(config: ProviderConfig) -> Result<Self, Error> {
        Ok(Self {
            azure: AzureClients::new(config.azure.clone().unwrap_or_default(), &config.common),
            aws: AwsClients::new(config.aws.clone(), config.common.clone()),
            config,
        })
    }
}

/// The version of the provider, its schema and its SDKs.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Everything the provider offers.
#[must_use]
#[expect(clippy::too_many_lines, reason = "one line for each thing it offers")]
pub fn package() -> Package<Ptd> {
    let repository = env!("CARGO_PKG_REPOSITORY");
    Package::new("ptd", VERSION)
        .metadata("displayName", "Posit Team Dedicated")
        .metadata("description", env!("CARGO_PKG_DESCRIPTION"))
        .metadata(
            "keywords",
            json!([
                "ptd",
                "posit",
                "bootstrap",
                "pipeline",
                "category/infrastructure",
                "kind/native"
            ]),
        )
        .metadata("homepage", repository)
        .metadata("repository", repository)
        .metadata("license", env!("CARGO_PKG_LICENSE"))
        .metadata("publisher", "Posit")
        .metadata(
            "attribution",
            "Names, steps and defaults are those of the platforms of [Posit](https://posit.co).",
        )
        .metadata(
            "logoUrl",
            "https://raw.githubusercontent.com/posit-dev/pulumi-ptd/main/assets/logo.svg",
        )
        // Where the engine looks for the archives of a release.
        .metadata(
            "pluginDownloadURL",
            "github://api.github.com/posit-dev/pulumi-ptd",
        )
        .language(
            "python",
            json!({
                "packageName": "pulumi_ptd",
                "requires": { "pulumi": ">=3.231.0,<4.0.0" },
                "pyproject": { "enabled": true },
                "readme": include_str!("readme/python.md"),
                "respectSchemaVersion": true,
            }),
        )
        .language(
            "nodejs",
            json!({
                "packageName": "@posit-dev/pulumi-ptd",
                "packageDescription": "Bootstrap and run Posit Team Dedicated platforms as one Pulumi program.",
                "readme": include_str!("readme/nodejs.md"),
                "dependencies": { "@pulumi/pulumi": "^3.142.0" },
                "devDependencies": { "@types/node": "^20", "typescript": "^5.9.3" },
                "respectSchemaVersion": true,
            }),
        )
        .language(
            "go",
            json!({
                "importBasePath": "github.com/posit-dev/pulumi-ptd/sdk/go/ptd",
                "modulePath": "github.com/posit-dev/pulumi-ptd/sdk/go",
                "generateResourceContainerTypes": true,
                "respectSchemaVersion": true,
            }),
        )
        .language(
            "csharp",
            json!({
                "rootNamespace": "PositDev",
                "packageReferences": { "Pulumi": "3.*" },
                "respectSchemaVersion": true,
            }),
        )
        .language(
            "java",
            json!({ "basePackage": "dev.posit", "buildFiles": "gradle" }),
        )
        .resource::<aws::state_bucket::StateBucket>()
        .resource::<aws::encryption_key::EncryptionKey>()
        .resource::<aws::admin_policy::AdminPolicy>()
        .resource::<aws::secret::Secret>()
        .resource::<aws::secret_fields::SecretFields>()
        .component::<aws::bootstrap::Bootstrap>()
        .component::<aws::post_actions::WorkloadSecretFields>()
        .component::<aws::post_actions::MimirAuthEntry>()
        .component::<reprise::PersistentReprise>()
        .resource::<azure::resource_group::ResourceGroup>()
        .resource::<azure::key_vault::KeyVault>()
        .resource::<azure::encryption_key::EncryptionKey>()
        .resource::<azure::state_storage::StateStorage>()
        .resource::<azure::role_assignment::RoleAssignment>()
        .resource::<azure::vault_secret::VaultSecret>()
        .component::<azure::bootstrap::Bootstrap>()
        .resource::<azure::aks_cluster::AksCluster>()
        .resource::<azure::agent_pool::AgentPool>()
        .component::<azure::aks::Aks>()
        .resource::<stack::Stack>()
        .resource::<stack::StackUpdate>()
        .component::<pipeline::Workload>()
        .component::<pipeline::ControlRoom>()
        .function::<get_target::GetTarget>()
        .function::<plan_capacity::PlanCapacity>()
        .function::<pipeline::ListSteps>()
        .function::<pipeline::PlanTakeover>()
        .function::<pipeline::StackCommand>()
}
