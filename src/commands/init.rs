//! `init`: a project to start from, the shipped one.

use std::path::Path;

use crate::cli::Init;
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended};
use crate::environment::shape::is_name;
use crate::environment::source::sentence;
use crate::error::{Exit, Failure};
use crate::view::Report;

macro_rules! shipped {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../", $path)))),*] };
}

/// The files of the starter project. `tests/init.rs` holds the list against the folders.
static SHIPPED: &[(&str, &str)] = shipped![
    "environments/.schema.json",
    "environments/base.yaml",
    "environments/performance.yaml",
    "environments/production.yaml",
    "environments/scratch.yaml",
    "environments/staging.yaml",
    "sql/quiesce-sync.sql",
    "templates/database/inputs.yaml",
    "templates/database/stack.yaml",
    "templates/elk/elasticsearch.sh",
    "templates/elk/inputs.yaml",
    "templates/elk/install.sh",
    "templates/elk/kibana.sh",
    "templates/elk/logstash.sh",
    "templates/elk/stack.yaml",
    "templates/network/inputs.yaml",
    "templates/network/stack.yaml",
    "templates/parts/alarm.yaml",
    "templates/parts/machine.sh",
    "templates/sync-api/boot.sh",
    "templates/sync-api/inputs.yaml",
    "templates/sync-api/stack.yaml",
];

/// The project's name in the shipped files.
const SHIPPED_NAME: &str = "project: sync";

pub(super) fn run(request: &Init) -> Ended {
    let directory = &request.name;
    // `init .` takes the name of the directory one stands in.
    let named = directory.canonicalize().unwrap_or_else(|_| directory.clone());
    let name = named.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !is_name(&name) {
        let what = format!("`{name}` cannot be a project's name: letters, digits and hyphens, beginning with a letter");
        return Err(Failure::new(Exit::Usage, what).hint("the name is a part of every stack's name").into());
    }
    let has_entries = has_entries(directory).map_err(|error| {
        let what = format!("a project cannot be written to `{}`", directory.display());
        Failure::new(Exit::Failed, what).because(sentence(&error)).hint("name a directory that does not exist")
    })?;
    if has_entries {
        let what = format!("`{}` is there already, and not empty", directory.display());
        return Err(Failure::new(Exit::Refused, what).hint("name a directory that does not exist").into());
    }
    let files: Vec<NewFile> = SHIPPED
        .iter()
        .map(|(path, text)| NewFile {
            path: directory.join(path),
            text: text.replace(SHIPPED_NAME, &format!("project: {name}")),
        })
        .collect();
    write(&files)?;
    let shown = directory.display();
    let notes = vec![
        String::new(),
        "Before the first deploy, say what is yours: accounts, Region, owner, buckets, in environments/*.yaml."
            .to_string(),
        format!("hint: `cd {shown} && greenroom check && greenroom render production database`"),
    ];
    Ok(Done::with(Report::Written { files: files.iter().map(|file| file.path.display().to_string()).collect(), notes }))
}

/// Whether something is there already.
fn has_entries(directory: &Path) -> std::io::Result<bool> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
