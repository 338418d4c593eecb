//! What can go wrong, told apart by what one can do about it.

use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::Lock;

/// Why an operation did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no CLI to run.
    #[error("no pulumi on PATH ({path}): install the Pulumi CLI {minimum} or newer")]
    Missing {
        /// What was searched.
        path: String,
        /// The oldest version that will do.
        minimum: semver::Version,
    },
    /// The CLI is too old.
    #[error("{program} is version {found}, {minimum} or newer is needed", program = program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: semver::Version,
        /// The oldest version that will do.
        minimum: semver::Version,
    },
    /// A file or process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A name, setting or answer is not of the expected form.
    #[error("{0}")]
    Invalid(String),
    /// The stack does not exist.
    #[error("there is no stack {stack} in {backend}")]
    NoStack {
        /// Its full name.
        stack: String,
        /// Where it was looked for.
        backend: String,
    },
    /// The stack exists already.
    #[error("stack {stack} exists already in {backend}")]
    StackExists {
        /// Its full name.
        stack: String,
        /// Where it is.
        backend: String,
    },
    /// Somebody else is at work on the stack, or was when it died.
    #[error("stack {stack} is locked{}", holders(locks))]
    Locked {
        /// Its full name.
        stack: String,
        /// All locks; none when the backend does not tell.
        locks: Vec<Lock>,
    },
    /// Somebody could only begin to lock the stack, as on a full disk, and what is left of that stops everybody.
    #[error("stack {stack} has a lock that was never written to its end")]
    HalfLocked {
        /// Its full name.
        stack: String,
    },
    /// The backend cannot be opened or reached.
    #[error("backend {backend}: {message}")]
    Backend {
        /// Its URL.
        backend: String,
        /// What the CLI says.
        message: String,
    },
    /// The secrets of the stack cannot be read or written.
    #[error("secrets of stack {stack}: {message}")]
    Secrets {
        /// Its full name.
        stack: String,
        /// What the CLI says.
        message: String,
    },
    /// The project directory cannot be used.
    #[error("{message}")]
    Project {
        /// What the CLI says.
        message: String,
    },
    /// The operation ran and failed: an error of the program, of a resource or of a policy.
    #[error("{operation} of stack {stack} failed: {message}")]
    Failed {
        /// Its full name.
        stack: String,
        /// What was run.
        operation: &'static str,
        /// The first errors, one a line, resources by URN.
        message: String,
        /// What was done before it failed.
        outcome: Box<crate::Outcome>,
    },
    /// The operation was cancelled.
    #[error("{operation} of stack {stack} was cancelled{}", if *killed { " and had to be killed" } else { "" })]
    Cancelled {
        /// Its full name.
        stack: String,
        /// What was run.
        operation: &'static str,
        /// Whether the CLI did not end by itself within the grace period, so that the stack may still be locked.
        killed: bool,
    },
    /// The operation took longer than it was given, and was ended like a cancelled one.
    #[error("{operation} of stack {stack} did not end within {} s", limit.as_secs())]
    Timeout {
        /// Its full name.
        stack: String,
        /// What was run.
        operation: &'static str,
        /// What it was given.
        limit: Duration,
        /// Whether the CLI had to be killed.
        killed: bool,
    },
    /// The CLI failed in a way not told apart here.
    #[error("pulumi {command} exited with {}: {message}", code.map_or("a signal".to_owned(), |c| format!("code {c}")))]
    Cli {
        /// The subcommand.
        command: String,
        /// The exit code; `None` after a signal.
        code: Option<i32>,
        /// What it wrote.
        message: String,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether doing the same again, later, may succeed without anybody changing anything: a lock that is freed, a backend
    /// that can be reached again. Errors of programs never are.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Backend { .. })
    }
}

fn holders(locks: &[Lock]) -> String {
    let each = |lock: &Lock| format!(" by {lock}");
    locks.iter().map(each).collect::<Vec<_>>().join(",")
}

/// The exit code for a stack that does not exist.
const STACK_NOT_FOUND: i32 = 6;

/// Who was at work, for errors.
pub(crate) struct Subject<'a> {
    pub(crate) stack: &'a str,
    pub(crate) backend: &'a str,
}

/// The error behind a failed command, by its exit code and what it wrote to standard error.
pub(crate) fn classify(command: &str, code: Option<i32>, stderr: &str, of: &Subject<'_>) -> Error {
    let message = message(stderr);
    let stack = of.stack.to_owned();
    let backend = of.backend.to_owned();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    // Of these, only the CLI itself speaks.
    let of_program = command != "cancel" && !command.starts_with("stack ");
    if code == Some(STACK_NOT_FOUND) || says(&["no stack named"]) {
        Error::NoStack { stack, backend }
    } else if says(&["already exists"]) && command.starts_with("stack init") {
        Error::StackExists { stack, backend }
    } else if says(&[
        "is currently locked by",
        "Another update is currently in progress",
    ]) {
        let locks = locks(stderr);
        Error::Locked { stack, locks }
    } else if message == "unexpected end of JSON input" {
        // The CLI reads nothing but locks without saying what it reads.
        Error::HalfLocked { stack }
    } else if says(&[
        "incorrect passphrase",
        "passphrase must be set",
        "secrets manager",
        "secrets provider",
        "decrypt",
    ]) {
        Error::Secrets { stack, message }
    } else if says(&[
        "unable to open state directory",
        "unable to open bucket",
        "could not list bucket",
        "unable to check if bucket",
        "unable to read bucket",
        "problem logging in",
        "could not get cloud url",
        "read .pulumi/meta.yaml",
        "blob (key",
        "failed to load checkpoint",
    ]) || (!of_program && says(&["operation error S3:"]))
    {
        Error::Backend { backend, message }
    } else if says(&[
        "no Pulumi.yaml project file found",
        "could not find Pulumi.yaml",
        "failed to load Pulumi project",
    ]) {
        Error::Project { message }
    } else {
        Error::Cli {
            command: command.to_owned(),
            code,
            message,
        }
    }
}

/// What the CLI says, without its colours and its word for an error.
pub(crate) fn message(stderr: &str) -> String {
    static COLOUR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("\u{1b}\\[[0-9;]*m").ok());
    let text = match COLOUR.as_ref() {
        Some(colour) => colour.replace_all(stderr, ""),
        None => stderr.into(),
    };
    let text = text.trim();
    text.strip_prefix("error: ").unwrap_or(text).to_owned()
}

fn locks(stderr: &str) -> Vec<Lock> {
    static HOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?m)^\s*(\S+): created by ([^@\s]*)@(\S+) \(pid (\d+)\) at (\S+)").ok()
    });
    let Some(holder) = HOLDER.as_ref() else {
        return Vec::new();
    };
    holder
        .captures_iter(stderr)
        .map(|found| Lock {
            url: found[1].to_owned(),
            user: found[2].to_owned(),
            host: found[3].to_owned(),
            pid: found[4].parse().unwrap_or_default(),
            since: found[5].to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Subject<'_> = Subject {
        stack: "organization/inner/dev",
        backend: "file:///b",
    };

    #[test]
    fn a_lock_names_its_holder() {
        let text = "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete \
                    the lock file with `pulumi cancel`.\n  file:///b/.pulumi/locks/organization/inner/dev/abc.json?no_tmp_dir=true: \
                    created by root@elsewhere (pid 17) at 2026-11-21T09:00:00Z\n";
        let error = classify("up", Some(1), text, &OF);
        let Error::Locked { locks, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            (locks.len(), locks[0].pid, locks[0].host.as_str()),
            (1, 17, "elsewhere")
        );
        assert!(error.is_transient());
        assert!(
            error
                .to_string()
                .contains("by root@elsewhere (process 17) since 2026-11-21T09:00:00Z"),
            "{error}"
        );
    }

    #[test]
    fn each_failure_has_its_kind() {
        let kind = |command: &str, code, text: &str| classify(command, Some(code), text, &OF);
        assert!(matches!(
            kind("up", 6, "error: no stack named 'x' found"),
            Error::NoStack { .. }
        ));
        assert!(matches!(
            kind("stack init", 1, "error: stack 'dev' already exists"),
            Error::StackExists { .. }
        ));
        assert!(matches!(
            kind(
                "up",
                1,
                "error: getting stack configuration: get stack secrets manager: incorrect passphrase"
            ),
            Error::Secrets { .. }
        ));
        assert!(matches!(
            kind(
                "up",
                1,
                "error: unable to open state directory \"file:///nope\": stat /nope: no such file or directory"
            ),
            Error::Backend { .. }
        ));
        assert!(matches!(
            kind("up", 255, "error: unexpected end of JSON input\n"),
            Error::HalfLocked { .. }
        ));
        let lost = "error: 2 errors occurred:\n    1) operation error S3: DeleteObject, exceeded maximum number of attempts, 3\n    2) Unknown";
        assert!(matches!(kind("cancel", 255, lost), Error::Backend { .. }));
        assert!(matches!(kind("up", 255, lost), Error::Cli { .. }));
        let other = kind("up", 255, "\u{1b}[31merror: \u{1b}[0mwhatever");
        assert_eq!(
            other.to_string(),
            "pulumi up exited with code 255: whatever"
        );
    }
}
