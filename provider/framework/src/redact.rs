//! Keeps known secret texts out of everything that is written.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock, RwLock};

use crate::value::{PropertyMap, PropertyValue};

/// Shorter texts appear by chance in ordinary output; hiding them would only garble it.
const SHORTEST: usize = 4;

/// How often each secret is in use. Log lines do not say which call they belong to, so one table serves the process.
static KNOWN: LazyLock<RwLock<HashMap<Arc<str>, usize>>> = LazyLock::new(RwLock::default);

/// Keeps its texts redacted for as long as it lives.
#[derive(Debug, Default)]
pub struct Guard(Vec<Arc<str>>);

impl Guard {
    /// Adds one text.
    pub fn add(&mut self, text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        let Ok(mut known) = KNOWN.write() else { return };
        let key: Arc<str> = known
            .get_key_value(text)
            .map_or_else(|| text.into(), |(k, _)| k.clone());
        *known.entry(key.clone()).or_default() += 1;
        self.0.push(key);
    }

    /// Adds every text below a secret mark.
    pub fn add_all(&mut self, map: &PropertyMap) {
        for value in map.values() {
            value.secret_texts(&mut |text| self.add(text));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Ok(mut known) = KNOWN.write() else { return };
        for key in &self.0 {
            if let Some(count) = known.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    known.remove(key);
                }
            }
        }
    }
}

/// The text with every known secret replaced.
#[must_use]
pub fn scrub(text: &str) -> String {
    let mut text = text.to_owned();
    if let Ok(known) = KNOWN.read() {
        for secret in known.keys() {
            if text.contains(secret.as_ref()) {
                text = text.replace(secret.as_ref(), "[secret]");
            }
        }
    }
    text
}

thread_local! {
    /// The message of this thread's last panic.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic's message may quote a secret, and the guards are gone once it is caught: it is scrubbed where it is raised.
pub(crate) fn scrub_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = scrub(&info.to_string());
        eprintln!("{text}");
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            eprintln!("{backtrace}");
        }
        let _ = PANIC.try_with(|slot| slot.replace(Some(text)));
    }));
}

/// What the panic that was just caught on this thread said.
pub(crate) fn caught_panic() -> String {
    PANIC
        .try_with(RefCell::take)
        .ok()
        .flatten()
        .unwrap_or_else(|| "no message".to_owned())
}

/// A value as JSON with every secret hidden.
#[must_use]
pub fn to_json(value: &PropertyValue) -> serde_json::Value {
    use serde_json::Value;
    match value {
        PropertyValue::Null => Value::Null,
        PropertyValue::Bool(v) => Value::Bool(*v),
        PropertyValue::Number(v) => Value::from(*v),
        PropertyValue::String(v) => Value::String(scrub(v)),
        PropertyValue::List(v) => Value::Array(v.iter().map(to_json).collect()),
        PropertyValue::Map(v) => map_to_json(v),
        other => Value::String(format!("{other:?}")),
    }
}

/// Properties as JSON with every secret hidden.
#[must_use]
pub fn map_to_json(map: &PropertyMap) -> serde_json::Value {
    serde_json::Value::Object(map.iter().map(|(k, v)| (k.clone(), to_json(v))).collect())
}

/// Scrubs what a log formatter writes; a formatter hands over whole lines.
pub(crate) struct Scrubbed<W>(pub(crate) W);

impl<W: io::Write> io::Write for Scrubbed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .write_all(scrub(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_while_the_guard_lives() {
        let mut guard = Guard::default();
        guard.add("s3cr3t-text");
        guard.add("no");
        assert_eq!(scrub("a s3cr3t-text no"), "a [secret] no");
        let second = {
            let mut second = Guard::default();
            second.add("s3cr3t-text");
            second
        };
        drop(guard);
        assert_eq!(scrub("s3cr3t-text"), "[secret]");
        drop(second);
        assert_eq!(scrub("s3cr3t-text"), "s3cr3t-text");
    }
}
