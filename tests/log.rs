//! `log` tells what happened: operations, first causes, and what took how long.

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::Ran;
use crate::support::cloud::{Cloud, pair, times_redacted};

fn told(cloud: &Cloud, line: &str) -> Ran {
    times_redacted(cloud.ends(line, 0))
}

fn deployed() -> Cloud {
    let cloud = Cloud::of(pair());
    cloud.ends("deploy lab --yes", 0);
    cloud
}

fn fails(cloud: &Cloud, resource: &str, during: &str, reason: &str) {
    let effect = json!({"fail_resource": {"during": during, "reason": reason}});
    cloud.faults(&json!([{"logical_id": resource, "effect": effect}]));
}

#[test]
fn an_environment_is_told_stack_by_stack() {
    let mut cloud = deployed();
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    fails(&cloud, "Level", "update", "the parameter is locked");
    cloud.ends("deploy lab --yes", 1);
    told(&cloud, "log lab").expect(expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  CREATE_COMPLETE
          1  [moment]  [time] create  done  greenroom, r-[name]
          critical path of 1: Queue [time] 

        api  demo-lab-api  UPDATE_ROLLBACK_COMPLETE
          1  [moment]  [time] update  failed, undone  greenroom, r-[name]
             first cause: Level (AWS::SSM::Parameter): the parameter is locked
             written in templates/api/stack.yaml:4:3
          2  [moment]  [time] create  done            greenroom
          critical path of 1: Level [time] 
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
}

#[test]
fn the_timeline_of_a_stack_marks_the_chain_that_took_the_time() {
    let cloud = deployed();
    told(&cloud, "log lab store").expect(expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  CREATE_COMPLETE
          1  [moment]  [time] create  done  greenroom, r-[name]

          timeline of operation 1; ● marks the chain that determined how long it took
          ●  Queue  create  [time] [time] ━
          ·  Topic  create  [time] [time] ━
          critical path, [time] : Queue [time] 
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
}

#[test]
fn of_what_was_before_no_chain_is_told() {
    let cloud = deployed();
    cloud.control("advance", &json!({"seconds": 7200}).to_string());
    told(&cloud, "log lab --since 1h").expect(expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  CREATE_COMPLETE
          nothing has happened

        api  demo-lab-api  CREATE_COMPLETE
          nothing has happened
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    told(&cloud, "log lab store --since 1h").expect(expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  CREATE_COMPLETE
          nothing has happened
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
}

#[test]
fn what_could_not_be_undone_is_told_beside_the_first_cause() {
    let mut cloud = deployed();
    cloud.edit("environments/lab.yaml", "topic: papers", "topic: sheets, size: 4");
    let fails = |during: &str, reason: &str| json!({"fail_resource": {"during": during, "reason": reason}});
    cloud.faults(&json!([
        {"logical_id": "Topic", "effect": fails("update", "no such name")},
        {"logical_id": "Queue", "effect": fails("rollback", "the queue is gone")},
    ]));
    cloud.ends("deploy lab --yes", 1);
    told(&cloud, "log lab store --operation 1").expect(expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  UPDATE_ROLLBACK_FAILED
          1  [moment]  [time] update  UPDATE_ROLLBACK_FAILED  greenroom, r-[name]
             first cause: Topic (AWS::SNS::Topic): no such name
             written in templates/store/stack.yaml:2:3
             not undone because of Queue (AWS::SQS::Queue): the queue is gone
          2  [moment]  [time] create  done                    greenroom

          timeline of operation 1; ● marks the chain that determined how long it took
          ●  Queue  update        [time] [time] ━ failed
          ·  Topic  update        [time] [time] ━ failed
          ●  Queue  undo: update  [time] [time] ━ failed
          ·  Topic  undo: update  [time] [time] ━
          critical path, [time] : Queue [time] → Queue [time] 
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
}

#[test]
fn a_stack_that_is_gone_is_told_of() {
    let cloud = deployed();
    cloud.ends("destroy lab --yes", 0);
    told(&cloud, "log lab api --operation 2").expect(expect![[r#"
        exit 0
        -- stdout
        api  demo-lab-api  DELETE_COMPLETE
          1  [moment]  [time] delete  done  greenroom
          2  [moment]  [time] create  done  greenroom, r-[name]

          timeline of operation 2; ● marks the chain that determined how long it took
          ●  Level   create  [time] [time] ━
          ·  Target  create  [time] [time] ━
          critical path, [time] : Level [time] 
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
}

#[test]
fn a_stack_that_never_was_has_no_past() {
    let cloud = Cloud::of(pair());
    told(&cloud, "log lab api").expect(expect![[r#"
        exit 0
        -- stdout
        api  demo-lab-api  never existed
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.run("log lab api --operation 3").expect(expect![[r#"
        exit 2
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: `api` has no operation 3

        hint: nothing has happened to it yet
    "#]]);
    cloud.run("log lab appi").expect(expect![[r#"
        exit 2
        -- stderr
        error: `lab` has no stack `appi`

        hint: did you mean `api`?
    "#]]);
    cloud.run("log lab --since yesterday").expect(expect![[r#"
        exit 2
        -- stderr
        error: `--since yesterday` is not a duration

        hint: write `24h`, or `30m`, or `7d`
    "#]]);
}

#[test]
fn programs_read_the_same() {
    let cloud = deployed();
    let ran = cloud.ends("log lab store --format json", 0);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    let stack = &log["log"]["stacks"][0];
    let operation = &stack["operations"][0];
    assert_eq!((&operation["kind"], &operation["outcome"]), (&json!("create"), &json!("done")));
    assert_eq!(operation["by"], "greenroom");
    assert!(operation["change_set"].as_str().unwrap().starts_with("r-"), "{operation}");
    let timeline = &stack["timeline"];
    let critical = timeline["critical_path"].as_array().unwrap();
    let names: Vec<&Value> = critical
        .iter()
        .map(|place| &timeline["spans"][usize::try_from(place.as_u64().unwrap()).unwrap()]["resource"])
        .collect();
    assert_eq!(names, ["Queue"], "it takes longer than the topic, and neither needs the other");
}
