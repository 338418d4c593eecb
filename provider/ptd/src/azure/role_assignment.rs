//! `ptd:azure:RoleAssignment`: who may do what on a scope.

use std::time::Duration;

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, PropertyValue, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::arm::{ArmError, Job, ResourceId, Write, growing};
use super::clients::AzureSession;
use super::common::{check_common, gone, open, parse_id, text, yes};
use super::names;
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;

/// The version of the service's interface.
pub(super) const API: &str = "2022-04-01";
const NAMESPACE: &str = "Microsoft.Authorization";
const KIND: &str = "Microsoft.Authorization/roleAssignments";
const EXAMPLE: &str = "<scope>/providers/Microsoft.Authorization/roleAssignments/<guid>";

/// How often a principal that is not found is tried again: pauses of 1 s growing to 30 s are some five minutes.
const PRINCIPAL_ATTEMPTS: u32 = 13;

/// A role of Azure for a principal on a scope.
///
/// Who has the role already keeps it: an existing assignment is adopted, also one that is inherited from the subscription or a management
/// group. A new one gets a name that follows from scope, principal and role, so that making it again finds it.
///
/// A principal that was just made is waited for.
///
/// Deleting removes only what this resource made, or what was imported: what was adopted stays, also where another stack made it under the
/// same name.
///
/// Import id: the assignment's ARM id.
///
/// Permissions: `Microsoft.Authorization/roleAssignments/read`, `write`, `delete`, as in the roles Owner, User Access Administrator and Role
/// Based Access Control Administrator.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignmentArgs {
    /// The ARM id of what the role is for: a resource, a resource group or a subscription. A change replaces the assignment.
    #[schemars(extend("replace" = true))]
    pub scope: String,
    /// The GUID of the role definition, or its ARM id. A change replaces the assignment.
    #[schemars(extend("replace" = true))]
    pub role_definition_id: String,
    /// The object id of the user, group or service principal. A change replaces the assignment.
    #[schemars(extend("replace" = true))]
    pub principal_id: String,
    /// What the principal is; it saves Azure a look into the directory, which may lag behind. Default: Azure looks.
    pub principal_type: Option<PrincipalType>,
    /// Whether the role may come from an assignment further up. With `false` one is made at the scope all the same. Default `true`. A change
    /// to `false` replaces what was accepted from further up.
    #[serde(default = "yes")]
    pub accept_inherited: bool,
    /// Whether to take over an assignment that exists at the scope. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The tenant that the subscription must be in. Default: the provider's.
    pub tenant_id: Option<String>,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("module" = "azure"))]
pub enum PrincipalType {
    /// A person.
    User,
    /// A group of the directory.
    Group,
    /// An application or a managed identity.
    ServicePrincipal,
}

/// What Azure knows about the assignment.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleAssignmentState {
    /// The assignment's ARM id.
    pub arm_id: String,
    /// Whether it was made for something further up.
    pub inherited: bool,
    /// Whether this resource made it, and removes it.
    pub made: bool,
}

/// The resource `ptd:azure:RoleAssignment`.
#[derive(Debug)]
pub struct RoleAssignment;

/// What one assignment says.
pub(super) struct Live {
    pub(super) id: String,
    pub(super) scope: String,
    pub(super) role: String,
    pub(super) principal: String,
    pub(super) kind: Option<String>,
    pub(super) created: Option<String>,
}

/// The trailing GUID of a role definition's id, in lower case: the only part that is always the same.
fn role_guid(id: &str) -> String {
    id.rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

pub(super) fn live(value: &Value) -> Option<Live> {
    Some(Live {
        id: text(value, &["id"])?,
        scope: text(value, &["properties", "scope"]).unwrap_or_default(),
        role: role_guid(&text(value, &["properties", "roleDefinitionId"])?),
        principal: text(value, &["properties", "principalId"])?.to_ascii_lowercase(),
        kind: text(value, &["properties", "principalType"]),
        created: text(value, &["properties", "createdOn"]),
    })
}

/// All assignments at a scope and above.
pub(super) async fn list(
    cx: &Context<Ptd>,
    session: &AzureSession,
    scope: &ResourceId,
) -> Result<Vec<Live>, ArmError> {
    let path = format!("{scope}/providers/{KIND}");
    let all = session
        .arm
        .list(cx, &path, API, &[("$filter", "atScope()")])
        .await?;
    Ok(all.iter().filter_map(live).collect())
}

/// A name that follows from what is assigned: a UUID of version 5.
fn name_of(scope: &ResourceId, principal: &str, role: &str) -> String {
    /// The namespace of all names made here.
    const SPACE: [u8; 16] = [
        0x8c, 0x1d, 0x4b, 0x0e, 0x52, 0x6f, 0x4d, 0x0b, 0x9a, 0x3e, 0x70, 0x74, 0x64, 0x72, 0x62,
        0x61,
    ];
    let text = format!("{scope}|{principal}|{role}").to_ascii_lowercase();
    let digest = Sha1::new()
        .chain_update(SPACE)
        .chain_update(text.as_bytes())
        .finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// An assignment in the parts that make it.
struct Wanted {
    scope: ResourceId,
    role: String,
    principal: String,
    id: ResourceId,
}

fn wanted(args: &RoleAssignmentArgs) -> Result<Wanted, Error> {
    let scope: ResourceId = args
        .scope
        .parse()
        .map_err(|error| Error::input(Path::root().key("scope"), format!("{error}")))?;
    let role = role_guid(&args.role_definition_id);
    let principal = args.principal_id.to_ascii_lowercase();
    let name = name_of(&scope, &principal, &role);
    Ok(Wanted {
        id: scope.provider(NAMESPACE, "roleAssignments", &name),
        scope,
        role,
        principal,
    })
}

impl Wanted {
    fn what(&self) -> String {
        format!(
            "assignment of role {} to {} on {}",
            self.role, self.principal, self.scope
        )
    }

    fn is_here(&self, live: &Live) -> bool {
        live.scope
            .parse::<ResourceId>()
            .is_ok_and(|scope| scope == self.scope)
    }

    fn fits(&self, live: &Live) -> bool {
        live.role == self.role && live.principal == self.principal
    }

    /// The assignment that counts as this one: at the scope itself, or else further up.
    fn find(&self, all: Vec<Live>, inherited: bool) -> Option<Live> {
        let mut fitting: Vec<Live> = all
            .into_iter()
            .filter(|live| self.fits(live) && (inherited || self.is_here(live)))
            .collect();
        let at = fitting.iter().position(|live| self.is_here(live));
        match at {
            Some(at) => Some(fitting.swap_remove(at)),
            None => fitting.pop(),
        }
    }

    /// One that exists. Its name does not tell who made it: all stacks give it the same.
    fn found(&self, live: &Live) -> RoleAssignmentState {
        RoleAssignmentState {
            arm_id: live.id.clone(),
            inherited: !self.is_here(live),
            made: false,
        }
    }
}

async fn make(
    cx: &Context<Ptd>,
    session: &AzureSession,
    args: &RoleAssignmentArgs,
    wanted: &Wanted,
) -> Result<RoleAssignmentState, Error> {
    let definition = ResourceId::subscription(&session.subscription).provider(
        NAMESPACE,
        "roleDefinitions",
        &wanted.role,
    );
    let mut body = json!({"properties": {
        "roleDefinitionId": definition.as_str(),
        "principalId": args.principal_id,
    }});
    if let Some(kind) = args.principal_type {
        body["properties"]["principalType"] = json!(kind);
    }
    let write = Write::new(&wanted.id, API, Some(&body));
    let made = RoleAssignmentState {
        arm_id: wanted.id.to_string(),
        inherited: false,
        made: true,
    };
    let job = Job {
        run: cx,
        accepted: &|_| cx.checkpoint(wanted.id.as_str(), &made),
    };
    let mut attempt = 0;
    loop {
        let Err(error) = session.arm.put(&job, &write).await else {
            return Ok(made);
        };
        if error.is_code(&["RoleAssignmentExists"]) {
            let all = list(cx, session, &wanted.scope).await?;
            return match wanted.find(all, false) {
                Some(live) => Ok(wanted.found(&live)),
                None => Err(error
                    .with_hint("Azure says that it exists, and does not list it: run this again in a minute")
                    .into()),
            };
        }
        if !error.is_code(&["PrincipalNotFound"]) || attempt >= PRINCIPAL_ATTEMPTS {
            return Err(error.into());
        }
        cx.status(format!(
            "waits for the directory to know principal {}",
            args.principal_id
        ))
        .await;
        let pause = growing(attempt, Duration::from_secs(1), Duration::from_secs(30));
        cx.sleep(pause).await?;
        attempt += 1;
    }
}

async fn session_of(
    cx: &Context<Ptd>,
    args: &RoleAssignmentArgs,
    wanted: &Wanted,
) -> Result<AzureSession, Error> {
    open(
        cx,
        wanted.scope.subscription_id(),
        args.tenant_id.as_deref(),
    )
    .await
}

fn inherited_note(live: &Live) -> String {
    format!(
        "the role comes from an assignment at {}: none is made, and that one is never removed from here",
        live.scope
    )
}

impl Resource for RoleAssignment {
    type Provider = Ptd;
    type Args = RoleAssignmentArgs;
    type State = RoleAssignmentState;

    const TOKEN: &'static str = "ptd:azure:RoleAssignment";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "scope", |scope| {
            scope
                .parse::<ResourceId>()
                .map(|_| ())
                .map_err(|e| e.to_string())
        });
        check_with(checking, "roleDefinitionId", |id| {
            names::guid(&role_guid(id))
        });
        check_with(checking, "principalId", names::guid);
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, _provider: Option<&Ptd>) {
        super::common::diff_case(diff, &old.inputs, news, &["scope", "principalId"]);
        let role = |map: &PropertyMap| {
            map.get("roleDefinitionId")
                .and_then(|v| v.as_str())
                .map(role_guid)
        };
        if role(&old.inputs).is_some() && role(&old.inputs) == role(news) {
            diff.ignore(&Path::root().key("roleDefinitionId"));
        }
        let inherited = old.state.as_ref().is_some_and(|state| state.inherited);
        if inherited && news.get("acceptInherited") == Some(&PropertyValue::Bool(false)) {
            diff.replace(Path::root().key("acceptInherited"));
        }
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let (Some(args), None) = (&request.args, &request.old) else {
            return Ok(());
        };
        let wanted = wanted(args)?;
        let session = session_of(cx, args, &wanted).await?;
        let all = list(cx, &session, &wanted.scope).await?;
        match wanted.find(all, args.accept_inherited) {
            Some(live) => {
                let state = wanted.found(&live);
                if !args.adopt && !state.inherited {
                    return Err(exists_already(&wanted.what(), &live.id));
                }
                prediction.known("armId", &state.arm_id);
                prediction.known("inherited", state.inherited);
                prediction.known("made", state.made);
                if state.inherited {
                    cx.info(inherited_note(&live)).await;
                } else {
                    tell_adoption(cx, &wanted.what(), &[]).await;
                }
            }
            None => {
                prediction.known("inherited", false);
            }
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: RoleAssignmentArgs,
    ) -> Result<Created<RoleAssignmentState>, Error> {
        let wanted = wanted(&args)?;
        let session = session_of(cx, &args, &wanted).await?;
        let all = list(cx, &session, &wanted.scope).await?;
        let state = match wanted.find(all, args.accept_inherited) {
            Some(live) => {
                let state = wanted.found(&live);
                if state.inherited {
                    cx.info(inherited_note(&live)).await;
                } else if !args.adopt {
                    return Err(exists_already(&wanted.what(), &live.id));
                } else {
                    tell_adoption(cx, &wanted.what(), &[]).await;
                }
                state
            }
            None => make(cx, &session, &args, &wanted).await?,
        };
        Ok(Created {
            id: state.arm_id.clone(),
            state,
        })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let id = parse_id(id, KIND, EXAMPLE)?;
        let (args, old) = prior.map_or((None, None), |p| (p.args, p.state));
        let wanted = args.as_ref().map(wanted).transpose()?;
        let scope = match &wanted {
            Some(wanted) => wanted.scope.clone(),
            None => id
                .parent()
                .ok_or_else(|| Error::Bug(format!("{id} has no scope")))?,
        };
        let tenant = args.as_ref().and_then(|a| a.tenant_id.clone());
        let session = open(cx, scope.subscription_id(), tenant.as_deref()).await?;
        let Some(found) = session.arm.get(cx, &id, API).await?.as_ref().and_then(live) else {
            return Ok(None);
        };
        let kind = match found.kind.as_deref() {
            Some("User") => Some(PrincipalType::User),
            Some("Group") => Some(PrincipalType::Group),
            Some("ServicePrincipal") => Some(PrincipalType::ServicePrincipal),
            _ => None,
        };
        let observed = match args {
            Some(args) => args,
            None => RoleAssignmentArgs {
                scope: scope.to_string(),
                role_definition_id: found.role.clone(),
                principal_id: found.principal.clone(),
                principal_type: kind,
                accept_inherited: true,
                adopt: true,
                tenant_id: None,
            },
        };
        let state = match &wanted {
            Some(wanted) => RoleAssignmentState {
                made: old.is_some_and(|old| old.made),
                ..wanted.found(&found)
            },
            None => RoleAssignmentState {
                arm_id: found.id.clone(),
                inherited: false,
                made: true,
            },
        };
        Ok(Some(Observed::new(observed, state)))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: RoleAssignmentArgs,
    ) -> Result<RoleAssignmentState, Error> {
        let wanted = wanted(&args)?;
        let session = session_of(cx, &args, &wanted).await?;
        let id = parse_id(id, KIND, EXAMPLE)?;
        let found = session.arm.get(cx, &id, API).await?.as_ref().and_then(live);
        let Some(found) = found else {
            return Err(gone(&wanted.what()));
        };
        Ok(RoleAssignmentState {
            made: old.state.is_some_and(|old| old.made),
            ..wanted.found(&found)
        })
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        let state = old.state.unwrap_or_default();
        if state.inherited || !state.made {
            cx.info("the role assignment stays: it was there before, or further up")
                .await;
            return Ok(());
        }
        let id = parse_id(id, KIND, EXAMPLE)?;
        let session = open(cx, id.subscription_id(), args.tenant_id.as_deref()).await?;
        session
            .arm
            .delete(&Job::quiet(cx), &Write::new(&id, API, None))
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_what_is_assigned() {
        let scope = ResourceId::group("S", "G");
        let name = name_of(&scope, "p", "r");
        assert_eq!(name, name_of(&ResourceId::group("s", "g"), "P", "R"));
        assert_ne!(name, name_of(&scope, "q", "r"));
        assert_eq!(names::guid(&name), Ok(()));
        assert_eq!(&name[14..15], "5");
    }

    /// Case 44.
    #[test]
    fn an_assignment_further_up_counts_unless_it_must_not() {
        let args: RoleAssignmentArgs = serde_json::from_value(json!({
            "scope": "/subscriptions/s/resourceGroups/g",
            "roleDefinitionId": "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/00482A5A-887f-4fb3-b363-3b7fe8e74483",
            "principalId": "AAAAAAAA-887f-4fb3-b363-3b7fe8e74483",
        }))
        .expect("decodes");
        let wanted = wanted(&args).expect("wanted");
        let above = || {
            live(&json!({"id": "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/x", "properties": {
                "scope": "/subscriptions/s",
                "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/00482a5a-887f-4fb3-b363-3b7fe8e74483",
                "principalId": "aaaaaaaa-887f-4fb3-b363-3b7fe8e74483"}}))
            .expect("an assignment")
        };
        let found = wanted.find(vec![above()], true).expect("found");
        assert!(wanted.found(&found).inherited);
        assert!(wanted.find(vec![above()], false).is_none());
    }
}
