//! `diff`: two environments, compared in meaning; with `--live`, as they run; with `--since`, one with what it was.

use std::collections::BTreeSet;

use futures_util::future::try_join;

use crate::aws::{Clients, Fault};
use crate::cli::{Common, Diff};
use crate::commands::cloud::{arrive, block_on, failed, pace, settings};
use crate::commands::since::{self, read};
use crate::commands::{Done, Ended, environment, environment_as, mistakes, name, project, templates, today};
use crate::deploy::desired::place;
use crate::diff::{Side, changes, differences};
use crate::environment::resolve::resolve;
use crate::environment::{Environment, EnvironmentName, Mistake, Project, Words};
use crate::error::{Exit, Failure};
use crate::git::Past;
use crate::parity::observe::observe;
use crate::parity::{Declared, Parity, Side as Seen, compare, declared};
use crate::view::{Report, View};

pub(super) fn run(common: &Common, request: &Diff, view: View) -> Ended {
    match (&request.since, &request.other) {
        (Some(since), _) => run_since(common, request, since, view),
        (None, Some(other)) if request.live => run_live(common, request, other, view),
        (None, Some(other)) => run_files(common, request, other),
        (None, None) => Err(Failure::new(Exit::Usage, "one environment alone differs from nothing")
            .hint("name another, or `--since REV`")
            .into()),
    }
}

fn run_files(common: &Common, request: &Diff, other: &str) -> Ended {
    let mut project = project(common)?;
    let (first_name, second_name) = (name(&request.environment)?, name(other)?);
    let first = environment(&project, &first_name)?;
    let words = Words {
        project: first.project.clone(),
        environment: first.name.word(),
        stack: String::new(),
        account: first.account.value.clone(),
        region: first.region.value.clone(),
    };
    let second = environment_as(&project, &second_name, Some(&words))?;
    let templates = templates(&mut project, [&first, &second]);
    let differences = differences(&first, &second, &templates, &project.sources, today())
        .map_err(|found| mistakes(found, None, &project))?;
    let exit = if request.exit_code && differences.has_undeclared() { Exit::Differences } else { Exit::Done };
    Ok(Done { report: Report::Differences(differences), sources: project.sources, exit })
}

fn run_since(common: &Common, request: &Diff, since: &str, view: View) -> Ended {
    let mut project = project(common)?;
    let name = name(&request.environment)?;
    let now = environment(&project, &name)?;
    let now_templates = templates(&mut project, [&now]);
    let past = read(&project.root, since, view)?;
    let (mut past_project, was) = match resolved_past(&past, &project, &name) {
        None => (None, None),
        Some((past_project, Ok(was))) => (Some(past_project), Some(was)),
        Some((_, Err(mistakes))) => return Err(unrendered(&name, &past, &mistakes).into()),
    };
    let was_templates = past_project.as_mut().map(|past| templates(past, was.as_ref()));
    let sources = past_project.map_or_else(|| project.sources.clone(), |past| past.sources);
    let before = match (&was, &was_templates) {
        (Some(environment), Some(templates)) => Some(Side { environment, templates }),
        _ => None,
    };
    if let Some(Side { environment, templates }) = before {
        let stacks = environment.stacks.iter().filter(|stack| stack.is_managed);
        let wrong: Vec<Mistake> =
            stacks.filter_map(|stack| templates.render(environment, stack, &sources).err()).flatten().collect();
        if !wrong.is_empty() {
            return Err(unrendered(&name, &past, &wrong).into());
        }
    }
    let after = Side { environment: &now, templates: &now_templates };
    let found = changes(before, after, &sources, &past.base.commit, past.base.short());
    let differences = found.map_err(|found| mistakes(found, None, &project))?;
    let exit = if request.exit_code && differences.has_undeclared() { Exit::Differences } else { Exit::Done };
    Ok(Done { report: Report::Differences(differences), sources, exit })
}

/// An environment as it was, with its places behind those of the project; nothing where it was not there yet.
fn resolved_past(
    past: &Past,
    project: &Project,
    name: &EnvironmentName,
) -> Option<(Project, Result<Environment, Vec<Mistake>>)> {
    let past_project = since::project(past, &project.sources)?;
    past_project.files.contains_key(&name.file).then_some(())?;
    let resolution = resolve(&past_project, name);
    let was = match resolution.environment {
        Some(environment) if resolution.mistakes.is_empty() => Ok(environment),
        _ => Err(resolution.mistakes),
    };
    Some((past_project, was))
}

/// What cannot be compared is not equal. Nobody can mend the files of then, so their mistakes are told without their lines.
fn unrendered(name: &EnvironmentName, past: &Past, mistakes: &[Mistake]) -> Failure {
    let what = format!("`{name}` cannot be rendered as it was at {}", past.base.short());
    let mut reasons: Vec<String> = mistakes.iter().map(|mistake| mistake.message.clone()).collect();
    reasons.dedup();
    let failure = Failure::new(Exit::CouldNotCheck, what)
        .hint("compare with another revision, or with what is deployed: `greenroom plan`");
    Failure { reasons, ..failure }
}

fn run_live(common: &Common, request: &Diff, other: &str, view: View) -> Ended {
    let mut project = project(common)?;
    let source = environment(&project, &name(&request.environment)?)?;
    let target = environment(&project, &name(other)?)?;
    let templates = templates(&mut project, [&source, &target]);
    let declared = declared([&source, &target], &templates, &project.sources);
    let clients = Clients::new(settings(common, &project.root)?);
    let parity = block_on(async {
        come_to(&source, &clients, view).await?;
        come_to(&target, &clients, view).await?;
        side_by_side(&source, &target, &declared, &clients).await
    })?;
    let parity = parity.map_err(Failure::of_looking)?;
    let exit = match (parity.has_unknown(), request.exit_code && parity.has_undeclared()) {
        (true, _) => Exit::CouldNotCheck,
        (false, true) => Exit::Differences,
        (false, false) => Exit::Done,
    };
    Ok(Done { report: Report::Parity(parity), sources: project.sources, exit })
}

/// Looks at both sides and compares them.
pub(super) async fn side_by_side(
    source: &Environment,
    target: &Environment,
    declared: &[Declared],
    clients: &Clients,
) -> Result<Parity, Failure> {
    // At the same time, because what changes meanwhile on one side only is a difference that is none.
    let (seen_source, seen_target) = try_join(Box::pin(look(source, clients)), Box::pin(look(target, clients))).await?;
    Ok(compare(&seen_source, &seen_target, declared, today()))
}

async fn come_to(environment: &Environment, clients: &Clients, view: View) -> Result<(), Failure> {
    let places: BTreeSet<_> = environment.stacks.iter().map(place).collect();
    arrive(&environment.name.to_string(), &places, clients, view).await
}

/// How often a side is looked at. A look is a hundred calls, and what keeps one of them from getting through passes; more would
/// make an endpoint that is not there look like a slow one.
const LOOKS_MAX: usize = 3;

async fn look(environment: &Environment, clients: &Clients) -> Result<Seen, Failure> {
    let mut seen = observe(environment, clients).await;
    for _ in 1..LOOKS_MAX {
        if !seen.as_ref().is_err_and(Fault::is_momentary) {
            break;
        }
        tokio::time::sleep(pace(clients).shortest_pause).await;
        seen = observe(environment, clients).await;
    }
    seen.map_err(|fault| failed(fault, format!("`{}` could not be looked at", environment.name)))
}
