//! Files that are written whole or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::source::sentence;
use crate::error::{Exit, Failure};

/// A file to be written.
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Writes files: each first beside its place, under another name, then all moved there. A run that fails leaves nothing under the
/// other names; one that is killed leaves whole files, old ones or new ones, and at worst hidden ones that the next run writes over.
/// A file that says the same already is left alone: that is quicker, and nothing that watches it wakes up.
pub(super) fn write(files: &[NewFile]) -> Result<(), Failure> {
    let changed: Vec<&NewFile> = files.iter().filter(|file| !is_there(file)).collect();
    let directories: BTreeSet<&Path> = changed.iter().filter_map(|file| file.path.parent()).collect();
    for directory in directories {
        fs::create_dir_all(directory).map_err(|error| cannot("create", directory, &error))?;
    }
    let all = || changed.iter().copied();
    let written = all().try_for_each(write_beside).and_then(|()| all().try_for_each(move_to_its_place));
    if written.is_err() {
        for file in changed {
            // Most of them are not there, and none of them is wanted.
            let _ = fs::remove_file(beside(&file.path));
        }
    }
    written
}

fn write_beside(file: &NewFile) -> Result<(), Failure> {
    // Found now, before the first file is moved, and not in the middle.
    if file.path.is_dir() {
        return Err(cannot("write", &file.path, &std::io::ErrorKind::IsADirectory.into()));
    }
    fs::write(beside(&file.path), &file.text).map_err(|error| cannot("write", &file.path, &error))
}

fn move_to_its_place(file: &NewFile) -> Result<(), Failure> {
    fs::rename(beside(&file.path), &file.path).map_err(|error| cannot("write", &file.path, &error))
}

fn is_there(file: &NewFile) -> bool {
    fs::read(&file.path).is_ok_and(|text| text == file.text.as_bytes())
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.new"))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {verb} `{}`", path.display())).because(sentence(error))
}
