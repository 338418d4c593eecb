//! The settings that a target's files give to the programs of the standard steps.

use serde_json::{Map, Value, json};

use super::standard::{PERSISTENT, WORKSPACES};
use super::steps::Step;
use crate::target::{Target, TargetCloud, inside};

/// Variables for every inner run, as deployments in the field have them.
pub(crate) const KUBERNETES_ENVIRONMENT: [(&str, &str); 3] = [
    ("PULUMI_K8S_DELETE_UNREACHABLE", "false"),
    ("PULUMI_K8S_ENABLE_PATCH_FORCE", "true"),
    ("PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", "true"),
];

/// Variables by which tools find a target on Azure.
pub(crate) fn azure_environment(target: &Target) -> Vec<(&'static str, String)> {
    let Some(spec) = &target.azure else {
        return Vec::new();
    };
    let all = [
        ("ARM_SUBSCRIPTION_ID", target.account_id.clone()),
        ("ARM_TENANT_ID", spec.tenant_id.clone()),
        ("AZURE_TENANT_ID", spec.tenant_id.clone()),
    ];
    let known = all.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The configuration of a step's stack, without what other steps give.
pub(crate) fn config(target: &Target, step: &Step) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    match target.cloud {
        TargetCloud::Aws => set("aws:region", target.region.clone().into()),
        TargetCloud::Azure => set("azure-native:location", target.region.clone().into()),
    };
    if let Some(custom) = &step.custom {
        set("ptd:workloadName", target.name.clone().into());
        set("ptd:ptdYamlPath", ptd_yaml(&custom.path).into());
        return config;
    }
    if !target.ignore_tags.is_empty() {
        set("aws:ignoreTags", json!({ "keys": target.ignore_tags }));
    }
    set("target", target.name.clone().into());
    for (key, value) in own(target, &step.name) {
        set(key, value);
    }
    config
}

/// From the folder of a custom step to the target's file: a program runs in its folder, and so the path holds on every machine.
fn ptd_yaml(path: &str) -> String {
    let depth = inside(path).map_or(0, |parts| parts.len());
    format!("{}ptd.yaml", "../".repeat(depth + 1))
}

/// What only this step's program takes.
fn own(target: &Target, step: &str) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    let account = target.account_id.clone();
    if let Some(spec) = &target.aws {
        match step {
            PERSISTENT => {
                found.push(("sites", sites(target)));
                found.push(("db_engine_version", spec.db_engine_version.clone().into()));
                // Derived ranges are the program's own business: naming one would pin it.
                let provisioned = spec
                    .provisioned_vpc
                    .as_ref()
                    .and_then(|vpc| vpc.cidr.clone());
                if let Some(range) = provisioned.or_else(|| spec.vpc_cidr.clone()) {
                    found.push(("vpc_cidr", range.into()));
                }
            }
            "postgres_config" => {
                let names = spec
                    .extra_postgres_dbs
                    .iter()
                    .map(|name| name.replace('-', "_"));
                found.push(("extra_databases", names.collect()));
            }
            "eks" => found.push(("clusters", clusters(target))),
            "helm" => {
                found.extend(account.map(|account| ("account_id", account.into())));
                found.push(("components", components(target)));
            }
            "sites" => {
                found.extend(account.map(|account| ("account_id", account.into())));
                found.push(("sites", sites(target)));
            }
            _ => {}
        }
    }
    if let Some(spec) = &target.aws_control_room {
        match step {
            WORKSPACES => found.push(("workspaces_enabled", spec.workspaces_enabled.into())),
            PERSISTENT => {
                found.push(("db_engine_version", spec.db_engine_version.clone().into()));
            }
            "cluster" => found.push(("cluster_version", spec.eks_k8s_version.clone().into())),
            _ => {}
        }
    }
    found
}

fn sites(target: &Target) -> Value {
    let each = target.sites.iter().map(|site| {
        let domain = site.domain.clone().unwrap_or_default();
        (site.name.clone(), json!({ "domain": domain }))
    });
    Value::Object(each.collect())
}

fn clusters(target: &Target) -> Value {
    let each = target.clusters.iter().filter_map(|cluster| {
        let spec = cluster.aws.as_ref()?;
        let settings = json!({
            "cluster_version": spec.cluster_version,
            "mp_instance_type": spec.mp_instance_type,
            "mp_min_size": spec.mp_min_size,
            "mp_max_size": spec.mp_max_size,
        });
        Some((cluster.release.clone(), settings))
    });
    Value::Object(each.collect())
}

/// The versions of the charts; where releases differ, the newest one's.
fn components(target: &Target) -> Value {
    let Some(spec) = target.clusters.iter().rev().find_map(|c| c.aws.as_ref()) else {
        return json!({});
    };
    let components = &spec.components;
    json!({
        "aws-load-balancer-controller": components.aws_load_balancer_controller_version,
        "external-dns": components.external_dns_version,
        "loki": components.loki_version,
        "mimir": components.mimir_version,
        "alloy": components.alloy_version,
        "traefik": components.traefik_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_file_is_found_from_a_custom_steps_folder() {
        assert_eq!(ptd_yaml("audit/"), "../../ptd.yaml");
        assert_eq!(ptd_yaml("./a/b/../c"), "../../../ptd.yaml");
    }
}
