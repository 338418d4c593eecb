//! A run of an inner stack as one text, for those who run it without owning it.

use std::collections::BTreeSet;

use pulumi_provider::{Error, Secret};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::args::StackArgs;

/// The inputs of a stack, with what of them is secret told besides: inside of a secret, nothing else is marked.
#[derive(Serialize, Deserialize)]
pub(super) struct Spec {
    args: StackArgs,
    secret_config: BTreeSet<String>,
    secret_environment: BTreeSet<String>,
}

impl Spec {
    /// The text for these inputs. It holds secrets in plain text.
    pub(super) fn of(args: &StackArgs) -> Secret<String> {
        let args = StackArgs {
            // They concern the owner alone.
            triggers: std::collections::BTreeMap::new(),
            message: None,
            skip: false,
            ..args.clone()
        };
        let secret = |(name, secret): (&String, bool)| secret.then(|| name.clone());
        let spec = Self {
            secret_config: args
                .config
                .iter()
                .filter_map(|(name, v)| secret((name, v.secret)))
                .collect(),
            secret_environment: args
                .environment
                .iter()
                .filter_map(|(name, v)| secret((name, v.secret)))
                .collect(),
            args,
        };
        // Maps with texts as keys always have a text.
        serde_json::to_string(&spec).unwrap_or_default().into()
    }

    /// The inputs behind a text.
    pub(super) fn parse(text: &str) -> Result<StackArgs, Error> {
        let spec: Self = serde_json::from_str(text).map_err(|_| {
            Error::refused(
                "spec is not what a Stack gives as its output spec",
                "pass the output on as it is",
            )
        })?;
        let mut args = spec.args;
        for name in &spec.secret_config {
            if let Some(value) = args.config.get_mut(name) {
                value.secret = true;
            }
        }
        for name in &spec.secret_environment {
            if let Some(value) = args.environment.get_mut(name) {
                value.secret = true;
            }
        }
        Ok(args)
    }

    /// Whether two texts stand for the same run.
    pub(super) fn same(one: &str, other: &str) -> bool {
        let parse = |text: &str| Self::parse(&Zeroizing::new(text.to_owned())).ok();
        match (parse(one), parse(other)) {
            (Some(one), Some(other)) => one.is_same_stack(&other) && !one.runs(&other),
            _ => false,
        }
    }

    /// Whether two texts are known to stand for runs of different stacks.
    pub(super) fn moves(one: &str, other: &str) -> bool {
        let parse = |text: &str| Self::parse(&Zeroizing::new(text.to_owned())).ok();
        match (parse(one), parse(other)) {
            (Some(one), Some(other)) => !one.is_same_stack(&other),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use pulumi_provider::Marked;

    use super::*;

    #[test]
    fn secrets_are_still_known_to_be_some() {
        let mut args = StackArgs {
            stack: "organization/p/s".to_owned(),
            ..StackArgs::default()
        };
        let entry = |secret, value: &str| Marked {
            secret,
            value: value.into(),
        };
        args.config.insert("password".to_owned(), entry(true, "x"));
        args.config.insert("size".to_owned(), entry(false, "3"));
        let text = Spec::of(&args);
        let again = Spec::parse(text.expose()).unwrap();
        assert_eq!(again, args);
        args.message = Some("another".to_owned());
        assert!(Spec::same(text.expose(), Spec::of(&args).expose()));
        args.backend_url = "file:///elsewhere".to_owned();
        assert!(!Spec::same(text.expose(), Spec::of(&args).expose()));
        assert!(Spec::moves(text.expose(), Spec::of(&args).expose()));
        args.backend_url.clear();
        args.config.remove("size");
        assert!(!Spec::moves(text.expose(), Spec::of(&args).expose()));
        assert!(!Spec::same(text.expose(), Spec::of(&args).expose()));
        assert!(Spec::parse("{}").is_err());
    }
}
