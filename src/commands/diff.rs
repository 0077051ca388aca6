//! `diff`: two environments, compared in meaning; with `--live`, as they run.

use std::collections::BTreeSet;

use futures_util::future::try_join;

use crate::aws::{Clients, Fault};
use crate::cli::{Common, Diff};
use crate::commands::cloud::{arrive, block_on, failed, pace, settings};
use crate::commands::{Done, Ended, environment, environment_as, mistakes, name, project, templates, today};
use crate::deploy::desired::place;
use crate::diff::differences;
use crate::environment::{Environment, Words};
use crate::error::{Exit, Failure};
use crate::parity::observe::observe;
use crate::parity::{Declared, Parity, Side, compare, declared};
use crate::view::{Report, View};

pub(super) fn run(common: &Common, request: &Diff, view: View) -> Ended {
    if request.live { run_live(common, request, view) } else { run_files(common, request) }
}

fn run_files(common: &Common, request: &Diff) -> Ended {
    let mut project = project(common)?;
    let (first_name, second_name) = (name(&request.environment)?, name(&request.other)?);
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

fn run_live(common: &Common, request: &Diff, view: View) -> Ended {
    let mut project = project(common)?;
    let source = environment(&project, &name(&request.environment)?)?;
    let target = environment(&project, &name(&request.other)?)?;
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

async fn look(environment: &Environment, clients: &Clients) -> Result<Side, Failure> {
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
