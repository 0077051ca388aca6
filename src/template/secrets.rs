//! Where environment files hold secrets in clear.
//!
//! That is a mistake of its own; but the line it stands in may be shown for another mistake, by a verb that never comes to judge
//! values, or by `explain`. So whoever shows a line asks here first, and what is found is too much rather than too little.

use std::sync::LazyLock;

use regex::Regex;

use crate::environment::reference::is_reference;
use crate::environment::source::Source;
use crate::environment::{Entry, EnvironmentFile, Node, Project, Sources, Span, nearest};
use crate::template::arguments::is_listed;
use crate::template::inputs::{Input, Inputs};
use crate::template::{Template, Templates};

/// Every text of the environment files that must not be shown.
pub fn secrets_in_clear(project: &Project) -> Vec<Span> {
    let mut spans = secrets_by_look(&project.sources);
    let mut project = project.clone();
    let templates = Templates::load_all(&mut project);
    let all: Vec<&Inputs> = templates.iter().map(|template: &Template| &template.inputs).collect();
    for file in project.files.values() {
        spans.extend(values(&file.root).filter(|entry| is_secret(entry, &all)).map(|entry| entry.value.span));
        if !file.is_readable {
            spans.extend(in_text(&project.sources.get(file.source).text, file, &all));
        }
    }
    spans
}

/// An access key of AWS, or a private key.
static LOOKS: LazyLock<Regex> = LazyLock::new(|| {
    let key = r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b";
    let private_key = r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----(?s:.*?)(?:-----END (?:[A-Z]+ )?PRIVATE KEY-----|\z)";
    Regex::new(&format!("{key}|{private_key}")).expect("a constant expression")
});

/// Whether a text holds a secret by its look.
pub fn looks_like_a_secret(text: &str) -> bool {
    LOOKS.is_match(text)
}

/// Text that is a secret by its look, in whichever file and wherever it stands: an access key of AWS, a private key.
pub fn secrets_by_look(sources: &Sources) -> Vec<Span> {
    let within = |(id, source)| {
        let source: &Source = source;
        LOOKS.find_iter(&source.text).map(move |found| Span { source: id, start: found.start(), end: found.end() })
    };
    sources.iter().flat_map(within).collect()
}

/// Every value of a file, shared ones first.
fn values(root: &Node) -> impl Iterator<Item = &Entry> {
    let stacks = root.get("stacks").and_then(Node::as_mapping).unwrap_or_default();
    let own = stacks.iter().filter_map(|stack| stack.value.get("values"));
    root.get("values").into_iter().chain(own).filter_map(Node::as_mapping).flatten()
}

fn is_secret(entry: &Entry, all: &[&Inputs]) -> bool {
    if is_reference(&entry.value) || entry.value.is_null() {
        return false;
    }
    let is_it = |(inputs, input): (&Inputs, &Input)| {
        is_meant(&entry.key, input, all) && !is_listed(&entry.value, inputs.schema_of(&input.name))
    };
    secrets(all).any(is_it)
}

fn secrets<'a>(all: &'a [&'a Inputs]) -> impl Iterator<Item = (&'a Inputs, &'a Input)> {
    let of = |inputs: &&'a Inputs| {
        let inputs = *inputs;
        inputs.all.iter().filter(|input| input.is_secret).map(move |input| (inputs, input))
    };
    all.iter().flat_map(of)
}

/// Whether a key is this input's, by its name, an earlier one, or one that is mistyped.
fn is_meant(key: &str, input: &Input, all: &[&Inputs]) -> bool {
    let is_declared = || all.iter().any(|inputs| inputs.get(key).is_some());
    let names = || input.was.iter().chain([&input.name]).map(String::as_str);
    names().any(|name| name == key) || !is_declared() && nearest(key, names()).is_some()
}

/// In a text that is not YAML: all that follows a secret's name on its line.
fn in_text(text: &str, file: &EnvironmentFile, all: &[&Inputs]) -> Vec<Span> {
    static VALUE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"([A-Za-z_][\w-]*)["']?[ \t]*:[ \t]*([^\r\n]+)"#).expect("a constant expression")
    });
    let mut spans = Vec::new();
    let mut start = 0;
    while let Some(found) = VALUE.captures_at(text, start) {
        let (Some(key), Some(value)) = (found.get(1), found.get(2)) else { break };
        let is_it = secrets(all).any(|(_, input)| is_meant(key.as_str(), input, all));
        if is_it {
            spans.push(Span { source: file.source, start: value.start(), end: value.end() });
        }
        // Further keys may stand on the same line.
        start = value.start();
    }
    spans
}
