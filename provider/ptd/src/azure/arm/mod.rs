//! Azure Resource Manager's REST interface.
//!
//! [`ArmClient`] gives resources as JSON: [`ArmClient::get`] and [`ArmClient::list`] to look, [`ArmClient::put`],
//! [`ArmClient::patch`], [`ArmClient::delete`] and [`ArmClient::post`] to change, each of which waits for the operation it started.
//! A [`Job`] says for whom: its callback learns of the [`PendingOperation`] at once, so that the state can keep it, and
//! [`ArmClient::resume`] goes on with it in a later run.

mod client;
mod cloud;
mod error;
mod hints;
mod id;
mod line;
mod operation;
mod patience;
mod registration;
mod run;
mod same;
mod state;
#[cfg(test)]
mod tests;
mod token;

pub use client::{Answer, ArmClient, Write};
pub use cloud::Cloud;
pub use error::{ArmError, Refusal};
pub(crate) use hints::growing;
pub use id::{NoResourceId, ResourceId, region};
pub use operation::{OperationStyle, PendingOperation};
pub use run::{Job, Run};
pub use same::covers;
pub use state::{State, state_of};
pub use token::{Maker, Shared, Tokens};
