//! Parts of a specification that describe Kubernetes objects.

use super::decode::section;
use super::read::{flag, flag_on, free_maps, plain_text, text};

section! {
    /// A toleration of the Team Operator's pod. Nothing is filled in where a field is absent.
    pub struct TeamOperatorToleration {
        /// Key of the tolerated taint. Empty when absent.
        pub key: String = plain_text,
        /// How the key is compared: `Exists` or `Equal`. Empty when absent.
        pub operator: String = plain_text,
        /// Effect of the tolerated taint: `NoSchedule`, `PreferNoSchedule` or `NoExecute`. Empty when absent.
        pub effect: String = plain_text,
        /// Value of the tolerated taint. Absent when not set.
        pub value: Option<String> = text,
    }
}

section! {
    /// A taint put on nodes.
    pub struct NodeTaint {
        /// Key of the taint. Empty when absent.
        pub key: String = plain_text,
        /// Value of the taint. Absent when not set.
        pub value: Option<String> = text,
        /// Effect of the taint: `NoSchedule`, `PreferNoSchedule` or `NoExecute`. Empty when absent.
        pub effect: String = plain_text,
    }
}

section! {
    /// Who may use a cluster's Kubernetes API, by EKS access entries.
    pub struct EksAccessEntries {
        /// Whether access entries are used. Default true; false means the older `aws-auth` map.
        pub enabled: bool = flag_on,
        /// More entries: maps with `principalArn` (an entry without it is skipped), `type` (default `STANDARD`),
        /// `kubernetesGroups`, and `accessPolicies` of `policyArn` and `accessScope` (`type`, default `cluster`, and
        /// `namespaces`).
        pub additional_entries: Vec<serde_json::Value> = free_maps,
        /// Whether the power user role of the same account gets an entry. Default false.
        pub include_same_account_poweruser: bool = flag,
    }
}
