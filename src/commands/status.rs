//! `status` and `outputs`: environments as they are.

use std::collections::BTreeSet;

use crate::aws::Clients;
use crate::cli::{Common, Format, Outputs, Status as Request};
use crate::commands::cloud::{arrive, block_on, failed, settings};
use crate::commands::{Done, Ended, environment, name, project};
use crate::deploy::observe::Observer;
use crate::environment::{Environment, EnvironmentFile, EnvironmentName, Node, Project, did_you_mean};
use crate::error::{Exit, Failure};
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
    let found = block_on(async {
        let mut found = Vec::with_capacity(environments.len());
        for environment in &environments {
            found.push(look(environment, &clients, view).await?);
        }
        Ok::<_, Failure>(found)
    })??;
    Ok(Done { report: Report::Status(found), sources: project.sources, exit: Exit::Done })
}

pub(super) fn run_outputs(common: &Common, request: &Outputs, view: View) -> Ended {
    let project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let clients = Clients::new(settings(common, &project.root)?);
    let status = block_on(look(&environment, &clients, view))??;
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
            Format::Json => {
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
    let wishes = wishes(environment);
    let places: BTreeSet<_> = wishes.iter().map(|wish| wish.place.clone()).collect();
    arrive(&environment.name.to_string(), &places, clients, view).await?;
    let observer = Observer::new(clients);
    let look = async {
        let mut world = observer.look_at(&wishes, |stack, place| is_stray(environment, stack, place)).await?;
        observer.look_at_progress(&wishes, &mut world).await?;
        Ok(world)
    };
    let world = look.await.map_err(|fault| failed(fault, format!("`{}` could not be looked at", environment.name)))?;
    Ok(status(environment, &world))
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
