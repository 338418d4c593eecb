//! The entries of a map: merges, and keys that occur twice.

use std::collections::{BTreeMap, HashSet};

use super::decode::{Cx, Decoded, Entry};
use super::scalar::{Resolved, resolve};
use super::yaml::{Kind, NodeId};

impl Cx<'_> {
    /// The entries of the map `id`: equal keys refused, null keys left out, merges (`<<`) applied.
    pub(crate) fn entries(&mut self, id: NodeId) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.collect(id, &mut None, &mut entries);
        entries
    }

    fn collect(&mut self, id: NodeId, taken: &mut Option<HashSet<String>>, out: &mut Vec<Entry>) {
        let document = self.document;
        let Kind::Map(pairs) = &document.node(id).kind else {
            return;
        };
        let duplicates = self.refuse_equal_keys(pairs);
        let mut merge = None;
        let mut own_text_keys = HashSet::new();
        for (key, value) in pairs {
            if duplicates.contains(key) {
                continue;
            }
            if self.is_merge(*key) {
                merge = Some(*value);
                continue;
            }
            let name = match self.text(*key) {
                Decoded::Value(name) => name,
                Decoded::Null => {
                    self.warn(Some(*key), "entry without a key, ignored");
                    continue;
                }
                Decoded::Failed => continue,
            };
            if let Some(taken) = taken {
                if !taken.insert(name.clone()) {
                    continue;
                }
            } else if self.is_text_key(*key) {
                own_text_keys.insert(name.clone());
            }
            out.push(Entry {
                name,
                key: *key,
                value: *value,
            });
        }
        let Some(merge) = merge else { return };
        let top = taken.is_none();
        let first_merged = out.len();
        taken.get_or_insert(own_text_keys);
        self.merge(merge, taken, out);
        if top {
            self.keys_overridden_by_merge(out, first_merged);
        }
    }

    fn merge(&mut self, merge: NodeId, taken: &mut Option<HashSet<String>>, out: &mut Vec<Entry>) {
        let document = self.document;
        let sources = match &document.node(merge).kind {
            Kind::List(items) => items.as_slice(),
            _ => &[merge],
        };
        for source in sources {
            let result = self.follow(*source, |cx, id| match &cx.document.node(id).kind {
                Kind::Map(_) => {
                    cx.collect(id, taken, out);
                    Decoded::Value(())
                }
                _ => cx.mismatch(id, "a map, or a list of maps, to merge"),
            });
            if result == Decoded::Failed {
                return;
            }
        }
    }

    /// A quirk of the reference's library, kept because it decides values: a key that reads as a number or truth value
    /// does not shield its entry from a merged one. Entries come in order and the last one of a name wins.
    fn keys_overridden_by_merge(&mut self, entries: &[Entry], first_merged: usize) {
        let (own, merged) = entries.split_at(first_merged);
        let own: HashSet<&str> = own.iter().map(|entry| entry.name.as_str()).collect();
        for entry in merged {
            if own.contains(entry.name.as_str()) {
                self.at(&entry.name, |cx| {
                    cx.warn(
                        Some(entry.key),
                        "the merged entry replaces the one beside the merge, because its key is not quoted; quote both keys",
                    );
                });
            }
        }
    }

    fn refuse_equal_keys(&mut self, pairs: &[(NodeId, NodeId)]) -> HashSet<NodeId> {
        let document = self.document;
        let mut first: BTreeMap<(u8, &str, NodeId), usize> = BTreeMap::new();
        let mut duplicates = HashSet::new();
        for (key, _) in pairs {
            let node = document.node(*key);
            let identity = match &node.kind {
                Kind::Scalar(text, _) => (0, text.as_str(), 0),
                Kind::List(_) => (1, "", 0),
                Kind::Map(_) => (2, "", 0),
                Kind::Alias(target) => (3, "", *target),
            };
            match first.get(&identity) {
                None => {
                    first.insert(identity, node.line);
                }
                Some(line) => {
                    let found = self.describe(*key);
                    let message = format!("duplicate key: {found} is already a key at line {line}");
                    self.error(Some(*key), message);
                    duplicates.insert(*key);
                }
            }
        }
        duplicates
    }

    fn is_merge(&self, key: NodeId) -> bool {
        let node = self.document.node(key);
        match (&node.kind, node.tag.as_deref()) {
            (Kind::Scalar(text, true), None) | (Kind::Scalar(text, _), Some("!!merge")) => {
                text == "<<"
            }
            _ => false,
        }
    }

    fn is_text_key(&self, key: NodeId) -> bool {
        let node = self.document.node(key);
        match &node.kind {
            Kind::Scalar(text, plain) => matches!(
                resolve(text, *plain, node.tag.as_deref()),
                Ok(Resolved::Text)
            ),
            Kind::Alias(target) => self.is_text_key(*target),
            Kind::List(_) | Kind::Map(_) => false,
        }
    }
}
