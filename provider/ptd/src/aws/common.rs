//! What all AWS resources do alike: whose account, which region, tags, and hardening that may not be permitted.

use std::collections::BTreeMap;
use std::sync::Arc;

use pulumi_provider::{Change, Checking, Context, Diff, Error, Path, PropertyMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credentials::Caller;
use super::error::AwsError;
use super::names;
use super::region_clients::RegionClients;
use crate::Ptd;
use crate::checks::{check_tags, check_with};
use crate::tags::{TagChange, TagPolicy, Tags};

/// Clients of the right region, with credentials that were found to belong to the right account.
pub(super) struct Session {
    pub(super) clients: Arc<RegionClients>,
    pub(super) caller: Caller,
    pub(super) tags: TagPolicy,
}

impl Session {
    /// Opens the region and checks the account; nothing may be written before.
    pub(super) async fn open(
        cx: &Context<Ptd>,
        region: Option<&str>,
        account: Option<&str>,
    ) -> Result<Self, Error> {
        let aws = &cx.provider().aws;
        let clients = aws.for_region(region).await?;
        let expected: Vec<&str> = account.into_iter().collect();
        let caller = aws.ensure_account(&expected).await?.clone();
        Ok(Self {
            clients,
            caller,
            tags: aws.tag_policy(),
        })
    }

    pub(super) fn region(&self) -> &str {
        self.clients.region()
    }

    pub(super) fn account(&self) -> &str {
        &self.caller.account
    }

    pub(super) fn partition(&self) -> &str {
        &self.caller.partition
    }

    /// What tags a resource should have by what the user said of it.
    pub(super) fn desired_tags(&self, own: Option<&Tags>) -> Tags {
        self.tags.desired(&Tags::new(), own.unwrap_or(&Tags::new()))
    }

    /// What has to change about tags.
    pub(super) fn tag_change(&self, actual: &Tags, own: Option<&Tags>) -> TagChange {
        self.tags.change(actual, &self.desired_tags(own))
    }

    /// The `tags` input that a look at the real tags gives: what is there beyond the provider's defaults.
    pub(super) fn own_tags(&self, actual: &Tags, prior: Option<&Tags>) -> Option<Tags> {
        let mut own = self.tags.visible(actual);
        own.retain(|key, value| {
            let said = prior.is_some_and(|tags| tags.contains_key(key));
            said || self.tags.default_tags.get(key) != Some(value)
        });
        // A key that the program names and the configuration ignores is neither here nor there: say what was said.
        for (key, value) in prior
            .into_iter()
            .flatten()
            .filter(|(key, _)| self.tags.ignores(key))
        {
            own.insert(key.clone(), value.clone());
        }
        (prior.is_some() || !own.is_empty()).then_some(own)
    }

    /// The tags as outputs show them.
    pub(super) fn all_tags(&self, actual: &Tags) -> Tags {
        self.tags.visible(actual)
    }
}

/// The region to look in: what the state says, since an id alone does not. The state of an older version may be silent.
pub(super) fn region_of<'a>(args: Option<&'a str>, state: Option<&'a str>) -> Option<&'a str> {
    args.or(state.filter(|region| !region.is_empty()))
}

/// Changed default tags of the provider show on `tags`, as they change the resource.
pub(super) fn diff_default_tags(
    diff: &mut Diff,
    provider: Option<&Ptd>,
    tags_all: Option<&Tags>,
    news: &PropertyMap,
) {
    let (Some(provider), Some(tags_all)) = (provider, tags_all) else {
        return;
    };
    let own: Option<Tags> = news
        .get("tags")
        .and_then(|tags| pulumi_provider::from_value(tags).ok());
    let policy = provider.aws.tag_policy();
    let expected = policy.visible(&policy.desired(&Tags::new(), &own.unwrap_or_default()));
    if !diff.touches("tags") && expected != policy.visible(tags_all) {
        diff.add(Path::root().key("tags"), Change::Update);
    }
}

/// Where a resource is. `identity` are the inputs that name it within an account and a region.
///
/// To say explicitly what held by default all the time moves nothing. What is replaced without being moved or renamed has
/// to be deleted first: creating takes over what exists, so that the other order would delete what it has just adopted.
pub(super) fn diff_place(
    diff: &mut Diff,
    old: &PropertyMap,
    news: &PropertyMap,
    provider: Option<&Ptd>,
    identity: &[&str],
) {
    let default = provider.and_then(|p| p.aws.configured_region());
    let mut moved = identity.iter().any(|name| diff.touches(name));
    for (name, default) in [("accountId", None), ("region", default)] {
        if !diff.touches(name) {
            continue;
        }
        let actual = old.get(name).and_then(|v| v.as_str());
        let stays = actual.is_some_and(|actual| match news.get(name) {
            Some(wanted) => wanted.as_str() == Some(actual),
            None => default.is_none_or(|default| default == actual),
        });
        if stays {
            let path = Path::root().key(name);
            let change = diff.changes().find(|(p, _)| **p == path).map(|(_, c)| c);
            diff.add(path, change.unwrap_or(Change::Update));
        }
        moved |= !stays;
    }
    diff.delete_before_replace = !moved;
}

/// Checks the inputs that all AWS resources have.
pub(super) fn check_common(checking: &mut Checking<'_>) {
    check_with(checking, "accountId", names::account_id);
    check_with(checking, "region", names::region);
    check_tags(checking, names::tags);
}

/// Checks a window of days in which a deleted thing can be restored.
pub(super) fn check_window(checking: &mut Checking<'_>, name: &str) {
    if let Some(days) = checking.known::<i64>(name)
        && let Err(problem) = names::deletion_window(days)
    {
        checking.refuse(name, problem);
    }
}

/// Whether a protective setting is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "aws"))]
pub enum HardeningStatus {
    /// It is in force.
    Applied,
    /// It is not in force because the credentials lack the permission.
    Denied,
    /// It is not in force because the program says so.
    Off,
}

/// The protective settings of a resource and whether they are in force, by the name of the input.
pub type Hardening = BTreeMap<String, HardeningStatus>;

/// Applies one protective setting. What the user did not ask for explicitly may be denied: that is a warning which names
/// the permission.
pub(super) async fn harden(
    cx: &Context<Ptd>,
    hardening: &mut Hardening,
    name: &str,
    wanted: Option<bool>,
    result: Result<(), AwsError>,
) -> Result<(), Error> {
    let status = match result {
        Ok(()) if wanted == Some(false) => HardeningStatus::Off,
        Ok(()) => HardeningStatus::Applied,
        Err(error) if error.is_denied() && wanted.is_none() => {
            let instead = match name {
                "versioning" | "blockPublicAccess" | "tlsOnly" | "rotation" => {
                    format!(", or set {name} to false to do without")
                }
                _ => String::new(),
            };
            cx.warn(format!(
                "{name} stays as it is: the credentials lack the permission {}. Grant it{instead}",
                error.permission()
            ))
            .await;
            HardeningStatus::Denied
        }
        Err(error) => return Err(asked_for(name, error)),
    };
    hardening.insert(name.to_owned(), status);
    Ok(())
}

/// The failure to do what an input asks for. A denied one names the input, which is the other way out.
pub(super) fn asked_for(input: &str, error: AwsError) -> Error {
    if !error.is_denied() {
        return error.into();
    }
    let permission = error.permission().to_owned();
    error
        .with_hint(format!(
            "the input {input} takes the permission {permission}: grant it, or leave {input} out"
        ))
        .into()
}

/// The input that a look at a protective setting gives. `prior` is what the program said: `None` in an import.
///
/// Absent means on. A setting that was denied and is still off is as it was left, and no drift.
#[expect(
    clippy::option_option,
    reason = "an import says nothing at all, a program may be silent about the setting"
)]
pub(super) fn observed(prior: Option<Option<bool>>, actual: bool, denied: bool) -> Option<bool> {
    match prior {
        Some(Some(_)) => Some(actual),
        Some(None) if denied => None,
        Some(None) | None => (!actual).then_some(false),
    }
}

/// The status that a look at a protective setting gives.
pub(super) fn status(prior: Option<bool>, actual: bool, denied: bool) -> HardeningStatus {
    if actual {
        HardeningStatus::Applied
    } else if denied && prior.is_none() {
        HardeningStatus::Denied
    } else {
        HardeningStatus::Off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_means_on_and_denied_is_no_drift() {
        assert_eq!(observed(None, true, false), None);
        assert_eq!(observed(None, false, false), Some(false));
        assert_eq!(observed(Some(None), false, false), Some(false));
        assert_eq!(observed(Some(None), false, true), None);
        assert_eq!(observed(Some(Some(true)), false, true), Some(false));
        assert_eq!(observed(Some(Some(false)), true, false), Some(true));
    }
}
