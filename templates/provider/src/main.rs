//! {{description}}

mod greeting;

use std::process::ExitCode;

use greeting::Greeting;
use pulumi_provider::{Error, Package, Provider};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a user configures once for all resources: `pulumi config set {{package}}:directory ...`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// The directory that holds the greetings. It must exist. Default: the environment variable `GREETINGS`.
    #[schemars(extend("env" = ["GREETINGS"]))]
    pub directory: String,
}

/// The configured provider. Clients of a remote API belong here; make them, but call nothing yet.
pub struct Configured {
    /// See [`Config`].
    pub config: Config,
}

impl Provider for Configured {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(Self { config })
    }
}

fn main() -> ExitCode {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let module = repository.trim_start_matches("https://");
    let package = Package::<Configured>::new("{{package}}", env!("CARGO_PKG_VERSION"))
        .metadata("description", env!("CARGO_PKG_DESCRIPTION"))
        .metadata("repository", repository)
        // The SDKs have the version of the plugin, which they ask the engine for.
        .language(
            "python",
            json!({ "respectSchemaVersion": true, "pyproject": { "enabled": true } }),
        )
        .language("nodejs", json!({ "respectSchemaVersion": true }))
        .language(
            "go",
            json!({
                "respectSchemaVersion": true,
                "importBasePath": format!("{module}/sdk/go/{{package}}"),
            }),
        )
        // One line for each resource, component or function.
        .resource::<Greeting>();
    pulumi_provider::run(package)
}
