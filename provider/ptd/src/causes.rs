//! What errors were caused by.

use std::error::Error as StdError;

/// An error and its causes, from the outside in.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The outermost cause of a type.
pub(crate) fn find<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    chain(error).find_map(|cause| cause.downcast_ref::<T>())
}

/// The causes from the outside in, each once.
pub(crate) fn chain_text(error: &(dyn StdError + 'static)) -> String {
    // Layers of the SDK and its HTTP client that say nothing by themselves.
    const NOISE: [&str; 9] = [
        "dispatch failure",
        "io error",
        "other",
        "timeout",
        "user error",
        "client error (Connect)",
        "client error (SendRequest)",
        "failed to construct request",
        "the credential provider was not enabled",
    ];
    let mut texts: Vec<String> = Vec::new();
    for cause in chain(error) {
        let text = cause.to_string();
        if !NOISE.contains(&text.as_str()) && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    // Where every layer is noise, the outermost is still better than nothing.
    if texts.is_empty() {
        error.to_string()
    } else {
        texts.join(": ")
    }
}
