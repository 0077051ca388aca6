//! Says who made a difference: which of the calls about a resource it was. Pure.
//!
//! A call that names the property is taken for the one. Where none does, the last one that changed the resource is told, as no
//! more than that: what CloudTrail writes of a call is the service's business, and not every service says much.

pub mod observe;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::report::{Class, Finding};

/// How far back CloudTrail remembers (AWS CloudTrail API Reference, `LookupEvents`).
pub const DAYS_KEPT: u32 = 90;

/// Who made a difference, as far as it is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum Who {
    /// Whoever made this call.
    Caller(Call),
    /// CloudTrail tells of no call by which it can have come.
    Unknown,
    /// CloudTrail could not be read.
    Unread {
        /// Why.
        because: String,
    },
}

/// A call about a resource, as CloudTrail tells of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// CloudTrail's own id of it.
    pub id: String,
    /// When it was made.
    pub time: Timestamp,
    /// The service as in IAM actions: `rds`.
    pub service: String,
    /// `ModifyDBInstance`.
    pub operation: String,
    /// Whether it only looked.
    pub is_read: bool,
    /// Whether it ended with an error.
    pub has_failed: bool,
    /// Who made it.
    pub caller: Caller,
    /// What it said.
    pub parameters: Json,
}

/// Who made a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Whether it was an account's root user.
    pub is_root: bool,
    /// As AWS names whoever called.
    pub arn: Option<String>,
    /// The account that it belongs to.
    pub account: Option<String>,
    /// The name of a user, or of a session.
    pub user_name: Option<String>,
    /// The role that was assumed.
    pub role: Option<String>,
    /// The service that made the call for somebody, or by itself: `cloudformation.amazonaws.com`.
    pub service: Option<String>,
}

/// A call that somebody made, told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// The name of the user or of the session; a service's name where it was one.
    pub person: String,
    /// The role that was assumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// As AWS names whoever called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// When.
    pub time: Timestamp,
    /// The call as an IAM action: `rds:ModifyDBInstance`.
    pub call: String,
    /// Whether it says the property; otherwise it is the last that changed the resource.
    pub names_property: bool,
    /// CloudTrail's id of it.
    pub event: String,
}

/// Whether somebody can have made a difference, so that it is worth asking who.
pub fn is_somebodys(finding: &Finding) -> bool {
    match finding.class {
        Class::ChangedByHand | Class::Deleted | Class::Beyond => true,
        Class::ManagedByAws | Class::FalsePositive => false,
    }
}

/// Whether a call changed something past CloudFormation.
pub fn is_by_hand(event: &Event) -> bool {
    let is_cloudformation = event.caller.service.as_deref() == Some("cloudformation.amazonaws.com");
    !event.is_read && !event.has_failed && !is_cloudformation
}

/// Says by which of the calls about its resource a difference came. The newest comes first.
pub fn who(events: &[Event], property: Option<&str>) -> Who {
    match events.iter().find(|event| is_the_one(event, property)) {
        Some(event) => Who::Caller(call(event, true)),
        None => {
            let last = events.iter().find(|event| is_by_hand(event));
            last.map_or(Who::Unknown, |event| Who::Caller(call(event, false)))
        }
    }
}

/// Whether a difference of this property came by a call.
pub fn is_the_one(event: &Event, property: Option<&str>) -> bool {
    is_by_hand(event) && names_property(event, property)
}

/// Whether a call says the property: in its name, in the name of a parameter, or in the value of one.
fn names_property(event: &Event, property: Option<&str>) -> bool {
    let operation = event.operation.to_lowercase();
    let Some(property) = property else {
        return ["delete", "terminate", "remove"].iter().any(|verb| operation.starts_with(verb));
    };
    let words: BTreeSet<String> = words(property);
    let is_tag = words.contains("tags");
    let is_called = words.iter().any(|word| word.len() >= MEANINGFUL && operation.contains(word.as_str()));
    is_called || (is_tag && operation.contains("tag")) || says(&event.parameters, &words)
}

/// Shorter words stand in the names of calls by chance.
const MEANINGFUL: usize = 6;

/// The names in the path of a property, without positions and what every list has.
fn words(property: &str) -> BTreeSet<String> {
    let is_position = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = property.split('/').filter(|part| !is_position(part) && !["Key", "Value"].contains(part));
    parts.map(str::to_lowercase).collect()
}

fn says(parameters: &Json, words: &BTreeSet<String>) -> bool {
    match parameters {
        Json::Object(members) => {
            members.iter().any(|(name, value)| words.contains(&name.to_lowercase()) || says(value, words))
        }
        Json::Array(entries) => entries.iter().any(|entry| says(entry, words)),
        Json::String(text) => words.contains(&text.to_lowercase()),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

fn call(event: &Event, names_property: bool) -> Call {
    let Caller { is_root, arn, account, user_name, role, service } = &event.caller;
    let session = arn.as_deref().filter(|_| role.is_some()).and_then(|arn| arn.rsplit('/').next());
    let root = || is_root.then(|| format!("the root user of {}", account.as_deref().unwrap_or("the account")));
    let named = || session.or(user_name.as_deref()).map(str::to_owned);
    let person = service.clone().or_else(root).or_else(named).or_else(|| arn.clone());
    Call {
        person: person.unwrap_or_else(|| "somebody without a name".to_owned()),
        role: role.clone().filter(|_| service.is_none()),
        arn: arn.clone(),
        time: event.time,
        call: format!("{}:{}", event.service, event.operation),
        names_property,
        event: event.id.clone(),
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Caller(call) => {
                let role = call.role.as_ref().map(|role| format!(" in role {role}")).unwrap_or_default();
                let Call { person, time, call: name, names_property, .. } = call;
                if *names_property {
                    write!(f, "by {person}{role}, at {time}: {name}")
                } else {
                    write!(f, "the resource was last changed by {person}{role}, at {time}: {name}")
                }
            }
            Self::Unknown => write!(
                f,
                "by whom is not known: of the last {DAYS_KEPT} days CloudTrail has no such call, and it learns of one some minutes later"
            ),
            Self::Unread { because } => write!(f, "by whom could not be read: {because}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(operation: &str, parameters: Json) -> Event {
        let caller = Caller {
            user_name: Some("jane".to_owned()),
            arn: Some("arn:aws:iam::333333333333:user/jane".to_owned()),
            ..Caller::default()
        };
        Event { operation: operation.to_owned(), service: "rds".to_owned(), caller, parameters, ..Event::default() }
    }

    fn check(events: &[Event], property: Option<&str>, told: &str) {
        assert_eq!(who(events, property).to_string(), told);
    }

    #[test]
    fn the_newest_call_that_names_the_property_is_the_one() {
        let mut first = event("ModifyDBInstance", json!({"allocatedStorage": 400, "dBInstanceIdentifier": "data"}));
        first.caller.user_name = Some("john".to_owned());
        let last = event("ModifyDBInstance", json!({"dBInstanceIdentifier": "data", "deletionProtection": false}));
        let events = [last, first];
        check(&events, Some("AllocatedStorage"), "by john, at 1970-01-01T00:00:00Z: rds:ModifyDBInstance");
        check(&events, Some("DeletionProtection"), "by jane, at 1970-01-01T00:00:00Z: rds:ModifyDBInstance");
    }

    #[test]
    fn of_a_call_that_does_not_name_the_property_no_more_is_said_than_is_known() {
        let events = [event("RebootDBInstance", json!({"dBInstanceIdentifier": "data"}))];
        let told = "the resource was last changed by jane, at 1970-01-01T00:00:00Z: rds:RebootDBInstance";
        check(&events, Some("AllocatedStorage"), told);
    }

    #[test]
    fn services_name_properties_in_their_own_ways() {
        let named = |operation: &str, parameters: Json, property: &str| {
            assert!(names_property(&event(operation, parameters), Some(property)), "{operation} {property}");
        };
        named("AuthorizeSecurityGroupIngress", json!({"groupId": "sg-1"}), "SecurityGroupIngress/0/CidrIp");
        named("SetQueueAttributes", json!({"attributes": {"VisibilityTimeout": "90"}}), "VisibilityTimeout");
        named("SetTopicAttributes", json!({"attributeName": "DisplayName", "attributeValue": "x"}), "DisplayName");
        named("CreateTags", json!({"tagSet": {"items": []}}), "Tags/2/Value");
        named("ModifyLoadBalancerAttributes", json!({}), "LoadBalancerAttributes/3/Value");
        let other = event("PutRetentionPolicy", json!({"logGroupName": "a"}));
        assert!(!names_property(&other, Some("Tags/0/Value")));
    }

    #[test]
    fn what_cloudformation_did_nobody_did_by_hand_nor_what_was_refused_or_only_looked() {
        let mut by_cloudformation = event("ModifyDBInstance", json!({"allocatedStorage": 1}));
        by_cloudformation.caller.service = Some("cloudformation.amazonaws.com".to_owned());
        let refused = Event { has_failed: true, ..event("ModifyDBInstance", Json::Null) };
        let looked = Event { is_read: true, ..event("DescribeDBInstances", Json::Null) };
        assert_eq!(who(&[by_cloudformation, refused, looked], Some("AllocatedStorage")), Who::Unknown);
    }

    #[test]
    fn a_deletion_is_named_by_its_verb() {
        let events = [event("DeleteDBInstance", Json::Null), event("ModifyDBInstance", Json::Null)];
        check(&events, None, "by jane, at 1970-01-01T00:00:00Z: rds:DeleteDBInstance");
    }

    #[test]
    fn a_session_is_told_with_its_role_and_a_service_by_its_name() {
        let mut in_role = event("ModifyDBInstance", Json::Null);
        in_role.caller.arn = Some("arn:aws:sts::333333333333:assumed-role/Admin/jane@example.com".to_owned());
        in_role.caller.role = Some("Admin".to_owned());
        let told = "the resource was last changed by jane@example.com in role Admin, at 1970-01-01T00:00:00Z: rds:ModifyDBInstance";
        check(&[in_role.clone()], Some("Port"), told);
        in_role.caller.service = Some("backup.amazonaws.com".to_owned());
        let told =
            "the resource was last changed by backup.amazonaws.com, at 1970-01-01T00:00:00Z: rds:ModifyDBInstance";
        check(&[in_role], Some("Port"), told);
        let mut root = event("ModifyDBInstance", Json::Null);
        root.caller = Caller { is_root: true, account: Some("333333333333".to_owned()), ..Caller::default() };
        let told = "the resource was last changed by the root user of 333333333333, at 1970-01-01T00:00:00Z: rds:ModifyDBInstance";
        check(&[root], Some("Port"), told);
    }
}
