//! A workload's control room, which is in an account of its own: a component is given one provider of a package, so that it makes
//! another one for what it does there.

use pulumi_provider::{Checking, Component, Construction, Diff, Error, Path, ResourceReference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{AssumeRole, AwsConfig};
use super::names;
use crate::Ptd;
use crate::config::ProviderConfig;
use crate::pipeline::Workload;
use crate::reprise::PersistentReprise;
use crate::target::naming;

/// Where a control room is when nobody says.
const DEFAULT_REGION: &str = "us-east-2";

/// How the names of the providers that reach control rooms end.
const PROVIDER: &str = "-control-room";

/// The role that administers a target, in the target's account.
const ADMIN_ROLE: &str = "admin.posit.team";

/// The control room of a workload, as the workload's `ptd.yaml` describes it in `control_room_cluster_name`, `control_room_account_id`
/// and `control_room_region`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadControlRoom {
    /// The control room's name: `main01-production`. Empty: the workload has none.
    pub name: String,
    /// Its AWS account, 12 digits. It must be given unless `controlRoomProvider` is.
    pub account_id: Option<String>,
    /// Its region. Default `us-east-2`.
    pub region: Option<String>,
}

impl WorkloadControlRoom {
    /// Its region.
    pub(crate) fn region(&self) -> &str {
        self.region
            .as_deref()
            .filter(|region| !region.is_empty())
            .unwrap_or(DEFAULT_REGION)
    }

    /// Checks the inputs `controlRoom` and `controlRoomProvider` of a component.
    pub(crate) fn check(checking: &mut Checking<'_>) {
        let Some(room) = checking
            .known::<Self>("controlRoom")
            .filter(|room| !room.name.is_empty())
        else {
            return;
        };
        let at = |name: &str| Path::root().key("controlRoom").key(name);
        let secret = naming::mimir_auth_secret(&room.name);
        if let Err(problem) = names::secret_name(&secret) {
            checking.fail(
                at("name"),
                format!("gives the secret name '{secret}': {problem}"),
            );
        }
        match &room.account_id {
            Some(account) => {
                if let Err(problem) = names::account_id(account) {
                    checking.fail(at("accountId"), problem);
                }
            }
            None if !checking.given("controlRoomProvider") => checking.fail(
                at("accountId"),
                "must say in which account the control room is, unless controlRoomProvider is given",
            ),
            None => {}
        }
        if let Err(problem) = names::region(room.region()) {
            checking.fail(at("region"), problem);
        }
    }

    /// The provider for the control room's account: the input `controlRoomProvider` where it is given, else a new child
    /// `<component>-control-room` which assumes the control room's admin role with the credentials of the environment, as nothing
    /// says that those of the workload's provider may.
    pub(crate) async fn provider(
        &self,
        cx: &Construction<Ptd>,
    ) -> Result<ResourceReference, Error> {
        if let Some(given) = cx.reference("controlRoomProvider") {
            return Ok(given);
        }
        let own = cx.provider().map(|ptd| ptd.config.clone());
        let config = self.config(own.unwrap_or_default());
        let provider = cx.new_provider(format!("{}{PROVIDER}", cx.name()), &config);
        Ok(cx.register(provider).await?.reference())
    }

    /// The configuration of the provider for its account; everything but credentials is as for the workload.
    fn config(&self, own: ProviderConfig) -> ProviderConfig {
        let account = self.account_id.clone().unwrap_or_default();
        let role = format!(
            "arn:{}:iam::{account}:role/{ADMIN_ROLE}",
            naming::partition(self.region())
        );
        ProviderConfig {
            aws: AwsConfig {
                region: Some(self.region().to_owned()),
                profile: None,
                assume_role: Some(AssumeRole {
                    role_arn: Some(role),
                    ..AssumeRole::default()
                }),
                allowed_account_ids: vec![account],
                forbidden_account_ids: Vec::new(),
                ..own.aws
            },
            ..own
        }
    }
}

/// A provider that a component made for a control room is replaced when the control room is in another account: the entry that it
/// leaves there can only be removed with what reached it. To no other provider may that happen, as all of its resources would be replaced.
pub(crate) fn diff_provider(diff: &mut Diff, urn: &str) {
    let kinds = urn.split("::").nth(2).unwrap_or_default();
    let mut kinds = kinds.rsplit('$').skip(1);
    let ours = [Workload::TOKEN, PersistentReprise::TOKEN];
    if urn.ends_with(PROVIDER)
        && kinds.next().is_some_and(|kind| ours.contains(&kind))
        && diff.touches("allowedAccountIds")
    {
        diff.replace(Path::root().key("allowedAccountIds"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_are_the_control_rooms_and_all_else_is_the_workloads() {
        let room: WorkloadControlRoom = serde_json::from_value(json!({
            "name": "main01-production", "accountId": "111122223333", "region": "us-gov-west-1",
        }))
        .unwrap();
        let own: ProviderConfig = serde_json::from_value(json!({
            "region": "eu-west-1",
            "profile": "workload",
            "assumeRole": {"roleArn": "arn:aws:iam::444455556666:role/x", "externalId": "id"},
            "allowedAccountIds": ["444455556666"],
            "forbiddenAccountIds": ["111122223333"],
            "endpointUrl": "http://127.0.0.1:5000",
            "maxRetries": 3,
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_value(room.config(own)).unwrap(),
            json!({
                "region": "us-gov-west-1",
                "assumeRole": {"roleArn": "arn:aws-us-gov:iam::111122223333:role/admin.posit.team"},
                "allowedAccountIds": ["111122223333"],
                "endpointUrl": "http://127.0.0.1:5000",
                "maxRetries": 3,
            })
        );
    }

    #[test]
    fn only_providers_of_control_rooms_are_replaced() {
        let replaces = |kinds: &str, name: &str, property: &str| {
            let mut diff = Diff::default();
            diff.add(
                Path::root().key(property).index(0),
                pulumi_provider::Change::Update,
            );
            diff_provider(&mut diff, &format!("urn:pulumi:dev::app::{kinds}::{name}"));
            diff.replaces()
        };
        let pipeline = "my:index:All$ptd:index:Workload$pulumi:providers:ptd";
        let reprise = "ptd:index:PersistentReprise$pulumi:providers:ptd";
        for kinds in [pipeline, reprise] {
            assert!(replaces(kinds, "acme-control-room", "allowedAccountIds"));
            assert!(!replaces(kinds, "acme-control-room", "region"));
            assert!(!replaces(kinds, "mine", "allowedAccountIds"));
        }
        let own = "pulumi:providers:ptd";
        assert!(!replaces(own, "acme-control-room", "allowedAccountIds"));
    }

    #[test]
    fn the_region_has_a_default() {
        assert_eq!(WorkloadControlRoom::default().region(), "us-east-2");
    }
}
