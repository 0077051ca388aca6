//! Holds a change set that is to undo drift against what the detection found. Pure.
//!
//! Such change sets have been seen to show changes of what is in sync, even replacements (coverage roadmap, 2505 and 2559), and
//! they undo all drift of a stack, asked for or not. So every value that would be written must be one that was found, and that
//! somebody wants undone.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::report::{Class, Finding, Settled};
use crate::deploy::changes::{Action, Change, PropertyChange};

/// Why a change set does more than to undo what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// Something would be replaced or removed.
    #[error("`{resource}` would be replaced or removed, and no drift is undone at that price")]
    Replaced {
        /// `STACK/RESOURCE`.
        resource: String,
    },
    /// A difference would be undone that nobody wants undone.
    #[error("`{path}` would be undone too, which {why}")]
    NotMeant {
        /// `STACK/RESOURCE/PROPERTY`.
        path: String,
        /// Why it is not meant.
        why: String,
    },
    /// A value would be written that does not differ.
    #[error("`{path}` would be written, though nothing was found to differ there")]
    NotFound {
        /// `STACK/RESOURCE/PROPERTY`.
        path: String,
    },
    /// The files give the stack other outputs by now. A change set does not show outputs.
    #[error("output `{output}` of `{stack}` would change too, as the files say by now")]
    Output {
        /// The stack.
        stack: String,
        /// Its name.
        output: String,
    },
}

/// Says which outputs would change with the template, which is sent whole. `deployed` and `wanted` are templates.
pub fn outputs(stack: &str, deployed: &Json, wanted: &Json) -> Vec<Objection> {
    let of = |template: &Json| template.get("Outputs").and_then(Json::as_object).cloned().unwrap_or_default();
    let (deployed, wanted) = (of(deployed), of(wanted));
    let names: BTreeSet<&String> = deployed.keys().chain(wanted.keys()).collect();
    let changed = names.into_iter().filter(|name| deployed.get(*name) != wanted.get(*name));
    changed.map(|name| Objection::Output { stack: stack.to_owned(), output: name.clone() }).collect()
}

/// Says everything that stands against undoing drift by these changes of a stack. `chosen` is what is to be undone.
pub fn objections(stack: &str, changes: &[Change], findings: &[Finding], chosen: &[Finding]) -> Vec<Objection> {
    let here = |all: &[Finding]| all.iter().filter(|finding| finding.stack == stack).cloned().collect::<Vec<_>>();
    let (findings, chosen) = (here(findings), here(chosen));
    let made_again: BTreeSet<&str> =
        changes.iter().filter(|change| change.action == Action::Add).map(|change| change.resource.as_str()).collect();
    changes.iter().flat_map(|change| of_resource(stack, change, &findings, &chosen, &made_again)).collect()
}

fn of_resource(
    stack: &str,
    change: &Change,
    findings: &[Finding],
    chosen: &[Finding],
    made_again: &BTreeSet<&str>,
) -> Vec<Objection> {
    let resource = format!("{stack}/{}", change.resource);
    match change.action {
        // Nothing is touched.
        Action::Record => Vec::new(),
        Action::Replace | Action::MayReplace | Action::Remove | Action::Unknown => {
            vec![Objection::Replaced { resource }]
        }
        Action::Add | Action::Import => {
            let is_gone = |finding: &&Finding| finding.resource == change.resource && finding.class == Class::Deleted;
            match (chosen.iter().find(is_gone), findings.iter().find(is_gone)) {
                (Some(_), _) => Vec::new(),
                (None, Some(finding)) => vec![not_meant(finding)],
                (None, None) => vec![Objection::NotFound { path: resource }],
            }
        }
        Action::Modify => {
            let follows = |property: &&PropertyChange| {
                let cause = property.cause.as_deref().and_then(|cause| cause.split('.').next());
                cause.is_some_and(|cause| made_again.contains(cause))
            };
            let properties = change.properties.iter().filter(|property| !follows(property));
            let objections: Vec<Objection> =
                properties.filter_map(|property| of_property(&resource, change, property, findings, chosen)).collect();
            // A change without values says nothing that could be held against anything.
            if change.properties.is_empty() { vec![Objection::NotFound { path: resource }] } else { objections }
        }
    }
}

fn of_property(
    resource: &str,
    change: &Change,
    property: &PropertyChange,
    findings: &[Finding],
    chosen: &[Finding],
) -> Option<Objection> {
    let is_it = |finding: &&Finding| {
        finding.resource == change.resource
            && finding.property.as_deref().is_some_and(|found| overlaps(found, &property.path))
    };
    if chosen.iter().any(|finding| is_it(&finding)) {
        return None;
    }
    let path = format!("{resource}/{}", property.path);
    match findings.iter().find(is_it) {
        // It says the same afterwards.
        Some(finding) if finding.class == Class::FalsePositive || finding.settled == Some(Settled::Adopted) => None,
        Some(finding) => Some(not_meant(finding)),
        None => Some(Objection::NotFound { path }),
    }
}

fn overlaps(left: &str, right: &str) -> bool {
    let is_within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is_within(left, right) || is_within(right, left)
}

fn not_meant(finding: &Finding) -> Objection {
    let why = match (&finding.settled, finding.class) {
        (Some(Settled::Ignored { until, .. }), _) => format!("is ignored until {until}"),
        (Some(Settled::Adopted), _) => "was adopted".to_owned(),
        (None, Class::ManagedByAws) => "is managed by AWS".to_owned(),
        (None, Class::ChangedByHand | Class::Deleted | Class::FalsePositive | Class::Beyond) => {
            "was not named".to_owned()
        }
    };
    Objection::NotMeant { path: finding.path(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(resource: &str, property: Option<&str>, class: Class) -> Finding {
        Finding {
            stack: "data".to_owned(),
            resource: resource.to_owned(),
            kind: "AWS::RDS::DBInstance".to_owned(),
            property: property.map(str::to_owned),
            expected: None,
            actual: None,
            class,
            because: String::new(),
            place: None,
            settled: None,
            no_longer: None,
            who: None,
        }
    }

    fn change(resource: &str, action: Action, properties: &[(&str, Option<&str>)]) -> Change {
        let property = |(path, cause): &(&str, Option<&str>)| PropertyChange {
            path: (*path).to_owned(),
            before: None,
            after: None,
            replaces: false,
            cause: cause.map(str::to_owned),
            place: None,
        };
        Change {
            resource: resource.to_owned(),
            kind: "AWS::RDS::DBInstance".to_owned(),
            action,
            verdict: None,
            properties: properties.iter().map(property).collect(),
            renamed_from: None,
            denial: None,
            instances: None,
        }
    }

    /// `a` and `b` differ, `c` is managed by AWS, the resource `Gone` was deleted; `a` and `Gone` are to be undone.
    fn check(checked: &Change, expected: &[&str]) {
        let all = [
            finding("D", Some("a"), Class::ChangedByHand),
            finding("D", Some("b"), Class::ChangedByHand),
            finding("D", Some("c"), Class::ManagedByAws),
            finding("Gone", None, Class::Deleted),
        ];
        let chosen = [all[0].clone(), all[3].clone()];
        let changes = [checked.clone(), change("Gone", Action::Add, &[])];
        let found: Vec<String> = objections("data", &changes, &all, &chosen).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_was_found_and_is_meant_may_be_undone() {
        check(&change("D", Action::Modify, &[("a", None)]), &[]);
        check(&change("D", Action::Modify, &[("a/0/x", None)]), &[]);
    }

    #[test]
    fn what_was_found_and_is_not_meant_stays() {
        let not_named = "`data/D/b` would be undone too, which was not named";
        check(&change("D", Action::Modify, &[("a", None), ("b", None)]), &[not_named]);
        check(
            &change("D", Action::Modify, &[("c", None)]),
            &["`data/D/c` would be undone too, which is managed by AWS"],
        );
    }

    #[test]
    fn a_phantom_is_seen_through() {
        let phantom = "`data/D/z` would be written, though nothing was found to differ there";
        check(&change("D", Action::Modify, &[("z", None)]), &[phantom]);
        check(
            &change("E", Action::Modify, &[]),
            &["`data/E` would be written, though nothing was found to differ there"],
        );
        check(&change("E", Action::Add, &[]), &["`data/E` would be written, though nothing was found to differ there"]);
    }

    #[test]
    fn nothing_is_replaced_for_it() {
        for action in [Action::Replace, Action::MayReplace, Action::Remove, Action::Unknown] {
            check(
                &change("D", action, &[("a", None)]),
                &["`data/D` would be replaced or removed, and no drift is undone at that price"],
            );
        }
    }

    #[test]
    fn what_follows_from_a_resource_that_is_made_again_follows() {
        check(&change("E", Action::Modify, &[("id", Some("Gone.Arn"))]), &[]);
        check(&change("D", Action::Record, &[]), &[]);
    }
}
