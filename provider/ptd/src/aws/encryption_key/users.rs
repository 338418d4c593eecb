//! Who else needs the key of an account and region.

use pulumi_provider::Error;

use crate::aws::common::Session;
use crate::aws::error::AwsError;
use crate::target::naming;

/// What others still need the key for; an error where that cannot be found out.
pub(super) async fn other_users(
    session: &Session,
    target: Option<&str>,
) -> Result<Vec<String>, Error> {
    let unknown = |error: AwsError| -> Error {
        error
            .with_hint(
                "whether other targets use the key cannot be found out, so it is not deleted",
            )
            .into()
    };
    let mut users = Vec::new();
    let own_bucket = target.map(naming::state_bucket);
    let mut token = None;
    loop {
        let request = session
            .clients
            .s3()
            .list_buckets()
            .set_continuation_token(token)
            .send();
        let page = session
            .clients
            .call("s3:ListAllMyBuckets", "the buckets of the account", request)
            .await
            .map_err(unknown)?;
        let names = page.buckets().iter().filter_map(|b| b.name());
        users.extend(
            names
                .filter(|n| n.starts_with("ptd-") && Some(*n) != own_bucket.as_deref())
                .map(|n| format!("bucket {n}")),
        );
        token = page.continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let own = |name: &str| {
        target.is_some_and(|t| {
            name == naming::workload_secret(t)
                || name.starts_with(&format!("{t}-"))
                || name == naming::mimir_auth_secret(t)
                || name == naming::control_room_secret(t)
        })
    };
    let mut token = None;
    loop {
        let request = session
            .clients
            .secrets()
            .list_secrets()
            .set_next_token(token)
            .send();
        let page = session
            .clients
            .call(
                "secretsmanager:ListSecrets",
                "the secrets of the account",
                request,
            )
            .await
            .map_err(unknown)?;
        let managed = page
            .secret_list()
            .iter()
            .filter(|s| {
                s.tags()
                    .iter()
                    .any(|t| t.key() == Some("posit.team/managed-by"))
            })
            .filter_map(|s| s.name());
        users.extend(managed.filter(|n| !own(n)).map(|n| format!("secret {n}")));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(users);
        }
    }
}
