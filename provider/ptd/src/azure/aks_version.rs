//! Versions of Kubernetes: which is newer, and which upgrades Azure accepts.

use std::fmt;

/// How many minor versions a pool may be behind its control plane.
const OLDEST_POOL: u32 = 3;

/// A version as `1.30` or `1.30.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    major: u32,
    minor: u32,
    patch: Option<u32>,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// What has to be done to reach a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: it is there, or a newer patch of it, which Azure's automatic upgrades bring.
    Stay,
    /// An upgrade.
    Upgrade,
}

impl Version {
    /// Reads a version.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
        let version = Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: match parts.next() {
                Some(patch) => Some(patch?),
                None => None,
            },
        };
        parts.next().is_none().then_some(version)
    }

    fn line(self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// The minor version after this one.
    fn next(self) -> Self {
        Self {
            major: self.major,
            minor: self.minor + 1,
            patch: None,
        }
    }
}

/// Checks how a version is written.
pub(super) fn rule(text: &str) -> Result<(), String> {
    match Version::parse(text) {
        Some(_) => Ok(()),
        None => Err(format!(
            "must be a Kubernetes version such as 1.31 or 1.31.4, got {text:?}"
        )),
    }
}

/// Whether what is there is what is wanted: the same minor version, and not an older patch.
pub(super) fn satisfied(wanted: &str, live: &str) -> bool {
    wanted == live || matches!(step("", wanted, live), Ok(Step::Stay))
}

/// Whether what is there is of a newer minor version than what is wanted.
pub(super) fn ahead(wanted: &str, live: &str) -> bool {
    match (Version::parse(wanted), Version::parse(live)) {
        (Some(to), Some(from)) => to.line() < from.line(),
        _ => false,
    }
}

/// Whether a channel of automatic upgrades brings newer minor versions, too.
pub(super) fn brings_minors(channel: Option<&str>) -> bool {
    channel.is_some_and(|channel| {
        ["rapid", "stable"]
            .iter()
            .any(|name| channel.eq_ignore_ascii_case(name))
    })
}

/// What leads from the version that is there to the wanted one. `what` begins the explanation of a refusal.
pub(super) fn step(what: &str, wanted: &str, live: &str) -> Result<Step, String> {
    let (Some(to), Some(from)) = (Version::parse(wanted), Version::parse(live)) else {
        // Whatever Azure calls its versions some day: it shall judge.
        return Ok(if wanted == live {
            Step::Stay
        } else {
            Step::Upgrade
        });
    };
    if to.line() == from.line() {
        return Ok(match (to.patch, from.patch) {
            (Some(to), Some(from)) if to > from => Step::Upgrade,
            _ => Step::Stay,
        });
    }
    if to.line() < from.line() {
        return Err(format!(
            "{what} runs Kubernetes {from} and cannot go back to {to}"
        ));
    }
    if to.line() == from.next().line() {
        return Ok(Step::Upgrade);
    }
    Err(format!(
        "{what} runs Kubernetes {from} and cannot skip to {to}: one minor version at a time, {} is next",
        from.next()
    ))
}

/// Whether a pool of one version can be in a cluster of another; otherwise why not.
pub(super) fn compatible(pool: &str, version: &str, control_plane: &str) -> Result<(), String> {
    let (Some(node), Some(control)) = (Version::parse(version), Version::parse(control_plane))
    else {
        return Ok(());
    };
    let newer = node.line() > control.line()
        || node.line() == control.line()
            && matches!((node.patch, control.patch), (Some(node), Some(control)) if node > control);
    if newer {
        return Err(format!(
            "agent pool {pool} cannot have Kubernetes {node} while the cluster has {control}: upgrade the cluster first"
        ));
    }
    if node.major == control.major && control.minor.saturating_sub(node.minor) > OLDEST_POOL {
        return Err(format!(
            "agent pool {pool} with Kubernetes {node} is more than {OLDEST_POOL} minor versions behind {control}: upgrade the pool first"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_go_one_minor_version_at_a_time() {
        assert_eq!(step("x", "1.31", "1.30.4"), Ok(Step::Upgrade));
        assert_eq!(step("x", "1.31.2", "1.31.1"), Ok(Step::Upgrade));
        assert!(step("x", "1.32.0", "1.30.4").is_err_and(|e| e.contains("1.31 is next")));
        assert!(step("x", "1.29.9", "1.30.4").is_err_and(|e| e.contains("go back")));
    }

    #[test]
    fn a_newer_patch_is_what_was_wanted() {
        assert!(satisfied("1.30.4", "1.30.7"));
        assert!(satisfied("1.30", "1.30.7"));
        assert!(satisfied("1.30", "1.30"));
        assert!(!satisfied("1.30.8", "1.30.7"));
        assert!(!satisfied("1.31", "1.30.7"));
    }

    #[test]
    fn two_channels_bring_newer_minor_versions() {
        assert!(ahead("1.30.4", "1.31.1") && ahead("1.30", "1.31"));
        assert!(!ahead("1.30.4", "1.30.7") && !ahead("1.31", "1.30.7"));
        assert!(brings_minors(Some("rapid")) && brings_minors(Some("Stable")));
        assert!(!brings_minors(Some("patch")) && !brings_minors(None));
    }

    #[test]
    fn pools_lag_but_never_lead() {
        assert_eq!(compatible("a", "1.28.1", "1.31.1"), Ok(()));
        assert_eq!(compatible("a", "1.31", "1.31.1"), Ok(()));
        assert!(compatible("a", "1.31.2", "1.31.1").is_err());
        assert!(compatible("a", "1.32", "1.31.1").is_err());
        assert!(compatible("a", "1.27.1", "1.31.1").is_err());
    }

    #[test]
    fn forms() {
        for bad in ["", "1", "v1.30", "1.30.1.2", "1.x"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
