//! From YAML nodes to typed values, the way the reference decodes them: unknown fields pass (here with a warning),
//! numbers become text where text is wanted, and what has the wrong shape is an error with its place and path.

use std::collections::HashSet;

use super::problem::{Problem, Report, fold, nearest};
use super::scalar::{Resolved, resolve};
use super::yaml::{Document, Kind, NodeId};

/// More errors or warnings than this are counted as one.
const MAX_NOTES: usize = 500;

/// What became of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decoded<T> {
    /// A value.
    Value(T),
    /// Null: the field keeps its default.
    Null,
    /// Nothing usable; the problem is recorded.
    Failed,
}

impl<T> Decoded<T> {
    /// The value, if there is one.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Null | Self::Failed => None,
        }
    }

    /// The same with its value turned into another.
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Decoded<U> {
        match self {
            Self::Value(value) => Decoded::Value(f(value)),
            Self::Null => Decoded::Null,
            Self::Failed => Decoded::Failed,
        }
    }
}

/// A map read as a struct: known fields, each with its reader.
pub(crate) trait Section: Sized {
    /// The names of its fields in the file.
    const FIELDS: &'static [&'static str];
    /// Names that are often written here but belong one level deeper, under `spec`.
    const UNDER_SPEC: &'static [&'static str] = &[];

    /// Reads all fields; absent ones get their defaults. Problems are recorded in `cx`.
    fn read(cx: &mut Cx<'_>, fields: &Fields) -> Self;
}

/// An entry whose only field is `spec`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnderSpec<S>(pub(crate) S);

impl<S: Section> Section for UnderSpec<S> {
    const FIELDS: &'static [&'static str] = &["spec"];
    const UNDER_SPEC: &'static [&'static str] = S::FIELDS;

    fn read(cx: &mut Cx<'_>, fields: &Fields) -> Self {
        let node = fields.get("spec");
        Self(cx.at("spec", |cx| cx.section_or_zero(node)))
    }
}

/// Declares a struct that is read from a map and handed out as output type. Each field: doc comment, name (the name in
/// the file too, unless another is given in brackets), type, and a reader from [`super::read`].
macro_rules! section {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident $([$yaml:literal])? : $type:ty = $reader:expr, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        // One switch of the file is one field.
        #[allow(clippy::struct_excessive_bools)]
        $vis struct $name {
            $( $(#[$field_meta])* $field_vis $field: $type, )*
        }

        impl $crate::target::decode::Section for $name {
            const FIELDS: &'static [&'static str] =
                &[ $( $crate::target::decode::section!(@name $field $($yaml)?), )* ];

            fn read(
                cx: &mut $crate::target::decode::Cx<'_>,
                fields: &$crate::target::decode::Fields,
            ) -> Self {
                Self {
                    $( $field: {
                        let name = $crate::target::decode::section!(@name $field $($yaml)?);
                        let node = fields.get(name);
                        cx.at(name, |cx| ($reader)(cx, node))
                    }, )*
                }
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $yaml:literal) => { $yaml };
}
pub(crate) use section;

/// The entries of a map by name, merges done.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, NodeId)>);

impl Fields {
    /// The value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<NodeId> {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, node)| *node)
    }
}

/// An entry of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its key as text.
    pub(crate) name: String,
    /// Its key.
    pub(crate) key: NodeId,
    /// Its value.
    pub(crate) value: NodeId,
}

/// How a file is called in errors and in warnings.
#[derive(Clone, Debug)]
pub(crate) struct FileName {
    /// For errors: a path that can be opened from where the program runs.
    pub(crate) full: String,
    /// For warnings, which end up in outputs: counted from the targets directory, so that no machine's path enters state.
    pub(crate) relative: String,
}

/// A document being decoded, and what was found wrong in it.
pub(crate) struct Cx<'d> {
    pub(crate) document: &'d Document,
    file: FileName,
    path: Vec<String>,
    report: &'d mut Report,
    visits: usize,
    visits_in_aliases: usize,
    /// The maps being read as sections, innermost last.
    sections: Vec<NodeId>,
    /// Targets of the aliases being followed.
    following: Vec<NodeId>,
    exhausted: bool,
}

impl<'d> Cx<'d> {
    /// Starts at the root of `document`.
    pub(crate) fn new(document: &'d Document, file: FileName, report: &'d mut Report) -> Self {
        Self {
            document,
            file,
            path: Vec::new(),
            report,
            visits: 0,
            visits_in_aliases: 0,
            sections: Vec::new(),
            following: Vec::new(),
            exhausted: false,
        }
    }

    /// Runs `f` one level deeper in the path.
    pub(crate) fn at<T>(&mut self, name: &str, f: impl FnOnce(&mut Self) -> T) -> T {
        let segment = if name.is_empty() || name.contains(['.', '[', ' ']) {
            format!("[{name:?}]")
        } else {
            name.to_owned()
        };
        self.path.push(segment);
        let result = f(self);
        self.path.pop();
        result
    }

    /// Runs `f` at element `index` of a list.
    pub(crate) fn at_index<T>(&mut self, index: usize, f: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(format!("[{index}]"));
        let result = f(self);
        self.path.pop();
        result
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for segment in &self.path {
            if !path.is_empty() && !segment.starts_with('[') {
                path.push('.');
            }
            path.push_str(segment);
        }
        path
    }

    fn problem_at(&self, file: &str, node: Option<NodeId>, message: String) -> Problem {
        // What is missing is reported where it should stand.
        let node = node.or_else(|| self.sections.last().copied());
        let (line, column) = node.map_or((0, 0), |id| {
            let node = self.document.node(id);
            (node.line, node.column)
        });
        Problem {
            file: file.to_owned(),
            line,
            column,
            path: self.path(),
            message,
        }
    }

    /// Records an error at `node`, or at the map being read.
    pub(crate) fn error(&mut self, node: Option<NodeId>, message: impl Into<String>) {
        let problem = self.problem_at(&self.file.full, node, message.into());
        note(&mut self.report.problems, problem);
    }

    /// Records a warning at `node`, or at the map being read.
    pub(crate) fn warn(&mut self, node: Option<NodeId>, message: impl Into<String>) {
        let problem = self.problem_at(&self.file.relative, node, message.into());
        note(&mut self.report.warnings, problem);
    }

    /// How many errors there are so far.
    pub(crate) fn errors(&self) -> usize {
        self.report.problems.len()
    }

    /// Follows an alias if `id` is one, and hands the node behind it to `f`. Bounds the whole walk: an alias must not
    /// contain itself, and aliases must not multiply a small file into a huge value.
    pub(crate) fn follow<T>(
        &mut self,
        id: NodeId,
        f: impl FnOnce(&mut Self, NodeId) -> Decoded<T>,
    ) -> Decoded<T> {
        self.visits += 1;
        if !self.following.is_empty() {
            self.visits_in_aliases += 1;
        }
        if self.exhausted || self.too_many_aliases() {
            if !self.exhausted {
                self.exhausted = true;
                self.error(Some(id), "the aliases of this file multiply beyond reason");
            }
            return Decoded::Failed;
        }
        let Kind::Alias(target) = self.document.node(id).kind else {
            return f(self, id);
        };
        if self.following.contains(&target) {
            self.error(Some(id), "this alias is inside the value that it refers to");
            return Decoded::Failed;
        }
        self.following.push(target);
        let result = f(self, target);
        self.following.pop();
        result
    }

    /// The limits of the reference: up to 400,000 values 99 % may come from aliases, falling to 10 % at 4,000,000.
    #[allow(clippy::cast_precision_loss)]
    fn too_many_aliases(&self) -> bool {
        const LOW: f64 = 400_000.0;
        const HIGH: f64 = 4_000_000.0;
        let visits = self.visits as f64;
        let allowed = (0.99 - 0.89 * (visits - LOW) / (HIGH - LOW)).clamp(0.10, 0.99);
        self.visits_in_aliases > 100
            && self.visits > 1000
            && self.visits_in_aliases as f64 / visits > allowed
    }

    /// Resolves a scalar; a contradiction between its tag and its text is an error.
    pub(crate) fn resolved(&mut self, id: NodeId) -> Option<Resolved> {
        let document = self.document;
        let node = document.node(id);
        let Kind::Scalar(text, plain) = &node.kind else {
            return None;
        };
        match resolve(text, *plain, node.tag.as_deref()) {
            Ok(resolved) => Some(resolved),
            Err(message) => {
                self.error(Some(id), message);
                None
            }
        }
    }

    /// Whether `id` is a scalar that means null.
    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        let node = self.document.node(id);
        match &node.kind {
            Kind::Scalar(text, plain) => matches!(
                resolve(text, *plain, node.tag.as_deref()),
                Ok(Resolved::Null)
            ),
            Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => false,
        }
    }

    /// The node in words, for "found ...".
    pub(crate) fn describe(&self, id: NodeId) -> String {
        let node = self.document.node(id);
        match &node.kind {
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a map".into(),
            Kind::Alias(target) => self.describe(*target),
            Kind::Scalar(text, plain) => {
                let shown: String = if text.chars().count() > 40 {
                    text.chars().take(37).chain("...".chars()).collect()
                } else {
                    text.clone()
                };
                match resolve(text, *plain, node.tag.as_deref()) {
                    Ok(Resolved::Null) => "nothing".into(),
                    Ok(Resolved::Bool(_)) => format!("the truth value {shown}"),
                    Ok(Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_)) => {
                        format!("the number {shown}")
                    }
                    _ if *plain => format!("the text {shown:?}"),
                    _ => format!("the quoted text {shown:?}"),
                }
            }
        }
    }

    /// Records that `id` is not what is `expected`.
    pub(crate) fn mismatch<T>(&mut self, id: NodeId, expected: &str) -> Decoded<T> {
        let found = self.describe(id);
        self.error(Some(id), format!("expected {expected}, found {found}"));
        Decoded::Failed
    }

    /// A map read as `S`.
    pub(crate) fn section<S: Section>(&mut self, id: NodeId) -> Decoded<S> {
        self.follow(id, |cx, id| {
            cx.fields(id, S::FIELDS, S::UNDER_SPEC).map(|fields| {
                cx.sections.push(id);
                let section = S::read(cx, &fields);
                cx.sections.pop();
                section
            })
        })
    }

    /// A map read as `S`; `S` with all its defaults when there is none.
    pub(crate) fn section_or_zero<S: Section>(&mut self, node: Option<NodeId>) -> S {
        node.and_then(|id| self.section(id).value())
            .unwrap_or_else(|| S::read(self, &Fields::default()))
    }

    /// The fields of the map `id` (no alias), with warnings for those that are not `known`.
    fn fields(&mut self, id: NodeId, known: &[&str], under_spec: &[&str]) -> Decoded<Fields> {
        match self.open(id) {
            Decoded::Value(entries) => Decoded::Value(self.pick(entries, known, under_spec)),
            Decoded::Null => Decoded::Null,
            Decoded::Failed => Decoded::Failed,
        }
    }

    /// The entries of the map `id` (no alias).
    pub(crate) fn open(&mut self, id: NodeId) -> Decoded<Vec<Entry>> {
        match &self.document.node(id).kind {
            Kind::Map(_) => Decoded::Value(self.entries(id)),
            Kind::Scalar(..) if self.is_null(id) => Decoded::Null,
            _ => self.mismatch(id, "a map"),
        }
    }

    /// The `known` ones among `entries`, with warnings for the others.
    pub(crate) fn pick(
        &mut self,
        entries: Vec<Entry>,
        known: &[&str],
        under_spec: &[&str],
    ) -> Fields {
        let mut fields = Fields::default();
        let mut names = HashSet::new();
        for entry in entries {
            if !known.contains(&entry.name.as_str()) {
                self.unknown_field(&entry, known, under_spec);
            } else if names.insert(entry.name.clone()) {
                fields.0.push((entry.name, entry.value));
            } else {
                // Two spellings of one key, one of them an alias: equal keys are caught before.
                let message = format!("duplicate field `{}`", entry.name);
                self.error(Some(entry.key), message);
            }
        }
        fields
    }

    fn unknown_field(&mut self, entry: &Entry, known: &[&str], under_spec: &[&str]) {
        if self.report.warnings.len() > MAX_NOTES {
            return;
        }
        let name = entry.name.as_str();
        let folded = fold(name);
        let same_name = |candidate: &&&str| fold(candidate) == folded;
        let hint = if let Some(meant) = known.iter().find(same_name) {
            format!("; it is spelt `{meant}`")
        } else if under_spec.contains(&name) {
            "; it belongs one level deeper, under `spec`".into()
        } else if let Some(hint) = historical(name) {
            format!("; {hint}")
        } else if let Some(meant) = nearest(name, known.iter().copied()) {
            format!("; did you mean `{meant}`?")
        } else if let Some(meant) = nearest(name, under_spec.iter().copied()) {
            format!("; did you mean `{meant}`, one level deeper under `spec`?")
        } else {
            String::new()
        };
        self.at(name, |cx| {
            cx.warn(Some(entry.key), format!("unknown field, ignored{hint}"));
        });
    }
}

/// Adds `problem` to `notes`, up to the point where nobody reads on.
fn note(notes: &mut Vec<Problem>, mut problem: Problem) {
    if notes.len() > MAX_NOTES {
        return;
    }
    if notes.len() == MAX_NOTES {
        problem.message = "and more that is not shown".into();
        problem.path.clear();
    }
    notes.push(problem);
}

/// What became of fields that earlier releases read, and of some that the documentation wrongly shows.
fn historical(name: &str) -> Option<&'static str> {
    Some(match name {
        "tenant_name" => "earlier releases read it, nothing does now",
        "trusted_principals" => "use `power_user_arn` and `trusted_users`",
        "user_node_pool_instance_type" | "use_legacy_user_pool" => {
            "earlier releases read it; describe the pools in `user_node_pools`"
        }
        "environment" | "true_name" => "it follows from the directory's name",
        "spec" => "fields stand directly here, without a `spec` level",
        "targets" | "cloud_provider" => {
            "a file describes one target; the cloud follows from `kind`"
        }
        "settings" => "custom steps have no common settings",
        _ => return None,
    })
}
