//! `ptd:azure:EncryptionKey`: the key in a vault that encrypts the secrets in stacks' states.

use std::time::Duration;

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Prediction, Preview, Prior, PropertyMap,
    Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arm::{ArmError, Job, ResourceId, Write};
use super::clients::AzureSession;
use super::common::{
    SoftDeleted, check_common, data_plane, diff_place, flag, gone, needs_consent, open, parse_id,
    predict_place, text, yes,
};
use super::key_vault::{API, uri_of, vault_id};
use super::names;
use super::vault_wait::VaultWait;
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::target::naming;

const KIND: &str = "Microsoft.KeyVault/vaults/keys";
const EXAMPLE: &str = "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/<vault>/keys/<name>";

/// How long a recovered key may take to be there.
const RECOVERY: u32 = 60;

/// The role that allows to delete and recover keys, beside the administrator's.
const ROLE: &str = "Key Vault Crypto Officer";

/// An RSA key in a key vault, for Pulumi's `azurekeyvault` secrets provider.
///
/// The secrets provider always uses the newest version of a key, also to decrypt. The key is therefore made once, through Resource
/// Manager, which never makes a second version; an existing key is adopted as it is.
///
/// What the key encrypted is lost without it: deleting needs `allowDelete` in the state, and is soft. To delete and to recover a key takes
/// a role in the vault: while the vault has an assignment younger than ten minutes, a refusal is waited for.
///
/// Import id: the ARM id.
///
/// Permissions: `Microsoft.KeyVault/vaults/keys/read` and `write`; to delete or recover the role Key Vault Administrator or Key Vault
/// Crypto Officer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionKeyArgs {
    /// The key's name: 1 to 127 letters, digits and hyphens. Default `posit-team-dedicated`. A change replaces the key.
    #[schemars(extend("replace" = true))]
    #[serde(default = "default_name")]
    pub name: String,
    /// The vault's name. A change replaces the key.
    #[schemars(extend("replace" = true))]
    pub vault_name: String,
    /// The vault's resource group. A change replaces the key.
    #[schemars(extend("replace" = true))]
    pub resource_group_name: String,
    /// What to do with a deleted key of the same name: recover it, or report it as an error. Default `recover`.
    #[serde(default)]
    pub soft_deleted: SoftDeleted,
    /// Whether the key may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether to take over a key that exists. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The subscription. Default: the provider's. A change replaces the key.
    #[schemars(extend("replace" = true))]
    pub subscription_id: Option<String>,
    /// The tenant that the subscription must be in. Default: the provider's.
    pub tenant_id: Option<String>,
}

fn default_name() -> String {
    naming::KEY_VAULT_KEY.to_owned()
}

/// What Azure knows about the key.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EncryptionKeyState {
    /// The key's ARM id.
    #[schemars(extend("stable" = true))]
    pub arm_id: String,
    /// The key's URL, without a version.
    #[schemars(extend("stable" = true))]
    pub key_uri: String,
    /// The URL of the key's only version.
    #[schemars(extend("stable" = true))]
    pub key_uri_with_version: String,
    /// The URL of a Pulumi secrets provider with the key: `azurekeyvault://<vault>.vault.azure.net/keys/<name>`.
    #[schemars(extend("stable" = true))]
    pub secrets_provider_url: String,
    /// The subscription it is in.
    #[schemars(extend("stable" = true))]
    pub subscription_id: String,
    /// The tenant it is in.
    #[schemars(extend("stable" = true))]
    pub tenant_id: String,
}

/// The resource `ptd:azure:EncryptionKey`.
#[derive(Debug)]
pub struct EncryptionKey;

fn what(args: &EncryptionKeyArgs) -> String {
    format!("key {} of vault {}", args.name, args.vault_name)
}

fn key_id(session: &AzureSession, args: &EncryptionKeyArgs) -> ResourceId {
    vault_id(session, &args.resource_group_name, &args.vault_name).child("keys", &args.name)
}

fn provider_url(session: &AzureSession, vault: &str, name: &str) -> String {
    let suffix = &session.arm.cloud().vault_suffix;
    format!("azurekeyvault://{vault}.{suffix}/keys/{name}")
}

fn state(session: &AzureSession, id: &ResourceId, live: &Value) -> EncryptionKeyState {
    let uri = text(live, &["properties", "keyUri"]).unwrap_or_default();
    let vault = id
        .parent()
        .map(|vault| vault.name().to_owned())
        .unwrap_or_default();
    EncryptionKeyState {
        arm_id: id.to_string(),
        secrets_provider_url: match uri.strip_prefix("https://") {
            Some(rest) => format!("azurekeyvault://{rest}"),
            None => provider_url(session, &vault, id.name()),
        },
        key_uri: uri,
        key_uri_with_version: text(live, &["properties", "keyUriWithVersion"]).unwrap_or_default(),
        subscription_id: session.subscription.clone(),
        tenant_id: session.tenant.clone(),
    }
}

/// A key can only serve if it is an RSA key that is enabled.
fn usable(args: &EncryptionKeyArgs, live: &Value) -> Result<(), Error> {
    let kind = text(live, &["properties", "kty"]).unwrap_or_else(|| "RSA".to_owned());
    if !kind.to_ascii_uppercase().starts_with("RSA") {
        return Err(Error::refused(
            format!("{} is of type {kind}, not RSA", what(args)),
            "Use another name",
        ));
    }
    if flag(live, &["properties", "attributes", "enabled"]) == Some(false) {
        return Err(Error::refused(
            format!("{} is disabled", what(args)),
            "Somebody disabled it on purpose: enable it in the vault if that purpose is served, then run this again",
        ));
    }
    Ok(())
}

/// Recovers a deleted key, and waits until Resource Manager shows it.
async fn recover(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &EncryptionKeyArgs,
    id: &ResourceId,
    refused: ArmError,
) -> Result<Value, Error> {
    if args.soft_deleted == SoftDeleted::Report {
        return Err(refused
            .with_hint(
                "The key was deleted and can be recovered: set softDeleted to recover, or purge it",
            )
            .into());
    }
    let keys = session.keys(&vault_uri(cx, session, id).await?)?;
    let mut wait = VaultWait::new(cx, session, id, ROLE);
    loop {
        cx.alive()?;
        let Err(error) = keys.recover_deleted_key(&args.name, None).await else {
            break;
        };
        let error = data_plane("recover key", id.as_str(), &error);
        // Somebody else recovers it.
        if error.is_code(&["ObjectIsBeingRecovered"]) || error.status() == Some(404) {
            break;
        }
        wait.wait(error).await?;
    }
    for _ in 0..RECOVERY {
        if let Some(live) = session.arm.get(cx, id, API).await? {
            cx.info(format!("recovered the deleted {}", what(args)))
                .await;
            return Ok(live);
        }
        cx.sleep(Duration::from_secs(1)).await?;
    }
    Err(refused
        .with_hint("The key is being recovered and not there yet: run this again in a minute")
        .into())
}

/// Where the vault of a key or secret answers.
pub(super) async fn vault_uri(
    cx: &Context<Ptd>,
    session: &AzureSession,
    id: &ResourceId,
) -> Result<String, Error> {
    let vault = id
        .parent()
        .ok_or_else(|| Error::Bug(format!("{id} is in no vault")))?;
    let live = session.arm.get(cx, &vault, API).await?;
    live.as_ref().and_then(uri_of).ok_or_else(|| {
        Error::refused(
            format!("key vault {} is not there", vault.name()),
            "Make it first, for example with ptd:azure:KeyVault",
        )
    })
}

async fn session_of(cx: &Context<Ptd>, args: &EncryptionKeyArgs) -> Result<AzureSession, Error> {
    open(
        cx,
        args.subscription_id.as_deref(),
        args.tenant_id.as_deref(),
    )
    .await
}

impl Resource for EncryptionKey {
    type Provider = Ptd;
    type Args = EncryptionKeyArgs;
    type State = EncryptionKeyState;

    const TOKEN: &'static str = "ptd:azure:EncryptionKey";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "name", names::vault_object);
        check_with(checking, "vaultName", names::key_vault);
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        diff_place(
            diff,
            &old.outputs,
            news,
            provider,
            &["name", "vaultName", "resourceGroupName"],
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
        let id = key_id(&session, args);
        predict_place(prediction, &session, &id);
        let Some(live) = session.arm.get(cx, &id, API).await? else {
            let url = provider_url(&session, &args.vault_name, &args.name);
            prediction.known("secretsProviderUrl", url);
            return Ok(());
        };
        if !args.adopt {
            return Err(exists_already(&what(args), id.as_str()));
        }
        usable(args, &live)?;
        let known = state(&session, &id, &live);
        prediction.known("keyUri", known.key_uri);
        prediction.known("keyUriWithVersion", known.key_uri_with_version);
        prediction.known("secretsProviderUrl", known.secrets_provider_url);
        tell_adoption(cx, &what(args), &[]).await;
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: EncryptionKeyArgs,
    ) -> Result<Created<EncryptionKeyState>, Error> {
        let session = session_of(cx, &args).await?;
        let id = key_id(&session, &args);
        let live = if let Some(live) = session.arm.get(cx, &id, API).await? {
            if !args.adopt {
                return Err(exists_already(&what(&args), id.as_str()));
            }
            tell_adoption(cx, &what(&args), &[]).await;
            live
        } else {
            let body = json!({"properties": {"kty": "RSA"}});
            let write = Write::new(&id, API, Some(&body));
            match session.arm.put(&Job::quiet(cx), &write).await {
                Ok(live) => live,
                Err(error)
                    if error.status() == Some(409)
                        && error.is_code(&[
                            "Conflict",
                            "ConflictError",
                            "ObjectIsDeletedButRecoverable",
                        ]) =>
                {
                    recover(cx, &session, &args, &id, error).await?
                }
                Err(error) => return Err(error.into()),
            }
        };
        usable(&args, &live)?;
        Ok(Created {
            state: state(&session, &id, &live),
            id: id.to_string(),
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
        let vault = id
            .parent()
            .map(|vault| vault.name().to_owned())
            .unwrap_or_default();
        let args = args.unwrap_or_else(|| EncryptionKeyArgs {
            name: id.name().to_owned(),
            vault_name: vault,
            resource_group_name: id.group_name().unwrap_or_default().to_owned(),
            soft_deleted: SoftDeleted::default(),
            allow_delete: false,
            adopt: true,
            subscription_id: None,
            tenant_id: None,
        });
        let problem = usable(&args, &live).err();
        let mut found = Observed::new(args, state(&session, &id, &live));
        found.problems.extend(problem.map(|p| p.to_string()));
        Ok(Some(found))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        _old: Prior<Self>,
        args: EncryptionKeyArgs,
    ) -> Result<EncryptionKeyState, Error> {
        let id = parse_id(id, KIND, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let Some(live) = session.arm.get(cx, &id, API).await? else {
            return Err(gone(&what(&args)));
        };
        usable(&args, &live)?;
        Ok(state(&session, &id, &live))
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        let id = parse_id(id, KIND, EXAMPLE)?;
        if !args.allow_delete {
            return Err(needs_consent(
                &what(&args),
                "the secrets of every stack that it encrypts would be unreadable",
            ));
        }
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        if session.arm.get(cx, &id, API).await?.is_none() {
            return Ok(());
        }
        let keys = session.keys(&vault_uri(cx, &session, &id).await?)?;
        let mut wait = VaultWait::new(cx, &session, &id, ROLE);
        loop {
            cx.alive()?;
            let Err(error) = keys.delete_key(&args.name, None).await else {
                let text = format!("{} can be recovered until it is purged", what(&args));
                cx.info(text).await;
                return Ok(());
            };
            let error = data_plane("delete key", id.as_str(), &error);
            if error.is_gone() || error.is_code(&["ObjectIsBeingDeleted"]) {
                return Ok(());
            }
            wait.wait(error).await?;
        }
    }
}
