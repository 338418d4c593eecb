//! Carrying out a plan: one child for each step, each registered as soon as those before it are done.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use pulumi_provider::{
    Child, ChildOptions, Construction, Error, Outputs, PropertyMap, PropertyValue, Registered,
};

use super::prepare::{Prepared, Request, prepare};
use super::settings::{self, KUBERNETES_ENVIRONMENT};
use super::standard::{BOOTSTRAP, PERSISTENT, REPRISE};
use super::steps::{self, Step};
use super::values::{bare, entries, joined, over, settled, texts};
use super::{actions, list_steps};
use crate::Ptd;
use crate::aws::bootstrap::Bootstrap;
use crate::azure::bootstrap::Bootstrap as AzureBootstrap;
use crate::reprise::PersistentReprise;
use crate::stack::{InnerRun, Report, Stack, table};
use crate::target::{KUBERNETES, TargetCloud, TargetType};

/// A step that is done.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The step's own child, then what belongs to it.
    children: Vec<Registered>,
    /// Its outputs; `None` while they are not known.
    outputs: Option<PropertyMap>,
}

impl Finished {
    /// The step's own child.
    fn child(&self) -> Option<&Registered> {
        self.children.first()
    }
}

/// Why a step is not done.
#[derive(Debug, Clone)]
enum Unfinished {
    /// It failed.
    Failed(Error),
    /// A step before it is not done.
    Waits,
}

type StepResult = Result<Arc<Finished>, Unfinished>;
type Running<'a> = Shared<BoxFuture<'a, StepResult>>;

/// The construction of a pipeline.
pub(crate) async fn construct(cx: Construction<Ptd>, kind: TargetType) -> Result<Outputs, Error> {
    let Some(request) = Request::read(|name| cx.input(name)) else {
        cx.info("which steps there are is not known yet; they are previewed once it is")
            .await;
        let names = ["steps", "backendUrl", "secretsProviderUrl", "stepNames"];
        return Ok(names
            .map(|name| (name.to_owned(), PropertyValue::UNKNOWN))
            .into());
    };
    let prepared = tokio::task::spawn_blocking(move || prepare(request, kind))
        .await
        .map_err(|error| Error::Bug(format!("reading the target did not finish: {error}")))?
        .map_err(list_steps::input)?;
    for warning in &prepared.target.warnings {
        cx.warn(warning).await;
    }
    let pipeline = Pipeline {
        cx: &cx,
        prepared: &prepared,
    };
    pipeline.run().await
}

/// A pipeline under construction.
#[derive(Clone, Copy)]
pub(crate) struct Pipeline<'a> {
    pub(crate) cx: &'a Construction<Ptd>,
    pub(crate) prepared: &'a Prepared,
}

impl<'a> Pipeline<'a> {
    async fn run(self) -> Result<Outputs, Error> {
        let steps = &self.prepared.plan.steps;
        let mut running: HashMap<&str, Running<'_>> = HashMap::new();
        for step in steps {
            // Everything earlier can be asked for its outputs; only those that it waits for are waited for.
            let needs = step
                .after
                .iter()
                .chain(step.takes.values().map(|source| &source.step))
                .map(String::as_str)
                .chain(self.asks(step));
            let needs: HashMap<String, Running<'_>> = needs
                .filter_map(|name| Some((name.to_owned(), running.get(name)?.clone())))
                .collect();
            let work = async move {
                let mut done = HashMap::new();
                let all = needs
                    .into_iter()
                    .map(|(name, one)| async { (name, one.await) });
                for (name, result) in join_all(all).await {
                    done.insert(name, result.map_err(|_| Unfinished::Waits)?);
                }
                let finished = self.step(step, &done).await.map_err(Unfinished::Failed)?;
                Ok(Arc::new(finished))
            };
            running.insert(&step.name, work.boxed().shared());
        }
        let results = join_all(steps.iter().filter_map(|step| {
            let one = running.get(step.name.as_str())?.clone();
            Some(async move { (step, one.await) })
        }));
        let results = results.await;
        self.tell(&results).await;
        self.outputs(results)
    }

    /// The steps that one looks at beside those it waits for or takes from.
    fn asks(self, step: &Step) -> Vec<&'a str> {
        let mut all = vec![BOOTSTRAP];
        if step.reads_secret || step.name == REPRISE {
            all.push(PERSISTENT);
        }
        if step.name == REPRISE {
            // What its program looks up are the clusters.
            all.extend(
                self.prepared
                    .plan
                    .find(KUBERNETES)
                    .map(|found| found.name.as_str()),
            );
        }
        all
    }

    async fn step(
        self,
        step: &'a Step,
        done: &HashMap<String, Arc<Finished>>,
    ) -> Result<Finished, Error> {
        if step.name == BOOTSTRAP {
            let child = self.cx.register(self.bootstrap(step)).await?;
            return Ok(Finished {
                children: vec![child],
                outputs: None,
            });
        }
        let mut child = if step.name == REPRISE {
            self.reprise(step, done)?
        } else {
            self.stack(step, done)?
        };
        for before in &step.after {
            for one in done.get(before).into_iter().flat_map(|done| &done.children) {
                child = child.after(one);
            }
        }
        let child = self.cx.register(child).await?;
        let outputs = match child.entries("outputs") {
            // Outside a preview nothing stays unknown: a stack that says nothing has no outputs.
            None if !self.cx.preview() => Some(PropertyMap::new()),
            outputs => outputs,
        };
        let mut children = vec![child];
        if step.name == PERSISTENT {
            let bootstrap = done.get(BOOTSTRAP).and_then(|done| done.child());
            children.extend(actions::after_persistent(self, &children[0], bootstrap).await?);
        }
        Ok(Finished { children, outputs })
    }

    /// The name of a child.
    pub(crate) fn name(self, part: &str) -> String {
        format!("{}-{part}", self.cx.name())
    }

    fn bootstrap(self, step: &Step) -> Child {
        let target = &self.prepared.target;
        let child = match target.cloud {
            TargetCloud::Aws => self.aws_bootstrap(),
            TargetCloud::Azure => self.azure_bootstrap(),
        };
        // A step that is left out keeps what it has, whatever its inputs became.
        child.options(ChildOptions {
            ignore_changes: if self.scope(step).0 {
                vec!["*".to_owned()]
            } else {
                Vec::new()
            },
            ..ChildOptions::default()
        })
    }

    fn azure_bootstrap(self) -> Child {
        let target = &self.prepared.target;
        let spec = target.azure.as_ref();
        let mut child = Child::component::<AzureBootstrap>(self.name(BOOTSTRAP))
            .input("target", target.name.clone())
            .typed("sites", &target.site_names)
            .input("location", target.region.clone())
            .input("subscriptionId", target.account_id.clone())
            .input("tenantId", spec.and_then(|spec| spec.tenant_id.clone()))
            .input(
                "adminGroupId",
                spec.and_then(|spec| spec.admin_group_id.clone()),
            )
            .input("externalSecrets", target.external_secrets_enabled);
        if !target.resource_tags.is_empty() {
            child = child.typed("tags", &target.resource_tags);
        }
        for (name, value) in entries(&self.cx.input("bootstrap")).unwrap_or_default() {
            match name.as_str() {
                "azure" => {
                    for (name, value) in entries(&value).unwrap_or_default() {
                        child = child.input(&name, value);
                    }
                }
                "manage" => {}
                _ => child = child.input(&name, value),
            }
        }
        child
    }

    fn aws_bootstrap(self) -> Child {
        let target = &self.prepared.target;
        let workload = target.target_type == TargetType::Workload;
        let mut child = Child::component::<Bootstrap>(self.name(BOOTSTRAP))
            .input("target", target.name.clone())
            .input("region", target.region.clone())
            .input("accountId", target.account_id.clone())
            .input("kind", if workload { "workload" } else { "controlRoom" });
        if workload {
            child = child
                .typed("sites", &target.site_names)
                .input("createAdminPolicy", target.create_admin_policy_as_resource);
        }
        for (name, value) in entries(&self.cx.input("bootstrap")).unwrap_or_default() {
            if name != "manage" {
                child = child.input(&name, value);
            }
        }
        child
    }

    /// An input of the component; without one an output of bootstrap, and without bootstrap what follows from the target's name.
    fn place(
        self,
        input: &str,
        output: &str,
        formula: &str,
        bootstrap: Option<&Registered>,
    ) -> PropertyValue {
        let given = self.cx.input(input);
        if !given.is_null() {
            return given;
        }
        bootstrap.map_or_else(|| formula.into(), |child| child.output(output))
    }

    fn backend(self, bootstrap: Option<&Registered>) -> PropertyValue {
        let formula = &self.prepared.target.names.backend_url;
        self.place("backendUrl", "backendUrl", formula, bootstrap)
    }

    fn secrets_provider(self, bootstrap: Option<&Registered>) -> PropertyValue {
        let formula = &self.prepared.target.names.secrets_provider_url;
        self.place("secretsProvider", "secretsProviderUrl", formula, bootstrap)
    }

    /// Whether a step keeps its state as it is.
    pub(crate) fn skips(self, step: &str) -> bool {
        let step = self.prepared.plan.find(step);
        step.is_none_or(|step| self.scope(step).0)
    }

    /// Whether the step keeps its state as it is, and the resources it is limited to or goes without.
    fn scope(self, step: &Step) -> (bool, Vec<String>, Vec<String>) {
        let request = &self.prepared.request;
        let project = steps::project(&self.prepared.target, &step.name);
        let own = |urns: &[String]| -> Vec<String> {
            let concerns = |urn: &&String| concerns(urn, &project);
            urns.iter().filter(concerns).cloned().collect()
        };
        let targets = own(&request.targets);
        // Bootstrap has no inner stack that any of them could be in.
        let none = targets.is_empty() || step.name == BOOTSTRAP;
        let beside = !request.targets.is_empty() && none;
        (!step.selected || beside, targets, own(&request.excludes))
    }

    fn stack(self, step: &Step, done: &HashMap<String, Arc<Finished>>) -> Result<Child, Error> {
        let (cx, prepared) = (self.cx, self.prepared);
        let said = |field: &str| prepared.said(&step.name, field);
        let project = steps::project(&prepared.target, &step.name);
        let either = |field: &str| match said(field) {
            PropertyValue::Null => cx.input(field),
            value => value,
        };
        let bootstrap = done.get(BOOTSTRAP).and_then(|done| done.child());
        let (skip, targets, excludes) = self.scope(step);
        let own = settings::config(&prepared.target, step);
        let own = PropertyValue::from(serde_json::Value::Object(own));
        let taken = self.taken(step, done, skip)?;
        let of_cloud = settings::azure_environment(&prepared.target);
        let of_cloud = of_cloud.iter().map(|(name, value)| (*name, value.as_str()));
        let standard = texts(KUBERNETES_ENVIRONMENT.into_iter().chain(of_cloud));
        let environment = over(&standard, &cx.input("environment"));
        let mut child = Child::of::<Stack>(self.name(&step.name))
            .input("directory", prepared.directory(step))
            .input("stack", steps::stack(&prepared.target, &step.name))
            .input("backendUrl", self.backend(bootstrap))
            .input("secretsProvider", self.secrets_provider(bootstrap))
            .input(
                "config",
                over(&over(&own, &taken), &bare(&said("config"), &project)),
            )
            .input("environment", over(&environment, &said("environment")))
            .input(
                "inheritEnvironment",
                joined(&cx.input("inheritEnvironment"), &said("inheritEnvironment")),
            )
            .input("triggers", self.triggers(step, done))
            .input("watch", self.watched(step))
            .typed("targets", &targets)
            .typed("excludes", &excludes)
            .input("refresh", either("refresh"))
            .input(
                "onDelete",
                if step.off {
                    // It may be a stack that this pipeline never ran.
                    "retain".into()
                } else {
                    either("onDelete")
                },
            )
            .input("parallel", said("parallel"));
        if skip {
            child = child.input("skip", true);
        }
        let more = over(&cx.input("stackInputs"), &said("stackInputs"));
        for (name, value) in entries(&more).unwrap_or_default() {
            child = child.input(&name, value);
        }
        Ok(child)
    }

    /// What lies beside the step's project and runs it.
    fn watched(self, step: &Step) -> PropertyValue {
        let prepared = self.prepared;
        let said = prepared.said(&step.name, "watch");
        let given = joined(&self.cx.input("watch"), &said);
        // Which of its values the program reads nobody knows.
        let own = step.custom.as_ref().map(|_| prepared.target_file().into());
        joined(&PropertyValue::List(own.into_iter().collect()), &given)
    }

    /// `persistent` once more, when what came after it has changed.
    fn reprise(self, step: &Step, done: &HashMap<String, Arc<Finished>>) -> Result<Child, Error> {
        let persistent = done.get(PERSISTENT).and_then(|done| done.child());
        let persistent = persistent
            .ok_or_else(|| Error::Bug(format!("step {} has nothing to run again", step.name)))?;
        let triggers = done
            .iter()
            .filter(|(name, _)| *name != PERSISTENT && *name != BOOTSTRAP)
            .filter_map(|(name, done)| Some((name.clone(), done.child()?.output("outputs"))));
        let child = Child::component::<PersistentReprise>(self.name(REPRISE))
            .input("spec", persistent.output("spec"))
            .input("triggers", PropertyValue::Map(triggers.collect()));
        let child = actions::after_reprise(self, child);
        Ok(if self.scope(step).0 {
            child.input("skip", true)
        } else {
            child
        })
    }

    /// The settings that are outputs of earlier steps.
    fn taken(
        self,
        step: &Step,
        done: &HashMap<String, Arc<Finished>>,
        skip: bool,
    ) -> Result<PropertyValue, Error> {
        let mut taken = BTreeMap::new();
        for (setting, source) in &step.takes {
            let Some(from) = done.get(&source.step) else {
                continue;
            };
            let value = match &from.outputs {
                // Of bootstrap, and of a stack whose outputs are not known.
                None => from.child().map(|child| {
                    if source.step == BOOTSTRAP {
                        child.output(&source.output)
                    } else {
                        child.output("outputs")
                    }
                }),
                Some(outputs) => outputs.get(&source.output).cloned(),
            };
            match value.filter(|value| !value.is_null()) {
                Some(value) => {
                    taken.insert(setting.clone(), value);
                }
                None if skip => {}
                None if source.optional && !from.child().is_some_and(never_ran) => {}
                None => return Err(self.missing(step, setting, &source.step, &source.output)),
            }
        }
        let project = steps::project(&self.prepared.target, &step.name);
        Ok(bare(&PropertyValue::Map(taken), &project))
    }

    fn missing(self, step: &Step, setting: &str, from: &str, output: &str) -> Error {
        let runs = !self.skips(from);
        let what = format!(
            "step '{}' takes its setting '{setting}' from output '{output}' of step '{from}', which stack {} does not have",
            step.name,
            steps::stack(&self.prepared.target, from)
        );
        let next = if runs {
            format!(
                "export it in the program of '{from}', or say in steps.{}.consumes what the step takes",
                step.name
            )
        } else {
            format!("'{from}' does not run this time, and perhaps never did: select it as well")
        };
        Error::refused(what, next)
    }

    fn triggers(self, step: &Step, done: &HashMap<String, Arc<Finished>>) -> PropertyValue {
        let said = self.prepared.said(&step.name, "triggers");
        let persistent = done.get(PERSISTENT).filter(|_| step.reads_secret);
        let fields = persistent.and_then(|done| {
            let fields = actions::secret_fields(self, done.child()?, done.outputs.as_ref())?;
            Some(PropertyValue::Map(fields))
        });
        match fields {
            // Its program reads the secret by itself, so that nothing else tells that a field changed.
            Some(fields) => over(
                &PropertyValue::Map([("workloadSecret".to_owned(), fields)].into()),
                &said,
            ),
            None => said,
        }
    }

    /// Shows what became of each step, when inner stacks have run.
    async fn tell(self, results: &[(&Step, StepResult)]) {
        let engine = self.cx.engine_address().filter(|_| !self.cx.preview());
        let Some(engine) = engine else { return };
        let Ok(report) = tokio::task::spawn_blocking(move || Report::of(&engine)).await else {
            return;
        };
        let record = |step: &Step| {
            let name = self.name(&step.name);
            let update = format!("{name}-update");
            let own = |run: &&InnerRun| run.is_of(&name) || run.is_of(&update);
            report.runs.iter().rev().find(own)
        };
        if results.iter().all(|(step, _)| record(step).is_none()) {
            return;
        }
        let rows = results.iter().map(|(step, result)| {
            let [ended, changes, took, reason] = match (record(step), result) {
                (Some(run), _) => run.row(),
                (None, result) => {
                    let word = match result {
                        Ok(_) if self.scope(step).0 => "skipped",
                        // It is no inner stack; what it changed is shown by its own children.
                        Ok(_) if step.name == BOOTSTRAP => "done",
                        Ok(_) => "unchanged",
                        Err(Unfinished::Waits) => "not run",
                        Err(Unfinished::Failed(_)) => "failed",
                    };
                    [word.to_owned(), String::new(), String::new(), String::new()]
                }
            };
            [step.name.clone(), ended, changes, took, reason]
        });
        let table = table(["step", "result", "changes", "time", "reason"], rows);
        self.cx.info(format!("\n{table}")).await;
    }

    fn outputs(self, results: Vec<(&Step, StepResult)>) -> Result<Outputs, Error> {
        let mut failed = None;
        let mut waiting = Vec::new();
        let mut all = BTreeMap::new();
        let mut bootstrap = None;
        for (step, result) in results {
            match result {
                Ok(done) => {
                    if step.name == BOOTSTRAP {
                        bootstrap = done.child().cloned();
                    }
                    let outputs = match (&done.outputs, done.child()) {
                        (Some(outputs), _) => PropertyValue::Map(outputs.clone()),
                        (None, Some(child)) if step.name == BOOTSTRAP => {
                            PropertyValue::Map(child.all())
                        }
                        (None, Some(child)) => child.output("outputs"),
                        (None, None) => PropertyValue::UNKNOWN,
                    };
                    all.insert(step.name.clone(), settled(outputs));
                }
                Err(Unfinished::Failed(error)) => {
                    // One that failed by itself says more than one that was stopped because of it.
                    let stopped = matches!(failed, None | Some((_, Error::Cancelled { .. })));
                    if stopped {
                        failed = Some((step.name.clone(), error));
                    }
                }
                Err(Unfinished::Waits) => waiting.push(step.name.as_str()),
            }
        }
        if let Some((step, error)) = failed {
            if matches!(error, Error::Cancelled { .. }) {
                return Err(error);
            }
            let mut what = format!("step '{step}': {error}");
            if !waiting.is_empty() {
                what = format!("{what}; not run because of it: {}", waiting.join(", "));
            }
            return Err(Error::Refused { what, next: None });
        }
        let names = self.prepared.plan.names().into_iter();
        Ok([
            ("steps", PropertyValue::Map(all)),
            ("backendUrl", self.backend(bootstrap.as_ref())),
            (
                "secretsProviderUrl",
                self.secrets_provider(bootstrap.as_ref()),
            ),
            (
                "stepNames",
                PropertyValue::List(names.map(PropertyValue::from).collect()),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into())
    }
}

/// Whether a URN is one of a project. A pattern may be of any.
fn concerns(urn: &str, project: &str) -> bool {
    match urn.split("::").nth(1) {
        Some(of) if !of.contains('*') && !urn.starts_with("**") => of == project,
        _ => true,
    }
}

/// Whether nothing was ever made of a step that is left out.
pub(super) fn never_ran(step: &Registered) -> bool {
    step.known("pending") == Some(true) && step.known::<String>("lastUpdateTime").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_belong_to_the_steps_in_their_urns() {
        let urn = "urn:pulumi:acme01::ptd-aws-workload-eks::random:Id::a";
        assert!(concerns(urn, "ptd-aws-workload-eks"));
        assert!(!concerns(urn, "ptd-aws-workload-helm"));
        assert!(concerns("**::a", "ptd-aws-workload-helm"));
        assert!(concerns("urn:pulumi:*::**::a", "ptd-aws-workload-helm"));
    }
}
