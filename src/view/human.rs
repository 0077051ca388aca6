//! For people.

use std::fmt::Write as _;

use anstream::AutoStream;
use anstream::adapter::strip_str;

use crate::check::Findings;
use crate::diff::{Differences, IdleException, StackDifference, ValueAt, ValueDifference};
use crate::environment::{Severity, Sources};
use crate::error::Failure;
use crate::explain::{Explanation, Overview, Said, Standing};
use crate::template::compare::{Difference, PropertyDifference, ResourceDifference};
use crate::template::inputs::plain;
use crate::template::landing::Landing;
use crate::view::snippet::{Redacted, render};
use crate::view::{Graph, Report, TemplateInputs, deployment, json};

/// What else the reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Occasion {
    /// Only what is wrong is to be said.
    pub(super) is_quiet: bool,
    /// The table of progress stands above, and says already what was done.
    pub(super) is_table_above: bool,
}

pub(super) fn report(report: &Report, sources: &Sources, occasion: Occasion) -> String {
    match report {
        Report::Nothing => String::new(),
        Report::Text(text) => text.clone(),
        Report::Findings(findings) => self::findings(findings, sources),
        Report::Written { .. } if occasion.is_quiet => String::new(),
        Report::Written { files, notes } => written(files, notes),
        Report::Inputs(templates) => templates.iter().map(inputs).collect::<Vec<_>>().join("\n"),
        Report::Explanation(explanation) => self::explanation(explanation),
        Report::Overview(overview) => self::overview(overview),
        Report::Differences(differences) => self::differences(differences),
        Report::Affected(affected) => super::affected::affected(affected),
        Report::Parity(parity) => super::parity::parity(parity),
        Report::Drift(drift) => super::drift::drift(drift),
        Report::Edits(edits) => super::drift::edits(edits),
        Report::Preview(preview) => deployment::preview(preview),
        Report::Sealed(sealed) => deployment::sealed(sealed),
        Report::Deployed(report) => deployment::deployed(report, occasion),
        Report::Cloned(cloned) => super::clone::cloned(cloned),
        Report::Rehearsal(rehearsal) => super::clone::rehearsal(rehearsal),
        Report::Demolition(demolition) => deployment::demolition(demolition),
        Report::Reaped(reaped) => super::reap::reaped(reaped),
        Report::Extended(extended) => super::reap::extended(extended),
        Report::Cancellation(report) => super::cancel::cancellation(report),
        Report::Diagnosis(found) => super::recover::diagnosis(found),
        Report::Recovery(done) => super::recover::recovery(done),
        Report::Log(log) => super::log::log(log),
        Report::Status(environments) => environments.iter().map(deployment::status).collect::<Vec<_>>().join("\n"),
        Report::Permissions(permissions) => super::permissions::permissions(permissions),
        Report::Graph(graph) if graph.is_dot => dot(graph),
        Report::Graph(graph) => mermaid(graph),
    }
}

pub(super) fn failure(failure: &Failure) -> String {
    let mut text = format!("error: {}\n", failure.what);
    for cause in json::causes(failure) {
        let _ = writeln!(text, "  because {cause}");
    }
    for reason in &failure.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    if !failure.still_running.is_empty() {
        text.push_str("\nstill running in the cloud:\n");
    }
    for running in &failure.still_running {
        let _ = writeln!(text, "  {running}");
    }
    if !failure.hints.is_empty() {
        text.push('\n');
    }
    for hint in &failure.hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

fn findings(findings: &Findings, sources: &Sources) -> String {
    if findings.all.is_empty() {
        return String::new();
    }
    let is_colored = AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let redacted = Redacted::new(findings, sources);
    let texts: Vec<String> = findings.all.iter().map(|found| render(found, &redacted, is_colored)).collect();
    let count = |severity: Severity| findings.all.iter().filter(|found| found.mistake.severity == severity).count();
    let counted = [(count(Severity::Error), "mistake"), (count(Severity::Warning), "warning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| plural(count, what))
        .collect::<Vec<_>>()
        .join(", ");
    let total = if findings.all.len() > 1 { format!("\n{counted}\n") } else { String::new() };
    let text = format!("{}{total}", texts.join("\n"));
    if is_colored { text } else { strip_str(&text).to_string() }
}

/// `1 mistake`, `2 mistakes`.
pub(super) fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn written(files: &[String], notes: &[String]) -> String {
    let mut text = String::new();
    for file in files {
        let _ = writeln!(text, "wrote {file}");
    }
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// Rows with their columns under each other; the last column is not filled up.
pub(super) fn columns(rows: &[Vec<String>], indent: &str) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", format!("{indent}{}", cells.join("  ")).trim_end());
    }
    text
}

fn inputs(template: &TemplateInputs) -> String {
    let mut text = format!("{}\n", template.template);
    for input in &template.inputs {
        let default = match (&input.default, input.is_required) {
            (Some(default), _) => format!("default {default}"),
            (None, true) => "required".to_string(),
            (None, false) => "optional".to_string(),
        };
        let _ = writeln!(text, "\n  {}  {}, {default}", input.name, input.takes);
        let _ = writeln!(text, "      {}", input.about);
        if input.is_secret {
            let _ = writeln!(text, "      a secret: takes references, never the value");
        }
        if let Some(parameter) = &input.parameter {
            let _ = writeln!(text, "      becomes the parameter {parameter}; may be another stack's output");
        }
        if !input.replaces.is_empty() {
            let _ = writeln!(text, "      changing it replaces {}", input.replaces.join(", "));
        }
    }
    text
}

fn overview(overview: &Overview) -> String {
    let rows: Vec<Vec<String>> = overview
        .values
        .iter()
        .map(|row| {
            let place = if row.is_default { format!("{} (default)", row.place) } else { row.place.to_string() };
            vec![row.path.clone(), row.value.clone(), place]
        })
        .collect();
    columns(&rows, "")
}

fn explanation(explanation: &Explanation) -> String {
    let value = explanation.value.as_deref().unwrap_or("nothing");
    let mut text = format!("{} = {value}\n", explanation.path);
    if let Some(input) = &explanation.input {
        let _ = writeln!(text, "  {} ({})", input.about, input.takes);
    }
    if !explanation.places.is_empty() {
        let rows: Vec<Vec<String>> = explanation.places.iter().map(place_row).collect();
        let _ = write!(text, "\nsaid in\n{}", columns(&rows, "  "));
    }
    if let Some(parameter) = explanation.input.as_ref().and_then(|input| input.parameter.as_ref()) {
        let _ = writeln!(text, "\nbecomes the parameter {parameter}");
    }
    match &explanation.lands_in {
        Some(landings) if !landings.is_empty() => {
            let rows: Vec<Vec<String>> = landings.iter().map(landing_row).collect();
            let _ = write!(text, "\nends up in\n{}", columns(&rows, "  "));
        }
        Some(_) if explanation.value.is_some() => text.push_str("\nends up in no resource of this rendering\n"),
        None if explanation.input.is_some() => {
            text.push_str("\nwhere it ends up is not known: the stack's values are wrong\nhint: `greenroom check` says what is wrong\n");
        }
        Some(_) | None => {}
    }
    text
}

fn place_row(said: &Said) -> Vec<String> {
    let standing = match said.standing {
        Standing::Wins => "wins",
        Standing::Merged => "merged below it",
        Standing::Overridden => "overridden",
        Standing::Removes => "removes what is below",
        Standing::NotInherited => "holds for that environment alone",
    };
    vec![said.place.to_string(), said.text.clone(), standing.to_string()]
}

fn landing_row(landing: &Landing) -> Vec<String> {
    let property = landing.property.clone().unwrap_or_else(|| "comes and goes with it".to_string());
    let changing = landing.changing_it.unwrap_or_default().to_string();
    vec![landing.resource.clone(), landing.kind.clone(), property, changing]
}

fn differences(differences: &Differences) -> String {
    let mut text = String::new();
    let (environment, other) = (&differences.environment, &differences.other);
    if differences.stacks.is_empty() {
        let _ = match differences.since {
            Some(_) => writeln!(text, "{environment} and now differ in nothing that would be sent"),
            None => writeln!(text, "{environment} and {other} differ in nothing but their names"),
        };
    }
    for (position, stack) in differences.stacks.iter().enumerate() {
        if position > 0 {
            text.push('\n');
        }
        text.push_str(&stack_difference(stack));
    }
    for idle in &differences.idle {
        text.push_str(&idle_exception(idle));
    }
    text
}

/// A declared difference that says nothing.
pub(super) fn idle_exception(idle: &IdleException) -> String {
    let because = match &idle.ended {
        Some(day) => format!("ended on {day} and is not honoured"),
        None => "declares a difference that is not there".to_string(),
    };
    format!("\nwarning: `{}` {because} ({})\n", idle.path, idle.place)
}

fn stack_difference(stack: &StackDifference) -> String {
    if let Some(only) = &stack.only_in {
        return format!("{}\n  only in {only}\n", stack.stack);
    }
    let mut text = format!("{}\n", stack.stack);
    let value = |at: &Option<ValueAt>| at.as_ref().map_or("not given".to_string(), |at| at.value.clone());
    let change = |it: &ValueDifference| {
        let (before, after) = apart(&value(&it.before), &value(&it.after));
        format!("{before} → {after}")
    };
    let place = |at: &Option<ValueAt>| at.as_ref().map(|at| at.place.to_string()).unwrap_or_default();
    let rows: Vec<Vec<String>> = stack
        .values
        .iter()
        .map(|it| {
            let places = [place(&it.before), place(&it.after)]
                .into_iter()
                .filter(|place| !place.is_empty())
                .collect::<Vec<_>>()
                .join(" → ");
            let because = it.because.as_ref().map(|because| format!("declared: {because}")).unwrap_or_default();
            vec![it.input.clone(), change(it), places, because]
        })
        .collect();
    text.push_str(&columns(&rows, "  "));
    for difference in &stack.settings {
        let _ = writeln!(text, "  ~ {}", property(difference));
    }
    for resource in &stack.template.resources {
        text.push_str(&resource_difference(resource));
    }
    for difference in &stack.template.rest {
        let _ = writeln!(text, "  ~ {}", property(difference));
    }
    if stack.declared_resources > 0 {
        let _ = writeln!(text, "  {} only in what is declared", differ(stack.declared_resources));
    }
    text
}

fn differ(count: usize) -> String {
    if count == 1 { "1 resource differs".to_string() } else { format!("{count} resources differ") }
}

fn resource_difference(difference: &ResourceDifference) -> String {
    let (sign, properties): (_, &[PropertyDifference]) = match &difference.difference {
        Difference::Added => ("+", &[]),
        Difference::Removed => ("-", &[]),
        Difference::Changed(properties) => ("~", properties),
    };
    let mut text = format!("  {sign} {}  {}\n", difference.resource, difference.kind);
    for difference in properties {
        let _ = writeln!(text, "      {}", property(difference));
    }
    text
}

fn property(difference: &PropertyDifference) -> String {
    let text = |value: &Option<serde_json::Value>| value.as_ref().map_or("nothing".to_string(), short);
    let (before, after) = apart(&text(&difference.before), &text(&difference.after));
    format!("{}  {before} → {after}", difference.path)
}

/// A value as a template would write it: `!Ref Vpc`, `!GetAtt Key.Arn`.
fn short(value: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    let Some((name, argument)) =
        value.as_object().filter(|entries| entries.len() == 1).and_then(|entries| entries.iter().next())
    else {
        return plain(value);
    };
    match (name.as_str(), argument) {
        ("Ref", Json::String(name)) => format!("!Ref {name}"),
        ("Fn::Sub", Json::String(text)) => format!("!Sub {text}"),
        ("Fn::GetAtt", Json::Array(parts)) => {
            format!("!GetAtt {}", parts.iter().map(plain).collect::<Vec<_>>().join("."))
        }
        _ => plain(value),
    }
}

/// Two texts cut to what fits on a line, so that what differs is seen: of long ones the common beginning is left out.
fn apart(before: &str, after: &str) -> (String, String) {
    const CHARACTERS_MAX: usize = 60;
    const CONTEXT_CHARACTERS: usize = 12;
    let is_long = before.chars().count() > CHARACTERS_MAX && after.chars().count() > CHARACTERS_MAX;
    let common = before.chars().zip(after.chars()).take_while(|(left, right)| left == right).count();
    let skipped = if is_long { common.saturating_sub(CONTEXT_CHARACTERS) } else { 0 };
    let cut = |text: &str| {
        let rest: Vec<char> = text.chars().skip(skipped).collect();
        let beginning = if skipped > 0 { "…" } else { "" };
        let end = if rest.len() > CHARACTERS_MAX { "…" } else { "" };
        format!("{beginning}{}{end}", rest.into_iter().take(CHARACTERS_MAX).collect::<String>())
    };
    (cut(before), cut(after))
}

/// A name that both drawing languages take as it is.
fn node(environment: Option<&str>, stack: &str) -> String {
    let text = environment.map_or_else(|| stack.to_string(), |environment| format!("{environment}_{stack}"));
    text.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect()
}

/// Lines from stack to stack, what flows on them joined: `VpcId, PrivateSubnetIds`.
fn lines(graph: &Graph) -> Vec<(String, String, String, String)> {
    let mut lines: Vec<(String, String, String, Vec<String>)> = Vec::new();
    for flow in &graph.flows {
        let environment = flow.from_environment.as_ref().map(ToString::to_string);
        let label = environment
            .as_ref()
            .map_or_else(|| flow.from.clone(), |environment| format!("{environment}/{}", flow.from));
        let (from, to) = (node(environment.as_deref(), &flow.from), node(None, &flow.to));
        let output = flow.output.clone().unwrap_or_else(|| "needed first".to_string());
        match lines.iter_mut().find(|line| line.0 == from && line.2 == to) {
            Some(line) => {
                if !line.3.contains(&output) {
                    line.3.push(output);
                }
            }
            None => lines.push((from, label, to, vec![output])),
        }
    }
    lines.into_iter().map(|(from, label, to, outputs)| (from, label, to, outputs.join(", "))).collect()
}

fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    for stack in &graph.stacks {
        let (open, close) = if graph.unmanaged.contains(stack) { ("([", "])") } else { ("[", "]") };
        let _ = writeln!(text, "  {}{open}\"{stack}\"{close}", node(None, stack));
    }
    for (from, label, to, outputs) in lines(graph) {
        let is_elsewhere = !graph.stacks.contains(&label);
        let from = if is_elsewhere { format!("{from}([\"{label}\"])") } else { from };
        let _ = writeln!(text, "  {from} -->|{outputs}| {to}");
    }
    text
}

fn dot(graph: &Graph) -> String {
    let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", graph.environment);
    for stack in &graph.stacks {
        let style = if graph.unmanaged.contains(stack) { ", style=rounded" } else { "" };
        let _ = writeln!(text, "  {} [label=\"{stack}\"{style}];", node(None, stack));
    }
    for (from, label, to, outputs) in lines(graph) {
        if !graph.stacks.contains(&label) {
            let _ = writeln!(text, "  {from} [label=\"{label}\", style=rounded];");
        }
        let _ = writeln!(text, "  {from} -> {to} [label=\"{outputs}\"];");
    }
    text.push_str("}\n");
    text
}
