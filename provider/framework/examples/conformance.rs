//! A provider without a cloud: the protocol tests drive the framework through it where `ptd` has no use for a feature.
//!
//! What it makes lives in the memory of the process.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use pulumi_provider::{
    Asset, Child, ChildOptions, Component, Construction, Context, Created, Error, Function, Method,
    Observed, Outputs, Package, Prior, PropertyValue, Provider, ProviderReference, Receiver,
    Resource, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

/// The configured provider.
struct Lab;

/// How to reach the laboratory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Config {
    /// What opens the door.
    token: Secret<String>,
    /// Which door to take.
    door: String,
    /// Who may come along.
    guests: Option<Vec<String>>,
}

impl Provider for Lab {
    type Config = Config;

    fn configure(_: Config) -> Result<Self, Error> {
        Ok(Self)
    }
}

/// A thing with a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NamedArgs {
    /// Its name, generated where absent.
    #[schemars(extend("autoname" = true, "replace" = true))]
    name: String,
    /// Its size.
    size: Option<i64>,
    /// What it is labelled with.
    labels: Option<BTreeMap<String, String>>,
    /// What nobody may read.
    password: Option<Secret<String>>,
    /// What is written on it.
    note: Option<Asset>,
}

/// What is known of a thing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NamedState {
    /// Where it stands.
    #[schemars(extend("stable" = true))]
    place: String,
    /// How often it was changed.
    generation: i64,
}

struct Named;

static THINGS: LazyLock<Mutex<BTreeMap<String, (NamedArgs, NamedState)>>> =
    LazyLock::new(Mutex::default);

fn things<T>(work: impl FnOnce(&mut BTreeMap<String, (NamedArgs, NamedState)>) -> T) -> T {
    work(&mut THINGS.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Resource for Named {
    type Provider = Lab;
    type Args = NamedArgs;
    type State = NamedState;

    const TOKEN: &'static str = "lab:index:Named";

    async fn create(_: &Context<Lab>, args: NamedArgs) -> Result<Created<NamedState>, Error> {
        let state = NamedState {
            place: format!("shelf/{}", args.name),
            generation: 1,
        };
        let id = args.name.clone();
        things(|all| all.insert(id.clone(), (args, state.clone())));
        Ok(Created { id, state })
    }

    async fn read(
        _: &Context<Lab>,
        id: &str,
        prior: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let Some((mut args, state)) = things(|all| all.get(id).cloned()) else {
            return Ok(None);
        };
        // The note cannot be read back: what was given stays.
        args.note = prior.and_then(|prior| prior.args?.note);
        Ok(Some(Observed::new(args, state)))
    }

    async fn update(
        _: &Context<Lab>,
        id: &str,
        _: Prior<Self>,
        args: NamedArgs,
    ) -> Result<NamedState, Error> {
        things(|all| {
            let Some((kept, state)) = all.get_mut(id) else {
                return Err(Error::refused(format!("{id} is gone"), "Run a refresh."));
            };
            *kept = args;
            state.generation += 1;
            Ok(state.clone())
        })
    }

    async fn delete(_: &Context<Lab>, id: &str, _: Prior<Self>) -> Result<(), Error> {
        things(|all| all.remove(id));
        Ok(())
    }
}

/// A thing that is never finished, unless it is told to stop.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SlowArgs {
    /// Whether it is deaf to being told.
    #[serde(default)]
    deaf: bool,
}

/// How far it got.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SlowState {
    /// Whether it is finished.
    finished: bool,
}

struct Slow;

impl Resource for Slow {
    type Provider = Lab;
    type Args = SlowArgs;
    type State = SlowState;

    const TOKEN: &'static str = "lab:index:Slow";

    async fn create(cx: &Context<Lab>, args: SlowArgs) -> Result<Created<SlowState>, Error> {
        cx.checkpoint("slow-1", &SlowState { finished: false });
        cx.status("waiting").await;
        if args.deaf {
            tokio::time::sleep(Duration::from_mins(10)).await;
        }
        cx.sleep(Duration::from_mins(10)).await?;
        Err(Error::Bug("it was finished".to_owned()))
    }

    async fn read(
        _: &Context<Lab>,
        _: &str,
        _: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        Ok(None)
    }

    async fn update(
        _: &Context<Lab>,
        _: &str,
        _: Prior<Self>,
        _: SlowArgs,
    ) -> Result<SlowState, Error> {
        Ok(SlowState { finished: true })
    }

    async fn delete(_: &Context<Lab>, _: &str, _: Prior<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// A thing that is made only when enough others are being made at the same time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MeetingArgs {
    /// How many have to come.
    size: i64,
}

struct Meeting;

static MEETINGS: LazyLock<Mutex<BTreeMap<i64, Arc<Barrier>>>> = LazyLock::new(Mutex::default);

impl Resource for Meeting {
    type Provider = Lab;
    type Args = MeetingArgs;
    type State = ();

    const TOKEN: &'static str = "lab:index:Meeting";

    async fn create(cx: &Context<Lab>, args: MeetingArgs) -> Result<Created<()>, Error> {
        let barrier = MEETINGS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(args.size)
            .or_insert_with(|| Arc::new(Barrier::new(usize::try_from(args.size).unwrap_or(1))))
            .clone();
        match tokio::time::timeout(Duration::from_secs(30), barrier.wait()).await {
            Ok(_) => Ok(Created {
                id: cx.name().to_owned(),
                state: (),
            }),
            Err(_) => Err(Error::refused("nobody else came", "Allow more at a time.")),
        }
    }

    async fn read(
        _: &Context<Lab>,
        _: &str,
        _: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        Ok(None)
    }

    async fn delete(_: &Context<Lab>, _: &str, _: Prior<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// A thing whose making goes wrong in a way nobody thought of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PanickingArgs {
    /// What must not be told.
    password: Secret<String>,
    /// Whether it exists before it goes wrong.
    #[serde(default)]
    made: bool,
}

struct Panicking;

impl Resource for Panicking {
    type Provider = Lab;
    type Args = PanickingArgs;
    type State = ();

    const TOKEN: &'static str = "lab:index:Panicking";

    async fn create(cx: &Context<Lab>, args: PanickingArgs) -> Result<Created<()>, Error> {
        if args.made {
            cx.checkpoint("made-1", &());
        }
        panic!("did not expect {}", args.password.expose());
    }

    async fn read(
        _: &Context<Lab>,
        _: &str,
        _: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        Ok(None)
    }

    async fn delete(_: &Context<Lab>, _: &str, _: Prior<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// A thing without properties.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
struct BareArgs {}

struct Bare;

impl Resource for Bare {
    type Provider = Lab;
    type Args = BareArgs;
    type State = ();

    const TOKEN: &'static str = "lab:index:Bare";

    async fn create(cx: &Context<Lab>, _: BareArgs) -> Result<Created<()>, Error> {
        Ok(Created {
            id: cx.name().to_owned(),
            state: (),
        })
    }

    async fn read(
        _: &Context<Lab>,
        _: &str,
        _: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        Ok(Some(Observed::new(BareArgs {}, ())))
    }

    async fn delete(_: &Context<Lab>, _: &str, _: Prior<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// Gives back what it gets.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EchoArgs {
    /// Anything.
    value: Option<serde_json::Value>,
    /// A whole number.
    number: Option<i64>,
    /// What nobody may read.
    password: Option<Secret<String>>,
}

/// What it got.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EchoResult {
    /// The value.
    value: Option<serde_json::Value>,
    /// The number.
    number: Option<i64>,
    /// What nobody may read.
    password: Option<Secret<String>>,
    /// Whether it was a preview.
    preview: bool,
}

struct Echo;

impl Function for Echo {
    type Provider = Lab;
    type Args = EchoArgs;
    type Return = EchoResult;

    const TOKEN: &'static str = "lab:index:echo";

    async fn invoke(cx: &Context<Lab>, args: EchoArgs) -> Result<EchoResult, Error> {
        Ok(EchoResult {
            value: args.value,
            number: args.number,
            password: args.password,
            preview: cx.preview(),
        })
    }
}

/// Several things at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GroupArgs {
    /// How many.
    count: i64,
    /// How large each is.
    size: Option<i64>,
    /// What nobody may read.
    password: Option<Secret<String>>,
    /// Another laboratory that is to make them.
    elsewhere: Option<ProviderReference>,
    /// The door of a laboratory of their own that is to make them.
    door: Option<String>,
}

/// What became of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GroupOutputs {
    /// Where they stand.
    places: Vec<String>,
}

struct Group;

impl Component for Group {
    type Provider = Lab;
    type Args = GroupArgs;
    type Outputs = GroupOutputs;

    const TOKEN: &'static str = "lab:index:Group";

    async fn construct(cx: Construction<Lab>) -> Result<Outputs, Error> {
        let count = cx.known::<i64>("count").unwrap_or(1);
        let provider = match cx.known::<String>("door") {
            Some(door) => {
                let config = Config {
                    token: Secret::new("token-of-their-own".to_owned()),
                    door,
                    guests: Some(vec!["ann".to_owned()]),
                };
                let own = cx.new_provider(format!("{}-lab", cx.name()), &config);
                Some(cx.register(own).await?.reference())
            }
            None => cx.reference("elsewhere"),
        };
        let options = ChildOptions {
            provider,
            ..ChildOptions::default()
        };
        let children = join_all((1..=count).map(|i| {
            let child = Child::of::<Named>(format!("{}-{i}", cx.name()))
                .input("size", cx.input("size"))
                .input("password", cx.input("password"))
                .options(options.clone());
            cx.register(child)
        }))
        .await;
        let mut places = Vec::new();
        for child in children {
            places.push(child?.output("place"));
        }
        Ok(Outputs::from([(
            "places".to_owned(),
            PropertyValue::List(places),
        )]))
    }
}

/// Greets a group.
#[derive(Serialize, Deserialize, JsonSchema)]
struct GreetArgs {
    /// The words.
    #[schemars(length(min = 1))]
    words: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    /// What was said, and to whom.
    text: String,
    /// What nobody else may hear.
    whisper: Secret<String>,
}

struct Greet;

impl Method for Greet {
    type Provider = Lab;
    type Args = GreetArgs;
    type Return = Greeting;

    const TOKEN: &'static str = "lab:index:Group/greet";

    async fn call(_: &Context<Lab>, to: Receiver, args: GreetArgs) -> Result<Greeting, Error> {
        let places: Vec<String> = to.known("places").unwrap_or_default();
        if args.words == "fail" {
            return Err(Error::refused("will not greet", "use other words"));
        }
        Ok(Greeting {
            text: format!("{} to {}", args.words, places.join(" and ")),
            whisper: format!("{} softly", args.words).into(),
        })
    }
}

fn main() -> ExitCode {
    pulumi_provider::run(
        Package::<Lab>::new("lab", "1.2.3")
            .resource::<Named>()
            .resource::<Slow>()
            .resource::<Meeting>()
            .resource::<Panicking>()
            .resource::<Bare>()
            .function::<Echo>()
            .component::<Group>()
            .method::<Greet>(),
    )
}
