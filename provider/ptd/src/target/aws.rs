//! `spec` of an `AWSWorkloadConfig`.

use std::collections::BTreeMap;

use super::aws_cluster::AwsClusterSpec;
use super::checks;
use super::decode::{UnderSpec, section};
use super::read::{
    flag, flag_on, int_if_present, int_or, named_sections, plain_text, section, text,
    text_if_present, text_map, text_or, texts, uuid,
};
use super::site::SiteSpec;

/// The region of AWS targets, and of control rooms, that name none.
pub(crate) const DEFAULT_REGION: &str = "us-east-2";

section! {
    /// The specification of an AWS workload, defaults applied. Clusters and sites stand beside it, not in it.
    pub struct AwsWorkloadSpec {
        /// AWS account of the workload. Absent when the file names none.
        pub account_id: Option<String> = text,
        /// AWS region. Default `us-east-2`.
        pub region: String = text_or(DEFAULT_REGION),
        /// AWS profile the credentials come from. Absent: the ambient ones.
        pub profile: Option<String> = text,
        /// Role to assume with the profile. Absent when none.
        pub custom_role: Option<TargetCustomRole> = checks::custom_role,
        /// Whether bootstrap makes the admin policy. Default false.
        pub create_admin_policy_as_resource: bool = flag,
        /// Accepted, and read by nothing; the role to assume is `customRole`.
        pub role_arn: Option<String> = text_if_present,
        /// A UUID. Accepted, and read by nothing; the one in use is `customRole.externalId`.
        pub external_id: Option<String> = uuid,
        /// Accepted, and read by nothing.
        pub trusted_principals: Vec<String> = texts,
        /// AWS account of the control room. Absent when the file names none.
        pub control_room_account_id: Option<String> = text,
        /// Name of the control room target. Absent: the workload has no control room.
        pub control_room_cluster_name: Option<String> = text,
        /// Domain of the control room. Absent: no metrics are sent there.
        pub control_room_domain: Option<String> = text,
        /// Region of the control room. Default `us-east-2`.
        pub control_room_region: String = text_or(DEFAULT_REGION),
        /// Whether the network is reached by Tailscale: no bastion, no proxy. Default false.
        pub tailscale_enabled: bool = flag,
        /// Instance id of a bastion that exists; then none is made.
        pub customer_managed_bastion_id: Option<String> = text,
        /// Instance type of the bastion. Default `t4g.nano`.
        pub bastion_instance_type: String = text_or("t4g.nano"),
        /// Tags put on every resource.
        pub resource_tags: BTreeMap<String, String> = text_map,
        /// Tag keys, exact, that are neither added nor removed.
        pub ignore_tags: Vec<String> = texts,
        /// What the file says. The persistent and Kubernetes stacks protect their resources whatever it is.
        pub protect_persistent_resources: bool = flag,
        /// Storage of the database, in GB. Default 100.
        pub db_allocated_storage: i64 = int_or(100),
        /// Version of PostgreSQL. Default `15.18`.
        pub db_engine_version: String = text_or("15.18"),
        /// Instance class of the database. Default `db.t3.small`.
        pub db_instance_class: String = text_or("db.t3.small"),
        /// Whether Performance Insights is on. Default false.
        pub db_performance_insights_enabled: bool = flag,
        /// Whether the database is protected against deletion. Default false.
        pub db_deletion_protection: bool = flag,
        /// Up to how many GB the storage may grow by itself. Absent: it does not grow.
        pub db_max_allocated_storage: Option<i64> = int_if_present,
        /// More databases, each with a role of its own; `-` becomes `_`.
        pub extra_postgres_dbs: Vec<String> = texts,
        /// Storage of the FSx for OpenZFS file system, in GiB. Default 100.
        pub fsx_openzfs_storage_capacity: i64 = int_or(100),
        /// Throughput of the file system, in MB/s. Default 320.
        pub fsx_openzfs_throughput_capacity: i64 = int_or(320),
        /// When its daily backup starts, `HH:MM` in UTC. Default `02:00`.
        pub fsx_openzfs_daily_automatic_backup_start_time: String = text_or("02:00"),
        /// Whether it spans availability zones (`MULTI_AZ_1`) or not (`SINGLE_AZ_HA_2`). Default true.
        pub fsx_openzfs_multi_az: bool = flag_on,
        /// Its deployment type, whatever `fsxOpenzfsMultiAz` says. Absent: follows from that.
        pub fsx_openzfs_override_deployment_type: Option<String> = text,
        /// Number of availability zones, 3 at most. Default 3.
        pub vpc_az_count: i64 = checks::vpc_az_count,
        /// Address range of the VPC as written. Absent: see `names.vpcCidr`.
        pub vpc_cidr: Option<String> = checks::vpc_range,
        /// A VPC that exists. Absent: one is made.
        pub provisioned_vpc: Option<AwsProvisionedVpc> = section,
        /// Endpoints of AWS services in the VPC. Absent: all of them.
        pub vpc_endpoints: Option<AwsVpcEndpoints> = section,
        /// More destinations of the VPC's flow logs.
        pub existing_flow_log_target_arns: Vec<String> = texts,
        /// Hosted zone of the site `main`, over the site's own.
        pub hosted_zone_id: Option<String> = text_if_present,
        /// Whether hosted zones are made. Default true.
        pub hosted_zone_management_enabled: bool = flag_on,
        /// Whether the load balancer faces the internet. Default true.
        pub public_load_balancer: bool = flag_on,
        /// Whether each site has a load balancer of its own. Default false.
        pub load_balancer_per_site: bool = flag,
        /// Whether nodes come and go by Karpenter. Default false; needs `karpenterConfig` in the cluster.
        pub autoscaling_enabled: bool = flag,
        /// Whether external-dns is deployed. Default true.
        pub external_dns_enabled: bool = flag_on,
        /// Whether Keycloak is deployed. Default false.
        pub keycloak_enabled: bool = flag,
        /// Whether the Secrets Store driver is the EKS add-on (true) or a chart (false). Default true.
        pub secrets_store_addon_enabled: bool = flag_on,
        /// Whether third parties' telemetry stays on. Default true.
        pub third_party_telemetry_enabled: bool = flag_on,
        /// Whether the NVIDIA device plugin is deployed. Default false.
        pub nvidia_gpu_enabled: bool = flag,
        /// Whether system logs are collected. Default false.
        pub grafana_scrape_system_logs: bool = flag,
        /// Whether only metrics that dashboards and alerts use are sent to the control room. Default false.
        pub filter_control_room_metrics: bool = flag,
        /// More OIDC issuers that the roles of service accounts trust.
        pub extra_cluster_oidc_urls: Vec<String> = texts,
        /// How far products trust the network: `ZERO`, `SAMESITE` or `FULL`. Default `FULL`; anything else counts as `FULL`.
        pub network_trust: String = checks::network_trust,
        /// Accepted, and read by nothing.
        pub domain_source: Option<String> = text,
        #[serde(skip)]
        #[doc = "The clusters by release."]
        pub(crate) clusters: BTreeMap<String, UnderSpec<AwsClusterSpec>> = named_sections,
        #[serde(skip)]
        #[doc = "The sites by name."]
        pub(crate) sites: BTreeMap<String, UnderSpec<SiteSpec>> = named_sections,
    }
}

section! {
    /// A role that is assumed with the profile's credentials.
    pub struct TargetCustomRole {
        /// ARN of the role. Empty when absent.
        pub role_arn: String = plain_text,
        /// External id the role asks for. Absent when it asks for none.
        pub external_id: Option<String> = text,
    }
}

section! {
    /// A VPC that exists already.
    pub struct AwsProvisionedVpc {
        /// Id of the VPC. Empty when absent.
        pub vpc_id: String = plain_text,
        /// Its address range. Absent when not given.
        pub cidr: Option<String> = checks::vpc_range,
        /// Its private subnets, by the value of their `Name` tag (not by id).
        pub private_subnets: Vec<String> = texts,
    }
}

section! {
    /// Endpoints of AWS services in the VPC.
    pub struct AwsVpcEndpoints {
        /// Whether there are any. Beware: where the block is present, absent means false.
        pub enabled: bool = flag,
        /// Services without an endpoint: any of `ec2`, `ec2messages`, `fsx`, `kms`, `s3`, `ssm`, `ssmmessages`.
        pub excluded_services: Vec<String> = checks::excluded_services,
    }
}
