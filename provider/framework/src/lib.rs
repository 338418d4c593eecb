//! Write native Pulumi resource providers in Rust.
//!
//! A custom resource is one type with two structs: what the user says and what the cloud knows. Schema, check, diff and
//! preview are derived from them; registering the resource is one line. See `examples/dice.rs` for a complete provider.

#![forbid(unsafe_code)]

/// Keeps the example in the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod calllog;
mod check;
mod child;
mod component;
mod context;
mod de;
mod diff;
mod engine;
mod env;
mod erased;
mod error;
#[cfg(test)]
mod fuzz_tests;
mod method;
mod monitor;
mod package;
mod path;
pub mod redact;
mod resource;
pub mod schema;
mod secret;
mod ser;
#[cfg(test)]
mod serde_tests;
mod serve;
mod server;
mod value;
mod views;
pub mod wire;

pub use calllog::CALL_LOG_ENV;
pub use check::{Autonaming, Checking, Failure, nearest};
pub use child::{Child, ChildOptions, Registered};
pub use component::Component;
pub use context::Context;
pub use de::{FitError, from_properties, from_value};
pub use diff::{Change, Diff};
pub use env::{Env, ProcessEnv};
pub use error::{Error, RemoteError};
pub use method::{Method, Receiver};
pub use monitor::{Construction, Outputs};
pub use package::Package;
pub use path::{Path, Step};
pub use resource::{
    Created, Function, Observed, Prediction, Preview, Prior, Properties, Provider, Resource,
};
pub use secret::{Marked, Secret};
pub use ser::{UnfitError, to_properties, to_value};
pub use serve::run;
pub use value::{
    Archive, Asset, OutputValue, PropertyMap, PropertyValue, ProviderReference, ReferenceId,
    ResourceReference, Unknown,
};
pub use views::{View, ViewOperation};
