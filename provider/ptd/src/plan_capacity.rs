//! `ptd:index:planCapacity`: whether workflows fit a cluster, before anything of them is made.

use std::collections::BTreeMap;

use pulumi_provider::{Context, Error, Failure, Function, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Ptd;
use crate::defaults::yes;

/// Adds up what workflows ask of a cluster and holds it, together with a reserve, against the nodes that the cluster may have. What
/// does not fit the most nodes is an error that says by how much and how many nodes it would take; what does not fit the fewest is
/// a warning, since the cluster must grow first. Nothing is called: it answers from its arguments alone.
///
/// Sums decide, compared to a millionth. Whether each pod finds a node with room for it is the scheduler's business.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanCapacityArgs {
    /// The workflows by name. Default: the seven of the platform, `foundation` (1.5 CPU, 3 GB), `ingress` (0.5, 0.768), `observability`
    /// (2, 4), `gitops` (1, 2), `security` (0.8, 1.5), `mesh` (1, 2) and `data` (1.5, 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflows: Option<BTreeMap<String, CapacityWorkflow>>,
    /// The nodes of the cluster. Default: 3 to 10 nodes of 2 CPU and 8 GB.
    #[serde(default)]
    pub nodes: CapacityNodes,
    /// What is kept free for the system and for failures. Default: 5 CPU and 10 GB.
    #[serde(default)]
    pub reserved: CapacityReserve,
    /// Whether what does not fit the most nodes is an error. Otherwise it is a warning, and `fits` is false. Default: it is an error.
    #[serde(default = "yes")]
    pub refuse: bool,
}

/// What a workflow asks for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityWorkflow {
    /// The processors of one replica, 0 to 1,000,000. Fractions count to a millionth.
    pub cpu: f64,
    /// The memory of one replica in GB, 0 to 1,000,000. Fractions count to a millionth.
    pub memory_gb: f64,
    /// How many replicas there are, 0 to 1,000,000. Default: 1.
    #[serde(default = "one")]
    pub replicas: u32,
}

/// The nodes of a cluster, all alike.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityNodes {
    /// The processors of one node, more than 0. Default: 2.
    #[serde(default = "node_cpu")]
    pub cpu: f64,
    /// The memory of one node in GB, more than 0. Default: 8.
    #[serde(default = "node_memory")]
    pub memory_gb: f64,
    /// How many nodes there are at least, from 0. Default: 3, or `maximum` where that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    /// How many nodes there may be, from 1. Default: 10, or `minimum` where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u32>,
}

/// What workflows cannot have.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityReserve {
    /// Processors, 0 to 1,000,000. Default: 5.
    #[serde(default = "reserved_cpu")]
    pub cpu: f64,
    /// Memory in GB, 0 to 1,000,000. Default: 10.
    #[serde(default = "reserved_memory")]
    pub memory_gb: f64,
}

/// Processors and memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityAmount {
    /// Processors.
    pub cpu: f64,
    /// Memory in GB.
    pub memory_gb: f64,
}

/// How a plan fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityPlan {
    /// What each workflow asks for with all its replicas.
    pub workflows: BTreeMap<String, CapacityAmount>,
    /// What all workflows ask for together.
    pub total: CapacityAmount,
    /// `total` and the reserve.
    pub required: CapacityAmount,
    /// What the most nodes have.
    pub capacity: CapacityAmount,
    /// What the most nodes have left; negative where it does not suffice.
    pub head_room: CapacityAmount,
    /// How many nodes `required` takes.
    pub needed_nodes: u32,
    /// Whether the most nodes suffice.
    pub fits: bool,
    /// Whether the fewest nodes suffice already.
    pub fits_minimum: bool,
    /// What is worth knowing: that the cluster must grow, say. They are logged too.
    pub warnings: Vec<String>,
}

fn one() -> u32 {
    1
}
fn node_cpu() -> f64 {
    2.0
}
fn node_memory() -> f64 {
    8.0
}
fn reserved_cpu() -> f64 {
    5.0
}
fn reserved_memory() -> f64 {
    10.0
}

impl Default for CapacityNodes {
    fn default() -> Self {
        Self {
            cpu: node_cpu(),
            memory_gb: node_memory(),
            minimum: None,
            maximum: None,
        }
    }
}

impl CapacityNodes {
    /// The least and the greatest number; one that is not given never contradicts the other.
    fn bounds(&self) -> (u32, u32) {
        match (self.minimum, self.maximum) {
            (Some(minimum), Some(maximum)) => (minimum, maximum),
            (Some(minimum), None) => (minimum, minimum.max(10)),
            (None, maximum) => {
                let maximum = maximum.unwrap_or(10);
                (maximum.min(3), maximum)
            }
        }
    }
}

impl Default for CapacityReserve {
    fn default() -> Self {
        Self {
            cpu: reserved_cpu(),
            memory_gb: reserved_memory(),
        }
    }
}

/// The platform's seven.
fn platform() -> BTreeMap<String, CapacityWorkflow> {
    [
        ("foundation", 1.5, 3.0),
        ("ingress", 0.5, 0.768),
        ("observability", 2.0, 4.0),
        ("gitops", 1.0, 2.0),
        ("security", 0.8, 1.5),
        ("mesh", 1.0, 2.0),
        ("data", 1.5, 3.0),
    ]
    .map(|(name, cpu, memory_gb)| {
        let workflow = CapacityWorkflow {
            cpu,
            memory_gb,
            replicas: one(),
        };
        (name.to_owned(), workflow)
    })
    .into()
}

/// The greatest amount of anything that is taken: sums of it stay exact.
const MOST: f64 = 1e6;
const MOST_REPLICAS: u32 = 1_000_000;
/// Parts of one in which sums are made, and in which they are compared. That the first are the finer ones hides that a third, say,
/// was rounded.
const FINE: f64 = 1e12;
const COARSE: i128 = 1_000_000;

/// An exact number of trillionths, so that 0.1 and 0.2 are 0.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Exact(i128);

impl Exact {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be at most a million"
    )]
    fn of(number: f64) -> Self {
        Self((number * FINE).round() as i128)
    }

    fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(count.into()))
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// To the nearest millionth.
    fn rounded(self) -> Self {
        let half = COARSE / 2 * self.0.signum();
        Self(self.0.saturating_add(half) / COARSE * COARSE)
    }

    /// How many of `each` hold this much.
    fn shared_by(self, each: Self) -> u32 {
        let whole = self.0.max(0);
        let count = whole / each.0 + i128::from(whole % each.0 > 0);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    #[expect(clippy::cast_precision_loss, reason = "rounded to a millionth")]
    fn number(self) -> f64 {
        (self.rounded().0 / COARSE) as f64 / (FINE / COARSE as f64)
    }
}

#[derive(Debug, Clone, Copy)]
struct Need {
    cpu: Exact,
    memory: Exact,
}

impl Need {
    const NONE: Self = Self {
        cpu: Exact(0),
        memory: Exact(0),
    };

    fn of(cpu: f64, memory_gb: f64) -> Self {
        Self {
            cpu: Exact::of(cpu),
            memory: Exact::of(memory_gb),
        }
    }

    fn times(self, count: u32) -> Self {
        Self {
            cpu: self.cpu.times(count),
            memory: self.memory.times(count),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.plus(other.cpu),
            memory: self.memory.plus(other.memory),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.minus(other.cpu),
            memory: self.memory.minus(other.memory),
        }
    }

    fn rounded(self) -> Self {
        Self {
            cpu: self.cpu.rounded(),
            memory: self.memory.rounded(),
        }
    }

    fn within(self, other: Self) -> bool {
        self.cpu <= other.cpu && self.memory <= other.memory
    }

    fn amount(self) -> CapacityAmount {
        CapacityAmount {
            cpu: self.cpu.number(),
            memory_gb: self.memory.number(),
        }
    }

    /// What of it is more than nothing, in words.
    fn words(self) -> String {
        let parts = [(self.cpu, "CPU"), (self.memory, "GB of memory")];
        let some = parts.iter().filter(|(exact, _)| exact.0 > 0);
        let words: Vec<String> = some
            .map(|(exact, unit)| format!("{} {unit}", exact.number()))
            .collect();
        if words.is_empty() {
            "nothing".to_owned()
        } else {
            words.join(" and ")
        }
    }
}

/// What the schema cannot say about the arguments.
fn problems(args: &PlanCapacityArgs) -> Vec<Failure> {
    let mut found = Vec::new();
    let mut fail = |path: &Path, name: &str, reason: String| {
        found.push(Failure {
            path: path.clone().key(name),
            reason,
        });
    };
    let mut amount = |path: &Path, name: &str, value: f64, zero: bool| {
        // A comparison with what is no number is false.
        let enough = if zero {
            value >= 0.0
        } else {
            Exact::of(value.clamp(0.0, MOST)).rounded().0 > 0
        };
        if !enough || value.is_nan() || value > MOST {
            let least = if zero { "at least 0" } else { "more than 0" };
            fail(
                path,
                name,
                format!("must be {least} and at most {MOST}, is {value}"),
            );
        }
    };
    let workflows = Path::root().key("workflows");
    for (name, workflow) in args.workflows.iter().flatten() {
        let path = workflows.clone().key(name);
        amount(&path, "cpu", workflow.cpu, true);
        amount(&path, "memoryGb", workflow.memory_gb, true);
    }
    let nodes = Path::root().key("nodes");
    amount(&nodes, "cpu", args.nodes.cpu, false);
    amount(&nodes, "memoryGb", args.nodes.memory_gb, false);
    let reserved = Path::root().key("reserved");
    amount(&reserved, "cpu", args.reserved.cpu, true);
    amount(&reserved, "memoryGb", args.reserved.memory_gb, true);
    for (name, workflow) in args.workflows.iter().flatten() {
        if workflow.replicas > MOST_REPLICAS {
            let reason = format!("must be at most {MOST_REPLICAS}, is {}", workflow.replicas);
            fail(&workflows.clone().key(name), "replicas", reason);
        }
    }
    let (minimum, maximum) = args.nodes.bounds();
    if maximum == 0 {
        fail(&nodes, "maximum", "must be at least 1".to_owned());
    } else if maximum < minimum {
        let reason = format!("must be at least the minimum of {minimum}, is {maximum}");
        fail(&nodes, "maximum", reason);
    }
    found
}

/// Plans; refuses nothing but arguments that make no sense.
fn plan(args: &PlanCapacityArgs) -> Result<(CapacityPlan, Option<Error>), Error> {
    let found = problems(args);
    if !found.is_empty() {
        return Err(Error::Input(found));
    }
    let workflows = args.workflows.clone().unwrap_or_else(platform);
    let needs: BTreeMap<&String, Need> = workflows
        .iter()
        .map(|(name, w)| (name, Need::of(w.cpu, w.memory_gb).times(w.replicas)))
        .collect();
    let node = Need::of(args.nodes.cpu, args.nodes.memory_gb).rounded();
    let reserve = Need::of(args.reserved.cpu, args.reserved.memory_gb);
    let total = needs.values().fold(Need::NONE, |sum, need| sum.plus(*need));
    let required = total.plus(reserve).rounded();
    let (minimum, maximum) = args.nodes.bounds();
    let (least, most) = (node.times(minimum), node.times(maximum));
    let (fits, fits_minimum) = (required.within(most), required.within(least));
    let by_cpu = required.cpu.shared_by(node.cpu);
    let needed_nodes = by_cpu.max(required.memory.shared_by(node.memory));

    let asks = format!(
        "the workflows need {}, with the reserve {}",
        total.words(),
        required.words()
    );
    let each = node.words();
    let mut warnings = Vec::new();
    let mut error = None;
    if !fits {
        let what = format!(
            "{asks}: that exceeds {maximum} nodes of {each} by {}, {needed_nodes} nodes would be needed",
            required.minus(most).words()
        );
        let greatest = needs.iter().max_by_key(|(_, need)| (need.cpu, need.memory));
        let greatest = greatest.map_or_else(String::new, |(name, need)| {
            format!(" (most goes to {name}: {})", need.words())
        });
        let next = format!("Lower what the workflows ask for{greatest}, or raise nodes.maximum");
        if !args.refuse {
            warnings.push(format!("{what}. {next}"));
        }
        error = Some(Error::refused(what, next));
    } else if !fits_minimum {
        warnings.push(format!(
            "{asks}: that exceeds {minimum} nodes of {each} by {}, the cluster must grow to {needed_nodes} of its {maximum} nodes",
            required.minus(least).words()
        ));
    }
    let plan = CapacityPlan {
        workflows: needs
            .iter()
            .map(|(name, need)| ((*name).clone(), need.amount()))
            .collect(),
        total: total.amount(),
        required: required.amount(),
        capacity: most.amount(),
        head_room: most.minus(required).amount(),
        needed_nodes,
        fits,
        fits_minimum,
        warnings,
    };
    Ok((plan, error.filter(|_| args.refuse)))
}

/// The function `ptd:index:planCapacity`.
#[derive(Debug)]
pub struct PlanCapacity;

impl Function for PlanCapacity {
    type Provider = Ptd;
    type Args = PlanCapacityArgs;
    type Return = CapacityPlan;

    const TOKEN: &'static str = "ptd:index:planCapacity";

    async fn invoke(cx: &Context<Ptd>, args: PlanCapacityArgs) -> Result<CapacityPlan, Error> {
        let (plan, refusal) = plan(&args)?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        for warning in &plan.warnings {
            cx.warn(warning).await;
        }
        Ok(plan)
    }
}

#[cfg(test)]
#[path = "plan_capacity_tests.rs"]
mod tests;
