//! Which environments are over, for people: where was looked, and a line for each environment that ends.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::deploy::Place;
use crate::destroy::report::Demolition;
use crate::reap::Verdict;
use crate::reap::report::{Extended, Outcome, Reaped, Reaping};
use crate::view::deployment::{demolition, span};
use crate::view::human::{columns, plural};

pub(super) fn reaped(reaped: &Reaped) -> String {
    let mut text = String::new();
    for place in &reaped.looked_at {
        let _ = writeln!(text, "looked at {}", whereabouts(place));
    }
    for unread in &reaped.unread {
        let _ = writeln!(text, "could not look at {}: {}", whereabouts(&unread.place), unread.because);
        for hint in &unread.hints {
            let _ = writeln!(text, "  hint: {hint}");
        }
    }
    text.push('\n');
    if reaped.environments.is_empty() {
        text.push_str("nothing here ends by itself\n");
        return text;
    }
    let rows: Vec<Vec<String>> = reaped.environments.iter().map(row).collect();
    text.push_str(&columns(&rows, ""));
    for reaping in &reaped.environments {
        if let Some(Outcome::WouldGo { demolition: would_go }) = &reaping.outcome {
            let _ = write!(text, "\n{}\n{}", reaping.environment, demolition(would_go));
        }
    }
    text
}

fn row(reaping: &Reaping) -> Vec<String> {
    let end = match reaping.ends_in_seconds {
        None => String::new(),
        Some(left) if left <= 0 => format!("ended {} ago", span(-left)),
        Some(left) => format!("ends in {}", span(left)),
    };
    let extended = reaping.extended_until.filter(|until| Some(*until) == reaping.ends);
    let remarks = [
        extended.map(|_| "extended".to_owned()),
        reaping.is_file_gone.then(|| "its file is gone".to_owned()),
        fate(reaping),
    ];
    let remarks: Vec<String> = remarks.into_iter().flatten().collect();
    vec![reaping.environment.clone(), end, remarks.join("; ")]
}

fn fate(reaping: &Reaping) -> Option<String> {
    let stacks = |demolition: &Demolition| {
        let counted = [(demolition.stacks.len(), "stack"), (demolition.snapshots.len(), "snapshot")];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        counted.map(|(count, what)| plural(count, what)).collect::<Vec<_>>().join(", ")
    };
    match (&reaping.outcome, &reaping.verdict) {
        (Some(Outcome::WouldGo { demolition }), _) => Some(format!("to be destroyed: {}", stacks(demolition))),
        (Some(Outcome::Gone { demolition }), _) => Some(format!("destroyed: {}", stacks(demolition))),
        (Some(Outcome::NotGone { reasons, .. }), _) => Some(format!("NOT destroyed: {}", reasons.join("; "))),
        (Some(Outcome::Spared), _) => Some("left alone: it is not over any more".to_owned()),
        (None, Verdict::Lives) => None,
        (None, Verdict::Over) => Some("to be destroyed".to_owned()),
        (None, Verdict::Endless { .. } | Verdict::Protected) => Some(reaping.sentence.clone()),
        (None, Verdict::Doubtful { .. } | Verdict::Unknown { .. }) => Some(format!("left alone: {}", reaping.sentence)),
    }
}

fn whereabouts(place: &Place) -> String {
    let role = place.role.as_ref().map(|role| format!(" as {role}")).unwrap_or_default();
    format!("{} {}{role}", place.account, place.region)
}

pub(super) fn extended(extended: &Extended) -> String {
    let Extended { environment, ended, ends, is_rehearsal } = extended;
    if ended == ends {
        return format!("{environment} lives until {} already\n", moment(*ends));
    }
    let verb = if *is_rehearsal { "would live" } else { "lives" };
    format!("{environment} {verb} until {}, not {}\n", moment(*ends), moment(*ended))
}

fn moment(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
