//! Property values whose parts go different ways.

use std::collections::BTreeMap;

use pulumi_provider::{OutputValue, PropertyMap, PropertyValue};

/// The entries of a map, each with the secret mark and the dependencies of the whole. `None` while the map is not known, or for what is
/// no map; nothing for null.
pub(crate) fn entries(value: &PropertyValue) -> Option<PropertyMap> {
    match value {
        PropertyValue::Null => Some(PropertyMap::new()),
        PropertyValue::Map(map) => Some(map.clone()),
        PropertyValue::Secret(inner) => {
            let inner = entries(inner)?.into_iter();
            Some(
                inner
                    .map(|(key, value)| (key, value.into_secret()))
                    .collect(),
            )
        }
        PropertyValue::Output(output) => {
            let inner = entries(output.value.as_ref()?)?.into_iter();
            Some(
                inner
                    .map(|(key, value)| (key, wrap(value, output)))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn wrap(value: PropertyValue, whole: &OutputValue) -> PropertyValue {
    let (value, secret, mut dependencies) = match value {
        PropertyValue::Output(inner) => (inner.value, inner.secret, inner.dependencies),
        PropertyValue::Unknown(_) => (None, false, Vec::new()),
        PropertyValue::Secret(inner) => (Some(*inner), true, Vec::new()),
        other => (Some(other), false, Vec::new()),
    };
    dependencies.extend(whole.dependencies.iter().cloned());
    PropertyValue::Output(Box::new(OutputValue {
        value,
        secret: secret || whole.secret,
        dependencies,
    }))
}

/// A value without what it depends on: known, secret or unknown. Not every receiver of a component's outputs understands more than that
/// below the top.
pub(crate) fn settled(value: PropertyValue) -> PropertyValue {
    match value {
        PropertyValue::Output(output) => match (output.value, output.secret) {
            (None, _) => PropertyValue::UNKNOWN,
            (Some(value), true) => settled(value).into_secret(),
            (Some(value), false) => settled(value),
        },
        PropertyValue::Map(map) => {
            let each = map.into_iter().map(|(key, value)| (key, settled(value)));
            PropertyValue::Map(each.collect())
        }
        PropertyValue::List(items) => PropertyValue::List(items.into_iter().map(settled).collect()),
        PropertyValue::Secret(inner) => settled(*inner).into_secret(),
        other => other,
    }
}

/// Two maps in one, the second over the first. `None` while one of them is not known.
pub(crate) fn over(first: &PropertyValue, second: &PropertyValue) -> PropertyValue {
    match (entries(first), entries(second)) {
        (Some(mut all), Some(more)) => {
            all.extend(more);
            PropertyValue::Map(all)
        }
        _ => PropertyValue::UNKNOWN,
    }
}

/// Settings by the names that they have without the project's namespace, so that one goes over another however it is written. One that
/// is given in both ways stays as it is, for the stack to refuse.
pub(crate) fn bare(settings: &PropertyValue, project: &str) -> PropertyValue {
    let Some(all) = entries(settings) else {
        return PropertyValue::UNKNOWN;
    };
    let name = |key: &String| {
        let rest = key.strip_prefix(project)?.strip_prefix(':')?;
        (!all.contains_key(rest)).then(|| rest.to_owned())
    };
    let each = all
        .iter()
        .map(|(key, value)| (name(key).unwrap_or_else(|| key.clone()), value.clone()));
    PropertyValue::Map(each.collect())
}

/// Two lists in one.
pub(crate) fn joined(first: &PropertyValue, second: &PropertyValue) -> PropertyValue {
    let list = |value: &PropertyValue| {
        if value.is_null() {
            Some(Vec::new())
        } else {
            value.as_list().map(<[_]>::to_vec)
        }
    };
    match (list(first), list(second)) {
        (Some(mut all), Some(more)) => {
            all.extend(more);
            PropertyValue::List(all)
        }
        _ => PropertyValue::UNKNOWN,
    }
}

/// A map of texts.
pub(crate) fn texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> PropertyValue {
    let each = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), PropertyValue::from(value)));
    PropertyValue::Map(each.collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(value: PropertyValue, secret: bool, urn: &str) -> PropertyValue {
        PropertyValue::Output(Box::new(OutputValue {
            value: Some(value),
            secret,
            dependencies: vec![urn.to_owned()],
        }))
    }

    #[test]
    fn entries_keep_what_the_whole_was() {
        let inner = PropertyValue::Map([("a".to_owned(), output("x".into(), false, "one"))].into());
        let found = entries(&output(inner, true, "two"));
        let a = found.and_then(|mut map| map.remove("a"));
        let Some(PropertyValue::Output(a)) = a else {
            panic!("no output");
        };
        assert_eq!(a.dependencies, ["one", "two"]);
        assert!(a.secret && a.value == Some("x".into()));
        assert_eq!(entries(&PropertyValue::UNKNOWN), None);
        assert_eq!(entries(&PropertyValue::Null), Some(PropertyMap::new()));
    }

    #[test]
    fn settled_values_keep_their_secrets() {
        let inner = PropertyValue::Map([("a".to_owned(), output("x".into(), true, "one"))].into());
        let PropertyValue::Map(map) = settled(inner) else {
            panic!("no map");
        };
        assert!(matches!(&map["a"], PropertyValue::Secret(text) if **text == "x".into()));
    }

    #[test]
    fn settings_lose_their_projects_namespace() {
        let keys = |given: &[&str]| {
            let each = given.iter().map(|key| ((*key).to_owned(), "x".into()));
            let found = entries(&bare(&PropertyValue::Map(each.collect()), "web"));
            found.map(|map| map.into_keys().collect::<Vec<_>>())
        };
        let expected = |keys: &[&str]| Some(keys.iter().map(ToString::to_string).collect());
        assert_eq!(
            keys(&["web:a", "aws:b", "c"]),
            expected(&["a", "aws:b", "c"])
        );
        assert_eq!(keys(&["web:a", "a"]), expected(&["a", "web:a"]));
        assert_eq!(bare(&PropertyValue::UNKNOWN, "web"), PropertyValue::UNKNOWN);
    }

    #[test]
    fn what_is_not_known_stays_so() {
        let one = PropertyValue::Map([("a".to_owned(), "1".into())].into());
        assert_eq!(over(&one, &PropertyValue::UNKNOWN), PropertyValue::UNKNOWN);
        assert_eq!(over(&PropertyValue::Null, &one), one);
    }
}
