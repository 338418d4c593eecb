//! What all provider processes of one run of the outer CLI share: who owns which inner stack, and how many run at once.
//!
//! A program with several explicit providers has several of these processes. They meet in a directory that is named after the
//! engine's address, which all of them are told. Locks on its files are freed by the kernel when a process ends, however it ends.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

/// How often a process that waits looks for a free slot.
const LOOK: Duration = Duration::from_millis(50);
/// Memory that one inner run is counted with: the CLI, a language host with its program, and some plugins.
const MEMORY_OF_ONE: u64 = 512 << 20;

/// The directory of one run.
#[derive(Debug, Clone)]
pub(super) struct RunFolder(PathBuf);

/// A right, to run for one, until it is dropped.
pub(super) struct Slot {
    _file: File,
}

/// The runs that this process is part of, for as long as it lives.
static ATTENDED: LazyLock<std::sync::Mutex<HashMap<PathBuf, File>>> =
    LazyLock::new(std::sync::Mutex::default);

/// Takes part in a run. Addresses of engines are used again: where nobody takes part any more, what lies there is an earlier run's,
/// and is forgotten.
fn attend(folder: &Path) -> io::Result<()> {
    let mut attended = ATTENDED.lock().unwrap_or_else(PoisonError::into_inner);
    if attended.contains_key(folder) {
        return Ok(());
    }
    let file = open(&folder.join("attendance"))?;
    if locked(&file)? {
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if ["owner-", "made-", "report"]
                .iter()
                .any(|kind| name.starts_with(kind))
            {
                std::fs::remove_file(folder.join(&*name))?;
            }
        }
        file.unlock()?;
    }
    file.lock_shared()?;
    attended.insert(folder.to_owned(), file);
    Ok(())
}

/// In this process one waits at a time, in the order of asking.
static QUEUE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path)
}

/// Makes a directory that nobody else can use, or finds that it is one.
fn private(path: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(path)?;
    let me = rustix::process::getuid().as_raw();
    if !found.is_dir() || found.uid() != me || found.mode() & 0o077 != 0 {
        let message = format!("{} is not a directory of this user alone", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

fn hashed(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..12])
}

/// What processes of this user share, whatever the run.
fn base() -> io::Result<PathBuf> {
    let base = std::env::temp_dir().join(format!("ptd-{}", rustix::process::getuid().as_raw()));
    private(&base)?;
    Ok(base)
}

/// Where the version of the CLI is written down.
pub(super) fn memory() -> io::Result<PathBuf> {
    base().map(|base| base.join("cli"))
}

/// What the files begin with that give a turn.
const TURN: &str = "turn-";

/// The right to remove stale locks of an inner stack, of whichever run; `None` while another process has it.
pub(super) fn turn(stack: &str) -> io::Result<Option<Slot>> {
    turn_at(&base()?.join(format!("{TURN}{}", hashed(stack))))
}

fn turn_at(path: &Path) -> io::Result<Option<Slot>> {
    loop {
        let file = open(path)?;
        if !locked(&file)? {
            return Ok(None);
        }
        // One that was swept away meanwhile excludes nobody.
        if is_at(&file, path)? {
            return Ok(Some(Slot { _file: file }));
        }
    }
}

/// Whether a file that was opened is still the one of that name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (opened, there) = (file.metadata()?, std::fs::metadata(path));
    Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino())))
}

impl RunFolder {
    /// The directory of the run of this engine.
    pub(super) fn of(engine: &str) -> io::Result<Self> {
        let base = base()?;
        let folder = base.join(hashed(engine));
        if !folder.exists() {
            sweep(&base);
        }
        private(&folder)?;
        attend(&folder)?;
        Ok(Self(folder))
    }

    /// Notes that `owner` says what becomes of an inner stack. Another owner of the same run is told.
    pub(super) fn claim(&self, stack: &str, owner: &str) -> io::Result<Option<String>> {
        let mut file = open(&self.0.join(format!("owner-{}", hashed(stack))))?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        if !text.is_empty() && text != owner {
            return Ok(Some(text));
        }
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(owner.as_bytes())?;
        Ok(None)
    }

    /// Who has claimed an inner stack in this run.
    pub(super) fn owner(&self, stack: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.0.join(format!("owner-{}", hashed(stack)))).ok()?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// Notes that creating a resource has taken an inner stack in this run.
    pub(super) fn note_made(&self, stack: &str) -> io::Result<()> {
        open(&self.0.join(format!("made-{}", hashed(stack)))).map(drop)
    }

    /// Whether that was noted.
    pub(super) fn is_made(&self, stack: &str) -> bool {
        self.0.join(format!("made-{}", hashed(stack))).exists()
    }

    /// What tells this run from others.
    pub(super) fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The file with what has run.
    pub(super) fn report(&self) -> PathBuf {
        self.0.join("report.json")
    }

    /// Waits for one of `limit` slots. `waiting` is called once when there is none.
    pub(super) async fn slot(&self, limit: usize, waiting: impl AsyncFnOnce()) -> io::Result<Slot> {
        if let Ok(_turn) = QUEUE.try_lock()
            && let Some(slot) = self.try_slot(limit)?
        {
            return Ok(slot);
        }
        waiting().await;
        let _turn = QUEUE.lock().await;
        // Between processes too, the first to ask is the first to get: the ticket's holder alone looks.
        let ticket = open(&self.0.join("next"))?;
        while !locked(&ticket)? {
            tokio::time::sleep(LOOK).await;
        }
        loop {
            if let Some(slot) = self.try_slot(limit)? {
                return Ok(slot);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn try_slot(&self, limit: usize) -> io::Result<Option<Slot>> {
        for number in 0..limit.max(1) {
            let file = open(&self.0.join(format!("slot-{number}")))?;
            if locked(&file)? {
                return Ok(Some(Slot { _file: file }));
            }
        }
        Ok(None)
    }
}

fn locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes what runs of days ago left.
fn sweep(base: &Path) {
    const OLD: Duration = Duration::from_hours(7 * 24);
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let age = entry
            .metadata()
            .and_then(|m| m.modified())
            .ok()
            .and_then(|at| at.elapsed().ok());
        if age.is_none_or(|age| age <= OLD) {
            continue;
        }
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(TURN) {
            // Only who has it may take it away: see `turn_at`.
            if let Ok(Some(_turn)) = turn_at(&path) {
                let _ = std::fs::remove_file(&path);
            }
        } else {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// How many inner stacks run at once unless configured: twice the cores and at least four, as far as memory allows.
pub(super) fn default_parallel() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let fits = |bytes| usize::try_from(bytes / MEMORY_OF_ONE).unwrap_or(usize::MAX);
    let memory = available_memory().map_or(usize::MAX, fits);
    (2 * cores).max(4).min(memory.max(1))
}

/// From `/proc`, which only Linux has.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, RunFolder) {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder(root.path().to_owned());
        (root, folder)
    }

    #[test]
    fn the_first_to_claim_owns() {
        let (_root, folder) = folder();
        assert_eq!(folder.owner("a"), None);
        assert_eq!(folder.claim("a", "one").unwrap(), None);
        assert_eq!(folder.claim("a", "one").unwrap(), None);
        assert_eq!(folder.claim("a", "two").unwrap(), Some("one".to_owned()));
        assert_eq!(folder.claim("b", "two").unwrap(), None);
        assert_eq!(folder.owner("a"), Some("one".to_owned()));
    }

    #[test]
    fn a_run_that_nobody_attends_is_forgotten() {
        let (root, folder) = folder();
        let here = root.path();
        let other = open(&here.join("attendance")).unwrap();
        other.lock_shared().unwrap();
        folder.claim("a", "one").unwrap();
        attend(here).unwrap();
        assert_eq!(folder.owner("a"), Some("one".to_owned()));
        ATTENDED.lock().unwrap().remove(here);
        attend(here).unwrap();
        assert_eq!(folder.owner("a"), Some("one".to_owned()));
        // Now both are gone.
        ATTENDED.lock().unwrap().remove(here);
        drop(other);
        attend(here).unwrap();
        assert_eq!(folder.owner("a"), None);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_at_once_and_in_order() {
        let (_root, folder) = folder();
        let first = folder.slot(2, async || panic!("free")).await.unwrap();
        let _second = folder.slot(2, async || panic!("free")).await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for number in 0..3 {
            let (folder, tell) = (folder.clone(), tell.clone());
            let (queued, is_queued) = tokio::sync::oneshot::channel();
            waiting.push(tokio::spawn(async move {
                let slot = folder
                    .slot(2, async move || queued.send(()).unwrap())
                    .await
                    .unwrap();
                tell.send(number).unwrap();
                drop(slot);
            }));
            is_queued.await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(told.try_recv().is_err());
        drop(first);
        for number in 0..3 {
            assert_eq!(told.recv().await, Some(number));
        }
    }

    #[test]
    fn old_turns_are_swept_and_none_is_given_twice() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str| root.path().join(name);
        let old = std::time::SystemTime::now() - Duration::from_hours(8 * 24);
        for name in ["turn-held", "turn-left", "turn-asked", "turn-new"] {
            let file = open(&place(name)).unwrap();
            if name != "turn-new" {
                file.set_modified(old).unwrap();
            }
        }
        let held = turn_at(&place("turn-held")).unwrap();
        assert!(held.is_some());
        // Somebody is about to take it: it is opened, and not yet locked.
        let asked = open(&place("turn-asked")).unwrap();
        sweep(root.path());
        assert!(place("turn-held").exists() && place("turn-new").exists());
        assert!(!place("turn-left").exists() && !place("turn-asked").exists());
        assert!(locked(&asked).unwrap() && !is_at(&asked, &place("turn-asked")).unwrap());
        assert!(turn_at(&place("turn-held")).unwrap().is_none());
        let taken = turn_at(&place("turn-asked")).unwrap();
        assert!(taken.is_some() && turn_at(&place("turn-asked")).unwrap().is_none());
    }

    #[test]
    fn others_cannot_look_in() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(&open)
            .unwrap();
        assert!(private(&open).is_err());
        let closed = root.path().join("closed");
        private(&closed).unwrap();
        private(&closed).unwrap();
    }
}
