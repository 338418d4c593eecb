//! `clusters.<release>.spec` of an AWS workload.

use std::collections::BTreeMap;

use super::checks;
use super::decode::section;
use super::kubernetes::{EksAccessEntries, NodeTaint, TeamOperatorToleration};
use super::read::{
    checked_text, flag, flag_on, int_if_present, int_or, int_unless_absent, named_sections,
    plain_text, section, section_or_zero, sections, text, text_if_present, text_map, text_or,
    text_unless_absent, texts,
};

section! {
    /// An EKS cluster of a workload: the fields of `clusters.<release>.spec`, defaults applied.
    // The field without content is one of the file's, not a device.
    #[allow(clippy::manual_non_exhaustive)]
    pub struct AwsClusterSpec {
        /// Kubernetes version. Default `1.35`.
        pub cluster_version: String = text_unless_absent("1.35"),
        /// AMI type of the node groups. Default `AL2023_x86_64_STANDARD`.
        pub ami_type: String = text_unless_absent("AL2023_x86_64_STANDARD"),
        /// Instance type of the default node group. Default `t3.large`.
        pub mp_instance_type: String = text_unless_absent("t3.large"),
        /// Least number of nodes in the default node group, and the number asked for. Default 4.
        pub mp_min_size: i64 = int_unless_absent(4),
        /// Greatest number of nodes in the default node group. Default 10.
        pub mp_max_size: i64 = int_unless_absent(10),
        /// Root disk of the default node group's nodes, in GB. Default 200.
        pub root_disk_size: i64 = int_unless_absent(200),
        /// Version of the EBS CSI add-on. Default `v1.41.0-eksbuild.1`.
        pub ebs_csi_addon_version: String = text_unless_absent("v1.41.0-eksbuild.1"),
        /// Whether version updates go ahead against pod disruption budgets. Default false.
        pub force_maintenance: bool = flag,
        /// Whether the EFS CSI driver is installed. Default false.
        pub enable_efs_csi_driver: bool = flag,
        /// The EFS file system to mount. Absent when none.
        pub efs_config: Option<AwsEfsConfig> = section,
        /// Who may use the Kubernetes API.
        pub eks_access_entries: EksAccessEntries = section_or_zero,
        /// More node groups, by name.
        pub additional_node_groups: BTreeMap<String, AwsNodeGroup> = named_sections,
        /// Karpenter's node pools. Absent when Karpenter has none.
        pub karpenter_config: Option<KarpenterConfig> = section,
        /// Versions and replicas of what is installed in the cluster.
        pub components: AwsClusterComponents = section_or_zero,
        /// Weight of this cluster in DNS, as external-dns takes it. Default `100`.
        pub routing_weight: String = text_unless_absent("100"),
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
        /// Tolerations of the Team Operator's pod.
        pub team_operator_tolerations: Vec<TeamOperatorToleration> = sections,
        /// OIDC issuer of the cluster, used only when the live cluster reports none.
        pub cluster_oidc_issuer_url: Option<String> = text,
        /// Accepted, and read by nothing.
        pub cluster_name: Option<String> = text,
        /// Accepted, and read by nothing.
        pub node_group_name: Option<String> = text,
        /// Accepted, and read by nothing.
        pub node_instance_type: Option<String> = text,
        /// Accepted, and read by nothing.
        pub node_group_min_size: Option<i64> = int_if_present,
        /// Accepted, and read by nothing.
        pub node_group_max_size: Option<i64> = int_if_present,
        /// Accepted, and read by nothing.
        pub node_group_desired_size: Option<i64> = int_if_present,
        /// Accepted, and read by nothing; the version is `clusterVersion`.
        pub k8s_version: Option<String> = text,
        /// Accepted, and read by nothing.
        pub vpc_id: Option<String> = text,
        /// Accepted, and read by nothing.
        pub subnet_ids: Vec<String> = texts,
        /// Accepted, and read by nothing.
        pub security_group_ids: Vec<String> = texts,
        /// Accepted, and read by nothing.
        pub iam_role_arn: Option<String> = text,
        /// Accepted, and read by nothing.
        pub cluster_endpoint: Option<String> = text,
        /// Accepted, and read by nothing.
        pub cluster_ca: Option<String> = text,
        /// Accepted, and read by nothing.
        pub cluster_oidc_client_id: Option<String> = text,
        #[serde(skip)]
        #[doc = "Accepted, and read by nothing. Its value is dropped at once: it may be a secret."]
        pub(crate) cluster_oidc_client_secret: () = checked_text,
    }
}

section! {
    /// An EFS file system mounted by a cluster.
    pub struct AwsEfsConfig {
        /// Id of the file system, `fs-...`. Empty when absent.
        pub file_system_id: String = checks::file_system_id,
        /// Id of the access point, `fsap-...`. Absent when none.
        pub access_point_id: Option<String> = checks::access_point_id,
        /// Whether the mount targets are made here. Default true; false for a file system in another VPC.
        pub mount_targets_managed: bool = flag_on,
    }
}

section! {
    /// An additional managed node group.
    pub struct AwsNodeGroup {
        /// Instance type. Default `t3.large`.
        pub instance_type: String = text_unless_absent("t3.large"),
        /// Least number of nodes. Default 1.
        pub min_size: i64 = int_unless_absent(1),
        /// Greatest number of nodes. Default 1.
        pub max_size: i64 = int_unless_absent(1),
        /// Number of nodes asked for. Absent: `minSize`.
        pub desired_size: Option<i64> = int_if_present,
        /// Root disk in GB. Default 200.
        pub additional_root_disk_size: i64 = int_unless_absent(200),
        /// More security groups on the nodes.
        pub additional_security_group_ids: Vec<String> = texts,
        /// AMI type. Absent: the cluster's.
        pub ami_type: Option<String> = text,
        /// Taints of the nodes.
        pub taints: Vec<NodeTaint> = sections,
        /// Labels, applied as tags of the group.
        pub labels: BTreeMap<String, String> = text_map,
        /// Whether the nodes carry `posit.team/node-role=system`. Default false.
        pub system_nodes: bool = flag,
    }
}

section! {
    /// Karpenter in a cluster.
    pub struct KarpenterConfig {
        /// The node pools.
        pub node_pools: Vec<KarpenterNodePool> = sections,
    }
}

section! {
    /// A node pool of Karpenter.
    pub struct KarpenterNodePool {
        /// Name. Empty when absent.
        pub name: String = plain_text,
        /// What the nodes must satisfy.
        pub requirements: Vec<KarpenterRequirement> = sections,
        /// Upper bounds on what the pool may hold. Absent when unbounded.
        pub limits: Option<KarpenterLimits> = section,
        /// Age at which a node is replaced, for example `720h`. Absent: Karpenter's own.
        pub expire_after: Option<String> = text_if_present,
        /// Taints of the nodes.
        pub taints: Vec<NodeTaint> = sections,
        /// Priority among pools. Default 100.
        pub weight: i64 = int_or(100),
        /// Root volume. Default `100Gi`.
        pub root_volume_size: String = text_or("100Gi"),
        /// Whether the nodes are for sessions only, with the taint `workload-type=session:NoSchedule`. Default false.
        pub session_taints: bool = flag,
        /// Whether the nodes carry `posit.team/node-role=system`. Default false.
        pub system_nodes: bool = flag,
        /// When nodes are consolidated. Default `WhenEmptyOrUnderutilized`.
        pub consolidation_policy: String = text_or("WhenEmptyOrUnderutilized"),
        /// How long to wait before that. Default `5m`.
        pub consolidate_after: String = text_or("5m"),
        /// Pods that keep spare room. Default 0: none.
        pub overprovisioning_replicas: i64 = int_or(0),
        /// CPU each of those asks for. Absent when not set.
        pub overprovisioning_cpu_request: Option<String> = text_if_present,
        /// Memory each of those asks for. Absent when not set.
        pub overprovisioning_memory_request: Option<String> = text_if_present,
        /// GPUs each of those asks for. Absent when not set.
        pub overprovisioning_nvidia_gpu_request: Option<String> = text_if_present,
    }
}

section! {
    /// One thing the nodes of a Karpenter pool must satisfy.
    pub struct KarpenterRequirement {
        /// Label of the node. Empty when absent.
        pub key: String = plain_text,
        /// Comparison: `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`. Empty when absent.
        pub operator: String = plain_text,
        /// Values to compare with.
        pub values: Vec<String> = texts,
    }
}

section! {
    /// Upper bounds on a Karpenter pool.
    pub struct KarpenterLimits {
        /// CPUs, for example `100`. Absent when unbounded.
        pub cpu: Option<String> = text_if_present,
        /// Memory, for example `500Gi`. Absent when unbounded.
        pub memory: Option<String> = text_if_present,
        /// GPUs (`nvidia.com/gpu`). Absent when unbounded.
        pub nvidia_gpu["nvidia.com/gpu"]: Option<String> = text_if_present,
    }
}

section! {
    /// Chart versions and replicas in an EKS cluster.
    pub struct AwsClusterComponents {
        /// Chart version of Alloy. Default `0.12.6`.
        pub alloy_version: String = text_unless_absent("0.12.6"),
        /// Accepted, and read by nothing: the EBS driver is an add-on.
        pub aws_ebs_csi_driver_version: Option<String> = text_if_present,
        /// Chart version of the FSx for OpenZFS CSI driver. Default `v1.0.0`.
        pub aws_fsx_openzfs_csi_driver_version: String = text_unless_absent("v1.0.0"),
        /// Chart version of the AWS Load Balancer Controller. Default `1.6.0`.
        pub aws_load_balancer_controller_version: String = text_unless_absent("1.6.0"),
        /// Chart version of external-dns. Default `1.14.4`.
        pub external_dns_version: String = text_unless_absent("1.14.4"),
        /// Chart version of Grafana. Default `7.0.14`.
        pub grafana_version: String = text_unless_absent("7.0.14"),
        /// Chart version of Karpenter. Default `1.6.0`.
        pub karpenter_version: String = text_unless_absent("1.6.0"),
        /// Chart version of kube-state-metrics. Default `5.30.1`.
        pub kube_state_metrics_version: String = text_unless_absent("5.30.1"),
        /// Chart version of Loki. Default `5.42.0`.
        pub loki_version: String = text_unless_absent("5.42.0"),
        /// Replicas of Loki. Default 2.
        pub loki_replicas: i64 = int_unless_absent(2),
        /// Chart version of the metrics server. Default `3.11.0`.
        pub metrics_server_version: String = text_unless_absent("3.11.0"),
        /// Chart version of Mimir. Default `5.2.1`.
        pub mimir_version: String = text_unless_absent("5.2.1"),
        /// Replicas of Mimir. Default 2.
        pub mimir_replicas: i64 = int_unless_absent(2),
        /// Chart version of the NVIDIA device plugin. Default `0.17.1`.
        pub nvidia_device_plugin_version: String = text_unless_absent("0.17.1"),
        /// Chart version of the Secrets Store CSI driver. Default `1.3.4`.
        pub secret_store_csi_driver_version: String = text_unless_absent("1.3.4"),
        /// Chart version of its AWS provider. Default `0.3.5`.
        pub secret_store_csi_driver_aws_provider_version: String = text_unless_absent("0.3.5"),
        /// Chart version of Traefik. Default `37.1.2`.
        pub traefik_version: String = text_unless_absent("37.1.2"),
        /// Replicas of Traefik. Default 3.
        pub traefik_deployment_replicas: i64 = int_unless_absent(3),
        /// Chart version of the Tigera operator. Default `3.31.4`.
        pub tigera_operator_version: String = text_unless_absent("3.31.4"),
        /// Chart version of traefik-forward-auth. Absent: it is not deployed.
        pub traefik_forward_auth_version: Option<String> = text_if_present,
    }
}
