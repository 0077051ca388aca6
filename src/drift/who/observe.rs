//! Asks CloudTrail who made the differences, resource by resource. Reads, and decides nothing.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::{Caller, Event, Who, is_by_hand, is_somebodys, names_property, who};
use crate::aws::cloudtrail::{self, CloudTrail};
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
        let is_enough = |told: &[cloudtrail::Event]| {
            pages.set(pages.get() + 1);
            let events: Vec<Event> = told.iter().map(event).collect();
            let is_found = |property: &Option<String>| {
                events.iter().any(|event| is_by_hand(event) && names_property(event, property.as_deref()))
            };
            pages.get() == PAGES_LOOKED || properties.iter().all(is_found)
        };
        let told = cloudtrail.calls_about(&name, is_enough).await?;
        let events: Vec<Event> = told.iter().map(event).collect();
        if events.iter().any(is_by_hand) {
            return Ok(events);
        }
    }
    Ok(Vec::new())
}

fn event(told: &cloudtrail::Event) -> Event {
    let caller = &told.caller;
    Event {
        id: told.id.clone(),
        time: told.time,
        service: told.service.clone(),
        operation: told.operation.clone(),
        is_read: told.is_read,
        has_failed: told.error.is_some(),
        caller: Caller {
            is_root: caller.kind == "Root",
            arn: caller.arn.clone(),
            account: caller.account.clone(),
            user_name: caller.user_name.clone(),
            role: caller.role.clone(),
            service: caller.service.clone(),
        },
        parameters: told.parameters.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
