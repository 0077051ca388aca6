//! The project as it was at an earlier revision of its repository.
//!
//! Asked of the `git` command, which is there wherever a checkout is, and never through a shell. The objects are read
//! (`ls-tree`, `cat-file`), nothing is checked out: no filter, hook or attribute has a say, and the index and the working tree are
//! not touched. Reading a project goes through the file system, so the two folders that rendering reads are laid into a directory
//! of their own for as long as that takes.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Serialize;

use crate::environment::project::{ENVIRONMENTS, load};
use crate::environment::source::{FILE_BYTES_MAX, sentence};
use crate::environment::{Files, Project, Sources};
use crate::template::{TEMPLATES, Templates};

/// The folders that rendering reads.
const FOLDERS: [&str; 2] = [ENVIRONMENTS, TEMPLATES];

/// How many digits of a commit are shown.
const DIGITS: usize = 12;

/// The commit that the working tree is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Since {
    /// As it was typed.
    pub revision: String,
    /// Its full name.
    pub commit: String,
    /// Whether it is the commit at which the checkout has left that revision's history, and not the revision itself.
    pub is_merge_base: bool,
}

impl Since {
    /// The commit, in few digits.
    pub fn short(&self) -> &str {
        self.commit.get(..DIGITS).unwrap_or(&self.commit)
    }
}

/// What to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The commit at which the checkout has left the revision's history: what others have done there since is not ours.
    MergeBase,
    /// The revision itself.
    Exact,
}

/// A project as it was.
pub struct Past {
    /// Which commit that is.
    pub since: Since,
    /// Its files. Its root is gone.
    pub project: Project,
    /// All of its templates.
    pub templates: Templates,
}

/// Why an earlier revision cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RevisionFault {
    /// `-x`, ``, `a..b`.
    #[error("`{0}` is not one revision")]
    NotARevision(String),
    /// No git.
    #[error("`git` cannot be run: {0}")]
    NoGit(String),
    /// No checkout.
    #[error("`{0}` is in no checkout of a git repository")]
    NoCheckout(String),
    /// A checkout whose history is cut off.
    #[error("git does not know the revision `{0}`: this clone is shallow")]
    Shallow(String),
    /// Anything else.
    #[error("git does not know the revision `{0}`")]
    Unknown(String),
    /// A shallow clone whose history ends before the two meet.
    #[error("where the checkout has left `{0}` cannot be told: this clone is shallow")]
    NoMergeBaseInShallow(String),
    /// Two histories.
    #[error("`{0}` and the checkout have no history in common")]
    NoMergeBase(String),
    /// Git has said no.
    #[error("{0}")]
    Git(String),
    /// The files could not be laid out.
    #[error("the files of `{0}` cannot be laid out to be read: {1}")]
    CannotLayOut(String, String),
}

/// Reads the project in `root` as it was at a revision. Where it was not there yet, it has no environment.
///
/// # Errors
/// When git does not know the revision, `root` is in no checkout, or the files cannot be read.
pub fn read(root: &Path, revision: &str, which: Which) -> Result<Past, RevisionFault> {
    let git = Git { root };
    let since = git.since(revision, which)?;
    let cannot = |error: std::io::Error| RevisionFault::CannotLayOut(since.short().to_owned(), sentence(&error));
    let directory = tempfile::Builder::new().prefix("greenroom-").tempdir().map_err(cannot)?;
    git.lay_out(&since, directory.path())?;
    let mut project = if directory.path().join(ENVIRONMENTS).is_dir() {
        load(directory.path()).map_err(|mistake| RevisionFault::Git(mistake.message.clone()))?
    } else {
        nothing(directory.path())
    };
    let templates = Templates::load_all(&mut project);
    // Everything is read: what was laid out is gone before anything is done that takes its time or fails.
    directory.close().map_err(cannot)?;
    Ok(Past { since, project, templates })
}

fn nothing(root: &Path) -> Project {
    Project { root: root.to_owned(), sources: Sources::default(), files: Files::new(), mistakes: Vec::new() }
}

/// A file of a revision.
struct Blob {
    object: String,
    path: PathBuf,
    kind: Kind,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Link,
}

struct Git<'a> {
    root: &'a Path,
}

impl Git<'_> {
    fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.root).stdin(Stdio::null());
        // Its words are read, nobody is asked for a password, and what is not here is not fetched: this works offline.
        command.envs([("LC_ALL", "C"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_NO_LAZY_FETCH", "1")]);
        command.env("GIT_OPTIONAL_LOCKS", "0");
        command
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Output, RevisionFault> {
        self.command(arguments).output().map_err(|error| RevisionFault::NoGit(sentence(&error)))
    }

    /// The answer of a question that has one.
    fn line<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Option<String>, RevisionFault> {
        let output = self.run(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && !text.is_empty()).then_some(text))
    }

    fn since(&self, revision: &str, which: Which) -> Result<Since, RevisionFault> {
        if revision.is_empty() || revision.starts_with('-') || revision.contains("..") {
            return Err(RevisionFault::NotARevision(revision.to_owned()));
        }
        self.must_be_a_checkout()?;
        let is_shallow = || Ok(self.line(["rev-parse", "--is-shallow-repository"])?.as_deref() == Some("true"));
        let Some(named) = self.commit(revision)? else {
            return Err(match is_shallow()? {
                true => RevisionFault::Shallow(revision.to_owned()),
                false => RevisionFault::Unknown(revision.to_owned()),
            });
        };
        let since = |commit: String| {
            let is_merge_base = commit != named;
            Since { revision: revision.to_owned(), commit, is_merge_base }
        };
        if which == Which::Exact {
            return Ok(since(named.clone()));
        }
        // Before the first commit there is nothing that could have left anything.
        let Some(head) = self.commit("HEAD")? else { return Ok(since(named.clone())) };
        match self.line(["merge-base", "--end-of-options", &named, &head])? {
            Some(commit) => Ok(since(commit)),
            None if is_shallow()? => Err(RevisionFault::NoMergeBaseInShallow(revision.to_owned())),
            None => Err(RevisionFault::NoMergeBase(revision.to_owned())),
        }
    }

    fn must_be_a_checkout(&self) -> Result<(), RevisionFault> {
        let output = self.run(["rev-parse", "--is-inside-work-tree"])?;
        if output.status.success() {
            return Ok(());
        }
        let said = said(&output);
        Err(if said.contains("not a git repository") {
            RevisionFault::NoCheckout(self.root.display().to_string())
        } else {
            RevisionFault::Git(said)
        })
    }

    fn commit(&self, revision: &str) -> Result<Option<String>, RevisionFault> {
        let found =
            self.line(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])?;
        // Older ones print the words that end their options.
        Ok(found.and_then(|text| text.lines().last().map(str::to_owned)))
    }

    /// Lays the project's folders out as they were.
    fn lay_out(&self, since: &Since, directory: &Path) -> Result<(), RevisionFault> {
        let cannot = |error: std::io::Error| RevisionFault::CannotLayOut(since.short().to_owned(), sentence(&error));
        let blobs = self.blobs(since)?;
        let (links, files): (Vec<&Blob>, Vec<&Blob>) = blobs.iter().partition(|blob| blob.kind == Kind::Link);
        // Links last: no file is ever written through one.
        let all: Vec<&Blob> = files.into_iter().chain(links).collect();
        let (large, wanted): (Vec<&Blob>, Vec<&Blob>) = all.into_iter().partition(|blob| blob.bytes > FILE_BYTES_MAX);
        for blob in large {
            // Too large to be read, now as then.
            create(directory, blob, cannot)?.set_len(blob.bytes).map_err(cannot)?;
        }
        let mut child = self
            .command(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| RevisionFault::NoGit(sentence(&error)))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut questions), Some(answers)) = (stdin, stdout) else {
            return Err(RevisionFault::Git("git cannot be talked to".to_owned()));
        };
        let mut answers = BufReader::new(answers);
        let laid_out = wanted.iter().try_for_each(|blob| {
            // One question at a time: neither side ever waits for the other with a full pipe.
            writeln!(questions, "{}", blob.object).and_then(|()| questions.flush()).map_err(cannot)?;
            let content = content(&mut answers, blob)?;
            match blob.kind {
                Kind::File => create(directory, blob, cannot)?.write_all(&content).map_err(cannot),
                Kind::Link => link(&content, &directory.join(&blob.path)).map_err(cannot),
            }
        });
        drop(questions);
        // It has answered; how it ends does not matter, but it must not be left behind.
        let _ = child.wait();
        laid_out
    }

    /// The files of the project's folders. Submodules have none here: their stacks will lack what they need, and say so.
    fn blobs(&self, since: &Since) -> Result<Vec<Blob>, RevisionFault> {
        let listing = ["ls-tree", "-r", "-z", "-l", "--end-of-options", &since.commit];
        let output = self.run(listing.into_iter().chain(FOLDERS))?;
        if !output.status.success() {
            return Err(RevisionFault::Git(said(&output)));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.split_terminator('\0').filter_map(blob).collect())
    }
}

/// `100644 blob <object> <bytes>\t<path>`.
fn blob(line: &str) -> Option<Blob> {
    let (facts, path) = line.split_once('\t')?;
    let mut facts = facts.split_ascii_whitespace();
    let kind = match facts.next()? {
        "120000" => Kind::Link,
        mode if mode.starts_with("100") => Kind::File,
        _ => return None,
    };
    let object = facts.nth(1)?.to_owned();
    let bytes = facts.next()?.parse().ok()?;
    let path = PathBuf::from(path);
    // A tree may be made by hand, and name what lies elsewhere.
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    is_below.then_some(Blob { object, path, kind, bytes })
}

/// Reads one answer of `cat-file --batch`: `<object> blob <bytes>`, the content, a line break.
fn content(answers: &mut impl BufRead, blob: &Blob) -> Result<Vec<u8>, RevisionFault> {
    let missing =
        || RevisionFault::Git(format!("git does not have `{}` of that revision here", blob.path.display()));
    let mut line = String::new();
    answers.read_line(&mut line).map_err(|_| missing())?;
    let bytes: u64 = line.rsplit(' ').next().and_then(|word| word.trim().parse().ok()).ok_or_else(missing)?;
    if bytes > FILE_BYTES_MAX {
        return Err(missing());
    }
    let mut content = Vec::new();
    answers.take(bytes + 1).read_to_end(&mut content).map_err(|_| missing())?;
    content.pop();
    if content.len() as u64 == bytes { Ok(content) } else { Err(missing()) }
}

fn create(
    directory: &Path,
    blob: &Blob,
    cannot: impl Fn(std::io::Error) -> RevisionFault,
) -> Result<fs::File, RevisionFault> {
    let path = directory.join(&blob.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(&cannot)?;
    }
    fs::File::create_new(path).map_err(cannot)
}

#[cfg(unix)]
fn link(target: &[u8], path: &Path) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    std::os::unix::fs::symlink(OsStr::from_bytes(target), path)
}

/// What git itself does where links cannot be made.
#[cfg(not(unix))]
fn link(target: &[u8], path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, target)
}

/// What git has said, in one line.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    format!("git says: {}", line.trim_start_matches("fatal: "))
}
