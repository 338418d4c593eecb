//! `spec` of an `AzureWorkloadConfig`.

use std::collections::BTreeMap;

use super::aws::DEFAULT_REGION as CONTROL_ROOM_REGION;
use super::checks;
use super::decode::{UnderSpec, section};
use super::read::{
    flag, flag_on, int_if_present, int_or, int_unless_absent, named_sections, plain_text,
    section_or_zero, sections, text, text_if_present, text_map, text_or, text_unless_absent, texts,
};
use super::site::SiteSpec;

/// The region of Azure targets that name none.
pub(crate) const DEFAULT_REGION: &str = "eastus2";

section! {
    /// The specification of an Azure workload, defaults applied. Clusters and sites stand beside it, not in it.
    pub struct AzureWorkloadSpec {
        /// Azure subscription. Absent when the file names none.
        pub subscription_id: Option<String> = text,
        /// Entra tenant. Absent when the file names none.
        pub tenant_id: Option<String> = text,
        /// Azure region as written. Absent: `eastus2`, see `region` of the target.
        pub region: Option<String> = text,
        /// Object id of the Entra group that gets the bootstrap roles. Absent when the file names none.
        pub admin_group_id: Option<String> = text,
        /// AWS account of the control room. Absent when the file names none.
        pub control_room_account_id: Option<String> = text,
        /// Name of the control room target, always on AWS. Absent: the workload has no control room.
        pub control_room_cluster_name: Option<String> = text,
        /// Domain of the control room. Absent: no metrics are sent there.
        pub control_room_domain: Option<String> = text,
        /// AWS region of the control room. Default `us-east-2`.
        pub control_room_region: String = text_or(CONTROL_ROOM_REGION),
        /// The network.
        pub network: AzureNetwork = section_or_zero,
        /// Tags of the resource group and other resources.
        pub resource_tags: BTreeMap<String, String> = text_map,
        /// Whether resources of the Kubernetes and PostgreSQL stacks are protected. Default false; those of the
        /// persistent stack are whatever it says.
        pub protect_persistent_resources: bool = flag,
        /// One domain for the DNS zone and the certificate issuer. Absent: one a site.
        pub root_domain: Option<String> = text_if_present,
        /// VM size of the bastion. Default `Standard_B1s`.
        pub bastion_instance_type: String = text_or("Standard_B1s"),
        /// Whether NetApp volumes are made. Default false.
        pub automated_volume_provisioning: bool = flag,
        /// How many days NetApp backups are kept. Default 30.
        pub netapp_backup_retention_days: i64 = int_or(30),
        /// When the daily NetApp backup starts, `HH:MM` in UTC. Default `02:00`.
        pub netapp_daily_backup_start_time: String = text_or("02:00"),
        /// How many NetApp snapshots are kept. Default 7.
        pub netapp_snapshots_to_keep: i64 = int_or(7),
        /// Volume for Connect, in GiB. Default 200.
        pub netapp_volume_connect_capacity: i64 = int_or(200),
        /// Volume for Workbench, in GiB. Default 200.
        pub netapp_volume_workbench_capacity: i64 = int_or(200),
        /// Volume shared by Workbench users, in GiB. Default 50.
        pub netapp_volume_workbench_shared_capacity: i64 = int_or(50),
        /// File share of Package Manager, in GiB. Default 100.
        pub ppm_file_share_size_gib: i64 = int_or(100),
        /// How far products trust the network: `ZERO`, `SAMESITE` or `FULL`. Default `FULL`; anything else counts as `FULL`.
        pub network_trust: String = checks::network_trust,
        /// Whether the NVIDIA device plugin is deployed. Default false.
        pub nvidia_gpu_enabled: bool = flag,
        /// Whether only metrics that dashboards and alerts use are sent to the control room. Default false.
        pub filter_control_room_metrics: bool = flag,
        /// Whether third parties' telemetry stays on. Default true.
        pub third_party_telemetry_enabled: bool = flag_on,
        #[serde(skip)]
        #[doc = "The clusters by release."]
        pub(crate) clusters: BTreeMap<String, AzureClusterSpec> = named_sections,
        #[serde(skip)]
        #[doc = "The sites by name."]
        pub(crate) sites: BTreeMap<String, UnderSpec<SiteSpec>> = named_sections,
    }
}

section! {
    /// The network of an Azure workload.
    pub struct AzureNetwork {
        /// Address range of the new VNet; used when `provisionedVnetName` is absent.
        pub vnet_cidr: Option<String> = text,
        /// Name of a VNet that exists, to be used instead of a new one.
        pub provisioned_vnet_name: Option<String> = text,
        /// Id of that VNet; appears in reports only.
        pub provisioned_vnet_id: Option<String> = text,
        /// Resource group of the VNet. Absent: the target's own.
        pub vnet_rsg_name: Option<String> = text,
        /// Address range of the public subnet. Absent: no public IP, NAT gateway and public subnet.
        pub public_subnet_cidr: Option<String> = text,
        /// Address range of the private subnet.
        pub private_subnet_cidr: Option<String> = text,
        /// Route table of the private subnet. Absent when none.
        pub private_subnet_route_table_id: Option<String> = text,
        /// Address range of the database's subnet.
        pub db_subnet_cidr: Option<String> = text,
        /// Address range of the NetApp subnet.
        pub netapp_subnet_cidr: Option<String> = text,
        /// Address range of the application gateway's subnet.
        pub app_gateway_subnet_cidr: Option<String> = text,
        /// Address range of the bastion's subnet.
        pub bastion_subnet_cidr: Option<String> = text,
        /// Domains whose names CoreDNS asks of another server.
        pub dns_forward_domains: Vec<DnsForwardDomain> = sections,
        /// Whether somebody else manages the subnets' addresses; changes of these are then ignored. Default false.
        pub customer_managed_network: bool = flag,
    }
}

section! {
    /// A domain whose names are asked of another DNS server.
    pub struct DnsForwardDomain {
        /// The domain. Empty when absent.
        pub host: String = plain_text,
        /// IP address of the server. Empty when absent.
        pub ip: String = checks::ip,
    }
}

section! {
    /// An AKS cluster of a workload: the fields of `clusters.<release>`, defaults applied.
    pub struct AzureClusterSpec {
        /// Kubernetes version. Absent when the file names none.
        pub kubernetes_version: Option<String> = text,
        /// How traffic leaves: `LoadBalancer`, `UserDefinedRouting`, `ManagedNatGateway` or `AssignedNatGateway`.
        /// Default `LoadBalancer`.
        pub outbound_type: String = checks::outbound_type,
        /// Accepted, and read by nothing: the cluster is always private.
        pub public_endpoint_access: bool = flag,
        /// VM size of the system node pool. Absent when the file names none.
        pub system_node_pool_instance_type: Option<String> = text,
        /// Root disk of the system node pool's nodes, in GB. Default 128.
        pub system_node_pool_root_disk_size: i64 = int_unless_absent(128),
        /// The user node pools; at least one is needed.
        pub user_node_pools: Vec<AzureNodePool> = checks::user_node_pools,
        /// Whether certificates come from Let's Encrypt. Default false.
        pub use_lets_encrypt: bool = flag,
        /// Whether secrets reach the cluster by the External Secrets Operator. Default false. In any cluster it changes
        /// the names of the key vault's entries for the whole workload.
        pub external_secrets_enabled: bool = flag,
        /// Whether upgrades go ahead against pod disruption budgets. Default false.
        pub force_maintenance: bool = flag,
        /// Folders below `custom_k8s_resources` whose manifests are applied.
        pub custom_k8s_resources: Vec<String> = texts,
        /// Version of the Team Operator's chart. Default `v1.29.1`.
        pub team_operator_chart_version: String = text_unless_absent("v1.29.1"),
        /// Image of the Team Operator. Absent: the chart's own.
        pub team_operator_image: Option<String> = text_if_present,
        /// Image of the Team Operator for a trial; wins over `teamOperatorImage`.
        pub adhoc_team_operator_image: Option<String> = text_if_present,
        /// Whether the Team Operator's custom resource definitions are left alone. Default false.
        pub team_operator_skip_crds: bool = flag,
        /// Versions and replicas of what is installed in the cluster.
        pub components: AzureClusterComponents = section_or_zero,
    }
}

section! {
    /// A user node pool of an AKS cluster.
    pub struct AzureNodePool {
        /// Name: a lower-case letter, then up to 11 lower-case letters and digits; not `agentpool`. Empty when absent.
        pub name: String = plain_text,
        /// VM size, for example `Standard_D8s_v6`. Required; empty when absent.
        pub vm_size: String = plain_text,
        /// Least number of nodes. Default 0.
        pub min_count: i64 = int_or(0),
        /// Greatest number of nodes, 1000 at most. Default 0.
        pub max_count: i64 = int_or(0),
        /// Number of nodes at creation. Absent: `minCount`.
        pub initial_count: Option<i64> = int_if_present,
        /// Whether the number of nodes follows the load. Default false.
        pub enable_auto_scaling: bool = flag,
        /// Availability zones. Default `2` and `3`, for an empty list too.
        pub availability_zones: Vec<String> = zones,
        /// Taints of the nodes, `key=value:Effect`.
        pub node_taints: Vec<String> = texts,
        /// Labels of the nodes.
        pub node_labels: BTreeMap<String, String> = text_map,
        /// Pods a node may run. Default 110.
        pub max_pods: i64 = int_unless_absent(110),
        /// Root disk of the nodes, in GB. Default 256.
        pub root_disk_size: i64 = int_unless_absent(256),
    }
}

section! {
    /// Chart versions and replicas in an AKS cluster.
    pub struct AzureClusterComponents {
        /// Chart version of the External Secrets Operator. Default `2.8.0`.
        pub external_secrets_version: String = text_unless_absent("2.8.0"),
        /// Chart version of Alloy. Default `0.12.6`.
        pub alloy_version: String = text_unless_absent("0.12.6"),
        /// Chart version of external-dns. Default `1.14.4`.
        pub external_dns_version: String = text_unless_absent("1.14.4"),
        /// Chart version of Grafana. Default `7.0.14`.
        pub grafana_version: String = text_unless_absent("7.0.14"),
        /// Chart version of kube-state-metrics. Default `5.30.1`.
        pub kube_state_metrics_version: String = text_unless_absent("5.30.1"),
        /// Chart version of Loki. Default `5.42.0`.
        pub loki_version: String = text_unless_absent("5.42.0"),
        /// Chart version of Mimir. Default `5.2.1`.
        pub mimir_version: String = text_unless_absent("5.2.1"),
        /// Chart version of the NVIDIA device plugin. Default `0.17.1`.
        pub nvidia_device_plugin_version: String = text_unless_absent("0.17.1"),
        /// Replicas of Traefik. Default 3.
        pub traefik_deployment_replicas: i64 = int_unless_absent(3),
        /// Accepted, and read by nothing.
        pub secret_store_csi_driver_azure_provider_version: Option<String> = text,
    }
}

impl AzureWorkloadSpec {
    /// Whether any cluster takes its secrets through the External Secrets Operator.
    pub(crate) fn external_secrets_enabled(&self) -> bool {
        self.clusters
            .values()
            .any(|cluster| cluster.external_secrets_enabled)
    }
}

fn zones(cx: &mut super::decode::Cx<'_>, node: Option<super::yaml::NodeId>) -> Vec<String> {
    let zones = texts(cx, node);
    if zones.is_empty() {
        vec!["2".to_owned(), "3".to_owned()]
    } else {
        zones
    }
}
