//! `ptd:azure:KeyVault`: the vault with the key of the stacks' secrets and with the sites' secrets.

use std::time::Duration;

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Prediction, Preview, Prior, PropertyMap,
    Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::arm::{ArmError, Job, PendingOperation, ResourceId, Write, growing, region};
use super::clients::AzureSession;
use super::common::{
    SoftDeleted, check_common, check_location, diff_default_tags, diff_place, elsewhere, flag,
    gone, kept, needs_consent, number, observed_tags, open, parse_id, predict_place, tags_of, text,
    wait_for_name, wanted_tags, yes,
};
use super::names::{self, Tags};
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;

/// The version of the service's interface.
pub(super) const API: &str = "2024-11-01";
const NAMESPACE: &str = "Microsoft.KeyVault";

/// How often a vault that was just deleted is looked for among the deleted ones: some two minutes.
const UNSEEN: u32 = 15;
pub(super) const KIND: &str = "Microsoft.KeyVault/vaults";
const EXAMPLE: &str =
    "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/<name>";

/// A key vault. Access is by role assignments; an existing vault in the resource group is adopted.
///
/// A vault's name is global, and stays taken for as long as the deleted vault can be recovered. A deleted vault that was in this resource
/// group is recovered with its contents, unless `softDeleted` says otherwise.
///
/// Deleting needs `allowDelete` in the state and is soft. With `purge` the vault is gone for good; where this provider purged it, making it
/// again waits until the name is free.
///
/// Import id: the ARM id.
///
/// Permissions: `Microsoft.KeyVault/vaults/read`, `write`, `delete`, `Microsoft.KeyVault/locations/deletedVaults/read`, and to purge
/// `Microsoft.KeyVault/locations/deletedVaults/purge/action`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent inputs of the user"
)]
pub struct KeyVaultArgs {
    /// The vault's name, unique in all of Azure: 3 to 24 letters, digits and hyphens, beginning with a letter, not ending in a hyphen and
    /// without two in a row. A change replaces the vault.
    #[schemars(extend("replace" = true))]
    pub name: String,
    /// The resource group. A change replaces the vault.
    #[schemars(extend("replace" = true))]
    pub resource_group_name: String,
    /// The region, such as `eastus2`. Default: the provider's `azure.location`. A change replaces the vault, under the same name only where
    /// `purge` is in the state.
    #[schemars(extend("replace" = true))]
    pub location: Option<String>,
    /// The tier: `standard`, or `premium` with keys in hardware. Default `standard`.
    #[serde(default)]
    pub sku: KeyVaultSku,
    /// Whether virtual machines may fetch certificates from it. Default `true`.
    #[serde(default = "yes")]
    pub enabled_for_deployment: bool,
    /// Whether access is by role assignments, and not by the vault's own access policies. Default `true`.
    #[serde(default = "yes")]
    pub enable_rbac_authorization: bool,
    /// Whether the vault can be reached from public networks. Default `true`.
    #[serde(default = "yes")]
    pub public_network_access: bool,
    /// Whether nobody can purge the deleted vault before its time. It cannot be turned off again. Default: as it is, for a new vault off.
    pub purge_protection: Option<bool>,
    /// Days that the deleted vault can be recovered, 7 to 90. It counts for a new vault only. Default 90.
    pub soft_delete_retention_days: Option<i64>,
    /// What to do with a deleted vault of the same name: recover it, or report it as an error. Default `recover`.
    #[serde(default)]
    pub soft_deleted: SoftDeleted,
    /// Tags, beside the provider's default tags; keys must not hold `/`. Where none are given, those that are there stay.
    pub tags: Option<Tags>,
    /// Whether the vault may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether a deleted vault is purged at once, with all that is in it. Default `false`.
    #[serde(default)]
    pub purge: bool,
    /// Whether to take over a vault that exists in the resource group. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The subscription. Default: the provider's. A change replaces the vault.
    #[schemars(extend("replace" = true))]
    pub subscription_id: Option<String>,
    /// The tenant that the subscription must be in, whose identities the vault knows. Default: the provider's.
    pub tenant_id: Option<String>,
}

/// The tier of a vault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub enum KeyVaultSku {
    /// Keys in software.
    #[default]
    Standard,
    /// Keys in hardware.
    Premium,
}

/// What Azure knows about the vault.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyVaultState {
    /// The vault's ARM id.
    #[schemars(extend("stable" = true))]
    pub arm_id: String,
    /// The URL of the vault's keys and secrets, as the vault says it: `https://<name>.vault.azure.net/`.
    #[schemars(extend("stable" = true))]
    pub vault_uri: String,
    /// The subscription it is in.
    #[schemars(extend("stable" = true))]
    pub subscription_id: String,
    /// The tenant whose identities it knows.
    #[schemars(extend("stable" = true))]
    pub tenant_id: String,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
    /// An operation that had not ended when this was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_operation: Option<PendingOperation>,
}

/// The resource `ptd:azure:KeyVault`.
#[derive(Debug)]
pub struct KeyVault;

fn what(name: &str) -> String {
    format!("key vault {name}")
}

pub(super) fn vault_id(session: &AzureSession, group: &str, name: &str) -> ResourceId {
    session.group(group).provider(NAMESPACE, "vaults", name)
}

/// The URL of the vault's data plane, with the slash that the service sometimes leaves out.
pub(super) fn uri_of(live: &Value) -> Option<String> {
    let uri = text(live, &["properties", "vaultUri"])?;
    Some(format!("{}/", uri.trim_end_matches('/')))
}

fn state(session: &AzureSession, id: &ResourceId, live: &Value) -> KeyVaultState {
    KeyVaultState {
        arm_id: id.to_string(),
        vault_uri: uri_of(live).unwrap_or_else(|| session.arm.cloud().vault_url(id.name())),
        subscription_id: session.subscription.clone(),
        tenant_id: session.tenant.clone(),
        tags_all: session.tags.visible(&tags_of(live)),
        pending_operation: None,
    }
}

fn access(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

fn sku_name(sku: KeyVaultSku) -> &'static str {
    match sku {
        KeyVaultSku::Standard => "standard",
        KeyVaultSku::Premium => "premium",
    }
}

fn is_public(live: &Value) -> bool {
    text(live, &["properties", "publicNetworkAccess"])
        .is_none_or(|a| !a.eq_ignore_ascii_case("disabled"))
}

fn sku_of(live: &Value) -> KeyVaultSku {
    match text(live, &["properties", "sku", "name"]) {
        Some(name) if name.eq_ignore_ascii_case("premium") => KeyVaultSku::Premium,
        _ => KeyVaultSku::Standard,
    }
}

/// The inputs that would change an existing vault, and the patch that does it.
fn pending(
    session: &AzureSession,
    args: &KeyVaultArgs,
    live: &Value,
) -> Result<(Vec<&'static str>, Value), Error> {
    let actual = region(&text(live, &["location"]).unwrap_or_default());
    if let Some(wanted) = &args.location
        && actual != region(wanted)
    {
        return Err(elsewhere(&what(&args.name), &actual, wanted));
    }
    let mut changes = Vec::new();
    let mut properties = Map::new();
    let mut patch = json!({});
    if sku_of(live) != args.sku {
        changes.push("sku");
        properties.insert(
            "sku".into(),
            json!({"family": "A", "name": sku_name(args.sku)}),
        );
    }
    let switches = [
        (
            "enabledForDeployment",
            args.enabled_for_deployment,
            flag(live, &["properties", "enabledForDeployment"]).unwrap_or(false),
        ),
        (
            "enableRbacAuthorization",
            args.enable_rbac_authorization,
            flag(live, &["properties", "enableRbacAuthorization"]).unwrap_or(false),
        ),
    ];
    for (name, wanted, actual) in switches {
        if wanted != actual {
            changes.push(name);
            properties.insert(name.into(), wanted.into());
        }
    }
    if args.public_network_access != is_public(live) {
        changes.push("publicNetworkAccess");
        let word = access(args.public_network_access);
        properties.insert("publicNetworkAccess".into(), word.into());
    }
    let protected = flag(live, &["properties", "enablePurgeProtection"]).unwrap_or(false);
    match args.purge_protection {
        Some(true) if !protected => {
            changes.push("purgeProtection");
            properties.insert("enablePurgeProtection".into(), true.into());
        }
        Some(false) if protected => {
            return Err(Error::refused(
                format!(
                    "the purge protection of {} cannot be turned off",
                    what(&args.name)
                ),
                "Set purgeProtection to true, or leave it out",
            ));
        }
        _ => {}
    }
    let tags = tags_of(live);
    let wanted = wanted_tags(session, &tags, args.tags.as_ref());
    if wanted != tags {
        changes.push("tags");
        patch["tags"] = json!(wanted);
    }
    if !properties.is_empty() {
        patch["properties"] = Value::Object(properties);
    }
    Ok((changes, patch))
}

async fn converge(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &KeyVaultArgs,
    id: &ResourceId,
    live: Value,
) -> Result<(KeyVaultState, Vec<&'static str>), Error> {
    // What is refused becomes no part of the state: correcting the inputs would replace it.
    let (changes, patch) = pending(session, args, &live)?;
    cx.checkpoint(id.as_str(), &state(session, id, &live));
    if changes.is_empty() {
        return Ok((state(session, id, &live), changes));
    }
    let note = kept(cx, id, state(session, id, &live));
    let job = Job {
        run: cx,
        accepted: &note,
    };
    let live = session
        .arm
        .patch(&job, &Write::new(id, API, Some(&patch)))
        .await?;
    Ok((state(session, id, &live), changes))
}

fn body(session: &AzureSession, args: &KeyVaultArgs, mode: &str) -> Value {
    let mut properties = json!({
        "tenantId": session.tenant,
        "sku": {"family": "A", "name": sku_name(args.sku)},
        "enabledForDeployment": args.enabled_for_deployment,
        "createMode": mode,
        "enableRbacAuthorization": args.enable_rbac_authorization,
        "publicNetworkAccess": access(args.public_network_access),
    });
    if args.purge_protection == Some(true) {
        properties["enablePurgeProtection"] = true.into();
    }
    if let Some(days) = args.soft_delete_retention_days {
        properties["softDeleteRetentionInDays"] = days.into();
    }
    let mut body = json!({ "location": args.location, "properties": properties });
    let tags = wanted_tags(session, &Tags::new(), args.tags.as_ref());
    if !tags.is_empty() {
        body["tags"] = json!(tags);
    }
    body
}

fn deleted_id(session: &AzureSession, location: &str, name: &str) -> ResourceId {
    ResourceId::subscription(&session.subscription)
        .provider(NAMESPACE, "locations", &region(location))
        .child("deletedVaults", name)
}

/// Makes a vault, or recovers the deleted one whose name it has.
async fn make(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &KeyVaultArgs,
    id: &ResourceId,
) -> Result<KeyVaultState, Error> {
    let note = kept(cx, id, state(session, id, &Value::Null));
    let job = Job {
        run: cx,
        accepted: &note,
    };
    let fresh = body(session, args, "default");
    let mut attempt = 0;
    let refused = loop {
        let write = Write::new(id, API, Some(&fresh));
        let error = match session.arm.put(&job, &write).await {
            Ok(live) => return Ok(state(session, id, &live)),
            Err(error) => error,
        };
        let taken = error.is_code(&["VaultAlreadyExists"]);
        if !(taken && wait_for_name(cx, session, id, &mut attempt).await?) {
            break error;
        }
    };
    if !refused.is_code(&["ConflictError", "VaultAlreadyExists", "Conflict"]) {
        return Err(refused.into());
    }
    recoverable(cx, session, args, id, refused).await?;
    let recover = body(session, args, "recover");
    let live = session
        .arm
        .put(&job, &Write::new(id, API, Some(&recover)))
        .await?;
    cx.info(format!(
        "recovered the deleted {} with its keys and secrets",
        what(&args.name)
    ))
    .await;
    // Recovering ignores all other properties.
    Ok(converge(cx, session, args, id, live).await?.0)
}

/// Whether the name is taken by a deleted vault of this resource group, which may be recovered; an error that says by whom otherwise.
async fn recoverable(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &KeyVaultArgs,
    id: &ResourceId,
    refused: ArmError,
) -> Result<(), Error> {
    let location = args.location.as_deref().unwrap_or_default();
    let deleted = deleted_id(session, location, &args.name);
    let taken = "Vault names are global: it may belong to another resource group, subscription or tenant. Use another name, or have its \
                 owner delete and purge it";
    let Some(found) = session.arm.get(cx, &deleted, API).await? else {
        return Err(refused.with_hint(taken).into());
    };
    let until = text(&found, &["properties", "scheduledPurgeDate"])
        .unwrap_or_else(|| "its purge date".to_owned());
    let owner = text(&found, &["properties", "vaultId"]).unwrap_or_default();
    let ours = owner.parse::<ResourceId>().is_ok_and(|owner| owner == *id);
    if !ours {
        return Err(refused
            .with_hint(format!(
                "The name belongs to the deleted vault {owner} until {until}: use another name, or have that one purged"
            ))
            .into());
    }
    if args.soft_deleted == SoftDeleted::Report {
        return Err(refused
            .with_hint(format!(
                "The vault was deleted and can be recovered until {until}: set softDeleted to recover, or purge it with \
                 `az keyvault purge --name {}`",
                args.name
            ))
            .into());
    }
    Ok(())
}

/// Purges a deleted vault. One that was `there` just now shows among the deleted ones sooner or later; another may be purged already.
async fn purge(
    cx: &Context<Ptd>,
    session: &AzureSession,
    id: &ResourceId,
    location: &str,
    there: bool,
) -> Result<(), Error> {
    let deleted = deleted_id(session, location, id.name());
    let write = Write::new(&deleted, API, None);
    let looks = if there { UNSEEN } else { 1 };
    let mut attempt = 0;
    loop {
        let Err(error) = session.arm.post(&Job::quiet(cx), "purge", &write).await else {
            session.free(id);
            return Ok(());
        };
        if !error.is_gone() {
            let hint = "A vault with purge protection goes only when its time has come: set purge to false";
            return Err(error.with_hint(hint).into());
        }
        if attempt >= looks {
            if !there {
                return Ok(());
            }
            let hint = format!(
                "The vault was deleted, and does not show among the deleted ones: purge it with `az keyvault purge --name {}`",
                id.name()
            );
            return Err(error.with_hint(hint).into());
        }
        cx.status(format!("waits for {} to be deleted", what(id.name())))
            .await;
        let pause = growing(attempt, Duration::from_millis(500), Duration::from_secs(10));
        cx.sleep(pause).await?;
        attempt += 1;
    }
}

async fn session_of(cx: &Context<Ptd>, args: &KeyVaultArgs) -> Result<AzureSession, Error> {
    open(
        cx,
        args.subscription_id.as_deref(),
        args.tenant_id.as_deref(),
    )
    .await
}

/// To move a vault is to delete it and to make it anew. The deleted one keeps the name, in any region, unless it is purged.
fn check_move(checking: &mut Checking<'_>) {
    let (Some(from), Some(to)) = (
        checking.old::<String>("location"),
        checking.known::<String>("location"),
    ) else {
        return;
    };
    let (from, to) = (region(&from), region(&to));
    let renamed = match (
        checking.old::<String>("name"),
        checking.known::<String>("name"),
    ) {
        (Some(old), Some(new)) => !old.eq_ignore_ascii_case(&new),
        // An unknown name may well be another one.
        _ => true,
    };
    if from != to && !renamed && checking.old::<bool>("purge") != Some(true) {
        checking.refuse(
            "location",
            format!(
                "cannot change from {from} to {to} with the same name, which the deleted vault keeps for its retention: set purge to true \
                 and run `pulumi up` first, or use another name"
            ),
        );
    }
}

impl Resource for KeyVault {
    type Provider = Ptd;
    type Args = KeyVaultArgs;
    type State = KeyVaultState;

    const TOKEN: &'static str = "ptd:azure:KeyVault";

    fn check(checking: &mut Checking<'_>, provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "name", names::key_vault);
        check_location(checking, provider);
        check_move(checking);
        if let Some(days) = checking.known::<i64>("softDeleteRetentionDays")
            && !(7..=90).contains(&days)
        {
            checking.refuse(
                "softDeleteRetentionDays",
                format!("must be 7 to 90, got {days}"),
            );
        }
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        let tags_all = old.state.as_ref().map(|s| &s.tags_all);
        diff_default_tags(diff, provider, tags_all, news);
        diff_place(
            diff,
            &old.outputs,
            news,
            provider,
            &["name", "resourceGroupName", "location"],
        );
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let (Some(args), None) = (&request.args, &request.old) else {
            return Ok(());
        };
        let session = session_of(cx, args).await?;
        let id = vault_id(&session, &args.resource_group_name, &args.name);
        predict_place(prediction, &session, &id);
        if let Some(live) = session.arm.get(cx, &id, API).await? {
            if !args.adopt {
                return Err(exists_already(&what(&args.name), id.as_str()));
            }
            prediction.known("vaultUri", state(&session, &id, &live).vault_uri);
            let (changes, _) = pending(&session, args, &live)?;
            tell_adoption(cx, &what(&args.name), &changes).await;
        } else if !session.arm.cloud().custom {
            prediction.known("vaultUri", session.arm.cloud().vault_url(&args.name));
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: KeyVaultArgs,
    ) -> Result<Created<KeyVaultState>, Error> {
        let session = session_of(cx, &args).await?;
        let id = vault_id(&session, &args.resource_group_name, &args.name);
        let live = match session.arm.get(cx, &id, API).await? {
            Some(live) => session.arm.settled(&Job::quiet(cx), &id, API, live).await?,
            None => None,
        };
        let state = match live {
            Some(_) if !args.adopt => {
                return Err(exists_already(&what(&args.name), id.as_str()));
            }
            Some(live) => {
                let (state, changes) = converge(cx, &session, &args, &id, live).await?;
                tell_adoption(cx, &what(&args.name), &changes).await;
                state
            }
            None => make(cx, &session, &args, &id).await?,
        };
        Ok(Created {
            id: id.to_string(),
            state,
        })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let id = parse_id(id, KIND, EXAMPLE)?;
        let args = prior.and_then(|p| p.args);
        let tenant = args.as_ref().and_then(|a| a.tenant_id.clone());
        let session = open(cx, id.subscription_id(), tenant.as_deref()).await?;
        let Some(live) = session.arm.get(cx, &id, API).await? else {
            return Ok(None);
        };
        let state = state(&session, &id, &live);
        let prior_tags = args.as_ref().map(|args| args.tags.as_ref());
        let protected = flag(&live, &["properties", "enablePurgeProtection"]).unwrap_or(false);
        let old = args.as_ref();
        let observed = KeyVaultArgs {
            name: old.map_or_else(|| id.name().to_owned(), |a| a.name.clone()),
            resource_group_name: old.map_or_else(
                || id.group_name().unwrap_or_default().to_owned(),
                |a| a.resource_group_name.clone(),
            ),
            location: text(&live, &["location"]).map(|l| region(&l)),
            sku: sku_of(&live),
            enabled_for_deployment: flag(&live, &["properties", "enabledForDeployment"])
                .unwrap_or(false),
            enable_rbac_authorization: flag(&live, &["properties", "enableRbacAuthorization"])
                .unwrap_or(false),
            public_network_access: is_public(&live),
            purge_protection: match old {
                Some(old) => old.purge_protection.map(|_| protected),
                None => protected.then_some(true),
            },
            soft_delete_retention_days: match old {
                Some(old) => old.soft_delete_retention_days,
                None => number(&live, &["properties", "softDeleteRetentionInDays"])
                    .filter(|days| *days != 90),
            },
            soft_deleted: old.map(|a| a.soft_deleted).unwrap_or_default(),
            tags: observed_tags(&session, &tags_of(&live), prior_tags),
            allow_delete: old.is_some_and(|a| a.allow_delete),
            purge: old.is_some_and(|a| a.purge),
            adopt: old.is_none_or(|a| a.adopt),
            subscription_id: old.and_then(|a| a.subscription_id.clone()),
            tenant_id: tenant,
        };
        Ok(Some(Observed::new(observed, state)))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: KeyVaultArgs,
    ) -> Result<KeyVaultState, Error> {
        let id = parse_id(id, KIND, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let quiet = Job::quiet(cx);
        let left = old.state.as_ref().and_then(|s| s.pending_operation.clone());
        let live = match left {
            Some(operation) => session.arm.resumed(&quiet, &id, API, &operation).await?,
            None => session.arm.get(cx, &id, API).await?,
        };
        let live = match live {
            Some(live) => session.arm.settled(&quiet, &id, API, live).await?,
            None => None,
        };
        let Some(live) = live else {
            return Err(gone(&what(id.name())));
        };
        Ok(converge(cx, &session, &args, &id, live).await?.0)
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let left = old.state.as_ref().and_then(|s| s.pending_operation.clone());
        let args = old.require_args()?;
        let id = parse_id(id, KIND, EXAMPLE)?;
        if !args.allow_delete {
            return Err(needs_consent(
                &what(id.name()),
                "stacks whose secrets its key encrypts, and the sites' secrets, depend on it",
            ));
        }
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let quiet = Job::quiet(cx);
        session
            .arm
            .out_of_the_way(&quiet, &id, API, left.as_ref())
            .await?;
        let live = session.arm.get(cx, &id, API).await?;
        session
            .arm
            .delete(&quiet, &Write::new(&id, API, None))
            .await?;
        if !args.purge {
            cx.info(format!(
                "{} can be recovered until it is purged, after 90 days unless it was made with another term",
                what(id.name())
            ))
            .await;
            return Ok(());
        }
        let actual = live.as_ref().and_then(|live| text(live, &["location"]));
        let location = actual.or(args.location).unwrap_or_default();
        purge(cx, &session, &id, &location, live.is_some()).await
    }
}
