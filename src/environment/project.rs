//! The project on disk: where it is, and its environment files, read and checked one by one.

use std::path::{Path, PathBuf};

use crate::environment::mistake::did_you_mean;
use crate::environment::source::{Unreadable, read_file, sentence, shown};
use crate::environment::{Content, Files, Mistake, Node, SourceId, Sources, Span, shape, yaml};

/// The folder that makes a directory a project.
pub const ENVIRONMENTS: &str = "environments";

/// A file of `environments/`.
#[derive(Clone, Debug)]
pub struct EnvironmentFile {
    /// Its name without `.yaml`.
    pub name: String,
    /// Its text.
    pub source: SourceId,
    /// What it says; an empty map where it could not be read.
    pub root: Node,
    /// Whether it is only inherited from.
    pub is_abstract: bool,
    /// Whether it could be read as a map.
    pub is_readable: bool,
    /// What it builds on, with the places that say so.
    pub parents: Vec<(String, Span)>,
    /// What is wrong with the file by itself.
    pub mistakes: Vec<Mistake>,
}

/// A project: a directory with `environments/` and `templates/`.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its directory.
    pub root: PathBuf,
    /// Every text read so far.
    pub sources: Sources,
    /// Its environment files, by name.
    pub files: Files,
    /// What is wrong with `environments/` as a folder.
    pub mistakes: Vec<Mistake>,
}

/// What can be wrong with a project.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ProjectFault {
    /// No `environments/` here or above.
    #[error("there is no `environments/` in {0} or in a directory above it")]
    NoProject(String),
    /// `--project` names no project.
    #[error("there is no `environments/` in {0}")]
    NotAProject(String),
    /// `environments/` cannot be listed.
    #[error("`{0}` cannot be listed: {1}")]
    CannotList(String, String),
    /// A file that cannot be read.
    #[error("`{path}` {because}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        because: Unreadable,
    },
    /// `staging.yml`.
    #[error("`{0}` is not read: environment files end in `.yaml`")]
    OtherEnding(String),
    /// No file at all.
    #[error("`environments/` holds no environment")]
    NoEnvironments,
    /// An empty file.
    #[error("`{0}` is empty")]
    Empty(String),
    /// No environment of that name.
    #[error("there is no environment `{0}`")]
    UnknownEnvironment(String),
}

/// The nearest directory upward from `start` that holds `environments/`.
///
/// # Errors
/// When there is none.
pub fn find(start: &Path) -> Result<PathBuf, Box<Mistake>> {
    let found = start.ancestors().find(|directory| directory.join(ENVIRONMENTS).is_dir());
    found.map(Path::to_path_buf).ok_or_else(|| {
        let fault = ProjectFault::NoProject(start.display().to_string());
        Box::new(
            Mistake::new(&fault)
                .hint("`greenroom init NAME` writes a project to start from; `--project DIR` names one"),
        )
    })
}

/// Reads the environment files of a project. What is wrong with a file is kept with it: another environment may be fine.
///
/// # Errors
/// When `root` is no project.
pub fn load(root: &Path) -> Result<Project, Box<Mistake>> {
    load_beside(root, Sources::default())
}

/// The same, with its texts behind others that were read already: so that places of both are told by one collection.
///
/// # Errors
/// When `root` is no project.
pub fn load_beside(root: &Path, sources: Sources) -> Result<Project, Box<Mistake>> {
    let directory = root.join(ENVIRONMENTS);
    if !directory.is_dir() {
        let fault = ProjectFault::NotAProject(root.display().to_string());
        return Err(Box::new(Mistake::new(&fault).hint("`greenroom init NAME` writes a project to start from")));
    }
    let mut project = Project { root: root.to_path_buf(), sources, files: Files::new(), mistakes: Vec::new() };
    for path in listing(&directory).map_err(Box::new)? {
        project.add(&path);
    }
    if project.files.is_empty() && project.mistakes.is_empty() {
        project
            .mistakes
            .push(Mistake::new(&ProjectFault::NoEnvironments).hint("`greenroom init NAME` shows what they look like"));
    }
    Ok(project)
}

/// The files of a directory that are not hidden, in order of their names.
pub(crate) fn listing(directory: &Path) -> Result<Vec<PathBuf>, Mistake> {
    let cannot = |error: std::io::Error| {
        Mistake::new(&ProjectFault::CannotList(directory.display().to_string(), sentence(&error)))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

impl Project {
    fn add(&mut self, path: &Path) {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
        if ending == "yml" {
            let fault = ProjectFault::OtherEnding(shown(&self.root, path));
            self.mistakes.push(Mistake::new(&fault).hint(format!("rename it to `{name}.yaml`")));
        }
        if ending != "yaml" {
            return;
        }
        let path_shown = shown(&self.root, path);
        let file = match read_file(&self.root, path) {
            Ok(text) => {
                let source = self.sources.add(path_shown, text.clone());
                read_environment(&name, source, &text)
            }
            Err(because) => {
                let source = self.sources.add(path_shown.clone(), String::new());
                let mistake = Mistake::new(&ProjectFault::Unreadable { path: path_shown, because });
                EnvironmentFile { is_readable: false, mistakes: vec![mistake], ..read_environment(&name, source, "{}") }
            }
        };
        self.files.insert(name, file);
    }

    /// The same project with another text in one of its environment files. Places in the old text stay what they were.
    #[must_use]
    pub fn with_text(&self, name: &str, text: &str) -> Self {
        let mut project = self.clone();
        if let Some(file) = self.files.get(name) {
            let path = self.sources.get(file.source).path.clone();
            let source = project.sources.add(path, text.to_owned());
            project.files.insert(name.to_owned(), read_environment(name, source, text));
        }
        project
    }

    /// The file behind an environment's name.
    ///
    /// # Errors
    /// When there is none; with the nearest one.
    pub fn file(&self, name: &str) -> Result<&EnvironmentFile, Box<Mistake>> {
        self.files.get(name).ok_or_else(|| {
            let known: Vec<&str> =
                self.files.values().filter(|file| !file.is_abstract).map(|file| file.name.as_str()).collect();
            let hint =
                did_you_mean(name, known.iter().copied()).unwrap_or_else(|| format!("there are: {}", known.join(", ")));
            Box::new(Mistake::new(&ProjectFault::UnknownEnvironment(name.to_string())).hint(hint))
        })
    }
}

/// Reads one environment file: its YAML, its shape, and what inheritance needs to know of it.
pub fn read_environment(name: &str, source: SourceId, text: &str) -> EnvironmentFile {
    let reading = yaml::read(source, text);
    let mut mistakes = reading.mistakes;
    let beginning = Span::beginning(source);
    // What is no map says nothing, and everything would look missing.
    let is_readable = reading.root.as_ref().is_some_and(|root| root.as_mapping().is_some());
    let root = match reading.root {
        Some(root) if !root.is_null() => root,
        _ => {
            if mistakes.is_empty() {
                let hint = "an environment says at least `inherits:`, or its account, Region and stacks";
                mistakes.push(
                    Mistake::at(beginning, &ProjectFault::Empty(format!("{ENVIRONMENTS}/{name}.yaml"))).hint(hint),
                );
            }
            Node::empty_mapping(beginning)
        }
    };
    shape::check(&root, &mut mistakes);
    let root = if root.as_mapping().is_some() { root } else { Node::empty_mapping(beginning) };
    let is = |key: &str| root.get(key).and_then(Node::as_text) == Some("true");
    EnvironmentFile {
        name: name.to_string(),
        source,
        is_abstract: is("abstract"),
        is_readable,
        parents: root.get("inherits").map(parents).unwrap_or_default(),
        root,
        mistakes,
    }
}

fn parents(node: &Node) -> Vec<(String, Span)> {
    let one = |node: &Node| node.as_text().map(|text| (text.to_string(), node.span));
    match &node.content {
        Content::Sequence(items) => items.iter().filter_map(one).collect(),
        Content::Scalar(_) | Content::Mapping(_) => one(node).into_iter().collect(),
    }
}
