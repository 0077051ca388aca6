//! `check`: everything that can be known without AWS.

use crate::check::{check, check_environments};
use crate::cli::{Check, Common};
use crate::commands::{Done, Ended, discreet, name, project, today};
use crate::template::Templates;

pub(super) fn run(common: &Common, request: &Check) -> Ended {
    Templates::prepare();
    let mut project = project(common)?;
    let mut names = Vec::new();
    for text in &request.environments {
        let name = name(text)?;
        project.file(&name.file).map_err(|mistake| super::mistakes([*mistake], None, &project))?;
        names.push(name.file);
    }
    let findings = match names.as_slice() {
        [] => check(&mut project, today()),
        names => check_environments(&mut project, names, false, today()),
    };
    Ok(Done::mistaken(discreet(findings, &project), project.sources))
}
