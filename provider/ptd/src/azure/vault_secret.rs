//! `ptd:azure:VaultSecret`: one value in a key vault, made once.

use std::sync::Arc;
use std::time::Duration;

use azure_security_keyvault_secrets::SecretClient;
use azure_security_keyvault_secrets::models::{Secret as LiveSecret, SetSecretParameters};
use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Prediction, Preview, Prior, PropertyMap,
    Resource, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::arm::{ArmError, ResourceId};
use super::clients::AzureSession;
use super::common::{
    SoftDeleted, check_common, data_plane, diff_place, needs_consent, open, parse_id,
    predict_place, yes,
};
use super::encryption_key::vault_uri;
use super::key_vault::vault_id;
use super::names;
use super::vault_wait::VaultWait;
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::generate;

const KIND: &str = "Microsoft.KeyVault/vaults/secrets";
const EXAMPLE: &str = "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/<vault>/secrets/<name>";

/// The length of a generated password.
const PASSWORD: usize = 30;

/// The longest value that a vault takes, in bytes.
const LONGEST: usize = 25 * 1024;

/// A secret in a key vault whose value is made once. A secret that exists is adopted with its value, which is never overwritten and never
/// stored in the state.
///
/// Right after a role was assigned, Azure may refuse for some minutes: while the vault has an assignment younger than ten minutes, that is
/// waited for.
///
/// Deleting needs `allowDelete` in the state, and is soft.
///
/// Import id: the ARM id of the secret, without a version.
///
/// Permissions: the role Key Vault Administrator or Key Vault Secrets Officer on the vault or above.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultSecretArgs {
    /// The secret's name: 1 to 127 letters, digits and hyphens. A change replaces the secret.
    #[schemars(extend("replace" = true))]
    pub name: String,
    /// The vault's name. A change replaces the secret.
    #[schemars(extend("replace" = true))]
    pub vault_name: String,
    /// The vault's resource group. A change replaces the secret.
    #[schemars(extend("replace" = true))]
    pub resource_group_name: String,
    /// What the value is made of where the secret does not exist. Exactly one of this and `value` is given.
    pub generate: Option<VaultSecretGenerator>,
    /// The value where the secret does not exist, at most 25 KiB. A later change changes nothing.
    pub value: Option<Secret<String>>,
    /// What to do with a deleted secret of the same name: recover it with its value, or report it as an error. Default `recover`.
    #[serde(default)]
    pub soft_deleted: SoftDeleted,
    /// Whether the secret may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether to take over a secret that exists. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The subscription. Default: the provider's. A change replaces the secret.
    #[schemars(extend("replace" = true))]
    pub subscription_id: Option<String>,
    /// The tenant that the subscription must be in. Default: the provider's.
    pub tenant_id: Option<String>,
}

/// How a value is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub enum VaultSecretGenerator {
    /// 30 random letters and digits.
    Password,
    /// A key of 512 random bytes as 1024 hexadecimal digits, in the format that products read.
    Key,
}

/// What Azure knows about the secret; not its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VaultSecretState {
    /// The secret's ARM id.
    #[schemars(extend("stable" = true))]
    pub arm_id: String,
    /// The secret's URL, without a version.
    #[schemars(extend("stable" = true))]
    pub secret_uri: String,
    /// The version that the vault gives out.
    pub version: String,
    /// The subscription it is in.
    #[schemars(extend("stable" = true))]
    pub subscription_id: String,
    /// The tenant it is in.
    #[schemars(extend("stable" = true))]
    pub tenant_id: String,
}

/// The resource `ptd:azure:VaultSecret`.
#[derive(Debug)]
pub struct VaultSecret;

fn what(args: &VaultSecretArgs) -> String {
    format!("secret {} of vault {}", args.name, args.vault_name)
}

fn secret_id(session: &AzureSession, args: &VaultSecretArgs) -> ResourceId {
    vault_id(session, &args.resource_group_name, &args.vault_name).child("secrets", &args.name)
}

fn state(session: &AzureSession, id: &ResourceId, url: Option<&str>) -> VaultSecretState {
    let url = url.unwrap_or_default();
    let marker = format!("/secrets/{}", id.name());
    let at = url
        .to_ascii_lowercase()
        .find(&marker.to_ascii_lowercase())
        .map_or(url.len(), |at| at + marker.len());
    let (uri, version) = url.split_at(at);
    VaultSecretState {
        arm_id: id.to_string(),
        secret_uri: uri.to_owned(),
        version: version.trim_matches('/').to_owned(),
        subscription_id: session.subscription.clone(),
        tenant_id: session.tenant.clone(),
    }
}

/// The calls to one vault, with what has to be waited for.
struct Vault<'a> {
    cx: &'a Context<Ptd>,
    id: &'a ResourceId,
    client: Arc<SecretClient>,
    /// Sends each request once.
    writer: Arc<SecretClient>,
    wait: VaultWait<'a>,
}

impl<'a> Vault<'a> {
    async fn open(
        cx: &'a Context<Ptd>,
        session: &'a AzureSession,
        id: &'a ResourceId,
    ) -> Result<Self, Error> {
        let uri = vault_uri(cx, session, id).await?;
        Ok(Self {
            cx,
            id,
            client: session.secrets(&uri, true)?,
            writer: session.secrets(&uri, false)?,
            wait: VaultWait::new(cx, session, id, "Key Vault Secrets Officer"),
        })
    }

    fn failure(&self, operation: &str, error: &azure_core::Error) -> ArmError {
        data_plane(operation, self.id.as_str(), error)
    }

    /// The secret's URL with its version, where it exists. Its value is dropped.
    async fn find(&mut self) -> Result<Option<String>, Error> {
        loop {
            let asked = tokio::select! {
                biased;
                error = self.cx.ending() => return Err(error),
                asked = self.client.get_secret(self.id.name(), None) => asked,
            };
            let error = match asked {
                Ok(answer) => {
                    let found: LiveSecret = answer
                        .into_model()
                        .map_err(|error| self.failure("get secret", &error))?;
                    drop(found.value.map(Zeroizing::new));
                    return Ok(found.id);
                }
                Err(error) => self.failure("get secret", &error),
            };
            if error.is_gone() {
                return Ok(None);
            }
            self.wait.wait(error).await?;
        }
    }

    /// Writes the value. A namesake that is deleted comes back with its own value instead.
    async fn make(&mut self, args: &VaultSecretArgs) -> Result<Option<String>, Error> {
        loop {
            self.cx.alive()?;
            let parameters = SetSecretParameters {
                value: Some(value(self.cx, args)?.to_string()),
                ..SetSecretParameters::default()
            };
            let content = parameters
                .try_into()
                .map_err(|error: azure_core::Error| Error::Bug(error.to_string()))?;
            let error = match self.writer.set_secret(self.id.name(), content, None).await {
                Ok(answer) => {
                    let made: LiveSecret = answer
                        .into_model()
                        .map_err(|error| self.failure("set secret", &error))?;
                    drop(made.value.map(Zeroizing::new));
                    return Ok(made.id);
                }
                Err(error) => self.failure("set secret", &error),
            };
            if error.is_code(&["ObjectIsDeletedButRecoverable"]) {
                return self.recover(args, error).await;
            }
            self.wait.wait(error).await?;
            // Whoever made it meanwhile, perhaps this very request: its value stays.
            if let Some(found) = self.find().await? {
                return Ok(Some(found));
            }
        }
    }

    async fn recover(
        &mut self,
        args: &VaultSecretArgs,
        refused: ArmError,
    ) -> Result<Option<String>, Error> {
        if args.soft_deleted == SoftDeleted::Report {
            return Err(refused
                .with_hint("The secret was deleted and can be recovered: set softDeleted to recover, or purge it")
                .into());
        }
        loop {
            self.cx.alive()?;
            let name = self.id.name();
            let Err(error) = self.client.recover_deleted_secret(name, None).await else {
                break;
            };
            let error = self.failure("recover secret", &error);
            // Somebody else recovers it.
            if error.is_code(&["ObjectIsBeingRecovered"]) || error.status() == Some(404) {
                break;
            }
            self.wait.wait(error).await?;
        }
        for _ in 0..60 {
            if let Some(found) = self.find().await? {
                self.cx
                    .info(format!(
                        "recovered the deleted {} with its value",
                        what(args)
                    ))
                    .await;
                return Ok(Some(found));
            }
            self.cx.sleep(Duration::from_secs(1)).await?;
        }
        Err(refused
            .with_hint(
                "The secret is being recovered and not there yet: run this again in a minute",
            )
            .into())
    }
}

/// A new value, in memory that is wiped. What is made here is kept out of messages, as inputs are.
fn value(cx: &Context<Ptd>, args: &VaultSecretArgs) -> Result<Zeroizing<String>, Error> {
    let generated = match (&args.value, args.generate) {
        (Some(value), _) => return Ok(Zeroizing::new(value.expose().clone())),
        (None, Some(VaultSecretGenerator::Password)) => generate::random_alphanumeric(PASSWORD),
        (None, Some(VaultSecretGenerator::Key)) => generate::rskey(),
        (None, None) => return Err(Error::Bug("a secret without a value".to_owned())),
    };
    let generated = generated.map_err(|error| Error::Bug(error.to_string()))?;
    cx.protect(&generated);
    Ok(generated)
}

async fn session_of(cx: &Context<Ptd>, args: &VaultSecretArgs) -> Result<AzureSession, Error> {
    open(
        cx,
        args.subscription_id.as_deref(),
        args.tenant_id.as_deref(),
    )
    .await
}

impl Resource for VaultSecret {
    type Provider = Ptd;
    type Args = VaultSecretArgs;
    type State = VaultSecretState;

    const TOKEN: &'static str = "ptd:azure:VaultSecret";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "name", names::vault_object);
        check_with(checking, "vaultName", names::key_vault);
        match (checking.given("value"), checking.given("generate")) {
            (true, true) => checking.refuse("generate", "must not be given together with value"),
            (false, false) => checking.refuse("generate", "give either generate or value"),
            _ => {}
        }
        if let Some(value) = checking.known::<Secret<String>>("value")
            && !(1..=LONGEST).contains(&value.expose().len())
        {
            checking.refuse("value", format!("must have 1 to {LONGEST} bytes"));
        }
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
        let id = secret_id(&session, args);
        predict_place(prediction, &session, &id);
        let vault = vault_id(&session, &args.resource_group_name, &args.vault_name);
        let there = session
            .arm
            .get(cx, &vault, super::key_vault::API)
            .await?
            .is_some();
        if !there {
            return Ok(());
        }
        let mut vault = Vault::open(cx, &session, &id).await?;
        // Who may not look yet will be able to once the program has assigned the role.
        let asked = vault.client.get_secret(id.name(), None).await;
        let found = match asked {
            Ok(answer) => {
                let found: LiveSecret = answer
                    .into_model()
                    .map_err(|error| vault.failure("get secret", &error))?;
                drop(found.value.map(Zeroizing::new));
                found.id
            }
            Err(error) => {
                let error = vault.failure("get secret", &error);
                if !error.is_gone() && !error.is_code(&["ForbiddenByRbac"]) {
                    vault.wait.wait(error).await?;
                }
                None
            }
        };
        if let Some(found) = found {
            if !args.adopt {
                return Err(exists_already(&what(args), id.as_str()));
            }
            let known = state(&session, &id, Some(&found));
            prediction.known("secretUri", known.secret_uri);
            prediction.known("version", known.version);
            tell_adoption(cx, &what(args), &[]).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: VaultSecretArgs,
    ) -> Result<Created<VaultSecretState>, Error> {
        let session = session_of(cx, &args).await?;
        let id = secret_id(&session, &args);
        let mut vault = Vault::open(cx, &session, &id).await?;
        let found = match vault.find().await? {
            Some(_) if !args.adopt => return Err(exists_already(&what(&args), id.as_str())),
            Some(found) => {
                tell_adoption(cx, &what(&args), &[]).await;
                Some(found)
            }
            None => vault.make(&args).await?,
        };
        Ok(Created {
            id: id.to_string(),
            state: state(&session, &id, found.as_deref()),
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
        let Some(vault) = id.parent() else {
            return Ok(None);
        };
        if session
            .arm
            .get(cx, &vault, super::key_vault::API)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let Some(found) = Vault::open(cx, &session, &id).await?.find().await? else {
            return Ok(None);
        };
        let args = args.unwrap_or_else(|| VaultSecretArgs {
            name: id.name().to_owned(),
            vault_name: vault.name().to_owned(),
            resource_group_name: id.group_name().unwrap_or_default().to_owned(),
            generate: Some(VaultSecretGenerator::Password),
            value: None,
            soft_deleted: SoftDeleted::default(),
            allow_delete: false,
            adopt: true,
            subscription_id: None,
            tenant_id: None,
        });
        Ok(Some(Observed::new(
            args,
            state(&session, &id, Some(&found)),
        )))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: VaultSecretArgs,
    ) -> Result<VaultSecretState, Error> {
        // Only what is said about the secret changes; the secret itself stays.
        if let Some(state) = old.state {
            return Ok(state);
        }
        let id = parse_id(id, KIND, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let found = Vault::open(cx, &session, &id).await?.find().await?;
        Ok(state(&session, &id, found.as_deref()))
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        if !args.allow_delete {
            return Err(needs_consent(&what(&args), "its value would be lost"));
        }
        let id = parse_id(id, KIND, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let Some(parent) = id.parent() else {
            return Ok(());
        };
        if session
            .arm
            .get(cx, &parent, super::key_vault::API)
            .await?
            .is_none()
        {
            return Ok(());
        }
        let mut vault = Vault::open(cx, &session, &id).await?;
        loop {
            cx.alive()?;
            let Err(error) = vault.client.delete_secret(id.name(), None).await else {
                let text = format!("{} can be recovered until it is purged", what(&args));
                cx.info(text).await;
                return Ok(());
            };
            let error = vault.failure("delete secret", &error);
            if error.is_gone() || error.is_code(&["ObjectIsBeingDeleted"]) {
                return Ok(());
            }
            vault.wait.wait(error).await?;
        }
    }
}
