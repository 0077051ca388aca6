//! For programs: one JSON document on stdout.

use serde_json::{Value as Json, json};

use crate::check::{Findings, Found};
use crate::environment::{Related, Severity, Sources};
use crate::error::Failure;
use crate::view::{Extent, Report};

/// The version of these documents; it grows when a reader would have to change.
const SCHEMA: u32 = 1;

pub(super) fn report(report: &Report, sources: &Sources) -> String {
    let document = match report {
        Report::Nothing => json!({ "schema": SCHEMA }),
        Report::Text(text) => return text.clone(),
        Report::Findings(found) => json!({ "schema": SCHEMA, "findings": findings(found, sources) }),
        Report::Written { files, notes } => json!({ "schema": SCHEMA, "files": files, "notes": notes }),
        Report::Inputs(templates) => json!({ "schema": SCHEMA, "templates": templates }),
        Report::Explanation(explanation) => json!({ "schema": SCHEMA, "explanation": explanation }),
        Report::Overview(overview) => json!({ "schema": SCHEMA, "overview": overview }),
        Report::Differences(differences) => json!({ "schema": SCHEMA, "differences": differences }),
        Report::Affected(affected) if affected.extent == Extent::Whole => {
            json!({ "schema": SCHEMA, "affected": affected })
        }
        // A pipeline takes every key beside `include` for a dimension of its matrix, and an output of a step is one line.
        Report::Affected(affected) => return format!("{}\n", json!({ "include": super::affected::matrix(affected) })),
        Report::Parity(parity) => json!({ "schema": SCHEMA, "parity": parity }),
        Report::Drift(drift) => json!({ "schema": SCHEMA, "drift": drift }),
        Report::Edits(edits) => json!({ "schema": SCHEMA, "edits": edits }),
        Report::Preview(preview) => json!({ "schema": SCHEMA, "plan": preview }),
        Report::Sealed(sealed) => json!({
            "schema": SCHEMA,
            "plan": sealed.preview,
            "seal": { "file": sealed.file, "expires": sealed.expires, "digest": sealed.digest },
        }),
        Report::Deployed(report) => json!({ "schema": SCHEMA, "deployment": report }),
        Report::Cloned(cloned) => json!({ "schema": SCHEMA, "cloned": cloned }),
        Report::Rehearsal(rehearsal) => json!({ "schema": SCHEMA, "rehearsal": rehearsal }),
        Report::Demolition(demolition) => json!({ "schema": SCHEMA, "demolition": demolition }),
        Report::Reaped(reaped) => json!({ "schema": SCHEMA, "reap": reaped }),
        Report::Extended(extended) => json!({ "schema": SCHEMA, "extension": extended }),
        Report::Cancellation(report) => json!({ "schema": SCHEMA, "cancellation": report }),
        Report::Diagnosis(found) => json!({ "schema": SCHEMA, "diagnosis": found }),
        Report::Recovery(done) => json!({ "schema": SCHEMA, "recovery": done }),
        Report::Log(log) => json!({ "schema": SCHEMA, "log": log }),
        Report::Status(environments) => json!({ "schema": SCHEMA, "environments": environments }),
        Report::Permissions(permissions) => json!({ "schema": SCHEMA, "permissions": permissions }),
        Report::Graph(graph) => json!({ "schema": SCHEMA, "graph": graph }),
    };
    format!("{document:#}\n")
}

fn findings(findings: &Findings, sources: &Sources) -> Vec<Json> {
    findings.all.iter().map(|found| finding(found, sources)).collect()
}

fn finding(found: &Found, sources: &Sources) -> Json {
    let mistake = &found.mistake;
    let severity = match mistake.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let related = |related: &Related| json!({ "label": related.label, "place": sources.place(related.span) });
    json!({
        "severity": severity,
        "code": mistake.code,
        "message": mistake.message,
        "place": mistake.span.map(|span| sources.place(span)),
        "label": mistake.label,
        "related": mistake.related.iter().map(related).collect::<Vec<_>>(),
        "notes": mistake.notes,
        "met_in": found.contexts,
        "hint": mistake.hint,
    })
}

pub(super) fn failure(failure: &Failure) -> String {
    let document = json!({
        "schema": SCHEMA,
        "error": {
            "message": failure.what,
            "causes": causes(failure),
            "reasons": failure.reasons,
            "still_running": failure.still_running,
            "hints": failure.hints,
            "exit_code": failure.exit.code(),
        },
    });
    format!("{document}\n")
}

/// Why, and why that.
pub(super) fn causes(failure: &Failure) -> Vec<String> {
    let mut causes = Vec::new();
    let mut error = std::error::Error::source(failure);
    while let Some(cause) = error {
        causes.push(cause.to_string());
        error = cause.source();
    }
    causes
}
