//! What went wrong with an inner stack, and what to do about it.

use pulumi_automation as automation;
use pulumi_provider::Error;

use super::args::{RetryOn, StackArgs};

/// What went wrong with an inner stack, with what to do about it.
pub(super) fn refused(args: &StackArgs, error: &automation::Error) -> Error {
    Error::refused(
        format!("stack {}: {error}", args.stack),
        next_step(error, args),
    )
}

/// The kind of a failure that may be gone the next time.
pub(super) fn class(error: &automation::Error) -> Option<RetryOn> {
    const THROTTLED: [&str; 6] = [
        "Throttling",
        "ThrottledException",
        "TooManyRequests",
        "RequestLimitExceeded",
        "SlowDown",
        "StatusCode: 429",
    ];
    match error {
        automation::Error::Locked { .. } => Some(RetryOn::Lock),
        automation::Error::Backend { .. } => Some(RetryOn::Backend),
        automation::Error::Failed { message, .. }
            if THROTTLED.iter().any(|word| message.contains(word)) =>
        {
            Some(RetryOn::Throttling)
        }
        _ => None,
    }
}

/// What to do about a failure.
fn next_step(error: &automation::Error, args: &StackArgs) -> String {
    let backend = &args.backend_url;
    let place = args
        .directory
        .as_deref()
        .map(|directory| format!("-C {directory} "))
        .unwrap_or_default();
    let by_hand = format!(
        "PULUMI_BACKEND_URL='{backend}' pulumi {place}preview --stack {}",
        args.stack
    );
    match error {
        automation::Error::Locked { .. } => format!(
            "wait for the other update (lockTimeout waits by itself); when its process is gone, free the stack with: \
             PULUMI_BACKEND_URL='{backend}' pulumi cancel --stack {}",
            args.stack
        ),
        automation::Error::HalfLocked { .. } => format!(
            "when nobody is at work on it, free the stack with: PULUMI_BACKEND_URL='{backend}' pulumi cancel --stack {}",
            args.stack
        ),
        automation::Error::Cancelled { .. } => "run the update again: it continues from here".to_owned(),
        automation::Error::Missing { .. } | automation::Error::TooOld { .. } => "install the Pulumi CLI".to_owned(),
        automation::Error::Secrets { .. } => {
            "check the input secretsProvider, and that environment or inheritEnvironment gives what it needs, such as \
             PULUMI_CONFIG_PASSPHRASE"
                .to_owned()
        }
        _ => format!("correct the cause and run the update again; by hand: {by_hand}"),
    }
}
