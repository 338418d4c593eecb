//! Deleting a state bucket, which is refused for as long as there is a reason to.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use pulumi_provider::{Context, Error};
use serde_json::Value;

use super::subject;
use crate::Ptd;
use crate::aws::common::Session;

/// Where Pulumi keeps the states of stacks.
const STACKS: &str = ".pulumi/stacks/";

/// Deletes the bucket; with `force` everything in it first.
pub(super) async fn bucket(
    cx: &Context<Ptd>,
    session: &Session,
    bucket: &str,
    force: bool,
) -> Result<(), Error> {
    let first = versions(session, bucket, Some(1)).await?;
    if !first.is_empty() {
        if !force {
            return Err(Error::refused(
                format!("bucket {bucket} is not empty, and is not deleted without consent"),
                "Set forceDestroy to true, run `pulumi up`, then delete it; or keep it with the option retainOnDelete",
            ));
        }
        refuse_living_stacks(session, bucket).await?;
        empty(cx, session, bucket).await?;
    }
    cx.alive()?;
    let request = session
        .clients
        .s3()
        .delete_bucket()
        .bucket(bucket)
        .expected_bucket_owner(session.account())
        .send();
    match session
        .clients
        .call("s3:DeleteBucket", subject(bucket), request)
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A page of object versions and delete markers, as identifiers.
async fn versions(
    session: &Session,
    bucket: &str,
    most: Option<i32>,
) -> Result<Vec<ObjectIdentifier>, Error> {
    let request = session
        .clients
        .s3()
        .list_object_versions()
        .bucket(bucket)
        .expected_bucket_owner(session.account())
        .set_max_keys(most)
        .send();
    let page = session
        .clients
        .call("s3:ListBucketVersions", subject(bucket), request)
        .await?;
    let versions = page.versions().iter().map(|v| (v.key(), v.version_id()));
    let markers = page
        .delete_markers()
        .iter()
        .map(|m| (m.key(), m.version_id()));
    versions
        .chain(markers)
        .filter_map(|(key, version)| Some((key?, version)))
        .map(|(key, version)| {
            ObjectIdentifier::builder()
                .key(key)
                .set_version_id(version.map(str::to_owned))
                .build()
                .map_err(|e| Error::Bug(e.to_string()))
        })
        .collect()
}

/// Refuses while a stack whose state is in the bucket has resources: they would be orphaned.
async fn refuse_living_stacks(session: &Session, bucket: &str) -> Result<(), Error> {
    let mut living = Vec::new();
    let mut token = None;
    loop {
        let request = session
            .clients
            .s3()
            .list_objects_v2()
            .bucket(bucket)
            .prefix(STACKS)
            .expected_bucket_owner(session.account())
            .set_continuation_token(token)
            .send();
        let page = session
            .clients
            .call("s3:ListBucket", subject(bucket), request)
            .await?;
        for key in page.contents().iter().filter_map(|o| o.key()) {
            let stack = key.trim_start_matches(STACKS);
            if stack.ends_with(".json.gz") {
                living.push(format!(
                    "{} (compressed, not readable here)",
                    stack.trim_end_matches(".json.gz")
                ));
            } else if let Some(stack) = stack.strip_suffix(".json") {
                match resources(session, bucket, key).await? {
                    Some(0) => {}
                    Some(count) => living.push(format!("{stack} ({count} resources)")),
                    None => living.push(format!("{stack} (not readable)")),
                }
            }
        }
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    if living.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        format!(
            "bucket {bucket} holds the state of stacks that still have resources: {}",
            living.join(", ")
        ),
        "Destroy these stacks first, or move their state to another backend",
    ))
}

/// How many resources a stack's state has; `None` when it cannot be read.
async fn resources(session: &Session, bucket: &str, key: &str) -> Result<Option<usize>, Error> {
    let request = session
        .clients
        .s3()
        .get_object()
        .bucket(bucket)
        .key(key)
        .expected_bucket_owner(session.account())
        .send();
    let object = session
        .clients
        .call(
            "s3:GetObject",
            format!("object {key} of bucket {bucket}"),
            request,
        )
        .await?;
    let Ok(body) = object.body.collect().await else {
        return Ok(None);
    };
    Ok(count(&body.into_bytes()))
}

fn count(state: &[u8]) -> Option<usize> {
    let state: Value = serde_json::from_slice(state).ok()?;
    // The root of a stack and its providers are no resources of anybody's.
    let real = |r: &&Value| {
        !r.get("type")
            .and_then(Value::as_str)
            .is_some_and(|t| t == "pulumi:pulumi:Stack" || t.starts_with("pulumi:providers:"))
    };
    let deployment = state.get("checkpoint")?.get("latest");
    let resources = deployment
        .and_then(|d| d.get("resources"))
        .and_then(Value::as_array);
    Some(resources.map_or(0, |list| list.iter().filter(real).count()))
}

/// Deletes every version of every object.
async fn empty(cx: &Context<Ptd>, session: &Session, bucket: &str) -> Result<(), Error> {
    let mut gone = 0;
    loop {
        let page = versions(session, bucket, None).await?;
        if page.is_empty() {
            return Ok(());
        }
        cx.alive()?;
        let count = page.len();
        let delete = Delete::builder()
            .set_objects(Some(page))
            .quiet(true)
            .build()
            .map_err(|e| Error::Bug(e.to_string()))?;
        let request = session
            .clients
            .s3()
            .delete_objects()
            .bucket(bucket)
            .delete(delete)
            .expected_bucket_owner(session.account())
            .send();
        let result = session
            .clients
            .call("s3:DeleteObjectVersion", subject(bucket), request)
            .await?;
        if let Some(problem) = result.errors().first() {
            return Err(Error::refused(
                format!(
                    "bucket {bucket} could not be emptied: {}: {}",
                    problem.key().unwrap_or_default(),
                    problem
                        .message()
                        .or(problem.code())
                        .unwrap_or("no reason given"),
                ),
                "Remove what protects the object, then run this again",
            ));
        }
        gone += count;
        cx.status(format!(
            "emptying bucket {bucket}: {gone} object versions deleted"
        ))
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_a_stack_still_has() {
        let state = |types: &[&str]| {
            let resources: Vec<Value> = types
                .iter()
                .map(|t| serde_json::json!({ "type": t }))
                .collect();
            serde_json::json!({ "version": 3, "checkpoint": { "latest": { "resources": resources } } }).to_string()
        };
        assert_eq!(
            count(state(&["pulumi:pulumi:Stack", "pulumi:providers:aws"]).as_bytes()),
            Some(0)
        );
        assert_eq!(
            count(state(&["pulumi:pulumi:Stack", "aws:s3/bucket:Bucket"]).as_bytes()),
            Some(1)
        );
        assert_eq!(
            count(br#"{"version":3,"checkpoint":{"stack":"a"}}"#),
            Some(0)
        );
        assert_eq!(count(b"garbage"), None);
    }
}
