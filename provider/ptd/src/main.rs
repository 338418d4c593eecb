//! The plugin `pulumi-resource-ptd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pulumi_provider::run(ptd::package())
}
