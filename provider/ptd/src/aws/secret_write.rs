//! Reading and changing a JSON secret that others own fields of as well.
//!
//! A change is a compare-and-set: the new version is stored under a label of its own, and `AWSCURRENT` moves to it only
//! from the version that was read. Whoever loses the race reads again, so nobody's fields are lost.

mod fields;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_secretsmanager::types::Tag;
use pulumi_provider::{Context, Error};

pub(super) use self::fields::Fields;
use super::common::Session;
use super::error::{AwsError, Kind};
use crate::Ptd;
use crate::tags::Tags;

/// The label of the version that readers get.
const CURRENT: &str = "AWSCURRENT";

/// How our own labels begin; the time of writing and a random part follow.
const LABEL: &str = "ptd-write-";

/// When a label of ours that is still there was left behind by a process that was killed: no write takes this long.
const ABANDONED: Duration = Duration::from_hours(1);

/// How often a lost race is tried again; with sixteen writers at once one in a thousand needs twenty tries.
const ATTEMPTS: u32 = 200;

/// How often a refused move is tried again although nobody else seems to have written: reads may lag behind.
const DOUBTS: u32 = 5;

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
    /// Labels of ours and the versions they are on.
    labels: Vec<(String, String)>,
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
            labels: found
                .version_ids_to_stages()
                .into_iter()
                .flatten()
                .flat_map(|(version, labels)| labels.iter().map(move |label| (label, version)))
                .filter(|(label, _)| label.starts_with(LABEL))
                .map(|(label, version)| (label.clone(), version.clone()))
                .collect(),
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
                fields: Fields::default(),
            }));
        }
        Err(error) if error.code() == Some("InvalidRequestException") => {
            let hint =
                "if it waits for deletion, restore it with `aws secretsmanager restore-secret`";
            return Err(error.with_hint(hint).into());
        }
        Err(error) => return Err(error.into()),
    };
    let Some(text) = found.secret_string() else {
        return Err(Error::refused(
            format!("secret {name} holds binary data, not a JSON object"),
            "Move it out of the way, or use another name",
        ));
    };
    // What it holds is not repeated: it is a secret.
    let Some(fields) = Fields::parse(text) else {
        return Err(Error::refused(
            format!("secret {name} does not hold a JSON object"),
            "Correct its value in Secrets Manager, or use another name",
        ));
    };
    fields.protect(|text| cx.protect(text));
    Ok(Some(Current {
        arn: found.arn().unwrap_or_default().to_owned(),
        version: found.version_id().map(str::to_owned),
        fields,
    }))
}

/// A token that makes a repeated request harmless.
pub(super) fn token() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::Bug(format!("the operating system has no random numbers: {e}")))?;
    Ok(hex::encode(bytes))
}

/// Changes the fields of a secret; `change` says whether there is anything to write, and is asked again whenever somebody
/// else was faster. Gives the secret as it is now.
pub(super) async fn change(
    cx: &Context<Ptd>,
    session: &Session,
    name: &str,
    mut change: impl FnMut(&mut Current) -> Result<bool, Error> + Send,
) -> Result<Current, Error> {
    let mut doubts = 0;
    for attempt in 0..ATTEMPTS {
        let Some(mut current) = read(cx, session, name).await? else {
            return Err(Error::refused(
                format!("secret {name} does not exist"),
                "Create it first: ptd:aws:Bootstrap makes the secrets of a target",
            ));
        };
        if !change(&mut current)? {
            return Ok(current);
        }
        cx.alive()?;
        let label = format!("{LABEL}{}-{}", now().as_secs(), token()?);
        let new = put(session, name, &current.fields, &label).await?;
        let refusal = take_over(cx, session, name, current.version.as_deref(), &new).await;
        // The label keeps the version alive for ever, so it goes whoever won. Left behind it does no harm at first, and a
        // later write takes it away.
        if let Err(error) = remove_label(session, name, &label, &new).await {
            cx.debug(format!(
                "the label {label} stays on secret {name} for now: {error}"
            ))
            .await;
        }
        match refusal? {
            None => {
                sweep(cx, session, name).await;
                current.version = Some(new);
                return Ok(current);
            }
            Some(Refusal { error, lost: true }) => {
                tracing::debug!(%error, "secret {name} was changed by somebody else; trying again");
            }
            Some(Refusal { error, lost: false }) => {
                doubts += 1;
                if doubts > DOUBTS || !matches!(error.kind(), Kind::InvalidInput | Kind::Conflict) {
                    return Err(error.into());
                }
            }
        }
        cx.sleep(pause(attempt)).await?;
    }
    Err(Error::refused(
        format!(
            "secret {name} is changed by others all the time: {ATTEMPTS} attempts were not enough"
        ),
        "Run this again when they are done",
    ))
}

/// Why the current label did not move.
struct Refusal {
    error: AwsError,
    /// Somebody else moved it.
    lost: bool,
}

/// Makes the new version the current one, if the one that was read still is; `None` when that worked.
async fn take_over(
    cx: &Context<Ptd>,
    session: &Session,
    name: &str,
    old: Option<&str>,
    new: &str,
) -> Result<Option<Refusal>, Error> {
    // The first version of a secret becomes the current one by itself, unless another was the first.
    if old.is_none() && current_version(cx, session, name).await?.as_deref() == Some(new) {
        return Ok(None);
    }
    let Err(error) = move_current(session, name, old, new).await else {
        return Ok(None);
    };
    // The same code means a lost race and a bad parameter, and an answer may have been lost: the current version tells.
    let current = current_version(cx, session, name).await?;
    if current.as_deref() == Some(new) {
        return Ok(None);
    }
    Ok(Some(Refusal {
        error,
        lost: current.as_deref() != old,
    }))
}

async fn current_version(
    cx: &Context<Ptd>,
    session: &Session,
    name: &str,
) -> Result<Option<String>, Error> {
    Ok(read(cx, session, name)
        .await?
        .and_then(|current| current.version))
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// How long the loser of a race waits: longer each time, and never the same as another loser.
fn pause(attempt: u32) -> Duration {
    let longest = u64::from(20 * (attempt + 1).min(25));
    let mut byte = [0_u8; 1];
    let jitter = getrandom::fill(&mut byte).map_or(128, |()| u64::from(byte[0]));
    Duration::from_millis(longest * jitter / 255)
}

/// Whether a label of ours was left behind.
fn abandoned(label: &str, now: Duration) -> bool {
    let written = label
        .strip_prefix(LABEL)
        .and_then(|rest| rest.split('-').next()?.parse().ok());
    written.is_some_and(|written| now.saturating_sub(Duration::from_secs(written)) > ABANDONED)
}

/// Takes away labels that killed processes left behind; what fails is left to the next write.
async fn sweep(cx: &Context<Ptd>, session: &Session, name: &str) {
    let Ok(Some(described)) = describe(session, name).await else {
        return;
    };
    for (label, version) in described
        .labels
        .iter()
        .filter(|(label, _)| abandoned(label, now()))
    {
        match remove_label(session, name, label, version).await {
            Ok(()) => {
                let told = format!("removed the abandoned label {label} from secret {name}");
                cx.debug(told).await;
            }
            Err(error) => tracing::debug!(%error, label, "an abandoned label stays"),
        }
    }
}

async fn put(session: &Session, name: &str, fields: &Fields, label: &str) -> Result<String, Error> {
    let request = session
        .clients
        .secrets()
        .put_secret_value()
        .secret_id(name)
        .client_request_token(token()?)
        .secret_string(fields.text().as_str())
        .version_stages(label)
        .send();
    let put = session
        .clients
        .call("secretsmanager:PutSecretValue", subject(name), request)
        .await?;
    Ok(put.version_id().unwrap_or_default().to_owned())
}

async fn move_current(
    session: &Session,
    name: &str,
    from: Option<&str>,
    to: &str,
) -> Result<(), AwsError> {
    let request = session
        .clients
        .secrets()
        .update_secret_version_stage()
        .secret_id(name)
        .version_stage(CURRENT)
        .set_remove_from_version_id(from.map(str::to_owned))
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

/// Takes a secret back that waits for deletion, with all that was in it.
pub(super) async fn restore(session: &Session, name: &str) -> Result<(), AwsError> {
    let request = session
        .clients
        .secrets()
        .restore_secret()
        .secret_id(name)
        .send();
    session
        .clients
        .call("secretsmanager:RestoreSecret", subject(name), request)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_labels_of_ours_are_abandoned() {
        let now = Duration::from_secs(1_000_000);
        assert!(abandoned("ptd-write-990000-abc", now));
        assert!(!abandoned("ptd-write-999000-abc", now));
        assert!(!abandoned("ptd-write-1000100-abc", now), "clocks differ");
        assert!(!abandoned("ptd-write-x-abc", now));
        assert!(!abandoned("AWSCURRENT", now));
    }

    #[test]
    fn losers_wait_within_bounds() {
        for attempt in [0, 1, 24, 199] {
            assert!(pause(attempt) <= Duration::from_millis(500));
        }
    }
}
