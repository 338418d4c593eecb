//! Readers for the fields of a section: how an absent, null or empty field gets its value.
//!
//! The reference tells "absent" from "empty" for some fields only. Those with `_unless_absent` keep an empty or zero
//! value that is written out; for the others empty, zero and absent are the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::{Cx, Decoded, Section};
use super::yaml::NodeId;

type Field = Option<NodeId>;

/// Text; none when absent or empty.
pub(crate) fn text(cx: &mut Cx<'_>, node: Field) -> Option<String> {
    node.and_then(|id| cx.text(id).value())
        .filter(|text| !text.is_empty())
}

/// Text; empty when absent.
pub(crate) fn plain_text(cx: &mut Cx<'_>, node: Field) -> String {
    text(cx, node).unwrap_or_default()
}

/// Text; `default` when absent or empty.
pub(crate) fn text_or(default: &'static str) -> impl Fn(&mut Cx<'_>, Field) -> String {
    move |cx, node| text(cx, node).unwrap_or_else(|| default.to_owned())
}

/// Text, the empty one included; none when absent.
pub(crate) fn text_if_present(cx: &mut Cx<'_>, node: Field) -> Option<String> {
    node.and_then(|id| cx.text(id).value())
}

/// Text, the empty one included; `default` when absent.
pub(crate) fn text_unless_absent(default: &'static str) -> impl Fn(&mut Cx<'_>, Field) -> String {
    move |cx, node| text_if_present(cx, node).unwrap_or_else(|| default.to_owned())
}

/// Text that is checked to be text, and dropped.
pub(crate) fn checked_text(cx: &mut Cx<'_>, node: Field) {
    text(cx, node);
}

/// A UUID; none when absent.
pub(crate) fn uuid(cx: &mut Cx<'_>, node: Field) -> Option<String> {
    node.and_then(|id| cx.uuid(id).value())
}

/// A whole number; `default` when absent or 0.
pub(crate) fn int_or(default: i64) -> impl Fn(&mut Cx<'_>, Field) -> i64 {
    move |cx, node| match int_if_present(cx, node) {
        None | Some(0) => default,
        Some(value) => value,
    }
}

/// A whole number; none when absent.
pub(crate) fn int_if_present(cx: &mut Cx<'_>, node: Field) -> Option<i64> {
    node.and_then(|id| cx.int(id).value())
}

/// A whole number, 0 included; `default` when absent.
pub(crate) fn int_unless_absent(default: i64) -> impl Fn(&mut Cx<'_>, Field) -> i64 {
    move |cx, node| int_if_present(cx, node).unwrap_or(default)
}

/// A switch, off when absent.
pub(crate) fn flag(cx: &mut Cx<'_>, node: Field) -> bool {
    node.and_then(|id| cx.flag(id).value()).unwrap_or(false)
}

/// A switch, on when absent.
pub(crate) fn flag_on(cx: &mut Cx<'_>, node: Field) -> bool {
    node.and_then(|id| cx.flag(id).value()).unwrap_or(true)
}

/// A list of texts.
pub(crate) fn texts(cx: &mut Cx<'_>, node: Field) -> Vec<String> {
    node.and_then(|id| cx.list(id, Cx::text).value())
        .unwrap_or_default()
}

/// A map of texts.
pub(crate) fn text_map(cx: &mut Cx<'_>, node: Field) -> BTreeMap<String, String> {
    node.and_then(|id| cx.map(id, Cx::text, |_| String::new()).value())
        .unwrap_or_default()
}

/// A list of free-form maps.
pub(crate) fn free_maps(cx: &mut Cx<'_>, node: Field) -> Vec<Value> {
    let item = |cx: &mut Cx<'_>, id| match cx.json(id) {
        Decoded::Value(value) if !value.is_object() => {
            cx.error(Some(id), "expected a map");
            Decoded::Failed
        }
        other => other,
    };
    node.and_then(|id| cx.list(id, item).value())
        .unwrap_or_default()
}

/// A section; none when absent.
pub(crate) fn section<S: Section>(cx: &mut Cx<'_>, node: Field) -> Option<S> {
    node.and_then(|id| cx.section(id).value())
}

/// A section; all defaults when absent.
pub(crate) fn section_or_zero<S: Section>(cx: &mut Cx<'_>, node: Field) -> S {
    cx.section_or_zero(node)
}

/// A list of sections.
pub(crate) fn sections<S: Section>(cx: &mut Cx<'_>, node: Field) -> Vec<S> {
    node.and_then(|id| cx.list(id, Cx::section).value())
        .unwrap_or_default()
}

/// A map of names to sections.
pub(crate) fn named_sections<S: Section>(cx: &mut Cx<'_>, node: Field) -> BTreeMap<String, S> {
    node.and_then(|id| {
        cx.map(id, Cx::section, |cx| cx.section_or_zero(None))
            .value()
    })
    .unwrap_or_default()
}
