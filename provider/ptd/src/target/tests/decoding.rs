//! One test for each rule by which the reference decodes its files.

use std::fmt::Write;

use serde_json::json;

use super::*;

#[test]
fn only_the_first_document_is_read() {
    let tree = Tree::new();
    let text =
        "apiVersion: posit.team/v1\nkind: AWSWorkloadConfig\nspec: {region: a}\n---\nspec: [\n";
    tree.write(FILE, text);
    assert_eq!(tree.load("t-staging").unwrap().region, "a");
}

#[test]
fn names_in_other_spellings_are_unknown() {
    let spec = "Region: a\naccount-id: b\naccountID: c";
    assert_eq!(aws(spec).region, "us-east-2");
    assert_eq!(aws(spec).account_id, None);
    assert_eq!(
        warnings(spec),
        [
            "4:3: spec.Region: unknown field, ignored; it is spelt `region`",
            "5:3: spec.account-id: unknown field, ignored; it is spelt `account_id`",
            "6:3: spec.accountID: unknown field, ignored; it is spelt `account_id`",
        ]
    );
}

#[test]
fn no_spec_means_all_defaults() {
    for spec in ["", "spec:\n", "spec: ~\n"] {
        let tree = Tree::new();
        tree.write(
            FILE,
            &format!("apiVersion: posit.team/v1\nkind: AWSWorkloadConfig\n{spec}"),
        );
        let target = tree.load("t-staging").unwrap();
        assert_eq!(target.region, "us-east-2");
        assert_eq!(target.account_id, None);
        assert!(target.sites.is_empty() && target.warnings.is_empty());
    }
}

#[test]
fn numbers_for_texts_keep_their_spelling() {
    for (written, text) in [
        ("012345678901", "012345678901"),
        ("15.10", "15.10"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("true", "true"),
        ("2025-01-15", "2025-01-15"),
        ("\"007\"", "007"),
        ("!!str 1.0", "1.0"),
        ("!!binary aGVsbG8=", "hello"),
        ("|-\n  a\n  b", "a\nb"),
    ] {
        assert_eq!(
            aws(&format!("profile: {written}")).profile.as_deref(),
            Some(text),
            "{written}"
        );
    }
}

#[test]
fn number_keys_keep_their_spelling() {
    let target = aws_target("clusters:\n  020250115: {}\n  20250116:\n  1.10: {spec: {}}");
    let releases: Vec<_> = target.clusters.iter().map(|c| c.release.as_str()).collect();
    assert_eq!(releases, ["020250115", "1.10", "20250116"]);
}

#[test]
fn words_for_switches() {
    for word in [
        "true",
        "True",
        "yes",
        "Yes",
        "y",
        "on",
        "ON",
        "\"yes\"",
        "!!bool true",
    ] {
        assert!(
            aws(&format!("keycloak_enabled: {word}")).keycloak_enabled,
            "{word}"
        );
    }
    for word in ["false", "FALSE", "no", "n", "off", "'off'"] {
        assert!(
            !aws(&format!("external_dns_enabled: {word}")).external_dns_enabled,
            "{word}"
        );
    }
    assert!(aws("external_dns_enabled: ~").external_dns_enabled);
}

#[test]
fn quoted_truth_is_refused() {
    assert_eq!(
        faults("keycloak_enabled: \"true\""),
        [format!(
            "{FILE}:4:21: spec.keycloak_enabled: expected true or false without quotes, found the quoted text \"true\""
        )]
    );
    for word in ["1", "yEs", "enabled", "[true]", "!!bool yes"] {
        assert_eq!(
            faults(&format!("keycloak_enabled: {word}")).len(),
            1,
            "{word}"
        );
    }
}

#[test]
fn numbers_for_whole_numbers() {
    for (written, value) in [
        ("7", 7),
        ("2.0", 2),
        ("0x3", 3),
        ("0o17", 15),
        ("010", 8),
        ("1e3", 1000),
        ("1_000", 1000),
        ("-4", -4),
        ("2.7", 2),
        ("!!int \"5\"", 5),
    ] {
        let spec = aws(&format!("db_max_allocated_storage: {written}"));
        assert_eq!(spec.db_max_allocated_storage, Some(value), "{written}");
    }
    assert_eq!(
        warnings("db_allocated_storage: 2.7"),
        ["4:25: spec.db_allocated_storage: a whole number is expected; 2.7 is read as 2"]
    );
}

#[test]
fn text_for_a_whole_number_is_refused() {
    assert_eq!(
        faults("db_allocated_storage: 100 GB"),
        [format!(
            "{FILE}:4:25: spec.db_allocated_storage: expected a whole number, found the text \"100 GB\""
        )]
    );
    for word in [
        "\"7\"",
        "true",
        ".inf",
        ".nan",
        "9223372036854775808",
        "[1]",
        "{a: 1}",
    ] {
        assert_eq!(
            faults(&format!("db_allocated_storage: {word}")).len(),
            1,
            "{word}"
        );
    }
}

#[test]
fn absent_empty_and_null() {
    // The reference cannot tell empty from absent here ...
    for value in ["~", "", "\"\"", "null"] {
        assert_eq!(
            aws(&format!("region: {value}")).region,
            "us-east-2",
            "{value}"
        );
    }
    assert_eq!(aws("db_allocated_storage: 0").db_allocated_storage, 100);
    // ... but here it can.
    let image = |value: &str| {
        let spec = format!(
            "clusters: {{a: {{spec: {{team_operator_image: {value}, mp_min_size: 0, cluster_version: {value}}}}}}}"
        );
        let cluster = aws_target(&spec).clusters[0].aws.clone().unwrap();
        assert_eq!(cluster.mp_min_size, 0);
        (cluster.team_operator_image, cluster.cluster_version)
    };
    assert_eq!(image("\"\""), (Some(String::new()), String::new()));
    assert_eq!(image("~"), (None, "1.35".into()));
}

#[test]
fn anything_simple_is_text_in_a_map_of_texts() {
    let tags = aws("resource_tags: {a: 1, b: 02, c: true, d: ~, e: 1.50, 7: x}").resource_tags;
    let tags: Vec<_> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        tags,
        [
            ("7", "x"),
            ("a", "1"),
            ("b", "02"),
            ("c", "true"),
            ("d", ""),
            ("e", "1.50")
        ]
    );
    assert_eq!(faults("resource_tags: {a: [b]}").len(), 1);
}

#[test]
fn nulls_in_lists_are_left_out() {
    assert_eq!(aws("ignore_tags: [a, ~, 02]").ignore_tags, ["a", "02"]);
}

#[test]
fn anchors_and_merges() {
    let target = aws_target(
        "sites:\n  main: &m\n    spec: &s {domain: a, private_zone: yes}\n  dev:\n    <<: *m\n  lab:\n    spec: {<<: [{domain: c, zone_id: Z}, *s], certificate_arn: x}\n  own:\n    spec:\n      <<: *s\n      domain: d",
    );
    let sites: Vec<_> = target
        .sites
        .iter()
        .map(|s| {
            (
                s.name.as_str(),
                s.domain.as_deref(),
                s.private_zone,
                s.zone_id.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        sites,
        [
            ("dev", Some("a"), true, None),
            ("lab", Some("c"), true, Some("Z")),
            ("main", Some("a"), true, None),
            ("own", Some("d"), true, None),
        ]
    );
    for bad in ["<<: ~", "<<: 1", "<<: [1]", "<<: {a: b}\n<<: {c: d}"] {
        assert!(!faults(bad).is_empty(), "{bad}");
    }
}

#[test]
fn an_unquoted_number_key_loses_to_a_merged_one() {
    let spec = "metadata: &base\n  1: {spec: {domain: merged}}\n  b: {spec: {domain: merged}}\nsites:\n  <<: *base\n  1: {spec: {domain: own}}\n  b: {spec: {domain: own}}";
    let target = aws_target(spec);
    let domains: Vec<_> = target
        .sites
        .iter()
        .map(|s| s.domain.as_deref().unwrap())
        .collect();
    assert_eq!(domains, ["merged", "own"]);
    assert!(
        target
            .warnings
            .iter()
            .any(|w| w.contains("sites.1: the merged entry replaces"))
    );
}

#[test]
fn duplicate_keys_are_refused() {
    assert_eq!(
        faults("region: a\nprofile: b\n\"region\": c"),
        [format!(
            "{FILE}:6:3: spec: duplicate key: the quoted text \"region\" is already a key at line 4"
        )]
    );
    assert_eq!(faults("sites: {main: {}, main: {}}").len(), 1);
    assert_eq!(faults("resource_tags: {a: 1, a: 2}").len(), 1);
    // What is not read is not looked at either.
    assert_eq!(aws("unknown: {a: 1, a: 2}").region, "us-east-2");
}

#[test]
fn lists_where_maps_belong_are_refused() {
    assert_eq!(
        faults("sites:\n  - name: main"),
        [format!(
            "{FILE}:5:5: spec.sites: expected a map, found a list"
        )]
    );
    assert_eq!(
        faults("ignore_tags: a"),
        [format!(
            "{FILE}:4:16: spec.ignore_tags: expected a list, found the text \"a\""
        )]
    );
}

#[test]
fn external_ids_are_uuids() {
    let canonical = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for written in [
        canonical,
        "0F8FAD5B-D9CB-469F-A165-70867728950E",
        "0f8fad5bd9cb469fa16570867728950e",
        "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e",
        "'{0f8fad5b-d9cb-469f-a165-70867728950e}'",
    ] {
        assert_eq!(
            aws(&format!("external_id: {written}"))
                .external_id
                .as_deref(),
            Some(canonical)
        );
    }
    for written in [
        "acme",
        "0f8fad5bd-9cb-469f-a165-70867728950e",
        "\"\"",
        "0f8fad5b",
    ] {
        assert_eq!(
            faults(&format!("external_id: {written}")).len(),
            1,
            "{written}"
        );
    }
}

#[test]
fn free_form_parts_keep_their_types() {
    let target = aws_target(
        "clusters: {a: {spec: {eks_access_entries: {additional_entries: [{principalArn: x, n: 1, f: 1.5, t: yes, d: 2025-01-15, z: ~, l: [1, {2: b}]}, ~]}}}}",
    );
    let entries = &target.clusters[0]
        .aws
        .as_ref()
        .unwrap()
        .eks_access_entries
        .additional_entries;
    assert_eq!(
        entries,
        &[
            json!({"principalArn": "x", "n": 1, "f": 1.5, "t": "yes", "d": "2025-01-15", "z": null, "l": [1, {"2": "b"}]})
        ]
    );
}

#[test]
fn aliases_cannot_run_away() {
    let mut bomb = String::from("x:\n- &a0 {k: v}\n");
    for level in 1..9 {
        let entries: Vec<_> = (0..9).map(|i| format!("k{i}: *a{}", level - 1)).collect();
        writeln!(bomb, "- &a{level} {{{}}}", entries.join(", ")).unwrap();
    }
    let use_it = "clusters: {a: {spec: {eks_access_entries: {additional_entries: [*a8]}}}}";
    let faults_found = faults(&format!("{bomb}{use_it}"));
    assert_eq!(faults_found.len(), 1, "{faults_found:?}");
    assert!(faults_found[0].contains("multiply beyond reason"));
    // Anchors nobody refers to cost nothing.
    assert_eq!(aws(&format!("{bomb}region: r")).region, "r");
    let cycle =
        faults("clusters: {a: {spec: {eks_access_entries: {additional_entries: &e [{x: *e}]}}}}");
    assert!(
        cycle[0].contains("inside the value that it refers to"),
        "{cycle:?}"
    );
}
