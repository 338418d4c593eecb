//! Defaults of inputs, as serde asks for them.

/// For switches that are on unless the program says otherwise.
pub(crate) const fn yes() -> bool {
    true
}
