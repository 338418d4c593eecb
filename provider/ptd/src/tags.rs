//! Merging and comparing tags.
//!
//! One [`TagPolicy`] comes from the provider configuration. It decides which tags a resource should carry, and which of
//! those that are there are nobody's business but the owner's of an ignored key, or AWS's own.

use std::collections::{BTreeMap, BTreeSet};

/// A set of tags by key.
pub type Tags = BTreeMap<String, String>;

/// What the provider configuration says about tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagPolicy {
    /// Added to every resource; a resource's own tag of the same key wins.
    pub default_tags: Tags,
    /// Keys that are neither added, removed nor compared. A trailing `*` makes one a prefix.
    pub ignored_keys: Vec<String>,
}

/// The calls that bring the tags of a resource to the desired ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// To add or to overwrite.
    pub set: Tags,
    /// To take away.
    pub remove: BTreeSet<String>,
}

impl TagChange {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// The tags once it is done.
    pub fn apply(self, tags: &mut Tags) {
        tags.retain(|key, _| !self.remove.contains(key));
        tags.extend(self.set);
    }
}

impl TagPolicy {
    /// Whether a key is left alone: named by the configuration, or one of AWS's own.
    #[must_use]
    pub fn ignores(&self, key: &str) -> bool {
        is_reserved(key)
            || self
                .ignored_keys
                .iter()
                .any(|ignored| match ignored.strip_suffix('*') {
                    Some(prefix) => key.starts_with(prefix),
                    None => key == ignored,
                })
    }

    /// The tags a resource should carry: the resource's over the configuration's defaults over `base` (what this kind of
    /// resource always has), without the ignored keys. The keys of `base` are kept even if ignored when a resource is made,
    /// because permissions may hang on them.
    #[must_use]
    pub fn desired(&self, base: &Tags, own: &Tags) -> Tags {
        let mut merged = Tags::new();
        for (key, value) in self.default_tags.iter().chain(own) {
            merged.insert(key.clone(), value.clone());
        }
        merged.retain(|key, _| !self.ignores(key));
        for (key, value) in base {
            merged.entry(key.clone()).or_insert_with(|| value.clone());
        }
        merged
    }

    /// The tags that are compared and reported: those that are there, without ignored keys and AWS's own.
    #[must_use]
    pub fn visible(&self, actual: &Tags) -> Tags {
        actual
            .iter()
            .filter(|(key, _)| !self.ignores(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// What has to be called to get from `actual` to `desired`, never touching ignored keys and AWS's own.
    #[must_use]
    pub fn change(&self, actual: &Tags, desired: &Tags) -> TagChange {
        let set = desired
            .iter()
            .filter(|(key, value)| !self.ignores(key) && actual.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let remove = actual
            .keys()
            .filter(|key| !self.ignores(key) && !desired.contains_key(*key))
            .cloned()
            .collect();
        TagChange { set, remove }
    }
}

/// Keys that only AWS writes.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    key.get(..4)
        .is_some_and(|head| head.eq_ignore_ascii_case("aws:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Tags {
        entries
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn policy() -> TagPolicy {
        TagPolicy {
            default_tags: map(&[("team", "platform"), ("cost", "1"), ("seen", "never")]),
            ignored_keys: vec!["seen".to_owned(), "auto:*".to_owned()],
        }
    }

    #[test]
    fn the_resource_wins_over_defaults_and_defaults_over_base() {
        let desired = policy().desired(
            &map(&[("managed", "admin"), ("team", "base")]),
            &map(&[("cost", "2")]),
        );
        assert_eq!(
            desired,
            map(&[("cost", "2"), ("managed", "admin"), ("team", "platform")])
        );
    }

    #[test]
    fn a_change_leaves_ignored_and_reserved_keys_alone() {
        let actual = map(&[
            ("team", "old"),
            ("gone", "1"),
            ("seen", "x"),
            ("auto:a", "y"),
            ("aws:cloudformation:x", "z"),
        ]);
        let change = policy().change(
            &actual,
            &map(&[("team", "platform"), ("new", ""), ("auto:b", "1")]),
        );
        assert_eq!(change.set, map(&[("new", ""), ("team", "platform")]));
        assert_eq!(change.remove, ["gone".to_owned()].into());
        assert_eq!(
            policy().visible(&actual),
            map(&[("gone", "1"), ("team", "old")])
        );
    }

    #[test]
    fn nothing_to_do() {
        let same = map(&[("a", "b")]);
        assert!(TagPolicy::default().change(&same, &same).is_empty());
    }

    #[test]
    fn short_and_non_ascii_keys_are_not_reserved() {
        assert!(!is_reserved("aws"));
        assert!(!is_reserved("äöü:"));
        assert!(is_reserved("AWS:x"));
    }
}
