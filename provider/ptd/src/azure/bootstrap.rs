//! `ptd:azure:Bootstrap`: everything an Azure target needs before its first Pulumi stack.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use pulumi_provider::{
    Checking, Child, Component, Construction, Error, Outputs, Path, PropertyValue, Registered,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{SoftDeleted, check_common, check_location, yes};
use super::encryption_key::EncryptionKey;
use super::key_vault::KeyVault;
use super::names::{self, Tags};
use super::resource_group::ResourceGroup;
use super::role_assignment::RoleAssignment;
use super::state_storage::StateStorage;
use super::vault_secret::VaultSecret;
use crate::Ptd;
use crate::checks::{check_tags, check_with};
use crate::target::naming;

/// The role Key Vault Administrator.
const VAULT_ADMINISTRATOR: &str = "00482a5a-887f-4fb3-b363-3b7fe8e74483";
/// The role Storage Blob Data Contributor.
const BLOB_CONTRIBUTOR: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";
/// The role Azure Kubernetes Service RBAC Cluster Admin.
const CLUSTER_ADMIN: &str = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b";

/// Everything a Posit Team Dedicated workload needs on Azure before its first Pulumi stack can run: the resource group, the key vault with
/// the key that encrypts the stacks' secrets, the storage account and container of their state, the roles of the administrators' group,
/// and the secrets of the sites.
///
/// It works on a new subscription as well as on a target that already exists: what is there under the expected name is adopted, and no
/// value of an existing secret is ever changed.
///
/// Whoever runs it has to be a member of the administrators' group, or to have the role Key Vault Administrator otherwise, as the sites'
/// secrets take it.
///
/// Children are named after the component: `<name>-group`, `<name>-vault`, `<name>-key`, `<name>-storage`, `<name>-vault-admins`,
/// `<name>-storage-admins`, `<name>-cluster-admins` and, for each secret, `<name>-<site>-<field>`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent inputs of the user"
)]
pub struct AzureBootstrapArgs {
    /// The target's name, which all other names derive from: `acme01-staging`. Names that Azure would refuse are told before anything is
    /// made.
    pub target: String,
    /// The names of the workload's sites; each gets one secret in the vault for each field that has a value from the beginning.
    pub sites: Option<Vec<String>>,
    /// The object id of the Entra group that gets the roles Key Vault Administrator, Storage Blob Data Contributor and Azure Kubernetes
    /// Service RBAC Cluster Admin on the resource group. Default: no roles are assigned.
    pub admin_group_id: Option<String>,
    /// Whether any cluster of the workload takes its secrets through the External Secrets Operator. The secrets are then called
    /// `<target>-<site>-<field>`, not `<site>-<field>`. Turning it on later makes new secrets with new values, which match no database: copy
    /// the values to the new names first. Default `false`.
    #[serde(default)]
    pub external_secrets: bool,
    /// The subscription that everything is in. Default: the provider's.
    pub subscription_id: Option<String>,
    /// The tenant that the subscription must be in. In another one nothing is touched. Default: the provider's.
    pub tenant_id: Option<String>,
    /// The target's region. Default: the provider's `azure.location`.
    pub location: Option<String>,
    /// Tags of the resource group; `/` in their keys becomes `:`, as Azure has it. Where none are given, those that are there stay.
    pub tags: Option<Tags>,
    /// Whether to take over what exists under the expected names. Default `true`; with `false` an existing thing is an error.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// What to do with a deleted vault, key or secret of the expected name: recover it, or report it as an error. Default `recover`.
    #[serde(default)]
    pub soft_deleted: SoftDeleted,
    /// Whether nobody can purge the deleted vault before its time. It cannot be turned off again. Default: as it is, for a new vault off.
    pub purge_protection: Option<bool>,
    /// Whether deleting the component may delete what it consists of. Vault, key and secrets can be recovered then, the state cannot. It counts
    /// once an update has put it into the state. Default `false`: deleting is refused.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether deleting the component may delete a state container that holds blobs, and a resource group with other things in it.
    /// Default `false`.
    #[serde(default)]
    pub force_destroy: bool,
}

/// What the target's Pulumi stacks and later steps need to know.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureBootstrapOutputs {
    /// The resource group's name.
    pub resource_group_name: String,
    /// The resource group's ARM id.
    pub resource_group_id: String,
    /// The key vault's name.
    pub vault_name: String,
    /// The key vault's URL.
    pub vault_uri: String,
    /// The storage account's name.
    pub storage_account_name: String,
    /// The backend of the target's stacks: `azblob://blob-ptd-<target>?storage_account=<account>`.
    pub backend_url: String,
    /// The secrets provider of the target's stacks: `azurekeyvault://<vault>.vault.azure.net/keys/posit-team-dedicated`.
    pub secrets_provider_url: String,
    /// The subscription that everything is in.
    pub subscription_id: String,
    /// The tenant that everything is in.
    pub tenant_id: String,
    /// The ARM ids of the sites' secrets, by their names in the vault.
    pub secret_ids: BTreeMap<String, String>,
    /// The ARM ids of the role assignments, by role.
    pub role_assignment_ids: BTreeMap<String, String>,
}

/// A field of a site that has a value from the beginning.
#[derive(Clone, Copy)]
enum Field {
    Generated(&'static str, &'static str),
    KeycloakUser,
}

const FIELDS: [Field; 7] = [
    Field::Generated("dev-db-password", "password"),
    Field::KeycloakUser,
    Field::Generated("keycloak-db-password", "password"),
    Field::Generated("pkg-db-password", "password"),
    Field::Generated("pkg-secret-key", "key"),
    Field::Generated("pub-db-password", "password"),
    Field::Generated("pub-secret-key", "key"),
];

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Generated(name, _) => name,
            Self::KeycloakUser => "keycloak-db-user",
        }
    }
}

/// The longest name of a field, also of those that people fill in later, for which there must be room.
const LONGEST_FIELD: &str = "ppm-oidc-client-secret";

/// The component `ptd:azure:Bootstrap`.
#[derive(Debug)]
pub struct Bootstrap;

impl Component for Bootstrap {
    type Provider = Ptd;
    type Args = AzureBootstrapArgs;
    type Outputs = AzureBootstrapOutputs;

    const TOKEN: &'static str = "ptd:azure:Bootstrap";

    fn check(checking: &mut Checking<'_>, provider: Option<&Ptd>) {
        if let Some(tags) = checking.known::<Tags>("tags") {
            let converted = names::converted_tags(&tags);
            // Of two keys that become one, only one would be left to look at.
            if converted.len() < tags.len() {
                check_tags(checking, names::clashes);
            }
            checking.set("tags", converted);
        }
        check_common(checking);
        check_location(checking, provider);
        check_with(checking, "adminGroupId", names::guid);
        let Some(target) = checking.known::<String>("target") else {
            return;
        };
        check_target(checking, &target);
        check_sites(checking, &target);
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        let plan = Plan { cx: &cx };
        let (Some(target), false) = (
            cx.known::<String>("target"),
            cx.input("sites").has_unknown(),
        ) else {
            cx.info("the target's name or its sites are not known yet; what they give is previewed once they are")
                .await;
            return Ok(unknown_outputs());
        };
        let group = cx.register(plan.group(&target)).await?;
        // Vault, storage and roles wait for the group alone. Key and secrets wait for the vault and for all of the roles: one of them is
        // the right to touch what is in the vault, and none of them is removed before what is not deleted without consent.
        let vault = async {
            let (vault, admins, blobs, clusters) = futures::join!(
                cx.register(plan.vault(&target, &group)),
                plan.role("vault-admins", VAULT_ADMINISTRATOR, &group),
                plan.role("storage-admins", BLOB_CONTRIBUTOR, &group),
                plan.role("cluster-admins", CLUSTER_ADMIN, &group)
            );
            let (vault, roles) = (vault?, [admins?, blobs?, clusters?]);
            let (key, secrets) = futures::join!(
                cx.register(plan.key(&target, &vault, &roles)),
                plan.secrets(&target, &vault, &roles)
            );
            Ok::<_, Error>((vault, roles, key?, secrets?))
        };
        let (vault, storage) = futures::join!(vault, cx.register(plan.storage(&target, &group)));
        let ((vault, [admins, blobs, clusters], key, secrets), storage) = (vault?, storage?);
        let mut roles = BTreeMap::new();
        for (name, role) in [
            ("keyVaultAdministrator", admins),
            ("storageBlobDataContributor", blobs),
            ("aksRbacClusterAdmin", clusters),
        ] {
            if let Some(role) = role {
                roles.insert(name.to_owned(), role.output("armId"));
            }
        }
        let mut outputs = Outputs::new();
        for (name, value) in [
            (
                "resourceGroupName",
                naming::azure_resource_group(&target).into(),
            ),
            ("resourceGroupId", group.output("armId")),
            ("vaultName", naming::azure_key_vault(&target).into()),
            ("vaultUri", vault.output("vaultUri")),
            (
                "storageAccountName",
                naming::azure_state_storage_account(&target).into(),
            ),
            ("backendUrl", storage.output("backendUrl")),
            ("secretsProviderUrl", key.output("secretsProviderUrl")),
            ("subscriptionId", group.output("subscriptionId")),
            ("tenantId", group.output("tenantId")),
            ("secretIds", PropertyValue::Map(secrets)),
            ("roleAssignmentIds", PropertyValue::Map(roles)),
        ] {
            outputs.insert(name.to_owned(), value);
        }
        Ok(outputs)
    }
}

/// The names that follow from the target's name.
fn check_target(checking: &mut Checking<'_>, target: &str) {
    type Rule = fn(&str) -> Result<(), String>;
    let derived: [(&str, String, Rule); 4] = [
        (
            "resource group",
            naming::azure_resource_group(target),
            names::resource_group,
        ),
        (
            "key vault",
            naming::azure_key_vault(target),
            names::key_vault,
        ),
        (
            "storage account",
            naming::azure_state_storage_account(target),
            names::storage_account,
        ),
        (
            "blob container",
            naming::azure_blob_container(target),
            names::blob_container,
        ),
    ];
    for (kind, name, rule) in derived {
        if let Err(problem) = rule(&name) {
            checking.refuse(
                "target",
                format!("gives the {kind} name '{name}': {problem}"),
            );
        }
    }
}

/// The names of secrets that follow from the sites' names.
fn check_sites(checking: &mut Checking<'_>, target: &str) {
    let qualified = checking.known::<bool>("externalSecrets").unwrap_or(false);
    let sites = checking.known::<Vec<String>>("sites").unwrap_or_default();
    for (i, site) in sites.iter().enumerate() {
        let prefix = naming::azure_site_secret_prefix(target, site, qualified);
        let longest = format!("{prefix}{LONGEST_FIELD}");
        let problem = if site.is_empty() {
            Some("is empty".to_owned())
        } else if sites[..i].contains(site) {
            Some(format!("the site '{site}' is named twice"))
        } else if qualified && site == "workload" {
            Some("with externalSecrets no site may be called 'workload', as the workload's own secrets are called so".to_owned())
        } else {
            names::vault_object(&longest)
                .err()
                .map(|problem| format!("gives the secret name '{longest}': {problem}"))
        };
        if let Some(problem) = problem {
            checking.fail(Path::root().key("sites").index(i), problem);
        }
    }
}

/// In a preview whose inputs are not known, nothing about the outputs is.
fn unknown_outputs() -> Outputs {
    [
        "resourceGroupName",
        "resourceGroupId",
        "vaultName",
        "vaultUri",
        "storageAccountName",
        "backendUrl",
        "secretsProviderUrl",
        "subscriptionId",
        "tenantId",
        "secretIds",
        "roleAssignmentIds",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), PropertyValue::UNKNOWN))
    .collect()
}

/// The administrators' roles, where there is a group of them.
type Roles = [Option<Registered>; 3];

fn after_all(child: Child, roles: &Roles) -> Child {
    roles
        .iter()
        .flatten()
        .fold(child, pulumi_provider::Child::after)
}

/// The children of one component.
struct Plan<'a> {
    cx: &'a Construction<Ptd>,
}

impl Plan<'_> {
    fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.cx.name())
    }

    /// What every child but the roles is told.
    fn common(&self, child: Child) -> Child {
        let mut child = child;
        for name in ["subscriptionId", "tenantId", "adopt", "allowDelete"] {
            child = child.input(name, self.cx.input(name));
        }
        child
    }

    fn group(&self, target: &str) -> Child {
        // The engine checks a component's inputs as the program gave them.
        let tags = self
            .cx
            .known::<Tags>("tags")
            .map(|tags| names::converted_tags(&tags));
        let child = Child::of::<ResourceGroup>(self.name("group"))
            .input("name", naming::azure_resource_group(target))
            .input("location", self.cx.input("location"))
            .input("deleteContents", self.cx.input("forceDestroy"));
        let child = match tags.filter(|tags| !tags.is_empty()) {
            Some(tags) => child.typed("tags", &tags),
            None => child,
        };
        self.common(child)
    }

    fn vault(&self, target: &str, group: &Registered) -> Child {
        let child = Child::of::<KeyVault>(self.name("vault"))
            .input("name", naming::azure_key_vault(target))
            .input("resourceGroupName", naming::azure_resource_group(target))
            .input("location", self.cx.input("location"))
            .input("softDeleted", self.cx.input("softDeleted"))
            .input("purgeProtection", self.cx.input("purgeProtection"));
        self.common(child).after(group)
    }

    fn key(&self, target: &str, vault: &Registered, roles: &Roles) -> Child {
        let child = Child::of::<EncryptionKey>(self.name("key"))
            .input("name", naming::KEY_VAULT_KEY)
            .input("vaultName", naming::azure_key_vault(target))
            .input("resourceGroupName", naming::azure_resource_group(target))
            .input("softDeleted", self.cx.input("softDeleted"));
        after_all(self.common(child).after(vault), roles)
    }

    fn storage(&self, target: &str, group: &Registered) -> Child {
        let child = Child::of::<StateStorage>(self.name("storage"))
            .input("accountName", naming::azure_state_storage_account(target))
            .input("containerName", naming::azure_blob_container(target))
            .input("resourceGroupName", naming::azure_resource_group(target))
            .input("location", self.cx.input("location"))
            .input("forceDestroy", self.cx.input("forceDestroy"));
        self.common(child).after(group)
    }

    /// A role of the administrators' group on the resource group.
    async fn role(
        &self,
        part: &str,
        role: &str,
        group: &Registered,
    ) -> Result<Option<Registered>, Error> {
        let admins = self.cx.input("adminGroupId");
        let kept = self
            .cx
            .kept::<BTreeMap<String, Value>>("roleAssignmentIds")
            .is_some_and(|roles| !roles.is_empty());
        if admins == PropertyValue::Null && !kept {
            return Ok(None);
        }
        let child = Child::of::<RoleAssignment>(self.name(part))
            .input("scope", group.output("armId"))
            .input("roleDefinitionId", role)
            .input("principalId", admins)
            .input("principalType", "Group")
            .input("tenantId", self.cx.input("tenantId"))
            .after(group);
        self.cx.register(child).await.map(Some)
    }

    /// How the secrets are called, and the sites, in order; also those that are there, where they are to stay.
    fn sites(&self, target: &str) -> (bool, BTreeSet<String>) {
        let kept = self.cx.kept::<BTreeMap<String, Value>>("secretIds");
        let kept = kept.unwrap_or_default();
        let target = format!("{target}-");
        let qualified = match kept.keys().next() {
            Some(name) => name.starts_with(&target),
            None => self.cx.known("externalSecrets").unwrap_or(false),
        };
        let field = format!("-{}", FIELDS[0].name());
        let kept = kept.keys().filter_map(|name| {
            let site = name.strip_suffix(&field)?;
            Some(site.strip_prefix(&target).unwrap_or(site).to_owned())
        });
        let said = self.cx.known::<Vec<String>>("sites").unwrap_or_default();
        (qualified, said.into_iter().chain(kept).collect())
    }

    /// One secret for each site and field, by its name in the vault.
    async fn secrets(
        &self,
        target: &str,
        vault: &Registered,
        roles: &Roles,
    ) -> Result<BTreeMap<String, PropertyValue>, Error> {
        let (qualified, sites) = self.sites(target);
        let mut children = Vec::new();
        for site in &sites {
            let prefix = naming::azure_site_secret_prefix(target, site, qualified);
            for field in FIELDS {
                let name = format!("{prefix}{}", field.name());
                let child =
                    Child::of::<VaultSecret>(self.name(&format!("{site}-{}", field.name())))
                        .input("name", name.clone())
                        .input("vaultName", naming::azure_key_vault(target))
                        .input("resourceGroupName", naming::azure_resource_group(target))
                        .input("softDeleted", self.cx.input("softDeleted"));
                let child = match field {
                    Field::Generated(_, generator) => child.input("generate", generator),
                    Field::KeycloakUser => {
                        let user = format!("{}_keycloak", site.replace('-', "_"));
                        child.input("value", PropertyValue::from(user).into_secret())
                    }
                };
                let child = after_all(self.common(child).after(vault), roles);
                children.push((name, child));
            }
        }
        let made = join_all(
            children
                .into_iter()
                .map(|(name, child)| async { (name, self.cx.register(child).await) }),
        )
        .await;
        made.into_iter()
            .map(|(name, secret)| Ok((name, secret?.output("armId"))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_every_field() {
        let later = [
            "dev-admin-token",
            "dev-client-secret",
            "dev-license",
            "dev-user-token",
            "dev-chronicle-api-key",
            "home-auth-map",
            "pkg-license",
            "ppm-oidc-client-secret",
            "pub-client-secret",
            "pub-license",
            "pub-chronicle-api-key",
        ];
        for name in FIELDS.iter().map(|f| f.name()).chain(later) {
            assert!(name.len() <= LONGEST_FIELD.len(), "{name}");
        }
    }
}
