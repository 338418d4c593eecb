//! AWS: what every AWS resource stands on.
//!
//! [`AwsClients`] holds lazily built SDK clients for one provider configuration ([`AwsConfig`], [`CommonConfig`](crate::config::CommonConfig)); [`call`] turns any SDK request
//! into a `Result` with an [`AwsError`] that says what was attempted and what to do next. The other modules hold no I/O.

pub mod admin_document;
pub mod admin_policy;
pub mod bootstrap;
pub mod clients;
pub(crate) mod common;
pub mod config;
pub mod control_room;
pub mod credentials;
pub mod encryption_key;
pub mod error;
mod http;
pub mod names;
pub mod post_actions;
mod region_clients;
pub mod retry;
pub mod secret;
pub mod secret_fields;
mod secret_write;
pub mod state_bucket;

pub use clients::AwsClients;
pub use common::{Hardening, HardeningStatus};
pub use config::AwsConfig;
pub use credentials::Caller;
pub use error::{AwsError, Kind, call};
pub use region_clients::RegionClients;
