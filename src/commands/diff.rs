//! `diff`: two environments, compared in meaning.

use crate::cli::{Common, Diff};
use crate::commands::{Done, Ended, environment, environment_as, mistakes, name, project, templates, today};
use crate::diff::differences;
use crate::environment::Words;
use crate::error::Exit;
use crate::view::Report;

pub(super) fn run(common: &Common, request: &Diff) -> Ended {
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
