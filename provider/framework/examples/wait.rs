//! Resources that only take their time: what an orchestrator of stacks is measured with.
#![forbid(unsafe_code)]

use std::time::Duration;

use pulumi_provider::{Context, Created, Error, Observed, Package, Prior, Provider, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Clock;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Config {}

impl Provider for Clock {
    type Config = Config;

    fn configure(_: Config) -> Result<Self, Error> {
        Ok(Self)
    }
}

/// Something that takes a while to make.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Wait {
    /// How long it takes in seconds, 0 to 3600.
    #[schemars(range(min = 0, max = 3600))]
    seconds: f64,
    /// Anything: a change of it takes as long again.
    #[serde(default)]
    note: String,
}

/// Nothing more is known of it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Waited {}

impl Resource for Wait {
    type Provider = Clock;
    type Args = Self;
    type State = Waited;

    const TOKEN: &'static str = "wait:index:Wait";

    async fn create(cx: &Context<Clock>, args: Self) -> Result<Created<Waited>, Error> {
        cx.sleep(Duration::from_secs_f64(args.seconds)).await?;
        let id = "waited".to_owned();
        Ok(Created {
            id,
            state: Waited {},
        })
    }

    async fn read(
        _: &Context<Clock>,
        _: &str,
        old: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        Ok(old.and_then(|old| Some(Observed::new(old.args?, old.state?))))
    }

    async fn update(
        cx: &Context<Clock>,
        _: &str,
        _: Prior<Self>,
        args: Self,
    ) -> Result<Waited, Error> {
        cx.sleep(Duration::from_secs_f64(args.seconds)).await?;
        Ok(Waited {})
    }

    async fn delete(_: &Context<Clock>, _: &str, _: Prior<Self>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    pulumi_provider::run(Package::<Clock>::new("wait", "0.1.0").resource::<Wait>())
}
