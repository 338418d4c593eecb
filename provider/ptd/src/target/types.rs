//! What a target is, once read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AwsClusterSpec, AwsControlRoomSpec, AwsWorkloadSpec, AzureClusterSpec, AzureWorkloadSpec,
    SiteTlsSecret, TargetCustomRole, TargetCustomStep,
};

/// What a `ptd.yaml` describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TargetKind {
    /// A workload on AWS.
    #[serde(rename = "AWSWorkloadConfig")]
    AwsWorkload,
    /// A workload on Azure.
    #[serde(rename = "AzureWorkloadConfig")]
    AzureWorkload,
    /// A control room, always on AWS.
    #[serde(rename = "AWSControlRoomConfig")]
    AwsControlRoom,
}

/// The cloud a target is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TargetCloud {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
}

/// What a target is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TargetType {
    /// Runs the products.
    Workload,
    /// Watches over workloads.
    ControlRoom,
}

/// A target as its files describe it, defaults applied, with everything that follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Name of the target: the name of its directory.
    pub name: String,
    /// What stands before the last hyphen of the name; the whole name where there is none.
    pub true_name: String,
    /// What stands after the last hyphen of the name, for example `staging`; empty where there is none.
    pub environment: String,
    /// Kind as the file states it: `AWSWorkloadConfig`, `AzureWorkloadConfig` or `AWSControlRoomConfig`.
    pub kind: TargetKind,
    /// Cloud the target is in: `aws` or `azure`.
    pub cloud: TargetCloud,
    /// What the target is for: `workload` or `controlRoom`.
    pub target_type: TargetType,
    /// AWS account, or Azure subscription. Absent when the file names none.
    pub account_id: Option<String>,
    /// Region in effect. Default `us-east-2` on AWS, `eastus2` on Azure.
    pub region: String,
    /// AWS profile the credentials come from. Absent: the ambient ones.
    pub profile: Option<String>,
    /// Role to assume with the profile. Absent when none.
    pub custom_role: Option<TargetCustomRole>,
    /// Whether bootstrap makes the admin policy. Default false.
    pub create_admin_policy_as_resource: bool,
    /// Whether the network is reached by Tailscale, without proxy. Default false, on Azure always.
    pub tailscale_enabled: bool,
    /// The control room that watches over the workload. Absent when it has none, and for control rooms.
    pub control_room: Option<TargetControlRoom>,
    /// Tags put on every resource.
    pub resource_tags: BTreeMap<String, String>,
    /// Tag keys, exact, that are neither added nor removed. Always empty on Azure.
    pub ignore_tags: Vec<String>,
    /// How far products trust the network: 0 (`ZERO`), 50 (`SAMESITE`) or 100 (`FULL`). Absent for control rooms.
    pub network_trust_value: Option<i32>,
    /// Whether any cluster takes its secrets through the External Secrets Operator, which changes the names of key
    /// vault entries. Always false on AWS.
    pub external_secrets_enabled: bool,
    /// Names that follow from the target's name.
    pub names: TargetNames,
    /// Addresses that follow from the target's domains.
    pub urls: TargetUrls,
    /// Names of the sites, in order.
    pub site_names: Vec<String>,
    /// Sites, by name.
    pub sites: Vec<TargetSite>,
    /// Clusters, by release.
    pub clusters: Vec<TargetCluster>,
    /// Everything else an AWS workload says. Absent for other kinds.
    pub aws: Option<AwsWorkloadSpec>,
    /// Everything else an Azure workload says. Absent for other kinds.
    pub azure: Option<AzureWorkloadSpec>,
    /// Everything else a control room says. Absent for other kinds.
    pub aws_control_room: Option<AwsControlRoomSpec>,
    /// Steps the target adds to the standard ones, in the order of the manifest, disabled ones included.
    pub custom_steps: Vec<TargetCustomStep>,
    /// Names of all steps in the order in which they run, enabled custom ones included.
    pub steps: Vec<String>,
    /// The same with disabled steps, which keep their stacks.
    #[serde(skip)]
    pub(crate) order: Vec<String>,
    /// What is accepted but hardly meant, one line each: file, line, column, path, and what is odd.
    pub warnings: Vec<String>,
    /// Those of the warnings that concern the manifest of the custom steps: a pipeline does not pass over them.
    #[serde(skip)]
    pub(crate) manifest_warnings: Vec<String>,
}

/// The control room of a workload, as the workload's own file describes it. It is on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetControlRoom {
    /// Name of the control room target.
    pub name: String,
    /// Its AWS account. Absent when the file names none.
    pub account_id: Option<String>,
    /// Its region. Default `us-east-2`.
    pub region: String,
    /// Its domain. Absent when the file names none.
    pub domain: Option<String>,
    /// Secret in its account that holds the credentials of its Mimir's tenants.
    pub mimir_auth_secret: String,
    /// The control room's own secret.
    pub secret: String,
}

/// Names that follow from a target's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetNames {
    /// URL of the backend that holds the states of the target's stacks.
    pub backend_url: String,
    /// Secrets provider of these stacks.
    pub secrets_provider_url: String,
    /// First six hexadecimal digits of the SHA-256 of the name.
    pub hash: String,
    /// Local port of the proxy into the target's network, 10000 to 19999.
    pub proxy_port: i32,
    /// Name of the stacks of all the target's projects, without organization and project.
    pub stack: String,
    /// Address range of the VPC: that of the provisioned VPC, else the file's, else one derived from the name. Absent
    /// on Azure.
    pub vpc_cidr: Option<String>,
    /// S3 bucket of the state. Absent on Azure.
    pub state_bucket: Option<String>,
    /// Alias of the KMS key that encrypts stack secrets, shared by all targets of an account and region. Absent on Azure.
    pub kms_alias: Option<String>,
    /// ARN of the admin policy, which is the permissions boundary too. Absent on Azure, and without an account.
    pub admin_policy_arn: Option<String>,
    /// Secret of the workload: in Secrets Manager on AWS, in the cluster on Azure. Absent for control rooms.
    pub workload_secret: Option<String>,
    /// A control room's secret with the credentials of its Mimir's tenants. Absent for workloads.
    pub mimir_auth_secret: Option<String>,
    /// A control room's own secret. Absent for workloads.
    pub control_room_secret: Option<String>,
    /// EKS cluster of a control room. Absent for workloads, whose clusters carry their names.
    pub control_room_cluster: Option<String>,
    /// Azure resource group. Absent on AWS.
    pub resource_group: Option<String>,
    /// Azure key vault. Absent on AWS.
    pub key_vault: Option<String>,
    /// Key in the key vault that encrypts stack secrets. Absent on AWS.
    pub key_vault_key: Option<String>,
    /// Azure storage account of the state. Absent on AWS.
    pub storage_account: Option<String>,
    /// Blob container of the state. Absent on AWS.
    pub blob_container: Option<String>,
    /// Azure storage account of the products' files. Absent on AWS.
    pub files_storage_account: Option<String>,
    /// Login server of the Azure container registry. Absent on AWS.
    pub container_registry: Option<String>,
    /// Azure VNet, given or made. Absent on AWS.
    pub vnet: Option<String>,
}

/// Addresses that follow from a target's domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetUrls {
    /// Where a workload pushes its metrics. Absent without a control room domain, and for control rooms.
    pub mimir_push: Option<String>,
    /// A control room's address. Absent without a domain, and for workloads.
    pub control_room: Option<String>,
    /// A control room's front door. Absent when it has none, and for workloads.
    pub front_door: Option<String>,
}

/// A site of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
// One switch of the file is one field.
#[allow(clippy::struct_excessive_bools)]
pub struct TargetSite {
    /// Name of the site.
    pub name: String,
    /// Domain of the site. Absent when the file names none.
    pub domain: Option<String>,
    /// Address of the site. Absent without a domain.
    pub url: Option<String>,
    /// Names that follow from the site's name.
    pub names: TargetSiteNames,
    /// Accepted, and read by nothing.
    pub domain_type: Option<String>,
    /// Route 53 zone that exists, to be used instead of a new one. Absent when none is given.
    pub zone_id: Option<String>,
    /// ARN of a certificate that exists; then none is made. Absent when none is given.
    pub certificate_arn: Option<String>,
    /// Whether traefik-forward-auth guards the site. Default false.
    pub use_traefik_forward_auth: bool,
    /// Whether the zone is private. Default false.
    pub private_zone: bool,
    /// VPCs the private zone is associated with.
    pub vpc_associations: Vec<String>,
    /// Whether the provisioned VPC is among these. Default true.
    pub auto_associate_provisioned_vpc: bool,
    /// Whether the certificate is validated by DNS. Default true.
    pub certificate_validation_enabled: bool,
    /// TLS secrets of the site, instead of the wildcard one. Used on Azure only.
    pub tls_secrets: Vec<SiteTlsSecret>,
    /// The map `spec` of the site's `site.yaml`, merged over the generated Site resource. Absent when there is none.
    pub overrides: Option<Value>,
}

/// Names that follow from a site's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetSiteNames {
    /// Secret of the site: in Secrets Manager on AWS, in the cluster on Azure.
    pub secret: String,
    /// Secret of the site's sessions. Absent on Azure.
    pub session_secret: Option<String>,
    /// Secret with the SSH keys of the site's Package Manager. Absent on Azure.
    pub ssh_vault: Option<String>,
    /// What the site's key vault entries begin with. Absent on AWS.
    pub key_vault_prefix: Option<String>,
}

/// A Kubernetes cluster of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetCluster {
    /// Release: the cluster's key in the file, for example `20250115`.
    pub release: String,
    /// Name of the EKS or AKS cluster.
    pub name: String,
    /// Azure resource group that holds the nodes. Absent on AWS.
    pub node_resource_group: Option<String>,
    /// What the file says about an EKS cluster. Absent on Azure.
    pub aws: Option<AwsClusterSpec>,
    /// What the file says about an AKS cluster. Absent on AWS.
    pub azure: Option<AzureClusterSpec>,
}
