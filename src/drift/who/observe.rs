//! Asks CloudTrail who made the differences, resource by resource. Reads, and decides nothing.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::{Caller, Event, Who, is_by_hand, is_somebodys, is_the_one, who};
use crate::aws::cloudtrail::CloudTrail;
use crate::aws::{Clients, Fault, home_region, partition};
use crate::deploy::Place;
use crate::deploy::observe::target;
use crate::drift::report::Finding;
use crate::drift::{Asked, World};

/// Pages of calls about one resource at most: 200 calls. Two are answered in a second.
const PAGES_LOOKED: u32 = 4;

/// The properties that differ, by the id that AWS knows their resource by.
type Properties = BTreeMap<String, Vec<Option<String>>>;

/// What the trail of one place tells of each id.
type Told = BTreeMap<String, Result<Vec<Event>, Fault>>;

/// Adds to every difference that somebody made who it was. A trail that cannot be read is no reason to know less of the drift.
pub async fn observe(clients: &Clients, asked: &[Asked], world: &World, findings: &mut [Finding]) {
    let mut wanted: BTreeMap<Place, Properties> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| is_somebodys(finding)) {
        if let Some((place, id)) = subject(asked, world, finding) {
            wanted.entry(place).or_default().entry(id).or_default().push(finding.property.clone());
        }
    }
    let looks = wanted.iter().map(|(place, properties)| look(clients, place, properties));
    let told: BTreeMap<&Place, Told> = wanted.keys().zip(join_all(looks).await).collect();
    for finding in findings.iter_mut().filter(|finding| is_somebodys(finding)) {
        let subject = subject(asked, world, finding);
        let events = subject.and_then(|(place, id)| told.get(&place)?.get(&id));
        finding.who = Some(match events {
            Some(Ok(events)) => who(events, finding.property.as_deref()),
            Some(Err(fault)) => Who::Unread { because: fault.to_string() },
            None => Who::Unknown,
        });
    }
}

/// Where the calls about a resource are told of, and the id that AWS knows it by.
fn subject(asked: &[Asked], world: &World, finding: &Finding) -> Option<(Place, String)> {
    let asked = asked.iter().find(|asked| asked.label == finding.stack)?;
    let resources = &world.stacks.get(&finding.stack)?.resources;
    let resource = resources.iter().find(|resource| resource.logical_id == finding.resource)?;
    let mut place = asked.place.clone();
    if is_global(&resource.kind) {
        home_region(&place.region).clone_into(&mut place.region);
    }
    Some((place, resource.physical_id.clone()?))
}

/// Whether a service has no Regions.
fn is_global(kind: &str) -> bool {
    ["AWS::IAM::", "AWS::Route53::"].iter().any(|prefix| kind.starts_with(prefix))
}

/// The names that CloudTrail may know a resource by, the likeliest first: services write ids, names or ARNs.
fn names(physical_id: &str, place: &Place) -> Vec<String> {
    let last = |text: &str| text.rsplit([':', '/']).next().unwrap_or(text).to_owned();
    // Only queues are known by a URL.
    if physical_id.contains("://") {
        let name = last(physical_id);
        let partition = partition(&place.region);
        let arn = format!("arn:{partition}:sqs:{}:{}:{name}", place.region, place.account);
        return vec![physical_id.to_owned(), arn, name];
    }
    if physical_id.starts_with("arn:") {
        return vec![physical_id.to_owned(), last(physical_id)];
    }
    vec![physical_id.to_owned()]
}

/// One after the other: a place answers two questions in a second. What refuses one refuses all.
async fn look(clients: &Clients, place: &Place, wanted: &Properties) -> Told {
    let cloudtrail = clients.cloudtrail(target(place)).await;
    let mut told = Told::new();
    let mut refused: Option<Fault> = None;
    for (id, properties) in wanted {
        let answer = match &refused {
            Some(fault) => Err(fault.clone()),
            None => calls(&cloudtrail, place, id, properties).await,
        };
        refused = refused.or_else(|| answer.as_ref().err().cloned());
        told.insert(id.clone(), answer);
    }
    told
}

async fn calls(
    cloudtrail: &CloudTrail,
    place: &Place,
    id: &str,
    properties: &[Option<String>],
) -> Result<Vec<Event>, Fault> {
    for name in names(id, place) {
        let pages = Cell::new(0);
        let is_enough = |events: &[Event]| {
            pages.set(pages.get() + 1);
            let is_found =
                |property: &Option<String>| events.iter().any(|event| is_the_one(event, property.as_deref()));
            pages.get() == PAGES_LOOKED || properties.iter().all(is_found)
        };
        let events = cloudtrail.calls_about(&name, event, is_enough).await?;
        if events.iter().any(is_by_hand) {
            return Ok(events);
        }
    }
    Ok(Vec::new())
}

/// Reads an event of `LookupEvents` (AWS CloudTrail User Guide, "CloudTrail record contents").
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
        has_failed: record.contains_key("errorCode"),
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
        is_root: of("/type").as_deref() == Some("Root"),
        arn: of("/arn"),
        account: of("/accountId"),
        user_name: of("/userName").or_else(|| user_name.map(str::to_owned)),
        role: of("/sessionContext/sessionIssuer/userName"),
        service: of("/invokedBy").or_else(|| by_address.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let events = cloudtrail.calls_about("data", event, |_| false).await.expect("calls");
        let first = Event {
            id: "e".to_owned(),
            time: Timestamp::from_second(1_795_000_000).expect("a time"),
            service: "rds".to_owned(),
            operation: "ModifyDBInstance".to_owned(),
            is_read: false,
            has_failed: false,
            caller: Caller {
                is_root: false,
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
        let events = cloudtrail.calls_about("data", event, |_| false).await.expect("calls");
        assert_eq!(events[0].caller.service.as_deref(), Some("cloudformation.amazonaws.com"));
    }

    #[test]
    fn a_resource_is_looked_for_by_every_name_that_a_service_may_write() {
        let place = Place { account: "333333333333".to_owned(), region: "ap-southeast-2".to_owned(), role: None };
        let check = |id: &str, expected: &[&str]| assert_eq!(names(id, &place), expected);
        check("sg-1", &["sg-1"]);
        check(
            "arn:aws:sns:ap-southeast-2:333333333333:alarms",
            &["arn:aws:sns:ap-southeast-2:333333333333:alarms", "alarms"],
        );
        let url = "https://sqs.ap-southeast-2.amazonaws.com/333333333333/jobs";
        check(url, &[url, "arn:aws:sqs:ap-southeast-2:333333333333:jobs", "jobs"]);
    }
}
