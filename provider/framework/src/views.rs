//! Views: parts of a resource that the engine shows in its tree.

use std::collections::BTreeSet;
use std::time::Duration;

use pulumi_proto::pulumirpc as rpc;
use pulumi_proto::pulumirpc::resource_status_client::ResourceStatusClient;
use pulumi_proto::pulumirpc::view_step::Op;

use crate::engine::{MAX_MESSAGE, channel};
use crate::value::PropertyMap;

/// A preview must not hang on an engine that takes no views.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What would happen to a part of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewOperation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is made anew.
    Replace,
    /// It is deleted.
    Delete,
}

/// A part of a resource, with what would happen to it.
///
/// Views are shown in previews only. What an engine stores of views in a real run makes its state invalid in many ordinary
/// situations, such as a resource that moves, or `retainOnDelete`.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its type, such as `aws:s3/bucket:Bucket`.
    pub kind: String,
    /// Its name; the resource's own is put before it.
    pub name: String,
    /// What would happen to it.
    pub operation: ViewOperation,
    /// Its inputs.
    pub inputs: PropertyMap,
}

/// Where the views of one operation are shown.
pub(crate) struct Views {
    /// The resource's name.
    pub(crate) owner: String,
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Views {
    /// Never fails: that views cannot be shown must not fail a preview.
    pub(crate) async fn publish(&self, views: &[View]) {
        let channel = match channel(&self.address) {
            Ok(channel) => channel,
            Err(error) => {
                tracing::debug!(%error, "not an address to show views at");
                return;
            }
        };
        let mut client = ResourceStatusClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let request = rpc::PublishViewStepsRequest {
            token: self.token.clone(),
            steps: steps(&self.owner, views),
        };
        match tokio::time::timeout(TIMEOUT, client.publish_view_steps(request)).await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => tracing::debug!(%status, "the engine did not take the views"),
            Err(_) => tracing::debug!("the engine did not take the views in time"),
        }
    }
}

/// A view's URN has neither the owner's name nor inner parents in it, so that its name must tell it from all others.
fn steps(owner: &str, views: &[View]) -> Vec<rpc::ViewStep> {
    let mut taken = BTreeSet::new();
    let mut steps = Vec::with_capacity(views.len());
    for view in views.iter().filter(|view| !view.kind.is_empty()) {
        // The engine splits qualified types at this sign.
        let kind = view.kind.replace('$', "/");
        let mut name = format!("{owner}/{}", view.name);
        let mut count = 1;
        while !taken.insert((kind.clone(), name.clone())) {
            count += 1;
            name = format!("{owner}/{}#{count}", view.name);
        }
        let op = match view.operation {
            ViewOperation::Create => Op::Create,
            ViewOperation::Update => Op::Update,
            ViewOperation::Replace => Op::Replace,
            ViewOperation::Delete => Op::Delete,
        };
        let state = rpc::ViewStepState {
            r#type: kind.clone(),
            name: name.clone(),
            inputs: Some(crate::wire::encode(&view.inputs)),
            ..rpc::ViewStepState::default()
        };
        steps.push(rpc::ViewStep {
            op: op.into(),
            r#type: kind,
            name,
            new: Some(state),
            ..rpc::ViewStep::default()
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_view_has_a_name_of_its_own() {
        let view = |kind: &str, name: &str| View {
            kind: kind.to_owned(),
            name: name.to_owned(),
            operation: ViewOperation::Create,
            inputs: PropertyMap::default(),
        };
        let views = [
            view("a:b:C", "x"),
            view("a:b:C", "x"),
            view("a:b:D", "x"),
            view("", "y"),
            view("e$a:b:C", "x"),
            view("a:b:C", "x#2"),
        ];
        let names: Vec<(String, String)> = steps("web", &views)
            .into_iter()
            .map(|s| (s.r#type, s.name))
            .collect();
        let expected = [
            ("a:b:C", "web/x"),
            ("a:b:C", "web/x#2"),
            ("a:b:D", "web/x"),
            ("e/a:b:C", "web/x"),
            ("a:b:C", "web/x#2#2"),
        ];
        assert_eq!(
            names,
            expected.map(|(kind, name)| (kind.to_owned(), name.to_owned()))
        );
    }
}
