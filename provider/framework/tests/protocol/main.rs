//! The protocol, against the running binary of an example and a fake engine.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::similar_names,
    reason = "a failing test may panic"
)]

mod construct;
mod process;
mod support;
