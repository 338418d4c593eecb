//! `ptd:aws:EncryptionKey`: the KMS key and alias that encrypt the secrets in stacks' states.

mod live;
mod make;
mod users;

use aws_sdk_kms::types::KeyState;
use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Hardening, HardeningStatus, Session, check_common, check_window, diff_default_tags, diff_place,
    observed, region_of, status,
};
use super::names;
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::defaults::yes;
use crate::tags::Tags;
use live::{converge, describe, look, pending, same_json, state, usable};
use make::{make, name};
use users::other_users;

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
    /// credentials' account. A change replaces the key.
    #[schemars(extend("replace" = true))]
    pub account_id: Option<String>,
    /// The region of the key. Default: the provider's. A change replaces the key.
    #[schemars(extend("replace" = true))]
    pub region: Option<String>,
    /// Tags, beside the provider's default tags.
    pub tags: Option<Tags>,
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

fn subject(alias: &str) -> String {
    format!("key {alias}")
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
        diff_default_tags(
            diff,
            provider,
            old.state.as_ref().map(|s| &s.tags_all),
            news,
        );
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
