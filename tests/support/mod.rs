//! Sets the scene, runs the real binary, and compares all that it said.
//!
//! Expectations stand in the tests; `UPDATE_EXPECT=1 cargo test` writes them anew, and the diff is to be read as a user would.

pub(crate) mod cloud;
pub(crate) mod git;
pub(crate) mod proxy;
mod published;
pub(crate) mod stuck;

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::Expect;
use tempfile::TempDir;

/// The day it is in every test, so that exceptions end when the test says so: 2026-11-25.
const TODAY_SECONDS: &str = "1795564800";

/// One environment of the small project.
pub(crate) const LAB: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
stacks:
  store:
    values: {topic: papers}
"#;

/// What the small project's template asks for.
pub(crate) const STORE_INPUTS: &str = r"type: object
required: [topic]
properties:
  topic: {type: string, description: What the topic is called}
  size: {type: integer, minimum: 1, default: 3, description: How many there are}
";

/// The small project's template.
pub(crate) const STORE: &str = r"Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: {{ topic }}
      DisplayName: {{ topic }} of {{ size }}
Outputs:
  TopicArn:
    Value: !Ref Topic
";

/// A project in a directory of its own, which is gone with it.
pub(crate) struct Scenario {
    directory: TempDir,
    root: PathBuf,
}

impl Scenario {
    /// An empty directory.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        Self { directory, root }
    }

    /// One environment, `lab`, with one stack, `store`, and nothing wrong.
    pub(crate) fn small() -> Self {
        Self::empty()
            .file("environments/lab.yaml", LAB)
            .file("templates/store/inputs.yaml", STORE_INPUTS)
            .file("templates/store/stack.yaml", STORE)
    }

    /// A copy of what is shipped.
    pub(crate) fn shipped() -> Self {
        let scenario = Self::empty();
        for folder in SHIPPED_FOLDERS {
            for path in files_below(&shipped(folder)) {
                let to = scenario.root.join(path.strip_prefix(repository()).unwrap());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(&path, to).unwrap();
            }
        }
        scenario
    }

    /// The project lies deeper, in a directory of that name.
    pub(crate) fn within(mut self, name: &str) -> Self {
        let root = self.directory.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(&root).unwrap();
        for entry in fs::read_dir(&self.root).unwrap().map(|entry| entry.unwrap().path()) {
            if !root.starts_with(&entry) {
                fs::rename(&entry, root.join(entry.file_name().unwrap())).unwrap();
            }
        }
        self.root = root;
        self
    }

    /// A file, parents included.
    pub(crate) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let to = self.root.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
        self
    }

    /// Puts `new` where a file says `old`.
    pub(crate) fn edit(self, path: &str, old: &str, new: &str) -> Self {
        let text = self.read(path);
        assert!(text.contains(old), "{path} does not say {old:?}");
        self.file(path, text.replacen(old, new, 1))
    }

    /// The environment `lab`, in other words.
    pub(crate) fn lab(self, text: &str) -> Self {
        self.file("environments/lab.yaml", text)
    }

    /// The template `store`, in other words.
    pub(crate) fn store(self, text: &str) -> Self {
        self.file("templates/store/stack.yaml", text)
    }

    /// The inputs of `store`, in other words.
    pub(crate) fn store_inputs(self, text: &str) -> Self {
        self.file("templates/store/inputs.yaml", text)
    }

    /// A directory.
    pub(crate) fn directory(self, path: &str) -> Self {
        fs::create_dir_all(self.root.join(path)).unwrap();
        self
    }

    /// A symbolic link.
    pub(crate) fn link(self, path: &str, target: impl AsRef<Path>) -> Self {
        let from = self.root.join(path);
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, from).unwrap();
        self
    }

    /// The text of a file.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Where the project is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Every file and link below the project, hidden ones too, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        files_below(&self.root)
            .into_iter()
            .map(|path| path.strip_prefix(&self.root).unwrap().to_str().unwrap().to_string())
            .collect()
    }

    /// The command, ready to be started, for those who do not want to wait for its end.
    pub(crate) fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_greenroom"));
        command.args(arguments).current_dir(&self.root);
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "TERM"] {
            command.env_remove(name);
        }
        command.env("SOURCE_DATE_EPOCH", TODAY_SECONDS);
        // What git makes of a file is not for this machine's settings to say.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// Runs it to its end.
    pub(crate) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        self.ended(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// How a process of this project ended, without the names of directories.
    pub(crate) fn ended(&self, output: Output) -> Ran {
        let redacted = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(self.root.to_str().unwrap(), "[project]")
                .replace(self.directory.path().to_str().unwrap(), "[outside]")
        };
        let ran = Ran { code: output.status.code(), stdout: redacted(output.stdout), stderr: redacted(output.stderr) };
        published::hold(&ran);
        ran
    }
}

/// How a run ended and all that it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Nothing if it was killed, or panicked itself to death.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Compares all of it.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "an expectation is written where it is expected")]
    pub(crate) fn expect(&self, expected: Expect) {
        expected.assert_eq(&self.to_string());
    }

    /// Without its progress, which depends on how often it looked: only how it ended and what came of it.
    pub(crate) fn stdout_only(&self) -> Self {
        Self { code: self.code, stdout: self.stdout.clone(), stderr: String::new() }
    }

    /// From the word `error` on.
    pub(crate) fn last_words(&self) -> Self {
        let words = self.stderr.find("error: ").and_then(|start| self.stderr.get(start..)).unwrap_or_default();
        Self { code: self.code, stdout: self.stdout.clone(), stderr: words.to_owned() }
    }

    /// Done, in silence.
    #[track_caller]
    pub(crate) fn expect_silence(&self) {
        assert_eq!(self.to_string(), "exit 0\n");
    }

    /// What a good end wrote to stdout.
    #[track_caller]
    pub(crate) fn stdout(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self}");
        &self.stdout
    }
}

impl Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit {code}")?,
            None => writeln!(f, "killed")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "-- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}

/// The folders of the repository that `init` writes anew.
pub(crate) const SHIPPED_FOLDERS: [&str; 3] = ["environments", "templates", "sql"];

/// A path of this repository.
pub(crate) fn shipped(path: &str) -> PathBuf {
    repository().join(path)
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory, in order.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let inside = |path: PathBuf| if path.is_dir() && !path.is_symlink() { files_below(&path) } else { vec![path] };
    paths.into_iter().flat_map(inside).collect()
}
