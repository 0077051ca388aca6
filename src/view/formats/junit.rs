//! The XML of `JUnit`, as Jenkins' `junit-10.xsd` has it: a suite an environment, a case a stack.

use std::collections::BTreeSet;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Case, Finding, Sheet, Weight, printable};

/// How one case stands: what could not be looked at outweighs what is wrong, as in the exit code.
struct Judged<'a> {
    case: &'a Case,
    findings: Vec<&'a Finding>,
}

impl Judged<'_> {
    fn is(&self, weight: Weight) -> bool {
        self.findings.iter().map(|finding| finding.weight).min() == Some(weight)
    }
}

pub(super) fn junit(sheet: &Sheet) -> String {
    let mut buffer = Vec::new();
    // A vector takes all that is written to it.
    let _ = written(&mut Writer::new_with_indent(&mut buffer, b' ', 2), sheet);
    buffer.push(b'\n');
    String::from_utf8(buffer).unwrap_or_default()
}

fn written(writer: &mut Writer<&mut Vec<u8>>, sheet: &Sheet) -> std::io::Result<()> {
    let of_findings = sheet.findings.iter().flat_map(|finding| &finding.cases);
    let cases: BTreeSet<&Case> = sheet.cases.iter().chain(of_findings).collect();
    // In the order in which they were looked at, then whatever else turned up.
    let mut ordered: Vec<&Case> = Vec::new();
    for case in sheet.cases.iter().chain(cases) {
        if !ordered.contains(&case) {
            ordered.push(case);
        }
    }
    let judged: Vec<Judged<'_>> = ordered
        .into_iter()
        .map(|case| {
            let findings = sheet.findings.iter().filter(|finding| finding.cases.contains(case)).collect();
            Judged { case, findings }
        })
        .collect();
    let mut suites: Vec<&str> = Vec::new();
    for name in judged.iter().map(|judged| judged.case.suite.as_str()) {
        if !suites.contains(&name) {
            suites.push(name);
        }
    }
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = printable(&format!("greenroom {}", sheet.title));
    let total = counted(&judged.iter().collect::<Vec<_>>());
    writer
        .create_element("testsuites")
        .with_attribute(("name", name.as_str()))
        .with_attributes(pairs(&total))
        .write_inner_content(|writer| {
            for suite in suites {
                let own: Vec<&Judged<'_>> = judged.iter().filter(|judged| judged.case.suite == suite).collect();
                let (name, counts) = (printable(suite), counted(&own));
                let element = writer.create_element("testsuite").with_attribute(("name", name.as_str()));
                element.with_attributes(pairs(&counts)).write_inner_content(|writer| {
                    own.iter().try_for_each(|judged| case(writer, judged, &sheet.title))
                })?;
            }
            Ok(())
        })?;
    Ok(())
}

fn counted(judged: &[&Judged<'_>]) -> [(&'static str, String); 3] {
    let count = |weight| judged.iter().filter(|judged| judged.is(weight)).count().to_string();
    [("tests", judged.len().to_string()), ("failures", count(Weight::Wrong)), ("errors", count(Weight::Unknown))]
}

fn pairs<'a>(counts: &'a [(&'static str, String); 3]) -> impl Iterator<Item = (&'a str, &'a str)> {
    counts.iter().map(|(name, count)| (*name, count.as_str()))
}

fn case(writer: &mut Writer<&mut Vec<u8>>, judged: &Judged<'_>, title: &str) -> std::io::Result<()> {
    // Jenkins takes what stands before the last dot for a package.
    let verb = title.split(' ').next().unwrap_or(title);
    let (class, name) = (printable(&format!("{verb}.{}", judged.case.suite)), printable(&judged.case.name));
    let element =
        writer.create_element("testcase").with_attributes([("classname", class.as_str()), ("name", name.as_str())]);
    if judged.findings.is_empty() {
        return element.write_empty().map(drop);
    }
    let bad = |finding: &&&Finding| finding.weight <= Weight::Wrong;
    let (wrong, told): (Vec<&Finding>, Vec<&Finding>) = {
        let wrong = judged.findings.iter().filter(bad).copied().collect();
        (wrong, judged.findings.iter().filter(|finding| !bad(finding)).copied().collect())
    };
    let kind = if judged.is(Weight::Unknown) { "error" } else { "failure" };
    element.write_inner_content(|writer| {
        if let Some(first) = wrong.iter().min_by_key(|finding| finding.weight) {
            let more = wrong.len() - 1;
            let message =
                if more == 0 { first.message.clone() } else { format!("{} (and {more} more)", first.message) };
            let (message, rule) = (printable(&message), printable(&first.rule));
            let element =
                writer.create_element(kind).with_attributes([("message", message.as_str()), ("type", rule.as_str())]);
            element.write_text_content(BytesText::new(&all(&wrong)))?;
        }
        if !told.is_empty() {
            writer.create_element("system-out").write_text_content(BytesText::new(&all(&told)))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Each with its place, a blank line between two.
fn all(findings: &[&Finding]) -> String {
    let one = |finding: &&Finding| match &finding.place {
        Some(region) => format!("{}: {}", region.start, finding.told()),
        None => finding.told(),
    };
    printable(&findings.iter().map(one).collect::<Vec<_>>().join("\n\n"))
}
