//! From the text of a value to JSON: the schema says which type it has, never the text.
//!
//! `7.10` for an input of type string is the text `7.10`; for one of type number it is refused, because a number could only say
//! `7.1`. Nothing changes its text in silence.

use serde_json::{Map, Number, Value as Json};

use crate::environment::reference;
use crate::environment::{Content, Mistake, Node, Scalar, Style};

/// What can be wrong with the text of a value.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum TypeFault {
    /// `7.10` where a number is due.
    #[error("as a number, `{text}` would become `{number}`")]
    NumberChanges {
        /// What was written.
        text: String,
        /// What would come of it.
        number: String,
    },
}

/// How deep `$ref`s may lead; a schema that refers to itself ends here.
const REFERENCES_MAX: usize = 32;

/// How deep alternatives may lie in each other; a schema that is an alternative of itself ends here. Few, because each may have
/// several.
const ALTERNATIVES_DEPTH_MAX: usize = 4;

/// Reads values by the schema of a template's inputs.
#[derive(Clone, Copy)]
pub struct Typing<'a> {
    /// The whole schema: `$ref`s lead into it.
    pub root: &'a Json,
}

impl<'a> Typing<'a> {
    /// The JSON of a value. References to secrets and stored parameters become the text that CloudFormation resolves.
    pub fn json(self, node: &Node, schema: &'a Json, mistakes: &mut Vec<Mistake>) -> Json {
        let schema = self.resolve(schema);
        if let Some(Ok(found)) = reference::parse(node)
            && let Some(text) = found.dynamic()
        {
            return Json::String(text);
        }
        match &node.content {
            Content::Scalar(scalar) if node.is_null() && !allows(schema, "string") => null(scalar),
            Content::Scalar(scalar) => self.scalar(node, scalar, schema, mistakes),
            Content::Sequence(items) => {
                let each = |(position, item)| self.json(item, self.item(schema, position), mistakes);
                Json::Array(items.iter().enumerate().map(each).collect())
            }
            Content::Mapping(entries) => {
                let each = |entry: &crate::environment::Entry| {
                    (entry.key.clone(), self.json(&entry.value, self.property(schema, &entry.key), mistakes))
                };
                Json::Object(entries.iter().map(each).collect::<Map<_, _>>())
            }
        }
    }

    fn scalar(self, node: &Node, scalar: &Scalar, schema: &Json, mistakes: &mut Vec<Mistake>) -> Json {
        let text = scalar.text.as_str();
        if scalar.style != Style::Plain {
            return Json::String(text.to_string());
        }
        if (self.may_be(schema, "integer") || self.may_be(schema, "number"))
            && let Some(number) = number(text)
        {
            if number.to_string() != text && !self.may_be(schema, "string") {
                let fault = TypeFault::NumberChanges { text: text.to_string(), number: number.to_string() };
                mistakes.push(Mistake::at(node.span, &fault).hint(format!("write it as `{number}`")));
            }
            if number.to_string() == text || !self.may_be(schema, "string") {
                return Json::Number(number);
            }
        }
        match text {
            "true" if self.may_be(schema, "boolean") => Json::Bool(true),
            "false" if self.may_be(schema, "boolean") => Json::Bool(false),
            _ => Json::String(text.to_string()),
        }
    }

    /// Follows `$ref` within the schema.
    pub fn resolve(self, schema: &'a Json) -> &'a Json {
        let mut schema = schema;
        for _ in 0..REFERENCES_MAX {
            let Some(pointer) = schema.get("$ref").and_then(Json::as_str).and_then(|it| it.strip_prefix('#')) else {
                break;
            };
            let Some(target) = self.root.pointer(pointer) else { break };
            schema = target;
        }
        schema
    }

    /// The schema of a key of a map.
    pub fn property(self, schema: &'a Json, key: &str) -> &'a Json {
        let own = |schema: &'a Json| {
            let properties = schema.get("properties").and_then(|properties| properties.get(key));
            properties.or_else(|| schema.get("additionalProperties"))
        };
        self.inside(schema, &own, ALTERNATIVES_DEPTH_MAX).unwrap_or(&ANY)
    }

    /// The schema of an element of a list.
    pub fn item(self, schema: &'a Json, position: usize) -> &'a Json {
        let own = |schema: &'a Json| {
            let prefix = schema.get("prefixItems").and_then(|items| items.get(position));
            prefix.or_else(|| schema.get("items"))
        };
        self.inside(schema, &own, ALTERNATIVES_DEPTH_MAX).unwrap_or(&ANY)
    }

    /// What the schema says of something inside it, or else the first of its alternatives that does.
    fn inside(self, schema: &'a Json, own: &dyn Fn(&'a Json) -> Option<&'a Json>, depth: usize) -> Option<&'a Json> {
        let schema = self.resolve(schema);
        let said = own(schema).filter(|own| own.is_object());
        match depth.checked_sub(1) {
            Some(depth) => said.or_else(|| alternatives(schema).find_map(|each| self.inside(each, own, depth))),
            None => said,
        }
    }

    /// Whether the schema, or one of its alternatives, takes values of this type.
    fn may_be(self, schema: &Json, kind: &str) -> bool {
        allows(schema, kind) || alternatives(schema).any(|each| self.may_be_resolved(each, kind))
    }

    fn may_be_resolved(self, schema: &Json, kind: &str) -> bool {
        let pointer = schema.get("$ref").and_then(Json::as_str).and_then(|it| it.strip_prefix('#'));
        match pointer.and_then(|pointer| self.root.pointer(pointer)) {
            Some(target) => allows(target, kind),
            None => self.may_be(schema, kind),
        }
    }
}

static ANY: Json = Json::Bool(true);

fn alternatives(schema: &Json) -> impl Iterator<Item = &Json> {
    ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .filter_map(|keyword| schema.get(keyword))
        .filter_map(Json::as_array)
        .flatten()
}

/// Whether the schema itself names this type, directly or through the values it lists.
fn allows(schema: &Json, kind: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(own)) => own == kind,
        Some(Json::Array(kinds)) => kinds.iter().any(|own| own == kind),
        _ => {
            let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten().chain(schema.get("const"));
            listed.into_iter().any(|value| kind_of(value) == kind)
        }
    }
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn null(scalar: &Scalar) -> Json {
    if scalar.style == Style::Plain { Json::Null } else { Json::String(scalar.text.clone()) }
}

/// A number as YAML 1.2 reads it (core schema), decimal only.
pub fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts_well = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let is_of_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+');
    if !starts_well || !text.bytes().all(is_of_number) {
        return None;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Some(integer.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// The JSON of a JSON Schema written in YAML. Values inside it (`default`, `enum`, …) take their type from the schema they stand in.
pub fn schema_json(node: &Node) -> Json {
    match &node.content {
        Content::Scalar(scalar) => any_json(scalar),
        Content::Sequence(items) => Json::Array(items.iter().map(schema_json).collect()),
        Content::Mapping(entries) => {
            let is_value = |key: &str| matches!(key, "default" | "enum" | "const" | "examples");
            let mut schema: Map<String, Json> = entries
                .iter()
                .filter(|entry| !is_value(&entry.key) || entry.value.as_mapping().is_some())
                .map(|entry| (entry.key.clone(), schema_json(&entry.value)))
                .collect();
            let typed = Json::Object(schema.clone());
            let has_type = schema.contains_key("type") || schema.contains_key("$ref");
            for entry in entries.iter().filter(|entry| is_value(&entry.key)) {
                let value =
                    if has_type { values_json(&entry.key, &entry.value, &typed) } else { schema_json(&entry.value) };
                schema.insert(entry.key.clone(), value);
            }
            Json::Object(schema)
        }
    }
}

fn values_json(keyword: &str, node: &Node, schema: &Json) -> Json {
    let typing = Typing { root: schema };
    let mut ignored = Vec::new();
    match node.as_sequence() {
        Some(items) if keyword != "default" && keyword != "const" => {
            Json::Array(items.iter().map(|item| typing.json(item, schema, &mut ignored)).collect())
        }
        _ => typing.json(node, schema, &mut ignored),
    }
}

/// A scalar without a schema, by YAML 1.2's core schema.
fn any_json(scalar: &Scalar) -> Json {
    if scalar.style != Style::Plain {
        return Json::String(scalar.text.clone());
    }
    match scalar.text.as_str() {
        "" | "~" | "null" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        text => number(text).map_or_else(|| Json::String(text.to_string()), Json::Number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::environment::yaml::parsed;

    fn typed(text: &str, schema: &Json) -> (Json, Vec<String>) {
        let mut mistakes = Vec::new();
        let value = Typing { root: schema }.json(&parsed(text), schema, &mut mistakes);
        (value, mistakes.into_iter().map(|mistake| mistake.message).collect())
    }

    #[test]
    fn text_stays_text_whatever_it_looks_like() {
        for text in ["7.10", "012345678901", "12:30", "no", "ON", "true", "1e3", "0x10", "+1"] {
            assert_eq!(typed(text, &json!({"type": "string"})), (json!(text), vec![]));
            assert_eq!(typed(text, &json!({"enum": ["a", "b"]})), (json!(text), vec![]));
        }
        assert_eq!(typed("'true'", &json!({"type": "boolean"})), (json!("true"), vec![]));
    }

    #[test]
    fn numbers_are_numbers_only_where_the_schema_says_so() {
        assert_eq!(typed("20", &json!({"type": "integer"})), (json!(20), vec![]));
        assert_eq!(typed("0.5", &json!({"type": "number"})), (json!(0.5), vec![]));
        assert_eq!(typed("'20'", &json!({"type": "integer"})), (json!("20"), vec![]));
    }

    #[test]
    fn a_number_that_would_change_is_told() {
        assert_eq!(
            typed("7.10", &json!({"type": "number"})),
            (json!(7.1), vec!["as a number, `7.10` would become `7.1`".into()])
        );
        assert_eq!(typed("007", &json!({"type": "integer"})).1, ["as a number, `007` would become `7`"]);
        assert_eq!(typed("7.10", &json!({"type": ["number", "string"]})), (json!("7.10"), vec![]));
    }

    #[test]
    fn schemas_reach_into_lists_maps_and_references() {
        let schema = json!({"$defs": {"n": {"type": "integer"}}, "type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "string"}},
            "map": {"additionalProperties": {"$ref": "#/$defs/n"}},
            "either": {"oneOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
        }});
        let (value, _) = typed("{list: [1, 2.0], map: {a: 1}, either: [3]}", &schema);
        assert_eq!(value, json!({"list": ["1", "2.0"], "map": {"a": 1}, "either": [3]}));
    }

    #[test]
    fn references_become_what_cloudformation_resolves() {
        assert_eq!(typed("{ssm: /a}", &json!({"type": "string"})).0, json!("{{resolve:ssm:/a}}"));
    }

    #[test]
    fn defaults_take_the_type_of_their_schema() {
        let schema = schema_json(&parsed("{type: string, default: 16.9, enum: [16.9, 17.10], minLength: 2}"));
        assert_eq!(schema, json!({"type": "string", "minLength": 2, "default": "16.9", "enum": ["16.9", "17.10"]}));
    }
}
