//! Targets: reading a `ptd.yaml` with all that stands around it into typed values, and naming what belongs to a target.
//!
//! Files mean here what they mean to the `ptd` command: what it decodes gets the same value, what it refuses is an
//! error. Beyond that, every error says where it is, all errors come at once, and what the command passes over in
//! silence (unknown fields above all) is a warning.

// Descriptions end up in the schema, where the names of products need no backquotes.
#![allow(clippy::doc_markdown)]

mod arrange;
mod assemble;
mod aws;
mod aws_cluster;
mod azure;
mod checks;
mod control_room;
mod decode;
mod entries;
mod kubernetes;
mod locate;
pub mod naming;
mod problem;
mod project;
mod read;
mod scalar;
mod site;
mod site_file;
mod steps;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::too_many_lines)]
mod tests;
mod types;
mod values;
mod yaml;

use std::path::Path;

pub use aws::{AwsProvisionedVpc, AwsVpcEndpoints, AwsWorkloadSpec, TargetCustomRole};
pub use aws_cluster::{
    AwsClusterComponents, AwsClusterSpec, AwsEfsConfig, AwsNodeGroup, KarpenterConfig,
    KarpenterLimits, KarpenterNodePool, KarpenterRequirement,
};
pub use azure::{
    AzureClusterComponents, AzureClusterSpec, AzureNetwork, AzureNodePool, AzureWorkloadSpec,
    DnsForwardDomain,
};
pub use control_room::{AwsControlRoomSpec, TrustedUser, TrustedUserIpAddress};
pub use kubernetes::{EksAccessEntries, NodeTaint, TeamOperatorToleration};
pub use locate::{CONTROL_ROOMS, WORKLOADS};
pub(crate) use problem::nearest;
pub use problem::{LoadErrors, Problem};
pub(crate) use project::project_name;
pub use site::SiteTlsSecret;
pub(crate) use steps::{BOOTSTRAP, KUBERNETES, KUBERNETES_STEPS, REPRISE, inside};
pub use steps::{CONTROL_ROOM_STEPS, TargetCustomStep, WORKLOAD_STEPS};
pub use types::{
    Target, TargetCloud, TargetCluster, TargetControlRoom, TargetKind, TargetNames, TargetSite,
    TargetSiteNames, TargetType, TargetUrls,
};

/// Reads target `name` below `targets_dir`: its `ptd.yaml`, the `site.yaml` of each site, and its custom steps. Blocks
/// on the file system.
pub fn load(targets_dir: &Path, name: &str) -> Result<Target, LoadErrors> {
    let located = locate::locate(targets_dir, name)?;
    assemble::load(&located, name)
}
