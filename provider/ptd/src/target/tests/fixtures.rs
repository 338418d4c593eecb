//! Realistic targets, and what their types promise.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::target::{TargetCloud, TargetKind, TargetType};

#[test]
fn an_aws_workload() {
    let target = load(&fixtures(), "acme01-production").unwrap();
    assert_eq!(target.warnings, [] as [&str; 0]);
    assert_eq!(
        (target.true_name.as_str(), target.environment.as_str()),
        ("acme01", "production")
    );
    assert_eq!(target.kind, TargetKind::AwsWorkload);
    assert_eq!(target.account_id.as_deref(), Some("012345678901"));
    assert!(target.create_admin_policy_as_resource);
    let role = target.custom_role.unwrap();
    assert_eq!(role.external_id.as_deref(), Some("acme-7"));
    let room = target.control_room.unwrap();
    assert_eq!(
        (room.name.as_str(), room.region.as_str()),
        ("main01-production", "us-east-2")
    );
    assert_eq!(
        room.mimir_auth_secret,
        "main01-production.mimir-auth.posit.team"
    );
    let names = &target.names;
    assert_eq!(
        names.backend_url,
        "s3://ptd-acme01-production?region=us-west-2"
    );
    assert_eq!(
        names.admin_policy_arn.as_deref(),
        Some("arn:aws:iam::012345678901:policy/PositTeamDedicatedAdmin")
    );
    assert_eq!((names.hash.as_str(), names.proxy_port), ("a55a9e", 16076));
    assert_eq!(names.vpc_cidr.as_deref(), Some("10.113.0.0/16"));
    assert_eq!(names.resource_group, None);
    assert_eq!(
        target.urls.mimir_push.as_deref(),
        Some("https://mimir.ctrl.example.com/api/v1/push")
    );
    assert_eq!(target.network_trust_value, Some(50));
    assert_eq!(target.resource_tags["rs:cost-center"], "0420");
    assert_eq!(target.ignore_tags, ["customer:patch-group"]);

    let sites: Vec<_> = target.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(sites, ["dev", "lab", "main"]);
    let [dev, lab, main] = &target.sites[..] else {
        panic!("three sites")
    };
    assert_eq!(dev.url.as_deref(), Some("https://dev.acme.example.com"));
    assert_eq!(dev.vpc_associations, ["vpc-1", "vpc-2"]);
    assert!(lab.use_traefik_forward_auth && !lab.auto_associate_provisioned_vpc);
    assert!(lab.certificate_validation_enabled && lab.overrides.is_none());
    assert_eq!(main.names.secret, "acme01-production-main.posit.team");
    assert_eq!(
        main.names.ssh_vault.as_deref(),
        Some("acme01-production-main-ssh-ppm-keys.posit.team")
    );
    assert_eq!(
        main.overrides,
        Some(
            json!({"enableFqdnHealthChecks": false, "workbench": {"replicas": 2, "image": "workbench:2025.05"}})
        )
    );

    let cluster = &target.clusters[0];
    assert_eq!(cluster.name, "acme01-production-20250115");
    assert_eq!(cluster.aws, target.clusters[1].aws);
    let spec = cluster.aws.as_ref().unwrap();
    assert_eq!(
        (
            spec.cluster_version.as_str(),
            spec.mp_min_size,
            spec.mp_max_size
        ),
        ("1.30", 3, 10)
    );
    assert_eq!(
        (spec.routing_weight.as_str(), spec.components.loki_replicas),
        ("0", 0)
    );
    assert_eq!(
        spec.components.traefik_forward_auth_version.as_deref(),
        Some("0.0.14")
    );
    assert_eq!(
        spec.additional_node_groups["gpu"].taints[0]
            .value
            .as_deref(),
        Some("true")
    );
    let pool = &spec.karpenter_config.as_ref().unwrap().node_pools[0];
    assert_eq!(
        (pool.weight, pool.root_volume_size.as_str()),
        (100, "100Gi")
    );
    assert_eq!(
        pool.limits.as_ref().unwrap().nvidia_gpu.as_deref(),
        Some("8")
    );

    let aws = target.aws.unwrap();
    assert_eq!(
        (aws.db_engine_version.as_str(), aws.db_allocated_storage),
        ("15.10", 100)
    );
    assert_eq!(aws.vpc_endpoints.unwrap().excluded_services, ["fsx"]);

    let custom: Vec<_> = target
        .custom_steps
        .iter()
        .map(|step| step.name.as_str())
        .collect();
    assert_eq!(custom, ["export", "audit", "off"]);
    assert_eq!(
        target.steps,
        [
            "bootstrap",
            "persistent",
            "audit",
            "export",
            "postgres_config",
            "kubernetes",
            "clusters",
            "helm",
            "sites"
        ]
    );
}

#[test]
fn an_azure_workload() {
    let target = load(&fixtures(), "globex-staging").unwrap();
    assert_eq!(target.warnings, [] as [&str; 0]);
    assert_eq!(
        (target.cloud, target.target_type),
        (TargetCloud::Azure, TargetType::Workload)
    );
    assert_eq!(target.region, "eastus2");
    let spec = target.azure.as_ref().unwrap();
    assert_eq!(spec.region, None);
    assert_eq!(
        (
            spec.netapp_volume_connect_capacity,
            spec.netapp_volume_workbench_capacity
        ),
        (500, 200)
    );
    let names = &target.names;
    assert_eq!(names.key_vault.as_deref(), Some("kv-ptd-globex-staging"));
    assert_eq!(
        names.backend_url,
        "azblob://blob-ptd-globex-staging?storage_account=stptdglobexstaging"
    );
    assert_eq!(names.vnet.as_deref(), Some("vnet-hub"));
    assert_eq!(
        (names.state_bucket.as_deref(), names.vpc_cidr.as_deref()),
        (None, None)
    );
    assert!(target.external_secrets_enabled);
    let site = &target.sites[0];
    assert_eq!(
        site.names.key_vault_prefix.as_deref(),
        Some("globex-staging-main-")
    );
    assert_eq!(site.names.secret, "globex-staging-main-posit-team");
    assert_eq!(site.tls_secrets[0].secret_name, "main-tls");
    let cluster = &target.clusters[0];
    assert_eq!(
        cluster.node_resource_group.as_deref(),
        Some("MC_rsg-ptd-globex-staging_globex-staging-20250301_eastus2")
    );
    let cluster = cluster.azure.as_ref().unwrap();
    assert_eq!(cluster.system_node_pool_root_disk_size, 128);
    let [general, gpu] = &cluster.user_node_pools[..] else {
        panic!("two pools")
    };
    assert_eq!(general.availability_zones, ["2", "3"]);
    assert_eq!(gpu.availability_zones, ["1"]);
    assert!(!general.enable_auto_scaling);
}

#[test]
fn a_control_room() {
    let target = load(&fixtures(), "main01-production").unwrap();
    assert_eq!(target.warnings, [] as [&str; 0]);
    assert_eq!(
        (target.cloud, target.target_type),
        (TargetCloud::Aws, TargetType::ControlRoom)
    );
    assert_eq!(
        target.names.control_room_secret.as_deref(),
        Some("main01-production.ctrl.posit.team")
    );
    assert_eq!(
        target.names.control_room_cluster.as_deref(),
        Some("main01-production")
    );
    assert_eq!(target.names.workload_secret, None);
    assert_eq!(
        target.urls.front_door.as_deref(),
        Some("https://door.example.com")
    );
    assert_eq!(
        target.steps,
        ["workspaces", "persistent", "postgres_config", "cluster"]
    );
    let spec = target.aws_control_room.unwrap();
    assert_eq!((spec.eks_node_group_min, spec.eks_node_group_max), (3, 5));
    assert_eq!(
        (spec.db_engine_version.as_str(), spec.mimir_version.as_str()),
        ("16.14", "5.1.3")
    );
    assert_eq!(
        spec.trusted_users[0].ip_addresses[0].comment.as_deref(),
        Some("office")
    );
    assert!(spec.workspaces_enabled && spec.eks_access_entries.enabled);
}

#[test]
fn output_is_camel_case_and_keeps_no_secret() {
    let target = aws_target("clusters: {a: {spec: {cluster_oidc_client_secret: hush}}}");
    let text = serde_json::to_string(&target).unwrap();
    assert!(text.contains("\"additionalNodeGroups\":{}"), "{text}");
    assert!(!text.contains("hush") && !format!("{target:?}").contains("hush"));
    assert!(target.warnings.is_empty());
    // It is still checked.
    assert_eq!(
        faults("clusters: {a: {spec: {cluster_oidc_client_secret: [x]}}}").len(),
        1
    );
}

#[test]
fn every_property_of_the_output_is_described() {
    let schema = schemars::schema_for!(Target);
    let schema = schema.as_value();
    let mut types: Vec<(&str, &Value)> = vec![("Target", schema)];
    types.extend(
        schema["$defs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, def)| (name.as_str(), def)),
    );
    assert!(types.len() > 25, "{}", types.len());
    let mut names = BTreeSet::new();
    for (name, definition) in types {
        assert!(names.insert(name.to_lowercase()), "{name} twice");
        assert!(definition["description"].is_string(), "{name}");
        for (property, schema) in definition["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}.{property}");
        }
    }
}
