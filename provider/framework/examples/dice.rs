//! A whole provider in sixty lines: dice that are rolled once, and whose number stays.
use std::hash::{BuildHasher, RandomState};

use pulumi_provider::{Context, Created, Error, Observed, Package, Prior, Provider, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Dice;
#[derive(Serialize, Deserialize, JsonSchema)]
struct Config {}

impl Provider for Dice {
    type Config = Config;
    fn configure(_: Config) -> Result<Self, Error> {
        Ok(Self)
    }
}

/// A die. It is rolled when it is created; another number of sides is another die.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Die {
    /// How many sides it has, 2 to 100.
    #[schemars(range(min = 2, max = 100))]
    sides: u64,
}

/// How it fell.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Fallen {
    /// From 1 to the number of sides.
    number: u64,
}

impl Resource for Die {
    type Provider = Dice;
    type Args = Self;
    type State = Fallen;
    const TOKEN: &'static str = "dice:index:Die";
    const IMMUTABLE: bool = true;

    async fn create(_: &Context<Dice>, args: Self) -> Result<Created<Fallen>, Error> {
        let number = RandomState::new().hash_one(()) % args.sides + 1;
        Ok(Created {
            id: format!("{number} of {}", args.sides),
            state: Fallen { number },
        })
    }

    async fn read(
        _: &Context<Dice>,
        _: &str,
        old: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        Ok(old.and_then(|old| Some(Observed::new(old.args?, old.state?))))
    }

    async fn delete(_: &Context<Dice>, _: &str, _: Prior<Self>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    pulumi_provider::run(Package::<Dice>::new("dice", "0.1.0").resource::<Die>())
}
