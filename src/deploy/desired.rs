//! What is wanted: made from an environment and its rendered templates, before anything is called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::plan::label;
use super::{Desired, DesiredStack, Place, ReadStack, marks};
use crate::environment::order::Needs;
use crate::environment::{Environment, EnvironmentName, Mistake, Reference, Stack};
use crate::template::wiring::{flows, needs, order};
use crate::template::{Parameter, ParameterValue, Rendered, Templates, rules};

/// Other environments, by their names.
pub type Others = BTreeMap<String, Environment>;

/// What is wanted of these stacks of an environment. What the command line allows is left to the caller.
///
/// # Errors
/// Stacks that wait for each other.
pub fn desired(
    environment: &Environment,
    rendered: &[Rendered],
    templates: &Templates,
    others: &Others,
) -> Result<Desired, Box<Mistake>> {
    let flows = flows(environment, templates);
    let needs = needs(&flows, environment);
    let in_order = order(&flows, environment)?;
    let rendered = |name: &String| rendered.iter().find(|rendered| &rendered.stack == name);
    let is_deployed = |name: &String| rendered(name).is_some();
    let stacks: Vec<DesiredStack> = in_order
        .iter()
        .filter_map(|name| Some(stack(environment, environment.stack(name)?, rendered(name)?, &needs, &is_deployed)))
        .collect();
    let read = read_stacks(environment, &stacks, others);
    Ok(Desired {
        environment: environment.name.to_string(),
        environment_word: environment.name.word(),
        project: environment.project.clone(),
        is_protected: environment.is_protected,
        read,
        stacks,
        named: named(environment),
        ..Desired::default()
    })
}

/// Where a stack lives.
pub fn place(stack: &Stack) -> Place {
    Place { account: stack.account.value.clone(), region: stack.region.value.clone(), role: stack.role.clone() }
}

/// The names in CloudFormation of all stacks of an environment.
pub fn named(environment: &Environment) -> BTreeSet<(String, String, String)> {
    let name = |stack: &Stack| {
        let (account, region) = (&stack.account.value, &stack.region.value);
        (account.clone(), region.clone(), stack.stack_name.value.clone())
    };
    environment.stacks.iter().map(name).collect()
}

fn stack(
    environment: &Environment,
    stack: &Stack,
    rendered: &Rendered,
    needs: &Needs,
    is_deployed: &dyn Fn(&String) -> bool,
) -> DesiredStack {
    let template = rendered.document.json.clone();
    let needed = needs.get(&stack.name).into_iter().flatten();
    DesiredStack {
        name: stack.name.clone(),
        stack_name: stack.stack_name.value.clone(),
        place: place(stack),
        template_digest: marks::digest([template.to_string().as_str()]),
        is_drift_aware: false,
        parameters: rendered.parameters.iter().map(|parameter| own(parameter, &environment.name)).collect(),
        has_looked_up_parameters: has_looked_up_parameters(&template),
        tags: stack.tags.clone(),
        template_bucket: stack.deploy.template_bucket.clone(),
        capabilities: rules::capabilities(&rendered.document).into_iter().map(str::to_owned).collect(),
        has_hidden_resources: rules::has_hidden_resources(&rendered.document),
        capabilities_allowed: stack.deploy.capabilities.clone(),
        service_role: stack.deploy.service_role.clone(),
        notify: stack.deploy.notify.clone(),
        rollback_alarms: stack.deploy.rollback_alarms.clone(),
        stack_policy: stack.deploy.stack_policy.clone(),
        needs: needed.filter(|needed| is_deployed(needed)).cloned().collect(),
        template,
        kept_until: None,
        sealed: None,
    }
}

/// A reference that names its own environment means the stack beside it.
fn own(parameter: &Parameter, name: &EnvironmentName) -> Parameter {
    let mut parameter = parameter.clone();
    if let ParameterValue::Reference(Reference::Output { environment, .. }) = &mut parameter.value
        && environment.as_ref() == Some(name)
    {
        *environment = None;
    }
    parameter
}

fn has_looked_up_parameters(template: &Json) -> bool {
    let parameters = template.get("Parameters").and_then(Json::as_object);
    let kind = |parameter: &Json| parameter.get("Type").and_then(Json::as_str).map(str::to_owned);
    let mut kinds = parameters.into_iter().flat_map(|it| it.values()).filter_map(kind);
    kinds.any(|kind| kind.starts_with("AWS::SSM::Parameter::Value"))
}

/// The stacks that parameters refer to and nobody deploys now.
fn read_stacks(environment: &Environment, stacks: &[DesiredStack], others: &Others) -> Vec<ReadStack> {
    let mut read: Vec<ReadStack> = Vec::new();
    for parameter in stacks.iter().flat_map(|stack| &stack.parameters) {
        let ParameterValue::Reference(Reference::Output { environment: other, stack: name, .. }) = &parameter.value
        else {
            continue;
        };
        let label = label(other.as_ref(), name);
        let is_known = stacks.iter().any(|stack| stack.name == label) || read.iter().any(|read| read.label == label);
        let owner = match other {
            None => Some(environment),
            Some(other) => others.get(&other.to_string()),
        };
        if let (false, Some(stack)) = (is_known, owner.and_then(|owner| owner.stack(name))) {
            read.push(ReadStack { label, stack_name: stack.stack_name.value.clone(), place: place(stack) });
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_that_cloudformation_looks_up_is_known_by_its_type() {
        let template = |kind: &str| json!({"Parameters": {"Ami": {"Type": kind}}});
        assert!(has_looked_up_parameters(&template("AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>")));
        assert!(!has_looked_up_parameters(&template("String")));
        assert!(!has_looked_up_parameters(&json!({})));
    }
}
