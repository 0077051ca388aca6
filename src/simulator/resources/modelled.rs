//! Resource types whose whole behaviour is their model: what they are called, what `GetAtt` adds, which names must be
//! free, what must exist before, and what must be gone before they go.

use super::{
    Begun, Failure, Farewell, Object, Order, ResourceType, balancing, compute, data, functions, identity, network,
    object, object_mut, text,
};
use crate::simulator::identifiers::Identifiers;
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value};

/// A row of the table.
pub(super) struct Modelled {
    pub(super) name: &'static str,
    /// Virtual seconds to create, update or delete one. Invented.
    pub(super) seconds: u64,
    /// The physical id, which is also what Ref gives.
    pub(super) identity: fn(&mut Identifiers, &Order) -> String,
    /// What `GetAtt` gives beyond the properties.
    pub(super) attributes: fn(&mut Identifiers, &Order, &str) -> Vec<(&'static str, Value)>,
    /// What must be true of the rest of the world before one is created or changed.
    pub(super) check: fn(&World, &Order, Option<&str>) -> Result<(), Failure>,
    /// What a change of one does to the rest of the world.
    pub(super) after_update: fn(&mut World, &Order, &Map<String, Value>),
    /// What must be true before one is deleted.
    pub(super) check_delete: fn(&World, &Place, &str) -> Result<(), Failure>,
    /// Attributes that may have another value after an update in place.
    pub(super) volatile: &'static [&'static str],
}

impl Modelled {
    /// A row with nothing special; the tables change what differs.
    pub(super) const fn plain(
        name: &'static str,
        seconds: u64,
        identity: fn(&mut Identifiers, &Order) -> String,
    ) -> Self {
        Self {
            name,
            seconds,
            identity,
            attributes: |_, _, _| Vec::new(),
            check: |_, _, _| Ok(()),
            after_update: |_, _, _| {},
            check_delete: |_, _, _| Ok(()),
            volatile: &[],
        }
    }
}

/// The names of all modelled types.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().flatten().map(|modelled| modelled.name)
}

static TABLES: [&[Modelled]; 6] =
    [network::TYPES, identity::TYPES, data::TYPES, compute::TYPES, balancing::TYPES, functions::TYPES];

pub(super) fn of(type_name: &str) -> Option<&'static Modelled> {
    TABLES.into_iter().flatten().find(|modelled| modelled.name == type_name)
}

impl ResourceType for Modelled {
    fn create(&self, world: &mut World, order: &Order) -> Result<Begun, Failure> {
        network::check_mentions(world, &order.place, &order.properties)?;
        (self.check)(world, order, None)?;
        let id = (self.identity)(&mut world.identifiers, order);
        if object(world, &order.place, self.name, &id).is_some() {
            return Err(Failure::new(
                "AlreadyExists",
                format!("Resource of type '{}' with identifier '{id}' already exists.", self.name),
            ));
        }
        let attributes = self.attribute_map(world, order, &id);
        let object =
            Object { properties: order.properties.clone(), attributes, stack_id: Some(order.stack_id.clone()) };
        let home = order.place.home_of(self.name);
        world.services(&home).objects.entry(self.name.to_owned()).or_default().insert(id.clone(), object);
        Ok(Begun { id, seconds: self.seconds })
    }

    fn update(&self, world: &mut World, order: &Order, id: &str, before: &Map<String, Value>) -> Result<u64, Failure> {
        if object(world, &order.place, self.name, id).is_none() {
            return Err(self.not_found(id));
        }
        network::check_mentions(world, &order.place, &order.properties)?;
        (self.check)(world, order, Some(id))?;
        // Attributes made once, such as a key's ARN, stay; those that follow the properties do too.
        let fresh = self.attribute_map(world, order, id);
        if let Some(object) = object_mut(world, &order.place, self.name, id) {
            object.properties.clone_from(&order.properties);
            for (name, value) in fresh {
                object.attributes.entry(name).or_insert(value);
            }
        }
        (self.after_update)(world, order, before);
        Ok(self.seconds)
    }

    fn delete(&self, world: &mut World, place: &Place, id: &str, _farewell: Farewell) -> Result<u64, Failure> {
        if object(world, place, self.name, id).is_none() {
            // CloudFormation takes NotFound on delete for success.
            return Ok(0);
        }
        (self.check_delete)(world, place, id)?;
        super::vanish(world, place, self.name, id);
        Ok(self.seconds)
    }

    fn read(&self, world: &World, place: &Place, id: &str) -> Option<Map<String, Value>> {
        object(world, place, self.name, id).map(|object| object.properties.clone())
    }

    fn attribute(&self, world: &World, place: &Place, id: &str, name: &str) -> Option<Value> {
        let object = object(world, place, self.name, id)?;
        object.attributes.get(name).or_else(|| object.properties.get(name)).cloned()
    }

    fn attribute_changes(&self, name: &str) -> bool {
        self.volatile.contains(&name)
    }
}

impl Modelled {
    fn attribute_map(&self, world: &mut World, order: &Order, id: &str) -> Map<String, Value> {
        (self.attributes)(&mut world.identifiers, order, id)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn not_found(&self, id: &str) -> Failure {
        Failure::new("NotFound", format!("Resource of type '{}' with identifier '{id}' was not found.", self.name))
    }
}

/// A name from a property, or one made up as CloudFormation does: stack, logical id, random suffix.
pub(super) fn named(identifiers: &mut Identifiers, order: &Order, property: &str) -> String {
    text(&order.properties, property).unwrap_or_else(|| made_up(identifiers, order))
}

/// A name in lower case, as RDS and S3 want it.
pub(super) fn named_lower(identifiers: &mut Identifiers, order: &Order, property: &str) -> String {
    named(identifiers, order, property).to_lowercase()
}

/// `stack-Logical-SUFFIX`, cut to what names may measure.
pub(super) fn made_up(identifiers: &mut Identifiers, order: &Order) -> String {
    /// The shortest limit among the types served is S3's 63 letters.
    const STACK_LETTERS_MAX: usize = 24;
    const LOGICAL_LETTERS_MAX: usize = 24;
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    format!(
        "{}-{}-{}",
        cut(&order.stack_name, STACK_LETTERS_MAX),
        cut(&order.logical_id, LOGICAL_LETTERS_MAX),
        identifiers.suffix(12)
    )
}
