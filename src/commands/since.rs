//! An earlier revision of the project, and the files that have changed since: for `affected` and `diff --since`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::project::{ENVIRONMENTS, load_beside};
use crate::environment::source::FILE_BYTES_MAX;
use crate::environment::{Project, Sources};
use crate::error::{Exit, Failure};
use crate::git::{Base, FOLDERS, GitFault, Past, Relation, past};
use crate::view::View;

/// The project as it was, told to the user.
pub(super) fn read(root: &Path, revision: &str, view: View) -> Result<Past, Failure> {
    let past = past(root, revision).map_err(|fault| failure(&fault, revision))?;
    view.note(&compared_with(&past.base));
    Ok(past)
}

/// The environment files as they were, their texts behind others; nothing where there was no project yet.
pub(super) fn project(past: &Past, sources: &Sources) -> Option<Project> {
    past.root().join(ENVIRONMENTS).is_dir().then(|| load_beside(past.root(), sources.clone()).ok()).flatten()
}

fn compared_with(base: &Base) -> String {
    let Base { since, relation, .. } = base;
    let short = base.short();
    match relation {
        Relation::Itself => format!("compared with {since} ({short})"),
        Relation::MergeBase => format!("compared with {short}, where this branch left {since}"),
        Relation::Unrelated => {
            format!("compared with {since} ({short}), which has no commit in common with this branch")
        }
    }
}

fn failure(fault: &GitFault, revision: &str) -> Failure {
    const DEEP: &str = "fetch the whole history: `fetch-depth: 0` of actions/checkout, `GIT_DEPTH: 0` in GitLab, `git fetch --unshallow`";
    // `before` in GitHub's event of a branch that was just made.
    let is_nothing = revision.len() >= 40 && revision.bytes().all(|byte| byte == b'0');
    let (exit, hint) = match &fault {
        GitFault::NotInstalled => (Exit::Failed, "install git; earlier revisions are read through it".to_owned()),
        GitFault::NotACheckout(_) => (Exit::Usage, "`--since` wants a project that is kept in git".to_owned()),
        GitFault::NotARevision(_) => {
            (Exit::Usage, "write a branch, a tag or a commit: `--since origin/main`".to_owned())
        }
        GitFault::Unknown { .. } if is_nothing => (
            Exit::Usage,
            "this is how a pipeline says that a branch is new; compare with where it began: `--since origin/main`"
                .to_owned(),
        ),
        GitFault::Unknown { is_shallow: true, .. } | GitFault::TooShallow(_) => (Exit::Usage, DEEP.to_owned()),
        GitFault::Unknown { is_shallow: false, .. } => {
            (Exit::Usage, "`git branch --all` lists branches; `git fetch origin` brings what is missing".to_owned())
        }
        GitFault::Failed { said, .. } if said.contains("dubious ownership") => (
            Exit::Failed,
            "git reads only repositories of its own user: `git config --global --add safe.directory DIR`".to_owned(),
        ),
        GitFault::CannotRun(_) | GitFault::Failed { .. } => {
            (Exit::Failed, "`git status` in the project should work by itself".to_owned())
        }
        GitFault::NoDirectory(_) => (Exit::Failed, "`TMPDIR` names the directory for what is temporary".to_owned()),
    };
    Failure::new(exit, fault.to_string()).hint(hint)
}

/// The files of a project that decide what is rendered, by their paths in it.
pub(super) type Tree = BTreeMap<String, Vec<u8>>;

/// How deep a file may lie: a link that leads back up would never end.
const DEPTH_MAX: usize = 8;

/// Reads the project's folders. What cannot be read, or leads out of the project, is left out: rendering has its own words for it.
pub(super) fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let Ok(root) = root.canonicalize() else { return tree };
    for folder in FOLDERS {
        collect(&root, &root.join(folder), folder, 0, &mut tree);
    }
    tree
}

fn collect(root: &Path, path: &Path, name: &str, depth: usize, tree: &mut Tree) {
    let Ok(real) = path.canonicalize() else { return };
    let Ok(metadata) = real.metadata() else { return };
    if depth > DEPTH_MAX || !real.starts_with(root) {
        return;
    }
    if metadata.is_dir() {
        let Ok(entries) = fs::read_dir(&real) else { return };
        let names: BTreeSet<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        for entry in names.iter().filter(|entry| !entry.starts_with('.')) {
            collect(root, &path.join(entry), &format!("{name}/{entry}"), depth + 1, tree);
        }
    } else if metadata.is_file()
        && metadata.len() <= FILE_BYTES_MAX
        && let Ok(bytes) = fs::read(&real)
    {
        tree.insert(name.to_owned(), bytes);
    }
}

/// The paths at which two trees differ.
pub(super) fn changed(before: &Tree, after: &Tree) -> Vec<String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// A copy of the project's files, in which they can be put back one by one.
pub(super) struct Copy {
    directory: tempfile::TempDir,
}

impl Copy {
    /// Writes the copy.
    pub(super) fn of(tree: &Tree) -> std::io::Result<Self> {
        let copy = Self { directory: tempfile::Builder::new().prefix("greenroom-").tempdir()? };
        for (path, bytes) in tree {
            copy.put(path, Some(bytes))?;
        }
        Ok(copy)
    }

    /// Where it is.
    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Gives a file other contents, or none.
    pub(super) fn put(&self, path: &str, bytes: Option<&Vec<u8>>) -> std::io::Result<()> {
        let path = self.directory.path().join(path);
        match bytes {
            Some(bytes) => {
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                fs::write(path, bytes)
            }
            None if path.exists() => fs::remove_file(path),
            None => Ok(()),
        }
    }
}
