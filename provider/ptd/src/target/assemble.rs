//! From the files of a target to a [`Target`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::aws::AwsWorkloadSpec;
use super::azure::AzureWorkloadSpec;
use super::checks;
use super::control_room::AwsControlRoomSpec;
use super::decode::{Cx, Decoded, Section, UnderSpec};
use super::locate::{CONTROL_ROOMS, Contents, Located, WORKLOADS, read};
use super::problem::{LoadErrors, Problem, Report, listed, nearest};
use super::read::plain_text;
use super::site::SiteSpec;
use super::site_file;
use super::steps::{self, CONTROL_ROOM_STEPS, WORKLOAD_STEPS};
use super::types::{
    Target, TargetCloud, TargetCluster, TargetControlRoom, TargetKind, TargetNames, TargetSite,
    TargetSiteNames, TargetType, TargetUrls,
};
use super::yaml::{Document, NodeId};
use super::{azure, naming};

const KINDS: [(&str, TargetKind); 3] = [
    ("AWSWorkloadConfig", TargetKind::AwsWorkload),
    ("AzureWorkloadConfig", TargetKind::AzureWorkload),
    ("AWSControlRoomConfig", TargetKind::AwsControlRoom),
];

/// The specification of any kind.
enum Spec {
    Aws(Box<AwsWorkloadSpec>),
    Azure(Box<AzureWorkloadSpec>),
    ControlRoom(Box<AwsControlRoomSpec>),
}

/// Reads everything in the directory of target `name`.
pub(crate) fn load(located: &Located, name: &str) -> Result<Target, LoadErrors> {
    let mut report = Report::default();
    let (path, file) = located.file("ptd.yaml");
    let fail = |message: &str| {
        let problem = Problem::of_file(path.display().to_string(), message);
        Err(LoadErrors::one(name, problem))
    };
    let bytes = match read(&path) {
        Contents::Bytes(bytes) => bytes,
        Contents::Missing => return fail("the target has no such file"),
        Contents::Unusable(why) => return fail(&why),
    };
    let document = match Document::parse(&bytes) {
        Ok(document) => document,
        Err(error) => {
            let mut problem = Problem::of_file(file.full, error.message);
            (problem.line, problem.column) = (error.line, error.column);
            return Err(LoadErrors::one(name, problem));
        }
    };
    let mut cx = Cx::new(&document, file, &mut report);
    let spec = envelope(&mut cx, document.root(), located, name);
    let sites = match &spec {
        Some(Spec::Aws(spec)) => Some(&spec.sites),
        Some(Spec::Azure(spec)) => Some(&spec.sites),
        Some(Spec::ControlRoom(_)) | None => None,
    };
    let site_files = sites
        .map(|sites| site_file::read_all(located, &sites.keys(), &mut report))
        .unwrap_or_default();
    let standard: &[&str] = match located.parent {
        CONTROL_ROOMS => &CONTROL_ROOM_STEPS,
        _ => &WORKLOAD_STEPS,
    };
    let before = report.warnings.len();
    let (custom_steps, steps) = steps::load(located, standard, &mut report);
    let manifest_warnings = report.warnings.get(before..).unwrap_or_default().to_vec();
    let Report {
        mut problems,
        warnings,
    } = report;
    match spec {
        Some(spec) if problems.is_empty() => {
            let mut target = build(name, spec, site_files);
            let runs = |name: &&String| {
                let mut disabled = custom_steps.iter().filter(|step| !step.enabled);
                disabled.all(|step| step.name != **name)
            };
            target.steps = steps.iter().filter(runs).cloned().collect();
            target.order = steps;
            target.custom_steps = custom_steps;
            target.manifest_warnings = lines(manifest_warnings);
            target.warnings = lines(warnings);
            Ok(target)
        }
        _ => {
            problems.sort();
            problems.dedup();
            Err(LoadErrors {
                target: name.to_owned(),
                problems,
            })
        }
    }
}

/// Warnings in file order.
fn lines(mut warnings: Vec<Problem>) -> Vec<String> {
    warnings.sort();
    warnings.dedup();
    warnings.iter().map(Problem::to_string).collect()
}

/// `apiVersion`, `kind` and `spec`.
fn envelope(cx: &mut Cx<'_>, root: Option<NodeId>, located: &Located, name: &str) -> Option<Spec> {
    const FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
    let entries = match root.map(|root| cx.open(root)) {
        Some(Decoded::Value(entries)) => entries,
        Some(Decoded::Null) | None => Vec::new(),
        Some(Decoded::Failed) => return None,
    };
    let kind_node = entries
        .iter()
        .find(|entry| entry.name == "kind")
        .map(|entry| entry.value);
    let kind = cx.at("kind", |cx| kind(cx, kind_node, root, located));
    let under_spec = match kind {
        Some(TargetKind::AwsWorkload) => AwsWorkloadSpec::FIELDS,
        Some(TargetKind::AzureWorkload) => AzureWorkloadSpec::FIELDS,
        Some(TargetKind::AwsControlRoom) => AwsControlRoomSpec::FIELDS,
        None => &[],
    };
    let fields = cx.pick(entries, &FIELDS, under_spec);
    let version = fields.get("apiVersion");
    cx.at("apiVersion", |cx| checks::api_version(cx, version, root));
    let node = fields.get("spec");
    cx.at("spec", |cx| {
        Some(match kind? {
            TargetKind::AwsWorkload => {
                checks::environment(cx, root, naming::split_compound(name).1);
                checks::state_bucket(cx, root, name);
                let spec: AwsWorkloadSpec = cx.section_or_zero(node);
                checks::aws_workload(cx, node, &spec);
                Spec::Aws(Box::new(spec))
            }
            TargetKind::AzureWorkload => {
                checks::environment(cx, root, naming::split_compound(name).1);
                let spec: AzureWorkloadSpec = cx.section_or_zero(node);
                checks::azure_workload(cx, node, &spec, name);
                Spec::Azure(Box::new(spec))
            }
            TargetKind::AwsControlRoom => {
                checks::state_bucket(cx, root, name);
                Spec::ControlRoom(Box::new(cx.section_or_zero(node)))
            }
        })
    })
}

/// `kind`, which must fit the directory the target is in.
fn kind(
    cx: &mut Cx<'_>,
    node: Option<NodeId>,
    root: Option<NodeId>,
    located: &Located,
) -> Option<TargetKind> {
    let errors_before = cx.errors();
    let written = plain_text(cx, node);
    if cx.errors() > errors_before {
        return None;
    }
    let place = node.or(root);
    let names = KINDS.map(|(name, _)| name);
    let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == written) else {
        let message = if written == "AzureControlRoomConfig" {
            "there is no Azure control room: control rooms are on AWS (`AWSControlRoomConfig`), also those of Azure workloads".to_owned()
        } else {
            let hint = nearest(&written, names)
                .map(|meant| format!("; did you mean `{meant}`?"))
                .unwrap_or_default();
            format!(
                "unknown kind: {written:?}, expected one of {}{hint}",
                listed(names)
            )
        };
        cx.error(place, message);
        return None;
    };
    let expected = match kind {
        TargetKind::AwsWorkload | TargetKind::AzureWorkload => WORKLOADS,
        TargetKind::AwsControlRoom => CONTROL_ROOMS,
    };
    if located.parent != expected {
        let message = format!(
            "`{written}` belongs in `{expected}`, but this target is in `{}`: move its directory or correct the kind",
            located.parent
        );
        cx.error(place, message);
    }
    Some(*kind)
}

fn build(name: &str, spec: Spec, overrides: BTreeMap<String, Value>) -> Target {
    match spec {
        Spec::Aws(spec) => build_aws(name, *spec, overrides),
        Spec::Azure(spec) => build_azure(name, *spec, overrides),
        Spec::ControlRoom(spec) => build_control_room(name, *spec),
    }
}

/// What all targets have, the rest empty.
fn skeleton(name: &str, kind: TargetKind, region: &str) -> Target {
    let (true_name, environment) = naming::split_compound(name);
    let (cloud, target_type) = match kind {
        TargetKind::AwsWorkload => (TargetCloud::Aws, TargetType::Workload),
        TargetKind::AzureWorkload => (TargetCloud::Azure, TargetType::Workload),
        TargetKind::AwsControlRoom => (TargetCloud::Aws, TargetType::ControlRoom),
    };
    let (backend_url, secrets_provider_url) = match cloud {
        TargetCloud::Aws => (
            naming::aws_backend_url(name, region),
            naming::aws_secrets_provider_url(region),
        ),
        TargetCloud::Azure => (
            naming::azure_backend_url(name),
            naming::azure_secrets_provider_url(name),
        ),
    };
    Target {
        name: name.to_owned(),
        true_name: true_name.to_owned(),
        environment: environment.to_owned(),
        kind,
        cloud,
        target_type,
        account_id: None,
        region: region.to_owned(),
        profile: None,
        custom_role: None,
        create_admin_policy_as_resource: false,
        tailscale_enabled: false,
        control_room: None,
        resource_tags: BTreeMap::new(),
        ignore_tags: Vec::new(),
        network_trust_value: None,
        external_secrets_enabled: false,
        names: TargetNames {
            backend_url,
            secrets_provider_url,
            hash: naming::short_hash(name),
            proxy_port: naming::proxy_port(name),
            stack: name.to_owned(),
            vpc_cidr: None,
            state_bucket: None,
            kms_alias: None,
            admin_policy_arn: None,
            workload_secret: None,
            mimir_auth_secret: None,
            control_room_secret: None,
            control_room_cluster: None,
            resource_group: None,
            key_vault: None,
            key_vault_key: None,
            storage_account: None,
            blob_container: None,
            files_storage_account: None,
            container_registry: None,
            vnet: None,
        },
        urls: TargetUrls {
            mimir_push: None,
            control_room: None,
            front_door: None,
        },
        site_names: Vec::new(),
        sites: Vec::new(),
        clusters: Vec::new(),
        aws: None,
        azure: None,
        aws_control_room: None,
        custom_steps: Vec::new(),
        steps: Vec::new(),
        order: Vec::new(),
        warnings: Vec::new(),
        manifest_warnings: Vec::new(),
    }
}

fn aws_names(target: &mut Target) {
    let names = &mut target.names;
    names.state_bucket = Some(naming::state_bucket(&target.name));
    names.kms_alias = Some(naming::KMS_ALIAS.to_owned());
    let partition = naming::partition(&target.region);
    names.admin_policy_arn = target
        .account_id
        .as_deref()
        .map(|account| naming::admin_policy_arn(partition, account));
}

fn build_aws(
    name: &str,
    mut spec: AwsWorkloadSpec,
    mut overrides: BTreeMap<String, Value>,
) -> Target {
    let mut target = skeleton(name, TargetKind::AwsWorkload, &spec.region);
    target.account_id.clone_from(&spec.account_id);
    target.profile.clone_from(&spec.profile);
    target.custom_role.clone_from(&spec.custom_role);
    target.create_admin_policy_as_resource = spec.create_admin_policy_as_resource;
    target.tailscale_enabled = spec.tailscale_enabled;
    target.resource_tags.clone_from(&spec.resource_tags);
    target.ignore_tags.clone_from(&spec.ignore_tags);
    target.network_trust_value = Some(checks::network_trust_value(&spec.network_trust));
    target.control_room = control_room(
        spec.control_room_cluster_name.as_deref(),
        spec.control_room_account_id.as_deref(),
        &spec.control_room_region,
        spec.control_room_domain.as_deref(),
    );
    target.urls.mimir_push = spec
        .control_room_domain
        .as_deref()
        .map(naming::mimir_push_url);
    aws_names(&mut target);
    target.names.workload_secret = Some(naming::workload_secret(name));
    let provisioned = spec.provisioned_vpc.as_ref();
    let cidr = provisioned
        .and_then(|vpc| vpc.cidr.clone())
        .or_else(|| spec.vpc_cidr.clone())
        .unwrap_or_else(|| naming::derived_vpc_cidr(name));
    target.names.vpc_cidr = Some(cidr);
    target.site_names = spec.sites.keys().cloned().collect();
    target.sites = std::mem::take(&mut spec.sites)
        .into_iter()
        .map(|(site, UnderSpec(fields))| {
            let names = TargetSiteNames {
                secret: naming::site_secret(name, &site),
                session_secret: Some(naming::site_session_secret(name, &site)),
                ssh_vault: Some(naming::site_ssh_vault(name, &site)),
                key_vault_prefix: None,
            };
            let overrides = overrides.remove(&site);
            build_site(site, fields, names, overrides)
        })
        .collect();
    target.clusters = std::mem::take(&mut spec.clusters)
        .into_iter()
        .map(|(release, UnderSpec(fields))| TargetCluster {
            name: naming::cluster(name, &release),
            release,
            node_resource_group: None,
            aws: Some(fields),
            azure: None,
        })
        .collect();
    target.aws = Some(spec);
    target
}

fn build_azure(
    name: &str,
    mut spec: AzureWorkloadSpec,
    mut overrides: BTreeMap<String, Value>,
) -> Target {
    let region = spec.region.as_deref().unwrap_or(azure::DEFAULT_REGION);
    let mut target = skeleton(name, TargetKind::AzureWorkload, region);
    target.account_id.clone_from(&spec.subscription_id);
    target.resource_tags.clone_from(&spec.resource_tags);
    target.network_trust_value = Some(checks::network_trust_value(&spec.network_trust));
    target.external_secrets_enabled = spec.external_secrets_enabled();
    target.control_room = control_room(
        spec.control_room_cluster_name.as_deref(),
        spec.control_room_account_id.as_deref(),
        &spec.control_room_region,
        spec.control_room_domain.as_deref(),
    );
    target.urls.mimir_push = spec
        .control_room_domain
        .as_deref()
        .map(naming::mimir_push_url);
    let names = &mut target.names;
    names.workload_secret = Some(naming::azure_workload_cluster_secret(name));
    names.resource_group = Some(naming::azure_resource_group(name));
    names.key_vault = Some(naming::azure_key_vault(name));
    names.key_vault_key = Some(naming::KEY_VAULT_KEY.to_owned());
    names.storage_account = Some(naming::azure_state_storage_account(name));
    names.blob_container = Some(naming::azure_blob_container(name));
    names.files_storage_account = Some(naming::azure_files_storage_account(name));
    names.container_registry = Some(naming::azure_container_registry(name));
    let provisioned = spec.network.provisioned_vnet_name.clone();
    names.vnet = Some(provisioned.unwrap_or_else(|| naming::azure_vnet(name)));
    let qualified = target.external_secrets_enabled;
    target.site_names = spec.sites.keys().cloned().collect();
    target.sites = std::mem::take(&mut spec.sites)
        .into_iter()
        .map(|(site, UnderSpec(fields))| {
            let prefix = naming::azure_site_secret_prefix(name, &site, qualified);
            let names = TargetSiteNames {
                secret: naming::azure_site_cluster_secret(name, &site),
                session_secret: None,
                ssh_vault: None,
                key_vault_prefix: Some(prefix),
            };
            let overrides = overrides.remove(&site);
            build_site(site, fields, names, overrides)
        })
        .collect();
    target.clusters = std::mem::take(&mut spec.clusters)
        .into_iter()
        .map(|(release, fields)| TargetCluster {
            name: naming::cluster(name, &release),
            node_resource_group: Some(naming::azure_node_resource_group(
                name,
                &release,
                &target.region,
            )),
            release,
            aws: None,
            azure: Some(fields),
        })
        .collect();
    target.azure = Some(spec);
    target
}

fn build_control_room(name: &str, spec: AwsControlRoomSpec) -> Target {
    let mut target = skeleton(name, TargetKind::AwsControlRoom, &spec.region);
    target.account_id.clone_from(&spec.account_id);
    target.tailscale_enabled = spec.tailscale_enabled;
    target.resource_tags.clone_from(&spec.resource_tags);
    target.ignore_tags.clone_from(&spec.ignore_tags);
    aws_names(&mut target);
    let names = &mut target.names;
    names.mimir_auth_secret = Some(naming::mimir_auth_secret(name));
    names.control_room_secret = Some(naming::control_room_secret(name));
    names.control_room_cluster = Some(name.to_owned());
    names.vpc_cidr = Some(naming::derived_vpc_cidr(name));
    target.urls.control_room = spec.domain.as_deref().map(https);
    target.urls.front_door = spec.front_door.as_deref().map(https);
    target.aws_control_room = Some(spec);
    target
}

fn https(domain: &str) -> String {
    format!("https://{domain}")
}

fn control_room(
    name: Option<&str>,
    account_id: Option<&str>,
    region: &str,
    domain: Option<&str>,
) -> Option<TargetControlRoom> {
    let name = name?;
    Some(TargetControlRoom {
        name: name.to_owned(),
        account_id: account_id.map(str::to_owned),
        region: region.to_owned(),
        domain: domain.map(str::to_owned),
        mimir_auth_secret: naming::mimir_auth_secret(name),
        secret: naming::control_room_secret(name),
    })
}

fn build_site(
    name: String,
    fields: SiteSpec,
    names: TargetSiteNames,
    overrides: Option<Value>,
) -> TargetSite {
    TargetSite {
        name,
        url: fields.domain.as_deref().map(https),
        domain: fields.domain,
        names,
        domain_type: fields.domain_type,
        zone_id: fields.zone_id,
        certificate_arn: fields.certificate_arn,
        use_traefik_forward_auth: fields.use_traefik_forward_auth,
        private_zone: fields.private_zone,
        vpc_associations: fields.vpc_associations,
        auto_associate_provisioned_vpc: fields.auto_associate_provisioned_vpc,
        certificate_validation_enabled: fields.certificate_validation_enabled,
        tls_secrets: fields.tls_secrets,
        overrides,
    }
}
