//! What all Azure resources do alike: whose subscription, which region, tags, and telling of what exists.

use std::time::Duration;

use pulumi_provider::{Change, Checking, Context, Diff, Error, Path, Prediction, PropertyMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arm::{ArmError, PendingOperation, Refusal, ResourceId, growing, region};
use super::clients::AzureSession;
use super::names::{self, Tags};
use crate::Ptd;
use crate::checks::{check_tags, check_with};

pub(super) use crate::defaults::yes;

/// What to do with a deleted thing that has the name of one to be made, and can still be recovered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "azure"))]
pub enum SoftDeleted {
    /// Recover it, with its contents.
    #[default]
    Recover,
    /// Report it as an error.
    Report,
}

/// Opens a session for a resource, from its inputs.
pub(super) async fn open(
    cx: &Context<Ptd>,
    subscription: Option<&str>,
    tenant: Option<&str>,
) -> Result<AzureSession, Error> {
    cx.provider().azure.session(cx, subscription, tenant).await
}

/// Checks the inputs that all Azure resources have.
pub(super) fn check_common(checking: &mut Checking<'_>) {
    check_with(checking, "subscriptionId", names::guid);
    check_with(checking, "tenantId", names::tenant);
    check_with(checking, "resourceGroupName", names::resource_group);
    check_tags(checking, names::tags);
}

/// Checks the region and brings it into its normal form. Where none is given, the resource stays where it is, or goes where the
/// provider's configuration says.
pub(super) fn check_location(checking: &mut Checking<'_>, provider: Option<&Ptd>) {
    if !checking.given("location") {
        let default = checking
            .old::<String>("location")
            .or_else(|| provider.and_then(|ptd| ptd.azure.location()));
        match default {
            Some(default) => checking.set("location", region(&default)),
            // Without a provider nobody can tell.
            None if provider.is_some() => checking.refuse(
                "location",
                "missing required property 'location': name the region, such as eastus2, here or in the provider's azure.location",
            ),
            None => {}
        }
        return;
    }
    check_with(checking, "location", names::location);
    if let Some(given) = checking.known::<String>("location") {
        let normal = region(&given);
        if normal != given {
            checking.set("location", normal);
        }
    }
}

/// Names that differ in the case of letters only are the same to Azure.
pub(super) fn diff_case(diff: &mut Diff, old: &PropertyMap, news: &PropertyMap, inputs: &[&str]) {
    for &name in inputs {
        if let (Some(old), Some(new)) = (
            old.get(name).and_then(|v| v.as_str()),
            news.get(name).and_then(|v| v.as_str()),
        ) && old.eq_ignore_ascii_case(new)
        {
            diff.ignore(&Path::root().key(name));
        }
    }
}

/// Where a resource is: to say explicitly which subscription it was in all the time moves nothing. What is replaced without being
/// renamed has to be deleted first, as creating takes over what exists.
pub(super) fn diff_place(
    diff: &mut Diff,
    old: &PropertyMap,
    news: &PropertyMap,
    provider: Option<&Ptd>,
    identity: &[&str],
) {
    diff_case(diff, old, news, identity);
    for name in ["subscriptionId", "tenantId"] {
        if !diff.touches(name) {
            continue;
        }
        let actual = old.get(name).and_then(|v| v.as_str());
        let default = (name == "subscriptionId")
            .then(|| provider.and_then(|p| p.azure.subscription()))
            .flatten();
        let wanted = match news.get(name) {
            Some(wanted) => wanted.as_str().map(str::to_owned),
            None => default.or_else(|| actual.map(str::to_owned)),
        };
        if let (Some(actual), Some(wanted)) = (actual, wanted)
            && actual.eq_ignore_ascii_case(&wanted)
        {
            let path = Path::root().key(name);
            diff.add(path, Change::Update);
        }
    }
    let moved = identity
        .iter()
        .any(|name| diff.touches(name) && *name != "location");
    diff.delete_before_replace = !moved;
}

/// The tags of a resource, as Azure answers them.
pub(super) fn tags_of(live: &Value) -> Tags {
    live.get("tags")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// What the tags should become: those that the program says and the provider's defaults. Where the program says nothing about tags, what
/// is there stays; ignored keys stay always.
pub(super) fn wanted_tags(session: &AzureSession, actual: &Tags, own: Option<&Tags>) -> Tags {
    let policy = &session.tags;
    let mut wanted: Tags = actual
        .iter()
        .filter(|(key, _)| own.is_none() || policy.ignores(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    wanted.extend(policy.desired(&Tags::new(), own.unwrap_or(&Tags::new())));
    wanted
}

/// The `tags` input that a look at the real tags gives. A program that says nothing about tags goes on saying nothing; what an import finds
/// beyond the provider's defaults is said.
#[expect(
    clippy::option_option,
    reason = "an import says nothing at all, a program may be silent about tags"
)]
pub(super) fn observed_tags(
    session: &AzureSession,
    actual: &Tags,
    prior: Option<Option<&Tags>>,
) -> Option<Tags> {
    let said = match prior {
        Some(None) => return None,
        Some(Some(tags)) => Some(tags),
        None => None,
    };
    let policy = &session.tags;
    let mut own = policy.visible(actual);
    own.retain(|key, value| {
        said.is_some_and(|tags| tags.contains_key(key))
            || policy.default_tags.get(key) != Some(value)
    });
    for (key, value) in said
        .into_iter()
        .flatten()
        .filter(|(k, _)| policy.ignores(k))
    {
        own.insert(key.clone(), value.clone());
    }
    (said.is_some() || !own.is_empty()).then_some(own)
}

/// Predicts what says where a resource is.
pub(super) fn predict_place(prediction: &mut Prediction, session: &AzureSession, id: &ResourceId) {
    prediction.known("armId", id.as_str());
    prediction.known("subscriptionId", &session.subscription);
    prediction.known("tenantId", &session.tenant);
}

/// For [`Job::accepted`]: keeps in the state of the resource `id` what Azure has taken on, beside what is known of it.
pub(super) fn kept<'c, S: Serialize + Send + Sync + 'c>(
    cx: &'c Context<Ptd>,
    id: &ResourceId,
    known: S,
) -> impl Fn(Option<&PendingOperation>) + Send + Sync + use<'c, S> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Kept<'a, S> {
        #[serde(flatten)]
        known: &'a S,
        #[serde(skip_serializing_if = "Option::is_none")]
        pending_operation: Option<&'a PendingOperation>,
    }
    let id = id.to_string();
    move |pending_operation| {
        let known = &known;
        let state = Kept {
            known,
            pending_operation,
        };
        cx.checkpoint(&id, &state);
    }
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
    let policy = provider.azure.tag_policy();
    let desired =
        policy.visible(&policy.desired(&Tags::new(), own.as_ref().unwrap_or(&Tags::new())));
    let missing = desired
        .iter()
        .any(|(key, value)| tags_all.get(key) != Some(value));
    let extra = own.is_some()
        && policy
            .visible(tags_all)
            .keys()
            .any(|key| !desired.contains_key(key));
    if !diff.touches("tags") && (missing || extra) {
        diff.add(Path::root().key("tags"), Change::Update);
    }
}

/// The id that an import names, of the right kind.
pub(super) fn parse_id(id: &str, kind: &str, example: &str) -> Result<ResourceId, Error> {
    let usable = id.parse::<ResourceId>().ok().filter(|id| id.is(kind));
    usable.ok_or_else(|| {
        Error::refused(
            format!("{id:?} is not the id of a {kind}"),
            format!("Use the ARM id, as in {example}"),
        )
    })
}

/// A text within a resource.
pub(super) fn text(value: &Value, path: &[&str]) -> Option<String> {
    at(value, path)?.as_str().map(str::to_owned)
}

/// A switch within a resource.
pub(super) fn flag(value: &Value, path: &[&str]) -> Option<bool> {
    at(value, path)?.as_bool()
}

/// A number within a resource; some services write whole numbers as `2.0`.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<i64> {
    let number = at(value, path)?;
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|f| f.fract() == 0.0)?;
        format!("{float:.0}").parse().ok()
    })
}

/// A value within a resource.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// The refusal to take over what is in another region.
pub(super) fn elsewhere(what: &str, actual: &str, wanted: &str) -> Error {
    Error::refused(
        format!("{what} exists in {actual}, not in {wanted}"),
        format!(
            "Set location to {actual}, or use another name: Azure moves nothing between regions"
        ),
    )
}

/// Keeps a kubeconfig out of messages: as it came, as a whole, and the credentials in it.
pub(super) fn protect_kubeconfig(cx: &Context<Ptd>, encoded: &str, text: &str) {
    cx.protect(encoded);
    cx.protect(text);
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        if matches!(key.trim(), "token" | "password" | "client-key-data") {
            cx.protect(value.trim().trim_matches(['"', '\'']));
        }
    }
}

/// How often a name that was given up here and is still taken is tried again: pauses of 1 s growing to 30 s are some five minutes.
const TAKEN_ATTEMPTS: u32 = 13;

/// Waits where a global name is only taken because giving it up has not come through everywhere. Whether that was waited for.
pub(super) async fn wait_for_name(
    cx: &Context<Ptd>,
    session: &AzureSession,
    id: &ResourceId,
    attempt: &mut u32,
) -> Result<bool, Error> {
    if *attempt >= TAKEN_ATTEMPTS || !session.is_freed(id) {
        return Ok(false);
    }
    cx.status(format!("waits for the name {} to be free again", id.name()))
        .await;
    let pause = growing(*attempt, Duration::from_secs(1), Duration::from_secs(30));
    *attempt += 1;
    cx.sleep(pause).await?;
    Ok(true)
}

/// What is deleted asks for consent first.
pub(super) fn needs_consent(what: &str, loses: &str) -> Error {
    Error::refused(
        format!("{what} is not deleted without consent: {loses}"),
        "Set allowDelete to true, run `pulumi up`, then delete it; or keep it with the option retainOnDelete",
    )
}

/// A resource that an update expects is not there.
pub(super) fn gone(what: &str) -> Error {
    Error::refused(
        format!("{what} is gone"),
        "Run `pulumi refresh`, then `pulumi up` makes it again",
    )
}

/// A failure of a data plane client in the terms of Resource Manager's.
pub(super) fn data_plane(operation: &str, subject: &str, error: &azure_core::Error) -> ArmError {
    use azure_core::error::ErrorKind;
    match error.kind() {
        ErrorKind::HttpResponse {
            status,
            raw_response: Some(raw),
            ..
        } => Refusal::read(
            operation,
            subject,
            u16::from(*status),
            raw.headers(),
            raw.body().as_ref(),
        )
        .into(),
        ErrorKind::HttpResponse {
            status, error_code, ..
        } => Refusal {
            operation: operation.to_owned(),
            subject: subject.to_owned(),
            status: Some(u16::from(*status)),
            code: error_code.clone(),
            message: error.to_string(),
            ..Refusal::default()
        }
        .into(),
        _ => Refusal::unanswered(operation, subject, error).into(),
    }
}
