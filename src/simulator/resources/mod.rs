//! Resource types as CloudFormation's handlers see them: create, read, update, delete, and what Ref and `GetAtt` give.
//! Most types are a row of a table (`modelled.rs`): a name, identifiers, attributes. A database has a life of its own
//! (`database.rs`). Types that are not here are refused by name when a template mentions them.

mod balancing;
mod compute;
mod data;
mod database;
mod functions;
mod group;
mod identity;
mod modelled;
mod network;

use super::facts;
use super::refusal::Refusal;
use super::world::{Place, World};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use balancing::{LISTENER, LOAD_BALANCER, TARGET_GROUP, target_groups};
pub(crate) use compute::{GROUP, Launch, TEMPLATE, launch_of, push_version, versions};
pub(crate) use facts::plain;
pub(crate) use network::{address_range, is_same_rule, short_region};

/// A live resource of a type without a life of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    /// The registry's model of it, write-only properties included.
    pub(crate) properties: Map<String, Value>,
    /// What `GetAtt` gives beyond the properties.
    pub(crate) attributes: Map<String, Value>,
    /// The stack that made it, if one did.
    pub(crate) stack_id: Option<String>,
}

/// What CloudFormation asks of a handler.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) place: Place,
    pub(crate) stack_id: String,
    pub(crate) stack_name: String,
    pub(crate) logical_id: String,
    /// What is there already; none for something new.
    pub(crate) physical_id: Option<String>,
    /// Dynamic references resolved, tags of the stack merged.
    pub(crate) properties: Map<String, Value>,
    /// `CreationPolicy` and `UpdatePolicy` of the template.
    pub(crate) creation_policy: Option<Value>,
    pub(crate) update_policy: Option<Value>,
}

/// Work that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) seconds: u64,
}

/// How begun work stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    Ready,
    /// Look again after so many seconds.
    After(u64),
    Failed(Failure),
}

/// What a handler says when it cannot: the registry's error code and the service's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Failure {
    /// No handler's code: CloudFormation itself says it.
    pub(crate) const CLOUDFORMATION: &'static str = "";

    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The status reason of the event, as the registry's executor words it.
    pub(crate) fn reason(&self, request_token: &str) -> String {
        if self.code == Self::CLOUDFORMATION {
            return self.message.clone();
        }
        format!(
            "Resource handler returned message: \"{}\" (RequestToken: {request_token}, HandlerErrorCode: {})",
            self.message, self.code
        )
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code.as_str() {
            code if code.ends_with("AlreadyExists") || code.ends_with("AlreadyExistsFault") => "AlreadyExists",
            code if code.contains("NotFound") => "NotFound",
            code if code.contains("QuotaExceeded") => "ServiceLimitExceeded",
            code if code.starts_with("InvalidDB") => "ResourceConflict",
            _ => "InvalidRequest",
        };
        Self::new(code, refusal.message)
    }
}

/// What is to become of the data when a resource is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    Delete,
    Snapshot,
}

/// One resource type. Handlers begin work; virtual time finishes it; `settle` says whether it is finished.
pub(crate) trait ResourceType: Sync {
    fn create(&self, world: &mut World, order: &Order) -> Result<Begun, Failure>;
    /// Brings a live resource to new properties; gives the seconds that takes.
    fn update(&self, world: &mut World, order: &Order, id: &str, before: &Map<String, Value>) -> Result<u64, Failure>;
    fn delete(&self, world: &mut World, place: &Place, id: &str, farewell: Farewell) -> Result<u64, Failure>;
    /// The live model, or `None` if the resource is gone.
    fn read(&self, world: &World, place: &Place, id: &str) -> Option<Map<String, Value>>;
    fn attribute(&self, world: &World, place: &Place, id: &str, name: &str) -> Option<Value>;

    /// Whether created, updated or deleted work has come to its end.
    fn settle(&self, _world: &mut World, _place: &Place, _id: &str, _doing: Doing) -> Settled {
        Settled::Ready
    }

    /// Whether a change of a conditionally create-only property replaces the resource.
    fn replaces(&self, _property: &str, _before: Option<&Value>, _after: &Map<String, Value>) -> bool {
        false
    }

    /// Whether an attribute may have another value after an update in place.
    fn attribute_changes(&self, _name: &str) -> bool {
        false
    }

    /// Whether a database's `DeletionPolicy` is Snapshot where the template says nothing (User Guide, `DeletionPolicy`).
    fn keeps_a_snapshot_by_default(&self, _properties: &Map<String, Value>) -> bool {
        false
    }
}

/// What is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doing {
    Create,
    Update,
    Delete,
}

/// The handler of a type, if the local cloud serves it.
pub(crate) fn of(type_name: &str) -> Option<&'static dyn ResourceType> {
    if type_name == database::TYPE {
        return Some(&database::Database);
    }
    if type_name == GROUP {
        return Some(&group::Group);
    }
    modelled::of(type_name).map(|modelled| modelled as &dyn ResourceType)
}

/// Removes a live resource without asking anybody: an out-of-band deletion.
pub(crate) fn vanish(world: &mut World, place: &Place, type_name: &str, id: &str) {
    if type_name == database::TYPE {
        world.services(place).rds.databases.remove(id);
        return;
    }
    if type_name == GROUP {
        // Its instances end with it.
        let services = &mut world.services(place).auto_scaling;
        let members = services.groups.remove(id).map(|life| life.members).unwrap_or_default();
        services.instances.retain(|instance, _| !members.contains_key(instance));
    }
    let home = place.home_of(type_name);
    if let Some(objects) = world.services(&home).objects.get_mut(type_name) {
        objects.remove(id);
    }
}

/// Changes live properties without asking anybody; null removes one.
pub(crate) fn tamper(
    world: &mut World,
    place: &Place,
    type_name: &str,
    id: &str,
    set: &Map<String, Value>,
) -> Result<(), String> {
    let home = place.home_of(type_name);
    let properties = if type_name == database::TYPE {
        world.services(place).rds.databases.get_mut(id).map(|database| &mut database.model)
    } else {
        object_mut(world, &home, type_name, id).map(|object| &mut object.properties)
    };
    let properties = properties.ok_or("the resource does not exist any more")?;
    for (name, value) in set {
        if value.is_null() {
            properties.remove(name);
        } else {
            properties.insert(name.clone(), value.clone());
        }
    }
    Ok(())
}

/// A live resource of a modelled type.
pub(crate) fn object<'a>(world: &'a World, place: &Place, type_name: &str, id: &str) -> Option<&'a Object> {
    world.services_at(&place.home_of(type_name))?.objects.get(type_name)?.get(id)
}

pub(crate) fn object_mut<'a>(world: &'a mut World, place: &Place, type_name: &str, id: &str) -> Option<&'a mut Object> {
    world.services(&place.home_of(type_name)).objects.get_mut(type_name)?.get_mut(id)
}

/// Puts a resource of a modelled type there that no stack made; says whether it was not there yet.
pub(crate) fn put(
    world: &mut World,
    place: &Place,
    type_name: &str,
    id: &str,
    properties: Map<String, Value>,
    attributes: Map<String, Value>,
) -> bool {
    let objects = world.services(&place.home_of(type_name)).objects.entry(type_name.to_owned()).or_default();
    if objects.contains_key(id) {
        return false;
    }
    objects.insert(id.to_owned(), Object { properties, attributes, stack_id: None });
    true
}

/// All live resources of a modelled type, by id.
pub(crate) fn objects<'a>(
    world: &'a World,
    place: &Place,
    type_name: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Object)> {
    let services = world.services_at(&place.home_of(type_name));
    services.and_then(|services| services.objects.get(type_name)).into_iter().flatten()
}

/// A property of an order as text.
pub(crate) fn text(properties: &Map<String, Value>, name: &str) -> Option<String> {
    properties.get(name).and_then(facts::plain)
}

/// Whether a text stands anywhere in a value.
fn says(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(entries) => entries.iter().any(|entry| says(entry, wanted)),
        Value::Object(members) => members.values().any(|member| says(member, wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether two values are the same to CloudFormation, for which `60` and `"60"` are one.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| equal(value, other)))
        }
        (left, right) => match (facts::plain(left), facts::plain(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // Behaviour is hand-written, shapes are generated: a type served without facts would be checked against nothing.
    #[test]
    fn every_type_served_has_facts() {
        let without: Vec<&str> = modelled::names().filter(|name| facts::of(name).is_none()).collect();
        assert_eq!(without, Vec::<&str>::new());
        assert!(facts::of(database::TYPE).is_some());
    }

    // CloudFormation compares text: a number written as text is the same number.
    #[test]
    fn text_and_numbers_are_equal() {
        assert!(equal(&json!({"A": [60, true]}), &json!({"A": ["60", "true"]})));
        assert!(!equal(&json!([1]), &json!([1, 2])));
    }
}
