//! How everything that belongs to a target is called. Pure functions; running deployments depend on every character.

use sha2::{Digest, Sha256};

/// Alias of the KMS key that encrypts stack secrets: one per account and region, shared by all targets there.
pub const KMS_ALIAS: &str = "alias/posit-team-dedicated";
/// Name of the IAM policy that administrators work under and that bounds every role.
pub const ADMIN_POLICY_NAME: &str = "PositTeamDedicatedAdmin";
/// Name of the key in an Azure target's key vault that encrypts stack secrets.
pub const KEY_VAULT_KEY: &str = "posit-team-dedicated";

/// True name and environment of a target: what stands before and after the last hyphen of its name.
#[must_use]
pub fn split_compound(target: &str) -> (&str, &str) {
    target.rsplit_once('-').unwrap_or((target, ""))
}

/// The first six hexadecimal digits of the SHA-256 of a target's name.
#[must_use]
pub fn short_hash(target: &str) -> String {
    hex::encode(&Sha256::digest(target.as_bytes())[..3])
}

/// The local port of a target's proxy: 10000 plus the 32-bit FNV-1a of its name modulo 10000.
#[must_use]
pub fn proxy_port(target: &str) -> i32 {
    let hash = target.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    // Less than 20000: always fits.
    i32::try_from(10_000 + hash % 10_000).unwrap_or(10_000)
}

/// The address range of a VPC for which the file gives none.
#[must_use]
pub fn derived_vpc_cidr(target: &str) -> String {
    let sum: u64 = target.chars().map(|c| u64::from(u32::from(c))).sum();
    format!("10.{}.0.0/16", sum % 255)
}

/// Project of the stack of a step; `target_type` is `workload` or `control-room`.
#[must_use]
pub fn project(cloud: &str, target_type: &str, step: &str) -> String {
    format!("ptd-{cloud}-{target_type}-{}", step.replace('_', "-"))
}

/// Fully qualified name of a target's stack in a project.
#[must_use]
pub fn stack(project: &str, target: &str) -> String {
    format!("organization/{project}/{target}")
}

/// The AWS partition of a region.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 6] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    PREFIXES
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("aws", |(_, partition)| partition)
}

/// S3 bucket of the state.
#[must_use]
pub fn state_bucket(target: &str) -> String {
    format!("ptd-{target}")
}

/// Backend URL of an AWS target.
#[must_use]
pub fn aws_backend_url(target: &str, region: &str) -> String {
    format!("s3://{}?region={region}", state_bucket(target))
}

/// Secrets provider of the stacks of AWS targets in a region.
#[must_use]
pub fn aws_secrets_provider_url(region: &str) -> String {
    format!("awskms://{KMS_ALIAS}?region={region}")
}

/// ARN of the admin policy, which is the permissions boundary too.
#[must_use]
pub fn admin_policy_arn(partition: &str, account: &str) -> String {
    format!("arn:{partition}:iam::{account}:policy/{ADMIN_POLICY_NAME}")
}

/// Secret of a workload on AWS.
#[must_use]
pub fn workload_secret(target: &str) -> String {
    format!("{target}.posit.team")
}

/// Secret of a site on AWS.
#[must_use]
pub fn site_secret(target: &str, site: &str) -> String {
    format!("{target}-{site}.posit.team")
}

/// Session secret of a site on AWS.
#[must_use]
pub fn site_session_secret(target: &str, site: &str) -> String {
    format!("{target}-{site}.sessions.posit.team")
}

/// Secret with the SSH keys of a site's Package Manager on AWS.
#[must_use]
pub fn site_ssh_vault(target: &str, site: &str) -> String {
    format!("{target}-{site}-ssh-ppm-keys.posit.team")
}

/// Secret of a control room with the credentials of its Mimir's tenants.
#[must_use]
pub fn mimir_auth_secret(control_room: &str) -> String {
    format!("{control_room}.mimir-auth.posit.team")
}

/// Secret of a control room.
#[must_use]
pub fn control_room_secret(control_room: &str) -> String {
    format!("{control_room}.ctrl.posit.team")
}

/// EKS or AKS cluster of a release.
#[must_use]
pub fn cluster(target: &str, release: &str) -> String {
    format!("{target}-{release}")
}

/// URL to which metrics are pushed, by the control room's domain.
#[must_use]
pub fn mimir_push_url(control_room_domain: &str) -> String {
    format!("https://mimir.{control_room_domain}/api/v1/push")
}

/// A target's name as Azure names use it: lower case, anything outside `a-z`, `0-9` and `-` a hyphen.
#[must_use]
pub fn azure_sanitized(target: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' {
            c
        } else {
            '-'
        }
    };
    target.to_lowercase().chars().map(keep).collect()
}

fn first(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

/// Resource group of an Azure target.
#[must_use]
pub fn azure_resource_group(target: &str) -> String {
    format!("rsg-ptd-{}", azure_sanitized(target))
}

/// Key vault of an Azure target. Cutting it at 24 characters can leave a hyphen at its end, which Azure refuses.
#[must_use]
pub fn azure_key_vault(target: &str) -> String {
    format!("kv-ptd-{}", first(&azure_sanitized(target), 17))
}

/// Storage account of an Azure target's state.
#[must_use]
pub fn azure_state_storage_account(target: &str) -> String {
    let name = azure_sanitized(target).replace('-', "");
    format!("stptd{}", first(&name, 19))
}

/// Storage account of an Azure target's files, as the persistent step makes it.
#[must_use]
pub fn azure_files_storage_account(target: &str) -> String {
    let name = target.to_lowercase().replace('-', "");
    format!("stptdfiles{}", first(&name, 14))
}

/// Blob container of an Azure target's state.
#[must_use]
pub fn azure_blob_container(target: &str) -> String {
    format!("blob-ptd-{}", azure_sanitized(target))
}

/// Backend URL of an Azure target.
#[must_use]
pub fn azure_backend_url(target: &str) -> String {
    format!(
        "azblob://{}?storage_account={}",
        azure_blob_container(target),
        azure_state_storage_account(target)
    )
}

/// Secrets provider of an Azure target's stacks.
#[must_use]
pub fn azure_secrets_provider_url(target: &str) -> String {
    format!(
        "azurekeyvault://{}.vault.azure.net/keys/{KEY_VAULT_KEY}",
        azure_key_vault(target)
    )
}

/// Container registry of an Azure target.
#[must_use]
pub fn azure_container_registry(target: &str) -> String {
    format!("crptd{}.azurecr.io", target.replace('-', ""))
}

/// VNet that is made for an Azure target.
#[must_use]
pub fn azure_vnet(target: &str) -> String {
    format!("vnet-ptd-{target}")
}

/// Resource group that holds the nodes of an AKS cluster.
#[must_use]
pub fn azure_node_resource_group(target: &str, release: &str, region: &str) -> String {
    format!(
        "MC_{}_{}-{release}_{region}",
        azure_resource_group(target),
        azure_sanitized(target)
    )
}

/// What a site's key vault entries begin with. `qualified` when any cluster of the workload takes its secrets through
/// the External Secrets Operator.
#[must_use]
pub fn azure_site_secret_prefix(target: &str, site: &str, qualified: bool) -> String {
    if qualified {
        format!("{target}-{site}-")
    } else {
        format!("{site}-")
    }
}

/// Kubernetes secret of a site in an AKS cluster.
#[must_use]
pub fn azure_site_cluster_secret(target: &str, site: &str) -> String {
    format!("{target}-{site}-posit-team")
}

/// Kubernetes secret of a workload in an AKS cluster.
#[must_use]
pub fn azure_workload_cluster_secret(target: &str) -> String {
    format!("{target}-posit-team")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_targets_keep_port_hash_and_cidr() {
        let table = [
            ("acme01-staging", 18432, "ec1748", "10.22.0.0/16"),
            ("acme01-production", 16076, "a55a9e", "10.113.0.0/16"),
            ("main01-production", 18785, "167e39", "10.128.0.0/16"),
            ("workload01", 16191, "c79f1e", "10.199.0.0/16"),
        ];
        for (target, port, hash, cidr) in table {
            assert_eq!(proxy_port(target), port, "{target}");
            assert_eq!(short_hash(target), hash, "{target}");
            assert_eq!(derived_vpc_cidr(target), cidr, "{target}");
        }
    }

    #[test]
    fn names_split_at_the_last_hyphen() {
        assert_eq!(split_compound("a-b-staging"), ("a-b", "staging"));
        assert_eq!(split_compound("workload01"), ("workload01", ""));
    }

    #[test]
    fn aws_names() {
        assert_eq!(state_bucket("t-x"), "ptd-t-x");
        assert_eq!(
            aws_backend_url("t-x", "us-east-2"),
            "s3://ptd-t-x?region=us-east-2"
        );
        assert_eq!(
            aws_secrets_provider_url("eu-west-1"),
            "awskms://alias/posit-team-dedicated?region=eu-west-1"
        );
        assert_eq!(workload_secret("t-x"), "t-x.posit.team");
        assert_eq!(site_secret("t-x", "main"), "t-x-main.posit.team");
        assert_eq!(
            site_session_secret("t-x", "main"),
            "t-x-main.sessions.posit.team"
        );
        assert_eq!(
            site_ssh_vault("t-x", "main"),
            "t-x-main-ssh-ppm-keys.posit.team"
        );
        assert_eq!(mimir_auth_secret("cr"), "cr.mimir-auth.posit.team");
        assert_eq!(control_room_secret("cr"), "cr.ctrl.posit.team");
        assert_eq!(
            mimir_push_url("cr.example.org"),
            "https://mimir.cr.example.org/api/v1/push"
        );
    }

    #[test]
    fn the_policy_is_in_the_partition_of_the_region() {
        for (region, partition_name) in [
            ("us-east-2", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
        ] {
            assert_eq!(
                admin_policy_arn(partition(region), "123456789012"),
                format!("arn:{partition_name}:iam::123456789012:policy/PositTeamDedicatedAdmin")
            );
        }
    }

    #[test]
    fn azure_names() {
        let target = "My_Team.Prod-eu-west";
        assert_eq!(azure_sanitized(target), "my-team-prod-eu-west");
        assert_eq!(azure_key_vault(target), "kv-ptd-my-team-prod-eu-w");
        assert_eq!(azure_state_storage_account(target), "stptdmyteamprodeuwest");
        assert_eq!(azure_resource_group("test-target"), "rsg-ptd-test-target");
        assert_eq!(azure_blob_container("test-target"), "blob-ptd-test-target");
        assert_eq!(
            azure_key_vault("very-long-workload-staging"),
            "kv-ptd-very-long-workloa"
        );
        assert_eq!(
            azure_state_storage_account("very-long-workload-staging"),
            "stptdverylongworkloadsta"
        );
        assert_eq!(
            azure_files_storage_account("very-long-workload-staging"),
            "stptdfilesverylongworklo"
        );
        assert_eq!(
            azure_backend_url("test-target"),
            "azblob://blob-ptd-test-target?storage_account=stptdtesttarget"
        );
        assert_eq!(
            azure_secrets_provider_url("test-target"),
            "azurekeyvault://kv-ptd-test-target.vault.azure.net/keys/posit-team-dedicated"
        );
        assert_eq!(
            azure_node_resource_group("a_b", "20250115", "eastus2"),
            "MC_rsg-ptd-a-b_a-b-20250115_eastus2"
        );
        assert_eq!(
            azure_container_registry("test-target"),
            "crptdtesttarget.azurecr.io"
        );
    }

    #[test]
    fn azure_secret_names_depend_on_external_secrets() {
        assert_eq!(azure_site_secret_prefix("t-x", "main", false), "main-");
        assert_eq!(azure_site_secret_prefix("t-x", "main", true), "t-x-main-");
        assert_eq!(
            azure_site_cluster_secret("t-x", "main"),
            "t-x-main-posit-team"
        );
        assert_eq!(azure_workload_cluster_secret("t-x"), "t-x-posit-team");
    }

    #[test]
    fn stacks_and_projects() {
        let project = project("aws", "workload", "postgres_config");
        assert_eq!(project, "ptd-aws-workload-postgres-config");
        assert_eq!(
            stack(&project, "t-x"),
            "organization/ptd-aws-workload-postgres-config/t-x"
        );
    }
}
