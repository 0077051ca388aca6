//! The calls that only look at stacks. Every list is paged; lists that AWS always sends are sent even when empty.

use super::stack::{CloudFormation, Deployment, Event, Parameter, Stack, StackResource, StackStatus};
use super::template::Template;
use super::values::HIDDEN;
use super::{change_sets, commands};
use crate::simulator::paging::page;
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::world::{Place, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Reply = Result<Value, Refusal>;

fn cloudformation<'a>(world: &'a World, place: &Place) -> Option<&'a CloudFormation> {
    world.services_at(place).map(|services| &services.cloudformation)
}

/// A stack that is not deleted; the refusal is that of events and change sets.
pub(super) fn live<'a>(world: &'a World, place: &Place, name: &str) -> Result<&'a Stack, Refusal> {
    cloudformation(world, place)
        .and_then(|cloudformation| cloudformation.live_stack(name))
        .ok_or_else(|| Refusal::validation(format!("Stack [{name}] does not exist")))
}

/// A stack by name, or any by id; the refusal is that of events.
fn any<'a>(world: &'a World, place: &Place, name: &str) -> Result<&'a Stack, Refusal> {
    cloudformation(world, place)
        .and_then(|cloudformation| cloudformation.find(name))
        .ok_or_else(|| Refusal::validation(format!("Stack [{name}] does not exist")))
}

/// A stack by name, or any by id; the refusal is that of `DescribeStacks` and its kin.
fn with_id<'a>(world: &'a World, place: &Place, name: &str) -> Result<&'a Stack, Refusal> {
    cloudformation(world, place)
        .and_then(|cloudformation| cloudformation.find(name))
        .ok_or_else(|| Refusal::validation(format!("Stack with id {name} does not exist")))
}

pub(super) fn describe_stacks(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stacks: Vec<&Stack> = match parameters.text("StackName") {
        Some(name) => vec![with_id(world, place, name)?],
        None => {
            let all = newest_first(cloudformation(world, place));
            all.into_iter().filter(|stack| stack.status != StackStatus::DeleteComplete).collect()
        }
    };
    let page = page(stacks, parameters.text("NextToken"), world.rules.page_size)?;
    let views: Vec<Value> = page.entries.iter().map(|stack| stack_view(world, stack)).collect();
    Ok(json!({"Stacks": views, "NextToken": page.next}))
}

fn newest_first(cloudformation: Option<&CloudFormation>) -> Vec<&Stack> {
    let mut stacks: Vec<&Stack> =
        cloudformation.into_iter().flat_map(|cloudformation| cloudformation.stacks.values()).collect();
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.number));
    stacks
}

fn stack_view(world: &World, stack: &Stack) -> Value {
    let deployed = shown_deployment(stack);
    let outputs: Vec<Value> = stack
        .deployed
        .outputs
        .iter()
        .map(|output| {
            json!({
                "OutputKey": output.key,
                "OutputValue": output.value,
                "Description": output.description,
                "ExportName": output.export_name,
            })
        })
        .collect();
    let operations: Vec<Value> =
        stack.last_operations.iter().map(|(kind, id)| json!({"OperationType": kind, "OperationId": id})).collect();
    let template = shown_template(stack);
    let is_deleted = stack.status == StackStatus::DeleteComplete;
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "ChangeSetId": stack.change_set,
        "Description": template.as_ref().and_then(Template::description),
        "Parameters": parameter_views(&deployed.parameters),
        "CreationTime": stack.created.to_string(),
        "DeletionTime": stack.deleted.map(|at| at.to_string()),
        "LastUpdatedTime": stack.updated.map(|at| at.to_string()),
        "RollbackConfiguration": rollback_view(deployed),
        "StackStatus": stack.status.as_str(),
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.disables_rollback,
        "NotificationARNs": deployed.notification_arns,
        "Capabilities": if deployed.capabilities.is_empty() { Value::Null } else { json!(deployed.capabilities) },
        "Outputs": if outputs.is_empty() { Value::Null } else { json!(outputs) },
        "RoleARN": deployed.role,
        "Tags": deployed.tags,
        "EnableTerminationProtection": (!is_deleted).then_some(stack.is_protected),
        "DriftInformation": drift_view(stack),
        "LastOperations": world.rules.shows_last_operations.then_some(operations),
    })
}

/// A stack that has never come to rest shows what it is being brought to.
fn shown_deployment(stack: &Stack) -> &Deployment {
    let is_new = stack.deployed.template.is_empty();
    let target = stack.operation.as_ref().map(|operation| &operation.target);
    target
        .filter(|_| is_new || stack.status.is_busy() && stack.status != StackStatus::UpdateRollbackInProgress)
        .unwrap_or(&stack.deployed)
}

fn shown_template(stack: &Stack) -> Option<Template> {
    Template::parse(&shown_deployment(stack).template).ok()
}

fn drift_view(stack: &Stack) -> Value {
    match &stack.drift {
        None => json!({"StackDriftStatus": "NOT_CHECKED"}),
        Some(drift) => {
            json!({"StackDriftStatus": drift.status, "LastCheckTimestamp": drift.at.to_string()})
        }
    }
}

pub(super) fn rollback_view(deployed: &Deployment) -> Value {
    if deployed.rollback_configuration.is_object() { deployed.rollback_configuration.clone() } else { json!({}) }
}

pub(super) fn parameter_views(parameters: &BTreeMap<String, Parameter>) -> Value {
    if parameters.is_empty() {
        return Value::Null;
    }
    let view = |(name, parameter): (&String, &Parameter)| {
        let hidden = |text: &String| {
            if parameter.is_secret { HIDDEN.to_owned() } else { text.clone() }
        };
        json!({
            "ParameterKey": name,
            "ParameterValue": hidden(&parameter.value),
            "ResolvedValue": parameter.resolved.as_ref().map(hidden),
        })
    };
    parameters.iter().map(view).collect()
}

pub(super) fn list_stacks(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("StackStatusFilter");
    let stacks = newest_first(cloudformation(world, place));
    let stacks = stacks
        .into_iter()
        .filter(|stack| wanted.is_empty() || wanted.iter().any(|status| status == stack.status.as_str()));
    let views = stacks
        .map(|stack| {
            let template = shown_template(stack);
            json!({
                "StackId": stack.id,
                "StackName": stack.name,
                "TemplateDescription": template.as_ref().and_then(Template::description),
                "CreationTime": stack.created.to_string(),
                "LastUpdatedTime": stack.updated.map(|at| at.to_string()),
                "DeletionTime": stack.deleted.map(|at| at.to_string()),
                "StackStatus": stack.status.as_str(),
                "StackStatusReason": stack.reason,
                "DriftInformation": drift_view(stack),
            })
        })
        .collect();
    let page = page(views, parameters.text("NextToken"), world.rules.page_size)?;
    Ok(json!({"StackSummaries": page.entries, "NextToken": page.next}))
}

pub(super) fn stack_events(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = any(world, place, parameters.required("StackName")?)?;
    let newest_first: Vec<&Event> = stack.events.iter().rev().collect();
    let page = page(newest_first, parameters.text("NextToken"), world.rules.page_size)?;
    let views: Vec<Value> = page
        .entries
        .iter()
        .map(|event| {
            json!({
                "StackId": stack.id,
                "EventId": event.id,
                "StackName": stack.name,
                "OperationId": event.operation_id,
                "LogicalResourceId": event.logical_id,
                "PhysicalResourceId": event.physical_id,
                "ResourceType": event.type_name,
                "Timestamp": event.at.to_string(),
                "ResourceStatus": event.status,
                "ResourceStatusReason": event.reason,
                "ResourceProperties": event.properties,
                "ClientRequestToken": event.token,
            })
        })
        .collect();
    Ok(json!({"StackEvents": views, "NextToken": page.next}))
}

/// `DescribeEvents`: the newer view of the same events, by stack, change set or operation.
pub(super) fn events(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let only_failed =
        parameters.0.get("Filters").is_some_and(|filters| Parameters(filters).flag("FailedEvents").unwrap_or(false));
    let wanted_operation = parameters.text("OperationId");
    if parameters.text("ChangeSetName").is_some() {
        // Change sets here fail with their reason only; early validation is not modelled.
        change_sets::target(world, place, parameters)?;
        return Ok(json!({"OperationEvents": []}));
    }
    let stacks: Vec<&Stack> = match parameters.text("StackName") {
        Some(name) => vec![any(world, place, name)?],
        None if wanted_operation.is_some() => newest_first(cloudformation(world, place)),
        None => {
            return Err(Refusal::validation("One of StackName, ChangeSetName and OperationId must be specified"));
        }
    };
    let is_failed = |event: &Event| event.status.ends_with("_FAILED");
    let shown = stacks.iter().flat_map(|stack| stack.events.iter().rev().map(move |event| (*stack, event)));
    let shown = shown
        .filter(|(_, event)| wanted_operation.is_none_or(|id| event.operation_id.as_deref() == Some(id)))
        .filter(|(_, event)| !only_failed || is_failed(event));
    let views = shown
        .map(|(stack, event)| {
            let kind = if is_failed(event) { "PROVISIONING_ERROR" } else { "PROGRESS_EVENT" };
            let kind = if event.type_name == "AWS::CloudFormation::Stack" { "STACK_EVENT" } else { kind };
            let operation = stack.last_operations.iter().find(|(_, id)| Some(id) == event.operation_id.as_ref());
            json!({
                "EventId": event.id,
                "StackId": stack.id,
                "OperationId": event.operation_id,
                "OperationType": operation.map(|(kind, _)| kind),
                "EventType": kind,
                "LogicalResourceId": event.logical_id,
                "PhysicalResourceId": event.physical_id,
                "ResourceType": event.type_name,
                "Timestamp": event.at.to_string(),
                "ResourceStatus": event.status,
                "ResourceStatusReason": event.reason,
                "ResourceProperties": event.properties,
                "ClientRequestToken": event.token,
            })
        })
        .collect();
    let page = page(views, parameters.text("NextToken"), world.rules.page_size)?;
    Ok(json!({"OperationEvents": page.entries, "NextToken": page.next}))
}

fn resource_view(template: Option<&Template>, resource: &StackResource, time_name: &str) -> Value {
    let declaration = template.and_then(|template| template.resource(&resource.logical_id));
    let description = declaration.and_then(|declaration| declaration.body.get("Description")).and_then(Value::as_str);
    let drift = match &resource.drift {
        None => json!({"StackResourceDriftStatus": "NOT_CHECKED"}),
        Some(drift) => {
            json!({"StackResourceDriftStatus": drift.status, "LastCheckTimestamp": drift.at.to_string()})
        }
    };
    json!({
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type_name,
        time_name: resource.at.to_string(),
        "ResourceStatus": resource.status.as_str(),
        "ResourceStatusReason": resource.reason,
        "Description": description,
        "DriftInformation": drift,
    })
}

fn with_stack(stack: &Stack, mut view: Value) -> Value {
    if let Some(members) = view.as_object_mut() {
        members.insert("StackName".to_owned(), stack.name.clone().into());
        members.insert("StackId".to_owned(), stack.id.clone().into());
    }
    view
}

pub(super) fn stack_resources(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = match (parameters.text("StackName"), parameters.text("PhysicalResourceId")) {
        (Some(name), _) => with_id(world, place, name)?,
        (None, Some(id)) => {
            let mut stacks = newest_first(cloudformation(world, place)).into_iter();
            let owns =
                |stack: &&Stack| stack.resources.values().any(|resource| resource.physical_id.as_deref() == Some(id));
            stacks.find(owns).ok_or_else(|| Refusal::validation(format!("Stack for {id} does not exist")))?
        }
        (None, None) => {
            return Err(Refusal::validation("Either StackName or PhysicalResourceId must be specified"));
        }
    };
    let wanted = parameters.text("LogicalResourceId");
    let template = shown_template(stack);
    let views: Vec<Value> = stack
        .resources
        .values()
        .filter(|resource| wanted.is_none_or(|wanted| resource.logical_id == wanted))
        .map(|resource| with_stack(stack, resource_view(template.as_ref(), resource, "Timestamp")))
        .collect();
    if let Some(wanted) = wanted.filter(|_| views.is_empty()) {
        return Err(Refusal::validation(format!("Resource {wanted} does not exist for stack {}", stack.name)));
    }
    Ok(json!({"StackResources": views}))
}

pub(super) fn stack_resource(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("StackName")?;
    let logical_id = parameters.required("LogicalResourceId")?;
    let stack = cloudformation(world, place)
        .and_then(|cloudformation| cloudformation.find(name))
        .ok_or_else(|| Refusal::validation(format!("Stack '{name}' does not exist")))?;
    let resource = stack
        .resources
        .get(logical_id)
        .ok_or_else(|| Refusal::validation(format!("Resource {logical_id} does not exist for stack {}", stack.name)))?;
    let mut view = with_stack(stack, resource_view(shown_template(stack).as_ref(), resource, "LastUpdatedTimestamp"));
    if let Some(members) = view.as_object_mut() {
        let metadata = resource.metadata.as_ref().map_or_else(|| "{}".to_owned(), Value::to_string);
        members.insert("Metadata".to_owned(), metadata.into());
    }
    Ok(json!({"StackResourceDetail": view}))
}

pub(super) fn list_resources(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = with_id(world, place, parameters.required("StackName")?)?;
    let template = shown_template(stack);
    let resources = stack.resources.values();
    let views = resources.map(|resource| resource_view(template.as_ref(), resource, "LastUpdatedTimestamp")).collect();
    let page = page(views, parameters.text("NextToken"), world.rules.page_size)?;
    Ok(json!({"StackResourceSummaries": page.entries, "NextToken": page.next}))
}

pub(super) fn template(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let text = if parameters.text("ChangeSetName").is_some() {
        &change_sets::target(world, place, parameters)?.template
    } else {
        let stack = with_id(world, place, parameters.required("StackName")?)?;
        &shown_deployment(stack).template
    };
    Ok(json!({"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}))
}

pub(super) fn template_summary(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let text = match (commands::template_text(world, place, parameters)?, parameters.text("StackName")) {
        (Some(text), _) => text,
        (None, Some(name)) => {
            let stack = with_id(world, place, name)?;
            if stack.status == StackStatus::ReviewInProgress {
                return Err(Refusal::validation("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks."));
            }
            stack.deployed.template.clone()
        }
        (None, None) => {
            return Err(Refusal::validation("Either Template URL or Template Body must be specified."));
        }
    };
    let template = Template::parse(&text).map_err(Refusal::validation)?;
    let mut types: Vec<&str> = template.resources().map(|declaration| declaration.type_name).collect();
    types.sort_unstable();
    types.dedup();
    let mut summary = declared_view(&template);
    if let Some(members) = summary.as_object_mut() {
        members.insert("ResourceTypes".to_owned(), json!(types));
        members.insert("Metadata".to_owned(), template.metadata().map(Value::to_string).into());
        members.insert("Version".to_owned(), "2010-09-09".into());
    }
    Ok(summary)
}

/// What a template declares, as both summaries show it.
fn declared_view(template: &Template) -> Value {
    let parameters: Vec<Value> = template
        .parameters()
        .map(|(name, body)| {
            let text = |name: &str| body.get(name).and_then(crate::simulator::facts::plain);
            json!({
                "ParameterKey": name,
                "DefaultValue": text("Default"),
                "ParameterType": text("Type").unwrap_or_else(|| "String".to_owned()),
                "NoEcho": text("NoEcho").is_some_and(|truth| truth == "true"),
                "Description": text("Description"),
                "ParameterConstraints": {"AllowedValues": body.get("AllowedValues")},
            })
        })
        .collect();
    let needed = template.capabilities();
    json!({
        "Parameters": parameters,
        "Description": template.description(),
        "Capabilities": needed.as_ref().map(|(capability, _)| vec![*capability]),
        "CapabilitiesReason": needed.as_ref().map(|(_, types)| {
            format!("The following resource(s) require capabilities: [{}]", types.join(", "))
        }),
    })
}

pub(super) fn validate_template(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let text = commands::template_text(world, place, parameters)?
        .ok_or_else(|| Refusal::validation("Either Template URL or Template Body must be specified."))?;
    let template = Template::parse(&text).map_err(Refusal::validation)?;
    Ok(declared_view(&template))
}

pub(super) fn policy(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = live(world, place, parameters.required("StackName")?)?;
    Ok(json!({"StackPolicyBody": stack.policy}))
}

pub(super) fn list_exports(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let mut views: Vec<(String, Value)> = cloudformation(world, place)
        .into_iter()
        .flat_map(CloudFormation::exports)
        .map(|(stack, output, name)| {
            (name.to_owned(), json!({"ExportingStackId": stack.id, "Name": name, "Value": output.value}))
        })
        .collect();
    views.sort_by(|(left, _), (right, _)| left.cmp(right));
    let views = views.into_iter().map(|(_, view)| view).collect();
    let page = page(views, parameters.text("NextToken"), world.rules.page_size)?;
    Ok(json!({"Exports": page.entries, "NextToken": page.next}))
}

pub(super) fn list_imports(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("ExportName")?;
    let importers: Vec<String> = cloudformation(world, place)
        .into_iter()
        .flat_map(|cloudformation| cloudformation.importers(name))
        .map(str::to_owned)
        .collect();
    if importers.is_empty() {
        return Err(Refusal::validation(format!("Export '{name}' is not imported by any stack.")));
    }
    let page = page(importers, parameters.text("NextToken"), world.rules.page_size)?;
    Ok(json!({"Imports": page.entries, "NextToken": page.next}))
}
