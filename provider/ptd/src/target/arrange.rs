//! The order of standard and custom steps.

use std::collections::HashMap;

use super::steps::TargetCustomStep;

/// A step in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Index of a standard step.
    Standard(usize),
    /// Index of a custom step.
    Custom(usize),
}

/// All steps in order, disabled ones included so that others keep their place. Steps at the same point keep the order
/// of the manifest. Steps that refer to each other in a circle are left out.
pub(crate) fn arrange(standard: &[&str], steps: &[TargetCustomStep]) -> Vec<Place> {
    let standard_index: HashMap<&str, usize> = standard
        .iter()
        .enumerate()
        .map(|(i, name)| (*name, i))
        .collect();
    let custom_index: HashMap<&str, usize> = steps
        .iter()
        .enumerate()
        .map(|(i, step)| (step.name.as_str(), i))
        .collect();
    // Steps in front of each standard step, and after the last one.
    let mut gaps = vec![Vec::new(); standard.len() + 1];
    let mut before = vec![Vec::new(); steps.len()];
    let mut after = vec![Vec::new(); steps.len()];
    let mut last = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if let Some(name) = step.insert_after.as_deref() {
            if let Some(at) = standard_index.get(name) {
                gaps[at + 1].push(index);
            } else if let Some(at) = custom_index.get(name) {
                after[*at].push(index);
            }
        } else if let Some(name) = step.insert_before.as_deref() {
            if let Some(at) = standard_index.get(name) {
                gaps[*at].push(index);
            } else if let Some(at) = custom_index.get(name) {
                before[*at].push(index);
            }
        } else {
            last.push(index);
        }
    }
    let mut order = Vec::with_capacity(standard.len() + steps.len());
    for (index, gap) in gaps.iter().enumerate() {
        for step in gap {
            with_neighbours(*step, &before, &after, &mut order);
        }
        if index < standard.len() {
            order.push(Place::Standard(index));
        }
    }
    for step in last {
        with_neighbours(step, &before, &after, &mut order);
    }
    order
}

/// A custom step with those that refer to it, directly or through others.
fn with_neighbours(
    step: usize,
    before: &[Vec<usize>],
    after: &[Vec<usize>],
    order: &mut Vec<Place>,
) {
    // An explicit stack: a long chain in a manifest must not use up the thread's.
    let mut work = vec![(step, false)];
    while let Some((step, expanded)) = work.pop() {
        if expanded {
            order.push(Place::Custom(step));
        } else {
            work.extend(after[step].iter().rev().map(|next| (*next, false)));
            work.push((step, true));
            work.extend(before[step].iter().rev().map(|next| (*next, false)));
        }
    }
}

/// What a step is placed by.
fn reference(step: &TargetCustomStep) -> Option<&str> {
    step.insert_after
        .as_deref()
        .or(step.insert_before.as_deref())
}

/// The circle that a step is in or leads to, as `a -> b -> a`.
fn circle(start: usize, steps: &[TargetCustomStep]) -> String {
    let mut path: Vec<&str> = Vec::new();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let by_name: HashMap<&str, &TargetCustomStep> = steps
        .iter()
        .map(|step| (step.name.as_str(), step))
        .collect();
    let mut next = steps.get(start);
    while let Some(step) = next {
        let name = step.name.as_str();
        if let Some(first) = seen.get(name) {
            path.push(name);
            return path[*first..].join(" -> ");
        }
        seen.insert(name, path.len());
        path.push(name);
        next = reference(step).and_then(|name| by_name.get(name).copied());
    }
    path.join(" -> ")
}

/// Steps that have no place, or not the one they ask for.
pub(crate) fn misplaced(standard: &[&str], steps: &[TargetCustomStep]) -> Vec<(usize, String)> {
    let order = arrange(standard, steps);
    let positions: HashMap<&str, usize> = order
        .iter()
        .enumerate()
        .map(|(position, place)| match place {
            Place::Standard(index) => (standard[*index], position),
            Place::Custom(index) => (steps[*index].name.as_str(), position),
        })
        .collect();
    let mut faults = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let after = step.insert_after.as_deref().unwrap_or_default();
        let before = step.insert_before.as_deref().unwrap_or_default();
        let position = |name: &str| positions.get(name).copied();
        let Some(own) = position(&step.name) else {
            faults.push((
                index,
                format!(
                    "failed to merge steps: custom step {} could not be inserted: insertAfter={after}, insertBefore={before}: steps refer to each other in a circle: {}",
                    step.name,
                    circle(index, steps)
                ),
            ));
            continue;
        };
        if position(after).is_some_and(|after| after > own)
            || position(before).is_some_and(|before| before < own)
        {
            faults.push((
                index,
                format!(
                    "manifest validation failed: custom step {}: it cannot run after `{after}` and before `{before}`",
                    step.name
                ),
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::steps::CONTROL_ROOM_STEPS;
    use super::*;

    fn step(name: &str, after: Option<&str>, before: Option<&str>) -> TargetCustomStep {
        TargetCustomStep {
            name: name.into(),
            description: None,
            path: name.into(),
            insert_after: after.map(Into::into),
            insert_before: before.map(Into::into),
            proxy_required: false,
            enabled: true,
        }
    }

    fn names(steps: &[TargetCustomStep]) -> Vec<&str> {
        arrange(&CONTROL_ROOM_STEPS, steps)
            .into_iter()
            .map(|place| match place {
                Place::Standard(index) => CONTROL_ROOM_STEPS[index],
                Place::Custom(index) => steps[index].name.as_str(),
            })
            .collect()
    }

    #[test]
    fn manifest_order_breaks_ties() {
        let steps = [
            step("end", None, None),
            step("b", Some("persistent"), None),
            step("a", None, Some("postgres_config")),
            step("c", Some("persistent"), Some("postgres_config")),
            step("first", None, Some("workspaces")),
            step("last", Some("cluster"), None),
        ];
        assert_eq!(
            names(&steps),
            [
                "first",
                "workspaces",
                "persistent",
                "b",
                "a",
                "c",
                "postgres_config",
                "cluster",
                "last",
                "end"
            ]
        );
        assert!(misplaced(&CONTROL_ROOM_STEPS, &steps).is_empty());
    }

    #[test]
    fn custom_steps_may_refer_to_each_other() {
        let steps = [
            step("c", Some("b"), None),
            step("b", Some("persistent"), None),
            step("a", None, Some("b")),
            step("d", Some("persistent"), None),
        ];
        assert_eq!(
            names(&steps),
            [
                "workspaces",
                "persistent",
                "a",
                "b",
                "c",
                "d",
                "postgres_config",
                "cluster"
            ]
        );
    }

    #[test]
    fn circles_and_contradictions_are_faults() {
        let steps = [
            step("a", Some("b"), None),
            step("b", Some("a"), None),
            step("self", Some("self"), None),
            step("c", Some("cluster"), None),
            step("d", Some("c"), Some("persistent")),
        ];
        let faults = misplaced(&CONTROL_ROOM_STEPS, &steps);
        assert_eq!(
            faults.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
            [0, 1, 2, 4]
        );
        assert!(faults[0].1.ends_with("in a circle: a -> b -> a"));
        assert!(faults[2].1.ends_with("in a circle: self -> self"));
        assert!(faults[3].1.contains("after `c` and before `persistent`"));
    }

    #[test]
    fn a_long_chain_is_no_problem() {
        let steps: Vec<_> = (0..100_000)
            .map(|i| match i {
                0 => step("s0", None, None),
                i => step(&format!("s{i}"), Some(&format!("s{}", i - 1)), None),
            })
            .collect();
        assert_eq!(names(&steps).len(), 100_004);
    }
}
