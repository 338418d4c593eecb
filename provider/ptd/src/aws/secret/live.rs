//! A secret as it is, and bringing it to what it should be.

use pulumi_provider::{Context, Error};

use super::{SecretArgs, SecretState};
use crate::Ptd;
use crate::aws::common::Session;
use crate::aws::secret_write::{self, Found};
use crate::tags::Tags;

/// The key of a secret that names none.
pub(super) const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

pub(super) fn state(session: &Session, arn: &str, tags: &Tags) -> SecretState {
    SecretState {
        arn: arn.to_owned(),
        account_id: session.account().to_owned(),
        region: session.region().to_owned(),
        tags_all: session.all_tags(tags),
    }
}

/// What has to change about an existing secret, in the words of the inputs.
pub(super) async fn pending(
    cx: &Context<Ptd>,
    session: &Session,
    args: &SecretArgs,
    found: &Found,
) -> Result<Vec<&'static str>, Error> {
    let mut changes = Vec::new();
    if found.deleted {
        changes.push("restore");
    } else if let Some(current) = secret_write::read(cx, session, &args.name).await?
        && (current.version.is_none() || args.lacks_fields(&current.fields))
    {
        changes.push("fields");
    }
    if args.description.is_some() && args.description != found.description {
        changes.push("description");
    }
    if differs(args.kms_key_id.as_deref(), found.kms_key_id.as_deref()) {
        changes.push("kmsKeyId");
    }
    if !session
        .tag_change(&found.tags, args.tags.as_ref())
        .is_empty()
    {
        changes.push("tags");
    }
    Ok(changes)
}

/// Whether a stated key is another one than the one in use. Nothing stated is fine with any.
pub(super) fn differs(wanted: Option<&str>, actual: Option<&str>) -> bool {
    wanted.is_some_and(|wanted| key_name(wanted) != key_name(actual.unwrap_or(DEFAULT_KEY)))
}

/// An id, `alias/...` or ARN of a key without what goes before the id or alias: the service gives back the form it was given,
/// or the ARN.
pub(super) fn key_name(key: &str) -> &str {
    let resource = if key.starts_with("arn:") {
        key.rsplit(':').next().unwrap_or(key)
    } else {
        key
    };
    resource.strip_prefix("key/").unwrap_or(resource)
}

/// Brings an existing secret to what it should be; gives what that changed.
pub(super) async fn converge(
    cx: &Context<Ptd>,
    session: &Session,
    args: &SecretArgs,
    old: Option<&SecretArgs>,
    found: Found,
) -> Result<(SecretState, Vec<&'static str>), Error> {
    let name = &args.name;
    let mut changes = Vec::new();
    if found.deleted {
        cx.alive()?;
        secret_write::restore(session, name).await?;
        changes.push("restored");
    }
    cx.checkpoint(name, &state(session, &found.arn, &found.tags));
    // Tags first: under the admin policy a secret without the managed-by tag cannot even be read.
    if secret_write::tag(cx, session, name, &found.tags, args.tags.as_ref()).await? {
        changes.push("tags");
    }
    let dropped = old.is_some_and(|old| old.description.is_some() && args.description.is_none());
    let description = args
        .description
        .clone()
        .filter(|d| found.description.as_ref() != Some(d));
    // A key that the program no longer names gives way to the default one; one that it never named stays.
    let default = old
        .is_some_and(|old| old.kms_key_id.is_some())
        .then(|| DEFAULT_KEY.to_owned());
    let key = args
        .kms_key_id
        .clone()
        .or(default)
        .filter(|k| differs(Some(k), found.kms_key_id.as_deref()));
    if description.is_some() || dropped || key.is_some() {
        cx.alive()?;
        let text = description.clone().or_else(|| dropped.then(String::new));
        changes.extend(text.is_some().then_some("description"));
        changes.extend(key.is_some().then_some("kmsKeyId"));
        let request = session
            .clients
            .secrets()
            .update_secret()
            .secret_id(name)
            .set_description(text)
            .set_kms_key_id(key)
            .send();
        session
            .clients
            .call(
                "secretsmanager:UpdateSecret",
                format!("secret {name}"),
                request,
            )
            .await?;
    }
    let mut wrote = false;
    secret_write::change(cx, session, name, |current| {
        let added = args.complete(cx, &mut current.fields)?;
        wrote = added || current.version.is_none();
        Ok(wrote)
    })
    .await?;
    changes.extend(wrote.then_some("fields"));
    let tags = session.desired_tags(args.tags.as_ref());
    let mut actual = found.tags;
    let change = session.tags.change(&actual, &tags);
    actual.extend(change.set);
    actual.retain(|key, _| !change.remove.contains(key));
    Ok((state(session, &found.arn, &actual), changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_key_are_the_same() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let arn = format!("arn:aws:kms:us-east-2:111122223333:key/{id}");
        assert!(!differs(Some(id), Some(&arn)));
        assert!(!differs(Some(&arn), Some(id)));
        assert!(!differs(
            Some("alias/a"),
            Some("arn:aws-cn:kms:cn-north-1:111122223333:alias/a")
        ));
        assert!(differs(Some("alias/a"), Some("alias/b")));
        assert!(differs(Some("alias/a"), None));
        assert!(differs(Some(id), Some("alias/a")));
    }

    #[test]
    fn the_default_key_is_no_key() {
        assert!(!differs(None, Some("alias/a")));
        assert!(!differs(None, None));
        assert!(!differs(Some("alias/aws/secretsmanager"), None));
        assert!(!differs(Some("alias/a"), Some("alias/a")));
    }
}
