//! What a preview shows of a stack.

use pulumi_automation::Operation;
use pulumi_provider::{Context, Error, Prediction, Preview};

use super::args::{PreviewInputs, StackArgs, StackViews};
use super::foresee;
use super::run::{self, Inner, Previewed};
use super::spec::Spec;
use super::stack::Stack;
use crate::Ptd;

impl Stack {
    /// Shows what an update would do, and promises the outputs that it leaves as they are.
    pub(super) async fn show(
        cx: &Context<Ptd>,
        request: &Preview<Self>,
        prediction: &mut Prediction,
    ) -> Result<(), Error> {
        run::be_patient(cx);
        let Some((_, old)) = &request.old else {
            let Some(args) = &request.args else {
                return Self::waits(cx, request).await;
            };
            prediction.known("spec", Spec::of(args));
            if args.skip || args.observe || args.views == StackViews::None {
                cx.status("previewed once it exists").await;
                return Ok(());
            }
            let there = run::is_there(args).await;
            let absent = there != Some(true)
                || matches!(
                    Inner::preview(cx, args, None, None).await?,
                    Previewed::Absent
                );
            if absent {
                if there.is_none() {
                    cx.info(format!(
                        "previewed as a new stack: whether {} exists in {} is not looked at before it may be opened",
                        args.stack, args.backend_url
                    ))
                    .await;
                }
                Self::preview_new(cx, args).await?;
            }
            return Ok(());
        };
        let Some(state) = &old.state else {
            return Ok(());
        };
        let last_known = || {
            let wanted = request.known("previewInputs") == Some(PreviewInputs::LastKnown);
            wanted
                .then(|| foresee::with_last_known(&request.inputs, &old.inputs))
                .flatten()
        };
        let guess = if request.args.is_none() {
            last_known()
        } else {
            None
        };
        let guessed = guess.is_some();
        let Some(args) = request.args.clone().or(guess) else {
            return Self::waits(cx, request).await;
        };
        if guessed {
            cx.warn(format!(
                "previewed with the last known value of {}",
                foresee::unknown(&request.inputs)
            ))
            .await;
        } else if let Some(before) = &old.args
            && before.rests(&args, state)
        {
            foresee::known(state).promise(prediction);
            prediction.known("spec", Spec::of(&args));
            return Ok(());
        }
        let never = state.pending && state.last_update_time.is_none();
        let outcome = match run::is_there(&args).await {
            Some(false) => Previewed::Absent,
            None if never => Previewed::Absent,
            _ => Inner::preview(cx, &args, Some(state), old.args.as_ref()).await?,
        };
        let outcome = match outcome {
            Previewed::Done(outcome) => outcome,
            Previewed::Unprepared => return Ok(()),
            Previewed::Absent => {
                if !never {
                    cx.warn(format!(
                        "stack {} is gone, and will be made anew",
                        args.stack
                    ))
                    .await;
                }
                return Self::preview_new(cx, &args).await;
            }
        };
        if !guessed {
            let steady = old
                .args
                .as_ref()
                .is_some_and(|old| old.hands_on_the_same(&args));
            if let Some(known) = foresee::foreseen(state, &outcome, steady) {
                known.promise(prediction);
            }
            prediction.known("spec", Spec::of(&args));
        }
        Ok(())
    }

    /// Says what a preview waits for.
    async fn waits(cx: &Context<Ptd>, request: &Preview<Self>) -> Result<(), Error> {
        let inputs = foresee::unknown(&request.inputs);
        cx.info(format!("will run after {inputs} is known")).await;
        Ok(())
    }

    /// Shows what the first update would do, in a place that is thrown away: neither a backend nor a stack may be opened that
    /// perhaps only this run creates.
    async fn preview_new(cx: &Context<Ptd>, args: &StackArgs) -> Result<(), Error> {
        let place = tempfile::Builder::new()
            .prefix("ptd-preview-")
            .tempdir()
            .map_err(|e| {
                Error::refused(
                    format!("a place for the preview of {}: {e}", args.stack),
                    "free some space",
                )
            })?;
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|e| Error::Bug(e.to_string()))?;
        // Only services have organizations of other names.
        let rest = args.stack.split_once('/').map_or("", |(_, rest)| rest);
        let mut there = StackArgs {
            stack: format!("organization/{rest}"),
            backend_url: format!("file://{}", place.path().display()),
            secrets_provider: Some("passphrase".to_owned()),
            ..args.clone()
        };
        let passphrase = pulumi_provider::Marked {
            secret: true,
            value: hex::encode(key),
        };
        there
            .environment
            .insert("PULUMI_CONFIG_PASSPHRASE".to_owned(), passphrase);
        let mut violated = false;
        let work = async {
            let mut inner = Inner::open(cx, &there, None).await?;
            inner.tentative = true;
            inner.require_program(args)?;
            if !inner.prepared(cx, args).await? {
                return Ok(());
            }
            inner.blind(cx).await;
            inner.ensure(cx, &there).await?;
            inner.configure(cx, &there, None).await?;
            let done = inner.operate(cx, Operation::Preview, &there).await;
            violated = inner.violated;
            done.map(drop)
        };
        if let Err(error) = work.await {
            cx.alive()?;
            if violated {
                // It will not be met by a stack that exists either.
                return Err(error);
            }
            // It may fail only because the stack, or what it reads, is not there yet.
            let error = error
                .to_string()
                .replace(&there.backend_url, &args.backend_url)
                .replace(&there.stack, &args.stack);
            cx.warn(format!(
                "the stack does not exist yet, and without it this cannot be previewed: {error}"
            ))
            .await;
        }
        Ok(())
    }
}
