//! What was shown and agreed to, and whether a change that comes up later is still that.
//!
//! Pure data and one question. Where hashes and expressions come from, and how an approval is asked
//! for or kept in a file, is the business of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// What was approved, per stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// By the name the stack has in its environment.
    pub stacks: BTreeMap<String, StackChange>,
}

/// The change of one stack: as it was approved, or as it is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackChange {
    /// The hash of the rendered template; none when the stack is deleted.
    pub template: Option<String>,
    /// What each parameter is given: references such as `{output: database.Endpoint}` unresolved,
    /// because what they stand for may change before the stack's turn comes. Compared, never shown.
    pub parameters: BTreeMap<String, String>,
    /// The one change set this is about. An approval without one allows any that does the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_set: Option<String>,
    /// What happens to resources, by logical id. A resource not listed is not touched.
    pub resources: BTreeMap<String, ResourceChange>,
}

/// What happens, or at worst may happen, to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceChange {
    /// The worst of it.
    pub effect: Effect,
    /// The properties that change, by path.
    #[serde(default)]
    pub properties: BTreeSet<String>,
}

/// What happens to a resource, from harmless to worst: an approved effect allows all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It comes into being.
    Add,
    /// It is changed in place.
    Modify,
    /// Another takes its place.
    Replace,
    /// It goes, or is left to itself.
    Remove,
    /// It is replaced or removed, and what it holds is not kept.
    LoseData,
}

impl fmt::Display for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Add => "added",
            Self::Modify => "modified",
            Self::Replace => "replaced",
            Self::Remove => "removed",
            Self::LoseData => "removed with all it holds",
        })
    }
}

/// Whether an approval covers a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Coverage {
    /// It does.
    Covered,
    /// It does not.
    Exceeded {
        /// Everything that goes beyond it; never empty.
        by: Vec<Excess>,
    },
}

/// One thing in which a change goes beyond what was approved.
///
/// Names parameters without what they are given, which may be nobody's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "excess", rename_all = "snake_case")]
pub enum Excess {
    /// Nothing was approved for this stack.
    #[error("no change of stack `{stack}` was approved")]
    Stack {
        /// The stack.
        stack: String,
    },
    /// The template is another one, or the stack is now to be deleted, or no longer.
    #[error("the template of stack `{stack}` is not the one that was approved")]
    Template {
        /// The stack.
        stack: String,
    },
    /// A parameter is given something else, or is new, or gone.
    #[error("parameter `{parameter}` of stack `{stack}` is not what was approved")]
    Parameter {
        /// The stack.
        stack: String,
        /// The parameter.
        parameter: String,
    },
    /// One particular change set was approved, and this is another.
    #[error("change set `{approved}` of stack `{stack}` was approved, and no other")]
    ChangeSet {
        /// The stack.
        stack: String,
        /// The change set that was approved.
        approved: String,
    },
    /// Something worse happens to a resource.
    #[error("`{stack}/{resource}` is {proposed}; approved was {}", approved_effect(*approved))]
    Effect {
        /// The stack.
        stack: String,
        /// The resource's logical id.
        resource: String,
        /// The worst that was approved; none when the resource was not to be touched.
        approved: Option<Effect>,
        /// What is proposed.
        proposed: Effect,
    },
    /// More of a resource changes.
    #[error("`{property}` of `{stack}/{resource}` changes, which was not approved")]
    Property {
        /// The stack.
        stack: String,
        /// The resource's logical id.
        resource: String,
        /// The property's path.
        property: String,
    },
}

fn approved_effect(effect: Option<Effect>) -> String {
    effect.map_or_else(|| "that it is not touched".to_owned(), |effect| format!("that it is {effect}"))
}

impl Approval {
    /// Compares a proposed change of a stack with what was approved for it, and names every
    /// difference that goes beyond.
    ///
    /// Less than was approved is covered: what became unnecessary in between needs no new question.
    pub fn covers(&self, stack: &str, proposed: &StackChange) -> Coverage {
        let by = match self.stacks.get(stack) {
            Some(approved) => excesses(stack, approved, proposed),
            None => vec![Excess::Stack { stack: stack.to_owned() }],
        };
        if by.is_empty() { Coverage::Covered } else { Coverage::Exceeded { by } }
    }
}

fn excesses(stack: &str, approved: &StackChange, proposed: &StackChange) -> Vec<Excess> {
    let template = (approved.template != proposed.template).then(|| Excess::Template { stack: stack.to_owned() });
    let change_set = approved
        .change_set
        .as_ref()
        .filter(|_| approved.change_set != proposed.change_set)
        .map(|change_set| Excess::ChangeSet { stack: stack.to_owned(), approved: change_set.clone() });
    let parameters = differing_keys(&approved.parameters, &proposed.parameters)
        .into_iter()
        .map(|parameter| Excess::Parameter { stack: stack.to_owned(), parameter: parameter.clone() });
    let resources = proposed
        .resources
        .iter()
        .flat_map(|(resource, change)| resource_excesses(stack, resource, approved.resources.get(resource), change));
    template.into_iter().chain(change_set).chain(parameters).chain(resources).collect()
}

fn differing_keys<'map>(
    left: &'map BTreeMap<String, String>,
    right: &'map BTreeMap<String, String>,
) -> BTreeSet<&'map String> {
    left.keys().chain(right.keys()).filter(|key| left.get(*key) != right.get(*key)).collect()
}

/// A worse effect says it all; only within what was approved do single properties count.
fn resource_excesses(
    stack: &str,
    resource: &str,
    approved: Option<&ResourceChange>,
    proposed: &ResourceChange,
) -> Vec<Excess> {
    let Some(approved) = approved.filter(|approved| proposed.effect <= approved.effect) else {
        return vec![Excess::Effect {
            stack: stack.to_owned(),
            resource: resource.to_owned(),
            approved: approved.map(|approved| approved.effect),
            proposed: proposed.effect,
        }];
    };
    proposed
        .properties
        .difference(&approved.properties)
        .map(|property| Excess::Property {
            stack: stack.to_owned(),
            resource: resource.to_owned(),
            property: property.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(effect: Effect, properties: &[&str]) -> ResourceChange {
        ResourceChange { effect, properties: properties.iter().map(ToString::to_string).collect() }
    }

    fn shown() -> StackChange {
        StackChange {
            template: Some("sha256:1".to_owned()),
            parameters: [("Endpoint".to_owned(), "{output: database.Endpoint}".to_owned())].into(),
            change_set: None,
            resources: [
                ("Database".to_owned(), change(Effect::Modify, &["/AllocatedStorage"])),
                ("Group".to_owned(), change(Effect::Replace, &["/LaunchTemplate", "/Tags"])),
            ]
            .into(),
        }
    }

    fn approved(change: StackChange) -> Approval {
        Approval { stacks: [("api".to_owned(), change)].into() }
    }

    /// Approves what was shown, proposes it with one thing changed, and compares every sentence.
    fn check(alter: impl FnOnce(&mut StackChange), sentences: &[&str]) {
        let mut proposed = shown();
        alter(&mut proposed);
        let found: Vec<String> = match approved(shown()).covers("api", &proposed) {
            Coverage::Covered => Vec::new(),
            Coverage::Exceeded { by } => by.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(found, sentences);
    }

    #[test]
    fn covers_what_was_shown() {
        check(|_| {}, &[]);
    }

    #[test]
    fn covers_less_than_was_shown() {
        check(
            |proposed| {
                proposed.resources.remove("Database");
                proposed.resources.insert("Group".to_owned(), change(Effect::Modify, &["/Tags"]));
            },
            &[],
        );
    }

    #[test]
    fn covers_no_other_stack() {
        let coverage = approved(shown()).covers("elk", &shown());
        assert_eq!(coverage, Coverage::Exceeded { by: vec![Excess::Stack { stack: "elk".to_owned() }] });
    }

    #[test]
    fn covers_no_other_template() {
        check(
            |proposed| proposed.template = Some("sha256:2".to_owned()),
            &["the template of stack `api` is not the one that was approved"],
        );
    }

    #[test]
    fn covers_no_deletion_of_what_was_to_be_updated() {
        check(|proposed| proposed.template = None, &["the template of stack `api` is not the one that was approved"]);
    }

    #[test]
    fn covers_no_parameter_that_is_changed_new_or_gone() {
        check(
            |proposed| {
                proposed.parameters = [("Ami".to_owned(), "ami-1".to_owned())].into();
            },
            &[
                "parameter `Ami` of stack `api` is not what was approved",
                "parameter `Endpoint` of stack `api` is not what was approved",
            ],
        );
    }

    #[test]
    fn covers_no_worse_effect() {
        check(
            |proposed| {
                proposed.resources.insert("Database".to_owned(), change(Effect::Replace, &["/StorageEncrypted"]));
                proposed.resources.insert("Group".to_owned(), change(Effect::LoseData, &[]));
            },
            &[
                "`api/Database` is replaced; approved was that it is modified",
                "`api/Group` is removed with all it holds; approved was that it is replaced",
            ],
        );
    }

    #[test]
    fn covers_nothing_on_a_resource_that_was_not_listed() {
        check(
            |proposed| {
                proposed.resources.insert("Bucket".to_owned(), change(Effect::Add, &[]));
            },
            &["`api/Bucket` is added; approved was that it is not touched"],
        );
    }

    #[test]
    fn covers_no_property_that_was_not_listed() {
        check(
            |proposed| {
                proposed.resources.insert("Database".to_owned(), change(Effect::Modify, &["/EngineVersion"]));
            },
            &["`/EngineVersion` of `api/Database` changes, which was not approved"],
        );
    }

    #[test]
    fn a_sealed_change_set_must_be_that_very_one() {
        let sealed = StackChange { change_set: Some("r-1".to_owned()), ..shown() };
        let approval = approved(sealed.clone());
        assert_eq!(approval.covers("api", &sealed), Coverage::Covered);
        let other = StackChange { change_set: Some("r-2".to_owned()), ..shown() };
        let excess = Excess::ChangeSet { stack: "api".to_owned(), approved: "r-1".to_owned() };
        assert_eq!(approval.covers("api", &other), Coverage::Exceeded { by: vec![excess] });
    }

    #[test]
    fn an_approval_of_no_particular_change_set_covers_any_that_does_the_same() {
        check(|proposed| proposed.change_set = Some("r-1".to_owned()), &[]);
    }

    #[test]
    fn survives_being_sealed_in_a_file() {
        let approval = approved(shown());
        let read = serde_json::to_string(&approval).and_then(|sealed| serde_json::from_str(&sealed));
        assert_eq!(read.ok(), Some(approval));
    }

    #[test]
    fn an_excess_can_be_read_by_a_program() {
        let excess = Excess::Effect {
            stack: "api".to_owned(),
            resource: "Database".to_owned(),
            approved: Some(Effect::Modify),
            proposed: Effect::LoseData,
        };
        assert_eq!(
            serde_json::to_value(excess).ok(),
            Some(json!({
                "excess": "effect", "stack": "api", "resource": "Database", "approved": "modify", "proposed": "lose_data",
            })),
        );
    }
}
