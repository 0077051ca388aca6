//! For people: what is stuck, and the ways out.

use std::fmt::Write as _;

use crate::deploy::world::FirstFailure;
use crate::deploy::{Phase, StackStatus, Stuck};
use crate::recover::report::{Diagnosis, Freed, Recovery};
use crate::recover::{Stranded, Way};

pub(super) fn diagnosis(diagnosis: &Diagnosis) -> String {
    if diagnosis.stranded.is_empty() {
        return format!("nothing is stuck in {}\n", diagnosis.environment);
    }
    diagnosis.stranded.iter().map(stranded).collect::<Vec<_>>().join("\n")
}

pub(super) fn recovery(recovery: &Recovery) -> String {
    let mut text: String = recovery.freed.iter().map(freed).collect();
    if recovery.stranded.is_empty() {
        let _ = writeln!(text, "\nnothing is stuck in {}", recovery.environment);
        return text;
    }
    text.push_str("\nstill stuck:\n\n");
    text.push_str(&recovery.stranded.iter().map(stranded).collect::<Vec<_>>().join("\n"));
    text
}

fn freed(freed: &Freed) -> String {
    let is = freed.status.as_ref().map_or_else(|| "gone".to_owned(), |status| format!("free, {status}"));
    let mut text = format!("{}  {is}\n", freed.stack);
    for next in &freed.next {
        let _ = writeln!(text, "  {next}");
    }
    text
}

fn stranded(stranded: &Stranded) -> String {
    let mut text = format!("{}  {}  {}\n", stranded.stack, stranded.stack_name, stranded.status);
    let _ = writeln!(text, "  {}", what(&stranded.status));
    if stranded.because != FirstFailure::default() {
        let _ = writeln!(text, "  because of {}", told(&stranded.because));
    }
    if let Some(first) = &stranded.at_first {
        let _ = writeln!(text, "  the update had failed because of {}", told(first));
    }
    for way in &stranded.ways {
        text.push_str(&self::way(way));
    }
    if stranded.ways.is_empty() {
        text.push_str("\n  this version of greenroom knows no way out\n");
    }
    text
}

fn what(status: &StackStatus) -> &'static str {
    match (status.phase(), status) {
        (Phase::Empty, _) => "it was planned and never created",
        (Phase::Stuck(Stuck::CreationUndone), _) => "its creation failed and was undone; it can only be deleted",
        (_, StackStatus::RollbackFailed) => "its creation failed, and so did undoing it",
        (Phase::Stuck(Stuck::CreationFailed), _) => "its creation failed and was not undone",
        (Phase::Stuck(Stuck::UpdateFailed), _) => "an update failed and was not undone",
        (_, StackStatus::ImportRollbackFailed) => "an import failed and could not be undone",
        (Phase::Stuck(Stuck::UpdateNotUndone), _) => "an update failed and could not be undone",
        (Phase::Stuck(Stuck::NotDeleted), _) => "it could not be deleted",
        (Phase::Stuck(Stuck::Unheard), _) => "this version of greenroom does not know that status",
        (Phase::Steady | Phase::Busy | Phase::Gone, _) => "it is not stuck",
    }
}

fn told(failure: &FirstFailure) -> String {
    let kind = failure.kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
    let resource = failure.path().map(|path| format!("{path}{kind}: ")).unwrap_or_default();
    let reason = failure.reason.as_deref().unwrap_or("CloudFormation gives no reason");
    format!("{resource}{}", reason.trim_end_matches(['.', ' ']))
}

fn way(way: &Way) -> String {
    let mut text = format!("\n  {}  {}\n", way.number, way.act);
    for line in way.calls.iter().chain(&way.loses) {
        let _ = writeln!(text, "       {line}");
    }
    if let Some(closed) = &way.closed {
        let _ = writeln!(text, "       closed: {closed}");
    }
    text
}
