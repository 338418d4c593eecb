//! Taking over what exists already.

use pulumi_provider::{Context, Error};

use crate::Ptd;

/// Says that something existing was taken over, and what that changed.
pub(crate) async fn tell_adoption(cx: &Context<Ptd>, what: &str, changes: &[&str]) {
    let verb = if cx.preview() {
        "will change"
    } else {
        "changed"
    };
    if changes.is_empty() {
        cx.info(format!("adopts existing {what}; nothing to change"))
            .await;
    } else {
        cx.info(format!(
            "adopts existing {what}; {verb}: {}",
            changes.join(", ")
        ))
        .await;
    }
}

/// The refusal to take over what exists.
pub(crate) fn exists_already(what: &str, import: &str) -> Error {
    Error::refused(
        format!("{what} exists already, and adopt is false"),
        format!("Import it (import id '{import}'), or set adopt to true to take it over"),
    )
}
