//! A summary for a comment: a table of what was found, and the details folded away. Never longer than GitHub takes.

use std::fmt::Write as _;

use super::{Detail, Finding, Sheet, Weight, printable};

/// The most that GitHub takes for a comment, in characters; bytes are never fewer.
const COMMENT_MAX: usize = 65_536;

/// What is kept for the sentence that says that something was cut.
const CUT_MAX: usize = 300;

/// The longest heading, in characters. The title is an environment's name, which is read from what was typed.
const HEADING_MAX: usize = 1_000;

pub(super) fn markdown(sheet: &Sheet) -> String {
    let heading = |text: &str| inline(&text.chars().take(HEADING_MAX).collect::<String>());
    let mut text = format!("### greenroom {}\n\n{}\n", heading(&sheet.title), heading(&sheet.summary));
    let room = COMMENT_MAX - CUT_MAX;
    let mut findings: Vec<&Finding> = sheet.findings.iter().filter(|finding| is_shown(finding)).collect();
    findings.sort_by_key(|finding| finding.weight);
    let rows: Vec<String> = findings.into_iter().map(row).collect();
    let head = "\n| | place | what |\n|---|---|---|\n";
    let mut shown = 0;
    for row in &rows {
        let head = if shown == 0 { head } else { "" };
        if text.len() + head.len() + row.len() > room {
            break;
        }
        text.push_str(head);
        text.push_str(row);
        shown += 1;
    }
    let mut is_cut = false;
    for detail in &sheet.details {
        let (folded, is_whole) = folded(detail, room.saturating_sub(text.len()));
        text.push_str(&folded);
        is_cut |= !is_whole;
    }
    let left_out = rows.len() - shown;
    if left_out > 0 || is_cut {
        let rows =
            if left_out > 0 { format!(", {left_out} of {} findings among it", rows.len()) } else { String::new() };
        let _ = write!(
            text,
            "\n_Cut here: GitHub takes 65,536 characters, and there is more{rows}. `--format json` has it whole._\n"
        );
    }
    text
}

/// What is let be, and what is only told, stands in the details.
fn is_shown(finding: &Finding) -> bool {
    finding.weight != Weight::Note && finding.let_be.is_none()
}

fn row(finding: &Finding) -> String {
    let level = match finding.weight {
        Weight::Unknown => "unknown",
        Weight::Wrong => "**error**",
        Weight::Warning => "warning",
        Weight::Note => "note",
    };
    let place = finding.place.as_ref().map(|region| format!("`{}`", region.start)).unwrap_or_default();
    format!("| {level} | {} | {} |\n", inline(&place), inline(&finding.told()))
}

/// A detail, cut at the end of a line where it does not fit. Says whether it is whole.
fn folded(detail: &Detail, room: usize) -> (String, bool) {
    let text = printable(&detail.text);
    let longest = text.split(|it| it != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let head = format!("\n<details><summary>{}</summary>\n\n{fence}text\n", inline(&detail.heading));
    let tail = format!("{fence}\n\n</details>\n");
    let Some(room) = room.checked_sub(head.len() + tail.len()) else { return (String::new(), false) };
    let mut kept = String::new();
    for line in text.lines() {
        if kept.len() + line.len() + 1 > room {
            return if kept.is_empty() { (String::new(), false) } else { (format!("{head}{kept}{tail}"), false) };
        }
        kept.push_str(line);
        kept.push('\n');
    }
    (format!("{head}{kept}{tail}"), true)
}

/// A sentence in a cell: what stands in backticks as code, all else as it is. In HTML, because a cell's code may hold no `|`.
fn inline(text: &str) -> String {
    let text = printable(text);
    let mut html = String::new();
    let is_paired = text.matches('`').count().is_multiple_of(2);
    let mut is_code = false;
    for character in text.trim_end().chars() {
        match character {
            '`' if is_paired => {
                html.push_str(if is_code { "</code>" } else { "<code>" });
                is_code = !is_code;
            }
            '\n' => html.push_str("<br>"),
            '\r' => {}
            // Nobody is called by a value.
            '@' if !is_code => html.push_str("@&#8203;"),
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' | '$' | '!' => {
                let _ = write!(html, "&#{};", u32::from(character));
            }
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_a_cell() {
        assert_eq!(
            inline("`a|b` is <b> & *c*\nby @jane"),
            "<code>a&#124;b</code> is &#60;b&#62; &#38; &#42;c&#42;<br>by @&#8203;jane"
        );
        assert_eq!(inline("one ` is none"), "one &#96; is none");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_it() {
        let detail = Detail { heading: "a".to_owned(), text: "````\nx\n".to_owned() };
        let expected = "\n<details><summary>a</summary>\n\n`````text\n````\nx\n`````\n\n</details>\n";
        assert_eq!(folded(&detail, 1000), (expected.to_owned(), true));
    }

    #[test]
    fn it_is_cut_at_a_line_and_says_so() {
        let finding = |number: usize| Finding {
            rule: "plan/change".to_owned(),
            weight: Weight::Wrong,
            message: format!("{number} {}", "ü".repeat(1000)),
            subject: String::new(),
            cases: Vec::new(),
            place: None,
            related: Vec::new(),
            notes: Vec::new(),
            hint: None,
            let_be: None,
        };
        let sheet = Sheet {
            title: "plan".to_owned(),
            summary: "much".to_owned(),
            cases: Vec::new(),
            findings: (0..100).map(finding).collect(),
            details: vec![Detail { heading: "all".to_owned(), text: "line\n".repeat(100_000) }],
            home: None,
            exit: crate::error::Exit::Done,
            is_complete: true,
        };
        let text = markdown(&sheet);
        assert!(text.len() <= COMMENT_MAX, "{}", text.len());
        let end = "_Cut here: GitHub takes 65,536 characters, and there is more, 68 of 100 findings among it. `--format json` has it whole._\n";
        assert!(text.ends_with(end), "{}", &text[text.len() - 200..]);
        assert!(text.contains("```\n\n</details>"));
    }
}
