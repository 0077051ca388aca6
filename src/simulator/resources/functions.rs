//! Lambda: functions, who may call them, and the queues they are fed from. Code is looked for where it is said to lie;
//! nothing runs.

use super::modelled::{Modelled, made_up, named};
use super::{Failure, Order, object, objects, text};
use crate::simulator::world::World;
use serde_json::Value;

const FUNCTION: &str = "AWS::Lambda::Function";
const MAPPING: &str = "AWS::Lambda::EventSourceMapping";
const QUEUE: &str = "AWS::SQS::Queue";

/// Seconds that a queue hides a message, and that a function may run, where nobody says (API references).
const VISIBILITY_SECONDS: u64 = 30;
const TIMEOUT_SECONDS: u64 = 3;

pub(super) static TYPES: &[Modelled] = &[
    Modelled {
        attributes: |_, order, id| vec![("Arn", order.place.arn("lambda", &format!("function:{id}")).into())],
        check: check_code,
        ..Modelled::plain(FUNCTION, 20, |identifiers, order| named(identifiers, order, "FunctionName"))
    },
    Modelled {
        attributes: |_, _, id| vec![("Id", id.into())],
        check: |world, order, _| check_function(world, order).map(drop),
        ..Modelled::plain("AWS::Lambda::Permission", 5, made_up)
    },
    Modelled {
        attributes: |_, order, id| {
            vec![
                ("Id", id.into()),
                ("EventSourceMappingArn", order.place.arn("lambda", &format!("event-source-mapping:{id}")).into()),
            ]
        },
        check: check_mapping,
        ..Modelled::plain(MAPPING, 30, |identifiers, _| identifiers.uuid())
    },
];

fn refused(code: &'static str, message: &str) -> Failure {
    Failure::new(code, format!("{message} (Service: Lambda, Status Code: 400)"))
}

/// The package must lie where it is said to.
fn check_code(world: &World, order: &Order, _: Option<&str>) -> Result<(), Failure> {
    let Some(code) = order.properties.get("Code").and_then(Value::as_object) else { return Ok(()) };
    let (Some(bucket), Some(key)) = (text(code, "S3Bucket"), text(code, "S3Key")) else { return Ok(()) };
    let missing = |code: &str, message: &str| {
        let words = format!("Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}");
        refused("InvalidRequest", &words)
    };
    if object(world, &order.place, "AWS::S3::Bucket", &bucket).is_none() {
        return Err(missing("NoSuchBucket", "The specified bucket does not exist"));
    }
    let home = order.place.home_of("AWS::S3::Bucket");
    let stored = world.services_at(&home).and_then(|services| services.buckets.get(&bucket));
    if stored.is_none_or(|objects| !objects.contains_key(&key)) {
        return Err(missing("NoSuchKey", "The specified key does not exist."));
    }
    Ok(())
}

/// The function that a property names, by name or ARN.
fn check_function<'a>(world: &'a World, order: &Order) -> Result<&'a super::Object, Failure> {
    let wanted = text(&order.properties, "FunctionName").unwrap_or_default();
    let name = wanted.split(":function:").last().unwrap_or_default().split(':').next().unwrap_or_default();
    object(world, &order.place, FUNCTION, name).ok_or_else(|| {
        let arn = order.place.arn("lambda", &format!("function:{name}"));
        Failure::new("NotFound", format!("Function not found: {arn} (Service: Lambda, Status Code: 404)"))
    })
}

/// A message must stay hidden for as long as the function may work on it.
fn check_mapping(world: &World, order: &Order, _: Option<&str>) -> Result<(), Failure> {
    let function = check_function(world, order)?;
    let source = text(&order.properties, "EventSourceArn").unwrap_or_default();
    if !source.contains(":sqs:") {
        return Ok(());
    }
    let queue = objects(world, &order.place, QUEUE)
        .find(|(_, queue)| text(&queue.attributes, "Arn").as_deref() == Some(&source))
        .ok_or_else(|| refused("InvalidRequest", &format!("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist: {source}")))?;
    let seconds =
        |properties, name, default| text(properties, name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let visibility: u64 = seconds(&queue.1.properties, "VisibilityTimeout", VISIBILITY_SECONDS);
    let timeout = seconds(&function.properties, "Timeout", TIMEOUT_SECONDS);
    if visibility < timeout {
        let message =
            format!("Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds");
        return Err(refused("InvalidRequest", &message));
    }
    Ok(())
}
