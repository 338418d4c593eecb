//! Readers that also look at the value. The reference takes what is warned about here and stumbles over it later, in
//! the middle of a run; only what it refuses at once is an error.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use super::aws::{AwsWorkloadSpec, TargetCustomRole};
use super::azure::{AzureNodePool, AzureWorkloadSpec};
use super::decode::{Cx, Decoded, UnderSpec};
use super::naming;
use super::problem::{listed, nearest};
use super::read::{int_or, plain_text, section, text, text_or, texts};
use super::yaml::NodeId;

type Field = Option<NodeId>;

/// The API version that files are expected to name.
pub(crate) const API_VERSION: &str = "posit.team/v1";
const ENVIRONMENTS: [&str; 4] = ["development", "staging", "production", "validation"];
const ENDPOINT_SERVICES: [&str; 7] = [
    "ec2",
    "ec2messages",
    "fsx",
    "kms",
    "s3",
    "ssm",
    "ssmmessages",
];
const OUTBOUND_TYPES: [&str; 4] = [
    "LoadBalancer",
    "UserDefinedRouting",
    "ManagedNatGateway",
    "AssignedNatGateway",
];
const NETWORK_TRUST: [(&str, i32); 3] = [("ZERO", 0), ("SAMESITE", 50), ("FULL", 100)];

/// `apiVersion`; `fallback` is where it should stand.
pub(crate) fn api_version(cx: &mut Cx<'_>, node: Field, fallback: Field) {
    let version = plain_text(cx, node);
    if version != API_VERSION {
        let place = node.or(fallback);
        cx.warn(
            place,
            format!("expected `{API_VERSION}`, found {version:?}"),
        );
    }
}

/// The environment in a target's name.
pub(crate) fn environment(cx: &mut Cx<'_>, root: Field, environment: &str) {
    if !ENVIRONMENTS.contains(&environment) {
        let found = if environment.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it ends in `{environment}`")
        };
        cx.warn(
            root,
            format!(
                "the name of the target is expected to end in a hyphen and one of {}; {found}",
                listed(ENVIRONMENTS)
            ),
        );
    }
}

/// `network_trust`.
pub(crate) fn network_trust(cx: &mut Cx<'_>, node: Field) -> String {
    let trust = text_or("FULL")(cx, node);
    let known = NETWORK_TRUST.map(|(name, _)| name);
    if !known.contains(&trust.as_str()) {
        cx.warn(
            node,
            format!(
                "expected one of {}, found {trust:?}, which counts as `FULL`",
                listed(known)
            ),
        );
    }
    trust
}

/// `network_trust` as the products take it.
pub(crate) fn network_trust_value(trust: &str) -> i32 {
    NETWORK_TRUST
        .iter()
        .find(|(name, _)| *name == trust)
        .map_or(100, |(_, value)| *value)
}

/// `custom_role`.
pub(crate) fn custom_role(cx: &mut Cx<'_>, node: Field) -> Option<TargetCustomRole> {
    let role: Option<TargetCustomRole> = section(cx, node);
    if let Some(role) = &role
        && role.role_arn.is_empty()
        && role.external_id.is_some()
    {
        cx.at("external_id", |cx| {
            cx.error(
                node,
                "an external id needs a role: set `role_arn` beside it, or remove it",
            );
        });
    }
    role
}

/// `vpc_endpoints.excluded_services`.
pub(crate) fn excluded_services(cx: &mut Cx<'_>, node: Field) -> Vec<String> {
    let services = texts(cx, node);
    for service in &services {
        if !ENDPOINT_SERVICES.contains(&service.as_str()) {
            let hint = nearest(service, ENDPOINT_SERVICES)
                .map(|meant| format!("; did you mean `{meant}`?"))
                .unwrap_or_default();
            cx.warn(
                node,
                format!(
                    "`{service}` has no endpoint to exclude; there are {}{hint}",
                    listed(ENDPOINT_SERVICES)
                ),
            );
        }
    }
    services
}

/// The address range of a VPC.
pub(crate) fn vpc_range(cx: &mut Cx<'_>, node: Field) -> Option<String> {
    let range = text(cx, node);
    if let Some(range) = &range {
        let prefix = range.split_once('/').and_then(|(address, prefix)| {
            address.parse::<Ipv4Addr>().ok()?;
            prefix.parse::<u8>().ok()
        });
        if !prefix.is_some_and(|prefix| (16..=28).contains(&prefix)) {
            cx.warn(
                node,
                format!("expected an IPv4 range between /16 and /28, such as 10.22.0.0/16, found {range:?}"),
            );
        }
    }
    range
}

/// `vpc_az_count`.
pub(crate) fn vpc_az_count(cx: &mut Cx<'_>, node: Field) -> i64 {
    let count = int_or(3)(cx, node);
    if !(1..=3).contains(&count) {
        cx.warn(
            node,
            format!("there are subnets for 1 to 3 availability zones, found {count}"),
        );
    }
    count
}

/// `efs_config.file_system_id`.
pub(crate) fn file_system_id(cx: &mut Cx<'_>, node: Field) -> String {
    let id = plain_text(cx, node);
    expect_prefix(cx, node, "fs-", &id);
    id
}

/// `efs_config.access_point_id`.
pub(crate) fn access_point_id(cx: &mut Cx<'_>, node: Field) -> Option<String> {
    let id = text(cx, node);
    if let Some(id) = &id {
        expect_prefix(cx, node, "fsap-", id);
    }
    id
}

fn expect_prefix(cx: &mut Cx<'_>, node: Field, prefix: &str, id: &str) {
    if !id.starts_with(prefix) {
        cx.warn(
            node,
            format!("expected an id that starts with `{prefix}`, found {id:?}"),
        );
    }
}

/// An IP address.
pub(crate) fn ip(cx: &mut Cx<'_>, node: Field) -> String {
    let ip = plain_text(cx, node);
    if ip.parse::<IpAddr>().is_err() {
        cx.warn(node, format!("expected an IP address, found {ip:?}"));
    }
    ip
}

/// `outbound_type`.
pub(crate) fn outbound_type(cx: &mut Cx<'_>, node: Field) -> String {
    let outbound = text_or("LoadBalancer")(cx, node);
    if !OUTBOUND_TYPES.contains(&outbound.as_str()) {
        cx.warn(
            node,
            format!(
                "expected one of {}, found {outbound:?}",
                listed(OUTBOUND_TYPES)
            ),
        );
    }
    outbound
}

/// `user_node_pools`.
pub(crate) fn user_node_pools(cx: &mut Cx<'_>, node: Field) -> Vec<AzureNodePool> {
    let mut names = HashSet::new();
    let item = |cx: &mut Cx<'_>, id| {
        let pool: Decoded<AzureNodePool> = cx.section(id);
        if let Decoded::Value(pool) = &pool {
            for problem in pool_problems(pool) {
                cx.warn(Some(id), problem);
            }
            if !names.insert(pool.name.clone()) {
                cx.warn(
                    Some(id),
                    format!("another pool is called `{}` as well", pool.name),
                );
            }
        }
        pool
    };
    let pools = node
        .and_then(|id| cx.list(id, item).value())
        .unwrap_or_default();
    if pools.is_empty() {
        cx.warn(node, "a cluster needs at least one user node pool");
    }
    pools
}

fn pool_problems(pool: &AzureNodePool) -> Vec<String> {
    let mut problems = Vec::new();
    let name = pool.name.as_str();
    let well_formed = name.len() <= 12
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !well_formed || name == "agentpool" {
        problems.push(format!(
            "a pool's name is a lower-case letter and up to 11 lower-case letters or digits, and not `agentpool`; found {name:?}"
        ));
    }
    if pool.vm_size.is_empty() {
        problems.push("`vm_size` is required".into());
    }
    let (min, max) = (pool.min_count, pool.max_count);
    if min < 0 || min > max || max > 1000 {
        problems.push(format!(
            "expected 0 <= `min_count` <= `max_count` <= 1000, found {min} and {max}"
        ));
    }
    if let Some(initial) = pool.initial_count
        && !(min..=max).contains(&initial)
    {
        problems.push(format!(
            "`initial_count` is {initial}, outside of `min_count` {min} and `max_count` {max}"
        ));
    }
    problems
}

/// What concerns several fields of an AWS workload.
pub(crate) fn aws_workload(cx: &mut Cx<'_>, node: Option<NodeId>, spec: &AwsWorkloadSpec) {
    if spec.custom_role.is_some() && spec.profile.is_none() {
        cx.at("custom_role", |cx| {
            cx.warn(node, "it is used only together with `profile`");
        });
    }
    if spec.hosted_zone_management_enabled {
        return;
    }
    for (name, UnderSpec(site)) in &spec.sites {
        if site.certificate_arn.is_none() || site.certificate_validation_enabled {
            cx.at("sites", |cx| {
                cx.at(name, |cx| {
                    cx.warn(
                        node,
                        "with `hosted_zone_management_enabled: false` a site needs `certificate_arn` and `certificate_validation_enabled: false`",
                    );
                });
            });
        }
    }
}

/// What concerns several fields of an Azure workload.
pub(crate) fn azure_workload(
    cx: &mut Cx<'_>,
    node: Option<NodeId>,
    spec: &AzureWorkloadSpec,
    name: &str,
) {
    let mut domains: HashMap<&str, &str> = HashMap::new();
    for (site, UnderSpec(fields)) in &spec.sites {
        let other = fields
            .domain
            .as_deref()
            .and_then(|domain| domains.insert(domain, site));
        if let Some(other) = other {
            cx.at("sites", |cx| {
                cx.at(site, |cx| {
                    cx.warn(node, format!("it has the same domain as site `{other}`"));
                });
            });
        }
    }
    if spec.sites.contains_key("workload") && spec.external_secrets_enabled() {
        cx.at("sites", |cx| {
            cx.at("workload", |cx| {
                cx.warn(
                    node,
                    "a site cannot have this name while a cluster has `external_secrets_enabled`: its secrets would be mixed up with the workload's",
                );
            });
        });
    }
    for fault in azure_name_faults(name) {
        cx.warn(node, fault);
    }
}

/// What S3 will not take of the name of the state bucket.
pub(crate) fn state_bucket(cx: &mut Cx<'_>, root: Field, target: &str) {
    let bucket = naming::state_bucket(target);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let valid = bucket.len() <= 63
        && edge(bucket.chars().last())
        && !bucket.contains("..")
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if !valid {
        cx.warn(
            root,
            format!(
                "the state bucket would be called `{bucket}`, which S3 refuses: 63 characters at most, lower-case letters, digits, hyphens and dots, with a letter or digit at its end"
            ),
        );
    }
}

/// What Azure will not take of the names that follow from the target's.
fn azure_name_faults(name: &str) -> Vec<String> {
    let vault = naming::azure_key_vault(name);
    let container = naming::azure_blob_container(name);
    let mut faults = Vec::new();
    if vault.ends_with('-') || vault.contains("--") {
        faults.push(format!(
            "the key vault would be called `{vault}`, which Azure refuses: it must not end in a hyphen or have two in a row"
        ));
    }
    if container.ends_with('-') || container.contains("--") || container.len() > 63 {
        faults.push(format!(
            "the blob container would be called `{container}`, which Azure refuses: 63 characters at most, not ending in a hyphen, without two in a row"
        ));
    }
    faults
}
