//! What goes into a template and comes out of it: parameters, tags of the stack, dynamic references, outputs, exports.

use super::intrinsics::Scope;
use super::stack::{CloudFormation, Deployment, Output, Parameter, Stack, StackResource};
use super::template::Template;
use crate::simulator::facts::{self, plain};
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::secrets_manager;
use crate::simulator::ssm;
use crate::simulator::world::{Place, World};
use regex::Regex;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How secrets are shown (API: `NoEcho`).
pub(crate) const HIDDEN: &str = "****";

/// The values parameters have inside a template.
pub(super) fn of(parameters: &BTreeMap<String, Parameter>) -> BTreeMap<String, Value> {
    let value = |parameter: &Parameter| {
        let text = parameter.resolved.as_ref().unwrap_or(&parameter.value);
        if parameter.is_list {
            text.split(',').map(|entry| Value::from(entry.trim())).collect()
        } else {
            Value::from(text.as_str())
        }
    };
    parameters.iter().map(|(name, parameter)| (name.clone(), value(parameter))).collect()
}

/// The parameters of a deployment: what was given, what was there before, or the template's defaults.
pub(super) fn parameters(
    world: &World,
    place: &Place,
    template: &Template,
    call: Parameters<'_>,
    previous: Option<&Deployment>,
) -> Result<BTreeMap<String, Parameter>, Refusal> {
    let given: BTreeMap<&str, Parameters<'_>> =
        call.structures("Parameters").filter_map(|given| Some((given.text("ParameterKey")?, given))).collect();
    let unknown: Vec<&str> = given.keys().copied().filter(|name| template.parameter(name).is_none()).collect();
    if !unknown.is_empty() {
        return Err(Refusal::validation(format!("Parameters: [{}] do not exist in the template", unknown.join(", "))));
    }
    let mut parameters = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, declaration) in template.parameters() {
        let given = given.get(name);
        let uses_previous = given.and_then(|given| given.flag("UsePreviousValue")).unwrap_or(false);
        let value = if uses_previous {
            previous.and_then(|previous| previous.parameters.get(name)).map(|parameter| parameter.value.clone())
        } else {
            let explicit = given.and_then(|given| given.0.get("ParameterValue")).and_then(plain);
            explicit.or_else(|| declaration.get("Default").and_then(default_text))
        };
        match value {
            Some(value) => {
                parameters.insert(name.to_owned(), parameter(world, place, name, declaration, value)?);
            }
            None => missing.push(name),
        }
    }
    if missing.is_empty() {
        return Ok(parameters);
    }
    Err(Refusal::validation(format!("Parameters: [{}] must have values", missing.join(", "))))
}

fn default_text(value: &Value) -> Option<String> {
    match value {
        Value::Array(entries) => Some(entries.iter().filter_map(plain).collect::<Vec<_>>().join(",")),
        other => plain(other),
    }
}

fn parameter(
    world: &World,
    place: &Place,
    name: &str,
    declaration: &Value,
    value: String,
) -> Result<Parameter, Refusal> {
    let kind = declaration.get("Type").and_then(Value::as_str).unwrap_or("String");
    let is_secret = declaration.get("NoEcho").and_then(plain).is_some_and(|truth| truth.eq_ignore_ascii_case("true"));
    check_parameter(name, kind, declaration, &value)?;
    let of_ssm = kind.strip_prefix("AWS::SSM::Parameter::Value<").and_then(|kind| kind.strip_suffix('>'));
    let resolved = match of_ssm {
        None => None,
        Some(_) => Some(ssm::value(world, place, &value).ok_or_else(|| {
            Refusal::validation(format!("Unable to fetch parameters [{value}] from parameter store for this account."))
        })?),
    };
    let inner = of_ssm.unwrap_or(kind);
    let is_list = inner == "CommaDelimitedList" || inner.starts_with("List<");
    Ok(Parameter { value, resolved, is_list, is_secret })
}

fn check_parameter(name: &str, kind: &str, declaration: &Value, value: &str) -> Result<(), Refusal> {
    let constraint = declaration.get("ConstraintDescription").and_then(Value::as_str);
    let wrong = |sentence: String| {
        let text = constraint
            .map_or(sentence, |constraint| format!("Parameter {name} failed to satisfy constraint: {constraint}"));
        Err(Refusal::validation(text))
    };
    if kind == "Number" && value.parse::<f64>().is_err() {
        return Err(Refusal::validation(format!("Parameter '{name}' must be a number.")));
    }
    let choices: Vec<String> =
        declaration.get("AllowedValues").and_then(Value::as_array).into_iter().flatten().filter_map(plain).collect();
    if !choices.is_empty() && !choices.iter().any(|choice| choice == value) {
        return wrong(format!("Parameter '{name}' must be one of AllowedValues"));
    }
    let limit = |bound: &str| declaration.get(bound).and_then(plain).and_then(|bound| bound.parse::<f64>().ok());
    if let Some(number) = value.parse::<f64>().ok().filter(|_| kind == "Number") {
        if let Some(least) = limit("MinValue").filter(|least| number < *least) {
            return wrong(format!("Parameter '{name}' must be a number not less than {least} (is {number})"));
        }
        if let Some(most) = limit("MaxValue").filter(|most| number > *most) {
            return wrong(format!("Parameter '{name}' must be a number not greater than {most} (is {number})"));
        }
    }
    let pattern = declaration.get("AllowedPattern").and_then(Value::as_str);
    // A pattern this engine cannot read (Java's look-around) is not held against the value.
    let is_refused = pattern
        .and_then(|pattern| Regex::new(&format!("^(?:{pattern})$")).ok())
        .is_some_and(|pattern| !pattern.is_match(value));
    if let Some(pattern) = pattern.filter(|_| is_refused) {
        return wrong(format!("Parameter {name} failed to satisfy constraint: must match pattern {pattern}"));
    }
    let letters = value.chars().count();
    let length = |bound: &str| declaration.get(bound).and_then(plain).and_then(|bound| bound.parse::<usize>().ok());
    if let Some(least) = length("MinLength").filter(|least| letters < *least) {
        return wrong(format!("Parameter '{name}' must contain at least {least} characters"));
    }
    if let Some(most) = length("MaxLength").filter(|most| letters > *most) {
        return wrong(format!("Parameter '{name}' must contain at most {most} characters"));
    }
    Ok(())
}

/// Adds the tags of the stack, and those CloudFormation always sets, to the tags a template gives.
pub(super) fn merge_tags(
    properties: &mut Map<String, Value>,
    resource: &StackResource,
    stack_id: &str,
    stack_name: &str,
) {
    let Some(facts) = facts::of(&resource.type_name).filter(|facts| facts.is_taggable()) else {
        return;
    };
    let mut tags: Vec<(String, String)> =
        resource.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    tags.extend([
        ("aws:cloudformation:stack-name".to_owned(), stack_name.to_owned()),
        ("aws:cloudformation:stack-id".to_owned(), stack_id.to_owned()),
        ("aws:cloudformation:logical-id".to_owned(), resource.logical_id.clone()),
    ]);
    let is_map = facts.properties.get("Tags").is_some_and(|shape| shape.kind == "object");
    if is_map {
        let own = properties.entry("Tags").or_insert_with(|| json!({}));
        if let Value::Object(own) = own {
            for (key, value) in tags {
                own.entry(key).or_insert_with(|| value.into());
            }
        }
        return;
    }
    let own = properties.entry("Tags").or_insert_with(|| json!([]));
    if let Value::Array(own) = own {
        let known: BTreeSet<String> =
            own.iter().filter_map(|tag| tag.get("Key")?.as_str().map(str::to_owned)).collect();
        let new = tags.into_iter().filter(|(key, _)| !known.contains(key));
        own.extend(new.map(|(key, value)| json!({"Key": key, "Value": value})));
    }
}

/// A secret's ARN has seven parts of its own.
const ARN_PARTS: usize = 7;

/// Puts what `{{resolve:…}}` stands for into properties, as happens only when a resource is really touched.
pub(super) fn resolve_dynamic(
    world: &World,
    place: &Place,
    properties: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let resolved: Result<Map<String, Value>, String> =
        properties.iter().map(|(name, value)| Ok((name.clone(), resolve_value(world, place, value)?))).collect();
    resolved
}

fn resolve_value(world: &World, place: &Place, value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) if text.contains("{{resolve:") => resolve_text(world, place, text).map(Value::String),
        Value::Array(entries) => entries.iter().map(|entry| resolve_value(world, place, entry)).collect(),
        Value::Object(members) => resolve_dynamic(world, place, members).map(Value::Object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

fn resolve_text(world: &World, place: &Place, text: &str) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{resolve:") {
        let Some((reference, tail)) = after.split_once("}}") else {
            break;
        };
        result.push_str(before);
        result.push_str(&dynamic_value(world, place, reference)?);
        rest = tail;
    }
    result.push_str(rest);
    Ok(result)
}

fn dynamic_value(world: &World, place: &Place, reference: &str) -> Result<String, String> {
    let wrong = || format!("Could not resolve dynamic reference {{{{resolve:{reference}}}}}");
    let (service, rest) = reference.split_once(':').ok_or_else(wrong)?;
    match service {
        "ssm" | "ssm-secure" => {
            let name = rest.split(':').next().unwrap_or_default();
            ssm::value(world, place, name).ok_or_else(|| {
                format!("Parameters [{name}] referenced by the template could not be found in SSM Parameter Store")
            })
        }
        "secretsmanager" => {
            let parts: Vec<&str> = rest.split(':').collect();
            let id_parts = if rest.starts_with("arn:") { ARN_PARTS } else { 1 };
            let id = parts.get(..id_parts).ok_or_else(wrong)?.join(":");
            let key = parts.get(id_parts + 1).copied().unwrap_or_default();
            secrets_manager::value(world, place, &id, key)
                .ok_or_else(|| "Secrets Manager can't find the specified secret.".to_owned())
        }
        _ => Err(wrong()),
    }
}

/// The outputs of a template whose resources are all there.
pub(super) fn outputs(template: &Template, scope: &Scope<'_>) -> Result<Vec<Output>, String> {
    let mut outputs = Vec::new();
    for (key, body) in template.outputs() {
        if !scope.holds(body.get("Condition").and_then(Value::as_str))? {
            continue;
        }
        let text = |value: Option<&Value>| value.map(|value| scope.evaluate(value)).transpose();
        let value = text(body.get("Value"))?.unwrap_or_default();
        let value = default_text(&value).ok_or_else(|| {
            format!("Template format error: The Value field of every Outputs member must evaluate to a String. ({key})")
        })?;
        let export_name = text(body.get("Export").and_then(|export| export.get("Name")))?.and_then(|name| plain(&name));
        let description = body.get("Description").and_then(Value::as_str).map(str::to_owned);
        outputs.push(Output { key: key.to_owned(), value, description, export_name });
    }
    Ok(outputs)
}

/// The names a template imports.
pub(super) fn imports(template: &Template, scope: &Scope<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let bodies = template.resources().filter_map(super::template::Declaration::properties);
    for body in bodies.chain(template.outputs().map(|(_, body)| body)) {
        collect_imports(body, scope, &mut found);
    }
    found
}

fn collect_imports(value: &Value, scope: &Scope<'_>, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "Fn::ImportValue"
                    && let Some(name) = scope.evaluate(member).ok().as_ref().and_then(plain)
                {
                    found.insert(name);
                }
                collect_imports(member, scope, found);
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| collect_imports(entry, scope, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The exports of an account and Region.
pub(super) fn exports(world: &World, place: &Place) -> BTreeMap<String, String> {
    let services = world.services_at(place);
    services
        .map(|services| {
            services.cloudformation.exports().map(|(_, output, name)| (name.to_owned(), output.value.clone())).collect()
        })
        .unwrap_or_default()
}

/// Exports are unique, and one in use neither changes nor goes.
pub(super) fn check_exports(cloudformation: &CloudFormation, stack: &Stack, outputs: &[Output]) -> Result<(), String> {
    for output in outputs {
        let Some(name) = &output.export_name else {
            continue;
        };
        let other = cloudformation.exports().find(|(other, _, known)| other.id != stack.id && known == name);
        if let Some((other, _, _)) = other {
            return Err(format!("Export with name {name} is already exported by stack {}.", other.name));
        }
    }
    for old in &stack.deployed.outputs {
        let Some(name) = &old.export_name else {
            continue;
        };
        let users = cloudformation.importers(name);
        let Some(user) = users.iter().find(|user| **user != stack.name) else {
            continue;
        };
        match outputs.iter().find(|new| new.export_name.as_ref() == Some(name)) {
            None => {
                return Err(format!("Export {name} cannot be deleted as it is in use by {user}"));
            }
            Some(new) if new.value != old.value => {
                return Err(format!("Export {name} cannot be updated as it is in use by {user}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
