//! The states that Azure tells of operations and resources.

use serde_json::Value;

/// A word of the service for how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The word, such as `Creating`.
    pub word: String,
}

impl State {
    /// Whether it is over, and well. Words are compared without case.
    #[must_use]
    pub fn is_good(&self) -> bool {
        ["succeeded", "completed"]
            .iter()
            .any(|good| self.word.eq_ignore_ascii_case(good))
    }

    /// Whether it is over, and not well.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        ["failed", "canceled", "cancelled"]
            .iter()
            .any(|bad| self.word.eq_ignore_ascii_case(bad))
    }

    /// Whether it is over. Every unknown word means that it goes on.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_good() || self.is_bad()
    }
}

/// A resource's `properties.provisioningState`.
#[must_use]
pub fn state_of(resource: &Value) -> Option<State> {
    word(resource.get("properties")?.get("provisioningState"))
}

pub(super) fn word(value: Option<&Value>) -> Option<State> {
    let word = value?.as_str().filter(|word| !word.is_empty())?.to_owned();
    Some(State { word })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_16_words_without_case() {
        let state = |word: &str| State {
            word: word.to_owned(),
        };
        assert!(state("succeeded").is_good());
        assert!(state("Completed").is_good());
        assert!(state("CANCELLED").is_bad());
        assert!(state("Canceled").is_bad());
        assert!(!state("Reconciling").is_final());
        assert!(!state("RegisteringDns").is_final());
    }
}
