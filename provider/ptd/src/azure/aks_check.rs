//! What is checked about clusters and pools before anything is sent.

use pulumi_provider::{Checking, Diff, Error, Path, Prior, PropertyMap};

use super::aks_cluster::{AksCluster, AksClusterArgs, AksSystemPool, below, what};
use super::aks_rules;
use super::aks_tables::DNS_ADDRESS;
use super::aks_version::{ahead, brings_minors, step};
use super::common::diff_case;
use super::names::Tags;
use crate::checks::{check_each, check_with};

type Rule = Result<(), String>;

fn pattern(text: &str, max: usize, allowed: &[char], what: &str) -> Rule {
    let fits = |c: char| c.is_ascii_alphanumeric() || allowed.contains(&c);
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if text.len() > max
        || !text.chars().all(fits)
        || !ends(text.chars().next())
        || !ends(text.chars().last())
    {
        return Err(format!(
            "must have 1 to {max} {what}, the first and last a letter or digit, got {text:?}"
        ));
    }
    Ok(())
}

/// A cluster's name.
pub(super) fn cluster_name(text: &str) -> Rule {
    pattern(text, 63, &['_', '-'], "letters, digits, _ and -")
}

/// The beginning of an API server's host name.
pub(super) fn dns_prefix(text: &str) -> Rule {
    pattern(text, 54, &['-'], "letters, digits and -")
}

/// A pool's name.
pub(super) fn pool_name(text: &str) -> Rule {
    let mut letters = text.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_lowercase());
    if !first || text.len() > 12 || !letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Err(format!(
            "must be a lower-case letter and up to 11 lower-case letters and digits, got {text:?} ({} characters)",
            text.chars().count()
        ));
    }
    Ok(())
}

/// A taint as `key=value:Effect`.
pub(super) fn taint(text: &str) -> Rule {
    let effect = text.rsplit_once(':').map(|(_, effect)| effect);
    let named = text
        .split(['=', ':'])
        .next()
        .is_some_and(|key| !key.is_empty());
    if named
        && matches!(
            effect,
            Some("NoSchedule" | "PreferNoSchedule" | "NoExecute")
        )
    {
        Ok(())
    } else {
        Err(format!(
            "must be key=value:Effect with the effect NoSchedule, PreferNoSchedule or NoExecute, got {text:?}"
        ))
    }
}

/// A label's key, which must not be one of Azure's own.
pub(super) fn label(key: &str) -> Rule {
    if key.starts_with("kubernetes.azure.com/") {
        return Err(format!("the label {key:?} is one of Azure's own"));
    }
    aks_rules::label_key(key)
}

/// A surge as `1` or `33%`.
pub(super) fn surge(text: &str) -> Rule {
    let number = text.strip_suffix('%').unwrap_or(text);
    if number.parse::<u32>().is_ok() {
        Ok(())
    } else {
        Err(format!(
            "must be a number or a percentage such as 10%, got {text:?}"
        ))
    }
}

/// An input that is one of a few words, in any case; it gets Azure's own spelling.
pub(super) fn words(checking: &mut Checking<'_>, input: &str, words: &[&str]) {
    let Some(word) = checking.known::<String>(input) else {
        return;
    };
    match words.iter().find(|known| known.eq_ignore_ascii_case(&word)) {
        Some(known) if *known == word => {}
        Some(known) => checking.set(input, known),
        None => checking.refuse(
            input,
            format!("must be one of {}, got {word:?}", words.join(", ")),
        ),
    }
}

/// The inputs of a cluster.
pub(super) fn cluster(checking: &mut Checking<'_>) {
    words(checking, "tier", &["Free", "Standard", "Premium"]);
    words(
        checking,
        "supportPlan",
        &["KubernetesOfficial", "AKSLongTermSupport"],
    );
    words(
        checking,
        "upgradeChannel",
        &["none", "patch", "stable", "rapid", "node-image"],
    );
    words(
        checking,
        "nodeOsUpgradeChannel",
        &["None", "Unmanaged", "SecurityPatch", "NodeImage"],
    );
    words(
        checking,
        "networkPolicy",
        &["calico", "azure", "cilium", "none"],
    );
    words(checking, "networkDataplane", &["azure", "cilium"]);
    words(
        checking,
        "outboundType",
        &[
            "loadBalancer",
            "userDefinedRouting",
            "userAssignedNATGateway",
            "managedNATGateway",
            "none",
        ],
    );
    let long_term = checking
        .known::<String>("supportPlan")
        .is_some_and(|plan| plan.eq_ignore_ascii_case("AKSLongTermSupport"));
    let premium = checking
        .known::<String>("tier")
        .is_some_and(|tier| tier.eq_ignore_ascii_case("Premium"));
    if long_term
        && !premium
        && !checking
            .input("tier")
            .is_some_and(pulumi_provider::PropertyValue::has_unknown)
    {
        checking.refuse("supportPlan", "AKSLongTermSupport needs the tier Premium");
    }
    if checking
        .known::<i64>("imageCleanerIntervalHours")
        .is_some_and(|hours| !(24..=2160).contains(&hours))
    {
        checking.refuse("imageCleanerIntervalHours", "must be 24 to 2160 hours");
    }
    check_with(checking, "secretRotationInterval", aks_rules::duration);
    check_with(checking, "forceUpgradeUntil", aks_rules::moment);
    check_with(checking, "privateDnsZone", aks_rules::private_zone);
    check_with(checking, "podCidr", aks_rules::cidr);
    check_with(checking, "serviceCidr", aks_rules::cidr);
    dns_address(checking);
    names(checking);
    let Some(pool) = checking.known::<AksSystemPool>("systemPool") else {
        return;
    };
    let nat = checking
        .known::<String>("outboundType")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("managedNATGateway"));
    if nat && pool.subnet_id.is_some() {
        checking.refuse(
            "outboundType",
            "managedNATGateway cannot be combined with a subnet of one's own (systemPool.subnetId): Azure refuses it. \
             Use userAssignedNATGateway with a NAT gateway on the subnet",
        );
    }
    if let Some(Err(problem)) = pool.subnet_id.as_deref().map(aks_rules::subnet) {
        checking.fail(below("systemPool", "subnetId"), problem);
    }
    check_each(
        checking,
        &below("systemPool", "availabilityZones"),
        pool.availability_zones.as_deref(),
        aks_rules::zone,
    );
    system_pool(checking, &pool);
}

/// The address of the cluster's DNS and the range it is in, each of which has a default.
fn dns_address(checking: &mut Checking<'_>) {
    let services = match checking.known::<String>("serviceCidr") {
        Some(services) => services,
        // Of an unknown range only the address's form can be told.
        None if checking.given("serviceCidr") => String::new(),
        None => "10.0.0.0/16".to_owned(),
    };
    check_with(checking, "dnsServiceIp", |text| {
        aks_rules::address_in(text, &services)
    });
    if !checking.given("dnsServiceIp") && aks_rules::address_in(DNS_ADDRESS, &services).is_err() {
        checking.refuse(
            "dnsServiceIp",
            format!("is needed with the serviceCidr {services}: the default {DNS_ADDRESS} is not within it, or is its first address"),
        );
    }
}

fn names(checking: &mut Checking<'_>) {
    let (Some(name), group) = (
        checking.known::<String>("name"),
        checking.known::<String>("resourceGroupName"),
    ) else {
        return;
    };
    match checking.known::<String>("dnsPrefix") {
        Some(prefix) => {
            if let Err(problem) = dns_prefix(&prefix) {
                checking.refuse("dnsPrefix", problem);
            }
        }
        None if !checking.given("dnsPrefix") => {
            if let Err(problem) = dns_prefix(&format!("{name}-dns")) {
                checking.refuse(
                    "name",
                    format!("gives the DNS prefix '{name}-dns', which {problem}; set dnsPrefix"),
                );
            }
        }
        None => {}
    }
    if let (Some(group), Some(place)) = (group, checking.known::<String>("location")) {
        let nodes = format!("MC_{group}_{name}_{place}");
        if nodes.chars().count() > 80 {
            checking.refuse(
                "name",
                format!(
                    "gives the node resource group '{nodes}' with {} characters, 80 at most: shorten the name or the group's",
                    nodes.chars().count()
                ),
            );
        }
    }
}

fn system_pool(checking: &mut Checking<'_>, pool: &AksSystemPool) {
    let mut fail = |part: &str, problem: String| checking.fail(below("systemPool", part), problem);
    if pool.vm_size.is_empty() {
        fail("vmSize", "must not be empty".to_owned());
    }
    let (min, max) = (pool.min_count.unwrap_or(2), pool.max_count.unwrap_or(5));
    let scales = pool.auto_scaling.unwrap_or(true);
    sizes(
        scales,
        pool.count.unwrap_or(2),
        Some(min),
        Some(max),
        1,
        &mut fail,
    );
    details(
        pool.max_pods,
        pool.os_disk_size_gb,
        pool.max_surge.as_deref(),
        &mut fail,
    );
    for (index, text) in pool.node_taints.iter().flatten().enumerate() {
        if let Err(problem) = taint(text) {
            fail("nodeTaints", format!("entry {index} {problem}"));
        }
    }
    labels(pool.node_labels.as_ref(), &mut fail);
}

/// Limits and size of a pool.
pub(super) fn sizes(
    scales: bool,
    count: i64,
    min: Option<i64>,
    max: Option<i64>,
    least: i64,
    fail: &mut impl FnMut(&str, String),
) {
    if !(least..=1000).contains(&count) {
        fail("count", format!("must be {least} to 1000, got {count}"));
    }
    if !scales {
        return;
    }
    let (Some(min), Some(max)) = (min, max) else {
        fail(
            if min.is_none() {
                "minCount"
            } else {
                "maxCount"
            },
            "is required while autoScaling is on, which is the default".to_owned(),
        );
        return;
    };
    if min < least {
        fail("minCount", format!("must be at least {least}, got {min}"));
    }
    if max > 1000 {
        fail("maxCount", format!("must be at most 1000, got {max}"));
    }
    if min > max {
        fail(
            "maxCount",
            format!("must not be less than minCount, got {min} and {max}"),
        );
    } else if !(min..=max).contains(&count) {
        fail(
            "count",
            format!("must be between minCount and maxCount, {min} and {max}, got {count}"),
        );
    }
}

/// What else about a pool has limits.
pub(super) fn details(
    max_pods: Option<i64>,
    disk: Option<i64>,
    max_surge: Option<&str>,
    fail: &mut impl FnMut(&str, String),
) {
    if let Some(pods) = max_pods.filter(|pods| !(10..=250).contains(pods)) {
        fail("maxPods", format!("must be 10 to 250, got {pods}"));
    }
    if let Some(disk) = disk.filter(|disk| *disk != 0 && !(30..=2048).contains(disk)) {
        fail(
            "osDiskSizeGb",
            format!("must be 30 to 2048, or 0 to leave it to Azure, got {disk}"),
        );
    }
    if let Some(Err(problem)) = max_surge.map(surge) {
        fail("maxSurge", problem);
    }
}

/// The labels of a pool's nodes.
pub(super) fn labels(given: Option<&Tags>, fail: &mut impl FnMut(&str, String)) {
    for (key, value) in given.into_iter().flatten() {
        for problem in [label(key), aks_rules::label_value(key, value)]
            .into_iter()
            .filter_map(Result::err)
        {
            fail("nodeLabels", problem);
        }
    }
}

fn word(map: &PropertyMap, input: &str, default: &str) -> String {
    map.get(input)
        .and_then(|v| v.as_str())
        .unwrap_or(default)
        .to_ascii_lowercase()
}

/// Which changes of a cluster Azure makes in place.
pub(super) fn diff_cluster(diff: &mut Diff, old: &PropertyMap, news: &PropertyMap) {
    let words = [
        "tier",
        "supportPlan",
        "upgradeChannel",
        "nodeOsUpgradeChannel",
    ];
    diff_case(diff, old, news, &words);
    // A public cluster has no private zone, whatever is said of it.
    let private: Option<bool> = news
        .get("privateCluster")
        .and_then(|value| pulumi_provider::from_value(value).ok());
    let public = private == Some(false);
    for (input, default, _) in MOVES {
        if !diff.touches(input) || (public && *input == "privateDnsZone") {
            continue;
        }
        let (from, to) = (word(old, input, default), word(news, input, default));
        if from == to {
            diff.ignore(&Path::root().key(*input));
        } else if !in_place(input, &from, &to) {
            diff.replace(Path::root().key(*input));
        }
    }
}

/// Inputs that change in place to some values only: the default, and those values.
const MOVES: &[(&str, &str, &[&str])] = &[
    ("networkPolicy", "calico", &["cilium", "none"]),
    ("networkDataplane", "azure", &["cilium"]),
    ("privateDnsZone", "system", &["none"]),
    (
        "outboundType",
        "loadbalancer",
        &[
            "loadbalancer",
            "userdefinedrouting",
            "userassignednatgateway",
            "none",
        ],
    ),
];

/// Whether Azure makes a change of an input in place.
pub(super) fn in_place(input: &str, from: &str, to: &str) -> bool {
    let Some((_, _, possible)) = MOVES.iter().find(|(name, ..)| *name == input) else {
        return true;
    };
    let leaves = input == "outboundType" && from.eq_ignore_ascii_case("managedNATGateway");
    !leaves && possible.iter().any(|word| word.eq_ignore_ascii_case(to))
}

/// Whether an update can work at all; without asking Azure.
pub(super) fn possible(
    args: Option<&AksClusterArgs>,
    old: &Prior<AksCluster>,
) -> Result<(), Error> {
    let (Some(args), Some(state)) = (args, &old.state) else {
        return Ok(());
    };
    let follows = brings_minors(args.upgrade_channel.as_deref());
    if let Some(current) = &state.current_kubernetes_version
        && !(follows && ahead(&args.kubernetes_version, current))
    {
        step(&what(&args.name), &args.kubernetes_version, current)
            .map_err(|problem| Error::refused(problem, "Correct kubernetesVersion"))?;
    }
    let Some(before) = old.args.as_ref().map(|args| &args.system_pool) else {
        return Ok(());
    };
    let pool = &args.system_pool;
    let compare = [
        (
            "vmSize",
            !before.vm_size.eq_ignore_ascii_case(&pool.vm_size),
        ),
        (
            "subnetId",
            !same_text(before.subnet_id.as_deref(), pool.subnet_id.as_deref()),
        ),
        (
            "osDiskSizeGb",
            before.os_disk_size_gb.unwrap_or(128) != pool.os_disk_size_gb.unwrap_or(128),
        ),
        (
            "maxPods",
            before.max_pods.unwrap_or(110) != pool.max_pods.unwrap_or(110),
        ),
        ("availabilityZones", zones(before) != zones(pool)),
    ];
    let stuck: Vec<&str> = compare
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(input, _)| *input)
        .collect();
    if stuck.is_empty() {
        return Ok(());
    }
    let next = "Set it back, or add a system pool under another name with AgentPool (mode System)";
    Err(super::aks_common::stuck(
        &format!("the system pool of {}", what(&args.name)),
        &stuck,
        next,
    ))
}

fn same_text(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (one, other) => one == other,
    }
}

fn zones(pool: &AksSystemPool) -> Vec<String> {
    let mut zones = pool
        .availability_zones
        .clone()
        .unwrap_or_else(|| vec!["2".to_owned(), "3".to_owned()]);
    zones.sort();
    zones
}
