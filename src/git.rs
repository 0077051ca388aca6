//! The project as it was in an earlier revision of its repository.
//!
//! Read through the `git` command: it is wherever a checkout is, and only it knows what a checkout would have made of a file (line
//! endings, filters, sparse and partial clones). Never through a shell. Neither the working tree nor the index is touched: a
//! directory of its own is filled, through an index of its own, and goes with the value that owns it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The folders of a project that decide what is rendered.
pub const FOLDERS: [&str; 2] = ["environments", "templates"];

/// Names of a directory or an index that a hook of git's has set for its own work: they would lead away from the project.
const OF_HOOKS: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// What git may not do while it reads: run hooks or a monitor, or keep a part of our index in the repository.
const SETTINGS: [&str; 6] =
    ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.splitIndex=false"];

/// A project as it was.
#[derive(Debug)]
pub struct Past {
    /// Where it is compared.
    pub base: Base,
    root: PathBuf,
    /// Removed with this value.
    _directory: TempDir,
}

/// The revision that is compared with.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Base {
    /// As it was typed.
    pub since: String,
    /// The commit whose files were read, forty or more hexadecimal digits.
    pub commit: String,
    /// How it was found.
    pub relation: Relation,
}

/// What the commit that is read has to do with the revision that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// It is that revision: an ancestor of what is checked out.
    Itself,
    /// It is the newest commit that the revision and what is checked out have in common.
    MergeBase,
    /// It is that revision, for they have no commit in common.
    Unrelated,
}

impl Base {
    /// The commit as people name it.
    pub fn short(&self) -> &str {
        self.commit.get(..SHORT_CHARACTERS).unwrap_or(&self.commit)
    }
}

/// Twelve digits name one commit in repositories of any size that exists.
const SHORT_CHARACTERS: usize = 12;

/// Why a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GitFault {
    /// No `git` on the path.
    #[error("git is not installed")]
    NotInstalled,
    /// It is there and cannot be run.
    #[error("git cannot be run: {0}")]
    CannotRun(String),
    /// No repository around the project.
    #[error("{0} is no git checkout")]
    NotACheckout(String),
    /// It looks like an option, or is empty.
    #[error("`{0}` is no revision")]
    NotARevision(String),
    /// git does not know it.
    #[error("git knows no revision `{revision}`")]
    Unknown {
        /// As it was typed.
        revision: String,
        /// Whether the clone has only the newest commits.
        is_shallow: bool,
    },
    /// A shallow clone ends before the commit that both have in common.
    #[error("this clone is too shallow to tell where it left `{0}`")]
    TooShallow(String),
    /// git said no.
    #[error("`git {command}` failed: {said}")]
    Failed {
        /// What was asked.
        command: &'static str,
        /// What it said.
        said: String,
    },
    /// The directory beside the project cannot be filled.
    #[error("a temporary directory cannot be used: {0}")]
    NoDirectory(#[from] std::io::Error),
}

impl Past {
    /// The project's directory as it was. Without `environments/` there was no project yet.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Reads the project in `root` as it was where what is checked out left `revision`.
///
/// What others have committed to `revision` since is not ours and not undone by us: therefore the merge base, as in
/// `git diff revision...`. An ancestor is its own merge base.
///
/// # Errors
/// When there is no git, no checkout, no such revision. Nothing is left behind then either.
pub fn past(root: &Path, revision: &str) -> Result<Past, GitFault> {
    if revision.is_empty() || revision.starts_with('-') {
        return Err(GitFault::NotARevision(revision.to_owned()));
    }
    let checkout = checkout(root)?;
    let base = base(root, revision, checkout.is_shallow)?;
    let directory = tempfile::Builder::new().prefix("greenroom-").tempdir()?;
    let files = files(root, &base.commit, &checkout.prefix)?;
    write(&checkout, &base.commit, &files, directory.path())?;
    let root = directory.path().join(TREE).join(&checkout.prefix);
    Ok(Past { base, root, _directory: directory })
}

const TREE: &str = "tree";

struct Checkout {
    top: PathBuf,
    /// The project's directory below the top: empty, or with a `/` at its end.
    prefix: String,
    is_shallow: bool,
}

fn checkout(root: &Path) -> Result<Checkout, GitFault> {
    let asked = ["rev-parse", "--is-inside-work-tree", "--is-shallow-repository", "--show-prefix", "--show-toplevel"];
    let output = run(git(root).args(asked))?;
    if !output.status.success() {
        let said = said(&output);
        let is_none = said.contains("not a git repository") || said.contains("must be run in a work tree");
        return Err(if is_none {
            GitFault::NotACheckout(root.display().to_string())
        } else {
            GitFault::Failed { command: "rev-parse", said }
        });
    }
    let text = text(output.stdout, "rev-parse")?;
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let (is_inside, is_shallow, prefix, top) = (line(), line(), line(), line());
    if is_inside != "true" {
        return Err(GitFault::NotACheckout(root.display().to_string()));
    }
    Ok(Checkout { top: top.into(), prefix, is_shallow: is_shallow == "true" })
}

fn base(root: &Path, revision: &str, is_shallow: bool) -> Result<Base, GitFault> {
    let found = run(git(root)
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
        .arg(format!("{revision}^{{commit}}")))?;
    if !found.status.success() {
        return Err(GitFault::Unknown { revision: revision.to_owned(), is_shallow });
    }
    let commit = text(found.stdout, "rev-parse")?.trim().to_owned();
    let common = run(git(root).args(["merge-base", "--end-of-options", &commit, "HEAD"]))?;
    let common_commit = text(common.stdout, "merge-base")?.lines().next().unwrap_or_default().to_owned();
    let (commit, relation) = match (common.status.success(), is_shallow) {
        (true, _) if common_commit == commit => (commit, Relation::Itself),
        (true, _) => (common_commit, Relation::MergeBase),
        // What they have in common may be just what the clone lacks.
        (false, true) => return Err(GitFault::TooShallow(revision.to_owned())),
        (false, false) => (commit, Relation::Unrelated),
    };
    Ok(Base { since: revision.to_owned(), commit, relation })
}

/// The project's files in a commit: those of its folders; all of them where one of those is a link, for it may lead anywhere below.
fn files(root: &Path, commit: &str, prefix: &str) -> Result<Vec<Vec<u8>>, GitFault> {
    let own: Vec<String> = FOLDERS.iter().map(|folder| format!("{prefix}{folder}")).collect();
    let entries = list(root, commit, &own)?;
    let is_link = |entry: &Entry| entry.mode.starts_with(b"12");
    let entries = if entries.iter().any(is_link) { list(root, commit, &[prefix.to_owned()])? } else { entries };
    // A submodule is another repository: what it holds is not in this one.
    Ok(entries.into_iter().filter(|entry| !entry.mode.starts_with(b"16")).map(|entry| entry.path).collect())
}

struct Entry {
    mode: Vec<u8>,
    path: Vec<u8>,
}

fn list(root: &Path, commit: &str, paths: &[String]) -> Result<Vec<Entry>, GitFault> {
    let paths = paths.iter().filter(|path| !path.is_empty());
    let output = done(
        "ls-tree",
        git(root).args(["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit, "--"]).args(paths),
    )?;
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        Some(Entry { mode: line.get(..6)?.to_vec(), path: line.get(tab + 1..)?.to_vec() })
    };
    Ok(output.stdout.split(|byte| *byte == 0).filter_map(entry).collect())
}

/// Writes files as a checkout of that commit would, into a directory of ours and through an index of ours.
fn write(checkout: &Checkout, commit: &str, files: &[Vec<u8>], directory: &Path) -> Result<(), GitFault> {
    let tree = directory.join(TREE);
    std::fs::create_dir_all(tree.join(&checkout.prefix))?;
    if files.is_empty() {
        return Ok(());
    }
    let names = directory.join("names");
    std::fs::write(&names, files.join(&0))?;
    let index = directory.join("index");
    let read = ["read-tree", "--no-sparse-checkout", "--end-of-options", commit];
    done("read-tree", git(&checkout.top).env("GIT_INDEX_FILE", &index).args(read))?;
    let mut prefix = std::ffi::OsString::from("--prefix=");
    prefix.push(&tree);
    prefix.push("/");
    let mut write = git(&checkout.top);
    write.env("GIT_INDEX_FILE", &index).args(["checkout-index", "-z", "--stdin"]).arg(prefix);
    done("checkout-index", write.stdin(Stdio::from(File::open(&names)?)))?;
    Ok(())
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(SETTINGS).stdin(Stdio::null());
    // Its words are told apart, nothing is asked, and a path is no pattern.
    command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_LITERAL_PATHSPECS", "1");
    for name in OF_HOOKS {
        command.env_remove(name);
    }
    command
}

fn run(command: &mut Command) -> Result<Output, GitFault> {
    command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => GitFault::NotInstalled,
        _ => GitFault::CannotRun(error.to_string()),
    })
}

fn done(command: &'static str, line: &mut Command) -> Result<Output, GitFault> {
    let output = run(line)?;
    if output.status.success() { Ok(output) } else { Err(GitFault::Failed { command, said: said(&output) }) }
}

/// The first thing that git said, without the rank it gave it.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().filter(|line| !line.starts_with("hint:") && !line.starts_with("warning:"));
    let line = lines.map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing was said");
    line.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned()
}

fn text(bytes: Vec<u8>, command: &'static str) -> Result<String, GitFault> {
    String::from_utf8(bytes).map_err(|_| GitFault::Failed { command, said: "its answer is no UTF-8".to_owned() })
}
