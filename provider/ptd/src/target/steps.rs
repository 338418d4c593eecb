//! The steps of a pipeline: the standard ones, and those of `customizations/manifest.yaml` put between them.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::arrange::{Place, arrange, misplaced};
use super::decode::{Cx, FileName, section};
use super::locate::{Contents, Located, read};
use super::problem::{Problem, Report, nearest};
use super::read::{flag, flag_on, int_or, text};
use super::yaml::{Document, NodeId};

/// The steps of a workload, in order.
pub const WORKLOAD_STEPS: [&str; 7] = [
    BOOTSTRAP,
    "persistent",
    "postgres_config",
    "kubernetes",
    "clusters",
    "helm",
    "sites",
];
/// The steps of a control room, in order.
pub const CONTROL_ROOM_STEPS: [&str; 4] =
    ["workspaces", "persistent", "postgres_config", "cluster"];
/// The step whose program depends on the cloud.
pub(crate) const KUBERNETES: &str = "kubernetes";
/// What `kubernetes` stands for on each cloud; stacks carry these names.
pub(crate) const KUBERNETES_STEPS: [&str; 2] = ["eks", "aks"];
/// The step that is no Pulumi project; a control room has it when asked to.
pub(crate) const BOOTSTRAP: &str = "bootstrap";
/// The step that runs `persistent` again, in a pipeline that is asked to.
pub(crate) const REPRISE: &str = "persistent_reprise";
const MANIFEST: &str = "customizations/manifest.yaml";

/// A step that a target adds to the standard ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetCustomStep {
    /// Name, unique among all steps.
    pub name: String,
    /// What it is for. Absent when not said.
    pub description: Option<String>,
    /// Folder of its Pulumi program, below `customizations`.
    pub path: String,
    /// Step after which it runs; `eks` and `aks` read `kubernetes`. Absent when not said.
    pub insert_after: Option<String>,
    /// Step before which it runs; `eks` and `aks` read `kubernetes`. Absent when not said.
    pub insert_before: Option<String>,
    /// Whether it needs the proxy into the network. Default false.
    pub proxy_required: bool,
    /// Whether it runs at all; one that does not keeps its stack, and needs no program. Default true.
    pub enabled: bool,
}

section! {
    /// The file.
    struct Manifest {
        /// Version of its format.
        version: (i64, Option<NodeId>) = |cx: &mut Cx<'_>, node| (int_or(0)(cx, node), node),
        /// The steps.
        steps["customSteps"]: Vec<(NodeId, ManifestStep)> = placed_steps,
    }
}

type PlacedText = (Option<String>, Option<NodeId>);

section! {
    /// An entry of the file, its names with their places.
    struct ManifestStep {
        /// Name.
        name: PlacedText = placed_text,
        /// Description.
        description: Option<String> = text,
        /// Folder.
        path: PlacedText = placed_text,
        /// Step before it.
        insert_after["insertAfter"]: PlacedText = placed_step,
        /// Step after it.
        insert_before["insertBefore"]: PlacedText = placed_step,
        /// Whether the proxy is needed.
        proxy_required["proxyRequired"]: bool = flag,
        /// Whether it runs.
        enabled: bool = flag_on,
    }
}

fn placed_text(cx: &mut Cx<'_>, node: Option<NodeId>) -> PlacedText {
    (text(cx, node), node)
}

/// The name of a step, the cluster step's under its one name.
fn placed_step(cx: &mut Cx<'_>, node: Option<NodeId>) -> PlacedText {
    let name = text(cx, node).map(|name| {
        if KUBERNETES_STEPS.contains(&name.as_str()) {
            KUBERNETES.to_owned()
        } else {
            name
        }
    });
    (name, node)
}

fn placed_steps(cx: &mut Cx<'_>, node: Option<NodeId>) -> Vec<(NodeId, ManifestStep)> {
    let item = |cx: &mut Cx<'_>, id| cx.section(id).map(|step| (id, step));
    node.and_then(|id| cx.list(id, item).value())
        .unwrap_or_default()
}

/// The custom steps of a target in manifest order, and the names of all its steps in the order of the pipeline, disabled ones included.
pub(crate) fn load(
    located: &Located,
    standard: &[&str],
    report: &mut Report,
) -> (Vec<TargetCustomStep>, Vec<String>) {
    let names = || standard.iter().map(ToString::to_string).collect();
    let (path, file) = located.file(MANIFEST);
    let bytes = match read(&path) {
        Contents::Bytes(bytes) => bytes,
        Contents::Missing => return (Vec::new(), names()),
        Contents::Unusable(why) => {
            let message = format!("failed to load manifest: {why}");
            report.problems.push(Problem::of_file(file.full, message));
            return (Vec::new(), names());
        }
    };
    let document = match Document::parse(&bytes) {
        Ok(document) => document,
        Err(error) => {
            let message = format!("failed to load manifest: {}", error.message);
            let mut problem = Problem::of_file(file.full, message);
            (problem.line, problem.column) = (error.line, error.column);
            report.problems.push(problem);
            return (Vec::new(), names());
        }
    };
    let errors_before = report.problems.len();
    let folder = located.directory.join("customizations");
    let steps = manifest(&document, file, standard, &folder, report);
    if report.problems.len() > errors_before {
        return (Vec::new(), names());
    }
    let order = arrange(standard, &steps)
        .into_iter()
        .filter_map(|place| match place {
            Place::Standard(index) => standard.get(index).map(ToString::to_string),
            Place::Custom(index) => steps.get(index).map(|step| step.name.clone()),
        })
        .collect();
    (steps, order)
}

fn manifest(
    document: &Document,
    file: FileName,
    standard: &[&str],
    folder: &Path,
    report: &mut Report,
) -> Vec<TargetCustomStep> {
    let mut cx = Cx::new(document, file, report);
    let manifest: Manifest = cx.section_or_zero(document.root());
    let (version, version_node) = manifest.version;
    if version != 1 {
        cx.at("version", |cx| {
            cx.error(
                version_node.or(document.root()),
                format!(
                    "manifest validation failed: unsupported manifest version {version}, expected 1"
                ),
            );
        });
    }
    let mut check = Check {
        cx: &mut cx,
        standard,
        folder,
        custom: manifest
            .steps
            .iter()
            .filter_map(|(_, step)| step.name.0.clone())
            .collect(),
        seen: HashMap::new(),
        failed: false,
    };
    for (index, (node, step)) in manifest.steps.iter().enumerate() {
        check.step(index, *node, step);
    }
    let failed = check.failed;
    let steps: Vec<TargetCustomStep> = manifest
        .steps
        .iter()
        .map(|(_, step)| TargetCustomStep {
            name: step.name.0.clone().unwrap_or_default(),
            description: step.description.clone(),
            path: step.path.0.clone().unwrap_or_default(),
            insert_after: step.insert_after.0.clone(),
            insert_before: step.insert_before.0.clone(),
            proxy_required: step.proxy_required,
            enabled: step.enabled,
        })
        .collect();
    // Only when all names are good does the order mean anything.
    if !failed {
        for (index, message) in misplaced(standard, &steps) {
            let node = manifest.steps.get(index).map(|(node, _)| *node);
            cx.at("customSteps", |cx| {
                cx.at_index(index, |cx| cx.error(node, message));
            });
        }
    }
    steps
}

struct Check<'c, 'd> {
    cx: &'c mut Cx<'d>,
    standard: &'c [&'c str],
    folder: &'c Path,
    custom: BTreeSet<String>,
    /// Names so far as projects spell them, and as written.
    seen: HashMap<String, String>,
    failed: bool,
}

impl Check<'_, '_> {
    fn error(&mut self, index: usize, field: &str, node: Option<NodeId>, message: &str) {
        self.failed = true;
        self.cx.at("customSteps", |cx| {
            cx.at_index(index, |cx| {
                cx.at(field, |cx| {
                    cx.error(node, format!("manifest validation failed: {message}"));
                });
            });
        });
    }

    fn step(&mut self, index: usize, node: NodeId, step: &ManifestStep) {
        let (name, name_node) = &step.name;
        let name_node = name_node.or(Some(node));
        let name = name.as_deref().unwrap_or_default();
        if name.is_empty() {
            let message = format!("custom step {name}: custom step name is required");
            self.error(index, "name", name_node, &message);
        } else {
            self.name(index, name_node, name);
        }
        let known: Vec<String> = self
            .standard
            .iter()
            .map(ToString::to_string)
            .chain(self.custom.iter().cloned())
            .collect();
        for (field, (reference, reference_node)) in [
            ("insertAfter", &step.insert_after),
            ("insertBefore", &step.insert_before),
        ] {
            let Some(reference) = reference else { continue };
            if known.contains(reference) {
                continue;
            }
            let hint = nearest(reference, known.iter().map(String::as_str))
                .map(|meant| format!("; did you mean `{meant}`?"))
                .unwrap_or_default();
            let message =
                format!("custom step {name}: {field} references unknown step: {reference}{hint}");
            self.error(index, field, *reference_node, &message);
        }
        let position = |step: &Option<String>| {
            let name = step.as_deref()?;
            self.standard.iter().position(|standard| *standard == name)
        };
        if let (Some(after), Some(before)) = (
            position(&step.insert_after.0),
            position(&step.insert_before.0),
        ) && before != after + 1
        {
            let message = format!(
                "custom step {name}: insertAfter '{}' and insertBefore '{}' are not adjacent steps",
                self.standard[after], self.standard[before]
            );
            self.error(index, "insertBefore", step.insert_before.1, &message);
        }
        self.path(index, node, step, name);
    }

    fn name(&mut self, index: usize, node: Option<NodeId>, name: &str) {
        let project = name.replace('_', "-");
        let taken = self
            .standard
            .iter()
            .chain(&KUBERNETES_STEPS)
            .chain(&[BOOTSTRAP, REPRISE])
            .find(|standard| standard.replace('_', "-") == project);
        if let Some(taken) = taken {
            let message = format!(
                "custom step {name}: the name belongs to the standard step `{taken}`, whose stack it would share"
            );
            self.error(index, "name", node, &message);
        }
        match self.seen.insert(project, name.to_owned()) {
            Some(other) if other == name => {
                let message = format!("duplicate custom step name: {name}");
                self.error(index, "name", node, &message);
            }
            Some(other) => {
                let message = format!(
                    "custom step {name}: it would share its stack with `{other}`: `_` becomes `-` in the names of projects"
                );
                self.error(index, "name", node, &message);
            }
            None => {}
        }
    }

    fn path(&mut self, index: usize, node: NodeId, step: &ManifestStep, name: &str) {
        let (path, path_node) = &step.path;
        let path_node = path_node.or(Some(node));
        let Some(path) = path else {
            let message = format!("custom step {name}: custom step {name:?}: path is required");
            return self.error(index, "path", path_node, &message);
        };
        let fault = match inside(path) {
            None => format!("path leaves the folder `customizations`: {path}"),
            Some(parts) => {
                let directory = parts
                    .iter()
                    .fold(self.folder.to_path_buf(), |directory, part| {
                        directory.join(part)
                    });
                if !step.enabled {
                    // Nothing is run there, and what was made from it stays.
                    return;
                }
                if !directory.exists() {
                    format!("step directory does not exist: {path}")
                } else if !directory.is_dir() {
                    format!("step path is not a directory: {path}")
                } else if is_project(&directory) {
                    return;
                } else if let Some(missing) = ["main.go", "go.mod"]
                    .into_iter()
                    .find(|file| !directory.join(file).exists())
                {
                    format!("{missing} not found in step directory: {path}")
                } else {
                    return;
                }
            }
        };
        self.error(
            index,
            "path",
            path_node,
            &format!("custom step {name}: {fault}"),
        );
    }
}

/// Whether a directory holds a Pulumi project. One without is a Go program, as the reference makes a project of.
fn is_project(directory: &Path) -> bool {
    ["Pulumi.yaml", "Pulumi.yml"]
        .iter()
        .any(|file| directory.join(file).is_file())
}

/// The parts of a path below a folder, `.` and `..` resolved; none when it leads outside.
pub(crate) fn inside(path: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(inside("a/./b/../c/"), Some(vec!["a", "c"]));
        assert_eq!(inside("/a"), Some(vec!["a"]));
        assert_eq!(inside("a/../../b"), None);
    }
}
