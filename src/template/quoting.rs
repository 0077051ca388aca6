//! Text from values can never become syntax.
//!
//! A value such as `yes`, `a: b` or a text of two lines, put into a template by `{{ … }}`, would change what the YAML around it
//! means. So what Tera prints is guarded: characters that YAML could take for syntax are replaced by private-use ones
//! ([`guard`]), the guarded text is read as YAML, and the characters come back in the tree ([`unguard_node`]), after structure is
//! decided. It is to YAML what bound parameters are to SQL.
//!
//! The text shown to people gets quotes where it needs them ([`readable`]): where a guarded text would otherwise read
//! differently, and where YAML 1.1 readers (CloudFormation's, most tools') would take plain text for a number, a time or a
//! yes. Everything else, comments and layout included, stays as the template has it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use crate::environment::{Content, Node, SourceId, Span, Style, yaml};

/// Private-use characters: an ASCII character plus this.
const SHIFT: u32 = 0xE000;

/// Stands before every printed value, so that an empty one is still text.
const MARK: char = '\u{E0FF}';

/// Stand for the `{{` of `{{resolve:`, which Tera must not see.
const RESOLVE: &str = "\u{E0FD}\u{E0FE}";

/// Whether a character is one that rendering needs for itself: for guarding, and up to U+E12F for the marks of
/// [`trace`](super::trace) and the sign of given parameters.
pub fn is_reserved(character: char) -> bool {
    ('\u{E000}'..='\u{E12F}').contains(&character)
}

/// Hides CloudFormation's dynamic references from Tera. Columns stay what they are.
pub fn hide_dynamic_references(text: &str) -> String {
    text.replace("{{resolve:", &format!("{RESOLVE}resolve:"))
}

/// Brings them back.
fn show_dynamic_references(text: &str) -> String {
    text.replace(RESOLVE, "{{")
}

/// Prints a value so that YAML sees only text. Has the form that Tera asks of an escape function.
///
/// # Errors
/// When `out` cannot be written.
pub fn guard(value: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let mut buffer = [0; 4];
    out.write_all(MARK.encode_utf8(&mut buffer).as_bytes())?;
    let mut previous = None;
    let mut rest = value.chars().peekable();
    while let Some(character) = rest.next() {
        let written = if is_syntax(previous, character, rest.peek().copied()) { shifted(character) } else { character };
        out.write_all(written.encode_utf8(&mut buffer).as_bytes())?;
        previous = Some(character);
    }
    Ok(())
}

/// Whether YAML could take this character of a value for syntax, wherever the value is put.
fn is_syntax(previous: Option<char>, character: char, next: Option<char>) -> bool {
    match character {
        '"' | '\'' | '\\' | ',' | '[' | ']' | '{' | '}' => true,
        character if character.is_ascii_control() => true,
        ' ' => previous.is_none() || next.is_none(),
        ':' => !next.is_some_and(|next| next.is_alphanumeric() || matches!(next, '/' | ':' | '_')),
        '#' => previous.is_none_or(char::is_whitespace),
        '-' | '?' => previous.is_none() && !next.is_some_and(char::is_alphanumeric),
        '&' | '*' | '!' | '|' | '>' | '%' | '@' | '`' => previous.is_none(),
        _ => false,
    }
}

fn shifted(character: char) -> char {
    char::from_u32(SHIFT + u32::from(character)).unwrap_or(character)
}

/// What a guarded character stands for; the mark stands for nothing.
fn unshifted(character: char) -> Option<char> {
    match u32::from(character) {
        _ if character == MARK => None,
        code @ SHIFT..=0xE07F => char::from_u32(code - SHIFT),
        _ => Some(character),
    }
}

/// Brings back the characters of a text.
pub fn unguard(text: &str) -> String {
    let text: String = text.chars().filter_map(unshifted).collect();
    show_dynamic_references(&text)
}

fn is_guarded(text: &str) -> bool {
    /// The first byte of every reserved character, and of few others; looking for one byte is quicker than reading characters.
    const FIRST_BYTE: u8 = 0xEE;
    text.as_bytes().contains(&FIRST_BYTE) && text.contains(is_reserved)
}

/// Brings back the characters in a whole tree. A plain text that came from a value is never nothing.
pub fn unguard_node(node: &mut Node) {
    match &mut node.content {
        Content::Scalar(scalar) if is_guarded(&scalar.text) => {
            let text = unguard(&scalar.text);
            if scalar.style == Style::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
                scalar.style = Style::Quoted;
            }
            scalar.text = text;
        }
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter_mut().for_each(unguard_node),
        Content::Mapping(entries) => {
            for entry in entries {
                if is_guarded(&entry.key) {
                    entry.key = unguard(&entry.key);
                }
                unguard_node(&mut entry.value);
            }
        }
    }
}

/// The rendered text as people and other tools should read it: every scalar means what the tree says.
///
/// `guarded` is the text that `root` was read from, guarded characters included. `is_text` tells whether the plain scalar at a
/// place is text, and not a number or a yes.
pub fn readable(guarded: &str, root: &Node, is_text: &dyn Fn(Span) -> bool) -> String {
    let mut changes = BTreeMap::new();
    collect(root, guarded, is_text, &mut changes);
    let mut out = String::with_capacity(guarded.len());
    let mut done = 0;
    for (start, (end, text)) in changes {
        // An alias has the place of its anchor, and was there before.
        if start >= done {
            out.push_str(&outside(&guarded[done..start]));
            out.push_str(&text);
            done = end;
        }
    }
    out.push_str(&outside(&guarded[done..]));
    out.trim_start_matches('\n').to_string()
}

/// Guarded text outside of scalars stands in comments: one line stays one line. Lines that only held tags are taken out.
fn outside(text: &str) -> String {
    let text = if is_guarded(text) { unguard(&text.replace(shifted('\n'), " ")) } else { text.to_string() };
    let last = text.matches('\n').count();
    let mut lines: Vec<&str> = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        // The first and the last piece share their line with a scalar.
        let is_whole = number > 0 && number < last;
        let is_tag_line = !line.is_empty() && line.trim().is_empty();
        let is_second_blank =
            line.is_empty() && lines.len() > 1 && lines.last().is_some_and(|previous| previous.is_empty());
        if !(is_whole && (is_tag_line || is_second_blank)) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

type Changes = BTreeMap<usize, (usize, String)>;

fn collect(node: &Node, guarded: &str, is_text: &dyn Fn(Span) -> bool, changes: &mut Changes) {
    match &node.content {
        Content::Scalar(scalar) => {
            let span = untagged(guarded, node);
            if scalar.style == Style::Block
                && let Some((start, text)) = block(guarded, span, span != node.span, &scalar.text)
            {
                changes.insert(start, (span.end, text));
                return;
            }
            let change = match scalar.style {
                Style::Block => None,
                style => flow(&guarded[span.start..span.end], &scalar.text, style, is_text(node.span)),
            };
            // The blank lines of a text are its own.
            let kept = || Some(guarded[span.start..span.end].to_string()).filter(|raw| raw.contains('\n'));
            if let Some(text) = change.or_else(kept) {
                changes.insert(span.start, (span.end, text));
            }
        }
        Content::Sequence(items) => items.iter().for_each(|item| collect(item, guarded, is_text, changes)),
        Content::Mapping(entries) => {
            for entry in entries {
                let span = entry.key_span;
                if let Some(text) = flow(&guarded[span.start..span.end], &entry.key, entry.key_style, true) {
                    changes.insert(span.start, (span.end, text));
                }
                collect(&entry.value, guarded, is_text, changes);
            }
        }
    }
}

/// The place of a scalar without its tag and anchor.
fn untagged(guarded: &str, node: &Node) -> Span {
    let mut span = node.span;
    loop {
        let text = &guarded[span.start..span.end];
        if !text.starts_with(['!', '&']) {
            return span;
        }
        let word = text.find(char::is_whitespace).unwrap_or(text.len());
        let blank = text[word..].find(|character: char| !character.is_whitespace()).unwrap_or(text.len() - word);
        span.start += word + blank;
    }
}

/// A plain or quoted scalar, written anew where it has to be.
fn flow(raw: &str, text: &str, style: Style, is_text: bool) -> Option<String> {
    let reads_differently = is_text && is_plain(raw) && !is_text_in_yaml_1_1(text);
    let has_syntax =
        raw.contains(|character| is_reserved(character) && character != MARK && !RESOLVE.contains(character));
    let is_lost = style == Style::Quoted && is_plain(raw);
    if reads_differently || has_syntax || is_lost {
        return Some(quoted(text));
    }
    is_guarded(raw).then(|| unguard(raw))
}

fn is_plain(raw: &str) -> bool {
    !raw.starts_with(['"', '\''])
}

fn quoted(text: &str) -> String {
    if text.contains(char::is_control) {
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// A block scalar keeps its layout; further lines of a value are indented like the line they begin in. Where that would read
/// differently (a value that begins with a blank or ends with a line break, lines after `>`), the text is quoted instead.
///
/// What comes back begins where it says. A tagged block's place begins with its `|`, any other's after it.
fn block(guarded: &str, span: Span, has_header: bool, text: &str) -> Option<(usize, String)> {
    let raw = &guarded[span.start..span.end];
    if !is_guarded(raw) {
        return None;
    }
    let line_start = guarded[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let first_indent = &guarded[line_start..span.start];
    let lines: Vec<String> = raw
        .split('\n')
        .enumerate()
        .map(|(number, line)| {
            let own_indent: String = line.chars().take_while(|character| *character == ' ').collect();
            let indent = if number == 0 { first_indent } else { &own_indent };
            unguard(&line.replace(shifted('\n'), &format!("\n{indent}")))
        })
        .collect();
    let written = lines.join("\n");
    let header = if has_header { span.start } else { header(guarded, span.start)? };
    let again = yaml::read(SourceId::RENDERED, &format!("k: {}{written}\n", &guarded[header..span.start]));
    let is_same = again.root.as_ref().and_then(|root| root.get("k")).and_then(Node::as_text) == Some(text);
    Some(if is_same { (span.start, written) } else { (header, quoted(text)) })
}

/// Where the `|` or `>` stands that a block's text follows.
fn header(guarded: &str, start: usize) -> Option<usize> {
    static HEADER: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new(r"[|>][-+0-9]*(?:[ \t]+#.*)?$").expect("a constant expression"));
    let before = guarded[..start].trim_end_matches([' ', '\t', '\r', '\n']);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    HEADER.find(&before[line_start..]).map(|found| line_start + found.start())
}

/// Whether YAML 1.1 takes a plain scalar for text (yaml.org/type: bool, int, float, null, timestamp, merge, value).
fn is_text_in_yaml_1_1(text: &str) -> bool {
    static OTHER: LazyLock<regex::Regex> = LazyLock::new(|| {
        let kinds = [
            r"(?i:y|yes|n|no|true|false|on|off)",
            r"(?i:null)|~|<<|=|",
            r"[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0o?[0-7_]+|[-+]?[0-9][0-9_]*",
            r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?",
            r"[-+]?([0-9][0-9_]*)?\.[0-9_]*([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+",
            r"[-+]?\.(?i:inf|nan)",
            r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ](?u:.)*)?",
        ];
        // YAML's words are ASCII; with Unicode's idea of upper and lower case the expression takes ten times as long to build.
        regex::Regex::new(&format!("^(?-u:{})$", kinds.join("|"))).expect("a constant expression")
    });
    !OTHER.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Sources, yaml};

    fn guarded(value: &str) -> String {
        let mut out = Vec::new();
        guard(value, &mut out).expect("writing to memory");
        String::from_utf8(out).expect("text")
    }

    /// Puts a value into a template as `{{ value }}` would, and reads what comes of it.
    fn put(template: &str, value: &str) -> (Node, String) {
        let text = template.replace('@', &guarded(value));
        let mut sources = Sources::default();
        let id = sources.add("a.yaml".into(), text.clone());
        let reading = yaml::read(id, &text);
        assert_eq!(reading.mistakes, [], "{template} {value:?}");
        let mut root = reading.root.expect("a document");
        unguard_node(&mut root);
        let readable = readable(&text, &root, &|_| true);
        (root, readable)
    }

    const VALUES: &[&str] = &[
        "plain",
        "",
        " ",
        "no",
        "~",
        "null",
        "7.10",
        "012345678901",
        "12:30",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "- a",
        "-",
        "?",
        "? a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "[a",
        "a]",
        "{a",
        "a}",
        "a, b",
        "\"",
        "'",
        "it's",
        "\\",
        "a\nb",
        "a\n\nb\n",
        "\ta",
        "a ",
        " a",
        "---",
        "...",
        "{{resolve:ssm:/a}}",
        "${AWS::Region}",
        "ä ö",
        "a\u{0}b",
        "=",
        "<<",
        "arn:aws:iam::1:policy/x",
        "2026-11-25",
        "\r\n",
    ];

    #[test]
    fn no_value_changes_its_text_in_any_place() {
        for value in VALUES {
            for template in [
                "k: @",
                "k: '@'",
                "k: \"@\"",
                "k: [@, x]",
                "k: {v: @}",
                "k: !Sub @",
                "k: !Sub \"@\"",
                "k: |\n  x @ y\n",
                "k:\n  - @\n",
                "k: x@y",
            ] {
                let (root, _) = put(template, value);
                let mut node = root.get("k").expect("k");
                while let Some(inner) = node.as_sequence().and_then(|items| items.first()).or_else(|| node.get("v")) {
                    node = inner;
                }
                let Content::Scalar(scalar) = &node.content else { panic!("{template} {value:?}: {node:?}") };
                let expected = match template {
                    "k: |\n  x @ y\n" => format!("x {value} y\n"),
                    "k: x@y" => format!("x{value}y"),
                    _ => (*value).to_string(),
                };
                assert_eq!(scalar.text, expected, "{template} {value:?}");
            }
        }
    }

    #[test]
    fn the_readable_text_means_the_same() {
        for value in VALUES.iter().filter(|value| !value.contains(['\r', '\u{0}'])) {
            for template in [
                "k: @",
                "k: '@'",
                "k: \"@\"",
                "k: [@, x]",
                "k: {v: @}",
                "k: |\n  x @ y\n",
                "k: x@y",
                "@: v",
                "k: v # @",
            ] {
                let (root, readable) = put(template, value);
                let mut sources = Sources::default();
                let id = sources.add("a.yaml".into(), readable.clone());
                let again = yaml::read(id, &readable);
                assert_eq!(again.mistakes, [], "{template} {value:?} {readable:?}");
                assert_eq!(texts(&again.root.expect("a document")), texts(&root), "{template} {value:?} {readable:?}");
            }
        }
    }

    fn texts(node: &Node) -> Vec<String> {
        match &node.content {
            Content::Scalar(scalar) => vec![scalar.text.clone()],
            Content::Sequence(items) => items.iter().flat_map(texts).collect(),
            Content::Mapping(entries) => {
                entries.iter().flat_map(|entry| [vec![entry.key.clone()], texts(&entry.value)].concat()).collect()
            }
        }
    }

    #[test]
    fn only_what_reads_differently_is_quoted() {
        for (template, value, expected) in [
            ("k: @", "plain", "k: plain"),
            ("k: @", "arn:aws:iam::1:policy/x", "k: arn:aws:iam::1:policy/x"),
            ("k: a @ b # kept", "c", "k: a c b # kept"),
            ("k: @", "no", "k: 'no'"),
            ("k: @", "it's: so", "k: 'it''s: so'"),
            ("k: \"@\"", "a\nb", "k: \"a\\nb\""),
            ("k: 7.10\n# @", "x", "k: '7.10'\n# x"),
            ("k: |\n    x @\n    y\n", "1\n2", "k: |\n    x 1\n    2\n    y\n"),
            ("k: !Sub @", "a, b", "k: !Sub 'a, b'"),
            // Blocks that lost a value's blanks and line breaks.
            ("k: |\n  @\n", " a", "k: \" a\\n\"\n"),
            ("k: !Sub | # why\n  @\nl: m\n", "a\n", "k: !Sub \"a\\n\\n\"\nl: m\n"),
            ("k: >-\n  x @\n", "a\nb", "k: \"x a\\nb\"\n"),
        ] {
            assert_eq!(put(template, value).1, expected);
        }
    }

    #[test]
    fn lines_that_only_held_tags_are_taken_out() {
        assert_eq!(
            put("\n\na: @\n  \n\n  \n\n  # c\n  \nb: |\n  x\n\n\n  y\n", "v").1,
            "a: v\n\n  # c\nb: |\n  x\n\n\n  y\n"
        );
    }

    #[test]
    fn dynamic_references_pass_through_tera() {
        let hidden = hide_dynamic_references("a: \"{{resolve:ssm:/a}}\" {{ b }}");
        assert_eq!(hidden.chars().count(), "a: \"{{resolve:ssm:/a}}\" {{ b }}".chars().count());
        assert_eq!(unguard(&hidden), "a: \"{{resolve:ssm:/a}}\" {{ b }}");
    }
}
