//! `ptd:aws:AdminPolicy`: the admin policy that roles have as their permissions boundary.

mod live;
mod versions;

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin_document::{ADMIN_POLICY_DESCRIPTION, ADMIN_POLICY_NAME, admin_policy_document};
use super::common::{HardeningStatus, Session, check_common, diff_default_tags, diff_place};
use super::names;
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::defaults::yes;
use crate::tags::Tags;
use live::{Live, arn_of, converge, look, pending, same, state, subject, users, wanted, wire_tags};
use versions::{delete_version, versions};

/// The managed IAM policy that every role of a Posit Team Dedicated workload has as its permissions boundary.
///
/// A policy of that name that exists is adopted and its document brought up to date, as a new version; the oldest version
/// goes when there are five. Under the policy itself that is forbidden: unless the program states a document, it is then a
/// warning, and the output `documentStatus` says `denied`.
///
/// Deleting needs `allowDelete` in the state, and is refused while the policy is attached or somebody's boundary.
///
/// Import id: the policy's ARN, or its name.
///
/// Permissions: `iam:CreatePolicy`, `GetPolicy`, `GetPolicyVersion`, `ListPolicyVersions`, `CreatePolicyVersion`,
/// `DeletePolicyVersion`, `TagPolicy`, `UntagPolicy`, and to delete `ListEntitiesForPolicy` and `DeletePolicy`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminPolicyArgs {
    /// The policy's name: 1 to 128 letters, digits and `+=,.@_-`. Default `PositTeamDedicatedAdmin`. A change replaces the policy.
    #[serde(default = "default_name")]
    #[schemars(extend("replace" = true))]
    pub name: String,
    /// The policy's path. Default `/`. A change replaces the policy.
    #[serde(default = "default_path")]
    #[schemars(extend("replace" = true))]
    pub path: String,
    /// What the policy is for. IAM cannot change it: a change replaces the policy. Default: that of the policies made by
    /// earlier tools, or what an existing policy has.
    #[schemars(extend("replace" = true))]
    pub description: Option<String>,
    /// The policy document as JSON text, compared by meaning, at most 6144 characters without white space. Default: the
    /// standard admin policy for the account.
    #[schemars(extend("json" = true))]
    pub document: Option<String>,
    /// Whether the policy may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether to take over a policy that exists already. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The account the policy must be in, 12 digits. With credentials of another account nothing is touched. Default:
    /// the credentials' account. A change replaces the policy.
    #[schemars(extend("replace" = true))]
    pub account_id: Option<String>,
    /// Tags, beside the provider's default tags.
    pub tags: Option<Tags>,
}

fn default_name() -> String {
    ADMIN_POLICY_NAME.to_owned()
}

fn default_path() -> String {
    "/".to_owned()
}

/// What AWS knows about the policy.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPolicyState {
    /// The policy's ARN.
    #[schemars(extend("stable" = true))]
    pub arn: String,
    /// The account the policy is in.
    #[schemars(extend("stable" = true))]
    pub account_id: String,
    /// The version of the document that is in force.
    pub default_version_id: String,
    /// The document that is in force.
    pub effective_document: String,
    /// Whether the document in force is the wanted one: `applied`, or `denied` where the credentials may not change it.
    pub document_status: Option<HardeningStatus>,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
}

/// The resource `ptd:aws:AdminPolicy`.
#[derive(Debug)]
pub struct AdminPolicy;

async fn open(cx: &Context<Ptd>, account: Option<&str>) -> Result<Session, Error> {
    // IAM is one service for all regions: it must not fail for want of one.
    let region = cx.provider().aws.region().await.ok();
    Session::open(cx, Some(region.as_deref().unwrap_or("us-east-1")), account).await
}

impl Resource for AdminPolicy {
    type Provider = Ptd;
    type Args = AdminPolicyArgs;
    type State = AdminPolicyState;

    const TOKEN: &'static str = "ptd:aws:AdminPolicy";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "name", names::policy_name);
        check_with(checking, "path", names::policy_path);
        check_with(checking, "description", names::policy_description);
        check_with(checking, "document", names::policy_document);
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        let document = Path::root().key("document");
        let new = news.get("document").and_then(|v| v.as_str());
        if let (Some(old), Some(new)) = (old.args.as_ref().and_then(|a| a.document.as_deref()), new)
            && same(old, new)
        {
            diff.ignore(&document);
        }
        // Saying nothing keeps whatever description there is.
        if !news.contains_key("description") {
            diff.ignore(&Path::root().key("description"));
        }
        diff_default_tags(
            diff,
            provider,
            old.state.as_ref().map(|s| &s.tags_all),
            news,
        );
        diff_place(diff, &old.outputs, news, provider, &["name", "path"]);
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let (Some(args), None) = (&request.args, &request.old) else {
            return Ok(());
        };
        let session = open(cx, args.account_id.as_deref()).await?;
        let arn = arn_of(&session, &args.path, &args.name);
        prediction.known("arn", &arn);
        prediction.known("accountId", session.account());
        if let Some(live) = look(&session, &arn).await? {
            if !args.adopt {
                return Err(exists_already(&subject(&arn), &arn));
            }
            tell_adoption(cx, &subject(&arn), &pending(&session, args, &live)).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: AdminPolicyArgs,
    ) -> Result<Created<AdminPolicyState>, Error> {
        let session = open(cx, args.account_id.as_deref()).await?;
        let arn = arn_of(&session, &args.path, &args.name);
        let document = wanted(&session, &args);
        let tags = session.desired_tags(args.tags.as_ref());
        let description = args
            .description
            .clone()
            .unwrap_or_else(|| ADMIN_POLICY_DESCRIPTION.to_owned());
        cx.alive()?;
        let request = session
            .clients
            .iam()
            .create_policy()
            .policy_name(&args.name)
            .path(&args.path)
            .description(&description)
            .policy_document(&document)
            .set_tags((!tags.is_empty()).then(|| wire_tags(&tags)).transpose()?)
            .send();
        match session
            .clients
            .call("iam:CreatePolicy", subject(&arn), request)
            .await
        {
            Ok(made) => {
                let version = made
                    .policy()
                    .and_then(|p| p.default_version_id())
                    .unwrap_or("v1")
                    .to_owned();
                let live = Live {
                    name: args.name,
                    path: args.path,
                    description: Some(description),
                    version,
                    document,
                    tags,
                };
                let state = state(&session, &arn, &live, HardeningStatus::Applied);
                Ok(Created { id: arn, state })
            }
            Err(error) if error.is_already_exists() || error.is_denied() => {
                // Who may not create a policy may still find it there.
                let Some(live) = look(&session, &arn).await.ok().flatten() else {
                    return Err(error.into());
                };
                if !args.adopt {
                    return Err(exists_already(&subject(&arn), &arn));
                }
                let changes = pending(&session, &args, &live);
                let state = converge(cx, &session, &arn, &args, live).await?;
                tell_adoption(cx, &subject(&arn), &changes).await;
                Ok(Created { id: arn, state })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let args = prior.as_ref().and_then(|p| p.args.clone());
        let old = prior.and_then(|p| p.state);
        let session = open(cx, args.as_ref().and_then(|a| a.account_id.as_deref())).await?;
        let arn = if id.starts_with("arn:") {
            id.to_owned()
        } else {
            arn_of(&session, "/", id)
        };
        let Some(live) = look(&session, &arn).await? else {
            return Ok(None);
        };
        let standard = admin_policy_document(session.partition(), session.account());
        let denied = old.and_then(|s| s.document_status) == Some(HardeningStatus::Denied);
        let said = args.as_ref().and_then(|a| a.document.clone());
        let document = match said {
            Some(said) if same(&said, &live.document) => Some(said),
            None if denied || same(&standard, &live.document) => None,
            _ => Some(live.document.clone()),
        };
        let drifted = denied && !same(&standard, &live.document);
        let status = if drifted {
            HardeningStatus::Denied
        } else {
            HardeningStatus::Applied
        };
        let state = state(&session, &arn, &live, status);
        let observed = AdminPolicyArgs {
            name: live.name,
            path: live.path,
            description: match &args {
                Some(args) if args.description.is_none() => None,
                _ => live.description,
            },
            document,
            allow_delete: args.as_ref().is_some_and(|a| a.allow_delete),
            adopt: args.as_ref().is_none_or(|a| a.adopt),
            account_id: args.as_ref().and_then(|a| a.account_id.clone()),
            tags: session.own_tags(&live.tags, args.as_ref().and_then(|a| a.tags.as_ref())),
        };
        Ok(Some(Observed {
            id: Some(arn),
            ..Observed::new(observed, state)
        }))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        _old: Prior<Self>,
        args: AdminPolicyArgs,
    ) -> Result<AdminPolicyState, Error> {
        let session = open(cx, args.account_id.as_deref()).await?;
        let Some(live) = look(&session, id).await? else {
            return Err(Error::refused(
                format!("policy {id} is gone"),
                "Run `pulumi refresh`, then `pulumi up` makes it again",
            ));
        };
        converge(cx, &session, id, &args, live).await
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        if !args.allow_delete {
            return Err(Error::refused(
                format!("policy {id} is not deleted without consent"),
                "Set allowDelete to true, run `pulumi up`, then delete it; or keep it with the option retainOnDelete",
            ));
        }
        let session = open(cx, args.account_id.as_deref()).await?;
        if look(&session, id).await?.is_none() {
            return Ok(());
        }
        let users = users(&session, id).await?;
        if !users.is_empty() {
            return Err(Error::refused(
                format!("policy {id} is in use: {}", users.join(", ")),
                "Detach it and remove it as a boundary first",
            ));
        }
        cx.alive()?;
        for version in versions(&session, id)
            .await?
            .iter()
            .filter(|v| !v.is_default_version())
        {
            delete_version(&session, id, version.version_id().unwrap_or_default()).await?;
        }
        let request = session.clients.iam().delete_policy().policy_arn(id).send();
        match session
            .clients
            .call("iam:DeletePolicy", subject(id), request)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
