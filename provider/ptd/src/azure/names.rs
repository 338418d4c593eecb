//! What Azure accepts as names, checked before anything is sent.

use std::collections::BTreeMap;

/// Tags as Azure has them.
pub type Tags = BTreeMap<String, String>;

type Rule = Result<(), String>;

fn length(text: &str, min: usize, max: usize) -> Rule {
    let count = text.chars().count();
    if (min..=max).contains(&count) {
        Ok(())
    } else {
        Err(format!(
            "must have {min} to {max} characters, {text:?} has {count}"
        ))
    }
}

fn alphabet(text: &str, allowed: impl Fn(char) -> bool, what: &str) -> Rule {
    match text.chars().find(|c| !allowed(*c)) {
        Some(bad) => Err(format!("must consist of {what}, {text:?} has {bad:?}")),
        None => Ok(()),
    }
}

/// A GUID in its usual form.
pub fn guid(text: &str) -> Rule {
    let groups: Vec<&str> = text.split('-').collect();
    let right = groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|g| g.chars().all(|c| c.is_ascii_hexdigit()));
    if right {
        Ok(())
    } else {
        Err(format!(
            "must be a GUID such as 00000000-0000-0000-0000-000000000000, got {text:?}"
        ))
    }
}

/// A tenant: its id or one of its domains.
pub fn tenant(text: &str) -> Rule {
    length(text, 1, 253)?;
    alphabet(
        text,
        |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'),
        "letters, digits, - and .: a tenant id or domain",
    )
}

/// A region: `eastus2`, or `East US 2`.
pub fn location(text: &str) -> Rule {
    length(text, 1, 90)?;
    alphabet(
        text,
        |c| c.is_ascii_alphanumeric() || c == ' ',
        "letters, digits and spaces, as in eastus2",
    )
}

/// A resource group.
pub fn resource_group(text: &str) -> Rule {
    length(text, 1, 90)?;
    alphabet(
        text,
        |c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')'),
        "letters, digits and _ - . ( )",
    )?;
    if text.ends_with('.') {
        return Err(format!("must not end in a dot, got {text:?}"));
    }
    Ok(())
}

/// A key vault.
pub fn key_vault(text: &str) -> Rule {
    length(text, 3, 24)?;
    alphabet(
        text,
        |c| c.is_ascii_alphanumeric() || c == '-',
        "letters, digits and -",
    )?;
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(format!("must begin with a letter, got {text:?}"));
    }
    if text.ends_with('-') {
        return Err(format!("must not end in a hyphen, got {text:?}"));
    }
    no_double_hyphen(text)
}

fn no_double_hyphen(text: &str) -> Rule {
    if text.contains("--") {
        Err(format!("must not hold two hyphens in a row, got {text:?}"))
    } else {
        Ok(())
    }
}

/// A storage account.
pub fn storage_account(text: &str) -> Rule {
    length(text, 3, 24)?;
    alphabet(
        text,
        |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
        "lower-case letters and digits",
    )
}

/// A blob container.
pub fn blob_container(text: &str) -> Rule {
    length(text, 3, 63)?;
    alphabet(
        text,
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
        "lower-case letters, digits and -",
    )?;
    if text.starts_with('-') || text.ends_with('-') {
        return Err(format!(
            "must begin and end with a letter or digit, got {text:?}"
        ));
    }
    no_double_hyphen(text)
}

/// A key or a secret of a vault.
pub fn vault_object(text: &str) -> Rule {
    length(text, 1, 127)?;
    alphabet(
        text,
        |c| c.is_ascii_alphanumeric() || c == '-',
        "letters, digits and -",
    )
}

/// What is wrong with tags, by key; without a key for the whole.
#[must_use]
pub fn tags(tags: &Tags) -> Vec<(Option<String>, String)> {
    let mut problems = Vec::new();
    if tags.len() > 50 {
        problems.push((
            None,
            format!("must not be more than 50, got {}", tags.len()),
        ));
    }
    for (key, value) in tags {
        let mut refuse = |problem: String| problems.push((Some(key.clone()), problem));
        if key.is_empty() || key.chars().count() > 512 {
            refuse("the key must have 1 to 512 characters".to_owned());
        }
        if let Some(bad) = key
            .chars()
            .find(|c| matches!(c, '<' | '>' | '%' | '&' | '\\' | '?' | '/') || c.is_control())
        {
            refuse(format!(
                "the key must not hold any of < > % & \\ ? /, it has {bad:?}; write : in place of /"
            ));
        }
        if value.chars().count() > 256 {
            refuse("the value must have at most 256 characters".to_owned());
        }
        let lower = key.to_ascii_lowercase();
        if ["microsoft", "azure", "windows"]
            .iter()
            .any(|reserved| lower.starts_with(reserved))
        {
            refuse(
                "the key must not begin with microsoft, azure or windows, which are Azure's own"
                    .to_owned(),
            );
        }
    }
    problems.extend(clashes(tags));
    problems
}

/// What is wrong with tags whose keys are yet to be converted.
#[must_use]
pub fn unconverted_tags(own: &Tags) -> Vec<(Option<String>, String)> {
    let converted = converted_tags(own);
    let mut problems = tags(&converted);
    // What the conversion has made one is no longer seen in its result.
    if converted.len() < own.len() {
        problems.extend(clashes(own));
    }
    problems
}

/// Keys that are the same to Azure, which ignores the case of letters, or become the same once they are converted.
#[must_use]
pub fn clashes(tags: &Tags) -> Vec<(Option<String>, String)> {
    let mut seen = BTreeMap::new();
    tags.keys()
        .filter_map(|key| {
            let other = seen.insert(tag_key(key).to_lowercase(), key)?;
            let problem = format!("the key is the same to Azure as {other:?}");
            Some((Some(key.clone()), problem))
        })
        .collect()
}

/// A tag's key as Azure accepts it: with `:` in place of `/`.
#[must_use]
pub fn tag_key(key: &str) -> String {
    key.replace('/', ":")
}

/// Tags with keys as Azure accepts them.
#[must_use]
pub fn converted_tags(tags: &Tags) -> Tags {
    tags.iter()
        .map(|(key, value)| (tag_key(key), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::naming;

    #[test]
    fn names_of_targets_that_fit() {
        for target in ["test-target", "My_Team.Prod-eu-west"] {
            assert_eq!(
                resource_group(&naming::azure_resource_group(target)),
                Ok(())
            );
            assert_eq!(key_vault(&naming::azure_key_vault(target)), Ok(()));
            let account = naming::azure_state_storage_account(target);
            assert_eq!(storage_account(&account), Ok(()));
            assert_eq!(
                blob_container(&naming::azure_blob_container(target)),
                Ok(())
            );
        }
    }

    #[test]
    fn names_of_targets_that_do_not() {
        let cut = naming::azure_key_vault("abcdefghijklmnop-staging");
        assert!(key_vault(&cut).is_err_and(|e| e.contains("end in a hyphen")));
        let doubled = naming::azure_key_vault("a_-b");
        assert!(key_vault(&doubled).is_err());
        let long = naming::azure_blob_container(&"x".repeat(55));
        assert!(blob_container(&long).is_err());
        assert!(vault_object("main_db").is_err());
        assert!(resource_group("a.").is_err());
    }

    #[test]
    fn guids() {
        assert_eq!(guid("00482a5a-887f-4fb3-b363-3b7fe8e74483"), Ok(()));
        for bad in ["", "x", "00482a5a887f4fb3b3633b7fe8e74483"] {
            assert!(guid(bad).is_err());
        }
    }

    #[test]
    fn slashes_in_tags_are_named_and_converted() {
        let mut own = Tags::new();
        own.insert("posit.team/environment".to_owned(), "x".to_owned());
        let problems = tags(&own);
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].0.as_deref(),
            Some("posit.team/environment"),
            "the key is named"
        );
        assert_eq!(tags(&converted_tags(&own)), []);
        assert_eq!(unconverted_tags(&own), []);
    }

    #[test]
    fn keys_that_are_the_same_to_azure() {
        let both = |one: &str, other: &str| {
            [one, other]
                .map(|key| (key.to_owned(), "x".to_owned()))
                .into()
        };
        let told = tags(&both("Team", "team"));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0.as_deref(), Some("team"));
        assert!(told[0].1.contains("\"Team\""), "{told:?}");
        assert_eq!(tags(&both("team", "teams")), []);
        for (one, other) in [("a/b", "a:b"), ("a/b", "A:b"), ("A/b", "a/B")] {
            assert_eq!(unconverted_tags(&both(one, other)).len(), 1, "{one}");
        }
    }
}
