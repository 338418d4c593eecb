//! Checks of inputs that the resources of all clouds have.

use pulumi_provider::{Checking, Path};

use crate::tags::Tags;

/// Checks a text property by a rule.
pub(crate) fn check_with(
    checking: &mut Checking<'_>,
    name: &str,
    rule: impl Fn(&str) -> Result<(), String>,
) {
    if let Some(value) = checking.known::<String>(name)
        && let Err(problem) = rule(&value)
    {
        checking.refuse(name, problem);
    }
}

/// Checks each text of a list by a rule.
pub(crate) fn check_each(
    checking: &mut Checking<'_>,
    list: &Path,
    texts: Option<&[String]>,
    rule: impl Fn(&str) -> Result<(), String>,
) {
    for (index, text) in texts.into_iter().flatten().enumerate() {
        if let Err(problem) = rule(text) {
            checking.fail(list.index(index), problem);
        }
    }
}

/// Checks the tags by a cloud's rule, which says what is wrong with which key, or with all of them together.
pub(crate) fn check_tags(
    checking: &mut Checking<'_>,
    rule: impl Fn(&Tags) -> Vec<(Option<String>, String)>,
) {
    let Some(tags) = checking.known::<Tags>("tags") else {
        return;
    };
    for (key, problem) in rule(&tags) {
        let path = Path::root().key("tags");
        checking.fail(key.map_or(path.clone(), |key| path.key(key)), problem);
    }
}
