//! What CloudFormation's handlers need of whoever runs a stack: by the registry's schemas, and by what templates look up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::deploy::DesiredStack;
use crate::environment::Reference;
use crate::template::ParameterValue;

/// By type and handler, the actions.
#[derive(Deserialize)]
struct File {
    types: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

static SHIPPED: LazyLock<File> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/handler-permissions.json"))
        .expect("`data/handler-permissions.json` has the form of `File`; the tests below read it")
});

/// What stacks need, by the role that runs them.
#[derive(Debug, Default)]
pub(super) struct Handlers {
    /// By role; nothing is whoever calls.
    pub(super) by_role: BTreeMap<Option<String>, Needs>,
    /// Types that are not known.
    pub(super) unknown: BTreeSet<String>,
}

/// What a role needs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Actions.
    pub(super) actions: BTreeSet<String>,
    /// SSM parameters that are looked up.
    pub(super) parameters: BTreeSet<String>,
    /// Secrets that are looked up, by name or ARN.
    pub(super) secrets: BTreeSet<String>,
}

impl Handlers {
    /// Of these stacks, for these handlers; without handlers nothing is needed.
    pub(super) fn of<'a>(stacks: impl Iterator<Item = &'a DesiredStack>, handlers: &[&str]) -> Self {
        let mut found = Self::default();
        found.add(stacks, handlers);
        found
    }

    /// Adds what other stacks need, for other handlers.
    pub(super) fn add<'a>(&mut self, stacks: impl Iterator<Item = &'a DesiredStack>, handlers: &[&str]) {
        for stack in stacks.filter(|_| !handlers.is_empty()) {
            self.allow(stack.service_role.as_ref(), stack, handlers);
            self.by_role.entry(stack.service_role.clone()).or_default().look_up(stack);
        }
    }

    /// Adds what a comparison with what runs needs of whoever asks for it, whichever role runs the stack: they must be able to read
    /// every resource (User Guide, "Considerations when detecting drift"). Nothing is looked up for it.
    pub(super) fn add_detection<'a>(&mut self, stacks: impl Iterator<Item = &'a DesiredStack>) {
        for stack in stacks {
            self.allow(None, stack, &["read"]);
        }
    }

    fn allow(&mut self, role: Option<&String>, stack: &DesiredStack, handlers: &[&str]) {
        let needs = self.by_role.entry(role.cloned()).or_default();
        for kind in kinds(&stack.template) {
            let Some(known) = SHIPPED.types.get(&kind) else {
                self.unknown.insert(kind);
                continue;
            };
            let of = |handler: &&str| known.get(*handler);
            needs.actions.extend(handlers.iter().filter_map(of).flatten().cloned());
        }
    }
}

impl Needs {
    fn look_up(&mut self, stack: &DesiredStack) {
        static DYNAMIC: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(
                r"\{\{resolve:(ssm|ssm-secure|secretsmanager):((?:arn:[^:}]*:[^:}]*:[^:}]*:[^:}]*:[^:}]*:)?[^:}]+)",
            )
            .expect("a constant expression")
        });
        let parameters = stack.parameters.iter().filter_map(|parameter| match &parameter.value {
            ParameterValue::Reference(reference @ (Reference::Ssm { .. } | Reference::Secret { .. })) => {
                reference.dynamic()
            }
            ParameterValue::Reference(_) | ParameterValue::Text(_) => None,
        });
        let texts: Vec<String> = parameters.chain([stack.template.to_string()]).collect();
        for found in texts.iter().flat_map(|text| DYNAMIC.captures_iter(text)) {
            let (Some(service), Some(name)) = (found.get(1), found.get(2)) else { continue };
            let all = if service.as_str() == "secretsmanager" { &mut self.secrets } else { &mut self.parameters };
            all.insert(name.as_str().to_owned());
        }
    }
}

/// The types of a template's resources.
pub(super) fn kinds(template: &Json) -> BTreeSet<String> {
    let resources = template.get("Resources").and_then(Json::as_object);
    let kind = |resource: &Json| resource.get("Type").and_then(Json::as_str).map(str::to_owned);
    resources.into_iter().flat_map(serde_json::Map::values).filter_map(kind).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::resource_types::ResourceTypes;

    #[test]
    fn every_type_that_we_know_has_its_permissions() {
        let known: Vec<&str> = ResourceTypes::shipped().types.keys().copied().collect();
        assert_eq!(SHIPPED.types.keys().map(String::as_str).collect::<Vec<_>>(), known);
    }

    #[test]
    fn who_asks_for_a_comparison_reads_and_looks_nothing_up() {
        let template =
            json!({"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"A": "{{resolve:ssm:/a}}"}}}});
        let stack = DesiredStack { template, service_role: Some("role".to_owned()), ..DesiredStack::default() };
        let mut found = Handlers::default();
        found.add_detection([&stack].into_iter());
        assert_eq!(found.by_role.keys().collect::<Vec<_>>(), [&None]);
        let needs = &found.by_role[&None];
        assert_eq!(needs.actions.iter().collect::<Vec<_>>(), ["sqs:GetQueueAttributes", "sqs:ListQueueTags"]);
        assert_eq!(needs.parameters, BTreeSet::new());
    }

    #[test]
    fn what_a_template_looks_up_is_needed_too() {
        let template = json!({"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {
            "A": "{{resolve:ssm:/a/b}}",
            "B": "x{{resolve:secretsmanager:word:SecretString:key}}y",
            "C": "{{resolve:secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:word-AbCdEf:SecretString:key}}",
        }}, "Other": {"Type": "AWS::Nobody::Knows"}}});
        let stack = DesiredStack { template, ..DesiredStack::default() };
        let found = Handlers::of([&stack].into_iter(), &["delete"]);
        let needs = &found.by_role[&None];
        assert!(needs.actions.contains("sqs:DeleteQueue"), "{needs:?}");
        assert!(!needs.actions.contains("sqs:CreateQueue"), "{needs:?}");
        assert_eq!(needs.parameters, BTreeSet::from(["/a/b".to_owned()]));
        let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:word-AbCdEf".to_owned();
        assert_eq!(needs.secrets, BTreeSet::from(["word".to_owned(), arn]));
        assert_eq!(found.unknown, BTreeSet::from(["AWS::Nobody::Knows".to_owned()]));
    }
}
