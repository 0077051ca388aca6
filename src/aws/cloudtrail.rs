//! CloudTrail: the calls of the last 90 days that were about a resource. One read.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::json::{Service, call};
use super::query::Query;
use super::{Fault, Page, pages};

/// A client for the calls to one account and Region.
#[derive(Clone, Debug)]
pub struct CloudTrail {
    query: Query,
}

/// A call that somebody made (AWS CloudTrail User Guide, "CloudTrail record contents").
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
    /// The code of the error that it ended with.
    pub error: Option<String>,
    /// Who made it.
    pub caller: Caller,
    /// What it said, in names that begin with a small letter; nothing where CloudTrail keeps that to itself.
    pub parameters: Json,
}

/// Who made a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// `IAMUser`, `AssumedRole`, `Root`, `AWSService` and others.
    pub kind: String,
    /// As AWS names whoever called.
    pub arn: Option<String>,
    /// The account that it belongs to.
    pub account: Option<String>,
    /// The name of a user.
    pub user_name: Option<String>,
    /// The role that was assumed.
    pub role: Option<String>,
    /// The service that made the call for somebody, or by itself: `cloudformation.amazonaws.com`.
    pub service: Option<String>,
}

impl CloudTrail {
    pub(super) fn new(query: Query) -> Self {
        Self { query }
    }

    /// The calls that were about a resource, the newest first, until a page `is_enough`. Events come some minutes after the calls.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn calls_about(&self, name: &str, is_enough: impl Fn(&[Event]) -> bool) -> Result<Vec<Event>, Fault> {
        const SERVICE: Service =
            Service { name: "cloudtrail", target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101" };
        let read = async |token: Option<String>| {
            let attribute = json!({ "AttributeKey": "ResourceName", "AttributeValue": name });
            let mut parameters = json!({ "LookupAttributes": [attribute] });
            if let Some(token) = token {
                parameters["NextToken"] = json!(token);
            }
            let answer = call(&self.query, SERVICE, "LookupEvents", &parameters).await?;
            let events = answer.get("Events").and_then(Json::as_array).into_iter().flatten();
            let items: Option<Vec<Event>> = events.map(event).collect();
            let next = answer.get("NextToken").and_then(Json::as_str).map(str::to_owned);
            let items = items.ok_or(Fault::Incomplete { what: "when a call was made, and which" })?;
            Ok(Page { items, next })
        };
        pages(read, is_enough).await
    }
}

fn event(told: &Json) -> Option<Event> {
    let of = |name: &str| told.get(name).and_then(Json::as_str);
    // A record that cannot be read tells less, and is a call all the same.
    let record: Map<String, Json> =
        of("CloudTrailEvent").and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let source = of("EventSource")?;
    Some(Event {
        id: of("EventId")?.to_owned(),
        time: moment(told.get("EventTime")?)?,
        service: source.split('.').next().unwrap_or(source).to_owned(),
        operation: of("EventName")?.to_owned(),
        is_read: of("ReadOnly") == Some("true"),
        error: record.get("errorCode").and_then(Json::as_str).map(str::to_owned),
        caller: caller(&record, of("Username")),
        parameters: record.get("requestParameters").cloned().unwrap_or_default(),
    })
}

/// Seconds since 1970, whole or with a fraction.
fn moment(value: &Json) -> Option<Timestamp> {
    let seconds = value.as_i64().or_else(|| value.to_string().split('.').next()?.parse().ok())?;
    Timestamp::from_second(seconds).ok()
}

fn caller(record: &Map<String, Json>, user_name: Option<&str>) -> Caller {
    let identity = record.get("userIdentity");
    let of = |pointer: &str| identity.and_then(|it| it.pointer(pointer)).and_then(Json::as_str).map(str::to_owned);
    let by_address = record.get("sourceIPAddress").and_then(Json::as_str).filter(|it| it.ends_with(".amazonaws.com"));
    Caller {
        kind: of("/type").unwrap_or_default(),
        arn: of("/arn"),
        account: of("/accountId"),
        user_name: of("/userName").or_else(|| user_name.map(str::to_owned)),
        role: of("/sessionContext/sessionIssuer/userName"),
        service: of("/invokedBy").or_else(|| by_address.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Target;
    use crate::aws::canned::{Answer, Canned};

    async fn asking(answers: Vec<Answer>) -> (Canned, CloudTrail) {
        let canned = Canned::serve(answers).await;
        let target = Target { account: "333333333333", region: "ap-southeast-2", role: None };
        let cloudtrail = canned.clients.cloudtrail(target).await;
        (canned, cloudtrail)
    }

    fn told(record: &Json, next: &Json) -> Answer {
        let event = json!({
            "EventId": "e", "EventName": "ModifyDBInstance", "ReadOnly": "false", "EventTime": 1_795_000_000.5,
            "EventSource": "rds.amazonaws.com", "Username": "jane", "CloudTrailEvent": record.to_string(),
        });
        (200, json!({"Events": [event], "NextToken": next}).to_string())
    }

    #[tokio::test]
    async fn a_call_tells_who_made_it_when_and_what_it_said() {
        let record = json!({
            "userIdentity": {
                "type": "AssumedRole", "arn": "arn:aws:sts::333333333333:assumed-role/Admin/jane", "accountId": "333333333333",
                "sessionContext": {"sessionIssuer": {"userName": "Admin"}},
            },
            "sourceIPAddress": "203.0.113.7",
            "requestParameters": {"allocatedStorage": 400},
        });
        let (canned, cloudtrail) = asking(vec![told(&record, &json!("more")), told(&json!({}), &Json::Null)]).await;
        let events = cloudtrail.calls_about("data", |_| false).await.expect("calls");
        let first = Event {
            id: "e".to_owned(),
            time: Timestamp::from_second(1_795_000_000).expect("a time"),
            service: "rds".to_owned(),
            operation: "ModifyDBInstance".to_owned(),
            is_read: false,
            error: None,
            caller: Caller {
                kind: "AssumedRole".to_owned(),
                arn: Some("arn:aws:sts::333333333333:assumed-role/Admin/jane".to_owned()),
                account: Some("333333333333".to_owned()),
                user_name: Some("jane".to_owned()),
                role: Some("Admin".to_owned()),
                service: None,
            },
            parameters: json!({"allocatedStorage": 400}),
        };
        assert_eq!(events[0], first);
        assert_eq!(events.len(), 2);
        assert!(canned.asked()[1].contains("\"NextToken\":\"more\""), "{:?}", canned.asked());
    }

    #[tokio::test]
    async fn what_came_from_a_service_says_so() {
        let record =
            json!({"userIdentity": {"type": "AssumedRole"}, "sourceIPAddress": "cloudformation.amazonaws.com"});
        let (_canned, cloudtrail) = asking(vec![told(&record, &Json::Null)]).await;
        let events = cloudtrail.calls_about("data", |_| false).await.expect("calls");
        assert_eq!(events[0].caller.service.as_deref(), Some("cloudformation.amazonaws.com"));
    }

    #[tokio::test]
    async fn a_refusal_is_told_as_by_every_other_client() {
        let denied = json!({"__type": "AccessDeniedException", "Message": "may not"}).to_string();
        let (_canned, cloudtrail) = asking(vec![(400, denied)]).await;
        let fault = cloudtrail.calls_about("data", |_| false).await;
        assert_eq!(fault, Err(Fault::Denied { message: "may not".into() }));
    }
}
