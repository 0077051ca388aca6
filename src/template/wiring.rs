//! What flows between stacks: outputs that become values, and the order of work that follows from it.

use std::collections::BTreeMap;

use crate::environment::order::{Needs, sorted};
use crate::environment::reference::{self, Reference};
use crate::environment::{Environment, EnvironmentName, Mistake, Span, Stack, did_you_mean};
use crate::template::Templates;

/// A value that comes from an output.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Flow {
    /// The environment it comes from, if it is another.
    #[serde(serialize_with = "shown", skip_serializing_if = "Option::is_none")]
    pub from_environment: Option<EnvironmentName>,
    /// The stack it comes from.
    pub from: String,
    /// The output; nothing where a stack is only waited for.
    pub output: Option<String>,
    /// The stack it goes to.
    pub to: String,
    /// The input it fills.
    pub input: Option<String>,
    /// Where that is written.
    #[serde(skip)]
    pub span: Span,
}

#[expect(clippy::ref_option, reason = "serde asks for this form")]
fn shown<S: serde::Serializer>(name: &Option<EnvironmentName>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&name.as_ref().map(EnvironmentName::to_string).unwrap_or_default())
}

/// What can be wrong with what flows.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum WiringFault {
    /// A stack that is not there.
    #[error("`{environment}` has no stack `{stack}`")]
    UnknownStack {
        /// The environment.
        environment: String,
        /// The stack.
        stack: String,
    },
    /// Stacks that wait for each other.
    #[error("these stacks wait for each other: {0}")]
    Cycle(String),
    /// An output the template does not have.
    #[error("the stack `{stack}` has no output `{output}`")]
    UnknownOutput {
        /// The stack.
        stack: String,
        /// The output.
        output: String,
    },
}

/// All that flows into the stacks of an environment. A shared value flows only into stacks that declare the input.
pub fn flows(environment: &Environment, templates: &Templates) -> Vec<Flow> {
    environment.stacks.iter().filter(|stack| stack.is_managed).flat_map(|stack| into(stack, templates)).collect()
}

fn into(stack: &Stack, templates: &Templates) -> Vec<Flow> {
    let template = templates.get(&stack.template.value);
    let declares = |input: &str| template.is_some_and(|template| template.inputs.get(input).is_some());
    let mut flows: Vec<Flow> = Vec::new();
    for value in stack.values.iter().filter(|value| declares(&value.input)) {
        if let Some(Ok(Reference::Output { environment, stack: from, output })) = reference::parse(&value.node) {
            flows.push(Flow {
                from_environment: environment,
                from,
                output: Some(output),
                to: stack.name.clone(),
                input: Some(value.input.clone()),
                span: value.node.span,
            });
        }
    }
    for needed in &stack.needs {
        flows.push(Flow {
            from_environment: None,
            from: needed.value.clone(),
            output: None,
            to: stack.name.clone(),
            input: None,
            span: needed.span,
        });
    }
    flows
}

/// What each stack of the environment waits for, of its own environment.
pub fn needs(flows: &[Flow], environment: &Environment) -> Needs {
    let mut needs: Needs = environment.stacks.iter().map(|stack| (stack.name.clone(), Vec::new())).collect();
    for flow in flows.iter().filter(|flow| is_own(flow, environment)) {
        needs.entry(flow.to.clone()).or_default().push(flow.from.clone());
    }
    needs
}

fn is_own(flow: &Flow, environment: &Environment) -> bool {
    flow.from_environment.as_ref().is_none_or(|name| *name == environment.name)
}

/// The order of work.
///
/// # Errors
/// The stacks that wait for each other, at the place that closes the circle.
pub fn order(flows: &[Flow], environment: &Environment) -> Result<Vec<String>, Box<Mistake>> {
    let names: Vec<String> = environment.stacks.iter().map(|stack| stack.name.clone()).collect();
    sorted(&names, &needs(flows, environment)).map_err(|way| {
        let closing = flows.iter().find(|flow| way.len() >= 2 && flow.to == way[0] && flow.from == way[1]);
        let fault = WiringFault::Cycle(way.join(" → "));
        Box::new(closing.map_or_else(|| Mistake::new(&fault), |flow| Mistake::at(flow.span, &fault)))
    })
}

/// The outputs that stacks are known to have; nothing for a stack whose template is not ours.
pub type Outputs = BTreeMap<(String, String), Option<Vec<String>>>;

/// The names of another environment's stacks.
pub type Others<'a> = dyn Fn(&EnvironmentName) -> Result<Vec<String>, Box<Mistake>> + 'a;

/// References to stacks and outputs that are not there.
pub fn check(environment: &Environment, flows: &[Flow], others: &Others<'_>, outputs: &Outputs) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for flow in flows {
        let name = flow.from_environment.clone().unwrap_or_else(|| environment.name.clone());
        let stacks = if is_own(flow, environment) {
            environment.stacks.iter().map(|stack| stack.name.clone()).collect()
        } else {
            match others(&name) {
                Ok(stacks) => stacks,
                Err(mistake) => {
                    mistakes.push(Mistake { span: Some(flow.span), ..*mistake });
                    continue;
                }
            }
        };
        if !stacks.contains(&flow.from) {
            let fault = WiringFault::UnknownStack { environment: name.to_string(), stack: flow.from.clone() };
            let hint = did_you_mean(&flow.from, stacks.iter().map(String::as_str));
            mistakes.push(Mistake::at(flow.span, &fault).maybe_hint(hint));
            continue;
        }
        let known = outputs.get(&(name.to_string(), flow.from.clone())).and_then(Option::as_ref);
        if let (Some(known), Some(output)) = (known, &flow.output)
            && !known.contains(output)
        {
            let fault = WiringFault::UnknownOutput { stack: flow.from.clone(), output: output.clone() };
            let near = did_you_mean(output, known.iter().map(String::as_str));
            let all =
                || if known.is_empty() { "it has none".to_string() } else { format!("it has: {}", known.join(", ")) };
            let hint = near.unwrap_or_else(all);
            mistakes.push(Mistake::at(flow.span, &fault).hint(hint));
        }
    }
    mistakes
}
