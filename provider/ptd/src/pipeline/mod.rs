//! The standard pipelines: components that write the edges between a target's stacks, and functions that show them.

mod actions;
mod by_hand;
mod construct;
mod inputs;
mod list_steps;
mod prepare;
mod settings;
mod standard;
mod steps;
mod values;
mod workload;

pub use by_hand::{
    PlanTakeover, PlanTakeoverArgs, PlanTakeoverResult, StackCommand, StackCommandArgs,
    StackCommandResult, TakeoverStack,
};
pub use inputs::{
    ControlRoomArgs, PipelineBootstrap, PipelineOutputs, StepOverrides, WorkloadArgs,
};
pub use list_steps::{ListSteps, ListStepsArgs, ListStepsResult, PipelineStep};
pub use workload::{ControlRoom, Workload};
