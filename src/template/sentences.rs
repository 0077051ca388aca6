//! What a JSON Schema validator found, said as a person would: about the value, never about the schema.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value as Json;

use crate::environment::did_you_mean;
use crate::template::inputs::plain;

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub text: String,
    /// What to do, if that is known.
    pub hint: Option<String>,
    /// Keys and positions from the inputs to the value; a key that is not wanted is the last of them.
    pub path: Vec<String>,
    /// Whether it is about the key at the end of `path` and not about its value.
    pub is_about_key: bool,
    /// The bytes of the value's text that do not fit, where that is known.
    pub misfit: Option<std::ops::Range<usize>>,
}

/// Says what is wrong, once for every key or value. A rule over several inputs (`allOf` at the top, with `if`, `then`, `else`) says
/// in its `description` what it is for, and that is the way out.
pub fn sentences(error: &ValidationError<'_>, schema: &Json) -> Vec<Sentence> {
    let rule = rule_of(error, schema);
    let said = plain_sentences(error, schema).into_iter();
    said.map(|sentence| Sentence { hint: rule.clone().or(sentence.hint), ..sentence }).collect()
}

/// What the rule over several inputs that was broken is for.
fn rule_of(error: &ValidationError<'_>, schema: &Json) -> Option<String> {
    let path = error.schema_path().as_str();
    let number = path.strip_prefix("/allOf/")?.split('/').next()?;
    described(schema.pointer(&format!("/allOf/{number}"))?)
}

fn plain_sentences(error: &ValidationError<'_>, schema: &Json) -> Vec<Sentence> {
    let path: Vec<String> = error.instance_path().iter().map(|segment| segment.to_string()).collect();
    let at_value =
        |code, text: String, hint| Sentence { code, text, hint, path: path.clone(), is_about_key: false, misfit: None };
    let value = error.instance().as_ref();
    let of_value = parent_schema(error, schema);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|key| unknown_key(key, &path, of_value)).collect()
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            match nearest_branch(context, error) {
                Some(branch) => branch.iter().flat_map(|error| sentences(error, schema)).collect(),
                None => vec![at_value(
                    "wrong-form",
                    format!("{} fits none of the forms this takes", quoted(value)),
                    example_hint(of_value),
                )],
            }
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
            let near = value.as_str().and_then(|text| did_you_mean(text, words.iter().map(String::as_str)));
            vec![at_value("not-listed", format!("{} expected, but this is {}", one_of(&words), quoted(value)), near)]
        }
        ValidationErrorKind::Constant { expected_value } => {
            vec![at_value(
                "not-listed",
                format!("`{}` expected, but this is {}", plain(expected_value), quoted(value)),
                None,
            )]
        }
        ValidationErrorKind::Pattern { pattern } => {
            let text = value.as_str().unwrap_or_default();
            let (said, misfit) = misfit(text, pattern, of_value);
            vec![Sentence { misfit, ..at_value("wrong-text", said, described(of_value)) }]
        }
        ValidationErrorKind::Type { kind } => {
            let unquoted =
                value.as_str().filter(|text| takes_unquoted(kind, text)).map(|_| "without the quotes".to_string());
            vec![at_value(
                "wrong-type",
                format!("{} expected, but this is {}", expected_types(kind), quoted(value)),
                unquoted,
            )]
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            vec![at_value("missing-key", format!("`{key}` is missing"), None)]
        }
        ValidationErrorKind::FalseSchema => {
            vec![at_value("not-wanted", "this cannot be said here, given the other values".into(), described(of_value))]
        }
        ValidationErrorKind::UniqueItems => {
            vec![at_value("not-unique", "two elements of this list are the same".into(), None)]
        }
        ValidationErrorKind::PropertyNames { error } => {
            let key = error.instance().as_str().unwrap_or_default().to_string();
            let inner = sentences(error, schema).into_iter().next();
            let text = inner.map_or_else(|| format!("`{key}` cannot be a key here"), |inner| inner.text);
            vec![Sentence {
                path: [path.clone(), vec![key]].concat(),
                is_about_key: true,
                ..at_value("wrong-key", text, None)
            }]
        }
        kind => {
            vec![at_value("wrong-value", bounds(kind, value).unwrap_or_else(|| error.to_string()), described(of_value))]
        }
    }
}

/// The schema that holds the keyword which failed.
fn parent_schema<'a>(error: &ValidationError<'_>, schema: &'a Json) -> &'a Json {
    let pointer = error.schema_path().as_str();
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema.pointer(parent).unwrap_or(schema)
}

fn unknown_key(key: &str, path: &[String], schema: &Json) -> Sentence {
    let known: Vec<&str> =
        schema.get("properties").and_then(Json::as_object).into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    let hint = did_you_mean(key, known.iter().copied()).unwrap_or_else(|| format!("known here: {}", known.join(", ")));
    Sentence {
        code: "unknown-key",
        text: format!("unknown key `{key}`"),
        hint: Some(hint),
        path: [path, &[key.to_string()]].concat(),
        is_about_key: true,
        misfit: None,
    }
}

/// Of several forms, the one that was probably meant: it fails on something else than its type.
fn nearest_branch<'a>(
    context: &'a [Vec<ValidationError<'static>>],
    error: &ValidationError<'_>,
) -> Option<&'a Vec<ValidationError<'static>>> {
    let is_other_type = |branch: &&Vec<ValidationError<'static>>| {
        branch.iter().any(|inner| {
            matches!(inner.kind(), ValidationErrorKind::Type { .. }) && inner.instance_path() == error.instance_path()
        })
    };
    context.iter().filter(|branch| !branch.is_empty() && !is_other_type(branch)).min_by_key(|branch| branch.len())
}

fn bounds(kind: &ValidationErrorKind, value: &Json) -> Option<String> {
    let count = |unit: &str, limit: u64| format!("{limit} {unit}{}", if limit == 1 { "" } else { "s" });
    Some(match kind {
        ValidationErrorKind::Minimum { limit } => format!("at least {limit} expected, but this is {}", plain(value)),
        ValidationErrorKind::Maximum { limit } => format!("at most {limit} expected, but this is {}", plain(value)),
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            format!("more than {limit} expected, but this is {}", plain(value))
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            format!("less than {limit} expected, but this is {}", plain(value))
        }
        ValidationErrorKind::MultipleOf { multiple_of } => {
            format!("a multiple of {multiple_of} expected, but this is {}", plain(value))
        }
        ValidationErrorKind::MinLength { limit: 1 } => "text expected, but there is none".to_string(),
        ValidationErrorKind::MinLength { limit } => {
            format!("at least {} expected, but {} is shorter", count("character", *limit), quoted(value))
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("at most {} expected, but this is longer", count("character", *limit))
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("at least {} expected, but there {}", count("element", *limit), are(value))
        }
        ValidationErrorKind::MaxItems { limit } => {
            format!("at most {} expected, but there {}", count("element", *limit), are(value))
        }
        ValidationErrorKind::MinProperties { limit } => format!(
            "at least {} expected, but there {}",
            count("entry", *limit).replace("entrys", "entries"),
            are(value)
        ),
        ValidationErrorKind::Not { .. } => format!("{} is not allowed here", quoted(value)),
        _ => return None,
    })
}

fn are(value: &Json) -> String {
    let count =
        value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len)).unwrap_or_default();
    match count {
        0 => "is none".to_string(),
        1 => "is 1".to_string(),
        count => format!("are {count}"),
    }
}

fn one_of(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_string(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

/// Text in double quotes, everything else as it is; long values are cut.
fn quoted(value: &Json) -> String {
    const CHARACTERS_MAX: usize = 60;
    let text = match value {
        Json::String(text) => format!("\"{text}\""),
        Json::Array(_) => return "a list".to_string(),
        Json::Object(_) => return "a map".to_string(),
        Json::Null => return "nothing".to_string(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
    };
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…\"", &text[..end]),
        None => text,
    }
}

fn expected_types(kind: &TypeKind) -> String {
    let kinds: Vec<JsonType> = match kind {
        TypeKind::Single(kind) => vec![*kind],
        TypeKind::Multiple(kinds) => kinds.iter().collect(),
    };
    let words: Vec<&str> = kinds.into_iter().map(expected_type).collect();
    words.join(" or ")
}

fn expected_type(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a map",
        JsonType::String => "text",
    }
}

/// Whether a quoted text would be right without its quotes.
fn takes_unquoted(kind: &TypeKind, text: &str) -> bool {
    let TypeKind::Single(kind) = kind else { return false };
    match kind {
        JsonType::Boolean => matches!(text, "true" | "false"),
        JsonType::Integer => text.parse::<i64>().is_ok(),
        JsonType::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        JsonType::Array | JsonType::Null | JsonType::Object | JsonType::String => false,
    }
}

fn described(schema: &Json) -> Option<String> {
    let about = schema.get("description").and_then(Json::as_str)?.trim();
    (!about.is_empty()).then(|| about.trim_end_matches('.').to_string())
}

fn example(schema: &Json) -> Option<&str> {
    let given = schema.get("examples").and_then(|examples| examples.get(0)).or_else(|| schema.get("default"));
    given.and_then(Json::as_str)
}

fn example_hint(schema: &Json) -> Option<String> {
    let example = schema.get("examples").and_then(|examples| examples.get(0))?;
    Some(format!("for example `{}`", plain(example)))
}

/// Why a text does not match a pattern, and where: with an example instead of the pattern.
fn misfit(text: &str, pattern: &str, schema: &Json) -> (String, Option<std::ops::Range<usize>>) {
    let expected = example(schema)
        .map_or_else(|| "something else expected".to_string(), |example| format!("`{example}` expected"));
    if text.is_empty() {
        return (format!("{expected}, but there is no text"), None);
    }
    let Ok(regex) = regex::Regex::new(pattern) else { return (format!("{expected}, but this is \"{text}\""), None) };
    if let Some(lacking) = example(schema).and_then(|example| lacking(text, example, &regex)) {
        return (format!("{expected}, \"{text}\" lacks \"{lacking}\""), None);
    }
    match first_misfit(text, pattern) {
        Some(at) if at < text.len() => {
            let letter = text[at..].chars().next().map(String::from).unwrap_or_default();
            let misfit = at..at + letter.len();
            (format!("{expected}, in \"{text}\" the \"{letter}\" does not fit"), Some(misfit))
        }
        Some(_) => (format!("{expected}, \"{text}\" ends too early"), None),
        None => (format!("{expected}, but this is \"{text}\""), None),
    }
}

/// A beginning or an end of the example with which the text would fit.
fn lacking<'a>(text: &str, example: &'a str, regex: &regex::Regex) -> Option<&'a str> {
    let cuts: Vec<usize> = example.char_indices().map(|(index, _)| index).skip(1).collect();
    let beginnings = cuts.iter().map(|cut| &example[..*cut]);
    let ends = cuts.iter().rev().map(|cut| &example[*cut..]);
    beginnings
        .clone()
        .find(|beginning| !text.starts_with(beginning) && regex.is_match(&format!("{beginning}{text}")))
        .or_else(|| ends.clone().find(|end| !text.ends_with(end) && regex.is_match(&format!("{text}{end}"))))
}

/// The first byte after which no continuation could match; the length of the text if it only ends too early.
fn first_misfit(text: &str, pattern: &str) -> Option<usize> {
    use regex_automata::hybrid::dfa::DFA;
    use regex_automata::{Anchored, Input};
    if !pattern.starts_with('^') {
        return None;
    }
    let dfa = DFA::new(pattern).ok()?;
    let mut cache = dfa.create_cache();
    let mut state = dfa.start_state_forward(&mut cache, &Input::new(text).anchored(Anchored::Yes)).ok()?;
    for (index, byte) in text.bytes().enumerate() {
        state = dfa.next_state(&mut cache, state, byte).ok()?;
        if state.is_dead() || state.is_quit() {
            return Some(text.floor_char_boundary(index));
        }
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: &Json, schema: &Json) -> Vec<String> {
        let validator = jsonschema::draft202012::new(schema).expect("a schema");
        let errors: Vec<_> = validator.iter_errors(value).collect();
        let sentences = errors.iter().flat_map(|error| sentences(error, schema));
        sentences.map(|it| [it.path.join("/"), it.text].join(": ")).collect()
    }

    fn said_of(value: &Json, schema: &Json) -> String {
        said(value, schema).join("; ")
    }

    #[test]
    fn patterns_are_said_by_example() {
        let class = json!({"type": "string", "pattern": "^db\\.[a-z0-9]+\\.[a-z0-9]+$", "examples": ["db.r7g.xlarge"]});
        for (text, sentence) in [
            ("r7g.xlarge", ": `db.r7g.xlarge` expected, \"r7g.xlarge\" lacks \"db.\""),
            ("db.r7g", ": `db.r7g.xlarge` expected, \"db.r7g\" lacks \".xlarge\""),
            ("db.R7g.xlarge", ": `db.r7g.xlarge` expected, in \"db.R7g.xlarge\" the \"R\" does not fit"),
            ("", ": `db.r7g.xlarge` expected, but there is no text"),
        ] {
            assert_eq!(said_of(&json!(text), &class), sentence);
        }
    }

    #[test]
    fn a_pattern_of_unknown_kind_still_says_what_is_expected() {
        let schema = json!({"type": "string", "pattern": "^(?!x)", "examples": ["abc"]});
        assert_eq!(said_of(&json!("xyz"), &schema), ": `abc` expected, but this is \"xyz\"");
    }

    #[test]
    fn words_types_and_bounds_are_sentences() {
        for (value, schema, sentence) in [
            (
                json!("on"),
                json!({"enum": ["none", "one", "per_zone"]}),
                ": `none`, `one` or `per_zone` expected, but this is \"on\"",
            ),
            (json!("yes"), json!({"type": "boolean"}), ": `true` or `false` expected, but this is \"yes\""),
            (json!("20"), json!({"type": "integer"}), ": a whole number expected, but this is \"20\""),
            (json!(5), json!({"minimum": 20}), ": at least 20 expected, but this is 5"),
            (json!([1]), json!({"minItems": 2}), ": at least 2 elements expected, but there is 1"),
            (json!([1, 1]), json!({"uniqueItems": true}), ": two elements of this list are the same"),
            (json!([1]), json!({"type": "string"}), ": text expected, but this is a list"),
            (json!({}), json!({"required": ["min"]}), ": `min` is missing"),
        ] {
            assert_eq!(said_of(&value, &schema), sentence);
        }
    }

    #[test]
    fn unknown_keys_are_said_one_by_one_with_the_nearest() {
        let schema = json!({"properties": {"min": {}, "max": {}}, "additionalProperties": false});
        assert_eq!(said(&json!({"mni": 1, "mex": 2}), &schema), ["mni: unknown key `mni`", "mex: unknown key `mex`"]);
    }

    #[test]
    fn of_several_forms_the_one_meant_speaks() {
        let schema = json!({"oneOf": [{"type": "string"}, {"type": "object", "properties": {"min": {"minimum": 1}}}]});
        assert_eq!(said_of(&json!({"min": 0}), &schema), "min: at least 1 expected, but this is 0");
    }
}
