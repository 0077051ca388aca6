//! Drift, for people: what needs a decision first and with all that is known of it, what has one in a line.

use std::fmt::Write as _;

use super::human::{columns, plural};
use crate::drift::report::{Change, Edits, Ended};
use crate::drift::{Class, Finding, NOT_THERE, Report, Settled, Unread};

/// A list of rules would fill the screen; `--format json` has it whole.
const LETTERS_MAX: usize = 60;

pub(super) fn drift(report: &Report) -> String {
    let mut text = String::new();
    for path in &report.undone {
        let _ = writeln!(text, "`{path}` is as the files say again");
    }
    text.push_str(&open(report));
    text.push_str(&section("needs no decision", report.findings.iter().filter(|it| !it.is_open()).map(quiet)));
    let (settled, unread): (Vec<&Unread>, Vec<&Unread>) = report.unread.iter().partition(|it| it.settled.is_some());
    text.push_str(&section("could not be read", unread.into_iter().map(unreadable)));
    text.push_str(&section("need not be read", settled.into_iter().map(unreadable)));
    let _ = writeln!(text, "{}", summary(report));
    for ended in &report.ended {
        let _ = writeln!(text, "warning: {}", no_longer(ended));
    }
    for hint in hints(report) {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

fn section(heading: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() { String::new() } else { format!("{heading}\n{}\n", columns(&rows, "  ")) }
}

/// What needs a decision, resource by resource.
fn open(report: &Report) -> String {
    let mut text = String::new();
    let (mut stack, mut resource) = ("", "");
    for finding in report.findings.iter().filter(|finding| finding.is_open()) {
        if stack != finding.stack {
            (stack, resource) = (&finding.stack, "");
            let _ = writeln!(text, "{stack}");
        }
        if resource != finding.resource {
            resource = &finding.resource;
            let sign = if finding.class == Class::Deleted { '-' } else { '~' };
            let place = if finding.property.is_none() { place(finding) } else { String::new() };
            let _ = writeln!(text, "  {sign} {resource}  {}{place}", finding.kind);
        }
        if let Some(property) = &finding.property {
            let _ = writeln!(text, "      {property}  {}{}", values(finding), place(finding));
        }
        let _ = writeln!(text, "          {}: {}", finding.class, finding.because);
        if let Some(who) = &finding.who {
            let _ = writeln!(text, "          {who}");
        }
        if let Some(ended) = &finding.no_longer {
            let _ = writeln!(text, "          {}", no_longer(ended));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn place(finding: &Finding) -> String {
    finding.place.as_ref().map(|place| format!("   {place}")).unwrap_or_default()
}

pub(super) fn values(finding: &Finding) -> String {
    let side = |value: &Option<String>| value.as_ref().map_or("nothing".to_owned(), |value| shortened(value));
    format!("{} → {}", side(&finding.expected), side(&finding.actual))
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn quiet(finding: &Finding) -> Vec<String> {
    let told = match &finding.settled {
        Some(settled) => decision(settled),
        None => format!("{}: {}", finding.class, finding.because),
    };
    vec![finding.path(), values(finding), told]
}

fn unreadable(unread: &Unread) -> Vec<String> {
    let told = unread.settled.as_ref().map_or_else(|| unread.because.clone(), decision);
    vec![unread.path.clone(), unread.kind.clone().unwrap_or_default(), told]
}

fn decision(settled: &Settled) -> String {
    match settled {
        Settled::Adopted => "adopted: the files say so, and the next deployment records it".to_owned(),
        Settled::Ignored { because, until, days_left: None, .. } => format!("ignored until {until}: {because}"),
        Settled::Ignored { because, until, days_left: Some(days), place } => {
            let left = match days {
                0 => "its last day is today".to_owned(),
                days => format!("{} left", plural(usize::try_from(*days).unwrap_or_default(), "day")),
            };
            format!("ignored until {until}, {left} ({place}): {because}")
        }
    }
}

fn no_longer(ended: &Ended) -> String {
    format!("`{}` was ignored until {}, and is no longer ({})", ended.path, ended.on, ended.place)
}

pub(super) fn summary(report: &Report) -> String {
    let open = report.findings.iter().filter(|finding| finding.is_open()).count();
    let unread = report.unread.iter().filter(|unread| unread.settled.is_none()).count();
    let counts = [
        (open, if open == 1 { "difference" } else { "differences" }),
        (unread, "unread"),
        (report.findings.len() - open + report.unread.len() - unread, "without need of a decision"),
    ];
    let told: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let told = if told.is_empty() { "no drift".to_owned() } else { told.join(", ") };
    let (resources, stacks) = (plural(report.in_sync, "resource"), plural(report.stacks, "stack"));
    format!("{}: {told}; {resources} in sync, in {stacks}", report.environment)
}

fn hints(report: &Report) -> Vec<String> {
    let environment = &report.environment;
    let mut hints = Vec::new();
    let changed = |finding: &&Finding| finding.is_open() && finding.class == Class::ChangedByHand;
    let open = report.findings.iter().find(|finding| finding.is_open());
    if let Some(finding) = report.findings.iter().find(changed) {
        hints.push(format!("keep it: `greenroom drift {environment} --adopt {}`", finding.path()));
    }
    let undoable = |finding: &&Finding| finding.is_open() && finding.class != Class::Beyond;
    if let Some(finding) = report.findings.iter().find(undoable) {
        hints.push(format!("undo it: `greenroom drift {environment} --revert {}`", finding.resource_path()));
    }
    let (not_there, unread): (Vec<&Unread>, Vec<&Unread>) =
        report.unread.iter().filter(|unread| unread.settled.is_none()).partition(|unread| unread.because == NOT_THERE);
    if !not_there.is_empty() {
        hints.push(format!("make what is not there: `greenroom deploy {environment}`"));
    }
    let unread = unread.first().map(|unread| unread.path.clone());
    if let Some(path) = open.map(Finding::path).or(unread) {
        hints.push(format!("let it be: `greenroom drift {environment} --ignore {path} --until DATE --because TEXT`"));
    }
    hints
}

/// What was written into files.
pub(super) fn edits(edits: &Edits) -> String {
    let mut text: String = edits.files.iter().map(ToString::to_string).collect();
    for settled in &edits.settles {
        let _ = writeln!(text, "{settled}");
    }
    text.push_str(&changes("also changes here", &edits.also));
    text.push_str(&changes("also changes where this environment is inherited", &edits.elsewhere));
    if !edits.elsewhere.is_empty() {
        text.push_str("hint: `--pin-others` keeps those as they are\n");
    }
    if !edits.is_written {
        text.push_str("nothing was written\n");
    }
    text
}

fn changes(heading: &str, changes: &[Change]) -> String {
    let side = |value: &Option<String>| value.as_ref().map_or("nothing".to_owned(), |value| shortened(value));
    let row = |change: &Change| {
        vec![
            change.environment.clone(),
            change.path.clone(),
            format!("{} → {}", side(&change.before), side(&change.after)),
        ]
    };
    let rows: Vec<Vec<String>> = changes.iter().map(row).collect();
    if rows.is_empty() { String::new() } else { format!("{heading}\n{}", columns(&rows, "  ")) }
}
