//! CloudTrail: who changed what. Keeps the calls that change something, those of CloudFormation's handlers included, and tells of
//! them some minutes later. Reads are not kept, and neither are calls about objects in S3, which are data events.

use super::identifiers::{hex_digest, uuid_from};
use super::moment::Moment;
use super::paging::page;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::resources::Doing;
use super::settings::Pace;
use super::wire::{Call, Service};
use super::world::{Place, World};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How long events can be looked up (AWS CloudTrail API Reference, `LookupEvents`).
const SECONDS_KEPT: u64 = 90 * 24 * 60 * 60;
/// Each place keeps so many: a long rehearsal must not grow without end.
const EVENTS_MAX: usize = 10_000;
/// A page holds so many at most (`LookupEvents`, `MaxResults`).
const PAGE_MAX: usize = 50;
/// Where the calls of services without Regions are told of.
const GLOBAL_REGION: &str = "us-east-1";
/// Longer texts, such as templates, are not kept.
const TEXT_MAX: usize = 1024;

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Caller {
    /// The user whose access key every request bears that has no session.
    User,
    /// Somebody in a role: `ROLE/SESSION`.
    Role(String),
    /// CloudFormation, for whoever called it.
    CloudFormation,
}

/// A call that changed something, or was to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    at: Moment,
    id: String,
    source: String,
    name: String,
    caller: Caller,
    parameters: Value,
    /// What it was about: types and names.
    resources: Vec<(String, String)>,
    error: Option<String>,
}

pub(crate) fn call(world: &World, call: &Call) -> Option<Result<Value, Refusal>> {
    match call.operation.as_str() {
        "LookupEvents" => Some(look_up(world, &call.place, Parameters(&call.parameters))),
        _ => None,
    }
}

/// When all that has happened can be looked up.
pub(crate) fn told_by(world: &World, place: &Place) -> Option<Moment> {
    let last = world.services_at(place)?.trail.last()?;
    Some(last.at.after_seconds(world.rules.durations.trail))
}

fn look_up(world: &World, place: &Place, parameters: Parameters<'_>) -> Result<Value, Refusal> {
    let attributes: Vec<Parameters<'_>> = parameters.structures("LookupAttributes").collect();
    if attributes.len() > 1 {
        let message = "You can specify only one lookup attribute.";
        return Err(Refusal::new("InvalidLookupAttributesException", message));
    }
    let wanted = match attributes.first() {
        Some(attribute) => Some((attribute.required("AttributeKey")?, attribute.required("AttributeValue")?)),
        None => None,
    };
    let size = parameters.number("MaxResults").map_or(PAGE_MAX, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if size == 0 || size > PAGE_MAX {
        let message = format!("A maximum of {PAGE_MAX} and a minimum of 1 results can be asked for.");
        return Err(Refusal::new("InvalidMaxResultsException", message));
    }
    let told = |event: &&Event| event.at.after_seconds(world.rules.durations.trail) <= world.now();
    let kept = |event: &&Event| event.at >= world.now().before_seconds(SECONDS_KEPT);
    let mut found = Vec::new();
    let trail = world.services_at(place).map(|services| services.trail.as_slice()).unwrap_or_default();
    for event in trail.iter().rev().filter(told).filter(kept) {
        if wanted.map_or(Ok(true), |(key, value)| event.fits(key, value))? {
            found.push(event.shown(place));
        }
    }
    let page = page(found, parameters.text("NextToken"), size.min(world.rules.page_size))
        .map_err(|_| Refusal::new("InvalidNextTokenException", "The NextToken is not valid."))?;
    Ok(json!({"Events": page.entries, "NextToken": page.next}))
}

impl Event {
    fn fits(&self, key: &str, value: &str) -> Result<bool, Refusal> {
        Ok(match key {
            "EventId" => self.id == value,
            "EventName" => self.name == value,
            "EventSource" => self.source == value,
            "ReadOnly" => value == "false",
            "ResourceName" => self.resources.iter().any(|(_, name)| name == value),
            "ResourceType" => self.resources.iter().any(|(kind, _)| kind == value),
            "Username" => self.caller.user_name() == value,
            "AccessKeyId" => false,
            _ => return Err(Refusal::new("InvalidLookupAttributesException", format!("{key} is not an attribute."))),
        })
    }

    fn shown(&self, place: &Place) -> Value {
        let resources: Vec<Value> =
            self.resources.iter().map(|(kind, name)| json!({"ResourceType": kind, "ResourceName": name})).collect();
        json!({
            "EventId": self.id,
            "EventName": self.name,
            "ReadOnly": "false",
            "EventTime": self.at.epoch_seconds(),
            "EventSource": self.source,
            "Username": self.caller.user_name(),
            "Resources": resources,
            "CloudTrailEvent": self.record(place).to_string(),
        })
    }

    /// As it stands in a log file (AWS CloudTrail User Guide, "CloudTrail record contents").
    fn record(&self, place: &Place) -> Value {
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": self.caller.identity(&place.account),
            "eventTime": format!("{}Z", &self.at.to_string()[..19]),
            "eventSource": self.source,
            "eventName": self.name,
            "awsRegion": place.region,
            "sourceIPAddress": if self.caller == Caller::CloudFormation { CLOUDFORMATION } else { "127.0.0.1" },
            "userAgent": if self.caller == Caller::CloudFormation { CLOUDFORMATION } else { "local" },
            "requestParameters": self.parameters,
            "eventID": self.id,
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": place.account,
            "eventCategory": "Management",
        });
        if let Some(error) = &self.error {
            record["errorCode"] = json!(error);
        }
        record
    }
}

const CLOUDFORMATION: &str = "cloudformation.amazonaws.com";

impl Caller {
    pub(crate) fn of(session: Option<&str>) -> Self {
        session.map_or(Self::User, |session| Self::Role(session.to_owned()))
    }

    /// The ARN by which AWS knows whoever calls.
    pub(crate) fn arn(&self, account: &str) -> String {
        match self {
            Self::User | Self::CloudFormation => format!("arn:aws:iam::{account}:user/local"),
            Self::Role(session) => format!("arn:aws:sts::{account}:assumed-role/{session}"),
        }
    }

    /// What AWS calls `UserId` and `principalId`.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::User | Self::CloudFormation => "AIDALOCALCLOUD".to_owned(),
            Self::Role(_) => format!("AROALOCALCLOUD:{}", self.user_name()),
        }
    }

    fn user_name(&self) -> &str {
        match self {
            Self::User | Self::CloudFormation => "local",
            Self::Role(session) => session.split_once('/').map_or(session.as_str(), |(_, session)| session),
        }
    }

    fn identity(&self, account: &str) -> Value {
        let arn = self.arn(account);
        match self {
            Self::User | Self::CloudFormation => {
                let mut identity = json!({
                    "type": "IAMUser", "principalId": self.id(), "arn": arn, "accountId": account, "userName": "local",
                });
                if *self == Self::CloudFormation {
                    identity["invokedBy"] = json!(CLOUDFORMATION);
                }
                identity
            }
            Self::Role(session) => {
                let role = session.split('/').next().unwrap_or_default();
                json!({
                    "type": "AssumedRole",
                    "principalId": self.id(),
                    "arn": arn,
                    "accountId": account,
                    "sessionContext": {"sessionIssuer": {
                        "type": "Role",
                        "principalId": "AROALOCALCLOUD",
                        "arn": format!("arn:aws:iam::{account}:role/{role}"),
                        "accountId": account,
                        "userName": role,
                    }},
                })
            }
        }
    }
}

/// Remembers a call to the API of a service.
pub(crate) fn remember(world: &mut World, call: &Call, error: Option<String>, id: &str) {
    let parameters = recorded(&call.parameters);
    let resources = named(world, &call.place, &call.parameters);
    let event = Event {
        at: world.now(),
        id: id.to_owned(),
        source: format!("{}.amazonaws.com", call.service.name()),
        name: call.operation.clone(),
        caller: Caller::of(call.session.as_deref()),
        parameters,
        resources,
        error,
    };
    push(world, &call.place, event);
}

/// Whether a call is told of.
pub(crate) fn is_recorded(service: Service) -> bool {
    !matches!(service, Service::S3 | Service::Sts | Service::Other(_))
}

/// Remembers that a resource was created, changed or deleted through the API of its service, in what the service would call that.
pub(crate) fn remember_work(
    world: &mut World,
    place: &Place,
    (type_name, id): (&str, &str),
    doing: Doing,
    (caller, set): (Caller, &Map<String, Value>),
) {
    let is_global = place.home_of(type_name) != *place;
    let place = if is_global { Place::new(&place.account, GLOBAL_REGION) } else { place.clone() };
    let (service, name) = work_name(type_name, doing);
    let number = world.services_at(&place).map_or(0, |services| services.trail.len());
    let mark = format!("event:{}:{}:{id}:{number}:{}", place.account, place.region, world.now());
    let event = Event {
        at: world.now(),
        id: uuid_from(&hex_digest(&mark)),
        source: format!("{service}.amazonaws.com"),
        name,
        caller,
        parameters: recorded(&Value::Object(set.clone())),
        resources: vec![(type_name.to_owned(), id.to_owned())],
        error: None,
    };
    push(world, &place, event);
}

fn push(world: &mut World, place: &Place, event: Event) {
    let trail = &mut world.services(place).trail;
    if trail.len() >= EVENTS_MAX {
        trail.remove(0);
    }
    trail.push(event);
}

/// What services call their work on most resources; some have names of their own for it.
fn work_name(type_name: &str, doing: Doing) -> (String, String) {
    let mut parts = type_name.split("::").skip(1);
    let (service, noun) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let verb = match (doing, service) {
        (Doing::Create, _) => "Create",
        (Doing::Delete, _) => "Delete",
        (Doing::Update, "RDS" | "EC2" | "ElasticLoadBalancingV2") => "Modify",
        (Doing::Update, _) => "Update",
    };
    let service = match service {
        "ElasticLoadBalancingV2" => "elasticloadbalancing".to_owned(),
        "CloudWatch" => "monitoring".to_owned(),
        other => other.to_lowercase(),
    };
    (service, format!("{verb}{noun}"))
}

/// Parameters as CloudTrail writes them: names begin with a small letter, and secrets are hidden.
fn recorded(parameters: &Value) -> Value {
    match parameters {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let is_secret = name.contains("Password") || name.contains("Secret");
                let value = if is_secret { json!("****") } else { recorded(value) };
                (lowered(name), value)
            })
            .collect::<Map<String, Value>>()
            .into(),
        Value::Array(entries) => entries.iter().map(recorded).collect(),
        Value::String(text) if text.len() > TEXT_MAX => json!("HIDDEN_DUE_TO_SIZE"),
        other => other.clone(),
    }
}

fn lowered(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The resources that parameters name.
fn named(world: &World, place: &Place, parameters: &Value) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    gather(parameters, &mut texts);
    let Some(services) = world.services_at(place) else { return Vec::new() };
    let mut found: Vec<(String, String)> = Vec::new();
    for text in texts {
        let kinds =
            services.objects.iter().filter(|(_, objects)| objects.contains_key(text)).map(|(kind, _)| kind.as_str());
        let database = services.rds.databases.contains_key(text).then_some("AWS::RDS::DBInstance");
        for kind in kinds.chain(database) {
            let entry = (kind.to_owned(), text.to_owned());
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
    }
    found
}

fn gather<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| gather(value, texts)),
        Value::Array(entries) => entries.iter().for_each(|value| gather(value, texts)),
        Value::String(text) if text.len() <= TEXT_MAX => texts.push(text),
        _ => {}
    }
}

/// In a world that skips what is waited for, an answer is whole.
pub(crate) fn catch_up(world: &mut World, call: &Call) {
    if world.pace == Pace::Auto
        && let Some(told) = told_by(world, &call.place)
    {
        world.advance(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::bench::{ACCOUNT, Bench, signed};
    use crate::simulator::wire::Request;

    fn look_up(bench: &mut Bench, parameters: &Value) -> Value {
        let mut request = signed("cloudtrail", &parameters.to_string());
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        request.headers.push(("x-amz-target".into(), target.into()));
        let answer = bench.send(&request);
        serde_json::from_slice(&answer.body).expect("an answer in JSON")
    }

    fn about(name: &str) -> Value {
        json!({"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": name}]})
    }

    /// A topic that CloudFormation has made, and its name.
    fn with_a_topic() -> (Bench, String) {
        let mut bench = Bench::new(false);
        bench.deploy(&json!({"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}), false);
        assert!(bench.rest());
        let services = bench.world.services_at(&Bench::place()).expect("a stack");
        let name = services.objects["AWS::SNS::Topic"].keys().next().expect("a topic").clone();
        (bench, name)
    }

    #[test]
    fn a_call_is_told_of_some_minutes_later() {
        let (mut bench, topic) = with_a_topic();
        assert_eq!(look_up(&mut bench, &about(&topic)), json!({"Events": []}));
        bench.advance(300);
        let events = look_up(&mut bench, &about(&topic));
        assert_eq!(events["Events"][0]["EventName"], "CreateTopic", "{events}");
        let record = events["Events"][0]["CloudTrailEvent"].as_str().expect("a record").to_owned();
        let record: Value = serde_json::from_str(&record).expect("a record in JSON");
        assert_eq!(record["userIdentity"]["invokedBy"], CLOUDFORMATION);
    }

    #[test]
    fn whoever_calls_in_a_role_is_known_by_its_session() {
        let mut bench = Bench::new(false);
        let assumed = bench.send(&signed(
            "sts",
            "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FAdmin&RoleSessionName=jane",
        ));
        let text = String::from_utf8(assumed.body).expect("text");
        let token = text.split("<SessionToken>").nth(1).and_then(|rest| rest.split('<').next()).expect("a token");
        let session = |mut request: Request| {
            request.headers.push(("x-amz-security-token".into(), token.to_owned()));
            request
        };
        let identity = bench.send(&session(signed("sts", "Action=GetCallerIdentity")));
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/Admin/jane");
        assert!(String::from_utf8_lossy(&identity.body).contains(&arn));
        let mut put = session(signed("ssm", &json!({"Name": "/p", "Value": "v", "Type": "String"}).to_string()));
        put.headers.push(("x-amz-target".into(), "AmazonSSM.PutParameter".into()));
        assert_eq!(bench.send(&put).status, 200);
        bench.advance(300);
        let events =
            look_up(&mut bench, &json!({"LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "jane"}]}));
        let record = events["Events"][0]["CloudTrailEvent"].as_str().unwrap_or_default().to_owned();
        let record: Value = serde_json::from_str(&record).expect("a record");
        assert_eq!(record["userIdentity"]["arn"], json!(arn), "{events}");
        assert_eq!(record["requestParameters"]["name"], "/p");
    }

    #[test]
    fn calls_are_forgotten_after_ninety_days_and_wrong_questions_refused() {
        let (mut bench, topic) = with_a_topic();
        bench.advance(SECONDS_KEPT + 301);
        assert_eq!(look_up(&mut bench, &about(&topic)), json!({"Events": []}));
        let two = json!({"LookupAttributes": [
            {"AttributeKey": "ResourceName", "AttributeValue": "a"}, {"AttributeKey": "EventName", "AttributeValue": "b"},
        ]});
        assert_eq!(look_up(&mut bench, &two)["__type"], "InvalidLookupAttributesException");
        assert_eq!(look_up(&mut bench, &json!({"MaxResults": 51}))["__type"], "InvalidMaxResultsException");
    }
}
