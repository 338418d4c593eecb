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
        differ.object(&Path::root(), Some(spec), olds, news, false);
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

impl<'a> Differ<'a> {
    fn note(&mut self, path: &Path, change: Change, replace: bool) {
        self.diff
            .entries
            .insert(path.clone(), Entry { change, replace });
    }

    fn object(
        &mut self,
        path: &Path,
        spec: Option<&'a ObjectSpec>,
        olds: &PropertyMap,
        news: &PropertyMap,
        replace: bool,
    ) {
        let mut keys: Vec<&String> = olds.keys().chain(news.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            if key.starts_with("__") {
                continue;
            }
            let property = spec.and_then(|s| s.get(key));
            // The provider's own inputs carry `version`, which describes the plugin and not the resource.
            if property.is_none() && path.steps().is_empty() && key == "version" {
                continue;
            }
            let rules = property.map_or(
                Rules {
                    replace,
                    ..Rules::default()
                },
                |p| Rules {
                    ty: Some(&p.ty),
                    replace: replace || p.replace,
                    set: p.set,
                    json: p.json,
                },
            );
            let null = PropertyValue::Null;
            let (old, new) = (
                olds.get(key).unwrap_or(&null),
                news.get(key).unwrap_or(&null),
            );
            self.value(&path.key(key), rules, old, new);
        }
    }

    fn value(&mut self, path: &Path, rules: Rules<'a>, old: &PropertyValue, new: &PropertyValue) {
        let replace = rules.replace;
        let (old, new) = match (old.bare(), new.bare()) {
            (Some(old), Some(new)) => (old, new),
            // What is not known yet may turn out to be anything.
            (_, None) if old.is_null() => return self.note(path, Change::Add, replace),
            _ => return self.note(path, Change::Update, replace),
        };
        match (old, new) {
            (PropertyValue::Null, PropertyValue::Null) => {}
            (PropertyValue::Null, _) => self.note(path, Change::Add, replace),
            (_, PropertyValue::Null) => self.note(path, Change::Delete, replace),
            (PropertyValue::Map(old), PropertyValue::Map(new)) => {
                let spec = match rules.ty {
                    Some(TypeSpec::Object(name)) => self.types.object(name),
                    _ => None,
                };
                self.object(path, spec, old, new, replace);
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

    fn list(
        &mut self,
        path: &Path,
        rules: Rules<'a>,
        old: &[PropertyValue],
        new: &[PropertyValue],
    ) {
        if rules.set {
            let missing =
                |from: &[PropertyValue], v: &PropertyValue| !from.iter().any(|o| o.same(v));
            if old.iter().all(|v| !missing(new, v)) && new.iter().all(|v| !missing(old, v)) {
                return;
            }
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
                (None, Some(_)) => self.note(&at, Change::Add, rules.replace),
                (Some(_), None) => self.note(&at, Change::Delete, rules.replace),
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
        let pattern = Path::parse(&pattern.replace("[*]", ".*"));
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
