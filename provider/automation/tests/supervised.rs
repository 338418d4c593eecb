//! What a supervisor sees to. This program is its own: it is the test, the driver that is killed, and the supervisor.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pulumi_automation::{Cancelled, Environment, Tool, Until, supervise};

/// Starts a child, tells of both, and ends when the child does.
const WAITS: &str = "sleep 600 & echo $! $$ >pids; wait";
/// As that, but deaf.
const STAYS: &str = "trap '' INT; sleep 600 & echo $! $$ >pids; wait; wait; wait";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next() == Some("supervise".into()) {
        return supervise(arguments);
    }
    let mut arguments = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if arguments.next().as_deref() == Some("drive") {
        let (program, grace) = (arguments.next().unwrap(), Duration::from_millis(300));
        let until = Until {
            grace,
            ..Until::default()
        };
        let _ = runtime.block_on(run(Path::new("."), &program, &until));
        return ExitCode::SUCCESS;
    }
    runtime.block_on(async {
        ends_as_its_program_does().await;
        ends_when_it_is_asked_to().await;
        ends_with_its_driver().await;
    });
    ExitCode::SUCCESS
}

async fn run(place: &Path, program: &str, until: &Until) -> pulumi_automation::Ended {
    let this = std::env::current_exe().unwrap();
    let tool = Tool::at("/bin/sh", Environment::inherit(["PATH"]))
        .supervised_by([this.into_os_string(), OsString::from("supervise")]);
    tool.run(place, ["-c", program], until).await.unwrap()
}

async fn pids(place: &Path) -> Vec<String> {
    for _ in 0..1200 {
        let text = fs::read_to_string(place.join("pids")).unwrap_or_default();
        if text.ends_with('\n') {
            return text.split_whitespace().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the program was not started");
}

fn lives(pid: &str) -> bool {
    // A process that has ended and waits to be asked for its status lives no more.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn ends_as_its_program_does() {
    let place = tempfile::tempdir().unwrap();
    let until = Until::default();
    let ended = run(place.path(), "echo said; echo wrong >&2; exit 7", &until).await;
    assert_eq!((ended.code, ended.cancelled), (Some(7), None));
    assert_eq!(
        (&ended.stdout[..], &ended.stderr[..]),
        (&b"said\n"[..], "wrong\n")
    );
    let ended = run(place.path(), "kill -TERM $$", &until).await;
    assert_eq!((ended.code, ended.cancelled), (None, None));
    // What it leaves behind ends with it.
    let left = "sleep 600 >/dev/null 2>&1 & echo $! $$ >pids";
    assert_eq!(run(place.path(), left, &until).await.code, Some(0));
    assert!(pids(place.path()).await.iter().all(|pid| !lives(pid)));
}

async fn ends_when_it_is_asked_to() {
    for (program, killed, grace) in [(WAITS, false, 60_000), (STAYS, true, 300)] {
        let place = tempfile::tempdir().unwrap();
        let until = Until {
            grace: Duration::from_millis(grace),
            ..Until::default()
        };
        let (ended, pids) = tokio::join!(run(place.path(), program, &until), async {
            let pids = pids(place.path()).await;
            until.cancel.cancel();
            pids
        });
        let timeout = false;
        assert_eq!(ended.cancelled, Some(Cancelled { timeout, killed }));
        assert!(pids.iter().all(|pid| !lives(pid)), "{pids:?}");
    }
}

async fn ends_with_its_driver() {
    for program in [WAITS, STAYS] {
        let place = tempfile::tempdir().unwrap();
        let mut driver = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["drive", program])
            .current_dir(place.path())
            .spawn()
            .unwrap();
        let pids = pids(place.path()).await;
        assert!(pids.iter().all(|pid| lives(pid)), "{pids:?}");
        driver.kill().await.unwrap();
        for _ in 0..1200 {
            if pids.iter().all(|pid| !lives(pid)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(pids.iter().all(|pid| !lives(pid)), "{pids:?}");
    }
}
