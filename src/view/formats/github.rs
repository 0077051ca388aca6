//! Workflow commands: GitHub shows each beside its line (GitHub Docs, "Workflow commands for GitHub Actions").

use std::fmt::Write as _;

use super::{Finding, Sheet, Weight, printable};

pub(super) fn github(sheet: &Sheet) -> String {
    // GitHub shows ten of each level a step: the worst first.
    let mut findings: Vec<&Finding> = sheet.findings.iter().filter(|finding| finding.let_be.is_none()).collect();
    findings.sort_by_key(|finding| finding.weight);
    let mut text = String::new();
    for finding in findings {
        let level = match finding.weight {
            Weight::Unknown | Weight::Wrong => "error",
            Weight::Warning => "warning",
            Weight::Note => "notice",
        };
        let mut properties = Vec::new();
        if let Some(start) = finding.place.as_ref().map(|region| &region.start) {
            properties.push(format!("file={}", property(&start.path)));
            properties.push(format!("line={},col={}", start.line, start.column));
        }
        properties.push(format!("title={}", property(&format!("greenroom {}", finding.rule))));
        let _ = writeln!(text, "::{level} {}::{}", properties.join(","), data(&finding.told()));
    }
    text
}

/// As `@actions/core` escapes a message.
fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As `@actions/core` escapes a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_command_or_a_property_early() {
        assert_eq!(data("50 % of\r\na, b: c\u{1b}"), "50 %25 of%0D%0Aa, b: c\u{fffd}");
        assert_eq!(property("a, b: 5%\n"), "a%2C b%3A 5%25%0A");
    }
}
