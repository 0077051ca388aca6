//! What is said of an environment's drift: data.

use jiff::civil::Date;
use serde::Serialize;

use super::who::Who;
use crate::environment::Place;

/// What came of a look.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The environment.
    pub environment: String,
    /// How many stacks were asked about.
    pub stacks: usize,
    /// Their names in the environment, in its order.
    #[serde(skip)]
    pub labels: Vec<String>,
    /// How many resources are as they should be.
    pub in_sync: usize,
    /// What was undone, as it is typed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<String>,
    /// What differs, in the order of the stacks.
    pub findings: Vec<Finding>,
    /// What nobody could read.
    pub unread: Vec<Unread>,
    /// Exceptions of the file that have ended, and say nothing any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Ended>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The stack's name in the environment.
    pub stack: String,
    /// The logical id.
    pub resource: String,
    /// The resource's type.
    pub kind: String,
    /// The property: names and positions, separated by `/`. Nothing where the whole resource is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// What it should be; nothing where it should not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What it is; nothing where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// What kind of difference it is.
    pub class: Class,
    /// Why it is taken for that.
    pub because: String,
    /// The line that decides the property, or begins the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What was decided about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The exception that spoke for it until its day was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_longer: Option<Ended>,
    /// Who made it, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
}

/// What kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody changed it past CloudFormation.
    ChangedByHand,
    /// Somebody deleted it past CloudFormation.
    Deleted,
    /// AWS changes it by itself, as it was told to.
    ManagedByAws,
    /// It is the same, said otherwise.
    FalsePositive,
    /// CloudFormation does not compare it; we read it ourselves.
    Beyond,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ChangedByHand => "changed by hand",
            Self::Deleted => "deleted",
            Self::ManagedByAws => "managed by AWS",
            Self::FalsePositive => "false positive",
            Self::Beyond => "beyond CloudFormation's detection",
        })
    }
}

/// What was decided about a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "settled", rename_all = "snake_case")]
pub enum Settled {
    /// The environment's file lets it be, for a while.
    Ignored {
        /// Why.
        because: String,
        /// The last day on which it does.
        until: String,
        /// How many days are left, once they are few.
        #[serde(skip_serializing_if = "Option::is_none")]
        days_left: Option<i32>,
        /// Where it says so.
        place: Place,
    },
    /// The files say by now what is: the next deployment records it.
    Adopted,
}

/// What nobody could read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// `STACK`, or `STACK/RESOURCE`.
    pub path: String,
    /// The resource's type; a stack has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Why.
    pub because: String,
    /// What was decided about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

/// An exception whose day is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// What it was about.
    pub path: String,
    /// The last day on which it held.
    pub on: String,
    /// Where it is written.
    pub place: Place,
}

impl Finding {
    /// `STACK/RESOURCE/PROPERTY`, as it is typed.
    pub fn path(&self) -> String {
        match &self.property {
            Some(property) => format!("{}/{}/{property}", self.stack, self.resource),
            None => self.resource_path(),
        }
    }

    /// `STACK/RESOURCE`.
    pub fn resource_path(&self) -> String {
        format!("{}/{}", self.stack, self.resource)
    }

    /// Whether somebody has to decide about it.
    pub fn is_open(&self) -> bool {
        let is_drift = matches!(self.class, Class::ChangedByHand | Class::Deleted | Class::Beyond);
        is_drift && self.settled.is_none()
    }
}

impl Report {
    /// Whether anything differs that nobody has decided about.
    pub fn has_drift(&self) -> bool {
        self.findings.iter().any(Finding::is_open)
    }

    /// Whether anything could not be read that must be.
    pub fn has_unread(&self) -> bool {
        self.unread.iter().any(|unread| unread.settled.is_none())
    }
}

/// A week's notice is given before an exception ends.
pub(super) const NOTICE_DAYS: i32 = 7;

/// How many days an exception still holds, once they are few.
pub(super) fn days_left(until: Date, today: Date) -> Option<i32> {
    let left = until.since(today).ok()?.get_days();
    (left <= NOTICE_DAYS).then_some(left)
}

/// What was written into files, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edits {
    /// The environment.
    pub environment: String,
    /// Whether the files are as they are shown; otherwise nothing was touched.
    pub is_written: bool,
    /// File by file.
    pub files: Vec<FileEdit>,
    /// What is settled by it: `STACK/RESOURCE/PROPERTY`, and what it is.
    pub settles: Vec<String>,
    /// What else changes, in this environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Change>,
    /// What changes in environments that inherit this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Change>,
}

/// An edit of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileEdit {
    /// The file, relative to the project.
    pub path: String,
    /// The pieces that differ, in order.
    pub pieces: Vec<Piece>,
}

impl std::fmt::Display for FileEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.path)?;
        for piece in &self.pieces {
            for (number, line) in (piece.line..).zip(&piece.removed) {
                writeln!(f, "{number:>5} - {line}")?;
            }
            for (number, line) in (piece.line..).zip(&piece.added) {
                writeln!(f, "{number:>5} + {line}")?;
            }
        }
        Ok(())
    }
}

/// Lines that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The number of the first, counted from 1, in the old text.
    pub line: usize,
    /// The lines that go.
    pub removed: Vec<String>,
    /// The lines that come.
    pub added: Vec<String>,
}

/// A property of another rendering that an edit changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The environment.
    pub environment: String,
    /// `STACK/RESOURCE/PROPERTY`.
    pub path: String,
    /// Before the edit.
    pub before: Option<String>,
    /// After it.
    pub after: Option<String>,
}

impl FileEdit {
    /// What differs between two texts of a file, line by line.
    pub fn between(path: &str, before: &str, after: &str) -> Self {
        let old: Vec<&str> = before.lines().collect();
        let new: Vec<&str> = after.lines().collect();
        let mut pieces = Vec::new();
        let (mut left, mut right) = (0, 0);
        while left < old.len() || right < new.len() {
            if left < old.len() && old.get(left) == new.get(right) {
                (left, right) = (left + 1, right + 1);
                continue;
            }
            // The nearest lines that both have again. Edits are a handful of lines, and files a few hundred.
            let reach = old.len() - left + new.len() - right;
            let meeting = (1..=reach).find_map(|distance| {
                (0..=distance).find_map(|gone| {
                    let (old_at, new_at) = (left + gone, right + distance - gone);
                    let is_met = old_at < old.len() && old.get(old_at) == new.get(new_at);
                    is_met.then_some((old_at, new_at))
                })
            });
            let (old_at, new_at) = meeting.unwrap_or((old.len(), new.len()));
            let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
            pieces.push(Piece {
                line: left + 1,
                removed: lines(&old[left..old_at]),
                added: lines(&new[right..new_at]),
            });
            (left, right) = (old_at, new_at);
        }
        Self { path: path.to_owned(), pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weeks_notice_is_given_and_no_more() {
        let today = jiff::civil::date(2026, 11, 25);
        let check = |day: i8, left: Option<i32>| {
            assert_eq!(days_left(jiff::civil::date(2026, 12, day), today), left, "December {day}");
        };
        check(1, Some(6));
        check(2, Some(7));
        check(3, None);
        assert_eq!(days_left(today, today), Some(0));
    }

    #[test]
    fn an_edit_shows_the_lines_that_differ_and_no_others() {
        let edit = FileEdit::between("a", "1\n2\n3\n4\n", "1\nzwei\n3\n3a\n4\n");
        let piece = |line, removed: &[&str], added: &[&str]| Piece {
            line,
            removed: removed.iter().map(|it| (*it).to_owned()).collect(),
            added: added.iter().map(|it| (*it).to_owned()).collect(),
        };
        assert_eq!(edit.pieces, [piece(2, &["2"], &["zwei"]), piece(4, &[], &["3a"])]);
    }
}
