//! `graph`: the stacks and what flows between them.

use crate::cli::{Common, Drawing, Graph as Request};
use crate::commands::{Done, Ended, environment, mistakes, name, project, templates};
use crate::template::wiring::{flows, order};
use crate::view::{Graph, Report};

pub(super) fn run(common: &Common, request: &Request) -> Ended {
    let mut project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let templates = templates(&mut project, [&environment]);
    let flows = flows(&environment, &templates);
    let context = Some(environment.name.file.as_str());
    let stacks = order(&flows, &environment).map_err(|mistake| mistakes([*mistake], context, &project))?;
    let unmanaged =
        environment.stacks.iter().filter(|stack| !stack.is_managed).map(|stack| stack.name.clone()).collect();
    let is_dot = request.drawing == Drawing::Dot;
    Ok(Done::with(Report::Graph(Graph { environment: environment.name.to_string(), stacks, unmanaged, flows, is_dot })))
}
