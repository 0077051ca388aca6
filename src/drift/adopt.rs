//! Finds the value of an environment that makes a property what it is, and what it would have to be.
//!
//! Nobody reads this off the template's logic: each value is given what the property is, the template rendered again, and the
//! result looked at. What does not come out as it is cannot be set from a single key.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::judge::is_equal_text;
use crate::environment::{Sources, Stack};
use crate::template::arguments::{Argument, Given};
use crate::template::inputs::plain;
use crate::template::{Parameter, ParameterValue, Template, Templates};

/// What the files say of a stack: its template, and what its parameters are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// The rendered template.
    pub template: Json,
    /// By name. A reference is what the stack has now.
    pub parameters: BTreeMap<String, String>,
}

/// What the files say of one property.
#[derive(Clone, Debug, PartialEq)]
pub enum Saying {
    /// This.
    Value(Json),
    /// Nothing at all.
    Nothing,
    /// Something that CloudFormation works out.
    Open,
}

impl Said {
    /// What is said, as a rendered template and the stack's present parameters tell.
    pub fn new(template: &Json, parameters: &[Parameter], live: &BTreeMap<String, String>) -> Self {
        let given = parameters.iter().filter_map(|parameter| {
            let text = match &parameter.value {
                ParameterValue::Text(text) => text.clone(),
                ParameterValue::Reference(_) => live.get(&parameter.name)?.clone(),
            };
            Some((parameter.name.clone(), text))
        });
        Self { template: template.clone(), parameters: given.collect() }
    }

    /// What is said of a property: names and positions, separated by `/`.
    pub fn at(&self, resource: &str, path: &str) -> Saying {
        let Some(resource) = self.template.get("Resources").and_then(|all| all.get(resource)) else {
            return Saying::Nothing;
        };
        let Some(properties) = resource.get("Properties") else { return Saying::Nothing };
        let mut value = self.resolved(properties);
        for part in path.split('/') {
            let found = match &value {
                Some(Json::Array(items)) => part.parse::<usize>().ok().and_then(|position| items.get(position)),
                Some(Json::Object(entries)) => entries.get(part),
                Some(_) => None,
                None => return Saying::Open,
            };
            let Some(found) = found else { return Saying::Nothing };
            value = self.resolved(found);
        }
        value.map_or(Saying::Open, Saying::Value)
    }

    /// A value, or what a parameter gives for it; nothing where CloudFormation has to work it out.
    fn resolved(&self, value: &Json) -> Option<Json> {
        let Some((name, argument)) =
            value.as_object().filter(|entries| entries.len() == 1).and_then(|entries| entries.iter().next())
        else {
            return Some(value.clone());
        };
        if name == "Ref" {
            return self.parameters.get(argument.as_str()?).cloned().map(Json::String);
        }
        (!name.starts_with("Fn::")).then(|| value.clone())
    }
}

/// Whether the files say what is.
pub fn is_same(said: &Saying, actual: Option<&str>) -> bool {
    match (said, actual) {
        (Saying::Value(value), Some(actual)) => is_equal_text(&plain(value), actual),
        (Saying::Nothing, None) => true,
        (Saying::Value(_) | Saying::Nothing | Saying::Open, _) => false,
    }
}

/// A value that would make a property what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The input.
    pub input: String,
    /// The way into its value.
    pub below: Vec<String>,
    /// What it would have to be.
    pub value: Json,
    /// What all of the input would be.
    pub whole: Json,
    /// What all of it is now.
    pub old: Json,
}

/// Why a property cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It was taken away, and nothing can be written for it.
    #[error("it is not there any more, and there is no value to write")]
    Gone,
    /// No value alone makes it so.
    #[error("the template makes it, and no single value of the environment would make it `{actual}`")]
    NoSingleValue {
        /// What it is.
        actual: String,
    },
    /// More than one does.
    #[error("more than one value would make it so: {}", inputs.join(", "))]
    Ambiguous {
        /// The inputs.
        inputs: Vec<String>,
    },
}

/// Where a property comes from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// All templates.
    pub templates: &'a Templates,
    /// The stack's.
    pub template: &'a Template,
    /// The stack.
    pub stack: &'a Stack,
    /// What it gives to its template.
    pub arguments: &'a [Argument],
    /// The texts.
    pub sources: &'a Sources,
    /// What its parameters are now.
    pub live: &'a BTreeMap<String, String>,
}

/// How deep values are looked into.
const DEPTH_MAX: usize = 6;

/// Finds the one value that would make a property what it is.
///
/// # Errors
/// Where there is none, or more than one.
pub fn setting(source: Source<'_>, resource: &str, property: &str, actual: Option<&str>) -> Result<Setting, Objection> {
    let actual = actual.ok_or(Objection::Gone)?;
    let mut found: Vec<Setting> = Vec::new();
    for argument in source.arguments {
        let Given::Value(value) = &argument.given else { continue };
        let mut leaves = Vec::new();
        leaves_of(value, &mut Vec::new(), &mut leaves);
        for (below, leaf) in leaves {
            let Some(new) = like(&leaf, actual).filter(|new| *new != leaf) else { continue };
            let whole = replaced(value, &below, &new);
            if source.makes(argument, &whole, resource, property, actual) {
                let (input, old) = (argument.input.clone(), value.clone());
                found.push(Setting { input, below, value: new, whole, old });
            }
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Objection::NoSingleValue { actual: actual.to_owned() }),
        several => {
            let name = |it: &Setting| [vec![it.input.clone()], it.below.clone()].concat().join(".");
            Err(Objection::Ambiguous { inputs: several.iter().map(name).collect() })
        }
    }
}

impl Source<'_> {
    fn makes(&self, argument: &Argument, value: &Json, resource: &str, property: &str, actual: &str) -> bool {
        let mut arguments = self.arguments.to_vec();
        for other in &mut arguments {
            if other.input == argument.input {
                other.given = Given::Value(value.clone());
            }
        }
        let rendered = self.templates.render_with(self.template, self.stack, &arguments, self.sources);
        rendered.is_ok_and(|rendered| {
            let said = Said::new(&rendered.document.json, &rendered.parameters, self.live);
            is_same(&said.at(resource, property), Some(actual))
        })
    }
}

/// Every value that holds no others, and every list.
fn leaves_of(value: &Json, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Json)>) {
    if path.len() > DEPTH_MAX {
        return;
    }
    match value {
        Json::Object(entries) => {
            for (key, inner) in entries {
                path.push(key.clone());
                leaves_of(inner, path, found);
                path.pop();
            }
        }
        Json::Array(items) => {
            found.push((path.clone(), value.clone()));
            for (position, inner) in items.iter().enumerate() {
                path.push(position.to_string());
                leaves_of(inner, path, found);
                path.pop();
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => found.push((path.clone(), value.clone())),
    }
}

/// The text as a value of the same kind; nothing where it is none.
fn like(value: &Json, text: &str) -> Option<Json> {
    match value {
        Json::Bool(_) => text.to_ascii_lowercase().parse::<bool>().ok().map(Json::from),
        Json::Number(_) => crate::template::typing::number(text).map(Json::Number),
        Json::String(_) => Some(Json::from(text)),
        Json::Array(_) => serde_json::from_str(text).ok().filter(Json::is_array),
        Json::Null | Json::Object(_) => None,
    }
}

fn replaced(value: &Json, path: &[String], new: &Json) -> Json {
    let Some((first, rest)) = path.split_first() else { return new.clone() };
    let mut value = value.clone();
    let inner = match &mut value {
        Json::Object(entries) => entries.get_mut(first),
        Json::Array(items) => first.parse::<usize>().ok().and_then(|position| items.get_mut(position)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    };
    if let Some(inner) = inner {
        *inner = replaced(inner, rest, new);
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_stands_for_its_value_and_a_function_for_nothing_known() {
        let template = json!({"Resources": {"D": {"Properties": {
            "A": {"Ref": "Size"}, "B": [{"C": 1}], "E": {"Fn::GetAtt": ["X", "Y"]}, "F": {"Ref": "Other"},
        }}}});
        let said = Said { template, parameters: [("Size".to_owned(), "7".to_owned())].into() };
        assert_eq!(said.at("D", "A"), Saying::Value(json!("7")));
        assert_eq!(said.at("D", "B/0/C"), Saying::Value(json!(1)));
        assert_eq!(said.at("D", "B/1"), Saying::Nothing);
        assert_eq!(said.at("D", "E"), Saying::Open);
        assert_eq!(said.at("D", "F"), Saying::Open);
        assert_eq!(said.at("X", "A"), Saying::Nothing);
    }

    #[test]
    fn what_the_template_works_out_is_never_taken_for_gone() {
        assert!(is_same(&Saying::Nothing, None));
        assert!(!is_same(&Saying::Open, None));
        assert!(is_same(&Saying::Value(json!(800)), Some("800")));
        assert!(!is_same(&Saying::Value(json!(800)), None));
    }
}
