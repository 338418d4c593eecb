//! What went wrong with an inner stack, and what to do about it.

use pulumi_automation as automation;
use pulumi_automation::Operation;
use pulumi_provider::Error;

use super::args::{RetryOn, StackArgs};
use super::in_quotes;

/// What was done when something went wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doing<'a> {
    /// Getting ready, which no command does.
    Preparing,
    Installing,
    Creating,
    /// Setting this secret of the configuration.
    Setting(&'a str),
    Running(Operation),
    /// Reading the state.
    Reading,
    /// Reading the outputs.
    Revealing,
    Freeing,
    Removing,
}

/// What went wrong with an inner stack, with what to do about it.
pub(super) fn failed(args: &StackArgs, doing: Doing<'_>, error: &automation::Error) -> Error {
    Error::refused(
        format!("stack {}: {error}", args.stack),
        next_step(error, doing, args),
    )
}

/// The same where the operation had to end, `why` tells for which reason: an inner run that is made to end knows of none.
pub(super) fn ended(
    args: &StackArgs,
    doing: Doing<'_>,
    why: &Error,
    error: &automation::Error,
) -> Error {
    let Error::TimedOut { limit, .. } = why else {
        return failed(args, doing, error);
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

/// The command that does by hand what has failed, with what it takes besides.
fn by_hand(args: &StackArgs, doing: Doing<'_>) -> Option<String> {
    let stack = &args.stack;
    let (command, of_program) = match doing {
        Doing::Preparing => return None,
        Doing::Installing => ("install".to_owned(), true),
        Doing::Creating => {
            let provider = args.secrets_provider.as_deref();
            let provider = provider.map(|url| format!(" --secrets-provider {}", in_quotes(url)));
            let provider = provider.unwrap_or_default();
            (format!("stack init{provider} --stack {stack}"), true)
        }
        Doing::Setting(key) => {
            let key = in_quotes(key);
            (
                format!("config set --secret --stack {stack} -- {key}"),
                true,
            )
        }
        Doing::Running(operation) => {
            let verb = match operation {
                Operation::RefreshPreview => "refresh --preview-only",
                operation => operation.name(),
            };
            (format!("{verb} --stack {stack}"), true)
        }
        Doing::Reading => (format!("stack export --stack {stack}"), false),
        Doing::Revealing => (
            format!("stack output --show-secrets --stack {stack}"),
            false,
        ),
        Doing::Freeing => (format!("cancel --stack {stack}"), false),
        Doing::Removing => (format!("stack rm --stack {stack}"), false),
    };
    let pulumi = format!("PULUMI_BACKEND_URL={} pulumi", in_quotes(&args.backend_url));
    let text = if of_program {
        of_source(args, &pulumi, &command)
    } else {
        format!("{pulumi} {command}")
    };
    let mut with = Vec::new();
    let names = |names: Vec<&String>| {
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        names.join(", ")
    };
    if matches!(doing, Doing::Running(_)) && !args.config.is_empty() {
        let keys = names(args.config.keys().collect());
        with.push(format!("the input config: --config for {keys}"));
    }
    if !args.environment.is_empty() {
        let variables = names(args.environment.keys().collect());
        with.push(format!(
            "the variables of the input environment: {variables}"
        ));
    }
    Some(if with.is_empty() {
        text
    } else {
        format!("{text} (with {})", with.join("; with "))
    })
}

/// A command where the program is.
fn of_source(args: &StackArgs, pulumi: &str, command: &str) -> String {
    let project = args.stack.split('/').nth(1).unwrap_or_default();
    let look = format!(
        "; to look at the stack: {pulumi} stack --stack {}",
        args.stack
    );
    if let Some(directory) = &args.directory {
        format!("{pulumi} -C {} {command}", in_quotes(directory))
    } else if let Some(git) = &args.git {
        let place = git.path.as_deref().unwrap_or(".");
        let commit = args.source_digests.get(super::source::COMMIT);
        let commit = commit.unwrap_or(&git.reference);
        let url = &git.url;
        format!(
            "in a clone of {url} at {commit}: {pulumi} -C {} {command}",
            in_quotes(place)
        )
    } else if let Some(archive) = &args.archive {
        format!("where {archive} is unpacked: {pulumi} {command}")
    } else if args.program.is_some() {
        format!(
            "in a directory with the input program as its Pulumi.yaml (name: {project}, runtime: yaml): {pulumi} {command}{look}"
        )
    } else if let Some(python) = &args.python {
        let place = |path: &str| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
            path.display().to_string()
        };
        let virtualenv = python.virtualenv.as_deref().map(|path| {
            let path = place(path);
            format!(", options: virtualenv: {path}")
        });
        format!(
            "in a directory with a Pulumi.yaml (name: {project}, runtime: python{}) and a __main__.py (from {module} import {class}; \
             {class}.autoload()): PYTHONPATH={} {pulumi} {command}{look}",
            virtualenv.unwrap_or_default(),
            in_quotes(&place(&python.root)),
            module = python.module,
            class = python.class,
        )
    } else {
        format!("{pulumi} {command}")
    }
}

/// What to do about a failure.
fn next_step(error: &automation::Error, doing: Doing<'_>, args: &StackArgs) -> String {
    let backend = in_quotes(&args.backend_url);
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
        _ => {
            let by_hand = by_hand(args, doing).map(|command| format!("; by hand: {command}"));
            let by_hand = by_hand.unwrap_or_default();
            format!("correct the cause and run the update again{by_hand}")
        }
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
        let told = |args: &StackArgs, doing| by_hand(args, doing).unwrap();
        let up = Doing::Running(Operation::Up);
        let pulumi = "PULUMI_BACKEND_URL='s3://state' pulumi";
        let on = "--stack organization/p/s";
        assert_eq!(told(&args, up), format!("{pulumi} -C 'web' up {on}"));
        args.secrets_provider = Some("awskms://a?b=c".to_owned());
        assert_eq!(
            told(&args, Doing::Creating),
            format!("{pulumi} -C 'web' stack init --secrets-provider 'awskms://a?b=c' {on}")
        );
        for (doing, command) in [
            (Doing::Reading, "stack export"),
            (Doing::Revealing, "stack output --show-secrets"),
            (Doing::Removing, "stack rm"),
            (Doing::Freeing, "cancel"),
        ] {
            assert_eq!(told(&args, doing), format!("{pulumi} {command} {on}"));
        }
        assert!(by_hand(&args, Doing::Preparing).is_none());
        args.directory = None;
        args.archive = Some("web.tgz".to_owned());
        assert_eq!(
            told(&args, Doing::Running(Operation::Destroy)),
            format!("where web.tgz is unpacked: {pulumi} destroy {on}")
        );
    }

    #[test]
    fn of_what_is_made_it_is_told_how_and_secrets_are_named_only() {
        let secret = |value: &str| pulumi_provider::Marked {
            secret: true,
            value: value.to_owned(),
        };
        let mut args = StackArgs {
            stack: "organization/p/s".to_owned(),
            backend_url: "file:///it's".to_owned(),
            program: Some(std::collections::BTreeMap::new()),
            environment: [("TOKEN".to_owned(), secret("s3cr3t"))].into(),
            config: [(
                "key".to_owned(),
                pulumi_provider::Marked {
                    secret: true,
                    value: "s3cr3t".into(),
                },
            )]
            .into(),
            ..StackArgs::default()
        };
        let pulumi = r"PULUMI_BACKEND_URL='file:///it'\''s' pulumi";
        let on = "--stack organization/p/s";
        let look = format!("; to look at the stack: {pulumi} stack {on}");
        let environment = "with the variables of the input environment: TOKEN";
        assert_eq!(
            by_hand(&args, Doing::Running(Operation::Up)).unwrap(),
            format!(
                "in a directory with the input program as its Pulumi.yaml (name: p, runtime: yaml): {pulumi} up {on}{look} \
                 (with the input config: --config for key; {environment})"
            )
        );
        args.program = None;
        args.python = Some(crate::stack::PythonSource {
            module: "a.b".to_owned(),
            class: "C".to_owned(),
            root: "/it is".to_owned(),
            virtualenv: Some("/venv".to_owned()),
        });
        assert_eq!(
            by_hand(&args, Doing::Setting("key's")).unwrap(),
            format!(
                "in a directory with a Pulumi.yaml (name: p, runtime: python, options: virtualenv: /venv) and a __main__.py \
                 (from a.b import C; C.autoload()): PYTHONPATH='/it is' {pulumi} config set --secret {on} -- 'key'\\''s'{look} \
                 ({environment})"
            )
        );
    }
}
