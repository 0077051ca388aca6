//! Looks at the resources a stack has now, for Ref and `Fn::GetAtt`.

use crate::simulator::cloudformation::intrinsics::{Lookup, StackNames};
use crate::simulator::cloudformation::stack::{Deployment, Stack, StackResource};
use crate::simulator::resources;
use crate::simulator::world::{Place, World};
use serde_json::Value;
use std::collections::BTreeMap;

/// The names a template is evaluated with.
pub(in crate::simulator::cloudformation) fn names(place: &Place, stack: &Stack, target: &Deployment) -> StackNames {
    StackNames {
        place: place.clone(),
        id: stack.id.clone(),
        name: stack.name.clone(),
        notification_arns: target.notification_arns.clone(),
    }
}

/// Looks at the resources a stack has now.
pub(in crate::simulator::cloudformation) struct Live<'a> {
    pub(in crate::simulator::cloudformation) world: &'a World,
    pub(in crate::simulator::cloudformation) place: &'a Place,
    pub(in crate::simulator::cloudformation) resources: &'a BTreeMap<String, StackResource>,
}

impl Live<'_> {
    fn resource(&self, logical_id: &str) -> Result<(&StackResource, &str), String> {
        let resource = self.resources.get(logical_id);
        let id = resource.and_then(|resource| Some((resource, resource.physical_id.as_deref()?)));
        id.ok_or_else(|| {
            format!("Unresolved resource dependencies [{logical_id}] in the Resources block of the template")
        })
    }
}

impl Lookup for Live<'_> {
    fn reference(&self, logical_id: &str) -> Result<Value, String> {
        self.resource(logical_id).map(|(_, id)| id.into())
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String> {
        let (resource, id) = self.resource(logical_id)?;
        let value = resources::of(&resource.type_name)
            .and_then(|handler| handler.attribute(self.world, self.place, id, attribute));
        value.ok_or_else(|| {
            format!("Template error: resource {logical_id} does not support attribute type {attribute} in Fn::GetAtt")
        })
    }
}
