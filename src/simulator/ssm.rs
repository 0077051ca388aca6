//! SSM's parameter store: a view of the `AWS::SSM::Parameter` resources of an account and Region.

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::resources::{self, Object, text};
use super::wire::Call;
use super::world::{Place, World};
use serde_json::{Map, Value, json};

type Reply = Result<Value, Refusal>;

const TYPE: &str = "AWS::SSM::Parameter";

pub(crate) fn call(world: &mut World, call: &Call) -> Option<Reply> {
    let (place, parameters) = (&call.place, Parameters(&call.parameters));
    Some(match call.operation.as_str() {
        "GetParameter" => get(world, place, parameters),
        "GetParameters" => Ok(get_many(world, place, parameters)),
        "PutParameter" => put(world, place, parameters),
        "DeleteParameter" => delete(world, place, parameters),
        _ => return None,
    })
}

/// The value of a parameter, for templates.
pub(crate) fn value(world: &World, place: &Place, name: &str) -> Option<String> {
    let name = name.rsplit_once(":parameter").map_or(name, |(_, name)| name);
    text(&resources::object(world, place, TYPE, name)?.properties, "Value")
}

/// REC: the message is empty.
fn not_found() -> Refusal {
    Refusal::new("ParameterNotFound", "")
}

fn view(world: &World, place: &Place, name: &str) -> Option<Value> {
    let object = resources::object(world, place, TYPE, name)?;
    let version = object.attributes.get("Version").and_then(Value::as_u64).unwrap_or(1);
    Some(json!({
        "Name": name,
        "Type": text(&object.properties, "Type").unwrap_or_else(|| "String".to_owned()),
        "Value": text(&object.properties, "Value"),
        "Version": version,
        "ARN": object.attributes.get("Arn"),
        "DataType": text(&object.properties, "DataType").unwrap_or_else(|| "text".to_owned()),
        "LastModifiedDate": world.now().epoch_seconds(),
    }))
}

fn get(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let parameter = view(world, place, parameters.required("Name")?).ok_or_else(not_found)?;
    Ok(json!({"Parameter": parameter}))
}

fn get_many(world: &World, place: &Place, parameters: Parameters<'_>) -> Value {
    let (found, missing): (Vec<_>, Vec<_>) = parameters
        .texts("Names")
        .into_iter()
        .map(|name| (view(world, place, &name), name))
        .partition(|(view, _)| view.is_some());
    let found: Vec<Value> = found.into_iter().filter_map(|(view, _)| view).collect();
    let missing: Vec<String> = missing.into_iter().map(|(_, name)| name).collect();
    json!({"Parameters": found, "InvalidParameters": missing})
}

fn put(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("Name")?.to_owned();
    let value = parameters.required("Value")?.to_owned();
    let overwrites = parameters.flag("Overwrite").unwrap_or(false);
    let kind = parameters.text("Type").map(str::to_owned);
    let known = resources::object_mut(world, place, TYPE, &name);
    if let Some(object) = known {
        if !overwrites {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(Refusal::new("ParameterAlreadyExists", message));
        }
        let version = object.attributes.get("Version").and_then(Value::as_u64).unwrap_or(1) + 1;
        object.properties.insert("Value".to_owned(), value.into());
        object.attributes.insert("Version".to_owned(), version.into());
        return Ok(json!({"Version": version, "Tier": "Standard"}));
    }
    let arn = place.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')));
    let properties = Map::from_iter([
        ("Name".to_owned(), name.clone().into()),
        ("Type".to_owned(), kind.unwrap_or_else(|| "String".to_owned()).into()),
        ("Value".to_owned(), value.into()),
    ]);
    let attributes = Map::from_iter([("Arn".to_owned(), arn.into()), ("Version".to_owned(), 1.into())]);
    let object = Object { properties, attributes, stack_id: None };
    world.services(place).objects.entry(TYPE.to_owned()).or_default().insert(name, object);
    Ok(json!({"Version": 1, "Tier": "Standard"}))
}

fn delete(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("Name")?;
    resources::object(world, place, TYPE, name).ok_or_else(not_found)?;
    resources::vanish(world, place, TYPE, name);
    Ok(json!({}))
}
