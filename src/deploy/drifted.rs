//! What a change set would do to what somebody has changed past CloudFormation: record it, where the files say it by now, or
//! write over it. Pure.

use serde::Serialize;
use serde_json::Value as Json;

use super::changes::{Action, Change};
use super::world::Drifted;

/// A property that was changed past CloudFormation, and is or may be about to be written over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overwritten {
    /// The logical id.
    pub resource: String,
    /// The property.
    pub property: String,
    /// What it is; nothing where it is gone.
    pub actual: Option<String>,
    /// Whether the change set names it. If not, it is up to the service: some are given all of a resource with every change.
    pub is_certain: bool,
}

/// Whether all that a change set writes is so already: then there is nothing to write, only something to record.
pub fn is_adopted(changes: &[Change], drifted: &[Drifted]) -> bool {
    let is_so = |change: &Change| {
        let found = drifted.iter().find(|drifted| drifted.resource == change.resource);
        change.action == Action::Modify
            && !change.properties.is_empty()
            && change.properties.iter().all(|property| {
                let same = |found: &Drifted| {
                    let actual = found.properties.iter().find(|it| it.path == property.path)?.actual.as_deref()?;
                    Some(is_same(actual, property.after.as_deref()?))
                };
                found.and_then(same) == Some(true)
            })
    };
    !changes.is_empty() && changes.iter().all(is_so)
}

/// What would be lost of what somebody did by hand. What the change set writes is that very thing is lost by nobody.
pub fn overwritten(changes: &[Change], drifted: &[Drifted]) -> Vec<Overwritten> {
    let mut found = Vec::new();
    for change in changes.iter().filter(|change| touches(change.action)) {
        let of_resource = drifted.iter().filter(|drifted| drifted.resource == change.resource);
        for property in of_resource.flat_map(|drifted| &drifted.properties) {
            let is_written = |it: &&super::changes::PropertyChange| it.path == property.path;
            let after = change.properties.iter().find(is_written).and_then(|it| it.after.as_deref());
            let is_kept = property.actual.as_deref().zip(after).is_some_and(|(actual, after)| is_same(actual, after));
            // Scaling moves it all the time, and nobody writes over it who does not say so.
            let is_scaled = change.kind == "AWS::AutoScaling::AutoScalingGroup" && property.path == "DesiredCapacity";
            if !(is_kept || is_scaled && after.is_none()) {
                found.push(Overwritten {
                    resource: change.resource.clone(),
                    property: property.path.clone(),
                    actual: property.actual.clone(),
                    is_certain: after.is_some(),
                });
            }
        }
    }
    found
}

/// Whether a change writes to what is there.
fn touches(action: Action) -> bool {
    match action {
        Action::Modify | Action::MayReplace | Action::Replace | Action::Unknown => true,
        Action::Add | Action::Remove | Action::Import | Action::Record => false,
    }
}

/// Both are texts; lists and maps are documents in them.
fn is_same(left: &str, right: &str) -> bool {
    let document = |text: &str| serde_json::from_str::<Json>(text).ok().map(|json| as_text(&json));
    left == right || document(left).zip(document(right)).is_some_and(|(left, right)| left == right)
}

/// Detection tells every value as a text.
fn as_text(value: &Json) -> Json {
    match value {
        Json::Array(items) => items.iter().map(as_text).collect(),
        Json::Object(entries) => Json::Object(entries.iter().map(|(key, it)| (key.clone(), as_text(it))).collect()),
        Json::String(_) => value.clone(),
        Json::Null | Json::Bool(_) | Json::Number(_) => Json::from(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::changes::PropertyChange;
    use crate::deploy::world::DriftedProperty;

    fn change(action: Action, properties: &[(&str, &str)]) -> Change {
        let property = |(path, after): &(&str, &str)| PropertyChange {
            path: (*path).to_owned(),
            before: None,
            after: Some((*after).to_owned()),
            replaces: false,
            cause: None,
            place: None,
        };
        Change {
            resource: "D".to_owned(),
            kind: "AWS::RDS::DBInstance".to_owned(),
            action,
            verdict: None,
            properties: properties.iter().map(property).collect(),
            renamed_from: None,
            denial: None,
            instances: None,
        }
    }

    fn drifted(properties: &[(&str, &str)]) -> Vec<Drifted> {
        let property = |(path, actual): &(&str, &str)| DriftedProperty {
            path: (*path).to_owned(),
            actual: Some((*actual).to_owned()),
        };
        let properties = properties.iter().map(property).collect();
        vec![Drifted { resource: "D".to_owned(), properties, unread: None }]
    }

    /// Whether it is adopted, and which properties are written over.
    fn check(written: &Change, found: &[(&str, &str)], expected: (bool, &[&str])) {
        let (changes, drifted) = ([written.clone()], drifted(found));
        let lost = overwritten(&changes, &drifted);
        let lost: Vec<&str> = lost.iter().map(|it| it.property.as_str()).collect();
        assert_eq!((is_adopted(&changes, &drifted), lost.as_slice()), expected);
    }

    #[test]
    fn what_is_so_already_is_only_recorded() {
        check(&change(Action::Modify, &[("a", "9")]), &[("a", "9")], (true, &[]));
        check(&change(Action::Modify, &[("a", "[1]")]), &[("a", r#"["1"]"#)], (true, &[]));
    }

    #[test]
    fn what_is_otherwise_is_written_over() {
        check(&change(Action::Modify, &[("a", "9")]), &[("a", "8")], (false, &["a"]));
        check(&change(Action::Modify, &[("a", "9"), ("b", "1")]), &[("a", "9")], (false, &[]));
        check(&change(Action::Modify, &[("b", "1")]), &[("a", "9")], (false, &["a"]));
        check(&change(Action::Replace, &[("a", "9")]), &[("a", "9")], (false, &[]));
    }

    #[test]
    fn what_is_as_it_was_deployed_is_nobodys() {
        check(&change(Action::Modify, &[("a", "9")]), &[], (false, &[]));
        check(&change(Action::Record, &[]), &[("a", "8")], (false, &[]));
    }
}
