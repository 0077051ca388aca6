//! For people: what stops, or stopped.

use std::fmt::Write as _;

use crate::cancel::report::{Cancellation, Fate};
use crate::view::human::columns;

pub(super) fn cancellation(cancellation: &Cancellation) -> String {
    let environment = &cancellation.environment;
    if cancellation.stacks.is_empty() {
        return format!("nothing runs in {environment}; nothing to cancel\n");
    }
    let rows: Vec<Vec<String>> = cancellation
        .stacks
        .iter()
        .map(|stack| {
            let fate = match stack.fate {
                Fate::ToStop => "would be stopped and rolled back",
                Fate::ToWaitFor => "cannot be stopped any more, and would be waited for",
                Fate::CannotStop => "cannot be stopped",
                Fate::Undone => "undone",
                Fate::TooLate => "too late: it came to its end before",
            };
            vec![stack.stack.clone(), stack.status.to_string(), fate.to_owned()]
        })
        .collect();
    let mut text = columns(&rows, "");
    if cancellation.is_done && cancellation.stacks.iter().any(|stack| stack.fate == Fate::Undone) {
        let _ = writeln!(text, "\n{environment} is as it was before");
    }
    text
}
