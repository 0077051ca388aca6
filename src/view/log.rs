//! For people: what happened to the stacks of an environment.

use std::fmt::Write as _;

use crate::deploy::world::FirstFailure;
use crate::log::{By, Kind, Log, Operation, Outcome, Span, StackLog, Timeline};
use crate::view::deployment::seconds;
use crate::view::human::columns;

/// The cells that the bars of a timeline may fill.
const BAR_CELLS: usize = 30;

pub(super) fn log(log: &Log) -> String {
    log.stacks.iter().map(stack).collect::<Vec<_>>().join("\n")
}

fn stack(stack: &StackLog) -> String {
    let status = stack.status.as_ref().map_or_else(|| "never existed".to_owned(), ToString::to_string);
    let mut text = format!("{}  {}  {status}\n", stack.stack, stack.stack_name);
    if stack.status.is_some() && stack.operations.is_empty() {
        text.push_str("  nothing has happened\n");
    }
    let rows: Vec<Vec<String>> = stack.operations.iter().map(row).collect();
    let table = columns(&rows, "  ");
    for (line, operation) in table.lines().zip(&stack.operations) {
        let _ = writeln!(text, "{line}");
        text.push_str(&causes(operation));
    }
    match &stack.timeline {
        Some(timeline) if stack.is_detailed => text.push_str(&self::timeline(timeline)),
        Some(timeline) if !timeline.critical_path.is_empty() => {
            let _ = writeln!(text, "  critical path of {}: {}", timeline.operation, path(timeline));
        }
        Some(_) | None => {}
    }
    text
}

fn row(operation: &Operation) -> Vec<String> {
    let outcome = match operation.outcome {
        Outcome::Running => "running".to_owned(),
        Outcome::Done => "done".to_owned(),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::RolledBack => "failed, undone".to_owned(),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Failed => operation.status.to_string(),
    };
    let began = operation.began.map(|began| began.strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
    let lasted = operation.seconds.map(|it| seconds(it.0)).unwrap_or_default();
    vec![operation.number.to_string(), began, lasted, operation.kind.to_string(), outcome, by(operation)]
}

fn by(operation: &Operation) -> String {
    match &operation.by {
        By::Greenroom { change_set: Some(name) } => format!("greenroom, {name}"),
        By::Greenroom { change_set: None } => "greenroom".to_owned(),
        By::Console { .. } => "the console".to_owned(),
        By::Other { token } => format!("token {token}"),
        By::Unknown => String::new(),
    }
}

fn causes(operation: &Operation) -> String {
    let mut text = String::new();
    let told = |failure: &FirstFailure| {
        let kind = failure.kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        let resource = failure.path().map(|path| format!("{path}{kind}: ")).unwrap_or_default();
        let reason = failure.reason.as_deref().unwrap_or("CloudFormation gives no reason");
        format!("{resource}{}", reason.trim_end_matches(['.', ' ']))
    };
    if let Some(failure) = &operation.failure {
        let what = if operation.kind == Kind::Rollback { "still stuck by" } else { "first cause" };
        let _ = writeln!(text, "     {what}: {}", told(failure));
    }
    if let Some(place) = &operation.place {
        let _ = writeln!(text, "     written in {place}");
    }
    if let Some(failure) = &operation.rollback_failure {
        let _ = writeln!(text, "     not undone because of {}", told(failure));
    }
    text
}

fn path(timeline: &Timeline) -> String {
    let spans = timeline.critical_path.iter().filter_map(|place| timeline.spans.get(*place));
    spans.map(|span| format!("{} {}", span.resource, seconds(span.seconds.0))).collect::<Vec<_>>().join(" → ")
}

fn timeline(timeline: &Timeline) -> String {
    let mut text = format!(
        "\n  timeline of operation {}; ● marks the chain that determined how long it took\n",
        timeline.operation
    );
    let rows: Vec<Vec<String>> =
        timeline.spans.iter().enumerate().map(|(place, span)| span_row(timeline, place, span)).collect();
    text.push_str(&columns(&rows, "  "));
    if !timeline.critical_path.is_empty() {
        let _ = writeln!(text, "  critical path, {}: {}", seconds(timeline.critical_seconds.0), path(timeline));
    }
    text
}

fn span_row(timeline: &Timeline, place: usize, span: &Span) -> Vec<String> {
    let sign = if timeline.critical_path.contains(&place) { "●" } else { "·" };
    let doing = if span.is_undoing { format!("undo: {}", span.doing) } else { span.doing.to_string() };
    let end = if span.ended.is_none() {
        "…".to_owned()
    } else if span.status.ends_with("_FAILED") {
        "failed".to_owned()
    } else {
        String::new()
    };
    let at = format!("+{}", seconds(span.offset_seconds.0));
    vec![sign.to_owned(), span.resource.clone(), doing, at, seconds(span.seconds.0), bar(timeline, span), end]
}

/// Where in the operation, and how long.
fn bar(timeline: &Timeline, span: &Span) -> String {
    let end = |span: &Span| span.offset_seconds.0 + span.seconds.0;
    let total = timeline.spans.iter().map(end).max().unwrap_or_default().as_millis().max(1);
    let cell = |milliseconds: u128| {
        let cells = u128::try_from(BAR_CELLS).unwrap_or_default();
        usize::try_from(milliseconds * cells / total).unwrap_or(BAR_CELLS)
    };
    let from = cell(span.offset_seconds.0.as_millis()).min(BAR_CELLS - 1);
    let to = cell(end(span).as_millis()).clamp(from + 1, BAR_CELLS);
    format!("{}{}", " ".repeat(from), "━".repeat(to - from))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::log::{Doing, Seconds};

    fn span(resource: &str, offset: u64, lasted: u64) -> Span {
        let length = |seconds: u64| Seconds(Duration::from_secs(seconds));
        Span {
            resource: resource.to_owned(),
            kind: "AWS::SQS::Queue".to_owned(),
            doing: Doing::Create,
            is_undoing: false,
            began: jiff::Timestamp::UNIX_EPOCH,
            ended: Some(jiff::Timestamp::UNIX_EPOCH),
            offset_seconds: length(offset),
            seconds: length(lasted),
            status: "CREATE_COMPLETE".to_owned(),
        }
    }

    #[test]
    fn bars_stand_where_their_time_is() {
        let spans = vec![span("Network", 0, 10), span("Database", 10, 80), span("Topic", 0, 0), span("Api", 90, 0)];
        let timeline =
            Timeline { operation: 1, spans, critical_path: vec![0, 1], critical_seconds: Seconds::default() };
        let bars: Vec<String> = timeline.spans.iter().map(|span| bar(&timeline, span)).collect();
        let dashes = |count: usize| "━".repeat(count);
        let expected = [dashes(3), format!("   {}", dashes(27)), dashes(1), format!("{}{}", " ".repeat(29), dashes(1))];
        assert_eq!(bars, expected);
    }
}
