//! The texts a project is made of, and places in them.
//!
//! Every file is read once, whole, within a limit, and kept: whatever is later said about a value can show the line it came from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
///
/// CloudFormation takes at most 1 MB of template (User Guide, "CloudFormation quotas"), so no useful file comes near this;
/// without a bound, a wrong path (a database dump, a device) would be read until memory ends.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Names one text of [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(u32);

impl SourceId {
    /// The text that is being rendered right now: in no file yet.
    pub const RENDERED: Self = Self(u32::MAX);
}

/// A range of bytes in one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The text it lies in.
    pub source: SourceId,
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// The first bytes of a text: where a mistake about a whole file is shown.
    pub fn beginning(source: SourceId) -> Self {
        Self { source, start: 0, end: 0 }
    }

    /// Whether it holds every byte of `other`.
    pub fn contains(&self, other: &Self) -> bool {
        self.source == other.source && self.start <= other.start && other.end <= self.end
    }
}

/// One text and the path it is shown under.
#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the project, with `/` between its parts on every system.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// A place as people name it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Relative to the project.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// All texts that were read so far.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    all: Vec<Source>,
}

impl Sources {
    /// Keeps a text and names it.
    ///
    /// # Panics
    /// Beyond four thousand million texts.
    pub fn add(&mut self, path: String, text: String) -> SourceId {
        let id = SourceId(u32::try_from(self.all.len()).expect("fewer than four thousand million files"));
        self.all.push(Source { path, text });
        id
    }

    /// Every text and its name.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        (0..).map(SourceId).zip(&self.all)
    }

    /// The text of that name.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.all[id.0 as usize]
    }

    /// Where `span` begins, as people name it.
    pub fn place(&self, span: Span) -> Place {
        let source = self.get(span.source);
        let before = &source.text[..floor_to_character(&source.text, span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            path: source.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The text that `span` covers.
    pub fn text(&self, span: Span) -> &str {
        let text = &self.get(span.source).text;
        &text[floor_to_character(text, span.start)..floor_to_character(text, span.end)]
    }
}

/// The last character boundary at or before `index`.
fn floor_to_character(text: &str, index: usize) -> usize {
    text.floor_char_boundary(index)
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The operating system said no.
    #[error("cannot be read: {0}")]
    Denied(String),
    /// Beyond [`FILE_BYTES_MAX`].
    #[error("is larger than {} MiB, the most that is read", FILE_BYTES_MAX / 1024 / 1024)]
    TooLarge,
    /// Holds bytes that are no UTF-8.
    #[error("is not UTF-8: byte {position} is 0x{byte:02x}")]
    NotUtf8 {
        /// Counted from 0.
        position: usize,
        /// The first byte that does not fit.
        byte: u8,
    },
    /// A directory, a device, a socket.
    #[error("is not a regular file")]
    NotAFile,
    /// A symbolic link that leads away from the project.
    #[error("is a link to a place outside the project, {0}")]
    Outside(String),
}

/// Reads a file of the project.
///
/// # Errors
/// When it cannot be read, is too large, no UTF-8 or lies outside `project` once symbolic links are followed: a template from
/// elsewhere would change without this repository changing.
pub fn read_file(project: &Path, path: &Path) -> Result<String, Unreadable> {
    let denied = |error: std::io::Error| Unreadable::Denied(sentence(&error));
    let real = path.canonicalize().map_err(denied)?;
    let root = project.canonicalize().map_err(denied)?;
    if !real.starts_with(&root) {
        return Err(Unreadable::Outside(real.display().to_string()));
    }
    if !real.metadata().map_err(denied)?.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(&real).map_err(denied)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(denied)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        Unreadable::NotUtf8 { position, byte: error.as_bytes()[position] }
    })
}

/// An operating system's error without its number: `permission denied`.
pub fn sentence(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// `path` relative to `root`, with `/` between its parts.
pub fn shown(root: &Path, path: &Path) -> String {
    let relative: PathBuf = path.strip_prefix(root).unwrap_or(path).into();
    relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
