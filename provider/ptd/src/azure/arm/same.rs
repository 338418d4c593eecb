//! Whether a resource is what was asked for.

use serde_json::Value;

/// Whether what is there has everything that was written, leaving aside what the service added, the case of letters and the spelling of
/// regions.
#[must_use]
pub fn covers(live: &Value, written: &Value) -> bool {
    match (live, written) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(written)) => written.iter().all(|(key, value)| {
            // Some properties are never answered: they say how to write, not what.
            if key == "createMode" {
                return true;
            }
            let found = live.get(key).or_else(|| {
                live.iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(key))
                    .map(|(_, value)| value)
            });
            match found {
                Some(found) if key == "location" => {
                    let normal = |v: &Value| v.as_str().map(super::id::region);
                    normal(found) == normal(value)
                }
                Some(found) => covers(found, value),
                None => value.is_null() || is_empty(value),
            }
        }),
        (Value::Array(live), Value::Array(written)) => {
            live.len() == written.len() && live.iter().zip(written).all(|(a, b)| covers(a, b))
        }
        (Value::String(live), Value::String(written)) => live.eq_ignore_ascii_case(written),
        (Value::Number(live), Value::Number(written)) => live.as_f64() == written.as_f64(),
        (live, written) => live == written,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn additions_and_spelling_do_not_matter() {
        let live = json!({"location": "East US 2", "properties": {"sku": {"Name": "STANDARD"}, "extra": 1, "count": 2.0}, "id": "x"});
        assert!(covers(
            &live,
            &json!({"location": "eastus2", "properties": {"sku": {"name": "standard"}, "count": 2}})
        ));
        assert!(covers(&live, &json!({"tags": {}})));
        assert!(!covers(&live, &json!({"tags": {"a": "b"}})));
        assert!(!covers(
            &live,
            &json!({"properties": {"sku": {"name": "premium"}}})
        ));
    }
}
