//! `ptd:index:Workload` and `ptd:index:ControlRoom`: the standard pipelines as components.

use pulumi_provider::{Checking, Component, Construction, Error, Outputs};

use super::construct;
use super::inputs::{ControlRoomArgs, PipelineOutputs, WorkloadArgs};
use super::prepare;
use crate::Ptd;
use crate::target::TargetType;

/// The component `ptd:index:Workload`.
#[derive(Debug)]
pub struct Workload;

impl Component for Workload {
    type Provider = Ptd;
    type Args = WorkloadArgs;
    type Outputs = PipelineOutputs;

    const TOKEN: &'static str = "ptd:index:Workload";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        prepare::check(checking, TargetType::Workload);
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        construct::construct(cx, TargetType::Workload).await
    }
}

/// The component `ptd:index:ControlRoom`.
#[derive(Debug)]
pub struct ControlRoom;

impl Component for ControlRoom {
    type Provider = Ptd;
    type Args = ControlRoomArgs;
    type Outputs = PipelineOutputs;

    const TOKEN: &'static str = "ptd:index:ControlRoom";

    fn check(checking: &mut Checking<'_>, _: Option<&Ptd>) {
        prepare::check(checking, TargetType::ControlRoom);
    }

    async fn construct(cx: Construction<Ptd>) -> Result<Outputs, Error> {
        construct::construct(cx, TargetType::ControlRoom).await
    }
}
