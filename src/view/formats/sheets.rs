//! What each verb found, as a sheet.

use super::super::human::plural;
use super::super::{deployment, drift as drift_told, json};
use super::{Case, Detail, Finding, Region, Sheet, Weight};
use crate::check::{Findings, Found};
use crate::deploy::Reason;
use crate::deploy::changes::{Action, Change};
use crate::deploy::report::{Counts, Outlook, Preview, StackPreview, Warning};
use crate::drift::report::{Ended, Settled};
use crate::drift::{Class, Finding as Difference, Report as Drift, Unread};
use crate::environment::{Place, Severity, Sources, Span};
use crate::error::{Exit, Failure};
use crate::operation::About as _;

/// The suite of what belongs to no environment.
const PROJECT: &str = "project";

/// What is wrong with the files; every other verb ends like this, too, where they are.
pub(super) fn findings(findings: &Findings, sources: &Sources, exit: Exit) -> Sheet {
    let all: Vec<Finding> = findings.all.iter().map(|found| mistake(found, sources)).collect();
    let count = |weight| all.iter().filter(|finding| finding.weight == weight).count();
    let counts = [(count(Weight::Wrong), "mistake"), (count(Weight::Warning), "warning")];
    let told: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| plural(*count, what)).collect();
    Sheet {
        title: "check".to_owned(),
        summary: if told.is_empty() { "no mistake".to_owned() } else { told.join(", ") },
        cases: findings.checked.iter().map(|context| case_of(context)).collect(),
        findings: all,
        details: Vec::new(),
        home: None,
        exit,
        is_complete: true,
    }
}

fn mistake(found: &Found, sources: &Sources) -> Finding {
    let mistake = &found.mistake;
    let place = mistake.span.map(|span| region(span, sources));
    let cases = if found.contexts.is_empty() {
        let name = place.as_ref().map_or(PROJECT, |region| region.start.path.as_str());
        vec![Case { suite: PROJECT.to_owned(), name: name.to_owned() }]
    } else {
        found.contexts.iter().map(|context| case_of(context)).collect()
    };
    let label = Some(mistake.label.clone()).filter(|label| !label.is_empty());
    Finding {
        rule: format!("check/{}", mistake.code),
        weight: match mistake.severity {
            Severity::Error => Weight::Wrong,
            Severity::Warning => Weight::Warning,
        },
        message: mistake.message.clone(),
        subject: mistake.message.clone(),
        cases,
        place,
        related: mistake.related.iter().map(|it| (it.label.clone(), sources.place(it.span))).collect(),
        notes: label.into_iter().chain(mistake.notes.iter().cloned()).collect(),
        hint: mistake.hint.clone(),
        let_be: None,
    }
}

fn region(span: Span, sources: &Sources) -> Region {
    let end = sources.place(Span { start: span.end, ..span });
    Region { start: sources.place(span), end: Some((end.line, end.column)) }
}

/// `production/database` is a stack; `production` by itself is what its file says.
fn case_of(context: &str) -> Case {
    let (suite, name) = context.split_once('/').unwrap_or((context, "environment"));
    Case { suite: suite.to_owned(), name: name.to_owned() }
}

/// What a deployment would do. That something changes is wrong only for those who asked with `--exit-code`; what would be
/// refused always is.
pub(super) fn plan(preview: &Preview, sources: &Sources, exit: Exit) -> Sheet {
    let changed = if exit == Exit::Differences { Weight::Wrong } else { Weight::Note };
    let Counts { add, modify, replace, remove } = preview.counts;
    let mut summary = format!("{add} to add, {modify} to modify, {replace} to replace, {remove} to remove");
    if !preview.refusals.is_empty() {
        let reasons = plural(preview.refusals.len(), "reason");
        summary = format!("{summary}; `deploy` will refuse, for {reasons}");
    }
    let mut findings: Vec<Finding> = preview.refusals.iter().map(|reason| refusal(reason, preview)).collect();
    for stack in &preview.stacks {
        findings.extend(stack.warnings.iter().map(|warning| doubt(warning, stack, preview)));
        findings.extend(changes(stack, preview, changed));
    }
    findings.extend(preview.strays.iter().map(|stray| {
        let message = format!("`{stray}` is gone from the file and still there");
        let stray = Stack { environment: &preview.environment, stack: stray };
        Finding {
            hint: Some("`--prune` deletes it".to_owned()),
            ..stray.finding("plan/stray", Weight::Warning, message)
        }
    }));
    let heading = |stack: &StackPreview| format!("`{}`: {}", stack.stack, deployment::verdict(stack));
    let is_told = |stack: &&StackPreview| {
        !matches!(stack.outlook, Outlook::Unchanged | Outlook::Recorded) || !stack.warnings.is_empty()
    };
    Sheet {
        title: format!("plan of {}", preview.environment),
        summary,
        cases: preview.stacks.iter().map(|stack| case(&preview.environment, &stack.stack)).collect(),
        findings,
        details: preview
            .stacks
            .iter()
            .filter(is_told)
            .map(|stack| Detail { heading: heading(stack), text: deployment::stack_preview(stack) })
            .collect(),
        home: home(&preview.environment, sources),
        exit,
        is_complete: true,
    }
}

fn case(environment: &str, stack: &str) -> Case {
    Case { suite: environment.to_owned(), name: stack.to_owned() }
}

/// The beginning of the environment's file.
fn home(environment: &str, sources: &Sources) -> Option<Place> {
    let file = environment.split('@').next().unwrap_or(environment);
    let path = format!("environments/{file}.yaml");
    let (source, _) = sources.iter().find(|(_, source)| source.path == path)?;
    Some(sources.place(Span::beginning(source)))
}

/// What a finding about a stack has in common with all others.
#[derive(Clone, Copy)]
struct Stack<'a> {
    environment: &'a str,
    stack: &'a str,
}

impl Stack<'_> {
    fn finding(self, rule: impl Into<String>, weight: Weight, message: String) -> Finding {
        Finding {
            rule: rule.into(),
            weight,
            message,
            subject: self.stack.to_owned(),
            cases: vec![case(self.environment, self.stack)],
            place: None,
            related: Vec::new(),
            notes: Vec::new(),
            hint: None,
            let_be: None,
        }
    }
}

fn refusal(reason: &Reason, preview: &Preview) -> Finding {
    let subject = reason.subject();
    let (stack, resource) = (subject.stack.unwrap_or_default(), subject.resource.unwrap_or_default());
    let told = serde_json::to_value(reason).unwrap_or_default();
    let kind = told["reason"].as_str().unwrap_or("refused").replace('_', "-");
    let changes = preview.stacks.iter().filter(|seen| seen.stack == stack).flat_map(|seen| &seen.changes);
    let place = changes.filter(|change| change.resource == resource).find_map(place);
    let of = Stack { environment: &preview.environment, stack: &stack };
    Finding {
        subject: format!("{stack}/{resource}"),
        place: place.map(Region::from),
        hint: reason.hint(&preview.environment),
        ..of.finding(format!("plan/refused/{kind}"), Weight::Wrong, format!("deploy will refuse: {reason}"))
    }
}

/// The first line that says a new value.
fn place(change: &Change) -> Option<Place> {
    change.properties.iter().find_map(|property| property.place.clone())
}

fn doubt(warning: &Warning, stack: &StackPreview, preview: &Preview) -> Finding {
    let (rule, resource) = match warning {
        Warning::OfCloudFormation { .. } => ("plan/warned", ""),
        Warning::OverwritesDrift { lost } => ("plan/overwrites-drift", lost.resource.as_str()),
        Warning::DriftUnread { resource, .. } => ("plan/drift-unread", resource.as_str()),
        Warning::NestedUnseen { resource } => ("plan/nested-unseen", resource.as_str()),
    };
    let place = stack.changes.iter().filter(|change| change.resource == resource).find_map(place);
    let of = Stack { environment: &preview.environment, stack: &stack.stack };
    Finding {
        subject: format!("{}/{resource}", stack.stack),
        place: place.map(Region::from),
        ..of.finding(rule, Weight::Warning, warning.to_string())
    }
}

/// A finding a resource; of a new stack, in which everything is new, one.
fn changes(stack: &StackPreview, preview: &Preview, changed: Weight) -> Vec<Finding> {
    let of = Stack { environment: &preview.environment, stack: &stack.stack };
    let whole = |rule, what: String| vec![of.finding(rule, changed, format!("`{}`: {what}", stack.stack))];
    match stack.outlook {
        // Why a stack cannot be changed is among the refusals.
        Outlook::Unchanged | Outlook::Recorded | Outlook::Barred => Vec::new(),
        Outlook::New => whole("plan/new", deployment::verdict(stack)),
        Outlook::Open => whole("plan/open", deployment::verdict(stack)),
        Outlook::Changed if stack.changes.is_empty() => whole("plan/change", deployment::verdict(stack)),
        Outlook::Changed => stack.changes.iter().map(|change| self::change(change, of, changed)).collect(),
    }
}

fn change(change: &Change, of: Stack<'_>, changed: Weight) -> Finding {
    let (rule, what) = match change.action {
        Action::Add => ("plan/add", "comes into being"),
        Action::Modify => ("plan/modify", "is changed"),
        Action::MayReplace => ("plan/may-replace", "is changed, perhaps replaced"),
        Action::Replace => ("plan/replace", "is replaced"),
        Action::Remove => ("plan/remove", "goes"),
        Action::Import => ("plan/import", "is taken in as it is"),
        Action::Record => ("plan/record", "is recorded as it is"),
        Action::Unknown => ("plan/unknown", "changes in a way that is known only afterwards"),
    };
    let is_grave = matches!(change.action, Action::MayReplace | Action::Replace | Action::Remove);
    let weight = if is_grave { changed.min(Weight::Warning) } else { changed };
    let verdict = change.verdict.map(|verdict| format!(": {verdict}")).unwrap_or_default();
    let properties = change.properties.iter().map(|property| {
        let at = property.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let [before, after] =
            [&property.before, &property.after].map(|value| deployment::value(value.as_ref(), "nothing"));
        format!("{}: {before} → {after}{at}", property.path)
    });
    let denial = change.denial.as_ref().map(ToString::to_string);
    Finding {
        subject: format!("{}/{}", of.stack, change.resource),
        place: place(change).map(Region::from),
        notes: properties.chain(denial).collect(),
        ..of.finding(rule, weight, format!("`{}/{}` ({}) {what}{verdict}", of.stack, change.resource, change.kind))
    }
}

/// What has drifted. What needs no decision is told, and is no failure; what could not be read is an error.
pub(super) fn drift(report: &Drift, sources: &Sources, exit: Exit) -> Sheet {
    let environment = report.environment.as_str();
    let findings = report.findings.iter().map(|it| difference(it, environment));
    let unread = report.unread.iter().map(|it| unread(it, environment));
    let ended = report.ended.iter().map(|it| ended(it, environment));
    Sheet {
        title: format!("drift of {environment}"),
        summary: drift_told::summary(report),
        cases: report.labels.iter().map(|stack| case(environment, stack)).collect(),
        findings: findings.chain(unread).chain(ended).collect(),
        details: vec![Detail { heading: "all that was found".to_owned(), text: drift_told::drift(report) }],
        home: home(environment, sources),
        exit,
        is_complete: true,
    }
}

fn difference(found: &Difference, environment: &str) -> Finding {
    let rule = match found.class {
        Class::ChangedByHand => "drift/changed-by-hand",
        Class::Deleted => "drift/deleted",
        Class::ManagedByAws => "drift/managed-by-aws",
        Class::FalsePositive => "drift/false-positive",
        Class::Beyond => "drift/beyond-detection",
    };
    let of = Stack { environment, stack: &found.stack };
    let message = match found.property {
        Some(_) => format!("`{}`: {}", found.path(), drift_told::values(found)),
        None => format!("`{}` ({}): {}", found.path(), found.kind, found.class),
    };
    let weight = if found.is_open() { Weight::Wrong } else { Weight::Note };
    let hint = format!("`greenroom drift {environment}` says how to keep it, undo it or let it be");
    Finding {
        subject: found.path(),
        place: found.place.clone().map(Region::from),
        notes: [format!("{}: {}", found.class, found.because)]
            .into_iter()
            .chain(found.who.as_ref().map(ToString::to_string))
            .collect(),
        hint: found.is_open().then_some(hint),
        let_be: found.settled.as_ref().map(settled),
        ..of.finding(rule, weight, message)
    }
}

fn settled(settled: &Settled) -> String {
    match settled {
        Settled::Ignored { because, until, .. } => format!("ignored until {until}: {because}"),
        Settled::Adopted => "adopted: the files say so".to_owned(),
    }
}

fn unread(unread: &Unread, environment: &str) -> Finding {
    let stack = unread.path.split('/').next().unwrap_or(&unread.path);
    let of = Stack { environment, stack };
    let weight = if unread.settled.is_some() { Weight::Note } else { Weight::Unknown };
    Finding {
        subject: unread.path.clone(),
        let_be: unread.settled.as_ref().map(settled),
        ..of.finding("drift/unread", weight, format!("`{}` could not be read: {}", unread.path, unread.because))
    }
}

fn ended(ended: &Ended, environment: &str) -> Finding {
    let stack = ended.path.split('/').next().unwrap_or(&ended.path);
    let message = format!("`{}` was ignored until {}, and is no longer", ended.path, ended.on);
    Finding {
        subject: ended.path.clone(),
        place: Some(ended.place.clone().into()),
        ..Stack { environment, stack }.finding("drift/exception-ended", Weight::Warning, message)
    }
}

/// A run that came to no result.
pub(super) fn failure(failure: &Failure) -> Sheet {
    let because = json::causes(failure).into_iter().map(|cause| format!("because {cause}"));
    let running = failure.still_running.iter().map(|running| format!("still running in the cloud: {running}"));
    let hint = Some(failure.hints.join("\n")).filter(|hint| !hint.is_empty());
    let finding = Finding {
        rule: "run/failed".to_owned(),
        weight: Weight::Unknown,
        message: failure.what.clone(),
        subject: failure.what.clone(),
        cases: vec![Case { suite: "run".to_owned(), name: "result".to_owned() }],
        place: None,
        related: Vec::new(),
        notes: because.chain(failure.reasons.iter().cloned()).chain(running).collect(),
        hint,
        let_be: None,
    };
    Sheet {
        title: "run".to_owned(),
        summary: format!("came to no result, and ended with {}", failure.exit.code()),
        cases: Vec::new(),
        findings: vec![finding],
        details: Vec::new(),
        home: None,
        exit: failure.exit,
        is_complete: false,
    }
}
