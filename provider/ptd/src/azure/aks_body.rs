//! What is sent to create and to change clusters and pools.

use serde_json::{Map, Value, json};

use super::aks_settings::Plain::{EmptyMap, Flag, Nothing, Number, Text, Texts};
use super::aks_settings::{Setting, find, put, remove, sendable, whole_numbers, write};
use super::aks_version::{Step, satisfied, step};

/// The version of the service's interface.
pub(super) const API: &str = "2025-09-01";
/// The ARM type of clusters.
pub(super) const CLUSTER: &str = "Microsoft.ContainerService/managedClusters";
/// The ARM type of agent pools.
pub(super) const POOL: &str = "Microsoft.ContainerService/managedClusters/agentPools";
/// The system pool's name, in all clusters.
pub(super) const SYSTEM_POOL: &str = "agentpool";

const ADDON: &[&str] = &["properties", "addonProfiles"];

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
        Text("10.0.0.10"),
        Text("10.0.0.10"),
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
    Setting::new("subnetId", &["vnetSubnetID"], Nothing, Nothing).fixed(),
    Setting::new("nodeTaints", &["nodeTaints"], Texts(&[]), Texts(&[])),
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

/// What is the same in all pools; only a creation says it.
fn new_pool() -> Value {
    json!({
        "type": "VirtualMachineScaleSets",
        "osType": "Linux",
        "kubeletDiskType": "OS",
        "enableNodePublicIP": false,
        "enableFIPS": false,
        "scaleDownMode": "Delete",
    })
}

/// The properties of a pool that does not exist yet.
pub(super) fn pool_creation(
    inputs: &Value,
    version: &str,
    ssh: bool,
    tags: &Map<String, Value>,
) -> Value {
    let mut model = new_pool();
    write(POOL_SETTINGS, inputs, &mut model, true);
    put(&mut model, &["orchestratorVersion"], version.into());
    if let Some(size) = inputs.get("osDiskSizeGb").filter(|size| !size.is_null()) {
        put(&mut model, &["osDiskSizeGB"], size.clone());
    }
    if ssh {
        put(
            &mut model,
            &["securityProfile", "sshAccess"],
            "LocalUser".into(),
        );
    }
    if !tags.is_empty() {
        put(&mut model, &["tags"], Value::Object(tags.clone()));
    }
    let scaling = scales(inputs);
    put(&mut model, &["count"], initial_count(inputs));
    if scaling {
        for (input, key) in [("minCount", "minCount"), ("maxCount", "maxCount")] {
            put(
                &mut model,
                &[key],
                inputs.get(input).cloned().unwrap_or_default(),
            );
        }
    }
    for key in ["nodeTaints", "nodeLabels"] {
        let empty = model.get(key).is_none_or(|value| {
            value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(Map::is_empty)
        });
        if empty {
            remove(&mut model, &[key]);
        }
    }
    model
}

fn scales(inputs: &Value) -> bool {
    inputs
        .get("autoScaling")
        .and_then(Value::as_bool)
        .unwrap_or(true)
}

fn initial_count(inputs: &Value) -> Value {
    ["count", "minCount"]
        .iter()
        .filter_map(|input| inputs.get(*input))
        .find(|value| !value.is_null())
        .cloned()
        .unwrap_or_else(|| 1.into())
}

/// A pool's properties as they are, made ready to be sent back: nothing that only the service sets.
pub(super) fn pool_as_read(live: &Value) -> Value {
    let mut model = sendable(live.clone());
    for output in [
        "provisioningState",
        "currentOrchestratorVersion",
        "nodeImageVersion",
        "powerState",
        "eTag",
        "status",
    ] {
        remove(&mut model, &[output]);
    }
    model
}

/// What an update of a pool sends, and which inputs it changes. The size of a pool that scales by itself stays as it is.
pub(super) fn pool_update(
    inputs: &Value,
    version: Option<&str>,
    tags: &Map<String, Value>,
    live: &Value,
) -> (Value, Vec<&'static str>) {
    let mut changed: Vec<&'static str> =
        super::aks_settings::differing(POOL_SETTINGS, inputs, live)
            .iter()
            .filter(|setting| !setting.fixed)
            .map(|setting| setting.input)
            .collect();
    let mut model = pool_as_read(live);
    write(POOL_SETTINGS, inputs, &mut model, false);
    let live_version = live
        .get("orchestratorVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some(version) = version
        && !satisfied(version, live_version)
    {
        put(&mut model, &["orchestratorVersion"], version.into());
        changed.push("kubernetesVersion");
    }
    if scales(inputs) {
        for (input, key) in [("minCount", "minCount"), ("maxCount", "maxCount")] {
            let wanted = inputs.get(input).cloned().unwrap_or_default();
            if whole_numbers(live.get(key).cloned().unwrap_or_default()) != wanted {
                changed.push(input);
            }
            put(&mut model, &[key], wanted);
        }
    } else {
        // The service refuses limits where nothing scales.
        for key in ["minCount", "maxCount"] {
            remove(&mut model, &[key]);
        }
        let wanted = initial_count(inputs);
        if whole_numbers(live.get("count").cloned().unwrap_or_default()) != wanted {
            changed.push("count");
        }
        put(&mut model, &["count"], wanted);
    }
    let held = live
        .get("tags")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if held != *tags {
        changed.push("tags");
        put(&mut model, &["tags"], Value::Object(tags.clone()));
    }
    (model, changed)
}

/// What an update cannot change about a pool, by input.
pub(super) fn pool_stuck(inputs: &Value, live: &Value) -> Vec<&'static str> {
    let mut stuck: Vec<&'static str> = super::aks_settings::differing(POOL_SETTINGS, inputs, live)
        .iter()
        .filter(|setting| setting.fixed)
        .map(|setting| setting.input)
        .collect();
    let wanted = inputs
        .get("osDiskSizeGb")
        .and_then(Value::as_i64)
        .filter(|size| *size != 0);
    let actual = find(live, &["osDiskSizeGB"])
        .cloned()
        .map(whole_numbers)
        .and_then(|v| v.as_i64());
    if let (Some(wanted), Some(actual)) = (wanted, actual)
        && wanted != actual
    {
        stuck.push("osDiskSizeGb");
    }
    stuck
}

/// The body that creates a cluster.
pub(super) fn cluster_creation(inputs: &Value, tenant: &str, tags: &Map<String, Value>) -> Value {
    let text = |name: &str| inputs.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut body = json!({
        "location": text("location"),
        "identity": {"type": "SystemAssigned"},
        "sku": {"name": "Base"},
        "properties": {
            "kubernetesVersion": text("kubernetesVersion"),
            "enableRBAC": true,
            "servicePrincipalProfile": {"clientId": "msi"},
            "aadProfile": {"managed": true, "tenantID": tenant},
            "oidcIssuerProfile": {"enabled": true},
            "networkProfile": {
                "networkPlugin": "azure",
                "networkPluginMode": "overlay",
                "loadBalancerSku": "standard",
                "ipFamilies": ["IPv4"],
            },
        },
    });
    write(CLUSTER_SETTINGS, inputs, &mut body, true);
    if inputs
        .get("secretsProvider")
        .and_then(Value::as_bool)
        .unwrap_or(true)
    {
        write(ROTATION_SETTINGS, &rotation_inputs(inputs), &mut body, true);
    }
    if inputs.get("privateCluster").and_then(Value::as_bool) == Some(false) {
        // Neither means anything to a public cluster.
        for key in ["enablePrivateClusterPublicFQDN", "privateDNSZone"] {
            remove(&mut body, &["properties", "apiServerAccessProfile", key]);
        }
    }
    if let Some(until) = forced_until(inputs) {
        put(
            &mut body,
            OVERRIDE,
            json!({"forceUpgrade": true, "until": until}),
        );
    }
    if !tags.is_empty() {
        put(&mut body, &["tags"], Value::Object(tags.clone()));
    }
    let system = inputs.get("systemPool").cloned().unwrap_or_default();
    let mut pool = pool_creation(
        &system_inputs(&system),
        text("kubernetesVersion"),
        false,
        tags,
    );
    put(&mut pool, &["name"], SYSTEM_POOL.into());
    put(
        &mut body,
        &["properties", "agentPoolProfiles"],
        json!([pool]),
    );
    body
}

const OVERRIDE: &[&str] = &["properties", "upgradeSettings", "overrideSettings"];

/// The switch for rotation is a word in Azure's model.
pub(super) fn rotation_inputs(inputs: &Value) -> Value {
    let rotation = inputs
        .get("secretRotation")
        .and_then(Value::as_bool)
        .map(|on| on.to_string());
    json!({"secretRotation": rotation, "secretRotationInterval": inputs.get("secretRotationInterval")})
}

/// The inputs of the system pool in the terms of a pool's.
pub(super) fn system_inputs(system: &Value) -> Value {
    let mut inputs = json!({
        "mode": "System",
        "count": 2,
        "minCount": 2,
        "maxCount": 5,
        "osDiskSizeGb": 128,
        "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"],
    });
    for (key, value) in system.as_object().into_iter().flatten() {
        if !value.is_null() {
            put(&mut inputs, &[key.as_str()], value.clone());
        }
    }
    inputs
}

fn forced_until(inputs: &Value) -> Option<String> {
    let forced = inputs
        .get("forceUpgrade")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let until = inputs.get("forceUpgradeUntil").and_then(Value::as_str);
    forced.then(|| until.unwrap_or(FOREVER).to_owned())
}

/// Until when forced upgrades hold where nothing is said: a fixed day, so that two runs want the same.
pub(super) const FOREVER: &str = "2035-01-01T00:00:00Z";

/// A moment in one spelling, for comparison.
fn instant(text: &str) -> String {
    let text = text.replace("+00:00", "Z");
    match (text.find('.'), text.strip_suffix('Z')) {
        (Some(dot), Some(bare)) if bare[dot + 1..].chars().all(|c| c == '0') => {
            format!("{}Z", &bare[..dot])
        }
        _ => text,
    }
}

/// What an update of a cluster would send.
#[derive(Debug)]
pub(super) struct ClusterUpdate {
    /// The whole model: what is there, with the changes.
    pub body: Value,
    /// The inputs whose values change.
    pub changed: Vec<&'static str>,
    /// What cannot be changed, and is not as the inputs say.
    pub stuck: Vec<&'static str>,
}

/// Lays the inputs over what is there. What others manage, and all pools, go back as they were read.
pub(super) fn cluster_update(
    inputs: &Value,
    tenant: &str,
    tags: &Map<String, Value>,
    live: &Value,
) -> Result<ClusterUpdate, String> {
    let provider = inputs
        .get("secretsProvider")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    let public = inputs.get("privateCluster").and_then(Value::as_bool) == Some(false);
    let relevant = |setting: &Setting| {
        !(public && matches!(setting.input, "privateClusterPublicFqdn" | "privateDnsZone"))
    };
    let table: Vec<Setting> = CLUSTER_SETTINGS.iter().copied().filter(relevant).collect();
    let differing = super::aks_settings::differing(&table, inputs, live);
    let stuck = differing
        .iter()
        .filter(|s| s.fixed)
        .map(|s| s.input)
        .collect();
    let mut changed: Vec<&'static str> = differing
        .iter()
        .filter(|s| !s.fixed)
        .map(|s| s.input)
        .collect();
    let mut body = sendable(live.clone());
    for output in ["id", "name", "type", "systemData", "eTag"] {
        remove(&mut body, &[output]);
    }
    for output in [
        "provisioningState",
        "powerState",
        "status",
        "currentKubernetesVersion",
    ] {
        remove(&mut body, &["properties", output]);
    }
    if let Some(Value::Array(pools)) = body.pointer_mut("/properties/agentPoolProfiles") {
        for pool in pools {
            *pool = pool_as_read(pool);
        }
    }
    write(&table, inputs, &mut body, false);
    if provider {
        let inputs = rotation_inputs(inputs);
        changed.extend(
            super::aks_settings::differing(ROTATION_SETTINGS, &inputs, live)
                .iter()
                .map(|s| s.input),
        );
        write(ROTATION_SETTINGS, &inputs, &mut body, false);
    }
    if find(live, ADDON).is_none() && !provider {
        remove(&mut body, ADDON);
    }
    let wanted = inputs
        .get("kubernetesVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if upgrade(wanted, live)? == Step::Upgrade {
        put(
            &mut body,
            &["properties", "kubernetesVersion"],
            wanted.into(),
        );
        changed.push("kubernetesVersion");
    }
    put(
        &mut body,
        &["properties", "aadProfile", "managed"],
        true.into(),
    );
    if find(live, &["properties", "aadProfile", "tenantID"]).is_none_or(Value::is_null) {
        put(
            &mut body,
            &["properties", "aadProfile", "tenantID"],
            tenant.into(),
        );
    }
    if find(live, &["properties", "oidcIssuerProfile", "enabled"]) != Some(&Value::Bool(true)) {
        put(
            &mut body,
            &["properties", "oidcIssuerProfile", "enabled"],
            true.into(),
        );
        changed.push("oidcIssuer");
    }
    force(inputs, live, &mut body, &mut changed);
    let outbound =
        find(&body, &["properties", "networkProfile", "outboundType"]).and_then(Value::as_str);
    if outbound.is_some_and(|outbound| !outbound.eq_ignore_ascii_case("loadBalancer")) {
        remove(
            &mut body,
            &["properties", "networkProfile", "loadBalancerProfile"],
        );
    }
    let held = live
        .get("tags")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if held != *tags {
        changed.push("tags");
        put(&mut body, &["tags"], Value::Object(tags.clone()));
    }
    Ok(ClusterUpdate {
        body,
        changed,
        stuck,
    })
}

/// Switches forced upgrades on, or off again: leaving them out would leave them on.
fn force(inputs: &Value, live: &Value, body: &mut Value, changed: &mut Vec<&'static str>) {
    let on = find(live, OVERRIDE)
        .and_then(|o| o.get("forceUpgrade"))
        .and_then(Value::as_bool)
        == Some(true);
    let held = find(live, OVERRIDE)
        .and_then(|o| o.get("until"))
        .and_then(Value::as_str);
    match forced_until(inputs) {
        Some(until) if !on || held.map(instant) != Some(instant(&until)) => {
            put(
                body,
                OVERRIDE,
                json!({"forceUpgrade": true, "until": until}),
            );
            changed.push("forceUpgrade");
        }
        None if on => {
            put(body, OVERRIDE, json!({"forceUpgrade": false}));
            changed.push("forceUpgrade");
        }
        _ => {}
    }
}

/// Whether forced upgrades are on, and until when, as inputs.
pub(super) fn observe_force(prior: Option<&Value>, live: &Value) -> (bool, Option<String>) {
    let settings = find(live, OVERRIDE);
    let on = settings
        .and_then(|o| o.get("forceUpgrade"))
        .and_then(Value::as_bool)
        == Some(true);
    let held = settings
        .and_then(|o| o.get("until"))
        .and_then(Value::as_str)
        .map(instant);
    let said = prior
        .and_then(|p| p.get("forceUpgradeUntil"))
        .and_then(Value::as_str);
    let until = match said {
        Some(said) if !on || held.as_deref() == Some(&instant(said)) => Some(said.to_owned()),
        _ => held.filter(|held| on && held != FOREVER),
    };
    (on, until)
}

/// Whether the control plane has to be upgraded; otherwise why it cannot be.
pub(super) fn upgrade(wanted: &str, live: &Value) -> Result<Step, String> {
    let properties = live.get("properties").cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let current = text(&properties, "currentKubernetesVersion")
        .or_else(|| text(&properties, "kubernetesVersion"));
    let Some(current) = current else {
        return Ok(Step::Upgrade);
    };
    let found = step("the cluster", wanted, &current)?;
    if found == Step::Upgrade {
        for pool in properties
            .get("agentPoolProfiles")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = text(pool, "name").unwrap_or_default();
            let version = text(pool, "currentOrchestratorVersion")
                .or_else(|| text(pool, "orchestratorVersion"));
            super::aks_version::compatible(&name, &version.unwrap_or_default(), wanted)?;
        }
    }
    Ok(found)
}
