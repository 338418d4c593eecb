//! The versions of a policy, of which IAM keeps five.

use aws_sdk_iam::types::PolicyVersion;

use super::live::subject;
use crate::aws::common::Session;
use crate::aws::error::AwsError;

/// The most versions that IAM keeps.
pub(super) const MOST_VERSIONS: usize = 5;

pub(super) async fn versions(session: &Session, arn: &str) -> Result<Vec<PolicyVersion>, AwsError> {
    let request = session
        .clients
        .iam()
        .list_policy_versions()
        .policy_arn(arn)
        .send();
    let found = session
        .clients
        .call("iam:ListPolicyVersions", subject(arn), request)
        .await?;
    Ok(found.versions().to_vec())
}

pub(super) async fn delete_version(
    session: &Session,
    arn: &str,
    version: &str,
) -> Result<(), AwsError> {
    let request = session
        .clients
        .iam()
        .delete_policy_version()
        .policy_arn(arn)
        .version_id(version)
        .send();
    match session
        .clients
        .call("iam:DeletePolicyVersion", subject(arn), request)
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The number of a version: `v12` → 12. Versions are numbered in the order in which they were made.
pub(super) fn number(version: &PolicyVersion) -> u64 {
    version
        .version_id()
        .and_then(|v| v.trim_start_matches('v').parse().ok())
        .unwrap_or(0)
}

/// Makes a new version of the document and puts it in force; gives its id.
pub(super) async fn create_version(
    session: &Session,
    arn: &str,
    document: &str,
) -> Result<String, AwsError> {
    let request = session
        .clients
        .iam()
        .create_policy_version()
        .policy_arn(arn)
        .policy_document(document)
        .set_as_default(true)
        .send();
    let made = session
        .clients
        .call("iam:CreatePolicyVersion", subject(arn), request)
        .await?;
    Ok(made
        .policy_version()
        .and_then(|v| v.version_id())
        .unwrap_or_default()
        .to_owned())
}

/// Puts a new version of the document in force. The oldest one goes only once IAM has said that there are too many: who may
/// not make versions must not lose any.
pub(super) async fn put_document(
    session: &Session,
    arn: &str,
    document: &str,
) -> Result<String, AwsError> {
    let refusal = match create_version(session, arn, document).await {
        // A document that is too long has the same code.
        Err(error) if error.code() == Some("LimitExceeded") => error,
        result => return result,
    };
    let mut all = versions(session, arn).await?;
    all.sort_by_key(number);
    let oldest = all
        .iter()
        .find(|v| !v.is_default_version())
        .and_then(|v| v.version_id());
    match oldest {
        Some(oldest) if all.len() >= MOST_VERSIONS => {
            delete_version(session, arn, oldest).await?;
            create_version(session, arn, document).await
        }
        _ => Err(refusal),
    }
}
