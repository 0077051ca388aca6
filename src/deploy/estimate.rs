//! What a change set would show, estimated: the deployed template against the rendered one, with the registry's word on what
//! replaces a resource. Pure, and nothing is asked of CloudFormation that could change anything.
//!
//! The estimate has the form of a change set, so that it is read, judged and shown by what reads change sets. It knows what stands
//! in the two templates; it does not know what CloudFormation alone looks up: secrets, SSM parameters, transforms.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::changes::{default_fate, policy_fate};
use super::plan::{Wanted, resolve};
use super::world::{ChangeSet, ChangeSetStatus, Detail, HIDDEN, NO_CHANGES, PolicyAction, Replacement, Row, RowAction};
use super::{Desired, DesiredStack, Given, Kind, LiveStack, Phase, World, changes, marks};
use crate::template::compare::{Difference, PropertyDifference, compare};
use crate::template::inputs::plain;
use crate::template::resource_types::{Replaces, ResourceTypes};

/// Attributes of a resource whose change alone changes nothing about it: two say how the stack is put together, two how an update
/// is done (?).
const WITHOUT_EFFECT: [&str; 4] = ["DependsOn", "Condition", "CreationPolicy", "UpdatePolicy"];

/// What a resource has that is another after each of its changes. The registry does not say so; the Template Reference does.
const RENEWED: [(&str, &str); 1] = [("AWS::EC2::LaunchTemplate", "LatestVersionNumber")];

/// The same world, with the change of every stack estimated that is not as wanted. `deployed` has their templates, by label.
pub fn estimated(desired: &Desired, now: &World, deployed: &BTreeMap<String, Json>) -> World {
    let mut estimated = now.clone();
    for stack in &desired.stacks {
        let Some(live) = now.stacks.get(&stack.name).filter(|live| live.status.phase() == Phase::Steady) else {
            continue;
        };
        let (Some(before), Some(given)) =
            (deployed.get(&stack.name), resolve(desired, stack, Some(live), now, &|_| true).given)
        else {
            continue;
        };
        let rows = rows(stack, live, before, &given);
        let outside = differs_outside(before, &stack.template);
        let name = Wanted::of(stack, Some(live), Kind::Update, given).name;
        let computed = if rows.is_empty() && !outside {
            let reason = Some(NO_CHANGES[0].to_owned());
            ChangeSet { name, status: ChangeSetStatus::Failed, reason, ..ChangeSet::default() }
        } else {
            ChangeSet { name, status: ChangeSetStatus::Complete, rows, ..ChangeSet::default() }
        };
        if let Some(live) = estimated.stacks.get_mut(&stack.name) {
            live.computed = vec![computed];
        }
    }
    estimated
}

/// Whether outputs differ: a change of a stack that is none of its resources.
fn differs_outside(before: &Json, after: &Json) -> bool {
    before.get("Outputs") != after.get("Outputs")
}

/// The rows of the change set: as the template has them, then what goes.
fn rows(stack: &DesiredStack, live: &LiveStack, deployed: &Json, given: &[(String, Given)]) -> Vec<Row> {
    let before = settled(deployed, live.parameters.clone());
    let after = settled(&stack.template, parameters(live, given));
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for difference in compare(&before, &after).resources {
        let id = difference.resource.clone();
        let row = Row {
            logical_id: id.clone(),
            kind: difference.kind.clone(),
            before: context(&before, &id),
            after: context(&after, &id),
            ..Row::default()
        };
        let row = match difference.difference {
            Difference::Added => Row { action: RowAction::Add, ..row },
            Difference::Removed => {
                let policy_action = Some(removal(&before, &id, &difference.kind));
                Row { action: RowAction::Remove, policy_action, ..row }
            }
            Difference::Changed(properties) => {
                let details = properties.iter().filter_map(|property| detail(&difference.kind, property)).collect();
                Row { details, ..row }
            }
        };
        rows.insert(id, row);
    }
    retag(&mut rows, stack, live, &after);
    follow(&mut rows, &after);
    rows.retain(|_, row| row.action != RowAction::Modify || !row.details.is_empty());
    for row in rows.values_mut() {
        row.replacement = worst(&row.details);
    }
    let order: Vec<String> = kinds(&after).into_iter().map(|(id, _)| id).collect();
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by_key(|row| order.iter().position(|id| *id == row.logical_id).unwrap_or(order.len()));
    rows
}

/// What every parameter will be. Of hidden ones nobody knows what they are.
fn parameters(live: &LiveStack, given: &[(String, Given)]) -> BTreeMap<String, String> {
    let value = |(name, given): &(String, Given)| match given {
        Given::Text(_) if live.parameters.get(name).is_some_and(|value| value == HIDDEN) => None,
        Given::Text(text) => Some((name.clone(), text.clone())),
        Given::Previous => Some((name.clone(), live.parameters.get(name)?.clone())),
    };
    given.iter().filter_map(value).collect()
}

fn context(template: &Json, id: &str) -> Option<Json> {
    let resource = template.get("Resources")?.get(id)?;
    Some(json!({ "Properties": resource.get("Properties").cloned().unwrap_or_default() }))
}

fn removal(before: &Json, id: &str, kind: &str) -> PolicyAction {
    let resource = before.get("Resources").and_then(|all| all.get(id));
    let written = resource.and_then(|it| it.get("DeletionPolicy")?.as_str()).and_then(policy_fate);
    let is_member = resource.is_some_and(|it| it.pointer("/Properties/DBClusterIdentifier").is_some());
    match written.unwrap_or_else(|| default_fate(kind, is_member)) {
        changes::Fate::Deleted => PolicyAction::Delete,
        changes::Fate::Snapshot => PolicyAction::Snapshot,
        changes::Fate::Kept => PolicyAction::Retain,
    }
}

fn detail(kind: &str, difference: &PropertyDifference) -> Option<Detail> {
    let property = difference.path.split('/').next().unwrap_or_default();
    let texts = [&difference.before, &difference.after].map(|side| side.as_ref().map(plain));
    if WITHOUT_EFFECT.contains(&property) || texts[0] == texts[1] {
        return None;
    }
    let [before, after] = texts;
    Some(Detail {
        path: format!("/Properties/{}", difference.path),
        property: property.to_owned(),
        recreation: recreation(kind, &difference.path),
        is_static: true,
        before,
        after,
        cause: None,
    })
}

fn recreation(kind: &str, path: &str) -> Replacement {
    // CloudFormation refuses another type under the same logical id; worse than replaced nobody can say.
    if path == "Type" {
        return Replacement::Always;
    }
    match ResourceTypes::shipped().get(kind).map(|facts| facts.replaces(path)) {
        Some(Replaces::Never) => Replacement::Never,
        Some(Replaces::Always) => Replacement::Always,
        // Of a type that nobody here knows anything may be.
        Some(Replaces::Conditionally) | None => Replacement::Conditional,
    }
}

fn worst(details: &[Detail]) -> Replacement {
    let one = |detail: &Detail| match (detail.recreation, detail.is_static) {
        (Replacement::Never, _) => Replacement::Never,
        (Replacement::Always, true) => Replacement::Always,
        (Replacement::Always, false) | (Replacement::Conditional, _) => Replacement::Conditional,
    };
    let rank = |replacement: &Replacement| match replacement {
        Replacement::Never => 0,
        Replacement::Conditional => 1,
        Replacement::Always => 2,
    };
    details.iter().map(one).max_by_key(rank).unwrap_or_default()
}

/// Tags of the stack reach its resources, as far as they have tags.
fn retag(rows: &mut BTreeMap<String, Row>, stack: &DesiredStack, live: &LiveStack, after: &Json) {
    let known: BTreeMap<&String, &String> = live.tags.iter().filter(|(key, _)| !key.starts_with("aws:")).collect();
    let wanted = marks::tags(&stack.tags, Some(&live.tags));
    if known.into_iter().eq(wanted.iter()) {
        return;
    }
    for (id, kind) in kinds(after) {
        let has_tags = ResourceTypes::shipped().get(&kind).is_some_and(|facts| facts.properties.contains_key("Tags"));
        let row = rows.entry(id.clone()).or_insert_with(|| Row { logical_id: id, kind, ..Row::default() });
        if has_tags && row.action == RowAction::Modify {
            row.details.push(Detail { property: "Tags".to_owned(), is_static: true, ..Detail::default() });
        }
    }
}

fn kinds(template: &Json) -> Vec<(String, String)> {
    let kind = |resource: &Json| resource.get("Type").and_then(Json::as_str).unwrap_or_default().to_owned();
    let resources = template.get("Resources").and_then(Json::as_object);
    resources.into_iter().flatten().map(|(id, resource)| (id.clone(), kind(resource))).collect()
}

/// What refers to something that will be another changes with it, and what refers to that in turn. Ends: every turn adds a
/// property that has not been there.
fn follow(rows: &mut BTreeMap<String, Row>, after: &Json) {
    let resources = after.get("Resources").and_then(Json::as_object);
    loop {
        let mut found: Vec<(String, String, Detail)> = Vec::new();
        for (id, resource) in resources.into_iter().flatten() {
            let kind = resource.get("Type").and_then(Json::as_str).unwrap_or_default();
            if rows.get(id).is_some_and(|row| row.action != RowAction::Modify) {
                continue;
            }
            for (property, value) in resource.get("Properties").and_then(Json::as_object).into_iter().flatten() {
                let is_known =
                    rows.get(id).is_some_and(|row| row.details.iter().any(|detail| &detail.property == property));
                let Some(cause) = references(value).into_iter().find(|it| it.is_renewed(rows)).filter(|_| !is_known)
                else {
                    continue;
                };
                let detail = Detail {
                    path: format!("/Properties/{property}"),
                    property: property.clone(),
                    recreation: recreation(kind, property),
                    cause: Some(cause.name()),
                    ..Detail::default()
                };
                found.push((id.clone(), kind.to_owned(), detail));
            }
        }
        if found.is_empty() {
            return;
        }
        for (id, kind, detail) in found {
            let (before, after) = (None, context(after, &id));
            let new = || Row { logical_id: id.clone(), kind, before, after, ..Row::default() };
            rows.entry(id.clone()).or_insert_with(new).details.push(detail);
        }
    }
}

/// A resource that a value refers to, or one of its attributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Referred {
    pub(super) resource: String,
    attribute: Option<String>,
}

impl Referred {
    fn name(&self) -> String {
        match &self.attribute {
            Some(attribute) => format!("{}.{attribute}", self.resource),
            None => self.resource.clone(),
        }
    }

    /// Whether what it refers to will, or may, be another.
    fn is_renewed(&self, rows: &BTreeMap<String, Row>) -> bool {
        let Some(row) = rows.get(&self.resource) else { return false };
        match row.action {
            RowAction::Modify if worst(&row.details) != Replacement::Never => true,
            RowAction::Modify => self.attribute.as_ref().is_some_and(|attribute| {
                let is_changed = row.details.iter().any(|detail| &detail.property == attribute);
                is_changed || !row.details.is_empty() && RENEWED.contains(&(&row.kind, attribute))
            }),
            RowAction::Add => true,
            RowAction::Remove | RowAction::Import | RowAction::Dynamic | RowAction::SyncWithActual => false,
        }
    }
}

/// Every resource that a value refers to. Names of parameters are among them, and meet no resource.
pub(super) fn references(value: &Json) -> BTreeSet<Referred> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Json, found: &mut BTreeSet<Referred>) {
    let of_name = |name: &str| match name.split_once('.') {
        Some((resource, attribute)) => {
            Referred { resource: resource.to_owned(), attribute: Some(attribute.to_owned()) }
        }
        None => Referred { resource: name.to_owned(), attribute: None },
    };
    match value {
        Json::Object(entries) => {
            for (key, inner) in entries {
                match (key.as_str(), inner) {
                    ("Ref", Json::String(name)) => {
                        found.insert(Referred { resource: name.clone(), attribute: None });
                    }
                    ("Fn::GetAtt", Json::String(name)) => {
                        found.insert(of_name(name));
                    }
                    ("Fn::GetAtt", Json::Array(parts)) => {
                        let parts: Vec<&str> = parts.iter().filter_map(Json::as_str).collect();
                        found.insert(of_name(&parts.join(".")));
                    }
                    ("Fn::Sub", Json::String(text)) => found.extend(words(text).map(of_name)),
                    ("Fn::Sub", Json::Array(parts)) => {
                        let text = parts.first().and_then(Json::as_str).unwrap_or_default();
                        found.extend(words(text).map(of_name));
                        parts.iter().skip(1).for_each(|part| collect(part, found));
                    }
                    _ => collect(inner, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// What stands in `${…}`, but for what is escaped.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(word, _)| word)
        .filter(|word| !word.starts_with('!'))
}

/// A template with its parameters filled in, and its conditions decided, as far as that can be done.
fn settled(template: &Json, parameters: BTreeMap<String, String>) -> Json {
    let settling = Filled { template, parameters };
    let mut settled = template.clone();
    let resources = settled.get_mut("Resources").and_then(Json::as_object_mut);
    let Some(resources) = resources else { return settled };
    resources.retain(|_, resource| {
        let condition = resource.get("Condition").and_then(Json::as_str);
        condition.is_none_or(|name| settling.condition(name, 0) != Some(false))
    });
    for resource in resources.values_mut() {
        if let Some(properties) = resource.get_mut("Properties") {
            *properties = settling.value(properties).unwrap_or_default();
        }
    }
    settled
}

/// A template whose parameters are known, as far as they are.
pub(super) struct Filled<'a> {
    pub(super) template: &'a Json,
    pub(super) parameters: BTreeMap<String, String>,
}

/// Conditions that lead to each other in a circle are refused by CloudFormation; here they end somewhere.
const CONDITION_DEPTH_MAX: usize = 16;

impl Filled<'_> {
    /// The text that a value comes to; nothing where that is known only afterwards.
    pub(super) fn text(&self, value: &Json) -> Option<String> {
        scalar(&self.value(value)?)
    }

    /// A value, as far as it can be told; nothing where it is `AWS::NoValue`.
    fn value(&self, value: &Json) -> Option<Json> {
        match value {
            Json::Object(entries) => match entries.iter().next().filter(|_| entries.len() == 1) {
                Some((name, argument)) if crate::template::document::is_intrinsic(name) => {
                    self.function(name, argument)
                }
                Some(_) | None => {
                    let settled = entries.iter().filter_map(|(key, inner)| Some((key.clone(), self.value(inner)?)));
                    Some(Json::Object(settled.collect::<Map<_, _>>()))
                }
            },
            Json::Array(items) => Some(items.iter().filter_map(|item| self.value(item)).collect()),
            other => Some(other.clone()),
        }
    }

    fn function(&self, name: &str, argument: &Json) -> Option<Json> {
        let open = |argument: Json| Some(json!({ name: argument }));
        match (name, argument) {
            ("Ref", Json::String(name)) if name == "AWS::NoValue" => None,
            ("Ref", Json::String(name)) => Some(self.parameter(name).unwrap_or_else(|| json!({ "Ref": name }))),
            ("Fn::If", Json::Array(parts)) => {
                let [Json::String(condition), then, otherwise] = parts.as_slice() else {
                    return open(argument.clone());
                };
                match self.condition(condition, 0) {
                    Some(true) => self.value(then),
                    Some(false) => self.value(otherwise),
                    None => open(json!([condition, self.value(then), self.value(otherwise)])),
                }
            }
            ("Fn::Sub", Json::String(text)) => {
                let text = self.filled(text);
                if words(&text).next().is_none() && !text.contains("${!") {
                    Some(text.into())
                } else {
                    open(text.into())
                }
            }
            ("Fn::Join", Json::Array(parts)) => {
                let settled = self.value(argument)?;
                let [Json::String(by), _] = parts.as_slice() else { return open(settled) };
                let texts: Option<Vec<String>> =
                    settled.get(1).and_then(Json::as_array).and_then(|all| all.iter().map(scalar).collect());
                texts.map_or_else(|| open(settled), |texts| Some(texts.join(by).into()))
            }
            ("Fn::FindInMap", Json::Array(_)) => {
                let settled = self.value(argument)?;
                let keys: Option<Vec<&str>> = settled.as_array().and_then(|all| all.iter().map(Json::as_str).collect());
                let start = self.template.get("Mappings");
                let found = keys.and_then(|keys| keys.iter().try_fold(start?, |at, key| at.get(*key)));
                found.cloned().or_else(|| open(settled))
            }
            ("Fn::GetAtt" | "Fn::ImportValue", _) => open(argument.clone()),
            _ => open(self.value(argument)?),
        }
    }

    /// The value of a parameter; a list where it is one.
    fn parameter(&self, name: &str) -> Option<Json> {
        let text = self.parameters.get(name).filter(|text| *text != HIDDEN)?;
        let kind = self.template.get("Parameters").and_then(|all| all.get(name)?.get("Type")?.as_str());
        let is_list = kind.is_some_and(|kind| kind == "CommaDelimitedList" || kind.starts_with("List<"));
        if is_list {
            Some(text.split(',').map(|item| item.trim().to_owned()).collect())
        } else {
            Some(text.clone().into())
        }
    }

    fn filled(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for word in words(text) {
            if let Some(Json::String(value)) = self.parameter(word) {
                filled = filled.replace(&format!("${{{word}}}"), &value);
            }
        }
        filled
    }

    /// Whether a condition holds; nothing where that cannot be told.
    fn condition(&self, name: &str, depth: usize) -> Option<bool> {
        self.holds(self.template.get("Conditions")?.get(name)?, depth)
    }

    fn holds(&self, condition: &Json, depth: usize) -> Option<bool> {
        let (name, argument) = condition.as_object()?.iter().next().filter(|_| depth < CONDITION_DEPTH_MAX)?;
        let parts = || argument.as_array().map(Vec::as_slice).unwrap_or_default();
        let all = || parts().iter().map(|part| self.holds(part, depth + 1)).collect::<Vec<_>>();
        match name.as_str() {
            "Condition" => self.condition(argument.as_str()?, depth + 1),
            "Fn::Equals" => {
                let [left, right] = parts() else { return None };
                Some(scalar(&self.value(left)?)? == scalar(&self.value(right)?)?)
            }
            "Fn::Not" => all().first().copied().flatten().map(|holds| !holds),
            "Fn::And" => decided(&all(), false),
            "Fn::Or" => decided(&all(), true),
            _ => None,
        }
    }
}

/// One `deciding` part decides; without one, all must be told.
fn decided(parts: &[Option<bool>], deciding: bool) -> Option<bool> {
    if parts.contains(&Some(deciding)) {
        return Some(deciding);
    }
    parts.iter().all(Option::is_some).then_some(!deciding)
}

/// Text as CloudFormation compares it; nothing for what is not known or more than text.
fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(is) => Some(is.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
