//! Resource ids: paths whose letters' case means nothing.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The id of a resource, as `/subscriptions/<id>/resourceGroups/<name>/providers/<namespace>/<type>/<name>…`.
///
/// Ids are equal if they differ in the case of letters only: services answer with other casing than they were sent.
#[derive(Clone)]
pub struct ResourceId {
    path: String,
}

/// Why a text is no resource id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a resource id: {problem}")]
pub struct NoResourceId {
    text: String,
    problem: &'static str,
}

impl ResourceId {
    /// The id of a subscription.
    #[must_use]
    pub fn subscription(subscription: &str) -> Self {
        Self {
            path: format!("/subscriptions/{subscription}"),
        }
    }

    /// The id of a resource group.
    #[must_use]
    pub fn group(subscription: &str, group: &str) -> Self {
        Self {
            path: format!("/subscriptions/{subscription}/resourceGroups/{group}"),
        }
    }

    /// The id of a resource of a namespace (`Microsoft.KeyVault`) below this one: a group's resource, or an extension such as a role
    /// assignment.
    #[must_use]
    pub fn provider(&self, namespace: &str, kind: &str, name: &str) -> Self {
        Self {
            path: format!("{}/providers/{namespace}/{kind}/{name}", self.path),
        }
    }

    /// The id of a resource within this one.
    #[must_use]
    pub fn child(&self, kind: &str, name: &str) -> Self {
        Self {
            path: format!("{}/{kind}/{name}", self.path),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').skip(1)
    }

    fn after(&self, key: &str) -> Option<&str> {
        let mut segments = self.segments();
        while let Some(segment) = segments.next() {
            if segment.eq_ignore_ascii_case(key) {
                return segments.next();
            }
        }
        None
    }

    /// The subscription's id.
    #[must_use]
    pub fn subscription_id(&self) -> Option<&str> {
        self.after("subscriptions")
    }

    /// The resource group's name.
    #[must_use]
    pub fn group_name(&self) -> Option<&str> {
        self.after("resourceGroups")
    }

    /// The namespace of the resource's own type, such as `Microsoft.KeyVault`.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let segments: Vec<&str> = self.segments().collect();
        let at = segments
            .iter()
            .rposition(|s| s.eq_ignore_ascii_case("providers"))?;
        segments.get(at + 1).copied()
    }

    /// The resource's type, such as `Microsoft.KeyVault/vaults/keys`.
    #[must_use]
    pub fn kind(&self) -> String {
        let segments: Vec<&str> = self.segments().collect();
        let Some(at) = segments
            .iter()
            .rposition(|s| s.eq_ignore_ascii_case("providers"))
        else {
            return if self.group_name().is_some() {
                "Microsoft.Resources/resourceGroups".to_owned()
            } else {
                "Microsoft.Resources/subscriptions".to_owned()
            };
        };
        let mut kind = segments.get(at + 1).copied().unwrap_or_default().to_owned();
        for part in segments.iter().skip(at + 2).step_by(2) {
            kind.push('/');
            kind.push_str(part);
        }
        kind
    }

    /// Whether it is of that type.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.kind().eq_ignore_ascii_case(kind)
    }

    /// The resource's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The id of the resource this one is within, or of the group, or of the subscription.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let segments: Vec<&str> = self.segments().collect();
        let mut keep = segments.len().checked_sub(2)?;
        // A namespace is no level of its own.
        if keep >= 2
            && segments
                .get(keep - 2)
                .is_some_and(|s| s.eq_ignore_ascii_case("providers"))
            && segments.len() - keep == 2
        {
            keep -= 2;
        }
        (keep >= 2).then(|| Self {
            path: format!("/{}", segments[..keep].join("/")),
        })
    }

    /// The name and kind for people, such as `vaults kv-ptd-x`.
    #[must_use]
    pub fn describe(&self) -> String {
        let kind = self.kind();
        let short = kind.rsplit('/').next().unwrap_or_default();
        let label = match short.to_ascii_lowercase().as_str() {
            "resourcegroups" => "resource group",
            "vaults" => "key vault",
            "keys" => "key",
            "storageaccounts" => "storage account",
            "containers" => "blob container",
            "roleassignments" => "role assignment",
            "managedclusters" => "AKS cluster",
            "agentpools" => "agent pool",
            "subscriptions" => "subscription",
            _ => short,
        };
        format!("{label} {}", self.name())
    }
}

impl FromStr for ResourceId {
    type Err = NoResourceId;

    fn from_str(text: &str) -> Result<Self, NoResourceId> {
        let problem = |problem| NoResourceId {
            text: text.to_owned(),
            problem,
        };
        let path = text.trim_end_matches('/');
        let rest = path
            .strip_prefix('/')
            .ok_or_else(|| problem("it must begin with /"))?;
        if path
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '%' | '\\'))
        {
            return Err(problem(
                "it must hold no spaces, queries or escaped characters",
            ));
        }
        let segments: Vec<&str> = rest.split('/').collect();
        if segments
            .iter()
            .any(|s| s.is_empty() || *s == "." || *s == "..")
        {
            return Err(problem("it has an empty part"));
        }
        if !segments.len().is_multiple_of(2) {
            return Err(problem(
                "it must consist of pairs, as in /subscriptions/<id>/resourceGroups/<name>",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.path.eq_ignore_ascii_case(&other.path)
    }
}

impl Eq for ResourceId {}

impl Hash for ResourceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// A region's name in its normal form: `East US 2` is `eastus2`.
#[must_use]
pub fn region(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c/agentPools/p";

    fn id(text: &str) -> ResourceId {
        text.parse().expect("an id")
    }

    #[test]
    fn parts() {
        let pool = id(POOL);
        assert_eq!(pool.subscription_id(), Some("s"));
        assert_eq!(pool.group_name(), Some("g"));
        assert_eq!(pool.name(), "p");
        assert_eq!(pool.namespace(), Some("Microsoft.ContainerService"));
        assert!(pool.is("microsoft.containerservice/managedclusters/agentpools"));
        let cluster = pool.parent().expect("a cluster");
        assert_eq!(cluster.name(), "c");
        let group = cluster.parent().expect("a group");
        assert_eq!(group, ResourceId::group("S", "G"));
        assert_eq!(
            group.parent().expect("a subscription").as_str(),
            "/subscriptions/s"
        );
        assert!(group.is("Microsoft.Resources/resourceGroups"));
    }

    #[test]
    fn extensions_belong_to_their_scope() {
        let assignment =
            ResourceId::group("s", "g").provider("Microsoft.Authorization", "roleAssignments", "n");
        assert_eq!(assignment.parent(), Some(ResourceId::group("s", "g")));
        assert!(assignment.is("Microsoft.Authorization/roleAssignments"));
    }

    #[test]
    fn case_means_nothing() {
        assert_eq!(id(POOL), id(&POOL.to_lowercase()));
        assert_eq!(region("East US 2"), "eastus2");
    }

    #[test]
    fn texts_that_are_no_ids() {
        for text in [
            "",
            "/",
            "x",
            "subscriptions/s",
            "/subscriptions",
            "/subscriptions//resourceGroups/g",
            "/subscriptions/a b",
            "/subscriptions/s?x=y",
            "/subscriptions/..",
        ] {
            assert!(text.parse::<ResourceId>().is_err(), "{text:?}");
        }
    }
}
