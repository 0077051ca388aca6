//! How two environments compare that run, for people: what needs an answer first, what has one is counted.

use std::fmt::Write as _;

use super::human::{columns, idle_exception};
use crate::parity::{Parity, Row, Verdict};

pub(super) fn parity(parity: &Parity) -> String {
    let mut text = String::new();
    text.push_str(&section(parity, "differs, and nobody says that it may", |row| {
        (row.verdict == Verdict::Undeclared).then(String::new)
    }));
    text.push_str(&section(parity, "not comparable", |row| match &row.verdict {
        Verdict::NotComparable { because } => Some(because.clone()),
        Verdict::Equal | Verdict::Declared { .. } | Verdict::Undeclared => None,
    }));
    text.push_str(&section(parity, "differs as declared", |row| match &row.verdict {
        Verdict::Declared { because, until: Some(until) } => Some(format!("until {until}: {because}")),
        Verdict::Declared { until: None, .. }
        | Verdict::Equal
        | Verdict::Undeclared
        | Verdict::NotComparable { .. } => None,
    }));
    text.push_str(&summary(parity));
    for idle in &parity.idle {
        text.push_str(&idle_exception(idle));
    }
    text
}

/// The rows that `told` has something to say of, under a heading.
fn section(parity: &Parity, heading: &str, told: impl Fn(&Row) -> Option<String>) -> String {
    let rows: Vec<Vec<String>> = parity.rows.iter().filter_map(|row| Some(cells(row, told(row)?))).collect();
    if rows.is_empty() { String::new() } else { format!("{heading}\n{}\n", columns(&rows, "  ")) }
}

/// What nobody could read has no values.
fn cells(row: &Row, told: String) -> Vec<String> {
    let side = |value: &Option<String>| value.as_ref().map_or("nothing".to_owned(), |value| shortened(value));
    match (&row.source, &row.target) {
        (None, None) => vec![row.path.clone(), told],
        (source, target) => vec![row.path.clone(), format!("{} → {}", side(source), side(target)), told],
    }
}

/// A list of rules would fill the screen; `--format json` has it whole.
const LETTERS_MAX: usize = 60;

fn shortened(value: &str) -> String {
    match value.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn summary(parity: &Parity) -> String {
    let count = |is: &dyn Fn(&Verdict) -> bool| parity.rows.iter().filter(|row| is(&row.verdict)).count();
    let counts = [
        (parity.equal, "equal"),
        (count(&|it| matches!(it, Verdict::Declared { until: None, .. })), "differing by nature"),
        (count(&|it| matches!(it, Verdict::Declared { until: Some(_), .. })), "as declared"),
        (count(&|it| *it == Verdict::Undeclared), "undeclared"),
        (count(&|it| matches!(it, Verdict::NotComparable { .. })), "not comparable"),
    ];
    let told: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let told = if told.is_empty() { "nothing to compare".to_owned() } else { told.join(", ") };
    let mut text = format!("{} → {}: {told}\n", parity.source, parity.target);
    if parity.present_only > 0 {
        let _ = writeln!(
            text,
            "{} of these are resources of which only their being there was compared",
            parity.present_only
        );
    }
    text
}
