//! The standard steps of each kind of target: what they wait for, and what they take from each other.

use crate::target::TargetKind;
pub(crate) use crate::target::{BOOTSTRAP, REPRISE};

/// What one step takes from an earlier one: that step, and the outputs, which become settings of the same names. A question mark ends
/// the name of one that the step need not have.
pub(crate) type Takes = (&'static str, &'static [&'static str]);

/// A step that every target of a kind has.
#[derive(Debug)]
pub(crate) struct Standard {
    /// Its name; the cluster step's is the cloud's own.
    pub(crate) name: &'static str,
    /// The steps directly before it.
    pub(crate) after: &'static [&'static str],
    /// Its data edges.
    pub(crate) takes: &'static [Takes],
    /// Whether it reaches into the target's network.
    pub(crate) proxy: bool,
    /// Whether its program reads the workload secret, which `persistent`'s outputs fill.
    pub(crate) reads_secret: bool,
    /// What running it again does.
    pub(crate) rerun: &'static str,
}

/// The step whose outputs most others live on.
pub(crate) const PERSISTENT: &str = "persistent";

/// The step that a control room can do without.
pub(crate) const WORKSPACES: &str = "workspaces";

const SAFE: &str = "Safe: without changes it does nothing.";
const CREATE_ONLY: &str = "Safe: it makes what is missing, brings settings up to date, and never changes the value of a secret.";
const DATA: &str = "Safe: without changes it does nothing. What it made holds data: look at replacements in its preview.";
const DATABASES: &str = "Safe: without changes it does nothing. Passwords are made once and stay.";
const CLUSTERS: &str =
    "Safe: without changes it does nothing. A change of version or node type restarts workloads.";

const BOOT: Standard = Standard {
    name: BOOTSTRAP,
    after: &[],
    takes: &[],
    proxy: false,
    reads_secret: false,
    rerun: CREATE_ONLY,
};
const WORKLOAD_PERSISTENT: Standard = Standard {
    name: PERSISTENT,
    after: &[BOOTSTRAP],
    takes: &[],
    proxy: false,
    reads_secret: false,
    rerun: DATA,
};
const DATABASE_ADDRESS: Takes = (PERSISTENT, &["db_address", "db_port?", "db_secret_arn"]);
const KUBECONFIGS: Takes = ("eks", &["kubeconfigs?"]);

/// Everything that 1.4 of the reference's edges asks for, and the order of Kubernetes layers: charts need the operator's
/// namespaces, sites need the ingress that the charts bring, and on destroy the other way round.
const AWS_WORKLOAD: [Standard; 7] = [
    BOOT,
    WORKLOAD_PERSISTENT,
    Standard {
        name: "postgres_config",
        after: &[PERSISTENT],
        takes: &[DATABASE_ADDRESS],
        proxy: true,
        reads_secret: false,
        rerun: DATABASES,
    },
    Standard {
        name: "eks",
        after: &[PERSISTENT],
        takes: &[(
            PERSISTENT,
            &["private_subnet_ids", "hosted_zone_name_servers"],
        )],
        proxy: true,
        reads_secret: false,
        rerun: CLUSTERS,
    },
    Standard {
        name: "clusters",
        after: &["postgres_config", "eks"],
        takes: &[
            KUBECONFIGS,
            (PERSISTENT, &["db_address", "db_port?"]),
            ("postgres_config", &["grafana_db_name", "db_grafana_pw"]),
        ],
        proxy: true,
        reads_secret: true,
        rerun: SAFE,
    },
    Standard {
        name: "helm",
        after: &["clusters"],
        takes: &[KUBECONFIGS, (PERSISTENT, &["cert_arns"])],
        proxy: true,
        reads_secret: true,
        rerun: SAFE,
    },
    Standard {
        name: "sites",
        after: &["helm"],
        takes: &[KUBECONFIGS, (PERSISTENT, &["db_secret_arn"])],
        proxy: true,
        reads_secret: true,
        rerun: SAFE,
    },
];

const AZURE_WORKLOAD: [Standard; 7] = [
    BOOT,
    WORKLOAD_PERSISTENT,
    Standard {
        name: "postgres_config",
        after: &[PERSISTENT],
        takes: &[],
        proxy: true,
        reads_secret: false,
        rerun: DATABASES,
    },
    Standard {
        name: "aks",
        after: &[PERSISTENT],
        takes: &[(PERSISTENT, &["vnet_name", "private_subnet_name"])],
        proxy: false,
        reads_secret: false,
        rerun: CLUSTERS,
    },
    Standard {
        name: "clusters",
        after: &["postgres_config", "aks"],
        takes: &[],
        proxy: true,
        reads_secret: false,
        rerun: SAFE,
    },
    Standard {
        name: "helm",
        after: &["clusters"],
        takes: &[],
        proxy: true,
        reads_secret: false,
        rerun: SAFE,
    },
    Standard {
        name: "sites",
        after: &["helm"],
        takes: &[],
        proxy: true,
        reads_secret: false,
        rerun: SAFE,
    },
];

const CONTROL_ROOM: [Standard; 4] = [
    Standard {
        name: WORKSPACES,
        after: &[],
        takes: &[],
        proxy: false,
        reads_secret: false,
        rerun: SAFE,
    },
    Standard {
        name: PERSISTENT,
        after: &[],
        takes: &[],
        proxy: false,
        reads_secret: false,
        rerun: DATA,
    },
    Standard {
        name: "postgres_config",
        after: &[PERSISTENT],
        takes: &[DATABASE_ADDRESS],
        proxy: true,
        reads_secret: false,
        rerun: DATABASES,
    },
    Standard {
        name: "cluster",
        after: &["postgres_config"],
        takes: &[
            (PERSISTENT, &["subnet_ids"]),
            ("postgres_config", &["db_grafana_connection"]),
        ],
        proxy: true,
        reads_secret: false,
        rerun: CLUSTERS,
    },
];

/// Bootstrap, for the control rooms that ask for it.
pub(crate) const fn bootstrap() -> &'static Standard {
    &BOOT
}

/// What the reprise says of itself.
pub(crate) const REPRISE_RERUN: &str =
    "Safe: it runs the program of `persistent` again, which without changes does nothing.";
/// What is known of programs that others wrote.
pub(crate) const CUSTOM_RERUN: &str =
    "As safe as its program: without changes Pulumi changes nothing.";

/// The standard steps, in order.
pub(crate) fn steps(kind: TargetKind) -> &'static [Standard] {
    match kind {
        TargetKind::AwsWorkload => &AWS_WORKLOAD,
        TargetKind::AzureWorkload => &AZURE_WORKLOAD,
        TargetKind::AwsControlRoom => &CONTROL_ROOM,
    }
}
