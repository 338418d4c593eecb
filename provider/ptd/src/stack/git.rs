//! Inner programs in git repositories.

use std::io;
use std::path::Path;
use std::time::Duration;

use pulumi_automation::{Environment, Tool, Until};
use tokio_util::sync::CancellationToken;

use super::args::GitSource;
use super::run::SUPERVISE;

/// How long a server may take to say which commit a name is of. Inputs are checked meanwhile, which cannot be interrupted.
const RESOLVE: Duration = Duration::from_mins(1);
/// How long fetching a program may take.
const FETCH: Duration = Duration::from_mins(10);
/// How long `git` may take to tidy up.
const GRACE: Duration = Duration::from_secs(5);

/// With these, git would work on the repository that the outer run was started from: hooks have them.
const OF_ANOTHER: [&str; 4] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
];

/// What access tokens of well-known servers begin with; they are taken for a user's name too.
const TOKENS: [&str; 6] = ["ghp_", "gho_", "ghu_", "ghs_", "github_pat_", "glpat-"];

/// The program `git`, ready to be run.
struct Git {
    tool: Tool,
    until: Until,
}

impl Git {
    async fn find(
        environment: &Environment,
        cancel: &CancellationToken,
        limit: Duration,
    ) -> io::Result<Self> {
        // Nobody is there to be asked; and a URL must not be able to start a program.
        let mut environment = environment
            .clone()
            .with("GIT_TERMINAL_PROMPT", "0")
            .with("GIT_ALLOW_PROTOCOL", "https:ssh:git:file:http");
        for name in OF_ANOTHER {
            environment.unset(name);
        }
        let none = || io::Error::new(io::ErrorKind::NotFound, "there is no git on the PATH");
        let tool = Tool::find("git", environment).await.ok_or_else(none)?;
        let tool = match std::env::current_exe() {
            Ok(this) => tool.supervised_by([this.into_os_string(), SUPERVISE.into()]),
            Err(_) => tool,
        };
        Ok(Self::new(tool, cancel, limit))
    }

    fn new(tool: Tool, cancel: &CancellationToken, limit: Duration) -> Self {
        let until = Until {
            cancel: cancel.clone(),
            grace: GRACE,
            limit: Some(limit),
        };
        Self { tool, until }
    }

    async fn run(&self, arguments: &[&str], directory: &Path) -> io::Result<String> {
        let ended = self.tool.run(directory, arguments, &self.until).await;
        let ended = ended.map_err(io::Error::other)?;
        if ended.code == Some(0) {
            return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
        }
        let command = arguments.first().unwrap_or(&"");
        Err(match ended.cancelled {
            Some(cancelled) if cancelled.timeout => {
                let limit = self.until.limit.unwrap_or_default().as_secs();
                let text = format!(
                    "git {command} did not end within {limit} s: see whether the repository can be reached from here"
                );
                io::Error::new(io::ErrorKind::TimedOut, text)
            }
            Some(_) => {
                let text = format!("git {command} was cancelled");
                io::Error::new(io::ErrorKind::Interrupted, text)
            }
            None => io::Error::other(format!("git {command}: {}", ended.stderr.trim())),
        })
    }
}

/// Whether a URL holds a password or an access token, which the arguments of processes and the state would show.
pub(super) fn holds_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return false;
    };
    user.contains(':') || TOKENS.iter().any(|token| user.starts_with(token))
}

fn is_commit(reference: &str) -> bool {
    reference.len() == 40 && reference.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What a name may be of, best first: a full name is taken as it is, then branches come before tags, as `git clone --branch` has it.
fn candidates(reference: &str) -> Vec<String> {
    let full = reference == "HEAD" || reference.starts_with("refs/");
    let names = if full {
        vec![reference.to_owned()]
    } else {
        vec![
            format!("refs/heads/{reference}"),
            format!("refs/tags/{reference}"),
        ]
    };
    // A tag with a message is an object of its own; what it is of has `^{}` after its name.
    let each = names
        .into_iter()
        .flat_map(|name| [format!("{name}^{{}}"), name]);
    each.collect()
}

/// The commit of the best candidate in what `git ls-remote` says, which also tells of names that merely end in the same way.
fn pick(candidates: &[String], told: &str) -> Option<String> {
    let find = |wanted: &String| {
        told.lines().find_map(|line| {
            let (commit, name) = line.split_once('\t')?;
            (name == wanted).then(|| commit.to_owned())
        })
    };
    candidates.iter().find_map(find)
}

/// The commit that a branch or tag names now.
pub(super) async fn resolve(
    source: &GitSource,
    environment: &Environment,
    cancel: &CancellationToken,
) -> io::Result<String> {
    let reference = &source.reference;
    if is_commit(reference) {
        return Ok(reference.to_ascii_lowercase());
    }
    let git = Git::find(environment, cancel, RESOLVE).await?;
    let wanted = candidates(reference);
    let mut arguments = vec!["ls-remote", "--", source.url.as_str()];
    arguments.extend(wanted.iter().map(String::as_str));
    // Relative paths are those of the program.
    let told = git.run(&arguments, Path::new(".")).await?;
    pick(&wanted, &told).ok_or_else(|| {
        let text = format!("no branch or tag {reference} in it");
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

/// Puts the files of a commit into an empty directory.
pub(super) async fn fetch(
    source: &GitSource,
    commit: Option<&str>,
    into: &Path,
    environment: &Environment,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let wanted = match commit {
        Some(commit) => commit.to_owned(),
        None => resolve(source, environment, cancel).await?,
    };
    let git = Git::find(environment, cancel, FETCH).await?;
    git.run(&["init", "--quiet"], into).await?;
    let one = [
        "fetch",
        "--quiet",
        "--depth",
        "1",
        "--",
        &source.url,
        &wanted,
    ];
    match git.run(&one, into).await {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
            ) =>
        {
            return Err(error);
        }
        // Not every server gives single commits.
        Err(_) => {
            let all = [
                "fetch",
                "--quiet",
                "--tags",
                "--",
                &source.url,
                "+refs/heads/*:refs/remotes/origin/*",
            ];
            git.run(&all, into).await?;
        }
    }
    let checkout = ["checkout", "--quiet", "--detach", &wanted];
    git.run(&checkout, into).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_name_is_of_what_has_exactly_it() {
        let told = "aaaa\trefs/heads/main\n\
                    bbbb\trefs/heads/release/main\n\
                    cccc\trefs/tags/v1\n\
                    dddd\trefs/tags/v1^{}\n\
                    eeee\trefs/tags/x/v1\n\
                    ffff\trefs/tags/x/v1^{}\n\
                    1111\trefs/heads/both\n\
                    2222\trefs/tags/both\n\
                    3333\trefs/tags/light\n\
                    4444\tHEAD\n\
                    5555\trefs/remotes/origin/HEAD\n";
        let commit = |reference: &str| pick(&candidates(reference), told);
        for (reference, expected) in [
            ("main", Some("aaaa")),
            ("release/main", Some("bbbb")),
            ("v1", Some("dddd")),
            ("x/v1", Some("ffff")),
            ("both", Some("1111")),
            ("refs/tags/both", Some("2222")),
            ("light", Some("3333")),
            ("HEAD", Some("4444")),
            ("refs/heads/main", Some("aaaa")),
            ("ain", None),
            ("heads/main", None),
            ("refs/heads/*", None),
        ] {
            assert_eq!(commit(reference).as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn what_has_a_password() {
        for url in [
            "https://me:secret@example.com/a.git", // pragma: allowlist secret
            "https://:secret@example.com/a.git",
            "https://ghp_0123@example.com/a.git",
            "ssh://me:secret@example.com/a@b", // pragma: allowlist secret
        ] {
            assert!(holds_password(url), "{url}");
        }
        for url in [
            "https://example.com/a.git",
            "https://organization@example.com/a.git",
            "https://example.com:8443/a:b@c",
            "git@example.com:a/b.git",
            "ssh://git@example.com:22/a.git",
            "file:///a:b@c",
            "../a",
        ] {
            assert!(!holds_password(url), "{url}");
        }
    }

    #[tokio::test]
    async fn what_hangs_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("git");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let tool = Tool::at(program, Environment::inherit(["PATH"]));
        let git = Git::new(tool, &CancellationToken::new(), Duration::from_secs(1));
        let begun = Instant::now();
        let error = git.run(&["ls-remote"], folder.path()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            error
                .to_string()
                .contains("git ls-remote did not end within 1 s")
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
