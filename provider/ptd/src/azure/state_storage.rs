//! `ptd:azure:StateStorage`: the storage account and the blob container of the stacks' state.

use std::sync::Arc;

use azure_storage_blob::BlobContainerClient;
use futures::TryStreamExt;
use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Prediction, Preview, Prior, PropertyMap,
    Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::arm::{Job, PendingOperation, ResourceId, Write, region};
use super::clients::AzureSession;
use super::common::{
    check_common, check_location, data_plane, diff_default_tags, diff_place, elsewhere, flag, gone,
    kept, needs_consent, observed_tags, open, parse_id, tags_of, text, wait_for_name, wanted_tags,
    yes,
};
use super::names::{self, Tags};
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;

/// The version of the service's interface.
const API: &str = "2024-01-01";
const NAMESPACE: &str = "Microsoft.Storage";
const KIND: &str = "Microsoft.Storage/storageAccounts/blobServices/containers";
const EXAMPLE: &str = "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Storage/storageAccounts/<account>/blobServices/default/containers/<container>";

/// A storage account with one private blob container, for Pulumi's `azblob` backend. An existing account in the resource group is adopted,
/// of whatever kind, and so is its container.
///
/// Deleting needs `allowDelete` in the state, and `forceDestroy` where the container holds blobs, or where that cannot be found out. An
/// account that has other containers is never deleted. Its name may seem taken for some minutes after the delete: where this provider
/// deleted it, making it again waits for the name.
///
/// Import id: the container's ARM id.
///
/// Permissions: `Microsoft.Storage/storageAccounts/read`, `write`, `delete`, and the same of `blobServices/containers`; to look into the
/// container the role Storage Blob Data Reader or Contributor.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent inputs of the user"
)]
pub struct StateStorageArgs {
    /// The account's name, unique in all of Azure: 3 to 24 lower-case letters and digits. A change replaces account and container.
    #[schemars(extend("replace" = true))]
    pub account_name: String,
    /// The container's name: 3 to 63 lower-case letters, digits and single hyphens. A change replaces account and container.
    #[schemars(extend("replace" = true))]
    pub container_name: String,
    /// The resource group. A change replaces account and container.
    #[schemars(extend("replace" = true))]
    pub resource_group_name: String,
    /// The region, such as `eastus2`. Default: the provider's `azure.location`. A change replaces account and container.
    #[schemars(extend("replace" = true))]
    pub location: Option<String>,
    /// How data is replicated: `Standard_LRS`, `Standard_ZRS`, `Standard_GRS`, `Standard_RAGRS`, `Standard_GZRS` or `Standard_RAGZRS`.
    /// Default: as it is, for a new account `Standard_LRS`.
    pub sku: Option<String>,
    /// The access tier of blobs: `Hot`, `Cool` or `Cold`. Default `Cool`.
    #[serde(default = "cool")]
    pub access_tier: String,
    /// The lowest version of TLS: `TLS1_2` or `TLS1_3`. Default `TLS1_2`.
    #[serde(default = "tls")]
    pub minimum_tls_version: String,
    /// Whether containers may be opened to the public. Default `false`.
    #[serde(default)]
    pub allow_blob_public_access: bool,
    /// Whether requests without TLS are refused. Default `true`.
    #[serde(default = "yes")]
    pub https_only: bool,
    /// Tags of the account, beside the provider's default tags; keys must not hold `/`. Where none are given, those that are there stay.
    pub tags: Option<Tags>,
    /// Whether account and container may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether they are deleted although the container holds blobs. Default `false`.
    #[serde(default)]
    pub force_destroy: bool,
    /// Whether to take over what exists. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The subscription. Default: the provider's. A change replaces account and container.
    #[schemars(extend("replace" = true))]
    pub subscription_id: Option<String>,
    /// The tenant that the subscription must be in. Default: the provider's.
    pub tenant_id: Option<String>,
}

fn cool() -> String {
    "Cool".to_owned()
}

fn tls() -> String {
    "TLS1_2".to_owned()
}

/// What Azure knows about account and container.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StateStorageState {
    /// The account's ARM id.
    #[schemars(extend("stable" = true))]
    pub account_id: String,
    /// The container's ARM id.
    #[schemars(extend("stable" = true))]
    pub container_id: String,
    /// The URL of the account's blobs.
    #[schemars(extend("stable" = true))]
    pub blob_endpoint: String,
    /// The backend of stacks: `azblob://<container>?storage_account=<account>`.
    #[schemars(extend("stable" = true))]
    pub backend_url: String,
    /// The kind of the account; new ones are `StorageV2`.
    pub account_kind: String,
    /// The subscription it is in.
    #[schemars(extend("stable" = true))]
    pub subscription_id: String,
    /// The tenant it is in.
    #[schemars(extend("stable" = true))]
    pub tenant_id: String,
    /// All tags of the account, with the provider's default tags.
    pub tags_all: Tags,
    /// An operation that had not ended when this was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_operation: Option<PendingOperation>,
}

/// The resource `ptd:azure:StateStorage`.
#[derive(Debug)]
pub struct StateStorage;

fn what(account: &str) -> String {
    format!("storage account {account}")
}

/// The account and its container.
struct Place {
    account: ResourceId,
    container: ResourceId,
}

fn place(session: &AzureSession, args: &StateStorageArgs) -> Place {
    let account = session.group(&args.resource_group_name).provider(
        NAMESPACE,
        "storageAccounts",
        &args.account_name,
    );
    Place {
        container: account
            .child("blobServices", "default")
            .child("containers", &args.container_name),
        account,
    }
}

fn place_of(id: &str) -> Result<Place, Error> {
    let container = parse_id(id, KIND, EXAMPLE)?;
    let account = container.parent().and_then(|service| service.parent());
    let account = account.ok_or_else(|| Error::Bug(format!("{id} is in no account")))?;
    Ok(Place { account, container })
}

fn backend_url(place: &Place) -> String {
    format!(
        "azblob://{}?storage_account={}",
        place.container.name(),
        place.account.name()
    )
}

fn state(session: &AzureSession, place: &Place, live: &Value) -> StateStorageState {
    let endpoint = text(live, &["properties", "primaryEndpoints", "blob"]).unwrap_or_else(|| {
        let suffix = &session.arm.cloud().blob_suffix;
        format!("https://{}.{suffix}/", place.account.name())
    });
    StateStorageState {
        account_id: place.account.to_string(),
        container_id: place.container.to_string(),
        blob_endpoint: endpoint,
        backend_url: backend_url(place),
        account_kind: text(live, &["kind"]).unwrap_or_else(|| "StorageV2".to_owned()),
        subscription_id: session.subscription.clone(),
        tenant_id: session.tenant.clone(),
        tags_all: session.tags.visible(&tags_of(live)),
        pending_operation: None,
    }
}

/// What is managed of an account, as the service says it.
struct Settings {
    sku: String,
    access_tier: String,
    tls: String,
    public: bool,
    https: bool,
}

fn settings(live: &Value) -> Settings {
    let word =
        |path: &[&str], default: &str| text(live, path).unwrap_or_else(|| default.to_owned());
    Settings {
        sku: word(&["sku", "name"], "Standard_LRS"),
        // Accounts of some kinds have none.
        access_tier: word(&["properties", "accessTier"], ""),
        tls: word(&["properties", "minimumTlsVersion"], "TLS1_0"),
        public: flag(live, &["properties", "allowBlobPublicAccess"]).unwrap_or(false),
        https: flag(live, &["properties", "supportsHttpsTrafficOnly"]).unwrap_or(true),
    }
}

/// The inputs that would change an existing account, and the patch that does it.
fn pending(
    session: &AzureSession,
    args: &StateStorageArgs,
    live: &Value,
) -> Result<(Vec<&'static str>, Value), Error> {
    let actual = region(&text(live, &["location"]).unwrap_or_default());
    if let Some(wanted) = &args.location
        && actual != region(wanted)
    {
        return Err(elsewhere(&what(&args.account_name), &actual, wanted));
    }
    let now = settings(live);
    let mut changes = Vec::new();
    let mut properties = Map::new();
    let mut patch = json!({});
    if let Some(sku) = args
        .sku
        .as_ref()
        .filter(|sku| !sku.eq_ignore_ascii_case(&now.sku))
    {
        changes.push("sku");
        patch["sku"] = json!({ "name": sku });
    }
    let words = [
        (
            "accessTier",
            "accessTier",
            &args.access_tier,
            &now.access_tier,
        ),
        (
            "minimumTlsVersion",
            "minimumTlsVersion",
            &args.minimum_tls_version,
            &now.tls,
        ),
    ];
    for (input, name, wanted, actual) in words {
        if !actual.eq_ignore_ascii_case(wanted) && !actual.is_empty() {
            changes.push(input);
            properties.insert(name.into(), wanted.as_str().into());
        }
    }
    let switches = [
        (
            "allowBlobPublicAccess",
            "allowBlobPublicAccess",
            args.allow_blob_public_access,
            now.public,
        ),
        (
            "httpsOnly",
            "supportsHttpsTrafficOnly",
            args.https_only,
            now.https,
        ),
    ];
    for (input, name, wanted, actual) in switches {
        if wanted != actual {
            changes.push(input);
            properties.insert(name.into(), wanted.into());
        }
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

/// Brings an existing account to what it should be, and makes the container where it is missing.
async fn converge(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &StateStorageArgs,
    place: &Place,
    mut live: Value,
) -> Result<(StateStorageState, Vec<&'static str>), Error> {
    let id = place.container.as_str();
    let (mut changes, patch) = pending(session, args, &live)?;
    if !changes.is_empty() {
        live = session
            .arm
            .patch(
                &Job::quiet(cx),
                &Write::new(&place.account, API, Some(&patch)),
            )
            .await?;
    }
    cx.checkpoint(id, &state(session, place, &live));
    if session.arm.get(cx, &place.container, API).await?.is_none() {
        changes.push("container");
        let body = json!({});
        session
            .arm
            .put(
                &Job::quiet(cx),
                &Write::new(&place.container, API, Some(&body)),
            )
            .await?;
    }
    Ok((state(session, place, &live), changes))
}

async fn make_account(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &StateStorageArgs,
    place: &Place,
) -> Result<Value, Error> {
    let mut body = json!({
        "location": args.location,
        "kind": "StorageV2",
        "sku": {"name": args.sku.as_deref().unwrap_or("Standard_LRS")},
        "properties": {
            "allowBlobPublicAccess": args.allow_blob_public_access,
            "accessTier": args.access_tier,
            "minimumTlsVersion": args.minimum_tls_version,
            "supportsHttpsTrafficOnly": args.https_only,
        },
    });
    let tags = wanted_tags(session, &Tags::new(), args.tags.as_ref());
    if !tags.is_empty() {
        body["tags"] = json!(tags);
    }
    let note = kept(cx, &place.container, state(session, place, &Value::Null));
    let job = Job {
        run: cx,
        accepted: &note,
    };
    let mut attempt = 0;
    loop {
        let write = Write::new(&place.account, API, Some(&body));
        let error = match session.arm.put(&job, &write).await {
            Ok(live) => return Ok(live),
            Err(error) => error,
        };
        let taken = error.is_code(&["StorageAccountAlreadyTaken"]);
        if taken && wait_for_name(cx, session, &place.account, &mut attempt).await? {
            continue;
        }
        if taken || error.is_code(&["StorageAccountAlreadyExists"]) {
            let hint = "Account names are global: this one belongs to another subscription or resource group. Use another name";
            return Err(error.with_hint(hint).into());
        }
        return Err(error.into());
    }
}

/// Whether the container holds anything; an error where that cannot be found out.
async fn holds_blobs(session: &AzureSession, place: &Place, endpoint: &str) -> Result<bool, Error> {
    let subject = place.container.to_string();
    let unknown = |error: &azure_core::Error| -> Error {
        data_plane("list blobs", &subject, error)
            .with_hint(
                "Whether the container is empty cannot be found out, so it is not deleted. Grant the identity the role Storage Blob Data \
                 Reader, or set forceDestroy to true and run `pulumi up` before the delete",
            )
            .into()
    };
    let client: Arc<BlobContainerClient> =
        Arc::new(session.container(endpoint, place.container.name())?);
    let mut blobs = client.list_blobs(None).map_err(|error| unknown(&error))?;
    Ok(blobs
        .try_next()
        .await
        .map_err(|error| unknown(&error))?
        .is_some())
}

async fn session_of(cx: &Context<Ptd>, args: &StateStorageArgs) -> Result<AzureSession, Error> {
    open(
        cx,
        args.subscription_id.as_deref(),
        args.tenant_id.as_deref(),
    )
    .await
}

fn one_of(allowed: &'static [&'static str]) -> impl Fn(&str) -> Result<(), String> {
    move |text| {
        if allowed.contains(&text) {
            Ok(())
        } else {
            Err(format!(
                "must be one of {}, got {text:?}",
                allowed.join(", ")
            ))
        }
    }
}

impl Resource for StateStorage {
    type Provider = Ptd;
    type Args = StateStorageArgs;
    type State = StateStorageState;

    const TOKEN: &'static str = "ptd:azure:StateStorage";

    fn check(checking: &mut Checking<'_>, provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "accountName", names::storage_account);
        check_with(checking, "containerName", names::blob_container);
        check_with(
            checking,
            "sku",
            one_of(&[
                "Standard_LRS",
                "Standard_ZRS",
                "Standard_GRS",
                "Standard_RAGRS",
                "Standard_GZRS",
                "Standard_RAGZRS",
            ]),
        );
        check_with(checking, "accessTier", one_of(&["Hot", "Cool", "Cold"]));
        check_with(checking, "minimumTlsVersion", one_of(&["TLS1_2", "TLS1_3"]));
        check_location(checking, provider);
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        let tags_all = old.state.as_ref().map(|s| &s.tags_all);
        diff_default_tags(diff, provider, tags_all, news);
        diff_place(
            diff,
            &old.outputs,
            news,
            provider,
            &[
                "accountName",
                "containerName",
                "resourceGroupName",
                "location",
            ],
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
        let place = place(&session, args);
        prediction.known("accountId", place.account.as_str());
        prediction.known("containerId", place.container.as_str());
        prediction.known("backendUrl", backend_url(&place));
        prediction.known("subscriptionId", &session.subscription);
        prediction.known("tenantId", &session.tenant);
        if let Some(live) = session.arm.get(cx, &place.account, API).await? {
            if !args.adopt {
                return Err(exists_already(
                    &what(&args.account_name),
                    place.container.as_str(),
                ));
            }
            let (mut changes, _) = pending(&session, args, &live)?;
            if session.arm.get(cx, &place.container, API).await?.is_none() {
                changes.push("container");
            }
            prediction.known("blobEndpoint", state(&session, &place, &live).blob_endpoint);
            tell_adoption(cx, &what(&args.account_name), &changes).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: StateStorageArgs,
    ) -> Result<Created<StateStorageState>, Error> {
        let session = session_of(cx, &args).await?;
        let place = place(&session, &args);
        let live = match session.arm.get(cx, &place.account, API).await? {
            Some(live) => {
                session
                    .arm
                    .settled(&Job::quiet(cx), &place.account, API, live)
                    .await?
            }
            None => None,
        };
        let state = match live {
            Some(_) if !args.adopt => {
                return Err(exists_already(
                    &what(&args.account_name),
                    place.container.as_str(),
                ));
            }
            Some(live) => {
                let (state, changes) = converge(cx, &session, &args, &place, live).await?;
                tell_adoption(cx, &what(&args.account_name), &changes).await;
                state
            }
            None => {
                let live = make_account(cx, &session, &args, &place).await?;
                converge(cx, &session, &args, &place, live).await?.0
            }
        };
        Ok(Created {
            id: place.container.to_string(),
            state,
        })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let place = place_of(id)?;
        let import = prior.is_none();
        let args = prior.and_then(|p| p.args);
        let tenant = args.as_ref().and_then(|a| a.tenant_id.clone());
        let session = open(cx, place.account.subscription_id(), tenant.as_deref()).await?;
        let Some(live) = session.arm.get(cx, &place.account, API).await? else {
            return Ok(None);
        };
        let missing = session.arm.get(cx, &place.container, API).await?.is_none();
        if missing && import {
            return Ok(None);
        }
        let now = settings(&live);
        let old = args.as_ref();
        let same = |said: Option<&str>, actual: String| match said {
            Some(said) if said.eq_ignore_ascii_case(&actual) || actual.is_empty() => {
                said.to_owned()
            }
            _ => actual,
        };
        let prior_tags = old.map(|args| args.tags.as_ref());
        let observed = StateStorageArgs {
            account_name: old.map_or_else(
                || place.account.name().to_owned(),
                |a| a.account_name.clone(),
            ),
            container_name: old.map_or_else(
                || place.container.name().to_owned(),
                |a| a.container_name.clone(),
            ),
            resource_group_name: old.map_or_else(
                || place.account.group_name().unwrap_or_default().to_owned(),
                |a| a.resource_group_name.clone(),
            ),
            location: text(&live, &["location"]).map(|l| region(&l)),
            sku: match old {
                Some(old) => old
                    .sku
                    .as_ref()
                    .map(|sku| same(Some(sku.as_str()), now.sku.clone())),
                None => (now.sku != "Standard_LRS").then_some(now.sku),
            },
            access_tier: same(
                Some(old.map_or("Cool", |a| a.access_tier.as_str())),
                now.access_tier,
            ),
            minimum_tls_version: same(old.map(|a| a.minimum_tls_version.as_str()), now.tls),
            allow_blob_public_access: now.public,
            https_only: now.https,
            tags: observed_tags(&session, &tags_of(&live), prior_tags),
            allow_delete: old.is_some_and(|a| a.allow_delete),
            force_destroy: old.is_some_and(|a| a.force_destroy),
            adopt: old.is_none_or(|a| a.adopt),
            subscription_id: old.and_then(|a| a.subscription_id.clone()),
            tenant_id: tenant,
        };
        let mut found = Observed::new(observed, state(&session, &place, &live));
        // The account is there, and its name taken: it stays in the state.
        found.problems.extend(missing.then(|| {
            format!(
                "container {} of {} is missing; the next update makes it",
                place.container.name(),
                what(place.account.name())
            )
        }));
        Ok(Some(found))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: StateStorageArgs,
    ) -> Result<StateStorageState, Error> {
        let place = place_of(id)?;
        let session = open(
            cx,
            place.account.subscription_id(),
            args.tenant_id.as_deref(),
        )
        .await?;
        let quiet = Job::quiet(cx);
        let left = old.state.as_ref().and_then(|s| s.pending_operation.clone());
        let live = match left {
            Some(operation) => {
                session
                    .arm
                    .resumed(&quiet, &place.account, API, &operation)
                    .await?
            }
            None => session.arm.get(cx, &place.account, API).await?,
        };
        let live = match live {
            Some(live) => {
                session
                    .arm
                    .settled(&quiet, &place.account, API, live)
                    .await?
            }
            None => None,
        };
        let Some(live) = live else {
            return Err(gone(&what(place.account.name())));
        };
        Ok(converge(cx, &session, &args, &place, live).await?.0)
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let left = old.state.as_ref().and_then(|s| s.pending_operation.clone());
        let args = old.require_args()?;
        let place = place_of(id)?;
        if !args.allow_delete {
            return Err(needs_consent(
                &what(place.account.name()),
                "the states of all of the target's stacks are in it",
            ));
        }
        let session = open(
            cx,
            place.account.subscription_id(),
            args.tenant_id.as_deref(),
        )
        .await?;
        let quiet = Job::quiet(cx);
        session
            .arm
            .out_of_the_way(&quiet, &place.account, API, left.as_ref())
            .await?;
        let Some(live) = session.arm.get(cx, &place.account, API).await? else {
            return Ok(());
        };
        let path = format!("{}/blobServices/default/containers", place.account);
        let all = session.arm.list(cx, &path, API, &[]).await?;
        let others: Vec<String> = all
            .iter()
            .filter_map(|c| text(c, &["name"]))
            .filter(|name| name != place.container.name())
            .collect();
        if !others.is_empty() {
            return Err(Error::refused(
                format!(
                    "{} is not deleted, as it has other containers: {}",
                    what(place.account.name()),
                    others.join(", ")
                ),
                "Delete them first, or keep the account with the option retainOnDelete",
            ));
        }
        let endpoint = state(&session, &place, &live).blob_endpoint;
        // The list may lag behind: only the container's own absence says that there are no blobs.
        if !args.force_destroy
            && session.arm.get(cx, &place.container, API).await?.is_some()
            && holds_blobs(&session, &place, &endpoint).await?
        {
            return Err(Error::refused(
                format!(
                    "container {} of {} is not deleted, as it holds blobs",
                    place.container.name(),
                    what(place.account.name())
                ),
                "Remove the stacks in it, or set forceDestroy to true and run `pulumi up` before the delete",
            ));
        }
        session
            .arm
            .delete(&quiet, &Write::new(&place.account, API, None))
            .await?;
        session.free(&place.account);
        Ok(())
    }
}
