//! Two rendered templates, compared in meaning: resources that come and go, properties that change.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value as Json};

/// What differs between two rendered templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// By resource, in order of their logical ids.
    pub resources: Vec<ResourceDifference>,
    /// Outside of resources: parameters, outputs, the description.
    pub rest: Vec<PropertyDifference>,
}

/// What differs about one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResourceDifference {
    /// Its logical id.
    pub resource: String,
    /// Its type, on the side that has it; the second one's where both have it.
    pub kind: String,
    /// What happens to it from the first to the second.
    pub difference: Difference,
}

/// What happens to a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it.
    Changed(Vec<PropertyDifference>),
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyDifference {
    /// Names and positions, separated by `/`. Properties stand by their own name, other attributes too (`DeletionPolicy`).
    pub path: String,
    /// In the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// In the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Json>,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.rest.is_empty()
    }
}

/// Compares two templates as CloudFormation is given them.
pub fn compare(before: &Json, after: &Json) -> Comparison {
    let none = Map::new();
    let resources = |template: &Json| template.get("Resources").and_then(Json::as_object).unwrap_or(&none).clone();
    let (old, new) = (resources(before), resources(after));
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let resources = ids.into_iter().filter_map(|id| resource(id, old.get(id), new.get(id))).collect();
    let mut rest = Vec::new();
    differences("", &without_resources(before), &without_resources(after), &mut rest);
    Comparison { resources, rest }
}

fn without_resources(template: &Json) -> Json {
    let mut template = template.clone();
    if let Some(sections) = template.as_object_mut() {
        sections.remove("Resources");
    }
    template
}

fn resource(id: &str, before: Option<&Json>, after: Option<&Json>) -> Option<ResourceDifference> {
    let kind = |resource: &Json| resource.get("Type").and_then(Json::as_str).unwrap_or_default().to_string();
    let named = |resource: &Json, difference| {
        Some(ResourceDifference { resource: id.to_string(), kind: kind(resource), difference })
    };
    match (before, after) {
        (None, Some(after)) => named(after, Difference::Added),
        (Some(before), None) => named(before, Difference::Removed),
        (Some(before), Some(after)) => {
            let mut found = Vec::new();
            differences("", before, after, &mut found);
            for difference in &mut found {
                if let Some(path) = difference.path.strip_prefix("Properties/") {
                    difference.path = path.to_string();
                }
            }
            (!found.is_empty()).then_some(())?;
            named(after, Difference::Changed(found))
        }
        (None, None) => None,
    }
}

fn differences(path: &str, before: &Json, after: &Json, found: &mut Vec<PropertyDifference>) {
    let below = |part: &str| if path.is_empty() { part.to_string() } else { format!("{path}/{part}") };
    match (before, after) {
        (before, after) if before == after => {}
        (Json::Object(old), Json::Object(new)) if !is_function(old) && !is_function(new) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differences(&below(key), old, new, found),
                    (old, new) => {
                        found.push(PropertyDifference { path: below(key), before: old.cloned(), after: new.cloned() });
                    }
                }
            }
        }
        (Json::Array(old), Json::Array(new)) if old.len() == new.len() => {
            for (position, (old, new)) in old.iter().zip(new).enumerate() {
                differences(&below(&position.to_string()), old, new, found);
            }
        }
        (Json::Array(old), Json::Array(new)) => elements(&below, old, new, found),
        (before, after) => {
            found.push(PropertyDifference {
                path: path.to_string(),
                before: Some(before.clone()),
                after: Some(after.clone()),
            });
        }
    }
}

/// Of lists of different length, the elements that only one of them has, each at its own position.
fn elements(below: &dyn Fn(&str) -> String, old: &[Json], new: &[Json], found: &mut Vec<PropertyDifference>) {
    let alone = |these: &[Json], those: &[Json]| -> Vec<(String, Json)> {
        let missing = these.iter().enumerate().filter(|(_, item)| !those.contains(item));
        missing.map(|(position, item)| (below(&position.to_string()), item.clone())).collect()
    };
    let gone =
        alone(old, new).into_iter().map(|(path, item)| PropertyDifference { path, before: Some(item), after: None });
    let come =
        alone(new, old).into_iter().map(|(path, item)| PropertyDifference { path, before: None, after: Some(item) });
    found.extend(gone.chain(come));
}

/// `{"Ref": …}` is one value, whatever is in it.
fn is_function(object: &Map<String, Json>) -> bool {
    object.len() == 1 && object.keys().all(|key| crate::template::document::is_intrinsic(key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_and_properties_are_told_apart() {
        let before = json!({"Resources": {
            "A": {"Type": "T", "Properties": {"X": 1, "L": [1, 2], "R": {"Ref": "P"}}, "DeletionPolicy": "Retain"},
            "B": {"Type": "T"},
        }, "Outputs": {"O": {"Value": "1"}}});
        let after = json!({"Resources": {
            "A": {"Type": "T", "Properties": {"X": 2, "L": [1, 3], "R": {"Fn::GetAtt": ["P", "Q"]}}, "DeletionPolicy": "Delete"},
            "C": {"Type": "T"},
        }, "Outputs": {"O": {"Value": "2"}}});
        let comparison = compare(&before, &after);
        let told: Vec<String> = comparison
            .resources
            .iter()
            .map(|it| match &it.difference {
                Difference::Added => format!("+{}", it.resource),
                Difference::Removed => format!("-{}", it.resource),
                Difference::Changed(found) => format!(
                    "~{} {}",
                    it.resource,
                    found.iter().map(|it| it.path.as_str()).collect::<Vec<_>>().join(" ")
                ),
            })
            .collect();
        assert_eq!(told, ["~A DeletionPolicy L/1 R X", "-B", "+C"]);
        assert_eq!(comparison.rest[0].path, "Outputs/O/Value");
    }

    #[test]
    fn of_lists_only_the_elements_that_differ_are_told() {
        let list = |items: Json| json!({"Resources": {"A": {"Type": "T", "Properties": {"L": items}}}});
        let comparison = compare(&list(json!(["a", "b", "c"])), &list(json!(["a", "c"])));
        let Difference::Changed(found) = &comparison.resources[0].difference else { panic!("{comparison:?}") };
        assert_eq!(found, &[PropertyDifference { path: "L/1".into(), before: Some(json!("b")), after: None }]);
    }

    #[test]
    fn the_order_of_keys_means_nothing() {
        let before = json!({"Resources": {"A": {"Type": "T", "Properties": {"X": 1, "Y": 2}}}});
        let after = json!({"Resources": {"A": {"Properties": {"Y": 2, "X": 1}, "Type": "T"}}});
        assert!(compare(&before, &after).is_empty());
    }
}
