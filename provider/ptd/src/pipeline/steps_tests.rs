use std::path::Path as FilePath;

use super::*;
use crate::target;

fn fixture(name: &str) -> Target {
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/target/testdata/targets");
    target::load(&root, name).unwrap_or_else(|errors| panic!("{errors}"))
}

fn workload(custom: &[TargetCustomStep], order: &[&str]) -> Target {
    let mut target = fixture("acme01-production");
    target.custom_steps = custom.to_vec();
    target.order = order.iter().map(ToString::to_string).collect();
    target
}

fn custom(name: &str, after: Option<&str>, before: Option<&str>) -> TargetCustomStep {
    TargetCustomStep {
        name: name.into(),
        description: None,
        path: name.into(),
        insert_after: after.map(Into::into),
        insert_before: before.map(Into::into),
        proxy_required: false,
        enabled: true,
    }
}

fn all() -> Ask {
    Ask {
        custom: true,
        ..Ask::default()
    }
}

fn edges(plan: &Plan) -> Vec<String> {
    let each = plan
        .steps
        .iter()
        .map(|step| format!("{} < {}", step.name, step.after.join(" ")));
    each.collect()
}

const STANDARD: [&str; 7] = [
    "bootstrap",
    "persistent",
    "postgres_config",
    "kubernetes",
    "clusters",
    "helm",
    "sites",
];

#[test]
fn a_workload_runs_in_parallel_where_no_edge_forbids_it() {
    let (plan, faults) = Plan::new(&workload(&[], &STANDARD), &all());
    assert_eq!(faults, []);
    assert_eq!(
        edges(&plan),
        [
            "bootstrap < ",
            "persistent < bootstrap",
            "postgres_config < persistent",
            "eks < persistent",
            "clusters < postgres_config eks",
            "helm < clusters",
            "sites < helm",
        ]
    );
    let clusters = plan.find("clusters").map(|step| &step.takes);
    let address = clusters.and_then(|takes| takes.get("db_address"));
    assert_eq!(
        address.map(|source| source.step.as_str()),
        Some("persistent")
    );
    let proxies = plan.steps.iter().filter(|step| step.proxy).count();
    assert_eq!(proxies, 5);
}

#[test]
fn other_kinds_of_targets_have_their_own_steps() {
    let (azure, _) = Plan::new(&fixture("globex-staging"), &all());
    assert_eq!(azure.names()[3], "aks");
    assert!(!azure.steps[3].proxy && azure.steps[2].proxy);
    let (room, _) = Plan::new(&fixture("main01-production"), &all());
    assert_eq!(
        edges(&room),
        [
            "workspaces < ",
            "persistent < ",
            "postgres_config < persistent",
            "cluster < postgres_config",
        ]
    );
    assert!(room.find("kubernetes").is_none());
    let ask = Ask {
        bootstrap: Some(true),
        ..all()
    };
    let (room, _) = Plan::new(&fixture("main01-production"), &ask);
    assert_eq!(
        edges(&room)[..3],
        [
            "bootstrap < ",
            "workspaces < bootstrap",
            "persistent < bootstrap"
        ]
    );
}

#[test]
fn custom_steps_stand_between_their_neighbours() {
    let steps = [
        custom("first", None, Some("bootstrap")),
        custom("audit", Some("persistent"), None),
        custom("second", Some("persistent"), None),
        custom("gate", None, Some("clusters")),
        custom("before-gate", None, Some("gate")),
        custom("end", None, None),
    ];
    let order = [
        "first",
        "bootstrap",
        "persistent",
        "audit",
        "second",
        "postgres_config",
        "kubernetes",
        "before-gate",
        "gate",
        "clusters",
        "helm",
        "sites",
        "end",
    ];
    let (plan, faults) = Plan::new(&workload(&steps, &order), &all());
    assert_eq!(faults, []);
    assert_eq!(
        edges(&plan),
        [
            "first < ",
            "bootstrap < first",
            "persistent < bootstrap",
            "audit < persistent",
            "second < audit",
            "postgres_config < second",
            "eks < second",
            "before-gate < postgres_config eks",
            "gate < before-gate",
            "clusters < gate",
            "helm < clusters",
            "sites < helm",
            "end < sites",
        ]
    );
    let without = Ask::default();
    assert_eq!(
        Plan::new(&workload(&steps, &order), &without).0.steps.len(),
        7
    );
}

#[test]
fn the_reprise_comes_last_and_waits_for_everything() {
    let ask = Ask {
        reprise: true,
        ..all()
    };
    let (plan, _) = Plan::new(&workload(&[], &STANDARD), &ask);
    assert_eq!(edges(&plan)[7], "persistent_reprise < sites");
    let target = fixture("acme01-production");
    assert_eq!(
        stack(&target, "persistent_reprise"),
        "organization/ptd-aws-workload-persistent/acme01-production"
    );
}

fn select(only: &[&str], start: Option<&str>) -> (Vec<String>, Vec<String>) {
    let ask = Ask {
        only: only.iter().map(ToString::to_string).collect(),
        start: start.map(str::to_owned),
        ..all()
    };
    let (plan, faults) = Plan::new(&workload(&[], &STANDARD), &ask);
    let selected = plan.steps.iter().filter(|step| step.selected);
    (
        selected.map(|step| step.name.clone()).collect(),
        faults
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.reason))
            .collect(),
    )
}

#[test]
fn steps_are_selected_by_any_of_their_names() {
    assert_eq!(
        select(&["aks", "persistent"], None).0,
        ["persistent", "eks"]
    );
    assert_eq!(
        select(&[], Some("kubernetes")).0,
        ["eks", "clusters", "helm", "sites"]
    );
    assert_eq!(select(&["helm", "eks"], Some("eks")).0, ["eks", "helm"]);
    assert_eq!(select(&[], None).0.len(), 7);
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    assert_eq!(
        select(&["helm", "persistant"], Some("kubernets")).1,
        [
            "onlySteps[1]: there is no step 'persistant'; did you mean 'persistent'?",
            "startAtStep: there is no step 'kubernets'; did you mean 'kubernetes'?",
        ]
    );
    assert_eq!(
        select(&["helm", "eks"], Some("sites")).1,
        ["startAtStep: step 'sites' is not among onlySteps: eks, helm"]
    );
}

#[test]
fn data_edges_can_be_given() {
    let takes = |step: &str, source: &str| Ask {
        takes: BTreeMap::from([(
            step.to_owned(),
            BTreeMap::from([("vpc".to_owned(), source.to_owned())]),
        )]),
        ..all()
    };
    let target = workload(&[], &STANDARD);
    let (plan, faults) = Plan::new(&target, &takes("kubernetes", "postgres_config.grant_id"));
    assert_eq!(faults, []);
    let eks = plan.find("eks");
    assert_eq!(
        eks.map(|step| step.after.clone()),
        Some(vec!["postgres_config".to_owned()])
    );
    assert_eq!(eks.map(|step| step.takes.len()), Some(1));
    for (source, reason) in [
        ("vpc", "'vpc' names no output"),
        ("helm.x", "step 'eks' runs before 'helm'"),
        ("persistnt.x", "did you mean 'persistent'?"),
    ] {
        let (_, faults) = Plan::new(&target, &takes("eks", source));
        assert_eq!(faults[0].path.to_string(), "steps.eks.consumes.vpc");
        assert!(faults[0].reason.contains(reason), "{}", faults[0].reason);
    }
}
