//! What records that an environment may stay longer: a stack of its own, brought up as any other.
//!
//! Why a stack, and why beside those it is about: see [`lifetime`](crate::deploy::lifetime).

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::deploy::desired::place;
use crate::deploy::lifetime::{EXTENSION, UNTIL};
use crate::deploy::marks::{self, TAG_PREFIX};
use crate::deploy::{Allowed, Desired, DesiredStack};
use crate::environment::resolve::STACK_NAME_CHARACTERS_MAX;
use crate::environment::{Environment, Stack};
use crate::template::{Parameter, ParameterValue};

/// What is wanted: a stack that says until when. Nothing where the environment has no stack of its own.
pub fn desired(environment: &Environment, until: Timestamp) -> Option<Desired> {
    let beside = home(environment)?;
    let template = template();
    let mut tags = beside.tags.clone();
    tags.insert(format!("{TAG_PREFIX}stack"), EXTENSION.to_owned());
    let stack = DesiredStack {
        name: EXTENSION.to_owned(),
        stack_name: stack_name(environment),
        place: place(beside),
        template_digest: marks::digest([template.to_string().as_str()]),
        template,
        parameters: vec![Parameter { name: UNTIL.to_owned(), value: ParameterValue::Text(until.to_string()) }],
        tags,
        service_role: beside.deploy.service_role.clone(),
        ..DesiredStack::default()
    };
    let named = (stack.place.account.clone(), stack.place.region.clone(), stack.stack_name.clone());
    Some(Desired {
        environment: environment.name.to_string(),
        project: environment.project.clone(),
        named: [named].into(),
        // What is left of one that failed holds nothing.
        allowed: Allowed { recreate: [EXTENSION.to_owned()].into(), retries: true, ..Allowed::default() },
        stacks: vec![stack],
        ..Desired::default()
    })
}

/// The stack beside which it stands: one in the environment's own account and Region, if there is any.
fn home(environment: &Environment) -> Option<&Stack> {
    let is_at_home = |stack: &&Stack| {
        (&stack.account.value, &stack.region.value) == (&environment.account.value, &environment.region.value)
    };
    let mut managed = environment.stacks.iter().filter(|stack| stack.is_managed);
    let first = managed.clone().next();
    managed.find(is_at_home).or(first)
}

/// Another stack of this name is met by the marks, and refused.
fn stack_name(environment: &Environment) -> String {
    let name = format!("{}-{}-extension", environment.project, environment.name.word());
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let legal = name.chars().map(|letter| if is_legal(letter) { letter } else { '-' });
    let tail = legal.clone().count().saturating_sub(STACK_NAME_CHARACTERS_MAX);
    // The end tells one from the other.
    legal.skip(tail).collect::<String>().trim_start_matches(|letter: char| !letter.is_ascii_alphabetic()).to_owned()
}

/// A stack wants a resource. A parameter of SSM costs nothing and is changed in place.
fn template() -> Json {
    json!({
        "Description": "Until when this environment may stay, though its lifetime is over before",
        "Parameters": { UNTIL: { "Type": "String" } },
        "Resources": { "Record": {
            "Type": "AWS::SSM::Parameter",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": { "Type": "String", "Value": { "Ref": UNTIL } },
        }},
    })
}
