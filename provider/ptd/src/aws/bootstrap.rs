//! `ptd:aws:Bootstrap`: everything a target needs before its first Pulumi stack.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use pulumi_provider::{
    Checking, Child, ChildOptions, Component, Construction, Error, OutputValue, Outputs, Path,
    PropertyValue, Registered,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::admin_policy::AdminPolicy;
use super::encryption_key::EncryptionKey;
use super::names;
use super::post_actions::WORKLOAD_FIELDS;
use super::secret::Secret;
use super::state_bucket::{BucketEncryption, StateBucket};
use crate::Ptd;
use crate::checks::{check_tags, check_with};
use crate::defaults::yes;
use crate::target::naming;

/// Everything a Posit Team Dedicated target needs on AWS before its first Pulumi stack can run: the bucket for the
/// stacks' state, the key that encrypts the secrets in it, optionally the admin policy, and the secrets that later steps
/// fill and read.
///
/// It works on a new account as well as on a target that already exists: what is there under the expected name is
/// adopted and brought up to date, and no value of an existing secret is ever changed.
///
/// Children are named after the component: `<name>-state-bucket`, `<name>-encryption-key`, `<name>-admin-policy`,
/// `<name>-workload-secret` and, for each site, `<name>-<site>-secret`, `<name>-<site>-session-secret` and
/// `<name>-<site>-ssh-keys`; for a control room `<name>-mimir-secret` and `<name>-control-secret`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapArgs {
    /// The target's name, which all other names derive from: `acme01-staging`. Lower-case letters, digits and hyphens,
    /// at most 59 characters, because the bucket is called `ptd-<target>`.
    pub target: String,
    /// What kind of target it is. Default `workload`.
    pub kind: Option<BootstrapKind>,
    /// The names of the workload's sites; each gets a site secret, a session secret and a vault for Package Manager's
    /// SSH keys. A control room has none.
    pub sites: Option<Vec<String>>,
    /// The account that everything must be in, 12 digits. With credentials of another account nothing is touched.
    pub account_id: Option<String>,
    /// The target's region. Default: the provider's.
    pub region: Option<String>,
    /// Whether to make the admin policy `PositTeamDedicatedAdmin`, which every role of a workload has as its permissions
    /// boundary. Default `false`: normally it is there already, made together with the admin role.
    #[serde(default)]
    pub create_admin_policy: bool,
    /// Whether to take over what exists under the expected names. Default `true`; with `false` an existing thing is an
    /// error.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// How the state bucket differs from the defaults.
    pub state_bucket: Option<BootstrapBucket>,
    /// How the encryption key differs from the defaults.
    pub encryption_key: Option<BootstrapKey>,
    /// How the secrets differ from the defaults.
    pub secrets: Option<BootstrapSecrets>,
    /// Tags for everything, beside `posit.team/managed-by`, which the admin policy's permissions depend on.
    pub tags: Option<BTreeMap<String, String>>,
}

/// The kind of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "aws"))]
pub enum BootstrapKind {
    /// A workload: runs the products for its sites.
    Workload,
    /// A control room: watches over workloads.
    ControlRoom,
}

/// Settings of a target's state bucket; see `StateBucket`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapBucket {
    /// Whether old versions of objects are kept. Default: on where permitted.
    pub versioning: Option<bool>,
    /// How new objects are encrypted. Default: `AES256` (SSE-S3). `aws:kms` without a key uses the target's own key.
    pub encryption: Option<BucketEncryption>,
    /// Whether all public access is blocked. Default: on where permitted.
    pub block_public_access: Option<bool>,
    /// Whether access without TLS is denied. Default: on where permitted.
    pub tls_only: Option<bool>,
    /// Days after which old versions of objects are removed, at least 1. Default: they are kept.
    pub noncurrent_version_expiration_days: Option<i64>,
    /// Whether deleting the component may delete a bucket that holds objects. Even then it is refused while a stack's
    /// state in it still has resources. Default `false`.
    #[serde(default)]
    pub force_destroy: bool,
}

/// Settings of a target's encryption key; see `EncryptionKey`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapKey {
    /// The key's alias. Default `alias/posit-team-dedicated`, which all targets of an account and region share.
    pub alias: Option<String>,
    /// Whether the key rotates every year. Default: on where permitted.
    pub rotation: Option<bool>,
    /// Whether deleting the component deletes the key, provided that no other target uses it. Default `false`: the key
    /// stays, since what it encrypted is lost without it.
    #[serde(default)]
    pub allow_delete: bool,
    /// Days that a deleted key can still be restored, 7 to 30. Default 30.
    pub deletion_window_days: Option<i64>,
}

/// Settings of a target's secrets; see `Secret`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapSecrets {
    /// Whether deleting the component deletes the secrets. Default `false`: deleting is refused.
    #[serde(default)]
    pub allow_delete: bool,
    /// Days that a deleted secret can still be restored, 7 to 30. Default 30.
    pub recovery_window_days: Option<i64>,
}

/// What the target's Pulumi stacks and later steps need to know.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapOutputs {
    /// The state bucket's name.
    pub bucket: String,
    /// The backend of the target's stacks: `s3://ptd-<target>?region=<region>`.
    pub backend_url: String,
    /// The secrets provider of the target's stacks: `awskms://alias/posit-team-dedicated?region=<region>`.
    pub secrets_provider_url: String,
    /// The encryption key's ARN.
    pub key_arn: String,
    /// The admin policy's ARN, when the component makes it.
    pub admin_policy_arn: Option<String>,
    /// The account that everything is in.
    pub account_id: String,
    /// The region that everything is in.
    pub region: String,
    /// The ARNs of the secrets, by their names.
    pub secret_arns: BTreeMap<String, String>,
    /// Which hardening of the bucket and the key is in force, by its name.
    pub hardening: BTreeMap<String, String>,
}

/// The secret fields of a target, as its later steps expect them.
mod fields {
    use serde_json::{Value, json};

    /// Field and generator of a site's secret; the order is that of the stored JSON.
    const SITE: [(&str, Option<&str>); 18] = [
        ("dev-admin-token", None),
        ("dev-client-secret", None),
        ("dev-db-password", Some("randomString")),
        ("dev-license", None),
        ("dev-user-token", None),
        ("dev-chronicle-api-key", None),
        ("home-auth-map", None),
        ("keycloak-db-user", None),
        ("keycloak-db-password", Some("randomString")),
        ("pkg-db-password", Some("randomString")),
        ("pkg-license", None),
        ("pkg-secret-key", Some("rskey")),
        ("ppm-oidc-client-secret", None),
        ("pub-client-secret", None),
        ("pub-db-password", Some("randomString")),
        ("pub-license", None),
        ("pub-secret-key", Some("rskey")),
        ("pub-chronicle-api-key", None),
    ];

    pub(super) fn plain(names: &[&str]) -> Value {
        names.iter().map(|name| json!({ "name": name })).collect()
    }

    pub(super) fn site() -> Value {
        SITE.iter()
            .map(|(name, generate)| match generate {
                Some(generate) => json!({ "name": name, "generate": generate }),
                None => json!({ "name": name }),
            })
            .collect()
    }

    pub(super) fn control_room() -> Value {
        json!([{ "name": "opsgenie-api-key" }, { "name": "mimir-password-salt", "generate": "bcryptSalt" }])
    }
}

/// The component `ptd:aws:Bootstrap`.
#[derive(Debug)]
pub struct Bootstrap;

impl Component for Bootstrap {
    type Provider = Ptd;
    type Args = BootstrapArgs;
    type Outputs = BootstrapOutputs;

    const TOKEN: &'static str = "ptd:aws:Bootstrap";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        if let Some(target) = checking.known::<String>("target") {
            if let Err(problem) = names::bucket_name(&naming::state_bucket(&target)) {
                let bucket = naming::state_bucket(&target);
                checking.refuse(
                    "target",
                    format!("gives the bucket name '{bucket}': {problem}"),
                );
            }
            for (i, site) in checking
                .known::<Vec<String>>("sites")
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                let secret = naming::site_secret(&target, site);
                let problem = if site.is_empty() {
                    Some("is empty".to_owned())
                } else {
                    names::secret_name(&secret)
                        .err()
                        .map(|p| format!("gives the secret name '{secret}': {p}"))
                };
                if let Some(problem) = problem {
                    checking.fail(Path::root().key("sites").index(i), problem);
                }
            }
        }
        let sites = checking.known::<Vec<String>>("sites").unwrap_or_default();
        for (i, site) in sites.iter().enumerate() {
            if sites[..i].contains(site) {
                checking.fail(
                    Path::root().key("sites").index(i),
                    format!("the site '{site}' is named twice"),
                );
            }
        }
        if checking.known::<BootstrapKind>("kind") == Some(BootstrapKind::ControlRoom)
            && !sites.is_empty()
        {
            checking.refuse("sites", "a control room has no sites");
        }
        check_with(checking, "accountId", names::account_id);
        check_tags(checking, names::tags);
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        let plan = Plan { cx: &cx };
        let (Some(target), true) = (cx.known::<String>("target"), plan.sites_known()) else {
            cx.info("the target's name or its sites are not known yet; what they give is previewed once they are")
                .await;
            return Ok(unknown_outputs());
        };
        let names = plan.secrets(&target);
        let key = plan.key();
        let needs_key = cx
            .known::<BootstrapBucket>("stateBucket")
            .and_then(|b| b.encryption)
            .is_some_and(|e| e.wants_key());
        // Everything at once: only a bucket encrypted with the target's own key has to wait for it.
        let (key, (bucket, (policy, secrets))) = if needs_key {
            let key = cx.register(key).await?;
            let rest = Box::pin(plan.rest(&target, Some(&key), names)).await;
            (Ok(key), rest)
        } else {
            futures::join!(cx.register(key), plan.rest(&target, None, names))
        };
        let (key, bucket, policy) = (key?, bucket?, policy.transpose()?);
        let mut arns = BTreeMap::new();
        let mut waits = Vec::new();
        for (name, secret) in secrets {
            let secret = secret?;
            arns.insert(name, secret.output("arn"));
            waits.push(secret);
        }
        let mut outputs = Outputs::new();
        outputs.insert("bucket".into(), bucket.output("bucket"));
        outputs.insert("backendUrl".into(), bucket.output("backendUrl"));
        outputs.insert(
            "secretsProviderUrl".into(),
            key.output("secretsProviderUrl"),
        );
        outputs.insert("keyArn".into(), key.output("arn"));
        outputs.insert("accountId".into(), bucket.output("accountId"));
        outputs.insert("region".into(), bucket.output("region"));
        outputs.insert("secretArns".into(), PropertyValue::Map(arns));
        outputs.insert(
            "hardening".into(),
            hardening(&[&bucket, &key], cx.preview()),
        );
        if let Some(policy) = policy {
            outputs.insert("adminPolicyArn".into(), policy.output("arn"));
        }
        Ok(outputs)
    }
}

/// In a preview whose inputs are not known, nothing about the outputs is.
fn unknown_outputs() -> Outputs {
    [
        "bucket",
        "backendUrl",
        "secretsProviderUrl",
        "keyArn",
        "accountId",
        "region",
        "secretArns",
        "hardening",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), PropertyValue::UNKNOWN))
    .collect()
}

/// The hardening of several children as one map.
fn hardening(children: &[&Registered], preview: bool) -> PropertyValue {
    let mut merged = BTreeMap::new();
    let mut known = true;
    for child in children {
        match child.known::<BTreeMap<String, String>>("hardening") {
            Some(part) => merged.extend(part.into_iter().map(|(k, v)| (k, PropertyValue::from(v)))),
            // Outside a preview nothing stays unknown: a child that says nothing has nothing to say.
            None => known &= !preview,
        }
    }
    PropertyValue::Output(Box::new(OutputValue {
        value: known.then_some(PropertyValue::Map(merged)),
        secret: false,
        dependencies: children.iter().map(|c| c.urn().to_owned()).collect(),
    }))
}

/// The children of one component.
struct Plan<'a> {
    cx: &'a Construction<Ptd>,
}

type Registration = Result<Registered, Error>;

impl Plan<'_> {
    fn sites_known(&self) -> bool {
        !self.cx.input("sites").has_unknown()
    }

    /// The sites, in order; also those that are there, where they are to stay.
    fn sites(&self, target: &str) -> BTreeSet<String> {
        let kept = self.cx.kept::<BTreeMap<String, Value>>("secretArns");
        let marked = naming::site_session_secret(target, "\n");
        let kept = kept.into_iter().flatten().filter_map(|(secret, _)| {
            let (before, after) = marked.split_once('\n')?;
            let site = secret.strip_prefix(before)?.strip_suffix(after)?;
            Some(site.to_owned())
        });
        let said = self.cx.known::<Vec<String>>("sites").unwrap_or_default();
        said.into_iter().chain(kept).collect()
    }

    fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.cx.name())
    }

    /// What every child is told.
    fn common(&self, child: Child, managed_by: &str, global: bool) -> Child {
        let mut tags: BTreeMap<String, PropertyValue> = BTreeMap::new();
        if let Some(given) = self.cx.known::<BTreeMap<String, String>>("tags") {
            tags.extend(given.into_iter().map(|(k, v)| (k, v.into())));
        }
        tags.insert("posit.team/managed-by".into(), managed_by.into());
        let child = child
            .input("accountId", self.cx.input("accountId"))
            .input("adopt", self.cx.input("adopt"))
            .input("tags", PropertyValue::Map(tags));
        if global {
            child
        } else {
            child.input("region", self.cx.input("region"))
        }
    }

    fn key(&self) -> Child {
        let settings = self
            .cx
            .known::<BootstrapKey>("encryptionKey")
            .unwrap_or_default();
        let alias = settings
            .alias
            .unwrap_or_else(|| naming::KMS_ALIAS.to_owned());
        let child = Child::of::<EncryptionKey>(self.name("encryption-key"))
            .input("alias", alias)
            .input("target", self.cx.input("target"))
            .typed("rotation", &settings.rotation)
            .typed("deletionWindowDays", &settings.deletion_window_days)
            .input("allowDelete", settings.allow_delete)
            // Other targets may live from the same key; without consent it is left where it is.
            .options(ChildOptions {
                retain_on_delete: (!settings.allow_delete).then_some(true),
                ..ChildOptions::default()
            });
        self.common(child, "admin", false)
    }

    fn bucket(&self, target: &str, key: Option<&Registered>) -> Child {
        let settings = self
            .cx
            .known::<BootstrapBucket>("stateBucket")
            .unwrap_or_default();
        let mut child = Child::of::<StateBucket>(self.name("state-bucket"))
            .input("bucket", naming::state_bucket(target))
            .typed("versioning", &settings.versioning)
            .typed("blockPublicAccess", &settings.block_public_access)
            .typed("tlsOnly", &settings.tls_only)
            .typed(
                "noncurrentVersionExpirationDays",
                &settings.noncurrent_version_expiration_days,
            )
            .input("forceDestroy", settings.force_destroy)
            .typed("encryption", &settings.encryption);
        if let Some(key) = key {
            let mut encryption = BTreeMap::new();
            encryption.insert("algorithm".to_owned(), "aws:kms".into());
            encryption.insert("kmsKeyId".to_owned(), key.output("arn"));
            if let Some(bucket_key) = settings.encryption.and_then(|e| e.bucket_key) {
                encryption.insert("bucketKey".to_owned(), bucket_key.into());
            }
            child = child.input("encryption", PropertyValue::Map(encryption));
        }
        self.common(child, "admin", false)
    }

    /// Name in AWS and resource of every secret.
    fn secrets(&self, target: &str) -> Vec<(String, Child)> {
        let settings = self
            .cx
            .known::<BootstrapSecrets>("secrets")
            .unwrap_or_default();
        let make =
            |part: &str, name: String, fields: serde_json::Value, values: Option<PropertyValue>| {
                let child = Child::of::<Secret>(self.name(part))
                    .input("name", name.clone())
                    .input("fields", fields)
                    .input("values", values)
                    .input("allowDelete", settings.allow_delete)
                    .typed("recoveryWindowDays", &settings.recovery_window_days);
                (name, self.common(child, "admin", false))
            };
        let empty = || fields::plain(&[]);
        if self.cx.known("kind") == Some(BootstrapKind::ControlRoom) {
            return vec![
                make(
                    "mimir-secret",
                    naming::mimir_auth_secret(target),
                    empty(),
                    None,
                ),
                make(
                    "control-secret",
                    naming::control_room_secret(target),
                    fields::control_room(),
                    None,
                ),
            ];
        }
        let workload = fields::plain(&WORKLOAD_FIELDS.map(|(field, _)| field));
        let mut all = vec![make(
            "workload-secret",
            naming::workload_secret(target),
            workload,
            None,
        )];
        for site in self.sites(target) {
            let secret = naming::site_secret(target, &site);
            // Databases in the field carry this name: the full name of the secret, dots and all.
            let user = format!("{}_keycloak", secret.replace('-', "_"));
            let values = BTreeMap::from([("keycloak-db-user".to_owned(), user.into())]);
            let values = PropertyValue::Map(values).into_secret();
            all.push(make(
                &format!("{site}-secret"),
                secret,
                fields::site(),
                Some(values),
            ));
            let session = naming::site_session_secret(target, &site);
            all.push(make(
                &format!("{site}-session-secret"),
                session,
                empty(),
                None,
            ));
            let vault = naming::site_ssh_vault(target, &site);
            all.push(make(&format!("{site}-ssh-keys"), vault, empty(), None));
        }
        all
    }

    async fn rest(
        &self,
        target: &str,
        key: Option<&Registered>,
        secrets: Vec<(String, Child)>,
    ) -> (
        Registration,
        (Option<Registration>, Vec<(String, Registration)>),
    ) {
        let policy = async {
            let kept = self.cx.kept::<String>("adminPolicyArn").is_some();
            if kept || self.cx.known::<bool>("createAdminPolicy") == Some(true) {
                // Roles of other targets have it as their boundary: it stays.
                let child =
                    Child::of::<AdminPolicy>(self.name("admin-policy")).options(ChildOptions {
                        retain_on_delete: Some(true),
                        ..ChildOptions::default()
                    });
                Some(
                    self.cx
                        .register(self.common(child, "ptd-bootstrap", true))
                        .await,
                )
            } else {
                None
            }
        };
        let secrets = join_all(
            secrets
                .into_iter()
                .map(|(name, child)| async { (name, self.cx.register(child).await) }),
        );
        let (bucket, policy, secrets) =
            futures::join!(self.cx.register(self.bucket(target, key)), policy, secrets);
        (bucket, (policy, secrets))
    }
}
