//! Deeply nested property values end in an error, never in a stack overflow.

use std::thread;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use pulumi_proto::pulumirpc::CheckRequest;

/// The deepest `Struct` a field of a request can hold: a level costs three of the 100 nested messages allowed.
const DEEPEST: usize = 34;

/// A worker thread's stack, as tokio sizes it.
const WORKER_STACK: usize = 2 << 20;

fn nested(levels: usize) -> Struct {
    (1..levels).fold(Struct::default(), |inner, _| Struct {
        fields: [(
            "k".to_owned(),
            Value {
                kind: Some(Kind::StructValue(inner)),
            },
        )]
        .into(),
    })
}

/// What becomes of a request nested so deep, on a stack of the usual size.
fn round_trip(levels: usize) -> Result<bool, String> {
    let work = move || {
        let request = CheckRequest {
            news: Some(nested(levels)),
            ..CheckRequest::default()
        };
        CheckRequest::decode(request.encode_to_vec().as_slice())
            .map(|decoded| decoded == request)
            .map_err(|error| error.to_string())
    };
    let handle = thread::Builder::new()
        .stack_size(WORKER_STACK)
        .spawn(work)
        .map_err(|error| error.to_string())?;
    handle
        .join()
        .map_err(|_| "the worker panicked".to_owned())?
}

#[test]
fn values_up_to_the_limit_survive() {
    assert_eq!(round_trip(1), Ok(true));
    assert_eq!(round_trip(DEEPEST), Ok(true));
}

#[test]
fn deeper_values_are_refused_with_the_reason() {
    for levels in [DEEPEST + 1, 200] {
        let refused = round_trip(levels);
        assert!(
            refused
                .as_ref()
                .is_err_and(|error| error.ends_with("recursion limit reached")),
            "{levels} levels: {refused:?}"
        );
    }
}
