//! `status` and `outputs`: environments as they are.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::aws::{Clients, Fault};
use crate::cli::{Common, Format, Outputs, Status as Request};
use crate::commands::cloud::{arrive, block_on, failed, interrupted, pace, settings};
use crate::commands::{Done, Ended, environment, name, project};
use crate::deploy::observe::Observer;
use crate::environment::{Environment, EnvironmentFile, EnvironmentName, Node, Project, did_you_mean};
use crate::error::{Exit, Failure};
use crate::status::watch::{changes, is_at_rest};
use crate::status::{Status, is_stray, status, wishes};
use crate::view::{Report, View};

pub(super) fn run_status(common: &Common, request: &Request, view: View) -> Ended {
    let project = project(common)?;
    let names = if request.environments.is_empty() { all(&project) } else { given(&request.environments)? };
    let clients = Clients::new(settings(common, &project.root)?);
    let mut environments = Vec::with_capacity(names.len());
    for name in &names {
        environments.push(environment(&project, name)?);
    }
    if request.watch || request.until_rest {
        let exit = block_on(watch(&environments, request, &clients, view))?.map_err(Failure::of_looking)?;
        return Ok(Done { report: Report::Text(String::new()), sources: project.sources, exit });
    }
    let found = block_on(async {
        let mut found = Vec::with_capacity(environments.len());
        for environment in &environments {
            found.push(look(environment, &clients, view).await?);
        }
        Ok::<_, Failure>(found)
    })?
    .map_err(Failure::of_looking)?;
    Ok(Done { report: Report::Status(found), sources: project.sources, exit: Exit::Done })
}

pub(super) fn run_outputs(common: &Common, request: &Outputs, view: View) -> Ended {
    let project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let clients = Clients::new(settings(common, &project.root)?);
    let status = block_on(look(&environment, &clients, view))?.map_err(Failure::of_looking)?;
    let all: Vec<(String, String)> = status
        .stacks
        .iter()
        .flat_map(|stack| stack.outputs.iter().map(|(key, value)| (format!("{}.{key}", stack.stack), value.clone())))
        .collect();
    Ok(Done::with(Report::Text(text(common, request, &all)?)))
}

fn text(common: &Common, request: &Outputs, all: &[(String, String)]) -> Result<String, Failure> {
    let Some(key) = &request.key else {
        return Ok(match common.format {
            Format::Human => all.iter().flat_map(|(key, value)| [key, "=", value, "\n"]).collect(),
            Format::Json | Format::Junit | Format::Sarif | Format::Github | Format::Markdown => {
                let map: serde_json::Map<_, _> =
                    all.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
                format!("{:#}\n", serde_json::Value::Object(map))
            }
        });
    };
    let found = all.iter().find(|(known, _)| known == key);
    found.map(|(_, value)| format!("{value}\n")).ok_or_else(|| {
        let what = format!("`{}` has no output `{key}`", request.environment);
        let hint = did_you_mean(key, all.iter().map(|(key, _)| key.as_str()));
        match hint {
            Some(hint) => Failure::new(Exit::Failed, what).hint(hint),
            None => Failure::new(Exit::Failed, what),
        }
    })
}

async fn look(environment: &Environment, clients: &Clients, view: View) -> Result<Status, Failure> {
    come_to(environment, clients, view).await?;
    let seen = seen(environment, &Observer::new(clients)).await;
    seen.map_err(|fault| failed(fault, format!("`{}` could not be looked at", environment.name)))
}

async fn come_to(environment: &Environment, clients: &Clients, view: View) -> Result<(), Failure> {
    let places: BTreeSet<_> = wishes(environment).into_iter().map(|wish| wish.place).collect();
    arrive(&environment.name.to_string(), &places, clients, view).await
}

async fn seen(environment: &Environment, observer: &Observer<'_>) -> Result<Status, Fault> {
    let wishes = wishes(environment);
    let mut world = observer.look_at(&wishes, |stack, place| is_stray(environment, stack, place)).await?;
    observer.look_at_progress(&wishes, &mut world).await?;
    Ok(status(environment, &world))
}

/// Looks again and again, more seldom the longer nothing changes. What is out of reach for a moment is looked for again.
async fn watch(
    environments: &[Environment],
    request: &Request,
    clients: &Clients,
    view: View,
) -> Result<Exit, Failure> {
    for environment in environments {
        come_to(environment, clients, view).await?;
    }
    tokio::select! {
        exit = watched(environments, request, clients, view) => exit,
        () = interrupted() => Ok(Exit::Interrupted),
    }
}

async fn watched(
    environments: &[Environment],
    request: &Request,
    clients: &Clients,
    view: View,
) -> Result<Exit, Failure> {
    let pace = pace(clients);
    let observer = Observer::new(clients);
    let mut watch = view.watch();
    let mut known: Vec<Option<Status>> = vec![None; environments.len()];
    let mut heard = Instant::now();
    loop {
        let mut news = Vec::new();
        let mut trouble = None;
        for (environment, known) in environments.iter().zip(&mut known) {
            match seen(environment, &observer).await {
                Ok(status) => {
                    news.extend(changes(known.as_ref(), &status));
                    *known = Some(status);
                }
                Err(fault) if fault.is_momentary() => {
                    trouble = Some(format!("`{}` is out of reach for the moment: {fault}", environment.name));
                }
                Err(fault) => return Err(failed(fault, format!("`{}` could not be looked at", environment.name))),
            }
        }
        if !news.is_empty() {
            heard = Instant::now();
        }
        let statuses: Vec<Status> = known.iter().flatten().cloned().collect();
        if watch.show(&statuses, &news, trouble.as_deref()).is_err() {
            // Nobody watches any more.
            return Ok(Exit::Done);
        }
        let is_all_seen = trouble.is_none();
        if request.until_rest && is_all_seen && statuses.iter().all(is_at_rest) {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(pace.pause(heard.elapsed())).await;
    }
}

/// Every environment that stands for one; of `scratch@NAME` nobody knows which there are.
fn all(project: &Project) -> Vec<EnvironmentName> {
    let is_named = |file: &EnvironmentFile| file.root.get("named").and_then(Node::as_text) == Some("true");
    let is_one = |name: &&String| project.files.get(*name).is_some_and(|file| !file.is_abstract && !is_named(file));
    let names = project.files.keys().filter(is_one);
    names.map(|name| EnvironmentName { file: name.clone(), instance: None }).collect()
}

fn given(texts: &[String]) -> Result<Vec<EnvironmentName>, Failure> {
    texts.iter().map(|text| name(text)).collect()
}
