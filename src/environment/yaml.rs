//! The one reader of YAML: of environment files, `inputs.yaml` and rendered templates.
//!
//! It keeps what other readers lose: the text of every scalar as it was written (`7.10`, `012345678901`, `no`), how it was
//! quoted, its tag, and where it stands. It decides nothing about types; whoever knows the schema does.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use crate::environment::{Mistake, SourceId, Span};

/// How deep collections may lie in each other. CloudFormation's own templates stay below 20.
pub const DEPTH_MAX: usize = 64;

/// How many nodes aliases may add. A few lines of nested aliases can stand for thousands of millions ("billion laughs"); an
/// honest file repeats a block a few times.
pub const ALIASED_NODES_MAX: usize = 10_000;

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: its type depends on who reads it.
    Plain,
    /// In quotes: text.
    Quoted,
    /// After `|` or `>`: text.
    Block,
}

/// A piece of text and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes and escapes.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// How the key was written.
    pub key_style: Style,
    /// What it holds.
    pub value: Node,
}

/// What a node is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A map, in the order it was written.
    Mapping(Vec<Entry>),
}

/// One value of a document, with the place it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it holds.
    pub content: Content,
    /// A local tag without its `!`: `Sub` of `!Sub`.
    pub tag: Option<String>,
    /// Where it stands, its tag included.
    pub span: Span,
}

impl Node {
    /// An empty map at a place.
    pub fn empty_mapping(span: Span) -> Self {
        Self { content: Content::Mapping(Vec::new()), tag: None, span }
    }

    /// A quoted text at a place.
    pub fn text(text: impl Into<String>, span: Span) -> Self {
        Self { content: Content::Scalar(Scalar { text: text.into(), style: Style::Quoted }), tag: None, span }
    }

    /// Whether it says "nothing": empty, `~` or `null`, without quotes.
    pub fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) => {
                scalar.style == Style::Plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Content::Sequence(_) | Content::Mapping(_) => false,
        }
    }

    /// Its text, if it is a scalar and says something.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) if !self.is_null() => Some(&scalar.text),
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }

    /// Its elements, if it is a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.content {
            Content::Sequence(items) => Some(items),
            Content::Scalar(_) | Content::Mapping(_) => None,
        }
    }

    /// Its entries, if it is a map.
    pub fn as_mapping(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Mapping(entries) => Some(entries),
            Content::Scalar(_) | Content::Sequence(_) => None,
        }
    }

    /// The entry under `key`, if it is a map that has one.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_mapping()?.iter().find(|entry| entry.key == key)
    }

    /// The value under `key`, if it is a map that has one.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value at the end of a path of keys and positions.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Node> {
        path.into_iter().try_fold(self, |node, part| match &node.content {
            Content::Mapping(_) => node.get(part),
            Content::Sequence(items) => items.get(part.parse::<usize>().ok()?),
            Content::Scalar(_) => None,
        })
    }

    /// What it is, in a word: `text`, `a list`, `a map`, `nothing`.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(_) if self.is_null() => "nothing",
            Content::Scalar(_) => "text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a map",
        }
    }

    fn count(&self) -> usize {
        match &self.content {
            Content::Scalar(_) => 1,
            Content::Sequence(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Content::Mapping(entries) => 1 + entries.iter().map(|entry| 1 + entry.value.count()).sum::<usize>(),
        }
    }
}

/// What can be wrong with a text as YAML.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum YamlFault {
    /// A line is indented with a tab.
    #[error("a tab cannot indent YAML")]
    Tab,
    /// Not YAML for another reason.
    #[error("this is not YAML: {0}")]
    NotYaml(String),
    /// `!Base64 !Sub x`.
    #[error("two short tags cannot follow each other")]
    TagAfterTag,
    /// More than one document in a file.
    #[error("a second document begins here, but a file holds one")]
    SecondDocument,
    /// One key twice in a map.
    #[error("`{0}` stands twice in this map")]
    DuplicateKey(String),
    /// A list or a map used as a key.
    #[error("a key must be text")]
    KeyIsNotText,
    /// An alias of nothing.
    #[error("this alias stands for nothing")]
    UnknownAlias,
    /// Beyond [`ALIASED_NODES_MAX`].
    #[error("the aliases of this file stand for more than {ALIASED_NODES_MAX} values")]
    TooManyAliases,
    /// Beyond [`DEPTH_MAX`].
    #[error("collections lie more than {DEPTH_MAX} deep in each other")]
    TooDeep,
    /// A tag of YAML's own that this reader does not take.
    #[error("the tag `!!{0}` is not understood")]
    CoreTag(String),
}

/// What came out of reading a text.
#[derive(Debug, Default)]
pub struct Reading {
    /// The document; nothing for an empty text or one that cannot be read.
    pub root: Option<Node>,
    /// What was wrong. A document may be there all the same.
    pub mistakes: Vec<Mistake>,
}

/// Reads one document.
///
/// Mistakes that leave the rest readable (a key that stands twice) are collected; one that does not (a tab) ends the reading.
pub fn read(source: SourceId, text: &str) -> Reading {
    let mut reader = Reader {
        source,
        text,
        bytes: ByteIndex::new(text),
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        aliased_nodes: 0,
        mistakes: Vec::new(),
    };
    let root = match reader.document() {
        Ok(root) => root,
        Err(mistake) => {
            reader.mistakes.push(*mistake);
            None
        }
    };
    Reading { root, mistakes: reader.mistakes }
}

/// Up to this many entries, looking through them is quicker than hashing their keys. Most maps have fewer; one of a thousand stacks
/// would take a thousand times as long.
const ENTRIES_LOOKED_THROUGH_MAX: usize = 16;

/// Whether a map has the key already. `seen` is kept for maps that are too large to be looked through.
fn is_known(key: &str, entries: &[Entry], seen: &mut HashSet<String>) -> bool {
    if entries.len() < ENTRIES_LOOKED_THROUGH_MAX {
        return entries.iter().any(|entry| entry.key == key);
    }
    if seen.is_empty() {
        seen.extend(entries.iter().map(|entry| entry.key.clone()));
    }
    !seen.insert(key.to_string())
}

/// The parser counts characters, everybody else bytes: how many bytes more than characters there are, from which character on.
struct ByteIndex {
    /// Behind each wide character: how many characters there were, and how many bytes more than that.
    steps: Vec<(usize, usize)>,
    bytes: usize,
}

impl ByteIndex {
    fn new(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut more = 0;
        if !text.is_ascii() {
            for (position, character) in text.chars().enumerate().filter(|(_, character)| !character.is_ascii()) {
                more += character.len_utf8() - 1;
                steps.push((position + 1, more));
            }
        }
        Self { steps, bytes: text.len() }
    }

    fn of(&self, character: usize) -> usize {
        let passed = self.steps.partition_point(|(position, _)| *position <= character);
        let more = passed.checked_sub(1).map_or(0, |last| self.steps[last].1);
        (character + more).min(self.bytes)
    }
}

struct Reader<'text> {
    source: SourceId,
    text: &'text str,
    bytes: ByteIndex,
    events: Parser<'text, saphyr_parser::StrInput<'text>>,
    anchors: HashMap<usize, Node>,
    aliased_nodes: usize,
    mistakes: Vec<Mistake>,
}

/// Boxed: a mistake is large, and seldom.
type Step<T> = Result<T, Box<Mistake>>;

impl<'text> Reader<'text> {
    fn document(&mut self) -> Step<Option<Node>> {
        let mut root = None;
        loop {
            let Some((event, span)) = self.next()? else { return Ok(root) };
            match event {
                Event::DocumentStart(_) if root.is_some() => {
                    let hint = "give each document a file of its own";
                    self.mistakes.push(Mistake::at(span, &YamlFault::SecondDocument).hint(hint));
                    return Ok(root);
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.expect_next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                Event::StreamEnd => return Ok(root),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Step<Option<(Event<'text>, Span)>> {
        match self.events.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, self.span(span)))),
            Some(Err(error)) => Err(Box::new(self.not_yaml(&error))),
        }
    }

    fn expect_next(&mut self) -> Step<(Event<'text>, Span)> {
        let end = Span { source: self.source, start: self.text.len(), end: self.text.len() };
        self.next()?.ok_or_else(|| Box::new(Mistake::at(end, &YamlFault::NotYaml("it ends too early".into()))))
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.bytes.of(span.start.index());
        Span { source: self.source, start, end: self.bytes.of(span.end.index()).max(start) }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Step<Node> {
        if depth > DEPTH_MAX {
            return Err(Box::new(Mistake::at(span, &YamlFault::TooDeep)));
        }
        match event {
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let (tag, is_text) = self.local_tag(tag.as_deref(), span);
                let style = match style {
                    ScalarStyle::Plain if is_text => Style::Quoted,
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let span = if style == Style::Block { self.without_trailing_newlines(span) } else { span };
                let scalar = Scalar { text: text.into_owned(), style };
                Ok(self.anchored(anchor, Node { content: Content::Scalar(scalar), tag, span }))
            }
            Event::SequenceStart(anchor, tag) => {
                let (tag, _) = self.local_tag(tag.as_deref(), span);
                let (items, end) = self.items(span, depth)?;
                let span = Span { end, ..span };
                Ok(self.anchored(anchor, Node { content: Content::Sequence(items), tag, span }))
            }
            Event::MappingStart(anchor, tag) => {
                let (tag, _) = self.local_tag(tag.as_deref(), span);
                let (entries, end) = self.entries(span, depth)?;
                let span = Span { end, ..span };
                Ok(self.anchored(anchor, Node { content: Content::Mapping(entries), tag, span }))
            }
            _ => Err(Box::new(Mistake::at(span, &YamlFault::NotYaml("a value is missing".into())))),
        }
    }

    fn items(&mut self, start: Span, depth: usize) -> Step<(Vec<Node>, usize)> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.expect_next()?;
            if matches!(event, Event::SequenceEnd) {
                let last = items.last().map(|item| item.span);
                return Ok((items, end_of_collection(start, last, span)));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn entries(&mut self, start: Span, depth: usize) -> Step<(Vec<Entry>, usize)> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        loop {
            let (event, span) = self.expect_next()?;
            if matches!(event, Event::MappingEnd) {
                let last = entries.last().map(|entry| entry.value.span);
                return Ok((entries, end_of_collection(start, last, span)));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.expect_next()?;
            let value = self.node(event, span, depth + 1)?;
            let Content::Scalar(Scalar { text, style }) = key.content else {
                self.mistakes.push(Mistake::at(key.span, &YamlFault::KeyIsNotText));
                continue;
            };
            if is_known(&text, &entries, &mut seen) {
                self.mistakes.push(duplicate(&entries, &text, key.span));
                continue;
            }
            entries.push(Entry { key: text, key_span: key.span, key_style: style, value });
        }
    }

    fn anchored(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step<Node> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Box::new(Mistake::at(span, &YamlFault::UnknownAlias)));
        };
        self.aliased_nodes += node.count();
        if self.aliased_nodes > ALIASED_NODES_MAX {
            return Err(Box::new(Mistake::at(span, &YamlFault::TooManyAliases)));
        }
        // The copy keeps the anchor's spans: that is the line somebody would edit.
        Ok(node.clone())
    }

    /// The tag a template may use, and whether YAML's own tag says that the scalar is text.
    fn local_tag(&mut self, tag: Option<&Tag>, span: Span) -> (Option<String>, bool) {
        match tag {
            None => (None, false),
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => (None, true),
            Some(tag) if tag.is_yaml_core_schema() => {
                let hint = "quote what must be text; everything else takes its type from the schema";
                self.mistakes.push(Mistake::at(span, &YamlFault::CoreTag(tag.suffix.clone())).hint(hint));
                (None, false)
            }
            Some(tag) => (Some(tag.suffix.clone()), false),
        }
    }

    fn without_trailing_newlines(&self, span: Span) -> Span {
        let text = &self.text[span.start..span.end];
        // Blanks of Unicode are text.
        Span { end: span.start + text.trim_end_matches([' ', '\t', '\r', '\n']).len(), ..span }
    }

    fn not_yaml(&self, error: &ScanError) -> Mistake {
        let start = self.bytes.of(error.marker().index()).min(self.text.len());
        let span = Span { source: self.source, start, end: start };
        let line = self.line_around(start);
        if error.info().contains("tab") {
            let tab = self.text[..start].rfind('\t').unwrap_or(start);
            return Mistake::at(Span { start: tab, end: tab + 1, ..span }, &YamlFault::Tab).hint("indent with spaces");
        }
        if error.info().contains("unknown anchor") {
            let hint = "an anchor stands before its aliases, in the same file: `&name`, then `*name`";
            return Mistake::at(span, &YamlFault::UnknownAlias).hint(hint);
        }
        // The parser has a bound of its own for brackets in brackets.
        if error.info().contains("recursion limit") {
            return Mistake::at(span, &YamlFault::TooDeep);
        }
        if let Some(tag) = second_tag(line) {
            return Mistake::at(span, &YamlFault::TagAfterTag)
                .hint(format!("write the outer one in full, on a line of its own: `Fn::{tag}:`"));
        }
        let fault = YamlFault::NotYaml(
            error
                .info()
                .trim_start_matches("while parsing ")
                .replace("flow mapping, ", "map in braces: ")
                .replace("flow sequence, ", "list in brackets: "),
        );
        let says = |words: &str| error.info().contains(words);
        let hint = if says("mapping values are not allowed") {
            Some("text that holds `: ` must be quoted; a key must be indented like its neighbours")
        } else if says("expected ','") {
            Some("a bracket opened before this is not closed, or text that holds `: ` is not quoted")
        } else {
            None
        };
        Mistake::at(span, &fault).maybe_hint(hint.map(str::to_string))
    }

    fn line_around(&self, index: usize) -> &str {
        let index = self.text.floor_char_boundary(index);
        let start = self.text[..index].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[index..].find('\n').map_or(self.text.len(), |newline| index + newline);
        &self.text[start..end]
    }
}

/// A block has no end of its own: it ends with its last child, while `]` and `}` are seen.
fn end_of_collection(start: Span, last: Option<Span>, end: Span) -> usize {
    if end.end > end.start {
        return end.end;
    }
    last.filter(|last| last.end >= start.start).map_or(start.end, |last| last.end)
}

fn duplicate(entries: &[Entry], key: &str, span: Span) -> Mistake {
    let mistake = Mistake::at(span, &YamlFault::DuplicateKey(key.to_string())).hint("keep one of the two");
    match entries.iter().find(|entry| entry.key == key) {
        Some(first) => mistake.related(first.key_span, "first here"),
        None => mistake,
    }
}

/// The first of two tags that follow each other, as in `!Base64 !Sub x`.
fn second_tag(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| !word.starts_with('!'));
    let first = words.next()?.strip_prefix('!')?;
    words.next()?.starts_with('!').then_some(first)
}

/// Reads a text that is right, for tests.
#[cfg(test)]
pub(crate) fn parsed(text: &str) -> Node {
    let mut sources = crate::environment::Sources::default();
    let reading = read(sources.add("a.yaml".into(), text.into()), text);
    assert_eq!(reading.mistakes, [], "{text}");
    reading.root.expect("a document")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Sources;

    fn reading(text: &str) -> (Sources, Reading) {
        let mut sources = Sources::default();
        let id = sources.add("a.yaml".into(), text.into());
        let reading = read(id, text);
        (sources, reading)
    }

    fn mistakes(text: &str) -> Vec<String> {
        let (sources, reading) = reading(text);
        let place = |mistake: &Mistake| mistake.span.map(|span| sources.place(span).to_string()).unwrap_or_default();
        reading.mistakes.iter().map(|mistake| format!("{} {}", place(mistake), mistake.message)).collect()
    }

    #[test]
    fn no_text_changes_on_the_way() {
        for text in ["7.10", "012345678901", "12:30", "no", "0x10", "1e3", "+1", "1_000", "2026-11-25", ".5", "0o17"] {
            assert_eq!(parsed(&format!("a: {text}")).get("a").and_then(Node::as_text), Some(text));
        }
    }

    #[test]
    fn spans_are_bytes_even_after_wide_letters() {
        let (sources, reading) = reading("ä: \"ö\"\nb: [x, y]\n");
        let root = reading.root.expect("a document");
        assert_eq!(sources.text(root.get("ä").expect("ä").span), "\"ö\"");
        assert_eq!(sources.text(root.get("b").expect("b").span), "[x, y]");
        assert_eq!(sources.place(root.get("b").expect("b").span).to_string(), "a.yaml:2:4");
    }

    #[test]
    fn a_block_ends_with_its_last_child() {
        let (sources, reading) = reading("a:\n  b: 1\n  c: 2\n\n\nd: 3\n");
        let root = reading.root.expect("a document");
        assert_eq!(sources.text(root.get("a").expect("a").span), "b: 1\n  c: 2");
    }

    #[test]
    fn quoted_words_are_never_nothing() {
        let root = parsed("a: null\nb: 'null'\nc:\nd: ''\ne: !!str null\n");
        let nulls: Vec<bool> =
            ["a", "b", "c", "d", "e"].iter().map(|key| root.get(key).expect("a key").is_null()).collect();
        assert_eq!(nulls, [true, false, true, false, false]);
    }

    #[test]
    fn tags_are_kept() {
        let root = parsed("a: !Sub '${x}'\nb: !GetAtt A.B\nc: !If [x, y, z]\n");
        assert_eq!(root.get("a").and_then(|node| node.tag.as_deref()), Some("Sub"));
        assert_eq!(root.get("c").and_then(|node| node.tag.as_deref()), Some("If"));
    }

    #[test]
    fn every_duplicate_is_told_with_the_first_place() {
        assert_eq!(
            mistakes("a: 1\nb: 2\na: 3\nb: 4\n"),
            ["a.yaml:3:1 `a` stands twice in this map", "a.yaml:4:1 `b` stands twice in this map"]
        );
        let (sources, reading) = reading("a: 1\na: 2\n");
        assert_eq!(sources.place(reading.mistakes[0].related[0].span).to_string(), "a.yaml:1:1");
    }

    #[test]
    fn what_is_not_yaml_is_told_at_its_place() {
        assert_eq!(mistakes("a:\n\tb: 1\n"), ["a.yaml:2:1 a tab cannot indent YAML"]);
        assert_eq!(mistakes("a: 1\n---\nb: 2\n"), ["a.yaml:2:1 a second document begins here, but a file holds one"]);
        assert_eq!(mistakes("a: !Base64 !Sub x\n"), ["a.yaml:1:12 two short tags cannot follow each other"]);
        assert_eq!(mistakes("[a]: 1\n"), ["a.yaml:1:1 a key must be text"]);
        assert_eq!(
            mistakes("a: b: c\n"),
            ["a.yaml:1:5 this is not YAML: mapping values are not allowed in this context"]
        );
    }

    #[test]
    fn a_billion_laughs_are_refused_at_once() {
        use std::fmt::Write as _;
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{below}]").expect("writing to text");
        }
        assert_eq!(mistakes(&text), ["a.yaml:4:45 the aliases of this file stand for more than 10000 values"]);
    }

    #[test]
    fn a_pit_of_brackets_is_refused() {
        for (depth, place) in [(100, "a.yaml:1:68"), (100_000, "a.yaml:1:259")] {
            let text = format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(mistakes(&text), [format!("{place} collections lie more than 64 deep in each other")]);
        }
    }

    #[test]
    fn an_alias_within_its_own_anchor_stands_for_nothing() {
        assert_eq!(mistakes("a: &a [*a]\n"), ["a.yaml:1:8 this alias stands for nothing"]);
    }
}
