//! SARIF 2.1.0 (OASIS), with what GitHub's code scanning wants of it (GitHub Docs, "SARIF support for code scanning").

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::{Finding, Region, Sheet, Weight, printable};
use crate::environment::Place;

/// Where everybody looks for the schema.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn sarif(sheet: &Sheet) -> String {
    let rules: BTreeSet<&str> = sheet.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let rules: Vec<&str> = if sheet.is_complete { rules.into_iter().collect() } else { Vec::new() };
    let mut seen = BTreeMap::new();
    let results: Vec<Json> = sheet
        .findings
        .iter()
        .filter(|_| sheet.is_complete)
        .map(|finding| result(finding, sheet, &rules, &mut seen))
        .collect();
    let mut invocation = json!({
        "executionSuccessful": sheet.is_complete && sheet.findings.iter().all(|finding| finding.weight != Weight::Unknown),
        "exitCode": sheet.exit.code(),
    });
    if !sheet.is_complete {
        let told = |finding: &Finding| json!({ "level": "error", "message": { "text": printable(&finding.told()) } });
        invocation["toolExecutionNotifications"] = sheet.findings.iter().map(told).collect();
    }
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "greenroom",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|id| rule(id)).collect::<Vec<_>>(),
            } },
            "automationDetails": { "id": format!("greenroom {}/", printable(&sheet.title)) },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "%SRCROOT%": { "description": { "text": "the root of the checkout" } } },
            "invocations": [invocation],
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

/// A rule says in its id what it is about.
fn rule(id: &str) -> Json {
    let (verb, what) = id.split_once('/').unwrap_or(("greenroom", id));
    let what = what.replace(['-', '/', '_'], " ");
    json!({
        "id": id,
        "shortDescription": { "text": format!("{verb}: {what}") },
        "fullDescription": { "text": format!("found by `greenroom {verb}`: {what}") },
        "help": { "text": format!("`greenroom {verb} --help` says what is looked at, and what can be done") },
    })
}

fn result(finding: &Finding, sheet: &Sheet, rules: &[&str], seen: &mut BTreeMap<String, usize>) -> Json {
    let level = match finding.weight {
        Weight::Unknown | Weight::Wrong => "error",
        Weight::Warning => "warning",
        Weight::Note => "note",
    };
    // Code scanning takes no result without a place: what has none is the environment's.
    let home = sheet.home.clone().map(Region::from);
    let locations: Vec<Json> = finding.place.as_ref().or(home.as_ref()).map(location).into_iter().collect();
    let related: Vec<Json> = (0..)
        .zip(&finding.related)
        .map(|(id, (label, place))| {
            let mut related = location(&Region::from(place.clone()));
            related["id"] = json!(id);
            related["message"] = json!({ "text": printable(label) });
            related
        })
        .collect();
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": rules.iter().position(|rule| *rule == finding.rule),
        "level": level,
        "message": { "text": printable(&finding.told()) },
        "locations": locations,
        "partialFingerprints": { "greenroom/v1": fingerprint(finding, sheet, seen) },
    });
    if !related.is_empty() {
        result["relatedLocations"] = Json::Array(related);
    }
    if let Some(because) = &finding.let_be {
        result["suppressions"] = json!([{ "kind": "inSource", "justification": printable(because) }]);
    }
    result
}

fn location(region: &Region) -> Json {
    let Place { path, line, column } = &region.start;
    let mut range = json!({ "startLine": line, "startColumn": column });
    if let Some((end_line, end_column)) = region.end.filter(|end| *end > (*line, *column)) {
        range["endLine"] = json!(end_line);
        range["endColumn"] = json!(end_column);
    }
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(path), "uriBaseId": "%SRCROOT%" },
        "region": range,
    } })
}

/// A path as a relative URI (RFC 3986): all but unreserved characters and `/` as their bytes.
fn uri(path: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(one).collect()
}

/// The same for the same finding in the next run, wherever its line has moved and whatever its values are by then.
fn fingerprint(finding: &Finding, sheet: &Sheet, seen: &mut BTreeMap<String, usize>) -> String {
    let path = finding.place.as_ref().map(|region| region.start.path.as_str()).unwrap_or_default();
    let digest = Sha256::digest([&finding.rule, &sheet.title, path, &finding.subject].join("\n"));
    let digest = digest.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let times = seen.entry(digest.clone()).or_default();
    *times += 1;
    format!("{digest}:{times}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(uri("environments/a b%ü.yaml"), "environments/a%20b%25%C3%BC.yaml");
    }
}
