//! What is to be done with the outputs of a workload's persistent stack: the fields of the workload's secret, and the password of
//! its metrics in the control room's.
//!
//! Both are components over [`SecretFields`], driven by the outputs themselves: they converge in the run that makes the outputs,
//! whatever the stack did in it.

use std::collections::BTreeMap;

use pulumi_provider::{
    Checking, Child, Component, Construction, Error, Marked, OutputValue, Outputs, PropertyValue,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::check_common;
use super::names;
use super::secret_fields::SecretFields;
use crate::Ptd;
use crate::checks::check_with;
use crate::target::naming;

/// Fields of the workload's secret, and the outputs of the persistent stack that they hold.
pub(crate) const WORKLOAD_FIELDS: [(&str, &str); 7] = [
    ("chronicle-bucket", "chronicle_bucket"),
    ("fs-dns-name", "fs_dns_name"),
    ("fs-root-volume-id", "fs_root_volume_id"),
    ("main-database-id", "db"),
    ("main-database-url", "db_url"),
    ("packagemanager-bucket", "packagemanager_bucket"),
    ("mimir-password", MIMIR_PASSWORD),
];

/// The output of the persistent stack with the password of the workload's metrics.
const MIMIR_PASSWORD: &str = "mimir_password";

/// Fills the fields of a workload's secret `<target>.posit.team` from the outputs of its persistent stack:
///
/// | field | output |
/// |---|---|
/// | `chronicle-bucket` | `chronicle_bucket` |
/// | `fs-dns-name` | `fs_dns_name` |
/// | `fs-root-volume-id` | `fs_root_volume_id` |
/// | `main-database-id` | `db` |
/// | `main-database-url` | `db_url` |
/// | `packagemanager-bucket` | `packagemanager_bucket` |
/// | `mimir-password` | `mimir_password` |
///
/// The secret must exist (`Bootstrap` makes it); its other fields stay as they are. It follows the outputs, so that the first
/// run of a pipeline fills it. An output that is missing or not a text is an error, before anything is written.
///
/// Its child is a `SecretFields` called `<name>-fields`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSecretFieldsArgs {
    /// The workload's name: `acme01-staging`.
    pub target: String,
    /// The outputs of the workload's persistent stack: the output `outputs` of its `Stack`. YAML programs list those that are
    /// needed, `mimir_password: ${persistent.outputs.mimir_password}`, since their language loses the secrets inside a map.
    #[schemars(extend("secret" = true))]
    pub outputs: BTreeMap<String, Marked<Value>>,
    /// Whether deleting the component removes the fields from the secret. Default `false`: they stay.
    #[serde(default)]
    pub remove_on_delete: bool,
    /// The workload's account, 12 digits. With credentials of another account nothing is touched. Default: the credentials'
    /// account.
    pub account_id: Option<String>,
    /// The workload's region. Default: the provider's.
    pub region: Option<String>,
}

/// Where the fields are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSecretFieldsOutputs {
    /// The ARN of the workload's secret.
    pub secret_arn: String,
}

/// The component `ptd:aws:WorkloadSecretFields`.
#[derive(Debug)]
pub struct WorkloadSecretFields;

/// Gives a control room the password with which a workload sends its metrics: the field `<target>` of the secret
/// `<control room>.mimir-auth.posit.team`, from the output `mimir_password` of the workload's persistent stack, as it is. The
/// control room's `cluster` step makes hashes of these entries.
///
/// The secret is in the control room's account: give the component a provider for it. The entries of other workloads stay as they are,
/// also when several workloads write at the same time. Without a control room nothing is done.
///
/// Its child is a `SecretFields` called `<name>-entry`.
///
/// Deleting the component removes the workload's entry alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MimirAuthEntryArgs {
    /// The workload's name: `acme01-staging`.
    pub target: String,
    /// The outputs of the workload's persistent stack: the output `outputs` of its `Stack`. YAML programs list those that are
    /// needed, `mimir_password: ${persistent.outputs.mimir_password}`, since their language loses the secrets inside a map.
    #[schemars(extend("secret" = true))]
    pub outputs: BTreeMap<String, Marked<Value>>,
    /// The control room's name: `main01-production`. Absent or empty: the workload has no control room.
    pub control_room: Option<String>,
    /// Whether to make the secret when there is none. Default `false`: a missing secret is an error.
    #[serde(default)]
    pub create_secret: bool,
    /// The control room's account, 12 digits. With credentials of another account nothing is touched. Default: the credentials'
    /// account.
    pub account_id: Option<String>,
    /// The control room's region. Default: the provider's.
    pub region: Option<String>,
}

/// Where the entry is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MimirAuthEntryOutputs {
    /// The ARN of the control room's secret. Absent when there is no control room.
    pub secret_arn: Option<String>,
}

/// The component `ptd:aws:MimirAuthEntry`.
#[derive(Debug)]
pub struct MimirAuthEntry;

/// The outputs of the persistent stack of a workload.
pub(crate) struct Persistent<'a> {
    /// The workload.
    pub(crate) target: &'a str,
    /// Its stack's outputs, as a stack gives them.
    pub(crate) outputs: &'a PropertyValue,
    /// The stack's full name, where it is known.
    pub(crate) stack: Option<&'a str>,
    /// Whether this is a preview, in which some may not be known.
    pub(crate) preview: bool,
}

impl Persistent<'_> {
    /// The workload's secret with its fields.
    pub(crate) fn workload_secret(&self, name: String) -> Result<Child, Error> {
        self.secret_fields(name, naming::workload_secret(self.target), WORKLOAD_FIELDS)
    }

    /// The control room's secret with the workload's entry.
    pub(crate) fn mimir_entry(&self, name: String, control_room: &str) -> Result<Child, Error> {
        self.secret_fields(
            name,
            naming::mimir_auth_secret(control_room),
            [(self.target, MIMIR_PASSWORD)],
        )
    }

    fn secret_fields<const N: usize>(
        &self,
        name: String,
        secret: String,
        from: [(&str, &str); N],
    ) -> Result<Child, Error> {
        let mut fields = BTreeMap::new();
        let mut problems = Vec::new();
        for (field, output) in from {
            match self.text(output) {
                Ok(value) => {
                    fields.insert(field.to_owned(), value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            return Ok(Child::of::<SecretFields>(name)
                .input("secret", secret)
                .input("fields", PropertyValue::Map(fields)));
        }
        Err(Error::refused(
            format!(
                "secret {secret} cannot be filled from the outputs of {}: {}",
                self.stack(),
                problems.join("; ")
            ),
            "nothing was written; let the stack's program export it as a text, and run again. A YAML program must hand on each output \
             by itself: its language loses the secrets inside a map",
        ))
    }

    /// One output, as a secret with its dependencies.
    fn text(&self, name: &str) -> Result<PropertyValue, String> {
        let wrap = |value: Option<PropertyValue>, inner: &[String]| {
            let mut dependencies = self.dependencies().to_vec();
            dependencies.extend_from_slice(inner);
            PropertyValue::Output(Box::new(OutputValue {
                value,
                secret: true,
                dependencies,
            }))
        };
        let Some(all) = self.outputs.bare() else {
            return Ok(wrap(None, &[]));
        };
        let value = all.as_map().and_then(|all| all.get(name));
        let inner = value.map_or(&[][..], dependencies);
        match value.map(PropertyValue::bare) {
            Some(None) => Ok(wrap(None, inner)),
            Some(Some(PropertyValue::String(text))) => Ok(wrap(Some(text.as_str().into()), inner)),
            None | Some(Some(PropertyValue::Null)) => {
                // A preview that does not know all outputs need not know which there will be.
                if self.preview && self.outputs.has_unknown() {
                    return Ok(wrap(None, inner));
                }
                Err(format!("there is no output '{name}'"))
            }
            Some(Some(other)) => Err(format!(
                "the output '{name}' must be a string, not {}",
                other.kind()
            )),
        }
    }

    fn dependencies(&self) -> &[String] {
        dependencies(self.outputs)
    }

    /// Which stack the outputs are of, in words: by its name or by the resource that they come from.
    fn stack(&self) -> String {
        if let Some(name) = self.stack {
            return format!("stack {name}");
        }
        let resource = self.dependencies().iter().find_map(|urn| {
            let mut parts = urn.splitn(4, "::").skip(2);
            let (ty, name) = (parts.next()?, parts.next()?);
            ["ptd:index:Stack", "ptd:index:StackUpdate"]
                .contains(&ty.rsplit('$').next()?)
                .then(|| name.to_owned())
        });
        match resource {
            Some(name) => format!("stack '{name}'"),
            None => format!("the persistent stack of {}", self.target),
        }
    }
}

/// What a value was computed from, where that is told.
fn dependencies(value: &PropertyValue) -> &[String] {
    match value {
        PropertyValue::Output(output) => &output.dependencies,
        PropertyValue::Secret(inner) => dependencies(inner),
        _ => &[],
    }
}

/// Whether the names that the inputs give are ones that a secret can have.
fn check_secret(checking: &mut Checking<'_>, input: &str, name: fn(&str) -> String) {
    check_with(checking, input, |given| {
        let secret = name(given);
        names::secret_name(&secret)
            .map_err(|problem| format!("gives the secret name '{secret}': {problem}"))
    });
}

/// Checks a workload's name and where it is.
pub(crate) fn check_target(checking: &mut Checking<'_>) {
    check_common(checking);
    if checking.known::<String>("target").as_deref() == Some("") {
        return checking.refuse("target", "must not be empty");
    }
    check_secret(checking, "target", naming::workload_secret);
}

async fn not_known_yet(cx: &Construction<Ptd>) -> Result<Outputs, Error> {
    cx.info("the names of the target or of its control room are not known yet; what they give is previewed once they are")
        .await;
    Ok(Outputs::from([(
        "secretArn".to_owned(),
        PropertyValue::UNKNOWN,
    )]))
}

impl Component for WorkloadSecretFields {
    type Provider = Ptd;
    type Args = WorkloadSecretFieldsArgs;
    type Outputs = WorkloadSecretFieldsOutputs;

    const TOKEN: &'static str = "ptd:aws:WorkloadSecretFields";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        check_target(checking);
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        let Some(target) = cx.known::<String>("target") else {
            return not_known_yet(&cx).await;
        };
        let persistent = Persistent {
            target: &target,
            outputs: &cx.input("outputs"),
            stack: None,
            preview: cx.preview(),
        };
        let child = persistent
            .workload_secret(format!("{}-fields", cx.name()))?
            .input("removeOnDelete", cx.input("removeOnDelete"));
        finish(&cx, child).await
    }
}

/// Registers the fields where the inputs say they are.
async fn finish(cx: &Construction<Ptd>, child: Child) -> Result<Outputs, Error> {
    let child = child
        .input("accountId", cx.input("accountId"))
        .input("region", cx.input("region"));
    let fields = cx.register(child).await?;
    Ok(Outputs::from([(
        "secretArn".to_owned(),
        fields.output("secretArn"),
    )]))
}

impl Component for MimirAuthEntry {
    type Provider = Ptd;
    type Args = MimirAuthEntryArgs;
    type Outputs = MimirAuthEntryOutputs;

    const TOKEN: &'static str = "ptd:aws:MimirAuthEntry";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        check_target(checking);
        check_secret(checking, "controlRoom", naming::mimir_auth_secret);
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        let room = cx.input("controlRoom");
        if room.is_null() || room.as_str() == Some("") {
            cx.info("the workload has no control room: nothing to do")
                .await;
            return Ok(Outputs::new());
        }
        let (Some(target), Some(room)) = (cx.known::<String>("target"), room.as_str()) else {
            return not_known_yet(&cx).await;
        };
        let persistent = Persistent {
            target: &target,
            outputs: &cx.input("outputs"),
            stack: None,
            preview: cx.preview(),
        };
        let child = persistent
            .mimir_entry(format!("{}-entry", cx.name()), room)?
            .input("createSecret", cx.input("createSecret"));
        finish(&cx, child).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn persistent(outputs: &PropertyValue, preview: bool) -> Persistent<'_> {
        Persistent {
            target: "acme01-staging",
            outputs,
            stack: None,
            preview,
        }
    }

    fn output(value: Option<PropertyValue>) -> PropertyValue {
        PropertyValue::Output(Box::new(OutputValue {
            value,
            secret: false,
            dependencies: vec![
                "urn:pulumi:dev::app::aws:s3:Bucket::b".to_owned(),
                "urn:pulumi:dev::app::my:Group$ptd:index:Stack::persistent::a".to_owned(),
            ],
        }))
    }

    fn map(entries: &[(&str, PropertyValue)]) -> PropertyValue {
        let entries = entries.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
        PropertyValue::Map(entries.collect())
    }

    #[test]
    fn every_value_is_secret_and_keeps_what_it_depends_on() {
        let outputs = output(Some(map(&[("db", "one".into())])));
        let PropertyValue::Output(value) = persistent(&outputs, false).text("db").unwrap() else {
            panic!("no output");
        };
        assert!(value.secret);
        assert_eq!(value.value, Some("one".into()));
        assert_eq!(value.dependencies.len(), 2);
    }

    #[test]
    fn only_a_preview_may_know_less_than_all() {
        let unknown = output(None);
        assert!(persistent(&unknown, true).text("db").unwrap().is_unknown());
        let partly = output(Some(map(&[
            ("db", PropertyValue::UNKNOWN),
            ("db_url", "url".into()),
        ])));
        let preview = persistent(&partly, true);
        assert!(preview.text("db").unwrap().is_unknown());
        assert!(preview.text("fs_dns_name").unwrap().is_unknown());
        assert_eq!(preview.text("db_url").unwrap().as_str(), Some("url"));
        assert!(persistent(&partly, false).text("fs_dns_name").is_err());
        let known = output(Some(map(&[("db_url", "url".into())])));
        assert_eq!(
            persistent(&known, true).text("db").unwrap_err(),
            "there is no output 'db'"
        );
    }

    #[test]
    fn the_stack_is_named_as_well_as_it_is_known() {
        let outputs = output(None);
        assert_eq!(
            persistent(&outputs, true).stack(),
            "stack 'persistent::a'",
            "by the resource"
        );
        let named = Persistent {
            stack: Some("organization/p/s"),
            ..persistent(&outputs, true)
        };
        assert_eq!(named.stack(), "stack organization/p/s");
        let nothing = map(&[]);
        assert_eq!(
            persistent(&nothing, true).stack(),
            "the persistent stack of acme01-staging"
        );
    }
}
