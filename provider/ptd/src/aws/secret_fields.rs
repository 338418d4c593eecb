//! `ptd:aws:SecretFields`: named fields inside a secret that others own fields of as well.

use std::collections::BTreeMap;

use pulumi_provider::{
    Checking, Context, Created, Diff, Error, Observed, Path, Prediction, Preview, Prior,
    PropertyMap, Resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{Session, check_common, diff_place, region_of};
use super::names;
use super::secret_write::{self, Fields};
use crate::Ptd;
use crate::checks::check_with;
use crate::defaults::yes;

/// Named fields of a JSON secret, with their values.
///
/// Several programs can own different fields of one secret: each writes its own, keeps all others as they are, and loses
/// nothing when they write at the same time. A field that somebody else changed is drift, and the next update sets it
/// again.
///
/// Deleting removes these fields and leaves the secret.
///
/// Import id: the secret's name, `#`, and the fields, as in `acme01-staging.posit.team#main-database-id,main-database-url`.
///
/// Permissions: `secretsmanager:DescribeSecret`, `GetSecretValue`, `PutSecretValue`, `UpdateSecretVersionStage`; and with
/// `createSecret` also `CreateSecret` and `TagResource`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretFieldsArgs {
    /// The name or ARN of the secret. A change replaces the resource.
    #[schemars(extend("replace" = true))]
    pub secret: String,
    /// The fields and their values.
    pub fields: BTreeMap<String, pulumi_provider::Secret<String>>,
    /// Whether to make the secret when there is none, with the tag `posit.team/managed-by` = `admin`. Default `false`: a
    /// missing secret is an error.
    #[serde(default)]
    pub create_secret: bool,
    /// Whether deleting the resource removes the fields from the secret. Default `true`; with `false` they stay.
    #[serde(default = "yes")]
    pub remove_on_delete: bool,
    /// The account the secret must be in, 12 digits. With credentials of another account nothing is touched. Default:
    /// the credentials' account. A change replaces the resource.
    #[schemars(extend("replace" = true))]
    pub account_id: Option<String>,
    /// The region of the secret. Default: the provider's. A change replaces the resource.
    #[schemars(extend("replace" = true))]
    pub region: Option<String>,
}

/// Where the fields are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretFieldsState {
    /// The secret's ARN.
    #[schemars(extend("stable" = true))]
    pub secret_arn: String,
    /// The account the secret is in.
    #[schemars(extend("stable" = true))]
    pub account_id: String,
    /// The region the secret is in.
    #[schemars(extend("stable" = true))]
    pub region: String,
}

/// The resource `ptd:aws:SecretFields`.
#[derive(Debug)]
pub struct SecretFields;

fn state(session: &Session, arn: &str) -> SecretFieldsState {
    SecretFieldsState {
        secret_arn: arn.to_owned(),
        account_id: session.account().to_owned(),
        region: session.region().to_owned(),
    }
}

/// Sets our fields, and removes those that were ours before.
async fn write(
    cx: &Context<Ptd>,
    session: &Session,
    args: &SecretFieldsArgs,
    old: Option<&SecretFieldsArgs>,
) -> Result<SecretFieldsState, Error> {
    let dropped: Vec<&String> = old
        .into_iter()
        .flat_map(|old| old.fields.keys())
        .filter(|name| !args.fields.contains_key(*name))
        .collect();
    let current = secret_write::change(cx, session, &args.secret, |current| {
        let mut changed = false;
        for name in &dropped {
            changed |= current.fields.remove(name);
        }
        for (name, value) in &args.fields {
            changed |= current.fields.set(name, value.expose());
        }
        Ok(changed)
    })
    .await?;
    Ok(state(session, &current.arn))
}

/// Makes an empty secret where there is none and the program allows it; one that waits for deletion is taken back.
async fn ensure_secret(
    cx: &Context<Ptd>,
    session: &Session,
    args: &SecretFieldsArgs,
) -> Result<(), Error> {
    if !args.create_secret {
        return Ok(());
    }
    match secret_write::describe(session, &args.secret).await? {
        Some(found) if found.deleted => {
            cx.alive()?;
            secret_write::restore(session, &args.secret).await?;
            cx.info(format!(
                "restored secret {}, which waited for deletion",
                args.secret
            ))
            .await;
            return Ok(());
        }
        Some(_) => return Ok(()),
        None => {}
    }
    cx.alive()?;
    let own = BTreeMap::from([("posit.team/managed-by".to_owned(), "admin".to_owned())]);
    let request = session
        .clients
        .secrets()
        .create_secret()
        .name(&args.secret)
        .client_request_token(secret_write::token()?)
        .secret_string(Fields::default().text().as_str())
        .set_tags(Some(secret_write::wire_tags(
            &session.desired_tags(Some(&own)),
        )))
        .send();
    let subject = format!("secret {}", args.secret);
    match session
        .clients
        .call("secretsmanager:CreateSecret", subject, request)
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if error.is_already_exists() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The name in a secret's ARN, which ends in a hyphen and six characters that the service adds.
fn arn_name(arn: &str) -> Option<&str> {
    let (_, resource) = arn.split_once(":secret:")?;
    Some(resource.rsplit_once('-')?.0)
}

/// The secret and the fields that an import id names.
fn parse_id(id: &str) -> Option<(&str, Vec<String>)> {
    let (secret, fields) = id.split_once('#')?;
    let fields: Vec<String> = fields
        .split(',')
        .filter(|f| !f.is_empty())
        .map(str::to_owned)
        .collect();
    (!secret.is_empty() && !fields.is_empty()).then_some((secret, fields))
}

impl Resource for SecretFields {
    type Provider = Ptd;
    type Args = SecretFieldsArgs;
    type State = SecretFieldsState;

    const TOKEN: &'static str = "ptd:aws:SecretFields";

    fn check(checking: &mut Checking<'_>, _provider: Option<&Ptd>) {
        check_common(checking);
        check_with(checking, "secret", |secret| {
            if secret.starts_with("arn:") {
                Ok(())
            } else {
                names::secret_name(secret)
            }
        });
        if checking
            .known::<BTreeMap<String, Value>>("fields")
            .is_some_and(|f| f.is_empty())
        {
            checking.refuse("fields", "must name at least one field");
        }
        let arn = checking
            .known::<String>("secret")
            .is_some_and(|s| s.starts_with("arn:"));
        if arn && checking.known("createSecret") == Some(true) {
            checking.refuse(
                "createSecret",
                "needs the secret's name in `secret`, not its ARN",
            );
        }
    }

    fn diff(diff: &mut Diff, old: &Prior<Self>, news: &PropertyMap, provider: Option<&Ptd>) {
        // The name and the ARN of a secret are the same place.
        if let (Some(state), Some(secret)) =
            (&old.state, news.get("secret").and_then(|v| v.as_str()))
            && (secret == state.secret_arn || arn_name(&state.secret_arn) == Some(secret))
        {
            diff.ignore(&Path::root().key("secret"));
        }
        diff_place(diff, &old.outputs, news, provider, &["secret"]);
    }

    async fn preview(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        // Values usually come from other resources and are not known yet; where they go is.
        let Some(secret) = request
            .known::<String>("secret")
            .filter(|_| request.old.is_none())
        else {
            return Ok(());
        };
        let text = |name: &str| {
            request
                .inputs
                .get(name)
                .map(|_| request.known::<String>(name))
        };
        let (region, account) = (text("region"), text("accountId"));
        if region == Some(None) || account == Some(None) {
            return Ok(());
        }
        let (region, account) = (region.flatten(), account.flatten());
        let session = Session::open(cx, region.as_deref(), account.as_deref()).await?;
        prediction.known("accountId", session.account());
        prediction.known("region", session.region());
        // A secret that is missing now may be made by another resource of the same run.
        if let Some(found) = secret_write::describe(&session, &secret).await? {
            prediction.known("secretArn", &found.arn);
        }
        Ok(())
    }

    async fn create(
        cx: &Context<Ptd>,
        args: SecretFieldsArgs,
    ) -> Result<Created<SecretFieldsState>, Error> {
        let session = Session::open(cx, args.region.as_deref(), args.account_id.as_deref()).await?;
        ensure_secret(cx, &session, &args).await?;
        let state = write(cx, &session, &args, None).await?;
        Ok(Created {
            id: args.secret,
            state,
        })
    }

    async fn read(
        cx: &Context<Ptd>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let args = prior.as_ref().and_then(|p| p.args.clone());
        let old = prior.and_then(|p| p.state);
        let (secret, wanted) = match (&args, parse_id(id)) {
            (Some(args), _) => (args.secret.as_str(), args.fields.keys().cloned().collect()),
            (None, Some((secret, wanted))) => (secret, wanted),
            (None, None) => {
                return Err(Error::refused(
                    format!("the import id '{id}' does not say which fields to import"),
                    "Write the secret's name, `#`, and the fields: name#field1,field2",
                ));
            }
        };
        let region = region_of(
            args.as_ref().and_then(|a| a.region.as_deref()),
            old.as_ref().map(|s| s.region.as_str()),
        );
        let account = args.as_ref().and_then(|a| a.account_id.as_deref());
        let session = Session::open(cx, region, account).await?;
        let deleted = secret_write::describe(&session, secret)
            .await?
            .is_none_or(|d| d.deleted);
        let current = if deleted {
            None
        } else {
            secret_write::read(cx, &session, secret).await?
        };
        let Some(current) = current else {
            return Ok(None);
        };
        let fields: BTreeMap<_, _> = wanted
            .into_iter()
            .filter_map(|name| {
                let value = current.fields.string_or_json(&name)?;
                Some((name, pulumi_provider::Secret::new((*value).clone())))
            })
            .collect();
        if fields.is_empty() {
            return Ok(None);
        }
        let observed = SecretFieldsArgs {
            secret: secret.to_owned(),
            fields,
            create_secret: args.as_ref().is_some_and(|a| a.create_secret),
            remove_on_delete: args.as_ref().is_none_or(|a| a.remove_on_delete),
            account_id: args.as_ref().and_then(|a| a.account_id.clone()),
            region: args.as_ref().and_then(|a| a.region.clone()),
        };
        let state = state(&session, &current.arn);
        Ok(Some(Observed {
            id: Some(secret.to_owned()),
            ..Observed::new(observed, state)
        }))
    }

    async fn update(
        cx: &Context<Ptd>,
        _id: &str,
        old: Prior<Self>,
        args: SecretFieldsArgs,
    ) -> Result<SecretFieldsState, Error> {
        let region = region_of(
            args.region.as_deref(),
            old.state.as_ref().map(|s| s.region.as_str()),
        );
        let session = Session::open(cx, region, args.account_id.as_deref()).await?;
        ensure_secret(cx, &session, &args).await?;
        write(cx, &session, &args, old.args.as_ref()).await
    }

    async fn delete(cx: &Context<Ptd>, _id: &str, old: Prior<Self>) -> Result<(), Error> {
        let args = old.require_args()?;
        if !args.remove_on_delete || crate::reprise::shares(cx.urn()) {
            return Ok(());
        }
        let region = old
            .state
            .map(|s| s.region)
            .filter(|r| !r.is_empty())
            .or(args.region);
        let session = Session::open(cx, region.as_deref(), args.account_id.as_deref()).await?;
        if secret_write::describe(&session, &args.secret)
            .await?
            .is_none_or(|d| d.deleted)
        {
            return Ok(());
        }
        secret_write::change(cx, &session, &args.secret, |current| {
            let before = current.fields.len();
            for name in args.fields.keys() {
                current.fields.remove(name);
            }
            Ok(current.fields.len() != before)
        })
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_holds_the_name() {
        let arn =
            "arn:aws:secretsmanager:us-east-2:111122223333:secret:acme01-staging.posit.team-AbCdEf";
        assert_eq!(arn_name(arn), Some("acme01-staging.posit.team"));
        assert_eq!(arn_name(""), None);
    }

    #[test]
    fn an_import_id_names_secret_and_fields() {
        assert_eq!(
            parse_id("a.b#x,y"),
            Some(("a.b", vec!["x".to_owned(), "y".to_owned()]))
        );
        assert_eq!(parse_id("a.b"), None);
        assert_eq!(parse_id("a.b#"), None);
        assert_eq!(parse_id("#x"), None);
    }
}
