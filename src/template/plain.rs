//! Templates without `inputs.yaml`: plain CloudFormation, never touched by Tera. Their `Parameters` are their inputs.

use serde_json::{Map, Value as Json, json};

use crate::environment::{Entry, Node};
use crate::template::inputs::{Input, Inputs};
use crate::template::typing::number;

/// The parameters of a template, as inputs.
pub fn inputs(root: &Node) -> Inputs {
    let parameters = root.get("Parameters").and_then(Node::as_mapping).unwrap_or_default();
    let properties: Map<String, Json> =
        parameters.iter().map(|entry| (entry.key.clone(), schema(&entry.value))).collect();
    let all: Vec<Input> = parameters.iter().map(input).collect();
    let required: Vec<&str> = all.iter().filter(|input| input.is_required).map(|input| input.name.as_str()).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    // A pattern that is none in JSON Schema is told by the one who reads the template.
    let validator = jsonschema::draft202012::new(&schema).ok();
    Inputs { schema, validator, all, warnings: Vec::new() }
}

fn input(entry: &Entry) -> Input {
    let default = entry.value.get("Default").filter(|node| !node.is_null()).cloned();
    Input {
        name: entry.key.clone(),
        span: entry.key_span,
        about: text(&entry.value, "Description").unwrap_or_default(),
        parameter: Some(entry.key.clone()),
        is_secret: text(&entry.value, "NoEcho").as_deref() == Some("true"),
        is_required: default.is_none(),
        replaces: Vec::new(),
        was: Vec::new(),
        default,
    }
}

/// What CloudFormation checks of a parameter (User Guide, "Parameters"), as JSON Schema.
fn schema(node: &Node) -> Json {
    let kind = text(node, "Type").unwrap_or_default();
    let mut schema = Map::new();
    if kind.starts_with("List<") || kind == "CommaDelimitedList" {
        schema.insert("type".into(), json!(["array", "string"]));
        schema.insert("items".into(), json!({"type": "string"}));
    } else {
        schema.insert("type".into(), json!(if kind == "Number" { "number" } else { "string" }));
    }
    let is_number = kind == "Number";
    if let Some(words) = node.get("AllowedValues").and_then(Node::as_sequence) {
        let word = |node: &Node| {
            node.as_text().map(|text| number(text).filter(|_| is_number).map_or_else(|| json!(text), Json::Number))
        };
        schema.insert("enum".into(), words.iter().filter_map(word).collect());
    }
    if let Some(pattern) = text(node, "AllowedPattern") {
        // CloudFormation matches the whole value. It reads patterns as Java does; one that we do not understand, it judges alone.
        let whole = json!({ "pattern": format!("^(?:{pattern})$") });
        if jsonschema::draft202012::new(&whole).is_ok() {
            schema.insert("pattern".into(), whole["pattern"].clone());
        }
    }
    for (ours, theirs) in
        [("minLength", "MinLength"), ("maxLength", "MaxLength"), ("minimum", "MinValue"), ("maximum", "MaxValue")]
    {
        if let Some(bound) = text(node, theirs).as_deref().and_then(number) {
            schema.insert(ours.into(), Json::Number(bound));
        }
    }
    if let Some(about) = text(node, "Description") {
        schema.insert("description".into(), json!(about));
    }
    Json::Object(schema)
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::as_text).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::yaml::parsed;

    #[test]
    fn parameters_are_inputs() {
        let text = "Parameters: {Size: {Type: Number, MinValue: 1, Default: 2}, Name: {Type: String, AllowedPattern: '[a-z]+', NoEcho: true}, Ids: {Type: 'List<AWS::EC2::Subnet::Id>'}}";
        let inputs = inputs(&parsed(text));
        assert_eq!(inputs.schema["required"], json!(["Name", "Ids"]));
        assert_eq!(inputs.schema["properties"]["Size"], json!({"type": "number", "minimum": 1}));
        assert_eq!(inputs.schema["properties"]["Name"], json!({"type": "string", "pattern": "^(?:[a-z]+)$"}));
        assert!(inputs.get("Name").is_some_and(|input| input.is_secret && input.is_required));
        assert!(inputs.get("Size").is_some_and(|input| !input.is_required));
    }
}
