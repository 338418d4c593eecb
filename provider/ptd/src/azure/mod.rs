//! Azure: a client of Resource Manager, and the resources on top of it.
//!
//! [`AzureClients`] holds what is built once for a provider configuration ([`AzureConfig`]); [`AzureClients::session`] gives an
//! [`AzureSession`], whose subscription is known to be of the right tenant. [`arm`] is the client.

pub mod arm;
mod assertion;
pub mod clients;
mod common;
pub mod config;
mod credentials;
mod http;
pub mod names;
pub mod resource_group;
mod settings;

pub use clients::{AzureClients, AzureSession};
pub use config::AzureConfig;
