//! What can be read off a template's text without Tera: where tags begin and end, what they name; and the marks that lead from a
//! rendered line back to the template's.

use std::sync::LazyLock;

use regex::Regex;

/// Around `FILE.LINE`, whose digits are private-use characters too.
const OPEN: char = '\u{E100}';
const CLOSE: char = '\u{E101}';
const DIGITS: u32 = 0xE110;

/// The byte at a line (from 1) and a column (from 0, in characters).
pub fn offset(text: &str, (line, column): (usize, usize)) -> usize {
    let line_start =
        if line <= 1 { 0 } else { text.match_indices('\n').nth(line - 2).map_or(text.len(), |(index, _)| index + 1) };
    text[line_start..].char_indices().nth(column).map_or(text.len(), |(index, _)| line_start + index)
}

/// A template with a mark at the end of every line that does not end inside a tag. In one that extends another, Tera takes text in
/// blocks only.
pub(crate) fn mark_lines(text: &str, file: usize) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut inside: Option<&'static str> = None;
    let is_child = EXTENDS.is_match(text);
    let mut blocks = 0_usize;
    let mut rest = text;
    let mut line = 1;
    while let Some(character) = rest.chars().next() {
        if character == '\n' {
            if inside.is_none() && (!is_child || blocks > 0) {
                push_mark(&mut out, file, line);
            }
            line += 1;
        }
        let step = match inside {
            Some(end) if rest.starts_with(end) => {
                inside = None;
                end.len()
            }
            None => {
                match [("{{", "}}"), ("{%", "%}"), ("{#", "#}")].iter().find(|(start, _)| rest.starts_with(start)) {
                    Some((start, end)) => {
                        match tag_word(rest) {
                            "block" | "component" => blocks += 1,
                            "endblock" | "endcomponent" => blocks = blocks.saturating_sub(1),
                            _ => {}
                        }
                        inside = Some(end);
                        start.len()
                    }
                    None => character.len_utf8(),
                }
            }
            Some(_) => character.len_utf8(),
        };
        out.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    if inside.is_none() && !is_child {
        push_mark(&mut out, file, line);
    }
    out
}

static EXTENDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{%-?\s*extends\s").expect("a constant expression"));

/// The first word of the tag that a text begins with: `block` of `{%- block x %}`.
fn tag_word(text: &str) -> &str {
    let Some(inner) = text.strip_prefix("{%") else { return "" };
    let inner = inner.trim_start_matches('-').trim_start();
    &inner[..inner.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(inner.len())]
}

fn push_mark(out: &mut String, file: usize, line: usize) {
    let digits = |number: usize| -> String {
        number.to_string().chars().filter_map(|digit| char::from_u32(DIGITS + digit.to_digit(10)?)).collect()
    };
    out.push(OPEN);
    out.push_str(&digits(file));
    out.push(OPEN);
    out.push_str(&digits(line));
    out.push(CLOSE);
}

fn is_mark(character: char) -> bool {
    ('\u{E100}'..='\u{E11F}').contains(&character)
}

/// A rendered text without its marks.
pub(crate) fn without_marks(text: &str) -> String {
    text.chars().filter(|character| !is_mark(*character)).collect()
}

/// File and line of the first mark in a rendered line.
pub(crate) fn mark_of(line: &str) -> Option<(usize, usize)> {
    let mark = line.split_once(OPEN)?.1.split_once(CLOSE)?.0;
    let (file, number) = mark.split_once(OPEN)?;
    let number_of = |digits: &str| -> Option<usize> {
        let digits: String =
            digits.chars().filter_map(|digit| char::from_digit(u32::from(digit).checked_sub(DIGITS)?, 10)).collect();
        digits.parse().ok()
    };
    Some((number_of(file)?, number_of(number)?))
}

/// The names that a template sets by itself.
pub(crate) fn assignments(text: &str) -> impl Iterator<Item = &str> {
    static SET: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{%-?\s*set(?:_global)?\s+([A-Za-z_]\w*)").expect("a constant expression"));
    SET.captures_iter(text).filter_map(|captures| captures.get(1)).map(|name| name.as_str())
}

/// Where a variable first stands in a tag.
pub(crate) fn first_use(text: &str, variable: &str) -> Option<usize> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(variable)
        .find(|(start, found)| {
            let before = text[..*start].chars().next_back();
            let after = text[start + found.len()..].chars().next();
            let is_whole = !before.is_some_and(|it| is_word(it) || it == '.') && !after.is_some_and(is_word);
            let opened = text[..*start].rfind("{{").max(text[..*start].rfind("{%"));
            let closed = text[..*start].rfind("}}").max(text[..*start].rfind("%}"));
            is_whole && opened > closed
        })
        .map(|(start, _)| start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_in_characters() {
        assert_eq!(offset("ä\nöb", (2, 1)), 5);
        assert_eq!(offset("a", (9, 9)), 1);
    }

    #[test]
    fn a_variable_is_found_where_it_is_used() {
        assert_eq!(first_use("# zone\n{{ my_zone }} {{ zone }}", "zone"), Some(24));
    }
}
