//! What must hold of every world, whatever is done to it: stacks come to rest, rollbacks bring back what was, events are
//! closed, a replay is the same to the byte, a kill changes nothing, and execution makes exactly the changes shown.

use super::cloudformation::StackStatus;
use super::moment::Moment;
use super::settings::{Pace, Settings};
use super::wire::Request;
use super::world::{Place, World};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "ap-southeast-2";
const STACK: &str = "s";

/// No operation on a handful of resources takes so many transitions.
const TRANSITIONS_MAX: usize = 5_000;

/// A resource of a generated template.
#[derive(Debug, Clone)]
struct Part {
    /// Decides its type.
    kind: u8,
    /// What it says; another value changes it in place.
    value: u8,
    /// What it is called; another value replaces it.
    name: u8,
    /// Which earlier part it refers to, if that is there.
    refers_to: Option<usize>,
    is_retained: bool,
}

/// What a generated run does next.
#[derive(Debug, Clone)]
enum Act {
    Deploy {
        parts: Vec<Option<Part>>,
        stops_on_failure: bool,
    },
    /// Breaks in while something may be under way.
    Cancel,
    Delete,
    /// Decides a stack that was left half done.
    Decide,
    /// Makes work on some parts fail the next time: which part, and during what.
    Break(Vec<(usize, u8)>),
    Wait {
        seconds: u16,
    },
    Rest,
}

fn part() -> impl Strategy<Value = Part> {
    let retained = prop::bool::weighted(0.1);
    (0..3_u8, 0..3_u8, 0..2_u8, prop::option::of(0..4_usize), retained)
        .prop_map(|(kind, value, name, refers_to, is_retained)| Part { kind, value, name, refers_to, is_retained })
}

fn act() -> impl Strategy<Value = Act> {
    let parts = prop::collection::vec(prop::option::weighted(0.8, part()), 1..5);
    prop_oneof![
        5 => (parts, prop::bool::weighted(0.2)).prop_map(|(parts, stops_on_failure)| Act::Deploy { parts, stops_on_failure }),
        1 => Just(Act::Cancel),
        1 => Just(Act::Delete),
        2 => Just(Act::Decide),
        4 => prop::collection::vec((0..4_usize, 0..4_u8), 1..4).prop_map(Act::Break),
        2 => (0..60_u16).prop_map(|seconds| Act::Wait { seconds }),
        3 => Just(Act::Rest),
    ]
}

/// The template of some parts. Types differ by place, so that an update never changes the type of a resource.
fn template(parts: &[Option<Part>]) -> Value {
    let mut resources = Map::new();
    for (place, part) in parts.iter().enumerate() {
        let Some(part) = part else { continue };
        let target = part.refers_to.filter(|target| *target < place && parts.get(*target).is_some_and(Option::is_some));
        let value =
            target.map_or_else(|| json!(format!("v{}", part.value)), |target| json!({"Ref": format!("Part{target}")}));
        let body = if place % 2 == 0 {
            json!({
                "Type": "AWS::SNS::Topic",
                "DeletionPolicy": if part.is_retained { "Retain" } else { "Delete" },
                "Properties": {"TopicName": format!("topic-{place}-{}-{}", part.name, part.kind), "DisplayName": value},
            })
        } else {
            json!({
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": format!("/p/{place}/{}", part.name), "Type": "String", "Value": value},
            })
        };
        resources.insert(format!("Part{place}"), body);
    }
    if resources.is_empty() {
        resources.insert("Only".to_owned(), json!({"Type": "AWS::SNS::Topic"}));
    }
    json!({ "Resources": resources })
}

/// A world with a caller in front of it.
#[derive(Clone)]
struct Bench {
    world: World,
    change_sets: usize,
    /// Whether the world is written down and read back after every step.
    restarts: bool,
}

impl Bench {
    fn new(restarts: bool) -> Self {
        let settings = Settings { pace: Pace::Manual, seed: 11, ..Settings::default() };
        Self { world: World::new(&settings, Moment(1_700_000_000_000)), change_sets: 0, restarts }
    }

    fn restart(&mut self) {
        if self.restarts {
            let text = serde_json::to_string(&self.world).expect("a world can be written");
            self.world = serde_json::from_str(&text).expect("a written world can be read");
        }
    }

    fn call(&mut self, operation: &str, parameters: &[(&str, &str)]) -> (u16, String) {
        self.restart();
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = signed("cloudformation", &format!("Action={operation}&{}", pairs.join("&")));
        let now = self.world.now();
        let answer = self.world.handle(&request, now);
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    fn advance(&mut self, seconds: u64) {
        let to = self.world.now().after_seconds(seconds);
        while let Some(next) = self.world.next_transition().filter(|next| *next <= to) {
            self.restart();
            self.world.advance(next);
        }
        self.world.advance(to);
    }

    fn rest(&mut self) -> bool {
        for _ in 0..TRANSITIONS_MAX {
            let Some(next) = self.world.next_transition() else { return true };
            self.restart();
            self.world.advance(next);
        }
        false
    }

    fn perform(&mut self, act: &Act) {
        match act {
            Act::Deploy { parts, stops_on_failure } => self.deploy(&template(parts), *stops_on_failure),
            Act::Cancel => {
                self.call("CancelUpdateStack", &[("StackName", STACK)]);
            }
            Act::Delete => {
                self.call("DeleteStack", &[("StackName", STACK)]);
            }
            Act::Decide => {
                self.call("ContinueUpdateRollback", &[("StackName", STACK)]);
                self.call("RollbackStack", &[("StackName", STACK)]);
            }
            Act::Break(breaks) => {
                let rule = |(part, during): &(usize, u8)| {
                    let during =
                        ["create", "update", "delete", "rollback"].get(usize::from(*during)).unwrap_or(&"create");
                    let effect = json!({"fail_resource": {"during": during, "reason": "broken on purpose"}});
                    json!({"logical_id": format!("Part{part}"), "times": 1, "effect": effect})
                };
                let plan: Value = breaks.iter().map(rule).collect();
                let request =
                    Request { path: "/_sim/faults".into(), body: plan.to_string().into(), ..Request::default() };
                let now = self.world.now();
                let answer = self.world.handle(&request, now);
                assert_eq!(answer.status, 200, "the plan is understood");
            }
            Act::Wait { seconds } => self.advance(u64::from(*seconds)),
            Act::Rest => {
                assert!(self.rest(), "the world comes to rest");
            }
        }
    }

    /// Makes a change set of the kind the stack needs and executes it as soon as it can be.
    fn deploy(&mut self, template: &Value, stops_on_failure: bool) {
        self.change_sets += 1;
        let name = format!("c{}", self.change_sets);
        let kind = match self.status() {
            None | Some(StackStatus::ReviewInProgress) => "CREATE",
            Some(_) => "UPDATE",
        };
        let body = template.to_string();
        self.call(
            "CreateChangeSet",
            &[("StackName", STACK), ("ChangeSetName", &name), ("ChangeSetType", kind), ("TemplateBody", &body)],
        );
        self.advance(10);
        let stops = if stops_on_failure { "true" } else { "false" };
        self.call("ExecuteChangeSet", &[("StackName", STACK), ("ChangeSetName", &name), ("DisableRollback", stops)]);
    }

    fn state(&self) -> Value {
        serde_json::to_value(&self.world).expect("a world can be written")
    }

    fn place() -> Place {
        Place::new(ACCOUNT, REGION)
    }

    fn stacks(&self) -> Vec<Value> {
        let Some(services) = self.world.services_at(&Self::place()) else { return Vec::new() };
        services.cloudformation.stacks.values().map(|stack| json!(stack)).collect()
    }

    fn status(&self) -> Option<StackStatus> {
        self.world.services_at(&Self::place())?.cloudformation.live_stack(STACK).map(|stack| stack.status)
    }

    /// What a rollback must bring back: live resources, the stack's records of them, and what it runs.
    fn picture(&self) -> Value {
        let services = self.world.services_at(&Self::place());
        let stack = services.and_then(|services| services.cloudformation.live_stack(STACK));
        let records: BTreeMap<&String, Value> = stack
            .into_iter()
            .flat_map(|stack| &stack.resources)
            .map(|(name, resource)| (name, json!([resource.physical_id, resource.properties, resource.tags])))
            .collect();
        let objects: Vec<(&String, Vec<(&String, &Map<String, Value>)>)> = services
            .into_iter()
            .flat_map(|services| &services.objects)
            .map(|(type_name, objects)| {
                (type_name, objects.iter().map(|(id, object)| (id, &object.properties)).collect())
            })
            .filter(|(_, objects): &(_, Vec<_>)| !objects.is_empty())
            .collect();
        json!([records, objects, stack.map(|stack| &stack.deployed)])
    }
}

fn signed(service: &str, body: &str) -> Request {
    let scope = format!("AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261125/{REGION}/{service}/aws4_request, Signature=x");
    Request {
        method: "POST".into(),
        path: "/".into(),
        headers: vec![("authorization".into(), scope)],
        body: body.as_bytes().to_vec(),
        ..Request::default()
    }
}

/// Every resource that was shown in progress was later shown to have ended.
fn unclosed_events(stack: &Value) -> BTreeSet<String> {
    let mut open = BTreeSet::new();
    for event in stack["events"].as_array().into_iter().flatten() {
        let name = event["logical_id"].as_str().unwrap_or_default().to_owned();
        if event["status"].as_str().is_some_and(|status| status.ends_with("_IN_PROGRESS")) {
            open.insert(name);
        } else {
            open.remove(&name);
        }
    }
    open
}

fn run(acts: &[Act], restarts: bool) -> Bench {
    let mut bench = Bench::new(restarts);
    for act in acts {
        bench.perform(act);
    }
    assert!(bench.rest(), "the world comes to rest");
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_stack_comes_to_rest_with_its_events_closed(acts in prop::collection::vec(act(), 1..12)) {
        let bench = run(&acts, false);
        for stack in bench.stacks() {
            let status = stack["status"].as_str().unwrap_or_default();
            prop_assert!(status == "REVIEW_IN_PROGRESS" || !status.ends_with("_IN_PROGRESS"), "{status}");
            let unclosed = unclosed_events(&stack);
            let is_review = status == "REVIEW_IN_PROGRESS";
            prop_assert!(unclosed.is_empty() || (is_review && unclosed.len() == 1), "{unclosed:?}");
        }
    }

    #[test]
    fn the_same_seed_and_requests_give_the_same_bytes(acts in prop::collection::vec(act(), 1..10)) {
        prop_assert_eq!(run(&acts, false).state().to_string(), run(&acts, false).state().to_string());
    }

    #[test]
    fn a_kill_and_restart_at_every_step_changes_nothing(acts in prop::collection::vec(act(), 1..8)) {
        prop_assert_eq!(run(&acts, false).state(), run(&acts, true).state());
    }

    #[test]
    fn after_a_rollback_the_world_is_as_before(
        first in prop::collection::vec(prop::option::weighted(0.8, part()), 1..5),
        second in prop::collection::vec(prop::option::weighted(0.8, part()), 1..5),
        broken in 0..4_usize,
        during in 0..2_u8,
    ) {
        let mut bench = Bench::new(false);
        bench.deploy(&template(&first), false);
        prop_assert!(bench.rest());
        prop_assert_eq!(bench.status(), Some(StackStatus::CreateComplete));
        let before = bench.picture();
        bench.perform(&Act::Break(vec![(broken, during)]));
        let without_retention: Vec<Option<Part>> =
            second.into_iter().map(|part| part.map(|part| Part { is_retained: false, ..part })).collect();
        bench.deploy(&template(&without_retention), false);
        prop_assert!(bench.rest());
        if bench.status() == Some(StackStatus::UpdateRollbackComplete) {
            prop_assert_eq!(bench.picture(), before);
        }
    }

    #[test]
    fn after_a_failed_create_only_retained_resources_exist(
        parts in prop::collection::vec(prop::option::weighted(0.9, part()), 1..5),
        broken in 0..4_usize,
    ) {
        let mut bench = Bench::new(false);
        bench.perform(&Act::Break(vec![(broken, 0)]));
        bench.deploy(&template(&parts), false);
        prop_assert!(bench.rest());
        if bench.status() == Some(StackStatus::RollbackComplete) {
            let services = bench.world.services_at(&Bench::place()).expect("something was called");
            let stack = services.cloudformation.live_stack(STACK).expect("a rolled back stack is still there");
            let retained: BTreeSet<Option<String>> = stack
                .resources
                .values()
                .filter(|resource| resource.status.as_str() == "DELETE_SKIPPED")
                .map(|resource| resource.physical_id.clone())
                .collect();
            let live = services.objects.values().flatten().map(|(id, _)| Some(id.clone()));
            prop_assert_eq!(live.collect::<BTreeSet<_>>(), retained);
        }
    }

    #[test]
    fn execution_makes_exactly_the_changes_shown(
        first in prop::collection::vec(prop::option::weighted(0.8, part()), 1..5),
        second in prop::collection::vec(prop::option::weighted(0.8, part()), 1..5),
    ) {
        let mut bench = Bench::new(false);
        bench.deploy(&template(&first), false);
        prop_assert!(bench.rest());
        let before = bench.stacks().first().and_then(|stack| stack["events"].as_array().map(Vec::len)).unwrap_or(0);
        bench.deploy(&template(&second), false);
        prop_assert!(bench.rest());
        let stacks = bench.stacks();
        let stack = stacks.first().expect("the stack was made");
        let status = stack["status"].as_str().unwrap_or_default();
        // A name that is still taken lets an update fail: then there is nothing to compare.
        if status != "UPDATE_COMPLETE" {
            return Ok(());
        }
        let rows = stack["change_sets"].as_array().into_iter().flatten().flat_map(|set| set["changes"].as_array().into_iter().flatten());
        let shown: BTreeMap<String, String> = rows
            .map(|row| {
                let change = &row["ResourceChange"];
                (change["LogicalResourceId"].as_str().unwrap_or_default().to_owned(), change["Action"].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        let mut made: BTreeMap<String, String> = BTreeMap::new();
        for event in stack["events"].as_array().into_iter().flatten().skip(before) {
            let action = match event["status"].as_str().unwrap_or_default() {
                "CREATE_COMPLETE" => "Add",
                "UPDATE_COMPLETE" => "Modify",
                "DELETE_COMPLETE" | "DELETE_SKIPPED" => "Remove",
                _ => continue,
            };
            let name = event["logical_id"].as_str().unwrap_or_default();
            // Replacing one deletes the old one too: the row says Modify.
            if name != STACK && !(action == "Remove" && made.contains_key(name)) {
                made.insert(name.to_owned(), action.to_owned());
            }
        }
        prop_assert_eq!(made, shown);
    }

    #[test]
    fn no_request_makes_it_panic(
        service in prop::sample::select(vec!["cloudformation", "rds", "ec2", "sts", "s3", "ssm", "secretsmanager", "kms", "monitoring"]),
        method in prop::sample::select(vec!["GET", "POST", "PUT", "HEAD", "DELETE"]),
        path in "(/[a-z%0-9.]{0,8}){0,3}",
        target in prop::option::of("[A-Za-z.]{0,20}"),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bench = Bench::new(false);
        let mut request = Request { method: method.into(), path, ..signed(service, "") };
        request.body = body;
        request.headers.extend(target.map(|target| ("x-amz-target".to_owned(), target)));
        let now = bench.world.now();
        let answer = bench.world.handle(&request, now);
        prop_assert!(answer.status != 500 && answer.status != 501, "SDKs retry {}", answer.status);
    }

    #[test]
    fn no_template_makes_it_panic(text in "[\\PC\n]{0,200}", resources in "[A-Za-z:!\\[\\]{}&*#|>,'\"\n -]{0,200}") {
        let mut bench = Bench::new(false);
        bench.call("ValidateTemplate", &[("TemplateBody", &text)]);
        let body = format!("Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties: {resources}\n");
        bench.call("CreateStack", &[("StackName", STACK), ("TemplateBody", &body)]);
        prop_assert!(bench.rest());
    }
}
