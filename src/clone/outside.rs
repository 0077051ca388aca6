//! What of an environment's values is a thing of the outside world: topics, queues and secrets, names and addresses. Two
//! environments that use the same one reach each other's people and clients. Pure.

use super::Reason;
use crate::environment::{Content, Environment, Node, Stack};

/// Things of the outside world that both sides resolve to, beside those that the target shares on purpose.
pub fn shared(source: &Environment, target: &Environment) -> Vec<Reason> {
    let allowed: Vec<&String> = target.clone.iter().flat_map(|clone| &clone.share).collect();
    let mut all = Vec::new();
    for stack in target.stacks.iter().filter(|stack| stack.is_managed) {
        let Some(twin) = source.stack(&stack.name) else { continue };
        for value in &stack.values {
            let path = format!("{}.{}", stack.name, value.input);
            let is_allowed = allowed.iter().any(|it| **it == path || **it == value.input);
            let Some(other) = twin.value(&value.input).filter(|_| !is_allowed) else { continue };
            let (own, others) = (texts(&value.node), texts(&other.node));
            let both = own.iter().filter(|text| is_outside(&value.input, text) && others.contains(text));
            all.extend(both.map(|text| Reason::Shared { path: path.clone(), value: text.clone() }));
        }
    }
    all
}

/// The inputs of a stack whose values are things of the outside world, each with the first of them.
pub fn outside(stack: &Stack) -> Vec<(String, String)> {
    let of = |value: &crate::environment::Value| {
        let found = texts(&value.node).into_iter().find(|text| is_outside(&value.input, text))?;
        Some((value.input.clone(), found))
    };
    stack.values.iter().filter_map(of).collect()
}

/// Whether an input takes a name in the DNS.
pub fn is_name(input: &str) -> bool {
    input.ends_with("dns_name")
}

/// The texts in a value.
fn texts(node: &Node) -> Vec<String> {
    match &node.content {
        Content::Scalar(scalar) => vec![scalar.text.clone()],
        Content::Sequence(items) => items.iter().flat_map(texts).collect(),
        Content::Mapping(entries) => entries.iter().flat_map(|entry| texts(&entry.value)).collect(),
    }
}

fn is_outside(input: &str, text: &str) -> bool {
    let is_address = text.starts_with("http://") || text.starts_with("https://");
    let is_resource =
        text.starts_with("arn:") && [":sns:", ":sqs:", ":secretsmanager:"].iter().any(|it| text.contains(it));
    is_address || is_resource || (is_name(input) && text.contains('.'))
}
