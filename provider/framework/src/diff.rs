//! What changed between checked inputs, property by property.

use std::collections::BTreeMap;

use crate::path::{Path, Step};
use crate::schema::{Element, ObjectSpec, TypeSpec, Types};
use crate::value::{PropertyMap, PropertyValue};

/// How a property changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Add,
    /// It is there no more.
    Delete,
    /// It has another value.
    Update,
}

/// The changes of a resource. [`Resource::diff`](crate::Resource::diff) may refine what the schema gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diff {
    entries: BTreeMap<Path, Entry>,
    /// Whether a replacement must delete the old resource before it creates the new one.
    pub delete_before_replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) change: Change,
    pub(crate) replace: bool,
}

impl Diff {
    /// Adds or replaces a change.
    pub fn add(&mut self, path: Path, change: Change) {
        self.entries.insert(
            path,
            Entry {
                change,
                replace: false,
            },
        );
    }

    /// Adds or turns a change into one that replaces the resource.
    pub fn replace(&mut self, path: Path) {
        let entry = self.entries.entry(path).or_insert(Entry {
            change: Change::Update,
            replace: false,
        });
        entry.replace = true;
    }

    /// Forgets the changes at and below a path: they carry no meaning.
    pub fn ignore(&mut self, path: &Path) {
        self.entries
            .retain(|p, _| !p.steps().starts_with(path.steps()));
    }

    /// Whether anything at or below a top-level property changed.
    #[must_use]
    pub fn touches(&self, property: &str) -> bool {
        self.entries.keys().any(|p| p.top() == Some(property))
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the resource must be replaced.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.entries.values().any(|e| e.replace)
    }

    /// What changed, in order.
    pub fn changes(&self) -> impl Iterator<Item = (&Path, Change)> {
        self.entries.iter().map(|(p, e)| (p, e.change))
    }

    pub(crate) fn entries(&self) -> &BTreeMap<Path, Entry> {
        &self.entries
    }

    /// The changes between two sets of checked inputs, as the schema understands them.
    pub(crate) fn between(
        types: &Types,
        spec: &ObjectSpec,
        olds: &PropertyMap,
        news: &PropertyMap,
    ) -> Self {
        let mut differ = Differ {
            types,
            diff: Self::default(),
        };
        differ.object(&Path::root(), Members::Of(spec), olds, news, false);
        differ.diff
    }
}

struct Differ<'a> {
    types: &'a Types,
    diff: Diff,
}

#[derive(Clone, Copy, Default)]
struct Rules<'a> {
    ty: Option<&'a TypeSpec>,
    replace: bool,
    set: bool,
    json: bool,
}

/// What is known of the members of a map.
#[derive(Clone, Copy)]
enum Members<'a> {
    /// They are the properties of an object.
    Of(&'a ObjectSpec),
    /// They are data under any key, each of that type.
    Each(&'a TypeSpec),
    /// Nothing.
    Free,
}

impl<'a> Differ<'a> {
    fn note(&mut self, path: &Path, change: Change, replace: bool) {
        self.diff
            .entries
            .insert(path.clone(), Entry { change, replace });
    }

    fn object(
        &mut self,
        path: &Path,
        members: Members<'a>,
        olds: &PropertyMap,
        news: &PropertyMap,
        replace: bool,
    ) {
        let mut keys: Vec<&String> = olds.keys().chain(news.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let plain = Rules {
                replace,
                ..Rules::default()
            };
            let rules = match members {
                Members::Free => plain,
                Members::Each(ty) => Rules {
                    ty: Some(ty),
                    ..plain
                },
                Members::Of(spec) => match spec.get(key) {
                    Some(p) => Rules {
                        ty: Some(&p.ty),
                        replace: replace || p.replace,
                        set: p.set,
                        json: p.json,
                    },
                    // What an older version stored under a name that is gone means nothing, nor do private keys or
                    // the `version` of the provider's own inputs, which describes the plugin.
                    None if key.starts_with("__") || !news.contains_key(key) => continue,
                    None if path.steps().is_empty() && key == "version" => continue,
                    None => plain,
                },
            };
            let null = PropertyValue::Null;
            let (old, new) = (
                olds.get(key).unwrap_or(&null),
                news.get(key).unwrap_or(&null),
            );
            // What a version stored that did not know the property had its default.
            if let Members::Of(spec) = members
                && old.is_null()
                && let Some(default) = spec.get(key).and_then(|p| p.default.as_ref())
                && crate::ser::to_value(default).is_ok_and(|default| default.same(new))
            {
                continue;
            }
            self.value(&path.key(key), rules, old, new);
        }
    }

    fn value(&mut self, path: &Path, rules: Rules<'a>, old: &PropertyValue, new: &PropertyValue) {
        let replace = rules.replace;
        let (old, new) = match (old.bare(), new.bare()) {
            (Some(old), Some(new)) => (old, new),
            // What is not known yet may turn out to be anything.
            (Some(PropertyValue::Null), None) => return self.note(path, Change::Add, replace),
            _ => return self.note(path, Change::Update, replace),
        };
        match (old, new) {
            (PropertyValue::Null, PropertyValue::Null) => {}
            (PropertyValue::Null, new) => {
                let replace = replace || self.replaces(rules.ty, new);
                self.note(path, Change::Add, replace);
            }
            (old, PropertyValue::Null) => {
                let replace = replace || self.replaces(rules.ty, old);
                self.note(path, Change::Delete, replace);
            }
            (PropertyValue::Map(old), PropertyValue::Map(new)) => {
                let members = match rules.ty {
                    Some(TypeSpec::Object(name)) => {
                        self.types.object(name).map_or(Members::Free, Members::Of)
                    }
                    Some(TypeSpec::Map(element)) => Members::Each(&element.ty),
                    _ => Members::Free,
                };
                self.object(path, members, old, new, replace);
            }
            (PropertyValue::List(old), PropertyValue::List(new)) => {
                self.list(path, rules, old, new);
            }
            (PropertyValue::String(old), PropertyValue::String(new))
                if rules.json && same_json(old, new) => {}
            (old, new) if old.same(new) => {}
            _ => self.note(path, Change::Update, replace),
        }
    }

    /// Whether a value that comes or goes as a whole holds a property whose change replaces the resource.
    fn replaces(&self, ty: Option<&TypeSpec>, value: &PropertyValue) -> bool {
        match (ty, value.bare()) {
            (Some(TypeSpec::Object(name)), Some(PropertyValue::Map(map))) => {
                self.types.object(name).is_some_and(|object| {
                    map.iter()
                        .filter(|(_, value)| !value.is_null())
                        .filter_map(|(key, value)| Some((object.get(key)?, value)))
                        .any(|(p, value)| p.replace || self.replaces(Some(&p.ty), value))
                })
            }
            (Some(TypeSpec::Map(element)), Some(PropertyValue::Map(map))) => {
                map.values().any(|v| self.replaces(Some(&element.ty), v))
            }
            (Some(TypeSpec::Array(element)), Some(PropertyValue::List(items))) => {
                items.iter().any(|v| self.replaces(Some(&element.ty), v))
            }
            _ => false,
        }
    }

    /// What is only in one of two sets; where an element stands says nothing.
    fn set(&mut self, path: &Path, replace: bool, old: &[PropertyValue], new: &[PropertyValue]) {
        let alone = |list: &[PropertyValue], other: &[PropertyValue]| -> Vec<usize> {
            let among = |v: &PropertyValue| other.iter().any(|o| o.same(v));
            (0..list.len()).filter(|i| !among(&list[*i])).collect()
        };
        let (gone, come) = (alone(old, new), alone(new, old));
        for i in &gone {
            let change = if come.contains(i) {
                Change::Update
            } else {
                Change::Delete
            };
            self.note(&path.index(*i), change, replace);
        }
        for i in come.iter().filter(|i| !gone.contains(i)) {
            self.note(&path.index(*i), Change::Add, replace);
        }
    }

    fn list(
        &mut self,
        path: &Path,
        rules: Rules<'a>,
        old: &[PropertyValue],
        new: &[PropertyValue],
    ) {
        if rules.set {
            return self.set(path, rules.replace, old, new);
        }
        let element = match rules.ty {
            Some(TypeSpec::Array(element)) => Some(element.as_ref()),
            _ => None,
        };
        let rules = Rules {
            ty: element.map(|Element { ty, .. }| ty),
            set: false,
            json: false,
            ..rules
        };
        for i in 0..old.len().max(new.len()) {
            let at = path.index(i);
            match (old.get(i), new.get(i)) {
                (Some(old), Some(new)) => self.value(&at, rules, old, new),
                (None, Some(new)) => {
                    let replace = rules.replace || self.replaces(rules.ty, new);
                    self.note(&at, Change::Add, replace);
                }
                (Some(old), None) => {
                    let replace = rules.replace || self.replaces(rules.ty, old);
                    self.note(&at, Change::Delete, replace);
                }
                (None, None) => {}
            }
        }
    }
}

fn same_json(a: &str, b: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    a == b || parse(a).is_some_and(|a| parse(b) == Some(a))
}

/// Whether a path names a wildcard-free location at or below one that the user listed in `ignoreChanges`.
pub(crate) fn ignored(path: &Path, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| {
        let pattern = Path::parse(pattern);
        let steps = path.steps();
        steps.len() >= pattern.steps().len()
            && pattern
                .steps()
                .iter()
                .zip(steps)
                .all(|(p, s)| p == s || *p == Step::Key("*".into()))
    })
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
