//! What takes its time at a vault: rights, names, deletions.

use std::time::Duration;

use azure_core::time::{OffsetDateTime, parse_rfc3339};
use pulumi_provider::{Context, Error};

use super::arm::{ArmError, ResourceId, growing};
use super::clients::AzureSession;
use super::role_assignment;
use crate::Ptd;

/// How long a new role assignment may take to become effective.
const SPREAD: Duration = Duration::from_mins(10);

/// How often a refusal is tried again where no assignment is new: the caller's own rights may lag.
const DENIED_ATTEMPTS: u32 = 2;

/// How often a vault that cannot be reached is tried again: a new one may be unknown to DNS for a minute.
const UNREACHED_ATTEMPTS: u32 = 10;

/// How often a namesake that is being deleted or recovered is waited for.
const BUSY_ATTEMPTS: u32 = 150;

/// How often a write that failed for a passing reason is tried again, after a look.
const FAILED_ATTEMPTS: u32 = 8;

/// The waits of the calls for one secret or key.
pub(super) struct VaultWait<'a> {
    cx: &'a Context<Ptd>,
    session: &'a AzureSession,
    /// The ARM id of the secret or key.
    id: &'a ResourceId,
    /// The role beside the administrator's that allows the calls.
    role: &'static str,
    denied: u32,
    unreached: u32,
    busy: u32,
    failed: u32,
}

impl<'a> VaultWait<'a> {
    pub(super) fn new(
        cx: &'a Context<Ptd>,
        session: &'a AzureSession,
        id: &'a ResourceId,
        role: &'static str,
    ) -> Self {
        Self {
            cx,
            session,
            id,
            role,
            denied: 0,
            unreached: 0,
            busy: 0,
            failed: 0,
        }
    }

    /// Waits where waiting helps; otherwise the error it is.
    pub(super) async fn wait(&mut self, error: ArmError) -> Result<(), Error> {
        if error.is_code(&["ForbiddenByRbac"]) {
            let young = self.assignment_is_young().await;
            if !young && self.denied >= DENIED_ATTEMPTS {
                return Err(error
                    .with_hint(format!(
                        "Grant the identity the role Key Vault Administrator or {} on the vault; a membership in the admin group \
                         counts once a new token has it",
                        self.role
                    ))
                    .into());
            }
            self.cx
                .status("waits for the role assignment to become effective")
                .await;
            return self.pause(|w| &mut w.denied, Duration::from_secs(1)).await;
        }
        if error.is_code(&["ObjectIsBeingDeleted", "ObjectIsBeingRecovered"])
            && self.busy < BUSY_ATTEMPTS
        {
            self.busy += 1;
            return self.cx.sleep(Duration::from_secs(2)).await;
        }
        let Some(refusal) = error.refusal() else {
            return Err(error.into());
        };
        let soon = Duration::from_millis(500);
        // The name of a new vault may be unknown to DNS for a minute.
        if refusal.unanswered && self.unreached < UNREACHED_ATTEMPTS {
            return self.pause(|w| &mut w.unreached, soon).await;
        }
        let passing = !refusal.unanswered && (refusal.is_passing() || refusal.is_throttled());
        if passing && self.failed < FAILED_ATTEMPTS {
            return self.pause(|w| &mut w.failed, soon).await;
        }
        Err(error.into())
    }

    async fn pause(
        &mut self,
        count: impl Fn(&mut Self) -> &mut u32,
        first: Duration,
    ) -> Result<(), Error> {
        let attempt = count(self);
        let pause = growing(*attempt, first, Duration::from_secs(10));
        *attempt += 1;
        self.cx.sleep(pause).await
    }

    /// Whether a role was assigned on the vault or above so lately that it may not be effective yet.
    async fn assignment_is_young(&self) -> bool {
        let Some(vault) = self.id.parent() else {
            return false;
        };
        let Ok(all) = role_assignment::list(self.cx, self.session, &vault).await else {
            return false;
        };
        let now = OffsetDateTime::now_utc();
        all.iter()
            .filter_map(|live| parse_rfc3339(live.created.as_deref()?).ok())
            .any(|created| now - created < SPREAD)
    }
}
