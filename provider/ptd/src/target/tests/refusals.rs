//! What is refused, what is warned about, and in which words.

use super::*;

#[test]
fn all_errors_come_at_once_in_file_order() {
    let tree = aws_tree(
        "region: [a]\nsites:\n  main:\n    spec:\n      domain: {a: b}\n      private_zone: maybe\ncustom_role:\n  external_id: x\n",
    );
    tree.write(
        "__work__/t-staging/site_main/site.yaml",
        "spec: {a: 1, a: 2}\n",
    );
    tree.write(
        "__work__/t-staging/customizations/manifest.yaml",
        "version: 2\n",
    );
    assert_eq!(
        tree.faults("t-staging"),
        [
            "__work__/t-staging/customizations/manifest.yaml:1:10: version: manifest validation failed: unsupported manifest version 2, expected 1",
            "__work__/t-staging/ptd.yaml:4:11: spec.region: expected text, found a list",
            "__work__/t-staging/ptd.yaml:8:17: spec.sites.main.spec.domain: expected text, found a map",
            "__work__/t-staging/ptd.yaml:9:23: spec.sites.main.spec.private_zone: expected true or false, found the text \"maybe\"",
            "__work__/t-staging/ptd.yaml:11:5: spec.custom_role.external_id: an external id needs a role: set `role_arn` beside it, or remove it",
            "__work__/t-staging/site_main/site.yaml:1:14: spec: duplicate key: the text \"a\" is already a key at line 1",
        ]
    );
}

#[test]
fn unknown_fields_are_warned_about_at_every_level() {
    let spec = "tenant_name: x\ndb_engine_versoin: 15\nzzz: 1\nsites:\n  main:\n    domain: d\n    spec: {domian: d}\nclusters:\n  a:\n    mp_min_size: 3\n    spec:\n      components: {lokiVersion: 1}\n";
    assert_eq!(
        warnings(spec),
        [
            "4:3: spec.tenant_name: unknown field, ignored; earlier releases read it, nothing does now",
            "5:3: spec.db_engine_versoin: unknown field, ignored; did you mean `db_engine_version`?",
            "6:3: spec.zzz: unknown field, ignored",
            "9:7: spec.sites.main.domain: unknown field, ignored; it belongs one level deeper, under `spec`",
            "10:14: spec.sites.main.spec.domian: unknown field, ignored; did you mean `domain`?",
            "13:7: spec.clusters.a.mp_min_size: unknown field, ignored; it belongs one level deeper, under `spec`",
            "15:22: spec.clusters.a.spec.components.lokiVersion: unknown field, ignored; it is spelt `loki_version`",
        ]
    );
}

#[test]
fn fields_beside_spec_at_the_top() {
    let tree = Tree::new();
    tree.write(FILE, "kind: AWSWorkloadConfig\nregion: x\nspec: {}\n");
    assert_eq!(
        tree.load("t-staging").unwrap().warnings,
        [
            "__work__/t-staging/ptd.yaml:1:1: apiVersion: expected `posit.team/v1`, found \"\"",
            "__work__/t-staging/ptd.yaml:2:1: region: unknown field, ignored; it belongs one level deeper, under `spec`",
        ]
    );
}

#[test]
fn kinds() {
    let fault = |place: &str, kind: &str| {
        let tree = Tree::new();
        tree.write(
            &format!("{place}/t-staging/ptd.yaml"),
            &format!("apiVersion: posit.team/v1\n{kind}\n"),
        );
        tree.faults("t-staging").join("\n")
    };
    let names =
        "expected one of `AWSWorkloadConfig`, `AzureWorkloadConfig` and `AWSControlRoomConfig`";
    assert_eq!(
        fault("__work__", "kind: AWSWorkloadConfg"),
        format!(
            "{FILE}:2:7: kind: unknown kind: \"AWSWorkloadConfg\", {names}; did you mean `AWSWorkloadConfig`?"
        )
    );
    assert_eq!(
        fault("__work__", ""),
        format!("{FILE}:1:1: kind: unknown kind: \"\", {names}")
    );
    assert!(
        fault("__ctrl__", "kind: AzureControlRoomConfig")
            .contains("there is no Azure control room")
    );
    assert_eq!(
        fault("__ctrl__", "kind: AWSWorkloadConfig"),
        "__ctrl__/t-staging/ptd.yaml:2:7: kind: `AWSWorkloadConfig` belongs in `__work__`, but this target is in `__ctrl__`: move its directory or correct the kind"
    );
    assert!(fault("__work__", "kind: AWSControlRoomConfig").contains("belongs in `__ctrl__`"));
    let empty = Tree::new();
    empty.write(FILE, "");
    assert!(empty.faults("t-staging")[0].contains("unknown kind: \"\""));
}

#[test]
fn locating() {
    let tree = Tree::new();
    assert_eq!(
        tree.faults("a"),
        [".: a targets directory holds `__work__`, `__ctrl__` or both; this one has neither"]
    );
    tree.write("__work__/acme-staging/ptd.yaml", "")
        .write("__ctrl__/both/x", "")
        .write("__work__/both/x", "");
    assert_eq!(
        tree.faults("acme-stagign"),
        [
            ".: no target `acme-stagign`: it is neither in `__work__` nor in `__ctrl__`; did you mean `acme-staging`?"
        ]
    );
    assert_eq!(
        tree.faults("both"),
        [
            ".: target `both` is ambiguous: it is in `__work__` and in `__ctrl__`; rename one of them"
        ]
    );
    for name in ["", ".", "..", "../x", "a/b", "a\\b"] {
        assert!(
            tree.faults(name)[0].contains("is not the name of a target"),
            "{name:?}"
        );
    }
    let missing = load(&tree.0.join("nowhere"), "a").unwrap_err().to_string();
    assert!(missing.contains("does not exist"), "{missing}");
    tree.write("__work__/empty/other", "");
    assert_eq!(
        tree.faults("empty"),
        ["__work__/empty/ptd.yaml: the target has no such file"]
    );
    fs::create_dir_all(tree.0.join("__work__/dir/ptd.yaml")).unwrap();
    assert_eq!(
        tree.faults("dir"),
        ["__work__/dir/ptd.yaml: expected a file, found something else"]
    );
}

#[test]
fn files_are_of_bounded_size() {
    let tree = Tree::new();
    tree.write(FILE, &"#".repeat(8 * 1024 * 1024 + 1));
    assert_eq!(
        tree.faults("t-staging"),
        [format!("{FILE}: larger than 8 MiB")]
    );
}

#[test]
fn broken_yaml_has_a_place() {
    let found = faults("region: a\nprofile: [b\n");
    assert!(
        found[0].starts_with(&format!("{FILE}:")) && found[0].contains("not valid YAML"),
        "{found:?}"
    );
    assert_eq!(faults("a: *b").len(), 1);
}

#[test]
fn lost_checks_are_warnings() {
    let cases = [
        (
            "network_trust: full",
            "expected one of `ZERO`, `SAMESITE` and `FULL`, found \"full\", which counts as `FULL`",
        ),
        (
            "vpc_endpoints: {enabled: true, excluded_services: [s4]}",
            "did you mean `s3`?",
        ),
        (
            "vpc_cidr: 10.0.0.0/8",
            "expected an IPv4 range between /16 and /28",
        ),
        (
            "provisioned_vpc: {cidr: ten}",
            "spec.provisioned_vpc.cidr: expected an IPv4 range",
        ),
        ("vpc_az_count: 4", "there are subnets for 1 to 3"),
        (
            "custom_role: {role_arn: r}",
            "used only together with `profile`",
        ),
        (
            "hosted_zone_management_enabled: false\nsites: {a: {spec: {certificate_arn: x}}}",
            "spec.sites.a: with `hosted_zone_management_enabled: false`",
        ),
        (
            "clusters: {a: {spec: {efs_config: {file_system_id: x}}}}",
            "starts with `fs-`",
        ),
        (
            "clusters: {a: {spec: {efs_config: {file_system_id: fs-1, access_point_id: x}}}}",
            "starts with `fsap-`",
        ),
    ];
    for (spec, expected) in cases {
        let found = warnings(spec);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{spec}: {found:?}"
        );
    }
    let none = "network_trust: ZERO\nvpc_cidr: 10.1.0.0/16\nhosted_zone_management_enabled: false\nsites: {a: {spec: {certificate_arn: x, certificate_validation_enabled: no}}}\nclusters: {a: {spec: {efs_config: {file_system_id: fs-1}}}}";
    assert_eq!(warnings(none), [] as [&str; 0]);
}

#[test]
fn environments_are_known() {
    for (name, expected) in [("plain", "it has none"), ("a-b", "it ends in `b`")] {
        let tree = Tree::new();
        tree.write(
            &format!("__work__/{name}/ptd.yaml"),
            "apiVersion: posit.team/v1\nkind: AWSWorkloadConfig\n",
        );
        let warnings = tree.load(name).unwrap().warnings;
        assert!(
            warnings.len() == 1 && warnings[0].contains(expected),
            "{warnings:?}"
        );
    }
}

#[test]
fn azure_checks_are_warnings() {
    let tree = Tree::new();
    tree.write(FILE, "apiVersion: posit.team/v1\nkind: AzureWorkloadConfig\nspec:\n  network: {dns_forward_domains: [{host: a, ip: nowhere}]}\n  sites: {a: {spec: {domain: d}}, workload: {spec: {domain: d}}}\n  clusters:\n    one:\n      outbound_type: Nat\n      external_secrets_enabled: true\n    two:\n      spec: {}\n      user_node_pools:\n        - {name: Bad, vm_size: v}\n        - {name: ok, min_count: 2, max_count: 1, initial_count: 3}\n        - {name: ok, vm_size: v}\n");
    let warnings = tree.load("t-staging").unwrap().warnings.join("\n");
    for expected in [
        "spec.network.dns_forward_domains[0].ip: expected an IP address, found \"nowhere\"",
        "spec.sites.workload: it has the same domain as site `a`",
        "spec.sites.workload: a site cannot have this name",
        "spec.clusters.one.outbound_type: expected one of",
        "spec.clusters.one.user_node_pools: a cluster needs at least one",
        "spec.clusters.two.spec: unknown field, ignored; fields stand directly here",
        "user_node_pools[0]: a pool's name is",
        "user_node_pools[1]: `vm_size` is required",
        "user_node_pools[1]: expected 0 <= `min_count`",
        "user_node_pools[1]: `initial_count` is 3",
        "user_node_pools[2]: another pool is called `ok`",
    ] {
        assert!(warnings.contains(expected), "{expected}\n{warnings}");
    }
    assert_eq!(warnings.lines().count(), 11, "{warnings}");
}

#[test]
fn azure_names_that_azure_refuses() {
    let tree = Tree::new();
    for name in ["abcdefghijklmnop-staging", "a_-staging"] {
        tree.write(
            &format!("__work__/{name}/ptd.yaml"),
            "apiVersion: posit.team/v1\nkind: AzureWorkloadConfig\n",
        );
        let warnings = tree.load(name).unwrap().warnings;
        assert!(
            warnings
                .iter()
                .any(|w| w.contains("the key vault would be called")),
            "{warnings:?}"
        );
    }
}

#[test]
fn site_files() {
    let site = |text: &str| {
        let tree = aws_tree("sites: {main: {}}");
        tree.write("__work__/t-staging/site_main/site.yaml", text);
        tree.load("t-staging")
            .map(|t| (t.sites[0].overrides.clone(), t.warnings.len()))
    };
    assert_eq!(site("").unwrap(), (None, 0));
    assert_eq!(site("spec: ~\n").unwrap(), (None, 0));
    assert_eq!(site("spec: [a]\n").unwrap(), (None, 1));
    assert_eq!(site("workbench: {}\n").unwrap(), (None, 1));
    assert_eq!(
        site("spec: {a: [], b: 0}\n").unwrap(),
        (Some(serde_json::json!({"a": [], "b": 0})), 0)
    );
    assert!(site("spec: {\n").is_err());
    assert!(
        site("- a\n")
            .unwrap_err()
            .to_string()
            .contains("expected a map")
    );
    let tree = aws_tree("sites: {main: {}}");
    tree.write("__work__/t-staging/site_mian/site.yaml", "spec: {}\n");
    assert_eq!(
        tree.load("t-staging").unwrap().warnings,
        ["__work__/t-staging/site_mian: there is no site `mian`; did you mean `main`?"]
    );
}

#[test]
fn manifests() {
    let manifest = |steps: &str| {
        let tree = aws_tree("region: r");
        for step in ["ok", "sub/deep"] {
            for file in ["main.go", "go.mod"] {
                tree.write(
                    &format!("__work__/t-staging/customizations/{step}/{file}"),
                    "",
                );
            }
        }
        tree.write("__work__/t-staging/customizations/bare/main.go", "");
        tree.write("__work__/t-staging/customizations/file", "");
        tree.write(
            "__work__/t-staging/customizations/manifest.yaml",
            &format!("version: 1\ncustomSteps:\n{steps}"),
        );
        tree
    };
    let cases = [
        (
            "- {path: ok}",
            "3:3: customSteps[0].name: manifest validation failed: custom step : custom step name is required",
        ),
        (
            "- {name: x}",
            "3:3: customSteps[0].path: manifest validation failed: custom step x: custom step \"x\": path is required",
        ),
        (
            "- {name: x, path: ok, insertAfter: ekss}",
            "3:36: customSteps[0].insertAfter: manifest validation failed: custom step x: insertAfter references unknown step: ekss",
        ),
        (
            "- {name: x, path: ok, insertBefore: hlem}",
            "3:37: customSteps[0].insertBefore: manifest validation failed: custom step x: insertBefore references unknown step: hlem; did you mean `helm`?",
        ),
        (
            "- {name: x, path: ok, insertAfter: persistent, insertBefore: sites}",
            "3:62: customSteps[0].insertBefore: manifest validation failed: custom step x: insertAfter 'persistent' and insertBefore 'sites' are not adjacent steps",
        ),
        (
            "- {name: x, path: none}",
            "3:19: customSteps[0].path: manifest validation failed: custom step x: step directory does not exist: none",
        ),
        (
            "- {name: x, path: file}",
            "3:19: customSteps[0].path: manifest validation failed: custom step x: step path is not a directory: file",
        ),
        (
            "- {name: x, path: bare}",
            "3:19: customSteps[0].path: manifest validation failed: custom step x: go.mod not found in step directory: bare",
        ),
        (
            "- {name: x, path: sub}",
            "3:19: customSteps[0].path: manifest validation failed: custom step x: main.go not found in step directory: sub",
        ),
        (
            "- {name: x, path: ok/../../site_main}",
            "3:19: customSteps[0].path: manifest validation failed: custom step x: path leaves the folder `customizations`: ok/../../site_main",
        ),
        (
            "- {name: x, path: ok}\n- {name: x, path: ok}",
            "4:10: customSteps[1].name: manifest validation failed: duplicate custom step name: x",
        ),
        (
            "- {name: postgres-config, path: ok}",
            "3:10: customSteps[0].name: manifest validation failed: custom step postgres-config: the name belongs to the standard step `postgres_config`, whose stack it would share",
        ),
        (
            "- {name: a_b, path: ok}\n- {name: a-b, path: ok}",
            "4:10: customSteps[1].name: manifest validation failed: custom step a-b: it would share its stack with `a_b`: `_` becomes `-` in the names of projects",
        ),
        (
            "- {name: x, path: ok, insertAfter: x}",
            "3:3: customSteps[0]: failed to merge steps: custom step x could not be inserted: insertAfter=x, insertBefore=: steps refer to each other in a circle: x -> x",
        ),
        (
            "- {name: x, path: ok, enabled: \"true\"}",
            "3:32: customSteps[0].enabled: expected true or false without quotes, found the quoted text \"true\"",
        ),
    ];
    for (steps, expected) in cases {
        let found = manifest(steps).faults("t-staging");
        assert_eq!(
            found,
            [format!(
                "__work__/t-staging/customizations/manifest.yaml:{expected}"
            )],
            "{steps}"
        );
    }
    let target = manifest("- {name: x, path: /sub/deep/, insertBefore: y, when: 1}\n- {name: y, path: ok, insertBefore: bootstrap}\n- {name: z, path: ok}\n")
        .load("t-staging")
        .unwrap();
    assert_eq!(target.steps[..3], ["x", "y", "bootstrap"]);
    assert_eq!(target.steps.last().map(String::as_str), Some("z"));
    assert_eq!(target.warnings.len(), 1);
    assert!(target.warnings[0].contains("customSteps[0].when: unknown field"));
}

#[test]
fn bucket_names_that_s3_refuses() {
    for name in [
        "Acme-staging",
        "a_b-staging",
        &format!("{}-staging", "a".repeat(60)),
    ] {
        let tree = Tree::new();
        tree.write(
            &format!("__work__/{name}/ptd.yaml"),
            "apiVersion: posit.team/v1\nkind: AWSWorkloadConfig\n",
        );
        let warnings = tree.load(name).unwrap().warnings;
        assert!(
            warnings.len() == 1 && warnings[0].contains("the state bucket would be called"),
            "{warnings:?}"
        );
    }
}

#[test]
fn notes_are_bounded_in_number() {
    let spec: Vec<String> = (0..2000).map(|i| format!("unknown_{i}: 1")).collect();
    let found = warnings(&spec.join("\n"));
    assert_eq!(found.len(), 501);
    assert!(
        found[500].ends_with("and more that is not shown"),
        "{}",
        found[500]
    );
    let tags: Vec<String> = (0..2000).map(|i| format!("  k{i}: [a]")).collect();
    assert_eq!(
        faults(&format!("resource_tags:\n{}", tags.join("\n"))).len(),
        501
    );
}
