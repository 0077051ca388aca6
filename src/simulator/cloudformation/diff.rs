//! What a deployment would change: the rows of a change set, property by property, and the verdict on replacement that
//! the engine uses too, so that execution makes exactly the changes shown.

use super::engine::Live;
use super::intrinsics::{KNOWN_AFTER_APPLY, Lookup, Scope};
use super::stack::{Deployment, Stack, StackResource};
use super::template::{Declaration, Template, references};
use super::{drift, engine, values};
use crate::simulator::facts::{self, Recreation, plain};
use crate::simulator::resources::{self, equal};
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One leaf that differs between two trees.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// Names and positions from the top.
    pub(super) path: Vec<String>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

impl Difference {
    fn kind(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "Add",
            (_, None) => "Remove",
            (Some(_), Some(_)) => "Modify",
        }
    }

    fn property(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The path as facts spell it: positions are stars.
    fn fact_path(&self) -> String {
        let parts: Vec<&str> =
            self.path.iter().map(|part| if part.parse::<usize>().is_ok() { "*" } else { part }).collect();
        parts.join("/")
    }
}

/// The leaves in which two sets of properties differ.
pub(super) fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    compare_members(before, after, &mut Vec::new(), &mut found);
    found
}

fn compare_members(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    path: &mut Vec<String>,
    found: &mut Vec<Difference>,
) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        path.push(name.clone());
        compare(before.get(name), after.get(name), path, found);
        path.pop();
    }
}

fn compare(before: Option<&Value>, after: Option<&Value>, path: &mut Vec<String>, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(before), Some(after)) if equal(before, after) => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => compare_members(before, after, path, found),
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for place in 0..before.len().max(after.len()) {
                path.push(place.to_string());
                compare(before.get(place), after.get(place), path, found);
                path.pop();
            }
        }
        (before, after) => {
            found.push(Difference { path: path.clone(), before: before.cloned(), after: after.cloned() });
        }
    }
}

/// Whether the engine has anything to do for a resource.
pub(super) fn differs(before: &StackResource, known: &Map<String, Value>, next: &StackResource) -> bool {
    !differences(known, &next.properties).is_empty()
        || before.tags != next.tags
        || before.metadata != next.metadata
        || before.deletion_policy != next.deletion_policy
        || before.replace_policy != next.replace_policy
}

/// Whether a change of properties makes a new physical resource.
pub(super) fn replacement_of(type_name: &str, before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    let (Some(facts), Some(handler)) = (facts::of(type_name), resources::of(type_name)) else {
        return false;
    };
    differences(before, after).iter().any(|difference| match facts.recreation(&difference.fact_path()) {
        Recreation::Always => true,
        Recreation::Conditionally => handler.replaces(difference.property(), before.get(difference.property()), after),
        Recreation::Never => false,
    })
}

/// The live properties of a resource in the shape of what was last applied: only keys that were written, secrets and
/// write-only ones as written, tags of the stack left out. `None` if the resource is gone.
pub(super) fn live_properties(world: &World, place: &Place, resource: &StackResource) -> Option<Map<String, Value>> {
    let facts = facts::of(&resource.type_name)?;
    if !facts.handlers.contains("read") {
        return Some(resource.properties.clone());
    }
    let id = resource.physical_id.as_deref()?;
    let live = resources::of(&resource.type_name)?.read(world, place, id)?;
    Some(drift::comparable(resource, facts, &live))
}

/// What a change set shows.
pub(super) struct Comparison {
    pub(super) rows: Vec<Value>,
    /// Why some rows are incomplete.
    pub(super) warning: Option<String>,
}

/// Compares a stack with a target.
pub(super) fn compare_stack(
    world: &World,
    place: &Place,
    stack: &Stack,
    target: &Deployment,
    reverts_drift: bool,
) -> Result<Comparison, String> {
    let template = Template::parse(&target.template)?;
    let old_parameters = &stack.deployed.parameters;
    let changed_parameters: BTreeSet<&str> = target
        .parameters
        .iter()
        .filter(|(name, parameter)| {
            old_parameters
                .get(*name)
                .is_none_or(|old| old.value != parameter.value || old.resolved != parameter.resolved)
        })
        .map(|(name, _)| name.as_str())
        .collect();
    let mut comparer = Comparer {
        world,
        place,
        stack,
        target,
        template: &template,
        changed_parameters,
        reverts_drift,
        changed: BTreeMap::new(),
        warning: None,
    };
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    for logical_id in template.order()? {
        let Some(declaration) = template.resource(logical_id) else {
            continue;
        };
        if comparer.is_wanted(declaration)? {
            wanted.insert(logical_id.to_owned());
            rows.extend(comparer.row(declaration)?.map(|row| (logical_id.to_owned(), row)));
        }
    }
    let in_template_order = template.resources().filter_map(|declaration| rows.remove(declaration.logical_id));
    let mut ordered: Vec<Value> = in_template_order.collect();
    let removed = stack
        .resources
        .values()
        .filter(|resource| !wanted.contains(&resource.logical_id) && resource.physical_id.is_some());
    ordered.extend(removed.map(removal_row));
    Ok(Comparison { rows: ordered, warning: comparer.warning })
}

/// How a resource that comes earlier in the order changes.
#[derive(Debug, Clone)]
enum Changed {
    /// Its id and attributes are not known yet.
    New,
    /// These of its properties change in place.
    InPlace(BTreeSet<String>),
}

struct Comparer<'a> {
    world: &'a World,
    place: &'a Place,
    stack: &'a Stack,
    target: &'a Deployment,
    template: &'a Template,
    changed_parameters: BTreeSet<&'a str>,
    reverts_drift: bool,
    changed: BTreeMap<String, Changed>,
    warning: Option<String>,
}

/// Looks at live resources, but what this change set makes anew is not known.
struct Planned<'a> {
    live: Live<'a>,
    changed: &'a BTreeMap<String, Changed>,
}

impl Lookup for Planned<'_> {
    fn reference(&self, logical_id: &str) -> Result<Value, String> {
        match self.changed.get(logical_id) {
            Some(Changed::New) => Ok(KNOWN_AFTER_APPLY.into()),
            Some(Changed::InPlace(_)) | None => self.live.reference(logical_id),
        }
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String> {
        match self.changed.get(logical_id) {
            Some(Changed::New) => Ok(KNOWN_AFTER_APPLY.into()),
            Some(Changed::InPlace(properties)) if self.may_change(logical_id, properties, attribute) => {
                Ok(KNOWN_AFTER_APPLY.into())
            }
            Some(Changed::InPlace(_)) | None => self.live.attribute(logical_id, attribute),
        }
    }
}

impl Planned<'_> {
    fn may_change(&self, logical_id: &str, properties: &BTreeSet<String>, attribute: &str) -> bool {
        let handler = self.live.resources.get(logical_id).and_then(|resource| resources::of(&resource.type_name));
        properties.contains(attribute) || handler.is_some_and(|handler| handler.attribute_changes(attribute))
    }
}

impl Comparer<'_> {
    fn with_scope<T>(&self, evaluate: impl FnOnce(&Scope<'_>) -> Result<T, String>) -> Result<T, String> {
        let names = engine::names(self.place, self.stack, self.target);
        let parameters = values::of(&self.target.parameters);
        let exports = values::exports(self.world, self.place);
        let live = Live { world: self.world, place: self.place, resources: &self.stack.resources };
        let planned = Planned { live, changed: &self.changed };
        let scope = Scope::new(self.template, &parameters, &names, &exports, &planned)?;
        evaluate(&scope)
    }

    fn is_wanted(&self, declaration: Declaration<'_>) -> Result<bool, String> {
        self.with_scope(|scope| scope.holds(declaration.condition()))
    }

    fn row(&mut self, declaration: Declaration<'_>) -> Result<Option<Value>, String> {
        let logical_id = declaration.logical_id;
        let evaluated = self.with_scope(|scope| scope.properties(declaration.properties()));
        let properties = match evaluated {
            Ok(properties) => properties,
            // REC: a missing export shows up only like this; the change set can be executed.
            Err(error) if error.starts_with("No export named") => {
                self.warning = Some(format!(
                    "[WARN] --include-property-values option can return incomplete ChangeSet data because: ChangeSet prediction failed for certain resources with reason: {error}"
                ));
                declaration.properties().and_then(Value::as_object).cloned().unwrap_or_default()
            }
            Err(error) => return Err(error),
        };
        let known = self.stack.resources.get(logical_id).filter(|known| known.physical_id.is_some());
        match known {
            None => {
                self.changed.insert(logical_id.to_owned(), Changed::New);
                Ok(Some(addition_row(declaration, &properties)))
            }
            Some(known) => Ok(self.known_row(declaration, known, &properties)),
        }
    }

    fn known_row(
        &mut self,
        declaration: Declaration<'_>,
        known: &StackResource,
        properties: &Map<String, Value>,
    ) -> Option<Value> {
        let logical_id = declaration.logical_id.to_owned();
        let live = live_properties(self.world, self.place, known);
        let Some(before) = (if self.reverts_drift { live.clone() } else { Some(known.properties.clone()) }) else {
            // Drift that deleted the resource: it is made again (shown as Add (?)).
            self.changed.insert(logical_id, Changed::New);
            let mut row = addition_row(declaration, properties);
            set(&mut row, "ResourceDriftStatus", "DELETED".into());
            return Some(row);
        };
        let differences = differences(&before, properties);
        let attributes = attribute_details(known, declaration, &self.target.tags);
        if differences.is_empty() && attributes.is_empty() {
            let was_drifted = self.reverts_drift && !self::differences(&known.properties, properties).is_empty();
            return was_drifted.then(|| self.sync_row(declaration, known, &before, properties));
        }
        let replaces = replacement_of(declaration.type_name, &before, properties);
        let change = if replaces {
            Changed::New
        } else {
            Changed::InPlace(differences.iter().map(|difference| difference.property().to_owned()).collect())
        };
        let mut details: Vec<Value> =
            differences.iter().flat_map(|difference| self.property_details(declaration, known, difference)).collect();
        details.extend(attributes);
        self.changed.insert(logical_id, change);
        Some(self.modification_row(declaration, known, &before, properties, &details))
    }

    fn modification_row(
        &self,
        declaration: Declaration<'_>,
        known: &StackResource,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        details: &[Value],
    ) -> Value {
        let replacement = worst_replacement(details);
        let mut scope: Vec<&str> =
            details.iter().filter_map(|detail| detail.pointer("/Target/Attribute")?.as_str()).collect();
        scope.dedup();
        let policy = (replacement != "False")
            .then(|| format!("ReplaceAnd{}", policy_name(known.replace_policy.as_deref(), known)));
        let mut row = json!({
            "Type": "Resource",
            "ResourceChange": {
                "PolicyAction": policy,
                "Action": "Modify",
                "LogicalResourceId": known.logical_id,
                "PhysicalResourceId": known.physical_id,
                "ResourceType": declaration.type_name,
                "Replacement": replacement,
                "Scope": scope,
                "Details": details,
                "BeforeContext": context(before, known.metadata.as_ref()),
                "AfterContext": context(after, declaration.body.get("Metadata")),
            },
        });
        if self.reverts_drift {
            let is_drifted = !differences(&known.properties, before).is_empty();
            let can_read = facts::of(&known.type_name).is_some_and(|facts| facts.handlers.contains("read"));
            let status = if !can_read {
                "UNSUPPORTED"
            } else if is_drifted {
                "MODIFIED"
            } else {
                "IN_SYNC"
            };
            set(&mut row, "ResourceDriftStatus", status.into());
        }
        row
    }

    /// The template now says what is already true: nothing is touched, the record is corrected.
    fn sync_row(
        &self,
        declaration: Declaration<'_>,
        known: &StackResource,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> Value {
        let details: Vec<Value> = differences(&known.properties, after)
            .iter()
            .flat_map(|difference| self.property_details(declaration, known, difference))
            .collect();
        let mut row = self.modification_row(declaration, known, before, after, &details);
        set(&mut row, "Action", "SyncWithActual".into());
        set(&mut row, "Replacement", Value::Null);
        set(&mut row, "PolicyAction", Value::Null);
        row
    }

    /// One change may give two details (REC): one with its cause, and a dynamic one without.
    fn property_details(
        &self,
        declaration: Declaration<'_>,
        known: &StackResource,
        difference: &Difference,
    ) -> Vec<Value> {
        let recreation = facts::of(declaration.type_name)
            .map_or(Recreation::Never, |facts| facts.recreation(&difference.fact_path()));
        let mut target = json!({
            "Attribute": "Properties",
            "Name": difference.property(),
            "RequiresRecreation": recreation.as_str(),
            "Path": format!("/Properties/{}", difference.path.join("/")),
            "BeforeValue": difference.before.as_ref().map(shown),
            "AfterValue": difference.after.as_ref().map(shown),
            "AttributeChangeType": difference.kind(),
        });
        if self.reverts_drift {
            let recorded = at(&known.properties, &difference.path);
            if recorded != difference.before.as_ref()
                && let Some(target) = target.as_object_mut()
            {
                target.insert(
                    "Drift".to_owned(),
                    json!({"PreviousValue": recorded.map(shown), "ActualValue": difference.before.as_ref().map(shown)}),
                );
                target.insert("BeforeValueFrom".to_owned(), "ACTUAL_STATE".into());
                target.insert("AfterValueFrom".to_owned(), "TEMPLATE".into());
            }
        }
        let causes = self.causes(declaration, &difference.path);
        let is_direct = causes.is_empty();
        let mut details: Vec<Value> = causes
            .into_iter()
            .map(|(source, entity, evaluation)| {
                json!({"Target": target, "Evaluation": evaluation, "ChangeSource": source, "CausingEntity": entity})
            })
            .collect();
        let evaluation = if is_direct { "Static" } else { "Dynamic" };
        details.push(json!({"Target": target, "Evaluation": evaluation, "ChangeSource": "DirectModification"}));
        details
    }

    /// The changed parameters and resources that the value at a path comes from.
    fn causes(&self, declaration: Declaration<'_>, path: &[String]) -> Vec<(&'static str, String, &'static str)> {
        let Some(expression) = declaration.properties().map(|properties| expression_at(properties, path)) else {
            return Vec::new();
        };
        references(expression)
            .into_iter()
            .filter_map(|reference| match (&reference.attribute, self.changed.get(&reference.target)) {
                (None, _) if self.changed_parameters.contains(reference.target.as_str()) => {
                    Some(("ParameterReference", reference.target, "Static"))
                }
                (None, Some(Changed::New)) => Some(("ResourceReference", reference.target, "Dynamic")),
                (Some(attribute), Some(Changed::New)) => {
                    Some(("ResourceAttribute", format!("{}.{attribute}", reference.target), "Dynamic"))
                }
                (Some(attribute), Some(Changed::InPlace(properties))) if properties.contains(attribute) => {
                    Some(("ResourceAttribute", format!("{}.{attribute}", reference.target), "Dynamic"))
                }
                _ => None,
            })
            .collect()
    }
}

/// The part of an expression that decides the value at a path, as deep as it can be followed.
fn expression_at<'a>(expression: &'a Value, path: &[String]) -> &'a Value {
    let Some((first, rest)) = path.split_first() else {
        return expression;
    };
    let inner = match expression {
        Value::Object(members) => members.get(first),
        Value::Array(entries) => first.parse::<usize>().ok().and_then(|place| entries.get(place)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    inner.map_or(expression, |inner| expression_at(inner, rest))
}

fn at<'a>(properties: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(properties.get(first)?, |value, part| match value {
        Value::Object(members) => members.get(part),
        Value::Array(entries) => entries.get(part.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// Details of what is not a property: tags of the stack, metadata, policies.
fn attribute_details(known: &StackResource, declaration: Declaration<'_>, tags: &[super::stack::Tag]) -> Vec<Value> {
    let is_taggable = facts::of(&known.type_name).is_some_and(facts::TypeFacts::is_taggable);
    let as_text = |value: &Option<String>| value.clone().map(Value::String);
    let rows = [
        ("Tags", Some(json!(known.tags)).filter(|_| is_taggable), Some(json!(tags)).filter(|_| is_taggable)),
        ("Metadata", known.metadata.clone(), declaration.body.get("Metadata").cloned()),
        ("DeletionPolicy", as_text(&known.deletion_policy), as_text(&declaration.policy("DeletionPolicy"))),
        ("UpdateReplacePolicy", as_text(&known.replace_policy), as_text(&declaration.policy("UpdateReplacePolicy"))),
    ];
    let changed = rows.into_iter().filter(|(_, before, after)| before != after);
    changed
        .map(|(attribute, before, after)| {
            let kind = Difference { path: Vec::new(), before: before.clone(), after: after.clone() };
            json!({
                "Target": {
                    "Attribute": attribute,
                    "RequiresRecreation": "Never",
                    "Path": format!("/{attribute}"),
                    "BeforeValue": before.as_ref().map(shown),
                    "AfterValue": after.as_ref().map(shown),
                    "AttributeChangeType": kind.kind(),
                },
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            })
        })
        .collect()
}

fn addition_row(declaration: Declaration<'_>, properties: &Map<String, Value>) -> Value {
    json!({
        "Type": "Resource",
        "ResourceChange": {
            "Action": "Add",
            "LogicalResourceId": declaration.logical_id,
            "ResourceType": declaration.type_name,
            "Scope": [],
            "Details": [],
            "AfterContext": context(properties, declaration.body.get("Metadata")),
        },
    })
}

fn removal_row(resource: &StackResource) -> Value {
    json!({
        "Type": "Resource",
        "ResourceChange": {
            "PolicyAction": policy_name(resource.deletion_policy.as_deref(), resource),
            "Action": "Remove",
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.type_name,
            "Scope": [],
            "Details": [],
            "BeforeContext": context(&resource.properties, resource.metadata.as_ref()),
        },
    })
}

fn set(row: &mut Value, name: &str, value: Value) {
    if let Some(change) = row.get_mut("ResourceChange").and_then(Value::as_object_mut) {
        change.insert(name.to_owned(), value);
    }
}

fn policy_name(policy: Option<&str>, resource: &StackResource) -> &'static str {
    let keeps = || {
        resources::of(&resource.type_name)
            .is_some_and(|handler| handler.keeps_a_snapshot_by_default(&resource.properties))
    };
    match policy {
        Some("Retain" | "RetainExceptOnCreate") => "Retain",
        Some("Snapshot") => "Snapshot",
        None if keeps() => "Snapshot",
        Some(_) | None => "Delete",
    }
}

/// Always and static gives True, always but only dynamic gives Conditional, as does Conditionally; the worst wins.
fn worst_replacement(details: &[Value]) -> &'static str {
    let verdict = |detail: &Value| {
        let recreation = detail.pointer("/Target/RequiresRecreation").and_then(Value::as_str);
        let is_static = detail.get("Evaluation").and_then(Value::as_str) == Some("Static");
        match recreation {
            Some("Always") if is_static => 2,
            Some("Always" | "Conditionally") => 1,
            _ => 0,
        }
    };
    match details.iter().map(verdict).max().unwrap_or(0) {
        0 => "False",
        1 => "Conditional",
        _ => "True",
    }
}

/// A value as change sets show it: scalars as text, the rest as JSON.
fn shown(value: &Value) -> String {
    plain(value).unwrap_or_else(|| with_text(value).to_string())
}

fn with_text(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), with_text(member))).collect())
        }
        Value::Array(entries) => entries.iter().map(with_text).collect(),
        scalar => plain(scalar).map_or(Value::Null, Value::String),
    }
}

/// A context is a JSON string of its own.
fn context(properties: &Map<String, Value>, metadata: Option<&Value>) -> String {
    let mut context = Map::from_iter([("Properties".to_owned(), with_text(&Value::Object(properties.clone())))]);
    if let Some(metadata) = metadata {
        context.insert("Metadata".to_owned(), metadata.clone());
    }
    Value::Object(context).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn finds_the_leaves_that_differ() {
        let before = map(&json!({"A": "1", "B": {"C": [1, 2]}, "D": 60}));
        let after = map(&json!({"B": {"C": [1, 3, 4]}, "D": "60", "E": "x"}));
        let found: Vec<(String, &str)> = differences(&before, &after)
            .iter()
            .map(|difference| (difference.path.join("/"), difference.kind()))
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(path, kind)| (path.as_str(), *kind)).collect();
        assert_eq!(found, [("A", "Remove"), ("B/C/1", "Modify"), ("B/C/2", "Add"), ("E", "Add")]);
    }

    // cloudformation.md 3: Always + Static True; Always + only Dynamic Conditional; the worst detail wins.
    #[test]
    fn the_worst_detail_decides_on_replacement() {
        let detail = |recreation: &str, evaluation: &str| json!({"Target": {"RequiresRecreation": recreation}, "Evaluation": evaluation});
        assert_eq!(worst_replacement(&[detail("Never", "Static")]), "False");
        assert_eq!(worst_replacement(&[detail("Always", "Dynamic"), detail("Never", "Static")]), "Conditional");
        assert_eq!(worst_replacement(&[detail("Conditionally", "Static")]), "Conditional");
        assert_eq!(worst_replacement(&[detail("Always", "Static"), detail("Conditionally", "Static")]), "True");
    }
}
