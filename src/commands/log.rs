//! `log`: what happened to the stacks of an environment.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::aws::Clients;
use crate::cli::{Common, Log as Request};
use crate::commands::cloud::{arrive, block_on, failed, settings};
use crate::commands::lines::Written;
use crate::commands::{Done, Ended, environment, name, project, templates};
use crate::deploy::world::{FirstFailure, Wish};
use crate::environment::shape::parse_duration;
use crate::environment::{Environment, did_you_mean};
use crate::error::{Exit, Failure};
use crate::log::history::operations;
use crate::log::observe::{Owner, pasts};
use crate::log::timeline::timeline;
use crate::log::{Log, Past, StackLog};
use crate::status::wishes;
use crate::view::{Report, View};

pub(super) fn run(common: &Common, request: &Request, view: View) -> Ended {
    let mut project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let since = request.since.as_deref().map(since).transpose()?;
    let wishes = asked(&environment, request.stack.as_deref())?;
    let templates = templates(&mut project, [&environment]);
    let clients = Clients::new(settings(common, &project.root)?);
    let written = Written { project, environment, templates };
    let log = block_on(look(&written, &wishes, request, since, &clients, view))?.map_err(Failure::of_looking)?;
    Ok(Done { report: Report::Log(log), sources: written.project.sources, exit: Exit::Done })
}

fn since(text: &str) -> Result<SignedDuration, Failure> {
    let duration = parse_duration(text).and_then(|duration| SignedDuration::try_from(duration).ok());
    duration.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`--since {text}` is not a duration")).hint("write `24h`, or `30m`, or `7d`")
    })
}

fn asked(environment: &Environment, stack: Option<&str>) -> Result<Vec<Wish>, Failure> {
    let mut wishes = wishes(environment);
    let Some(stack) = stack else { return Ok(wishes) };
    if !wishes.iter().any(|wish| wish.label == stack) {
        let near = did_you_mean(stack, wishes.iter().map(|wish| wish.label.as_str()));
        let names = || wishes.iter().map(|wish| wish.label.as_str()).collect::<Vec<_>>().join(", ");
        let hint = near.unwrap_or_else(|| format!("it has: {}", names()));
        let what = format!("`{}` has no stack `{stack}`", environment.name);
        return Err(Failure::new(Exit::Usage, what).hint(hint));
    }
    wishes.retain(|wish| wish.label == stack);
    Ok(wishes)
}

async fn look(
    written: &Written,
    wishes: &[Wish],
    request: &Request,
    since: Option<SignedDuration>,
    clients: &Clients,
    view: View,
) -> Result<Log, Failure> {
    let environment = &written.environment;
    let places: BTreeSet<_> = wishes.iter().map(|wish| wish.place.clone()).collect();
    arrive(&environment.name.to_string(), &places, clients, view).await?;
    let word = environment.name.word();
    let owner = Owner { project: &environment.project, environment: &word };
    // The SDK's calls are tens of kilobytes each.
    let pasts = Box::pin(pasts(clients, owner, wishes)).await;
    let pasts = pasts.map_err(|fault| failed(fault, format!("`{}` could not be looked at", environment.name)))?;
    let stacks = wishes.iter().zip(&pasts).map(|(wish, past)| stack(written, wish, past.as_ref(), request, since));
    Ok(Log { environment: environment.name.to_string(), stacks: stacks.collect::<Result<_, _>>()? })
}

fn stack(
    written: &Written,
    wish: &Wish,
    past: Option<&Past>,
    request: &Request,
    since: Option<SignedDuration>,
) -> Result<StackLog, Failure> {
    let mut operations = past.map(operations).unwrap_or_default();
    let number = request.operation.map_or(1, std::num::NonZeroUsize::get);
    if request.stack.is_some() && number > operations.len().max(1) {
        let what = format!("`{}` has no operation {number}", wish.label);
        let known = match operations.len() {
            0 => "nothing has happened to it yet".to_owned(),
            1 => "it has one: `--operation 1`".to_owned(),
            count => format!("it has {count}; 1 is the newest"),
        };
        return Err(Failure::new(Exit::Usage, what).hint(known));
    }
    if let Some((since, now)) = since.zip(past.and_then(|past| past.now)) {
        operations.retain(|operation| operation.began.is_none_or(|began| now.duration_since(began) <= since));
    }
    for operation in &mut operations {
        let resource = operation.failure.as_ref().and_then(FirstFailure::own_resource);
        operation.place = resource.and_then(|resource| written.resource(&wish.label, resource));
    }
    // Of what is not told, no timeline is drawn.
    let is_told = |number: usize| operations.iter().any(|operation| operation.number == number);
    let timeline = past.and_then(|past| timeline(past, number)).filter(|timeline| is_told(timeline.operation));
    Ok(StackLog {
        stack: wish.label.clone(),
        stack_name: wish.stack_name.clone(),
        status: past.map(|past| past.live.status.clone()),
        timeline,
        is_detailed: request.stack.is_some() || request.operation.is_some(),
        operations,
    })
}
