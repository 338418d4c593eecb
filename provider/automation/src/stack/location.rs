//! Where a stack is.

use std::fmt;

use crate::Error;

/// Where a stack is: its backend and its full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    backend: String,
    organization: String,
    project: String,
    name: String,
}

impl Location {
    /// `backend` is a URL such as `s3://bucket?region=us-east-2`, `file:///directory` or `https://api.pulumi.com`; `stack` is
    /// `<organization>/<project>/<stack>`, where self-managed backends have the one organization `organization`.
    pub fn new(backend: &str, stack: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = stack.split('/').collect();
        let [organization, project, name] = parts[..] else {
            return Err(Error::Invalid(format!(
                "stack {stack:?} is not organization/project/stack"
            )));
        };
        let legal = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
                && !matches!(part, "." | "..")
        };
        if let Some(bad) = parts.iter().find(|part| !legal(part)) {
            return Err(Error::Invalid(format!(
                "stack {stack:?}: {bad:?} must have 1 to 100 letters, digits, dots, hyphens and underscores"
            )));
        }
        if !backend.contains("://") {
            return Err(Error::Invalid(format!("backend {backend:?} is not a URL")));
        }
        Ok(Self {
            backend: backend.to_owned(),
            organization: organization.to_owned(),
            project: project.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The backend's URL.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// Whether the state is a file in a directory or a bucket, rather than kept by a service such as Pulumi Cloud, which numbers
    /// updates and encrypts secrets by itself.
    #[must_use]
    pub fn is_self_managed(&self) -> bool {
        !self.backend.starts_with("https://") && !self.backend.starts_with("http://")
    }

    /// The project's name.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The stack's name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `<organization>/<project>/<stack>`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}/{}", self.organization, self.project, self.name)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.full_name(), self.backend)
    }
}
