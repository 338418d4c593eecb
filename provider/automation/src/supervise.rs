//! A process between the driver and the CLI, which outlives neither.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::process::{descendants, end};

/// How often it is looked whether the driver still lives.
const LOOK: Duration = Duration::from_millis(100);
/// What is added to the number of a signal that ended the program.
pub(crate) const SIGNALLED: i32 = 128;

/// What a program does that [`Cli::supervised_by`](crate::Cli::supervised_by) names: `arguments` are those after the ones given
/// there.
///
/// The program, the CLI say, runs as its child. When the driver dies, even by SIGKILL, it is interrupted, has its grace to end by
/// itself, and is then killed; in each case nothing that it started is left behind.
#[must_use]
pub fn supervise(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(run(arguments.into_iter().collect())));
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("supervising a program: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Vec<OsString>) -> io::Result<i32> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "not started by a driver");
    let number = |at: usize| arguments.get(at)?.to_str()?.parse::<u64>().ok();
    let (Some(driver), Some(grace), Some(program)) = (number(0), number(1), arguments.get(2))
    else {
        return Err(wrong());
    };
    if driver == 0 {
        return Err(become_program(program, &arguments[3..]));
    }
    #[cfg(target_os = "linux")]
    // What loses its parent becomes a child of this process, and is found.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // This program once more, which then becomes the other one: see below.
    let mut given = std::env::args_os();
    let this = std::env::current_exe()?;
    let count = given.len() - arguments.len();
    let mut child = tokio::process::Command::new(this)
        .args(given.by_ref().take(count).skip(1))
        .args(["0", "0"])
        .args(&arguments[2..])
        .spawn()?;
    let leader = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let asked = async {
        let lives =
            || getppid().is_some_and(|p| u64::try_from(p.as_raw_nonzero().get()) == Ok(driver));
        let orphaned = async {
            while lives() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            () = orphaned => (),
        }
    };
    let ends_early = tokio::select! {
        _ = child.wait() => false,
        () = asked => true,
    };
    if ends_early {
        if let Some(leader) = leader {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process(leader, Signal::INT);
        }
        let _ = tokio::time::timeout(Duration::from_millis(grace), child.wait()).await;
    }
    end(|| descendants(rustix::process::getpid())).await;
    let status = child.wait().await?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    let code = status.code().or(signal.map(|signal| SIGNALLED + signal));
    Ok(code.unwrap_or(SIGNALLED))
}

/// Becomes the program, which is interrupted when the supervisor dies: the kernel remembers that across the change of programs.
#[expect(clippy::disallowed_methods, reason = "it is not waited for")]
fn become_program(program: &OsString, arguments: &[OsString]) -> io::Error {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::INT)) {
        return error.into();
    }
    std::os::unix::process::CommandExt::exec(std::process::Command::new(program).args(arguments))
}
