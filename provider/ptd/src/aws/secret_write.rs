//! Reading and changing a JSON secret that others own fields of as well.
//!
//! A change is a compare-and-set: the new version is stored under a label of its own, and `AWSCURRENT` moves to it only
//! from the version that was read. Whoever loses the race reads again, so nobody's fields are lost.

use std::time::Duration;

use aws_sdk_secretsmanager::types::Tag;
use pulumi_provider::{Context, Error};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::common::Session;
use super::error::{AwsError, Kind};
use super::tags::Tags;
use crate::Ptd;

/// The label of the version that readers get.
const CURRENT: &str = "AWSCURRENT";

/// How often a lost race is tried again; with sixteen writers at once one in a thousand needs twenty tries.
const ATTEMPTS: u32 = 200;

/// The object in a secret, in its stored order.
pub(super) type Fields = Map<String, Value>;

/// The content of a secret's current version.
pub(super) struct Current {
    pub(super) arn: String,
    /// `None` when the secret has no current version yet.
    pub(super) version: Option<String>,
    pub(super) fields: Fields,
}

/// What is known about a secret beside its content.
pub(super) struct Found {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) tags: Tags,
    pub(super) deleted: bool,
}

fn subject(name: &str) -> String {
    format!("secret {name}")
}

/// Looks a secret up; `None` when there is none.
pub(super) async fn describe(session: &Session, name: &str) -> Result<Option<Found>, AwsError> {
    let request = session
        .clients
        .secrets()
        .describe_secret()
        .secret_id(name)
        .send();
    match session
        .clients
        .call("secretsmanager:DescribeSecret", subject(name), request)
        .await
    {
        Ok(found) => Ok(Some(Found {
            arn: found.arn().unwrap_or_default().to_owned(),
            name: found.name().unwrap_or(name).to_owned(),
            description: found
                .description()
                .filter(|d| !d.is_empty())
                .map(str::to_owned),
            kms_key_id: found.kms_key_id().map(str::to_owned),
            tags: found
                .tags()
                .iter()
                .filter_map(|t| {
                    Some((
                        t.key()?.to_owned(),
                        t.value().unwrap_or_default().to_owned(),
                    ))
                })
                .collect(),
            deleted: found.deleted_date().is_some(),
        })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the current version. A secret without one is empty; one that is no JSON object is an error.
pub(super) async fn read(
    cx: &Context<Ptd>,
    session: &Session,
    name: &str,
) -> Result<Option<Current>, Error> {
    let request = session
        .clients
        .secrets()
        .get_secret_value()
        .secret_id(name)
        // Without the stage some implementations answer with an older version once labels have moved.
        .version_stage(CURRENT)
        .send();
    let found = match session
        .clients
        .call("secretsmanager:GetSecretValue", subject(name), request)
        .await
    {
        Ok(found) => found,
        Err(error) if error.is_not_found() => {
            // Either there is no secret, or it has no current version.
            let described = describe(session, name).await?;
            return Ok(described.map(|d| Current {
                arn: d.arn,
                version: None,
                fields: Fields::new(),
            }));
        }
        Err(error) => return Err(error.into()),
    };
    let Some(text) = found.secret_string() else {
        return Err(Error::refused(
            format!("secret {name} holds binary data, not a JSON object"),
            "Move it out of the way, or use another name",
        ));
    };
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else {
        // What it holds is not repeated: it is a secret.
        return Err(Error::refused(
            format!("secret {name} does not hold a JSON object"),
            "Correct its value in Secrets Manager, or use another name",
        ));
    };
    for value in fields.values().filter_map(Value::as_str) {
        cx.protect(value);
    }
    Ok(Some(Current {
        arn: found.arn().unwrap_or_default().to_owned(),
        version: found.version_id().map(str::to_owned),
        fields,
    }))
}

/// The text that is stored: compact, in the object's order.
pub(super) fn text(fields: &Fields) -> Zeroizing<String> {
    Zeroizing::new(Value::Object(fields.clone()).to_string())
}

/// A token that makes a repeated request harmless.
pub(super) fn token() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::Bug(format!("the operating system has no random numbers: {e}")))?;
    Ok(hex::encode(bytes))
}

/// Changes the fields of a secret; `change` says whether it changed anything, and is asked again whenever somebody else
/// was faster. Gives the fields as they are now.
pub(super) async fn change(
    cx: &Context<Ptd>,
    session: &Session,
    name: &str,
    mut change: impl FnMut(&mut Fields) -> Result<bool, Error> + Send,
) -> Result<Current, Error> {
    for attempt in 0..ATTEMPTS {
        let Some(mut current) = read(cx, session, name).await? else {
            return Err(Error::refused(
                format!("secret {name} does not exist"),
                "Create it first: ptd:aws:Bootstrap makes the secrets of a target",
            ));
        };
        if !change(&mut current.fields)? {
            return Ok(current);
        }
        cx.alive()?;
        let Some(version) = current.version.clone() else {
            put(session, name, &current.fields, CURRENT).await?;
            return Ok(current);
        };
        let label = format!("ptd-{}", token()?);
        let new = put(session, name, &current.fields, &label).await?;
        let moved = move_current(session, name, &version, &new).await;
        // The label keeps the version alive for ever, so it goes whoever won.
        let removed = remove_label(session, name, &label, &new).await;
        match moved {
            Ok(()) => {
                removed?;
                current.version = Some(new);
                return Ok(current);
            }
            Err(error) => {
                // The same code means a lost race and a bad parameter; the current version tells them apart.
                let now = read(cx, session, name).await?.and_then(|c| c.version);
                if now.as_deref() == Some(new.as_str()) {
                    return Ok(Current {
                        version: now,
                        ..current
                    });
                }
                if now.as_deref() == Some(version.as_str())
                    && !matches!(error.kind(), Kind::Conflict)
                {
                    return Err(error.into());
                }
                cx.debug(format!(
                    "secret {name} was changed by somebody else; trying again"
                ))
                .await;
            }
        }
        let longest = u64::from(20 * (attempt + 1).min(25));
        let mut byte = [0_u8; 1];
        let jitter = getrandom::fill(&mut byte).map_or(128, |()| u64::from(byte[0]));
        cx.sleep(Duration::from_millis(longest * jitter / 255))
            .await?;
    }
    Err(Error::refused(
        format!(
            "secret {name} is changed by others all the time: {ATTEMPTS} attempts were not enough"
        ),
        "Run this again when they are done",
    ))
}

async fn put(session: &Session, name: &str, fields: &Fields, label: &str) -> Result<String, Error> {
    let request = session
        .clients
        .secrets()
        .put_secret_value()
        .secret_id(name)
        .client_request_token(token()?)
        .secret_string(text(fields).as_str())
        .version_stages(label)
        .send();
    let put = session
        .clients
        .call("secretsmanager:PutSecretValue", subject(name), request)
        .await?;
    Ok(put.version_id().unwrap_or_default().to_owned())
}

async fn move_current(session: &Session, name: &str, from: &str, to: &str) -> Result<(), AwsError> {
    let request = session
        .clients
        .secrets()
        .update_secret_version_stage()
        .secret_id(name)
        .version_stage(CURRENT)
        .remove_from_version_id(from)
        .move_to_version_id(to)
        .send();
    session
        .clients
        .call(
            "secretsmanager:UpdateSecretVersionStage",
            subject(name),
            request,
        )
        .await
        .map(|_| ())
}

async fn remove_label(
    session: &Session,
    name: &str,
    label: &str,
    version: &str,
) -> Result<(), AwsError> {
    let request = session
        .clients
        .secrets()
        .update_secret_version_stage()
        .secret_id(name)
        .version_stage(label)
        .remove_from_version_id(version)
        .send();
    session
        .clients
        .call(
            "secretsmanager:UpdateSecretVersionStage",
            subject(name),
            request,
        )
        .await
        .map(|_| ())
}

/// Tags in the form the service takes.
pub(super) fn wire_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// Brings the tags of a secret to what they should be.
pub(super) async fn tag(
    cx: &Context<Ptd>,
    session: &Session,
    name: &str,
    actual: &Tags,
    own: Option<&Tags>,
) -> Result<bool, Error> {
    let change = session.tag_change(actual, own);
    if !change.set.is_empty() {
        cx.alive()?;
        let request = session
            .clients
            .secrets()
            .tag_resource()
            .secret_id(name)
            .set_tags(Some(wire_tags(&change.set)))
            .send();
        session
            .clients
            .call("secretsmanager:TagResource", subject(name), request)
            .await?;
    }
    if !change.remove.is_empty() {
        cx.alive()?;
        let request = session
            .clients
            .secrets()
            .untag_resource()
            .secret_id(name)
            .set_tag_keys(Some(change.remove.iter().cloned().collect()))
            .send();
        session
            .clients
            .call("secretsmanager:UntagResource", subject(name), request)
            .await?;
    }
    Ok(!change.is_empty())
}
