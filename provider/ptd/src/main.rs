//! The plugin `pulumi-resource-ptd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == ptd::stack::SUPERVISE)
    {
        return pulumi_automation::supervise(arguments);
    }
    pulumi_provider::run(ptd::package())
}
