//! Changes one value of a YAML file and leaves every other byte alone: comments, anchors, quotes, line ends, and no line end.
//!
//! Nothing is written out anew. An edit is one piece of text put in one place, found by the spans that the reader keeps; the
//! result is read again, and unless exactly the wanted value differs, the edit is refused. So it need not know all of YAML: what it
//! does not understand, it does not do.

use serde_json::Value as Json;

use crate::environment::yaml::{Content, Entry, Node, Style, read};
use crate::environment::{SourceId, Span};

/// Something to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum New {
    /// Text, in quotes where it would be read as something else.
    Text(String),
    /// A number, a truth, a date: never in quotes.
    Word(String),
    /// A list.
    List(Vec<New>),
    /// A map, in this order.
    Map(Vec<(String, New)>),
}

impl From<&Json> for New {
    fn from(value: &Json) -> Self {
        match value {
            Json::Null => Self::Word("null".to_owned()),
            Json::Bool(_) | Json::Number(_) => Self::Word(value.to_string()),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Json::Object(entries) => {
                Self::Map(entries.iter().map(|(key, value)| (key.clone(), Self::from(value))).collect())
            }
        }
    }
}

/// Why a value cannot be written without touching anything else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditFault {
    /// The file has mistakes.
    #[error("it cannot be read as YAML")]
    Unreadable,
    /// The way leads through an alias: the anchor would change for everybody.
    #[error("`{0}` is an alias there: what it stands for would change in other places too")]
    Alias(String),
    /// The way leads through something that holds nothing.
    #[error("`{0}` is not a map there")]
    NotAMap(String),
    /// The list is none.
    #[error("`{0}` is not a list there")]
    NotAList(String),
    /// A form that is not written over.
    #[error("`{0}` is written over several lines there, and more than its value would be lost")]
    Spread(String),
    /// A tag would be lost.
    #[error("`{0}` bears a tag there")]
    Tagged(String),
    /// The result says something else.
    #[error("`{0}` cannot be written there without changing something else")]
    MoreChanges(String),
}

/// The text with `value` at the end of a path of keys and positions; keys that are missing come with it.
///
/// # Errors
/// Where anything else would change.
pub fn set(text: &str, path: &[&str], value: &New) -> Result<String, EditFault> {
    edited(text, path, &Tail::Value(value))
}

/// The text with one entry more in the list at the end of a path; a list that is missing comes with it.
///
/// # Errors
/// Where anything else would change.
pub fn append(text: &str, path: &[&str], item: &New) -> Result<String, EditFault> {
    edited(text, path, &Tail::Item(item))
}

/// What stands at the end of the path.
enum Tail<'a> {
    Value(&'a New),
    Item(&'a New),
}

/// Bytes that are taken out, and what is put in their place.
struct Patch {
    start: usize,
    end: usize,
    text: String,
}

impl Patch {
    fn insertion(at: usize, text: String) -> Self {
        Self { start: at, end: at, text }
    }
}

fn edited(text: &str, path: &[&str], tail: &Tail<'_>) -> Result<String, EditFault> {
    let before = document(text)?;
    let editor = Editor { text, path };
    let change = match &before {
        Some(root) => editor.patch(root, tail)?,
        None => editor.beginning(tail),
    };
    let result = format!("{}{}{}", &text[..change.start], change.text, &text[change.end..]);
    let after = document(&result).map_err(|_| editor.more())?.ok_or_else(|| editor.more())?;
    if proves(before.as_ref(), &after, path, tail) { Ok(result) } else { Err(editor.more()) }
}

/// What a text says; nothing where it holds only comments.
fn document(text: &str) -> Result<Option<Node>, EditFault> {
    let reading = read(SourceId::RENDERED, text);
    if !reading.mistakes.is_empty() {
        return Err(EditFault::Unreadable);
    }
    // A null of no width is a file with nothing in it.
    Ok(reading.root.filter(|root| !(root.is_null() && root.span.start == root.span.end)))
}

struct Editor<'a> {
    text: &'a str,
    path: &'a [&'a str],
}

/// Where a node hangs: the entry that names it, if it is a map's.
type Holder<'a> = Option<&'a Entry>;

impl Editor<'_> {
    fn more(&self) -> EditFault {
        EditFault::MoreChanges(self.path.join("."))
    }

    fn named(&self, depth: usize) -> String {
        self.path[..depth].join(".")
    }

    /// A file that says nothing yet.
    fn beginning(&self, tail: &Tail<'_>) -> Patch {
        let newline = self.newline();
        let end = self.text.len();
        let is_open = !self.text.is_empty() && !self.text.ends_with('\n');
        let lines = lines(self.path, tail, "", newline);
        let before = if is_open { newline } else { "" };
        Patch::insertion(end, format!("{before}{lines}{newline}"))
    }

    fn patch(&self, root: &Node, tail: &Tail<'_>) -> Result<Patch, EditFault> {
        let mut node = root;
        let mut holder: Holder<'_> = None;
        for (depth, part) in self.path.iter().enumerate() {
            let is_last = depth + 1 == self.path.len();
            match &node.content {
                Content::Mapping(_) => {
                    let Some(entry) = node.entry(part) else { return self.insertion(node, depth, tail) };
                    if let Some(alias) = self.alias(entry) {
                        return match tail {
                            Tail::Value(value) if is_last => Ok(Patch { text: flow(value, false), ..alias }),
                            _ => Err(EditFault::Alias(self.named(depth + 1))),
                        };
                    }
                    (node, holder) = (&entry.value, Some(entry));
                }
                Content::Sequence(items) => {
                    let position = part.parse::<usize>().ok().filter(|position| *position < items.len());
                    let position = position.ok_or_else(|| EditFault::NotAMap(self.named(depth)))?;
                    if !is_own(items, position, node.span) {
                        return Err(EditFault::Alias(self.named(depth + 1)));
                    }
                    (node, holder) = (&items[position], None);
                }
                Content::Scalar(_) => return self.below_nothing(node, holder, depth, tail),
            }
        }
        match tail {
            Tail::Value(value) => self.replacement(node, holder, value),
            Tail::Item(item) => self.addition(node, item),
        }
    }

    /// The alias that an entry's value is written as.
    fn alias(&self, entry: &Entry) -> Option<Patch> {
        let start = self.value_start(entry)?;
        self.text[start..].starts_with('*').then(|| {
            let length = self.text[start..].find(|it: char| it.is_whitespace() || ",]}".contains(it));
            Patch { start, end: length.map_or(self.text.len(), |length| start + length), text: String::new() }
        })
    }

    /// Where something first stands behind a key and its colon.
    fn value_start(&self, entry: &Entry) -> Option<usize> {
        let mut at = self.after_colon(entry)?;
        loop {
            let rest = &self.text[at..];
            at += rest.len() - rest.trim_start().len();
            if !self.text[at..].starts_with('#') {
                return Some(at);
            }
            at += self.text[at..].find('\n')?;
        }
    }

    fn after_colon(&self, entry: &Entry) -> Option<usize> {
        let end = entry.key_span.end;
        let rest = &self.text[end..];
        let blank = rest.len() - rest.trim_start().len();
        rest[blank..].starts_with(':').then_some(end + blank + 1)
    }

    /// A value takes the place of another.
    fn replacement(&self, node: &Node, holder: Holder<'_>, value: &New) -> Result<Patch, EditFault> {
        let name = || self.path.join(".");
        if node.tag.is_some() {
            return Err(EditFault::Tagged(name()));
        }
        let (start, end) = (node.span.start, self.end_of(node)?);
        let written = &self.text[start..end];
        match &node.content {
            Content::Scalar(scalar) if scalar.style == Style::Block => Err(EditFault::Spread(name())),
            Content::Scalar(_) if written.is_empty() => {
                let at = holder.and_then(|entry| self.after_colon(entry)).ok_or_else(|| self.more())?;
                Ok(Patch::insertion(at, format!(" {}", flow(value, true))))
            }
            Content::Scalar(_) => Ok(Patch { start, end, text: in_the_manner_of(written, value) }),
            Content::Sequence(_) | Content::Mapping(_) if written.starts_with(['[', '{']) => {
                Ok(Patch { start, end, text: flow(value, true) })
            }
            Content::Sequence(_) | Content::Mapping(_) => Err(EditFault::Spread(name())),
        }
    }

    /// Keys below one that has nothing yet: `database:` at the end of its line.
    fn below_nothing(
        &self,
        node: &Node,
        holder: Holder<'_>,
        depth: usize,
        tail: &Tail<'_>,
    ) -> Result<Patch, EditFault> {
        let entry = holder.filter(|_| node.is_null() && node.span.start == node.span.end);
        let entry = entry.ok_or_else(|| EditFault::NotAMap(self.named(depth)))?;
        let indent = " ".repeat(self.column(entry.key_span.start) + INDENT);
        let at = self.end_of_line(self.after_colon(entry).ok_or_else(|| self.more())?);
        let newline = self.newline();
        Ok(Patch::insertion(at, format!("{newline}{}", lines(&self.path[depth..], tail, &indent, newline))))
    }

    /// A key that a map does not have yet, behind those it has.
    fn insertion(&self, node: &Node, depth: usize, tail: &Tail<'_>) -> Result<Patch, EditFault> {
        let entries = node.as_mapping().unwrap_or_default();
        let rest = &self.path[depth..];
        if self.text[node.span.start..].starts_with('{') {
            let inner = inner(rest, tail);
            return match entries.last() {
                None => Ok(Patch::insertion(node.span.start + 1, inner)),
                Some(last) => Ok(Patch::insertion(self.end_of_entry(last)?, format!(", {inner}"))),
            };
        }
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Err(self.more()) };
        let indent = " ".repeat(self.column(first.key_span.start));
        let at = self.end_of_line(self.end_of_entry(last)?);
        let newline = self.newline();
        Ok(Patch::insertion(at, format!("{newline}{}", lines(rest, tail, &indent, newline))))
    }

    /// An entry more in a list.
    fn addition(&self, node: &Node, item: &New) -> Result<Patch, EditFault> {
        let items = node.as_sequence().ok_or_else(|| EditFault::NotAList(self.path.join(".")))?;
        let last = items.len().checked_sub(1);
        if self.text[node.span.start..].starts_with('[') {
            let item = flow(item, true);
            return match last {
                None => Ok(Patch::insertion(node.span.start + 1, item)),
                Some(last) => Ok(Patch::insertion(self.end_of_item(items, last, node.span)?, format!(", {item}"))),
            };
        }
        let last = last.filter(|last| is_own(items, *last, node.span)).ok_or_else(|| self.more())?;
        let before = self.text[..items[last].span.start].trim_end_matches(' ');
        let dash = before.strip_suffix('-').ok_or_else(|| self.more())?.len();
        let indent = " ".repeat(self.column(dash));
        let at = self.end_of_line(self.end_of(&items[last])?);
        Ok(Patch::insertion(at, format!("{}{indent}- {}", self.newline(), flow(item, false))))
    }

    fn end_of_entry(&self, entry: &Entry) -> Result<usize, EditFault> {
        if let Some(alias) = self.alias(entry) {
            return Ok(alias.end);
        }
        if entry.value.span.start == entry.value.span.end {
            return self.after_colon(entry).ok_or_else(|| self.more());
        }
        self.end_of(&entry.value)
    }

    /// The end of what a node says. A block has no end of its own, and behind a closing quote or bracket the reader's spans go on to
    /// whatever comes next.
    fn end_of(&self, node: &Node) -> Result<usize, EditFault> {
        let start = node.span.start;
        let rest = &self.text[start..];
        match &node.content {
            Content::Scalar(scalar) if scalar.style == Style::Quoted && rest.starts_with(['\'', '"']) => {
                end_of_quotes(rest).map(|length| start + length).ok_or_else(|| self.more())
            }
            Content::Scalar(_) => {
                Ok(start + self.text[start..node.span.end].trim_end_matches([' ', '\t', '\r', '\n']).len())
            }
            Content::Mapping(entries) if rest.starts_with('{') => {
                let last = entries.last().map_or(Ok(start + 1), |last| self.end_of_entry(last))?;
                self.closing(last, '}')
            }
            Content::Sequence(items) if rest.starts_with('[') => {
                let last = match items.len().checked_sub(1) {
                    None => start + 1,
                    Some(last) => self.end_of_item(items, last, node.span)?,
                };
                self.closing(last, ']')
            }
            Content::Mapping(entries) => entries.last().map_or(Ok(node.span.end), |last| self.end_of_entry(last)),
            Content::Sequence(items) => match items.len().checked_sub(1) {
                None => Ok(node.span.end),
                Some(last) => self.end_of_item(items, last, node.span),
            },
        }
    }

    fn end_of_item(&self, items: &[Node], position: usize, list: Span) -> Result<usize, EditFault> {
        if is_own(items, position, list) { self.end_of(&items[position]) } else { Err(self.more()) }
    }

    /// Behind the bracket that closes a collection, where only blanks, a comma and comments stand before it.
    fn closing(&self, from: usize, bracket: char) -> Result<usize, EditFault> {
        let mut at = from;
        loop {
            let rest = &self.text[at..];
            at += rest.len() - rest.trim_start_matches(|it: char| it.is_whitespace() || it == ',').len();
            if self.text[at..].starts_with(bracket) {
                return Ok(at + bracket.len_utf8());
            }
            if !self.text[at..].starts_with('#') {
                return Err(self.more());
            }
            at = self.text[at..].find('\n').map(|newline| at + newline).ok_or_else(|| self.more())?;
        }
    }

    /// The end of the line, before what ends it.
    fn end_of_line(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline);
        if end > at && self.text[..end].ends_with('\r') { end - 1 } else { end }
    }

    /// In characters, as indentation counts.
    fn column(&self, at: usize) -> usize {
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        self.text[start..at].chars().count()
    }

    /// How lines end in this file.
    fn newline(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }
}

/// How long a quoted text is, its quotes included.
fn end_of_quotes(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => drop(characters.next()),
            _ if character != quote => {}
            _ if quote == '\'' && characters.peek().is_some_and(|(_, next)| *next == quote) => drop(characters.next()),
            _ => return Some(at + quote.len_utf8()),
        }
    }
    None
}

/// How much deeper a new level lies.
const INDENT: usize = 2;

/// Whether an entry of a list stands where it seems to: an alias has the place of its anchor.
fn is_own(items: &[Node], position: usize, list: Span) -> bool {
    let span = items[position].span;
    let is_behind = items[..position].iter().all(|earlier| earlier.span.end <= span.start);
    is_behind && list.start <= span.start && span.start < span.end
}

/// Keys below each other, and what the last of them holds.
fn lines(path: &[&str], tail: &Tail<'_>, indent: &str, newline: &str) -> String {
    let mut text = String::new();
    let mut indent = indent.to_owned();
    for (position, part) in path.iter().enumerate() {
        if position > 0 {
            text.push_str(newline);
        }
        text.push_str(&indent);
        text.push_str(&scalar(&New::Text((*part).to_owned()), false));
        text.push(':');
        indent.push_str(&" ".repeat(INDENT));
    }
    match tail {
        Tail::Value(value) => format!("{text} {}", flow(value, false)),
        Tail::Item(item) => format!("{text}{newline}{indent}- {}", flow(item, false)),
    }
}

/// Keys within braces, and what the last of them holds.
fn inner(path: &[&str], tail: &Tail<'_>) -> String {
    let Some((first, rest)) = path.split_first() else { return String::new() };
    let key = scalar(&New::Text((*first).to_owned()), true);
    match (rest.is_empty(), tail) {
        (true, Tail::Value(value)) => format!("{key}: {}", flow(value, true)),
        (true, Tail::Item(item)) => format!("{key}: [{}]", flow(item, true)),
        (false, _) => format!("{key}: {{{}}}", inner(rest, tail)),
    }
}

/// A value in one line.
fn flow(value: &New, is_inside: bool) -> String {
    match value {
        New::Text(_) | New::Word(_) => scalar(value, is_inside),
        New::List(items) => format!("[{}]", items.iter().map(|item| flow(item, true)).collect::<Vec<_>>().join(", ")),
        New::Map(entries) => {
            let entry = |(key, value): &(String, New)| {
                format!("{}: {}", scalar(&New::Text(key.clone()), true), flow(value, true))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn scalar(value: &New, is_inside: bool) -> String {
    match value {
        New::Word(word) => word.clone(),
        New::Text(text) if is_plain(text, is_inside) && !is_word(text) => text.clone(),
        New::Text(text) => quoted(text),
        New::List(_) | New::Map(_) => flow(value, is_inside),
    }
}

/// As the value was written that was there before: with its quotes, or without.
fn in_the_manner_of(old: &str, value: &New) -> String {
    match value {
        New::Text(text) if old.starts_with('\'') && !text.contains(char::is_control) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        New::Text(text) if old.starts_with('"') => quoted(text),
        // A version that was plain stays so: its schema says that it is text.
        New::Text(text) if is_plain(text, true) && (is_word(old) || !is_word(text)) => text.clone(),
        New::Text(_) | New::Word(_) | New::List(_) | New::Map(_) => flow(value, true),
    }
}

/// Every text of JSON is one of YAML.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// Whether a text may stand without quotes.
fn is_plain(text: &str, is_inside: bool) -> bool {
    const INDICATORS: &str = "-?:,[]{}#&*!|>'\"%@`=<~";
    let is_safe = |character: char| {
        !character.is_control() && (character == ' ' || !character.is_whitespace()) && character != '\u{feff}'
    };
    !text.is_empty()
        && text.trim() == text
        && !text.starts_with(|first: char| INDICATORS.contains(first))
        && !text.contains(": ")
        && !text.ends_with(':')
        && !text.contains(" #")
        && text.chars().all(is_safe)
        && (!is_inside || !text.contains([',', '[', ']', '{', '}', ':']))
}

/// Whether some reader of YAML takes a text for something else: a number, a truth, a date, nothing.
fn is_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_named = ["null", "true", "false", "yes", "no", "on", "off"].contains(&lower.as_str());
    is_named || text.starts_with(|first: char| first.is_ascii_digit() || "+.".contains(first))
}

/// A document without its places.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tree {
    Scalar {
        text: String,
        style: Style,
        tag: Option<String>,
    },
    List {
        items: Vec<Tree>,
        tag: Option<String>,
    },
    Map {
        entries: Vec<(String, Style, Tree)>,
        tag: Option<String>,
    },
    /// Where the wanted value stands.
    Wanted,
}

impl Tree {
    fn of(node: &Node) -> Self {
        let tag = node.tag.clone();
        match &node.content {
            Content::Scalar(scalar) => Self::Scalar { text: scalar.text.clone(), style: scalar.style, tag },
            Content::Sequence(items) => Self::List { items: items.iter().map(Self::of).collect(), tag },
            Content::Mapping(entries) => {
                let entry = |entry: &Entry| (entry.key.clone(), entry.key_style, Self::of(&entry.value));
                Self::Map { entries: entries.iter().map(entry).collect(), tag }
            }
        }
    }

    /// Puts the sign of what is wanted at the end of a path. How a key that comes with it is written does not matter.
    fn want(&mut self, path: &[&str], is_item: bool) {
        let Some((first, rest)) = path.split_first() else {
            match self {
                Self::List { items, .. } if is_item => items.push(Self::Wanted),
                _ if is_item => *self = Self::List { items: vec![Self::Wanted], tag: None },
                _ => *self = Self::Wanted,
            }
            return;
        };
        match self {
            Self::List { items, .. } => {
                if let Some(item) = first.parse::<usize>().ok().and_then(|position| items.get_mut(position)) {
                    item.want(rest, is_item);
                }
            }
            Self::Map { entries, .. } => {
                if let Some((_, _, value)) = entries.iter_mut().find(|(key, _, _)| key == first) {
                    value.want(rest, is_item);
                } else {
                    let mut value = Self::Map { entries: Vec::new(), tag: None };
                    value.want(rest, is_item);
                    entries.push(((*first).to_owned(), Style::Plain, value));
                }
            }
            Self::Scalar { .. } | Self::Wanted => {
                *self = Self::Map { entries: Vec::new(), tag: None };
                self.want(path, is_item);
            }
        }
    }
}

/// Whether the document after the edit is the one before it, with what is wanted and nothing else.
fn proves(before: Option<&Node>, after: &Node, path: &[&str], tail: &Tail<'_>) -> bool {
    let mut expected = before.map_or(Tree::Map { entries: Vec::new(), tag: None }, Tree::of);
    let mut found = Tree::of(after);
    let Some(end) = after.at(path.iter().copied()) else { return false };
    let is_said = match tail {
        Tail::Value(value) => says(end, value),
        Tail::Item(item) => end.as_sequence().and_then(<[Node]>::last).is_some_and(|last| says(last, item)),
    };
    match tail {
        Tail::Value(_) => found.want(path, false),
        Tail::Item(_) => {
            let last = end.as_sequence().map_or(0, <[Node]>::len).saturating_sub(1).to_string();
            let path: Vec<&str> = path.iter().copied().chain([last.as_str()]).collect();
            found.want(&path, false);
        }
    }
    expected.want(path, matches!(tail, Tail::Item(_)));
    is_said && plain_keys(expected) == plain_keys(found)
}

/// A key may need quotes where it is new.
fn plain_keys(tree: Tree) -> Tree {
    match tree {
        Tree::Map { entries, tag } => {
            let entries = entries.into_iter().map(|(key, _, value)| (key, Style::Plain, plain_keys(value))).collect();
            Tree::Map { entries, tag }
        }
        Tree::List { items, tag } => Tree::List { items: items.into_iter().map(plain_keys).collect(), tag },
        other @ (Tree::Scalar { .. } | Tree::Wanted) => other,
    }
}

/// Whether a node says what was to be written.
fn says(node: &Node, value: &New) -> bool {
    match (&node.content, value) {
        (Content::Scalar(scalar), New::Text(text)) => scalar.text == *text && !node.is_null(),
        (Content::Scalar(scalar), New::Word(word)) => scalar.text == *word && scalar.style == Style::Plain,
        (Content::Sequence(items), New::List(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| says(item, value))
        }
        (Content::Mapping(entries), New::Map(values)) => {
            let is_said =
                |(entry, (key, value)): (&Entry, &(String, New))| entry.key == *key && says(&entry.value, value);
            entries.len() == values.len() && entries.iter().zip(values).all(is_said)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> New {
        New::Text(text.to_owned())
    }

    fn word(word: &str) -> New {
        New::Word(word.to_owned())
    }

    fn check(before: &str, path: &str, value: &New, after: &str) {
        let path: Vec<&str> = path.split('.').collect();
        assert_eq!(set(before, &path, value).as_deref(), Ok(after), "{before:?}");
    }

    #[expect(clippy::needless_pass_by_value, reason = "an expectation is written where it is expected")]
    fn refuses(before: &str, path: &str, value: &New, because: Expect) {
        let path: Vec<&str> = path.split('.').collect();
        because.assert_eq(&set(before, &path, value).expect_err(before).to_string());
    }

    #[test]
    fn a_value_is_replaced_as_it_was_written() {
        check("a: 1 # one\nb: 2\n", "a", &word("7"), "a: 7 # one\nb: 2\n");
        check("a: '1' # one\r\nb: 2", "a", &text("it's"), "a: 'it''s' # one\r\nb: 2");
        check("a: \"1\"\n", "a", &text("x\"y"), "a: \"x\\\"y\"\n");
        check("a: {b: [1, 2], c: 3}\n", "a.b.1", &word("9"), "a: {b: [1, 9], c: 3}\n");
        check("a:\n  b: 16.9\n", "a.b", &text("16.10"), "a:\n  b: 16.10\n");
        check("a: x\n", "a", &text("16.10"), "a: \"16.10\"\n");
        check("a:   # later\nb: 1\n", "a", &word("5"), "a: 5   # later\nb: 1\n");
        check("ä: {ö: \"ü\"}", "ä.ö", &text("é"), "ä: {ö: \"é\"}");
    }

    #[test]
    fn a_key_that_is_missing_comes_behind_its_neighbours() {
        check("a:\n  b: 1 # one\n\n# two\nc: 2\n", "a.x", &word("5"), "a:\n  b: 1 # one\n  x: 5\n\n# two\nc: 2\n");
        check("a:\n  b: 1", "a.x", &word("5"), "a:\n  b: 1\n  x: 5");
        check("a: {}\r\nb: {c: 1}\r\n", "b.x.y", &word("5"), "a: {}\r\nb: {c: 1, x: {y: 5}}\r\n");
        check("a: {}\n", "a.x", &text("a, b"), "a: {x: \"a, b\"}\n");
        check(
            "a:\n  b:\n    c: [1,\n      2]\n",
            "a.x.y",
            &word("5"),
            "a:\n  b:\n    c: [1,\n      2]\n  x:\n    y: 5\n",
        );
        check("# nothing yet", "a.b", &word("5"), "# nothing yet\na:\n  b: 5\n");
        check("a:\nb: 1\n", "a.x", &word("5"), "a:\n  x: 5\nb: 1\n");
    }

    #[test]
    fn an_entry_joins_a_list_as_it_is_written() {
        let item = New::Map(vec![("path".to_owned(), text("a/B")), ("until".to_owned(), word("2027-01-01"))]);
        let check = |before: &str, after: &str| {
            assert_eq!(append(before, &["drift", "ignore"], &item).as_deref(), Ok(after), "{before:?}");
        };
        check("x: 1\n", "x: 1\ndrift:\n  ignore:\n    - {path: a/B, until: 2027-01-01}\n");
        check(
            "drift:\n  ignore:\n  - path: c\n    because: d # why\nx: 1\n",
            "drift:\n  ignore:\n  - path: c\n    because: d # why\n  - {path: a/B, until: 2027-01-01}\nx: 1\n",
        );
        check("drift: {ignore: []}\n", "drift: {ignore: [{path: a/B, until: 2027-01-01}]}\n");
        check("drift: {ignore: [1]}", "drift: {ignore: [1, {path: a/B, until: 2027-01-01}]}");
    }

    #[test]
    fn what_would_change_more_is_refused() {
        let five = word("5");
        refuses("a: &x 1\nb: *x\n", "a", &five, expect!["`a` cannot be written there without changing something else"]);
        refuses(
            "a: &x {c: 1}\nb: *x\n",
            "b.c",
            &five,
            expect!["`b` is an alias there: what it stands for would change in other places too"],
        );
        refuses(
            "a: |\n  text\n",
            "a",
            &five,
            expect!["`a` is written over several lines there, and more than its value would be lost"],
        );
        refuses("a: 1\n", "a.b", &five, expect!["`a` is not a map there"]);
        refuses("a: 1\na: 2\n", "a", &five, expect!["it cannot be read as YAML"]);
        refuses(
            "a: &x {c: 1}\nb: *x\n",
            "a.d",
            &five,
            expect!["`a.d` cannot be written there without changing something else"],
        );
        refuses("a: !T x\n", "a", &five, expect!["`a` bears a tag there"]);
    }

    #[test]
    fn an_alias_gives_way_to_a_value_of_its_own() {
        check("a: &x 1\nb: *x # as above\n", "b", &word("5"), "a: &x 1\nb: 5 # as above\n");
    }

    /// A file, as somebody may have written it.
    #[derive(Clone, Debug)]
    enum Written {
        Plain(String),
        Single(String),
        Double(String),
        Block(String),
        Nothing,
        Flow(Vec<(String, Written)>),
        FlowList(Vec<Written>),
        Map(Vec<(String, Written)>),
        List(Vec<Written>),
        Anchored(Box<Written>),
        Alias,
    }

    fn keyed(value: impl Strategy<Value = Written>) -> impl Strategy<Value = Vec<(String, Written)>> {
        proptest::collection::btree_map("[a-dä]{1,2}", value, 1..4).prop_map(|map| map.into_iter().collect())
    }

    fn leaf() -> impl Strategy<Value = Written> {
        prop_oneof![
            "[a-z0-9.]{1,6}".prop_map(Written::Plain),
            "[a-z #:'ü]{0,6}".prop_map(Written::Single),
            "[a-z #:,{}ü]{0,6}".prop_map(Written::Double),
            Just(Written::Alias),
            "[a-z]{1,4}".prop_map(|text| Written::Anchored(Box::new(Written::Plain(text)))),
        ]
    }

    fn in_flow() -> impl Strategy<Value = Written> {
        leaf().prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                keyed(inner.clone()).prop_map(Written::Flow),
                proptest::collection::vec(inner, 0..3).prop_map(Written::FlowList),
            ]
        })
    }

    fn written() -> impl Strategy<Value = Vec<(String, Written)>> {
        let value = prop_oneof![
            4 => in_flow(),
            1 => "[a-z]{1,5}".prop_map(Written::Block),
            1 => Just(Written::Nothing),
        ];
        let value = value.prop_recursive(3, 20, 3, |inner| {
            prop_oneof![
                keyed(inner.clone()).prop_map(Written::Map),
                proptest::collection::vec(inner, 1..3).prop_map(Written::List),
            ]
        });
        keyed(value)
    }

    struct Writer {
        text: String,
        newline: &'static str,
        comments: Vec<bool>,
        has_anchor: bool,
    }

    impl Writer {
        fn line_end(&mut self) {
            if self.comments.pop() == Some(true) {
                self.text.push_str(" # it's: {a} \"comment\"");
            }
            self.text.push_str(self.newline);
            if self.comments.pop() == Some(true) {
                self.text.push_str(self.newline);
            }
        }

        fn entries(&mut self, entries: &[(String, Written)], indent: usize) {
            for (position, (key, value)) in entries.iter().enumerate() {
                // The first stands behind a dash, or where its map begins.
                if position > 0 {
                    self.text.push_str(&" ".repeat(indent));
                }
                self.text.push_str(key);
                self.text.push(':');
                self.value(value, indent);
            }
        }

        fn value(&mut self, value: &Written, indent: usize) {
            match value {
                Written::Nothing => self.line_end(),
                Written::Map(entries) => {
                    self.line_end();
                    self.text.push_str(&" ".repeat(indent + 2));
                    self.entries(entries, indent + 2);
                }
                Written::List(items) => {
                    self.line_end();
                    for item in items {
                        self.text.push_str(&" ".repeat(indent + 1));
                        self.text.push('-');
                        match item {
                            Written::Map(entries) => {
                                self.text.push(' ');
                                self.entries(entries, indent + 3);
                            }
                            item => self.value(item, indent + 1),
                        }
                    }
                }
                Written::Block(text) => {
                    let deeper = " ".repeat(indent + 2);
                    let newline = self.newline;
                    self.text.extend([" |", newline, &deeper, text, newline]);
                }
                inline => {
                    self.text.push(' ');
                    self.inline(inline);
                    self.line_end();
                }
            }
        }

        fn inline(&mut self, value: &Written) {
            match value {
                Written::Plain(text) => self.text.push_str(text),
                Written::Single(text) => self.text.extend(["'", &text.replace('\'', "''"), "'"]),
                Written::Double(text) => self.text.push_str(&quoted(text)),
                Written::Anchored(inner) if !self.has_anchor => {
                    self.has_anchor = true;
                    self.text.push_str("&x ");
                    self.inline(inner);
                }
                Written::Anchored(inner) => self.inline(inner),
                Written::Alias if self.has_anchor => self.text.push_str("*x"),
                Written::Flow(entries) => {
                    self.text.push('{');
                    for (position, (key, value)) in entries.iter().enumerate() {
                        self.text.push_str(if position > 0 { ", " } else { "" });
                        self.text.extend([key, ": "]);
                        self.inline(value);
                    }
                    self.text.push('}');
                }
                Written::FlowList(items) => {
                    self.text.push('[');
                    for (position, item) in items.iter().enumerate() {
                        self.text.push_str(if position > 0 { ", " } else { "" });
                        self.inline(item);
                    }
                    self.text.push(']');
                }
                Written::Alias | Written::Block(_) | Written::Nothing | Written::Map(_) | Written::List(_) => {
                    self.text.push_str("none");
                }
            }
        }
    }

    /// Every path to a value, and one beside each map.
    fn paths(node: &Node, above: &[String], found: &mut Vec<Vec<String>>) {
        let below = |part: &str| above.iter().cloned().chain([part.to_owned()]).collect::<Vec<String>>();
        match &node.content {
            Content::Scalar(_) => {}
            Content::Mapping(entries) => {
                found.push(below("new"));
                for entry in entries {
                    found.push(below(&entry.key));
                    paths(&entry.value, &below(&entry.key), found);
                }
            }
            Content::Sequence(items) => {
                for (position, item) in items.iter().enumerate() {
                    found.push(below(&position.to_string()));
                    paths(item, &below(&position.to_string()), found);
                }
            }
        }
    }

    /// All that a document says, by path. Counted here in another way than the editor counts.
    fn said(node: &Node, path: &str, found: &mut std::collections::BTreeMap<String, String>) {
        match &node.content {
            Content::Scalar(scalar) => {
                found.insert(path.to_owned(), format!("{:?} {}", scalar.style, scalar.text));
            }
            Content::Mapping(entries) => {
                for entry in entries {
                    said(&entry.value, &format!("{path}/{}", entry.key), found);
                }
            }
            Content::Sequence(items) => {
                for (position, item) in items.iter().enumerate() {
                    said(item, &format!("{path}/{position}"), found);
                }
            }
        }
    }

    fn common(left: &str, right: &str) -> (usize, usize) {
        let start = left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
        let rest = left.len().min(right.len()) - start;
        let end = left.bytes().rev().zip(right.bytes().rev()).take(rest).take_while(|(left, right)| left == right);
        (start, end.count())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_edit_loses_a_byte_of_what_it_is_not_about(
            file in written(),
            comments in proptest::collection::vec(any::<bool>(), 0..30),
            is_crlf in any::<bool>(),
            has_end in any::<bool>(),
            value in prop_oneof![
                "[ -~äß]{0,10}".prop_map(New::Text),
                "[1-9][0-9]{0,3}".prop_map(New::Word),
            ],
        ) {
            let newline = if is_crlf { "\r\n" } else { "\n" };
            let mut writer = Writer { text: String::new(), newline, comments, has_anchor: false };
            writer.text.push_str("# about");
            writer.text.push_str(newline);
            writer.entries(&file, 0);
            let before = if has_end { writer.text } else { writer.text.trim_end_matches(['\r', '\n']).to_owned() };
            let Ok(Some(root)) = document(&before) else { return Err(TestCaseError::reject("no YAML")) };
            let mut all = Vec::new();
            paths(&root, &[], &mut all);
            let mut done = 0;
            for path in &all {
                let parts: Vec<&str> = path.iter().map(String::as_str).collect();
                let Ok(after) = set(&before, &parts, &value) else { continue };
                done += 1;
                let key = format!("/{}", path.join("/"));
                let (mut old, mut new) = Default::default();
                said(&root, "", &mut old);
                said(&document(&after).expect("YAML").expect("a document"), "", &mut new);
                let is_elsewhere = |path: &String| *path != key && !path.starts_with(&format!("{key}/"));
                // A key that had nothing has something below it now.
                let had_nothing = |path: &String| key.starts_with(&format!("{path}/"));
                let wanted = new.get(&key).map(|said| said.split_once(' ').expect("a style").1.to_owned());
                let (New::Text(text) | New::Word(text)) = &value else { unreachable!() };
                prop_assert_eq!(wanted.as_ref(), Some(text));
                old.retain(|path, _| is_elsewhere(path) && !had_nothing(path));
                new.retain(|path, _| is_elsewhere(path));
                prop_assert_eq!(old, new);
                // One piece of the text has changed, and nothing that was taken out held a comment or a line end.
                let (start, end) = common(&before, &after);
                let gone = &before.as_bytes()[start..before.len() - end];
                prop_assert!(!gone.contains(&b'\n'), "{:?} → {:?}", before, after);
                prop_assert_eq!(before.matches("# it's").count(), after.matches("# it's").count());
            }
            // Refusing everything would be safe, and useless.
            prop_assert!(done > 0 || before.contains("&x") || all.len() < 20, "none of {} in {:?}", all.len(), before);
        }
    }
}
