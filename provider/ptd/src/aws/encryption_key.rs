//! `ptd:aws:EncryptionKey`: the KMS key and alias that encrypt the secrets in stacks' states.

use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState, KeyUsageType, Tag};
use aws_sdk_resourcegroupstagging::types::TagFilter;
use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Hardening, HardeningStatus, Session, asked_for, check_common, check_window, diff_default_tags,
    diff_place, harden, observed, region_of, status,
};
use super::error::{AwsError, Kind};
use super::names;
use super::retry::WaitPolicy;
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::tags::Tags;
use crate::target::naming;

/// A KMS key and its alias, for Pulumi's `awskms` secrets provider.
///
/// The alias `alias/posit-team-dedicated` serves all targets of an account and region, so a key that it points to already
/// is adopted; one that waits for deletion is restored. A key that an interrupted run made without its alias is found
/// again by its tag `posit.team/alias`.
///
/// What the key encrypted is lost without it. Deleting therefore needs `allowDelete` in the state, is refused while buckets
/// or secrets of other targets are there, or while that cannot be found out, and leaves the deletion window.
///
/// Import id: the alias.
///
/// Permissions: `kms:CreateKey`, `CreateAlias`, `DescribeKey`, `ListResourceTags`, `TagResource`, `UntagResource`,
/// `UpdateKeyDescription`, `EnableKeyRotation`, `DisableKeyRotation`, `GetKeyRotationStatus`, `GetKeyPolicy` and
/// `PutKeyPolicy` where a policy is stated, `CancelKeyDeletion`, `EnableKey`, `tag:GetResources`; and to delete `kms:ScheduleKeyDeletion`,
/// `s3:ListAllMyBuckets`, `secretsmanager:ListSecrets`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionKeyArgs {
    /// The key's alias: `alias/` and at most 250 letters, digits and `/_-`. A change replaces the key.
    #[schemars(extend("replace" = true))]
    pub alias: String,
    /// What the key is for, at most 8192 characters. Default: nothing.
    pub description: Option<String>,
    /// Whether the key's material is renewed every year. Default: on where permitted.
    pub rotation: Option<bool>,
    /// The key policy as JSON text, compared by meaning. Default: an existing one stays, a new key gets AWS's default, which
    /// leaves access to the account's own policies.
    #[schemars(extend("json" = true))]
    pub policy: Option<String>,
    /// Days that the deleted key can still be restored, 7 to 30. Default 30.
    pub deletion_window_days: Option<i64>,
    /// Whether the key may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// The target that the key is for. Its own bucket and secrets do not stand in the way of deleting the key.
    pub target: Option<String>,
    /// Whether to take over a key that the alias points to already. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The account the key must be in, 12 digits. With credentials of another account nothing is touched. Default: the
    /// credentials' account.
    #[schemars(extend("replace" = true))]
    pub account_id: Option<String>,
    /// The region of the key. Default: the provider's. A change replaces the key.
    #[schemars(extend("replace" = true))]
    pub region: Option<String>,
    /// Tags, beside the provider's default tags.
    pub tags: Option<Tags>,
}

fn yes() -> bool {
    true
}

/// What AWS knows about the key.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EncryptionKeyState {
    /// The key's id.
    #[schemars(extend("stable" = true))]
    pub key_id: String,
    /// The key's ARN.
    #[schemars(extend("stable" = true))]
    pub arn: String,
    /// The alias's ARN.
    #[schemars(extend("stable" = true))]
    pub alias_arn: String,
    /// The account the key is in.
    #[schemars(extend("stable" = true))]
    pub account_id: String,
    /// The region the key is in.
    #[schemars(extend("stable" = true))]
    pub region: String,
    /// The URL of a Pulumi secrets provider with the key: `awskms://<alias>?region=<region>`.
    #[schemars(extend("stable" = true))]
    pub secrets_provider_url: String,
    /// Whether each protective setting is in force: `rotation`.
    pub hardening: Hardening,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
}

/// The resource `ptd:aws:EncryptionKey`.
#[derive(Debug)]
pub struct EncryptionKey;

/// Put on a key when it is made, so that it is found even if its alias never was.
const ALIAS_TAG: &str = "posit.team/alias";

struct Live {
    id: String,
    arn: String,
    state: KeyState,
    description: Option<String>,
    /// `None` when the credentials may not ask.
    rotation: Option<bool>,
    policy: Option<String>,
    tags: Tags,
}

fn subject(alias: &str) -> String {
    format!("key {alias}")
}

async fn describe(session: &Session, id: &str) -> Result<Option<KeyMetadata>, AwsError> {
    let request = session.clients.kms().describe_key().key_id(id).send();
    match session
        .clients
        .call("kms:DescribeKey", subject(id), request)
        .await
    {
        Ok(found) => Ok(found.key_metadata().cloned()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A key can only serve if it encrypts with one and the same key.
fn usable(alias: &str, key: &KeyMetadata) -> Result<(), Error> {
    let usage = key
        .key_usage()
        .is_none_or(|u| *u == KeyUsageType::EncryptDecrypt);
    let spec = key
        .key_spec()
        .is_none_or(|s| *s == KeySpec::SymmetricDefault);
    if usage && spec {
        return Ok(());
    }
    Err(Error::refused(
        format!(
            "key {} behind {alias} is not a symmetric key for encryption",
            key.key_id()
        ),
        "Use another alias, or point this one to a symmetric ENCRYPT_DECRYPT key",
    ))
}

/// Everything managed about a key; `with_policy` says whether the policy is.
async fn look(session: &Session, key: &KeyMetadata, with_policy: bool) -> Result<Live, Error> {
    let id = key.key_id().to_owned();
    let kms = session.clients.kms();
    let tags = async {
        let mut tags = Tags::new();
        let mut marker = None;
        loop {
            let request = kms
                .list_resource_tags()
                .key_id(&id)
                .set_marker(marker)
                .send();
            let page = session
                .clients
                .call("kms:ListResourceTags", subject(&id), request)
                .await?;
            tags.extend(
                page.tags()
                    .iter()
                    .map(|t| (t.tag_key().to_owned(), t.tag_value().to_owned())),
            );
            marker = page
                .next_marker()
                .map(str::to_owned)
                .filter(|_| page.truncated());
            if marker.is_none() {
                return Ok::<_, AwsError>(tags);
            }
        }
    };
    let rotation = async {
        let request = kms.get_key_rotation_status().key_id(&id).send();
        match session
            .clients
            .call("kms:GetKeyRotationStatus", subject(&id), request)
            .await
        {
            Ok(found) => Ok(Some(found.key_rotation_enabled())),
            Err(error) if error.is_denied() => Ok(None),
            Err(error) => Err(error),
        }
    };
    let policy = async {
        if !with_policy {
            return Ok(None);
        }
        let request = kms
            .get_key_policy()
            .key_id(&id)
            .policy_name("default")
            .send();
        let found = session
            .clients
            .call("kms:GetKeyPolicy", subject(&id), request)
            .await?;
        Ok(found.policy().map(str::to_owned))
    };
    let (mut tags, rotation, policy) = futures::try_join!(tags, rotation, policy)?;
    tags.remove(ALIAS_TAG);
    Ok(Live {
        arn: key.arn().unwrap_or_default().to_owned(),
        state: key.key_state().cloned().unwrap_or(KeyState::Enabled),
        description: key
            .description()
            .filter(|d| !d.is_empty())
            .map(str::to_owned),
        id,
        rotation,
        policy,
        tags,
    })
}

/// A key that an interrupted run made for this alias. Who may not search by tag makes a new one.
async fn orphan(session: &Session, alias: &str) -> Result<Option<KeyMetadata>, Error> {
    let filter = TagFilter::builder().key(ALIAS_TAG).values(alias).build();
    let request = session
        .clients
        .tagging()
        .get_resources()
        .tag_filters(filter)
        .resource_type_filters("kms:key")
        .send();
    let found = match session
        .clients
        .call("tag:GetResources", subject(alias), request)
        .await
    {
        Ok(found) => found,
        Err(error) if error.is_denied() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for arn in found
        .resource_tag_mapping_list()
        .iter()
        .filter_map(|m| m.resource_arn())
    {
        if let Some(key) = describe(session, arn).await?
            && key.key_state().is_none_or(|s| *s == KeyState::Enabled)
            && usable(alias, &key).is_ok()
            && !has_alias(session, key.key_id()).await?
        {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Whether any alias points to the key: then it is somebody's, whatever its tag says.
async fn has_alias(session: &Session, id: &str) -> Result<bool, AwsError> {
    let request = session.clients.kms().list_aliases().key_id(id).send();
    let found = session
        .clients
        .call("kms:ListAliases", subject(id), request)
        .await?;
    Ok(!found.aliases().is_empty())
}

fn wire_tags(tags: &Tags) -> Result<Vec<Tag>, Error> {
    tags.iter()
        .map(|(k, v)| {
            Tag::builder()
                .tag_key(k)
                .tag_value(v)
                .build()
                .map_err(|e| Error::Bug(e.to_string()))
        })
        .collect()
}

fn state(session: &Session, alias: &str, live: &Live, hardening: Hardening) -> EncryptionKeyState {
    let place = format!(
        "arn:{}:kms:{}:{}",
        session.partition(),
        session.region(),
        session.account()
    );
    EncryptionKeyState {
        key_id: live.id.clone(),
        arn: live.arn.clone(),
        alias_arn: format!("{place}:{alias}"),
        account_id: session.account().to_owned(),
        region: session.region().to_owned(),
        secrets_provider_url: format!("awskms://{alias}?region={}", session.region()),
        hardening,
        tags_all: session.all_tags(&live.tags),
    }
}

fn same_json(one: &str, other: &str) -> bool {
    super::admin_document::same_policy(one, other).unwrap_or(one == other)
}

/// The inputs that would change something about an existing key.
fn pending(session: &Session, args: &EncryptionKeyArgs, live: &Live) -> Vec<&'static str> {
    let mut changes = Vec::new();
    if live.state == KeyState::PendingDeletion {
        changes.push("restore");
    }
    if args.description.is_some() && args.description != live.description {
        changes.push("description");
    }
    if live.rotation != Some(args.rotation.unwrap_or(true)) {
        changes.push("rotation");
    }
    if let Some(policy) = &args.policy
        && !live.policy.as_ref().is_some_and(|p| same_json(p, policy))
    {
        changes.push("policy");
    }
    if !session
        .tag_change(&live.tags, args.tags.as_ref())
        .is_empty()
    {
        changes.push("tags");
    }
    changes
}

async fn restore(cx: &Context<Ptd>, session: &Session, live: &mut Live) -> Result<(), Error> {
    cx.alive()?;
    let kms = session.clients.kms();
    let request = kms.cancel_key_deletion().key_id(&live.id).send();
    session
        .clients
        .call("kms:CancelKeyDeletion", subject(&live.id), request)
        .await?;
    // A restored key comes back disabled.
    let request = kms.enable_key().key_id(&live.id).send();
    session
        .clients
        .call("kms:EnableKey", subject(&live.id), request)
        .await?;
    live.state = KeyState::Enabled;
    Ok(())
}

async fn rotate(session: &Session, id: &str, on: bool) -> Result<(), AwsError> {
    let kms = session.clients.kms();
    if on {
        let request = kms.enable_key_rotation().key_id(id).send();
        session
            .clients
            .call("kms:EnableKeyRotation", subject(id), request)
            .await
            .map(|_| ())
    } else {
        let request = kms.disable_key_rotation().key_id(id).send();
        session
            .clients
            .call("kms:DisableKeyRotation", subject(id), request)
            .await
            .map(|_| ())
    }
}

/// Brings a key to what it should be.
async fn converge(
    cx: &Context<Ptd>,
    session: &Session,
    args: &EncryptionKeyArgs,
    old: Option<&EncryptionKeyArgs>,
    mut live: Live,
) -> Result<EncryptionKeyState, Error> {
    let kms = session.clients.kms();
    let due = pending(session, args, &live);
    if live.state == KeyState::PendingDeletion {
        restore(cx, session, &mut live).await?;
    } else if live.state == KeyState::Disabled {
        return Err(Error::refused(
            format!("key {} behind {} is disabled", live.id, args.alias),
            "Somebody disabled it on purpose: enable it in KMS if that purpose is served, then run this again",
        ));
    }
    cx.checkpoint(
        &args.alias,
        &state(session, &args.alias, &live, Hardening::new()),
    );
    let dropped = old.is_some_and(|old| old.description.is_some() && args.description.is_none());
    if due.contains(&"description") || dropped {
        cx.alive()?;
        let text = args.description.clone().unwrap_or_default();
        let request = kms
            .update_key_description()
            .key_id(&live.id)
            .description(text)
            .send();
        session
            .clients
            .call("kms:UpdateKeyDescription", subject(&args.alias), request)
            .await
            .map_err(|e| asked_for("description", e))?;
    }
    if let Some(policy) = args.policy.as_ref().filter(|_| due.contains(&"policy")) {
        cx.alive()?;
        let request = kms
            .put_key_policy()
            .key_id(&live.id)
            .policy_name("default")
            .policy(policy)
            .send();
        session
            .clients
            .call("kms:PutKeyPolicy", subject(&args.alias), request)
            .await
            .map_err(|e| asked_for("policy", e))?;
    }
    let change = session.tag_change(&live.tags, args.tags.as_ref());
    if !change.set.is_empty() {
        cx.alive()?;
        let request = kms
            .tag_resource()
            .key_id(&live.id)
            .set_tags(Some(wire_tags(&change.set)?))
            .send();
        session
            .clients
            .call("kms:TagResource", subject(&args.alias), request)
            .await
            .map_err(|e| asked_for("tags", e))?;
    }
    if !change.remove.is_empty() {
        cx.alive()?;
        let keys = change.remove.iter().cloned().collect();
        let request = kms
            .untag_resource()
            .key_id(&live.id)
            .set_tag_keys(Some(keys))
            .send();
        session
            .clients
            .call("kms:UntagResource", subject(&args.alias), request)
            .await
            .map_err(|e| asked_for("tags", e))?;
    }
    live.tags.retain(|key, _| !change.remove.contains(key));
    live.tags.extend(change.set);
    let mut hardening = Hardening::new();
    let result = if due.contains(&"rotation") {
        cx.alive()?;
        rotate(session, &live.id, args.rotation.unwrap_or(true)).await
    } else {
        Ok(())
    };
    harden(cx, &mut hardening, "rotation", args.rotation, result).await?;
    Ok(state(session, &args.alias, &live, hardening))
}

/// Takes a key that was made for this alias and never got it.
async fn take(
    cx: &Context<Ptd>,
    session: &Session,
    args: &EncryptionKeyArgs,
    key: &KeyMetadata,
) -> Result<Live, Error> {
    cx.info(format!(
        "takes key {}, which was made for {} and never got that alias",
        key.key_id(),
        args.alias
    ))
    .await;
    look(session, key, args.policy.is_some()).await
}

/// Makes a key, or takes the one that an interrupted run left.
async fn make(
    cx: &Context<Ptd>,
    session: &Session,
    args: &EncryptionKeyArgs,
) -> Result<Live, Error> {
    if let Some(key) = orphan(session, &args.alias).await? {
        return take(cx, session, args, &key).await;
    }
    let tags = session.desired_tags(args.tags.as_ref());
    let mut all = wire_tags(&tags)?;
    let mark = Tag::builder()
        .tag_key(ALIAS_TAG)
        .tag_value(&args.alias)
        .build();
    all.push(mark.map_err(|e| Error::Bug(e.to_string()))?);
    let kms = session.clients.kms();
    let attempts = kms
        .config()
        .retry_config()
        .map_or(1, RetryConfig::max_attempts);
    let mut attempt = 1;
    let made = loop {
        cx.alive()?;
        // CreateKey has no token that would make a repetition harmless: each attempt is made here, after a look.
        let once = aws_sdk_kms::config::Builder::new().retry_config(RetryConfig::disabled());
        let request = kms
            .create_key()
            .description(args.description.clone().unwrap_or_default())
            .set_policy(args.policy.clone())
            .set_tags(Some(all.clone()))
            .customize()
            .config_override(once)
            .send();
        let error = match session
            .clients
            .call("kms:CreateKey", subject(&args.alias), request)
            .await
        {
            Ok(made) => break made,
            Err(error) => error,
        };
        let passing = matches!(
            error.kind(),
            Kind::Throttled | Kind::Unreachable | Kind::Timeout | Kind::Other
        );
        if !passing || attempt >= attempts {
            return Err(error.into());
        }
        cx.sleep(WaitPolicy::SHORT.pause(attempt, 1.0)).await?;
        attempt += 1;
        if *error.kind() != Kind::Throttled
            && let Some(key) = orphan(session, &args.alias).await?
        {
            return take(cx, session, args, &key).await;
        }
    };
    let Some(key) = made.key_metadata() else {
        return Err(Error::Bug("kms:CreateKey gave no key".to_owned()));
    };
    Ok(Live {
        id: key.key_id().to_owned(),
        arn: key.arn().unwrap_or_default().to_owned(),
        state: KeyState::Enabled,
        description: args.description.clone(),
        rotation: Some(false),
        policy: args.policy.clone(),
        tags,
    })
}

/// Points the alias to a new key. When somebody else was faster, theirs is the key and ours goes.
async fn name(
    cx: &Context<Ptd>,
    session: &Session,
    args: &EncryptionKeyArgs,
    live: Live,
) -> Result<Live, Error> {
    let kms = session.clients.kms();
    let request = kms
        .create_alias()
        .alias_name(&args.alias)
        .target_key_id(&live.id)
        .send();
    match session
        .clients
        .call("kms:CreateAlias", subject(&args.alias), request)
        .await
    {
        Ok(_) => Ok(live),
        Err(error) if error.is_already_exists() => {
            let Some(winner) = describe(session, &args.alias).await? else {
                return Err(error.into());
            };
            if winner.key_id() == live.id {
                return Ok(live);
            }
            let request = kms
                .schedule_key_deletion()
                .key_id(&live.id)
                .pending_window_in_days(7)
                .send();
            session
                .clients
                .call("kms:ScheduleKeyDeletion", subject(&live.id), request)
                .await?;
            cx.info(format!(
                "{} was made by somebody else meanwhile: their key is taken",
                args.alias
            ))
            .await;
            usable(&args.alias, &winner)?;
            look(session, &winner, args.policy.is_some()).await
        }
        Err(error) => Err(error.into()),
    }
}

/// What others still need the key for; an error where that cannot be found out.
async fn other_users(session: &Session, target: Option<&str>) -> Result<Vec<String>, Error> {
    let unknown = |error: AwsError| -> Error {
        error
            .with_hint(
                "whether other targets use the key cannot be found out, so it is not deleted",
            )
            .into()
    };
    let mut users = Vec::new();
    let own_bucket = target.map(naming::state_bucket);
    let mut token = None;
    loop {
        let request = session
            .clients
            .s3()
            .list_buckets()
            .set_continuation_token(token)
            .send();
        let page = session
            .clients
            .call("s3:ListAllMyBuckets", "the buckets of the account", request)
            .await
            .map_err(unknown)?;
        let names = page.buckets().iter().filter_map(|b| b.name());
        users.extend(
            names
                .filter(|n| n.starts_with("ptd-") && Some(*n) != own_bucket.as_deref())
                .map(|n| format!("bucket {n}")),
        );
        token = page.continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let own = |name: &str| {
        target.is_some_and(|t| {
            name == naming::workload_secret(t)
                || name.starts_with(&format!("{t}-"))
                || name == naming::mimir_auth_secret(t)
                || name == naming::control_room_secret(t)
        })
    };
    let mut token = None;
    loop {
        let request = session
            .clients
            .secrets()
            .list_secrets()
            .set_next_token(token)
            .send();
        let page = session
            .clients
            .call(
                "secretsmanager:ListSecrets",
                "the secrets of the account",
                request,
            )
            .await
            .map_err(unknown)?;
        let managed = page
            .secret_list()
            .iter()
            .filter(|s| {
                s.tags()
                    .iter()
                    .any(|t| t.key() == Some("posit.team/managed-by"))
            })
            .filter_map(|s| s.name());
        users.extend(managed.filter(|n| !own(n)).map(|n| format!("secret {n}")));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(users);
        }
    }
}

impl Resource for EncryptionKey {
    type Provider = Ptd;
    type Args = EncryptionKeyArgs;
    type State = EncryptionKeyState;

    const TOKEN: &'static str = "ptd:aws:EncryptionKey";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "alias", names::kms_alias);
        check_with(checking, "description", names::kms_description);
        check_with(checking, "policy", |text| {
            serde_json::from_str::<serde_json::Value>(text)
                .map(|_| ())
                .map_err(|e| format!("must be JSON: {e}"))
        });
        check_window(checking, "deletionWindowDays");
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        let new = news.get("policy").and_then(|v| v.as_str());
        if let (Some(old), Some(new)) = (old.args.as_ref().and_then(|a| a.policy.as_deref()), new)
            && same_json(old, new)
        {
            diff.ignore(&Path::root().key("policy"));
        }
        let own = news
            .get("tags")
            .and_then(|v| pulumi_provider::from_value(v).ok());
        diff_default_tags(diff, provider, old.state.as_ref().map(|s| &s.tags_all), own);
        diff_place(diff, &old.outputs, news, provider, &["alias"]);
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let (Some(args), None) = (&request.args, &request.old) else {
            return Ok(());
        };
        let session = Session::open(cx, args.region.as_deref(), args.account_id.as_deref()).await?;
        prediction.known("accountId", session.account());
        prediction.known("region", session.region());
        if let Some(key) = describe(&session, &args.alias).await? {
            if !args.adopt {
                return Err(exists_already(&subject(&args.alias), &args.alias));
            }
            usable(&args.alias, &key)?;
            let live = look(&session, &key, args.policy.is_some()).await?;
            let known = state(&session, &args.alias, &live, Hardening::new());
            prediction.known("keyId", known.key_id);
            prediction.known("arn", known.arn);
            prediction.known("aliasArn", known.alias_arn);
            if live.state == KeyState::Enabled {
                prediction.known("secretsProviderUrl", known.secrets_provider_url);
            }
            tell_adoption(cx, &subject(&args.alias), &pending(&session, args, &live)).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: EncryptionKeyArgs,
    ) -> Result<Created<EncryptionKeyState>, Error> {
        let session = Session::open(cx, args.region.as_deref(), args.account_id.as_deref()).await?;
        let alias = args.alias.clone();
        let found = describe(&session, &alias).await?;
        let adopted = found.is_some();
        let live = if let Some(key) = found {
            if !args.adopt {
                return Err(exists_already(&subject(&alias), &alias));
            }
            usable(&alias, &key)?;
            look(&session, &key, args.policy.is_some()).await?
        } else {
            let made = make(cx, &session, &args).await?;
            // Were the run to end here, the tag would find the key again.
            name(cx, &session, &args, made).await?
        };
        let changes = pending(&session, &args, &live);
        let state = converge(cx, &session, &args, None, live).await?;
        if adopted {
            tell_adoption(cx, &subject(&alias), &changes).await;
        }
        Ok(Created { id: alias, state })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let args = prior.as_ref().and_then(|p| p.args.clone());
        let old = prior.and_then(|p| p.state);
        let region = region_of(
            args.as_ref().and_then(|a| a.region.as_deref()),
            old.as_ref().map(|s| s.region.as_str()),
        );
        let account = args.as_ref().and_then(|a| a.account_id.as_deref());
        let session = Session::open(cx, region, account).await?;
        let Some(key) = describe(&session, id).await? else {
            return Ok(None);
        };
        let said_policy = args.as_ref().and_then(|a| a.policy.clone());
        let live = look(&session, &key, said_policy.is_some()).await?;
        if live.state == KeyState::PendingDeletion {
            // It will be gone; the next create finds and restores it.
            return Ok(None);
        }
        let said = args.as_ref().map(|a| a.rotation);
        let before = old
            .as_ref()
            .and_then(|s| s.hardening.get("rotation"))
            .copied();
        let denied = before == Some(HardeningStatus::Denied);
        // Who may not ask goes by what was true before.
        let actual = live
            .rotation
            .unwrap_or(before == Some(HardeningStatus::Applied));
        let rotation = match (live.rotation, said) {
            (None, Some(said)) => said,
            _ => observed(said, actual, denied),
        };
        let status = status(said.flatten(), actual, denied);
        let hardening = Hardening::from([("rotation".to_owned(), status)]);
        let policy = match (said_policy, live.policy.clone()) {
            (Some(said), Some(actual)) if same_json(&said, &actual) => Some(said),
            (Some(_), actual) => actual,
            (None, _) => None,
        };
        let description = match &args {
            Some(args) if args.description.is_none() => None,
            _ => live.description.clone(),
        };
        let mut problems = Vec::new();
        if live.state == KeyState::Disabled {
            problems.push(format!(
                "key {} behind {id} is disabled; enable it in KMS",
                live.id
            ));
        }
        let observed = EncryptionKeyArgs {
            alias: id.to_owned(),
            description,
            rotation,
            policy,
            deletion_window_days: args.as_ref().and_then(|a| a.deletion_window_days),
            allow_delete: args.as_ref().is_some_and(|a| a.allow_delete),
            target: args.as_ref().and_then(|a| a.target.clone()),
            adopt: args.as_ref().is_none_or(|a| a.adopt),
            account_id: args.as_ref().and_then(|a| a.account_id.clone()),
            region: args.as_ref().and_then(|a| a.region.clone()),
            tags: session.own_tags(&live.tags, args.as_ref().and_then(|a| a.tags.as_ref())),
        };
        let state = state(&session, id, &live, hardening);
        Ok(Some(Observed {
            problems,
            ..Observed::new(observed, state)
        }))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: EncryptionKeyArgs,
    ) -> Result<EncryptionKeyState, Error> {
        let region = region_of(
            args.region.as_deref(),
            old.state.as_ref().map(|s| s.region.as_str()),
        );
        let session = Session::open(cx, region, args.account_id.as_deref()).await?;
        let Some(key) = describe(&session, id).await? else {
            return Err(Error::refused(
                format!("key {id} is gone"),
                "Run `pulumi refresh`, then `pulumi up` makes it again",
            ));
        };
        usable(id, &key)?;
        let live = look(&session, &key, args.policy.is_some()).await?;
        converge(cx, &session, &args, old.args.as_ref(), live).await
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        if !args.allow_delete {
            return Err(Error::refused(
                format!("key {id} is not deleted without consent"),
                "Set allowDelete to true, run `pulumi up`, then delete it; or keep it with the option retainOnDelete",
            ));
        }
        let region = old
            .state
            .map(|s| s.region)
            .filter(|r| !r.is_empty())
            .or(args.region);
        let session = Session::open(cx, region.as_deref(), args.account_id.as_deref()).await?;
        let Some(key) = describe(&session, id).await? else {
            return Ok(());
        };
        if key.key_state() == Some(&KeyState::PendingDeletion) {
            return Ok(());
        }
        let users = other_users(&session, args.target.as_deref()).await?;
        if !users.is_empty() {
            return Err(Error::refused(
                format!("key {id} is still needed by others: {}", users.join(", ")),
                "Delete these first, or keep the key with the option retainOnDelete",
            ));
        }
        cx.alive()?;
        // The alias stays until the key is gone: by it a later create finds the key and restores it.
        let days = args.deletion_window_days.unwrap_or(30);
        let request = session
            .clients
            .kms()
            .schedule_key_deletion()
            .key_id(key.key_id())
            .pending_window_in_days(i32::try_from(days).unwrap_or(30))
            .send();
        match session
            .clients
            .call("kms:ScheduleKeyDeletion", subject(id), request)
            .await
        {
            Ok(_) => {
                cx.info(format!("key {id} can be restored for {days} days"))
                    .await;
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
