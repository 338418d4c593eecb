//! Making a key and its alias, once, whatever interrupts it.

use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::types::{KeyMetadata, KeyState, Tag};
use aws_sdk_resourcegroupstagging::types::TagFilter;
use pulumi_provider::{Context, Error};

use super::live::{Live, describe, look, usable, wire_tags};
use super::{EncryptionKeyArgs, subject};
use crate::Ptd;
use crate::aws::common::Session;
use crate::aws::error::{AwsError, Kind};
use crate::aws::retry::WaitPolicy;

/// Put on a key when it is made, so that it is found even if its alias never was.
pub(super) const ALIAS_TAG: &str = "posit.team/alias";

/// A key that an interrupted run made for this alias. Who may not search by tag makes a new one.
pub(super) async fn orphan(session: &Session, alias: &str) -> Result<Option<KeyMetadata>, Error> {
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
pub(super) async fn has_alias(session: &Session, id: &str) -> Result<bool, AwsError> {
    let request = session.clients.kms().list_aliases().key_id(id).send();
    let found = session
        .clients
        .call("kms:ListAliases", subject(id), request)
        .await?;
    Ok(!found.aliases().is_empty())
}

/// Takes a key that was made for this alias and never got it.
pub(super) async fn take(
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
pub(super) async fn make(
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
pub(super) async fn name(
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
