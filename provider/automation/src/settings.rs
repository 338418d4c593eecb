//! A stack's settings: what `Pulumi.<stack>.yaml` holds.

use std::fmt;

use serde_json::{Map, Value};

use crate::Error;
use crate::events::holds;

/// Reads YAML, such as a project file, as the CLI does: `yes` and `on` are texts, and `0644` is octal.
pub fn yaml(text: &str) -> Result<Value, Error> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        legacy_octal_numbers: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| Error::Invalid(e.to_string()))
}

/// The settings of a stack: its configuration, and how its secrets are encrypted.
///
/// Secret values are there encrypted only, so that the whole may be kept and used again.
#[derive(Clone, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Reads the text of a settings file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        match yaml(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::Null) => Ok(Self::default()),
            Ok(_) => Err(Error::Invalid(
                "stack settings are not a mapping".to_owned(),
            )),
            Err(error) => Err(Error::Invalid(format!("stack settings: {error}"))),
        }
    }

    /// How an exported state is encrypted; `None` when the backend does it by itself or nothing was stored yet.
    #[must_use]
    pub fn of_state(state: &Value) -> Option<Self> {
        let providers = state.pointer("/deployment/secrets_providers")?;
        // A service has a URL too, which says nothing of keys.
        if providers.get("type").is_some_and(|kind| kind == "service") {
            return None;
        }
        let provider = providers.get("state")?;
        let fields = [
            ("salt", "encryptionsalt"),
            ("url", "secretsprovider"),
            ("encryptedkey", "encryptedkey"),
        ];
        let found = fields.into_iter().filter_map(|(from, to)| {
            let value = provider
                .get(from)
                .filter(|v| v.as_str().is_some_and(|v| !v.is_empty()))?;
            Some((to.to_owned(), value.clone()))
        });
        let found: Map<String, Value> = found.collect();
        (!found.is_empty()).then_some(Self(found))
    }

    /// The text of a settings file. JSON, which is YAML too.
    #[must_use]
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// The configuration, by full key such as `aws:region`. Secrets are objects with the one field `secure`.
    pub fn config(&self) -> impl Iterator<Item = (&str, &Value)> {
        let config = self.0.get("config").and_then(Value::as_object);
        config
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// One value of the configuration.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get("config")?.get(key)
    }

    /// Sets a plain value: a text, a number, a boolean, or a structure of them.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let config = self.0.entry("config").or_insert_with(|| Map::new().into());
        if !config.is_object() {
            *config = Map::new().into();
        }
        if let Some(config) = config.as_object_mut() {
            config.insert(key.to_owned(), value.into());
        }
    }

    /// Gives keys without a namespace the project's: to the CLI they are the same, and which of two it takes is chance.
    pub(crate) fn complete_keys(&mut self, project: &str) {
        if let Some(config) = self.0.get_mut("config").and_then(Value::as_object_mut) {
            let (short, mut full): (Map<_, _>, Map<_, _>) = std::mem::take(config)
                .into_iter()
                .partition(|(key, _)| !key.contains(':'));
            for (key, value) in short {
                full.entry(format!("{project}:{key}")).or_insert(value);
            }
            *config = full;
        }
    }

    /// Drops the values for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        if let Some(config) = self.0.get_mut("config").and_then(Value::as_object_mut) {
            config.retain(|key, value| keep(key, value));
        }
    }

    /// Whether any value, or part of one, is encrypted.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.config().any(|(_, value)| holds(value, is_encrypted))
    }

    /// Puts a text in the place of each encrypted value. Whether there was one.
    pub fn blind(&mut self, text: &str) -> bool {
        fn put(value: &mut Value, text: &str) {
            match value {
                _ if is_encrypted(value) => *value = text.into(),
                Value::Object(fields) => fields.values_mut().for_each(|value| put(value, text)),
                Value::Array(items) => items.iter_mut().for_each(|value| put(value, text)),
                _ => {}
            }
        }
        let found = self.has_secrets();
        if let Some(config) = self.0.get_mut("config") {
            put(config, text);
        }
        found
    }

    /// The secrets provider, when it is not the backend's default.
    #[must_use]
    pub fn secrets_provider(&self) -> Option<&str> {
        self.0.get("secretsprovider")?.as_str()
    }

    /// Names the secrets provider, as `awskms://alias/name?region=us-east-2`.
    pub fn set_secrets_provider(&mut self, provider: &str) {
        self.0.insert("secretsprovider".to_owned(), provider.into());
    }

    /// Whether they say with which key secrets are encrypted.
    pub(crate) fn have_key(&self) -> bool {
        ["encryptionsalt", "encryptedkey"]
            .iter()
            .any(|field| self.0.contains_key(*field))
    }

    /// Takes over how `other` encrypts: its provider, salt and encrypted key.
    pub fn encrypt_like(&mut self, other: &Self) {
        for field in ["secretsprovider", "encryptionsalt", "encryptedkey"] {
            match other.0.get(field) {
                Some(value) => self.0.insert(field.to_owned(), value.clone()),
                None => self.0.remove(field),
            };
        }
    }
}

fn is_encrypted(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| {
        fields.len() == 1 && fields.get("secure").is_some_and(Value::is_string)
    })
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.config().map(|(key, _)| key))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_types_and_secrets_stay_encrypted() {
        let text = "secretsprovider: awskms://alias/a?region=b\nencryptedkey: AQ==\nconfig:\n  aws:region: us-east-2\n  \
                    app:count: \"3\"\n  app:deep: {on: true, list: [1, x]}\n  app:password:\n    secure: v1:abc:def\n";
        let mut settings = Settings::parse(text).expect("settings");
        settings.set("app:more", true);
        let again = Settings::parse(&settings.to_text()).expect("settings");
        assert_eq!(again, settings);
        assert_eq!(again.get("app:count"), Some(&Value::from("3")));
        assert_eq!(
            again.get("app:deep").and_then(|v| v.pointer("/list/0")),
            Some(&Value::from(1))
        );
        assert_eq!(
            again.get("app:password").and_then(|v| v.get("secure")),
            Some(&"v1:abc:def".into())
        );
        assert_eq!(again.secrets_provider(), Some("awskms://alias/a?region=b"));
        settings.set(
            "app:deep",
            serde_json::json!({"list": [{"secure": "v1:x:y"}]}),
        );
        let mut blind = settings.clone();
        assert!(blind.has_secrets() && blind.blind("hidden") && !blind.has_secrets());
        assert_eq!(blind.get("app:password"), Some(&"hidden".into()));
        assert_eq!(
            blind.get("app:deep"),
            Some(&serde_json::json!({"list": ["hidden"]}))
        );
        settings.retain(|key, _| key == "aws:region");
        assert_eq!(settings.config().count(), 1);
    }

    #[test]
    fn a_state_tells_how_it_is_encrypted() {
        let of = |providers: Value| {
            let state = serde_json::json!({"deployment": {"secrets_providers": providers}});
            Settings::of_state(&state)
        };
        let cloud = of(serde_json::json!(
            {"type": "cloud", "state": {"url": "awskms://alias/a", "encryptedkey": "AQ=="}}
        ));
        let expected = "{secretsprovider: awskms://alias/a, encryptedkey: AQ==}";
        assert_eq!(cloud, Settings::parse(expected).ok());
        let service = of(serde_json::json!(
            {"type": "service", "state": {"url": "https://api.pulumi.com", "owner": "a", "project": "b", "stack": "c"}}
        ));
        assert_eq!(service, None);
    }

    #[test]
    fn a_key_has_one_name() {
        let mut settings =
            Settings::parse("config: {size: 1, a:b: 2, name: x, 'p:name': y}").expect("settings");
        settings.complete_keys("p");
        settings.set("p:size", 3);
        let all: Vec<_> = settings.config().map(|(k, v)| format!("{k} {v}")).collect();
        assert_eq!(all, ["a:b 2", "p:name \"y\"", "p:size 3"]);
    }

    #[test]
    fn what_is_no_settings_file() {
        assert!(Settings::parse("").is_ok());
        assert!(Settings::parse("- a\n").is_err());
        assert!(Settings::parse("a: [").is_err());
    }
}
