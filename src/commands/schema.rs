//! `schema`: what an environment file may say, for editors.

use crate::check::{SCHEMA_FILE, schema_text};
use crate::cli::{Common, Schema};
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended, all_templates, display, project};
use crate::view::Report;

pub(super) fn run(common: &Common, request: &Schema) -> Ended {
    let mut project = project(common)?;
    let text = schema_text(&all_templates(&mut project));
    if !request.write {
        return Ok(Done::with(Report::Text(text)));
    }
    let path = project.root.join(SCHEMA_FILE);
    write(&[NewFile { path: path.clone(), text }])?;
    Ok(Done::with(Report::Written { files: vec![display(&path)], notes: Vec::new() }))
}
