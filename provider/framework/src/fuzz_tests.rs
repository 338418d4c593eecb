//! Whatever arrives from outside must end in a value or an error, never in a panic.
//!
//! `FUZZ_ITERATIONS=5000000 cargo test -p pulumi-provider fuzz` runs it for longer; `PTD_FUZZ_SEED` starts elsewhere.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use pulumi_proto::pulumirpc as rpc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calllog::Record;
use crate::check::{Autonaming, Checking};
use crate::diff::Diff;
use crate::schema::{ObjectSpec, Types};
use crate::secret::Secret;
use crate::value::{Asset, PropertyMap};
use crate::wire;

/// `SplitMix64`: reproducible, and enough for this.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Keys and texts that mean something to somebody.
const WORDS: &[&str] = &[
    "4dabf18193072939515e22adb298388d",
    "1b47061264138c4ac30d75fd1eb44270",
    "c44067f5952c0a294b673a41bacd8c17",
    "0def7320c3a5731c473e5ecbe6d01bc7",
    "5cf8f73096256a8f31e491e813e4eb8e",
    "d0e6a833031e9bbcd3f4e8bde6ca49a4",
    "803fd3297a5875dc03ca845dda5d2a98",
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    "value",
    "hash",
    "text",
    "path",
    "assets",
    "urn",
    "id",
    "secret",
    "dependencies",
    "name",
    "size",
    "list",
    "map",
    "nested",
    "password",
    "kind",
    "file",
    "json",
    "set",
    "__private",
    "",
    "a.b[0]",
    "\\",
    "\u{1f511}\u{0}",
    "{\"a\":1}",
    "AAAA",
    "first",
];

fn value(random: &mut Random, depth: usize) -> Value {
    let kind = match random.below(if depth == 0 { 6 } else { 10 }) {
        0 => None,
        1 => Some(Kind::NullValue(i32::try_from(random.below(3)).unwrap())),
        2 => Some(Kind::BoolValue(random.below(2) == 0)),
        3 => Some(Kind::NumberValue(f64::from_bits(random.next()))),
        4 => Some(Kind::NumberValue(f64::from(
            u32::try_from(random.below(300)).unwrap(),
        ))),
        5 => Some(Kind::StringValue(random.pick(WORDS).to_owned())),
        6 => {
            let values = (0..random.below(4))
                .map(|_| value(random, depth - 1))
                .collect();
            Some(Kind::ListValue(ListValue { values }))
        }
        7 => Some(Kind::StructValue(object(random, depth - 1))),
        _ => {
            let mut special = object(random, depth - 1);
            let signature = Kind::StringValue(random.pick(&WORDS[1..7]).to_owned());
            special.fields.insert(
                WORDS[0].to_owned(),
                Value {
                    kind: Some(signature),
                },
            );
            if random.below(3) > 0 {
                let inner = value(random, depth - 1);
                special.fields.insert("value".to_owned(), inner);
            }
            Some(Kind::StructValue(special))
        }
    };
    Value { kind }
}

fn object(random: &mut Random, depth: usize) -> Struct {
    let fields = (0..random.below(6))
        .map(|_| (random.pick(WORDS).to_owned(), value(random, depth)))
        .collect();
    Struct { fields }
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Args {
    #[schemars(extend("autoname" = true, "replace" = true), length(max = 20))]
    name: String,
    size: Option<u8>,
    list: Option<Vec<Nested>>,
    map: Option<BTreeMap<String, Secret<String>>>,
    nested: Option<Nested>,
    password: Option<Secret<String>>,
    kind: Option<Choice>,
    file: Option<Asset>,
    #[schemars(extend("json" = true))]
    json: Option<String>,
    #[schemars(extend("set" = true))]
    set: Option<Vec<serde_json::Value>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nested {
    #[serde(default)]
    value: f64,
    text: Option<Secret<String>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    First,
    Second,
}

struct Target {
    types: Types,
    spec: ObjectSpec,
    env: BTreeMap<String, String>,
    /// How often something came as far as that.
    decoded: u64,
    checked: u64,
    typed: u64,
}

impl Target {
    fn new() -> Self {
        let mut types = Types::default();
        let mut spec = types.read::<Args>("index").unwrap();
        types.settle_all();
        types.settle(&mut spec);
        Self {
            types,
            spec,
            env: BTreeMap::new(),
            decoded: 0,
            checked: 0,
            typed: 0,
        }
    }

    fn run(&mut self, message: &Struct, olds: &PropertyMap) -> Option<PropertyMap> {
        let map = match wire::decode(Some(message)) {
            Ok(map) => map,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return None;
            }
        };
        self.decoded += 1;
        let again = wire::decode(Some(&wire::encode(&map))).unwrap();
        assert_eq!(again, map, "what was understood can be sent back");
        let mut checking = Checking {
            types: &self.types,
            spec: &self.spec,
            env: &self.env,
            olds: olds.clone(),
            inputs: map.clone(),
            failures: Vec::new(),
            name: "r".into(),
            urn: String::new(),
            run: None,
            warnings: Vec::new(),
            autonaming: Autonaming::Default,
            seed: vec![1; 32],
        };
        checking.run();
        let diff = Diff::between(&self.types, &self.spec, olds, &checking.inputs);
        assert!(diff.changes().all(|(path, _)| !path.to_string().is_empty()));
        let known = !checking
            .inputs
            .values()
            .any(crate::PropertyValue::has_unknown);
        if checking.is_ok() {
            self.checked += 1;
            if known {
                // What passed the check fits the struct.
                let args = crate::from_properties::<Args>(&checking.inputs);
                assert!(args.is_ok(), "{:?}: {:?}", args.err(), checking.inputs);
                self.typed += 1;
                crate::to_properties(&args.ok()).unwrap();
            }
        }
        let request = rpc::CheckRequest {
            news: Some(message.clone()),
            ..rpc::CheckRequest::default()
        };
        assert!(request.record().is_object());
        Some(map)
    }
}

#[test]
fn fuzz() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(default)
    };
    let (iterations, seed) = (number("FUZZ_ITERATIONS", 20_000), number("FUZZ_SEED", 1));
    let begin = std::time::Instant::now();
    let mut target = Target::new();
    let mut olds = PropertyMap::new();
    let mut parsed = 0_u64;
    for i in 0..iterations {
        let random = &mut Random(seed.wrapping_mul(0x1000_0000).wrapping_add(i));
        let message = object(random, 4);
        // As it is, with bytes changed, or nothing but bytes.
        let mut bytes = message.encode_to_vec();
        match i % 4 {
            0 => {
                bytes = (0..random.below(200))
                    .map(|_| u8::try_from(random.below(256)).unwrap())
                    .collect();
            }
            1 | 2 => {
                for _ in 0..=random.below(4) {
                    if bytes.is_empty() {
                        break;
                    }
                    let at = random.below(bytes.len());
                    match random.below(3) {
                        0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                        1 => bytes.truncate(at),
                        _ => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
                    }
                }
            }
            _ => {}
        }
        let Ok(message) = Struct::decode(bytes.as_slice()) else {
            continue;
        };
        parsed += 1;
        if let Some(map) = target.run(&message, &olds)
            && map.len() > 1
        {
            olds = map;
        }
    }
    println!(
        "{iterations} inputs in {:.1} s: {parsed} parsed, {} decoded, {} passed the check, {} of them typed",
        begin.elapsed().as_secs_f64(),
        target.decoded,
        target.checked,
        target.typed
    );
    assert!(iterations < 10_000 || (target.typed > 100 && target.decoded > target.checked));
}
