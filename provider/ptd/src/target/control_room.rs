//! `spec` of an `AWSControlRoomConfig`.

use std::collections::BTreeMap;

use super::aws::DEFAULT_REGION;
use super::decode::section;
use super::kubernetes::EksAccessEntries;
use super::read::{
    flag, flag_on, int_or, plain_text, section_or_zero, sections, text, text_map, text_or, texts,
};

section! {
    /// The specification of a control room, defaults applied.
    pub struct AwsControlRoomSpec {
        /// AWS account. Absent when the file names none.
        pub account_id: Option<String> = text,
        /// AWS region. Default `us-east-2`.
        pub region: String = text_or(DEFAULT_REGION),
        /// Domain of the control room. Absent when the file names none.
        pub domain: Option<String> = text,
        /// Domain under which people reach it. Absent when none.
        pub front_door: Option<String> = text,
        /// Environment as the `cluster` step tags it; everything else takes it from the directory's name.
        pub environment: Option<String> = text,
        /// True name as the `cluster` step tags it; everything else takes it from the directory's name.
        pub true_name: Option<String> = text,
        /// Hosted zone. Absent: the zone of the domain's parent is looked up.
        pub hosted_zone_id: Option<String> = text,
        /// Prefix of the principals that may assume the admin role. Absent when none.
        pub power_user_arn: Option<String> = text,
        /// People who may use the control room.
        pub trusted_users: Vec<TrustedUser> = sections,
        /// Who may use the Kubernetes API.
        pub eks_access_entries: EksAccessEntries = section_or_zero,
        /// Kubernetes version. Default `1.30`.
        pub eks_k8s_version: String = text_or("1.30"),
        /// Least number of nodes. Default 3.
        pub eks_node_group_min: i64 = int_or(3),
        /// Greatest number of nodes, and the number asked for. Default 3.
        pub eks_node_group_max: i64 = int_or(3),
        /// Instance type of the nodes. Default `m6a.xlarge`.
        pub eks_node_instance_type: String = text_or("m6a.xlarge"),
        /// Storage of the database, in GB. Default 100.
        pub db_allocated_storage: i64 = int_or(100),
        /// Version of PostgreSQL. Default `16.14`.
        pub db_engine_version: String = text_or("16.14"),
        /// Instance class of the database. Default `db.t3.small`.
        pub db_instance_class: String = text_or("db.t3.small"),
        /// What the file says. The persistent stack protects its resources whatever it is.
        pub protect_persistent_resources: bool = flag,
        /// Tags put on every resource.
        pub resource_tags: BTreeMap<String, String> = text_map,
        /// Tag keys, exact, that are neither added nor removed.
        pub ignore_tags: Vec<String> = texts,
        /// Whether the network is reached by Tailscale. Default false; a control room has no bastion, so it is needed.
        pub tailscale_enabled: bool = flag,
        /// Replicas of Traefik. Default 3.
        pub traefik_deployment_replicas: i64 = int_or(3),
        /// Whether the `workspaces` step does anything. Default true.
        pub workspaces_enabled: bool = flag_on,
        /// Version of the EBS CSI add-on. Default `v1.41.0-eksbuild.1`.
        pub ebs_csi_addon_version: String = text_or("v1.41.0-eksbuild.1"),
        /// Chart version of the metrics server. Default `3.11.0`.
        pub metrics_server_version: String = text_or("3.11.0"),
        /// Chart version of the Secrets Store CSI driver. Default `1.3.4`.
        pub secret_store_csi_version: String = text_or("1.3.4"),
        /// Chart version of its AWS provider. Default `0.3.5`.
        pub secret_store_csi_aws_provider_version: String = text_or("0.3.5"),
        /// Chart version of traefik-forward-auth. Default `0.0.14`.
        pub traefik_forward_auth_version: String = text_or("0.0.14"),
        /// Chart version of Traefik. Default `24.0.0`.
        pub traefik_version: String = text_or("24.0.0"),
        /// Chart version of Grafana. Default `7.0.14`.
        pub grafana_version: String = text_or("7.0.14"),
        /// Chart version of Mimir. Default `5.1.3`.
        pub mimir_version: String = text_or("5.1.3"),
        /// Accepted, and read by nothing.
        pub manage_ecr_repositories: bool = flag,
        /// Accepted, and read by nothing.
        pub aws_fsx_openzfs_csi_version: Option<String> = text,
        /// Accepted, and read by nothing.
        pub external_dns_version: Option<String> = text,
        /// Accepted, and read by nothing.
        pub kube_state_metrics_version: Option<String> = text,
        /// Accepted, and read by nothing.
        pub tigera_operator_version: Option<String> = text,
    }
}

section! {
    /// A person who may use a control room.
    pub struct TrustedUser {
        /// E-mail address. Empty when absent.
        pub email: String = plain_text,
        /// Given name. Empty when absent.
        pub given_name: String = plain_text,
        /// Family name. Empty when absent.
        pub family_name: String = plain_text,
        /// Addresses the person comes from.
        pub ip_addresses: Vec<TrustedUserIpAddress> = sections,
    }
}

section! {
    /// An address a trusted user comes from.
    pub struct TrustedUserIpAddress {
        /// IP address or range. Empty when absent.
        pub ip: String = plain_text,
        /// What it is. Absent when not said.
        pub comment: Option<String> = text,
    }
}
