//! `ptd:azure:ResourceGroup`: the group that everything of an Azure target is in.

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Prediction, Preview, Prior, PropertyMap,
    Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arm::{Job, PendingOperation, ResourceId, Write, region, state_of};
use super::clients::AzureSession;
use super::common::{
    check_common, check_location, diff_default_tags, diff_place, elsewhere, gone, kept,
    needs_consent, observed_tags, open, parse_id, predict_place, tags_of, text, wanted_tags, yes,
};
use super::names::{self, Tags};
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;

/// The version of the service's interface.
const API: &str = "2021-04-01";
const KIND: &str = "Microsoft.Resources/resourceGroups";

/// A resource group. An existing one is adopted, with its contents.
///
/// Deleting a group deletes all that is in it. It therefore needs `allowDelete` in the state, and `deleteContents` where anything is
/// in it.
///
/// Import id: the ARM id, `/subscriptions/<id>/resourceGroups/<name>`.
///
/// Permissions: `Microsoft.Resources/subscriptions/resourceGroups/read`, `write`, `delete`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceGroupArgs {
    /// The group's name: 1 to 90 letters, digits and `_-.()`, not ending in a dot. A change replaces the group.
    #[schemars(extend("replace" = true))]
    pub name: String,
    /// The region of the group, such as `eastus2`. Default: the provider's `azure.location`. A change replaces the group.
    #[schemars(extend("replace" = true))]
    pub location: Option<String>,
    /// Tags, beside the provider's default tags; keys must not hold `/`. Where none are given, those that are there stay.
    pub tags: Option<Tags>,
    /// Whether the group may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether the group is deleted although something is in it. Default `false`.
    #[serde(default)]
    pub delete_contents: bool,
    /// Whether to take over a group that exists. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The subscription. Default: the provider's. A change replaces the group.
    #[schemars(extend("replace" = true))]
    pub subscription_id: Option<String>,
    /// The tenant that the subscription must be in. In another one nothing is touched. Default: the provider's.
    pub tenant_id: Option<String>,
}

/// What Azure knows about the group.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceGroupState {
    /// The group's ARM id.
    #[schemars(extend("stable" = true))]
    pub arm_id: String,
    /// The subscription it is in.
    #[schemars(extend("stable" = true))]
    pub subscription_id: String,
    /// The tenant it is in.
    #[schemars(extend("stable" = true))]
    pub tenant_id: String,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
    /// An operation that had not ended when this was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_operation: Option<PendingOperation>,
}

/// The resource `ptd:azure:ResourceGroup`.
#[derive(Debug)]
pub struct ResourceGroup;

fn what(name: &str) -> String {
    format!("resource group {name}")
}

fn state(session: &AzureSession, id: &ResourceId, tags: &Tags) -> ResourceGroupState {
    ResourceGroupState {
        arm_id: id.to_string(),
        subscription_id: session.subscription.clone(),
        tenant_id: session.tenant.clone(),
        tags_all: session.tags.visible(tags),
        pending_operation: None,
    }
}

fn is_going(live: &Value) -> bool {
    state_of(live).is_some_and(|state| state.word.eq_ignore_ascii_case("deleting"))
}

/// What about an existing group would change; an error where it is not where it should be.
fn pending(
    session: &AzureSession,
    args: &ResourceGroupArgs,
    live: &Value,
) -> Result<Vec<&'static str>, Error> {
    let actual = region(&text(live, &["location"]).unwrap_or_default());
    if let Some(wanted) = &args.location
        && actual != region(wanted)
    {
        return Err(elsewhere(&what(&args.name), &actual, wanted));
    }
    let tags = tags_of(live);
    let changed = wanted_tags(session, &tags, args.tags.as_ref()) != tags;
    Ok(if changed { vec!["tags"] } else { Vec::new() })
}

/// Brings an existing group to what it should be.
async fn converge(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &ResourceGroupArgs,
    id: &ResourceId,
    live: &Value,
) -> Result<ResourceGroupState, Error> {
    let actual = tags_of(live);
    let wanted = wanted_tags(session, &actual, args.tags.as_ref());
    cx.checkpoint(id.as_str(), &state(session, id, &actual));
    if !pending(session, args, live)?.is_empty() {
        let body = json!({ "tags": wanted });
        session
            .arm
            .patch(&Job::quiet(cx), &Write::new(id, API, Some(&body)))
            .await?;
    }
    Ok(state(session, id, &wanted))
}

impl Resource for ResourceGroup {
    type Provider = Ptd;
    type Args = ResourceGroupArgs;
    type State = ResourceGroupState;

    const TOKEN: &'static str = "ptd:azure:ResourceGroup";

    fn check(checking: &mut Checking<'_>, provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "name", names::resource_group);
        check_location(checking, provider);
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        let tags_all = old.state.as_ref().map(|s| &s.tags_all);
        diff_default_tags(diff, provider, tags_all, news);
        diff_place(diff, &old.outputs, news, provider, &["name", "location"]);
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let (Some(args), None) = (&request.args, &request.old) else {
            return Ok(());
        };
        let session = open(
            cx,
            args.subscription_id.as_deref(),
            args.tenant_id.as_deref(),
        )
        .await?;
        let id = session.group(&args.name);
        predict_place(prediction, &session, &id);
        let live = session.arm.get(cx, &id, API).await?;
        if let Some(live) = live.filter(|live| !is_going(live)) {
            if !args.adopt {
                return Err(exists_already(&what(&args.name), id.as_str()));
            }
            tell_adoption(cx, &what(&args.name), &pending(&session, args, &live)?).await;
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: ResourceGroupArgs,
    ) -> Result<Created<ResourceGroupState>, Error> {
        let session = open(
            cx,
            args.subscription_id.as_deref(),
            args.tenant_id.as_deref(),
        )
        .await?;
        let id = session.group(&args.name);
        let quiet = Job::quiet(cx);
        let live = match session.arm.get(cx, &id, API).await? {
            // One that is being deleted has to be gone first.
            Some(live) => session.arm.settled(&quiet, &id, API, live).await?,
            None => None,
        };
        if let Some(live) = live {
            if !args.adopt {
                return Err(exists_already(&what(&args.name), id.as_str()));
            }
            let changes = pending(&session, &args, &live)?;
            let state = converge(cx, &session, &args, &id, &live).await?;
            tell_adoption(cx, &what(&args.name), &changes).await;
            return Ok(Created {
                id: id.to_string(),
                state,
            });
        }
        let tags = wanted_tags(&session, &Tags::new(), args.tags.as_ref());
        let mut body = json!({ "location": args.location });
        if !tags.is_empty() {
            body["tags"] = json!(tags);
        }
        let made = kept(cx, &id, state(&session, &id, &tags));
        let job = Job {
            run: cx,
            accepted: &made,
        };
        session
            .arm
            .put(&job, &Write::new(&id, API, Some(&body)))
            .await?;
        Ok(Created {
            id: id.to_string(),
            state: state(&session, &id, &tags),
        })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let id = parse_id(id, KIND, "/subscriptions/<id>/resourceGroups/<name>")?;
        let args = prior.and_then(|p| p.args);
        let session = open(
            cx,
            id.subscription_id(),
            args.as_ref().and_then(|a| a.tenant_id.as_deref()),
        )
        .await?;
        let Some(live) = session.arm.get(cx, &id, API).await? else {
            return Ok(None);
        };
        let tags = tags_of(&live);
        let state = state(&session, &id, &tags);
        let prior_tags = args.as_ref().map(|args| args.tags.as_ref());
        let observed = ResourceGroupArgs {
            name: match &args {
                Some(args) => args.name.clone(),
                None => text(&live, &["name"]).unwrap_or_else(|| id.name().to_owned()),
            },
            location: text(&live, &["location"]).map(|l| region(&l)),
            tags: observed_tags(&session, &tags, prior_tags),
            allow_delete: args.as_ref().is_some_and(|a| a.allow_delete),
            delete_contents: args.as_ref().is_some_and(|a| a.delete_contents),
            adopt: args.as_ref().is_none_or(|a| a.adopt),
            subscription_id: args.as_ref().and_then(|a| a.subscription_id.clone()),
            tenant_id: args.as_ref().and_then(|a| a.tenant_id.clone()),
        };
        let mut found = Observed::new(observed, state);
        if is_going(&live) {
            found
                .problems
                .push(format!("{} is being deleted", what(id.name())));
        }
        Ok(Some(found))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        _old: Prior<Self>,
        args: ResourceGroupArgs,
    ) -> Result<ResourceGroupState, Error> {
        let id = parse_id(id, KIND, "/subscriptions/<id>/resourceGroups/<name>")?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let Some(live) = session.arm.get(cx, &id, API).await? else {
            return Err(gone(&what(id.name())));
        };
        converge(cx, &session, &args, &id, &live).await
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        let id = parse_id(id, KIND, "/subscriptions/<id>/resourceGroups/<name>")?;
        if !args.allow_delete {
            return Err(needs_consent(
                &what(id.name()),
                "all that is in it would be lost",
            ));
        }
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        let quiet = Job::quiet(cx);
        let Some(live) = session.arm.get(cx, &id, API).await? else {
            return Ok(());
        };
        if is_going(&live) {
            session.arm.settled(&quiet, &id, API, live).await?;
            return Ok(());
        }
        if !args.delete_contents {
            let inside = session
                .arm
                .list(cx, &format!("{id}/resources"), API, &[])
                .await?;
            if !inside.is_empty() {
                let some: Vec<String> = inside
                    .iter()
                    .take(5)
                    .filter_map(|r| text(r, &["id"]).or_else(|| text(r, &["name"])))
                    .collect();
                return Err(Error::refused(
                    format!(
                        "{} is not deleted, as {} resources are in it, among them {}",
                        what(id.name()),
                        inside.len(),
                        some.join(", ")
                    ),
                    "Delete them first, or set deleteContents to true and run `pulumi up` before the delete",
                ));
            }
        }
        session
            .arm
            .delete(&quiet, &Write::new(&id, API, None))
            .await?;
        Ok(())
    }
}
