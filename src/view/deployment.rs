//! For people: what a deployment would do, what it does, and what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::deploy::Upstream;
use crate::deploy::changes::{Action, Change, Fate, Instances, PropertyChange};
use crate::deploy::plan::Guard;
use crate::deploy::report::{Counts, Outcome, Outlook, Preview, Report, StackPreview, StackReport};
use crate::destroy::report::{Demolition, StackDemolition};
use crate::operation::{Event, Statement};
use crate::status::watch::{Change as Seen, What};
use crate::status::{StackState, Status};
use crate::view::SealedPlan;
use crate::view::human::{Occasion, columns, plural};

/// The width of the column of stacks in a line of progress: names are known only one by one.
const STACK_WIDTH: usize = 12;

/// The column where a stack's verdict stands.
const VERDICT_COLUMN: usize = 60;

/// How much of a value is shown.
const VALUE_CHARACTERS_MAX: usize = 60;

/// What an estimate is made from.
const ESTIMATED: &str =
    "estimated from the deployed templates and the registry's facts; a change set, which `plan` makes, knows more\n";

pub(super) fn preview(preview: &Preview) -> String {
    let mut text = String::new();
    for stack in &preview.stacks {
        text.push_str(&stack_preview(stack));
    }
    let Counts { add, modify, replace, remove } = preview.counts;
    let _ = writeln!(text, "\n{add} to add, {modify} to modify, {replace} to replace, {remove} to remove");
    if preview.is_estimated {
        text.push_str(ESTIMATED);
    }
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

/// A plan with all that it lets happen, and where it lies.
pub(super) fn sealed(sealed: &SealedPlan) -> String {
    let mut text = preview(&sealed.preview);
    for stack in sealed.preview.stacks.iter().filter(|stack| !stack.possible.is_empty()) {
        let _ =
            writeln!(text, "\n{} waits: what its change will be is estimated, and it may do no more than", stack.stack);
        for change in &stack.possible {
            let properties: Vec<&str> = change.properties.iter().map(|property| property.path.as_str()).collect();
            let what = match change.action {
                Action::Replace => "replace",
                Action::MayReplace => "change or replace",
                Action::Add | Action::Modify | Action::Remove | Action::Import | Action::Record | Action::Unknown => {
                    "change"
                }
            };
            let _ = writeln!(text, "  ? {what} {}  {}  ({})", change.resource, change.kind, properties.join(", "));
        }
    }
    let expires = sealed.expires.strftime("%Y-%m-%d %H:%M:%S UTC");
    let digest = sealed.digest.get(..SHOWN_DIGEST_CHARACTERS).unwrap_or(&sealed.digest);
    let _ = writeln!(text, "\nsealed in {} until {expires}, digest {digest}", sealed.file);
    text
}

/// How much of a digest is shown: enough to tell two seals apart by eye.
const SHOWN_DIGEST_CHARACTERS: usize = 12;

pub(super) fn stack_preview(stack: &StackPreview) -> String {
    let name = &stack.stack;
    let mut text = format!("{name:<VERDICT_COLUMN$} {}\n", verdict(stack));
    for change in &stack.changes {
        text.push_str(&self::change(change, stack.outlook));
    }
    for guard in &stack.guards {
        let what = match guard {
            Guard::TerminationProtection => "termination protection is set",
            Guard::StackPolicy => "the stack policy of the file is put in force",
        };
        let _ = writeln!(text, "  ~ {what}");
    }
    for warning in &stack.warnings {
        let _ = writeln!(text, "  ! {warning}");
    }
    text
}

pub(super) fn verdict(stack: &StackPreview) -> String {
    let own = match stack.outlook {
        Outlook::New => format!("new, {}", plural(stack.changes.len(), "resource")),
        Outlook::Changed if stack.changes.is_empty() => "changes outside of resources".to_owned(),
        Outlook::Changed => counted(Counts::of(&stack.changes)),
        Outlook::Unchanged => "no changes".to_owned(),
        Outlook::Recorded => "no changes; what was adopted is recorded".to_owned(),
        // An operation runs, and what it will leave is not known.
        Outlook::Open if stack.after.is_empty() => "not known yet".to_owned(),
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
        Action::Record => '=',
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
        (None, Action::Record) => "  recorded as it is, and not touched".to_owned(),
        (None, Action::Add | Action::Modify | Action::Remove) => match change.instances {
            Some(Instances::Untouched) => "  no running instance is touched".to_owned(),
            Some(Instances::Rolled) => "  its instances are replaced, batch by batch".to_owned(),
            None => String::new(),
        },
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
    if let Some(denial) = &change.denial {
        let _ = writeln!(text, "      {denial}");
    }
    let rows: Vec<Vec<String>> = change.properties.iter().flat_map(properties).collect();
    text.push_str(&columns(&rows, "      "));
    text
}

/// A row for each value. Lists of tags are compared tag by tag: CloudFormation shows both lists whole.
fn properties(change: &PropertyChange) -> Vec<Vec<String>> {
    if let Some(rows) = script(change) {
        return rows;
    }
    let (Some(before), Some(after)) = (tags(change.before.as_ref()), tags(change.after.as_ref())) else {
        return vec![property(change)];
    };
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let is_changed = |key: &&&String| before.get(**key) != after.get(**key);
    keys.iter()
        .filter(is_changed)
        .map(|key| {
            let values = [&before, &after].map(|tags| tags.get(*key));
            vec![format!("{}/{key}", change.path), arrow(values[0], values[1])]
        })
        .collect()
}

/// So many changed lines of a script are shown one by one.
const SCRIPT_LINES_MAX: usize = 4;

/// User data, which is a script in base64: its lines that differ; nothing where it is anything else.
fn script(change: &PropertyChange) -> Option<Vec<Vec<String>>> {
    if !change.path.ends_with("UserData") {
        return None;
    }
    let decoded = |text: &Option<String>| String::from_utf8(BASE64_STANDARD.decode(text.as_ref()?).ok()?).ok();
    let (before, after) = (decoded(&change.before)?, decoded(&change.after)?);
    let beyond = |own: &str, other: &str| -> Vec<String> {
        let known: BTreeSet<&str> = other.lines().collect();
        own.lines().filter(|line| !known.contains(line)).map(|line| line.trim().to_owned()).collect()
    };
    let (gone, come) = (beyond(&before, &after), beyond(&after, &before));
    if gone.len().max(come.len()) > SCRIPT_LINES_MAX {
        let (gone, come) = (plural(gone.len(), "line"), plural(come.len(), "line"));
        return Some(vec![vec![change.path.clone(), format!("{gone} → {come}")]]);
    }
    let rows = (0..gone.len().max(come.len())).map(|position| {
        let path = if position == 0 { change.path.clone() } else { String::new() };
        let place = change.place.as_ref().filter(|_| position == 0).map(ToString::to_string).unwrap_or_default();
        vec![path, arrow(gone.get(position), come.get(position)), String::new(), place]
    });
    Some(rows.collect())
}

/// A list of tags, written as JSON; nothing if it is anything else.
fn tags(text: Option<&String>) -> Option<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Tag {
        key: String,
        value: String,
    }
    let tags: Vec<Tag> = serde_json::from_str(text?).ok()?;
    Some(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

fn arrow(before: Option<&String>, after: Option<&String>) -> String {
    format!("{} → {}", value(before, "nothing"), value(after, "nothing"))
}

fn property(change: &PropertyChange) -> Vec<String> {
    let values = arrow(change.before.as_ref(), change.after.as_ref());
    let replaces = if change.replaces { "replaces it" } else { "" }.to_owned();
    let cause = change.cause.as_ref().map(|cause| format!("because of {cause}")).unwrap_or_default();
    let place = change.place.as_ref().map(ToString::to_string);
    vec![change.path.clone(), values, replaces, place.unwrap_or(cause)]
}

/// What CloudFormation writes for a value that is not known before it is executed.
const KNOWN_AFTERWARDS: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

pub(super) fn value(text: Option<&String>, nothing: &str) -> String {
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

/// What only those want to hear who ask for every step.
pub(super) fn detail(event: &Event) -> Option<String> {
    match event {
        Event::Started { step } => Some(line('→', step, &step.sentence)),
        Event::Ended { step, error: None } => Some(line('←', step, &format!("{}: done", step.sentence))),
        Event::Cleared { reason, lasted } => {
            Some(line('·', reason, &format!("no longer: {} (after {})", reason.sentence, seconds(*lasted))))
        }
        Event::Began { .. }
        | Event::Planned { .. }
        | Event::Waiting { .. }
        | Event::Ended { error: Some(_), .. }
        | Event::Refused { .. }
        | Event::Failed { .. } => None,
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

pub(super) fn deployed(report: &Report, occasion: Occasion) -> String {
    let mut text = String::new();
    if report.has_changes() {
        // What was done stands in the table above; what was not has no row there.
        let is_new = |stack: &&StackReport| !occasion.is_table_above || stack.outcome == Outcome::Unchanged;
        let rows: Vec<Vec<String>> = report.stacks.iter().filter(is_new).map(stack_row).collect();
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
    if demolition.is_empty() {
        return format!("{environment} has no stacks; nothing to destroy\n");
    }
    let mut text = String::new();
    for stack in &demolition.stacks {
        text.push_str(&stack_demolition(stack));
    }
    for snapshot in &demolition.snapshots {
        let _ = writeln!(text, "{:<STACK_WIDTH$} {snapshot}", "snapshot");
    }
    let mut count = plural(demolition.stacks.len(), "stack");
    if !demolition.snapshots.is_empty() {
        let _ = write!(count, ", {}", plural(demolition.snapshots.len(), "snapshot"));
    }
    let said =
        if demolition.is_done { format!("{environment} is destroyed: {count}") } else { format!("{count} to delete") };
    let _ = writeln!(text, "\n{said}");
    let kept: Vec<String> = demolition.stacks.iter().flat_map(kept).collect();
    if !kept.is_empty() {
        let (verb, list) = (if demolition.is_done { "stays" } else { "will stay" }, kept.join("; "));
        let _ = writeln!(text, "{verb}, and goes on costing: {list}");
    }
    text
}

/// What outlives its stack, with how much of it there is: that is what it costs by.
fn kept(stack: &StackDemolition) -> Vec<String> {
    let stays = stack.data.iter().filter(|it| !it.verdict.loses_data());
    let kept = stays.map(|it| {
        let size = [it.storage_gib.map(|gib| format!("{gib} GiB")), it.contents.as_ref().map(ToString::to_string)];
        let size: Vec<String> = size.into_iter().flatten().collect();
        let size = if size.is_empty() { String::new() } else { format!(", {}", size.join(", ")) };
        let what = match it.verdict.fate {
            Fate::Snapshot => format!("a snapshot of {}/{}", stack.stack, it.resource),
            Fate::Kept | Fate::Deleted => format!("{}/{}", stack.stack, it.resource),
        };
        let id = it.physical_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        format!("{what}{id}{size}")
    });
    let is_data = |resource: &String| stack.data.iter().any(|it| it.resource == *resource);
    let left = stack.left_behind.iter().filter(|it| !is_data(&it.resource)).map(|it| {
        let id = it.physical_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        format!("{}/{}{id}", stack.stack, it.resource)
    });
    kept.chain(left).collect()
}

fn stack_demolition(stack: &StackDemolition) -> String {
    let mut text = format!("{:<STACK_WIDTH$} {}\n", stack.stack, plural(stack.resources, "resource"));
    for loss in &stack.data {
        let id = loss.physical_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        let held = loss.contents.as_ref().filter(|contents| !contents.is_empty());
        let holds = held.map(|contents| format!(": {contents}")).unwrap_or_default();
        let _ = writeln!(text, "  - {}{id}  {}  {}{holds}", loss.resource, loss.kind, loss.verdict);
        if loss.is_in_the_way {
            let path = format!("{}/{}", stack.stack, loss.resource);
            let _ = writeln!(
                text,
                "      keeps its stack while it is not empty; `--empty-bucket {path}` empties it, `--retain {path}` leaves it behind"
            );
        }
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
    let revision = stack.revision.clone().unwrap_or_default();
    let progress = stack.progress.as_ref().map(|it| format!("{} of {} resources", it.done, it.begun));
    let ownership = (!stack.is_ours).then(|| "not made by greenroom".to_owned());
    let failure = stack.failure.as_ref().map(|it| it.clause().trim_start_matches([':', ' ']).to_owned());
    let remarks: Vec<String> = [progress, ownership, failure].into_iter().flatten().collect();
    vec![stack.stack.clone(), status.to_string(), age, revision, remarks.join("  ")]
}

/// What has changed, in a line.
pub(super) fn changed(change: &Seen) -> String {
    let seen = change.seen.map(|seen| seen.to_string()).unwrap_or_default();
    let what = match &change.what {
        What::Stack(state) => {
            let status = state.status.as_ref().map_or_else(|| "does not exist".to_owned(), ToString::to_string);
            let progress = state.progress.as_ref().map(|it| {
                let resource = it.resource.as_ref().map(|resource| format!(", {resource}")).unwrap_or_default();
                format!("  {} of {} resources{resource}", it.done, it.begun)
            });
            format!("{:<STACK_WIDTH$} {status}{}", state.stack, progress.unwrap_or_default())
        }
        What::StrayCame { stack } => format!("{stack:<STACK_WIDTH$} is there, and not in the file"),
        What::StrayWent { stack } => format!("{stack:<STACK_WIDTH$} is gone, as from the file"),
    };
    format!("{seen}  {}  {what}", change.environment)
}

/// A time in its two largest units: `6 h 12 min`.
pub(super) fn span(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., ..) => format!("{days} d {} h", hours % 24),
        (_, 1.., _) => format!("{hours} h {} min", minutes % 60),
        (_, _, 1..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deploy::Reason;
    use crate::deploy::changes::{Successor, Verdict};
    use crate::deploy::world::{Progress, StackStatus};
    use crate::environment::Place;
    use crate::operation::Subject;

    fn property_change(path: &str, before: &str, after: &str) -> PropertyChange {
        PropertyChange {
            path: path.to_owned(),
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
            replaces: false,
            cause: None,
            place: None,
        }
    }

    fn replaced_database() -> Change {
        let place = Place { path: "environments/staging.yaml".to_owned(), line: 14, column: 24 };
        let verdict = Verdict { successor: Successor::Empty, fate: Fate::Snapshot, noun: "database" };
        Change {
            resource: "Database".to_owned(),
            kind: "AWS::RDS::DBInstance".to_owned(),
            action: Action::Replace,
            verdict: Some(verdict),
            properties: vec![PropertyChange {
                replaces: true,
                place: Some(place),
                ..property_change("StorageEncrypted", "false", "true")
            }],
            renamed_from: None,
            denial: None,
            instances: None,
        }
    }

    fn stack(name: &str, outlook: Outlook, changes: Vec<Change>) -> StackPreview {
        let (after, guards, possible, warnings) = (vec![], vec![], vec![], vec![]);
        StackPreview { stack: name.to_owned(), outlook, changes, after, guards, possible, warnings }
    }

    #[test]
    fn a_preview_reads_like_the_one_in_the_handbook() {
        let change = replaced_database();
        let refusal = Reason::HoldsData {
            stack: "database".to_owned(),
            resource: "Database".to_owned(),
            kind: change.kind.clone(),
            verdict: change.verdict.expect("it has one"),
        };
        let after = vec![Upstream { stack: "database".to_owned(), outputs: vec!["Endpoint".to_owned()] }];
        let preview = Preview {
            is_estimated: false,
            environment: "staging".to_owned(),
            stacks: vec![
                stack("database", Outlook::Changed, vec![change]),
                stack("elk", Outlook::Unchanged, vec![]),
                StackPreview { after, ..stack("sync-api", Outlook::Open, vec![]) },
            ],
            counts: Counts { replace: 1, ..Counts::default() },
            refusals: vec![refusal],
            strays: vec!["cache".to_owned()],
        };
        let text = super::preview(&preview);
        let expected = "\
database                                                     replace 1
  ± Database  AWS::RDS::DBInstance  replaced by an EMPTY database; the old one stays as a snapshot
      StorageEncrypted  false → true  replaces it  environments/staging.yaml:14:24
elk                                                          no changes
sync-api                                                     after database: Endpoint

0 to add, 0 to modify, 1 to replace, 0 to remove
cache is gone from the file and still there; `--prune` deletes it
deploy will refuse: `database/Database` holds data and would be replaced by an EMPTY database; the old one stays as a snapshot
hint: undo that change, or allow it: `--allow-replacement database/Database`
";
        assert_eq!(text, expected);
    }

    #[test]
    fn of_a_list_of_tags_only_what_differs_is_shown() {
        let list = |value: &str| json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": value}]).to_string();
        let rows = properties(&property_change("Tags", &list("2"), &list("3")));
        assert_eq!(rows, [["Tags/b", "2 → 3"]]);
        let rows = properties(&property_change("Name", "x", "y"));
        assert_eq!(rows, [["Name", "x → y", "", ""]]);
    }

    #[test]
    fn progress_is_a_line_and_what_nobody_would_miss_is_none() {
        let reason = Reason::Busy {
            stack: "elk".to_owned(),
            status: StackStatus::CreateInProgress,
            progress: Progress {
                done: 22,
                begun: 31,
                resource: Some("DataNodes".to_owned()),
                news: None,
                failure: None,
            },
        };
        let reason = Statement::of(&reason);
        let lasted = Duration::from_millis(400);
        let waiting = event(&Event::Waiting { reason: reason.clone(), lasted });
        assert_eq!(waiting.as_deref(), Some("· elk          creating, 22 of 31 resources, DataNodes"));
        let cleared = event(&Event::Cleared { reason: reason.clone(), lasted });
        assert_eq!(cleared.as_deref(), Some("✔ elk          at rest after 0.4 s"));
        assert_eq!(event(&Event::Planned { now: vec![], then: vec![] }), None);
        let elsewhere = Statement { subject: Subject::default(), data: json!({"reason": "after"}), ..reason };
        assert_eq!(event(&Event::Cleared { reason: elsewhere, lasted }), None);
    }

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        assert_eq!([61, 3_700, 90_000, 59].map(span), ["1 min", "1 h 1 min", "1 d 1 h", "59 s"]);
        assert_eq!([0.4, 12.0, 200.0].map(|it| seconds(Duration::from_secs_f64(it))), ["0.4 s", "12 s", "3 min 20 s"]);
    }
}
