//! `inputs.yaml`: what a template asks for.
//!
//! It is JSON Schema (draft 2020-12) with four words of our own: `x-parameter` (the value becomes a CloudFormation parameter),
//! `x-secret` (only references are taken), `x-replaces` (a change replaces these resources) and `x-was` (an earlier name).

use serde_json::{Map, Value as Json, json};

use crate::environment::interpolate::WORDS;
use crate::environment::{Entry, Mistake, Node, Span};
use crate::template::typing::{Typing, schema_json};

/// The inputs of a template.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The whole schema.
    pub schema: Json,
    /// One by one, in the order of the file.
    pub all: Vec<Input>,
}

/// One input of a template.
#[derive(Clone, Debug)]
pub struct Input {
    /// As it is written in environments and templates.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// A sentence for people.
    pub about: String,
    /// The CloudFormation parameter it becomes; otherwise it is a variable of the template.
    pub parameter: Option<String>,
    /// Whether only references are taken, or the words its schema lists.
    pub is_secret: bool,
    /// Whether a value must be given.
    pub is_required: bool,
    /// The logical ids of what is replaced when it changes.
    pub replaces: Vec<String>,
    /// Names it had before.
    pub was: Vec<String>,
    /// Its default, as it was written.
    pub default: Option<Node>,
}

/// What can be wrong with `inputs.yaml`.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum InputsFault {
    /// No map of inputs at all.
    #[error("the inputs of a template are a JSON Schema with `properties`")]
    NoProperties,
    /// Not a schema.
    #[error("this is no JSON Schema: {0}")]
    NotASchema(String),
    /// `InstanceClass`.
    #[error("`{0}` cannot be a variable of a template: lower-case letters, digits and `_`, beginning with a letter")]
    NotAVariable(String),
    /// `environment`.
    #[error("`{0}` is one of the five words and has its value already")]
    Reserved(String),
    /// No `description`.
    #[error("the input `{0}` has no description")]
    NoDescription(String),
    /// `x-parameter: vpc_id`.
    #[error("`{0}` cannot be the name of a CloudFormation parameter: letters and digits only")]
    NotAParameter(String),
    /// Two inputs for one parameter.
    #[error("the inputs `{0}` and `{1}` are both the parameter `{2}`")]
    SameParameter(String, String, String),
    /// `x-secret: yes`.
    #[error("`{0}` takes {1}")]
    WrongWord(&'static str, &'static str),
    /// `x-replace`.
    #[error("unknown word `{0}`")]
    UnknownWord(String),
    /// `required: [typo]`.
    #[error("`{0}` is required but not declared")]
    RequiredUnknown(String),
    /// Both required and defaulted.
    #[error("`{0}` has a default and is required: one of the two is never true")]
    RequiredWithDefault(String),
}

const OWN_WORDS: [&str; 4] = ["x-parameter", "x-secret", "x-replaces", "x-was"];

/// Reads `inputs.yaml`.
pub fn read(root: &Node, mistakes: &mut Vec<Mistake>) -> Inputs {
    let Some(properties) = root.get("properties").and_then(Node::as_mapping) else {
        let hint = "write `type: object`, then `properties:` with an entry for each input";
        mistakes.push(Mistake::at(Span { end: root.span.start, ..root.span }, &InputsFault::NoProperties).hint(hint));
        return Inputs { schema: Json::Bool(true), all: Vec::new() };
    };
    let required = root.get("required").and_then(Node::as_sequence).unwrap_or_default();
    let is_required = |name: &str| required.iter().any(|node| node.as_text() == Some(name));
    let all: Vec<Input> = properties.iter().map(|entry| input(entry, is_required(&entry.key), mistakes)).collect();
    for node in required {
        let name = node.as_text().unwrap_or_default();
        if !all.iter().any(|input| input.name == name) {
            mistakes.push(Mistake::at(node.span, &InputsFault::RequiredUnknown(name.to_string())));
        }
    }
    check_parameters(&all, mistakes);
    let mut schema = schema_json(root);
    if let Some(schema) = schema.as_object_mut() {
        schema.entry("type").or_insert_with(|| "object".into());
        // Unknown inputs have a message of their own, with the nearest name.
        schema.remove("additionalProperties");
    }
    if let Err(mistake) = check_schema(root, &schema) {
        mistakes.push(*mistake);
    }
    Inputs { schema, all }
}

/// Builds what judges schemas: every run needs it once, and no file changes it.
pub fn prepare() {
    let _ = jsonschema::draft202012::meta::is_valid(&Json::Bool(true));
}

fn check_schema(root: &Node, schema: &Json) -> Result<(), Box<Mistake>> {
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        let path: Vec<String> = error.instance_path().iter().map(|segment| segment.to_string()).collect();
        let span = root.at(path.iter().map(String::as_str)).map_or(root.span, |node| node.span);
        Box::new(Mistake::at(span, &InputsFault::NotASchema(error.to_string())))
    })
}

fn check_parameters(all: &[Input], mistakes: &mut Vec<Mistake>) {
    for (position, input) in all.iter().enumerate() {
        let Some(parameter) = &input.parameter else { continue };
        let earlier = all[..position].iter().find(|earlier| earlier.parameter.as_ref() == Some(parameter));
        if let Some(earlier) = earlier {
            let fault = InputsFault::SameParameter(earlier.name.clone(), input.name.clone(), parameter.clone());
            mistakes.push(Mistake::at(input.span, &fault).related(earlier.span, "first here"));
        }
    }
}

fn input(entry: &Entry, is_required: bool, mistakes: &mut Vec<Mistake>) -> Input {
    let (name, schema) = (entry.key.as_str(), &entry.value);
    if !is_variable(name) {
        mistakes.push(Mistake::at(entry.key_span, &InputsFault::NotAVariable(name.to_string())));
    }
    if WORDS.contains(&name) {
        mistakes.push(
            Mistake::at(entry.key_span, &InputsFault::Reserved(name.to_string()))
                .hint(format!("templates may use `{name}` without declaring it")),
        );
    }
    let about = schema.get("description").and_then(Node::as_text).unwrap_or_default().trim().to_string();
    if about.is_empty() {
        let hint = "say in a sentence what it is and what depends on it";
        mistakes.push(Mistake::at(entry.key_span, &InputsFault::NoDescription(name.to_string())).hint(hint));
    }
    for entry in schema.as_mapping().unwrap_or_default() {
        if entry.key.starts_with("x-") && !OWN_WORDS.contains(&entry.key.as_str()) {
            let mistake = Mistake::at(entry.key_span, &InputsFault::UnknownWord(entry.key.clone()));
            mistakes.push(mistake.maybe_hint(crate::environment::did_you_mean(&entry.key, OWN_WORDS)));
        }
    }
    let default = schema.get("default").cloned();
    if is_required && let Some(default) = &default {
        mistakes.push(Mistake::at(default.span, &InputsFault::RequiredWithDefault(name.to_string())));
    }
    Input {
        name: name.to_string(),
        span: entry.key_span,
        about,
        parameter: schema.get("x-parameter").and_then(|node| parameter(node, mistakes)),
        is_secret: schema.get("x-secret").is_some_and(|node| is_secret(node, mistakes)),
        is_required,
        replaces: names(schema.get("x-replaces"), "x-replaces", mistakes),
        was: names(schema.get("x-was"), "x-was", mistakes),
        default,
    }
}

fn parameter(node: &Node, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let name = node.as_text().unwrap_or_default();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        mistakes.push(Mistake::at(node.span, &InputsFault::NotAParameter(name.to_string())));
        return None;
    }
    Some(name.to_string())
}

fn is_secret(node: &Node, mistakes: &mut Vec<Mistake>) -> bool {
    match node.as_text() {
        Some("true") => true,
        Some("false") => false,
        _ => {
            mistakes.push(Mistake::at(node.span, &InputsFault::WrongWord("x-secret", "`true` or `false`")));
            true
        }
    }
}

fn names(node: Option<&Node>, word: &'static str, mistakes: &mut Vec<Mistake>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let items = node.as_sequence().unwrap_or(std::slice::from_ref(node));
    let names: Vec<String> = items.iter().filter_map(Node::as_text).map(str::to_string).collect();
    if names.len() != items.len() {
        mistakes.push(Mistake::at(node.span, &InputsFault::WrongWord(word, "a name or a list of names")));
    }
    names
}

/// A name that Tera takes as a variable.
fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Inputs {
    /// The input of that name.
    pub fn get(&self, name: &str) -> Option<&Input> {
        self.all.iter().find(|input| input.name == name)
    }

    /// The schema of an input.
    pub fn schema_of(&self, name: &str) -> &Json {
        Typing { root: &self.schema }.property(&self.schema, name)
    }

    /// The input that once had this name.
    pub fn renamed(&self, name: &str) -> Option<&Input> {
        self.all.iter().find(|input| input.was.iter().any(|was| was == name))
    }
}

/// What kind of value an input takes, in a few words: `text`, `integer, 20 to 65536`, `none | one | per_zone`.
pub fn kind(schema: &Json) -> String {
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return words.iter().map(plain).collect::<Vec<_>>().join(" | ");
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => vec!["any"],
    };
    let words: Vec<&str> = kinds.iter().map(|kind| if *kind == "string" { "text" } else { kind }).collect();
    let mut text = words.join(" or ");
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        text = format!("list of {}", kind(items));
    }
    let bound = |keyword: &str| schema.get(keyword).map(plain);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!("{text}, {least} to {most}"),
        (Some(least), None) => format!("{text}, at least {least}"),
        (None, Some(most)) => format!("{text}, at most {most}"),
        (None, None) => text,
    }
}

/// JSON as people write it: text without quotes.
pub fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

/// The schema of values in an environment file: every input of these templates, none required, references allowed.
///
/// A layer may say a part of a map and leave the rest to others, so nothing inside is required either.
pub fn environment_schema<'a>(all: impl IntoIterator<Item = &'a Inputs>) -> Json {
    let mut properties: Map<String, Json> = Map::new();
    for inputs in all {
        for input in &inputs.all {
            let schema = value_schema(input, inputs);
            match properties.get_mut(&input.name) {
                Some(Json::Object(known)) if *known != schema => {
                    let known = std::mem::take(known);
                    properties.insert(input.name.clone(), either(Json::Object(known), Json::Object(schema)));
                }
                Some(_) => {}
                None => {
                    properties.insert(input.name.clone(), Json::Object(schema));
                }
            }
        }
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn either(left: Json, right: Json) -> Json {
    match left.get("anyOf").and_then(Json::as_array).filter(|_| left.get("description").is_none()) {
        Some(known) if known.contains(&right) => left,
        Some(known) => {
            let all = [known.clone(), vec![right]].concat();
            json!({ "anyOf": all })
        }
        None => json!({"anyOf": [left, right]}),
    }
}

fn value_schema(input: &Input, inputs: &Inputs) -> Map<String, Json> {
    let mut value = inputs.schema_of(&input.name).clone();
    loosen(&mut value);
    let mut forms = vec![value, json!({"type": "null"})];
    let text = json!({"type": "string"});
    let of = |kind: &str| json!({"type": "object", "properties": {kind: text}, "required": [kind], "additionalProperties": false});
    forms.extend([of("ssm"), json!({"type": "object", "properties": {"secret": text, "key": text}, "required": ["secret"], "additionalProperties": false})]);
    if input.parameter.is_some() {
        forms.extend([of("output"), of("export"), json!({"type": "object", "properties": {"previous": {"const": true}}, "required": ["previous"], "additionalProperties": false})]);
    }
    let mut schema = Map::new();
    schema.insert("description".into(), input.about.clone().into());
    schema.insert("anyOf".into(), forms.into());
    schema
}

/// Takes out what only a template can know: what is required, our own words; and lets numbers stand for text, whose type editors
/// cannot know.
fn loosen(schema: &mut Json) {
    match schema {
        Json::Object(entries) => {
            entries.retain(|key, _| {
                !matches!(key.as_str(), "required" | "dependentRequired" | "default" | "examples" | "description")
                    && !key.starts_with("x-")
            });
            if entries.get("type") == Some(&json!("string")) {
                entries.insert("type".into(), json!(["string", "number"]));
            }
            entries
                .iter_mut()
                .filter(|(key, _)| !matches!(key.as_str(), "enum" | "const"))
                .for_each(|(_, value)| loosen(value));
        }
        Json::Array(items) => items.iter_mut().for_each(loosen),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
