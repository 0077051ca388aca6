//! Clones, and what one would be, for people.

use std::fmt::Write as _;

use super::human::plural;
use crate::clone::report::{Cloned, Rehearsal};

pub(super) fn cloned(cloned: &Cloned) -> String {
    let Cloned { source, target, .. } = cloned;
    let verb = if cloned.was_there { "is already" } else { "is now" };
    let mut text = format!("{target} {verb} a clone of {source}\n");
    if let Some(snapshot) = &cloned.snapshot {
        let _ = writeln!(text, "  snapshot    {snapshot}");
    }
    if let Some(snapshot) = &cloned.source_snapshot {
        let _ = writeln!(text, "  made from   {snapshot}");
    }
    if let Some(time) = &cloned.data_as_of {
        let _ = writeln!(text, "  data as of  {time}");
    }
    let _ = writeln!(text, "  verified    {} of the database as written", properties(cloned.verified));
    let _ = writeln!(text, "\n{}", super::parity::parity(&cloned.parity).trim_end());
    text
}

fn properties(count: usize) -> String {
    if count == 1 { "1 property".to_owned() } else { format!("{count} properties") }
}

pub(super) fn rehearsal(rehearsal: &Rehearsal) -> String {
    let Rehearsal { source, target, .. } = rehearsal;
    if !rehearsal.refusals.is_empty() {
        let mut text = format!("the clone of {source} as {target} would be refused\n");
        list(&mut text, "because", &rehearsal.refusals);
        list(&mut text, "uses, a day", &rehearsal.daily.lines());
        text.push('\n');
        for hint in &rehearsal.hints {
            let _ = writeln!(text, "hint: {hint}");
        }
        return text;
    }
    if rehearsal.steps.is_empty() {
        return format!("{target} is already a clone of {source}; nothing to do\n");
    }
    let mut text = format!("{target} becomes a clone of {source} in {}\n", plural(rehearsal.steps.len(), "step"));
    let numbered = rehearsal.steps.iter().enumerate().map(|(position, step)| format!("{}. {step}", position + 1));
    list(&mut text, "steps", &numbered.collect::<Vec<_>>());
    list(&mut text, "waits", &rehearsal.waits);
    list(&mut text, "uses, a day", &rehearsal.daily.lines());
    for policy in &rehearsal.policies {
        let _ = writeln!(text, "\nbeyond a deployment, the caller in {} needs\n{:#}", policy.account, policy.document);
    }
    text
}

fn list(text: &mut String, heading: &str, lines: &[String]) {
    let _ = writeln!(text, "\n{heading}");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}
