//! How the inputs of clusters and pools lie in ARM's models, as tables: one place says what is sent, compared and read.

use serde_json::{Map, Value, json};

/// One input and its place in the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The input's name.
    pub input: &'static str,
    /// Its place in the model. Services spell keys differently: they are found without regard to case.
    pub path: &'static [&'static str],
    /// What holds where the program says nothing.
    pub default: Plain,
    /// What it means that Azure answers nothing.
    pub absent: Plain,
    /// Whether it can be set at creation only.
    pub fixed: bool,
    /// Whether its words are the user's own, in which case counts.
    pub exact: bool,
}

/// A value that a table can hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain {
    /// None: it is not sent.
    Nothing,
    /// A switch.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(&'static str),
    /// A list of texts.
    Texts(&'static [&'static str]),
    /// An empty map.
    EmptyMap,
}

impl Plain {
    pub(super) fn value(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Flag(flag) => flag.into(),
            Self::Number(number) => number.into(),
            Self::Text(text) => text.into(),
            Self::Texts(texts) => json!(texts),
            Self::EmptyMap => json!({}),
        }
    }
}

impl Setting {
    pub(super) const fn new(
        input: &'static str,
        path: &'static [&'static str],
        default: Plain,
        absent: Plain,
    ) -> Self {
        Self {
            input,
            path,
            default,
            absent,
            fixed: false,
            exact: false,
        }
    }

    pub(super) const fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }

    pub(super) const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// Whether two values of it are the same to Azure.
    fn same(&self, one: &Value, other: &Value) -> bool {
        same_as(one, other, self.exact)
    }

    /// Whether a rule about words allows the change from what is to what should be.
    pub(super) fn moves(
        &self,
        inputs: &Value,
        live: &Value,
        allows: impl Fn(&str, &str, &str) -> bool,
    ) -> bool {
        match (self.actual(live).as_str(), self.wanted(inputs).as_str()) {
            (Some(from), Some(to)) => allows(self.input, from, to),
            _ => true,
        }
    }

    /// What should be, by the inputs.
    fn wanted(&self, inputs: &Value) -> Value {
        match inputs.get(self.input) {
            None | Some(Value::Null) => self.default.value(),
            Some(value) => value.clone(),
        }
    }

    /// What is.
    fn actual(&self, live: &Value) -> Value {
        match find(live, self.path) {
            None | Some(Value::Null) => self.absent.value(),
            Some(value) => whole_numbers(value.clone()),
        }
    }
}

/// A value in a model, keys compared without case.
pub(super) fn find<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| {
        let map = value.as_object()?;
        map.get(*key).or_else(|| {
            map.iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| value)
        })
    })
}

/// Puts the tags into a body where they are other than the live ones. Says whether they were.
pub(super) fn put_tags(model: &mut Value, live: &Value, tags: &Map<String, Value>) -> bool {
    let held = live.get("tags").and_then(Value::as_object);
    let other = held.map_or(!tags.is_empty(), |held| held != tags);
    if other {
        put(model, &["tags"], Value::Object(tags.clone()));
    }
    other
}

/// Puts a value into a model, under the keys that are there already.
pub(super) fn put(model: &mut Value, path: &[&str], value: Value) {
    let [first, rest @ ..] = path else {
        *model = value;
        return;
    };
    if !model.is_object() {
        *model = Value::Object(Map::new());
    }
    if let Value::Object(map) = model {
        let key = map
            .keys()
            .find(|key| key.eq_ignore_ascii_case(first))
            .cloned()
            .unwrap_or_else(|| (*first).to_owned());
        put(map.entry(key).or_insert(Value::Null), rest, value);
    }
}

/// Takes a value out of a model.
pub(super) fn remove(model: &mut Value, path: &[&str]) {
    let Some((last, above)) = path.split_last() else {
        return;
    };
    let mut at = model;
    for key in above {
        match at.get_mut(*key) {
            Some(next) => at = next,
            None => return,
        }
    }
    if let Value::Object(map) = at {
        map.remove(*last);
    }
}

/// Numbers that a service writes as `2.0` are whole ones, and must be sent as such.
pub(super) fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number
                .as_f64()
                .filter(|float| float.fract() == 0.0)
                .and_then(|float| format!("{float:.0}").parse::<i64>().ok());
            whole.map_or(Value::Number(number), Value::from)
        }
        Value::Array(list) => list.into_iter().map(whole_numbers).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, whole_numbers(value)))
            .collect(),
        other => other,
    }
}

/// A model ready to be sent back: whole numbers as such, and nothing that is null, which means absent.
pub(super) fn sendable(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(sendable).collect(),
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, sendable(value)))
            .collect(),
        other => whole_numbers(other),
    }
}

/// Whether two values are the same to Azure: words in any case unless they are `exact`, lists as sets, nothing like an empty list or
/// map.
fn same_as(one: &Value, other: &Value, exact: bool) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) if !exact => one.eq_ignore_ascii_case(other),
        (Value::Array(one), Value::Array(other)) => {
            let within = |item| other.iter().any(|o| same_as(item, o, exact));
            one.len() == other.len() && one.iter().all(within)
        }
        // Labels and tags are the user's own words.
        (Value::Object(one), Value::Object(other)) => one == other,
        (one, other) => one == other || (is_empty(one) && is_empty(other)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// The inputs whose values are not what is there.
pub(super) fn differing(table: &[Setting], inputs: &Value, live: &Value) -> Vec<Setting> {
    table
        .iter()
        .filter(|setting| {
            let wanted = setting.wanted(inputs);
            !wanted.is_null() && !setting.same(&wanted, &setting.actual(live))
        })
        .copied()
        .collect()
}

/// What about a model is otherwise than in one that is made here, and no input changes.
pub(super) fn unlike(shapes: &[&[Setting]], live: &Value) -> Vec<&'static str> {
    let all = shapes.iter().flat_map(|s| differing(s, &Value::Null, live));
    all.map(|setting| setting.input).collect()
}

/// Writes the inputs into a model. Where something is there already that means the same, it stays as it is spelt; what only a creation
/// can set is written into an empty model alone.
pub(super) fn write(table: &[Setting], inputs: &Value, model: &mut Value, creating: bool) {
    for setting in table {
        let wanted = setting.wanted(inputs);
        if wanted.is_null()
            || (!creating && (setting.fixed || setting.same(&wanted, &setting.actual(model))))
        {
            continue;
        }
        put(model, setting.path, wanted);
    }
}

/// The inputs that would produce what is there. What the program leaves out stays out as long as the default holds; what it says stays as
/// it spells it.
pub(super) fn observe(
    table: &[Setting],
    prior: Option<&Value>,
    live: &Value,
) -> Map<String, Value> {
    table
        .iter()
        .filter_map(|setting| {
            let actual = setting.actual(live);
            let said = prior
                .and_then(|prior| prior.get(setting.input))
                .filter(|value| !value.is_null());
            let shown = match said {
                Some(said) if setting.same(said, &actual) => said.clone(),
                None if setting.same(&setting.default.value(), &actual) => return None,
                // What is neither said nor has a default is Azure's own business.
                None if prior.is_some() && setting.default.value().is_null() => return None,
                _ => actual,
            };
            (!shown.is_null()).then(|| (setting.input.to_owned(), shown))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Setting] = &[
        Setting::new(
            "tier",
            &["sku", "tier"],
            Plain::Text("Standard"),
            Plain::Text("Free"),
        ),
        Setting::new(
            "zones",
            &["properties", "zones"],
            Plain::Texts(&["2", "3"]),
            Plain::Texts(&[]),
        ),
        Setting::new(
            "policy",
            &["addons", "azurepolicy"],
            Plain::Flag(false),
            Plain::Flag(false),
        ),
        Setting::new("size", &["size"], Plain::Number(128), Plain::Nothing).fixed(),
    ];

    #[test]
    fn spelling_and_order_are_no_difference() {
        let live = json!({
            "sku": {"Tier": "standard"}, "properties": {"zones": ["3", "2"]}, "addons": {"azurePolicy": false}, "size": 128.0
        });
        assert!(differing(TABLE, &json!({}), &live).is_empty());
        let observed = observe(TABLE, Some(&json!({"tier": "Standard"})), &live);
        assert_eq!(Value::Object(observed), json!({"tier": "Standard"}));
    }

    #[test]
    fn what_changed_is_seen_and_written_where_it_lies() {
        let mut live = json!({"sku": {"tier": "Free"}, "properties": {"zones": ["2", "3"], "other": 1}, "addons": {"azurePolicy": true}, "size": 64});
        let names: Vec<_> = differing(TABLE, &json!({}), &live)
            .iter()
            .map(|s| s.input)
            .collect();
        assert_eq!(names, ["tier", "policy", "size"]);
        write(TABLE, &json!({}), &mut live, false);
        assert_eq!(
            live,
            json!({"sku": {"tier": "Standard"}, "properties": {"zones": ["2", "3"], "other": 1}, "addons": {"azurePolicy": false}, "size": 64})
        );
    }
}
