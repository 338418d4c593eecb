//! `ptd:aws:Secret`: a JSON secret whose fields are made once and then left to their owners.

mod live;

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::types::Tag;
use pulumi_provider::{
    Change, Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::common::{
    Session, check_common, check_window, diff_default_tags, diff_place, region_of,
};
use super::names;
use super::secret_write::{self, Fields, Found};
use crate::Ptd;
use crate::adoption::{exists_already, tell_adoption};
use crate::checks::check_with;
use crate::defaults::yes;
use crate::generate;
use crate::tags::Tags;
use live::{converge, differs, pending, state};

/// A Secrets Manager secret that holds a JSON object.
///
/// The resource sees to it that certain fields are there; what is in them belongs to whoever filled them. A field gets
/// its initial or generated value when it is missing, and never again: no update, refresh or adoption changes the value of
/// a field that exists, and fields that the program does not know are left alone.
///
/// A secret that exists already is adopted; one that waits for deletion is restored with its values.
///
/// Deleting needs `allowDelete` in the state, and leaves the recovery window to change your mind.
///
/// Import id: the secret's name.
///
/// Permissions: `secretsmanager:CreateSecret`, `DescribeSecret`, `GetSecretValue`, `PutSecretValue`, `UpdateSecret`,
/// `UpdateSecretVersionStage`, `RestoreSecret`, `TagResource`, `UntagResource`, and to delete `DeleteSecret`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretArgs {
    /// The secret's name, 1 to 512 letters, digits and `/_+=.@-`. A change replaces the secret.
    #[schemars(extend("replace" = true))]
    pub name: String,
    /// What the secret is for. Default: none.
    pub description: Option<String>,
    /// The KMS key that encrypts the secret: id, ARN or alias. Default: the account's own `aws/secretsmanager`.
    pub kms_key_id: Option<String>,
    /// The fields that have to be there, in the order in which they are stored when the secret is made. Default: none,
    /// which makes an empty object.
    pub fields: Option<Vec<SecretField>>,
    /// Initial values of fields, by their names. A field with neither an initial value nor a generator starts empty.
    pub values: Option<BTreeMap<String, pulumi_provider::Secret<String>>>,
    /// Days that the deleted secret can still be restored, 7 to 30. Default 30.
    pub recovery_window_days: Option<i64>,
    /// Whether the secret may be deleted. It counts once an update has put it into the state. Default `false`.
    #[serde(default)]
    pub allow_delete: bool,
    /// Whether to take over a secret that exists already. Default `true`.
    #[serde(default = "yes")]
    pub adopt: bool,
    /// The account the secret must be in, 12 digits. With credentials of another account nothing is touched. Default:
    /// the credentials' account. A change replaces the secret.
    #[schemars(extend("replace" = true))]
    pub account_id: Option<String>,
    /// The region of the secret. Default: the provider's. A change replaces the secret.
    #[schemars(extend("replace" = true))]
    pub region: Option<String>,
    /// Tags, beside the provider's default tags.
    pub tags: Option<Tags>,
}

/// A field that a secret must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "aws"))]
pub struct SecretField {
    /// The field's name.
    pub name: String,
    /// How to make its value when it is missing. Default: it starts with its initial value, or empty.
    pub generate: Option<SecretGenerator>,
    /// The length of a `randomString`, 8 to 1024 characters. Default 30, which is about 178 bits.
    pub length: Option<i64>,
}

/// A way to make a secret value. All draw from the operating system's random source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("module" = "aws"))]
pub enum SecretGenerator {
    /// Letters and digits, each equally likely.
    RandomString,
    /// A key for Connect, Workbench or Package Manager in the format of rskey: 512 bytes as 1024 hexadecimal digits.
    Rskey,
    /// A salt for bcrypt with cost 12, such as `$2b$12$` and 22 characters.
    BcryptSalt,
}

/// What AWS knows about a secret, without what is in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretState {
    /// The secret's ARN.
    #[schemars(extend("stable" = true))]
    pub arn: String,
    /// The account the secret is in.
    #[schemars(extend("stable" = true))]
    pub account_id: String,
    /// The region the secret is in.
    #[schemars(extend("stable" = true))]
    pub region: String,
    /// All tags, with the provider's default tags.
    pub tags_all: Tags,
}

/// The resource `ptd:aws:Secret`.
#[derive(Debug)]
pub struct Secret;

const DEFAULT_LENGTH: i64 = 30;

impl SecretArgs {
    fn field_list(&self) -> &[SecretField] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// Adds the fields that are missing; whether there were any.
    fn complete(&self, cx: &Context<Ptd>, fields: &mut Fields) -> Result<bool, Error> {
        let mut added = false;
        for field in self.field_list() {
            if fields.contains(&field.name) {
                continue;
            }
            added = true;
            let initial = self.values.as_ref().and_then(|v| v.get(&field.name));
            match (initial, field.generate) {
                (Some(value), _) => fields.set(&field.name, value.expose()),
                (None, Some(generator)) => {
                    let made = generator.make(field.length.unwrap_or(DEFAULT_LENGTH))?;
                    cx.protect(&made);
                    fields.set(&field.name, &made)
                }
                (None, None) => fields.set(&field.name, ""),
            };
        }
        Ok(added)
    }

    fn lacks_fields(&self, fields: &Fields) -> bool {
        self.field_list()
            .iter()
            .any(|field| !fields.contains(&field.name))
    }
}

impl SecretGenerator {
    fn make(self, length: i64) -> Result<Zeroizing<String>, Error> {
        let made = match self {
            Self::RandomString => {
                generate::random_alphanumeric(usize::try_from(length).unwrap_or(30))
            }
            Self::Rskey => generate::rskey(),
            Self::BcryptSalt => generate::bcrypt_salt(),
        };
        made.map_err(|error| Error::Bug(error.to_string()))
    }
}

/// Only a field that has to be added is a change: the order, the generators and the fields that the program no longer names
/// make no difference to a secret that has them.
fn diff_fields(diff: &mut Diff, old: &Prior<Secret>, news: &PropertyMap) {
    let listed = |inputs: &PropertyMap| match inputs.get("fields") {
        None => Some(Vec::new()),
        Some(fields) => pulumi_provider::from_value::<Vec<SecretField>>(fields).ok(),
    };
    // What is not known yet may turn out to be anything.
    let (Some(before), Some(now)) = (listed(&old.inputs), listed(news)) else {
        return;
    };
    let fields = Path::root().key("fields");
    diff.ignore(&fields);
    for (i, field) in now.iter().enumerate() {
        if before.iter().all(|other| other.name != field.name) {
            diff.add(fields.index(i), Change::Add);
        }
    }
}

/// The refusal to take over a secret that is there, or waits for deletion.
fn not_adopted(name: &str, found: &Found) -> Error {
    if found.deleted {
        Error::refused(
            format!("secret {name} waits for deletion, and adopt is false"),
            "Set adopt to true to restore it with its values, or wait until it is gone",
        )
    } else {
        exists_already(&format!("secret {name}"), name)
    }
}

impl Resource for Secret {
    type Provider = Ptd;
    type Args = SecretArgs;
    type State = SecretState;

    const TOKEN: &'static str = "ptd:aws:Secret";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "name", names::secret_name);
        check_with(checking, "description", names::secret_description);
        check_window(checking, "recoveryWindowDays");
        let fields = checking
            .known::<Vec<SecretField>>("fields")
            .unwrap_or_default();
        for (i, field) in fields.iter().enumerate() {
            let path = Path::root().key("fields").index(i);
            if field.name.is_empty() {
                checking.fail(path.key("name"), "must not be empty");
            }
            if fields[..i].iter().any(|other| other.name == field.name) {
                checking.fail(
                    path.key("name"),
                    format!("the field '{}' is named twice", field.name),
                );
            }
            if field.length.is_some() && field.generate != Some(SecretGenerator::RandomString) {
                checking.fail(path.key("length"), "is for generate: randomString only");
            } else if field
                .length
                .is_some_and(|length| !(8..=1024).contains(&length))
            {
                checking.fail(path.key("length"), "must be 8 to 1024");
            }
        }
        if let Some(values) = checking.known::<BTreeMap<String, Value>>("values") {
            for name in values
                .keys()
                .filter(|name| !fields.iter().any(|f| f.name == **name))
            {
                checking.fail(
                    Path::root().key("values").key(name),
                    format!("there is no field '{name}' in fields"),
                );
            }
        }
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        // An initial value has done its work once the field is there, and so has a generator.
        diff.ignore(&Path::root().key("values"));
        diff_fields(diff, old, news);
        diff_default_tags(
            diff,
            provider,
            old.state.as_ref().map(|s| &s.tags_all),
            news,
        );
        diff_place(diff, &old.outputs, news, provider, &["name"]);
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        let Some(args) = &request.args else {
            return Ok(());
        };
        let session = Session::open(cx, args.region.as_deref(), args.account_id.as_deref()).await?;
        prediction.known(
            "tagsAll",
            session.all_tags(&session.desired_tags(args.tags.as_ref())),
        );
        if request.old.is_some() {
            return Ok(());
        }
        prediction.known("accountId", session.account());
        prediction.known("region", session.region());
        if let Some(found) = secret_write::describe(&session, &args.name).await? {
            if !args.adopt {
                return Err(not_adopted(&args.name, &found));
            }
            prediction.known("arn", &found.arn);
            let changes = pending(cx, &session, args, &found).await?;
            tell_adoption(cx, &format!("secret {}", args.name), &changes).await;
        }
        Ok(())
    }

    async fn create(cx: &Context<Ptd>, args: SecretArgs) -> Result<Created<SecretState>, Error> {
        let session = Session::open(cx, args.region.as_deref(), args.account_id.as_deref()).await?;
        let name = args.name.clone();
        let mut fields = Fields::default();
        args.complete(cx, &mut fields)?;
        let tags = session.desired_tags(args.tags.as_ref());
        cx.alive()?;
        // Creating first saves a question: the service refuses to create what exists.
        let request = session
            .clients
            .secrets()
            .create_secret()
            .name(&name)
            .client_request_token(secret_write::token()?)
            .set_description(args.description.clone())
            .set_kms_key_id(args.kms_key_id.clone())
            .secret_string(fields.text().as_str())
            .set_tags(
                (!tags.is_empty())
                    .then(|| secret_write::wire_tags(&tags))
                    .filter(|t: &Vec<Tag>| !t.is_empty()),
            )
            .send();
        let made = session
            .clients
            .call(
                "secretsmanager:CreateSecret",
                format!("secret {name}"),
                request,
            )
            .await;
        let refusal = match made {
            Ok(made) => {
                let state = state(&session, made.arn().unwrap_or_default(), &tags);
                return Ok(Created { id: name, state });
            }
            Err(error) => error,
        };
        // The name is taken, or waits for deletion.
        let exists =
            refusal.is_already_exists() || refusal.code() == Some("InvalidRequestException");
        let Some(found) = (if exists {
            secret_write::describe(&session, &name).await?
        } else {
            None
        }) else {
            return Err(refusal.into());
        };
        if !args.adopt {
            return Err(not_adopted(&name, &found));
        }
        let (state, changes) = converge(cx, &session, &args, None, found).await?;
        tell_adoption(cx, &format!("secret {name}"), &changes).await;
        Ok(Created { id: name, state })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let args = prior.as_ref().and_then(|p| p.args.clone());
        let old = prior.and_then(|p| p.state);
        let region = region_of(
            args.as_ref().and_then(|a| a.region.as_deref()),
            old.as_ref().map(|s| s.region.as_str()),
        );
        let account = args.as_ref().and_then(|a| a.account_id.as_deref());
        let session = Session::open(cx, region, account).await?;
        let Some(found) = secret_write::describe(&session, id)
            .await?
            .filter(|found| !found.deleted)
        else {
            return Ok(None);
        };
        let current = secret_write::read(cx, &session, id).await?;
        let present = current.map(|c| c.fields).unwrap_or_default();
        let fields = match &args {
            // What is missing shows as a field that has to be added.
            Some(args) => args.fields.as_ref().map(|fields| {
                fields
                    .iter()
                    .filter(|f| present.contains(&f.name))
                    .cloned()
                    .collect()
            }),
            None => (!present.is_empty()).then(|| {
                let plain = |name: &str| SecretField {
                    name: name.to_owned(),
                    generate: None,
                    length: None,
                };
                present.names().map(plain).collect()
            }),
        };
        let state = state(&session, &found.arn, &found.tags);
        let imported = args.is_none();
        let observed = SecretArgs {
            name: found.name.clone(),
            description: match &args {
                Some(args) if args.description.is_none() => None,
                _ => found.description.clone(),
            },
            kms_key_id: match &args {
                Some(args) if !differs(args.kms_key_id.as_deref(), found.kms_key_id.as_deref()) => {
                    args.kms_key_id.clone()
                }
                _ => found.kms_key_id.clone(),
            },
            fields,
            values: args.as_ref().and_then(|a| a.values.clone()),
            recovery_window_days: args.as_ref().and_then(|a| a.recovery_window_days),
            allow_delete: args.as_ref().is_some_and(|a| a.allow_delete),
            adopt: imported || args.as_ref().is_some_and(|a| a.adopt),
            account_id: args.as_ref().and_then(|a| a.account_id.clone()),
            region: args.as_ref().and_then(|a| a.region.clone()),
            tags: session.own_tags(&found.tags, args.as_ref().and_then(|a| a.tags.as_ref())),
        };
        Ok(Some(Observed {
            id: Some(found.name),
            ..Observed::new(observed, state)
        }))
    }

    async fn update(
        cx: &Context<Ptd>,
        id: &str,
        old: Prior<Self>,
        args: SecretArgs,
    ) -> Result<SecretState, Error> {
        let region = region_of(
            args.region.as_deref(),
            old.state.as_ref().map(|s| s.region.as_str()),
        );
        let session = Session::open(cx, region, args.account_id.as_deref()).await?;
        let Some(found) = secret_write::describe(&session, id).await? else {
            return Err(Error::refused(
                format!("secret {id} is gone"),
                "Run `pulumi refresh`, then `pulumi up` makes it again",
            ));
        };
        let (state, _) = converge(cx, &session, &args, old.args.as_ref(), found).await?;
        Ok(state)
    }

    async fn delete(cx: &Context<Ptd>, id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        if !args.allow_delete {
            return Err(Error::refused(
                format!("secret {id} is not deleted without consent"),
                "Set allowDelete to true, run `pulumi up`, then delete it; or keep it with the option retainOnDelete",
            ));
        }
        let region = old
            .state
            .map(|s| s.region)
            .filter(|r| !r.is_empty())
            .or(args.region);
        let session = Session::open(cx, region.as_deref(), args.account_id.as_deref()).await?;
        cx.alive()?;
        let days = args.recovery_window_days.unwrap_or(30);
        let request = session
            .clients
            .secrets()
            .delete_secret()
            .secret_id(id)
            .recovery_window_in_days(days)
            .send();
        let subject = format!("secret {id}");
        match session
            .clients
            .call("secretsmanager:DeleteSecret", subject, request)
            .await
        {
            Ok(_) => {
                cx.info(format!("secret {id} can be restored for {days} days"))
                    .await;
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => match secret_write::describe(&session, id).await? {
                // It waits for deletion already.
                Some(found) if !found.deleted => Err(error.into()),
                _ => Ok(()),
            },
        }
    }
}
