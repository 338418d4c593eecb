//! What went wrong with an inner stack, and what to do about it.

use pulumi_automation as automation;
use pulumi_automation::Operation;
use pulumi_provider::Error;

use super::args::{RetryOn, StackArgs};
use super::in_quotes;

/// What went wrong with an inner stack, with what to do about it.
pub(super) fn refused(args: &StackArgs, error: &automation::Error) -> Error {
    failed(args, Operation::Preview, error)
}

/// The same for an operation, which the next step repeats by hand.
pub(super) fn failed(args: &StackArgs, operation: Operation, error: &automation::Error) -> Error {
    Error::refused(
        format!("stack {}: {error}", args.stack),
        next_step(error, operation, args),
    )
}

/// The same where the operation had to end, `why` tells for which reason: an inner run that is made to end knows of none.
pub(super) fn ended(
    args: &StackArgs,
    operation: Operation,
    why: &Error,
    error: &automation::Error,
) -> Error {
    let Error::TimedOut { limit, .. } = why else {
        return failed(args, operation, error);
    };
    Error::refused(
        format!(
            "stack {}: its time, {} s, is up: {error}",
            args.stack,
            limit.as_secs_f64()
        ),
        "give it more with the option customTimeouts, and run the update again: it continues from here",
    )
}

/// Whether a failure that may be gone the next time is of this kind.
pub(super) fn is_of(error: &automation::Error, kind: RetryOn) -> bool {
    use automation::Error::{Backend, Failed, Locked, Secrets};
    match (kind, error) {
        (RetryOn::Lock, Locked { .. }) | (RetryOn::Backend, Backend { .. }) => true,
        (RetryOn::Throttling, Failed { outcome, .. }) => {
            let mut errors = outcome.errors.iter();
            errors.any(|error| is_of_resource(error) && is_throttling(error))
        }
        // Those of the state and of its key are services too.
        (RetryOn::Throttling, Backend { message, .. } | Secrets { message, .. }) => {
            is_throttling(message)
        }
        _ => false,
    }
}

fn is_throttling(message: &str) -> bool {
    const WORDS: [&str; 6] = [
        "Throttling",
        "ThrottledException",
        "TooManyRequests",
        "RequestLimitExceeded",
        "SlowDown",
        "StatusCode: 429",
    ];
    WORDS.iter().any(|word| message.contains(word))
}

/// Whether an error is a resource's: those of the program itself are the stack's own.
fn is_of_resource(error: &str) -> bool {
    error.starts_with("urn:pulumi:") && !error.contains("::pulumi:pulumi:Stack::")
}

/// The command that does by hand what has failed, as far as there is one for this kind of source.
fn by_hand(args: &StackArgs, operation: Operation) -> String {
    let verb = match operation {
        Operation::Up => "up",
        Operation::Destroy => "destroy",
        Operation::RefreshPreview => "refresh --preview-only",
        _ => "preview",
    };
    let backend = format!("PULUMI_BACKEND_URL={} pulumi", in_quotes(&args.backend_url));
    let command = format!("{verb} --stack {}", args.stack);
    let mut text = if let Some(directory) = &args.directory {
        format!("{backend} -C {} {command}", in_quotes(directory))
    } else if let Some(git) = &args.git {
        let place = git.path.as_deref().unwrap_or(".");
        let commit = args.source_digests.get(super::source::COMMIT);
        let commit = commit.unwrap_or(&git.reference);
        format!(
            "in a clone of {} at {commit}: {backend} -C {} {command}",
            git.url,
            in_quotes(place)
        )
    } else if let Some(archive) = &args.archive {
        format!("where {archive} is unpacked: {backend} {command}")
    } else {
        return format!("{backend} stack --stack {}", args.stack);
    };
    if !args.config.is_empty() {
        let keys: Vec<&str> = args.config.keys().map(String::as_str).collect();
        let more = format!(" (with the input config: --config for {})", keys.join(", "));
        text.push_str(&more);
    }
    text
}

/// What to do about a failure.
fn next_step(error: &automation::Error, operation: Operation, args: &StackArgs) -> String {
    let backend = in_quotes(&args.backend_url);
    let by_hand = by_hand(args, operation);
    match error {
        automation::Error::Locked { .. } => format!(
            "wait for the other update (lockTimeout waits by itself); when its process is gone, free the stack with: \
             PULUMI_BACKEND_URL={backend} pulumi cancel --stack {}",
            args.stack
        ),
        automation::Error::HalfLocked { .. } => format!(
            "when nobody is at work on it, free the stack with: PULUMI_BACKEND_URL={backend} pulumi cancel --stack {}",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(errors: &[&str]) -> automation::Error {
        automation::Error::Failed {
            stack: "organization/p/s".to_owned(),
            operation: "up",
            message: errors.join("\n"),
            outcome: Box::new(automation::Outcome {
                errors: errors.iter().map(|&error| error.to_owned()).collect(),
                ..automation::Outcome::default()
            }),
        }
    }

    #[test]
    fn only_what_a_service_says_counts_as_throttled() {
        let resource = "urn:pulumi:s::p::aws:s3/bucket:Bucket::b: operation error S3: SlowDown";
        let program = "urn:pulumi:s::p::pulumi:pulumi:Stack::p-s: Exception: SlowDown";
        let is = |error| is_of(&error, RetryOn::Throttling);
        assert!(is(failure(&[program, resource])));
        assert!(!is(failure(&[program])) && !is(failure(&["SlowDown"])));
        let of_key = |message: &str| automation::Error::Secrets {
            stack: "organization/p/s".to_owned(),
            message: message.to_owned(),
        };
        assert!(is(of_key(
            "secrets manager: ThrottlingException: Rate exceeded"
        )));
        assert!(!is(of_key("incorrect passphrase")));
    }

    #[test]
    fn what_is_done_by_hand_is_what_failed() {
        let mut args = StackArgs {
            stack: "organization/p/s".to_owned(),
            backend_url: "s3://state".to_owned(),
            directory: Some("web".to_owned()),
            ..StackArgs::default()
        };
        let up = "PULUMI_BACKEND_URL='s3://state' pulumi -C 'web' up --stack organization/p/s";
        assert_eq!(by_hand(&args, Operation::Up), up);
        args.directory = None;
        args.archive = Some("web.tgz".to_owned());
        let destroy = "where web.tgz is unpacked: PULUMI_BACKEND_URL='s3://state' pulumi destroy --stack organization/p/s";
        assert_eq!(by_hand(&args, Operation::Destroy), destroy);
        args.archive = None;
        let look = "PULUMI_BACKEND_URL='s3://state' pulumi stack --stack organization/p/s";
        assert_eq!(by_hand(&args, Operation::Up), look);
    }
}
