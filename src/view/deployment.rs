//! For people: what a deployment would do, what it does, and what it did.

use std::fmt::Write as _;
use std::time::Duration;

use crate::deploy::Upstream;
use crate::deploy::changes::{Action, Change, PropertyChange};
use crate::deploy::report::{Counts, Outcome, Outlook, Preview, Report, StackPreview, StackReport};
use crate::destroy::report::{Demolition, StackDemolition};
use crate::operation::{Event, Statement};
use crate::status::{StackState, Status};
use crate::view::human::{columns, plural};

/// The width of the column of stacks in a line of progress: names are known only one by one.
const STACK_WIDTH: usize = 12;

/// The column where a stack's verdict stands.
const VERDICT_COLUMN: usize = 60;

/// How much of a value is shown.
const VALUE_CHARACTERS_MAX: usize = 60;

pub(super) fn preview(preview: &Preview) -> String {
    let mut text = String::new();
    for stack in &preview.stacks {
        text.push_str(&stack_preview(stack));
    }
    let Counts { add, modify, replace, remove } = preview.counts;
    let _ = writeln!(text, "\n{add} to add, {modify} to modify, {replace} to replace, {remove} to remove");
    for stray in &preview.strays {
        let _ = writeln!(text, "{stray} is gone from the file and still there; `--prune` deletes it");
    }
    for refusal in &preview.refusals {
        let _ = writeln!(text, "deploy will refuse: {refusal}");
    }
    let mut hints: Vec<String> = Vec::new();
    for hint in preview.refusals.iter().filter_map(|refusal| refusal.hint(&preview.environment)) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    for hint in hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

fn stack_preview(stack: &StackPreview) -> String {
    let name = &stack.stack;
    let mut text = format!("{name:<VERDICT_COLUMN$} {}\n", verdict(stack));
    for change in &stack.changes {
        text.push_str(&self::change(change, stack.outlook));
    }
    text
}

fn verdict(stack: &StackPreview) -> String {
    let own = match stack.outlook {
        Outlook::New => format!("new, {}", plural(stack.changes.len(), "resource")),
        Outlook::Changed if stack.changes.is_empty() => "changes outside of resources".to_owned(),
        Outlook::Changed => counted(Counts::of(&stack.changes)),
        Outlook::Unchanged => "no changes".to_owned(),
        Outlook::Open => String::new(),
        Outlook::Barred => "cannot be changed".to_owned(),
    };
    let after: Vec<String> = stack.after.iter().map(upstream).collect();
    let after = if after.is_empty() { String::new() } else { format!("after {}", after.join(", ")) };
    [own, after].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// `database: Endpoint`.
fn upstream(upstream: &Upstream) -> String {
    match upstream.outputs.as_slice() {
        [] => upstream.stack.clone(),
        outputs => format!("{}: {}", upstream.stack, outputs.join(", ")),
    }
}

fn counted(counts: Counts) -> String {
    [(counts.add, "add"), (counts.modify, "modify"), (counts.replace, "replace"), (counts.remove, "remove")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{what} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn change(change: &Change, outlook: Outlook) -> String {
    let sign = match change.action {
        Action::Add | Action::Import => '+',
        Action::Modify => '~',
        Action::MayReplace | Action::Replace => '±',
        Action::Remove => '-',
        Action::Unknown => '?',
    };
    let said = match (change.verdict, change.action) {
        (Some(verdict), _) => format!("  {verdict}"),
        (None, Action::MayReplace) => "  perhaps replaced".to_owned(),
        (None, Action::Replace) => "  replaced".to_owned(),
        (None, Action::Import) => "  taken in as it is".to_owned(),
        (None, Action::Unknown) => "  known only afterwards".to_owned(),
        (None, Action::Add | Action::Modify | Action::Remove) => String::new(),
    };
    // In a new stack everything is new.
    let sign = if outlook == Outlook::New { '+' } else { sign };
    let mut text = format!("  {sign} {}  {}{said}\n", change.resource, change.kind);
    if let Some(old) = &change.renamed_from {
        let _ = writeln!(
            text,
            "      looks like `{old}` under a new name; CloudFormation makes a new one and removes the old"
        );
    }
    let rows: Vec<Vec<String>> = change.properties.iter().map(property).collect();
    text.push_str(&columns(&rows, "      "));
    text
}

fn property(change: &PropertyChange) -> Vec<String> {
    let values = format!("{} → {}", value(change.before.as_ref(), "nothing"), value(change.after.as_ref(), "nothing"));
    let replaces = if change.replaces { "replaces it" } else { "" }.to_owned();
    let cause = change.cause.as_ref().map(|cause| format!("because of {cause}")).unwrap_or_default();
    let place = change.place.as_ref().map(ToString::to_string);
    vec![change.path.clone(), values, replaces, place.unwrap_or(cause)]
}

/// What CloudFormation writes for a value that is not known before it is executed.
const KNOWN_AFTERWARDS: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

fn value(text: Option<&String>, nothing: &str) -> String {
    let Some(text) = text else { return nothing.to_owned() };
    if text.contains(KNOWN_AFTERWARDS) {
        return "known afterwards".to_owned();
    }
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.clone(),
    }
}

/// News in a line; nothing where nobody would miss it.
pub(super) fn event(event: &Event) -> Option<String> {
    match event {
        Event::Began { .. } | Event::Planned { .. } | Event::Started { .. } | Event::Ended { error: None, .. } => None,
        Event::Waiting { reason, .. } => Some(line('·', reason, &reason.sentence)),
        Event::Cleared { reason, lasted } => {
            let how = operation_end(reason)?;
            Some(line('✔', reason, &format!("{how} after {}", seconds(*lasted))))
        }
        Event::Ended { step, error: Some(error) } => {
            Some(line('!', step, &format!("could not {}: {error}", step.sentence)))
        }
        Event::Refused { because } => Some(stopping("refused", because)),
        Event::Failed { causes } => Some(stopping("failed", causes)),
    }
}

/// The end of an operation of CloudFormation is news, that of other waits is not.
fn operation_end(reason: &Statement) -> Option<&'static str> {
    match reason.data.get("reason")?.as_str()? {
        "busy" => Some("at rest"),
        "deleting" => Some("gone"),
        _ => None,
    }
}

fn line(sign: char, about: &Statement, sentence: &str) -> String {
    let stack = about.subject.stack.as_deref().unwrap_or_default();
    format!("{sign} {stack:<STACK_WIDTH$} {sentence}")
}

fn stopping(how: &str, statements: &[Statement]) -> String {
    let sentences: Vec<&str> = statements.iter().map(|statement| statement.sentence.as_str()).collect();
    format!("! {how}, starting nothing more: {}", sentences.join("; "))
}

/// `0.4 s`, `12 s`, `3 min 20 s`.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        whole @ 10..120 => format!("{whole} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

pub(super) fn deployed(report: &Report) -> String {
    let mut text = String::new();
    if report.has_changes() {
        let rows: Vec<Vec<String>> = report.stacks.iter().map(stack_row).collect();
        text.push_str(&columns(&rows, ""));
    } else {
        let _ = writeln!(text, "{} is as its file says; nothing to do", report.environment);
    }
    let outputs: Vec<Vec<String>> = report.stacks.iter().flat_map(output_rows).collect();
    if report.has_changes() && !outputs.is_empty() {
        text.push('\n');
        text.push_str(&columns(&outputs, ""));
    }
    for stray in &report.strays {
        let _ = writeln!(text, "\n{stray} is gone from the file and still there; `--prune` deletes it");
    }
    text
}

fn stack_row(stack: &StackReport) -> Vec<String> {
    let outcome = match stack.outcome {
        Outcome::Created => "created",
        Outcome::Updated => "updated",
        Outcome::Unchanged => "unchanged",
        Outcome::Deleted => "deleted",
    };
    vec![stack.stack.clone(), outcome.to_owned()]
}

fn output_rows(stack: &StackReport) -> Vec<Vec<String>> {
    stack.outputs.iter().map(|(name, value)| vec![format!("{}.{name}", stack.stack), value.clone()]).collect()
}

pub(super) fn demolition(demolition: &Demolition) -> String {
    let environment = &demolition.environment;
    if demolition.stacks.is_empty() {
        return format!("{environment} has no stacks; nothing to destroy\n");
    }
    let mut text = String::new();
    for stack in &demolition.stacks {
        text.push_str(&stack_demolition(stack));
    }
    let count = plural(demolition.stacks.len(), "stack");
    let said =
        if demolition.is_done { format!("{environment} is destroyed: {count}") } else { format!("{count} to delete") };
    let _ = writeln!(text, "\n{said}");
    text
}

fn stack_demolition(stack: &StackDemolition) -> String {
    let mut text = format!("{:<STACK_WIDTH$} {}\n", stack.stack, plural(stack.resources, "resource"));
    for loss in &stack.data {
        let id = loss.physical_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        let _ = writeln!(text, "  - {}{id}  {}  {}", loss.resource, loss.kind, loss.verdict);
    }
    text
}

pub(super) fn status(status: &Status) -> String {
    let expiry = match status.expires_in_seconds {
        None => String::new(),
        Some(left) if left < 0 => format!("  expired {} ago", span(-left)),
        Some(left) => format!("  expires in {}", span(left)),
    };
    let mut text = format!("{}{expiry}\n", status.environment);
    let rows: Vec<Vec<String>> = status.stacks.iter().map(state_row).collect();
    text.push_str(&columns(&rows, "  "));
    let outputs: Vec<Vec<String>> = status
        .stacks
        .iter()
        .flat_map(|stack| {
            stack.outputs.iter().map(|(name, value)| vec![format!("{}.{name}", stack.stack), value.clone()])
        })
        .collect();
    if !outputs.is_empty() {
        text.push('\n');
        text.push_str(&columns(&outputs, "  "));
    }
    for stray in &status.strays {
        let _ = writeln!(text, "\n  {stray} is gone from the file and still there; `deploy --prune` deletes it");
    }
    text
}

fn state_row(stack: &StackState) -> Vec<String> {
    let Some(status) = &stack.status else { return vec![stack.stack.clone(), "does not exist".to_owned()] };
    let age = stack.age_seconds.map(|age| format!("{} old", span(age))).unwrap_or_default();
    let progress = stack.progress.as_ref().map(|it| format!("{} of {} resources", it.done, it.begun));
    let ownership = if stack.is_ours { "" } else { "not made by greenroom" }.to_owned();
    let revision = stack.revision.clone().unwrap_or_default();
    vec![stack.stack.clone(), status.to_string(), age, revision, progress.unwrap_or_default(), ownership]
}

/// A time in its two largest units: `6 h 12 min`.
fn span(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., ..) => format!("{days} d {} h", hours % 24),
        (_, 1.., _) => format!("{hours} h {} min", minutes % 60),
        (_, _, 1..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}
