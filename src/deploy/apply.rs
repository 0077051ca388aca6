//! Does one step: one call, with a token that makes a repeated call the same call. Decides nothing. A template that the call
//! cannot carry is put into a bucket first, under a name that says what is in it: to put it there twice is to put it there once.
//!
//! A call that comes too late (its change set is gone, its stack is busy, what it makes is there) is no failure: the world is not
//! what the planner saw, and the next look says what it is.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::config::Config;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::{Client, types};
use aws_sdk_s3::primitives::ByteStream;

use super::marks::{self, Mark};
use super::observe::{Observer, target};
use super::{Desired, DesiredStack, Given, Kind, Place, Step};
use crate::aws::{Clients, Fault, host_suffix, partition, role_arn};
use crate::template::rules::limits::TEMPLATE_BODY_BYTES_MAX;

/// Does one step.
///
/// # Errors
/// What the call ended with, unless somebody was merely faster.
pub async fn apply(clients: &Clients, desired: &Desired, observer: &Observer<'_>, step: &Step) -> Result<(), Fault> {
    observer.begins(step);
    let done = call(clients, desired, observer, step).await;
    observer.ended(step, done.as_ref());
    match done {
        Err(fault) if fault.is_overtaken() => Ok(()),
        done => done,
    }
}

async fn call(clients: &Clients, desired: &Desired, observer: &Observer<'_>, step: &Step) -> Result<(), Fault> {
    match step {
        Step::CreateChangeSet { stack: label, name, kind, digest, parameters, tags, clears, is_drift_aware } => {
            let stack = find(desired, label)?;
            let client = client(clients, stack).await;
            let wanted = NewChangeSet {
                name,
                kind: *kind,
                digest,
                parameters,
                tags,
                clears: *clears,
                is_drift_aware: *is_drift_aware,
            };
            let id = create_change_set(clients, &client, desired, stack, &wanted).await?;
            observer.was_made(label, name, id);
            Ok(())
        }
        Step::ExecuteChangeSet { stack, name, token, .. } => {
            let stack = find(desired, stack)?;
            let call = client(clients, stack).await.execute_change_set();
            let call = call.stack_name(&stack.stack_name).change_set_name(name).disable_rollback(false);
            call.set_client_request_token(token.clone()).send().await.map(drop).map_err(Fault::from)
        }
        Step::DeleteChangeSet { stack, name } => {
            let stack = find(desired, stack)?;
            let call = client(clients, stack).await.delete_change_set();
            call.stack_name(&stack.stack_name).change_set_name(name).send().await.map(drop).map_err(Fault::from)
        }
        Step::DeleteEmptyStack { stack, id, change_sets, token } => {
            let client = client(clients, find(desired, stack)?).await;
            delete_empty_stack(&client, id, change_sets, token).await
        }
        Step::ProtectStack { stack } => {
            let stack = find(desired, stack)?;
            let call = client(clients, stack).await.update_termination_protection();
            let call = call.stack_name(&stack.stack_name).enable_termination_protection(true);
            call.send().await.map(drop).map_err(Fault::from)
        }
        Step::SetStackPolicy { stack } => {
            let stack = find(desired, stack)?;
            let policy = stack.stack_policy.as_ref().map(|policy| policy.document.to_string());
            let call = client(clients, stack).await.set_stack_policy();
            call.stack_name(&stack.stack_name).set_stack_policy_body(policy).send().await.map(drop).map_err(Fault::from)
        }
        Step::DeleteFailedStack { stack, id, token } => {
            let stack = find(desired, stack)?;
            delete_stack(&client(clients, stack).await, id, token).await
        }
        Step::DeleteStack { id, place, token, .. } => {
            delete_stack(&clients.cloudformation(target(place)).await, id, token).await
        }
    }
}

/// The planner speaks only of stacks that it was given.
fn find<'a>(desired: &'a Desired, name: &str) -> Result<&'a DesiredStack, Fault> {
    desired.stack(name).ok_or_else(|| Fault::Missing { message: format!("stack `{name}` is not being deployed") })
}

async fn client(clients: &Clients, stack: &DesiredStack) -> Client {
    clients.cloudformation(target(&stack.place)).await
}

/// Deletes a stack by its ARN: a new one of the same name is another.
///
/// # Errors
/// What the call ended with.
pub async fn delete_stack(client: &Client, id: &str, token: &str) -> Result<(), Fault> {
    client.delete_stack().stack_name(id).client_request_token(token).send().await?;
    Ok(())
}

/// Deletes a stack that was never created, unless one of these change sets is in use by now.
///
/// The two calls follow each other at once, so that little can happen between them: the second is tried once. Whether it is still
/// right when it did not get through is for another look to say.
async fn delete_empty_stack(client: &Client, id: &str, change_sets: &[String], token: &str) -> Result<(), Fault> {
    for name in change_sets {
        match client.delete_change_set().stack_name(id).change_set_name(name).send().await.map_err(Fault::from) {
            Ok(_) | Err(Fault::Missing { .. }) => {}
            Err(fault) => return Err(fault),
        }
    }
    let once = Config::builder().retry_config(RetryConfig::disabled());
    let call = client.delete_stack().stack_name(id).client_request_token(token);
    call.customize().config_override(once).send().await.map(drop).map_err(Fault::from)
}

struct NewChangeSet<'a> {
    name: &'a str,
    kind: Kind,
    digest: &'a str,
    parameters: &'a [(String, Given)],
    tags: &'a BTreeMap<String, String>,
    clears: bool,
    is_drift_aware: bool,
}

/// How CloudFormation is given a template.
enum Carried {
    /// By the call itself.
    Body(String),
    /// By a bucket.
    Url(String),
}

async fn carried(clients: &Clients, stack: &DesiredStack, body: String) -> Result<Carried, Fault> {
    match &stack.template_bucket {
        Some(bucket) if body.len() > TEMPLATE_BODY_BYTES_MAX => {
            let key = marks::template_key(&body);
            let url = template_url(&stack.place, bucket, &key);
            put(clients, &stack.place, bucket, &key, body).await?;
            Ok(Carried::Url(url))
        }
        Some(_) | None => Ok(Carried::Body(body)),
    }
}

/// Puts a text into a bucket of the account, and into nobody else's.
async fn put(clients: &Clients, place: &Place, bucket: &str, key: &str, body: String) -> Result<(), Fault> {
    let call = clients.s3(target(place)).await.put_object().bucket(bucket).key(key);
    let call = call.expected_bucket_owner(&place.account).content_type("application/json");
    call.body(ByteStream::from(body.into_bytes())).send().await.map(drop).map_err(Fault::from)
}

/// By its path: the certificate of the other form knows no names with dots.
fn template_url(place: &Place, bucket: &str, key: &str) -> String {
    format!("https://s3.{}.{}/{bucket}/{key}", place.region, host_suffix(&place.region))
}

async fn create_change_set(
    clients: &Clients,
    client: &Client,
    desired: &Desired,
    stack: &DesiredStack,
    wanted: &NewChangeSet<'_>,
) -> Result<Option<String>, Fault> {
    let mark = Mark { digest: wanted.digest.to_owned(), revision: desired.revision.clone() };
    let service_role = stack.service_role.as_deref().map(|role| role_arn(target(&stack.place), role));
    let (body, url) = match carried(clients, stack, marks::marked(&stack.template, &mark)).await? {
        Carried::Body(body) => (Some(body), None),
        Carried::Url(url) => (None, Some(url)),
    };
    let call = client
        .create_change_set()
        .stack_name(&stack.stack_name)
        .change_set_name(wanted.name)
        .change_set_type(match wanted.kind {
            Kind::Create => types::ChangeSetType::Create,
            Kind::Update => types::ChangeSetType::Update,
        })
        .description(marks::purpose(&desired.environment, &stack.name, wanted.digest))
        .set_template_body(body)
        .set_template_url(url)
        .set_parameters(Some(wanted.parameters.iter().map(parameter).collect()))
        .set_tags(Some(wanted.tags.iter().map(|(key, value)| tag(key, value)).collect()))
        .set_capabilities(Some(requested(stack)).filter(|requested| !requested.is_empty()))
        .set_role_arn(service_role)
        .set_notification_arns(said(&stack.notify, wanted.clears).map(<[String]>::to_vec))
        .set_rollback_configuration(said(&stack.rollback_alarms, wanted.clears).map(|alarms| rollback(stack, alarms)))
        .set_deployment_mode(wanted.is_drift_aware.then_some(types::DeploymentMode::RevertDrift))
        // The name says what it is for: the same name is the same call.
        .client_token(wanted.name);
    Ok(call.send().await?.id)
}

fn parameter((name, given): &(String, Given)) -> types::Parameter {
    let parameter = types::Parameter::builder().parameter_key(name);
    match given {
        Given::Text(text) => parameter.parameter_value(text).build(),
        Given::Previous => parameter.use_previous_value(true).build(),
    }
}

fn tag(key: &str, value: &str) -> types::Tag {
    types::Tag::builder().key(key).value(value).build()
}

/// No more than is needed; where that cannot be told, all that the environment allows.
fn requested(stack: &DesiredStack) -> Vec<types::Capability> {
    let extra = if stack.has_hidden_resources { stack.capabilities_allowed.as_slice() } else { &[] };
    let extra = extra.iter().filter(|extra| !stack.capabilities.contains(extra));
    stack.capabilities.iter().chain(extra).map(|name| types::Capability::from(name.as_str())).collect()
}

/// A list that is sent. What is left out stays as it is on the stack; only an empty list clears it.
fn said(list: &[String], clears: bool) -> Option<&[String]> {
    (clears || !list.is_empty()).then_some(list)
}

fn rollback(stack: &DesiredStack, alarms: &[String]) -> types::RollbackConfiguration {
    let trigger = |alarm: &String| {
        let arn = if alarm.starts_with("arn:") {
            alarm.clone()
        } else {
            let Place { account, region, .. } = &stack.place;
            format!("arn:{}:cloudwatch:{region}:{account}:alarm:{alarm}", partition(region))
        };
        types::RollbackTrigger::builder().arn(arn).r#type("AWS::CloudWatch::Alarm").build()
    };
    let triggers = alarms.iter().map(trigger).collect();
    types::RollbackConfiguration::builder().set_rollback_triggers(Some(triggers)).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::canned::{Answer, Canned, refusal, result};

    fn api() -> Desired {
        let stack = DesiredStack {
            name: "api".to_owned(),
            stack_name: "sync-api".to_owned(),
            place: Place { account: "333333333333".to_owned(), region: "eu-west-1".to_owned(), role: None },
            template: serde_json::json!({"Resources": {}}),
            ..DesiredStack::default()
        };
        Desired { stacks: vec![stack], ..Desired::default() }
    }

    /// What is asked when an empty stack is deleted, and whether that is an end.
    async fn asked_to_delete_an_empty_stack(answers: Vec<Answer>) -> (Vec<String>, Result<(), Fault>) {
        let canned = Canned::serve(answers).await;
        let step = Step::DeleteEmptyStack {
            stack: "api".to_owned(),
            id: "arn:api".to_owned(),
            change_sets: vec!["r-1".to_owned()],
            token: "token".to_owned(),
        };
        let done = apply(&canned.clients, &api(), &Observer::new(&canned.clients), &step).await;
        let action = |body: &String| body.split('&').next().unwrap_or_default().to_owned();
        (canned.asked().iter().map(action).collect(), done)
    }

    #[tokio::test]
    async fn an_empty_stack_is_not_deleted_while_its_change_set_is_in_use() {
        let (both, first) = (["Action=DeleteChangeSet", "Action=DeleteStack"], ["Action=DeleteChangeSet"]);
        let deleted = || (200, "<DeleteStackResponse/>".to_owned());
        let gone = || result("DeleteChangeSet", "");
        let (asked, done) = asked_to_delete_an_empty_stack(vec![gone(), deleted()]).await;
        assert_eq!((asked.as_slice(), done), (both.map(str::to_owned).as_slice(), Ok(())));

        let nobody = refusal(404, "ChangeSetNotFound", "ChangeSet [r-1] does not exist");
        let (asked, done) = asked_to_delete_an_empty_stack(vec![nobody, deleted()]).await;
        assert_eq!((asked.as_slice(), done), (both.map(str::to_owned).as_slice(), Ok(())));

        let in_use = refusal(400, "InvalidChangeSetStatus", "it is being executed");
        let (asked, done) = asked_to_delete_an_empty_stack(vec![in_use, deleted()]).await;
        assert_eq!((asked.as_slice(), done), (first.map(str::to_owned).as_slice(), Ok(())));

        // When it is tried again, it may be wrong.
        let throttled = refusal(400, "Throttling", "Rate exceeded");
        let (asked, done) = asked_to_delete_an_empty_stack(vec![gone(), throttled]).await;
        assert_eq!(asked, both);
        assert!(done.is_err_and(|fault| fault.is_momentary()));
    }

    /// What is said about topics and alarms when a change set is made.
    async fn said_of_lists(topics: &[&str], clears: bool) -> Vec<String> {
        let canned = Canned::serve(vec![result("CreateChangeSet", "<Id>arn:set</Id>")]).await;
        let mut desired = api();
        desired.stacks[0].notify = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let step = Step::CreateChangeSet {
            stack: "api".to_owned(),
            name: "r-1".to_owned(),
            kind: Kind::Update,
            digest: "digest".to_owned(),
            parameters: Vec::new(),
            tags: BTreeMap::new(),
            clears,
            is_drift_aware: false,
        };
        assert_eq!(apply(&canned.clients, &desired, &Observer::new(&canned.clients), &step).await, Ok(()));
        let asked = canned.asked().pop().unwrap_or_default();
        let is_list = |pair: &&str| pair.starts_with("NotificationARNs") || pair.starts_with("RollbackConfiguration");
        asked.split('&').filter(is_list).map(str::to_owned).collect()
    }

    #[test]
    fn no_more_is_requested_than_needed_where_that_can_be_told() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut stack = DesiredStack {
            capabilities: words(&["CAPABILITY_AUTO_EXPAND"]),
            capabilities_allowed: words(&["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]),
            ..DesiredStack::default()
        };
        assert_eq!(requested(&stack), [types::Capability::CapabilityAutoExpand]);
        stack.has_hidden_resources = true;
        let all = [types::Capability::CapabilityAutoExpand, types::Capability::CapabilityNamedIam];
        assert_eq!(requested(&stack), all);
    }

    #[tokio::test]
    async fn topics_that_the_file_no_longer_names_are_cleared_only_from_a_stack_of_ours() {
        let cleared = ["RollbackConfiguration.RollbackTriggers=", "NotificationARNs="];
        assert_eq!(said_of_lists(&[], true).await, cleared);
        assert_eq!(said_of_lists(&[], false).await, Vec::<String>::new());
        assert_eq!(said_of_lists(&["topic"], false).await, ["NotificationARNs.member.1=topic"]);
    }
}
