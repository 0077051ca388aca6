//! `completions` and `man`: the command line, described for shells and for readers.

use clap::CommandFactory;

use crate::cli::{Cli, Completions, Man};
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended, display};
use crate::error::{Exit, Failure};
use crate::view::Report;

pub(super) fn completions(request: &Completions) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(request.shell, &mut Cli::command(), "greenroom", &mut text);
    Done::with(Report::Text(String::from_utf8_lossy(&text).into_owned()))
}

pub(super) fn man(request: &Man) -> Ended {
    let mut command = Cli::command();
    command.build();
    let Some(directory) = &request.out else { return Ok(Done::with(Report::Text(page(command)?))) };
    let mut files = Vec::new();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = format!("greenroom-{}.1", verb.get_name());
        files.push(NewFile { path: directory.join(&name), text: page(verb.clone())? });
    }
    files.insert(0, NewFile { path: directory.join("greenroom.1"), text: page(command)? });
    write(&files)?;
    Ok(Done::with(Report::Written { files: files.iter().map(|file| display(&file.path)).collect(), notes: Vec::new() }))
}

fn page(command: clap::Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut text);
    rendered.map_err(|error| Failure::new(Exit::Failed, "the manual page cannot be made").because(error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
