//! `explain`: where a value comes from and where it goes.

use crate::cli::{Common, Explain};
use crate::commands::{Done, Ended, environment, mistakes, name, project, templates};
use crate::explain::{explain, overview};
use crate::view::Report;

pub(super) fn run(common: &Common, request: &Explain) -> Ended {
    let mut project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let templates = templates(&mut project, [&environment]);
    let report = match &request.path {
        None => Report::Overview(overview(&project, &environment, &templates)),
        Some(path) => {
            let found = explain(&project, &environment, &templates, path);
            Report::Explanation(found.map_err(|mistake| mistakes([*mistake], None, &project))?)
        }
    };
    Ok(Done::with(report))
}
