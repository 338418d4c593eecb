//! A key as it is, and bringing it to what it should be.

use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState, KeyUsageType, Tag};
use pulumi_provider::{Context, Error};

use super::make::ALIAS_TAG;
use super::{EncryptionKeyArgs, EncryptionKeyState, subject};
use crate::Ptd;
use crate::aws::admin_document;
use crate::aws::common::{Hardening, Session, asked_for, harden};
use crate::aws::error::AwsError;
use crate::tags::Tags;

pub(super) struct Live {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) state: KeyState,
    pub(super) description: Option<String>,
    /// `None` when the credentials may not ask.
    pub(super) rotation: Option<bool>,
    pub(super) policy: Option<String>,
    pub(super) tags: Tags,
}

pub(super) async fn describe(session: &Session, id: &str) -> Result<Option<KeyMetadata>, AwsError> {
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
pub(super) fn usable(alias: &str, key: &KeyMetadata) -> Result<(), Error> {
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
pub(super) async fn look(
    session: &Session,
    key: &KeyMetadata,
    with_policy: bool,
) -> Result<Live, Error> {
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

pub(super) fn wire_tags(tags: &Tags) -> Result<Vec<Tag>, Error> {
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

pub(super) fn state(
    session: &Session,
    alias: &str,
    live: &Live,
    hardening: Hardening,
) -> EncryptionKeyState {
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

pub(super) fn same_json(one: &str, other: &str) -> bool {
    admin_document::same_policy(one, other).unwrap_or(one == other)
}

/// The inputs that would change something about an existing key.
pub(super) fn pending(
    session: &Session,
    args: &EncryptionKeyArgs,
    live: &Live,
) -> Vec<&'static str> {
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

pub(super) async fn restore(
    cx: &Context<Ptd>,
    session: &Session,
    live: &mut Live,
) -> Result<(), Error> {
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

pub(super) async fn rotate(session: &Session, id: &str, on: bool) -> Result<(), AwsError> {
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
pub(super) async fn converge(
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
    change.apply(&mut live.tags);
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
