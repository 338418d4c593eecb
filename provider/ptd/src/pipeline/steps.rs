//! The steps of a target as a graph: standard ones, custom ones between them, and which of them a run selects.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pulumi_provider::Path;

use super::standard::{self, BOOTSTRAP, REPRISE, Standard, WORKSPACES};
use crate::target::{
    KUBERNETES, KUBERNETES_STEPS, Target, TargetCloud, TargetCustomStep, TargetType, naming,
    nearest,
};

/// An output of an earlier step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The step.
    pub(crate) step: String,
    /// Its output.
    pub(crate) output: String,
    /// Whether the setting is left out where there is no such output.
    pub(crate) optional: bool,
}

/// A step of a pipeline.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Step {
    /// Its name; the cluster step's is `eks` or `aks`.
    pub(crate) name: String,
    /// What the manifest says of a custom step.
    pub(crate) custom: Option<TargetCustomStep>,
    /// The steps directly before it: nothing in here follows from the rest.
    pub(crate) after: Vec<String>,
    /// Settings that are outputs of earlier steps, by setting.
    pub(crate) takes: BTreeMap<String, Source>,
    /// Whether it reaches into the target's network.
    pub(crate) proxy: bool,
    /// Whether its program reads the workload secret.
    pub(crate) reads_secret: bool,
    /// What running it again does.
    pub(crate) rerun: &'static str,
    /// Whether the target's files turn it off: its stack stays as it is, and it needs no program.
    pub(crate) off: bool,
    /// Whether this run selects it.
    pub(crate) selected: bool,
}

impl Step {
    /// Whether it is a Pulumi project of its own.
    pub(crate) fn is_project(&self) -> bool {
        self.name != BOOTSTRAP && self.name != REPRISE
    }
}

/// What a user asks of the steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    /// Whether custom steps take part.
    pub(crate) custom: bool,
    /// Whether there is a bootstrap step; `None` for what is usual for the target.
    pub(crate) bootstrap: Option<bool>,
    /// Whether `persistent` runs again at the end.
    pub(crate) reprise: bool,
    /// Only these steps; empty for all.
    pub(crate) only: Vec<String>,
    /// The first step to run.
    pub(crate) start: Option<String>,
    /// Data edges that replace the standard ones, by step and setting, as `<step>.<output>`.
    pub(crate) takes: BTreeMap<String, BTreeMap<String, String>>,
}

/// Something a user asked that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The input.
    pub(crate) path: Path,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// The steps of a target in the order in which they would run one by one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The steps.
    pub(crate) steps: Vec<Step>,
    cluster: Option<&'static str>,
}

impl Plan {
    /// The steps of `target` as `ask` wants them. Faults come all at once; steps that they concern are left as they were.
    pub(crate) fn new(target: &Target, ask: &Ask) -> (Self, Vec<Fault>) {
        let mut plan = Self {
            steps: Vec::new(),
            cluster: cluster_step(target),
        };
        plan.collect(target, ask);
        let mut faults = plan.take(ask);
        plan.connect(target);
        faults.extend(plan.select(ask));
        (plan, faults)
    }

    /// The step of that name; the cluster step has three.
    pub(crate) fn find(&self, name: &str) -> Option<&Step> {
        let name = self.canonical(name);
        self.steps.iter().find(|step| step.name == name)
    }

    /// The name that a step has here.
    pub(crate) fn canonical<'a>(&self, name: &'a str) -> &'a str
    where
        'static: 'a,
    {
        match self.cluster {
            Some(cluster) if name == KUBERNETES || KUBERNETES_STEPS.contains(&name) => cluster,
            _ => name,
        }
    }

    /// Why there is no step of that name.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let known = self.steps.iter().map(|step| step.name.as_str());
        match nearest(name, known.chain(self.cluster.map(|_| KUBERNETES))) {
            Some(meant) => format!("there is no step '{name}'; did you mean '{meant}'?"),
            None => format!(
                "there is no step '{name}'; the steps are {}",
                self.names().join(", ")
            ),
        }
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.steps.iter().map(|step| step.name.as_str()).collect()
    }

    fn collect(&mut self, target: &Target, ask: &Ask) {
        let standard = standard::steps(target.kind);
        let usual = standard.iter().any(|step| step.name == BOOTSTRAP);
        let bootstrap = ask.bootstrap.unwrap_or(usual);
        if bootstrap && !usual {
            self.steps.push(of_standard(standard::bootstrap()));
        }
        for name in &target.order {
            let name = self.canonical(name);
            if let Some(step) = standard.iter().find(|step| step.name == name) {
                if bootstrap || step.name != BOOTSTRAP {
                    self.steps.push(of_standard(step));
                }
            } else if ask.custom
                && let Some(step) = target.custom_steps.iter().find(|step| step.name == name)
            {
                self.steps.push(of_custom(step));
            }
        }
        let room = target.aws_control_room.as_ref();
        if room.is_some_and(|room| !room.workspaces_enabled)
            && let Some(step) = self.steps.iter_mut().find(|step| step.name == WORKSPACES)
        {
            step.off = true;
        }
        if ask.reprise {
            self.steps.push(Step {
                name: REPRISE.to_owned(),
                custom: None,
                after: Vec::new(),
                takes: BTreeMap::new(),
                proxy: false,
                reads_secret: false,
                rerun: standard::REPRISE_RERUN,
                off: false,
                selected: true,
            });
        }
    }

    /// Puts the data edges that the user gives in the place of the standard ones.
    fn take(&mut self, ask: &Ask) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (name, takes) in &ask.takes {
            let path = Path::root().key("steps").key(name).key("consumes");
            let canonical = self.canonical(name).to_owned();
            // A step of that name that there is not is reported where overrides are looked at.
            let Some(at) = self.steps.iter().position(|step| step.name == canonical) else {
                continue;
            };
            let mut sources = BTreeMap::new();
            for (setting, source) in takes {
                match self.source(at, source) {
                    Ok(source) => {
                        sources.insert(setting.clone(), source);
                    }
                    Err(reason) => faults.push(Fault {
                        path: path.key(setting),
                        reason,
                    }),
                }
            }
            if let Some(step) = self.steps.get_mut(at) {
                step.takes = sources;
            }
        }
        faults
    }

    fn source(&self, at: usize, text: &str) -> Result<Source, String> {
        let (name, output) = text
            .split_once('.')
            .filter(|(step, output)| !step.is_empty() && !output.is_empty())
            .ok_or_else(|| {
                format!("'{text}' names no output; expected '<step>.<output>', such as 'persistent.db_address'")
            })?;
        let step = self.find(name).ok_or_else(|| self.unknown(name))?;
        let own = &self.steps[at];
        if self.steps[..at]
            .iter()
            .all(|earlier| earlier.name != step.name)
        {
            return Err(format!(
                "step '{}' runs before '{}', so that it cannot take its outputs",
                own.name, step.name
            ));
        }
        Ok(Source {
            step: step.name.clone(),
            output: output.to_owned(),
            optional: false,
        })
    }

    /// Finds out which steps each one has directly before it.
    fn connect(&mut self, target: &Target) {
        let standard: HashMap<&str, &Standard> = standard::steps(target.kind)
            .iter()
            .map(|step| (step.name, step))
            .collect();
        // Everything before each step, by index; steps only wait for earlier ones.
        let mut before: Vec<BTreeSet<usize>> = Vec::new();
        for at in 0..self.steps.len() {
            let mut wanted = self.wanted(at, &standard);
            wanted.extend(
                self.steps[..at]
                    .iter()
                    .enumerate()
                    .filter(|(_, step)| step.custom.is_some())
                    .map(|(index, _)| index),
            );
            let direct: Vec<usize> = wanted
                .iter()
                .copied()
                .filter(|one| !wanted.iter().any(|other| before[*other].contains(one)))
                .collect();
            let mut all = wanted.clone();
            for one in &wanted {
                all.extend(before[*one].iter().copied());
            }
            before.push(all);
            self.steps[at].after = direct
                .into_iter()
                .map(|index| self.steps[index].name.clone())
                .collect();
        }
    }

    /// The earlier steps that the one at `at` must wait for, by what it is.
    fn wanted(&self, at: usize, standard: &HashMap<&str, &Standard>) -> BTreeSet<usize> {
        let earlier = &self.steps[..at];
        let index = |name: &str| {
            earlier
                .iter()
                .position(|step| step.name == self.canonical(name))
        };
        let step = &self.steps[at];
        let mut wanted: BTreeSet<usize> = step
            .takes
            .values()
            .filter_map(|source| index(&source.step))
            .collect();
        // Every stack's state lies in what bootstrap makes.
        wanted.extend(index(BOOTSTRAP));
        if let Some(known) = standard.get(step.name.as_str()) {
            wanted.extend(known.after.iter().filter_map(|name| index(name)));
        } else {
            wanted.extend(
                self.place(step, standard, &index)
                    .unwrap_or_else(|| (0..at).collect()),
            );
        }
        wanted
    }

    /// What a custom step waits for by its place: the step it follows, or what the step it precedes waits for. `None` without a place.
    fn place(
        &self,
        step: &Step,
        standard: &HashMap<&str, &Standard>,
        index: &impl Fn(&str) -> Option<usize>,
    ) -> Option<Vec<usize>> {
        let mut step = step;
        // References between custom steps end: circles were refused when the manifest was read.
        for _ in 0..=self.steps.len() {
            let custom = step.custom.as_ref()?;
            if let Some(after) = &custom.insert_after {
                // A disabled or absent step is no reason to lose the place.
                return index(after).map(|one| vec![one]);
            }
            let before = self.canonical(custom.insert_before.as_deref()?);
            if let Some(next) = standard.get(before) {
                return Some(next.after.iter().filter_map(|name| index(name)).collect());
            }
            step = self.find(before)?;
        }
        None
    }

    fn select(&mut self, ask: &Ask) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (index, name) in ask.only.iter().enumerate() {
            if self.find(name).is_none() {
                faults.push(Fault {
                    path: Path::root().key("onlySteps").index(index),
                    reason: self.unknown(name),
                });
            }
        }
        let only: BTreeSet<&str> = ask.only.iter().map(|name| self.canonical(name)).collect();
        let mut from = 0;
        // Programs in YAML have no setting that may be absent.
        if let Some(start) = ask.start.as_deref().filter(|start| !start.is_empty()) {
            let path = Path::root().key("startAtStep");
            let canonical = self.canonical(start);
            match self.steps.iter().position(|step| step.name == canonical) {
                None => faults.push(Fault {
                    path,
                    reason: self.unknown(start),
                }),
                Some(_) if !only.is_empty() && !only.contains(canonical) => {
                    let listed: Vec<&str> = self
                        .names()
                        .into_iter()
                        .filter(|name| only.contains(name))
                        .collect();
                    faults.push(Fault {
                        path,
                        reason: format!(
                            "step '{start}' is not among onlySteps: {}",
                            listed.join(", ")
                        ),
                    });
                }
                Some(at) => from = at,
            }
        }
        let only: BTreeSet<String> = only.into_iter().map(str::to_owned).collect();
        for (at, step) in self.steps.iter_mut().enumerate() {
            let asked = at >= from && (only.is_empty() || only.contains(&step.name));
            step.selected = asked && !step.off;
        }
        faults
    }
}

fn of_standard(step: &Standard) -> Step {
    let takes = step.takes.iter().flat_map(|(from, outputs)| {
        outputs.iter().map(|output| {
            let name = output.trim_end_matches('?');
            let source = Source {
                step: (*from).to_owned(),
                output: name.to_owned(),
                optional: name != *output,
            };
            (name.to_owned(), source)
        })
    });
    Step {
        name: step.name.to_owned(),
        custom: None,
        after: Vec::new(),
        takes: takes.collect(),
        proxy: step.proxy,
        reads_secret: step.reads_secret,
        rerun: step.rerun,
        off: false,
        selected: true,
    }
}

fn of_custom(step: &TargetCustomStep) -> Step {
    Step {
        name: step.name.clone(),
        custom: Some(step.clone()),
        after: Vec::new(),
        takes: BTreeMap::new(),
        proxy: step.proxy_required,
        reads_secret: false,
        rerun: standard::CUSTOM_RERUN,
        off: !step.enabled,
        selected: true,
    }
}

/// What `kubernetes` is on the cloud of a workload; a control room has no such step.
fn cluster_step(target: &Target) -> Option<&'static str> {
    match (target.target_type, target.cloud) {
        (TargetType::ControlRoom, _) => None,
        (TargetType::Workload, TargetCloud::Aws) => Some("eks"),
        (TargetType::Workload, TargetCloud::Azure) => Some("aks"),
    }
}

/// The project of a step's stack.
pub(crate) fn project(target: &Target, step: &str) -> String {
    let cloud = match target.cloud {
        TargetCloud::Aws => "aws",
        TargetCloud::Azure => "azure",
    };
    let kind = match target.target_type {
        TargetType::Workload => "workload",
        TargetType::ControlRoom => "control-room",
    };
    // The reprise is the stack of `persistent` once more.
    let step = if step == REPRISE {
        standard::PERSISTENT
    } else {
        step
    };
    naming::project(cloud, kind, step)
}

/// The full name of a step's stack.
pub(crate) fn stack(target: &Target, step: &str) -> String {
    naming::stack(&project(target, step), &target.name)
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
