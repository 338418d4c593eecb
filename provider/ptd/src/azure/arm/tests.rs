//! The client against a scripted transport, in the simulated time of the test's own [`Run`]: the conformance cases that need no server.

mod operations;
mod requests;
mod stage;
