//! The registry's facts about resource types, read from the generated `data/resource-types.json`. A reader of the
//! simulator's own: it shares the file with the rest of greenroom, not the code.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/resource-types.json"))
        .expect("the generated file has the shape its generator promises, as the tests check")
});

/// What the registry says about one resource type, or `None` where we have no facts.
pub(crate) fn of(type_name: &str) -> Option<&'static TypeFacts> {
    FACTS.types.get(type_name)
}

#[derive(Deserialize)]
struct Facts {
    types: BTreeMap<String, TypeFacts>,
}

/// One resource type of the registry. Paths have slashes and no `/properties/` prefix.
#[derive(Debug, Deserialize)]
pub(crate) struct TypeFacts {
    pub(crate) properties: BTreeMap<String, Shape>,
    #[serde(default)]
    pub(crate) definitions: BTreeMap<String, Shape>,
    #[serde(default)]
    pub(crate) required: BTreeSet<String>,
    #[serde(default)]
    pub(crate) create_only: BTreeSet<String>,
    #[serde(default)]
    pub(crate) conditional_create_only: BTreeSet<String>,
    #[serde(default)]
    pub(crate) read_only: BTreeSet<String>,
    #[serde(default)]
    pub(crate) write_only: BTreeSet<String>,
    #[serde(default)]
    pub(crate) handlers: BTreeSet<String>,
    #[serde(default)]
    pub(crate) property_transform: Option<BTreeMap<String, String>>,
}

/// The shape of a property.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Value,
    pub(crate) items: Option<Box<Shape>>,
    pub(crate) properties: Option<BTreeMap<String, Shape>>,
    pub(crate) required: BTreeSet<String>,
    pub(crate) open: bool,
    #[serde(rename = "enum")]
    pub(crate) choices: Vec<Value>,
    #[serde(rename = "ref")]
    pub(crate) reference: Option<String>,
}

/// How a changed property is brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recreation {
    Never,
    Conditionally,
    Always,
}

impl Recreation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::Conditionally => "Conditionally",
            Self::Always => "Always",
        }
    }
}

impl TypeFacts {
    /// Whether a change of this property (a path such as `VpcEncryptionControl/Mode`) makes a new resource.
    pub(crate) fn recreation(&self, path: &str) -> Recreation {
        let names =
            |paths: &BTreeSet<String>| paths.iter().any(|fact| path == fact || path.starts_with(&format!("{fact}/")));
        if !self.handlers.contains("update") || names(&self.create_only) {
            Recreation::Always
        } else if names(&self.conditional_create_only) {
            Recreation::Conditionally
        } else {
            Recreation::Never
        }
    }

    /// Whether tags of the stack reach resources of this type.
    pub(crate) fn is_taggable(&self) -> bool {
        self.properties.contains_key("Tags")
    }

    /// The first thing wrong with the properties, in AWS's words.
    pub(crate) fn violation(&self, properties: &Map<String, Value>) -> Option<String> {
        let unknown = properties.keys().find(|name| !self.properties.contains_key(*name));
        if let Some(name) = unknown {
            return Some(format!(
                "Property validation failure: [Encountered unsupported properties in {{/}}: [{name}]]"
            ));
        }
        if let Some(name) = self.required.iter().find(|name| !properties.contains_key(*name)) {
            return Some(format!("Property validation failure: [The property {{/{name}}} is required]"));
        }
        if let Some(name) =
            properties.keys().find(|name| self.read_only.contains(*name) && !self.create_only.contains(*name))
        {
            return Some(format!(
                "Property validation failure: [Encountered unsupported properties in {{/}}: [{name}]]"
            ));
        }
        properties.iter().find_map(|(name, value)| {
            self.properties.get(name).and_then(|shape| self.shape_violation(shape, value, &format!("/{name}"), 0))
        })
    }

    fn shape_violation(&self, shape: &Shape, value: &Value, path: &str, depth: usize) -> Option<String> {
        /// Registry schemas may refer to themselves; no template we take is nested deeper.
        const DEPTH_MAX: usize = 16;
        if depth > DEPTH_MAX {
            return None;
        }
        if let Some(name) = &shape.reference {
            return self.definitions.get(name).and_then(|shape| self.shape_violation(shape, value, path, depth + 1));
        }
        if !shape.admits(value) {
            let expected = shape.kind.as_str().unwrap_or("another type");
            return Some(format!(
                "Property validation failure: [Value of property {{{path}}} does not match type {{{}}}]",
                capitalised(expected)
            ));
        }
        if !shape.choices.is_empty() && !shape.choices.iter().any(|choice| plain(choice) == plain(value)) {
            return Some(format!(
                "Property validation failure: [Value of property {{{path}}} is not one of the allowed values]"
            ));
        }
        match value {
            Value::Array(elements) => shape.items.as_ref().and_then(|items| {
                elements.iter().enumerate().find_map(|(place, element)| {
                    self.shape_violation(items, element, &format!("{path}/{place}"), depth + 1)
                })
            }),
            Value::Object(members) => self.member_violation(shape, members, path, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    fn member_violation(
        &self,
        shape: &Shape,
        members: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Option<String> {
        let known = shape.properties.as_ref()?;
        if !shape.open
            && let Some(name) = members.keys().find(|name| !known.contains_key(*name))
        {
            return Some(format!(
                "Property validation failure: [Encountered unsupported properties in {{{path}}}: [{name}]]"
            ));
        }
        if let Some(name) = shape.required.iter().find(|name| !members.contains_key(*name)) {
            return Some(format!("Property validation failure: [The property {{{path}/{name}}} is required]"));
        }
        members.iter().find_map(|(name, value)| {
            known.get(name).and_then(|shape| self.shape_violation(shape, value, &format!("{path}/{name}"), depth + 1))
        })
    }
}

impl Shape {
    /// Whether a value can be meant: CloudFormation turns text into numbers and truth values and back.
    fn admits(&self, value: &Value) -> bool {
        let kinds: Vec<&str> = match &self.kind {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return true,
        };
        kinds.iter().any(|kind| match *kind {
            "array" => value.is_array(),
            "object" => value.is_object() || value.is_string(),
            "integer" | "number" => {
                plain(value).is_some_and(|text| text.parse::<f64>().is_ok() || text.starts_with("{{"))
            }
            "boolean" => plain(value).is_some_and(|text| {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "false") || text.starts_with("{{")
            }),
            "string" => !value.is_array() && !value.is_object(),
            _ => true,
        })
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A scalar as text; `None` for lists and objects.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn violation(type_name: &str, properties: &Value) -> Option<String> {
        let facts = of(type_name).expect("the type is vendored");
        facts.violation(properties.as_object().expect("an object"))
    }

    // REC: `Property validation failure: [The property {/Type} is required]`.
    #[test]
    fn names_the_missing_property_in_awss_words() {
        assert_eq!(
            violation("AWS::EC2::SecurityGroup", &json!({})).as_deref(),
            Some("Property validation failure: [The property {/GroupDescription} is required]")
        );
    }

    #[test]
    fn takes_text_for_numbers_and_truth_values() {
        let parameters = json!({"MetricName": "m", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": "3", "ActionsEnabled": "true"});
        assert_eq!(violation("AWS::CloudWatch::Alarm", &parameters), None);
    }

    #[test]
    fn a_type_without_update_is_always_recreated() {
        let facts = of("AWS::EC2::SubnetRouteTableAssociation").expect("the type is vendored");
        assert_eq!(facts.recreation("Anything"), Recreation::Always);
    }
}
