//! What must hold of every world, whatever is done to it: stacks come to rest, rollbacks bring back what was, events are
//! closed, a replay is the same to the byte, a kill changes nothing, and execution makes exactly the changes shown.

use super::bench::{Bench, STACK, signed};
use super::cloudformation::StackStatus;
use super::wire::Request;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
        2 => (60..1200_u16).prop_map(|seconds| Act::Wait { seconds }),
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
        let body = if place == 3 {
            // A database takes its time, is busy meanwhile, and may leave a snapshot.
            json!({
                "Type": "AWS::RDS::DBInstance",
                "DeletionPolicy": if part.is_retained { "Snapshot" } else { "Delete" },
                "UpdateReplacePolicy": "Delete",
                "Properties": {
                    "DBInstanceClass": "db.t4g.micro",
                    "Engine": "postgres",
                    "MasterUsername": "master",
                    "MasterUserPassword": "long-enough",
                    "DBName": format!("name{}", part.name),
                    "AllocatedStorage": (20 + part.value).to_string(),
                    "Tags": [{"Key": "refers", "Value": value}],
                },
            })
        } else if place % 2 == 0 {
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

fn perform(bench: &mut Bench, act: &Act) {
    match act {
        Act::Deploy { parts, stops_on_failure } => bench.deploy(&template(parts), *stops_on_failure),
        Act::Cancel => {
            bench.call("CancelUpdateStack", &[("StackName", STACK)]);
        }
        Act::Delete => {
            bench.call("DeleteStack", &[("StackName", STACK)]);
        }
        Act::Decide => {
            bench.call("ContinueUpdateRollback", &[("StackName", STACK)]);
            bench.call("RollbackStack", &[("StackName", STACK)]);
        }
        Act::Break(breaks) => {
            let rule = |(part, during): &(usize, u8)| {
                let during = ["create", "update", "delete", "rollback"].get(usize::from(*during)).unwrap_or(&"create");
                let effect = json!({"fail_resource": {"during": during, "reason": "broken on purpose"}});
                json!({"logical_id": format!("Part{part}"), "times": 1, "effect": effect})
            };
            let plan: Value = breaks.iter().map(rule).collect();
            bench.plan_faults(&plan);
        }
        Act::Wait { seconds } => bench.advance(u64::from(*seconds)),
        Act::Rest => {
            assert!(bench.rest(), "the world comes to rest");
        }
    }
}

/// What a rollback must bring back: live resources, the stack's records of them, and what it runs.
fn picture(bench: &Bench) -> Value {
    let services = bench.world.services_at(&Bench::place());
    let stack = services.and_then(|services| services.cloudformation.live_stack(STACK));
    let records: BTreeMap<&String, Value> = stack
        .into_iter()
        .flat_map(|stack| &stack.resources)
        .map(|(name, resource)| (name, json!([resource.physical_id, resource.properties, resource.tags])))
        .collect();
    let mut objects: BTreeMap<&String, BTreeMap<&String, &Map<String, Value>>> = BTreeMap::new();
    for (type_name, live) in services.into_iter().flat_map(|services| &services.objects) {
        for (id, object) in live {
            objects.entry(type_name).or_default().insert(id, &object.properties);
        }
    }
    let databases: BTreeMap<&String, Value> = services
        .into_iter()
        .flat_map(|services| &services.rds.databases)
        .map(|(id, database)| (id, json!([database.model, database.status, database.pending])))
        .collect();
    json!([records, objects, databases, stack.map(|stack| &stack.deployed)])
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
        perform(&mut bench, act);
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
        let before = picture(&bench);
        perform(&mut bench, &Act::Break(vec![(broken, during)]));
        let without_retention: Vec<Option<Part>> =
            second.into_iter().map(|part| part.map(|part| Part { is_retained: false, ..part })).collect();
        bench.deploy(&template(&without_retention), false);
        prop_assert!(bench.rest());
        if bench.status() == Some(StackStatus::UpdateRollbackComplete) {
            prop_assert_eq!(picture(&bench), before);
        }
    }

    #[test]
    fn after_a_failed_create_only_retained_resources_exist(
        parts in prop::collection::vec(prop::option::weighted(0.9, part()), 1..5),
        broken in 0..4_usize,
    ) {
        let mut bench = Bench::new(false);
        perform(&mut bench, &Act::Break(vec![(broken, 0)]));
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
            let databases = services.rds.databases.keys().map(|id| Some(id.clone()));
            let live = services.objects.values().flatten().map(|(id, _)| Some(id.clone())).chain(databases);
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
