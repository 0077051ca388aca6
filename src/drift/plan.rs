//! Decides what is left to ask. Pure.

use super::{Detection, Reason, Step, World};
use crate::operation::Plan;

/// Says all that is left to do: every stack is asked about at once, because none depends on another's answer.
pub fn plan(now: &World) -> Plan<Step, Reason> {
    let (mut steps, mut waiting) = (Vec::new(), Vec::new());
    for (label, stack) in &now.stacks {
        let stack_name = label.clone();
        match stack.detection {
            Detection::NotBegun => steps.push(Step::Detect { stack: stack_name }),
            Detection::Running => waiting.push(Reason::Detecting { stack: stack_name }),
            Detection::Ended { .. } | Detection::Impossible { .. } => {}
        }
    }
    if steps.is_empty() && waiting.is_empty() {
        return Plan::Converged;
    }
    Plan::Going { now: steps, waiting, then: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::drift::SeenStack;

    fn check(stacks: &[(&str, Detection)], expected: &Plan<Step, Reason>) {
        let seen = |detection: &Detection| SeenStack { detection: detection.clone(), ..SeenStack::default() };
        let stacks: BTreeMap<String, SeenStack> =
            stacks.iter().map(|(label, detection)| ((*label).to_owned(), seen(detection))).collect();
        assert_eq!(&plan(&World { stacks }), expected);
    }

    fn detect(stack: &str) -> Step {
        Step::Detect { stack: stack.to_owned() }
    }

    #[test]
    fn asks_about_all_stacks_at_once() {
        let now = vec![detect("a"), detect("b")];
        let expected = Plan::Going { now, waiting: vec![], then: vec![] };
        check(&[("b", Detection::NotBegun), ("a", Detection::NotBegun)], &expected);
    }

    #[test]
    fn waits_only_for_what_runs() {
        let waiting = vec![Reason::Detecting { stack: "b".to_owned() }];
        let expected = Plan::Going { now: vec![detect("a")], waiting, then: vec![] };
        let ended = Detection::Ended { incomplete: None };
        check(&[("a", Detection::NotBegun), ("b", Detection::Running), ("c", ended)], &expected);
    }

    #[test]
    fn what_cannot_be_had_is_not_waited_for() {
        let impossible = Detection::Impossible { because: "denied".to_owned() };
        check(&[("a", impossible), ("b", Detection::Ended { incomplete: None })], &Plan::Converged);
    }
}
