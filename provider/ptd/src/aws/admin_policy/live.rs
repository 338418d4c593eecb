//! A policy as it is, and bringing it to what it should be.

use aws_sdk_iam::types::{PolicyUsageType, Tag};
use pulumi_provider::{Context, Error};

use super::versions::put_document;
use super::{AdminPolicyArgs, AdminPolicyState};
use crate::Ptd;
use crate::aws::admin_document::{admin_policy_document, decode_document, same_policy};
use crate::aws::common::{Hardening, HardeningStatus, Session, asked_for, harden};
use crate::tags::Tags;

pub(super) struct Live {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) description: Option<String>,
    pub(super) version: String,
    pub(super) document: String,
    pub(super) tags: Tags,
}

pub(super) fn arn_of(session: &Session, path: &str, name: &str) -> String {
    format!(
        "arn:{}:iam::{}:policy{path}{name}",
        session.partition(),
        session.account()
    )
}

pub(super) fn subject(arn: &str) -> String {
    format!("policy {arn}")
}

pub(super) fn wire_tags(tags: &Tags) -> Result<Vec<Tag>, Error> {
    tags.iter()
        .map(|(k, v)| {
            Tag::builder()
                .key(k)
                .value(v)
                .build()
                .map_err(|e| Error::Bug(e.to_string()))
        })
        .collect()
}

/// Looks the policy up; `None` when there is none.
pub(super) async fn look(session: &Session, arn: &str) -> Result<Option<Live>, Error> {
    let request = session.clients.iam().get_policy().policy_arn(arn).send();
    let found = match session
        .clients
        .call("iam:GetPolicy", subject(arn), request)
        .await
    {
        Ok(found) => found,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(policy) = found.policy() else {
        return Ok(None);
    };
    let version = policy.default_version_id().unwrap_or_default().to_owned();
    let request = session
        .clients
        .iam()
        .get_policy_version()
        .policy_arn(arn)
        .version_id(&version)
        .send();
    let detail = session
        .clients
        .call("iam:GetPolicyVersion", subject(arn), request)
        .await?;
    let encoded = detail
        .policy_version()
        .and_then(|v| v.document())
        .unwrap_or_default();
    let document = decode_document(encoded).map_err(|error| {
        Error::refused(
            format!("the document of policy {arn} cannot be read: {error}"),
            "Correct it in IAM",
        )
    })?;
    Ok(Some(Live {
        name: policy.policy_name().unwrap_or_default().to_owned(),
        path: policy.path().unwrap_or("/").to_owned(),
        description: policy
            .description()
            .filter(|d| !d.is_empty())
            .map(str::to_owned),
        version,
        document,
        tags: policy
            .tags()
            .iter()
            .map(|t| (t.key().to_owned(), t.value().to_owned()))
            .collect(),
    }))
}

pub(super) fn wanted(session: &Session, args: &AdminPolicyArgs) -> String {
    args.document
        .clone()
        .unwrap_or_else(|| admin_policy_document(session.partition(), session.account()))
}

pub(super) fn same(one: &str, other: &str) -> bool {
    same_policy(one, other).unwrap_or(false)
}

pub(super) fn pending(session: &Session, args: &AdminPolicyArgs, live: &Live) -> Vec<&'static str> {
    let mut changes = Vec::new();
    if !same(&live.document, &wanted(session, args)) {
        changes.push("document");
    }
    if !session
        .tag_change(&live.tags, args.tags.as_ref())
        .is_empty()
    {
        changes.push("tags");
    }
    changes
}

pub(super) fn state(
    session: &Session,
    arn: &str,
    live: &Live,
    status: HardeningStatus,
) -> AdminPolicyState {
    AdminPolicyState {
        arn: arn.to_owned(),
        account_id: session.account().to_owned(),
        default_version_id: live.version.clone(),
        effective_document: live.document.clone(),
        document_status: Some(status),
        tags_all: session.all_tags(&live.tags),
    }
}

/// Brings an existing policy to what it should be.
pub(super) async fn converge(
    cx: &Context<Ptd>,
    session: &Session,
    arn: &str,
    args: &AdminPolicyArgs,
    mut live: Live,
) -> Result<AdminPolicyState, Error> {
    let document = wanted(session, args);
    let mut status = HardeningStatus::Applied;
    cx.checkpoint(arn, &state(session, arn, &live, status));
    if !same(&live.document, &document) {
        cx.alive()?;
        let put = put_document(session, arn, &document).await;
        let mut outcome = Hardening::new();
        let explicit = args.document.is_some().then_some(true);
        harden(
            cx,
            &mut outcome,
            "document",
            explicit,
            put.as_ref().map(|_| ()).map_err(Clone::clone),
        )
        .await?;
        match put {
            Ok(version) => {
                live.version = version;
                live.document = document;
            }
            Err(_) => status = HardeningStatus::Denied,
        }
        cx.checkpoint(arn, &state(session, arn, &live, status));
    }
    let change = session.tag_change(&live.tags, args.tags.as_ref());
    if !change.set.is_empty() {
        cx.alive()?;
        let tags = wire_tags(&change.set)?;
        let request = session
            .clients
            .iam()
            .tag_policy()
            .policy_arn(arn)
            .set_tags(Some(tags))
            .send();
        session
            .clients
            .call("iam:TagPolicy", subject(arn), request)
            .await
            .map_err(|e| asked_for("tags", e))?;
    }
    if !change.remove.is_empty() {
        cx.alive()?;
        let keys = change.remove.iter().cloned().collect();
        let request = session
            .clients
            .iam()
            .untag_policy()
            .policy_arn(arn)
            .set_tag_keys(Some(keys))
            .send();
        session
            .clients
            .call("iam:UntagPolicy", subject(arn), request)
            .await
            .map_err(|e| asked_for("tags", e))?;
    }
    change.apply(&mut live.tags);
    Ok(state(session, arn, &live, status))
}

/// Who uses the policy, attached or as a boundary.
pub(super) async fn users(session: &Session, arn: &str) -> Result<Vec<String>, Error> {
    let mut users = Vec::new();
    for (usage, how) in [
        (PolicyUsageType::PermissionsPolicy, "attached to"),
        (PolicyUsageType::PermissionsBoundary, "the boundary of"),
    ] {
        let mut marker = None;
        loop {
            let request = session
                .clients
                .iam()
                .list_entities_for_policy()
                .policy_arn(arn)
                .policy_usage_filter(usage.clone())
                .set_marker(marker)
                .send();
            let page = session
                .clients
                .call("iam:ListEntitiesForPolicy", subject(arn), request)
                .await?;
            let roles = page
                .policy_roles()
                .iter()
                .filter_map(|r| r.role_name())
                .map(|n| format!("{how} role {n}"));
            let people = page
                .policy_users()
                .iter()
                .filter_map(|u| u.user_name())
                .map(|n| format!("{how} user {n}"));
            let groups = page
                .policy_groups()
                .iter()
                .filter_map(|g| g.group_name())
                .map(|n| format!("{how} group {n}"));
            users.extend(roles.chain(people).chain(groups));
            marker = page
                .marker()
                .map(str::to_owned)
                .filter(|_| page.is_truncated());
            if marker.is_none() {
                break;
            }
        }
    }
    users.dedup();
    Ok(users)
}
