//! From a component's inputs and the target's files to a plan that can be carried out, or to everything that is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};

use pulumi_provider::{Checking, Path, PropertyMap, PropertyValue, from_value};
use serde::de::DeserializeOwned;

use super::standard::{BOOTSTRAP, REPRISE};
use super::steps::{self, Ask, Fault, Plan, Step};
use super::values::entries;
use crate::target::{self, Target, TargetCloud, TargetType, inside, project_name};

/// The inputs that decide which steps there are. The rest is handed on as it is.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) targets_dir: String,
    pub(crate) programs: String,
    pub(crate) ask: Ask,
    /// Whether the steps' states lie elsewhere than in what bootstrap makes.
    pub(crate) backend: bool,
    /// The options of bootstrap that are given.
    pub(crate) bootstrap: Vec<String>,
    /// Overrides, by step as the user calls it.
    pub(crate) overrides: BTreeMap<String, PropertyMap>,
    pub(crate) targets: Vec<String>,
    pub(crate) excludes: Vec<String>,
}

/// A value of that type, or the default of one that is not given; `None` while it is not known.
fn given<T: DeserializeOwned + Default>(value: &PropertyValue) -> Option<T> {
    if value.is_null() {
        return Some(T::default());
    }
    from_value(value).ok()
}

impl Request {
    /// Reads the inputs; `None` while one of them is not known.
    pub(crate) fn read(get: impl Fn(&str) -> PropertyValue) -> Option<Self> {
        let mut overrides = BTreeMap::new();
        let mut takes = BTreeMap::new();
        for (step, value) in entries(&get("steps"))? {
            let fields = entries(&value)?;
            if let Some(consumes) = fields.get("consumes").filter(|v| !v.is_null()) {
                takes.insert(step.clone(), from_value(consumes).ok()?);
            }
            overrides.insert(step, fields);
        }
        let bootstrap = entries(&get("bootstrap"))?;
        let manage = bootstrap.get("manage").cloned().unwrap_or_default();
        let options = bootstrap.iter().filter(|(_, value)| !value.is_null());
        let more = entries(&get("stackInputs"));
        Some(Self {
            backend: !get("backendUrl").is_null()
                || more.is_none_or(|inputs| inputs.contains_key("backendUrl")),
            bootstrap: options.map(|(name, _)| name.clone()).collect(),
            target: given(&get("target"))?,
            targets_dir: given::<Option<String>>(&get("targetsDir"))?
                .unwrap_or_else(super::inputs::infra),
            programs: given(&get("programs"))?,
            ask: Ask {
                custom: given::<Option<bool>>(&get("customSteps"))?.unwrap_or(true),
                bootstrap: given(&manage)?,
                reprise: given(&get("persistentReprise"))?,
                only: given(&get("onlySteps"))?,
                start: given(&get("startAtStep"))?,
                takes,
            },
            overrides,
            targets: given(&get("targetResources"))?,
            excludes: given(&get("excludeResources"))?,
        })
    }
}

/// What a component carries out.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) target: Target,
    pub(crate) plan: Plan,
}

impl Prepared {
    /// What the user says about a step.
    pub(crate) fn overrides(&self, step: &str) -> Option<&PropertyMap> {
        let mut all = self.request.overrides.iter();
        all.find(|(name, _)| self.plan.canonical(name) == step)
            .map(|(_, fields)| fields)
    }

    /// One thing that the user says about a step; null without.
    pub(crate) fn said(&self, step: &str, field: &str) -> PropertyValue {
        self.overrides(step)
            .and_then(|fields| fields.get(field))
            .cloned()
            .unwrap_or_default()
    }

    /// The target's file, as the user wrote the directories.
    pub(crate) fn target_file(&self) -> String {
        let folder = target_folder(&self.target, FilePath::new(&self.request.targets_dir));
        folder.join("ptd.yaml").to_string_lossy().into_owned()
    }

    /// Where a step's project is, as the user wrote the directories.
    pub(crate) fn directory(&self, step: &Step) -> String {
        let said = self.said(&step.name, "directory");
        said.as_str().map_or_else(
            || {
                let place = directory(
                    &self.target,
                    step,
                    FilePath::new(&self.request.targets_dir),
                    FilePath::new(&self.request.programs),
                );
                place.to_string_lossy().into_owned()
            },
            str::to_owned,
        )
    }
}

/// The directory of a step's project: below `programs`, or for a custom step among the target's files.
pub(crate) fn directory(
    target: &Target,
    step: &Step,
    targets_dir: &FilePath,
    programs: &FilePath,
) -> PathBuf {
    let Some(custom) = &step.custom else {
        return programs.join(&step.name);
    };
    let folder = target_folder(target, targets_dir).join("customizations");
    let parts = inside(&custom.path).unwrap_or_default();
    parts
        .into_iter()
        .fold(folder, |folder, part| folder.join(part))
}

/// The directory with a target's files.
fn target_folder(target: &Target, targets_dir: &FilePath) -> PathBuf {
    let parent = match target.target_type {
        TargetType::Workload => target::WORKLOADS,
        TargetType::ControlRoom => target::CONTROL_ROOMS,
    };
    targets_dir.join(parent).join(&target.name)
}

/// Reads the target and everything that the steps need of the file system. Blocks.
pub(crate) fn prepare(request: Request, kind: TargetType) -> Result<Prepared, Vec<Fault>> {
    let at = |name: &str, reason: String| Fault {
        path: Path::root().key(name),
        reason,
    };
    let target = target::load(FilePath::new(&request.targets_dir), &request.target)
        .map_err(|errors| vec![at("target", errors.to_string())])?;
    let name = &target.name;
    if target.target_type != kind {
        let reason = match kind {
            TargetType::Workload => format!("'{name}' is a control room: use ControlRoom for it"),
            TargetType::ControlRoom => format!("'{name}' is a workload: use Workload for it"),
        };
        return Err(vec![at("target", reason)]);
    }
    let (plan, mut faults) = Plan::new(&target, &request.ask);
    if request.ask.custom {
        faults.extend(manifest_faults(&target, "customSteps"));
    }
    faults.extend(bootstrap(&request, &target));
    if !request.targets.is_empty() && !request.excludes.is_empty() {
        let reason = "cannot be given together with targetResources";
        faults.push(at("excludeResources", reason.to_owned()));
    }
    let prepared = Prepared {
        request,
        target,
        plan,
    };
    faults.extend(overrides(&prepared));
    faults.extend(unplaced(&prepared));
    let projects = prepared.plan.steps.iter();
    for step in projects.filter(|step| step.is_project() && !step.off) {
        faults.extend(project(&prepared, step));
    }
    if faults.is_empty() {
        Ok(prepared)
    } else {
        Err(faults)
    }
}

/// What is wrong with the names of the overrides.
fn overrides(prepared: &Prepared) -> Vec<Fault> {
    let plan = &prepared.plan;
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut faults = Vec::new();
    for name in prepared.request.overrides.keys() {
        let reason = match plan.find(name) {
            None => Some(plan.unknown(name)),
            Some(step) if step.name == BOOTSTRAP => {
                Some("what concerns bootstrap belongs into the input bootstrap".to_owned())
            }
            Some(step) if step.name == REPRISE => {
                Some("the reprise runs as persistent does; say it there".to_owned())
            }
            Some(step) => seen
                .insert(&step.name, name)
                .map(|other| format!("'{other}' is the same step")),
        };
        faults.extend(reason.map(|reason| Fault {
            path: Path::root().key("steps").key(name),
            reason,
        }));
    }
    faults
}

/// Steps before `bootstrap` whose state would lie in what it has yet to make.
fn unplaced(prepared: &Prepared) -> impl Iterator<Item = Fault> {
    let steps = &prepared.plan.steps;
    let first = steps.iter().position(|step| step.name == BOOTSTRAP);
    let early = steps.iter().take(first.unwrap_or_default());
    let placed = |step: &&Step| {
        let own = entries(&prepared.said(&step.name, "stackInputs"));
        // What is not known may give one.
        prepared.request.backend || own.is_none_or(|inputs| inputs.contains_key("backendUrl"))
    };
    let early = early.filter(move |step| !step.off && !placed(step));
    early.map(|step| Fault {
        path: Path::root().key("customSteps"),
        reason: format!(
            "step '{}' runs before '{BOOTSTRAP}', which makes the bucket for the states of all steps: insert it after '{BOOTSTRAP}', or \
             give backendUrl",
            step.name
        ),
    })
}

/// What is wrong with the project of a step.
fn project(prepared: &Prepared, step: &Step) -> Option<Fault> {
    let expected = steps::project(&prepared.target, &step.name);
    let directory = prepared.directory(step);
    let said = prepared.said(&step.name, "directory");
    let path = if !said.is_null() {
        Path::root().key("steps").key(&step.name).key("directory")
    } else if step.custom.is_some() {
        Path::root().key("customSteps")
    } else {
        Path::root().key("programs")
    };
    if said.is_unknown() {
        // Where it is, is known later.
        return None;
    }
    let reason = match project_name(FilePath::new(&directory)) {
        Ok(name) if name == expected => return None,
        Ok(name) => format!("the project in {directory} is called '{name}'"),
        Err(reason) => reason,
    };
    Some(Fault {
        path,
        reason: format!("step '{}' is the project '{expected}': {reason}", step.name),
    })
}

/// The cloud whose bootstrap takes an option; `None` for those of both.
fn cloud_of(option: &str) -> Option<TargetCloud> {
    match option {
        "stateBucket" | "encryptionKey" | "secrets" => Some(TargetCloud::Aws),
        "azure" => Some(TargetCloud::Azure),
        _ => None,
    }
}

/// Options of bootstrap that are for another cloud.
fn bootstrap(request: &Request, target: &Target) -> impl Iterator<Item = Fault> {
    let foreign = |name: &&String| cloud_of(name).is_some_and(|cloud| cloud != target.cloud);
    let each = request.bootstrap.iter().filter(foreign);
    each.map(|name| Fault {
        path: Path::root().key("bootstrap").key(name),
        reason: format!("is for another cloud than that of '{}'", target.name),
    })
}

/// What the manifest of custom steps says that nobody understands: a step that is spelled wrong would not run.
pub(crate) fn manifest_faults(target: &Target, input: &str) -> impl Iterator<Item = Fault> {
    target.manifest_warnings.iter().map(move |line| Fault {
        path: Path::root().key(input),
        reason: line.replace("field, ignored", "field"),
    })
}

/// Checks a component's inputs as far as they are known.
pub(crate) fn check(checking: &mut Checking<'_>, kind: TargetType) {
    let read = Request::read(|name| checking.input(name).cloned().unwrap_or_default());
    let Some(request) = read else { return };
    // Many small files are read, which others on this thread should not wait for.
    let prepared = tokio::task::block_in_place(|| prepare(request, kind));
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(faults) => {
            for fault in faults {
                checking.fail(fault.path, fault.reason);
            }
            return;
        }
    };
    let room = prepared.target.control_room.as_ref();
    if let Some(room) = room.filter(|room| !room.name.is_empty() && room.account_id.is_none())
        && checking.known("mimirAuth") == Some(true)
        && !checking.given("controlRoomProvider")
    {
        checking.refuse(
            "target",
            format!(
                "names the control room {} without control_room_account_id: add it to its ptd.yaml, give controlRoomProvider, or set \
                 mimirAuth to false",
                room.name
            ),
        );
    }
}
