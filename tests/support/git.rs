//! A project kept in git: the same commits, by name and digest, wherever the tests run.

use std::path::Path;
use std::process::Command;

use super::Scenario;

/// What git is told, so that nothing of this machine's decides: author, date, no configuration, one name for the first branch.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("GIT_AUTHOR_NAME", "Jane"),
    ("GIT_AUTHOR_EMAIL", "jane@example.com"),
    ("GIT_AUTHOR_DATE", "2026-11-20T12:00:00Z"),
    ("GIT_COMMITTER_NAME", "Jane"),
    ("GIT_COMMITTER_EMAIL", "jane@example.com"),
    ("GIT_COMMITTER_DATE", "2026-11-20T12:00:00Z"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("LC_ALL", "C"),
];

/// Runs git in a directory, to a good end, and gives what it printed.
#[track_caller]
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").current_dir(directory).envs(ENVIRONMENT).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Scenario {
    /// Puts the directory under git, in the branch `main`, with all that is in it.
    pub(crate) fn in_git(self) -> Self {
        git(self.root(), &["init", "--quiet", "--initial-branch=main"]);
        self.commit("begin")
    }

    /// Commits all that has changed.
    pub(crate) fn commit(self, message: &str) -> Self {
        git(self.root(), &["add", "--all"]);
        git(self.root(), &["commit", "--quiet", "--message", message]);
        self
    }

    /// Runs git in the project.
    pub(crate) fn git(self, arguments: &[&str]) -> Self {
        git(self.root(), arguments);
        self
    }
}
