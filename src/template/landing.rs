//! Where a value ends up: the properties of the rendered template that change when it does.
//!
//! Nobody reads this off the template's logic: the value is changed a little, the template rendered again, and the two compared.
//! A rendering takes about a millisecond.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::environment::{Sources, Stack};
use crate::template::arguments::{Argument, Given};
use crate::template::compare::{Difference, compare};
use crate::template::inputs::Input;
use crate::template::resource_types::{Replaces, ResourceTypes};
use crate::template::typing::number;
use crate::template::{Template, Templates};

/// A property that depends on a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Landing {
    /// The logical id.
    pub resource: String,
    /// The resource's type.
    pub kind: String,
    /// The property; nothing where the whole resource comes or goes with the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// What changing it does to the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changing_it: Option<&'static str>,
}

/// How many variants of one value are tried.
const VARIANTS_MAX: usize = 64;

/// Where the value of an input ends up, or a part of it: `path` leads into the value.
pub fn landings(
    templates: &Templates,
    template: &Template,
    stack: &Stack,
    arguments: &[Argument],
    input: &Input,
    path: &[&str],
    sources: &Sources,
) -> Vec<Landing> {
    let Ok(base) = templates.render_with(template, stack, arguments, sources) else { return Vec::new() };
    if let Some(parameter) = &input.parameter {
        let mut found = uses(&base.document.json, parameter);
        // What is there only where something is given.
        let without: Vec<Argument> = arguments.iter().filter(|it| it.input != input.name).cloned().collect();
        if let Ok(rendered) = templates.render_with(template, stack, &without, sources) {
            let changed = changes(&base.document.json, &rendered.document.json);
            found.extend(changed.into_iter().filter(|landing| landing.property.is_none()));
        }
        found.sort();
        found.dedup();
        return found;
    }
    let schema = template.inputs.schema_of(&input.name);
    let current =
        arguments.iter().find(|argument| argument.input == input.name).and_then(|argument| match &argument.given {
            Given::Value(value) => Some(value.clone()),
            Given::Reference(_) => None,
        });
    let variants = match &current {
        Some(value) => variants_at(value, schema, path),
        None => examples(schema),
    };
    let mut found: Vec<Landing> = Vec::new();
    for variant in variants.into_iter().take(VARIANTS_MAX) {
        let changed = with(arguments, input, variant);
        if let Ok(rendered) = templates.render_with(template, stack, &changed, sources) {
            found.extend(changes(&base.document.json, &rendered.document.json));
        }
    }
    found.sort();
    found.dedup();
    // A resource that comes and goes says enough.
    let whole: Vec<String> =
        found.iter().filter(|landing| landing.property.is_none()).map(|landing| landing.resource.clone()).collect();
    found.retain(|landing| landing.property.is_none() || !whole.contains(&landing.resource));
    found
}

fn with(arguments: &[Argument], input: &Input, value: Json) -> Vec<Argument> {
    let mut arguments: Vec<Argument> = arguments.to_vec();
    match arguments.iter_mut().find(|argument| argument.input == input.name) {
        Some(argument) => argument.given = Given::Value(value),
        None => {
            let node = crate::environment::Node::text("", input.span);
            arguments.push(Argument { input: input.name.clone(), given: Given::Value(value), node, is_default: false });
        }
    }
    arguments
}

fn changes(before: &Json, after: &Json) -> Vec<Landing> {
    let mut found = Vec::new();
    for difference in compare(before, after).resources {
        let landing = |property: Option<&str>| landing(&difference.resource, &difference.kind, property);
        match &difference.difference {
            Difference::Added | Difference::Removed => found.push(landing(None)),
            Difference::Changed(properties) => {
                found.extend(properties.iter().map(|property| landing(Some(top(&property.path)))));
            }
        }
    }
    found
}

/// Positions in lists say nothing to a reader: `Tags/0/Value` is `Tags`.
fn top(path: &str) -> &str {
    let end = path
        .split('/')
        .take_while(|part| !part.starts_with(|first: char| first.is_ascii_digit()))
        .map(|part| part.len() + 1)
        .sum::<usize>();
    &path[..end.saturating_sub(1).min(path.len())]
}

fn landing(resource: &str, kind: &str, property: Option<&str>) -> Landing {
    let changing = |property: &str| match ResourceTypes::shipped().get(kind)?.replaces(property) {
        Replaces::Never => Some("changes it in place"),
        Replaces::Conditionally => Some("may replace it"),
        Replaces::Always => Some("replaces it"),
    };
    Landing {
        resource: resource.to_string(),
        kind: kind.to_string(),
        property: property.map(str::to_string),
        changing_it: property.and_then(changing),
    }
}

/// Every property that refers to a parameter.
pub fn uses(template: &Json, parameter: &str) -> Vec<Landing> {
    let mut found = Vec::new();
    for (id, resource) in template.get("Resources").and_then(Json::as_object).into_iter().flatten() {
        let kind = resource.get("Type").and_then(Json::as_str).unwrap_or_default();
        for (name, value) in resource.get("Properties").and_then(Json::as_object).into_iter().flatten() {
            if refers(value, parameter) {
                found.push(landing(id, kind, Some(name)));
            }
        }
    }
    found
}

fn refers(value: &Json, parameter: &str) -> bool {
    match value {
        Json::Object(entries) => entries.iter().any(|(key, value)| match (key.as_str(), value) {
            ("Ref", Json::String(name)) => name == parameter,
            ("Fn::Sub", Json::String(text)) => text.contains(&format!("${{{parameter}}}")),
            ("Fn::Sub", Json::Array(items)) => {
                items.first().and_then(Json::as_str).is_some_and(|text| text.contains(&format!("${{{parameter}}}")))
                    || refers(&Json::Array(items[1..].to_vec()), parameter)
            }
            _ => refers(value, parameter),
        }),
        Json::Array(items) => items.iter().any(|item| refers(item, parameter)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// Variants of a value that differ only at a path.
fn variants_at(value: &Json, schema: &Json, path: &[&str]) -> Vec<Json> {
    let Some((first, rest)) = path.split_first() else { return variants(value, schema) };
    match value {
        Json::Object(entries) => {
            let schema = schema.get("properties").and_then(|properties| properties.get(first)).unwrap_or(&Json::Null);
            let inner = entries.get(*first).map(|inner| variants_at(inner, schema, rest)).unwrap_or_default();
            inner.into_iter().map(|inner| Json::Object(replaced(entries, first, inner))).collect()
        }
        Json::Array(items) => {
            let Some((position, item)) =
                first.parse::<usize>().ok().and_then(|position| Some((position, items.get(position)?)))
            else {
                return Vec::new();
            };
            let inner = variants_at(item, schema.get("items").unwrap_or(&Json::Null), rest);
            let put = |inner: Json| {
                let mut items = items.clone();
                items[position] = inner;
                Json::Array(items)
            };
            inner.into_iter().map(put).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    }
}

fn replaced(entries: &Map<String, Json>, key: &str, value: Json) -> Map<String, Json> {
    let mut entries = entries.clone();
    entries.insert(key.to_string(), value);
    entries
}

/// Other values of the same kind, near and far, so that thresholds and choices in a template are met.
fn variants(value: &Json, schema: &Json) -> Vec<Json> {
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return words.iter().filter(|word| *word != value).cloned().collect();
    }
    match value {
        Json::Null => Vec::new(),
        Json::Bool(is) => vec![Json::Bool(!is)],
        Json::Number(now) => {
            let near = now
                .as_i64()
                .into_iter()
                .flat_map(|now| [now + 1, now - 1, now * 2, now * 10, now / 10])
                .map(Json::from);
            let fractions = now
                .as_f64()
                .filter(|_| now.is_f64())
                .into_iter()
                .flat_map(|now| [now + 1.0, now / 2.0])
                .map(Json::from);
            let bounds = ["minimum", "maximum"].into_iter().filter_map(|bound| schema.get(bound).cloned());
            near.chain(fractions).chain(bounds).filter(|variant| variant != value).collect()
        }
        Json::String(text) => text_variants(text).into_iter().map(Json::String).collect(),
        Json::Array(items) => {
            let each = items.iter().enumerate().flat_map(|(position, item)| {
                variants(item, schema.get("items").unwrap_or(&Json::Null))
                    .into_iter()
                    .take(4)
                    .map(move |variant| (position, variant))
            });
            let changed = each.map(|(position, variant)| {
                let mut items = items.clone();
                items[position] = variant;
                Json::Array(items)
            });
            let shorter = (!items.is_empty()).then(|| Json::Array(items[1..].to_vec()));
            let longer = examples(schema.get("items").unwrap_or(&Json::Null))
                .into_iter()
                .take(2)
                .map(|item| Json::Array([items.clone(), vec![item]].concat()));
            changed.chain(shorter).chain(longer).collect()
        }
        Json::Object(entries) => {
            let each = entries.iter().flat_map(|(key, inner)| {
                let schema = schema.get("properties").and_then(|properties| properties.get(key)).unwrap_or(&Json::Null);
                variants(inner, schema)
                    .into_iter()
                    .take(4)
                    .map(move |variant| Json::Object(replaced(entries, key, variant)))
            });
            let more = examples(schema).into_iter().filter_map(|example| {
                let Json::Object(example) = example else { return None };
                Some(Json::Object(entries.clone().into_iter().chain(example).collect()))
            });
            each.chain(more).collect()
        }
    }
}

/// The text with one of its numbers one higher, and with a letter more.
fn text_variants(text: &str) -> Vec<String> {
    let mut variants = vec![format!("{text}x")];
    let mut start = None;
    for (index, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (character.is_ascii_digit(), start) {
            (true, None) => start = Some(index),
            (false, Some(begin)) => {
                if let Some(next) = number(&text[begin..index])
                    .and_then(|number| number.as_u64())
                    .and_then(|number| number.checked_add(1))
                {
                    variants.push(format!("{}{next}{}", &text[..begin], &text[index..]));
                }
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    variants
}

/// Values that the schema itself names.
fn examples(schema: &Json) -> Vec<Json> {
    let listed =
        ["enum", "examples"].into_iter().filter_map(|keyword| schema.get(keyword)).filter_map(Json::as_array).flatten();
    let bounds = ["minimum", "default"].into_iter().filter_map(|keyword| schema.get(keyword));
    let found: Vec<Json> = listed.chain(bounds).cloned().collect();
    match schema.get("type").and_then(Json::as_str) {
        Some("boolean") => vec![Json::Bool(true), Json::Bool(false)],
        Some("string") if found.is_empty() => vec![Json::from("x")],
        Some("integer" | "number") if found.is_empty() => vec![Json::from(1)],
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn positions_in_lists_are_left_out() {
        assert_eq!(top("Tags/0/Value"), "Tags");
        assert_eq!(top("LaunchTemplate/Version"), "LaunchTemplate/Version");
        assert_eq!(top("X"), "X");
    }

    #[test]
    fn every_number_in_a_text_is_tried() {
        assert_eq!(text_variants("db.r7g.2xlarge"), ["db.r7g.2xlargex", "db.r8g.2xlarge", "db.r7g.3xlarge"]);
    }

    #[test]
    fn only_the_part_at_the_path_varies() {
        let variants = variants_at(&json!({"min": 1, "max": 3}), &json!({}), &["min"]);
        assert!(!variants.is_empty());
        assert!(variants.iter().all(|variant| variant["max"] == json!(3) && variant["min"] != json!(1)));
    }
}
