//! `inputs.yaml`: what a template asks for.
//!
//! It is JSON Schema (draft 2020-12) with four words of our own: `x-parameter` (the value becomes a CloudFormation parameter),
//! `x-secret` (only references are taken), `x-replaces` (a change replaces these resources) and `x-was` (an earlier name). What a
//! schema cannot say, because it takes arithmetic, and nobody should be stopped by, stands in a list `x-warnings` at the top.

use serde_json::{Map, Value as Json, json};

use crate::environment::interpolate::WORDS;
use crate::environment::{Entry, Mistake, Node, Span, did_you_mean, reference};
use crate::template::typing::{Typing, schema_json};

/// The inputs of a template.
#[derive(Debug)]
pub struct Inputs {
    /// The whole schema.
    pub schema: Json,
    /// Judges values by it; nothing where it is broken, which is a mistake of its own.
    pub validator: Option<jsonschema::Validator>,
    /// One by one, in the order of the file.
    pub all: Vec<Input>,
    /// What is worth a word though it stops nothing.
    pub warnings: Vec<Warning>,
}

/// A rule that warns: `{at: instances, if: "instances.max * pool_size > max_connections", description: …}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The input whose value is pointed at.
    pub at: String,
    /// When: an expression of Tera's.
    pub condition: String,
    /// What is said; it may print values.
    pub about: String,
    /// Where it is declared.
    pub span: Span,
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
    /// `$ref: other.yaml`.
    #[error("`{0}` leads to nothing in this file")]
    LeadsNowhere(String),
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
    /// A key inside a value that would make it a reference.
    #[error("a key called `{0}` would be read as a reference")]
    ReferenceKey(String),
    /// `x-warnings` without one of its parts.
    #[error("a warning has `at`, `if` and `description`")]
    NotAWarning,
    /// `at` of a warning names nothing.
    #[error("this warning is `at: {0}`, but there is no such input")]
    WarnsNowhere(String),
    /// One that cannot be evaluated.
    #[error("this warning cannot be judged: {0}")]
    CannotWarn(String),
    /// One that applies.
    #[error("{0}")]
    Warned(String),
    /// Both required and defaulted.
    #[error("`{0}` has a default and is required: one of the two is never true")]
    RequiredWithDefault(String),
}

/// JSON Schema's.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

const OWN_WORDS: [&str; 4] = ["x-parameter", "x-secret", "x-replaces", "x-was"];

/// Reads `inputs.yaml`.
pub fn read(root: &Node, mistakes: &mut Vec<Mistake>) -> Inputs {
    let Some(properties) = root.get("properties").and_then(Node::as_mapping) else {
        let hint = "write `type: object`, then `properties:` with an entry for each input";
        mistakes.push(Mistake::at(Span { end: root.span.start, ..root.span }, &InputsFault::NoProperties).hint(hint));
        return Inputs::none();
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
    let validator = validator(root, &schema, mistakes);
    let declared = root.get("x-warnings").and_then(Node::as_sequence).unwrap_or_default();
    let warnings = declared.iter().filter_map(|node| warning(node, &all, mistakes)).collect();
    Inputs { schema, validator, all, warnings }
}

/// Builds what judges schemas: every run needs it once, and no file changes it.
pub fn prepare() {
    let _ = jsonschema::draft202012::meta::is_valid(&Json::Bool(true));
}

/// What judges values by a schema. One that cannot is a mistake: left aside, it would let everything pass in silence.
fn validator(root: &Node, schema: &Json, mistakes: &mut Vec<Mistake>) -> Option<jsonschema::Validator> {
    let mut found = Vec::new();
    check_references(root, root, &mut found);
    let built = jsonschema::draft202012::new(schema);
    if let Err(error) = &built {
        // It stops at the first complaint; what judges schemas knows them all.
        let all = jsonschema::draft202012::meta::validator();
        let before = found.len();
        found.extend(all.iter_errors(schema).map(|error| not_a_schema(root, &error)));
        if found.len() == before && before == 0 {
            found.push(not_a_schema(root, error));
        }
    }
    let is_right = found.is_empty();
    mistakes.append(&mut found);
    built.ok().filter(|_| is_right)
}

fn not_a_schema(root: &Node, error: &jsonschema::ValidationError<'_>) -> Mistake {
    let path: Vec<String> = error.instance_path().iter().map(|segment| segment.to_string()).collect();
    let node = root.at(path.iter().map(String::as_str));
    let start = Span { end: root.span.start, ..root.span };
    let at = |text: String| Mistake::at(node.map_or(start, |node| node.span), &InputsFault::NotASchema(text));
    match node.and_then(Node::as_text).filter(|_| path.last().is_some_and(|last| last == "type")) {
        Some(text) => {
            let all = || format!("the types are {}", TYPES.join(", "));
            at(format!("there is no type `{text}`")).hint(did_you_mean(text, TYPES).unwrap_or_else(all))
        }
        None => at(error.to_string()),
    }
}

/// `$ref`s must lead somewhere, in this file: nothing else is read, and nothing is fetched.
fn check_references(root: &Node, node: &Node, mistakes: &mut Vec<Mistake>) {
    if let Some(target) = node.get("$ref")
        && let Some(text) = target.as_text()
    {
        let pointer = text.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let leads = |pointer: &str| root.at(pointer.split('/').skip(1)).is_some();
        if !pointer.is_some_and(leads) {
            let mistake = Mistake::at(target.span, &InputsFault::LeadsNowhere(text.to_string()));
            mistakes.push(mistake.hint("write `#/$defs/NAME`, and define NAME under `$defs:`"));
        }
    }
    let items = node.as_sequence().unwrap_or_default();
    let values = node.as_mapping().unwrap_or_default().iter().map(|entry| &entry.value);
    items.iter().chain(values).for_each(|inner| check_references(root, inner, mistakes));
}

fn warning(node: &Node, all: &[Input], mistakes: &mut Vec<Mistake>) -> Option<Warning> {
    let text = |key: &str| node.get(key).and_then(Node::as_text).map(str::to_owned);
    let (Some(at), Some(condition), Some(about)) = (text("at"), text("if"), text("description")) else {
        mistakes.push(Mistake::at(node.span, &InputsFault::NotAWarning));
        return None;
    };
    if !all.iter().any(|input| input.name == at) {
        let hint = did_you_mean(&at, all.iter().map(|input| input.name.as_str()));
        mistakes.push(Mistake::at(node.span, &InputsFault::WarnsNowhere(at)).maybe_hint(hint));
        return None;
    }
    Some(Warning { at, condition, about, span: node.span })
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
            mistakes.push(mistake.maybe_hint(did_you_mean(&entry.key, OWN_WORDS)));
        }
    }
    check_inner_keys(schema, mistakes);
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

/// `{output: …}` is a reference wherever it stands, so no value may have a key of that name.
fn check_inner_keys(schema: &Node, mistakes: &mut Vec<Mistake>) {
    let inner = |keyword: &str| schema.get(keyword).and_then(Node::as_mapping).unwrap_or_default();
    for entry in inner("properties") {
        if reference::KINDS.contains(&entry.key.as_str()) {
            let mistake = Mistake::at(entry.key_span, &InputsFault::ReferenceKey(entry.key.clone()));
            mistakes.push(mistake.hint("call it something else"));
        }
        check_inner_keys(&entry.value, mistakes);
    }
    for keyword in ["items", "additionalProperties"] {
        schema.get(keyword).into_iter().for_each(|schema| check_inner_keys(schema, mistakes));
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
    /// None at all: of a template that cannot be read.
    pub fn none() -> Self {
        Self { schema: Json::Bool(true), validator: None, all: Vec::new(), warnings: Vec::new() }
    }

    /// Whether the file could not be read as inputs at all: then nothing can be said about any of them.
    pub fn is_unknown(&self) -> bool {
        self.schema == Json::Bool(true)
    }

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

/// How deep `$ref`s of an input are followed when its schema is copied; a schema that refers to itself ends here.
const COPIED_DEPTH_MAX: usize = 16;

/// How many schemas an input's copy may hold. A few lines of nested `$ref`s can stand for thousands of millions.
const COPIED_SCHEMAS_MAX: usize = 2_000;

/// What is still to be copied, and from where.
struct Copying<'a> {
    root: &'a Json,
    left: usize,
}

/// The schema of an input's value in an environment file: references allowed, null too, and nothing inside required, because a
/// layer may say a part of a map and leave the rest to others.
///
/// It refers to the two definitions of [`reference_definitions`].
pub fn value_schema(input: &Input, inputs: &Inputs) -> Json {
    let mut copying = Copying { root: &inputs.schema, left: COPIED_SCHEMAS_MAX };
    let mut forms = vec![loosened(inputs.schema_of(&input.name), &mut copying, 0), json!({"type": "null"})];
    forms.push(json!({"$ref": "#/$defs/reference"}));
    if input.parameter.is_some() {
        forms.push(json!({"$ref": "#/$defs/reference_at_deployment"}));
    }
    json!({"description": input.about, "anyOf": forms})
}

/// What may stand for a value: `reference`, wherever text may; `reference_at_deployment`, for parameters.
pub fn reference_definitions() -> Map<String, Json> {
    let text = json!({"type": "string"});
    let of = |keys: &[&str]| {
        let properties: Map<String, Json> = keys.iter().map(|key| ((*key).to_string(), text.clone())).collect();
        json!({"type": "object", "properties": properties, "required": [keys[0]], "additionalProperties": false})
    };
    let previous = json!({"type": "object", "properties": {"previous": {"const": true}}, "required": ["previous"], "additionalProperties": false});
    let mut definitions = Map::new();
    definitions.insert("reference".into(), json!({"anyOf": [of(&["ssm"]), of(&["secret", "key"])]}));
    definitions
        .insert("reference_at_deployment".into(), json!({"anyOf": [of(&["output"]), of(&["export"]), previous]}));
    definitions
}

/// Takes out what only a template can know, and lets in what only greenroom does: numbers for text (editors cannot know its
/// type), the five words, references inside.
fn loosened(schema: &Json, copying: &mut Copying<'_>, depth: usize) -> Json {
    let Json::Object(entries) = schema else { return schema.clone() };
    let pointer = entries.get("$ref").and_then(Json::as_str).and_then(|it| it.strip_prefix('#'));
    let target = pointer.and_then(|pointer| copying.root.pointer(pointer));
    copying.left = copying.left.saturating_sub(1);
    if depth > COPIED_DEPTH_MAX || copying.left == 0 {
        return Json::Bool(true);
    }
    if let Some(target) = target {
        return loosened(target, copying, depth + 1);
    }
    let is_kept = |key: &str| {
        !matches!(key, "required" | "dependentRequired" | "default" | "examples" | "description" | "$defs")
            && !key.starts_with("x-")
    };
    let mut out: Map<String, Json> = Map::new();
    for (key, value) in entries.iter().filter(|(key, _)| is_kept(key)) {
        let value = match (key.as_str(), value) {
            ("type", Json::String(kind)) if kind == "string" => json!(["string", "number"]),
            ("pattern", Json::String(pattern)) => json!(format!("(?:{pattern})|\\$\\{{")),
            ("enum" | "const" | "propertyNames", value) => value.clone(),
            ("properties" | "patternProperties", Json::Object(inner)) => {
                inner.iter().map(|(key, value)| (key.clone(), inside(value, copying, depth))).collect()
            }
            ("items" | "additionalProperties", value) => inside(value, copying, depth),
            (_, Json::Array(items)) => items.iter().map(|item| loosened(item, copying, depth + 1)).collect(),
            (_, value) => loosened(value, copying, depth + 1),
        };
        out.insert(key.clone(), value);
    }
    Json::Object(out)
}

/// A value inside another: it may be a reference, or null to take it away.
fn inside(schema: &Json, copying: &mut Copying<'_>, depth: usize) -> Json {
    match loosened(schema, copying, depth + 1) {
        Json::Object(schema) => json!({"anyOf": [schema, {"type": "null"}, {"$ref": "#/$defs/reference"}]}),
        other => other,
    }
}
