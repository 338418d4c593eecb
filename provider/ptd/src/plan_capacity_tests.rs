use super::*;

fn args(json: &str) -> PlanCapacityArgs {
    serde_json::from_str(json).unwrap()
}

fn planned(json: &str) -> CapacityPlan {
    let (plan, refusal) = plan(&args(json)).unwrap();
    assert!(refusal.is_none(), "{refusal:?}");
    plan
}

fn refused(json: &str) -> String {
    let (plan, refusal) = plan(&args(json)).unwrap();
    assert!(!plan.fits);
    refusal.unwrap().to_string()
}

fn wrong(args: &PlanCapacityArgs) -> Vec<String> {
    match plan(args) {
        Err(Error::Input(failures)) => failures.iter().map(|f| f.path.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_platform_fits_but_not_at_once() {
    let plan = planned("{}");
    assert_eq!((plan.total.cpu, plan.total.memory_gb), (8.3, 16.268));
    assert_eq!((plan.required.cpu, plan.required.memory_gb), (13.3, 26.268));
    assert_eq!((plan.capacity.cpu, plan.capacity.memory_gb), (20.0, 80.0));
    assert_eq!(
        (plan.head_room.cpu, plan.head_room.memory_gb),
        (6.7, 53.732)
    );
    assert_eq!(plan.workflows.len(), 7);
    assert!(plan.fits && !plan.fits_minimum);
    assert_eq!(plan.needed_nodes, 7);
    assert_eq!(
        plan.warnings,
        [
            "the workflows need 8.3 CPU and 16.268 GB of memory, with the reserve 13.3 CPU and 26.268 GB of memory: that exceeds 3 nodes \
             of 2 CPU and 8 GB of memory by 7.3 CPU and 2.268 GB of memory, the cluster must grow to 7 of its 10 nodes"
        ]
    );
}

#[test]
fn what_is_exactly_full_fits() {
    // 15 CPU and 5 in reserve are the 20 of ten nodes; 70 GB and 10 are their 80.
    let full = r#"{"workflows": {"a": {"cpu": 1.5, "memoryGb": 7, "replicas": 10}}}"#;
    let plan = planned(full);
    assert_eq!(
        plan.head_room,
        CapacityAmount {
            cpu: 0.0,
            memory_gb: 0.0
        }
    );
    assert_eq!(plan.needed_nodes, 10);
    let more = refused(
        r#"{"workflows": {"a": {"cpu": 1.5, "memoryGb": 7, "replicas": 10}, "b": {"cpu": 0.000001, "memoryGb": 0}}}"#,
    );
    assert!(
        more.contains("exceeds 10 nodes of 2 CPU and 8 GB of memory by 0.000001 CPU, 11 nodes"),
        "{more}"
    );
    assert!(more.contains("most goes to a: 15 CPU"), "{more}");
    // Exactly the fewest nodes is no reason to warn.
    let least = planned(r#"{"workflows": {"a": {"cpu": 1, "memoryGb": 14}}}"#);
    assert!(least.fits_minimum && least.warnings.is_empty() && least.needed_nodes == 3);
}

#[test]
fn sums_of_fractions_are_exact() {
    // As floating point numbers, 0.1 and 0.2 are more than 0.3.
    let tenths = r#"{"workflows": {"a": {"cpu": 0.1, "memoryGb": 0.1}, "b": {"cpu": 0.2, "memoryGb": 0.2}},
        "nodes": {"cpu": 0.3, "memoryGb": 0.3, "maximum": 1}, "reserved": {"cpu": 0, "memoryGb": 0}}"#;
    let plan = planned(tenths);
    assert_eq!((plan.total.cpu, plan.needed_nodes), (0.3, 1));
    assert!(plan.warnings.is_empty());
    let thirds = r#"{"workflows": {"a": {"cpu": 0.6666666666666666, "memoryGb": 0.3333333333333333, "replicas": 3}},
        "nodes": {"cpu": 2, "memoryGb": 1, "maximum": 1}, "reserved": {"cpu": 0, "memoryGb": 0}}"#;
    assert_eq!(planned(thirds).needed_nodes, 1);
    let many = r#"{"workflows": {"a": {"cpu": 0.1, "memoryGb": 0.7, "replicas": 1000}},
        "nodes": {"cpu": 0.1, "memoryGb": 0.7, "maximum": 1000}, "reserved": {"cpu": 0, "memoryGb": 0}}"#;
    assert_eq!(planned(many).needed_nodes, 1000);
}

#[test]
fn memory_alone_is_refused_too() {
    let text = refused(r#"{"workflows": {"data": {"cpu": 1, "memoryGb": 40.5, "replicas": 2}}}"#);
    assert_eq!(
        text,
        "the workflows need 2 CPU and 81 GB of memory, with the reserve 7 CPU and 91 GB of memory: that exceeds 10 nodes of 2 CPU and 8 GB of \
         memory by 11 GB of memory, 12 nodes would be needed. Lower what the workflows ask for (most goes to data: 2 CPU and 81 GB of \
         memory), or raise nodes.maximum"
    );
}

#[test]
fn a_plan_can_be_asked_for_without_refusal() {
    let plan = planned(r#"{"workflows": {"a": {"cpu": 30, "memoryGb": 1}}, "refuse": false}"#);
    assert_eq!(
        (plan.fits, plan.head_room.cpu, plan.needed_nodes),
        (false, -15.0, 18)
    );
    assert!(plan.warnings[0].contains("by 15 CPU, 18 nodes"));
}

#[test]
fn nothing_at_all_needs_nothing() {
    let plan = planned(r#"{"workflows": {}, "reserved": {"cpu": 0, "memoryGb": 0}}"#);
    assert_eq!((plan.needed_nodes, plan.fits_minimum), (0, true));
    let plan = planned(r#"{"workflows": {"a": {"cpu": 100, "memoryGb": 1, "replicas": 0}}}"#);
    assert_eq!((plan.total.cpu, plan.total.memory_gb), (0.0, 0.0));
}

#[test]
fn a_bound_that_is_not_given_follows_the_other() {
    assert_eq!(args(r#"{"nodes": {"maximum": 2}}"#).nodes.bounds(), (2, 2));
    assert_eq!(
        args(r#"{"nodes": {"minimum": 12}}"#).nodes.bounds(),
        (12, 12)
    );
    assert_eq!(args("{}").nodes.bounds(), (3, 10));
}

#[test]
fn senseless_numbers_are_refused_where_they_stand() {
    let mut bad = args(
        r#"{"workflows": {"a": {"cpu": -0.1, "memoryGb": -1}, "b.c": {"cpu": 1, "memoryGb": 2000000, "replicas": 2000000}},
            "nodes": {"cpu": 0, "memoryGb": 0.0000000001, "minimum": 3, "maximum": 2}, "reserved": {"cpu": -5, "memoryGb": 0}}"#,
    );
    assert_eq!(
        wrong(&bad),
        [
            "workflows.a.cpu",
            "workflows.a.memoryGb",
            r#"workflows["b.c"].memoryGb"#,
            "nodes.cpu",
            "nodes.memoryGb",
            "reserved.cpu",
            r#"workflows["b.c"].replicas"#,
            "nodes.maximum",
        ]
    );
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
        bad = args("{}");
        bad.reserved.memory_gb = value;
        bad.nodes.cpu = value;
        assert_eq!(wrong(&bad), ["nodes.cpu", "reserved.memoryGb"], "{value}");
    }
    assert_eq!(
        wrong(&args(r#"{"nodes": {"minimum": 0, "maximum": 0}}"#)),
        ["nodes.maximum"]
    );
}
