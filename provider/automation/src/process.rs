//! Processes that never outlive who started them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::Error;
use crate::cli::Environment;
use crate::supervise::SIGNALLED;

/// How much of what a process writes is kept: the end of it.
const KEPT: usize = 4 << 20;
/// How often it is looked whether what was killed has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How long that is waited for: one that the kernel holds, by a file system that does not answer say, ends later.
const HELD: Duration = Duration::from_secs(5);

/// With this code a supervisor tells that the program was killed.
const KILLED: i32 = SIGNALLED + Signal::KILL.as_raw();

/// A process still to be started.
pub(crate) struct Command {
    name: String,
    inner: tokio::process::Command,
    input: Option<Zeroizing<String>>,
    cancel: CancellationToken,
    grace: Duration,
    limit: Option<Duration>,
    supervised: bool,
    kept: usize,
}

/// What a process left.
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The end of what it wrote to its standard output; it may be megabytes.
    pub stdout: Vec<u8>,
    /// The same of its standard error.
    pub stderr: String,
    /// How it was made to end, if it was.
    pub cancelled: Option<Cancelled>,
}

/// Without the texts: they may hold credentials.
impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ended")
            .field("code", &self.code)
            .field("cancelled", &self.cancelled)
            .finish_non_exhaustive()
    }
}

/// How a process was made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled {
    /// It took too long; otherwise somebody asked for it.
    pub timeout: bool,
    /// It did not end by itself within the grace period.
    pub killed: bool,
}

/// A process and all that it started, which must not outlive it. Plugins are in process groups of their own, so that no
/// single signal reaches them all.
struct Family {
    leader: Option<Pid>,
    /// Whether the leader is a supervisor, which ends all of them in order.
    supervised: bool,
    /// Whether the leader has ended, so that its number may be another's by now.
    ended: AtomicBool,
}

impl Family {
    /// The leader alone is asked: it tells its own children when and how to end.
    fn interrupt(&self) {
        if let Some(pid) = self.leader {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process(pid, Signal::INT);
        }
    }

    fn members(&self) -> Vec<Member> {
        self.leader.map(descendants).unwrap_or_default()
    }

    /// Kills the group of the leader, and those once seen to descend from it.
    fn kill(&self, members: &[Member]) {
        if let Some(pid) = self.leader {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        members.iter().for_each(Member::kill);
    }
}

/// Kills processes until none of them lives. The signal alone is not enough: a busy machine takes its time to deliver it, and
/// meanwhile they still write.
pub(crate) async fn end(found: impl Fn() -> Vec<Member>) {
    let all = async {
        loop {
            let mut living = found();
            living.retain(Member::lives);
            if living.is_empty() {
                return;
            }
            living.iter().for_each(Member::kill);
            tokio::time::sleep(LOOK).await;
        }
    };
    let _ = tokio::time::timeout(HELD, all).await;
}

impl Drop for Family {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        if self.supervised {
            self.interrupt();
        } else {
            self.kill(&self.members());
        }
    }
}

/// What `/proc`, which only Linux has, tells of a process.
pub(crate) struct Stat {
    /// It ended, and was not yet waited for.
    pub(crate) zombie: bool,
    parent: i32,
    /// When it was started, in clock ticks since the machine was.
    pub(crate) start: u64,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            // Of several threads, others may still be at work when the first one has ended.
            zombie: *fields.first()? == "Z" && fields.get(17)?.parse::<u32>().ok()? <= 1,
            parent: fields.get(1)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }
}

/// A process; when it started tells it from a later one with the same number.
#[derive(Clone)]
pub(crate) struct Member {
    pid: Pid,
    parent: i32,
    start: u64,
}

impl Member {
    /// From `/proc`, which only Linux has; elsewhere none are found, and process groups have to do.
    fn look(pid: Pid) -> Option<Self> {
        let Stat { parent, start, .. } = Stat::of(number(pid))?;
        Some(Self { pid, parent, start })
    }

    fn lives(&self) -> bool {
        Stat::of(number(self.pid)).is_some_and(|now| !now.zombie && now.start == self.start)
    }

    pub(crate) fn kill(&self) {
        if self.lives() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// All processes that descend from this one, without itself.
pub(crate) fn descendants(of: Pid) -> Vec<Member> {
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut others: Vec<Member> = numbers
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter_map(Member::look)
        .collect();
    let mut found: Vec<Member> = Vec::new();
    let mut parents = vec![of.as_raw_nonzero().get()];
    while let Some(parent) = parents.pop() {
        let (children, rest) = others.into_iter().partition(|other| other.parent == parent);
        others = rest;
        let children: Vec<Member> = children;
        parents.extend(
            children
                .iter()
                .map(|child| child.pid.as_raw_nonzero().get()),
        );
        found.extend(children);
    }
    found
}

impl Command {
    pub(crate) fn new(program: &Path, environment: &Environment, directory: &Path) -> Self {
        let mut inner = tokio::process::Command::new(program);
        inner.env_clear();
        for (name, value) in environment.iter() {
            inner.env(name, value);
        }
        inner
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let name = PathBuf::from(program)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Self {
            name,
            inner,
            input: None,
            cancel: CancellationToken::new(),
            grace: Duration::ZERO,
            limit: None,
            supervised: false,
            kept: KEPT,
        }
    }

    /// The program is a supervisor, which may take its time to end.
    pub(crate) fn supervised(mut self) -> Self {
        self.inner.kill_on_drop(false);
        self.supervised = true;
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        self.inner.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.inner.env(name, value);
        self
    }

    /// All of what it writes to its standard output is kept, however much that is.
    pub(crate) fn whole(mut self) -> Self {
        self.kept = usize::MAX / 2;
        self
    }

    /// What it reads from its standard input.
    pub(crate) fn input(mut self, input: Zeroizing<String>) -> Self {
        self.inner.stdin(Stdio::piped());
        self.input = Some(input);
        self
    }

    /// When it is to end early, and how long it then has to do so by itself.
    pub(crate) fn until(
        mut self,
        cancel: &CancellationToken,
        grace: Duration,
        limit: Option<Duration>,
    ) -> Self {
        self.cancel = cancel.clone();
        self.grace = grace;
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self) -> Result<Ended, Error> {
        let fail = |what: &str| Error::io(format!("{what} {}", self.name));
        let mut child = self.inner.spawn().map_err(fail("starting"))?;
        let family = Family {
            leader: child
                .id()
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
            supervised: self.supervised,
            ended: AtomicBool::new(false),
        };
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, self.input.take()) {
                // A process that ends without reading says why by itself.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let cancel = self.cancel.clone();
        let (grace, limit) = (self.grace, self.limit);
        let work = async {
            let ended = wait(&mut child, &family, &cancel, grace, limit).await;
            // Children that still hold its output would keep the readers below waiting.
            family.kill(&[]);
            family.ended.store(true, Ordering::Relaxed);
            ended
        };
        let (ended, (), stdout, stderr) =
            tokio::join!(work, feed, tail(stdout, self.kept), tail(stderr, KEPT));
        let (code, cancelled) = ended.map_err(fail("waiting for"))?;
        // A supervisor tells by such a number that the program was ended by a signal.
        let code = code.filter(|code| !(129..=159).contains(code));
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok(Ended {
            code,
            stdout,
            stderr,
            cancelled,
        })
    }
}

async fn wait(
    child: &mut Child,
    family: &Family,
    cancel: &CancellationToken,
    grace: Duration,
    limit: Option<Duration>,
) -> std::io::Result<(Option<i32>, Option<Cancelled>)> {
    let late = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let timeout = tokio::select! {
        status = child.wait() => return Ok((status?.code(), None)),
        () = cancel.cancelled() => false,
        () = late => true,
    };
    // Whoever is still there afterwards can no longer be told from others: their parent is gone.
    let mut members = family.members();
    family.interrupt();
    // A supervisor gives that time to the program, ends all the others, and tells by its code whether it had to kill.
    let patience = if family.supervised {
        grace + 2 * HELD
    } else {
        grace
    };
    let late = tokio::time::timeout(patience, child.wait()).await.is_err();
    if late {
        members.extend(family.members());
        family.kill(&members);
    }
    let status = child.wait().await?;
    let killed = late || (family.supervised && status.code() == Some(KILLED));
    // From here on its number may be another's.
    family.ended.store(true, Ordering::Relaxed);
    end(|| members.clone()).await;
    Ok((status.code(), Some(Cancelled { timeout, killed })))
}

/// The end of what is written to a pipe.
async fn tail(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return kept };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count) = pipe.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > 2 * most {
            kept.drain(..kept.len() - most);
        }
    }
    kept
}
