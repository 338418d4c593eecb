//! Locks on stacks, and whether their holders are still there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Location;
#[cfg(target_os = "linux")]
use crate::process::Stat;

/// A lock on a stack, as the CLI reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Where the lock is kept.
    pub url: String,
    /// Who holds it: the user's name.
    pub user: String,
    /// The host it was taken on.
    pub host: String,
    /// The process that took it.
    pub pid: u32,
    /// When it was taken, RFC 3339.
    pub since: String,
}

/// What can be said of the process that took a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// It is at work on this host.
    Alive,
    /// It was on this host and is there no more: the lock is stale.
    Gone,
    /// It is on another host, or in another container: nothing is known of it.
    Unknown,
}

impl Lock {
    /// Looks for the process that took the lock.
    #[must_use]
    pub fn holder(&self) -> Holder {
        let here = rustix::system::uname();
        if here.nodename().to_str() != Ok(self.host.as_str()) || !sees_all_of_host() {
            return Holder::Unknown;
        }
        let Some(started) = started(self.pid) else {
            return Holder::Gone;
        };
        match OffsetDateTime::parse(&self.since, &Rfc3339) {
            // Another process that got the same number. Clocks of processes tick in hundredths, and boot time is known to the second.
            Ok(since) if started > since.unix_timestamp() + 2 => Holder::Gone,
            _ => Holder::Alive,
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            host,
            pid,
            since,
            ..
        } = self;
        write!(f, "{user}@{host} (process {pid}) since {since}")
    }
}

/// How long writing a lock may take.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Where a backend in a directory keeps the locks of a stack.
pub(crate) fn folder(of: &Location) -> Option<PathBuf> {
    let root = of.backend().strip_prefix("file://")?;
    let root = root.split('?').next().unwrap_or_default();
    let root = match root.strip_prefix('~') {
        Some(below) => std::env::home_dir()?.join(below.trim_start_matches('/')),
        None => root.into(),
    };
    let locks = root.join(".pulumi/locks").join(of.full_name());
    Some(locks)
}

/// Removes the files that would have become locks.
pub(crate) fn remove_halves(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    let entries = match std::fs::read_dir(folder) {
        // It was never locked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let half = path.extension().is_some_and(|extension| extension == "tmp");
        let age = path.metadata().and_then(|file| file.modified())?.elapsed();
        if half && age.is_ok_and(|age| age > WRITTEN_WITHIN) {
            std::fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a process that cannot be seen is not there. A container may have the host's name and yet see its own processes only.
fn sees_all_of_host() -> bool {
    // Numbers of the first namespaces of each kind, fixed in the kernel's `include/linux/proc_ns.h`.
    const HOST_NAMES: &str = "uts:[4026531838]";
    const ALL_PROCESSES: &str = "pid:[4026531836]";
    let is = |kind: &str, first: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}"));
        link.map_or(true, |link| link.as_os_str() == first)
    };
    // A name of its own belongs to the container alone.
    is("pid", ALL_PROCESSES) || !is("uts", HOST_NAMES)
}

/// When a process was started, in seconds since 1970; `None` when there is none.
#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<i64> {
    let process = Stat::of(pid).filter(|process| !process.zombie)?;
    let ticks = i64::try_from(process.start).ok()?;
    let per_second = i64::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<i64>().ok()? + ticks / per_second)
}

#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<i64> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
    match rustix::process::test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => None,
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(host: &str, pid: u32, since: &str) -> Lock {
        let (url, user) = ("file:///x".to_owned(), "me".to_owned());
        Lock {
            url,
            user,
            host: host.to_owned(),
            pid,
            since: since.to_owned(),
        }
    }

    #[test]
    fn what_never_became_a_lock_goes_and_locks_stay() {
        let place = tempfile::tempdir().expect("directory");
        let old = std::time::SystemTime::now() - Duration::from_mins(1);
        for (name, age) in [
            ("a.json", old),
            ("b.json.17.tmp", old),
            ("c.json.18.tmp", std::time::SystemTime::now()),
        ] {
            let file = std::fs::File::create(place.path().join(name)).expect("file");
            file.set_modified(age).expect("time");
        }
        assert_eq!(remove_halves(place.path()).expect("removed"), 1);
        let mut left: Vec<_> = std::fs::read_dir(place.path())
            .expect("files")
            .flatten()
            .map(|f| f.file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["a.json", "c.json.18.tmp"]);
        let of = Location::new("file:///states?no_tmp_dir=true", "organization/inner/dev")
            .expect("location");
        assert_eq!(
            folder(&of),
            Some(PathBuf::from(
                "/states/.pulumi/locks/organization/inner/dev"
            ))
        );
    }

    #[tokio::test]
    async fn only_a_process_that_is_gone_makes_a_lock_stale() {
        let name = rustix::system::uname()
            .nodename()
            .to_str()
            .unwrap()
            .to_owned();
        let now = OffsetDateTime::now_utc();
        let now = format!(
            "{}T{:02}:{:02}:{:02}Z",
            now.date(),
            now.hour(),
            now.minute(),
            now.second()
        );
        let me = std::process::id();
        assert_eq!(lock(&name, me, &now).holder(), Holder::Alive);
        assert_eq!(lock("elsewhere", me, &now).holder(), Holder::Unknown);
        // Taken long before this process was there: the number was another's then.
        assert_eq!(
            lock(&name, me, "2001-01-01T00:00:00Z").holder(),
            Holder::Gone
        );
        let mut child = tokio::process::Command::new("true").spawn().unwrap();
        let pid = child.id().unwrap();
        child.wait().await.unwrap();
        assert_eq!(lock(&name, pid, &now).holder(), Holder::Gone);
    }
}
