//! The plugin `pulumi-resource-ptd`.

use std::path::Path;
use std::process::ExitCode;

use ptd::stack::{REPORT, SUPERVISE, report_table};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == SUPERVISE => pulumi_automation::supervise(arguments),
        Some(first) if first == REPORT => report(arguments.next().as_deref().map(Path::new)),
        _ => pulumi_provider::run(ptd::package()),
    }
}

/// Prints the table of a report.
fn report(file: Option<&Path>) -> ExitCode {
    let Some(file) = file else {
        eprintln!("usage: pulumi-resource-ptd {REPORT} <file>");
        return ExitCode::FAILURE;
    };
    match report_table(file) {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
