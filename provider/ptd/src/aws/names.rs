//! Rules for the names and values that AWS services accept.
//!
//! They run at check time, before anything is called: the services report most of these mistakes late, in the middle of
//! an update, and some only with a generic code. Every function answers with the reason in words.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The tag key that PTD puts on everything it manages; the admin role may act only on resources that carry it.
pub const MANAGED_BY_TAG: &str = "posit.team/managed-by";

/// The largest number of user tags on one resource.
pub const MAX_TAGS: usize = 50;

/// The largest managed policy, counted without white space.
pub const MAX_POLICY_CHARACTERS: usize = 6144;

/// Checks a name for an S3 general purpose bucket.
pub fn bucket_name(name: &str) -> Result<(), String> {
    let length = name.len();
    if !(3..=63).contains(&length) {
        return Err(format!(
            "a bucket name has 3 to 63 characters, this one has {}",
            name.chars().count()
        ));
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '.'))
    {
        return Err(if bad.is_ascii_uppercase() {
            format!("a bucket name has no upper-case letters, found {bad:?}")
        } else {
            format!(
                "a bucket name has only lower-case letters, digits, hyphens and dots, found {bad:?}"
            )
        });
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !edge(name.chars().next()) || !edge(name.chars().next_back()) {
        return Err("a bucket name begins and ends with a letter or a digit".to_owned());
    }
    if name.contains("..") {
        return Err("a bucket name has no two dots in a row".to_owned());
    }
    if name.parse::<Ipv4Addr>().is_ok() || looks_like_ipv4(name) {
        return Err("a bucket name is not formatted as an IP address".to_owned());
    }
    for prefix in ["xn--", "sthree-", "amzn-s3-demo-"] {
        if name.starts_with(prefix) {
            return Err(format!(
                "bucket names beginning with {prefix:?} are reserved"
            ));
        }
    }
    for suffix in ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"] {
        if name.ends_with(suffix) {
            return Err(format!("bucket names ending with {suffix:?} are reserved"));
        }
    }
    Ok(())
}

/// S3 refuses four groups of digits even where one is no valid octet.
fn looks_like_ipv4(name: &str) -> bool {
    let groups: Vec<&str> = name.split('.').collect();
    groups.len() == 4
        && groups.iter().all(|group| {
            (1..=3).contains(&group.len()) && group.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Checks the name of a KMS alias, with its `alias/` prefix.
pub fn kms_alias(alias: &str) -> Result<(), String> {
    let Some(rest) = alias.strip_prefix("alias/") else {
        return Err("a KMS alias begins with \"alias/\"".to_owned());
    };
    if rest.is_empty() {
        return Err("a KMS alias has a name after \"alias/\"".to_owned());
    }
    if alias.len() > 256 {
        return Err(format!(
            "a KMS alias has at most 256 characters, this one has {}",
            alias.chars().count()
        ));
    }
    if rest.starts_with("aws/") {
        return Err(
            "KMS aliases beginning with \"alias/aws/\" are reserved for AWS managed keys"
                .to_owned(),
        );
    }
    only(rest, "a KMS alias", "letters, digits and /_-", |c| {
        c.is_ascii_alphanumeric() || "/_-".contains(c)
    })
}

/// Checks the name of a Secrets Manager secret.
pub fn secret_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a secret name is not empty".to_owned());
    }
    if name.len() > 512 {
        return Err(format!(
            "a secret name has at most 512 characters, this one has {}",
            name.chars().count()
        ));
    }
    only(name, "a secret name", "letters, digits and /_+=.@-", |c| {
        c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)
    })
}

/// Whether a secret name ends like the suffix Secrets Manager adds to ARNs (a hyphen and six characters).
///
/// Allowed, but a lookup by partial ARN may then find another secret; worth a warning.
#[must_use]
pub fn secret_name_resembles_arn_suffix(name: &str) -> bool {
    name.len() > 7
        && name.rsplit_once('-').is_some_and(|(_, tail)| {
            tail.len() == 6 && tail.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// Checks the name of an IAM managed policy.
pub fn policy_name(name: &str) -> Result<(), String> {
    if !(1..=128).contains(&name.len()) {
        return Err(format!(
            "an IAM policy name has 1 to 128 characters, this one has {}",
            name.chars().count()
        ));
    }
    only(
        name,
        "an IAM policy name",
        "letters, digits and _+=,.@-",
        |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c),
    )
}

/// Checks the path of an IAM managed policy.
pub fn policy_path(path: &str) -> Result<(), String> {
    if !(path.starts_with('/') && path.ends_with('/')) {
        return Err("an IAM path begins and ends with a slash".to_owned());
    }
    if path.len() > 512 {
        return Err(format!(
            "an IAM path has at most 512 characters, this one has {}",
            path.chars().count()
        ));
    }
    only(
        path,
        "an IAM path",
        "printable ASCII characters without blanks",
        |c| c.is_ascii_graphic(),
    )
}

/// Checks that a policy document is a JSON object with statements, and not larger than IAM accepts.
pub fn policy_document(document: &str) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_str(document)
        .map_err(|error| format!("a policy document is JSON: {error}"))?;
    if value.get("Statement").is_none() {
        return Err("a policy document is a JSON object with a \"Statement\"".to_owned());
    }
    let size = document.chars().filter(|c| !c.is_whitespace()).count();
    if size > MAX_POLICY_CHARACTERS {
        return Err(format!(
            "a managed policy document has at most {MAX_POLICY_CHARACTERS} characters not counting white space, this one has {size}"
        ));
    }
    Ok(())
}

/// Checks a description of an IAM policy.
pub fn policy_description(description: &str) -> Result<(), String> {
    at_most(description, 1000, "an IAM policy description")
}

/// Checks a description of a KMS key.
pub fn kms_description(description: &str) -> Result<(), String> {
    at_most(description, 8192, "a KMS key description")
}

/// Checks a description of a secret.
pub fn secret_description(description: &str) -> Result<(), String> {
    at_most(description, 2048, "a secret description")
}

/// Checks the number of days that a key or a secret waits before it is deleted.
pub fn deletion_window(days: i64) -> Result<(), String> {
    if (7..=30).contains(&days) {
        Ok(())
    } else {
        Err(format!("a deletion window has 7 to 30 days, not {days}"))
    }
}

/// Checks an AWS account id.
pub fn account_id(id: &str) -> Result<(), String> {
    if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) {
        Ok(())
    } else {
        Err(format!("an AWS account id has 12 digits, got {id:?}"))
    }
}

/// Checks the shape of a region name; regions that do not exist yet must pass.
pub fn region(name: &str) -> Result<(), String> {
    let parts: Vec<&str> = name.split('-').collect();
    let words = parts.len() >= 3
        && parts[..parts.len() - 1]
            .iter()
            .all(|part| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_lowercase()));
    let number = parts
        .last()
        .is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if words && number {
        Ok(())
    } else {
        Err(format!(
            "an AWS region looks like \"us-east-2\", got {name:?}"
        ))
    }
}

/// Checks the ARN of an IAM role.
pub fn role_arn(arn: &str) -> Result<(), String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [head, partition, service, region, account, resource] = parts[..] else {
        return Err(format!(
            "a role ARN looks like \"arn:aws:iam::111122223333:role/name\", got {arn:?}"
        ));
    };
    let name = resource.strip_prefix("role/").unwrap_or_default();
    if head != "arn"
        || !partition.starts_with("aws")
        || service != "iam"
        || !region.is_empty()
        || name.is_empty()
    {
        return Err(format!(
            "a role ARN looks like \"arn:aws:iam::111122223333:role/name\", got {arn:?}"
        ));
    }
    account_id(account).map_err(|problem| format!("in the role ARN {arn:?}: {problem}"))?;
    only(name, "a role name", "letters, digits and /_+=,.@-", |c| {
        c.is_ascii_alphanumeric() || "/_+=,.@-".contains(c)
    })
}

/// Checks the session name of an assumed role.
pub fn session_name(name: &str) -> Result<(), String> {
    if !(2..=64).contains(&name.len()) {
        return Err(format!(
            "a session name has 2 to 64 characters, this one has {}",
            name.chars().count()
        ));
    }
    only(name, "a session name", "letters, digits and _+=,.@-", |c| {
        c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
    })
}

/// Checks the external id of an assumed role.
pub fn external_id(id: &str) -> Result<(), String> {
    if !(2..=1224).contains(&id.len()) {
        return Err(format!(
            "an external id has 2 to 1224 characters, this one has {}",
            id.chars().count()
        ));
    }
    // The id itself stays out of the message: some organisations treat it as confidential.
    if id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c))
    {
        Ok(())
    } else {
        Err("an external id has only letters, digits and _+=,.@:/-".to_owned())
    }
}

/// Checks one tag key that a user gives.
pub fn tag_key(key: &str) -> Result<(), String> {
    let count = key.chars().count();
    if !(1..=128).contains(&count) {
        return Err(format!(
            "a tag key has 1 to 128 characters, this one has {count}"
        ));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err("tag keys beginning with \"aws:\" are reserved".to_owned());
    }
    only(
        key,
        "a tag key",
        "letters, digits, blanks and _.:/=+-@",
        tag_character,
    )
}

/// Checks one tag value that a user gives.
pub fn tag_value(value: &str) -> Result<(), String> {
    let count = value.chars().count();
    if count > 256 {
        return Err(format!(
            "a tag value has at most 256 characters, this one has {count}"
        ));
    }
    only(
        value,
        "a tag value",
        "letters, digits, blanks and _.:/=+-@",
        tag_character,
    )
}

/// Checks a map of tags; each problem comes with the key it concerns, or none where it concerns the whole map.
#[must_use]
pub fn tags(tags: &BTreeMap<String, String>) -> Vec<(Option<String>, String)> {
    let mut problems = Vec::new();
    if tags.len() > MAX_TAGS {
        problems.push((
            None,
            format!(
                "a resource has at most {MAX_TAGS} tags, these are {}",
                tags.len()
            ),
        ));
    }
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (key, value) in tags {
        for problem in [tag_key(key), tag_value(value)]
            .into_iter()
            .filter_map(Result::err)
        {
            problems.push((Some(key.clone()), problem));
        }
        // IAM compares keys without case, so that two such keys cannot be kept apart on every service.
        if let Some(other) = seen.insert(key.to_lowercase(), key) {
            problems.push((
                Some(key.clone()),
                format!("differs from the tag key {other:?} in case only"),
            ));
        }
    }
    problems
}

fn tag_character(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

fn at_most(text: &str, limit: usize, what: &str) -> Result<(), String> {
    let count = text.chars().count();
    if count > limit {
        return Err(format!(
            "{what} has at most {limit} characters, this one has {count}"
        ));
    }
    Ok(())
}

fn only(
    text: &str,
    what: &str,
    allowed: &str,
    accept: impl Fn(char) -> bool,
) -> Result<(), String> {
    match text.chars().find(|c| !accept(*c)) {
        None => Ok(()),
        Some(bad) => Err(format!("{what} has only {allowed}, found {bad:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in [
            "abc",
            "ptd-acme01-staging",
            "a.b.c",
            "1.2.3",
            &"a".repeat(63),
            "192.168.1.1a",
        ] {
            assert_eq!(bucket_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "ab",
            &"a".repeat(64),
            "Upper",
            "a_b",
            "a..b",
            "192.168.1.1",
            "999.1.1.1",
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "xn--abc",
            "sthree-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc--x-s3",
            "abc.mrap",
            "ä-bucket",
            "a b",
        ] {
            assert!(bucket_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn aliases_and_secrets() {
        assert_eq!(kms_alias("alias/posit-team-dedicated"), Ok(()));
        for bad in [
            "posit",
            "alias/",
            "alias/aws/s3",
            "alias/a b",
            "alias/a.b",
            &format!("alias/{}", "a".repeat(251)),
        ] {
            assert!(kms_alias(bad).is_err(), "{bad}");
        }
        assert_eq!(
            secret_name("acme01-staging-main.sessions.posit.team"),
            Ok(())
        );
        assert_eq!(secret_name(&"a".repeat(512)), Ok(()));
        for bad in ["", "a b", "a!b", &"a".repeat(513)] {
            assert!(secret_name(bad).is_err(), "{bad}");
        }
        assert!(secret_name_resembles_arn_suffix("name-abc123"));
        assert!(!secret_name_resembles_arn_suffix(
            "acme01-staging.posit.team"
        ));
    }

    #[test]
    fn policies() {
        assert_eq!(policy_name("PositTeamDedicatedAdmin"), Ok(()));
        assert!(policy_name("a b").is_err());
        assert!(policy_name(&"a".repeat(129)).is_err());
        assert_eq!(policy_path("/"), Ok(()));
        assert_eq!(policy_path("/team/ptd/"), Ok(()));
        assert!(policy_path("team/").is_err());
        assert_eq!(policy_document(r#"{"Statement":[]}"#), Ok(()));
        assert!(policy_document("{").is_err());
        assert!(policy_document("{}").is_err());
        let spaced = format!(
            r#"{{"Statement":"{}"  {} }}"#,
            "a".repeat(6000),
            " ".repeat(9000)
        );
        assert_eq!(policy_document(&spaced), Ok(()));
        let large = format!(r#"{{"Statement":"{}"}}"#, "a".repeat(6144));
        assert!(policy_document(&large).is_err());
    }

    #[test]
    fn identities() {
        assert_eq!(account_id("111122223333"), Ok(()));
        assert!(account_id("11112222333").is_err());
        assert!(account_id("11112222333x").is_err());
        for good in [
            "us-east-2",
            "us-gov-west-1",
            "cn-northwest-1",
            "ap-southeast-10",
            "us-iso-east-1",
        ] {
            assert_eq!(region(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "us-east",
            "us-east-2a",
            "US-EAST-2",
            "us_east_2",
            "useast2",
        ] {
            assert!(region(bad).is_err(), "{bad}");
        }
        assert_eq!(
            role_arn("arn:aws:iam::111122223333:role/admin.posit.team"),
            Ok(())
        );
        assert_eq!(
            role_arn("arn:aws-us-gov:iam::111122223333:role/path/name"),
            Ok(())
        );
        for bad in [
            "",
            "admin",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::111122223333:user/x",
            "arn:aws:iam::111122223333:role/",
        ] {
            assert!(role_arn(bad).is_err(), "{bad}");
        }
        assert!(session_name("a").is_err());
        assert!(session_name("a b").is_err());
        assert_eq!(session_name("jane.doe@ptd"), Ok(()));
        assert!(external_id("has blank").is_err_and(|text| !text.contains("has blank")));
    }

    #[test]
    fn tag_rules() {
        let map: BTreeMap<String, String> = [
            ("posit.team/managed-by", "ptd"),
            ("Owner", "x"),
            ("owner", "y"),
            ("aws:x", "z"),
            ("a", "b\u{7}"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        let problems = tags(&map);
        let keys: Vec<_> = problems
            .iter()
            .filter_map(|(key, _)| key.as_deref())
            .collect();
        assert_eq!(keys, ["a", "aws:x", "owner"]);
        let many: BTreeMap<String, String> =
            (0..51).map(|i| (format!("k{i}"), String::new())).collect();
        assert_eq!(tags(&many).len(), 1);
        assert!(tag_key(&"k".repeat(129)).is_err());
        assert!(tag_value(&"v".repeat(257)).is_err());
        assert_eq!(tag_value(""), Ok(()));
    }

    #[test]
    fn windows() {
        assert!(deletion_window(6).is_err());
        assert_eq!(deletion_window(7), Ok(()));
        assert_eq!(deletion_window(30), Ok(()));
        assert!(deletion_window(31).is_err());
        assert!(kms_description(&"a".repeat(8193)).is_err());
    }
}
