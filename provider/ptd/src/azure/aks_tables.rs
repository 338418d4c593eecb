//! Where the inputs of clusters and pools lie in Azure's models.

use super::aks_settings::Plain::{EmptyMap, Flag, Nothing, Number, Text, Texts};
use super::aks_settings::Setting;

/// The version of the service's interface.
pub(super) const API: &str = "2025-09-01";
/// The ARM type of clusters.
pub(super) const CLUSTER: &str = "Microsoft.ContainerService/managedClusters";
/// The ARM type of agent pools.
pub(super) const POOL: &str = "Microsoft.ContainerService/managedClusters/agentPools";
/// The system pool's name, in all clusters.
pub(super) const SYSTEM_POOL: &str = "agentpool";
/// The address of a cluster's DNS where nothing is said.
pub(super) const DNS_ADDRESS: &str = "10.0.0.10";

/// The settings of a cluster.
pub(super) const CLUSTER_SETTINGS: &[Setting] = &[
    Setting::new("tier", &["sku", "tier"], Text("Standard"), Text("Free")),
    Setting::new(
        "supportPlan",
        &["properties", "supportPlan"],
        Text("KubernetesOfficial"),
        Text("KubernetesOfficial"),
    ),
    Setting::new("dnsPrefix", &["properties", "dnsPrefix"], Nothing, Nothing).fixed(),
    Setting::new(
        "disableLocalAccounts",
        &["properties", "disableLocalAccounts"],
        Flag(true),
        Flag(false),
    ),
    Setting::new(
        "azureRbac",
        &["properties", "aadProfile", "enableAzureRBAC"],
        Flag(true),
        Flag(false),
    ),
    Setting::new(
        "secretsProvider",
        &[
            "properties",
            "addonProfiles",
            "azureKeyvaultSecretsProvider",
            "enabled",
        ],
        Flag(true),
        Flag(false),
    ),
    Setting::new(
        "azurePolicy",
        &["properties", "addonProfiles", "azurepolicy", "enabled"],
        Flag(false),
        Flag(false),
    ),
    Setting::new(
        "privateCluster",
        &[
            "properties",
            "apiServerAccessProfile",
            "enablePrivateCluster",
        ],
        Flag(true),
        Flag(false),
    )
    .fixed(),
    Setting::new(
        "privateClusterPublicFqdn",
        &[
            "properties",
            "apiServerAccessProfile",
            "enablePrivateClusterPublicFQDN",
        ],
        Flag(true),
        Flag(false),
    ),
    Setting::new(
        "privateDnsZone",
        &["properties", "apiServerAccessProfile", "privateDNSZone"],
        Text("system"),
        Text("system"),
    ),
    Setting::new(
        "upgradeChannel",
        &["properties", "autoUpgradeProfile", "upgradeChannel"],
        Text("patch"),
        Text("none"),
    ),
    Setting::new(
        "nodeOsUpgradeChannel",
        &["properties", "autoUpgradeProfile", "nodeOSUpgradeChannel"],
        Text("NodeImage"),
        Text("None"),
    ),
    Setting::new(
        "networkPolicy",
        &["properties", "networkProfile", "networkPolicy"],
        Text("calico"),
        Text("none"),
    ),
    Setting::new(
        "networkDataplane",
        &["properties", "networkProfile", "networkDataplane"],
        Text("azure"),
        Text("azure"),
    ),
    Setting::new(
        "outboundType",
        &["properties", "networkProfile", "outboundType"],
        Text("loadBalancer"),
        Text("loadBalancer"),
    ),
    Setting::new(
        "podCidr",
        &["properties", "networkProfile", "podCidr"],
        Text("10.244.0.0/16"),
        Text("10.244.0.0/16"),
    )
    .fixed(),
    Setting::new(
        "serviceCidr",
        &["properties", "networkProfile", "serviceCidr"],
        Text("10.0.0.0/16"),
        Text("10.0.0.0/16"),
    )
    .fixed(),
    Setting::new(
        "dnsServiceIp",
        &["properties", "networkProfile", "dnsServiceIP"],
        Text(DNS_ADDRESS),
        Text(DNS_ADDRESS),
    )
    .fixed(),
    Setting::new(
        "imageCleaner",
        &["properties", "securityProfile", "imageCleaner", "enabled"],
        Flag(true),
        Flag(false),
    ),
    Setting::new(
        "imageCleanerIntervalHours",
        &[
            "properties",
            "securityProfile",
            "imageCleaner",
            "intervalHours",
        ],
        Number(168),
        Number(168),
    ),
    Setting::new(
        "workloadIdentity",
        &[
            "properties",
            "securityProfile",
            "workloadIdentity",
            "enabled",
        ],
        Flag(true),
        Flag(false),
    ),
    Setting::new(
        "diskCsiDriver",
        &["properties", "storageProfile", "diskCSIDriver", "enabled"],
        Flag(true),
        Flag(true),
    ),
    Setting::new(
        "fileCsiDriver",
        &["properties", "storageProfile", "fileCSIDriver", "enabled"],
        Flag(true),
        Flag(true),
    ),
    Setting::new(
        "snapshotController",
        &[
            "properties",
            "storageProfile",
            "snapshotController",
            "enabled",
        ],
        Flag(true),
        Flag(true),
    ),
];

/// The settings of the secrets provider, which are sent while it is on.
pub(super) const ROTATION_SETTINGS: &[Setting] = &[
    Setting::new(
        "secretRotation",
        &[
            "properties",
            "addonProfiles",
            "azureKeyvaultSecretsProvider",
            "config",
            "enableSecretRotation",
        ],
        Text("true"),
        Text("false"),
    ),
    Setting::new(
        "secretRotationInterval",
        &[
            "properties",
            "addonProfiles",
            "azureKeyvaultSecretsProvider",
            "config",
            "rotationPollInterval",
        ],
        Text("2m"),
        Text("2m"),
    ),
];

/// The settings of a pool, below `properties` in its own model and directly in a cluster's list of pools.
pub(super) const POOL_SETTINGS: &[Setting] = &[
    Setting::new("vmSize", &["vmSize"], Nothing, Nothing).fixed(),
    Setting::new("mode", &["mode"], Text("User"), Text("User")),
    Setting::new(
        "autoScaling",
        &["enableAutoScaling"],
        Flag(true),
        Flag(false),
    ),
    Setting::new(
        "availabilityZones",
        &["availabilityZones"],
        Texts(&["2", "3"]),
        Texts(&[]),
    )
    .fixed(),
    Setting::new("maxPods", &["maxPods"], Number(110), Nothing).fixed(),
    Setting::new(
        "osDiskType",
        &["osDiskType"],
        Text("Managed"),
        Text("Managed"),
    )
    .fixed(),
    Setting::new("osSku", &["osSKU"], Text("Ubuntu"), Text("Ubuntu")),
    Setting::new(
        "scaleDownMode",
        &["scaleDownMode"],
        Text("Delete"),
        Text("Delete"),
    ),
    Setting::new("subnetId", &["vnetSubnetID"], Nothing, Nothing).fixed(),
    Setting::new("nodeTaints", &["nodeTaints"], Texts(&[]), Texts(&[])).exact(),
    Setting::new("nodeLabels", &["nodeLabels"], EmptyMap, EmptyMap),
    Setting::new(
        "maxSurge",
        &["upgradeSettings", "maxSurge"],
        Text("10%"),
        Text("10%"),
    ),
    Setting::new(
        "secureBoot",
        &["securityProfile", "enableSecureBoot"],
        Flag(false),
        Flag(false),
    ),
    Setting::new(
        "vtpm",
        &["securityProfile", "enableVTPM"],
        Flag(false),
        Flag(false),
    ),
];

/// What all clusters have that are made here, and no input changes.
pub(super) const CLUSTER_SHAPE: &[Setting] = &[
    Setting::new(
        "enableRBAC",
        &["properties", "enableRBAC"],
        Flag(true),
        Flag(true),
    ),
    Setting::new(
        "networkPlugin",
        &["properties", "networkProfile", "networkPlugin"],
        Text("azure"),
        Text("azure"),
    ),
    Setting::new(
        "networkPluginMode",
        &["properties", "networkProfile", "networkPluginMode"],
        Text("overlay"),
        Text("none"),
    ),
    Setting::new(
        "loadBalancerSku",
        &["properties", "networkProfile", "loadBalancerSku"],
        Text("standard"),
        Text("standard"),
    ),
    Setting::new(
        "ipFamilies",
        &["properties", "networkProfile", "ipFamilies"],
        Texts(&["IPv4"]),
        Texts(&["IPv4"]),
    ),
];

/// What all pools have that are made here, and no input changes.
pub(super) const POOL_SHAPE: &[Setting] = &[
    Setting::new(
        "type",
        &["type"],
        Text("VirtualMachineScaleSets"),
        Text("VirtualMachineScaleSets"),
    ),
    Setting::new("osType", &["osType"], Text("Linux"), Text("Linux")),
    Setting::new(
        "kubeletDiskType",
        &["kubeletDiskType"],
        Text("OS"),
        Text("OS"),
    ),
    Setting::new(
        "enableNodePublicIP",
        &["enableNodePublicIP"],
        Flag(false),
        Flag(false),
    ),
    Setting::new("enableFIPS", &["enableFIPS"], Flag(false), Flag(false)),
];

/// The same of pools that are no system pool.
pub(super) const USER_POOL_SHAPE: &[Setting] = &[Setting::new(
    "sshAccess",
    &["securityProfile", "sshAccess"],
    Text("LocalUser"),
    Text("LocalUser"),
)];
