//! Azure: a client of Resource Manager, and the resources on top of it.
//!
//! [`AzureClients`] holds what is built once for a provider configuration ([`AzureConfig`]); [`AzureClients::session`] gives an
//! [`AzureSession`], whose subscription is known to be of the right tenant. [`arm`] is the client.

pub mod agent_pool;
pub mod aks;
mod aks_body;
mod aks_check;
pub mod aks_cluster;
mod aks_common;
mod aks_live;
mod aks_observe;
mod aks_pool_body;
mod aks_pool_inputs;
mod aks_rules;
mod aks_settings;
mod aks_tables;
mod aks_version;
pub mod arm;
mod assertion;
pub mod bootstrap;
pub mod clients;
mod common;
pub mod config;
mod credentials;
pub mod encryption_key;
mod http;
pub mod key_vault;
pub mod names;
pub mod resource_group;
pub mod role_assignment;
mod settings;
pub mod state_storage;
pub mod vault_secret;
mod vault_wait;

pub use clients::{AzureClients, AzureSession};
pub use common::SoftDeleted;
pub use config::AzureConfig;
