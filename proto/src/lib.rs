//! The Pulumi plugin protocol: Rust types, gRPC clients and gRPC servers.
//!
//! A resource provider serves [`ResourceProvider`](pulumirpc::resource_provider_server::ResourceProvider) and calls the
//! engine through the clients of [`ResourceMonitor`](pulumirpc::resource_monitor_client::ResourceMonitorClient) (register
//! resources from a component) and [`Engine`](pulumirpc::engine_client::EngineClient) (log lines). Servers of the engine's
//! side are generated too, so a test can play the engine.
//!
//! The types are the wire format and nothing more. `google.protobuf.Struct` and `Value` are those of [`prost_types`]; the
//! conventions inside them (secrets, unknowns, assets) belong to the layer above.
//!
//! # Nesting
//!
//! A message nested deeper than 100 protobuf messages is refused with the error `recursion limit reached`, because an
//! unlimited decoder can be made to overflow its stack. A `Struct` spends three of them per level, so property values
//! arrive up to 34 levels deep, as in the protobuf runtime of the Python SDK. Encoding has no such limit:
//! bound the depth of what you build.
//!
//! # Secrets
//!
//! The generated `Debug` prints every field. Property values can hold secrets, so requests and replies must not be logged
//! with it.

#![forbid(unsafe_code)]

/// Keeps the example in the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Provider, resource monitor, engine, resource status, callbacks, package resolver.
pub mod pulumirpc {
    // Generated from the protos: its shape is not ours to lint.
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        clippy::unwrap_used,
        reason = "generated code"
    )]
    include!("gen/pulumirpc.rs");
}

/// Services a provider or code generator can ask for other packages' schemas and mappings.
pub mod codegen {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        clippy::unwrap_used,
        reason = "generated code"
    )]
    include!("gen/codegen.rs");
}

/// Google's shared messages the protocol relies on.
pub mod google {
    /// The error model of gRPC.
    pub mod rpc {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            reason = "generated code"
        )]
        include!("gen/google.rpc.rs");
    }
}
